//! The real daemon as a child process: started, asked, signalled, killed.
//!
//! It parses one thing of the log, the address of the line `listening`, and keeps the rest for tests to look at.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;

use nix::sys::signal::{Signal as UnixSignal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::bridge::{Bridge, Done, finish};
use super::http::{self, Answer};
use super::json;
use super::signal::{Signal, ask_until};
use super::vendor::Vendor;

/// A daemon that runs until the end of the test, or until it is told otherwise.
pub(crate) struct Daemon<'a> {
    bridge: &'a Bridge,
    child: Child,
    logs: Arc<Signal<Log>>,
    pub(crate) addr: SocketAddr,
}

/// What the daemon has printed.
#[derive(Debug, Default)]
struct Log {
    lines: Vec<String>,
    streams_ended: usize,
}

impl<'a> Daemon<'a> {
    /// Starts the daemon of a folder, and waits until it listens.
    pub(crate) fn start(bridge: &'a Bridge, adjust: impl FnOnce(&mut Command)) -> Self {
        let mut command = bridge.executable();
        command.args(["-c", "doorbell.toml", "run", "--log", "json"]);
        adjust(&mut command);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the executable starts");
        let logs = Arc::new(Signal::new(Log::default()));
        collect(child.stdout.take().expect("stdout is piped"), &logs);
        collect(child.stderr.take().expect("stderr is piped"), &logs);
        let addr = logs.wait_for("the line `listening`, or the end", |log| {
            let found = log.lines.iter().find_map(|line| listening(line)).map(Ok);
            found.or_else(|| (log.streams_ended == 2).then(|| Err(log.lines.join("\n"))))
        });
        match addr {
            Ok(addr) => Self { bridge, child, logs, addr },
            Err(said) => panic!("the daemon ended with {:?} before it listened:\n{said}", child.wait()),
        }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `http://` and its address.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// GET.
    pub(crate) fn get(&self, target: &str) -> Answer {
        http::get(self.addr, target).unwrap_or_else(|error| panic!("GET {target}: {error}"))
    }

    /// Runs a command against this daemon.
    pub(crate) fn cli<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Done {
        let mut command = self.bridge.executable();
        command.args(["-c", "doorbell.toml"]).args(args).args(["--url", &self.url()]);
        finish(command)
    }

    /// A job as `doorbell status` shows it.
    pub(crate) fn job(&self, name: &str) -> Value {
        json::named(&self.cli(["status", "--json"]).ok().json(), "jobs", name)
    }

    /// A sink as `doorbell status` shows it.
    pub(crate) fn sink(&self, name: &str) -> Value {
        json::named(&self.cli(["status", "--json"]).ok().json(), "sinks", name)
    }

    /// Waits until a job is shown as it should be.
    pub(crate) fn job_until(&self, name: &str, what: &str, mut as_wanted: impl FnMut(&Value) -> bool) -> Value {
        ask_until(what, || Some(self.job(name)).filter(|job| as_wanted(job)))
    }

    /// Waits until a sink is shown as it should be.
    pub(crate) fn sink_until(&self, name: &str, what: &str, mut as_wanted: impl FnMut(&Value) -> bool) -> Value {
        ask_until(what, || Some(self.sink(name)).filter(|sink| as_wanted(sink)))
    }

    /// The most resident memory there ever was, in KiB.
    pub(crate) fn peak_rss_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("the daemon is alive");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a process has memory");
        line.trim().trim_end_matches(" kB").parse().expect("KiB are a number")
    }

    /// What it has printed so far.
    pub(crate) fn logs(&self) -> String {
        self.logs.lock().lines.join("\n")
    }

    /// Waits for a line with this in it.
    pub(crate) fn wait_for_log(&self, part: &str) -> String {
        self.logs.wait_for(&format!("a log line with `{part}`"), |log| {
            log.lines.iter().find(|line| line.contains(part)).cloned()
        })
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: UnixSignal) {
        kill(Pid::from_raw(self.child.id().cast_signed()), signal).expect("the daemon can be signalled");
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(mut self) -> ExitStatus {
        self.logs.wait_for("the daemon's end", |log| (log.streams_ended == 2).then_some(()));
        self.child.wait().expect("a child can be waited for")
    }

    /// SIGTERM, and a clean end.
    pub(crate) fn terminate(self) {
        self.signal(UnixSignal::SIGTERM);
        let logs = Arc::clone(&self.logs);
        let status = self.wait();
        assert!(status.success(), "{status}:\n{}", logs.lock().lines.join("\n"));
    }

    /// SIGTERM while a vendor in lockstep keeps a poll waiting: the poll is cut, and the daemon ends.
    pub(crate) fn terminate_with(self, vendor: &Vendor) {
        self.signal(UnixSignal::SIGTERM);
        vendor.abandon();
        let status = self.wait();
        assert!(status.success(), "{status}");
        vendor.abandon();
    }

    /// SIGKILL: no goodbye.
    pub(crate) fn kill9(mut self) {
        self.child.kill().expect("the daemon can be killed");
        self.child.wait().expect("a child can be waited for");
    }
}

impl Drop for Daemon<'_> {
    #[expect(clippy::print_stderr, reason = "a test that fails shows what the daemon said")]
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if thread::panicking() {
            eprintln!("--- the daemon's log\n{}\n---", self.logs());
        }
    }
}

fn collect(stream: impl Read + Send + 'static, logs: &Arc<Signal<Log>>) {
    let logs = Arc::clone(logs);
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            logs.change(|log| log.lines.push(line));
        }
        logs.change(|log| log.streams_ended += 1);
    });
}

/// The address of the line `listening`.
fn listening(line: &str) -> Option<SocketAddr> {
    let rest = line.contains("listening").then(|| line.split_once("\"addr\":\""))??.1;
    rest.split('"').next()?.parse().ok()
}
