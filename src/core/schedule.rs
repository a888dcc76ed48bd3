//! schedule
use crate::core::path::Complaint;
use crate::core::time::Timestamp;
use std::time::Duration;
/// When a job is polled.
#[derive(Clone, Debug)]
pub enum Schedule {
    /// every so often
    Every(Duration),
    /// by the calendar
    Cron(Cron),
}
/// A cron expression in a time zone.
#[derive(Clone, Debug)]
pub struct Cron {}
impl Cron {
    /// Compiles 5 fields (crontab(5)) or 6 with seconds first.
    pub fn parse(_text: &str, _timezone: chrono_tz::Tz) -> Result<Self, Complaint> {
        todo!()
    }
}
impl Schedule {
    /// The first moment after `after`; `spread` (a hash of the job's name) gives an `every` its phase. None: never again.
    pub fn next(&self, _after: Timestamp, _spread: u64) -> Option<Timestamp> {
        todo!()
    }
    /// The usual time between two polls around `now`.
    pub fn interval(&self, _now: Timestamp) -> Duration {
        todo!()
    }
}
