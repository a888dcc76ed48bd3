//! What a person does while a sink is down. Pauses over the whole daemon are gone through from the outside.

use std::time::Duration;

use crate::core::backlog::{AtLimit, Limits};
use crate::core::sink::Sink;
use crate::engine::clock::Clock;
use crate::engine::outlet::tests::{BEGIN, DAY, Life, MINUTE, crm, sink};

#[tokio::test]
async fn a_resume_closes_the_breaker_at_once() {
    let mut life = Life::begin(sink(), |_, _| 503).await;
    life.poll(["a", "b", "c", "d", "e", "f"]).await;
    life.until(Duration::ZERO, |state, _| state.open.is_some() && state.failures == 6).await;
    life.script(|_, _| 200);
    for moment in [Some(BEGIN), None] {
        life.world.store.pause_sink(&crm(), moment).await.expect("written");
    }
    life.dispatcher.wake(&crm()).await;
    life.poll(["g"]).await;
    let seen = life.attempts(7).await;
    assert_eq!((seen[6].key.as_str(), life.clock.now()), ("g", BEGIN), "no probe is waited for");
    life.end().await;
}

#[tokio::test]
async fn a_resume_of_a_sink_that_is_not_paused_tries_it_now() {
    let mut life = Life::begin(sink(), |_, _| 503).await;
    life.poll(["a", "b", "c", "d", "e", "f"]).await;
    life.until(Duration::ZERO, |state, _| state.open.is_some() && state.failures == 6).await;
    life.script(|_, _| 200);
    assert!(life.world.store.pause_sink(&crm(), None).await.expect("written"), "that is news");
    life.dispatcher.wake(&crm()).await;
    life.poll(["g"]).await;
    let seen = life.attempts(7).await;
    assert_eq!((seen[6].key.as_str(), life.clock.now()), ("g", BEGIN), "no probe is waited for");
    life.end().await;
}

#[tokio::test]
async fn a_rate_that_the_receiver_names_is_kept() {
    let mut life = Life::begin(Sink { handshake: true, ..sink() }, |_, _| 200).await;
    *life.receiver.allowed.lock().expect("no panic") = Some(6);
    life.poll(["a"]).await;
    life.until(Duration::from_secs(1), |_, queue| queue.backlog == 0).await;
    life.poll(["b", "c", "d", "e"]).await;
    life.until(Duration::from_secs(1), |_, queue| queue.backlog == 0).await;
    let times: Vec<_> = life.seen().iter().map(|one| one.at).collect();
    assert!(times[1..].windows(2).all(|pair| pair[1].since(pair[0]) >= Duration::from_secs(10)), "{times:?}");
    life.end().await;
}

#[tokio::test]
async fn what_was_held_is_sent_even_by_a_sink_that_drops() {
    let limits = Limits { max_backlog: 3, max_age: Some(DAY), at_limit: AtLimit::DropOldest };
    let mut life = Life::begin(Sink { limits, ..sink() }, |_, _| 200).await;
    life.world.store.pause_sink(&crm(), Some(BEGIN)).await.expect("written");
    life.dispatcher.wake(&crm()).await;
    life.poll(["a", "b", "c", "d", "e", "f", "a"]).await;
    life.until(DAY, |_, _| true).await;
    life.until(DAY, |_, _| life.dispatcher.full(&crm()).is_some()).await;
    life.world.store.pause_sink(&crm(), None).await.expect("written");
    life.dispatcher.wake(&crm()).await;
    let (_, queue) = life.until(Duration::from_secs(1), |_, queue| queue.backlog == 0).await;
    assert_eq!((queue.dead, life.seen().len()), (0, 7));
    life.end().await;
}

#[tokio::test]
async fn what_has_waited_too_long_is_dropped_where_that_is_wanted() {
    let limits = Limits { max_age: Some(DAY), at_limit: AtLimit::DropOldest, ..Limits::default() };
    let mut life = Life::begin(Sink { limits, ..sink() }, |_, _| 503).await;
    life.poll(["a", "b"]).await;
    life.attempts(2).await;
    life.until(60 * MINUTE, |_, _| life.clock.now().since(BEGIN) > DAY / 2).await;
    life.poll(["c"]).await;
    let (_, queue) = life.until(60 * MINUTE, |_, queue| queue.dead == 2).await;
    assert!(life.clock.now().since(BEGIN) > DAY);
    assert_eq!((queue.backlog, queue.dead), (1, 2));
    let shown = life.world.store.event("evt_1").await.expect("a store").expect("kept").event.deliveries.remove(0);
    let reason = "dropped: the oldest delivery has waited longer than `max_age` = 1d";
    assert_eq!(shown.reason.as_deref(), Some(reason));
    life.end().await;
}
