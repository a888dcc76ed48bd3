//! From tables to core values, one file here for each kind of table.
//!
//! Says what is wrong through the [`Reader`]; prints nothing.

mod alerts;
pub(super) mod auth;
mod cursor;
mod daemon;
mod deletes;
mod detail;
mod document;
mod each;
mod format;
mod job;
mod pages;
mod rename;
mod request;
mod route;
mod shape;
pub(super) mod sign;
mod sink;
mod transport;
mod vendor;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use toml::de::{DeTable, DeValue};

use crate::config::keys::{self, Table};
use crate::config::lookup::Lookup;
use crate::config::prints::Prints;
use crate::config::problem::{Place, Problem};
use crate::config::reader::{Field, Reader, Section, later};
use crate::config::source::SourceFile;
use crate::config::written::Written;
use crate::core::alert::SYSTEM_JOB;
use crate::core::config::{Config, Daemon};
use crate::core::names::VendorName;
use crate::core::polite::Vendor;

/// The longest name of a job, a sink or a vendor, in characters: it stands in URLs, metrics and listings.
const NAME_MAX: usize = 64;

/// The top-level names that `when` and `type` see.
pub(crate) const EVENT_NAMES: &[&str] = &["before", "after", "change", "changed", "key", "job", "scope"];

/// A file and its tree.
pub(crate) struct Parsed<'a> {
    pub(crate) file: &'a Arc<SourceFile>,
    pub(crate) tree: DeTable<'a>,
}

/// The named tables of one kind, from all files.
type Named<'a> = BTreeMap<&'a str, Section<'a>>;

/// The `[daemon]` of a file, as if nothing else stood there.
pub(crate) fn daemon_alone(parsed: &Parsed<'_>, env: &dyn Lookup, reader: &mut Reader<'_>) -> Option<Daemon> {
    let Parsed { file, tree } = parsed;
    let root = Section { kind: Table::Root, title: "the file".into(), file, header: 0..0, table: tree };
    let section = root.field("daemon").and_then(|field| reader.table(&field, Table::Daemon));
    daemon::lift(section.as_ref(), env, reader)
}

/// All files as one config; `None` when something is wrong with it, which then is noted.
pub(crate) fn config<'a>(
    parsed: &'a [Parsed<'a>],
    env: &dyn Lookup,
    reader: &mut Reader<'_>,
) -> Option<(Config, Prints)> {
    let mut daemon = None;
    for (index, Parsed { file, tree }) in parsed.iter().enumerate() {
        let section = Section { kind: Table::Root, title: "the file".into(), file, header: 0..0, table: tree };
        reader.check_keys(&section);
        let Some(field) = section.field("daemon") else { continue };
        if index == 0 {
            daemon = reader.table(&field, Table::Daemon);
        } else {
            reader.note(
                Problem::error(field.place(), "`[daemon]` can't stand in an included file")
                    .hint(format!("move it to `{}`", parsed[0].file.name().display())),
            );
        }
    }
    let vendors = named(parsed, "vendor", Table::Vendor, reader);
    let jobs = named(parsed, "job", Table::Job, reader);
    let sinks = named(parsed, "sink", Table::Sink, reader);

    let prints = prints(&vendors, &jobs, &sinks, reader);
    let daemon = daemon::lift(daemon.as_ref(), env, reader);
    let layers: BTreeMap<&str, vendor::Layer> = vendors
        .iter()
        .map(|(name, section)| (*name, vendor::layer(section, &each::names_at(name, &jobs), None, reader)))
        .collect();
    let vendors = layers.iter().map(|(name, layer)| Vendor { name: VendorName::from(*name), courtesy: layer.courtesy });
    let vendors = vendors.collect();
    let sinks: route::Sinks<'_> =
        sinks.iter().map(|(name, section)| (*name, sink::lift(name, section, reader).map(Arc::new))).collect();
    let mut lift = job::Lift::new(layers, &jobs, sinks.clone());
    let alerts = alerts::lift(parsed, &sinks, reader);
    let tables = &jobs;
    let jobs: Vec<_> = tables.iter().map(|(name, section)| lift.job(name, section, reader).map(Arc::new)).collect();
    lift.finish(reader);
    if jobs.is_empty()
        && let Some(first) = parsed.first()
    {
        let place = Place { file: Arc::clone(first.file), span: 0..0 };
        reader.note(
            Problem::warning(place, "this config has no job: nothing is polled")
                .hint("add one: `[job.orders]` with `url`, `every` and `send_to`")
                .of_absence(),
        );
    }
    rename::check(tables, reader);
    let config = Config {
        daemon: daemon?,
        jobs: jobs.into_iter().collect::<Option<_>>()?,
        vendors,
        sinks: sinks.into_values().collect::<Option<_>>()?,
        alerts,
        secrets: reader.secrets(),
    };
    Some((config, prints))
}

