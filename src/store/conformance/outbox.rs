//! The queue of deliveries: order, claims, and what holds them.

use bytes::Bytes;

use crate::core::breaker::Open;
use crate::core::delivery::Verdict;
use crate::core::event::NewEvent;
use crate::core::names::{EventId, JobName, SinkName};
use crate::core::skipped::{SKIPPED_MAX, Skipped};
use crate::store::conformance::{
    Bench, adopt, at, attempt, changes, claim, commit, complete, crm, event, job, room, sent, settle_one, settlement,
};
use crate::store::{DeliveryTicket, Queue, Settlement, SinkState, Store, StoreError};

async fn due(store: &dyn Store, second: i64) -> Vec<DeliveryTicket> {
    store.claim_deliveries(&crm(), at(second), 100).await.expect("claimed")
}

async fn settle(store: &dyn Store, ticket: DeliveryTicket, second: i64, verdict: Verdict) -> Option<DeliveryTicket> {
    let status = if verdict == Verdict::Delivered { 200 } else { 500 };
    let attempt = attempt(ticket.attempts + 1, at(second), status);
    settle_one(store, settlement(ticket, attempt, verdict, SinkState::default())).await.expect("settled")
}

async fn queue(store: &dyn Store) -> Queue {
    let sinks = store.sinks().await.expect("sinks");
    sinks.into_iter().find(|(name, _, _)| *name == crm()).expect("crm").2
}

pub(in crate::store) async fn a_commit_hands_over_as_many_tickets_as_there_is_room(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let events = (1..=5).map(|number| event(&number.to_string(), number, &["crm", "erp"])).collect();
    let tickets = commit(store, vec![], events, 2).await;
    assert_eq!(sent(&tickets), ["evt_1_1", "evt_2_2"]);
    let parcel = &tickets[0].parcel;
    assert_eq!((parcel.job.clone(), parcel.sequence, parcel.seen_at), (job(), 1, at(1)));
    assert_eq!(parcel.body, event("1", 1, &[]).body);
    // What is read back is what was handed over.
    let rest = due(store, 10).await;
    assert_eq!(sent(&rest), ["evt_3_3", "evt_4_4", "evt_5_5"]);
    assert_eq!(rest[0].parcel.body, event("3", 3, &[]).body);
    assert_eq!((rest[0].parcel.key.as_str(), rest[0].parcel.kind.as_str()), ("3", "orders.updated"));
    assert_eq!((rest[0].parcel.sequence, rest[0].parcel.seen_at, rest[0].attempts), (3, at(3), 0));
    assert!(due(store, 10).await.is_empty(), "nothing is claimed twice");
    assert_eq!(store.next_due(&crm()).await.unwrap(), None);
    assert_eq!(store.next_due(&SinkName::from("erp")).await.unwrap(), Some(at(1)));
}

pub(in crate::store) async fn large_bodies_are_claimed_a_few_at_once(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let body = Bytes::from(vec![b'x'; 3 << 20]);
    let large = |number: u64| NewEvent { body: body.clone(), ..event(&number.to_string(), number, &["crm"]) };
    commit(store, vec![], (1..=5).map(large).collect(), 0).await;
    let some = due(store, 10).await;
    assert_eq!(sent(&some), ["evt_1_1", "evt_2_2", "evt_3_3"]);
    assert_eq!(store.next_due(&crm()).await.unwrap(), Some(at(4)), "what is left is due");
    assert_eq!(sent(&due(store, 10).await), ["evt_4_4", "evt_5_5"]);
}

pub(in crate::store) async fn a_lane_goes_one_after_the_other(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let events = vec![event("a", 1, &["crm"]), event("a", 2, &["crm"]), event("b", 3, &["crm"])];
    let mut tickets = commit(store, vec![], events, 9).await;
    assert_eq!(sent(&tickets), ["evt_a_1", "evt_b_3"]);
    commit(store, vec![], vec![event("a", 4, &["crm"])], 9).await;
    let first = tickets.remove(0);
    assert!(settle(store, first, 5, Verdict::RetryAt(at(20))).await.is_none(), "one that is retried keeps its place");
    assert!(due(store, 10).await.is_empty());
    let first = due(store, 20).await.remove(0);
    assert_eq!((first.parcel.event.as_str(), first.attempts), ("evt_a_1", 1));
    let second = settle(store, first, 21, Verdict::Dead("too often".into())).await.expect("the next of the lane");
    assert_eq!(second.parcel.event.as_str(), "evt_a_2");
    let third = settle(store, second, 22, Verdict::Delivered).await.expect("the next of the lane");
    assert_eq!(third.parcel.event.as_str(), "evt_a_4");
    assert!(settle(store, third, 23, Verdict::Delivered).await.is_none());
    assert_eq!(queue(store).await, Queue { backlog: 1, held: 0, dead: 1, oldest: Some(at(3)), kept: false });
}

