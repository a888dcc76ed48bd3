//! What only time brings, through the whole engine on a clock that is moved by hand, over a real store.

use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};

use crate::core::delivery::{Answer, Parcel};
use crate::core::names::SinkName;
use crate::core::observe::{AttemptSeen, Observer, PollSeen, Pulse};
use crate::core::outcome::{Failure, FailureKind};
use crate::core::sink::{Sink, plain};
use crate::core::view::EventFilter;
use crate::engine::clock::{Clock, Dice};
use crate::engine::tasks::Tasks;
use crate::engine::{Engine, World};
use crate::sink::{Sender, Sent};
use crate::source::{Fetched, Fetcher, Request};
use crate::store::Store;
use crate::store::sqlite::{Options, SqliteStore};

use super::*;

fn at(seconds: u64) -> Timestamp {
    Timestamp(1_795_000_000_000).plus(Duration::from_secs(seconds))
}

/// A clock that stands still until it is moved.
struct Hand(watch::Sender<Timestamp>);

#[async_trait]
impl Clock for Hand {
    fn now(&self) -> Timestamp {
        *self.0.borrow()
    }

    async fn sleep_until(&self, moment: Timestamp) {
        // It lives as long as the engine does.
        let _ = self.0.subscribe().wait_for(|now| *now >= moment).await;
    }
}

struct Even;

impl Dice for Even {
    fn roll(&self) -> f64 {
        0.5
    }
}

/// A vendor that never answers, or fails at once.
struct Vendor {
    hangs: bool,
}

#[async_trait]
impl Fetcher for Vendor {
    async fn fetch(&self, _request: Request) -> Fetched {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        let failure = Failure::new(FailureKind::Connect, "the vendor is not there");
        Fetched { result: Err(failure), took: Duration::ZERO, sent: Vec::new() }
    }
}

/// A receiver that takes everything and shows it.
struct Receiver(mpsc::UnboundedSender<(SinkName, Parcel)>);

#[async_trait]
impl Sender for Receiver {
    async fn send(&self, sink: &Arc<Sink>, parcel: &Parcel, _attempt: u32, _now: Timestamp) -> Sent {
        let _ = self.0.send((sink.name.clone(), parcel.clone()));
        let answer = Answer::Status { status: 204, retry_after: None, excerpt: String::new() };
        Sent { answer, took: Duration::ZERO, trace: Default::default() }
    }
}

struct Nobody;

impl Observer for Nobody {
    fn poll_ended(&self, _seen: &PollSeen) {}
    fn attempt_ended(&self, _seen: &AttemptSeen) {}
}

fn job() -> Arc<Job> {
    Arc::new(crate::core::job::plain("orders"))
}

/// A folder with a state, and a config over it.
struct House {
    folder: tempfile::TempDir,
    config: Arc<Config>,
}

/// An engine that runs in it.
struct Running {
    engine: Engine,
    store: Arc<dyn Store>,
    hand: Arc<Hand>,
    arrivals: mpsc::UnboundedReceiver<(SinkName, Parcel)>,
}

impl House {
    fn new(alerts: Alerts) -> Self {
        let daemon = crate::core::config::Daemon {
            state: "unused".into(),
            listen: crate::core::config::Listen::Off,
            token: None,
            concurrency: 4,
            reload: Default::default(),
            retention: Duration::from_secs(30 * 86_400),
        };
        let config = Config {
            daemon,
            jobs: vec![job()],
            vendors: Vec::new(),
            sinks: vec![plain("ops")],
            alerts,
            secrets: Vec::new(),
        };
        let config = Arc::new(config);
        Self { folder: tempfile::tempdir().unwrap(), config }
    }

    async fn run(&self, now: Timestamp, hangs: bool) -> Running {
        let path = self.folder.path().join("doorbell.db");
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&Options { path, uid_seed: 7, now }).unwrap());
        let (shown, arrivals) = mpsc::unbounded_channel();
        let hand = Arc::new(Hand(watch::channel(now).0));
        let world = World {
            clock: hand.clone(),
            dice: Arc::new(Even),
            fetcher: Arc::new(Vendor { hangs }),
            sender: Arc::new(Receiver(shown)),
            store: store.clone(),
            observer: Arc::new(Nobody),
            pulse: Arc::new(Pulse::default()),
            tasks: Tasks::default(),
        };
        let engine = Engine::start(world, &self.config, Begin::OnSchedule).await.unwrap();
        Running { engine, store, hand, arrivals }
    }
}

impl Running {
    fn move_to(&self, moment: Timestamp) {
        self.hand.0.send_replace(moment);
    }

    /// The next webhook: who got it, its type, and what it says.
    async fn arrival(&mut self) -> (String, String, serde_json::Value) {
        let (sink, parcel) = self.arrivals.recv().await.expect("the engine runs");
        let body: serde_json::Value = serde_json::from_slice(&parcel.body).unwrap();
        (sink.to_string(), parcel.kind, body["data"].clone())
    }

    async fn stop(self) {
        self.engine.stop().await;
        self.store.close().await.unwrap();
    }
}

fn to_ops() -> Alerts {
    Alerts { send_to: vec![SinkName::from("ops")], ..Alerts::default() }
}

#[tokio::test]
async fn a_job_that_hangs_rings_as_stale_and_rings_again() {
    let house = House::new(to_ops());
    let mut running = house.run(at(0), true).await;
    running.move_to(at(95));
    let (sink, kind, data) = running.arrival().await;
    assert_eq!((sink.as_str(), kind.as_str()), ("ops", "doorbell.job.stale"));
    assert_eq!(data["reason"], "no complete poll for 1m35s");
    assert_eq!((&data["job"], &data["reminders"]), (&"orders".into(), &0.into()));
    running.move_to(at(95 + 6 * 3600));
    let (_, kind, data) = running.arrival().await;
    assert_eq!((kind.as_str(), &data["reminders"]), ("doorbell.job.stale", &1.into()));
    running.stop().await;
}

#[tokio::test]
async fn a_stale_job_that_fails_rings_as_failing_and_a_restart_is_silent() {
    let house = House::new(Alerts { after: 1, ..to_ops() });
    let mut running = house.run(at(0), true).await;
    running.move_to(at(95));
    assert_eq!(running.arrival().await.1, "doorbell.job.stale");
    running.stop().await;

    let mut running = house.run(at(200), false).await;
    let (_, kind, data) = running.arrival().await;
    assert_eq!((kind.as_str(), &data["reason"]), ("doorbell.job.failing", &"the vendor is not there".into()));
    let told = running.store.events(&EventFilter::default()).await.unwrap().data;
    let kinds: Vec<_> = told.iter().rev().map(|event| (event.kind.as_str(), event.sequence)).collect();
    assert_eq!(kinds, [("doorbell.job.stale", 1), ("doorbell.job.failing", 2)]);
    running.stop().await;
}
