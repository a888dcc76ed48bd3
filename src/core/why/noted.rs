//! Which items were looked at closely a short while ago: a field that changes with every poll costs a closer look an
//! hour, and nothing in between.
//!
//! It forgets with the process; then the one row of each item is written once more.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::core::names::{JobUid, KeyDigest, Scope};
use crate::core::time::Timestamp;
use crate::core::why::Observation;

/// How long nothing more is noted of an item that was.
const REST: Duration = Duration::from_secs(60 * 60);

/// Items that are remembered: about half a megabyte. Of more than so many in an hour nothing is noted.
const ITEMS_MAX: usize = 10_000;

/// When each item was last looked at closely, and what each scope was last seen to hold, over all jobs.
#[derive(Debug, Default)]
pub struct Noted {
    items: Mutex<HashMap<u64, Timestamp>>,
    held: Mutex<HashMap<u64, u64>>,
}

impl Noted {
    /// True when these are not the observations that were made of this scope's hold the last time.
    pub fn is_news(&self, job: JobUid, scope: &Scope, held: &[Observation]) -> bool {
        let mut known = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let place = hash((job.0, scope));
        match held {
            [] => known.remove(&place).is_some(),
            held => {
                // In whatever order the vendor lists them.
                let all = held.iter().fold(0_u64, |all, one| all ^ hash((one.key, one.change, &one.seen)));
                known.insert(place, all) != Some(all)
            }
        }
    }

    /// True when it is time for a closer look at this item; then not again for an hour, whatever becomes of this one.
    pub fn is_due(&self, job: JobUid, scope: &Scope, key: KeyDigest, now: Timestamp) -> bool {
        let item = hash((job.0, scope, key));
        let rests = |at: &Timestamp| now < at.plus(REST);
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        if items.get(&item).is_some_and(rests) {
            return false;
        }
        if items.len() >= ITEMS_MAX {
            items.retain(|_, at| rests(at));
        }
        let has_room = items.len() < ITEMS_MAX;
        if has_room {
            items.insert(item, now);
        }
        has_room
    }
}

fn hash(what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    what.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::names::Key;
    use crate::core::why::{Seen, Silence};

    fn is_due(noted: &Noted, key: &str, now: i64) -> bool {
        noted.is_due(JobUid([1; 16]), &Scope::default(), Key::from(key).digest(), Timestamp(now))
    }

    #[test]
    fn an_item_is_due_once_an_hour() {
        let noted = Noted::default();
        let hour = 3_600_000;
        assert!(is_due(&noted, "a", 0) && is_due(&noted, "b", 5));
        assert!(!is_due(&noted, "a", 1) && !is_due(&noted, "a", hour - 1));
        assert!(is_due(&noted, "a", hour) && !is_due(&noted, "a", hour + 1));
    }

    #[test]
    fn a_hold_is_news_when_it_begins_when_it_becomes_another_and_when_it_is_over() {
        let held = |key: &str, pointer: &str| Observation {
            key: Key::from(key).digest(),
            at: Timestamp(1),
            silence: Silence::Held,
            change: None,
            seen: Seen { changed: vec![pointer.to_owned()], ..Seen::default() },
            polls: None,
        };
        let noted = Noted::default();
        let is_news = |held: &[Observation]| noted.is_news(JobUid([1; 16]), &Scope::default(), held);
        assert!(!is_news(&[]), "nothing was held before");
        assert!(is_news(&[held("a", "/x"), held("b", "/x")]));
        assert!(!is_news(&[held("b", "/x"), held("a", "/x")]));
        assert!(is_news(&[held("b", "/x"), held("a", "/y")]));
        assert!(is_news(&[held("b", "/x")]) && is_news(&[]) && !is_news(&[]));
    }

    #[test]
    fn it_never_grows_beyond_its_bound_and_has_room_again_an_hour_later() {
        let noted = Noted::default();
        let due = |now: i64| (0..ITEMS_MAX + 5).filter(|key| is_due(&noted, &key.to_string(), now)).count();
        assert_eq!(due(0), ITEMS_MAX);
        assert_eq!(due(3_600_000), ITEMS_MAX);
        assert!(noted.items.lock().unwrap().len() <= ITEMS_MAX);
    }
}
