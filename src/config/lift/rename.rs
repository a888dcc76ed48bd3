//! `rename`: the name that a job had before, under which the state remembers it.
//!
//! Whether the state does so is nothing that a config can know.

use std::collections::BTreeMap;

use crate::config::problem::Problem;
use crate::config::reader::{Field, Reader};
use crate::core::names::JobName;

use super::Named;

/// The former name of the job `name`.
pub(super) fn rename(name: &str, field: &Field<'_>, reader: &mut Reader<'_>) -> Option<JobName> {
    let written = reader.text(field)?;
    let old = written.resolved();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if old.is_empty() || old.len() > super::NAME_MAX || !old.chars().all(plain) {
        let problem = Problem::error(field.place(), format!("`{}` can't have been a job's name", written.spelled()));
        reader.note(problem.hint("write the name that the job had: the part after `job.` of its table"));
        return None;
    }
    if old == name {
        let problem = Problem::error(field.place(), format!("`{name}` is the job's name, not the one before"));
        reader.note(problem.hint("write the name that the job had, or take `rename` out"));
        return None;
    }
    Some(JobName::from(old.as_str()))
}

/// Notes former names that are still in use, or that two jobs claim.
pub(super) fn check(jobs: &Named<'_>, reader: &mut Reader<'_>) {
    let mut claimed: BTreeMap<String, (&str, Field<'_>)> = BTreeMap::new();
    for (name, section) in jobs {
        let Some(field) = section.field("rename") else { continue };
        let Some(old) = field.value.get_ref().as_str().map(str::to_owned) else { continue };
        if old == **name {
            continue;
        }
        if let Some(still) = jobs.get(old.as_str()) {
            let problem = Problem::error(field.place(), format!("`{old}` is still a job of this config"));
            let hint = "a state has one owner: take the old table out, or take `rename` out";
            reader.note(problem.hint(hint).also(still.place(), "it is here"));
        }
        if let Some((first, place)) = claimed.get(&old) {
            let problem = Problem::error(field.place(), format!("`{name}` and `{first}` both take over `{old}`"));
            reader
                .note(problem.hint("a state has one owner: take one of the two out").also(place.place(), "the first"));
            continue;
        }
        claimed.insert(old, (name, field));
    }
}
