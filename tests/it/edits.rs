//! S5: an edit of the config never loses or invents an event, and `doorbell plan` says before what it would do.
//!
//! Each edit is made while the vendor changes, too: what changed between two polls is told under whatever rules hold then.

use serde_json::Value;

use crate::support::bridge::{BY_HAND, config};
use crate::support::http;
use crate::support::json::named;
use crate::support::pages::{changes, outcome, poll};
use crate::support::receiver::Hook;
use crate::support::{Bridge, Receiver, Reply, Vendor};

/// Two orders: their totals, and when they were touched.
fn orders(totals: [u32; 2], touched: u32) -> String {
    let order = |id: usize| format!(r#"{{"id":{id},"sku":"s{id}","total":{},"touched":{touched}}}"#, totals[id - 1]);
    format!(r#"{{"orders":[{},{}],"others":[{}]}}"#, order(1), order(2), order(1))
}

/// A vendor, its receiver and its folder; the baseline was read.
fn read(job: &str) -> (Vendor, Receiver, Bridge) {
    let (vendor, receiver) = (Vendor::of(&orders([1, 1], 0)), Receiver::start());
    let bridge = Bridge::with(&config(&vendor, &receiver, job, "retry = ['1h']"));
    assert_eq!(outcome(&poll(&bridge)), "complete");
    (vendor, receiver, bridge)
}

/// Replaces a part of the config.
fn edit(bridge: &Bridge, from: &str, to: &str) {
    let text = std::fs::read_to_string(bridge.path().join("doorbell.toml")).expect("the config");
    assert!(text.contains(from), "{from}\n{text}");
    bridge.write(&text.replace(from, to));
}

/// The plan's word for the job `name`, with whether something is lost and the exit code.
fn planned(bridge: &Bridge, name: &str) -> (String, bool, Option<i32>) {
    let done = bridge.cli(["plan", "--json"]);
    let job = named(&done.json(), "jobs", name);
    (job["plan"].as_str().unwrap_or("?").to_owned(), job["loses"] == true, done.code)
}

fn job_planned(bridge: &Bridge, name: &str) -> Value {
    named(&bridge.cli(["plan", "--json"]).json(), "jobs", name)
}

const KEEPS: (&str, bool, Option<i32>) = ("keeps", false, Some(0));
const REHASHES: (&str, bool, Option<i32>) = ("re-hashes", false, Some(0));
const REBASELINES: (&str, bool, Option<i32>) = ("re-baselines", true, Some(1));

fn assert_planned(bridge: &Bridge, expected: (&str, bool, Option<i32>), edit: &str) {
    let (word, loses, code) = planned(bridge, "orders");
    assert_eq!((word.as_str(), loses, code), expected, "{edit}");
}

#[test]
fn s5_an_edit_of_how_and_when_and_whom_keeps_everything_while_the_vendor_changes() {
    for (from, to) in [
        ("every = '366d'", "cron = '0 0 1 1 *'"),
        ("retries = 0", "retries = 1\nheaders = { X-Version = '2' }\ntimeout = '9s'\nmax_body = '1MB'\nrate = '100/s'"),
        ("send_to = ['crm']", "send_to = ['crm', 'erp']\ntype = 'order.{{ change }}'\nwhen = 'after.id == 1'"),
        ("retry = ['1h']", "retry = ['1s', '2h']\nconcurrency = 1\n[sink.erp]\nurl = 'http://127.0.0.1:9/'"),
        ("key = '$.id'", "key = '$.id'\nlist = 'window'\nfirst = 'emit'\ndeletes = { after = 9 }"),
    ] {
        let (vendor, _receiver, bridge) = read(BY_HAND);
        if to.contains("'erp'") {
            edit(&bridge, "[sink.crm]", "[sink.erp]\nurl = 'http://127.0.0.1:9/'\n\n[sink.crm]");
        }
        edit(&bridge, from, to);
        assert_planned(&bridge, KEEPS, to);
        vendor.serve(&orders([2, 1], 0));
        assert_eq!(changes(&poll(&bridge)), ["updated 1"], "{to}");
        assert_eq!(changes(&poll(&bridge)), [""; 0], "{to}");
    }
}

#[test]
fn s5_an_edit_of_the_rules_tells_what_differs_under_the_old_ones_and_nothing_else() {
    // What changed, and what is told of it under the old rules; then a change, and what the new rules say of it.
    let watch = "key = '$.id'\nwatch = ['$.total']";
    let ignore = "key = '$.id'\nignore = ['$.touched']";
    for (old, new, first, told, then, later) in [
        ("key = '$.id'", watch, orders([1, 1], 0), "", orders([1, 1], 1), ""),
        ("key = '$.id'", watch, orders([1, 1], 1), "updated 1, updated 2", orders([1, 1], 2), ""),
        ("key = '$.id'", ignore, orders([2, 1], 0), "updated 1", orders([2, 1], 3), ""),
        (watch, "key = '$.id'", orders([1, 1], 1), "", orders([1, 1], 2), "updated 1, updated 2"),
        (ignore, watch, orders([1, 2], 5), "updated 2", orders([1, 2], 6), ""),
        (watch, ignore, orders([1, 1], 5), "", orders([3, 1], 6), "updated 1"),
    ] {
        let (vendor, _receiver, bridge) = read(&BY_HAND.replace("key = '$.id'", old));
        edit(&bridge, old, new);
        assert_planned(&bridge, REHASHES, new);
        vendor.serve(&first);
        assert_eq!(changes(&poll(&bridge)).join(", "), told, "{old} to {new}, at the edit");
        assert_planned(&bridge, KEEPS, new);
        vendor.serve(&then);
        assert_eq!(changes(&poll(&bridge)).join(", "), later, "{old} to {new}, after it");
    }
}

#[test]
fn s5_an_edit_of_how_values_are_compared_tells_what_differs_under_the_old_ones_and_adopts_the_rest() {
    let doc = |total: &str, tags: &str, lines: &str| {
        format!(r#"{{"orders":[{{"id":1,"total":{total},"tags":[{tags}],"lines":[{lines}]}}]}}"#)
    };
    let (ab, ba) = (r#""a","b""#, r#""b","a""#);
    let (xy, yx) = (r#"{"sku":"x"},{"sku":"y"}"#, r#"{"sku":"y"},{"sku":"x"}"#);
    let start = doc("100", ab, xy);
    // What is served at the edit, and whether it is told; then what is served after it, and whether that is.
    for (rule, moved, again, further) in [
        ("tolerance = { '$.total' = '10%' }", doc("105", ab, xy), doc("106", ab, xy), doc("150", ab, xy)),
        ("unordered = ['$.tags']", doc("100", ba, xy), start.clone(), doc("100", r#""a""#, xy)),
        ("arrays = { '$.lines' = '$.sku' }", doc("100", ab, yx), start.clone(), doc("100", ab, r#"{"sku":"x"}"#)),
    ] {
        let (with, without) = (format!("{BY_HAND}{rule}"), BY_HAND.to_owned());
        for (old, new, told) in [(&without, &with, true), (&with, &without, false)] {
            let (vendor, receiver) = (Vendor::of(&start), Receiver::start());
            let bridge = Bridge::with(&config(&vendor, &receiver, old, "retry = ['1h']"));
            poll(&bridge);
            bridge.write(&config(&vendor, &receiver, new, "retry = ['1h']"));
            assert_planned(&bridge, REHASHES, rule);
            vendor.serve(&moved);
            let word = |is_told: bool| if is_told { vec!["updated 1".to_owned()] } else { Vec::new() };
            assert_eq!(changes(&poll(&bridge)), word(told), "{rule}, at the edit");
            assert_planned(&bridge, KEEPS, rule);
            vendor.serve(&again);
            assert_eq!(changes(&poll(&bridge)), word(!told), "{rule}, after it");
            vendor.serve(&further);
            assert_eq!(changes(&poll(&bridge)), word(true), "{rule}, a change under any rules");
        }
    }
}

#[test]
fn s5_an_edit_of_what_is_asked_or_selected_begins_anew_silently_and_the_plan_says_so() {
    for (from, to, part, items) in [
        ("url = 'orders'", "url = 'orders'\nquery = { limit = 100 }", "request", 2),
        ("items = '$.orders[*]'", "items = '$.others[*]'", "selection", 1),
        ("key = '$.id'", "key = '$.sku'", "identity", 2),
    ] {
        let (vendor, _receiver, bridge) = read(BY_HAND);
        edit(&bridge, from, to);
        assert_planned(&bridge, REBASELINES, to);
        let plan = job_planned(&bridge, "orders");
        assert_eq!((&plan["edited"][0], &plan["items"]), (&part.into(), &2.into()), "{plan}");
        let text = bridge.cli(["plan"]);
        assert_eq!(text.code, Some(1));
        assert!(text.stdout.contains("re-baselines") && text.stdout.contains(part), "{text:?}");
        vendor.serve(&orders([2, 1], 0));
        let report = poll(&bridge);
        assert_eq!((outcome(&report), changes(&report).len()), ("complete", 0), "{to}");
        assert_planned(&bridge, KEEPS, to);
        assert_eq!(job_planned(&bridge, "orders")["items"], items);
        vendor.serve(&orders([3, 1], 0));
        let key = if part == "identity" { "s1" } else { "1" };
        assert_eq!(changes(&poll(&bridge)), [format!("updated {key}")], "{to}");
    }
}

/// Orders in pages of two, of which the second can fail.
fn in_pages(vendor: &Vendor, all: [u32; 3], fails: bool) {
    vendor.script(move |request| {
        let is_second = request.target.contains("page=2");
        let order = |id: usize| format!(r#"{{"id":{id},"sku":"s{id}","total":{}}}"#, all[id - 1]);
        let some = if is_second { vec![order(3)] } else { vec![order(1), order(2)] };
        match is_second && fails {
            true => Reply::status(500),
            false => Reply::json(format!(r#"{{"orders":[{}]}}"#, some.join(","))),
        }
    });
}

#[test]
fn s5_an_edit_that_was_read_in_part_and_is_taken_back_tells_nothing_that_nobody_had() {
    for (first, created) in [("first = 'emit'", 3), ("", 0)] {
        let job = format!(
            "{BY_HAND}{first}\ndeletes = {{ after = 1 }}\npages = {{ style = 'page', param = 'page', size = 2 }}"
        );
        let (vendor, receiver) = (Vendor::of(""), Receiver::start());
        in_pages(&vendor, [1, 1, 1], false);
        let bridge = Bridge::with(&config(&vendor, &receiver, &job, "retry = ['1h']"));
        assert_eq!(changes(&poll(&bridge)).len(), created, "{first}");
        edit(&bridge, "key = '$.id'", "key = '$.sku'");
        in_pages(&vendor, [1, 2, 1], true);
        assert_eq!((outcome(&poll(&bridge)), changes(&poll(&bridge)).len()), ("partial", 0), "{first}");
        assert_planned(&bridge, REBASELINES, "half read");
        edit(&bridge, "key = '$.sku'", "key = '$.id'");
        in_pages(&vendor, [1, 2, 1], false);
        assert_planned(&bridge, REBASELINES, "taken back");
        let report = poll(&bridge);
        assert_eq!((outcome(&report), changes(&report)), ("complete", Vec::new()), "{first}");
        assert_planned(&bridge, KEEPS, "read whole");
        assert_eq!(changes(&poll(&bridge)), [""; 0], "{first}");
        assert_eq!(job_planned(&bridge, "orders")["items"], 3, "{first}");
        in_pages(&vendor, [1, 2, 7], false);
        assert_eq!(changes(&poll(&bridge)), ["updated 3"], "{first}");
    }
}

#[test]
fn s5_a_first_poll_that_is_told_and_is_cut_off_by_an_edit_there_and_back_tells_no_deletion_of_what_nobody_had() {
    let job = format!(
        "{BY_HAND}first = 'emit'\ndeletes = {{ after = 1 }}\npages = {{ style = 'page', param = 'page', size = 2 }}"
    );
    let (vendor, receiver) = (Vendor::of(""), Receiver::start());
    in_pages(&vendor, [1, 1, 1], true);
    let bridge = Bridge::with(&config(&vendor, &receiver, &job, "retry = ['1h']"));
    assert_eq!(changes(&poll(&bridge)), ["created 1", "created 2"]);
    edit(&bridge, "key = '$.id'", "key = '$.sku'");
    assert_eq!(changes(&poll(&bridge)), [""; 0]);
    edit(&bridge, "key = '$.sku'", "key = '$.id'");
    in_pages(&vendor, [1, 1, 1], false);
    for _ in 0..2 {
        assert_eq!(changes(&poll(&bridge)), [""; 0], "no receiver had the others");
    }
}

#[test]
fn s5_a_renamed_job_goes_on_where_it_was_once_and_for_all() {
    let (vendor, receiver, bridge) = read(BY_HAND);
    vendor.serve(&orders([2, 1], 0));
    assert_eq!(changes(&poll(&bridge)), ["updated 1"]);
    let poll_sales = || bridge.cli(["poll", "sales", "--commit", "--json"]).ok().json();
    let without = std::fs::read_to_string(bridge.path().join("doorbell.toml")).expect("the config");
    edit(&bridge, "[job.orders]", "[job.sales]");
    let forgotten = bridge.cli(["plan"]);
    assert_eq!(forgotten.code, Some(1), "{forgotten:?}");
    assert!(forgotten.stdout.contains("`rename = \"orders\"` keeps what is remembered"), "{forgotten:?}");

    edit(&bridge, "[job.sales]", "[job.sales]\nrename = 'orders'");
    assert_eq!(planned(&bridge, "sales"), ("renamed".to_owned(), false, Some(0)));
    vendor.serve(&orders([2, 5], 0));
    assert_eq!(changes(&poll_sales()), ["updated 2"]);
    assert_eq!(planned(&bridge, "sales"), ("keeps".to_owned(), false, Some(0)), "the key may stay");
    assert_eq!(changes(&poll_sales()), [""; 0]);
    let hooks = receiver.wait_for(2);
    assert_eq!(hooks.iter().map(Hook::sequence).collect::<Vec<_>>(), [1, 2]);
    let events = bridge.cli(["events", "--job", "sales", "--json"]).ok().json();
    assert_eq!(events.as_array().map(Vec::len), Some(2), "its history is its own: {events}");

    // The old name is used anew, and then given up again: now both have a past.
    let renamed = std::fs::read_to_string(bridge.path().join("doorbell.toml")).expect("the config");
    bridge.write(&without);
    poll(&bridge);
    bridge.write(&renamed);
    assert_eq!(planned(&bridge, "sales"), ("refused".to_owned(), true, Some(1)));
    let refused = bridge.cli(["poll", "sales", "--commit"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.contains("take `rename` out"), "{refused:?}");
}

#[test]
fn s5_a_running_daemon_plans_renames_and_goes_on() {
    let (receiver, vendor) = (Receiver::scripted(|_| Reply::status(503)), Vendor::of(&orders([1, 1], 0)));
    // Long enough a ladder that nothing dies before the receiver is well again.
    let retry = format!("retry = [{}]", ["'250ms'"; 30].join(", "));
    let bridge = Bridge::with(&config(&vendor, &receiver, BY_HAND, &retry));
    let daemon = bridge.run();
    daemon.job_until("orders", "the baseline", |job| job["outcome"] == "complete");
    let port = format!("listen = '{}'", daemon.addr);
    edit(&bridge, "listen = '127.0.0.1:0'", &port);
    assert_planned(&bridge, KEEPS, "nothing");
    vendor.serve(&orders([2, 1], 0));
    daemon.cli(["poll", "orders", "--commit"]).ok();
    receiver.wait_until("an attempt", |attempts| !attempts.is_empty());

    edit(&bridge, "[job.orders]", "[job.elsewhere]\nenabled = false");
    edit(&bridge, "url = 'orders'", "url = 'elsewhere'");
    let gone = job_planned(&bridge, "orders");
    assert_eq!((&gone["plan"], &gone["waiting"], &gone["loses"]), (&"gone".into(), &1.into(), &true.into()), "{gone}");

    edit(&bridge, "[job.elsewhere]\nenabled = false", "[job.sales]\nrename = 'orders'");
    edit(&bridge, "url = 'elsewhere'", "url = 'orders'");
    assert_eq!(planned(&bridge, "sales"), ("renamed".to_owned(), false, Some(0)));
    let answer = http::ask(daemon.addr, "POST", "/api/v1/reload", &[], b"").expect("the API answers");
    assert_eq!(answer.status, 200, "{answer:?}");
    receiver.reply(Reply::status(204));
    vendor.serve(&orders([2, 7], 0));
    daemon.cli(["poll", "sales", "--commit"]).ok();
    // They are of two items, so either may come first; and the attempt that was under way at the reload may have been
    // accepted and be made again.
    let accepted =
        |hooks: &[Hook], sequence| hooks.iter().find(|hook| hook.accepted && hook.sequence() == sequence).cloned();
    let both = |hooks: &[Hook]| accepted(hooks, 1).is_some() && accepted(hooks, 2).is_some();
    let hooks = receiver.wait_until("both", both);
    let keys = [1, 2].map(|sequence| accepted(&hooks, sequence).map(|hook| hook.key().to_owned()));
    assert_eq!(keys, [Some("1".to_owned()), Some("2".to_owned())]);
    assert_eq!(daemon.get("/api/v1/jobs/orders").status, 404);
    daemon.terminate();
}

#[test]
fn plan_says_what_is_new_gone_or_comes_back() {
    let (_vendor, receiver, bridge) = read(BY_HAND);
    receiver.reply(Reply::status(503));
    let with = std::fs::read_to_string(bridge.path().join("doorbell.toml")).expect("the config");
    bridge.write(&with.replace("[job.orders]", "[job.other]\nenabled = false").replace("url = 'orders'", "url = 'x'"));
    assert_eq!(planned(&bridge, "orders"), ("gone".to_owned(), false, Some(0)), "nothing waits for it");
    assert_eq!(planned(&bridge, "other").0, "new");
    bridge.write(&with);
    assert_planned(&bridge, KEEPS, "it was never gone");
}

#[test]
fn plan_without_a_state_finds_everything_new_and_with_a_bad_one_says_so_and_changes_nothing() {
    let (vendor, receiver) = (Vendor::of(&orders([1, 1], 0)), Receiver::start());
    let bridge = Bridge::with(&config(&vendor, &receiver, BY_HAND, ""));
    assert_eq!(planned(&bridge, "orders"), ("new".to_owned(), false, Some(0)));
    assert!(!bridge.state().exists(), "it was only looked for");
    std::fs::write(bridge.state(), b"no database at all, but long enough to be read as one").expect("written");
    let refused = bridge.cli(["plan"]);
    assert_eq!(refused.code, Some(1), "{refused:?}");
    assert!(refused.stderr.starts_with("error: "), "{refused:?}");
    assert!(std::fs::read(bridge.state()).expect("it is there").starts_with(b"no database"), "nothing changed");
    bridge.write("[job.orders]\nevry = '1s'\n");
    assert_eq!(bridge.cli(["plan"]).code, Some(2));
    assert_eq!(vendor.count(), 0, "a plan asks nobody");
}
