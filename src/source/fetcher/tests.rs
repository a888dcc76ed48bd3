//! The fetcher against real sockets: what vendors send, and what they should not.

#![allow(clippy::disallowed_methods, reason = "a test owns its tasks: they end with its runtime")]

use std::io::Write as _;
use std::sync::Arc;

use super::*;
use crate::core::homes::Homes;
use crate::core::job::Access;
use crate::core::secret::Masked;
use crate::core::transport::Transport;
use crate::net::testing::{Act, Server, answer, header as header_of, self_signed};

fn access() -> Access {
    Access {
        timeout: Duration::from_secs(20),
        connect_timeout: None,
        max_body: 1024 * 1024,
        retries: 0,
        conditional: true,
        transport: Transport::default(),
        homes: Homes::default(),
    }
}

/// Short enough to wait for, long enough for a busy machine to get going.
fn hasty() -> Access {
    Access { timeout: Duration::from_millis(400), ..access() }
}

fn get(url: &str, access: Access) -> Request {
    Request {
        access: Arc::new(Access { homes: Homes::new(&Url::parse(url), Vec::new()), ..access }),
        method: Method::GET,
        url: Masked::open(url),
        headers: Vec::new(),
        live: None,
        body: None,
        etag: None,
        last_modified: None,
        signs: Arc::default(),
        gate: crate::source::open_gate(),
        insists: false,
    }
}

fn clock() -> Timestamp {
    Timestamp(1_700_000_000_000)
}

async fn fetch(request: Request) -> Result<Answer, Failure> {
    let (timeout, retries) = (request.access.timeout, request.access.retries);
    let fetched = HttpFetcher::new(clock, Arc::new(Credentialer::alone(clock))).fetch(request).await;
    let most = (timeout + PAUSE_MAX * 2) * (retries + 1);
    assert!(fetched.took < most, "took {:?}", fetched.took);
    fetched.result
}

fn body_of(answer: &Answer) -> Option<bytes::Bytes> {
    answer.body.as_ref().map(|body| body.bytes().unwrap())
}

async fn fetch_from(server: &Server, access: Access) -> Result<Answer, Failure> {
    fetch(get(&server.url("/orders?page=1"), access)).await
}

async fn failure_of(act: Act, access: Access) -> Failure {
    let server = Server::always(act).await;
    fetch_from(&server, access).await.expect_err("a failure")
}

fn ok(headers: &str, body: &[u8]) -> Act {
    Act::Reply(answer("200 OK", headers, body))
}

/// The beginning of an answer whose body never ends.
fn endless_head(headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\n{headers}\r\n").into_bytes()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).expect("memory");
    encoder.finish().expect("memory")
}

#[tokio::test]
async fn an_answer_comes_whole_with_its_validators_and_digest() {
    let headers = "etag: W/\"1\"\r\nlast-modified: Fri, 31 Dec 1999 23:59:59 GMT\r\ncontent-type: application/json\r\n";
    let server = Server::always(ok(headers, b"[1.10]")).await;
    let answer = fetch_from(&server, access()).await.expect("an answer");
    assert_eq!(answer.status, 200);
    assert_eq!(answer.etag.as_deref(), Some("W/\"1\""));
    assert_eq!(answer.last_modified.as_deref(), Some("Fri, 31 Dec 1999 23:59:59 GMT"));
    assert_eq!(answer.content_type.as_deref(), Some("application/json"));
    assert_eq!(answer.digest, Digest::of(b"[1.10]"));
    assert_eq!(body_of(&answer).as_deref(), Some(&b"[1.10]"[..]));
    let sent = &server.requests()[0];
    assert!(sent.starts_with("GET /orders?page=1 HTTP/1.1\r\n"), "{sent}");
    assert_eq!(header_of(sent, "accept").as_deref(), Some("application/json, */*;q=0.5"));
    assert_eq!(header_of(sent, "user-agent").as_deref(), Some(concat!("doorbell/", env!("CARGO_PKG_VERSION"))));
    let encodings = header_of(sent, "accept-encoding").expect("encodings");
    assert!(["gzip", "br", "zstd", "deflate"].iter().all(|name| encodings.contains(name)), "{encodings}");
    assert_eq!(header_of(sent, "referer").or(header_of(sent, "if-none-match")), None);
}

