//! What the documents promise: digits survive, and what is not JSON is refused with a sentence.
//!
//! Splitting has its tests here too, because parsing is its oracle.

use proptest::prelude::*;

use super::samples::{document, number, respelled, spaced};
use super::*;
use crate::core::path::Step;

fn read(text: &str) -> Json {
    parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn refusal(text: &[u8]) -> String {
    let error = parse(text).expect_err("refused").to_string();
    assert!(split(text, &[]).is_err(), "the scanner refuses it too");
    error
}

fn items<'a>(body: &'a str, steps: &[Step]) -> Vec<&'a str> {
    match split(body.as_bytes(), steps).expect("JSON") {
        Split::Items(items) => items.into_iter().map(|item| std::str::from_utf8(item).expect("UTF-8")).collect(),
        Split::NotThere => vec!["not there"],
    }
}

fn member(name: &str) -> Step {
    Step::Member(name.to_owned())
}

#[test]
fn every_number_keeps_its_spelling() {
    for text in
        ["1.10", "18446744073709551616", "1e400", "-0", "0.0", "1E+2", "1.2345678901234567890123456789012345678901"]
    {
        assert_eq!(read(text).to_string(), text);
    }
}

#[test]
fn what_is_not_json_is_refused_with_a_sentence() {
    let cases: &[(&[u8], &str)] = &[
        (b"", "expected a value, but there is no text at byte 0"),
        (b" \n", "expected a value, but there is no text at byte 2"),
        (b"<html>", "expected a value, got `<` at byte 0"),
        (b"{\"a\":1", "expected a `,` or `}`, but the text ends at byte 6"),
        (b"{\"a\" 1}", "expected a `:` after the member's name, got `1` at byte 5"),
        (b"{a:1}", "expected a member's name in double quotes, got `a` at byte 1"),
        (b"{\"a\":1,}", "expected a member's name in double quotes, got `}` at byte 7"),
        (b"[1,]", "expected a value, got `]` at byte 3"),
        (b"[1 2]", "expected a `,` or `]`, got `2` at byte 3"),
        (b"[1}", "expected a `,` or `]`, got `}` at byte 2"),
        (b"1 2", "expected the end, got `2` at byte 2"),
        (b"01", "expected the end, got `1` at byte 1"),
        (b"1.", "expected a digit of a number, but the text ends at byte 2"),
        (b"-", "expected a digit of a number, but the text ends at byte 1"),
        (b"1e+", "expected a digit of a number, but the text ends at byte 3"),
        (b"+1", "expected a value, got `+` at byte 0"),
        (b"nul", "expected a value, got `n` at byte 0"),
        (b"NaN", "expected a value, got `N` at byte 0"),
        (b"\"abc", "the text ends inside a string that begins at byte 0"),
        (b"[\"abc\\", "a backslash that begins no escape of JSON at byte 5"),
        (b"\"\\x\"", "a backslash that begins no escape of JSON at byte 1"),
        (b"\"\\u12\"", "`\\u` without four hexadecimal digits at byte 1"),
        (b"\"a\nb\"", "expected an escape such as `\\n` for a control character, got `\\n` at byte 2"),
        (b"\"\xff\"", "the text is not UTF-8: it breaks off at byte 1"),
    ];
    for (text, sentence) in cases {
        assert_eq!(&refusal(text), sentence);
    }
}

#[test]
fn a_name_that_stands_twice_is_named() {
    let error = parse(br#"{"x": {"a": 1, "\u0061": 2}}"#).expect_err("twice");
    assert_eq!(error.to_string(), "the member `a` stands twice in the object that begins at byte 6");
    let many: String = (0..40).map(|at| format!("\"m{at}\":0,")).collect();
    let error = parse(format!("{{{many}\"m7\":1}}").as_bytes()).expect_err("twice");
    assert_eq!(error.to_string(), "the member `m7` stands twice in the object that begins at byte 0");
}

#[test]
fn nesting_is_capped_and_never_overflows_the_stack() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert!(parse(nested(DEPTH_MAX).as_bytes()).is_ok());
    assert_eq!(items(&nested(DEPTH_MAX), &[]), [nested(DEPTH_MAX)]);
    for text in [nested(DEPTH_MAX + 1), "[".repeat(100_000), "{\"a\":".repeat(100_000)] {
        let sentence = "arrays and objects nest deeper than 128 at byte";
        assert!(refusal(text.as_bytes()).starts_with(sentence));
        assert!(split(text.as_bytes(), &[Step::All]).expect_err("deep").to_string().starts_with(sentence));
    }
}

