//! Values as vendors spell them, compared, moved back and followed over the pages of a poll.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::core::json::parse;
use crate::core::names::Key;

fn json(text: &str) -> Json {
    parse(text.as_bytes()).unwrap()
}

fn spec(source: Source) -> CursorSpec {
    CursorSpec { source, start: None, overlap: None, full_every: None, print: Digest::default() }
}

fn at() -> CursorSpec {
    spec(Source::At(JsonPath::parse("$.t").unwrap()))
}

fn items(values: &[&str]) -> Vec<Item> {
    let item = |value: &&str| {
        let raw = Bytes::from(format!("{{\"t\":{value}}}"));
        let key = Key::from(*value);
        Item { key_digest: key.digest(), key, raw_digest: Digest::of(&raw), raw }
    };
    values.iter().map(item).collect()
}

/// Where the cursor stands after these pages.
fn after(pages: &[&[&str]], kept: Option<&str>, whole: bool) -> Option<String> {
    let (spec, mut reach) = (at(), Reach::default());
    for page in pages {
        reach.read(&spec, &HeaderMap::new(), b"{}", &items(page)).unwrap();
    }
    reach.value(&spec, kept.map(json).as_ref(), whole).map(|value| value.to_string())
}

#[test]
fn values_are_compared_by_what_they_mean() {
    for (less, more) in [
        ("9", "10"),
        ("\"9\"", "\"10\""),
        ("9007199254740992", "9007199254740993"),
        ("\"2026-01-01T00:00:00Z\"", "\"2026-01-01T00:00:00.001Z\""),
        ("\"2026-01-01T01:30:00+02:00\"", "\"2026-01-01T00:00:00Z\""),
        ("\"2026-01-01 00:00\"", "\"2026-01-01T00:00:01Z\""),
        ("\"2025-12-31\"", "\"2026-01-01\""),
        ("\"abc\"", "\"abd\""),
    ] {
        assert_eq!(compare(&json(less), &json(more)), Ordering::Less, "{less} {more}");
        assert_eq!(compare(&json(more), &json(less)), Ordering::Greater);
    }
    assert_eq!(compare(&json("\"2026-01-01T02:00:00+02:00\""), &json("\"2026-01-01T00:00:00Z\"")), Ordering::Equal);
    assert_eq!(compare(&json("1.0"), &json("\"1\"")), Ordering::Equal);
}

#[test]
fn an_overlap_keeps_the_spelling() {
    let minutes = Overlap::Time(Duration::from_secs(300));
    let number = |text: &str| Overlap::Number(Number::parse(text).unwrap());
    for (value, overlap, expected) in [
        ("\"2026-01-01T00:00:00Z\"", &minutes, "\"2025-12-31T23:55:00Z\""),
        ("\"2026-03-29T03:02:00.120+02:00\"", &minutes, "\"2026-03-29T02:57:00.120+02:00\""),
        ("\"2026-01-01 00:07\"", &minutes, "\"2026-01-01 00:02\""),
        ("\"2026-01-01T00:07:00+0100\"", &minutes, "\"2026-01-01T00:02:00+0100\""),
        ("\"2026-01-02\"", &minutes, "\"2026-01-01\""),
        ("1795000000", &minutes, "1794999700"),
        ("1795000000123", &minutes, "1794999700123"),
        ("\"1795000000123456\"", &minutes, "\"1794999700123456\""),
        ("1795000000123456789", &minutes, "1794999700123456789"),
        ("9007199254740993", &number("1"), "9007199254740992"),
        ("10.50", &number("0.25"), "10.25"),
        ("10", &number("0.5"), "9"),
        ("3", &number("10"), "0"),
        ("-3", &number("10"), "-13"),
    ] {
        assert_eq!(back(&json(value), overlap), Some(json(expected)), "{value}");
    }
    for (value, overlap) in
        [("\"opaque\"", &minutes), ("\"opaque\"", &number("1")), ("\"2026-01-01T00:00:00Z\"", &number("1"))]
    {
        let spec = CursorSpec { overlap: Some(overlap.clone()), ..at() };
        let kept = CursorState { print: Digest::default(), value: json(value), full: None };
        assert!(spec.ask(Some(&kept)).unwrap_err().sentence.contains(value));
    }
}

#[test]
fn the_first_poll_asks_with_the_start_as_it_stands() {
    let start = json("\"2026-01-01T00:00:00Z\"");
    let overlap = Some(Overlap::Time(Duration::from_secs(300)));
    let spec = CursorSpec { start: Some(start.clone()), overlap, ..at() };
    assert_eq!(spec.ask(None).unwrap(), start);
    assert_eq!(at().ask(None).unwrap(), Json::Null);
}

#[test]
fn a_whole_poll_reaches_the_greatest_and_never_goes_back() {
    assert_eq!(after(&[&["3", "9"], &["5"]], None, true).as_deref(), Some("9"));
    assert_eq!(after(&[&["3"]], Some("7"), true).as_deref(), Some("7"));
    assert_eq!(after(&[&["null"]], Some("7"), true).as_deref(), Some("7"));
    assert_eq!(after(&[], None, true), None);
}

#[test]
fn a_partial_poll_moves_over_what_was_read_in_ascending_order() {
    assert_eq!(after(&[&["3", "4"], &["5", "5"]], Some("1"), false).as_deref(), Some("4"), "more fives may come");
    assert_eq!(after(&[&["9", "8"]], Some("1"), false).as_deref(), Some("1"), "the newest first");
    assert_eq!(after(&[&["3", "4"], &["2", "9"]], Some("1"), false).as_deref(), Some("1"), "in no order");
    assert_eq!(after(&[&["3"]], Some("1"), false).as_deref(), Some("1"), "one value shows no order");
}

#[test]
fn what_an_answer_names_is_taken_as_it_is() {
    let from = spec(Source::From(Spot::Body(JsonPath::parse("$.sync").unwrap())));
    let mut reach = Reach::default();
    for body in ["{\"sync\":\"b\"}", "{\"sync\":\"a\"}", "{\"sync\":null}"] {
        reach.read(&from, &HeaderMap::new(), body.as_bytes(), &[]).unwrap();
    }
    assert_eq!(reach.value(&from, Some(&json("\"z\"")), true), Some(json("\"a\"")));
    assert_eq!(reach.value(&from, Some(&json("\"z\"")), false), Some(json("\"z\"")));
    let failure = reach.read(&from, &HeaderMap::new(), b"{\"sync\":[]}", &[]).unwrap_err();
    assert_eq!(failure.sentence, "`cursor.from = \"$.sync\"` should find text or a number, and there is an array");
}

proptest! {
    #[test]
    fn nothing_unread_is_passed(mut values in prop::collection::vec(0..20_u32, 1..30), read in 0..30_usize) {
        values.sort_unstable();
        let read = read.min(values.len());
        let texts: Vec<String> = values.iter().map(u32::to_string).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let reached = after(&[&texts[..read]], None, false);
        if let Some(reached) = reached {
            let reached: u32 = reached.parse().unwrap();
            prop_assert!(values[read..].iter().all(|unread| *unread > reached));
        }
    }

    #[test]
    fn any_text_has_an_order_and_no_panic(a in ".{0,40}", b in "[0-9T:. Z+-]{0,30}") {
        let (a, b) = (Json::from(a), Json::from(b));
        prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
        let _ = back(&a, &Overlap::Time(Duration::from_secs(60)));
        let _ = back(&b, &Overlap::Time(Duration::MAX));
        let _ = back(&b, &Overlap::Number(Number::parse("1e300").unwrap()));
    }
}
