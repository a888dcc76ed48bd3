//! What a sink that is in trouble costs another: the p99 from a change to its webhook, alone and beside it.
//!
//! Runs alternate, and what is stated is the median of the ratios of neighbours: this machine's mood moves slower than
//! that. The sink beside gets each event too; what that costs when nothing is wrong with it is a line of its own.

use std::time::Duration;

use crate::trouble::Trouble;
use crate::{Daemon, Receiver, config, median};

/// Pairs of runs for each kind of trouble.
const PAIRS: usize = 5;

/// Changes of one run.
const CHANGES: usize = 200;

/// Prints a line for each kind of trouble, or for that of `BESIDE`.
pub(crate) async fn isolation() {
    let wanted = std::env::var("BESIDE").unwrap_or_default();
    for trouble in Trouble::ALL.into_iter().filter(|trouble| wanted.is_empty() || wanted == trouble.word()) {
        let (mut alones, mut besides, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for pair in 0..PAIRS {
            // Who goes first alternates too.
            let (alone, beside) = match pair % 2 {
                0 => (p99(None).await, p99(Some(trouble)).await),
                _ => {
                    let beside = p99(Some(trouble)).await;
                    (p99(None).await, beside)
                }
            };
            ratios.push(beside / alone);
            alones.push(alone);
            besides.push(beside);
        }
        ratios.sort_by(f64::total_cmp);
        println!(
            "p99 of a sink beside one of the kind `{}`: {:.2} ms; alone: {:.2} ms; ratio {:.2}, of {PAIRS} pairs from \
             {:.2} to {:.2} (goal 1.10)",
            trouble.word(),
            median(besides),
            median(alones),
            median(ratios.clone()),
            ratios[0],
            ratios[PAIRS - 1],
        );
    }
}

async fn p99(beside: Option<Trouble>) -> f64 {
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
    let mut took = std::mem::take(&mut receiver.latency.lock().expect("no panic holds it").2);
    took.sort_by(f64::total_cmp);
    took[took.len() * 99 / 100]
}
