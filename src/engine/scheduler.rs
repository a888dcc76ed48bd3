//! When a job is due it is polled: one heap for all jobs, no job beside itself, and never more at once than allowed.
//!
//! A job costs an entry here, not a task. How a poll goes is the poller's business.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use crate::core::config::Config;
use crate::core::job::Job;
use crate::core::names::JobName;
use crate::core::observe::PollSeen;
use crate::core::outcome::{Failure, FailureKind, PollOutcome};
use crate::core::pace::{adapted, next_due, postponed};
use crate::core::schedule::spread_of;
use crate::core::time::Timestamp;
use crate::engine::World;
use crate::engine::gates::{Blocked, Gates, Turn, Way};
use crate::engine::journal;
use crate::engine::parking::Parking;
use crate::engine::poller::{Mode, Polled, Poller, store_failure};
use crate::engine::report::{Asker, Trace};
use crate::store::{JobRecord, StoreError};

mod apply;
mod runs;

pub use runs::Run;

/// Orders that wait for the scheduler; whoever sends one waits for a place.
const ORDERS_WAITING_MAX: usize = 64;

/// The longest the scheduler sleeps, so that it is seen to be alive.
const BEAT: Duration = Duration::from_secs(5);

/// When a job that is paused for a sink, or waits for another job, is looked at again.
const BLOCKED_RETRY: Duration = Duration::from_secs(1);

/// How long someone who asks for a poll is kept waiting for its vendor.
const ASKED_WAIT_MAX: Duration = Duration::from_secs(30);

/// Polls that may ever run at once: the bound of `concurrency`, which a reload may raise up to here.
const POLLS_MAX: usize = 1000;

/// The most memory that a poll's future takes before anything is read: it is copied with each step that hands it on, and
/// had grown to 100 KiB when nobody looked. What only some polls need is boxed where it begins.
const POLL_BYTES_MAX: usize = 8 * 1024;

/// When jobs are polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// When they are due.
    OnSchedule,
    /// Only when someone asks for it.
    WhenAsked,
    /// Only when someone asks to look; nothing is delivered either.
    ToLook,
}

/// What the scheduler can be asked for.
pub(super) enum Order {
    /// Poll a job as soon as it is free.
    Poll(JobName, Mode, Asker),
    /// A person has paused a job, or resumed it.
    Pause(JobName, bool),
    /// Take over the jobs of another config; what is remembered of them; to whom it is told when it is done.
    Apply(Arc<Config>, BTreeMap<JobName, JobRecord>, oneshot::Sender<()>),
    /// Say when each job is due, and whether it is being polled.
    Runs(oneshot::Sender<BTreeMap<JobName, Run>>),
}

/// Starts the scheduler; orders go into what it returns.
pub(super) fn start(
    world: &Arc<World>,
    poller: &Arc<Poller>,
    gates: &Arc<Gates>,
    config: &Config,
    begin: Begin,
    records: BTreeMap<JobName, JobRecord>,
    shutdown: &CancellationToken,
) -> mpsc::Sender<Order> {
    let (orders, inbox) = mpsc::channel(ORDERS_WAITING_MAX);
    let (ended, endings) = mpsc::channel(config.daemon.concurrency.max(POLLS_MAX));
    let mut scheduler = Scheduler {
        world: world.clone(),
        poller: poller.clone(),
        begin,
        gates: gates.clone(),
        parking: Parking::default(),
        concurrency: config.daemon.concurrency,
        slots: Vec::with_capacity(config.jobs.len()),
        free: Vec::new(),
        by_name: BTreeMap::new(),
        heap: BinaryHeap::with_capacity(config.jobs.len()),
        asked: VecDeque::new(),
        running: 0,
        ended,
        shutdown: shutdown.clone(),
    };
    let now = world.clock.now();
    for job in &config.jobs {
        scheduler.add(job.clone(), records.get(&job.name), now);
    }
    world.tasks.spawn(scheduler.run(inbox, endings));
    orders
}

struct Scheduler {
    world: Arc<World>,
    poller: Arc<Poller>,
    begin: Begin,
    gates: Arc<Gates>,
    /// Polls that are due and wait for their vendor.
    parking: Parking,
    concurrency: usize,
    slots: Vec<Slot>,
    /// Slots of jobs that left the config.
    free: Vec<usize>,
    by_name: BTreeMap<JobName, usize>,
    heap: BinaryHeap<Reverse<(Timestamp, usize)>>,
    asked: VecDeque<Asked>,
    running: usize,
    ended: mpsc::Sender<Ended>,
    shutdown: CancellationToken,
}

