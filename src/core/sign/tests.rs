//! Signing and verifying, against vectors that were computed with other tools.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

mod keys;
mod rfc9421;
mod schemes;

/// Secret, id, timestamp, body, signature.
const VECTORS: [(&str, &str, i64, &str, &str); 3] = [
    (
        "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
        1_649_367_553,
        r#"{"email":"test@example.com","username":"test_user"}"#,
        "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
    ),
    (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        r#"{"test": 2432232314}"#,
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    ),
    (
        PAIR,
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1_614_265_330,
        r#"{"test": 2432232314}"#,
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==",
    ),
];

/// Seed and public key.
const PAIR: &str = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbfVKIDij2HKpMKkioLlX0dRqSKJp4AJ6p9lMicMFs6Kvg==";

/// The public half of [`PAIR`].
const PUBLIC: &str = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";

const URL: &str = "https://crm.example/hooks/orders?a=%20b";

fn scheme(word: &str) -> Scheme {
    Scheme::named(word, "crm").expect("one of the words")
}

/// The scheme that a key of the vectors is for.
fn standard_of(secret: &str) -> Scheme {
    scheme(if secret.starts_with("whs") && !secret.starts_with("whsec_") { "standard-ed25519" } else { "standard" })
}

fn secrets(secrets: &[&str]) -> Vec<Secret> {
    secrets.iter().map(|secret| Secret::new(secret)).collect()
}

fn signer(scheme: Scheme, texts: &[&str]) -> Signer {
    Signer::new(scheme, &secrets(texts)).expect("good secrets")
}

fn verifier(scheme: Scheme, secret: &str) -> Verifier {
    Verifier::new(scheme, &secrets(&[secret])).expect("a good secret")
}

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1000)
}

/// A webhook on its way: what a test may change before it is verified.
#[derive(Clone)]
struct Webhook {
    method: String,
    target: String,
    headers: HeaderMap,
    body: Vec<u8>,
}

impl Webhook {
    /// What is sent at `timestamp`.
    fn signed(signer: &Signer, id: &str, timestamp: i64, body: &[u8]) -> Self {
        let url = Url::parse(URL).expect("a URL");
        let message = Message { id, timestamp, method: "POST", url: &url, content_type: "application/json", body };
        let mut webhook = Self::unsigned(id, timestamp, body);
        for (name, value) in signer.headers(&message).expect("it can be signed") {
            webhook.set(name.as_str(), &value);
        }
        webhook
    }

    fn unsigned(id: &str, timestamp: i64, body: &[u8]) -> Self {
        let target = "/hooks/orders?a=%20b".to_owned();
        let mut webhook = Self { method: "POST".to_owned(), target, headers: HeaderMap::new(), body: body.to_vec() };
        let timestamp = timestamp.to_string();
        let fields = [
            ("host", "crm.example"),
            ("content-type", "application/json"),
            ("webhook-id", id),
            ("webhook-timestamp", &timestamp),
        ];
        fields.iter().for_each(|(name, value)| webhook.set(name, value));
        webhook
    }

    fn set(&mut self, name: &str, value: &str) {
        let name: HeaderName = name.parse().expect("a name");
        self.headers.insert(name, HeaderValue::from_str(value).expect("a value"));
    }

    fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    fn verify(&self, verifier: &Verifier, now: i64) -> Result<(), Rejection> {
        let delivered =
            Delivered { method: &self.method, target: &self.target, headers: &self.headers, body: &self.body };
        verifier.verify(&delivered, at(now))
    }
}

/// The second vector with another signature, as of its own timestamp and `late` seconds.
fn second(signature: &str, late: i64) -> Result<(), Rejection> {
    let (secret, id, timestamp, body, _) = VECTORS[1];
    let mut webhook = Webhook::unsigned(id, timestamp, body.as_bytes());
    webhook.set("webhook-signature", signature);
    webhook.verify(&verifier(Scheme::Standard, secret), timestamp + late)
}

#[test]
fn the_vectors_are_signed_and_verified() {
    for (secret, id, timestamp, body, signature) in VECTORS {
        let webhook = Webhook::signed(&signer(standard_of(secret), &[secret]), id, timestamp, body.as_bytes());
        assert_eq!(webhook.header("webhook-signature"), signature);
        assert_eq!(webhook.verify(&verifier(standard_of(secret), secret), timestamp), Ok(()));
    }
}

#[test]
fn a_public_key_verifies_what_its_other_half_signed() {
    let (secret, id, timestamp, body, _) = VECTORS[2];
    let signer = signer(Scheme::StandardEd25519, &[secret]);
    assert_eq!(signer.public_keys(), [PUBLIC]);
    let mut webhook = Webhook::signed(&signer, id, timestamp, body.as_bytes());
    let verifier = verifier(Scheme::StandardEd25519, PUBLIC);
    assert_eq!(webhook.verify(&verifier, timestamp), Ok(()));
    webhook.body.push(b' ');
    assert_eq!(webhook.verify(&verifier, timestamp), Err(Rejection::Mismatch));
}

