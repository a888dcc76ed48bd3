//! An outlet follows what a person has changed in the store: a pause, its end, a sink that is enabled again.
//!
//! What else is remembered of the sink is newer in memory.

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
        if self.state.disabled.is_some() && stored.disabled.is_none() {
            let SinkState { paused, not_before, last_success, .. } = self.state;
            self.state = SinkState { paused, not_before, last_success, ..SinkState::default() };
            tell(&self.sink.name, &Turn::Enabled);
        }
        if stored.resumes != self.state.resumes {
            // Whoever resumes wants it tried now.
            self.state.resumes = stored.resumes;
            self.state.open = None;
        }
    }
}
