//! Certificates, proxies, ranges and credentials of sinks: what they come to, and what is said of bad ones.

use url::Url;

use super::*;
use crate::core::address::Policy;
use crate::core::sink::Sink;
use crate::core::transport::Tls;

/// A certificate that signs itself, and its key.
struct Pair {
    cert: String,
    key: String,
}

fn pair(name: &str) -> Pair {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("a certificate");
    Pair { cert: made.cert.pem(), key: made.signing_key.serialize_pem() }
}

/// A sink with these lines.
fn sink(lines: &str) -> Machine {
    with(&format!("[sink.crm]\nurl = \"https://crm.example/\"\n{lines}\n"))
}

fn lifted(machine: &Machine) -> std::sync::Arc<Sink> {
    loaded(machine).config.sinks[0].clone()
}

fn says(machine: &Machine, words: &[&str]) {
    let text = printed(machine);
    words.iter().for_each(|word| assert!(text.contains(word), "no `{word}` in:\n{text}"));
}

#[test]
fn certificates_come_from_files_references_or_the_config_itself() {
    let (ca, leaf) = (pair("ours"), pair("doorbell"));
    let lines = "tls = { ca = \"ssl/ca.pem\", cert = \"/etc/cert.pem\", key = \"${env:KEY}\" }";
    let machine = sink(lines).file("ssl/ca.pem", &ca.cert).file("/etc/cert.pem", &leaf.cert).variable("KEY", &leaf.key);
    let sink = lifted(&machine);
    let tls: &Tls = sink.transport.tls.as_deref().expect("certificates");
    let identity = tls.identity.as_ref().expect("a client certificate");
    assert_eq!((tls.roots.len(), identity.chain.len()), (1, 1));
    assert!(!format!("{sink:?}").contains("PRIVATE KEY"));
}

#[test]
fn a_job_replaces_what_it_names_of_its_vendors_certificates_and_the_proxy() {
    let (one, two, leaf) = (pair("one"), pair("two"), pair("doorbell"));
    let machine = with(
        "[vendor.a]\nbase_url = \"https://a.example\"\ntls = { ca = \"1\", cert = \"c\", key = \"k\" }\n\
         proxy = \"http://proxy:1\"\n\
         [job.plain]\nvendor = \"a\"\nurl = \"x\"\nevery = \"1s\"\nsend_to = []\n\
         [job.special]\nvendor = \"a\"\nurl = \"x\"\nevery = \"1s\"\nsend_to = []\ntls = { ca = \"2\" }\nproxy = \"none\"\n",
    );
    let machine = machine.file("1", &one.cert).file("2", &two.cert).file("c", &leaf.cert).file("k", &leaf.key);
    let loaded = loaded(&machine);
    let transport = |index: usize| &loaded.config.jobs[index].request.access.transport;
    let tls = |index: usize| transport(index).tls.as_ref().expect("certificates");
    assert!(tls(0).identity.is_some() && tls(1).identity.is_some());
    assert_ne!(tls(0).roots, tls(1).roots);
    assert!(transport(0).proxy.is_some() && transport(1).proxy.is_none());
    assert_eq!(transport(0).policy, Policy::Open);
}

#[test]
fn certificates_that_can_not_be_used_are_told_with_their_place() {
    let (ca, leaf, other) = (pair("ours"), pair("doorbell"), pair("other"));
    let tls = |text: &str| {
        let machine = sink(&format!("tls = {{ {text} }}")).file("ca.pem", &ca.cert).file("cert.pem", &leaf.cert);
        machine.file("key.pem", &leaf.key).file("other.pem", &other.key).file("text", "hello").file("bin", [0xff, 0])
    };
    let damaged = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    for (text, words) in [
        ("ca = \"gone.pem\"", &["the file `gone.pem` can't be read", "doorbell.toml:3:"][..]),
        ("ca = \"text\"", &["`ca` holds no certificate", "-----BEGIN CERTIFICATE-----"]),
        ("ca = \"bin\"", &["the file `bin` is not PEM"]),
        ("ca = \"\"", &["`ca` is empty"]),
        ("ca = 7", &["`ca` takes text in quotes"]),
        ("cert = \"cert.pem\"", &["has a `cert` and no `key`"]),
        ("key = \"key.pem\"", &["has a `key` and no `cert`"]),
        ("cert = \"gone.pem\"", &["has a `cert` and no `key`", "the file `gone.pem` can't be read"]),
        ("key = \"text\"", &["has a `key` and no `cert`", "`key` holds no private key"]),
        ("cert = \"cert.pem\", key = \"cert.pem\"", &["`key` holds no private key"]),
        ("cert = \"cert.pem\", key = \"other.pem\"", &["`key` is not the key of the certificate in `cert`"]),
        ("cart = \"x\"", &["unknown key `cart` in `tls`", "did you mean `cert`?"]),
        ("", &["`tls` is an empty table"]),
    ] {
        says(&tls(text), words);
    }
    says(&tls("ca = \"x\"").file("x", damaged), &["a certificate in `ca` is damaged"]);
    says(&tls("cert = \"cert.pem\", key = \"x\"").file("x", encrypted), &["`key` is encrypted", "openssl pkey"]);
    let inline = tls(&format!("cert = \"cert.pem\", key = '''{}'''", other.key));
    let secret = other.key.lines().nth(1).expect("a key has lines");
    assert!(!printed(&inline).contains(secret), "a key is never shown");
}

