//! `[daemon]`.
//!
//! `include` is not here: the files have been read when this runs.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use super::later_value;
use crate::config::lookup::Lookup;
use crate::config::problem::Problem;
use crate::config::reader::{Reader, Section};
use crate::core::config::{Daemon, Listen, Reload};
use crate::core::path::Complaint;
use crate::core::secret::Secret;

/// The state file's name, in `$STATE_DIRECTORY` or the working directory.
const STATE: &str = "doorbell.db";

/// Where the API is when nothing is said.
const LISTEN: ([u8; 4], u16) = ([127, 0, 0, 1], 7411);

/// Polls in flight, when nothing is said.
const CONCURRENCY: u32 = 64;

/// Bounds of every `concurrency`: more than this exhausts file descriptors and helps nobody.
pub(super) const CONCURRENCY_BOUNDS: RangeInclusive<u32> = 1..=1000;

/// How long delivered events are kept, when nothing is said.
const RETENTION: Duration = Duration::from_secs(30 * 86_400);

/// Bounds of `retention`: shorter than a minute would prune what is being looked at.
const RETENTION_BOUNDS: RangeInclusive<Duration> = Duration::from_secs(60)..=Duration::from_secs(3650 * 86_400);

/// The daemon's settings; an absent table is one of defaults.
pub(super) fn lift(section: Option<&Section<'_>>, env: &dyn Lookup, reader: &mut Reader<'_>) -> Option<Daemon> {
    let field = |name: &str| section.and_then(|section| section.field(name));
    let state = state(section, env, reader);
    let listen = match field("listen") {
        None => Some(Listen::Tcp(SocketAddr::from(LISTEN))),
        Some(field) => reader.parsed(&field, listen),
    };
    let token = field("token").and_then(|field| {
        let written = reader.text(&field)?;
        if written.resolved().trim().is_empty() {
            reader.note(Problem::error(field.place(), "`token` is empty").hint("make one: `openssl rand -hex 32`"));
        }
        Some(Secret::new(&written.resolved()))
    });
    if let (Some(Listen::Tcp(address)), Some(section)) = (&listen, section)
        && !address.ip().is_loopback()
        && !section.has("token")
    {
        let place = section.field("listen").map_or_else(|| section.place(), |field| field.place());
        reader.note(
            Problem::error(place, "this address can be reached from outside, and there is no `token`")
                .hint("add `token = \"${env:DOORBELL_TOKEN}\"`, or listen on `127.0.0.1:7411` or `unix:/run/doorbell/doorbell.sock`")
                .of_absence(),
        );
    }
    let concurrency =
        field("concurrency").and_then(|field| reader.whole(&field, &CONCURRENCY_BOUNDS)).unwrap_or(CONCURRENCY);
    let retention =
        field("retention").and_then(|field| reader.duration(&field, &RETENTION_BOUNDS)).unwrap_or(RETENTION);
    let reload = field("reload")
        .and_then(|field| reader.one_of(&field, &[("signal", Reload::Signal), ("watch", Reload::Watch)]))
        .unwrap_or_default();
    Some(Daemon { state, listen: listen?, token, concurrency: concurrency as usize, reload, retention })
}

fn state(section: Option<&Section<'_>>, env: &dyn Lookup, reader: &mut Reader<'_>) -> PathBuf {
    // systemd separates several directories by colons (systemd.exec(5), StateDirectory=).
    let folder = env.variable("STATE_DIRECTORY").unwrap_or_default();
    let default = PathBuf::from(folder.split(':').next().unwrap_or_default()).join(STATE);
    let Some(field) = section.and_then(|section| section.field("state")) else { return default };
    let Some(written) = reader.text(&field) else { return default };
    let text = written.resolved();
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        later_value(&field, "PostgreSQL as `state`", reader);
    } else if text.is_empty() {
        reader.note(Problem::error(field.place(), "`state` is empty").hint("name a file: `state = \"doorbell.db\"`"));
    }
    PathBuf::from(text)
}

fn listen(text: &str) -> Result<Listen, Complaint> {
    if text == "off" {
        return Ok(Listen::Off);
    }
    let complaint = |problem: String, hint: &str| Complaint { problem, hint: Some(hint.to_owned()), span: None };
    match text.strip_prefix("unix:") {
        Some("") => Err(complaint("`unix:` lacks a path".into(), "write `unix:/run/doorbell/doorbell.sock`")),
        Some(path) => Ok(Listen::Unix(PathBuf::from(path))),
        None => text.parse().map(Listen::Tcp).map_err(|_| {
            let hint =
                "write an IP address and a port, as in `127.0.0.1:7411` or `[::1]:7411`, or `unix:/path`, or `off`";
            complaint(format!("`{text}` is not an address to listen on"), hint)
        }),
    }
}
