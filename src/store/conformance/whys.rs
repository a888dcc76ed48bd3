//! What was seen and not said: kept, bounded, and shown beside the events.

use crate::core::delivery::Verdict;
use crate::core::diff::Change;
use crate::core::names::{JobName, Key, Scope};
use crate::core::outcome::PollOutcome;
use crate::core::why::{OBSERVATIONS_MAX, Observation, Seen, Silence, WhyItem};
use crate::store::conformance::{
    Bench, adopt, at, attempt, changes, claim, commit, complete, event, job, key, room, row, settle_one, settlement,
};
use crate::store::{PollChanges, PollNote, SinkState, Store};

fn observed(name: &str, second: i64, silence: Silence) -> Observation {
    let seen = Seen { changed: vec!["/a".into()], ignored: vec!["/b/0".into()], tolerated: vec!["/c".into()] };
    Observation { key: key(name), at: at(second), silence, change: Some(Change::Updated), seen, polls: Some((1, 2)) }
}

async fn see(store: &dyn Store, observations: Vec<Observation>) {
    let ticket = claim(store).await;
    let ending = complete(ticket.scopes.get(&Scope::default()).map_or(0, |scope| scope.sequence));
    let changes = PollChanges { observations, ..changes(vec![row("a", 1)], vec![]) };
    store.commit_poll(ticket, changes, ending, &room(0)).await.expect("committed");
}

async fn note(store: &dyn Store, observations: Vec<Observation>) {
    let observations = Some((Scope::default(), observations));
    let note = PollNote {
        outcome: PollOutcome::Unchanged,
        at: at(9),
        seals: Vec::new(),
        observations: observations.into_iter().collect(),
    };
    store.note_poll(claim(store).await, note).await.expect("noted");
}

async fn why(store: &dyn Store, name: &str) -> Option<WhyItem> {
    let mut items = store.why(&job(), &Key::from(name)).await.expect("why");
    assert!(items.len() <= 1, "{items:#?}");
    items.pop()
}

/// The rows of an item: the second, and the rule or the event.
async fn rows(store: &dyn Store, name: &str) -> Vec<(i64, String)> {
    let item = why(store, name).await.expect("an item");
    let second = |seen: &crate::core::why::ObservationView| seen.timestamp.since(at(0)).as_secs().cast_signed();
    let word = |seen: &crate::core::why::ObservationView| seen.rule.clone().or(seen.event.clone()).unwrap_or_default();
    item.observations.iter().map(|seen| (second(seen), word(seen))).collect()
}

pub(in crate::store) async fn what_was_seen_and_not_said_is_read_back(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    see(bench.store(), vec![observed("a", 1, Silence::When)]).await;
    bench.restart();
    let item = why(bench.store(), "a").await.expect("an item");
    assert_eq!((item.state.as_str(), item.scope, item.baseline), ("present", None, None));
    let [seen] = &item.observations[..] else { panic!("{:#?}", item.observations) };
    assert_eq!(seen.seen, observed("a", 1, Silence::When).seen);
    assert_eq!((seen.timestamp, seen.change.as_deref()), (at(1), Some("updated")));
    assert_eq!((seen.outcome.as_str(), seen.rule.as_deref()), ("silent", Some("when")));
}

pub(in crate::store) async fn at_most_twenty_observations_of_an_item_are_kept(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    see(store, (1..=30).map(|second| observed("a", second, Silence::On)).collect()).await;
    see(store, vec![observed("a", 31, Silence::Missing), observed("b", 1, Silence::On)]).await;
    let kept = rows(store, "a").await;
    assert_eq!((kept.len(), kept[0].0, kept[19].0), (OBSERVATIONS_MAX, 31, 12));
    assert_eq!(rows(store, "b").await, [(1, "on".to_owned())]);
    assert_eq!(why(store, "b").await.map(|item| item.state), Some("forgotten".to_owned()));
}

pub(in crate::store) async fn what_may_be_so_in_every_poll_has_one_row(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    see(store, vec![observed("a", 1, Silence::When)]).await;
    for second in 2..6 {
        note(store, vec![observed("a", second, Silence::Ignored)]).await;
    }
    assert_eq!(rows(store, "a").await, [(5, "ignored".to_owned()), (1, "when".to_owned())]);
}

pub(in crate::store) async fn what_was_only_noted_is_shown_and_survives_once_it_is_flushed(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    see(bench.store(), Vec::new()).await;
    note(bench.store(), vec![observed("a", 3, Silence::Ignored)]).await;
    assert_eq!(rows(bench.store(), "a").await, [(3, "ignored".to_owned())]);
    note(bench.store(), vec![observed("a", 4, Silence::Ignored)]).await;
    bench.store().flush().await.expect("flushed");
    bench.restart();
    assert_eq!(rows(bench.store(), "a").await, [(4, "ignored".to_owned())]);
}

pub(in crate::store) async fn events_stand_beside_what_was_not_said(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let ticket = commit(store, vec![row("a", 1)], vec![event("a", 1, &["crm"]), event("b", 2, &[])], 9).await.remove(0);
    settle_one(store, settlement(ticket, attempt(1, at(2), 200), Verdict::Delivered, SinkState::default()))
        .await
        .unwrap();
    see(store, vec![observed("a", 3, Silence::When)]).await;
    assert_eq!(rows(store, "a").await, [(3, "when".to_owned()), (1, "evt_a_1".to_owned())]);
    let told = why(store, "a").await.expect("an item").observations.remove(1);
    assert_eq!((told.outcome.as_str(), told.change.as_deref()), ("event", Some("updated")));
    assert_eq!((told.deliveries[0].state.as_str(), told.attempts[0].status), ("delivered", Some(200)));
}

pub(in crate::store) async fn the_poll_that_took_all_over_is_remembered(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let baselined = PollChanges { baselined: Some(at(4)), ..changes(vec![row("a", 1)], vec![]) };
    store.commit_poll(claim(store).await, baselined, complete(0), &room(0)).await.expect("committed");
    see(store, Vec::new()).await;
    assert_eq!(rows(store, "a").await, [(4, "first".to_owned())]);
}

pub(in crate::store) async fn an_item_that_is_missing_or_gone_is_shown_as_such(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let (mut missing, mut gone) = (row("m", 1), row("g", 1));
    missing.row.missed = 3;
    gone.row.gone = Some(at(7));
    commit(store, vec![missing, gone], vec![], 0).await;
    let state = async |name| why(store, name).await.map(|item| (item.state, item.missed, item.deleted));
    assert_eq!(state("m").await, Some(("missing".to_owned(), 3, None)));
    assert_eq!(state("g").await, Some(("deleted".to_owned(), 0, Some(at(7)))));
    assert_eq!(state("nobody").await, None);
    assert!(store.why(&JobName::from("nobody"), &Key::from("m")).await.unwrap().is_empty());
    assert_eq!(store.keys(&job(), 1).await.unwrap().len(), 1);
    let mut keys = store.keys(&job(), 9).await.unwrap();
    keys.sort();
    assert_eq!(keys, [Key::from("g"), Key::from("m")]);
}

pub(in crate::store) async fn old_observations_are_pruned(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    see(store, (1..=6).map(|second| observed("a", second, Silence::On)).collect()).await;
    let mut pruned = 0;
    loop {
        match store.prune(at(5), 2).await.expect("pruned") {
            0 => break,
            some => pruned += some,
        }
    }
    assert_eq!(pruned, 4);
    assert_eq!(rows(store, "a").await, [(6, "on".to_owned()), (5, "on".to_owned())]);
}
