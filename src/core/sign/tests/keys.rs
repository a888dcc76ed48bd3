//! Secrets: how they are read, what is said of bad ones, and which scheme takes which.

use super::*;

fn complaint_of(word: &str, texts: &[&str]) -> Complaint {
    Signer::new(scheme(word), &secrets(texts)).expect_err("a bad secret")
}

#[test]
fn a_secret_that_was_pasted_wrong_is_explained_and_not_shown() {
    for (secret, problem) in [
        ("", "the secret is empty"),
        ("whsec_", "the secret is `whsec_` and nothing after it"),
        ("whsec_not base64", "the secret begins with `whsec_`, but what follows is not base64"),
        ("whsec_AAAA\n", "the secret begins with `whsec_`, but what follows is not base64"),
        ("v1,whsec_AAAA", "the secret begins with `v1,`, which belongs to a signature"),
        ("v1a,whsk_AAAA", "the secret begins with `v1a,`, which belongs to a signature"),
        ("hunter2,whsec_AAAA", "the secret begins with `…,`, which belongs to a signature"),
        ("whsk_?", "the secret begins with `whsk_`, but what follows is not base64"),
        ("whsk_AAAA", "the secret begins with `whsk_`, and 3 bytes follow"),
        ("whpk_AAAA", "the secret begins with `whpk_`: that is a public key, which verifies and can't sign"),
        (PAIR, "the secret is an ed25519 key (`whsk_`), and `standard` signs with a shared one"),
    ] {
        let complaint = complaint_of("standard", &[secret]);
        assert_eq!(complaint.problem, problem);
        let hint = complaint.hint.expect("a hint");
        assert!(!hint.contains("AAAA") && !hint.contains("hunter2") && !hint.contains("6Xb"), "{hint}");
    }
}

#[test]
fn an_ed25519_key_is_a_seed_or_a_seed_and_its_public_key() {
    let seed = "whsk_6Xb/dCcHpPea21PS1N9VY/NZW723CEc77N4rJCubMbc=";
    assert_eq!(signer(Scheme::StandardEd25519, &[seed]).public_keys(), [PUBLIC]);
    // The public key's last byte is another.
    let torn = format!("{}A==", &PAIR[..PAIR.len() - 3]);
    let complaint = complaint_of("standard-ed25519", &[&torn]);
    assert_eq!(complaint.problem, "the secret begins with `whsk_`, but its two halves are not of one key");
}

#[test]
fn a_shared_secret_is_no_ed25519_key() {
    let complaint = complaint_of("standard-ed25519", &["whsec_AAAA"]);
    assert_eq!(complaint.problem, "`standard-ed25519` signs with an ed25519 key, and this secret is none");
    for word in ["github", "stripe", "slack"] {
        let complaint = complaint_of(word, &[PAIR]);
        assert!(complaint.problem.contains(&format!("and `{word}` signs with a shared one")), "{complaint:?}");
    }
}

#[test]
fn a_scheme_with_room_for_one_signature_takes_one_secret() {
    for word in Scheme::WORDS {
        let secret = if word == "standard-ed25519" { PAIR } else { "one" };
        let signer = Signer::new(scheme(word), &secrets(&[secret, secret]));
        assert_eq!(signer.is_ok(), !matches!(word, "github" | "slack"), "{word}");
    }
    assert_eq!(
        complaint_of("github", &["one", "two"]).problem,
        "`sign = \"github\"` has room for one signature, and there are 2 secrets"
    );
    assert!(Signer::new(Scheme::Standard, &[]).is_err());
}

#[test]
fn padding_may_be_left_out() {
    let signed = |secret: &str| {
        Webhook::signed(&signer(Scheme::Standard, &[secret]), "evt_1", 5, b"").header("webhook-signature").to_owned()
    };
    assert_eq!(signed("whsec_AAECAw"), signed("whsec_AAECAw=="));
    assert_ne!(signed("whsec_AAECAw"), signed("AAECAw"));
}

#[test]
fn a_key_is_never_printed() {
    let shown = format!("{:?}", signer(Scheme::Standard, &["hunter2"]));
    assert_eq!(shown, "Signer { scheme: Standard, keys: [***] }");
    let shown = format!("{:?} {:?}", verifier(Scheme::Standard, "hunter2"), signer(Scheme::StandardEd25519, &[PAIR]));
    assert!(!shown.contains("104, 117") && !shown.contains("hunter2") && !shown.contains("233, 118"), "{shown}");
}

#[test]
fn a_bad_public_key_is_said() {
    let complaint = Verifier::new(Scheme::StandardEd25519, &secrets(&["whpk_AAAA"])).expect_err("too short");
    assert_eq!(complaint.problem, "the secret begins with `whpk_`, but no public key follows");
}
