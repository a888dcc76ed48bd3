//! The gates before vendors: one for all jobs of a vendor, asked before every request on the wire.
//!
//! How fast is too fast is `core::polite`'s to say. Here requests wait in line, and what was used is written down before
//! it is used, a block at a time: a crash can lose some of a budget, and never exceed it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore};

use crate::core::config::{Config, Rename};
use crate::core::job::Job;
use crate::core::limits::Advice;
use crate::core::names::JobName;
use crate::core::outcome::{Failure, FailureKind};
use crate::core::polite::{Courtesy, Kept, Owner, Pacer, Parts, Ready, Why};
use crate::core::time::Timestamp;
use crate::core::units::Rate;
use crate::core::view::VendorView;
use crate::engine::clock::Clock;
use crate::store::{Store, StoreError};

#[cfg(test)]
mod tests;
mod turn;

pub(super) use turn::Turn;

/// What a job is held to that has nothing of its own.
const ALL: Parts = Parts { rate: true, budget: true };

/// All gates. They outlive a reload: what was used stays used.
pub(super) struct Gates {
    clock: Arc<dyn Clock>,
    store: Arc<dyn Store>,
    book: Mutex<Book>,
    /// Told when a poll that waited for its turn may have one.
    moved: Arc<Notify>,
}

#[derive(Default)]
struct Book {
    /// What the state remembers, for owners that come into the config.
    kept: BTreeMap<Owner, Kept>,
    meters: BTreeMap<Owner, Arc<Meter>>,
    ways: BTreeMap<JobName, Arc<Way>>,
    /// The owners that the config has. The others' meters are kept for when they come back.
    in_force: BTreeSet<Owner>,
}

/// What one owner's requests have used.
struct Meter {
    owner: Owner,
    courtesy: Mutex<Courtesy>,
    pacer: Mutex<Pacer>,
    door: Mutex<Option<(u32, Arc<Semaphore>)>>,
    /// Held while a block is written down.
    writing: tokio::sync::Mutex<()>,
}

/// The way of some jobs to their vendor: through its meter, and one of their own where they have one.
pub(super) struct Way {
    meters: Vec<(Arc<Meter>, Parts)>,
    /// Requests in flight.
    door: Option<Arc<Semaphore>>,
    /// Who is first in line holds it: one after the other, in the order in which they came.
    line: tokio::sync::Mutex<()>,
    limited: bool,
    counts: Mutex<Counts>,
}

/// Polls on their way.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    /// Begun, and not at the gate yet.
    admitted: u64,
    /// At the gate, waiting.
    waiting: u64,
}

