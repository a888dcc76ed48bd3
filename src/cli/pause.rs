//! `doorbell pause NAME`, `doorbell resume NAME`: a job or a sink, until a person says otherwise.
//!
//! What is paused stays so over restarts. A job that is paused can still be polled by hand.

use std::path::Path;

use clap::Args;

use crate::cli::act::{Hands, Names, begin};
use crate::cli::client::{CommandError, Reach};
use crate::cli::daemon::unknown;
use crate::cli::{DONE, USAGE, say};
use crate::core::operate::PauseReport;

/// Pause or resume a job or a sink
#[derive(Debug, Args)]
#[command(after_help = "\
A paused job is not polled; `doorbell poll NAME` still polls it once. A paused sink is sent nothing: what comes for it
is held, and goes in order once it is resumed. Both stay paused over restarts. `resume` also enables a sink that is
disabled because its receiver answered 410.

Examples:
  doorbell pause orders
  doorbell resume crm
  doorbell pause --sink orders     when a job and a sink have the same name")]
pub(super) struct PauseArgs {
    /// The name of a job or a sink
    name: String,
    /// The job of this name
    #[arg(long, conflicts_with = "sink")]
    job: bool,
    /// The sink of this name
    #[arg(long)]
    sink: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Job,
    Sink,
}

pub(super) async fn run(config: Option<&Path>, args: &PauseArgs, paused: bool) -> u8 {
    begin(config, &args.reach, async |hands: &Hands| set(hands, args, paused).await).await
}

async fn set(hands: &Hands, args: &PauseArgs, paused: bool) -> Result<u8, CommandError> {
    let names = hands.names().await?;
    let kind = match kind(&names, args) {
        Ok(kind) => kind,
        Err((why, hint)) => {
            say::problem(&why, hint);
            return Ok(USAGE);
        }
    };
    let report = match kind {
        Kind::Job => hands.pause_job(&args.name, paused).await?,
        Kind::Sink => hands.pause_sink(&args.name, paused).await?,
    };
    match args.json {
        true => say::result(&serde_json::to_string(&report).map_err(std::io::Error::from)?),
        false => say::result(&sentence(&report)),
    }
    Ok(DONE)
}

/// Which of the two a name stands for; or why that can't be said, and what to type.
fn kind(names: &Names, args: &PauseArgs) -> Result<Kind, (String, Option<&'static str>)> {
    let is_job = names.jobs.contains(&args.name) && !args.sink;
    let is_sink = names.sinks.contains(&args.name) && !args.job;
    let (what, known): (&str, Vec<&String>) = match (args.job, args.sink) {
        (true, _) => ("job", names.jobs.iter().collect()),
        (_, true) => ("sink", names.sinks.iter().collect()),
        (false, false) => ("job or sink", names.jobs.iter().chain(&names.sinks).collect()),
    };
    match (is_job, is_sink) {
        (true, true) => {
            Err((format!("`{}` is the name of a job and of a sink", args.name), Some("add `--job` or `--sink`")))
        }
        (true, false) => Ok(Kind::Job),
        (false, true) => Ok(Kind::Sink),
        (false, false) => Err((unknown(what, &args.name, known.iter().map(|name| name.as_str())), None)),
    }
}

fn sentence(report: &PauseReport) -> String {
    let PauseReport { kind, name, paused, changed, was_disabled, deliveries } = report;
    let some = |count: u64| if count == 1 { "1 delivery".to_owned() } else { format!("{count} deliveries") };
    let start = match (paused, changed, was_disabled) {
        (true, true, _) => format!("{kind} {name}: paused"),
        (true, false, _) => format!("{kind} {name}: was paused already"),
        (false, true, Some(why)) => format!("{kind} {name}: enabled again; it was disabled because {why}"),
        (false, true, None) => format!("{kind} {name}: resumed"),
        (false, false, _) => format!("{kind} {name}: was not paused"),
    };
    match (paused, deliveries) {
        (_, 0) => start,
        (true, count) => format!("{start}; {} held until `doorbell resume {name}`", some(*count)),
        (false, count) => format!("{start}; {} to go", some(*count)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: &str, job: bool, sink: bool) -> Result<Kind, String> {
        let names = Names { jobs: vec!["orders".into(), "both".into()], sinks: vec!["crm".into(), "both".into()] };
        let args = PauseArgs { name: name.to_owned(), job, sink, json: false, reach: Reach::default() };
        kind(&names, &args).map_err(|(why, _)| why)
    }

    #[test]
    fn a_name_is_a_job_or_a_sink_or_must_be_said_which() {
        assert_eq!(found("orders", false, false), Ok(Kind::Job));
        assert_eq!(found("crm", false, false), Ok(Kind::Sink));
        assert_eq!(found("both", true, false), Ok(Kind::Job));
        assert_eq!(found("both", false, true), Ok(Kind::Sink));
        assert_eq!(found("both", false, false), Err("`both` is the name of a job and of a sink".to_owned()));
        assert_eq!(found("ordrs", false, false), Err("there is no job or sink `ordrs`; did you mean `orders`?".into()));
        assert_eq!(found("orders", false, true).unwrap_err(), "there is no sink `orders`; there are `crm`, `both`");
    }

    #[test]
    fn what_happened_is_said_with_what_follows() {
        let report = |paused, changed, was_disabled: Option<&str>, deliveries| {
            let was_disabled = was_disabled.map(str::to_owned);
            let (kind, name) = ("sink".to_owned(), "crm".to_owned());
            sentence(&PauseReport { kind, name, paused, changed, was_disabled, deliveries })
        };
        assert_eq!(report(true, true, None, 1), "sink crm: paused; 1 delivery held until `doorbell resume crm`");
        assert_eq!(report(true, false, None, 0), "sink crm: was paused already");
        assert_eq!(report(false, true, None, 2), "sink crm: resumed; 2 deliveries to go");
        let enabled = report(false, true, Some("the receiver answered 410"), 0);
        assert_eq!(enabled, "sink crm: enabled again; it was disabled because the receiver answered 410");
        assert_eq!(report(false, false, None, 0), "sink crm: was not paused");
    }
}
