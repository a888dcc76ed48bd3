//! Vendors of every style, paged through by what `turn` says: all is read once, and nothing goes round for ever.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::*;
use crate::core::extract::Item;
use crate::core::json;
use crate::core::names::Key;
use crate::core::outcome::{Failure, FailureKind};

fn paging(style: Style) -> Paging {
    Paging { style, max: 50, size: None, size_param: None, total: None, more: None, until_known: false }
}

fn path(text: &str) -> JsonPath {
    JsonPath::parse(text).unwrap()
}

fn query(name: &str) -> Carrier {
    Carrier::Query(name.to_owned())
}

fn token() -> Style {
    Style::Token { at: Spot::Body(path("$.next")), carrier: query("after") }
}

fn leaf(items: u64, next: Option<Ask>) -> Leaf {
    Leaf { next, items, ..Leaf::default() }
}

fn value(number: u64) -> Ask {
    Ask::Value(number.to_string())
}

/// Pages through a list of `length` items on pages of `size`; the numbers of the items that were read.
fn walk(paging: &Paging, length: u64, size: u64) -> (Vec<u64>, Turn) {
    let mut turner = Turner::new(paging, ListKind::Complete);
    let mut ask = paging.style.first();
    let mut read = Vec::new();
    loop {
        let number = match &ask {
            Some(Ask::Value(text)) => text.parse().unwrap(),
            _ => 0,
        };
        let from = match paging.style {
            Style::Page { start, .. } => (number - start) * size,
            Style::Offset { start, .. } => number - start,
            _ => number,
        };
        let to = (from + size).min(length);
        read.extend(from..to);
        let next = (to < length).then(|| value(to));
        let next = if matches!(paging.style, Style::LastKey { .. }) { Some(value(to)) } else { next };
        match turner.turn(&leaf(to.saturating_sub(from), next)) {
            Turn::On(next) => ask = Some(next),
            over => return (read, over),
        }
    }
}

proptest! {
    #[test]
    fn every_item_is_read_once_whatever_the_style(length in 0..200_u64, size in 5..30_u64, sized: bool, start in 0..3_u64) {
        let styles = [
            token(),
            Style::Page { start, carrier: query("page") },
            Style::Offset { start, carrier: query("offset") },
            Style::LastKey { at: path("$.id"), carrier: query("after") },
        ];
        for style in styles {
            let paging = Paging { size: sized.then_some(size), ..paging(style) };
            let (read, over) = walk(&paging, length, size);
            prop_assert_eq!(&over, &Turn::End);
            prop_assert_eq!(read, (0..length).collect::<Vec<_>>());
        }
    }

    #[test]
    fn it_ends_whatever_a_vendor_says(leaves in prop::collection::vec(
        (0..5_u64, prop::option::of(0..9_u64), prop::option::of(any::<bool>())), 1..20), max in 1..9_u32) {
        let paging = Paging { max, ..paging(token()) };
        for list in [ListKind::Complete, ListKind::Window] {
            let mut turner = Turner::new(&paging, list);
            let mut over = false;
            for (items, next, more) in leaves.iter().cycle().take(10) {
                let leaf = Leaf { next: next.map(value), more: *more, total: None, items: *items };
                if !matches!(turner.turn(&leaf), Turn::On(_)) {
                    over = true;
                    break;
                }
            }
            prop_assert!(over && turner.pages() <= max);
        }
    }
}

#[test]
fn the_cap_is_partial_but_for_a_window() {
    let paging = Paging { max: 2, ..paging(token()) };
    for (list, complete) in [(ListKind::Complete, false), (ListKind::Window, true)] {
        let mut turner = Turner::new(&paging, list);
        assert_eq!(turner.turn(&leaf(1, Some(value(1)))), Turn::On(value(1)));
        assert_eq!(turner.turn(&leaf(1, Some(value(2)))) == Turn::End, complete);
    }
    let mut turner = Turner::new(&paging, ListKind::Complete);
    turner.turn(&leaf(1, Some(value(1))));
    assert_eq!(turner.turn(&leaf(1, None)), Turn::End, "a list that ends at the cap is whole");
}

