//! Answers that are too large to be held in memory: lists of JSON, lines and rows are read piece by piece from disk, and
//! a body that turns out to be broken has changed nothing.
//!
//! What memory a page costs that is held is in `bounded.rs`.

use std::fmt::Write as _;
use std::fs;

use serde_json::Value;

use crate::support::{Bridge, Daemon, Receiver, Reply, Vendor};

const MIB: usize = 1024 * 1024;

/// What the daemon may come to over an answer of 192 MiB, in a debug build, which is 30 MiB before its first poll.
const PEAK_MIB: usize = 124;

/// Lists from this size on are not held.
const LARGE: usize = 17 * MIB;

const ORDERS: &str = "items = '$.orders[*]'";

/// As many items, each written by `item` from its number, as make up so many bytes, and how many they are.
fn items(size: usize, between: &str, item: impl Fn(&mut String, usize)) -> (String, usize) {
    let mut text = String::with_capacity(size + MIB);
    let mut count = 0;
    while text.len() < size {
        if count > 0 {
            text.push_str(between);
        }
        item(&mut text, count);
        count += 1;
    }
    (text, count)
}

fn order(text: &mut String, id: usize) {
    write!(text, "{{\"id\":{id},\"status\":\"new\",\"note\":\"{:x<560}\"}}", "").expect("text can be written");
}

fn paid(text: &str, id: usize) -> String {
    text.replacen(&format!("\"id\":{id},\"status\":\"new\""), &format!("\"id\":{id},\"status\":\"paid\""), 1)
}

fn poll(daemon: &Daemon<'_>) -> Value {
    daemon.cli(["poll", "orders", "--commit", "--json"]).json()
}

/// Polls answers as this job: a baseline, one with a change, and what becomes of each.
struct Watch {
    vendor: Vendor,
    receiver: Receiver,
    bridge: Bridge,
}

impl Watch {
    fn of(job: &str, first: Reply) -> Self {
        let (vendor, receiver) = (Vendor::scripted(|_| Reply::Hang), Receiver::start());
        vendor.reply(first);
        let job = format!("every = '366d'\nkey = '$.id'\ntimeout = '60s'\nmax_body = '256 MiB'\n{job}");
        let bridge = Bridge::between(&vendor, &receiver, &job, "");
        Self { vendor, receiver, bridge }
    }

    fn run(&self) -> Daemon<'_> {
        let daemon = self.bridge.run();
        daemon.job_until("orders", "the baseline", |job| job["last_success"].is_string());
        daemon
    }
}

#[test]
fn of_a_long_list_that_stays_every_change_is_told_once_whatever_came_before() {
    let item = |id: usize, value: usize| format!("{{\"id\":{id},\"value\":{value}}}");
    let list = |values: &dyn Fn(usize) -> Option<usize>| {
        let items: Vec<String> = (0..3000).filter_map(|id| Some(item(id, values(id)?))).collect();
        Reply::json(format!("{{\"orders\":[{}]}}", items.join(",")))
    };
    let watch = Watch::of(ORDERS, list(&|_| Some(0)));
    let daemon = watch.run();
    let told = |answer: Reply, outcome: &str, items: usize| {
        watch.vendor.reply(answer);
        let report = poll(&daemon);
        assert_eq!((&report["outcome"], &report["items"]), (&outcome.into(), &items.into()), "{report}");
        let events = report["events"].as_array().expect("events").clone();
        events.iter().map(|event| format!("{} {}", event["key"], event["change"])).collect::<Vec<_>>().join(", ")
    };
    let updated = "\"1500\" \"updated\"";
    assert_eq!(told(list(&|id| Some(usize::from(id == 1500))), "complete", 3000), updated);
    assert_eq!(told(list(&|_| Some(0)), "complete", 3000), updated, "there and back is two events");
    assert_eq!(told(Reply::json("{\"orders\":[{\"id\":1}"), "failed", 0), "");
    assert_eq!(told(list(&|id| Some(usize::from(id == 1500))), "complete", 3000), updated);
    let without = |id: usize| (id != 7).then_some(usize::from(id == 1500));
    assert_eq!(told(list(&without), "complete", 2999), "", "an item may be missing once");
    assert_eq!(told(list(&without), "unchanged", 0), "\"7\" \"deleted\"");
    assert_eq!(told(list(&|id| Some(usize::from(id == 1500))), "complete", 3000), "\"7\" \"restored\"");
    assert_eq!(
        told(list(&|id| Some(usize::from(id == 1500) + usize::from(id % 1000 == 1))), "complete", 3000),
        "\"1\" \"updated\", \"1001\" \"updated\", \"2001\" \"updated\""
    );
}

