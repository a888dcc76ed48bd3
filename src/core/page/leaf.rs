//! What of an answer counts for paging, read from its headers and its body: most of it without a tree.
//!
//! What is found is checked for its type; where it leads is not its business.

use http::HeaderMap;

use super::{Ask, Leaf, Paging, Spot, Style, link};
use crate::core::extract::Item;
use crate::core::json::{self, Json};
use crate::core::outcome::{Failure, FailureKind};
use crate::core::path::{JsonPath, Step};

impl Leaf {
    /// Reads a page: `items` are those that were found in `body`, and `count` how many, with those that repeat.
    ///
    /// # Errors
    /// [`FailureKind::Page`]: one of the paths of `pages` finds something of the wrong type.
    pub fn read(
        paging: &Paging,
        headers: &HeaderMap,
        body: &[u8],
        items: &[Item],
        count: u64,
    ) -> Result<Self, Failure> {
        let next = match &paging.style {
            style if style.leads_by_header() => in_headers(style, headers),
            Style::NextUrl { at: Spot::Body(path) } => match find(path, body)? {
                None => None,
                Some(Json::String(url)) => Some(Ask::Url(url)),
                Some(other) => return Err(wrong("at", path, "the URL of the next page", &other)),
            },
            Style::Token { at: Spot::Body(path), .. } => match find(path, body)? {
                None => None,
                Some(token @ (Json::String(_) | Json::Number(_))) => Some(Ask::Value(token.to_string())),
                Some(other) => return Err(wrong("at", path, "a token (text or a number)", &other)),
            },
            Style::LastKey { at, .. } => items.last().map(|item| last_key(at, item)).transpose()?,
            _ => None,
        };
        let more = paging.more.as_ref().map(|path| more(path, body)).transpose()?;
        let total = paging.total.as_ref().map(|path| total(path, body)).transpose()?;
        Ok(Self { next, more, total, items: count })
    }
}

impl Leaf {
    /// This, of a page whose body is known: what leads on by a header stands in its new headers, unless they are those
    /// of a 304, which may leave it out.
    #[must_use]
    pub fn renewed(&self, paging: &Paging, headers: &HeaderMap, is_304: bool) -> Self {
        let mut leaf = self.clone();
        if paging.style.leads_by_header() {
            let next = in_headers(&paging.style, headers);
            leaf.next = if is_304 { next.or(leaf.next) } else { next };
        }
        leaf
    }
}

/// What leads on by a header.
fn in_headers(style: &Style, headers: &HeaderMap) -> Option<Ask> {
    let (name, is_url) = match style {
        Style::Link => {
            let values = headers.get_all(http::header::LINK).into_iter().filter_map(|value| value.to_str().ok());
            return link::next(values).map(|target| Ask::Url(target.to_owned()));
        }
        Style::NextUrl { at: Spot::Header(name) } => (name, true),
        Style::Token { at: Spot::Header(name), .. } => (name, false),
        _ => return None,
    };
    let text = headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty())?;
    Some(if is_url { Ask::Url(text.to_owned()) } else { Ask::Value(Json::from(text).to_string()) })
}

/// What a path finds; nothing where it says that there is no next page.
fn find(path: &JsonPath, body: &[u8]) -> Result<Option<Json>, Failure> {
    let found = find_one(path, body)?;
    Ok(found.filter(|found| !matches!(found, Json::Null | Json::Bool(false)) && found.as_str() != Some("")))
}

fn more(path: &JsonPath, body: &[u8]) -> Result<bool, Failure> {
    match find_one(path, body)? {
        None | Some(Json::Null) => Ok(false),
        Some(Json::Bool(more)) => Ok(more),
        // In XML all is text.
        Some(Json::String(text)) if matches!(text.as_str(), "true" | "false") => Ok(text == "true"),
        Some(other) => Err(wrong("more", path, "`true` or `false`", &other)),
    }
}

fn total(path: &JsonPath, body: &[u8]) -> Result<u64, Failure> {
    let found = find_one(path, body)?.unwrap_or_default();
    // Some vendors write numbers as text.
    let number = match &found {
        Json::Number(number) => number.as_u64(),
        Json::String(text) => text.parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| wrong("total", path, "the number of items", &found))
}

fn last_key(at: &JsonPath, item: &Item) -> Result<Ask, Failure> {
    match find_one(at, &item.raw)? {
        Some(value @ (Json::String(_) | Json::Number(_))) => Ok(Ask::Value(value.to_string())),
        other => {
            let expected = format!("text or a number in the page's last item, `{}`", item.key);
            Err(wrong("at", at, &expected, &other.unwrap_or_default()))
        }
    }
}

/// The one value that a path finds, if it finds one.
///
/// # Errors
/// [`FailureKind::Page`] when it finds several.
pub(in crate::core) fn find_one(path: &JsonPath, body: &[u8]) -> Result<Option<Json>, Failure> {
    match path.plain_steps().filter(|steps| !steps.contains(&Step::All)) {
        Some(steps) => match json::pick(body, steps).map_err(not_json)? {
            Some(raw) => json::parse(raw).map(Some).map_err(not_json),
            None => Ok(None),
        },
        None => {
            let tree = json::parse(body).map_err(not_json)?;
            match path.select(&tree)[..] {
                [] => Ok(None),
                [found] => Ok(Some(found.clone())),
                ref many => {
                    let sentence = format!("`{}` finds {} values, not one", path.as_str(), many.len());
                    Err(Failure::new(FailureKind::Page, sentence))
                }
            }
        }
    }
}

fn wrong(key: &str, path: &JsonPath, expected: &str, found: &Json) -> Failure {
    let path = path.as_str();
    let found = if found.is_null() { "nothing" } else { found.kind() };
    let sentence = format!("`pages.{key} = \"{path}\"` should find {expected}, and there is {found}; check `{key}`");
    Failure::new(FailureKind::Page, sentence)
}

fn not_json(error: json::JsonError) -> Failure {
    Failure::new(FailureKind::NotJson, format!("the page is not JSON: {} at byte {}", error.what, error.at))
}
