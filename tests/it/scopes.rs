//! One job over many scopes: each with its own ledger, cursor and sequence, and none in the way of another.
//!
//! The vendor keeps a list for each account, and answers the one that it is asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::bridge::config;
use crate::support::pages::{outcome, partial, poll, query};
use crate::support::{Bridge, Receiver, Reply, Vendor};

const JOB: &str = "every = '366d'\nitems = '$.data[*]'\nkey = '$.id'\ndeletes = { after = 1 }\n\
                   query = { account = '{{ account }}' }\n";

/// The lists by account; `None`: the vendor has an error there.
type Lists = Arc<Mutex<BTreeMap<String, Option<Vec<(u32, String)>>>>>;

fn set(lists: &Lists, account: &str, items: Option<&[(u32, &str)]>) {
    let items = items.map(|items| items.iter().map(|(id, status)| (*id, (*status).to_owned())).collect());
    lists.lock().expect("no panic").insert(account.to_owned(), items);
}

fn vendor(lists: &Lists) -> Vendor {
    let lists = Arc::clone(lists);
    Vendor::scripted(move |request| {
        let account = query(request).get("account").cloned().unwrap_or_default();
        let lists = lists.lock().expect("no panic");
        match lists.get(&account) {
            Some(Some(items)) => {
                let items: Vec<Value> =
                    items.iter().map(|(id, status)| json!({ "id": id, "status": status, "code": status })).collect();
                Reply::json(json!({ "data": items }).to_string())
            }
            Some(None) => Reply::status(500),
            None => Reply::status(401),
        }
    })
}

/// A vendor with accounts `eu` and `us`, both with the item 1.
fn world(each: &str) -> (Lists, Vendor, Receiver, Bridge) {
    let lists = Lists::default();
    set(&lists, "eu", Some(&[(1, "new"), (2, "new")]));
    set(&lists, "us", Some(&[(1, "new")]));
    let (vendor, receiver) = (vendor(&lists), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, &format!("{JOB}retries = 0\n{each}\n"), "");
    (lists, vendor, receiver, bridge)
}

/// Polls, and tells what is said of which scope.
fn told(bridge: &Bridge) -> Vec<String> {
    events(&poll(bridge))
}

fn events(report: &Value) -> Vec<String> {
    let events = report["events"].as_array().cloned().unwrap_or_default();
    let line = |event: &Value| {
        let data = &event["body"]["data"];
        let [scope, change, key, sequence] = ["scope", "change", "key", "sequence"].map(|name| data[name].clone());
        format!("{} {change} {key} {sequence}", scope["account"]).replace('"', "")
    };
    events.iter().map(line).collect()
}

fn asked(vendor: &Vendor, from: usize) -> Vec<String> {
    let account = |request: &crate::support::http::Request| query(request).get("account").cloned().unwrap_or_default();
    vendor.requests()[from..].iter().map(account).collect()
}

#[test]
fn s1_each_scope_has_its_own_baseline_ledger_and_sequence() {
    let (lists, _vendor, receiver, bridge) = world("each = { account = ['eu', 'us'] }");
    let first = poll(&bridge);
    assert_eq!((outcome(&first), first["items"].as_u64()), ("complete", Some(3)), "{first:#}");
    assert_eq!(events(&first), Vec::<String>::new());
    let scopes: Vec<&str> =
        first["requests"].as_array().unwrap().iter().filter_map(|request| request["scope"].as_str()).collect();
    assert_eq!(scopes, ["account=eu", "account=us"]);
    assert_eq!(outcome(&poll(&bridge)), "unchanged");
    set(&lists, "eu", Some(&[(1, "paid"), (3, "new")]));
    set(&lists, "us", Some(&[(1, "paid")]));
    assert_eq!(told(&bridge), ["eu updated 1 1", "eu created 3 2", "eu deleted 2 3", "us updated 1 1"]);
    let hooks = receiver.wait_for(4);
    let scopes: Vec<&Value> = hooks.iter().map(|hook| &hook.data()["scope"]).collect();
    assert_eq!(scopes.iter().filter(|scope| ***scope == json!({ "account": "eu" })).count(), 3, "{scopes:?}");
    set(&lists, "us", Some(&[]));
    assert_eq!(told(&bridge), ["us deleted 1 2"], "an item of the same key in another scope is another item");
}

