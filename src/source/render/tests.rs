//! Requests as they are rendered: URL, query, headers, body and credentials.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::core::auth::Auth;
use crate::core::job::Access;
use crate::core::json::Json;
use crate::core::template::{JsonTemplate, Part};
use crate::core::transport::Transport;

fn text(source: &str) -> Text {
    Text::compile(&[Part::Plain(source.to_owned())], &["cursor", "none"]).expect("a template")
}

fn spec(url: &str) -> RequestSpec {
    let access = Access {
        timeout: Duration::from_secs(30),
        connect_timeout: None,
        max_body: 1024,
        retries: 2,
        conditional: true,
        transport: Transport::default(),
        homes: crate::core::homes::Homes::default(),
    };
    RequestSpec {
        method: http::Method::GET,
        url: text(url),
        query: Vec::new(),
        headers: Vec::new(),
        body: None,
        auth: None,
        access: Arc::new(access),
        signs: std::sync::Arc::default(),
    }
}

fn rendered(spec: &RequestSpec) -> Result<Request, Failure> {
    let cursor = Json::String("2026-01-01 & more".to_owned());
    render_request(spec, &[("cursor", &cursor), ("none", &Json::Null)])
}

fn request(spec: &RequestSpec) -> Request {
    rendered(spec).expect("a request")
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a Masked> {
    request.headers.iter().find(|(other, _)| other.as_str() == name).map(|(_, value)| value)
}

#[test]
fn the_query_is_added_in_order_and_encoded() {
    let query = [("limit", "100"), ("since", "{{ cursor }}"), ("gone", "{{ none }}"), ("a b", "ä*~")];
    for (url, expected) in [
        ("https://a.example/o", "https://a.example/o?"),
        ("https://a.example/o?", "https://a.example/o?"),
        ("https://a.example/o?x=1#y", "https://a.example/o?x=1&"),
    ] {
        let query = query.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect();
        let request = request(&RequestSpec { query, ..spec(url) });
        let rest = "limit=100&since=2026-01-01%20%26%20more&a%20b=%C3%A4*~";
        assert_eq!(request.url.expose(), format!("{expected}{rest}"));
        assert!(!request.url.hides());
    }
}

#[test]
fn headers_are_rendered_and_those_that_yield_none_left_out() {
    let headers = vec![
        (HeaderName::from_static("x-since"), text("from {{ cursor }}")),
        (HeaderName::from_static("x-gone"), text("{{ none }}")),
    ];
    let request = request(&RequestSpec { headers, ..spec("https://a.example/") });
    assert_eq!(header(&request, "x-since").map(Masked::expose), Some("from 2026-01-01 & more"));
    assert_eq!(header(&request, "x-gone"), None);
}

#[test]
fn a_table_is_sent_as_json() {
    let body = JsonTemplate::Object(vec![("query".to_owned(), JsonTemplate::Text(text("{{ cursor }}")))]);
    let request = request(&RequestSpec { body: Some(BodySpec::Json(body)), ..spec("https://a.example/") });
    assert_eq!(request.body.as_ref().map(Masked::expose), Some(r#"{"query":"2026-01-01 & more"}"#));
    assert_eq!(header(&request, "content-type").map(Masked::expose), Some("application/json"));
}

#[test]
fn a_string_is_sent_as_what_it_is_unless_the_config_says() {
    for (body, expected) in [("{\"q\": 1}", "application/json"), ("a=1&b=2", "text/plain; charset=utf-8")] {
        let spec = RequestSpec { body: Some(BodySpec::Text(text(body))), ..spec("https://a.example/") };
        let request = request(&spec);
        assert_eq!(request.body.as_ref().map(Masked::expose), Some(body));
        assert_eq!(header(&request, "content-type").map(Masked::expose), Some(expected));
    }
    let headers = vec![(header::CONTENT_TYPE, text("application/x-www-form-urlencoded"))];
    let spec = RequestSpec { headers, body: Some(BodySpec::Text(text("a=1"))), ..spec("https://a.example/") };
    let request = request(&spec);
    assert_eq!(header(&request, "content-type").map(Masked::expose), Some("application/x-www-form-urlencoded"));
    assert_eq!(request.headers.len(), 1);
}

#[test]
fn credentials_are_sent_and_never_shown() {
    let key = HeaderName::from_static("x-key");
    for (auth, name, sent, shown) in [
        (Auth::Bearer { token: text("t0ken") }, "authorization", "Bearer t0ken", "Bearer ***"),
        // RFC 7617, section 2.
        (
            Auth::Basic { username: text("Aladdin"), password: text("open sesame") },
            "authorization",
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
            "Basic ***",
        ),
        (Auth::ApiKeyHeader { name: key, value: text("t0ken") }, "x-key", "t0ken", "***"),
    ] {
        let headers =
            vec![(header::AUTHORIZATION, text("an old one")), (HeaderName::from_static("x-key"), text("old"))];
        let request = request(&RequestSpec { auth: Some(auth), headers, ..spec("https://a.example/") });
        let found: Vec<&Masked> =
            request.headers.iter().filter(|(other, _)| other.as_str() == name).map(|(_, value)| value).collect();
        assert_eq!(found, [&Masked::new(sent.to_owned(), shown.to_owned())]);
        assert!(!format!("{request:?}").contains("t0ken"));
    }
}

#[test]
fn a_key_in_the_query_is_sent_and_never_shown() {
    let auth = Auth::ApiKeyQuery { name: "key".to_owned(), value: text("t0/ken") };
    let request = request(&RequestSpec { auth: Some(auth), ..spec("https://a.example/?a=1") });
    assert_eq!(request.url.expose(), "https://a.example/?a=1&key=t0%2Fken");
    assert_eq!(request.url.shown(), "https://a.example/?a=1&key=***");
}

#[test]
fn a_fingerprint_is_of_what_is_asked_and_not_of_who_asks() {
    let with = |auth| request(&RequestSpec { auth, ..spec("https://a.example/?a=1") }).fingerprint();
    let key = |value| Some(Auth::ApiKeyQuery { name: "key".to_owned(), value: text(value) });
    let bearer = |token| Some(Auth::Bearer { token: text(token) });
    assert_eq!(with(key("one")), with(key("two")));
    assert_eq!(with(bearer("one")), with(None));
    let plain = request(&spec("https://a.example/?a=1"));
    let recalled = plain.clone().recalling(Some("\"1\"".to_owned()), None);
    assert_eq!(recalled.fingerprint(), plain.fingerprint());
    for other in [
        request(&spec("https://a.example/?a=2")),
        Request { method: http::Method::POST, ..plain.clone() },
        Request { body: Some(Masked::open("{}")), ..plain.clone() },
    ] {
        assert_ne!(other.fingerprint(), plain.fingerprint());
    }
}

#[test]
fn what_can_not_be_sent_is_a_template_failure_with_its_place() {
    let bad_header = vec![(HeaderName::from_static("x-a"), text("a\r\nx-b: c"))];
    let colon = Some(Auth::Basic { username: text("a:b"), password: text("pw12345") });
    let newline = Some(Auth::Bearer { token: text("t0ken\n\n") });
    let base = || spec("https://a.example/");
    for (spec, words) in [
        (RequestSpec { headers: bad_header, ..base() }, "`x-a`"),
        (RequestSpec { auth: colon, ..base() }, "`auth.username`"),
        (RequestSpec { auth: newline, ..base() }, "`authorization`"),
    ] {
        let failure = rendered(&spec).expect_err("a failure");
        assert_eq!(failure.kind, FailureKind::Template);
        assert!(failure.sentence.contains(words), "{failure}");
        assert!(!failure.sentence.contains("t0ken") && !failure.sentence.contains("pw12345"), "{failure}");
    }
}

#[test]
fn stars_stay_stars_in_the_shown_query() {
    let url = Masked::new("https://a.example/s3cret?x=1".to_owned(), "https://a.example/***?x=1".to_owned());
    let full = with_query(&url, "k", &Masked::new("a b".to_owned(), "***".to_owned()));
    assert_eq!(
        full,
        Masked::new("https://a.example/s3cret?x=1&k=a%20b".to_owned(), "https://a.example/***?x=1&k=***".to_owned())
    );
}
