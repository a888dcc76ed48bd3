//! `detail` at work: listed items that are new or another are asked for, some at a time, and what comes is held against
//! the ledger in their place.
//!
//! When an item is asked for, and what its answer makes of it, is decided in [`crate::core::detail`].

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;

use crate::core::decide::Phase;
use crate::core::detail::{Detail, Undetailed, tree};
use crate::core::extract::Item;
use crate::core::job::ListKind;
use crate::core::json::Json;
use crate::core::ledger::Row;
use crate::core::names::KeyDigest;
use crate::core::outcome::{Failure, FailureKind, PollOutcome};
use crate::engine::poller::Mode;
use crate::engine::report::Trace;
use crate::engine::round::Round;
use crate::engine::round::hold::says_gone;
use crate::source::{Answer, Fetched, Request, first_page};
use crate::store::{PollTicket, StoreError};

/// Details that are asked for before they are committed, while a baseline is read: so many requests a crash may cost.
pub(super) const GROUP_MAX: usize = 100;

/// Bytes of details that are gathered before they are held against the ledger.
const GROUP_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of listed items that wait for the end of the list, because their details could not be had before.
const DEFERRED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bodies that are read back at once, where the rules were edited.
const READ_BACK_MAX: usize = 500;

/// Details that are asked for when it is only a look at what nothing is said of: enough to see that it works.
const LOOKED_AT_MAX: usize = 10;

/// Whether a poll goes on, or why not.
type Went<T> = Result<Result<T, Failure>, StoreError>;

/// How a round stands with the details of its items.
#[derive(Debug, Default)]
pub(super) struct Details {
    lost: Undetailed,
    asked: usize,
    /// What could not be had in the poll before comes last, so that it blocks no other.
    deferred: BTreeMap<KeyDigest, Item>,
    deferred_bytes: usize,
    /// The list is done with: what comes now was seen on it, or is not on it.
    pub(super) last: bool,
    /// What is asked for is not listed any more.
    unlisted: bool,
    /// The list itself was read whole.
    pub(super) listed_whole: bool,
}

