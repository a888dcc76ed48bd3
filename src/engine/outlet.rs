//! One sink's queue at work: attempts in parallel, each settled in the store before the next of its order goes.
//!
//! It shares nothing with other sinks but the store, and never waits for its receiver: attempts are futures that it
//! polls beside its queue. What an answer means, when a breaker opens and how much may wait is `core`'s to say.

mod backlog;
mod batches;
mod claim;
mod gather;
mod limits;
mod person;
mod rate;
mod settle;
#[cfg(test)]
mod tests;
mod window;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::backlog::Backlog;
use self::claim::Claim;
use self::gather::Gather;
use self::settle::{Group, Unsettled};
use self::window::{Waits, Window, places_for_retries};
use crate::core::breaker::{Breaker, FAILING_MAX, Heard, Suspects, judge_sparing};
use crate::core::bucket::Bucket;
use crate::core::delivery::{Answer, Verdict, hold_sink};
use crate::core::observe::AttemptSeen;
use crate::core::sink::Sink;
use crate::core::time::Timestamp;
use crate::core::units::show_duration;
use crate::engine::World;
use crate::engine::alarm::Alarm;
use crate::engine::bulletin::{Turn, tell};
use crate::engine::dispatcher::{Arrival, Sill, WINDOW, WINDOW_BYTES};
use crate::sink::Sent;
use crate::store::{DeliveryTicket, Settled, SinkState, StoreError};

/// How long to wait before the store is asked again after it failed.
const STORE_RETRY: Duration = Duration::from_secs(1);

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
    /// How many deliveries are being claimed; 0: none.
    claiming: usize,
    attempting: usize,
    retrying: usize,
    /// The breaker is open and its probe is on its way.
    probing: bool,
    /// Whose the sink's failures are.
    suspects: Suspects,
    /// Something has come that was never tried, while the breaker is open.
    fresh: bool,
    work: FuturesUnordered<Work>,
    unsettled: Unsettled,
    alarm: Alarm,
}

type Work = Pin<Box<dyn Future<Output = Step> + Send>>;

/// Something that has ended.
#[expect(clippy::large_enum_variant, reason = "nearly every step is an attempt, and a box for each costs more")]
enum Step {
    Attempted(Tried, Sent),
    Settled(Group, Result<Vec<Settled>, StoreError>),
    /// It could not be written a while ago.
    Unwritten(Group),
    Claimed(Claim),
}

/// An attempt on its way.
struct Tried {
    ticket: DeliveryTicket,
    began: Timestamp,
    probe: bool,
}

impl Waits for DeliveryTicket {
    fn weight(&self) -> usize {
        size_of::<Self>() + self.parcel.body.len()
    }
}

