//! From a change to its event and deliveries: `on`, `when`, the type, the envelope, and which sink gets it.
//!
//! An expression that fails loses nothing: the event passes, or its type falls back to `JOB.CHANGE`.

use bytes::Bytes;

use crate::core::decide::Start;
use crate::core::delivery::NewDelivery;
use crate::core::diff::{Change, Difference};
use crate::core::envelope::{Envelope, Rendered};
use crate::core::event::{NewEvent, derive_id};
use crate::core::json::{Json, parse};
use crate::core::ledger::Row;
use crate::core::names::{Digest, Key, KeyDigest, Lane};
use crate::core::sink::{Order, Sink};
use crate::core::template::Names;

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

    /// The event that tells a change, or `None` when `on` or `when` keep it back. `row` is the item's as it shall be
    /// once the change is told.
    pub(crate) fn announce(&mut self, news: &News<'_>, row: &Row, problems: &mut Vec<String>) -> Option<NewEvent> {
        let job = &self.start.job;
        if !job.on.contains(news.change) {
            return None;
        }
        let facts = Facts::of(&self.start, &self.scope, news);
        let names = facts.names();
        if let Some(when) = &job.when
            && !holds(when.holds(&names), "when", problems)
        {
            return None;
        }
        let kind = self.kind(news.change, &names, problems);
        self.sequence += 1;
        let rendered = self.render(news, &kind);
        let deliveries = self.deliveries(row.key, &names, &rendered, problems);
        let after = news.after.map_or(Digest::default(), |(_, body)| Digest::of(body));
        Some(NewEvent {
            id: derive_id(self.start.uid, &self.start.scope, row.key, row.revision, after),
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

    fn render(&self, news: &News<'_>, kind: &str) -> Rendered {
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
        }
        .render()
    }

    fn deliveries(
        &self,
        key: KeyDigest,
        names: &Names<'_>,
        rendered: &Rendered,
        problems: &mut Vec<String>,
    ) -> Vec<NewDelivery> {
        let dead =
            rendered.too_large.then(|| "the event is larger than 1 MiB even without `patch` and `before`".into());
        let wanted = |sink: &&std::sync::Arc<Sink>, problems: &mut Vec<String>| match &sink.when {
            None => true,
            Some(when) => holds(when.holds(names), &format!("when of the sink `{}`", sink.name), problems),
        };
        let sinks = self.start.sinks.iter();
        let deliveries = sinks.filter(|sink| wanted(sink, problems)).map(|sink| NewDelivery {
            sink: sink.name.clone(),
            lane: self.lane(sink.order, key),
            body: None,
            dead: dead.clone(),
        });
        deliveries.collect()
    }

    fn lane(&self, order: Order, key: KeyDigest) -> Option<Lane> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(&self.start.uid.0);
        hasher.update(self.start.scope.as_str().as_bytes());
        match order {
            Order::None => return None,
            Order::Job => {}
            Order::Key => {
                hasher.update(&[0]);
                hasher.update(&key.0);
            }
        }
        Some(Lane::from_hash(hasher.finalize()))
    }
}

/// A condition that fails at run time lets the event pass.
fn holds(verdict: Result<bool, String>, name: &str, problems: &mut Vec<String>) -> bool {
    verdict.unwrap_or_else(|error| {
        problems.push(format!("`{name}` failed, so the event passed: {error}"));
        true
    })
}

/// What `when` and templates may ask of a change.
struct Facts<'a> {
    before: &'a Json,
    after: &'a Json,
    scope: &'a Json,
    change: Json,
    changed: Json,
    key: Json,
    job: Json,
}

impl<'a> Facts<'a> {
    fn of(start: &Start, scope: &'a Json, news: &News<'a>) -> Self {
        const NOTHING: &Json = &Json::Null;
        let changed = news.difference.changed.iter().map(|pointer| Json::from(pointer.as_str()));
        Self {
            before: news.before.map_or(NOTHING, |(tree, _)| tree),
            after: news.after.map_or(NOTHING, |(tree, _)| tree),
            scope,
            change: Json::from(news.change.as_str()),
            changed: Json::Array(changed.collect()),
            key: Json::from(news.key.as_str()),
            job: Json::from(start.job.name.as_str()),
        }
    }

    fn names(&self) -> [(&'static str, &Json); 7] {
        [
            ("before", self.before),
            ("after", self.after),
            ("change", &self.change),
            ("changed", &self.changed),
            ("key", &self.key),
            ("job", &self.job),
            ("scope", self.scope),
        ]
    }
}
