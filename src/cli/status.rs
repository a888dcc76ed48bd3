//! `doorbell status`: jobs and sinks in a table, with their health and why it is not better.
//!
//! It only looks: a daemon's API where one runs, else the state file.

use crate::cli::client::{CommandError, Reach, Source};
use crate::cli::table::{Cell, Screen, Table, Tone, ago, until};
use crate::core::reload::ConfigView;
use crate::core::time::Timestamp;
use crate::core::view::{JobView, SinkView, VendorView};

/// Show jobs and sinks: health, last success, next run, backlog
#[derive(Clone, Debug, Default, clap::Args)]
#[command(after_help = "Examples:
  doorbell status
  doorbell status --json | jq '.jobs[] | select(.health == \"failing\")'")]
pub(super) struct StatusArgs {
    /// Print one JSON object with `jobs`, `sinks` and `vendors`
    #[arg(long)]
    pub json: bool,
    /// Where the daemon is.
    #[command(flatten)]
    pub reach: Reach,
}

/// What `--json` prints.
#[derive(serde::Serialize)]
struct Whole {
    jobs: Vec<JobView>,
    sinks: Vec<SinkView>,
    vendors: Vec<VendorView>,
    /// Of a daemon that runs: whether the config on disk is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<ConfigView>,
}

/// Prints the status as of `now`.
///
/// # Errors
///
/// The daemon or the state does not answer, or the output is closed.
pub(super) async fn run(
    args: &StatusArgs,
    source: &Source,
    screen: &mut Screen<'_>,
    now: Timestamp,
) -> Result<(), CommandError> {
    let config = match source {
        Source::Api(client) => Some(client.config().await?),
        Source::State { .. } => None,
    };
    let (jobs, sinks, vendors) = (source.jobs().await?, source.sinks().await?, source.vendors().await?);
    let whole = Whole { jobs, sinks, vendors, config };
    if args.json {
        return Ok(screen.json(&whole, false)?);
    }
    if matches!(source, Source::State { .. }) {
        screen.line("No daemon runs; this is what the state file remembers.")?;
        screen.line("")?;
    }
    for line in whole.config.iter().flat_map(config_lines) {
        screen.line(&line)?;
        screen.line("")?;
    }
    match whole.jobs.is_empty() {
        true => screen.line("The config has no jobs.")?,
        false => screen.table(&job_table(&whole.jobs, now))?,
    }
    screen.line("")?;
    match whole.sinks.is_empty() {
        true => screen.line("The config has no sinks.")?,
        false => screen.table(&sink_table(&whole.sinks, now))?,
    }
    if !whole.vendors.is_empty() {
        screen.line("")?;
        screen.table(&vendor_table(&whole.vendors))?;
    }
    Ok(())
}

fn config_lines(config: &ConfigView) -> Vec<String> {
    let refused = config
        .problem
        .as_ref()
        .map(|problem| format!("The config on disk is not in force: {problem}. See `doorbell check`."));
    let restart = (!config.restart.is_empty())
        .then(|| format!("Edited, but not in force before a restart: {}.", config.restart.join(", ")));
    refused.into_iter().chain(restart).collect()
}

fn job_table(jobs: &[JobView], now: Timestamp) -> Table {
    let mut table = Table::new(&["JOB", "HEALTH", "LAST SUCCESS", "NEXT RUN", "ITEMS", "EVENTS"]);
    for job in jobs {
        let note = job.reason.as_ref().filter(|_| job.health != "disabled").map(|reason| match job.failures {
            0 | 1 => reason.clone(),
            times => format!("{times} times: {reason}"),
        });
        let held =
            job.held.as_ref().map(|held| format!("{}; since the poll of {}", held.sentence(&job.name), held.since));
        let note = [note, held].into_iter().flatten().reduce(|note, held| format!("{note}; {held}"));
        table.push(
            vec![
                Cell::new(&job.name),
                Cell::word(&job.health),
                past(job.last_success, now),
                Cell::new(job.next_run.map_or_else(|| "-".to_owned(), |moment| until(moment, now))),
                Cell::new(job.items.to_string()),
                Cell::new(job.events.to_string()),
            ],
            note,
        );
    }
    table
}

fn sink_table(sinks: &[SinkView], now: Timestamp) -> Table {
    let mut table = Table::new(&["SINK", "HEALTH", "LAST SUCCESS", "BACKLOG", "OLDEST", "HELD", "DEAD", "URL"]);
    for sink in sinks {
        let wait = sink.not_before.map(|moment| format!("nothing is sent for now; again {}", until(moment, now)));
        let note = match (&sink.reason, wait) {
            (Some(reason), Some(wait)) => Some(format!("{reason}; {wait}")),
            (reason, wait) => reason.clone().or(wait),
        };
        table.push(
            vec![
                Cell::new(&sink.name),
                Cell::word(&sink.health),
                past(sink.last_success, now),
                Cell::new(sink.backlog.to_string()),
                past(sink.oldest, now),
                count(sink.held, Tone::Warn),
                count(sink.dead, Tone::Bad),
                Cell::new(&sink.url),
            ],
            note,
        );
    }
    table
}

