//! Where each job stands in the schedule, and why one that is due is not polled.

use std::collections::BTreeMap;

use super::Scheduler;
use crate::core::each::waits;
use crate::core::job::Job;
use crate::core::names::JobName;
use crate::core::time::Timestamp;

/// Where a job stands in the schedule.
#[derive(Clone, Debug)]
pub struct Run {
    /// When it is due next; none while it is paused.
    pub due: Option<Timestamp>,
    /// True while it is being polled.
    pub running: bool,
    /// Why it is not polled although it is due.
    pub blocked: Option<String>,
    /// What of its vendor it waits for; `due` is then when that ends.
    pub waits: Option<String>,
}

impl Scheduler {
    /// Where all jobs stand.
    pub(super) fn runs(&self) -> BTreeMap<JobName, Run> {
        let now = self.world.clock.now();
        let slots = self.by_name.values().map(|at| &self.slots[*at]).filter(|slot| !slot.gone);
        let runs = slots.map(|slot| {
            let goes = slot.scheduled && !slot.paused;
            let blocked = self.blocked(&slot.job).filter(|_| goes);
            let due = slot.due.filter(|_| !slot.paused);
            let is_late = !slot.running && due.is_some_and(|due| due <= now);
            let waits = if is_late { self.gates.waits(&slot.way) } else { None };
            let (due, waits) = waits.map_or((due, None), |(until, why)| (Some(until), Some(why)));
            (slot.job.name.clone(), Run { due, running: slot.running, blocked, waits })
        });
        runs.collect()
    }

    /// Why a job is not polled for now, although it is due.
    pub(super) fn blocked(&self, job: &Job) -> Option<String> {
        self.poller.blocked(job).or_else(|| self.awaited(job))
    }

    /// The job whose items it asks for, as long as they are not known: it would lose its first poll over that.
    fn awaited(&self, job: &Job) -> Option<String> {
        let is_awaited = |source: &JobName| {
            self.by_name.get(source).map(|at| &self.slots[*at]).is_some_and(|slot| slot.scheduled && !slot.complete)
        };
        let each = job.each.as_ref()?;
        each.sources().find(|(_, source)| is_awaited(source)).map(|(name, source)| waits(name, source))
    }
}
