//! The store's verbs: each hands one piece of work to the thread that does it, and one transaction follows.
//!
//! No verb here holds a lock while it waits.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};

use async_trait::async_trait;

use crate::core::config::Rename;
use crate::core::ledger::{Dirty, Remembered, Row};
use crate::core::names::{Digest, JobName, Key, KeyDigest, Scope, SinkName};
use crate::core::operate::{DeliveryFilter, DeliveryRow};
use crate::core::plan::Standings;
use crate::core::sink::Order;
use crate::core::time::Timestamp;
use crate::core::view::{EventDetail, EventFilter, EventView, Page};
use crate::core::why::WhyItem;
use crate::store::sqlite::commit::{Commit, Committed, End};
use crate::store::sqlite::error::Result;
use crate::store::sqlite::jobs::{Claimed, KnownScope};
use crate::store::sqlite::writer::Durability;
use crate::store::sqlite::{
    SqliteStore, archive, batches, deliveries, jobs, ledger, observations, outbox, overflow, pages, relane, settle,
    sinks, standings, unfinished, upkeep,
};
use crate::store::{
    Archive, BatchRoom, DeliveryTicket, Found, JobRecord, Outbox, PageSeal, PollChanges, PollEnding, PollNote,
    PollTicket, Polls, Queue, Room, ScopeState, Settled, Settlement, SinkState, StoreError, Upkeep,
};

/// Bytes that a settlement writes, about: of the pages that it touches, most are its own.
const SETTLEMENT: usize = 16 << 10;

/// Jobs whose notes are written in one piece of work.
const NOTES: usize = 1000;

/// Notes that ride along with one that tells of a transition.
const RIDERS: usize = 64;

#[async_trait]
impl Polls for SqliteStore {
    async fn live_items(&self, job: &JobName, limit: usize) -> Result<Option<Vec<Remembered>>> {
        let job = job.clone();
        self.readers.read(move |db| ledger::live_items(db, &job, limit)).await
    }

    async fn claim_poll(&self, job: &JobName, _now: Timestamp) -> Result<Option<PollTicket>> {
        let mut claimed = self.jobs.claim(job);
        if matches!(claimed, Claimed::Unknown) {
            self.load(vec![job.clone()]).await?;
            claimed = self.jobs.claim(job);
        }
        match claimed {
            Claimed::Ticket(ticket) => Ok(Some(*ticket)),
            Claimed::Busy => Ok(None),
            Claimed::Unknown => Err(StoreError::UnknownJob(job.clone())),
        }
    }

    async fn rows(&self, ticket: &PollTicket, scope: &Scope, items: &[(KeyDigest, Digest)]) -> Result<Found> {
        let none = || Found { rows: vec![None; items.len()], ..Found::default() };
        if items.is_empty() {
            return Ok(none());
        }
        let live = ticket.scopes.get(scope).map_or(0, |state| state.items);
        let asked = items.to_vec();
        let read = move |db: &rusqlite::Connection, id| ledger::find(db, id, &asked, live);
        Ok(self.read_scope(ticket, scope, items.len(), read).await?.unwrap_or_else(none))
    }

    async fn missing(&self, ticket: &PollTicket, scope: &Scope, seen: Vec<KeyDigest>) -> Result<Vec<Row>> {
        let found = self.read_scope(ticket, scope, usize::MAX, move |db, id| ledger::missing(db, id, &seen)).await?;
        Ok(found.unwrap_or_default())
    }

    async fn still_missing(&self, ticket: &PollTicket, scope: &Scope) -> Result<Vec<Row>> {
        // Without this a poll that is unchanged would wait for the disk.
        if ticket.scopes.get(scope).is_none_or(|state| state.missing == 0) {
            return Ok(Vec::new());
        }
        Ok(self.read_scope(ticket, scope, usize::MAX, ledger::still_missing).await?.unwrap_or_default())
    }

    async fn settling(&self, ticket: &PollTicket, scope: &Scope) -> Result<Vec<(KeyDigest, u32)>> {
        Ok(self.read_scope(ticket, scope, usize::MAX, unfinished::settling).await?.unwrap_or_default())
    }

