//! Tokens, each fetched once for all who use it.
//!
//! For each grant: a token that is fresh; else the fetch that is under way; else what the last one failed with, while the
//! endpoint is spared; else a new fetch. A fetch goes on when nobody waits for it any more: a refresh token that was
//! rotated must not be lost. Nothing is written to disk here but through the vault.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::watch;

use super::{Spawn, Vault, Way, endpoint};
use crate::core::auth::credentials::Credentials;
use crate::core::auth::grant::{Grant, Issued};
use crate::core::auth::seal::{NONCE_LENGTH, Seal};
use crate::core::names::Digest;
use crate::core::outcome::{Failure, FailureKind};
use crate::core::secret::Secret;
use crate::core::time::Timestamp;
use crate::core::transport::Transport;
use crate::net::client::Clients;

/// The first wait after an endpoint gave no token; each next one is twice as long.
const PAUSE: Duration = Duration::from_secs(1);

/// The longest wait, and the first one after a refusal: trying again soon can't help, and may lock the account.
const PAUSE_MAX: Duration = Duration::from_secs(15 * 60);

/// How long a token that was refused although it was new is not fetched again: it is not the token that is at fault.
const RENEWAL_PAUSE: Duration = Duration::from_secs(60);

/// Grants whose tokens are kept. A config has a handful; many reloads may bring more.
const SLOTS_MAX: usize = 4096;

/// What an endpoint gave.
pub struct Token {
    /// What requests carry.
    pub credentials: Vec<Credentials>,
    refresh_at: Option<Timestamp>,
    ends: Option<Timestamp>,
    fetched: Timestamp,
    /// It was fetched because the one before was refused.
    renewal: bool,
    accepted: AtomicBool,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

impl Token {
    fn new(issued: Issued, now: Timestamp, renewal: bool) -> Self {
        let refresh_at = issued.refresh_at(now);
        let Issued { credentials, ends, .. } = issued;
        Self { credentials, refresh_at, ends, fetched: now, renewal, accepted: AtomicBool::new(false) }
    }

    /// Notes that a request with it was let in.
    pub fn accept(&self) {
        self.accepted.store(true, Ordering::Relaxed);
    }

    fn is_fresh(&self, now: Timestamp) -> bool {
        self.refresh_at.is_none_or(|at| now < at)
    }

    fn is_good(&self, now: Timestamp) -> bool {
        self.ends.is_none_or(|at| now < at)
    }
}

/// What a fetch came to.
type Fetched = Result<Arc<Token>, Failure>;

/// All tokens.
pub(super) struct Keyring {
    slots: Mutex<HashMap<Digest, Arc<Slot>>>,
    shop: Arc<Shop>,
    spawn: Option<Spawn>,
}

/// What every fetch needs.
struct Shop {
    clients: Clients,
    clock: fn() -> Timestamp,
    vault: Arc<dyn Vault>,
}

/// The token of one grant.
#[derive(Default)]
struct Slot {
    /// Held by who begins a fetch, while he waits at the turnstile, and while he waits for its end.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    /// Held by the one fetch there is.
    chain: tokio::sync::Mutex<Chain>,
}

#[derive(Default)]
struct State {
    held: Option<Arc<Token>>,
    flight: Option<watch::Receiver<Option<Fetched>>>,
    failed: Option<Failed>,
    /// The token before was refused.
    refused: bool,
}

struct Failed {
    failure: Failure,
    until: Timestamp,
    times: u32,
}

/// The refresh tokens of a grant, one after the other.
#[derive(Default)]
struct Chain {
    /// The one that counts; `None`: the vault has not been asked.
    last: Option<Secret>,
    /// It is not in the vault yet.
    loose: bool,
}

impl Keyring {
    pub(super) fn new(clock: fn() -> Timestamp, spawn: Option<Spawn>, vault: Arc<dyn Vault>) -> Self {
        Self { slots: Mutex::default(), shop: Arc::new(Shop { clients: Clients::default(), clock, vault }), spawn }
    }

