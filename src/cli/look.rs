//! How the commands that look find what they look at: the daemon's API where one runs, else the state file.
//!
//! What they show is in their own files.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::cli::client::{Client, ClientError, CommandError, Reach, Source};
use crate::cli::daemon::open_kept_state;
use crate::cli::table::Screen;
use crate::cli::{DONE, FAILED, USAGE, say};
use crate::config::{self, Loaded, SystemLookup};
use crate::core::config::Listen;
use crate::core::time::Timestamp;
use crate::engine::clock::{Clock, SystemClock};

/// Where a command gets its answers.
pub(super) enum Reached {
    /// A daemon may run there.
    Daemon(Client),
    /// The config says that a daemon can't be asked.
    Unreachable(Box<Loaded>),
}

/// Finds the daemon: at `--url`, for which no config is needed, or where the config says that it listens. Of the config
/// only `[daemon]` is read: who looks need not hold the secrets of jobs and sinks.
pub(super) fn reach(config: Option<&Path>, reach: &Reach) -> Result<Reached, u8> {
    let found = config::find(config).ok().and_then(|path| config::daemon(&path, &SystemLookup));
    let daemon = match (found, &reach.url) {
        (None, None) => Some(load(config)?.config.daemon),
        (found, _) => found,
    };
    let listen = daemon.as_ref().map_or(&Listen::Off, |daemon| &daemon.listen);
    let token = daemon.as_ref().and_then(|daemon| daemon.token.as_ref());
    match Client::new(reach, listen, token) {
        Ok(client) => Ok(Reached::Daemon(client)),
        Err(ClientError::Off) => Ok(Reached::Unreachable(Box::new(load(config)?))),
        Err(error) => {
            say::problem(&error.to_string(), None);
            Err(USAGE)
        }
    }
}

/// The whole config, for a command that has to work without a daemon.
pub(super) fn load(config: Option<&Path>) -> Result<Loaded, u8> {
    say::load(config).ok_or(USAGE)
}

/// Runs a command that looks, and gives its exit code.
pub(super) async fn look<F>(config: Option<&Path>, at: &Reach, command: F) -> u8
where
    F: AsyncFn(&Source, &mut Screen<'_>, Timestamp) -> Result<(), CommandError>,
{
    let loaded = match reach(config, at) {
        Ok(Reached::Daemon(client)) => match show(&Source::Api(client), &command).await {
            Err(CommandError::Client(error)) if error.is_no_daemon() && at.url.is_none() => load(config),
            found => return code(found),
        },
        Ok(Reached::Unreachable(loaded)) => Ok(*loaded),
        Err(code) => return code,
    };
    let loaded = match loaded {
        Ok(loaded) => loaded,
        Err(code) => return code,
    };
    match open_kept_state(&loaded.config) {
        Ok(archive) => {
            let source =
                Source::State { archive: archive.clone(), config: Arc::new(loaded.config), now: SystemClock.now() };
            let found = show(&source, &command).await;
            // Only looked at: there is nothing to lose.
            let _ = archive.close().await;
            code(found)
        }
        Err(code) => code,
    }
}

async fn show<F>(source: &Source, command: &F) -> Result<(), CommandError>
where
    F: AsyncFn(&Source, &mut Screen<'_>, Timestamp) -> Result<(), CommandError>,
{
    let mut out = io::stdout();
    command(source, &mut Screen::standard(&mut out), SystemClock.now()).await
}

/// The exit code; the reader of a pipe that has left is no failure.
pub(super) fn code(done: Result<(), CommandError>) -> u8 {
    match done {
        Ok(()) => DONE,
        Err(error) if error.is_closed_pipe() => DONE,
        Err(error) => {
            say::problem(&error.to_string(), None);
            FAILED
        }
    }
}
