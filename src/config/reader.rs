//! Walks a parsed file: takes values out by type, notes what is wrong with them, and goes on.
//!
//! A value that is absent and one that is wrong both come out as `None`; the second has left a [`Problem`]. Whoever
//! lifts a table asks for all of its values before it gives up, so that all problems come out in one run.

use std::collections::HashMap;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;
use std::time::Duration;

use chrono_tz::Tz;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::keys::{self, Table};
use crate::config::lookup::Lookup;
use crate::config::prints::Printer;
use crate::config::problem::{Place, Problem};
use crate::config::secrets::{self, Piece, Raw, Resolver};
use crate::config::source::SourceFile;
use crate::config::written::Written;
use crate::core::path::{Complaint, JsonPath};
use crate::core::schedule::Cron;
use crate::core::secret::Secret;
use crate::core::units;

/// The most names that a hint lists.
const NAMES_SHOWN: usize = 12;

/// A value and where it stands.
#[derive(Clone, Copy)]
pub(crate) struct Field<'a> {
    /// Its key, for messages.
    pub(crate) name: &'a str,
    pub(crate) file: &'a Arc<SourceFile>,
    pub(crate) value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Field<'a> {
    /// Where it stands.
    pub(crate) fn place(&self) -> Place {
        Place { file: Arc::clone(self.file), span: self.value.span() }
    }

    fn inside(self, value: &'a Spanned<DeValue<'a>>) -> Self {
        Self { value, ..self }
    }

    /// A part of a string, where it is written just as it is meant.
    fn part(&self, span: Option<&Range<usize>>) -> Option<Place> {
        let (whole, part) = (self.value.span(), span?);
        let text = self.value.get_ref().as_str()?;
        let raw = self.file.text().get(whole.start + 1..whole.end.checked_sub(1)?)?;
        let fits = raw == text && part.start < part.end && text.get(part.clone()).is_some();
        fits.then(|| Place {
            file: Arc::clone(self.file),
            span: whole.start + 1 + part.start..whole.start + 1 + part.end,
        })
    }

    /// Where some text stands in this string.
    fn find(&self, text: &str) -> Place {
        let whole = self.value.span();
        let at = self.file.text().get(whole.clone()).and_then(|raw| raw.find(text));
        let span = at.map_or(whole.clone(), |at| whole.start + at..whole.start + at + text.len());
        Place { file: Arc::clone(self.file), span }
    }
}

/// A table and where it stands.
#[derive(Clone)]
pub(crate) struct Section<'a> {
    pub(crate) kind: Table,
    /// As a person knows it: `[job.orders]`.
    pub(crate) title: String,
    pub(crate) file: &'a Arc<SourceFile>,
    /// Its header, or its key.
    pub(crate) header: Range<usize>,
    pub(crate) table: &'a DeTable<'a>,
}

impl<'a> Section<'a> {
    /// Where its header stands.
    pub(crate) fn place(&self) -> Place {
        Place { file: Arc::clone(self.file), span: self.header.clone() }
    }

    /// The value of a key.
    pub(crate) fn field(&self, name: &str) -> Option<Field<'a>> {
        let (key, value) = self.table.get_key_value(name)?;
        Some(Field { name: key.get_ref(), file: self.file, value })
    }

    /// Has it this key?
    pub(crate) fn has(&self, name: &str) -> bool {
        self.table.contains_key(name)
    }

    /// Is there a key that can only be a slip for this one?
    fn misspells(&self, name: &str) -> bool {
        let own = || keys::of(self.kind).map(|key| key.name);
        let slip = |got: &str| !own().any(|known| known == got) && keys::nearest(got, own()) == Some(name);
        self.table.keys().any(|got| slip(got.get_ref()))
    }

    /// Each key with its place and its value.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (Place, Field<'a>)> {
        let file = self.file;
        self.table.iter().map(move |(key, value)| {
            let place = Place { file: Arc::clone(file), span: key.span() };
            (place, Field { name: key.get_ref(), file, value })
        })
    }
}

