//! One sink's queue at work: attempts in parallel, each settled in the store before the next of its order goes.
//!
//! It shares nothing with other sinks but the store, and never waits for its receiver: attempts are futures that it
//! polls beside its queue. What an answer means is `core`'s to say.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::core::delivery::{Answer, Attempt, Verdict, hold_sink, judge};
use crate::core::observe::AttemptSeen;
use crate::core::sink::Sink;
use crate::core::time::Timestamp;
use crate::engine::World;
use crate::engine::alarm::Alarm;
use crate::engine::dispatcher::{Fresh, WINDOW};
use crate::sink::Sent;
use crate::store::{DeliveryTicket, Settlement, SinkState, StoreError};

/// Attempts that have ended and wait for their commit; above it no new attempt begins.
const UNSETTLED_MAX: usize = 1024;

/// How long to wait before the store is asked again after it failed.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// One sink's queue.
pub(super) struct Outlet {
    world: Arc<World>,
    sink: Arc<Sink>,
    state: SinkState,
    first: VecDeque<DeliveryTicket>,
    again: VecDeque<DeliveryTicket>,
    /// The room that commits may fill, kept up to date for them.
    room: Arc<AtomicUsize>,
    /// True when the store may hold deliveries that are due now.
    more: bool,
    /// True when a person has changed the sink's state in the store.
    changed: bool,
    /// When the store's next delivery falls due.
    next_due: Option<Timestamp>,
    attempting: usize,
    work: FuturesUnordered<Work>,
    alarm: Alarm,
}

type Work = Pin<Box<dyn Future<Output = Step> + Send>>;

/// Something that has ended.
enum Step {
    Attempted(DeliveryTicket, Timestamp, Sent),
    Settled(Arc<Settlement>, Result<Option<DeliveryTicket>, StoreError>),
    Released(Result<(), StoreError>),
}

impl Outlet {
    pub(super) fn new(
        world: Arc<World>,
        sink: Arc<Sink>,
        state: SinkState,
        room: Arc<AtomicUsize>,
        alarm: Alarm,
    ) -> Self {
        Self {
            world,
            sink,
            state,
            first: VecDeque::new(),
            again: VecDeque::new(),
            room,
            more: true,
            changed: false,
            next_due: None,
            attempting: 0,
            work: FuturesUnordered::new(),
            alarm,
        }
    }

