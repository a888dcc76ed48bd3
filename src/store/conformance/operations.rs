//! What a person does: replays, retries, pauses, and the lists that show them.

use crate::core::breaker::Open;
use crate::core::delivery::Verdict;
use crate::core::formats::Wire;
use crate::core::names::{JobName, SinkName};
use crate::core::operate::{DeliveryFilter, DeliveryState, DropFilter, ReplayFilter};
use crate::core::outcome::PollOutcome;
use crate::core::rerender::Rerendered;
use crate::store::conformance::{
    Bench, adopt, at, attempt, changes, claim, commit, complete, crm, event, job, room, sent, settle_one, settlement,
};
use crate::store::{DeliveryTicket, PollNote, Queue, Retried, SinkState, Store};

async fn due(store: &dyn Store, second: i64) -> Vec<DeliveryTicket> {
    store.claim_deliveries(&crm(), at(second), 100).await.expect("claimed")
}

async fn settle(store: &dyn Store, ticket: DeliveryTicket, second: i64, verdict: Verdict) -> Option<DeliveryTicket> {
    let status = if verdict == Verdict::Delivered { 200 } else { 500 };
    let attempt = attempt(ticket.attempts + 1, at(second), status);
    settle_one(store, settlement(ticket, attempt, verdict, SinkState::default())).await.expect("settled")
}

/// Settles a ticket and all that follows it in its lane.
async fn deliver_all(store: &dyn Store, tickets: Vec<DeliveryTicket>, second: i64) {
    for ticket in tickets {
        let mut next = Some(ticket);
        while let Some(ticket) = next {
            next = settle(store, ticket, second, Verdict::Delivered).await;
        }
    }
}

async fn queue(store: &dyn Store) -> Queue {
    let sinks = store.sinks().await.expect("sinks");
    sinks.into_iter().find(|(name, _, _)| *name == crm()).expect("crm").2
}

/// Replays all that a filter names, `limit` at a time: how many.
async fn replay(store: &dyn Store, filter: &ReplayFilter, limit: usize, second: i64) -> u64 {
    let mut next = Some(store.replayable(filter).await.expect("counted").from);
    let mut total = 0;
    while let Some(from) = next {
        let (queued, more) = store.replay(filter, from, limit, at(second)).await.expect("replayed");
        total += queued.values().sum::<u64>();
        next = more;
    }
    total
}

fn of_event(id: &str) -> ReplayFilter {
    ReplayFilter { event: Some(id.to_owned()), ..ReplayFilter::default() }
}

fn in_state(state: DeliveryState) -> ReplayFilter {
    ReplayFilter { states: vec![state], ..ReplayFilter::default() }
}

async fn listed(store: &dyn Store, filter: DeliveryFilter) -> Vec<(String, String, String)> {
    let page = store.deliveries(&filter).await.expect("listed");
    page.data.into_iter().map(|row| (row.event, row.delivery.sink, row.delivery.state)).collect()
}

pub(in crate::store) async fn a_replay_is_a_new_delivery_of_the_same_bytes(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let mut own = event("a", 1, &["crm"]);
    own.deliveries[0].body = Some(bytes::Bytes::from_static(b"{\"text\":\"own\"}"));
    let tickets = commit(store, vec![], vec![own], 9).await;
    settle(store, tickets.into_iter().next().expect("one"), 2, Verdict::Delivered).await;
    let report = store.replayable(&of_event("evt_a")).await.unwrap().report;
    assert_eq!((report.deliveries, report.on_their_way, report.dry_run), (1, 0, true));
    assert!(due(store, 9).await.is_empty(), "counting changes nothing");
    assert_eq!(replay(store, &of_event("evt_a_1"), 9, 10).await, 1);
    assert_eq!(store.next_due(&crm()).await.unwrap(), Some(at(10)), "it is due from now on, not from its first sight");
    assert_eq!(replay(store, &of_event("evt_a_1"), 9, 11).await, 0, "one that has not ended goes anyway");
    assert_eq!(store.replayable(&of_event("evt_a_1")).await.unwrap().report.on_their_way, 1);
    let again = due(store, 10).await.remove(0);
    assert!(again.parcel.replay && again.attempts == 0);
    assert_eq!((again.parcel.event.as_str(), &again.parcel.body[..]), ("evt_a_1", &b"{\"text\":\"own\"}"[..]));
    settle(store, again, 12, Verdict::Delivered).await;
    let shown = store.event("evt_a_1").await.unwrap().unwrap();
    let history: Vec<_> = shown.event.deliveries.iter().map(|it| (it.replay, it.replayed, &*it.state)).collect();
    assert_eq!(history, [(false, Some(at(10)), "delivered"), (true, None, "delivered")]);
    assert_eq!(shown.attempts.len(), 2);
    assert_eq!(queue(store).await, Queue::default());
}