impl Outlet {
    pub(super) fn new(world: Arc<World>, sink: Arc<Sink>, state: SinkState, sill: Arc<Sill>, alarm: Alarm) -> Self {
        let now = world.clock.now();
        Self {
            bucket: sink.rate.map(|rate| Bucket::full(rate, now)),
            backlog: Backlog::new(sink.limits),
            allowed: None,
            gather: Gather::new(sink.batching),
            // What failed before a restart is not known.
            suspects: if state.failures > 0 { Suspects::Several } else { Suspects::Nobody },
            fresh: false,
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
            claiming: 0,
            attempting: 0,
            retrying: 0,
            probing: false,
            work: FuturesUnordered::new(),
            unsettled: Unsettled::default(),
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
            self.write_ended();
            self.note_room();
            let wake_at = self.wake_at();
            tokio::select! {
                () = shutdown.cancelled() => break,
                Some(step) = self.work.next(), if !self.work.is_empty() => self.take_all(step),
                Some(arrival) = arrivals.recv() => self.admit(arrival),
                () = self.world.clock.sleep_until(wake_at.unwrap_or_default()), if wake_at.is_some() => {}
            }
        }
        arrivals.close();
        while let Some(step) = self.work.next().await {
            self.take_all(step);
            self.write_ended();
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
        let stale = self.stale;
        // What is being claimed may have been so before the edit.
        self.stale &= self.claiming > 0;
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
        let takes = self.flows() && self.window.bytes() < WINDOW_BYTES;
        let room = if takes { WINDOW.saturating_sub(self.claimed() + self.claiming) } else { 0 };
        self.sill.set_room(room);
    }

    /// When attempts may begin: no `Retry-After` stands, and where the breaker is open it is time for a probe, or what has
    /// come may be one. `None`: while the sink is shut or a probe is on its way, nothing may.
    fn opens_at(&self) -> Option<Timestamp> {
        if self.is_shut() || (self.state.open.is_some() && self.probing) {
            return None;
        }
        let tries_fresh = self.fresh && matches!(self.suspects, Suspects::One(_));
        let probe_at = self.state.open.filter(|_| !tries_fresh).map(|open| open.probe_at);
        Some(self.state.not_before.max(probe_at).unwrap_or(Timestamp(i64::MIN)))
    }

    /// True until a person acts: disabled, or paused.
    fn is_shut(&self) -> bool {
        self.state.disabled.is_some() || self.state.paused.is_some()
    }

    /// How many attempts may be on their way: one, until the receiver has consented to them and has named a rate.
    fn places(&self) -> usize {
        let asks = self.sink.handshake && !self.world.sender.has_consent(&self.sink);
        if asks { 1 } else { self.sink.concurrency }
    }

    fn is_open(&self, now: Timestamp) -> bool {
        self.opens_at().is_some_and(|moment| moment <= now)
    }

    fn admit(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Fresh(fresh) => {
                self.more |= fresh.more;
                self.fresh |= self.state.open.is_some();
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
        while self.is_open(now) && self.attempting < self.places() && self.unsettled.takes_more() {
            let retry = self.takes_retry();
            if !self.window.has_next(retry) || self.bucket.as_mut().is_some_and(|bucket| !bucket.take(now)) {
                return;
            }
            let Some(ticket) = self.window.next(retry) else { return };
            let probe = self.state.open.is_some();
            self.probing |= probe;
            self.fresh &= !probe;
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
            let due = self.next_due.filter(|_| self.claiming == 0 && self.takes_more()).map(|due| due.max(opens));
            let slots = self.attempting < self.places() && self.window.has_next(self.takes_retry());
            let ready_at = self.bucket.as_ref().filter(|_| slots && opens <= now).map(|bucket| bucket.ready_at(now));
            let paced = ready_at.filter(|moment| *moment > now);
            [reopens, due, paced, self.batch_wakes_at(now)].into_iter().flatten().min()
        });
        queue.into_iter().chain(self.backlog.look_at().filter(|_| self.claiming == 0)).min()
    }

    /// Takes what has ended, and whatever else has by now.
    fn take_all(&mut self, first: Step) {
        self.take(first);
        while let Some(Some(step)) = self.work.next().now_or_never() {
            self.take(step);
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Attempted(tried, sent) => {
                self.attempting -= 1;
                self.retrying -= usize::from(tried.ticket.attempts > 0);
                self.probing &= !tried.probe;
                self.settle(tried, sent);
            }
            Step::Settled(group, written) => self.settled(group, written),
            Step::Unwritten(group) => self.write(group),
            Step::Claimed(claim) => self.claim_ended(claim),
        }
    }

    /// What an answer says of the sink as a whole.
    fn note_answer(&mut self, delivery: i64, answer: &Answer, probe: bool, now: Timestamp) {
        let state = &mut self.state;
        state.not_before = state.not_before.max(hold_sink(answer, now));
        let heard = match (answer.is_success(), probe) {
            (true, _) => Heard::Success,
            (false, true) => Heard::ProbeFailure,
            (false, false) => Heard::Failure,
        };
        self.suspects = self.suspects.after(heard, delivery);
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
