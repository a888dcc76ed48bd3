//! Lists whose items are asked for one by one: who is asked for and when, what comes of the answer, and what becomes of
//! an item whose detail can't be had.
//!
//! How that goes together with all else that a job can say is in `details_beside.rs`.

use std::sync::Arc;

use crate::support::bridge::BY_HAND;
use crate::support::orders::{BY_VERSION, DETAIL, Shop, World, asked, id};
use crate::support::pages::{changes, outcome, poll};
use crate::support::server::Server;
use crate::support::signal::{PATIENCE, Signal};
use crate::support::{Bridge, Reply, Vendor};

#[test]
fn only_items_that_are_new_or_another_are_asked_for_and_the_answer_is_the_item() {
    let world = World::watching(1..=3, DETAIL);
    assert_eq!(asked(&world.vendor, 0), [1, 2, 3], "one each");
    world.sees(&[], &[]);
    world.shop.put(2, 2, "paid");
    let (report, ids) = world.poll();
    assert_eq!((changes(&report), ids), (vec!["updated 2".to_owned()], vec![2]));
    let body = report["events"][0]["body"].to_string();
    assert_eq!(report["events"][0]["body"]["data"]["changed"], serde_json::json!(["/status"]), "{body}");
    let shown = world.bridge.cli(["events", "--json"]).ok().stdout;
    let event = world.bridge.cli(["event", report["events"][0]["id"].as_str().expect("an id"), "--json"]).ok().stdout;
    assert!(event.contains("2.10"), "S6: numbers keep their digits: {event} {shown}");
    world.shop.put(4, 1, "new");
    world.sees(&["created 4"], &[4]);
    world.shop.remove(1);
    world.sees(&["deleted 1"], &[]);
    world.shop.put(1, 1, "new");
    world.sees(&["restored 1"], &[1]);
    world.receiver.wait_for(4);
}

