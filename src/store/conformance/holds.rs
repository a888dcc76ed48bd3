//! What waits for a person: kept with its scope, and answered.

use crate::core::hold::{Answer, Hold};
use crate::core::names::{JobName, Scope};
use crate::store::Store;
use crate::store::conformance::{Bench, adopt, at, changes, claim, complete, job, room};

fn hold(deletions: u64) -> Option<Box<Hold>> {
    Some(Box::new(Hold { deletions, of: 20, keys: vec!["a".to_owned()], since: at(0), ..Hold::default() }))
}

/// A poll that holds this.
async fn poll_that_holds(store: &dyn Store, held: Option<Box<Hold>>) {
    let mut ending = complete(0);
    ending.scope.hold = held;
    store.commit_poll(claim(store).await, changes(vec![], vec![]), ending, &room(0)).await.expect("committed");
}

async fn held(store: &dyn Store) -> Option<Box<Hold>> {
    let ticket = claim(store).await;
    let hold = ticket.scopes.get(&Scope::default()).and_then(|scope| scope.hold.clone());
    assert_eq!(ticket.record.hold, hold, "a job holds what its one scope does");
    let jobs = store.jobs().await.expect("jobs");
    assert_eq!(jobs[0].1.hold, hold);
    hold
}

pub(in crate::store) async fn an_answer_to_what_is_held_survives_a_crash(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    poll_that_holds(bench.store(), hold(12)).await;
    assert_eq!(held(bench.store()).await, hold(12));
    let answered = bench.store().answer(&job(), Answer::Approved).await.expect("answered").expect("held");
    assert_eq!((answered.deletions, answered.answer), (12, Some(Answer::Approved)));
    assert_eq!(held(bench.store()).await.as_deref(), Some(&answered));
    bench.restart();
    assert_eq!(held(bench.store()).await.as_deref(), Some(&answered));
    poll_that_holds(bench.store(), None).await;
    bench.restart();
    assert_eq!(held(bench.store()).await, None);
}

pub(in crate::store) async fn an_answer_outlives_the_poll_that_was_under_way(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    poll_that_holds(store, hold(12)).await;
    let under_way = claim(store).await;
    store.answer(&job(), Answer::Approved).await.expect("answered").expect("held");
    let mut ending = complete(0);
    ending.scope.hold = hold(15);
    store.commit_poll(under_way, changes(vec![], vec![]), ending, &room(0)).await.expect("committed");
    let kept = held(store).await.expect("held");
    assert_eq!((kept.deletions, kept.answer), (12, Some(Answer::Approved)), "what was shown is what was approved");
    // The next poll has seen the answer, and says what became of it.
    poll_that_holds(store, hold(15)).await;
    assert_eq!(held(store).await, hold(15));
}

pub(in crate::store) async fn what_holds_nothing_can_not_be_answered(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    assert_eq!(store.answer(&job(), Answer::Approved).await.expect("no error"), None);
    assert!(store.answer(&JobName::from("nobody"), Answer::Approved).await.is_err());
    let baseline = Hold { baseline: true, ..Hold::default() };
    poll_that_holds(store, Some(Box::new(baseline))).await;
    assert_eq!(store.answer(&job(), Answer::Rejected).await.expect("no error"), None);
    assert!(store.answer(&job(), Answer::Approved).await.expect("no error").is_some());
}
