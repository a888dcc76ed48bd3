//! Tokens that must survive a restart, sealed: only who has the configured secret can read them.
//!
//! ChaCha20-Poly1305 (RFC 8439) under a key that HKDF-SHA256 (RFC 5869) makes of the secret. Keeps nothing itself.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};

use crate::core::secret::Secret;

/// Bytes of a slot's name.
const NAME_LENGTH: usize = 16;

/// What was used to seal, so that a later version can tell.
const VERSION: u8 = 1;

/// Random bytes that one sealing takes.
pub const NONCE_LENGTH: usize = NONCE_LEN;

/// Seals what belongs to one configured secret. Another secret has another slot: what was kept under the one before is
/// not found any more.
pub struct Seal {
    name: [u8; NAME_LENGTH],
    key: Option<LessSafeKey>,
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Seal {
    /// For a secret of the config, in a context such as the endpoint and the client's id.
    pub fn new(secret: &Secret, context: &str) -> Self {
        let source = Salt::new(HKDF_SHA256, b"doorbell token 1").extract(secret.expose().as_bytes());
        let (mut name, mut key) = ([0; NAME_LENGTH], [0; 32]);
        expand(&source, &[b"name", context.as_bytes()], &mut name);
        expand(&source, &[b"key", context.as_bytes()], &mut key);
        Self { name, key: UnboundKey::new(&CHACHA20_POLY1305, &key).ok().map(LessSafeKey::new) }
    }

    /// The slot's name. Says nothing of the secret to who does not know it.
    pub fn name(&self) -> [u8; NAME_LENGTH] {
        self.name
    }

    /// The text, sealed. `nonce` must never come twice.
    pub fn seal(&self, text: &Secret, nonce: [u8; NONCE_LENGTH]) -> Option<Vec<u8>> {
        let mut sealed = text.expose().as_bytes().to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        self.key.as_ref()?.seal_in_place_append_tag(unique, Aad::from(self.name), &mut sealed).ok()?;
        Some([&[VERSION][..], &nonce, &sealed].concat())
    }

    /// What was sealed; `None` where it was sealed under another secret or is damaged.
    pub fn open(&self, sealed: &[u8]) -> Option<Secret> {
        let (nonce, text) = sealed.strip_prefix(&[VERSION])?.split_at_checked(NONCE_LENGTH)?;
        let mut text = text.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let text = self.key.as_ref()?.open_in_place(nonce, Aad::from(self.name), &mut text).ok()?;
        std::str::from_utf8(text).ok().map(Secret::new)
    }
}

/// Fills `into`. It can't fail: HKDF gives up to 8160 bytes (RFC 5869, section 2.3).
fn expand(source: &Prk, info: &[&[u8]], into: &mut [u8]) {
    if let Ok(bytes) = source.expand(info, Length(into.len())) {
        let _ = bytes.fill(into);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_secret_in_the_same_place_opens_it() {
        let seal = |secret: &str, context: &str| Seal::new(&Secret::new(secret), context);
        let (ours, token) = (seal("first", "https://a/token"), Secret::new("rotated"));
        let sealed = ours.seal(&token, [7; NONCE_LENGTH]).expect("sealed");
        assert_eq!(seal("first", "https://a/token").open(&sealed), Some(token));
        assert_eq!(seal("second", "https://a/token").open(&sealed), None);
        assert_eq!(seal("first", "https://b/token").open(&sealed), None);
        assert_ne!(seal("first", "https://b/token").name(), ours.name());
        assert!(!sealed.windows(7).any(|bytes| bytes == b"rotated"));
        for at in 0..sealed.len() {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert_eq!(ours.open(&damaged), None, "{at}");
            assert_eq!(ours.open(&sealed[..at]), None, "{at}");
        }
    }
}
