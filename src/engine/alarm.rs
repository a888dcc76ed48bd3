//! Rings when something of Doorbell's own goes wrong, or comes right again (promise L3).
//!
//! It is told of polls and attempts as they end, and looks by itself for what only time brings. It holds nobody up: who
//! tells it leaves a note, and what is rung goes the way of every other delivery. What rings is `core`'s to say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use tokio::sync::Notify;

use crate::core::alert::{Alerts, Bell, JobTurn, JobWatch, Kind, Notice, Past, Rebaselined, Telling, Tried};
use crate::core::config::Config;
use crate::core::delivery::Verdict;
use crate::core::job::Job;
use crate::core::names::{JobName, SinkName};
use crate::core::sink::Sink;
use crate::core::time::Timestamp;
use crate::engine::poller::Polled;
use crate::engine::scheduler::Begin;
use crate::store::JobRecord;

mod round;
#[cfg(test)]
mod tests;

pub(super) use round::run;

/// Where the engine's parts leave word. Cheap to clone.
#[derive(Clone)]
pub(super) struct Alarm(Arc<Shared>);

struct Shared {
    settings: RwLock<Arc<Settings>>,
    begin: Begin,
    watched: Mutex<Watched>,
    wake: Notify,
    /// An attempt ended in a way that may concern a sink's bell, or a delivery died.
    sinks_moved: AtomicBool,
    /// Why the oldest of a sink were dropped since its bell was last looked at.
    dropped: Mutex<BTreeMap<SinkName, String>>,
    /// A sink's bell rings: a delivery that arrives may be its recovery.
    sink_rings: AtomicBool,
    /// The bells of sinks as the store has them, after a reload: to be taken over by the next round.
    bells: Mutex<Option<Vec<Bell>>>,
}

/// What a config says of alerts.
struct Settings {
    alerts: Alerts,
    telling: Telling,
    /// All sinks, of which there may be something to tell.
    sinks: Vec<Arc<Sink>>,
}

impl Settings {
    fn of(config: &Config) -> Self {
        let alerts = config.alerts.clone();
        let told = alerts.send_to.iter().filter_map(|name| config.sink(name).cloned()).collect();
        Self { alerts, telling: Telling::to(told), sinks: config.sinks.clone() }
    }
}

#[derive(Default)]
struct Watched {
    jobs: BTreeMap<JobName, Place>,
    /// Jobs of which something follows.
    turned: BTreeSet<JobName>,
}

struct Place {
    job: Arc<Job>,
    watch: JobWatch,
}

impl Alarm {
    /// Watches the jobs of a config from `now` on; `bells` are those that ring.
    pub(super) fn new(
        config: &Config,
        begin: Begin,
        records: &BTreeMap<JobName, JobRecord>,
        bells: &[Bell],
        now: Timestamp,
    ) -> Self {
        let watched = watch_all(config, begin, records, bells, now);
        Self(Arc::new(Shared {
            settings: RwLock::new(Arc::new(Settings::of(config))),
            begin,
            watched: Mutex::new(Watched { jobs: watched, turned: BTreeSet::new() }),
            wake: Notify::new(),
            sinks_moved: AtomicBool::new(true),
            dropped: Mutex::default(),
            sink_rings: AtomicBool::new(false),
            bells: Mutex::new(None),
        }))
    }

    /// Watches the jobs of another config from `now` on; a job that is polled as before is watched on as it was, unless
    /// the alerts themselves were edited.
    pub(super) fn apply(
        &self,
        config: &Config,
        records: &BTreeMap<JobName, JobRecord>,
        bells: &[Bell],
        now: Timestamp,
    ) {
        let mut jobs = watch_all(config, self.0.begin, records, bells, now);
        let watched = &mut *self.watched();
        let before = std::mem::replace(
            &mut *self.0.settings.write().unwrap_or_else(PoisonError::into_inner),
            Arc::new(Settings::of(config)),
        );
        if before.alerts == config.alerts {
            for (name, place) in &mut jobs {
                if let Some(old) = watched.jobs.remove(name).filter(|old| old.job.schedule == place.job.schedule) {
                    place.watch = old.watch;
                }
            }
        } else {
            *self.0.bells.lock().unwrap_or_else(PoisonError::into_inner) = Some(bells.to_vec());
        }
        watched.jobs = jobs;
        watched.turned.clear();
        self.0.sinks_moved.store(true, Ordering::Relaxed);
        self.0.wake.notify_one();
    }

