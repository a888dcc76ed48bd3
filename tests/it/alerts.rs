//! Honest about itself (promise L3): troubles of jobs, sinks and deliveries are events of their own, once each.
//!
//! What only time brings is tested in the engine, on a clock that can be moved; that a minute brings it, here.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::bridge::{ORDERS, config};
use crate::support::http::Request;
use crate::support::json::rows;
use crate::support::pages::number;
use crate::support::receiver::Hook;
use crate::support::signature::SECRET;
use crate::support::{Bridge, Daemon, Receiver, Reply, Vendor};

const ONE: &str = r#"{"orders":[{"id":1,"total":1}]}"#;
const TWO: &str = r#"{"orders":[{"id":1,"total":2}]}"#;
const THREE: &str = r#"{"orders":[{"id":1,"total":3}]}"#;

/// The usual config with the sink `ops`, and these lines under `[alerts]`.
fn with_alerts(vendor: &Vendor, crm: &Receiver, ops: &Receiver, alerts: &str) -> String {
    let ops = format!("[sink.ops]\nurl = '{}'\nsecret = '{SECRET}'\nretry = []\n", ops.url());
    format!("{}\n{ops}\n[alerts]\nsend_to = ['ops']\n{alerts}\n", config(vendor, crm, ORDERS, "retry = []"))
}

fn kinds(hooks: &[Hook]) -> Vec<&str> {
    hooks.iter().map(|hook| hook.json["type"].as_str().unwrap_or_default()).collect()
}

/// The system events of the listing, the oldest first.
fn listed(daemon: &Daemon<'_>) -> Vec<Value> {
    let mut events = rows(&daemon.cli(["events", "--job", "doorbell", "--json", "-n", "1000"]).ok().json());
    events.reverse();
    events
}

#[test]
fn l3_a_job_rings_after_three_failed_polls_and_when_it_comes_right() {
    let (vendor, crm, ops) = (Vendor::of(ONE), Receiver::start(), Receiver::start());
    let bridge = Bridge::with(&with_alerts(&vendor, &crm, &ops, ""));
    let daemon = bridge.run();
    daemon.job_until("orders", "a good poll", |job| job["health"] == "ok");
    vendor.reply(Reply::status(500));
    let hooks = ops.wait_for(1);
    let failing = &hooks[0];
    assert_eq!(failing.json["type"], "doorbell.job.failing");
    assert_eq!((&failing.data()["job"], failing.data()["failures"].as_u64()), (&Value::from("orders"), Some(3)));
    assert!(failing.data()["reason"].as_str().is_some_and(|reason| reason.contains("500")), "{}", failing.json);
    assert!(failing.data()["since"].as_str() < failing.json["timestamp"].as_str(), "{}", failing.json);
    vendor.wait_for_more(1);
    assert_eq!(ops.attempts().len(), 1, "once");

    vendor.serve(ONE);
    let hooks = ops.wait_for(2);
    assert_eq!(hooks[1].json["type"], "doorbell.job.recovered");
    assert_eq!(hooks[1].data()["since"], failing.data()["since"]);
    assert_eq!((failing.sequence(), hooks[1].sequence()), (1, 2));
    let listed = listed(&daemon);
    let shown: Vec<_> = listed.iter().map(|event| (event["job"].as_str(), event["change"].as_str())).collect();
    assert_eq!(shown, [(Some("doorbell"), Some("failing")), (Some("doorbell"), Some("recovered"))]);
    assert_eq!(listed[0]["id"], failing.id.as_str());
    let detail = daemon.cli(["event", &failing.id]).ok();
    assert!(detail.stdout.contains("doorbell.job.failing"), "{detail:?}");
    assert_eq!(crm.attempts().len(), 0, "nobody else is told");
}

