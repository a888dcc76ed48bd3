//! How long each phase of a request takes: marks that are set where a phase begins or ends, in the task of the request.
//!
//! Says nothing of a connection that was kept, and nothing of one that another request was quicker to get: a client
//! that finds a free connection while it makes one goes on making it elsewhere, outside of this request.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustls::NamedGroup;
use rustls::client::{ClientSessionMemoryCache, ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use tower_layer::Layer;
use tower_service::Service;

use crate::core::trace::Phases;

#[cfg(test)]
mod tests;

tokio::task_local! {
    static MARKS: Stopwatch;
}

/// Sessions that can be resumed, as many as rustls keeps when nothing is said.
const SESSIONS_MAX: usize = 256;

/// Takes the time of one request.
#[derive(Clone, Debug)]
pub struct Stopwatch(Arc<Mutex<Marks>>);

#[derive(Clone, Copy, Debug)]
struct Marks {
    begun: Instant,
    dns: Option<Span>,
    connecting: Option<Instant>,
    handshake: Option<Instant>,
    connected: Option<Instant>,
    answered: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Span {
    from: Instant,
    to: Option<Instant>,
}

impl Stopwatch {
    /// Starts.
    pub fn start() -> Self {
        let begun = Instant::now();
        let marks = Marks { begun, dns: None, connecting: None, handshake: None, connected: None, answered: None };
        Self(Arc::new(Mutex::new(marks)))
    }

    /// Runs the request whose time it takes.
    pub async fn around<F: Future>(&self, request: F) -> F::Output {
        MARKS.scope(self.clone(), request).await
    }

    /// The status and headers of the answer have come.
    pub fn answered(&self) {
        self.mark(|marks, now| marks.answered = Some(now));
    }

    /// True when the answer has begun.
    pub fn has_answer(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).answered.is_some()
    }

    /// What has been taken until now, which is when the request has ended.
    pub fn stop(&self) -> (Duration, Phases) {
        let marks = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        (now.duration_since(marks.begun), marks.phases(now))
    }

    fn mark(&self, set: impl FnOnce(&mut Marks, Instant)) {
        set(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner), Instant::now());
    }
}

/// Sets a mark of the request that runs in this task, if one does.
fn mark(set: impl FnOnce(&mut Marks, Instant)) {
    // Outside of a request there is nobody to tell: a connection that is made ahead, or for somebody else.
    let _ = MARKS.try_with(|stopwatch| stopwatch.mark(set));
}

impl Marks {
    fn phases(&self, end: Instant) -> Phases {
        let micros =
            |from: Instant, to: Instant| u64::try_from(to.duration_since(from).as_micros()).unwrap_or(u64::MAX);
        let whole = Phases {
            first_byte: self.answered.map(|at| micros(self.connected.unwrap_or(self.begun), at)),
            total: micros(self.begun, end),
            ..Phases::default()
        };
        let (Some(connecting), true) = (self.connecting, self.connected.is_some() || self.answered.is_none()) else {
            return whole;
        };
        let end = self.connected.unwrap_or(end);
        let dns = self.dns.map(|span| micros(span.from, span.to.unwrap_or(end)));
        let resolved = self.dns.map_or(Some(connecting), |span| span.to);
        let tls = self.handshake.map(|from| micros(from, end));
        let connect = resolved.map(|from| micros(from, self.handshake.unwrap_or(end)));
        Phases { dns, connect, tls, ..whole }
    }
}

/// Takes the time of a name's resolution. Where two names are resolved, a proxy's and the receiver's, both count. One
/// that fails has no end but that of the request.
pub(super) async fn resolving<T, E>(resolution: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    mark(|marks, now| {
        let from = marks.dns.map_or(now, |span| span.from);
        marks.dns = Some(Span { from, to: None });
    });
    let found = resolution.await;
    if found.is_ok() {
        mark(|marks, now| {
            if let Some(span) = &mut marks.dns {
                span.to = Some(now);
            }
        });
    }
    found
}

/// Takes the time of making a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeConnections;

impl<S> Layer<S> for TimeConnections {
    type Service = TimedConnector<S>;

    fn layer(&self, inner: S) -> TimedConnector<S> {
        TimedConnector(inner)
    }
}

/// A connector whose time is taken.
#[derive(Clone, Debug)]
pub(super) struct TimedConnector<S>(S);

impl<S, R> Service<R> for TimedConnector<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, S::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, to: R) -> Self::Future {
        let connection = self.0.call(to);
        Box::pin(async move {
            // A second connection, after a kept one turned out to be closed, starts afresh.
            mark(|marks, now| {
                *marks = Marks { connecting: Some(now), dns: None, handshake: None, connected: None, ..*marks };
            });
            let made = connection.await;
            if made.is_ok() {
                mark(|marks, now| marks.connected = Some(now));
            }
            made
        })
    }
}

/// The sessions of a TLS configuration. It is asked for one when a handshake begins, which tells when that is.
#[derive(Debug)]
pub(super) struct Sessions(ClientSessionMemoryCache);

impl Sessions {
    pub(super) fn new() -> Self {
        Self(ClientSessionMemoryCache::new(SESSIONS_MAX))
    }
}

impl ClientSessionStore for Sessions {
    fn set_kx_hint(&self, server_name: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(server_name, group);
    }

    fn kx_hint(&self, server_name: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(server_name)
    }

    fn set_tls12_session(&self, server_name: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(server_name, value);
    }

    fn tls12_session(&self, server_name: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(server_name)
    }

    fn remove_tls12_session(&self, server_name: &ServerName<'static>) {
        self.0.remove_tls12_session(server_name);
    }

    fn insert_tls13_ticket(&self, server_name: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(server_name, value);
    }

    fn take_tls13_ticket(&self, server_name: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        // The first one counts: a proxy that speaks TLS has a handshake of its own before.
        mark(|marks, now| marks.handshake = marks.handshake.or(Some(now)));
        self.0.take_tls13_ticket(server_name)
    }
}
