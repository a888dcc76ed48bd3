//! What an answer's headers say of the vendor's own limits: `Retry-After`, `RateLimit`, and the many that came before.
//!
//! Pure. All of it is read as advice to ask later; nothing that a vendor says makes anything faster.

use std::time::Duration;

use http::header::{self, HeaderMap};

use crate::core::delivery::{RETRY_AFTER_MAX, parse_http_date, parse_retry_after};
use crate::core::time::Timestamp;

mod fields;
#[cfg(test)]
mod tests;

/// The longest wait that headers can ask for: one that asks for more is read as this.
pub const WAIT_MAX: Duration = RETRY_AFTER_MAX;

/// The longest time for which an answer counts as fresh: a year, as RFC 9111 would have it.
const FRESH_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A vendor that says how much is left is asked at its own pace once no more than this part of it is.
const SHORT_SHARE: u64 = 10;

/// Numbers from here on are no seconds to wait but seconds since 1970: the year 2001.
const EPOCH_SECONDS_MIN: f64 = 1e9;

/// Numbers from here on are milliseconds since 1970.
const EPOCH_MILLIS_MIN: f64 = 1e12;

/// What a vendor asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    /// To be left alone for so long; at most [`WAIT_MAX`].
    pub wait: Option<Duration>,
    /// To be asked more slowly.
    pub pace: Option<Pace>,
    /// The answer is a refusal for asking too much: 429, or what stands for it.
    pub limited: bool,
}

/// To be asked only every so often, for some time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// The time between two requests.
    pub every: Duration,
    /// For how long.
    pub lasting: Duration,
}

/// How much a vendor says is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Quota {
    limit: Option<u64>,
    remaining: Option<u64>,
    reset: Option<Duration>,
}

/// Reads what an answer asks for. Moments are read against the answer's own `Date`, or `now` where there is none.
pub fn read(status: u16, headers: &HeaderMap, now: Timestamp) -> Advice {
    let quotas = quotas(headers, now);
    let spent = quotas.iter().any(|quota| quota.remaining == Some(0));
    let asked = retry_after(headers, now);
    let limited = match status {
        429 => true,
        // GitHub's way: 403 when nothing is left, and for its secondary limits with `Retry-After`.
        403 => spent || asked.is_some(),
        503 => asked.is_some(),
        _ => false,
    };
    advise(limited, asked, &quotas, shopify(headers))
}

/// For how long an answer stays fresh (RFC 9111, section 4.2): its `max-age` less its `Age`, else its `Expires`. Nothing
/// for one that may not be stored or used again.
pub fn freshness(headers: &HeaderMap, now: Timestamp) -> Duration {
    let control = text(headers, "cache-control").unwrap_or_default().to_ascii_lowercase();
    let mut directives = control.split(',').map(str::trim);
    if directives.clone().any(|directive| matches!(directive, "no-store" | "no-cache")) {
        return Duration::ZERO;
    }
    let age = directives.find_map(|directive| directive.strip_prefix("max-age="));
    let fresh = match age {
        Some(age) => {
            let seconds = age.trim_matches('"').parse::<u64>().unwrap_or(0);
            let spent = text(headers, "age").and_then(leading).unwrap_or(0);
            Duration::from_secs(seconds.saturating_sub(spent))
        }
        None => {
            let date = |name: &str| text(headers, name).and_then(|date| parse_http_date(date, now));
            date("expires").map_or(Duration::ZERO, |until| until.since(date("date").unwrap_or(now)))
        }
    };
    fresh.min(FRESH_MAX)
}

/// As [`read`], for an answer that the config knows for a refusal whatever its status: its resets count.
pub fn read_limited(headers: &HeaderMap, now: Timestamp) -> Advice {
    advise(true, retry_after(headers, now), &quotas(headers, now), shopify(headers))
}

fn advise(limited: bool, asked: Option<Duration>, quotas: &[Quota], shopify: Option<Advice>) -> Advice {
    let asked = asked.filter(|_| limited);
    // A refusal says that nothing is left, whatever else it says; but it says so of one of its quotas only.
    let resets = quotas.iter().filter(|quota| quota.remaining == Some(0)).filter_map(|quota| quota.reset).max();
    let refused = || quotas.iter().filter_map(|quota| quota.reset).min().filter(|_| limited);
    let shopify = shopify.unwrap_or_default();
    let wait = asked.max(resets).or_else(refused).max(shopify.wait);
    let pace = quotas.iter().filter_map(Quota::pace).chain(shopify.pace).max_by_key(|pace| pace.every);
    Advice { wait, pace, limited }
}

