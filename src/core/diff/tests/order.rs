//! Tolerances, elements with keys, and arrays without order.

use super::*;
use crate::core::rules::Tolerance;

fn text_rules(text: &str) -> Rules {
    Rules::from_text(text).expect("rules")
}

#[test]
fn what_is_tolerated_is_no_change_and_stays_out_of_the_patch() {
    let rules = text_rules(r#"{"tolerance":{"$.price":"0.5%","$.t":0.2}}"#);
    let base = r#"{"price":"200.00","t":20.1,"s":1}"#;
    assert_eq!(difference(&read(base), &read(r#"{"price":"201","t":20.3,"s":1}"#), &rules), Difference::default());
    let moved = difference(&read(base), &read(r#"{"price":"201","t":20.31,"s":2}"#), &rules);
    assert_eq!(moved.changed, ["/t", "/s"]);
    assert_eq!(difference(&read(base), &read(r#"{"price":null,"t":20.1,"s":1}"#), &rules).changed, ["/price"]);
}

#[test]
fn tolerances_follow_elements_that_move() {
    let rules = text_rules(r#"{"tolerance":{"$.l[*].n":1}}"#);
    let (before, after) =
        (r#"{"l":[{"n":1,"a":1},{"n":5,"a":2}]}"#, r#"{"l":[{"n":9,"a":0},{"n":2,"a":1},{"n":5.5,"a":2}]}"#);
    let found = difference(&read(before), &read(after), &rules);
    assert_eq!((found.changed, found.patch.len()), (vec!["/l/0".to_owned()], 1));
}

#[test]
fn keyed_elements_are_compared_wherever_they_stand() {
    let rules = text_rules(r#"{"arrays":{"$.l":"$.k"}}"#);
    let before = r#"{"l":[{"k":"a","n":1},{"k":"b","n":1},{"k":"c","n":1}]}"#;
    check(&rules, before, r#"{"l":[{"k":"c","n":1},{"k":"a","n":1},{"k":"b","n":1}]}"#, "[]", "[]");
    check(
        &rules,
        before,
        r#"{"l":[{"k":"d","n":1},{"k":"c","n":2},{"k":"a","n":1}]}"#,
        r#"["/l/1/n","/l/1","/l/0"]"#,
        concat!(
            r#"[{"op":"replace","path":"/l/2/n","value":2},{"op":"remove","path":"/l/1"},"#,
            r#"{"op":"add","path":"/l/2","value":{"k":"d","n":1}}]"#
        ),
    );
    // A key that is there twice, or missing: the order counts again.
    let twice = differ(&read(before), &read(r#"{"l":[{"k":"b","n":1},{"k":"b","n":1}]}"#), &rules);
    assert!(!twice.changed.is_empty());
    assert!(!differ(&read(r#"{"l":[{"k":1},{}]}"#), &read(r#"{"l":[{},{"k":1}]}"#), &rules).changed.is_empty());
}

#[test]
fn keys_and_watched_places_go_together() {
    let rules = text_rules(r#"{"watch":["$.l[*].n"],"arrays":{"$.l":"$.k"}}"#);
    let before = r#"{"l":[{"k":"a","n":1,"x":1},{"k":"b","n":1}]}"#;
    check(&rules, before, r#"{"l":[{"k":"b","n":1},{"k":"a","n":1,"x":2}]}"#, "[]", "[]");
    let found = differ(&read(before), &read(r#"{"l":[{"k":"c","n":3},{"k":"a","n":2}]}"#), &rules);
    assert!(found.changed.contains(&"/l/1/n".to_owned()), "{found:?}");
}

#[test]
fn without_order_only_what_is_in_an_array_counts() {
    let rules = text_rules(r#"{"unordered":["$.tags"]}"#);
    check(&rules, r#"{"tags":["a","b","a"]}"#, r#"{"tags":["a","a","b"]}"#, "[]", "[]");
    check(
        &rules,
        r#"{"tags":["a","b","a"]}"#,
        r#"{"tags":["b","a","c"]}"#,
        r#"["/tags/2"]"#,
        r#"[{"op":"replace","path":"/tags/2","value":"c"}]"#,
    );
    check(
        &rules,
        r#"{"tags":["a","b","c"]}"#,
        r#"{"tags":["c"]}"#,
        r#"["/tags/1","/tags/0"]"#,
        r#"[{"op":"remove","path":"/tags/1"},{"op":"remove","path":"/tags/0"}]"#,
    );
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let path = || prop::sample::select(vec!["$", "$.a", "$.b", "$..a", "$..*", "$[*]", "$.*[*]"]);
    let paths = || prop::collection::vec(path(), 0..3);
    let parse = |path: &str| JsonPath::parse(path).expect("a query");
    (some_rules(), paths(), paths(), paths()).prop_map(move |(rules, arrays, unordered, tolerance)| Rules {
        arrays: arrays.into_iter().map(|path| (parse(path), parse("$.a"))).collect(),
        unordered: unordered.into_iter().map(parse).collect(),
        tolerance: tolerance.into_iter().map(|path| (parse(path), Tolerance::by("3").expect("a tolerance"))).collect(),
        ..rules
    })
}

fn shuffled(json: &Json) -> Json {
    match json {
        Json::Array(elements) => Json::Array(elements.iter().rev().map(shuffled).collect()),
        Json::Object(members) => Json::object(members.iter().map(|(name, value)| (name.as_str(), shuffled(value)))),
        other => other.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn the_patch_ends_where_nothing_differs((before, after) in pair(), rules in any_rules()) {
        let found = difference(&before, &after, &rules);
        let mut patched = before.clone();
        prop_assert!(apply(&mut patched, &found.patch).is_ok());
        prop_assert_eq!(difference(&patched, &after, &rules), Difference::default(), "{}", found.patch_to_json());
        prop_assert_eq!(found.changed.is_empty(), found.patch.is_empty());
        if rules.digest(&before) == rules.digest(&after) {
            prop_assert!(found.changed.is_empty());
        } else if !rules.tolerates() {
            prop_assert!(!found.changed.is_empty());
        }
    }

    #[test]
    fn another_order_is_no_change_where_order_does_not_count(json in document()) {
        let rules = text_rules(r#"{"unordered":["$","$..*"]}"#);
        prop_assert_eq!(difference(&json, &shuffled(&json), &rules), Difference::default());
    }

    #[test]
    fn a_drift_adds_up(steps in prop::collection::vec(-9_i64..10, 1..40)) {
        let rules = text_rules(r#"{"tolerance":{"$":1}}"#);
        let number = |tenths: i64| read(&format!("{tenths}e-1"));
        let (mut told, mut value) = (0_i64, 0_i64);
        for step in steps {
            value += step;
            let seen = !difference(&number(told), &number(value), &rules).changed.is_empty();
            prop_assert_eq!(seen, (value - told).abs() > 10);
            told = if seen { value } else { told };
        }
    }
}
