//! `doorbell listen`: a receiver on this machine that verifies, prints and answers webhooks.
//!
//! Keeps nothing and passes nothing on.

use std::future::Future;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use clap::Args;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::cli::{DONE, USAGE, say};
use crate::config::{Problem, Problems, SystemLookup};
use crate::core::secret::Secret;
use crate::core::sign::Verifier;
use crate::engine::clock::wall_clock;

mod receiver;
mod show;

pub(super) use receiver::{Options, Received, serve};
pub(super) use show::{block, line};

/// Receive webhooks on this machine: verify each signature, print what came, and answer.
///
/// Point a sink's `url` at the address that is printed. With a secret, a webhook whose signature does not fit is
/// printed with the reason and answered 401.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  doorbell listen                                   print what comes to http://127.0.0.1:7412/
  doorbell listen --secret-env CRM_SECRET           check signatures as well
  doorbell listen --sign github --secret s3cret     check them after another scheme
  doorbell listen --port 0 --count 3 --json         three webhooks as JSON, then end
  doorbell listen --status 503                      see how a sink that is down is retried")]
pub(super) struct ListenArgs {
    /// Where to listen: a port of this machine (0: any that is free), or an address with a port
    #[arg(long, value_name = "PORT|ADDR", default_value = "7412")]
    port: String,

    /// The secret that the sink signs with; several are tried one after the other
    #[arg(long, value_name = "SECRET")]
    secret: Vec<String>,

    /// The environment variable that holds such a secret
    #[arg(long, value_name = "NAME")]
    secret_env: Vec<String>,

    /// How the sink signs: standard (the default), standard-ed25519, github, stripe, slack, rfc9421, or its table, as in
    /// '{ header = "X-Signature", message = "{{ body }}" }'
    #[arg(long, value_name = "SCHEME")]
    sign: Option<String>,

    /// The status to answer with
    #[arg(long, value_name = "STATUS", default_value = "200", value_parser = parse_status)]
    status: StatusCode,

    /// Answer this many webhooks with 503 first
    #[arg(long, value_name = "N", default_value_t = 0)]
    fail_first: usize,

    /// End after this many webhooks
    #[arg(long, value_name = "N", value_parser = parse_count)]
    count: Option<usize>,

    /// End after the first webhook
    #[arg(long, conflicts_with = "count")]
    once: bool,

    /// Print one JSON object a line
    #[arg(long)]
    json: bool,
}

fn parse_status(text: &str) -> Result<StatusCode, String> {
    let status = text.parse::<u16>().ok().filter(|code| (200..600).contains(code));
    let status = status.and_then(|code| StatusCode::from_u16(code).ok());
    status.ok_or_else(|| "a status is a number from 200 to 599".to_owned())
}

fn parse_count(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|count| *count > 0).ok_or_else(|| "a number from 1".to_owned())
}

/// Runs the command until Ctrl-C, SIGTERM, or the last webhook that was asked for.
pub(super) async fn run(args: ListenArgs) -> u8 {
    match run_until(args, interrupted()).await {
        Ok(()) => DONE,
        Err(sentence) => {
            say::problem(&sentence, None);
            USAGE
        }
    }
}

/// Runs the command until `stop`; the error is a sentence about what was typed.
async fn run_until(args: ListenArgs, stop: impl Future<Output = ()>) -> Result<(), String> {
    let verifier = verifier_of(&args, |name| std::env::var(name).ok())?;
    let listener = bind(&args.port).await?;
    let place = listener.local_addr().map_err(|error| format!("`{}` can't be listened on: {error}", args.port))?;
    let checks =
        if verifier.is_some() { "signatures are checked" } else { "signatures are not checked without --secret" };
    let _ = writeln!(io::stderr(), "listening on http://{place}/ ({checks}); Ctrl-C ends");

    let options = Options { verifier, status: args.status, fail_first: args.fail_first, wall_clock };
    let ended = CancellationToken::new();
    let printed = printer(&args, ended.clone());
    let stop = async {
        tokio::select! {
            () = stop => {}
            () = ended.cancelled() => {}
        }
    };
    serve(listener, options, printed, stop).await.map_err(|error| format!("can't go on listening: {error}"))
}

/// Prints each webhook, and ends the command after the last one, or when nobody reads any more.
fn printer(args: &ListenArgs, ended: CancellationToken) -> impl Fn(&Received) + Send + Sync + 'static + use<> {
    let last = if args.once { Some(1) } else { args.count };
    let json = args.json;
    let printed = Arc::new(AtomicUsize::new(0));
    move |received| {
        let text = if json { line(received) } else { block(received) };
        let mut out = io::stdout().lock();
        let written = writeln!(out, "{text}").and_then(|()| out.flush());
        let count = printed.fetch_add(1, Ordering::Relaxed) + 1;
        if written.is_err() || last.is_some_and(|last| count >= last) {
            ended.cancel();
        }
    }
}

fn verifier_of(args: &ListenArgs, env: impl Fn(&str) -> Option<String>) -> Result<Option<Verifier>, String> {
    let mut secrets: Vec<Secret> = args.secret.iter().map(|text| Secret::new(text)).collect();
    for name in &args.secret_env {
        let value = env(name).ok_or_else(|| {
            format!("the environment variable `{name}` is not set\n  hint: `export {name}=whsec_…`, or use --secret")
        })?;
        secrets.push(Secret::new(&value));
    }
    let sign = args.sign.as_deref().unwrap_or("standard");
    let scheme = crate::config::scheme(sign, &SystemLookup).map_err(|problems| said(&problems))?;
    if secrets.is_empty() {
        if args.sign.is_some() {
            return Err(
                "`--sign` needs the secret that the sink signs with\n  hint: add `--secret-env NAME`".to_owned()
            );
        }
        return Ok(None);
    }
    let verifier = Verifier::new(scheme, &secrets).map_err(|complaint| match complaint.hint {
        Some(hint) => format!("{}\n  hint: {hint}", complaint.problem),
        None => complaint.problem,
    })?;
    Ok(Some(verifier))
}

/// What is wrong with `--sign`, without the place: there is only one.
fn said(problems: &Problems) -> String {
    let sentence = |problem: &Problem| match problem.hint_text() {
        Some(hint) => format!("`--sign`: {}\n  hint: {hint}", problem.message()),
        None => format!("`--sign`: {}", problem.message()),
    };
    problems.iter().map(sentence).collect::<Vec<_>>().join("\n")
}

async fn bind(port: &str) -> Result<TcpListener, String> {
    let only_port = port.bytes().all(|byte| byte.is_ascii_digit());
    let address = if only_port { format!("127.0.0.1:{port}") } else { port.to_owned() };
    TcpListener::bind(&address).await.map_err(|error| {
        let hint = match error.kind() {
            io::ErrorKind::AddrInUse => "another program listens there; `--port 0` takes any port that is free",
            io::ErrorKind::PermissionDenied => "ports below 1024 need more rights; take a higher one",
            _ => "write a port such as `7412`, or an address such as `0.0.0.0:7412`",
        };
        format!("`{port}` can't be listened on: {error}\n  hint: {hint}")
    })
}

/// Ctrl-C or SIGTERM. A signal that can't be waited for is waited for in vain.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = terminated => {}
        () = interrupted => {}
    }
}

#[cfg(test)]
mod tests;
