//! How the rest of the house asks the engine for something: poll a job now, test a sink, say when a job is due.
//!
//! It reads the store for what is remembered and the scheduler for what is to come; it keeps nothing itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::core::config::Config;
use crate::core::delivery::{Answer, Parcel, Verdict, judge};
use crate::core::envelope::Envelope;
use crate::core::event::derive_id;
use crate::core::job::Job;
use crate::core::json::Json;
use crate::core::names::{Digest, JobName, JobUid, Key, Scope, SinkName};
use crate::core::rules::Rules;
use crate::core::sink::Sink;
use crate::core::time::Timestamp;
use crate::core::view::{AttemptView, JobView, PollReport, SinkView, TestReport};
use crate::core::{diff, view};
use crate::engine::World;
use crate::engine::poller::Mode;
use crate::engine::scheduler::{Order, Run};
use crate::store::{JobRecord, Queue, SinkState, StoreError};

/// Asks a running engine.
#[derive(Clone)]
pub struct Handle {
    world: Arc<World>,
    jobs: Arc<Vec<Arc<Job>>>,
    sinks: Arc<Vec<Arc<Sink>>>,
    orders: mpsc::Sender<Order>,
}

impl Handle {
    pub(super) fn new(world: Arc<World>, config: &Config, orders: mpsc::Sender<Order>) -> Self {
        Self { world, jobs: Arc::new(config.jobs.clone()), sinks: Arc::new(config.sinks.clone()), orders }
    }

    /// Polls a job as soon as it is free. `None`: there is no such job, or the engine has stopped.
    pub async fn poll(&self, job: &JobName, commit: bool) -> Option<PollReport> {
        let (reply, answer) = oneshot::channel();
        let mode = if commit { Mode::Commit } else { Mode::Look };
        self.orders.send(Order::Poll(job.clone(), mode, reply)).await.ok()?;
        answer.await.ok()
    }

    /// Sends one signed sample event to a sink, the same way as any delivery but outside its queue. `None`: there is
    /// no such sink.
    pub async fn test(&self, sink: &SinkName) -> Option<TestReport> {
        let sink = self.sinks.iter().find(|known| known.name == *sink)?;
        let now = self.world.clock.now();
        let parcel = sample(now);
        let sent = self.world.sender.send(sink, &parcel, 1, now).await;
        let verdict = judge(&sink.ladder, 1, &sent.answer, now, 0.0);
        let (status, answer) = match &sent.answer {
            Answer::Status { status, excerpt, .. } => (Some(*status), Some(excerpt.clone())),
            Answer::Unreachable(_) | Answer::Forbidden(_) => (None, None),
        };
        let delivered = verdict == Verdict::Delivered;
        let attempt = AttemptView {
            delivery: 0,
            sink: sink.name.to_string(),
            number: 1,
            at: now,
            took_ms: sent.took.as_millis() as u64,
            status,
            reason: (!delivered).then(|| sent.answer.to_string()),
            answer,
        };
        Some(TestReport { sink: sink.name.to_string(), delivered, id: parcel.event.to_string(), attempt })
    }

    /// Every job of the config with how it has gone and when it is due, in the order of their names.
    pub async fn jobs(&self) -> Result<Vec<JobView>, StoreError> {
        let records: BTreeMap<JobName, JobRecord> = self.world.store.jobs().await?.into_iter().collect();
        let (reply, answer) = oneshot::channel();
        let runs = match self.orders.send(Order::Runs(reply)).await {
            Ok(()) => answer.await.unwrap_or_default(),
            Err(_) => BTreeMap::new(),
        };
        let view = |job: &Arc<Job>| job_view(job, records.get(&job.name), runs.get(&job.name));
        Ok(self.jobs.iter().map(view).collect())
    }

    /// Every sink of the config with its state and queue, in the order of their names.
    pub async fn sinks(&self) -> Result<Vec<SinkView>, StoreError> {
        let now = self.world.clock.now();
        let states = self.world.store.sinks().await?;
        let states: BTreeMap<SinkName, (SinkState, Queue)> =
            states.into_iter().map(|(name, state, queue)| (name, (state, queue))).collect();
        Ok(self.sinks.iter().map(|sink| sink_view(sink, states.get(&sink.name), now)).collect())
    }
}

/// A job as a person is shown it, from what is remembered and what is to come.
pub fn job_view(job: &Job, record: Option<&JobRecord>, run: Option<&Run>) -> view::JobView {
    let record = record.cloned().unwrap_or_default();
    let health = match () {
        () if !job.enabled => "disabled",
        () if record.failures > 0 => "failing",
        () if record.last_success.is_none() => "new",
        () => "ok",
    };
    JobView {
        name: job.name.to_string(),
        health: health.to_owned(),
        polling: run.is_some_and(|run| run.running),
        outcome: record.outcome,
        reason: record.reason,
        last_poll: record.last_poll,
        last_success: record.last_success,
        next_run: run.and_then(|run| run.due),
        failures: record.failures,
        items: record.items,
        events: record.events,
    }
}

/// A sink as a person is shown it.
pub fn sink_view(sink: &Sink, known: Option<&(SinkState, Queue)>, now: Timestamp) -> SinkView {
    let (state, queue) = known.cloned().unwrap_or_default();
    let not_before = state.not_before.filter(|moment| *moment > now);
    let health = match () {
        () if state.disabled.is_some() => "disabled",
        () if not_before.is_some() => "waiting",
        () if state.failures > 0 => "failing",
        () => "ok",
    };
    SinkView {
        name: sink.name.to_string(),
        url: sink.shown_url.clone(),
        health: health.to_owned(),
        reason: state.disabled.or(state.last_failure),
        backlog: queue.backlog,
        held: queue.held,
        dead: queue.dead,
        oldest: queue.oldest,
        last_success: state.last_success,
        not_before,
    }
}

/// An event that is none, for a receiver to be tried with.
fn sample(now: Timestamp) -> Parcel {
    let (job, scope, key) = (JobName::from("doorbell"), Scope::default(), Key::from("test"));
    let after = Json::object([("id", Json::from("test")), ("message", Json::from("a test from Doorbell"))]);
    let body = after.to_bytes();
    let difference = diff::difference(&Json::Null, &after, &Rules::default());
    let rendered = Envelope {
        kind: "doorbell.test",
        at: now,
        job: &job,
        scope: &scope,
        key: &key,
        change: diff::Change::Created,
        before: None,
        after: Some(&body),
        difference: &difference,
        sequence: 0,
    }
    .render();
    let moment = Digest::of(&now.0.to_le_bytes());
    Parcel {
        event: derive_id(JobUid(moment.0), &scope, key.digest(), 0, Digest::of(&body)),
        kind: "doorbell.test".to_owned(),
        job,
        scope,
        key,
        sequence: 0,
        seen_at: now,
        body: rendered.body,
    }
}
