//! What a person meets on the first day: a change at the vendor becomes one signed webhook, and nothing else does.
//!
//! Restarts, failures and order are other files' themes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::bridge::{ORDERS, config};
use crate::support::receiver::Hook;
use crate::support::{Bridge, Receiver, Vendor};

/// Two orders, the second with this status.
fn two(status: &str) -> String {
    format!(r#"{{"orders":[{{"id":1,"status":"paid"}},{{"id":2,"status":"{status}"}}]}}"#)
}

const ONE: &str = r#"{"orders":[{"id":1,"status":"paid"}]}"#;

/// Polls these documents in turn with a job of these lines, and returns the webhooks, `expected` of them.
fn webhooks(job: &str, documents: &[&str], expected: usize) -> Vec<Hook> {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, job, "");
    let daemon = bridge.run();
    for document in documents {
        vendor.step_json(document);
    }
    let hooks = in_sequence(receiver.wait_for(expected));
    daemon.terminate();
    hooks
}

fn in_sequence(mut hooks: Vec<Hook>) -> Vec<Hook> {
    hooks.sort_by_key(Hook::sequence);
    hooks
}

/// `change key` of each.
fn changes(hooks: &[Hook]) -> Vec<String> {
    hooks.iter().map(|hook| format!("{} {}", hook.change(), hook.key())).collect()
}

#[test]
fn s3_the_baseline_is_silent_and_each_change_is_one_event() {
    let three = r#"{"orders":[{"id":1,"status":"paid"},{"id":2,"status":"sent"},{"id":3,"status":"new"}]}"#;
    let gone = r#"{"orders":[{"id":1,"status":"paid"},{"id":3,"status":"new"}]}"#;
    let polls = [&two("paid"), &two("sent"), three, gone, gone, three];
    let hooks = webhooks(ORDERS, &polls, 4);
    assert_eq!(changes(&hooks), ["updated 2", "created 3", "deleted 2", "restored 2"]);
    assert_eq!(hooks.iter().map(Hook::sequence).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let types: Vec<_> = hooks.iter().map(|hook| hook.json["type"].as_str().unwrap_or_default()).collect();
    assert_eq!(types, ["orders.updated", "orders.created", "orders.deleted", "orders.restored"]);

    let [updated, created, deleted, restored] = [0, 1, 2, 3].map(|at| hooks[at].data());
    assert_eq!(updated["before"], json!({"id": 2, "status": "paid"}));
    assert_eq!(updated["after"], json!({"id": 2, "status": "sent"}));
    assert_eq!((&created["before"], &created["after"]), (&Value::Null, &json!({"id": 3, "status": "new"})));
    assert_eq!((&deleted["before"], &deleted["after"]), (&json!({"id": 2, "status": "sent"}), &Value::Null));
    assert_eq!(restored["after"], json!({"id": 2, "status": "sent"}));
}

#[test]
fn an_event_is_the_envelope_of_the_contract() {
    let hooks = webhooks(ORDERS, &[&two("paid"), &two("sent")], 1);
    let event = &hooks[0].json;
    let data = json!({
        "job": "orders",
        "key": "2",
        "change": "updated",
        "before": {"id": 2, "status": "paid"},
        "after": {"id": 2, "status": "sent"},
        "changed": ["/status"],
        "patch": [{"op": "replace", "path": "/status", "value": "sent"}],
        "sequence": 1,
    });
    assert_eq!(event["data"], data, "exactly these members: no `scope` without `each`, no `omitted`");
    let timestamp = event["timestamp"].as_str().expect("a timestamp is text");
    let shape: String = timestamp.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z");
    assert_eq!(event.as_object().map(serde_json::Map::len), Some(3));
}

#[test]
fn an_attempt_carries_the_headers_of_the_contract() {
    let hooks = webhooks(ORDERS, &[&two("paid"), &two("sent")], 1);
    let header = |name| hooks[0].request.header(name);
    assert_eq!(header("content-type"), Some("application/json"));
    assert_eq!(header("user-agent"), Some(concat!("doorbell/", env!("CARGO_PKG_VERSION"))));
    assert_eq!(header("doorbell-attempt"), Some("1"));
    assert!(header("webhook-signature").is_some_and(|signature| signature.starts_with("v1,")));
    let id = hooks[0].id.strip_prefix("evt_").expect("an id begins with `evt_`");
    assert_eq!(id.len(), 26);
    assert!(id.bytes().all(|byte| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte)), "{id}");
    assert_eq!(hooks[0].request.method, "POST");
}