pub(in crate::store) async fn a_replay_stands_behind_its_lane_in_the_order_of_events(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let events = vec![event("a", 1, &["crm"]), event("a", 2, &["crm"])];
    let tickets = commit(store, vec![], events, 9).await;
    deliver_all(store, tickets, 3).await;
    // The first was replayed before, so that its newest delivery has the higher number.
    replay(store, &of_event("evt_a_1"), 9, 4).await;
    deliver_all(store, due(store, 4).await, 5).await;
    let mut flying = commit(store, vec![], vec![event("a", 3, &["crm"])], 9).await;
    assert_eq!(replay(store, &in_state(DeliveryState::Delivered), 1, 6).await, 2);
    assert!(due(store, 99).await.is_empty(), "both wait behind what is on its way");
    let mut order = Vec::new();
    let mut next = flying.pop();
    while let Some(ticket) = next {
        order.push(ticket.parcel.event.to_string());
        next = settle(store, ticket, 7, Verdict::Delivered).await;
    }
    assert_eq!(order, ["evt_a_3", "evt_a_1", "evt_a_2"]);
}

pub(in crate::store) async fn a_replay_of_what_is_dead_leaves_none_dead(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let events = vec![event("a", 1, &["crm"]), event("b", 2, &["crm"]), event("c", 3, &["crm"])];
    let mut tickets = commit(store, vec![], events, 9).await.into_iter();
    for verdict in [Verdict::Dead("no".into()), Verdict::Dead("no".into()), Verdict::Delivered] {
        settle(store, tickets.next().expect("three"), 4, verdict).await;
    }
    let dead = in_state(DeliveryState::Dead);
    assert_eq!(store.replayable(&dead).await.unwrap().report.sinks, [("crm".to_owned(), 2)].into());
    assert_eq!(replay(store, &dead, 1, 5).await, 2);
    assert_eq!(queue(store).await, Queue { backlog: 2, held: 0, dead: 0, oldest: Some(at(1)), kept: false });
    assert_eq!(replay(store, &dead, 9, 6).await, 0, "nothing is replayed twice");
    let mut again = due(store, 6).await;
    assert_eq!(sent(&again), ["evt_a_1", "evt_b_2"]);
    settle(store, again.remove(0), 7, Verdict::Dead("again".into())).await;
    assert_eq!(
        (queue(store).await.dead, replay(store, &dead, 9, 8).await),
        (1, 1),
        "a replay can die, and be replayed"
    );
    store.adopt(&[JobName::from("other")], &[crm()], at(9)).await.unwrap();
    adopt(store).await;
    assert_eq!((queue(store).await.backlog, queue(store).await.dead), (2, 0), "counted anew it is the same");
}

pub(in crate::store) async fn what_can_not_be_replayed_is_left_out(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let mut born = event("a", 1, &["crm", "erp"]);
    born.deliveries[0].dead = Some("the payload failed".into());
    commit(store, vec![], vec![born], 0).await;
    let report = store.replayable(&of_event("evt_a_1")).await.unwrap().report;
    assert_eq!((report.deliveries, report.unsendable, report.on_their_way), (0, 1, 1));
    assert_eq!(replay(store, &of_event("evt_a_1"), 9, 5).await, 0);
    assert_eq!(queue(store).await.dead, 1);
    let none = store.replayable(&of_event("evt_z")).await.unwrap().report;
    assert_eq!((none.deliveries, none.unsendable, none.on_their_way), (0, 0, 0));
}

