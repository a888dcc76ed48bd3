//! Controls and an archive in memory, for the tests of this room and of the commands that call it.
//!
//! They answer from what they are given; nothing here polls or sends.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::admin::{AdminState, Controls, Listener, Metrics, Readiness, Refusal, serve};
use crate::core::config::Listen;
use crate::core::diff::Change;
use crate::core::hold::{Answer, Hold};
use crate::core::names::{JobName, Key, SinkName};
use crate::core::observe::Pulse;
use crate::core::operate::{
    AnswerReport, DeliveryFilter, DeliveryRow, DropFilter, DropReport, PauseReport, ReplayFilter, ReplayHow,
    ReplayReport, RetryReport,
};
use crate::core::plan::{JobStanding, SinkStanding, Standings};
use crate::core::reload::{ConfigView, ReloadReport};
use crate::core::secret::Secret;
use crate::core::time::Timestamp;
use crate::core::view::{
    AttemptView, DeliveryView, EventDetail, EventFilter, EventView, JobView, Page, PollReport, PollWish, SinkView,
    TestReport, VendorView,
};
use crate::core::why::{Observation, ObservationView, Seen, Silence, WhyItem};
use crate::store::{Archive, JobRecord, Queue, SinkState, StoreError};

/// 2026-11-20T15:04:05Z.
pub(crate) const NOW: Timestamp = Timestamp(1_795_187_045_000);

pub(crate) fn before(seconds: i64) -> Timestamp {
    Timestamp(NOW.0 - seconds * 1000)
}

pub(crate) fn job(name: &str) -> JobView {
    JobView {
        name: name.to_owned(),
        health: "ok".to_owned(),
        outcome: Some("complete".to_owned()),
        reason: None,
        last_poll: Some(before(12)),
        last_success: Some(before(12)),
        next_run: Some(before(-18)),
        failures: 0,
        items: 7,
        events: 2,
        paused: None,
        held: None,
    }
}

pub(crate) fn sink(name: &str) -> SinkView {
    SinkView {
        name: name.to_owned(),
        url: format!("https://{name}.example/hook"),
        health: "ok".to_owned(),
        reason: None,
        backlog: 4,
        held: 0,
        dead: 1,
        oldest: Some(before(12)),
        last_success: Some(before(60)),
        not_before: None,
        paused: None,
        breaker_open: false,
    }
}

/// A vendor whose budget is short.
pub(crate) fn vendor(name: &str) -> VendorView {
    VendorView {
        name: name.to_owned(),
        rate: None,
        budget: Some("100/d".to_owned()),
        budget_left: Some(12),
        waits: None,
    }
}

