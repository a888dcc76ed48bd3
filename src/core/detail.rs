//! `[job.NAME.detail]`: one more request for each listed item that is new or another, whose answer is the item.
//!
//! Decides when an item is asked for again, and makes the item of its answer. It asks nobody.

use bytes::Bytes;

use crate::core::document::to_json;
use crate::core::extract::Item;
use crate::core::job::{Job, RequestSpec};
use crate::core::json::{Json, canonical_digest, parse};
use crate::core::names::Digest;
use crate::core::outcome::{Failure, FailureKind};
use crate::core::page::find_one;
use crate::core::path::JsonPath;

#[cfg(test)]
mod tests;

/// How the details of items are asked for.
#[derive(Clone, Debug)]
pub struct Detail {
    /// The request for one item: its templates see `item`.
    pub request: RequestSpec,
    /// What says that an item is another, seen from the listed item; `None`: all of it.
    pub version: Option<JsonPath>,
    /// Requests at once. At least 1.
    pub concurrency: usize,
    /// The answer is laid over the listed item, and does not replace it.
    pub merge: bool,
    /// Of what is asked for and how it is read: what was read under another one has to be read again.
    pub print: Digest,
}

impl Detail {
    /// Gives listed items the digest by which a detail that was read is known to be good still: of the version, and
    /// where there is none, of the value of the listed item. It takes the place of the digest of the bytes.
    ///
    /// # Errors
    /// `version` finds several values in an item, or an item can't be read.
    pub fn mark(&self, items: &mut [Item]) -> Result<(), Failure> {
        items.iter_mut().try_for_each(|item| {
            item.raw_digest = self.digest(item)?;
            Ok(())
        })
    }

    fn digest(&self, item: &Item) -> Result<Digest, Failure> {
        let version = match &self.version {
            Some(path) => find_one(path, &item.raw).map_err(|failure| {
                Failure::new(failure.kind, format!("`detail.version` of the item `{}`: {failure}", item.key))
            })?,
            None => None,
        };
        let (kind, value) = match version.filter(|version| !version.is_null()) {
            Some(version) => (b'v', version),
            None => (b'i', tree(item)?),
        };
        Ok(Digest::of(&[&self.print.0[..], &[kind], &canonical_digest(&value).0].concat()))
    }

    /// What a listed item is with this answer to the request for it.
    ///
    /// # Errors
    /// The answer is not what the job's `format` says, or can't be laid over the listed item.
    pub fn read(&self, job: &Job, listed: Item, content_type: Option<&str>, body: Bytes) -> Result<Item, Failure> {
        let body = to_json(job, content_type, body)?;
        let answer = parse(&body).map_err(|error| crate::core::extract::not_json(&body, &error))?;
        if !self.merge {
            return Ok(Item { raw: body, ..listed });
        }
        match (tree(&listed)?, answer) {
            (Json::Object(under), Json::Object(over)) => {
                Ok(Item { raw: Bytes::from(lay_over(under, over).to_bytes()), ..listed })
            }
            (Json::Object(_), other) => Err(unmergeable("the answer", &other)),
            (other, _) => Err(unmergeable("the listed item", &other)),
        }
    }
}

/// A listed item as a tree.
///
/// # Errors
/// Its bytes can't be read.
pub fn tree(item: &Item) -> Result<Json, Failure> {
    let unreadable = |error| format!("the item `{}` can't be read: {error}", item.key);
    parse(&item.raw).map_err(|error| Failure::new(FailureKind::NotJson, unreadable(error)))
}

/// The members of both; where both have one, that of `over`.
fn lay_over(mut under: Vec<(String, Json)>, over: Vec<(String, Json)>) -> Json {
    for (name, value) in over {
        match under.iter_mut().find(|(own, _)| *own == name) {
            Some(member) => member.1 = value,
            None => under.push((name, value)),
        }
    }
    Json::Object(under)
}

fn unmergeable(what: &str, found: &Json) -> Failure {
    let kind = found.kind();
    let sentence = format!("`merge = true` lays one object over another, and {what} is {kind}; hint: `merge = false`");
    Failure::new(FailureKind::Malformed, sentence)
}

/// The details of one poll that could not be had.
#[derive(Clone, Debug, Default)]
pub struct Undetailed {
    /// So many were asked for and are of no use, and the first of them with its reason.
    failed: u64,
    first: Option<String>,
    /// So many were not asked for, because of what the vendor had said before.
    unasked: u64,
    /// So many were not asked for, because it is only a look at what nothing is said of.
    spared: u64,
    /// Refusals in a row since the poll began, and none that was not.
    refused: u32,
    read: bool,
    stopped: bool,
}

/// Refusals (403) in a row, and nothing else, after which no more is asked for in a poll: one is about an item, so many
/// are about who asks.
const REFUSALS_MAX: u32 = 20;

impl Undetailed {
    /// One was read.
    pub fn had(&mut self) {
        self.read = true;
    }

    /// One is of no use; true when no more should be asked for: the failure is not about that item.
    pub fn failed(&mut self, item: &Item, failure: &Failure) -> bool {
        self.failed += 1;
        self.first.get_or_insert_with(|| format!("that of the item `{}`: {failure}", item.key));
        let about_item = failure.status == Some(403) && failure.is_refusal();
        self.refused += u32::from(about_item);
        self.stopped |= match about_item {
            true => !self.read && self.refused >= REFUSALS_MAX,
            false => failure.is_of_vendor(),
        };
        self.stopped
    }

    /// One was not asked for.
    pub fn unasked(&mut self) {
        self.unasked += 1;
    }

    /// Some were not asked for, because nothing would come of it.
    pub fn spare(&mut self, count: usize) {
        self.spared += count as u64;
    }

    /// True when no more should be asked for.
    pub fn is_over(&self) -> bool {
        self.stopped
    }

    /// What a poll is partial for; `None` where every detail was had.
    pub fn reason(&self) -> Option<String> {
        let some = |count: u64| format!("{count} detail{}", if count == 1 { "" } else { "s" });
        let unasked = match self.unasked {
            0 => String::new(),
            count => format!("; {} not asked for after that", some(count)),
        };
        match (self.failed, self.spared) {
            (0, 0) => None,
            (0, spared) => Some(format!(
                "{} not asked for: this is only a look, and nothing is said of a first poll; `--commit` asks for all",
                some(spared)
            )),
            (failed, _) => Some(format!(
                "{} could not be read, {}{unasked}; they are asked for again by the next poll",
                some(failed),
                self.first.as_deref().unwrap_or_default(),
            )),
        }
    }
}
