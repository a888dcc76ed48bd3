//! The daemon as a good citizen: health, metrics, signals, systemd, and logs that are silent when nothing happens.
//!
//! What it does to vendors and receivers is other files' theme.

use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal as UnixSignal;

use crate::support::bridge::{ORDERS, config};
use crate::support::http;
use crate::support::json::{named, rows};
use crate::support::receiver::Hook;
use crate::support::signal::{PATIENCE, Signal, ask_until};
use crate::support::{Bridge, Daemon, Receiver, Reply, Vendor};

fn order(status: &str) -> String {
    format!(r#"{{"orders":[{{"id":1,"status":"{status}"}}]}}"#)
}

#[test]
fn health_readiness_and_metrics_are_served() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "");
    let daemon = bridge.run();
    vendor.step_json(&order("new"));
    vendor.step_json(&order("paid"));
    vendor.step_json(&order("paid"));
    receiver.wait_for(1);
    assert_eq!(daemon.get("/healthz").status, 200);
    assert_eq!(daemon.get("/readyz").status, 200);
    let metrics = ask_until("the delivery to be counted", || {
        Some(daemon.get("/metrics")).filter(|answer| answer.text().contains("doorbell_delivery_latency"))
    });
    assert_eq!(metrics.status, 200);
    assert!(metrics.header("content-type").is_some_and(|kind| kind.contains("text")), "{metrics:?}");
    let text = metrics.text();
    for (outcome, count) in [("complete", 2), ("unchanged", 1)] {
        let line = text.lines().find(|line| line.starts_with("doorbell_polls_total") && line.contains(outcome));
        assert!(line.is_some_and(|line| line.ends_with(&format!(" {count}"))), "{outcome}: {line:?} in {text}");
    }
    assert!(text.contains("doorbell_events_total"), "{text}");
}

#[test]
fn the_api_lists_and_refuses_as_the_contract_says() {
    let (vendor, receiver) = (Vendor::of(&order("new")), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "");
    let daemon = bridge.run();
    for (list, rows_of_it) in [("jobs", 1), ("sinks", 1), ("events", 0)] {
        let answer = daemon.get(&format!("/api/v1/{list}"));
        assert_eq!((answer.status, rows(&answer.json()).len()), (200, rows_of_it), "{list}: {}", answer.text());
    }
    let missing = daemon.get("/api/v1/jobs/nope");
    assert_eq!(missing.status, 404);
    assert_eq!(missing.header("content-type"), Some("application/problem+json"), "RFC 9457");
    let post = |headers: &[(&str, &str)]| {
        http::ask(daemon.addr, "POST", "/api/v1/jobs/orders/poll", headers, b"").expect("the daemon answers").status
    };
    assert_eq!(post(&[("origin", "http://evil.example")]), 403, "a page of another origin may not poll");
}

#[test]
fn a_unix_socket_serves_the_commands() {
    let (vendor, receiver) = (Vendor::of(&order("new")), Receiver::start());
    let text = config(&vendor, &receiver, ORDERS, "");
    let bridge = Bridge::with("");
    let socket = bridge.path().join("doorbell.sock");
    bridge.write(&text.replace("127.0.0.1:0", &format!("unix:{}", socket.display())));
    let mut child = bridge.executable();
    let mut child =
        child.args(["run", "-c", "doorbell.toml"]).stderr(std::process::Stdio::null()).spawn().expect("it starts");
    ask_until("the baseline", || {
        let done = bridge.cli(["status", "--json"]);
        (socket.exists() && done.code == Some(0))
            .then(|| done.json())
            .filter(|status| named(status, "jobs", "orders")["last_success"].is_string())
    });
    child.kill().expect("it can be killed");
    child.wait().expect("it can be waited for");
}

#[test]
fn sigterm_lets_what_is_under_way_finish() {
    // The receiver answers when the test lets it: after the signal.
    let (arrived, release) = (Arc::new(Signal::new(false)), Arc::new(Signal::new(false)));
    let (arriving, waiting) = (Arc::clone(&arrived), Arc::clone(&release));
    let receiver = Receiver::scripted(move |_| {
        arriving.change(|arrived| *arrived = true);
        waiting.wait_for("the release", |released| released.then_some(()));
        Reply::status(204)
    });
    let vendor = Vendor::of(&order("new"));
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "");
    let daemon = bridge.run();
    daemon.job_until("orders", "the baseline", |job| job["last_success"].is_string());
    vendor.serve(&order("paid"));
    arrived.wait_for("the webhook", |arrived| arrived.then_some(()));
    daemon.signal(UnixSignal::SIGTERM);
    until_draining(&daemon);
    release.change(|released| *released = true);
    assert!(daemon.wait().success());
    let sequences: Vec<_> = receiver.wait_for(1).iter().map(Hook::sequence).collect();
    assert_eq!(sequences, [1]);

    // It was settled: a new start sends it no more, and the next change is the next webhook.
    let _daemon = bridge.run();
    vendor.serve(&order("sent"));
    assert_eq!(receiver.wait_for(2).iter().map(Hook::sequence).collect::<Vec<_>>(), [1, 2]);
}

