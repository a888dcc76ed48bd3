//! The name that a job had before.

use super::*;
use crate::core::names::JobName;

/// Jobs `a` and `b` with these lines.
fn jobs(a: &str, b: &str) -> String {
    format!(
        "[job.a]\nurl = \"https://a.example\"\nevery = \"1s\"\nsend_to = [\"s\"]\n{a}\n\
         [job.b]\nurl = \"https://b.example\"\nevery = \"1s\"\nsend_to = [\"s\"]\n{b}\n\
         [sink.s]\nurl = \"https://s.example\"\n"
    )
}

#[test]
fn a_job_says_what_it_was_called() {
    let loaded = loaded(&with(&jobs("rename = \"orders\"", "")));
    assert_eq!(loaded.config.jobs[0].rename.as_ref().map(JobName::as_str), Some("orders"));
    assert_eq!(loaded.config.renames().len(), 1);
}

#[test]
fn a_state_has_one_owner() {
    for (a, b, expected) in [
        ("rename = \"b\"", "", "`b` is still a job of this config"),
        ("rename = \"old\"", "rename = \"old\"", "`b` and `a` both take over `old`"),
        ("rename = \"a\"", "", "`a` is the job's name, not the one before"),
        ("rename = \"\"", "", "`` can't have been a job's name"),
        ("rename = \"job.old\"", "", "`job.old` can't have been a job's name"),
        ("rename = [\"old\"]", "", "`rename` takes text in quotes, not a list"),
    ] {
        let text = printed(&with(&jobs(a, b)));
        assert!(text.contains(expected), "{expected}\n{text}");
    }
}
