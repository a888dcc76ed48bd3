//! What a request is made of: secrets, members left out, URLs, JSON.

use super::*;
use crate::core::secret::Masked;

#[test]
fn a_secret_is_sent_and_never_shown() {
    let token = || secret("s3cret{{ key }}", "env:TOKEN");
    let header = text(&[plain("Bearer "), token()]);
    let masked = with_names(|names| header.render(names)).expect("it renders").expect("something");
    assert_eq!((masked.expose(), masked.shown()), ("Bearer s3cret{{ key }}", "Bearer ***"));
    assert_eq!(header.source(), "Bearer ${env:TOKEN}");
    assert!(header.is_constant() && header.literal().is_none() && header.hides());
    assert!(!format!("{header:?}").contains("s3cret"), "{header:?}");

    let mixed = text(&[plain("{{ key }} "), token(), plain(" {{ after.total }}")]);
    let masked = with_names(|names| mixed.render(names)).expect("it renders").expect("something");
    assert_eq!((masked.expose(), masked.shown()), ("12/3 s3cret{{ key }} 1.10", "12/3 *** 1.10"));
    assert!(!mixed.is_constant());

    let inside = text(&[plain("{{ key ~ ':"), token(), plain("' }}")]);
    let masked = with_names(|names| inside.render(names)).expect("it renders").expect("something");
    assert_eq!((masked.expose(), masked.shown()), ("12/3:s3cret{{ key }}", "12/3:***"));
    assert_eq!(inside.source(), "{{ key ~ ':${env:TOKEN}' }}");
    assert!(!format!("{inside:?}").contains("s3cret"), "{inside:?}");

    let looped = text(&[plain("{% for i in range(2) %}"), token(), plain("{% endfor %}")]);
    let masked = with_names(|names| looped.render(names)).expect("it renders").expect("something");
    assert_eq!((masked.expose(), masked.shown()), ("s3cret{{ key }}s3cret{{ key }}", "******"));
}

#[test]
fn a_secret_does_not_leak_through_an_error() {
    let failing = text(&[plain("{{ '"), secret("s3cret", "env:TOKEN"), plain("' | int }}")]);
    let sentence = with_names(|names| failing.render(names)).expect_err("it fails");
    assert!(!sentence.contains("s3cret"), "{sentence}");
    let wrong =
        Text::compile(&[plain("{{ "), secret("s3cret", "env:TOKEN"), plain(" }}")], &NAMES).expect_err("no value");
    assert!(!format!("{wrong:?}").contains("s3cret"), "{wrong:?}");
    assert!(wrong.hint.as_deref().is_some_and(|hint| hint.contains("in quotes")), "{wrong:?}");
}

#[test]
fn a_condition_may_hold_a_secret() {
    let parts = [plain("job == '"), secret("orders", "env:JOB"), plain("'")];
    let condition = Condition::compile_parts(&parts, &NAMES).expect("it compiles");
    assert_eq!(with_names(|names| condition.holds(names)), Ok(true));
    assert_eq!(condition.source(), "job == '${env:JOB}'");
}

#[test]
fn a_document_can_not_forge_a_secret() {
    let forged = Json::String("\u{F0000}".to_owned());
    let names = [("key", &forged)];
    let both =
        Text::compile(&[secret("s3cret", "env:A"), plain(" {{ key }} {{ key ~ '' }}")], &["key"]).expect("it compiles");
    let masked = both.render(&names).expect("it renders").expect("something");
    assert_eq!(masked.expose(), "s3cret \u{F0000} \u{F0000}");
    assert!(Text::compile(&[plain("\u{F0000}"), secret("s3cret", "env:A")], &["key"]).is_err());
    assert_eq!(text(&[plain("\u{F0000}")]).literal(), Some("\u{F0000}"));
}

#[test]
fn a_span_counts_in_what_was_written() {
    let parts = [secret("x", "env:TOKEN"), plain(" {{ afer }}")];
    let complaint = Text::compile(&parts, &NAMES).expect_err("a typo");
    assert_eq!("${env:TOKEN} {{ afer }}".get(complaint.span.expect("a span")), Some("afer"));
}

#[test]
fn a_whole_expression_that_yields_none_is_left_out() {
    for source in ["{{ cursor }}", "{{ before.x }}", "{{ cursor if key else 1 }}", "{{ 1 if cursor }}"] {
        assert_eq!(with_names(|names| text(&[plain(source)]).render(names)), Ok(None), "{source}");
    }
    let some = with_names(|names| text(&[plain("{{ after.total }}")]).render(names));
    assert_eq!(some, Ok(Some(Masked::open("1.10"))));
    let longer = with_names(|names| text(&[plain("since {{ cursor }}")]).render(names));
    assert_eq!(longer, Ok(Some(Masked::open("since "))));
}

#[test]
fn what_goes_into_a_url_is_one_segment_or_value() {
    for (source, expected) in [
        ("https://a.example/orders/{{ key }}", "https://a.example/orders/12%2F3"),
        ("https://a.example/{{ after.url }}", "https://a.example/a%2Fb%3Fc%23d%26e%25f%20g"),
        (
            "https://a.example/?q={{ after.url }}&t={{ after.total }}",
            "https://a.example/?q=a%2Fb%3Fc%23d%26e%25f%20g&t=1.10",
        ),
        ("https://a.example/?q={{ after.url ~ '=' }}", "https://a.example/?q=a%2Fb%3Fc%23d%26e%25f%20g%3D"),
        ("https://a.example?since={{ cursor }}", "https://a.example?since="),
        ("https://a.example/x{% if key %}/{{ key }}{% endif %}", "https://a.example/x/12%2F3"),
        ("https://a.example/{{ after.dot }}", "https://a.example/%252e"),
        ("https://a.example/v{{ after.dots }}", "https://a.example/v.."),
        ("https://a.example/../x?d={{ after.dots }}", "https://a.example/../x?d=.."),
        ("https://a.example:8080/plain", "https://a.example:8080/plain"),
        ("plain/relative", "plain/relative"),
    ] {
        assert_eq!(url(source).as_deref(), Ok(expected), "{source}");
    }
}

