//! HTTP Message Signatures against the vectors of RFC 9421, appendix B.2, and RFC 8037, appendix A.3.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::super::key::thumbprint;
use super::super::rfc9421::{base, content_digest};
use super::*;

fn whsk(pkcs8: &str) -> String {
    let der = STANDARD.decode(pkcs8).expect("base64");
    format!("whsk_{}", STANDARD.encode(&der[der.len() - 32..]))
}

/// The request of appendix B.2.
const FIELDS: [(&str, &str); 6] = [
    ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
    ("@method", "POST"),
    ("@path", "/foo"),
    ("@authority", "example.com"),
    ("content-type", "application/json"),
    ("content-length", "18"),
];

#[test]
fn the_ed25519_vector_of_the_rfc_is_made() {
    let params = "(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\");created=1618884473;keyid=\"test-key-ed25519\"";
    let base = base(FIELDS, params);
    let expected = "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"@method\": POST\n\"@path\": /foo\n\"@authority\": example.com\n\"content-type\": application/json\n\"content-length\": 18\n\"@signature-params\": (\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\");created=1618884473;keyid=\"test-key-ed25519\"";
    assert_eq!(base, expected);
    let secret = whsk("MC4CAQAwBQYDK2VwBCIEIJ+DYvh6SEqVTm50DFtMDoQikTmiCqirVv9mWG9qfSnF");
    let key = SigningKey::parse(&Secret::new(&secret)).expect("a key");
    let signature = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==";
    assert_eq!(STANDARD.encode(key.sign(&[base.as_bytes()])), signature);
    assert!(VerifyingKey::from(key).fits(&[base.as_bytes()], signature));
}

#[test]
fn the_hmac_vector_of_the_rfc_is_made() {
    let params = "(\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"test-shared-secret\"";
    let base = base([FIELDS[0], FIELDS[3], FIELDS[4]], params);
    let secret = "whsec_uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
    let key = SigningKey::parse(&Secret::new(secret)).expect("a key");
    assert_eq!(STANDARD.encode(key.sign(&[base.as_bytes()])), "pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=");
}

#[test]
fn the_digest_of_the_rfc_is_made() {
    let expected = "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:";
    assert_eq!(content_digest(b"{\"hello\": \"world\"}"), expected);
}