#[test]
fn s6_another_order_or_spelling_of_the_listed_item_asks_for_nothing() {
    let world = World::watching(1..=2, DETAIL);
    world.shop.list(1, r#"{"at": 1.0, "id": 1}"#);
    world.sees(&[], &[]);
    world.shop.list(1, r#"{"at": 1.0, "id": 1, "more": null}"#);
    world.sees(&[], &[1]);
}

#[test]
fn with_a_version_nothing_else_in_the_list_counts() {
    let world = World::watching(1..=2, BY_VERSION);
    world.shop.list(1, r#"{"id":1,"at":1,"views":7}"#);
    world.shop.answer(1, Reply::json(r#"{"status":"unseen"}"#));
    world.sees(&[], &[]);
    world.shop.list(1, r#"{"id":1,"at":2,"views":7}"#);
    world.sees(&["updated 1"], &[1]);
    world.shop.list(1, r#"{"id":1,"views":7}"#);
    world.sees(&[], &[1]);
    world.shop.list(1, r#"{"id":1,"views":8}"#);
    world.sees(&[], &[1]);
    world.sees(&[], &[]);
}

#[test]
fn an_answer_that_says_nothing_new_is_silent_and_not_asked_for_again() {
    let world = World::watching(1..=2, &format!("{DETAIL}ignore = ['$.total']"));
    world.shop.list(2, r#"{"id":2,"at":2}"#);
    world.sees(&[], &[2]);
    world.shop.list(2, r#"{"id":2,"at":3}"#);
    world.shop.answer(2, Reply::json(r#"{"status":"new","total":99}"#));
    world.sees(&[], &[2]);
    world.shop.put(3, 1, "new");
    world.sees(&["created 3"], &[3]);
    world.sees(&[], &[]);
}

#[test]
fn merge_lays_the_answer_over_the_listed_item() {
    let job =
        "detail = { url = 'orders/{{ key }}?for={{ job }}', merge = true }\nwhen = 'after.at > 1 and after.total > 1'";
    let world = World::watching(1..=2, job);
    world.shop.put(2, 2, "paid");
    world.shop.answer(2, Reply::json(r#"{"at":7,"total":2.50}"#));
    let (report, ids) = world.poll();
    assert_eq!((changes(&report), ids), (vec!["updated 2".to_owned()], vec![2]));
    assert_eq!(
        world.vendor.requests().last().map(|request| request.target.clone()).as_deref(),
        Some("/orders/2?for=orders")
    );
    let id = report["events"][0]["id"].as_str().expect("an id");
    let event = world.bridge.cli(["event", id, "--json"]).ok().stdout;
    assert!(event.replace([' ', '\n'], "").contains(r#""after":{"id":2,"at":7,"total":2.50}"#), "{event}");
    world.shop.put(1, 2, "x");
    world.shop.answer(1, Reply::json("[1]"));
    world.lacks(&[], &[1], "`merge = true` lays one object over another, and the answer is an array");
}

#[test]
fn a_report_shows_items_as_their_details_make_them() {
    let job = "detail = { url = 'orders/{{ key }}', merge = true }";
    let world = World::watching(1..=2, job);
    world.shop.put(2, 2, "paid");
    world.shop.put(3, 1, "new");
    world.shop.answer(3, Reply::status(404));
    for args in [["poll", "orders", "--json"].as_slice(), &["poll", "orders", "--json", "--commit"]] {
        let report = world.bridge.cli(args).ok().stdout;
        for body in [
            r#"{"id":1,"at":1,"status":"new","total":1.10}"#,
            r#"{"id":2,"at":2,"status":"paid","total":2.10}"#,
            r#"{"key":"3","body":{"id":3,"at":1}}"#,
        ] {
            assert!(report.contains(body), "the first from memory, the last only as it is listed: {report}");
        }
    }
}

#[test]
fn one_that_fails_blocks_no_other_and_is_asked_for_again_until_it_comes() {
    let world = World::watching(1..=3, DETAIL);
    world.shop.put(1, 2, "paid");
    world.shop.put(2, 2, "paid");
    world.shop.put(4, 1, "new");
    for reply in [Reply::status(404), Reply::status(500), Reply::json("<html>")] {
        world.shop.answer(1, reply);
        let why = "1 detail could not be read, that of the item `1`: ";
        match world.vendor.requests().len() {
            4 => world.lacks(&["created 4", "updated 2"], &[1, 2, 4], why),
            _ => world.lacks(&[], &[1], "they are asked for again by the next poll"),
        }
    }
    let why = world.bridge.cli(["why", "orders", "1"]).ok().stdout;
    assert!(why.contains("the request for its `detail` failed"), "{why}");
    let status = world.bridge.cli(["status"]).ok().stdout;
    assert!(status.contains("1 detail could not be read"), "{status}");
    world.shop.answer(1, Reply::json(r#"{"status":"paid","total":1.10}"#));
    world.sees(&["updated 1"], &[1]);
    world.sees(&[], &[]);
}

#[test]
fn an_item_is_not_created_before_its_detail_came_and_one_that_goes_back_is_not_asked_for() {
    let world = World::watching(1..=2, DETAIL);
    world.shop.put(3, 1, "new");
    world.shop.put(2, 2, "paid");
    world.shop.answer(2, Reply::status(500));
    world.shop.answer(3, Reply::status(410));
    world.lacks(&[], &[2, 3], "2 details could not be read, that of the item `2`: ");
    world.shop.list(2, r#"{"id":2,"at":1}"#);
    world.shop.put(3, 1, "new");
    world.sees(&["created 3"], &[3]);
    world.sees(&[], &[]);
}

#[test]
fn s4_a_poll_that_lacks_details_deletes_nothing_and_a_dirty_item_that_goes_is_deleted_like_any_other() {
    let world = World::watching(1..=3, DETAIL);
    world.shop.put(1, 2, "paid");
    world.shop.answer(1, Reply::status(404));
    world.shop.remove(3);
    world.lacks(&[], &[1], "1 detail could not be read");
    world.lacks(&[], &[1], "1 detail could not be read");
    world.shop.remove(1);
    world.sees(&["deleted 1", "deleted 3"], &[]);
    world.sees(&[], &[]);
}

#[test]
fn a_list_that_is_what_it_was_tries_again_what_is_dirty() {
    let world = World::watching(1..=2, DETAIL);
    let shop = world.shop.clone();
    // Whoever asks with the tag of the list as it is gets a 304.
    world.vendor.script(move |request| match id(request) {
        Some(_) => shop.reply(request),
        None => {
            let etag = format!(
                "\"{:x}\"",
                shop.body().bytes().fold(7_u64, |sum, byte| sum.wrapping_mul(31) ^ u64::from(byte))
            );
            let reply = match request.header("if-none-match") == Some(etag.as_str()) {
                true => Reply::status(304),
                false => Reply::json(shop.body()),
            };
            reply.with("etag", &etag)
        }
    });
    world.sees(&[], &[]);
    world.shop.put(1, 2, "paid");
    world.shop.answer(1, Reply::status(500));
    world.lacks(&[], &[1], "1 detail could not be read");
    world.lacks(&[], &[1], "1 detail could not be read");
    world.shop.put(1, 2, "paid");
    world.sees(&["updated 1"], &[1]);
    let (report, ids) = world.poll();
    assert_eq!((outcome(&report), ids.len()), ("unchanged", 0));
    assert_eq!(report["requests"][0]["status"], 304);
}

#[test]
fn s2_a_cursor_goes_past_a_dirty_item_which_is_asked_for_all_the_same() {
    let job = "query = { since = '{{ cursor }}' }\ncursor = { at = '$.at' }\n";
    let world = World::watching(1..=2, &format!("{DETAIL}{job}"));
    let shop = world.shop.clone();
    world.vendor.script(move |request| match id(request) {
        Some(_) => shop.reply(request),
        None => {
            let since = request.target.split("since=").nth(1).map_or(0, |since| since.parse().expect("a number"));
            let at = |item: &str| -> u32 {
                item.split("\"at\":").nth(1).map_or(0, |at| at.trim_end_matches('}').parse().expect("a number"))
            };
            let listed = shop.0.lock().expect("no panic").listed.clone();
            let items: Vec<String> = listed.into_iter().map(|(_, item)| item).filter(|item| at(item) > since).collect();
            Reply::json(format!(r#"{{"orders":[{}]}}"#, items.join(",")))
        }
    });
    world.sees(&[], &[]);
    world.shop.put(1, 5, "paid");
    world.shop.put(3, 6, "new");
    world.shop.answer(1, Reply::status(500));
    world.lacks(&["created 3"], &[1, 3], "1 detail could not be read");
    world.lacks(&[], &[1], "1 detail could not be read");
    let asked = world.vendor.requests().into_iter().rev().find(|request| id(request).is_none()).expect("a list");
    assert_eq!(asked.target, "/orders?since=6", "it lists neither");
    world.shop.put(1, 5, "paid");
    world.sees(&["updated 1"], &[1]);
    world.sees(&[], &[]);
}

#[test]
fn what_a_window_has_lost_is_asked_for_all_the_same() {
    let world = World::watching(1..=2, &format!("{DETAIL}list = 'window'\n"));
    world.shop.put(3, 1, "new");
    world.shop.answer(3, Reply::status(500));
    world.lacks(&[], &[3], "1 detail could not be read");
    (1..=3).for_each(|id| world.shop.remove(id));
    world.shop.put(4, 1, "new");
    world.lacks(&["created 4"], &[3, 4], "1 detail could not be read");
    world.shop.answer(3, Reply::json(r#"{"status":"late"}"#));
    world.sees(&["created 3"], &[3]);
    world.sees(&[], &[]);
}

#[test]
fn l1_a_vendor_that_has_had_enough_is_asked_for_no_more_and_nothing_is_lost() {
    let world = World::watching(1..=9, "detail = { url = 'orders/{{ key }}', concurrency = 1 }\n");
    (1..=9).for_each(|id| world.shop.put(id, 2, "paid"));
    world.shop.answer(3, Reply::status(429));
    let why = "1 detail could not be read, that of the item `3`: ";
    world.lacks(&["updated 1", "updated 2"], &[1, 2, 3], why);
    world.shop.put(3, 2, "paid");
    let left: Vec<String> = (3..=9).map(|id| format!("updated {id}")).collect();
    world.sees(&left.iter().map(String::as_str).collect::<Vec<_>>(), &[3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn one_that_ends_the_asking_comes_last_the_next_time() {
    let job = "detail = { url = 'orders/{{ key }}', concurrency = 1 }\n";
    let world = World::watching(1..=3, job);
    (1..=3).for_each(|id| world.shop.put(id, 2, "paid"));
    world.shop.answer(1, Reply::Cut);
    world.lacks(&[], &[1], "; 2 details not asked for after that");
    world.lacks(&["updated 2", "updated 3"], &[1, 2, 3], "1 detail could not be read");
}

#[test]
fn l4_a_detail_that_leads_elsewhere_is_not_followed_and_says_so() {
    let world = World::watching(1..=2, DETAIL);
    let elsewhere = Vendor::of(r#"{"status":"stolen"}"#);
    world.shop.put(1, 2, "paid");
    world.shop.answer(1, Reply::status(302).with("location", &format!("{}/orders/1", elsewhere.url())));
    world.lacks(&[], &[1], "to another origin");
    assert_eq!(elsewhere.count(), 0);
}

/// How many requests for details a vendor has in hand, and the most that it had.
type InHand = Arc<Signal<(usize, usize)>>;

/// A vendor that answers no request for a detail before it has had so many in hand at once.
fn crowded(shop: &Shop, most: usize) -> (Server, InHand) {
    let (shop, in_hand) = (shop.clone(), InHand::default());
    let counting = Arc::clone(&in_hand);
    let server = Server::start(move |request| {
        if id(&request).is_none() {
            return shop.reply(&request);
        }
        counting.change(|(now, peak)| {
            *now += 1;
            *peak = (*peak).max(*now);
        });
        counting.wait_at_most(PATIENCE, |(_, peak)| (*peak >= most).then_some(()));
        counting.change(|(now, _)| *now -= 1);
        shop.reply(&request)
    });
    (server, in_hand)
}

#[test]
fn so_many_are_asked_for_at_once_and_the_vendors_own_limit_holds() {
    for (detail, vendor, most) in
        [("", "", 4), (", concurrency = 2", "", 2), (", concurrency = 9", "concurrency = 3", 3)]
    {
        let shop = Shop::of(1..=12);
        let (server, in_hand) = crowded(&shop, most);
        let bridge = Bridge::with(&format!(
            "[daemon]\nstate = 'doorbell.db'\nlisten = 'off'\n[vendor.shop]\nbase_url = 'http://{}'\n{vendor}\n\
             [job.orders]\nvendor = 'shop'\nurl = 'orders'\nsend_to = ['crm']\n{BY_HAND}\
             detail = {{ url = 'orders/{{{{ key }}}}'{detail} }}\n[sink.crm]\nurl = 'http://127.0.0.1:9'\n",
            server.addr
        ));
        let report = poll(&bridge);
        assert_eq!((outcome(&report), in_hand.lock().1), ("complete", most), "{detail} {vendor}: {report:#}");
    }
}
