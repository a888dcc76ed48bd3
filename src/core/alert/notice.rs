//! A system event: its name, who is told, and its envelope.
//!
//! The number that it gets in its stream, and with it its bytes, come with the commit.

use std::sync::Arc;

use crate::core::alert::{Bell, JobWatch, SYSTEM_JOB, SinkFacts, Trouble};
use crate::core::delivery::NewDelivery;
use crate::core::event::{Change, NewEvent, derive_id};
use crate::core::formats::{self, SystemEvent, Written};
use crate::core::hold::Hold;
use crate::core::json::Json;
use crate::core::names::{Digest, EventId, JobName, JobUid, Key, Scope, SinkName};
use crate::core::sink::Sink;
use crate::core::time::Timestamp;

/// Bytes of a reason that are told: the rest stands in the log.
const REASON_BYTES_MAX: usize = 4096;

/// What a system event tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// So many polls of a job in a row have failed, or one of its expressions has.
    JobFailing,
    /// A job that was failing or stale has come right.
    JobRecovered,
    /// A job has had no complete poll for too long.
    JobStale,
    /// What a job found waits for a person.
    JobHeld,
    /// A job's request or selection was edited, and what it reads now is its new baseline.
    JobRebaselined,
    /// A sink is disabled, and what waits for it is held.
    SinkDisabled,
    /// A sink that was disabled, or had too much waiting, has come right.
    SinkRecovered,
    /// Too much waits for a sink.
    SinkBacklog,
    /// A delivery is dead.
    DeliveryDead,
}

impl Kind {
    /// Every one of them.
    pub const ALL: [Self; 9] = [
        Self::JobFailing,
        Self::JobRecovered,
        Self::JobStale,
        Self::JobHeld,
        Self::JobRebaselined,
        Self::SinkDisabled,
        Self::SinkRecovered,
        Self::SinkBacklog,
        Self::DeliveryDead,
    ];

    /// What its `data` holds beside the sequence; a test holds it against what is sent.
    pub fn facts(self) -> &'static [&'static str] {
        match self {
            Self::JobFailing | Self::JobStale => &["job", "reason", "since", "failures", "reminders"],
            Self::JobRecovered => &["job", "reason", "since", "was"],
            Self::JobHeld => &["job", "reason", "since", "deletions", "events", "keys", "reminders"],
            Self::JobRebaselined => &["job", "reason", "since", "items"],
            Self::SinkDisabled | Self::SinkBacklog => &["sink", "reason", "since", "failures", "waiting"],
            Self::SinkRecovered => &["sink", "reason", "since", "was", "waiting"],
            Self::DeliveryDead => &["delivery", "event", "type", "job", "key", "sink", "reason", "attempts", "since"],
        }
    }

    /// The event's type on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::JobFailing => "doorbell.job.failing",
            Self::JobRecovered => "doorbell.job.recovered",
            Self::JobStale => "doorbell.job.stale",
            Self::JobHeld => "doorbell.job.held",
            Self::JobRebaselined => "doorbell.job.rebaselined",
            Self::SinkDisabled => "doorbell.sink.disabled",
            Self::SinkRecovered => "doorbell.sink.recovered",
            Self::SinkBacklog => "doorbell.sink.backlog",
            Self::DeliveryDead => "doorbell.delivery.dead",
        }
    }

    /// Its last word, which stands where other events have their change.
    pub fn word(self) -> &'static str {
        self.as_str().rsplit('.').next().unwrap_or_default()
    }
}

/// A system event that is about to be committed.
#[derive(Clone, Debug)]
pub struct Notice {
    /// What it tells.
    pub kind: Kind,
    /// What it is about: a job, a sink, or an event whose delivery is dead. It is the event's key.
    pub subject: Key,
    /// When it rings.
    pub at: Timestamp,
    /// Since when it is so; with `turn` it is what makes this event differ from the last one about the same.
    since: Timestamp,
    turn: u64,
    facts: Vec<(&'static str, Json)>,
    to: Vec<Arc<Sink>>,
}

impl Notice {
    /// Its id: the same for the same trouble and turn, so that one which is told twice is one event.
    pub fn id(&self, system: JobUid) -> EventId {
        let (scope, since) = (Scope::from(self.kind.as_str()), Digest::of(&self.since.0.to_le_bytes()));
        derive_id(system, &scope, self.subject.digest(), self.turn, since)
    }

