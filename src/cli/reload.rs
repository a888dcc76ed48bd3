//! Reading the config again while the daemon runs: on SIGHUP, when the API is asked, and when a file changes.
//!
//! A config is read whole and checked first; one with errors changes nothing, and what is wrong with it is told until
//! it is mended (promise L5). What the engine makes of another config is the engine's business.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Mutex as Turn;

use crate::admin::Refusal;
use crate::cli::operate::{internal, stopping};
use crate::config::{self, Loaded, Noting, Prints, Problem, Problems, Snapshot};
use crate::core::config::{Config, Daemon, Reload};
use crate::core::reload::{ConfigView, Edits, ReloadReport, restart};
use crate::engine::Handle;
use crate::engine::clock::{Clock, SystemClock};
use crate::systemd::Notifier;

/// How often the files are looked at, with `reload = "watch"`.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// For how long a change must have come to rest: an editor writes, renames and writes again.
const REST: Duration = Duration::from_millis(250);

/// Reads the config of a running daemon again.
pub(super) struct Reloader {
    path: PathBuf,
    handle: Handle,
    notifier: Arc<Notifier>,
    /// One reload at a time.
    known: Turn<Known>,
    view: Mutex<ConfigView>,
}

/// What the last reading found.
struct Known {
    /// Of the config in force.
    prints: Prints,
    /// Of the files that were read last, whatever came of them.
    snapshot: Snapshot,
    /// A change that has not come to rest.
    moving: Option<Snapshot>,
}

/// Reads a config, with a note of all that was looked at.
fn read(path: &Path) -> (Result<Loaded, Problems>, Snapshot) {
    let noting = Noting::default();
    (config::load(path, &noting), noting.seen())
}

impl Reloader {
    /// For a daemon that runs under a config that was read from `path`.
    pub(super) fn new(
        path: PathBuf,
        (prints, snapshot): (Prints, Snapshot),
        handle: Handle,
        notifier: Arc<Notifier>,
    ) -> Arc<Self> {
        let view = ConfigView { loaded: Some(SystemClock.now()), ..ConfigView::default() };
        let known = Known { prints, snapshot, moving: None };
        Arc::new(Self { path, handle, notifier, known: Turn::new(known), view: Mutex::new(view) })
    }

    /// Whether the config on disk is in force.
    pub(super) fn view(&self) -> ConfigView {
        self.view.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How long until the files have to be looked at; `None` when they are not watched.
    pub(super) fn look_within(&self) -> Option<Duration> {
        let watches = self.handle.config().daemon.reload == Reload::Watch;
        let moving = self.known.try_lock().is_ok_and(|known| known.moving.is_some());
        watches.then_some(if moving { REST } else { LOOK_EVERY })
    }

    /// Looks at the files, and reads them again once a change has come to rest.
    pub(super) async fn look(self: &Arc<Self>) {
        let rests = {
            let Ok(mut known) = self.known.try_lock() else { return };
            let now = known.snapshot.again();
            let rests = known.moving.as_ref() == Some(&now);
            known.moving = (now != known.snapshot).then_some(now);
            rests && known.moving.is_some()
        };
        if rests {
            // What came of it is in the log.
            let _ = self.reload("a file changed").await;
        }
    }

    /// Reads the config again; an error leaves the one before in force. Goes on to its end when whoever asked goes.
    ///
    /// # Errors
    ///
    /// The config has errors, the state can't be written, or the daemon is stopping.
    pub(super) async fn reload(self: &Arc<Self>, why: &'static str) -> Result<ReloadReport, Refusal> {
        let reloader = Arc::clone(self);
        self.handle.to_its_end(async move { reloader.reload_now(why).await }).await.unwrap_or_else(|| Err(stopping()))
    }

    async fn reload_now(&self, why: &str) -> Result<ReloadReport, Refusal> {
        let mut known = self.known.lock().await;
        self.notifier.reloading();
        let path = self.path.clone();
        let (loaded, snapshot) = self.handle.compute(move || read(&path)).await;
        (known.snapshot, known.moving) = (snapshot, None);
        let done = match loaded {
            Ok(loaded) => self.take_over(&mut known, loaded).await,
            Err(problems) => Err(invalid(&problems)),
        };
        self.tell(why, &done);
        self.notifier.ready(&self.status());
        done
    }

    async fn take_over(&self, known: &mut Known, loaded: Loaded) -> Result<ReloadReport, Refusal> {
        let before = self.handle.config();
        let report = ReloadReport {
            jobs: Edits::between(&known.prints.jobs, &loaded.prints.jobs),
            sinks: Edits::between(&known.prints.sinks, &loaded.prints.sinks),
            restart: restart(&before.daemon, &loaded.config.daemon),
            warnings: loaded.warnings.iter().map(shown).collect(),
        };
        let Daemon { state, listen, token, .. } = before.daemon.clone();
        let daemon = Daemon { state, listen, token, ..loaded.config.daemon.clone() };
        let config = Arc::new(Config { daemon, ..loaded.config });
        self.handle.apply(config).await.ok_or_else(stopping)?.map_err(internal)?;
        known.prints = loaded.prints;
        Ok(report)
    }

    fn tell(&self, why: &str, done: &Result<ReloadReport, Refusal>) {
        let now = SystemClock.now();
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        match done {
            Ok(report) => {
                *view = ConfigView { loaded: Some(now), restart: report.restart.clone(), ..ConfigView::default() };
                for warning in &report.warnings {
                    tracing::warn!(warning, "the config");
                }
                if !report.restart.is_empty() {
                    tracing::warn!(settings = report.restart.join(", "), "edited, but not in force: restart for them");
                }
                match report.is_none() {
                    true => tracing::info!(why, "config read again: it says what it said before"),
                    false => tracing::info!(why, edits = report.sentence(), "config read again"),
                }
            }
            Err(refusal) => {
                let problem = refusal.to_string();
                tracing::error!(why, problem, "config read again, and refused: the one before stays in force");
                if let Refusal::Invalid { errors, .. } = refusal {
                    errors.iter().for_each(|error| tracing::error!("{error}"));
                }
                view.since = view.since.filter(|_| view.problem.is_some()).or(Some(now));
                view.problem = Some(problem);
            }
        }
    }

    /// The line that `systemctl status` shows.
    pub(super) fn status(&self) -> String {
        let config = self.handle.config();
        let line = format!("{} jobs, {} sinks", config.jobs.len(), config.sinks.len());
        match self.view().problem {
            Some(problem) => format!("{line}; the config on disk is not in force: {problem}"),
            None => line,
        }
    }
}

fn invalid(problems: &Problems) -> Refusal {
    let first = problems.iter().find(|problem| problem.severity() == config::Severity::Error);
    let first = first.map(|problem| format!(": {}", problem.message())).unwrap_or_default();
    let detail = format!("{}{first}", problems.summary());
    Refusal::Invalid { detail, errors: problems.iter().map(shown).collect() }
}

fn shown(problem: &Problem) -> String {
    problem.render(false).trim_end().to_owned()
}
