//! The figures of the bridge, each beside a limit measured in the same run: `make bench`.
//!
//! Prints medians and ratios; asserts nothing, for a machine's speed is no property of the code. `FIGURE` (`idle`,
//! `latency` or `unchanged`) chooses one.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench prints, and owns its own tasks")]

mod common;
#[path = "common/cpu.rs"]
mod cpu;

use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::common::{median, memory_mib, runtime};
use crate::cpu::cpu_seconds;

/// Runs of each figure; the median is stated.
const RUNS: usize = 5;

/// Changes that one run of the latency figure makes.
const CHANGES: usize = 40;

/// How long one run of the CPU figure polls.
const POLLING: Duration = Duration::from_secs(8);

/// Jobs that poll beside each other, spread over [`EVERY`].
const JOBS: usize = 10;
const EVERY: Duration = Duration::from_millis(50);

fn main() {
    if let Ok(url) = std::env::var("BARE_GET_URL") {
        return runtime().block_on(bare_gets(&url));
    }
    let wanted = std::env::var("FIGURE").unwrap_or_default();
    let is_wanted = |name: &str| wanted.is_empty() || wanted == name;
    runtime().block_on(async {
        if is_wanted("idle") {
            idle().await;
        }
        if is_wanted("latency") {
            latency().await;
        }
        if is_wanted("unchanged") {
            unchanged().await;
        }
    });
}

/// A vendor whose one order can be changed, and a receiver, on one loopback port.
struct World {
    address: String,
    version: AtomicU64,
    /// When the vendor first answered with a version.
    served: Mutex<Option<(u64, Instant)>>,
    requests: AtomicU64,
    received: mpsc::UnboundedSender<Instant>,
}

impl World {
    async fn start() -> (Arc<Self>, mpsc::UnboundedReceiver<Instant>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (received, arrivals) = mpsc::unbounded_channel();
        let world = Arc::new(Self {
            address: listener.local_addr().expect("an address").to_string(),
            version: AtomicU64::new(1),
            served: Mutex::new(None),
            requests: AtomicU64::new(0),
            received,
        });
        let router = Router::new().route("/orders", get(orders)).route("/hook", post(hook)).with_state(world.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        (world, arrivals)
    }
}

async fn orders(State(world): State<Arc<World>>) -> ([(&'static str, &'static str); 1], String) {
    world.requests.fetch_add(1, Ordering::Relaxed);
    let version = world.version.load(Ordering::SeqCst);
    let mut served = world.served.lock().expect("no panic holds it");
    if served.is_none_or(|(last, _)| last != version) {
        *served = Some((version, Instant::now()));
    }
    drop(served);
    let filler = "x".repeat(960);
    (
        [("content-type", "application/json")],
        format!("{{\"orders\":[{{\"id\":1,\"version\":{version},\"note\":\"{filler}\"}}]}}"),
    )
}

async fn hook(State(world): State<Arc<World>>, _body: Bytes) -> &'static str {
    let _ = world.received.send(Instant::now());
    "ok"
}

/// A daemon of the release build in a directory of its own.
struct Daemon {
    child: Child,
    directory: tempfile::TempDir,
}

impl Daemon {
    /// Starts it and waits until it is ready; the time that took comes with it.
    fn start(config: &str) -> (Self, Duration) {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("doorbell.toml"), config).expect("a config");
        let notify = directory.path().join("notify");
        let socket = UnixDatagram::bind(&notify).expect("a socket");
        let began = Instant::now();
        #[expect(clippy::zombie_processes, reason = "`Drop` waits for it")]
        let child = Command::new(env!("CARGO_BIN_EXE_doorbell"))
            .args(["run", "-c", "doorbell.toml"])
            .current_dir(directory.path())
            .env("NOTIFY_SOCKET", &notify)
            .stderr(Stdio::null())
            .spawn()
            .expect("the daemon starts");
        let mut message = [0; 512];
        loop {
            let length = socket.recv(&mut message).expect("a message");
            if String::from_utf8_lossy(&message[..length]).contains("READY=1") {
                return (Self { child, directory }, began.elapsed());
            }
        }
    }

    fn state(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn config(address: &str, jobs: usize, every: &str) -> String {
    let job = |number: usize| {
        format!(
            "[job.orders{number}]\nurl = \"http://{address}/orders\"\nevery = \"{every}\"\nitems = \"$.orders[*]\"\n\
             key = \"$.id\"\nsend_to = [\"hook\"]\n"
        )
    };
    let jobs: String = (0..jobs).map(job).collect();
    format!(
        "[daemon]\nlisten = \"off\"\n{jobs}[sink.hook]\nurl = \"http://{address}/hook\"\n\
         secret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n"
    )
}

/// RSS of an idle daemon with one job, and how soon it is ready.
async fn idle() {
    let (world, _arrivals) = World::start().await;
    let (mut ready, mut resident) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let (daemon, took) = Daemon::start(&config(&world.address, 1, "1h"));
        ready.push(took.as_secs_f64() * 1e3);
        tokio::time::sleep(Duration::from_secs(2)).await;
        resident.push(memory_mib(daemon.child.id(), "VmRSS"));
    }
    println!("idle, one job: RSS {:.1} MiB (limit 20), ready in {:.1} ms (limit 100)", median(resident), median(ready));
}

