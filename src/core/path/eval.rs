//! Running a query over a tree.
//!
//! It never fails: what does not fit selects nothing (RFC 9535, section 2.1.1).

use std::borrow::Cow;
use std::cmp::Ordering;
use std::rc::Rc;

use super::Token;
use super::compile::{Comparable, Filter, Order, Origin, Query, Segment, Selector};
use crate::core::json::{Json, Number, equal};

/// What a query finds, in document order.
pub(super) fn select<'a>(segments: &[Segment], document: &'a Json) -> Vec<&'a Json> {
    run(segments, document, (document, ())).into_iter().map(|(value, ())| value).collect()
}

/// Where it finds it.
pub(super) fn locate<'a>(segments: &[Segment], document: &'a Json) -> Vec<Vec<Token<'a>>> {
    run(segments, document, (document, Way(None))).into_iter().map(|(_, way)| way.tokens()).collect()
}

/// How a node was reached, for those who want to know.
trait Trail<'a>: Clone {
    fn to(&self, token: Token<'a>) -> Self;
}

impl<'a> Trail<'a> for () {
    fn to(&self, _: Token<'a>) -> Self {}
}

/// A trail that is kept: the last token, and the way to where it starts.
#[derive(Clone)]
struct Way<'a>(Option<Rc<(Way<'a>, Token<'a>)>>);

impl<'a> Trail<'a> for Way<'a> {
    fn to(&self, token: Token<'a>) -> Self {
        Self(Some(Rc::new((self.clone(), token))))
    }
}

impl<'a> Way<'a> {
    fn tokens(&self) -> Vec<Token<'a>> {
        let mut tokens = Vec::new();
        let mut way = self;
        while let Some(link) = &way.0 {
            tokens.push(link.1);
            way = &link.0;
        }
        tokens.reverse();
        tokens
    }
}

type Node<'a, T> = (&'a Json, T);

fn run<'a, T: Trail<'a>>(segments: &[Segment], root: &'a Json, start: Node<'a, T>) -> Vec<Node<'a, T>> {
    segments.iter().fold(vec![start], |nodes, segment| {
        let mut found = Vec::new();
        for node in &nodes {
            match segment {
                Segment::Child(selectors) => choose_all(selectors, root, node, &mut found),
                Segment::Descendant(selectors) => descend(selectors, root, node, &mut found),
            }
        }
        found
    })
}

/// Chooses from a node and then, in order, from all that is below it.
fn descend<'a, T: Trail<'a>>(selectors: &[Selector], root: &'a Json, node: &Node<'a, T>, found: &mut Vec<Node<'a, T>>) {
    choose_all(selectors, root, node, found);
    for child in children(node) {
        descend(selectors, root, &child, found);
    }
}

fn choose_all<'a, T: Trail<'a>>(
    selectors: &[Selector],
    root: &'a Json,
    node: &Node<'a, T>,
    found: &mut Vec<Node<'a, T>>,
) {
    for selector in selectors {
        choose(selector, root, node, found);
    }
}

fn choose<'a, T: Trail<'a>>(selector: &Selector, root: &'a Json, node: &Node<'a, T>, found: &mut Vec<Node<'a, T>>) {
    let (value, trail) = node;
    match (selector, value) {
        (Selector::Name(name), Json::Object(members)) => {
            let member = members.iter().find(|(own, _)| own == name);
            found.extend(member.map(|(name, value)| (value, trail.to(Token::Name(name)))));
        }
        (Selector::Index(index), Json::Array(elements)) => {
            let element = absolute(*index, elements.len()).and_then(|at| Some((at, elements.get(at)?)));
            found.extend(element.map(|(at, value)| (value, trail.to(Token::Index(at)))));
        }
        (Selector::Slice { start, end, step }, Json::Array(elements)) => {
            let indexes = slice(*start, *end, *step, elements.len());
            found.extend(indexes.filter_map(|at| Some((elements.get(at)?, trail.to(Token::Index(at))))));
        }
        (Selector::Wildcard, _) => found.extend(children(node)),
        (Selector::Filter(filter), _) => found.extend(children(node).filter(|(child, _)| holds(filter, root, child))),
        _ => {}
    }
}

