//! What `/metrics` shows, in the OpenMetrics text format: counted while it happens, or asked for when it is scraped.
//!
//! It decides nothing. Its size is bounded: with more than [`JOBS_LABELLED`] jobs (or [`SINKS_LABELLED`] sinks) the
//! label is left empty, which to Prometheus is no label at all, and the series are sums.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use crate::core::names::SinkName;
use crate::core::observe::{AttemptSeen, Observer, PollSeen};
use crate::core::time::Timestamp;
use crate::core::view::{JobView, SinkView, VendorView};

/// Jobs that may each have series of their own.
const JOBS_LABELLED: usize = 1000;

/// Sinks that may each have series of their own; each has a histogram.
const SINKS_LABELLED: usize = 100;

/// Vendors whose budget is shown: those of more by name are left out.
const VENDORS_LABELLED: usize = 1000;

/// The media type of what [`Metrics::encode`] gives.
pub(super) const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct JobLabel {
    job: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PollLabels {
    job: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SinkLabel {
    sink: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VendorLabel {
    vendor: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    sink: String,
    verdict: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct HeldLabels {
    job: String,
    what: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabels {
    sink: String,
    state: &'static str,
}

type Timings<L> = Family<L, Histogram, fn() -> Histogram>;

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    label_jobs: bool,
    label_sinks: bool,
    polls: Family<PollLabels, Counter>,
    poll_duration: Timings<OutcomeLabel>,
    items_read: Family<JobLabel, Counter>,
    events: Family<JobLabel, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    attempt_duration: Timings<SinkLabel>,
    latency: Timings<SinkLabel>,
    dropped: Family<SinkLabel, Counter>,
    commit: Histogram,
    scraped: Scraped,
    /// Held while a scrape sets its gauges and writes them: two scrapes at once would mix.
    scrape: Mutex<()>,
}

/// Gauges that are set when somebody looks.
#[derive(Debug, Default)]
struct Scraped {
    last_success: Family<JobLabel, Gauge>,
    failures: Family<JobLabel, Gauge>,
    held: Family<HeldLabels, Gauge>,
    items: Family<JobLabel, Gauge>,
    queue: Family<QueueLabels, Gauge>,
    oldest: Family<SinkLabel, Gauge<f64, std::sync::atomic::AtomicU64>>,
    disabled: Family<SinkLabel, Gauge>,
    breaker: Family<SinkLabel, Gauge>,
    budget: Family<VendorLabel, Gauge>,
}

/// From 1 ms to about 2 min: a loopback API, and a slow vendor at its timeout.
fn exchange() -> Histogram {
    Histogram::new([0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0])
}

/// From 1 ms to a day and more: sight to 2xx holds the ladder of retries.
fn latency() -> Histogram {
    Histogram::new([
        0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0, 1800.0, 7200.0, 18000.0, 86400.0, 345_600.0,
    ])
}

/// From 0.1 ms to 10 s: one fsync.
fn commit() -> Histogram {
    Histogram::new([0.0001, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0])
}

impl Metrics {
    /// For so many jobs and sinks; `version` is shown as `doorbell_build_info`.
    pub fn new(jobs: usize, sinks: usize, version: &str) -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("doorbell"),
            label_jobs: jobs <= JOBS_LABELLED,
            label_sinks: sinks <= SINKS_LABELLED,
            polls: Family::default(),
            poll_duration: Family::new_with_constructor(exchange),
            items_read: Family::default(),
            events: Family::default(),
            attempts: Family::default(),
            attempt_duration: Family::new_with_constructor(exchange),
            latency: Family::new_with_constructor(latency),
            dropped: Family::default(),
            commit: commit(),
            scraped: Scraped::default(),
            scrape: Mutex::new(()),
        };
        metrics.register_counted();
        metrics.register_scraped();
        metrics.registry.register("build", "The running version", Info::new([("version", version.to_owned())]));
        metrics
    }

    fn register_counted(&mut self) {
        let registry = &mut self.registry;
        registry.register("polls", "Polls that ended, by outcome", self.polls.clone());
        let seconds = || Unit::Seconds;
        let durations = self.poll_duration.clone();
        registry.register_with_unit("poll_duration", "From a poll's claim to its commit", seconds(), durations);
        registry.register("items_read", "Items that polls read", self.items_read.clone());
        registry.register("events", "Events that were committed", self.events.clone());
        registry.register("delivery_attempts", "Attempts that ended, by what follows", self.attempts.clone());
        let durations = self.attempt_duration.clone();
        registry.register_with_unit("delivery_attempt_duration", "How long an attempt took", seconds(), durations);
        let latency = self.latency.clone();
        registry.register_with_unit("delivery_latency", "From the sight of a change to its 2xx", seconds(), latency);
        let help = "Deliveries that were ended as dead because too many waited";
        registry.register("deliveries_dropped", help, self.dropped.clone());
        let commit = self.commit.clone();
        registry.register_with_unit("store_commit_duration", "How long a commit took", seconds(), commit);
    }

    fn register_scraped(&mut self) {
        let (registry, scraped) = (&mut self.registry, &self.scraped);
        let seconds = || Unit::Seconds;
        let success = scraped.last_success.clone();
        let help = "When a job's poll last ended as complete or unchanged";
        registry.register_with_unit("job_last_success_timestamp", help, seconds(), success);
        registry.register("job_failures", "Failed polls of a job in a row", scraped.failures.clone());
        let help = "Deletions and events of a job that wait for a person";
        registry.register("job_held", help, scraped.held.clone());
        registry.register("job_items", "Items in a job's ledger", scraped.items.clone());
        registry.register("delivery_queue", "Deliveries that wait, are held or are dead", scraped.queue.clone());
        let help = "Age of the oldest event that waits for a sink";
        registry.register_with_unit("delivery_oldest_age", help, seconds(), scraped.oldest.clone());
        registry.register("sink_disabled", "1 while a sink is disabled", scraped.disabled.clone());
        let help = "Requests that are left of a vendor's budget in its window";
        registry.register("vendor_budget_left", help, scraped.budget.clone());
        registry.register("sink_breaker_open", "1 while a sink's breaker is open", scraped.breaker.clone());
    }

    /// Does a scrape need the jobs? With too many of them they are not even asked for.
    pub(super) fn shows_jobs(&self) -> bool {
        self.label_jobs
    }

    /// Everything as text, as of `now`.
    pub fn encode(&self, jobs: &[JobView], sinks: &[SinkView], vendors: &[VendorView], now: Timestamp) -> String {
        let _one_at_a_time = self.scrape.lock().unwrap_or_else(PoisonError::into_inner);
        self.set_jobs(jobs);
        self.set_sinks(sinks, now);
        self.set_vendors(vendors);
        let mut out = String::with_capacity(8 * 1024);
        // Writing to a string can't fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }

    fn set_jobs(&self, jobs: &[JobView]) {
        let Scraped { last_success, failures, items, held, .. } = &self.scraped;
        last_success.clear();
        failures.clear();
        held.clear();
        items.clear();
        for job in jobs.iter().filter(|_| self.label_jobs) {
            let label = JobLabel { job: job.name.clone() };
            if let Some(moment) = job.last_success {
                last_success.get_or_create(&label).set(moment.unix_seconds());
            }
            failures.get_or_create(&label).set(i64::from(job.failures));
            let counts = job.held.as_ref().map_or((0, 0), |hold| (hold.deletions, hold.events));
            for (what, count) in [("deletions", counts.0), ("events", counts.1)] {
                held.get_or_create(&HeldLabels { job: job.name.clone(), what }).set(gauge(count));
            }
            items.get_or_create(&label).set(gauge(job.items));
        }
    }

    fn set_sinks(&self, sinks: &[SinkView], now: Timestamp) {
        let Scraped { queue, oldest, disabled, breaker, .. } = &self.scraped;
        queue.clear();
        oldest.clear();
        disabled.clear();
        breaker.clear();
        for view in sinks {
            let sink = self.sink(&view.name);
            for (state, count) in [("waiting", view.backlog), ("held", view.held), ("dead", view.dead)] {
                queue.get_or_create(&QueueLabels { sink: sink.clone(), state }).inc_by(gauge(count));
            }
            let label = SinkLabel { sink };
            let age = view.oldest.map_or(0.0, |moment| now.since(moment).as_secs_f64());
            let oldest = oldest.get_or_create(&label);
            oldest.set(oldest.get().max(age));
            disabled.get_or_create(&label).inc_by(i64::from(view.health == "disabled"));
            breaker.get_or_create(&label).inc_by(i64::from(view.breaker_open));
        }
    }

    fn set_vendors(&self, vendors: &[VendorView]) {
        let budget = &self.scraped.budget;
        budget.clear();
        for view in vendors.iter().take(VENDORS_LABELLED) {
            if let Some(left) = view.budget_left {
                budget.get_or_create(&VendorLabel { vendor: view.name.clone() }).set(gauge(left));
            }
        }
    }

    fn job(&self, name: &str) -> String {
        if self.label_jobs { name.to_owned() } else { String::new() }
    }

    fn sink(&self, name: &str) -> String {
        if self.label_sinks { name.to_owned() } else { String::new() }
    }
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

impl Observer for Metrics {
    fn poll_ended(&self, seen: &PollSeen) {
        let outcome = seen.outcome;
        let job = self.job(seen.job.as_str());
        self.poll_duration.get_or_create(&OutcomeLabel { outcome }).observe(seen.took.as_secs_f64());
        self.polls.get_or_create(&PollLabels { job: job.clone(), outcome }).inc();
        let label = JobLabel { job };
        self.items_read.get_or_create(&label).inc_by(seen.items);
        self.events.get_or_create(&label).inc_by(seen.events);
    }

    fn attempt_ended(&self, seen: &AttemptSeen) {
        let sink = self.sink(seen.sink.as_str());
        let label = SinkLabel { sink: sink.clone() };
        self.attempt_duration.get_or_create(&label).observe(seen.took.as_secs_f64());
        if seen.verdict == "delivered" && !seen.replay {
            self.latency.get_or_create(&label).observe(seen.since_seen.as_secs_f64());
        }
        self.attempts.get_or_create(&AttemptLabels { sink, verdict: seen.verdict }).inc();
    }

    fn dropped(&self, sink: &SinkName, count: u64) {
        self.dropped.get_or_create(&SinkLabel { sink: self.sink(sink.as_str()) }).inc_by(count);
    }

    fn committed(&self, took: Duration) {
        self.commit.observe(took.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::fake;
    use crate::core::names::JobName;

    fn poll(job: &str, outcome: &'static str) -> PollSeen {
        let took = Duration::from_millis(40);
        PollSeen { job: JobName::from(job), outcome, at: Timestamp(0), took, items: 3, events: 2 }
    }

    fn attempt(verdict: &'static str) -> AttemptSeen {
        let (took, since_seen) = (Duration::from_millis(4), Duration::from_secs(2));
        AttemptSeen { sink: SinkName::from("shop"), verdict, took, since_seen, replay: false }
    }

    #[test]
    fn what_happened_is_counted() {
        let metrics = Metrics::new(1, 1, "1.2.3");
        metrics.poll_ended(&poll("orders", "complete"));
        metrics.poll_ended(&poll("orders", "failed"));
        metrics.attempt_ended(&attempt("retry"));
        metrics.attempt_ended(&attempt("delivered"));
        metrics.committed(Duration::from_millis(7));
        let text = metrics.encode(&[], &[], &[], Timestamp(0));
        for line in [
            "doorbell_polls_total{job=\"orders\",outcome=\"complete\"} 1",
            "doorbell_polls_total{job=\"orders\",outcome=\"failed\"} 1",
            "doorbell_poll_duration_seconds_bucket{le=\"0.05\",outcome=\"complete\"} 1",
            "doorbell_items_read_total{job=\"orders\"} 6",
            "doorbell_events_total{job=\"orders\"} 4",
            "doorbell_delivery_attempts_total{sink=\"shop\",verdict=\"retry\"} 1",
            "doorbell_delivery_latency_seconds_count{sink=\"shop\"} 1",
            "doorbell_delivery_attempt_duration_seconds_count{sink=\"shop\"} 2",
            "doorbell_store_commit_duration_seconds_count 1",
            "doorbell_build_info{version=\"1.2.3\"} 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn gauges_are_those_of_the_moment() {
        let metrics = Metrics::new(1, 1, "1");
        let (jobs, sinks) = (vec![fake::job("orders")], vec![fake::sink("shop")]);
        let text = metrics.encode(&jobs, &sinks, &[fake::vendor("api")], fake::NOW);
        for line in [
            "doorbell_job_items{job=\"orders\"} 7",
            "doorbell_job_failures{job=\"orders\"} 0",
            "doorbell_job_held{job=\"orders\",what=\"deletions\"} 0",
            "doorbell_delivery_queue{sink=\"shop\",state=\"waiting\"} 4",
            "doorbell_delivery_queue{sink=\"shop\",state=\"dead\"} 1",
            "doorbell_delivery_oldest_age_seconds{sink=\"shop\"} 12.0",
            "doorbell_sink_disabled{sink=\"shop\"} 0",
            "doorbell_vendor_budget_left{vendor=\"api\"} 12",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}\n{text}");
        }
        let text = metrics.encode(&[], &[], &[], fake::NOW);
        assert!(!text.contains("shop"), "a sink that is gone leaves nothing behind\n{text}");
    }

    #[test]
    fn many_jobs_and_sinks_are_summed() {
        let metrics = Metrics::new(JOBS_LABELLED + 1, SINKS_LABELLED + 1, "1");
        metrics.poll_ended(&poll("one", "complete"));
        metrics.poll_ended(&poll("two", "complete"));
        let text = metrics.encode(&[fake::job("one")], &[fake::sink("a"), fake::sink("b")], &[], fake::NOW);
        assert!(text.contains("doorbell_polls_total{job=\"\",outcome=\"complete\"} 2"), "{text}");
        assert!(text.contains("doorbell_delivery_queue{sink=\"\",state=\"waiting\"} 8"), "{text}");
        assert!(!text.contains("\"one\""), "{text}");
    }

    #[test]
    fn a_name_with_quotes_cannot_forge_a_series() {
        let metrics = Metrics::new(1, 1, "1");
        metrics.poll_ended(&poll("a\"} 1\nevil{x=\"", "complete"));
        let text = metrics.encode(&[], &[], &[], Timestamp(0));
        assert!(!text.lines().any(|line| line.starts_with("evil")), "{text}");
    }
}
