//! From a change to its event and deliveries: `on`, `when`, the type, the envelope, which sink gets it, and as what.
//!
//! An expression that fails loses nothing: the event passes, or its type falls back to `JOB.CHANGE`.

use bytes::Bytes;

use crate::core::decide::Start;
use crate::core::delivery::NewDelivery;
use crate::core::diff::{Change, Difference};
use crate::core::envelope::{Envelope, Extent};
use crate::core::event::{NewEvent, derive_id};
use crate::core::formats::{self, Facts, Fault, Telling};
use crate::core::json::{Json, parse};
use crate::core::ledger::Row;
use crate::core::names::{Digest, Key, KeyDigest};
use crate::core::template::{Condition, Names};
use crate::core::time::Timestamp;
use crate::core::why::Silence;

/// A change of one item that is about to be told.
#[derive(Debug)]
pub struct News<'a> {
    /// What happened.
    pub change: Change,
    /// The item's key.
    pub key: &'a Key,
    /// The body last reported, as a tree and as bytes.
    pub before: Option<(&'a Json, &'a Bytes)>,
    /// The body now, as a tree and as bytes.
    pub after: Option<(&'a Json, &'a Bytes)>,
    /// What counted as change.
    pub difference: &'a Difference,
}

/// Makes events of one poll, numbering them as it goes.
pub(crate) struct Announcer {
    start: Start,
    scope: Json,
    sequence: u64,
}

impl Announcer {
    pub(crate) fn new(start: &Start) -> Self {
        let scope = parse(start.scope.as_str().as_bytes()).unwrap_or(Json::Null);
        Self { start: start.clone(), scope, sequence: start.sequence }
    }

    /// The moment that events carry from now on.
    pub(crate) fn seen_at(&mut self, now: Timestamp) {
        self.start.now = now;
    }

    /// The event that tells a change, or what keeps it back: `on` or `when`. `row` is the item's as it shall be once the
    /// change is told.
    pub(crate) fn announce(
        &mut self,
        news: &News<'_>,
        row: &Row,
        problems: &mut Vec<String>,
    ) -> Result<NewEvent, Silence> {
        let job = &self.start.job;
        if !job.on.contains(news.change) {
            return Err(Silence::On);
        }
        let (before, after) = (news.before.map(|(tree, _)| tree), news.after.map(|(tree, _)| tree));
        let facts = Facts::of(&self.envelope(news, ""), &self.scope, before, after);
        let names = facts.names();
        if let Some(when) = &job.when
            && !holds(when.holds(&names), "when", problems)
        {
            return Err(Silence::When);
        }
        let kind = self.kind(news.change, &names, problems);
        self.sequence += 1;
        let digest = news.after.map_or(Digest::default(), |(_, body)| Digest::of(body));
        let id = derive_id(self.start.uid, &self.start.scope, row.key, row.revision, digest);
        let envelope = self.envelope(news, &kind);
        let rendered = envelope.render();
        let telling = Telling { id: &id, envelope: &envelope, before, after, names: &names };
        let deliveries = self.deliveries(row.key, &telling, rendered.too_large, problems);
        Ok(NewEvent {
            id,
            key: news.key.clone(),
            change: news.change,
            sequence: self.sequence,
            at: self.start.now,
            kind,
            body: rendered.body,
            deliveries,
        })
    }

    fn kind(&self, change: Change, names: &Names<'_>, problems: &mut Vec<String>) -> String {
        let job = &self.start.job;
        let rendered = job.event_type.as_ref().map(|template| template.render(names));
        match rendered {
            Some(Ok(kind)) if !kind.trim().is_empty() => return kind,
            Some(Ok(_)) => problems.push("`type` rendered to nothing".to_owned()),
            Some(Err(error)) => problems.push(format!("`type` failed: {error}")),
            None => {}
        }
        format!("{}.{}", job.name, change.as_str())
    }

    fn envelope<'a>(&'a self, news: &News<'a>, kind: &'a str) -> Envelope<'a> {
        Envelope {
            kind,
            at: self.start.now,
            job: &self.start.job.name,
            scope: &self.start.scope,
            key: news.key,
            change: news.change,
            before: news.before.map(|(_, body)| &body[..]),
            after: news.after.map(|(_, body)| &body[..]),
            difference: news.difference,
            sequence: self.sequence,
            extent: Extent::Whole,
        }
    }

    /// One for each sink that wants the event: by the first of the job's routes to it whose condition holds.
    fn deliveries(
        &self,
        key: KeyDigest,
        telling: &Telling<'_>,
        too_large: bool,
        problems: &mut Vec<String>,
    ) -> Vec<NewDelivery> {
        let mut deliveries = Vec::with_capacity(self.start.sinks.len());
        for sink in &self.start.sinks {
            let name = &sink.name;
            let mut wants = |when: &Option<Condition>, whose: &str| match when {
                None => true,
                Some(when) => holds(when.holds(telling.names), &format!("when of {whose} `{name}`"), problems),
            };
            if !wants(&sink.when, "the sink") {
                continue;
            }
            let routes = self.start.job.send_to.iter().filter(|route| route.sink == *name);
            let Some(route) = routes.into_iter().find(|route| wants(&route.when, "the way to the sink")) else {
                continue;
            };
            let (form, thin) = route.writing(sink);
            let written = formats::write(form, thin, telling);
            if let Some(Fault::Payload(why)) = &written.fault {
                problems.push(format!("the payload for the sink `{name}` failed, so a delivery is dead: {why}"));
            }
            let own_too_large = (too_large && written.body.is_none()).then_some(Fault::TooLarge);
            deliveries.push(NewDelivery {
                sink: name.clone(),
                lane: sink.order.lane(self.start.uid, &self.start.scope, key),
                body: written.body,
                wire: written.wire,
                dead: written.fault.or(own_too_large).map(|fault| fault.to_string()),
            });
        }
        deliveries
    }
}

/// A condition that fails at run time lets the event pass.
fn holds(verdict: Result<bool, String>, name: &str, problems: &mut Vec<String>) -> bool {
    verdict.unwrap_or_else(|error| {
        problems.push(format!("`{name}` failed, so the event passed: {error}"));
        true
    })
}
