//! `doorbell replay`: send again what was delivered or is dead, by event or by filter, after saying how much it is.
//!
//! The same bytes under the same `webhook-id`, or with `--render` new ones, marked with the header `doorbell-replay: true`.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use clap::Args;

use crate::cli::act::{Hands, act};
use crate::cli::client::{CommandError, Reach};
use crate::cli::deliveries::parse_state;
use crate::cli::events::{Since, parse_since};
use crate::cli::{DONE, FAILED, USAGE, say};
use crate::core::operate::{DeliveryState, ReplayFilter, ReplayHow, ReplayReport};
use crate::engine::clock::{Clock, SystemClock};

/// Send again what was delivered or is dead
#[derive(Debug, Args)]
#[command(after_help = "\
A replay has the same webhook-id and the same bytes, and the header `doorbell-replay: true`. It goes behind what still
waits for the same key. What has not ended is left out: it goes anyway. Without --state it is both, delivered and dead.

Examples:
  doorbell replay evt_abc…
  doorbell replay --sink crm --state dead --dry-run
  doorbell replay --sink crm --state dead --render     # after the payload in the config was mended
  doorbell replay --job orders --since 2h --until 1h --yes")]
pub(super) struct ReplayArgs {
    /// Events, by their ids: the `webhook-id` that the receiver got; of a batch (`bat_…`) `doorbell event` lists them
    #[arg(value_name = "ID", conflicts_with_all = ["job", "state", "since", "until"])]
    ids: Vec<String>,
    /// Only events of this job
    #[arg(long, value_name = "JOB")]
    job: Option<String>,
    /// Only what goes to this sink
    #[arg(long, value_name = "SINK")]
    sink: Option<String>,
    /// Only what is `dead`, or only what was `delivered`
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = parse_state)]
    state: Vec<DeliveryState>,
    /// Only events seen since then: a time ago, such as `90s`, `1h30m` or `7d`, or an RFC 3339 date
    #[arg(long, value_name = "WHEN", value_parser = parse_since)]
    since: Option<Since>,
    /// Only events seen before then
    #[arg(long, value_name = "WHEN", value_parser = parse_since)]
    until: Option<Since>,
    /// Write the bodies anew from the events, as the config is now: also of what could not be rendered, or is too large
    #[arg(long)]
    render: bool,
    /// Say what would be sent again, and send nothing
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

impl ReplayArgs {
    /// What is to be replayed: each event, or one filter.
    fn filters(&self) -> Vec<ReplayFilter> {
        let now = SystemClock.now();
        if self.ids.is_empty() {
            return vec![ReplayFilter {
                event: None,
                job: self.job.clone(),
                sink: self.sink.clone(),
                states: self.state.clone(),
                since: self.since.map(|since| since.moment(now)),
                until: self.until.map(|until| until.moment(now)),
            }];
        }
        let one =
            |id: &String| ReplayFilter { event: Some(id.clone()), sink: self.sink.clone(), ..ReplayFilter::default() };
        // `deliveries --json` names an event once for each sink.
        let mut seen = HashSet::new();
        self.ids.iter().filter(|id| seen.insert(*id)).map(one).collect()
    }

    /// Whoever names events has said how many.
    fn asks(&self) -> bool {
        self.ids.is_empty() && !self.yes
    }
}

pub(super) async fn run(config: Option<&Path>, args: &ReplayArgs) -> u8 {
    let filters = args.filters();
    if let Some(why) = filters.iter().find_map(|filter| filter.check().err()) {
        say::problem(&why, Some("`doorbell replay --help` has examples"));
        return USAGE;
    }
    act(config, &args.reach, async |hands: &Hands| replay(hands, args, &filters).await).await
}

async fn replay(hands: &Hands, args: &ReplayArgs, filters: &[ReplayFilter]) -> Result<u8, CommandError> {
    let found = all(hands, filters, ReplayHow { dry_run: true, render: args.render }).await?;
    if found.deliveries == 0 {
        say::problem(&found.sentence(), Some("`doorbell deliveries` lists what there is"));
        return Ok(FAILED);
    }
    if args.dry_run {
        return tell(args, &found, "would be sent again; nothing was changed");
    }
    if args.asks() {
        match say::ask(&format!("Send {} again?", found.sentence())) {
            Some(true) => {}
            Some(false) => {
                say::problem("nothing was changed", None);
                return Ok(FAILED);
            }
            None => {
                let what = format!("this would send {} again", found.sentence());
                say::problem(&what, Some("say so with `--yes`, or look first with `--dry-run`"));
                return Ok(USAGE);
            }
        }
    }
    let done = all(hands, filters, ReplayHow { dry_run: false, render: args.render }).await?;
    let when = if hands.at_once() { "sent again" } else { "queued; no daemon runs, so they go when one does" };
    tell(args, &done, when)
}

async fn all(hands: &Hands, filters: &[ReplayFilter], how: ReplayHow) -> Result<ReplayReport, CommandError> {
    let mut report = ReplayReport { dry_run: how.dry_run, ..ReplayReport::default() };
    for filter in filters {
        report.add(hands.replay(filter, how).await?);
    }
    Ok(report)
}

fn tell(args: &ReplayArgs, report: &ReplayReport, what: &str) -> Result<u8, CommandError> {
    if args.json {
        say::result(&serde_json::to_string(report).map_err(io::Error::from)?);
        return Ok(DONE);
    }
    say::result(&format!("{}: {what}", report.sentence()));
    let left_out = [
        (report.on_their_way, "left out: not ended yet"),
        (report.unsendable, if args.render { "left out: can't be rendered" } else { "left out: could never be sent" }),
    ];
    for (count, why) in left_out.into_iter().filter(|(count, _)| *count > 0) {
        say::result(&format!("{count} {why}"));
    }
    report.problems.iter().for_each(|why| say::result(&format!("  {why}")));
    Ok(DONE)
}