impl Quota {
    /// The pace at which what is left lasts until there is more, once it is short.
    fn pace(&self) -> Option<Pace> {
        let (limit, remaining, reset) = (self.limit?, self.remaining?, self.reset?);
        let short = 0 < remaining && remaining < limit && remaining <= limit / SHORT_SHARE;
        let parts = u32::try_from(remaining.saturating_add(1)).unwrap_or(u32::MAX);
        short.then(|| Pace { every: reset / parts, lasting: reset })
    }
}

fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    parse_retry_after(text(headers, header::RETRY_AFTER.as_str())?, text(headers, "date"), now)
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// What is left by each family of headers: the IETF's draft, its older spelling, and the two that everyone copied.
fn quotas(headers: &HeaderMap, now: Timestamp) -> Vec<Quota> {
    // Most answers say nothing of it, and each of them would pay for a look at a dozen names.
    let speaks =
        |name: &header::HeaderName| name.as_str().starts_with("ratelimit") || name.as_str().starts_with("x-rate");
    if !headers.keys().any(speaks) {
        return Vec::new();
    }
    let all = |name: &str| {
        let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
        values.collect::<Vec<_>>().join(", ")
    };
    let mut quotas = fields::quotas(&all("ratelimit"), &all("ratelimit-policy"));
    let today = text(headers, "date").and_then(|date| parse_http_date(date, now)).unwrap_or(now);
    for family in ["ratelimit", "x-ratelimit", "x-rate-limit"] {
        let get = |what: &str| text(headers, &format!("{family}-{what}"));
        let after = get("reset-after").and_then(|value| moment(value, today, now));
        let quota = Quota {
            limit: get("limit").and_then(leading),
            // Some count on below zero.
            remaining: get("remaining").and_then(|value| if is_negative(value) { Some(0) } else { leading(value) }),
            reset: after.or_else(|| get("reset").and_then(|value| moment(value, today, now))),
        };
        if quota != Quota::default() {
            quotas.push(quota);
        }
    }
    quotas
}

fn is_negative(value: &str) -> bool {
    value.trim().strip_prefix('-').and_then(leading).is_some()
}

/// The whole number that a value begins with: `100`, `100, 100;w=60`, `4.0`.
fn leading(value: &str) -> Option<u64> {
    let value = value.trim();
    let digits = value.bytes().take_while(u8::is_ascii_digit).count();
    match value.as_bytes().get(digits) {
        _ if digits == 0 => None,
        None | Some(b'.' | b',' | b';' | b' ' | b'/') => value[..digits].parse().ok(),
        Some(_) => None,
    }
}

/// How long it is until a reset: seconds to wait, seconds or milliseconds since 1970, a date, or a span such as `6m0s`.
/// What is past or negative asks for nothing.
fn moment(value: &str, today: Timestamp, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = match value.parse::<f64>() {
        Ok(number) if !number.is_finite() || number <= 0.0 => return None,
        Ok(number) if number >= EPOCH_MILLIS_MIN => Timestamp(number as i64).since(today),
        Ok(number) if number >= EPOCH_SECONDS_MIN => Timestamp((number * 1000.0).ceil() as i64).since(today),
        Ok(number) => Duration::from_millis((number * 1000.0).ceil() as u64),
        Err(_) => date(value, now).map(|date| date.since(today)).or_else(|| span(value))?,
    };
    (!wait.is_zero()).then(|| wait.min(WAIT_MAX))
}

fn date(value: &str, now: Timestamp) -> Option<Timestamp> {
    parse_http_date(value, now).or_else(|| Timestamp::parse(value))
}

/// `1s`, `6m0s`, `1m30.951s`, `20ms`.
fn span(value: &str) -> Option<Duration> {
    let mut rest = value;
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, after) = rest.split_at(digits);
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (unit, after) = after.split_at(letters);
        let seconds = match unit {
            "ms" => 0.001,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * seconds;
        rest = after;
    }
    (total > 0.0).then(|| Duration::try_from_secs_f64(total).unwrap_or(WAIT_MAX))
}

/// Shopify's way, `32/40`: a bucket that leaks a twentieth of its size each second (40 and 2 for most shops).
fn shopify(headers: &HeaderMap) -> Option<Advice> {
    let (used, size) = text(headers, "x-shopify-shop-api-call-limit")?.split_once('/')?;
    let (used, size): (u32, u32) = (used.trim().parse().ok()?, size.trim().parse().ok()?);
    if size == 0 || u64::from(used) * SHORT_SHARE < u64::from(size) * (SHORT_SHARE - 1) {
        return None;
    }
    let every = Duration::from_secs(20) / size;
    let wait = (used >= size).then_some(every.max(Duration::from_millis(1)));
    let lasting = every.saturating_mul(used).min(WAIT_MAX);
    Some(Advice { wait, pace: Some(Pace { every, lasting }), limited: false })
}
