//! `[job.NAME]`: what to poll, when, and how to see a change.
//!
//! The request's own parts are in `request`, what a job shares with a vendor in `vendor`.

use std::collections::{BTreeMap, HashMap};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use http::header::ACCEPT;
use toml::de::DeValue;

use super::each::{self, Sources};
use super::request::{CURSOR, REQUEST_NAMES};
use super::route::{self, Sinks};
use super::vendor::{Layer, QueryValue, layer};
use super::{EVENT_NAMES, Named, deletes, detail, document, pages, request};
use super::{cursor, rename, shape};
use crate::config::keys::{self, Table};
use crate::config::problem::Problem;
use crate::config::reader::{Field, Reader, Section, quoted};
use crate::config::written::Written;
use crate::core::diff::Change;
use crate::core::document::DocumentSpec;
use crate::core::job::{Access, Changes, Fingerprints, First, Job, ListKind, RequestSpec};
use crate::core::names::{Digest, JobName, VendorName};
use crate::core::page::Paging;
use crate::core::path::{Complaint, JsonPath};
use crate::core::rules::{Rules, Tolerance};
use crate::core::schedule::Schedule;
use crate::core::template::{Condition, Template, Text};

/// Bounds of `every`: shorter would be a loop, longer is a mistake.
const EVERY_BOUNDS: RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(366 * 86_400);

/// Bounds of `settle`: what takes longer is no flicker.
const SETTLE_BOUNDS: RangeInclusive<u32> = 1..=1000;

/// The methods a poll may use. HEAD has no body to read.
const METHODS: &[&str] = &["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "REPORT", "PROPFIND", "SEARCH"];

/// What jobs refer to, and what they share.
pub(super) struct Lift<'a> {
    vendors: BTreeMap<&'a str, Layer>,
    jobs: &'a Named<'a>,
    sources: Sources,
    sinks: Sinks<'a>,
    access: HashMap<Access, Arc<Access>>,
}

impl<'a> Lift<'a> {
    pub(super) fn new(vendors: BTreeMap<&'a str, Layer>, jobs: &'a Named<'a>, sinks: Sinks<'a>) -> Self {
        Self { vendors, jobs, sources: Sources::default(), sinks, access: HashMap::new() }
    }

    /// Notes what no job alone shows, when all are lifted.
    pub(super) fn finish(self, reader: &mut Reader<'_>) {
        self.sources.check_circles(reader);
    }

    /// One job; every problem with it is noted before it is given up.
    pub(super) fn job(&mut self, name: &str, section: &Section<'_>, reader: &mut Reader<'_>) -> Option<Job> {
        let vendor = section.field("vendor").and_then(|field| self.vendor(&field, reader));
        let each = each::each(name, section, self.jobs, &mut self.sources, reader);
        let names: Vec<&str> = REQUEST_NAMES.iter().copied().chain(each::names(section)).collect();
        let below = match vendor.as_ref().and_then(|name| self.vendors.get(name.as_str())) {
            Some(layer) => layer,
            None if section.has("vendor") => &Layer::lost(),
            None => &Layer::default(),
        };
        if let (Some(vendor), Some(place)) = (&vendor, below.lacks(&names)) {
            each::lacks(section, vendor, &place, reader);
        }
        let names = own_names(names, section, below, reader);
        let own = layer(section, &names, below.base_url.as_ref(), reader);
        let document = document::document(section, reader);
        let layer = accepting(own.over(below), &document);
        let deletes = deletes::read(section, &layer, below, &names, reader);
        let detail = detail::read(section, &layer, below, &names, &document, reader);
        let (courtesy, respect_cache) = (layer.courtesy, layer.respect_cache.unwrap_or(false));
        let request = self.request(section, layer, &names, reader);
        let schedule = schedule(section, reader);
        let items = section.field("items").and_then(|field| reader.query(&field));
        let key = key(section, reader);
        let list = word(section, "list", &[("complete", ListKind::Complete), ("window", ListKind::Window)], reader);
        let pages = pages::pages(section, list.unwrap_or(ListKind::Complete), reader);
        let cursor = cursor::cursor(section, request.as_ref().map(|(_, print)| *print), reader);
        let paths = shape::Paths { items: items.as_ref(), key: &key, pages: pages.as_ref(), cursor: cursor.as_ref() };
        shape::check(section, &document, &paths, reader);
        let first = word(section, "first", &[("silent", First::Silent), ("emit", First::Emit)], reader);
        let rules = rules(section, reader);
        let on = section.field("on").map_or(Some(Changes::ALL), |field| changes(&field, reader));
        let when = section.field("when").and_then(|field| condition(&field, reader));
        let event_type = section.field("type").and_then(|field| event_type(&field, reader));
        let empty = section.field("empty").and_then(|field| reader.boolean(&field)).unwrap_or(false);
        let enabled = section.field("enabled").and_then(|field| reader.boolean(&field)).unwrap_or(true);
        let settle = section.field("settle").and_then(|field| reader.whole(&field, &SETTLE_BOUNDS)).unwrap_or(1);
        let max_events = deletes::max_events(section, reader);
        let rename = section.field("rename").and_then(|field| rename::rename(name, &field, reader));
        let send_to = route::send_to(&self.sinks, section, enabled, reader);
        let (request, request_print) = request?;
        let request_print = asked_fingerprint(request_print, pages.as_ref(), detail.as_ref());
        let fingerprints = fingerprints(request_print, items.as_ref(), &document, &key, &rules);
        Some(Job {
            name: JobName::from(name),
            vendor,
            courtesy,
            enabled,
            deletes: deletes.with(&request, reader),
            detail: detail.map(|detail| detail.with(&request, reader)),
            request,
            pages,
            cursor,
            each,
            schedule: schedule?,
            respect_cache,
            document,
            items,
            key,
            list: list.unwrap_or(ListKind::Complete),
            empty,
            rules,
            first: first.unwrap_or(First::Silent),
            on: on?,
            when,
            settle,
            max_events,
            event_type,
            send_to,
            rename,
            fingerprints,
        })
    }

