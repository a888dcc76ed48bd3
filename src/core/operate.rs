//! What a person asks of deliveries, jobs and sinks, and what is told of it: lists, replays, retries, pauses.
//!
//! Plain values with the field names of `/api/v1`; nothing here reads or changes a state.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::hold::Hold;
use crate::core::time::Timestamp;
use crate::core::view::DeliveryView;

/// Where a delivery stands, as a person is shown it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// Behind another of its key.
    Waiting,
    /// Sent at its moment.
    Due,
    /// Kept: its sink is disabled or paused, or its sink or job is not in the config.
    Held,
    /// The receiver has it.
    Delivered,
    /// Never again by itself, and not replayed since.
    Dead,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Due, Self::Held, Self::Delivered, Self::Dead];

    /// The word that is shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Due => "due",
            Self::Held => "held",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }

    /// From the word that is shown.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// From words with commas between them, such as `dead,held`.
    pub fn parse_list(text: &str) -> Option<Vec<Self>> {
        text.split(',').map(|word| Self::parse(word.trim())).collect()
    }

    /// True when it goes no further by itself: what can be replayed.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Delivered | Self::Dead)
    }
}

/// Which deliveries to list, the newest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DeliveryFilter {
    /// To this sink only.
    pub sink: Option<String>,
    /// Of this job's events only.
    pub job: Option<String>,
    /// In one of these states only; none: in any, and those that were replayed too.
    #[serde(default)]
    pub states: Vec<DeliveryState>,
    /// Of events that were seen at this moment or later.
    pub since: Option<Timestamp>,
    /// Of events that were seen before this moment.
    pub until: Option<Timestamp>,
    /// In this batch only: the `webhook-id` that the receiver got.
    pub batch: Option<String>,
    /// Go on after this delivery: the `next` of the page before.
    pub after: Option<i64>,
    /// At most this many; the store caps it at 1000.
    pub limit: Option<u32>,
}

/// A delivery in a list, with what it carries.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeliveryRow {
    /// The delivery.
    #[serde(flatten)]
    pub delivery: DeliveryView,
    /// The event's id, `webhook-id` on the wire.
    pub event: String,
    /// The job that saw it.
    pub job: String,
    /// The item's key.
    pub key: String,
    /// The event's type on the wire.
    #[serde(rename = "type")]
    pub kind: String,
    /// The event's number in its job and scope.
    pub sequence: u64,
    /// When the poll saw the change.
    pub timestamp: Timestamp,
}

/// Which deliveries to send again. Only one that has ended can be, and only the newest of its event and sink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayFilter {
    /// Of this event only, by its id or by a beginning of it that no other has.
    pub event: Option<String>,
    /// Of this job's events only.
    pub job: Option<String>,
    /// To this sink only.
    pub sink: Option<String>,
    /// Only those that are `delivered`, or only those that are `dead`; none: both.
    #[serde(default)]
    pub states: Vec<DeliveryState>,
    /// Of events that were seen at this moment or later.
    pub since: Option<Timestamp>,
    /// Of events that were seen before this moment.
    pub until: Option<Timestamp>,
}

impl ReplayFilter {
    /// A rule that it breaks, for a person.
    ///
    /// # Errors
    ///
    /// It names nothing, or a state that can't be replayed.
    pub fn check(&self) -> Result<(), String> {
        if *self == Self::default() {
            return Err("say what to replay: events by their ids, or a job, a sink, a state or a time".to_owned());
        }
        match self.states.iter().find(|state| !state.has_ended()) {
            Some(state) => Err(format!(
                "`{}` deliveries can't be replayed: they have not ended; only `delivered` and `dead` ones have",
                state.as_str()
            )),
            None => Ok(()),
        }
    }
}

/// How a replay goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReplayHow {
    /// Only count.
    pub dry_run: bool,
    /// Write the bodies anew from the events, as the config is today, and not as they were sent.
    pub render: bool,
}

/// What a replay did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplayReport {
    /// True when nothing was changed.
    pub dry_run: bool,
    /// How many deliveries are sent again, or would be.
    pub deliveries: u64,
    /// The same by sink.
    pub sinks: BTreeMap<String, u64>,
    /// Left out: they have not ended, so they are sent anyway.
    pub on_their_way: u64,
    /// Left out: they could never be sent, because they could not be rendered or are too large; or can't be rendered
    /// anew.
    pub unsendable: u64,
    /// Why they can't be rendered anew: each reason once, the first few.
    #[serde(default)]
    pub problems: Vec<String>,
}

