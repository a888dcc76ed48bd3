//! The way from a commit to the sinks: an outlet for each, and how much room each has.
//!
//! What does not fit waits in the store, not in memory.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::core::config::Config;
use crate::core::names::SinkName;
use crate::core::sink::Sink;
use crate::engine::World;
use crate::engine::alarm::Alarm;
use crate::engine::outlet::Outlet;
use crate::store::{DeliveryTicket, Room, SinkState, StoreError};

/// Deliveries of one sink that are kept ready in memory: those of some commits, for as long as the disk takes.
pub(super) const WINDOW: usize = 1024;

/// Bytes of bodies above which no more are kept ready.
pub(super) const WINDOW_BYTES: usize = 16 << 20;

/// Commits whose deliveries an outlet has not taken yet; a commit waits for a place, which an outlet soon makes, for it
/// never waits for its receiver.
const COMMITS_WAITING_MAX: usize = 64;

/// What comes to an outlet.
#[derive(Debug)]
pub(super) enum Arrival {
    /// Deliveries that a commit made.
    Fresh(Fresh),
    /// A person has changed the sink's queue or state in the store: look at it anew.
    Changed,
    /// The config was read again: the sink as it is now.
    Edited(Arc<Sink>),
}

/// Deliveries that a commit made for one sink.
#[derive(Debug)]
pub(super) struct Fresh {
    /// Those that can go at once.
    pub(super) tickets: Vec<DeliveryTicket>,
    /// True when the store holds more.
    pub(super) more: bool,
    /// How many the commit made in all.
    pub(super) count: usize,
}

/// What commits and polls see of an outlet, which keeps it up to date.
#[derive(Debug)]
pub(super) struct Sill {
    room: AtomicUsize,
    took_us: AtomicU64,
    full: Mutex<Option<String>>,
}

impl Sill {
    fn new() -> Self {
        Self { room: AtomicUsize::new(WINDOW), took_us: AtomicU64::new(0), full: Mutex::new(None) }
    }

