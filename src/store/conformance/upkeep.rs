//! Pruning, closing, and looking back.

use crate::core::config::Rename;
use crate::core::delivery::Verdict;
use crate::core::names::{JobName, Scope, SinkName};
use crate::core::view::EventFilter;
use crate::store::conformance::{
    Bench, adopt, at, attempt, changes, claim, commit, complete, crm, event, job, key, room, row, rows, settle_one,
    settlement,
};
use crate::store::{SinkState, Store, StoreError};

async fn ids(store: &dyn Store, filter: EventFilter) -> Vec<String> {
    store.events(&filter).await.expect("events").data.into_iter().map(|event| event.id).collect()
}

async fn prune(store: &dyn Store, before: i64) -> u64 {
    let mut pruned = 0;
    loop {
        match store.prune(at(before), 2).await.expect("pruned") {
            0 => return pruned,
            some => pruned += some,
        }
    }
}

pub(in crate::store) async fn pruning_keeps_what_has_not_ended(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let names = ["delivered", "dead", "due", "waiting", "half", "silent"];
    let mut events: Vec<_> = names.iter().zip(1..).map(|(name, number)| event(name, number, &["crm"])).collect();
    events[3] = event("due", 4, &["crm"]);
    events[4] = event("half", 5, &["crm", "erp"]);
    events[5] = event("silent", 6, &[]);
    for ticket in commit(store, vec![], events, 9).await {
        let verdict = match ticket.parcel.key.as_str() {
            "delivered" | "half" => Verdict::Delivered,
            "dead" => Verdict::Dead("no".into()),
            _ => continue,
        };
        let number = ticket.attempts + 1;
        settle_one(store, settlement(ticket, attempt(number, at(10), 200), verdict, SinkState::default()))
            .await
            .unwrap();
    }
    assert_eq!(prune(store, 5).await, 0, "nothing has ended by then");
    assert_eq!(prune(store, 99).await, 3);
    assert_eq!(ids(store, EventFilter::default()).await, ["evt_half_5", "evt_due_4", "evt_due_3"]);
    let queues = store.sinks().await.unwrap();
    assert_eq!(queues.iter().map(|(_, _, queue)| (queue.backlog, queue.dead)).collect::<Vec<_>>(), [(2, 0), (1, 0)]);
    store.adopt(&[], &[], at(20)).await.unwrap();
    assert_eq!(prune(store, 99).await, 0, "what is held has not ended");
}

pub(in crate::store) async fn pruning_keeps_what_ended_lately(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let ticket = commit(store, vec![], vec![event("a", 1, &["crm"])], 9).await.remove(0);
    settle_one(store, settlement(ticket, attempt(1, at(500), 200), Verdict::Delivered, SinkState::default()))
        .await
        .unwrap();
    assert_eq!(prune(store, 400).await, 0);
    assert_eq!(prune(store, 600).await, 1);
    assert_eq!(ids(store, EventFilter::default()).await, [""; 0]);
}

pub(in crate::store) async fn a_number_is_not_given_twice_after_a_prune(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let mut last = 0;
    for round in 1..=3 {
        let ticket = commit(store, vec![], vec![event("a", round, &["crm"])], 9).await.remove(0);
        assert!(ticket.id > last, "{} after {last}", ticket.id);
        last = ticket.id;
        let settled = settlement(ticket, attempt(1, at(10), 200), Verdict::Delivered, SinkState::default());
        settle_one(store, settled).await.unwrap();
        assert_eq!(prune(store, 99).await, 1);
    }
}

pub(in crate::store) async fn pruning_forgets_items_that_are_gone(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let mut gone: Vec<_> = ["a", "b", "c", "d"].iter().map(|name| row(name, 1)).collect();
    for (write, second) in gone.iter_mut().zip([1, 2, 3, 50]) {
        write.row.gone = Some(at(second));
    }
    gone.push(row("here", 1));
    commit(store, gone, vec![], 0).await;
    assert_eq!(prune(store, 10).await, 3);
    let ticket = claim(store).await;
    let keys = [key("a"), key("c"), key("d"), key("here")];
    let found = rows(store, &ticket, &Scope::default(), &keys).await;
    assert_eq!(found.iter().map(Option::is_some).collect::<Vec<_>>(), [false, false, true, true]);
    assert_eq!(ticket.record.items, 1);
}

