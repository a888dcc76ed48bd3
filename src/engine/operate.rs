//! What a person does while the engine runs: the store is written first, then who must know is woken.
//!
//! Each runs in a task of its own to its end, so that a caller that hangs up cuts nothing in half.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::core::config::Config;
use crate::core::hold::{Answer, Hold};
use crate::core::names::{JobName, SinkName};
use crate::core::operate::{DropFilter, DropReport, PauseReport, ReplayFilter, ReplayHow, ReplayReport};
use crate::core::rerender::rerender;
use crate::core::time::Timestamp;
use crate::engine::Handle;
use crate::engine::poller::Mode;
use crate::engine::report::Asker;
use crate::engine::scheduler::Order;
use crate::store::{Renderable, Replayable, Retried, Store, StoreError};

/// Deliveries that one transaction queues again: a poll's commit waits no longer than for these.
const REPLAY_ROWS_MAX: usize = 2_000;

/// Deliveries that are rendered anew at once: each may hold 1 MiB, twice.
const RENDERED_MAX: usize = 32;

/// Queues all that `filter` names again, in the order of events, or only counts it.
///
/// # Errors
///
/// The state can't be read or written. What was queued before that stays queued.
pub async fn replay_all(
    store: &dyn Store,
    config: &Config,
    filter: &ReplayFilter,
    how: ReplayHow,
    now: Timestamp,
) -> Result<ReplayReport, StoreError> {
    let found = store.replayable(filter).await?;
    if how.render {
        return render_all(store, config, filter, found, (!how.dry_run).then_some(now)).await;
    }
    if how.dry_run {
        return Ok(found.report);
    }
    let mut report = ReplayReport { dry_run: false, deliveries: 0, sinks: Default::default(), ..found.report };
    let mut next = Some(found.from);
    while let Some(from) = next {
        let (queued, more) = store.replay(filter, from, REPLAY_ROWS_MAX, now).await?;
        for (sink, count) in queued {
            report.deliveries += count;
            *report.sinks.entry(sink.to_string()).or_default() += count;
        }
        next = more;
    }
    Ok(report)
}

/// The same with bodies that are written anew; without a moment it only tries. What can't be written is left out.
async fn render_all(
    store: &dyn Store,
    config: &Config,
    filter: &ReplayFilter,
    found: Replayable,
    now: Option<Timestamp>,
) -> Result<ReplayReport, StoreError> {
    let on_their_way = found.report.on_their_way;
    let mut report = ReplayReport { dry_run: now.is_none(), on_their_way, ..ReplayReport::default() };
    let mut next = Some(found.from);
    while let Some(from) = next {
        let (some, more) = store.renderable(filter, from, RENDERED_MAX).await?;
        let (mut rendered, mut sinks) = (Vec::new(), BTreeMap::new());
        for Renderable { delivery, kept } in some {
            match rerender(config, &kept) {
                Ok(new) => {
                    *sinks.entry(kept.sink).or_default() += 1;
                    rendered.push((delivery, new));
                }
                Err(why) => report.leave_out(why),
            }
        }
        if let Some(now) = now {
            sinks = store.replay_rendered(rendered, now).await?;
        }
        for (sink, count) in sinks {
            report.deliveries += count;
            *report.sinks.entry(sink.to_string()).or_default() += count;
        }
        next = more;
    }
    Ok(report)
}

/// What a delivery that a person dropped has died of.
const DROPPED: &str = "dropped by hand";

/// Ends all that is held and that `filter` names as dead, or only counts it.
///
/// # Errors
///
/// The state can't be read or written. What was dropped before that stays dropped.
pub async fn drop_all(
    store: &dyn Store,
    filter: &DropFilter,
    dry_run: bool,
    now: Timestamp,
) -> Result<DropReport, StoreError> {
    let found = store.droppable(filter).await?;
    if dry_run {
        return Ok(found);
    }
    let mut report = DropReport { dry_run, deliveries: 0, sinks: BTreeMap::new(), ..found };
    loop {
        let dropped = store.drop_held(filter, DROPPED, now).await?;
        if dropped.is_empty() {
            return Ok(report);
        }
        for (sink, count) in dropped {
            report.deliveries += count;
            *report.sinks.entry(sink.to_string()).or_default() += count;
        }
    }
}

/// Pauses or resumes a job in the store.
///
/// # Errors
///
/// The state does not know the job, or can't be written.
pub async fn pause_job(
    store: &dyn Store,
    job: &JobName,
    paused: bool,
    now: Timestamp,
) -> Result<PauseReport, StoreError> {
    let changed = store.pause_job(job, paused.then_some(now)).await?;
    Ok(PauseReport {
        kind: "job".to_owned(),
        name: job.to_string(),
        paused,
        changed,
        was_disabled: None,
        deliveries: 0,
    })
}

/// Pauses or resumes a sink in the store; a resume enables one that is disabled, too.
///
/// # Errors
///
/// The state can't be written.
pub async fn pause_sink(
    store: &dyn Store,
    sink: &SinkName,
    paused: bool,
    now: Timestamp,
) -> Result<PauseReport, StoreError> {
    let was_disabled = store.sink_state(sink).await?.disabled.filter(|_| !paused);
    if was_disabled.is_some() {
        store.enable_sink(sink, now).await?;
    }
    let resumed = store.pause_sink(sink, paused.then_some(now)).await?;
    let queues = store.sinks().await?;
    let queue = queues.into_iter().find(|(name, _, _)| name == sink).map(|(_, _, queue)| queue).unwrap_or_default();
    Ok(PauseReport {
        kind: "sink".to_owned(),
        name: sink.to_string(),
        paused,
        changed: resumed || was_disabled.is_some(),
        was_disabled,
        deliveries: if paused { queue.held } else { queue.backlog },
    })
}

