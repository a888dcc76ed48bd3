//! `doorbell deliveries`: which events are on their way to which sink, the newest first.
//!
//! It only looks; `replay`, `pause` and `resume` change what it shows.

use crate::cli::client::{CommandError, Reach, Source};
use crate::cli::events::{Since, parse_since};
use crate::cli::table::{Cell, Screen, Table, ago, shown_key, until};
use crate::core::operate::{DeliveryFilter, DeliveryRow, DeliveryState};
use crate::core::time::Timestamp;

/// Deliveries of a page at most, as the API has it.
const PAGE: u32 = 1000;

/// List deliveries: what was sent, what waits, what is held or dead, and why
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
States: waiting (behind another of its key, or in a batch with another), due, held (its sink is disabled or paused, or gone from the config),
delivered, dead (and not replayed since).

Examples:
  doorbell deliveries --state dead,held
  doorbell deliveries --sink crm --since 1h --json | jq .[].event
  doorbell replay --sink crm --state dead")]
pub(super) struct DeliveriesArgs {
    /// Only those to this sink
    #[arg(long, value_name = "SINK")]
    pub sink: Option<String>,
    /// Only those in this state, or in one of several: `dead,held`
    #[arg(long, value_name = "STATE", value_delimiter = ',', value_parser = parse_state)]
    pub state: Vec<DeliveryState>,
    /// Only those of this job's events
    #[arg(long, value_name = "JOB")]
    pub job: Option<String>,
    /// Only of events seen since then: a time ago, such as `90s`, `1h30m` or `7d`, or an RFC 3339 date
    #[arg(long, value_name = "WHEN", value_parser = parse_since)]
    pub since: Option<Since>,
    /// Only of events seen before then
    #[arg(long, value_name = "WHEN", value_parser = parse_since)]
    pub until: Option<Since>,
    /// Only those in this batch: the `webhook-id` that the receiver got, `bat_…`
    #[arg(long, value_name = "BATCH")]
    pub batch: Option<String>,
    /// At most this many, the newest
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Print one JSON array
    #[arg(long)]
    pub json: bool,
    /// Where the daemon is.
    #[command(flatten)]
    pub reach: Reach,
}

/// A state as the user says it.
pub(super) fn parse_state(text: &str) -> Result<DeliveryState, String> {
    let words = || DeliveryState::ALL.map(DeliveryState::as_str).join("`, `");
    DeliveryState::parse(text).ok_or_else(|| format!("the states are `{}`", words()))
}

/// Prints deliveries as of `now`.
///
/// # Errors
///
/// The daemon or the state does not answer, a name is none, or the output is closed.
pub(super) async fn run(
    args: &DeliveriesArgs,
    source: &Source,
    screen: &mut Screen<'_>,
    now: Timestamp,
) -> Result<(), CommandError> {
    let filter = DeliveryFilter {
        sink: args.sink.clone(),
        job: args.job.clone(),
        states: args.state.clone(),
        since: args.since.map(|since| since.moment(now)),
        until: args.until.map(|until| until.moment(now)),
        batch: args.batch.clone(),
        ..DeliveryFilter::default()
    };
    let rows = newest(&filter, source, args.limit).await?;
    if args.json {
        return Ok(screen.json(&rows, false)?);
    }
    if rows.is_empty() {
        return Ok(screen.line("No deliveries.")?);
    }
    Ok(screen.table(&table(&rows, now))?)
}

/// A line for each, with its reason beneath.
pub(super) fn table(rows: &[DeliveryRow], now: Timestamp) -> Table {
    let mut table = Table::new(&["ID", "SINK", "STATE", "ATTEMPTS", "NEXT", "JOB", "KEY", "SEQ", "EVENT"]);
    rows.iter().for_each(|row| table.push(cells(row, now), note(row, now)));
    table
}

/// The newest `limit` deliveries, over as many pages as it takes.
///
/// # Errors
///
/// The daemon or the state does not answer, or a name is none.
pub(super) async fn newest(
    filter: &DeliveryFilter,
    source: &Source,
    limit: u32,
) -> Result<Vec<DeliveryRow>, CommandError> {
    let mut rows: Vec<DeliveryRow> = Vec::new();
    let mut after = None;
    loop {
        let left = limit.saturating_sub(u32::try_from(rows.len()).unwrap_or(u32::MAX));
        let page = source.deliveries(&DeliveryFilter { after, limit: Some(left.min(PAGE)), ..filter.clone() }).await?;
        let got = page.data.len();
        rows.extend(page.data);
        after = page.next;
        if after.is_none() || got == 0 || rows.len() >= limit as usize {
            return Ok(rows);
        }
    }
}

