//! A cursor: how far a job has read, so that the next poll asks only for what came after.
//!
//! It only makes fetching cheaper. What is a change is decided by the ledger, which also sees what an overlap brings
//! twice.

use std::cmp::Ordering;
use std::time::Duration;

use http::HeaderMap;

use crate::core::extract::Item;
use crate::core::json::{Json, Number};
use crate::core::names::Digest;
use crate::core::outcome::{Failure, FailureKind};
use crate::core::page::{Spot, find_one};
use crate::core::path::JsonPath;
use crate::core::time::Timestamp;

mod moment;
#[cfg(test)]
mod tests;

use moment::Moment;

/// How a job's fetching is made incremental: its `[job.NAME.cursor]`.
#[derive(Clone, Debug)]
pub struct CursorSpec {
    /// Where its value comes from.
    pub source: Source,
    /// What the first poll, and each full one, asks with.
    pub start: Option<Json>,
    /// How far back is read again.
    pub overlap: Option<Overlap>,
    /// How often a poll goes without it.
    pub full_every: Option<Duration>,
    /// Of the request and of where the value comes from: a value is good for an equal one only.
    pub print: Digest,
}

/// Where a cursor's value comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// The greatest over the items.
    At(JsonPath),
    /// The answer itself: that of the last page which has one.
    From(Spot),
}

/// How far back is read again.
#[derive(Clone, Debug, PartialEq)]
pub enum Overlap {
    /// For times, and for numbers that count seconds, milliseconds, microseconds or nanoseconds since 1970.
    Time(Duration),
    /// For numbers.
    Number(Number),
}

/// What is remembered of a cursor.
#[derive(Clone, Debug, PartialEq)]
pub struct CursorState {
    /// Of the spec that it was read under.
    pub print: Digest,
    /// Its value, in the vendor's spelling.
    pub value: Json,
    /// When a complete poll without it was last made.
    pub full: Option<Timestamp>,
}

impl CursorSpec {
    /// What `{{ cursor }}` is for a poll that goes on from `kept`; without it, for a full poll.
    ///
    /// # Errors
    /// [`FailureKind::Template`] when the overlap can't be taken from it.
    pub fn ask(&self, kept: Option<&CursorState>) -> Result<Json, Failure> {
        let Some(kept) = kept else { return Ok(self.start.clone().unwrap_or_default()) };
        self.ask_back(&kept.value).ok_or_else(|| Failure::new(FailureKind::Template, unfit(&kept.value)))
    }

    /// A value, as far back as the overlap says; `None` when it can't be taken from this one.
    fn ask_back(&self, value: &Json) -> Option<Json> {
        match &self.overlap {
            Some(overlap) => back(value, overlap),
            None => Some(value.clone()),
        }
    }

    /// Does its value come from the items?
    pub fn reads_items(&self) -> bool {
        matches!(self.source, Source::At(_))
    }

    /// Where in the body its value stands, outside of the items.
    pub fn body_path(&self) -> Option<&JsonPath> {
        match &self.source {
            Source::From(Spot::Body(path)) => Some(path),
            Source::From(Spot::Header(_)) | Source::At(_) => None,
        }
    }

    /// Is it time for a poll without the cursor?
    pub fn is_full_due(&self, kept: &CursorState, now: Timestamp) -> bool {
        self.full_every.is_some_and(|every| kept.full.is_none_or(|full| now.since(full) >= every))
    }
}

/// What a poll has read of its cursor, page by page.
#[derive(Clone, Debug, Default)]
pub struct Reach {
    /// The greatest value, or the one that an answer named last.
    value: Option<Json>,
    /// The greatest but those that equal the last: beyond it, more may stand on pages that were not read.
    before: Option<Json>,
    last: Option<Json>,
    broken: bool,
    /// One that no overlap can be taken from.
    unfit: Option<Json>,
}

impl Reach {
    /// Reads a page's items in their order, or what its answer says.
    ///
    /// # Errors
    /// [`FailureKind::Page`]: the path finds something that is no cursor.
    pub fn read(&mut self, spec: &CursorSpec, headers: &HeaderMap, body: &[u8], items: &[Item]) -> Result<(), Failure> {
        match &spec.source {
            Source::At(path) => {
                for item in items {
                    // One that nothing can be taken from would keep the job from asking with a cursor ever again.
                    match scalar("at", path, find_one(path, &item.raw)?)? {
                        Some(value) if spec.ask_back(&value).is_none() => self.unfit = Some(value),
                        Some(value) => self.meet(value),
                        None => {}
                    }
                }
            }
            Source::From(Spot::Body(path)) => {
                let found = scalar("from", path, find_one(path, body)?)?;
                self.value = found.or_else(|| self.value.take());
            }
            Source::From(Spot::Header(name)) => {
                let found = headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty());
                self.value = found.map(Json::from).or_else(|| self.value.take());
            }
        }
        Ok(())
    }

    /// Why there can be no cursor, where no value was fit for one.
    pub fn lacks(&self) -> Option<String> {
        self.unfit.as_ref().filter(|_| self.value.is_none()).map(unfit)
    }

    /// Goes past a page that was not read.
    pub fn skip(&mut self) {
        self.broken = true;
    }

    fn meet(&mut self, value: Json) {
        if let Some(last) = &self.last {
            match compare(last, &value) {
                Ordering::Less => self.before = Some(last.clone()),
                Ordering::Equal => {}
                Ordering::Greater => self.broken = true,
            }
        }
        if self.value.as_ref().is_none_or(|greatest| compare(greatest, &value).is_lt()) {
            self.value = Some(value.clone());
        }
        self.last = Some(value);
    }

    /// Where the cursor stands after a poll. `whole`: all was read. Else it moves over what was read in ascending order,
    /// as far as nothing that equals its value can be left; a list that is in no order, or in one that does not show,
    /// leaves it where it was. It never goes back, but for a value that the vendor names.
    pub fn value(&self, spec: &CursorSpec, kept: Option<&Json>, whole: bool) -> Option<Json> {
        let reached = match (&spec.source, whole) {
            (_, true) => self.value.clone(),
            (Source::At(_), false) if !self.broken => self.before.clone(),
            _ => None,
        };
        match (reached, kept) {
            (Some(reached), Some(kept)) => {
                let is_back = matches!(spec.source, Source::At(_)) && compare(&reached, kept).is_lt();
                Some(if is_back { kept.clone() } else { reached })
            }
            (reached, kept) => reached.or_else(|| kept.cloned()),
        }
    }
}