#[test]
fn a_byte_order_mark_is_passed_over() {
    assert_eq!(read("\u{feff} [1]"), Json::array([1_i64]));
    assert_eq!(items("\u{feff}[1]", &[Step::All]), ["1"]);
}

#[test]
fn escapes_are_resolved_and_half_a_pair_becomes_a_replacement_character() {
    let json = read(r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00""#);
    assert_eq!(json.as_str(), Some("\"\\/\u{8}\u{c}\n\r\té😀"));
    assert_eq!(read(r#""a\ud83d""#).as_str(), Some("a\u{fffd}"));
    assert_eq!(read(r#""\ude00\ud83d\u0041""#).as_str(), Some("\u{fffd}\u{fffd}A"));
    assert_eq!(Json::from("\u{1}\u{8}\n\"é\u{7f}").to_string(), "\"\\u0001\\u0008\\n\\\"é\u{7f}\"");
}

#[test]
fn numbers_are_compared_by_value() {
    for (a, b) in [
        ("1", "1.0"),
        ("1", "10e-1"),
        ("-0", "0"),
        ("0e999999999999", "0"),
        ("1e400", "10E+399"),
        ("100", "1e2"),
        ("0.001", "1e-3"),
        ("1e999999999999", "0.1e1000000000000"),
        ("12345678901234567890123456789012345678901", "12345678901234567890123456789012345678901.0"),
    ] {
        assert!(equal(&read(a), &read(b)), "{a} is {b}");
        assert_eq!(canonical_digest(&read(a)), canonical_digest(&read(b)), "{a} is {b}");
    }
    let far = format!("1e{}", "9".repeat(50));
    let ascending = [
        &format!("-{far}"),
        "-1e400",
        "-2",
        "-1.5",
        "0",
        "1e-400",
        "0.1",
        "1",
        "9007199254740992",
        "9007199254740993",
        "1e400",
        &far,
    ];
    for pair in ascending.windows(2) {
        let [a, b] = [pair[0], pair[1]].map(|text| Number::parse(text).expect("a number"));
        assert_eq!(a.compare(&b), std::cmp::Ordering::Less, "{a} < {b}");
        assert!(!equal(&a.clone().into(), &b.clone().into()));
        assert_ne!(canonical_digest(&a.into()), canonical_digest(&b.into()));
    }
}

#[test]
fn the_plain_form_is_short_and_bounded() {
    for (text, plain) in [
        ("1.0", "1"),
        ("1e2", "100"),
        ("-0.0", "0"),
        ("10.50", "10.5"),
        ("1.25e1", "12.5"),
        ("5e-3", "0.005"),
        ("-12e-1", "-1.2"),
        ("1e400", "1e400"),
        ("150E399", "1.5e401"),
        ("1e-400", "1e-400"),
        ("1e999999999999", "1e999999999999"),
        ("18446744073709551616", "18446744073709551616"),
    ] {
        assert_eq!(Number::parse(text).expect("a number").plain(), plain);
    }
}

#[test]
fn whole_numbers_are_integers_whatever_their_spelling() {
    let number = |text: &str| Number::parse(text).expect("a number");
    assert_eq!(number("1e2").as_i64(), Some(100));
    assert_eq!(number("-1.0").as_i64(), Some(-1));
    assert_eq!(number("-1").as_u64(), None);
    assert_eq!(number("18446744073709551615.0").as_u64(), Some(u64::MAX));
    assert_eq!(number("18446744073709551616").as_u64(), None);
    assert_eq!(number("18446744073709551616").as_i128(), Some(1 << 64));
    assert_eq!(number("-170141183460469231731687303715884105728.0").as_i128(), Some(i128::MIN));
    assert_eq!(number("1.5").as_i64(), None);
    assert_eq!(number("1e999999999999").as_i128(), None);
    assert_eq!(number("1e400").as_f64(), None);
    assert_eq!(number("1.10").as_f64(), Some(1.1));
    assert!(Number::parse("1 ").is_none() && Number::parse("").is_none() && Number::parse("+1").is_none());
}

#[test]
fn a_list_is_split_into_raw_slices() {
    let body = r#" { "next": [0], "data" : { "orders": [ {"id": 1, "a": [1 ,2]} ,"x",null ] } } "#;
    let steps = [member("data"), member("orders"), Step::All];
    assert_eq!(items(body, &steps), [r#"{"id": 1, "a": [1 ,2]}"#, "\"x\"", "null"]);
    assert_eq!(items(body, &steps[..2]), [r#"[ {"id": 1, "a": [1 ,2]} ,"x",null ]"#]);
    assert_eq!(items(body, &[member("data"), Step::All]), [r#"[ {"id": 1, "a": [1 ,2]} ,"x",null ]"#]);
    assert_eq!(items("[[1,2],[3]]", &[Step::Index(1), Step::All]), ["3"]);
    assert_eq!(items("[]", &[Step::All]), [""; 0]);
    assert_eq!(items("{}", &[Step::All]), [""; 0]);
    assert_eq!(items(r#"{"d\u0061ta":[1]}"#, &[member("data"), Step::All]), ["1"]);
}

#[test]
fn a_list_that_is_not_there_is_told_from_an_empty_one() {
    let steps = [member("data"), Step::All];
    for body in
        ["{}", "[]", "null", r#"{"data":null}"#, r#"{"data":"none"}"#, r#"{"Data":[1]}"#, r#"{"a":{"data":[1]}}"#]
    {
        assert_eq!(items(body, &steps), ["not there"], "{body}");
    }
    assert_eq!(items(r#"{"data":[]}"#, &steps), [""; 0]);
    assert_eq!(items("[1]", &[Step::Index(1)]), ["not there"]);
}

proptest! {
    #[test]
    fn a_list_and_its_keys_are_found_in_one_pass_as_in_two(json in document(), other in document()) {
        let body = format!("{{\"list\":[{{\"id\":{json},\"x\":{other}}}, {other} ,{{\"x\":[{json}]}}]}}");
        let (steps, key) = ([member("list"), Step::All], [member("id")]);
        let Ok(Split::Items(items)) = split(body.as_bytes(), &steps) else { panic!("a list") };
        let two: Result<Vec<_>, _> = items.into_iter().map(|item| pick(item, &key).map(|found| (item, found))).collect();
        let mut one = Vec::new();
        let there = split_keyed(body.as_bytes(), &steps, &key, |item, found| one.push((item, found)));
        match two {
            Ok(two) => prop_assert_eq!((there, one), (Ok(true), two)),
            Err(_) => prop_assert!(there.is_err()),
        }
    }
}

#[test]
fn splitting_checks_the_whole_body() {
    let steps = [member("data"), Step::All];
    for body in [
        r#"{"data":[1,2]"#,
        r#"{"data":[1,2]} x"#,
        r#"{"data":[1,2],"next":tru}"#,
        r#"{"data":[1,2],"next":{"a":[}]}"#,
        r#"{"data":[1,{"a":01}]}"#,
        r#"{"data":[1],"data":[2]}"#,
        r#"{"data":{"a":1,"a":2}}"#,
        "",
    ] {
        assert!(split(body.as_bytes(), &steps).is_err(), "{body}");
    }
}

#[test]
fn a_key_is_picked_without_a_tree() {
    let item = br#"{"a":{"b":[10,{"c":1.0}]},"id":7}"#;
    assert_eq!(pick(item, &[member("id")]), Ok(Some(&b"7"[..])));
    assert_eq!(pick(item, &[member("a"), member("b"), Step::Index(1), member("c")]), Ok(Some(&b"1.0"[..])));
    assert_eq!(pick(item, &[member("x")]), Ok(None));
    assert_eq!(pick(b"5", &[]), Ok(Some(&b"5"[..])));
    let error = pick(br#"{"id":1,"id":1}"#, &[member("id")]).expect_err("twice");
    assert_eq!(error.to_string(), "the member `id` stands twice in the object that begins at byte 0");
}

#[test]
fn pointers_lead_to_their_place() {
    let json = read(r#"{"a/b":{"~":[1,{"":2}]}}"#);
    assert_eq!(json.pointer(""), Some(&json));
    assert_eq!(json.pointer("/a~1b/~0/1/").and_then(Json::as_number).and_then(Number::as_i64), Some(2));
    for nowhere in ["a", "/a", "/a~1b/~0/2", "/a~1b/~0/01", "/a~1b/~0/-"] {
        assert_eq!(json.pointer(nowhere), None, "{nowhere}");
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back(json in document()) {
        let bytes = json.to_bytes();
        prop_assert_eq!(bytes.len(), json.written_len());
        prop_assert_eq!(&parse(&bytes).expect("JSON"), &json);
        prop_assert_eq!(&parse(spaced(&json).as_bytes()).expect("JSON"), &json);
        let serde: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON to another parser too");
        prop_assert_eq!(serde.is_object(), json.as_object().is_some());
    }

    #[test]
    fn spelling_order_and_white_space_are_no_difference(json in document()) {
        let other = respelled(&json);
        prop_assert!(equal(&json, &other));
        prop_assert_eq!(canonical_digest(&json), canonical_digest(&other));
    }

    #[test]
    fn digests_are_equal_just_when_values_are(a in document(), b in document()) {
        prop_assert_eq!(equal(&a, &b), canonical_digest(&a) == canonical_digest(&b));
    }

    #[test]
    fn numbers_compare_as_floats_do(a in number(), b in number()) {
        let (near_a, near_b) = (a.as_f64().expect("in range"), b.as_f64().expect("in range"));
        if near_a != near_b {
            prop_assert_eq!(Some(a.compare(&b)), near_a.partial_cmp(&near_b));
        }
        let plain = Number::parse(&a.plain()).expect("a number");
        prop_assert!(plain.compare(&a).is_eq());
    }

    #[test]
    fn splitting_finds_what_the_tree_holds(json in document()) {
        let text = spaced(&json);
        let found = split(text.as_bytes(), &[Step::All]).expect("JSON");
        let expected: Option<Vec<&Json>> = match &json {
            Json::Array(elements) => Some(elements.iter().collect()),
            Json::Object(members) => Some(members.iter().map(|(_, value)| value).collect()),
            _ => None,
        };
        match (found, expected) {
            (Split::NotThere, None) => {}
            (Split::Items(raw), Some(trees)) => {
                prop_assert_eq!(raw.len(), trees.len());
                for (raw, tree) in raw.iter().zip(trees) {
                    prop_assert_eq!(&parse(raw).expect("JSON"), tree);
                }
            }
            other => prop_assert!(false, "{other:?}"),
        }
    }

    #[test]
    fn scanner_and_parser_refuse_the_same(text in "[\\[\\]{},:\"0-9a.eE+\\-\\\\u tnrl]{0,12}") {
        let (tree, scan) = (parse(text.as_bytes()), split(text.as_bytes(), &[]));
        let twice = tree.as_ref().is_err_and(|error| error.what.contains("twice"));
        prop_assert_eq!(tree.is_ok() || twice, scan.is_ok(), "{}", text);
        prop_assert_eq!(tree.is_ok() || twice, serde_json::from_str::<serde_json::Value>(&text).is_ok()
            || tree.is_ok_and(|_| text.contains(['e', 'E', 'u'])), "{}", text);
    }
}
