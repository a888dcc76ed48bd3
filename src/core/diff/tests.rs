//! Patches reach their goal, stay small, and hold only what counts.

mod order;

use proptest::prelude::*;

use super::*;
use crate::core::json::samples::{document, respelled};
use crate::core::json::{equal, parse};
use crate::core::path::JsonPath;

fn read(text: &str) -> Json {
    parse(text.as_bytes()).expect("JSON")
}

fn rules(watch: &[&str], ignore: &[&str]) -> Rules {
    let paths = |list: &[&str]| list.iter().map(|path| JsonPath::parse(path).expect("a query")).collect();
    Rules { watch: paths(watch), ignore: paths(ignore), ..Rules::default() }
}

/// The difference, after a check that its patch reaches `after`.
fn differ(before: &Json, after: &Json, rules: &Rules) -> Difference {
    let difference = difference(before, after, rules);
    let mut patched = before.clone();
    apply(&mut patched, &difference.patch).expect("every path leads somewhere");
    assert_eq!(rules.digest(&patched), rules.digest(after), "{before}\n{after}\n{}", difference.patch_to_json());
    let same = rules.digest(before) == rules.digest(after);
    assert_eq!(difference.changed.is_empty(), same, "{before}\n{after}");
    assert_eq!(difference.patch.is_empty(), same, "{before}\n{after}");
    difference
}

#[track_caller]
fn check(rules: &Rules, before: &str, after: &str, changed: &str, patch: &str) {
    let difference = differ(&read(before), &read(after), rules);
    assert_eq!(Json::array(difference.changed.iter().map(String::as_str)).to_string(), changed);
    assert_eq!(difference.patch_to_json().to_string(), patch);
}

