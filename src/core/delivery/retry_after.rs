//! What a `Retry-After` header asks for (RFC 9110, section 10.2.3), and the dates of HTTP (section 5.6.7).
//!
//! Whom it holds back is decided elsewhere.

use std::time::Duration;

use chrono::{NaiveDate, NaiveDateTime, NaiveTime};

use crate::core::time::Timestamp;

/// The longest wait a `Retry-After` can ask for: one that asks for more is read as this.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// How long a `Retry-After` asks to wait, at most [`RETRY_AFTER_MAX`]. `None` for what asks for nothing: zero, a
/// negative number, a date that has passed, anything else.
///
/// A date is read against `date`, the answer's own `Date`, because the two clocks may differ; without one, or with
/// one that is no date, against `now`.
pub fn parse_retry_after(value: &str, date: Option<&str>, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let wait = match seconds(value) {
        Some(wait) => wait,
        None => {
            let until = parse_http_date(value, now)?;
            let from = date.and_then(|date| parse_http_date(date, now)).unwrap_or(now);
            until.since(from)
        }
    };
    (!wait.is_zero()).then(|| wait.min(RETRY_AFTER_MAX))
}

/// Digits, and a fraction that some senders add, rounded up.
fn seconds(value: &str) -> Option<Duration> {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return None;
    }
    let more = u64::from(fraction.bytes().any(|byte| byte != b'0'));
    // What doesn't fit is far more than the cap.
    Some(whole.parse::<u64>().map_or(RETRY_AFTER_MAX, |whole| Duration::from_secs(whole.saturating_add(more))))
}

/// Reads a date in any of the three forms of RFC 9110, section 5.6.7:
/// `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT`, `Sun Nov  6 08:49:37 1994`.
///
/// The day's name is not checked. A year of two digits is the one that is at most 50 years after `now`.
pub fn parse_http_date(text: &str, now: Timestamp) -> Option<Timestamp> {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    let (date, time) = match words[..] {
        [_, day, month, year, time, "GMT"] | [_, month, day, time, year] => (date(full_year(year)?, month, day)?, time),
        [_, date, time, "GMT"] => (short_date(date, now)?, time),
        _ => return None,
    };
    let moment = NaiveDateTime::new(date, time_of_day(time)?);
    Some(Timestamp(moment.and_utc().timestamp_millis()))
}

fn date(year: i32, month: &str, day: &str) -> Option<NaiveDate> {
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month))?;
    NaiveDate::from_ymd_opt(year, u32::try_from(month).ok()? + 1, number(day, 1..=2)?)
}

fn full_year(text: &str) -> Option<i32> {
    i32::try_from(number(text, 4..=4)?).ok()
}

/// `06-Nov-94`.
fn short_date(text: &str, now: Timestamp) -> Option<NaiveDate> {
    use chrono::Datelike as _;
    let mut parts = text.splitn(3, '-');
    let (day, month, year) = (parts.next()?, parts.next()?, parts.next()?);
    let this_year = now.to_utc().year();
    let short = i32::try_from(number(year, 2..=2)?).ok()?;
    let year = this_year - this_year.rem_euclid(100) + short;
    let year = if year > this_year + 50 { year - 100 } else { year };
    date(year, month, day)
}

/// `08:49:37`; a leap second counts as the one before it.
fn time_of_day(text: &str) -> Option<NaiveTime> {
    let mut parts = text.splitn(3, ':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next()?);
    let second = number(second, 2..=2)?;
    let second = if second == 60 { 59 } else { second };
    NaiveTime::from_hms_opt(number(hour, 2..=2)?, number(minute, 2..=2)?, second)
}

fn number(text: &str, length: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let good = length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if good { text.parse().ok() } else { None }
}
