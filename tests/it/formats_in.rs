//! What vendors speak: CSV, XML, feeds, lines of JSON, text, in their charsets, become the same webhooks as JSON.
//!
//! How webhooks are written is in `formats.rs`.

use serde_json::{Value, json};

use crate::support::bridge::BY_HAND;
use crate::support::{Bridge, Receiver, Reply, Vendor};

/// Polls these answers in turn as this job, and returns the items before and after the one update that follows.
fn update(job: &str, answers: [Reply; 2]) -> (String, Value, Value) {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, &format!("every = '50ms'\n{job}"), "");
    let _daemon = bridge.run();
    for answer in answers {
        vendor.step(answer);
    }
    let hook = receiver.wait_for(1).remove(0);
    assert_eq!((hook.change(), hook.sequence()), ("updated", 1));
    let data = hook.data();
    (hook.key().to_owned(), data["before"].clone(), data["after"].clone())
}

/// The bytes of a text in ISO 8859-1.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|letter| u8::try_from(u32::from(letter)).expect("a letter of Latin 1")).collect()
}

#[test]
fn a_csv_export_in_latin_1_gives_webhooks_by_row() {
    let export = |city: &str| {
        let rows = format!("Nr;Name;Ort\r\n1;Müller;Köln\r\n2;\"Meier; Söhne\";{city}\r\n");
        Reply::body("text/csv; charset=ISO-8859-1", latin1(&rows))
    };
    let job = "items = '$[*]'\nkey = '$.Nr'\ncsv = { delimiter = ';' }";
    let (key, before, after) = update(job, [export("Münster"), export("Zürich")]);
    assert_eq!(key, "2");
    assert_eq!(before, json!({"Nr": "2", "Name": "Meier; Söhne", "Ort": "Münster"}));
    assert_eq!(after, json!({"Nr": "2", "Name": "Meier; Söhne", "Ort": "Zürich"}));
}

#[test]
fn xml_with_a_namespace_gives_webhooks_by_element() {
    let answer = |status: &str| {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"ISO-8859-1\"?>\n<s:orders xmlns:s=\"urn:shop\">\n\
             <s:order id=\"7\"><s:total cur=\"EUR\">1.10</s:total><s:status>{status}</s:status></s:order>\n</s:orders>"
        );
        Reply::body("application/xml", latin1(&body))
    };
    let job = "items = \"$['s:orders']['s:order'][*]\"\nkey = \"$['@id']\"\narray = ['s:order']";
    let (key, _, after) = update(job, [answer("geprüft"), answer("bezahlt")]);
    assert_eq!(key, "7");
    let total = json!({"@cur": "EUR", "#text": "1.10"});
    assert_eq!(after, json!({"@id": "7", "s:total": total, "s:status": "bezahlt"}));
}

#[test]
fn rss_atom_and_json_feed_give_webhooks_in_one_shape() {
    let feed = |content_type: &str, title: &str| match content_type {
        "text/xml" => format!(
            "<rss version=\"2.0\"><channel><title>N</title><item><guid>u1</guid><title>{title}</title>\
             <pubDate>Sun, 01 Nov 2026 08:00:00 GMT</pubDate></item></channel></rss>"
        ),
        "application/atom+xml" => format!(
            "<feed xmlns=\"http://www.w3.org/2005/Atom\"><title>N</title><entry><id>u1</id><title>{title}</title>\
             <published>2026-11-01T08:00:00Z</published></entry></feed>"
        ),
        _ => format!(
            "{{\"version\":\"https://jsonfeed.org/version/1.1\",\"title\":\"N\",\"items\":[{{\"id\":\"u1\",\
             \"title\":\"{title}\",\"date_published\":\"2026-11-01T08:00:00Z\"}}]}}"
        ),
    };
    for content_type in ["text/xml", "application/atom+xml", "application/feed+json"] {
        let job = "format = 'feed'\nitems = '$.entries[*]'\nkey = '$.id'\nlist = 'window'";
        let answer = |title| Reply::body(content_type, feed(content_type, title));
        let (key, _, after) = update(job, [answer("old"), answer("new")]);
        assert_eq!(key, "u1");
        assert_eq!(
            after,
            json!({
                "id": "u1", "title": "new", "link": null, "published": "2026-11-01T08:00:00Z", "updated": null,
                "summary": null, "content": null, "authors": [], "categories": [],
            }),
            "{content_type}"
        );
    }
}