#[tokio::test]
async fn an_empty_answer_is_an_answer() {
    let server = Server::always(Act::Reply(b"HTTP/1.1 204 No Content\r\n\r\n".to_vec())).await;
    let answer = fetch_from(&server, access()).await.expect("an answer");
    assert_eq!((answer.status, body_of(&answer).as_deref()), (204, Some(&b""[..])));
    assert_eq!(answer.digest, Digest::of(b""));
}

#[tokio::test]
async fn a_compressed_answer_is_digested_as_it_was_before() {
    let server = Server::always(ok("content-encoding: gzip\r\n", &gzip(b"{\"a\":1}"))).await;
    let answer = fetch_from(&server, access()).await.expect("an answer");
    assert_eq!(body_of(&answer).as_deref(), Some(&b"{\"a\":1}"[..]));
    assert_eq!(answer.digest, Digest::of(b"{\"a\":1}"));
}

#[tokio::test]
async fn connections_are_used_again() {
    let server = Server::always(ok("", b"{}")).await;
    let fetcher = HttpFetcher::new(clock, Arc::new(Credentialer::alone(clock)));
    for _ in 0..5 {
        assert!(fetcher.fetch(get(&server.url("/"), access())).await.result.is_ok());
    }
    assert_eq!((server.connections(), server.requests().len()), (1, 5));
}

#[tokio::test]
async fn validators_are_sent_and_a_304_has_no_body() {
    let server = Server::always(Act::Reply(b"HTTP/1.1 304 Not Modified\r\netag: \"2\"\r\n\r\n".to_vec())).await;
    let since = "Fri, 31 Dec 1999 23:59:59 GMT";
    let request = get(&server.url("/"), access()).recalling(Some("\"1\"".to_owned()), Some(since.to_owned()));
    let answer = fetch(request).await.expect("an answer");
    assert_eq!((answer.status, body_of(&answer)), (304, None));
    assert_eq!((answer.etag.as_deref(), answer.last_modified.as_deref()), (Some("\"2\""), Some(since)));
    let sent = &server.requests()[0];
    assert_eq!(header_of(sent, "if-none-match").as_deref(), Some("\"1\""));
    assert_eq!(header_of(sent, "if-modified-since").as_deref(), Some(since));
}

#[tokio::test]
async fn an_unconditional_request_sends_no_validators_and_takes_no_304() {
    let server = Server::always(Act::Reply(b"HTTP/1.1 304 Not Modified\r\n\r\n".to_vec())).await;
    let plain = Access { conditional: false, ..access() };
    let request = get(&server.url("/"), plain).recalling(Some("\"1\"".to_owned()), None);
    let failure = fetch(request).await.expect_err("a failure");
    assert_eq!((failure.kind, failure.status), (FailureKind::Status, Some(304)));
    assert_eq!(header_of(&server.requests()[0], "if-none-match"), None);
}

#[tokio::test]
async fn a_part_of_an_answer_is_no_answer() {
    let failure = failure_of(Act::Reply(answer("206 Partial Content", "", b"[1")), access()).await;
    assert_eq!((failure.kind, failure.status), (FailureKind::Status, Some(206)));
}

#[tokio::test]
async fn a_redirect_inside_the_origin_is_followed() {
    let server = Server::start(|number, _| match number {
        0 => Act::Reply(answer("301 Moved Permanently", "location: /v2/orders?x=1\r\n", b"moved")),
        1 => Act::Reply(answer("307 Temporary Redirect", "location: ./all\r\n", b"")),
        _ => ok("", b"[]"),
    })
    .await;
    let mut request = get(&server.url("/orders"), access());
    request.headers.push((header::AUTHORIZATION, Masked::new("Bearer t0ken".to_owned(), "Bearer ***".to_owned())));
    assert!(fetch(request).await.is_ok());
    let paths: Vec<String> =
        server.requests().iter().filter_map(|sent| sent.lines().next().map(str::to_owned)).collect();
    assert_eq!(paths, ["GET /orders HTTP/1.1", "GET /v2/orders?x=1 HTTP/1.1", "GET /v2/all HTTP/1.1"]);
    assert!(server.requests().iter().all(|sent| header_of(sent, "authorization").as_deref() == Some("Bearer t0ken")));
}

