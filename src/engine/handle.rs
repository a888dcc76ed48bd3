//! How the rest of the house asks the engine for something: poll a job now, test a sink, say when a job is due.
//!
//! It knows what is to come; what has been is the store's to tell.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, oneshot};

use crate::core::batch::{self, Bound};
use crate::core::delivery::{Answer, Parcel, hold_sink};
use crate::core::diff;
use crate::core::envelope::{Envelope, Extent};
use crate::core::event::derive_id;
use crate::core::formats::{self, Facts, Fault, Telling};
use crate::core::json::Json;
use crate::core::names::{Digest, JobName, JobUid, Key, Scope, SinkName};
use crate::core::rules::Rules;
use crate::core::sink::Sink;
use crate::core::skipped::Skipped;
use crate::core::time::Timestamp;
use crate::core::view::{AttemptView, PollReport, PollWish, TestReport, TimingView, VendorView, by_name};
use crate::engine::World;
use crate::engine::alarm::Alarm;
use crate::engine::clock::Clock;
use crate::engine::current::Current;
use crate::engine::dispatcher::Dispatcher;
use crate::engine::gates::Gates;
use crate::engine::poller::Mode;
use crate::engine::report::Asker;
use crate::engine::scheduler::{Order, Run};
use crate::engine::tasks::HEAVY_BYTES;
use crate::sink::Sender;
use crate::source::Recorder;

/// Asks a running engine.
#[derive(Clone)]
pub struct Handle {
    pub(super) world: Arc<World>,
    pub(super) current: Current,
    pub(super) orders: mpsc::Sender<Order>,
    pub(super) dispatcher: Dispatcher,
    pub(super) alarm: Alarm,
    pub(super) gates: Arc<Gates>,
    /// One pause, or one reload, at a time: the scheduler hears of them in the order in which the store does.
    pub(super) pausing: Arc<Mutex<()>>,
}

impl Handle {
    pub(super) fn new(
        world: Arc<World>,
        current: Current,
        orders: mpsc::Sender<Order>,
        dispatcher: Dispatcher,
        alarm: Alarm,
        gates: Arc<Gates>,
    ) -> Self {
        Self { world, current, orders, dispatcher, alarm, gates, pausing: Arc::default() }
    }

