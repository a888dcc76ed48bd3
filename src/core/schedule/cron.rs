//! A cron expression in a time zone, right across changes of the clock.
//!
//! The `cron` crate walks the calendar, on wall-clock time only; its own handling of zones is not used, because it
//! loses and repeats runs when the clock is changed. Where a wall-clock time lies in real time is decided here:
//! an expression with fixed hours runs once when the hour is repeated, and right after a gap when it is left out; one
//! with `*` or a step in the hour field follows real time.

use std::fmt;
use std::sync::Arc;

use chrono::offset::LocalResult;
use chrono::{DateTime, Offset, TimeZone};
use chrono_tz::Tz;

use super::fields::Fields;
use crate::core::path::Complaint;
use crate::core::time::Timestamp;

/// No change of a clock since 1970 repeats more than this, in seconds.
const REPEAT_MAX: i64 = 3 * 60 * 60;

/// No change of a clock leaves out more than this, in seconds: a whole day, where the date line was moved.
const GAP_MAX: i64 = 26 * 60 * 60;

/// A cron expression in a time zone. Cheap to clone.
#[derive(Clone)]
pub struct Cron {
    text: Arc<str>,
    timezone: Tz,
    /// Follows real time; else it means times of the day.
    real_time: bool,
    /// Which wall-clock times it meets: those of one, or of either of two.
    calendars: Arc<[cron::Schedule]>,
}

impl Cron {
    /// Compiles 5 fields (crontab(5)), 6 with seconds first, or one of `@hourly`, `@daily`, `@weekly`, `@monthly` and
    /// `@yearly`. Weekdays are 0 to 7, Sunday being both. When neither day field begins with `*`, a day has to
    /// meet only one of them. A range may run round the end: `fri-mon`, `22-5`.
    pub fn parse(text: &str, timezone: Tz) -> Result<Self, Complaint> {
        let fields = Fields::parse(text)?;
        let calendars = calendars(&fields).map_err(|reason| Complaint {
            problem: format!("`{text}` can't be read as a schedule: {reason}"),
            hint: None,
            span: None,
        })?;
        let cron = Self { text: Arc::from(text.trim()), timezone, real_time: fields.every_hour, calendars };
        match cron.next_wall(0) {
            Some(_) => Ok(cron),
            None => Err(Complaint {
                problem: format!("`{text}` names a date that never comes"),
                hint: Some("write a day that the month has".to_owned()),
                span: None,
            }),
        }
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where its clock hangs.
    pub fn timezone(&self) -> Tz {
        self.timezone
    }

    /// The first moment strictly after `after`; `None` after the year 2100.
    pub(super) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = after.unix_seconds().max(0);
        let next = if self.real_time { self.next_real(after) } else { self.next_fixed(after) };
        next.filter(|next| *next > after).map(|next| Timestamp(next * 1000))
    }

    /// Fixed times of the day: each wall-clock time happens once.
    fn next_fixed(&self, after: i64) -> Option<i64> {
        let mut wall = after + self.offset_at(after);
        loop {
            wall = self.next_wall(wall)?;
            let instant = match self.place(wall) {
                Place::At(instant) | Place::Gap(instant) => instant,
            };
            if instant > after {
                return Some(instant);
            }
        }
    }

    /// Real time: as often as the wall clock shows a time.
    fn next_real(&self, after: i64) -> Option<i64> {
        let (mut instant, mut offset) = (after, self.offset_at(after));
        let mut wall = instant + offset;
        loop {
            let meets = self.next_wall(wall)?;
            let candidate = meets - offset;
            let near = candidate.min(instant + REPEAT_MAX);
            let turn = match self.turn(instant, near) {
                Some(turn) => turn,
                None if near == candidate => return Some(candidate),
                None => match self.place(meets) {
                    Place::At(instant) => return Some(instant),
                    Place::Gap(end) => end,
                },
            };
            // What the new offset shows at the turn itself counts too.
            (instant, offset) = (turn, self.offset_at(turn));
            wall = turn + offset - 1;
        }
    }

    /// The next wall-clock time it meets, in seconds since 1970 on that clock.
    fn next_wall(&self, wall: i64) -> Option<i64> {
        let wall = DateTime::from_timestamp(wall, 0)?;
        self.calendars.iter().filter_map(|calendar| calendar.after(&wall).next()).min().map(|next| next.timestamp())
    }

    /// Seconds that the wall clock is ahead of UTC.
    fn offset_at(&self, instant: i64) -> i64 {
        DateTime::from_timestamp(instant, 0).map_or(0, |date| {
            i64::from(self.timezone.offset_from_utc_datetime(&date.naive_utc()).fix().local_minus_utc())
        })
    }

    /// Where a wall-clock time lies in real time; the first one when it happens twice.
    fn place(&self, wall: i64) -> Place {
        let date = DateTime::from_timestamp(wall, 0).unwrap_or_default().naive_utc();
        match self.timezone.from_local_datetime(&date) {
            LocalResult::Single(date) | LocalResult::Ambiguous(date, _) => Place::At(date.timestamp()),
            LocalResult::None => {
                let near = wall - self.offset_at(wall);
                let shows_later = |instant: i64| instant + self.offset_at(instant) > wall;
                Place::Gap(first_where(near - GAP_MAX, near + GAP_MAX, shows_later))
            }
        }
    }

    /// The first moment after `from`, and not after `to`, from which on the offset is another one.
    fn turn(&self, from: i64, to: i64) -> Option<i64> {
        let before = self.offset_at(from);
        let differs = |instant: i64| self.offset_at(instant) != before;
        differs(to).then(|| first_where(from, to, differs))
    }
}

/// Where a wall-clock time lies in real time.
enum Place {
    /// Here.
    At(i64),
    /// Nowhere: the clock leaves it out, and goes on here.
    Gap(i64),
}

/// The least number in `(low, high]` for which `holds`, which holds for `high` and from some number on.
fn first_where(mut low: i64, mut high: i64, holds: impl Fn(i64) -> bool) -> i64 {
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if holds(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    high
}

/// The calendars of the `cron` crate that say what `fields` mean: two when a day has to meet only one field.
fn calendars(fields: &Fields) -> Result<Arc<[cron::Schedule]>, String> {
    let all = [u64::MAX; 6];
    let (mut by_day, mut by_weekday) = (fields.sets, fields.sets);
    if !fields.either_day {
        return Ok(Arc::from([calendar(&fields.sets)?]));
    }
    by_day[5] = all[5];
    by_weekday[3] = all[3];
    Ok(Arc::from([calendar(&by_day)?, calendar(&by_weekday)?]))
}

fn calendar(sets: &[u64; 6]) -> Result<cron::Schedule, String> {
    // The crate counts weekdays from 1, Sunday.
    let ranges = [0..=59, 0..=59, 0..=23, 1..=31, 1..=12, 0..=6];
    let shifts = [0, 0, 0, 0, 0, 1];
    let fields = sets.iter().zip(ranges).zip(shifts).map(|((set, mut range), shift)| {
        if range.clone().all(|number| set >> number & 1 == 1) {
            return "*".to_owned();
        }
        let numbers = range.by_ref().filter(|number: &u32| set >> number & 1 == 1);
        numbers.map(|number| (number + shift).to_string()).collect::<Vec<_>>().join(",")
    });
    let text = fields.collect::<Vec<_>>().join(" ");
    text.parse().map_err(|error: cron::error::Error| error.to_string())
}

impl fmt::Debug for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cron({} in {})", self.text, self.timezone)
    }
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.timezone == other.timezone
    }
}

impl Eq for Cron {}
