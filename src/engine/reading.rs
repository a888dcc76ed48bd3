//! What came back, held against what the last complete poll got: nothing new, something to read, or nothing usable.
//!
//! Looks at digests and validators only; what is in a body is not its business.

use bytes::Bytes;

use crate::core::names::Digest;
use crate::core::outcome::Failure;
use crate::source::{Answer, Fetched};
use crate::store::Seal;

/// What an answer amounts to before it is parsed.
#[derive(Debug)]
pub(super) enum Reading {
    /// No usable answer.
    Failed(Failure),
    /// The same as last time; the seal where its validators were renewed.
    Unchanged(Option<Seal>),
    /// To be read; what it will be recognised by.
    Fresh(Bytes, Seal),
}

/// Reads what came back. `seal` is what the last complete poll's answer can be recognised by, `request` the
/// fingerprint of the request that was made.
pub(super) fn read(fetched: Fetched, seal: Option<&Seal>, request: Digest) -> Reading {
    let answer = match fetched.result {
        Ok(answer) => answer,
        Err(failure) => return Reading::Failed(failure),
    };
    match (&answer.body, seal) {
        (None, Some(kept)) => Reading::Unchanged(renewed(kept, not_modified(kept, &answer))),
        (Some(_), Some(kept)) if kept.body == answer.digest => {
            Reading::Unchanged(renewed(kept, seal_of(&answer, request)))
        }
        (body, _) => {
            let seal = seal_of(&answer, request);
            Reading::Fresh(body.clone().unwrap_or_default(), seal)
        }
    }
}

fn seal_of(answer: &Answer, request: Digest) -> Seal {
    Seal { request, etag: answer.etag.clone(), last_modified: answer.last_modified.clone(), body: answer.digest }
}

/// A 304 renews the validators that it carries and leaves the others (RFC 9110, section 15.4.5).
fn not_modified(kept: &Seal, answer: &Answer) -> Seal {
    Seal {
        etag: answer.etag.clone().or_else(|| kept.etag.clone()),
        last_modified: answer.last_modified.clone().or_else(|| kept.last_modified.clone()),
        ..kept.clone()
    }
}

fn renewed(kept: &Seal, seal: Seal) -> Option<Seal> {
    (*kept != seal).then_some(seal)
}
