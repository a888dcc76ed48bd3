//! `doorbell run`: builds the daemon from its parts, tells systemd, and waits for a signal.
//!
//! The composition root: the only place that names a concrete store, fetcher and sender.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::admin::{self, AdminState, Listener, Metrics};
use crate::cli::{DONE, FAILED, STATE_IN_USE, USAGE, say};
use crate::core::config::Config;
use crate::core::observe::{Observer, Pulse};
use crate::engine::clock::{Clock, SystemClock, SystemDice};
use crate::engine::tasks::Tasks;
use crate::engine::{Engine, World};
use crate::sink::HttpSender;
use crate::source::HttpFetcher;
use crate::store::sqlite::SqliteStore;
use crate::store::{OpenError, Store};
use crate::systemd::Notifier;
use crate::telemetry::{self, LogArgs};

/// Arguments of `doorbell run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    #[command(flatten)]
    log: LogArgs,
}
