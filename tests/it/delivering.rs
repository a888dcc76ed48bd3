//! The promises about delivery (D1 to D5) and what each kind of answer means.
//!
//! Times are only bounded from below here: later than asked is a busy machine, earlier is a broken promise.

use std::time::Duration;

use serde_json::Value;

use crate::support::bridge::{ORDERS, config};
use crate::support::json::rows;
use crate::support::receiver::Hook;
use crate::support::signature::SECRET;
use crate::support::{Bridge, Daemon, Receiver, Reply, Vendor};

const PATIENT: &str = "retry = ['100ms', '100ms', '100ms', '100ms', '100ms', '100ms', '100ms', '100ms', '100ms']";

/// Two orders with these totals.
fn totals(first: u32, second: u32) -> String {
    format!(r#"{{"orders":[{{"id":1,"total":{first}}},{{"id":2,"total":{second}}}]}}"#)
}

/// A vendor in lockstep that has been polled once, its bridge, and the sink's lines.
fn world(receiver: &Receiver, sink: &str) -> (Vendor, Bridge) {
    let vendor = Vendor::in_lockstep();
    let bridge = Bridge::between(&vendor, receiver, ORDERS, sink);
    (vendor, bridge)
}

fn ids(hooks: &[Hook]) -> Vec<&str> {
    hooks.iter().map(|hook| hook.id.as_str()).collect()
}

/// The delivery of the newest event, as `doorbell events` shows it.
fn newest_delivery(daemon: &Daemon<'_>) -> Value {
    let events = rows(&daemon.cli(["events", "--json"]).ok().json());
    let newest = events.iter().max_by_key(|event| event["sequence"].as_u64()).expect("there is an event");
    newest["deliveries"][0].clone()
}

#[test]
fn d1_every_attempt_has_the_same_id_and_the_same_bytes() {
    let receiver = Receiver::scripted(|hook| match hook.attempt {
        1 => Reply::status(500),
        2 => Reply::status(404),
        3 => Reply::Cut,
        _ => Reply::status(200),
    });
    let (vendor, bridge) = world(&receiver, PATIENT);
    let _daemon = bridge.run();
    vendor.step_json(&totals(1, 1));
    vendor.step_json(&totals(1, 2));
    receiver.wait_for(1);
    let attempts = receiver.attempts();
    assert_eq!(attempts.iter().map(|hook| hook.attempt).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(attempts.iter().all(|hook| (&hook.id, &hook.body) == (&attempts[0].id, &attempts[0].body)));
}

#[test]
fn d1_bytes_are_the_same_after_a_restart() {
    let receiver = Receiver::scripted(|_| Reply::status(503));
    let (vendor, bridge) = world(&receiver, "retry = ['1s', '1s', '1s', '1s']");
    let daemon = bridge.run();
    vendor.step_json(&totals(1, 1));
    vendor.step_json(&totals(1, 2));
    receiver.wait_until("an attempt", |hooks| !hooks.is_empty());
    daemon.kill9();
    vendor.abandon();
    receiver.reply(Reply::status(204));
    let _daemon = bridge.run();
    receiver.wait_for(1);
    let attempts = receiver.attempts();
    let last = attempts.last().expect("there was an attempt");
    assert!(attempts.iter().all(|hook| (&hook.id, &hook.body) == (&last.id, &last.body)));
}

#[test]
fn d2_what_was_committed_is_sent_after_a_kill() {
    let receiver = Receiver::scripted(|_| Reply::Hang);
    let (vendor, bridge) = world(&receiver, "timeout = '50s'");
    let daemon = bridge.run();
    vendor.step_json(&totals(1, 1));
    vendor.step_json(&totals(2, 2));
    receiver.wait_until("both attempts", |hooks| hooks.len() == 2);
    daemon.kill9();
    vendor.abandon();
    receiver.reply(Reply::status(204));
    let _daemon = bridge.run();
    let mut keys: Vec<_> = receiver.wait_for(2).iter().map(|hook| hook.key().to_owned()).collect();
    keys.sort();
    assert_eq!(keys, ["1", "2"]);
}

#[test]
fn d3_a_sink_that_hangs_delays_neither_another_sink_nor_polls() {
    let (slow, crm) = (Receiver::scripted(|_| Reply::Hang), Receiver::start());
    let vendor = Vendor::in_lockstep();
    let job = format!("{ORDERS}send_to = ['crm', 'slow']");
    let text = config(&vendor, &crm, &job, "concurrency = 1").replacen("send_to = ['crm']\n", "", 1);
    let slow_sink = format!("[sink.slow]\nurl = '{}'\nsecret = '{SECRET}'\ntimeout = '10m'\n", slow.url());
    let bridge = Bridge::with(&(text + &slow_sink));
    let _daemon = bridge.run();
    for total in 1..=20 {
        vendor.step_json(&totals(total, 1));
    }
    assert_eq!(crm.wait_for(19).len(), 19);
    assert_eq!(slow.attempts().len(), 1, "order per key: the first is still on its way");
}

#[test]
fn d4_a_key_waits_for_its_own_and_not_for_others() {
    // Key 2 fails until key 1 has been told twice.
    let mut firsts = 0;
    let receiver = Receiver::scripted(move |hook| match hook.key() {
        "1" => {
            firsts += 1;
            Reply::status(204)
        }
        _ if firsts < 2 => Reply::status(500),
        _ => Reply::status(204),
    });
    let (vendor, bridge) = world(&receiver, "retry = ['1s', '1s', '1s', '1s', '1s', '1s']");
    let _daemon = bridge.run();
    for total in 1..=3 {
        vendor.step_json(&totals(total, total));
    }
    receiver.wait_for(4);
    let attempts = receiver.attempts();
    let of_two: Vec<_> = attempts.iter().filter(|hook| hook.key() == "2").collect();
    let (second, first) = (of_two.last().expect("key 2 was told"), of_two[0]);
    assert!(second.sequence() > first.sequence());
    let before_second = &of_two[..of_two.len() - 1];
    assert!(before_second.iter().all(|hook| hook.id == first.id), "one after the other");
    assert!(before_second.last().is_some_and(|hook| hook.accepted), "and only when the first was accepted");
}

#[test]
fn d4_a_burst_on_one_key_arrives_in_order() {
    let receiver = Receiver::start();
    let (vendor, bridge) = world(&receiver, "concurrency = 8");
    let _daemon = bridge.run();
    for total in 1..=30 {
        vendor.step_json(&totals(total, 1));
    }
    let sequences: Vec<_> = receiver.wait_for(29).iter().map(Hook::sequence).collect();
    assert_eq!(sequences, (1..=29).collect::<Vec<_>>());
}

#[test]
fn d5_retry_after_holds_the_whole_sink_back() {
    let receiver = Receiver::scripted(|hook| match (hook.key(), hook.attempt) {
        ("1", 1) => Reply::status(503).with("retry-after", "3"),
        _ => Reply::status(204),
    });
    let (vendor, bridge) = world(&receiver, PATIENT);
    let daemon = bridge.run();
    vendor.step_json(&totals(1, 1));
    vendor.step_json(&totals(2, 1));
    receiver.wait_until("the first attempt", |hooks| !hooks.is_empty());
    daemon.sink_until("crm", "the sink to be waiting", |sink| sink["health"] == "waiting");
    vendor.step_json(&totals(2, 2));
    receiver.wait_for(2);
    let attempts = receiver.attempts();
    let (refused, later) = (&attempts[0], &attempts[1..]);
    assert!(later.iter().all(|hook| hook.at - refused.at >= Duration::from_secs(3)), "{attempts:#?}");
}

#[test]
fn d5_retry_after_is_kept_over_a_kill_and_read_against_the_answers_own_date() {
    let refusal = Reply::status(429)
        .with("date", "Wed, 21 Oct 2015 07:28:00 GMT")
        .with("retry-after", "Wed, 21 Oct 2015 07:28:04 GMT");
    let receiver = Receiver::scripted(move |hook| if hook.attempt == 1 { refusal.clone() } else { Reply::status(204) });
    let (vendor, bridge) = world(&receiver, PATIENT);
    let daemon = bridge.run();
    vendor.step_json(&totals(1, 1));
    vendor.step_json(&totals(2, 1));
    daemon.sink_until("crm", "the sink to be waiting", |sink| sink["health"] == "waiting");
    daemon.kill9();
    vendor.abandon();
    let _daemon = bridge.run();
    receiver.wait_for(1);
    let attempts = receiver.attempts();
    assert!(attempts[1].at - attempts[0].at >= Duration::from_secs(4), "{attempts:#?}");
}

#[test]
fn d5_410_disables_the_sink_once_and_holds_what_comes() {
    let receiver = Receiver::scripted(|_| Reply::status(410));
    let (vendor, bridge) = world(&receiver, PATIENT);
    let daemon = bridge.run();
    vendor.step_json(&totals(1, 1));
    vendor.step_json(&totals(2, 1));
    let sink = daemon.sink_until("crm", "the sink to be disabled", |sink| sink["health"] == "disabled");
    assert!(sink["reason"].as_str().is_some_and(|reason| reason.contains("410")), "{sink}");
    vendor.step_json(&totals(3, 2));
    let sink = daemon.sink_until("crm", "the later events to be held", |sink| sink["held"] == 3);
    assert_eq!((&sink["backlog"], &sink["dead"]), (&0.into(), &0.into()), "{sink}");
    daemon.kill9();
    vendor.abandon();
    let daemon = bridge.run();
    vendor.step_json(&totals(4, 2));
    daemon.sink_until("crm", "the events after a restart to be held", |sink| sink["held"] == 4);
    assert_eq!(receiver.attempts().len(), 1, "asked once, and never again");
}

#[test]
fn d6_a_payload_too_large_is_dead_at_once_and_the_next_goes_on() {
    for status in [413, 415] {
        let receiver = Receiver::scripted(move |hook| match hook.sequence() {
            1 => Reply::status(status),
            _ => Reply::status(204),
        });
        let (vendor, bridge) = world(&receiver, PATIENT);
        let daemon = bridge.run();
        for total in 1..=3 {
            vendor.step_json(&totals(total, 1));
        }
        assert_eq!(receiver.wait_for(1)[0].sequence(), 2);
        assert_eq!(receiver.attempts().len(), 2);
        assert_eq!(daemon.sink("crm")["dead"], 1);
    }
}

#[test]
fn d6_a_spent_ladder_ends_dead_and_the_next_of_the_key_goes_on() {
    let receiver = Receiver::scripted(|hook| match hook.sequence() {
        1 => Reply::status(400),
        _ => Reply::status(204),
    });
    let (vendor, bridge) = world(&receiver, "retry = ['50ms', '150ms']");
    let daemon = bridge.run();
    for total in 1..=3 {
        vendor.step_json(&totals(total, 1));
    }
    assert_eq!(receiver.wait_for(1)[0].sequence(), 2);
    let attempts = receiver.attempts();
    assert_eq!(attempts.iter().map(Hook::sequence).collect::<Vec<_>>(), [1, 1, 1, 2]);
    assert!(attempts[1].at - attempts[0].at >= Duration::from_millis(50), "jitter is only added");
    assert!(attempts[2].at - attempts[1].at >= Duration::from_millis(150), "jitter is only added");
    assert_eq!(daemon.sink("crm")["dead"], 1);
}

/// A first attempt that is met like this, and what `doorbell event` tells of it. The second is accepted.
fn met_with(reply: Reply) -> Value {
    let receiver = Receiver::scripted(move |hook| match hook.attempt {
        1 => reply.clone(),
        _ => Reply::status(204),
    });
    let (vendor, bridge) = world(&receiver, "timeout = '500ms'\nretry = ['50ms', '50ms']");
    let daemon = bridge.run();
    vendor.step_json(&totals(1, 1));
    vendor.step_json(&totals(1, 2));
    let hooks = receiver.wait_for(1);
    assert_eq!(hooks[0].attempt, 2);
    assert_eq!(ids(&receiver.attempts()), [hooks[0].id.as_str(); 2]);
    let event = daemon.cli(["event", &hooks[0].id, "--json"]).ok().json();
    event["attempts"][0].clone()
}

#[test]
fn a_receiver_that_hangs_fails_within_its_timeout() {
    let attempt = met_with(Reply::Hang);
    assert!(attempt["status"].is_null() && attempt["reason"].is_string(), "{attempt}");
}

#[test]
fn a_receiver_that_drips_fails_within_its_timeout() {
    let attempt = met_with(Reply::Drip);
    assert!(attempt["reason"].is_string(), "{attempt}");
    assert!(attempt["took_ms"].as_u64().is_some_and(|took| took < 10_000), "{attempt}");
}

#[test]
fn a_receiver_that_cuts_the_connection_is_tried_again() {
    assert!(met_with(Reply::Cut)["reason"].is_string());
}

#[test]
fn a_redirect_of_a_receiver_is_a_failed_attempt_and_never_followed() {
    let elsewhere = Receiver::start();
    for status in [301, 302, 307, 308] {
        let attempt = met_with(Reply::status(status).with("location", &elsewhere.url()));
        assert_eq!(attempt["status"], status, "{attempt}");
        assert!(attempt["reason"].is_string(), "{attempt}");
    }
    assert_eq!(elsewhere.attempts().len(), 0);
}

#[test]
fn a_receiver_that_resets_is_tried_again() {
    let receiver = Receiver::start();
    receiver.reset_connections(true);
    let (vendor, bridge) = world(&receiver, PATIENT);
    let daemon = bridge.run();
    vendor.step_json(&totals(1, 1));
    vendor.step_json(&totals(1, 2));
    daemon.sink_until("crm", "the sink to be failing", |sink| sink["health"] == "failing");
    receiver.reset_connections(false);
    assert!(receiver.wait_for(1)[0].attempt > 1);
}

#[test]
fn a_receiver_that_answers_without_end_costs_neither_memory_nor_others() {
    let piece = vec![b'x'; 1 << 16];
    let receiver = Receiver::scripted(move |hook| match (hook.key(), hook.attempt) {
        ("1", 1) => Reply::Endless { headers: Vec::new(), piece: piece.clone() },
        _ => Reply::status(204),
    });
    let (vendor, bridge) = world(&receiver, "timeout = '2s'\nretry = ['50ms', '50ms']");
    let daemon = bridge.run();
    vendor.step_json(&totals(1, 1));
    vendor.step_json(&totals(2, 2));
    receiver.wait_until("the other key", |hooks| hooks.iter().any(|hook| hook.key() == "2" && hook.accepted));
    let sink = daemon.sink_until("crm", "both deliveries to end", |sink| sink["backlog"] == 0);
    assert_eq!((&sink["dead"], &sink["held"]), (&0.into(), &0.into()), "{sink}");
    assert!(daemon.peak_rss_kib() < 96 * 1024, "{} KiB", daemon.peak_rss_kib());
}

#[test]
fn a_sink_that_nobody_listens_at_is_tried_again() {
    let receiver = Receiver::start();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("an address");
    let vendor = Vendor::in_lockstep();
    let text = config(&vendor, &receiver, ORDERS, PATIENT).replace(&receiver.url(), &format!("http://{nobody}/"));
    let bridge = Bridge::with(&text);
    let daemon = bridge.run();
    vendor.step_json(&totals(1, 1));
    vendor.step_json(&totals(1, 2));
    daemon.sink_until("crm", "the sink to be failing", |sink| sink["health"] == "failing");
    let delivery = newest_delivery(&daemon);
    assert!(delivery["reason"].is_string(), "{delivery}");
    assert_eq!(delivery["state"], "due", "{delivery}");
}

#[test]
fn a_list_of_secrets_signs_with_each() {
    let receiver = Receiver::start();
    let (vendor, bridge) = world(&receiver, "headers = { X-Team = 'sales' }");
    let one = format!("secret = '{SECRET}'");
    let two = format!("secret = ['whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD', '{SECRET}']");
    bridge.write(&config(&vendor, &receiver, ORDERS, "headers = { X-Team = 'sales' }").replace(&one, &two));
    let _daemon = bridge.run();
    vendor.step_json(&totals(1, 1));
    vendor.step_json(&totals(1, 2));
    let hooks = receiver.wait_for(1);
    let signatures = hooks[0].request.header("webhook-signature").expect("it is signed");
    assert_eq!(signatures.split(' ').filter(|one| one.starts_with("v1,")).count(), 2, "{signatures}");
    assert_eq!(hooks[0].request.header("x-team"), Some("sales"));
}
