//! What receivers get in each format, byte for byte, and fan-out: one event to several sinks, each as it wants it.
//!
//! CloudEvents are read by the official SDK (PyPI, by `make test-tools`), not by code of ours.

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::support::bridge::{ORDERS, config};
use crate::support::json::{raw, rows};
use crate::support::receiver::Hook;
use crate::support::signature::SECRET;
use crate::support::{Bridge, Receiver, Reply, Vendor};

const PACKED: &str = r#"{"orders":[{"id":12345,"status":"Packed","total":10.10}]}"#;
const SHIPPED: &str = r#"{"orders":[{"id":12345,"status":"Shipped & <b>*sent*</b>","total":9007199254740993.50}]}"#;
const GONE: &str = r#"{"orders":[]}"#;

/// Polls these documents, and returns what the sink with these lines got, `expected` webhooks.
fn webhooks(job: &str, sink: &str, documents: &[&str], expected: usize) -> Vec<Hook> {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, &format!("{ORDERS}{job}"), sink);
    let _daemon = bridge.run();
    documents.iter().for_each(|document| drop(vendor.step_json(document)));
    receiver.wait_for(expected)
}

/// The one webhook of the change from [`PACKED`] to [`SHIPPED`].
fn shipped(sink: &str) -> Hook {
    webhooks("", sink, &[PACKED, SHIPPED], 1).remove(0)
}

fn text(hook: &Hook) -> &str {
    std::str::from_utf8(&hook.body).expect("JSON is UTF-8")
}

