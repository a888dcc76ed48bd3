//! The rounds of the alarm: what has to ring is committed with its deliveries, a few at a time.
//!
//! A round that can't be written is made again: what has to ring follows from what is known, not from a queue.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Alarm, log};
use crate::core::alert::{Bell, DeadLetter, JobTurn, JobWatch, Notice, Ring, SinkFacts, SinkTurn, Trouble, sink_turn};
use crate::core::backlog::Waiting;
use crate::core::names::{JobName, Key, SinkName};
use crate::core::sink::Sink;
use crate::core::time::Timestamp;
use crate::engine::World;
use crate::engine::dispatcher::Dispatcher;
use crate::store::{Queue, Room, SinkState, StoreError};

/// How often everything is looked at for what only time brings. A minute is the least that anything waits for.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How long to wait before the store is asked again after it failed.
const STORE_RETRY: Duration = Duration::from_secs(1);

/// Rings of one transaction: short enough not to hold up a poll's commit.
const RINGS_MAX: usize = 100;

/// Rings until shutdown.
pub(in crate::engine) async fn run(
    world: Arc<World>,
    alarm: Alarm,
    bells: Vec<Bell>,
    dispatcher: Dispatcher,
    shutdown: CancellationToken,
) {
    let mut rounds = Rounds { look_at: world.clock.now(), world, alarm, bells: of_sinks(bells), dispatcher };
    while !shutdown.is_cancelled() {
        let now = rounds.world.clock.now();
        let wake_at = match rounds.go(now).await {
            Ok(()) => rounds.look_at,
            Err(error) => {
                tracing::error!(%error, "system events can't be written; trying again");
                now.plus(STORE_RETRY)
            }
        };
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = rounds.alarm.0.wake.notified() => {}
            () = rounds.world.clock.sleep_until(wake_at) => {}
        }
    }
}

pub(super) struct Rounds {
    pub(super) world: Arc<World>,
    pub(super) alarm: Alarm,
    pub(super) bells: BTreeMap<(Trouble, Key), Bell>,
    pub(super) dispatcher: Dispatcher,
    pub(super) look_at: Timestamp,
}

impl Rounds {
    /// One round: jobs that turned, and, when it is time or an attempt asks for it, everything else.
    pub(super) async fn go(&mut self, now: Timestamp) -> Result<(), StoreError> {
        if let Some(bells) = self.alarm.0.bells.lock().unwrap_or_else(PoisonError::into_inner).take() {
            self.bells = of_sinks(bells);
        }
        let is_time = self.look_at <= now;
        if is_time {
            self.alarm.look_at_all(now);
        }
        while self.alarm.has_turns() {
            self.ring_jobs(now).await?;
        }
        if self.alarm.0.sinks_moved.swap(false, Ordering::Relaxed) || is_time {
            let done = self.look_at_sinks(now).await;
            self.alarm.0.sinks_moved.fetch_or(done.is_err(), Ordering::Relaxed);
            done?;
        }
        if is_time {
            self.look_at = now.plus(LOOK_EVERY.min(self.alarm.settings().alerts.remind));
        }
        Ok(())
    }

    async fn ring_jobs(&self, now: Timestamp) -> Result<(), StoreError> {
        let turns = self.alarm.take_turns(now, RINGS_MAX);
        let rings = turns.iter().map(|(name, turn, watch)| self.of_job(name, turn, watch, now)).collect();
        let rung = self.ring(rings).await;
        for (name, turn, _) in turns {
            match (&rung, turn) {
                (Ok(()), turn) => self.alarm.took_turn(&name, turn, now),
                (Err(_), _) => self.alarm.put_back(&name),
            }
        }
        rung
    }

    fn of_job(&self, name: &JobName, turn: &JobTurn, watch: &JobWatch, now: Timestamp) -> Ring {
        let telling = &self.alarm.settings().telling;
        let (JobTurn::Ring(bell) | JobTurn::Recovered(bell) | JobTurn::Silenced(bell)) = turn;
        let troubles: &[Trouble] = match bell.trouble {
            Trouble::Held => &[Trouble::Held],
            Trouble::Expression => &[Trouble::Expression],
            _ => &[Trouble::Failing, Trouble::Stale],
        };
        let notice = match (turn, watch.hold()) {
            (JobTurn::Ring(bell), Some(hold)) if bell.trouble == Trouble::Held => Some(telling.held(bell, hold)),
            (JobTurn::Ring(bell), _) => Some(telling.job(bell, watch)),
            (JobTurn::Recovered(bell), _) => Some(telling.job_recovered(bell, now)),
            (JobTurn::Silenced(_), _) => None,
        };
        let on = if let JobTurn::Ring(bell) = turn { Some(bell.clone()) } else { None };
        let off = troubles.iter().map(|trouble| (*trouble, Key::from(name.as_str()))).collect();
        Ring { notice, on, off, told: None }
    }

