//! Quantities as a person writes them in the config: durations, rates, sizes and shares.
//!
//! Each has one spelling only, so that nothing has to be guessed. What a quantity may be used for, and its least
//! value, is the business of the key it is written for.

use std::fmt;
use std::time::Duration;

use crate::core::path::Complaint;

#[cfg(test)]
mod tests;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const WEEK: u64 = 7 * DAY;

/// The units of a duration in milliseconds, the longest first.
const UNITS: [(&str, u64); 6] = [("w", WEEK), ("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND), ("ms", 1)];

/// No duration of a config is longer: a hundred years, in milliseconds. Every sum with a date stays in range.
const DURATION_MAX: u64 = 36_525 * DAY;

/// Other spellings of the units, to suggest the right one.
const OTHER_SPELLINGS: [(&str, &[&str]); 6] = [
    ("ms", &["msec", "msecs", "milli", "millis", "millisecond", "milliseconds"]),
    ("s", &["sec", "secs", "second", "seconds"]),
    ("m", &["min", "mins", "minute", "minutes"]),
    ("h", &["hr", "hrs", "hour", "hours"]),
    ("d", &["day", "days"]),
    ("w", &["wk", "wks", "week", "weeks"]),
];

/// Reads a duration such as `250ms`, `30s`, `1h30m` or `7d`: whole numbers, each with one of the units ms, s, m, h, d
/// and w, the longer unit first. At most a hundred years.
pub fn parse_duration(text: &str) -> Result<Duration, Complaint> {
    let mut total: u64 = 0;
    let mut longest = u64::MAX;
    let mut rest = text;
    while !rest.is_empty() {
        let (number, unit, after) = next_pair(rest);
        let (Some(count), Some(length)) = (number, unit_length(unit)) else {
            return Err(not_a_duration(text));
        };
        if length >= longest {
            return Err(complain(
                format!("`{text}` names its units out of order"),
                "write the longer unit first and each once, as in \"1h30m\"",
            ));
        }
        total = count.checked_mul(length).and_then(|part| total.checked_add(part)).unwrap_or(u64::MAX);
        if total > DURATION_MAX {
            return Err(complain(format!("`{text}` is longer than a hundred years"), "write a shorter time"));
        }
        longest = length;
        rest = after;
    }
    if text.is_empty() { Err(not_a_duration(text)) } else { Ok(Duration::from_millis(total)) }
}

/// A leading number, the letters after it, and the rest. A number beyond 64 bits is the greatest of them.
fn next_pair(text: &str) -> (Option<u64>, &str, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let letters = text[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
    let number = (digits > 0).then(|| text[..digits].parse().unwrap_or(u64::MAX));
    (number, &text[digits..digits + letters], &text[digits + letters..])
}

fn unit_length(unit: &str) -> Option<u64> {
    UNITS.iter().find(|(name, _)| *name == unit).map(|(_, length)| *length)
}

fn not_a_duration(text: &str) -> Complaint {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return complain(
            format!("`{text}` has no unit"),
            format!("write \"{text}s\" for seconds or \"{text}m\" for minutes; the units are ms, s, m, h, d and w"),
        );
    }
    let hint = respell(text).map_or_else(
        || "write whole numbers with the units ms, s, m, h, d and w, as in \"30s\" or \"1h30m\"".to_owned(),
        |right| format!("write \"{right}\""),
    );
    complain(format!("`{text}` is not a duration"), hint)
}

/// The right spelling of something like `5 minutes` or `1.5 hours`, where it can be told what was meant.
fn respell(text: &str) -> Option<String> {
    let lower = text.to_ascii_lowercase();
    let mut rest = lower.trim();
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, after) = rest.split_at(digits);
        let after = after.trim_start();
        let letters = after.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (word, after) = after.split_at(letters);
        let unit = OTHER_SPELLINGS.iter().find(|(unit, others)| *unit == word || others.contains(&word))?.0;
        total = total.checked_add(thousandths(number)?.checked_mul(unit_length(unit)?)? / 1000)?;
        rest = after.trim_start_matches([' ', ',']);
        rest = rest.strip_prefix("and ").unwrap_or(rest);
    }
    (0 < total && total <= DURATION_MAX).then(|| show_duration(Duration::from_millis(total)))
}

