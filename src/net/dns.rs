//! From a name to the addresses that may be dialled.
//!
//! Keeps no cache: the system's resolver and its cache are asked each time.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::core::address::{Policy, Refused};
use crate::net::phases;

/// The system's resolver, with the addresses that a policy refuses left out.
#[derive(Clone, Debug)]
pub(super) struct Resolver {
    /// For whom we talk to.
    pub(super) policy: Policy,
    /// The proxy that is dialled, where one is: the config names it, so it may be private.
    pub(super) proxy: Option<String>,
}

impl Resolver {
    fn policy_for(&self, name: &str) -> Policy {
        let is_proxy = self.proxy.as_deref().is_some_and(|proxy| proxy.eq_ignore_ascii_case(name));
        if is_proxy { self.policy.for_proxy() } else { self.policy.clone() }
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.policy_for(name.as_str());
        Box::pin(phases::resolving(async move {
            // A SOCKS proxy asks for addresses, too, IPv6 in brackets. The port is put in by the connector.
            let host = name.as_str().trim_start_matches('[').trim_end_matches(']');
            let found = tokio::net::lookup_host((host, 0)).await?;
            let admitted = admit(&policy, found)?;
            Ok(Box::new(admitted.into_iter()) as Addrs)
        }))
    }
}

/// The addresses that a policy lets through; the first refusal when it is none of them.
pub(super) fn admit(policy: &Policy, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Refused> {
    let mut admitted = Vec::new();
    let mut refusal = None;
    for address in found {
        match policy.admit(address.ip()) {
            Ok(()) => admitted.push(address),
            Err(refused) => refusal = refusal.or(Some(refused)),
        }
    }
    match refusal {
        Some(refused) if admitted.is_empty() => Err(refused),
        _ => Ok(admitted),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guarded() -> Policy {
        Policy::Guarded { private: true, allow: [].into() }
    }

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().expect("an address"), 0)).collect()
    }

    #[test]
    fn refused_addresses_of_a_name_are_left_out() {
        let admitted = admit(&guarded(), addresses(&["169.254.169.254", "8.8.8.8", "fe80::1"]).into_iter());
        assert_eq!(admitted, Ok(addresses(&["8.8.8.8"])));
    }

    #[test]
    fn a_name_with_refused_addresses_only_is_refused() {
        let refused = admit(&guarded(), addresses(&["169.254.169.254", "fe80::1"]).into_iter());
        assert_eq!(
            refused.expect_err("a refusal").to_string(),
            "the address `169.254.169.254` is that of a cloud's metadata service, and webhooks are never sent there; \
             if it is meant, write `allow_cidr = [\"169.254.169.254/32\"]`"
        );
        assert_eq!(
            admit(&Policy::Open, addresses(&["169.254.169.254"]).into_iter()),
            Ok(addresses(&["169.254.169.254"]))
        );
    }

    #[test]
    fn a_proxy_may_be_private_and_who_is_behind_it_may_not() {
        let policy = Policy::Guarded { private: false, allow: [].into() };
        let resolver = Resolver { policy, proxy: Some("proxy.internal".to_owned()) };
        assert!(!resolver.policy_for("Proxy.internal").is_strict());
        assert!(resolver.policy_for("crm.example").is_strict());
        let link_local = admit(&resolver.policy_for("proxy.internal"), addresses(&["169.254.1.1"]).into_iter());
        assert!(link_local.is_err());
    }
}
