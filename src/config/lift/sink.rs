//! `[sink.NAME]`: where webhooks go.
//!
//! What it signs with stands in `sign.rs`; nothing here sends.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::HeaderName;
use url::{Host, Url};

use super::auth::{self, Around};
use super::daemon::CONCURRENCY_BOUNDS;
use super::format::{self, Writing};
use super::job::condition;
use super::vendor::TIMEOUT_BOUNDS;
use super::{check_header_value, header_name, sign, transport};
use crate::config::keys::Table;
use crate::config::mask;
use crate::config::problem::Problem;
use crate::config::reader::{Field, Reader, Section};
use crate::config::written::Written;
use crate::core::address::{Verdict, judge_url};
use crate::core::auth::Auth;
use crate::core::backlog::{AtLimit, Limits};
use crate::core::batch::{BATCH_EVENTS_MAX, Batching};
use crate::core::delivery::Ladder;
use crate::core::names::SinkName;
use crate::core::secret::Masked;
use crate::core::sink::{Order, Sink};
use crate::core::transport::Transport;
use crate::core::units::{Rate, parse_rate};

/// For a whole attempt, when nothing is said.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Attempts in flight, when nothing is said.
const CONCURRENCY: u32 = 8;

/// The waits after failed attempts, when nothing is said, in seconds: 5 s, 5 m, 30 m, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h.
const LADDER: [u64; 9] = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];

/// Steps of a ladder: more attempts than this are no retry any more.
const STEPS_MAX: usize = 30;

/// Bounds of a step of a ladder.
const STEP_BOUNDS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(30 * 86_400);

/// Deliveries that may wait: what a column of a table still counts, far above any disk.
const BACKLOG_BOUNDS: RangeInclusive<u32> = 1..=u32::MAX;

/// How long a delivery may wait: less than a second is an attempt, not a wait.
const AGE_BOUNDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3650 * 86_400);

/// Events of a batch.
const BATCH_BOUNDS: RangeInclusive<u32> = 1..=BATCH_EVENTS_MAX;

/// How long the first of a batch waits: what is claimed waits in memory meanwhile.
const BATCH_WAIT_BOUNDS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);

/// Headers that a delivery has of its own.
pub(super) const RESERVED: &[(&str, &str)] = &[
    ("content-length", "it follows from the body"),
    ("transfer-encoding", "it follows from the body"),
    ("connection", "it belongs to the connection"),
    ("content-type", "it follows from `format`"),
    ("user-agent", "it says which version of Doorbell sends"),
    ("webhook-id", "it is the event's id"),
    ("webhook-timestamp", "it is the time of the attempt"),
    ("webhook-signature", "it comes from `secret`"),
    ("doorbell-attempt", "it counts the attempts"),
    ("doorbell-skipped", "it names events that never came"),
    ("doorbell-skipped-more", "it counts events that never came"),
];

/// One sink; every problem with it is noted before it is given up.
pub(super) fn lift(name: &str, section: &Section<'_>, reader: &mut Reader<'_>) -> Option<Sink> {
    let url = match section.field("url") {
        Some(field) => url(&field, reader),
        None => {
            let hint = "add `url = \"https://…\"`, the receiver of the webhooks";
            reader.lacks(section, &["url"], format!("{} lacks its `url`", section.title), hint);
            None
        }
    };
    let headers = section.field("headers").map(|field| headers(&field, reader)).unwrap_or_default();
    let signer = sign::signer(name, section, reader);
    let Writing { form, thin } = format::writing(section, reader);
    let (form, thin) = (form.unwrap_or_default(), thin.unwrap_or(false));
    format::check(section, &form, thin, reader);
    let auth = section.field("auth").and_then(|field| credentials(&field, &headers, reader));
    let handshake = section.field("handshake").and_then(|field| reader.boolean(&field)).unwrap_or(false);
    let transport = transport(section, url.as_ref().map(|(url, _)| url), reader);
    let when = section.field("when").and_then(|field| condition(&field, reader));
    let timeout = section.field("timeout").and_then(|field| reader.duration(&field, &TIMEOUT_BOUNDS));
    let ladder = section.field("retry").map_or_else(default_ladder, |field| ladder(&field, reader));
    let concurrency = section.field("concurrency").and_then(|field| reader.whole(&field, &CONCURRENCY_BOUNDS));
    let order = section.field("order").and_then(|field| reader.one_of(&field, &Order::WORDS));
    let rate = section.field("rate").and_then(|field| rate(&field, reader));
    let limits = limits(section, reader);
    let batching = section.field("batch").and_then(|field| batch(&field, reader));
    format::check_batch(section, &form, batching.is_some(), reader);
    let (url, shown_url) = url?;
    Some(Sink {
        name: SinkName::from(name),
        url,
        shown_url,
        headers,
        signer,
        form,
        thin,
        auth,
        transport,
        handshake,
        when,
        timeout: timeout.unwrap_or(TIMEOUT),
        ladder,
        concurrency: concurrency.unwrap_or(CONCURRENCY) as usize,
        rate,
        order: order.unwrap_or(Order::Key),
        batching,
        limits,
    })
}

/// The credentials: as those of a vendor, without templates.
fn credentials(field: &Field<'_>, headers: &[(HeaderName, Masked)], reader: &mut Reader<'_>) -> Option<Auth> {
    let auth = auth::auth(field, Around { names: &[], base: None }, reader)?;
    auth::check_twice(field, &auth, |header| headers.iter().any(|(name, _)| name == header), |_| false, reader);
    let own = auth.headers();
    for (_, why) in RESERVED.iter().filter(|(reserved, _)| own.iter().any(|name| name == reserved)) {
        let message = format!("`auth` can't use this header: {why}");
        reader.note(Problem::error(field.place(), message).hint("name another header"));
    }
    Some(auth)
}