/// Why a poll can't begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blocked {
    /// Nothing may be asked until then.
    Until(Ready),
    /// Others are before it; [`Gates::moved`] tells when that changes.
    Busy,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Gates {
    /// The gates of a config, with what the store remembers of them.
    pub(super) async fn open(
        clock: Arc<dyn Clock>,
        store: Arc<dyn Store>,
        config: &Config,
    ) -> Result<Arc<Self>, StoreError> {
        let kept = store.paces().await?.into_iter().collect();
        let book = Mutex::new(Book { kept, ..Book::default() });
        let gates = Self { clock, store, book, moved: Arc::default() };
        gates.apply(config);
        Ok(Arc::new(gates))
    }

    /// Makes them those of another config. What was used, and what vendors asked for, stays.
    pub(super) fn apply(&self, config: &Config) {
        let now = self.clock.now();
        let mut book = lock(&self.book);
        let Book { kept, meters, in_force, .. } = &mut *book;
        in_force.clear();
        let mut ways = BTreeMap::new();
        let mut shared: BTreeMap<&str, Arc<Way>> = BTreeMap::new();
        for Rename { old, new } in config.renames() {
            // What it used under its former name stays used.
            if let Some(meter) = meters.remove(&Owner::Job(old)) {
                kept.insert(Owner::Job(new), lock(&meter.pacer).kept_now(now));
            }
        }
        let mut meter = |owner: Owner, courtesy: &Courtesy| {
            let found = meters.entry(owner.clone());
            let meter = found.or_insert_with(|| Arc::new(Meter::new(&owner, courtesy, kept.get(&owner), now)));
            meter.adapt(courtesy, now);
            in_force.insert(owner);
            Arc::clone(meter)
        };
        for vendor in &config.vendors {
            let meter = meter(Owner::Vendor(vendor.name.clone()), &vendor.courtesy);
            shared.insert(vendor.name.as_str(), Arc::new(Way::new(vec![(meter, ALL)])));
        }
        for job in &config.jobs {
            let vendor = job.vendor.as_ref().and_then(|vendor| shared.get(vendor.as_str()));
            let own = |meter: &mut dyn FnMut(Owner, &Courtesy) -> Arc<Meter>| {
                (meter(Owner::Job(job.name.clone()), &job.courtesy), ALL)
            };
            let way = match vendor {
                Some(way) if job.courtesy == Courtesy::default() => Arc::clone(way),
                Some(way) => {
                    let vendors = way.meters.iter().map(|(meter, _)| (Arc::clone(meter), lacking(job)));
                    Arc::new(Way::new(vendors.chain([own(&mut meter)]).collect()))
                }
                None => Arc::new(Way::new(vec![own(&mut meter)])),
            };
            ways.insert(job.name.clone(), way);
        }
        book.ways = ways;
        self.moved.notify_one();
    }

    /// A job's way to its vendor; an open one for a job that the config does not have.
    pub(super) fn way(&self, job: &JobName) -> Arc<Way> {
        let known = lock(&self.book).ways.get(job).cloned();
        known.unwrap_or_else(|| Arc::new(Way::new(Vec::new())))
    }

    /// Why a poll can't begin, if its first request can't be made now.
    pub(super) fn blocked(&self, way: &Way) -> Option<Blocked> {
        let now = self.clock.now();
        let ready = way.ready(now, true);
        if ready.at > now {
            return Some(Blocked::Until(ready));
        }
        let counts = *lock(&way.counts);
        let busy = way.limited && (counts.waiting > 0 || way.room(now) <= counts.admitted);
        busy.then_some(Blocked::Busy)
    }

    /// Lets a poll begin, if its first request can be made now. The scheduler alone calls it.
    pub(super) fn admit(self: &Arc<Self>, way: &Arc<Way>) -> Option<Turn> {
        if self.blocked(way).is_some() {
            return None;
        }
        lock(&way.counts).admitted += 1;
        Some(Turn::new(self, way, true))
    }

    /// Lets a poll begin that someone asked for: it waits at the gate like any other.
    pub(super) fn turn(self: &Arc<Self>, way: &Arc<Way>) -> Turn {
        Turn::new(self, way, false)
    }

    /// Ends when a poll that was [`Blocked::Busy`] may be able to begin.
    pub(super) async fn moved(&self) {
        self.moved.notified().await;
    }

    /// What is left of the limits of each owner that has some, in the order of their names.
    pub(super) fn views(&self) -> Vec<VendorView> {
        let now = self.clock.now();
        let meters: Vec<Arc<Meter>> = {
            let book = lock(&self.book);
            book.in_force.iter().filter_map(|owner| book.meters.get(owner).cloned()).collect()
        };
        let mut views: Vec<_> = meters.iter().filter_map(|meter| meter.view(now)).collect();
        views.sort_by(|one, other| one.name.cmp(&other.name));
        views
    }

    /// What a poll that is due waits for, and until when.
    pub(super) fn waits(&self, way: &Way) -> Option<(Timestamp, String)> {
        match self.blocked(way)? {
            Blocked::Until(ready) => Some((ready.at, way.says(ready, self.clock.now()))),
            Blocked::Busy => None,
        }
    }

    /// Writes down what was really used, for the next start.
    pub(super) async fn close(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let meters: Vec<Arc<Meter>> = lock(&self.book).meters.values().cloned().collect();
        let exact = meters.iter().filter_map(|meter| {
            let pacer = lock(&meter.pacer);
            pacer.is_ahead().then(|| (meter.owner.clone(), pacer.kept(0, now)))
        });
        let exact: Vec<_> = exact.collect();
        if exact.is_empty() { Ok(()) } else { self.store.keep_paces(exact).await }
    }
}

/// What of its vendor's limits a job has no word of its own on.
fn lacking(job: &Job) -> Parts {
    Parts { rate: job.courtesy.rate.is_none(), budget: job.courtesy.budget.is_none() }
}

impl Meter {
    fn new(owner: &Owner, courtesy: &Courtesy, kept: Option<&Kept>, now: Timestamp) -> Self {
        Self {
            owner: owner.clone(),
            courtesy: Mutex::new(*courtesy),
            pacer: Mutex::new(Pacer::new(courtesy, kept.copied(), now)),
            door: Mutex::default(),
            writing: tokio::sync::Mutex::default(),
        }
    }

    fn adapt(&self, courtesy: &Courtesy, now: Timestamp) {
        let mut known = lock(&self.courtesy);
        if *known != *courtesy {
            lock(&self.pacer).adapt(courtesy, now);
            *known = *courtesy;
        }
        let mut door = lock(&self.door);
        if door.as_ref().map(|(places, _)| *places) != courtesy.concurrency {
            *door = courtesy.concurrency.map(|places| (places, Arc::new(Semaphore::new(places as usize))));
        }
    }

    fn view(&self, now: Timestamp) -> Option<VendorView> {
        let courtesy = *lock(&self.courtesy);
        let (ready, budget) = {
            let pacer = lock(&self.pacer);
            (pacer.ready(ALL, now, true), pacer.budget(now))
        };
        let waits = (ready.at > now).then(|| self.says(ready));
        let is_of_interest = courtesy != Courtesy::default() || waits.is_some();
        let name = match &self.owner {
            Owner::Vendor(name) => name.to_string(),
            Owner::Job(name) => format!("job.{name}"),
        };
        is_of_interest.then(|| VendorView {
            name,
            rate: courtesy.rate.map(|rate| rate.to_string()),
            budget: courtesy.budget.map(|budget| budget.to_string()),
            budget_left: budget.map(|(_, left)| left),
            waits,
        })
    }

