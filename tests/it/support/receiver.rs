//! A webhook receiver that verifies every signature, remembers everything, and answers as a test tells it.
//!
//! It trusts nothing: a webhook that does not verify is answered 401 and fails the test that looks.

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;

use super::http::Request;
use super::json;
use super::server::{Reply, Server};
use super::signal::Signal;
use super::signature;

type Script = Box<dyn FnMut(&Hook) -> Reply + Send>;

/// A receiver on a loopback port.
pub(crate) struct Receiver {
    server: Server,
    state: Arc<Signal<State>>,
}

struct State {
    script: Script,
    hooks: Vec<Hook>,
    complaints: Vec<String>,
}

/// One attempt, as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Hook {
    /// `webhook-id`.
    pub(crate) id: String,
    /// `doorbell-attempt`.
    pub(crate) attempt: u32,
    pub(crate) body: Vec<u8>,
    /// The body as [`json::lenient`] has it: digits may be lost here, not in `body`.
    pub(crate) json: Value,
    pub(crate) request: Request,
    pub(crate) at: Instant,
    /// Was it answered 2xx?
    pub(crate) accepted: bool,
}

impl Hook {
    pub(crate) fn data(&self) -> &Value {
        &self.json["data"]
    }

    pub(crate) fn change(&self) -> &str {
        self.data()["change"].as_str().unwrap_or_default()
    }

    pub(crate) fn key(&self) -> &str {
        self.data()["key"].as_str().unwrap_or_default()
    }

    pub(crate) fn sequence(&self) -> u64 {
        self.data()["sequence"].as_u64().unwrap_or_default()
    }

    pub(crate) fn path(&self) -> &str {
        self.request.path()
    }
}

impl Receiver {
    /// A receiver that accepts everything.
    pub(crate) fn start() -> Self {
        Self::scripted(|_| Reply::status(204))
    }

    /// A receiver that answers each attempt from a script.
    pub(crate) fn scripted(script: impl FnMut(&Hook) -> Reply + Send + 'static) -> Self {
        let state =
            Arc::new(Signal::new(State { script: Box::new(script), hooks: Vec::new(), complaints: Vec::new() }));
        let answering = Arc::clone(&state);
        Self { server: Server::start(move |request| answer(&answering, &request)), state }
    }

    /// The URL of its hook.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.server.addr)
    }

    /// From now on: this answer.
    pub(crate) fn reply(&self, reply: Reply) {
        self.script(move |_| reply.clone());
    }

    /// From now on: this script.
    pub(crate) fn script(&self, script: impl FnMut(&Hook) -> Reply + Send + 'static) {
        self.state.change(|state| state.script = Box::new(script));
    }

    /// Every attempt so far, in the order of arrival.
    pub(crate) fn attempts(&self) -> Vec<Hook> {
        let state = self.state.lock();
        assert!(state.complaints.is_empty(), "webhooks that do not verify: {:?}", state.complaints);
        state.hooks.clone()
    }

    /// Every attempt that was answered 2xx.
    pub(crate) fn accepted(&self) -> Vec<Hook> {
        self.attempts().into_iter().filter(|hook| hook.accepted).collect()
    }

    /// Waits for this many accepted webhooks, and says that there are no more than these.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Hook> {
        self.wait_until(&format!("{count} webhooks"), |hooks| {
            hooks.iter().filter(|hook| hook.accepted).count() >= count
        });
        let accepted = self.accepted();
        assert_eq!(accepted.len(), count, "too many webhooks: {accepted:#?}");
        accepted
    }

    /// Waits until the attempts so far are as they should be, and returns them.
    pub(crate) fn wait_until(&self, what: &str, mut as_wanted: impl FnMut(&[Hook]) -> bool) -> Vec<Hook> {
        self.state.wait_for(what, |state| (!state.complaints.is_empty() || as_wanted(&state.hooks)).then_some(()));
        self.attempts()
    }

    /// From now on each request is met with a TCP reset, or no longer.
    pub(crate) fn reset_connections(&self, resetting: bool) {
        self.server.reset_connections(resetting);
    }
}

fn answer(state: &Signal<State>, request: &Request) -> Reply {
    let read = signature::verify(signature::SECRET, request, signature::unix_now()).and_then(|()| read(request));
    state.change(|state| match read {
        Ok(mut hook) => {
            let reply = (state.script)(&hook);
            hook.accepted = matches!(reply, Reply::Full { status: 200..300, .. });
            state.hooks.push(hook);
            reply
        }
        Err(complaint) => {
            state.complaints.push(format!("{complaint}: {request:?}"));
            Reply::status(401)
        }
    })
}

fn read(request: &Request) -> Result<Hook, String> {
    let header = |name: &str| request.header(name).ok_or_else(|| format!("no `{name}`"));
    Ok(Hook {
        id: header("webhook-id")?.to_owned(),
        attempt: header("doorbell-attempt")?.parse().map_err(|_| "`doorbell-attempt` is not a number")?,
        body: request.body.clone(),
        json: parsed(&request.body)?,
        request: request.clone(),
        at: Instant::now(),
        accepted: false,
    })
}

fn parsed(body: &[u8]) -> Result<Value, String> {
    let text = std::str::from_utf8(body).map_err(|error| format!("not UTF-8: {error}"))?;
    json::lenient(text).map_err(|error| format!("not JSON: {error}"))
}