#[test]
fn what_would_name_another_resource_is_an_error() {
    for source in [
        "https://a.example/orders/{{ after.dots }}",
        "https://a.example/orders/{{ after.dots }}/x",
        "https://a.example/orders/.{{ '.' }}",
        "https://a.example/orders/%2e{{ '.' }}",
        "https://a.example/orders/x\\{{ after.dots }}",
        "https://a.example/{{ '.' }}?x",
        "https://a.example/{% if key %}{{ after.dots }}{% endif %}/x",
        "https://a.example/orders/{{ after.missing }}",
        "https://a.example/orders/{{ after.empty }}/lines",
    ] {
        assert!(url(source).is_err(), "{source}");
    }
}

#[test]
fn an_expression_can_not_say_where_a_request_goes() {
    for source in [
        "{{ key }}",
        "{{ key }}/orders",
        "{{ key }}://a.example/",
        "https://{{ key }}/",
        "https://{{ key }}.example/",
        "https://a.example{{ key }}",
        "https://a.example:{{ key }}/",
        "https://a.example:80{{ key }}/",
        "https://user:{{ key }}@a.example/",
        "https:///{{ key }}",
        "https:/a.example/{{ key }}",
        "//a.example/{{ key }}",
        "orders/{{ key }}",
        "{% if key %}https://a.example/{% endif %}",
    ] {
        let complaint = Text::compile_url(&[plain(source)], &NAMES).expect_err(source);
        assert!(complaint.problem.contains("scheme, host or port"), "{source}: {complaint:?}");
        assert!(complaint.span.is_some());
    }
    let base = [secret("https://a.example/v2/", "env:BASE"), plain("orders/{{ key }}")];
    let whole = Text::compile_url(&base, &NAMES).expect("the secret holds the host");
    let rendered = with_names(|names| whole.render_url(names)).expect("it renders");
    assert_eq!((rendered.expose(), rendered.shown()), ("https://a.example/v2/orders/12%2F3", "***orders/12%2F3"));
}

#[test]
fn json_is_json_by_construction() {
    let leaf = |source: &str| JsonTemplate::Text(text(&[plain(source)]));
    let tree = JsonTemplate::Object(vec![
        ("text".to_owned(), leaf("Order {{ key }} says {{ after.html }}")),
        ("total".to_owned(), leaf("{{ after.total }}")),
        ("lines".to_owned(), leaf("{{ after.lines }}")),
        ("gone".to_owned(), leaf("{{ after.missing }}")),
        ("fixed".to_owned(), JsonTemplate::Literal(document("1.50"))),
        ("list".to_owned(), JsonTemplate::Array(vec![leaf("{{ cursor }}"), leaf("{{ after.count }}")])),
        ("quote\"".to_owned(), leaf("plain")),
    ]);
    let masked = with_names(|names| tree.render(names)).expect("it renders");
    let expected = "{\"text\":\"Order 12/3 says <b>&\\\"\",\"total\":1.10,\
                    \"lines\":[{\"sku\":\"a\",\"price\":2.50,\"qty\":2},{\"sku\":\"b\",\"price\":10.00,\"qty\":1}],\
                    \"fixed\":1.50,\"list\":[null,3],\"quote\\\"\":\"plain\"}";
    assert_eq!(masked.expose(), expected);
    assert!(!masked.hides());
}

#[test]
fn json_may_hold_secrets() {
    let tree = JsonTemplate::Object(vec![
        ("key".to_owned(), JsonTemplate::Text(text(&[plain("{{ key }}")]))),
        ("token".to_owned(), JsonTemplate::Text(text(&[secret("a\"b", "env:TOKEN")]))),
    ]);
    let masked = with_names(|names| tree.render(names)).expect("it renders");
    assert_eq!(masked.expose(), r#"{"key":"12/3","token":"a\"b"}"#);
    assert_eq!(masked.shown(), r#"{"key":"12/3","token":"***"}"#);
    assert_eq!(tree.source().to_string(), r#"{"key":"{{ key }}","token":"${env:TOKEN}"}"#);
}

proptest! {
    /// Whatever the document holds, the host stays, and it fills one segment and one value.
    #[test]
    fn no_document_moves_a_url(data in "\\PC{1,20}|[./\\\\?#&%@:=2e]{1,12}") {
        let value = Json::String(data.clone());
        let names = [("key", &value)];
        let compiled = Text::compile_url(&[Part::Plain("https://a.example/x/{{ key }}/y?q={{ key }}#z".to_owned())], &["key"]);
        match compiled.expect("it compiles").render_url(&names) {
            Ok(rendered) => {
                let parsed = url::Url::parse(rendered.expose()).expect("a URL");
                prop_assert_eq!(parsed.host_str(), Some("a.example"));
                prop_assert_eq!(parsed.path_segments().map(Iterator::count), Some(3));
                prop_assert_eq!(parsed.query_pairs().count(), 1);
                prop_assert_eq!(parsed.query_pairs().next().map(|(_, value)| value.into_owned()), Some(data));
                prop_assert_eq!(parsed.fragment(), Some("z"));
            }
            Err(_) => prop_assert!(data == "." || data == ".."),
        }
    }
}
