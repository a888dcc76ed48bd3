//! One sink's queue at work: attempts in parallel, each settled in the store before the next of its order goes.
//!
//! It shares nothing with other sinks but the store, and never waits for its receiver: attempts are futures that it
//! polls beside its queue. What an answer means, when a breaker opens and how much may wait is `core`'s to say.

mod backlog;
mod batches;
mod gather;
mod limits;
mod person;
mod rate;
#[cfg(test)]
mod tests;
mod window;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::backlog::Backlog;
use self::gather::Gather;
use self::window::{Window, places_for_retries};
use crate::core::batch;
use crate::core::breaker::{Breaker, FAILING_MAX, Heard, judge_sparing};
use crate::core::bucket::Bucket;
use crate::core::delivery::{Answer, Attempt, Verdict, hold_sink};
use crate::core::observe::AttemptSeen;
use crate::core::sink::Sink;
use crate::core::time::Timestamp;
use crate::core::units::show_duration;
use crate::engine::World;
use crate::engine::alarm::Alarm;
use crate::engine::bulletin::{Turn, tell};
use crate::engine::dispatcher::{Arrival, Sill, WINDOW};
use crate::sink::Sent;
use crate::store::{DeliveryTicket, Settlement, SinkState, StoreError};

/// Attempts that have ended and wait for their commit; above it no new attempt begins.
const UNSETTLED_MAX: usize = 1024;

/// How long to wait before the store is asked again after it failed.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// Retries that are claimed ahead while first attempts never run out.
const RETRIES_AHEAD: usize = WINDOW / 8;

/// How often at most the store is asked for those.
const RETRIES_EVERY: Duration = Duration::from_secs(1);

/// One sink's queue.
pub(super) struct Outlet {
    world: Arc<World>,
    sink: Arc<Sink>,
    state: SinkState,
    window: Window<DeliveryTicket>,
    gather: Gather,
    bucket: Option<Bucket>,
    /// Webhooks a minute that the receiver has consented to.
    allowed: Option<u32>,
    backlog: Backlog,
    /// What commits and polls see of this outlet.
    sill: Arc<Sill>,
    /// True when the store may hold deliveries that are due now.
    more: bool,
    /// True when a person has changed the sink's state in the store.
    changed: bool,
    /// True when what is claimed has to be claimed anew.
    stale: bool,
    /// When the store's next delivery falls due.
    next_due: Option<Timestamp>,
    /// When retries are claimed beside first attempts that never run out.
    retries_at: Timestamp,
    attempting: usize,
    retrying: usize,
    /// The breaker is open and its probe is on its way.
    probing: bool,
    work: FuturesUnordered<Work>,
    alarm: Alarm,
}

type Work = Pin<Box<dyn Future<Output = Step> + Send>>;

/// Something that has ended.
enum Step {
    Attempted(Tried, Sent),
    Settled(Arc<Settlement>, Result<Option<DeliveryTicket>, StoreError>),
}

/// An attempt on its way.
struct Tried {
    ticket: DeliveryTicket,
    began: Timestamp,
    probe: bool,
}

impl Outlet {
    pub(super) fn new(world: Arc<World>, sink: Arc<Sink>, state: SinkState, sill: Arc<Sill>, alarm: Alarm) -> Self {
        let now = world.clock.now();
        Self {
            bucket: sink.rate.map(|rate| Bucket::full(rate, now)),
            backlog: Backlog::new(sink.limits),
            allowed: None,
            gather: Gather::new(sink.batching),
            world,
            sink,
            state,
            window: Window::new(),
            sill,
            more: true,
            changed: false,
            stale: false,
            next_due: None,
            retries_at: now,
            attempting: 0,
            retrying: 0,
            probing: false,
            work: FuturesUnordered::new(),
            alarm,
        }
    }

