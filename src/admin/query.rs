//! Reading a call's query: strict, so that a slip of the finger is told and not ignored.
//!
//! It knows parameters, not what is done with them.

use std::collections::BTreeMap;

use http::StatusCode;

use crate::admin::nearest::nearest;
use crate::admin::problem::Problem;
use crate::core::time::Timestamp;
use crate::core::view::{CHANGES, EventFilter};

/// Rows of a page when the caller doesn't say.
const LIMIT_DEFAULT: u32 = 100;

/// Rows of a page at most: it is built in memory.
pub(super) const LIMIT_MAX: u32 = 1000;

/// The parameters of a call, each at most once and each one that the call has.
pub(super) struct Query(BTreeMap<String, String>);

impl Query {
    pub(super) fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, Problem> {
        let mut values = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if !known.contains(&&*name) {
                return Err(unknown(&name, known));
            }
            if values.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(Problem::bad_request(format!("`{name}` is given twice")));
            }
        }
        Ok(Self(values))
    }

    /// Takes a parameter out.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// Takes a parameter out and reads it; `what` says what it should have been.
    pub(super) fn read<T>(
        &mut self,
        name: &str,
        what: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.take(name) else { return Ok(None) };
        match read(&text) {
            Some(value) => Ok(Some(value)),
            None => Err(Problem::bad_request(format!("`{name}` is `{}`, but must be {what}", text.escape_debug()))),
        }
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<bool, Problem> {
        Ok(self.read(name, "`true` or `false`", |text| text.parse().ok())?.unwrap_or(false))
    }

    pub(super) fn limit(&mut self) -> Result<u32, Problem> {
        let within = |text: &str| text.parse().ok().filter(|limit| (1..=LIMIT_MAX).contains(limit));
        Ok(self.read("limit", &format!("a number from 1 to {LIMIT_MAX}"), within)?.unwrap_or(LIMIT_DEFAULT))
    }
}

fn unknown(name: &str, known: &[&str]) -> Problem {
    let name = name.escape_debug();
    let detail = match (nearest(&name.to_string(), known.iter().copied()), known) {
        (Some(near), _) => format!("there is no parameter `{name}`; did you mean `{near}`?"),
        (None, []) => format!("there is no parameter `{name}`; this call has none"),
        (None, _) => format!("there is no parameter `{name}`; there are `{}`", known.join("`, `")),
    };
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

/// The parameters of `/api/v1/events`.
const EVENTS: [&str; 7] = ["job", "key", "change", "since", "order", "after", "limit"];

/// Reads the query of `/api/v1/events`.
pub(super) fn event_filter(query: Option<&str>) -> Result<EventFilter, Problem> {
    let mut query = Query::parse(query, &EVENTS)?;
    let what = format!("one of `{}`", CHANGES.join("`, `"));
    let change = query.read("change", &what, |word| CHANGES.into_iter().find(|known| *known == word))?;
    let order = query.read("order", "`newest` or `oldest`", |text| match text {
        "newest" => Some(false),
        "oldest" => Some(true),
        _ => None,
    })?;
    Ok(EventFilter {
        job: query.take("job"),
        key: query.take("key"),
        change: change.map(str::to_owned),
        since: query.read("since", "an RFC 3339 date such as `2026-11-20T15:04:05Z`", Timestamp::parse)?,
        oldest_first: order.unwrap_or(false),
        after: query.read("after", "the `next` of the page before", |text| text.parse().ok())?,
        limit: Some(query.limit()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail(query: &str) -> String {
        event_filter(Some(query)).unwrap_err().detail
    }

    #[test]
    fn a_filter_is_read_whole() {
        let filter = event_filter(Some(
            "job=orders&key=a%2Fb%26c&change=deleted&since=2026-11-20T15:04:05Z&order=oldest&after=7&limit=1000",
        ));
        let filter = filter.unwrap();
        assert_eq!(filter.job.as_deref(), Some("orders"));
        assert_eq!(filter.key.as_deref(), Some("a/b&c"));
        assert_eq!(filter.change.as_deref(), Some("deleted"));
        assert_eq!(filter.since, Timestamp::parse("2026-11-20T15:04:05Z"));
        assert!(filter.oldest_first);
        assert_eq!((filter.after, filter.limit), (Some(7), Some(1000)));
    }

    #[test]
    fn system_events_are_found_by_their_change_too() {
        use crate::core::alert::Kind;
        use crate::core::diff::Change;

        let items = [Change::Created, Change::Updated, Change::Deleted, Change::Restored].map(Change::as_str);
        for word in items.into_iter().chain(Kind::ALL.map(Kind::word)) {
            let filter = event_filter(Some(&format!("change={word}"))).unwrap();
            assert_eq!(filter.change.as_deref(), Some(word));
        }
    }

    #[test]
    fn newest_first_is_the_default_and_a_page_is_bounded() {
        let filter = event_filter(None).unwrap();
        assert!(!filter.oldest_first);
        assert_eq!(filter.limit, Some(LIMIT_DEFAULT));
    }

    #[test]
    fn what_is_wrong_is_told_with_what_would_be_right() {
        assert_eq!(detail("jobs=orders"), "there is no parameter `jobs`; did you mean `job`?");
        assert!(detail("zzz=1").contains("there are `job`, `key`"));
        assert_eq!(detail("job=a&job=b"), "`job` is given twice");
        assert_eq!(detail("order=up"), "`order` is `up`, but must be `newest` or `oldest`");
        for bad in ["limit=0", "limit=1001", "limit=-1", "limit=x", "after=x", "since=1h", "change=changed"] {
            assert!(detail(bad).contains("but must be"), "{bad}");
        }
    }
}