/// Reasons that a report holds: the others are alike, or come up once these are seen to.
const PROBLEMS_MAX: usize = 5;

impl ReplayReport {
    /// Counts one that is left out because it can't be rendered anew.
    pub fn leave_out(&mut self, why: String) {
        self.unsendable += 1;
        self.blame(why);
    }

    fn blame(&mut self, why: String) {
        if self.problems.len() < PROBLEMS_MAX && !self.problems.contains(&why) {
            self.problems.push(why);
        }
    }

    /// Adds what another replay did.
    pub fn add(&mut self, other: Self) {
        self.dry_run |= other.dry_run;
        self.deliveries += other.deliveries;
        self.on_their_way += other.on_their_way;
        self.unsendable += other.unsendable;
        for (sink, count) in other.sinks {
            *self.sinks.entry(sink).or_default() += count;
        }
        other.problems.into_iter().for_each(|why| self.blame(why));
    }

    /// What a person wants to know first: `3 deliveries (2 to crm, 1 to erp)`, or why there is none.
    pub fn sentence(&self) -> String {
        if self.deliveries > 0 {
            return told(self.deliveries, &self.sinks);
        }
        match (self.on_their_way, self.unsendable) {
            (_, dead) if !self.problems.is_empty() => {
                let why = self.problems.join("; ");
                format!("there is nothing to replay: {} can't be rendered: {why}", deliveries(dead))
            }
            (0, 0) => "there is nothing to replay: no delivery that has ended is like this".to_owned(),
            (0, dead) => {
                format!(
                    "there is nothing to replay: {} could never be sent; `doorbell event ID` says why, and `--render` \
                     renders anew",
                    deliveries(dead)
                )
            }
            (open, _) => {
                let (open, have) = (deliveries(open), if open == 1 { "has" } else { "have" });
                format!(
                    "there is nothing to replay: {open} of this kind {have} not ended yet; what is due goes by itself, \
                     and what is held when its sink or job goes on"
                )
            }
        }
    }
}

/// Which held deliveries to drop.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropFilter {
    /// To this sink only.
    pub sink: Option<String>,
    /// Of this job's events only.
    pub job: Option<String>,
    /// Of events that were seen at this moment or later.
    pub since: Option<Timestamp>,
    /// Of events that were seen before this moment.
    pub until: Option<Timestamp>,
}

impl DropFilter {
    /// A rule that it breaks, for a person.
    ///
    /// # Errors
    ///
    /// It names neither a sink nor a job.
    pub fn check(&self) -> Result<(), String> {
        match self.sink.is_some() || self.job.is_some() {
            true => Ok(()),
            false => Err("say whose held deliveries to drop: those to a sink, or those of a job's events".to_owned()),
        }
    }
}

/// What dropping did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DropReport {
    /// True when nothing was changed.
    pub dry_run: bool,
    /// How many held deliveries end as dead, or would.
    pub deliveries: u64,
    /// The same by sink.
    pub sinks: BTreeMap<String, u64>,
    /// Left out: they are being sent at this moment.
    pub on_their_way: u64,
}

impl DropReport {
    /// What a person wants to know first: `3 held deliveries (2 to crm, 1 to erp)`, or why there is none.
    pub fn sentence(&self) -> String {
        match (self.deliveries, self.on_their_way) {
            (0, 0) => "there is nothing to drop: no delivery that is held is like this".to_owned(),
            (0, open) => format!("there is nothing to drop: {} being sent at this moment", are(open)),
            _ => format!("held: {}", told(self.deliveries, &self.sinks)),
        }
    }
}

fn deliveries(count: u64) -> String {
    if count == 1 { "1 delivery".to_owned() } else { format!("{count} deliveries") }
}

/// `3 deliveries (2 to crm, 1 to erp)`.
fn told(count: u64, sinks: &BTreeMap<String, u64>) -> String {
    let sinks: Vec<String> = sinks.iter().map(|(sink, count)| format!("{count} to {sink}")).collect();
    format!("{} ({})", deliveries(count), sinks.join(", "))
}