#[test]
fn a_secret_without_its_prefix_verifies_too() {
    for (secret, id, timestamp, body, signature) in &VECTORS[..2] {
        let mut webhook = Webhook::unsigned(id, *timestamp, body.as_bytes());
        webhook.set("webhook-signature", signature);
        assert_eq!(
            webhook.verify(&verifier(Scheme::Standard, secret.trim_start_matches("whsec_")), *timestamp),
            Ok(())
        );
    }
}

#[test]
fn a_secret_without_prefix_signs_as_raw_bytes() {
    // `printf 'evt_1.1700000000.{}' | openssl dgst -sha256 -hmac 'correct horse' -binary | base64`
    let expected = "v1,UYnriVE52rD4aTcrMSZ/NUHxHZhcciH1YIQBb7y8J4o=";
    let webhook = Webhook::signed(&signer(Scheme::Standard, &["correct horse"]), "evt_1", 1_700_000_000, b"{}");
    assert_eq!(webhook.header("webhook-signature"), expected);
}

#[test]
fn one_fitting_signature_among_several_is_enough() {
    let good = VECTORS[1].4;
    assert_eq!(second(&format!("v1,AAAA v1a,whatever {good}"), 0), Ok(()));
    assert_eq!(second(&format!("{good} v1,AAAA"), 0), Ok(()));
}

#[test]
fn a_changed_signature_is_refused() {
    assert_eq!(second("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OA=", 0), Err(Rejection::Mismatch));
    assert_eq!(second("v1,", 0), Err(Rejection::Mismatch));
    for none in ["v2,AAAA", "v1a,AAAA", ""] {
        assert_eq!(second(none, 0), Err(Rejection::NoSignature("webhook-signature".to_owned(), "v1,")));
    }
}

#[test]
fn a_timestamp_may_be_300_seconds_off_and_not_301() {
    let good = VECTORS[1].4;
    assert_eq!(second(good, 300), Ok(()));
    assert_eq!(second(good, -300), Ok(()));
    assert_eq!(second(good, 301), Err(Rejection::Skew(301, "ago")));
    assert_eq!(second(good, -301), Err(Rejection::Skew(301, "in the future")));
}

#[test]
fn each_header_is_needed() {
    let (secret, id, timestamp, body, signature) = VECTORS[1];
    let verifier = verifier(Scheme::Standard, secret);
    let mut webhook = Webhook::unsigned(id, timestamp, body.as_bytes());
    webhook.set("webhook-signature", signature);
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        let mut without = webhook.clone();
        without.headers.remove(name);
        assert_eq!(without.verify(&verifier, timestamp), Err(Rejection::Missing(name.to_owned())));
    }
    webhook.set("webhook-timestamp", "soon");
    assert_eq!(webhook.verify(&verifier, timestamp), Err(Rejection::Timestamp("webhook-timestamp")));
    webhook.set("webhook-timestamp", &i64::MIN.to_string());
    assert_eq!(webhook.verify(&verifier, timestamp), Err(Rejection::Skew(i64::MIN.abs_diff(timestamp), "ago")));
}

proptest! {
    #[test]
    fn what_is_signed_verifies_and_what_is_changed_does_not(
        secret in "[ -~]{1,40}", word in prop::sample::select(&Scheme::WORDS[..]), id in "evt_[a-z2-7]{26}",
        body in prop::collection::vec(any::<u8>(), 0..200), flip in any::<prop::sample::Index>()
    ) {
        let secret = if word == "standard-ed25519" { PAIR } else { secret.as_str() };
        let Ok(signer) = Signer::new(scheme(word), &secrets(&[secret])) else { return Ok(()) };
        let mut webhook = Webhook::signed(&signer, &id, 1000, &body);
        let verifier = verifier(scheme(word), secret);
        prop_assert_eq!(webhook.verify(&verifier, 1000), Ok(()));
        match webhook.body.len() {
            0 => webhook.body.push(0),
            length => webhook.body[flip.index(length)] ^= 1,
        }
        let expected = if word == "rfc9421" { Rejection::Digest } else { Rejection::Mismatch };
        prop_assert_eq!(webhook.verify(&verifier, 1000), Err(expected));
    }

    #[test]
    fn no_header_makes_a_verifier_panic(
        word in prop::sample::select(&Scheme::WORDS[..]), name in any::<prop::sample::Index>(), value in "[ -~]{0,60}", now in any::<i64>()
    ) {
        let secret = if word == "standard-ed25519" { PAIR } else { "a secret" };
        let signer = signer(scheme(word), &[secret]);
        let mut webhook = Webhook::signed(&signer, "evt_1", 1000, b"{}");
        let names = signer.scheme().header_names();
        webhook.set(name.get(&names).as_str(), &value);
        let same = Webhook::signed(&signer, "evt_1", 1000, b"{}").headers == webhook.headers;
        let verdict = webhook.verify(&verifier(scheme(word), secret), now.clamp(-1_000_000_000_000, 1_000_000_000_000));
        prop_assert!(same || verdict.is_err());
    }
}
