//! An event that is kept, written once more for a sink as the config is today: what `replay --render` sends.
//!
//! What the event says stays: its id, type, items and number. Who gets it is not decided anew, only how it is told.

use bytes::Bytes;

use crate::core::alert::SYSTEM_JOB;
use crate::core::config::Config;
use crate::core::diff::{Change, Difference, PatchOp};
use crate::core::envelope::{ENVELOPE_BYTES_MAX, Envelope, Extent};
use crate::core::formats::{self, Facts, Fault, Form, Format, SystemEvent, Telling, Wire, Written};
use crate::core::job::Job;
use crate::core::json::{Json, parse};
use crate::core::names::{EventId, JobName, Key, Scope, SinkName};
use crate::core::sink::Sink;
use crate::core::time::Timestamp;

#[cfg(test)]
mod tests;

/// Why what is kept can't be read.
const NO_ENVELOPE: &str = "the event as it is kept is not an envelope";

/// An event as it is kept, and whom it is to be written for.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Its id.
    pub id: EventId,
    /// The job that saw it.
    pub job: JobName,
    /// The item that it is of; of a system event, what that is about.
    pub key: Key,
    /// Its envelope, as it was written at the commit.
    pub body: Bytes,
    /// Who gets it.
    pub sink: SinkName,
}

/// A delivery's body, written anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rerendered {
    /// The bytes; `None`: those of the event's envelope.
    pub body: Option<Bytes>,
    /// What they are sent with.
    pub wire: Wire,
}

/// Writes an event anew.
///
/// # Errors
///
/// The sentence says why it can't be: its sink or job is gone, it can't be rendered or is too large, or what the sink
/// wants of it was left out when it was kept.
pub fn rerender(config: &Config, kept: &Kept) -> Result<Rerendered, String> {
    let sink = config.sink(&kept.sink).ok_or_else(|| gone("sink", kept.sink.as_str()))?;
    let tree = parse(&kept.body).map_err(|error| format!("the event as it is kept can't be read: {error}"))?;
    if kept.job.as_str() == SYSTEM_JOB {
        let written = notice(sink, kept, &tree).ok_or(NO_ENVELOPE)?;
        return Ok(Rerendered { body: written.body, wire: written.wire });
    }
    let job = config.job(&kept.job).ok_or_else(|| gone("job", kept.job.as_str()))?;
    let told = Told::read(&tree).ok_or(NO_ENVELOPE)?;
    let written = told.write(kept, job, sink)?;
    let too_large = written.body.is_none() && kept.body.len() > ENVELOPE_BYTES_MAX;
    match written.fault.or(too_large.then_some(Fault::TooLarge)) {
        Some(fault) => Err(fault.to_string()),
        None => Ok(Rerendered { body: written.body, wire: written.wire }),
    }
}

fn gone(what: &str, name: &str) -> String {
    format!("the {what} `{name}` is not in the config, which says how it is written")
}

/// A system event.
fn notice(sink: &Sink, kept: &Kept, tree: &Json) -> Option<Written> {
    let data = tree.get("data")?;
    let event = SystemEvent {
        id: &kept.id,
        kind: tree.get("type")?.as_str()?,
        subject: &kept.key,
        at: Timestamp::parse(tree.get("timestamp")?.as_str()?)?,
        sequence: data.get("sequence")?.as_number()?.as_u64()?,
        data,
    };
    Some(formats::write_system(&sink.form, &event))
}

/// What an envelope says.
struct Told<'a> {
    kind: &'a str,
    at: Timestamp,
    scope: Option<&'a Json>,
    key: Key,
    change: Change,
    before: Option<&'a Json>,
    after: Option<&'a Json>,
    difference: Difference,
    sequence: u64,
    extent: Extent,
}

impl<'a> Told<'a> {
    fn read(tree: &'a Json) -> Option<Self> {
        let data = tree.get("data")?;
        let change = Change::parse(data.get("change")?.as_str()?)?;
        let omitted = data.get("omitted").and_then(Json::as_array).unwrap_or_default();
        let is_omitted = |name: &str| omitted.iter().any(|word| word.as_str() == Some(name));
        let changed = data.get("changed")?.as_array()?.iter().filter_map(|pointer| Some(pointer.as_str()?.to_owned()));
        let patch = data.get("patch").and_then(Json::as_array).unwrap_or_default();
        Some(Self {
            kind: tree.get("type")?.as_str()?,
            at: Timestamp::parse(tree.get("timestamp")?.as_str()?)?,
            scope: data.get("scope"),
            key: Key::from(data.get("key")?.as_str()?),
            change,
            before: data.get("before").filter(|_| change != Change::Created),
            after: data.get("after").filter(|_| change != Change::Deleted),
            difference: Difference {
                changed: changed.collect(),
                patch: patch.iter().map(PatchOp::from_json).collect::<Option<_>>()?,
            },
            sequence: data.get("sequence")?.as_number()?.as_u64()?,
            extent: match (is_omitted("before"), is_omitted("patch")) {
                (true, _) => Extent::WithoutPatchAndBefore,
                (false, true) => Extent::WithoutPatch,
                (false, false) => Extent::Whole,
            },
        })
    }

    /// Writes it on the way that it would take today; where none of the job's ways is its own any more, as the sink
    /// says.
    fn write(&self, kept: &Kept, job: &Job, sink: &Sink) -> Result<Written, String> {
        let scope = Scope::from(self.scope.map(Json::to_string).unwrap_or_default().as_str());
        let (before, after) = (self.before.map(Json::to_bytes), self.after.map(Json::to_bytes));
        let envelope = Envelope {
            kind: self.kind,
            at: self.at,
            job: &kept.job,
            scope: &scope,
            key: &self.key,
            change: self.change,
            before: before.as_deref(),
            after: after.as_deref(),
            difference: &self.difference,
            sequence: self.sequence,
            extent: self.extent,
        };
        let write = |before: Option<&Json>| {
            let facts = Facts::of(&envelope, self.scope.unwrap_or(&Json::Null), before, self.after);
            let names = facts.names();
            let mut ways = job.send_to.iter().filter(|way| way.sink == sink.name);
            let way = ways.find(|way| way.when.as_ref().is_none_or(|when| when.holds(&names).unwrap_or(true)));
            let (form, thin) = way.map_or((&sink.form, sink.thin), |way| way.writing(sink));
            let telling = Telling { id: &kept.id, envelope: &envelope, before, after: self.after, names: &names };
            (self.needs_before(form, thin), formats::write(form, thin, &telling))
        };
        let (needs, written) = write(self.before);
        if self.extent != Extent::WithoutPatchAndBefore || self.change == Change::Created {
            return Ok(written);
        }
        // What a payload takes from `before` shows when there is one.
        if needs || write(self.after).1 != written {
            let why = "it was kept without `before`, because it is larger than 1 MiB, and that is needed";
            return Err(why.to_owned());
        }
        Ok(written)
    }

    /// True where a body is wrong without `before` and does not say so.
    fn needs_before(&self, form: &Form, thin: bool) -> bool {
        match form {
            Form::Named(Format::Slack | Format::Discord | Format::Teams) => !thin,
            Form::Named(Format::Data) => self.change == Change::Deleted,
            Form::Named(Format::Standard | Format::CloudEvents | Format::CloudEventsBinary) | Form::Payload(_) => false,
        }
    }
}
