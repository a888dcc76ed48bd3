//! The daemon's parts, put together: state, engine, API. Used by `run`, by `demo`, and by commands that work without
//! a daemon.
//!
//! The composition root: the only place that names a concrete store, fetcher and sender.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::admin::{self, AdminState, Controls, Listener, Metrics, Readiness, Refusal, nearest};
use crate::cli::client::ClientError;
use crate::cli::operate::{self, internal, stopping};
use crate::cli::reload::Reloader;
use crate::cli::vault::StateVault;
use crate::cli::{FAILED, STATE_IN_USE, say};
use crate::core::config::{Config, Listen};
use crate::core::hold::Answer;
use crate::core::names::{JobName, SinkName};
use crate::core::observe::Pulse;
use crate::core::operate::{
    AnswerReport, DropFilter, DropReport, PauseReport, ReplayFilter, ReplayHow, ReplayReport, RetryReport,
};
use crate::core::reload::{ConfigView, ReloadReport};
use crate::core::view::{JobView, PollReport, PollWish, SinkView, TestReport, VendorView};
use crate::engine::clock::{Clock, SystemClock, SystemDice, wall_clock};
use crate::engine::tasks::Tasks;
use crate::engine::{Begin, Engine, Handle, World};
use crate::net::auth::Credentialer;
use crate::sink::HttpSender;
use crate::source::HttpFetcher;
use crate::store::sqlite::{Options, SqliteStore};
use crate::store::{OpenError, Store, StoreError};

/// A daemon that runs in this process.
pub(super) struct Daemon {
    /// How to ask its engine.
    pub(super) handle: Handle,
    /// Its memory.
    pub(super) store: Arc<dyn Store>,
    /// When its parts last made progress.
    pub(super) pulse: Arc<Pulse>,
    engine: Engine,
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
    api: Tasks,
    api_shutdown: CancellationToken,
}

/// Who asked where the config says that the daemon listens, and found nobody but a state in use.
const EDITED: &str = "if `listen` was edited since that process started, it answers at the old address until it is \
                      restarted: ask it there, with `--url`";

/// Opens the state that the config names; says why it can't, and gives the exit code.
pub(super) fn open_state(config: &Config) -> Result<Arc<dyn Store>, u8> {
    open(config, |why| say::problem(why, None))
}

/// As [`open_state`], for a command that would rather have asked the daemon: where `listen` is off, that is what is said.
pub(super) fn open_idle_state(config: &Config) -> Result<Arc<dyn Store>, u8> {
    open(config, |why| match config.daemon.listen {
        Listen::Off => say::problem(&ClientError::Off.to_string(), None),
        Listen::Tcp(_) | Listen::Unix(_) => say::problem(why, Some(EDITED)),
    })
}

/// As [`open_idle_state`], for a command that has no use for a state which no daemon has made yet.
pub(super) fn open_kept_state(config: &Config) -> Result<Arc<dyn Store>, u8> {
    if !config.daemon.state.exists() {
        say::problem(
            &format!("no daemon runs, and there is no state `{}` yet", config.daemon.state.display()),
            Some("start it with `doorbell run`, or make a first poll with `doorbell poll JOB --commit`"),
        );
        return Err(FAILED);
    }
    open_idle_state(config)
}

/// The state, if there is one and it can be had.
pub(super) fn idle_state(config: &Config) -> Option<impl Store + use<>> {
    config.daemon.state.exists().then(|| SqliteStore::open(&options(config)).ok()).flatten()
}

fn options(config: &Config) -> Options {
    Options { path: config.daemon.state.clone(), uid_seed: fastrand::u64(..), now: SystemClock.now() }
}

fn open(config: &Config, say_locked: impl FnOnce(&str)) -> Result<Arc<dyn Store>, u8> {
    match SqliteStore::open(&options(config)) {
        Ok(store) => Ok(Arc::new(store)),
        Err(OpenError::Locked(why)) => {
            say_locked(&why);
            Err(STATE_IN_USE)
        }
        Err(OpenError::Refused(why)) => {
            say::problem(&why, None);
            Err(FAILED)
        }
    }
}

/// The state's folder: what is large goes there for a while, to a disk that is meant for it.
fn beside(state: &Path) -> PathBuf {
    let folder = state.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).to_owned()
}

