//! From a name to the addresses that may be dialled.
//!
//! Keeps no cache: the system's resolver and its cache are asked each time.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::net::guard::{Policy, Refused};

/// The system's resolver, with the addresses that a policy refuses left out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resolver(pub(super) Policy);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.0;
        Box::pin(async move {
            // The port is put in by the connector.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let admitted = admit(policy, found)?;
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

/// The addresses that a policy lets through; the first refusal when it is none of them.
fn admit(policy: Policy, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, Refused> {
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

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| SocketAddr::new(text.parse().expect("an address"), 0)).collect()
    }

    #[test]
    fn refused_addresses_of_a_name_are_left_out() {
        let admitted = admit(Policy::NoMetadata, addresses(&["169.254.169.254", "8.8.8.8", "fe80::1"]).into_iter());
        assert_eq!(admitted, Ok(addresses(&["8.8.8.8"])));
    }

    #[test]
    fn a_name_with_refused_addresses_only_is_refused() {
        let refused = admit(Policy::NoMetadata, addresses(&["169.254.169.254", "fe80::1"]).into_iter());
        assert_eq!(
            refused.expect_err("a refusal").to_string(),
            "the address `169.254.169.254` is that of a cloud's metadata service, and webhooks are never sent there"
        );
        assert_eq!(
            admit(Policy::Open, addresses(&["169.254.169.254"]).into_iter()),
            Ok(addresses(&["169.254.169.254"]))
        );
    }
}
