//! What came back, held against what the last complete poll got: nothing new, or something to read.
//!
//! Looks at digests and validators only; what is in a body is not its business.

use crate::core::names::Digest;
use crate::source::Answer;
use crate::store::{PageSeal, Seal};

/// What an answer amounts to before it is parsed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// The same as last time: what is known of it, and its seal where the validators were renewed.
    Unchanged(PageSeal, Option<Seal>),
    /// To be read; what it will be recognised by.
    Fresh(Seal),
}

/// Recognises an answer. `known` is what is known of that of the last complete poll, `request` the fingerprint of the
/// request that was made.
pub(super) fn recognise(answer: &Answer, known: Option<PageSeal>, request: Digest) -> Reading {
    let seal = seal_of(answer, request);
    let Some(known) = known.filter(|known| answer.body.is_none() || known.seal.body == answer.digest) else {
        return Reading::Fresh(seal);
    };
    let seal = if answer.body.is_none() { not_modified(&known.seal, answer) } else { seal };
    let renewed = (known.seal != seal).then_some(seal);
    Reading::Unchanged(known, renewed)
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
