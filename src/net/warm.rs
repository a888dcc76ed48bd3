//! Which hosts may keep idle connections: a bound on sockets that the client library doesn't have.
//!
//! Holds no connection itself; it only says which of two clients, one that keeps and one that doesn't, to use.

use std::collections::HashMap;
use std::time::{Duration, Instant};

/// How long an idle connection is kept. Less often than that, keeping one saves nothing.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// Hosts, each with its port, that keep connections at a time: with [`IDLE_PER_HOST`], no more than 1024 idle sockets, but for sinks
/// whose `concurrency` says that they need more.
const HOSTS_MAX: usize = 256;

/// Idle connections of one host.
pub(super) const IDLE_PER_HOST: usize = 4;

/// How often hosts that have gone cold are looked for when there is no room.
const SWEEP: Duration = Duration::from_secs(1);

/// The hosts that were asked within the last [`IDLE`].
#[derive(Debug, Default)]
pub(super) struct Warm {
    hosts: HashMap<String, Instant>,
    swept: Option<Instant>,
}

impl Warm {
    /// May a connection to `host`, which is being asked now, be kept?
    pub(super) fn keeps(&mut self, host: &str, now: Instant) -> bool {
        if let Some(last) = self.hosts.get_mut(host) {
            *last = now;
            return true;
        }
        if self.hosts.len() >= HOSTS_MAX {
            self.sweep(now);
        }
        let room = self.hosts.len() < HOSTS_MAX;
        if room {
            self.hosts.insert(host.to_owned(), now);
        }
        room
    }

    fn sweep(&mut self, now: Instant) {
        if self.swept.is_none_or(|last| now.duration_since(last) >= SWEEP) {
            self.hosts.retain(|_, last| now.duration_since(*last) < IDLE);
            self.swept = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crowd_of_hosts_keeps_a_bounded_number_of_connections() {
        let start = Instant::now();
        let mut warm = Warm::default();
        let kept = (0..100_000).filter(|host| warm.keeps(&format!("http://{host}"), start)).count();
        assert_eq!(kept, HOSTS_MAX);
        assert!(warm.keeps("http://0", start + SWEEP));
        assert!(!warm.keeps("http://99999", start + SWEEP));
    }

    #[test]
    fn a_host_that_is_not_asked_any_more_makes_room() {
        let start = Instant::now();
        let mut warm = Warm::default();
        for host in 0..HOSTS_MAX {
            assert!(warm.keeps(&format!("http://{host}"), start));
        }
        assert!(warm.keeps("http://0", start + IDLE / 2));
        assert!(warm.keeps("http://new", start + IDLE));
        assert_eq!(warm.hosts.len(), 2);
    }
}