    fn vendor(&self, field: &Field<'_>, reader: &mut Reader<'_>) -> Option<VendorName> {
        let written = reader.text(field)?;
        let name = written.resolved();
        if self.vendors.contains_key(name.as_str()) {
            return Some(VendorName::from(name.as_str()));
        }
        let problem = Problem::error(field.place(), format!("there is no vendor `{}`", written.spelled()));
        let hint = match keys::nearest(&name, self.vendors.keys().copied()) {
            Some(name) => format!("did you mean `{name}`?"),
            None if written.hides() => "add its table: `[vendor.NAME]`".to_owned(),
            None => format!("add its table: `[vendor.{name}]`"),
        };
        reader.note(problem.hint(hint).of_absence());
        None
    }

    fn request(
        &mut self,
        section: &Section<'_>,
        layer: Layer,
        names: &[&str],
        reader: &mut Reader<'_>,
    ) -> Option<(RequestSpec, Digest)> {
        let method = section.field("method").map_or(Some(http::Method::GET), |field| method(&field, reader));
        let body = section.field("body").map(|field| request::body(&field, names, reader));
        let Some(field) = section.field("url") else {
            let hint = "add `url = \"https://api.example.com/orders\"`";
            reader.lacks(section, &["url"], format!("{} lacks its `url`", section.title), hint);
            return None;
        };
        let url = request::url(&field, &layer, names, reader);
        let homes = request::homes(url.as_ref().map(|(written, _)| written), &layer);
        let access = Access { homes, ..layer.access() };
        let signs = Arc::new(layer.signs());
        let access = Arc::clone(self.access.entry(access.clone()).or_insert_with(|| Arc::new(access)));
        let (method, (spelled, url), body) = (method?, url?, body.map_or(Some(None), |body| body.map(Some))?);
        let (body, body_spelled) = body.unzip();
        let print = request_fingerprint(&method, &spelled, &layer, body_spelled.as_deref());
        let pairs =
            |(name, values): (String, Vec<QueryValue>)| values.into_iter().map(move |value| (name.clone(), value.text));
        let query = layer.query.into_iter().flat_map(pairs).collect();
        let headers = layer.headers.into_values().collect();
        Some((RequestSpec { method, url, query, headers, body, auth: layer.auth, access, signs }, print))
    }
}

/// The settings of a job whose answers are so; its own `Accept` counts where it has one.
fn accepting(mut layer: Layer, document: &DocumentSpec) -> Layer {
    if let Some(accept) = document.format.accept().and_then(fixed) {
        layer.headers.entry(ACCEPT.to_string()).or_insert((ACCEPT, accept));
    }
    layer
}

/// A header's value of our own.
fn fixed(value: &str) -> Option<Text> {
    Text::compile(&Written::plain(value).parts(), &[]).ok()
}

/// What is asked for, as it is written before secrets are put in. Credentials and headers select nothing.
fn request_fingerprint(method: &http::Method, url: &Written, layer: &Layer, body: Option<&str>) -> Digest {
    let url = url.spelled();
    let count = layer.query.values().map(Vec::len).sum::<usize>().to_string();
    let mut parts = vec![method.as_str(), &url, &count];
    for (name, values) in &layer.query {
        parts.extend(values.iter().flat_map(|value| [name.as_str(), value.spelled.as_str()]));
    }
    parts.extend(body);
    fingerprint(parts.into_iter())
}