/// Waits until the daemon says that it is not ready any more.
fn until_draining(daemon: &Daemon<'_>) {
    ask_until("the daemon to drain", || match http::get(daemon.addr, "/readyz") {
        Ok(answer) => (answer.status == 503).then_some(()),
        Err(_) => Some(()),
    });
}

#[test]
fn a_second_signal_ends_at_once() {
    let receiver = Receiver::scripted(|_| Reply::Hang);
    let vendor = Vendor::of(&order("new"));
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "timeout = '10m'");
    let daemon = bridge.run();
    daemon.job_until("orders", "the baseline", |job| job["last_success"].is_string());
    vendor.serve(&order("paid"));
    receiver.wait_until("the webhook", |hooks| !hooks.is_empty());
    daemon.signal(UnixSignal::SIGTERM);
    until_draining(&daemon);
    let second = Instant::now();
    daemon.signal(UnixSignal::SIGINT);
    daemon.wait();
    assert!(second.elapsed() < Duration::from_secs(5), "{:?}", second.elapsed());
}

#[test]
fn sighup_says_that_reload_comes_later_and_changes_nothing() {
    let (vendor, receiver) = (Vendor::of(&order("new")), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "");
    let daemon = bridge.run();
    daemon.job_until("orders", "the baseline", |job| job["last_success"].is_string());
    bridge.write("this is no config");
    daemon.signal(UnixSignal::SIGHUP);
    daemon.wait_for_log("reload");
    vendor.serve(&order("paid"));
    receiver.wait_for(1);
}

#[test]
fn systemd_is_told_what_it_waits_for() {
    let (vendor, receiver) = (Vendor::of(&order("new")), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "");
    let path = bridge.path().join("notify.sock");
    let socket = UnixDatagram::bind(&path).expect("a socket can be bound");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
    let daemon = Daemon::start(&bridge, |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "1000000");
    });
    wait_for_notice(&socket, "READY=1");
    assert_eq!(daemon.get("/readyz").status, 200);
    wait_for_notice(&socket, "WATCHDOG=1");
    wait_for_notice(&socket, "WATCHDOG=1");
    daemon.signal(UnixSignal::SIGTERM);
    wait_for_notice(&socket, "STOPPING=1");
    assert!(daemon.wait().success());
}

#[track_caller]
fn wait_for_notice(socket: &UnixDatagram, wanted: &str) {
    let mut heard = Vec::new();
    let mut notice = [0; 4096];
    while !heard.iter().any(|line: &String| line == wanted) {
        let length = socket.recv(&mut notice).unwrap_or_else(|error| panic!("no `{wanted}` ({error}) in {heard:?}"));
        heard.extend(String::from_utf8_lossy(&notice[..length]).lines().map(str::to_owned));
    }
}

#[test]
fn every_log_line_is_json_and_nothing_is_said_of_nothing() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "");
    let daemon = bridge.run();
    vendor.step_json(&order("new"));
    vendor.step_json(&order("paid"));
    receiver.wait_for(1);
    daemon.sink_until("crm", "the delivery to be settled", |sink| sink["backlog"] == 0);
    let before = daemon.logs();
    for _ in 0..20 {
        vendor.step_json(&order("paid"));
    }
    let after = daemon.logs();
    assert_eq!(before.lines().count(), after.lines().count(), "an unchanged poll logs nothing:\n{after}");
    for line in after.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok_and(|line| line.is_object()), "{line}");
    }
}

