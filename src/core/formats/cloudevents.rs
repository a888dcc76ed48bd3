//! CloudEvents 1.0: the attributes of an event, and the body of the structured mode.
//!
//! The data is what stands under `data` in the standard envelope. How the attributes become headers is in `wire`.

use crate::core::alert::SYSTEM_JOB;
use crate::core::delivery::Parcel;
use crate::core::envelope::Rendered;
use crate::core::formats::{SystemEvent, Telling};
use crate::core::json::Json;
use crate::core::names::{EventId, Key};
use crate::core::time::Timestamp;

/// What the attributes are made of.
pub(super) struct Context<'a> {
    id: &'a EventId,
    kind: &'a str,
    job: &'a str,
    key: &'a Key,
    at: Timestamp,
    sequence: u64,
}

impl<'a> From<&'a Parcel> for Context<'a> {
    fn from(parcel: &'a Parcel) -> Self {
        Self {
            id: &parcel.event,
            kind: &parcel.kind,
            job: parcel.job.as_str(),
            key: &parcel.key,
            at: parcel.seen_at,
            sequence: parcel.sequence,
        }
    }
}

impl<'a> From<&Telling<'a>> for Context<'a> {
    fn from(telling: &Telling<'a>) -> Self {
        let envelope = telling.envelope;
        Self {
            id: telling.id,
            kind: envelope.kind,
            job: envelope.job.as_str(),
            key: envelope.key,
            at: envelope.at,
            sequence: envelope.sequence,
        }
    }
}

impl<'a> From<&SystemEvent<'a>> for Context<'a> {
    fn from(event: &SystemEvent<'a>) -> Self {
        let SystemEvent { id, kind, subject, at, sequence, .. } = *event;
        Self { id, kind, job: SYSTEM_JOB, key: subject, at, sequence }
    }
}

/// The attributes, but for `datacontenttype`, in the order in which they are written. `subject` and `partitionkey`
/// may not be empty (sections 3.1 and "Partitioning"), so a job whose one item has no key does without.
pub(super) fn attributes(context: &Context<'_>) -> Vec<(&'static str, String)> {
    let key = allowed(context.key.as_str());
    let mut attributes = vec![
        ("specversion", "1.0".to_owned()),
        ("id", context.id.as_str().to_owned()),
        ("source", format!("doorbell/{}", context.job)),
        ("type", allowed(context.kind)),
    ];
    if !key.is_empty() {
        attributes.push(("subject", key.clone()));
    }
    attributes.push(("time", context.at.to_string()));
    if !key.is_empty() {
        attributes.push(("partitionkey", key));
    }
    // Extension "sequence": texts that sort like the numbers.
    attributes.push(("sequence", format!("{:020}", context.sequence)));
    attributes
}

/// The header that an attribute is in the binary mode (HTTP protocol binding, section 3.1.3.1).
pub(super) fn name_of_header(attribute: &str) -> &'static str {
    match attribute {
        "specversion" => "ce-specversion",
        "id" => "ce-id",
        "source" => "ce-source",
        "type" => "ce-type",
        "subject" => "ce-subject",
        "time" => "ce-time",
        "partitionkey" => "ce-partitionkey",
        _ => "ce-sequence",
    }
}

/// A text as an attribute may hold it: without control characters and noncharacters (section "Type System").
fn allowed(text: &str) -> String {
    let refused = |letter: char| {
        let code = u32::from(letter);
        letter.is_control() || (0xFDD0..=0xFDEF).contains(&code) || code & 0xFFFE == 0xFFFE
    };
    text.chars().map(|letter| if refused(letter) { char::REPLACEMENT_CHARACTER } else { letter }).collect()
}

/// The body of the structured mode (JSON event format, section 3).
pub(super) fn structured(telling: &Telling<'_>, thin: bool) -> Rendered {
    let head = head(&telling.into());
    telling.envelope.fit(thin, |extent| {
        let mut body = head.clone();
        telling.envelope.write_data(&mut body, extent);
        body.push(b'}');
        body
    })
}

/// The same of a system event.
pub(super) fn structured_system(event: &SystemEvent<'_>) -> Vec<u8> {
    let mut body = head(&event.into());
    event.data.write(&mut body);
    body.push(b'}');
    body
}

/// What stands before the data.
fn head(context: &Context<'_>) -> Vec<u8> {
    let mut head = vec![b'{'];
    for (name, value) in attributes(context) {
        Json::from(name).write(&mut head);
        head.push(b':');
        Json::from(value).write(&mut head);
        head.push(b',');
    }
    head.extend_from_slice(b"\"datacontenttype\":\"application/json\",\"data\":");
    head
}