    /// How long the last attempt took.
    pub(super) fn set_took(&self, took: Duration) {
        self.took_us.store(u64::try_from(took.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How many deliveries more a commit may claim for it.
    pub(super) fn set_room(&self, room: usize) {
        self.room.store(room, Ordering::Relaxed);
    }

    /// Why the jobs that feed it are paused; `None`: they are not.
    pub(super) fn set_full(&self, reason: Option<&str>) {
        *self.full.lock().unwrap_or_else(PoisonError::into_inner) = reason.map(str::to_owned);
    }

    fn full(&self) -> Option<String> {
        self.full.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Hands deliveries over to their outlets.
#[derive(Clone)]
pub(super) struct Dispatcher(Arc<Inner>);

struct Inner {
    world: Arc<World>,
    alarm: Alarm,
    shutdown: CancellationToken,
    doors: RwLock<BTreeMap<SinkName, Door>>,
}

#[derive(Clone)]
struct Door {
    arrivals: mpsc::Sender<Arrival>,
    sill: Arc<Sill>,
    /// Ends the outlet alone: what is on its way ends, the rest is given back.
    closing: CancellationToken,
}

impl Dispatcher {
    /// One without an outlet: what the store holds stays there.
    pub(super) fn new(world: &Arc<World>, alarm: &Alarm, shutdown: &CancellationToken) -> Self {
        let (world, alarm, shutdown) = (world.clone(), alarm.clone(), shutdown.clone());
        Self(Arc::new(Inner { world, alarm, shutdown, doors: RwLock::default() }))
    }

    /// Opens an outlet for each sink of the config; each begins with what the store holds for it.
    pub(super) async fn start(
        world: &Arc<World>,
        config: &Config,
        alarm: &Alarm,
        shutdown: &CancellationToken,
    ) -> Result<Self, StoreError> {
        let dispatcher = Self::new(world, alarm, shutdown);
        for sink in &config.sinks {
            dispatcher.open(sink.clone(), world.store.sink_state(&sink.name).await?);
        }
        Ok(dispatcher)
    }

    /// Makes the outlets those of a config: `states` are of the sinks that have none yet. One that stays keeps its
    /// breaker, its rate and its attempts; one that is gone ends what is on its way, and gives back the rest.
    pub(super) async fn apply(&self, sinks: &[Arc<Sink>], mut states: BTreeMap<SinkName, SinkState>) {
        let stays = |name: &SinkName| sinks.iter().any(|sink| sink.name == *name);
        self.write_doors().retain(|name, door| {
            let stays = stays(name);
            if !stays {
                door.closing.cancel();
            }
            stays
        });
        for sink in sinks {
            match (self.door(&sink.name), states.remove(&sink.name)) {
                // An outlet that has ended is that of a daemon that stops.
                (Some(door), _) => drop(door.arrivals.send(Arrival::Edited(sink.clone())).await),
                (None, state) => self.open(sink.clone(), state.unwrap_or_default()),
            }
        }
    }

    fn open(&self, sink: Arc<Sink>, state: SinkState) {
        let Inner { world, alarm, shutdown, .. } = &*self.0;
        let (arrivals, inbox) = mpsc::channel(COMMITS_WAITING_MAX);
        let (sill, closing) = (Arc::new(Sill::new()), shutdown.child_token());
        let outlet = Outlet::new(world.clone(), sink.clone(), state, sill.clone(), alarm.clone());
        let name = sink.name.clone();
        self.write_doors().insert(name.clone(), Door { arrivals, sill, closing: closing.clone() });
        let (dispatcher, shutdown) = (self.clone(), shutdown.clone());
        world.tasks.spawn(async move {
            outlet.run(inbox, closing).await;
            // The sink may have come back meanwhile: its new outlet does not know what this one gave back.
            if !shutdown.is_cancelled() {
                dispatcher.wake(&name).await;
            }
        });
    }

    /// Has this sink an outlet?
    pub(super) fn has(&self, sink: &SinkName) -> bool {
        self.read_doors().contains_key(sink)
    }

    fn door(&self, sink: &SinkName) -> Option<Door> {
        self.read_doors().get(sink).cloned()
    }

    fn read_doors(&self) -> RwLockReadGuard<'_, BTreeMap<SinkName, Door>> {
        self.0.doors.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_doors(&self) -> RwLockWriteGuard<'_, BTreeMap<SinkName, Door>> {
        self.0.doors.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many more deliveries each sink has room for in memory.
    pub(super) fn room(&self) -> Room {
        self.read_doors().iter().map(|(name, door)| (name.clone(), door.sill.room.load(Ordering::Relaxed))).collect()
    }

    /// Why the jobs that feed this sink are paused, while they are.
    pub(super) fn full(&self, sink: &SinkName) -> Option<String> {
        self.read_doors().get(sink)?.sill.full()
    }

    /// Hands over what a commit made: `tickets` for those that there was room for, of the `expected` in all.
    ///
    /// Sinks that answer quickly are first, and each begins its attempts before the next one is woken: else the one that
    /// is woken last would begin first, and one that has to be connected to anew each time would keep the others waiting.
    pub(super) async fn hand_over(&self, tickets: Vec<DeliveryTicket>, expected: &Room) {
        let mut by_sink: BTreeMap<SinkName, Vec<DeliveryTicket>> = BTreeMap::new();
        for ticket in tickets {
            by_sink.entry(ticket.sink.clone()).or_default().push(ticket);
        }
        let doors = expected.iter().filter_map(|(sink, count)| Some((sink, *count, self.door(sink)?)));
        let mut doors: Vec<_> = doors.collect();
        doors.sort_by_key(|(_, _, door)| door.sill.took_us.load(Ordering::Relaxed));
        let mut doors = doors.into_iter();
        while let Some((sink, count, door)) = doors.next() {
            let tickets = by_sink.remove(sink).unwrap_or_default();
            let more = tickets.len() < count;
            // An outlet that has ended takes nothing: what it would have got is in the store.
            let _ = door.arrivals.send(Arrival::Fresh(Fresh { tickets, more, count })).await;
            if doors.len() > 0 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// The sinks that have an outlet.
    pub(super) fn sinks(&self) -> Vec<SinkName> {
        self.read_doors().keys().cloned().collect()
    }

    /// Tells an outlet to look into the store again: a person has changed the sink's state, or queued deliveries.
    pub(super) async fn wake(&self, sink: &SinkName) {
        if let Some(door) = self.door(sink) {
            // An outlet that has ended looks when it is started again.
            let _ = door.arrivals.send(Arrival::Changed).await;
        }
    }
}
