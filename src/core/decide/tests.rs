//! Random histories of a vendor through the decider and a ledger in memory: the promises that need no I/O.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::core::job::Changes;
use crate::core::names::SinkName;
use crate::core::path::JsonPath;
use crate::core::sink::Route;
use crate::core::template::Condition;

const MEMBERS: [&str; 7] = ["before", "after", "change", "changed", "key", "job", "scope"];

/// A job whose documents are `{"data": [{"id": …, "v": …, "noise": …}]}`.
fn job(change: impl FnOnce(&mut Job)) -> Arc<Job> {
    let mut job = Job {
        items: Some(JsonPath::parse("$.data[*]").unwrap()),
        key: vec![JsonPath::parse("$.id").unwrap()],
        send_to: vec![Route::to(SinkName::from("crm"))],
        ..crate::core::job::plain("orders")
    };
    change(&mut job);
    Arc::new(job)
}

/// A ledger, the events that came of it, and a receiver that folds them.
#[derive(Default)]
struct World {
    rows: BTreeMap<KeyDigest, (Row, Remembered)>,
    sequence: u64,
    baseline: bool,
    old_rules: Option<Rules>,
    events: Vec<NewEvent>,
    noted: Option<Arc<Noted>>,
    settling: BTreeMap<KeyDigest, (u32, Remembered)>,
}

impl World {
    /// One complete poll of a list of items, committed.
    fn poll(&mut self, job: &Arc<Job>, list: &[String]) -> Vec<NewEvent> {
        let decided = self.decide(job, list);
        self.commit(decided)
    }

    fn decide(&self, job: &Arc<Job>, list: &[String]) -> Decided {
        let body = Bytes::from(format!("{{\"data\":[{}]}}", list.join(",")));
        let items = crate::core::extract::extract(job, &body).unwrap();
        let kept = self.baseline.then(|| job.fingerprints.clone());
        let mut decider = Decider::new(Start {
            job: job.clone(),
            sinks: Vec::new(),
            uid: JobUid([7; 16]),
            scope: Scope::default(),
            sequence: self.sequence,
            phase: Phase::of(job, kept.as_ref(), self.baseline, false),
            old_rules: self.old_rules.clone(),
            now: Timestamp(1_000),
            noted: self.noted.clone(),
            dirty: Arc::default(),
            settling: Arc::new(self.settling.iter().map(|(key, (polls, _))| (*key, *polls)).collect()),
        });
        let rows: Vec<Option<Row>> = items.iter().map(|item| self.row(item.key_digest)).collect();
        let mut differing = decider.examine(&items, &rows).unwrap();
        for item in &mut differing {
            item.pending = self.settling.get(&item.key.digest()).map(|(_, pending)| pending.clone());
        }
        let remembered = differing.iter().map(|item| self.remembered(item.row)).collect();
        decider.decide(differing, remembered).unwrap();
        let seen: BTreeSet<KeyDigest> = items.iter().map(|item| item.key_digest).collect();
        let missing = self.rows.values().map(|(row, _)| *row).filter(|row| row.is_live() && !seen.contains(&row.key));
        decider.unsettle_unseen(|key| seen.contains(&key));
        let gone = decider.miss(missing.collect());
        let remembered = gone.iter().map(|row| self.remembered(Some(*row))).collect();
        decider.delete(gone, remembered).unwrap();
        decider.take()
    }

    fn row(&self, key: KeyDigest) -> Option<Row> {
        self.rows.get(&key).map(|(row, _)| *row)
    }

    fn remembered(&self, row: Option<Row>) -> Option<Remembered> {
        self.rows.get(&row?.key).map(|(_, remembered)| remembered.clone())
    }

    fn commit(&mut self, decided: Decided) -> Vec<NewEvent> {
        for key in &decided.remove {
            self.rows.remove(key);
        }
        for write in decided.rows.into_iter().chain(decided.idle) {
            let remembered = write.remembered.or_else(|| self.remembered(Some(write.row)));
            self.rows.insert(write.row.key, (write.row, remembered.expect("a row has a body")));
        }
        for SettleWrite { key, polls, remembered } in decided.settle {
            match (polls, remembered, self.settling.get_mut(&key)) {
                (0, ..) => drop(self.settling.remove(&key)),
                (polls, Some(pending), _) => drop(self.settling.insert(key, (polls, pending))),
                (polls, None, Some(kept)) => kept.0 = polls,
                (_, None, None) => panic!("a value that was never there"),
            }
        }
        let events: Vec<NewEvent> = decided.events.into_iter().map(|(_, event)| event).collect();
        self.sequence += events.len() as u64;
        self.baseline = true;
        self.events.extend(events.iter().cloned());
        events
    }

