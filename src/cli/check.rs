//! `doorbell check`: is the config right, and what does it mean?
//!
//! Opens no state and makes no request.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chrono::Datelike as _;
use clap::Args;
use serde_json::{Value, json};

use crate::cli::table::{Cell, Screen, Table};
use crate::cli::{DONE, USAGE, say};
use crate::core::config::Config;
use crate::core::each::Each;
use crate::core::job::Job;
use crate::core::polite::Vendor;
use crate::core::schedule::spread_of;
use crate::core::sign::Signer;
use crate::core::sink::Sink;
use crate::core::time::Timestamp;
use crate::core::units::Rate;
use crate::engine::clock::{Clock, SystemClock};

/// Next runs that are shown of each job.
const RUNS_SHOWN: usize = 3;

/// The longest month: what is enough for it is enough for any.
const MONTH: Duration = Duration::from_secs(31 * 24 * 60 * 60);

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Arguments of `doorbell check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(config: Option<&Path>, args: &CheckArgs) -> u8 {
    let Some(loaded) = say::load(config) else { return USAGE };
    let now = SystemClock.now();
    match args.json {
        true => say::result(&as_json(&loaded.config, now).to_string()),
        false => {
            let files: Vec<String> = loaded.files.iter().map(|file| file.display().to_string()).collect();
            say::result(&as_text(&loaded.config, &files.join(", "), now));
        }
    }
    DONE
}

fn as_text(config: &Config, files: &str, now: Timestamp) -> String {
    let text = format!("{files}: valid, {}, {}\n", count(config.jobs.len(), "job"), count(config.sinks.len(), "sink"));
    if config.jobs.is_empty() {
        return text + "\nNothing is polled: add a [job.NAME] table";
    }
    let mut table = Table::new(&["JOB", "SCHEDULE", "NEXT RUNS (UTC)", "REQUESTS/DAY", "SENDS TO"]);
    for job in &config.jobs {
        let runs = runs(job, now).into_iter().map(|run| shown(run, now));
        let cells = [
            job.name.to_string(),
            if job.enabled { job.schedule.to_string() } else { "disabled".to_owned() },
            runs.collect::<Vec<_>>().join(", "),
            per_day(job, now).to_string(),
            sinks(job).join(", "),
        ];
        table.push(cells.iter().map(Cell::new).collect(), note(job));
    }
    let mut rows = Vec::new();
    // Writing to memory can't fail.
    let _ = Screen::standard(&mut rows).table(&table);
    let rows = String::from_utf8_lossy(&rows);
    let (budgets, keys) = (budget_table(config, now), public_keys(config));
    format!("{text}\n{rows}{budgets}{keys}\nstate: {}", config.daemon.state.display())
}

fn as_json(config: &Config, now: Timestamp) -> Value {
    let job = |job: &Arc<Job>| {
        json!({
            "name": job.name.as_str(),
            "enabled": job.enabled,
            "schedule": job.schedule.to_string(),
            "next_runs": runs(job, now),
            "requests_per_day": per_day(job, now),
            "send_to": sinks(job),
            "scopes": job.each.as_ref().map(scopes_json),
            "details": job.detail.is_some(),
        })
    };
    let sink = |sink: &Arc<Sink>| {
        let keys = sink.signer.as_ref().map(Signer::public_keys).unwrap_or_default();
        json!({ "name": sink.name.as_str(), "url": sink.shown_url, "public_keys": keys })
    };
    json!({
        "valid": true,
        "jobs": config.jobs.iter().map(job).collect::<Vec<_>>(),
        "sinks": config.sinks.iter().map(sink).collect::<Vec<_>>(),
        "vendors": budgets(config, now).iter().map(Use::as_json).collect::<Vec<_>>(),
        "state": config.daemon.state,
    })
}

/// A budget, and what the schedules of its jobs make of it.
struct Use {
    name: String,
    budget: Option<Rate>,
    requests: u64,
}

impl Use {
    /// Requests in a day that the budget is enough for.
    fn allowed(&self) -> Option<u64> {
        let budget = self.budget?;
        let window = budget.per.length().unwrap_or(MONTH).as_millis();
        u64::try_from(u128::from(budget.count) * DAY.as_millis() / window).ok()
    }

    fn is_exceeded(&self) -> bool {
        self.allowed().is_some_and(|allowed| self.requests > allowed)
    }

    fn as_json(&self) -> Value {
        json!({
            "name": self.name,
            "budget": self.budget.map(|budget| budget.to_string()),
            "requests_per_day": self.requests,
            "budget_per_day": self.allowed(),
            "exceeded": self.is_exceeded(),
        })
    }
}

/// Every vendor, and every job that has a budget of its own. Only first pages are counted, and no details: how many
/// there are is not known yet.
fn budgets(config: &Config, now: Timestamp) -> Vec<Use> {
    let vendor = |vendor: &Vendor| {
        let counts = |job: &&Arc<Job>| job.vendor.as_ref() == Some(&vendor.name) && job.courtesy.budget.is_none();
        let requests = config.jobs.iter().filter(counts).map(|job| per_day(job, now)).sum();
        Use { name: vendor.name.to_string(), budget: vendor.courtesy.budget, requests }
    };
    let own = |job: &Arc<Job>| {
        let budget = Some(job.courtesy.budget?);
        Some(Use { name: format!("job.{}", job.name), budget, requests: per_day(job, now) })
    };
    config.vendors.iter().map(vendor).chain(config.jobs.iter().filter_map(own)).collect()
}

fn budget_table(config: &Config, now: Timestamp) -> String {
    let uses = budgets(config, now);
    if uses.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["VENDOR", "REQUESTS/DAY", "BUDGET"]);
    for used in &uses {
        let note = used.is_exceeded().then(|| {
            let most = used.allowed().unwrap_or_default();
            format!("more than its budget allows in a day ({most}): polls will wait; poll less often")
        });
        let budget = used.budget.map_or_else(|| "-".to_owned(), |budget| budget.to_string());
        let cells = [used.name.clone(), used.requests.to_string(), budget];
        table.push(cells.iter().map(Cell::new).collect(), note);
    }
    let mut rows = Vec::new();
    // Writing to memory can't fail.
    let _ = Screen::standard(&mut rows).table(&table);
    format!("\n{}", String::from_utf8_lossy(&rows))
}

/// What receivers need to verify the signatures of ed25519 keys, a line for each key.
fn public_keys(config: &Config) -> String {
    let of = |sink: &Arc<Sink>| {
        let keys = sink.signer.as_ref().map(Signer::public_keys).unwrap_or_default();
        keys.into_iter().map(|key| format!("\nsink {}: receivers verify with {key}\n", sink.name)).collect::<String>()
    };
    config.sinks.iter().map(of).collect()
}

/// What of a job's requests the numbers do not show.
fn note(job: &Arc<Job>) -> Option<String> {
    let details = "and one more request for each item that is new or another (`detail`)".to_owned();
    let notes = [job.each.as_ref().map(scopes), job.detail.as_ref().map(|_| details)];
    let notes: Vec<String> = notes.into_iter().flatten().collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

/// What a job with `each` is polled over.
fn scopes(each: &Each) -> String {
    let names: Vec<&str> = each.names().collect();
    let sources: BTreeSet<String> = each.sources().map(|(_, job)| format!("`{job}`")).collect();
    let sources: Vec<String> = sources.into_iter().collect();
    match each.fixed() {
        Some(number) => format!("{} by {}", count(number, "scope"), names.join(", ")),
        None => format!("scopes by {}, from the items of {}", names.join(", "), sources.join(", ")),
    }
}

fn scopes_json(each: &Each) -> Value {
    json!({
        "names": each.names().collect::<Vec<_>>(),
        "count": each.fixed(),
        "from_jobs": each.sources().map(|(_, job)| job.as_str()).collect::<BTreeSet<_>>(),
    })
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn sinks(job: &Job) -> Vec<String> {
    let mut names: Vec<String> = job.send_to.iter().map(|route| route.sink.to_string()).collect();
    let mut seen = std::collections::HashSet::new();
    names.retain(|name| seen.insert(name.clone()));
    names
}

/// A moment; its year where that is another than today's.
fn shown(run: Timestamp, now: Timestamp) -> String {
    let (run, now) = (run.to_utc(), now.to_utc());
    let format = if run.year() == now.year() { "%m-%d %H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
    run.format(format).to_string()
}

/// The next runs after `now`, as if the job's first poll had been made.
fn runs(job: &Job, now: Timestamp) -> Vec<Timestamp> {
    let spread = spread_of(job.name.as_str());
    let first = if job.enabled { job.schedule.next(now, spread) } else { None };
    std::iter::successors(first, |run| job.schedule.next(*run, spread)).take(RUNS_SHOWN).collect()
}

/// Requests that the job's schedule makes in a day, on average over the week from `now` on: a calendar may rest on
/// some of its days.
fn per_day(job: &Job, now: Timestamp) -> u64 {
    if !job.enabled {
        return 0;
    }
    // Where only the first poll shows how many scopes there are, one is counted.
    let scopes = job.each.as_ref().and_then(Each::fixed).unwrap_or(1) as u64;
    scopes * polls_per_day(job, now)
}

fn polls_per_day(job: &Job, now: Timestamp) -> u64 {
    match &job.schedule {
        // At its quickest.
        crate::core::schedule::Schedule::Every(every)
        | crate::core::schedule::Schedule::Adaptive { min: every, .. } => {
            (DAY.as_millis() / every.as_millis().max(1)) as u64
        }
        crate::core::schedule::Schedule::Cron(_) => {
            let spread = spread_of(job.name.as_str());
            let until = now.plus(7 * DAY);
            let runs = std::iter::successors(job.schedule.next(now, spread), |run| job.schedule.next(*run, spread));
            (runs.take_while(|run| *run <= until).count() as u64).div_ceil(7)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_another_year_shows_it() {
        let at = |text: &str| Timestamp::parse(text).unwrap();
        let now = at("2026-12-31T23:00:00Z");
        assert_eq!(shown(at("2026-12-31T23:30:00Z"), now), "12-31 23:30:00");
        assert_eq!(shown(at("2027-01-01T00:30:00Z"), now), "2027-01-01 00:30:00");
    }
}
