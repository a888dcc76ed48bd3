//! An outlet follows what a person does: to its sink in the store, to its queue, and to the config.
//!
//! What else is remembered of the sink is newer in memory.

use std::sync::Arc;

use crate::core::breaker::Suspects;
use crate::core::bucket::Bucket;
use crate::core::sink::Sink;
use crate::engine::bulletin::{Turn, tell};
use crate::engine::outlet::Outlet;
use crate::store::SinkState;

impl Outlet {
    /// A person has changed the queue or the sink's state in the store.
    pub(super) fn look_anew(&mut self) {
        self.changed = true;
        self.more = true;
        self.backlog.look_again();
    }

    /// Takes over what a person has changed.
    pub(super) async fn follow_person(&mut self) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        match self.world.store.sink_state(&self.sink.name).await {
            Ok(stored) => self.take_over(stored),
            Err(error) => {
                self.changed = true;
                self.store_failed(self.world.clock.now(), &error);
            }
        }
    }

    fn take_over(&mut self, stored: SinkState) {
        self.state.paused = stored.paused;
        // A sample that a person sent may have been answered with a wish as well.
        self.state.not_before = self.state.not_before.max(stored.not_before);
        if self.state.disabled.is_some() && stored.disabled.is_none() {
            let SinkState { paused, not_before, last_success, .. } = self.state;
            self.state = SinkState { paused, not_before, last_success, ..SinkState::default() };
            self.suspects = Suspects::Nobody;
            tell(&self.sink.name, &Turn::Enabled);
        }
        if stored.resumes != self.state.resumes {
            // Whoever resumes wants it tried now.
            self.state.resumes = stored.resumes;
            self.state.open = None;
        }
    }

    /// Goes on with the sink as the config now has it. Attempts on their way end as they began; what is claimed and has
    /// not begun is given back, for its job may have left the config.
    pub(super) fn follow_config(&mut self, sink: Arc<Sink>) {
        let now = self.world.clock.now();
        if (sink.rate, sink.handshake) != (self.sink.rate, self.sink.handshake) {
            self.bucket = sink.rate.map(|rate| Bucket::full(rate, now));
            // What the receiver has consented to is held against the new rate.
            self.allowed = None;
        }
        if sink.limits != self.sink.limits {
            self.backlog.take_over(sink.limits);
            self.sill.set_full(None);
        }
        self.sink = sink;
        // The store's state of the sink may be older than what is known here, so it is not asked for.
        self.stale = true;
        self.more = true;
        self.backlog.look_again();
    }
}
