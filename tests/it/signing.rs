//! Signatures, verified with other people's code: the libraries that receivers of each scheme use.
//!
//! They come from PyPI and npm by `make test-tools`. Without them these tests fail. What no library knows (`v1a`, a scheme
//! of one's own) is verified by a few lines of Python.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::support::bridge::ORDERS;
use crate::support::http::{self, Request};
use crate::support::program;
use crate::support::server::Server;
use crate::support::signal::Signal;
use crate::support::{Bridge, Reply, Vendor};

const WHSEC: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
/// An ed25519 key, 32 bytes of 1, and its public half.
const WHSK: &str = "whsk_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
const WHPK: &str = "whpk_iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=";
/// The public half of another key: 32 bytes of 2.
const OTHER_WHPK: &str = "whpk_gTl3Dqh9F19Wo1Rmw0x+zMuNipG07jeiXfYPW4/Js5Q=";

/// A webhook as it came, and the URL it came to.
struct Arrived {
    url: String,
    request: Request,
}

/// The first webhook of a real change that the daemon delivers to a sink with these lines.
fn webhook(sink: &str) -> Arrived {
    let arrived = webhook_of(sink, 1);
    assert!(arrived.header("webhook-id").starts_with("evt_"));
    arrived
}

/// The same of a change of so many items at once.
fn webhook_of(sink: &str, items: usize) -> Arrived {
    let vendor = Vendor::in_lockstep();
    let arrived: Arc<Signal<Vec<Request>>> = Arc::new(Signal::new(Vec::new()));
    let keeping = Arc::clone(&arrived);
    let server = Server::start(move |request| {
        keeping.change(|requests| requests.push(request));
        Reply::status(204)
    });
    let url = format!("http://{}/hook?from=doorbell%20%C3%A4", server.addr);
    let bridge = Bridge::with(&format!(
        "[daemon]\nstate = 'doorbell.db'\nlisten = '127.0.0.1:0'\n[job.orders]\nurl = '{}'\nsend_to = ['crm']\n{ORDERS}\n\
         [sink.crm]\nurl = '{url}'\n{sink}\n",
        vendor.url(),
    ));
    let _daemon = bridge.run();
    for (name, total) in [("Zoë", "1.10"), ("Zoë 💶", "1.20")] {
        let item = |id| format!(r#"{{"id":{id},"name":"{name}","total":{total}}}"#);
        vendor.step_json(&format!(r#"{{"orders":[{}]}}"#, (1..=items).map(item).collect::<Vec<_>>().join(",")));
    }
    let request = arrived.wait_for("a webhook", |requests| requests.first().cloned());
    Arrived { url, request }
}

impl Arrived {
    /// The case that a verifying program gets.
    fn case(&self, secret: &str) -> Value {
        let headers: serde_json::Map<String, Value> =
            self.request.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        json!({
            "secret": secret,
            "method": self.request.method,
            "url": self.url,
            "headers": headers,
            "body": std::str::from_utf8(&self.request.body).expect("a body is text"),
        })
    }

    fn forged(&self, secret: &str) -> Value {
        let mut case = self.case(secret);
        case["body"] = json!(case["body"].as_str().unwrap_or_default().replace("1.20", "9.20"));
        assert_ne!(case["body"], self.case(secret)["body"], "the amount is in the body");
        case
    }

    fn header(&self, name: &str) -> &str {
        self.request.header(name).unwrap_or_else(|| panic!("no `{name}`: {:?}", self.request))
    }
}

/// Lets Python verify.
fn python(scheme: &str, cases: &[Value]) -> Vec<Value> {
    let mut command = program::python();
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/verify.py")).arg(scheme);
    verdicts(command, cases)
}

/// Lets Node.js verify.
fn node(cases: &[Value]) -> Vec<Value> {
    verdicts(program::node("verify.mjs"), cases)
}

fn verdicts(mut command: Command, cases: &[Value]) -> Vec<Value> {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts: run `make test-tools`");
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(json!(cases).to_string().as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\nrun `make test-tools`");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("not JSON ({error}): {said}"))
}

/// The receiver's library believes what came, and neither a forged body nor what another secret signed.
fn believed_only_as_it_came(verify: impl Fn(&[Value]) -> Vec<Value>, webhook: &Arrived, secret: &str, other: &str) {
    let cases = [webhook.case(secret), webhook.forged(secret), webhook.case(other)];
    let verdicts = verify(&cases);
    assert!(verdicts[0].is_null(), "{verdicts:?}\n{:#?}", webhook.request);
    assert!(verdicts[1].is_string() && verdicts[2].is_string(), "{verdicts:?}");
}

#[test]
fn standard_is_believed_by_standardwebhooks() {
    let other = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let third = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
    let webhook = webhook(&format!("secret = ['{other}', '{WHSEC}']\nsign = 'standard'"));
    for secret in [WHSEC, other] {
        believed_only_as_it_came(|cases| python("standard", cases), &webhook, secret, third);
    }
}

#[test]
fn standard_ed25519_is_believed_by_whoever_has_the_public_key() {
    let webhook = webhook(&format!("secret = '{WHSK}'\nsign = 'standard-ed25519'"));
    believed_only_as_it_came(|cases| python("standard_ed25519", cases), &webhook, WHPK, OTHER_WHPK);
}

#[test]
fn github_is_believed_by_octokit() {
    let webhook = webhook("secret = \"It's a Secret to Everybody\"\nsign = 'github'");
    believed_only_as_it_came(node, &webhook, "It's a Secret to Everybody", "another");
}

#[test]
fn stripe_is_believed_by_stripes_own_library() {
    // The second is base64 after its prefix, the third is not; Stripe takes both as the text they are.
    let webhook = webhook("secret = ['a secret', 'whsec_c2VjcmV0', 'whsec_test_secret']\nsign = 'stripe'");
    for secret in ["a secret", "whsec_c2VjcmV0", "whsec_test_secret"] {
        believed_only_as_it_came(|cases| python("stripe", cases), &webhook, secret, "another");
    }
}

#[test]
fn slack_is_believed_by_slack_sdk() {
    let webhook = webhook("secret = '8f742231b10e8888abcd99yyyzzz85a5'\nsign = 'slack'");
    let secret = "8f742231b10e8888abcd99yyyzzz85a5";
    believed_only_as_it_came(|cases| python("slack", cases), &webhook, secret, "another");
    assert_eq!(webhook.header("x-slack-request-timestamp"), webhook.header("webhook-timestamp"));
}

#[test]
fn rfc9421_is_believed_by_http_message_signatures() {
    for (secret, verifying, other) in [("a secret", "a secret", "another"), (WHSK, WHPK, OTHER_WHPK)] {
        let webhook = webhook(&format!("secret = '{secret}'\nsign = 'rfc9421'"));
        believed_only_as_it_came(|cases| python("rfc9421", cases), &webhook, verifying, other);
        let mut elsewhere = webhook.case(verifying);
        elsewhere["url"] = json!(webhook.url.replace("doorbell", "elsewhere"));
        assert!(python("rfc9421", &[elsewhere])[0].is_string(), "where it goes is signed too");
    }
}

#[test]
fn batches_are_believed_in_every_scheme() {
    let own = "{ header = 'X-Signature', algorithm = 'hmac-sha512', encoding = 'base64', \
               message = '{{ timestamp }}:{{ url }}:{{ body }}', value = 'v=1; s={{ signature }}' }";
    let third = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX";
    for (sign, scheme, secret, verifying, other) in [
        ("'standard'", "standard", WHSEC, WHSEC, third),
        ("'standard-ed25519'", "standard_ed25519", WHSK, WHPK, OTHER_WHPK),
        ("'github'", "github", "a secret", "a secret", "another"),
        ("'stripe'", "stripe", "a secret", "a secret", "another"),
        ("'slack'", "slack", "a secret", "a secret", "another"),
        ("'rfc9421'", "rfc9421", "a secret", "a secret", "another"),
        ("'rfc9421'", "rfc9421", WHSK, WHPK, OTHER_WHPK),
        (own, "custom", "a secret", "a secret", "another"),
    ] {
        let sink = format!("secret = '{secret}'\nsign = {sign}\nbatch = {{ max = 2, wait = '1h' }}");
        let batch = webhook_of(&sink, 2);
        assert!(batch.header("webhook-id").starts_with("bat_"), "{sign}");
        assert_eq!(batch.request.body.first(), Some(&b'['), "{sign}");
        let verify = |cases: &[Value]| if scheme == "github" { node(cases) } else { python(scheme, cases) };
        believed_only_as_it_came(verify, &batch, verifying, other);
    }
}

#[test]
fn a_scheme_of_ones_own_is_believed_by_who_made_it_up() {
    let webhook = webhook(
        "secret = 'a secret'\nsign = { header = 'X-Signature', algorithm = 'hmac-sha512', encoding = 'base64', \
         message = '{{ timestamp }}:{{ url }}:{{ body }}', value = 'v=1; s={{ signature }}' }",
    );
    believed_only_as_it_came(|cases| python("custom", cases), &webhook, "a secret", "another");
}

/// A running `doorbell listen` and where it listens.
fn listen(bridge: &Bridge, sign: &str, secret: &str) -> (Child, String) {
    let mut command = bridge.executable();
    command.args(["listen", "--port", "0", "--count", "2", "--json", "--sign", sign, "--secret", secret]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the executable starts");
    let mut said = String::new();
    let mut stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
    stderr.read_line(&mut said).expect("it says where it listens");
    let addr = said.split("http://").nth(1).and_then(|rest| rest.split('/').next());
    let addr = addr.unwrap_or_else(|| panic!("no address in: {said}")).to_owned();
    (child, addr)
}

/// `doorbell listen` believes what `doorbell test` sends, and nobody with another secret.
#[test]
fn listen_verifies_every_scheme() {
    let table = "{ header = \"X-Sig\", message = \"{{ id }}.{{ timestamp }}.{{ body }}\" }";
    for (sign, secret, key) in [
        ("standard", WHSEC, WHSEC),
        ("standard-ed25519", WHSK, WHPK),
        ("github", "a secret", "a secret"),
        ("stripe", "a secret", "a secret"),
        ("slack", "a secret", "a secret"),
        ("rfc9421", "a secret", "a secret"),
        ("rfc9421", WHSK, WHPK),
        (table, "a secret", "a secret"),
    ] {
        let bridge = Bridge::with("");
        let (child, addr) = listen(&bridge, sign, key);
        let sign = if sign.starts_with('{') { sign.to_owned() } else { format!("'{sign}'") };
        let other = if secret == WHSK { "whsk_AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=" } else { "whsec_b3RoZXI=" };
        let sink = |name: &str, secret: &str| {
            format!("[sink.{name}]\nurl = 'http://{addr}/hook?a=b'\nsecret = '{secret}'\nsign = {sign}\n")
        };
        bridge.write(&format!("[daemon]\nlisten = 'off'\n{}{}", sink("crm", secret), sink("thief", other)));
        bridge.cli(["test", "crm"]).ok();
        let refused = bridge.cli(["test", "thief"]);
        assert!(refused.code == Some(1) && refused.output().contains("401"), "{sign}: {refused:?}");
        let output = child.wait_with_output().expect("it ends after two");
        let lines = String::from_utf8(output.stdout).expect("it prints UTF-8");
        let verified: Vec<Value> = lines
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON")["verified"].clone())
            .collect();
        assert_eq!(verified, [json!(true), json!(false)], "{sign}: {lines}");
    }
}

#[test]
fn check_shows_the_public_key_and_no_secret() {
    let bridge = Bridge::with(&format!(
        "[job.orders]\nurl = 'https://shop.example/orders'\nevery = '1h'\nsend_to = ['crm']\n\
         [sink.crm]\nurl = 'https://crm.example/'\nsecret = '{WHSK}'\nsign = 'standard-ed25519'\n"
    ));
    for args in [&["check"][..], &["check", "--json"]] {
        let done = bridge.cli(args).ok();
        assert!(done.stdout.contains(WHPK) && !done.output().contains("AQEBAQ"), "{done:?}");
    }
}

/// A webhook that is a day old is played again: refused where its time is signed.
#[test]
fn listen_refuses_what_was_signed_long_ago() {
    let bridge = Bridge::with("");
    let (child, addr) = listen(&bridge, "slack", "8f742231b10e8888abcd99yyyzzz85a5");
    let body = "{}";
    let headers = [
        ("x-slack-request-timestamp", "1531420618"),
        ("x-slack-signature", "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503"),
    ];
    let addr = addr.parse().expect("an address");
    for _ in 0..2 {
        assert_eq!(http::ask(addr, "POST", "/", &headers, body.as_bytes()).expect("it answers").status, 401);
    }
    let output = child.wait_with_output().expect("it ends after two");
    assert!(String::from_utf8_lossy(&output.stdout).contains("ago, which is more than 300 s"), "{output:?}");
}