#[test]
fn lines_of_json_give_webhooks_by_line() {
    let answer = |status: &str| {
        Reply::body("application/x-ndjson", format!("{{\"id\":1,\"n\":1.10}}\n{{\"id\":2,\"status\":\"{status}\"}}\n"))
    };
    let (key, before, after) = update("items = '$[*]'\nkey = '$.id'", [answer("new"), answer("paid")]);
    assert_eq!((key.as_str(), &before["status"], &after["status"]), ("2", &json!("new"), &json!("paid")));
}

#[test]
fn a_text_is_one_item() {
    let answer = |text: &str| Reply::body("text/plain; charset=utf-8", text);
    let (key, before, after) = update("", [answer("v1.2.3\n"), answer("v1.2.4\n")]);
    assert_eq!((key.as_str(), before, after), ("", json!("v1.2.3\n"), json!("v1.2.4\n")));
}

#[test]
fn the_vendor_is_asked_for_what_the_job_reads() {
    let (vendor, receiver) = (Vendor::of("a\n1\n"), Receiver::start());
    let job = format!("{BY_HAND}format = 'csv'\n").replace("$.orders[*]", "$[*]").replace("$.id", "$.a");
    let bridge = Bridge::between(&vendor, &receiver, &job, "");
    bridge.cli(["poll", "orders"]);
    let asked = vendor.requests().remove(0);
    assert!(asked.header("accept").is_some_and(|accept| accept.starts_with("text/csv")), "{asked:?}");
}

#[test]
fn a_broken_answer_is_a_sentence_with_its_line_and_loses_nothing() {
    let (vendor, receiver) = (Vendor::in_lockstep(), Receiver::start());
    let job = "every = '50ms'\nitems = '$[*]'\nkey = '$.id'\nformat = 'csv'\ndeletes = { after = 1 }\n";
    let bridge = Bridge::between(&vendor, &receiver, job, "");
    let daemon = bridge.run();
    let csv = |body: &str| Reply::body("text/csv", body);
    vendor.step(csv("id,v\n1,a\n2,b\n"));
    for (broken, words) in [
        (csv("id,v\n1\n"), "on line 2, the row has 1 field, the header has 2"),
        (csv("id,v\n1,\"a\n"), "a quote is opened and never closed"),
        (csv(""), "it is empty"),
        (Reply::body("text/csv", latin1("id,v\n1,é\n")), "it is not UTF-8"),
        (Reply::body("text/html", "<!doctype html><html>Log in</html>"), "it is HTML and begins with"),
        (Reply::json("{\"error\":\"quota\"}"), "its Content-Type is `application/json`"),
    ] {
        vendor.step(broken);
        let shown = daemon.job("orders");
        assert!(shown.to_string().contains(words), "no `{words}` in {shown}");
    }
    vendor.step(csv("id,v\n1,a\n2,c\n"));
    let hooks = receiver.wait_for(1);
    assert_eq!((hooks.len(), hooks[0].change(), hooks[0].key()), (1, "updated", "2"), "nothing was deleted");
}

#[test]
fn an_entity_bomb_and_broken_xml_end_as_failed_polls() {
    let (vendor, receiver) = (Vendor::of(""), Receiver::start());
    let bridge = Bridge::between(&vendor, &receiver, BY_HAND, "");
    for (body, words) in [
        ("<!DOCTYPE a [<!ENTITY x \"y\"><!ENTITY z \"&x;&x;\">]><a>&z;</a>", "defines entities of its own"),
        ("<orders>\n<order>", "on line 2, the text ends inside `<order>`"),
    ] {
        vendor.reply(Reply::body("application/xml", body));
        let done = bridge.cli(["poll", "orders", "--json"]);
        let report = done.json();
        assert_eq!((done.code, &report["failure"]), (Some(1), &json!("malformed")), "{report}");
        assert!(report["reason"].as_str().is_some_and(|reason| reason.contains(words)), "{report}");
    }
}