#[test]
fn l3_a_job_that_goes_on_failing_rings_again() {
    let (vendor, crm, ops) = (Vendor::of("no JSON"), Receiver::start(), Receiver::start());
    let bridge = Bridge::with(&with_alerts(&vendor, &crm, &ops, "after = 1\nremind = '100ms'"));
    let _daemon = bridge.run();
    let hooks = ops.wait_until("three rings", |hooks| hooks.len() >= 3);
    let reminders: Vec<_> = hooks[..3].iter().map(|hook| hook.data()["reminders"].as_u64()).collect();
    assert_eq!(reminders, [Some(0), Some(1), Some(2)]);
    assert!(hooks.iter().all(|hook| hook.json["type"] == "doorbell.job.failing"));
    assert!(hooks[..3].iter().all(|hook| hook.data()["since"] == hooks[0].data()["since"]));
    assert!(hooks[0].id != hooks[1].id && hooks[1].id != hooks[2].id);
}

/// Lists one order; the page behind it is there, or fails.
fn first_page_of(whole: bool) -> impl Fn(&Request) -> Reply + Send + 'static {
    move |request| match (number(request, "page", 1), whole) {
        (1, _) => Reply::json(ONE),
        (_, true) => Reply::json(r#"{"orders":[]}"#),
        (_, false) => Reply::status(500),
    }
}

#[test]
fn l3_a_job_that_is_never_read_whole_goes_stale_once_and_comes_right() {
    let (vendor, crm, ops) = (Vendor::scripted(first_page_of(true)), Receiver::start(), Receiver::start());
    let job = "retries = 0\npages = { style = 'page', param = 'page', size = 1 }\nevery = '20s'\n";
    let text = with_alerts(&vendor, &crm, &ops, "stale = '3x'").replace("every = '50ms'\n", job);
    let bridge = Bridge::with(&text);
    let daemon = bridge.run();
    let good = daemon.job_until("orders", "a good poll", |job| job["health"] == "ok")["last_success"].clone();
    vendor.script(first_page_of(false));
    // Of each poll the first page is read, so none has failed. The third one is a minute after the good one.
    (0..2).for_each(|_| vendor.wait_for_more(2));
    assert_eq!(ops.attempts().len(), 0, "not yet");
    let hooks = ops.wait_for(1);
    let stale = &hooks[0];
    assert_eq!(stale.json["type"], "doorbell.job.stale", "{}", stale.json);
    assert_eq!(stale.data()["job"], "orders");
    let (since, rang) = (stale.data()["since"].as_str(), stale.json["timestamp"].as_str());
    assert!(good.as_str() <= since && since < rang, "since it was last read whole, {good}: {}", stale.json);
    for whole in [false, true] {
        vendor.script(first_page_of(whole));
        daemon.cli(["poll", "orders", "--commit"]).ok();
    }
    assert_eq!(kinds(&ops.wait_for(2)), ["doorbell.job.stale", "doorbell.job.recovered"], "and it rang once");
}

#[test]
fn l3_a_restart_does_not_ring_again() {
    let (vendor, crm, ops) = (Vendor::of("no JSON"), Receiver::start(), Receiver::start());
    let bridge = Bridge::with(&with_alerts(&vendor, &crm, &ops, "after = 2"));
    let daemon = bridge.run();
    ops.wait_for(1);
    daemon.kill9();
    let daemon = bridge.run();
    vendor.wait_for_more(2);
    assert_eq!(listed(&daemon).len(), 1);
    daemon.terminate();
    vendor.serve(ONE);
    let _daemon = bridge.run();
    let hooks = ops.wait_until("the recovery", |hooks| kinds(hooks).contains(&"doorbell.job.recovered"));
    // The kill may have met an attempt that was in flight; its repeat has the same id.
    let failing: BTreeSet<_> =
        hooks.iter().filter(|hook| hook.json["type"] == "doorbell.job.failing").map(|hook| &hook.id).collect();
    assert_eq!(failing.len(), 1, "{hooks:#?}");
}

