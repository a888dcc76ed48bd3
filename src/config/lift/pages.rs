//! `[job.NAME.pages]`: how a list of several pages is read.
//!
//! Each style has its own keys; one that belongs to another style is a mistake, and is said so.

use std::ops::RangeInclusive;

use toml::de::DeValue;

use super::{header_name, vendor::RESERVED};
use crate::config::keys::Table;
use crate::config::problem::Problem;
use crate::config::reader::{Field, Reader, Section, quoted};
use crate::config::written::Written;
use crate::core::job::ListKind;
use crate::core::page::{Carrier, Paging, Spot, Style};
use crate::core::path::{Complaint, JsonPath};

/// Pages of a poll, when nothing is said.
const MAX: u32 = 1000;

/// Bounds of `max`: a million pages take days.
const MAX_BOUNDS: RangeInclusive<u32> = 1..=1_000_000;

/// Bounds of `size`: items on a page.
const SIZE_BOUNDS: RangeInclusive<u32> = 1..=1_000_000;

/// Bounds of `start`.
const START_BOUNDS: RangeInclusive<u32> = 0..=1_000_000_000;

/// Keys that every style may have.
const COMMON: &[&str] = &["style", "max", "total", "more", "until"];

/// The styles, and the keys of each beside [`COMMON`].
const STYLES: &[(&str, &[&str])] = &[
    ("link", &[]),
    ("next_url", &["at"]),
    ("token", &["at", "param", "into"]),
    ("page", &["param", "into", "start", "size", "size_param"]),
    ("offset", &["param", "into", "start", "size", "size_param"]),
    ("last_key", &["at", "param", "into", "size", "size_param"]),
];

/// Lifts the table of a job whose list is of this kind.
pub(super) fn pages(job: &Section<'_>, list: ListKind, reader: &mut Reader<'_>) -> Option<Paging> {
    let field = job.field("pages")?;
    let body = job.field("body").is_some_and(|body| matches!(body.value.get_ref(), DeValue::Table(_)));
    let section = reader.table(&field, Table::Pages)?;
    let Some(style_field) = section.field("style") else {
        let hint = "write `style = \"link\"`; `next_url`, `token`, `page`, `offset` and `last_key` are the others";
        reader.lacks(&section, &["style"], "`pages` lacks its `style`".into(), hint);
        return None;
    };
    let words: Vec<_> = STYLES.iter().map(|(name, keys)| (*name, (*name, *keys))).collect();
    let (word, keys) = reader.one_of(&style_field, &words)?;
    check_keys(&section, word, keys, reader);
    let size = section.field("size").and_then(|field| reader.whole(&field, &SIZE_BOUNDS));
    let size_param = section.field("size_param").and_then(|field| name(&field, reader));
    if let (Some(field), false) = (section.field("size_param"), section.has("size")) {
        reader.note(Problem::error(field.place(), "`size_param` needs a `size` to send").hint("add `size = 100`"));
    }
    let max = section.field("max").map_or(Some(MAX), |field| reader.whole(&field, &MAX_BOUNDS));
    let total = section.field("total").and_then(|field| reader.query(&field));
    let more = section.field("more").and_then(|field| reader.query(&field));
    let until = section.field("until").map(|field| until(&field, list, reader));
    let style = style(&section, word, body, reader)?;
    Some(Paging {
        style,
        max: max?,
        size: size.map(u64::from),
        size_param,
        total,
        more,
        until_known: until.unwrap_or(false),
    })
}

/// Notes the keys that belong to another style.
fn check_keys(section: &Section<'_>, style: &str, keys: &[&str], reader: &mut Reader<'_>) {
    for (place, field) in section.entries() {
        let known = STYLES.iter().any(|(_, keys)| keys.contains(&field.name));
        if known && !keys.contains(&field.name) && !COMMON.contains(&field.name) {
            let owners = STYLES.iter().filter(|(_, keys)| keys.contains(&field.name)).map(|(name, _)| *name);
            let message = format!("`{}` is not for `style = \"{style}\"`", field.name);
            let hint = format!("take it out; it belongs to {}", quoted(owners));
            reader.note(Problem::error(place, message).hint(hint));
        }
    }
}