pub(in crate::store) async fn pruning_forgets_the_ledger_of_a_job_that_left(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let five = (0..5).map(|number| row(&number.to_string(), 1)).collect();
    commit(store, five, vec![event("0", 1, &[])], 0).await;
    store.adopt(&[JobName::from("other")], &[], at(100)).await.unwrap();
    assert_eq!(prune(store, 90).await, 1, "the event, not yet the ledger");
    assert_eq!(prune(store, 101).await, 5);
    adopt(store).await;
    let ticket = claim(store).await;
    let scope = &ticket.scopes[&Scope::default()];
    assert_eq!((scope.sequence, scope.items, scope.baseline, scope.seal.clone()), (1, 0, false, None));
    assert_eq!(rows(store, &ticket, &Scope::default(), &[key("0")]).await, [None]);
}

pub(in crate::store) async fn a_poll_that_ends_after_its_job_left_is_held(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let ticket = claim(store).await;
    store.adopt(&[], &[crm()], at(10)).await.unwrap();
    let found = changes(vec![row("a", 1)], vec![event("a", 1, &["crm"])]);
    assert!(store.commit_poll(ticket, found, complete(1), &room(9)).await.unwrap().is_empty());
    let queue = store.queue(&crm()).await.unwrap();
    assert_eq!((queue.backlog, queue.held), (0, 1));
    adopt(store).await;
    assert_eq!(store.claim_deliveries(&crm(), at(20), 9).await.unwrap().len(), 1, "it goes once its job is back");
}

pub(in crate::store) async fn a_closed_store_says_so(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let ticket = claim(store).await;
    store.ping().await.unwrap();
    store.close().await.unwrap();
    assert!(matches!(store.ping().await, Err(StoreError::Closed)));
    assert!(matches!(store.close().await, Err(StoreError::Closed)));
    assert!(matches!(store.jobs().await, Err(StoreError::Closed)));
    assert!(matches!(store.claim_deliveries(&crm(), at(0), 1).await, Err(StoreError::Closed)));
    let ending = crate::store::conformance::complete(0);
    let late = store.commit_poll(ticket, Default::default(), ending, &Default::default()).await;
    assert!(matches!(late, Err(StoreError::Closed)));
}

pub(in crate::store) async fn events_are_paged_both_ways(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    commit(store, vec![], (1..=5).map(|number| event("a", number, &[])).collect(), 0).await;
    for (oldest_first, order) in [(false, [5, 4, 3, 2, 1]), (true, [1, 2, 3, 4, 5])] {
        let mut filter = EventFilter { oldest_first, limit: Some(2), ..EventFilter::default() };
        let mut seen = Vec::new();
        loop {
            let page = store.events(&filter).await.unwrap();
            seen.extend(page.data.iter().map(|event| event.sequence));
            filter.after = page.next;
            if page.next.is_none() {
                break;
            }
        }
        assert_eq!(seen, order);
    }
    assert_eq!(ids(store, EventFilter { limit: Some(0), ..EventFilter::default() }).await.len(), 1);
    assert_eq!(ids(store, EventFilter { limit: Some(u32::MAX), ..EventFilter::default() }).await.len(), 5);
}

pub(in crate::store) async fn events_are_filtered(bench: &mut impl Bench) {
    let store = bench.store();
    store.adopt(&[job(), JobName::from("other")], &[SinkName::from("crm")], at(0)).await.unwrap();
    commit(store, vec![], vec![event("a", 1, &["crm"]), event("b", 2, &[]), event("a", 3, &[])], 0).await;
    let some = |text: &str| Some(text.to_owned());
    let all = EventFilter::default();
    for (filter, expected) in [
        (EventFilter { job: some("orders"), ..all.clone() }, vec!["evt_a_3", "evt_b_2", "evt_a_1"]),
        (EventFilter { job: some("other"), ..all.clone() }, vec![]),
        (EventFilter { job: some("nobody"), ..all.clone() }, vec![]),
        (EventFilter { key: some("a"), ..all.clone() }, vec!["evt_a_3", "evt_a_1"]),
        (EventFilter { change: some("created"), ..all.clone() }, vec![]),
        (EventFilter { change: some("updated"), since: Some(at(2)), ..all.clone() }, vec!["evt_a_3", "evt_b_2"]),
    ] {
        assert_eq!(ids(store, filter.clone()).await, expected, "{filter:?}");
    }
    let event = store.events(&all).await.unwrap().data.remove(2);
    assert_eq!((event.job.as_str(), event.key.as_str(), event.change.as_str()), ("orders", "a", "updated"));
    assert_eq!((event.kind.as_str(), event.scope, event.timestamp), ("orders.updated", None, at(1)));
    assert_eq!((event.deliveries[0].sink.as_str(), event.deliveries[0].state.as_str()), ("crm", "due"));
}

