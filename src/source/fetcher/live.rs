//! Credentials of one request to a vendor that are made as it goes.
//!
//! Makes none itself: that is for [`Credentialer`].

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use http::HeaderMap;
use url::Url;

use crate::core::auth::credentials::Credentials;
use crate::core::auth::{Live, Outgoing};
use crate::core::outcome::Failure;
use crate::core::secret::Masked;
use crate::net::auth::{Credentialer, Pledge, Turnstile, Way, put};
use crate::net::redact::Redactor;
use crate::source::{Gate, Request};

/// Those of one request. Where it has none, nothing happens.
pub(super) struct LiveCredentials<'a> {
    credentialer: &'a Credentialer,
    live: Option<&'a Live>,
    way: Way,
    /// What was sent, so that nobody reads it in what comes back.
    sent: Mutex<Vec<Masked>>,
}

impl<'a> LiveCredentials<'a> {
    pub(super) fn new(credentialer: &'a Credentialer, request: &'a Request) -> Self {
        let turnstile: Arc<dyn Turnstile> = Arc::new(AtGate(Arc::clone(&request.gate)));
        let way =
            Way { transport: request.access.transport.clone(), turnstile: Some(turnstile), insists: request.insists };
        Self { credentialer, live: request.live.as_ref(), way, sent: Mutex::default() }
    }

    /// What has to be there before the request goes; hold no pass meanwhile.
    pub(super) async fn prepare(&self) -> Result<Pledge, Failure> {
        match self.live {
            Some(live) => self.credentialer.prepare(live, &self.way).await.map_err(tokenless),
            None => Ok(Pledge::default()),
        }
    }

    /// Puts them into a request.
    pub(super) fn put(
        &self,
        pledge: &mut Pledge,
        request: &Outgoing<'_>,
        headers: &mut HeaderMap,
        url: &mut Url,
    ) -> Result<(), Failure> {
        let Some(live) = self.live else { return Ok(()) };
        let made = self.credentialer.make(live, pledge, request)?;
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        for Credentials::Header(_, value) | Credentials::Query(_, value) in &made {
            if value.hides() && !sent.contains(value) {
                sent.push(value.clone());
            }
        }
        put(&made, headers, url)
    }

    /// After a 401: does another try make sense?
    pub(super) async fn renew(&self, pledge: &mut Pledge, url: &Url, refusal: &HeaderMap) -> Result<bool, Failure> {
        match self.live {
            Some(live) => self.credentialer.renew(live, pledge, url, refusal, &self.way).await.map_err(tokenless),
            None => Ok(false),
        }
    }

    /// The request was let in.
    pub(super) fn accepted(&self, pledge: &Pledge) {
        self.credentialer.accepted(pledge);
    }

    /// What was sent.
    pub(super) fn into_sent(self) -> Vec<Masked> {
        self.sent.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hides what was sent.
    pub(super) fn hide(&self, redactor: &mut Redactor) {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).iter().for_each(|value| redactor.hide(value));
    }
}

fn tokenless(failure: Failure) -> Failure {
    Failure { tokenless: true, ..failure }
}

/// Requests for tokens count as any other to the vendor does.
struct AtGate(Arc<dyn Gate>);

#[async_trait]
impl Turnstile for AtGate {
    async fn enter(&self) -> Result<Box<dyn Any + Send + Sync>, Failure> {
        Ok(Box::new(self.0.enter().await?))
    }
}
