//! `doorbell init URL`: asks a vendor twice, looks at what it answers, and writes a job that says why it is as it is.
//!
//! What is found out is `core::survey`'s; here it is asked for, worded and written. Nothing is written that `check`
//! would refuse.

mod access;
mod ask;
mod draft;
mod probe;
mod target;

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::{DONE, FAILED, USAGE, say};
use crate::core::path::JsonPath;
use crate::core::survey::{Survey, Wish};
use access::Access;
use draft::Draft;
use target::Target;

/// Look at an API and write a job for it: where its list is, what the key is, how it is paged, and why
#[derive(Debug, Args)]
#[command(after_help = "\
The vendor is asked twice, a second apart, to see what flickers. Secrets stay where they are: name them, as in
`${env:NAME}`, and they are read now and by the daemon, and never written down.

Examples:
  doorbell init https://api.shop.example/v2/orders
  doorbell init https://api.shop.example/v2/orders --bearer-env SHOP_TOKEN --yes
  doorbell init https://api.shop.example/v2/orders -H 'X-Api-Key: ${env:SHOP_KEY}' --name shop_orders --every 5m
  doorbell init https://api.shop.example/v2/orders -o -        print it, write nothing")]
pub(super) struct InitArgs {
    /// What to poll: the URL of a list, or of one document
    url: String,
    /// A header to send, as in 'X-Api-Key: ${env:SHOP_KEY}'
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// The environment variable that holds a bearer token
    #[arg(long, value_name = "NAME")]
    bearer_env: Option<String>,
    /// The job's name; default: after the URL
    #[arg(long)]
    name: Option<String>,
    /// How often to poll
    #[arg(long, value_name = "TIME")]
    every: Option<String>,
    /// Where the items are (JSONPath), when you know better; needs --key
    #[arg(long, value_name = "PATH", value_parser = path, requires = "key")]
    items: Option<JsonPath>,
    /// Where an item's key is (JSONPath, from the item); several make a composite key
    #[arg(long, value_name = "PATH", value_parser = path)]
    key: Vec<JsonPath>,
    /// Where webhooks go; default: a receiver that `doorbell listen` is
    #[arg(long, value_name = "URL")]
    sink: Option<String>,
    /// The file to write or add to; `-` prints; default: -c FILE, else ./doorbell.toml
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Ask nothing
    #[arg(short, long)]
    yes: bool,
}

fn path(text: &str) -> Result<JsonPath, String> {
    JsonPath::parse(text).map_err(|complaint| match complaint.hint {
        Some(hint) => format!("{}; {hint}", complaint.problem),
        None => complaint.problem,
    })
}

/// Why nothing was written; what was said already has no sentence.
struct Stop {
    code: u8,
    said: Option<(String, Option<String>)>,
}

impl Stop {
    fn failed(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: FAILED, said: Some((problem.into(), Some(hint.into()))) }
    }

    fn usage(problem: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code: USAGE, ..Self::failed(problem, hint) }
    }
}

pub(super) async fn run(config: Option<&Path>, args: InitArgs) -> u8 {
    match write(config, args).await {
        Ok(()) => DONE,
        Err(stop) => {
            if let Some((problem, hint)) = stop.said {
                say::problem(&problem, hint.as_deref());
            }
            stop.code
        }
    }
}

async fn write(config: Option<&Path>, args: InitArgs) -> Result<(), Stop> {
    let target = Target::open(args.output.as_deref().or(config))?;
    let access = Access::new(&args.url, &args.headers, args.bearer_env.as_deref())?;
    let asking = !args.yes && std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    // What would be refused in the end is refused before the vendor is asked.
    let mut name = args.name.clone().unwrap_or_else(|| access.job_name());
    if !asking {
        target.is_free(&name)?;
    }
    let wish = Wish { items: args.items.clone(), key: args.key.clone() };
    let (survey, shape) = probe::survey(&access, &wish).await?;
    tell(&survey, target.is_stdout());
    let mut every = args.every.clone().unwrap_or_else(|| "1m".to_owned());
    let mut sink = args.sink.clone();
    if asking {
        name = ask::until("The job's name?", &name, |name| target.is_free(name))?;
        every = ask::once("How often to poll?", &every)?;
        if sink.is_none() && target.sink().is_none() {
            sink = Some(ask::once("Where do webhooks go? (`doorbell listen` is the default)", draft::LISTEN)?);
        }
    }
    let draft = Draft { access: &access, survey: &survey, shape, name: &name, every: &every, sink: sink.as_deref() };
    let text = draft.text(&target);
    target.write(&text)?;
    if !target.is_stdout() {
        say::result(&draft.next_steps(&target));
    }
    Ok(())
}

/// What was found, and why: to the person, not into the file that may be on standard output.
fn tell(survey: &Survey, aside: bool) {
    let text = draft::findings(survey);
    if aside { eprint_lines(&text) } else { say::result(&text) }
}

fn eprint_lines(text: &str) {
    use std::io::Write as _;
    // There is nobody left to tell.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
