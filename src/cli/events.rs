//! `doorbell events`: what changed, newest first, or as it happens.
//!
//! It only looks. Following asks once a second; nothing is missed between two questions, because each goes on after
//! an event's number and not after a time.

use std::collections::HashSet;
use std::time::Duration;

use clap::builder::PossibleValuesParser;

use crate::cli::client::{CommandError, Reach, Source};
use crate::cli::table::{Cell, Screen, Table, Tone, shown_key};
use crate::core::time::Timestamp;
use crate::core::units::parse_duration;
use crate::core::view::{CHANGES, DeliveryView, EventFilter, EventView};

/// Between two questions while following.
const EVERY: Duration = Duration::from_secs(1);

/// Events of a page at most, as the API has it.
const PAGE: u32 = 1000;

/// Events of a page while following: the last page is asked for again and again, so it is kept small.
const FOLLOWED_PAGE: u32 = 100;

/// List events, or follow them as they happen
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:
  doorbell events --job orders --since 1h
  doorbell events --key 12345 --change deleted
  doorbell events -f --json | jq .id")]
pub(super) struct EventsArgs {
    /// Only events of this job
    #[arg(long, value_name = "JOB")]
    pub job: Option<String>,
    /// Only events of the item with this key
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Only changes of this kind
    #[arg(long, value_name = "CHANGE", value_parser = PossibleValuesParser::new(CHANGES))]
    pub change: Option<String>,
    /// Only events seen since then: a time ago, such as `90s`, `1h30m` or `7d`, or an RFC 3339 date
    #[arg(long, value_name = "WHEN", value_parser = parse_since)]
    pub since: Option<Since>,
    /// At most this many, the newest
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Go on printing new ones, until interrupted
    #[arg(short, long)]
    pub follow: bool,
    /// Print one JSON array; with --follow one object a line
    #[arg(long)]
    pub json: bool,
    /// Where the daemon is.
    #[command(flatten)]
    pub reach: Reach,
}

/// A moment as the user says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Since {
    /// So long ago.
    Ago(Duration),
    /// Then.
    At(Timestamp),
}

impl Since {
    pub(super) fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Ago(ago) => Timestamp(now.0.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX))),
            Self::At(moment) => moment,
        }
    }
}

pub(super) fn parse_since(text: &str) -> Result<Since, String> {
    let ago = || parse_duration(text).ok().map(Since::Ago);
    let hint = "write a time ago, such as `90s`, `1h30m` or `7d`, or a date such as `2026-11-20T15:04:05Z`";
    Timestamp::parse(text).map(Since::At).or_else(ago).ok_or_else(|| hint.to_owned())
}

/// Prints events as of `now`; with `--follow` it ends only when the daemon does, or nobody reads any more.
///
/// # Errors
///
/// The daemon or the state does not answer, the output is closed, or there is no daemon to follow.
pub(super) async fn run(
    args: &EventsArgs,
    source: &Source,
    screen: &mut Screen<'_>,
    now: Timestamp,
) -> Result<(), CommandError> {
    let filter = EventFilter {
        job: args.job.clone(),
        key: args.key.clone(),
        change: args.change.clone(),
        since: args.since.map(|since| since.moment(now)),
        ..EventFilter::default()
    };
    match (args.follow, source) {
        (true, Source::Api(_)) => follow(args, &filter, source, screen).await,
        (true, Source::State { .. }) => {
            let why = "no daemon runs, so nothing new happens; list what there is without `--follow`";
            Err(CommandError::Asked(why.to_owned()))
        }
        (false, _) => list(args, &filter, source, screen).await,
    }
}

async fn list(
    args: &EventsArgs,
    filter: &EventFilter,
    source: &Source,
    screen: &mut Screen<'_>,
) -> Result<(), CommandError> {
    let (rows, _) = newest(filter, source, args.limit).await?;
    if args.json {
        return Ok(screen.json(&rows, false)?);
    }
    if rows.is_empty() {
        return Ok(screen.line("No events.")?);
    }
    let mut table = Table::new(&["TIME", "JOB", "CHANGE", "KEY", "SEQ", "DELIVERIES", "ID"]);
    rows.iter().for_each(|event| table.push(cells(event), None));
    Ok(screen.table(&table)?)
}

