//! How the rest of the house asks the engine for something: poll a job now, test a sink, say when a job is due.
//!
//! It knows what is to come; what has been is the store's to tell.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use crate::core::config::Config;
use crate::core::delivery::{Answer, Parcel};
use crate::core::diff;
use crate::core::envelope::Envelope;
use crate::core::event::derive_id;
use crate::core::json::Json;
use crate::core::names::{Digest, JobName, JobUid, Key, Scope, SinkName};
use crate::core::rules::Rules;
use crate::core::sink::Sink;
use crate::core::skipped::Skipped;
use crate::core::time::Timestamp;
use crate::core::view::{AttemptView, PollReport, TestReport};
use crate::engine::World;
use crate::engine::clock::Clock;
use crate::engine::dispatcher::Dispatcher;
use crate::engine::poller::Mode;
use crate::engine::scheduler::{Order, Run};
use crate::sink::Sender;
use crate::store::StoreError;

/// Asks a running engine.
#[derive(Clone)]
pub struct Handle {
    world: Arc<World>,
    sinks: Arc<Vec<Arc<Sink>>>,
    orders: mpsc::Sender<Order>,
    dispatcher: Dispatcher,
}

impl Handle {
    pub(super) fn new(world: Arc<World>, config: &Config, orders: mpsc::Sender<Order>, dispatcher: Dispatcher) -> Self {
        Self { world, sinks: Arc::new(config.sinks.clone()), orders, dispatcher }
    }

    /// Polls a job as soon as it is free. `None`: there is no such job, or the engine has stopped.
    pub async fn poll(&self, job: &JobName, commit: bool) -> Option<PollReport> {
        let (reply, answer) = oneshot::channel();
        let mode = if commit { Mode::Commit } else { Mode::Look };
        self.orders.send(Order::Poll(job.clone(), mode, reply)).await.ok()?;
        answer.await.ok()
    }

    /// Sends one signed sample event to a sink. `None`: there is no such sink.
    pub async fn test(&self, sink: &SinkName) -> Option<TestReport> {
        let sink = self.sinks.iter().find(|known| known.name == *sink)?;
        Some(send_sample(&*self.world.sender, &*self.world.clock, sink).await)
    }

    /// Has a sink's outlet look at the store anew: whoever changes a sink's queue or state there says so here.
    pub async fn nudge(&self, sink: &SinkName) {
        self.dispatcher.nudge(sink).await;
    }

    /// Enables a disabled sink: what was held is sent, in order.
    ///
    /// # Errors
    /// The state can't be written.
    pub async fn enable_sink(&self, sink: &SinkName) -> Result<(), StoreError> {
        self.world.store.enable_sink(sink, self.world.clock.now()).await?;
        self.nudge(sink).await;
        Ok(())
    }

    /// Why the jobs that feed this sink are paused, while they are.
    pub fn full(&self, sink: &SinkName) -> Option<String> {
        self.dispatcher.full(sink)
    }

    /// When each job is due, and whether it is being polled; empty once the engine has stopped.
    pub async fn runs(&self) -> BTreeMap<JobName, Run> {
        let (reply, answer) = oneshot::channel();
        match self.orders.send(Order::Runs(reply)).await {
            Ok(()) => answer.await.unwrap_or_default(),
            Err(_) => BTreeMap::new(),
        }
    }
}

/// Sends one signed sample event to a sink, the same way as any delivery but outside its queue.
pub async fn send_sample(sender: &dyn Sender, clock: &dyn Clock, sink: &Arc<Sink>) -> TestReport {
    let now = clock.now();
    let parcel = sample(now);
    let sent = sender.send(sink, &parcel, 1, now).await;
    let (status, answer) = match &sent.answer {
        Answer::Status { status, excerpt, .. } => (Some(*status), Some(excerpt.clone())),
        Answer::Unreachable(_) | Answer::Forbidden(_) => (None, None),
    };
    let delivered = sent.answer.is_success();
    let attempt = AttemptView {
        delivery: 0,
        sink: sink.name.to_string(),
        number: 1,
        at: now,
        took_ms: sent.took.as_millis() as u64,
        status,
        reason: (!delivered).then(|| sent.answer.sentence()),
        answer,
    };
    TestReport { sink: sink.name.to_string(), delivered, id: parcel.event.to_string(), attempt }
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
        skipped: Skipped::default(),
    }
}
