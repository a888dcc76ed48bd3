//! A poll's turn at its vendor: what its requests go through.
//!
//! The first request begins the poll and waits for its budget's pace; the others go on while anything is left.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, OwnedSemaphorePermit};

use crate::core::limits::Advice;
use crate::core::outcome::Failure;
use crate::core::time::Timestamp;
use crate::engine::gates::{Gates, Way, heed, lock, too_long, write_ahead};
use crate::engine::poller::store_failure;
use crate::source::{Gate, Pass};

/// A poll's turn.
pub(in crate::engine) struct Turn {
    gates: Arc<Gates>,
    way: Arc<Way>,
    /// Counted among those that have begun and are not at the gate yet.
    admitted: AtomicBool,
    begun: AtomicBool,
    /// Until when all of what its answers said is fresh.
    fresh_until: Mutex<Option<Timestamp>>,
}

impl Turn {
    pub(super) fn new(gates: &Arc<Gates>, way: &Arc<Way>, admitted: bool) -> Self {
        Self {
            gates: Arc::clone(gates),
            way: Arc::clone(way),
            admitted: AtomicBool::new(admitted),
            begun: AtomicBool::new(false),
            fresh_until: Mutex::default(),
        }
    }

    /// Until when the answers to all of its requests stay fresh; none where one of them says nothing of that.
    pub(in crate::engine) fn fresh_until(&self) -> Option<Timestamp> {
        *lock(&self.fresh_until)
    }

    /// Its first request is made, or none: its place among those that have begun is another's.
    fn arrive(&self) {
        if self.admitted.swap(false, Ordering::AcqRel) {
            let mut counts = lock(&self.way.counts);
            counts.admitted = counts.admitted.saturating_sub(1);
        }
        if self.way.limited {
            self.gates.moved.notify_one();
        }
    }

    async fn in_line(&self, opening: bool) -> Result<(), Failure> {
        let (gates, way) = (&self.gates, &self.way);
        let _first = way.line.lock().await;
        loop {
            let now = gates.clock.now();
            let ready = way.ready(now, opening);
            if ready.at > now {
                if let Some(failure) = too_long(way, ready, now) {
                    return Err(failure);
                }
                gates.clock.sleep_until(ready.at).await;
                continue;
            }
            write_ahead(&*gates.store, way, now).await.map_err(|error| store_failure(&error))?;
            if way.take(now, opening) {
                return Ok(());
            }
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.admitted.load(Ordering::Acquire) {
            self.arrive();
        }
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turn")
    }
}

#[async_trait]
impl Gate for Turn {
    async fn enter(&self) -> Result<Pass, Failure> {
        let opening = !self.begun.swap(true, Ordering::AcqRel);
        let waiting = Waiting::counted(&self.way);
        let permit = match &self.way.door {
            Some(door) => Arc::clone(door).acquire_owned().await.ok(),
            None => None,
        };
        let entered = self.in_line(opening).await;
        drop(waiting);
        self.arrive();
        entered?;
        Ok(Pass::holding(Place { permit, moved: self.way.limited.then(|| Arc::clone(&self.gates.moved)) }))
    }

    async fn heed(&self, advice: Advice) {
        heed(&self.gates, &self.way, advice).await;
    }

    fn note_fresh(&self, lasting: Duration) {
        let until = self.gates.clock.now().plus(lasting);
        let mut known = lock(&self.fresh_until);
        *known = Some(known.map_or(until, |known| known.min(until)));
    }
}

/// Counts one that waits, for as long as it does.
struct Waiting<'a>(&'a Way);

impl<'a> Waiting<'a> {
    fn counted(way: &'a Way) -> Self {
        lock(&way.counts).waiting += 1;
        Self(way)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        lock(&self.0.counts).waiting -= 1;
    }
}

/// A place among the requests in flight.
struct Place {
    permit: Option<OwnedSemaphorePermit>,
    moved: Option<Arc<Notify>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.permit = None;
        if let Some(moved) = &self.moved {
            moved.notify_one();
        }
    }
}