/// The newest `limit` events, over as many pages as it takes, and where the next page would begin.
async fn newest(
    filter: &EventFilter,
    source: &Source,
    limit: u32,
) -> Result<(Vec<EventView>, Option<i64>), CommandError> {
    let mut rows: Vec<EventView> = Vec::new();
    let mut after = None;
    loop {
        let left = limit.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
        let page = source.events(&EventFilter { after, limit: Some(left.min(PAGE)), ..filter.clone() }).await?;
        let got = page.data.len();
        rows.extend(page.data);
        after = page.next;
        if after.is_none() || got == 0 || rows.len() >= limit as usize {
            return Ok((rows, after));
        }
    }
}

async fn follow(
    args: &EventsArgs,
    filter: &EventFilter,
    source: &Source,
    screen: &mut Screen<'_>,
) -> Result<(), CommandError> {
    let (mut rows, next) = newest(filter, source, args.limit).await?;
    rows.reverse();
    let mut tail = Tail { after: next, shown: HashSet::new() };
    loop {
        for event in tail.new_of(rows) {
            match args.json {
                true => screen.json(&event, true)?,
                false => screen.line(&one_line(&event))?,
            }
        }
        rows = loop {
            let wanted =
                EventFilter { oldest_first: true, after: tail.after, limit: Some(FOLLOWED_PAGE), ..filter.clone() };
            let page = source.events(&wanted).await?;
            if page.data.iter().any(|event| !tail.shown.contains(&event.id)) || page.next.is_some() {
                break tail.turn(page.data, page.next);
            }
            tokio::time::sleep(EVERY).await;
        };
    }
}

/// Where a follower is: every event up to number `after` is printed, and of those beyond it the ones in `shown`.
///
/// A page tells its last event's number only when another page follows, so the last page is asked for again, and
/// what of it is printed is kept: at most a page and what the first list held.
struct Tail {
    after: Option<i64>,
    shown: HashSet<String>,
}

impl Tail {
    /// The events that are not printed yet; they count as printed now.
    fn new_of(&mut self, rows: Vec<EventView>) -> Vec<EventView> {
        rows.into_iter().filter(|event| self.shown.insert(event.id.clone())).collect()
    }

    /// Goes on to the next page, when there is one: what is on this one can't come again.
    fn turn(&mut self, rows: Vec<EventView>, next: Option<i64>) -> Vec<EventView> {
        let Some(next) = next else { return rows };
        self.after = Some(next);
        rows.into_iter().filter(|event| !self.shown.remove(&event.id)).collect()
    }
}

fn cells(event: &EventView) -> Vec<Cell> {
    let (deliveries, tone) = deliveries(&event.deliveries);
    vec![
        Cell::new(event.timestamp.to_string()).toned(Tone::Dim),
        Cell::new(&event.job),
        Cell::new(&event.change),
        Cell::new(shown_key(&event.key)),
        Cell::new(event.sequence.to_string()),
        Cell::new(deliveries).toned(tone),
        Cell::new(&event.id),
    ]
}

fn one_line(event: &EventView) -> String {
    let EventView { timestamp, job, change, id, .. } = event;
    let key = shown_key(&event.key);
    format!("{timestamp}  {job}  {change}  {key}  {id}")
}

/// How an event's deliveries stand: `delivered`, or `1 delivered, 2 dead`.
fn deliveries(deliveries: &[DeliveryView]) -> (String, Tone) {
    let states = ["dead", "held", "waiting", "due", "delivered"];
    let count = |state: &&str| deliveries.iter().filter(|delivery| delivery.state == **state).count();
    let found: Vec<(&str, usize)> =
        states.iter().map(|state| (*state, count(state))).filter(|(_, count)| *count > 0).collect();
    match *found {
        [] => ("none".to_owned(), Tone::Dim),
        [(state, 1)] => (state.to_owned(), Tone::of(state)),
        [(worst, _), ..] => {
            let parts: Vec<String> = found.iter().rev().map(|(state, count)| format!("{count} {state}")).collect();
            (parts.join(", "), Tone::of(worst))
        }
    }
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
