//! Each kind of edit, and what the plan says of it. No state is read here.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::core::alert::Alerts;
use crate::core::config::{Daemon, Listen};
use crate::core::each::{Each, Values};
use crate::core::job::plain as job;
use crate::core::json::Json;
use crate::core::names::Digest;
use crate::core::path::JsonPath;
use crate::core::sink::plain as sink;

fn config(jobs: Vec<Job>) -> Config {
    let daemon = Daemon {
        state: "unused".into(),
        listen: Listen::Off,
        token: None,
        reload: Default::default(),
        concurrency: 1,
        retention: Duration::from_secs(1),
    };
    let jobs = jobs.into_iter().map(Arc::new).collect();
    Config {
        daemon,
        alerts: Alerts::default(),
        jobs,
        vendors: Vec::new(),
        sinks: vec![sink("crm")],
        secrets: Default::default(),
    }
}

fn read(fingerprints: Fingerprints, scope: &str) -> ReadUnder {
    ReadUnder { fingerprints, scopes: vec![scope.to_owned()] }
}

/// The job as it was when the plain one had been polled.
fn standing(name: &str) -> JobStanding {
    JobStanding {
        name: name.to_owned(),
        in_config: true,
        known: true,
        read: vec![read(job(name).fingerprints, "")],
        baseline: true,
        mixed: false,
        items: 7,
        last_poll: Some(Timestamp(0)),
        waiting: 0,
    }
}

fn planned(jobs: Vec<Job>, standings: Vec<JobStanding>) -> Plan {
    plan(&config(jobs), &Standings { jobs: standings, sinks: Vec::new() })
}

/// `NAME FATE`, with a `!` where something is lost.
fn words(planned: &[Planned]) -> Vec<String> {
    planned
        .iter()
        .map(|one| format!("{} {}{}", one.name, one.plan.as_str(), if one.loses { "!" } else { "" }))
        .collect()
}

fn edited(edit: impl FnOnce(&mut Fingerprints)) -> Job {
    let mut job = job("orders");
    edit(&mut job.fingerprints);
    job
}

#[test]
fn an_edit_is_told_by_what_it_does_to_what_is_remembered() {
    let other = Digest([9; 16]);
    for (job, expected, parts) in [
        (job("orders"), "orders keeps", ""),
        (edited(|prints| prints.rules = "other".to_owned()), "orders re-hashes", "rules"),
        (edited(|prints| prints.request = other), "orders re-baselines!", "request"),
        (edited(|prints| prints.selection = other), "orders re-baselines!", "selection"),
        (edited(|prints| prints.identity = other), "orders re-baselines!", "identity"),
        (
            edited(|prints| (prints.request, prints.identity) = (other, other)),
            "orders re-baselines!",
            "request identity",
        ),
    ] {
        let plan = planned(vec![job], vec![standing("orders")]);
        assert_eq!(words(&plan.jobs), [expected]);
        assert_eq!((plan.jobs[0].edited.join(" ").as_str(), plan.jobs[0].items), (parts, 7));
        assert_eq!(plan.loses, expected.ends_with('!'));
    }
}

#[test]
fn nothing_is_lost_by_a_job_that_is_new_or_had_no_baseline() {
    assert_eq!(words(&planned(vec![job("orders")], vec![]).jobs), ["orders new"]);
    let unread = JobStanding { known: false, read: vec![], ..standing("orders") };
    assert_eq!(words(&planned(vec![job("orders")], vec![unread]).jobs), ["orders new"]);
    let half = JobStanding { baseline: false, ..standing("orders") };
    let other = edited(|prints| prints.request = Digest([9; 16]));
    assert_eq!(words(&planned(vec![other], vec![half]).jobs), ["orders re-baselines"]);
    let taken_back = JobStanding { baseline: false, mixed: true, ..standing("orders") };
    assert_eq!(words(&planned(vec![job("orders")], vec![taken_back]).jobs), ["orders re-baselines!"]);
}

#[test]
fn a_job_keeps_when_all_of_its_scopes_do() {
    let other = Digest([9; 16]);
    let scopes = |jobs: Vec<Job>| jobs.into_iter().map(|job| read(job.fingerprints, "")).collect();
    let of = |jobs| planned(vec![job("orders")], vec![JobStanding { read: scopes(jobs), ..standing("orders") }]);
    assert_eq!(words(&of(vec![job("orders"), job("orders")]).jobs), ["orders keeps"]);
    let rules = || edited(|prints| prints.rules = "other".to_owned());
    assert_eq!(words(&of(vec![job("orders"), rules()]).jobs), ["orders re-hashes"]);
    let plan = of(vec![edited(|prints| prints.identity = other), rules(), edited(|prints| prints.request = other)]);
    assert_eq!(words(&plan.jobs), ["orders re-baselines!"]);
    assert_eq!(plan.jobs[0].edited, ["request", "identity"]);
}