/// Which addresses are refused, whose certificates count, and which proxy is used.
fn transport(section: &Section<'_>, url: Option<&Url>, reader: &mut Reader<'_>) -> Transport {
    let policy = transport::policy(section, reader);
    if let (Some(field), Some(url)) = (section.field("url"), url) {
        transport::warn_of_refusal(&field, url, &policy, reader);
    }
    let tls = transport::tls(section, reader).value();
    Transport { policy, tls, proxy: transport::proxy(section, reader).flatten() }
}

fn default_ladder() -> Ladder {
    Ladder(LADDER.iter().copied().map(Duration::from_secs).collect())
}

fn rate(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Rate> {
    reader.parsed(field, parse_rate)
}

/// How its events go together. Each of the two has a default, and so has the whole.
fn batch(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Batching> {
    let section = reader.table(field, Table::Batch)?;
    let default = Batching::default();
    let max = section.field("max").and_then(|field| reader.whole(&field, &BATCH_BOUNDS));
    let wait = section.field("wait").and_then(|field| reader.duration(&field, &BATCH_WAIT_BOUNDS));
    Some(Batching { max: max.map_or(default.max, |max| max as usize), wait: wait.unwrap_or(default.wait) })
}

fn limits(section: &Section<'_>, reader: &mut Reader<'_>) -> Limits {
    let default = Limits::default();
    let max_backlog = section.field("max_backlog").and_then(|field| reader.whole(&field, &BACKLOG_BOUNDS));
    let max_age = section.field("max_age").and_then(|field| reader.duration(&field, &AGE_BOUNDS));
    let choices = [("pause", AtLimit::Pause), ("drop_oldest", AtLimit::DropOldest)];
    let at_limit = section.field("at_limit").and_then(|field| reader.one_of(&field, &choices));
    Limits {
        max_backlog: max_backlog.map_or(default.max_backlog, u64::from),
        max_age,
        at_limit: at_limit.unwrap_or(default.at_limit),
    }
}

/// The receiver, and how it may be shown: its host only when the URL holds a secret.
fn url(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<(Url, String)> {
    let written = reader.text(field)?;
    let text = written.resolved();
    if !written.hides() && text.contains("{{") {
        let problem = Problem::error(field.place(), "a sink's `url` takes no template");
        reader.note(problem.hint("write it out: a sink is one receiver"));
        return None;
    }
    let url = match Url::parse(&text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url,
        Ok(_) => {
            let problem = Problem::error(field.place(), "a sink's `url` must begin with `https://` or `http://`");
            reader.note(problem.hint("write it as in `https://crm.example/hooks`"));
            return None;
        }
        Err(error) => {
            let problem = Problem::error(field.place(), format!("a sink's `url` must be a whole URL: {error}"));
            reader.note(problem.hint("write it as in `https://crm.example/hooks`"));
            return None;
        }
    };
    if url.scheme() == "http" && is_public(&url) {
        let problem =
            Problem::warning(field.place(), "events go to this sink unencrypted: anyone on the way can read them");
        reader.note(problem.hint("use `https://` when the receiver has it"));
    }
    let hidden = written.hides() || !url.username().is_empty() || url.password().is_some();
    let host = url.host_str().unwrap_or_default().to_owned();
    let shown = if hidden { host } else { url.as_str().to_owned() };
    Some((url, shown))
}

/// Does this URL lead out into the internet, as far as its host tells?
pub(super) fn is_public(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => {
            let local = ["localhost", "local", "internal", "lan", "home", "test", "corp"];
            name.contains('.') && !local.iter().any(|end| name.rsplit('.').next() == Some(end))
        }
        Some(Host::Ipv4(_) | Host::Ipv6(_)) => judge_url(url) == Some(Verdict::Public),
        None => false,
    }
}

fn headers(field: &Field<'_>, reader: &mut Reader<'_>) -> Vec<(HeaderName, Masked)> {
    let Some(section) = reader.open_table(field, Table::Sink) else { return Vec::new() };
    let mut headers: Vec<(HeaderName, Masked)> = Vec::new();
    for (place, field) in section.entries() {
        let name = header_name(&Written::plain(field.name), &place, RESERVED, reader);
        let Some(written) = reader.text(&field) else { continue };
        check_header_value(&field, &written, reader);
        let Some(name) = name else { continue };
        if headers.iter().any(|(known, _)| *known == name) {
            let message = format!("the header `{}` is there twice", field.name);
            reader.note(Problem::error(place, message).hint("upper and lower case are the same: take one out"));
            continue;
        }
        // What is written out and looks like a secret is shown no more than what a reference yields.
        let value = match mask::hides_header(field.name) && !written.hides() {
            true => Masked::new(written.resolved(), "***".to_owned()),
            false => written.masked(),
        };
        headers.push((name, value));
    }
    headers
}

fn ladder(field: &Field<'_>, reader: &mut Reader<'_>) -> Ladder {
    let steps = reader.list(field).unwrap_or_default();
    if steps.len() > STEPS_MAX {
        let problem = Problem::error(field.place(), format!("`retry` has {} steps", steps.len()));
        reader.note(problem.hint(format!("it may have {STEPS_MAX} at most")));
    }
    Ladder(steps.iter().filter_map(|step| reader.duration(step, &STEP_BOUNDS)).collect())
}
