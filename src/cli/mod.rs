//! The commands: one file each. They may use every room; no room uses them.

use std::future::Future;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use look::look;

use crate::core::hold::Answer;

mod act;
mod approve;
mod attempt;
mod calls;
mod check;
mod client;
mod daemon;
mod deliveries;
mod demo;
mod drop;
mod event;
mod events;
mod init;
mod listen;
mod look;
mod operate;
mod pause;
mod plan;
mod poll;
mod reload;
mod replay;
mod replay_poll;
mod run;
mod say;
mod schema;
mod show;
mod status;
mod table;
mod test;
mod vault;
mod why;

/// Done.
const DONE: u8 = 0;
/// It did not work.
const FAILED: u8 = 1;
/// Bad usage or config.
const USAGE: u8 = 2;
/// The state is in use by another process (`EX_TEMPFAIL` of sysexits.h).
const STATE_IN_USE: u8 = 75;

const ABOUT: &str = "Turns pull into push: polls REST APIs that have no webhooks, and sends a signed webhook when \
                     something changed";

const FIRST_STEPS: &str = "\
First steps:
  doorbell demo                  see it work: a shop, the bridge and a receiver in one process
  doorbell init URL              look at an API and write a job for it
  doorbell check                 is my doorbell.toml right?
  doorbell poll orders           what would the job `orders` find and send now? Nothing is kept
  doorbell listen --port 9000    a receiver for trying, which verifies and prints what arrives
  doorbell run                   the daemon
  doorbell plan                  after an edit: what would it do to what is remembered?
  doorbell why orders 7          why was (or wasn't) there a webhook for the item 7?

The config is -c FILE, $DOORBELL_CONFIG, ./doorbell.toml or /etc/doorbell/doorbell.toml, in this order.
Exit codes: 0 done, 1 failed, 2 bad usage or config, 75 the state is in use.";

/// The command line.
#[derive(Debug, Parser)]
#[command(name = "doorbell", version, about = ABOUT, after_help = FIRST_STEPS, disable_help_subcommand = true)]
struct Arguments {
    /// The config file.
    #[arg(short = 'c', long = "config", value_name = "FILE", global = true)]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon.
    Run(run::RunArgs),
    /// See it work: a shop whose orders change, the bridge, and a receiver, in one process; no config, no network.
    Demo(demo::DemoArgs),
    /// Look at an API and write a job for it: its list, key and pages, and why.
    Init(init::InitArgs),
    /// Validate the config: every problem at once, or the jobs with their next runs.
    Check(check::CheckArgs),
    /// What the config would change against the state: keeps, re-hashes, re-baselines, new, gone.
    Plan(plan::PlanArgs),
    /// Poll a job now and show what it finds and what would be sent; keeps nothing unless --commit.
    Poll(poll::PollArgs),
    /// Recorded polls through the same code, offline: a regression test for a config.
    ReplayPoll(replay_poll::ReplayPollArgs),
    /// Send one signed sample event to a sink, the way real ones go.
    Test(test::TestArgs),
    /// A local receiver: verifies the signature, prints what arrives, answers with a status of your choice.
    Listen(listen::ListenArgs),
    /// Jobs and sinks: health, last success, next run, backlog.
    Status(status::StatusArgs),
    /// List events, newest first; -f goes on as they come.
    Events(events::EventsArgs),
    /// One event with its body, deliveries and attempts.
    Event(event::EventArgs),
    /// List deliveries, the newest first, by state, sink, job and time.
    Deliveries(deliveries::DeliveriesArgs),
    /// What was last seen of an item, what was said of it, and what was not and why.
    Why(why::WhyArgs),
    /// Send again what was delivered or is dead: by event, or by job, sink, state and time.
    Replay(replay::ReplayArgs),
    /// Let go what a job holds: a mass deletion, or a poll with more events than it may have.
    Approve(approve::ApproveArgs),
    /// Keep back what a job holds.
    Reject(approve::ApproveArgs),
    /// Give up deliveries that are held, by sink, job and time: nothing else drops them.
    Drop(drop::DropArgs),
    /// Keep a job from being polled, or a sink from being sent to, until it is resumed.
    Pause(pause::PauseArgs),
    /// Let a paused job or sink go on; a sink that is disabled is enabled.
    Resume(pause::PauseArgs),
    /// The JSON Schema of doorbell.toml, or of the events, for editors and receivers.
    Schema(schema::SchemaArgs),
    /// What a shell needs to complete commands.
    Completions(schema::CompletionsArgs),
    /// The manual page.
    Man(schema::ManArgs),
}

/// Runs the command that the arguments name.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let config = arguments.config.as_deref();
    let code = match arguments.command {
        Command::Run(args) => on_half_the_cores(run::run(config, args)),
        Command::Demo(args) => on_half_the_cores(demo::run(args)),
        Command::Init(args) => on_one_core(init::run(config, args)),
        Command::Check(args) => check::run(config, &args),
        Command::Plan(args) => on_one_core(plan::run(config, &args)),
        Command::Poll(args) => on_half_the_cores(poll::run(config, args)),
        Command::ReplayPoll(args) => on_half_the_cores(replay_poll::run(config, args)),
        Command::Test(args) => on_half_the_cores(test::run(config, args)),
        Command::Listen(args) => on_one_core(listen::run(args)),
        Command::Status(args) => on_one_core(look(config, &args.reach, async |source, screen, now| {
            status::run(&args, source, screen, now).await
        })),
        Command::Events(args) => on_one_core(look(config, &args.reach, async |source, screen, now| {
            events::run(&args, source, screen, now).await
        })),
        Command::Event(args) => on_one_core(look(config, &args.reach, async |source, screen, now| {
            event::run(&args, source, screen, now).await
        })),
        Command::Deliveries(args) => on_one_core(look(config, &args.reach, async |source, screen, now| {
            deliveries::run(&args, source, screen, now).await
        })),
        Command::Why(args) => on_one_core(look(config, &args.reach, async |source, screen, now| {
            why::run(&args, source, screen, now).await
        })),
        Command::Replay(args) => on_one_core(replay::run(config, &args)),
        Command::Approve(args) => on_one_core(approve::run(config, &args, Answer::Approved)),
        Command::Reject(args) => on_one_core(approve::run(config, &args, Answer::Rejected)),
        Command::Drop(args) => on_one_core(drop::run(config, &args)),
        Command::Pause(args) => on_one_core(pause::run(config, &args, true)),
        Command::Resume(args) => on_one_core(pause::run(config, &args, false)),
        Command::Schema(args) => schema::run(&args),
        Command::Completions(args) => schema::completions(&args),
        Command::Man(args) => schema::man(&args),
    };
    ExitCode::from(code)
}

/// Half of the cores wait for sockets and clocks; the store's threads and heavy work have the others. Threads that
/// only wake each other up would cost a poll more than the poll itself.
fn on_half_the_cores(work: impl Future<Output = u8>) -> u8 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    block_on(tokio::runtime::Builder::new_multi_thread().worker_threads((cores / 2).max(1)), work)
}

fn on_one_core(work: impl Future<Output = u8>) -> u8 {
    block_on(&mut tokio::runtime::Builder::new_current_thread(), work)
}

fn block_on(builder: &mut tokio::runtime::Builder, work: impl Future<Output = u8>) -> u8 {
    match builder.enable_all().build() {
        Ok(runtime) => {
            let code = runtime.block_on(work);
            // Nothing that still runs is worth waiting for: what had to end has ended.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            say::problem(&format!("no threads to be had: {error}"), Some("raise the limit on processes (`ulimit -u`)"));
            FAILED
        }
    }
}
