//! `doorbell replay-poll FILE…`: recorded polls once more, offline, and what comes of them now.
//!
//! A config's regression test: the same answers, the same engine, the config as it is now. Nothing is asked, sent or
//! kept, and no secret is read.

mod compare;
mod stage;
mod stand_ins;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cli::daemon::unknown;
use crate::cli::show::{Brush, poll_report};
use crate::cli::table::clean;
use crate::cli::{DONE, FAILED, USAGE, say};
use crate::config::{Lookup, SystemLookup};
use crate::core::config::Config;
use crate::core::names::JobName;
use crate::core::recording::Recording;
use crate::core::view::{PollEventView, PollReport};
use stage::Replayed;

/// The largest file that is read, in bytes: a recording holds 10 MiB of answers, each byte spelled with six at most.
const FILE_MAX: u64 = 64 * 1024 * 1024;

/// Differences that are printed; the rest is counted.
const SHOWN: usize = 20;

/// Replay recorded polls offline, and print or check the events
#[derive(Debug, Args)]
#[command(after_help = "\
Files are polls of one job, one after the other, over an empty state: the first is the baseline. No secret is needed.

Examples:
  doorbell poll orders --record 1.json             record; some time later the same into 2.json
  doorbell replay-poll 1.json 2.json               what would this config make of it?
  doorbell replay-poll 1.json 2.json --json > expected.json
  doorbell replay-poll 1.json 2.json --expect expected.json     0: the same, 1: something differs")]
pub(super) struct ReplayPollArgs {
    /// Recordings that `doorbell poll JOB --record FILE` wrote, the oldest first
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Compare with what --json printed before; 1 when something differs
    #[arg(long, value_name = "FILE")]
    expect: Option<PathBuf>,
}

/// What `--json` prints, and `--expect` reads.
#[derive(Serialize, Deserialize)]
struct Outcomes {
    job: String,
    polls: Vec<Outcome>,
}

/// How a poll ended.
#[derive(Serialize, Deserialize)]
struct Outcome {
    outcome: String,
    reason: Option<String>,
    baseline: bool,
    items: u64,
    silent: u64,
    events_total: u64,
    events: Vec<PollEventView>,
}

impl From<&PollReport> for Outcome {
    fn from(report: &PollReport) -> Self {
        Self {
            outcome: report.outcome.clone(),
            reason: report.reason.clone(),
            baseline: report.baseline,
            items: report.items,
            silent: report.silent,
            events_total: report.events_total,
            events: report.events.clone(),
        }
    }
}

