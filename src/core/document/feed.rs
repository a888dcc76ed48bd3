//! Feeds in one shape: RSS 0.9x, 1.0 and 2.0, Atom, JSON Feed.
//!
//! `{ title, link, updated, entries: [{ id, title, link, published, updated, summary, content, authors, categories }] }`:
//! every member is there, null where the feed has none; authors and categories are lists of texts. Each entry is written
//! when it ends. Markup inside a text is left as it is.

mod date;
mod element;
mod json_feed;
mod read;

use std::borrow::Cow;

use self::element::{Element, Scope, Space};
use super::NAMES_MAX;
use super::broken::{Broken, quote};
use super::xml::{Attribute, Visit, walk};
use crate::core::json::Json;

/// A feed as a document.
pub(super) fn to_json(text: &str) -> Result<Vec<u8>, Broken> {
    let text = text.trim_start_matches('\u{feff}').trim_ascii_start();
    if text.starts_with('{') {
        return json_feed::to_json(text);
    }
    let mut builder = Builder { text, ..Builder::default() };
    walk(text, &mut builder)?;
    Ok(document(&builder.head, &builder.entries))
}

/// A feed's own members before its entries, which are written already, with commas between them.
fn document(head: &Json, entries: &[u8]) -> Vec<u8> {
    let mut out = head.to_bytes();
    out.pop();
    out.extend_from_slice(b",\"entries\":[");
    out.extend_from_slice(entries);
    out.extend_from_slice(b"]}");
    out
}

/// Writes an entry behind those before it.
fn push_entry(entry: &Json, entries: &mut Vec<u8>) {
    if !entries.is_empty() {
        entries.push(b',');
    }
    entry.write(entries);
}

/// The kinds of feeds in XML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flavour {
    /// RSS 0.91 to 2.0: `rss`, `channel`, `item`.
    Rss,
    /// RSS 0.90 and 1.0: `RDF`, and beside the `channel` each `item`.
    Rdf,
    /// Atom: `feed`, `entry`.
    Atom,
}

impl Flavour {
    fn of_root(name: &str) -> Option<Self> {
        match name {
            "rss" => Some(Self::Rss),
            "RDF" => Some(Self::Rdf),
            "feed" => Some(Self::Atom),
            _ => None,
        }
    }

    /// How many elements are around an entry, and its name.
    fn entry(self) -> (usize, &'static str) {
        match self {
            Self::Rss => (2, "item"),
            Self::Rdf => (1, "item"),
            Self::Atom => (1, "entry"),
        }
    }

    /// How many elements are around the one that holds the feed's own members, and its name.
    fn head(self) -> (usize, &'static str) {
        match self {
            Self::Rss | Self::Rdf => (1, "channel"),
            Self::Atom => (0, "feed"),
        }
    }
}

/// Builds entries from the elements that are open.
#[derive(Default)]
struct Builder<'a> {
    text: &'a str,
    flavour: Option<Flavour>,
    scope: Scope,
    open: Vec<Element>,
    head: Json,
    entries: Vec<u8>,
}

impl Visit for Builder<'_> {
    fn open(&mut self, name: &str, attributes: &[Attribute<'_>], at: usize) -> Result<(), Cow<'static, str>> {
        let (space, local) = self.scope.enter(name, attributes);
        if self.open.is_empty() {
            self.flavour = Flavour::of_root(local);
            if self.flavour.is_none() {
                return Err(format!("it is XML, but no feed: its root element is `<{}>`", quote(name)).into());
            }
        }
        self.open.push(Element::new(space, local, attributes, at));
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if let Some(element) = self.open.last_mut() {
            element.text.push_str(text);
        }
    }

    fn close(&mut self, at: usize) -> Result<(), Cow<'static, str>> {
        self.scope.leave();
        let (Some(mut element), Some(flavour)) = (self.open.pop(), self.flavour) else { return Ok(()) };
        if element.attribute("type") == Some("xhtml") {
            element.text = self.text.get(element.begin..at).unwrap_or_default().to_owned();
        }
        let place = (self.open.len(), element.local.as_str());
        if place == flavour.head() {
            self.head = read::head(&element, flavour);
        }
        if place == flavour.entry() && element.space != Space::Other {
            push_entry(&read::entry(&element, flavour), &mut self.entries);
            return Ok(());
        }
        let Some(parent) = self.open.last_mut().filter(|_| element.is_of_use()) else { return Ok(()) };
        if parent.children.len() >= NAMES_MAX {
            return Err(format!("`<{}>` holds more than {NAMES_MAX} elements", quote(&parent.local)).into());
        }
        parent.children.push(element);
        Ok(())
    }
}
