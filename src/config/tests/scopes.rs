//! `each`: what it comes to, and what is said of each mistake.

use super::{loaded, printed, with};

/// A config of the job `j` with more lines, and the job `regions`.
fn job(more: &str) -> String {
    let sink = "[sink.s]\nurl = \"https://s.example\"\n";
    let regions = "[job.regions]\nurl = \"https://a.example/r\"\nevery = \"1m\"\nitems = \"$[*]\"\nkey = \"$.id\"\nsend_to = [\"s\"]\n";
    format!(
        "{sink}{regions}[job.j]\nurl = \"https://a.example/{{{{ account }}}}\"\nevery = \"1m\"\nsend_to = [\"s\"]\n{more}\n"
    )
}

#[test]
fn scopes_are_named_in_requests() {
    let loaded =
        loaded(&with(&job("each = { region = { job = \"regions\", at = \"$.code\" }, account = [\"eu\", 7] }")));
    let each = loaded.config.jobs.iter().find_map(|job| job.each.clone()).expect("scopes");
    assert_eq!(each.names().collect::<Vec<_>>(), ["account", "region"]);
    assert_eq!((each.fixed(), each.sources().count()), (None, 1));
}

#[test]
fn a_vendors_templates_see_what_its_jobs_have() {
    let vendor = "[vendor.v]\nbase_url = \"https://a.example\"\nheaders = { X-Account = \"{{ account }}\" }\n";
    let good = format!("{vendor}{}", job("vendor = \"v\"\neach = { account = [\"eu\"] }"));
    assert!(loaded(&with(&good)).config.jobs.len() == 2);
    let bad = good.replace("url = \"https://a.example/r\"", "url = \"/r\"\nvendor = \"v\"");
    let text = printed(&with(&bad));
    assert!(
        text.contains("`headers.x-account` of the vendor `v` needs a name that `[job.regions]` does not have"),
        "{text}"
    );
}

#[test]
fn each_mistake_is_named() {
    for (each, expected) in [
        ("each = {}", "`each` is empty: there is no scope to poll"),
        ("each = { account = [] }", "`account` is an empty list"),
        ("each = { account = [\"eu\", \"eu\"] }", "\"eu\" is there twice"),
        ("each = { account = [\"\"] }", "a scope's value can't be empty"),
        ("each = { account = \"eu\" }", "a list, as in"),
        ("each = { account = [\"${env:SECRET}\"] }", "can't be taken from a reference"),
        ("each = { account = [\"eu\"], key = [\"a\"] }", "`key` can't be the name of a scope's value"),
        ("each = { account = [\"eu\"], \"a-b\" = [\"a\"] }", "`a-b` can't be the name of a scope's value"),
        ("each = { account = [\"eu\"], not = [\"a\"] }", "`not` can't be the name of a scope's value"),
        ("each = { job = \"regions\", at = \"$.code\" }", "region = { job = \"regions\", at = \"$.code\" }"),
        ("each = { account = { job = \"region\", at = \"$.code\" } }", "did you mean `regions`?"),
        ("each = { account = { job = \"regions\" } }", "`account` lacks its `at`"),
        ("each = { account = { at = \"$.code\" } }", "`account` lacks its `job`"),
        ("each = { account = { job = \"j\", at = \"$.code\" } }", "`each` goes in a circle"),
    ] {
        let text = printed(&with(&job(each)).variable("SECRET", "x"));
        assert!(text.contains(expected), "{each}: {text}");
    }
}

#[test]
fn there_is_a_limit_to_scopes() {
    let list: Vec<String> = (0..101).map(|number| format!("\"{number}\"")).collect();
    let list = list.join(", ");
    let text = printed(&with(&job(&format!("each = {{ account = [{list}], region = [{list}] }}"))));
    assert!(text.contains("`each` makes 10201 scopes, and a job has at most 10000"), "{text}");
}
