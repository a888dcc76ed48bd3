//! The sender against real sockets: what receivers answer, and what they should not.

use std::time::Duration;

use super::*;
use crate::core::address::Policy;
use crate::core::delivery::Ladder;
use crate::core::formats::{Form, Wire};
use crate::core::names::{EventId, JobName, Key, Scope, SinkName};
use crate::core::secret::Secret;
use crate::core::sign::{Delivered, Scheme, Signer, Verifier};
use crate::core::sink::Order;
use crate::core::skipped::Skipped;
use crate::core::template::{Part, Text};
use crate::core::transport::Transport;
use crate::net::testing::{Act, Server, answer, header as header_of, self_signed};

/// 2023-11-14T22:13:20Z.
const NOW: Timestamp = Timestamp(1_700_000_000_999);

const BODY: &str = "{\"type\":\"orders.updated\",\"data\":{\"total\":1.10,\"name\":\"Ä\"}}";

fn sink(url: &str) -> Sink {
    Sink {
        name: SinkName::from("crm"),
        url: url::Url::parse(url).expect("a URL"),
        shown_url: url.to_owned(),
        headers: Vec::new(),
        signer: None,
        form: Form::default(),
        thin: false,
        auth: None,
        transport: Transport { policy: Policy::Guarded { private: true, allow: [].into() }, ..Transport::default() },
        handshake: false,
        when: None,
        timeout: Duration::from_secs(20),
        ladder: Ladder::default(),
        concurrency: 8,
        rate: None,
        order: Order::Key,
        batching: None,
        limits: crate::core::backlog::Limits::default(),
    }
}

fn parcel() -> Parcel {
    Parcel {
        event: EventId::from("evt_aaaqeayeaudaocajbifqydiob4"),
        kind: "orders.updated".to_owned(),
        job: JobName::from("orders"),
        scope: Scope::default(),
        key: Key::from("1"),
        sequence: 1,
        seen_at: NOW,
        body: bytes::Bytes::from_static(BODY.as_bytes()),
        wire: Wire::Json,
        replay: false,
        skipped: Skipped { ids: vec![EventId::from("evt_dead1"), EventId::from("evt_dead2")], more: 0 },
        batch: None,
    }
}

fn sender() -> HttpSender {
    HttpSender::new(Arc::new(Credentialer::alone(|| NOW)))
}

async fn send(sink: Sink) -> Answer {
    let timeout = sink.timeout;
    let sent = sender().send(&Arc::new(sink), &parcel(), 3, NOW).await;
    assert!(sent.took < timeout + Duration::from_secs(10), "took {:?}", sent.took);
    sent.answer
}

async fn send_to(act: Act) -> Answer {
    send(sink(&Server::always(act).await.url("/hook"))).await
}

/// An attempt whose time is short enough to wait for.
async fn hurry(act: Act) -> Answer {
    let server = Server::always(act).await;
    send(Sink { timeout: Duration::from_millis(400), ..sink(&server.url("/hook")) }).await
}

fn failure_of(answer: Answer) -> Failure {
    match answer {
        Answer::Unreachable(failure) => failure,
        other => panic!("no failure: {other:?}"),
    }
}

fn ok(body: &str) -> Answer {
    Answer::Status { status: 200, retry_after: None, excerpt: body.to_owned() }
}

#[tokio::test]
async fn an_attempt_carries_the_bytes_and_the_headers() {
    let server = Server::always(Act::Reply(answer("200 OK", "", b"thanks"))).await;
    assert_eq!(send(sink(&server.url("/hook?a=1"))).await, ok("thanks"));
    let sent = &server.requests()[0];
    assert!(sent.starts_with("POST /hook?a=1 HTTP/1.1\r\n") && sent.ends_with(&format!("\r\n\r\n{BODY}")), "{sent}");
    for (name, value) in [
        ("content-type", "application/json"),
        ("user-agent", concat!("doorbell/", env!("CARGO_PKG_VERSION"))),
        ("webhook-id", "evt_aaaqeayeaudaocajbifqydiob4"),
        ("webhook-timestamp", "1700000000"),
        ("doorbell-attempt", "3"),
    ] {
        assert_eq!(header_of(sent, name).as_deref(), Some(value));
    }
    assert_eq!(header_of(sent, "webhook-signature").or(header_of(sent, "accept-encoding")), None);
    assert_eq!(header_of(sent, "doorbell-replay"), None);
}

