//! The config is read again while the daemon runs (L5, S5): on SIGHUP, when the API is asked, when a file changes.
//!
//! What was not edited is not disturbed; a config with errors changes nothing.

use std::fs;
use std::os::unix::fs::symlink;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::bridge::{BY_HAND, ORDERS, config};
use crate::support::http::{self, Answer};
use crate::support::signal::ask_until;
use crate::support::signature::SECRET;
use crate::support::{Bridge, Daemon, Receiver, Reply, Vendor};

fn reload(daemon: &Daemon<'_>) -> Answer {
    http::ask(daemon.addr, "POST", "/api/v1/reload", &[], b"").expect("the API answers")
}

fn reloaded(daemon: &Daemon<'_>) -> Value {
    let answer = reload(daemon);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

fn status(daemon: &Daemon<'_>) -> Value {
    daemon.get("/api/v1/status").json()
}

fn totals(totals: &[u32]) -> String {
    let orders: Vec<String> =
        (1..).zip(totals).map(|(id, total)| format!(r#"{{"id":{id},"total":{total}}}"#)).collect();
    format!(r#"{{"orders":[{}]}}"#, orders.join(","))
}

/// A second job beside `orders`.
fn with_job(config: &str, vendor: &Vendor, name: &str, lines: &str) -> String {
    format!("{config}\n[job.{name}]\nurl = '{}/{name}'\nsend_to = ['crm']\n{lines}", vendor.url())
}

#[test]
fn jobs_and_sinks_come_change_and_go_without_a_restart() {
    let (receiver, vendor, other) = (Receiver::start(), Vendor::of(&totals(&[1])), Vendor::of(&totals(&[1])));
    let first = config(&vendor, &receiver, BY_HAND, "");
    let bridge = Bridge::with(&first);
    let daemon = bridge.run();
    daemon.job_until("orders", "the baseline", |job| job["outcome"] == "complete");

    bridge.write(&with_job(&first, &other, "returns", ORDERS));
    let report = reloaded(&daemon);
    assert_eq!((&report["jobs"]["added"], &report["jobs"]["unchanged"]), (&["returns"].into(), &1.into()), "{report}");
    assert_eq!(report["sinks"]["unchanged"], 1, "{report}");
    daemon.job_until("returns", "its baseline", |job| job["last_success"].is_string());
    other.serve(&totals(&[2]));
    let hook = receiver.wait_for(1).remove(0);
    assert_eq!((hook.data()["job"].as_str(), hook.change()), (Some("returns"), "updated"));

    bridge.write(&with_job(&first, &other, "returns", "every = '1h'\nitems = '$.orders[*]'\nkey = '$.id'\n"));
    assert_eq!(reloaded(&daemon)["jobs"]["changed"], Value::from(["returns"].as_slice()));
    bridge.write(&first);
    assert_eq!(reloaded(&daemon)["jobs"]["removed"], Value::from(["returns"].as_slice()));
    assert_eq!(daemon.get("/api/v1/jobs/returns").status, 404);
    assert_eq!(vendor.count(), 1, "the job that was not edited was not polled again");
}

#[test]
fn a_config_with_errors_changes_nothing_and_is_told_until_it_is_mended() {
    let (receiver, vendor) = (Receiver::start(), Vendor::in_lockstep());
    let good = config(&vendor, &receiver, ORDERS, "");
    let bridge = Bridge::with(&good);
    let daemon = bridge.run();
    vendor.step_json(&totals(&[1]));
    bridge.write(&good.replace("every", "evry").replace("secret", "sekret"));
    let refused = reload(&daemon);
    assert_eq!(refused.status, 422, "{refused:?}");
    let details = refused.json();
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert!(details["detail"].as_str().is_some_and(|detail| detail.contains("problems")), "{details}");
    let errors = details["errors"].as_array().expect("a list").clone();
    assert!(errors.len() >= 2 && errors.iter().any(|error| error.to_string().contains("did you mean")), "{details}");

    vendor.step_json(&totals(&[2]));
    assert_eq!(receiver.wait_for(1)[0].key(), "1", "the config before is still in force");
    daemon.signal(Signal::SIGHUP);
    daemon.wait_for_log("SIGHUP");
    assert!(status(&daemon)["config"]["problem"].is_string(), "{}", status(&daemon));
    assert!(daemon.cli(["status"]).ok().stdout.contains("not in force"));

    bridge.write(&good);
    reloaded(&daemon);
    assert_eq!(status(&daemon)["config"]["problem"], Value::Null);
    daemon.terminate_with(&vendor);
}

#[test]
fn a_storm_of_signals_polls_nothing_that_was_not_edited() {
    let (receiver, vendor) = (Receiver::start(), Vendor::of(&totals(&[1])));
    let text = config(&vendor, &receiver, BY_HAND, "");
    let bridge = Bridge::with(&text);
    let daemon = bridge.run();
    daemon.job_until("orders", "the baseline", |job| job["outcome"] == "complete");
    let due = daemon.job("orders")["next_run"].clone();
    for _ in 0..200 {
        daemon.signal(Signal::SIGHUP);
    }
    bridge.write(&with_job(&text, &vendor, "last", BY_HAND));
    reloaded(&daemon);
    daemon.job_until("last", "the last word to be in force", |job| job["outcome"] == "complete");
    assert_eq!(daemon.job("orders")["next_run"], due, "its phase is kept");
    assert_eq!(vendor.requests().iter().filter(|request| request.target.ends_with("/orders")).count(), 1);
    daemon.terminate();
}

#[test]
fn a_changed_file_is_read_by_itself_also_when_it_is_renamed_into_place_or_new() {
    let (receiver, vendor) = (Receiver::start(), Vendor::of(&totals(&[1])));
    let text = config(&vendor, &receiver, BY_HAND, "");
    let text = text.replace("[daemon]\n", "[daemon]\nreload = 'watch'\ninclude = ['conf.d/*.toml']\n");
    let bridge = Bridge::with(&text);
    fs::create_dir(bridge.path().join("conf.d")).expect("a folder");
    let daemon = bridge.run();
    let job = |name: &str| format!("[job.{name}]\nurl = '{}/{name}'\nsend_to = ['crm']\n{BY_HAND}", vendor.url());
    let appears = |name: &str| {
        ask_until(name, || Some(()).filter(|()| daemon.get(&format!("/api/v1/jobs/{name}")).status == 200));
    };
    bridge.write_file("conf.d/new.toml", &job("new"));
    appears("new");
    bridge.write_file("conf.d/.half", &job("renamed"));
    fs::rename(bridge.path().join("conf.d/.half"), bridge.path().join("conf.d/new.toml")).expect("renamed");
    appears("renamed");
    assert_eq!(daemon.get("/api/v1/jobs/new").status, 404);
    bridge.write_file("conf.d/new.toml", "[job.broken]\n");
    daemon.wait_for_log("refused");
    assert_eq!(daemon.get("/api/v1/jobs/renamed").status, 200);
    bridge.write_file("conf.d/new.toml", &job("mended"));
    appears("mended");
    assert_eq!(status(&daemon)["config"]["problem"], Value::Null);
}

#[test]
fn what_takes_a_restart_is_said_and_stays_as_it_was() {
    let (receiver, vendor) = (Receiver::start(), Vendor::of(&totals(&[1])));
    let text = config(&vendor, &receiver, BY_HAND, "");
    let bridge = Bridge::with(&text);
    let daemon = bridge.run();
    bridge
        .write(&text.replace("doorbell.db", "other.db").replace("[vendor.shop]", "token = 'abcdefgh'\n[vendor.shop]"));
    let report = reloaded(&daemon);
    assert_eq!(report["restart"], Value::from(["daemon.state", "daemon.token"].as_slice()), "{report}");
    assert_eq!(status(&daemon)["config"]["restart"], report["restart"]);
    daemon.wait_for_log("restart for them");
    assert!(!bridge.path().join("other.db").exists());
    assert_eq!(daemon.get("/api/v1/jobs").status, 200);
}

#[test]
fn a_poll_and_a_delivery_under_way_end_as_they_began() {
    let receiver = Receiver::scripted(|_| Reply::status(503));
    let (vendor, second) = (Vendor::in_lockstep(), Receiver::start());
    let text = config(&vendor, &receiver, ORDERS, "retry = ['50ms', '50ms', '50ms', '50ms', '50ms', '50ms']");
    let bridge = Bridge::with(&text);
    let daemon = bridge.run();
    vendor.step_json(&totals(&[1]));
    vendor.wait_pending();
    // The poll has asked: then its items are looked for elsewhere, and its events go elsewhere.
    let moved = text.replace("$.orders[*]", "$.others[*]").replace(&receiver.url(), &second.url());
    bridge.write(&moved);
    reloaded(&daemon);
    vendor.step_json(&totals(&[2]));
    let hook = second.wait_for(1).remove(0);
    assert_eq!((hook.change(), &hook.data()["after"]["total"]), ("updated", &Value::from(2)));
    // The next poll is the first under the new selection: it says nothing, and the ones after it do.
    let others = |total: u32| totals(&[total]).replace("orders", "others");
    vendor.step_json(&others(3));
    vendor.step_json(&others(4));
    let hooks = second.wait_for(2);
    assert_eq!((&hooks[1].data()["before"]["total"], hooks[1].sequence()), (&Value::from(3), 2));
    daemon.terminate_with(&vendor);
}

#[test]
fn a_job_that_is_taken_out_and_put_back_goes_on_where_it_was() {
    let (receiver, vendor) = (Receiver::start(), Vendor::in_lockstep());
    let text = config(&vendor, &receiver, ORDERS, "");
    let bridge = Bridge::with(&text);
    let daemon = bridge.run();
    vendor.step_json(&totals(&[1, 1]));
    vendor.step_json(&totals(&[2, 1]));
    receiver.wait_for(1);
    bridge.write(&text.replace("[job.orders]", "[job.elsewhere]\nenabled = false"));
    assert_eq!(reloaded(&daemon)["jobs"]["removed"], Value::from(["orders"].as_slice()));
    vendor.abandon();
    bridge.write(&text);
    reloaded(&daemon);
    vendor.step_json(&totals(&[2, 5]));
    let hooks = receiver.wait_for(2);
    assert_eq!((hooks[1].key(), hooks[1].sequence()), ("2", 2));
    daemon.terminate_with(&vendor);
}

#[test]
fn a_sink_that_is_taken_out_holds_what_waits_and_sends_it_when_it_is_back() {
    let receiver = Receiver::scripted(|_| Reply::status(503));
    let vendor = Vendor::in_lockstep();
    let text = config(&vendor, &receiver, ORDERS, "retry = ['50ms', '1h']");
    let bridge = Bridge::with(&text);
    let daemon = bridge.run();
    vendor.step_json(&totals(&[1, 1]));
    vendor.step_json(&totals(&[2, 2]));
    receiver.wait_until("some attempts", |attempts| attempts.len() >= 2);
    let without = text.replace("send_to = ['crm']", "").split("[sink.crm]").next().expect("a config").to_owned();
    bridge.write(&without);
    let report = reloaded(&daemon);
    assert_eq!(report["sinks"]["removed"], Value::from(["crm"].as_slice()), "{report}");
    receiver.reply(Reply::status(204));
    bridge.write(&text.replace("'50ms', '1h'", "'50ms', '50ms'"));
    reloaded(&daemon);
    daemon.cli(["resume", "crm"]).ok();
    ask_until("both to be sent", || Some(()).filter(|()| daemon.sink("crm")["backlog"] == 0));
    daemon.terminate_with(&vendor);
}

#[test]
fn a_job_that_backs_off_starts_afresh() {
    let (receiver, vendor) = (Receiver::start(), Vendor::scripted(|_| Reply::status(403)));
    let text = config(&vendor, &receiver, "every = '10m'\nitems = '$.orders[*]'\nkey = '$.id'\n", "");
    let bridge = Bridge::with(&text);
    let daemon = bridge.run();
    daemon.job_until("orders", "a failed poll", |job| job["failures"] == 1);
    vendor.serve(&totals(&[1]));
    reloaded(&daemon);
    daemon.job_until("orders", "the baseline", |job| job["outcome"] == "complete");
}

#[test]
fn a_delivery_that_the_receiver_holds_during_a_reload_ends_under_the_config_it_began_with_and_is_made_once() {
    let (vendor, receiver, second) = (Vendor::of(&totals(&[1])), Vendor::in_lockstep(), Receiver::start());
    receiver.script(|_| Reply::status(204));
    let text = format!(
        "[daemon]\nstate = 'doorbell.db'\nlisten = '127.0.0.1:0'\n[vendor.shop]\nbase_url = '{}'\n\
         [job.orders]\nvendor = 'shop'\nurl = 'orders'\nsend_to = ['crm']\n{ORDERS}\n\
         [sink.crm]\nurl = '{}/hook'\nsecret = '{SECRET}'\ntimeout = '50s'\n",
        vendor.url(),
        receiver.url(),
    );
    let bridge = Bridge::with(&text);
    let daemon = bridge.run();
    daemon.job_until("orders", "the baseline", |job| job["last_success"].is_string());
    vendor.serve(&totals(&[2]));
    receiver.wait_pending();

    // Everything of the sink is another: its address, and a patience that the receiver has long outlasted.
    let moved = text.replace(&format!("{}/hook", receiver.url()), &second.url());
    bridge.write(&moved.replace("timeout = '50s'", "timeout = '50ms'\nretry = ['50ms', '50ms', '50ms']"));
    daemon.signal(Signal::SIGHUP);
    daemon.wait_for_log("config read again");
    vendor.wait_for_more(6);
    let event = || {
        let events = daemon.cli(["events", "--json"]).ok().json();
        let id = events[0]["id"].as_str().expect("an event").to_owned();
        daemon.cli(["event", &id, "--json"]).ok().json()
    };
    assert_eq!(event()["deliveries"][0]["state"], "due", "nobody has given it up: {:#}", event());
    receiver.run_free();
    let told =
        ask_until("it is settled", || Some(event()).filter(|event| event["deliveries"][0]["state"] == "delivered"));
    assert_eq!(told["attempts"].as_array().map(Vec::len), Some(1), "{told:#}");
    assert_eq!(told["attempts"][0]["status"], 204, "{told:#}");
    vendor.serve(&totals(&[3]));
    let hook = second.wait_for(1).remove(0);
    assert_eq!((hook.sequence(), hook.attempt), (2, 1), "the next one goes where the config says now");
    assert_eq!(receiver.count(), 1, "no second attempt");
    daemon.terminate();
}

#[test]
fn a_poll_that_the_vendor_holds_during_a_reload_of_other_jobs_is_neither_cut_nor_made_again() {
    let (vendor, other, receiver) = (Vendor::in_lockstep(), Vendor::of(&totals(&[1])), Receiver::start());
    let text = config(&vendor, &receiver, ORDERS, "");
    let edited = |every: &str| with_job(&text, &other, "other", &BY_HAND.replace("366d", every));
    let bridge = Bridge::with(&edited("365d"));
    let daemon = bridge.run();
    daemon.job_until("other", "its baseline", |job| job["outcome"] == "complete");
    vendor.step_json(&totals(&[1]));
    vendor.wait_pending();
    let asked = vendor.count();
    for every in ["1d", "2d", "3d"] {
        bridge.write(&edited(every));
        assert_eq!(reloaded(&daemon)["jobs"]["changed"], Value::from(["other"].as_slice()));
    }
    assert_eq!(vendor.count(), asked, "the poll under way is the one that was");
    vendor.step_json(&totals(&[2]));
    assert_eq!(receiver.wait_for(1)[0].sequence(), 1);
    daemon.terminate_with(&vendor);
}

#[test]
fn a_reload_that_edits_one_job_leaves_the_next_runs_of_the_others_where_they_are() {
    let (vendor, receiver) = (Vendor::of(&totals(&[1])), Receiver::start());
    let text = config(&vendor, &receiver, BY_HAND, "");
    let names = ["a", "b", "c", "d"];
    let with = |last: &str| {
        let job = |text: String, name: &str| {
            let every = if name == "d" { last } else { "3h" };
            with_job(&text, &vendor, name, &BY_HAND.replace("366d", every))
        };
        names.into_iter().fold(text.clone(), job)
    };
    let bridge = Bridge::with(&with("366d"));
    let daemon = bridge.run();
    for name in names {
        daemon.job_until(name, "its baseline", |job| job["outcome"] == "complete" && job["next_run"].is_string());
    }
    let due = |name: &str| daemon.job(name)["next_run"].as_str().expect("a moment").to_owned();
    let before: Vec<String> = names.into_iter().map(due).collect();
    bridge.write(&with("10m").replace("retries = 0", "retries = 0\nheaders = { x = 'y' }"));
    daemon.signal(Signal::SIGHUP);
    daemon.wait_for_log("config read again");
    let after: Vec<String> = names.into_iter().map(due).collect();
    assert_eq!(before[..3], after[..3]);
    assert_ne!(before[3], after[3], "it was edited");
    daemon.terminate();
}

#[test]
fn a_config_behind_links_is_watched_where_the_links_lead() {
    let (receiver, vendor) = (Receiver::start(), Vendor::of(&totals(&[1])));
    let text = config(&vendor, &receiver, BY_HAND, "");
    let text = text.replace("[daemon]\n", "[daemon]\nreload = 'watch'\ninclude = ['conf.d/*.toml']\n");
    let bridge = Bridge::with(&text);
    let place = |name: &str| bridge.path().join(name);
    let job = |name: &str| format!("[job.{name}]\nurl = '{}/{name}'\nsend_to = ['crm']\n{BY_HAND}", vendor.url());
    // As Kubernetes mounts a ConfigMap: a file is a link through `..data`, which is renamed over from version to version.
    let version = |name: &str, main: &str, included: &str| {
        fs::create_dir(place(name)).expect("a folder");
        fs::write(place(name).join("doorbell.toml"), main).expect("written");
        fs::write(place(name).join("jobs.toml"), included).expect("written");
        symlink(name, place("..data_tmp")).expect("linked");
        fs::rename(place("..data_tmp"), place("..data")).expect("renamed");
    };
    version("..one", &text, &job("one"));
    fs::remove_file(place("doorbell.toml")).expect("removed");
    symlink("..data/doorbell.toml", place("doorbell.toml")).expect("linked");
    fs::create_dir(place("conf.d")).expect("a folder");
    symlink("../..data/jobs.toml", place("conf.d/jobs.toml")).expect("linked");
    let daemon = bridge.run();
    let appears = |name: &str| {
        ask_until(name, || Some(()).filter(|()| daemon.get(&format!("/api/v1/jobs/{name}")).status == 200));
    };
    appears("one");
    version("..two", &text, &job("two"));
    appears("two");
    assert_eq!(daemon.get("/api/v1/jobs/one").status, 404);
    version("..three", &format!("{text}\n{}", job("main")), &job("two"));
    appears("main");
    // An editor moves the file away, writes a new one under its name, and deletes the old one.
    fs::rename(place("doorbell.toml"), place("doorbell.toml~")).expect("renamed");
    fs::write(place("doorbell.toml"), format!("{text}\n{}", job("edited"))).expect("written");
    fs::remove_file(place("doorbell.toml~")).expect("removed");
    appears("edited");
    assert_eq!(daemon.get("/api/v1/jobs/main").status, 404);
    // A file that is gone for a while is no empty config.
    fs::rename(place("doorbell.toml"), place("away")).expect("renamed");
    daemon.wait_for_log("refused");
    assert_eq!(daemon.get("/api/v1/jobs/edited").status, 200);
    fs::rename(place("away"), place("doorbell.toml")).expect("renamed");
    ask_until("the config in force again", || Some(()).filter(|()| status(&daemon)["config"]["problem"].is_null()));
    daemon.terminate();
}