/// An order whose total is this text of JSON.
fn total(text: &str) -> String {
    format!(r#"{{"orders":[{{"id":1,"total":{text}}}]}}"#)
}

#[test]
fn l3_an_expression_that_fails_rings_once_as_a_problem_of_its_job() {
    let (vendor, crm, ops) = (Vendor::in_lockstep(), Receiver::start(), Receiver::start());
    let text = with_alerts(&vendor, &crm, &ops, "").replace("[sink.crm]", "when = 'after.total > 5'\n[sink.crm]");
    let bridge = Bridge::with(&text);
    let daemon = bridge.run();
    vendor.step_json(&total("1"));
    vendor.step_json(&total("\"many\""));
    let hooks = ops.wait_for(1);
    let failing = &hooks[0];
    assert_eq!(failing.json["type"], "doorbell.job.failing");
    assert_eq!(
        (&failing.data()["job"], &failing.data()["failures"]),
        (&"orders".into(), &0.into()),
        "its polls are well"
    );
    assert!(failing.data()["reason"].as_str().is_some_and(|reason| reason.contains("`when` failed")), "{hooks:#?}");
    vendor.step_json(&total("\"more\""));
    crm.wait_for(2);

    daemon.terminate_with(&vendor);
    let daemon = bridge.run();
    vendor.step_json(&total("\"most\""));
    crm.wait_for(3);
    for number in ["7", "8", "9"] {
        vendor.step_json(&total(number));
    }
    let hooks = ops.wait_for(2);
    assert_eq!(kinds(&hooks), ["doorbell.job.failing", "doorbell.job.recovered"], "once, over a restart too");
    assert_eq!((&hooks[1].data()["was"], &hooks[1].data()["since"]), (&"expression".into(), &failing.data()["since"]));
    assert_eq!(listed(&daemon).len(), 2);
}

#[test]
fn l3_a_payload_that_fails_rings_once_and_each_delivery_is_told_as_dead() {
    let (vendor, crm, ops) = (Vendor::in_lockstep(), Receiver::start(), Receiver::start());
    let sink = "[sink.crm]\npayload = { n = '{{ after.total + 1 }}' }";
    let bridge = Bridge::with(&with_alerts(&vendor, &crm, &ops, "").replace("[sink.crm]", sink));
    let _daemon = bridge.run();
    for text in ["1", "\"many\"", "\"more\""] {
        vendor.step_json(&total(text));
    }
    let hooks = ops.wait_for(3);
    let count = |kind: &str| kinds(&hooks).iter().filter(|it| **it == kind).count();
    assert_eq!((count("doorbell.job.failing"), count("doorbell.delivery.dead")), (1, 2), "{hooks:#?}");
}

#[test]
fn l3_a_disabled_sink_is_told_once_and_not_to_itself() {
    let (vendor, crm, ops) = (Vendor::in_lockstep(), Receiver::start(), Receiver::start());
    crm.reply(Reply::status(410));
    let text = with_alerts(&vendor, &crm, &ops, "").replace("send_to = ['ops']", "send_to = ['ops', 'crm']");
    let bridge = Bridge::with(&text);
    let daemon = bridge.run();
    vendor.step_json(ONE);
    vendor.step_json(TWO);
    let hooks = ops.wait_for(1);
    assert_eq!(kinds(&hooks), ["doorbell.sink.disabled"]);
    assert_eq!((&hooks[0].data()["sink"], &hooks[0].data()["waiting"]), (&Value::from("crm"), &Value::from(1)));
    vendor.step_json(THREE);
    let told = &listed(&daemon)[0]["deliveries"];
    assert_eq!(told.as_array().map(Vec::len), Some(1), "{told}");
    daemon.terminate_with(&vendor);
    let daemon = bridge.run();
    vendor.step_json(ONE);
    assert_eq!(listed(&daemon).len(), 1, "once");
}

#[test]
fn l3_a_full_sink_is_told_once_and_when_half_of_it_is_gone() {
    let both = |total: u32| format!(r#"{{"orders":[{{"id":1,"total":{total}}},{{"id":2,"total":{total}}}]}}"#);
    let (vendor, crm, ops) = (Vendor::of(&both(1)), Receiver::start(), Receiver::start());
    crm.reply(Reply::status(503));
    let limits = "max_backlog = 2\nretry = ['50ms', '50ms', '50ms', '50ms']";
    let bridge = Bridge::with(&with_alerts(&vendor, &crm, &ops, "").replacen("retry = []", limits, 1));
    let daemon = bridge.run();
    daemon.job_until("orders", "the baseline", |job| job["items"] == 2);
    vendor.serve(&both(2));
    let full = &ops.wait_for(1)[0];
    assert_eq!(full.json["type"], "doorbell.sink.backlog");
    assert_eq!((&full.data()["sink"], &full.data()["waiting"]), (&Value::from("crm"), &Value::from(2)));
    crm.wait_until("it to go on failing", |hooks| hooks.len() >= 8);
    assert_eq!(listed(&daemon).len(), 1, "once");
    crm.reply(Reply::status(204));
    assert_eq!(kinds(&ops.wait_for(2)), ["doorbell.sink.backlog", "doorbell.sink.recovered"]);
}

#[test]
fn l3_a_dead_delivery_is_told_and_a_dead_alert_is_not() {
    let (vendor, crm, ops) = (Vendor::in_lockstep(), Receiver::start(), Receiver::start());
    crm.reply(Reply::status(413));
    ops.reply(Reply::status(415));
    let bridge = Bridge::with(&with_alerts(&vendor, &crm, &ops, ""));
    let daemon = bridge.run();
    vendor.step_json(ONE);
    vendor.step_json(TWO);
    let hooks = ops.wait_until("an alert", |hooks| !hooks.is_empty());
    let dead = hooks[0].data();
    assert_eq!(hooks[0].json["type"], "doorbell.delivery.dead");
    assert_eq!((&dead["sink"], &dead["job"], &dead["key"]), (&"crm".into(), &"orders".into(), &"1".into()));
    assert_eq!(dead["event"], crm.attempts()[0].id.as_str());
    assert!(dead["reason"].as_str().is_some_and(|reason| reason.contains("413")), "{dead}");
    daemon.sink_until("ops", "the alert to be dead", |sink| sink["dead"] == 1);

    // The alert's own death rang nothing by the time the next one is told.
    ops.reply(Reply::status(204));
    vendor.step_json(THREE);
    assert_eq!(kinds(&ops.wait_for(1)), ["doorbell.delivery.dead"]);
    let sequences: Vec<_> = ops.attempts().iter().map(Hook::sequence).collect();
    assert_eq!(sequences, [1, 2]);
    assert_eq!(listed(&daemon).len(), 2);
}

#[test]
fn l3_an_alert_sink_that_hangs_blocks_nothing() {
    let (vendor, crm, ops) = (Vendor::in_lockstep(), Receiver::start(), Receiver::scripted(|_| Reply::Hang));
    let bridge = Bridge::with(&with_alerts(&vendor, &crm, &ops, "after = 1"));
    let daemon = bridge.run();
    vendor.step_json(ONE);
    vendor.step(Reply::status(500));
    ops.wait_until("the alert", |hooks| !hooks.is_empty());
    for (at, body) in [TWO, THREE, TWO, THREE].into_iter().enumerate() {
        vendor.step_json(body);
        crm.wait_for(at + 1);
    }
    assert!(ops.accepted().is_empty());
    assert_eq!(daemon.job("orders")["events"], 4);
}

#[test]
fn s5_a_rebaseline_says_so() {
    let (vendor, crm, ops) = (Vendor::in_lockstep(), Receiver::start(), Receiver::start());
    let text = with_alerts(&vendor, &crm, &ops, "");
    let bridge = Bridge::with(&text);
    let daemon = bridge.run();
    vendor.step_json(ONE);
    daemon.terminate_with(&vendor);
    bridge.write(&text.replace("url = 'orders'", "url = 'orders'\nquery = { limit = 100 }"));
    let daemon = bridge.run();
    vendor.step_json(r#"{"orders":[{"id":1,"total":2},{"id":2,"total":2}]}"#);
    let hooks = ops.wait_for(1);
    assert_eq!(hooks[0].json["type"], "doorbell.job.rebaselined");
    assert_eq!((&hooks[0].data()["job"], &hooks[0].data()["items"]), (&"orders".into(), &2.into()));
    assert!(hooks[0].data()["reason"].as_str().is_some_and(|reason| reason.contains("request")));
    vendor.step_json(r#"{"orders":[{"id":1,"total":3},{"id":2,"total":2}]}"#);
    assert_eq!(crm.wait_for(1)[0].sequence(), 1);
    assert_eq!(listed(&daemon).len(), 1);
}

#[test]
fn l3_without_a_sink_for_it_trouble_is_logged_only() {
    let (vendor, crm) = (Vendor::of("no JSON"), Receiver::start());
    let text = config(&vendor, &crm, ORDERS, "");
    let bridge = Bridge::with(&format!("{text}\n[alerts]\nafter = 2\nremind = '50ms'\n"));
    let warned = bridge.cli(["check"]).ok();
    assert!(warned.output().contains("`[alerts]` sends to no sink"), "{warned:?}");
    let daemon = Daemon::start(&bridge, |run| {
        run.args(["--log-level", "debug"]);
    });
    let line = daemon.wait_for_log("doorbell.job.failing");
    assert!(line.contains("system event") && line.contains("orders"), "{line}");
    assert_eq!(listed(&daemon), Vec::<Value>::new());
}

#[test]
fn alerts_that_make_no_sense_are_refused() {
    let (vendor, receiver) = (Vendor::of(ONE), Receiver::start());
    let text = with_alerts(&vendor, &receiver, &receiver, "after = 2\nremind = '1h'\nstale = '5x'");
    let bridge = Bridge::with(&text);
    bridge.cli(["check"]).ok();
    for (from, to, expected) in [
        ("stale = '5x'", "stale = '5'", "`stale` can't be `5`"),
        ("stale = '5x'", "stale = '0x'", "`stale` can't be `0x`"),
        ("after = 2", "after = 0", "`after` can't be `0`"),
        ("remind = '1h'", "remind = 3600", "takes a duration with its unit"),
        ("send_to = ['ops']", "send_to = ['opps']", "did you mean `ops`?"),
        ("send_to = ['ops']", "send_to = ['ops', 'ops']", "the sink `ops` is there twice"),
        ("after = 2", "afterr = 2", "did you mean `after`?"),
        ("[job.orders]", "[job.doorbell]", "a job can't be named `doorbell`"),
    ] {
        assert!(text.contains(from));
        bridge.write(&text.replace(from, to));
        let done = bridge.cli(["check"]);
        assert_eq!(done.code, Some(2), "{to}: {done:?}");
        assert!(done.output().contains(expected), "{to}: {done:?}");
    }
}

#[test]
fn l3_a_sink_that_is_disabled_and_enabled_again_is_told_once_each() {
    let (vendor, crm, ops) = (Vendor::in_lockstep(), Receiver::start(), Receiver::start());
    crm.reply(Reply::status(410));
    let bridge = Bridge::with(&with_alerts(&vendor, &crm, &ops, ""));
    let daemon = bridge.run();
    for list in [ONE, TWO, THREE] {
        vendor.step_json(list);
    }
    ops.wait_for(1);
    crm.reply(Reply::status(204));
    daemon.cli(["resume", "crm"]).ok();
    crm.wait_for(2);
    let hooks = ops.wait_for(2);
    assert_eq!(kinds(&hooks), ["doorbell.sink.disabled", "doorbell.sink.recovered"]);
    let data = hooks[1].data();
    assert_eq!((&data["sink"], &data["since"]), (&"crm".into(), &hooks[0].data()["since"]), "{data}");
    for list in [ONE, TWO] {
        vendor.step_json(list);
    }
    crm.wait_for(4);
    assert_eq!(kinds(&ops.attempts()).len(), 2, "once each");
    daemon.terminate_with(&vendor);
}

#[test]
fn l3_a_sink_with_too_much_waiting_is_told_once_and_when_it_has_less() {
    let (vendor, crm, ops) = (Vendor::of(ONE), Receiver::start(), Receiver::start());
    crm.reply(Reply::status(503));
    // A ladder that outlasts the receiver's trouble.
    let ladder = format!("retry = [{}]\nmax_backlog = 2", ["'500ms'"; 30].join(", "));
    let text = with_alerts(&vendor, &crm, &ops, "").replacen("retry = []", &ladder, 1);
    let bridge = Bridge::with(&text);
    let daemon = bridge.run();
    daemon.job_until("orders", "the baseline", |job| job["last_success"].is_string());
    vendor.serve(r#"{"orders":[{"id":1,"total":2},{"id":2},{"id":3}]}"#);
    let hooks = ops.wait_for(1);
    assert_eq!(kinds(&hooks), ["doorbell.sink.backlog"]);
    assert_eq!(
        (&hooks[0].data()["sink"], &hooks[0].data()["waiting"]),
        (&"crm".into(), &3.into()),
        "{}",
        hooks[0].json
    );
    crm.reply(Reply::status(204));
    let hooks = ops.wait_for(2);
    assert_eq!(kinds(&hooks)[1], "doorbell.sink.recovered");
    assert_eq!(hooks[1].data()["since"], hooks[0].data()["since"]);
    crm.wait_for(3);
    daemon.terminate();
}

#[test]
fn l3_an_alert_sink_that_is_gone_for_good_blocks_nothing_and_rings_nothing() {
    let (vendor, crm, ops) = (Vendor::in_lockstep(), Receiver::start(), Receiver::start());
    ops.reply(Reply::status(410));
    let bridge = Bridge::with(&with_alerts(&vendor, &crm, &ops, "after = 1\nremind = '50ms'"));
    let daemon = bridge.run();
    vendor.step_json(ONE);
    vendor.step(Reply::status(500));
    ops.wait_until("an alert", |hooks| !hooks.is_empty());
    daemon.sink_until("ops", "it is disabled", |sink| sink["health"] == "disabled");
    for list in [TWO, THREE, ONE] {
        vendor.step_json(list);
    }
    assert_eq!(crm.wait_for(3).len(), 3, "the rest goes on");
    let listed = listed(&daemon);
    let sinks = listed.iter().filter(|event| event["change"] == "disabled").count();
    assert!(sinks <= 1, "{listed:#?}");
    assert_eq!(ops.attempts().len(), 1, "it is not asked again");
    daemon.terminate_with(&vendor);
}

#[test]
fn l3_a_sink_of_cloudevents_is_told_in_cloudevents() {
    let (vendor, crm) = (Vendor::of("no JSON"), Receiver::start());
    let sinks = [
        ("whole", "format = 'cloudevents'"),
        ("binary", "format = 'cloudevents-binary'"),
        ("batched", "format = 'cloudevents'\nbatch = { wait = '1ms' }"),
    ];
    let told = sinks.map(|(name, keys)| (name, keys, Receiver::start()));
    let sinks: String = told
        .iter()
        .map(|(name, keys, to)| format!("[sink.{name}]\nurl = '{}'\nsecret = '{SECRET}'\n{keys}\n", to.url()))
        .collect();
    let alerts = "[alerts]\nsend_to = ['whole', 'binary', 'batched']\nafter = 1";
    let bridge = Bridge::with(&format!("{}\n{sinks}\n{alerts}\n", config(&vendor, &crm, ORDERS, "")));
    let daemon = bridge.run();
    let [whole, binary, batched] =
        told.map(|(_, _, to)| to.wait_until("an alert", |hooks| !hooks.is_empty()).remove(0));
    let header = |hook: &Hook, name: &str| hook.request.header(name).map(str::to_owned).unwrap_or_default();
    let told = |event: &Value| {
        assert_eq!((&event["specversion"], &event["type"]), (&"1.0".into(), &"doorbell.job.failing".into()), "{event}");
        assert_eq!((&event["subject"], &event["data"]["job"]), (&"orders".into(), &"orders".into()), "{event}");
    };
    assert_eq!(header(&whole, "content-type"), "application/cloudevents+json; charset=UTF-8");
    told(&whole.json);
    assert_eq!(header(&batched, "content-type"), "application/cloudevents-batch+json; charset=UTF-8");
    told(&batched.json[0]);
    assert_eq!(header(&binary, "content-type"), "application/json");
    let attributes =
        ["ce-specversion", "ce-id", "ce-source", "ce-type", "ce-subject"].map(|name| header(&binary, name));
    assert_eq!(attributes, ["1.0", &binary.id, "doorbell/doorbell", "doorbell.job.failing", "orders"]);
    assert_eq!((&binary.json["job"], binary.json.get("data")), (&"orders".into(), None));
    daemon.terminate();
}

#[test]
fn l3_what_a_person_holds_for_too_long_is_told_as_a_backlog() {
    let (vendor, crm, ops) = (Vendor::in_lockstep(), Receiver::start(), Receiver::start());
    let text = with_alerts(&vendor, &crm, &ops, "").replacen("retry = []", "max_age = '1s'", 1);
    let bridge = Bridge::with(&text);
    let daemon = bridge.run();
    vendor.step_json(ONE);
    daemon.cli(["pause", "crm"]).ok();
    vendor.step_json(TWO);
    let hooks = ops.wait_for(1);
    assert_eq!(kinds(&hooks), ["doorbell.sink.backlog"]);
    assert!(hooks[0].data()["reason"].as_str().is_some_and(|reason| reason.contains("`max_age` = 1s")), "{hooks:#?}");
    daemon.cli(["resume", "crm"]).ok();
    crm.wait_for(1);
    assert_eq!(kinds(&ops.wait_for(2)), ["doorbell.sink.backlog", "doorbell.sink.recovered"]);
    daemon.terminate_with(&vendor);
}

#[test]
fn l3_a_sink_whose_oldest_waits_too_long_is_told_once_whatever_happens_then() {
    for at_limit in ["pause", "drop_oldest"] {
        let (vendor, crm, ops) = (Vendor::of(ONE), Receiver::start(), Receiver::start());
        crm.reply(Reply::status(503));
        let ladder = format!("retry = [{}]\nmax_age = '1s'\nat_limit = '{at_limit}'", ["'500ms'"; 30].join(", "));
        let text = with_alerts(&vendor, &crm, &ops, "").replacen("retry = []", &ladder, 1);
        let bridge = Bridge::with(&text);
        let daemon = bridge.run();
        daemon.job_until("orders", "the baseline", |job| job["last_success"].is_string());
        vendor.serve(TWO);
        let of_sinks = |hooks: &[Hook]| -> Vec<Hook> {
            let is_of_a_sink = |hook: &&Hook| hook.json["type"].as_str().is_some_and(|kind| kind.contains(".sink."));
            hooks.iter().filter(is_of_a_sink).cloned().collect()
        };
        let hooks = of_sinks(&ops.wait_until("the bell", |hooks| !of_sinks(hooks).is_empty()));
        assert_eq!(kinds(&hooks), ["doorbell.sink.backlog"], "{at_limit}");
        let reason = hooks[0].data()["reason"].as_str().unwrap_or_default().to_owned();
        assert!(reason.contains("has waited longer than `max_age` = 1s"), "{at_limit}: {reason}");
        crm.reply(Reply::status(204));
        vendor.serve(THREE);
        let hooks = of_sinks(&ops.wait_until("the end", |hooks| of_sinks(hooks).len() >= 2));
        assert_eq!(kinds(&hooks), ["doorbell.sink.backlog", "doorbell.sink.recovered"], "{at_limit}");
        daemon.terminate();
    }
}
