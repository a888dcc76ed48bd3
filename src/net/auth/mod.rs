//! Credentials that are made as a request goes: tokens that an endpoint gives, answers to challenges, signatures.
//!
//! How each is made is in `core/auth`; here is what has to be remembered for it. Both who asks vendors and who tells
//! receivers go through one [`Credentialer`], so that a token is fetched once for all of them.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use http::header::{self, HeaderMap};
use url::Url;

use crate::core::auth::credentials::{Credentials, with_query, without_query};
use crate::core::auth::digest::Challenge;
use crate::core::auth::{Live, Outgoing};
use crate::core::outcome::{Failure, FailureKind};
use crate::core::secret::Masked;
use crate::core::time::Timestamp;
use crate::core::transport::Transport;
use crate::net::headers;

mod endpoint;
mod keyring;
mod vault;

use self::keyring::Keyring;
pub use self::keyring::Token;
pub use self::vault::{NoVault, SlotName, Vault};

/// Challenges that are remembered. There is one for each account at each host.
const CHALLENGES_MAX: usize = 1024;

/// Runs work beside everything else until it ends, whether or not somebody still waits for it.
pub type Spawn = Arc<dyn Fn(BoxFuture<'static, ()>) + Send + Sync>;

/// Stands before an endpoint that gives tokens, as before the vendor itself.
#[async_trait]
pub trait Turnstile: Send + Sync {
    /// Waits until one request may be made, and gives what is held until its answer is read.
    ///
    /// # Errors
    /// It would have to wait for too long.
    async fn enter(&self) -> Result<Box<dyn Any + Send + Sync>, Failure>;
}

/// How an endpoint that gives tokens is reached: as the requests are that the tokens are for.
#[derive(Clone, Default)]
pub struct Way {
    /// Which addresses are refused, whose certificates count, which proxy is used.
    pub transport: Transport,
    /// Who is asked before each request; `None`: nobody.
    pub turnstile: Option<Arc<dyn Turnstile>>,
    /// An endpoint that is only spared is asked all the same; not one that has named a time.
    pub insists: bool,
}

/// What one request's credentials are made of.
#[derive(Clone, Debug, Default)]
pub struct Pledge {
    token: Option<Arc<Token>>,
    challenge: Option<Challenge>,
}

/// Makes credentials, and remembers what that takes.
pub struct Credentialer {
    keyring: Keyring,
    challenges: Mutex<HashMap<Account, (Challenge, u32)>>,
}

/// Who answers challenges where.
type Account = (String, String);

impl fmt::Debug for Credentialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentialer")
    }
}

impl Credentialer {
    /// One that fetches tokens by `spawn`, and keeps those that must survive in `vault`.
    pub fn new(clock: fn() -> Timestamp, spawn: Spawn, vault: Arc<dyn Vault>) -> Self {
        Self { keyring: Keyring::new(clock, Some(spawn), vault), challenges: Mutex::default() }
    }

    /// One for a process that ends soon: it fetches tokens itself, and keeps nothing.
    pub fn alone(clock: fn() -> Timestamp) -> Self {
        Self { keyring: Keyring::new(clock, None, Arc::new(NoVault)), challenges: Mutex::default() }
    }

    /// What has to be there before a request goes. May take as long as a token endpoint takes, and waits at the
    /// turnstile: hold no pass meanwhile.
    ///
    /// # Errors
    /// There is no token to be had; the sentence says why.
    pub async fn prepare(&self, live: &Live, way: &Way) -> Result<Pledge, Failure> {
        let token = match live {
            Live::Token(grant) => Some(self.keyring.token(grant, way).await?),
            Live::Digest(_) | Live::SigV4(_) | Live::Hmac(_) => None,
        };
        Ok(Pledge { token, challenge: None })
    }