/// A webhook as the official SDK of CloudEvents reads it.
fn by_the_sdk(hook: &Hook) -> Value {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".test-tools/venv/bin/python");
    assert!(python.exists(), "no {}: run `make test-tools`", python.display());
    let mut child = Command::new(python)
        .arg(root.join("tests/python/cloudevent.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("Python starts");
    let headers: serde_json::Map<String, Value> =
        hook.request.headers.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let message = json!({ "headers": headers, "body": text(hook) });
    let mut stdin = child.stdin.take().expect("stdin is piped");
    stdin.write_all(message.to_string().as_bytes()).expect("Python reads");
    drop(stdin);
    let output = child.wait_with_output().expect("Python ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

/// The attributes that every CloudEvent of [`shipped`] has.
fn check_attributes(read: &Value, hook: &Hook) {
    let attributes = &read["attributes"];
    for (name, value) in [
        ("specversion", "1.0"),
        ("id", hook.id.as_str()),
        ("source", "doorbell/orders"),
        ("type", "orders.updated"),
        ("subject", "12345"),
        ("partitionkey", "12345"),
        ("sequence", "00000000000000000001"),
        ("datacontenttype", "application/json"),
    ] {
        assert_eq!(attributes[name], value, "{name} of {read}");
    }
    assert!(read["time"].as_str().is_some_and(|time| time.ends_with("+00:00")), "{read}");
    assert_eq!(read["data"]["changed"], json!(["/status", "/total"]));
    assert_eq!(read["data"]["sequence"], 1);
}

#[test]
fn the_official_sdk_reads_a_structured_cloudevent() {
    let hook = shipped("format = 'cloudevents'");
    let read = by_the_sdk(&hook);
    assert_eq!(read["mode"], "structured");
    check_attributes(&read, &hook);
    assert_eq!(hook.request.header("content-type"), Some("application/cloudevents+json; charset=UTF-8"));
    assert_eq!(raw(&hook.body, &["data", "after", "total"]), "9007199254740993.50");
}

#[test]
fn the_official_sdk_reads_a_binary_cloudevent() {
    let hook = shipped("format = 'cloudevents-binary'");
    let mut read = by_the_sdk(&hook);
    assert_eq!(read["mode"], "binary");
    // The binding has no such header: the content type stands for it.
    assert_eq!(hook.request.header("ce-datacontenttype"), None);
    assert_eq!(hook.request.header("content-type"), Some("application/json"));
    read["attributes"]["datacontenttype"] = json!("application/json");
    check_attributes(&read, &hook);
    assert_eq!(raw(&hook.body, &["after", "total"]), "9007199254740993.50");
}

#[test]
fn the_official_sdk_reads_keys_and_types_beyond_ascii() {
    let documents = [r#"{"orders":[{"id":"Euro € 😀","n":1}]}"#, r#"{"orders":[{"id":"Euro € 😀","n":2}]}"#];
    for format in ["cloudevents", "cloudevents-binary"] {
        let hooks = webhooks("type = 'größer 50%.{{ change }}'", &format!("format = '{format}'"), &documents, 1);
        let attributes = by_the_sdk(&hooks[0])["attributes"].clone();
        assert_eq!((&attributes["subject"], &attributes["partitionkey"]), (&json!("Euro € 😀"), &json!("Euro € 😀")));
        assert_eq!(attributes["type"], "größer 50%.updated");
        if format == "cloudevents-binary" {
            assert_eq!(hooks[0].request.header("ce-subject"), Some("Euro%20%E2%82%AC%20%F0%9F%98%80"));
        }
    }
}

#[test]
fn data_is_the_item_alone() {
    let hooks = webhooks("deletes = { after = 1 }", "format = 'data'", &[PACKED, SHIPPED, GONE], 2);
    assert_eq!(text(&hooks[0]), r#"{"id":12345,"status":"Shipped & <b>*sent*</b>","total":9007199254740993.50}"#);
    assert_eq!(text(&hooks[1]), text(&hooks[0]), "what it was when it went");
    assert_eq!(hooks[0].request.header("content-type"), Some("application/json"));
}

#[test]
fn a_slack_message_says_what_changed_with_its_markup_escaped() {
    let hook = shipped("format = 'slack'");
    let at = hook.json["blocks"][2]["elements"][0]["text"].as_str().unwrap_or_default().rsplit(' ').next();
    let expected = r#"{"text":"orders 12345 updated","blocks":[{"type":"section","text":{"type":"mrkdwn","text":"*orders* `12345` updated","verbatim":true}},{"type":"section","text":{"type":"mrkdwn","text":"*status*: `Packed` → `Shipped &amp; &lt;b&gt;*sent*&lt;/b&gt;`\n*total*: `10.10` → `9007199254740993.50`","verbatim":true}},{"type":"context","elements":[{"type":"mrkdwn","text":"orders.updated · event 1 · AT","verbatim":true}]}],"unfurl_links":false,"unfurl_media":false}"#;
    assert_eq!(text(&hook), expected.replace("AT", at.unwrap_or_default()));
}

#[test]
fn a_discord_message_mentions_nobody() {
    let hook = shipped("format = 'discord'");
    let at = hook.json["embeds"][0]["timestamp"].as_str().unwrap_or_default();
    let expected = r#"{"content":"**orders** 12345 updated","embeds":[{"description":"**status**: Packed → Shipped & \\<b\\>\\*sent\\*\\</b\\>\n**total**: 10.10 → 9007199254740993.50","color":2060267,"footer":{"text":"orders.updated · event 1"},"timestamp":"AT"}],"allowed_mentions":{"parse":[]}}"#;
    assert_eq!(text(&hook), expected.replace("AT", at));
}

#[test]
fn a_teams_message_is_an_adaptive_card() {
    let hook = shipped("format = 'teams'");
    let at = hook.json["attachments"][0]["content"]["body"][2]["text"].as_str().unwrap_or_default();
    let at = at.rsplit(' ').next().unwrap_or_default();
    let expected = r#"{"type":"message","attachments":[{"contentType":"application/vnd.microsoft.card.adaptive","contentUrl":null,"content":{"$schema":"http://adaptivecards.io/schemas/adaptive-card.json","type":"AdaptiveCard","version":"1.4","body":[{"type":"TextBlock","text":"**orders** 12345 updated","wrap":true,"size":"Medium"},{"type":"FactSet","facts":[{"title":"status","value":"Packed → Shipped & \\<b\\>\\*sent\\*\\</b\\>"},{"title":"total","value":"10.10 → 9007199254740993.50"}]},{"type":"TextBlock","text":"orders.updated · event 1 · AT","wrap":true,"size":"Small","isSubtle":true}]}}]}"#;
    assert_eq!(text(&hook), expected.replace("AT", at));
}

#[test]
fn a_payload_keeps_types_and_the_vendors_digits() {
    let payload = "payload = { text = 'Order {{ key }} is {{ after.status }}', total = '{{ after.total }}', \
                   was = '{{ before.total }}', item = '{{ after }}', none = '{{ after.nothing }}', list = [1.50, true] }";
    let hook = shipped(payload);
    assert_eq!(raw(&hook.body, &["total"]), "9007199254740993.50");
    assert_eq!(raw(&hook.body, &["was"]), "10.10");
    assert_eq!(raw(&hook.body, &["list"]), "[1.50,true]");
    assert_eq!(raw(&hook.body, &["item", "total"]), "9007199254740993.50");
    assert_eq!(hook.json["text"], "Order 12345 is Shipped & <b>*sent*</b>");
    assert_eq!(hook.json.get("none"), None, "a member that yields nothing is left out");
}

#[test]
fn thin_says_that_and_where_but_not_what() {
    let hook = shipped("thin = true");
    let mut data = hook.data().clone();
    assert_eq!(data["changed"], json!(["/status", "/total"]));
    let data = data.as_object_mut().expect("`data` is an object");
    assert_eq!(data.keys().collect::<Vec<_>>(), ["change", "changed", "job", "key", "sequence"]);
    assert_eq!(hook.json["type"], "orders.updated");
    assert!(!text(&shipped("thin = true\nformat = 'slack'")).contains("Packed"));
}

#[test]
fn one_event_goes_to_many_sinks_each_as_it_wants_it() {
    let [crm, chat, audit] = std::array::from_fn(|_| Receiver::start());
    let vendor = Vendor::in_lockstep();
    let job = format!(
        "{ORDERS}first = 'emit'\ndeletes = {{ after = 1 }}\nsend_to = ['crm', \
         {{ sink = 'chat', when = \"change == 'deleted'\", format = 'slack', thin = true }}, \
         {{ sink = 'chat', when = 'after.total > 100', payload = {{ big = '{{{{ after.total }}}}' }} }}, \
         {{ sink = 'audit', format = 'data' }}]"
    );
    let text = config(&vendor, &crm, &job, "").replacen("send_to = ['crm']\n", "", 1);
    let sinks = format!(
        "[sink.chat]\nurl = '{}'\nsecret = '{SECRET}'\n[sink.audit]\nurl = '{}'\nsecret = '{SECRET}'\nthin = false\n",
        chat.url(),
        audit.url()
    );
    let bridge = Bridge::with(&(text + &sinks));
    let _daemon = bridge.run();
    vendor.step_json(PACKED);
    vendor.step_json(SHIPPED);
    vendor.step_json(GONE);
    let (crm, chat, audit) = (crm.wait_for(3), chat.wait_for(2), audit.wait_for(3));
    let ids = |hooks: &[Hook]| hooks.iter().map(|hook| hook.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&crm), ids(&audit));
    assert_eq!(ids(&chat), ids(&crm)[1..], "10.10 is not more than 100");
    assert_eq!(std::str::from_utf8(&chat[0].body), Ok(r#"{"big":9007199254740993.50}"#));
    assert_eq!(chat[1].json["text"], "orders 12345 deleted");
    assert_eq!(audit[0].json["status"], "Packed");
}

#[test]
fn a_retry_after_a_config_edit_sends_what_was_committed() {
    let receiver = Receiver::scripted(|_| Reply::status(503));
    let vendor = Vendor::in_lockstep();
    let retry = "retry = ['1s', '1s', '1s', '1s', '1s', '1s']";
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, &format!("format = 'cloudevents-binary'\n{retry}"));
    let daemon = bridge.run();
    vendor.step_json(PACKED);
    vendor.step_json(SHIPPED);
    receiver.wait_until("an attempt", |hooks| !hooks.is_empty());
    daemon.kill9();
    vendor.abandon();
    bridge.write(&config(&vendor, &receiver, ORDERS, &format!("format = 'slack'\n{retry}")));
    receiver.reply(Reply::status(204));
    let _daemon = bridge.run();
    let last = receiver.wait_for(1).remove(0);
    let first = receiver.attempts().remove(0);
    let own = |hook: &Hook| {
        let names = |(name, _): &&(String, String)| name.starts_with("ce-") || name == "content-type";
        hook.request.headers.iter().filter(names).cloned().collect::<Vec<_>>()
    };
    assert_eq!((&last.body, own(&last)), (&first.body, own(&first)));
    assert_eq!(own(&last).len(), 9, "{:?}", own(&last));
}

#[test]
fn a_payload_that_fails_is_dead_at_birth_with_its_reason_and_the_rest_goes_on() {
    let receiver = Receiver::start();
    let vendor = Vendor::in_lockstep();
    let job = format!(
        "{ORDERS}send_to = [{{ sink = 'crm', when = \"after.status != 'Packed'\", \
         payload = {{ a = '{{{{ after.status > 3 }}}}' }} }}, 'crm']"
    );
    let text = config(&vendor, &receiver, &job, "").replacen("send_to = ['crm']\n", "", 1);
    let bridge = Bridge::with(&text);
    let daemon = bridge.run();
    vendor.step_json(PACKED);
    vendor.step_json(SHIPPED);
    vendor.step_json(PACKED);
    assert_eq!(receiver.wait_for(1)[0].sequence(), 2);
    let events = rows(&daemon.cli(["events", "--json"]).ok().json());
    let first = events.iter().find(|event| event["sequence"] == 1).expect("the first event");
    let dead = &first["deliveries"][0];
    assert_eq!(dead["state"], "dead");
    assert!(dead["reason"].as_str().is_some_and(|why| why.contains("the payload could not be rendered")), "{dead}");
    assert_eq!(dead["attempts"], 0);
    daemon.wait_for_log("payload");
    let id = first["id"].as_str().unwrap_or_default();
    let shown = daemon.cli(["event", id, "--json"]).ok().json();
    assert_eq!(shown["bodies"][0]["body"], Value::Null, "{shown}");
    assert_eq!(shown["body"]["data"]["sequence"], 1);
}

#[test]
fn once_the_payload_is_mended_what_was_born_dead_is_rendered_again() {
    let receiver = Receiver::start();
    let vendor = Vendor::in_lockstep();
    let with =
        |payload: &str| config(&vendor, &receiver, ORDERS, &format!("payload = {{ a = '{{{{ {payload} }}}}' }}"));
    let bridge = Bridge::with(&with("after.status > 3"));
    let daemon = bridge.run();
    vendor.step_json(PACKED);
    vendor.step_json(SHIPPED);
    daemon.sink_until("crm", "it to be born dead", |sink| sink["dead"] == 1);
    let id = rows(&daemon.cli(["events", "--json"]).ok().json())[0]["id"].as_str().unwrap_or_default().to_owned();
    let plain = daemon.cli(["replay", &id]);
    assert!(plain.code == Some(1) && plain.stderr.contains("`--render` renders anew"), "{plain:?}");
    let still = daemon.cli(["replay", &id, "--render"]);
    assert!(still.code == Some(1) && still.stderr.contains("the payload could not be rendered"), "{still:?}");
    daemon.terminate_with(&vendor);

    bridge.write(&with("after.status"));
    let daemon = bridge.run();
    let filter = ["replay", "--job", "orders", "--state", "dead", "--render"];
    let dry = daemon.cli(filter.iter().chain(&["--dry-run"])).ok().stdout;
    assert!(dry.contains("1 delivery (1 to crm): would be sent again"), "{dry}");
    assert!(receiver.attempts().is_empty());
    daemon.cli(filter.iter().chain(&["--yes"])).ok();
    let hook = receiver.wait_for(1).remove(0);
    assert_eq!((hook.id.as_str(), hook.request.header("doorbell-replay")), (id.as_str(), Some("true")));
    assert_eq!(hook.json, serde_json::json!({ "a": "Shipped & <b>*sent*</b>" }));
    let sink = daemon.sink_until("crm", "it to be settled", |sink| sink["backlog"] == 0);
    assert_eq!(sink["dead"], 0);
    let shown = daemon.cli(["event", &id, "--json"]).ok().json();
    assert_eq!(shown["deliveries"][0]["state"], "dead", "the history stays: {shown}");
}

#[test]
fn what_would_go_and_what_went_can_be_looked_at() {
    let receiver = Receiver::start();
    let vendor = Vendor::of(PACKED);
    let bridge = Bridge::between(
        &vendor,
        &receiver,
        &format!("{ORDERS}first = 'emit'\n"),
        "payload = { total = '{{ after.total }}' }",
    );
    let looked = bridge.cli(["poll", "orders", "--json"]).ok();
    assert_eq!(raw(looked.stdout.as_bytes(), &["events"]).matches(r#""body":{"total":10.10}"#).count(), 1);
    let printed = bridge.cli(["poll", "orders"]).ok().stdout;
    assert!(printed.contains("crm: {\"total\":10.10}"), "{printed}");
    bridge.cli(["poll", "orders", "--commit"]).ok();
    receiver.wait_for(1);
    let events = rows(&bridge.cli(["events", "--json"]).ok().json());
    let shown = bridge.cli(["event", events[0]["id"].as_str().unwrap_or_default()]).ok().stdout;
    assert!(shown.contains("crm gets, as application/json:\n{\n  \"total\": 10.10\n}"), "{shown}");
}

#[test]
fn a_test_is_written_as_the_sink_wants_it() {
    let (vendor, receiver) = (Vendor::of(PACKED), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, ORDERS, "format = 'slack'");
    bridge.cli(["test", "crm"]).ok();
    assert_eq!(receiver.wait_for(1)[0].json["text"], "doorbell test created");
    bridge.write(&config(&vendor, &receiver, ORDERS, "payload = { a = '{{ after.message > 3 }}' }"));
    let failed = bridge.cli(["test", "crm"]);
    assert_eq!(failed.code, Some(1));
    assert!(failed.output().contains("nothing was sent: the payload could not be rendered"), "{}", failed.output());
    assert_eq!(receiver.attempts().len(), 1);
}
