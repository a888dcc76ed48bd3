//! The deliveries of one sink that are claimed and wait in memory, and which of them goes next.
//!
//! First attempts go before retries, but neither starves the other: every [`SHARE`]th place is a retry's, and some
//! places are kept free of retries. It claims nothing itself.

use std::collections::VecDeque;

/// Of so many attempts that begin while both wait, one is a retry.
const SHARE: u32 = 8;

/// What waits in a window.
pub(super) trait Waits {
    /// About how many bytes of memory it takes.
    fn weight(&self) -> usize;
}

/// Claimed deliveries, first attempts and retries apart.
#[derive(Debug)]
pub(super) struct Window<T> {
    first: VecDeque<T>,
    again: VecDeque<T>,
    /// What they weigh.
    bytes: usize,
    /// Attempts since the last retry.
    since_retry: u32,
}

impl<T: Waits> Window<T> {
    pub(super) fn new() -> Self {
        Self { first: VecDeque::new(), again: VecDeque::new(), bytes: 0, since_retry: 0 }
    }

    /// About how many bytes of memory they take.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn len(&self) -> usize {
        self.first.len() + self.again.len()
    }

    /// Retries that wait.
    pub(super) fn retries(&self) -> usize {
        self.again.len()
    }

    /// First attempts that wait.
    pub(super) fn firsts(&self) -> usize {
        self.first.len()
    }

    /// Puts one in, after so many attempts.
    pub(super) fn push(&mut self, attempts: u32, ticket: T) {
        self.bytes += ticket.weight();
        match attempts {
            0 => self.first.push_back(ticket),
            _ => self.again.push_back(ticket),
        }
    }

    /// Can anything go? `retry`: a retry may.
    pub(super) fn has_next(&self, retry: bool) -> bool {
        !self.first.is_empty() || (retry && !self.again.is_empty())
    }

    /// What goes next. `retry`: a retry may.
    pub(super) fn next(&mut self, retry: bool) -> Option<T> {
        let next = self.take(retry)?;
        self.bytes -= next.weight();
        Some(next)
    }

    fn take(&mut self, retry: bool) -> Option<T> {
        let its_turn = self.first.is_empty() || self.since_retry >= SHARE - 1;
        if retry
            && its_turn
            && let Some(ticket) = self.again.pop_front()
        {
            self.since_retry = 0;
            return Some(ticket);
        }
        let ticket = self.first.pop_front()?;
        self.since_retry = self.since_retry.saturating_add(1);
        Some(ticket)
    }

    /// Everything, to be given back.
    pub(super) fn drain(&mut self) -> Vec<T> {
        self.bytes = 0;
        self.first.drain(..).chain(self.again.drain(..)).collect()
    }
}

/// Of so many attempts at once, how many may be retries: a quarter of the places (at least one, where there are two)
/// stays free for first attempts, for retries tend to hang.
pub(super) fn places_for_retries(concurrency: usize) -> usize {
    match concurrency {
        0 | 1 => 1,
        many => many - (many / 4).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Waits for u32 {
        fn weight(&self) -> usize {
            10
        }
    }

    fn window(firsts: u32, retries: u32) -> Window<u32> {
        let mut window = Window::new();
        (0..firsts).for_each(|number| window.push(0, number));
        (0..retries).for_each(|number| window.push(1 + number, 1000 + number));
        window
    }

    #[test]
    fn first_attempts_go_first_and_every_eighth_place_is_a_retrys() {
        let mut window = window(20, 20);
        let order: Vec<u32> = std::iter::from_fn(|| window.next(true)).take(17).collect();
        assert_eq!(order, [0, 1, 2, 3, 4, 5, 6, 1000, 7, 8, 9, 10, 11, 12, 13, 1001, 14]);
    }

    #[test]
    fn retries_have_all_places_when_nothing_else_waits() {
        let mut window = window(0, 3);
        assert_eq!(std::iter::from_fn(|| window.next(true)).collect::<Vec<_>>(), [1000, 1001, 1002]);
    }

    #[test]
    fn while_no_retry_may_begin_first_attempts_still_do() {
        let mut window = window(1, 1);
        assert_eq!((window.next(false), window.has_next(false), window.next(false)), (Some(0), false, None));
        assert_eq!(window.bytes(), 10);
        assert_eq!(window.drain(), [1000]);
        assert_eq!((window.len(), window.bytes()), (0, 0));
    }

    #[test]
    fn some_places_are_kept_free_of_retries_but_one_is_always_theirs() {
        for (concurrency, places) in [(1, 1), (2, 1), (4, 3), (8, 6), (100, 75)] {
            assert_eq!(places_for_retries(concurrency), places, "{concurrency}");
        }
    }
}
