//! An outlet binds deliveries together before they go: their batch is committed before its first request.
//!
//! Which wait for which is the gathering's to say, and what a batch is the store's.

use crate::core::delivery::Verdict;
use crate::core::time::Timestamp;
use crate::engine::outlet::{Outlet, STORE_RETRY};
use crate::store::{Settlement, StoreError};

impl Outlet {
    /// Binds what has gathered, while attempts may begin.
    pub(super) async fn bind_batches(&mut self) {
        let now = self.world.clock.now();
        while self.begins_batches_at(now).is_some_and(|moment| moment <= now) {
            let probe = self.state.open.is_some();
            let Some(tickets) = self.gather.next(now, probe) else { return };
            match self.world.store.bind(&tickets, self.gather.room(probe)).await {
                Ok(batch) => self.window.push(batch.attempts, batch),
                Err(error @ (StoreError::LeaseLost(_) | StoreError::Closed)) => {
                    tracing::warn!(sink = %self.sink.name, %error, "a batch was dropped; its events are taken up again");
                    self.more = true;
                    return;
                }
                Err(error) => {
                    tracing::error!(sink = %self.sink.name, %error, "a batch can't be written; trying again");
                    self.gather.put_back(tickets, now.plus(STORE_RETRY));
                    return;
                }
            }
        }
    }

    /// From when on a batch may begin: the sink may be sent to, there is a place free, and its rate lets one through.
    fn begins_batches_at(&self, now: Timestamp) -> Option<Timestamp> {
        let opens = self.opens_at()?;
        let places = self.attempting + self.window.firsts() < self.places();
        let paced = self.bucket.as_ref().map_or(opens, |bucket| bucket.ready_at(now).max(opens));
        (places && !self.gather.is_empty()).then_some(paced)
    }

    /// When the next batch goes by itself.
    pub(super) fn batch_wakes_at(&self, now: Timestamp) -> Option<Timestamp> {
        Some(self.begins_batches_at(now)?.max(self.gather.ready_at()?))
    }

    /// A batch has ended or was taken apart: the store has more that may go.
    pub(super) fn note_batch(&mut self, settlement: &Settlement) {
        if settlement.verdict == Verdict::Delivered {
            self.gather.grow();
        }
        if settlement.ticket.parcel.batch.is_none() {
            return;
        }
        self.more = true;
        if settlement.verdict == Verdict::Split {
            self.gather.shrink(settlement.ticket.parcel.body.len());
        }
    }
}