pub(in crate::store) async fn the_order_of_a_lane_survives_a_crash(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    let events = (1..=4).map(|number| event("a", number, &["crm"])).collect();
    let mut next = commit(bench.store(), vec![], events, 9).await;
    let mut order = Vec::new();
    while let Some(ticket) = next.pop() {
        bench.restart();
        drop(ticket);
        let mut again = due(bench.store(), 10).await;
        assert_eq!(again.len(), 1, "one of a lane at a time");
        let ticket = again.remove(0);
        order.push(ticket.parcel.event.to_string());
        next.extend(settle(bench.store(), ticket, 10, Verdict::Delivered).await);
    }
    assert_eq!(order, ["evt_a_1", "evt_a_2", "evt_a_3", "evt_a_4"]);
}

pub(in crate::store) async fn a_crash_voids_claims(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    let old = commit(bench.store(), vec![], vec![event("a", 1, &["crm"])], 9).await.remove(0);
    let poll = claim(bench.store()).await;
    bench.restart();
    let again = due(bench.store(), 10).await;
    assert_eq!(sent(&again), ["evt_a_1"]);
    let late =
        settle_one(bench.store(), settlement(old, attempt(1, at(9), 200), Verdict::Delivered, SinkState::default()))
            .await;
    assert!(matches!(late, Err(StoreError::LeaseLost(_))), "{late:?}");
    let late = bench.store().commit_poll(poll, changes(vec![], vec![]), complete(1), &room(0)).await;
    assert!(matches!(late, Err(StoreError::LeaseLost(_))), "{late:?}");
    assert_eq!(queue(bench.store()).await.backlog, 1);
}

pub(in crate::store) async fn fewest_attempts_go_first(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let events = (1..=4).map(|number| event(&number.to_string(), number, &["crm"])).collect();
    let tickets = commit(store, vec![], events, 2).await;
    for (ticket, retry) in tickets.into_iter().zip([at(8), at(7)]) {
        settle(store, ticket, 6, Verdict::RetryAt(retry)).await;
    }
    assert_eq!(store.next_due(&crm()).await.unwrap(), Some(at(3)));
    let one = store.claim_deliveries(&crm(), at(10), 1).await.unwrap();
    assert_eq!(sent(&one), ["evt_3_3"]);
    assert_eq!(sent(&due(store, 10).await), ["evt_4_4", "evt_2_2", "evt_1_1"]);
}

pub(in crate::store) async fn a_retry_waits_for_its_moment(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let ticket = commit(store, vec![], vec![event("a", 1, &["crm"])], 9).await.remove(0);
    settle(store, ticket, 2, Verdict::RetryAt(at(60))).await;
    assert!(due(store, 59).await.is_empty());
    assert_eq!(store.next_due(&crm()).await.unwrap(), Some(at(60)));
    let again = due(store, 60).await;
    assert_eq!((again.len(), again[0].attempts), (1, 1));
    assert_eq!(again[0].parcel.body, event("a", 1, &[]).body, "the same bytes on every attempt");
}

