//! A vendor whose answers a test scripts: a fixed document, ETags, anything bad, or one answer at a time in lockstep.
//!
//! It knows nothing of jobs. Lockstep makes polls countable: an answer is given when the test gives it, and because a
//! job never overlaps itself, the next request is the proof that the poll before has been committed.

use std::sync::Arc;

use super::http::Request;
use super::server::{Reply, Server};
use super::signal::{PATIENCE, Signal};

type Script = Box<dyn FnMut(&Request) -> Reply + Send>;

/// A fake vendor on a loopback port.
pub(crate) struct Vendor {
    server: Server,
    state: Arc<Signal<State>>,
}

struct State {
    script: Script,
    requests: Vec<Request>,
    /// Requests that wait for [`Vendor::step`], when in lockstep.
    lockstep: bool,
    pending: usize,
    /// Goes up when the requests that wait are given up.
    generation: u64,
    granted: Vec<Reply>,
    closed: bool,
}

impl Vendor {
    /// A vendor that answers each request from a script.
    pub(crate) fn scripted(script: impl FnMut(&Request) -> Reply + Send + 'static) -> Self {
        Self::start(Box::new(script), false)
    }

    /// A vendor that answers this document, without validators.
    pub(crate) fn of(body: &str) -> Self {
        let vendor = Self::scripted(|_| Reply::Hang);
        vendor.serve(body);
        vendor
    }

    /// A vendor that answers only what [`Vendor::step`] gives it.
    pub(crate) fn in_lockstep() -> Self {
        Self::start(Box::new(|_| Reply::Hang), true)
    }

    fn start(script: Script, lockstep: bool) -> Self {
        let state = Arc::new(Signal::new(State {
            script,
            requests: Vec::new(),
            lockstep,
            pending: 0,
            generation: 0,
            granted: Vec::new(),
            closed: false,
        }));
        let answering = Arc::clone(&state);
        Self { server: Server::start(move |request| answer(&answering, &request)), state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.server.addr)
    }

    /// From now on: this document, without validators.
    pub(crate) fn serve(&self, body: &str) {
        self.reply(Reply::json(body));
    }

    /// From now on: this answer.
    pub(crate) fn reply(&self, reply: Reply) {
        self.script(move |_| reply.clone());
    }

    /// From now on: this script.
    pub(crate) fn script(&self, script: impl FnMut(&Request) -> Reply + Send + 'static) {
        self.state.change(|state| state.script = Box::new(script));
    }

    /// Answers the request that is pending, or the next one, and waits for the request after it: then the poll has
    /// been committed. Returns the request that was answered.
    pub(crate) fn step(&self, reply: Reply) -> Request {
        self.state.wait_for("a poll", |state| (state.pending > 0).then_some(()));
        let answered = self.state.change(|state| {
            state.granted.push(reply);
            state.requests.last().cloned()
        });
        self.state.wait_for("the poll to take its answer", |state| state.granted.is_empty().then_some(()));
        self.state.wait_for("the next poll", |state| (state.pending > 0).then_some(()));
        answered.expect("a pending request was noted")
    }

    /// The same with a JSON document.
    pub(crate) fn step_json(&self, body: &str) -> Request {
        self.step(Reply::json(body))
    }

    /// Waits until a request waits for its answer.
    pub(crate) fn wait_pending(&self) {
        self.state.wait_for("a poll", |state| (state.pending > 0).then_some(()));
    }

    /// Forgets the requests that wait: whoever made them is gone.
    pub(crate) fn abandon(&self) {
        self.state.change(|state| {
            state.generation += 1;
            state.pending = 0;
        });
    }

    /// Ends the lockstep: the script answers again, what is pending too.
    pub(crate) fn run_free(&self) {
        self.state.change(|state| state.lockstep = false);
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.state.lock().requests.clone()
    }

    /// How many requests there have been.
    pub(crate) fn count(&self) -> usize {
        self.state.lock().requests.len()
    }

    /// Waits for `more` requests from now on. All polls but the one of the last request have been committed then
    /// (when there is one job and no retries).
    pub(crate) fn wait_for_more(&self, more: usize) {
        self.wait_until_asked(self.count() + more);
    }

    /// Waits until there have been so many requests in all.
    pub(crate) fn wait_until_asked(&self, times: usize) {
        self.state.wait_for("requests to the vendor", |state| (state.requests.len() >= times).then_some(()));
    }

    /// From now on each request is met with a TCP reset, or no longer.
    pub(crate) fn reset_connections(&self, resetting: bool) {
        self.server.reset_connections(resetting);
    }
}

impl Drop for Vendor {
    fn drop(&mut self) {
        self.state.change(|state| state.closed = true);
    }
}

fn answer(state: &Signal<State>, request: &Request) -> Reply {
    let generation = state.change(|state| {
        state.pending += 1;
        state.requests.push(request.clone());
        state.generation
    });
    let reply = state.wait_at_most(PATIENCE, |state| {
        if state.generation != generation {
            return Some(Reply::Cut);
        }
        let reply = match state.lockstep && !state.closed {
            true => state.granted.pop()?,
            false => (state.script)(request),
        };
        state.pending -= 1;
        Some(reply)
    });
    state.change(|_| reply.unwrap_or(Reply::Cut))
}

#[test]
fn lockstep_answers_one_request_at_a_time() {
    let vendor = Vendor::in_lockstep();
    let addr = vendor.server.addr;
    let polls = std::thread::spawn(move || {
        let poll = |_| super::http::get(addr, "/").map(|answer| answer.text()).unwrap_or_default();
        (0..4).map(poll).collect::<Vec<_>>()
    });
    for body in ["1", "2", "3"] {
        vendor.step_json(body);
        assert_eq!(vendor.count().to_string(), (body.parse::<usize>().unwrap_or(0) + 1).to_string());
    }
    drop(vendor);
    assert_eq!(polls.join().expect("the polls end"), ["1", "2", "3", ""], "the last was never answered");
}