#[test]
fn s4_what_a_scope_has_held_waits_for_nobody_while_it_is_away() {
    let each = |accounts: &str| format!("each = {{ account = [{accounts}] }}");
    let (lists, vendor, receiver, bridge) = world(&each("'eu', 'us'"));
    let some = |count| (1..=count).map(|id| (id, "new")).collect::<Vec<_>>();
    set(&lists, "us", Some(&some(30)));
    poll(&bridge);
    set(&lists, "us", Some(&some(5)));
    assert_eq!(poll(&bridge)["held"]["deletions"], 25);
    for (accounts, held) in [("'eu'", Value::Null), ("'eu', 'us'", 25.into())] {
        bridge.write(&config(&vendor, &receiver, &format!("{JOB}retries = 0\n{}\n", each(accounts)), ""));
        let report = poll(&bridge);
        assert_eq!((events(&report).len(), &report["held"]["deletions"]), (0, &held), "{report}");
        let job = bridge.cli(["status", "--json"]).ok().json()["jobs"][0].clone();
        assert_eq!((&job["held"]["deletions"], job["health"] == "held"), (&held, !held.is_null()), "{job}");
    }
}

#[test]
fn s4_a_scope_that_fails_stops_no_other_and_is_named() {
    let (lists, _vendor, _receiver, bridge) = world("each = { account = ['eu', 'us'] }");
    poll(&bridge);
    set(&lists, "eu", None);
    set(&lists, "us", Some(&[(1, "paid")]));
    let report = poll(&bridge);
    partial(&report, "in the scope account=eu: ");
    assert_eq!(events(&report), ["us updated 1 1"]);
    set(&lists, "us", None);
    let report = poll(&bridge);
    assert_eq!(outcome(&report), "failed", "{report:#}");
    assert!(report["reason"].as_str().unwrap_or_default().contains("and 1 more of 2 scopes"), "{report:#}");
    set(&lists, "eu", Some(&[(1, "new"), (2, "paid")]));
    set(&lists, "us", Some(&[(1, "paid")]));
    assert_eq!(told(&bridge), ["eu updated 2 1"]);
}

#[test]
fn l1_a_refusal_ends_the_poll_and_a_scope_that_is_refused_stops_no_other_for_long() {
    let (_lists, vendor, _receiver, bridge) = world("each = { account = ['de', 'eu', 'us'] }");
    let daemon = bridge.run();
    vendor.wait_until_asked(1);
    daemon.job_until("orders", "a first poll", |job| job["outcome"] == "failed");
    assert_eq!(asked(&vendor, 0), ["de"], "the credentials were refused: nobody else is asked");
    let poll = || {
        let before = vendor.count();
        daemon.cli(["poll", "orders", "--commit", "--json"]);
        asked(&vendor, before)
    };
    assert_eq!(poll(), ["eu", "us", "de"], "it goes on where it was");
    assert_eq!(poll(), ["eu", "us", "de"], "and begins with one that had an answer");
    daemon.terminate();
}

#[test]
fn s4_a_scope_that_goes_away_deletes_nothing_and_goes_on_when_it_comes_back() {
    let (lists, _vendor, _receiver, bridge) = world("each = { account = ['eu', 'us'] }");
    poll(&bridge);
    set(&lists, "us", Some(&[(1, "paid")]));
    assert_eq!(told(&bridge), ["us updated 1 1"]);
    let config = std::fs::read_to_string(bridge.path().join("doorbell.toml")).expect("a config");
    bridge.write(&config.replace("['eu', 'us']", "['eu']"));
    assert_eq!(told(&bridge), Vec::<String>::new());
    assert_eq!(told(&bridge), Vec::<String>::new());
    set(&lists, "us", Some(&[(1, "shipped"), (2, "new")]));
    set(&lists, "uk", Some(&[(7, "new")]));
    bridge.write(&config.replace("['eu', 'us']", "['eu', 'uk', 'us']"));
    assert_eq!(told(&bridge), ["us updated 1 2", "us created 2 3"], "a new scope begins silently");
    set(&lists, "uk", Some(&[]));
    assert_eq!(told(&bridge), ["uk deleted 7 1"]);
}

