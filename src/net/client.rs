//! Clients, one for each distinct way to connect, built when first needed and shared from then on.
//!
//! No client follows a redirect, uses the system's proxy, keeps cookies or sends a referer: what goes where
//! is decided by whoever asks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::redirect;
use url::{Position, Url};

use crate::core::address::Policy;
use crate::core::outcome::{Failure, FailureKind};
use crate::core::proxy::Server;
use crate::core::transport::{Tls, Transport};
use crate::net::dns::Resolver;
use crate::net::phases::TimeConnections;
use crate::net::tls;
use crate::net::warm::{self, Warm};

/// What this program calls itself: `doorbell/VERSION`.
pub const USER_AGENT: &str = concat!("doorbell/", env!("CARGO_PKG_VERSION"));

/// Clients that are kept. A config has a handful of settings; many reloads may bring more.
const CLIENTS_MAX: usize = 64;

/// A way to connect. The time for the whole exchange is no part of it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Setting {
    /// Until the connection stands, TLS included.
    pub connect_timeout: Duration,
    /// Which addresses are refused.
    pub policy: Policy,
    /// Certificates of one's own.
    pub tls: Option<Arc<Tls>>,
    /// The proxy to connect through.
    pub proxy: Option<Server>,
    /// Ask for compressed answers, and decompress them.
    pub decompress: bool,
    /// Idle connections of one origin that are kept: as many as are in use at once, or the next one is opened anew.
    /// Give [`idle_for`] of those: few different values, because each makes a client.
    pub idle: usize,
}

impl Setting {
    /// The way to `url`, for so many requests at once.
    pub fn new(
        transport: &Transport,
        url: &Url,
        connect_timeout: Duration,
        decompress: bool,
        concurrency: usize,
    ) -> Self {
        let proxy = transport.proxy.as_ref().and_then(|proxy| proxy.server_for(url)).cloned();
        Self {
            connect_timeout,
            policy: transport.policy.clone(),
            tls: transport.tls.clone(),
            proxy,
            decompress,
            idle: idle_for(concurrency),
        }
    }
}

/// The clients of one room. Cheap to make: nothing is built before it is needed.
#[derive(Debug, Default)]
pub struct Clients {
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    /// Few: to compare them is cheaper than to hash one.
    clients: Vec<(Setting, bool, reqwest::Client)>,
    warm: Warm,
}

impl Clients {
    /// The client for a request to `url`.
    ///
    /// # Errors
    /// When TLS can't be set up, which is this program's fault and not the other side's.
    pub fn get(&self, setting: &Setting, url: &Url) -> Result<reqwest::Client, Failure> {
        let mut shelf = self.shelf.lock().unwrap_or_else(PoisonError::into_inner);
        let keep = shelf.warm.keeps(&url[Position::BeforeHost..Position::AfterPort], Instant::now());
        let known = shelf.clients.iter().find(|(known, keeps, _)| *keeps == keep && known == setting);
        if let Some((_, _, client)) = known {
            return Ok(client.clone());
        }
        let client = build(setting, keep)?;
        if shelf.clients.len() >= CLIENTS_MAX {
            shelf.clients.clear();
        }
        shelf.clients.push((setting.clone(), keep, client.clone()));
        Ok(client)
    }
}

fn build(setting: &Setting, keep: bool) -> Result<reqwest::Client, Failure> {
    let tls = tls::config(setting.tls.as_deref())
        .map_err(|error| Failure::new(FailureKind::Tls, format!("TLS can't be set up: {error}")))?;
    let unbuilt = |error: reqwest::Error| {
        Failure::new(FailureKind::Connect, format!("no client can be built: {}", error.without_url()))
    };
    let host = setting.proxy.as_ref().map(|proxy| proxy.host().to_owned());
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .dns_resolver(Resolver { policy: setting.policy.clone(), proxy: host })
        .connector_layer(TimeConnections)
        .no_proxy()
        .redirect(redirect::Policy::none())
        .referer(false)
        .user_agent(USER_AGENT)
        .connect_timeout(setting.connect_timeout)
        .pool_idle_timeout(warm::IDLE)
        .pool_max_idle_per_host(if keep { setting.idle } else { 0 })
        .gzip(setting.decompress)
        .brotli(setting.decompress)
        .zstd(setting.decompress)
        .deflate(setting.decompress);
    let builder = match &setting.proxy {
        Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy.expose()).map_err(unbuilt)?),
        None => builder,
    };
    builder.build().map_err(unbuilt)
}

/// How many idle connections to keep for so many requests at once.
pub fn idle_for(concurrency: usize) -> usize {
    concurrency.max(warm::IDLE_PER_HOST).next_power_of_two()
}

/// The time to connect where the config sets none: at most 10 s, which is room for three lost packets, and less than
/// `total`, so that a failure says whether it was the connection or the answer that took too long.
///
/// Few different values, because each makes a client.
pub fn connect_timeout_within(total: Duration) -> Duration {
    const STEPS: [Duration; 5] = [
        Duration::from_secs(10),
        Duration::from_secs(3),
        Duration::from_secs(1),
        Duration::from_millis(250),
        Duration::from_millis(50),
    ];
    STEPS.into_iter().find(|step| *step < total).unwrap_or(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(seconds: u64) -> Setting {
        let url = Url::parse("https://a.example/").expect("a URL");
        Setting::new(&Transport::default(), &url, Duration::from_secs(seconds), true, 1)
    }

    #[test]
    fn equal_settings_share_a_client() {
        let clients = Clients::default();
        let url = |host: &str| Url::parse(&format!("https://{host}/")).expect("a URL");
        for host in ["a.example", "b.example", "c.example"] {
            assert!(clients.get(&setting(1), &url(host)).is_ok());
        }
        assert!(clients.get(&setting(2), &url("a.example")).is_ok());
        assert_eq!(clients.shelf.lock().expect("no panic").clients.len(), 2);
    }

    #[test]
    fn the_clients_are_bounded_whatever_is_asked() {
        let clients = Clients::default();
        let url = Url::parse("http://a.example/").expect("a URL");
        for seconds in 0..200 {
            assert!(clients.get(&setting(seconds), &url).is_ok());
        }
        assert!(clients.shelf.lock().expect("no panic").clients.len() <= CLIENTS_MAX);
    }

    #[test]
    fn connecting_takes_less_than_the_whole() {
        for (total, connect) in [(30_000, 10_000), (10_000, 3_000), (1_001, 1_000), (200, 50), (20, 20)] {
            let found = connect_timeout_within(Duration::from_millis(total));
            assert_eq!(found, Duration::from_millis(connect), "{total}");
        }
    }
}
