//! The figures of delivery, each beside a limit measured in the same run: `make bench`.
//!
//! Prints medians and ratios; asserts nothing, for a machine's speed is no property of the code. `FIGURE=throughput`,
//! `memory` or `isolation` (and `BESIDE=hang` and so on) leaves the others out.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench prints, and owns its own tasks")]

#[path = "../common/mod.rs"]
mod common;
mod isolation;
mod memory;
mod trouble;

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use doorbell::core::delivery::NewDelivery;
use doorbell::core::diff::Change;
use doorbell::core::event::NewEvent;
use doorbell::core::names::{EventId, JobName, Key, Lane, Scope, SinkName};
use doorbell::core::outcome::PollOutcome;
use doorbell::core::time::Timestamp;
use doorbell::engine::clock::wall_clock;
use doorbell::store::sqlite::{Options, SqliteStore};
use doorbell::store::{Outbox, PollChanges, PollEnding, Polls, Room, ScopeState, Upkeep};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::common::{median, memory_mib, runtime};

/// Runs of each figure; the median is stated.
const RUNS: usize = 3;

/// Deliveries that wait when the daemon starts.
const BACKLOG: usize = 50_000;

/// Attempts at once, of the daemon and of the bare client.
const CONCURRENCY: usize = 64;

fn main() {
    let runtime = runtime();
    if let Ok(url) = std::env::var("BARE_POST_URL") {
        return runtime.block_on(bare_posts(&url));
    }
    let wanted = std::env::var("FIGURE").unwrap_or_default();
    let is_wanted = |name: &str| wanted.is_empty() || wanted == name;
    runtime.block_on(async {
        if is_wanted("throughput") {
            throughput().await;
        }
        if is_wanted("memory") {
            memory::memory().await;
        }
        if is_wanted("isolation") {
            isolation::isolation().await;
        }
    });
}

/// A receiver made of a socket and nothing else, so that it is never what is measured.
struct Receiver {
    address: String,
    count: AtomicU64,
    /// When the first request of a run came, and the last.
    span: Mutex<Option<(Instant, Instant)>>,
    /// When the vendor's answer of each version was sent, and how long its webhook took.
    latency: Mutex<(u64, Option<Instant>, Vec<f64>)>,
}

impl Receiver {
    async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let receiver = Arc::new(Self {
            address: listener.local_addr().expect("an address").to_string(),
            count: AtomicU64::new(0),
            span: Mutex::new(None),
            latency: Mutex::new((0, None, Vec::new())),
        });
        let accepting = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(accepting.clone().serve(stream));
            }
        });
        receiver
    }

    async fn serve(self: Arc<Self>, mut stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let mut buffer = Vec::with_capacity(16 * 1024);
        loop {
            while let Some((head, length)) = whole_request(&buffer) {
                let answer = self.answer(&buffer[..head]);
                buffer.drain(..length);
                match answer {
                    Some(answer) if stream.write_all(answer.as_bytes()).await.is_ok() => {}
                    Some(_) => return,
                    None => std::future::pending().await,
                }
            }
            if stream.read_buf(&mut buffer).await.is_ok_and(|read| read > 0) {
                continue;
            }
            return;
        }
    }

    /// `/orders` is the vendor, `/hang` never answers, `/hook` and everything else is counted.
    fn answer(&self, head: &[u8]) -> Option<String> {
        if head.starts_with(b"GET /orders") {
            return Some(self.orders());
        }
        if head.starts_with(b"POST /hang") {
            return None;
        }
        let now = Instant::now();
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut span = self.span.lock().expect("no panic holds it");
        *span = Some((span.map_or(now, |(first, _)| first), now));
        drop(span);
        let mut latency = self.latency.lock().expect("no panic holds it");
        if head.starts_with(b"POST /good")
            && let Some(served) = latency.1.take()
        {
            latency.2.push(now.duration_since(served).as_secs_f64() * 1e3);
        }
        Some("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_owned())
    }

    /// A list of one order, which changes with every answer once the webhook of the one before has come.
    fn orders(&self) -> String {
        let mut latency = self.latency.lock().expect("no panic holds it");
        if latency.1.is_none() {
            latency.0 += 1;
            latency.1 = (latency.0 > 1).then(Instant::now);
        }
        let body = format!("[{{\"id\":1,\"version\":{}}}]", latency.0);
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
    }

    /// Waits until so many have come since the last call; how many came in a second.
    async fn rate(&self, count: u64) -> f64 {
        while self.count.load(Ordering::Relaxed) < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        self.count.store(0, Ordering::Relaxed);
        let (first, last) = self.span.lock().expect("no panic holds it").take().expect("requests came");
        count as f64 / last.duration_since(first).as_secs_f64()
    }
}

/// The ends of the first request's head and body, if it is whole.
fn whole_request(bytes: &[u8]) -> Option<(usize, usize)> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..head]).ok()?;
    let length =
        text.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let end = head + length.unwrap_or(0_usize);
    (bytes.len() >= end).then_some((head, end))
}

/// Durable, signed deliveries in a second from a backlog, beside bare posts of the same client library.
async fn throughput() {
    let receiver = Receiver::start().await;
    let (mut ratios, mut ours, mut bares, mut peaks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let directory = tempfile::tempdir().expect("a directory");
        fill(&directory.path().join("doorbell.db"), BACKLOG, 1024).await;
        let sink = format!("url = \"http://{}/hook\"\nconcurrency = {CONCURRENCY}", receiver.address);
        let daemon = Daemon::start(directory.path(), &config(&receiver.address, "24h", &sink));
        let our = receiver.rate(BACKLOG as u64).await;
        peaks.push(memory_mib(daemon.child.id(), "VmHWM"));
        daemon.stop();
        // A delivery counts when it is settled on disk, not when it was sent.
        assert_eq!(queued(&directory.path().join("doorbell.db")).await, 0, "all are settled");
        let bare = bare_rate(&receiver).await;
        ratios.push(our / bare);
        ours.push(our);
        bares.push(bare);
    }
    println!(
        "durable signed deliveries of 1 KiB: {:.0}/s; bare POSTs: {:.0}/s; ratio {:.2} (goal 0.35); peak RSS {:.1} MiB",
        median(ours),
        median(bares),
        median(ratios),
        median(peaks)
    );
}

