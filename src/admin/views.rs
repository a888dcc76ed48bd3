//! From what the store remembers to what a person is shown: the health of a job and of a sink, in one word.
//!
//! Shared by the daemon's controls and by the commands that work on the state file when no daemon runs.

use crate::core::backlog::Waiting;
use crate::core::job::Job;
use crate::core::sink::Sink;
use crate::core::time::Timestamp;
use crate::core::view::{JobView, SinkView};
use crate::store::{JobRecord, Queue, SinkState};

/// A job as it is shown. `polling`: a poll is under way; `next_run`: when the next is due.
pub fn job_view(job: &Job, record: &JobRecord, polling: bool, next_run: Option<Timestamp>) -> JobView {
    JobView {
        name: job.name.as_str().to_owned(),
        health: job_health(job.enabled, record, polling).to_owned(),
        outcome: record.outcome.clone(),
        reason: record.reason.clone(),
        last_poll: record.last_poll,
        last_success: record.last_success,
        next_run: next_run.filter(|_| job.enabled && record.paused.is_none()),
        failures: record.failures,
        items: record.items,
        events: record.events,
        paused: record.paused,
        held: record.hold.as_deref().cloned(),
    }
}

/// `failing` goes before `polling`: a job that fails is polled often, and its failure is what must be seen.
fn job_health(enabled: bool, record: &JobRecord, polling: bool) -> &'static str {
    let failing = record.failures > 0 || matches!(record.outcome.as_deref(), Some("failed" | "partial"));
    match (enabled, failing, polling, record.last_success) {
        (false, ..) => "disabled",
        _ if record.paused.is_some() => "paused",
        (_, true, ..) => "failing",
        _ if record.hold.as_ref().is_some_and(|hold| hold.rings()) => "held",
        (_, _, true, _) => "polling",
        (.., None) => "new",
        (.., Some(_)) => "ok",
    }
}

/// A sink as it is shown.
pub fn sink_view(sink: &Sink, state: &SinkState, queue: &Queue, now: Timestamp) -> SinkView {
    let (health, reason) = sink_health(state, now);
    let full = sink.limits.full(false, Waiting { count: queue.backlog + queue.held, oldest: queue.oldest }, now);
    let health = if full.is_some() && !matches!(health, "disabled" | "paused") { "full" } else { health };
    let reason = full.into_iter().chain(reason).reduce(|full, reason| format!("{full}; {reason}"));
    SinkView {
        name: sink.name.as_str().to_owned(),
        url: sink.shown_url.clone(),
        health: health.to_owned(),
        reason,
        backlog: queue.backlog,
        held: queue.held,
        dead: queue.dead,
        oldest: queue.oldest,
        last_success: state.last_success,
        not_before: state.not_before.max(state.open.map(|open| open.probe_at)).filter(|moment| *moment > now),
        paused: state.paused,
        breaker_open: state.open.is_some(),
    }
}

fn sink_health(state: &SinkState, now: Timestamp) -> (&'static str, Option<String>) {
    if let Some(reason) = &state.disabled {
        return ("disabled", Some(reason.clone()));
    }
    if let Some(since) = state.paused {
        return ("paused", Some(format!("paused by hand since {since}")));
    }
    if state.not_before.is_some_and(|moment| moment > now) {
        return ("waiting", state.last_failure.clone());
    }
    if state.failures > 0 {
        return ("failing", state.last_failure.clone());
    }
    ("ok", None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jobs_health_is_the_worst_that_is_known_of_it() {
        let record = |failures, outcome: Option<&str>, success: Option<i64>| JobRecord {
            failures,
            outcome: outcome.map(str::to_owned),
            last_success: success.map(Timestamp),
            ..JobRecord::default()
        };
        let cases = [
            (true, record(0, None, None), false, "new"),
            (true, record(0, None, None), true, "polling"),
            (true, record(0, Some("complete"), Some(1)), false, "ok"),
            (true, record(0, Some("unchanged"), Some(1)), true, "polling"),
            (true, record(0, Some("partial"), Some(1)), false, "failing"),
            (true, record(3, Some("failed"), Some(1)), true, "failing"),
            (false, record(3, Some("failed"), Some(1)), false, "disabled"),
        ];
        for (enabled, record, polling, health) in cases {
            assert_eq!(job_health(enabled, &record, polling), health, "{record:?}");
            let paused = JobRecord { paused: Some(Timestamp(0)), ..record };
            assert_eq!(job_health(enabled, &paused, polling), if enabled { "paused" } else { "disabled" });
        }
    }

    #[test]
    fn a_sinks_health_comes_with_its_reason() {
        let state = |disabled: Option<&str>, not_before: Option<i64>, failures| SinkState {
            disabled: disabled.map(str::to_owned),
            not_before: not_before.map(Timestamp),
            failures,
            last_failure: Some("it answered 503".to_owned()),
            ..SinkState::default()
        };
        let now = Timestamp(10);
        let health = |state| sink_health(&state, now);
        assert_eq!(health(state(None, None, 0)), ("ok", None));
        assert_eq!(health(state(None, Some(10), 0)), ("ok", None));
        assert_eq!(health(state(None, None, 1)), ("failing", Some("it answered 503".to_owned())));
        assert_eq!(health(state(None, Some(11), 1)), ("waiting", Some("it answered 503".to_owned())));
        assert_eq!(health(state(Some("410"), Some(11), 1)), ("disabled", Some("410".to_owned())));
        let paused = |disabled| SinkState { paused: Some(Timestamp(0)), ..state(disabled, Some(11), 1) };
        let since = "paused by hand since 1970-01-01T00:00:00.000Z".to_owned();
        assert_eq!(health(paused(None)), ("paused", Some(since)));
        assert_eq!(health(paused(Some("410"))).0, "disabled");
    }
}