pub(in crate::store) async fn a_gone_sink_holds_everything_until_it_is_enabled(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    let events = vec![event("a", 1, &["crm", "erp"]), event("a", 2, &["crm"]), event("b", 3, &["crm"])];
    let mut tickets = commit(bench.store(), vec![], events, 1).await;
    let gone = Verdict::SinkGone("the receiver answered 410".into());
    assert!(settle(bench.store(), tickets.remove(0), 4, gone).await.is_none());
    commit(bench.store(), vec![], vec![event("c", 4, &["crm"])], 9).await;
    bench.restart();
    let store = bench.store();
    assert!(due(store, 99).await.is_empty());
    assert_eq!(store.next_due(&crm()).await.unwrap(), None);
    assert_eq!(queue(store).await, Queue { backlog: 0, held: 4, dead: 0, oldest: None, kept: false });
    let state = store.sink_state(&crm()).await.unwrap();
    assert_eq!(state.disabled.as_deref(), Some("the receiver answered 410"));
    let shown = store.event("evt_b_3").await.unwrap().unwrap().event.deliveries;
    assert_eq!((shown[0].state.as_str(), shown[0].reason.as_deref()), ("held", state.disabled.as_deref()));
    assert_eq!(store.claim_deliveries(&SinkName::from("erp"), at(99), 9).await.unwrap().len(), 1, "others go on");
    store.enable_sink(&crm(), at(100)).await.unwrap();
    assert_eq!(store.sink_state(&crm()).await.unwrap().disabled, None);
    let freed = due(store, 100).await;
    assert_eq!(sent(&freed), ["evt_b_3", "evt_c_4", "evt_a_1"], "the first of each lane");
    let first = freed.into_iter().nth(2).expect("three");
    assert_eq!(first.attempts, 1);
    let next = settle(store, first, 101, Verdict::Delivered).await;
    assert_eq!(next.expect("the lane goes on").parcel.event.as_str(), "evt_a_2");
}

pub(in crate::store) async fn an_attempt_in_flight_does_not_enable_a_sink(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let events = vec![event("a", 1, &["crm"]), event("b", 2, &["crm"]), event("b", 3, &["crm"])];
    let mut tickets = commit(store, vec![], events, 9).await;
    settle(store, tickets.remove(0), 4, Verdict::SinkGone("gone".into())).await;
    let next = settle(store, tickets.remove(0), 5, Verdict::Delivered).await;
    assert!(next.is_none(), "the next of its lane is held");
    assert_eq!(store.sink_state(&crm()).await.unwrap().disabled.as_deref(), Some("gone"));
    assert_eq!(queue(store).await, Queue { held: 2, ..Queue::default() });
}

pub(in crate::store) async fn a_delivery_can_be_born_dead(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let mut born = event("a", 1, &["crm"]);
    born.deliveries[0].dead = Some("the payload failed: `x` is none".into());
    let tickets = commit(store, vec![], vec![born, event("a", 2, &["crm"])], 9).await;
    assert_eq!(sent(&tickets), ["evt_a_2"], "a dead one is in nobody's way");
    let shown = store.event("evt_a_1").await.unwrap().unwrap().event.deliveries.remove(0);
    assert_eq!((shown.state.as_str(), shown.attempts), ("dead", 0));
    assert_eq!(shown.reason.as_deref(), Some("the payload failed: `x` is none"));
    assert_eq!(queue(store).await, Queue { backlog: 1, held: 0, dead: 1, oldest: Some(at(2)), kept: false });
}

pub(in crate::store) async fn a_sink_that_left_the_config_is_held(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    commit(store, vec![], vec![event("a", 1, &["crm"]), event("a", 2, &["crm"])], 0).await;
    store.adopt(&[job()], &[], at(5)).await.unwrap();
    assert!(due(store, 10).await.is_empty());
    assert_eq!(queue(store).await, Queue { held: 2, ..Queue::default() });
    assert!(commit(store, vec![], vec![event("b", 3, &["crm", "new"])], 9).await.is_empty());
    adopt(store).await;
    assert_eq!(sent(&due(store, 10).await), ["evt_a_1", "evt_b_3"]);
    assert_eq!(queue(store).await, Queue { backlog: 3, held: 0, dead: 0, oldest: Some(at(1)), kept: false });
}

pub(in crate::store) async fn a_job_that_left_the_config_is_held_in_order(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let events = vec![event("a", 1, &["crm"]), event("a", 2, &["crm"]), event("b", 3, &["crm"])];
    let mut flying = commit(store, vec![], events, 1).await;
    store.adopt(&[JobName::from("other")], &[crm()], at(5)).await.unwrap();
    assert!(due(store, 10).await.is_empty());
    assert_eq!(queue(store).await, Queue { held: 3, ..Queue::default() });
    let next = settle(store, flying.remove(0), 6, Verdict::Delivered).await;
    assert!(next.is_none(), "what was on its way may end, the next is held");
    assert_eq!(queue(store).await, Queue { held: 2, ..Queue::default() });
    store.adopt(&[job()], &[crm()], at(7)).await.unwrap();
    assert_eq!(queue(store).await, Queue { backlog: 2, held: 0, dead: 0, oldest: Some(at(2)), kept: false });
    let mut again = due(store, 10).await;
    assert_eq!(sent(&again), ["evt_a_2", "evt_b_3"]);
    settle(store, again.remove(0), 11, Verdict::Delivered).await;
}