/// Takes values out and collects what is wrong with them.
pub(crate) struct Reader<'e> {
    pub(crate) problems: Vec<Problem>,
    resolver: Resolver<'e>,
    /// Queries and schedules that were met before: a config of many jobs says the same few again and again.
    queries: HashMap<String, JsonPath>,
    crons: HashMap<(String, Tz), Cron>,
}

impl<'e> Reader<'e> {
    pub(crate) fn new(env: &'e dyn Lookup) -> Self {
        Self { problems: Vec::new(), resolver: Resolver::new(env), queries: HashMap::new(), crons: HashMap::new() }
    }

    /// The machine that the config is read on.
    pub(crate) fn machine(&self) -> &'e dyn Lookup {
        self.resolver.machine()
    }

    /// What references have yielded so far.
    pub(crate) fn secrets(&self) -> Vec<Secret> {
        self.resolver.found()
    }

    /// For a digest of tables.
    pub(crate) fn printer(&mut self) -> Printer<'_, 'e> {
        Printer::new(&mut self.resolver)
    }

    /// Notes a problem.
    pub(crate) fn note(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Notes that a table lacks something that could stand under these keys; not when one of them is there, misspelt.
    pub(crate) fn lacks(&mut self, section: &Section<'_>, keys: &[&str], message: String, hint: impl Into<String>) {
        if !keys.iter().any(|key| section.misspells(key)) {
            self.note(Problem::error(section.place(), message).hint(hint).of_absence());
        }
    }

    /// Notes each key of a table that is none.
    pub(crate) fn check_keys(&mut self, section: &Section<'_>) {
        for (place, field) in section.entries() {
            if keys::find(section.kind, field.name).is_none() {
                self.note(unknown(place, section, field.name));
            }
        }
    }

    /// A table's own keys as names of a person's choice: checks the value is a table, not its keys.
    pub(crate) fn open_table<'a>(&mut self, field: &Field<'a>, kind: Table) -> Option<Section<'a>> {
        let DeValue::Table(table) = field.value.get_ref() else {
            self.wrong_type(field, "a table");
            return None;
        };
        let title = if kind == Table::Daemon { kind.title().to_owned() } else { format!("`{}`", field.name) };
        Some(Section { kind, title, file: field.file, header: field.value.span(), table })
    }

    /// A table with known keys.
    pub(crate) fn table<'a>(&mut self, field: &Field<'a>, kind: Table) -> Option<Section<'a>> {
        let section = self.open_table(field, kind)?;
        self.check_keys(&section);
        Some(section)
    }

    /// Text with its references resolved.
    pub(crate) fn text(&mut self, field: &Field<'_>) -> Option<Written> {
        let DeValue::String(text) = field.value.get_ref() else {
            self.wrong_type(field, "text in quotes");
            return None;
        };
        let folder = field.file.path().parent().unwrap_or_else(|| std::path::Path::new(""));
        let mut pieces = Vec::new();
        let mut whole = true;
        for raw in secrets::split(text) {
            match raw {
                Raw::Plain(text) => pieces.push(Piece::Plain(text)),
                Raw::Open(_) => {
                    let message = format!("`{}` has a `${{` that is never closed", field.name);
                    self.note(
                        Problem::error(field.find("${"), message)
                            .hint("close it as in `${env:NAME}`; for the text itself write `$${`"),
                    );
                    whole = false;
                }
                Raw::Reference(reference) => match self.resolver.resolve(reference, folder) {
                    Ok(value) => pieces.push(Piece::Secret { value, reference: reference.to_owned() }),
                    Err(why) => {
                        let place = field.find(&format!("${{{reference}}}"));
                        self.note(Problem::error(place, why.problem).hint(why.hint));
                        whole = false;
                    }
                },
            }
        }
        whole.then(|| Written::new(pieces))
    }

    /// Text that `parse` understands.
    pub(crate) fn parsed<T>(
        &mut self,
        field: &Field<'_>,
        parse: impl FnOnce(&str) -> Result<T, Complaint>,
    ) -> Option<T> {
        let written = self.text(field)?;
        match parse(&written.resolved()) {
            Ok(value) => Some(value),
            Err(complaint) => {
                self.complain(field, &written, complaint);
                None
            }
        }
    }

    /// A query; equal ones share what was compiled.
    pub(crate) fn query(&mut self, field: &Field<'_>) -> Option<JsonPath> {
        let known = std::mem::take(&mut self.queries);
        let query = self.parsed(field, |text| known.get(text).cloned().map_or_else(|| JsonPath::parse(text), Ok));
        self.queries = known;
        let query = query?;
        self.queries.entry(query.as_str().to_owned()).or_insert_with(|| query.clone());
        Some(query)
    }

    /// A cron expression in a time zone; equal ones share what was compiled.
    pub(crate) fn cron(&mut self, field: &Field<'_>, zone: Tz) -> Option<Cron> {
        let known = std::mem::take(&mut self.crons);
        let parse =
            |text: &str| known.get(&(text.to_owned(), zone)).cloned().map_or_else(|| Cron::parse(text, zone), Ok);
        let cron = self.parsed(field, parse);
        self.crons = known;
        let cron = cron?;
        self.crons.entry((cron.as_str().to_owned(), zone)).or_insert_with(|| cron.clone());
        Some(cron)
    }

    /// Notes a complaint about a text; what a reference yielded is not in it.
    pub(crate) fn complain(&mut self, field: &Field<'_>, written: &Written, complaint: Complaint) {
        if let Some(reference) = written.references().next() {
            let message = format!("`{}` can't take what `${{{reference}}}` holds (it is not shown)", field.name);
            let hint = format!("look at the value of `{reference}`: is it what `{}` expects?", field.name);
            return self.note(Problem::error(field.place(), message).hint(hint));
        }
        if field.file.hides(&field.value.span()) {
            let message = format!("`{}` can't take this value (it looks like a secret and is not shown)", field.name);
            return self
                .note(Problem::error(field.place(), message).hint("is there a stray `{{`, `{%` or `{#` in it?"));
        }
        let place = field.part(complaint.span.as_ref()).unwrap_or_else(|| field.place());
        self.note(Problem::error(place, complaint.problem).maybe_hint(complaint.hint));
    }

    /// A duration within bounds.
    pub(crate) fn duration(&mut self, field: &Field<'_>, within: &RangeInclusive<Duration>) -> Option<Duration> {
        if let DeValue::Integer(number) = field.value.get_ref() {
            let message = format!("`{}` takes a duration with its unit, not a bare number", field.name);
            let hint = format!("write `{} = \"{number}s\"`; the units are ms, s, m, h, d, w", field.name);
            self.note(Problem::error(field.place(), message).hint(hint));
            return None;
        }
        let name = field.name;
        self.parsed(field, |text| {
            let duration = units::parse_duration(text)?;
            if within.contains(&duration) {
                return Ok(duration);
            }
            Err(Complaint {
                problem: format!("`{name}` can't be `{text}`"),
                hint: Some(format!(
                    "it must be at least {} and at most {}",
                    units::show_duration(*within.start()),
                    units::show_duration(*within.end())
                )),
                span: None,
            })
        })
    }

    /// A size in bytes within bounds.
    pub(crate) fn size(&mut self, field: &Field<'_>, within: &RangeInclusive<u64>) -> Option<u64> {
        let name = field.name;
        self.parsed(field, |text| {
            let size = units::parse_size(text)?;
            if within.contains(&size) {
                return Ok(size);
            }
            Err(Complaint {
                problem: format!("`{name}` can't be `{text}`"),
                hint: Some(format!("it must be at least {} and at most {} bytes", within.start(), within.end())),
                span: None,
            })
        })
    }

    /// A whole number within bounds.
    pub(crate) fn whole(&mut self, field: &Field<'_>, within: &RangeInclusive<u32>) -> Option<u32> {
        let DeValue::Integer(number) = field.value.get_ref() else {
            self.wrong_type(field, "a whole number");
            return None;
        };
        let value = u32::from_str_radix(number.as_str(), number.radix()).ok().filter(|value| within.contains(value));
        if value.is_none() {
            let message = format!("`{}` can't be `{number}`", field.name);
            let hint = format!("it must be a whole number from {} to {}", within.start(), within.end());
            self.note(Problem::error(field.place(), message).hint(hint));
        }
        value
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, field: &Field<'_>) -> Option<bool> {
        let value = field.value.get_ref().as_bool();
        if value.is_none() {
            self.wrong_type(field, "`true` or `false`");
        }
        value
    }

    /// One of some words.
    pub(crate) fn one_of<T: Copy>(&mut self, field: &Field<'_>, words: &[(&str, T)]) -> Option<T> {
        let name = field.name;
        self.parsed(field, |text| {
            words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value).ok_or_else(|| Complaint {
                problem: format!("`{name}` can't be `{text}`"),
                hint: Some({
                    let all = format!("it is one of {}", quoted(words.iter().map(|(word, _)| *word)));
                    match keys::nearest(text, words.iter().map(|(word, _)| *word)) {
                        Some(word) => format!("{all}; did you mean `{word}`?"),
                        None => all,
                    }
                }),
                span: None,
            })
        })
    }

    /// The elements of a list.
    pub(crate) fn list<'a>(&mut self, field: &Field<'a>) -> Option<Vec<Field<'a>>> {
        let DeValue::Array(array) = field.value.get_ref() else {
            self.wrong_type(field, "a list in brackets");
            return None;
        };
        Some(array.iter().map(|element| field.inside(element)).collect())
    }

    /// The elements of a list, or the one value that stands for a list of one.
    pub(crate) fn one_or_list<'a>(&mut self, field: &Field<'a>) -> Vec<Field<'a>> {
        match field.value.get_ref() {
            DeValue::Array(array) => array.iter().map(|element| field.inside(element)).collect(),
            _ => vec![*field],
        }
    }

    /// Notes that a value is of the wrong type. Says what it is, not its text: that may be a secret.
    pub(crate) fn wrong_type(&mut self, field: &Field<'_>, expected: &str) {
        let got = match field.value.get_ref() {
            DeValue::String(_) => "text",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "`true` or `false`",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        let problem = Problem::error(field.place(), format!("`{}` takes {expected}, not {got}", field.name));
        let example = match (expected, field.value.get_ref()) {
            ("a list in brackets", DeValue::String(_)) => {
                Some(format!("put it in brackets: `{} = [\"…\"]`", field.name))
            }
            ("`true` or `false`", DeValue::String(_)) => {
                Some(format!("write `{} = true`, without the quotes", field.name))
            }
            ("a whole number", DeValue::String(_)) => Some("write it without the quotes".to_owned()),
            (
                "text in quotes",
                DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_),
            ) => Some(format!("put it in quotes: `{} = \"…\"`", field.name)),
            _ => None,
        };
        self.note(problem.maybe_hint(example));
    }
}

/// Something that comes with a later version.
pub(crate) fn later(place: Place, what: &str) -> Problem {
    let version = env!("CARGO_PKG_VERSION");
    Problem::error(place, format!("this version does not have {what} yet"))
        .hint(format!("take it out: {what} comes with a version after {version}"))
}

fn unknown(place: Place, section: &Section<'_>, name: &str) -> Problem {
    let problem = Problem::error(place, format!("unknown key `{name}` in {}", section.title));
    let names: Vec<&str> = keys::of(section.kind).map(|key| key.name).collect();
    if let Some(name) = keys::nearest(name, names.iter().copied()) {
        return problem.hint(format!("did you mean `{name}`?"));
    }
    if let Some(table) = keys::elsewhere(name) {
        return problem.hint(format!("`{name}` belongs in {}", table.title()));
    }
    if names.len() > NAMES_SHOWN {
        return problem.hint(format!("docs/config.md lists the keys of {}", section.kind.title()));
    }
    problem.hint(format!("the keys here are {}", quoted(names.into_iter())))
}

/// Names in backticks with commas between them.
pub(crate) fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
