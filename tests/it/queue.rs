//! A sink's own queue: its order, its limit, what it shares and with whom, and what it does after a kill.
//!
//! The promises that every delivery has are `delivering.rs`.

use std::time::{Duration, Instant};

use crate::support::bridge::{BY_HAND, ORDERS, config};

use crate::support::json::rows;
use crate::support::receiver::Hook;
use crate::support::{Bridge, Daemon, Receiver, Reply, Vendor, http};

/// So many orders, all with this total.
fn orders(count: u32, total: u32) -> String {
    let rows: Vec<_> = (1..=count).map(|id| format!(r#"{{"id":{id},"total":{total}}}"#)).collect();
    format!(r#"{{"orders":[{}]}}"#, rows.join(","))
}

/// A vendor in lockstep, and a bridge from it with these lines of the sink.
fn world(receiver: &Receiver, sink: &str) -> (Vendor, Bridge) {
    let vendor = Vendor::in_lockstep();
    let bridge = Bridge::between(&vendor, receiver, ORDERS, sink);
    (vendor, bridge)
}

fn sequences(hooks: &[Hook]) -> Vec<u64> {
    hooks.iter().map(Hook::sequence).collect()
}

/// A receiver that refuses the first attempt of the first event.
fn refusing_once() -> Receiver {
    Receiver::scripted(|hook| match (hook.sequence(), hook.attempt) {
        (1, 1) => Reply::status(500),
        _ => Reply::status(204),
    })
}

#[test]
fn without_order_nothing_waits_for_what_failed() {
    let receiver = refusing_once();
    let (vendor, bridge) = world(&receiver, "order = 'none'\nretry = ['2s']");
    let _daemon = bridge.run();
    for total in 1..=4 {
        vendor.step_json(&orders(1, total));
    }
    assert_eq!(sequences(&receiver.wait_for(3)), [2, 3, 1], "one key, and the second did not wait for the first");
}

fn reload(daemon: &Daemon<'_>) {
    let answer = http::ask(daemon.addr, "POST", "/api/v1/reload", &[], b"").expect("the API answers");
    assert_eq!(answer.status, 200);
}

#[test]
fn d4_the_order_holds_over_an_edit_of_itself_while_deliveries_wait() {
    let edits = [("none", "key"), ("none", "job"), ("job", "key"), ("key", "job")];
    for ((before, after), kill) in edits.into_iter().flat_map(|edit| [(edit, false), (edit, true)]) {
        let receiver = refusing_once();
        let sink = |order: &str| format!("order = '{order}'\nretry = ['1s']");
        let (vendor, bridge) = world(&receiver, &sink(before));
        let daemon = bridge.run();
        vendor.step_json(&orders(1, 1));
        vendor.step_json(&orders(1, 2));
        receiver.wait_until("the first attempt", |hooks| !hooks.is_empty());
        daemon.sink_until("crm", "it to be settled", |sink| sink["reason"].is_string() || sink["backlog"] == 1);
        bridge.write(&config(&vendor, &receiver, ORDERS, &sink(after)));
        let daemon = if kill {
            vendor.abandon();
            daemon.kill9();
            bridge.run()
        } else {
            reload(&daemon);
            daemon
        };
        vendor.step_json(&orders(1, 3));
        let hooks = receiver.wait_for(2);
        assert_eq!(sequences(&hooks), [1, 2], "from `{before}` to `{after}`, killed: {kill}");
        daemon.terminate_with(&vendor);
    }
}

#[test]
fn everything_that_waits_goes_however_often_the_order_is_edited() {
    for batch in ["", "batch = { max = 3, wait = '10ms' }"] {
        let receiver = Receiver::scripted(|_| Reply::status(503));
        let ladder = ["'50ms'"; 30].join(", ");
        let sink = |order: &str| format!("order = '{order}'\nretry = [{ladder}]\n{batch}");
        let (vendor, bridge) = world(&receiver, &sink("key"));
        let daemon = bridge.run();
        vendor.step_json(&orders(5, 1));
        for (order, total) in ["none", "job", "key", "none", "job"].into_iter().zip(2..) {
            vendor.step_json(&orders(5, total));
            bridge.write(&config(&vendor, &receiver, ORDERS, &sink(order)));
            reload(&daemon);
        }
        receiver.reply(Reply::status(204));
        daemon.sink_until("crm", "everything", |sink| sink["backlog"] == 0 && !sink["last_success"].is_null());
        let taken: Vec<Hook> = receiver.attempts().into_iter().filter(|hook| hook.accepted).collect();
        let events: usize = taken.iter().map(|hook| hook.json.as_array().map_or(1, Vec::len)).sum();
        assert_eq!(events, 25, "batches: {batch}");
        if batch.is_empty() {
            assert_eq!(sequences(&taken), (1..=25).collect::<Vec<_>>(), "the last order is the job's");
        }
        daemon.terminate_with(&vendor);
    }
}

#[test]
fn a_replay_stands_behind_what_waits_in_the_order_of_now() {
    let receiver = Receiver::scripted(|hook| match (hook.sequence(), hook.attempt) {
        (2, 1) => Reply::status(500),
        _ => Reply::status(204),
    });
    let sink = |order: &str| format!("order = '{order}'\nretry = ['1s']");
    let (vendor, bridge) = world(&receiver, &sink("none"));
    let daemon = bridge.run();
    vendor.step_json(&orders(1, 1));
    vendor.step_json(&orders(1, 2));
    let first = receiver.wait_for(1).remove(0);
    daemon.sink_until("crm", "it to be settled", |sink| sink["backlog"] == 0);
    bridge.write(&config(&vendor, &receiver, ORDERS, &sink("key")));
    reload(&daemon);
    vendor.step_json(&orders(1, 3));
    receiver.wait_until("the second event", |hooks| hooks.len() == 2);
    daemon.cli(["replay", &first.id]).ok();
    assert_eq!(sequences(&receiver.wait_for(3)), [1, 2, 1]);
    daemon.terminate_with(&vendor);
}

#[test]
fn without_an_order_from_now_on_what_waited_goes_at_once() {
    let receiver = refusing_once();
    let sink = |order: &str| format!("order = '{order}'\nretry = ['1h']");
    let (vendor, bridge) = world(&receiver, &sink("key"));
    let daemon = bridge.run();
    for total in 1..=3 {
        vendor.step_json(&orders(1, total));
    }
    daemon.sink_until("crm", "two that wait", |sink| sink["backlog"] == 2);
    bridge.write(&config(&vendor, &receiver, ORDERS, &sink("none")));
    reload(&daemon);
    assert_eq!(sequences(&receiver.wait_for(1)), [2]);
    daemon.terminate_with(&vendor);
}

#[test]
fn in_the_jobs_order_everything_waits_for_what_failed() {
    let receiver = refusing_once();
    let (vendor, bridge) = world(&receiver, "order = 'job'\nretry = ['500ms']");
    let _daemon = bridge.run();
    for total in 1..=3 {
        vendor.step_json(&orders(3, total));
    }
    receiver.wait_for(6);
    assert_eq!(sequences(&receiver.attempts()), [1, 1, 2, 3, 4, 5, 6], "three keys, and none went ahead");
}

#[test]
fn a_sink_has_no_more_attempts_in_flight_than_its_concurrency() {
    let receiver = Receiver::scripted(|_| Reply::Hang);
    let (vendor, bridge) = world(&receiver, "concurrency = 3\ntimeout = '2s'\nretry = ['1h']");
    let _daemon = bridge.run();
    vendor.step_json(&orders(6, 1));
    vendor.step_json(&orders(6, 2));
    let hooks = receiver.wait_until("a fourth attempt", |hooks| hooks.len() >= 4);
    let after = |at: usize| hooks[at].at - hooks[0].at;
    assert!(after(2) < Duration::from_secs(4), "three at once, and not one after the other: {:?}", after(2));
    assert!(after(3) >= Duration::from_millis(1900), "the fourth waits until the first has given up: {:?}", after(3));
}

#[test]
fn d5_a_retry_after_on_a_200_holds_the_sink_back_too() {
    let receiver = Receiver::scripted(|hook| match hook.sequence() {
        1 => Reply::status(200).with("retry-after", "2"),
        _ => Reply::status(200),
    });
    let (vendor, bridge) = world(&receiver, "");
    let daemon = bridge.run();
    vendor.step_json(&orders(1, 1));
    vendor.step_json(&orders(1, 2));
    daemon.sink_until("crm", "the sink to be waiting", |sink| sink["health"] == "waiting");
    vendor.step_json(&orders(1, 3));
    let hooks = receiver.wait_for(2);
    assert!(hooks[1].at - hooks[0].at >= Duration::from_secs(2), "{:?}", hooks[1].at - hooks[0].at);
    assert_eq!(sequences(&receiver.attempts()), [1, 2], "what was delivered is not sent again");
}

#[test]
fn d5_a_retry_after_of_more_than_a_day_is_a_day() {
    let receiver = Receiver::scripted(|_| Reply::status(503).with("retry-after", "604800"));
    let (vendor, bridge) = world(&receiver, "");
    let daemon = bridge.run();
    vendor.step_json(&orders(1, 1));
    vendor.step_json(&orders(1, 2));
    let sink = daemon.sink_until("crm", "the sink to be waiting", |sink| sink["health"] == "waiting");
    let seconds = |moment: &serde_json::Value| {
        let text = moment.as_str().expect("a moment is text");
        chrono::DateTime::parse_from_rfc3339(text).expect("RFC 3339").timestamp()
    };
    let oldest = seconds(&sink["oldest"]);
    let wait = seconds(&sink["not_before"]) - oldest;
    assert!((86_400..86_400 + 60).contains(&wait), "{wait} s: {sink}");
}

#[test]
fn every_2xx_is_a_delivery_and_every_other_answer_is_tried_again() {
    const AGAIN: [u16; 15] = [400, 401, 403, 404, 405, 408, 409, 418, 422, 425, 429, 500, 502, 503, 504];
    const DONE: [u16; 5] = [200, 201, 202, 206, 299];
    let statuses = [&AGAIN[..], &DONE[..]].concat();
    let (first, count) = (statuses.clone(), statuses.len());
    let receiver = Receiver::scripted(move |hook| match hook.attempt {
        1 => Reply::status(first[hook.sequence() as usize - 1]),
        _ => Reply::status(204),
    });
    let (vendor, bridge) = world(&receiver, "retry = ['50ms']");
    let _daemon = bridge.run();
    vendor.step_json(&orders(count as u32, 1));
    vendor.step_json(&orders(count as u32, 2));
    receiver.wait_for(count);
    for (status, sequence) in statuses.iter().zip(1..) {
        let attempts = receiver.attempts().iter().filter(|hook| hook.sequence() == sequence).count();
        assert_eq!(attempts, if *status < 300 { 1 } else { 2 }, "after {status}");
    }
}

#[test]
fn an_answer_of_ten_gigabytes_is_cut_and_counts_by_its_status() {
    let piece = vec![b'x'; 1 << 16];
    let headers = vec![("content-length".to_owned(), (10_u64 << 30).to_string())];
    let receiver = Receiver::scripted(move |_| Reply::Endless { headers: headers.clone(), piece: piece.clone() });
    let (vendor, bridge) = world(&receiver, "");
    let daemon = bridge.run();
    vendor.step_json(&orders(1, 1));
    let begun = Instant::now();
    vendor.step_json(&orders(1, 2));
    let sink = daemon.sink_until("crm", "the delivery to end", |sink| sink["backlog"] == 0);
    assert!(begun.elapsed() < Duration::from_secs(20), "as much as is read of it is read at once");
    assert_eq!((&sink["dead"], &sink["health"]), (&0.into(), &"ok".into()), "{sink}");
    assert_eq!(receiver.attempts().len(), 1);
    assert!(daemon.peak_rss_kib() < 96 * 1024, "{} KiB", daemon.peak_rss_kib());
    let id = &receiver.attempts()[0].id;
    let event = daemon.cli(["event", id, "--json"]).ok().json();
    assert!(event["attempts"][0]["answer"].as_str().is_some_and(|kept| kept.len() <= 4096), "4 KiB are kept");
}

#[test]
fn two_jobs_share_a_sink_and_keys_of_one_name_are_not_one() {
    // The job `orders` is refused until `users` has been told twice of an item with the same key.
    let mut told = 0;
    let receiver = Receiver::scripted(move |hook| {
        let of_users = hook.data()["job"] == "users";
        told += usize::from(of_users);
        if of_users || told >= 2 { Reply::status(204) } else { Reply::status(500) }
    });
    let (orders_of, users) = (Vendor::in_lockstep(), Vendor::in_lockstep());
    let retry = format!("retry = [{}]", ["'100ms'"; 30].join(", "));
    let other = format!("[job.users]\nurl = '{}/users'\nsend_to = ['crm']\n{ORDERS}", users.url());
    let bridge = Bridge::with(&(config(&orders_of, &receiver, ORDERS, &retry) + &other));
    let daemon = bridge.run();
    orders_of.step_json(&orders(1, 1));
    users.step_json(&orders(1, 1));
    orders_of.step_json(&orders(1, 2));
    receiver.wait_until("the first attempt of `orders`", |hooks| !hooks.is_empty());
    users.step_json(&orders(1, 2));
    users.step_json(&orders(1, 3));
    let hooks = receiver.wait_for(3);
    let story =
        |job: &str| sequences(&hooks.iter().filter(|hook| hook.data()["job"] == job).cloned().collect::<Vec<_>>());
    assert_eq!((story("orders"), story("users")), (vec![1], vec![1, 2]), "each job counts for itself");
    assert_eq!(hooks[2].data()["job"], "orders");
    let types = rows(&daemon.cli(["events", "--json"]).ok().json());
    assert_eq!(types.iter().filter(|event| event["type"] == "users.updated").count(), 2);
}

#[test]
fn d2_what_was_in_flight_at_a_kill_is_sent_again_with_the_same_id_and_bytes() {
    let receiver = Receiver::scripted(|_| Reply::Hang);
    let (vendor, bridge) = world(&receiver, "timeout = '10m'");
    let daemon = bridge.run();
    vendor.step_json(&orders(1, 1));
    vendor.step_json(&orders(1, 2));
    receiver.wait_until("the attempt", |hooks| !hooks.is_empty());
    daemon.kill9();
    vendor.abandon();
    receiver.reply(Reply::status(204));
    let daemon = bridge.run();
    let delivered = receiver.wait_for(1);
    let attempts = receiver.attempts();
    assert_eq!(attempts.len(), 2);
    assert_eq!((&attempts[0].id, &attempts[0].body), (&delivered[0].id, &delivered[0].body));
    daemon.sink_until("crm", "the delivery to be settled", |sink| sink["backlog"] == 0);
    vendor.step_json(&orders(1, 2));
    assert_eq!(receiver.attempts().len(), 2, "the change was committed with its event: it is not found again");
}

#[test]
fn d3_a_retry_that_falls_due_while_another_key_hangs_is_made() {
    let receiver = Receiver::scripted(|hook| if hook.key() == "1" { Reply::Hang } else { Reply::status(500) });
    let (vendor, bridge) = world(&receiver, "timeout = '10m'\nretry = ['2s', '2s', '2s', '2s', '2s']");
    let daemon = bridge.run();
    vendor.step_json(&orders(2, 1));
    vendor.step_json(&orders(2, 2));
    receiver.wait_until("an attempt of each key", |hooks| hooks.len() == 2);
    daemon.sink_until("crm", "the failed attempt to be settled", |sink| sink["health"] == "failing");
    daemon.kill9();
    vendor.abandon();
    // Key 1 is due at once and hangs again; key 2 falls due two seconds later.
    receiver.script(|hook| if hook.key() == "1" { Reply::Hang } else { Reply::status(204) });
    let _daemon = bridge.run();
    assert_eq!(receiver.wait_for(1)[0].key(), "2");
}

#[test]
fn a_sink_that_left_the_config_keeps_what_waits_for_it() {
    let receiver = Receiver::scripted(|_| Reply::status(500));
    let (vendor, bridge) = world(&receiver, "retry = ['1s', '1s', '1s', '1s', '1s', '1s', '1s', '1s', '1s', '1s']");
    let with_sink = std::fs::read_to_string(bridge.path().join("doorbell.toml")).expect("the config is there");
    let daemon = bridge.run();
    vendor.step_json(&orders(1, 1));
    vendor.step_json(&orders(1, 2));
    receiver.wait_until("an attempt", |hooks| !hooks.is_empty());
    daemon.terminate_with(&vendor);

    let sink_at = with_sink.find("[sink.crm]").expect("there is a sink");
    bridge.write(&with_sink[..sink_at].replace("send_to = ['crm']", "send_to = []"));
    let daemon = bridge.run();
    vendor.step_json(&orders(1, 2));
    let attempts = receiver.attempts().len();
    daemon.terminate_with(&vendor);
    assert_eq!(receiver.attempts().len(), attempts, "a sink that is gone is not told");

    bridge.write(&with_sink);
    receiver.reply(Reply::status(204));
    let _daemon = bridge.run();
    assert_eq!(sequences(&receiver.wait_for(1)), [1]);
}

#[test]
fn a_receiver_without_the_tls_that_its_url_promises_is_tried_again() {
    let receiver = Receiver::start();
    let vendor = Vendor::of(&orders(1, 1));
    let plain = config(&vendor, &receiver, BY_HAND, "retry = ['1h']");
    let bridge = Bridge::with(&plain.replace(&receiver.url(), &receiver.url().replace("http:", "https:")));
    bridge.cli(["poll", "orders", "--commit"]).ok();
    vendor.serve(&orders(1, 2));
    bridge.cli(["poll", "orders", "--commit"]).ok();
    let event = rows(&bridge.cli(["events", "--json"]).ok().json())[0].clone();
    assert_eq!((&event["deliveries"][0]["state"], &event["deliveries"][0]["attempts"]), (&"due".into(), &1.into()));
    let reason = event["deliveries"][0]["reason"].as_str().unwrap_or_default().to_lowercase();
    assert!(reason.contains("tls"), "{reason}");
}

#[test]
fn an_event_too_large_leaves_out_what_it_can_and_one_that_still_is_is_born_dead() {
    let receiver = Receiver::start();
    let (vendor, bridge) = world(&receiver, "");
    let daemon = bridge.run();
    let noted =
        |letter: &str, length: usize| format!(r#"{{"orders":[{{"id":1,"note":"{}"}}]}}"#, letter.repeat(length));
    vendor.step_json(&noted("a", 400_000));
    vendor.step_json(&noted("b", 400_000));
    vendor.step_json(&noted("c", 700_000));
    vendor.step_json(&noted("d", 1_100_000));
    vendor.step_json(&noted("e", 1));
    // The last is over the limit with what was before it, too.
    let hooks = receiver.wait_for(3);
    let omitted: Vec<_> = hooks.iter().map(|hook| hook.data()["omitted"].clone()).collect();
    let both = serde_json::json!(["patch", "before"]);
    assert_eq!(omitted, [serde_json::json!(["patch"]), both.clone(), both]);
    assert_eq!(sequences(&hooks), [1, 2, 4], "an event that is born dead has its number, and holds up nobody");
    assert_eq!(daemon.sink("crm")["dead"], 1);
}
