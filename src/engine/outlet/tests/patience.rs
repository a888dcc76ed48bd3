//! What a receiver asks for is waited for, and one event that fails for ever keeps nobody waiting for longer than a probe.

use std::time::Duration;

use proptest::prelude::*;

use crate::core::delivery::{Ladder, Parcel};
use crate::core::sink::Sink;
use crate::engine::clock::Clock;
use crate::engine::outlet::tests::{BEGIN, Life, MINUTE, crm, sink};

/// Attempts that begin before an answer has come could not know of it: with one place there are none.
async fn waits_as_asked(asks: Vec<(u16, Option<u64>)>) -> Result<(), TestCaseError> {
    let waits: Vec<_> = asks.iter().map(|(_, seconds)| seconds.map(Duration::from_secs)).collect();
    let mut answers = asks.iter().map(|(status, _)| *status).collect::<Vec<_>>().into_iter();
    let script = move |_: &_, _| answers.next().unwrap_or(200);
    let mut life = Life::begin(Sink { concurrency: 1, ladder: Ladder(vec![MINUTE; 40]), ..sink() }, script).await;
    life.receiver.asks.lock().expect("no panic").extend(waits.iter().rev());
    life.poll(["a", "b", "c", "a"]).await;
    life.until(Duration::from_secs(5), |_, queue| queue.backlog == 0).await;
    let seen = life.seen();
    for (at, one) in seen.iter().enumerate() {
        for (before, wait) in seen[..at].iter().zip(&waits) {
            let asked = wait.unwrap_or_default();
            prop_assert!(one.at.since(before.at) >= asked, "{one:?} after {before:?}, which asked for {asked:?}");
        }
    }
    prop_assert!(seen.len() >= 4);
    life.end().await;
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    #[test]
    fn no_attempt_of_the_sink_begins_earlier_than_any_answer_asked_for(
        asks in prop::collection::vec((prop::sample::select(vec![200u16, 429, 500, 503]), prop::option::of(0u64..200)), 1..8)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("threads");
        runtime.block_on(waits_as_asked(asks))?;
    }
}

/// A sink that has had one event, whose receiver takes it never, and anything else as `others` says.
async fn poisoned(others: u16) -> Life {
    let script = move |parcel: &Parcel, _| if parcel.key.as_str() == "poison" { 500 } else { others };
    let mut life = Life::begin(sink(), script).await;
    life.poll(["poison"]).await;
    // Nothing else is sent, so its failures can't be told from those of a sink that is down.
    life.until(30 * MINUTE, |state, _| state.open.is_some_and(|open| open.probes >= 3)).await;
    life
}

#[tokio::test]
async fn what_comes_to_a_sink_on_which_only_one_event_has_failed_is_tried_at_once() {
    let mut life = poisoned(200).await;
    let queue = life.world.store.queue(&crm()).await.expect("a queue");
    assert_eq!((queue.backlog, queue.dead), (1, 0), "while the breaker is open nothing dies");
    let failed = life.seen().len();
    // Behind the poison of its own key nothing goes; the others need no clock to move.
    life.poll(["poison"]).await;
    life.poll(["a", "b", "a", "c"]).await;
    let (state, _) = life.until(Duration::ZERO, |state, queue| state.open.is_none() && queue.backlog <= 2).await;
    assert_eq!(state.disabled, None);
    let seen = life.seen();
    let next: Vec<_> = seen[failed..].iter().filter(|one| one.key != "poison").collect();
    assert_eq!(next.iter().map(|one| (one.status, one.attempt)).collect::<Vec<_>>(), [(200, 1); 4]);
    // The sink works: what fails now fails by itself, and its ladder ends.
    life.script(|parcel, _| if parcel.sequence == 1 { 500 } else { 200 });
    life.until(60 * MINUTE, |_, queue| queue.dead == 1 && queue.backlog == 0).await;
    assert_eq!(life.seen().iter().filter(|one| one.status == 200).count(), 5);
    assert!(life.clock.now() > BEGIN);
    life.end().await;
}

#[tokio::test]
async fn once_another_event_has_failed_too_what_comes_waits_for_the_next_probe() {
    let mut life = poisoned(503).await;
    let failed = life.seen().len();
    life.poll(["a"]).await;
    let (open, _) = life.until(Duration::ZERO, |state, _| state.failures > 0 && life.seen().len() > failed).await;
    life.poll(["b"]).await;
    life.poll(["c"]).await;
    for _ in 0..50 {
        life.until(Duration::ZERO, |_, _| true).await;
        tokio::task::yield_now().await;
    }
    assert_eq!(life.seen().len(), failed + 1, "one more attempt, whatever comes: {open:?}");
    let probe_at =
        life.until(Duration::ZERO, |state, _| state.failures as usize > failed).await.0.open.expect("open").probe_at;
    life.until(MINUTE, |_, _| life.seen().len() > failed + 1).await;
    assert!(life.seen()[failed + 1].at >= probe_at);
    life.end().await;
}

#[tokio::test]
async fn d5_what_comes_waits_for_a_retry_after_even_where_only_one_event_has_failed() {
    let mut life = Life::begin(sink(), |parcel, _| if parcel.key.as_str() == "poison" { 503 } else { 200 }).await;
    life.poll(["poison"]).await;
    life.until(30 * MINUTE, |state, _| state.open.is_some()).await;
    life.receiver.asks.lock().expect("no panic").push(Some(20 * 60 * MINUTE));
    let (state, _) = life.until(30 * MINUTE, |state, _| state.not_before.is_some()).await;
    life.poll(["a"]).await;
    life.until(30 * MINUTE, |_, queue| queue.backlog <= 1).await;
    let seen = life.seen();
    let next = seen.iter().find(|one| one.key == "a").expect("it came");
    assert!(Some(next.at) >= state.not_before, "{:?}: {seen:#?}", state.not_before);
    life.end().await;
}
