//! The commands' way to a running daemon: its API, over TCP or a Unix socket; and, when none runs, to its state.
//!
//! It prints nothing. That no daemon is there is an error of its own, so that a caller can use the state instead.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;

use crate::admin::{job_view, sink_view};
use crate::core::config::{Config, Listen};
use crate::core::reload::ConfigView;
use crate::core::secret::Secret;
use crate::core::time::Timestamp;
use crate::core::view::{
    EventDetail, EventFilter, EventView, JobView, Page, PollReport, PollWish, SinkView, TestReport, VendorView,
};
use crate::store::{Archive, StoreError};

/// Until a connection stands.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);

/// A read, with its body.
const READ_WITHIN: Duration = Duration::from_secs(40);

/// An action: a little more than the daemon itself gives it.
const ACT_WITHIN: Duration = Duration::from_secs(610);

/// An answer is read into memory up to this size: a page holds 1000 rows at most, an event 1 MiB.
const ANSWER_MAX: usize = 64 * 1024 * 1024;

/// How a daemon is found; part of every command that talks to one.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Reach {
    /// The daemon's address, such as `http://127.0.0.1:7411` [default: `listen` of the config]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
}

/// Why a call did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ClientError {
    /// Nothing listens there: no daemon runs.
    #[error("no daemon answers at `{0}`; start one with `doorbell run`")]
    NoDaemon(String),
    /// The config says `listen = "off"`.
    #[error("`daemon.listen` is `off`, so a daemon can't be asked; give it an address, or name one with `--url`")]
    Off,
    /// The address is none.
    #[error("`{0}` is not an address of a daemon; write `--url http://HOST:PORT`")]
    BadUrl(String),
    /// Something is there, but no answer came from it.
    #[error("the daemon at `{address}` can't be reached: {why}")]
    Unreachable {
        /// Where it was sought.
        address: String,
        /// Why not.
        why: String,
    },
    /// The daemon refused; problem details (RFC 9457).
    #[error("{detail}")]
    Refused {
        /// The status.
        status: u16,
        /// The sentence.
        detail: String,
    },
    /// Something answered that is not this version's API.
    #[error("what answers at `{address}` is not a doorbell of this version: {why}")]
    NotUs {
        /// Where it was sought.
        address: String,
        /// How that was seen.
        why: String,
    },
}

impl ClientError {
    /// True when no daemon runs there, so that the state file may be free.
    pub(super) fn is_no_daemon(&self) -> bool {
        matches!(self, Self::NoDaemon(_))
    }
}

/// A daemon's API.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    /// As it is shown in errors.
    address: String,
    token: Option<Secret>,
}

impl Client {
    /// Finds the daemon: at `--url`, or where the config says that it listens. Nothing is sent yet.
    ///
    /// The token goes to no other address than the config's own, unless `--url` was given by the user.
    ///
    /// # Errors
    ///
    /// The address is none, or `listen` is `off`.
    pub(super) fn new(reach: &Reach, listen: &Listen, token: Option<&Secret>) -> Result<Self, ClientError> {
        let (base, socket, address) = match &reach.url {
            Some(url) => (given(url)?, None, url.clone()),
            None => listening(listen)?,
        };
        let unreachable = |error: reqwest::Error| ClientError::Unreachable {
            address: address.clone(),
            why: innermost(&error.without_url()),
        };
        let mut plain = builder();
        if base.scheme() == "https" {
            plain = reqwest_base();
        }
        if let Some(socket) = socket {
            plain = plain.unix_socket(socket);
        }
        let http = plain.build().or_else(|_| with_own_roots().build()).map_err(unreachable)?;
        Ok(Self { http, base, address: address.clone(), token: token.cloned() })
    }

    /// Every job of the config, over all pages.
    ///
    /// # Errors
    ///
    /// As every call: see [`ClientError`].
    pub(super) async fn jobs(&self) -> Result<Vec<JobView>, ClientError> {
        self.all(&["jobs"]).await
    }

    /// Every sink of the config, over all pages.
    ///
    /// # Errors
    ///
    /// As every call: see [`ClientError`].
    pub(super) async fn sinks(&self) -> Result<Vec<SinkView>, ClientError> {
        self.all(&["sinks"]).await
    }

    /// What is left of vendors' limits, over all pages.
    ///
    /// # Errors
    ///
    /// As every call: see [`ClientError`].
    pub(super) async fn vendors(&self) -> Result<Vec<VendorView>, ClientError> {
        self.all(&["vendors"]).await
    }

    /// Whether the config on the daemon's disk is in force.
    ///
    /// # Errors
    ///
    /// As every call: see [`ClientError`].
    pub(super) async fn config(&self) -> Result<ConfigView, ClientError> {
        #[derive(Deserialize)]
        struct Status {
            #[serde(default)]
            config: ConfigView,
        }
        self.call(Method::GET, self.path(&["status"])).await.map(|status: Status| status.config)
    }