    /// A token that is good now.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn token(&self, grant: &Arc<Grant>, way: &Way) -> Fetched {
        let slot = self.slot(grant);
        let insists = way.insists.then(|| slot.failures());
        if let Some(known) = slot.known((self.shop.clock)(), insists) {
            return known;
        }
        let _turn = slot.turn.lock().await;
        // Somebody else may have fetched it in the meantime.
        if let Some(known) = slot.known((self.shop.clock)(), insists) {
            return known;
        }
        let under_way = slot.state().flight.clone();
        let flight = match under_way {
            Some(flight) => flight,
            None => self.begin(grant, &slot, way).await?,
        };
        slot.join(flight, (self.shop.clock)()).await
    }

    /// Another token in place of one that was refused; `None` where that can't help.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) async fn renew(
        &self,
        grant: &Arc<Grant>,
        used: &Arc<Token>,
        way: &Way,
    ) -> Result<Option<Arc<Token>>, Failure> {
        let slot = self.slot(grant);
        {
            let mut state = slot.state();
            let is_held = state.held.as_ref().is_some_and(|held| Arc::ptr_eq(held, used));
            if is_held {
                let hopeless = used.renewal && !used.accepted.load(Ordering::Relaxed);
                if hopeless && (self.shop.clock)().since(used.fetched) < RENEWAL_PAUSE {
                    return Ok(None);
                }
                state.held = None;
                state.refused = true;
            }
        }
        self.token(grant, way).await.map(Some)
    }

    fn slot(&self, grant: &Grant) -> Arc<Slot> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= SLOTS_MAX && !slots.contains_key(&grant.id) {
            // Those that somebody uses stay: a refresh token may be there that is nowhere else.
            slots.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.is_loose());
        }
        Arc::clone(slots.entry(grant.id).or_default())
    }

    /// Begins a fetch, once the turnstile lets it through.
    async fn begin(
        &self,
        grant: &Arc<Grant>,
        slot: &Arc<Slot>,
        way: &Way,
    ) -> Result<watch::Receiver<Option<Fetched>>, Failure> {
        let pass = match &way.turnstile {
            Some(turnstile) => Some(turnstile.enter().await?),
            None => None,
        };
        let (sender, flight) = watch::channel(None);
        slot.state().flight = Some(flight.clone());
        let (shop, slot, grant) = (Arc::clone(&self.shop), Arc::clone(slot), Arc::clone(grant));
        let transport = way.transport.clone();
        let fetch = async move {
            let result = shop.fetch(&grant, &slot, &transport).await;
            drop(pass);
            sender.send_replace(Some(slot.settle(result, (shop.clock)())));
        };
        match &self.spawn {
            Some(spawn) => spawn(Box::pin(fetch)),
            None => fetch.await,
        }
        Ok(flight)
    }
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_loose(&self) -> bool {
        self.chain.try_lock().map_or(true, |chain| chain.loose)
    }

    /// Times in a row that there was none.
    fn failures(&self) -> u32 {
        self.state().failed.as_ref().map_or(0, |failed| failed.times)
    }

    /// What is known without a fetch: a fresh token, one that will do while none is to be had, or why there is none. Who
    /// insists takes none of the first failures for an answer, unless the endpoint has named a time.
    fn known(&self, now: Timestamp, insists: Option<u32>) -> Option<Fetched> {
        let state = self.state();
        let held = state.held.as_ref();
        if let Some(held) = held.filter(|held| held.is_fresh(now)) {
            return Some(Ok(Arc::clone(held)));
        }
        let failed = state.failed.as_ref().filter(|failed| now < failed.until)?;
        let is_old = insists.is_some_and(|before| failed.times <= before);
        if is_old && failed.failure.retry_after.is_none() {
            return None;
        }
        Some(match held.filter(|held| held.is_good(now)) {
            Some(held) => Ok(Arc::clone(held)),
            None if is_old => {
                let Failure { sentence, .. } = &failed.failure;
                let sentence =
                    format!("{sentence}; it asked to be left alone, and is not asked again before {}", failed.until);
                Err(Failure { sentence, ..failed.failure.clone() })
            }
            None => Err(failed.failure.clone()),
        })
    }

    /// Waits for the end of a fetch.
    async fn join(&self, mut flight: watch::Receiver<Option<Fetched>>, now: Timestamp) -> Fetched {
        let ended = flight.wait_for(Option::is_some).await.ok().and_then(|result| result.clone());
        ended.unwrap_or_else(|| {
            // Its task went down with the process, or panicked: the next one begins anew.
            let failure = Failure::new(FailureKind::Connect, "there is no token: asking for it was broken off");
            self.settle(Err(failure), now)
        })
    }

    /// Takes in what a fetch came to.
    fn settle(&self, result: Result<Issued, Failure>, now: Timestamp) -> Fetched {
        let mut state = self.state();
        state.flight = None;
        match result {
            Ok(issued) => {
                let token = Arc::new(Token::new(issued, now, std::mem::take(&mut state.refused)));
                state.held = Some(Arc::clone(&token));
                state.failed = None;
                Ok(token)
            }
            Err(failure) => {
                let times = state.failed.as_ref().map_or(0, |failed| failed.times);
                let until = now.plus(pause(times, &failure));
                state.failed = Some(Failed { failure: failure.clone(), until, times: times.saturating_add(1) });
                match state.held.as_ref().filter(|held| held.is_good(now)) {
                    Some(held) => {
                        tracing::warn!(reason = %failure, "the token can't be renewed; it is used until it ends");
                        Ok(Arc::clone(held))
                    }
                    None => Err(failure),
                }
            }
        }
    }
}