#[test]
fn first_emit_sends_each_item_of_the_first_poll() {
    let hooks = webhooks(&format!("{ORDERS}first = 'emit'"), &[&two("paid"), &two("paid"), &two("sent")], 3);
    let mut first = changes(&hooks[..2]);
    first.sort();
    assert_eq!(first, ["created 1", "created 2"]);
    assert_eq!(changes(&hooks[2..]), ["updated 2"]);
}

#[test]
fn unchanged_polls_send_nothing() {
    let paid = two("paid");
    let hooks = webhooks(ORDERS, &[&paid, &paid, &paid, &paid, &two("sent")], 1);
    assert_eq!(hooks[0].sequence(), 1, "nothing was said before the change");
}

#[test]
fn a_job_without_items_has_the_document_as_its_one_item() {
    let hooks = webhooks("every = '50ms'", &[r#"{"rate":1.10}"#, r#"{"rate":1.10}"#, r#"{"rate":1.20}"#], 1);
    assert_eq!(hooks[0].change(), "updated");
    assert_eq!(hooks[0].data()["changed"], json!(["/rate"]));
    assert_eq!(hooks[0].data()["before"], json!({"rate": 1.10}));
    assert_eq!(hooks[0].data()["after"], json!({"rate": 1.20}));
}

#[test]
fn a_composite_key_is_a_json_array() {
    let job = "every = '50ms'\nitems = '$.orders[*]'\nkey = ['$.region', '$.id']";
    let with = |total: u32| {
        format!(r#"{{"orders":[{{"region":"eu","id":7,"total":1}},{{"region":"us","id":7,"total":{total}}}]}}"#)
    };
    let hooks = webhooks(job, &[&with(1), &with(2)], 1);
    assert_eq!(hooks[0].key(), r#"["us",7]"#);
}

#[test]
fn a_text_key_and_a_key_deep_inside_work() {
    let job = "every = '50ms'\nitems = '$.list[*]'\nkey = '$.meta.code'";
    let with = |total: u32| format!(r#"{{"list":[{{"meta":{{"code":"A-1"}},"total":{total}}}]}}"#);
    assert_eq!(changes(&webhooks(job, &[&with(1), &with(2)], 1)), ["updated A-1"]);
}

#[test]
fn only_what_is_watched_counts() {
    let with = |status: &str, views: u32| format!(r#"{{"orders":[{{"id":1,"status":"{status}","views":{views}}}]}}"#);
    let job = format!("{ORDERS}watch = ['$.status']");
    let hooks = webhooks(&job, &[&with("paid", 1), &with("paid", 2), &with("sent", 3)], 1);
    assert_eq!(hooks[0].data()["changed"], json!(["/status"]));
    assert_eq!(hooks[0].data()["after"], json!({"id": 1, "status": "sent", "views": 3}));
}

#[test]
fn what_is_ignored_never_counts() {
    let with = |status: &str, views: u32| {
        format!(r#"{{"orders":[{{"id":1,"status":"{status}","meta":{{"views":{views}}}}}]}}"#)
    };
    let job = format!("{ORDERS}ignore = ['$..views']");
    let hooks = webhooks(&job, &[&with("paid", 1), &with("paid", 2), &with("sent", 3)], 1);
    assert_eq!(hooks[0].data()["changed"], json!(["/status"]));
}

#[test]
fn when_decides_which_changes_are_events() {
    let job = format!("{ORDERS}when = \"after.status == 'paid' and before.status != 'paid'\"");
    let hooks = webhooks(&job, &[&two("new"), &two("held"), &two("paid"), &two("sent"), &two("paid")], 2);
    assert_eq!(changes(&hooks), ["updated 2", "updated 2"]);
    assert_eq!(hooks[0].sequence(), 1, "only events that are emitted take a number");
    assert_eq!(hooks[0].data()["before"]["status"], "held", "an event that was kept back moves `before`");
}

#[test]
fn on_names_the_changes_that_are_events() {
    let job = format!("{ORDERS}on = ['created', 'deleted']\ndeletes = {{ after = 1 }}");
    assert_eq!(changes(&webhooks(&job, &[ONE, &two("new"), &two("paid"), ONE], 2)), ["created 2", "deleted 2"]);
}

#[test]
fn a_type_is_a_template() {
    let job = format!("{ORDERS}type = 'shop.{{{{ job }}}}.{{{{ change }}}}.{{{{ after.status }}}}'");
    let hooks = webhooks(&job, &[&two("paid"), &two("sent")], 1);
    assert_eq!(hooks[0].json["type"], "shop.orders.updated.sent");
}

#[test]
fn two_sinks_get_the_same_event() {
    let (vendor, crm, log) = (Vendor::in_lockstep(), Receiver::start(), Receiver::start());
    let text =
        config(&vendor, &crm, &format!("{ORDERS}send_to = ['crm', 'log']"), "").replacen("send_to = ['crm']\n", "", 1)
            + &format!("[sink.log]\nurl = '{}'\nsecret = '{}'\n", log.url(), crate::support::signature::SECRET);
    let bridge = Bridge::with(&text);
    let _daemon = bridge.run();
    vendor.step_json(&two("paid"));
    vendor.step_json(&two("sent"));
    let (first, second) = (crm.wait_for(1), log.wait_for(1));
    assert_eq!((&first[0].id, &first[0].body), (&second[0].id, &second[0].body));
}

#[test]
fn a_sinks_own_when_decides_what_it_gets() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "when = \"after.status == 'sent'\"");
    let _daemon = bridge.run();
    for status in ["new", "paid", "sent"] {
        vendor.step_json(&two(status));
    }
    let hooks = receiver.wait_for(1);
    assert_eq!((hooks[0].sequence(), &hooks[0].data()["after"]["status"]), (2, &json!("sent")));
}

#[test]
fn the_request_is_made_as_the_config_says() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let job = "every = '50ms'\nmethod = 'POST'\nbody = { want = 'orders', page = 1 }\n\
               query = { limit = 100, tag = 'a b&c' }\nheaders = { X-Team = 'sales' }\n\
               auth = { type = 'basic', username = 'shop', password = 'open sesame' }";
    let bridge = Bridge::between(&vendor, &receiver, job, "");
    let _daemon = bridge.run();
    let request = vendor.step_json("{}");
    assert_eq!(request.method, "POST");
    assert_eq!(request.path(), "/orders");
    let mut query: Vec<_> = request.target.split('?').nth(1).unwrap_or_default().split('&').collect();
    query.sort_unstable();
    assert!(matches!(query[..], ["limit=100", "tag=a%20b%26c" | "tag=a+b%26c"]), "{query:?}");
    assert_eq!(request.header("x-team"), Some("sales"));
    assert_eq!(request.header("authorization"), Some("Basic c2hvcDpvcGVuIHNlc2FtZQ=="));
    let body: Value = serde_json::from_slice(&request.body).expect("a table becomes JSON");
    assert_eq!(body, json!({"want": "orders", "page": 1}));
}

#[test]
fn a_job_with_cron_is_polled_at_its_seconds() {
    let (vendor, receiver) = (Vendor::of(ONE), Receiver::start());
    let job = "cron = '* * * * * *'\ntimezone = 'Europe/Berlin'";
    let bridge = Bridge::between(&vendor, &receiver, job, "");
    let _daemon = bridge.run();
    vendor.wait_for_more(1);
    let first = Instant::now();
    vendor.wait_for_more(3);
    assert!(first.elapsed() > Duration::from_millis(1500), "three seconds in {:?}", first.elapsed());
}

#[test]
fn a_job_that_is_not_enabled_is_not_polled() {
    let (vendor, receiver) = (Vendor::of(ONE), Receiver::start());
    let other = "\n[job.other]\nvendor = 'shop'\nurl = 'other'\nevery = '50ms'\nsend_to = ['crm']\n";
    let bridge = Bridge::with(&(config(&vendor, &receiver, &format!("{ORDERS}enabled = false"), "") + other));
    let daemon = bridge.run();
    vendor.wait_for_more(5);
    assert!(vendor.requests().iter().all(|request| request.path() == "/other"));
    assert_eq!(daemon.job("orders")["health"], "disabled");
}

#[test]
fn an_expression_that_fails_loses_nothing() {
    // Text is not ordered against a number: each of these fails for `many`, and works for `7`.
    let with = |total: &str| format!(r#"{{"orders":[{{"id":1,"total":{total}}}]}}"#);
    let polls = [with("1"), with("\"many\""), with("7")];
    let polls: Vec<&str> = polls.iter().map(String::as_str).collect();
    let totals = |hooks: &[Hook]| hooks.iter().map(|hook| hook.data()["after"]["total"].clone()).collect::<Vec<_>>();

    let hooks = webhooks(&format!("{ORDERS}when = 'after.total > 5'"), &polls, 2);
    assert_eq!(totals(&hooks), [json!("many"), json!(7)], "a `when` that fails lets the event pass");
    let hooks = webhooks(&format!("{ORDERS}when = 'after.total > 9'"), &polls, 1);
    assert_eq!(totals(&hooks), [json!("many")]);

    let job = format!("{ORDERS}type = 'total.{{{{ after.total > 5 }}}}'");
    let types: Vec<_> = webhooks(&job, &polls, 2).iter().map(|hook| hook.json["type"].clone()).collect();
    assert_eq!(types[0], "orders.updated", "a `type` that fails falls back");
    assert_ne!(types[1], "orders.updated");
}

#[test]
fn l2_an_expression_that_goes_on_failing_is_logged_once_and_shown_until_it_works() {
    let with = |total: &str| format!(r#"{{"orders":[{{"id":1,"total":{total}}}]}}"#);
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let expressions = "when = 'after.total > 5'\ntype = 'total.{{ after.total + 1 }}'";
    let bridge = Bridge::between(&vendor, &receiver, &format!("{ORDERS}{expressions}"), "");
    let daemon = bridge.run();
    for total in ["1", "\"many\"", "\"more\"", "\"most\""] {
        vendor.step_json(&with(total));
    }
    receiver.wait_for(3);
    let job = daemon.job_until("orders", "its problem", |job| job["reason"].is_string());
    let reason = job["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("`when` failed") && reason.contains("`type` failed"), "{job}");
    assert_ne!(job["health"], "failing", "its polls are well");
    // As many good polls as it takes failed ones to ring.
    for total in ["7", "8", "9"] {
        vendor.step_json(&with(total));
    }
    receiver.wait_for(6);
    daemon.wait_for_log("expressions work again");
    daemon.job_until("orders", "no problem", |job| job["reason"].is_null());
    assert_eq!(daemon.logs().matches("an expression failed").count(), 2, "each once");
}

#[test]
fn a_sinks_own_when_that_fails_lets_the_event_pass() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "when = 'after.status > 5'");
    let daemon = bridge.run();
    vendor.step_json(&two("new"));
    vendor.step_json(&two("paid"));
    assert_eq!(receiver.wait_for(1)[0].key(), "2");
    daemon.wait_for_log("an expression failed");
}
