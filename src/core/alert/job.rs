//! A job's bell: what its polls have been like, and what follows from that at some moment.
//!
//! It counts by itself, poll by poll, so that nothing is read from the state to decide.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::core::alert::expressions::{Expressions, Tried};
use crate::core::alert::{Alerts, Bell, STALE_MIN, Trouble};
use crate::core::hold::Hold;
use crate::core::names::{JobName, Key};
use crate::core::outcome::PollOutcome;
use crate::core::schedule::Schedule;
use crate::core::time::Timestamp;
use crate::core::units::show_duration;

/// What the state remembers of a job's polls when the daemon starts.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// Failed polls in a row.
    pub failures: u32,
    /// The sentence of the last outcome.
    pub reason: Option<String>,
    /// When it was last polled.
    pub last_poll: Option<Timestamp>,
    /// When a poll last ended as complete or unchanged.
    pub last_success: Option<Timestamp>,
    /// What waits for a person.
    pub hold: Option<Box<Hold>>,
}

/// What is known of a job, and the bell that rings for it.
#[derive(Clone, Debug)]
pub struct JobWatch {
    /// Failed polls in a row, and partial ones as long as there is no baseline.
    failures: u32,
    /// When the first of those ended.
    since: Timestamp,
    reason: Box<str>,
    /// The last complete poll.
    last_good: Option<Timestamp>,
    /// The moment from which it is watched.
    watched: Timestamp,
    /// From then on it is stale; `None` for a job that nobody polls by itself.
    stale_at: Option<Timestamp>,
    bell: Option<Box<Bell>>,
    /// What waits for a person, and the bell that rings for that.
    hold: Option<Box<Hold>>,
    held: Option<Box<Bell>>,
    /// Set when an expression has failed, or its bell rings.
    expressions: Option<Box<Expressions>>,
}

/// What follows from what is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JobTurn {
    /// It rings, for the first time or again; the bell as it is then.
    Ring(Bell),
    /// It is over; the bell that rang.
    Recovered(Bell),
    /// It is over, and nobody has to be told: a person has ended it, or there is nothing left of it.
    Silenced(Bell),
}

impl JobWatch {
    /// Watches a job from `now` on: a daemon that was down for long gives its jobs the time to be polled. `schedule` is
    /// that of a job which is polled by itself.
    pub fn begin(
        past: Past,
        bells: impl IntoIterator<Item = Bell>,
        schedule: Option<&Schedule>,
        alerts: &Alerts,
        now: Timestamp,
    ) -> Self {
        let mut watch = Self {
            failures: past.failures,
            since: past.last_poll.unwrap_or(now),
            reason: past.reason.unwrap_or_default().into(),
            last_good: past.last_success,
            watched: now,
            stale_at: schedule.map(|schedule| stale_at(schedule, alerts.stale, now)),
            bell: None,
            hold: past.hold,
            held: None,
            expressions: None,
        };
        bells.into_iter().for_each(|bell| watch.set_bell(bell));
        watch
    }

    /// A poll has ended.
    pub fn polled(&mut self, outcome: &PollOutcome, at: Timestamp, schedule: &Schedule, alerts: &Alerts) {
        match outcome {
            PollOutcome::Complete | PollOutcome::Unchanged => {
                self.last_good = Some(at);
                self.stale_at = self.stale_at.map(|_| stale_at(schedule, alerts.stale, at));
                self.failures = 0;
            }
            PollOutcome::Partial(_) if self.last_good.is_some() => self.failures = 0,
            PollOutcome::Partial(reason) => self.failed(reason, at),
            PollOutcome::Failed(failure) => self.failed(&failure.sentence, at),
        }
    }

    /// After a poll, this waits for a person.
    pub fn holds(&mut self, hold: Option<Box<Hold>>, at: Timestamp) {
        let lacks_baseline = |hold: &Option<Box<Hold>>| hold.as_ref().is_some_and(|hold| hold.baseline);
        if lacks_baseline(&self.hold) && !lacks_baseline(&hold) {
            // Read whole, or accepted as it is.
            self.failures = 0;
            self.last_good.get_or_insert(at);
        }
        self.hold = hold;
    }

    /// A poll that told events tried the job's expressions, with these failures.
    pub fn tried(&mut self, failures: &BTreeSet<String>, alerts: &Alerts, at: Timestamp) -> Tried {
        if failures.is_empty() && self.expressions.is_none() {
            return Tried::Failed(Vec::new());
        }
        self.expressions.get_or_insert_default().tried(failures, alerts.after, at)
    }

    /// How its expressions failed since they last worked.
    pub fn failed_expressions(&self) -> Option<String> {
        self.expressions.as_ref()?.reason()
    }

    fn failed(&mut self, reason: &str, at: Timestamp) {
        if self.failures == 0 {
            self.since = at;
        }
        self.failures = self.failures.saturating_add(1);
        if *self.reason != *reason {
            self.reason = reason.into();
        }
    }

