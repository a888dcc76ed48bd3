//! The Standard Webhooks signature (v1), written from the specification and from nothing of the product.
//!
//! `tests/python/receiver.py` does the same with the official package.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::http::Request;

/// The secret that the receivers of these tests share with the daemon.
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Verifies a webhook against one secret; the sentence says what is wrong with it.
pub(crate) fn verify(secret: &str, request: &Request, now: u64) -> Result<(), String> {
    let header = |name: &str| request.header(name).ok_or_else(|| format!("no `{name}` header"));
    let (id, timestamp, signatures) =
        (header("webhook-id")?, header("webhook-timestamp")?, header("webhook-signature")?);
    let seconds: u64 = timestamp.parse().map_err(|_| format!("`{timestamp}` is not Unix seconds"))?;
    if seconds.abs_diff(now) > 300 {
        return Err(format!("the timestamp {seconds} is more than five minutes from {now}"));
    }
    let expected = v1(secret, id, timestamp, &request.body)?;
    if signatures.split(' ').any(|signature| signature == expected) {
        return Ok(());
    }
    Err(format!("`{signatures}` holds no `{expected}`"))
}

/// `v1,` and the signature.
pub(crate) fn v1(secret: &str, id: &str, timestamp: &str, body: &[u8]) -> Result<String, String> {
    let key = secret.strip_prefix("whsec_").ok_or("a secret of these tests begins with `whsec_`")?;
    let key = STANDARD.decode(key).map_err(|error| error.to_string())?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).map_err(|error| error.to_string())?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    Ok(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

/// Unix seconds.
#[expect(clippy::disallowed_methods, reason = "a real receiver reads the real clock")]
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The vector of the official package: this verifier is right on its own.
#[test]
fn the_verifier_knows_the_official_vector() {
    let signature = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    let mut request = Request {
        method: "POST".into(),
        target: "/".into(),
        headers: vec![
            ("webhook-id".into(), "msg_p5jXN8AQM9LWM0D4loKWxJek".into()),
            ("webhook-timestamp".into(), "1614265330".into()),
            ("webhook-signature".into(), format!("v1,AAAA {signature}")),
        ],
        body: br#"{"test": 2432232314}"#.to_vec(),
    };
    assert_eq!(verify(SECRET, &request, 1_614_265_400), Ok(()));
    assert!(verify(SECRET, &request, 1_614_266_000).is_err(), "an old timestamp is refused");
    request.body.push(b' ');
    assert!(verify(SECRET, &request, 1_614_265_400).is_err(), "one more byte is refused");
}