fn children<'a, 'n, T: Trail<'a>>(node: &'n Node<'a, T>) -> impl Iterator<Item = Node<'a, T>> + use<'a, 'n, T> {
    let (value, trail) = node;
    let (elements, members) = match *value {
        Json::Array(elements) => (elements.as_slice(), [].as_slice()),
        Json::Object(members) => ([].as_slice(), members.as_slice()),
        _ => ([].as_slice(), [].as_slice()),
    };
    let elements = elements.iter().enumerate().map(|(at, value)| (value, trail.to(Token::Index(at))));
    elements.chain(members.iter().map(|(name, value)| (value, trail.to(Token::Name(name)))))
}

/// A negative index counts from the end.
fn absolute(index: i64, count: usize) -> Option<usize> {
    let back = || count.checked_sub(usize::try_from(index.unsigned_abs()).ok()?);
    if index < 0 { back() } else { usize::try_from(index).ok() }
}

/// RFC 9535, section 2.3.4.2.2.
fn slice(start: Option<i64>, end: Option<i64>, step: i64, count: usize) -> impl Iterator<Item = usize> {
    let count = i64::try_from(count).unwrap_or(i64::MAX);
    let normal = |index: i64| if index < 0 { count.saturating_add(index) } else { index };
    let (mut at, stop) = if step < 0 {
        let start = normal(start.unwrap_or(count - 1)).clamp(-1, count - 1);
        (start, end.map_or(-1, normal).clamp(-1, count - 1))
    } else {
        (normal(start.unwrap_or(0)).clamp(0, count), normal(end.unwrap_or(count)).clamp(0, count))
    };
    std::iter::from_fn(move || {
        let inside = (step > 0 && at < stop) || (step < 0 && at > stop);
        let index = usize::try_from(at).ok().filter(|_| inside)?;
        at = at.saturating_add(step);
        Some(index)
    })
}

fn holds(filter: &Filter, root: &Json, current: &Json) -> bool {
    match filter {
        Filter::Or(filters) => filters.iter().any(|filter| holds(filter, root, current)),
        Filter::And(filters) => filters.iter().all(|filter| holds(filter, root, current)),
        Filter::Not(filter) => !holds(filter, root, current),
        Filter::Exists(query) => !find(query, root, current).is_empty(),
        Filter::Compare(left, order, right) => {
            compares(value(left, root, current).as_deref(), *order, value(right, root, current).as_deref())
        }
        Filter::Pattern(text, pattern) => {
            value(text, root, current).as_deref().and_then(Json::as_str).is_some_and(|text| pattern.is_match(text))
        }
    }
}

fn find<'a>(query: &Query, root: &'a Json, current: &'a Json) -> Vec<&'a Json> {
    let start = match query.origin {
        Origin::Root => root,
        Origin::Current => current,
    };
    run(&query.segments, root, (start, ())).into_iter().map(|(value, ())| value).collect()
}

/// `None` is the standard's special result `Nothing`.
fn value<'a>(comparable: &'a Comparable, root: &'a Json, current: &'a Json) -> Option<Cow<'a, Json>> {
    let number = |count: usize| Some(Cow::Owned(Json::from(count as u64)));
    let only = |nodes: Vec<&'a Json>| if let [node] = nodes[..] { Some(Cow::Borrowed(node)) } else { None };
    match comparable {
        Comparable::Literal(literal) => Some(Cow::Borrowed(literal)),
        Comparable::Node(query) | Comparable::Value(query) => only(find(query, root, current)),
        Comparable::Count(query) => number(find(query, root, current).len()),
        Comparable::Length(of) => match value(of, root, current)?.as_ref() {
            Json::String(text) => number(text.chars().count()),
            Json::Array(elements) => number(elements.len()),
            Json::Object(members) => number(members.len()),
            _ => None,
        },
    }
}

/// RFC 9535, section 2.3.5.2.2.
fn compares(left: Option<&Json>, order: Order, right: Option<&Json>) -> bool {
    let same = match (left, right) {
        (Some(left), Some(right)) => equal(left, right),
        (left, right) => left.is_none() && right.is_none(),
    };
    let ordering = match (left, right) {
        (Some(Json::Number(left)), Some(Json::Number(right))) => Some(Number::compare(left, right)),
        (Some(Json::String(left)), Some(Json::String(right))) => Some(left.cmp(right)),
        _ => None,
    };
    match order {
        Order::Equal => same,
        Order::Unequal => !same,
        Order::Less => ordering == Some(Ordering::Less),
        Order::LessOrEqual => same || ordering == Some(Ordering::Less),
        Order::Greater => ordering == Some(Ordering::Greater),
        Order::GreaterOrEqual => same || ordering == Some(Ordering::Greater),
    }
}
