//! `format`, `csv` and `array`: what a job's answers are.
//!
//! Reads no answers.

use crate::config::keys::Table;
use crate::config::problem::Problem;
use crate::config::reader::{Field, Reader, Section};
use crate::core::document::{CsvSpec, DocumentSpec, Format};
use crate::core::path::Complaint;

/// What a job says of its answers.
pub(super) fn document(section: &Section<'_>, reader: &mut Reader<'_>) -> DocumentSpec {
    let said = section.field("format");
    let format = said.as_ref().and_then(|field| reader.one_of(field, &Format::WORDS));
    let csv = section.field("csv");
    let array = section.field("array");
    if let Some(format) = format {
        only_for(&csv, format, Format::Csv, reader);
        only_for(&array, format, Format::Xml, reader);
    }
    DocumentSpec {
        format: format.unwrap_or_default(),
        csv: csv.map(|field| rows(&field, reader)).unwrap_or_default(),
        arrays: array.and_then(|field| names(&field, reader)).unwrap_or_default(),
    }
}

/// Notes a key that says something of another format than the job's.
fn only_for(field: &Option<Field<'_>>, format: Format, wanted: Format, reader: &mut Reader<'_>) {
    let Some(field) = field.filter(|_| format != wanted && format != Format::Auto) else { return };
    let (name, wanted, format) = (field.name, wanted.as_str(), format.as_str());
    let problem = Problem::error(field.place(), format!("`{name}` says nothing of the format `{format}`"));
    reader.note(problem.hint(format!("take it out, or write `format = \"{wanted}\"`")));
}

fn rows(field: &Field<'_>, reader: &mut Reader<'_>) -> CsvSpec {
    let Some(table) = reader.table(field, Table::Csv) else { return CsvSpec::default() };
    let delimiter = table.field("delimiter").and_then(|field| reader.parsed(&field, delimiter));
    let header = table.field("header").and_then(|field| reader.boolean(&field));
    CsvSpec { delimiter, header: header.unwrap_or(CsvSpec::default().header) }
}

/// One ASCII character that can't be a part of a plain value, a quote or a line's end.
fn delimiter(text: &str) -> Result<u8, Complaint> {
    let fits = |byte: &u8| *byte == b'\t' || *byte == b' ' || (byte.is_ascii_punctuation() && *byte != b'"');
    match text.as_bytes() {
        [byte] if fits(byte) => Ok(*byte),
        _ => Err(Complaint {
            problem: format!("`delimiter` can't be `{}`", text.escape_debug()),
            hint: Some("it is one character, such as `\",\"`, `\";\"`, `\"|\"` or `\"\\t\"`".to_owned()),
            span: None,
        }),
    }
}

/// Names of elements.
fn names(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Vec<String>> {
    let list = reader.list(field)?;
    Some(list.iter().filter_map(|field| reader.parsed(field, name)).collect())
}

fn name(text: &str) -> Result<String, Complaint> {
    let stray = |letter: char| letter.is_whitespace() || "$[]<>/*@'\"".contains(letter);
    if !text.is_empty() && !text.contains(stray) {
        return Ok(text.to_owned());
    }
    let plain = text.rsplit(['.', '/', '[', ']', '<', '>', '$', '*', '\'', '"']).find(|part| !part.is_empty());
    Err(Complaint {
        problem: format!("`array` can't hold `{text}`: it names elements, as they are written in the XML"),
        hint: Some(format!("write it as in `array = [\"{}\"]`", plain.unwrap_or("order"))),
        span: None,
    })
}