#[test]
fn a_public_key_is_named_by_its_thumbprint() {
    let key = URL_SAFE_NO_PAD.decode("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").expect("base64");
    let key = <[u8; 32]>::try_from(key).expect("32 bytes");
    assert_eq!(thumbprint(&key), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

fn rfc(secret: &str) -> (Webhook, Verifier) {
    let webhook = Webhook::signed(&signer(scheme("rfc9421"), &[secret]), "evt_1", 1_700_000_000, b"{\"a\":1.10}");
    (webhook, verifier(scheme("rfc9421"), secret))
}

#[test]
fn the_headers_are_as_the_rfc_spells_them() {
    let (webhook, verifier) = rfc("a secret");
    let covered =
        "(\"@method\" \"@target-uri\" \"content-type\" \"content-digest\" \"webhook-id\" \"webhook-timestamp\")";
    let params = format!("{covered};created=1700000000;keyid=\"crm\";alg=\"hmac-sha256\"");
    assert_eq!(webhook.header("signature-input"), format!("sig1={params}"));
    let base = format!(
        "\"@method\": POST\n\"@target-uri\": {URL}\n\"content-type\": application/json\n\"content-digest\": {}\n\
         \"webhook-id\": evt_1\n\"webhook-timestamp\": 1700000000\n\"@signature-params\": {params}",
        webhook.header("content-digest"),
    );
    let key = SigningKey::parse(&Secret::new("a secret")).expect("a key");
    assert_eq!(webhook.header("signature"), format!("sig1=:{}:", STANDARD.encode(key.sign(&[base.as_bytes()]))));
    assert_eq!(webhook.verify(&verifier, 1_700_000_000), Ok(()));
    let (webhook, _) = rfc(PAIR);
    assert!(webhook.header("signature-input").ends_with(";alg=\"ed25519\""), "{}", webhook.header("signature-input"));
}

#[test]
fn a_fragment_and_a_user_are_no_part_of_where_it_goes() {
    let url = Url::parse("https://me:secret@crm.example/a?b#c").expect("a URL");
    let message =
        Message { id: "evt_1", timestamp: 5, method: "POST", url: &url, content_type: "text/plain", body: b"" };
    let signer = signer(scheme("rfc9421"), &["a secret"]);
    let mut webhook = Webhook::unsigned("evt_1", 5, b"");
    signer.headers(&message).expect("headers").iter().for_each(|(name, value)| webhook.set(name.as_str(), value));
    webhook.set("content-type", "text/plain");
    webhook.target = "/a?b".to_owned();
    assert_eq!(webhook.verify(&verifier(scheme("rfc9421"), "a secret"), 5), Ok(()));
}

#[test]
fn everything_that_is_covered_is_checked() {
    type Change = fn(&mut Webhook);
    let changes: [(Change, Rejection); 9] = [
        (|webhook| webhook.method = "PUT".to_owned(), Rejection::Mismatch),
        (|webhook| webhook.target = "/hooks/orders".to_owned(), Rejection::Mismatch),
        (|webhook| webhook.set("host", "other.example"), Rejection::Mismatch),
        (|webhook| webhook.set("content-type", "text/plain"), Rejection::Mismatch),
        (|webhook| webhook.set("webhook-id", "evt_2"), Rejection::Mismatch),
        (|webhook| webhook.set("webhook-timestamp", "1700000001"), Rejection::Mismatch),
        (|webhook| webhook.body.push(b' '), Rejection::Digest),
        (|webhook| webhook.set("content-digest", "sha-256=:AAAA:"), Rejection::Digest),
        (|webhook| webhook.set("content-digest", &content_digest(b"other")), Rejection::Digest),
    ];
    for secret in ["a secret", PAIR] {
        for (change, expected) in &changes {
            let (mut webhook, verifier) = rfc(secret);
            change(&mut webhook);
            assert_eq!(webhook.verify(&verifier, 1_700_000_000).as_ref(), Err(expected));
        }
    }
}

#[test]
fn a_signature_that_leaves_something_out_is_refused() {
    for name in ["@method", "@target-uri", "content-digest", "webhook-id", "webhook-timestamp"] {
        let (mut webhook, verifier) = rfc("a secret");
        let input = webhook.header("signature-input").replace(&format!("\"{name}\""), "").replace("  ", " ");
        webhook.set("signature-input", &input);
        assert_eq!(webhook.verify(&verifier, 1_700_000_000), Err(Rejection::Uncovered(name)));
    }
}

#[test]
fn what_is_not_of_the_form_is_said() {
    for (name, value, expected) in [
        ("signature-input", "sig1", Rejection::Malformed("signature-input")),
        ("signature-input", "sig1=x", Rejection::Malformed("signature-input")),
        ("signature-input", "sig1=(@method)", Rejection::Malformed("signature-input")),
        ("signature-input", "sig1=(\"a", Rejection::Malformed("signature-input")),
        ("signature-input", "other=(\"a\")", Rejection::NoSignature("signature".to_owned(), "sig1=:…:")),
        ("signature", "sig1=AAAA", Rejection::Malformed("signature")),
        ("signature", "sig1=:AAAA:", Rejection::Mismatch),
        ("signature", "sig2=:AAAA:", Rejection::NoSignature("signature".to_owned(), "sig1=:…:")),
        ("content-digest", "", Rejection::Malformed("content-digest")),
    ] {
        let (mut webhook, verifier) = rfc("a secret");
        webhook.set(name, value);
        assert_eq!(webhook.verify(&verifier, 1_700_000_000), Err(expected), "{name}: {value}");
    }
}

#[test]
fn each_secret_has_a_signature_under_its_own_label() {
    let signer = signer(scheme("rfc9421"), &["new", PAIR, "old"]);
    let webhook = Webhook::signed(&signer, "evt_1", 5, b"{}");
    let input = webhook.header("signature-input");
    assert!(
        input.contains("keyid=\"crm\"") && input.contains("keyid=\"crm-3\"") && !input.contains("crm-2"),
        "{input}"
    );
    for secret in ["new", "old", PAIR, PUBLIC] {
        assert_eq!(webhook.verify(&verifier(scheme("rfc9421"), secret), 5), Ok(()));
    }
    assert_eq!(webhook.verify(&verifier(scheme("rfc9421"), "another"), 5), Err(Rejection::Mismatch));
    let foreign = format!("{}, theirs=(\"@method\");created=5", webhook.header("signature-input"));
    let mut behind_a_gateway = webhook.clone();
    behind_a_gateway.set("signature-input", &foreign);
    behind_a_gateway.set("signature", &format!("{}, theirs=:AAAA:", webhook.header("signature")));
    assert_eq!(behind_a_gateway.verify(&verifier(scheme("rfc9421"), "old"), 5), Ok(()));
}
