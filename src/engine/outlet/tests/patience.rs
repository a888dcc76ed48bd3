//! What a receiver asks for is waited for, and one event that fails for ever keeps nobody waiting for longer than a probe.

use std::time::Duration;

use proptest::prelude::*;

use crate::core::delivery::Ladder;
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

#[tokio::test]
async fn alone_on_a_quiet_sink_a_poison_event_waits_for_others_to_tell_what_is_wrong() {
    let mut life = Life::begin(sink(), |parcel, _| if parcel.key.as_str() == "poison" { 500 } else { 200 }).await;
    life.poll(["poison"]).await;
    // Nothing else is sent, so its failures can't be told from those of a sink that is down.
    life.until(60 * MINUTE, |state, _| state.open.is_some_and(|open| open.probes >= 6)).await;
    let queue = life.world.store.queue(&crm()).await.expect("a queue");
    assert_eq!((queue.backlog, queue.dead), (1, 0), "while the breaker is open nothing dies");
    let failed = life.seen().len();
    life.poll(["a", "b", "a", "c"]).await;
    let (state, _) = life.until(60 * MINUTE, |state, queue| state.open.is_none() && queue.backlog <= 1).await;
    assert_eq!(state.disabled, None);
    let seen = life.seen();
    assert_eq!((seen[failed].key.as_str(), seen[failed].status), ("a", 200), "the next probe is one of the others");
    let next = &seen[failed..(failed + 5).min(seen.len())];
    assert_eq!(next.iter().filter(|one| one.status == 200).count(), 4, "and all of them follow it: {next:#?}");
    // The sink works: what fails now fails by itself, and its ladder ends.
    life.until(60 * MINUTE, |_, queue| queue.dead == 1 && queue.backlog == 0).await;
    assert_eq!(life.seen().iter().filter(|one| one.status == 200).count(), 4);
    assert!(life.clock.now() > BEGIN);
    life.end().await;
}