/// A decimal with up to three digits after the point, times a thousand.
fn thousandths(number: &str) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let fraction = if fraction.len() <= 3 { format!("{fraction:0<3}") } else { return None };
    whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(fraction.parse().ok()?)
}

/// Writes a duration as it is written in the config: `1h30m`, `7d`, `250ms`. What is less than a millisecond is left
/// out; nothing at all is `0s`.
pub fn show_duration(duration: Duration) -> String {
    let mut left = duration.as_millis();
    let mut text = String::new();
    for (unit, length) in UNITS.iter().skip(1) {
        let length = u128::from(*length);
        if left >= length {
            text.push_str(&format!("{}{unit}", left / length));
            left %= length;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// The window over which a [`Rate`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Per {
    /// `s`
    Second,
    /// `m`
    Minute,
    /// `h`
    Hour,
    /// `d`
    Day,
    /// `mo`: the calendar month in UTC.
    Month,
}

impl Per {
    /// Its length; `None` for the calendar month, which has no fixed one.
    pub fn length(self) -> Option<Duration> {
        match self {
            Self::Second => Some(Duration::from_millis(SECOND)),
            Self::Minute => Some(Duration::from_millis(MINUTE)),
            Self::Hour => Some(Duration::from_millis(HOUR)),
            Self::Day => Some(Duration::from_millis(DAY)),
            Self::Month => None,
        }
    }

    /// Its spelling.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "m",
            Self::Hour => "h",
            Self::Day => "d",
            Self::Month => "mo",
        }
    }
}

/// So many in a window. The count is at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// How many.
    pub count: u32,
    /// In what window.
    pub per: Per,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.per.as_str())
    }
}

/// Reads a rate such as `5/s`, `600/m`, `10000/d` or `50000/mo`.
pub fn parse_rate(text: &str) -> Result<Rate, Complaint> {
    let wrong = |hint: &str| complain(format!("`{text}` is not a rate"), hint);
    let Some((count, window)) = text.split_once('/') else {
        return Err(wrong("write a number, a slash and one of s, m, h, d and mo (the calendar month), as in \"5/s\""));
    };
    let per = match window {
        "s" => Per::Second,
        "m" => Per::Minute,
        "h" => Per::Hour,
        "d" => Per::Day,
        "mo" => Per::Month,
        other => return Err(wrong(&rate_hint(count, other))),
    };
    if !count.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong("write a whole number before the slash, as in \"5/s\""));
    }
    match count.parse() {
        Ok(0) => Err(complain(format!("`{text}` allows nothing"), format!("write at least \"1/{window}\""))),
        Ok(count) => Ok(Rate { count, per }),
        Err(_) => Err(wrong("write a whole number before the slash, at most 4294967295")),
    }
}

fn rate_hint(count: &str, window: &str) -> String {
    let known = match window.trim().to_ascii_lowercase().as_str() {
        "s" | "sec" | "second" | "seconds" => Some("s"),
        "m" | "min" | "minute" | "minutes" => Some("m"),
        "h" | "hr" | "hour" | "hours" => Some("h"),
        "d" | "day" | "days" => Some("d"),
        "mo" | "mon" | "month" | "months" => Some("mo"),
        _ => None,
    };
    let count = count.trim();
    match known {
        Some(window) if count.parse::<u32>().is_ok() => format!("write \"{count}/{window}\""),
        _ => "the windows are s, m (minute), h, d and mo (the calendar month)".to_owned(),
    }
}

