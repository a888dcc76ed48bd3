//! Claims, the ledger, and the one transaction.

use crate::core::cursor::CursorState;
use crate::core::job::Fingerprints;
use crate::core::json::parse;
use crate::core::ledger::{Dirty, DirtyWrite, SettleWrite};
use crate::core::names::{Digest, JobName, Key, Scope};
use crate::core::outcome::{Failure, FailureKind, PollOutcome};
use crate::core::page::{Ask, Leaf};
use crate::store::conformance::{
    Bench, adopt, at, changes, claim, commit, complete, event, job, key, narrow, prints, room, row, rows, seal,
};
use crate::store::{PageSeal, PageSeals, PollChanges, PollNote, ScopeState, Seal, Store, StoreError};

pub(in crate::store) async fn a_claimed_job_is_not_claimed_twice(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let ticket = claim(store).await;
    assert!(store.claim_poll(&job(), at(0)).await.unwrap().is_none());
    drop(ticket);
    assert!(store.claim_poll(&job(), at(0)).await.unwrap().is_some(), "a dropped ticket frees its job");
}

pub(in crate::store) async fn a_lost_lease_cannot_commit(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let slow = claim(store).await;
    bench.expire(&job());
    commit(store, vec![row("a", 1)], vec![event("a", 1, &["crm"])], 0).await;
    let late = store.commit_poll(slow, changes(vec![row("a", 9)], vec![]), complete(0), &room(0)).await;
    assert!(matches!(late, Err(StoreError::LeaseLost(_))), "{late:?}");
    let ticket = claim(store).await;
    assert_eq!(rows(store, &ticket, &Scope::default(), &[key("a")]).await, [Some(narrow("a", 1))]);
}

pub(in crate::store) async fn a_lost_lease_cannot_note(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let slow = claim(store).await;
    bench.expire(&job());
    let next = claim(store).await;
    let late = store.note_poll(slow, failed(1)).await;
    assert!(matches!(late, Err(StoreError::LeaseLost(_))), "{late:?}");
    assert!(store.claim_poll(&job(), at(0)).await.unwrap().is_none(), "the claim that overtook it stands");
    drop(next);
    assert_eq!(claim(store).await.record.failures, 0);
}

pub(in crate::store) async fn an_unknown_job_is_refused(bench: &mut impl Bench) {
    let found = bench.store().claim_poll(&JobName::from("nobody"), at(0)).await;
    assert!(matches!(found, Err(StoreError::UnknownJob(_))), "{found:?}");
}

pub(in crate::store) async fn a_commit_is_read_back(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let ticket = claim(store).await;
    assert_eq!(ticket.scopes.len(), 0);
    drop(ticket);
    commit(store, vec![row("a", 1), row("b", 1)], vec![event("a", 1, &["crm"]), event("b", 2, &[])], 0).await;
    check(store).await;
}

pub(in crate::store) async fn a_commit_survives_a_crash(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    let uid = claim(bench.store()).await.uid;
    let events = vec![event("a", 1, &["crm"]), event("b", 2, &[])];
    commit(bench.store(), vec![row("a", 1), row("b", 1)], events, 0).await;
    bench.restart();
    check(bench.store()).await;
    assert_eq!(claim(bench.store()).await.uid, uid);
}

async fn check(store: &dyn Store) {
    let ticket = claim(store).await;
    let state = ScopeState { items: 2, ..complete(2).scope };
    assert_eq!(ticket.scopes[&Scope::default()], state);
    assert_eq!((ticket.record.items, ticket.record.events, ticket.record.failures), (2, 2, 0));
    assert_eq!(ticket.record.outcome.as_deref(), Some("complete"));
    assert_eq!((ticket.record.last_poll, ticket.record.last_success), (Some(at(0)), Some(at(0))));
    let found = store.remembered(&ticket, &Scope::default(), &[key("b"), key("x"), key("a")]).await.unwrap();
    assert_eq!(found, [row("b", 1).remembered, None, row("a", 1).remembered]);
    let jobs = store.jobs().await.unwrap();
    assert_eq!(jobs, [(job(), ticket.record.clone())]);
}

