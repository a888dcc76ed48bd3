//! The command against real requests.

#![allow(clippy::disallowed_methods, reason = "a test owns its tasks: they end with its runtime")]

use std::net::SocketAddr;
use std::sync::Mutex;

use clap::Parser;
use tokio::sync::oneshot;

use super::*;
use crate::cli::listen::receiver::Trust;
use crate::core::sign::{Message, Scheme, Signer};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[derive(Parser)]
struct Command {
    #[command(flatten)]
    listen: ListenArgs,
}

fn args(words: &[&str]) -> Result<ListenArgs, clap::Error> {
    Command::try_parse_from(["listen"].iter().chain(words)).map(|command| command.listen)
}

/// A running receiver: its address, what it received, and what stops it.
struct Running {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<io::Result<()>>,
}

async fn start(options: Options) -> Running {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let received = Arc::new(Mutex::new(Vec::new()));
    let (stop, stopped) = oneshot::channel::<()>();
    let seen = Arc::clone(&received);
    let on_webhook = move |webhook: &Received| seen.lock().expect("no panic").push(webhook.clone());
    let task = tokio::spawn(serve(listener, options, on_webhook, async {
        let _ = stopped.await;
    }));
    Running { address, received, stop, task }
}

fn options(verifier: Option<Verifier>) -> Options {
    Options { verifier, status: StatusCode::OK, fail_first: 0, wall_clock }
}

fn checking() -> Options {
    options(Some(Verifier::new(Scheme::Standard, &[Secret::new(SECRET)]).expect("a secret")))
}

fn client() -> reqwest::Client {
    let url = url::Url::parse("http://127.0.0.1/").expect("a URL");
    let transport = crate::core::transport::Transport::default();
    let setting = crate::net::client::Setting::new(&transport, &url, std::time::Duration::from_secs(10), false, 1);
    crate::net::client::Clients::default().get(&setting, &url).expect("a client")
}

async fn post(address: SocketAddr, secret: &str, body: &'static str) -> u16 {
    post_signed(address, Scheme::Standard, secret, body).await
}

async fn post_signed(address: SocketAddr, scheme: Scheme, secret: &str, body: &'static str) -> u16 {
    let url = url::Url::parse(&format!("http://{address}/hook?a=b")).expect("a URL");
    let timestamp = wall_clock().unix_seconds();
    let (id, content_type) = ("evt_1", "application/json");
    let message = Message { id, timestamp, method: "POST", url: &url, content_type, body: body.as_bytes() };
    let signer = Signer::new(scheme, &[Secret::new(secret)]).expect("a good secret");
    let mut request = client().post(url.clone()).header("content-type", content_type);
    request = request.header("webhook-id", id).header("webhook-timestamp", timestamp).body(body);
    for (name, value) in signer.headers(&message).expect("headers") {
        request = request.header(name, value);
    }
    request.send().await.expect("an answer").status().as_u16()
}

#[tokio::test]
async fn every_scheme_that_is_named_is_verified() {
    let table =
        r#"{ header = "X-Sig", algorithm = "sha512", message = "{{ method }} {{ url }} {{ timestamp }} {{ body }}" }"#;
    for sign in Scheme::WORDS.into_iter().chain([table]) {
        let (secret, key) = match sign {
            // An ed25519 key, 32 bytes of 1, and its public half.
            "standard-ed25519" => (
                "whsk_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=",
                "whpk_iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w=",
            ),
            _ => ("a secret", "a secret"),
        };
        let args = args(&["--sign", sign, "--secret", key]).expect("good arguments");
        let verifier = verifier_of(&args, |_| None).expect("a good scheme");
        let running = start(options(verifier)).await;
        let scheme = || crate::config::scheme(sign, &SystemLookup).expect("a scheme");
        assert_eq!(post_signed(running.address, scheme(), secret, "{}").await, 200, "{sign}");
        let other =
            if sign == "standard-ed25519" { "whsk_AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=" } else { "other" };
        assert_eq!(post_signed(running.address, scheme(), other, "{}").await, 401, "{sign}");
    }
}

#[test]
fn a_scheme_that_is_none_is_said() {
    for (sign, said) in [
        ("githb", "`--sign`: `sign` can't be `githb`\n  hint: it is one of `standard`"),
        ("{ header = 5 }", "`--sign`: `header` takes text in quotes"),
        (
            "{ header = \"a\", mesage = \"\" }",
            "`--sign`: unknown key `mesage` in `sign`\n  hint: did you mean `message`?",
        ),
        ("{ header", "`--sign`: not TOML"),
        ("a\"b", "`--sign`: `sign` can't be `a\"b`"),
    ] {
        let args = args(&["--sign", sign, "--secret", "x"]).expect("good arguments");
        let sentence = verifier_of(&args, |_| None).expect_err("a bad scheme");
        assert!(sentence.contains(said), "{sentence}");
    }
    let args = args(&["--sign", "github"]).expect("good arguments");
    let sentence = verifier_of(&args, |_| None).expect_err("no secret");
    assert!(sentence.contains("--secret"), "{sentence}");
}