pub(in crate::store) async fn a_replay_is_filtered(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let events = (1..=4).map(|number| event(&number.to_string(), number, &["crm", "erp"])).collect();
    deliver_all(store, commit(store, vec![], events, 9).await, 5).await;
    let erp = store.claim_deliveries(&SinkName::from("erp"), at(9), 9).await.unwrap();
    deliver_all(store, erp, 9).await;
    let count = async |filter: ReplayFilter| store.replayable(&filter).await.unwrap().report.deliveries;
    let all = ReplayFilter { job: Some("orders".into()), ..ReplayFilter::default() };
    assert_eq!(count(all.clone()).await, 8);
    assert_eq!(count(ReplayFilter { job: Some("stock".into()), ..ReplayFilter::default() }).await, 0);
    assert_eq!(count(ReplayFilter { sink: Some("erp".into()), ..all.clone() }).await, 4);
    let middle = ReplayFilter { since: Some(at(2)), until: Some(at(4)), sink: Some("crm".into()), ..all };
    assert_eq!(count(middle.clone()).await, 2);
    assert_eq!(replay(store, &middle, 9, 20).await, 2);
    assert_eq!(sent(&due(store, 20).await), ["evt_2_2", "evt_3_3"]);
    assert_eq!(count(in_state(DeliveryState::Dead)).await, 0);
}

pub(in crate::store) async fn a_long_replay_goes_in_parts_and_finds_nothing_of_its_own(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let events = (1..=25).map(|number| event(&(number % 3).to_string(), number, &["crm"])).collect();
    deliver_all(store, commit(store, vec![], events, 99).await, 30).await;
    let filter = ReplayFilter { sink: Some("crm".into()), ..ReplayFilter::default() };
    let from = store.replayable(&filter).await.unwrap().from;
    let (first, next) = store.replay(&filter, from, 10, at(31)).await.unwrap();
    assert_eq!(first, [(crm(), 10)].into());
    deliver_all(store, due(store, 31).await, 32).await;
    let mut rest = 0;
    let mut next = next;
    while let Some(from) = next {
        let (queued, more) = store.replay(&filter, from, 10, at(33)).await.unwrap();
        rest += queued.values().sum::<u64>();
        next = more;
    }
    assert_eq!(rest, 15, "what it made itself has ended meanwhile, and is not made again");
}

pub(in crate::store) async fn a_replay_for_a_job_that_left_is_held(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    deliver_all(store, commit(store, vec![], vec![event("a", 1, &["crm"])], 9).await, 2).await;
    store.adopt(&[JobName::from("other")], &[crm()], at(3)).await.unwrap();
    assert_eq!(replay(store, &of_event("evt_a_1"), 9, 4).await, 1);
    assert!(due(store, 9).await.is_empty());
    assert_eq!(queue(store).await, Queue { held: 1, ..Queue::default() });
    adopt(store).await;
    assert_eq!(sent(&due(store, 9).await), ["evt_a_1"]);
}

pub(in crate::store) async fn a_retry_is_due_now_or_a_replay(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let events = vec![event("a", 1, &["crm"]), event("a", 2, &["crm"])];
    let ticket = commit(store, vec![], events, 9).await.remove(0);
    let (first, second) = (ticket.id, ticket.id + 1);
    let refused = async |id| match store.retry(id, at(5)).await.unwrap() {
        Retried::Refused(why) => why,
        other => panic!("{other:?}"),
    };
    assert!(refused(first).await.contains("on its way"));
    assert!(refused(second).await.contains("behind another"));
    assert_eq!(store.retry(999, at(5)).await.unwrap(), Retried::Unknown);
    settle(store, ticket, 5, Verdict::RetryAt(at(900))).await;
    assert!(due(store, 6).await.is_empty());
    store.pause_sink(&crm(), Some(at(5))).await.unwrap();
    assert!(refused(first).await.contains("doorbell resume crm"));
    store.pause_sink(&crm(), None).await.unwrap();
    assert_eq!(store.retry(first, at(6)).await.unwrap(), Retried::Due(crm()));
    let again = due(store, 6).await.remove(0);
    assert_eq!((again.id, again.attempts, again.parcel.replay), (first, 1, false));
    let next = settle(store, again, 7, Verdict::Dead("no".into())).await.expect("the next of the lane");
    let Retried::Replay(sink, replay) = store.retry(first, at(8)).await.unwrap() else { panic!("no replay") };
    assert!(sink == crm() && replay > second);
    assert!(refused(first).await.contains("replayed already"));
    let last = settle(store, next, 9, Verdict::Delivered).await.expect("the replay comes last");
    assert_eq!((last.id, last.parcel.replay), (replay, true));
}

