//! What rings and when, as sentences, and over random lives of a job.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::core::backlog::{AtLimit, Limits, Waiting};
use crate::core::names::{EventId, JobName, JobUid};
use crate::core::outcome::{Failure, FailureKind, PollOutcome};
use crate::core::schedule::{Cron, Schedule};

const EVERY: Schedule = Schedule::Every(Duration::from_secs(30));

fn at(seconds: i64) -> Timestamp {
    Timestamp(1_795_000_000_000 + seconds * 1000)
}

fn orders() -> JobName {
    JobName::from("orders")
}

fn failed() -> PollOutcome {
    PollOutcome::Failed(Failure::new(FailureKind::Status, "the vendor answered 500"))
}

fn fresh() -> JobWatch {
    JobWatch::begin(Past::default(), None, Some(&EVERY), &Alerts::default(), at(0))
}

/// A job and what rings for it, driven as the engine does.
struct Life {
    alerts: Alerts,
    watch: JobWatch,
    rang: Vec<(&'static str, u32)>,
}

impl Life {
    fn of(watch: JobWatch) -> Self {
        Self { alerts: Alerts::default(), watch, rang: Vec::new() }
    }

    fn poll(&mut self, outcome: &PollOutcome, second: i64) {
        self.watch.polled(outcome, at(second), &EVERY, &self.alerts);
        self.look(second);
    }

    /// A poll that told events, with these failures of expressions.
    fn tell(&mut self, failures: &[&str], second: i64) -> Tried {
        let failures = failures.iter().map(|failure| (*failure).to_owned()).collect();
        let tried = self.watch.tried(&failures, &self.alerts, at(second));
        self.look(second);
        tried
    }

