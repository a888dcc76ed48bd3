//! The contract of the small language, as tables: what is written, and what it renders to or why not.

use super::*;
use crate::core::json;
use proptest::prelude::*;

mod requests;

const NAMES: [&str; 7] = ["before", "after", "change", "changed", "key", "job", "cursor"];

fn document(text: &str) -> Json {
    json::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn after() -> Json {
    document(
        r#"{
            "id": 12345678901234567890123, "total": 1.10, "status": "paid", "count": 3, "zero": 0.00, "none": null,
            "big": 9007199254740993, "power": 1e2, "forty": 1234567890123456789012345678901234567890, "minus": -0,
            "lines": [{"sku": "a", "price": 2.50, "qty": 2}, {"sku": "b", "price": 10.00, "qty": 1}],
            "prices": [1.10, 20.0], "odd name": true, "a": {"b": {"c": "deep"}}, "tags": ["x", "y"], "text": "5",
            "html": "<b>&\"", "url": "a/b?c#d&e%f g", "dots": "..", "dot": "%2e", "empty": "", "list": []
        }"#,
    )
}

/// Runs `work` with the names of an event whose `before` is null.
fn with_names<T>(work: impl FnOnce(&Names<'_>) -> T) -> T {
    let after = after();
    let text = |text: &str| Json::String(text.to_owned());
    let (change, key, job, changed) =
        (text("created"), text("12/3"), text("orders"), Json::Array(vec![text("/total")]));
    let names = [
        ("before", &Json::Null),
        ("after", &after),
        ("change", &change),
        ("changed", &changed),
        ("key", &key),
        ("job", &job),
        ("cursor", &Json::Null),
    ];
    work(&names)
}

fn template(source: &str) -> Template {
    Template::compile(source, &NAMES).unwrap_or_else(|complaint| panic!("{source}: {complaint:?}"))
}

fn value(source: &str) -> String {
    match with_names(|names| template(source).value(names)) {
        Ok(value) => value.to_string(),
        Err(sentence) => format!("error: {sentence}"),
    }
}

fn rendered(source: &str) -> String {
    with_names(|names| template(source).render(names)).unwrap_or_else(|sentence| format!("error: {sentence}"))
}

fn holds(source: &str) -> Result<bool, String> {
    let condition = Condition::compile(source, &NAMES).unwrap_or_else(|complaint| panic!("{source}: {complaint:?}"));
    with_names(|names| condition.holds(names))
}

fn secret(value: &str, reference: &str) -> Part {
    Part::Secret { value: Secret::new(value), reference: reference.to_owned() }
}

fn plain(text: &str) -> Part {
    Part::Plain(text.to_owned())
}

fn text(parts: &[Part]) -> Text {
    Text::compile(parts, &NAMES).unwrap_or_else(|complaint| panic!("{complaint:?}"))
}

fn url(source: &str) -> Result<String, String> {
    let url = Text::compile_url(&[plain(source)], &NAMES).unwrap_or_else(|complaint| panic!("{source}: {complaint:?}"));
    with_names(|names| url.render_url(names)).map(|url| url.expose().to_owned())
}

#[test]
fn a_whole_expression_keeps_its_type() {
    for (source, expected) in [
        ("{{ after.total }}", "1.10"),
        ("{{after.id}}", "12345678901234567890123"),
        ("{{ after.forty }}", "1234567890123456789012345678901234567890"),
        ("{{ after.power }}", "1e2"),
        ("{{ after.minus }}", "-0"),
        ("{{ after.status }}", "\"paid\""),
        ("{{ after.lines[0].price }}", "2.50"),
        ("{{ after.lines[-1].sku }}", "\"b\""),
        ("{{ after[\"odd name\"] }}", "true"),
        ("{{ after['a'].b.c }}", "\"deep\""),
        ("{{ after.lines[0] }}", r#"{"sku":"a","price":2.50,"qty":2}"#),
        ("{{ after.prices }}", "[1.10,20.0]"),
        ("{{ after.none }}", "null"),
        ("{{ after.count + 1 }}", "4"),
        ("{{ after.big + 1 }}", "9007199254740994"),
        ("{{ after.total * 2 }}", "2.2"),
        ("{{ after.count > 2 }}", "true"),
        ("{{ [after.total, after.count] }}", "[1.10,3]"),
        ("{{ {'total': after.total, 'of': after.lines | length} }}", r#"{"total":1.10,"of":2}"#),
        ("{{ [after.total, 1] | sum }}", "2.1"),
        ("{{ {'a': after.total}.a * 2 }}", "2.2"),
        ("{{ {'a': 1, 'b': 2, 'a': 3} }}", r#"{"b":2,"a":3}"#),
        ("{{ after.total if after.count else 0 }}", "1.10"),
        ("{{ after.total | default(0) }}", "1.10"),
        ("{{ after.missing | default(0) }}", "0"),
        ("{{ after.missing or after.total }}", "1.10"),
        ("{{ after.lines | first }}", r#"{"sku":"a","price":2.50,"qty":2}"#),
        ("{{ after.lines | map(attribute='price') | sum }}", "12.5"),
        ("{{ after.lines | map(attribute='sku') | list }}", r#"["a","b"]"#),
        ("{{ after.lines | selectattr('price', 'gt', 5) | map(attribute='sku') | list }}", r#"["b"]"#),
        ("{{ after.lines | sort(attribute='price', reverse=true) | map(attribute='sku') | list }}", r#"["b","a"]"#),
        ("{{ after.prices | max }}", "20"),
        ("{{ after.tags[after.count - 2] }}", "\"y\""),
        ("{{ after.lines[after.zero | int].price }}", "2.50"),
        ("{{ after.status[:2] }}", "\"pa\""),
        ("{{ 'x' }}", "\"x\""),
        ("{{- after.total -}}", "1.10"),
        (" {{ after.total }}", "\" 1.10\""),
        ("{{ after.total }}{{ after.count }}", "\"1.103\""),
        ("plain", "\"plain\""),
        ("", "\"\""),
    ] {
        assert_eq!(value(source), expected, "{source}");
    }
}

#[test]
fn a_text_shows_numbers_as_the_vendor_writes_them() {
    for (source, expected) in [
        ("Order {{ key }} is {{ after.status }}", "Order 12/3 is paid"),
        ("Order {{ after.total }}", "Order 1.10"),
        ("{{ after.id }}/{{ after.power }}", "12345678901234567890123/1e2"),
        ("{{ 'EUR ' ~ after.total ~ '!' }}", "EUR 1.10!"),
        ("{{ after.total | string }} {{ after.prices | join(' + ') }}", "1.10 1.10 + 20.0"),
        ("{{ after.lines | tojson }}", r#"[{"sku":"a","price":2.50,"qty":2},{"sku":"b","price":10.00,"qty":1}]"#),
        ("{% for line in after.lines %}{{ loop.index }}:{{ line.price }} {% endfor %}", "1:2.50 2:10.00 "),
        ("{% for price in after.prices %}{{ price }},{{ price + 1 }};{% endfor %}", "1.10,2.1;20.0,21;"),
        ("{% set t = after.total %}{{ t }} {{ t * 2 }}", "1.10 2.2"),
        ("{% if after.count > 2 %}many{% else %}few{% endif %}", "many"),
        ("{% for x in after.missing %}x{% else %}none{% endfor %}", "none"),
        ("{% for line in after.lines if line.qty > 1 %}{{ line.sku }}{% endfor %}", "a"),
        ("{% for name, value in after.a | items %}{{ name }}={{ value.b.c }}{% endfor %}", "b="),
        ("{% with t = after.total %}[{{ t }}]{% endwith %}", "[1.10]"),
        ("{% for i in range(3) %}{{ loop.cycle('a', 'b') }}{% endfor %}", "aba"),
        ("{% raw %}{{ not this }}{% endraw %} {{ key }}", "{{ not this }} 12/3"),
        ("{{ after.html }}", "<b>&\""),
        ("[{{ after.missing }}{{ after.none }}]", "[]"),
        ("{{ after.tags }}.", r#"["x","y"]."#),
        ("line {{ key }}\n", "line 12/3\n"),
        ("{{ '%.2f' | format(after.total) }}", "1.10"),
        ("{{ after.name | upper }}|{{ after.status | upper }}", "|PAID"),
        ("{# a comment #}{{ key }}", "12/3"),
        ("color {#fff}", "color {#fff}"),
    ] {
        assert_eq!(rendered(source), expected, "{source}");
    }
}

#[test]
fn what_is_missing_is_none_and_never_an_error() {
    for condition in [
        "after.missing is none",
        "after.missing == none",
        "none == after.missing",
        "after.a.b.c.d.e is none",
        "after.missing.deeper[3].still == none",
        "before is none",
        "before.status is none",
        "before.a.b.c == none",
        "before.status != 'paid'",
        "before == none",
        "after.status is defined and after.missing is undefined and after.missing is not defined",
        "after.lines[99] is none",
        "after.lines[-99].x is none",
        "after.lines['x'] is none",
        "after.status.length is none",
        "after.tags[0].x == none",
        "not after.missing",
        "not (after.missing > 5) and not (after.missing < 5) and not (5 >= after.missing)",
        "not ('x' in after.missing)",
        "after.missing | length == 0",
        "after.lines[after.missing] is none",
        "after.lines[after.count].sku is none",
        "(after.missing | default({})).x is none",
        "after.lines | map(attribute='missing') | list | length == 2",
        "after.none is none and after.none == after.missing",
        "after.missing | default('x') == 'x'",
        "after.none | d('x') == 'x'",
        "after.empty | default('x', true) == 'x'",
        "after.empty | default('x', boolean=true) == 'x'",
        "after.missing[:3] | length == 0",
        "after.missing ~ 'x' == 'x'",
        "after.missing is empty and after.list is empty and after.empty is empty",
    ] {
        assert_eq!(holds(condition), Ok(true), "{condition}");
    }
}

#[test]
fn conditions_decide() {
    for (condition, expected) in [
        ("after.status == 'paid' and before.status != 'paid'", true),
        ("after.status == 'open'", false),
        ("after.total > 1", true),
        ("after.total >= 1.1 and after.total <= 1.1", true),
        ("1 < after.total < 2", true),
        ("1 < after.total < 1.05", false),
        ("after.total == 1.1", true),
        ("after.power == 100", true),
        ("after.big == 9007199254740993", true),
        ("after.big == 9007199254740992", false),
        ("after.forty == after.forty and after.forty != after.id", true),
        ("after.forty > after.id", true),
        ("after.text == 5", false),
        ("after.text != 5", true),
        ("after.text == '5'", true),
        ("after.count == '3'", false),
        ("after.zero", false),
        ("after.minus", false),
        ("after.total", true),
        ("after.empty", false),
        ("after.list", false),
        ("'x' in after.tags", true),
        ("'z' in after.tags", false),
        ("'z' not in after.tags", true),
        ("1.1 in after.prices", true),
        ("20 in after.prices", true),
        ("'status' in after", true),
        ("'ai' in after.status", true),
        ("change in ['created', 'restored']", true),
        ("'/total' in changed", true),
        ("after.tags == ['x', 'y']", true),
        ("after.lines[0].qty * after.lines[0].price == 5", true),
        ("after.status is string and after.total is number", true),
        ("after.status in ('paid', 'sent')", true),
        ("after['odd name'] == true", true),
        ("after['odd name'] == 1", false),
        ("after.count is eq 3", true),
        ("after.status < 'q'", true),
        ("after.tags | select('eq', 'x') | list == ['x']", true),
        ("true", true),
        ("none", false),
    ] {
        assert_eq!(holds(condition), Ok(expected), "{condition}");
    }
}

#[test]
fn text_against_a_number_in_order_is_an_error() {
    for condition in [
        "after.status > 5",
        "after.text < 5",
        "5 <= after.text",
        "after.total >= '1'",
        "1 < after.text < 9",
        "after.tags > 1",
        "after['odd name'] < 2",
        "after.a < 'x'",
        "'a' < 1",
        "after.status is gt 5",
        "after.status is lt(5)",
        "after.lines | selectattr('sku', 'gt', 5) | list",
        "after.prices | map('string') | select('>', 1) | list",
        "[1, 'a'] | sort",
        "[1, 'a'] | max",
        "true < 2",
    ] {
        let sentence = holds(condition).expect_err(condition);
        assert!(sentence.contains("in order"), "{condition}: {sentence}");
    }
    assert_eq!(
        holds("after.status > 5").expect_err("an error"),
        "`after.status > 5` failed: `>` can't put text and a number in order"
    );
}

#[test]
fn what_fails_says_why() {
    for (source, reason) in [
        ("{{ after.status + 1 }}", "unsupported"),
        ("{{ after.count / 0 }}", "`after.count / 0` failed: unable to calculate"),
        (
            "{{ after.forty * after.forty * after.forty * after.forty * after.forty * after.forty * after.forty * \
          after.forty * after.forty }}",
            "not a number that JSON can hold",
        ),
        ("{{ 'x' * 100000000 }}", "larger than 4 MiB"),
        ("{{ 'x' * 4000000 ~ 'x' * 4000000 }}", "larger than 4 MiB"),
        ("{{ 'x' | indent(100000) }}", "1000 at most"),
        ("{{ '%99999d' | format(1) }}", "999 wide at most"),
        ("{% for i in range(9999) %}{% for j in range(9999) %}x{% endfor %}{% endfor %}", "too many steps"),
        ("{% for i in range(9999) %}{{ 'x' * 4000 }}{% endfor %}", "larger than 4 MiB"),
        ("{{ ('x' * 4000000) | replace('x', 'yyy') }}", "larger than 4 MiB"),
    ] {
        let result = rendered(source);
        assert!(result.starts_with("error: ") && result.contains(reason), "{source}: {result}");
    }
}

#[test]
fn what_is_wrong_is_a_complaint_at_load() {
    for (source, problem, hint, at) in [
        ("{{ afer.total }}", "there is no `afer` here", "did you mean `after`?", "afer"),
        ("a {{ key }} {{ status }}", "there is no `status` here", "the names are before, after", "status"),
        ("{{ null }}", "there is no `null`", "write `none`", "null"),
        ("{{ key | uper }}", "there is no filter `uper`", "did you mean `upper`?", ""),
        ("{{ key is nun }}", "there is no test `nun`", "did you mean `none`?", ""),
        ("{{ upper(key) }}", "there is no function `upper`", "write `value | upper`", ""),
        ("{{ now() }}", "there is no function `now`", "dict, range", ""),
        ("{{ debug() }}", "there is no function `debug`", "dict, range", ""),
        ("{{ key.upper() }}", "values have no methods such as `upper`", "value | upper", ""),
        ("{{ __eq(1, 1) }}", "there is no function `__eq`", "", ""),
        ("{{ __d0 }}", "there is no `__d0`", "", ""),
        ("{{ key ", "can't be read", "close what is open", ""),
        ("{{ key == }}", "can't be read", "", ""),
        ("{{ a = b }}", "can't be read", "write `==` to compare", ""),
        ("{{ key && job }}", "can't be read", "write `and`", ""),
        ("{% if key %}x", "can't be read", "close what is open", ""),
        ("{% include 'x' %}", "`include` has no place", "`if`, `for`", ""),
        ("{% macro m() %}{% endmacro %}", "`macro` has no place", "`if`, `for`", ""),
        ("{% extends 'x' %}", "`extends` has no place", "`if`, `for`", ""),
        ("{% import 'x' as y %}", "`import` has no place", "`if`, `for`", ""),
        ("{% autoescape true %}{% endautoescape %}", "`autoescape` has no place", "`if`, `for`", ""),
        ("{% for x in after.lines recursive %}{{ loop(x) }}{% endfor %}", "recursive", "", ""),
        ("{% set __d0 = 1 %}", "`__d0` can't be set", "", "__d0"),
        ("{% set loop = 1 %}", "reserved variable name loop", "", "loop"),
        ("{{ loop.index }}", "there is no `loop`", "inside `{% for %}`", "loop"),
        ("{% for x in after.lines %}{% endfor %}{{ x }}", "there is no `x`", "", "x"),
        ("{{ key | safe }}", "there is no filter `safe`", "", ""),
        ("{{ range }}", "there is no `range`", "", "range"),
    ] {
        let complaint = Template::compile(source, &NAMES).expect_err(source);
        assert!(complaint.problem.contains(problem), "{source}: {complaint:?}");
        assert!(complaint.hint.as_deref().unwrap_or_default().contains(hint), "{source}: {complaint:?}");
        if !at.is_empty() {
            let span = complaint.span.clone().expect("a span");
            assert_eq!(source.get(span), Some(at), "{source}: {complaint:?}");
        }
    }
    let bare = Condition::compile("{{ after.x }}", &NAMES).expect_err("a template");
    assert!(bare.problem.contains("not a bare expression"), "{bare:?}");
    let empty = Condition::compile("", &NAMES).expect_err("nothing");
    assert!(empty.hint.is_some(), "{empty:?}");
    let unknown = Condition::compile("afterr.x == 1", &NAMES).expect_err("a typo");
    assert_eq!(unknown.span, Some(0..6));
}

#[test]
fn what_is_nested_without_bounds_is_a_complaint() {
    let deep =
        |open: &str, close: &str, count: usize| format!("{{{{ {}1{} }}}}", open.repeat(count), close.repeat(count));
    for source in [
        deep("(", ")", 20_000),
        deep("[", "]", 20_000),
        deep("[", "]", 100),
        deep("-", "", 20_000),
        deep("not ", "", 20_000),
        deep("1+", "", 20_000),
        deep("1~", "", 20_000),
        deep("1 and ", "", 20_000),
        deep("1**", "", 20_000),
        deep("1 if 1 else ", "", 20_000),
        deep("1 < ", "", 20_000),
        format!("{{{{ after{} }}}}", ".a".repeat(20_000)),
        format!("{{{{ key{} }}}}", "|upper".repeat(20_000)),
        format!("{{{{ {}key{} }}}}", "2*(".repeat(39), ")".repeat(39)),
        format!("{}{}", "{% if key %}".repeat(5000), "{% endif %}".repeat(5000)),
        format!("{}{}", "{% if key %}".repeat(30), "{% endif %}".repeat(30)),
    ] {
        let complaint = Template::compile(&source, &NAMES).expect_err(&source[..60]);
        assert!(complaint.problem.len() < 300, "{complaint:?}");
    }
    assert_eq!(value(&format!("{{{{ {}0 }}}}", "1+".repeat(200))), "200");
    assert_eq!(holds(&format!("{}true", "key == '12/3' and ".repeat(60))), Ok(true));
}

#[test]
fn every_filter_and_test_that_is_offered_is_there() {
    for filter in engine::FILTERS {
        let sentence = rendered(&format!("{{{{ key | {filter} }}}}"));
        assert!(!sentence.contains("unknown"), "{filter}: {sentence}");
    }
    for test in engine::TESTS {
        let sentence = rendered(&format!("{{{{ key is {test} }}}}"));
        assert!(!sentence.contains("unknown"), "{test}: {sentence}");
    }
}

#[test]
fn conditions_of_one_shape_share_their_code() {
    let program = |source: &str| match Condition::compile(source, &NAMES).map(|condition| condition.test) {
        Ok(Piece::Program(program)) => program,
        other => panic!("{source}: {other:?}"),
    };
    let paid = program("after.status == 'paid' and after.total > 5");
    assert!(paid.shares_code_with(&program("before.x[0] == 'open' and key > 7")));
    assert!(!paid.shares_code_with(&program("after.status != 'paid' and after.total > 5")));
}

#[test]
fn a_constant_text_is_just_a_string() {
    let constant = text(&[plain("a } b {# c { d")]);
    assert_eq!(constant.literal(), Some("a } b {# c { d"));
    assert!(constant.is_constant() && !constant.hides());
    assert_eq!(constant.source(), "a } b {# c { d");
    assert!(size_of::<Text>() <= 48, "{}", size_of::<Text>());
}

proptest! {
    #[test]
    fn no_source_panics(source in "\\PC{0,40}|(\\{\\{|\\}\\}|\\{%|%\\}| |after|key|[-.'\"\\[\\]()|+*~<>=!,:0-9]|if|for|in|set|end){0,24}") {
        let text = Text::compile(&[Part::Plain(source.clone())], &NAMES);
        let url = Text::compile_url(&[Part::Plain(format!("https://a.example/{source}"))], &NAMES);
        let condition = Condition::compile(&source, &NAMES);
        with_names(|names| {
            if let Ok(text) = text {
                let _ = text.render(names);
            }
            if let Ok(url) = url {
                let _ = url.render_url(names);
            }
            if let Ok(condition) = condition {
                let _ = condition.holds(names);
            }
        });
    }

    /// Text in a template comes out as it went in.
    #[test]
    fn text_between_expressions_stays(before in "[^{]{0,20}", inside in "\\PC{0,20}") {
        let value = Json::String(inside.clone());
        let names = [("key", &value)];
        let source = format!("{before}{{% if true %}}{before}{{{{ key }}}}{{% endif %}}");
        let template = Template::compile(&source, &["key"]).expect("it compiles");
        prop_assert_eq!(template.render(&names), Ok(format!("{before}{before}{inside}")));
    }
}