impl Daemon {
    /// Starts the engine over an open state.
    pub(super) async fn start(config: &Arc<Config>, store: Arc<dyn Store>, begin: Begin) -> Result<Self, StoreError> {
        let metrics = Arc::new(Metrics::new(config.jobs.len(), config.sinks.len(), env!("CARGO_PKG_VERSION")));
        let pulse = Arc::new(Pulse::default());
        let tasks = Tasks::default();
        let spawn = {
            let tasks = tasks.clone();
            Arc::new(move |work: BoxFuture<'static, ()>| tasks.spawn(work))
        };
        let vault = Arc::new(StateVault(store.clone()));
        let credentialer = Arc::new(Credentialer::new(wall_clock, spawn, vault));
        let world = World {
            clock: Arc::new(SystemClock),
            dice: Arc::new(SystemDice),
            fetcher: Arc::new(
                HttpFetcher::new(wall_clock, credentialer.clone()).spooling_to(beside(&config.daemon.state)),
            ),
            sender: Arc::new(HttpSender::new(credentialer)),
            store: store.clone(),
            observer: metrics.clone(),
            pulse: pulse.clone(),
            tasks,
        };
        let engine = Engine::start(world, config, begin).await?;
        Ok(Self {
            handle: engine.handle.clone(),
            store,
            pulse,
            engine,
            metrics,
            readiness: Arc::new(Readiness::default()),
            api: Tasks::default(),
            api_shutdown: CancellationToken::new(),
        })
    }

    /// Serves the API, the metrics and the health checks on a listener that is bound.
    pub(super) fn serve(&self, listener: Listener, config: &Config, reloader: Option<Arc<Reloader>>) {
        let state = AdminState {
            controls: Arc::new(EngineControls { handle: self.handle.clone(), store: self.store.clone(), reloader }),
            archive: self.store.clone(),
            metrics: self.metrics.clone(),
            pulse: self.pulse.clone(),
            readiness: self.readiness.clone(),
            now: Arc::new(|| SystemClock.now()),
            started: SystemClock.now(),
            token: config.daemon.token.clone(),
        };
        let shutdown = self.api_shutdown.clone();
        self.api.spawn(async move {
            if let Err(error) = admin::serve(listener, state, shutdown).await {
                tracing::error!(%error, "the API stopped");
            }
        });
        self.readiness.set_ready();
    }

    /// Stops in order: not ready any more, no new work, attempts under way end, the API closes, the state is closed.
    pub(super) async fn stop(self) -> Result<(), StoreError> {
        self.readiness.set_draining();
        drop(self.handle);
        self.engine.stop().await;
        self.api_shutdown.cancel();
        self.api.wait().await;
        self.store.close().await
    }
}

/// What the API asks for, answered by the engine and the store.
struct EngineControls {
    handle: Handle,
    store: Arc<dyn Store>,
    /// None for a daemon that has no config file.
    reloader: Option<Arc<Reloader>>,
}

#[async_trait]
impl Controls for EngineControls {
    async fn jobs(&self) -> Result<Vec<JobView>, Refusal> {
        let records: std::collections::HashMap<_, _> = self.store.jobs().await.map_err(internal)?.into_iter().collect();
        let runs = self.handle.runs().await;
        let config = self.handle.config();
        let jobs = config.jobs.iter();
        let views = jobs.map(|job| {
            let run = runs.get(&job.name);
            let record = records.get(&job.name).cloned().unwrap_or_default();
            let view = admin::job_view(job, &record, run.is_some_and(|run| run.running), run.and_then(|run| run.due));
            let view = JobView { reason: view.reason.or_else(|| self.handle.failed_expressions(&job.name)), ..view };
            let (blocked, waits) = run.map(|run| (run.blocked.clone(), run.waits.clone())).unwrap_or_default();
            match (blocked, waits) {
                // How soon its sink has room again nobody knows.
                (Some(blocked), _) => {
                    JobView { health: "paused".to_owned(), reason: Some(blocked), next_run: None, ..view }
                }
                (None, Some(waits)) => waiting(view, waits),
                (None, None) => view,
            }
        });
        Ok(views.collect())
    }

