//! What a config would make of what is remembered, told before it happens.
//!
//! Pure: the state comes in as [`Standings`]. What is said here is what the daemon does (promise S5); nothing is done here.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::core::config::Config;
use crate::core::job::{Fingerprints, Job};
use crate::core::names::JobName;
use crate::core::time::Timestamp;

#[cfg(test)]
mod tests;

/// What the state remembers of jobs and sinks, as a plan needs it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    /// In the order of their names; those that left the config too.
    pub jobs: Vec<JobStanding>,
    /// In the order of their names.
    pub sinks: Vec<SinkStanding>,
}

/// What the state remembers of a job.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStanding {
    /// Its name.
    pub name: String,
    /// False once it has left the config.
    pub in_config: bool,
    /// True once a poll has committed something.
    pub known: bool,
    /// What its scopes were read under, each once; none before a poll has ended.
    pub read: Vec<ReadUnder>,
    /// Of one of its scopes at least a complete poll has been committed under those.
    pub baseline: bool,
    /// A part of another selection was read into one of its scopes.
    #[serde(default)]
    pub mixed: bool,
    /// Items in its ledger.
    pub items: u64,
    /// When it was last polled.
    pub last_poll: Option<Timestamp>,
    /// Deliveries of its events that have not ended.
    pub waiting: u64,
}

/// Scopes that were read under the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadUnder {
    /// The job as it was.
    pub fingerprints: Fingerprints,
    /// The scopes, as their ledgers are named.
    pub scopes: Vec<String>,
}

impl JobStanding {
    /// What the scopes that the job still has were read under. One that left its `each` is polled no more: what is
    /// remembered of it stays as it was, and says nothing of the job.
    fn counting(&self, job: &Job) -> Vec<&Fingerprints> {
        let of_job = |read: &&ReadUnder| read.scopes.iter().any(|scope| job.may_have(scope));
        let counting: Vec<_> = self.read.iter().filter(of_job).map(|read| &read.fingerprints).collect();
        // Which values another job's items hold is not known here. Once a scope was read under the job as it is, those
        // that were not are taken for such as have left.
        let open = job.each.as_ref().is_some_and(|each| each.fixed().is_none());
        match counting.iter().find(|kept| open && ***kept == job.fingerprints) {
            Some(current) => vec![*current],
            None => counting,
        }
    }

    /// Were its scopes read under this job?
    fn is_read_as(&self, job: &Job) -> bool {
        let read = self.counting(job);
        !read.is_empty() && Self::edited(&read, &job.fingerprints).is_empty()
    }

    /// What was edited since one of these scopes was read, in the order of [`Fingerprints::edited`].
    fn edited(read: &[&Fingerprints], now: &Fingerprints) -> Vec<&'static str> {
        let edited: Vec<_> = read.iter().map(|kept| kept.edited(now)).collect();
        let is_edited = |part: &&str| edited.iter().any(|parts| parts.contains(part));
        ["request", "selection", "identity"].into_iter().filter(is_edited).collect()
    }
}

/// What the state remembers of a sink.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SinkStanding {
    /// Its name.
    pub name: String,
    /// False once it has left the config.
    pub in_config: bool,
    /// Its deliveries that have not ended.
    pub waiting: u64,
}

/// What becomes of a job or a sink.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// Goes on where it is.
    Keeps,
    /// Goes on under another name.
    Renamed,
    /// What counts as change was edited: the old rules decide once more, then the new ones.
    ReHashes,
    /// Begins with a new, silent baseline.
    ReBaselines,
    /// Nothing is remembered of it.
    New,
    /// No longer in the config.
    Gone,
    /// The config can't be taken over.
    Refused,
}

impl Fate {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Keeps => "keeps",
            Self::Renamed => "renamed",
            Self::ReHashes => "re-hashes",
            Self::ReBaselines => "re-baselines",
            Self::New => "new",
            Self::Gone => "gone",
            Self::Refused => "refused",
        }
    }
}

