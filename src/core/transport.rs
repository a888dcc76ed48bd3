//! The way to the other side: which addresses may be dialled, whose certificates count, and through which proxy.
//!
//! Only values that the config's lifting has checked; nothing here connects.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::core::address::Policy;
use crate::core::names::Digest;
use crate::core::proxy::Proxy;
use crate::core::secret::Secret;

/// How connections are made. Equal ones share a client.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Transport {
    /// Which addresses are refused.
    pub policy: Policy,
    /// What of TLS is not as usual.
    pub tls: Option<Arc<Tls>>,
    /// What to connect through.
    pub proxy: Option<Arc<Proxy>>,
}

/// Certificates of one's own. Two are equal when they hold the same.
#[derive(Clone)]
pub struct Tls {
    /// Roots that count beside those of the system, DER.
    pub roots: Vec<Arc<[u8]>>,
    /// Who we are.
    pub identity: Option<Identity>,
    digest: Digest,
}

/// A client certificate with its key.
#[derive(Clone)]
pub struct Identity {
    /// The certificate and those between it and its root, DER.
    pub chain: Vec<Arc<[u8]>>,
    /// The private key, PEM.
    pub key: Secret,
}

impl Tls {
    /// Puts certificates together.
    pub fn new(roots: Vec<Arc<[u8]>>, identity: Option<Identity>) -> Self {
        let mut hasher = blake3::Hasher::new();
        let mut add = |kind: u8, bytes: &[u8]| {
            hasher.update(&[kind]).update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
        };
        roots.iter().for_each(|root| add(0, root));
        if let Some(identity) = &identity {
            identity.chain.iter().for_each(|certificate| add(1, certificate));
            add(2, identity.key.expose().as_bytes());
        }
        Self { digest: Digest::from_hash(hasher.finalize()), roots, identity }
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

impl Eq for Tls {}

impl Hash for Tls {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digest.hash(state);
    }
}

/// How many certificates, and no more: certificates are long, and the key is secret.
impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let identity = self.identity.as_ref().map(|identity| identity.chain.len());
        f.debug_struct("Tls").field("roots", &self.roots.len()).field("identity", &identity).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_equal_when_they_hold_the_same_and_show_no_key() {
        let der = |text: &str| Arc::from(text.as_bytes());
        let identity = |key: &str| Some(Identity { chain: vec![der("cert")], key: Secret::new(key) });
        let tls = |root: &str, key: &str| Tls::new(vec![der(root)], identity(key));
        assert_eq!(tls("a", "key"), tls("a", "key"));
        assert_ne!(tls("a", "key"), tls("b", "key"));
        assert_ne!(tls("a", "key"), tls("a", "other"));
        assert_ne!(Tls::new(vec![der("a")], None), Tls::new(Vec::new(), None));
        assert_eq!(format!("{:?}", tls("a", "key")), "Tls { roots: 1, identity: Some(1) }");
    }
}
