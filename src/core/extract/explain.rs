//! Sentences for answers that are of no use: what was there instead, and what to type.
//!
//! They quote a little of the vendor's answer, never of the request.

use std::collections::VecDeque;

use super::Place;
use crate::core::diff::difference;
use crate::core::json::{self, Json, JsonError};
use crate::core::names::Key;
use crate::core::outcome::{Failure, FailureKind};
use crate::core::path::{JsonPath, Step};
use crate::core::rules::Rules;

/// Names that a sentence lists before it says how many more there are.
const NAMES_MAX: usize = 8;

/// Characters of the vendor's that a sentence quotes in one piece.
const QUOTE_MAX: usize = 60;

/// How deep to look for a list to propose.
const LOOK_DEPTH: usize = 3;

/// Values to look at for a list to propose.
const LOOK_MAX: usize = 1000;

/// The answer is not JSON.
pub(in crate::core) fn not_json(body: &[u8], error: &JsonError) -> Failure {
    let text = String::from_utf8_lossy(&body[..body.len().min(4 * QUOTE_MAX)]);
    let text = text.trim_start_matches('\u{feff}').trim_start();
    let begins = format!("it begins with `{}`", quote(text));
    let lower = text.to_ascii_lowercase();
    Failure::new(
        FailureKind::NotJson,
        match text.chars().next() {
            None if body.len() <= 4 * QUOTE_MAX => "the answer is empty, not JSON".to_owned(),
            Some('<') if lower.starts_with("<!doctype html") || lower.contains("<html") => {
                format!(
                    "the answer is HTML, not JSON: {begins}; hint: is the URL that of the API, and are the credentials right?"
                )
            }
            Some('<') => format!("the answer is XML or HTML, not JSON: {begins}"),
            Some('{') if error.what.starts_with("expected the end, got `{`") => {
                format!(
                    "the answer is more than one JSON document: {error}; hint: `format = \"ndjson\"` if there is one on each line"
                )
            }
            Some('{' | '[') => format!("the answer is not JSON we can take: {error}"),
            _ => format!("the answer is not JSON: {error}; {begins}"),
        },
    )
}

/// An item, or a part of one, as a tree.
pub(super) fn parse_item(raw: &[u8], place: Place) -> Result<Json, Failure> {
    json::parse(raw).map_err(|error| item_not_json(place, &error))
}

/// An item is not JSON that we take.
pub(super) fn item_not_json(place: Place, error: &JsonError) -> Failure {
    Failure::new(FailureKind::NotJson, format!("{place} is not JSON we can take: {error} of it"))
}

/// The query for the items leads nowhere.
pub(super) fn nothing_found(query: &JsonPath, tree: &Json, empty: bool) -> String {
    let (way, last) = deepest(query, tree);
    let what = if way == "$" { "the answer".to_owned() } else { format!("`{way}`") };
    let list = propose(tree).filter(|proposal| proposal != query.as_str());
    let hint = match list {
        Some(list) => format!("; hint: try `items = {}`", quoted(&list)),
        // An empty element of XML is an empty text.
        None if (last.is_null() || last.as_str() == Some("")) && !empty && query.container().is_some() => {
            "; hint: `empty = true` if that means an empty list".to_owned()
        }
        None => String::new(),
    };
    let must = if must_be_array(query) { "must find an array" } else { "found nothing" };
    format!("`{}` {must}: {what} is {}{hint}", query.as_str(), describe(last))
}

/// Is it `$[*]`? An object there is rather an error's than a list; who means the members of one writes `$.*`.
pub(super) fn must_be_array(items: &JsonPath) -> bool {
    items.plain_steps() == Some(&[Step::All]) && items.as_str().ends_with(']')
}

/// An item has no key: none, or one that is none.
pub(super) fn key_missing(path: &JsonPath, found: Option<&Json>, item: &Json, place: Place) -> String {
    let path = path.as_str();
    match (found, item) {
        (Some(Json::Null), _) => format!("the key `{path}` of {place} is null"),
        (Some(value), _) => {
            format!("the key `{path}` of {place} is {}: a key is a text, a number or a truth value", value.kind())
        }
        (None, Json::Object(members)) => {
            let near = nearest(path, members)
                .map(|name| format!("; hint: `key = {}`", quoted(&format!("${}", segment(name)))));
            format!("{place} has no `{path}`: it is {}{}", describe(item), near.unwrap_or_default())
        }
        (None, Json::Array(_)) => format!("{place} has no `{path}`: it is {}", describe(item)),
        (None, _) => {
            format!("{place} has no `{path}`: it is {}; hint: `key = \"$\"` takes it as its own key", item.kind())
        }
    }
}

/// A key's path finds several values.
pub(super) fn key_many(path: &JsonPath, count: usize, place: Place) -> String {
    format!("the key `{}` finds {count} values in {place}: a key is one value", path.as_str())
}

/// Two items have one key.
pub(super) fn key_twice(paths: &[JsonPath], key: &Key, at: usize, first: &Json, second: &Json) -> String {
    let names: Vec<_> = paths.iter().map(|path| format!("`{}`", path.as_str())).collect();
    let changed = difference(first, second, &Rules::default()).changed;
    let differ: Vec<_> = changed.iter().take(3).map(|pointer| format!("`{}`", quote(pointer))).collect();
    let dots = if changed.len() > 3 { ", …" } else { "" };
    let differ = if changed == [""] { String::new() } else { format!(": they differ in {}{dots}", differ.join(", ")) };
    format!(
        "{} has the same key `{}` ({}) as an item before it, but is another item{differ}; \
         hint: make the key unique, such as `key = [\"$.id\", \"$.line\"]`",
        Place::Item(at),
        quote(key.as_str()),
        names.join(", ")
    )
}

