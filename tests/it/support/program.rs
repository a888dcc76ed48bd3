//! Programs that nobody here wrote, or that stand on such: started, listened to, and ended with the test.
//!
//! They come by `make test-tools`. A test that finds one missing fails: it is the one that proves the most.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::thread;

use super::signal::Signal;

/// A program on a loopback port that prints what happens.
pub(crate) struct Program {
    child: Child,
    /// Closed at the end: that ends it, should the kill miss it.
    _stdin: Option<ChildStdin>,
    lines: Arc<Signal<Vec<String>>>,
    pub(crate) addr: SocketAddr,
}

impl Program {
    /// A script of `tests/python/`, which prints its port first.
    pub(crate) fn python(script: &str, args: &[&str]) -> Self {
        let mut command = python();
        command.arg(tests().join("python").join(script)).args(args);
        Self::with_port(script, command)
    }

    /// A script of `tests/node/`, which prints its port first.
    pub(crate) fn node(script: &str, args: &[&str]) -> Self {
        let mut command = node(script);
        command.args(args);
        Self::with_port(script, command)
    }

    fn with_port(name: &str, mut command: Command) -> Self {
        command.stdin(Stdio::piped());
        let mut program = Self::start(name, command, SocketAddr::from(([127, 0, 0, 1], 0)));
        let first = program.lines.wait_for(name, |lines| lines.first().cloned());
        let port = first.parse().unwrap_or_else(|_| panic!("{name} did not start: run `make test-tools`"));
        program.lines.change(|lines| lines.remove(0));
        program.addr.set_port(port);
        program
    }

    /// A program that listens at an address.
    pub(crate) fn start(name: &str, mut command: Command, addr: SocketAddr) -> Self {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}: run `make test-tools`"));
        let stdout = BufReader::new(child.stdout.take().expect("stdout is piped"));
        let lines = Arc::new(Signal::new(Vec::new()));
        let telling = Arc::clone(&lines);
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                telling.change(|lines| lines.push(line));
            }
            telling.change(|lines| lines.push("the end".to_owned()));
        });
        let stdin = child.stdin.take();
        Self { child, _stdin: stdin, lines, addr }
    }

    /// What it has printed.
    pub(crate) fn told(&self) -> Vec<String> {
        self.lines.lock().clone()
    }

    /// Waits until what it has printed is as it should be.
    pub(crate) fn wait_until(&self, what: &str, mut as_wanted: impl FnMut(&[String]) -> bool) {
        self.lines.wait_for(what, |lines| as_wanted(lines).then_some(()));
    }

    /// How many lines there are like this one.
    pub(crate) fn count(&self, line: &str) -> usize {
        self.told().iter().filter(|told| *told == line).count()
    }

    /// Waits until there are so many lines like this one.
    pub(crate) fn wait_for(&self, line: &str, times: usize) {
        self.wait_until(line, |lines| lines.iter().filter(|told| *told == line).count() >= times);
    }

    /// Waits for so many lines like this one from now on.
    pub(crate) fn wait_for_more(&self, line: &str, more: usize) {
        self.wait_for(line, self.count(line) + more);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn tests() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// Where `make test-tools` installs to.
pub(crate) fn tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".test-tools")
}

/// Python with the packages of `tests/requirements.txt`; the script and its arguments follow.
pub(crate) fn python() -> Command {
    let python = tools().join("venv/bin/python");
    assert!(python.exists(), "no {}: run `make test-tools`", python.display());
    let mut command = Command::new(python);
    command.args(["-W", "ignore"]);
    command
}

/// Node.js with a script of `tests/node/`. The packages are found from where it runs.
pub(crate) fn node(script: &str) -> Command {
    let folder = tools().join("node");
    assert!(folder.join("node_modules").exists(), "no {}/node_modules: run `make test-tools`", folder.display());
    let text = fs::read_to_string(tests().join("node").join(script)).expect("the script is there");
    let mut command = Command::new("node");
    command.current_dir(folder).args(["--input-type=module", "--eval", &text, "--"]);
    command
}