async fn bare_rate(receiver: &Receiver) -> f64 {
    let mut bare = Command::new(std::env::current_exe().expect("this bench"))
        .env("BARE_POST_URL", format!("http://{}/hook", receiver.address))
        .stdout(Stdio::null())
        .spawn()
        .expect("a child");
    let rate = receiver.rate(BACKLOG as u64).await;
    let _ = bare.wait();
    rate
}

/// The child of [`bare_rate`]: as many posts, at once and in all.
async fn bare_posts(url: &str) {
    let client = reqwest::Client::builder().no_proxy().pool_max_idle_per_host(CONCURRENCY).build().expect("a client");
    let body = Bytes::from(vec![b'x'; 1024]);
    let left = Arc::new(AtomicU64::new(BACKLOG as u64));
    let mut loops = Vec::new();
    for _ in 0..CONCURRENCY {
        let (client, url, body, left) = (client.clone(), url.to_owned(), body.clone(), left.clone());
        loops.push(tokio::spawn(async move {
            while left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                let answer = client.post(&url).body(body.clone()).send().await.expect("an answer");
                std::hint::black_box(answer.bytes().await.expect("a body"));
            }
        }));
    }
    for one in loops {
        let _ = one.await;
    }
}

/// A state in which so many deliveries wait, each of an item of its own.
async fn fill(path: &Path, count: usize, bytes: usize) {
    let now = wall_clock();
    let store = SqliteStore::open(&Options { path: path.to_owned(), uid_seed: 1, now }).expect("a state");
    store.adopt(&[JobName::from("orders")], &[SinkName::from("hook")], now).await.expect("adopted");
    let body = Bytes::from(vec![b'x'; bytes]);
    for from in (0..count).step_by(5_000) {
        let events: Vec<NewEvent> =
            (from + 1..=(from + 5_000).min(count)).map(|at| event(at as u64, now, &body)).collect();
        let ticket = store.claim_poll(&JobName::from("orders"), now).await.expect("no error").expect("free");
        let sequence = events.last().map_or(0, |event| event.sequence);
        let ending = PollEnding {
            outcome: PollOutcome::Complete,
            at: now,
            scope: ScopeState { sequence, baseline: true, ..ScopeState::default() },
        };
        let changes = PollChanges { scope: Scope::default(), events, ..PollChanges::default() };
        store.commit_poll(ticket, changes, ending, &Room::new()).await.expect("committed");
    }
    assert_eq!(store.queue(&SinkName::from("hook")).await.expect("a queue").backlog, count as u64);
    store.close().await.expect("closed");
}

/// How many deliveries of a state have not ended.
async fn queued(path: &Path) -> u64 {
    let store = SqliteStore::open(&Options { path: path.to_owned(), uid_seed: 1, now: wall_clock() }).expect("a state");
    let backlog = store.queue(&SinkName::from("hook")).await.expect("a queue").backlog;
    store.close().await.expect("closed");
    backlog
}

fn event(sequence: u64, at: Timestamp, body: &Bytes) -> NewEvent {
    let key = Key::from(sequence.to_string().as_str());
    let lane = Some(Lane(key.digest().0));
    NewEvent {
        id: EventId::from(format!("evt_{sequence:026}").as_str()),
        key,
        change: Change::Updated,
        sequence,
        at,
        kind: "orders.updated".to_owned(),
        body: body.clone(),
        deliveries: vec![NewDelivery {
            sink: SinkName::from("hook"),
            lane,
            body: None,
            wire: Default::default(),
            dead: None,
        }],
    }
}

fn config(address: &str, every: &str, sink: &str) -> String {
    format!(
        "[daemon]\nlisten = \"off\"\n[job.orders]\nurl = \"http://{address}/orders\"\nevery = \"{every}\"\n\
         items = \"$[*]\"\nkey = \"$.id\"\nsend_to = [\"hook\"]\n\
         [sink.hook]\nsecret = \"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\"\n{sink}\n"
    )
}

/// A daemon of the release build.
struct Daemon {
    child: Child,
}

impl Daemon {
    /// Starts it in a directory and waits until it is ready.
    fn start(directory: &Path, config: &str) -> Self {
        std::fs::write(directory.join("doorbell.toml"), config).expect("a config");
        let notify = directory.join("notify");
        let _ = std::fs::remove_file(&notify);
        let socket = UnixDatagram::bind(&notify).expect("a socket");
        #[expect(clippy::zombie_processes, reason = "`Drop` waits for it")]
        let child = Command::new(env!("CARGO_BIN_EXE_doorbell"))
            .args(["run", "-c", "doorbell.toml"])
            .current_dir(directory)
            .env("NOTIFY_SOCKET", &notify)
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .expect("the daemon starts");
        let mut message = [0; 512];
        loop {
            let length = socket.recv(&mut message).expect("a message");
            if String::from_utf8_lossy(&message[..length]).contains("READY=1") {
                return Self { child };
            }
        }
    }
}

impl Daemon {
    /// SIGTERM, and its end: what was sent is settled.
    fn stop(mut self) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it runs");
        assert!(self.child.wait().expect("a child").success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
