//! Where the list is: the array of objects that looks most like what the URL is about.
//!
//! What its items are called is not looked at here.

use url::Url;

use super::{Finding, Puzzle, Seen, Wish, bare, step};
use crate::core::json::Json;
use crate::core::path::JsonPath;

/// How deep a list is looked for.
const DEPTH_MAX: usize = 4;

/// What vendors call the list of an answer.
const CONTAINERS: &[&str] = &[
    "data",
    "items",
    "results",
    "result",
    "records",
    "value",
    "values",
    "entries",
    "objects",
    "rows",
    "list",
    "hits",
    "nodes",
    "edges",
    "content",
    "elements",
    "documents",
    "resources",
    "issues",
    "member",
    "hydramember",
    "collection",
];

/// Lists that are about the answer and not its content.
const ASIDES: &[&str] = &[
    "links",
    "errors",
    "warnings",
    "included",
    "facets",
    "columns",
    "fields",
    "schema",
    "schemas",
    "messages",
    "aggregations",
    "metadata",
    "meta",
    "expand",
    "actions",
];

/// A list that was found.
pub(super) struct Found<'a> {
    pub(super) finding: Finding,
    pub(super) query: JsonPath,
    pub(super) items: Vec<&'a Json>,
}

struct Candidate<'a> {
    path: String,
    elements: &'a [Json],
    /// Is it called as lists are, or as the URL ends?
    named: bool,
    score: i64,
}

/// The list, or `None` where the document is the one item.
pub(super) fn find<'a>(seen: &Seen<'a>, wish: &Wish) -> Result<Option<Found<'a>>, Puzzle> {
    if let Some(query) = &wish.items {
        let items = query.select(seen.document);
        if items.is_empty() || !items.iter().all(|item| item.as_object().is_some()) {
            return Err(Puzzle::NoItems { path: query.as_str().to_owned() });
        }
        let finding = Finding { path: query.as_str().to_owned(), why: "you said so".to_owned() };
        return Ok(Some(Found { finding, query: query.clone(), items }));
    }
    let mut candidates = Vec::new();
    let about = subject(seen.url);
    visit(seen.document, "$", 0, None, &about, &mut candidates);
    let others = candidates.iter().filter(|candidate| !candidate.elements.is_empty()).count().saturating_sub(1);
    let Some(best) = candidates.into_iter().max_by_key(|candidate| candidate.score) else { return Ok(None) };
    if !best.named && is_one_thing(seen.document) {
        return Ok(None);
    }
    if best.elements.is_empty() {
        return Err(Puzzle::Empty { path: best.path });
    }
    let path = format!("{}[*]", best.path);
    let Ok(query) = JsonPath::parse(&path) else { return Ok(None) };
    let why = match others {
        0 => "the only list of objects".to_owned(),
        others => format!("of {} lists of objects the one that looks most like the answer's content", others + 1),
    };
    Ok(Some(Found { finding: Finding { path, why }, query, items: best.elements.iter().collect() }))
}

/// What the URL is about: the last part of its path that is a word.
fn subject(url: &Url) -> String {
    let mut parts: Vec<&str> = url.path_segments().map(Iterator::collect).unwrap_or_default();
    parts.retain(|part| part.chars().any(char::is_alphabetic));
    let last = parts.last().copied().unwrap_or_default();
    bare(last.split('.').next().unwrap_or(last))
}

/// An object with an identity of its own is one thing, whatever lists it has.
fn is_one_thing(document: &Json) -> bool {
    document.get("id").is_some() || document.get("uuid").is_some()
}

fn visit<'a>(
    value: &'a Json,
    path: &str,
    depth: usize,
    name: Option<&str>,
    about: &str,
    found: &mut Vec<Candidate<'a>>,
) {
    match value {
        Json::Array(elements) => {
            let called = name.map(bare).unwrap_or_default();
            let named =
                name.is_none() || CONTAINERS.contains(&called.as_str()) || (!about.is_empty() && called == about);
            let objects = elements.iter().all(|element| element.as_object().is_some());
            // An empty list says nothing of what it is a list of, but its name may.
            if objects && (named || !elements.is_empty()) {
                found.push(candidate(path, elements, named, &called, depth));
            }
        }
        Json::Object(members) if depth < DEPTH_MAX => {
            for (name, value) in members {
                visit(value, &format!("{path}{}", step(name)), depth + 1, Some(name), about, found);
            }
        }
        _ => {}
    }
}

fn candidate<'a>(path: &str, elements: &'a [Json], named: bool, called: &str, depth: usize) -> Candidate<'a> {
    let mut score = elements.len().min(20) as i64 - 5 * depth as i64;
    score += if named { 40 } else { 0 };
    score -= if ASIDES.contains(&called) { 60 } else { 0 };
    let identified =
        elements.first().is_some_and(|item| ["id", "uuid", "key"].iter().any(|name| item.get(name).is_some()));
    score += if identified { 10 } else { 0 };
    Candidate { path: path.to_owned(), elements, named, score }
}
