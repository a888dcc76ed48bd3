//! Polls that are due and wait for their vendor: in line by vendor, first come, first served.
//!
//! They cost no place among the polls in flight while they wait.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::core::time::Timestamp;
use crate::engine::gates::{Blocked, Gates, Turn, Way};

/// A poll that is due: since when, and the slot of its job.
pub(super) type Due = (Timestamp, usize);

/// Who waits for whom.
#[derive(Default)]
pub(super) struct Parking {
    lines: Vec<(Arc<Way>, VecDeque<Due>)>,
}

impl Parking {
    /// Lets a poll begin, unless its vendor isn't ready for it or others were there before: then it waits.
    pub(super) fn admit(&mut self, gates: &Arc<Gates>, way: &Arc<Way>, due: Due) -> Option<Turn> {
        let line = self.lines.iter_mut().find(|(known, _)| Arc::ptr_eq(known, way));
        match (line, gates.admit(way)) {
            (None, Some(turn)) => return Some(turn),
            (None, None) => self.lines.push((Arc::clone(way), VecDeque::from([due]))),
            (Some((_, line)), _) => line.push_back(due),
        }
        None
    }

    /// The next that can begin, of those that wait.
    pub(super) fn next(&mut self, gates: &Arc<Gates>) -> Option<(Due, Turn)> {
        let found = self.lines.iter_mut().find_map(|(way, line)| {
            let turn = gates.admit(way)?;
            Some((line.pop_front()?, turn))
        });
        self.lines.retain(|(_, line)| !line.is_empty());
        found
    }

    /// Sends all away that wait.
    pub(super) fn clear(&mut self) -> impl Iterator<Item = Due> + use<> {
        std::mem::take(&mut self.lines).into_iter().flat_map(|(_, line)| line)
    }

    /// When one of those that wait can begin, where that is known.
    pub(super) fn ready_at(&self, gates: &Arc<Gates>) -> Option<Timestamp> {
        let ready = self.lines.iter().filter_map(|(way, _)| match gates.blocked(way) {
            Some(Blocked::Until(ready)) => Some(ready.at),
            Some(Blocked::Busy) => None,
            None => Some(Timestamp(i64::MIN)),
        });
        ready.min()
    }
}
