//! S6: numbers keep their digits from the vendor's bytes to the webhook's, and spelling is no change.
//!
//! Values are compared as text here: a parser of floats would agree with anything.

use crate::support::bridge::ORDERS;
use crate::support::json::raw;
use crate::support::receiver::Hook;
use crate::support::{Bridge, Receiver, Vendor};

/// Numbers that a float, or a 64-bit integer, would spoil.
const DIGITS: [&str; 12] = [
    "9007199254740993",
    "18446744073709551615",
    "18446744073709551616",
    "-9223372036854775809",
    "123456789012345678901234567890123456789012",
    "1.10",
    "0.1000000000000000055511151231257827021181",
    "3.141592653589793238462643383279502884197",
    "1e400",
    "-0.0",
    "1.5E+3",
    "100000000000000000000000.50",
];

fn with(id: &str, total: &str, status: &str) -> String {
    format!(r#"{{"orders":[{{"id":{id},"total":{total},"status":"{status}"}}]}}"#)
}

/// Polls these documents in turn, and returns the webhooks, `expected` of them.
fn webhooks(documents: &[String], expected: usize) -> Vec<Hook> {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "");
    let _daemon = bridge.run();
    for document in documents {
        vendor.step_json(document);
    }
    let mut hooks = receiver.wait_for(expected);
    hooks.sort_by_key(Hook::sequence);
    hooks
}

#[test]
fn s6_numbers_arrive_digit_by_digit() {
    let members = |status: &str| {
        let numbers: Vec<_> = DIGITS.iter().zip(0..).map(|(digits, at)| format!(r#""n{at}":{digits}"#)).collect();
        format!(r#"{{"orders":[{{"id":1,"status":"{status}",{}}}]}}"#, numbers.join(","))
    };
    let hooks = webhooks(&[members("paid"), members("sent")], 1);
    for (digits, at) in DIGITS.iter().zip(0..) {
        let name = format!("n{at}");
        assert_eq!(raw(&hooks[0].body, &["data", "before", &name]), *digits, "in `before`");
        assert_eq!(raw(&hooks[0].body, &["data", "after", &name]), *digits, "in `after`");
    }
}

#[test]
fn s6_a_patch_keeps_the_digits_too() {
    let hooks = webhooks(&[with("1", "1.10", "paid"), with("1", "2.20", "paid")], 1);
    let patch = raw(&hooks[0].body, &["data", "patch"]);
    let value = patch.split("\"value\":").nth(1).unwrap_or_else(|| panic!("no value in {patch}"));
    assert!(value.trim_start().starts_with("2.20"), "{patch}");
}

#[test]
fn s6_ids_beyond_two_to_the_53_are_different_items() {
    let both = |status: &str| {
        format!(
            r#"{{"orders":[{{"id":9007199254740992,"status":"paid"}},{{"id":9007199254740993,"status":"{status}"}}]}}"#
        )
    };
    let hooks = webhooks(&[both("paid"), both("sent")], 1);
    assert_eq!(hooks[0].key(), "9007199254740993");
    assert_eq!(raw(&hooks[0].body, &["data", "after", "id"]), "9007199254740993");
}

#[test]
fn s6_the_smallest_difference_is_a_change() {
    let pairs = [
        ("9007199254740992", "9007199254740993"),
        ("18446744073709551616", "18446744073709551617"),
        ("0.1000000000000000000000000000000000000001", "0.1000000000000000000000000000000000000002"),
        ("1e400", "1e401"),
    ];
    let documents: Vec<_> = pairs.iter().flat_map(|(old, new)| [with("1", old, "x"), with("1", new, "x")]).collect();
    let hooks = webhooks(&documents, documents.len() - 1);
    assert!(hooks.iter().all(|hook| hook.data()["changed"] == serde_json::json!(["/total"])));
}

#[test]
fn s6_spelling_is_no_change() {
    let spellings = [
        r#"{"orders":[{"id":1,"total":1.0,"at":{"a":1,"b":[2,3]}}]}"#,
        r#"{"orders":[{"id":1,"total":1,"at":{"a":1,"b":[2,3]}}]}"#,
        r#"{"orders":[{"id":1,"total":1.000,"at":{"a":1,"b":[2,3]}}]}"#,
        r#"{"orders":[{"id":1,"total":10e-1,"at":{"a":1,"b":[2,3]}}]}"#,
        r#"{"orders":[{"at":{"b":[2,3],"a":1},"total":1,"id":1}]}"#,
        "{ \"orders\" : [ { \"id\" : 1.0 ,\n\t\"total\" : 1, \"at\" : { \"a\" : 1, \"b\" : [ 2 , 3 ] } } ] }\n",
        r#"{"orders":[{"id":1,"total":1,"\u0061t":{"a":1,"b":[2,3]}}]}"#,
        r#"{"orders":[{"id":1,"total":2,"at":{"a":1,"b":[2,3]}}]}"#,
    ];
    let hooks = webhooks(&spellings.map(str::to_owned), 1);
    assert_eq!(hooks[0].sequence(), 1, "only the last is a change");
    assert_eq!((hooks[0].key(), hooks[0].change()), ("1", "updated"));
}

#[test]
fn a_plain_path_in_a_type_takes_the_documents_own_digits() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let job = format!("{ORDERS}type = 'total.{{{{ after.total }}}}'");
    let bridge = Bridge::between(&vendor, &receiver, &job, "");
    let _daemon = bridge.run();
    vendor.step_json(&with("1", "1.00", "paid"));
    vendor.step_json(&with("1", "9007199254740993.10", "paid"));
    assert_eq!(receiver.wait_for(1)[0].json["type"], "total.9007199254740993.10");
}
