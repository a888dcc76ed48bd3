//! `doorbell why JOB KEY`: what was last seen of an item, which events came of it, and what kept the rest silent.
//!
//! It only looks, and explains nothing that the state does not say.

use crate::cli::client::{CommandError, Reach, Source};
use crate::cli::table::{Cell, Screen, Table, ago};
use crate::core::time::Timestamp;
use crate::core::view::{AttemptView, DeliveryView};
use crate::core::why::{ObservationView, Seen, WhyItem, WhyView};

/// Why there was, or was not, a webhook for an item
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "\
Examples:
  doorbell why orders 12345
  doorbell why stock '[\"eu\",7]'     a composite key is a JSON array")]
pub(super) struct WhyArgs {
    /// The job
    #[arg(value_name = "JOB")]
    pub job: String,
    /// The item's key, as events show it
    #[arg(value_name = "KEY", allow_hyphen_values = true)]
    pub key: String,
    /// Print one JSON object
    #[arg(long)]
    pub json: bool,
    /// Where the daemon is.
    #[command(flatten)]
    pub reach: Reach,
}

/// Prints what is known of the item as of `now`.
///
/// # Errors
///
/// There is no such job or item, the daemon or the state does not answer, or the output is closed.
pub(super) async fn run(
    args: &WhyArgs,
    source: &Source,
    screen: &mut Screen<'_>,
    now: Timestamp,
) -> Result<(), CommandError> {
    let view = source.why(&args.job, &args.key).await?;
    match args.json {
        true => Ok(screen.json(&view, false)?),
        false => show(&view, screen, now),
    }
}

fn show(view: &WhyView, screen: &mut Screen<'_>, now: Timestamp) -> Result<(), CommandError> {
    for (at, item) in view.items.iter().enumerate() {
        if at > 0 {
            screen.line("")?;
        }
        let scope = item.scope.as_ref().map(|scope| format!(" in {scope}")).unwrap_or_default();
        screen.line(&format!("{} {}{scope}: {}", view.job, view.key, standing(item, now)))?;
        screen.line("")?;
        match item.observations.is_empty() {
            true => screen.line("Nothing was seen of it but that it is there.")?,
            false => screen.table(&table(&item.observations, now))?,
        }
    }
    Ok(())
}

/// How the item stands.
fn standing(item: &WhyItem, now: Timestamp) -> String {
    match (item.state.as_str(), item.deleted) {
        ("present", _) => "in the list".to_owned(),
        ("missing", _) => format!("missing from the last {} complete poll(s)", item.missed),
        ("deleted", Some(at)) => format!("deleted {}", ago(at, now)),
        ("waiting", _) => "new, and waiting".to_owned(),
        (state, _) => state.to_owned(),
    }
}

fn table(observations: &[ObservationView], now: Timestamp) -> Table {
    let mut table = Table::new(&["SEEN", "WHEN", "WHAT", "DIFFERED"]);
    for observation in observations {
        let cells = vec![
            Cell::new(observation.timestamp.to_string()),
            Cell::new(ago(observation.timestamp, now)),
            Cell::new(what(observation)),
            Cell::new(differed(&observation.seen)),
        ];
        table.push(cells, note(observation));
    }
    table
}

/// The change that was said, or the rule that kept it silent.
fn what(observation: &ObservationView) -> String {
    let change = observation.change.as_deref().unwrap_or_default();
    match (&observation.rule, change) {
        (None, change) => change.to_owned(),
        (Some(rule), "") => format!("silent ({rule})"),
        (Some(rule), change) => format!("silent ({rule}): {change}"),
    }
}

fn differed(seen: &Seen) -> String {
    let list = |word: &str, pointers: &[String]| {
        let named: Vec<&str> =
            pointers.iter().map(|pointer| if pointer.is_empty() { "all" } else { pointer }).collect();
        (!named.is_empty()).then(|| format!("{word}{}", named.join(" ")))
    };
    let parts = [list("", &seen.changed), list("left out: ", &seen.ignored), list("tolerated: ", &seen.tolerated)];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "-".to_owned() } else { parts.join("; ") }
}

