//! `send_to`: the ways from a job to its sinks, as names or as tables.
//!
//! The sinks themselves are lifted in `sink`, before this.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::de::DeValue;

use super::format::{self, Writing};
use super::job::condition;
use crate::config::keys::{self, Table};
use crate::config::problem::Problem;
use crate::config::reader::{Field, Reader, Section};
use crate::core::names::SinkName;
use crate::core::sink::{Route, Sink};

/// The sinks by name; those of which something is wrong as `None`.
pub(super) type Sinks<'a> = BTreeMap<&'a str, Option<Arc<Sink>>>;

/// A job's ways to its sinks.
pub(super) fn send_to(sinks: &Sinks<'_>, section: &Section<'_>, enabled: bool, reader: &mut Reader<'_>) -> Vec<Route> {
    let field = section.field("send_to");
    let list = field.as_ref().and_then(|field| reader.list(field));
    let mut routes: Vec<Route> = Vec::new();
    for field in list.iter().flatten() {
        let route = match field.value.get_ref() {
            DeValue::Table(_) => table(sinks, field, &routes, reader),
            _ => sink(sinks, field, &routes, reader).map(Route::to),
        };
        routes.extend(route);
    }
    if enabled && list.map_or(field.is_none(), |list| list.is_empty()) {
        let place = field.map_or_else(|| section.place(), |field| field.place());
        let problem = Problem::warning(place, format!("{} sends its events to no sink", section.title));
        reader.note(problem.hint("add `send_to = [\"NAME\"]`, the name of a `[sink.NAME]`").of_absence());
    }
    routes
}

/// A way with conditions and a form of its own.
fn table(sinks: &Sinks<'_>, field: &Field<'_>, before: &[Route], reader: &mut Reader<'_>) -> Option<Route> {
    let section = reader.table(field, Table::SendTo)?;
    let name = match section.field("sink") {
        Some(field) => sink(sinks, &field, before, reader),
        None => {
            let hint = "add `sink = \"NAME\"`, the name of a `[sink.NAME]`";
            reader.lacks(&section, &["sink"], "a table in `send_to` lacks its `sink`".to_owned(), hint);
            None
        }
    };
    let when = section.field("when").and_then(|field| condition(&field, reader));
    let Writing { form, thin } = format::writing(&section, reader);
    let route = Route { sink: name?, when, form, thin };
    if let Some(Some(sink)) = sinks.get(route.sink.as_str()) {
        let (form, thin) = route.writing(sink);
        format::check(&section, form, thin, reader);
        // What the sink says itself was looked at there.
        format::check_batch(&section, form, sink.batching.is_some() && route.form.is_some(), reader);
    }
    Some(route)
}

/// A sink's name. One that every event goes to already can't be reached once more.
pub(super) fn sink(
    sinks: &Sinks<'_>,
    field: &Field<'_>,
    before: &[Route],
    reader: &mut Reader<'_>,
) -> Option<SinkName> {
    let written = reader.text(field)?;
    let name = written.resolved();
    if before.iter().any(|route| route.sink.as_str() == name && route.when.is_none()) {
        let problem = Problem::error(field.place(), format!("the sink `{}` is there twice", written.spelled()));
        let hint = "take one out, or give the first a `when`: each event goes to a sink once, by the first that fits";
        reader.note(problem.hint(hint));
        return None;
    }
    if sinks.contains_key(name.as_str()) {
        return Some(SinkName::from(name.as_str()));
    }
    let problem = Problem::error(field.place(), format!("there is no sink `{}`", written.spelled()));
    let hint = match keys::nearest(&name, sinks.keys().copied()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if written.hides() => "add its table: `[sink.NAME]`".to_owned(),
        None => format!("add its table: `[sink.{name}]`"),
    };
    reader.note(problem.hint(hint).of_absence());
    None
}
