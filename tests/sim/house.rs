//! An engine over a real state, one vendor's job, and a receiver: what a history is played on.
//!
//! The state is shared by the histories of a test, each under a job of its own name, and begun anew now and then.

use std::cell::RefCell;
use std::env::VarError;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use doorbell::config::{self, Lookup};
use doorbell::core::config::Config;
use doorbell::core::delivery::Parcel;
use doorbell::core::hold::{Answer, Hold};
use doorbell::core::names::JobName;
use doorbell::core::observe::{AttemptSeen, Observer, PollSeen, Pulse};
use doorbell::core::sink::Sink;
use doorbell::core::time::Timestamp;
use doorbell::core::view::{EventDetail, EventFilter, EventView, PollEventView, PollReport, PollWish};
use doorbell::engine::clock::{Clock, Dice};
use doorbell::engine::tasks::Tasks;
use doorbell::engine::{Begin, Engine, World};
use doorbell::sink::{Sender, Sent};
use doorbell::store::Store;
use doorbell::store::sqlite::{Options, SqliteStore};
use tokio::sync::watch;

use crate::vendor::Vendor;

const BEGIN: Timestamp = Timestamp(1_795_000_000_000);

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

struct Nobody;

impl Observer for Nobody {
    fn poll_ended(&self, _seen: &PollSeen) {}
    fn attempt_ended(&self, _seen: &AttemptSeen) {}
}

#[async_trait]
impl Sender for Nobody {
    async fn send(&self, _sink: &Arc<Sink>, _parcel: &Parcel, _attempt: u32, _now: Timestamp) -> Sent {
        std::future::pending().await
    }
}

/// A config that is in no file.
struct Text(String);

impl Lookup for Text {
    fn variable(&self, _name: &str) -> Result<String, VarError> {
        Err(VarError::NotPresent)
    }

    fn read(&self, _path: &Path, _max: u64) -> io::Result<Vec<u8>> {
        Ok(self.0.clone().into_bytes())
    }

    fn list(&self, _directory: &Path) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn exists(&self, _path: &Path) -> bool {
        true
    }
}

/// Reads a config as a user writes it.
pub(crate) fn config(text: &str) -> Arc<Config> {
    let loaded = config::load(Path::new("/doorbell.toml"), &Text(text.to_owned()));
    Arc::new(loaded.unwrap_or_else(|problems| panic!("{}\n{text}", problems.render(false))).config)
}

/// A folder with a state in it: in memory where the system has such a place, for each poll waits for its disk.
fn folder() -> tempfile::TempDir {
    let memory = PathBuf::from("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.or_else(|_| tempfile::tempdir()).expect("a folder")
}

/// A state in a file, which can be closed and opened again.
pub(crate) struct Shelf {
    folder: tempfile::TempDir,
    store: RefCell<Option<Arc<dyn Store>>>,
}

impl Shelf {
    pub(crate) fn new() -> Self {
        let shelf = Self { folder: folder(), store: RefCell::default() };
        shelf.open();
        shelf
    }

    fn open(&self) {
        let options = Options { path: self.folder.path().join("doorbell.db"), uid_seed: 7, now: BEGIN };
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&options).expect("a state"));
        self.store.replace(Some(store));
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.borrow().clone().expect("an open state")
    }

    /// Closes the file, or drops it as a crash does, and opens it anew.
    async fn reopen(&self, dies: bool) {
        let store = self.store.take().expect("an open state");
        if !dies {
            store.close().await.expect("closed");
        }
        assert_eq!(Arc::strong_count(&store), 1, "nobody else has it");
        drop(store);
        self.open();
    }
}

/// A running engine, and what is outside of it.
pub(crate) struct House {
    shelf: Rc<Shelf>,
    vendor: Arc<Vendor>,
    hand: Arc<Hand>,
    config: Arc<Config>,
    engine: Option<Engine>,
    job: JobName,
}

impl House {
    pub(crate) async fn new(shelf: Rc<Shelf>, vendor: Arc<Vendor>, job: &str, config: Arc<Config>) -> Self {
        let hand = Arc::new(Hand(watch::channel(BEGIN).0));
        let mut house = Self { shelf, vendor, hand, config, engine: None, job: JobName::from(job) };
        house.start().await;
        house
    }

    async fn start(&mut self) {
        let world = World {
            clock: self.hand.clone(),
            dice: Arc::new(Even),
            fetcher: self.vendor.clone(),
            sender: Arc::new(Nobody),
            store: self.shelf.store(),
            observer: Arc::new(Nobody),
            pulse: Arc::new(Pulse::default()),
            tasks: Tasks::default(),
        };
        self.engine = Some(Engine::start(world, &self.config, Begin::WhenAsked).await.expect("started"));
    }

    pub(crate) async fn stop(&mut self) {
        if let Some(engine) = self.engine.take() {
            engine.stop().await;
        }
    }

    /// Ends what is under way, and begins again from what is written.
    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start().await;
    }

    /// Ends what is under way, and begins again from what is in the file.
    pub(crate) async fn reopen(&mut self, dies: bool) {
        self.stop().await;
        self.shelf.reopen(dies).await;
        self.start().await;
    }

    /// A person answers what is held; what it was, if anything.
    pub(crate) async fn answer(&self, answer: Answer) -> Option<Hold> {
        self.shelf.store().answer(&self.job, answer).await.expect("answered")
    }

    pub(crate) async fn revise(&mut self, config: Arc<Config>) {
        self.config = config.clone();
        let engine = self.engine.as_ref().expect("running");
        engine.handle.apply(config).await.expect("running").expect("applied");
    }

    pub(crate) fn wait(&self, time: Duration) {
        self.hand.0.send_modify(|now| *now = now.plus(time));
    }

    /// Polls; none when the daemon died meanwhile.
    pub(crate) async fn poll(&mut self, commit: bool) -> Option<PollReport> {
        let handle = self.engine.as_ref().expect("running").handle.clone();
        let report = tokio::select! {
            report = handle.poll(&self.job, PollWish { commit, ..PollWish::default() }) => Some(report.expect("polled")),
            () = self.vendor.dying.notified() => None,
        };
        drop(handle);
        if report.is_none() {
            self.restart().await;
        }
        report
    }

    /// The events that the state holds of an account, the oldest first.
    pub(crate) async fn events(&self, account: u8) -> Vec<EventView> {
        let filter = EventFilter {
            job: Some(self.job.to_string()),
            oldest_first: true,
            limit: Some(1_000),
            ..EventFilter::default()
        };
        let page = self.shelf.store().events(&filter).await.expect("events");
        assert!(page.next.is_none(), "more than are looked at");
        let of = |event: &EventView| event.scope.as_ref().and_then(|scope| scope["account"].as_u64()).unwrap_or(0);
        page.data.into_iter().filter(|event| of(event) == u64::from(account)).collect()
    }

    /// An event as a report shows it.
    pub(crate) async fn event(&self, id: &str) -> PollEventView {
        let EventDetail { event, body, .. } =
            self.shelf.store().event(id).await.expect("an archive").expect("an event that was listed");
        PollEventView {
            id: event.id,
            key: event.key,
            change: event.change,
            sinks: Vec::new(),
            body,
            bodies: Vec::new(),
        }
    }
}
