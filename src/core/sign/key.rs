//! Keys that sign and keys that verify, and the secrets they are read from.
//!
//! No key can be printed: `Debug` shows `***`.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::digest::{SHA256, digest};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};

use super::mac::{Algorithm, mac};
use super::{Kind, Scheme};
use crate::core::path::Complaint;
use crate::core::secret::Secret;

/// What marks a shared secret that is base64.
const SHARED: &str = "whsec_";

/// What marks an ed25519 key that signs.
const PAIR: &str = "whsk_";

/// What marks an ed25519 key that verifies.
const PUBLIC: &str = "whpk_";

/// Bytes of an ed25519 seed, and of a public key (RFC 8032, section 5.1).
const KEY_LENGTH: usize = 32;

/// Base64 of the usual alphabet, its padding there or not.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

type PublicKey = [u8; KEY_LENGTH];

/// A key to sign with: a shared secret or an ed25519 key. Printing it shows `***`.
#[derive(Clone)]
pub struct SigningKey(Key);

#[derive(Clone)]
enum Key {
    Shared(Arc<[u8]>),
    Pair(Arc<Ed25519KeyPair>, PublicKey),
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl SigningKey {
    /// Reads a secret: `whsec_` + base64 is decoded, `whsk_` is an ed25519 key (its seed, or seed and public key), anything
    /// else is taken as raw bytes.
    ///
    /// # Errors
    /// What can't be meant: an empty secret, one pasted with its version (`v1,whsec_…`), a prefix before what is not
    /// base64, an ed25519 key of another length or whose halves don't fit, and a public key. The complaint never shows
    /// the secret.
    pub fn parse(secret: &Secret) -> Result<Self, Complaint> {
        let text = secret.expose();
        check_pasted(text)?;
        if let Some(encoded) = text.strip_prefix(PAIR) {
            return pair(encoded);
        }
        if text.starts_with(PUBLIC) {
            return Err(complaint(
                "the secret begins with `whpk_`: that is a public key, which verifies and can't sign",
                "take the other half of the key, which begins with `whsk_`",
            ));
        }
        match text.strip_prefix(SHARED) {
            Some(encoded) => decode(encoded),
            None => Ok(Self::raw(text.as_bytes())),
        }
    }

    /// A shared secret that is just these bytes.
    pub fn raw(bytes: &[u8]) -> Self {
        Self(Key::Shared(Arc::from(bytes)))
    }

    /// HMAC-SHA256 or ed25519 over the parts, one after the other, as the key is.
    pub(super) fn sign(&self, parts: &[&[u8]]) -> Vec<u8> {
        match &self.0 {
            Key::Shared(bytes) => mac(Algorithm::HmacSha256, bytes, parts).as_ref().to_vec(),
            Key::Pair(pair, _) => pair.sign(&parts.concat()).as_ref().to_vec(),
        }
    }

    /// The bytes of a shared secret; nothing of an ed25519 key.
    pub(super) fn shared(&self) -> Option<&[u8]> {
        match &self.0 {
            Key::Shared(bytes) => Some(bytes),
            Key::Pair(..) => None,
        }
    }

    /// The public half of an ed25519 key.
    pub(super) fn public(&self) -> Option<&PublicKey> {
        match &self.0 {
            Key::Shared(_) => None,
            Key::Pair(_, public) => Some(public),
        }
    }
}

/// `whpk_…`, as receivers know it.
pub(super) fn spell_public(public: &PublicKey) -> String {
    format!("{PUBLIC}{}", STANDARD.encode(public))
}

/// The name that a public key has by itself: its JWK thumbprint (RFC 7638, section 3; RFC 8037, appendix A.3).
pub(super) fn thumbprint(public: &PublicKey) -> String {
    let jwk = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, URL_SAFE_NO_PAD.encode(public));
    URL_SAFE_NO_PAD.encode(digest(&SHA256, jwk.as_bytes()))
}

fn check_pasted(text: &str) -> Result<(), Complaint> {
    if text.is_empty() {
        return Err(complaint("the secret is empty", "`openssl rand -base64 32` makes one; put `whsec_` before it"));
    }
    match text.split_once(',') {
        Some((version, rest)) if [SHARED, PAIR, PUBLIC].iter().any(|prefix| rest.starts_with(prefix)) => {
            let problem = format!("the secret begins with `{},`, which belongs to a signature", shown_version(version));
            let prefix = rest.split_inclusive('_').next().unwrap_or(SHARED);
            Err(complaint(&problem, &format!("leave that out, so that the secret begins with `{prefix}`")))
        }
        _ => Ok(()),
    }
}

/// What stood before the comma, unless it is long enough to be somebody's secret.
fn shown_version(version: &str) -> &str {
    if version.len() <= 3 { version } else { "…" }
}

