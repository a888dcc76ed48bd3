//! The way out: credentials, certificates, proxies, the address guard, the handshake, and what is kept of an attempt.
//!
//! What an answer means, and what is signed, is what other files show.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::bridge::{Done, ORDERS, config};
use crate::support::http::Request;
use crate::support::pki::{Ca, serve};
use crate::support::proxy::Proxy;
use crate::support::server::Server;
use crate::support::{Bridge, Receiver, Reply, Vendor};

const OK: &str = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";

/// A receiver that takes everything unseen, and notes it.
struct Notes {
    server: Server,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Notes {
    fn answering(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let noting = Arc::clone(&seen);
        let server = Server::start(move |request| {
            let reply = answer(&request);
            noting.lock().expect("no panic").push(request);
            reply
        });
        Self { server, seen }
    }

    fn start() -> Self {
        Self::answering(|_| Reply::status(204))
    }

    fn url(&self) -> String {
        format!("http://{}/hook", self.server.addr)
    }

    fn seen(&self) -> Vec<Request> {
        self.seen.lock().expect("no panic").clone()
    }
}

/// A folder with the sink `crm` and nothing that is polled.
fn sink(url: &str, lines: &str) -> Bridge {
    Bridge::with(&format!("[daemon]\nlisten = 'off'\n\n[sink.crm]\nurl = '{url}'\n{lines}\n"))
}

fn send_test(bridge: &Bridge) -> Done {
    bridge.cli(["test", "crm", "--json"])
}

/// Sends a test event and says that it arrived.
#[track_caller]
fn delivered(bridge: &Bridge) -> Value {
    let report = send_test(bridge).ok().json();
    assert_eq!(report["delivered"], true, "{report:#}");
    report["attempt"].clone()
}

/// Sends a test event and says that it did not arrive, for a reason with these words in it.
#[track_caller]
fn refused(bridge: &Bridge, words: &[&str]) -> Value {
    let done = send_test(bridge);
    assert_eq!(done.code, Some(1), "{done:?}");
    let report = done.json();
    let reason = report["attempt"]["reason"].as_str().unwrap_or_default();
    for word in words {
        assert!(reason.contains(word), "no `{word}` in: {reason}");
    }
    report["attempt"].clone()
}

#[test]
fn sinks_take_the_credentials_of_vendors() {
    let receiver = Notes::start();
    for (auth, header, sent) in [
        ("type = 'bearer', token = '${env:PASS}'", "authorization", "Bearer s3cret!s3cret"),
        (
            "type = 'basic', username = 'Aladdin', password = 'open sesame'",
            "authorization",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
        ("type = 'api_key', name = 'X-Key', value = '${env:PASS}'", "x-key", "s3cret!s3cret"),
    ] {
        let bridge = sink(&receiver.url(), &format!("auth = {{ {auth} }}"));
        let mut command = bridge.executable();
        command.args(["test", "crm", "--json"]).env("PASS", "s3cret!s3cret");
        let report = crate::support::bridge::finish(command).ok();
        assert_eq!(
            receiver.seen().last().and_then(|request| request.header(header).map(str::to_owned)).as_deref(),
            Some(sent)
        );
        let shown = report.json()["attempt"]["request_headers"][header].as_str().unwrap_or_default().to_owned();
        assert!(shown.ends_with("***") && !report.output().contains(sent), "{report:?}");
        assert!(!report.output().contains("s3cret!s3cret"), "{report:?}");
    }
    let bridge = sink(&receiver.url(), "auth = { type = 'api_key', name = 'k', value = 'a b/c', in = 'query' }");
    delivered(&bridge);
    assert_eq!(receiver.seen().last().map(|request| request.target.clone()).as_deref(), Some("/hook?k=a%20b%2Fc"));
}

#[test]
fn credentials_that_come_back_are_not_kept() {
    let echo = Notes::answering(|request| Reply::body("text/plain", format!("{:?}", request.headers)));
    let bridge = sink(
        &echo.url(),
        "auth = { type = 'bearer', token = 's3cret!s3cret' }\nheaders = { X-Api-Key = 'lit3ral-key' }",
    );
    let report = send_test(&bridge).ok();
    assert!(report.stdout.contains("webhook-id"), "the answer is kept: {report:?}");
    for secret in ["s3cret!s3cret", "lit3ral-key"] {
        assert!(!report.output().contains(secret), "{report:?}");
    }
}

#[test]
fn a_private_ca_counts_where_it_is_named() {
    let (ca, other) = (Ca::new("ours"), Ca::new("another"));
    let port = serve(&ca.sign(&["localhost"]), None, |_| OK.to_owned()).port();
    let url = format!("https://localhost:{port}/");
    refused(&sink(&url, ""), &["signed by nobody", "tls = { ca = "]);
    let bridge = sink(&url, "tls = { ca = 'ca.pem' }");
    bridge.write_file("ca.pem", &ca.pem);
    let attempt = delivered(&bridge);
    assert!(attempt["timing"]["tls_ms"].as_f64().is_some_and(|took| took > 0.0), "{attempt:#}");
    bridge.write_file("ca.pem", &other.pem);
    refused(&bridge, &["signed by nobody"]);
    refused(
        &sink(&format!("https://127.0.0.1:{port}/"), &format!("tls = {{ ca = '''{}''' }}", ca.pem)),
        &["another name"],
    );
}

#[test]
fn a_certificate_that_has_expired_is_not_taken() {
    let ca = Ca::new("ours");
    let port = serve(&ca.sign_until(&["localhost"], 2024), None, |_| OK.to_owned()).port();
    let bridge = sink(&format!("https://localhost:{port}/"), &format!("tls = {{ ca = '''{}''' }}", ca.pem));
    refused(&bridge, &["has expired"]);
}

#[test]
fn a_client_certificate_opens_the_door() {
    let (ca, strangers) = (Ca::new("ours"), Ca::new("another"));
    let port = serve(&ca.sign(&["localhost"]), Some(&ca), |_| OK.to_owned()).port();
    let url = format!("https://localhost:{port}/");
    let with = |client: &crate::support::pki::Leaf| {
        let bridge = sink(&url, "tls = { ca = 'ca.pem', cert = 'client.pem', key = 'client.key' }");
        bridge.write_file("ca.pem", &ca.pem);
        bridge.write_file("client.pem", &client.cert);
        bridge.write_file("client.key", &client.key);
        bridge
    };
    delivered(&with(&ca.sign(&["doorbell"])));
    refused(&with(&strangers.sign(&["doorbell"])), &["localhost"]);
    refused(&sink(&url, &format!("tls = {{ ca = '''{}''' }}", ca.pem)), &["localhost"]);
}

#[test]
fn certificates_that_can_not_be_used_are_found_at_load() {
    let ca = Ca::new("ours");
    let (one, other) = (ca.sign(&["one"]), ca.sign(&["other"]));
    let bridge = sink("https://localhost/", "tls = { ca = 'missing.pem', cert = 'one.pem', key = 'other.key' }");
    bridge.write_file("one.pem", &one.cert);
    bridge.write_file("other.key", &other.key);
    let done = bridge.cli(["check"]);
    assert_eq!(done.code, Some(2), "{done:?}");
    for words in ["`missing.pem` can't be read", "not the key of the certificate", "doorbell.toml:6:"] {
        assert!(done.output().contains(words), "no `{words}` in: {}", done.output());
    }
}

#[test]
fn a_proxy_carries_webhooks() {
    let receiver = Notes::start();
    let port = receiver.server.addr.port();
    let proxy = Proxy::http(true);
    let url = format!("http://crm.example:{port}/hook");
    delivered(&sink(&url, &format!("proxy = 'http://me:s3cret@{}'", proxy.addr)));
    assert_eq!(proxy.asked(), [format!("POST {url} HTTP/1.1 Basic bWU6czNjcmV0")]);
    assert_eq!(receiver.seen().len(), 1);
    let without = refused(&sink(&url, &format!("proxy = 'http://{}'", proxy.addr)), &["407"]);
    assert_eq!(without["status"], 407);
}

#[test]
fn https_goes_through_a_proxy_by_connect() {
    let ca = Ca::new("ours");
    let port = serve(&ca.sign(&["crm.example"]), None, |_| OK.to_owned()).port();
    let tls = format!("tls = {{ ca = '''{}''' }}", ca.pem);
    let proxy = Proxy::http(true);
    let url = format!("https://crm.example:{port}/");
    delivered(&sink(&url, &format!("proxy = 'http://me:s3cret@{}'\n{tls}", proxy.addr)));
    assert_eq!(proxy.asked(), [format!("CONNECT crm.example:{port} HTTP/1.1 Basic bWU6czNjcmV0")]);
    let words = ["asks for a user and password", &format!("`http://{}`", proxy.addr)];
    refused(&sink(&url, &format!("proxy = 'http://{}'\n{tls}", proxy.addr)), &words);
    let gone = std::net::TcpListener::bind("127.0.0.1:0").and_then(|gone| gone.local_addr()).expect("a port");
    refused(&sink(&url, &format!("proxy = 'http://{gone}'\n{tls}")), &["the proxy", "refused the connection"]);
}

#[test]
fn socks_gets_addresses_or_names() {
    let receiver = Notes::start();
    let port = receiver.server.addr.port();
    let proxy = Proxy::socks();
    delivered(&sink(&format!("http://127.0.0.1:{port}/"), &format!("proxy = 'socks5://{}'", proxy.addr)));
    delivered(&sink(&format!("http://crm.example:{port}/"), &format!("proxy = 'socks5h://{}'", proxy.addr)));
    assert_eq!(proxy.asked(), [format!("127.0.0.1:{port}"), format!("crm.example:{port}")]);
    let ca = Ca::new("ours");
    let secure = serve(&ca.sign(&["crm.example"]), None, |_| OK.to_owned()).port();
    let lines = format!("proxy = 'socks5h://{}'\ntls = {{ ca = '''{}''' }}", proxy.addr, ca.pem);
    delivered(&sink(&format!("https://crm.example:{secure}/"), &lines));
}

#[test]
fn the_environment_names_a_proxy_where_the_config_says_so() {
    let receiver = Notes::start();
    let port = receiver.server.addr.port();
    let proxy = Proxy::http(false);
    let ask = |host: &str, lines: &str, name: &str| {
        let bridge = sink(&format!("http://{host}:{port}/"), lines);
        let mut command = bridge.executable();
        command.args(["test", "crm"]).env(name, format!("http://{}", proxy.addr)).env("NO_PROXY", "127.0.0.1");
        crate::support::bridge::finish(command).ok();
        proxy.asked().len()
    };
    assert_eq!(ask("127.0.0.1", "", "HTTP_PROXY"), 0, "never by itself");
    assert_eq!(ask("crm.example", "proxy = 'env'", "HTTP_PROXY"), 1);
    assert_eq!(ask("127.0.0.1", "proxy = 'env'", "HTTP_PROXY"), 1, "NO_PROXY names it");
    assert_eq!(ask("crm.example", "proxy = 'env'", "all_proxy"), 2);
}

#[test]
fn a_vendor_is_asked_through_its_proxy_and_with_its_ca() {
    let ca = Ca::new("ours");
    let body = r#"{"orders":[{"id":1,"total":2}]}"#;
    let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let port = serve(&ca.sign(&["shop.example"]), None, move |_| answer.clone()).port();
    let proxy = Proxy::http(false);
    let bridge = Bridge::with(&format!(
        "[daemon]\nlisten = 'off'\n[vendor.shop]\nbase_url = 'https://shop.example:{port}/'\n\
         tls = {{ ca = 'ca.pem' }}\nproxy = 'http://{}'\n\
         [job.orders]\nvendor = 'shop'\nurl = 'orders'\nsend_to = []\n{ORDERS}",
        proxy.addr
    ));
    bridge.write_file("ca.pem", &ca.pem);
    let report = bridge.cli(["poll", "orders", "--json"]).ok().json();
    assert_eq!(report["outcome"], "complete", "{report:#}");
    assert_eq!(proxy.asked(), [format!("CONNECT shop.example:{port} HTTP/1.1 -")]);
}

#[test]
fn private_addresses_are_refused_where_the_sink_says_so_in_whatever_spelling() {
    let receiver = Notes::start();
    let port = receiver.server.addr.port();
    for host in
        ["127.0.0.1", "0x7f.1", "2130706433", "0177.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0", "localhost"]
    {
        let bridge = sink(&format!("http://{host}:{port}/"), "private = false");
        let check = bridge.cli(["check"]).ok();
        assert!(check.output().contains("every delivery to this sink will be dead"), "{host}: {check:?}");
        refused(&bridge, &["`private = false` refuses", "allow_cidr"]);
    }
    assert!(receiver.seen().is_empty());
    let allowed = sink(&format!("http://localhost:{port}/"), "private = false\nallow_cidr = ['127.0.0.0/8']");
    delivered(&allowed);
    let check = allowed.cli(["check"]).ok();
    assert!(!check.output().contains("will be dead"), "{check:?}");
}

#[test]
fn metadata_is_refused_unless_a_range_allows_it() {
    let timeout = "timeout = '200ms'";
    for url in
        ["http://169.254.169.254/", "http://2852039166/", "http://[::ffff:169.254.169.254]/", "http://[fe80::1]/"]
    {
        refused(&sink(url, timeout), &["never sent there", "allow_cidr"]);
        let check = sink(url, timeout).cli(["check"]).ok();
        assert!(check.output().contains("will be dead"), "{check:?}");
    }
    let allowed = sink("http://169.254.169.254:1/", &format!("allow_cidr = ['169.254.169.254']\n{timeout}"));
    let attempt = send_test(&allowed).json()["attempt"].clone();
    assert!(!attempt["reason"].as_str().unwrap_or_default().contains("never sent there"), "{attempt:#}");
}

#[test]
fn a_proxy_does_not_open_what_is_refused() {
    let proxy = Proxy::http(false);
    let lines = format!("proxy = 'http://{}'\nprivate = false", proxy.addr);
    for host in ["10.0.0.1", "localhost", "169.254.169.254"] {
        refused(&sink(&format!("http://{host}:1/"), &lines), &["allow_cidr"]);
    }
    assert_eq!(proxy.asked(), Vec::<String>::new());
}

#[test]
fn a_refused_address_kills_a_delivery_at_once() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::with(&config(&vendor, &receiver, ORDERS, "private = false"));
    let daemon = bridge.run();
    vendor.step_json(r#"{"orders":[{"id":1,"total":1}]}"#);
    vendor.step_json(r#"{"orders":[{"id":1,"total":2}]}"#);
    let sink = daemon.sink_until("crm", "a dead delivery", |sink| sink["dead"] == 1);
    assert_eq!((sink["backlog"].as_u64(), receiver.attempts().len()), (Some(0), 0));
    let event = daemon.cli(["events", "--json"]).ok().json();
    let delivery = &crate::support::json::rows(&event)[0]["deliveries"][0];
    assert_eq!(delivery["attempts"], 1);
    assert!(delivery["reason"].as_str().is_some_and(|reason| reason.contains("this machine")), "{delivery:#}");
    let test = daemon.cli(["test", "crm", "--json"]);
    assert!(test.stdout.contains("`private = false` refuses"), "the same way: {test:?}");
    daemon.terminate_with(&vendor);
}

/// A receiver that consents at the nth time of asking, and says no before.
fn consenting(at: usize, origin: &'static str) -> Notes {
    let asked = Mutex::new(0);
    Notes::answering(move |request| {
        if request.method != "OPTIONS" {
            return Reply::status(204);
        }
        let mut asked = asked.lock().expect("no panic");
        *asked += 1;
        match *asked >= at {
            true => Reply::status(200).with("webhook-allowed-origin", origin).with("webhook-allowed-rate", "120"),
            false => Reply::status(200),
        }
    })
}

#[test]
fn the_receiver_is_asked_once_before_the_first_delivery() {
    let receiver = consenting(2, "*");
    let vendor = Vendor::in_lockstep();
    let bridge = Bridge::with(&format!(
        "[daemon]\nlisten = '127.0.0.1:0'\n[job.orders]\nurl = '{}/orders'\nsend_to = ['crm']\n{ORDERS}\n\
         [sink.crm]\nurl = '{}'\nhandshake = true\nretry = ['50ms', '50ms']\n\
         auth = {{ type = 'bearer', token = 't0ken' }}\n",
        vendor.url(),
        receiver.url()
    ));
    let daemon = bridge.run();
    for total in 1..=3 {
        vendor.step_json(&format!(r#"{{"orders":[{{"id":1,"total":{total}}}]}}"#));
    }
    daemon.sink_until("crm", "nothing that waits", |sink| sink["backlog"] == 0 && !sink["last_success"].is_null());
    let methods: Vec<_> = receiver.seen().iter().map(|request| request.method.clone()).collect();
    assert_eq!(methods, ["OPTIONS", "OPTIONS", "POST", "POST"]);
    let seen = receiver.seen();
    assert_eq!(seen[0].header("webhook-request-origin"), Some("doorbell"));
    assert_eq!(seen[0].header("authorization"), Some("Bearer t0ken"));
    assert_eq!(seen[2].header("doorbell-attempt"), Some("2"), "the refusal was an attempt");
    let id = seen[2].header("webhook-id").expect("an id").to_owned();
    let event = daemon.cli(["event", &id, "--json"]).ok().json();
    let reason = event["attempts"][0]["reason"].as_str().unwrap_or_default().to_owned();
    assert!(reason.contains("did not consent to webhooks"), "{reason}");
    daemon.terminate_with(&vendor);
}

/// What a receiver that takes everything saw, and when, of five events after such an answer to OPTIONS.
fn asked_and_sent(consent: fn() -> Reply) -> Vec<(String, Instant)> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let receiver = Notes::answering(move |request| {
        let is_first = {
            let mut log = log.lock().expect("no panic");
            log.push((request.method.clone(), Instant::now()));
            log.len() == 1
        };
        if is_first { consent() } else { Reply::status(204).with("webhook-allowed-origin", "*") }
    });
    let vendor = Vendor::in_lockstep();
    let text = config(&vendor, &Receiver::start(), ORDERS, "handshake = true\nretry = ['50ms']");
    let url = text.split("[sink.crm]\nurl = '").nth(1).and_then(|rest| rest.split('\'').next()).expect("a URL");
    let bridge = Bridge::with(&text.replace(url, &receiver.url()));
    let daemon = bridge.run();
    let orders =
        |total: u32| (1..=5).map(|id| format!("{{\"id\":{id},\"total\":{total}}}")).collect::<Vec<_>>().join(",");
    for total in [1, 2] {
        vendor.step_json(&format!("{{\"orders\":[{}]}}", orders(total)));
    }
    daemon.sink_until("crm", "the end", |sink| sink["backlog"] == 0 && !sink["last_success"].is_null());
    daemon.terminate_with(&vendor);
    let seen = seen.lock().expect("no panic");
    seen.clone()
}

#[test]
fn the_rate_that_the_receiver_allows_is_kept_from_the_first_delivery_on() {
    let seen =
        asked_and_sent(|| Reply::status(200).with("webhook-allowed-origin", "*").with("webhook-allowed-rate", "120"));
    assert_eq!(seen.iter().map(|(method, _)| method.as_str()).collect::<Vec<_>>()[..2], ["OPTIONS", "POST"]);
    assert_eq!(seen.len(), 6);
    // Two a second: four of them after the first.
    assert!(seen[5].1 - seen[1].1 >= Duration::from_millis(1_500), "{seen:?}");
}

#[test]
fn d5_a_retry_after_of_the_handshake_holds_all_deliveries_back() {
    for consent in [
        || Reply::status(200).with("webhook-allowed-origin", "*").with("retry-after", "1"),
        || Reply::status(429).with("retry-after", "1"),
    ] {
        let seen = asked_and_sent(consent);
        assert!(seen[1..].iter().all(|(_, at)| *at - seen[0].1 >= Duration::from_millis(990)), "{seen:?}");
    }
}

#[test]
fn a_consent_for_somebody_else_is_none() {
    let receiver = consenting(1, "eventemitter.example");
    refused(&sink(&receiver.url(), "handshake = true"), &["consents to webhooks from `eventemitter.example`"]);
    let named = "handshake = true\nheaders = { WebHook-Request-Origin = 'eventemitter.example' }";
    delivered(&sink(&receiver.url(), named));
}

#[test]
fn an_attempt_keeps_its_phases_and_its_headers() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let url = receiver.url().replace("127.0.0.1", "localhost");
    let text = config(&vendor, &receiver, ORDERS, "headers = { X-Team = 'sales', Authorization = 's3cret!s3cret' }");
    let bridge = Bridge::with(&text.replace(&receiver.url(), &url));
    let daemon = bridge.run();
    for total in 1..=3 {
        vendor.step_json(&format!(r#"{{"orders":[{{"id":1,"total":{total}}}]}}"#));
    }
    let hooks = receiver.wait_for(2);
    daemon.sink_until("crm", "both settled", |sink| sink["backlog"] == 0);
    let event = |hook: usize| daemon.cli(["event", &hooks[hook].id, "--json"]).ok().json()["attempts"][0].clone();
    let (first, second) = (event(0), event(1));
    for phase in ["dns_ms", "connect_ms", "first_byte_ms", "total_ms"] {
        assert!(first["timing"][phase].as_f64().is_some_and(|took| took >= 0.0), "`{phase}` in {first:#}");
    }
    let parts = ["dns_ms", "connect_ms", "first_byte_ms"].map(|phase| first["timing"][phase].as_f64().unwrap_or(0.0));
    assert!(parts.iter().sum::<f64>() <= first["timing"]["total_ms"].as_f64().unwrap_or(0.0) + 0.01, "{first:#}");
    assert!(first["timing"]["tls_ms"].is_null() && second["timing"]["dns_ms"].is_null(), "{second:#}");
    let headers = &first["request_headers"];
    assert_eq!((&headers["x-team"], &headers["authorization"]), (&Value::from("sales"), &Value::from("***")));
    assert_eq!(headers["webhook-id"], hooks[0].id.as_str());
    let shown = daemon.cli(["event", &hooks[0].id]).ok();
    for words in ["attempt 1 to crm", "first byte", "x-team: sales", "authorization: ***"] {
        assert!(shown.stdout.contains(words), "no `{words}` in: {}", shown.stdout);
    }
    assert!(!shown.output().contains("s3cret!s3cret"));
    daemon.terminate_with(&vendor);
}
