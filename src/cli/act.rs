//! How the commands that change something reach what they change: the daemon's API where one runs, else the state file.
//!
//! What they change is in their own files.

use std::path::Path;
use std::sync::Arc;

use crate::admin::Refusal;
use crate::cli::client::{Client, CommandError, Reach};
use crate::cli::daemon::{open_idle_state, open_kept_state};
use crate::cli::look::{Reached, code, load, reach};
use crate::cli::operate::{answered, known_event, known_names};
use crate::cli::{DONE, FAILED, say};
use crate::core::config::Config;
use crate::core::hold::Answer;
use crate::core::names::{JobName, SinkName};
use crate::core::operate::{AnswerReport, DropFilter, DropReport, PauseReport, ReplayFilter, ReplayHow, ReplayReport};
use crate::engine::clock::{Clock, SystemClock};
use crate::engine::{adopt, drop_all, pause_job, pause_sink, replay_all};
use crate::store::Store;

/// What a command changes things with.
pub(super) enum Hands {
    /// A daemon runs.
    Api(Client),
    /// None does: the state itself, and the config that it belongs to.
    State(Arc<dyn Store>, Arc<Config>),
}

/// The names of all jobs and of all sinks of the config.
pub(super) struct Names {
    pub(super) jobs: Vec<String>,
    pub(super) sinks: Vec<String>,
}

impl From<Refusal> for CommandError {
    fn from(refusal: Refusal) -> Self {
        Self::Asked(refusal.to_string())
    }
}

impl Hands {
    /// True when what is queued goes at once.
    pub(super) fn at_once(&self) -> bool {
        matches!(self, Self::Api(_))
    }

    /// What there is.
    ///
    /// # Errors
    ///
    /// The daemon does not answer.
    pub(super) async fn names(&self) -> Result<Names, CommandError> {
        match self {
            Self::Api(client) => Ok(Names {
                jobs: client.jobs().await?.into_iter().map(|job| job.name).collect(),
                sinks: client.sinks().await?.into_iter().map(|sink| sink.name).collect(),
            }),
            Self::State(_, config) => Ok(Names {
                jobs: config.jobs.iter().map(|job| job.name.to_string()).collect(),
                sinks: config.sinks.iter().map(|sink| sink.name.to_string()).collect(),
            }),
        }
    }

    /// Pauses or resumes a job of the config.
    ///
    /// # Errors
    ///
    /// The daemon or the state does not answer.
    pub(super) async fn pause_job(&self, name: &str, paused: bool) -> Result<PauseReport, CommandError> {
        match self {
            Self::Api(client) => Ok(client.pause("jobs", name, paused).await?),
            Self::State(store, config) => {
                adopt(&**store, config, SystemClock.now()).await?;
                Ok(pause_job(&**store, &JobName::from(name), paused, SystemClock.now()).await?)
            }
        }
    }

    /// Answers what a job of the config holds.
    ///
    /// # Errors
    ///
    /// The daemon or the state does not answer, or the job holds nothing that can be answered so.
    pub(super) async fn answer(&self, name: &str, answer: Answer) -> Result<AnswerReport, CommandError> {
        match self {
            Self::Api(client) => Ok(client.answer(name, answer).await?),
            Self::State(store, config) => {
                adopt(&**store, config, SystemClock.now()).await?;
                let held = store.answer(&JobName::from(name), answer).await?;
                Ok(answered(name, answer, held)?)
            }
        }
    }

    /// Pauses or resumes a sink of the config.
    ///
    /// # Errors
    ///
    /// The daemon or the state does not answer.
    pub(super) async fn pause_sink(&self, name: &str, paused: bool) -> Result<PauseReport, CommandError> {
        match self {
            Self::Api(client) => Ok(client.pause("sinks", name, paused).await?),
            Self::State(store, config) => {
                adopt(&**store, config, SystemClock.now()).await?;
                Ok(pause_sink(&**store, &SinkName::from(name), paused, SystemClock.now()).await?)
            }
        }
    }

    /// Sends again what has ended, or only counts it.
    ///
    /// # Errors
    ///
    /// The daemon or the state does not answer, or a name of the filter is none.
    pub(super) async fn replay(&self, filter: &ReplayFilter, how: ReplayHow) -> Result<ReplayReport, CommandError> {
        match self {
            Self::Api(client) => Ok(client.replay(filter, how).await?),
            Self::State(store, config) => {
                known_event(&**store, filter.event.as_deref()).await?;
                let (job, sink) = unheard_of(config, filter.job.as_deref(), filter.sink.as_deref());
                known_names(&**store, job, sink).await?;
                Ok(replay_all(&**store, config, filter, how, SystemClock.now()).await?)
            }
        }
    }

    /// Ends what is held as dead, or only counts it.
    ///
    /// # Errors
    ///
    /// The daemon or the state does not answer, or a name of the filter is none.
    pub(super) async fn drop_held(&self, filter: &DropFilter, dry_run: bool) -> Result<DropReport, CommandError> {
        match self {
            Self::Api(client) => Ok(client.drop_held(filter, dry_run).await?),
            Self::State(store, config) => {
                let (job, sink) = unheard_of(config, filter.job.as_deref(), filter.sink.as_deref());
                known_names(&**store, job, sink).await?;
                Ok(drop_all(&**store, filter, dry_run, SystemClock.now()).await?)
            }
        }
    }
}

/// What of these names is not in the config. The others are known, even to a state that has not heard of them yet.
fn unheard_of<'a>(config: &Config, job: Option<&'a str>, sink: Option<&'a str>) -> (Option<&'a str>, Option<&'a str>) {
    let job = job.filter(|name| config.job(&JobName::from(*name)).is_none());
    (job, sink.filter(|name| config.sink(&SinkName::from(*name)).is_none()))
}

/// Runs a command that changes what a state remembers, and gives its exit code.
pub(super) async fn act<F>(config: Option<&Path>, at: &Reach, command: F) -> u8
where
    F: AsyncFn(&Hands) -> Result<u8, CommandError>,
{
    act_on(config, at, open_kept_state, command).await
}

/// Runs a command that may be the first to write something down.
pub(super) async fn begin<F>(config: Option<&Path>, at: &Reach, command: F) -> u8
where
    F: AsyncFn(&Hands) -> Result<u8, CommandError>,
{
    act_on(config, at, open_idle_state, command).await
}

async fn act_on<F>(config: Option<&Path>, at: &Reach, open: fn(&Config) -> Result<Arc<dyn Store>, u8>, command: F) -> u8
where
    F: AsyncFn(&Hands) -> Result<u8, CommandError>,
{
    let loaded = match reach(config, at) {
        Ok(Reached::Daemon(client)) => match command(&Hands::Api(client)).await {
            Err(CommandError::Client(error)) if error.is_no_daemon() && at.url.is_none() => load(config),
            done => return exit(done),
        },
        Ok(Reached::Unreachable(loaded)) => Ok(*loaded),
        Err(code) => return code,
    };
    let opened = loaded.and_then(|loaded| open(&loaded.config).map(|store| (loaded, store)));
    let (loaded, store) = match opened {
        Ok(opened) => opened,
        Err(code) => return code,
    };
    let done = command(&Hands::State(store.clone(), Arc::new(loaded.config))).await;
    match (exit(done), store.close().await) {
        (DONE, Err(error)) => {
            say::problem(&error.to_string(), None);
            FAILED
        }
        (code, _) => code,
    }
}

fn exit(done: Result<u8, CommandError>) -> u8 {
    match done {
        Ok(code) => code,
        Err(error) => code(Err(error)),
    }
}