pub(crate) fn event(number: i64, job: &str) -> EventDetail {
    let delivery = DeliveryView {
        id: number,
        sink: "shop".to_owned(),
        state: "delivered".to_owned(),
        attempts: 1,
        due: None,
        reason: None,
        replay: false,
        replayed: None,
        batch: None,
    };
    let event = EventView {
        id: format!("evt_{number}"),
        job: job.to_owned(),
        scope: None,
        key: number.to_string(),
        change: "updated".to_owned(),
        kind: format!("{job}.updated"),
        sequence: u64::try_from(number).unwrap(),
        timestamp: before(60),
        deliveries: vec![delivery],
    };
    let body = format!(r#"{{"type":"{job}.updated","data":{{"after":{{"id":9007199254740993,"total":1.10}}}}}}"#);
    let attempt = AttemptView {
        delivery: number,
        sink: "shop".to_owned(),
        number: 1,
        at: before(59),
        took_ms: 41,
        status: Some(204),
        reason: None,
        answer: None,
        timing: None,
        request_headers: std::collections::BTreeMap::new(),
    };
    EventDetail {
        event,
        body: serde_json::value::RawValue::from_string(body).unwrap(),
        bodies: Vec::new(),
        attempts: vec![attempt],
    }
}

/// What is asked of the fakes, and what they answer.
#[derive(Default)]
pub(crate) struct Fake {
    pub(crate) jobs: Vec<JobView>,
    pub(crate) sinks: Vec<SinkView>,
    pub(crate) vendors: Vec<VendorView>,
    pub(crate) events: Mutex<Vec<EventDetail>>,
    pub(crate) calls: Mutex<Vec<String>>,
    /// A poll of the job `slow` says here that it has begun, and then waits until it is let go.
    pub(crate) begun: tokio::sync::Notify,
    pub(crate) go: tokio::sync::Notify,
}

impl Fake {
    /// Two jobs, a sink and three events.
    pub(crate) fn usual() -> Arc<Self> {
        Arc::new(Self {
            jobs: vec![job("orders"), job("stock")],
            sinks: vec![sink("shop")],
            vendors: vec![vendor("api")],
            events: Mutex::new((1..=3).map(|number| event(number, "orders")).collect()),
            ..Self::default()
        })
    }
}

#[async_trait]
impl Controls for Fake {
    async fn jobs(&self) -> Result<Vec<JobView>, Refusal> {
        Ok(self.jobs.clone())
    }

    async fn sinks(&self) -> Result<Vec<SinkView>, Refusal> {
        Ok(self.sinks.clone())
    }

    async fn vendors(&self) -> Result<Vec<VendorView>, Refusal> {
        Ok(self.vendors.clone())
    }

    async fn poll(&self, job: &JobName, wish: PollWish) -> Result<PollReport, Refusal> {
        let commit = wish.commit;
        self.calls.lock().unwrap().push(format!("poll {job} {commit}"));
        if job.as_str() == "busy" {
            return Err(Refusal::Conflict("`busy` is being polled".to_owned()));
        }
        if job.as_str() == "slow" {
            self.begun.notify_one();
            self.go.notified().await;
        }
        Ok(PollReport {
            job: job.to_string(),
            committed: commit,
            requests: Vec::new(),
            outcome: "complete".to_owned(),
            reason: None,
            failure: None,
            baseline: false,
            items: 7,
            silent: 0,
            held: None,
            sample: Vec::new(),
            events: Vec::new(),
            events_total: 0,
            took_ms: 12,
            recording: None,
            unrecorded: None,
        })
    }

    async fn test(&self, sink: &SinkName) -> Result<TestReport, Refusal> {
        self.calls.lock().unwrap().push(format!("test {sink}"));
        let attempt = event(1, "orders").attempts.remove(0);
        Ok(TestReport { sink: sink.to_string(), delivered: true, id: "evt_test".to_owned(), attempt })
    }

    async fn pause_job(&self, job: &JobName, paused: bool) -> Result<PauseReport, Refusal> {
        Ok(self.paused("job", job.as_str(), paused))
    }

    async fn answer(&self, job: &JobName, answer: Answer) -> Result<AnswerReport, Refusal> {
        self.called(format!("{} {job}", answer.as_str()));
        match self.jobs.iter().find(|known| known.name == job.as_str()) {
            Some(JobView { held: Some(held), .. }) => {
                Ok(AnswerReport { job: job.to_string(), held: Hold { answer: Some(answer), ..held.clone() } })
            }
            Some(_) => Err(Refusal::Conflict(format!("the job `{job}` holds nothing"))),
            None => Err(Refusal::NotFound(format!("there is no job `{job}`"))),
        }
    }

    async fn pause_sink(&self, sink: &SinkName, paused: bool) -> Result<PauseReport, Refusal> {
        Ok(self.paused("sink", sink.as_str(), paused))
    }

    async fn drop_held(&self, filter: &DropFilter, dry_run: bool) -> Result<DropReport, Refusal> {
        self.called(format!("drop {dry_run} {}", serde_json::to_string(filter).unwrap()));
        let sinks = [("shop".to_owned(), 2)].into();
        Ok(DropReport { dry_run, deliveries: 2, sinks, on_their_way: 0 })
    }

    async fn replay(&self, filter: &ReplayFilter, how: ReplayHow) -> Result<ReplayReport, Refusal> {
        let ReplayHow { dry_run, render } = how;
        let anew = if render { "render " } else { "" };
        self.called(format!("replay {anew}{dry_run} {}", serde_json::to_string(filter).unwrap()));
        let sinks = [("shop".to_owned(), 3)].into();
        match filter.event.as_deref() {
            Some("evt_open") => Ok(ReplayReport { dry_run, on_their_way: 1, ..ReplayReport::default() }),
            _ => Ok(ReplayReport { dry_run, deliveries: 3, sinks, ..ReplayReport::default() }),
        }
    }

    async fn retry(&self, delivery: i64) -> Result<RetryReport, Refusal> {
        self.called(format!("retry {delivery}"));
        match delivery {
            7 => Err(Refusal::Conflict("delivery 7 is on its way".to_owned())),
            _ => Ok(RetryReport { delivery, sink: "shop".to_owned(), replay: false }),
        }
    }

    async fn reload(&self) -> Result<ReloadReport, Refusal> {
        Err(Refusal::Invalid { detail: "2 problems".to_owned(), errors: vec!["one".to_owned(), "two".to_owned()] })
    }

    fn config(&self) -> ConfigView {
        ConfigView::default()
    }
}

impl Fake {
    fn called(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }

    fn paused(&self, kind: &str, name: &str, paused: bool) -> PauseReport {
        self.called(format!("{} {kind} {name}", if paused { "pause" } else { "resume" }));
        let (kind, name) = (kind.to_owned(), name.to_owned());
        PauseReport { kind, name, paused, changed: true, was_disabled: None, deliveries: 4 }
    }
}

#[async_trait]
impl Archive for Fake {
    async fn jobs(&self) -> Result<Vec<(JobName, JobRecord)>, StoreError> {
        let record = |job: &JobView| JobRecord {
            outcome: job.outcome.clone(),
            last_poll: job.last_poll,
            last_success: job.last_success,
            items: job.items,
            events: job.events,
            ..JobRecord::default()
        };
        Ok(self.jobs.iter().map(|job| (JobName::from(&*job.name), record(job))).collect())
    }

    async fn standings(&self) -> Result<Standings, StoreError> {
        let job = |job: &JobView| JobStanding { name: job.name.clone(), items: job.items, ..JobStanding::default() };
        let sink = |sink: &SinkView| SinkStanding { name: sink.name.clone(), in_config: true, waiting: sink.backlog };
        let (jobs, sinks) = (self.jobs.iter().map(job).collect(), self.sinks.iter().map(sink).collect());
        Ok(Standings { jobs, sinks })
    }

    async fn sinks(&self) -> Result<Vec<(SinkName, SinkState, Queue)>, StoreError> {
        let queue = |sink: &SinkView| Queue {
            backlog: sink.backlog,
            held: sink.held,
            dead: sink.dead,
            oldest: sink.oldest,
            kept: false,
        };
        let row = |sink: &SinkView| (SinkName::from(&*sink.name), SinkState::default(), queue(sink));
        Ok(self.sinks.iter().map(row).collect())
    }

    /// The contract of [`Archive::events`], over events that are numbered from 1.
    async fn events(&self, filter: &EventFilter) -> Result<Page<EventView>, StoreError> {
        self.calls.lock().unwrap().push(format!("events {}", serde_json::to_string(filter).unwrap()));
        let mut rows: Vec<(i64, EventView)> =
            (1..).zip(self.events.lock().unwrap().iter().map(|event| event.event.clone())).collect();
        if !filter.oldest_first {
            rows.reverse();
        }
        let beyond = |number: i64| match filter.after {
            None => true,
            Some(after) if filter.oldest_first => number > after,
            Some(after) => number < after,
        };
        rows.retain(|(number, event)| beyond(*number) && filter.job.as_ref().is_none_or(|job| *job == event.job));
        let limit = filter.limit.unwrap_or(100) as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|(number, _)| *number);
        Ok(Page { data: rows.into_iter().map(|(_, event)| event).collect(), next })
    }

    async fn event(&self, id: &str) -> Result<Option<EventDetail>, StoreError> {
        Ok(self.events.lock().unwrap().iter().find(|event| event.event.id == id).cloned())
    }

    /// The item `1` of the job `orders`: an event, and what was not said before it.
    async fn why(&self, job: &JobName, key: &Key) -> Result<Vec<WhyItem>, StoreError> {
        if (job.as_str(), key.as_str()) != ("orders", "1") {
            return Ok(Vec::new());
        }
        let seen = |changed: &str, ignored: &str| Seen {
            changed: vec![changed.to_owned()],
            ignored: vec![ignored.to_owned()],
            ..Seen::default()
        };
        let told = ObservationView::of_event(event(1, "orders"), seen("/status", "/seen"));
        let observation = |seconds, silence, seen| Observation {
            key: key.digest(),
            at: before(seconds),
            silence,
            change: None,
            seen,
            polls: None,
        };
        let ignored = observation(90, Silence::Ignored, Seen { changed: Vec::new(), ..seen("", "/seen") });
        let kept =
            Observation { change: Some(Change::Updated), ..observation(80, Silence::When, seen("/total", "/x")) };
        let item = WhyItem {
            scope: None,
            state: "present".to_owned(),
            missed: 0,
            deleted: None,
            baseline: Some(before(600)),
            observations: vec![told, kept.into(), ignored.into()],
        };
        Ok(vec![item.in_order()])
    }

    async fn keys(&self, job: &JobName, _limit: usize) -> Result<Vec<Key>, StoreError> {
        Ok(if job.as_str() == "orders" { vec![Key::from("ORD-1")] } else { Vec::new() })
    }

    /// One delivery for each event; of the filter only the job and the page count.
    async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Page<DeliveryRow>, StoreError> {
        self.called(format!("deliveries {}", serde_json::to_string(filter).unwrap()));
        let row = |event: &EventDetail| DeliveryRow {
            delivery: event.event.deliveries[0].clone(),
            event: event.event.id.clone(),
            job: event.event.job.clone(),
            key: event.event.key.clone(),
            kind: event.event.kind.clone(),
            sequence: event.event.sequence,
            timestamp: event.event.timestamp,
        };
        let mut rows: Vec<DeliveryRow> = self.events.lock().unwrap().iter().rev().map(row).collect();
        rows.retain(|row| {
            filter.job.as_ref().is_none_or(|job| *job == row.job)
                && filter.after.is_none_or(|after| row.delivery.id < after)
        });
        let limit = filter.limit.unwrap_or(100) as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = rows.last().filter(|_| more).map(|row| row.delivery.id);
        Ok(Page { data: rows, next })
    }
}

