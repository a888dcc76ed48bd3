//! A list of several pages: what leads from one to the next, and when it ends.
//!
//! Pure: it is told what each page held ([`Leaf`]) and says what to ask for next ([`Turn`]). It builds no request, and
//! it resolves no link: see `source`.

use std::collections::HashSet;

use http::HeaderName;
use serde::{Deserialize, Serialize};

use crate::core::job::ListKind;
use crate::core::names::{Digest, KeyDigest};
use crate::core::path::JsonPath;

mod leaf;
mod link;
mod seen;
#[cfg(test)]
mod tests;

pub(in crate::core) use leaf::find_one;
pub use seen::Seen;

/// Empty pages in a row that end a list though they lead on. Some vendors filter what a page holds after they have cut the
/// list into pages, so one says little; others always name a next page, and would never come to an end.
const EMPTY_MAX: u32 = 3;

/// How a job reads a list of several pages: its `[job.NAME.pages]`.
#[derive(Clone, Debug)]
pub struct Paging {
    /// What leads to the next page.
    pub style: Style,
    /// Pages that are read at most.
    pub max: u32,
    /// Items on a page that is not the last.
    pub size: Option<u64>,
    /// What tells the vendor of the size.
    pub size_param: Option<String>,
    /// Where a page says how many items the list has.
    pub total: Option<JsonPath>,
    /// Where a page says whether there is another one.
    pub more: Option<JsonPath>,
    /// Stop at the first page that holds nothing new.
    pub until_known: bool,
}

impl Paging {
    /// The paths that are looked for in a page's body, outside of its items.
    pub fn body_paths(&self) -> impl Iterator<Item = &JsonPath> {
        let at = match &self.style {
            Style::NextUrl { at: Spot::Body(path) } | Style::Token { at: Spot::Body(path), .. } => Some(path),
            _ => None,
        };
        at.into_iter().chain(&self.total).chain(&self.more)
    }
}

/// What leads from a page to the next.
#[derive(Clone, Debug)]
pub enum Style {
    /// The header `Link` with `rel="next"` (RFC 8288).
    Link,
    /// A URL, whole or relative.
    NextUrl {
        /// Where it is.
        at: Spot,
    },
    /// A token that the next request carries.
    Token {
        /// Where it is.
        at: Spot,
        /// What carries it.
        carrier: Carrier,
    },
    /// The number of the page.
    Page {
        /// That of the first.
        start: u64,
        /// What carries it.
        carrier: Carrier,
    },
    /// The number of items before the page.
    Offset {
        /// That of the first.
        start: u64,
        /// What carries it.
        carrier: Carrier,
    },
    /// A value of the page's last item.
    LastKey {
        /// Where it is in the item.
        at: JsonPath,
        /// What carries it.
        carrier: Carrier,
    },
}

/// A place in an answer.
#[derive(Clone, Debug)]
pub enum Spot {
    /// In its body.
    Body(JsonPath),
    /// A header.
    Header(HeaderName),
}

/// A place in a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A parameter of the query.
    Query(String),
    /// A header.
    Header(HeaderName),
    /// A JSON Pointer into the body.
    Body(String),
}

impl Carrier {
    /// Its name, as `param` writes it.
    fn as_str(&self) -> &str {
        match self {
            Self::Query(name) | Self::Body(name) => name,
            Self::Header(name) => name.as_str(),
        }
    }
}

impl Style {
    /// As the config writes it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Link => "link",
            Self::NextUrl { .. } => "next_url",
            Self::Token { .. } => "token",
            Self::Page { .. } => "page",
            Self::Offset { .. } => "offset",
            Self::LastKey { .. } => "last_key",
        }
    }

    /// What carries the value that changes from page to page; none for links.
    pub fn carrier(&self) -> Option<&Carrier> {
        match self {
            Self::Link | Self::NextUrl { .. } => None,
            Self::Token { carrier, .. }
            | Self::Page { carrier, .. }
            | Self::Offset { carrier, .. }
            | Self::LastKey { carrier, .. } => Some(carrier),
        }
    }

    /// True when a header leads on: then a page whose body did not change may have become the last one, or be it no more.
    pub fn leads_by_header(&self) -> bool {
        let by_header = |at: &Spot| matches!(at, Spot::Header(_));
        match self {
            Self::Link => true,
            Self::NextUrl { at } | Self::Token { at, .. } => by_header(at),
            Self::Page { .. } | Self::Offset { .. } | Self::LastKey { .. } => false,
        }
    }

    /// The value that the first request carries.
    pub fn first(&self) -> Option<Ask> {
        match self {
            Self::Page { start, .. } | Self::Offset { start, .. } => Some(Ask::Value(start.to_string())),
            Self::Link | Self::NextUrl { .. } | Self::Token { .. } | Self::LastKey { .. } => None,
        }
    }
}

/// What to ask for next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// This URL, as the vendor wrote it.
    Url(String),
    /// This value, as JSON text, where the job's config says.
    Value(String),
}

