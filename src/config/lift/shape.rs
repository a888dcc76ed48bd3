//! What a job's paths can find at all in answers of its format: rows are an array, a text is text, a feed has its own names.
//!
//! A path that never finds anything would be a poll that always fails, or a list that ends after its first page.

use crate::config::problem::Problem;
use crate::config::reader::{Reader, Section};
use crate::core::cursor::{CursorSpec, Source};
use crate::core::document::{DocumentSpec, Format};
use crate::core::page::{Paging, Spot, Style};
use crate::core::path::{JsonPath, Step};

/// The members of a feed.
const FEED: &[&str] = &["title", "link", "updated", "entries"];

/// The paths of a job.
pub(super) struct Paths<'a> {
    pub(super) items: Option<&'a JsonPath>,
    pub(super) key: &'a [JsonPath],
    pub(super) pages: Option<&'a Paging>,
    pub(super) cursor: Option<&'a CursorSpec>,
}

/// Notes the paths of a job that can't lead anywhere, and pages that are not those of a list.
pub(super) fn check(job: &Section<'_>, document: &DocumentSpec, paths: &Paths<'_>, reader: &mut Reader<'_>) {
    let mut note = |key: &str, problem: String, hint: String| {
        if let Some(field) = job.field(key) {
            reader.note(Problem::error(field.place(), problem).hint(hint));
        }
    };
    if let Some((problem, hint)) = paths.items.and_then(|items| misses(document.format, items)) {
        note("items", problem, hint);
    }
    if document.format == Format::Csv && paths.items.is_some() {
        let by_name = |path: &&JsonPath| matches!(first(path), Some(Step::Member(_)));
        if let Some(path) = paths.key.iter().find(by_name).filter(|_| !document.csv.header) {
            let problem = format!("`{}` finds nothing: without a header, a row is an array", path.as_str());
            note("key", problem, "write its column, counted from 0: `key = \"$[0]\"`".to_owned());
        }
        let by_place = |path: &&JsonPath| matches!(first(path), Some(Step::Index(_)));
        if let Some(path) = paths.key.iter().find(by_place).filter(|_| document.csv.header) {
            let problem =
                format!("`{}` finds nothing: a row is an object, by the names of the first line", path.as_str());
            note("key", problem, "write a name, as in `$.id`, or `csv = { header = false }`".to_owned());
        }
    }
    for (table, key, path) in beside_items(paths) {
        if by_member_of_no_object(document.format, path) {
            let problem = format!(
                "`{key} = \"{}\"` finds nothing: an answer in `{}` has no members beside its items",
                path.as_str(),
                document.format.as_str()
            );
            note(table, problem, format!("take it from a header: `{key} = \"header:NAME\"`, or take it out"));
        }
    }
    if paths.pages.is_some() && !job.has("items") && !job.has("key") {
        let problem =
            "`pages` are those of a list, and the job has no `items`: each page would be the one item".to_owned();
        note("pages", problem, "add `items = \"$.data[*]\"` and its `key`, or take `pages` out".to_owned());
    }
}

/// Why a query of items finds none in this format, and what does.
fn misses(format: Format, items: &JsonPath) -> Option<(String, String)> {
    let text = items.as_str();
    match (format, first(items)) {
        (Format::Csv | Format::Ndjson, Some(Step::Member(_))) => {
            let problem = format!("`{text}` finds nothing: an answer in `{}` is an array", format.as_str());
            Some((problem, "write `items = \"$[*]\"`".to_owned()))
        }
        (Format::Text, _) => {
            let problem = format!("`{text}` finds nothing: an answer in `text` is one text");
            Some((problem, "take `items` and `key` out: the text is the one item".to_owned()))
        }
        (Format::Feed, Some(Step::Member(name))) if !FEED.contains(&name.as_str()) => {
            let problem =
                format!("`{text}` finds nothing: every feed is read as `title`, `link`, `updated` and `entries`");
            Some((problem, "write `items = \"$.entries[*]\"` and `key = \"$.id\"`".to_owned()))
        }
        _ => None,
    }
}

/// What is sought in an answer beside its items: the table, the key, the query.
fn beside_items<'a>(paths: &Paths<'a>) -> Vec<(&'static str, &'static str, &'a JsonPath)> {
    let mut found = Vec::new();
    if let Some(pages) = paths.pages {
        if let Style::NextUrl { at: Spot::Body(at) } | Style::Token { at: Spot::Body(at), .. } = &pages.style {
            found.push(("pages", "at", at));
        }
        found.extend(pages.total.iter().map(|path| ("pages", "total", path)));
        found.extend(pages.more.iter().map(|path| ("pages", "more", path)));
    }
    if let Some(Source::From(Spot::Body(from))) = paths.cursor.map(|cursor| &cursor.source) {
        found.push(("cursor", "from", from));
    }
    found
}

fn by_member_of_no_object(format: Format, path: &JsonPath) -> bool {
    matches!(format, Format::Csv | Format::Ndjson | Format::Text) && matches!(first(path), Some(Step::Member(_)))
}

/// The first step of a query, where that is a plain one.
fn first(path: &JsonPath) -> Option<&Step> {
    let steps = path.plain_steps().or_else(|| path.container()?.plain_steps())?;
    steps.first()
}
