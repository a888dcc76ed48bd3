//! Every way from one page to the next, and every link that is not followed. Nothing is sent.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;

use super::*;
use crate::core::auth::Auth;
use crate::core::homes::{AllowedHost, Homes};
use crate::core::job::{Access, BodySpec};
use crate::core::page::{Spot, Style};
use crate::core::path::JsonPath;
use crate::core::secret::Secret;
use crate::core::template::{JsonTemplate, Part, Text};
use crate::core::transport::Transport;

fn text(source: &str) -> Text {
    Text::compile(&[Part::Plain(source.to_owned())], &[]).unwrap()
}

fn secret(value: &str) -> Text {
    Text::compile(&[Part::Secret { value: Secret::new(value), reference: "env:X".to_owned() }], &[]).unwrap()
}

fn spec(url: &str) -> RequestSpec {
    let own = Url::parse(url).unwrap();
    let access = Access {
        timeout: Duration::from_secs(1),
        connect_timeout: None,
        max_body: 1024,
        retries: 0,
        conditional: true,
        transport: Transport::default(),
        homes: Homes::new([&own], vec![AllowedHost::parse("cdn.example").unwrap()]),
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

fn paging(style: Style) -> Paging {
    Paging { style, max: 9, size: None, size_param: None, total: None, more: None, until_known: false }
}

fn page(carrier: Carrier) -> Paging {
    let paging = paging(Style::Page { start: 1, carrier });
    Paging { size: Some(50), size_param: Some("per_page".to_owned()), ..paging }
}

fn second(spec: &RequestSpec, paging: &Paging, ask: &Ask) -> Result<Request, Failure> {
    let first = first_page(spec, Some(paging), &[]).unwrap();
    let from = first.url.clone();
    next_page(spec, paging, &[], &first, ask, &from)
}

fn followed(spec: &RequestSpec, link: &str) -> Result<Request, Failure> {
    second(spec, &paging(Style::Link), &Ask::Url(link.to_owned()))
}

#[test]
fn a_number_replaces_the_one_before_in_the_query() {
    let spec = spec("https://a.example/orders?page=9&state=open");
    let first = first_page(&spec, Some(&page(Carrier::Query("page".to_owned()))), &[]).unwrap();
    assert_eq!(first.url.expose(), "https://a.example/orders?state=open&per_page=50&page=1");
    let second = second(&spec, &page(Carrier::Query("page".to_owned())), &Ask::Value("2".to_owned())).unwrap();
    assert_eq!(second.url.expose(), "https://a.example/orders?state=open&per_page=50&page=2");
}

#[test]
fn a_token_is_one_value_whatever_it_holds() {
    let token =
        Style::Token { at: Spot::Body(JsonPath::parse("$.n").unwrap()), carrier: Carrier::Query("c".to_owned()) };
    let ask = Ask::Value(Json::from("a&b=c/?#%20 ü").to_string());
    let next = second(&spec("https://a.example/"), &paging(token), &ask).unwrap();
    let url = Url::parse(next.url.expose()).unwrap();
    let pairs: Vec<_> = url.query_pairs().into_owned().collect();
    assert_eq!(pairs, [("c".to_owned(), "a&b=c/?#%20 ü".to_owned())]);
}

#[test]
fn a_value_goes_into_a_header_or_into_the_body_with_its_type() {
    let into = |carrier| paging(Style::Offset { start: 0, carrier });
    let ask = Ask::Value("100".to_owned());
    let name = HeaderName::from_static("x-offset");
    let next = second(&spec("https://a.example/"), &into(Carrier::Header(name.clone())), &ask).unwrap();
    let sent: Vec<_> = next.headers.iter().filter(|(other, _)| *other == name).collect();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].1.expose(), "100");

    let body = JsonTemplate::Object(vec![
        ("query".to_owned(), JsonTemplate::Text(text("{ orders }"))),
        ("key".to_owned(), JsonTemplate::Text(secret("hush"))),
    ]);
    let spec = RequestSpec { body: Some(BodySpec::Json(body)), ..spec("https://a.example/") };
    let next = second(&spec, &into(Carrier::Body("/vars/a~1b".to_owned())), &ask).unwrap();
    let body = next.body.unwrap();
    assert_eq!(body.expose(), r#"{"query":"{ orders }","key":"hush","vars":{"a/b":100}}"#);
    assert_eq!(body.shown(), r#"{"query":"{ orders }","key":"***","vars":{"a/b":100}}"#);
    let sized = page(Carrier::Body("/vars/page".to_owned()));
    let first = first_page(&spec, Some(&sized), &[]).unwrap();
    assert!(first.body.unwrap().expose().ends_with(r#""vars":{"per_page":50,"page":1}}"#));
    let pointed = Paging { size_param: Some("/vars/first".to_owned()), ..sized };
    let first = first_page(&spec, Some(&pointed), &[]).unwrap();
    assert!(first.body.unwrap().expose().ends_with(r#""vars":{"first":50,"page":1}}"#));
}

#[test]
fn tokens_in_headers_tell_pages_apart() {
    let paging = paging(Style::Offset { start: 0, carrier: Carrier::Header(HeaderName::from_static("x-after")) });
    let spec = spec("https://a.example/");
    let asked = |value: &str| second(&spec, &paging, &Ask::Value(value.to_owned())).unwrap();
    let print = |value: &str| page_fingerprint(&asked(value), Some(&paging));
    assert_eq!(print("1"), print("1"));
    assert_ne!(print("1"), print("2"));
}

#[test]
fn links_resolve_against_the_answers_own_url() {
    let spec = spec("https://a.example/v2/orders?page=1");
    for (link, resolved) in [
        ("?page=2", "https://a.example/v2/orders?page=2"),
        ("more", "https://a.example/v2/more"),
        ("/v3/x#here", "https://a.example/v3/x"),
        ("//cdn.example/x", "https://cdn.example/x"),
        ("https://me:pw@a.example/x", "https://a.example/x"),
    ] {
        assert_eq!(followed(&spec, link).unwrap().url.expose(), resolved, "{link}");
    }
}

#[test]
fn a_link_that_leads_elsewhere_is_not_followed() {
    let spec = spec("https://a.example/orders");
    for (link, said) in [
        ("https://evil.example/x?token=abc", "`allow_hosts = [\"evil.example\"]`"),
        ("http://a.example/x", "by `http`"),
        ("https://a.example:8443/", "`https://a.example:8443/`"),
        ("ftp://a.example/", "by `ftp`"),
        ("file:///etc/passwd", "no URL"),
        ("javascript:alert(1)", "no URL"),
        ("http://[", "no URL"),
    ] {
        let failure = followed(&spec, link).expect_err(link);
        assert_eq!(failure.kind, FailureKind::Page);
        assert!(failure.sentence.contains(said) && !failure.sentence.contains("abc"), "{failure}");
    }
    assert!(followed(&spec, &format!("/{}", "x".repeat(URL_MAX))).is_err());
}

#[test]
fn credentials_go_along_once_and_are_not_shown() {
    let auth = Auth::ApiKeyQuery { name: "key".to_owned(), value: secret("hush-hush") };
    let spec = RequestSpec { auth: Some(auth), ..spec("https://a.example/orders") };
    for link in ["?page=2", "?key=hush-hush&page=2", "?page=2&key=old"] {
        let next = followed(&spec, link).unwrap();
        assert_eq!(next.url.expose(), "https://a.example/orders?page=2&key=hush-hush");
        assert_eq!(next.url.shown(), "https://a.example/orders?page=2&key=***");
    }
    let echoed = followed(&spec, "?page=2&echo=hush-hush").unwrap();
    assert_eq!(echoed.url.shown(), "https://a.example/orders?page=2&echo=***&key=***");
}