/// The units of a size in bytes.
const SIZES: [(&str, u64); 7] = [
    ("B", 1),
    ("kB", 1000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
];

/// Reads a size such as `32 MiB`, in bytes. The units are B, KiB, MiB, GiB (1024) and kB, MB, GB (1000). At most 2^53
/// bytes.
pub fn parse_size(text: &str) -> Result<u64, Complaint> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.strip_prefix(' ').unwrap_or(unit);
    let factor = SIZES.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let (false, Some(factor)) = (number.is_empty(), factor) else {
        return Err(complain(format!("`{text}` is not a size"), size_hint(number, unit)));
    };
    let bytes = number.parse::<u64>().ok().and_then(|count| count.checked_mul(factor));
    bytes.filter(|bytes| *bytes <= 1 << 53).ok_or_else(|| {
        complain(format!("`{text}` is more than any machine has"), "write a smaller size, as in \"32 MiB\"")
    })
}

fn size_hint(number: &str, unit: &str) -> String {
    let meant = match unit.trim().to_ascii_lowercase().as_str() {
        "k" | "kb" | "kib" => Some("KiB"),
        "m" | "mb" | "mib" => Some("MiB"),
        "g" | "gb" | "gib" => Some("GiB"),
        "b" | "byte" | "bytes" => Some("B"),
        _ => None,
    };
    match meant {
        Some(unit) if !number.is_empty() => format!("write \"{number} {unit}\""),
        _ => "write a whole number and one of B, KiB, MiB, GiB, kB, MB and GB, as in \"32 MiB\"".to_owned(),
    }
}

/// A part of a whole, in millionths: `20%` is 200,000 of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Share(u32);

impl Share {
    /// So many hundredths of the whole, at most all of them.
    pub const fn percent(hundredths: u32) -> Self {
        Self(if hundredths > 100 { 1_000_000 } else { hundredths * 10_000 })
    }

    /// In millionths of the whole, at most 1,000,000.
    pub fn millionths(self) -> u32 {
        self.0
    }

    /// Is `part` more than this share of `whole`? Exact.
    pub fn is_exceeded(self, part: u64, whole: u64) -> bool {
        u128::from(part) * 1_000_000 > u128::from(self.0) * u128::from(whole)
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fraction = format!("{:04}", self.0 % 10_000);
        match fraction.trim_end_matches('0') {
            "" => write!(f, "{}%", self.0 / 10_000),
            fraction => write!(f, "{}.{fraction}%", self.0 / 10_000),
        }
    }
}

/// Reads a share such as `20%` or `0.5%`: at most `100%`, with at most four digits after the point.
pub fn parse_share(text: &str) -> Result<Share, Complaint> {
    let Some(number) = text.strip_suffix('%') else {
        return Err(complain(format!("`{text}` is not a share"), share_hint(text)));
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole) || !digits(fraction) || fraction.len() > 4 {
        return Err(complain(
            format!("`{text}` is not a share"),
            "write a number with at most four digits after the point and a percent sign, as in \"20%\" or \"0.5%\"",
        ));
    }
    let millionths = whole.parse::<u32>().ok().and_then(|whole| whole.checked_mul(10_000));
    let fraction = format!("{fraction:0<4}").parse::<u32>().unwrap_or(0);
    millionths
        .and_then(|whole| whole.checked_add(fraction))
        .filter(|millionths| *millionths <= 1_000_000)
        .map(Share)
        .ok_or_else(|| complain(format!("`{text}` is more than the whole"), "write at most \"100%\""))
}

fn share_hint(text: &str) -> String {
    match text.trim().parse::<f64>() {
        Ok(number) if (0.0..=1.0).contains(&number) && text.contains('.') => {
            format!("write \"{}%\"", (number * 1_000_000.0).round() / 10_000.0)
        }
        Ok(number) if (0.0..=100.0).contains(&number) => format!("write \"{number}%\""),
        _ => "write a number and a percent sign, as in \"20%\"".to_owned(),
    }
}

fn complain(problem: String, hint: impl Into<String>) -> Complaint {
    Complaint { problem, hint: Some(hint.into()), span: None }
}
