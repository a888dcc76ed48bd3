//! A folder with a config in it, and the executable's commands run there.
//!
//! It starts no daemon by itself: see [`Bridge::run`].

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::daemon::Daemon;
use super::receiver::Receiver;
use super::signal::PATIENCE;
use super::signature::SECRET;
use super::vendor::Vendor;

/// A list of orders, and when to poll it: what most jobs of these tests are.
pub(crate) const ORDERS: &str = "every = '50ms'\nitems = '$.orders[*]'\nkey = '$.id'\n";

/// The same, polled once at the start and then by hand.
pub(crate) const BY_HAND: &str = "every = '366d'\nitems = '$.orders[*]'\nkey = '$.id'\n";

/// A folder of its own for one test.
pub(crate) struct Bridge {
    dir: TempDir,
    env: Vec<(String, String)>,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// What it printed, as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("not JSON ({error}): {self:#?}"))
    }

    /// Both streams.
    pub(crate) fn output(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }

    /// Says that it went well.
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }
}

impl Bridge {
    /// A folder with this config.
    pub(crate) fn with(config: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("doorbell-").tempdir().expect("a temporary folder");
        let bridge = Self { dir, env: Vec::new() };
        bridge.write(config);
        bridge
    }

    /// A folder with the job `orders` and the sink `crm`; `job` and `sink` are more lines of their tables.
    pub(crate) fn between(vendor: &Vendor, receiver: &Receiver, job: &str, sink: &str) -> Self {
        Self::with(&config(vendor, receiver, job, sink))
    }

    /// The same with a variable in the environment of all that runs there.
    pub(crate) fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces the config.
    pub(crate) fn write(&self, config: &str) {
        self.write_file("doorbell.toml", config);
    }

    /// Writes a file beside the config.
    pub(crate) fn write_file(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).expect("a temporary folder can be written");
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The state file of [`config`].
    pub(crate) fn state(&self) -> PathBuf {
        self.dir.path().join("doorbell.db")
    }

    /// The executable, in this folder, with nothing of our own environment that it would heed.
    pub(crate) fn executable(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doorbell"));
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        for name in ["DOORBELL_CONFIG", "STATE_DIRECTORY", "CREDENTIALS_DIRECTORY", "NOTIFY_SOCKET", "WATCHDOG_USEC"] {
            command.env_remove(name);
        }
        for name in ["RUST_LOG", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            command.env_remove(name);
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs a command to its end.
    pub(crate) fn cli<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Done {
        let mut command = self.executable();
        command.args(["-c", "doorbell.toml"]).args(args);
        finish(command)
    }

    /// The same without `-c`.
    pub(crate) fn cli_raw<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Done {
        let mut command = self.executable();
        command.args(args);
        finish(command)
    }

    /// Starts the daemon, and waits until it listens.
    pub(crate) fn run(&self) -> Daemon<'_> {
        Daemon::start(self, |_| ())
    }

    /// Starts the daemon and kills it after this long, however far it has come.
    pub(crate) fn run_for(&self, moment: Duration) {
        let mut command = self.executable();
        command.args(["-c", "doorbell.toml", "run"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the executable starts");
        thread::sleep(moment);
        child.kill().expect("a child can be killed");
        child.wait().expect("a child can be waited for");
    }
}

/// The config of [`Bridge::between`].
pub(crate) fn config(vendor: &Vendor, receiver: &Receiver, job: &str, sink: &str) -> String {
    format!(
        "[daemon]\nstate = 'doorbell.db'\nlisten = '127.0.0.1:0'\n\n\
         [vendor.shop]\nbase_url = '{}'\nretries = 0\n\n\
         [job.orders]\nvendor = 'shop'\nurl = 'orders'\nsend_to = ['crm']\n{job}\n\n\
         [sink.crm]\nurl = '{}'\nsecret = '{SECRET}'\n{sink}\n",
        vendor.url(),
        receiver.url(),
    )
}

/// Waits for a command to end, and kills it when it does not.
pub(crate) fn finish(mut command: Command) -> Done {
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the executable starts");
    let pid = nix::unistd::Pid::from_raw(child.id().cast_signed());
    let (ended, end) = mpsc::channel();
    thread::spawn(move || ended.send(child.wait_with_output()));
    let Ok(output) = end.recv_timeout(PATIENCE) else {
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).ok();
        panic!("no end after {PATIENCE:?}: {command:?}");
    };
    let output = output.expect("the streams of a child can be read");
    Done {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}