/// The rule as a sentence; or the event, and what became of it.
fn note(observation: &ObservationView) -> Option<String> {
    let Some(event) = &observation.event else { return observation.reason.clone() };
    let deliveries: Vec<String> =
        observation.deliveries.iter().map(|delivery| fate(delivery, &observation.attempts)).collect();
    let fates = if deliveries.is_empty() { "no sink wanted it".to_owned() } else { deliveries.join("; ") };
    Some(format!("{event}  {fates}"))
}

/// How a delivery stands, with the answer to each of its attempts.
fn fate(delivery: &DeliveryView, attempts: &[AttemptView]) -> String {
    let answers: Vec<String> = attempts.iter().filter(|attempt| attempt.delivery == delivery.id).map(answer).collect();
    let answers = if answers.is_empty() { String::new() } else { format!(" ({})", answers.join(", ")) };
    let reason = delivery.reason.as_deref().filter(|_| matches!(delivery.state.as_str(), "dead" | "held"));
    let reason = reason.map(|reason| format!(": {reason}")).unwrap_or_default();
    format!("{}: {}{answers}{reason}", delivery.sink, delivery.state)
}

fn answer(attempt: &AttemptView) -> String {
    match (attempt.status, &attempt.reason) {
        (Some(status), _) => status.to_string(),
        (None, Some(reason)) => reason.clone(),
        (None, None) => "no answer".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::fake::{Fake, NOW, loopback, start};
    use crate::cli::client::Client;
    use crate::core::config::Listen;

    async fn printed(job: &str, key: &str, json: bool) -> Result<String, CommandError> {
        let served = start(&loopback(), Fake::usual(), None).await;
        let listen = Listen::Tcp(served.address.unwrap());
        let source = Source::Api(Client::new(&Reach::default(), &listen, None).unwrap());
        let args = WhyArgs { job: job.to_owned(), key: key.to_owned(), json, reach: Reach::default() };
        let mut out = Vec::new();
        run(&args, &source, &mut Screen::plain(&mut out), NOW).await?;
        Ok(String::from_utf8(out).unwrap())
    }

    #[tokio::test]
    async fn what_was_said_and_what_was_not_stand_together_the_newest_first() {
        let expected = "\
orders 1: in the list

SEEN                      WHEN        WHAT                    DIFFERED
2026-11-20T15:03:05.000Z  60 s ago    updated                 /status; left out: /seen
  evt_1  shop: delivered (204)
2026-11-20T15:02:45.000Z  80 s ago    silent (when): updated  /total; left out: /x
  `when` was not true of it
2026-11-20T15:02:35.000Z  90 s ago    silent (ignored)        left out: /seen
  only what the rules leave out differs
2026-11-20T14:54:05.000Z  10 min ago  silent (first)          -
  it was there in the first complete poll, of which nothing is said (`first`)
";
        assert_eq!(printed("orders", "1", false).await.unwrap(), expected);
    }

    #[tokio::test]
    async fn json_is_one_object_that_is_read_back() {
        let text = printed("orders", "1", true).await.unwrap();
        let view: WhyView = serde_json::from_str(&text).unwrap();
        assert_eq!((view.items[0].observations.len(), view.items[0].observations[0].attempts.len()), (4, 1));
    }

    #[tokio::test]
    async fn a_job_or_a_key_that_is_not_there_is_told_with_the_nearest() {
        let told = async |job, key| printed(job, key, false).await.unwrap_err().to_string();
        assert_eq!(told("ordes", "1").await, "there is no job `ordes`; did you mean `orders`?");
        assert_eq!(told("orders", "ORD1").await, "there is no item `ORD1`; did you mean `ORD-1`?");
        assert_eq!(
            told("orders", "99999").await,
            "there is no item `99999`: the job `orders` never read it, or forgot it after `daemon.retention`"
        );
        assert_eq!(told("stock", "1").await, "there is no item `1`: the job `stock` has read none yet");
    }
}