    /// A page of events.
    ///
    /// # Errors
    ///
    /// As every call: see [`ClientError`].
    pub(super) async fn events(&self, filter: &EventFilter) -> Result<Page<EventView>, ClientError> {
        let mut url = self.path(&["events"]);
        {
            let mut query = url.query_pairs_mut();
            query.append_pair("order", if filter.oldest_first { "oldest" } else { "newest" });
            let parameters = [
                ("job", filter.job.clone()),
                ("key", filter.key.clone()),
                ("change", filter.change.clone()),
                ("since", filter.since.map(|since| since.to_string())),
                ("after", filter.after.map(|after| after.to_string())),
                ("limit", filter.limit.map(|limit| limit.to_string())),
            ];
            query.extend_pairs(parameters.into_iter().filter_map(|(name, value)| Some((name, value?))));
        }
        self.call(Method::GET, url).await
    }

    /// One event with its deliveries and attempts; `None` when there is none with this id.
    ///
    /// # Errors
    ///
    /// As every call: see [`ClientError`].
    pub(super) async fn event(&self, id: &str) -> Result<Option<EventDetail>, ClientError> {
        match self.call(Method::GET, self.path(&["events", id])).await {
            Err(ClientError::Refused { status: 404, .. }) => Ok(None),
            answer => answer.map(Some),
        }
    }

    /// Polls a job now; without `commit` nothing is kept.
    ///
    /// # Errors
    ///
    /// As every call: see [`ClientError`].
    pub(super) async fn poll(&self, job: &str, wish: PollWish) -> Result<PollReport, ClientError> {
        let mut url = self.path(&["jobs", job, "poll"]);
        url.set_query(Some(&format!("commit={}&record={}", wish.commit, wish.record)));
        self.call(Method::POST, url).await
    }

    /// Sends a signed sample event to a sink.
    ///
    /// # Errors
    ///
    /// As every call: see [`ClientError`].
    pub(super) async fn test(&self, sink: &str) -> Result<TestReport, ClientError> {
        self.call(Method::POST, self.path(&["sinks", sink, "test"])).await
    }

    pub(super) async fn all<T: DeserializeOwned>(&self, list: &[&str]) -> Result<Vec<T>, ClientError> {
        let mut rows = Vec::new();
        let mut after: Option<String> = None;
        loop {
            let mut url = self.path(list);
            url.query_pairs_mut().append_pair("limit", "1000").extend_pairs(after.iter().map(|after| ("after", after)));
            let page: Named<T> = self.call(Method::GET, url).await?;
            rows.extend(page.data);
            // A cursor that stands still would never end.
            if page.next.is_none() || page.next == after {
                return Ok(rows);
            }
            after = page.next;
        }
    }

    /// `/api/v1/…` below the base, each segment percent-encoded.
    pub(super) fn path(&self, segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["api", "v1"]).extend(segments);
        }
        url
    }

    pub(super) async fn call<T: DeserializeOwned>(&self, method: Method, url: Url) -> Result<T, ClientError> {
        let within = if method == Method::GET { READ_WITHIN } else { ACT_WITHIN };
        let mut request = self.http.request(method, url).timeout(within);
        if let Some(token) = &self.token {
            request = request.bearer_auth(token.expose());
        }
        let mut response = request.send().await.map_err(|error| self.failed(error))?;
        let status = response.status();
        let mut body = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.failed(error))? {
            if body.len() + piece.len() > ANSWER_MAX {
                return Err(self.not_us("its answer is larger than 64 MiB"));
            }
            body.extend_from_slice(&piece);
        }
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| self.not_us(&error.to_string()));
        }
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(ClientError::Refused { status: status.as_u16(), detail: problem.detail }),
            Err(_) => Err(self.not_us(&format!("it answered {status}"))),
        }
    }

    fn not_us(&self, why: &str) -> ClientError {
        ClientError::NotUs { address: self.address.clone(), why: why.to_owned() }
    }

    fn failed(&self, error: reqwest::Error) -> ClientError {
        let address = self.address.clone();
        if error.is_connect() && nobody_is_there(&error) {
            return ClientError::NoDaemon(address);
        }
        let why = match error.is_timeout() {
            true => "it did not answer in time".to_owned(),
            false => innermost(&error.without_url()),
        };
        ClientError::Unreachable { address, why }
    }
}

/// A page of a list that is ordered by name.
#[derive(Deserialize)]
struct Named<T> {
    data: Vec<T>,
    next: Option<String>,
}

/// What we read of problem details (RFC 9457).
#[derive(Deserialize)]
struct Problem {
    detail: String,
}

/// A client for plain HTTP: it loads no certificates, which would take longer than the call.
fn builder() -> reqwest::ClientBuilder {
    reqwest_base().tls_certs_only(std::iter::empty())
}

