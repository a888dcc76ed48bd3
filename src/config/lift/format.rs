//! `format`, `payload` and `thin`: what a sink's bodies are. They stand in a sink and in a table of `send_to`.
//!
//! Renders nothing.

use toml::de::DeValue;

use super::{EVENT_NAMES, request};
use crate::config::problem::Problem;
use crate::config::reader::{Field, Reader, Section};
use crate::core::formats::{Form, Format};
use crate::core::template::{JsonTemplate, Text};

/// What is written of it in one table.
pub(super) struct Writing {
    pub(super) form: Option<Form>,
    pub(super) thin: Option<bool>,
}

/// What a table says of its bodies.
pub(super) fn writing(section: &Section<'_>, reader: &mut Reader<'_>) -> Writing {
    let format = section.field("format").and_then(|field| reader.one_of(&field, &Format::WORDS));
    let payload = section.field("payload").and_then(|field| payload(&field, reader));
    let thin = section.field("thin").and_then(|field| reader.boolean(&field));
    if let Some(field) = section.field("payload")
        && section.has("format")
    {
        let problem = Problem::error(field.place(), format!("{} has both `format` and `payload`", section.title));
        reader.note(problem.hint("keep one of the two: a payload is a format of your own"));
    }
    Writing { form: payload.map(Form::Payload).or_else(|| format.map(Form::Named)), thin }
}

/// Notes when `thin` asks for what can't be, in a table that says one of the two.
pub(super) fn check(section: &Section<'_>, form: &Form, thin: bool, reader: &mut Reader<'_>) {
    let field = ["thin", "payload", "format"].into_iter().find_map(|name| section.field(name));
    let Some(field) = field.filter(|_| thin && !form.can_be_thin()) else { return };
    let (what, why) = match form {
        Form::Payload(_) => ("a `payload`", "it says itself what it holds"),
        Form::Named(_) => ("the format `data`", "it is the item and nothing else"),
    };
    let problem = Problem::error(field.place(), format!("{what} can't be `thin`: {why}"));
    reader.note(problem.hint("write `thin = false`, or another `format`"));
}

/// Notes when what a table says can't go into batches, where its sink has them.
pub(super) fn check_batch(section: &Section<'_>, form: &Form, batched: bool, reader: &mut Reader<'_>) {
    let field = ["payload", "format", "batch"].into_iter().find_map(|name| section.field(name));
    let Some(field) = field.filter(|_| batched && !form.can_be_batched()) else { return };
    let what = match form {
        Form::Payload(_) => "a `payload`".to_owned(),
        Form::Named(format) => format!("the format `{}`", format.word()),
    };
    let problem =
        Problem::error(field.place(), format!("{what} can't go in a `batch`, which is an array of envelopes"));
    reader.note(
        problem.hint("write `format = \"standard\"` or `format = \"cloudevents\"`, or take `batch` out of the sink"),
    );
}

/// A table or a list whose strings are templates over an event.
fn payload(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<JsonTemplate> {
    if !matches!(field.value.get_ref(), DeValue::Table(_) | DeValue::Array(_)) {
        reader.wrong_type(field, "a table or a list");
        return None;
    }
    request::tree(field, &mut String::new(), reader, &|field, written, reader| {
        if written.hides() {
            let message =
                "`payload` can't hold a secret: what it renders to is kept in the state until it is delivered";
            let problem = Problem::error(field.place(), message);
            reader.note(problem.hint("put the secret into `headers` or `url`, which are kept nowhere"));
            return None;
        }
        Text::compile(&written.parts(), EVENT_NAMES)
            .map_err(|complaint| reader.complain(field, written, complaint))
            .ok()
    })
}