    /// What follows at `now`, if anything.
    pub fn turn(&self, job: &JobName, alerts: &Alerts, now: Timestamp) -> Option<JobTurn> {
        if let Some(turn) = self.hold_turn(job, alerts, now) {
            return Some(turn);
        }
        if let Some(turn) = self.expressions.as_ref().and_then(|expressions| expressions.turn(job, now)) {
            return Some(turn);
        }
        let fails = self.failures >= alerts.after;
        let is_stale = self.stale_at.is_some_and(|moment| moment <= now);
        let Some(bell) = self.bell.as_deref() else {
            let begin = |trouble| JobTurn::Ring(self.first(trouble, job, now));
            return match (fails, is_stale) {
                (true, _) => Some(begin(Trouble::Failing)),
                (false, true) => Some(begin(Trouble::Stale)),
                (false, false) => None,
            };
        };
        let is_due = now.since(bell.rang) >= alerts.remind;
        match bell.trouble {
            Trouble::Failing if self.failures == 0 => Some(JobTurn::Recovered(bell.clone())),
            Trouble::Failing if is_due => Some(JobTurn::Ring(bell.again(now, self.reason.to_string()))),
            Trouble::Failing => None,
            _ if fails => Some(JobTurn::Ring(self.first(Trouble::Failing, job, now))),
            _ if self.last_good.is_some_and(|good| good > bell.rang) => Some(JobTurn::Recovered(bell.clone())),
            _ if is_due => Some(JobTurn::Ring(bell.again(now, stale_for(bell.since, now)))),
            _ => None,
        }
    }

    /// What follows of what waits for a person: it rings once, and again as a reminder; another one rings anew.
    fn hold_turn(&self, job: &JobName, alerts: &Alerts, now: Timestamp) -> Option<JobTurn> {
        let Some(hold) = self.hold.as_deref().filter(|hold| hold.rings()) else {
            return self.held.as_deref().cloned().map(JobTurn::Silenced);
        };
        let reason = || hold.sentence(job.as_str());
        match self.held.as_deref().filter(|bell| bell.since == hold.since) {
            Some(bell) if now.since(bell.rang) < alerts.remind => None,
            Some(bell) => Some(JobTurn::Ring(bell.again(now, reason()))),
            None => {
                let subject = Key::from(job.as_str());
                let (trouble, since) = (Trouble::Held, hold.since);
                Some(JobTurn::Ring(Bell { trouble, subject, since, rang: now, rings: 1, reason: reason() }))
            }
        }
    }

    fn first(&self, trouble: Trouble, job: &JobName, now: Timestamp) -> Bell {
        let (since, reason) = match trouble {
            Trouble::Stale => (self.read_whole(), stale_for(self.read_whole(), now)),
            _ => (self.since, self.reason.to_string()),
        };
        Bell { trouble, subject: Key::from(job.as_str()), since, rang: now, rings: 1, reason }
    }

    /// The last complete poll, or the moment from which it is watched for one.
    fn read_whole(&self) -> Timestamp {
        self.last_good.unwrap_or(self.watched)
    }

    /// Failed polls in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The bell that rings.
    pub fn bell(&self) -> Option<&Bell> {
        self.bell.as_deref()
    }

    /// What waits for a person.
    pub fn hold(&self) -> Option<&Hold> {
        self.hold.as_deref()
    }

    /// Takes over what was committed.
    pub fn take(&mut self, turn: JobTurn) {
        match turn {
            JobTurn::Ring(bell) => self.set_bell(bell),
            JobTurn::Recovered(bell) | JobTurn::Silenced(bell) => self.unset_bell(bell.trouble),
        }
    }

    fn set_bell(&mut self, bell: Bell) {
        match bell.trouble {
            Trouble::Held => self.held = Some(Box::new(bell)),
            Trouble::Expression => match &mut self.expressions {
                Some(expressions) => expressions.bell = Some(bell),
                None => self.expressions = Some(Box::new(Expressions::ringing(bell))),
            },
            _ => self.bell = Some(Box::new(bell)),
        }
    }

    fn unset_bell(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Held => self.held = None,
            Trouble::Expression => self.expressions.iter_mut().for_each(|expressions| expressions.bell = None),
            _ => self.bell = None,
        }
    }
}

fn stale_for(since: Timestamp, now: Timestamp) -> String {
    let seconds = Duration::from_secs(now.since(since).as_secs());
    format!("no complete poll for {}", show_duration(seconds))
}

/// From when on a job counts as stale that was last read whole at `good`. By the calendar it is the moment of so many
/// polls after that, so that a weekend without polls is no trouble; a calendar that has ended never is.
fn stale_at(schedule: &Schedule, intervals: u32, good: Timestamp) -> Timestamp {
    const NEVER: Timestamp = Timestamp(i64::MAX);
    let moment = match schedule {
        Schedule::Every(every) | Schedule::Adaptive { max: every, .. } => good.plus(every.saturating_mul(intervals)),
        Schedule::Cron(_) => {
            let mut moment = good;
            for _ in 0..intervals {
                let Some(next) = schedule.next(moment, 0) else { return NEVER };
                moment = next;
            }
            moment
        }
    };
    moment.max(good.plus(STALE_MIN))
}