    /// Runs until shutdown; then ends what is on its way and gives the rest back.
    pub(super) async fn run(mut self, mut arrivals: mpsc::Receiver<Arrival>, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            self.follow_person().await;
            self.keep_limits().await;
            self.give_back().await;
            self.refill().await;
            self.heed_allowed_rate();
            self.bind_batches().await;
            self.begin_attempts();
            self.note_room();
            let wake_at = self.wake_at();
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(step) = self.work.next(), if !self.work.is_empty() => self.take(step),
                Some(arrival) = arrivals.recv() => self.admit(arrival),
                () = self.world.clock.sleep_until(wake_at.unwrap_or_default()), if wake_at.is_some() => {}
            }
        }
        arrivals.close();
        while let Some(step) = self.work.next().await {
            self.take(step);
        }
        while let Ok(arrival) = arrivals.try_recv() {
            self.admit(arrival);
        }
        self.release().await;
    }

    /// True when whatever is claimed may go: neither shut nor tried by probes only.
    fn flows(&self) -> bool {
        !self.is_shut() && self.state.open.is_none()
    }

    /// Gives claims back after an edit of the config, and while nothing but a probe may go: the store knows best which
    /// delivery that is, and what is held must not be claimed. Others may hold, list and change there what has not been
    /// attempted.
    async fn give_back(&mut self) {
        let stale = std::mem::take(&mut self.stale);
        if stale || (!self.flows() && self.claimed() > 0) {
            self.release().await;
        }
        if stale {
            self.gather.follow(self.sink.batching);
        }
    }

    async fn release(&mut self) {
        let mut tickets = self.window.drain();
        tickets.extend(self.gather.drain());
        if tickets.is_empty() {
            return;
        }
        self.more = true;
        if let Err(error) = self.world.store.release(tickets).await {
            let sink = &self.sink.name;
            tracing::warn!(%sink, %error, "deliveries could not be given back; the next start takes them");
        }
    }

    /// How many deliveries are claimed and have not begun.
    fn claimed(&self) -> usize {
        self.window.len() + self.gather.len()
    }

    fn note_room(&self) {
        let room = if self.flows() { WINDOW.saturating_sub(self.claimed()) } else { 0 };
        self.sill.set_room(room);
    }

    /// When attempts may begin: no `Retry-After` stands, and where the breaker is open it is time for a probe. `None`:
    /// while the sink is shut or a probe is on its way, nothing may.
    fn opens_at(&self) -> Option<Timestamp> {
        if self.is_shut() || (self.state.open.is_some() && self.probing) {
            return None;
        }
        let probe_at = self.state.open.map(|open| open.probe_at);
        Some(self.state.not_before.max(probe_at).unwrap_or(Timestamp(i64::MIN)))
    }

    /// True until a person acts: disabled, or paused.
    fn is_shut(&self) -> bool {
        self.state.disabled.is_some() || self.state.paused.is_some()
    }

    fn is_open(&self, now: Timestamp) -> bool {
        self.opens_at().is_some_and(|moment| moment <= now)
    }

    /// Claims what is due from the store while there is room for it.
    async fn refill(&mut self) {
        let now = self.world.clock.now();
        if !self.is_open(now) {
            return;
        }
        if self.window.firsts() > 0 && self.window.retries() == 0 && self.retries_at <= now {
            self.refill_retries(now).await;
        }
        let is_due = self.more || self.next_due.is_some_and(|due| due <= now);
        if !is_due || !self.takes_more() {
            return;
        }
        // The probe is what has the fewest attempts, and of those the oldest.
        let room = if self.state.open.is_some() { 1 } else { WINDOW.saturating_sub(self.claimed()) };
        match self.world.store.claim_deliveries(&self.sink.name, now, room).await {
            Ok(tickets) => {
                self.more = tickets.len() >= room;
                self.next_due = None;
                self.enqueue(tickets);
                if !self.more {
                    self.look_ahead(now).await;
                }
            }
            Err(error) => self.store_failed(now, &error),
        }
    }

    /// Is there room to claim something?
    fn takes_more(&self) -> bool {
        match self.state.open {
            Some(_) => self.claimed() == 0,
            None => self.claimed() <= WINDOW / 2 || (self.claimed() < WINDOW && self.gather.wants_more()),
        }
    }

    /// First attempts never run out: retries get their share all the same.
    async fn refill_retries(&mut self, now: Timestamp) {
        self.retries_at = now.plus(RETRIES_EVERY);
        match self.world.store.claim_retries(&self.sink.name, now, RETRIES_AHEAD).await {
            Ok(tickets) => {
                if tickets.len() == RETRIES_AHEAD {
                    self.retries_at = now;
                }
                self.enqueue(tickets);
            }
            Err(error) => self.store_failed(now, &error),
        }
    }

    /// Nothing more is due now: when will something be? What has just been claimed may take long, so it can't be
    /// left to its end to ask.
    async fn look_ahead(&mut self, now: Timestamp) {
        match self.world.store.next_due(&self.sink.name).await {
            // Never at once again: a claim has just found all that was due.
            Ok(due) => self.next_due = due.map(|due| due.max(now.plus(Duration::from_millis(1)))),
            Err(error) => self.store_failed(now, &error),
        }
    }

    fn store_failed(&mut self, now: Timestamp, error: &StoreError) {
        tracing::error!(sink = %self.sink.name, %error, "the queue can't be read");
        self.more = false;
        self.next_due = Some(now.plus(STORE_RETRY));
    }

    fn admit(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Fresh(fresh) => {
                self.more |= fresh.more;
                self.backlog.came(fresh.count, self.world.clock.now());
                self.enqueue(fresh.tickets);
            }
            Arrival::Changed => self.look_anew(),
            Arrival::Edited(sink) => self.follow_config(sink),
        }
    }

    fn enqueue(&mut self, tickets: impl IntoIterator<Item = DeliveryTicket>) {
        for ticket in tickets {
            if let Some(alone) = self.gather.admit(ticket) {
                self.window.push(alone.attempts, alone);
            }
        }
    }

    /// May one more retry begin? A probe may be one.
    fn takes_retry(&self) -> bool {
        self.state.open.is_some() || self.retrying < places_for_retries(self.sink.concurrency)
    }

    /// Begins as many attempts as may run.
    fn begin_attempts(&mut self) {
        let now = self.world.clock.now();
        while self.is_open(now) && self.attempting < self.sink.concurrency && self.work.len() < UNSETTLED_MAX {
            let retry = self.takes_retry();
            if !self.window.has_next(retry) || self.bucket.as_mut().is_some_and(|bucket| !bucket.take(now)) {
                return;
            }
            let Some(ticket) = self.window.next(retry) else { return };
            let probe = self.state.open.is_some();
            self.probing |= probe;
            self.attempting += 1;
            self.retrying += usize::from(ticket.attempts > 0);
            let tried = Tried { ticket, began: now, probe };
            self.work.push(attempt(self.world.clone(), self.sink.clone(), tried));
        }
    }

    /// When something happens by itself: the sink may be sent to again, its rate lets one through, the store's next
    /// delivery falls due, or the backlog has to be looked at.
    fn wake_at(&self) -> Option<Timestamp> {
        let now = self.world.clock.now();
        let queue = self.opens_at().and_then(|opens| {
            let queued = self.claimed() > 0 || self.more;
            let reopens = Some(opens).filter(|moment| queued && *moment > now);
            let due = self.next_due.filter(|_| self.takes_more()).map(|due| due.max(opens));
            let slots = self.attempting < self.sink.concurrency && self.window.has_next(self.takes_retry());
            let ready_at = self.bucket.as_ref().filter(|_| slots && opens <= now).map(|bucket| bucket.ready_at(now));
            let paced = ready_at.filter(|moment| *moment > now);
            [reopens, due, paced, self.batch_wakes_at(now)].into_iter().flatten().min()
        });
        queue.into_iter().chain(self.backlog.look_at()).min()
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Attempted(tried, sent) => {
                self.attempting -= 1;
                self.retrying -= usize::from(tried.ticket.attempts > 0);
                self.probing &= !tried.probe;
                self.settle(tried, sent);
            }
            Step::Settled(settlement, Ok(next)) => {
                if matches!(settlement.verdict, Verdict::Delivered | Verdict::Dead(_)) {
                    self.backlog.ended(settlement.ticket.parcel.events());
                }
                self.note_batch(&settlement);
                self.enqueue(next);
                self.note_due(&settlement.verdict);
                self.alarm.settled(&settlement.verdict);
            }
            Step::Settled(settlement, Err(error)) => self.settle_again(settlement, &error),
        }
    }

    /// A retry counts from its commit on: the store, asked before, would not have known it.
    fn note_due(&mut self, verdict: &Verdict) {
        if let Verdict::RetryAt(due) = verdict {
            self.next_due = Some(self.next_due.map_or(*due, |next| next.min(*due)));
        }
    }

    fn settle(&mut self, tried: Tried, sent: Sent) {
        let Tried { ticket, began, probe } = tried;
        let now = self.world.clock.now();
        let number = ticket.attempts + 1;
        let verdict = if batch::is_to_be_split(&ticket.parcel, &sent.answer) {
            // It says nothing of the sink but what it takes.
            self.state.not_before = self.state.not_before.max(hold_sink(&sent.answer, now));
            Verdict::Split
        } else {
            self.note_answer(&sent.answer, probe, now);
            self.judge(number, &sent.answer, now)
        };
        if let Verdict::SinkGone(reason) = &verdict
            && self.state.disabled.is_none()
        {
            tell(&self.sink.name, &Turn::Disabled { reason: reason.clone() });
            self.state.disabled = Some(reason.clone());
        }
        self.observe(&ticket, &verdict, &sent, now);
        let attempt = Attempt { number, at: began, took: sent.took, answer: sent.answer, trace: sent.trace };
        let settlement = Arc::new(Settlement { ticket, attempt, verdict, sink: self.state.clone() });
        self.work.push(Box::pin(write(self.world.clone(), settlement)));
    }

    /// The receiver may have it, so it must not be sent again because our disk is full: the settlement is kept and
    /// tried until it is written.
    fn settle_again(&mut self, settlement: Arc<Settlement>, error: &StoreError) {
        if matches!(error, StoreError::LeaseLost(_) | StoreError::Closed) {
            tracing::warn!(sink = %self.sink.name, %error, "a settlement was dropped");
            return;
        }
        tracing::error!(sink = %self.sink.name, %error, "a settlement can't be written; trying again");
        let world = self.world.clone();
        self.work.push(Box::pin(async move {
            world.clock.sleep_until(world.clock.now().plus(STORE_RETRY)).await;
            write(world, settlement).await
        }));
    }

    /// What an answer says of the sink as a whole.
    fn note_answer(&mut self, answer: &Answer, probe: bool, now: Timestamp) {
        let state = &mut self.state;
        state.not_before = state.not_before.max(hold_sink(answer, now));
        let heard = match (answer.is_success(), probe) {
            (true, _) => Heard::Success,
            (false, true) => Heard::ProbeFailure,
            (false, false) => Heard::Failure,
        };
        let before = Breaker { failures: state.failures, failing_since: state.failing_since, open: state.open };
        let jitter = if heard == Heard::Success { 0.0 } else { self.world.dice.roll() };
        let breaker = before.after(heard, &self.sink.ladder, now, jitter);
        Breaker { failures: state.failures, failing_since: state.failing_since, open: state.open } = breaker;
        match heard {
            Heard::Success => (state.last_failure, state.last_success) = (None, Some(now)),
            Heard::Failure | Heard::ProbeFailure => state.last_failure = Some(answer.sentence()),
        }
        let turn = match (before.open, breaker.open) {
            (None, Some(open)) => {
                Turn::Opened { reason: answer.sentence(), failures: breaker.failures, probe_at: open.probe_at }
            }
            (Some(_), None) => Turn::Recovered { failures: before.failures },
            _ => return,
        };
        // Whatever waits in the store may go, or be the probe.
        self.more = true;
        tell(&self.sink.name, &turn);
    }

    /// What follows for the delivery, once it is known what the answer says of the sink.
    fn judge(&self, number: u32, answer: &Answer, now: Timestamp) -> Verdict {
        let SinkState { failures, failing_since, open, .. } = self.state;
        // While the sink is down, or has been given up, nobody's ladder is spent.
        let gone = self.state.disabled.as_ref().map(|_| now);
        let spared_until = open.map(|open| open.probe_at).or(gone);
        let jitter = if answer.is_success() { 0.0 } else { self.world.dice.roll() };
        let verdict = judge_sparing(&self.sink.ladder, number, answer, now, jitter, spared_until);
        let outlived = Breaker { failures, failing_since, open }.is_outlived(now);
        match verdict {
            Verdict::RetryAt(_) if outlived => {
                let span = show_duration(FAILING_MAX);
                Verdict::SinkGone(format!("it has only failed for {span}, the last time: {}", answer.sentence()))
            }
            verdict => verdict,
        }
    }

    /// One wide line for each attempt.
    fn observe(&self, ticket: &DeliveryTicket, verdict: &Verdict, sent: &Sent, now: Timestamp) {
        let since_seen = now.since(ticket.parcel.seen_at);
        let word = verdict.as_str();
        self.world.observer.attempt_ended(&AttemptSeen {
            sink: self.sink.name.clone(),
            verdict: word,
            took: sent.took,
            since_seen,
            replay: ticket.parcel.replay,
        });
        let (sink, parcel, attempt) = (&self.sink.name, &ticket.parcel, ticket.attempts + 1);
        let batch = parcel.batch.as_ref().map(|batch| tracing::field::display(&batch.id));
        let events = parcel.batch.as_ref().map(|batch| batch.events);
        let (took_ms, since_seen_ms) = (sent.took.as_millis() as u64, since_seen.as_millis() as u64);
        let answer = sent.answer.sentence();
        match verdict {
            Verdict::Delivered => tracing::info!(
                %sink, event = %parcel.event, job = %parcel.job, key = %parcel.key, batch, events, attempt, took_ms,
                since_seen_ms, answer, "delivered"
            ),
            _ => tracing::warn!(
                %sink, event = %parcel.event, job = %parcel.job, key = %parcel.key, batch, events, attempt, took_ms,
                since_seen_ms, answer, verdict = word, "attempt failed"
            ),
        }
    }
}

fn attempt(world: Arc<World>, sink: Arc<Sink>, tried: Tried) -> Work {
    Box::pin(async move {
        let ticket = &tried.ticket;
        let sent = world.sender.send(&sink, &ticket.parcel, ticket.attempts + 1, tried.began).await;
        Step::Attempted(tried, sent)
    })
}

async fn write(world: Arc<World>, settlement: Arc<Settlement>) -> Step {
    let written = world.store.settle(settlement.clone()).await;
    Step::Settled(settlement, written)
}
