//! Keeps the state small and its writer watched. Decides nothing about jobs or deliveries.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::core::time::Timestamp;
use crate::engine::World;
use crate::engine::current::Current;
use crate::store::StoreError;

/// How often the store's writer is asked for a sign of life.
const PING_EVERY: Duration = Duration::from_secs(10);

/// How often what polls noted in memory is written: the most that a crash can make `status` forget.
const FLUSH_EVERY: Duration = Duration::from_secs(5 * 60);

/// How often what is older than the retention is deleted.
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);

/// Rows of each kind that one transaction deletes: short enough not to hold up a poll's commit.
const PRUNE_ROWS_MAX: usize = 1_000;

/// Runs until shutdown.
pub(super) async fn run(world: Arc<World>, current: Current, shutdown: CancellationToken) {
    let mut rounds = Rounds::beginning(world.clock.now());
    loop {
        let now = world.clock.now();
        if let Err(error) = rounds.go(&world, current.get().daemon.retention, now).await {
            tracing::error!(%error, "upkeep of the state failed");
        }
        tokio::select! {
            () = shutdown.cancelled() => break,
            () = world.clock.sleep_until(now.plus(PING_EVERY)) => {}
        }
    }
}

struct Rounds {
    flush_at: Timestamp,
    prune_at: Timestamp,
}

impl Rounds {
    fn beginning(now: Timestamp) -> Self {
        Self { flush_at: now.plus(FLUSH_EVERY), prune_at: now.plus(PING_EVERY) }
    }

    async fn go(&mut self, world: &World, retention: Duration, now: Timestamp) -> Result<(), StoreError> {
        world.store.ping().await?;
        world.pulse.store_beat(now);
        if self.flush_at <= now {
            self.flush_at = now.plus(FLUSH_EVERY);
            world.store.flush().await?;
        }
        if self.prune_at <= now {
            let before = Timestamp(now.0.saturating_sub(i64::try_from(retention.as_millis()).unwrap_or(i64::MAX)));
            let deleted = world.store.prune(before, PRUNE_ROWS_MAX).await?;
            // A full round means that there is more: go on at the next ping.
            self.prune_at = now.plus(if deleted < PRUNE_ROWS_MAX as u64 { PRUNE_EVERY } else { Duration::ZERO });
        }
        Ok(())
    }
}