pub(in crate::store) async fn a_value_that_settles_survives_a_crash_and_is_forgotten(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    let settle = |name: &str, polls, keep: bool| SettleWrite {
        key: key(name),
        polls,
        remembered: row(name, 2).remembered.filter(|_| !keep),
    };
    for writes in [vec![settle("a", 1, false), settle("b", 1, false)], vec![settle("a", 2, true), settle("b", 0, true)]]
    {
        let changes = PollChanges { settle: writes, ..changes(vec![], vec![]) };
        bench.store().commit_poll(claim(bench.store()).await, changes, complete(0), &room(0)).await.unwrap();
    }
    bench.restart();
    let ticket = claim(bench.store()).await;
    let state = &ticket.scopes[&Scope::default()];
    assert_eq!((state.settling, state.items), (1, 0));
    assert_eq!(bench.store().settling(&ticket, &Scope::default()).await.unwrap(), [(key("a"), 2)]);
    let pending = bench.store().pending(&ticket, &Scope::default(), &[key("b"), key("a")]).await.unwrap();
    assert_eq!(pending, [None, row("a", 2).remembered]);
}

pub(in crate::store) async fn a_dirty_item_survives_a_crash_and_is_forgotten(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    let known = |number: u8| Dirty { version: Digest([number; 16]), since: at(i64::from(number)) };
    let dirty = |name: &str, number: Option<u8>| DirtyWrite {
        key: key(name),
        listed: number.map(|number| (known(number), row(name, u64::from(number)).remembered.expect("a body"))),
    };
    for writes in [vec![dirty("a", Some(1)), dirty("b", Some(1))], vec![dirty("a", Some(2)), dirty("b", None)]] {
        let changes = PollChanges { dirty: writes, ..changes(vec![], vec![]) };
        bench.store().commit_poll(claim(bench.store()).await, changes, complete(0), &room(0)).await.unwrap();
        assert!(claim(bench.store()).await.scopes[&Scope::default()].dirty);
    }
    bench.restart();
    let ticket = claim(bench.store()).await;
    assert!(ticket.scopes[&Scope::default()].dirty);
    assert_eq!(bench.store().dirty(&ticket, &Scope::default()).await.unwrap(), [(key("a"), known(2))]);
    let listed = bench.store().listed(&ticket, &Scope::default(), &[key("b"), key("a")]).await.unwrap();
    assert_eq!(listed, [None, row("a", 2).remembered]);
    let changes = PollChanges { dirty: vec![dirty("a", None)], ..changes(vec![], vec![]) };
    bench.store().commit_poll(ticket, changes, complete(0), &room(0)).await.unwrap();
    assert!(!claim(bench.store()).await.scopes[&Scope::default()].dirty);
}

pub(in crate::store) async fn rows_come_in_the_order_asked(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let names: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    commit(store, names.iter().map(|name| row(name, 1)).collect(), vec![], 0).await;
    let ticket = claim(store).await;
    // Few keys are looked up, many are read as a range; both with strangers among them, and one asked for twice.
    for asked in [vec!["7", "no", "3", "7"], names.iter().map(String::as_str).rev().chain(["no", "7", "nil"]).collect()]
    {
        let keys: Vec<_> = asked.iter().map(|name| key(name)).collect();
        let expected: Vec<_> = asked.iter().map(|name| name.parse::<u64>().ok().map(|_| narrow(name, 1))).collect();
        assert_eq!(rows(store, &ticket, &Scope::default(), &keys).await, expected);
    }
    assert_eq!(rows(store, &ticket, &Scope::from("{\"x\":1}"), &[key("7")]).await, [None]);
}

