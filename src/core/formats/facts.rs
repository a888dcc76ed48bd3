//! What `when`, `type` and payloads may ask of a change, by the names that templates have for it.
//!
//! It holds what the envelope says as trees; it decides nothing.

use crate::core::envelope::Envelope;
use crate::core::json::Json;

/// The top-level names of templates over an event, and their values.
pub struct Facts<'a> {
    before: &'a Json,
    after: &'a Json,
    scope: &'a Json,
    change: Json,
    changed: Json,
    key: Json,
    job: Json,
}

impl<'a> Facts<'a> {
    /// The facts of a change; `scope`, `before` and `after` are those of the envelope as trees.
    pub fn of(envelope: &Envelope<'_>, scope: &'a Json, before: Option<&'a Json>, after: Option<&'a Json>) -> Self {
        const NOTHING: &Json = &Json::Null;
        let changed = envelope.difference.changed.iter().map(|pointer| Json::from(pointer.as_str()));
        Self {
            before: before.unwrap_or(NOTHING),
            after: after.unwrap_or(NOTHING),
            scope,
            change: Json::from(envelope.change.as_str()),
            changed: Json::Array(changed.collect()),
            key: Json::from(envelope.key.as_str()),
            job: Json::from(envelope.job.as_str()),
        }
    }

    /// Them by name.
    pub fn names(&self) -> [(&'static str, &Json); 7] {
        [
            ("before", self.before),
            ("after", self.after),
            ("change", &self.change),
            ("changed", &self.changed),
            ("key", &self.key),
            ("job", &self.job),
            ("scope", self.scope),
        ]
    }
}