pub(in crate::store) async fn a_released_claim_can_be_claimed_again(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let tickets = commit(store, vec![], vec![event("a", 1, &["crm"])], 9).await;
    store.release(tickets).await.unwrap();
    let again = due(store, 10).await;
    assert_eq!((sent(&again), again[0].attempts), (vec!["evt_a_1".to_owned()], 0));
}

pub(in crate::store) async fn attempts_are_kept(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let ticket = commit(store, vec![], vec![event("a", 1, &["crm"])], 9).await.remove(0);
    settle(store, ticket, 2, Verdict::RetryAt(at(7))).await;
    let shown = store.event("evt_a_1").await.unwrap().unwrap().event.deliveries.remove(0);
    assert_eq!((shown.state.as_str(), shown.attempts, shown.due), ("due", 1, Some(at(7))));
    assert_eq!(shown.reason.as_deref(), Some("the receiver answered 500"));
    let ticket = due(store, 7).await.remove(0);
    let state = SinkState { last_success: Some(at(8)), not_before: Some(at(30)), ..SinkState::default() };
    settle_one(store, settlement(ticket, attempt(2, at(8), 204), Verdict::Delivered, state.clone())).await.unwrap();
    assert_eq!(store.sink_state(&crm()).await.unwrap(), state);
    let detail = store.event("evt_a_1").await.unwrap().unwrap();
    let kept: Vec<_> = detail.attempts.iter().map(|it| (it.number, it.at, it.status, it.took_ms)).collect();
    assert_eq!(kept, [(1, at(2), Some(500), 20), (2, at(8), Some(204), 20)]);
    assert_eq!(detail.attempts[0].answer.as_deref(), Some("answer 500"));
    assert_eq!(detail.attempts[1].reason, None);
    let timing = detail.attempts[0].timing.expect("phases are kept");
    assert_eq!((timing.dns_ms, timing.connect_ms, timing.first_byte_ms), (Some(1.5), None, Some(12.0)));
    let headers: Vec<_> = detail.attempts[0].request_headers.iter().collect();
    assert_eq!(headers, [(&"webhook-id".to_owned(), &"evt_1".to_owned()), (&"x".to_owned(), &"a, b".to_owned())]);
    let shown = &detail.event.deliveries[0];
    assert_eq!((shown.state.as_str(), shown.attempts, shown.reason.clone()), ("delivered", 2, None));
    assert_eq!(detail.body.get().as_bytes(), event("a", 1, &[]).body);
}

pub(in crate::store) async fn settlements_of_a_group_stand_each_for_itself(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let events =
        vec![event("a", 1, &["crm"]), event("b", 2, &["crm"]), event("c", 3, &["crm"]), event("a", 4, &["crm"])];
    let mut tickets = commit(store, vec![], events, 9).await.into_iter();
    let (a, b, c) = (tickets.next().unwrap(), tickets.next().unwrap(), tickets.next().unwrap());
    let overtaken = DeliveryTicket { attempts: 7, ..b };
    let state = SinkState { failures: 1, last_success: Some(at(5)), ..SinkState::default() };
    let group = vec![
        Settlement { ticket: a, attempt: attempt(1, at(5), 200), verdict: Verdict::Delivered },
        Settlement { ticket: overtaken, attempt: attempt(8, at(5), 200), verdict: Verdict::Delivered },
        Settlement { ticket: c, attempt: attempt(1, at(5), 500), verdict: Verdict::RetryAt(at(9)) },
    ];
    let mut settled = store.settle(group.into(), state.clone()).await.unwrap().into_iter();
    let next = settled.next().unwrap().unwrap().expect("what stood behind it");
    assert_eq!(sent(&[next]), ["evt_a_4"]);
    assert!(matches!(settled.next(), Some(Err(StoreError::LeaseLost(_)))));
    assert!(matches!(settled.next(), Some(Ok(None))));
    assert_eq!(store.sink_state(&crm()).await.unwrap(), state);
    assert_eq!(queue(store).await.backlog, 3);
}

