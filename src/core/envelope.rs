//! The webhook's body in format `standard`: rendered once, at the commit, and kept as bytes.
//!
//! Written by hand, member by member, so that the order is the documented one and the vendor's digits stay.

use bytes::Bytes;

use crate::core::diff::{Change, Difference, PatchOp};
use crate::core::json::Json;
use crate::core::names::{JobName, Key, Scope};
use crate::core::time::Timestamp;

/// The largest envelope that is sent.
pub const ENVELOPE_BYTES_MAX: usize = 1024 * 1024;

/// Everything that an envelope says.
#[derive(Debug)]
pub struct Envelope<'a> {
    /// The event's type.
    pub kind: &'a str,
    /// When the poll saw the change.
    pub at: Timestamp,
    /// The job.
    pub job: &'a JobName,
    /// Left out for a job without `each`.
    pub scope: &'a Scope,
    /// The item's key.
    pub key: &'a Key,
    /// What happened to it.
    pub change: Change,
    /// The body last reported, as compact JSON; none on created.
    pub before: Option<&'a [u8]>,
    /// The body now, as compact JSON; none on deleted.
    pub after: Option<&'a [u8]>,
    /// What differs.
    pub difference: &'a Difference,
    /// The event's number in its job and scope.
    pub sequence: u64,
}

/// A rendered envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The bytes.
    pub body: Bytes,
    /// True when they are more than [`ENVELOPE_BYTES_MAX`] even without what may be left out: born dead.
    pub too_large: bool,
}

impl Envelope<'_> {
    /// Renders; an envelope that is too large leaves out `patch`, then `before`, and says so in `data.omitted`.
    pub fn render(&self) -> Rendered {
        for omitted in [&[][..], &["patch"], &["patch", "before"]] {
            let body = self.write(omitted);
            if body.len() <= ENVELOPE_BYTES_MAX {
                return Rendered { body: body.into(), too_large: false };
            }
        }
        Rendered { body: self.write(&["patch", "before"]).into(), too_large: true }
    }

    fn write(&self, omitted: &[&str]) -> Vec<u8> {
        let mut out = Vec::with_capacity(256 + 2 * self.after.or(self.before).map_or(0, <[u8]>::len));
        out.extend_from_slice(b"{\"type\":");
        text(&mut out, self.kind);
        out.extend_from_slice(b",\"timestamp\":\"");
        out.extend_from_slice(self.at.to_string().as_bytes());
        out.extend_from_slice(b"\",\"data\":{\"job\":");
        text(&mut out, self.job.as_str());
        if !self.scope.is_whole_job() {
            member(&mut out, "scope", self.scope.as_str().as_bytes());
        }
        out.extend_from_slice(b",\"key\":");
        text(&mut out, self.key.as_str());
        out.extend_from_slice(b",\"change\":");
        text(&mut out, self.change.as_str());
        if !omitted.contains(&"before") {
            member(&mut out, "before", self.before.unwrap_or(b"null"));
        }
        member(&mut out, "after", self.after.unwrap_or(b"null"));
        member(&mut out, "changed", &self.changed().to_bytes());
        if !omitted.contains(&"patch") {
            member(&mut out, "patch", &self.patch().to_bytes());
        }
        member(&mut out, "sequence", self.sequence.to_string().as_bytes());
        if !omitted.is_empty() {
            let names = omitted.iter().map(|name| Json::from(*name)).collect();
            member(&mut out, "omitted", &Json::Array(names).to_bytes());
        }
        out.extend_from_slice(b"}}");
        out
    }

    fn changed(&self) -> Json {
        Json::Array(self.difference.changed.iter().map(|pointer| Json::from(pointer.as_str())).collect())
    }

    fn patch(&self) -> Json {
        Json::Array(self.difference.patch.iter().map(PatchOp::to_json).collect())
    }
}

fn text(out: &mut Vec<u8>, text: &str) {
    Json::from(text).write(out);
}

fn member(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(before: Option<&[u8]>, after: Option<&[u8]>, difference: &Difference) -> Rendered {
        Envelope {
            kind: "orders.updated",
            at: Timestamp::parse("2026-11-20T15:04:05.123Z").unwrap(),
            job: &JobName::from("orders"),
            scope: &Scope::default(),
            key: &Key::from("12\"3"),
            change: Change::Updated,
            before,
            after,
            difference,
            sequence: 42,
        }
        .render()
    }

    #[test]
    fn an_envelope_has_the_documented_members_in_the_documented_order() {
        let difference = Difference {
            changed: vec!["/total".to_owned()],
            patch: vec![PatchOp::Remove { path: "/total".to_owned() }],
        };
        let rendered = render(Some(b"{\"total\":10.10}"), Some(b"{}"), &difference);
        assert_eq!(
            std::str::from_utf8(&rendered.body).unwrap(),
            "{\"type\":\"orders.updated\",\"timestamp\":\"2026-11-20T15:04:05.123Z\",\"data\":{\"job\":\"orders\",\
             \"key\":\"12\\\"3\",\"change\":\"updated\",\"before\":{\"total\":10.10},\"after\":{},\
             \"changed\":[\"/total\"],\"patch\":[{\"op\":\"remove\",\"path\":\"/total\"}],\"sequence\":42}}"
        );
    }

    #[test]
    fn a_large_envelope_leaves_out_the_patch_and_then_before_and_says_so() {
        let large = format!("\"{}\"", "x".repeat(600_000));
        let rendered = render(Some(large.as_bytes()), Some(large.as_bytes()), &Difference::default());
        let body = std::str::from_utf8(&rendered.body).unwrap();
        assert!(!rendered.too_large);
        assert!(body.ends_with(",\"sequence\":42,\"omitted\":[\"patch\",\"before\"]}}"));
        assert!(!body.contains("\"before\":\""));
    }

    #[test]
    fn an_envelope_that_stays_too_large_is_marked() {
        let large = format!("\"{}\"", "x".repeat(ENVELOPE_BYTES_MAX));
        assert!(render(None, Some(large.as_bytes()), &Difference::default()).too_large);
    }
}