#[tokio::test]
async fn a_replay_says_so() {
    let server = Server::always(Act::Reply(answer("204 No Content", "", b""))).await;
    let parcel = Parcel { replay: true, ..parcel() };
    sender().send(&Arc::new(sink(&server.url("/"))), &parcel, 1, NOW).await;
    assert_eq!(header_of(&server.requests()[0], "doorbell-replay").as_deref(), Some("true"));
}

#[tokio::test]
async fn every_key_signs() {
    let server = Server::always(Act::Reply(answer("204 No Content", "", b""))).await;
    let secrets = ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "the old one"].map(Secret::new);
    let signer = Some(Signer::new(Scheme::Standard, &secrets).expect("good secrets"));
    send(Sink { signer, ..sink(&server.url("/")) }).await;
    let sent = &server.requests()[0];
    assert_eq!(header_of(sent, "webhook-signature").expect("a signature").split(' ').count(), 2);
    for secret in secrets {
        assert_eq!(verified(sent, Scheme::Standard, secret), Ok(()));
    }
}

/// Verifies a request as it was sent.
fn verified(sent: &str, scheme: Scheme, secret: Secret) -> Result<(), crate::core::sign::Rejection> {
    let head = sent.split("\r\n\r\n").next().unwrap_or_default();
    let mut words = head.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = HeaderMap::new();
    for (name, value) in head.lines().skip(1).filter_map(|line| line.split_once(": ")) {
        headers.append(name.parse::<HeaderName>().expect("a name"), value.parse().expect("a value"));
    }
    let delivered = Delivered { method, target, headers: &headers, body: BODY.as_bytes() };
    Verifier::new(scheme, &[secret]).expect("a key").verify(&delivered, NOW)
}

#[tokio::test]
async fn every_scheme_signs_what_is_really_sent() {
    for word in Scheme::WORDS {
        let scheme = || Scheme::named(word, "crm").expect("a scheme");
        let secret = if word == "standard-ed25519" { PAIR } else { "the secret" };
        let server = Server::always(Act::Reply(answer("204 No Content", "", b""))).await;
        let signer = Some(Signer::new(scheme(), &[Secret::new(secret)]).expect("a good secret"));
        send(Sink { signer, ..sink(&server.url("/hook?a=%20b#part")) }).await;
        let sent = &server.requests()[0];
        assert_eq!(verified(sent, scheme(), Secret::new(secret)), Ok(()), "{word}:\n{sent}");
    }
}

/// An ed25519 key: 32 bytes of 1.
const PAIR: &str = "whsk_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