/// From the vendor's answer that holds a change to the webhook's arrival, beside an fsync'd commit and a bare POST.
async fn latency() {
    let (world, mut arrivals) = World::start().await;
    let (daemon, _) = Daemon::start(&config(&world.address, 1, "50ms"));
    wait_for_requests(&world, 3).await;
    let (mut ratios, mut seen, mut limits) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let run = latency_run(&world, &mut arrivals).await;
        let limit = limit_run(&world, &mut arrivals, daemon.state()).await;
        ratios.push(run / limit);
        seen.push(run);
        limits.push(limit);
    }
    println!(
        "change seen to webhook received: median {:.2} ms; commit + POST: {:.2} ms; ratio {:.2} (limit 2)",
        median(seen),
        median(limits),
        median(ratios)
    );
}

/// The median of some changes, in milliseconds.
async fn latency_run(world: &World, arrivals: &mut mpsc::UnboundedReceiver<Instant>) -> f64 {
    let mut took = Vec::new();
    for _ in 0..CHANGES {
        let version = world.version.fetch_add(1, Ordering::SeqCst) + 1;
        let arrived = arrivals.recv().await.expect("a webhook");
        let served = world.served.lock().expect("no panic holds it").filter(|(served, _)| *served == version);
        took.push(arrived.duration_since(served.expect("it was served").1).as_secs_f64() * 1e3);
    }
    median(took)
}

/// The median of as many commits of one row with one POST each, in milliseconds.
async fn limit_run(world: &World, arrivals: &mut mpsc::UnboundedReceiver<Instant>, directory: &Path) -> f64 {
    let file = directory.join("limit.db");
    let connection = rusqlite::Connection::open(&file).expect("a database");
    connection
        .execute_batch("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE IF NOT EXISTS t (body BLOB)")
        .expect("a table");
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let body = vec![b'x'; 2048];
    let mut took = Vec::new();
    for _ in 0..CHANGES {
        // As far apart as the daemon's commits are, so that the disk and the processor are as awake.
        tokio::time::sleep(Duration::from_millis(50)).await;
        let began = Instant::now();
        connection.execute("INSERT INTO t VALUES (?1)", [&body]).expect("a commit");
        let post = client.post(format!("http://{}/hook", world.address)).body(body.clone()).send();
        post.await.expect("an answer").bytes().await.expect("a body");
        took.push(arrivals.recv().await.expect("a webhook").duration_since(began).as_secs_f64() * 1e3);
    }
    median(took)
}

/// CPU of an unchanged poll beside that of a bare GET by the same client library at the same pace.
async fn unchanged() {
    let (world, _arrivals) = World::start().await;
    let (mut ratios, mut polls, mut gets) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let (daemon, _) = Daemon::start(&config(&world.address, JOBS, "50ms"));
        wait_for_requests(&world, 4 * JOBS as u64).await;
        let poll = cpu_per_request(&world, daemon.child.id()).await;
        drop(daemon);
        let mut bare = Command::new(std::env::current_exe().expect("this bench"))
            .env("BARE_GET_URL", format!("http://{}/orders", world.address))
            .stdout(Stdio::piped())
            .spawn()
            .expect("a child");
        let mut line = String::new();
        BufReader::new(bare.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
        let get = cpu_per_request(&world, bare.id()).await;
        let _ = bare.kill();
        let _ = bare.wait();
        ratios.push(poll / get);
        polls.push(poll);
        gets.push(get);
    }
    println!(
        "unchanged poll of 1 KiB: {:.0} µs of CPU; bare GET: {:.0} µs; ratio {:.2} (limit 2)",
        median(polls),
        median(gets),
        median(ratios)
    );
}

/// The child of [`unchanged`]: bare GETs at the pace of the daemon's polls, until it is killed.
async fn bare_gets(url: &str) {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let mut loops = Vec::new();
    for number in 0..JOBS as u32 {
        let (client, url) = (client.clone(), url.to_owned());
        loops.push(tokio::spawn(async move {
            // As the daemon's jobs do: if all woke at once, nine of ten would find the processor's caches warm.
            let start = tokio::time::Instant::now() + EVERY * number / JOBS as u32;
            let mut pace = tokio::time::interval_at(start, EVERY);
            loop {
                pace.tick().await;
                let answer = client.get(&url).send().await.expect("an answer");
                std::hint::black_box(answer.bytes().await.expect("a body"));
            }
        }));
    }
    println!("going");
    for one in loops {
        let _ = one.await;
    }
}

/// Microseconds of CPU that a process uses for each request that the vendor gets.
async fn cpu_per_request(world: &World, pid: u32) -> f64 {
    let (requests, cpu) = (world.requests.load(Ordering::Relaxed), cpu_seconds(pid));
    tokio::time::sleep(POLLING).await;
    let requests = world.requests.load(Ordering::Relaxed) - requests;
    (cpu_seconds(pid) - cpu) * 1e6 / requests as f64
}

async fn wait_for_requests(world: &World, count: u64) {
    let goal = world.requests.load(Ordering::Relaxed) + count;
    while world.requests.load(Ordering::Relaxed) < goal {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