#[test]
fn l4_secrets_appear_nowhere() {
    let receiver = Receiver::scripted(|_| Reply::status(500));
    let vendor = Vendor::of(&order("new"));
    let job = format!(
        "{ORDERS}auth = {{ type = 'api_key', name = 'key', in = 'query', value = '${{env:LEAK}}' }}\n\
         headers = {{ X-Secret = 'a ${{env:LEAK}}' }}"
    );
    let text = config(&vendor, &receiver, &job, "headers = { X-Key = '${env:LEAK}' }\nretry = ['50ms', '50ms']");
    let bridge = Bridge::with(&text.replace("/hook", "/hook/${env:LEAK}")).with_env("LEAK", "very-s3cret-value");
    let daemon = bridge.run();
    daemon.job_until("orders", "the baseline", |job| job["last_success"].is_string());
    assert!(vendor.requests().iter().all(|request| request.target.contains("very-s3cret-value")));
    vendor.serve(&order("paid"));
    receiver.wait_until("an attempt", |hooks| hooks.iter().any(|hook| hook.path().contains("very-s3cret-value")));
    let sink = daemon.sink_until("crm", "a failed attempt", |sink| sink["health"] == "failing" || sink["dead"] == 1);
    vendor.reply(Reply::Cut);
    let job = daemon.job_until("orders", "a failed poll", |job| job["outcome"] == "failed");
    let pages = ["/metrics", "/api/v1/jobs", "/api/v1/sinks", "/api/v1/events"].map(|page| daemon.get(page).text());
    let shown = format!("{sink}{job}{}{}", pages.join(""), daemon.logs());
    assert!(!shown.contains("s3cret"), "{shown}");
    daemon.kill9();
    for file in std::fs::read_dir(bridge.path()).expect("the folder can be read").flatten() {
        let bytes = std::fs::read(file.path()).unwrap_or_default();
        assert!(!bytes.windows(6).any(|window| window == b"s3cret"), "in {:?}", file.path());
    }
}

#[test]
fn two_jobs_poll_on_their_own() {
    // The first hangs for as long as the test runs; the second goes on.
    let vendor = Vendor::scripted(|request| match request.path() {
        "/orders" => Reply::Hang,
        _ => Reply::json(r#"{"n":1}"#),
    });
    let receiver = Receiver::start();
    let other = "\n[job.other]\nvendor = 'shop'\nurl = 'other'\nevery = '50ms'\nsend_to = ['crm']\n";
    let bridge = Bridge::with(&(config(&vendor, &receiver, &format!("{ORDERS}timeout = '10m'"), "") + other));
    let _daemon = bridge.run();
    vendor.wait_for_more(10);
    let hung = vendor.requests().iter().filter(|request| request.path() == "/orders").count();
    assert_eq!(hung, 1, "a job never overlaps itself");
}

#[test]
fn a_failure_is_said_once_and_its_end_once() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "");
    let daemon = bridge.run();
    vendor.step_json(&order("new"));
    let before = daemon.logs().lines().count();
    for _ in 0..3 {
        vendor.step(Reply::status(500));
    }
    vendor.step_json(&order("new"));
    vendor.step_json(&order("new"));
    daemon.wait_for_log("poll recovered");
    let logs = daemon.logs();
    let said: Vec<_> = logs.lines().skip(before).collect();
    assert_eq!(said.len(), 2, "{said:#?}");
    assert!(said[0].contains("poll failed") && said[0].contains("500"), "{}", said[0]);
}

#[test]
fn each_of_the_four_outcomes_is_shown_counted_and_stored() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let pages = "pages = { style = 'next_url', at = '$.next' }";
    let bridge = Bridge::between(&vendor, &receiver, &format!("{ORDERS}{pages}"), "");
    let daemon = bridge.run();
    let shown = |daemon: &Daemon<'_>| {
        let job = daemon.job("orders");
        (job["outcome"].as_str().unwrap_or("-").to_owned(), job["reason"].as_str().unwrap_or("").to_owned())
    };
    let more = r#"{"orders":[{"id":1,"status":"new"}],"next":"orders?page=2"}"#;
    vendor.step_json(&order("new"));
    assert_eq!(shown(&daemon), ("complete".to_owned(), String::new()));
    vendor.step_json(&order("new"));
    assert_eq!(shown(&daemon).0, "unchanged");
    vendor.step_json(more);
    vendor.step(Reply::status(500));
    let (outcome, reason) = shown(&daemon);
    assert!(outcome == "partial" && reason.contains("page 2") && reason.contains("500"), "{outcome}: {reason}");
    vendor.step(Reply::body("text/html", "<html>"));
    let (outcome, reason) = shown(&daemon);
    assert!(outcome == "failed" && !reason.is_empty(), "{outcome}: {reason}");
    let text = daemon.get("/metrics").text();
    for outcome in ["complete", "unchanged", "partial", "failed"] {
        let counted = |line: &&str| line.starts_with("doorbell_polls_total") && line.contains(outcome);
        let line = text.lines().find(counted);
        assert!(line.is_some_and(|line| line.ends_with(" 1")), "{outcome}: {line:?} in {text}");
    }
    daemon.kill9();
    vendor.abandon();
    let daemon = bridge.run();
    vendor.wait_pending();
    assert_eq!(shown(&daemon), ("failed".to_owned(), reason), "what was stored, before anything is answered");
    daemon.terminate_with(&vendor);
}