/// How long an endpoint is spared that has failed so many times before.
fn pause(times: u32, failure: &Failure) -> Duration {
    let asked = failure.retry_after.unwrap_or_default();
    let backoff = match failure.status {
        Some(400 | 401 | 403) => PAUSE_MAX,
        _ => PAUSE.saturating_mul(2_u32.saturating_pow(times)).min(PAUSE_MAX),
    };
    backoff.max(asked)
}

impl Shop {
    /// Asks the endpoint, and keeps the refresh token that it gives before anything of its answer is used.
    async fn fetch(&self, grant: &Grant, slot: &Slot, transport: &Transport) -> Result<Issued, Failure> {
        let Some(seal) = grant.seal() else {
            return endpoint::ask(&self.clients, grant, None, transport, self.clock).await;
        };
        let mut chain = slot.chain.lock().await;
        let refresh = self.refresh_token(grant, &seal, &mut chain).await?;
        let issued = endpoint::ask(&self.clients, grant, refresh.as_ref(), transport, self.clock).await?;
        if let Some(next) = issued.refresh.as_ref().filter(|next| Some(*next) != refresh.as_ref()) {
            *chain = Chain { last: Some(next.clone()), loose: true };
            self.commit(&seal, &mut chain).await?;
            tracing::info!(endpoint = %grant.endpoint.host_str().unwrap_or_default(), "a new refresh token is kept");
        }
        Ok(issued)
    }

    /// The refresh token that counts: the last that was given, else the one of the config. One that could not be kept
    /// before is kept now.
    async fn refresh_token(&self, grant: &Grant, seal: &Seal, chain: &mut Chain) -> Result<Option<Secret>, Failure> {
        if chain.last.is_none() {
            let kept = self.vault.load(seal.name()).await;
            let kept = kept.map_err(|why| unkept("the refresh token that was kept can't be read", &why))?;
            chain.last = kept.and_then(|sealed| seal.open(&sealed)).or_else(|| grant.configured_refresh().cloned());
        }
        if chain.loose {
            self.commit(seal, chain).await?;
        }
        Ok(chain.last.clone())
    }

    async fn commit(&self, seal: &Seal, chain: &mut Chain) -> Result<(), Failure> {
        let Some(last) = &chain.last else { return Ok(()) };
        let mut nonce = [0; NONCE_LENGTH];
        let sealed = SystemRandom::new().fill(&mut nonce).ok().and_then(|()| seal.seal(last, nonce));
        let sealed = sealed.ok_or_else(|| unkept("a new refresh token can't be sealed", "there is no randomness"))?;
        let kept = self.vault.save(seal.name(), sealed).await;
        kept.map_err(|why| unkept("a new refresh token can't be kept, and is not used before it is", &why))?;
        chain.loose = false;
        Ok(())
    }
}

fn unkept(what: &str, why: &str) -> Failure {
    Failure::new(FailureKind::Store, format!("there is no token: {what}: {why}"))
}
