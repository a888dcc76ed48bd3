//! A running engine takes over another config: as a whole, and without a pause for what was not edited.
//!
//! Whether a config is valid is known before it comes here. Each part has one door, `apply`; all are called here, in an
//! order in which nothing is made for a sink that has no outlet yet.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::core::alert::Bell;
use crate::core::config::Config;
use crate::core::names::{JobName, SinkName};
use crate::core::time::Timestamp;
use crate::engine::Handle;
use crate::engine::scheduler::Order;
use crate::store::{JobRecord, SinkState, Store, StoreError};

/// Makes the store's jobs and sinks those of a config; jobs that were renamed keep what is remembered of them.
pub async fn adopt(store: &dyn Store, config: &Config, now: Timestamp) -> Result<(), StoreError> {
    let (jobs, sinks, renames) = (config.job_names(), config.sink_names(), config.renames());
    store.adopt_renamed(&jobs, &sinks, &renames, now).await?;
    let orders: Vec<_> = config.sinks.iter().map(|sink| (sink.name.clone(), sink.order)).collect();
    store.keep_orders(&orders, now).await
}

impl Handle {
    /// The config in force.
    pub fn config(&self) -> Arc<Config> {
        self.current.get()
    }

    /// Takes over another config. After an error the one before is still in force. `None`: the engine has stopped.
    pub async fn apply(&self, config: Arc<Config>) -> Option<Result<(), StoreError>> {
        let handle = self.clone();
        self.to_its_end(async move {
            // A pause between the reading of the records and their use would be lost.
            let _alone = handle.pausing.lock().await;
            handle.take_over(config).await
        })
        .await
    }

    async fn take_over(&self, config: Arc<Config>) -> Result<(), StoreError> {
        let before = self.current.get();
        let past = match self.remember(&config).await {
            Ok(past) => past,
            Err(error) => {
                // What the config that stays in force still sends must not be held.
                adopt(&*self.world.store, &before, self.world.clock.now()).await?;
                return Err(error);
            }
        };
        let now = self.world.clock.now();
        self.current.set(config.clone());
        self.alarm.apply(&config, &past.jobs, &past.bells, now);
        self.dispatcher.apply(&config.sinks, past.sinks).await;
        self.gates.apply(&config);
        let (done, applied) = oneshot::channel();
        // A scheduler that has ended begins no polls under any config.
        if self.orders.send(Order::Apply(config, past.jobs, done)).await.is_ok() {
            let _ = applied.await;
        }
        Ok(())
    }

    /// All that can fail: the store follows the config, and says what it knows of its jobs and sinks.
    async fn remember(&self, config: &Config) -> Result<Past, StoreError> {
        let store = &self.world.store;
        adopt(&**store, config, self.world.clock.now()).await?;
        let mut sinks = BTreeMap::new();
        for sink in &config.sinks {
            if !self.dispatcher.has(&sink.name) {
                sinks.insert(sink.name.clone(), store.sink_state(&sink.name).await?);
            }
        }
        let bells = if config.alerts.is_on() { store.ringing().await? } else { Vec::new() };
        Ok(Past { jobs: store.jobs().await?.into_iter().collect(), sinks, bells })
    }
}

/// What the store knows of a config that it has just adopted.
struct Past {
    jobs: BTreeMap<JobName, JobRecord>,
    /// Of the sinks that have no outlet yet.
    sinks: BTreeMap<SinkName, SinkState>,
    bells: Vec<Bell>,
}
