//! `doorbell run`: starts the daemon, tells systemd, and waits for a signal.
//!
//! What the daemon is made of is in `daemon.rs`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures_util::FutureExt;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::admin::Listener;
use crate::cli::daemon::{Daemon, open_state};
use crate::cli::reload::Reloader;
use crate::cli::say::Read;
use crate::cli::{DONE, FAILED, USAGE, say};
use crate::core::config::Listen;
use crate::engine::Begin;
use crate::engine::clock::{Clock, SystemClock};
use crate::systemd::{Notifier, watchdog_due, watchdog_interval};
use crate::telemetry::{self, LogArgs};

/// How often `systemctl status` gets a new line, where systemd asks for no watchdog.
const STATUS_EVERY: Duration = Duration::from_secs(30);

/// Run the daemon
#[derive(Debug, Args)]
#[command(after_help = "\
SIGTERM and SIGINT drain: no new poll or delivery begins, deliveries on their way end. A second one ends at once.
SIGHUP reads the config again; one with errors changes nothing. With `reload = \"watch\"` so does a change of a file.

Examples:
  doorbell run -c /etc/doorbell/doorbell.toml
  doorbell run --log json --log-level debug")]
pub(super) struct RunArgs {
    #[command(flatten)]
    log: LogArgs,
}

pub(super) async fn run(config: Option<&Path>, args: RunArgs) -> u8 {
    let Some((path, reading)) = say::read(config) else { return USAGE };
    if let Err(why) = telemetry::init(&args.log) {
        say::problem(&why, None);
        return USAGE;
    }
    match start(path, reading).await {
        Ok((daemon, reloader, notifier, signals)) => serve(daemon, &reloader, &notifier, signals).await,
        Err(code) => code,
    }
}

/// All that can fail, before anything is served.
async fn start(path: PathBuf, reading: Read) -> Result<(Daemon, Arc<Reloader>, Arc<Notifier>, Signals), u8> {
    let Read { loaded, snapshot } = reading;
    let config = &Arc::new(loaded.config);
    let failed = |what: String| {
        say::problem(&what, None);
        FAILED
    };
    let notifier = Notifier::from_env().map_err(|error| failed(format!("NOTIFY_SOCKET can't be used: {error}")))?;
    let notifier = Arc::new(notifier);
    let signals = Signals::catch().map_err(|error| failed(format!("signals can't be caught: {error}")))?;
    let store = open_state(config)?;
    let listener = Listener::bind(&config.daemon.listen).await;
    let listener = listener.map_err(|error| failed(unbound(&config.daemon.listen, &error)))?;
    let daemon = Daemon::start(config, store, Begin::OnSchedule).await;
    let daemon = daemon.map_err(|error| failed(format!("the daemon can't start: {error}")))?;
    let reloader = Reloader::new(path, (loaded.prints, snapshot), daemon.handle.clone(), Arc::clone(&notifier));
    if let Some(listener) = listener {
        let address =
            listener.tcp_address().map_or_else(|| shown(&config.daemon.listen), |address| address.to_string());
        tracing::info!(addr = address, "listening");
        daemon.serve(listener, config, Some(Arc::clone(&reloader)));
    }
    Ok((daemon, reloader, notifier, signals))
}

/// Waits for a signal, feeding the watchdog as long as there is progress; then drains.
async fn serve(daemon: Daemon, reloader: &Arc<Reloader>, notifier: &Notifier, mut signals: Signals) -> u8 {
    let config = daemon.handle.config();
    let (jobs, sinks) = (config.jobs.len(), config.sinks.len());
    let version = env!("CARGO_PKG_VERSION");
    tracing::info!(version, jobs, sinks, state = %config.daemon.state.display(), "ready");
    notifier.ready(&format!("{jobs} jobs, {sinks} sinks"));
    let started = SystemClock.now();
    let pause = watchdog_interval().unwrap_or(STATUS_EVERY);
    loop {
        if watchdog_interval().is_some() && watchdog_due(&daemon.pulse, started, SystemClock.now()) {
            notifier.watchdog();
        }
        let pause = reloader.look_within().map_or(pause, |within| within.min(pause));
        let work = match tokio::time::timeout(pause, signals.next()).await {
            Ok(Asked::Stop) => break,
            // What came of it is in the log, and in the daemon's status.
            Ok(Asked::Reload) => reloader.reload("SIGHUP").map(drop).boxed(),
            Err(_) if reloader.look_within().is_some() => reloader.look().boxed(),
            Err(_) => continue,
        };
        tokio::select! {
            () = work => {}
            () = signals.stop() => break,
        }
    }
    tracing::info!("stopping: deliveries on their way end; a second signal ends at once");
    notifier.stopping("draining");
    tokio::select! {
        stopped = daemon.stop() => finish(stopped.map_err(|error| error.to_string())),
        () = signals.stop() => {
            tracing::warn!("second signal: ended at once; what was on its way is sent again at the next start");
            FAILED
        }
    }
}

fn finish(stopped: Result<(), String>) -> u8 {
    match stopped {
        Ok(()) => {
            tracing::info!("stopped");
            DONE
        }
        Err(error) => {
            tracing::error!(error, "the state could not be closed");
            FAILED
        }
    }
}

/// What a signal asks for.
enum Asked {
    Stop,
    Reload,
}

/// The signals that a daemon obeys.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Signals {
    fn catch() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    async fn stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.hang_up.recv() => Asked::Reload,
        }
    }
}

fn shown(listen: &Listen) -> String {
    match listen {
        Listen::Off => "off".to_owned(),
        Listen::Tcp(address) => address.to_string(),
        Listen::Unix(path) => format!("unix:{}", path.display()),
    }
}

fn unbound(listen: &Listen, error: &std::io::Error) -> String {
    let address = shown(listen);
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            format!(
                "`listen` is `{address}`, which another process uses; choose another, or `127.0.0.1:0` for any free port"
            )
        }
        _ => format!("`listen` is `{address}`, which can't be bound: {error}"),
    }
}
