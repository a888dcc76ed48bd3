//! Recorded polls: without secrets, and the same events when they are replayed offline.

use std::fs;

use serde_json::{Value, json};

use crate::support::bridge::{BY_HAND, Done};
use crate::support::pages::{self, Orders, linked};
use crate::support::{Bridge, Receiver, Reply, Vendor};

const TOKEN: &str = "tok-4711-secret";

fn orders(total: u32) -> String {
    format!(r#"{{"orders":[{{"id":1,"total":{total}}},{{"id":2,"total":7}}]}}"#)
}

fn record(bridge: &Bridge, file: &str) -> Value {
    let done = bridge.cli(["poll", "orders", "--commit", "--json", "--record", file]).ok();
    assert!(done.json()["recording"].is_null(), "it is for the file");
    done.json()
}

/// Two polls, of which the second one finds a change.
fn recorded() -> (Vendor, Receiver, Bridge, Value) {
    let (vendor, receiver) = (Vendor::of(&orders(5)), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, BY_HAND, "");
    record(&bridge, "1.json");
    vendor.serve(&orders(6));
    let report = record(&bridge, "2.json");
    (vendor, receiver, bridge, report)
}

fn replay(bridge: &Bridge, args: &[&str]) -> Done {
    bridge.cli([&["replay-poll", "1.json", "2.json"], args].concat())
}

fn fails(done: &Done, part: &str) {
    assert_eq!(done.code, Some(1), "{done:#?}");
    assert!(done.stderr.contains(part), "{part}: {done:#?}");
}

#[test]
fn a_replay_makes_the_events_of_the_recorded_polls_and_asks_and_keeps_nothing() {
    let (vendor, receiver, bridge, report) = recorded();
    let (asked, state) = (vendor.count(), fs::read(bridge.state()).expect("a state"));
    receiver.wait_for(1);
    let replayed = replay(&bridge, &["--json"]).ok().json();
    assert_eq!(replayed["polls"][0]["baseline"], true);
    let (was, is) = (&report["events"][0], &replayed["polls"][1]["events"][0]);
    for part in ["change", "key", "sinks"] {
        assert_eq!(was[part], is[part], "{replayed:#}");
    }
    assert_eq!(was["body"]["data"]["before"], is["body"]["data"]["before"]);
    assert_eq!(was["body"]["data"]["after"], is["body"]["data"]["after"]);
    // The clock is the recording's, whose milliseconds are whole ones.
    let recording: Value =
        serde_json::from_str(&fs::read_to_string(bridge.path().join("2.json")).expect("a file")).expect("JSON");
    let time = |value: &Value| value.as_str().expect("a time").to_owned();
    let (began, told) = (time(&recording["at"]), time(&is["body"]["timestamp"]));
    assert!(began <= told && told <= time(&was["body"]["timestamp"]), "{began} {told}");
    assert_eq!(replay(&bridge, &["--json"]).json(), replayed, "the same each time");
    assert_eq!(vendor.count(), asked);
    assert_eq!(fs::read(bridge.state()).expect("a state"), state);
    assert_eq!(receiver.attempts().len(), 1);
    let shown = replay(&bridge, &[]).ok().stdout;
    assert!(shown.contains("2.json, recorded ") && shown.contains("~ updated 1  to crm"), "{shown}");
}

#[test]
fn what_is_expected_passes_and_an_edited_config_is_told_how_it_differs() {
    let (_vendor, _receiver, bridge, _) = recorded();
    bridge.write_file("expected.json", &replay(&bridge, &["--json"]).ok().stdout);
    let same = replay(&bridge, &["--expect", "expected.json"]).ok();
    assert_eq!(same.stdout, "as expected: 2 polls, 1 events\n");
    let config = fs::read_to_string(bridge.path().join("doorbell.toml")).expect("a config");
    bridge.write(&config.replace("key = '$.id'", "key = '$.id'\nignore = ['$.total']"));
    let done = replay(&bridge, &["--expect", "expected.json"]);
    fails(&done, "poll 2, updated 1: was expected and did not come");
    bridge.write(&config.replace("key = '$.id'", "key = '$.id'\ntype = 'other'"));
    fails(&replay(&bridge, &["--expect", "expected.json"]), "/body/type: expected \"orders.updated\", got \"other\"");
    bridge.write_file("expected.json", "{}");
    fails(&replay(&bridge, &["--expect", "expected.json"]), "`expected.json` says nothing of polls");
}

#[test]
fn s10_a_recording_holds_no_secret_and_is_replayed_without_any() {
    let echo = format!(r#"{{"orders":[{{"id":1,"echo":"Bearer {TOKEN}"}}],"q":"qu-4712-ery","other":"hook-4713-s"}}"#);
    let reply = Reply::json(&*echo).with("set-cookie", "sid=cookie-4714").with("x-echo", TOKEN);
    let (vendor, receiver) = (Vendor::of(""), Receiver::start());
    vendor.reply(reply);
    let job = format!(
        "{BY_HAND}query = {{ k = '${{env:QUERY}}' }}\nauth = {{ type = 'bearer', token = '${{env:TOKEN}}' }}\n\
         headers = {{ x-literal = 'plain' }}\n"
    );
    let bridge = Bridge::between(&vendor, &receiver, &job, "headers = { x-hook = '${env:HOOK}' }");
    let secrets = [("TOKEN", TOKEN), ("QUERY", "qu-4712-ery"), ("HOOK", "hook-4713-s")];
    let bridge = secrets.iter().fold(bridge, |bridge, (name, value)| bridge.with_env(name, value));
    record(&bridge, "1.json");
    let daemon = bridge.run();
    daemon.cli(["poll", "orders", "--record", "2.json"]).ok();
    for file in ["1.json", "2.json"] {
        let text = fs::read_to_string(bridge.path().join(file)).expect("a recording");
        for secret in secrets.iter().map(|(_, value)| *value).chain(["cookie-4714"]) {
            assert!(!text.contains(secret), "{secret}: {text}");
        }
        assert!(text.contains("Bearer ***") && text.contains("plain"), "{text}");
    }
    let mut bare = bridge.executable();
    for (name, _) in secrets {
        bare.env_remove(name);
    }
    bare.args(["-c", "doorbell.toml", "replay-poll", "1.json", "2.json", "--json"]);
    let replayed = crate::support::bridge::finish(bare).ok().json();
    assert_eq!(replayed["polls"][1]["events_total"], 0, "{replayed:#}");
    assert_eq!(replayed["polls"][0]["items"], 1);
}

#[test]
fn every_page_is_recorded_and_a_page_that_is_not_there_is_named_with_the_nearest() {
    let orders = Orders::of(5);
    let (vendor, receiver) = (linked(&orders), Receiver::start());
    let bridge = pages::bridge(&vendor, &receiver, "style = 'link'");
    record(&bridge, "1.json");
    orders.set(4, "paid");
    let report = record(&bridge, "2.json");
    let replayed = replay(&bridge, &["--json"]).ok().json();
    assert_eq!(pages::changes(&replayed["polls"][1]), pages::changes(&report));
    assert_eq!(pages::changes(&report).len(), 1, "{report:#}");
    let path = bridge.path().join("2.json");
    let mut cut: Value = serde_json::from_str(&fs::read_to_string(&path).expect("a file")).expect("JSON");
    let exchanges = cut["exchanges"].as_array_mut().expect("exchanges");
    assert!(exchanges.len() > 1);
    exchanges.truncate(1);
    bridge.write_file("2.json", &cut.to_string());
    let done = replay(&bridge, &[]);
    fails(&done, "the recording holds no answer to `GET http");
    assert!(done.stderr.contains("the nearest that it holds is `GET http"), "{done:#?}");
}

#[test]
fn files_that_are_no_recordings_are_refused_with_a_reason() {
    let (_vendor, _receiver, bridge, _) = recorded();
    let good: Value =
        serde_json::from_str(&fs::read_to_string(bridge.path().join("1.json")).expect("a file")).expect("JSON");
    let with = |name: &str, value: Value| {
        let mut other = good.clone();
        other[name] = value;
        other.to_string()
    };
    for (text, why) in [
        (String::new(), "`2.json` is empty"),
        ("{".to_owned(), "`2.json` is damaged, or no recording"),
        ("{}".to_owned(), "`2.json` is no recording of a poll"),
        (with("doorbell_recording", json!(9)), "`2.json` is a recording of version `9`"),
        (with("exchanges", json!([])), "`2.json` holds no request"),
        (with("exchanges", json!([{"at": 5}])), "`2.json` is damaged"),
        (with("job", json!("ordres")), "`2.json` is a recording of the job `ordres`, and `1.json` of `orders`"),
    ] {
        bridge.write_file("2.json", &text);
        fails(&replay(&bridge, &[]), why);
    }
    let done = bridge.cli(["replay-poll", "none.json"]);
    fails(&done, "`none.json` can't be read");
    bridge.write_file("2.json", &with("job", json!("ordres")));
    fails(&bridge.cli(["replay-poll", "2.json"]), "the job `ordres`: there is no job `ordres`; did you mean `orders`?");
}

#[test]
fn a_file_that_is_there_is_not_written_over_and_nothing_is_asked() {
    let (vendor, _receiver, bridge, _) = recorded();
    let asked = vendor.count();
    let before = fs::read(bridge.path().join("1.json")).expect("a file");
    fails(
        &bridge.cli(["poll", "orders", "--commit", "--record", "1.json"]),
        "`1.json` can't be written: it is there already",
    );
    assert_eq!(vendor.count(), asked);
    assert_eq!(fs::read(bridge.path().join("1.json")).expect("a file"), before);
    let done = bridge.cli(["poll", "ordres", "--record", "3.json"]);
    assert_eq!(done.code, Some(2), "{done:?}");
    assert!(!bridge.path().join("3.json").exists());
}

#[test]
fn a_failed_poll_is_recorded_with_its_reason_and_an_error_that_the_config_knows_is_judged_anew() {
    let (vendor, receiver) = (Vendor::of(""), Receiver::start());
    vendor.reply(Reply::status(500));
    let bridge = Bridge::between(&vendor, &receiver, BY_HAND, "");
    assert_eq!(bridge.cli(["poll", "orders", "--record", "1.json"]).code, Some(1));
    vendor.serve(&orders(5));
    record(&bridge, "2.json");
    let replayed = replay(&bridge, &["--json"]).ok().json();
    assert_eq!(replayed["polls"][0]["outcome"], "failed");
    assert!(replayed["polls"][0]["reason"].as_str().is_some_and(|reason| reason.contains("500")), "{replayed:#}");
    assert_eq!(replayed["polls"][1]["outcome"], "complete");
}