#[tokio::test]
async fn a_webhook_is_verified_and_answered() {
    let running = start(checking()).await;
    assert_eq!(post(running.address, SECRET, "{\"a\":1.10}").await, 200);
    assert_eq!(post(running.address, "another", "{}").await, 401);
    let received = running.received.lock().expect("no panic").clone();
    assert_eq!(received[0].body, "{\"a\":1.10}");
    assert_eq!(received[0].trust, Trust::Verified);
    assert!(matches!(received[1].trust, Trust::Rejected(_)));
}

#[tokio::test]
async fn the_first_can_be_made_to_fail_and_the_rest_to_answer_anything() {
    let options = Options { fail_first: 2, status: StatusCode::ACCEPTED, ..options(None) };
    let running = start(options).await;
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(post(running.address, SECRET, "{}").await);
    }
    assert_eq!(answers, [503, 503, 202]);
}

#[tokio::test]
async fn what_is_no_webhook_is_not_handed_on() {
    let running = start(options(None)).await;
    let answer = client().get(format!("http://{}/", running.address)).send().await.expect("an answer");
    assert_eq!(answer.status(), 405);
    assert!(running.received.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn a_receiver_ends_when_it_is_told_to() {
    let running = start(options(None)).await;
    post(running.address, SECRET, "{}").await;
    running.stop.send(()).expect("it runs");
    assert!(running.task.await.expect("no panic").is_ok());
}

#[tokio::test]
async fn a_port_that_is_taken_is_said_with_what_to_type() {
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = taken.local_addr().expect("an address").port().to_string();
    let args = args(&["--port", &port]).expect("good arguments");
    let sentence = run_until(args, std::future::pending()).await.expect_err("an error");
    assert!(
        sentence.contains(&format!("`{port}` can't be listened on")) && sentence.contains("`--port 0`"),
        "{sentence}"
    );
    for nonsense in ["here", "1.2.3.4.5:6", "99999", ""] {
        assert!(bind(nonsense).await.is_err(), "{nonsense}");
    }
}

#[tokio::test]
async fn the_command_ends_when_it_is_stopped() {
    let args = args(&["--port", "0"]).expect("good arguments");
    assert_eq!(run_until(args, std::future::ready(())).await, Ok(()));
}

#[test]
fn a_secret_that_is_missing_or_wrong_is_said() {
    let env = |name: &str| (name == "CRM").then(|| SECRET.to_owned());
    let verifier = |words: &[&str]| verifier_of(&args(words).expect("good arguments"), env);
    assert!(verifier(&[]).is_ok_and(|verifier| verifier.is_none()));
    assert!(verifier(&["--secret-env", "CRM"]).is_ok_and(|verifier| verifier.is_some()));
    let missing = verifier(&["--secret-env", "CRN"]).expect_err("an error");
    assert!(missing.starts_with("the environment variable `CRN` is not set"));
    let wrong = verifier(&["--secret", "whsec_?hunter2"]).expect_err("an error");
    assert!(wrong.contains("not base64") && !wrong.contains("hunter2"));
}

#[test]
fn arguments_that_can_not_be_meant_are_refused() {
    for words in [["--status", "99"], ["--status", "600"], ["--status", "ok"], ["--count", "0"]] {
        assert!(args(&words).is_err(), "{words:?}");
    }
    assert!(args(&["--once", "--count", "2"]).is_err());
    assert!(args(&["--once", "--json", "--status", "204"]).is_ok());
}

#[test]
fn the_last_webhook_that_was_asked_for_ends_the_command() {
    let received = Received {
        at: crate::core::time::Timestamp(0),

        headers: http::HeaderMap::new(),
        body: bytes::Bytes::new(),
        trust: Trust::Unchecked,
        answered: StatusCode::OK,
    };
    for (words, count) in [(&["--once"][..], 1), (&["--count", "3"], 3)] {
        let ended = CancellationToken::new();
        let print = printer(&args(words).expect("good arguments"), ended.clone());
        for _ in 1..count {
            print(&received);
            assert!(!ended.is_cancelled());
        }
        print(&received);
        assert!(ended.is_cancelled());
    }
}
