//! What a person is shown: an item as it stands, and the last that was seen of it, said or not.
//!
//! The field names are the JSON of `/api/v1` and of `--json`; changing one breaks somebody's script.

use serde::{Deserialize, Serialize};

use crate::core::hold::Hold;
use crate::core::time::Timestamp;
use crate::core::view::{AttemptView, DeliveryView, EventDetail};
use crate::core::why::{OBSERVATIONS_MAX, Observation, Seen, Silence};

/// What `doorbell why JOB KEY` tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WhyView {
    /// The job.
    pub job: String,
    /// The key's text.
    pub key: String,
    /// The item in each scope that has it, or had; one for a job without `each`.
    pub items: Vec<WhyItem>,
}

/// An item in one scope.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WhyItem {
    /// The scope; absent for a job without `each`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<serde_json::Value>,
    /// `present`; `missing` from the last complete polls; `deleted`; `waiting`: it is new, and held or settling; or
    /// `forgotten`: events of it are all that is left.
    pub state: String,
    /// Complete polls in a row in which it was missing.
    pub missed: u32,
    /// When it was reported (or silently taken) as deleted.
    pub deleted: Option<Timestamp>,
    /// When the scope's items were last taken over without a word: its first complete poll, or the one after an edit of
    /// what is polled.
    pub baseline: Option<Timestamp>,
    /// What was seen of it, the newest first; at most 20.
    pub observations: Vec<ObservationView>,
}

/// Something that was seen of an item.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ObservationView {
    /// When.
    pub timestamp: Timestamp,
    /// `event` or `silent`.
    pub outcome: String,
    /// `created`, `updated`, `deleted`, `restored`: what it was, or would have been.
    pub change: Option<String>,
    /// What differed, as JSON Pointers.
    #[serde(flatten)]
    pub seen: Seen,
    /// The rule that kept it silent: `on`, `when`, `settle`, `detail`, `missing`, `ignored` (which is what is tolerated, too),
    /// `edited`, `held`, `rejected`, or `first` for the first poll.
    pub rule: Option<String>,
    /// The rule as a sentence.
    pub reason: Option<String>,
    /// The event's id.
    pub event: Option<String>,
    /// Its deliveries.
    #[serde(default)]
    pub deliveries: Vec<DeliveryView>,
    /// Every attempt of those, oldest first.
    #[serde(default)]
    pub attempts: Vec<AttemptView>,
}

impl From<Observation> for ObservationView {
    fn from(observation: Observation) -> Self {
        Self {
            timestamp: observation.at,
            outcome: "silent".to_owned(),
            change: observation.change.map(|change| change.as_str().to_owned()),
            rule: Some(observation.silence.as_str().to_owned()),
            reason: Some(observation.reason()),
            seen: observation.seen,
            event: None,
            deliveries: Vec::new(),
            attempts: Vec::new(),
        }
    }
}

impl ObservationView {
    /// An event, of which `seen` tells what differed.
    pub fn of_event(detail: EventDetail, seen: Seen) -> Self {
        let EventDetail { event, attempts, .. } = detail;
        Self {
            timestamp: event.timestamp,
            outcome: "event".to_owned(),
            change: Some(event.change),
            seen,
            rule: None,
            reason: None,
            event: Some(event.id),
            deliveries: event.deliveries,
            attempts,
        }
    }

    /// The poll that took the item over without a word.
    fn first(at: Timestamp) -> Self {
        let reason = "it was there in the first complete poll, of which nothing is said (`first`)".to_owned();
        Self::of_rule(at, "first", reason)
    }

    /// Something that no row stands for.
    fn of_rule(at: Timestamp, rule: &str, reason: String) -> Self {
        Self {
            timestamp: at,
            outcome: "silent".to_owned(),
            change: None,
            seen: Seen::default(),
            rule: Some(rule.to_owned()),
            reason: Some(reason),
            event: None,
            deliveries: Vec::new(),
            attempts: Vec::new(),
        }
    }
}

impl WhyItem {
    /// Says of what its scope still holds what to type, and of an item that is read so far by a baseline that is not
    /// whole that this is why.
    #[must_use]
    pub fn held_by(mut self, job: &str, hold: Option<&Hold>) -> Self {
        let Some(hold) = hold else { return self };
        let waits = |seen: &&mut ObservationView| {
            seen.rule.as_deref() == Some(Silence::Held.as_str()) && seen.timestamp >= hold.since
        };
        self.observations.iter_mut().filter(waits).for_each(|seen| seen.reason = Some(hold.sentence(job)));
        if hold.baseline && !self.observations.iter().any(begins) {
            let reason = hold.sentence(job);
            self.observations.push(ObservationView::of_rule(hold.since, Silence::Held.as_str(), reason));
        }
        self
    }

    /// Puts what is known of an item in order, and names the first poll where nothing says how the item began.
    #[must_use]
    pub fn in_order(mut self) -> Self {
        // Stable: of what was seen at one moment, what was handed in first is the newer.
        self.observations.sort_by_key(|seen| std::cmp::Reverse(seen.timestamp));
        let is_told = self.observations.iter().any(begins) || self.observations.len() >= OBSERVATIONS_MAX;
        if let Some(at) = self.baseline.filter(|_| !is_told) {
            let place = self.observations.partition_point(|seen| seen.timestamp > at);
            self.observations.insert(place, ObservationView::first(at));
        }
        self.observations.truncate(OBSERVATIONS_MAX);
        self
    }
}

/// It tells how the item began.
fn begins(seen: &ObservationView) -> bool {
    seen.change.as_deref() == Some("created")
}
