//! The schemes beside Standard Webhooks, against their makers' own examples.

use super::*;
use crate::core::template::{Part, Template, Text};

#[test]
fn github_signs_as_its_documentation_does() {
    // "Testing the webhook payload validation" in GitHub's documentation.
    let signer = signer(Scheme::Github, &["It's a Secret to Everybody"]);
    let webhook = Webhook::signed(&signer, "evt_1", 5, b"Hello, World!");
    let expected = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    assert_eq!(webhook.header("x-hub-signature-256"), expected);
}

#[test]
fn slack_signs_as_its_documentation_does() {
    // "Verifying requests from Slack" in Slack's documentation.
    let body = b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    let signer = signer(Scheme::Slack, &["8f742231b10e8888abcd99yyyzzz85a5"]);
    let webhook = Webhook::signed(&signer, "evt_1", 1_531_420_618, body);
    let expected = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";
    assert_eq!(webhook.header("x-slack-signature"), expected);
    assert_eq!(webhook.header("x-slack-request-timestamp"), "1531420618");
}

#[test]
fn stripe_signs_with_each_secret_as_its_libraries_read_it() {
    // `printf '12345.{}' | openssl dgst -sha256 -hmac SECRET`
    let one = "v1=fe6e2ac6b07ba936bb78f6fdec934a09aead1ab85d3a4857bc4e595b352b7d6d";
    let webhook = Webhook::signed(&signer(Scheme::Stripe, &["one", "two"]), "evt_1", 12_345, b"{}");
    let value = webhook.header("stripe-signature");
    assert!(value.starts_with(&format!("t=12345,{one},v1=")), "{value}");
    assert_eq!(value.matches("v1=").count(), 2);
    for secret in ["one", "two"] {
        assert_eq!(webhook.verify(&verifier(Scheme::Stripe, secret), 12_345), Ok(()));
    }
}

#[test]
fn a_secret_of_stripes_signs_as_text_and_as_base64() {
    let webhook = Webhook::signed(&signer(Scheme::Stripe, &["whsec_AAAA"]), "evt_1", 5, b"{}");
    let value = webhook.header("stripe-signature");
    // `printf '5.{}' | openssl dgst -sha256 -hmac whsec_AAAA`, and `-mac hmac -macopt hexkey:000000`
    assert_eq!(
        value,
        "t=5,v1=0097d398ef642f3f40f94fee31f1c735f63f25af493c42945a9c10e459216ebf,v1=0abca5b2c6f87906f5b0300feb2120630a1af9c0dd6c562ccc4e43320fa153ab"
    );
    // No base64: it can only be one of Stripe's own.
    let webhook = Webhook::signed(&signer(Scheme::Stripe, &["whsec_test_secret"]), "evt_1", 5, b"{}");
    assert_eq!(webhook.verify(&verifier(Scheme::Stripe, "whsec_test_secret"), 5), Ok(()));
    assert_eq!(webhook.header("stripe-signature").matches("v1=").count(), 1);
}

#[test]
fn what_is_old_is_refused_where_the_time_is_signed() {
    for word in Scheme::WORDS {
        let secret = if word == "standard-ed25519" { PAIR } else { "a secret" };
        let webhook = Webhook::signed(&signer(scheme(word), &[secret]), "evt_1", 1_000_000, b"{}");
        let verifier = verifier(scheme(word), secret);
        assert_eq!(webhook.verify(&verifier, 1_000_300), Ok(()), "{word}");
        let expected = if word == "github" { Ok(()) } else { Err(Rejection::Skew(301, "ago")) };
        assert_eq!(webhook.verify(&verifier, 1_000_301), expected, "{word}");
    }
}

#[test]
fn each_header_of_each_scheme_is_needed() {
    for word in Scheme::WORDS {
        let secret = if word == "standard-ed25519" { PAIR } else { "a secret" };
        let signer = signer(scheme(word), &[secret]);
        for name in signer.scheme().header_names() {
            let mut webhook = Webhook::signed(&signer, "evt_1", 5, b"{}");
            webhook.headers.remove(&name);
            let verdict = webhook.verify(&verifier(scheme(word), secret), 5);
            assert_eq!(verdict, Err(Rejection::Missing(name.to_string())), "{word}");
        }
    }
}

#[test]
fn a_signature_of_another_kind_is_named() {
    for (word, name, value, kind) in [
        ("github", "x-hub-signature-256", "sha1=00", "sha256="),
        ("slack", "x-slack-signature", "v9=00", "v0="),
        ("stripe", "stripe-signature", "t=5,v0=00", "v1="),
    ] {
        let mut webhook = Webhook::signed(&signer(scheme(word), &["a"]), "evt_1", 5, b"{}");
        webhook.set(name, value);
        let verdict = webhook.verify(&verifier(scheme(word), "a"), 5);
        assert_eq!(verdict, Err(Rejection::NoSignature(name.to_owned(), kind)));
    }
}

