//! `doorbell event ID`: all that is known of one event, with its deliveries and every attempt; the members of a batch.
//!
//! It only looks. The body is shown indented; the digits in it are the vendor's own.

use std::collections::BTreeSet;

use crate::cli::client::{CommandError, Reach, Source};
use crate::cli::table::{Cell, Screen, Table, ago, indent_json, shown_key, until};
use crate::cli::{attempt, deliveries};
use crate::core::batch;
use crate::core::operate::DeliveryFilter;
use crate::core::time::Timestamp;
use crate::core::view::{AttemptView, DeliveryView, EventDetail};

/// Show one event with its body, its deliveries and their attempts
#[derive(Clone, Debug, clap::Args)]
pub(super) struct EventArgs {
    /// The event's id, such as `evt_…`, or a batch's, `bat_…`: the `webhook-id` that the receiver got
    #[arg(value_name = "ID")]
    pub id: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Where the daemon is.
    #[command(flatten)]
    pub reach: Reach,
}

/// Prints the event as of `now`.
///
/// # Errors
///
/// There is no such event, the daemon or the state does not answer, or the output is closed.
pub(super) async fn run(
    args: &EventArgs,
    source: &Source,
    screen: &mut Screen<'_>,
    now: Timestamp,
) -> Result<(), CommandError> {
    if batch::is_id(&args.id) {
        return members(args, source, screen, now).await;
    }
    let Some(event) = source.event(&args.id).await? else {
        let hint = "list what there is with `doorbell events`";
        return Err(CommandError::Asked(format!("there is no event `{}`; {hint}", args.id)));
    };
    match args.json {
        true => Ok(screen.json(&event, false)?),
        false => show(&event, screen, now),
    }
}

/// A batch has no event of its own: its members are shown.
async fn members(
    args: &EventArgs,
    source: &Source,
    screen: &mut Screen<'_>,
    now: Timestamp,
) -> Result<(), CommandError> {
    let filter = DeliveryFilter { batch: Some(args.id.clone()), ..DeliveryFilter::default() };
    let rows = deliveries::newest(&filter, source, u32::MAX).await?;
    if rows.is_empty() {
        let hint = "`doorbell deliveries` says which batch a delivery is in";
        return Err(CommandError::Asked(format!("there is no batch `{}`, or it was taken apart; {hint}", args.id)));
    }
    if args.json {
        return Ok(screen.json(&rows, false)?);
    }
    // Replayed together, the same events are the same batch.
    let count = rows.iter().map(|row| row.event.as_str()).collect::<BTreeSet<_>>().len();
    screen.line(&format!("{}  a batch of {count}: `doorbell event ID` shows each", args.id))?;
    screen.line("")?;
    Ok(screen.table(&deliveries::table(&rows, now))?)
}

fn show(event: &EventDetail, screen: &mut Screen<'_>, now: Timestamp) -> Result<(), CommandError> {
    let view = &event.event;
    screen.line(&format!("{}  {}", view.id, view.kind))?;
    if let Some(scope) = &view.scope {
        screen.line(&format!("scope     {scope}"))?;
    }
    screen.line(&format!("job       {}", view.job))?;
    screen.line(&format!("key       {}", shown_key(&view.key)))?;
    screen.line(&format!("sequence  {}", view.sequence))?;
    screen.line(&format!("seen      {}, {}", view.timestamp, ago(view.timestamp, now)))?;
    screen.line("")?;
    screen.lines(&indent_json(event.body.get()))?;
    screen.line("")?;
    for other in &event.bodies {
        let Some(body) = &other.body else { continue };
        screen.line(&format!("{} gets, as {}:", other.sink, other.content_type))?;
        screen.lines(&indent_json(body.get()))?;
        screen.line("")?;
    }
    if view.deliveries.is_empty() {
        return Ok(screen.line("No sink gets it.")?);
    }
    screen.table(&delivery_table(&view.deliveries, now))?;
    if !event.attempts.is_empty() {
        screen.line("")?;
        screen.table(&attempt_table(&event.attempts))?;
        event.attempts.iter().try_for_each(|attempt| attempt::show(attempt, screen))?;
    }
    Ok(())
}

fn delivery_table(deliveries: &[DeliveryView], now: Timestamp) -> Table {
    let mut table = Table::new(&["SINK", "STATE", "ATTEMPTS", "NEXT"]);
    for delivery in deliveries {
        let next = delivery.due.map_or_else(|| "-".to_owned(), |due| until(due, now));
        let attempts = Cell::new(delivery.attempts.to_string());
        let cells = vec![Cell::new(&delivery.sink), Cell::word(&delivery.state), attempts, Cell::new(next)];
        let batch = delivery.batch.as_ref().map(|batch| format!("in the batch {batch}"));
        let notes: Vec<String> = batch.into_iter().chain(delivery.reason.clone()).collect();
        table.push(cells, (!notes.is_empty()).then(|| notes.join("; ")));
    }
    table
}

fn attempt_table(attempts: &[AttemptView]) -> Table {
    let mut table = Table::new(&["ATTEMPT", "SINK", "TIME", "TOOK", "ANSWER"]);
    for attempt in attempts {
        let answer = attempt.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        let note = match (&attempt.reason, attempt.answer.as_deref().unwrap_or_default()) {
            (reason, "") => reason.clone(),
            (Some(reason), answer) => Some(format!("{reason}: {answer}")),
            (None, answer) => Some(answer.to_owned()),
        };
        let cells = vec![
            Cell::new(attempt.number.to_string()),
            Cell::new(&attempt.sink),
            Cell::new(attempt.at.to_string()),
            Cell::new(format!("{} ms", attempt.took_ms)),
            Cell::new(answer),
        ];
        table.push(cells, note);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::fake::{Fake, NOW, loopback, start};
    use crate::cli::client::Client;
    use crate::core::config::Listen;

    async fn printed(id: &str, json: bool) -> Result<String, CommandError> {
        let served = start(&loopback(), Fake::usual(), None).await;
        let listen = Listen::Tcp(served.address.unwrap());
        let source = Source::Api(Client::new(&Reach::default(), &listen, None).unwrap());
        let args = EventArgs { id: id.to_owned(), json, reach: Reach::default() };
        let mut out = Vec::new();
        run(&args, &source, &mut Screen::plain(&mut out), NOW).await?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[tokio::test]
    async fn an_event_is_shown_with_its_deliveries_and_attempts() {
        let expected = "\
evt_2  orders.updated
job       orders
key       2
sequence  2
seen      2026-11-20T15:03:05.000Z, 60 s ago

{
  \"type\": \"orders.updated\",
  \"data\": {
    \"after\": {
      \"id\": 9007199254740993,
      \"total\": 1.10
    }
  }
}

SINK  STATE      ATTEMPTS  NEXT
shop  delivered  1         -

ATTEMPT  SINK  TIME                      TOOK   ANSWER
1        shop  2026-11-20T15:03:06.000Z  41 ms  204
";
        assert_eq!(printed("evt_2", false).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn json_keeps_the_bodys_digits() {
        let text = printed("evt_2", true).await.unwrap();
        assert!(text.contains("\"total\": 1.10") && text.contains("9007199254740993"), "{text}");
        serde_json::from_str::<EventDetail>(&text).unwrap();
    }

    #[tokio::test]
    async fn an_unknown_id_is_told() {
        let error = printed("evt_nope", false).await.unwrap_err().to_string();
        assert_eq!(error, "there is no event `evt_nope`; list what there is with `doorbell events`");
    }
}