fn style(section: &Section<'_>, word: &str, body: bool, reader: &mut Reader<'_>) -> Option<Style> {
    let start = |reader: &mut Reader<'_>, default: u64| {
        let start = section.field("start").map(|field| reader.whole(&field, &START_BOUNDS).map(u64::from));
        start.unwrap_or(Some(default))
    };
    match word {
        "link" => Some(Style::Link),
        "next_url" => Some(Style::NextUrl { at: at(section, "$.paging.next", reader)? }),
        "token" => {
            let (at, carrier) = (at(section, "$.meta.next", reader), carrier(section, "cursor", body, reader));
            Some(Style::Token { at: at?, carrier: carrier? })
        }
        "page" => {
            let (start, carrier) = (start(reader, 1), carrier(section, "page", body, reader));
            Some(Style::Page { start: start?, carrier: carrier? })
        }
        "offset" => {
            let (start, carrier) = (start(reader, 0), carrier(section, "offset", body, reader));
            Some(Style::Offset { start: start?, carrier: carrier? })
        }
        _ => {
            let at = needed(section, "at", "$.id", reader).and_then(|field| reader.query(&field));
            let carrier = carrier(section, "starting_after", body, reader);
            Some(Style::LastKey { at: at?, carrier: carrier? })
        }
    }
}

/// A key that the style can't do without.
fn needed<'a>(section: &Section<'a>, name: &str, example: &str, reader: &mut Reader<'_>) -> Option<Field<'a>> {
    let field = section.field(name);
    if field.is_none() {
        let hint = format!("add `{name} = \"{example}\"`");
        reader.lacks(section, &[name], format!("`pages` of this style lacks its `{name}`"), hint);
    }
    field
}

/// `at`: where what leads on is.
fn at(section: &Section<'_>, example: &str, reader: &mut Reader<'_>) -> Option<Spot> {
    spot(&needed(section, "at", example, reader)?, reader)
}

/// A place in an answer: a query into the body, or `header:NAME`.
pub(super) fn spot(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Spot> {
    let header = match field.value.get_ref() {
        DeValue::String(text) => text.strip_prefix("header:").map(str::trim),
        _ => None,
    };
    match header {
        None => reader.query(field).map(Spot::Body),
        Some(name) => header_name(&Written::plain(name), &field.place(), &[], reader).map(Spot::Header),
    }
}

/// A place as it is written.
pub(super) fn spelled(spot: &Spot) -> String {
    match spot {
        Spot::Body(path) => path.as_str().to_owned(),
        Spot::Header(name) => format!("header:{name}"),
    }
}

/// `param` and `into`: what carries the value from page to page.
fn carrier(section: &Section<'_>, example: &str, body: bool, reader: &mut Reader<'_>) -> Option<Carrier> {
    let into = section.field("into").map(|field| {
        let words = [("query", "query"), ("header", "header"), ("body", "body")];
        (reader.one_of(&field, &words), field)
    });
    let field = needed(section, "param", example, reader)?;
    let (into, into_field) = match into {
        Some((into, field)) => (into?, Some(field)),
        None => ("query", None),
    };
    match into {
        "header" => {
            let written = reader.text(&field)?;
            header_name(&written, &field.place(), RESERVED, reader).map(Carrier::Header)
        }
        "body" => {
            if !body {
                let place = into_field.map_or_else(|| field.place(), |field| field.place());
                let problem = Problem::error(place, "`into = \"body\"` needs a `body` that is a table");
                reader.note(problem.hint("write `body = { … }`; the value is put into it").of_absence());
            }
            pointer(&field, reader).map(Carrier::Body)
        }
        _ => name(&field, reader).map(Carrier::Query),
    }
}

/// A parameter's name.
fn name(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<String> {
    reader.parsed(field, |text| match text {
        "" => Err(complaint("a parameter's name can't be empty", "write its name, as in `page`")),
        _ => Ok(text.to_owned()),
    })
}

/// A JSON Pointer (RFC 6901) to a member.
fn pointer(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<String> {
    reader.parsed(field, |text| match text.strip_prefix('/') {
        Some(rest) if !rest.is_empty() => Ok(text.to_owned()),
        _ if JsonPath::parse(text).is_ok() => {
            Err(complaint(&format!("`{text}` is a JSONPath, not a JSON Pointer"), "write it as in `/vars/after`"))
        }
        _ => Err(complaint(&format!("`{text}` is not a JSON Pointer to a member"), "write it as in `/vars/after`")),
    })
}

fn complaint(problem: &str, hint: &str) -> Complaint {
    Complaint { problem: problem.to_owned(), hint: Some(hint.to_owned()), span: None }
}

fn until(field: &Field<'_>, list: ListKind, reader: &mut Reader<'_>) -> bool {
    let known = reader.one_of(field, &[("known", true)]).unwrap_or(false);
    if known && list == ListKind::Complete {
        let message = "`until = \"known\"` is for windows: with `list = \"complete\"` the rest would count as deleted";
        reader.note(Problem::error(field.place(), message).hint("add `list = \"window\"`, or take `until` out"));
    }
    known
}
