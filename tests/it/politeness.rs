//! L1: a vendor is asked no faster than its config and its own headers allow, as the vendor itself sees it, over
//! restarts and crashes too.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::http::Request;
use crate::support::json::named;
use crate::support::signal::{Signal, ask_until};
use crate::support::{Bridge, Daemon, Receiver, Reply, Vendor};

const ORDERS: &str = r#"{"orders":[{"id":1}]}"#;

/// A vendor that notes when it was asked.
fn noting(mut script: impl FnMut(&Request) -> Reply + Send + 'static) -> (Vendor, Arc<Signal<Vec<Instant>>>) {
    let asked = Arc::new(Signal::new(Vec::new()));
    let noted = Arc::clone(&asked);
    let vendor = Vendor::scripted(move |request| {
        noted.change(|asked| asked.push(Instant::now()));
        script(request)
    });
    (vendor, asked)
}

/// A config with jobs `j0`, `j1`, … of the vendor `shop`; `vendor` and `job` are more lines of their tables.
fn config(vendor: &Vendor, receiver: &Receiver, lines: &str, jobs: usize, job: &str) -> String {
    let mut text = format!(
        "[daemon]\nstate = 'doorbell.db'\nlisten = '127.0.0.1:0'\n\n[sink.crm]\nurl = '{}'\n\n\
         [vendor.shop]\nbase_url = '{}'\n{lines}\n",
        receiver.url(),
        vendor.url()
    );
    for number in 0..jobs {
        text.push_str(&format!("\n[job.j{number}]\nvendor = 'shop'\nurl = 'j{number}'\nsend_to = ['crm']\n{job}\n"));
    }
    text
}

fn receiver() -> Receiver {
    Receiver::scripted(|_| Reply::status(204))
}

/// What `doorbell status` says of the vendor.
fn shop(daemon: &Daemon<'_>) -> Value {
    named(&daemon.cli(["status", "--json"]).ok().json(), "vendors", "shop")
}

