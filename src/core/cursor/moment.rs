//! A moment as a vendor spells it: read, moved back, and spelled in the same way.
//!
//! A spelling without a zone is taken for UTC: only its order counts.

use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

/// A moment and its spelling.
#[derive(Clone, Debug)]
pub(super) struct Moment {
    local: NaiveDateTime,
    /// Seconds east of UTC.
    offset: i32,
    /// Between date and time.
    separator: char,
    precision: Precision,
    /// As written: `Z`, `+02:00`, `+0200`, nothing.
    zone: String,
}

#[derive(Clone, Copy, Debug)]
enum Precision {
    Date,
    Minute,
    /// With so many digits after the point.
    Second(usize),
}

impl Moment {
    /// Reads RFC 3339 and what vendors make of it: a blank for the `T`, no seconds, no zone, a date alone.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let date = NaiveDate::parse_from_str(text.get(..10)?, "%Y-%m-%d").ok()?;
        let Some(separator) = text[10..].chars().next() else {
            let local = date.and_time(NaiveTime::MIN);
            return Some(Self { local, offset: 0, separator: 'T', precision: Precision::Date, zone: String::new() });
        };
        if !matches!(separator, 'T' | 't' | ' ') {
            return None;
        }
        let rest = &text[11..];
        let end = rest.find(|c: char| !(c.is_ascii_digit() || c == ':' || c == '.')).unwrap_or(rest.len());
        let (time, zone) = rest.split_at(end);
        let (clock, fraction) = time.split_once('.').map_or((time, None), |(clock, digits)| (clock, Some(digits)));
        let (time, precision) = match (clock.len(), fraction) {
            (5, None) => (NaiveTime::parse_from_str(clock, "%H:%M").ok()?, Precision::Minute),
            (8, None) => (NaiveTime::parse_from_str(clock, "%H:%M:%S").ok()?, Precision::Second(0)),
            (8, Some(digits)) if !digits.is_empty() && digits.len() <= 9 => {
                let nanos: i64 = format!("{digits:0<9}").parse().ok()?;
                let (time, _) = NaiveTime::parse_from_str(clock, "%H:%M:%S")
                    .ok()?
                    .overflowing_add_signed(TimeDelta::nanoseconds(nanos));
                (time, Precision::Second(digits.len()))
            }
            _ => return None,
        };
        let offset = offset(zone.trim_start())?;
        Some(Self { local: date.and_time(time), offset, separator, precision, zone: zone.to_owned() })
    }

    /// When it is.
    pub(super) fn instant(&self) -> DateTime<Utc> {
        (self.local - TimeDelta::seconds(self.offset.into())).and_utc()
    }

    /// So much earlier, rounded down to what the spelling can say.
    pub(super) fn back(&self, by: Duration) -> Option<String> {
        let local = self.local.checked_sub_signed(TimeDelta::from_std(by).ok()?)?;
        let date = local.format("%Y-%m-%d");
        let time = match self.precision {
            Precision::Date => return Some(date.to_string()),
            Precision::Minute => local.format("%H:%M").to_string(),
            Precision::Second(0) => local.format("%H:%M:%S").to_string(),
            Precision::Second(digits) => {
                let nanos = local.format("%9f").to_string();
                format!("{}.{}", local.format("%H:%M:%S"), nanos.get(..digits)?)
            }
        };
        Some(format!("{date}{}{time}{}", self.separator, self.zone))
    }
}

/// Seconds east of UTC.
fn offset(zone: &str) -> Option<i32> {
    if matches!(zone, "" | "Z" | "z" | "UTC") {
        return Some(0);
    }
    let (sign, digits) = match zone.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-", digits) => (-1, digits),
        _ => return None,
    };
    let digits: String = digits.chars().filter(|c| *c != ':').collect();
    let number = |range: std::ops::Range<usize>| digits.get(range)?.parse::<i32>().ok();
    match digits.len() {
        2 => Some(sign * number(0..2)? * 3600),
        4 => Some(sign * (number(0..2)? * 3600 + number(2..4)? * 60)),
        _ => None,
    }
}
