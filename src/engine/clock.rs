//! What time it is and what the dice say: the two questions that a simulation answers in its own way.
//!
//! Only the system's answers are here.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;

use crate::core::time::Timestamp;

/// What time it is, and how to wait for another.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The wall clock's reading.
    fn now(&self) -> Timestamp;

    /// Ends when [`Clock::now`] is `moment` or later, or somewhat early where the clock may be set meanwhile: look
    /// again.
    async fn sleep_until(&self, moment: Timestamp);
}

/// Jitter.
pub trait Dice: Send + Sync {
    /// A number in `0.0..1.0`.
    fn roll(&self) -> f64;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

/// What time it is on this machine.
#[expect(clippy::disallowed_methods, reason = "this is the clock that is handed in")]
pub fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// How long one wait may be: the wall clock may be set, or the machine suspended, while we sleep.
const NAP_MAX: Duration = Duration::from_secs(30);

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        wall_clock()
    }

    async fn sleep_until(&self, moment: Timestamp) {
        tokio::time::sleep(moment.since(self.now()).min(NAP_MAX)).await;
    }
}

/// The machine's dice.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDice;

impl Dice for SystemDice {
    fn roll(&self) -> f64 {
        fastrand::f64()
    }
}
