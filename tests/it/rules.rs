//! What counts as change, by the config's rules: tolerances, elements with keys, arrays without order.
//!
//! The vendor is in lockstep: each line that calls `step` is one poll, committed when the call returns.

use crate::support::bridge::ORDERS;
use crate::support::{Bridge, Receiver, Vendor};

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
    let job = format!("{ORDERS}tolerance = {{ '$.price' = '-1%', 'price' = 2 }}\narrays = {{ '$.lines' = 'sku' }}");
    let done = Bridge::between(&vendor, &receiver, &job, "").cli(["check"]);
    assert_eq!(done.code, Some(2), "{done:#?}");
    for part in ["`-1%` is not how far a number may move", "doorbell.toml:", "$.price", "$.sku"] {
        assert!(done.output().contains(part), "{part}: {done:#?}");
    }
}