pub(in crate::store) async fn a_410_in_a_group_holds_what_comes_behind_the_others(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let events = vec![event("a", 1, &["crm"]), event("b", 2, &["crm"]), event("a", 3, &["crm"])];
    let mut tickets = commit(store, vec![], events, 9).await.into_iter();
    let (a, b) = (tickets.next().unwrap(), tickets.next().unwrap());
    let group = vec![
        Settlement { ticket: b, attempt: attempt(1, at(5), 410), verdict: Verdict::SinkGone("gone".into()) },
        Settlement { ticket: a, attempt: attempt(1, at(5), 200), verdict: Verdict::Delivered },
    ];
    let settled = store.settle(group.into(), SinkState::default()).await.unwrap();
    assert!(settled.iter().all(|settled| matches!(settled, Ok(None))), "{settled:?}");
    assert_eq!(store.sink_state(&crm()).await.unwrap().disabled.as_deref(), Some("gone"));
    assert_eq!((queue(store).await.held, due(store, 10).await.len()), (2, 0));
}

pub(in crate::store) async fn queues_are_counted(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let events = (1..=6).map(|number| event(&(number % 2).to_string(), number, &["crm", "erp"])).collect();
    let mut tickets = commit(store, vec![], events, 9).await;
    assert_eq!(queue(store).await, Queue { backlog: 6, held: 0, dead: 0, oldest: Some(at(1)), kept: false });
    settle(store, tickets.remove(0), 7, Verdict::Delivered).await;
    settle(store, tickets.remove(0), 7, Verdict::Dead("no".into())).await;
    assert_eq!(queue(store).await, Queue { backlog: 4, held: 0, dead: 1, oldest: Some(at(3)), kept: false });
    let names: Vec<_> =
        store.sinks().await.unwrap().into_iter().map(|(name, _, queue)| (name, queue.backlog)).collect();
    assert_eq!(names, [(crm(), 4), (SinkName::from("erp"), 6)]);
}

pub(in crate::store) async fn without_a_lane_nothing_waits(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let loose = |sequence| {
        let mut event = event("a", sequence, &["crm"]);
        event.deliveries[0].lane = None;
        event
    };
    let tickets = commit(store, vec![], vec![loose(1), loose(2)], 9).await;
    assert_eq!(sent(&tickets), ["evt_a_1", "evt_a_2"]);
}

pub(in crate::store) async fn a_sink_of_its_own_body_gets_it(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let mut own = event("a", 1, &["crm", "erp"]);
    own.deliveries[0].body = Some(Bytes::from_static(b"{\"text\":\"a changed\"}"));
    let handed = commit(store, vec![], vec![own], 9).await;
    assert_eq!(handed[0].parcel.body, "{\"text\":\"a changed\"}");
    store.release(handed).await.unwrap();
    assert_eq!(due(store, 9).await[0].parcel.body, "{\"text\":\"a changed\"}");
    let other = store.claim_deliveries(&SinkName::from("erp"), at(9), 9).await.unwrap();
    assert_eq!(other[0].parcel.body, event("a", 1, &[]).body);
}

pub(in crate::store) async fn retries_can_be_claimed_by_themselves(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let events = (1..=5).map(|number| event(&number.to_string(), number, &["crm"])).collect();
    let mut tickets = commit(store, vec![], events, 3).await;
    let third = tickets.pop().expect("three");
    for (ticket, retry) in tickets.into_iter().zip([at(9), at(8)]) {
        settle(store, ticket, 6, Verdict::RetryAt(retry)).await;
    }
    settle(store, third, 6, Verdict::RetryAt(at(50))).await;
    let one = store.claim_retries(&crm(), at(10), 1).await.unwrap();
    assert_eq!(sent(&one), ["evt_2_2"], "due the longest");
    settle(store, one.into_iter().next().unwrap(), 10, Verdict::RetryAt(at(11))).await;
    assert_eq!(sent(&store.claim_retries(&crm(), at(12), 9).await.unwrap()), ["evt_1_1", "evt_2_2"]);
    assert!(store.claim_retries(&crm(), at(12), 9).await.unwrap().is_empty(), "nothing is claimed twice");
    assert_eq!(sent(&due(store, 12).await), ["evt_4_4", "evt_5_5"]);
}