#[test]
fn the_same_request_twice_is_a_loop() {
    let mut turner = Turner::new(&paging(token()), ListKind::Complete);
    assert!(turner.asks(Digest([1; 16])) && turner.asks(Digest([2; 16])));
    assert!(!turner.asks(Digest([1; 16])));
}

#[test]
fn more_decides_over_lengths_and_is_not_believed_without_a_way_on() {
    let sized = Paging { size: Some(10), ..paging(Style::Page { start: 1, carrier: query("page") }) };
    let turn = |paging: &Paging, leaf: &Leaf| Turner::new(paging, ListKind::Complete).turn(leaf);
    let with = |more, items, next| Leaf { more, ..leaf(items, next) };
    assert_eq!(turn(&sized, &with(Some(true), 3, None)), Turn::On(value(2)), "short, and it says that there is more");
    assert_eq!(turn(&sized, &with(Some(false), 10, None)), Turn::End);
    assert_eq!(turn(&sized, &with(None, 9, None)), Turn::End);
    assert!(matches!(turn(&sized, &with(Some(true), 0, None)), Turn::Stop(_)));
    assert!(matches!(turn(&paging(token()), &with(Some(true), 3, None)), Turn::Stop(_)));
    assert_eq!(turn(&paging(token()), &with(None, 0, None)), Turn::End, "an empty page ends");
}

#[test]
fn an_empty_page_that_leads_on_is_not_the_end_and_three_are() {
    let mut turner = Turner::new(&paging(token()), ListKind::Complete);
    for (items, next, expected) in [
        (0, 1, Turn::On(value(1))),
        (0, 2, Turn::On(value(2))),
        (5, 3, Turn::On(value(3))),
        (0, 4, Turn::On(value(4))),
        (0, 5, Turn::On(value(5))),
        (0, 6, Turn::End),
    ] {
        assert_eq!(turner.turn(&leaf(items, Some(value(next)))), expected, "{next}");
    }
    let says_more = |turner: &mut Turner| turner.turn(&Leaf { more: Some(true), ..leaf(0, Some(value(9))) });
    assert_eq!(says_more(&mut turner), Turn::On(value(9)), "it says so itself");
}

#[test]
fn a_page_with_the_items_of_one_before_is_a_circle() {
    let keys = |ids: &[u8]| ids.iter().map(|id| KeyDigest([*id; 16])).collect::<Vec<_>>();
    let mut turner = Turner::new(&paging(token()), ListKind::Complete);
    assert_eq!((turner.holds(&keys(&[1, 2])), turner.holds(&keys(&[2, 3]))), (Ok(()), Ok(())));
    assert_eq!((turner.holds(&[]), turner.holds(&[])), (Ok(()), Ok(())));
    assert!(turner.holds(&keys(&[2, 1])).is_err_and(|why| why.contains("in a circle")));
}

#[test]
fn a_total_must_match_the_items_that_were_read() {
    let mut turner = Turner::new(&paging(token()), ListKind::Complete);
    assert_eq!(turner.check_total(7), Ok(()), "nothing was said");
    turner.turn(&Leaf { total: Some(3), ..leaf(2, None) });
    assert_eq!(turner.check_total(3), Ok(()));
    assert!(turner.check_total(2).unwrap_err().contains("has 3 items, and 2 different ones"));
}

fn item(body: &str) -> Item {
    let key = Key::from("7");
    Item { key_digest: key.digest(), key, raw: Bytes::from(body.to_owned()), raw_digest: Digest::of(body.as_bytes()) }
}

