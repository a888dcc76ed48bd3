//! How much memory a long queue takes: while its sink hangs, and while it is drained.

use std::time::Duration;

use crate::common::memory_mib;
use crate::{Daemon, Receiver, config, fill};

/// Deliveries that wait.
const QUEUED: usize = 1_000_000;

/// How long a daemon is left alone before it is looked at.
const STEADY: Duration = Duration::from_secs(5);

/// RSS of a daemon with an empty queue, with a full one whose sink hangs, and at its most while that is drained.
pub(crate) async fn memory() {
    let receiver = Receiver::start().await;
    let sink = |path: &str| {
        format!(
            "url = \"http://{}/{path}\"\ntimeout = \"10m\"\nmax_backlog = 2000000\nconcurrency = 64",
            receiver.address
        )
    };
    let hangs = config(&receiver.address, "24h", &sink("hang"));
    let empty = tempfile::tempdir().expect("a directory");
    let idle = steady(&Daemon::start(empty.path(), &hangs)).await;
    let full = tempfile::tempdir().expect("a directory");
    fill(&full.path().join("doorbell.db"), QUEUED, 256).await;
    let hanging = steady(&Daemon::start(full.path(), &hangs)).await;
    let daemon = Daemon::start(full.path(), &config(&receiver.address, "24h", &sink("hook")));
    let rate = receiver.rate(QUEUED as u64).await;
    let draining = memory_mib(daemon.child.id(), "VmHWM");
    println!(
        "RSS with {QUEUED} queued deliveries: idle {idle:.1} MiB; while the sink hangs {:.1} MiB above that; at most \
         {:.1} MiB above it while they are drained at {rate:.0}/s (goal 100)",
        hanging - idle,
        draining - idle
    );
}

async fn steady(daemon: &Daemon) -> f64 {
    tokio::time::sleep(STEADY).await;
    memory_mib(daemon.child.id(), "VmRSS")
}
