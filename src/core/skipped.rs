//! Which events of an item never came: those that died on their way before the one that is sent now.
//!
//! A receiver is told in headers of the attempt and not in the body, because the body's bytes are fixed at the commit,
//! when nobody knows yet what will die.

use crate::core::names::EventId;

/// Ids that one attempt names at most: about 1 KiB of header, which every server takes.
pub const SKIPPED_MAX: usize = 32;

/// Names the events that died: `evt_…,evt_…`, oldest first.
pub const SKIPPED: &str = "doorbell-skipped";

/// How many more died than [`SKIPPED`] names.
pub const SKIPPED_MORE: &str = "doorbell-skipped-more";

/// The events of a lane that died since the last one of it that was delivered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// The latest of them, at most [`SKIPPED_MAX`], oldest first.
    pub ids: Vec<EventId>,
    /// How many died before those.
    pub more: u64,
}

impl Skipped {
    /// True when nothing died.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The headers that say so.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, String)> + use<> {
        let named = (!self.ids.is_empty()).then(|| {
            let ids: Vec<&str> = self.ids.iter().map(EventId::as_str).collect();
            (SKIPPED, ids.join(","))
        });
        let more = (self.more > 0).then(|| (SKIPPED_MORE, self.more.to_string()));
        named.into_iter().chain(more)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_sent_only_when_there_is_something_to_say() {
        assert_eq!(Skipped::default().headers().count(), 0);
        let skipped = Skipped { ids: vec!["evt_a".into(), "evt_b".into()], more: 0 };
        assert_eq!(skipped.headers().collect::<Vec<_>>(), [(SKIPPED, "evt_a,evt_b".to_owned())]);
        let many = Skipped { more: 7, ..skipped };
        assert_eq!(many.headers().last(), Some((SKIPPED_MORE, "7".to_owned())));
    }
}
