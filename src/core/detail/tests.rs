//! When an item is asked for again, and what is made of the answer.

use std::sync::Arc;

use super::*;
use crate::core::job::plain;
use crate::core::names::Key;

fn detail(version: Option<&str>, merge: bool) -> Detail {
    Detail {
        request: plain("orders").request,
        version: version.map(|path| JsonPath::parse(path).expect("a path")),
        concurrency: 4,
        merge,
        print: Digest([7; 16]),
    }
}

fn item(raw: &'static str) -> Item {
    Item::new(Key::from("1"), Bytes::from_static(raw.as_bytes()))
}

fn mark(detail: &Detail, raw: &'static str) -> Digest {
    let mut items = [item(raw)];
    detail.mark(&mut items).expect("it can be marked");
    items[0].raw_digest
}

#[test]
fn s6_another_spelling_is_no_other_item() {
    let all = detail(None, false);
    let was = mark(&all, r#"{"id":1,"at":1.0}"#);
    assert_eq!(mark(&all, r#"{"at": 1, "id": 1}"#), was);
    assert_ne!(mark(&all, r#"{"id":1,"at":2}"#), was);
    let other = Detail { print: Digest([8; 16]), ..all };
    assert_ne!(mark(&other, r#"{"id":1,"at":1.0}"#), was, "what was read in another way has to be read again");
}

#[test]
fn only_the_version_counts_and_an_item_without_one_counts_whole() {
    let by = detail(Some("$.at"), false);
    let was = mark(&by, r#"{"id":1,"at":"x","seen":1}"#);
    assert_eq!(mark(&by, r#"{"id":1,"at":"x","seen":2}"#), was);
    assert_ne!(mark(&by, r#"{"id":1,"at":"y","seen":1}"#), was);
    let without = mark(&by, r#"{"id":1,"seen":1}"#);
    assert_ne!(mark(&by, r#"{"id":1,"seen":2}"#), without);
    assert_ne!(mark(&by, r#"{"id":1,"at":null,"seen":1}"#), was);
    let mut several = [item(r#"{"a":1,"b":2}"#)];
    let refused = detail(Some("$.*"), false).mark(&mut several).expect_err("two values");
    assert!(refused.sentence.contains("`detail.version` of the item `1`: `$.*` finds 2 values"), "{refused}");
}

#[test]
fn the_answer_is_the_item_or_lies_over_it() {
    let job = plain("orders");
    let read = |merge, listed: &'static str, body: &'static str| {
        detail(None, merge).read(&job, item(listed), Some("application/json"), Bytes::from_static(body.as_bytes()))
    };
    let raw = |item: Result<Item, Failure>| String::from_utf8_lossy(&item.expect("it can be read").raw).into_owned();
    assert_eq!(raw(read(false, r#"{"id":1}"#, r#"{"n":1.10}"#)), r#"{"n":1.10}"#);
    let merged = raw(read(true, r#"{"id":1,"a":{"b":1},"n":2}"#, r#"{"n":1.10,"a":{"c":2},"z":0}"#));
    assert_eq!(merged, r#"{"id":1,"a":{"c":2},"n":1.10,"z":0}"#, "members at the top only, with their digits");
    for (listed, body, what) in [
        (r#"{"id":1}"#, "[1]", "the answer is an array"),
        ("7", "{}", "the listed item is a number"),
        (r#"{"id":1}"#, "<html>", "the answer is HTML, not JSON"),
        (r#"{"id":1}"#, "", "empty"),
    ] {
        let refused = read(true, listed, body).expect_err(body);
        assert!(refused.sentence.contains(what), "{body}: {refused}");
    }
}

#[test]
fn what_is_about_one_item_stops_nothing() {
    let failure = |kind, status| Failure { status, ..Failure::new(kind, "no") };
    let (a, mut lost) = (item("{}"), Undetailed::default());
    assert_eq!(lost.reason(), None);
    for status in [404, 410, 403, 500] {
        assert!(!lost.failed(&a, &failure(FailureKind::Status, Some(status))), "{status}");
    }
    assert!(!lost.failed(&a, &failure(FailureKind::NotJson, None)) && !lost.is_over());
    let said = "5 details could not be read, that of the item `1`: no; they are asked for again by the next poll";
    assert_eq!(lost.reason().as_deref(), Some(said));
    for (kind, status) in
        [(FailureKind::Status, Some(429)), (FailureKind::Status, Some(401)), (FailureKind::Connect, None)]
    {
        assert!(Undetailed::default().failed(&a, &failure(kind, status)), "{kind:?}");
    }
}

#[test]
fn nothing_but_refusals_ends_the_asking() {
    let refusal = Failure { status: Some(403), ..Failure::new(FailureKind::Status, "no") };
    let (a, mut lost) = (Arc::new(item("{}")), Undetailed::default());
    for _ in 1..REFUSALS_MAX {
        assert!(!lost.failed(&a, &refusal));
    }
    assert!(lost.clone().failed(&a, &refusal));
    lost.had();
    assert!(!lost.failed(&a, &refusal), "who asks may ask");
}
