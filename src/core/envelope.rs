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
    /// How much of it is known: less than all of it where it was kept without a part.
    pub extent: Extent,
}

/// A rendered envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The bytes.
    pub body: Bytes,
    /// True when they are more than [`ENVELOPE_BYTES_MAX`] even without what may be left out: born dead.
    pub too_large: bool,
}

/// How much of an event is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extent {
    /// All of it.
    #[default]
    Whole,
    /// No patch, and it says so.
    WithoutPatch,
    /// No patch and no `before`, and it says so.
    WithoutPatchAndBefore,
    /// Neither item nor patch, and nothing said of it: that is how it is wanted.
    Thin,
}

impl Extent {
    fn left_out(self) -> &'static [&'static str] {
        match self {
            Self::Whole => &[],
            Self::WithoutPatch => &["patch"],
            Self::WithoutPatchAndBefore => &["patch", "before"],
            Self::Thin => &["patch", "before", "after"],
        }
    }

    fn has(self, member: &str) -> bool {
        !self.left_out().contains(&member)
    }
}

impl Envelope<'_> {
    /// Writes as much of what is known as fits: what is too large leaves out `patch`, then `before`.
    pub(in crate::core) fn fit(&self, thin: bool, write: impl Fn(Extent) -> Vec<u8>) -> Rendered {
        let extents: &[Extent] = match (thin, self.extent) {
            (true, _) | (_, Extent::Thin) => &[Extent::Thin],
            (_, Extent::Whole) => &[Extent::Whole, Extent::WithoutPatch, Extent::WithoutPatchAndBefore],
            (_, Extent::WithoutPatch) => &[Extent::WithoutPatch, Extent::WithoutPatchAndBefore],
            (_, Extent::WithoutPatchAndBefore) => &[Extent::WithoutPatchAndBefore],
        };
        let mut body = Vec::new();
        for extent in extents {
            body = write(*extent);
            if body.len() <= ENVELOPE_BYTES_MAX {
                return Rendered { body: body.into(), too_large: false };
            }
        }
        Rendered { body: body.into(), too_large: true }
    }

    /// Renders; an envelope that is too large leaves out `patch`, then `before`, and says so in `data.omitted`.
    pub fn render(&self) -> Rendered {
        self.fit(false, |extent| self.write(extent))
    }

    /// Renders without the item and the patch: who hears of it fetches the item, if it wants it.
    pub fn render_thin(&self) -> Rendered {
        self.fit(true, |extent| self.write(extent))
    }

    /// Renders what stands under `data`, alone.
    pub(in crate::core) fn render_data(&self, thin: bool) -> Rendered {
        self.fit(thin, |extent| {
            let mut out = Vec::with_capacity(self.weight());
            self.write_data(&mut out, extent);
            out
        })
    }

    /// About how many bytes it becomes.
    fn weight(&self) -> usize {
        256 + 2 * self.after.or(self.before).map_or(0, <[u8]>::len)
    }

    fn write(&self, extent: Extent) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.weight());
        out.extend_from_slice(b"{\"type\":");
        text(&mut out, self.kind);
        out.extend_from_slice(b",\"timestamp\":\"");
        out.extend_from_slice(self.at.to_string().as_bytes());
        out.extend_from_slice(b"\",\"data\":");
        self.write_data(&mut out, extent);
        out.push(b'}');
        out
    }

    /// Writes what stands under `data`.
    pub(in crate::core) fn write_data(&self, out: &mut Vec<u8>, extent: Extent) {
        out.extend_from_slice(b"{\"job\":");
        text(out, self.job.as_str());
        if !self.scope.is_whole_job() {
            member(out, "scope", self.scope.as_str().as_bytes());
        }
        out.extend_from_slice(b",\"key\":");
        text(out, self.key.as_str());
        out.extend_from_slice(b",\"change\":");
        text(out, self.change.as_str());
        if extent.has("before") {
            member(out, "before", self.before.unwrap_or(b"null"));
        }
        if extent.has("after") {
            member(out, "after", self.after.unwrap_or(b"null"));
        }
        member(out, "changed", &self.changed().to_bytes());
        if extent.has("patch") {
            member(out, "patch", &self.patch().to_bytes());
        }
        member(out, "sequence", self.sequence.to_string().as_bytes());
        if extent != Extent::Thin && !extent.left_out().is_empty() {
            let names = extent.left_out().iter().map(|name| Json::from(*name)).collect();
            member(out, "omitted", &Json::Array(names).to_bytes());
        }
        out.push(b'}');
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
            extent: Extent::Whole,
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
    fn a_thin_envelope_says_that_and_where_but_not_what() {
        let difference = Difference { changed: vec!["/total".to_owned()], patch: Vec::new() };
        let rendered = Envelope {
            kind: "orders.updated",
            at: Timestamp::parse("2026-11-20T15:04:05.123Z").unwrap(),
            job: &JobName::from("orders"),
            scope: &Scope::from("{\"account\":\"eu\"}"),
            key: &Key::from("1"),
            change: Change::Updated,
            before: Some(b"1"),
            after: Some(b"2"),
            difference: &difference,
            sequence: 42,
            extent: Extent::Whole,
        }
        .render_thin();
        assert_eq!(
            std::str::from_utf8(&rendered.body).unwrap(),
            "{\"type\":\"orders.updated\",\"timestamp\":\"2026-11-20T15:04:05.123Z\",\"data\":{\"job\":\"orders\",\
             \"scope\":{\"account\":\"eu\"},\"key\":\"1\",\"change\":\"updated\",\"changed\":[\"/total\"],\
             \"sequence\":42}}"
        );
    }

    #[test]
    fn an_envelope_that_stays_too_large_is_marked() {
        let large = format!("\"{}\"", "x".repeat(ENVELOPE_BYTES_MAX));
        assert!(render(None, Some(large.as_bytes()), &Difference::default()).too_large);
    }
}
