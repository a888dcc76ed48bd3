//! `doorbell test SINK`: does the receiver take our webhooks?
//!
//! One signed sample event, the way real ones go but outside the queue: nothing is kept of it.

use std::path::Path;
use std::sync::Arc;

use clap::Args;

use crate::admin::Refusal;
use crate::cli::attempt::spell;
use crate::cli::client::Reach;
use crate::cli::daemon::{idle_state, unknown};
use crate::cli::look::{Reached, load, reach};
use crate::cli::operate::may_ask;
use crate::cli::{DONE, FAILED, USAGE, say};
use crate::config::Loaded;
use crate::core::config::Config;
use crate::core::names::SinkName;
use crate::core::time::Timestamp;
use crate::core::view::TestReport;
use crate::engine::clock::{Clock, SystemClock, wall_clock};
use crate::engine::send_sample;
use crate::net::auth::Credentialer;
use crate::sink::HttpSender;
use crate::store::{Outbox, Upkeep};

/// Send one signed sample event to a sink
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  doorbell test crm
  doorbell listen --port 9000 --secret whsec_… &  doorbell test crm")]
pub(super) struct TestArgs {
    /// The sink's name
    sink: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

pub(super) async fn run(config: Option<&Path>, args: TestArgs) -> u8 {
    let loaded = match reach(config, &args.reach) {
        Ok(Reached::Daemon(client)) => match client.test(&args.sink).await {
            Err(error) if error.is_no_daemon() && args.reach.url.is_none() => load(config),
            Err(error) => {
                say::problem(&error.to_string(), None);
                return FAILED;
            }
            Ok(report) => return print(&report, &args),
        },
        Ok(Reached::Unreachable(loaded)) => Ok(*loaded),
        Err(code) => return code,
    };
    match loaded {
        Ok(loaded) => by_hand(&loaded, &args).await,
        Err(code) => code,
    }
}

/// Sends from this process. No state is needed for it, but what one remembers of the receiver's wishes counts.
async fn by_hand(loaded: &Loaded, args: &TestArgs) -> u8 {
    let Some(sink) = loaded.config.sink(&SinkName::from(args.sink.as_str())) else {
        let names = loaded.config.sinks.iter().map(|sink| sink.name.as_str());
        say::problem(&unknown("sink", &args.sink, names), None);
        return USAGE;
    };
    if let Err(refusal) = remembered(&loaded.config, &sink.name).await {
        say::problem(&refusal.to_string(), None);
        return FAILED;
    }
    let sample = send_sample(&HttpSender::new(Arc::new(Credentialer::alone(wall_clock))), &SystemClock, sink).await;
    if let Some(until) = sample.not_before {
        remember(&loaded.config, &sink.name, until).await;
    }
    print(&sample.report, args)
}

/// What the state says of the sink, where there is one that nobody else has.
async fn remembered(config: &Config, sink: &SinkName) -> Result<(), Refusal> {
    let Some(store) = idle_state(config) else { return Ok(()) };
    let may = may_ask(&store, sink, SystemClock.now()).await;
    // Only looked at: there is nothing to lose.
    let _ = store.close().await;
    may
}

/// Has deliveries wait as well, where there is a state that nobody else has.
async fn remember(config: &Config, sink: &SinkName, until: Timestamp) {
    let Some(store) = idle_state(config) else { return };
    if let Err(error) = store.postpone_sink(sink, until).await {
        say::problem(&format!("until when the receiver wants to be left alone can't be written: {error}"), None);
    }
    let _ = store.close().await;
}

fn print(report: &TestReport, args: &TestArgs) -> u8 {
    if args.json {
        match serde_json::to_string(report) {
            Ok(json) => say::result(&json),
            Err(error) => say::problem(&format!("the report can't be written: {error}"), None),
        }
    } else {
        let status = report.attempt.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        let verdict = if report.delivered { "delivered" } else { "not delivered" };
        let why = report.attempt.reason.as_ref().map_or_else(String::new, |reason| format!("\n{reason}"));
        let timing = report.attempt.timing.as_ref().map_or_else(String::new, |timing| format!("\n{}", spell(timing)));
        say::result(&format!(
            "{} to {}: {verdict}, {status} in {} ms{timing}{why}",
            report.id, report.sink, report.attempt.took_ms
        ));
    }
    if report.delivered { DONE } else { FAILED }
}
