//! The breaker's rules, as cases and as properties over whole lives of a sink.

use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn failed(times: u32) -> Breaker {
    (0..times).fold(Breaker::default(), |breaker, _| breaker.after(Heard::Failure, &Ladder::default(), NOW, 0.0))
}

fn status(status: u16) -> Answer {
    Answer::Status { status, retry_after: None, excerpt: String::new() }
}

#[test]
fn it_opens_with_the_fifth_failure_in_a_row() {
    assert_eq!(failed(4).open, None);
    assert_eq!(failed(5).open, Some(Open { probes: 0, probe_at: NOW.plus(secs(5)) }));
    let between = failed(4).after(Heard::Success, &Ladder::default(), NOW, 0.0);
    assert_eq!(between, Breaker::default(), "a success in between begins anew");
}

#[test]
fn probes_go_up_the_sinks_own_ladder_and_stay_on_its_last_step() {
    let ladder = Ladder(vec![secs(1), secs(10)]);
    let mut breaker = (0..5).fold(Breaker::default(), |breaker, _| breaker.after(Heard::Failure, &ladder, NOW, 0.0));
    for wait in [1, 10, 10, 10] {
        assert_eq!(breaker.open.map(|open| open.probe_at), Some(NOW.plus(secs(wait))));
        breaker = breaker.after(Heard::ProbeFailure, &ladder, NOW, 0.0);
    }
}

#[test]
fn attempts_that_were_on_their_way_do_not_move_the_ladder() {
    let open = failed(5);
    let later = open.after(Heard::Failure, &Ladder::default(), NOW.plus(secs(3)), 0.0);
    assert_eq!((later.open, later.failures), (open.open, 6));
}

#[test]
fn any_2xx_closes_it() {
    assert_eq!(failed(9).after(Heard::Success, &Ladder::default(), NOW, 0.0), Breaker::default());
}

#[test]
fn one_delivery_is_suspected_until_another_fails_or_any_arrives() {
    let after = |heard: &[(Heard, i64)]| {
        heard.iter().fold(Suspects::default(), |suspects, (heard, delivery)| suspects.after(*heard, *delivery))
    };
    use Heard::{Failure, ProbeFailure, Success};
    assert_eq!(after(&[(Failure, 1), (Failure, 1), (ProbeFailure, 1)]), Suspects::One(1));
    assert_eq!(after(&[(Failure, 1), (Failure, 2), (Failure, 1)]), Suspects::Several);
    assert_eq!(after(&[(Failure, 1), (Failure, 2), (Success, 3)]), Suspects::Nobody);
    assert_eq!(after(&[(Failure, 1), (Success, 3), (Failure, 2)]), Suspects::One(2));
}

#[test]
fn a_sink_without_retries_is_probed_on_the_default_ladder() {
    let none = Ladder(Vec::new());
    let open = (0..5).fold(Breaker::default(), |breaker, _| breaker.after(Heard::Failure, &none, NOW, 0.0));
    assert_eq!(open.open.map(|open| open.probe_at), Some(NOW.plus(secs(5))));
}

#[test]
fn five_days_of_nothing_but_failure_outlive_a_sink() {
    let open = failed(5);
    assert!(!open.is_outlived(NOW.plus(FAILING_MAX - secs(1))));
    assert!(open.is_outlived(NOW.plus(FAILING_MAX)));
    assert!(!failed(4).is_outlived(NOW.plus(FAILING_MAX)), "four attempts are too few to tell");
}

#[test]
fn a_spent_ladder_is_death_only_while_the_breaker_is_closed() {
    let ladder = Ladder(vec![secs(1)]);
    let judged = |answer: &Answer, until| judge_sparing(&ladder, 2, answer, NOW, 0.0, until);
    let until = NOW.plus(secs(60));
    assert!(matches!(judged(&status(500), None), Verdict::Dead(_)));
    assert_eq!(judged(&status(500), Some(until)), Verdict::RetryAt(until));
    let asks = Answer::Status { status: 503, retry_after: Some(secs(90)), excerpt: String::new() };
    assert_eq!(judged(&asks, Some(until)), Verdict::RetryAt(NOW.plus(secs(90))), "and `Retry-After` stands");
    assert!(matches!(judged(&status(413), Some(until)), Verdict::Dead(_)), "trying again can't help");
    assert!(matches!(judged(&status(410), Some(until)), Verdict::SinkGone(_)));
    assert_eq!(judged(&status(204), Some(until)), Verdict::Delivered);
}

fn heard() -> impl Strategy<Value = Heard> {
    prop_oneof![1 => Just(Heard::Success), 6 => Just(Heard::Failure), 4 => Just(Heard::ProbeFailure)]
}

proptest! {
    #[test]
    fn it_is_open_exactly_when_five_or_more_have_failed_since_the_last_success(
        steps in prop::collection::vec((heard(), 0..100_000_u64, -1.0f64..2.0), 1..80)
    ) {
        let (mut breaker, mut now, mut failures) = (Breaker::default(), NOW, 0);
        for (heard, wait, jitter) in steps {
            now = now.plus(Duration::from_millis(wait));
            let before = breaker;
            breaker = breaker.after(heard, &Ladder::default(), now, jitter);
            failures = if heard == Heard::Success { 0 } else { failures + 1 };
            prop_assert_eq!(breaker.failures, failures);
            prop_assert_eq!(breaker.open.is_some(), failures >= OPENS_AFTER);
            prop_assert_eq!(breaker.failing_since.is_some(), failures > 0);
            if let (Some(open), true) = (breaker.open, breaker.open != before.open) {
                let step = rung(&Ladder::default(), open.probes);
                prop_assert!(open.probe_at.since(now) >= step, "jitter only adds");
                prop_assert!(open.probe_at.since(now) <= step.mul_f64(1.2) + Duration::from_millis(1));
            }
        }
    }

    #[test]
    fn an_outage_of_any_length_kills_nothing(
        answers in prop::collection::vec(prop_oneof![Just(500_u16), Just(404), Just(301), Just(429), Just(503)], 1..120)
    ) {
        // One delivery, which is therefore every probe, for as long as the outage lasts.
        let (mut breaker, mut now, mut attempts) = (Breaker::default(), NOW, 0);
        for code in answers {
            attempts += 1;
            let heard = if breaker.open.is_some() { Heard::ProbeFailure } else { Heard::Failure };
            breaker = breaker.after(heard, &Ladder::default(), now, 0.5);
            let spared = breaker.open.map(|open| open.probe_at);
            match judge_sparing(&Ladder::default(), attempts, &status(code), now, 0.5, spared) {
                Verdict::RetryAt(at) => now = at.max(spared.unwrap_or(at)),
                other => prop_assert!(false, "attempt {attempts} ended as {other:?}"),
            }
        }
    }
}
