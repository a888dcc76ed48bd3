//! The cursor of a round: where it goes on from, what happens when that is of no use, and where the next one goes on.
//!
//! What a cursor is, is [`crate::core::cursor`]'s business.

use crate::core::cursor::{CursorState, Reach};
use crate::core::decide::Phase;
use crate::core::outcome::{Failure, PollOutcome};
use crate::core::page::Turner;
use crate::engine::report::Trace;
use crate::engine::round::{Ended, Round};
use crate::store::{PollTicket, StoreError};

/// What vendors answer to a cursor that is too old for them.
pub(super) const GONE: u16 = 410;

impl Round<'_> {
    /// The cursor that this poll goes on from. None when all is to be read: for the first time, after an edit, when it is
    /// time to see deletions, and while items are missing that may be deleted.
    pub(super) fn kept_cursor(&self) -> Option<Box<CursorState>> {
        let spec = self.job.cursor.as_ref()?;
        // What is held is not sought again by every poll, only when it may go.
        let held = self.state.hold.as_ref().filter(|hold| hold.answer.is_none()).map_or(0, |hold| hold.deletions);
        let unsettled = self.state.missing > held || self.state.settling > 0;
        let reads_all = self.whole
            || self.reads_anew
            || self.start.phase != Phase::Watching
            || self.start.old_rules.is_some()
            || unsettled;
        let kept = self.state.cursor.as_ref().filter(|kept| !reads_all && kept.print == spec.print)?;
        (!spec.is_full_due(kept, self.start.now)).then(|| kept.clone())
    }

    /// Reads all, when the cursor can't be asked with, or the vendor knows it no more: it only makes fetching cheaper.
    pub(super) async fn without_cursor(
        mut self: Box<Self>,
        failure: Failure,
        ticket: &mut PollTicket,
        trace: &mut Trace,
    ) -> Result<Ended, StoreError> {
        if self.cursor.is_none() {
            return Ok(self.failed(failure));
        }
        tracing::warn!(job = %self.job.name, reason = %failure, "the cursor is of no use; all is read");
        (self.reads_anew, self.reach) = (true, Reach::default());
        self.turner = self.job.pages.as_ref().map(|pages| Turner::new(pages, self.job.list));
        Box::pin(self.run(ticket, trace)).await
    }

    /// Why the next poll can't go on from anything, where no value that was read is of use.
    pub(super) fn lacks_cursor(&self) -> Option<String> {
        self.reach.lacks().filter(|_| self.cursor.is_none())
    }

    /// The cursor as it shall be: moved over what was read, never past what was not. Listed items whose details could not
    /// be had are remembered beside it, so that it may go past them: it would stay behind one that never comes.
    pub(super) fn next_cursor(&self, outcome: &PollOutcome) -> Option<Box<CursorState>> {
        let spec = self.job.cursor.as_ref()?;
        let kept = self.state.cursor.as_ref().filter(|kept| kept.print == spec.print);
        let is_part = matches!(outcome, PollOutcome::Partial(_));
        let whole = !is_part || (self.details.listed_whole && self.start.phase == Phase::Watching);
        if !whole && self.start.phase != Phase::Watching {
            return kept.cloned();
        }
        let stands = kept.filter(|_| !self.reads_anew).map(|kept| &kept.value);
        let value = self.reach.value(spec, stands, whole)?;
        let was = kept.and_then(|kept| kept.full);
        let full = if !is_part && self.cursor.is_none() { Some(self.start.now) } else { was };
        // Without `full_every` nobody asks when that was: writing it down would be the only thing to write.
        let full = if spec.full_every.is_some() { full } else { was };
        Some(Box::new(CursorState { print: spec.print, value, full }))
    }
}