fn read(paging: &Paging, body: &str) -> Result<Leaf, Failure> {
    let mut headers = HeaderMap::new();
    headers.insert("next-page", HeaderValue::from_static(" /p/2 "));
    headers.insert("link", HeaderValue::from_static("</p/3>; rel=\"next\""));
    Leaf::read(paging, &headers, body.as_bytes(), &[item("{\"id\":7,\"no\":[]}")], 2)
}

#[test]
fn what_leads_on_is_found_in_bodies_headers_and_items() {
    let header = || Spot::Header(HeaderName::from_static("next-page"));
    let url = |text: &str| Some(Ask::Url(text.to_owned()));
    for (style, body, next) in [
        (Style::Link, "{}", url("/p/3")),
        (Style::NextUrl { at: header() }, "{}", url("/p/2")),
        (Style::NextUrl { at: Spot::Body(path("$.p.next")) }, r#"{"p":{"next":"?page=2"}}"#, url("?page=2")),
        (Style::NextUrl { at: Spot::Body(path("$..next")) }, r#"{"p":{"next":"?page=2"}}"#, url("?page=2")),
        (token(), r#"{"next":9007199254740993}"#, Some(value(9_007_199_254_740_993))),
        (token(), r#"{"next":"a\"b"}"#, Some(Ask::Value(r#""a\"b""#.to_owned()))),
        (token(), r#"{"next":null}"#, None),
        (token(), r#"{"next":false}"#, None),
        (token(), r#"{"next":""}"#, None),
        (token(), "{}", None),
        (Style::LastKey { at: path("$.id"), carrier: query("after") }, "{}", Some(value(7))),
    ] {
        let leaf = read(&paging(style), body).unwrap_or_else(|failure| panic!("{body}: {failure}"));
        assert_eq!((leaf.next, leaf.items), (next, 2), "{body}");
    }
    let told = Paging { more: Some(path("$.more")), total: Some(path("$.total")), ..paging(Style::Link) };
    let leaf = read(&told, r#"{"more":true,"total":"12"}"#).unwrap();
    assert_eq!((leaf.more, leaf.total), (Some(true), Some(12)));
    let text = serde_json::to_string(&leaf).unwrap();
    assert_eq!(serde_json::from_str::<Leaf>(&text).unwrap(), leaf);
    assert!(json::parse(text.as_bytes()).is_ok());
}

#[test]
fn a_wrong_type_is_a_sentence() {
    let next_url = || Style::NextUrl { at: Spot::Body(path("$.next")) };
    let last = |at: &str| Style::LastKey { at: path(at), carrier: query("after") };
    let more = Paging { more: Some(path("$.more")), ..paging(Style::Link) };
    let total = Paging { total: Some(path("$.total")), ..paging(Style::Link) };
    for (paging, body, said) in [
        (
            paging(next_url()),
            r#"{"next":7}"#,
            "`pages.at = \"$.next\"` should find the URL of the next page, and there is a number",
        ),
        (paging(next_url()), r#"{"next":true}"#, "a truth value"),
        (paging(token()), r#"{"next":{}}"#, "a token (text or a number), and there is an object"),
        (paging(token()), r#"{"next":[1]}"#, "an array"),
        (paging(last("$.no")), "{}", "in the page's last item, `7`, and there is an array"),
        (paging(last("$.nothing")), "{}", "and there is nothing; check `at`"),
        (more, r#"{"more":"yes"}"#, "`pages.more = \"$.more\"` should find `true` or `false`, and there is a string"),
        (total.clone(), r#"{"total":-1}"#, "the number of items, and there is a number"),
        (total, "{}", "and there is nothing"),
        (Paging { more: Some(path("$..a")), ..paging(Style::Link) }, r#"{"a":{"a":true}}"#, "finds 2 values"),
    ] {
        let failure = read(&paging, body).expect_err(body);
        assert_eq!(failure.kind, FailureKind::Page);
        assert!(failure.sentence.contains(said), "{failure}");
    }
}
