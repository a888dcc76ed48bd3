//! `doorbell poll JOB`: what would this job find and send now?
//!
//! A running daemon makes the poll, within its vendor's limits; without one this process does, over the state file.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;

use crate::cli::client::{Client, ClientError, Reach};
use crate::cli::daemon::{Daemon, open_idle_state, unknown};
use crate::cli::look::{Reached, load, reach};
use crate::cli::show::{Brush, poll_report};
use crate::cli::{DONE, FAILED, USAGE, replay_poll, say};
use crate::config::Loaded;
use crate::core::names::JobName;
use crate::core::recording::Recording;
use crate::core::view::{EventDetail, PollReport, PollWish};
use crate::engine::Begin;

/// How long webhooks of a committed poll are watched on their first attempt, when no daemon runs.
const FIRST_ATTEMPTS: Duration = Duration::from_secs(30);

/// How often they are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Poll a job now: request, outcome, items, differences, and the webhooks that would go
#[derive(Debug, Args)]
#[command(after_help = "\
Nothing is kept or sent without --commit.

Examples:
  doorbell poll orders
  doorbell poll orders --commit
  doorbell poll orders --record orders.json
  doorbell poll orders --json | jq '.events[].body.data.changed'")]
pub(super) struct PollArgs {
    /// The job's name
    job: String,
    /// Do it for real: keep what was found and send the webhooks
    #[arg(long)]
    commit: bool,
    /// Keep the requests and answers in a new file, secrets removed; `doorbell replay-poll` reads it
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

impl PollArgs {
    fn wish(&self) -> PollWish {
        PollWish { commit: self.commit, record: self.record.is_some() }
    }
}

pub(super) async fn run(config: Option<&Path>, args: PollArgs) -> u8 {
    let Some(path) = args.record.clone() else { return poll(config, args, &mut None).await };
    // Before the vendor is asked: a poll is not to be made in vain.
    let file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(file) => file,
        Err(error) => {
            let why = match error.kind() {
                std::io::ErrorKind::AlreadyExists => "it is there already, and is not written over".to_owned(),
                _ => error.to_string(),
            };
            let problem = format!("`{}` can't be written: {why}; nothing was asked", path.display());
            say::problem(&problem, Some("name another file with `--record FILE`"));
            return FAILED;
        }
    };
    let mut recording = None;
    let code = poll(config, args, &mut recording).await;
    match keep(&path, file, recording.as_ref()) {
        false if code == DONE => FAILED,
        _ => code,
    }
}

/// Writes the recording; false when there is none, for which the reason was said, or when it can't be written.
fn keep(path: &Path, file: File, recording: Option<&Recording>) -> bool {
    match recording.map(|recording| replay_poll::write(file, recording)) {
        Some(Ok(())) => return true,
        Some(Err(error)) => say::problem(&format!("`{}` can't be written: {error}", path.display()), None),
        None => {}
    }
    // What is empty is not to be taken for a recording.
    let _ = fs::remove_file(path);
    false
}

async fn poll(config: Option<&Path>, args: PollArgs, recording: &mut Option<Recording>) -> u8 {
    let loaded = match reach(config, &args.reach) {
        Ok(Reached::Daemon(client)) => match by_daemon(&client, &args).await {
            Err(error) if error.is_no_daemon() && args.reach.url.is_none() => load(config),
            Err(error) => {
                say::problem(&error.to_string(), None);
                return FAILED;
            }
            Ok(report) => return print(report, &[], &args, recording),
        },
        Ok(Reached::Unreachable(loaded)) => Ok(*loaded),
        Err(code) => return code,
    };
    match loaded {
        Ok(loaded) => by_hand(loaded, &args, recording).await.unwrap_or_else(|code| code),
        Err(code) => code,
    }
}

async fn by_daemon(client: &Client, args: &PollArgs) -> Result<PollReport, ClientError> {
    client.poll(&args.job, args.wish()).await
}

/// Polls in this process.
async fn by_hand(loaded: Loaded, args: &PollArgs, recording: &mut Option<Recording>) -> Result<u8, u8> {
    let config = Arc::new(loaded.config);
    let job = JobName::from(args.job.as_str());
    if config.job(&job).is_none() {
        say::problem(&unknown("job", &args.job, config.jobs.iter().map(|job| job.name.as_str())), None);
        return Err(USAGE);
    }
    let store = open_idle_state(&config)?;
    let failed = |error: crate::store::StoreError| {
        say::problem(&error.to_string(), None);
        FAILED
    };
    let begin = if args.commit { Begin::WhenAsked } else { Begin::ToLook };
    let daemon = Daemon::start(&config, store, begin).await.map_err(failed)?;
    let report = daemon.handle.poll(&job, args.wish()).await;
    let sent = match &report {
        Some(report) if args.commit => first_attempts(&daemon, report).await,
        _ => Vec::new(),
    };
    daemon.stop().await.map_err(failed)?;
    match report {
        Some(report) => Ok(print(report, &sent, args, recording)),
        None => {
            say::problem("the poll was not made: the job is claimed by another process", None);
            Err(FAILED)
        }
    }
}

/// Waits until each webhook that can go was attempted once, and tells how they stand.
async fn first_attempts(daemon: &Daemon, report: &PollReport) -> Vec<EventDetail> {
    let store = Arc::clone(&daemon.store);
    let looking = async {
        let mut attempted = Vec::new();
        for event in &report.events {
            loop {
                let Ok(Some(detail)) = store.event(&event.id).await else { break };
                if detail.event.deliveries.iter().all(|delivery| delivery.state != "due" || delivery.attempts > 0) {
                    attempted.push(detail);
                    break;
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
        attempted
    };
    tokio::time::timeout(FIRST_ATTEMPTS, looking).await.unwrap_or_default()
}

/// Prints the report; what was recorded is for a file of its own.
fn print(mut report: PollReport, sent: &[EventDetail], args: &PollArgs, recording: &mut Option<Recording>) -> u8 {
    *recording = report.recording.take();
    if let Some(path) = args.record.as_deref().filter(|_| recording.is_none()) {
        let why = report.unrecorded.as_deref().unwrap_or("the daemon is of a version that can't record");
        say::problem(&format!("nothing was recorded in `{}`: {why}", path.display()), None);
    }
    let report = &report;
    match args.json {
        true => match serde_json::to_string(report) {
            Ok(json) => say::result(&json),
            Err(error) => say::problem(&format!("the report can't be written: {error}"), None),
        },
        false => {
            say::result(&poll_report(report, Brush(say::in_colour())));
            for event in sent {
                for delivery in &event.event.deliveries {
                    let why = delivery.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
                    say::result(&format!("{} to {}: {}{why}", event.event.id, delivery.sink, delivery.state));
                }
            }
        }
    }
    if report.outcome == "failed" { FAILED } else { DONE }
}