fn metric(daemon: &Daemon<'_>, name: &str) -> Option<f64> {
    let text = daemon.get("/metrics").text();
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

#[test]
fn a_rate_is_shared_by_all_jobs_and_never_exceeded() {
    let (vendor, asked) = noting(|_| Reply::json("{}"));
    let receiver = receiver();
    let bridge = Bridge::with(&config(&vendor, &receiver, "rate = '10/s'", 12, "every = '50ms'"));
    let _daemon = bridge.run();
    let asked = asked.wait_for("35 polls", |asked| (asked.len() >= 35).then(|| asked.clone()));
    // A burst of ten and then ten a second are two and a half; what is less is for a first request that was slow to come.
    let took = asked[34].duration_since(asked[0]);
    assert!(took >= Duration::from_millis(1900), "35 requests in {took:?}");
    let jobs: std::collections::BTreeSet<String> =
        vendor.requests().iter().take(35).map(|request| request.path().to_owned()).collect();
    assert_eq!(jobs.len(), 12, "each job has its turn");
}

#[test]
fn no_more_requests_are_in_flight_than_the_vendor_allows() {
    let vendor = Vendor::in_lockstep();
    let receiver = receiver();
    let bridge = Bridge::with(&config(&vendor, &receiver, "concurrency = 3", 10, "every = '1h'"));
    let daemon = bridge.run();
    vendor.wait_until_asked(3);
    // The daemon has gone round since: what can begin has begun.
    let waiting = daemon.cli(["status", "--json"]).ok().json();
    let polling = waiting["jobs"].as_array().expect("jobs").iter().filter(|job| job["health"] == "polling").count();
    assert_eq!((vendor.count(), polling), (3, 3), "three at once, and the others wait outside");
    vendor.script(|_| Reply::json("{}"));
    vendor.run_free();
    vendor.wait_until_asked(10);
}

#[test]
fn a_budget_is_not_given_back_by_a_restart_or_a_crash() {
    let vendor = Vendor::of("{}");
    let receiver = receiver();
    let bridge = Bridge::with(&config(&vendor, &receiver, "budget = '30/d'", 8, "every = '1h'"));
    let daemon = bridge.run();
    vendor.wait_until_asked(3);
    let job = ask_until("a job that waits", || {
        let jobs = daemon.cli(["status", "--json"]).ok().json();
        jobs["jobs"].as_array()?.iter().find(|job| job["health"] == "waiting").cloned()
    });
    let reason = job["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("waits for the budget of vendor `shop` (30/d) until "), "{reason}");
    assert_eq!(job["failures"], 0, "waiting is no failure");
    assert_eq!(shop(&daemon)["budget_left"], 27);
    assert_eq!(metric(&daemon, "doorbell_vendor_budget_left{vendor=\"shop\"}"), Some(27.0));
    daemon.terminate();

    let daemon = bridge.run();
    assert_eq!(shop(&daemon)["budget_left"], 27, "a clean end loses nothing");
    daemon.kill9();
    let daemon = bridge.run();
    assert_eq!(shop(&daemon)["budget_left"], 27, "nor does a crash, of a budget this small");
    let asked = daemon.cli(["poll", "j7"]);
    assert_eq!(asked.code, Some(1), "{asked:?}");
    assert!(asked.output().contains("waits for the budget of vendor `shop` (30/d) until "), "{asked:?}");
    assert_eq!(vendor.count(), 3, "a tenth at once, over all three starts and a poll by hand");
}

#[test]
fn retries_and_redirects_are_paid_for() {
    let vendor = Vendor::scripted(|request| match request.path() {
        "/j0" => Reply::status(302).with("location", "/elsewhere"),
        _ => Reply::status(500),
    });
    let receiver = receiver();
    let lines = "budget = '100/d'\nretries = 1";
    let bridge = Bridge::with(&config(&vendor, &receiver, lines, 1, "every = '1h'"));
    let daemon = bridge.run();
    daemon.job_until("j0", "the poll to fail", |job| job["failures"] == 1);
    assert_eq!((vendor.count(), &shop(&daemon)["budget_left"]), (4, &Value::from(96)));
}

#[test]
fn a_429_of_one_job_holds_back_all_jobs_of_the_vendor() {
    let vendor = Vendor::scripted(|_| Reply::status(429).with("retry-after", "3600"));
    let receiver = receiver();
    // One place, so that the others are still outside when the first is told.
    let bridge = Bridge::with(&config(&vendor, &receiver, "concurrency = 1", 5, "every = '50ms'"));
    let daemon = bridge.run();
    let job = ask_until("another job to wait", || {
        let status = daemon.cli(["status", "--json"]).ok().json();
        status["jobs"].as_array()?.iter().find(|job| job["health"] == "waiting").cloned()
    });
    let reason = job["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("vendor `shop` asked to be left alone until "), "{reason}");
    assert_eq!(vendor.count(), 1, "no retry, and nobody else");
    daemon.kill9();
    let daemon = bridge.run();
    let waits = shop(&daemon)["waits"].clone();
    assert!(waits.as_str().is_some_and(|waits| waits.contains("left alone")), "{waits}");
    assert_eq!(vendor.count(), 1, "a restart forgets nothing");
}

#[test]
fn githubs_403_is_a_rate_limit_and_not_a_refused_token() {
    // The reset is half an hour after the answer's own date, whatever our clock says.
    let vendor = Vendor::scripted(|_| {
        let limited = Reply::status(403).with("x-ratelimit-limit", "60").with("x-ratelimit-remaining", "0");
        limited.with("x-ratelimit-reset", "1700001800").with("date", "Tue, 14 Nov 2023 22:13:20 GMT")
    });
    let receiver = receiver();
    let bridge = Bridge::with(&config(&vendor, &receiver, "retries = 2", 1, "every = '1s'"));
    let daemon = bridge.run();
    let job = daemon.job_until("j0", "the poll to fail", |job| job["failures"] == 1);
    let reason = job["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("answered 403: too many requests") && reason.contains("it asks to wait 1800 s"),
        "{reason}"
    );
    let waits = shop(&daemon)["waits"].to_string();
    assert!(waits.contains("asked to be left alone"), "{waits}");
    assert_eq!(vendor.count(), 1);
}

#[test]
fn absurd_headers_change_nothing() {
    let absurd = [
        ("retry-after", "-1"),
        ("retry-after", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("x-ratelimit-remaining", "-5"),
        ("x-ratelimit-reset", "1"),
        ("ratelimit", "\"a\";r=;t=, =;;\""),
        ("x-shopify-shop-api-call-limit", "40/0"),
    ];
    let vendor = Vendor::scripted(move |_| {
        absurd.iter().fold(Reply::json(ORDERS), |reply, (name, value)| reply.with(name, value))
    });
    let receiver = receiver();
    let bridge = Bridge::with(&config(&vendor, &receiver, "", 1, "every = '50ms'"));
    let daemon = bridge.run();
    vendor.wait_until_asked(10);
    assert_eq!(daemon.job("j0")["failures"], 0);
}

#[test]
fn ten_years_are_a_day() {
    let vendor = Vendor::scripted(|_| Reply::status(429).with("retry-after", "315360000"));
    let receiver = receiver();
    let bridge = Bridge::with(&config(&vendor, &receiver, "", 1, "every = '50ms'"));
    let daemon = bridge.run();
    let job = daemon.job_until("j0", "the poll to fail", |job| job["failures"] == 1);
    assert!(job["reason"].as_str().is_some_and(|reason| reason.contains("it asks to wait 86400 s")), "{job}");
}

#[test]
fn check_holds_the_schedules_against_the_budget() {
    let (vendor, receiver) = (Vendor::of("{}"), receiver());
    let bridge = Bridge::with(&config(&vendor, &receiver, "budget = '1000/d'", 2, "every = '1m'"));
    let shown = bridge.cli(["check"]).ok().stdout;
    assert!(shown.contains("shop") && shown.contains("2880") && shown.contains("1000/d"), "{shown}");
    assert!(shown.contains("more than its budget allows in a day (1000)"), "{shown}");
    let json = bridge.cli(["check", "--json"]).ok().json();
    let shop = named(&json, "vendors", "shop");
    assert_eq!((&shop["requests_per_day"], &shop["exceeded"]), (&2880.into(), &true.into()), "{shop}");
}

#[test]
fn a_200_that_is_an_error_by_rule_is_a_failed_poll() {
    let vendor = Vendor::of(r#"{"ok":false,"message":"no such shop"}"#);
    let receiver = receiver();
    let rule = "retries = 0\nfail_when = 'body.ok == false'";
    let bridge = Bridge::with(&config(&vendor, &receiver, rule, 1, "every = '50ms'"));
    let daemon = bridge.run();
    let job = daemon.job_until("j0", "the poll to fail", |job| job["failures"] != 0);
    let reason = job["reason"].as_str().expect("a reason");
    assert!(reason.contains("an error, since `fail_when` holds: `body.ok == false`"), "{reason}");
    assert!(reason.contains("no such shop"), "{reason}");
    vendor.serve(r#"{"ok":true}"#);
    daemon.job_until("j0", "the poll to be well", |job| job["health"] == "ok" || job["health"] == "polling");
}

#[test]
fn a_rate_limit_in_disguise_holds_back_the_vendor_until_its_reset() {
    let vendor = Vendor::scripted(|_| Reply::json(r#"{"error":"rate limit"}"#).with("x-ratelimit-reset", "1800"));
    let receiver = receiver();
    let rule = "limited_when = \"'rate limit' in body.error\"";
    let bridge = Bridge::with(&config(&vendor, &receiver, rule, 1, "every = '50ms'"));
    let daemon = bridge.run();
    let job = daemon.job_until("j0", "the poll to fail", |job| job["failures"] == 1);
    let reason = job["reason"].as_str().expect("a reason");
    assert!(reason.contains("too many requests, since `limited_when` holds") && reason.contains("1800 s"), "{reason}");
    assert!(shop(&daemon)["waits"].to_string().contains("left alone"), "{job}");
    assert_eq!(vendor.count(), 1);
}

#[test]
fn an_interval_adapts_and_a_fresh_answer_postpones() {
    let (vendor, asked) = noting(|_| Reply::json("{}"));
    let receiver = receiver();
    let bridge = Bridge::with(&config(&vendor, &receiver, "", 1, "every = { min = '50ms', max = '10s' }"));
    let daemon = bridge.run();
    let quiet = asked.wait_for("ten polls", |asked| (asked.len() >= 10).then(|| asked.clone()));
    // A quarter more each time: nine waits of 50 ms would be less than half a second, these are about 2.5 s.
    assert!(quiet[9].duration_since(quiet[0]) >= Duration::from_millis(1500), "{quiet:?}");
    drop(daemon);

    vendor.reply(Reply::json("{}").with("cache-control", "max-age=3600"));
    let lines = "respect_cache = true";
    let bridge = Bridge::with(&config(&vendor, &receiver, lines, 1, "every = { min = '50ms', max = '1h' }"));
    let before = vendor.count();
    let daemon = bridge.run();
    vendor.wait_until_asked(before + 1);
    let job = daemon.job_until("j0", "the poll to end", |job| job["health"] == "ok");
    let (last, next) = (job["last_poll"].as_str().expect("a poll"), job["next_run"].as_str().expect("a next run"));
    assert_ne!(last[..13], next[..13], "an hour later: {job}");
}