/// Which items there are.
fn selection_fingerprint(items: Option<&JsonPath>, document: &DocumentSpec) -> Digest {
    let paths = items.into_iter().map(JsonPath::as_str);
    let document = document.fingerprint();
    fingerprint(paths.chain(document.as_deref()))
}

/// Of the names that a vendor's templates see, those of this job: `cursor` would never be anything without its table.
fn own_names<'n>(names: Vec<&'n str>, section: &Section<'_>, vendor: &Layer, reader: &mut Reader<'_>) -> Vec<&'n str> {
    let others: Vec<&str> = names.iter().copied().filter(|name| *name != CURSOR).collect();
    if !section.has(CURSOR) {
        return others;
    }
    cursor::check_use(section, vendor.lacks(&others).is_some(), reader);
    names
}

/// What the job's state depends on.
fn fingerprints(
    request: Digest,
    items: Option<&JsonPath>,
    document: &DocumentSpec,
    key: &[JsonPath],
    rules: &Rules,
) -> Fingerprints {
    Fingerprints {
        request,
        selection: selection_fingerprint(items, document),
        identity: fingerprint(key.iter().map(JsonPath::as_str)),
        rules: rules.to_text(),
    }
}

/// One answer and a list of several pages are different selections; so are lists that are paged in different ways, and
/// lists whose items have other details, or none.
fn asked_fingerprint(request: Digest, pages: Option<&Paging>, detail: Option<&detail::Written>) -> Digest {
    let paged = pages.map_or(request, |pages| Digest::of(&[&request.0[..], pages.style.as_str().as_bytes()].concat()));
    detail.map_or(paged, |detail| Digest::of(&[paged.0, detail.print().0].concat()))
}

/// A digest of some texts; no two lists of texts have the same one.
pub(super) fn fingerprint<'t>(parts: impl Iterator<Item = &'t str>) -> Digest {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    Digest::of(&bytes)
}

fn word<T: Copy>(section: &Section<'_>, name: &str, words: &[(&str, T)], reader: &mut Reader<'_>) -> Option<T> {
    section.field(name).and_then(|field| reader.one_of(&field, words))
}