/// A key is missing because the members of an object were taken for items, as where an element of XML stands once.
pub(super) fn members_for_items(failure: Failure, items: Option<&JsonPath>, body: &[u8]) -> Failure {
    let Some(container) = items.and_then(JsonPath::container).filter(|_| failure.kind == FailureKind::KeyMissing)
    else {
        return failure;
    };
    let tree = json::parse(body).unwrap_or_default();
    let (Some(Step::Member(name)), [Json::Object(_)]) =
        (container.plain_steps().and_then(<[Step]>::last), &container.select(&tree)[..])
    else {
        return failure;
    };
    let way = container.as_str();
    let why = format!(
        "`{way}` is an object, so its members were taken for items; in XML, `array = [{}]` makes it a list",
        quoted(name)
    );
    Failure { sentence: format!("{}; {why}", failure.sentence), ..failure }
}

/// How far a query leads, as text, and what is there.
fn deepest<'a>(query: &JsonPath, tree: &'a Json) -> (String, &'a Json) {
    let container = query.container().unwrap_or(query);
    let (mut way, mut last) = ("$".to_owned(), tree);
    for step in container.plain_steps().unwrap_or_default() {
        let (next, text) = match (step, last) {
            (Step::Member(name), Json::Object(_)) => (last.get(name), segment(name)),
            (Step::Index(at), Json::Array(elements)) => (elements.get(*at), format!("[{at}]")),
            _ => (None, String::new()),
        };
        let Some(next) = next else { break };
        way.push_str(&text);
        last = next;
    }
    (way, last)
}

/// A query for the first list in a document, searched level by level; lists of objects come first.
fn propose(tree: &Json) -> Option<String> {
    let mut queue = VecDeque::from([("$".to_owned(), tree, 0)]);
    let (mut looked, mut second) = (0, None);
    while let Some((way, json, depth)) = queue.pop_front() {
        looked += 1;
        match json {
            Json::Array(elements) if matches!(elements.first(), Some(Json::Object(_))) => {
                return Some(format!("{way}[*]"));
            }
            Json::Array(_) => second = second.or_else(|| Some(format!("{way}[*]"))),
            Json::Object(members) if depth < LOOK_DEPTH && looked < LOOK_MAX => {
                let members = members.iter().take(LOOK_MAX);
                queue.extend(members.map(|(name, value)| (format!("{way}{}", segment(name)), value, depth + 1)));
            }
            _ => {}
        }
    }
    second
}

/// The member that the path's last name may mean.
fn nearest<'a>(path: &str, members: &'a [(String, Json)]) -> Option<&'a str> {
    let wanted = path.rsplit(['.', '\'', '"', '[', ']', '$']).find(|part| !part.is_empty()).unwrap_or("id");
    let plain = |name: &str| name.to_lowercase().replace(['_', '-'], "");
    let scalars = members.iter().filter(|(_, value)| matches!(value, Json::String(_) | Json::Number(_)));
    let names = scalars.map(|(name, _)| name.as_str());
    let likeness = |name: &str| strsim::jaro_winkler(&plain(name), &plain(wanted));
    let best = names.clone().max_by(|a, b| likeness(a).total_cmp(&likeness(b))).filter(|name| likeness(name) > 0.85);
    best.or_else(|| names.clone().find(|name| ["id", "uuid", "key"].contains(&plain(name).as_str())))
        .or_else(|| names.clone().find(|name| plain(name).ends_with("id")))
}

/// What a value is, with the names of an object's members.
fn describe(json: &Json) -> String {
    match json {
        Json::Object(members) if members.is_empty() => "an empty object".to_owned(),
        Json::Object(members) => {
            let names: Vec<_> = members.iter().take(NAMES_MAX).map(|(name, _)| format!("`{}`", quote(name))).collect();
            let noun = if members.len() == 1 { "member" } else { "members" };
            let more = match members.len().saturating_sub(NAMES_MAX) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            format!("an object with the {noun} {}{more}", names.join(", "))
        }
        Json::Array(elements) if elements.is_empty() => "an empty array".to_owned(),
        Json::Array(elements) if elements.len() == 1 => "an array of 1 element".to_owned(),
        Json::Array(elements) => format!("an array of {} elements", elements.len()),
        other => other.kind().to_owned(),
    }
}

/// A name as a segment of a query.
fn segment(name: &str) -> String {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    if name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_') && name.chars().all(plain) {
        return format!(".{name}");
    }
    let escaped: String = name
        .chars()
        .flat_map(|letter| match letter {
            '\'' | '\\' => vec!['\\', letter],
            control if control.is_control() => control.escape_default().collect(),
            other => vec![other],
        })
        .collect();
    format!("['{escaped}']")
}

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    Json::from(text).to_string()
}

/// A few characters of the vendor's, fit for one line.
fn quote(text: &str) -> String {
    let mut letters = text.split_whitespace().flat_map(|word| [" ", word]).flat_map(str::chars).skip(1);
    let short: String = letters.by_ref().take(QUOTE_MAX).filter(|letter| !letter.is_control()).collect();
    if letters.next().is_some() { format!("{short}…") } else { short }
}