pub(in crate::store) async fn the_oldest_are_dropped_and_the_next_of_their_lanes_go(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let events = vec![event("a", 1, &["crm"]), event("b", 2, &["crm"]), event("a", 3, &["crm"])];
    commit(store, vec![], events, 0).await;
    assert_eq!(store.drop_oldest(&crm(), 2, None, "too many", at(5)).await.unwrap(), 2);
    assert_eq!(queue(store).await, Queue { backlog: 1, held: 0, dead: 2, oldest: Some(at(3)), kept: false });
    assert_eq!(store.queue(&crm()).await.unwrap(), queue(store).await);
    let shown = store.event("evt_a_1").await.unwrap().unwrap().event.deliveries.remove(0);
    assert_eq!((shown.state.as_str(), shown.reason.as_deref()), ("dead", Some("too many")), "kept and listed");
    let next = due(store, 6).await;
    assert_eq!(sent(&next), ["evt_a_3"]);
    assert_eq!(next[0].parcel.skipped, Skipped { ids: vec!["evt_a_1".into()], more: 0 });
    assert_eq!(store.drop_oldest(&SinkName::from("nobody"), 9, None, "too many", at(5)).await.unwrap(), 0);
}

pub(in crate::store) async fn what_is_claimed_is_not_dropped(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let events = vec![event("a", 1, &["crm"]), event("a", 2, &["crm"]), event("a", 3, &["crm"])];
    let flying = commit(store, vec![], events, 1).await.remove(0);
    assert_eq!(store.drop_oldest(&crm(), 1, None, "too many", at(5)).await.unwrap(), 1);
    assert!(due(store, 6).await.is_empty(), "the lane still waits for the one on its way");
    let next = settle(store, flying, 7, Verdict::Delivered).await.expect("the next that is left");
    assert_eq!((next.parcel.event.as_str(), next.parcel.skipped.ids.clone()), ("evt_a_3", vec!["evt_a_2".into()]));
    assert_eq!(queue(store).await, Queue { backlog: 1, held: 0, dead: 1, oldest: Some(at(3)), kept: false });
}

pub(in crate::store) async fn only_what_is_old_is_dropped(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let events = (1..=5).map(|number| event(&number.to_string(), number, &["crm"])).collect();
    commit(store, vec![], events, 0).await;
    assert_eq!(store.drop_oldest(&crm(), 9, Some(at(3)), "too old", at(5)).await.unwrap(), 2);
    assert_eq!(store.drop_oldest(&crm(), 9, Some(at(3)), "too old", at(5)).await.unwrap(), 0);
    assert_eq!(sent(&due(store, 6).await), ["evt_3_3", "evt_4_4", "evt_5_5"]);
}

pub(in crate::store) async fn the_dead_of_a_lane_are_told_once(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    let dead = SKIPPED_MAX as u64 + 3;
    let events = (1..=dead + 2).map(|number| event("a", number, &["crm"])).collect();
    commit(bench.store(), vec![], events, 0).await;
    let store = bench.store();
    let mut next = due(store, 10).await;
    for _ in 0..dead {
        let ticket = next.pop().expect("the next of the lane");
        next.extend(settle(store, ticket, 11, Verdict::Dead("no".into())).await);
    }
    let ids: Vec<EventId> = (4..=dead).map(|number| EventId::from(format!("evt_a_{number}").as_str())).collect();
    let told = Skipped { ids, more: 3 };
    assert_eq!(next[0].parcel.skipped, told);
    bench.restart();
    let store = bench.store();
    let ticket = due(store, 12).await.remove(0);
    assert_eq!(ticket.parcel.skipped, told, "over a restart, too");
    let next = settle(store, ticket, 12, Verdict::Delivered).await.expect("the last");
    assert_eq!(next.parcel.skipped, Skipped::default(), "it has been told");
}

pub(in crate::store) async fn an_open_breaker_survives_a_crash(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    let ticket = commit(bench.store(), vec![], vec![event("a", 1, &["crm"])], 9).await.remove(0);
    let open = Some(Open { probes: 2, probe_at: at(90) });
    let state = SinkState { failures: 7, failing_since: Some(at(1)), open, ..SinkState::default() };
    let retry = settlement(ticket, attempt(1, at(2), 503), Verdict::RetryAt(at(9)), state.clone());
    settle_one(bench.store(), retry).await.unwrap();
    bench.restart();
    assert_eq!(bench.store().sink_state(&crm()).await.unwrap(), state);
    bench.store().enable_sink(&crm(), at(10)).await.unwrap();
    let enabled = SinkState { resumes: 1, ..SinkState::default() };
    assert_eq!(bench.store().sink_state(&crm()).await.unwrap(), enabled);
}