/// A job or a sink in a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Planned {
    /// Its name.
    pub name: String,
    /// What becomes of it.
    pub plan: Fate,
    /// The name whose state it takes over.
    pub renamed_from: Option<String>,
    /// Which of `request`, `selection`, `identity` and `rules` were edited.
    pub edited: Vec<String>,
    /// Items that are remembered.
    pub items: u64,
    /// Deliveries that have not ended.
    pub waiting: u64,
    /// Something would be lost: a change that is not seen, or a delivery that nobody gets.
    pub loses: bool,
    /// What that means, in a sentence.
    pub note: Option<String>,
}

/// What a config would change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Every job of the config, then those that are gone.
    pub jobs: Vec<Planned>,
    /// Every sink of the config, then those that are gone and have deliveries that wait.
    pub sinks: Vec<Planned>,
    /// Something would be lost.
    pub loses: bool,
}

/// What `config` would make of the state.
pub fn plan(config: &Config, state: &Standings) -> Plan {
    let known: BTreeMap<&str, &JobStanding> =
        state.jobs.iter().filter(|job| job.known).map(|job| (job.name.as_str(), job)).collect();
    let taken: BTreeSet<&str> = config.jobs.iter().filter_map(|job| job.rename.as_ref()).map(JobName::as_str).collect();
    let left: Vec<&JobStanding> =
        known.values().filter(|job| config.job(&JobName::from(&*job.name)).is_none()).copied().collect();
    let stays = config.jobs.iter().map(|job| of_job(job, &known, &left));
    let gone = left.iter().filter(|job| !taken.contains(job.name.as_str())).filter_map(|job| gone_job(job));
    let jobs: Vec<Planned> = stays.chain(gone).collect();
    let sinks = sinks(config, &state.sinks);
    let loses = jobs.iter().chain(&sinks).any(|planned| planned.loses);
    Plan { jobs, sinks, loses }
}

fn of_job(job: &Job, known: &BTreeMap<&str, &JobStanding>, left: &[&JobStanding]) -> Planned {
    let own = known.get(job.name.as_str());
    let old = job.rename.as_ref().and_then(|old| known.get(old.as_str()));
    match (own, old) {
        (Some(own), Some(old)) => {
            let note = two_pasts(&old.name, &own.name);
            Planned { loses: true, note: Some(note), ..entry(own, job.name.as_str(), Fate::Refused) }
        }
        (Some(own), None) => judged(own, job),
        (None, Some(old)) => {
            let judged = judged(old, job);
            let plan = if judged.plan == Fate::Keeps { Fate::Renamed } else { judged.plan };
            Planned { plan, renamed_from: Some(old.name.clone()), ..judged }
        }
        (None, None) => new_job(job, left),
    }
}

/// Why a state can't be taken over, and what to do.
pub fn two_pasts(old: &str, new: &str) -> String {
    format!(
        "both `{old}` and `{new}` have a state: take `rename` out to go on with that of `{new}`, or give the job a name \
         that none had before to go on with that of `{old}`"
    )
}

/// A job whose state is found, under its own name or the one before.
fn judged(standing: &JobStanding, job: &Job) -> Planned {
    let keeps = entry(standing, job.name.as_str(), Fate::Keeps);
    let back = (!standing.in_config).then(|| match standing.waiting {
        0 => "it comes back, and goes on where it was".to_owned(),
        count => format!("it comes back, and goes on where it was; {} held until now go", deliveries(count)),
    });
    let read = standing.counting(job);
    if standing.read.is_empty() {
        return Planned { note: Some("its first baseline is not complete, and goes on".to_owned()), ..keeps };
    }
    if read.is_empty() {
        let note = "none of its scopes was read before: each begins with a silent baseline, and what changed since the last \
                    poll is not told";
        let edited = vec!["each".to_owned()];
        return Planned {
            plan: Fate::ReBaselines,
            edited,
            loses: standing.baseline,
            note: Some(note.to_owned()),
            ..keeps
        };
    }
    let edited = JobStanding::edited(&read, &job.fingerprints);
    if !edited.is_empty() || standing.mixed {
        let since = standing.last_poll.map(|at| format!(" ({at})")).unwrap_or_default();
        let why = match edited.is_empty() {
            true => "its last baseline was cut off, taken back or forgotten".to_owned(),
            false => format!("its {} was edited", listed(&edited)),
        };
        let note = format!(
            "{why}: the next complete poll is a silent baseline, and what changed between the last poll{since} and that \
             one is not told",
        );
        let edited = edited.into_iter().map(str::to_owned).collect();
        let loses = standing.baseline || standing.mixed;
        return Planned { plan: Fate::ReBaselines, edited, loses, note: Some(note), ..keeps };
    }
    if read.iter().any(|kept| kept.rules != job.fingerprints.rules) {
        let note = "what counts as change was edited: what differs under the old rules is told once more, and the rest is \
                    silently taken over";
        let edited = vec!["rules".to_owned()];
        return Planned { plan: Fate::ReHashes, edited, note: Some(note.to_owned()), ..keeps };
    }
    Planned { note: back, ..keeps }
}

