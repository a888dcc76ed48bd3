//! `deletes` of `[job.NAME]`: when an item that is missing counts as deleted, and what is held for a person.
//!
//! It asks nothing.

use std::ops::RangeInclusive;

use super::request::{self, Beside};
use super::vendor::Layer;
use crate::config::keys::Table;
use crate::config::reader::{Reader, Section};
use crate::core::job::{Deletes, Job, RequestSpec};
use crate::core::units::parse_share;

/// Bounds of `after`.
const AFTER_BOUNDS: RangeInclusive<u32> = 1..=1000;

/// Bounds of `max_events`.
const EVENTS_BOUNDS: RangeInclusive<u32> = 1..=u32::MAX;

/// The top-level name that `confirm` sees beside those of the job's own request.
const KEY: &str = "key";

/// The one of those that it does not see.
const CURSOR: &str = "cursor";

/// The table as it is written: its request waits for the job's own.
pub(super) struct Written {
    deletes: Deletes,
    confirm: Option<Beside>,
}

/// Reads the table; `layer` is what the job shares and says itself, `vendor` what it shares, `names` what its own request
/// sees.
pub(super) fn read(
    job: &Section<'_>,
    layer: &Layer,
    vendor: &Layer,
    names: &[&str],
    reader: &mut Reader<'_>,
) -> Written {
    let mut written = Written { deletes: Deletes::default(), confirm: None };
    let table = job.field("deletes").and_then(|field| reader.table(&field, Table::Deletes));
    let Some(table) = table else { return written };
    let deletes = &mut written.deletes;
    if let Some(after) = table.field("after").and_then(|field| reader.whole(&field, &AFTER_BOUNDS)) {
        deletes.after = after;
    }
    if let Some(share) = table.field("hold_above").and_then(|field| reader.parsed(&field, parse_share)) {
        deletes.hold_above = share;
    }
    let names: Vec<&str> = [KEY].iter().chain(names).copied().filter(|name| *name != CURSOR).collect();
    if let Some(field) = table.field("confirm")
        && let Some((spelled, text)) = request::url(&field, layer, &names, reader)
    {
        written.confirm = Some(Beside::new(&field, text, &spelled, vendor));
    }
    written
}

impl Written {
    /// What it comes to for a job with this request.
    pub(super) fn with(self, request: &RequestSpec, reader: &mut Reader<'_>) -> Deletes {
        let confirm = self.confirm.map(|confirm| confirm.with("`confirm`", request, reader));
        Deletes { confirm, ..self.deletes }
    }
}

/// Events of one poll above which it is held.
pub(super) fn max_events(job: &Section<'_>, reader: &mut Reader<'_>) -> u64 {
    let said = job.field("max_events").and_then(|field| reader.whole(&field, &EVENTS_BOUNDS));
    said.map_or(Job::MAX_EVENTS, u64::from)
}