    /// Runs until shutdown; then ends what is on its way and gives the rest back.
    pub(super) async fn run(mut self, mut arrivals: mpsc::Receiver<Fresh>, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            self.follow_person().await;
            self.refill().await;
            self.begin_attempts();
            self.note_room();
            let wake_at = self.wake_at();
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(step) = self.work.next(), if !self.work.is_empty() => self.take(step),
                Some(fresh) = arrivals.recv() => self.admit(fresh),
                () = self.world.clock.sleep_until(wake_at.unwrap_or_default()), if wake_at.is_some() => {}
            }
        }
        arrivals.close();
        while let Some(step) = self.work.next().await {
            self.take(step);
        }
        while let Ok(fresh) = arrivals.try_recv() {
            self.admit(fresh);
        }
        let rest = self.first.drain(..).chain(self.again.drain(..)).collect();
        let released = self.world.store.release(rest).await;
        self.report(released);
    }

    /// Takes over what a person has changed: a pause, its end, a sink that is enabled again. What else is remembered of
    /// the sink is newer here.
    async fn follow_person(&mut self) {
        if !std::mem::take(&mut self.changed) {
            return;
        }
        match self.world.store.sink_state(&self.sink.name).await {
            Ok(stored) => {
                self.state.paused = stored.paused;
                if self.state.disabled.is_some() && stored.disabled.is_none() {
                    let SinkState { paused, not_before, last_success, .. } = self.state;
                    self.state = SinkState { paused, not_before, last_success, ..SinkState::default() };
                }
            }
            Err(error) => {
                self.changed = true;
                self.store_failed(self.world.clock.now(), &error);
            }
        }
        if self.is_shut() {
            self.give_back();
        }
    }

    /// Gives back what has not been attempted: others may hold, list and change it in the store.
    fn give_back(&mut self) {
        let rest: Vec<_> = self.first.drain(..).chain(self.again.drain(..)).collect();
        if !rest.is_empty() {
            let world = self.world.clone();
            self.work.push(Box::pin(async move { Step::Released(world.store.release(rest).await) }));
        }
    }

    fn waiting(&self) -> usize {
        self.first.len() + self.again.len()
    }

    fn note_room(&self) {
        self.room.store(WINDOW.saturating_sub(self.waiting()), Ordering::Relaxed);
    }

    /// True until a person acts: disabled, or paused.
    fn is_shut(&self) -> bool {
        self.state.disabled.is_some() || self.state.paused.is_some()
    }

    /// True when attempts may begin at `now`: not shut, and no `Retry-After` stands.
    fn is_open(&self, now: Timestamp) -> bool {
        !self.is_shut() && self.state.not_before.is_none_or(|moment| moment <= now)
    }

    /// Claims what is due from the store while there is room for it.
    async fn refill(&mut self) {
        let now = self.world.clock.now();
        let is_due = self.more || self.next_due.is_some_and(|due| due <= now);
        if !is_due || !self.is_open(now) || self.waiting() > WINDOW / 2 {
            return;
        }
        let room = WINDOW - self.waiting();
        match self.world.store.claim_deliveries(&self.sink.name, now, room).await {
            Ok(tickets) => {
                let all_that_is_due = tickets.len() < room;
                self.more = !all_that_is_due;
                tickets.into_iter().for_each(|ticket| self.enqueue(ticket));
                if all_that_is_due {
                    self.look_ahead(now).await;
                }
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

    fn admit(&mut self, fresh: Fresh) {
        self.more |= fresh.more;
        self.changed |= fresh.changed;
        fresh.tickets.into_iter().for_each(|ticket| self.enqueue(ticket));
    }

    fn enqueue(&mut self, ticket: DeliveryTicket) {
        match ticket.attempts {
            0 => self.first.push_back(ticket),
            _ => self.again.push_back(ticket),
        }
    }

    /// Begins as many attempts as may run: first attempts are not kept waiting behind retries.
    fn begin_attempts(&mut self) {
        let now = self.world.clock.now();
        while self.is_open(now) && self.attempting < self.sink.concurrency && self.work.len() < UNSETTLED_MAX {
            let Some(ticket) = self.first.pop_front().or_else(|| self.again.pop_front()) else { return };
            self.attempting += 1;
            self.work.push(attempt(self.world.clone(), self.sink.clone(), ticket, now));
        }
    }

    /// When something happens by itself: a `Retry-After` ends, or the store's next delivery falls due.
    fn wake_at(&self) -> Option<Timestamp> {
        if self.is_shut() {
            return None;
        }
        let queued = self.waiting() > 0 || self.more;
        let reopens = self.state.not_before.filter(|_| queued).filter(|moment| *moment > self.world.clock.now());
        let due = self.next_due.map(|due| due.max(self.state.not_before.unwrap_or_default()));
        match (reopens, due) {
            (Some(reopens), Some(due)) => Some(reopens.min(due)),
            (one, other) => one.or(other),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Attempted(ticket, began, sent) => {
                self.attempting -= 1;
                self.settle(ticket, began, sent);
            }
            Step::Settled(settlement, Ok(next)) => {
                next.into_iter().for_each(|ticket| self.enqueue(ticket));
                self.note_due(&settlement.verdict);
                self.alarm.settled(&settlement.verdict);
            }
            Step::Settled(settlement, Err(error)) => self.settle_again(settlement, &error),
            Step::Released(done) => {
                self.more = true;
                self.report(done);
            }
        }
    }

    /// A retry counts from its commit on: the store, asked before, would not have known it.
    fn note_due(&mut self, verdict: &Verdict) {
        if let Verdict::RetryAt(due) = verdict {
            self.next_due = Some(self.next_due.map_or(*due, |next| next.min(*due)));
        }
    }

    fn settle(&mut self, ticket: DeliveryTicket, began: Timestamp, sent: Sent) {
        let now = self.world.clock.now();
        let number = ticket.attempts + 1;
        let verdict = judge(&self.sink.ladder, number, &sent.answer, now, self.world.dice.roll());
        self.note_answer(&sent.answer, &verdict, now);
        self.observe(&ticket, &verdict, &sent, now);
        if let Verdict::SinkGone(_) = &verdict {
            // The settlement holds them all in the store.
            self.give_back();
        }
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
    fn note_answer(&mut self, answer: &Answer, verdict: &Verdict, now: Timestamp) {
        self.state.not_before = self.state.not_before.max(hold_sink(answer, now));
        if *verdict == Verdict::Delivered {
            self.state.failures = 0;
            self.state.failing_since = None;
            self.state.last_failure = None;
            self.state.last_success = Some(now);
            return;
        }
        self.state.failures += 1;
        self.state.failing_since = self.state.failing_since.or(Some(now));
        self.state.last_failure = Some(answer.sentence());
        if let Verdict::SinkGone(reason) = verdict
            && self.state.disabled.is_none()
        {
            tracing::error!(sink = %self.sink.name, reason, "sink disabled; what waits for it is held");
            self.state.disabled = Some(reason.clone());
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
        let (took_ms, since_seen_ms) = (sent.took.as_millis() as u64, since_seen.as_millis() as u64);
        let answer = sent.answer.sentence();
        match verdict {
            Verdict::Delivered => tracing::info!(
                %sink, event = %parcel.event, job = %parcel.job, key = %parcel.key, attempt, took_ms, since_seen_ms,
                answer, "delivered"
            ),
            _ => tracing::warn!(
                %sink, event = %parcel.event, job = %parcel.job, key = %parcel.key, attempt, took_ms, since_seen_ms,
                answer, verdict = word, "attempt failed"
            ),
        }
    }

    fn report(&self, done: Result<(), StoreError>) {
        if let Err(error) = done {
            tracing::warn!(sink = %self.sink.name, %error, "deliveries could not be given back; the next start takes them");
        }
    }
}

fn attempt(world: Arc<World>, sink: Arc<Sink>, ticket: DeliveryTicket, now: Timestamp) -> Work {
    Box::pin(async move {
        let sent = world.sender.send(&sink, &ticket.parcel, ticket.attempts + 1, now).await;
        Step::Attempted(ticket, now, sent)
    })
}

async fn write(world: Arc<World>, settlement: Arc<Settlement>) -> Step {
    let written = world.store.settle(settlement.clone()).await;
    Step::Settled(settlement, written)
}