    async fn pending(&self, ticket: &PollTicket, scope: &Scope, keys: &[KeyDigest]) -> Result<Vec<Option<Remembered>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let (asked, none) = (keys.to_vec(), keys.len());
        let found = self.read_scope(ticket, scope, none, move |db, id| unfinished::values(db, id, &asked)).await?;
        Ok(found.unwrap_or_else(|| vec![None; none]))
    }

    async fn dirty(&self, ticket: &PollTicket, scope: &Scope) -> Result<Vec<(KeyDigest, Dirty)>> {
        Ok(self.read_scope(ticket, scope, usize::MAX, unfinished::dirty).await?.unwrap_or_default())
    }

    async fn listed(&self, ticket: &PollTicket, scope: &Scope, keys: &[KeyDigest]) -> Result<Vec<Option<Remembered>>> {
        let (asked, none) = (keys.to_vec(), keys.len());
        let found = self.read_scope(ticket, scope, none, move |db, id| unfinished::listed(db, id, &asked)).await?;
        Ok(found.unwrap_or_else(|| vec![None; none]))
    }

    async fn page(&self, ticket: &PollTicket, scope: &Scope, request: Digest) -> Result<Option<PageSeal>> {
        Ok(self.read_scope(ticket, scope, 1, move |db, id| pages::find(db, id, request)).await?.flatten())
    }

    async fn remembered(
        &self,
        ticket: &PollTicket,
        scope: &Scope,
        keys: &[KeyDigest],
    ) -> Result<Vec<Option<Remembered>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let (asked, none) = (keys.to_vec(), keys.len());
        let found = self.read_scope(ticket, scope, none, move |db, id| ledger::remembered(db, id, &asked)).await?;
        Ok(found.unwrap_or_else(|| vec![None; none]))
    }

    async fn commit_part(
        &self,
        ticket: &mut PollTicket,
        changes: PollChanges,
        room: &Room,
    ) -> Result<Vec<DeliveryTicket>> {
        self.go_on(ticket, changes, End::Part, room).await
    }

    async fn commit_scope(
        &self,
        ticket: &mut PollTicket,
        changes: PollChanges,
        state: ScopeState,
        room: &Room,
    ) -> Result<Vec<DeliveryTicket>> {
        self.go_on(ticket, changes, End::Scope(state), room).await
    }

    async fn commit_poll(
        &self,
        ticket: PollTicket,
        changes: PollChanges,
        ending: PollEnding,
        room: &Room,
    ) -> Result<Vec<DeliveryTicket>> {
        let commit = self.commit(&ticket, changes, End::Poll(ending), room)?;
        // From here on the commit alone holds the claim, even if nobody waits for it any more.
        drop(ticket);
        Ok(self.write_commit(commit).await?.0)
    }

    async fn note_poll(&self, ticket: PollTicket, note: PollNote) -> Result<()> {
        let turned = self.jobs.note(&*self.jobs.standing(&ticket)?, note);
        drop(ticket);
        if turned {
            let (run, undo) = self.notes(RIDERS);
            let run = move |db: &rusqlite::Connection| run(db).map(drop);
            self.writer.try_write(run, move |written| {
                if written.is_err() {
                    undo();
                }
            });
        }
        Ok(())
    }
}

impl SqliteStore {
    fn commit(&self, ticket: &PollTicket, changes: PollChanges, end: End, room: &Room) -> Result<Commit> {
        Ok(Commit {
            claim: self.jobs.standing(ticket)?,
            epoch: self.epoch,
            before: ticket.scopes.get(&changes.scope).cloned().unwrap_or_default(),
            scope: self.jobs.scope(&ticket.job, &changes.scope),
            record: ticket.record.clone(),
            room: room.clone(),
            changes,
            end,
        })
    }

    /// Commits what does not end the poll; its ticket knows of it from then on.
    async fn go_on(
        &self,
        ticket: &mut PollTicket,
        changes: PollChanges,
        end: End,
        room: &Room,
    ) -> Result<Vec<DeliveryTicket>> {
        let commit = self.commit(ticket, changes, end, room)?;
        let (tickets, scope, events) = self.write_commit(commit).await?;
        ticket.record.events += events;
        ticket.scopes.insert(scope.name, scope.state);
        ticket.record.items = ticket.scopes.values().map(|scope| scope.items).sum();
        Ok(tickets)
    }

    async fn write_commit(&self, commit: Commit) -> Result<(Vec<DeliveryTicket>, KnownScope, u64)> {
        let (jobs, known) = (Arc::clone(&self.jobs), Arc::clone(&self.jobs));
        let claim = Arc::clone(&commit.claim);
        let done = self
            .writer
            .write(
                commit.weight(),
                move |db| commit.run(db, &jobs),
                move |written: &Result<Committed>| {
                    if let Ok(done) = written {
                        known.committed(&claim.job, done.scope.clone(), done.ended.clone(), done.events);
                    }
                },
            )
            .await?;
        Ok((done.tickets, done.scope, done.events))
    }
}

#[async_trait]
impl Outbox for SqliteStore {
    async fn claim_deliveries(&self, sink: &SinkName, now: Timestamp, limit: usize) -> Result<Vec<DeliveryTicket>> {
        let (sink, epoch) = (sink.clone(), self.epoch);
        self.writer
            .write_checked(0, Durability::WithTheNext, move |db| outbox::claim(db, epoch, &sink, now, limit), |_| {})
            .await
    }

