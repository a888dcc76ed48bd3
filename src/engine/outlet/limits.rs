//! An outlet keeps its sink's limits: what it does when more waits than may.
//!
//! When to look and what is too much is the backlog's to say.

use crate::core::backlog::Waiting;
use crate::core::time::Timestamp;
use crate::engine::bulletin::tell;
use crate::engine::outlet::{Outlet, STORE_RETRY};
use crate::store::StoreError;

impl Outlet {
    /// Pauses the jobs that feed the sink, or drops the oldest, when more waits than may.
    pub(super) async fn keep_limits(&mut self) {
        let now = self.world.clock.now();
        // The oldest may be those that are being claimed.
        if self.claiming > 0 || !self.backlog.wants_look(now) {
            return;
        }
        let looked = match self.world.store.queue(&self.sink.name).await {
            Ok(queue) => {
                let waiting = self.backlog.looked(&queue, now);
                let turn = self.backlog.judge(waiting, now);
                if let Some(turn) = &turn {
                    tell(&self.sink.name, turn);
                    self.alarm.look_at_sinks();
                }
                self.sill.set_full(self.backlog.full());
                self.drop_excess(waiting, now).await
            }
            Err(error) => Err(error),
        };
        if let Err(error) = looked {
            tracing::error!(sink = %self.sink.name, %error, "the backlog can't be read");
            self.backlog.look_later(now.plus(STORE_RETRY));
        }
    }

    async fn drop_excess(&mut self, waiting: Waiting, now: Timestamp) -> Result<(), StoreError> {
        let Some(mut excess) = self.backlog.excess(waiting, now) else { return Ok(()) };
        // The oldest are those that are claimed and have not begun.
        self.release().await;
        while excess.most > 0 {
            let (most, before) = (excess.most, excess.before);
            let dropped = self.world.store.drop_oldest(&self.sink.name, most, before, &excess.reason, now).await?;
            if dropped == 0 {
                break;
            }
            excess.most -= dropped.min(excess.most);
            self.backlog.note_dropped(dropped);
            self.world.observer.dropped(&self.sink.name, dropped);
            self.alarm.dropped(&self.sink.name, &excess.reason);
        }
        self.more = true;
        if let Some(turn) = self.backlog.tell_dropped(&excess.reason, now) {
            tell(&self.sink.name, &turn);
        }
        Ok(())
    }
}
