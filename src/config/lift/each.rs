//! `[job.NAME.each]`: one job, many scopes.
//!
//! Which values another job's items hold shows at the first poll; that the job is there shows here.

use std::collections::{BTreeMap, BTreeSet};

use toml::de::DeValue;

use super::cursor::number;
use super::request::REQUEST_NAMES;
use super::{EVENT_NAMES, Named};
use crate::config::keys::{self, Table};
use crate::config::problem::{Place, Problem};
use crate::config::reader::{Field, Reader, Section};
use crate::core::each::{Each, SCOPES_MAX, Values};
use crate::core::json::Json;
use crate::core::names::{JobName, VendorName};
use crate::core::path::JsonPath;
use crate::core::template::{Part, Text};

/// Which jobs take their scopes from which others, and where that is written.
#[derive(Default)]
pub(super) struct Sources(BTreeMap<String, Vec<(String, Place)>>);

impl Sources {
    /// Notes jobs whose scopes come, by way of others, from their own items.
    pub(super) fn check_circles(&self, reader: &mut Reader<'_>) {
        for (job, sources) in &self.0 {
            for (source, place) in sources {
                if self.leads(source, job, &mut BTreeSet::new()) {
                    let problem = Problem::error(
                        place.clone(),
                        format!("the scopes of `{job}` come from its own items: `each` goes in a circle"),
                    );
                    reader.note(problem.hint("name a job that has no such `each`, or write the values in a list"));
                }
            }
        }
    }

    fn leads<'s>(&'s self, from: &'s str, to: &str, seen: &mut BTreeSet<&'s str>) -> bool {
        from == to
            || (seen.insert(from)
                && self.0.get(from).into_iter().flatten().any(|(source, _)| self.leads(source, to, seen)))
    }
}

/// The names that a job's scopes have, as they are written.
pub(super) fn names<'a>(job: &Section<'a>) -> Vec<&'a str> {
    match job.field("each").map(|field| field.value.get_ref()) {
        Some(DeValue::Table(table)) => table.keys().map(|name| name.get_ref().as_ref()).collect(),
        _ => Vec::new(),
    }
}

/// The names that the templates of a vendor see: those of every request, and those that its jobs' scopes have.
pub(super) fn names_at<'a>(vendor: &str, jobs: &Named<'a>) -> Vec<&'a str> {
    let of_it = |job: &&Section<'a>| {
        let named = job.field("vendor");
        named.is_some_and(|field| matches!(field.value.get_ref(), DeValue::String(name) if name == vendor))
    };
    let own: BTreeSet<&str> = jobs.values().filter(of_it).flat_map(names).collect();
    REQUEST_NAMES.iter().copied().chain(own).collect()
}

/// Notes a job at a vendor whose templates need a name that this job's scopes do not have.
pub(super) fn lacks(job: &Section<'_>, vendor: &VendorName, place: &str, reader: &mut Reader<'_>) {
    let problem = Problem::error(
        job.place(),
        format!("`{place}` of the vendor `{vendor}` needs a name that {} does not have", job.title),
    );
    reader.note(problem.hint("add it to the job's `each`, or write this in the jobs that have it"));
}

/// Lifts the table of a job.
pub(super) fn each(
    name: &str,
    job: &Section<'_>,
    jobs: &Named<'_>,
    sources: &mut Sources,
    reader: &mut Reader<'_>,
) -> Option<Each> {
    let field = job.field("each")?;
    let section = reader.open_table(&field, Table::Each)?;
    let mut all = Vec::new();
    for (place, field) in section.entries() {
        if !check_name(&place, &field, reader) {
            continue;
        }
        let values = match field.value.get_ref() {
            DeValue::Table(_) => items(name, &field, jobs, sources, reader),
            _ => list(&field, reader).map(Values::List),
        };
        all.extend(values.map(|values| (field.name.to_owned(), values)));
    }
    if section.table.is_empty() {
        let problem = Problem::error(field.place(), "`each` is empty: there is no scope to poll");
        reader.note(problem.hint("write `account = [\"eu\", \"us\"]` under it, or take it out"));
    }
    all.sort_by(|(one, _), (other, _)| one.cmp(other));
    let each = Each(all);
    if let Some(count) = each.fixed().filter(|count| *count > SCOPES_MAX) {
        let problem =
            Problem::error(field.place(), format!("`each` makes {count} scopes, and a job has at most {SCOPES_MAX}"));
        reader.note(problem.hint("split the job, or take values out"));
    }
    Some(each)
}

