//! One job over many scopes: which values there are, every combination of them, and what a poll of all of them came to.
//!
//! Reads no ledger: the items of another job are handed in.

use std::collections::BTreeSet;

use crate::core::json::{Json, parse};
use crate::core::ledger::Remembered;
use crate::core::names::{JobName, Scope};
use crate::core::outcome::{Failure, FailureKind, PollOutcome};
use crate::core::path::JsonPath;

/// Scopes of one job: each is a request at least with every poll, and its state is held in memory.
pub const SCOPES_MAX: usize = 10_000;

/// Items of another job that are looked through for values: each is read from the ledger with every poll.
pub const SOURCE_ITEMS_MAX: usize = 10_000;

/// `[job.NAME.each]`: the names of a scope, sorted, with where their values come from.
#[derive(Clone, Debug)]
pub struct Each(pub Vec<(String, Values)>);

/// Not a failure: the other job's first complete poll is on its way.
pub fn waits(name: &str, job: &JobName) -> String {
    format!("`each.{name}` waits for the first complete poll of the job `{job}`")
}

/// Where the values of one name come from.
#[derive(Clone, Debug)]
pub enum Values {
    /// The config.
    List(Vec<Json>),
    /// The items of another job.
    Items {
        /// The other job.
        job: JobName,
        /// Where the value is, seen from an item.
        at: JsonPath,
    },
}

/// One scope of a poll.
#[derive(Clone, Debug, Default)]
pub struct Combination {
    /// What its ledger is kept under.
    pub scope: Scope,
    /// Its names and values, which templates see.
    pub values: Vec<(String, Json)>,
}

impl Combination {
    fn of(values: Vec<(String, Json)>) -> Self {
        let scope = Scope::from(Json::Object(values.clone()).to_string().as_str());
        Self { scope, values }
    }

    /// As a sentence calls it: `account=eu, region=7`.
    pub fn shown(&self) -> Option<String> {
        let shown = |(name, value): &(String, Json)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{name}={value}")
        };
        let pairs: Vec<String> = self.values.iter().map(shown).collect();
        (!pairs.is_empty()).then(|| pairs.join(", "))
    }
}

impl Each {
    /// The names, which templates see.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The jobs whose items are values, each with the name that they are for.
    pub fn sources(&self) -> impl Iterator<Item = (&str, &JobName)> {
        self.0.iter().filter_map(|(name, values)| match values {
            Values::Items { job, .. } => Some((name.as_str(), job)),
            Values::List(_) => None,
        })
    }

    /// May this be one of the scopes? Values of another job's items are not known here: any may be one.
    pub fn may_have(&self, scope: &str) -> bool {
        let Ok(Json::Object(values)) = parse(scope.as_bytes()) else { return false };
        let is_value = |(name, values): &(String, Values), (own, value): &(String, Json)| {
            name == own && !matches!(values, Values::List(list) if !list.contains(value))
        };
        self.0.len() == values.len() && self.0.iter().zip(&values).all(|(one, other)| is_value(one, other))
    }

    /// How many scopes there are, where the config alone says it.
    pub fn fixed(&self) -> Option<usize> {
        let count = |(_, values): &(String, Values)| match values {
            Values::List(list) => Some(list.len()),
            Values::Items { .. } => None,
        };
        self.0.iter().map(count).try_fold(1, |product: usize, count| Some(product.saturating_mul(count?)))
    }
}