    async fn sinks(&self) -> Result<Vec<SinkView>, Refusal> {
        let states = self.store.sinks().await.map_err(internal)?;
        let states: std::collections::HashMap<_, _> =
            states.into_iter().map(|(name, state, queue)| (name, (state, queue))).collect();
        let now = SystemClock.now();
        let config = self.handle.config();
        let views = config.sinks.iter().map(|sink| {
            let (state, queue) = states.get(&sink.name).cloned().unwrap_or_default();
            let view = admin::sink_view(sink, &state, &queue, now);
            match self.handle.full(&sink.name) {
                // Its jobs are paused until a tenth below the limit.
                Some(full) if matches!(view.health.as_str(), "ok" | "waiting" | "failing") => {
                    SinkView { health: "full".to_owned(), reason: Some(full), ..view }
                }
                _ => view,
            }
        });
        Ok(views.collect())
    }

    async fn vendors(&self) -> Result<Vec<VendorView>, Refusal> {
        Ok(self.handle.vendors())
    }

    async fn poll(&self, job: &JobName, wish: PollWish) -> Result<PollReport, Refusal> {
        self.known_job(job)?;
        self.handle.poll(job, wish).await.ok_or_else(stopping)
    }

    async fn test(&self, sink: &SinkName) -> Result<TestReport, Refusal> {
        self.known_sink(sink)?;
        operate::may_ask(&*self.store, sink, SystemClock.now()).await?;
        self.handle.test(sink).await.ok_or_else(stopping)
    }

    async fn pause_job(&self, job: &JobName, paused: bool) -> Result<PauseReport, Refusal> {
        self.known_job(job)?;
        operate::pause_job(&self.handle, job, paused).await
    }

    async fn answer(&self, job: &JobName, answer: Answer) -> Result<AnswerReport, Refusal> {
        self.known_job(job)?;
        operate::answer(&self.handle, job, answer).await
    }

    async fn pause_sink(&self, sink: &SinkName, paused: bool) -> Result<PauseReport, Refusal> {
        self.known_sink(sink)?;
        operate::pause_sink(&self.handle, sink, paused).await
    }

    async fn replay(&self, filter: &ReplayFilter, how: ReplayHow) -> Result<ReplayReport, Refusal> {
        operate::replay(&self.handle, &*self.store, filter, how).await
    }

    async fn drop_held(&self, filter: &DropFilter, dry_run: bool) -> Result<DropReport, Refusal> {
        operate::drop_held(&self.handle, &*self.store, filter, dry_run).await
    }

    async fn retry(&self, delivery: i64) -> Result<RetryReport, Refusal> {
        operate::retry(&self.handle, delivery).await
    }

    async fn reload(&self) -> Result<ReloadReport, Refusal> {
        match &self.reloader {
            Some(reloader) => reloader.reload("the API was asked").await,
            None => Err(Refusal::Conflict("this daemon has no config file that could be read again".to_owned())),
        }
    }

    fn config(&self) -> ConfigView {
        self.reloader.as_ref().map(|reloader| reloader.view()).unwrap_or_default()
    }
}

impl EngineControls {
    fn known_job(&self, job: &JobName) -> Result<(), Refusal> {
        let config = self.handle.config();
        let names = config.jobs.iter().map(|job| job.name.as_str());
        config.job(job).map(drop).ok_or_else(|| Refusal::NotFound(unknown("job", job.as_str(), names)))
    }

    fn known_sink(&self, sink: &SinkName) -> Result<(), Refusal> {
        let config = self.handle.config();
        let names = config.sinks.iter().map(|sink| sink.name.as_str());
        config.sink(sink).map(drop).ok_or_else(|| Refusal::NotFound(unknown("sink", sink.as_str(), names)))
    }
}

/// A job that waits for its vendor; that it fails is the worse news.
fn waiting(view: JobView, waits: String) -> JobView {
    match view.health.as_str() {
        "failing" => {
            let reason = view.reason.into_iter().chain([waits]).collect::<Vec<_>>().join("; ");
            JobView { reason: Some(reason), ..view }
        }
        _ => JobView { health: "waiting".to_owned(), reason: Some(waits), ..view },
    }
}

/// There is no such thing; the nearest, or all there are.
pub(super) fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    // A job and a sink may have one name.
    let mut names: Vec<&str> = Vec::new();
    for name in known.clone() {
        if names.len() < 10 && !names.contains(&name) {
            names.push(name);
        }
    }
    match (nearest(name, known), names.is_empty()) {
        (Some(nearest), _) => format!("there is no {what} `{name}`; did you mean `{nearest}`?"),
        (None, false) => format!("there is no {what} `{name}`; there are `{}`", names.join("`, `")),
        (None, true) => format!("there is no {what} `{name}`: the config has none"),
    }
}