    /// What a receiver holds that puts on created, updated and restored, and removes on deleted.
    fn fold(&self, mut held: BTreeMap<String, Json>) -> BTreeMap<String, Json> {
        for event in &self.events {
            let envelope = parse(&event.body).unwrap();
            let after = envelope.pointer("/data/after").unwrap();
            match event.change {
                Change::Deleted => held.remove(event.key.as_str()),
                _ => held.insert(event.key.to_string(), after.clone()),
            };
        }
        held
    }
}

fn item(id: u8, value: u8) -> String {
    format!("{{\"id\":{id},\"v\":{value}}}")
}

fn list(state: &BTreeMap<u8, u8>) -> Vec<String> {
    state.iter().map(|(id, value)| item(*id, *value)).collect()
}

fn held(state: &BTreeMap<u8, u8>) -> BTreeMap<String, Json> {
    state.iter().map(|(id, value)| (id.to_string(), parse(item(*id, *value).as_bytes()).unwrap())).collect()
}

fn kinds(events: &[NewEvent]) -> Vec<(&str, &str)> {
    events.iter().map(|event| (event.change.as_str(), event.key.as_str())).collect()
}

#[test]
fn s3_the_first_poll_is_silent_and_the_second_is_not() {
    let job = job(|_| {});
    let mut world = World::default();
    assert!(world.poll(&job, &[item(1, 1), item(2, 1)]).is_empty());
    let events = world.poll(&job, &[item(1, 2), item(2, 1), item(3, 1)]);
    assert_eq!(kinds(&events), [("updated", "1"), ("created", "3")]);
    assert_eq!(events.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn s3_a_baseline_that_goes_on_after_an_interruption_takes_over_what_changed_meanwhile() {
    let (job, mut world) = (job(|_| ()), World::default());
    world.poll(&job, &[item(1, 1), item(2, 1)]);
    // As after the first chunk of a baseline: rows, but no complete poll.
    world.baseline = false;
    assert_eq!(kinds(&world.poll(&job, &[item(1, 2), item(2, 1)])), []);
    let back = world.poll(&job, &[item(1, 1), item(2, 1)]);
    assert_eq!(kinds(&back), [("updated", "1")]);
    let before = parse(&back[0].body).unwrap().pointer("/data/before").unwrap().clone();
    assert_eq!(before, parse(item(1, 2).as_bytes()).unwrap());
}

#[test]
fn first_emit_says_each_item_of_the_first_poll() {
    let job = job(|job| job.first = First::Emit);
    assert_eq!(kinds(&World::default().poll(&job, &[item(1, 1), item(2, 1)])), [("created", "1"), ("created", "2")]);
}

#[test]
fn s4_an_item_is_deleted_after_two_complete_polls_without_it_and_restored_when_it_is_back() {
    let job = job(|_| {});
    let mut world = World::default();
    world.poll(&job, &[item(1, 1), item(2, 1)]);
    assert!(world.poll(&job, &[item(1, 1)]).is_empty());
    assert_eq!(kinds(&world.poll(&job, &[item(1, 1)])), [("deleted", "2")]);
    assert!(world.poll(&job, &[item(1, 1)]).is_empty(), "once only");
    assert_eq!(kinds(&world.poll(&job, &[item(1, 1), item(2, 5)])), [("restored", "2")]);
}

#[test]
fn s4_an_item_that_is_back_after_one_poll_was_never_away() {
    let job = job(|_| {});
    let mut world = World::default();
    let both = [item(1, 1), item(2, 1)];
    world.poll(&job, &both);
    for _ in 0..3 {
        assert!(world.poll(&job, &both[..1]).is_empty());
        assert!(world.poll(&job, &both).is_empty());
    }
}

#[test]
fn s7_a_to_b_to_a_is_two_events_with_two_ids() {
    let job = job(|_| {});
    let mut world = World::default();
    for value in [1, 2, 1, 2, 1] {
        world.poll(&job, &[item(1, value)]);
    }
    let ids: BTreeSet<_> = world.events.iter().map(|event| event.id.clone()).collect();
    assert_eq!((world.events.len(), ids.len()), (4, 4));
}

#[test]
fn no_id_is_used_twice_when_an_item_was_forgotten_without_a_word() {
    let (job, mut world) = (job(|_| ()), World::default());
    world.poll(&job, &[item(1, 1), item(2, 1)]);
    world.poll(&job, &[item(1, 2), item(2, 1)]);
    // A silent baseline of another selection does not find item 1, and the next poll of the old one does.
    let forgotten = world.rows.keys().copied().find(|key| world.rows[key].1.key.as_str() == "1");
    world.rows.remove(&forgotten.unwrap());
    world.poll(&job, &[item(1, 2), item(2, 1)]);
    assert_eq!(kinds(&world.events), [("updated", "1"), ("created", "1")]);
    assert_ne!(world.events[0].id, world.events[1].id);
}

#[test]
fn no_id_is_used_twice_when_events_were_kept_back() {
    let condition = Condition::compile("after.v > 5", &MEMBERS).unwrap();
    let (job, mut world) = (job(|job| job.when = Some(condition)), World::default());
    for values in [&[1, 2, 3, 9][..], &[2, 3, 9]] {
        for value in values {
            world.poll(&job, &[item(1, *value)]);
        }
        world.rows.clear();
    }
    assert_eq!(kinds(&world.events), [("updated", "1"), ("updated", "1")]);
    assert_ne!(world.events[0].id, world.events[1].id);
}

#[test]
fn a_repeated_poll_gives_the_same_events() {
    let job = job(|_| {});
    let mut world = World::default();
    world.poll(&job, &[item(1, 1), item(2, 1)]);
    let (one, two) = (world.decide(&job, &[item(1, 2), item(3, 1)]), world.decide(&job, &[item(1, 2), item(3, 1)]));
    let bytes = |decided: &Decided| decided.events.iter().map(|(_, event)| event.body.clone()).collect::<Vec<_>>();
    let ids = |decided: &Decided| decided.events.iter().map(|(_, event)| event.id.clone()).collect::<Vec<_>>();
    assert_eq!(bytes(&one), bytes(&two));
    assert_eq!(ids(&one), ids(&two));
}

#[test]
fn what_is_ignored_is_no_event_and_no_transaction() {
    let job = job(|job| job.rules.ignore = vec![JsonPath::parse("$.v").unwrap()]);
    let mut world = World::default();
    world.poll(&job, &[item(1, 1)]);
    let decided = world.decide(&job, &[item(1, 2)]);
    assert!(decided.events.is_empty() && decided.rows.is_empty());
    assert_eq!(decided.idle.len(), 1);
}

fn silences(decided: &Decided) -> Vec<(Silence, Seen)> {
    decided.observations.iter().map(|seen| (seen.silence, seen.seen.clone())).collect()
}

fn pointers(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

#[test]
fn a_field_that_changes_with_every_poll_is_noted_once_an_hour_and_stays_idle() {
    let job = job(|job| job.rules.ignore = vec![JsonPath::parse("$.v").unwrap()]);
    let mut world = World { noted: Some(Arc::default()), ..World::default() };
    world.poll(&job, &[item(1, 1), item(2, 1)]);
    let decided = world.decide(&job, &[item(1, 2), item(2, 1)]);
    let ignored = Seen { ignored: pointers("/v"), ..Seen::default() };
    assert_eq!(silences(&decided), [(Silence::Ignored, ignored)]);
    assert!(decided.events.is_empty() && decided.rows.is_empty());
    assert_eq!(decided.idle.len(), 1);
    world.commit(decided);
    let decided = world.decide(&job, &[item(1, 3), item(2, 1)]);
    assert_eq!((silences(&decided), decided.idle.len()), (vec![], 1));
}

#[test]
fn a_list_of_many_noisy_items_is_looked_at_in_several_polls() {
    let job = job(|job| job.rules.ignore = vec![JsonPath::parse("$.v").unwrap()]);
    let mut world = World { noted: Some(Arc::default()), ..World::default() };
    let many = |value| (0..150).map(|id| item(id, value)).collect::<Vec<_>>();
    world.poll(&job, &many(1));
    let mut seen = Vec::new();
    for value in 2..5 {
        let decided = world.decide(&job, &many(value));
        seen.push(decided.observations.len());
        world.commit(decided);
    }
    assert_eq!(seen, [100, 50, 0]);
}

#[test]
fn what_keeps_a_change_silent_is_told_with_what_differed() {
    let condition = Condition::compile("after.v > 5", &MEMBERS).unwrap();
    let job = job(|job| {
        job.when = Some(condition);
        job.on = Changes::NONE.with(Change::Updated);
        job.rules.ignore = vec![JsonPath::parse("$.noise").unwrap()];
    });
    let mut world = World::default();
    world.poll(&job, &["{\"id\":1,\"v\":1,\"noise\":1}".to_owned()]);
    let decided = world.decide(&job, &["{\"id\":1,\"v\":2,\"noise\":2}".to_owned(), item(2, 1)]);
    let kept = Seen { changed: pointers("/v"), ignored: pointers("/noise"), ..Seen::default() };
    assert_eq!(silences(&decided)[0], (Silence::When, kept));
    assert_eq!(silences(&decided)[1].0, Silence::On);
    world.commit(decided);
    let decided = world.decide(&job, &[item(2, 1)]);
    assert_eq!(decided.observations[0].polls, Some((1, 2)));
    assert_eq!(silences(&decided), [(Silence::Missing, Seen::default())]);
}

#[test]
fn before_is_the_body_last_reported_not_the_one_last_seen() {
    let watching = job(|job| job.rules.watch = vec![JsonPath::parse("$.v").unwrap()]);
    let mut world = World::default();
    world.poll(&watching, &["{\"id\":1,\"v\":1,\"noise\":1}".to_owned()]);
    world.poll(&watching, &["{\"id\":1,\"v\":1,\"noise\":2}".to_owned()]);
    let events = world.poll(&watching, &["{\"id\":1,\"v\":2,\"noise\":3}".to_owned()]);
    let envelope = parse(&events[0].body).unwrap();
    assert_eq!(envelope.pointer("/data/before").unwrap().to_string(), "{\"id\":1,\"v\":1,\"noise\":1}");
    assert_eq!(envelope.pointer("/data/changed").unwrap().to_string(), "[\"/v\"]");
}

#[test]
fn what_on_and_when_keep_back_is_remembered_as_reported() {
    let condition = Condition::compile("after.v > 5", &MEMBERS).unwrap();
    let job = job(|job| job.when = Some(condition));
    let mut world = World::default();
    world.poll(&job, &[item(1, 1)]);
    assert!(world.poll(&job, &[item(1, 3)]).is_empty());
    let events = world.poll(&job, &[item(1, 9)]);
    let envelope = parse(&events[0].body).unwrap();
    assert_eq!(envelope.pointer("/data/before/v").unwrap().to_string(), "3");
    assert_eq!(events[0].sequence, 1, "only events that are emitted take a number");
}

#[test]
fn a_condition_that_fails_lets_the_event_pass_and_says_so() {
    let condition = Condition::compile("after.v > 5", &MEMBERS).unwrap();
    let job = job(|job| job.when = Some(condition));
    let mut world = World::default();
    world.poll(&job, &[item(1, 1)]);
    let decided = world.decide(&job, &["{\"id\":1,\"v\":\"many\"}".to_owned()]);
    assert_eq!(decided.events.len(), 1);
    assert_eq!(decided.problems.len(), 1, "{:?}", decided.problems);
}

#[test]
fn s5_an_item_that_is_equal_under_the_old_rules_is_adopted_silently_under_the_new_ones() {
    let ignoring = job(|job| job.rules.ignore = vec![JsonPath::parse("$.noise").unwrap()]);
    let watching = job(|_| {});
    let mut world = World::default();
    world.poll(&ignoring, &["{\"id\":1,\"v\":1,\"noise\":1}".to_owned(), item(2, 1)]);
    world.poll(&ignoring, &["{\"id\":1,\"v\":1,\"noise\":2}".to_owned(), item(2, 1)]);

    world.old_rules = Some(ignoring.rules.clone());
    let events = world.poll(&watching, &["{\"id\":1,\"v\":1,\"noise\":3}".to_owned(), item(2, 2)]);
    assert_eq!(kinds(&events), [("updated", "2")], "a change under the old rules is an event");

    world.old_rules = None;
    let events = world.poll(&watching, &["{\"id\":1,\"v\":1,\"noise\":3}".to_owned(), item(2, 2)]);
    assert!(events.is_empty(), "{:?}", kinds(&events));
    let events = world.poll(&watching, &["{\"id\":1,\"v\":1,\"noise\":4}".to_owned(), item(2, 2)]);
    assert_eq!(kinds(&events), [("updated", "1")], "and the new rules hold from now on");
}

#[test]
fn a_new_value_is_an_event_once_it_has_been_seen_often_enough_in_a_row() {
    let job = job(|job| job.settle = 3);
    let mut world = World::default();
    let mut poll = |values: &[u8]| {
        let list: Vec<String> = values.iter().zip(1..).map(|(value, id)| item(id, *value)).collect();
        kinds(&world.poll(&job, &list)).into_iter().map(|(kind, key)| format!("{kind} {key}")).collect::<Vec<_>>()
    };
    let nothing: [&str; 0] = [];
    for value in [1, 2, 2, 1, 2, 2, 3, 3] {
        assert_eq!(poll(&[value]), nothing, "{value}");
    }
    assert_eq!(poll(&[3]), ["updated 1"]);
    // A new item that is gone for one complete poll begins again.
    for values in [&[3, 7][..], &[3, 7], &[3], &[3, 7], &[3, 7]] {
        assert_eq!(poll(values), nothing);
    }
    assert_eq!(poll(&[3, 7]), ["created 2"]);
    assert_eq!(poll(&[3]), nothing);
    assert_eq!(poll(&[3]), ["deleted 2"]);
    assert_eq!((poll(&[3, 7]), poll(&[3, 7])), (vec![], vec![]));
    assert_eq!(poll(&[3, 7]), ["restored 2"]);
}

#[test]
fn s5_an_edit_of_the_rules_loses_no_value_that_was_settling() {
    let settling = job(|job| job.settle = 2);
    let deaf = job(|job| {
        job.settle = 2;
        job.rules.ignore = vec![JsonPath::parse("$.v").unwrap()];
    });
    let mut world = World::default();
    world.poll(&settling, &[item(1, 1)]);
    assert!(world.poll(&settling, &[item(1, 2)]).is_empty());
    world.old_rules = Some(settling.rules.clone());
    assert_eq!(kinds(&world.poll(&deaf, &[item(1, 2)])), [("updated", "1")]);
    assert!(world.settling.is_empty());
}

/// A vendor's history: each step puts or removes some items.
fn history() -> impl Strategy<Value = Vec<Vec<(u8, Option<u8>)>>> {
    let edit = (0_u8..6, proptest::option::of(0_u8..4));
    proptest::collection::vec(proptest::collection::vec(edit, 0..4), 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn s8_the_fold_of_the_events_is_the_vendors_state_once_both_are_quiet(history in history(), settle in 1_u32..4) {
        let job = job(|job| job.settle = settle);
        let mut world = World::default();
        let mut vendor = BTreeMap::from([(0, 0), (1, 0)]);
        let at_first = held(&vendor);
        world.poll(&job, &list(&vendor));
        for edits in history {
            for (id, value) in edits {
                match value {
                    Some(value) => vendor.insert(id, value),
                    None => vendor.remove(&id),
                };
            }
            world.poll(&job, &list(&vendor));
        }
        for _ in 0..3 {
            world.poll(&job, &list(&vendor));
        }
        prop_assert!(world.settling.is_empty());
        prop_assert_eq!(world.fold(at_first), held(&vendor));
        let ids: BTreeSet<_> = world.events.iter().map(|event| event.id.clone()).collect();
        prop_assert_eq!(ids.len(), world.events.len(), "an id was used twice");
        for (at, event) in world.events.iter().enumerate() {
            prop_assert_eq!(event.sequence, at as u64 + 1);
            let envelope = parse(&event.body).unwrap();
            prop_assert!(event.change == Change::Restored || envelope.pointer("/data/before") != envelope.pointer("/data/after"));
        }
    }
}