pub(in crate::store) async fn a_paused_sink_is_held_over_restarts(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    let tickets = commit(bench.store(), vec![], vec![event("a", 1, &["crm"]), event("b", 2, &["crm"])], 1).await;
    assert!(bench.store().pause_sink(&crm(), Some(at(3))).await.unwrap());
    assert!(!bench.store().pause_sink(&crm(), Some(at(4))).await.unwrap(), "it is paused already");
    bench.store().release(tickets).await.unwrap();
    assert!(commit(bench.store(), vec![], vec![event("c", 3, &["crm", "erp"])], 9).await.is_empty());
    bench.restart();
    adopt(bench.store()).await;
    let store = bench.store();
    assert_eq!(store.sink_state(&crm()).await.unwrap().paused, Some(at(3)));
    assert!(due(store, 99).await.is_empty());
    assert_eq!(store.next_due(&crm()).await.unwrap(), None);
    assert_eq!(queue(store).await, Queue { held: 3, ..Queue::default() });
    let shown = store.event("evt_a_1").await.unwrap().unwrap().event.deliveries.remove(0);
    assert_eq!((&*shown.state, shown.reason.as_deref()), ("held", Some("the sink is paused")));
    assert_eq!(store.claim_deliveries(&SinkName::from("erp"), at(99), 9).await.unwrap().len(), 1, "others go on");
    store.enable_sink(&crm(), at(100)).await.unwrap();
    assert!(due(store, 100).await.is_empty(), "to enable is not to resume");
    assert!(store.pause_sink(&crm(), None).await.unwrap());
    assert!(!store.pause_sink(&crm(), None).await.unwrap());
    assert_eq!(sent(&due(store, 100).await), ["evt_a_1", "evt_b_2", "evt_c_3"]);
}

pub(in crate::store) async fn an_attempt_in_flight_does_not_resume_a_sink(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let events = vec![event("a", 1, &["crm"]), event("a", 2, &["crm"])];
    let mut tickets = commit(store, vec![], events, 9).await;
    store.pause_sink(&crm(), Some(at(3))).await.unwrap();
    let next = settle(store, tickets.remove(0), 4, Verdict::Delivered).await;
    assert!(next.is_none(), "the next of its lane is held");
    assert_eq!(store.sink_state(&crm()).await.unwrap().paused, Some(at(3)));
    assert_eq!(queue(store).await, Queue { held: 1, ..Queue::default() });
}

pub(in crate::store) async fn a_paused_job_stays_paused_over_polls_and_restarts(bench: &mut impl Bench) {
    async fn paused(store: &dyn Store) -> Option<crate::core::time::Timestamp> {
        let jobs = store.jobs().await.expect("jobs");
        jobs.into_iter().find(|(name, _)| *name == job()).expect("the job").1.paused
    }
    adopt(bench.store()).await;
    let ticket = claim(bench.store()).await;
    assert!(bench.store().pause_job(&job(), Some(at(3))).await.unwrap());
    assert!(!bench.store().pause_job(&job(), Some(at(4))).await.unwrap());
    // Polls by hand, one of which began before the pause.
    bench.store().commit_poll(ticket, changes(vec![], vec![]), complete(0), &room(0)).await.unwrap();
    assert_eq!(paused(bench.store()).await, Some(at(3)));
    let ticket = claim(bench.store()).await;
    assert_eq!(ticket.record.paused, Some(at(3)));
    let note = PollNote { outcome: PollOutcome::Unchanged, at: at(5), seals: Vec::new(), observations: Vec::new() };
    bench.store().note_poll(ticket, note).await.unwrap();
    bench.store().flush().await.unwrap();
    bench.restart();
    adopt(bench.store()).await;
    assert_eq!(paused(bench.store()).await, Some(at(3)));
    assert!(bench.store().pause_job(&job(), None).await.unwrap());
    assert_eq!(paused(bench.store()).await, None);
    assert!(bench.store().pause_job(&JobName::from("nobody"), None).await.is_err());
}