fn cells(row: &DeliveryRow, now: Timestamp) -> Vec<Cell> {
    let delivery = &row.delivery;
    vec![
        Cell::new(delivery.id.to_string()),
        Cell::new(&delivery.sink),
        Cell::word(&delivery.state),
        Cell::new(delivery.attempts.to_string()),
        Cell::new(delivery.due.map_or_else(|| "-".to_owned(), |due| until(due, now))),
        Cell::new(&row.job),
        Cell::new(shown_key(&row.key)),
        Cell::new(row.sequence.to_string()),
        Cell::new(&row.event),
    ]
}

fn note(row: &DeliveryRow, now: Timestamp) -> Option<String> {
    let delivery = &row.delivery;
    let replay = delivery.replay.then(|| "a replay".to_owned());
    let replayed = delivery.replayed.map(|at| format!("replayed {}", ago(at, now)));
    let batch = delivery.batch.as_ref().map(|batch| format!("in the batch {batch}"));
    let parts: Vec<String> = [replay, batch, delivery.reason.clone(), replayed].into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::fake::{Fake, NOW, Served, before, event, loopback, start};
    use crate::cli::client::Client;
    use crate::core::config::Listen;
    use clap::Parser;
    use std::sync::{Arc, Mutex};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: DeliveriesArgs,
    }

    async fn serve(fake: Fake) -> (Served, Source) {
        let served = start(&loopback(), Arc::new(fake), None).await;
        let listen = Listen::Tcp(served.address.unwrap());
        let source = Source::Api(Client::new(&Reach::default(), &listen, None).unwrap());
        (served, source)
    }

    async fn listed(fake: Fake, words: &[&str]) -> (Result<String, CommandError>, Vec<String>) {
        let (served, source) = serve(fake).await;
        let args = Line::parse_from(["deliveries"].iter().chain(words)).args;
        let mut out = Vec::new();
        let done = run(&args, &source, &mut Screen::plain(&mut out), NOW).await;
        (done.map(|()| String::from_utf8(out).unwrap()), served.fake.calls.lock().unwrap().clone())
    }

    fn fake(count: i64) -> Fake {
        let events = (1..=count).map(|number| event(number, "orders")).collect();
        Fake { jobs: vec![crate::admin::fake::job("orders")], events: Mutex::new(events), ..Fake::default() }
    }

    #[tokio::test]
    async fn the_newest_are_listed_with_their_reasons_beneath() {
        let fake = fake(2);
        {
            let mut events = fake.events.lock().unwrap();
            let dead = &mut events[0].event.deliveries[0];
            dead.state = "dead".to_owned();
            dead.reason = Some("the receiver answered 413".to_owned());
            dead.replayed = Some(before(60));
            events[1].event.deliveries[0].replay = true;
        }
        let expected = "\
ID  SINK  STATE      ATTEMPTS  NEXT  JOB     KEY  SEQ  EVENT
2   shop  delivered  1         -     orders  2    2    evt_2
  a replay
1   shop  dead       1         -     orders  1    1    evt_1
  the receiver answered 413; replayed 60 s ago
";
        assert_eq!(listed(fake, &[]).await.0.unwrap(), expected);
    }

    #[tokio::test]
    async fn a_filter_arrives_whole_and_pages_are_followed() {
        let (text, calls) =
            listed(fake(1500), &["--json", "-n", "1200", "--state", "dead,held", "--since", "1h"]).await;
        let rows: Vec<DeliveryRow> = serde_json::from_str(&text.unwrap()).unwrap();
        assert_eq!((rows.len(), &*rows[1199].event), (1200, "evt_301"));
        assert_eq!(calls.len(), 2, "{calls:?}");
        assert!(calls[0].contains(r#""states":["dead","held"],"since":"2026-11-20T14:04:05.000Z""#), "{calls:?}");
        assert!(calls[1].contains(r#""after":501,"limit":200"#), "{calls:?}");
    }

    #[tokio::test]
    async fn a_name_that_is_none_is_told_with_the_nearest() {
        let error = listed(fake(1), &["--job", "ordrs"]).await.0.unwrap_err().to_string();
        assert_eq!(error, "there is no job `ordrs`; did you mean `orders`?");
        assert_eq!(listed(fake(0), &["--job", "orders"]).await.0.unwrap(), "No deliveries.\n");
    }
}