pub(in crate::store) async fn sequences_have_no_gap(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    for (events, ends) in [
        (vec![event("a", 2, &[])], 2),
        (vec![event("a", 1, &[]), event("b", 3, &[])], 3),
        (vec![event("a", 1, &[]), event("b", 1, &[])], 1),
        (vec![event("a", 1, &[])], 2),
        (vec![], 1),
    ] {
        let ticket = claim(store).await;
        let refused = store.commit_poll(ticket, changes(vec![row("a", 1)], events), complete(ends), &room(0)).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    }
    assert!(claim(store).await.scopes.is_empty());
    commit(store, vec![], vec![event("a", 1, &[]), event("a", 2, &[])], 0).await;
    commit(store, vec![], vec![event("a", 3, &[])], 0).await;
    assert_eq!(claim(store).await.scopes[&Scope::default()].sequence, 3);
}

pub(in crate::store) async fn a_commit_is_all_or_nothing(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    commit(store, vec![row("a", 1)], vec![event("a", 1, &["crm"])], 0).await;
    // The second event has the id of one that is there already: the last thing to be written is refused.
    let ticket = claim(store).await;
    let mut twice = event("a", 3, &["crm"]);
    twice.id = event("a", 1, &[]).id;
    let all = changes(vec![row("a", 2), row("b", 1)], vec![event("b", 2, &["crm"]), twice]);
    let refused = store.commit_poll(ticket, all, complete(3), &room(9)).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
    let ticket = claim(store).await;
    let found = rows(store, &ticket, &Scope::default(), &[key("a"), key("b")]).await;
    assert_eq!(found, [Some(narrow("a", 1)), None]);
    assert_eq!((ticket.scopes[&Scope::default()].sequence, ticket.record.events), (1, 1));
    assert_eq!(store.events(&Default::default()).await.unwrap().data.len(), 1);
}

pub(in crate::store) async fn the_bodies_of_a_few_that_differ_come_along(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let names = ["a", "b", "c", "d", "e", "f"];
    commit(store, names.iter().map(|name| row(name, 1)).collect(), vec![], 0).await;
    let ticket = claim(store).await;
    let scope = Scope::default();
    let mut items: Vec<_> = names.iter().map(|name| (key(name), narrow(name, 1).raw)).collect();
    items.push((key("new"), Digest::of(b"new")));
    items[1].1 = Digest::of(b"other");
    let found = store.rows(&ticket, &scope, &items).await.unwrap();
    assert_eq!(found.remembered.into_iter().collect::<Vec<_>>(), [(key("b"), row("b", 1).remembered.unwrap())]);
    // A volatile field in a long list would have all of them read for nothing.
    items.iter_mut().for_each(|item| item.1 = Digest::of(b"other"));
    let found = store.rows(&ticket, &scope, &items).await.unwrap();
    assert!(found.remembered.is_empty() && found.rows.len() == 7 && found.rows[6].is_none());
}

pub(in crate::store) async fn what_is_missing_is_found(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    let mut missed = row("b", 1);
    missed.row.missed = 1;
    let mut gone = row("c", 1);
    gone.row.gone = Some(at(0));
    gone.row.missed = 2;
    commit(store, vec![row("a", 1), missed.clone(), gone, row("d", 1)], vec![], 0).await;
    let ticket = claim(store).await;
    let state = &ticket.scopes[&Scope::default()];
    assert_eq!((state.items, state.missing), (3, 1));
    let mut seen = vec![key("a"), key("new"), key("d")];
    seen.sort();
    assert_eq!(store.missing(&ticket, &Scope::default(), seen).await.unwrap(), [missed.row]);
    assert_eq!(store.still_missing(&ticket, &Scope::default()).await.unwrap(), [missed.row]);
    let mut all = store.missing(&ticket, &Scope::default(), vec![]).await.unwrap();
    all.sort_by_key(|row| row.raw);
    let mut expected = [narrow("a", 1), missed.row, narrow("d", 1)];
    expected.sort_by_key(|row| row.raw);
    assert_eq!(all, expected);
    drop(ticket);
    commit(store, vec![row("b", 1)], vec![], 0).await;
    let ticket = claim(store).await;
    assert_eq!(ticket.scopes[&Scope::default()].missing, 0);
    assert!(store.still_missing(&ticket, &Scope::default()).await.unwrap().is_empty());
}

