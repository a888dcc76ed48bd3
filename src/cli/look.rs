//! How the commands that look find what they look at: the daemon's API where one runs, else the state file.
//!
//! What they show is in their own files.

use std::io;
use std::path::Path;
use std::sync::Arc;

use crate::cli::client::{Client, ClientError, CommandError, Reach, Source};
use crate::cli::daemon::open_state;
use crate::cli::table::Screen;
use crate::cli::{DONE, FAILED, STATE_IN_USE, USAGE, say};
use crate::config::Loaded;
use crate::core::config::Listen;
use crate::core::time::Timestamp;
use crate::engine::clock::{Clock, SystemClock};

/// Where a command gets its answers.
pub(super) enum Reached {
    /// A daemon may run there.
    Daemon(Client, Option<Loaded>),
    /// The config says that a daemon can't be asked.
    Unreachable(Loaded),
}

/// Finds the daemon: at `--url`, for which no config is needed, or where the config says that it listens.
pub(super) fn reach(config: Option<&Path>, reach: &Reach) -> Result<Reached, u8> {
    let loaded = match (config, &reach.url) {
        (None, Some(_)) if crate::config::find(None).is_err() => None,
        _ => Some(say::load(config).ok_or(USAGE)?),
    };
    let listen = loaded.as_ref().map_or(&Listen::Off, |loaded| &loaded.config.daemon.listen);
    let token = loaded.as_ref().and_then(|loaded| loaded.config.daemon.token.as_ref());
    match (Client::new(reach, listen, token), loaded) {
        (Ok(client), loaded) => Ok(Reached::Daemon(client, loaded)),
        (Err(ClientError::Off), Some(loaded)) => Ok(Reached::Unreachable(loaded)),
        (Err(error), _) => {
            say::problem(&error.to_string(), None);
            Err(USAGE)
        }
    }
}

/// Runs a command that looks, and gives its exit code.
pub(super) async fn look<F>(config: Option<&Path>, at: &Reach, command: F) -> u8
where
    F: AsyncFn(&Source, &mut Screen<'_>, Timestamp) -> Result<(), CommandError>,
{
    let loaded = match reach(config, at) {
        Ok(Reached::Daemon(client, loaded)) => {
            let found = show(&Source::Api(client), &command).await;
            match (found, loaded) {
                (Err(CommandError::Client(error)), Some(loaded)) if error.is_no_daemon() && at.url.is_none() => loaded,
                (found, _) => return code(found),
            }
        }
        Ok(Reached::Unreachable(loaded)) => loaded,
        Err(code) => return code,
    };
    if !loaded.config.daemon.state.exists() {
        say::problem(
            &format!("no daemon runs, and there is no state `{}` yet", loaded.config.daemon.state.display()),
            Some("start it with `doorbell run`, or make a first poll with `doorbell poll JOB --commit`"),
        );
        return FAILED;
    }
    match open_state(&loaded.config) {
        Ok(archive) => {
            let source =
                Source::State { archive: archive.clone(), config: Arc::new(loaded.config), now: SystemClock.now() };
            let found = show(&source, &command).await;
            // Only looked at: there is nothing to lose.
            let _ = archive.close().await;
            code(found)
        }
        Err(STATE_IN_USE) if loaded.config.daemon.listen == Listen::Off => {
            say::problem(&ClientError::Off.to_string(), None);
            STATE_IN_USE
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