#[test]
fn a_scope_that_left_each_says_nothing_of_the_job() {
    let list = |values: &[&str]| Values::List(values.iter().map(|value| Json::from(*value)).collect());
    let items = || Values::Items { job: "regions".into(), at: JsonPath::parse("$.code").expect("a path") };
    let with = |values| Job { each: Some(Each(vec![("account".to_owned(), values)])), ..job("orders") };
    let old = || edited(|prints| prints.request = Digest([9; 16])).fingerprints;
    let of = |values, read| words(&planned(vec![with(values)], vec![JobStanding { read, ..standing("orders") }]).jobs);
    let (eu, us) = (r#"{"account":"eu"}"#, r#"{"account":"us"}"#);
    let left = || vec![read(job("orders").fingerprints, eu), read(old(), us)];
    assert_eq!(of(list(&["eu"]), left()), ["orders keeps"]);
    assert_eq!(of(list(&["eu", "us"]), left()), ["orders re-baselines!"], "it comes back");
    assert_eq!(of(items(), left()), ["orders keeps"]);
    assert_eq!(of(items(), vec![read(old(), eu), read(old(), us)]), ["orders re-baselines!"]);
    assert_eq!(of(list(&["de"]), left()), ["orders re-baselines!"], "all of them are new");
    let plain = planned(vec![job("orders")], vec![JobStanding { read: left(), ..standing("orders") }]);
    assert_eq!(
        (words(&plain.jobs), &plain.jobs[0].edited[..]),
        (vec!["orders re-baselines!".to_owned()], &["each".to_owned()][..])
    );
}

#[test]
fn a_job_that_is_renamed_keeps_its_state_and_one_that_forgot_to_say_so_is_told() {
    let renamed = || Job { rename: Some("orders".into()), ..job("sales") };
    let plan = planned(vec![renamed()], vec![standing("orders")]);
    assert_eq!(words(&plan.jobs), ["sales renamed"]);
    assert_eq!((plan.jobs[0].renamed_from.as_deref(), plan.jobs[0].items), (Some("orders"), 7));
    assert_eq!(words(&planned(vec![renamed()], vec![standing("sales")]).jobs), ["sales keeps"], "it was done before");
    let plan = planned(vec![job("sales")], vec![standing("orders")]);
    assert_eq!(words(&plan.jobs), ["sales new!", "orders gone"]);
    assert!(plan.jobs[0].note.as_deref().is_some_and(|note| note.contains("rename = \"orders\"")), "{plan:?}");
    let plan = planned(vec![renamed()], vec![standing("orders"), standing("sales")]);
    assert_eq!(words(&plan.jobs), ["sales refused!"]);
}

#[test]
fn what_waits_for_whom_is_gone_is_lost_when_it_goes_and_shown_from_then_on() {
    let gone = |in_config, waiting| JobStanding { in_config, waiting, ..standing("orders") };
    let jobs = |standing| words(&planned(vec![job("other")], vec![standing]).jobs)[1..].to_vec();
    let none: [&str; 0] = [];
    assert_eq!(jobs(JobStanding { read: vec![], ..gone(true, 0) }), ["orders gone"]);
    assert_eq!(jobs(gone(true, 3)), ["orders gone!"]);
    assert_eq!(jobs(gone(false, 3)), ["orders gone"]);
    assert_eq!(jobs(gone(false, 0)), none);
    let sinks = |in_config, waiting| {
        let sink = |name: &str, in_config, waiting| SinkStanding { name: name.to_owned(), in_config, waiting };
        let sinks = vec![sink("crm", true, 5), sink("erp", in_config, waiting)];
        words(&plan(&config(vec![]), &Standings { jobs: vec![], sinks }).sinks)
    };
    assert_eq!(sinks(true, 0), ["crm keeps", "erp gone"]);
    assert_eq!(sinks(true, 2), ["crm keeps", "erp gone!"]);
    assert_eq!(sinks(false, 2), ["crm keeps", "erp gone"]);
    assert_eq!(sinks(false, 0), ["crm keeps"]);
}