    fn look(&mut self, second: i64) {
        while let Some(turn) = self.watch.turn(&orders(), &self.alerts, at(second)) {
            match &turn {
                JobTurn::Ring(bell) => self.rang.push((bell.trouble.as_str(), bell.rings)),
                JobTurn::Recovered(_) => self.rang.push(("recovered", 0)),
                JobTurn::Silenced(_) => self.rang.push(("silenced", 0)),
            }
            self.watch.take(turn);
        }
    }
}

#[test]
fn a_job_rings_after_so_many_failures_and_once() {
    let mut life = Life::of(fresh());
    life.poll(&PollOutcome::Complete, 1);
    for second in 2..4 {
        life.poll(&failed(), second);
        assert_eq!(life.rang, []);
    }
    for second in 4..40 {
        life.poll(&failed(), second);
        assert_eq!(life.rang, [("failing", 1)]);
    }
    let bell = life.watch.bell().unwrap();
    assert_eq!((bell.since, bell.reason.as_str()), (at(2), "the vendor answered 500"));
    life.poll(&PollOutcome::Unchanged, 50);
    assert_eq!(life.rang, [("failing", 1), ("recovered", 0)]);
}

#[test]
fn one_good_poll_between_begins_the_count_anew() {
    let mut life = Life::of(fresh());
    for (second, outcome) in [(1, failed()), (2, failed()), (3, PollOutcome::Complete), (4, failed()), (5, failed())] {
        life.poll(&outcome, second);
    }
    assert_eq!(life.rang, []);
}

#[test]
fn it_rings_again_when_the_reminder_is_due() {
    let mut life = Life::of(fresh());
    (1..=3).for_each(|second| life.poll(&failed(), second));
    let hours = |count: i64| 3 + count * 3600;
    life.look(hours(6) - 1);
    assert_eq!(life.rang, [("failing", 1)]);
    life.look(hours(6));
    life.look(hours(6) + 1);
    assert_eq!(life.rang, [("failing", 1), ("failing", 2)]);
    life.poll(&failed(), hours(12));
    assert_eq!(life.rang.last(), Some(&("failing", 3)));
}

#[test]
fn a_job_that_goes_stale_and_then_fails_recovers_once() {
    let mut life = Life::of(fresh());
    life.poll(&PollOutcome::Complete, 0);
    life.look(89);
    assert_eq!(life.rang, []);
    life.look(90);
    assert_eq!(life.rang, [("stale", 1)]);
    assert_eq!(life.watch.bell().unwrap().reason, "no complete poll for 1m30s");
    (91..=93).for_each(|second| life.poll(&failed(), second));
    life.look(500);
    life.poll(&PollOutcome::Complete, 501);
    assert_eq!(life.rang, [("stale", 1), ("failing", 1), ("recovered", 0)]);
}

#[test]
fn an_expression_that_fails_rings_once_and_is_over_after_so_many_polls_without_a_failure() {
    let mut life = Life::of(fresh());
    assert_eq!(life.tell(&[], 1), Tried::Failed(vec![]));
    assert_eq!(life.tell(&["`when` failed"], 2), Tried::Failed(vec!["`when` failed".to_owned()]));
    // Each third item fails: neither that nor the two between ring.
    for second in 3..30 {
        let failures: &[&str] = if second % 3 == 0 { &["`when` failed"] } else { &[] };
        assert_eq!(life.tell(failures, second), Tried::Failed(vec![]));
    }
    assert_eq!(life.rang, [("expression", 1)]);
    assert_eq!(life.watch.failed_expressions().as_deref(), Some("`when` failed"));
    assert_eq!(life.tell(&[], 31), Tried::WorkAgain);
    assert_eq!(life.watch.failed_expressions(), None);
    assert_eq!(life.rang, [("expression", 1), ("recovered", 0)]);
}

#[test]
fn each_failure_of_an_expression_rings_up_to_a_limit() {
    let mut life = Life::of(fresh());
    life.tell(&["`when` failed"], 1);
    life.tell(&["`type` failed", "`when` failed"], 2);
    assert_eq!(life.rang, [("expression", 1), ("expression", 2)]);
    assert_eq!(life.watch.failed_expressions().as_deref(), Some("`type` failed; `when` failed"));
    (3..60).for_each(|second| drop(life.tell(&[&format!("`{second}` has no length")], second)));
    assert_eq!(life.rang.last(), Some(&("expression", 8)));
}

#[test]
fn a_restart_does_not_ring_again_for_an_expression() {
    let mut before = fresh();
    before.tried(&["`type` failed", "`when` failed"].map(str::to_owned).into(), &Alerts::default(), at(1));
    let Some(JobTurn::Ring(bell)) = before.turn(&orders(), &Alerts::default(), at(1)) else { panic!("it rings") };
    let watch = JobWatch::begin(Past::default(), [bell], Some(&EVERY), &Alerts::default(), at(10));
    let mut after = Life::of(watch);
    after.tell(&["`when` failed"], 11);
    assert_eq!(after.rang, []);
    assert_eq!(after.watch.failed_expressions().as_deref(), Some("`type` failed; `when` failed"));
    (12..15).for_each(|second| drop(after.tell(&[], second)));
    assert_eq!(after.rang, [("recovered", 0)]);
}

#[test]
fn an_expression_and_polls_that_fail_at_the_same_moment_are_two_events() {
    let (mut watch, alerts) = (fresh(), Alerts { after: 1, ..Alerts::default() });
    watch.tried(&["`when` failed".to_owned()].into(), &alerts, at(1));
    watch.polled(&failed(), at(1), &EVERY, &alerts);
    let mut ids = Vec::new();
    while let Some(JobTurn::Ring(bell)) = watch.turn(&orders(), &alerts, at(1)) {
        ids.push(Telling::default().job(&bell, &watch).id(JobUid([7; 16])));
        watch.take(JobTurn::Ring(bell));
    }
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn staleness_takes_a_minute_at_least() {
    let fast = Schedule::Every(Duration::from_millis(50));
    let watch = JobWatch::begin(Past::default(), None, Some(&fast), &Alerts::default(), at(0));
    let turn = |second: i64| watch.turn(&orders(), &Alerts::default(), at(second));
    assert_eq!(turn(59), None);
    assert!(matches!(turn(60), Some(JobTurn::Ring(_))));
}

#[test]
fn a_weekend_without_polls_is_no_trouble() {
    let office = Schedule::Cron(Cron::parse("*/5 8-18 * * mon-fri", chrono_tz::UTC).unwrap());
    let friday = Timestamp::parse("2026-11-20T18:55:01Z").unwrap();
    let mut watch = JobWatch::begin(Past::default(), None, Some(&office), &Alerts::default(), friday);
    watch.polled(&PollOutcome::Complete, friday, &office, &Alerts::default());
    let turn = |date: &str| watch.turn(&orders(), &Alerts::default(), Timestamp::parse(date).unwrap());
    assert_eq!(turn("2026-11-23T08:09:59Z"), None);
    assert!(turn("2026-11-23T08:10:00Z").is_some(), "three polls should have been made");
}

#[test]
fn a_job_that_nobody_polls_by_itself_is_never_stale() {
    let watch = JobWatch::begin(Past::default(), None, None, &Alerts::default(), at(0));
    assert_eq!(watch.turn(&orders(), &Alerts::default(), at(1_000_000)), None);
}

#[test]
fn a_restart_neither_rings_again_nor_forgets() {
    let mut life = Life::of(fresh());
    (1..=3).for_each(|second| life.poll(&failed(), second));
    let past = || Past { failures: 3, last_poll: Some(at(3)), ..Past::default() };
    let bell = life.watch.bell().cloned();
    let mut again = Life::of(JobWatch::begin(past(), bell, Some(&EVERY), &Alerts::default(), at(100)));
    again.look(100);
    again.poll(&failed(), 101);
    assert_eq!(again.rang, []);
    again.poll(&PollOutcome::Complete, 102);
    assert_eq!(again.rang, [("recovered", 0)]);
    // A crash between the poll and the ring: the record is enough.
    let mut lost = Life::of(JobWatch::begin(past(), None, Some(&EVERY), &Alerts::default(), at(100)));
    lost.look(100);
    assert_eq!(lost.rang, [("failing", 1)]);
}

#[test]
fn a_stale_job_is_not_recovered_by_a_restart() {
    let mut life = Life::of(fresh());
    life.poll(&PollOutcome::Complete, 0);
    life.look(90);
    let past = Past { last_success: Some(at(0)), last_poll: Some(at(0)), ..Past::default() };
    let mut again =
        Life::of(JobWatch::begin(past, life.watch.bell().cloned(), Some(&EVERY), &Alerts::default(), at(200)));
    again.look(200);
    assert_eq!(again.rang, []);
    again.poll(&PollOutcome::Unchanged, 201);
    assert_eq!(again.rang, [("recovered", 0)]);
}

#[test]
fn a_baseline_that_is_never_complete_rings_as_failing() {
    let mut life = Life::of(fresh());
    let partial = PollOutcome::Partial("page 3 failed".to_owned());
    (1..=3).for_each(|second| life.poll(&partial, second));
    assert_eq!(life.rang, [("failing", 1)]);
    assert_eq!(life.watch.bell().unwrap().reason, "page 3 failed");
    life.poll(&PollOutcome::Complete, 4);
    (5..=9).for_each(|second| life.poll(&partial, second));
    assert_eq!(life.rang, [("failing", 1), ("recovered", 0)], "with a baseline a partial poll is none that failed");
}

#[test]
fn a_sink_rings_once_and_recovers_when_it_answers() {
    let (crm, gone) = (SinkName::from("crm"), Some("the receiver answered 410".to_owned()));
    let disabled = SinkFacts { disabled: gone, ..SinkFacts::default() };
    let turn = |facts: &SinkFacts, bell: Option<&Bell>, second: i64| {
        sink_turn(Trouble::Disabled, &crm, facts, bell, at(second))
    };
    let Some(SinkTurn::Ring(bell)) = turn(&disabled, None, 1) else { panic!("it rings") };
    assert_eq!(turn(&disabled, Some(&bell), 1_000_000), None, "once");
    let enabled = SinkFacts { disabled: None, last_success: Some(at(0)), ..disabled };
    assert_eq!(turn(&enabled, Some(&bell), 3), None, "nobody knows yet");
    let answers = SinkFacts { last_success: Some(at(4)), ..enabled };
    assert_eq!(turn(&answers, Some(&bell), 5), Some(SinkTurn::Recovered(bell)));
    assert_eq!(turn(&answers, None, 6), None);
}

#[test]
fn a_backlog_is_over_when_half_of_it_is_gone() {
    let crm = SinkName::from("crm");
    let limits = Limits { max_backlog: 10, ..Limits::default() };
    let facts = |count| SinkFacts { waiting: Waiting { count, oldest: None }, limits, ..SinkFacts::default() };
    let turn = |waiting, bell: Option<&Bell>| sink_turn(Trouble::Backlog, &crm, &facts(waiting), bell, at(1));
    assert_eq!(turn(9, None), None);
    let Some(SinkTurn::Ring(bell)) = turn(10, None) else { panic!("it rings") };
    assert!((6..20).all(|waiting| turn(waiting, Some(&bell)).is_none()));
    assert_eq!(turn(5, Some(&bell)), Some(SinkTurn::Recovered(bell)));
}

/// What is known of a sink of which one delivery waits since the beginning, and may for 100 s.
fn aging(at_limit: AtLimit) -> SinkFacts {
    let limits = Limits { max_age: Some(Duration::from_secs(100)), at_limit, ..Limits::default() };
    SinkFacts { waiting: Waiting { count: 1, oldest: Some(at(0)) }, limits, ..SinkFacts::default() }
}

#[test]
fn a_sink_whose_oldest_waits_too_long_rings_once_until_it_waits_half_as_long() {
    let (crm, facts) = (SinkName::from("crm"), aging(AtLimit::Pause));
    let turn = |second, bell: Option<&Bell>| sink_turn(Trouble::Backlog, &crm, &facts, bell, at(second));
    assert_eq!(turn(100, None), None);
    let Some(SinkTurn::Ring(bell)) = turn(101, None) else { panic!("it rings") };
    assert_eq!(bell.reason, "the oldest delivery has waited longer than `max_age` = 1m40s");
    assert!((51..500).all(|second| turn(second, Some(&bell)).is_none()));
    assert_eq!(turn(50, Some(&bell)), Some(SinkTurn::Recovered(bell)));
}

#[test]
fn a_sink_whose_oldest_are_dropped_rings_until_it_answers_again() {
    let crm = SinkName::from("crm");
    let facts = SinkFacts { waiting: Waiting::default(), ..aging(AtLimit::DropOldest) };
    let turn = |facts: &SinkFacts, bell: Option<&Bell>| sink_turn(Trouble::Backlog, &crm, facts, bell, at(200));
    assert_eq!(turn(&facts, None), None);
    let dropped = SinkFacts { dropped: Some("dropped: too old".to_owned()), ..facts.clone() };
    let Some(SinkTurn::Ring(bell)) = turn(&dropped, None) else { panic!("it rings") };
    assert_eq!(bell.reason, "dropped: too old");
    assert_eq!(turn(&dropped, Some(&bell)), None, "once");
    assert_eq!(turn(&facts, Some(&bell)), None, "nothing waits, because all of it was dropped");
    let answers = SinkFacts { last_success: Some(at(201)), ..facts };
    assert_eq!(turn(&answers, Some(&bell)), Some(SinkTurn::Recovered(bell)));
}

#[test]
fn an_envelope_is_as_documented_and_its_bytes_are_fixed() {
    let mut life = Life::of(fresh());
    (1..=3).for_each(|second| life.poll(&failed(), second));
    let notice = Telling::default().job(life.watch.bell().unwrap(), &life.watch);
    let event = notice.event(JobUid([7; 16]), 42);
    assert_eq!(
        std::str::from_utf8(&event.body).unwrap(),
        "{\"type\":\"doorbell.job.failing\",\"timestamp\":\"2026-11-18T11:06:43.000Z\",\"data\":{\"job\":\"orders\",\
         \"reason\":\"the vendor answered 500\",\"since\":\"2026-11-18T11:06:41.000Z\",\"failures\":3,\
         \"reminders\":0,\"sequence\":42}}"
    );
    assert_eq!(event.id, notice.event(JobUid([7; 16]), 43).id, "a repeat is the same event");
    assert_ne!(event.id, notice.event(JobUid([8; 16]), 42).id, "another state's is not");
    assert_eq!((notice.kind.word(), event.key.as_str()), ("failing", "orders"));
}

#[test]
fn each_kind_holds_the_facts_that_its_schema_names() {
    let telling = Telling::default();
    let mut life = Life::of(fresh());
    (1..=3).for_each(|second| life.poll(&failed(), second));
    let bell = life.watch.bell().unwrap().clone();
    let with = |trouble: Trouble| Bell { trouble, ..bell.clone() };
    let sink = SinkFacts::default();
    let job = orders();
    let news = Rebaselined { job: &job, why: "edited", since: at(0), items: 1 };
    let letter = DeadLetter {
        delivery: 1,
        ended: at(1),
        attempts: 2,
        reason: "413".into(),
        sink: "ops".into(),
        event: EventId::from("evt_a"),
        kind: "x".into(),
        job: orders(),
        key: "1".into(),
        seen_at: at(0),
    };
    let notices = [
        telling.job(&bell, &life.watch),
        telling.job(&with(Trouble::Stale), &life.watch),
        telling.job_recovered(&bell, at(9)),
        telling.rebaselined(&news, at(9)),
        telling.sink(&with(Trouble::Disabled), &sink),
        telling.sink(&with(Trouble::Backlog), &sink),
        telling.sink_recovered(&with(Trouble::Disabled), &sink, at(9)),
        telling.dead(&letter, at(9)),
    ];
    for notice in &notices {
        let body = crate::core::json::parse(&notice.event(JobUid([7; 16]), 1).body).unwrap();
        let data = body.get("data").and_then(|data| data.as_object()).unwrap();
        let mut told: Vec<_> = data.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "sequence").collect();
        let mut named = notice.kind.facts().to_vec();
        told.sort_unstable();
        named.sort_unstable();
        assert_eq!(told, named, "{:?}", notice.kind);
        assert!(Kind::ALL.contains(&notice.kind));
    }
}

#[test]
fn an_alert_that_died_is_told_to_nobody() {
    let letter = |job: &str| DeadLetter {
        delivery: 1,
        ended: at(1),
        attempts: 2,
        reason: "the receiver answered 413".into(),
        sink: "ops".into(),
        event: EventId::from("evt_a"),
        kind: "x".into(),
        job: job.into(),
        key: "1".into(),
        seen_at: at(0),
    };
    assert!(letter(SYSTEM_JOB).is_an_alert());
    assert!(!letter("orders").is_an_alert());
}

fn outcome() -> impl Strategy<Value = PollOutcome> {
    prop_oneof![
        3 => Just(failed()),
        1 => Just(PollOutcome::Partial("a page failed".to_owned())),
        1 => Just(PollOutcome::Complete),
        1 => Just(PollOutcome::Unchanged),
    ]
}

proptest! {
    /// Whatever a job lives through: troubles and recoveries alternate, a bell that rings again has waited for the
    /// reminder, and no bell rings for a job whose last poll was complete and in time.
    #[test]
    fn a_bell_rings_and_falls_silent_in_turn(
        steps in prop::collection::vec((1..20_000_i64, prop::option::of(outcome()), any::<bool>()), 1..60),
        after in 1..5_u32,
    ) {
        let alerts = Alerts { after, ..Alerts::default() };
        let mut watch = JobWatch::begin(Past::default(), None, Some(&EVERY), &alerts, at(0));
        let (mut now, mut row) = (0, 0);
        let mut last: Option<Bell> = None;
        for (pause, outcome, restarts) in steps {
            now += pause;
            if let Some(outcome) = &outcome {
                watch.polled(outcome, at(now), &EVERY, &alerts);
                row = if matches!(outcome, PollOutcome::Failed(_)) { row + 1 } else { 0 };
            }
            if let Some(turn) = watch.turn(&orders(), &alerts, at(now)) {
                match (&last, &turn) {
                    (None, JobTurn::Ring(bell)) => prop_assert_eq!(bell.rings, 1),
                    (Some(before), JobTurn::Ring(bell)) if bell.trouble == before.trouble => {
                        prop_assert_eq!(bell.rings, before.rings + 1);
                        prop_assert_eq!(bell.since, before.since);
                        prop_assert!(bell.rang.since(before.rang) >= alerts.remind);
                    }
                    (Some(before), JobTurn::Ring(bell)) => {
                        prop_assert_eq!((before.trouble, bell.trouble), (Trouble::Stale, Trouble::Failing));
                    }
                    (before, JobTurn::Recovered(bell)) => prop_assert_eq!(before.as_ref(), Some(bell)),
                    (_, JobTurn::Silenced(bell)) => prop_assert!(false, "nothing was held: {:?}", bell),
                }
                last = match &turn {
                    JobTurn::Ring(bell) => Some(bell.clone()),
                    JobTurn::Recovered(_) | JobTurn::Silenced(_) => None,
                };
                watch.take(turn);
            }
            if row >= after {
                prop_assert_eq!(last.as_ref().map(|bell| bell.trouble), Some(Trouble::Failing));
            }
            if matches!(outcome, Some(PollOutcome::Complete | PollOutcome::Unchanged)) {
                prop_assert_eq!(&last, &None);
            }
            if restarts && outcome.is_some() {
                let past = Past { failures: watch.failures(), last_poll: Some(at(now)), ..Past::default() };
                let again = JobWatch::begin(past, last.clone(), Some(&EVERY), &alerts, at(now));
                let turn = again.turn(&orders(), &alerts, at(now));
                prop_assert!(turn.is_none() || watch.turn(&orders(), &alerts, at(now)) == turn, "{turn:?}");
            }
        }
    }
}
