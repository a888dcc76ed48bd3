//! What a sink that is in trouble costs another: the p99 from a change to its webhook, alone and beside it.
//!
//! Short runs alternate, for a machine's mood moves slower than that, and each side's p99 is over all its runs. The sink
//! beside gets each event too; what that costs when nothing is wrong with it is a line of its own, and so is how far
//! apart two runs of the same thing are. The state is in memory: a disk that stops for 100 ms now and then, for whatever
//! else it has to do, would be all that a p99 shows. `TMPDIR` puts it elsewhere.

use std::path::PathBuf;
use std::time::Duration;

use crate::trouble::Trouble;
use crate::{Daemon, Receiver, config};

/// Pairs of runs for each kind of trouble.
const PAIRS: usize = 20;

/// Changes of one run that count.
const CHANGES: usize = 100;

/// Changes before them: caches, connections and the machine's clock warm up.
const WARM_UP: usize = 10;

/// Prints a line for each kind of trouble, or for that of `BESIDE`.
pub(crate) async fn isolation() {
    let wanted = std::env::var("BESIDE").unwrap_or_default();
    for trouble in Trouble::ALL.into_iter().filter(|trouble| wanted.is_empty() || wanted == trouble.word()) {
        let (mut alone, mut beside) = (Vec::new(), Vec::new());
        for pair in 0..PAIRS {
            // Who goes first alternates too.
            if pair % 2 == 0 {
                alone.extend(latencies(Trouble::None).await);
                beside.extend(latencies(trouble).await);
            } else {
                beside.extend(latencies(trouble).await);
                alone.extend(latencies(Trouble::None).await);
            }
        }
        let (alone, beside) = (Percentiles::of(alone), Percentiles::of(beside));
        println!(
            "p99 of a sink beside one of the kind `{}`: {:.2} ms; alone: {:.2} ms; ratio {:.2} (goal 1.10); p90 \
             {:.2} and {:.2} ms, medians {:.2} and {:.2} ms",
            trouble.word(),
            beside.p99,
            alone.p99,
            beside.p99 / alone.p99,
            beside.p90,
            alone.p90,
            beside.median,
            alone.median,
        );
    }
}

/// Where the state is.
fn place() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    let is_chosen = std::env::var_os("TMPDIR").is_some();
    if !is_chosen && memory.is_dir() { memory } else { std::env::temp_dir() }
}

struct Percentiles {
    median: f64,
    p90: f64,
    p99: f64,
}

impl Percentiles {
    fn of(mut took: Vec<f64>) -> Self {
        took.sort_by(f64::total_cmp);
        let at = |percent: usize| took[took.len() * percent / 100];
        Self { median: at(50), p90: at(90), p99: at(99) }
    }
}

/// How long each change of one run took to its webhook, in milliseconds.
async fn latencies(beside: Trouble) -> Vec<f64> {
    let receiver = Receiver::start().await;
    let directory = tempfile::tempdir_in(place()).expect("a directory");
    let address = &receiver.address;
    let mut text = config(address, "50ms", &format!("url = \"http://{address}/good\""));
    if beside != Trouble::None {
        let url = beside.start().await;
        text = text.replace("[\"hook\"]", "[\"hook\", \"other\"]");
        // It is tried again and again, however often it has failed.
        text += &format!(
            "[sink.other]\nurl = \"{url}\"\nsecret = \"secret\"\norder = \"none\"\ntimeout = \"2s\"\nretry = [\"100ms\"]\n"
        );
    }
    let daemon = Daemon::start(directory.path(), &text);
    let done = || receiver.latency.lock().expect("no panic holds it").2.len() >= WARM_UP + CHANGES;
    while !done() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    drop(daemon);
    std::mem::take(&mut receiver.latency.lock().expect("no panic holds it").2).split_off(WARM_UP)
}