pub(in crate::store) async fn a_body_is_kept_where_only_digests_change(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    commit(store, vec![row("a", 1)], vec![], 0).await;
    let mut spelled = row("a", 1);
    spelled.row.raw = Digest::of(b"another spelling");
    spelled.remembered = None;
    commit(store, vec![spelled.clone()], vec![], 0).await;
    let ticket = claim(store).await;
    assert_eq!(rows(store, &ticket, &Scope::default(), &[key("a")]).await, [Some(spelled.row)]);
    let found = store.remembered(&ticket, &Scope::default(), &[key("a")]).await.unwrap();
    assert_eq!(found, [row("a", 1).remembered]);
}

pub(in crate::store) async fn a_removed_row_leaves_nothing(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    commit(store, vec![row("a", 1), row("b", 1)], vec![], 0).await;
    let ticket = claim(store).await;
    let remove = vec![key("a"), key("stranger")];
    let all = PollChanges { remove, rows: vec![row("c", 1)], ..PollChanges::default() };
    store.commit_poll(ticket, all, complete(0), &room(0)).await.unwrap();
    let ticket = claim(store).await;
    let keys = [key("a"), key("b"), key("c")];
    let found = rows(store, &ticket, &Scope::default(), &keys).await;
    assert_eq!(found, [None, Some(narrow("b", 1)), Some(narrow("c", 1))]);
    assert_eq!(store.remembered(&ticket, &Scope::default(), &[key("a")]).await.unwrap(), [None]);
    assert_eq!(ticket.scopes[&Scope::default()].items, 2);
}

pub(in crate::store) async fn a_part_leaves_the_baseline_open(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    let mut ticket = claim(bench.store()).await;
    let part = changes(vec![row("a", 1)], vec![event("a", 1, &["crm"])]);
    let tickets = bench.store().commit_part(&mut ticket, part, &room(1)).await.unwrap();
    assert_eq!(tickets.len(), 1);
    let open = ScopeState { sequence: 1, items: 1, gap: true, ..ScopeState::default() };
    assert_eq!(ticket.scopes[&Scope::default()], open);
    bench.restart();
    let mut ticket = claim(bench.store()).await;
    assert_eq!(ticket.scopes[&Scope::default()], open);
    let part = changes(vec![row("b", 1)], vec![event("b", 2, &[])]);
    bench.store().commit_part(&mut ticket, part, &room(0)).await.unwrap();
    let last = changes(vec![row("c", 1)], vec![event("c", 3, &[])]);
    bench.store().commit_poll(ticket, last, complete(3), &room(0)).await.unwrap();
    let ticket = claim(bench.store()).await;
    let state = &ticket.scopes[&Scope::default()];
    assert_eq!((state.sequence, state.items, state.baseline), (3, 3, true));
    assert_eq!(ticket.record.events, 3);
}

pub(in crate::store) async fn a_part_of_a_rebaseline_voids_the_baseline(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    let ticket = claim(bench.store()).await;
    let all = changes(vec![row("a", 1)], Vec::new());
    bench.store().commit_poll(ticket, all, complete(0), &room(0)).await.unwrap();

    let mut ticket = claim(bench.store()).await;
    let part = PollChanges { rebaseline: Some(Digest([7; 16])), ..changes(vec![row("a", 2)], Vec::new()) };
    bench.store().commit_part(&mut ticket, part, &room(0)).await.unwrap();
    bench.restart();
    let ticket = claim(bench.store()).await;
    let state = &ticket.scopes[&Scope::default()];
    assert_eq!((state.items, state.baseline, state.seal.clone()), (1, false, None));
    assert!(state.mixed.is_some(), "an edit that is taken back finds rows that are not its own");
    let all = changes(vec![row("a", 1)], Vec::new());
    bench.store().commit_poll(ticket, all, complete(0), &room(0)).await.unwrap();
    assert_eq!(claim(bench.store()).await.scopes[&Scope::default()].mixed, None);
}

