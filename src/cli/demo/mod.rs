//! `doorbell demo`: a shop whose orders change, the bridge, and a receiver, in one process.
//!
//! They are ordinary: the bridge reads a config like any other and knows no more of the shop and the receiver than of
//! any vendor and sink. Nothing is left behind.

pub(super) mod shop;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use http::StatusCode;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::admin::Listener;
use crate::cli::daemon::{Daemon, open_state};
use crate::cli::listen::{self, Options, block};
use crate::cli::{DONE, FAILED, say};
use crate::config::{self, SystemLookup};
use crate::core::config::Config;
use crate::core::secret::Secret;
use crate::core::sign::{Scheme, Verifier};
use crate::core::units;
use crate::engine::Begin;
use crate::engine::clock::wall_clock;
use crate::engine::tasks::Tasks;
use shop::Shop;

/// How often something happens in the shop.
const TICK: Duration = Duration::from_millis(2_500);

/// How long the bridge gets to read the shop's first list before anything changes: its baseline is silent.
const OPENING: Duration = Duration::from_millis(1_500);

/// How long the last webhook gets to arrive.
const CLOSING: Duration = Duration::from_millis(1_500);

/// See it work: a shop, the bridge and a receiver in one process
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// How long to run, such as `30s`; Ctrl-C ends sooner
    #[arg(long = "for", value_name = "TIME", default_value = "20s", value_parser = duration)]
    time: Duration,
}

fn duration(text: &str) -> Result<Duration, String> {
    units::parse_duration(text).map_err(|complaint| match complaint.hint {
        Some(hint) => format!("{}; {hint}", complaint.problem),
        None => complaint.problem,
    })
}

pub(super) async fn run(args: DemoArgs) -> u8 {
    match play(args.time).await {
        Ok(()) => DONE,
        Err(Some(why)) => {
            say::problem(&format!("the demo stopped: {why}"), None);
            FAILED
        }
        Err(None) => FAILED,
    }
}

/// The whole demo; an error that was not said yet comes with its reason.
async fn play(time: Duration) -> Result<(), Option<String>> {
    let broken = |error: std::io::Error| Some(error.to_string());
    let directory = Directory::new().map_err(broken)?;
    let tasks = Tasks::default();
    let ending = CancellationToken::new();

    let (shop, serving) = Shop::start(loopback().await.map_err(broken)?).map_err(broken)?;
    let shop_ending = ending.clone();
    tasks.spawn(async move {
        tokio::select! {
            _ = serving => {}
            () = shop_ending.cancelled() => {}
        }
    });

    let secret = format!("whsec_{}", "ZG9vcmJlbGwtZGVtby1zZWNyZXQ=");
    let receiver = loopback().await.map_err(broken)?;
    let receiver_url = format!("http://{}/orders", receiver.local_addr().map_err(broken)?);
    let verifier =
        Verifier::new(Scheme::Standard, &[Secret::new(&secret)]).map_err(|complaint| Some(complaint.problem))?;
    let options = Options { verifier: Some(verifier), status: StatusCode::OK, fail_first: 0, wall_clock };
    let receiver_ending = ending.clone();
    tasks.spawn(async move {
        let arrived = |received: &listen::Received| say::result(&indented(&block(received)));
        // It ends with the demo; a broken listener shows itself in the bridge's log.
        let _ = listen::serve(receiver, options, arrived, receiver_ending.cancelled_owned()).await;
    });

    let text = config_text(&shop.url(), &receiver_url, &secret, &directory.0.join("demo.db").display().to_string());
    let config = load(&directory, &text)?;
    let daemon = Daemon::start(&config, open_state(&config).map_err(|_| None)?, Begin::OnSchedule);
    let daemon = daemon.await.map_err(|error| Some(error.to_string()))?;
    let listener = Listener::bind(&config.daemon.listen).await.map_err(broken)?;
    let api = listener.as_ref().and_then(Listener::tcp_address);
    if let Some(listener) = listener {
        daemon.serve(listener, &config, None);
    }
    let api = api.map_or_else(String::new, |address| format!("http://{address}"));

    say::result(&opening(&shop.url(), &text, &api));
    let told = tell(&shop, time).await;
    say::result(&closing(told, &api));
    let stopped = daemon.stop().await;
    ending.cancel();
    tasks.wait().await;
    stopped.map_err(|error| Some(error.to_string()))
}

async fn loopback() -> std::io::Result<TcpListener> {
    TcpListener::bind("127.0.0.1:0").await
}

/// Lets things happen in the shop until the time is up or Ctrl-C; returns how many.
async fn tell(shop: &Shop, time: Duration) -> usize {
    let mut told = 0;
    let telling = async {
        tokio::time::sleep(OPENING).await;
        loop {
            told += 1;
            say::result(&format!("shop      {}", shop.tick()));
            tokio::time::sleep(TICK).await;
        }
    };
    tokio::select! {
        () = telling => {}
        () = tokio::time::sleep(time.saturating_sub(CLOSING)) => tokio::time::sleep(CLOSING).await,
        // Where Ctrl-C can't be caught, it ends the process.
        _ = tokio::signal::ctrl_c() => {}
    }
    told
}

/// The demo's config, written and read like any other.
fn load(directory: &Directory, text: &str) -> Result<Arc<Config>, Option<String>> {
    let path = directory.0.join("doorbell.toml");
    std::fs::write(&path, text).map_err(|error| Some(error.to_string()))?;
    let loaded = config::load(&path, &SystemLookup).map_err(|problems| Some(problems.render(false)))?;
    Ok(Arc::new(loaded.config))
}

fn config_text(shop: &str, receiver: &str, secret: &str, state: &str) -> String {
    format!(
        "[daemon]\nstate  = \"{state}\"\nlisten = \"127.0.0.1:0\"\n\n[job.orders]\nurl     = \"{shop}/orders\"\n\
         every   = \"500ms\"\nitems   = \"$.orders[*]\"\nkey     = \"$.id\"\nsend_to = [\"receiver\"]\n\n\
         [sink.receiver]\nurl    = \"{receiver}\"\nsecret = \"{secret}\"\n"
    )
}

fn opening(shop: &str, config: &str, api: &str) -> String {
    let job: String =
        config.lines().skip_while(|line| !line.starts_with("[job")).fold(String::new(), |mut text, line| {
            // Writing to a String can't fail.
            let _ = writeln!(text, "{}", format!("    {line}").trim_end());
            text
        });
    format!(
        "A shop at {shop}/orders has no webhooks. This is the bridge's config:\n\n{}\n\nThe bridge polls the shop twice a \
         second and sends a signed webhook when an order changed.\nMeanwhile, in another terminal: doorbell status --url \
         {api}\n",
        job.trim_end()
    )
}

fn closing(told: usize, api: &str) -> String {
    format!(
        "\n{told} things happened in the shop, and each was one webhook. While it ran, the bridge told of them at \
         {api}/api/v1/events too.\n\nWhere to go next:\n  doorbell --help          the commands\n  \
         docs/guide.md            a config of your own, in ten lines\n  config.example.toml      every key with its \
         meaning"
    )
}

fn indented(text: &str) -> String {
    let lines: Vec<String> = text.trim_end().lines().map(|line| format!("          {line}")).collect();
    format!("webhook   {}\n", lines.join("\n").trim_start())
}

/// A directory of the demo's own, removed with all that is in it.
struct Directory(PathBuf);

impl Directory {
    fn new() -> std::io::Result<Self> {
        let path = std::env::temp_dir().join(format!("doorbell-demo-{}-{:x}", std::process::id(), fastrand::u64(..)));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // A directory that stays in the system's temporary folder harms nobody.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