#[test]
fn s8_an_edit_takes_a_new_baseline_of_every_scope() {
    let (lists, _vendor, _receiver, bridge) = world("each = { account = ['eu', 'us'] }\nfirst = 'emit'");
    assert_eq!(told(&bridge).len(), 3);
    let config = std::fs::read_to_string(bridge.path().join("doorbell.toml")).expect("a config");
    bridge.write(&config.replace("key = '$.id'", "key = '$[\"id\"]'\nmethod = 'POST'"));
    set(&lists, "eu", None);
    set(&lists, "us", Some(&[(1, "paid")]));
    partial(&poll(&bridge), "account=eu");
    set(&lists, "eu", Some(&[(1, "paid")]));
    assert_eq!(told(&bridge), Vec::<String>::new(), "also of the one that failed at first");
    set(&lists, "eu", Some(&[(1, "shipped")]));
    set(&lists, "us", Some(&[(1, "shipped")]));
    assert_eq!(told(&bridge), ["eu updated 1 3", "us updated 1 2"]);
}

/// A config of two jobs: `accounts`, the list of the account `all`, and `orders` of each of its items.
fn chained() -> (Lists, Vendor, Receiver, Bridge) {
    let lists = Lists::default();
    set(&lists, "all", Some(&[(1, "eu"), (2, "us")]));
    set(&lists, "eu", Some(&[(1, "new")]));
    set(&lists, "us", Some(&[(1, "new")]));
    let (vendor, receiver) = (vendor(&lists), Receiver::start());
    let each = "each = { account = { job = 'accounts', at = '$.code' } }\n";
    let bridge = Bridge::between(&vendor, &receiver, &format!("{JOB}{each}"), "");
    let accounts = format!("[job.accounts]\nurl = '{}?account=all'\n", vendor.url());
    let more = format!("{accounts}every = '366d'\nitems = '$.data[*]'\nkey = '$.id'\ndeletes = {{ after = 1 }}\n");
    let config = std::fs::read_to_string(bridge.path().join("doorbell.toml")).expect("a config");
    bridge.write(&format!("{config}\n{more}"));
    (lists, vendor, receiver, bridge)
}

#[test]
fn the_items_of_another_job_are_scopes_once_its_baseline_is_complete() {
    let (lists, _vendor, _receiver, bridge) = chained();
    let accounts = || bridge.cli(["poll", "accounts", "--commit", "--json"]).ok();
    partial(&poll(&bridge), "`each.account` waits for the first complete poll of the job `accounts`");
    accounts();
    assert_eq!(poll(&bridge)["items"], 2);
    set(&lists, "all", Some(&[(1, "eu")]));
    accounts();
    set(&lists, "us", Some(&[(1, "paid")]));
    set(&lists, "eu", Some(&[(1, "paid")]));
    assert_eq!(told(&bridge), ["eu updated 1 1"], "what an item that is gone stood for is left alone");
    set(&lists, "all", Some(&[(1, "eu"), (2, "us")]));
    accounts();
    assert_eq!(told(&bridge), ["us updated 1 1"]);
}

#[test]
fn a_job_over_another_jobs_items_is_polled_as_soon_as_they_are_known() {
    let (_lists, vendor, _receiver, bridge) = chained();
    let _daemon = bridge.run();
    // Both are polled once a year: the list of accounts, and both accounts.
    vendor.wait_until_asked(3);
    let mut asked = vendor.requests().iter().map(|request| request.target.clone()).collect::<Vec<_>>();
    asked[1..].sort();
    assert_eq!(asked, ["/?account=all", "/orders?account=eu", "/orders?account=us"]);
}

