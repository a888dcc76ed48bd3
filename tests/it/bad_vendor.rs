//! Everything that a vendor can do wrong: the poll fails with a sentence, and nothing else happens.
//!
//! Each case is one bad answer between a good baseline and a good change.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::support::bridge::{BY_HAND, ORDERS, config};
use crate::support::{Bridge, Receiver, Reply, Vendor};

/// More than this no poll of these tests may take, with `max_body` at 4 MiB (a debug build, its stacks, its TLS roots).
const MOST_KIB: u64 = 96 * 1024;

fn good(status: &str) -> String {
    format!(r#"{{"orders":[{{"id":1,"status":"paid"}},{{"id":2,"status":"{status}"}}]}}"#)
}

/// Polls a good document, this answer, and a good change; the job as it was shown after the bad one.
fn after(bad: Reply) -> Value {
    after_with("", &[], bad)
}

/// The same with more lines for the job; `first` are answers of the bad poll that lead to the bad one.
fn after_with(job: &str, first: &[Reply], bad: Reply) -> Value {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let job = format!("{ORDERS}timeout = '2s'\nmax_body = '4 MiB'\n{job}");
    let bridge = Bridge::between(&vendor, &receiver, &job, "");
    let daemon = bridge.run();
    vendor.step_json(&good("paid"));
    for reply in first {
        vendor.step(reply.clone());
    }
    vendor.step(bad);
    let job = daemon.job("orders");
    vendor.step_json(&good("sent"));
    let hooks = receiver.wait_for(1);
    let event = (hooks[0].sequence(), hooks[0].change(), hooks[0].key());
    assert_eq!(event, (1, "updated", "2"), "the next good poll goes on where the last good one was");
    assert!(daemon.peak_rss_kib() < MOST_KIB, "{} KiB", daemon.peak_rss_kib());
    daemon.terminate();
    job
}

/// Says that a poll failed, that its sentence has one of these words in it, and that nothing in the ledger changed.
fn failed(job: &Value, words: &[&str]) {
    assert_eq!((job["outcome"].as_str(), job["failures"].as_u64()), (Some("failed"), Some(1)), "{job}");
    assert_eq!(job["items"], 2, "{job}");
    let reason = job["reason"].as_str().unwrap_or_default().to_lowercase();
    assert!(words.iter().any(|word| reason.contains(word)), "none of {words:?} in: {reason}");
}

fn gzip(bytes_of_space: usize) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let piece = [b' '; 1 << 16];
    for _ in 0..bytes_of_space / piece.len() {
        encoder.write_all(&piece).expect("memory can be written");
    }
    encoder.finish().expect("memory can be written")
}

#[test]
fn html_instead_of_json_fails() {
    failed(&after(Reply::body("text/html", "<!doctype html><title>Log in</title>")), &["html", "json"]);
}