    /// Computes something where it can't hold up other work.
    pub async fn compute<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        self.world.tasks.compute(HEAVY_BYTES, work).await
    }

    /// Polls a job as soon as it is free. `None`: there is no such job, or the engine has stopped.
    pub async fn poll(&self, job: &JobName, wish: PollWish) -> Option<PollReport> {
        let (reply, answer) = oneshot::channel();
        let mode = if wish.commit { Mode::Commit } else { Mode::Look };
        let recorder = wish.record.then(|| Box::new(Recorder::new(&self.current.get().secrets)));
        self.orders.send(Order::Poll(job.clone(), mode, Asker { reply, recorder })).await.ok()?;
        answer.await.ok()
    }

    /// Sends one signed sample event to a sink. `None`: there is no such sink.
    pub async fn test(&self, sink: &SinkName) -> Option<TestReport> {
        let config = self.current.get();
        let sample = send_sample(&*self.world.sender, &*self.world.clock, config.sink(sink)?).await;
        if let Some(until) = sample.not_before {
            self.postpone(sink, until).await;
        }
        Some(sample.report)
    }

    async fn postpone(&self, sink: &SinkName, until: Timestamp) {
        match self.world.store.postpone_sink(sink, until).await {
            Ok(()) => self.dispatcher.wake(sink).await,
            Err(error) => tracing::error!(%sink, %until, %error, "the receiver's Retry-After can't be written"),
        }
    }

    /// How a job's expressions failed since they last worked.
    pub fn failed_expressions(&self, job: &JobName) -> Option<String> {
        self.alarm.failed_expressions(job)
    }

    /// Why the jobs that feed this sink are paused, while they are.
    pub fn full(&self, sink: &SinkName) -> Option<String> {
        self.dispatcher.full(sink)
    }

    /// What is left of vendors' limits, in the order of their names.
    pub fn vendors(&self) -> Vec<VendorView> {
        self.gates.views()
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

/// What came of a sample.
#[derive(Debug)]
pub struct Sample {
    /// What is told of it.
    pub report: TestReport,
    /// Until when the receiver asks to be left alone. To be remembered: deliveries have to wait as well.
    pub not_before: Option<Timestamp>,
}

/// Sends one signed sample event to a sink, the same way as any delivery but outside its queue.
pub async fn send_sample(sender: &dyn Sender, clock: &dyn Clock, sink: &Arc<Sink>) -> Sample {
    let now = clock.now();
    let (parcel, fault) = sample(sink, now);
    let id = parcel.id().to_owned();
    let mut attempt = AttemptView {
        delivery: 0,
        sink: sink.name.to_string(),
        number: 1,
        at: now,
        took_ms: 0,
        status: None,
        reason: fault.map(|fault| format!("nothing was sent: {fault}")),
        answer: None,
        timing: None,
        request_headers: by_name(&Default::default()),
    };
    if attempt.reason.is_some() {
        let report = TestReport { sink: sink.name.to_string(), delivered: false, id, attempt };
        return Sample { report, not_before: None };
    }
    let sent = sender.send(sink, &parcel, 1, now).await;
    if let Answer::Status { status, excerpt, .. } = &sent.answer {
        attempt.status = Some(*status);
        attempt.answer = Some(excerpt.clone());
    }
    let delivered = sent.answer.is_success();
    attempt.timing = Some(TimingView::from(sent.trace.phases));
    attempt.request_headers = by_name(&sent.trace.headers);
    attempt.took_ms = sent.took.as_millis() as u64;
    attempt.reason = (!delivered).then(|| sent.answer.sentence());
    let report = TestReport { sink: sink.name.to_string(), delivered, id, attempt };
    Sample { report, not_before: hold_sink(&sent.answer, clock.now()) }
}

/// An event that is none, for a receiver to be tried with, written as the sink wants its events.
fn sample(sink: &Sink, now: Timestamp) -> (Parcel, Option<Fault>) {
    let (job, scope, key) = (JobName::from("doorbell"), Scope::default(), Key::from("test"));
    let after = Json::object([("id", Json::from("test")), ("message", Json::from("a test from Doorbell"))]);
    let item = after.to_bytes();
    let difference = diff::difference(&Json::Null, &after, &Rules::default());
    let moment = Digest::of(&now.0.to_le_bytes());
    let event = derive_id(JobUid(moment.0), &scope, key.digest(), 0, Digest::of(&item));
    let envelope = Envelope {
        kind: "doorbell.test",
        at: now,
        job: &job,
        scope: &scope,
        key: &key,
        change: diff::Change::Created,
        before: None,
        after: Some(&item),
        difference: &difference,
        sequence: 0,
        extent: Extent::Whole,
    };
    let facts = Facts::of(&envelope, &Json::Null, None, Some(&after));
    let names = facts.names();
    let telling = Telling { id: &event, envelope: &envelope, before: None, after: Some(&after), names: &names };
    let written = formats::write(&sink.form, sink.thin, &telling);
    let body = written.body.unwrap_or_else(|| envelope.render().body);
    let kind = "doorbell.test".to_owned();
    let wire = written.wire;
    let skipped = Skipped::default();
    let batch = sink.batching.map(|_| Bound { id: batch::derive_id(&sink.name, [&event]), events: 1 });
    let body = if batch.is_some() { batch::body([&body[..]]) } else { body };
    (
        Parcel { event, kind, job, scope, key, sequence: 0, seen_at: now, body, wire, replay: false, skipped, batch },
        written.fault,
    )
}
