//! Dates of feeds as RFC 3339, where they can be read; as they are written where they can't.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat};

/// The date in the spelling of RFC 3339, its offset kept.
pub(super) fn rfc3339(text: &str) -> String {
    let text = text.trim();
    match instant(text).or_else(|| mail(text)) {
        Some(date) => date.to_rfc3339_opts(SecondsFormat::AutoSi, true),
        None => text.to_owned(),
    }
}

/// RFC 3339, and what of the W3C's profile of ISO 8601 names a day or more; without a zone it is UTC.
fn instant(text: &str) -> Option<DateTime<FixedOffset>> {
    let utc = |date: NaiveDateTime| date.and_utc().fixed_offset();
    DateTime::parse_from_rfc3339(text)
        .ok()
        .or_else(|| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M%#z").ok())
        .or_else(|| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%#z").ok())
        .or_else(|| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok().map(utc))
        .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|day| utc(day.and_time(NaiveTime::MIN))))
}

/// RFC 2822 and RFC 822, as mail has it. A day of the week is passed over: it is often wrong, and says nothing.
fn mail(text: &str) -> Option<DateTime<FixedOffset>> {
    let text = text.split_once(',').map_or(text, |(_, rest)| rest).trim();
    let text = text.strip_suffix("UTC").map_or_else(|| text.to_owned(), |text| format!("{text}+0000"));
    DateTime::parse_from_rfc2822(&text).ok()
}