#[test]
fn json_that_ends_early_fails() {
    failed(&after(Reply::json(r#"{"orders":[{"id":1,"status":"pa"#)), &["json"]);
}

#[test]
fn a_body_shorter_than_promised_fails() {
    let body = good("paid").into_bytes();
    failed(&after(Reply::Truncated { promised: body.len() + 1000, body }), &["connection", "cut", "ended", "body"]);
}

#[test]
fn an_empty_body_fails() {
    failed(&after(Reply::json("")), &["json", "empty"]);
}

#[test]
fn text_after_the_document_fails() {
    failed(&after(Reply::json(good("paid") + "x")), &["json"]);
}

#[test]
fn a_body_without_end_is_too_large() {
    let piece = vec![b' '; 1 << 16];
    failed(&after(Reply::Endless { headers: Vec::new(), piece }), &["max_body", "larger", "too large"]);
}

#[test]
fn a_body_that_promises_a_gigabyte_is_too_large() {
    let body = vec![b' '; 8 << 20];
    failed(&after(Reply::Truncated { body, promised: 1 << 30 }), &["max_body", "larger", "too large"]);
}

#[test]
fn a_gzip_bomb_is_too_large() {
    let bomb = Reply::json(gzip(1 << 28)).with("content-encoding", "gzip");
    failed(&after(bomb), &["max_body", "larger", "too large"]);
}

#[test]
fn a_broken_gzip_fails() {
    let mut body = gzip(1 << 16);
    body.truncate(body.len() / 2);
    let job = after(Reply::json(body).with("content-encoding", "gzip"));
    failed(&job, &["gzip", "compress", "decode", "body", "decod"]);
}

#[test]
fn nesting_100_000_deep_fails() {
    failed(&after(Reply::json("[".repeat(100_000))), &["deep", "nest", "json"]);
}

#[test]
fn an_item_100_000_deep_fails() {
    let deep = format!(r#"{{"orders":[{{"id":1,"a":{}{}}}]}}"#, "[".repeat(100_000), "]".repeat(100_000));
    failed(&after(Reply::json(deep)), &["deep", "nest"]);
}

#[test]
fn a_name_twice_in_an_object_fails() {
    failed(&after(Reply::json(r#"{"orders":[{"id":1,"status":"a","status":"b"}]}"#)), &["twice", "duplicate"]);
}

#[test]
fn invalid_utf_8_fails() {
    let mut body = good("paid").into_bytes();
    let at = body.len() - 6;
    body[at] = 0xff;
    failed(&after(Reply::json(body)), &["utf-8"]);
}

#[test]
fn half_a_surrogate_pair_becomes_the_replacement_character() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "");
    let _daemon = bridge.run();
    let noted = |note: &str| format!(r#"{{"orders":[{{"id":1,"note":"{note}"}}]}}"#);
    for note in ["paid", r"a\ud800b", r"a\udc00b", r"a\ufffdb", r"\ud83d\ude00"] {
        vendor.step_json(&noted(note));
    }
    let hooks = receiver.wait_for(2);
    assert_eq!(hooks[0].data()["after"]["note"], "a\u{fffd}b");
    assert_eq!(hooks[1].data()["after"]["note"], "\u{1f600}", "a whole pair is one character");
}

#[test]
fn different_items_with_one_key_fail() {
    let job = after(Reply::json(r#"{"orders":[{"id":1,"status":"a"},{"id":1,"status":"b"}]}"#));
    failed(&job, &["twice", "same key"]);
}

#[test]
fn items_that_are_not_objects_fail() {
    failed(&after(Reply::json(r#"{"orders":[1,"two",null]}"#)), &["key"]);
}

#[test]
fn a_key_that_is_null_fails() {
    failed(&after(Reply::json(r#"{"orders":[{"id":1},{"id":null}]}"#)), &["null"]);
}

#[test]
fn a_key_that_is_missing_fails() {
    failed(&after(Reply::json(r#"{"orders":[{"id":1},{"name":"x"}]}"#)), &["no `$.id`"]);
}

#[test]
fn a_key_that_is_an_object_fails() {
    failed(&after(Reply::json(r#"{"orders":[{"id":{"a":1}}]}"#)), &["key"]);
}

#[test]
fn a_list_that_is_not_there_fails() {
    failed(&after(Reply::json(r#"{"errors":[]}"#)), &["$.orders", "items"]);
}

#[test]
fn a_list_that_is_no_list_fails() {
    failed(&after(Reply::json(r#"{"orders":"none"}"#)), &["$.orders", "items"]);
}

#[test]
fn a_server_error_fails_with_its_status() {
    failed(&after(Reply::status(500)), &["500"]);
}

#[test]
fn a_job_that_fails_backs_off_and_comes_back() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "");
    let _daemon = bridge.run();
    vendor.step_json(&good("paid"));
    for _ in 0..2 {
        let failed = Instant::now();
        vendor.step(Reply::status(500));
        let pause = failed.elapsed();
        assert!(pause >= Duration::from_millis(850), "a second, give or take a tenth, and not {pause:?}");
    }
    vendor.step_json(&good("sent"));
    receiver.wait_for(1);
}

#[test]
fn a_status_that_is_not_known_fails() {
    failed(&after(Reply::status(418)), &["418"]);
}

#[test]
fn a_304_that_nobody_asked_for_fails() {
    failed(&after_with("conditional = false", &[], Reply::status(304)), &["304"]);
}

#[test]
fn no_content_fails() {
    failed(&after(Reply::status(204)), &["204", "empty", "json", "body"]);
}

#[test]
fn a_vendor_that_hangs_fails_within_the_timeout() {
    failed(&after(Reply::Hang), &["timeout", "2s", "took longer", "in time"]);
}

#[test]
fn a_vendor_that_drips_fails_within_the_timeout() {
    failed(&after(Reply::Drip), &["timeout", "2s", "took longer", "in time"]);
}

#[test]
fn a_vendor_that_cuts_the_connection_fails() {
    failed(&after(Reply::Cut), &["connection", "closed", "cut"]);
}

#[test]
fn a_redirect_to_another_origin_is_not_followed() {
    let elsewhere = Vendor::of(&good("stolen"));
    let there = format!("{}/orders", elsewhere.url());
    failed(&after(Reply::status(302).with("location", &there)), &["redirect", "origin"]);
    assert_eq!(elsewhere.count(), 0);
}

#[test]
fn a_redirect_in_circles_ends() {
    let circle = || Reply::status(302).with("location", "/orders");
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "");
    let daemon = bridge.run();
    vendor.step_json(&good("paid"));
    vendor.script(move |_| circle());
    vendor.run_free();
    let job = daemon.job_until("orders", "the poll to fail", |job| job["outcome"] == "failed");
    assert!(job["reason"].as_str().is_some_and(|reason| reason.contains("redirect")), "{job}");
    vendor.serve(&good("sent"));
    assert_eq!(receiver.wait_for(1)[0].sequence(), 1);
}

#[test]
fn a_redirect_within_the_origin_is_followed() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "");
    let _daemon = bridge.run();
    vendor.step_json(&good("paid"));
    vendor.step(Reply::status(307).with("location", "/v2/orders"));
    let request = vendor.step_json(&good("sent"));
    assert_eq!(request.path(), "/v2/orders");
    assert_eq!(receiver.wait_for(1)[0].sequence(), 1);
}

#[test]
fn a_vendor_that_resets_fails_and_comes_back() {
    let (vendor, receiver) = (Vendor::of(&good("paid")), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "");
    let daemon = bridge.run();
    daemon.job_until("orders", "the baseline", |job| job["last_success"].is_string());
    vendor.reset_connections(true);
    let job = daemon.job_until("orders", "the job to be failing", |job| job["outcome"] == "failed");
    assert_eq!(job["items"], 2);
    vendor.serve(&good("sent"));
    vendor.reset_connections(false);
    assert_eq!(receiver.wait_for(1)[0].sequence(), 1);
}

#[test]
fn retries_inside_a_poll_are_no_failure() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, &format!("{ORDERS}retries = 2"), "");
    let daemon = bridge.run();
    vendor.step_json(&good("paid"));
    vendor.step(Reply::status(503));
    vendor.step(Reply::Cut);
    vendor.step_json(&good("sent"));
    assert_eq!(receiver.wait_for(1)[0].sequence(), 1);
    assert_eq!(daemon.job("orders")["failures"], 0);
}

#[test]
fn a_compressed_answer_is_read_as_what_it_is() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "");
    let _daemon = bridge.run();
    let first = vendor.step_json(&good("paid"));
    let accepted = first.header("accept-encoding").unwrap_or_default();
    for encoding in ["gzip", "br", "zstd", "deflate"] {
        assert!(accepted.contains(encoding), "{accepted}");
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(good("sent").as_bytes()).expect("memory can be written");
    let body = encoder.finish().expect("memory can be written");
    vendor.step(Reply::json(body).with("content-encoding", "gzip"));
    vendor.step_json(&good("sent"));
    assert_eq!(receiver.wait_for(1)[0].data()["after"]["status"], "sent");
}

#[test]
fn an_answer_in_an_encoding_that_is_not_read_says_so() {
    let reply = Reply::json(b"\x1f\x8b\x08 and so on".to_vec()).with("content-encoding", "x-gzip");
    let job = after(reply);
    assert!(job["reason"].as_str().is_some_and(|reason| reason.contains("in the encoding `x-gzip`")), "{job:#}");
}

#[test]
fn a_vendor_without_the_tls_that_its_url_promises_fails() {
    // What a web server says to one who speaks TLS to it.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
    let addr = listener.local_addr().expect("a bound listener has an address");
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody connects");
        let hello = stream.read(&mut [0; 4096]);
        hello.and_then(|_| stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")).ok();
    });
    let (vendor, receiver) = (Vendor::of(&good("paid")), Receiver::start());
    let text = config(&vendor, &receiver, &format!("{BY_HAND}retries = 0"), "");
    let bridge = Bridge::with(&text.replace(&vendor.url(), &format!("https://{addr}")));
    let done = bridge.cli(["poll", "orders", "--json"]);
    assert_eq!((done.code, &done.json()["failure"]), (Some(1), &"tls".into()), "{done:?}");
    assert!(done.json()["reason"].as_str().is_some_and(|reason| reason.contains("does not speak TLS")), "{done:?}");
}