/// Every combination of some values, in the order of the names.
///
/// # Errors
/// There are more than [`SCOPES_MAX`].
pub fn combinations(values: &[(&str, Vec<Json>)]) -> Result<Vec<Combination>, String> {
    let count = values.iter().fold(1, |product: usize, (_, values)| product.saturating_mul(values.len()));
    if count > SCOPES_MAX {
        return Err(format!("`each` makes {count} scopes, and a job has at most {SCOPES_MAX}"));
    }
    let mut all: Vec<Vec<(String, Json)>> = vec![Vec::new()];
    for (name, values) in values {
        let with = |known: &Vec<(String, Json)>| {
            let known = known.clone();
            let with = move |value: &Json| known.iter().cloned().chain([((*name).to_owned(), value.clone())]).collect();
            values.iter().map(with).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(with).collect();
    }
    Ok(all.into_iter().map(Combination::of).collect())
}

/// The values that another job's items hold, each once, and what is wrong with the first item that holds none.
///
/// # Errors
/// There are more than [`SOURCE_ITEMS_MAX`] items.
pub fn values_of(job: &JobName, at: &JsonPath, items: &[Remembered]) -> Result<(Vec<Json>, Option<String>), Failure> {
    if items.len() > SOURCE_ITEMS_MAX {
        let sentence =
            format!("the job `{job}` has more than {SOURCE_ITEMS_MAX} items, too many to make scopes of (`each`)");
        return Err(Failure::new(FailureKind::SelectorEmpty, sentence));
    }
    let (mut texts, mut values, mut without) = (BTreeSet::new(), Vec::new(), None);
    for item in items {
        let tree = parse(&item.body).unwrap_or_default();
        match at.select(&tree).first() {
            Some(value @ (Json::String(_) | Json::Number(_) | Json::Bool(_))) => {
                if texts.insert(value.to_string()) {
                    values.push((*value).clone());
                }
            }
            _ => {
                without.get_or_insert_with(|| {
                    format!("the item `{}` of the job `{job}` has no text or number at `{}`", item.key, at.as_str())
                });
            }
        }
    }
    Ok((values, without))
}

/// A scope of a poll that has ended, and how.
pub type ScopeEnd = (Combination, PollOutcome);

/// What a poll of several scopes came to: complete only when all of them are. `unasked` are those that were left for the
/// next poll; `remark` is something else that keeps it from being complete.
pub fn sum(mut ended: Vec<ScopeEnd>, unasked: usize, remark: Option<String>) -> PollOutcome {
    let all = ended.len() + unasked;
    let bad: Vec<usize> = (0..ended.len()).filter(|at| ended[*at].1.reason().is_some()).collect();
    let rest = match unasked {
        0 => String::new(),
        1 => format!("; 1 scope of {all} was left for the next poll"),
        more => format!("; {more} scopes of {all} were left for the next poll"),
    };
    let Some(first) = bad.first().copied() else {
        return match remark {
            Some(remark) => PollOutcome::Partial(remark),
            None if unasked > 0 => PollOutcome::Partial(rest.trim_start_matches("; ").to_owned()),
            None if ended.iter().any(|(_, outcome)| *outcome == PollOutcome::Complete) => PollOutcome::Complete,
            None => PollOutcome::Unchanged,
        };
    };
    let others = match bad.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more of {all} scopes)"),
    };
    let all_failed = ended.iter().all(|(_, outcome)| matches!(outcome, PollOutcome::Failed(_)));
    let (place, outcome) = ended.swap_remove(first);
    let says = |reason: &str| match place.shown() {
        Some(shown) => format!("in the scope {shown}: {reason}{others}{rest}"),
        None => reason.to_owned(),
    };
    match outcome {
        PollOutcome::Failed(failure) if all_failed => {
            let sentence = says(&failure.sentence);
            PollOutcome::Failed(Failure { sentence, ..failure })
        }
        outcome => PollOutcome::Partial(says(outcome.reason().unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::core::names::Key;

    fn texts(values: &[&str]) -> Vec<Json> {
        values.iter().map(|value| Json::from(*value)).collect()
    }

    fn end(account: &str, outcome: PollOutcome) -> ScopeEnd {
        (Combination::of(vec![("account".to_owned(), Json::from(account))]), outcome)
    }

    fn failed(sentence: &str) -> PollOutcome {
        PollOutcome::Failed(Failure::new(FailureKind::Status, sentence))
    }

    #[test]
    fn every_combination_is_a_scope() {
        let values = [("account", texts(&["eu", "us"])), ("kind", vec![parse(b"7").unwrap(), Json::from("b")])];
        let scopes: Vec<String> =
            combinations(&values).unwrap().iter().map(|combination| combination.scope.to_string()).collect();
        let expected = [
            r#"{"account":"eu","kind":7}"#,
            r#"{"account":"eu","kind":"b"}"#,
            r#"{"account":"us","kind":7}"#,
            r#"{"account":"us","kind":"b"}"#,
        ];
        assert_eq!(scopes, expected);
    }

    #[test]
    fn too_many_combinations_are_none() {
        let many: Vec<Json> = (0..101).map(|number| Json::from(number.to_string())).collect();
        let error = combinations(&[("a", many.clone()), ("b", many)]).unwrap_err();
        assert_eq!(error, "`each` makes 10201 scopes, and a job has at most 10000");
    }

    #[test]
    fn an_item_gives_its_value_once_and_one_without_is_named() {
        let item = |key: &str, body: &str| Remembered { key: Key::from(key), body: Bytes::from(body.to_owned()) };
        let items = [
            item("1", r#"{"code":"eu"}"#),
            item("2", r#"{"code":null}"#),
            item("3", r#"{"code":"eu"}"#),
            item("4", r#"{"code":7}"#),
        ];
        let at = JsonPath::parse("$.code").unwrap();
        let (values, without) = values_of(&JobName::from("regions"), &at, &items).unwrap();
        assert_eq!(values, [Json::from("eu"), parse(b"7").unwrap()]);
        assert_eq!(without.unwrap(), "the item `2` of the job `regions` has no text or number at `$.code`");
    }

    #[test]
    fn a_poll_is_complete_when_all_scopes_are() {
        let (complete, unchanged) = (PollOutcome::Complete, PollOutcome::Unchanged);
        for (ended, unasked, expected) in [
            (vec![end("a", complete.clone()), end("b", unchanged.clone())], 0, complete.clone()),
            (vec![end("a", unchanged.clone()), end("b", unchanged.clone())], 0, unchanged.clone()),
            (Vec::new(), 0, unchanged),
            (
                vec![end("a", complete.clone()), end("b", failed("HTTP 500"))],
                0,
                PollOutcome::Partial("in the scope account=b: HTTP 500".to_owned()),
            ),
            (
                vec![end("a", failed("HTTP 401"))],
                2,
                failed("in the scope account=a: HTTP 401; 2 scopes of 3 were left for the next poll"),
            ),
            (
                vec![end("a", failed("HTTP 500")), end("b", failed("HTTP 502"))],
                0,
                failed("in the scope account=a: HTTP 500 (and 1 more of 2 scopes)"),
            ),
        ] {
            assert_eq!(sum(ended, unasked, None), expected);
        }
        let remark = sum(vec![end("a", complete)], 0, Some("waits".to_owned()));
        assert_eq!(remark, PollOutcome::Partial("waits".to_owned()));
    }
}
