//! `[job.NAME.cursor]`: how fetching is made incremental.
//!
//! Whether the overlap fits the values shows at the first poll.

use std::ops::RangeInclusive;
use std::time::Duration;

use toml::de::DeValue;

use super::request::CURSOR;
use super::{job::fingerprint, pages};
use crate::config::keys::Table;
use crate::config::problem::Problem;
use crate::config::reader::{Field, Reader, Section};
use crate::core::cursor::{CursorSpec, Overlap, Source};
use crate::core::json::{Json, Number};
use crate::core::names::Digest;

/// Bounds of an `overlap` that is a time.
const OVERLAP_BOUNDS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(366 * 86_400);

/// Bounds of `full_every`.
const FULL_BOUNDS: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(366 * 86_400);

/// Lifts the table of a job whose request has this fingerprint.
pub(super) fn cursor(job: &Section<'_>, request: Option<Digest>, reader: &mut Reader<'_>) -> Option<CursorSpec> {
    let field = job.field("cursor")?;
    let section = reader.table(&field, Table::Cursor)?;
    let source = source(&section, job, reader);
    let start = section.field("start").and_then(|field| start(&field, reader));
    let overlap = section.field("overlap").and_then(|field| overlap(&field, reader));
    let full_every = section.field("full_every").and_then(|field| reader.duration(&field, &FULL_BOUNDS));
    let (source, spelled) = source?;
    let print = Digest::of(&[&request?.0[..], &fingerprint([spelled.as_str()].into_iter()).0].concat());
    Some(CursorSpec { source, start, overlap, full_every, print })
}

/// Warns of a cursor that no request asks with: it makes nothing cheaper, and keeps polls from seeing deletions.
pub(super) fn check_use(job: &Section<'_>, is_vendors: bool, reader: &mut Reader<'_>) {
    let asks = |name: &&str| job.field(name).is_some_and(|field| mentions(field.value.get_ref()));
    let Some(field) = job.field(CURSOR) else { return };
    if is_vendors || ["url", "query", "headers", "body", "auth"].iter().any(asks) {
        return;
    }
    let problem = Problem::warning(
        field.place(),
        "nothing of the request holds `{{ cursor }}`: all is read each time, and yet only full polls see deletions",
    );
    let hint =
        "put it where the vendor takes it, as in `query = { updated_since = \"{{ cursor }}\" }`, or take `cursor` out";
    reader.note(problem.hint(hint));
}

/// Is there a word of a cursor in it?
fn mentions(value: &DeValue<'_>) -> bool {
    match value {
        DeValue::String(text) => text.contains(CURSOR),
        DeValue::Array(array) => array.iter().any(|value| mentions(value.get_ref())),
        DeValue::Table(table) => table.iter().any(|(_, value)| mentions(value.get_ref())),
        _ => false,
    }
}

/// Where the value comes from, and how that is written.
fn source(section: &Section<'_>, job: &Section<'_>, reader: &mut Reader<'_>) -> Option<(Source, String)> {
    match (section.field("at"), section.field("from")) {
        (Some(at), None) => {
            if !job.has("items") {
                let problem =
                    Problem::error(at.place(), "`cursor.at` is seen from the items, and the job has no `items`");
                reader.note(
                    problem
                        .hint("add `items`, or take the value from the answer: `from = \"$.sync_token\"`")
                        .of_absence(),
                );
            }
            let path = reader.query(&at)?;
            Some((Source::At(path.clone()), format!("at {}", path.as_str())))
        }
        (None, Some(from)) => {
            let spot = pages::spot(&from, reader)?;
            Some((Source::From(spot.clone()), format!("from {}", pages::spelled(&spot))))
        }
        (Some(_), Some(from)) => {
            let problem = Problem::error(from.place(), "`at` and `from` are two answers to one question");
            reader.note(problem.hint("keep `at` for the greatest over the items, or `from` for a value of the answer"));
            None
        }
        (None, None) => {
            let hint = "add `at = \"$.updated_at\"`, seen from an item, or `from = \"$.sync_token\"`, from the answer";
            reader.lacks(section, &["at", "from"], "`cursor` does not say where its value is".into(), hint);
            None
        }
    }
}

/// Text or a number, sent as it stands.
fn start(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Json> {
    match field.value.get_ref() {
        DeValue::Datetime(date) => Some(Json::from(date.to_string())),
        DeValue::Integer(_) | DeValue::Float(_) => number(field, reader).map(Json::Number),
        _ => reader.text(field).map(|written| Json::from(written.resolved())),
    }
}

fn overlap(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Overlap> {
    match field.value.get_ref() {
        DeValue::Integer(_) | DeValue::Float(_) => {
            let number = number(field, reader)?;
            if number.as_str().starts_with('-') {
                let problem = Problem::error(field.place(), format!("`overlap` can't be `{}`", number.as_str()));
                reader.note(problem.hint("it says how far back to read again: a number above 0, or a duration"));
                return None;
            }
            Some(Overlap::Number(number))
        }
        _ => reader.duration(field, &OVERLAP_BOUNDS).map(Overlap::Time),
    }
}

pub(super) fn number(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Number> {
    let text = match field.value.get_ref() {
        DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
        DeValue::Float(number) => number.as_str(),
        _ => "",
    };
    let number = Number::parse(text.trim_start_matches('+'));
    if number.is_none() {
        reader.wrong_type(field, "text in quotes or a plain number");
    }
    number
}
