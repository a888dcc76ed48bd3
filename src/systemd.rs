//! Talking to systemd: `sd_notify(3)` in a datagram, and the watchdog that is fed by progress.
//!
//! It asks no clock: what time it is comes in. Without `NOTIFY_SOCKET` every call is a no-op.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::core::observe::Pulse;
use crate::core::time::Timestamp;

/// A status line is cut to this many bytes: it is for `systemctl status`, and a datagram has bounds.
const STATUS_MAX: usize = 1024;

/// Tells the service manager how far the daemon is.
#[derive(Debug, Default)]
pub struct Notifier(Option<UnixDatagram>);

impl Notifier {
    /// To the socket that `NOTIFY_SOCKET` names, where there is one.
    ///
    /// # Errors
    ///
    /// The variable is set, but its socket can't be reached.
    pub fn from_env() -> io::Result<Self> {
        match std::env::var_os("NOTIFY_SOCKET") {
            Some(name) if !name.is_empty() => Self::to(&name),
            _ => Ok(Self::default()),
        }
    }

    /// To a path, or to an abstract socket, whose name begins with `@`.
    fn to(name: &OsStr) -> io::Result<Self> {
        let address = match name.as_bytes().split_first() {
            Some((b'@', rest)) => SocketAddr::from_abstract_name(rest)?,
            _ => SocketAddr::from_pathname(name)?,
        };
        let socket = UnixDatagram::unbound()?;
        socket.connect_addr(&address)?;
        // A manager that does not read must not stop us.
        socket.set_nonblocking(true)?;
        Ok(Self(Some(socket)))
    }

    /// The config is valid, the state is open and the listener is bound.
    pub fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// The config is read again; [`Notifier::ready`] follows, whatever came of it (sd_notify(3), `RELOADING=1`).
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let usec = now.tv_sec.saturating_mul(1_000_000) + now.tv_nsec / 1_000;
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={usec}"));
    }

    /// The line that `systemctl status` shows.
    pub fn status(&self, status: &str) {
        self.send(&format!("STATUS={}", one_line(status)));
    }

    /// The daemon drains.
    pub fn stopping(&self, status: &str) {
        self.send(&format!("STOPPING=1\nSTATUS={}", one_line(status)));
    }

    /// Feeds the watchdog. Only to be called when [`watchdog_due`] says so.
    pub fn watchdog(&self) {
        self.send("WATCHDOG=1");
    }

    /// A message that is lost costs a status line, or one of two feedings of the watchdog.
    fn send(&self, message: &str) {
        if let Some(socket) = &self.0
            && let Err(error) = socket.send(message.as_bytes())
        {
            tracing::debug!(%error, "systemd was not told");
        }
    }
}

/// A line break would begin another variable.
fn one_line(status: &str) -> String {
    let mut line = String::new();
    for c in status.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if line.len() + c.len_utf8() > STATUS_MAX {
            break;
        }
        line.push(c);
    }
    line
}

/// How often to feed the watchdog: half of what `WatchdogSec=` allows, as `sd_watchdog_enabled(3)` advises; `None`
/// when there is no watchdog, or it is for another process.
pub fn watchdog_interval() -> Option<Duration> {
    let variable = |name| std::env::var(name).ok();
    interval(variable("WATCHDOG_USEC").as_deref(), variable("WATCHDOG_PID").as_deref(), std::process::id())
}

fn interval(usec: Option<&str>, for_pid: Option<&str>, pid: u32) -> Option<Duration> {
    if for_pid.is_some_and(|for_pid| for_pid.parse() != Ok(pid)) {
        return None;
    }
    let usec: u64 = usec?.parse().ok()?;
    (usec > 0).then(|| Duration::from_micros(usec) / 2)
}

/// Is the daemon alive enough for the watchdog to be fed? The same judgement as `/healthz`: the scheduler and the
/// store made progress, so that a wedge is noticed though a timer still runs.
pub fn watchdog_due(pulse: &Pulse, started: Timestamp, now: Timestamp) -> bool {
    pulse.alive(started, now).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 4096];
        let length = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[test]
    fn systemd_is_told_over_its_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let systemd = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::to(path.as_os_str()).unwrap();
        notifier.ready("3 jobs\nWATCHDOG=trigger");
        assert_eq!(received(&systemd), "READY=1\nSTATUS=3 jobs WATCHDOG=trigger");
        notifier.watchdog();
        assert_eq!(received(&systemd), "WATCHDOG=1");
        notifier.status(&"ü".repeat(STATUS_MAX));
        assert_eq!(received(&systemd).len(), "STATUS=".len() + STATUS_MAX);
        notifier.reloading();
        let reloading = received(&systemd);
        let usec = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
        assert!(usec.parse::<u64>().unwrap() > 0, "{reloading}");
        notifier.stopping("draining");
        assert_eq!(received(&systemd), "STOPPING=1\nSTATUS=draining");
    }

    #[test]
    fn an_abstract_socket_begins_with_an_at_sign() {
        let name = format!("doorbell-test-{}", std::process::id());
        let systemd = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Notifier::to(OsStr::new(&format!("@{name}"))).unwrap().watchdog();
        assert_eq!(received(&systemd), "WATCHDOG=1");
    }

    #[test]
    fn a_manager_that_does_not_read_does_not_stop_us() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let _systemd = UnixDatagram::bind(&path).unwrap();
        let notifier = Notifier::to(path.as_os_str()).unwrap();
        (0..10_000).for_each(|_| notifier.watchdog());
    }

    #[test]
    fn without_systemd_nothing_happens() {
        Notifier::default().ready("3 jobs");
        assert!(Notifier::to(OsStr::new("/nonexistent/notify")).is_err());
    }

    #[test]
    fn the_watchdog_is_fed_twice_in_its_time() {
        assert_eq!(interval(Some("30000000"), None, 7), Some(Duration::from_secs(15)));
        assert_eq!(interval(Some("30000000"), Some("7"), 7), Some(Duration::from_secs(15)));
        assert_eq!(interval(Some("30000000"), Some("8"), 7), None);
        for nothing in [None, Some("0"), Some(""), Some("soon")] {
            assert_eq!(interval(nothing, None, 7), None, "{nothing:?}");
        }
    }

    #[test]
    fn a_wedged_daemon_does_not_feed_the_watchdog() {
        let pulse = Pulse::default();
        let at = |seconds: i64| Timestamp(seconds * 1000);
        pulse.scheduler_beat(at(100));
        pulse.store_beat(at(100));
        assert!(watchdog_due(&pulse, at(0), at(110)));
        pulse.scheduler_beat(at(200));
        assert!(!watchdog_due(&pulse, at(0), at(200)), "the store is stuck");
    }
}
