//! What counts as change, by the config's rules: tolerances, elements with keys, arrays without order.
//!
//! The vendor is in lockstep: each line that calls `step` is one poll, committed when the call returns.

use crate::support::bridge::ORDERS;
use crate::support::{Bridge, Receiver, Reply, Vendor};

fn one(body: &str) -> String {
    format!(r#"{{"orders":[{body}]}}"#)
}

#[test]
fn a_slow_drift_below_the_tolerance_adds_up_and_is_seen() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let job = format!("{ORDERS}tolerance = {{ '$.price' = '0.5%' }}");
    let bridge = Bridge::between(&vendor, &receiver, &job, "");
    let _daemon = bridge.run();
    for price in ["200.00", "200.50", "201.00", "201.01", "201.50"] {
        vendor.step_json(&one(&format!(r#"{{"id":1,"price":{price}}}"#)));
    }
    let hooks = receiver.wait_for(1);
    let data = hooks[0].data();
    assert_eq!((data["before"]["price"].as_f64(), data["changed"][0].as_str()), (Some(200.0), Some("/price")));
    assert_eq!(data["after"]["price"].as_f64(), Some(201.01));
    assert_eq!(receiver.attempts().len(), 1);
}

#[test]
fn another_order_is_silent_and_the_patch_of_a_line_is_small() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let job = format!("{ORDERS}arrays = {{ '$.lines' = '$.sku' }}\nunordered = ['$.tags']");
    let bridge = Bridge::between(&vendor, &receiver, &job, "");
    let _daemon = bridge.run();
    let order = |lines: &str, tags: &str| one(&format!(r#"{{"id":1,"lines":[{lines}],"tags":[{tags}]}}"#));
    vendor.step_json(&order(r#"{"sku":"a","n":1},{"sku":"b","n":1}"#, r#""x","y""#));
    vendor.step_json(&order(r#"{"sku":"b","n":1},{"sku":"a","n":1}"#, r#""y","x""#));
    vendor.step_json(&order(r#"{"sku":"b","n":2},{"sku":"a","n":1}"#, r#""y","x""#));
    let hooks = receiver.wait_for(1);
    let data = hooks[0].data();
    assert_eq!(data["patch"].to_string(), r#"[{"op":"replace","path":"/lines/1/n","value":2}]"#);
    assert_eq!(data["changed"].to_string(), r#"["/lines/0/n"]"#);
    assert_eq!(receiver.attempts().len(), 1);
}

#[test]
fn a_rule_that_can_not_be_meant_is_refused_with_its_place() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let job = format!(
        "{ORDERS}tolerance = {{ '$.price' = '-1%', 'price' = 2 }}\narrays = {{ '$.lines' = 'sku' }}\nsettle = 0"
    );
    let done = Bridge::between(&vendor, &receiver, &job, "").cli(["check"]);
    assert_eq!(done.code, Some(2), "{done:#?}");
    for part in [
        "`-1%` is not how far a number may move",
        "doorbell.toml:",
        "$.price",
        "$.sku",
        "`settle` can't be `0`",
        "from 1 to 1000",
    ] {
        assert!(done.output().contains(part), "{part}: {done:#?}");
    }
}

#[test]
fn a_value_that_flickers_is_told_once_it_has_come_to_rest() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, &format!("{ORDERS}settle = 3"), "");
    let daemon = bridge.run();
    let order = |value: &str| one(&format!(r#"{{"id":1,"v":"{value}"}}"#));
    for value in ["a", "b", "b", "a", "b", "b"] {
        vendor.step_json(&order(value));
    }
    let told = daemon.cli(["why", "orders", "1"]).ok();
    assert!(told.stdout.contains("seen in 2 poll(s) so far: after 3 in a row it counts (`settle`)"), "{told:#?}");
    assert!(receiver.attempts().is_empty());
    vendor.step_json(&order("b"));
    let hooks = receiver.wait_for(1);
    assert_eq!(
        (hooks[0].data()["before"]["v"].as_str(), hooks[0].data()["after"]["v"].as_str()),
        (Some("a"), Some("b"))
    );
}

#[test]
fn an_answer_that_is_unchanged_sees_a_new_value_once_more_and_a_crash_forgets_none() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, &format!("{ORDERS}settle = 4"), "");
    let daemon = bridge.run();
    vendor.step_json(&one(""));
    let tagged = || Reply::json(one(r#"{"id":1}"#)).with("etag", "\"1\"");
    vendor.step(tagged());
    vendor.step(tagged());
    daemon.kill9();
    vendor.abandon();
    let _daemon = bridge.run();
    vendor.step(tagged());
    assert!(receiver.attempts().is_empty());
    vendor.step(tagged());
    assert_eq!(receiver.wait_for(1)[0].change(), "created");
}

#[test]
fn an_item_that_comes_back_as_it_was_is_restored_with_nothing_changed() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "");
    let _daemon = bridge.run();
    let both = one(r#"{"id":1,"v":1},{"id":2,"v":1}"#);
    for list in [&both, &one(r#"{"id":1,"v":1}"#), &one(r#"{"id":1,"v":1}"#), &both] {
        vendor.step_json(list);
    }
    let hooks = receiver.wait_for(2);
    assert_eq!((hooks[0].change(), hooks[1].change()), ("deleted", "restored"));
    let data = hooks[1].data();
    assert_eq!((data["before"].to_string(), data["changed"].to_string()), (data["after"].to_string(), "[]".to_owned()));
}

#[test]
fn an_item_that_comes_back_as_another_is_restored_with_what_changed_while_it_was_gone() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, &format!("{ORDERS}ignore = ['$.seen']"), "");
    let _daemon = bridge.run();
    let other = r#"{"id":1,"v":1}"#;
    let with = |item: &str| one(&format!("{other},{item}"));
    for list in [with(r#"{"id":2,"v":1,"seen":1}"#), one(other), one(other), with(r#"{"id":2,"v":7,"seen":9}"#)] {
        vendor.step_json(&list);
    }
    let data = receiver.wait_for(2)[1].data().clone();
    assert_eq!(
        (&data["change"], &data["before"]["v"], &data["after"]["v"]),
        (&"restored".into(), &1.into(), &7.into())
    );
    assert_eq!(data["changed"].to_string(), r#"["/v"]"#);
    assert_eq!(data["patch"].to_string(), r#"[{"op":"replace","path":"/v","value":7}]"#);
}