fn are(count: u64) -> String {
    if count == 1 { "1 delivery is".to_owned() } else { format!("{count} deliveries are") }
}

/// What asking for one delivery to be sent now came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryReport {
    /// The delivery that is sent: the one that was named, or, when that has ended, its replay.
    pub delivery: i64,
    /// To whom.
    pub sink: String,
    /// True when it is a replay.
    pub replay: bool,
}

/// What a pause or a resume came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PauseReport {
    /// `job` or `sink`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Is it paused now?
    pub paused: bool,
    /// False when it was so already.
    pub changed: bool,
    /// For a sink that was disabled and is enabled by a resume: why it was.
    pub was_disabled: Option<String>,
    /// Deliveries of the sink that are held by the pause, or go on by the resume.
    pub deliveries: u64,
}

/// What an answer to what a job holds came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnswerReport {
    /// The job.
    pub job: String,
    /// What it holds, with the answer; the next poll takes it.
    pub held: Hold,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_read_as_they_are_shown() {
        for state in DeliveryState::ALL {
            assert_eq!(DeliveryState::parse(state.as_str()), Some(state));
            assert_eq!(serde_json::to_value(state).unwrap(), state.as_str());
        }
        let both = Some(vec![DeliveryState::Dead, DeliveryState::Held]);
        assert_eq!(DeliveryState::parse_list("dead, held"), both);
        assert_eq!(DeliveryState::parse_list("dead,"), None);
    }

    #[test]
    fn a_replay_of_nothing_in_particular_or_of_what_goes_anyway_is_refused() {
        let error = |filter: ReplayFilter| filter.check().unwrap_err();
        assert!(error(ReplayFilter::default()).starts_with("say what to replay"));
        let held = ReplayFilter { states: vec![DeliveryState::Dead, DeliveryState::Held], ..ReplayFilter::default() };
        assert!(error(held).starts_with("`held` deliveries can't be replayed"));
        assert_eq!(ReplayFilter { job: Some("orders".into()), ..ReplayFilter::default() }.check(), Ok(()));
    }

    #[test]
    fn what_is_dropped_is_named_and_told() {
        assert!(DropFilter::default().check().unwrap_err().starts_with("say whose held deliveries"));
        let mut report = DropReport::default();
        assert!(report.sentence().starts_with("there is nothing to drop: no delivery that is held"));
        report.on_their_way = 2;
        assert!(report.sentence().ends_with("2 deliveries are being sent at this moment"));
        (report.deliveries, report.sinks) = (3, [("crm".to_owned(), 3)].into());
        assert_eq!(report.sentence(), "held: 3 deliveries (3 to crm)");
    }

    #[test]
    fn why_nothing_can_be_rendered_is_told_once() {
        let mut report = ReplayReport::default();
        for number in [1, 2, 2, 3, 4, 5, 6] {
            report.leave_out(format!("reason {number}"));
        }
        assert_eq!((report.unsendable, report.problems.len()), (7, 5));
        let sentence = report.sentence();
        assert!(sentence.contains("7 deliveries can't be rendered: reason 1; reason 2; reason 3"), "{sentence}");
    }

    #[test]
    fn a_replay_is_told_in_a_sentence() {
        let mut report = ReplayReport { deliveries: 1, ..ReplayReport::default() };
        report.sinks.insert("crm".into(), 1);
        assert_eq!(report.sentence(), "1 delivery (1 to crm)");
        report.add(ReplayReport {
            deliveries: 2,
            sinks: [("crm".into(), 1), ("erp".into(), 1)].into(),
            ..report.clone()
        });
        assert_eq!(report.sentence(), "3 deliveries (2 to crm, 1 to erp)");
        let none = |on_their_way, unsendable| ReplayReport { on_their_way, unsendable, ..ReplayReport::default() };
        assert!(none(0, 0).sentence().ends_with("no delivery that has ended is like this"));
        assert!(none(1, 0).sentence().contains(": 1 delivery of this kind has not ended yet"));
        assert!(none(2, 0).sentence().contains(": 2 deliveries of this kind have not ended yet"));
        assert!(none(0, 2).sentence().contains("2 deliveries could never be sent"));
    }
}
