//! A real API that nobody here wrote, and the official verifier: Kinto polled, its changes received by a Python
//! program that checks each signature with the `standardwebhooks` package.
//!
//! Both come from PyPI by `make test-tools`. Without them this test fails: it is the one that proves the most.

use serde_json::{Value, json};

use crate::support::json::raw;
use crate::support::program::Program;
use crate::support::signature::{self, SECRET};
use crate::support::{Bridge, Receiver, http, pages};

/// `shop:open-sesame`, as RFC 7617 has it.
const BASIC: &str = "Basic c2hvcDpvcGVuLXNlc2FtZQ==";
const RECORDS: &str = "/v1/buckets/shop/collections/orders/records";

/// Kinto, with an account and an empty collection.
struct Kinto(Program);

impl Kinto {
    fn start() -> Self {
        let kinto = Self(Program::python("kinto_server.py", &[]));
        kinto.ask("PUT", "/v1/accounts/shop", r#"{"data":{"password":"open-sesame"}}"#);
        kinto.ask("PUT", "/v1/buckets/shop", "{}");
        kinto.ask("PUT", "/v1/buckets/shop/collections/orders", "{}");
        kinto
    }

    fn ask(&self, method: &str, path: &str, body: &str) {
        let mut headers = vec![("content-type", "application/json")];
        if !path.starts_with("/v1/accounts") {
            headers.push(("authorization", BASIC));
        }
        let answer = http::ask(self.0.addr, method, path, &headers, body.as_bytes()).expect("Kinto answers");
        assert!((200..300).contains(&answer.status), "{method} {path}: {}", answer.text());
    }

    fn put(&self, id: &str, data: &str) {
        self.ask("PUT", &format!("{RECORDS}/{id}"), &format!(r#"{{"data":{data}}}"#));
    }

    /// How often the list was answered with this status.
    fn listed(&self, status: u16) -> usize {
        self.0.count(&format!("GET {RECORDS} {status}"))
    }

    /// Waits until the list has been answered with this status so many times more.
    fn wait_for_more(&self, status: u16, more: usize) {
        self.0.wait_for_more(&format!("GET {RECORDS} {status}"), more);
    }
}

/// The webhooks that the official package has verified; one that it has not fails the test.
fn verified(receiver: &Program, count: usize) -> Vec<(String, Value)> {
    receiver.wait_until("verified webhooks", |lines| lines.len() >= count);
    let told = receiver.told();
    assert_eq!(told.len(), count, "{told:#?}");
    let hooks = told.iter().map(|line| {
        let hook: Value = serde_json::from_str(line).expect("the receiver prints JSON");
        assert_eq!(hook["verified"], true, "{hook}");
        let body = hook["body"].as_str().expect("a body is text").to_owned();
        let event = serde_json::from_str(&body).expect("a body is JSON");
        (body, event)
    });
    hooks.collect()
}

#[test]
fn the_official_package_and_the_verifier_of_these_tests_agree() {
    let receiver = Program::python("receiver.py", &[SECRET]);
    let now = signature::unix_now();
    let post = |timestamp: u64, signed: &[u8], sent: &[u8]| {
        let timestamp = timestamp.to_string();
        let signature = signature::v1(SECRET, "evt_1", &timestamp, signed).expect("a secret of these tests");
        let headers =
            [("webhook-id", "evt_1"), ("webhook-timestamp", &timestamp), ("webhook-signature", signature.as_str())];
        http::ask(receiver.addr, "POST", "/", &headers, sent).expect("the receiver answers").status
    };
    let body = r#"{"total":1.10,"name":"Zoë"}"#.as_bytes();
    assert_eq!(post(now, body, body), 204);
    assert_eq!(post(now, body, br#"{"total":1.1,"name":"Zo"}"#), 401);
    assert_eq!(post(now - 3600, body, body), 401);
}

#[test]
fn a_real_api_rings_the_bell_and_the_official_package_believes_it() {
    let kinto = Kinto::start();
    let receiver = Program::python("receiver.py", &[SECRET]);
    let bridge = Bridge::with(&format!(
        "[daemon]\nstate = 'doorbell.db'\nlisten = '127.0.0.1:0'\n\
         [vendor.kinto]\nbase_url = 'http://{}/v1/'\n\
         auth = {{ type = 'basic', username = 'shop', password = 'open-sesame' }}\n\
         [job.orders]\nvendor = 'kinto'\nurl = 'buckets/shop/collections/orders/records'\nevery = '100ms'\n\
         items = '$.data[*]'\nkey = '$.id'\nignore = ['$.last_modified']\nsend_to = ['crm']\n\
         [sink.crm]\nurl = 'http://{}/'\nsecret = '{SECRET}'\n",
        kinto.0.addr, receiver.addr,
    ));
    kinto.put("first", r#"{"status":"paid","number":9007199254740993}"#);
    let daemon = bridge.run();

    // Silence: the baseline, and then nothing but 304.
    kinto.wait_for_more(304, 3);
    assert_eq!((kinto.listed(200), receiver.told().len()), (1, 0));

    kinto.put("second", r#"{"status":"new"}"#);
    verified(&receiver, 1);
    kinto.wait_for_more(304, 2);
    kinto.put("first", r#"{"status":"sent","number":9007199254740993}"#);
    verified(&receiver, 2);
    kinto.wait_for_more(304, 2);
    kinto.ask("DELETE", &format!("{RECORDS}/second"), "");
    verified(&receiver, 3);
    kinto.put("second", r#"{"status":"back"}"#);
    let hooks = verified(&receiver, 4);

    let story: Vec<_> = hooks.iter().map(|(_, event)| (&event["type"], &event["data"]["key"])).collect();
    let story = serde_json::to_value(story).expect("text is JSON");
    assert_eq!(
        story,
        json!([
            ["orders.created", "second"],
            ["orders.updated", "first"],
            ["orders.deleted", "second"],
            ["orders.restored", "second"]
        ])
    );
    let (body, updated) = &hooks[1];
    assert_eq!(updated["data"]["changed"], json!(["/status"]));
    assert_eq!(raw(body.as_bytes(), &["data", "after", "number"]), "9007199254740993");

    // Kinto was read once for each change and for the baseline; every other poll was a 304.
    kinto.wait_for_more(304, 2);
    assert_eq!(kinto.listed(200), 5);
    let metrics = daemon.get("/metrics").text();
    let unchanged = metrics.lines().find(|line| line.starts_with("doorbell_polls_total") && line.contains("unchanged"));
    assert!(unchanged.is_some(), "{metrics}");
    daemon.terminate();
}

#[test]
fn s2_kintos_pages_are_followed_by_its_header_and_its_tombstones_by_its_cursor() {
    let kinto = Kinto::start();
    let receiver = Receiver::start();
    let bridge = Bridge::with(&format!(
        "[daemon]\nstate = 'doorbell.db'\nlisten = '127.0.0.1:0'\n\
         [vendor.kinto]\nbase_url = 'http://{}/v1/'\n\
         auth = {{ type = 'basic', username = 'shop', password = 'open-sesame' }}\n\
         [job.orders]\nvendor = 'kinto'\nurl = 'buckets/shop/collections/orders/records'\nevery = '366d'\n\
         query = {{ _limit = 2, _sort = 'last_modified', _since = '{{{{ cursor }}}}' }}\n\
         items = '$.data[*]'\nkey = '$.id'\nlist = 'window'\nignore = ['$.last_modified']\nsend_to = ['crm']\n\
         pages = {{ style = 'next_url', at = 'header:Next-Page' }}\n\
         cursor = {{ at = '$.last_modified', overlap = 1 }}\n\
         [sink.crm]\nurl = '{}'\nsecret = '{SECRET}'\n",
        kinto.0.addr,
        receiver.url(),
    ));
    for id in ["a", "b", "c", "d", "e"] {
        kinto.put(id, r#"{"status":"new"}"#);
    }
    let report = pages::poll(&bridge);
    assert_eq!((pages::outcome(&report), report["items"].as_u64()), ("complete", Some(5)), "{report:#}");
    assert_eq!(report["requests"].as_array().map(Vec::len), Some(3), "{report:#}");

    kinto.put("b", r#"{"status":"paid"}"#);
    kinto.ask("DELETE", &format!("{RECORDS}/d"), "");
    kinto.put("f", r#"{"status":"new"}"#);
    let report = pages::poll(&bridge);
    assert_eq!(pages::changes(&report), ["created f", "updated b", "updated d"], "{report:#}");
    let events = report["events"].as_array().cloned().unwrap_or_default();
    let tombstone = events.iter().find(|event| event["key"] == "d").expect("the tombstone");
    assert_eq!(tombstone["body"]["data"]["after"]["deleted"], true);
    assert!(report["items"].as_u64().is_some_and(|items| items <= 4), "only what is new was fetched: {report:#}");

    let report = pages::poll(&bridge);
    assert_eq!(pages::changes(&report), Vec::<String>::new());
    assert_eq!(receiver.wait_for(3).len(), 3);
}
