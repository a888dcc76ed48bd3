//! `doorbell drop`: give up deliveries that are held, after saying how many they are.
//!
//! Nothing else drops what is held. They end dead, with their reason: they are listed, and can be replayed.

use std::io;
use std::path::Path;

use clap::Args;

use crate::cli::act::{Hands, act};
use crate::cli::client::{CommandError, Reach};
use crate::cli::events::{Since, parse_since};
use crate::cli::{DONE, FAILED, USAGE, say};
use crate::core::operate::{DropFilter, DropReport};
use crate::engine::clock::{Clock, SystemClock};

/// Give up deliveries that are held
#[derive(Debug, Args)]
#[command(after_help = "\
Held is what waits for a sink that is disabled or paused, or whose sink or job is not in the
config. What is dropped is dead, with the reason `dropped by hand`: `doorbell deliveries
--state dead` lists it, `doorbell replay` sends it after all. What waits for a sink that may be
sent to is not held: `doorbell pause SINK` holds it.

Examples:
  doorbell drop --sink crm --dry-run
  doorbell drop --sink crm --until 7d          # only what was seen more than a week ago
  doorbell drop --job orders --sink crm --yes")]
pub(super) struct DropArgs {
    /// Only what goes to this sink
    #[arg(long, value_name = "SINK", required_unless_present = "job")]
    sink: Option<String>,
    /// Only events of this job
    #[arg(long, value_name = "JOB")]
    job: Option<String>,
    /// Only events seen since then: a time ago, such as `90s`, `1h30m` or `7d`, or an RFC 3339 date
    #[arg(long, value_name = "WHEN", value_parser = parse_since)]
    since: Option<Since>,
    /// Only events seen before then
    #[arg(long, value_name = "WHEN", value_parser = parse_since)]
    until: Option<Since>,
    /// Say what would be dropped, and drop nothing
    #[arg(long)]
    dry_run: bool,
    /// Don't ask
    #[arg(short, long)]
    yes: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

impl DropArgs {
    /// What comes after the question was asked is not part of the answer.
    fn filter(&self) -> DropFilter {
        let now = SystemClock.now();
        DropFilter {
            sink: self.sink.clone(),
            job: self.job.clone(),
            since: self.since.map(|since| since.moment(now)),
            until: Some(self.until.map_or(now, |until| until.moment(now))),
        }
    }
}

pub(super) async fn run(config: Option<&Path>, args: &DropArgs) -> u8 {
    let filter = args.filter();
    act(config, &args.reach, async |hands: &Hands| drop_held(hands, args, &filter).await).await
}

async fn drop_held(hands: &Hands, args: &DropArgs, filter: &DropFilter) -> Result<u8, CommandError> {
    let found = hands.drop_held(filter, true).await?;
    if found.deliveries == 0 {
        say::problem(&found.sentence(), Some("`doorbell deliveries --state held` lists what is held"));
        return Ok(FAILED);
    }
    if args.dry_run {
        return tell(args, &found, "would be dropped; nothing was changed");
    }
    if !args.yes {
        match say::ask(&format!("{}. Drop them?", found.sentence())) {
            Some(true) => {}
            Some(false) => {
                say::problem("nothing was changed", None);
                return Ok(FAILED);
            }
            None => {
                let what = format!("this would drop what is {}", found.sentence());
                say::problem(&what, Some("say so with `--yes`, or look first with `--dry-run`"));
                return Ok(USAGE);
            }
        }
    }
    tell(args, &hands.drop_held(filter, false).await?, "dropped; `doorbell replay` sends them after all")
}

fn tell(args: &DropArgs, report: &DropReport, what: &str) -> Result<u8, CommandError> {
    if args.json {
        say::result(&serde_json::to_string(report).map_err(io::Error::from)?);
        return Ok(DONE);
    }
    say::result(&format!("{}: {what}", report.sentence()));
    if report.on_their_way > 0 {
        say::result(&format!("{} left out: being sent at this moment", report.on_their_way));
    }
    Ok(DONE)
}
