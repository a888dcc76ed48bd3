//! `pages`, `cursor` and `allow_hosts`: what they come to, and what is said of each mistake.

use std::time::Duration;

use http::HeaderName;

use super::{loaded, printed, with};
use crate::core::cursor::{Overlap, Source};
use crate::core::json::{Json, Number};
use crate::core::page::{Carrier, Paging, Spot, Style};

/// A job with these lines.
fn job(lines: &str) -> String {
    format!(
        "[vendor.v]\nbase_url = \"https://a.example\"\n[job.j]\nvendor = \"v\"\nurl = \"x\"\nevery = \"1m\"\n\
         items = \"$[*]\"\nkey = \"$.id\"\nsend_to = [\"s\"]\n{lines}\n[sink.s]\nurl = \"https://s.example\"\n\
         secret = \"0123456789abcdef0123456789abcdef\"\n"
    )
}

fn pages(table: &str) -> Paging {
    let loaded = loaded(&with(&job(&format!("pages = {{ {table} }}"))));
    loaded.config.jobs[0].pages.clone().expect("pages")
}

fn query(name: &str) -> Carrier {
    Carrier::Query(name.to_owned())
}

#[test]
fn each_style_has_its_keys() {
    let link = pages("style = \"link\"");
    assert!(matches!(link.style, Style::Link));
    assert_eq!((link.max, link.size, link.until_known), (1000, None, false));
    let next = pages("style = \"next_url\", at = \"header:Next-Page\", max = 7, total = \"$.n\", more = \"$.more\"");
    assert!(matches!(&next.style, Style::NextUrl { at: Spot::Header(name) } if name.as_str() == "next-page"));
    assert_eq!((next.max, next.total.is_some(), next.more.is_some()), (7, true, true));
    let token = pages("style = \"token\", at = \"$.next\", param = \"after\"");
    assert_eq!(token.style.carrier(), Some(&query("after")));
    let header = pages("style = \"token\", at = \"$.next\", param = \"X-After\", into = \"header\"");
    assert_eq!(header.style.carrier(), Some(&Carrier::Header(HeaderName::from_static("x-after"))));
    let page = pages("style = \"page\", param = \"page\", size = 50, size_param = \"per_page\"");
    assert!(matches!(page.style, Style::Page { start: 1, .. }));
    assert_eq!((page.size, page.size_param.as_deref()), (Some(50), Some("per_page")));
    let offset = pages("style = \"offset\", param = \"skip\", start = 3");
    assert!(matches!(offset.style, Style::Offset { start: 3, .. }));
    let last = pages("style = \"last_key\", at = \"$.id\", param = \"after\"");
    assert_eq!(last.style.carrier(), Some(&query("after")));
}

#[test]
fn a_style_in_the_body_needs_a_body_that_is_a_table() {
    let token = "pages = { style = \"token\", at = \"$.n\", param = \"/vars/after\", into = \"body\" }";
    let body = "method = \"POST\"\nbody = { q = \"x\" }\n";
    let loaded = loaded(&with(&job(&format!("{body}{token}"))));
    let carrier = loaded.config.jobs[0].pages.as_ref().and_then(|pages| pages.style.carrier().cloned());
    assert_eq!(carrier, Some(Carrier::Body("/vars/after".to_owned())));
    let text = printed(&with(&job(&format!("body = \"text\"\n{token}"))));
    assert!(text.contains("`into = \"body\"` needs a `body` that is a table"), "{text}");
}

#[test]
fn another_way_of_paging_is_another_request_and_another_cap_is_not() {
    let print = |lines: &str| loaded(&with(&job(lines))).config.jobs[0].fingerprints.request;
    assert_ne!(print(""), print("pages = { style = \"link\" }"));
    assert_ne!(print("pages = { style = \"page\", param = \"p\" }"), print("pages = { style = \"link\" }"));
    assert_eq!(print("pages = { style = \"link\", max = 3 }"), print("pages = { style = \"link\" }"));
}

#[test]
fn a_cursor_has_its_keys() {
    let cursor = |table: &str| {
        let loaded = loaded(&with(&job(&format!("cursor = {{ {table} }}"))));
        loaded.config.jobs[0].cursor.clone().expect("a cursor")
    };
    let at = cursor("at = \"$.t\", start = 2026-01-01T00:00:00Z, overlap = \"5m\", full_every = \"1d\"");
    assert!(matches!(at.source, Source::At(_)));
    assert_eq!(at.start, Some(Json::from("2026-01-01T00:00:00Z")));
    assert_eq!(at.overlap, Some(Overlap::Time(Duration::from_secs(300))));
    assert_eq!(at.full_every, Some(Duration::from_secs(86_400)));
    let from = cursor("from = \"header:ETag\", start = 7, overlap = 0.5");
    assert!(matches!(from.source, Source::From(Spot::Header(_))));
    assert_eq!((from.start.map(|start| start.to_string()), from.full_every), (Some("7".to_owned()), None));
    assert_eq!(from.overlap, Number::parse("0.5").map(Overlap::Number));
    assert_ne!(cursor("at = \"$.t\"").print, cursor("at = \"$.u\"").print);
    assert_eq!(cursor("at = \"$.t\", overlap = 3").print, cursor("at = \"$.t\"").print);
}

