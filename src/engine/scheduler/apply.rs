//! The schedule follows the config: jobs come, go and are edited while polls are under way.
//!
//! A poll that has begun ends as it began; only its slot hears of the edit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Scheduler;
use crate::core::config::Config;
use crate::core::job::Job;
use crate::core::names::JobName;
use crate::core::time::Timestamp;
use crate::engine::Begin;
use crate::store::JobRecord;

/// When a job that failed is polled after a reload: soon, and not with each of many reloads in a row.
const AFRESH_AFTER: Duration = Duration::from_secs(1);

impl Scheduler {
    /// Is this job polled by itself?
    pub(super) fn schedules(&self, job: &Job) -> bool {
        job.enabled && self.begin == Begin::OnSchedule
    }

    /// Takes over the jobs of another config. One that was not edited keeps its phase; its poll under way, if there is
    /// one, ends as it began.
    pub(super) fn apply(&mut self, config: &Config, records: &BTreeMap<JobName, JobRecord>) {
        let now = self.world.clock.now();
        self.concurrency = config.daemon.concurrency;
        // They wait in line for a vendor as it was: they come forward again, in the order in which they were due.
        let parked = self.parking.clear();
        parked.for_each(|(_, slot)| self.enqueue(slot));
        let gone: Vec<JobName> = self.by_name.keys().filter(|name| config.job(name).is_none()).cloned().collect();
        gone.iter().for_each(|name| self.remove(name));
        for job in &config.jobs {
            match self.by_name.get(&job.name) {
                Some(at) => self.edit(*at, job.clone(), records.get(&job.name), now),
                None => self.add(job.clone(), records.get(&job.name), now),
            }
        }
    }

    /// A job that left the config. Its slot is free once its last poll has ended.
    fn remove(&mut self, name: &JobName) {
        let Some(at) = self.by_name.get(name).copied() else { return };
        let slot = &mut self.slots[at];
        (slot.gone, slot.scheduled, slot.due) = (true, false, None);
        if !slot.running {
            self.vacate(at);
        }
    }

    pub(super) fn vacate(&mut self, at: usize) {
        self.by_name.remove(&self.slots[at].job.name);
        // Who asked for it is told that there is no such job.
        let asked = std::mem::take(&mut self.asked);
        self.asked = asked.into_iter().filter(|asked| asked.slot != at).collect();
        self.free.push(at);
    }

    /// A job that the config still has. A failing one starts afresh: whoever edits the config may just have mended it.
    fn edit(&mut self, at: usize, job: Arc<Job>, record: Option<&JobRecord>, now: Timestamp) {
        let fresh = self.slot(job, record, now);
        let slot = &mut self.slots[at];
        let anew = slot.gone || slot.job.schedule != fresh.job.schedule || slot.scheduled != fresh.scheduled;
        let backs_off = std::mem::take(&mut slot.failures) > 0;
        let soon = now.plus(AFRESH_AFTER);
        let due = match (anew, backs_off) {
            (true, _) => fresh.due,
            (false, true) => slot.due.map(|due| due.min(soon)),
            (false, false) => slot.due,
        };
        let moved = due != slot.due;
        if slot.job.schedule != fresh.job.schedule {
            slot.interval = None;
        }
        (slot.job, slot.way, slot.gone) = (fresh.job, fresh.way, false);
        (slot.scheduled, slot.due) = (fresh.scheduled, due);
        if moved && !slot.running {
            self.enqueue(at);
        }
    }
}
