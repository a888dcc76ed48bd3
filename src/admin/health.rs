//! Is the daemon ready: what `/readyz` answers.
//!
//! Whether it is alive is another question, and [`crate::core::observe::Pulse`] answers it.

use std::sync::atomic::{AtomicU8, Ordering};

/// How far the daemon is: it starts, serves, and drains.
#[derive(Debug, Default)]
pub struct Readiness(AtomicU8);

impl Readiness {
    const STARTING: u8 = 0;
    const READY: u8 = 1;
    const DRAINING: u8 = 2;

    /// The config is valid, the state is open and the listener is bound.
    pub fn set_ready(&self) {
        self.0.store(Self::READY, Ordering::Release);
    }

    /// The daemon stops: what is under way is finished, nothing is begun.
    pub fn set_draining(&self) {
        self.0.store(Self::DRAINING, Ordering::Release);
    }

    /// `starting`, `ready` or `draining`.
    pub fn as_str(&self) -> &'static str {
        match self.0.load(Ordering::Acquire) {
            Self::STARTING => "starting",
            Self::READY => "ready",
            _ => "draining",
        }
    }

    /// True between the start and the end.
    pub fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire) == Self::READY
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_is_only_between_start_and_drain() {
        let readiness = Readiness::default();
        assert_eq!((readiness.as_str(), readiness.is_ready()), ("starting", false));
        readiness.set_ready();
        assert_eq!((readiness.as_str(), readiness.is_ready()), ("ready", true));
        readiness.set_draining();
        assert_eq!((readiness.as_str(), readiness.is_ready()), ("draining", false));
    }
}