pub(in crate::store) async fn a_new_baseline_that_is_closed_forgets_what_it_did_not_read(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    let ticket = claim(bench.store()).await;
    let old = changes(vec![row("a", 1), row("b", 1)], Vec::new());
    bench.store().commit_poll(ticket, old, complete(0), &room(0)).await.unwrap();
    let part = |list, name| PollChanges { rebaseline: Some(Digest([list; 16])), ..changes(vec![row(name, 1)], vec![]) };
    for (list, name) in [(7, "c"), (8, "d"), (8, "b")] {
        let mut ticket = claim(bench.store()).await;
        bench.store().commit_part(&mut ticket, part(list, name), &room(0)).await.unwrap();
        bench.restart();
    }
    let ticket = claim(bench.store()).await;
    let last = PollChanges { closes: true, ..part(8, "e") };
    bench.store().commit_poll(ticket, last, complete(0), &room(0)).await.unwrap();
    let ticket = claim(bench.store()).await;
    let mut left = bench.store().missing(&ticket, &Scope::default(), Vec::new()).await.unwrap();
    let mut read = ["b", "d", "e"].map(|name| row(name, 1).row.key);
    left.sort_by_key(|row| row.key);
    read.sort();
    assert_eq!(left.iter().map(|row| row.key).collect::<Vec<_>>(), read);
    assert_eq!(ticket.scopes[&Scope::default()].items, 3);
}

pub(in crate::store) async fn a_scope_ends_by_itself(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    let (eu, us) = (Scope::from("{\"account\":\"eu\"}"), Scope::from("{\"account\":\"us\"}"));
    let mut ticket = claim(bench.store()).await;
    for (scope, name) in [(&eu, "a"), (&us, "b")] {
        let last = PollChanges { scope: scope.clone(), ..changes(vec![row(name, 1)], vec![event(name, 1, &["crm"])]) };
        let tickets = bench.store().commit_scope(&mut ticket, last, complete(1).scope, &room(1)).await.unwrap();
        assert_eq!(tickets.len(), 1);
        assert_eq!(ticket.scopes[scope], ScopeState { items: 1, ..complete(1).scope });
    }
    // What is said of one leaves the other as it is.
    let prints = Fingerprints { request: Digest::of(b"other"), ..prints() };
    let state = ScopeState { fingerprints: Some(prints.clone()), ..complete(1).scope };
    let last = PollChanges { scope: eu.clone(), ..PollChanges::default() };
    bench.store().commit_scope(&mut ticket, last, state, &room(1)).await.unwrap();
    let note = PollNote { outcome: PollOutcome::Complete, at: at(7), seals: Vec::new(), observations: Vec::new() };
    bench.store().note_poll(ticket, note).await.unwrap();
    bench.store().flush().await.unwrap();
    bench.restart();
    let mut ticket = claim(bench.store()).await;
    assert_eq!(ticket.scopes[&eu].fingerprints, Some(prints));
    assert_eq!(ticket.scopes[&us], ScopeState { items: 1, ..complete(1).scope });
    assert_eq!((ticket.record.items, ticket.record.events, ticket.record.last_poll), (2, 2, Some(at(7))));
    let gap = PollChanges { scope: eu.clone(), ..changes(vec![], vec![event("a", 3, &[])]) };
    let refused = bench.store().commit_scope(&mut ticket, gap, complete(3).scope, &room(0)).await;
    assert!(matches!(refused, Err(StoreError::Refused(_))), "{refused:?}");
}