fn vendor_table(vendors: &[VendorView]) -> Table {
    let mut table = Table::new(&["VENDOR", "RATE", "BUDGET", "LEFT"]);
    for vendor in vendors {
        let said = |text: &Option<String>| Cell::new(text.as_deref().unwrap_or("-"));
        let left = match vendor.budget_left {
            Some(left) => Cell::new(left.to_string()).toned(if left == 0 { Tone::Warn } else { Tone::Plain }),
            None => Cell::new("-"),
        };
        let cells = vec![Cell::new(&vendor.name), said(&vendor.rate), said(&vendor.budget), left];
        table.push(cells, vendor.waits.clone());
    }
    table
}

fn past(moment: Option<Timestamp>, now: Timestamp) -> Cell {
    Cell::new(moment.map_or_else(|| "-".to_owned(), |moment| ago(moment, now)))
}

fn count(count: u64, tone: Tone) -> Cell {
    Cell::new(count.to_string()).toned(if count > 0 { tone } else { Tone::Plain })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::fake::{Fake, NOW, before, job, loopback, sink, start, vendor};
    use crate::cli::client::Client;
    use crate::core::config::{Config, Listen};
    use std::sync::Arc;

    async fn printed(fake: Fake, args: &StatusArgs) -> String {
        let served = start(&loopback(), Arc::new(fake), None).await;
        let listen = Listen::Tcp(served.address.unwrap());
        let source = Source::Api(Client::new(&args.reach, &listen, None).unwrap());
        let mut out = Vec::new();
        run(args, &source, &mut Screen::plain(&mut out), NOW).await.unwrap();
        String::from_utf8(out).unwrap()
    }

    fn troubled() -> Fake {
        let mut failing = job("stock");
        failing.health = "failing".to_owned();
        failing.reason = Some("the vendor answered 503".to_owned());
        failing.failures = 3;
        failing.last_success = Some(before(3 * 3600));
        let mut waiting = sink("shop");
        waiting.health = "waiting".to_owned();
        waiting.reason = Some("it answered 429".to_owned());
        waiting.not_before = Some(before(-90));
        let mut spent = vendor("api");
        spent.waits = Some("waits for the budget of vendor `api` (100/d) until tomorrow".to_owned());
        Fake { jobs: vec![job("orders"), failing], sinks: vec![waiting], vendors: vec![spent], ..Fake::default() }
    }

    #[tokio::test]
    async fn jobs_and_sinks_are_shown_with_their_reasons_beneath() {
        let expected = "\
JOB     HEALTH   LAST SUCCESS  NEXT RUN  ITEMS  EVENTS
orders  ok       12 s ago      in 18 s   7      2
stock   failing  3 h ago       in 18 s   7      2
  3 times: the vendor answered 503

SINK  HEALTH   LAST SUCCESS  BACKLOG  OLDEST    HELD  DEAD  URL
shop  waiting  60 s ago      4        12 s ago  0     1     https://shop.example/hook
  it answered 429; nothing is sent for now; again in 90 s

VENDOR  RATE  BUDGET  LEFT
api     -     100/d   12
  waits for the budget of vendor `api` (100/d) until tomorrow
";
        assert_eq!(printed(troubled(), &StatusArgs::default()).await, expected);
    }

    #[tokio::test]
    async fn json_is_one_object() {
        let text = printed(troubled(), &StatusArgs { json: true, ..StatusArgs::default() }).await;
        let whole: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(whole["jobs"][1]["reason"], "the vendor answered 503");
        assert_eq!(whole["sinks"][0]["backlog"], 4);
    }

    #[tokio::test]
    async fn an_empty_config_is_said_in_words() {
        let text = printed(Fake::default(), &StatusArgs::default()).await;
        assert_eq!(text, "The config has no jobs.\n\nThe config has no sinks.\n");
    }

    #[tokio::test]
    async fn without_a_daemon_the_state_is_shown() {
        let daemon = crate::core::config::Daemon {
            state: "doorbell.db".into(),
            listen: Listen::Off,
            token: None,
            concurrency: 1,
            reload: Default::default(),
            retention: std::time::Duration::from_secs(1),
        };
        let sink = |name: &str| {
            Arc::new(crate::core::sink::Sink {
                name: name.into(),
                url: "https://hooks.example/s3cret".parse().unwrap(),
                shown_url: "hooks.example".to_owned(),
                headers: Vec::new(),
                signer: None,
                form: crate::core::formats::Form::default(),
                thin: false,
                auth: None,
                transport: crate::core::transport::Transport::default(),
                handshake: false,
                when: None,
                timeout: std::time::Duration::from_secs(1),
                ladder: crate::core::delivery::Ladder(Vec::new()),
                concurrency: 1,
                rate: None,
                batching: None,
                order: crate::core::sink::Order::Key,
                limits: crate::core::backlog::Limits::default(),
            })
        };
        let (sinks, alerts) = (vec![sink("new"), sink("shop")], crate::core::alert::Alerts::default());
        let config = Config { daemon, jobs: Vec::new(), vendors: Vec::new(), sinks, alerts, secrets: Vec::new() };
        let source = Source::State { archive: Fake::usual(), config: Arc::new(config), now: NOW };
        let mut out = Vec::new();
        run(&StatusArgs::default(), &source, &mut Screen::plain(&mut out), NOW).await.unwrap();
        let expected = "\
No daemon runs; this is what the state file remembers.

The config has no jobs.

SINK  HEALTH  LAST SUCCESS  BACKLOG  OLDEST    HELD  DEAD  URL
new   ok      -             0        -         0     0     hooks.example
shop  ok      -             4        12 s ago  0     1     hooks.example
";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}
