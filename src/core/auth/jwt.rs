//! JSON Web Tokens (RFC 7519), signed as RFC 7515 and RFC 8037 have it, and the keys they are signed with.
//!
//! Signs only. No key can be printed: `Debug` shows `***`.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SecureRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, RSA_PKCS1_SHA256, RsaKeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;

use crate::core::path::Complaint;
use crate::core::secret::Secret;
use crate::core::sign::{Algorithm as Hash, mac};

/// The shortest key of HS256, in bytes (RFC 7518, section 3.2).
const SHARED_MIN: usize = 32;

/// How a token is signed (RFC 7518, section 3.1; RFC 8037, section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// ECDSA with P-256 and SHA-256.
    Es256,
    /// HMAC with SHA-256.
    Hs256,
    /// Ed25519.
    EdDsa,
}

impl Algorithm {
    /// The words of the config, which are those of the token's header.
    pub const WORDS: [(&'static str, Self); 4] =
        [("RS256", Self::Rs256), ("ES256", Self::Es256), ("HS256", Self::Hs256), ("EdDSA", Self::EdDsa)];

    /// Its name in a token's header.
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, own)| *own == self).map_or("", |(word, _)| word)
    }
}

/// A key that signs tokens.
#[derive(Clone)]
pub struct Key(Inner);

#[derive(Clone)]
enum Inner {
    Rsa(Arc<RsaKeyPair>),
    Ecdsa(Arc<EcdsaKeyPair>),
    Ed25519(Arc<Ed25519KeyPair>),
    Shared(Secret),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

impl Key {
    /// Reads a key: PEM for RS256, ES256 and EdDSA (or, for EdDSA, 32 bytes in base64), any text for HS256.
    ///
    /// # Errors
    /// What is no key of this kind. The complaint never shows it.
    pub fn parse(algorithm: Algorithm, secret: &Secret, rng: &dyn SecureRandom) -> Result<Self, Complaint> {
        if algorithm == Algorithm::Hs256 {
            return shared(secret);
        }
        // In an environment variable line ends are often spelled out.
        let text = secret.expose().replace("\\n", "\n");
        if algorithm == Algorithm::EdDsa && !text.contains("-----BEGIN") {
            let seed = STANDARD.decode(text.trim()).or_else(|_| URL_SAFE_NO_PAD.decode(text.trim())).ok();
            let pair = seed.and_then(|seed| Ed25519KeyPair::from_seed_unchecked(&seed).ok());
            return pair.map(|pair| Self(Inner::Ed25519(Arc::new(pair)))).ok_or_else(|| no_key(algorithm));
        }
        let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| no_pem(algorithm, &text))?;
        let inner = match (algorithm, &key) {
            (Algorithm::Rs256, PrivateKeyDer::Pkcs8(der)) => {
                RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).ok().map(|pair| Inner::Rsa(Arc::new(pair)))
            }
            (Algorithm::Rs256, PrivateKeyDer::Pkcs1(der)) => {
                RsaKeyPair::from_der(der.secret_pkcs1_der()).ok().map(|pair| Inner::Rsa(Arc::new(pair)))
            }
            (Algorithm::Es256, PrivateKeyDer::Pkcs8(der)) => ecdsa(der.secret_pkcs8_der(), rng),
            (Algorithm::Es256, PrivateKeyDer::Sec1(der)) => ecdsa(&wrapped(der.secret_sec1_der()), rng),
            (Algorithm::EdDsa, PrivateKeyDer::Pkcs8(der)) => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der()).ok();
                pair.map(|pair| Inner::Ed25519(Arc::new(pair)))
            }
            _ => None,
        };
        inner.map(Self).ok_or_else(|| no_key(algorithm))
    }

    /// The signature; `None` when there is no randomness to be had.
    fn sign(&self, message: &[u8], rng: &dyn SecureRandom) -> Option<Vec<u8>> {
        match &self.0 {
            Inner::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, rng, message, &mut signature).ok()?;
                Some(signature)
            }
            Inner::Ecdsa(pair) => pair.sign(rng, message).ok().map(|signature| signature.as_ref().to_vec()),
            Inner::Ed25519(pair) => Some(pair.sign(message).as_ref().to_vec()),
            Inner::Shared(key) => Some(mac(Hash::HmacSha256, key.expose().as_bytes(), &[message]).as_ref().to_vec()),
        }
    }

    /// A token of this header and these claims, both JSON.
    pub fn token(&self, header: &str, claims: &str, rng: &dyn SecureRandom) -> Option<String> {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = self.sign(message.as_bytes(), rng)?;
        Some(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

fn ecdsa(pkcs8: &[u8], rng: &dyn SecureRandom) -> Option<Inner> {
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8, rng).ok()?;
    Some(Inner::Ecdsa(Arc::new(pair)))
}

/// A key of SEC 1 ("EC PRIVATE KEY", as `openssl ecparam -genkey` writes it) as PKCS #8 (RFC 5208, section 5) of P-256.
fn wrapped(sec1: &[u8]) -> Vec<u8> {
    /// Version 0, and `id-ecPublicKey` with `prime256v1` (RFC 5480, section 2.1.1).
    const HEAD: &[u8] = &[
        0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
        0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
    ];
    der(0x30, &[HEAD, &der(0x04, sec1)].concat())
}

/// A value in DER (X.690, section 8.1) of less than 64 KiB.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let [.., high, low] = content.len().to_be_bytes();
    let head: &[u8] = match (high, low) {
        (0, 0..=127) => &[tag, low],
        (0, _) => &[tag, 0x81, low],
        _ => &[tag, 0x82, high, low],
    };
    [head, content].concat()
}