    async fn claim_retries(&self, sink: &SinkName, now: Timestamp, limit: usize) -> Result<Vec<DeliveryTicket>> {
        let (sink, epoch) = (sink.clone(), self.epoch);
        self.writer
            .write_checked(
                0,
                Durability::WithTheNext,
                move |db| outbox::claim_retries(db, epoch, &sink, now, limit),
                |_| {},
            )
            .await
    }

    async fn bind(&self, tickets: &[DeliveryTicket], room: BatchRoom) -> Result<DeliveryTicket> {
        let (Some(first), epoch) = (tickets.first(), self.epoch) else {
            return Err(StoreError::Refused("a batch of nothing".to_owned()));
        };
        let (sink, ids): (_, Vec<i64>) = (first.sink.clone(), tickets.iter().map(|ticket| ticket.id).collect());
        self.writer.write(0, move |db| batches::bind(db, epoch, &sink, &ids, room), |_| {}).await
    }

    async fn next_due(&self, sink: &SinkName) -> Result<Option<Timestamp>> {
        let (sink, epoch) = (sink.clone(), self.epoch);
        self.readers.read(move |db| outbox::next_due(db, epoch, &sink)).await
    }

    async fn settle(&self, ended: Arc<Vec<Settlement>>, sink: SinkState) -> Result<Vec<Settled>> {
        let Some(name) = ended.first().map(|settlement| settlement.ticket.sink.clone()) else { return Ok(Vec::new()) };
        let (sinks, epoch, weight) = (Arc::clone(&self.sinks), self.epoch, ended.len() * SETTLEMENT);
        let durability = settle::durability(&ended);
        let written = move |written: &Result<(Vec<Settled>, Option<SinkState>)>| {
            if let Ok((_, Some(state))) = written {
                sinks.put(name, state.clone());
            }
        };
        let run = move |db: &rusqlite::Connection| settle::settle(db, epoch, &ended, &sink);
        Ok(self.writer.write_checked(weight, durability, run, written).await?.0)
    }

    async fn release(&self, tickets: Vec<DeliveryTicket>) -> Result<()> {
        let ids: Vec<i64> =
            tickets.iter().filter(|ticket| ticket.epoch == self.epoch).map(|ticket| ticket.id).collect();
        let epoch = self.epoch;
        self.writer.write_checked(0, Durability::WithTheNext, move |db| outbox::release(db, epoch, &ids), |_| {}).await
    }

    async fn drop_oldest(
        &self,
        sink: &SinkName,
        most: u64,
        before: Option<Timestamp>,
        reason: &str,
        now: Timestamp,
    ) -> Result<u64> {
        let (sink, reason, epoch) = (sink.clone(), reason.to_owned(), self.epoch);
        let run = move |db: &rusqlite::Connection| overflow::drop_oldest(db, epoch, &sink, most, before, &reason, now);
        self.writer.write(0, run, |_| {}).await
    }

    async fn queue(&self, sink: &SinkName) -> Result<Queue> {
        let sink = sink.clone();
        self.readers.read_light(move |db| sinks::queue(db, &sink)).await
    }

    async fn sink_state(&self, sink: &SinkName) -> Result<SinkState> {
        Ok(self.sinks.get(sink))
    }

    async fn postpone_sink(&self, sink: &SinkName, until: Timestamp) -> Result<()> {
        self.change_sink(sink, move |db, sink| sinks::postpone(db, sink, until)).await
    }

    async fn enable_sink(&self, sink: &SinkName, now: Timestamp) -> Result<()> {
        self.change_sink(sink, move |db, sink| sinks::enable(db, sink, now)).await
    }
}

impl SqliteStore {
    /// Changes what is remembered of a sink, in the file and then in memory.
    async fn change_sink(
        &self,
        sink: &SinkName,
        change: impl FnOnce(&rusqlite::Connection, &SinkName) -> Result<SinkState> + Send + 'static,
    ) -> Result<()> {
        let (sinks, name, sink) = (Arc::clone(&self.sinks), sink.clone(), sink.clone());
        let changed = move |written: &Result<SinkState>| {
            if let Ok(state) = written {
                sinks.put(name, state.clone());
            }
        };
        self.writer.write(0, move |db| change(db, &sink), changed).await.map(drop)
    }
}

#[async_trait]
impl Archive for SqliteStore {
    async fn jobs(&self) -> Result<Vec<(JobName, JobRecord)>> {
        let mut rows = self.readers.read(archive::jobs).await?;
        self.jobs.overlay(&mut rows);
        Ok(rows)
    }