/// A job's place in the schedule.
struct Slot {
    job: Arc<Job>,
    way: Arc<Way>,
    spread: u64,
    /// The job has left the config, and its last poll has not ended.
    gone: bool,
    /// False for a job that is polled only when someone asks for it.
    scheduled: bool,
    /// A person keeps it from being polled on schedule; it stays due.
    paused: bool,
    /// It has had a complete poll: what depends on its items may be polled.
    complete: bool,
    due: Option<Timestamp>,
    running: bool,
    failures: u32,
    /// The present interval of a schedule that adapts.
    interval: Option<Duration>,
}

/// A poll that someone asked for.
struct Asked {
    slot: usize,
    mode: Mode,
    reply: Asker,
}

/// A poll that has ended.
struct Ended {
    slot: usize,
    mode: Mode,
    result: PollResult,
}

/// How a poll of a slot went: `None` when it was not made, because the claim was not to be had.
type PollResult = Option<Made>;

/// A poll that was made.
struct Made {
    outcome: PollOutcome,
    events: u64,
    /// Until when the vendor says that its answers are fresh.
    fresh_until: Option<Timestamp>,
}

impl Scheduler {
    /// First polls and missed ones are due at once; every other job keeps its phase.
    fn add(&mut self, job: Arc<Job>, record: Option<&JobRecord>, now: Timestamp) {
        let slot = self.slot(job, record, now);
        let name = slot.job.name.clone();
        let at = match self.free.pop() {
            Some(at) => {
                self.slots[at] = slot;
                at
            }
            None => {
                self.slots.push(slot);
                self.slots.len() - 1
            }
        };
        self.by_name.insert(name, at);
        self.enqueue(at);
    }

    fn slot(&self, job: Arc<Job>, record: Option<&JobRecord>, now: Timestamp) -> Slot {
        let spread = spread_of(job.name.as_str());
        let is_late = match record.and_then(|record| record.last_poll) {
            None => true,
            Some(last) => job.schedule.missed(last, now, spread),
        };
        let due = if is_late { Some(now) } else { job.schedule.next(now, spread) };
        let scheduled = self.schedules(&job);
        let due = due.filter(|_| scheduled);
        let paused = record.is_some_and(|record| record.paused.is_some());
        let failures = record.map_or(0, |record| record.failures);
        let way = self.gates.way(&job.name);
        let complete = record.is_some_and(|record| record.last_success.is_some());
        let (gone, running, interval) = (false, false, None);
        Slot { job, way, spread, gone, scheduled, paused, complete, due, running, failures, interval }
    }

    fn enqueue(&mut self, slot: usize) {
        if let Some(due) = self.slots[slot].due.filter(|_| !self.slots[slot].paused) {
            self.heap.push(Reverse((due, slot)));
        }
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<Order>, mut endings: mpsc::Receiver<Ended>) {
        let shutdown = self.shutdown.clone();
        loop {
            let now = self.world.clock.now();
            self.world.pulse.scheduler_beat(now);
            self.begin_asked(now);
            self.begin_parked();
            self.begin_due(now);
            let wake_at = self.wake_at(now);
            tokio::select! {
                () = shutdown.cancelled() => return,
                Some(ended) = endings.recv() => self.end(ended),
                Some(order) = inbox.recv() => self.obey(order),
                () = self.gates.moved() => {}
                () = self.world.clock.sleep_until(wake_at) => {}
            }
        }
    }

    fn has_room(&self) -> bool {
        self.running < self.concurrency
    }

    fn wake_at(&self, now: Timestamp) -> Timestamp {
        let beat = now.plus(BEAT);
        if !self.has_room() {
            return beat;
        }
        let due = self.heap.peek().map(|Reverse((due, _))| *due);
        due.into_iter().chain(self.parking.ready_at(&self.gates)).fold(beat, Timestamp::min)
    }