/// What of a page counts for paging. Small: it is kept with what the page is recognised by.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leaf {
    /// What the page itself says of the next one.
    pub next: Option<Ask>,
    /// Whether it says that there is another.
    pub more: Option<bool>,
    /// How many items it says that the list has.
    pub total: Option<u64>,
    /// How many items it held, those that repeat included.
    pub items: u64,
}

/// What follows a page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Another page.
    On(Ask),
    /// Nothing: the list was read.
    End,
    /// Nothing, though the list goes on: the sentence says why.
    Stop(String),
}

/// Goes from page to page.
#[derive(Debug)]
pub struct Turner {
    paging: Paging,
    list: ListKind,
    pages: u32,
    items: u64,
    total: Option<u64>,
    asked: HashSet<Digest>,
    /// What the pages held.
    held: HashSet<u128>,
    /// Pages in a row that were empty.
    empties: u32,
}

impl Turner {
    /// Begins with the first page.
    pub fn new(paging: &Paging, list: ListKind) -> Self {
        Self {
            paging: paging.clone(),
            list,
            pages: 0,
            items: 0,
            total: None,
            asked: HashSet::new(),
            held: HashSet::new(),
            empties: 0,
        }
    }

    /// Pages that were read.
    pub fn pages(&self) -> u32 {
        self.pages
    }

    /// Notes a request before it is made; false for one that was made before in this poll, which is a loop.
    pub fn asks(&mut self, request: Digest) -> bool {
        self.asked.insert(request)
    }

    /// Notes what a page holds; an `Err` says that a page before it held the same items, as all do of a vendor that takes
    /// no notice of what is asked for.
    ///
    /// # Errors
    /// The sentence that makes the poll partial.
    pub fn holds(&mut self, keys: &[KeyDigest]) -> Result<(), String> {
        let sum = keys.iter().fold(0_u128, |sum, key| sum.wrapping_add(u128::from_le_bytes(key.0)));
        if keys.is_empty() || self.held.insert(sum) {
            return Ok(());
        }
        let number = self.pages + 1;
        let check = match self.paging.style.carrier() {
            Some(carrier) => format!("is it `{}` that it takes? Check `pages`", carrier.as_str()),
            None => "check `pages`".to_owned(),
        };
        Err(format!("page {number} holds the same items as one before it: the list goes in a circle; {check}"))
    }

    /// What follows the page that was just read.
    pub fn turn(&mut self, leaf: &Leaf) -> Turn {
        self.pages += 1;
        self.items += leaf.items;
        self.total = leaf.total.or(self.total);
        self.empties = if leaf.items == 0 { self.empties + 1 } else { 0 };
        let next = match self.next(leaf) {
            Turn::On(next) => next,
            over => return over,
        };
        match (self.pages >= self.paging.max, self.list) {
            (false, _) => Turn::On(next),
            (true, ListKind::Window) => Turn::End,
            (true, ListKind::Complete) => Turn::Stop(format!(
                "`pages.max` ({}) was reached and the list goes on; raise it, or ask for less with a filter or larger \
                 pages",
                self.paging.max
            )),
        }
    }

    /// Holds the number of different items that were read against what the list says of itself.
    ///
    /// # Errors
    /// The sentence that makes the poll partial.
    pub fn check_total(&self, read: u64) -> Result<(), String> {
        match self.total {
            Some(total) if total != read => Err(format!(
                "the list says that it has {total} items, and {} read; it may have changed meanwhile",
                if read == 1 { "1 was".to_owned() } else { format!("{read} different ones were") }
            )),
            _ => Ok(()),
        }
    }

    /// What the page leads to, whatever the cap.
    fn next(&self, leaf: &Leaf) -> Turn {
        if leaf.more == Some(false) {
            return Turn::End;
        }
        let goes_on = leaf.more == Some(true);
        let leads_on = leaf.next.is_some() && (goes_on || self.empties < EMPTY_MAX);
        if leaf.items == 0 && !leads_on {
            let why = format!("page {} is empty, though it says that there is more", self.pages);
            return if goes_on { Turn::Stop(why) } else { Turn::End };
        }
        let counted = matches!(self.paging.style, Style::Page { .. } | Style::Offset { .. } | Style::LastKey { .. });
        let is_short = counted && self.paging.size.is_some_and(|size| leaf.items < size);
        if is_short && !goes_on {
            return Turn::End;
        }
        let next = match &self.paging.style {
            Style::Page { start, .. } => Some(Ask::Value((start + u64::from(self.pages)).to_string())),
            Style::Offset { start, .. } => Some(Ask::Value((start + self.items).to_string())),
            Style::Link | Style::NextUrl { .. } | Style::Token { .. } | Style::LastKey { .. } => leaf.next.clone(),
        };
        match next {
            Some(next) => Turn::On(next),
            None if goes_on => {
                Turn::Stop(format!("page {} says that there is more, and not where; check `pages.at`", self.pages))
            }
            None => Turn::End,
        }
    }
}