/// Can templates call it that?
fn check_name(place: &Place, field: &Field<'_>, reader: &mut Reader<'_>) -> bool {
    let name = field.name;
    let words = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let expression = Part::Plain(format!("{{{{ {name} }}}}"));
    let taken = REQUEST_NAMES.iter().chain(EVENT_NAMES).chain(&["item"]).any(|taken| *taken == name);
    let hint = match name {
        "job" | "at" => "give the scope's value a name: `region = { job = \"regions\", at = \"$.code\" }`",
        _ if taken => "templates know something else by this name: choose another, as in `account`",
        _ => "a name is letters (a to z), digits and `_`, and no word of the templates' own, as in `account`",
    };
    let good = name.chars().all(words) && Text::compile(&[expression], &[name]).is_ok_and(|text| !text.is_constant());
    if taken || !good {
        reader.note(Problem::error(place.clone(), format!("`{name}` can't be the name of a scope's value")).hint(hint));
        return false;
    }
    true
}

/// The values that the config lists.
fn list(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Vec<Json>> {
    if !matches!(field.value.get_ref(), DeValue::Array(_)) {
        reader.wrong_type(field, "a list, as in `[\"eu\", \"us\"]`, or `{ job = \"regions\", at = \"$.code\" }`");
        return None;
    }
    let list = reader.list(field)?;
    if list.is_empty() {
        let problem =
            Problem::error(field.place(), format!("`{}` is an empty list: there is no scope to poll", field.name));
        reader.note(problem.hint("name a value, or take it out"));
    }
    let mut values: Vec<Json> = Vec::new();
    for field in &list {
        let Some(value) = value(field, reader) else { continue };
        if values.contains(&value) {
            let problem = Problem::error(field.place(), format!("{value} is there twice"));
            reader.note(problem.hint("take one out: each value is a scope of its own"));
        }
        values.push(value);
    }
    Some(values)
}

/// Text, a number or a boolean. It is named in events, so that no secret may stand in it.
fn value(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Json> {
    match field.value.get_ref() {
        DeValue::Integer(_) | DeValue::Float(_) => number(field, reader).map(Json::Number),
        DeValue::Boolean(flag) => Some(Json::Bool(*flag)),
        _ => {
            let written = reader.text(field)?;
            let problem = if written.hides() {
                "a scope's value is named in every event, and can't be taken from a reference"
            } else if written.resolved().is_empty() {
                "a scope's value can't be empty"
            } else {
                return Some(Json::from(written.resolved()));
            };
            reader.note(Problem::error(field.place(), problem).hint("write a word, as in `\"eu\"`"));
            None
        }
    }
}

/// The values that another job's items hold.
fn items(
    name: &str,
    field: &Field<'_>,
    jobs: &Named<'_>,
    sources: &mut Sources,
    reader: &mut Reader<'_>,
) -> Option<Values> {
    let section = reader.table(field, Table::Each)?;
    let example = || format!("write `{} = {{ job = \"regions\", at = \"$.code\" }}`", field.name);
    let mut part = |key: &str| {
        let part = section.field(key);
        if part.is_none() {
            reader.lacks(&section, &[key], format!("`{}` lacks its `{key}`", field.name), example());
        }
        part
    };
    let (job, at) = (part("job"), part("at"));
    let job = job.and_then(|field| source(name, &field, jobs, sources, reader));
    let at: Option<JsonPath> = at.and_then(|field| reader.query(&field));
    Some(Values::Items { job: job?, at: at? })
}

/// A job that is there.
fn source(
    name: &str,
    field: &Field<'_>,
    jobs: &Named<'_>,
    sources: &mut Sources,
    reader: &mut Reader<'_>,
) -> Option<JobName> {
    let written = reader.text(field)?;
    let source = written.resolved();
    if jobs.contains_key(source.as_str()) {
        sources.0.entry(name.to_owned()).or_default().push((source.as_str().to_owned(), field.place()));
        return Some(JobName::from(source.as_str()));
    }
    let problem = Problem::error(field.place(), format!("there is no job `{}`", written.spelled()));
    let hint = match keys::nearest(&source, jobs.keys().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "name the job whose items are the values".to_owned(),
    };
    reader.note(problem.hint(hint).of_absence());
    None
}