#[tokio::test]
async fn a_redirect_to_another_origin_is_not_followed_and_says_where_it_led() {
    let elsewhere = Server::always(ok("", b"[]")).await;
    for (path, shown) in [("/x?token=s3cr3t!", "/x"), ("/s3cr3t!/x", "/***/x")] {
        let location = format!("location: {}\r\n", elsewhere.url(path));
        let server = Server::always(Act::Reply(answer("302 Found", &location, b""))).await;
        let mut request = get(&server.url("/"), access());
        request.url = Masked::new(server.url("/?key=s3cr3t!"), server.url("/?key=***"));
        let failure = fetch(request).await.expect_err("a failure");
        assert_eq!((failure.kind, failure.status), (FailureKind::Redirect, Some(302)));
        assert!(failure.sentence.contains(&format!("`{}`", elsewhere.url(shown))), "{failure}");
        assert!(!failure.sentence.contains("s3cr3t"), "{failure}");
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a_redirect_to_https_says_what_to_write() {
    let failure = failure_of(Act::Reply(answer("301 Moved", "location: https://127.0.0.1/\r\n", b"")), access()).await;
    assert!(failure.sentence.contains("write `https://`"), "{failure}");
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let server = Server::always(Act::Reply(answer("302 Found", "location: /\r\n", b""))).await;
    let failure = fetch_from(&server, access()).await.expect_err("a failure");
    assert_eq!(failure.kind, FailureKind::Redirect);
    assert_eq!(server.requests().len(), REDIRECTS_MAX + 1);
}

#[tokio::test]
async fn a_redirect_that_leads_nowhere_is_a_failure() {
    for headers in ["", "location: http://[\r\n"] {
        let failure = failure_of(Act::Reply(answer("302 Found", headers, b"")), access()).await;
        assert_eq!(failure.status, Some(302), "{failure}");
    }
}

#[tokio::test]
async fn a_post_is_sent_with_its_body_and_turned_by_a_303() {
    let server = Server::start(|number, _| match number {
        0 => Act::Reply(answer("308 Permanent Redirect", "location: /b\r\n", b"")),
        1 => Act::Reply(answer("303 See Other", "location: /c\r\n", b"")),
        _ => ok("", b"[]"),
    })
    .await;
    let mut request = get(&server.url("/a"), access());
    request.method = Method::POST;
    request.body = Some(Masked::open("{\"q\":1}"));
    assert!(fetch(request).await.is_ok());
    let sent = server.requests();
    assert!(sent[0].starts_with("POST /a ") && sent[0].ends_with("\r\n\r\n{\"q\":1}"));
    assert!(sent[1].starts_with("POST /b ") && sent[1].ends_with("\r\n\r\n{\"q\":1}"));
    assert!(sent[2].starts_with("GET /c ") && sent[2].ends_with("\r\n\r\n"));
}

#[tokio::test]
async fn what_fails_for_a_moment_is_asked_again_within_the_poll() {
    let server = Server::start(|number, _| match number {
        0 => Act::Reset(Vec::new()),
        1 => Act::Reply(answer("500 Oops", "", b"")),
        _ => ok("", b"[]"),
    })
    .await;
    assert!(fetch_from(&server, Access { retries: 2, ..access() }).await.is_ok());
    assert_eq!(server.requests().len(), 3);
}

#[tokio::test]
async fn retries_end() {
    let server = Server::always(Act::Reply(answer("502 Bad Gateway", "", b"<h1>no  upstream</h1>"))).await;
    let failure = fetch_from(&server, Access { retries: 1, ..access() }).await.expect_err("a failure");
    assert_eq!((failure.status, server.requests().len()), (Some(502), 2));
    assert!(failure.sentence.ends_with("it said: <h1>no upstream</h1>"), "{failure}");
}

#[tokio::test]
async fn what_asking_again_can_not_heal_is_not_asked_again() {
    for reply in [
        answer("404 Not Found", "", b""),
        answer("401 Unauthorized", "", b""),
        answer("302 Found", "location: http://other.invalid/\r\n", b""),
        answer("429 Too Many Requests", "retry-after: 6\r\n", b""),
        endless_head("content-length: 999999999\r\n"),
    ] {
        let server = Server::always(Act::Last(reply)).await;
        assert!(fetch_from(&server, Access { retries: 5, ..access() }).await.is_err());
        assert_eq!(server.requests().len(), 1, "{}", server.requests()[0]);
    }
}

#[tokio::test]
async fn a_post_that_may_have_been_done_is_not_sent_again() {
    for (act, expected) in [
        (Act::Reply(answer("500 Oops", "", b"")), 1),
        (Act::Reset(Vec::new()), 1),
        (Act::Reply(answer("503 Busy", "", b"")), 2),
        (Act::Reply(answer("429 Slow", "", b"")), 2),
    ] {
        let server = Server::always(act.clone()).await;
        let mut request = get(&server.url("/"), Access { retries: 1, ..access() });
        request.method = Method::POST;
        assert!(fetch(request).await.is_err());
        assert_eq!(server.requests().len(), expected, "{act:?}");
    }
}

#[test]
fn a_pause_is_never_shorter_than_the_vendor_asks() {
    let stumble = |again, seconds| Stumble {
        again,
        failure: Failure { retry_after: seconds, ..Failure::new(FailureKind::Status, "no") },
    };
    for tries in 0..40 {
        for asked in [None, Some(Duration::from_secs(1)), Some(PAUSE_MAX)] {
            let pause = pause_before_retry(tries, 99, &stumble(true, asked)).expect("a pause");
            assert!(pause >= asked.unwrap_or_default() && pause >= PAUSE && pause <= PAUSE_MAX * 3 / 2);
        }
    }
    assert_eq!(pause_before_retry(0, 9, &stumble(true, Some(PAUSE_MAX + Duration::from_millis(1)))), None);
    assert_eq!(pause_before_retry(2, 2, &stumble(true, None)), None);
    assert_eq!(pause_before_retry(0, 2, &stumble(false, None)), None);
}

#[tokio::test]
async fn a_retry_after_is_handed_on() {
    let reply = answer("429 Too Many Requests", "retry-after: 99999999\r\n", b"");
    let failure = failure_of(Act::Reply(reply), access()).await;
    assert_eq!(failure.retry_after, Some(Duration::from_secs(24 * 60 * 60)));
}

#[tokio::test]
async fn an_echoed_secret_does_not_get_into_the_sentence() {
    let server = Server::start(|_, request| Act::Reply(answer("401 Unauthorized", "", request.as_bytes()))).await;
    let mut request = get(&server.url("/"), access());
    request.url = Masked::new(server.url("/?key=s3cr3t%2Fone"), server.url("/?key=***"));
    let basic = ("Basic bWU6aHVudGVyMg==".to_owned(), "Basic ***".to_owned());
    request.headers.push((header::AUTHORIZATION, Masked::new(basic.0, basic.1)));
    let failure = fetch(request).await.expect_err("a failure");
    assert!(failure.sentence.contains("it said: GET /?key=*** HTTP/1.1"), "{failure}");
    for secret in ["s3cr3t", "bWU6", "hunter2"] {
        assert!(!failure.sentence.contains(secret), "{failure}");
    }
}

#[tokio::test]
async fn nobody_there_is_a_connect_failure() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let failure = fetch(get(&format!("http://{port}/?token=s3cr3t"), access())).await.expect_err("a failure");
    assert_eq!(failure.kind, FailureKind::Connect);
    assert!(failure.sentence.starts_with(&format!("`{port}` refused the connection")), "{failure}");
}

#[tokio::test]
async fn a_name_that_does_not_exist_is_a_dns_failure() {
    // RFC 6761, section 6.4: `invalid` never resolves.
    let failure = fetch(get("http://shop.invalid/x?token=s3cr3t", access())).await.expect_err("a failure");
    assert_eq!(failure.kind, FailureKind::Dns, "{failure}");
    assert!(failure.sentence.contains("`shop.invalid` does not resolve") && !failure.sentence.contains("s3cr3t"));
}

#[tokio::test]
async fn a_connection_that_breaks_is_a_connect_failure() {
    let half = || b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n[1,".to_vec();
    for act in [
        Act::Reset(Vec::new()),
        Act::Last(Vec::new()),
        Act::Last(b"HTTP/1.1 200 O".to_vec()),
        Act::Last(half()),
        Act::Reset(half()),
        Act::Last(b"SSH-2.0-OpenSSH_9.7\r\n".to_vec()),
        Act::Last(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nZZ\r\n".to_vec()),
    ] {
        let failure = failure_of(act.clone(), access()).await;
        assert_eq!(failure.kind, FailureKind::Connect, "{act:?}: {failure}");
        assert!(!failure.sentence.contains("page=1"), "{failure}");
    }
}

#[tokio::test]
async fn whoever_hangs_or_drips_is_left_at_the_timeout() {
    let pause = Duration::from_millis(20);
    for (act, words) in [
        (Act::Hang(Vec::new()), "did not answer within 400 ms"),
        (Act::Hang(b"HTTP/1.1 200".to_vec()), "did not answer within 400 ms"),
        (Act::Drip(b"HTTP/1.1 200 OK\r\n".to_vec(), b"x: y\r\n".to_vec(), pause), "did not answer"),
        (Act::Hang(endless_head("content-length: 5\r\n")), "was not complete within 400 ms"),
        (Act::Drip(endless_head(""), b"1".to_vec(), pause), "was not complete"),
    ] {
        let failure = failure_of(act.clone(), hasty()).await;
        assert_eq!(failure.kind, FailureKind::Timeout, "{act:?}: {failure}");
        assert!(failure.sentence.contains(words), "{act:?}: {failure}");
    }
}

#[tokio::test]
async fn an_answer_above_the_limit_is_let_go_of() {
    let piece = vec![b' '; 64 * 1024];
    for head in [
        endless_head(""),
        endless_head("content-length: 1073741824\r\n"),
        endless_head("content-length: 10737418240\r\n"),
    ] {
        let server = Server::always(Act::Endless(head, piece.clone())).await;
        let failure = fetch_from(&server, access()).await.expect_err("a failure");
        assert_eq!((failure.kind, failure.status), (FailureKind::TooLarge, Some(200)));
        assert!(failure.sentence.contains("`max_body` (1 MiB)"), "{failure}");
        assert!(server.sent() < 32 * 1024 * 1024, "{} bytes were read", server.sent());
    }
}

#[tokio::test]
async fn an_answer_at_the_limit_is_taken() {
    let server = Server::always(ok("", &vec![b' '; 1024 * 1024])).await;
    assert!(fetch_from(&server, access()).await.is_ok());
}

#[tokio::test]
async fn a_compressed_bomb_stops_at_the_limit() {
    let bomb = gzip(&vec![0; 64 * 1024 * 1024]);
    assert!(bomb.len() < 1024 * 1024);
    let failure = failure_of(ok("content-encoding: gzip\r\n", &bomb), access()).await;
    assert_eq!(failure.kind, FailureKind::TooLarge);
}

#[tokio::test]
async fn broken_compression_is_told_from_a_broken_connection() {
    let mut bytes = gzip(&[7; 1000]);
    bytes[12] ^= 0xff;
    for body in [b"not gzip at all".as_slice(), &bytes] {
        let failure = failure_of(ok("content-encoding: gzip\r\n", body), access()).await;
        assert_eq!(failure.kind, FailureKind::NotJson, "{failure}");
        assert!(failure.sentence.contains("can't be decompressed"), "{failure}");
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_signed_is_a_tls_failure() {
    let failure = fetch(get(&format!("https://{}/", self_signed()), access())).await.expect_err("a failure");
    assert_eq!(failure.kind, FailureKind::Tls, "{failure}");
    assert!(failure.sentence.contains("certificate"), "{failure}");
}

#[tokio::test]
async fn a_port_without_tls_says_so() {
    let server = Server::always(Act::Hang(Vec::new())).await;
    // What a plain server answers to a handshake.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        let (mut stream, _) = listener.accept().await.expect("a client");
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut [0; 4096]).await;
    });
    let failure = fetch(get(&format!("https://{address}/"), access())).await.expect_err("a failure");
    assert_eq!(failure.kind, FailureKind::Tls);
    assert!(failure.sentence.contains("does not speak TLS"), "{failure}");
    // One that takes the handshake and says nothing is no connection in time.
    let slow = Access { connect_timeout: Some(Duration::from_millis(200)), ..access() };
    let failure = fetch(get(&format!("https://{}/", server.address), slow)).await.expect_err("a failure");
    assert_eq!(failure.kind, FailureKind::Timeout);
    assert!(failure.sentence.contains("no connection to") && failure.sentence.contains("200 ms"), "{failure}");
}

#[tokio::test]
async fn what_can_not_be_sent_is_said_before_anything_is_sent() {
    let mut request = get("http://127.0.0.1:1/", access());
    request.headers.push((header::AUTHORIZATION, Masked::new("Bearer s3cr3t\n".to_owned(), "Bearer ***".to_owned())));
    let failure = fetch(request).await.expect_err("a failure");
    assert_eq!(failure.kind, FailureKind::Template);
    assert!(failure.sentence.contains("`authorization`") && !failure.sentence.contains("s3cr3t"), "{failure}");
    for url in ["ftp://a.example/", "orders", "http://", ""] {
        let failure = fetch(get(url, access())).await.expect_err("a failure");
        assert_eq!(failure.kind, FailureKind::Template, "{url}");
    }
}