/// Why nothing was replayed.
struct Stop {
    code: u8,
    said: Option<(String, Option<&'static str>)>,
}

impl Stop {
    fn failed(problem: impl Into<String>, hint: Option<&'static str>) -> Self {
        Self { code: FAILED, said: Some((problem.into(), hint)) }
    }
}

pub(super) async fn run(config: Option<&Path>, args: ReplayPollArgs) -> u8 {
    match replay(config, &args).await {
        Ok(code) => code,
        Err(stop) => {
            if let Some((problem, hint)) = stop.said {
                say::problem(&problem, hint);
            }
            stop.code
        }
    }
}

async fn replay(config: Option<&Path>, args: &ReplayPollArgs) -> Result<u8, Stop> {
    let recordings = args.files.iter().map(|path| recording(path)).collect::<Result<Vec<_>, Stop>>()?;
    let expected = args.expect.as_deref().map(expectation).transpose()?;
    let job = same_job(&args.files, &recordings)?;
    let config = stand_ins::load(config).ok_or(Stop { code: USAGE, said: None })?;
    if config.job(&job).is_none() {
        let known = unknown("job", job.as_str(), config.jobs.iter().map(|job| job.name.as_str()));
        let problem = format!("`{}` is a recording of the job `{job}`: {known}", args.files[0].display());
        return Err(Stop::failed(problem, Some("name the config that the job is in with `-c FILE`")));
    }
    let replayed = stage::play(config, &job, recordings).await.map_err(|why| Stop::failed(why, None))?;
    let outcomes = Outcomes {
        job: job.to_string(),
        polls: replayed.iter().map(|replayed| Outcome::from(&replayed.report)).collect(),
    };
    let found = serde_json::to_value(&outcomes).map_err(|error| Stop::failed(error.to_string(), None))?;
    if args.json {
        say::result(&format!("{found:#}"));
    } else if expected.is_none() {
        replayed.iter().zip(&args.files).for_each(|(replayed, file)| show(replayed, file));
    }
    let whole = say_unknown(&replayed, &args.files);
    let same = expected.is_none_or(|expected| check(&expected, &found, args));
    Ok(if whole && same { DONE } else { FAILED })
}

fn read(path: &Path) -> Result<String, Stop> {
    let shown = path.display();
    let bytes = SystemLookup
        .read(path, FILE_MAX)
        .map_err(|error| Stop::failed(format!("`{shown}` can't be read: {error}"), None))?;
    String::from_utf8(bytes).map_err(|_| Stop::failed(format!("`{shown}` is damaged: it is not UTF-8"), None))
}

fn recording(path: &Path) -> Result<Recording, Stop> {
    Recording::parse(&read(path)?).map_err(|why| {
        let hint = "`doorbell poll JOB --record FILE` writes one";
        Stop::failed(format!("`{}` {why}", path.display()), Some(hint))
    })
}

fn expectation(path: &Path) -> Result<Value, Stop> {
    let value: Result<Value, _> = serde_json::from_str(&read(path)?);
    let hint = "write it with `doorbell replay-poll FILE… --json > EXPECTED`";
    match value {
        Ok(value) if value["polls"].is_array() => Ok(value),
        Ok(_) => Err(Stop::failed(format!("`{}` says nothing of polls", path.display()), Some(hint))),
        Err(error) => Err(Stop::failed(format!("`{}` is not JSON: {error}", path.display()), Some(hint))),
    }
}

/// The one job that all are recordings of.
fn same_job(files: &[PathBuf], recordings: &[Recording]) -> Result<JobName, Stop> {
    let first = recordings.first().map_or("", |first| &first.job);
    match files.iter().zip(recordings).find(|(_, recording)| recording.job != first) {
        None => Ok(JobName::from(first)),
        Some((file, other)) => {
            let (file, other, before) = (file.display(), &other.job, files[0].display());
            let problem = format!("`{file}` is a recording of the job `{other}`, and `{before}` of `{first}`");
            Err(Stop::failed(problem, Some("replay the recordings of one job at a time")))
        }
    }
}

fn show(replayed: &Replayed, file: &Path) {
    let text = poll_report(&replayed.report, Brush(say::in_colour()));
    // What became of the poll goes without saying: nothing is kept.
    let text = text.rsplit_once("\n\n").map_or(text.as_str(), |(report, _)| report);
    say::result(&format!("{}, recorded {}\n{text}\n", clean(&file.display().to_string()), replayed.at));
}

/// Says what was asked that no recording holds; true when there was nothing.
fn say_unknown(replayed: &[Replayed], files: &[PathBuf]) -> bool {
    for (replayed, file) in replayed.iter().zip(files) {
        for unknown in &replayed.unknown {
            let hint = "the config asks for something else than when it was recorded: record it anew";
            say::problem(&format!("`{}`: {}", file.display(), clean(unknown)), Some(hint));
        }
    }
    replayed.iter().all(|replayed| replayed.unknown.is_empty())
}

/// Compares, and says how both differ; true when they don't.
fn check(expected: &Value, found: &Value, args: &ReplayPollArgs) -> bool {
    let differences = compare::differences(expected, found);
    if differences.is_empty() {
        if !args.json {
            let events =
                found["polls"].as_array().into_iter().flatten().filter_map(|poll| poll["events_total"].as_u64());
            say::result(&format!("as expected: {} polls, {} events", args.files.len(), events.sum::<u64>()));
        }
        return true;
    }
    for difference in differences.iter().take(SHOWN) {
        say::problem(&clean(difference), None);
    }
    if differences.len() > SHOWN {
        say::problem(&format!("… and {} more differences", differences.len() - SHOWN), None);
    }
    false
}

/// Writes a recording into a file that was made for it.
pub(super) fn write(mut file: fs::File, recording: &Recording) -> std::io::Result<()> {
    use std::io::Write as _;
    serde_json::to_writer_pretty(&mut file, recording)?;
    file.write_all(b"\n")
}

/// A config of this job alone, which no limit holds up and that tells nobody.
fn alone(mut config: Config, job: &JobName) -> Config {
    config.jobs.retain(|own| own.name == *job);
    for job in &mut config.jobs {
        if let Some(job) = std::sync::Arc::get_mut(job) {
            job.courtesy = Default::default();
            job.vendor = None;
        }
    }
    config.vendors.clear();
    config.alerts = Default::default();
    config
}