fn unfit(value: &Json) -> String {
    format!(
        "`cursor.overlap` can't be taken from the cursor {value}: write a duration for times and a number for numbers, or \
         leave it out"
    )
}

fn scalar(key: &str, path: &JsonPath, found: Option<Json>) -> Result<Option<Json>, Failure> {
    match found {
        None | Some(Json::Null) => Ok(None),
        Some(value @ (Json::String(_) | Json::Number(_))) => Ok(Some(value)),
        Some(other) => {
            let (path, kind) = (path.as_str(), other.kind());
            let sentence = format!("`cursor.{key} = \"{path}\"` should find text or a number, and there is {kind}");
            Err(Failure::new(FailureKind::Page, sentence))
        }
    }
}

/// Times by their moment, numbers (also in quotes) by their value, other text by its letters; what is of different kinds
/// by its spelling.
fn compare(a: &Json, b: &Json) -> Ordering {
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return a.compare(&b);
    }
    let (a, b) = (spelling(a), spelling(b));
    match (Moment::parse(&a), Moment::parse(&b)) {
        (Some(x), Some(y)) => x.instant().cmp(&y.instant()),
        _ => a.cmp(&b),
    }
}

fn number(value: &Json) -> Option<Number> {
    match value {
        Json::Number(number) => Some(number.clone()),
        Json::String(text) => Number::parse(text),
        _ => None,
    }
}

fn spelling(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A value, so far back, in its own spelling.
fn back(value: &Json, overlap: &Overlap) -> Option<Json> {
    if let Some(number) = number(value) {
        let less = minus(
            &number,
            &match overlap {
                Overlap::Number(by) => by.clone(),
                Overlap::Time(by) => ticks(&number, *by)?,
            },
        )?;
        // Vendors that count from 0 refuse what lies before it.
        let below = less.as_str().starts_with('-') && !number.as_str().starts_with('-');
        let less = if below { Number::parse("0")? } else { less };
        return Some(if value.as_str().is_some() { Json::from(less.as_str()) } else { Json::Number(less) });
    }
    match overlap {
        Overlap::Time(by) => Moment::parse(value.as_str()?)?.back(*by).map(Json::from),
        Overlap::Number(_) => None,
    }
}

/// A duration in the unit that a number counts: seconds since 1970 have ten digits, milliseconds thirteen, and so on.
fn ticks(number: &Number, by: Duration) -> Option<Number> {
    let ticks = match number.as_f64()?.abs() {
        size if size < 1e11 => u128::from(by.as_secs()) + u128::from(by.subsec_nanos() > 0),
        size if size < 1e14 => by.as_millis(),
        size if size < 1e17 => by.as_micros(),
        _ => by.as_nanos(),
    };
    Number::parse(&ticks.to_string())
}

/// The difference of two numbers, with as many decimals as the first has.
fn minus(a: &Number, b: &Number) -> Option<Number> {
    let digits = |number: &Number| match number.as_str() {
        text if text.contains(['e', 'E']) => number.plain(),
        text => text.to_owned(),
    };
    let (a, b) = (digits(a), digits(b));
    let decimals = |text: &str| text.split_once('.').map_or(0, |(_, decimals)| decimals.len());
    let (own, places) = (decimals(&a), decimals(&a).max(decimals(&b)));
    let scaled = |text: &str| {
        let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
        format!("{whole}{decimals:0<places$}").parse::<i128>().ok()
    };
    let difference = scaled(&a)?.checked_sub(scaled(&b)?)?;
    // Rounded down to the decimals of the first: further back is on the safe side.
    let cut = 10_i128.checked_pow(u32::try_from(places - own).ok()?)?;
    let kept = difference.div_euclid(cut);
    let unit = 10_u128.checked_pow(u32::try_from(own).ok()?)?;
    let (whole, rest) = (kept.unsigned_abs() / unit, kept.unsigned_abs() % unit);
    let sign = if kept < 0 { "-" } else { "" };
    let text = if own == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{rest:0>own$}") };
    Number::parse(&text)
}
