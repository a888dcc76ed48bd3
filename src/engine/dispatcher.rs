//! The way from a commit to the sinks: an outlet for each, and how much room each has.
//!
//! What does not fit waits in the store, not in memory.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::core::config::Config;
use crate::core::names::SinkName;
use crate::engine::World;
use crate::engine::alarm::Alarm;
use crate::engine::outlet::Outlet;
use crate::store::{DeliveryTicket, Room, StoreError};

/// Deliveries of one sink that are kept ready in memory.
pub(super) const WINDOW: usize = 256;

/// Commits whose deliveries an outlet has not taken yet; a commit waits for a place, which an outlet soon makes, for it
/// never waits for its receiver.
const COMMITS_WAITING_MAX: usize = 64;

/// Deliveries that a commit made for one sink.
#[derive(Debug)]
pub(super) struct Fresh {
    /// Those that can go at once.
    pub(super) tickets: Vec<DeliveryTicket>,
    /// True when the store holds more.
    pub(super) more: bool,
    /// True when a person has changed the sink's state in the store.
    pub(super) changed: bool,
}

/// Hands deliveries over to their outlets.
#[derive(Clone)]
pub(super) struct Dispatcher {
    doors: Arc<BTreeMap<SinkName, Door>>,
}

struct Door {
    fresh: mpsc::Sender<Fresh>,
    room: Arc<AtomicUsize>,
}

impl Dispatcher {
    /// Opens an outlet for each sink of the config; each begins with what the store holds for it.
    pub(super) async fn start(
        world: &Arc<World>,
        config: &Config,
        alarm: &Alarm,
        shutdown: &CancellationToken,
    ) -> Result<Self, StoreError> {
        let mut doors = BTreeMap::new();
        for sink in &config.sinks {
            let (fresh, arrivals) = mpsc::channel(COMMITS_WAITING_MAX);
            let room = Arc::new(AtomicUsize::new(WINDOW));
            let state = world.store.sink_state(&sink.name).await?;
            let outlet = Outlet::new(world.clone(), sink.clone(), state, room.clone(), alarm.clone());
            world.tasks.spawn(outlet.run(arrivals, shutdown.clone()));
            doors.insert(sink.name.clone(), Door { fresh, room });
        }
        Ok(Self { doors: Arc::new(doors) })
    }

    /// Opens no outlet: what the store holds stays there.
    pub(super) fn closed() -> Self {
        Self { doors: Arc::new(BTreeMap::new()) }
    }

    /// How many more deliveries each sink has room for in memory.
    pub(super) fn room(&self) -> Room {
        self.doors.iter().map(|(name, door)| (name.clone(), door.room.load(Ordering::Relaxed))).collect()
    }

    /// Hands over what a commit made: `tickets` for those that there was room for, of the `expected` in all.
    pub(super) async fn hand_over(&self, tickets: Vec<DeliveryTicket>, expected: &Room) {
        let mut by_sink: BTreeMap<SinkName, Vec<DeliveryTicket>> = BTreeMap::new();
        for ticket in tickets {
            by_sink.entry(ticket.sink.clone()).or_default().push(ticket);
        }
        for (sink, count) in expected {
            let Some(door) = self.doors.get(sink) else { continue };
            let tickets = by_sink.remove(sink).unwrap_or_default();
            let more = tickets.len() < *count;
            // An outlet that has ended takes nothing: what it would have got is in the store.
            let _ = door.fresh.send(Fresh { tickets, more, changed: false }).await;
        }
    }

    /// The sinks that have an outlet.
    pub(super) fn sinks(&self) -> impl Iterator<Item = &SinkName> {
        self.doors.keys()
    }

    /// Tells an outlet to look into the store again: a person has changed the sink's state, or queued deliveries.
    pub(super) async fn wake(&self, sink: &SinkName) {
        if let Some(door) = self.doors.get(sink) {
            // An outlet that has ended looks when it is started again.
            let _ = door.fresh.send(Fresh { tickets: Vec::new(), more: true, changed: true }).await;
        }
    }
}
