//! `doorbell plan`: what would the config on disk make of what is remembered?
//!
//! It changes nothing: where a daemon runs it asks it what it remembers, else it looks into the state file.

use std::io;
use std::path::Path;
use std::sync::Arc;

use clap::Args;

use crate::cli::client::{Client, ClientError, CommandError, Reach};
use crate::cli::daemon::open_idle_state;
use crate::cli::look::{code, load};
use crate::cli::table::{Cell, Screen, Table, Tone};
use crate::cli::{FAILED, USAGE, say};
use crate::core::config::Config;
use crate::core::plan::{Fate, Plan, Planned, Standings, plan};

/// What the config would change against the state
#[derive(Debug, Args)]
#[command(after_help = "\
  keeps         goes on where it is
  renamed       goes on under its new name (`rename`)
  re-hashes     watch, ignore or the like was edited: the old rules decide once more, nothing is lost
  re-baselines  the request, the selection (items, format) or the identity (key) was edited: the next complete poll is
                a silent baseline, and what changed since the last one is not told; also when such an edit was read
                in part and is taken back
  new           nothing is remembered of it
  gone          no longer in the config: what waits for delivery is held

Exit code 0: nothing would be lost. 1: something would be, or the state can't be read. 2: the config has errors.")]
pub(super) struct PlanArgs {
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    reach: Reach,
}

/// What a plan is held against.
enum Against {
    Daemon,
    State,
    Nothing,
}

pub(super) async fn run(config: Option<&Path>, args: &PlanArgs) -> u8 {
    let config = match load(config) {
        Ok(loaded) => Arc::new(loaded.config),
        Err(code) => return code,
    };
    let (standings, against) = match standings(&config, &args.reach).await {
        Ok(found) => found,
        Err(code) => return code,
    };
    let plan = plan(&config, &standings);
    match show(&plan, &config, &against, args.json) {
        Ok(()) if plan.loses => FAILED,
        done => code(done),
    }
}

/// What is remembered, and by whom that was said.
async fn standings(config: &Config, reach: &Reach) -> Result<(Standings, Against), u8> {
    match Client::new(reach, &config.daemon.listen, config.daemon.token.as_ref()) {
        Ok(client) => match client.standings().await {
            Ok(standings) => return Ok((standings, Against::Daemon)),
            Err(error) if error.is_no_daemon() && reach.url.is_none() => {}
            Err(error) => return Err(code(Err(error.into()))),
        },
        Err(ClientError::Off) => {}
        Err(error) => {
            say::problem(&error.to_string(), None);
            return Err(USAGE);
        }
    }
    if !config.daemon.state.exists() {
        return Ok((Standings::default(), Against::Nothing));
    }
    let archive = open_idle_state(config)?;
    let found = archive.standings().await;
    // Only looked at: there is nothing to lose.
    let _ = archive.close().await;
    match found {
        Ok(standings) => Ok((standings, Against::State)),
        Err(error) => Err(code(Err(error.into()))),
    }
}

fn show(plan: &Plan, config: &Config, against: &Against, json: bool) -> Result<(), CommandError> {
    let mut out = io::stdout();
    let mut screen = Screen::standard(&mut out);
    if json {
        return Ok(screen.json(plan, false)?);
    }
    let state = config.daemon.state.display();
    let line = match against {
        Against::Daemon => "Against what the running daemon remembers:".to_owned(),
        Against::State => format!("No daemon runs; against the state `{state}`:"),
        Against::Nothing => format!("There is no state `{state}` yet: everything is new."),
    };
    screen.line(&line)?;
    for (title, rows) in [("JOB", &plan.jobs), ("SINK", &plan.sinks)] {
        if !rows.is_empty() {
            screen.line("")?;
            screen.table(&table(title, rows))?;
        }
    }
    screen.line("")?;
    Ok(screen.line(&verdict(plan))?)
}

fn table(title: &'static str, rows: &[Planned]) -> Table {
    let is_job = title == "JOB";
    let mut table =
        if is_job { Table::new(&[title, "PLAN", "ITEMS", "WAITING"]) } else { Table::new(&[title, "PLAN", "WAITING"]) };
    for row in rows {
        let tone = match row.plan {
            _ if row.loses => Tone::Bad,
            Fate::Keeps | Fate::Renamed => Tone::Good,
            _ => Tone::Warn,
        };
        let items = is_job.then(|| Cell::new(row.items.to_string()));
        let cells = [Cell::new(&row.name), Cell::new(row.plan.as_str()).toned(tone)];
        let cells = cells.into_iter().chain(items).chain([Cell::new(row.waiting.to_string())]);
        let from = row.renamed_from.as_ref().map(|old| format!("it takes over the state of `{old}`"));
        let notes: Vec<String> = from.into_iter().chain(row.note.clone()).collect();
        table.push(cells.collect(), (!notes.is_empty()).then(|| notes.join("; ")));
    }
    table
}

fn verdict(plan: &Plan) -> String {
    let losing: Vec<&str> =
        plan.jobs.iter().chain(&plan.sinks).filter(|row| row.loses).map(|row| row.name.as_str()).collect();
    match losing.is_empty() {
        true => "Nothing would be lost.".to_owned(),
        false => format!("Something would be lost: see `{}`.", losing.join("`, `")),
    }
}
