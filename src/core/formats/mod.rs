//! How an event is written for a sink: one file for each kind of body, rendered once at the commit and kept as bytes.
//!
//! Nothing here decides who gets an event, and nothing sends it. What a body is sent with is [`Wire`].

mod chat;
mod cloudevents;
mod discord;
mod facts;
mod slack;
mod teams;
#[cfg(test)]
mod tests;
mod wire;

use bytes::Bytes;

use crate::core::diff::Change;
use crate::core::envelope::{ENVELOPE_BYTES_MAX, Envelope, Rendered};
use crate::core::json::Json;
use crate::core::names::{EventId, Key};
use crate::core::template::{JsonTemplate, Names};
use crate::core::time::Timestamp;

pub use facts::Facts;
pub use wire::Wire;

/// A body that has a name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// The event's envelope.
    #[default]
    Standard,
    /// CloudEvents 1.0 in the structured content mode.
    CloudEvents,
    /// CloudEvents 1.0 in the binary content mode.
    CloudEventsBinary,
    /// The item alone.
    Data,
    /// A message for an incoming webhook of Slack.
    Slack,
    /// A message for a webhook of Discord.
    Discord,
    /// A message for a workflow of Microsoft Teams.
    Teams,
}

impl Format {
    /// Every format by the word that the config has for it.
    pub const WORDS: [(&'static str, Self); 7] = [
        ("standard", Self::Standard),
        ("cloudevents", Self::CloudEvents),
        ("cloudevents-binary", Self::CloudEventsBinary),
        ("data", Self::Data),
        ("slack", Self::Slack),
        ("discord", Self::Discord),
        ("teams", Self::Teams),
    ];

    /// The word that the config has for it.
    pub fn word(self) -> &'static str {
        Self::WORDS.into_iter().find_map(|(word, format)| (format == self).then_some(word)).unwrap_or_default()
    }
}

/// What a sink's bodies are.
#[derive(Clone, Debug)]
pub enum Form {
    /// One of those that have a name.
    Named(Format),
    /// A table of the config, each string a template: JSON by construction.
    Payload(JsonTemplate),
}

impl Default for Form {
    fn default() -> Self {
        Self::Named(Format::default())
    }
}

impl Form {
    /// False where there is nothing that `thin` could leave out: a payload says itself what it holds, and `data` is
    /// the item and nothing else.
    pub fn can_be_thin(&self) -> bool {
        !matches!(self, Self::Payload(_) | Self::Named(Format::Data))
    }

    /// True for the envelopes: a batch is an array of them. The others are for receivers that take one at a time, or
    /// have a part in headers.
    pub fn can_be_batched(&self) -> bool {
        matches!(self, Self::Named(Format::Standard | Format::CloudEvents))
    }
}

/// An event that is about to be written.
#[derive(Clone, Copy)]
pub struct Telling<'a> {
    /// The event's id.
    pub id: &'a EventId,
    /// What the event says.
    pub envelope: &'a Envelope<'a>,
    /// `envelope.before` as a tree.
    pub before: Option<&'a Json>,
    /// `envelope.after` as a tree.
    pub after: Option<&'a Json>,
    /// What templates may ask of it.
    pub names: &'a Names<'a>,
}

/// A system event that is about to be written.
#[derive(Clone, Copy)]
pub struct SystemEvent<'a> {
    /// The event's id.
    pub id: &'a EventId,
    /// Its type.
    pub kind: &'a str,
    /// What it is about, which is its key.
    pub subject: &'a Key,
    /// When it rang.
    pub at: Timestamp,
    /// Its number in the stream of system events.
    pub sequence: u64,
    /// What its envelope has under `data`.
    pub data: &'a Json,
}

impl SystemEvent<'_> {
    /// The sentence that says why.
    fn reason(&self) -> &str {
        self.data.get("reason").and_then(Json::as_str).unwrap_or_default()
    }
}

/// A delivery's body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The bytes; `None`: those of the event's envelope. Empty where nothing could be written.
    pub body: Option<Bytes>,
    /// What they are sent with.
    pub wire: Wire,
    /// Why there is nothing to send.
    pub fault: Option<Fault>,
}