    /// Begins the polls that someone asked for, as far as their jobs are free.
    fn begin_asked(&mut self, now: Timestamp) {
        for _ in 0..self.asked.len() {
            let Some(asked) = self.asked.pop_front() else { return };
            match self.has_room() && !self.slots[asked.slot].running {
                true => self.answer(asked, now),
                false => self.asked.push_back(asked),
            }
        }
    }

    /// Begins a poll that someone asked for, unless its vendor is not to be asked for longer than anybody waits.
    fn answer(&mut self, asked: Asked, now: Timestamp) {
        let Slot { job, way, .. } = &self.slots[asked.slot];
        if let Some(Blocked::Until(ready)) = self.gates.blocked(way)
            && ready.at.since(now) > ASKED_WAIT_MAX
        {
            let sentence = format!("nothing was asked: {}", way.says(ready, now));
            let outcome = PollOutcome::Failed(Failure::new(FailureKind::Limited, sentence));
            if let Some(report) = Trace::on(job.name.as_str(), false).finish(&outcome, now, 0) {
                asked.reply.send(report);
            }
            return;
        }
        let turn = self.gates.turn(way);
        self.begin(asked.slot, asked.mode, Some(asked.reply), turn);
    }

    /// Begins polls that were due and had to wait for their vendor.
    fn begin_parked(&mut self) {
        while self.has_room() {
            let Some(((due, slot), turn)) = self.parking.next(&self.gates) else { return };
            let Slot { due: current, running, paused, .. } = self.slots[slot];
            if current == Some(due) && !running && !paused {
                self.begin(slot, Mode::Commit, None, turn);
            }
        }
    }

    /// Begins the polls that are due.
    fn begin_due(&mut self, now: Timestamp) {
        while let Some(Reverse((due, slot))) = self.heap.peek().copied() {
            if due > now || !self.has_room() {
                return;
            }
            self.heap.pop();
            let Slot { due: current, running, paused, .. } = self.slots[slot];
            if current != Some(due) || running || paused {
                continue;
            }
            match self.blocked(&self.slots[slot].job) {
                None => {
                    let way = self.slots[slot].way.clone();
                    if let Some(turn) = self.parking.admit(&self.gates, &way, (due, slot)) {
                        self.begin(slot, Mode::Commit, None, turn);
                    }
                }
                Some(_) => {
                    self.slots[slot].due = Some(now.plus(BLOCKED_RETRY));
                    self.enqueue(slot);
                }
            }
        }
    }

    fn begin(&mut self, slot: usize, mode: Mode, reply: Option<Asker>, turn: Turn) {
        self.running += 1;
        self.slots[slot].running = true;
        let job = self.slots[slot].job.clone();
        let notice = Notice { ended: self.ended.clone(), slot, mode, result: None };
        let (world, poller, shutdown) = (self.world.clone(), self.poller.clone(), self.shutdown.clone());
        let work = async move {
            tokio::select! {
                () = shutdown.cancelled() => {}
                () = poll(&world, &poller, &job, mode, reply, Arc::new(turn), notice) => {}
            }
        };
        debug_assert!(size_of_val(&work) <= POLL_BYTES_MAX, "a poll takes {} bytes", size_of_val(&work));
        self.world.tasks.spawn(work);
    }

    fn end(&mut self, ended: Ended) {
        self.running -= 1;
        let slot = &mut self.slots[ended.slot];
        slot.running = false;
        if slot.gone {
            return self.vacate(ended.slot);
        }
        let now = self.world.clock.now();
        let result = ended.result.filter(|_| ended.mode == Mode::Commit);
        let failed = match &result {
            Some(Made { outcome: PollOutcome::Failed(failure), .. }) => {
                slot.failures += 1;
                Some((failure, slot.failures))
            }
            Some(made) => {
                slot.complete |= made.outcome == PollOutcome::Complete;
                slot.failures = 0;
                slot.interval = adapted(&slot.job.schedule, slot.interval, made.events > 0);
                None
            }
            None => None,
        };
        let keeps_due = ended.mode == Mode::Look && slot.due.is_some_and(|due| due > now);
        if slot.scheduled && !keeps_due {
            let (schedule, roll) = (&slot.job.schedule, self.world.dice.roll());
            let due = next_due(schedule, slot.interval, slot.spread, now, failed, roll);
            let fresh_until = result.as_ref().and_then(|made| made.fresh_until).filter(|_| slot.job.respect_cache);
            slot.due = postponed(due, schedule, now, fresh_until);
        }
        self.enqueue(ended.slot);
    }

