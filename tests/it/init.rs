//! `doorbell init URL`: a stranger's API becomes a job that passes `check` and polls what it should.
//!
//! What is found in the answers of which vendor is tested beside `core::survey`.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::support::bridge::{Done, config};
use crate::support::{Bridge, Receiver, Reply, Vendor};

/// A list whose `served` differs each time.
fn shop() -> Vendor {
    let served = AtomicU32::new(0);
    Vendor::scripted(move |_| {
        let item = |id: u32| {
            let served = served.fetch_add(1, Ordering::Relaxed);
            format!(r#"{{"id":{id},"status":"new","served":{served},"updated_at":"2026-01-01T00:00:00Z"}}"#)
        };
        Reply::json(format!(r#"{{"count":2,"data":[{},{}]}}"#, item(7), item(8)))
    })
}

/// A folder without a config.
fn nothing() -> Bridge {
    let bridge = Bridge::with("");
    fs::remove_file(bridge.path().join("doorbell.toml")).expect("the config is there");
    bridge
}

fn files(bridge: &Bridge) -> Vec<String> {
    let entries = fs::read_dir(bridge.path()).expect("a folder can be read");
    entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
}

fn written(bridge: &Bridge) -> String {
    fs::read_to_string(bridge.path().join("doorbell.toml")).expect("a config was written")
}

fn init(bridge: &Bridge, args: &[&str]) -> Done {
    bridge.cli_raw([&["init", "--yes"], args].concat())
}

#[test]
fn a_job_is_written_that_passes_and_polls_what_it_should() {
    let (vendor, bridge) = (shop(), nothing());
    let done = init(&bridge, &[&format!("{}/v2/orders?limit=2", vendor.url())]).ok();
    for words in
        ["$.data[*] (2 items)", "$.id: in each of the 2 items", "$.served: it differs in 2 of 2", "$.updated_at"]
    {
        assert!(done.stdout.contains(words), "no `{words}` in {done:#?}");
    }
    let text = written(&bridge);
    assert!(text.starts_with("#:schema ./doorbell.schema.json\n"), "{text}");
    for line in [
        "url = \"orders\"",
        "query = { limit = 2 }",
        "items = \"$.data[*]\"",
        "key = \"$.id\"",
        "ignore = [\"$.served\"]",
    ] {
        assert!(text.contains(line), "no `{line}` in {text}");
    }
    assert!(bridge.path().join("doorbell.schema.json").exists());
    bridge.cli(["check"]).ok();
    let poll = bridge.cli(["poll", "orders", "--json"]).ok().json();
    assert_eq!((poll["outcome"].as_str(), poll["items"].as_u64()), (Some("complete"), Some(2)));
    bridge.cli(["poll", "orders", "--commit"]).ok();
    let again = bridge.cli(["poll", "orders", "--json"]).ok().json();
    assert_eq!(again["events_total"], 0, "what flickers is no event: {again}");
}

#[test]
fn pages_that_were_found_are_read() {
    let vendor = Vendor::scripted(|request| {
        let page = if request.target.contains("&page=2") { 2 } else { 1 };
        let body = format!(r#"[{{"id":{page}1}},{{"id":{page}2}}]"#);
        let reply = Reply::json(body);
        if page == 1 { reply.with("link", "</orders?per_page=2&page=2>; rel=\"next\"") } else { reply }
    });
    let bridge = nothing();
    init(&bridge, &[&format!("{}/orders?per_page=2", vendor.url())]).ok();
    assert!(written(&bridge).contains("[job.orders.pages]\nstyle = \"link\"\n"), "{}", written(&bridge));
    let poll = bridge.cli(["poll", "orders", "--json"]).ok().json();
    assert_eq!((poll["outcome"].as_str(), poll["items"].as_u64()), (Some("complete"), Some(4)), "{poll}");
}

#[test]
fn what_is_not_json_gets_its_format() {
    let rss = "<rss version='2.0'><channel><title>t</title><item><guid>a</guid><title>A</title></item>\
               <item><guid>b</guid><title>B</title></item></channel></rss>";
    let vendor = Vendor::scripted(move |request| match request.path() {
        "/stock.csv" => Reply::body("text/csv", "sku,left\nA-1,3\nA-2,3\n"),
        "/lager.csv" => Reply::body("text/csv", "sku;bestand\nA-1;3,5\nA-2;3\n"),
        "/pipes.csv" => Reply::body("text/csv", "sku|left\nA-1|3\nA-2|3\n"),
        _ => Reply::body("application/xml", rss),
    });
    let bridge = nothing();
    for path in ["stock.csv", "lager.csv", "pipes.csv", "news"] {
        init(&bridge, &[&format!("{}/{path}", vendor.url())]).ok();
    }
    let text = written(&bridge);
    let semicolon = "format = \"csv\"\ncsv = { delimiter = \";\" }\n";
    let pipe = "csv = { delimiter = \"|\" }\n";
    for line in [
        "format = \"csv\"\nevery",
        semicolon,
        pipe,
        "key = \"$.sku\"",
        "format = \"feed\"",
        "items = \"$.entries[*]\"",
        "list = \"window\"",
        "list = \"window\"",
    ] {
        assert!(text.contains(line), "no `{line}` in {text}");
    }
    for job in ["stock", "lager", "pipes", "news"] {
        let poll = bridge.cli(["poll", job, "--json"]).ok().json();
        assert_eq!((poll["outcome"].as_str(), poll["items"].as_u64()), (Some("complete"), Some(2)), "{poll}");
    }
}

#[test]
fn a_job_is_added_and_every_byte_that_was_there_stays() {
    let (vendor, receiver) = (shop(), Receiver::start());
    let before = format!("# mine\n{}# the end", config(&vendor, &receiver, "every = '1h'", ""));
    let bridge = Bridge::with(&before);
    let url = format!("{}/returns", vendor.url());
    init(&bridge, &[&url]).ok();
    let text = written(&bridge);
    assert!(text.starts_with(&before), "{text}");
    assert!(
        text.contains("vendor = \"shop\"") && text.contains("send_to = [\"crm\"]"),
        "what is there is used: {text}"
    );
    bridge.cli(["check"]).ok();
    bridge.cli(["poll", "returns"]).ok();

    let asked = vendor.count();
    let done = init(&bridge, &[&url]);
    assert_eq!((done.code, written(&bridge) == text), (Some(1), true), "a name that exists is refused: {done:?}");
    assert!(done.stderr.contains("--name returns_2"), "{done:?}");
    assert_eq!(vendor.count(), asked, "and the vendor is not asked for nothing");
    init(&bridge, &[&url, "--name", "other", "--every", "5m", "--sink", &receiver.url()]).ok();
    assert!(written(&bridge).contains("[job.other]"));
    bridge.cli(["check"]).ok();
}

#[test]
fn credentials_are_sent_and_never_written() {
    let vendor = Vendor::scripted(|request| {
        let known =
            request.header("authorization") == Some("Bearer open-sesame") || request.header("x-api-key") == Some("k3y");
        if known { Reply::json(r#"[{"id":1},{"id":2}]"#) } else { Reply::status(401) }
    });
    let bridge = nothing().with_env("SHOP_TOKEN", "open-sesame").with_env("SHOP_KEY", "k3y");
    let url = format!("{}/orders", vendor.url());
    let done = init(&bridge, &[&url]);
    assert_eq!(done.code, Some(1));
    assert!(done.stderr.contains("401") && done.stderr.contains("--bearer-env NAME"), "{done:?}");
    assert_eq!(files(&bridge), Vec::<String>::new(), "nothing is written");

    let done = init(&bridge, &[&url, "--bearer-env", "SHOP_TOKEN"]).ok();
    assert!(!done.output().contains("open-sesame") && !written(&bridge).contains("open-sesame"));
    bridge.cli(["poll", "orders"]).ok();
    let done = init(&bridge, &[&url, "-H", "X-Api-Key: ${env:SHOP_KEY}", "--name", "keyed", "-o", "other.toml"]).ok();
    let other = fs::read_to_string(bridge.path().join("other.toml")).expect("it was written");
    assert!(other.contains("${env:SHOP_KEY}") && !other.contains("k3y") && !done.output().contains("k3y"), "{other}");
    bridge.cli_raw(["-c", "other.toml", "poll", "keyed"]).ok();

    for bad in
        [&["-H", "X-Api-Key: k3y"][..], &["-H", "Authorization: Bearer open-sesame"], &["--bearer-env", "NO_SUCH"]]
    {
        let done = init(&bridge, &[&[url.as_str(), "--name", "third"], bad].concat());
        assert_eq!(done.code, Some(2), "{bad:?}: {done:?}");
        assert!(!done.output().contains("k3y") && !done.output().contains("open-sesame"), "{done:?}");
    }
}

#[test]
fn it_prints_and_writes_nothing() {
    let (vendor, bridge) = (shop(), nothing());
    let done = init(&bridge, &[&format!("{}/orders", vendor.url()), "-o", "-"]).ok();
    assert_eq!(files(&bridge), Vec::<String>::new());
    assert!(done.stderr.contains("$.id: in each"), "what was found is beside it: {done:?}");
    bridge.write(&done.stdout);
    bridge.cli(["check"]).ok();
}

#[test]
fn what_can_not_be_polled_is_a_sentence_and_writes_nothing() {
    let vendor = Vendor::scripted(|request| match request.path() {
        "/empty" => Reply::json(r#"{"data":[]}"#),
        "/nokey" => Reply::json(r#"[{"a":1},{"a":1}]"#),
        "/page" => Reply::json("<!DOCTYPE html><html><title>Sign in</title></html>"),
        "/broken" => Reply::json(r#"{"data":["#),
        "/nothing" => Reply::json(""),
        "/huge" => Reply::json(format!(r#"["{}"]"#, "x".repeat(33 << 20))),
        _ => Reply::status(404),
    });
    let bridge = nothing();
    for (path, words) in [
        ("/empty", &["`$.data` is empty", "--items"][..]),
        ("/nokey", &["apart", "--key"]),
        ("/page", &["web page", "Sign in"]),
        ("/broken", &["can't be read"]),
        ("/nothing", &["empty"]),
        ("/huge", &["32 MiB", "limit"]),
        ("/gone", &["404"]),
    ] {
        let done = init(&bridge, &[&format!("{}{path}", vendor.url())]);
        assert_eq!(done.code, Some(1), "{path}: {done:?}");
        for word in words {
            assert!(done.stderr.contains(word), "{path}: no `{word}` in {done:?}");
        }
        assert_eq!(files(&bridge), Vec::<String>::new(), "{path}");
    }
    for (url, code) in
        [("http://127.0.0.1:1/", 1), ("http://no-such-host.invalid/", 1), ("shop.example/x", 2), ("ftp://a.example", 2)]
    {
        let done = init(&bridge, &[url]);
        assert_eq!(done.code, Some(code), "{url}: {done:?}");
        assert!(done.stderr.contains("hint: "), "{done:?}");
    }
    bridge.write("[job.orders]\nevery = 3");
    let done = init(&bridge, &[&format!("{}/empty", vendor.url())]);
    assert_eq!(done.code, Some(2), "a file that is broken is not added to: {done:?}");
}