pub(in crate::store) async fn live_items_are_those_of_complete_baselines(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    assert_eq!(store.live_items(&JobName::from("nobody"), 9).await.unwrap(), None);
    let mut ticket = claim(store).await;
    store.commit_part(&mut ticket, changes(vec![row("a", 1)], vec![]), &room(0)).await.unwrap();
    assert_eq!(store.live_items(&job(), 9).await.unwrap(), None, "a part is no baseline");
    let mut gone = row("b", 1);
    gone.row.gone = Some(at(1));
    let last = changes(vec![gone, row("c", 2)], vec![]);
    store.commit_poll(ticket, last, complete(0), &room(0)).await.unwrap();
    let mut items = store.live_items(&job(), 9).await.unwrap().unwrap();
    items.sort_by_key(|item| item.key.to_string());
    assert_eq!(items, [row("a", 1).remembered.unwrap(), row("c", 2).remembered.unwrap()]);
    assert_eq!(store.live_items(&job(), 1).await.unwrap().unwrap().len(), 1);
}

fn failed(second: i64) -> PollNote {
    let failure = Failure::new(FailureKind::Timeout, "no answer within 30s");
    PollNote { outcome: PollOutcome::Failed(failure), at: at(second), seals: Vec::new(), observations: Vec::new() }
}

pub(in crate::store) async fn notes_count_failures(bench: &mut impl Bench) {
    let store = bench.store();
    adopt(store).await;
    commit(store, vec![row("a", 1)], vec![], 0).await;
    for second in 1..=3 {
        store.note_poll(claim(store).await, failed(second)).await.unwrap();
    }
    let record = claim(store).await.record.clone();
    assert_eq!((record.failures, record.outcome.as_deref()), (3, Some("failed")));
    assert_eq!(record.reason.as_deref(), Some("no answer within 30s"));
    assert_eq!((record.last_poll, record.last_success), (Some(at(3)), Some(at(0))));
    assert_eq!(store.jobs().await.unwrap()[0].1, record);
    let partial = PollNote {
        outcome: PollOutcome::Partial("page 2 failed".into()),
        at: at(4),
        seals: Vec::new(),
        observations: Vec::new(),
    };
    store.note_poll(claim(store).await, partial).await.unwrap();
    let record = claim(store).await.record.clone();
    assert_eq!((record.failures, record.last_success), (0, Some(at(0))), "it read something, and is no success");
    let unchanged =
        PollNote { outcome: PollOutcome::Unchanged, at: at(5), seals: Vec::new(), observations: Vec::new() };
    store.note_poll(claim(store).await, unchanged).await.unwrap();
    let record = claim(store).await.record.clone();
    assert_eq!((record.failures, record.last_success, record.reason), (0, Some(at(5)), None));
}

pub(in crate::store) async fn a_flushed_note_survives_a_crash(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    commit(bench.store(), vec![row("a", 1)], vec![event("a", 1, &[])], 0).await;
    let renewed = Seal { etag: Some("\"2\"".into()), ..seal() };
    let note = PollNote {
        outcome: PollOutcome::Unchanged,
        at: at(9),
        seals: vec![(Scope::default(), renewed.clone())],
        observations: Vec::new(),
    };
    bench.store().note_poll(claim(bench.store()).await, note).await.unwrap();
    assert_eq!(claim(bench.store()).await.scopes[&Scope::default()].seal, Some(renewed.clone()));
    bench.store().flush().await.unwrap();
    bench.restart();
    let ticket = claim(bench.store()).await;
    assert_eq!(ticket.scopes[&Scope::default()].seal, Some(renewed));
    assert_eq!((ticket.record.last_success, ticket.record.events), (Some(at(9)), 1));
}

fn page(number: u8) -> PageSeal {
    let leaf = Leaf { next: Some(Ask::Url(format!("?page={}", number + 1))), items: 1, ..Leaf::default() };
    let seal = Seal { request: Digest([number; 16]), ..seal() };
    PageSeal { seal, leaf, keys: vec![key(&number.to_string())] }
}

