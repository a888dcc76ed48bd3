//! The clockwork: when a job is due it is polled, when a delivery is due it is sent, and nobody is kept waiting.
//!
//! It is handed everything that touches the outside ([`World`]), waits on nothing else, and never names a concrete
//! store, so that a simulation can run all of it over a clock, a network and a disk of its own.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::core::config::Config;
use crate::core::observe::{Observer, Pulse};
use crate::sink::Sender;
use crate::source::Fetcher;
use crate::store::{Store, StoreError};

pub mod clock;
pub mod tasks;

mod bulletin;
mod current;
mod gates;
mod journal;
mod parking;
mod scheduler;
mod scopes;

mod blocks;
mod poller;
mod reading;
mod report;
mod round;

mod dispatcher;
mod outlet;

mod alarm;
mod handle;
mod janitor;
mod operate;
mod reload;

pub use handle::{Handle, send_sample};
pub use operate::{drop_all, pause_job, pause_sink, replay_all};
pub use reload::adopt;
pub use scheduler::{Begin, Run};

use alarm::Alarm;
use clock::{Clock, Dice};
use current::Current;
use dispatcher::Dispatcher;
use gates::Gates;
use poller::Poller;
use tasks::Tasks;

/// Everything that the engine needs of the outside.
pub struct World {
    /// What time it is, and how to wait.
    pub clock: Arc<dyn Clock>,
    /// Jitter.
    pub dice: Arc<dyn Dice>,
    /// How to ask a vendor.
    pub fetcher: Arc<dyn Fetcher>,
    /// How to send a webhook.
    pub sender: Arc<dyn Sender>,
    /// Memory that survives.
    pub store: Arc<dyn Store>,
    /// Who counts.
    pub observer: Arc<dyn Observer>,
    /// Where progress is noted.
    pub pulse: Arc<Pulse>,
    /// Where work runs.
    pub tasks: Tasks,
}

/// A running engine.
pub struct Engine {
    /// How to ask it for something.
    pub handle: Handle,
    world: Arc<World>,
    gates: Arc<Gates>,
    shutdown: CancellationToken,
}

impl Engine {
    /// Makes the store's jobs and sinks those of the config, and starts to poll and to deliver.
    pub async fn start(world: World, config: &Arc<Config>, begin: Begin) -> Result<Self, StoreError> {
        let world = Arc::new(world);
        let current = Current::new(config.clone());
        adopt(&*world.store, config, world.clock.now()).await?;
        let shutdown = CancellationToken::new();
        let records = world.store.jobs().await?.into_iter().collect();
        let bells = if config.alerts.is_on() { world.store.ringing().await? } else { Vec::new() };
        let alarm = Alarm::new(config, begin, &records, &bells, world.clock.now());
        let dispatcher = match begin {
            Begin::OnSchedule | Begin::WhenAsked => Dispatcher::start(&world, config, &alarm, &shutdown).await?,
            Begin::ToLook => Dispatcher::new(&world, &alarm, &shutdown),
        };
        let gates = Gates::open(world.clock.clone(), world.store.clone(), config).await?;
        let poller = Arc::new(Poller::new(world.clone(), current.clone(), dispatcher.clone(), alarm.clone()));
        if begin != Begin::ToLook {
            let rounds = alarm::run(world.clone(), alarm.clone(), bells, dispatcher.clone(), shutdown.clone());
            world.tasks.spawn(rounds);
        }
        let orders = scheduler::start(&world, &poller, &gates, config, begin, records, &shutdown);
        world.tasks.spawn(janitor::run(world.clone(), current.clone(), shutdown.clone()));
        let handle = Handle::new(world.clone(), current, orders, dispatcher, alarm, gates.clone());
        Ok(Self { handle, world, gates, shutdown })
    }

    /// Stops: no new poll and no new attempt begins, polls that have not committed are given up (nothing is lost: they
    /// are repeated), attempts that are on their way end and are settled.
    pub async fn stop(self) {
        self.shutdown.cancel();
        drop(self.handle);
        self.world.tasks.wait().await;
        if let Err(error) = self.gates.close().await {
            tracing::error!(%error, "what is left of the vendors' limits can't be written");
        }
    }
}