/// A job of which nothing is remembered: new, or one whose `rename` was forgotten.
fn new_job(job: &Job, left: &[&JobStanding]) -> Planned {
    let like = left.iter().find(|old| old.in_config && old.is_read_as(job));
    let note = like.map(|old| {
        format!(
            "it looks like `{0}` under another name, and would begin anew: `rename = \"{0}\"` keeps what is remembered",
            old.name
        )
    });
    let standing = JobStanding::default();
    Planned { loses: like.is_some(), note, ..entry(&standing, job.name.as_str(), Fate::New) }
}

fn gone_job(job: &JobStanding) -> Option<Planned> {
    let note = match (job.in_config, job.waiting) {
        (true, 0) => {
            "it is polled no more; what is remembered is kept for the retention, should it come back".to_owned()
        }
        (true, count) => format!("it is polled no more, and {} would be held until it comes back", deliveries(count)),
        (false, 0) => return None,
        (false, count) => format!("{} held since it left the config", deliveries(count)),
    };
    let loses = job.in_config && job.waiting > 0;
    Some(Planned { loses, note: Some(note), ..entry(job, &job.name, Fate::Gone) })
}

fn sinks(config: &Config, state: &[SinkStanding]) -> Vec<Planned> {
    let known: BTreeMap<&str, &SinkStanding> = state.iter().map(|sink| (sink.name.as_str(), sink)).collect();
    let stays = config.sinks.iter().map(|sink| match known.get(sink.name.as_str()) {
        None => sink_entry(sink.name.as_str(), Fate::New, 0),
        Some(standing) => {
            let note = (!standing.in_config && standing.waiting > 0)
                .then(|| format!("it comes back; {} held until now go", deliveries(standing.waiting)));
            Planned { note, ..sink_entry(&standing.name, Fate::Keeps, standing.waiting) }
        }
    });
    let gone = state.iter().filter(|sink| !config.sinks.iter().any(|stays| stays.name.as_str() == sink.name));
    let gone = gone.filter(|sink| sink.in_config || sink.waiting > 0).map(|sink| {
        let note = match (sink.in_config, sink.waiting) {
            (_, 0) => "it is sent to no more".to_owned(),
            (true, count) => format!("{} would be held until it comes back", deliveries(count)),
            (false, count) => format!("{} held since it left the config", deliveries(count)),
        };
        let loses = sink.in_config && sink.waiting > 0;
        Planned { loses, note: Some(note), ..sink_entry(&sink.name, Fate::Gone, sink.waiting) }
    });
    stays.chain(gone).collect()
}

fn entry(standing: &JobStanding, name: &str, plan: Fate) -> Planned {
    Planned { items: standing.items, ..sink_entry(name, plan, standing.waiting) }
}

fn sink_entry(name: &str, plan: Fate, waiting: u64) -> Planned {
    let (renamed_from, edited, note) = (None, Vec::new(), None);
    Planned { name: name.to_owned(), plan, renamed_from, edited, items: 0, waiting, loses: false, note }
}

fn deliveries(count: u64) -> String {
    if count == 1 { "1 delivery".to_owned() } else { format!("{count} deliveries") }
}

/// `request`, `request and identity`, `request, selection and identity`.
pub fn listed(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