pub(super) fn method(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<http::Method> {
    reader.parsed(field, |text| {
        let known = METHODS.iter().find(|known| **known == text);
        known.and_then(|known| http::Method::from_bytes(known.as_bytes()).ok()).ok_or_else(|| Complaint {
            problem: format!("`{text}` is not a method that a poll can use"),
            hint: Some(match METHODS.iter().find(|known| known.eq_ignore_ascii_case(text)) {
                Some(known) => format!("write it in upper case: `{known}`"),
                None => format!("it is one of {}", quoted(METHODS.iter().copied())),
            }),
            span: None,
        })
    })
}

fn schedule(section: &Section<'_>, reader: &mut Reader<'_>) -> Option<Schedule> {
    let (every, cron) = (section.field("every"), section.field("cron"));
    let timezone = section.field("timezone").map(|field| (timezone(&field, reader), field));
    if let (Some((_, field)), None, Some(_)) = (&timezone, &cron, &every) {
        let problem = Problem::error(field.place(), "`timezone` is for `cron`: `every` knows no hours");
        reader.note(problem.hint("take it out, or write a `cron` expression"));
    }
    let zone = timezone.map_or(Some(Tz::UTC), |(zone, _)| zone);
    // Both are read even where one is too much: what is wrong with it is told in the same run.
    let interval = every.as_ref().and_then(|every| interval(every, reader));
    let calendar = cron.as_ref().and_then(|cron| {
        let parsed = reader.cron(cron, zone.unwrap_or(Tz::UTC));
        zone.and(parsed).map(Schedule::Cron)
    });
    match (every, cron) {
        (Some(_), Some(cron)) => {
            let problem = Problem::error(cron.place(), format!("{} has both `every` and `cron`", section.title));
            reader.note(problem.hint("keep one of the two"));
            None
        }
        (None, None) => {
            let hint = "add `every = \"30s\"`, or `cron = \"*/5 * * * *\"`";
            reader.lacks(section, &["every", "cron"], format!("{} does not say when to poll", section.title), hint);
            None
        }
        _ => interval.or(calendar),
    }
}

/// `every`, a duration or a table of two.
fn interval(every: &Field<'_>, reader: &mut Reader<'_>) -> Option<Schedule> {
    if matches!(every.value.get_ref(), DeValue::Table(_)) {
        return adaptive(every, reader);
    }
    reader.duration(every, &EVERY_BOUNDS).map(Schedule::Every)
}

/// `every = { min, max }`.
fn adaptive(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Schedule> {
    let section = reader.table(field, Table::Every)?;
    let mut bound = |name: &str| match section.field(name) {
        Some(field) => reader.duration(&field, &EVERY_BOUNDS).map(|bound| (bound, field)),
        None => {
            let hint = "write `every = { min = \"10s\", max = \"15m\" }`, or `every = \"30s\"`";
            reader.lacks(&section, &[name], format!("`every` lacks its `{name}`"), hint);
            None
        }
    };
    let (min, max) = (bound("min"), bound("max"));
    let ((min, _), (max, place)) = (min?, max?);
    if min > max {
        let problem = Problem::error(place.place(), "`max` is shorter than `min`");
        reader.note(problem.hint("swap the two"));
        return None;
    }
    Some(Schedule::Adaptive { min, max })
}

fn timezone(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Tz> {
    reader.parsed(field, |text| {
        text.parse().map_err(|_| {
            let names = chrono_tz::TZ_VARIANTS.iter().map(|zone| zone.name());
            let hint = match keys::nearest(text, names) {
                Some(name) => format!("did you mean `{name}`?"),
                None => "write its IANA name, as in `Europe/Berlin`".to_owned(),
            };
            Complaint { problem: format!("`{text}` is not a time zone"), hint: Some(hint), span: None }
        })
    })
}

fn key(section: &Section<'_>, reader: &mut Reader<'_>) -> Vec<JsonPath> {
    let Some(field) = section.field("key") else {
        if let Some(items) = section.field("items") {
            let problem = Problem::error(items.place(), "`items` needs a `key`, to know an item again");
            reader.note(problem.hint("add `key = \"$.id\"`: where the key is, seen from the item").of_absence());
        }
        return Vec::new();
    };
    let list = reader.one_or_list(&field);
    if list.is_empty() {
        let problem = Problem::error(field.place(), "`key` is an empty list");
        reader.note(problem.hint("write `key = \"$.id\"`, or `key = [\"$.shop\", \"$.id\"]`"));
    }
    list.iter().filter_map(|field| reader.query(field)).collect()
}

fn paths(section: &Section<'_>, name: &str, reader: &mut Reader<'_>) -> Vec<JsonPath> {
    let list = section.field(name).and_then(|field| reader.list(&field)).unwrap_or_default();
    list.iter().filter_map(|field| reader.query(field)).collect()
}

/// What counts as change.
fn rules(section: &Section<'_>, reader: &mut Reader<'_>) -> Rules {
    Rules {
        watch: paths(section, "watch", reader),
        ignore: paths(section, "ignore", reader),
        tolerance: places(section, "tolerance", reader, tolerance),
        arrays: places(section, "arrays", reader, |field, reader| reader.query(field)),
        unordered: paths(section, "unordered", reader),
    }
}

/// A table whose keys are JSONPaths.
fn places<T>(
    section: &Section<'_>,
    name: &str,
    reader: &mut Reader<'_>,
    value: impl Fn(&Field<'_>, &mut Reader<'_>) -> Option<T>,
) -> Vec<(JsonPath, T)> {
    let Some(field) = section.field(name) else { return Vec::new() };
    let Some(table) = reader.open_table(&field, Table::Job) else { return Vec::new() };
    let mut places = Vec::new();
    for (place, field) in table.entries() {
        let path = JsonPath::parse(field.name).map_err(|complaint| {
            reader.note(Problem::error(place, complaint.problem).maybe_hint(complaint.hint));
        });
        let value = value(&field, reader);
        places.extend(path.ok().zip(value));
    }
    places
}

/// How far a number may move: a number, or a share of it as text.
fn tolerance(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Tolerance> {
    let number = match field.value.get_ref() {
        DeValue::Integer(number) => number.as_str(),
        DeValue::Float(number) => number.as_str(),
        _ => return reader.parsed(field, Tolerance::percent),
    };
    let read = Tolerance::by(number);
    read.map_err(|why| reader.note(Problem::error(field.place(), why.problem).maybe_hint(why.hint))).ok()
}

fn changes(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Changes> {
    let list = reader.list(field)?;
    if list.is_empty() {
        let problem = Problem::error(field.place(), "`on` is an empty list: the job would never say anything");
        reader.note(problem.hint("name some of `created`, `updated`, `deleted`, `restored`"));
    }
    let names = [Change::Created, Change::Updated, Change::Deleted, Change::Restored];
    let words = names.map(|change| (change.as_str(), change));
    Some(list.iter().filter_map(|field| reader.one_of(field, &words)).fold(Changes::NONE, Changes::with))
}

/// A bare expression over an event.
pub(super) fn condition(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Condition> {
    reader.parsed(field, |text| Condition::compile(text, EVENT_NAMES))
}

fn event_type(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Template> {
    let written = reader.text(field)?;
    Template::compile(&written.template_source(), EVENT_NAMES)
        .map_err(|complaint| reader.complain(field, &written, complaint))
        .ok()
}
