//! `[job.NAME.detail]`: the request for each listed item that is new or another.
//!
//! What it shares with the job's own request is put together here; nothing is asked.

use std::ops::RangeInclusive;

use super::job::fingerprint;
use super::request::{self, Beside};
use super::vendor::Layer;
use crate::config::keys::Table;
use crate::config::problem::Problem;
use crate::config::reader::{Reader, Section};
use crate::core::detail::Detail;
use crate::core::document::DocumentSpec;
use crate::core::job::RequestSpec;
use crate::core::names::Digest;
use crate::core::path::JsonPath;

/// Requests at once, when nothing is said.
const CONCURRENCY: u32 = 4;

/// Bounds of `concurrency`: of so many answers there may be in memory.
const CONCURRENCY_BOUNDS: RangeInclusive<u32> = 1..=100;

/// The top-level names that `url` sees beside those of the job's own request.
const NAMES: &[&str] = &["item", "key"];

/// The one of those that it does not see.
const CURSOR: &str = "cursor";

/// The table as it is written: its request waits for the job's own.
pub(super) struct Written {
    beside: Beside,
    version: Option<JsonPath>,
    concurrency: u32,
    merge: bool,
    print: Digest,
}

/// Reads the table; `layer` is what the job shares and says itself, `vendor` what it shares, `names` what its own request
/// sees.
pub(super) fn read(
    job: &Section<'_>,
    layer: &Layer,
    vendor: &Layer,
    names: &[&str],
    document: &DocumentSpec,
    reader: &mut Reader<'_>,
) -> Option<Written> {
    let field = job.field("detail")?;
    let section = reader.table(&field, Table::Detail)?;
    if !job.has("items") {
        let problem = Problem::error(field.place(), "`detail` is asked for each of the `items`, and the job has none");
        let hint = "add `items` and `key`, or take `detail` out and make its `url` that of the job";
        reader.note(problem.hint(hint).of_absence());
    }
    let version = section.field("version").map(|field| reader.query(&field));
    let concurrency = section.field("concurrency").map(|field| reader.whole(&field, &CONCURRENCY_BOUNDS));
    let merge = section.field("merge").map(|field| reader.boolean(&field));
    let Some(field) = section.field("url") else {
        let hint = "add `url = \"orders/{{ item.id }}\"`";
        reader.lacks(&section, &["url"], "`detail` lacks its `url`".into(), hint);
        return None;
    };
    let names: Vec<&str> = NAMES.iter().chain(names).copied().filter(|name| *name != CURSOR).collect();
    let (spelled, url) = request::url(&field, layer, &names, reader)?;
    if url.is_constant() {
        let problem = Problem::warning(field.place(), "every item has the same `detail`: its `url` names none of them");
        reader.note(problem.hint("write what tells them apart, as in `orders/{{ item.id }}`"));
    }
    let (version, concurrency) =
        (version.map_or(Some(None), |path| path.map(Some))?, concurrency.unwrap_or(Some(CONCURRENCY))?);
    let merge = merge.unwrap_or(Some(false))?;
    let print = print(&spelled.spelled(), version.as_ref(), merge, vendor, document);
    let beside = Beside::new(&field, url, &spelled, vendor);
    Some(Written { beside, version, concurrency, merge, print })
}

/// What a detail is asked for and how it is read: the query that it has is the vendor's.
fn print(url: &str, version: Option<&JsonPath>, merge: bool, vendor: &Layer, document: &DocumentSpec) -> Digest {
    let document = document.fingerprint().unwrap_or_default();
    let mut parts = vec![url, version.map_or("", JsonPath::as_str), if merge { "merge" } else { "" }, &document];
    for (name, values) in &vendor.query {
        parts.extend(values.iter().flat_map(|value| [name.as_str(), value.spelled.as_str()]));
    }
    fingerprint(parts.into_iter())
}

impl Written {
    /// Of what is asked for: another one makes other items, so that all are read anew.
    pub(super) fn print(&self) -> Digest {
        self.print
    }

    /// What it comes to for a job with this request.
    pub(super) fn with(self, request: &RequestSpec, reader: &mut Reader<'_>) -> Box<Detail> {
        let Self { beside, version, concurrency, merge, print } = self;
        let request = beside.with("`detail.url`", request, reader);
        Box::new(Detail { request, version, concurrency: concurrency as usize, merge, print })
    }
}