    /// The credentials of a request as it goes.
    ///
    /// # Errors
    /// [`FailureKind::Template`]: an expression failed.
    pub fn make(&self, live: &Live, pledge: &mut Pledge, request: &Outgoing<'_>) -> Result<Vec<Credentials>, Failure> {
        match live {
            Live::Token(_) => Ok(pledge.token.as_ref().map(|token| token.credentials.clone()).unwrap_or_default()),
            Live::SigV4(keys) => Ok(keys.credentials(request)),
            Live::Hmac(recipe) => recipe.credentials(request),
            Live::Digest(account) => {
                let mut known = self.challenges.lock().unwrap_or_else(PoisonError::into_inner);
                let Some((challenge, count)) = known.get_mut(&place(request.url, &account.username)) else {
                    pledge.challenge = None;
                    return Ok(Vec::new());
                };
                *count = count.saturating_add(1);
                pledge.challenge = Some(challenge.clone());
                let cnonce = format!("{:032x}", fastrand::u128(..));
                let answer = challenge.answer(account, request, *count, &cnonce);
                Ok(vec![Credentials::Header(header::AUTHORIZATION, answer)])
            }
        }
    }

    /// After a 401 whose headers are these: makes what another try needs. False: another try can't help.
    ///
    /// # Errors
    /// What it needs can't be had, or there is no answer to what is asked for.
    pub async fn renew(
        &self,
        live: &Live,
        pledge: &mut Pledge,
        url: &Url,
        refusal: &HeaderMap,
        way: &Way,
    ) -> Result<bool, Failure> {
        match live {
            Live::Token(grant) => {
                let Some(used) = &pledge.token else { return Ok(false) };
                let renewed = self.keyring.renew(grant, used, way).await?;
                let again = renewed.is_some();
                pledge.token = renewed.or(pledge.token.take());
                Ok(again)
            }
            Live::Digest(account) => self.learn(&account.username, pledge, url, refusal),
            Live::SigV4(_) | Live::Hmac(_) => Ok(false),
        }
    }

    /// Remembers the challenge of a refusal. One that our answer was to already is no news.
    fn learn(&self, user: &str, pledge: &Pledge, url: &Url, refusal: &HeaderMap) -> Result<bool, Failure> {
        let asked = refusal.get_all(header::WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let challenge = Challenge::strongest(asked).map_err(|why| {
            let place = url.host_str().unwrap_or_default();
            let sentence = format!("`{place}` answered 401 to `auth.type = \"digest\"`: {why}");
            Failure { status: Some(401), ..Failure::new(FailureKind::Status, sentence) }
        })?;
        if pledge.challenge.as_ref().is_some_and(|old| old.repeats(&challenge) && !challenge.stale) {
            return Ok(false);
        }
        let mut known = self.challenges.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= CHALLENGES_MAX {
            known.clear();
        }
        known.insert(place(url, user), (challenge, 0));
        Ok(true)
    }

    /// Says that a request was let in: its token is as good as it seems.
    pub fn accepted(&self, pledge: &Pledge) {
        pledge.token.iter().for_each(|token| token.accept());
    }
}

fn place(url: &Url, user: &str) -> Account {
    (url.origin().ascii_serialization(), user.to_owned())
}

/// Puts credentials into a request, instead of what stands there under the same names.
///
/// # Errors
/// [`FailureKind::Template`]: they can't be sent.
pub fn put(made: &[Credentials], sent: &mut HeaderMap, url: &mut Url) -> Result<(), Failure> {
    for credentials in made {
        match credentials {
            Credentials::Header(name, value) => {
                let mut secret = headers::value(name, value)?;
                secret.set_sensitive(true);
                sent.insert(name.clone(), secret);
            }
            Credentials::Query(name, value) => {
                let bare = without_query(&Masked::open(url.as_str()), name);
                *url = Url::parse(with_query(&bare, name, value).expose()).map_err(|error| {
                    Failure::new(FailureKind::Template, format!("the credentials make no URL: {error}"))
                })?;
            }
        }
    }
    Ok(())
}