    /// The event under the number that it gets in the stream of system events. No item has changed: its `change` is
    /// never told, the column of that name holds [`Kind::word`].
    pub fn event(&self, system: JobUid, sequence: u64) -> NewEvent {
        let (id, data) = (self.id(system), self.data(sequence));
        let Self { subject, at, .. } = self;
        let event = SystemEvent { id: &id, kind: self.kind.as_str(), subject, at: *at, sequence, data: &data };
        let deliveries = self.to.iter().map(|sink| self.delivery(system, sink, &event)).collect();
        NewEvent {
            key: subject.clone(),
            change: Change::Updated,
            sequence,
            at: *at,
            kind: self.kind.as_str().to_owned(),
            deliveries,
            body: self.envelope(data).to_bytes().into(),
            id,
        }
    }

    /// The sinks that are told.
    pub fn sinks(&self) -> impl Iterator<Item = &SinkName> {
        self.to.iter().map(|sink| &sink.name)
    }

    /// The sentence that says why.
    pub fn reason(&self) -> &str {
        let reason = self.facts.iter().find(|(name, _)| *name == "reason");
        reason.and_then(|(_, value)| value.as_str()).unwrap_or_default()
    }

    fn data(&self, sequence: u64) -> Json {
        let facts = self.facts.iter().cloned();
        Json::object(facts.chain([("sequence", Json::from(sequence))]))
    }

    fn envelope(&self, data: Json) -> Json {
        let (kind, at) = (Json::from(self.kind.as_str()), Json::from(self.at.to_string()));
        Json::object([("type", kind), ("timestamp", at), ("data", data)])
    }

    fn delivery(&self, system: JobUid, sink: &Sink, event: &SystemEvent<'_>) -> NewDelivery {
        let lane = sink.order.lane(system, &Scope::default(), self.subject.digest());
        let Written { body, wire, .. } = formats::write_system(&sink.form, event);
        NewDelivery { sink: sink.name.clone(), lane, body, wire, dead: None }
    }
}

/// A delivery that died, and nobody has been told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// The delivery's number.
    pub delivery: i64,
    /// When it died.
    pub ended: Timestamp,
    /// Attempts that were made.
    pub attempts: u32,
    /// Why it died.
    pub reason: String,
    /// Who did not get it.
    pub sink: SinkName,
    /// The event.
    pub event: EventId,
    /// The event's type.
    pub kind: String,
    /// The event's job.
    pub job: JobName,
    /// The event's key.
    pub key: Key,
    /// When the event was seen.
    pub seen_at: Timestamp,
}

impl DeadLetter {
    /// Is it an alert itself? Its death is told to nobody: the next one would die of the same.
    pub fn is_an_alert(&self) -> bool {
        self.job.as_str() == SYSTEM_JOB
    }
}

/// A job that begins anew.
#[derive(Clone, Copy, Debug)]
pub struct Rebaselined<'a> {
    /// The job.
    pub job: &'a JobName,
    /// Why, as the beginning of a sentence.
    pub why: &'a str,
    /// Its last poll before: changes since then were not seen.
    pub since: Timestamp,
    /// Items that it reads now.
    pub items: u64,
}

/// Who is told, and how each kind of event is worded.
#[derive(Clone, Debug, Default)]
pub struct Telling {
    sinks: Vec<Arc<Sink>>,
}

impl Telling {
    /// Tells these.
    pub fn to(sinks: Vec<Arc<Sink>>) -> Self {
        Self { sinks }
    }

    /// A job rings, for the first time or again.
    pub fn job(&self, bell: &Bell, watch: &JobWatch) -> Notice {
        let kind = if bell.trouble == Trouble::Stale { Kind::JobStale } else { Kind::JobFailing };
        let mut facts = about("job", &bell.subject, &bell.reason, bell.since);
        facts.push(("failures", u64::from(watch.failures()).into()));
        facts.push(("reminders", u64::from(bell.rings.saturating_sub(1)).into()));
        // Polls may begin to fail at the moment at which an expression does.
        let of_expressions = u64::from(bell.trouble == Trouble::Expression) << 32;
        let turn = of_expressions | u64::from(bell.rings);
        self.notice(kind, bell.subject.clone(), bell.rang, (bell.since, turn), facts)
    }

