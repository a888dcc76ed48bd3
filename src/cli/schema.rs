//! `doorbell schema`, `completions` and `man`: what editors, shells and manuals want to know.
//!
//! Reads no config and opens no state.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::{DONE, FAILED, say};
use crate::config::schema;

/// Print the JSON Schema of doorbell.toml, or of the events
#[derive(Debug, Args)]
#[command(after_help = "\
Editors that know TOML (Even Better TOML, taplo, Tombi) complete and check a file whose first line names the schema:

  doorbell schema > doorbell.schema.json
  #:schema ./doorbell.schema.json

Examples:
  doorbell schema > doorbell.schema.json
  doorbell schema --event | jq '.\"$defs\".change'")]
pub(super) struct SchemaArgs {
    /// That of a webhook's body: the events of jobs, and Doorbell's own
    #[arg(long)]
    event: bool,
}

pub(super) fn run(args: &SchemaArgs) -> u8 {
    let schema = if args.event { schema::event() } else { schema::config() };
    say::result(&format!("{schema:#}"));
    DONE
}

/// Print what a shell needs to complete commands
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  doorbell completions bash > ~/.local/share/bash-completion/completions/doorbell
  doorbell completions zsh > ~/.zfunc/_doorbell
  doorbell completions fish > ~/.config/fish/completions/doorbell.fish")]
pub(super) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn completions(args: &CompletionsArgs) -> u8 {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::Arguments::command(), "doorbell", &mut script);
    say::result(String::from_utf8_lossy(&script).trim_end());
    DONE
}

/// Print the manual page (roff)
#[derive(Debug, Args)]
#[command(after_help = "\
The page of a command is under its name: `doorbell man poll`.

Examples:
  doorbell man | man -l -
  doorbell man > /usr/local/share/man/man1/doorbell.1")]
pub(super) struct ManArgs {
    /// The page of this command alone
    command: Option<String>,
}

pub(super) fn man(args: &ManArgs) -> u8 {
    let mut whole = super::Arguments::command();
    whole.build();
    let page = match &args.command {
        None => Some(whole.clone()),
        Some(name) => whole.find_subcommand(name).cloned(),
    };
    let Some(page) = page else {
        let names: Vec<&str> = whole.get_subcommands().map(clap::Command::get_name).collect();
        say::problem(
            &super::daemon::unknown("command", args.command.as_deref().unwrap_or_default(), names.into_iter()),
            None,
        );
        return super::USAGE;
    };
    let mut text = Vec::new();
    match clap_mangen::Man::new(page).render(&mut text) {
        Ok(()) => {
            say::result(String::from_utf8_lossy(&text).trim_end());
            DONE
        }
        Err(error) => {
            say::problem(&format!("the page can't be written: {error}"), None);
            FAILED
        }
    }
}
