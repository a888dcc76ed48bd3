//! What a person does while a sink is down. Pauses over the whole daemon are gone through from the outside.

use std::time::Duration;

use crate::engine::clock::Clock;
use crate::engine::outlet::tests::{BEGIN, Life, crm, sink};

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