    async fn look_at_sinks(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let settings = self.alarm.settings();
        for (name, state, mut queue) in self.world.store.sinks().await? {
            if let Some(sink) = settings.sinks.iter().find(|sink| sink.name == name) {
                if sink.limits.max_age.is_some() {
                    // What is held grows too old as well.
                    queue.oldest = self.world.store.queue(&name).await?.oldest;
                }
                let facts = SinkFacts { dropped: self.alarm.why_dropped(&name), ..facts(sink, state, &queue) };
                self.turn_sink(Trouble::Disabled, &name, &facts, now).await?;
                self.turn_sink(Trouble::Backlog, &name, &facts, now).await?;
                self.alarm.told_of_drops(&name);
            }
        }
        self.alarm.0.sink_rings.store(!self.bells.is_empty(), Ordering::Relaxed);
        self.tell_of_the_dead(now).await
    }

    async fn turn_sink(
        &mut self,
        trouble: Trouble,
        sink: &SinkName,
        facts: &SinkFacts,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let place = (trouble, Key::from(sink.as_str()));
        let telling = &self.alarm.settings().telling;
        match sink_turn(trouble, sink, facts, self.bells.get(&place), now) {
            None => {}
            Some(SinkTurn::Ring(bell)) => {
                let notice = Some(telling.sink(&bell, facts));
                self.ring(vec![Ring { notice, on: Some(bell.clone()), ..Ring::default() }]).await?;
                self.bells.insert(place, bell);
            }
            Some(SinkTurn::Recovered(bell)) => {
                let notice = Some(telling.sink_recovered(&bell, facts, now));
                self.ring(vec![Ring { notice, off: vec![place.clone()], ..Ring::default() }]).await?;
                self.bells.remove(&place);
            }
        }
        Ok(())
    }

    async fn tell_of_the_dead(&self, now: Timestamp) -> Result<(), StoreError> {
        loop {
            let letters = self.world.store.untold(RINGS_MAX).await?;
            let is_last = letters.len() < RINGS_MAX;
            self.ring(letters.iter().map(|letter| self.of_letter(letter, now)).collect()).await?;
            if is_last {
                return Ok(());
            }
        }
    }

    fn of_letter(&self, letter: &DeadLetter, now: Timestamp) -> Ring {
        let notice = (!letter.is_an_alert()).then(|| self.alarm.settings().telling.dead(letter, now));
        Ring { notice, told: Some((letter.delivery, letter.ended)), ..Ring::default() }
    }

    /// Commits rings and hands their deliveries over. When nobody is told, bells are kept in memory only, so that the
    /// first daemon that tells somebody rings for what is wrong by then.
    async fn ring(&self, mut rings: Vec<Ring>) -> Result<(), StoreError> {
        let notices: Vec<_> = rings.iter().filter_map(|ring| ring.notice.clone()).collect();
        let is_on = self.alarm.settings().alerts.is_on();
        if !is_on {
            let told = |ring: Ring| Ring { told: ring.told, ..Ring::default() };
            rings = rings.into_iter().filter(|ring| ring.told.is_some()).map(told).collect();
        }
        if !rings.is_empty() {
            let mut expected = Room::new();
            for sink in rings.iter().filter_map(|ring| ring.notice.as_ref()).flat_map(Notice::sinks) {
                *expected.entry(sink.clone()).or_default() += 1;
            }
            let tickets = self.world.store.ring(rings, &self.dispatcher.room()).await?;
            self.dispatcher.hand_over(tickets, &expected).await;
        }
        notices.iter().for_each(|notice| log(notice, is_on));
        Ok(())
    }
}

fn of_sinks(bells: Vec<Bell>) -> BTreeMap<(Trouble, Key), Bell> {
    let bells = bells.into_iter().filter(|bell| !bell.trouble.is_of_a_job());
    bells.map(|bell| ((bell.trouble, bell.subject.clone()), bell)).collect()
}

fn facts(sink: &Sink, state: SinkState, queue: &Queue) -> SinkFacts {
    SinkFacts {
        disabled: state.disabled,
        failing_since: state.failing_since,
        last_success: state.last_success,
        failures: state.failures,
        waiting: Waiting { count: queue.backlog + queue.held, oldest: queue.oldest },
        limits: sink.limits,
        dropped: None,
    }
}
