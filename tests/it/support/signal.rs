//! State that threads share, and a wait for it to become what a test expects.
//!
//! It never polls: whoever changes the state wakes those who wait.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long any wait may take before the test has failed. It bounds failure only: waits end with the signal.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A value and the bell that is rung when it changes.
#[derive(Debug, Default)]
pub(crate) struct Signal<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Signal<T> {
    pub(crate) fn new(value: T) -> Self {
        Self { value: Mutex::new(value), changed: Condvar::new() }
    }

    /// Looks at the value. A thread that panicked while it held the value must not hide why.
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the value and wakes those who wait.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut T) -> R) -> R {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Waits until `look` finds what it looks for.
    pub(crate) fn wait_for<R>(&self, what: &str, look: impl FnMut(&mut T) -> Option<R>) -> R {
        self.wait_at_most(PATIENCE, look).unwrap_or_else(|| panic!("waited {PATIENCE:?} in vain for {what}"))
    }

    /// The same, and `None` when it has not come after `patience`.
    pub(crate) fn wait_at_most<R>(&self, patience: Duration, mut look: impl FnMut(&mut T) -> Option<R>) -> Option<R> {
        let deadline = Instant::now() + patience;
        let mut value = self.lock();
        loop {
            if let Some(found) = look(&mut value) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            value = self.changed.wait_timeout(value, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Waits for something that sends no signal (another process's state) by asking again and again.
pub(crate) fn ask_until<R>(what: &str, ask: impl FnMut() -> Option<R>) -> R {
    ask_every(Duration::from_millis(20), what, ask)
}

/// The same for what soon passes.
pub(crate) fn ask_at_once<R>(what: &str, ask: impl FnMut() -> Option<R>) -> R {
    ask_every(Duration::from_micros(200), what, ask)
}

fn ask_every<R>(pause: Duration, what: &str, mut ask: impl FnMut() -> Option<R>) -> R {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain for {what}");
        std::thread::sleep(pause);
    }
}
