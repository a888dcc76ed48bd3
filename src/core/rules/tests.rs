//! What counts and what does not.

use super::*;

fn rules(watch: &[&str], ignore: &[&str]) -> Rules {
    let paths = |list: &[&str]| list.iter().map(|path| JsonPath::parse(path).expect("a query")).collect();
    Rules { watch: paths(watch), ignore: paths(ignore), ..Rules::default() }
}

fn same(rules: &Rules, a: &str, b: &str) -> bool {
    let digest = |text: &str| rules.digest(&parse(text.as_bytes()).expect("JSON"));
    digest(a) == digest(b)
}

#[test]
fn without_rules_the_whole_document_counts() {
    let json = parse(br#"{"a":[1,{"b":2}]}"#).expect("JSON");
    assert_eq!(rules(&[], &[]).digest(&json), canonical_digest(&json));
    assert_eq!(rules(&["$"], &[]).digest(&json), canonical_digest(&json));
    assert_eq!(rules(&[], &["$.none", "$.a[7]"]).digest(&json), canonical_digest(&json));
}

#[test]
fn only_what_is_watched_counts() {
    let rules = rules(&["$.status", "$.lines[*].qty"], &[]);
    assert!(same(&rules, r#"{"status":1,"x":1}"#, r#"{"x":[2],"status":1.0}"#));
    assert!(!same(&rules, r#"{"status":1}"#, r#"{"status":2}"#));
    assert!(!same(&rules, r#"{"status":null}"#, "{}"));
    assert!(same(&rules, r#"{"lines":[{"qty":1,"t":1}]}"#, r#"{"lines":[{"qty":1,"t":2}]}"#));
    assert!(!same(&rules, r#"{"lines":[{"qty":1},{"qty":2}]}"#, r#"{"lines":[{"qty":2},{"qty":1}]}"#));
    assert!(same(&rules, r#"{"lines":[]}"#, r#"{"lines":"none"}"#));
    assert!(!same(&rules, r#"{"lines":[{"qty":1},{}]}"#, r#"{"lines":[{},{"qty":1}]}"#));
}

#[test]
fn what_is_ignored_never_counts() {
    let rules = rules(&[], &["$..etag", "$.tags[?@ == 'tmp']"]);
    assert!(same(&rules, r#"{"etag":1,"a":{"etag":2,"b":1}}"#, r#"{"a":{"b":1}}"#));
    assert!(same(&rules, r#"{"tags":["tmp","a","tmp"]}"#, r#"{"tags":["a"]}"#));
    assert!(!same(&rules, r#"{"tags":["tmp","a"]}"#, r#"{"tags":["b"]}"#));
    let nothing = self::rules(&[], &["$"]);
    assert!(same(&nothing, "1", r#"{"a":2}"#));
}

#[test]
fn ignore_takes_from_what_is_watched() {
    let rules = rules(&["$.a", "$.a.x", "$.b"], &["$.a.t", "$.b"]);
    assert!(same(&rules, r#"{"a":{"x":1,"t":1},"b":1}"#, r#"{"a":{"x":1,"t":2},"b":2}"#));
    assert!(!same(&rules, r#"{"a":{"x":1}}"#, r#"{"a":{"x":2}}"#));
    assert!(!same(&rules, r#"{"a":{}}"#, "{}"));
    assert!(same(&rules, r#"{"b":1}"#, "{}"));
}

#[test]
fn rules_survive_their_text() {
    for rules in [rules(&[], &[]), rules(&["$.a", "$['b \"c']"], &[]), rules(&["$..x"], &["$.l[?@.t == 1]"])] {
        assert_eq!(Rules::from_text(&rules.to_text()), Some(rules));
    }
    assert_eq!(rules(&["$.a"], &["$.b"]).to_text(), r#"{"watch":["$.a"],"ignore":["$.b"]}"#);
    for text in ["", "[]", r#"{"watch":["a"]}"#, r#"{"watch":"$.a"}"#, r#"{"tolerance":{"$.a":true}}"#] {
        assert_eq!(Rules::from_text(text), None, "{text}");
    }
}