#[test]
fn proxies_are_read_and_their_passwords_never_shown() {
    let proxy = |machine: &Machine, url: &str| {
        let url = Url::parse(url).expect("a URL");
        let sink = lifted(machine);
        let server = sink.transport.proxy.as_ref().and_then(|proxy| proxy.server_for(&url).cloned());
        server.map(|server| server.shown().to_owned())
    };
    let crm = "https://crm.example/";
    let with_password = sink("proxy = \"http://me:${env:PW}@proxy:3128\"").variable("PW", "s3cret");
    assert_eq!(proxy(&with_password, crm).as_deref(), Some("http://proxy:3128"));
    assert!(!format!("{:?}", lifted(&with_password)).contains("s3cret"));
    let env = || sink("proxy = \"env\"");
    assert_eq!(proxy(&env(), crm), None);
    let named = env().variable("HTTPS_PROXY", "proxy:1").variable("no_proxy", "b.example");
    assert_eq!(proxy(&named, crm).as_deref(), Some("http://proxy:1"));
    assert_eq!((proxy(&named, "https://b.example"), proxy(&named, "http://c.example")), (None, None));
    let all = env().variable("ALL_PROXY", "socks5://proxy").variable("http_proxy", "");
    assert_eq!(proxy(&all, "http://c.example").as_deref(), Some("socks5://proxy:1080"));
    says(&env().variable("HTTP_PROXY", "ftp://me:s3cret@x"), &["`HTTP_PROXY` of the environment", "socks5h"]);
    says(&sink("proxy = \"proxy:3128\""), &["must be a whole URL", "write `http://proxy:3128`"]);
    let secret = sink("proxy = \"http://me:${env:PW}@proxy/x\"").variable("PW", "s3cret");
    assert!(!printed(&secret).contains("s3cret"));
}

#[test]
fn ranges_and_credentials_of_a_sink_are_checked() {
    says(&sink("allow_cidr = [\"10.0.0.1/8\", \"x\"]"), &["write `10.0.0.0/8`", "`x` is not a range of addresses"]);
    says(&sink("allow_cidr = \"10.0.0.0/8\""), &["put it in brackets"]);
    says(&sink("auth = { type = \"bearer\", token = \"{{ job }}\" }"), &["job"]);
    let twice = "headers = { X-Key = \"a\" }\nauth = { type = \"api_key\", name = \"x-key\", value = \"b\" }";
    says(&sink(twice), &["two answers to one question"]);
    says(&sink("auth = { type = \"api_key\", name = \"webhook-id\", value = \"b\" }"), &["it is the event's id"]);
    says(&sink("auth = { type = \"oauth2\" }"), &["lacks its `token_url`", "lacks its `client_id`"]);
    let policy = lifted(&sink("private = false\nallow_cidr = [\"10.0.0.0/8\"]")).transport.policy.clone();
    assert!(policy.is_strict() && policy.admit("10.1.1.1".parse().expect("an address")).is_ok());
}

#[test]
fn a_receiver_that_will_be_refused_is_warned_of() {
    let warned = |url: &str, lines: &str| {
        let machine = with(&format!("[sink.crm]\nurl = \"{url}\"\n{lines}\n"));
        loaded(&machine).warnings.iter().any(|warning| warning.to_string().contains("will be dead"))
    };
    for (url, lines, expected) in [
        ("http://127.0.0.1/", "", false),
        ("http://127.0.0.1/", "private = false", true),
        ("http://localhost/", "private = false", true),
        ("http://localhost/", "private = false\nallow_cidr = [\"127.0.0.1\"]", false),
        ("https://crm.example/", "private = false", false),
        ("http://169.254.169.254/", "", true),
        ("http://169.254.169.254/", "allow_cidr = [\"169.254.0.0/16\"]", false),
    ] {
        assert_eq!(warned(url, lines), expected, "{url} {lines}");
    }
}