#[tokio::test]
async fn the_users_headers_go_along_and_none_stands_for_ours() {
    let server = Server::always(Act::Reply(answer("200 OK", "", b""))).await;
    let mut sink = sink(&server.url("/"));
    for name in OWN_HEADERS.into_iter().chain(["x-team"]) {
        let name = HeaderName::from_static(name);
        sink.headers.push((name, Masked::open("sales")));
    }
    send(sink).await;
    let sent = &server.requests()[0];
    assert_eq!(header_of(sent, "x-team").as_deref(), Some("sales"));
    assert_eq!(sent.matches("sales").count(), 1, "{sent}");
    assert_eq!(header_of(sent, "webhook-id").as_deref(), Some("evt_aaaqeayeaudaocajbifqydiob4"));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let elsewhere = Server::always(Act::Reply(answer("200 OK", "", b""))).await;
    let location = format!("location: {}\r\n", elsewhere.url("/"));
    let redirect = send_to(Act::Reply(answer("307 Temporary Redirect", &location, b""))).await;
    assert!(matches!(redirect, Answer::Status { status: 307, .. }));
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_retry_after_of_any_answer_is_kept() {
    let dates = "date: Fri, 31 Dec 1999 23:59:00 GMT\r\nretry-after: Fri, 31 Dec 1999 23:59:59 GMT\r\n";
    for (status, headers, seconds) in [
        ("200 OK", "retry-after: 7\r\n", 7),
        ("503 Busy", dates, 59),
        ("503 Busy", "retry-after: 3\r\nretry-after: 9\r\nretry-after: 1\r\n", 9),
        ("429 Slow", "retry-after: 9999999\r\n", 86_400),
    ] {
        match send_to(Act::Reply(answer(status, headers, b""))).await {
            Answer::Status { retry_after, .. } => assert_eq!(retry_after, Some(Duration::from_secs(seconds))),
            other => panic!("no status: {other:?}"),
        }
    }
}

#[tokio::test]
async fn an_endless_answer_is_let_go_of_and_its_status_counts() {
    let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10737418240\r\n\r\n".to_vec();
    let server = Server::always(Act::Endless(head, vec![b'x'; 64 * 1024])).await;
    let Answer::Status { status: 200, excerpt, .. } = send(sink(&server.url("/"))).await else {
        panic!("no status");
    };
    assert_eq!(excerpt.len(), KEEP_MAX);
    assert!(server.sent() < 16 * 1024 * 1024, "{} bytes were read", server.sent());
}

#[tokio::test]
async fn an_answer_that_is_no_text_is_kept_as_text() {
    assert_eq!(send_to(Act::Reply(answer("200 OK", "", b"\xff\x00ok"))).await, ok("\u{fffd}\0ok"));
}

#[tokio::test]
async fn whoever_hangs_or_drips_has_failed_at_the_timeout() {
    let pause = Duration::from_millis(20);
    let head = b"HTTP/1.1 200 OK\r\n\r\n".to_vec();
    for (act, words) in [
        (Act::Hang(Vec::new()), "did not answer within 400 ms"),
        (Act::Drip(b"HTTP/1.1 200 OK\r\n".to_vec(), b"x: y\r\n".to_vec(), pause), "did not answer"),
        (Act::Hang(head.clone()), "not complete within 400 ms"),
        (Act::Drip(head, b"x".to_vec(), pause), "not complete"),
    ] {
        let failure = failure_of(hurry(act.clone()).await);
        assert_eq!(failure.kind, FailureKind::Timeout, "{act:?}");
        assert!(failure.sentence.contains(words), "{act:?}: {failure}");
    }
}

#[tokio::test]
async fn who_breaks_off_after_its_headers_has_asked_to_be_left_alone_nevertheless() {
    let head = b"HTTP/1.1 503 Busy\r\nretry-after: 7\r\ncontent-length: 9\r\n\r\nx".to_vec();
    for act in [Act::Hang(head.clone()), Act::Last(head.clone()), Act::Reset(head)] {
        let failure = failure_of(hurry(act.clone()).await);
        assert_eq!(failure.retry_after, Some(Duration::from_secs(7)), "{act:?}: {failure}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_has_failed() {
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nx".to_vec();
    for act in [Act::Reset(Vec::new()), Act::Last(Vec::new()), Act::Last(half.clone()), Act::Reset(half)] {
        let failure = failure_of(send_to(act.clone()).await);
        assert_eq!(failure.kind, FailureKind::Connect, "{act:?}");
    }
}

#[tokio::test]
async fn nobody_there_is_said_without_the_secret_of_the_url() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let url = format!("http://{port}/services/T0PSECRET/hook?key=s3cr3t");
    let failure = failure_of(send(Sink { shown_url: port.to_string(), ..sink(&url) }).await);
    assert_eq!(failure.kind, FailureKind::Connect);
    assert!(failure.sentence.starts_with(&format!("`{port}` refused the connection")), "{failure}");
    assert!(!failure.sentence.contains("T0PSECRET") && !failure.sentence.contains("s3cr3t"));
}

#[tokio::test]
async fn an_untrusted_certificate_is_a_tls_failure() {
    let failure = failure_of(send(sink(&format!("https://{}/", self_signed()))).await);
    assert_eq!(failure.kind, FailureKind::Tls, "{failure}");
}

#[tokio::test]
async fn an_echoed_secret_is_not_kept() {
    let server = Server::start(|_, request| Act::Reply(answer("400 Bad Request", "", request.as_bytes()))).await;
    let url = server.url("/services/T0PSECRET/hook?key=s3cr3t");
    let mut sink = Sink { shown_url: server.address.to_string(), ..sink(&url) };
    let token = Masked::new("Bearer t0ken!".to_owned(), "Bearer ***".to_owned());
    sink.headers.push((header::AUTHORIZATION, token));
    let Answer::Status { status: 400, excerpt, .. } = send(sink).await else { panic!("no status") };
    assert!(excerpt.contains("POST /***/***/hook?*** HTTP/1.1") && excerpt.contains("Bearer ***"), "{excerpt}");
    assert!(!excerpt.contains("T0PSECRET") && !excerpt.contains("s3cr3t") && !excerpt.contains("t0ken"), "{excerpt}");
}

#[tokio::test]
async fn an_echoed_user_and_key_of_the_url_are_not_kept() {
    let server = Server::start(|_, request| Act::Reply(answer("400 Bad Request", "", request.as_bytes()))).await;
    let (url, shown_url) = (server.url("/"), server.address.to_string());
    let inside = Sink { shown_url: shown_url.clone(), ..sink(&url.replace("//", "//bob:s3cr3t%21@")) };
    let Answer::Status { status: 400, excerpt, .. } = send(inside).await else { panic!("no status") };
    assert!(excerpt.to_lowercase().contains("authorization: basic ***\r\n"), "{excerpt}");
    let key = Text::compile(&[Part::Plain("q/s3cr3t seven&x+".to_owned())], &[]).expect("a text");
    let keyed = Sink { auth: Some(Auth::ApiKeyQuery { name: "k".to_owned(), value: key }), ..sink(&url) };
    let Answer::Status { status: 400, excerpt, .. } = send(keyed).await else { panic!("no status") };
    assert!(excerpt.starts_with("POST /?k=*** HTTP/1.1"), "{excerpt}");
}

#[tokio::test]
async fn metadata_and_link_local_addresses_are_refused() {
    for url in
        ["http://169.254.169.254/", "http://[fe80::1]/", "https://[::ffff:169.254.169.254]/", "http://2852039166/"]
    {
        match send(sink(url)).await {
            Answer::Forbidden(reason) => assert!(reason.contains("never sent there"), "{reason}"),
            other => panic!("{url} was not refused: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_header_that_can_not_be_sent_is_said() {
    let mut sink = sink("http://127.0.0.1:1/");
    sink.headers.push((HeaderName::from_static("x-team"), Masked::open("a\r\nb: c")));
    let failure = failure_of(send(sink).await);
    assert!(failure.kind == FailureKind::Template && failure.sentence.contains("`x-team`"));
}

#[tokio::test]
async fn as_many_connections_as_a_sink_uses_at_once_are_used_again() {
    let server = Server::always(Act::Reply(answer("204 No Content", "", b""))).await;
    let (sender, sink) = (sender(), Arc::new(Sink { concurrency: 16, ..sink(&server.url("/")) }));
    let parcel = parcel();
    for _ in 0..10 {
        let round = (0..16).map(|_| sender.send(&sink, &parcel, 1, NOW));
        let sent = futures_util::future::join_all(round).await;
        assert!(sent.iter().all(|sent| sent.answer.is_success()), "{sent:?}");
    }
    assert!(server.connections() <= 20, "{} connections for 160 requests", server.connections());
}