/// Redirects are not followed: a daemon sends none, and the token is for it alone.
fn reqwest_base() -> reqwest::ClientBuilder {
    // An `Err` means that one is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).connect_timeout(CONNECT_WITHIN)
}

/// For a machine without certificates of its own: reqwest refuses to build a client there.
fn with_own_roots() -> reqwest::ClientBuilder {
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS;
    let roots = roots.iter().filter_map(|der| reqwest::Certificate::from_der(der).ok());
    reqwest_base().tls_certs_only(roots)
}

fn given(text: &str) -> Result<Url, ClientError> {
    let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| ClientError::BadUrl(text.to_owned()))
}

type Found = (Url, Option<PathBuf>, String);

fn listening(listen: &Listen) -> Result<Found, ClientError> {
    match listen {
        Listen::Off => Err(ClientError::Off),
        Listen::Tcp(address) => {
            let text = format!("http://{}", dialled(*address));
            Ok((given(&text)?, None, text))
        }
        Listen::Unix(path) => Ok((given("http://localhost")?, Some(path.clone()), format!("unix:{}", path.display()))),
    }
}

/// A daemon that listens on every address is called on loopback.
fn dialled(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Refused, or a socket file that is not there.
fn nobody_is_there(error: &reqwest::Error) -> bool {
    use std::io::ErrorKind::{ConnectionRefused, NotFound};
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|io| matches!(io.kind(), ConnectionRefused | NotFound)) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The innermost cause says what happened; the outer ones only that something did.
fn innermost(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

/// Where a command that only looks gets its data.
pub(super) enum Source {
    /// A daemon runs.
    Api(Client),
    /// None does: the state itself, and the config that it belongs to.
    State {
        /// What the store remembers. A store coerces to it.
        archive: Arc<dyn Archive>,
        /// The jobs and sinks to show.
        config: Arc<Config>,
        /// What time it is.
        now: Timestamp,
    },
}

/// Why a command that looks or asks failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum CommandError {
    /// The daemon can't be asked, or refused.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The state can't be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the user asked for is not there, or not well said.
    #[error("{0}")]
    Asked(String),
    /// Standard output is closed, or broken.
    #[error("the output can't be written: {0}")]
    Output(#[from] std::io::Error),
}

impl CommandError {
    /// True when the reader of a pipe has left, as `head` does: nothing failed, and nothing is to be said.
    pub(super) fn is_closed_pipe(&self) -> bool {
        matches!(self, Self::Output(error) if error.kind() == std::io::ErrorKind::BrokenPipe)
    }
}

impl Source {
    /// Every job of the config. Without a daemon nothing is scheduled, so that none has a next run.
    ///
    /// # Errors
    ///
    /// The daemon or the state does not answer.
    pub(super) async fn jobs(&self) -> Result<Vec<JobView>, CommandError> {
        let (archive, config) = match self {
            Self::Api(client) => return Ok(client.jobs().await?),
            Self::State { archive, config, .. } => (archive, config),
        };
        let records: std::collections::HashMap<_, _> = archive.jobs().await?.into_iter().collect();
        let view = |job: &Arc<_>| {
            let job: &crate::core::job::Job = job;
            job_view(job, &records.get(&job.name).cloned().unwrap_or_default(), false, None)
        };
        Ok(config.jobs.iter().map(view).collect())
    }

    /// Every sink of the config.
    ///
    /// # Errors
    ///
    /// The daemon or the state does not answer.
    pub(super) async fn sinks(&self) -> Result<Vec<SinkView>, CommandError> {
        let (archive, config, now) = match self {
            Self::Api(client) => return Ok(client.sinks().await?),
            Self::State { archive, config, now } => (archive, config, *now),
        };
        let states = archive.sinks().await?.into_iter().map(|(name, state, queue)| (name, (state, queue)));
        let states: std::collections::HashMap<_, _> = states.collect();
        let view = |sink: &Arc<crate::core::sink::Sink>| {
            let (state, queue) = states.get(&sink.name).cloned().unwrap_or_default();
            sink_view(sink, &state, &queue, now)
        };
        Ok(config.sinks.iter().map(view).collect())
    }

    /// What is left of vendors' limits. Without a daemon nobody asks them, and nothing is said.
    ///
    /// # Errors
    ///
    /// The daemon does not answer.
    pub(super) async fn vendors(&self) -> Result<Vec<VendorView>, CommandError> {
        match self {
            Self::Api(client) => Ok(client.vendors().await?),
            Self::State { .. } => Ok(Vec::new()),
        }
    }

    /// One event; `None` when there is none with this id.
    ///
    /// # Errors
    ///
    /// The daemon or the state does not answer.
    pub(super) async fn event(&self, id: &str) -> Result<Option<EventDetail>, CommandError> {
        match self {
            Self::Api(client) => Ok(client.event(id).await?),
            Self::State { archive, .. } => Ok(archive.event(id).await?),
        }
    }
}

#[cfg(test)]
#[path = "client_tests.rs"]
mod tests;