    /// What a job found waits for a person, for the first time or still.
    pub fn held(&self, bell: &Bell, hold: &Hold) -> Notice {
        let mut facts = about("job", &bell.subject, &bell.reason, bell.since);
        facts.push(("deletions", hold.deletions.into()));
        facts.push(("events", hold.events.into()));
        facts.push(("keys", Json::array(hold.keys.iter().map(|key| Json::from(key.as_str())))));
        facts.push(("reminders", u64::from(bell.rings.saturating_sub(1)).into()));
        self.notice(Kind::JobHeld, bell.subject.clone(), bell.rang, (bell.since, bell.rings.into()), facts)
    }

    /// A job that rang has come right at `now`.
    pub fn job_recovered(&self, bell: &Bell, now: Timestamp) -> Notice {
        let mut facts = about("job", &bell.subject, &bell.reason, bell.since);
        facts.push(("was", bell.trouble.as_str().into()));
        self.notice(Kind::JobRecovered, bell.subject.clone(), now, (bell.since, recovery(bell)), facts)
    }

    /// A job begins anew at `now`.
    pub fn rebaselined(&self, news: &Rebaselined<'_>, now: Timestamp) -> Notice {
        let subject = Key::from(news.job.as_str());
        let reason = format!("{}: what it reads now is its new baseline", news.why);
        let mut facts = about("job", &subject, &reason, news.since);
        facts.push(("items", news.items.into()));
        self.notice(Kind::JobRebaselined, subject, now, (news.since, 0), facts)
    }

    /// A sink rings. One that is disabled, or has too much waiting, is not told of itself.
    pub fn sink(&self, bell: &Bell, sink: &SinkFacts) -> Notice {
        let kind = if bell.trouble == Trouble::Backlog { Kind::SinkBacklog } else { Kind::SinkDisabled };
        let mut facts = about("sink", &bell.subject, &bell.reason, bell.since);
        facts.push(("failures", u64::from(sink.failures).into()));
        facts.push(("waiting", sink.waiting.count.into()));
        let mut notice = self.notice(kind, bell.subject.clone(), bell.rang, (bell.since, bell.rings.into()), facts);
        notice.to.retain(|other| other.name.as_str() != bell.subject.as_str());
        notice
    }

    /// A sink that rang has come right at `now`.
    pub fn sink_recovered(&self, bell: &Bell, sink: &SinkFacts, now: Timestamp) -> Notice {
        let mut facts = about("sink", &bell.subject, &bell.reason, bell.since);
        facts.push(("was", bell.trouble.as_str().into()));
        facts.push(("waiting", sink.waiting.count.into()));
        self.notice(Kind::SinkRecovered, bell.subject.clone(), now, (bell.since, recovery(bell)), facts)
    }

    /// A delivery is dead.
    pub fn dead(&self, letter: &DeadLetter, now: Timestamp) -> Notice {
        let facts = vec![
            ("delivery", Json::from(letter.delivery)),
            ("event", letter.event.as_str().into()),
            ("type", letter.kind.as_str().into()),
            ("job", letter.job.as_str().into()),
            ("key", letter.key.as_str().into()),
            ("sink", letter.sink.as_str().into()),
            ("reason", short(&letter.reason).into()),
            ("attempts", u64::from(letter.attempts).into()),
            ("since", letter.seen_at.to_string().into()),
        ];
        let (subject, turn) = (Key::from(letter.event.as_str()), letter.delivery.unsigned_abs());
        self.notice(Kind::DeliveryDead, subject, now, (letter.ended, turn), facts)
    }

    fn notice(
        &self,
        kind: Kind,
        subject: Key,
        at: Timestamp,
        (since, turn): (Timestamp, u64),
        facts: Vec<(&'static str, Json)>,
    ) -> Notice {
        Notice { kind, subject, at, since, turn, facts, to: self.sinks.clone() }
    }
}

/// What tells the end of one bell from that of another that began at the same moment.
fn recovery(bell: &Bell) -> u64 {
    u64::from(bell.trouble as u8)
}

fn about(what: &'static str, subject: &Key, reason: &str, since: Timestamp) -> Vec<(&'static str, Json)> {
    vec![(what, subject.as_str().into()), ("reason", short(reason).into()), ("since", since.to_string().into())]
}

/// The first bytes of a sentence, cut between two characters.
fn short(text: &str) -> &str {
    &text[..text.floor_char_boundary(REASON_BYTES_MAX)]
}
