//! Batches: one claim, one answer, the same bytes under the same id until they have ended.

use crate::core::delivery::Verdict;
use crate::core::operate::{DeliveryFilter, DeliveryState};
use crate::store::conformance::{Bench, adopt, at, attempt, commit, crm, event, job, sent, settle_one, settlement};
use crate::store::{BatchRoom, DeliveryTicket, Queue, SinkState, Store, StoreError};

const ROOM: BatchRoom = BatchRoom { events: 100, bytes: 10_000 };

async fn due(store: &dyn Store, second: i64) -> Vec<DeliveryTicket> {
    store.claim_deliveries(&crm(), at(second), 100).await.expect("claimed")
}

async fn settle(store: &dyn Store, ticket: DeliveryTicket, second: i64, verdict: Verdict) {
    let status = if verdict == Verdict::Delivered { 200 } else { 500 };
    let attempt = attempt(ticket.attempts + 1, at(second), status);
    let next = settle_one(store, settlement(ticket, attempt, verdict, SinkState::default())).await.expect("settled");
    assert!(next.is_none(), "what goes next is claimed anew");
}

/// Two of a, one of b, in a batch.
async fn bound(store: &dyn Store) -> DeliveryTicket {
    adopt(store).await;
    let events = vec![event("a", 1, &["crm"]), event("a", 2, &["crm"]), event("b", 3, &["crm"])];
    let tickets = commit(store, vec![], events, 9).await;
    assert_eq!(sent(&tickets), ["evt_a_1", "evt_b_3"]);
    store.bind(&tickets, ROOM).await.expect("bound")
}

fn body(names: &[(&str, u64)]) -> Vec<u8> {
    let bodies: Vec<_> = names.iter().map(|(name, sequence)| event(name, *sequence, &[]).body).collect();
    crate::core::batch::body(bodies.iter().map(|body| &body[..])).to_vec()
}

async fn queue(store: &dyn Store) -> Queue {
    store.queue(&crm()).await.expect("a queue")
}

pub(in crate::store) async fn a_batch_takes_what_waits_behind_its_members(bench: &mut impl Bench) {
    let store = bench.store();
    let batch = bound(store).await;
    assert_eq!(batch.parcel.body, body(&[("a", 1), ("a", 2), ("b", 3)]));
    assert_eq!((batch.parcel.events(), &batch.parcel.id()[..4]), (3, "bat_"));
    commit(store, vec![], vec![event("a", 4, &["crm"])], 9).await;
    assert!(due(store, 10).await.is_empty(), "the next of a lane waits for the batch");
    settle(store, batch, 11, Verdict::Delivered).await;
    assert_eq!(sent(&due(store, 12).await), ["evt_a_4"]);
    assert_eq!((queue(store).await.backlog, queue(store).await.dead), (1, 0));
    let detail = store.event("evt_a_2").await.unwrap().expect("an event");
    assert_eq!((detail.attempts.len(), detail.event.deliveries[0].attempts), (1, 1), "each member shows the attempt");
    assert!(detail.event.deliveries[0].batch.as_deref().is_some_and(|batch| batch.starts_with("bat_")));
}

pub(in crate::store) async fn a_batch_is_the_same_after_a_crash_and_after_a_failure(bench: &mut impl Bench) {
    let batch = bound(bench.store()).await;
    let (id, bytes) = (batch.parcel.id().to_owned(), batch.parcel.body.clone());
    bench.restart();
    let late = settlement(batch, attempt(1, at(9), 200), Verdict::Delivered, SinkState::default());
    assert!(matches!(settle_one(bench.store(), late).await, Err(StoreError::LeaseLost(_))));
    for verdict in [Verdict::RetryAt(at(12)), Verdict::SinkGone("gone".into()), Verdict::Dead("no".into())] {
        let mut again = due(bench.store(), 20).await;
        assert_eq!(again.len(), 1, "one claim for all of them");
        assert_eq!((again[0].parcel.id(), &again[0].parcel.body), (&*id, &bytes));
        settle(bench.store(), again.remove(0), 20, verdict.clone()).await;
        if matches!(verdict, Verdict::SinkGone(_)) {
            assert!(due(bench.store(), 20).await.is_empty(), "held");
            bench.restart();
            bench.store().enable_sink(&crm(), at(20)).await.unwrap();
        }
    }
    assert_eq!((queue(bench.store()).await.backlog, queue(bench.store()).await.dead), (0, 3));
}

pub(in crate::store) async fn a_batch_that_is_split_goes_again_in_the_order_of_its_lanes(bench: &mut impl Bench) {
    let store = bench.store();
    let batch = bound(store).await;
    settle(store, batch, 10, Verdict::Split).await;
    let heads = due(store, 11).await;
    assert_eq!(sent(&heads), ["evt_a_1", "evt_b_3"]);
    assert!(heads.iter().all(|ticket| ticket.is_loose() && ticket.parcel.batch.is_none()));
    let room = BatchRoom { events: 2, ..ROOM };
    let smaller = store.bind(&heads[..1], room).await.expect("bound");
    assert_eq!(smaller.parcel.body, body(&[("a", 1), ("a", 2)]));
    settle(store, smaller, 12, Verdict::Delivered).await;
    let detail = store.event("evt_a_2").await.unwrap().expect("an event");
    assert_eq!(detail.attempts.len(), 2, "the one before is kept");
}