#[test]
fn an_answer_of_192_mib_needs_memory_for_a_part_of_it() {
    let (list, count) = items(192 * MIB, ",\n", |text, id| {
        write!(text, "{{\"id\":{id},\"status\":\"new\",\"note\":\"{:x<4000}\"}}", "").expect("text can be written");
    });
    let answer = |list: &str| Reply::json(format!("{{\"meta\":{{\"n\":{count}}},\"orders\":[{list}],\"end\":[1,2]}}"));
    let watch = Watch::of(ORDERS, answer(&list));
    let daemon = watch.run();
    let last = count - 1;
    watch.vendor.reply(answer(&paid(&paid(&list, 0), last)));
    let report = poll(&daemon);
    assert_eq!((&report["outcome"], &report["items"]), (&"complete".into(), &count.into()), "{report}");
    let mut told: Vec<_> = watch.receiver.wait_for(2).iter().map(|hook| hook.key().to_owned()).collect();
    told.sort();
    assert_eq!(told, ["0".to_owned(), last.to_string()]);
    assert_eq!(poll(&daemon)["outcome"], "unchanged", "it is recognised by its digest");

    let peak = daemon.peak_rss_kib() as usize / 1024;
    assert!(peak < PEAK_MIB, "{peak} MiB for three answers of 192 MiB");
    let mut left = fs::read_dir(watch.bridge.path()).expect("the folder is there").flatten();
    assert!(!left.any(|file| file.file_name().to_string_lossy().ends_with(".body")), "a file was left behind");
}

#[test]
fn a_large_answer_that_breaks_off_has_changed_nothing() {
    let (list, count) = items(LARGE, ",", order);
    let answer = |list: &str, end: &str| Reply::json(format!("{{\"orders\":[{list}{end}"));
    let watch = Watch::of(ORDERS, answer(&list, "]}"));
    let daemon = watch.run();
    let changed = paid(&list, 3);
    for (end, told) in [
        ("", "the text ends"),
        (",]}", "a value"),
        ("]} {}", "the end"),
        ("],\"orders\":[]}", "`orders` stands twice"),
        (",{\"no\":1}]}", "has no `$.id`"),
        (",{\"id\":3,\"status\":\"void\"}]}", "has the same key `3`"),
    ] {
        watch.vendor.reply(answer(&changed, end));
        let report = poll(&daemon);
        assert_eq!(report["outcome"], "failed", "{end}: {report}");
        assert!(report["reason"].as_str().is_some_and(|reason| reason.contains(told)), "{end}: {report}");
        assert_eq!(report["events"], Value::Array(Vec::new()), "{end}");
    }
    // What is equal may repeat, also when it is spelled otherwise.
    let again = format!(",{{\"status\":\"paid\",\"id\":3,\"note\":\"{:x<560}\"}}]}}", "");
    watch.vendor.reply(answer(&changed, &again));
    let report = poll(&daemon);
    assert_eq!((&report["outcome"], &report["items"]), (&"complete".into(), &count.into()), "{report}");
    let hooks = watch.receiver.wait_for(1);
    assert_eq!((hooks[0].key(), hooks[0].sequence()), ("3", 1));
}

/// Polls a large text and the same with one change, and returns the key of the one webhook and the item as it is then.
fn update(job: &str, content_type: &str, text: &str, changed: &str) -> (String, Value) {
    let watch = Watch::of(job, Reply::body(content_type, text));
    let daemon = watch.run();
    watch.vendor.reply(Reply::body(content_type, changed));
    assert_eq!(poll(&daemon)["outcome"], "complete");
    let hook = watch.receiver.wait_for(1).remove(0);
    assert_eq!((hook.change(), hook.sequence()), ("updated", 1));
    (hook.key().to_owned(), hook.data()["after"].clone())
}

#[test]
fn large_answers_of_lines_and_rows_give_their_webhooks() {
    let (lines, count) = items(LARGE, "\n\n", order);
    let key = count - 2;
    let (told, after) = update("items = '$[*]'", "application/x-ndjson", &lines, &paid(&lines, key));
    assert_eq!((told, &after["status"]), (key.to_string(), &"paid".into()));

    let (rows, count) = items(LARGE, "\r\n", |text, id| {
        write!(text, "{id},\"é \"\"{id}\"\",\n{:x<300}\",new", "").expect("text can be written");
    });
    let rows = format!("\u{feff}id,note,status\r\n{rows}\r\n");
    let key = count - 1;
    let changed = rows.strip_suffix("new\r\n").map(|rows| format!("{rows}paid\r\n")).expect("the last row is new");
    let (told, after) = update("items = '$[*]'", "text/csv", &rows, &changed);
    assert_eq!((told, &after["status"]), (key.to_string(), &"paid".into()));
    assert!(after["note"].as_str().is_some_and(|note| note.starts_with(&format!("é \"{key}\",\nxxx"))), "{after}");
}

#[test]
fn what_needs_a_look_at_the_whole_is_still_read() {
    let (list, _) = items(LARGE, ",", order);
    let job = "items = '$.orders[?@.status]'";
    let watch = Watch::of(job, Reply::json(format!("{{\"orders\":[{list}]}}")));
    let daemon = watch.run();
    watch.vendor.reply(Reply::json(format!("{{\"orders\":[{}]}}", paid(&list, 5))));
    assert_eq!(poll(&daemon)["outcome"], "complete");
    assert_eq!(watch.receiver.wait_for(1)[0].key(), "5");
}
