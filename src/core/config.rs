//! A whole config as it is meant: what the composition root builds the daemon from.
//!
//! How it is written, and what is wrong with it, is the config room's business.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::core::alert::Alerts;
use crate::core::job::Job;
use crate::core::names::{JobName, SinkName};
use crate::core::polite::Vendor;
use crate::core::secret::Secret;
use crate::core::sink::Sink;

/// A config without problems.
#[derive(Debug)]
pub struct Config {
    /// The daemon's own settings.
    pub daemon: Daemon,
    /// In the order of their names.
    pub jobs: Vec<Arc<Job>>,
    /// In the order of their names.
    pub vendors: Vec<Vendor>,
    /// In the order of their names.
    pub sinks: Vec<Arc<Sink>>,
    /// Who is told of Doorbell's own troubles, and when.
    pub alerts: Alerts,
    /// What its `${…}` yielded, to be left out of what is written down.
    pub secrets: Vec<Secret>,
}

impl Config {
    /// The names of all jobs.
    pub fn job_names(&self) -> Vec<JobName> {
        self.jobs.iter().map(|job| job.name.clone()).collect()
    }

    /// The names of all sinks.
    pub fn sink_names(&self) -> Vec<SinkName> {
        self.sinks.iter().map(|sink| sink.name.clone()).collect()
    }

    /// Jobs that had another name before.
    pub fn renames(&self) -> Vec<Rename> {
        let renamed = |job: &Arc<Job>| Some(Rename { old: job.rename.clone()?, new: job.name.clone() });
        self.jobs.iter().filter_map(renamed).collect()
    }

    /// The job with this name.
    pub fn job(&self, name: &JobName) -> Option<&Arc<Job>> {
        self.jobs.binary_search_by(|job| job.name.cmp(name)).ok().map(|at| &self.jobs[at])
    }

    /// The sink with this name.
    pub fn sink(&self, name: &SinkName) -> Option<&Arc<Sink>> {
        self.sinks.binary_search_by(|sink| sink.name.cmp(name)).ok().map(|at| &self.sinks[at])
    }
}

/// A job that had another name before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rename {
    /// The name before.
    pub old: JobName,
    /// The name now.
    pub new: JobName,
}

/// The daemon's own settings.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// The state file.
    pub state: PathBuf,
    /// Where the API, the metrics and the health checks are.
    pub listen: Listen,
    /// What a caller of the API must show.
    pub token: Option<Secret>,
    /// Polls in flight at once.
    pub concurrency: usize,
    /// When the config is read again.
    pub reload: Reload,
    /// How long delivered events, attempts and ledger rows of items that are gone are kept.
    pub retention: Duration,
}

/// When the config is read again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reload {
    /// When a person says so: SIGHUP, or the API.
    #[default]
    Signal,
    /// When a file changes, too.
    Watch,
}

/// Where the daemon listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// Nowhere.
    Off,
    /// On a TCP address; port 0 takes any free one.
    Tcp(SocketAddr),
    /// On a Unix socket.
    Unix(PathBuf),
}
