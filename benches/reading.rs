//! The figures of reading, each beside its limit: `make bench`.
//!
//! Memory over a million items on a thousand pages, and the CPU of a long list with one change. Prints; asserts nothing.
//! `FIGURE=list` or `FIGURE=million` leaves the other out.

#![expect(clippy::print_stdout, clippy::disallowed_methods, reason = "a bench prints, and owns its own tasks")]

mod common;
#[path = "common/cpu.rs"]
mod cpu;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::{Query, State};
use axum::routing::{get, post};
use doorbell::core::json::{Split, split};
use doorbell::core::names::Digest;
use doorbell::core::path::JsonPath;
use tokio::net::TcpListener;

use crate::common::{median, memory_mib, runtime};
use crate::cpu::cpu_seconds;

/// Runs of the CPU figure; the median is stated.
const RUNS: usize = 5;

/// Polls, or bare readings, of one run.
const READINGS: u64 = 30;

const PAGES: u64 = 1000;
const ITEMS_PER_PAGE: u64 = 1000;
const LONG_LIST: u64 = 20_000;

/// Bytes that make 20,000 items a list of 10 MB.
const FILLER: usize = 440;

fn main() {
    if let (Ok(url), Ok(kind)) = (std::env::var("BARE_READ_URL"), std::env::var("BARE_READ_KIND")) {
        return runtime().block_on(bare(&url, &kind));
    }
    let wanted = std::env::var("FIGURE").unwrap_or_default();
    let is_wanted = |name: &str| wanted.is_empty() || wanted == name;
    runtime().block_on(async {
        if is_wanted("list") {
            one_change().await;
        }
        if is_wanted("million") {
            million().await;
        }
    });
}

/// A vendor of both lists, whose items change when its version does, and a receiver.
struct World {
    address: String,
    version: AtomicU64,
    lists: AtomicU64,
    webhooks: AtomicU64,
}

impl World {
    async fn start() -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let world = Arc::new(Self {
            address: listener.local_addr().expect("an address").to_string(),
            version: AtomicU64::new(0),
            lists: AtomicU64::new(0),
            webhooks: AtomicU64::new(0),
        });
        let router = Router::new()
            .route("/long", get(long))
            .route("/pages", get(page))
            .route("/hook", post(hook))
            .with_state(world.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        world
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }
}

type Answer = ([(&'static str, &'static str); 1], String);

fn answer(items: impl Iterator<Item = String>) -> Answer {
    let items: Vec<String> = items.collect();
    ([("content-type", "application/json")], format!("{{\"data\":[{}]}}", items.join(",")))
}

fn item(id: u64, version: u64, filler: &str) -> String {
    format!(
        "{{\"id\":{id},\"status\":\"paid\",\"version\":{version},\"customer\":\"Number {id}\",\"note\":\"{filler}\"}}"
    )
}

/// One item of it is another each time.
async fn long(State(world): State<Arc<World>>) -> Answer {
    let version = world.lists.fetch_add(1, Ordering::SeqCst) + 1;
    let filler = "x".repeat(FILLER);
    answer((0..LONG_LIST).map(|id| item(id, if id == version % LONG_LIST { version } else { 0 }, &filler)))
}

#[derive(serde::Deserialize)]
struct Page {
    page: u64,
}

/// Ten items of all are others when the version is another.
async fn page(State(world): State<Arc<World>>, Query(Page { page }): Query<Page>) -> Answer {
    let version = world.version.load(Ordering::SeqCst);
    let first = (page - 1) * ITEMS_PER_PAGE;
    let count = if page > PAGES { 0 } else { ITEMS_PER_PAGE };
    let filler = "x".repeat(80);
    answer((first..first + count).map(|id| item(id, if id % 100_000 == 7 { version } else { 0 }, &filler)))
}

async fn hook(State(world): State<Arc<World>>) -> &'static str {
    world.webhooks.fetch_add(1, Ordering::SeqCst);
    "ok"
}

/// A daemon of the release build in a directory of its own.
struct Daemon {
    child: Child,
    directory: tempfile::TempDir,
}