    /// A job that is resumed starts afresh: at once when it has missed a poll or was backing off, else in its phase.
    fn pause(&mut self, at: usize, paused: bool) {
        let now = self.world.clock.now();
        let slot = &mut self.slots[at];
        if std::mem::replace(&mut slot.paused, paused) == paused || paused {
            return;
        }
        let backs_off = std::mem::take(&mut slot.failures) > 0;
        slot.due = slot.due.map(|due| if backs_off { now } else { due.max(now) });
        if !slot.running {
            self.enqueue(at);
        }
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Poll(name, mode, reply) => {
                // A job that is unknown drops the reply, which tells the asker.
                if let Some(slot) = self.by_name.get(&name).filter(|slot| !self.slots[**slot].gone) {
                    self.asked.push_back(Asked { slot: *slot, mode, reply });
                }
            }
            Order::Pause(name, paused) => {
                if let Some(slot) = self.by_name.get(&name) {
                    self.pause(*slot, paused);
                }
            }
            Order::Apply(config, records, done) => {
                self.apply(&config, &records);
                // Whoever asked may have gone.
                let _ = done.send(());
            }
            // Whoever asked may have gone.
            Order::Runs(reply) => _ = reply.send(self.runs()),
        }
    }
}

/// Tells the scheduler that a poll has ended, however it ended.
struct Notice {
    ended: mpsc::Sender<Ended>,
    slot: usize,
    mode: Mode,
    result: PollResult,
}

impl Drop for Notice {
    fn drop(&mut self) {
        let ended = Ended { slot: self.slot, mode: self.mode, result: self.result.take() };
        // There is a place for each poll that may run; only a scheduler that has ended does not take it.
        let _ = self.ended.try_send(ended);
    }
}

/// Claims, polls, tells.
async fn poll(
    world: &World,
    poller: &Poller,
    job: &Arc<Job>,
    mode: Mode,
    mut reply: Option<Asker>,
    gate: Arc<Turn>,
    mut notice: Notice,
) {
    let began = world.clock.now();
    let trace = match &mut reply {
        Some(asker) => asker.trace(job.name.as_str(), mode == Mode::Commit),
        None => Trace::off(),
    };
    let polled = claim_and_poll(world, poller, job, mode, trace, gate.clone()).await;
    let Some((polled, failures)) = polled else { return };
    let fresh_until = gate.fresh_until();
    let took = polled.at.since(began);
    if polled.events > 0 {
        // What was handed to the outlets goes before it is written about.
        tokio::task::yield_now().await;
    }
    if mode == Mode::Commit {
        journal::polled(job, &polled, failures, took);
        poller.alarm().polled(job, &polled);
        world.observer.poll_ended(&PollSeen {
            job: job.name.clone(),
            outcome: polled.outcome.as_str(),
            at: polled.at,
            took,
            items: polled.items,
            events: polled.events,
        });
    }
    if let (Some(reply), Some(report)) = (reply, polled.trace.finish(&polled.outcome, began, took.as_millis() as u64)) {
        reply.send(report);
    }
    notice.result = Some(Made { outcome: polled.outcome, events: polled.events, fresh_until });
}

/// Polls a job that can be claimed; the number is that of its failed polls before. A failure of our own state is a
/// failed poll, which is tried again like any other.
async fn claim_and_poll(
    world: &World,
    poller: &Poller,
    job: &Arc<Job>,
    mode: Mode,
    trace: Trace,
    gate: Arc<Turn>,
) -> Option<(Polled, u32)> {
    let failed = |error: StoreError, hold| {
        let outcome = PollOutcome::Failed(store_failure(&error));
        Polled { outcome, at: world.clock.now(), items: 0, events: 0, hold, trace: Trace::off() }
    };
    match world.store.claim_poll(&job.name, world.clock.now()).await {
        Ok(Some(ticket)) => {
            let (failures, hold) = (ticket.record.failures, ticket.record.hold.clone());
            let polled = poller.poll(job, ticket, mode, trace, gate).await;
            Some((polled.unwrap_or_else(|error| failed(error, hold)), failures))
        }
        Ok(None) => None,
        Err(error) => Some((failed(error, None), 0)),
    }
}
