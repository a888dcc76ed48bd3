//! Details beside all else that a job can say: first polls, pages, scopes, what settles and what is held, edits, looks
//! and recordings.
//!
//! Who is asked for and when is in `details.rs`.

use crate::support::bridge::{BY_HAND, config};
use crate::support::orders::{BY_VERSION, DETAIL, Shop, World, asked, id};
use crate::support::pages::{changes, outcome, partial, poll};
use crate::support::{Bridge, Receiver, Reply, Vendor};

#[test]
fn s3_a_baseline_that_is_cut_off_goes_on_silently_and_asks_for_nothing_twice() {
    let shop = Shop::of(1..=250);
    let (vendor, receiver) = (shop.vendor(), Receiver::start());
    let scripted = shop.clone();
    vendor.script(move |request| if id(request) == Some(240) { Reply::Hang } else { scripted.reply(request) });
    let bridge = Bridge::between(&vendor, &receiver, &format!("{BY_HAND}{DETAIL}"), "");
    let daemon = bridge.run();
    vendor.wait_until_asked(240);
    daemon.kill9();
    let (first, from) = (asked(&vendor, 0), vendor.count());
    let scripted = shop.clone();
    vendor.script(move |request| scripted.reply(request));
    let report = poll(&bridge);
    assert_eq!((outcome(&report), changes(&report).len()), ("complete", 0), "{report:#}");
    let again: Vec<u32> = asked(&vendor, from);
    assert!(again.iter().all(|id| *id > 200) && first.iter().any(|id| *id <= 200), "{again:?}");
    assert!(receiver.attempts().is_empty());
}

#[test]
fn s3_a_baseline_is_complete_when_every_detail_came() {
    let world = World::new(1..=3, &format!("{DETAIL}first = 'silent'\n"));
    world.shop.answer(2, Reply::status(500));
    world.lacks(&[], &[1, 2, 3], "1 detail could not be read, that of the item `2`");
    world.shop.put(1, 2, "paid");
    world.lacks(&[], &[1, 2], "1 detail could not be read");
    world.shop.put(2, 1, "new");
    world.sees(&[], &[2]);
    world.shop.put(2, 2, "paid");
    world.sees(&["updated 2"], &[2]);
    let world = World::new(1..=3, &format!("{DETAIL}first = 'emit'\n"));
    world.shop.answer(2, Reply::status(500));
    world.lacks(&["created 1", "created 3"], &[1, 2, 3], "1 detail could not be read");
    world.shop.put(2, 1, "new");
    world.sees(&["created 2"], &[2]);
}

#[test]
fn a_baseline_that_one_detail_keeps_back_can_be_accepted() {
    let world = World::new(1..=3, DETAIL);
    world.shop.answer(2, Reply::status(404));
    world.lacks(&[], &[1, 2, 3], "1 detail could not be read");
    world.bridge.cli(["approve", "orders"]).ok();
    world.lacks(&[], &[2], "1 detail could not be read");
    world.shop.put(1, 2, "paid");
    world.lacks(&["updated 1"], &[1, 2], "1 detail could not be read");
}

