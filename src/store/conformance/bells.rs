//! System events: a stream of their own, what rings, and whose death has been told.

use crate::core::alert::{Bell, Notice, Rebaselined, Ring, SYSTEM_JOB, Telling, Trouble};
use crate::core::delivery::Verdict;
use crate::core::names::Key;
use crate::core::sink::plain;
use crate::core::view::{EventFilter, EventView};
use crate::store::conformance::{
    Bench, adopt, at, attempt, changes, claim, commit, complete, crm, event, job, room, sent, settle_one, settlement,
};
use crate::store::{SinkState, Store, StoreError};

/// A system event to `crm` that differs from others by `second`.
fn notice(second: i64) -> Notice {
    let news = Rebaselined { job: &job(), why: "its request was edited", since: at(second), items: 3 };
    Telling::to(vec![plain("crm")]).rebaselined(&news, at(second))
}

fn told(second: i64) -> Ring {
    Ring { notice: Some(notice(second)), ..Ring::default() }
}

fn bell(rings: u32) -> Bell {
    let (trouble, subject) = (Trouble::Failing, Key::from("orders"));
    Bell { trouble, subject, since: at(1), rang: at(i64::from(rings)), rings, reason: "it answered 500".into() }
}

async fn events(store: &dyn Store) -> Vec<EventView> {
    let filter = EventFilter { oldest_first: true, ..EventFilter::default() };
    store.events(&filter).await.expect("events").data
}

pub(in crate::store) async fn system_events_are_numbered_by_themselves(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    commit(store, vec![], vec![event("a", 1, &["erp"])], 0).await;
    let tickets = store.ring(vec![told(2), told(3)], &room(1)).await.unwrap();
    assert_eq!(tickets.len(), 1, "as many as there is room for");
    let parcel = &tickets[0].parcel;
    assert_eq!((parcel.job.as_str(), parcel.key.as_str(), parcel.sequence), (SYSTEM_JOB, "orders", 1));
    assert_eq!((parcel.kind.as_str(), parcel.seen_at), ("doorbell.job.rebaselined", at(2)));
    let shown = events(store).await;
    let shown: Vec<_> = shown.iter().map(|event| (&*event.job, &*event.change, event.sequence)).collect();
    assert_eq!(shown, [("orders", "updated", 1), (SYSTEM_JOB, "rebaselined", 1), (SYSTEM_JOB, "rebaselined", 2)]);
    let body = store.event(parcel.event.as_str()).await.unwrap().unwrap().body;
    assert_eq!(body.get().as_bytes(), parcel.body, "the bytes that are sent are those that are kept");
}

pub(in crate::store) async fn a_system_event_is_told_once(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    bench.store().ring(vec![told(2)], &room(9)).await.unwrap();
    bench.restart();
    adopt(bench.store()).await;
    let again = bench.store().ring(vec![told(2), told(3)], &room(0)).await.unwrap();
    assert!(again.is_empty());
    let sequences: Vec<_> = events(bench.store()).await.iter().map(|event| event.sequence).collect();
    assert_eq!(sequences, [1, 2], "one that is there takes no number");
    let due = bench.store().claim_deliveries(&crm(), at(9), 9).await.unwrap();
    assert_eq!(sent(&due).len(), 1, "the second waits behind the first: they are about the same");
}

pub(in crate::store) async fn a_bell_is_remembered_until_it_is_silent(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    for rings in 1..=2 {
        let ring = Ring { on: Some(bell(rings)), off: vec![(Trouble::Stale, Key::from("orders"))], ..told(2) };
        bench.store().ring(vec![ring], &room(0)).await.unwrap();
    }
    bench.restart();
    assert_eq!(bench.store().ringing().await.unwrap(), [bell(2)]);
    let ring = Ring { off: vec![(Trouble::Failing, Key::from("orders"))], ..Ring::default() };
    bench.store().ring(vec![ring], &room(0)).await.unwrap();
    assert_eq!(bench.store().ringing().await.unwrap(), []);
}

pub(in crate::store) async fn a_poll_tells_of_itself_or_is_not_made(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let mut with = changes(vec![], vec![event("a", 1, &["crm"])]);
    with.notice = Some(notice(2));
    assert_eq!(with.deliveries()[&crm()], 2);
    let tickets = store.commit_poll(claim(store).await, with.clone(), complete(1), &room(9)).await.unwrap();
    assert_eq!(tickets.len(), 2);
    with.notice = Some(notice(3));
    let refused = store.commit_poll(claim(store).await, with, complete(1), &room(9)).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    assert_eq!(events(store).await.len(), 2);
}

pub(in crate::store) async fn a_death_is_told_once_and_again_after_the_next(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let mut born = event("b", 2, &["erp"]);
    born.deliveries[0].dead = Some("too large".into());
    let ticket = commit(store, vec![], vec![event("a", 1, &["crm"]), born], 9).await.remove(0);
    let died = settlement(ticket, attempt(1, at(5), 413), Verdict::Dead("it said 413".into()), SinkState::default());
    settle_one(store, died).await.unwrap();
    let letters = store.untold(9).await.unwrap();
    let shown: Vec<_> =
        letters.iter().map(|it| (it.sink.as_str(), it.key.as_str(), &*it.reason, it.attempts)).collect();
    assert_eq!(shown, [("crm", "a", "it said 413", 1), ("erp", "b", "too large", 0)]);
    assert_eq!((letters[0].event.as_str(), letters[0].job.clone(), letters[0].seen_at), ("evt_a_1", job(), at(1)));
    assert_eq!(store.untold(1).await.unwrap().len(), 1);
    let ring = |told| Ring { told: Some(told), ..Ring::default() };
    let rings = letters.iter().map(|letter| ring((letter.delivery, letter.ended))).collect();
    store.ring(rings, &room(0)).await.unwrap();
    assert_eq!(store.untold(9).await.unwrap(), []);
    // As if it had been replayed, and had died again.
    store.ring(vec![ring((letters[0].delivery, at(1)))], &room(0)).await.unwrap();
    assert_eq!(store.untold(9).await.unwrap(), letters[..1]);
}

pub(in crate::store) async fn the_job_of_system_events_is_nobodys(bench: &mut impl Bench) {
    let store = bench.store();
    let early = store.ring(vec![told(2)], &room(9)).await;
    assert!(matches!(early, Err(StoreError::UnknownJob(_))), "a config is adopted first: {early:?}");
    adopt(store).await;
    store.ring(vec![told(2)], &room(0)).await.unwrap();
    adopt(store).await;
    let jobs: Vec<_> = store.jobs().await.unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(jobs, [job()]);
    assert_eq!(store.claim_deliveries(&crm(), at(9), 9).await.unwrap().len(), 1, "it did not leave the config");
}
