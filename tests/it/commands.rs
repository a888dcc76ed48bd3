//! The commands that a person types: what they print, what they change, and how they end.
//!
//! `run` has a file of its own, `daemon.rs`; `check` has `bad_config.rs`.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::support::bridge::{BY_HAND, ORDERS, config};
use crate::support::json::{named, raw, rows};
use crate::support::signature::{self, SECRET};
use crate::support::{Bridge, Receiver, Reply, Vendor, http};

fn order(status: &str) -> String {
    format!(r#"{{"orders":[{{"id":1,"status":"{status}","total":1.10}}]}}"#)
}

fn world(job: &str) -> (Vendor, Receiver, Bridge) {
    let (vendor, receiver) = (Vendor::of(&order("new")), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, job, "");
    (vendor, receiver, bridge)
}

#[test]
fn help_teaches_every_command() {
    let bridge = Bridge::with("");
    let help = bridge.cli_raw(["--help"]).ok().stdout;
    let looking = ["run", "demo", "check", "poll", "test", "listen", "status", "events", "event"];
    for command in looking.into_iter().chain([
        "deliveries",
        "replay",
        "replay-poll",
        "pause",
        "resume",
        "init",
        "schema",
        "completions",
        "man",
    ]) {
        assert!(help.contains(command), "no `{command}` in:\n{help}");
        assert!(bridge.cli_raw([command, "--help"]).ok().stdout.len() > 100, "`{command} --help` says little");
    }
    assert!(bridge.cli_raw(["--version"]).ok().stdout.contains(env!("CARGO_PKG_VERSION")));
}

#[test]
fn bad_usage_ends_with_2() {
    let (_vendor, _receiver, bridge) = world(BY_HAND);
    for args in [&["frobnicate"][..], &["poll"], &["status", "--no-such-flag"], &["event"]] {
        let done = bridge.cli(args);
        assert_eq!(done.code, Some(2), "{args:?}: {done:?}");
    }
}

#[test]
fn a_name_that_is_not_there_is_refused_with_the_nearest() {
    let (_vendor, _receiver, bridge) = world(BY_HAND);
    let done = bridge.cli(["poll", "ordres"]);
    assert!(matches!(done.code, Some(1 | 2)), "{done:?}");
    assert!(done.output().contains("orders"), "{done:?}");
    let done = bridge.cli(["test", "crn"]);
    assert!(matches!(done.code, Some(1 | 2)), "{done:?}");
    assert!(done.output().contains("crm"), "{done:?}");
}

#[test]
fn a_dry_poll_commits_nothing_and_shows_what_would_go() {
    let (vendor, receiver, bridge) = world(BY_HAND);
    let poll = |commit: bool| {
        let args = ["poll", "orders", "--json", "--commit"];
        bridge.cli(&args[..3 + usize::from(commit)]).ok()
    };
    let first = poll(false).json();
    assert_eq!((&first["committed"], &first["baseline"], &first["items"]), (&false.into(), &true.into(), &1.into()));
    assert_eq!(poll(false).json()["baseline"], true, "the baseline was not committed");
    assert_eq!(poll(true).json()["committed"], true);

    vendor.serve(&order("paid"));
    let (dry, again, real) = (poll(false), poll(false), poll(true));
    let id = |report: &Value| report["events"][0]["id"].as_str().map(str::to_owned);
    assert!(id(&dry.json()).is_some_and(|id| id.starts_with("evt_")), "{dry:?}");
    assert_eq!(id(&dry.json()), id(&again.json()));
    assert_eq!(id(&dry.json()), id(&real.json()), "a repeated poll gives the same id");
    assert_eq!(dry.json()["events"][0]["sinks"], serde_json::json!(["crm"]));
    assert_eq!(poll(true).json()["events"], serde_json::json!([]));

    // What was committed by hand was delivered by hand, byte for byte.
    let hooks = receiver.wait_for(1);
    assert_eq!(Some(&hooks[0].id), id(&real.json()).as_ref());
    let events: Vec<Box<serde_json::value::RawValue>> =
        serde_json::from_str(&raw(real.stdout.as_bytes(), &["events"])).expect("events are a list");
    let shown: Value = serde_json::from_str(&raw(events[0].get().as_bytes(), &["body"])).expect("a body is JSON");
    assert_eq!(shown, hooks[0].json);
    assert_eq!(raw(events[0].get().as_bytes(), &["body", "data", "after", "total"]), "1.10");

    // And a daemon that starts later has nothing left to send.
    let daemon = bridge.run();
    daemon.sink_until("crm", "the sink to be idle", |sink| sink["backlog"] == 0);
    assert_eq!(receiver.attempts().len(), 1);
}

#[test]
fn what_could_not_be_delivered_by_hand_is_the_daemons() {
    let (vendor, receiver, bridge) = world(BY_HAND);
    bridge.write(&config(&vendor, &receiver, BY_HAND, "retry = ['1s', '1s', '1s']"));
    bridge.cli(["poll", "orders", "--commit"]).ok();
    receiver.reply(Reply::status(500));
    vendor.serve(&order("paid"));
    bridge.cli(["poll", "orders", "--commit"]).ok();
    let sink = named(&bridge.cli(["status", "--json"]).ok().json(), "sinks", "crm");
    assert_eq!((&sink["backlog"], &sink["dead"]), (&1.into(), &0.into()), "{sink}");
    receiver.reply(Reply::status(204));
    let _daemon = bridge.run();
    let hooks = receiver.wait_for(1);
    let attempts = receiver.attempts();
    assert!(hooks[0].attempt > 1, "{hooks:#?}");
    assert!(attempts.iter().all(|hook| (&hook.id, &hook.body) == (&hooks[0].id, &hooks[0].body)));
}

#[test]
fn a_dry_poll_sends_nothing_of_what_waits_either() {
    let (vendor, receiver, bridge) = world(BY_HAND);
    bridge.write(&config(&vendor, &receiver, BY_HAND, "retry = ['1h']"));
    bridge.cli(["poll", "orders", "--commit"]).ok();
    receiver.reply(Reply::status(500));
    vendor.serve(&order("paid"));
    bridge.cli(["poll", "orders", "--commit"]).ok();
    let db = rusqlite::Connection::open(bridge.state()).expect("the state is SQLite");
    db.execute("UPDATE delivery SET due = 0", []).expect("the state can be written");
    drop(db);
    bridge.cli(["poll", "orders"]).ok();
    assert_eq!(receiver.attempts().len(), 1, "it only looked");
    bridge.cli(["poll", "orders", "--commit"]).ok();
    receiver.wait_until("the attempt that was due", |hooks| hooks.len() == 2);
}

#[test]
fn a_poll_of_a_running_daemon_is_made_by_the_daemon() {
    let (vendor, receiver, bridge) = world(BY_HAND);
    let daemon = bridge.run();
    daemon.job_until("orders", "the baseline", |job| job["last_success"].is_string());
    vendor.serve(&order("paid"));
    let dry = daemon.cli(["poll", "orders", "--json"]).ok().json();
    assert_eq!((&dry["committed"], dry["events"].as_array().map(Vec::len)), (&false.into(), Some(1)), "{dry}");
    let real = daemon.cli(["poll", "orders", "--commit", "--json"]).ok().json();
    assert_eq!(real["committed"], true, "{real}");
    let hooks = receiver.wait_for(1);
    assert_eq!((hooks[0].change(), hooks[0].sequence()), ("updated", 1));
    assert_eq!(real["events"][0]["id"], hooks[0].id.as_str());
}

#[test]
fn a_poll_that_fails_says_why_and_ends_with_1() {
    let (vendor, _receiver, bridge) = world(BY_HAND);
    vendor.reply(Reply::body("text/html", "<html>"));
    let done = bridge.cli(["poll", "orders", "--json"]);
    assert_eq!(done.code, Some(1), "{done:?}");
    let report = done.json();
    assert_eq!((&report["outcome"], &report["failure"]), (&"failed".into(), &"not_json".into()), "{report}");
    assert!(report["reason"].is_string());
}

#[test]
fn a_poll_for_a_person_shows_the_item_and_the_difference() {
    let (vendor, _receiver, bridge) = world(BY_HAND);
    bridge.cli(["poll", "orders", "--commit"]).ok();
    vendor.serve(&order("paid"));
    let text = bridge.cli(["poll", "orders"]).ok().stdout;
    for part in ["complete", "updated", "new", "paid", "crm"] {
        assert!(text.contains(part), "no `{part}` in:\n{text}");
    }
}

#[test]
fn status_shows_jobs_and_sinks() {
    let (_vendor, _receiver, bridge) = world(BY_HAND);
    let daemon = bridge.run();
    let job = daemon.job_until("orders", "the baseline", |job| job["health"] != "new" && job["health"] != "polling");
    assert_eq!((&job["health"], &job["items"], &job["events"]), (&"ok".into(), &1.into(), &0.into()), "{job}");
    assert!(job["next_run"].is_string(), "{job}");
    let sink = daemon.sink("crm");
    assert_eq!((&sink["health"], &sink["backlog"]), (&"ok".into(), &0.into()), "{sink}");
    let text = daemon.cli(["status"]).ok().stdout;
    assert!(text.contains("orders") && text.contains("crm"), "{text}");
    assert!(!text.contains('\u{1b}'), "no colours in a pipe: {text}");
}

#[test]
fn status_and_events_work_without_a_daemon() {
    let (vendor, _receiver, bridge) = world(BY_HAND);
    bridge.cli(["poll", "orders", "--commit"]).ok();
    vendor.serve(&order("paid"));
    bridge.cli(["poll", "orders", "--commit"]).ok();
    let status = bridge.cli(["status", "--json"]).ok().json();
    assert_eq!(named(&status, "jobs", "orders")["events"], 1);
    assert_eq!(named(&status, "sinks", "crm")["backlog"], 0);
    assert_eq!(rows(&bridge.cli(["events", "--json"]).ok().json()).len(), 1);
}

#[test]
fn events_lists_and_event_tells_all() {
    let (vendor, receiver, bridge) = world(ORDERS);
    let daemon = bridge.run();
    daemon.job_until("orders", "the baseline", |job| job["last_success"].is_string());
    receiver.script(|hook| if hook.attempt == 1 { Reply::status(500) } else { Reply::status(204) });
    bridge.write(&config(&vendor, &receiver, ORDERS, "retry = ['50ms', '50ms']"));
    daemon.terminate();
    let daemon = bridge.run();
    vendor.serve(&order("paid"));
    let id = receiver.wait_for(1)[0].id.clone();
    daemon.sink_until("crm", "the delivery to be settled", |sink| sink["backlog"] == 0);

    let events = rows(&daemon.cli(["events", "--json"]).ok().json());
    assert_eq!(events.len(), 1);
    let event = &events[0];
    assert_eq!((&event["id"], &event["type"]), (&id.as_str().into(), &"orders.updated".into()));
    assert_eq!((&event["key"], &event["sequence"], &event["job"]), (&"1".into(), &1.into(), &"orders".into()));
    assert_eq!(event["deliveries"][0]["state"], "delivered");
    assert!(daemon.cli(["events"]).ok().stdout.contains(&id));

    let done = daemon.cli(["event", &id, "--json"]).ok();
    let attempts = done.json()["attempts"].clone();
    assert_eq!((&attempts[0]["status"], &attempts[1]["status"]), (&500.into(), &204.into()), "{attempts}");
    assert_eq!((&attempts[0]["number"], &attempts[1]["number"]), (&1.into(), &2.into()), "{attempts}");
    assert_eq!(raw(done.stdout.as_bytes(), &["body", "data", "after", "total"]), "1.10");
    assert!(daemon.cli(["event", &id]).ok().stdout.contains("500"));
    assert_eq!(daemon.cli(["event", "evt_aaaaaaaaaaaaaaaaaaaaaaaaaa"]).code, Some(1));
}

#[test]
fn test_sends_one_signed_sample() {
    let (_vendor, receiver, bridge) = world(BY_HAND);
    let daemon = bridge.run();
    let report = daemon.cli(["test", "crm", "--json"]).ok().json();
    assert_eq!(report["delivered"], true, "{report}");
    assert_eq!(receiver.wait_for(1)[0].id, report["id"].as_str().unwrap_or_default());
    receiver.reply(Reply::status(500));
    let done = daemon.cli(["test", "crm"]);
    assert_eq!(done.code, Some(1), "{done:?}");
    assert!(done.output().contains("500"), "{done:?}");
    assert_eq!(rows(&daemon.cli(["events", "--json"]).ok().json()).len(), 0, "a sample is no event");
}

#[test]
fn d5_a_test_waits_for_a_retry_after_too() {
    let (vendor, receiver) = (Vendor::of(&order("new")), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "");
    let daemon = bridge.run();
    daemon.job_until("orders", "the baseline", |job| job["last_success"].is_string());
    receiver.reply(Reply::status(429).with("retry-after", "3600"));
    vendor.serve(&order("paid"));
    let sink = daemon.sink_until("crm", "it waits", |sink| sink["not_before"].is_string());
    let until = sink["not_before"].as_str().unwrap_or_default();
    let wanted = format!("the receiver of the sink `crm` has asked to be left alone until {until}");
    let refused = daemon.cli(["test", "crm"]);
    assert!(refused.code == Some(1) && refused.stderr.contains(&wanted), "{refused:?}");
    let answer = http::ask(daemon.addr, "POST", "/api/v1/sinks/crm/test", &[], b"").expect("an answer");
    assert_eq!(answer.status, 409);
    daemon.terminate();
    let refused = bridge.cli(["test", "crm"]);
    assert!(refused.code == Some(1) && refused.stderr.contains(&wanted), "{refused:?}");
    assert_eq!(receiver.attempts().len(), 1, "nothing was sent");
}

#[test]
fn d5_deliveries_wait_when_a_test_was_answered_with_a_retry_after() {
    for by_hand in [false, true] {
        let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
        let bridge = Bridge::between(&vendor, &receiver, ORDERS, "");
        let daemon = bridge.run();
        vendor.step_json(&order("new"));
        receiver.reply(Reply::status(429).with("retry-after", "3600"));
        let daemon = if by_hand {
            daemon.terminate_with(&vendor);
            assert_eq!(bridge.cli(["test", "crm"]).code, Some(1));
            bridge.run()
        } else {
            assert_eq!(daemon.cli(["test", "crm"]).code, Some(1));
            daemon
        };
        receiver.reply(Reply::status(204));
        let sink = daemon.sink_until("crm", "it waits", |sink| sink["not_before"].is_string());
        assert_eq!(sink["health"], "waiting", "{sink}");
        vendor.step_json(&order("paid"));
        daemon.sink_until("crm", "the delivery", |sink| sink["backlog"] == 1);
        vendor.step_json(&order("paid"));
        assert_eq!(receiver.attempts().len(), 1, "the sample");
    }
}

#[test]
fn what_changes_a_state_makes_none() {
    let (_vendor, _receiver, bridge) = world(BY_HAND);
    let commands: [&[&str]; 5] = [
        &["replay", "--sink", "crm", "--yes"],
        &["replay", "evt_aaaaaaaaaaaaaaaaaaaaaaaaaa"],
        &["approve", "orders"],
        &["reject", "orders"],
        &["drop", "--sink", "crm", "--yes"],
    ];
    for command in commands {
        let done = bridge.cli(command);
        assert!(done.code == Some(1) && done.stderr.contains("there is no state"), "{command:?}: {done:?}");
        assert!(!bridge.state().exists(), "{command:?}");
    }
    bridge.cli(["pause", "orders"]).ok();
    assert!(bridge.state().exists(), "a pause is something to remember");
}

#[test]
fn a_sink_that_only_the_config_knows_is_one() {
    let (vendor, receiver, bridge) = world(BY_HAND);
    bridge.cli(["poll", "orders", "--commit"]).ok();
    let edited = config(&vendor, &receiver, BY_HAND, "") + &format!("\n[sink.erp]\nurl = '{}'\n", receiver.url());
    bridge.write(&edited);
    for command in ["replay", "drop"] {
        let done = bridge.cli([command, "--sink", "erp", "--yes"]);
        assert!(done.stderr.contains(&format!("there is nothing to {command}")), "{done:?}");
        let done = bridge.cli([command, "--sink", "crn", "--yes"]);
        assert!(done.stderr.contains("there is no sink `crn`"), "{done:?}");
    }
}

#[test]
fn whoever_finds_the_state_in_use_is_told_of_an_edited_address() {
    let (vendor, receiver, bridge) = world(BY_HAND);
    let daemon = bridge.run();
    let text = config(&vendor, &receiver, BY_HAND, "");
    let edited = text.replacen("127.0.0.1:0", "127.0.0.1:1", 1);
    assert_ne!(text, edited, "{text}");
    bridge.write(&edited);
    let done = bridge.cli(["status"]);
    assert!(done.code == Some(75) && done.stderr.contains("ask it there, with `--url`"), "{done:?}");
    assert!(bridge.cli(["status", "--url", &daemon.url()]).ok().stdout.contains("orders"));
}

#[test]
fn listen_verifies_prints_and_answers() {
    let bridge = Bridge::with("");
    let mut command = bridge.executable();
    command.args(["listen", "--port", "0", "--secret", SECRET, "--status", "202", "--count", "2", "--json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the executable starts");
    let mut said = String::new();
    let mut stderr = BufReader::new(child.stderr.take().expect("stderr is piped"));
    stderr.read_line(&mut said).expect("it says where it listens");
    let addr = said.split("http://").nth(1).and_then(|rest| rest.split('/').next()?.parse().ok());
    let addr = addr.unwrap_or_else(|| panic!("no address in: {said}"));

    let now = signature::unix_now().to_string();
    let post = |body: &str, signed: &str| {
        let signature = signature::v1(SECRET, "evt_1", &now, signed.as_bytes()).expect("a secret of these tests");
        let headers = [("webhook-id", "evt_1"), ("webhook-timestamp", &now), ("webhook-signature", &signature)];
        http::ask(addr, "POST", "/", &headers, body.as_bytes()).expect("it answers").status
    };
    assert_eq!(post(r#"{"type":"forged"}"#, "{}"), 401);
    assert_eq!(post(r#"{"type":"orders.updated"}"#, r#"{"type":"orders.updated"}"#), 202);
    let output = child.wait_with_output().expect("it ends after two");
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).expect("it prints UTF-8");
    assert_eq!(lines.lines().count(), 2, "{lines}");
    assert!(lines.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{lines}");
}

#[test]
fn the_demo_shows_changes_without_a_config_and_leaves_nothing_behind() {
    let bridge = Bridge::with("");
    std::fs::remove_file(bridge.path().join("doorbell.toml")).expect("the config is there");
    let text = bridge.cli_raw(["demo", "--for", "6s"]).ok().stdout;
    assert!(text.contains("1001") && text.contains("http://127.0.0.1"), "{text}");
    assert_eq!(fs::read_dir(bridge.path()).expect("the folder can be read").count(), 0, "files were left");
}

#[test]
fn a_state_in_use_is_refused_with_75_and_the_holder() {
    let (_vendor, _receiver, bridge) = world(BY_HAND);
    let daemon = bridge.run();
    let done = bridge.cli(["run"]);
    assert_eq!(done.code, Some(75), "{done:?}");
    assert!(done.output().contains(&daemon.pid().to_string()), "{done:?}");
    daemon.terminate();
    bridge.run().terminate();
}

/// Says that every way to open this state is refused, and that the file stays as it is.
#[track_caller]
fn refused(bridge: &Bridge, words: &[&str]) {
    let before = fs::read(bridge.state()).expect("the state can be read");
    for args in [&["run"][..], &["poll", "orders", "--commit"], &["status"]] {
        let done = bridge.cli(args);
        let output = done.output();
        assert_eq!(done.code, Some(1), "{args:?}: {output}");
        assert!(output.contains("doorbell.db"), "{args:?}: {output}");
        assert!(words.iter().any(|word| output.contains(word)), "{args:?}: none of {words:?} in: {output}");
        assert!(fs::read(bridge.state()).expect("the state can be read") == before, "{args:?} changed the file");
    }
}

#[test]
fn l7_a_state_that_is_no_database_is_refused_and_kept() {
    let (_vendor, _receiver, bridge) = world(BY_HAND);
    for garbage in [vec![b'x'; 10_000], b"SQLite format 3\0 and then nothing of the kind".repeat(100)] {
        fs::write(bridge.state(), garbage).expect("the folder can be written");
        refused(&bridge, &["damaged", "not a", "corrupt", "no database"]);
    }
}

#[test]
fn l7_a_state_of_a_newer_version_is_refused_and_kept() {
    let (_vendor, _receiver, bridge) = world(BY_HAND);
    bridge.cli(["poll", "orders", "--commit"]).ok();
    let db = rusqlite::Connection::open(bridge.state()).expect("the state is SQLite");
    db.pragma_update(None, "user_version", 9999).expect("the state can be written");
    db.pragma_update(None, "journal_mode", "delete").expect("the state can be written");
    drop(db);
    refused(&bridge, &["newer"]);
}

#[test]
fn l7_a_state_of_another_program_is_refused_and_kept() {
    let (_vendor, _receiver, bridge) = world(BY_HAND);
    let db = rusqlite::Connection::open(bridge.state()).expect("the folder can be written");
    db.execute_batch("CREATE TABLE notes (text TEXT)").expect("the folder can be written");
    drop(db);
    refused(&bridge, &["not ours", "another", "no state", "not a state", "Doorbell"]);
}

#[test]
fn who_looks_at_a_daemon_needs_no_secret_of_its_jobs_and_sinks() {
    let (vendor, receiver) = (Vendor::of(&order("new")), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "");
    let daemon = bridge.run();
    daemon.job_until("orders", "the baseline", |job| job["last_success"].is_string());
    let address = daemon.url();
    let listen = address.trim_start_matches("http://");
    bridge.write(&format!(
        "[daemon]\nlisten = \"{listen}\"\n[job.orders]\nurl = \"{address}/${{env:NOT_SET_HERE}}\"\nevery = \"1s\"\n"
    ));
    let status = bridge.cli(["status", "--json"]).ok().json();
    assert_eq!(status["jobs"][0]["name"], "orders");
    daemon.kill9();
    let done = bridge.cli(["status"]);
    assert_eq!(done.code, Some(2), "without a daemon the whole config is needed");
    assert!(done.stderr.contains("NOT_SET_HERE"), "{}", done.stderr);
}