    fn says(&self, ready: Ready) -> String {
        let Ready { at, why } = ready;
        let courtesy = *lock(&self.courtesy);
        let of = |what: &str, limit: Option<Rate>| {
            let limit = limit.map(|limit| format!(" ({limit})")).unwrap_or_default();
            format!("waits for the {what} of {}{limit} until {at}", self.owner)
        };
        match why {
            Why::Rate => of("rate", courtesy.rate),
            Why::Budget => of("budget", courtesy.budget),
            Why::Asked => format!("{} asked to be left alone until {at}", self.owner),
        }
    }
}

impl Way {
    fn new(meters: Vec<(Arc<Meter>, Parts)>) -> Self {
        // A job's own is the last.
        let door = meters.iter().rev().find_map(|(meter, _)| lock(&meter.door).as_ref().map(|(_, door)| door.clone()));
        let paced = meters.iter().any(|(meter, parts)| {
            let courtesy = lock(&meter.courtesy);
            (parts.rate && courtesy.rate.is_some()) || (parts.budget && courtesy.budget.is_some())
        });
        let limited = paced || door.is_some();
        Self { meters, door, line: tokio::sync::Mutex::default(), limited, counts: Mutex::default() }
    }

    /// When a request may be made, and what it waits for.
    fn ready(&self, now: Timestamp, opening: bool) -> Ready {
        let at_once = Ready { at: now, why: Why::Rate };
        let ready = self.meters.iter().map(|(meter, parts)| lock(&meter.pacer).ready(*parts, now, opening));
        ready.fold(at_once, Ready::max)
    }

    /// How many polls could begin at `now`.
    fn room(&self, now: Timestamp) -> u64 {
        let tokens = self.meters.iter().map(|(meter, parts)| lock(&meter.pacer).available(*parts, now)).min();
        let places = self.door.as_ref().map_or(u64::MAX, |door| door.available_permits() as u64);
        tokens.unwrap_or(u64::MAX).min(places)
    }

    /// Makes a request at all meters or at none: not when one of them must be written down first.
    fn take(&self, now: Timestamp, opening: bool) -> bool {
        let mut pacers: Vec<_> = self.meters.iter().map(|(meter, parts)| (lock(&meter.pacer), *parts)).collect();
        let may = |(pacer, parts): &(MutexGuard<'_, Pacer>, Parts)| {
            pacer.to_keep(now).is_none() && pacer.ready(*parts, now, opening).at <= now
        };
        pacers.iter().all(may) && pacers.iter_mut().all(|(pacer, parts)| pacer.take(*parts, now, opening))
    }

    /// What someone waits for, in a sentence.
    pub(super) fn says(&self, ready: Ready, now: Timestamp) -> String {
        let meters = self.meters.iter();
        let slowest = meters.max_by_key(|(meter, parts)| lock(&meter.pacer).ready(*parts, now, true));
        slowest.map_or_else(String::new, |(meter, _)| meter.says(ready))
    }
}

/// Requests wait in the daemon's own line only for so long: what a vendor asks for, and a budget that is spent.
const LINGER_MAX: Duration = Duration::from_secs(5);

/// A poll that has begun waits for its rate for so long before it ends as failed or partial.
const LINGER_FOR_RATE_MAX: Duration = Duration::from_secs(15 * 60);

/// Why a request is not made: it would wait for longer than a poll may.
fn too_long(way: &Way, ready: Ready, now: Timestamp) -> Option<Failure> {
    let wait = ready.at.since(now);
    let most = if ready.why == Why::Rate { LINGER_FOR_RATE_MAX } else { LINGER_MAX };
    (wait > most).then(|| {
        let sentence = format!("nothing was asked: {}", way.says(ready, now));
        Failure { retry_after: Some(wait), ..Failure::new(FailureKind::Limited, sentence) }
    })
}

/// Writes a block down at each meter that has used up its last one.
async fn write_ahead(store: &dyn Store, way: &Way, now: Timestamp) -> Result<(), StoreError> {
    for (meter, _) in &way.meters {
        let _one_at_a_time = meter.writing.lock().await;
        let next = lock(&meter.pacer).to_keep(now);
        if let Some((block, kept)) = next {
            store.keep_paces(vec![(meter.owner.clone(), kept)]).await?;
            lock(&meter.pacer).kept_ahead(block, now);
        }
    }
    Ok(())
}

/// What a vendor asked for holds for all of its jobs.
async fn heed(gates: &Gates, way: &Way, advice: Advice) {
    let Some((meter, _)) = way.meters.first() else { return };
    let now = gates.clock.now();
    let kept = {
        let mut pacer = lock(&meter.pacer);
        pacer.heed(&advice, now).then(|| pacer.kept_now(now))
    };
    let Some(kept) = kept else { return };
    let wait_s = advice.wait.unwrap_or_default().as_secs();
    tracing::info!(of = %meter.owner, wait_s, "a vendor asks to be left alone");
    if let Err(error) = gates.store.keep_paces(vec![(meter.owner.clone(), kept)]).await {
        tracing::error!(%error, "what a vendor asks for can't be remembered");
    }
}
