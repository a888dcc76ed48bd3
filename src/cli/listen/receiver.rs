//! The receiver behind `listen` and `demo`: takes webhooks, checks them, hands them on, answers.
//!
//! Prints nothing.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::core::sign::{Delivered, Rejection, Verifier};
use crate::core::time::Timestamp;

/// The largest webhook that is taken. Events end at 1 MiB; a batch of them may be larger.
const BODY_MAX: usize = 64 * 1024 * 1024;

/// How long answers that are on their way may take when the receiver ends.
const DRAIN: Duration = Duration::from_secs(1);

/// How a receiver answers.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// What signatures are checked with; `None`: they are not.
    pub verifier: Option<Verifier>,
    /// The status for what is believed.
    pub status: StatusCode,
    /// Webhooks that are answered 503 before any is answered otherwise.
    pub fail_first: usize,
    /// What time it is.
    pub wall_clock: fn() -> Timestamp,
}

/// Is a webhook believed?
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Its signature fits.
    Verified,
    /// There is no secret to check it with.
    Unchecked,
    /// It is not, for this reason.
    Rejected(Rejection),
}

/// A webhook that came, and how it was answered.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    /// When it came.
    pub at: Timestamp,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body's bytes.
    pub body: Bytes,
    /// Is it believed?
    pub trust: Trust,
    /// What it was answered with.
    pub answered: StatusCode,
}

impl Received {
    /// A header, where it is there and text.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

struct Receiver<F> {
    options: Options,
    count: AtomicUsize,
    on_webhook: F,
}

/// Takes webhooks, on any path, until `stop`. Each is handed to `on_webhook` before it is answered.
///
/// # Errors
/// When the listener breaks.
pub(crate) async fn serve<F>(
    listener: TcpListener,
    options: Options,
    on_webhook: F,
    stop: impl Future<Output = ()>,
) -> io::Result<()>
where
    F: Fn(&Received) + Send + Sync + 'static,
{
    let receiver = Arc::new(Receiver { options, count: AtomicUsize::new(0), on_webhook });
    let app = Router::new().fallback(receive::<F>).with_state(receiver);
    let stopping = CancellationToken::new();
    let server = axum::serve(listener, app).with_graceful_shutdown(stopping.clone().cancelled_owned());
    let watch = async {
        stop.await;
        stopping.cancel();
        tokio::time::sleep(DRAIN).await;
    };
    tokio::select! {
        ended = server.into_future() => ended,
        () = watch => Ok(()),
    }
}

async fn receive<F>(State(receiver): State<Arc<Receiver<F>>>, request: Request<Body>) -> Response
where
    F: Fn(&Received) + Send + Sync + 'static,
{
    let (parts, body) = request.into_parts();
    if parts.method != Method::POST {
        return (StatusCode::METHOD_NOT_ALLOWED, "doorbell listen: webhooks are sent here with POST\n").into_response();
    }
    let Ok(body) = to_bytes(body, BODY_MAX).await else {
        return (StatusCode::PAYLOAD_TOO_LARGE, "doorbell listen: too large, or broken off\n").into_response();
    };
    receiver.take(parts, body).into_response()
}

impl<F: Fn(&Received)> Receiver<F> {
    fn take(&self, parts: Parts, body: Bytes) -> StatusCode {
        let at = (self.options.wall_clock)();
        let number = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let trust = trust(self.options.verifier.as_ref(), &parts, &body, at);
        let answered = match trust {
            Trust::Rejected(_) => StatusCode::UNAUTHORIZED,
            _ if number <= self.options.fail_first => StatusCode::SERVICE_UNAVAILABLE,
            _ => self.options.status,
        };
        (self.on_webhook)(&Received { at, headers: parts.headers, body, trust, answered });
        answered
    }
}

fn trust(verifier: Option<&Verifier>, parts: &Parts, body: &[u8], now: Timestamp) -> Trust {
    let Some(verifier) = verifier else { return Trust::Unchecked };
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let delivered = Delivered { method: parts.method.as_str(), target, headers: &parts.headers, body };
    match verifier.verify(&delivered, now) {
        Ok(()) => Trust::Verified,
        Err(rejection) => Trust::Rejected(rejection),
    }
}