#[test]
fn every_mistake_has_its_place_and_a_hint() {
    for (lines, said, hint) in [
        ("pages = \"link\"", "`pages` takes a table, not text", ""),
        ("pages = {}", "`pages` lacks its `style`", "write `style = \"link\"`"),
        ("pages = { style = \"links\" }", "`style` can't be `links`", "it is one of `link`, `next_url`, `token`"),
        ("pages = { style = 1 }", "`style` takes text in quotes, not a number", ""),
        (
            "pages = { style = \"link\", at = \"$.x\" }",
            "`at` is not for `style = \"link\"`",
            "it belongs to `next_url`",
        ),
        ("pages = { style = \"link\", maxi = 1 }", "unknown key `maxi`", "did you mean `max`?"),
        ("pages = { style = \"link\", max = 0 }", "`max` can't be `0`", "a whole number from 1"),
        ("pages = { style = \"link\", max = \"5\" }", "`max` takes a whole number, not text", "without the quotes"),
        ("pages = { style = \"link\", total = \"meta\" }", "`meta`", ""),
        ("pages = { style = \"next_url\" }", "lacks its `at`", "add `at = \"$.paging.next\"`"),
        ("pages = { style = \"next_url\", at = \"header:a b\" }", "`a b` is not the name of a header", ""),
        ("pages = { style = \"next_url\", at = \"$.[\" }", "`$.[`", ""),
        ("pages = { style = \"token\", at = \"$.n\" }", "lacks its `param`", "add `param = \"cursor\"`"),
        ("pages = { style = \"token\", at = \"$.n\", param = \"\" }", "can't be empty", ""),
        (
            "pages = { style = \"token\", at = \"$.n\", param = \"p\", into = \"path\" }",
            "`into` can't be `path`",
            "`query`, `header`, `body`",
        ),
        (
            "pages = { style = \"token\", at = \"$.n\", param = \"If-None-Match\", into = \"header\" }",
            "can't be set",
            "",
        ),
        (
            "body = {}\npages = { style = \"token\", at = \"$.n\", param = \"$.a\", into = \"body\" }",
            "is a JSONPath, not a JSON Pointer",
            "`/vars/after`",
        ),
        (
            "body = {}\npages = { style = \"token\", at = \"$.n\", param = \"a\", into = \"body\" }",
            "not a JSON Pointer",
            "`/vars/after`",
        ),
        ("pages = { style = \"page\" }", "lacks its `param`", "add `param = \"page\"`"),
        ("pages = { style = \"page\", param = \"p\", size_param = \"n\" }", "needs a `size`", "add `size = 100`"),
        ("pages = { style = \"page\", param = \"p\", size = 0 }", "`size` can't be `0`", "from 1"),
        ("pages = { style = \"page\", param = \"p\", start = -1 }", "`start` can't be `-1`", "from 0"),
        ("pages = { style = \"link\", until = \"known\" }", "is for windows", "add `list = \"window\"`"),
        ("list = \"window\"\npages = { style = \"link\", until = \"never\" }", "`until` can't be `never`", "`known`"),
        ("cursor = {}", "`cursor` does not say where its value is", "add `at = "),
        ("cursor = \"$.t\"", "`cursor` takes a table, not text", ""),
        ("cursor = { at = \"$.t\", from = \"$.t\" }", "two answers to one question", "keep `at`"),
        ("cursor = { at = \"t\" }", "`t`", ""),
        ("cursor = { att = \"$.t\" }", "unknown key `att`", "did you mean `at`?"),
        ("cursor = { at = \"$.t\", overlap = \"5 minutes\" }", "`5 minutes`", ""),
        ("cursor = { at = \"$.t\", overlap = -1 }", "`overlap` can't be `-1`", "a number above 0"),
        ("cursor = { at = \"$.t\", overlap = true }", "`overlap` takes text", ""),
        ("cursor = { at = \"$.t\", start = [] }", "`start` takes text in quotes, not a list", ""),
        ("cursor = { at = \"$.t\", full_every = 24 }", "`full_every` takes a duration", "full_every = \"24s\""),
        ("allow_hosts = \"cdn.example\"", "`allow_hosts` takes a list in brackets", "allow_hosts = "),
        ("allow_hosts = [\"https://cdn.example/x\"]", "is a URL, not a host", "write `cdn.example`"),
        ("allow_hosts = [\"*.example\"]", "has a `*`", "write a host"),
        ("allow_hosts = [\"a b\"]", "`a b` is not a host", "write a host"),
    ] {
        let text = printed(&with(&job(lines)));
        assert!(text.contains(said) && text.contains(hint), "{lines}\n{text}");
        assert!(text.contains("doorbell.toml:1") || text.contains("doorbell.toml:"), "{text}");
    }
}
