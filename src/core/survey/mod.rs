//! What a vendor's answer tells of how to poll it: where the list is, what tells its items apart, how it is paged, what
//! flickers, what could make fetching incremental, and how fast it may be asked.
//!
//! It guesses, and says why; whoever reads it decides. It asks nobody: two answers come in, findings go out.

mod cursor;
mod key;
mod list;
mod pace;
mod paging;
#[cfg(test)]
mod tests;
mod volatile;

pub use key::KeyFinding;
pub use pace::Pace;
pub use paging::{Pages, Setting};
pub use volatile::Volatile;

use url::Url;

use crate::core::json::Json;
use crate::core::path::JsonPath;

/// How deep an item's fields are looked at: what counts is seldom deeper.
const DEPTH_MAX: usize = 3;

/// One answer.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// What was asked.
    pub url: &'a Url,
    /// The answer's headers, names in lower case.
    pub headers: &'a [(String, String)],
    /// What it holds.
    pub document: &'a Json,
}

impl Seen<'_> {
    /// A header by its name in lower case.
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(own, _)| own == name).map(|(_, value)| value.as_str())
    }

    /// A parameter of the URL's query.
    fn parameter(&self, name: &str) -> Option<String> {
        self.url.query_pairs().find(|(own, _)| own == name).map(|(_, value)| value.into_owned())
    }
}

/// What the user knows already.
#[derive(Clone, Debug, Default)]
pub struct Wish {
    /// Where the items are.
    pub items: Option<JsonPath>,
    /// Where an item's key is.
    pub key: Vec<JsonPath>,
}

/// Something that was found, and why it is thought so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A JSONPath.
    pub path: String,
    /// The reason, as a sentence without its end.
    pub why: String,
}

/// All that was found.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Where the items are; `None`: the document is the one item.
    pub items: Option<Finding>,
    /// How many there are.
    pub count: usize,
    /// What tells them apart; none where the document is the one item.
    pub key: Option<KeyFinding>,
    /// How the next page is found, where there seem to be several.
    pub pages: Option<Pages>,
    /// What differs from one fetch to the next.
    pub volatile: Vec<Volatile>,
    /// What could make fetching incremental.
    pub cursor: Option<Finding>,
    /// What the vendor says about its limits.
    pub pace: Option<Pace>,
}

/// Why nothing can be made of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Puzzle {
    /// There is a list, and nothing in it to learn from.
    Empty {
        /// Where it is.
        path: String,
    },
    /// What the user said finds no objects.
    NoItems {
        /// What the user said.
        path: String,
    },
    /// Nothing tells the items apart.
    NoKey {
        /// Where the items are.
        items: String,
        /// How many there are.
        count: usize,
        /// Fields that come close.
        fields: Vec<String>,
    },
}

/// Looks at two answers to the same question.
///
/// # Errors
/// What is missing to make a job of it.
pub fn survey(first: &Seen<'_>, again: &Seen<'_>, wish: &Wish) -> Result<Survey, Puzzle> {
    let Some(found) = list::find(first, wish)? else {
        return Ok(Survey {
            items: None,
            count: 1,
            key: None,
            pages: None,
            volatile: volatile::of_document(first.document, again.document),
            cursor: None,
            pace: pace::find(first),
        });
    };
    let items = found.items;
    let others = found.query.select(again.document);
    let key = key::find(&found.finding.path, &items, &others, wish)?;
    Ok(Survey {
        pages: paging::find(first, items.len(), &key),
        volatile: volatile::of_items(&items, &others, &key),
        cursor: cursor::find(&items),
        pace: pace::find(first),
        count: items.len(),
        key: Some(key),
        items: Some(found.finding),
    })
}

/// A member's step in a JSONPath.
fn step(name: &str) -> String {
    let mut chars = name.chars();
    let begins = chars.next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_');
    match begins && chars.all(|c| c.is_ascii_alphanumeric() || c == '_') {
        true => format!(".{name}"),
        false => format!("['{}']", name.replace('\\', "\\\\").replace('\'', "\\'")),
    }
}

/// The last name in a path, in lower case and without what joins words.
fn bare(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A field of an item that is no table and no list.
#[derive(Clone, Debug)]
struct Leaf<'a> {
    path: String,
    name: &'a str,
    depth: usize,
    value: &'a Json,
}

/// The plain fields of an item, nested ones too; arrays are not entered.
fn leaves(item: &Json) -> Vec<Leaf<'_>> {
    let mut found = Vec::new();
    gather(item, "$", 1, &mut found);
    found
}

fn gather<'a>(value: &'a Json, path: &str, depth: usize, found: &mut Vec<Leaf<'a>>) {
    for (name, value) in value.as_object().unwrap_or_default() {
        let path = format!("{path}{}", step(name));
        match value {
            Json::Object(_) if depth < DEPTH_MAX => gather(value, &path, depth + 1, found),
            Json::Object(_) | Json::Array(_) => {}
            _ => found.push(Leaf { path, name, depth, value }),
        }
    }
}
