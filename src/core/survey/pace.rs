//! What a vendor's headers say about how fast it may be asked.
//!
//! They are obeyed at run time whatever the config says; this is only to set a pace that never meets them.

use super::Seen;

/// What the vendor says about its limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pace {
    /// A rate to write down, where the window is known.
    pub rate: Option<String>,
    /// What was seen.
    pub why: String,
}

/// Headers with a bare limit, whose window is anybody's guess.
const LIMITS: &[&str] = &["ratelimit-limit", "x-ratelimit-limit", "x-rate-limit-limit", "x-ratelimit-requests-limit"];

/// Characters of a header that are told.
const TOLD_MAX: usize = 80;

pub(super) fn find(seen: &Seen<'_>) -> Option<Pace> {
    if let Some(policy) = seen.header("ratelimit-policy") {
        return Some(Pace { rate: of_policy(policy), why: said("RateLimit-Policy", policy) });
    }
    if let Some(limit) = seen.header("x-shopify-shop-api-call-limit") {
        return Some(Pace { rate: Some("2/s".to_owned()), why: said("X-Shopify-Shop-Api-Call-Limit", limit) });
    }
    if let Some(left) = seen.header("x-ratelimit-limit-second") {
        let rate = left.trim().parse::<u32>().ok().filter(|count| *count > 0).map(|count| format!("{count}/s"));
        return Some(Pace { rate, why: said("X-RateLimit-Limit-Second", left) });
    }
    let (name, limit) = LIMITS.iter().find_map(|name| Some((*name, seen.header(name)?)))?;
    Some(Pace { rate: of_policy(limit), why: said(name, limit) })
}

fn said(name: &str, value: &str) -> String {
    let value: String = value.chars().filter(|c| !c.is_control()).take(TOLD_MAX).collect();
    format!("the vendor answers with `{name}: {value}`")
}

/// `100;w=60` (the IETF draft, in both its spellings) is 100 a minute.
fn of_policy(policy: &str) -> Option<String> {
    let mut count = None;
    let mut window = None;
    for part in policy.split(',').next()?.split(';').map(str::trim) {
        match part.split_once('=') {
            Some(("w", seconds)) => window = seconds.trim().parse::<u32>().ok(),
            Some(("q", quota)) => count = quota.trim().parse::<u32>().ok(),
            Some(_) => {}
            None => count = count.or_else(|| part.parse::<u32>().ok()),
        }
    }
    let count = count.filter(|count| *count > 0)?;
    match window? {
        1 => Some(format!("{count}/s")),
        60 => Some(format!("{count}/m")),
        3600 => Some(format!("{count}/h")),
        86_400 => Some(format!("{count}/d")),
        0 => None,
        seconds => Some(format!("{}/m", (u64::from(count) * 60 / u64::from(seconds)).max(1))),
    }
}