/// How long an answer that has come may take to be written: whoever replays what has just arrived is not told that it
/// is still on its way.
const WRITTEN_WITHIN: Duration = Duration::from_millis(500);

/// How often it is looked for meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(20);

impl Handle {
    /// Pauses or resumes a job. `None`: the engine has stopped.
    pub async fn pause_job(&self, job: &JobName, paused: bool) -> Option<Result<PauseReport, StoreError>> {
        let (handle, job) = (self.clone(), job.clone());
        self.to_its_end(async move {
            let _alone = handle.pausing.lock().await;
            let report = pause_job(&*handle.world.store, &job, paused, handle.world.clock.now()).await?;
            // A scheduler that has ended reads it at the next start.
            let _ = handle.orders.send(Order::Pause(job, paused)).await;
            Ok(report)
        })
        .await
    }

    /// Answers what a job holds; what is approved goes with a poll that is made now. `None` inside: it holds nothing that
    /// can be answered so. `None`: the engine has stopped.
    pub async fn answer(&self, job: &JobName, answer: Answer) -> Option<Result<Option<Hold>, StoreError>> {
        let (handle, job) = (self.clone(), job.clone());
        self.to_its_end(async move {
            let held = handle.world.store.answer(&job, answer).await?;
            if held.is_some() && answer == Answer::Approved {
                // Nobody waits for its report.
                let (reply, _) = oneshot::channel();
                let _ = handle.orders.send(Order::Poll(job, Mode::Commit, Asker { reply, recorder: None })).await;
            }
            Ok(held)
        })
        .await
    }

    /// Pauses or resumes a sink; a resume enables one that is disabled. `None`: the engine has stopped.
    pub async fn pause_sink(&self, sink: &SinkName, paused: bool) -> Option<Result<PauseReport, StoreError>> {
        let (handle, sink) = (self.clone(), sink.clone());
        self.to_its_end(async move {
            let report = pause_sink(&*handle.world.store, &sink, paused, handle.world.clock.now()).await;
            handle.dispatcher.wake(&sink).await;
            report
        })
        .await
    }

    /// Queues deliveries again, or only counts them. `None`: the engine has stopped.
    pub async fn replay(&self, filter: &ReplayFilter, how: ReplayHow) -> Option<Result<ReplayReport, StoreError>> {
        let (handle, filter) = (self.clone(), filter.clone());
        self.to_its_end(async move {
            handle.wait_for_answer(&filter).await?;
            let (store, config) = (&*handle.world.store, handle.config());
            let report = replay_all(store, &config, &filter, how, handle.world.clock.now()).await;
            if !how.dry_run {
                // After an error, too: a part of them may be queued.
                handle.wake_all().await;
            }
            report
        })
        .await
    }

    /// Ends what is held as dead, or only counts it. `None`: the engine has stopped.
    pub async fn drop_held(&self, filter: &DropFilter, dry_run: bool) -> Option<Result<DropReport, StoreError>> {
        let (handle, filter) = (self.clone(), filter.clone());
        self.to_its_end(async move {
            handle.wait_for_claims(&filter).await?;
            let report = drop_all(&*handle.world.store, &filter, dry_run, handle.world.clock.now()).await;
            if !dry_run {
                handle.wake_all().await;
            }
            report
        })
        .await
    }

    async fn wake_all(&self) {
        for sink in self.dispatcher.sinks() {
            self.dispatcher.wake(&sink).await;
        }
    }

    /// Waits, for a moment at most, until what was claimed when its sink was shut has been given back.
    async fn wait_for_claims(&self, filter: &DropFilter) -> Result<(), StoreError> {
        let clock = &self.world.clock;
        let until = clock.now().plus(WRITTEN_WITHIN);
        while clock.now() < until && self.world.store.droppable(filter).await?.on_their_way > 0 {
            clock.sleep_until(clock.now().plus(LOOK_EVERY)).await;
        }
        Ok(())
    }

    /// Sends one delivery now. `None`: the engine has stopped.
    pub async fn retry(&self, delivery: i64) -> Option<Result<Retried, StoreError>> {
        let handle = self.clone();
        self.to_its_end(async move {
            let retried = handle.world.store.retry(delivery, handle.world.clock.now()).await?;
            if let Retried::Due(sink) | Retried::Replay(sink, _) = &retried {
                handle.dispatcher.wake(sink).await;
            }
            Ok(retried)
        })
        .await
    }

    /// Waits, for a moment at most, until one of the event's deliveries has ended.
    async fn wait_for_answer(&self, filter: &ReplayFilter) -> Result<(), StoreError> {
        let clock = &self.world.clock;
        let until = clock.now().plus(WRITTEN_WITHIN);
        while filter.event.is_some() && clock.now() < until {
            let found = self.world.store.replayable(filter).await?.report;
            if found.deliveries > 0 || found.on_their_way == 0 {
                break;
            }
            clock.sleep_until(clock.now().plus(LOOK_EVERY)).await;
        }
        Ok(())
    }

    /// Does something to its end, even when whoever asked for it goes. `None`: the engine has stopped.
    pub async fn to_its_end<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        self.world.tasks.spawn(async move {
            // Whoever asked may have gone.
            let _ = reply.send(work.await);
        });
        answer.await.ok()
    }
}
