//! Signing and verifying, against vectors that were computed with other tools.

use proptest::prelude::*;

use super::*;

/// Secret, id, timestamp, body, signature.
const VECTORS: [(&str, &str, i64, &str, &str); 2] = [
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
];

fn key(secret: &str) -> SigningKey {
    SigningKey::parse(&Secret::new(secret)).expect("a good secret")
}

fn complaint_of(secret: &str) -> Complaint {
    SigningKey::parse(&Secret::new(secret)).expect_err("a bad secret")
}

fn verifier(secret: &str) -> Verifier {
    Verifier::new(&[Secret::new(secret)]).expect("a good secret")
}

fn at(seconds: i64) -> Timestamp {
    Timestamp(seconds * 1000)
}

/// Verifies the second vector with another signature, as of its own timestamp and `late` seconds.
fn second(signature: &str, late: i64) -> Result<(), Rejection> {
    let (secret, id, timestamp, body, _) = VECTORS[1];
    verifier(secret).verify(
        Some(id),
        Some(&timestamp.to_string()),
        Some(signature),
        body.as_bytes(),
        at(timestamp + late),
    )
}

#[test]
fn the_vectors_are_signed_and_verified() {
    for (secret, id, timestamp, body, signature) in VECTORS {
        assert_eq!(key(secret).sign(id, timestamp, body.as_bytes()), signature);
        let ts = timestamp.to_string();
        assert_eq!(
            verifier(secret).verify(Some(id), Some(&ts), Some(signature), body.as_bytes(), at(timestamp)),
            Ok(())
        );
    }
}

#[test]
fn a_secret_without_its_prefix_verifies_too() {
    for (secret, id, timestamp, body, signature) in VECTORS {
        let bare = secret.trim_start_matches("whsec_");
        let ts = timestamp.to_string();
        assert_eq!(verifier(bare).verify(Some(id), Some(&ts), Some(signature), body.as_bytes(), at(timestamp)), Ok(()));
    }
}

#[test]
fn a_secret_without_prefix_signs_as_raw_bytes() {
    // `printf 'evt_1.1700000000.{}' | openssl dgst -sha256 -hmac 'correct horse' -binary | base64`
    assert_eq!(key("correct horse").sign("evt_1", 1_700_000_000, b"{}"), RAW_SIGNATURE);
}

const RAW_SIGNATURE: &str = "v1,UYnriVE52rD4aTcrMSZ/NUHxHZhcciH1YIQBb7y8J4o=";

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
    assert_eq!(second("v2,AAAA", 0), Err(Rejection::NoSignature));
    assert_eq!(second("", 0), Err(Rejection::NoSignature));
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
    let ts = timestamp.to_string();
    let check = |id, ts, signature| verifier(secret).verify(id, ts, signature, body.as_bytes(), at(timestamp));
    assert_eq!(check(None, Some(&ts), Some(signature)), Err(Rejection::Missing("webhook-id")));
    assert_eq!(check(Some(id), None, Some(signature)), Err(Rejection::Missing("webhook-timestamp")));
    assert_eq!(check(Some(id), Some(&ts), None), Err(Rejection::Missing("webhook-signature")));
    assert_eq!(check(Some(id), Some("soon"), Some(signature)), Err(Rejection::Timestamp));
    assert_eq!(
        check(Some(id), Some(&i64::MIN.to_string()), Some(signature)),
        Err(Rejection::Skew(i64::MIN.abs_diff(timestamp), "ago"))
    );
}

#[test]
fn an_empty_body_is_signed_and_verified() {
    let signature = key("whsec_AAAA").sign("evt_1", 5, b"");
    assert_eq!(verifier("whsec_AAAA").verify(Some("evt_1"), Some("5"), Some(&signature), b"", at(5)), Ok(()));
}

#[test]
fn a_secret_that_was_pasted_wrong_is_explained_and_not_shown() {
    for (secret, problem) in [
        ("", "the secret is empty"),
        ("whsec_", "the secret is `whsec_` and nothing after it"),
        ("whsec_not base64", "the secret begins with `whsec_`, but what follows is not base64"),
        ("whsec_AAAA\n", "the secret begins with `whsec_`, but what follows is not base64"),
        ("v1,whsec_AAAA", "the secret begins with `v1,`, which belongs to a signature"),
        ("hunter2,whsec_AAAA", "the secret begins with `…,`, which belongs to a signature"),
        ("whsk_AAAA", "a secret with `whsk_` is an ed25519 key, and this version doesn't have standard-ed25519 yet"),
    ] {
        let complaint = complaint_of(secret);
        assert_eq!(complaint.problem, problem);
        assert!(complaint.hint.is_some_and(|hint| !hint.contains("AAAA") && !hint.contains("hunter2")));
    }
}

#[test]
fn padding_may_be_left_out() {
    assert_eq!(key("whsec_AAECAw"), key("whsec_AAECAw=="));
    assert_eq!(key("whsec_AAECAw"), SigningKey::raw(&[0, 1, 2, 3]));
}

#[test]
fn a_key_is_never_printed() {
    assert_eq!(format!("{:?} {:?}", key("hunter2"), verifier("hunter2")), "*** Verifier { keys: [***] }");
}

proptest! {
    #[test]
    fn what_is_signed_verifies_and_what_is_changed_does_not(
        secret in "[ -~]{1,40}", id in "evt_[a-z2-7]{26}", body in prop::collection::vec(any::<u8>(), 0..200), flip in any::<prop::sample::Index>()
    ) {
        prop_assume!(SigningKey::parse(&Secret::new(&secret)).is_ok());
        let signature = key(&secret).sign(&id, 1000, &body);
        let check = |body: &[u8]| verifier(&secret).verify(Some(&id), Some("1000"), Some(&signature), body, at(1000));
        prop_assert_eq!(check(&body), Ok(()));
        let mut changed = body.clone();
        match changed.len() {
            0 => changed.push(0),
            length => changed[flip.index(length)] ^= 1,
        }
        prop_assert_eq!(check(&changed), Err(Rejection::Mismatch));
    }
}