#[test]
fn pages_and_scopes_have_details_too() {
    let shop = Shop::of(1..=5);
    let paged = shop.clone();
    let vendor = Vendor::scripted(move |request| {
        if id(request).is_some() {
            return paged.reply(request);
        }
        let from: usize = request.target.split("from=").nth(1).map_or(0, |from| from.parse().expect("a number"));
        let listed = paged.0.lock().expect("no panic").listed.clone();
        let items: Vec<String> = listed.iter().skip(from).take(2).map(|(_, item)| item.clone()).collect();
        let reply = Reply::json(format!(r#"{{"orders":[{}]}}"#, items.join(",")));
        match from + 2 < listed.len() {
            true => reply.with("link", &format!("<?from={}>; rel=\"next\"", from + 2)),
            false => reply,
        }
    });
    let receiver = Receiver::start();
    let job = format!("{BY_HAND}{DETAIL}pages = {{ style = 'link' }}\neach = {{ region = ['eu', 'us'] }}\n");
    let job = job.replace("{{ item.id }}", "{{ item.id }}?in={{ region }}");
    let bridge = Bridge::between(&vendor, &receiver, &job, "");
    assert_eq!(outcome(&poll(&bridge)), "complete");
    assert_eq!(asked(&vendor, 0), [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
    shop.put(4, 2, "paid");
    let from = vendor.count();
    assert_eq!(changes(&poll(&bridge)), ["updated 4", "updated 4"]);
    let targets: Vec<String> =
        vendor.requests()[from..].iter().filter(|it| id(it).is_some()).map(|it| it.target.clone()).collect();
    assert_eq!(targets, ["/orders/4?in=eu", "/orders/4?in=us"]);
    shop.put(1, 2, "paid");
    shop.answer(1, Reply::status(500));
    let report = poll(&bridge);
    partial(&report, "1 detail could not be read");
    shop.put(1, 2, "paid");
    assert_eq!(changes(&poll(&bridge)), ["updated 1", "updated 1"]);
    let from = vendor.count();
    assert_eq!(outcome(&poll(&bridge)), "unchanged");
    assert_eq!(asked(&vendor, from), Vec::<u32>::new());
}

#[test]
fn a_value_that_has_to_persist_is_asked_for_until_it_has() {
    let world = World::watching(1..=2, &format!("{DETAIL}settle = 2\n"));
    world.shop.put(1, 2, "paid");
    world.sees(&[], &[1]);
    world.sees(&["updated 1"], &[1]);
    world.shop.put(2, 2, "paid");
    world.sees(&[], &[2]);
    world.shop.answer(2, Reply::status(500));
    world.lacks(&[], &[2], "1 detail could not be read");
    world.shop.put(2, 2, "paid");
    world.sees(&["updated 2"], &[2]);
    world.sees(&[], &[]);
}

#[test]
fn s4_too_many_events_are_held_and_what_is_held_is_not_asked_for_without_end() {
    let world = World::watching(1..=250, &format!("{DETAIL}max_events = 20\n"));
    (1..=250).for_each(|id| world.shop.put(id, 2, "paid"));
    let (report, ids) = world.poll();
    assert_eq!((changes(&report).len(), report["held"]["events"].as_u64()), (0, Some(250)), "{report:#}");
    assert!(ids.len() <= 100, "the rest is counted: {}", ids.len());
    world.bridge.cli(["approve", "orders"]).ok();
    let (report, ids) = world.poll();
    assert_eq!((changes(&report).len(), ids.len()), (250, 250), "{}", report["reason"]);
    world.sees(&[], &[]);
}

#[test]
fn s5_an_edit_of_what_is_asked_begins_anew_silently_and_one_of_how_keeps_everything() {
    let world = World::watching(1..=3, DETAIL);
    let was = config_of(&world.bridge);
    let edit = |to: &str| world.bridge.write(&was.replace("{{ item.id }}'", &format!("{{{{ item.id }}}}'{to}")));
    let planned = || world.bridge.cli(["plan", "--json"]).stdout;
    edit(", concurrency = 1");
    assert!(planned().contains("\"keeps\""), "{}", planned());
    world.sees(&[], &[]);
    for (to, told) in [(", merge = true", "updated 1"), (", version = '$.at'", "updated 2"), ("", "updated 3")] {
        edit(to);
        assert!(planned().contains("re-baselines"), "{to}: {}", planned());
        world.sees(&[], &[1, 2, 3]);
        assert!(planned().contains("\"keeps\""), "{to}: {}", planned());
        world.sees(&[], &[]);
        let id = told.trim_start_matches("updated ").parse().expect("an id");
        world.shop.put(id, 2, "paid");
        world.sees(&[told], &[id]);
    }
    world.bridge.write(&was.replace("url = 'orders'", "url = 'orders?all=1'"));
    world.sees(&[], &[]);
    world.bridge.write(&was.replace(DETAIL.lines().next().expect("a line"), ""));
    world.sees(&[], &[]);
    world.shop.put(1, 3, "paid");
    world.sees(&["updated 1"], &[]);
}

fn config_of(bridge: &Bridge) -> String {
    std::fs::read_to_string(bridge.path().join("doorbell.toml")).expect("a config")
}

#[test]
fn s5_an_edit_of_the_rules_asks_for_nothing() {
    let world = World::watching(1..=3, DETAIL);
    let was = config_of(&world.bridge);
    world.bridge.write(&was.replace("key = '$.id'", "key = '$.id'\nignore = ['$.total']"));
    world.shop.put(2, 2, "paid");
    world.sees(&["updated 2"], &[2]);
    world.sees(&[], &[]);
    world.shop.list(1, r#"{"id":1,"at":5}"#);
    world.shop.answer(1, Reply::json(r#"{"status":"new","total":77}"#));
    world.sees(&[], &[1]);
    world.bridge.write(&was);
    world.sees(&[], &[]);
    world.shop.list(1, r#"{"id":1,"at":6}"#);
    world.shop.answer(1, Reply::json(r#"{"status":"new","total":78}"#));
    world.sees(&["updated 1"], &[1]);
}

#[test]
fn a_look_shows_the_requests_and_keeps_nothing() {
    let world = World::new(1..=30, DETAIL);
    let look = |bridge: &Bridge| bridge.cli(["poll", "orders"]);
    let done = look(&world.bridge);
    assert!(done.output().contains("/orders/1") && done.output().contains("20 details not asked for"), "{done:#?}");
    assert_eq!(asked(&world.vendor, 0).len(), 10);
    let (report, ids) = world.poll();
    assert_eq!((outcome(&report), ids.len()), ("complete", 30));
    world.shop.put(7, 2, "paid");
    for _ in 0..2 {
        let from = world.vendor.count();
        let shown = look(&world.bridge).ok().stdout;
        assert!(shown.contains("/orders/7") && shown.contains("updated 7"), "{shown}");
        assert_eq!(asked(&world.vendor, from), [7]);
    }
    world.sees(&["updated 7"], &[7]);
}

#[test]
fn recorded_polls_hold_every_detail_and_are_replayed_offline() {
    let world = World::new(1..=3, DETAIL);
    let record = |file: &str| world.bridge.cli(["poll", "orders", "--commit", "--json", "--record", file]).ok().json();
    record("1.json");
    world.shop.put(2, 2, "paid");
    let report = record("2.json");
    assert_eq!(changes(&report), ["updated 2"]);
    let before = world.vendor.count();
    let replayed = world.bridge.cli(["replay-poll", "1.json", "2.json", "--json"]).ok().json();
    assert_eq!(changes(&replayed["polls"][1]), ["updated 2"], "{replayed:#}");
    let alone = world.bridge.cli(["replay-poll", "2.json", "--json"]).ok().json();
    assert_eq!(alone["polls"][0]["outcome"], "complete", "a recording stands for itself: {alone:#}");
    assert_eq!(world.vendor.count(), before);
}

#[test]
fn a_detail_is_read_as_its_content_type_says() {
    let world = World::watching(1..=2, DETAIL);
    world.shop.put(1, 2, "paid");
    world.shop.answer(1, Reply::body("application/xml", "<order n='1'><status>paid</status></order>"));
    let (report, _) = world.poll();
    assert_eq!(changes(&report), ["updated 1"]);
    let after = &report["events"][0]["body"]["data"]["after"];
    assert_eq!(*after, serde_json::json!({ "order": { "@n": "1", "status": "paid" } }));
}

#[test]
fn a_list_that_is_read_from_disk_has_details_too() {
    let shop = Shop::default();
    let item = |id: u32, version: u32| format!(r#"{{"id":{id},"at":{version},"note":"{}"}}"#, "x".repeat(1 << 20));
    for id in 1..=18 {
        shop.put(id, 1, "new");
        shop.list(id, &item(id, 1));
    }
    let (vendor, receiver) = (shop.vendor(), Receiver::start());
    let job = format!("{BY_HAND}{BY_VERSION}timeout = '60s'\n");
    let bridge = Bridge::between(&vendor, &receiver, &job, "");
    let world = World { shop, vendor, receiver, bridge };
    let (report, ids) = world.poll();
    assert_eq!((outcome(&report), ids.len()), ("complete", 18), "{}", report["reason"]);
    world.shop.put(9, 2, "paid");
    world.shop.list(9, &item(9, 2));
    world.sees(&["updated 9"], &[9]);
}

#[test]
fn check_says_that_details_come_on_top() {
    let world = World::new(1..=1, DETAIL);
    let shown = world.bridge.cli(["check"]).ok().stdout;
    assert!(shown.contains("and one more request for each item that is new or another"), "{shown}");
    assert_eq!(world.bridge.cli(["check", "--json"]).ok().json()["jobs"][0]["details"], true);
    let receiver = Receiver::start();
    world.bridge.write(&config(&world.vendor, &receiver, BY_HAND, ""));
    assert_eq!(world.bridge.cli(["check", "--json"]).ok().json()["jobs"][0]["details"], false);
}
