//! `[alerts]`: who is told of Doorbell's own troubles, and when.
//!
//! It may stand in any file, but once: there is one set of alerts for the whole daemon.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::Parsed;
use super::route::{self, Sinks};
use crate::config::keys::Table;
use crate::config::problem::Problem;
use crate::config::reader::{Field, Reader, Section};
use crate::core::alert::Alerts;
use crate::core::names::SinkName;
use crate::core::path::Complaint;
use crate::core::sink::Route;

/// Bounds of `after`.
const AFTER_BOUNDS: RangeInclusive<u32> = 1..=1000;

/// Bounds of `remind`: more often than that is no reminder any more.
const REMIND_BOUNDS: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(366 * 86_400);

/// Bounds of `stale`, in intervals.
const STALE_BOUNDS: RangeInclusive<u32> = 1..=1000;

/// The alerts; an absent table is one of defaults.
pub(super) fn lift<'a>(parsed: &'a [Parsed<'a>], sinks: &Sinks<'_>, reader: &mut Reader<'_>) -> Alerts {
    let default = Alerts::default();
    let Some(section) = find(parsed, reader) else { return default };
    let after = section.field("after").and_then(|field| reader.whole(&field, &AFTER_BOUNDS));
    let remind = section.field("remind").and_then(|field| reader.duration(&field, &REMIND_BOUNDS));
    let stale = section.field("stale").and_then(|field| stale(&field, reader));
    Alerts {
        send_to: send_to(&section, sinks, reader),
        after: after.unwrap_or(default.after),
        remind: remind.unwrap_or(default.remind),
        stale: stale.unwrap_or(default.stale),
    }
}

/// The one `[alerts]` of all files.
fn find<'a>(parsed: &'a [Parsed<'a>], reader: &mut Reader<'_>) -> Option<Section<'a>> {
    let mut found: Option<Section<'a>> = None;
    for Parsed { file, tree } in parsed {
        let root = Section { kind: Table::Root, title: "the file".into(), file, header: 0..0, table: tree };
        let Some(field) = root.field("alerts") else { continue };
        match &found {
            None => found = reader.table(&field, Table::Alerts),
            Some(first) => reader.note(
                Problem::error(field.place(), "`[alerts]` is there twice")
                    .hint("put both into one table")
                    .also(first.place(), "the first one is here"),
            ),
        }
    }
    found
}

fn send_to(section: &Section<'_>, sinks: &Sinks<'_>, reader: &mut Reader<'_>) -> Vec<SinkName> {
    let field = section.field("send_to");
    let list = field.as_ref().and_then(|field| reader.list(field));
    let mut routes: Vec<Route> = Vec::new();
    for field in list.iter().flatten() {
        let route = route::sink(sinks, field, &routes, reader).map(Route::to);
        routes.extend(route);
    }
    if list.map_or(field.is_none(), |list| list.is_empty()) {
        let place = field.map_or_else(|| section.place(), |field| field.place());
        let problem = Problem::warning(place, "`[alerts]` sends to no sink: troubles are only logged");
        reader.note(problem.hint("add `send_to = [\"NAME\"]`, the name of a `[sink.NAME]`").of_absence());
    }
    routes.into_iter().map(|route| route.sink).collect()
}

fn stale(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<u32> {
    reader.parsed(field, |text| {
        let count = text.strip_suffix('x').filter(|count| count.bytes().all(|byte| byte.is_ascii_digit()));
        let count = count.and_then(|count| count.parse().ok()).filter(|count| STALE_BOUNDS.contains(count));
        count.ok_or_else(|| Complaint {
            problem: format!("`stale` can't be `{text}`"),
            hint: Some(format!(
                "write a number of intervals from {} to {} and an `x`, as in `\"3x\"`",
                STALE_BOUNDS.start(),
                STALE_BOUNDS.end()
            )),
            span: None,
        })
    })
}