pub(in crate::store) async fn deliveries_are_listed_by_state(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let events = vec![event("a", 1, &["crm"]), event("a", 2, &["crm"]), event("b", 3, &["crm", "erp"])];
    let mut tickets = commit(store, vec![], events, 9).await;
    settle(store, tickets.pop().expect("two"), 4, Verdict::Dead("no".into())).await;
    store.pause_sink(&SinkName::from("erp"), Some(at(4))).await.unwrap();
    let by = |states: &[DeliveryState]| DeliveryFilter { states: states.to_vec(), ..DeliveryFilter::default() };
    let row = |event: &str, sink: &str, state: &str| (event.to_owned(), sink.to_owned(), state.to_owned());
    use DeliveryState::{Dead, Delivered, Due, Held, Waiting};
    let everything = vec![
        row("evt_b_3", "erp", "held"),
        row("evt_b_3", "crm", "dead"),
        row("evt_a_2", "crm", "waiting"),
        row("evt_a_1", "crm", "due"),
    ];
    assert_eq!(listed(store, by(&[])).await, everything);
    assert_eq!(listed(store, by(&[Held, Dead, Due, Waiting, Delivered])).await, everything);
    assert_eq!(listed(store, by(&[Due])).await, everything[3..]);
    assert_eq!(listed(store, by(&[Waiting])).await, everything[2..3]);
    assert_eq!(listed(store, by(&[Held])).await, everything[..1]);
    assert_eq!(listed(store, by(&[Delivered])).await, []);
    assert_eq!(replay(store, &in_state(Dead), 9, 5).await, 1);
    assert_eq!(listed(store, by(&[Dead])).await, [], "what was replayed needs nobody");
    assert_eq!(listed(store, by(&[])).await.len(), 5, "and is kept");
    let page = store.deliveries(&DeliveryFilter { limit: Some(1), ..by(&[Due]) }).await.unwrap();
    let replayed = &page.data[0];
    assert!(replayed.delivery.replay && page.next.is_some());
    assert_eq!((&*replayed.job, &*replayed.key, &*replayed.kind), ("orders", "b", "orders.updated"));
    assert_eq!((replayed.sequence, replayed.timestamp), (3, at(3)));
}

