//! What becomes of deliveries when a receiver is down, gone, slow or behind: the breaker, limits, rates, isolation.
//!
//! Days and ladders are gone through in the engine's own tests, over a clock of theirs; here the daemon is real.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

use crate::support::bridge::{ORDERS, config};
use crate::support::json::rows;
use crate::support::receiver::Hook;
use crate::support::signal::ask_until;
use crate::support::signature::SECRET;
use crate::support::{Bridge, Daemon, Receiver, Reply, Vendor};

/// Orders with these totals, numbered from 1.
fn orders(totals: &[u32]) -> String {
    let order = |(at, total): (usize, &u32)| format!(r#"{{"id":{},"total":{total}}}"#, at + 1);
    format!(r#"{{"orders":[{}]}}"#, totals.iter().enumerate().map(order).collect::<Vec<_>>().join(","))
}

/// A daemon that has seen `count` orders change once.
fn changed<'a>(vendor: &Vendor, bridge: &'a Bridge, count: usize) -> Daemon<'a> {
    let daemon = bridge.run();
    vendor.step_json(&orders(&vec![1; count]));
    vendor.step_json(&orders(&vec![2; count]));
    daemon
}

/// The deliveries that `doorbell events` shows.
fn deliveries(daemon: &Daemon<'_>) -> Vec<serde_json::Value> {
    let events = rows(&daemon.cli(["events", "--json", "--limit", "1000"]).ok().json());
    events.iter().map(|event| event["deliveries"][0].clone()).collect()
}

#[test]
fn an_outage_costs_few_attempts_kills_nothing_and_ends_with_the_first_2xx() {
    let receiver = Receiver::scripted(|_| Reply::status(503));
    let vendor = Vendor::in_lockstep();
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "retry = ['100ms', '200ms']\nconcurrency = 1");
    let daemon = changed(&vendor, &bridge, 20);
    receiver.wait_until("probes", |hooks| hooks.len() >= 12);
    let sink = daemon.sink("crm");
    assert_eq!((&sink["breaker_open"], &sink["health"]), (&true.into(), &"failing".into()), "{sink}");
    let attempts = receiver.attempts();
    // The first five were sent at once; each later one is a probe of its own, on the ladder of the breaker.
    let waits: Vec<Duration> = attempts[4..].windows(2).map(|pair| pair[1].at - pair[0].at).collect();
    assert!(waits.iter().all(|wait| *wait >= Duration::from_millis(95)), "{waits:?}");
    let ids: BTreeSet<&str> = attempts.iter().map(|hook| hook.id.as_str()).collect();
    assert_eq!(ids.len(), attempts.len().min(20), "the fewest attempts go first");
    receiver.reply(Reply::status(204));
    let accepted = receiver.wait_for(20);
    assert_eq!(accepted.iter().map(|hook| &hook.id).collect::<BTreeSet<_>>().len(), 20);
    let sink = daemon.sink_until("crm", "the sink to be well", |sink| sink["backlog"] == 0);
    assert_eq!((&sink["dead"], &sink["health"]), (&0.into(), &"ok".into()), "{sink}");
    assert_eq!(daemon.logs().matches("one delivery at a time tries it").count(), 1, "told once");
    assert_eq!(daemon.logs().matches("sink recovered").count(), 1, "told once");
}

#[test]
fn an_open_breaker_stays_open_over_a_kill() {
    let receiver = Receiver::scripted(|_| Reply::status(503));
    let vendor = Vendor::in_lockstep();
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "retry = ['1h']\nconcurrency = 1");
    let daemon = changed(&vendor, &bridge, 8);
    let before = daemon.sink_until("crm", "an open breaker", |sink| sink["breaker_open"] == true);
    daemon.kill9();
    vendor.abandon();
    let daemon = bridge.run();
    vendor.step_json(&orders(&[3; 8]));
    let after = daemon.sink_until("crm", "the new events", |sink| sink["backlog"] == 16);
    assert_eq!((&after["breaker_open"], &after["not_before"]), (&true.into(), &before["not_before"]));
    assert_eq!(receiver.attempts().len(), 5, "and nobody was tried");
    assert!(daemon.get("/metrics").text().contains("doorbell_sink_breaker_open{sink=\"crm\"} 1"));
}

/// The first delivery's attempt can't be written before there is one of the second.
const LATE: &str = "CREATE TRIGGER late BEFORE INSERT ON attempt WHEN NEW.delivery = 1 AND NOT EXISTS \
                    (SELECT 1 FROM attempt WHERE delivery = 2) BEGIN SELECT RAISE(ABORT, 'late'); END";