impl Daemon {
    fn start(world: &World, job: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let config = format!(
            "[daemon]\nlisten = \"unix:doorbell.sock\"\n\
             [job.orders]\nitems = \"$.data[*]\"\nkey = \"$.id\"\nsend_to = [\"hook\"]\n{job}\n\
             [sink.hook]\nurl = \"{}\"\n",
            world.url("hook")
        );
        std::fs::write(directory.path().join("doorbell.toml"), config).expect("a config");
        let child = doorbell(directory.path(), &["run"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the daemon starts");
        Self { child, directory }
    }

    /// What a command prints.
    fn ask(&self, args: &[&str]) -> String {
        let output = doorbell(self.directory.path(), args).output().expect("a command runs");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Has its job been polled with success?
    fn has_polled(&self) -> bool {
        let status: serde_json::Value = serde_json::from_str(&self.ask(&["status", "--json"])).unwrap_or_default();
        status["jobs"][0]["last_success"].is_string()
    }

    /// The most memory since this was last asked, in MiB.
    fn peak_mib(&self) -> f64 {
        let pid = self.child.id();
        let peak = memory_mib(pid, "VmHWM");
        std::fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("a peak can be forgotten");
        peak
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn doorbell(directory: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doorbell"));
    command.args(["-c", "doorbell.toml"]).args(args).current_dir(directory);
    command
}

/// Peak memory of a baseline of a million items, and of a poll after it that finds ten changes.
async fn million() {
    let world = World::start().await;
    let job = format!(
        "url = \"{}\"\nevery = \"366d\"\npages = {{ style = \"page\", param = \"page\", start = 1, max = {} }}",
        world.url("pages"),
        2 * PAGES
    );
    let began = Instant::now();
    let daemon = Daemon::start(&world, &job);
    wait_until(|| daemon.has_polled()).await;
    let (baseline, took) = (daemon.peak_mib(), began.elapsed());
    world.version.fetch_add(1, Ordering::SeqCst);
    let began = Instant::now();
    daemon.ask(&["poll", "orders", "--commit"]);
    let second = began.elapsed();
    wait_until(|| world.webhooks.load(Ordering::SeqCst) == 10).await;
    println!(
        "1,000,000 items on 1,000 pages: peak RSS {baseline:.0} MiB over the baseline ({:.0} s), {:.0} MiB over the poll \
         after it with ten changes ({:.0} s) (limit 160)",
        took.as_secs_f64(),
        daemon.peak_mib(),
        second.as_secs_f64()
    );
}

/// CPU of a poll of a long list in which one item has changed, beside that of programs that do less.
async fn one_change() {
    let world = World::start().await;
    let job = format!("url = \"{}\"\nevery = \"300ms\"", world.url("long"));
    let (mut polls, mut reads, mut splits) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let daemon = Daemon::start(&world, &job);
        let begun = world.lists.load(Ordering::SeqCst);
        wait_until(|| world.lists.load(Ordering::SeqCst) > begun + 3).await;
        let (lists, cpu) = (world.lists.load(Ordering::SeqCst), cpu_seconds(daemon.child.id()));
        wait_until(|| world.lists.load(Ordering::SeqCst) >= lists + READINGS).await;
        let lists = world.lists.load(Ordering::SeqCst) - lists;
        polls.push((cpu_seconds(daemon.child.id()) - cpu) * 1e3 / lists as f64);
        drop(daemon);
        reads.push(bare_ms(&world, "read"));
        splits.push(bare_ms(&world, "split"));
    }
    let (poll, read, split) = (median(polls), median(reads), median(splits));
    println!(
        "10 MB, 20,000 items, one change: {poll:.1} ms of CPU for the poll; fetching, splitting and hashing: {read:.1} ms, \
         ratio {:.2} (limit 1.5); splitting and hashing alone: {split:.1} ms, ratio {:.2}",
        poll / read,
        poll / split
    );
}

/// Milliseconds of CPU that a child of this bench needs for one reading.
fn bare_ms(world: &World, kind: &str) -> f64 {
    let mut child = Command::new(std::env::current_exe().expect("this bench"))
        .env("BARE_READ_URL", world.url("long"))
        .env("BARE_READ_KIND", kind)
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("a line");
    child.wait().expect("its end");
    line.trim().parse().expect("a number")
}

/// The child of [`bare_ms`]: reads the list again and again, as `kind` says.
async fn bare(url: &str, kind: &str) {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let get = async || client.get(url).send().await.expect("an answer").bytes().await.expect("a body");
    let query = JsonPath::parse("$.data[*]").expect("a path");
    let steps = query.plain_steps().expect("plain steps");
    let read = |body: &[u8]| {
        let Ok(Split::Items(items)) = split(body, steps) else { panic!("a list") };
        items.iter().for_each(|item| {
            std::hint::black_box(Digest::of(item));
        });
    };
    let body = get().await;
    read(&body);
    let cpu = cpu_seconds(std::process::id());
    for _ in 0..READINGS {
        match kind {
            "read" => read(&get().await),
            _ => read(&body),
        }
    }
    println!("{}", (cpu_seconds(std::process::id()) - cpu) * 1e3 / READINGS as f64);
}

async fn wait_until(mut there: impl FnMut() -> bool) {
    while !there() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