#[test]
fn a_secret_that_github_and_slack_know_as_text_verifies_both_ways() {
    for word in ["github", "slack"] {
        let decoded = Webhook::signed(&signer(scheme(word), &["whsec_AAAA"]), "evt_1", 5, b"{}");
        assert_eq!(decoded.verify(&verifier(scheme(word), "whsec_AAAA"), 5), Ok(()));
        assert_eq!(decoded.verify(&verifier(scheme(word), "AAAA"), 5), Ok(()));
    }
}

fn custom(algorithm: Algorithm, encoding: Encoding, message: &str, value: &str) -> Scheme {
    let part = |text: &str| [Part::Plain(text.to_owned())];
    Scheme::Custom(Box::new(Custom {
        header: HeaderName::from_static("x-signature"),
        algorithm,
        encoding,
        message: Text::compile(&part(message), MESSAGE_NAMES).expect("a template"),
        timed: message.contains("timestamp"),
        value: Template::compile(value, VALUE_NAMES).expect("a template"),
    }))
}

#[test]
fn a_scheme_of_ones_own_signs_what_its_template_says() {
    // `printf 'evt_1|5|{}' | openssl dgst -ALGORITHM -hmac key`, in base64 with `-binary | base64`
    for (algorithm, encoding, expected) in [
        (Algorithm::HmacSha256, Encoding::Hex, "cf143e3d236ec960ba433c45a90f29dd250f472c6a20aa7e020c7dcbbb5f3a4d"),
        (Algorithm::HmacSha1, Encoding::Hex, "1897eac464c1ce7cb5041192e8aafe023879d620"),
        (
            Algorithm::HmacSha512,
            Encoding::Base64,
            "14ipBMJK42T6gMKIFf62ogHpP5MlhppnSznn40lmWXiQ2cLNzDjVE5jFUBVRwLqqWu/tgVnkqv7nU8zPvnh7Zw==",
        ),
    ] {
        let scheme =
            custom(algorithm, encoding, "{{ id }}|{{ timestamp }}|{{ body }}", "t={{ timestamp }};s={{ signature }}");
        let webhook = Webhook::signed(&signer(scheme.clone(), &["key"]), "evt_1", 5, b"{}");
        assert_eq!(webhook.header("x-signature"), format!("t=5;s={expected}"));
        assert_eq!(webhook.verify(&verifier(scheme.clone(), "key"), 5), Ok(()));
        assert_eq!(webhook.verify(&verifier(scheme.clone(), "kez"), 5), Err(Rejection::Mismatch));
        assert_eq!(webhook.verify(&verifier(scheme, "key"), 500), Err(Rejection::Skew(495, "ago")));
    }
}

#[test]
fn a_scheme_of_ones_own_may_sign_where_it_goes() {
    let scheme = custom(Algorithm::HmacSha256, Encoding::Hex, "{{ method }} {{ url }} {{ body }}", "{{ signature }}");
    let webhook = Webhook::signed(&signer(scheme.clone(), &["key"]), "evt_1", 5, b"{}");
    assert_eq!(webhook.verify(&verifier(scheme.clone(), "key"), 1_000_000), Ok(()), "it says nothing of the time");
    let elsewhere = Webhook { target: "/elsewhere".to_owned(), ..webhook };
    assert_eq!(elsewhere.verify(&verifier(scheme, "key"), 5), Err(Rejection::Mismatch));
}

#[test]
fn a_message_that_can_not_be_rendered_is_a_sentence() {
    let url = Url::parse(URL).expect("a URL");
    let message = |body| Message { id: "evt_1", timestamp: 5, method: "POST", url: &url, content_type: "", body };
    let failing = custom(Algorithm::HmacSha256, Encoding::Hex, "{{ body < 5 }}", "{{ signature }}");
    let sentence = signer(failing, &["key"]).headers(&message(b"{}")).expect_err("text against a number");
    assert!(sentence.starts_with("`message` can't be rendered: "), "{sentence}");
    let plain = custom(Algorithm::HmacSha256, Encoding::Hex, "{{ body }}", "{{ signature }}");
    let sentence = signer(plain, &["key"]).headers(&message(b"\xff")).expect_err("no text");
    assert_eq!(sentence, "`message` can't be rendered: the body is not UTF-8 text");
}
