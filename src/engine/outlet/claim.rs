//! How an outlet claims what is due: ahead of need and beside its attempts, so that none of them waits for the store.
//!
//! Which delivery comes first is the store's to say.

use std::sync::Arc;
use std::time::Duration;

use crate::core::sink::Sink;
use crate::core::time::Timestamp;
use crate::engine::World;
use crate::engine::dispatcher::{WINDOW, WINDOW_BYTES};
use crate::engine::outlet::{Outlet, STORE_RETRY, Step};
use crate::store::{DeliveryTicket, StoreError};

/// Deliveries that are claimed in one piece of work: it bounds how long others wait for the store.
const CLAIM_MAX: usize = 256;

/// Retries that are claimed ahead while first attempts never run out.
const RETRIES_AHEAD: usize = CLAIM_MAX / 8;

/// How often at most the store is asked for those.
const RETRIES_EVERY: Duration = Duration::from_secs(1);

/// What the store had for a sink.
pub(super) struct Claim {
    at: Timestamp,
    room: usize,
    tickets: Result<Vec<DeliveryTicket>, StoreError>,
    /// Where that was not all there was room for: when something falls due.
    next_due: Result<Option<Timestamp>, StoreError>,
}

impl Claim {
    /// Is its first delivery one that was never tried?
    fn is_fresh(&self) -> bool {
        let first = self.tickets.as_ref().ok().and_then(|tickets| tickets.first());
        first.is_some_and(|ticket| ticket.attempts == 0)
    }
}

async fn claim(world: Arc<World>, sink: Arc<Sink>, at: Timestamp, room: usize) -> Claim {
    let tickets = world.store.claim_deliveries(&sink.name, at, room).await;
    // What has just been claimed may take long, so it can't be left to its end to ask.
    let next_due = match &tickets {
        Ok(tickets) if tickets.len() < room => world.store.next_due(&sink.name).await,
        _ => Ok(None),
    };
    Claim { at, room, tickets, next_due }
}

impl Outlet {
    /// Begins to claim what is due from the store while there is room for it.
    pub(super) async fn refill(&mut self) {
        let now = self.world.clock.now();
        if self.claiming > 0 || !self.is_open(now) {
            return;
        }
        if self.window.firsts() > 0 && self.window.retries() == 0 && self.retries_at <= now {
            self.refill_retries(now).await;
        }
        let is_due = self.more || self.next_due.is_some_and(|due| due <= now);
        if !is_due || !self.takes_more() {
            return;
        }
        // The probe is what has the fewest attempts, and of those the oldest.
        let room = if self.state.open.is_some() { 1 } else { WINDOW.saturating_sub(self.claimed()).min(CLAIM_MAX) };
        (self.more, self.next_due) = (false, None);
        let claim = claim(self.world.clone(), self.sink.clone(), now, room);
        let is_probe = self.state.open.is_some();
        if is_probe || self.work.is_empty() {
            // The probe begins in this turn: in the next one, whatever is claimed is given back. And what is due when nothing
            // is on its way begins before a command that ends soon can shut the outlet.
            let claim = claim.await;
            self.fresh &= !is_probe || claim.is_fresh();
            return self.claim_ended(claim);
        }
        self.claiming = room;
        self.work.push(Box::pin(async move { Step::Claimed(claim.await) }));
    }

    /// Takes over what was claimed.
    pub(super) fn claim_ended(&mut self, claim: Claim) {
        self.claiming = 0;
        match claim.tickets {
            Ok(tickets) => {
                self.more |= tickets.len() >= claim.room;
                self.enqueue(tickets);
            }
            Err(error) => self.store_failed(claim.at, &error),
        }
        match claim.next_due {
            Ok(due) => {
                // Never at once again: the claim has found all that was due.
                let due = due.map(|due| due.max(claim.at.plus(Duration::from_millis(1))));
                self.next_due = self.next_due.into_iter().chain(due).min();
            }
            Err(error) => self.store_failed(claim.at, &error),
        }
    }

    /// Is there room to claim something?
    pub(super) fn takes_more(&self) -> bool {
        match self.state.open {
            Some(_) => self.claimed() == 0,
            None if self.window.bytes() >= WINDOW_BYTES => false,
            None => self.claimed() + CLAIM_MAX <= WINDOW || (self.claimed() < WINDOW && self.gather.wants_more()),
        }
    }

    /// First attempts never run out: retries get their share all the same.
    async fn refill_retries(&mut self, now: Timestamp) {
        self.retries_at = now.plus(RETRIES_EVERY);
        match self.world.store.claim_retries(&self.sink.name, now, RETRIES_AHEAD).await {
            Ok(tickets) => {
                if tickets.len() == RETRIES_AHEAD {
                    self.retries_at = now;
                }
                self.enqueue(tickets);
            }
            Err(error) => self.store_failed(now, &error),
        }
    }

    pub(super) fn store_failed(&mut self, now: Timestamp, error: &StoreError) {
        tracing::error!(sink = %self.sink.name, %error, "the queue can't be read");
        self.more = false;
        self.next_due = Some(now.plus(STORE_RETRY));
    }
}