#[test]
fn d5_what_is_written_late_does_not_bring_back_an_older_sink() {
    let receiver = Receiver::scripted(|hook| match hook.key() {
        "1" => Reply::status(503),
        _ => Reply::status(503).with("retry-after", "3600"),
    });
    let vendor = Vendor::in_lockstep();
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "retry = ['1h']");
    let daemon = bridge.run();
    vendor.step_json(&orders(&[1, 1]));
    daemon.job_until("orders", "the baseline", |job| job["items"] == 2);
    rusqlite::Connection::open(bridge.state()).expect("a state").execute_batch(LATE).expect("a trigger");
    vendor.step_json(&orders(&[2, 1]));
    daemon.wait_for_log("settlements can't be written");
    vendor.step_json(&orders(&[2, 2]));
    let asked = daemon.sink_until("crm", "what it asked for", |sink| !sink["not_before"].is_null());
    ask_until("both attempts to be kept", || {
        deliveries(&daemon).iter().all(|delivery| delivery["attempts"] == 1).then_some(())
    });
    assert_eq!(daemon.sink("crm")["not_before"], asked["not_before"]);
    daemon.kill9();
    vendor.abandon();
    assert_eq!(bridge.run().sink("crm")["not_before"], asked["not_before"], "over a kill, too");
}

#[test]
fn a_poison_event_dies_alone_while_the_others_of_its_sink_go_on() {
    let receiver = Receiver::scripted(|hook| match hook.key() {
        "1" => Reply::status(400),
        _ => Reply::status(204),
    });
    let vendor = Vendor::in_lockstep();
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "retry = ['20ms', '20ms', '20ms']");
    let daemon = changed(&vendor, &bridge, 10);
    let sink = daemon.sink_until("crm", "all to end", |sink| sink["backlog"] == 0);
    assert_eq!(sink["dead"], 1, "{sink}");
    assert_eq!(receiver.accepted().len(), 9);
}

#[test]
fn the_event_after_a_dead_one_names_it_until_it_has_arrived() {
    let receiver = Receiver::scripted(|hook| match (hook.sequence(), hook.attempt) {
        (1 | 2, _) => Reply::status(413),
        (3, 1) => Reply::status(500),
        _ => Reply::status(204),
    });
    let vendor = Vendor::in_lockstep();
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "retry = ['50ms']");
    let _daemon = bridge.run();
    for total in 1..=5 {
        vendor.step_json(&orders(&[total]));
    }
    let accepted = receiver.wait_for(2);
    let attempts = receiver.attempts();
    let skipped = |sequence: u64| {
        let of = attempts.iter().filter(move |hook| hook.sequence() == sequence);
        of.map(|hook| hook.request.header("doorbell-skipped").map(str::to_owned)).collect::<Vec<_>>()
    };
    let id = |sequence: u64| attempts.iter().find(|hook| hook.sequence() == sequence).map(|hook| hook.id.clone());
    let both = format!("{},{}", id(1).expect("it was sent"), id(2).expect("it was sent"));
    assert_eq!(skipped(1), [None]);
    assert_eq!(skipped(2), [id(1)]);
    assert_eq!(skipped(3), [Some(both.clone()), Some(both)], "on every attempt");
    assert_eq!(skipped(4), [None], "it has been told");
    assert_eq!(accepted.iter().map(Hook::sequence).collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn a_rate_is_never_exceeded_beyond_its_burst() {
    let receiver = Receiver::start();
    let vendor = Vendor::in_lockstep();
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "rate = '10/s'");
    let _daemon = changed(&vendor, &bridge, 25);
    let hooks = receiver.wait_for(25);
    let span = hooks[24].at - hooks[0].at;
    assert!(span >= Duration::from_millis(1350), "25 in {span:?}: ten at once, then ten a second");
}

#[test]
fn a_full_sink_pauses_its_job_visibly_and_nothing_is_lost() {
    let receiver = Receiver::scripted(|_| Reply::status(503));
    let vendor = Vendor::of(&orders(&[1; 6]));
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "max_backlog = 5\nretry = ['200ms', '200ms']");
    let daemon = bridge.run();
    daemon.job_until("orders", "the baseline", |job| job["items"] == 6);
    vendor.serve(&orders(&[2; 6]));
    let sink = daemon.sink_until("crm", "the sink to be full", |sink| sink["health"] == "full");
    assert!(sink["reason"].as_str().is_some_and(|reason| reason.contains("`max_backlog` = 5")), "{sink}");
    let job = daemon.job_until("orders", "the job to be paused", |job| job["health"] == "paused");
    assert!(job["reason"].as_str().is_some_and(|reason| reason.contains("paused for the sink `crm`")), "{job}");
    assert!(job["next_run"].is_null(), "nobody knows when: {job}");
    assert_eq!(daemon.logs().matches("jobs that feed the sink are paused").count(), 1, "told once");
    vendor.serve(&orders(&[3; 6]));
    let polls = vendor.count();
    receiver.wait_until("a probe", |hooks| hooks.len() >= 8);
    assert_eq!(vendor.count(), polls, "it is not polled");
    receiver.reply(Reply::status(204));
    assert_eq!(receiver.wait_for(12).iter().filter(|hook| hook.data()["after"]["total"] == 3).count(), 6);
    daemon.wait_for_log("the jobs that feed the sink go on");
    daemon.job_until("orders", "the job to be well", |job| matches!(job["health"].as_str(), Some("ok" | "polling")));
}