fn prints(vendors: &Named<'_>, jobs: &Named<'_>, sinks: &Named<'_>, reader: &mut Reader<'_>) -> Prints {
    let mut prints = Prints::default();
    for (name, job) in jobs {
        let vendor = job.table.get("vendor").and_then(|vendor| vendor.get_ref().as_str());
        let vendor = vendor.and_then(|vendor| vendors.get(vendor));
        prints.jobs.insert((*name).to_owned(), reader.printer().with(Some(job)).with(vendor).finish());
    }
    for (name, sink) in sinks {
        prints.sinks.insert((*name).to_owned(), reader.printer().with(Some(sink)).finish());
    }
    prints
}

/// The tables `[KIND.NAME]` of all files by name; a name that occurs twice counts where it stands first.
fn named<'a>(parsed: &'a [Parsed<'a>], key: &str, kind: Table, reader: &mut Reader<'_>) -> Named<'a> {
    let mut found: Named<'a> = BTreeMap::new();
    for Parsed { file, tree } in parsed {
        let Some((_, value)) = tree.get_key_value(key) else { continue };
        let DeValue::Table(tables) = value.get_ref() else {
            let field = Field { name: kind.title(), file, value };
            let hint = format!("give it a name: `[{key}.name]`");
            reader.note(Problem::error(field.place(), format!("`{key}` is not a table of named tables")).hint(hint));
            continue;
        };
        for (name, value) in tables {
            let field = Field { name: name.get_ref(), file, value };
            let title = format!("`[{key}.{}]`", name.get_ref());
            let Some(section) = header(&field, kind, key, title, name.span(), reader) else { continue };
            if let Some(first) = found.get(field.name) {
                let problem = Problem::error(section.place(), format!("{} is there twice", section.title));
                reader.note(
                    problem.hint("rename one of the two, or take it out").also(first.place(), "the first one is here"),
                );
                continue;
            }
            found.insert(field.name, section);
        }
    }
    found
}

/// One named table, its name and its keys checked.
fn header<'a>(
    field: &Field<'a>,
    kind: Table,
    key: &str,
    title: String,
    header: Range<usize>,
    reader: &mut Reader<'_>,
) -> Option<Section<'a>> {
    let DeValue::Table(table) = field.value.get_ref() else {
        // `[job]` with `url = …` right under it: the name was forgotten.
        let place = Place { file: Arc::clone(field.file), span: header };
        let problem = Problem::error(place, format!("`{}` is not a {key}: a {key} is a table", field.name));
        let hint = match keys::find(kind, field.name) {
            Some(_) => format!("give the {key} a name: `[{key}.name]`, with `{}` under it", field.name),
            None => format!("write `[{key}.{}]`", field.name),
        };
        reader.note(problem.hint(hint));
        return None;
    };
    let section = Section { kind, title, file: field.file, header, table };
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if field.name.is_empty() || field.name.len() > NAME_MAX || !field.name.chars().all(plain) {
        let problem = Problem::error(section.place(), format!("`{}` can't be a name", field.name));
        reader.note(problem.hint(format!("a name is at most {NAME_MAX} letters (a to z), digits, `_` and `-`")));
    }
    if kind == Table::Job && field.name == SYSTEM_JOB {
        let problem = Problem::error(section.place(), format!("a job can't be named `{SYSTEM_JOB}`"));
        reader.note(problem.hint("the events that Doorbell sends about itself have this name: choose another"));
    }
    reader.check_keys(&section);
    Some(section)
}

/// A header's name.
fn header_name(
    name: &Written,
    place: &Place,
    reserved: &[(&str, &str)],
    reader: &mut Reader<'_>,
) -> Option<HeaderName> {
    let shown = name.spelled();
    let Ok(name) = HeaderName::from_bytes(name.resolved().as_bytes()) else {
        let problem = Problem::error(place.clone(), format!("`{shown}` is not the name of a header"));
        reader.note(problem.hint("a name is letters, digits and `-`, as in `X-Api-Version`"));
        return None;
    };
    if let Some((_, why)) = reserved.iter().find(|(reserved, _)| *reserved == name.as_str()) {
        reader.note(
            Problem::error(place.clone(), format!("the header `{shown}` can't be set: {why}")).hint("take it out"),
        );
        return None;
    }
    Some(name)
}

/// Notes when a text can't be a header's value.
fn check_header_value(field: &Field<'_>, written: &Written, reader: &mut Reader<'_>) {
    if HeaderValue::from_bytes(written.resolved().as_bytes()).is_err() {
        let what = if written.hides() { "what its reference yields" } else { "its value" };
        let problem = Problem::error(
            field.place(),
            format!(
                "the header `{}` can't hold {what}: there is a line break or another control character in it",
                field.name
            ),
        );
        reader.note(problem.hint("a header's value is one line of text"));
    }
}

/// Notes that a value comes with a later version.
fn later_value(field: &Field<'_>, value: &str, reader: &mut Reader<'_>) {
    reader.note(later(field.place(), value));
}