pub(in crate::store) async fn a_batch_keeps_within_its_room(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let events: Vec<_> = (1..=6).map(|sequence| event("a", sequence, &["crm"])).collect();
    let bytes = 1 + 3 * (events[0].body.len() + 1);
    let tickets = commit(store, vec![], events, 9).await;
    let batch = store.bind(&tickets, BatchRoom { events: 100, bytes }).await.expect("bound");
    assert_eq!((batch.parcel.events(), batch.parcel.body.len()), (3, bytes));
    let again = store.bind(&tickets, ROOM).await;
    assert!(matches!(again, Err(StoreError::LeaseLost(_))), "nothing is in two batches");
    settle(store, batch, 10, Verdict::Delivered).await;
    let next = due(store, 11).await;
    let batch = store.bind(&next, BatchRoom { events: 2, ..ROOM }).await.expect("bound");
    assert_eq!(batch.parcel.body, body(&[("a", 4), ("a", 5)]));
}

pub(in crate::store) async fn a_job_that_leaves_takes_nothing_out_of_a_batch(bench: &mut impl Bench) {
    let store = bench.store();
    let batch = bound(store).await;
    commit(store, vec![], vec![event("a", 4, &["crm"])], 0).await;
    store.adopt(&["other".into()], &[crm()], at(5)).await.unwrap();
    settle(store, batch, 6, Verdict::RetryAt(at(7))).await;
    let batch = due(store, 8).await.remove(0);
    assert_eq!(batch.parcel.events(), 3);
    settle(store, batch, 9, Verdict::Split).await;
    assert_eq!((queue(store).await.backlog, queue(store).await.held), (0, 4), "what is taken apart is held");
    store.adopt(&[job()], &[crm()], at(10)).await.unwrap();
    assert_eq!(sent(&due(store, 11).await), ["evt_a_1", "evt_b_3"]);
}

pub(in crate::store) async fn a_member_that_is_dropped_leaves_the_others(bench: &mut impl Bench) {
    let store = bench.store();
    let batch = bound(store).await;
    assert_eq!(store.drop_oldest(&crm(), 1, None, "old", at(9)).await.unwrap(), 0, "what is on its way is let be");
    settle(store, batch, 10, Verdict::RetryAt(at(20))).await;
    assert_eq!(store.drop_oldest(&crm(), 1, None, "old", at(11)).await.unwrap(), 1);
    assert_eq!(sent(&due(store, 12).await), ["evt_a_2", "evt_b_3"]);
    assert_eq!((queue(store).await.backlog, queue(store).await.dead), (2, 1));
}

pub(in crate::store) async fn a_batch_is_retried_whole_and_forgotten_with_its_events(bench: &mut impl Bench) {
    let store = bench.store();
    let batch = bound(store).await;
    settle(store, batch, 10, Verdict::RetryAt(at(500))).await;
    let filter = DeliveryFilter { states: vec![DeliveryState::Waiting], ..DeliveryFilter::default() };
    let member = store.deliveries(&filter).await.unwrap().data.remove(0).delivery.id;
    assert!(matches!(store.retry(member, at(11)).await.unwrap(), crate::store::Retried::Due(_)));
    let batch = due(store, 12).await.remove(0);
    assert_eq!((batch.parcel.events(), batch.attempts), (3, 1));
    settle(store, batch, 13, Verdict::Delivered).await;
    while store.prune(at(1000), 2).await.unwrap() > 0 {}
    assert!(store.event("evt_a_1").await.unwrap().is_none());
}

pub(in crate::store) async fn what_is_held_is_not_dropped_by_a_limit(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    commit(store, vec![], vec![event("a", 1, &["crm"]), event("b", 2, &["crm"])], 0).await;
    store.pause_sink(&crm(), Some(at(3))).await.unwrap();
    assert_eq!(store.drop_oldest(&crm(), 9, None, "old", at(4)).await.unwrap(), 0);
    assert!(queue(store).await.kept);
    store.pause_sink(&crm(), None).await.unwrap();
    commit(store, vec![], vec![event("c", 3, &["crm"])], 0).await;
    assert!(queue(store).await.kept, "what was held is sent");
    for ticket in store.claim_deliveries(&crm(), at(5), 2).await.unwrap() {
        let attempt = attempt(1, at(5), 200);
        settle_one(store, settlement(ticket, attempt, Verdict::Delivered, SinkState::default())).await.unwrap();
    }
    assert!(!queue(store).await.kept, "what came since is not");
}

pub(in crate::store) async fn a_settlement_in_flight_does_not_open_a_breaker_that_was_closed(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let mut tickets = commit(store, vec![], vec![event("a", 1, &["crm"]), event("b", 2, &["crm"])], 9).await;
    let open = Some(crate::core::breaker::Open { probes: 1, probe_at: at(900) });
    let before = SinkState { failures: 6, open, ..SinkState::default() };
    let retry = |ticket| settlement(ticket, attempt(1, at(3), 500), Verdict::RetryAt(at(800)), before.clone());
    settle_one(store, retry(tickets.remove(0))).await.unwrap();
    assert_eq!(store.sink_state(&crm()).await.unwrap().open, open);
    assert!(store.pause_sink(&crm(), None).await.unwrap(), "neither paused nor disabled, but tried now");
    settle_one(store, retry(tickets.remove(0))).await.unwrap();
    let state = store.sink_state(&crm()).await.unwrap();
    assert_eq!((state.open, state.resumes), (None, 1));
}
