//! A sink that gets batches: when they go, what a failure does to them, and that order holds.

use std::time::Duration;

use crate::core::batch::Batching;
use crate::core::delivery::Parcel;
use crate::core::sink::Sink;
use crate::engine::clock::Clock;
use crate::engine::outlet::tests::{BEGIN, Life, MINUTE, crm, sink};

fn batched(max: usize, wait: Duration) -> Sink {
    Sink { batching: Some(Batching { max, wait }), ..sink() }
}

#[tokio::test]
async fn a_full_batch_goes_at_once_and_the_rest_when_the_first_has_waited() {
    let mut life = Life::begin(batched(3, MINUTE), |_, _| 200).await;
    life.poll(["a", "b", "c", "d"]).await;
    let seen = life.attempts(1).await;
    assert_eq!((seen[0].events, seen[0].at), (3, BEGIN));
    life.until(Duration::from_secs(10), |_, queue| queue.backlog == 0).await;
    let seen = life.seen();
    assert_eq!(seen.iter().map(|one| one.events).collect::<Vec<_>>(), [3, 1]);
    assert!(seen[1].at.since(BEGIN) >= MINUTE, "{seen:?}");
    life.end().await;
}

#[tokio::test]
async fn a_batch_holds_several_of_one_key_in_order_and_is_the_same_on_every_attempt() {
    let mut life = Life::begin(batched(3, MINUTE), |_, attempt| if attempt < 3 { 503 } else { 200 }).await;
    life.poll(["a", "a", "b", "a"]).await;
    life.poll(["a"]).await;
    life.until(MINUTE, |_, queue| queue.backlog == 0).await;
    let seen = life.seen();
    let first: Vec<_> = seen.iter().filter(|one| one.event == seen[0].event).collect();
    assert!(first.len() == 3 && first.iter().all(|one| one.body == seen[0].body), "{seen:#?}");
    assert_eq!(seen.iter().filter(|one| one.status == 200).map(|one| one.events).sum::<usize>(), 5);
    let sequences: Vec<u64> = seen.iter().filter(|one| one.status == 200).map(|one| one.sequence).collect();
    assert!(sequences.is_sorted(), "the next of a key waits for its batch: {seen:#?}");
    life.end().await;
}

#[tokio::test]
async fn a_batch_that_is_too_large_for_its_receiver_goes_in_smaller_ones() {
    let mut life =
        Life::begin(batched(100, Duration::from_secs(1)), |parcel, _| if parcel.events() > 3 { 413 } else { 200 })
            .await;
    let keys: Vec<String> = (0..20).map(|key| (key % 7).to_string()).collect();
    life.poll(keys.iter().map(String::as_str)).await;
    let (state, queue) = life.until(Duration::from_secs(1), |_, queue| queue.backlog == 0).await;
    assert_eq!((queue.dead, state.failures, state.open), (0, 0, None), "nothing is lost, and the sink is well");
    let accepted: usize = life.seen().iter().filter(|one| one.status == 200).map(|one| one.events).sum();
    assert_eq!(accepted, 20);
    life.end().await;
}

#[tokio::test]
async fn one_event_that_is_too_large_does_not_keep_batches_small_for_good() {
    let poison = |parcel: &Parcel| parcel.events() > 1 && parcel.sequence <= 1;
    let mut life =
        Life::begin(batched(10, Duration::from_secs(1)), move |parcel, _| if poison(parcel) { 413 } else { 200 }).await;
    let keys: Vec<String> = (0..10).map(|key| key.to_string()).collect();
    for _ in 0..40 {
        life.poll(keys.iter().map(String::as_str)).await;
        life.until(Duration::from_secs(1), |_, queue| queue.backlog == 0).await;
    }
    let seen = life.seen();
    assert!(seen.iter().any(|one| one.status == 413), "{seen:#?}");
    assert_eq!(seen.last().map(|one| one.events), Some(10));
    life.end().await;
}

#[tokio::test]
async fn an_open_breaker_is_probed_with_one_event_and_a_pause_holds_what_gathers() {
    let mut life = Life::begin(batched(1, Duration::from_secs(1)), |_, _| 503).await;
    life.poll(["a", "b", "c", "d", "e", "f", "g", "h"]).await;
    life.until(Duration::ZERO, |state, _| state.open.is_some()).await;
    life.world.store.pause_sink(&crm(), Some(life.clock.now())).await.expect("written");
    life.dispatcher.wake(&crm()).await;
    life.script(|_, _| 200);
    life.poll(["i", "j"]).await;
    life.world.store.pause_sink(&crm(), None).await.expect("written");
    life.dispatcher.wake(&crm()).await;
    let (_, queue) = life.until(MINUTE, |_, queue| queue.backlog == 0).await;
    assert_eq!(queue.dead, 0);
    assert_eq!(life.seen().iter().filter(|one| one.status == 200).map(|one| one.events).sum::<usize>(), 10);
    life.end().await;
}