fn shared(secret: &Secret) -> Result<Key, Complaint> {
    let length = secret.expose().len();
    if length < SHARED_MIN {
        return Err(Complaint {
            problem: format!("the key of `HS256` has {length} bytes: too few to keep anyone out"),
            hint: Some(format!("RFC 7518 asks for {SHARED_MIN} bytes at least; take the vendor's key whole")),
            span: None,
        });
    }
    Ok(Key(Inner::Shared(secret.clone())))
}

fn no_pem(algorithm: Algorithm, text: &str) -> Complaint {
    if text.contains("BEGIN ENCRYPTED PRIVATE KEY") {
        return Complaint {
            problem: "`key` is encrypted".to_owned(),
            hint: Some("decrypt it: `openssl pkey -in key.pem -out plain.pem`".to_owned()),
            span: None,
        };
    }
    no_key(algorithm)
}

fn no_key(algorithm: Algorithm) -> Complaint {
    let (what, make) = match algorithm {
        Algorithm::Rs256 => ("an RSA key of 2048 bits or more", "openssl genrsa 2048"),
        Algorithm::Es256 => {
            ("a key of the curve P-256", "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256")
        }
        Algorithm::EdDsa => ("an Ed25519 key", "openssl genpkey -algorithm ed25519"),
        Algorithm::Hs256 => ("a shared key", "openssl rand -base64 32"),
    };
    Complaint {
        problem: format!("`key` holds no key that `{}` can sign with", algorithm.as_str()),
        hint: Some(format!("it takes {what}, PEM, as in `key = \"${{file:key.pem}}\"`; `{make}` makes one")),
        span: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::rand::SystemRandom;
    use ring::signature::{
        ECDSA_P256_SHA256_FIXED, ED25519, KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    };

    /// Made for these tests with openssl; they guard nothing.
    const KEYS: [(&str, &str); 5] = [
        ("rsa-pkcs8", include_str!("../../../tests/vectors/keys/rsa-pkcs8.pem")),
        ("rsa-pkcs1", include_str!("../../../tests/vectors/keys/rsa-pkcs1.pem")),
        ("ec-pkcs8", include_str!("../../../tests/vectors/keys/ec-pkcs8.pem")),
        ("ec-sec1", include_str!("../../../tests/vectors/keys/ec-sec1.pem")),
        ("ed25519", include_str!("../../../tests/vectors/keys/ed25519.pem")),
    ];

    fn key(algorithm: Algorithm, text: &str) -> Result<Key, Complaint> {
        Key::parse(algorithm, &Secret::new(text), &SystemRandom::new())
    }

    /// RFC 7515, appendix A.1, its header and payload with their line ends; the key there is 64 raw bytes, so that the
    /// signature was made with `openssl dgst -sha256 -hmac`.
    #[test]
    fn a_token_is_put_together_as_the_rfc_has_it() {
        let key = key(Algorithm::Hs256, "0123456789abcdef0123456789abcdef").expect("a key");
        let header = "{\"typ\":\"JWT\",\r\n \"alg\":\"HS256\"}";
        let claims = "{\"iss\":\"joe\",\r\n \"exp\":1300819380,\r\n \"http://example.com/is_root\":true}";
        let token = key.token(header, claims, &SystemRandom::new()).expect("a token");
        let message = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        assert_eq!(token, format!("{message}.HKtVyq_rFPldx0PLsaLg0Fl5d4S7IrZbaFF1IF6qanc"));
    }

    /// RFC 8037, appendix A.4.
    #[test]
    fn an_ed25519_token_is_that_of_the_rfc() {
        let key = key(Algorithm::EdDsa, "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").expect("a key");
        let signature = key.sign(b"eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc", &SystemRandom::new());
        let spelled = URL_SAFE_NO_PAD.encode(signature.expect("a signature"));
        assert_eq!(spelled, "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg");
    }

    #[test]
    fn keys_of_every_kind_sign_what_their_public_half_believes() {
        for (name, pem) in KEYS {
            let algorithm = match &name[..2] {
                "rs" => Algorithm::Rs256,
                "ec" => Algorithm::Es256,
                _ => Algorithm::EdDsa,
            };
            let key = key(algorithm, pem).unwrap_or_else(|complaint| panic!("{name}: {complaint:?}"));
            let signature = key.sign(b"message", &SystemRandom::new()).expect("a signature");
            let believed = match &key.0 {
                Inner::Rsa(pair) => {
                    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public().as_ref().to_vec())
                        .verify(b"message", &signature)
                }
                Inner::Ecdsa(pair) => {
                    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref().to_vec())
                        .verify(b"message", &signature)
                }
                Inner::Ed25519(pair) => {
                    UnparsedPublicKey::new(&ED25519, pair.public_key().as_ref().to_vec()).verify(b"message", &signature)
                }
                Inner::Shared(_) => panic!("{name} is no shared key"),
            };
            assert!(believed.is_ok(), "{name}");
            let one_line = pem.replace('\n', "\\n");
            assert!(self::key(algorithm, &one_line).is_ok(), "{name} with its line ends spelled out");
            for other in [Algorithm::Rs256, Algorithm::Es256, Algorithm::EdDsa] {
                assert_eq!(self::key(other, pem).is_ok(), other == algorithm, "{name} as {other:?}");
            }
        }
        assert!(key(Algorithm::Hs256, "short").is_err() && key(Algorithm::EdDsa, "c2hvcnQ=").is_err());
    }
}
