//! What a sink that is in trouble costs another: the p99 from a change to its webhook, alone and beside it.
//!
//! Runs alternate, for this machine's mood moves slower than that, and each side's p99 is over all its runs. The sink
//! beside gets each event too; what that costs when nothing is wrong with it is a line of its own.

use std::time::Duration;

use crate::trouble::Trouble;
use crate::{Daemon, Receiver, config};

/// Pairs of runs for each kind of trouble.
const PAIRS: usize = 5;

/// Changes of one run.
const CHANGES: usize = 400;

/// Prints a line for each kind of trouble, or for that of `BESIDE`.
pub(crate) async fn isolation() {
    let wanted = std::env::var("BESIDE").unwrap_or_default();
    for trouble in Trouble::ALL.into_iter().filter(|trouble| wanted.is_empty() || wanted == trouble.word()) {
        let (mut alone, mut beside) = (Vec::new(), Vec::new());
        for pair in 0..PAIRS {
            // Who goes first alternates too.
            if pair % 2 == 0 {
                alone.extend(latencies(None).await);
                beside.extend(latencies(Some(trouble)).await);
            } else {
                beside.extend(latencies(Some(trouble)).await);
                alone.extend(latencies(None).await);
            }
        }
        let (alone, beside) = (Percentiles::of(alone), Percentiles::of(beside));
        println!(
            "p99 of a sink beside one of the kind `{}`: {:.2} ms; alone: {:.2} ms; ratio {:.2} (goal 1.10); medians \
             {:.2} and {:.2} ms",
            trouble.word(),
            beside.p99,
            alone.p99,
            beside.p99 / alone.p99,
            beside.median,
            alone.median,
        );
    }
}

struct Percentiles {
    median: f64,
    p99: f64,
}

impl Percentiles {
    fn of(mut took: Vec<f64>) -> Self {
        took.sort_by(f64::total_cmp);
        let at = |percent: usize| took[took.len() * percent / 100];
        Self { median: at(50), p99: at(99) }
    }
}

/// How long each change of one run took to its webhook, in milliseconds.
async fn latencies(beside: Option<Trouble>) -> Vec<f64> {
    let receiver = Receiver::start().await;
    let directory = tempfile::tempdir().expect("a directory");
    let address = &receiver.address;
    let mut text = config(address, "50ms", &format!("url = \"http://{address}/good\""));
    if let Some(trouble) = beside {
        let url = trouble.start().await;
        text = text.replace("[\"hook\"]", "[\"hook\", \"other\"]");
        // It is tried again and again, however often it has failed.
        text += &format!(
            "[sink.other]\nurl = \"{url}\"\nsecret = \"secret\"\norder = \"none\"\ntimeout = \"2s\"\nretry = [\"100ms\"]\n"
        );
    }
    let daemon = Daemon::start(directory.path(), &text);
    let done = || receiver.latency.lock().expect("no panic holds it").2.len() >= CHANGES;
    while !done() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(daemon);
    std::mem::take(&mut receiver.latency.lock().expect("no panic holds it").2)
}