#[test]
fn a_sink_that_drops_keeps_and_lists_what_it_dropped() {
    let receiver = Receiver::scripted(|_| Reply::status(503));
    let vendor = Vendor::in_lockstep();
    let limits = "max_backlog = 6\nat_limit = 'drop_oldest'\nretry = ['1h']\nconcurrency = 1";
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, limits);
    let daemon = changed(&vendor, &bridge, 6);
    daemon.sink_until("crm", "an open breaker", |sink| sink["breaker_open"] == true);
    vendor.step_json(&orders(&[3; 6]));
    let sink = daemon.sink_until("crm", "the oldest to be dropped", |sink| sink["dead"] == 6);
    assert_eq!(sink["backlog"], 6, "{sink}");
    let dead: Vec<_> = deliveries(&daemon).into_iter().filter(|one| one["state"] == "dead").collect();
    let reason = "dropped as the oldest: more than `max_backlog` = 6 waited";
    assert!(dead.len() == 6 && dead.iter().all(|one| one["reason"] == reason), "{dead:#?}");
    assert!(daemon.get("/metrics").text().contains("doorbell_deliveries_dropped_total{sink=\"crm\"} 6"));
    daemon.wait_for_log("the oldest deliveries were dropped");
    assert_eq!(receiver.attempts().len(), 5);
}

#[test]
fn sinks_that_hang_drip_reset_flood_or_stall_in_tls_delay_no_other() {
    let hang = Receiver::scripted(|_| Reply::Hang);
    let drip = Receiver::scripted(|_| Reply::Drip);
    let flood = Receiver::scripted(|_| Reply::Endless {
        headers: vec![("content-length".into(), "10000000000".into())],
        piece: vec![b'x'; 1 << 16],
    });
    let reset = Receiver::start();
    reset.reset_connections(true);
    // It takes connections, and never says a word of TLS.
    let stalled = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let tls = format!("https://{}/hook", stalled.local_addr().expect("an address"));
    let good = Receiver::start();
    let vendor = Vendor::in_lockstep();
    let bad =
        [("hang", hang.url()), ("drip", drip.url()), ("flood", flood.url()), ("reset", reset.url()), ("tls", tls)];
    let names: Vec<String> = bad.iter().map(|(name, _)| format!("'{name}'")).collect();
    let job = format!("{ORDERS}send_to = ['crm', {}]", names.join(", "));
    let mut text = config(&vendor, &good, &job, "").replacen("send_to = ['crm']\n", "", 1);
    for (name, url) in &bad {
        text += &format!("[sink.{name}]\nurl = '{url}'\nsecret = '{SECRET}'\ntimeout = '10m'\nretry = ['1h']\n");
    }
    let bridge = Bridge::with(&text);
    let daemon = bridge.run();
    for total in 1..=20 {
        vendor.step_json(&orders(&[total, total, total]));
    }
    assert_eq!(good.wait_for(57).len(), 57);
    for name in ["hang", "drip", "tls"] {
        assert_eq!(daemon.sink(name)["backlog"], 57, "{name}: not one has ended");
    }
    assert!(daemon.peak_rss_kib() < 96 * 1024, "{} KiB", daemon.peak_rss_kib());
}

#[test]
fn bad_limits_are_refused_with_what_would_be_right() {
    let (vendor, receiver) = (Vendor::of("{}"), Receiver::start());
    for (line, hint) in [
        ("rate = '5'", "`5` is not a rate"),
        ("rate = 5", "`rate`"),
        ("max_backlog = 0", "from 1 to 4294967295"),
        ("max_age = '1 week'", "7d"),
        ("max_age = '10ms'", "`max_age`"),
        ("at_limit = 'drop'", "`drop_oldest`"),
    ] {
        let bridge = Bridge::between(&vendor, &receiver, ORDERS, line);
        let done = bridge.cli(["check"]);
        assert_eq!(done.code, Some(2), "{line}: {done:#?}");
        assert!(done.output().contains(hint), "{line}: {done:#?}");
    }
}