    async fn sinks(&self) -> Result<Vec<(SinkName, SinkState, Queue)>> {
        self.readers.read(sinks::all).await
    }

    async fn events(&self, filter: &EventFilter) -> Result<Page<EventView>> {
        let filter = filter.clone();
        self.readers.read(move |db| archive::events(db, &filter)).await
    }

    async fn event(&self, id: &str) -> Result<Option<EventDetail>> {
        let id = id.to_owned();
        self.readers.read(move |db| archive::event(db, &id)).await
    }

    async fn standings(&self) -> Result<Standings> {
        self.readers.read(standings::all).await
    }

    async fn why(&self, job: &JobName, key: &Key) -> Result<Vec<WhyItem>> {
        self.flush().await?;
        let (job, key) = (job.clone(), key.clone());
        self.readers.read(move |db| observations::why(db, &job, &key)).await
    }

    async fn keys(&self, job: &JobName, limit: usize) -> Result<Vec<Key>> {
        let job = job.clone();
        self.readers.read(move |db| ledger::keys(db, &job, limit)).await
    }

    async fn deliveries(&self, filter: &DeliveryFilter) -> Result<Page<DeliveryRow>> {
        let filter = filter.clone();
        self.readers.read(move |db| deliveries::list(db, &filter)).await
    }
}

#[async_trait]
impl Upkeep for SqliteStore {
    async fn adopt_renamed(
        &self,
        jobs: &[JobName],
        sinks: &[SinkName],
        renames: &[Rename],
        now: Timestamp,
    ) -> Result<()> {
        let names = upkeep::Names { jobs: jobs.to_vec(), sinks: sinks.to_vec(), renames: renames.to_vec() };
        let (seed, epoch, table) = (self.uid_seed, self.epoch, Arc::clone(&self.jobs));
        if !renames.is_empty() {
            // What is known of a job in memory goes by its name.
            self.flush().await?;
        }
        let moved = move |adopted: &Result<Vec<Rename>>| {
            let moved = adopted.iter().flatten();
            moved.flat_map(|rename| [&rename.old, &rename.new]).for_each(|name| table.evict(name));
        };
        self.writer.write(0, move |db| upkeep::adopt(db, &names, now, seed, epoch), moved).await?;
        self.jobs.forget(&jobs.iter().collect::<HashSet<_>>());
        for names in self.jobs.unknown(jobs).chunks(NOTES) {
            self.load(names.to_vec()).await?;
        }
        Ok(())
    }

    async fn keep_orders(&self, orders: &[(SinkName, Order)], now: Timestamp) -> Result<()> {
        let orders = orders.to_vec();
        self.writer.write(0, move |db| relane::keep_orders(db, &orders, now), |_| {}).await
    }

    async fn prune(&self, before: Timestamp, limit: usize) -> Result<u64> {
        let most = i64::try_from(limit).unwrap_or(i64::MAX);
        let after = *self.pruned.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.readers.read(move |db| upkeep::old_events(db, before, most, after)).await?;
        let next = old.last().copied().filter(|_| old.len() >= limit).unwrap_or(0);
        let jobs = Arc::clone(&self.jobs);
        let (events, ledger) = self
            .writer
            .write(
                0,
                move |db| {
                    let deleted = upkeep::delete_events(db, &old)? + upkeep::delete_gone(db, before, most)?;
                    let deleted = deleted + observations::forget(db, before, most)?;
                    let ledger = upkeep::delete_ledger(db, before, most)?;
                    upkeep::shrink(db)?;
                    Ok((deleted, ledger))
                },
                move |written: &Result<(u64, Option<(JobName, u64)>)>| {
                    if let Ok((_, Some((job, _)))) = written {
                        jobs.evict(job);
                    }
                },
            )
            .await?;
        *self.pruned.lock().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(events + ledger.map_or(0, |(_, rows)| rows))
    }

    async fn flush(&self) -> Result<()> {
        loop {
            let (run, undo) = self.notes(NOTES);
            let end = move |written: &Result<usize>| {
                if written.is_err() {
                    undo();
                }
            };
            if self.writer.write(0, run, end).await? < NOTES {
                return Ok(());
            }
        }
    }

    async fn ping(&self) -> Result<()> {
        self.writer.write(0, |_| Ok(()), |_| {}).await
    }

    async fn close(&self) -> Result<()> {
        self.readers.close().await;
        let jobs = Arc::clone(&self.jobs);
        let rest = move |db: &rusqlite::Connection| {
            jobs::write_dirty(db, &jobs.take_dirty(usize::MAX, true))?;
            observations::write_noted(db, &jobs.take_observed(usize::MAX))
        };
        self.writer.close(rest).await
    }
}