/// A daemon's API over the fakes, on a real socket.
pub(crate) struct Served {
    pub(crate) fake: Arc<Fake>,
    pub(crate) pulse: Arc<Pulse>,
    pub(crate) readiness: Arc<Readiness>,
    pub(crate) clock: Arc<AtomicI64>,
    pub(crate) shutdown: CancellationToken,
    /// Where it listens; for a Unix socket `None`.
    pub(crate) address: Option<std::net::SocketAddr>,
    pub(crate) task: AbortOnDropHandle<std::io::Result<()>>,
}

impl Served {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address.unwrap())
    }
}

pub(crate) async fn start(listen: &Listen, fake: Arc<Fake>, token: Option<&str>) -> Served {
    let listener = Listener::bind(listen).await.unwrap().unwrap();
    let (pulse, readiness) = (Arc::new(Pulse::default()), Arc::new(Readiness::default()));
    let (shutdown, clock) = (CancellationToken::new(), Arc::new(AtomicI64::new(NOW.0)));
    let address = listener.tcp_address();
    let state = AdminState {
        controls: fake.clone(),
        archive: fake.clone(),
        metrics: Arc::new(Metrics::new(2, 1, "0.0.0")),
        pulse: pulse.clone(),
        readiness: readiness.clone(),
        now: Arc::new({
            let clock = clock.clone();
            move || Timestamp(clock.load(Ordering::Relaxed))
        }),
        started: before(5),
        token: token.map(Secret::new),
    };
    #[expect(clippy::disallowed_methods, reason = "the test owns the task and aborts it on drop")]
    let task = AbortOnDropHandle::new(tokio::spawn(serve(listener, state, shutdown.clone())));
    Served { fake, pulse, readiness, clock, shutdown, address, task }
}

/// On any free loopback port.
pub(crate) fn loopback() -> Listen {
    Listen::Tcp(std::net::SocketAddr::from(([127, 0, 0, 1], 0)))
}