pub(in crate::store) async fn an_event_is_found_by_the_beginning_of_its_id(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    commit(store, vec![], vec![event("abc", 1, &[]), event("abd", 2, &[]), event("abd_2", 3, &[])], 0).await;
    for (id, found) in [
        ("evt_abc", Some("evt_abc_1")),
        ("evt_abd_2", Some("evt_abd_2")),
        ("evt_ab", None),
        ("evt_x", None),
        ("", None),
        ("%", None),
    ] {
        let event = store.event(id).await.unwrap();
        assert_eq!(event.map(|detail| detail.event.id).as_deref(), found, "{id}");
    }
}

fn renamed() -> Vec<Rename> {
    vec![Rename { old: job(), new: JobName::from("sales") }]
}

async fn adopt_sales(store: &dyn Store) -> Result<(), StoreError> {
    store.adopt_renamed(&["sales".into()], &[crm()], &renamed(), at(5)).await
}

pub(in crate::store) async fn a_renamed_job_takes_over_its_state_once(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    let uid = claim(bench.store()).await.uid;
    let waiting = commit(bench.store(), vec![row("a", 1)], vec![event("a", 1, &["crm"])], 0).await;
    assert!(waiting.is_empty());
    for _ in 0..2 {
        let store = bench.store();
        adopt_sales(store).await.unwrap();
        let ticket = store.claim_poll(&"sales".into(), at(6)).await.unwrap().unwrap();
        assert_eq!((ticket.uid, ticket.record.items, ticket.record.events), (uid, 1, 1));
        assert_eq!(ticket.scopes[&Scope::default()].sequence, 1);
        drop(ticket);
        let standings = store.standings().await.unwrap();
        let names: Vec<_> = standings.jobs.iter().map(|job| (job.name.as_str(), job.in_config, job.waiting)).collect();
        assert_eq!(names, [("sales", true, 1)]);
        bench.restart();
    }
    let store = bench.store();
    assert_eq!(store.claim_deliveries(&crm(), at(7), 9).await.unwrap().len(), 1, "its deliveries are not held");
}

pub(in crate::store) async fn a_poll_under_way_can_not_commit_under_the_former_name(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    commit(store, vec![row("a", 1)], vec![], 0).await;
    let under_way = claim(store).await;
    adopt_sales(store).await.unwrap();
    let late = store.commit_poll(under_way, changes(vec![row("b", 1)], vec![]), complete(0), &room(0)).await;
    assert!(matches!(late, Err(StoreError::LeaseLost(_))), "{late:?}");
    let ticket = store.claim_poll(&"sales".into(), at(6)).await.unwrap().unwrap();
    assert_eq!(ticket.record.items, 1);
}

pub(in crate::store) async fn a_job_with_a_past_takes_over_no_other(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    commit(store, vec![row("a", 1)], vec![], 0).await;
    store.adopt(&["sales".into()], &[crm()], at(2)).await.unwrap();
    // A name that was never read is no past.
    adopt_sales(store).await.unwrap();
    store.adopt(&[job(), "sales".into()], &[crm()], at(3)).await.unwrap();
    commit(store, vec![row("a", 2)], vec![], 0).await;
    let before = store.standings().await.unwrap();
    let refused = adopt_sales(store).await.unwrap_err();
    assert!(matches!(refused, StoreError::TwoPasts { .. }), "{refused:?}");
    assert!(refused.to_string().contains("take `rename` out"), "{refused}");
    assert_eq!(store.standings().await.unwrap(), before, "nothing changed");
}