    fn settings(&self) -> Arc<Settings> {
        self.0.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A poll that was made for real has ended.
    pub(super) fn polled(&self, job: &Job, polled: &Polled) {
        let (mut watched, at) = (self.watched(), polled.at);
        let alerts = &self.settings().alerts;
        let Some(place) = watched.jobs.get_mut(&job.name) else { return };
        place.watch.polled(&polled.outcome, at, &place.job.schedule, alerts);
        place.watch.holds(polled.hold.clone(), at);
        if let Some(failures) = polled.trace.expressions() {
            log_tried(&job.name, &place.watch.tried(failures, alerts, at));
        }
        if place.watch.turn(&job.name, alerts, at).is_some() && watched.turned.insert(job.name.clone()) {
            self.0.wake.notify_one();
        }
    }

    /// How a job's expressions failed since they last worked.
    pub(super) fn failed_expressions(&self, job: &JobName) -> Option<String> {
        self.watched().jobs.get(job)?.watch.failed_expressions()
    }

    /// An attempt has been settled.
    pub(super) fn settled(&self, verdict: &Verdict) {
        let concerns = match verdict {
            Verdict::Dead(_) | Verdict::SinkGone(_) => true,
            Verdict::Delivered => self.0.sink_rings.load(Ordering::Relaxed),
            Verdict::RetryAt(_) | Verdict::Split => false,
        };
        if concerns {
            self.look_at_sinks();
        }
    }

    /// The oldest of a sink were dropped.
    pub(super) fn dropped(&self, sink: &SinkName, reason: &str) {
        self.drops().insert(sink.clone(), reason.to_owned());
        self.look_at_sinks();
    }

    /// Something has happened that may concern a sink's bell.
    pub(super) fn look_at_sinks(&self) {
        if !self.0.sinks_moved.swap(true, Ordering::Relaxed) {
            self.0.wake.notify_one();
        }
    }

    fn drops(&self) -> MutexGuard<'_, BTreeMap<SinkName, String>> {
        self.0.dropped.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn why_dropped(&self, sink: &SinkName) -> Option<String> {
        self.drops().get(sink).cloned()
    }

    fn told_of_drops(&self, sink: &SinkName) {
        self.drops().remove(sink);
    }

    /// The system event of a job that begins anew, to be committed with its poll; none when nobody is told.
    pub(super) fn rebaselined(&self, news: &Rebaselined<'_>, now: Timestamp) -> Option<Notice> {
        let settings = self.settings();
        let notice = settings.telling.rebaselined(news, now);
        let is_on = settings.alerts.is_on();
        log(&notice, is_on);
        is_on.then_some(notice)
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.0.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds the jobs of which something follows because time has passed.
    fn look_at_all(&self, now: Timestamp) {
        let watched = &mut *self.watched();
        let settings = self.settings();
        for (name, place) in &watched.jobs {
            if place.watch.turn(name, &settings.alerts, now).is_some() {
                watched.turned.insert(name.clone());
            }
        }
    }

    /// Up to `limit` jobs of which something follows at `now`, and what.
    fn take_turns(&self, now: Timestamp, limit: usize) -> Vec<(JobName, JobTurn, JobWatch)> {
        let watched = &mut *self.watched();
        let settings = self.settings();
        let mut turns = Vec::new();
        while turns.len() < limit
            && let Some(name) = watched.turned.pop_first()
        {
            let Some(place) = watched.jobs.get(&name) else { continue };
            if let Some(turn) = place.watch.turn(&name, &settings.alerts, now) {
                turns.push((name, turn, place.watch.clone()));
            }
        }
        turns
    }

    /// What was committed is so; a poll that ended meanwhile may have changed what follows.
    fn took_turn(&self, name: &JobName, turn: JobTurn, now: Timestamp) {
        let watched = &mut *self.watched();
        let settings = self.settings();
        let Some(place) = watched.jobs.get_mut(name) else { return };
        place.watch.take(turn);
        if place.watch.turn(&place.job.name, &settings.alerts, now).is_some() {
            watched.turned.insert(name.clone());
        }
    }

    /// It could not be committed: it follows still.
    fn put_back(&self, name: &JobName) {
        self.watched().turned.insert(name.clone());
    }

    fn has_turns(&self) -> bool {
        !self.watched().turned.is_empty()
    }
}

fn watch_all(
    config: &Config,
    begin: Begin,
    records: &BTreeMap<JobName, JobRecord>,
    bells: &[Bell],
    now: Timestamp,
) -> BTreeMap<JobName, Place> {
    let of_jobs = bells.iter().filter(|bell| bell.trouble.is_of_a_job());
    let mut bells: BTreeMap<&str, Vec<Bell>> = BTreeMap::new();
    for bell in of_jobs {
        bells.entry(bell.subject.as_str()).or_default().push(bell.clone());
    }
    let enabled = config.jobs.iter().filter(|job| job.enabled);
    let places = enabled.map(|job| {
        let past = records.get(&job.name).map(past).unwrap_or_default();
        let its = bells.get(job.name.as_str()).cloned().unwrap_or_default();
        let schedule = (begin == Begin::OnSchedule).then_some(&job.schedule);
        let watch = JobWatch::begin(past, its, schedule, &config.alerts, now);
        (job.name.clone(), Place { job: job.clone(), watch })
    });
    places.collect()
}

fn past(record: &JobRecord) -> Past {
    // A poll that was not read whole leaves its baseline to a person, unless it has one.
    let is_part = record.outcome.as_deref() == Some("partial");
    let accepted = is_part && record.hold.as_ref().is_none_or(|hold| !hold.baseline);
    Past {
        failures: record.failures,
        reason: record.reason.clone(),
        last_poll: record.last_poll,
        last_success: record.last_success.or(record.last_poll.filter(|_| accepted)),
        hold: record.hold.clone(),
    }
}

/// One line for each failure that is new, and one when they are over.
fn log_tried(job: &JobName, tried: &Tried) {
    match tried {
        Tried::Failed(news) => {
            news.iter().for_each(|problem| tracing::warn!(%job, problem, "an expression failed"));
        }
        Tried::WorkAgain => tracing::info!(%job, "expressions work again"),
    }
}

/// One line for each system event. When nobody is told, what another line has said already is not said again.
fn log(notice: &Notice, is_on: bool) {
    let (event, subject, reason) = (notice.kind.as_str(), notice.subject.as_str(), notice.reason());
    let sinks = notice.sinks().count();
    let is_news = matches!(notice.kind, Kind::JobStale | Kind::JobHeld | Kind::JobRebaselined | Kind::SinkBacklog);
    match notice.kind {
        _ if !is_on && !is_news => tracing::debug!(event, subject, reason, sinks, "system event"),
        Kind::JobRecovered | Kind::SinkRecovered | Kind::JobRebaselined => {
            tracing::info!(event, subject, reason, sinks, "system event");
        }
        _ => tracing::warn!(event, subject, reason, sinks, "system event"),
    }
}