#[test]
fn every_combination_is_polled_and_check_counts_them() {
    let (_lists, vendor, _receiver, bridge) = world("each = { account = ['eu', 'us'], kind = [7, 'b'] }");
    let config = std::fs::read_to_string(bridge.path().join("doorbell.toml")).expect("a config");
    bridge.write(&config.replace("'{{ account }}' }", "'{{ account }}', kind = '{{ kind }}' }"));
    assert_eq!(outcome(&poll(&bridge)), "complete");
    let kinds: Vec<String> =
        vendor.requests().iter().map(|request| request.target.split_once('?').expect("a query").1.to_owned()).collect();
    let expected = ["account=eu&kind=7", "account=eu&kind=b", "account=us&kind=7", "account=us&kind=b"];
    assert_eq!(kinds, expected);
    let checked = bridge.cli(["check"]).ok();
    assert!(checked.stdout.contains("4 scopes by account, kind"), "{checked:?}");
    assert_eq!(bridge.cli(["check", "--json"]).ok().json()["jobs"][0]["scopes"]["count"], 4);
}

#[test]
fn l1_the_requests_of_all_scopes_go_through_the_vendors_gate() {
    let (_lists, vendor, _receiver, bridge) = world("each = { account = ['eu', 'us'] }\nbudget = '1/d'");
    partial(&poll(&bridge), "in the scope account=us: ");
    assert_eq!(asked(&vendor, 0), ["eu"]);
}

#[test]
fn a_scope_that_left_each_makes_no_plan_speak_of_a_new_baseline_for_ever() {
    let (_lists, vendor, receiver, bridge) = world("each = { account = ['eu', 'us'] }");
    assert_eq!(outcome(&poll(&bridge)), "complete");
    let write = |each: &str| {
        let job = format!("{JOB}retries = 0\nformat = 'json'\neach = {{ account = {each} }}\n");
        bridge.write(&config(&vendor, &receiver, &job, ""));
    };
    let plan = || {
        let done = bridge.cli(["plan", "--json"]);
        (done.code, done.json()["jobs"][0]["plan"].as_str().unwrap_or_default().to_owned())
    };
    write("['eu']");
    assert_eq!(plan(), (Some(1), "re-baselines".to_owned()), "its format was edited");
    assert_eq!(outcome(&poll(&bridge)), "complete");
    assert_eq!(plan(), (Some(0), "keeps".to_owned()), "what is remembered of `us` is not polled");
    write("['eu', 'us']");
    assert_eq!(plan(), (Some(1), "re-baselines".to_owned()), "it comes back");
}

#[test]
fn a_deletion_is_confirmed_where_its_scope_is() {
    let gone = Arc::new(Mutex::new(false));
    let is_gone = Arc::clone(&gone);
    let vendor = Vendor::scripted(move |request| match (request.path(), *is_gone.lock().expect("no panic")) {
        ("/eu/orders/2", _) => Reply::status(404),
        ("/us/orders/2", _) => Reply::json("{}"),
        (_, false) => Reply::json(r#"{"data":[{"id":1},{"id":2}]}"#),
        (_, true) => Reply::json(r#"{"data":[{"id":1}]}"#),
    });
    let receiver = Receiver::start();
    let job = JOB.replace("{ after = 1 }", "{ after = 1, confirm = '{{ account }}/orders/{{ key }}' }");
    let bridge = Bridge::between(&vendor, &receiver, &format!("{job}each = {{ account = ['eu', 'us'] }}\n"), "");
    assert_eq!(outcome(&poll(&bridge)), "complete");
    *gone.lock().expect("no panic") = true;
    assert_eq!(told(&bridge), ["eu deleted 2 1"], "the other account still has it");
}