fn decode(encoded: &str) -> Result<SigningKey, Complaint> {
    match LENIENT.decode(encoded) {
        Ok(bytes) if !bytes.is_empty() => Ok(SigningKey::raw(&bytes)),
        Ok(_) => Err(complaint(
            "the secret is `whsec_` and nothing after it",
            "copy all of it: `whsec_` is followed by base64",
        )),
        Err(_) => Err(complaint(
            "the secret begins with `whsec_`, but what follows is not base64",
            "copy all of it, without blanks or line ends; a secret that is not base64 stands without `whsec_`",
        )),
    }
}

fn pair(encoded: &str) -> Result<SigningKey, Complaint> {
    let Ok(bytes) = LENIENT.decode(encoded) else {
        return Err(complaint(
            "the secret begins with `whsk_`, but what follows is not base64",
            "copy all of it, without blanks or line ends",
        ));
    };
    let pair = match bytes.split_at_checked(KEY_LENGTH) {
        Some((seed, [])) => Ed25519KeyPair::from_seed_unchecked(seed),
        Some((seed, public)) if public.len() == KEY_LENGTH => Ed25519KeyPair::from_seed_and_public_key(seed, public),
        _ => {
            let problem = format!("the secret begins with `whsk_`, and {} bytes follow", bytes.len());
            return Err(complaint(&problem, "an ed25519 key has 32 bytes (the seed) or 64 (seed and public key)"));
        }
    };
    let pair = pair.ok().and_then(|pair| {
        let public = PublicKey::try_from(pair.public_key().as_ref()).ok()?;
        Some(SigningKey(Key::Pair(Arc::new(pair), public)))
    });
    pair.ok_or_else(|| {
        complaint(
            "the secret begins with `whsk_`, but its two halves are not of one key",
            "copy all of it, or leave the second half, the public key, out",
        )
    })
}

/// A complaint about a secret.
pub(super) fn complaint(problem: &str, hint: &str) -> Complaint {
    Complaint { problem: problem.to_owned(), hint: Some(hint.to_owned()), span: None }
}

/// A key to verify with. Printing it shows `***`.
#[derive(Clone)]
pub(super) enum VerifyingKey {
    Shared(Arc<[u8]>),
    Public(PublicKey),
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl VerifyingKey {
    /// The bytes of a shared secret; nothing of a public key.
    pub(super) fn shared(&self) -> Option<&[u8]> {
        match self {
            Self::Shared(bytes) => Some(bytes),
            Self::Public(_) => None,
        }
    }

    /// Is this the signature over the parts? Of a shared secret it is HMAC-SHA256, in base64.
    pub(super) fn fits(&self, parts: &[&[u8]], signature: &str) -> bool {
        match self {
            Self::Shared(bytes) => {
                super::mac::same(&STANDARD.encode(mac(Algorithm::HmacSha256, bytes, parts)), signature)
            }
            Self::Public(public) => {
                let Ok(signature) = STANDARD.decode(signature) else { return false };
                UnparsedPublicKey::new(&ED25519, public).verify(&parts.concat(), &signature).is_ok()
            }
        }
    }
}

impl From<SigningKey> for VerifyingKey {
    fn from(key: SigningKey) -> Self {
        match key.0 {
            Key::Shared(bytes) => Self::Shared(bytes),
            Key::Pair(_, public) => Self::Public(public),
        }
    }
}

/// The keys that a receiver's secret may stand for. Without a prefix it counts as text and, where it is some, as base64,
/// since senders differ there; those of GitHub, Stripe and Slack take a prefix as a part of the text.
pub(super) fn verifying(scheme: &Scheme, secret: &Secret) -> Result<Vec<VerifyingKey>, Complaint> {
    let text = secret.expose();
    if let Some(encoded) = text.strip_prefix(PUBLIC).filter(|_| scheme.kind() != Kind::Shared) {
        return public(encoded).map(|key| vec![key]);
    }
    let mut keys: Vec<VerifyingKey> = scheme.keys(secret)?.into_iter().map(VerifyingKey::from).collect();
    if scheme.kind() == Kind::Pair {
        return Ok(keys);
    }
    if !text.starts_with(SHARED) {
        keys.extend(decode(text).ok().map(VerifyingKey::from));
    } else if scheme.reads_secrets_as_text() {
        keys.push(SigningKey::raw(text.as_bytes()).into());
    }
    Ok(keys)
}

fn public(encoded: &str) -> Result<VerifyingKey, Complaint> {
    let key = LENIENT.decode(encoded).ok().and_then(|bytes| PublicKey::try_from(bytes).ok());
    key.map(VerifyingKey::Public).ok_or_else(|| {
        complaint("the secret begins with `whpk_`, but no public key follows", "a public key is 32 bytes in base64")
    })
}