#[test]
fn objects_are_compared_member_by_member() {
    check(
        &Rules::default(),
        r#"{"a":1,"b":{"c/d":[1]},"gone":0}"#,
        r#"{"b":{"c/d":{}},"a":1.0,"new":1.10}"#,
        r#"["/b/c~1d","/gone","/new"]"#,
        r#"[{"op":"replace","path":"/b/c~1d","value":{}},{"op":"remove","path":"/gone"},{"op":"add","path":"/new","value":1.10}]"#,
    );
    check(&Rules::default(), "1", "2", r#"[""]"#, r#"[{"op":"replace","path":"","value":2}]"#);
}

#[test]
fn an_element_at_the_head_is_one_operation() {
    let list = |from: usize, to: usize| Json::array((from..to).map(|at| Json::object([("id", at as u64), ("n", 1)])));
    for (before, after) in
        [(list(1, 5001), list(0, 5001)), (list(0, 5001), list(1, 5001)), (list(0, 5000), list(1, 5000))]
    {
        let difference = differ(&before, &after, &Rules::default());
        assert_eq!((difference.patch.len(), difference.changed), (1, vec!["/0".to_owned()]));
    }
    let difference = differ(&list(0, 5000), &list(1, 5001), &Rules::default());
    assert_eq!(difference.changed, ["/0", "/4999"]);
    assert_eq!(difference.patch.len(), 2);
}

#[test]
fn elements_in_the_middle_are_found() {
    check(
        &Rules::default(),
        r#"{"l":["a","b","c","d","e"]}"#,
        r#"{"l":["x","a","c","D","e","f"]}"#,
        r#"["/l/0","/l/1","/l/3","/l/5"]"#,
        concat!(
            r#"[{"op":"add","path":"/l/0","value":"x"},{"op":"remove","path":"/l/2"},"#,
            r#"{"op":"replace","path":"/l/3","value":"D"},{"op":"add","path":"/l/5","value":"f"}]"#
        ),
    );
}

#[test]
fn elements_that_pair_are_compared_inside() {
    check(
        &Rules::default(),
        r#"[{"id":1,"n":1},{"id":2,"n":1}]"#,
        r#"[{"id":1,"n":2},{"id":2,"n":1}]"#,
        r#"["/0/n"]"#,
        r#"[{"op":"replace","path":"/0/n","value":2}]"#,
    );
}

#[test]
fn a_patch_never_outgrows_what_it_replaces() {
    let list = |salt: u64, count: u64| Json::array((0..count).map(|at| at * 7 + salt));
    let difference = differ(&list(0, 4000), &list(1, 3000), &Rules::default());
    assert_eq!(difference.patch.len(), 1);
    assert_eq!(difference.changed, [""]);
}

#[test]
fn what_is_ignored_stays_out_of_the_patch() {
    let rules = rules(&[], &["$..etag", "$.tags[?@ == 'tmp']"]);
    check(
        &rules,
        r#"{"a":1,"etag":1,"l":[{"x":1,"etag":1}],"tags":["tmp","a","tmp","b"]}"#,
        r#"{"a":2,"etag":2,"l":[{"x":1,"etag":2},{"x":2,"etag":3}],"tags":["a","c","b","tmp"]}"#,
        r#"["/a","/l/1","/tags/3"]"#,
        concat!(
            r#"[{"op":"replace","path":"/a","value":2},{"op":"add","path":"/l/1","value":{"x":2}},"#,
            r#"{"op":"add","path":"/tags/3","value":"c"}]"#
        ),
    );
}

#[test]
fn only_what_is_watched_is_in_the_patch() {
    let rules = rules(&["$.status", "$.lines[*].qty", "$.who.name"], &[]);
    check(
        &rules,
        r#"{"status":1,"x":1,"lines":[{"qty":1,"t":1}],"who":{"name":"a","t":1}}"#,
        r#"{"x":2,"lines":[{"qty":2,"t":2},{"qty":3,"t":3}],"who":{"name":"a","t":2}}"#,
        r#"["/status","/lines/0/qty","/lines/1/qty"]"#,
        concat!(
            r#"[{"op":"remove","path":"/status"},{"op":"replace","path":"/lines/0/qty","value":2},"#,
            r#"{"op":"add","path":"/lines/1","value":{"qty":3}}]"#
        ),
    );
    check(
        &rules,
        r#"{"who":null}"#,
        r#"{"who":{"name":"b","t":1}}"#,
        r#"["/who/name"]"#,
        r#"[{"op":"replace","path":"/who","value":{"name":"b"}}]"#,
    );
}

#[test]
fn a_filter_that_starts_to_match_is_a_change_that_the_patch_brings_about() {
    let rules = rules(&["$.lines[?@.kind == 'x'].qty"], &[]);
    let (before, after) = (read(r#"{"lines":[{"kind":"y","qty":1}]}"#), read(r#"{"lines":[{"kind":"x","qty":1}]}"#));
    assert_eq!(differ(&before, &after, &rules).changed, ["/lines/0/qty"]);
    differ(&after, &before, &rules);
}

#[test]
fn the_applier_does_what_rfc_6902_says() {
    let apply_all = |document: &str, ops: &[PatchOp]| {
        let mut document = read(document);
        apply(&mut document, ops).map(|()| document.to_string())
    };
    let add = |path: &str, value: &str| PatchOp::Add { path: path.to_owned(), value: read(value) };
    let remove = |path: &str| PatchOp::Remove { path: path.to_owned() };
    let replace = |path: &str, value: &str| PatchOp::Replace { path: path.to_owned(), value: read(value) };
    // RFC 6902, appendices A.1 to A.5, A.10, A.14 and A.16.
    assert_eq!(apply_all(r#"{"foo":"bar"}"#, &[add("/baz", "\"q\"")]), Ok(r#"{"foo":"bar","baz":"q"}"#.to_owned()));
    assert_eq!(
        apply_all(r#"{"foo":["bar","baz"]}"#, &[add("/foo/1", "1")]),
        Ok(r#"{"foo":["bar",1,"baz"]}"#.to_owned())
    );
    assert_eq!(apply_all(r#"{"baz":"q","foo":"b"}"#, &[remove("/baz")]), Ok(r#"{"foo":"b"}"#.to_owned()));
    assert_eq!(apply_all(r#"{"foo":["b","q","z"]}"#, &[remove("/foo/1")]), Ok(r#"{"foo":["b","z"]}"#.to_owned()));
    assert_eq!(apply_all(r#"{"baz":"q"}"#, &[replace("/baz", "2")]), Ok(r#"{"baz":2}"#.to_owned()));
    assert_eq!(apply_all(r#"{"/":9,"~1":10}"#, &[replace("/~01", "11")]), Ok(r#"{"/":9,"~1":11}"#.to_owned()));
    assert_eq!(apply_all(r#"{"foo":["bar"]}"#, &[add("/foo/-", "[1]")]), Ok(r#"{"foo":["bar",[1]]}"#.to_owned()));
    for op in [add("/a/b", "1"), remove("/a"), replace("/a", "1"), add("/foo/2", "1"), remove("/foo/01"), remove("foo")]
    {
        assert!(apply_all(r#"{"foo":["bar"]}"#, &[op]).is_err());
    }
}

fn some_rules() -> impl Strategy<Value = Rules> {
    let path = prop::sample::select(vec![
        "$.a",
        "$.b",
        "$.a.b",
        "$.a.c[*]",
        "$.b[*].a",
        "$..a",
        "$..c",
        "$[0]",
        "$[1:]",
        "$.a[-1]",
        "$[?@ == 1]",
        "$.c[?@.a]",
        "$['a/']",
        "$[*]",
        "$.*.*",
        "$",
    ]);
    let paths = |most| prop::collection::vec(path.clone(), 0..most);
    (paths(4), paths(4)).prop_map(|(watch, ignore)| rules(&watch, &ignore))
}

/// A pair of documents that have something in common.
fn pair() -> impl Strategy<Value = (Json, Json)> {
    (document(), document(), 0_u8..4).prop_map(|(a, b, how)| match (how, &a) {
        (0, Json::Array(elements)) => {
            let cut = elements.len() / 2;
            let mixed = elements[cut..].iter().chain([&b]).chain(&elements[..cut / 2]).cloned();
            (a.clone(), Json::array(mixed))
        }
        (1, Json::Object(members)) => {
            let mut other = members.clone();
            other.reverse();
            other.iter_mut().step_by(2).for_each(|(_, value)| *value = b.clone());
            (a, Json::Object(other))
        }
        (2, _) => (Json::array([a.clone(), b.clone(), a.clone()]), Json::array([b, a.clone(), a])),
        _ => (a, b),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_patch_turns_before_into_after((before, after) in pair()) {
        let difference = differ(&before, &after, &Rules::default());
        let mut patched = before.clone();
        prop_assert!(apply(&mut patched, &difference.patch).is_ok());
        prop_assert!(equal(&patched, &after));
    }

    #[test]
    fn the_patch_reaches_after_under_any_rules((before, after) in pair(), rules in some_rules()) {
        differ(&before, &after, &rules);
    }

    #[test]
    fn another_spelling_is_no_difference(json in document()) {
        // Filters and positions see values and places, which another spelling does not move.
        prop_assert_eq!(difference(&json, &respelled(&json), &Rules::default()), Difference::default());
        let rules = rules(&[], &["$..a", "$[?@ == 1]"]);
        prop_assert_eq!(difference(&json, &respelled(&json), &rules), Difference::default());
    }

    #[test]
    fn arrays_of_few_values_align(before in prop::collection::vec(0_u64..4, 0..12), after in prop::collection::vec(0_u64..4, 0..12)) {
        differ(&Json::array(before), &Json::array(after), &Rules::default());
    }
}

#[test]
fn long_arrays_align_without_a_table() {
    let list: Vec<u64> = (0..2000).collect();
    let mut other = list.clone();
    other.remove(1900);
    other.insert(100, 9999);
    other.swap(500, 501);
    other[1000] = 8888;
    let difference = differ(&Json::array(list), &Json::array(other), &Rules::default());
    assert!(difference.patch.len() <= 6, "{}", difference.patch_to_json());
}