/// Why an event could not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// More than [`ENVELOPE_BYTES_MAX`], with everything left out that may be.
    #[error("the event is larger than 1 MiB even without what may be left out")]
    TooLarge,
    /// A payload of the config's own is more than [`ENVELOPE_BYTES_MAX`].
    #[error("the payload is larger than 1 MiB")]
    PayloadTooLarge,
    /// A template of a payload failed.
    #[error("the payload could not be rendered: {0}")]
    Payload(String),
}

/// Writes a system event. It has no item that `data` could be, and that a payload could be made of: those get its
/// envelope. `thin` leaves nothing out of it.
pub fn write_system(form: &Form, event: &SystemEvent<'_>) -> Written {
    let (kind, reason) = (event.kind, event.reason());
    let whole = |body: Vec<u8>, wire| Written { body: Some(body.into()), wire, fault: None };
    match form {
        Form::Named(Format::Slack) => Written::small(&slack::sentence(kind, reason)),
        Form::Named(Format::Discord) => Written::small(&discord::sentence(kind, reason)),
        Form::Named(Format::Teams) => Written::small(&teams::sentence(kind, reason)),
        Form::Named(Format::CloudEvents) => whole(cloudevents::structured_system(event), Wire::CloudEvents),
        Form::Named(Format::CloudEventsBinary) => whole(event.data.to_bytes(), Wire::CloudEventsBinary),
        Form::Named(Format::Standard | Format::Data) | Form::Payload(_) => Written::envelope(),
    }
}

/// Writes an event. `thin` leaves out the item: what is said is that it changed, and where.
pub fn write(form: &Form, thin: bool, telling: &Telling<'_>) -> Written {
    let envelope = telling.envelope;
    match form {
        Form::Payload(template) => payload(template, telling.names),
        Form::Named(Format::Standard) if thin => Written::of(envelope.render_thin(), Wire::Json),
        Form::Named(Format::Standard) => Written::envelope(),
        Form::Named(Format::CloudEvents) => Written::of(cloudevents::structured(telling, thin), Wire::CloudEvents),
        Form::Named(Format::CloudEventsBinary) => Written::of(envelope.render_data(thin), Wire::CloudEventsBinary),
        Form::Named(Format::Data) => data(envelope),
        Form::Named(Format::Slack) => Written::small(&slack::message(&chat::Message::of(telling, thin))),
        Form::Named(Format::Discord) => Written::small(&discord::message(&chat::Message::of(telling, thin))),
        Form::Named(Format::Teams) => Written::small(&teams::message(&chat::Message::of(telling, thin))),
    }
}

/// A table of the config, filled in.
fn payload(template: &JsonTemplate, names: &Names<'_>) -> Written {
    match template.render(names) {
        Ok(text) if text.expose().len() > ENVELOPE_BYTES_MAX => Written::faulty(Fault::PayloadTooLarge),
        Ok(text) => Written { body: Some(Bytes::from(text.expose().to_owned())), wire: Wire::Own, fault: None },
        Err(why) => Written::faulty(Fault::Payload(why)),
    }
}

/// The item alone: as it is now, or as it was when it is gone.
fn data(envelope: &Envelope<'_>) -> Written {
    let item = if envelope.change == Change::Deleted { envelope.before } else { envelope.after };
    let body = Bytes::copy_from_slice(item.unwrap_or(b"null"));
    let too_large = body.len() > ENVELOPE_BYTES_MAX;
    Written::of(Rendered { body, too_large }, Wire::Own)
}

impl Written {
    /// What is kept of the event anyway.
    fn envelope() -> Self {
        Self { body: None, wire: Wire::Json, fault: None }
    }

    fn of(rendered: Rendered, wire: Wire) -> Self {
        match rendered.too_large {
            true => Self { wire, ..Self::faulty(Fault::TooLarge) },
            false => Self { body: Some(rendered.body), wire, fault: None },
        }
    }

    /// A message that keeps its own, far smaller limits.
    fn small(message: &Json) -> Self {
        Self { body: Some(Bytes::from(message.to_bytes())), wire: Wire::Own, fault: None }
    }

    fn faulty(fault: Fault) -> Self {
        Self { body: Some(Bytes::new()), wire: Wire::Own, fault: Some(fault) }
    }
}