impl Round<'_> {
    /// Holds listed items against the ledger, those that are new or another with their details; true when there is one.
    pub(super) async fn compare_detailed(
        &mut self,
        ticket: &mut PollTicket,
        items: Vec<Item>,
        weight: usize,
        trace: &mut Trace,
    ) -> Went<bool> {
        let items = match self.mark(items, weight).await {
            Ok(items) => items,
            Err(failure) => return Ok(Err(failure)),
        };
        let again = self.again(items.iter().map(|item| item.key_digest));
        let rows = self.rows(ticket, &items, &again).await?.rows;
        let is_known = |item: &Item, row: Option<Row>| {
            !self.whole && row.is_some_and(|row| row.is_live() && row.raw == item.raw_digest)
        };
        let (known, asked): (Vec<_>, Vec<_>) =
            items.into_iter().zip(rows).partition(|(item, row)| is_known(item, *row));
        let (known, asked): (Vec<Item>, Vec<Item>) = (firsts(known), firsts(asked));
        for item in &known {
            self.decider.clean(item.key_digest);
            self.details.deferred.remove(&item.key_digest);
        }
        self.show_known(ticket, &known, trace).await?;
        if let Err(failure) = self.compare_known(ticket, known).await? {
            return Ok(Err(failure));
        }
        let news = !asked.is_empty();
        let asked = self.defer(asked);
        Ok(self.ask(ticket, asked, trace).await?.map(|()| news))
    }

    /// Of items that are not asked for, the ledger has the details.
    async fn show_known(&self, ticket: &PollTicket, known: &[Item], trace: &mut Trace) -> Result<(), StoreError> {
        let shown = known.iter().filter(|item| trace.shows(&item.key));
        let keys: Vec<KeyDigest> = shown.map(|item| item.key_digest).collect();
        let bodies = self.world.store.remembered(ticket, &self.start.scope, &keys).await?;
        bodies.into_iter().flatten().for_each(|item| trace.detailed(&item.key, &item.body));
        Ok(())
    }

    async fn mark(&self, mut items: Vec<Item>, weight: usize) -> Result<Vec<Item>, Failure> {
        let job = self.job.clone();
        let mark = move || job.detail.as_ref().map_or(Ok(()), |detail| detail.mark(&mut items)).map(|()| items);
        self.world.tasks.compute(weight, mark).await
    }

    /// Items of which what was read is good still: that, and not what is listed, is decided under edited rules.
    async fn compare_known(&mut self, ticket: &PollTicket, items: Vec<Item>) -> Went<()> {
        if !self.decider.reads_everything() {
            return Ok(self.compare(ticket, items, None, 0).await?.map(drop));
        }
        for mut some in groups(items, READ_BACK_MAX) {
            let keys: Vec<KeyDigest> = some.iter().map(|item| item.key_digest).collect();
            let rows: Vec<Option<KeyDigest>> = keys.iter().copied().map(Some).collect();
            let again = self.again(keys.into_iter());
            let bodies = self.remembered(ticket, &rows, &again, BTreeMap::new()).await?;
            for (item, body) in some.iter_mut().zip(bodies) {
                item.raw = body.map_or_else(|| item.raw.clone(), |remembered| remembered.body);
            }
            let weight = weight(&some);
            if let Err(failure) = self.compare(ticket, some, None, weight).await? {
                return Ok(Err(failure));
            }
        }
        Ok(Ok(()))
    }

    /// Puts items that could not be had before at the end, as far as there is room; the others are left.
    fn defer(&mut self, items: Vec<Item>) -> Vec<Item> {
        let details = &mut self.details;
        let dirty = &self.start.dirty;
        let mut left = Vec::with_capacity(items.len());
        for item in items {
            let room = details.deferred_bytes + item.raw.len() <= DEFERRED_BYTES_MAX;
            match dirty.contains_key(&item.key_digest) && room {
                true => {
                    details.deferred_bytes += item.raw.len();
                    details.deferred.insert(item.key_digest, item);
                }
                false => left.push(item),
            }
        }
        left
    }

    /// Asks for the details of items, and holds them against the ledger.
    async fn ask(&mut self, ticket: &mut PollTicket, items: Vec<Item>, trace: &mut Trace) -> Went<()> {
        for group in groups(items, GROUP_MAX) {
            let group = self.spare(group);
            if let Err(failure) = self.ask_group(ticket, group, trace).await? {
                return Ok(Err(failure));
            }
            self.relieve(ticket, trace).await?;
        }
        Ok(Ok(()))
    }

    /// Leaves out what is not worth a request: of a poll that is held, of one whose vendor has had enough, and of a look.
    fn spare(&mut self, mut group: Vec<Item>) -> Vec<Item> {
        if self.over {
            group.retain(|item| self.details.last || !self.seen.contains(item.key_digest));
            self.holding.hold_events(group.len() as u64, group.iter().map(|item| item.key.as_str()));
            return Vec::new();
        }
        if self.details.lost.is_over() {
            group.into_iter().for_each(|item| self.put_off(item));
            return Vec::new();
        }
        if self.mode == Mode::Look && !self.whole && self.decider.is_silent() {
            let room = LOOKED_AT_MAX.saturating_sub(self.details.asked);
            self.details.lost.spare(group.len().saturating_sub(room));
            group.truncate(room);
        }
        self.details.asked += group.len();
        group
    }

    /// An item that is not asked for now. What a baseline leaves is listed again by the next poll.
    fn put_off(&mut self, item: Item) {
        self.details.lost.unasked();
        if self.start.phase == Phase::Watching {
            self.decider.postpone(item);
        }
    }

    async fn ask_group(&mut self, ticket: &PollTicket, group: Vec<Item>, trace: &mut Trace) -> Went<()> {
        let Some(detail) = self.job.detail.as_deref() else { return Ok(Ok(())) };
        let requests: Vec<_> = group.iter().map(|item| self.detail_request(detail, item)).collect();
        let now = self.world.clock.now();
        let notes: Vec<_> = requests.iter().map(|request| trace.asking(request.as_ref().ok()?, now)).collect();
        let (fetcher, stop) = (&self.world.fetcher, &AtomicBool::new(false));
        let answers = futures_util::stream::iter(requests).map(|request| async move {
            match request {
                _ if stop.load(Ordering::Acquire) => None,
                Ok(request) => Some(fetcher.fetch(request).await),
                Err(failure) => Some(Fetched { result: Err(failure), took: Duration::ZERO, sent: Vec::new() }),
            }
        });
        let mut answers = pin!(answers.buffered(detail.concurrency));
        let (mut had, mut bytes) = (Vec::new(), 0);
        for (item, note) in group.into_iter().zip(notes) {
            let Some(fetched) = answers.next().await.flatten() else {
                self.put_off(item);
                continue;
            };
            trace.answered(note, &fetched);
            match self.read_detail(item.clone(), fetched.result).await {
                Ok(item) => {
                    self.details.lost.had();
                    self.decider.clean(item.key_digest);
                    bytes += item.raw.len();
                    trace.detailed(&item.key, &item.raw);
                    had.push(item);
                }
                // What is gone from the vendor will never come.
                Err(failure)
                    if self.details.unlisted && says_gone(&failure) && self.decider.gives_up(item.key_digest) =>
                {
                    self.decider.clean(item.key_digest);
                }
                Err(failure) => {
                    stop.fetch_or(self.details.lost.failed(&item, &failure), Ordering::AcqRel);
                    self.decider.soil(item);
                }
            }
            if bytes >= GROUP_BYTES {
                bytes = 0;
                if let Err(failure) = self.compare_had(ticket, std::mem::take(&mut had)).await? {
                    return Ok(Err(failure));
                }
            }
        }
        self.compare_had(ticket, had).await
    }

    async fn compare_had(&mut self, ticket: &PollTicket, items: Vec<Item>) -> Went<()> {
        let weight = weight(&items);
        Ok(self.compare(ticket, items, None, weight).await?.map(drop))
    }

    fn detail_request(&self, detail: &Detail, item: &Item) -> Result<Request, Failure> {
        let (job, key) = (Json::from(self.job.name.as_str()), Json::from(item.key.as_str()));
        let listed = tree(item)?;
        let mut names = vec![("job", &job), ("key", &key), ("item", &listed), ("cursor", &Json::Null)];
        names.extend(self.place.values.iter().map(|(name, value)| (name.as_str(), value)));
        Ok(first_page(&detail.request, None, &names)?.through(self.gate.clone()))
    }

    async fn read_detail(&self, listed: Item, result: Result<Answer, Failure>) -> Result<Item, Failure> {
        let Answer { content_type, body, .. } = result?;
        let job = self.job.clone();
        let weight = body.as_ref().map_or(0, |body| usize::try_from(body.len()).unwrap_or(usize::MAX));
        let read = move || {
            let body = body.map_or_else(|| Ok(bytes::Bytes::new()), |body| body.bytes()).map_err(|error| {
                Failure::new(FailureKind::Store, format!("the answer can't be read back from disk: {error}"))
            })?;
            match &job.detail {
                Some(detail) => detail.read(&job, listed, content_type.as_deref(), body),
                None => Ok(listed),
            }
        };
        self.world.tasks.compute(weight, read).await
    }

    /// After the list: asks for what could not be had before, and says what a poll is without the details that it lacks.
    ///
    /// What is not listed any more is asked for from memory, for a cursor has gone past it and a window has moved on. A
    /// complete list without it tells that it is gone.
    pub(super) async fn finish_details(
        &mut self,
        ticket: &mut PollTicket,
        outcome: PollOutcome,
        trace: &mut Trace,
    ) -> Went<PollOutcome> {
        let mut unlisted: Vec<KeyDigest> = self.start.dirty.keys().copied().collect();
        unlisted.sort_unstable();
        if self.job.detail.is_none() {
            // They are left from a config that had details.
            unlisted.iter().for_each(|key| self.decider.clean(*key));
            return Ok(Ok(outcome));
        }
        let listed_whole = !matches!(outcome, PollOutcome::Partial(_));
        self.details.last = true;
        self.details.listed_whole = listed_whole;
        let deferred = std::mem::take(&mut self.details.deferred).into_values().collect();
        if let Err(failure) = self.ask(ticket, deferred, trace).await? {
            return Ok(Err(failure));
        }
        let is_watching = self.start.phase == Phase::Watching;
        let tells_absence = self.job.list == ListKind::Complete || !is_watching;
        unlisted.retain(|key| !self.seen.contains(*key));
        if listed_whole && self.cursor.is_none() && tells_absence {
            unlisted.iter().for_each(|key| self.decider.clean(*key));
        } else if is_watching && let Err(failure) = self.ask_unlisted(ticket, &unlisted, trace).await? {
            return Ok(Err(failure));
        }
        Ok(Ok(self.with_details(outcome)))
    }

    async fn ask_unlisted(&mut self, ticket: &mut PollTicket, keys: &[KeyDigest], trace: &mut Trace) -> Went<()> {
        self.details.unlisted = true;
        for keys in keys.chunks(GROUP_MAX) {
            let listed = self.world.store.listed(ticket, &self.start.scope, keys).await?;
            let items: Vec<Item> = listed.into_iter().flatten().map(|it| Item::new(it.key, it.body)).collect();
            let weight = weight(&items);
            let went = match self.mark(items, weight).await {
                Ok(items) => self.ask(ticket, items, trace).await?,
                Err(failure) => Err(failure),
            };
            if went.is_err() {
                return Ok(went);
            }
        }
        Ok(Ok(()))
    }

    fn with_details(&self, outcome: PollOutcome) -> PollOutcome {
        match (self.details.lost.reason(), outcome) {
            (Some(lacks), PollOutcome::Partial(reason)) => PollOutcome::Partial(format!("{reason}; and {lacks}")),
            (Some(lacks), _) => PollOutcome::Partial(lacks),
            (None, PollOutcome::Unchanged) if self.details.asked > 0 => PollOutcome::Complete,
            (None, outcome) => outcome,
        }
    }
}

fn firsts<A, B>(pairs: Vec<(A, B)>) -> Vec<A> {
    pairs.into_iter().map(|(first, _)| first).collect()
}

fn weight(items: &[Item]) -> usize {
    items.iter().map(|item| item.raw.len()).sum()
}

/// Some at a time.
fn groups(items: Vec<Item>, most: usize) -> impl Iterator<Item = Vec<Item>> {
    let mut items = items.into_iter();
    std::iter::from_fn(move || {
        let some: Vec<Item> = items.by_ref().take(most).collect();
        (!some.is_empty()).then_some(some)
    })
}