pub(in crate::store) async fn deliveries_are_paged_and_filtered(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let events = (1..=5).map(|number| event(&number.to_string(), number, &["crm", "erp"])).collect();
    deliver_all(store, commit(store, vec![], events, 3).await, 9).await;
    for states in [vec![], vec![DeliveryState::Due, DeliveryState::Delivered]] {
        let filter = DeliveryFilter { states, limit: Some(4), ..DeliveryFilter::default() };
        let (mut seen, mut after) = (Vec::new(), None);
        loop {
            let page = store.deliveries(&DeliveryFilter { after, ..filter.clone() }).await.unwrap();
            seen.extend(page.data.into_iter().map(|row| row.delivery.id));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(seen.len(), 10);
        assert!(seen.windows(2).all(|pair| pair[0] > pair[1]), "{seen:?}");
        let ids = |rows: Vec<(String, String, String)>| rows.into_iter().map(|(id, ..)| id).collect::<Vec<_>>();
        let middle = DeliveryFilter { since: Some(at(2)), until: Some(at(4)), ..filter.clone() };
        assert_eq!(ids(listed(store, middle.clone()).await), ["evt_3_3", "evt_3_3", "evt_2_2", "evt_2_2"]);
        let crm = DeliveryFilter { sink: Some("crm".into()), ..middle.clone() };
        assert_eq!(ids(listed(store, crm).await), ["evt_3_3", "evt_2_2"]);
        assert!(listed(store, DeliveryFilter { job: Some("stock".into()), ..filter.clone() }).await.is_empty());
        assert_eq!(listed(store, DeliveryFilter { job: Some("orders".into()), ..filter }).await.len(), 4);
    }
}

pub(in crate::store) async fn what_was_replayed_is_not_skipped(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let events = (1..=3).map(|number| event("a", number, &["crm"])).collect();
    let mut first = commit(store, vec![], events, 9).await;
    let second = settle(store, first.remove(0), 4, Verdict::Dead("no".into())).await.expect("the second");
    let third = settle(store, second, 4, Verdict::Dead("no".into())).await.expect("the third");
    let told = |ticket: &DeliveryTicket| ticket.parcel.skipped.ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(told(&third), ["evt_a_1", "evt_a_2"]);
    store.release(vec![third]).await.unwrap();
    assert_eq!(replay(store, &of_event("evt_a_1"), 9, 5).await, 1);
    let third = due(store, 6).await.remove(0);
    assert_eq!(told(&third), ["evt_a_2"], "the first comes after all");
    let again = settle(store, third, 7, Verdict::Delivered).await.expect("the replay");
    assert_eq!((again.parcel.event.as_str(), told(&again)), ("evt_a_1", vec![]), "it does not name itself");
}

pub(in crate::store) async fn a_resume_closes_the_breaker(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let ticket = commit(store, vec![], vec![event("a", 1, &["crm"])], 9).await.remove(0);
    let open = Some(Open { probes: 2, probe_at: at(90) });
    let state = SinkState { failures: 7, failing_since: Some(at(1)), open, ..SinkState::default() };
    let retry = settlement(ticket, attempt(1, at(2), 503), Verdict::RetryAt(at(9)), state);
    settle_one(store, retry).await.unwrap();
    store.pause_sink(&crm(), Some(at(3))).await.unwrap();
    assert_eq!(store.sink_state(&crm()).await.unwrap().open, open, "a pause leaves it as it is");
    store.pause_sink(&crm(), None).await.unwrap();
    assert_eq!(store.sink_state(&crm()).await.unwrap().open, None);
}

pub(in crate::store) async fn what_was_dropped_can_be_replayed(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    commit(store, vec![], vec![event("a", 1, &["crm"]), event("b", 2, &["crm"])], 0).await;
    assert_eq!(store.drop_oldest(&crm(), 1, None, "too many", at(3)).await.unwrap(), 1);
    assert_eq!(queue(store).await.dead, 1);
    assert_eq!(replay(store, &in_state(DeliveryState::Dead), 9, 4).await, 1);
    assert_eq!(queue(store).await.dead, 0);
    assert_eq!(sent(&due(store, 99).await), ["evt_b_2", "evt_a_1"]);
}

pub(in crate::store) async fn what_was_born_dead_goes_with_a_body_that_was_rendered_anew(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let mut born = event("a", 1, &["crm"]);
    born.deliveries[0].dead = Some("the payload failed".into());
    born.deliveries[0].body = Some(bytes::Bytes::new());
    let ticket = commit(store, vec![], vec![born, event("a", 2, &["crm"])], 9).await.remove(0);
    let filter = ReplayFilter { sink: Some("crm".into()), ..ReplayFilter::default() };
    let from = store.replayable(&filter).await.unwrap().from;
    let (found, more) = store.renderable(&filter, from, 9).await.unwrap();
    assert!(found.len() == 1 && more.is_none(), "only what has ended");
    let one = &found[0];
    let kept = (one.kept.id.as_str(), one.kept.job.as_str(), one.kept.sink.as_str(), &one.kept.body[..]);
    assert_eq!(kept, ("evt_a_1", "orders", "crm", &br#"{"key":"a","sequence":1}"#[..]));
    let rendered = Rerendered { body: Some(bytes::Bytes::from_static(b"[1]")), wire: Wire::Own };
    let queued = store.replay_rendered(vec![(one.delivery, rendered.clone())], at(5)).await.unwrap();
    assert_eq!(queued, [(crm(), 1)].into());
    assert!(store.replay_rendered(vec![(one.delivery, rendered)], at(5)).await.unwrap().is_empty(), "once");
    assert_eq!((queue(store).await.backlog, queue(store).await.dead), (2, 0));
    let again = settle(store, ticket, 6, Verdict::Delivered).await.expect("the replay goes last");
    assert_eq!((&again.parcel.body[..], again.parcel.wire, again.parcel.replay), (&b"[1]"[..], Wire::Own, true));
    settle(store, again, 7, Verdict::Delivered).await;
    assert_eq!(replay(store, &filter, 9, 8).await, 2, "from now on it can be sent as it is");
}

fn held_of(sink: &str) -> DropFilter {
    DropFilter { sink: Some(sink.to_owned()), ..DropFilter::default() }
}

pub(in crate::store) async fn what_is_held_is_dropped_by_a_persons_word(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let events = (1..=6).map(|number| event(if number % 2 == 0 { "a" } else { "b" }, number, &["crm", "erp"]));
    let mut tickets = commit(store, vec![], events.collect(), 9).await;
    let report = store.droppable(&held_of("crm")).await.unwrap();
    assert_eq!((report.deliveries, report.on_their_way), (0, 0), "what may go is not held");
    assert!(store.drop_held(&held_of("crm"), "no", at(7)).await.unwrap().is_empty());
    store.pause_sink(&crm(), Some(at(7))).await.unwrap();
    let claimed = tickets.remove(0);
    store.release(tickets).await.unwrap();
    let old = DropFilter { until: Some(at(6)), job: Some("orders".into()), ..held_of("crm") };
    let report = store.droppable(&old).await.unwrap();
    assert_eq!((report.deliveries, report.on_their_way, report.sinks), (4, 1, [("crm".to_owned(), 4)].into()));
    assert_eq!(store.drop_held(&old, "dropped by hand", at(8)).await.unwrap(), [(crm(), 4)].into());
    assert!(store.drop_held(&old, "dropped by hand", at(8)).await.unwrap().is_empty());
    assert_eq!((queue(store).await.held, queue(store).await.dead), (2, 4));
    let erp = store.queue(&SinkName::from("erp")).await.unwrap();
    assert_eq!((erp.backlog, erp.dead), (6, 0), "another's");
    let shown = store.event("evt_a_2").await.unwrap().unwrap().event.deliveries.remove(0);
    assert_eq!((shown.state.as_str(), shown.reason.as_deref()), ("dead", Some("dropped by hand")));
    assert!(store.untold(9).await.unwrap().is_empty(), "who said so needs not be told");
    store.pause_sink(&crm(), None).await.unwrap();
    settle(store, claimed, 9, Verdict::Delivered).await;
    let rest = due(store, 9).await;
    assert_eq!(sent(&rest), ["evt_a_6"]);
    assert_eq!(rest[0].parcel.skipped.ids.len(), 2, "it says which went before it");
    assert_eq!(replay(store, &in_state(DeliveryState::Dead), 9, 9).await, 4);
    adopt(store).await;
    assert_eq!((queue(store).await.backlog, queue(store).await.dead), (5, 0), "counted anew it is the same");
}

pub(in crate::store) async fn what_a_job_that_left_has_held_can_be_dropped(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    commit(store, vec![], (1..=700).map(|number| event("a", number, &["crm"])).collect(), 0).await;
    store.adopt(&[JobName::from("other")], &[crm()], at(3)).await.unwrap();
    let of_job = DropFilter { job: Some("orders".into()), ..DropFilter::default() };
    let mut parts = Vec::new();
    loop {
        let dropped = store.drop_held(&of_job, "dropped by hand", at(4)).await.unwrap();
        if dropped.is_empty() {
            break;
        }
        parts.extend(dropped.into_values());
    }
    assert_eq!(parts, [500, 200], "others' commits go in between");
    assert_eq!(queue(store).await, Queue { dead: 700, ..Queue::default() });
}
