//! Who may be asked at all: the part of the address guard that comes before a connection.
//!
//! Names are judged elsewhere, in the resolver's hook, which the connector dials; but an address in a URL never gets
//! there, and neither does a name that a proxy resolves.

use std::time::Duration;

use url::{Host, Url};

use crate::core::address::{Policy, Refused, Verdict, describe, judge, judge_url};
use crate::core::outcome::{Failure, FailureKind};
use crate::core::proxy::Server;
use crate::net::client::Setting;
use crate::net::dns;

/// How long a name that a proxy will resolve is looked up here. The proxy waits for it.
const LOOKUP_MAX: Duration = Duration::from_secs(5);

/// Lets a request to `url` begin, or says why not: its address, that of the proxy, and what a proxy will resolve.
///
/// A proxy that resolves names dials what we can't see. Where private addresses are refused, the name is resolved here
/// as well: one that leads to refused addresses only, or nowhere, is not asked for.
///
/// # Errors
/// [`FailureKind::Address`] for a refusal, [`FailureKind::Dns`] for a name that can't be judged.
pub async fn admit(setting: &Setting, url: &Url) -> Result<(), Failure> {
    let policy = &setting.policy;
    policy.admit_url(url).map_err(|refused| refusal(&refused))?;
    let Some(proxy) = &setting.proxy else { return Ok(()) };
    let dialled = Url::parse(proxy.expose()).ok();
    let refused = dialled.and_then(|dialled| policy.for_proxy().admit_url(&special(dialled)).err());
    match refused {
        Some(refused) => Err(Failure::new(FailureKind::Address, format!("the proxy: {refused}"))),
        None if policy.is_strict() => Box::pin(admit_name(policy, proxy, url)).await,
        None => Ok(()),
    }
}

/// Judges a URL that a vendor supplied, at a host other than the job's own ones: it may lead to a private address, to
/// this machine or to the link only where one of those does. Returns the policy that its connection is made under.
///
/// # Errors
/// [`FailureKind::Address`], or [`FailureKind::Dns`] for a name that does not resolve.
pub async fn judge_link(own: impl Iterator<Item = Url>, setting: &Setting, url: &Url) -> Result<Policy, Failure> {
    for own in own {
        if matches!(worst(&own).await, Some(verdict) if verdict != Verdict::Public) {
            return Ok(setting.policy.clone());
        }
    }
    let strict = Policy::Guarded { private: false, allow: [].into() };
    let host = url.host_str().unwrap_or_default();
    match worst(url).await {
        Some(Verdict::Public) => Ok(strict),
        Some(verdict) => {
            let what = describe(verdict);
            let sentence = format!(
                "the vendor leads to `{host}`, whose address is {what}, while the vendor's own is public: it is not \
                 asked there"
            );
            Err(Failure::new(FailureKind::Address, sentence))
        }
        None => Err(Failure::new(FailureKind::Dns, format!("the name `{host}` does not resolve"))),
    }
}

/// The worst kind of place that a URL's host leads to; `None` when its name does not resolve.
async fn worst(url: &Url) -> Option<Verdict> {
    if let Some(verdict) = judge_url(url) {
        return Some(verdict);
    }
    let host = url.host_str()?;
    let found = tokio::time::timeout(LOOKUP_MAX, tokio::net::lookup_host((host, 0))).await.ok()?.ok()?;
    found.map(|address| judge(address.ip())).max()
}

/// A URL with a scheme whose hosts are parsed (WHATWG URL, "special scheme"): those of `socks5` are not.
fn special(url: Url) -> Url {
    match url.host_str() {
        Some(host) => Url::parse(&format!("http://{host}/")).unwrap_or(url),
        None => url,
    }
}

async fn admit_name(policy: &Policy, proxy: &Server, url: &Url) -> Result<(), Failure> {
    let Some(Host::Domain(name)) = url.host().filter(|_| proxy.resolves_names()) else { return Ok(()) };
    let unknown = || {
        let sentence = format!(
            "the name `{name}` does not resolve here, so that it can't be judged as `private = false` asks; \
             with a proxy that alone resolves names, leave that out"
        );
        Failure::new(FailureKind::Dns, sentence)
    };
    let lookup = tokio::net::lookup_host((name, 0));
    let found = tokio::time::timeout(LOOKUP_MAX, lookup).await.map_err(|_| unknown())?.map_err(|_| unknown())?;
    dns::admit(policy, found).map(drop).map_err(|refused| refusal(&refused))
}

fn refusal(refused: &Refused) -> Failure {
    Failure::new(FailureKind::Address, refused.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::proxy::Proxy;
    use crate::core::transport::Transport;

    async fn judged(private: bool, proxy: Option<&str>, url: &str) -> Result<(), Failure> {
        let policy = Policy::Guarded { private, allow: [].into() };
        let proxy = proxy.map(|proxy| Proxy::all(Server::parse(proxy).expect("a proxy")).into());
        let url = Url::parse(url).expect("a URL");
        let setting = Setting::new(&Transport { policy, tls: None, proxy }, &url, Duration::from_secs(1), false, 1);
        admit(&setting, &url).await
    }

    #[tokio::test]
    async fn a_proxy_hides_no_address() {
        let kind = |result: Result<(), Failure>| result.err().map(|failure| failure.kind);
        for proxy in [None, Some("http://192.0.2.1:3128"), Some("socks5://proxy.example"), Some("socks5h://p.example")]
        {
            let refused = judged(false, proxy, "http://0x0a000001/").await;
            assert_eq!(kind(refused), Some(FailureKind::Address), "{proxy:?}");
            assert_eq!(kind(judged(true, proxy, "http://10.0.0.1/").await), None, "{proxy:?}");
            assert_eq!(kind(judged(true, proxy, "http://169.254.169.254/").await), Some(FailureKind::Address));
        }
    }

    #[tokio::test]
    async fn a_name_that_a_proxy_resolves_is_resolved_here_where_private_addresses_are_refused() {
        let by_name = judged(false, Some("http://192.0.2.1:3128"), "http://localhost/").await.expect_err("a refusal");
        assert_eq!(by_name.kind, FailureKind::Address);
        assert!(by_name.sentence.contains("this machine"), "{by_name}");
        assert_eq!(judged(true, Some("http://192.0.2.1:3128"), "http://localhost/").await, Ok(()));
        assert_eq!(judged(false, Some("socks5://192.0.2.1"), "http://localhost/").await, Ok(()), "the hook judges it");
        let nowhere = judged(false, Some("socks5h://192.0.2.1"), "http://nowhere.invalid/").await;
        assert_eq!(nowhere.expect_err("a failure").kind, FailureKind::Dns);
    }

    #[tokio::test]
    async fn a_proxy_may_be_private_but_not_link_local() {
        for (proxy, good) in
            [("http://127.0.0.1:1", true), ("socks5://10.0.0.1", true), ("socks5://169.254.1.1", false)]
        {
            assert!(judged(false, Some(proxy), "https://192.0.2.7/").await.is_err());
            assert_eq!(judged(true, Some(proxy), "https://8.8.8.8/").await.is_ok(), good, "{proxy}");
        }
    }
}
