//! An element of a feed, and the namespaces that say whose it is: `media:title` is not the entry's title.

use std::collections::HashMap;

use crate::core::document::xml::Attribute;

/// What is read of entries and of what they hold; all else is passed over.
const OF_USE: [&str; 25] = [
    "author",
    "category",
    "content",
    "created",
    "creator",
    "date",
    "description",
    "email",
    "encoded",
    "guid",
    "id",
    "issued",
    "lastBuildDate",
    "link",
    "managingEditor",
    "modified",
    "name",
    "pubDate",
    "published",
    "subject",
    "summary",
    "title",
    "updated",
    "uri",
    "webMaster",
];

/// Whose an element is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Space {
    /// The feed's own: that of the element around it.
    #[default]
    Own,
    /// Dublin Core: `dc:creator`, `dc:date`.
    DublinCore,
    /// RSS's content module: `content:encoded`.
    Content,
    /// Any other.
    Other,
}

/// An element and what is of use in it.
#[derive(Debug, Default)]
pub(super) struct Element {
    pub(super) space: Space,
    pub(super) local: String,
    attributes: Vec<(String, String)>,
    pub(super) children: Vec<Element>,
    /// The text right inside it.
    pub(super) text: String,
    /// Where what is in it begins.
    pub(super) begin: usize,
}

impl Element {
    pub(super) fn new(space: Space, local: &str, attributes: &[Attribute<'_>], begin: usize) -> Self {
        let attributes = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())).collect();
        Self { space, local: local.to_owned(), attributes, begin, ..Self::default() }
    }

    /// Is it one that is read?
    pub(super) fn is_of_use(&self) -> bool {
        self.space != Space::Other && OF_USE.contains(&self.local.as_str())
    }

    /// An attribute, as its name is written.
    pub(super) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.trim())
    }

    /// The children of this name.
    pub(super) fn all(&self, space: Space, local: &str) -> impl Iterator<Item = &Self> {
        self.children.iter().filter(move |child| child.space == space && child.local == local)
    }

    /// The text of the first child of the feed's own under one of these names that has one.
    pub(super) fn own(&self, names: &[&str]) -> Option<String> {
        names.iter().find_map(|name| self.first(Space::Own, name))
    }

    /// The text of the first child of this name that has one.
    pub(super) fn first(&self, space: Space, local: &str) -> Option<String> {
        self.all(space, local).find_map(Self::value)
    }

    /// Its text without white space around it, where that is any.
    pub(super) fn value(&self) -> Option<String> {
        let text = self.text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    }
}

/// The namespaces in force.
#[derive(Debug, Default)]
pub(super) struct Scope {
    /// What each prefix stands for, the innermost last.
    bound: HashMap<String, Vec<String>>,
    /// The elements that are open: the namespace of each, and the prefixes that it binds.
    open: Vec<(String, Vec<String>)>,
    /// Is the root that of RSS 1.0, whose children have another namespace than it?
    in_rdf: bool,
}

impl Scope {
    /// An element begins: whose it is, and its name without its prefix.
    pub(super) fn enter<'n>(&mut self, name: &'n str, attributes: &[Attribute<'_>]) -> (Space, &'n str) {
        let mut binds = Vec::new();
        for (attribute, uri) in attributes {
            let prefix = match *attribute {
                "xmlns" => "",
                other => match other.strip_prefix("xmlns:") {
                    Some(prefix) => prefix,
                    None => continue,
                },
            };
            self.bound.entry(prefix.to_owned()).or_default().push(uri.trim().to_owned());
            binds.push(prefix.to_owned());
        }
        let (prefix, local) = name.split_once(':').unwrap_or(("", name));
        // A prefix that nothing binds stands for itself.
        let uri = self.bound.get(prefix).and_then(|uris| uris.last()).map_or(prefix, String::as_str).to_owned();
        let space = self.space(&uri);
        if self.open.is_empty() {
            self.in_rdf = local == "RDF";
        }
        self.open.push((uri, binds));
        (space, local)
    }

    /// The element that is open ends.
    pub(super) fn leave(&mut self) {
        let Some((_, binds)) = self.open.pop() else { return };
        for prefix in binds {
            self.bound.get_mut(&prefix).and_then(Vec::pop);
        }
    }

    fn space(&self, uri: &str) -> Space {
        if uri.starts_with("http://purl.org/dc/") || uri == "dc" {
            return Space::DublinCore;
        }
        if uri == "http://purl.org/rss/1.0/modules/content/" || uri == "content" {
            return Space::Content;
        }
        match self.open.last() {
            Some((around, _)) if around != uri && !(self.in_rdf && self.open.len() == 1) => Space::Other,
            _ => Space::Own,
        }
    }
}
