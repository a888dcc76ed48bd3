//! The world that recorded polls are replayed in: the real engine, over a state, a clock and a vendor of its own.
//!
//! Nothing of it is left when it is over.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use async_trait::async_trait;

use super::alone;
use crate::admin::Metrics;
use crate::core::config::Config;
use crate::core::names::JobName;
use crate::core::observe::Pulse;
use crate::core::recording::Recording;
use crate::core::time::Timestamp;
use crate::core::view::{PollReport, PollWish};
use crate::engine::clock::{Clock, Dice, wall_clock};
use crate::engine::tasks::Tasks;
use crate::engine::{Begin, Engine, World};
use crate::net::auth::Credentialer;
use crate::sink::HttpSender;
use crate::source::RecordedFetcher;
use crate::store::Store;
use crate::store::sqlite::{Options, SqliteStore};

/// What events' ids are made with: the same each time.
const SEED: u64 = 0;

/// A poll that was replayed.
pub(super) struct Replayed {
    pub(super) report: PollReport,
    /// When it was recorded.
    pub(super) at: Timestamp,
    /// What was asked that the recording doesn't hold.
    pub(super) unknown: Vec<String>,
}

/// Replays polls of one job, one after the other.
///
/// # Errors
/// There is no place for a state, or it can't be written.
pub(super) async fn play(config: Config, job: &JobName, recordings: Vec<Recording>) -> Result<Vec<Replayed>, String> {
    let config = Arc::new(alone(config, job));
    let folder = Folder::new().map_err(|error| format!("there is no place for a temporary state: {error}"))?;
    let began = recordings.first().map_or(Timestamp(0), |first| first.at);
    let options = Options { path: folder.0.join("replay.db"), uid_seed: SEED, now: began };
    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&options).map_err(|error| error.to_string())?);
    let clock = Arc::new(RecordedClock(AtomicI64::new(began.0)));
    let told = clock.clone();
    let fetcher = Arc::new(RecordedFetcher::new(move |now| told.set(now)));
    let world = World {
        clock: clock.clone(),
        dice: Arc::new(Still),
        fetcher: fetcher.clone(),
        sender: Arc::new(HttpSender::new(Arc::new(Credentialer::alone(wall_clock)))),
        store: store.clone(),
        observer: Arc::new(Metrics::new(1, config.sinks.len(), env!("CARGO_PKG_VERSION"))),
        pulse: Arc::new(Pulse::default()),
        tasks: Tasks::default(),
    };
    let engine = Engine::start(world, &config, Begin::ToLook).await.map_err(|error| error.to_string())?;
    let mut replayed = Vec::with_capacity(recordings.len());
    for recording in recordings {
        clock.set(recording.at);
        fetcher.load(recording.exchanges);
        let wish = PollWish { commit: true, record: true };
        let report = engine.handle.poll(job, wish).await.ok_or("the poll was not made")?;
        replayed.push(Replayed { report, at: recording.at, unknown: fetcher.unknown() });
    }
    engine.stop().await;
    store.close().await.map_err(|error| error.to_string())?;
    Ok(replayed)
}

/// A folder that is gone when this is dropped.
struct Folder(PathBuf);

impl Folder {
    fn new() -> io::Result<Self> {
        let name = format!("doorbell-replay-{}-{:016x}", std::process::id(), fastrand::u64(..));
        let path = std::env::temp_dir().join(name);
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What can't be removed is the system's to clean.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// What time it was. It stands still between answers, and nobody is woken by it.
struct RecordedClock(AtomicI64);

impl RecordedClock {
    fn set(&self, now: Timestamp) {
        self.0.store(now.0, Ordering::Relaxed);
    }
}

#[async_trait]
impl Clock for RecordedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }

    async fn sleep_until(&self, _moment: Timestamp) {
        std::future::pending::<()>().await;
    }
}

/// Dice that always show the same.
struct Still;

impl Dice for Still {
    fn roll(&self) -> f64 {
        0.5
    }
}