async fn page_of(store: &dyn Store, number: u8) -> Option<PageSeal> {
    store.page(&claim(store).await, &Scope::default(), Digest([number; 16])).await.unwrap()
}

/// A complete poll that keeps the seals of some pages and puts others.
async fn commit_pages(store: &dyn Store, keep: &[u8], put: &[u8]) {
    let keep = keep.iter().map(|number| Digest([*number; 16])).collect();
    let pages = Some(PageSeals { keep, put: put.iter().map(|number| page(*number)).collect() });
    let changes = PollChanges { pages, ..PollChanges::default() };
    store.commit_poll(claim(store).await, changes, complete(0), &room(0)).await.unwrap();
}

pub(in crate::store) async fn pages_are_what_the_last_complete_poll_says(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    assert_eq!(page_of(bench.store(), 1).await, None);
    commit_pages(bench.store(), &[], &[1, 2, 3]).await;
    bench.restart();
    assert_eq!(page_of(bench.store(), 2).await, Some(page(2)));
    commit_pages(bench.store(), &[1], &[3, 4]).await;
    let found = [1, 2, 3, 4].map(|number| (number, number != 2));
    for (number, there) in found {
        assert_eq!(page_of(bench.store(), number).await, there.then(|| page(number)), "page {number}");
    }
    // A poll that says nothing of pages leaves them.
    commit(bench.store(), vec![row("a", 1)], vec![], 0).await;
    assert!(page_of(bench.store(), 4).await.is_some());
}

pub(in crate::store) async fn a_cursor_survives_a_crash_and_stays_where_a_part_found_it(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    let value = parse(br#""2026-01-01T00:00:00.10+02:00""#).unwrap();
    let cursor = Box::new(CursorState { print: Digest([3; 16]), value, full: Some(at(1)) });
    let mut ending = complete(0);
    ending.scope.cursor = Some(cursor.clone());
    bench.store().commit_poll(claim(bench.store()).await, changes(vec![], vec![]), ending, &room(0)).await.unwrap();
    let mut ticket = claim(bench.store()).await;
    bench.store().commit_part(&mut ticket, changes(vec![row("a", 1)], vec![]), &room(0)).await.unwrap();
    drop(ticket);
    bench.restart();
    assert_eq!(claim(bench.store()).await.scopes[&Scope::default()].cursor, Some(cursor));
}

pub(in crate::store) async fn a_part_leaves_a_gap_until_a_poll_is_complete(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    commit(bench.store(), vec![row("a", 1)], vec![], 0).await;
    let gap = async |store: &dyn Store| claim(store).await.scopes[&Scope::default()].gap;
    assert!(!gap(bench.store()).await);
    let mut ticket = claim(bench.store()).await;
    bench.store().commit_part(&mut ticket, changes(vec![row("a", 2)], vec![]), &room(0)).await.unwrap();
    drop(ticket);
    bench.restart();
    assert!(gap(bench.store()).await, "the poll never ended");
    commit(bench.store(), vec![], vec![], 0).await;
    assert!(!gap(bench.store()).await);
}

pub(in crate::store) async fn a_uid_outlives_removal(bench: &mut impl Bench) {
    adopt(bench.store()).await;
    commit(bench.store(), vec![row("a", 1)], vec![event("a", 1, &[])], 0).await;
    let uid = claim(bench.store()).await.uid;
    bench.store().adopt(&[JobName::from("other")], &[], at(1)).await.unwrap();
    bench.restart();
    adopt(bench.store()).await;
    let ticket = claim(bench.store()).await;
    assert_eq!((ticket.uid, ticket.scopes[&Scope::default()].sequence), (uid, 1));
    let other = bench.store().claim_poll(&JobName::from("other"), at(0)).await.unwrap().unwrap();
    assert_ne!(other.uid, uid);
    assert_eq!(Key::from("a").digest(), key("a"));
}
