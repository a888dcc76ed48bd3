//! What sinks get, and as what: `format`, `payload`, `thin`, and tables in `send_to`.

use super::*;
use crate::core::formats::{Form, Format};
use crate::core::sink::Route;

const JOB: &str = "[job.a]\nurl = \"https://a.example\"\nevery = \"1s\"\n";

/// A job with these ways, and a sink with these lines.
fn text(send_to: &str, sink: &str) -> String {
    format!(
        "{JOB}send_to = {send_to}\n[sink.s]\nurl = \"https://s.example\"\n{sink}\n[sink.t]\nurl = \"https://t.example\"\n"
    )
}

/// The ways of the job, and how each writes for its sink.
fn ways(send_to: &str, sink: &str) -> Vec<(Route, String)> {
    let loaded = loaded(&with(&text(send_to, sink)));
    let name = |route: &Route| {
        let to = loaded.config.sink(&route.sink).unwrap();
        match route.writing(to) {
            (Form::Named(format), thin) => format!("{format:?} {thin}"),
            (Form::Payload(template), thin) => format!("{} {thin}", template.source()),
        }
    };
    loaded.config.jobs[0].send_to.iter().map(|route| (route.clone(), name(route))).collect()
}

#[test]
fn a_way_takes_what_it_does_not_say_from_its_sink() {
    for (send_to, sink, expected) in [
        ("[\"s\"]", "", "Standard false"),
        ("[\"s\"]", "format = \"slack\"\nthin = true", "Slack true"),
        ("[{ sink = \"s\" }]", "format = \"slack\"\nthin = true", "Slack true"),
        ("[{ sink = \"s\", thin = false }]", "format = \"slack\"\nthin = true", "Slack false"),
        ("[{ sink = \"s\", format = \"data\" }]", "format = \"slack\"", "Data false"),
        ("[{ sink = \"s\", thin = true }]", "", "Standard true"),
        (
            "[{ sink = \"s\", payload = { text = \"{{ key }}\", n = [1.50, true] } }]",
            "format = \"teams\"",
            "{\"n\":[1.50,true],\"text\":\"{{ key }}\"} false",
        ),
        ("[\"s\"]", "payload = { a = \"{{ after.total }}\" }", "{\"a\":\"{{ after.total }}\"} false"),
    ] {
        assert_eq!(ways(send_to, sink)[0].1, expected, "{send_to} {sink}");
    }
}

#[test]
fn several_ways_may_lead_to_one_sink_when_all_but_the_last_have_a_condition() {
    let send_to = "[\"t\", { sink = \"s\", when = \"change == 'deleted'\", format = \"slack\" }, \"s\"]";
    let names: Vec<_> = ways(send_to, "").into_iter().map(|(route, form)| (route.sink.to_string(), form)).collect();
    let expected = [("t", "Standard false"), ("s", "Slack false"), ("s", "Standard false")];
    assert_eq!(names, expected.map(|(sink, form)| (sink.to_owned(), form.to_owned())));
    for unreachable in ["[\"s\", { sink = \"s\", when = \"key == '1'\" }]", "[\"s\", \"s\"]"] {
        let printed = printed(&with(&text(unreachable, "")));
        assert!(
            printed.contains("the sink `s` is there twice") && printed.contains("give the first a `when`"),
            "{printed}"
        );
    }
}

#[test]
fn every_format_of_the_page_has_its_word() {
    for word in ["standard", "cloudevents", "cloudevents-binary", "data", "slack", "discord", "teams"] {
        assert!(ways("[\"s\"]", &format!("format = \"{word}\"")).len() == 1);
    }
    let loaded = loaded(&with(&text("[\"s\"]", "format = \"cloudevents-binary\"")));
    let sink = loaded.config.sink(&"s".into()).unwrap();
    assert!(matches!(sink.form, Form::Named(Format::CloudEventsBinary)));
}

#[test]
fn a_batch_has_defaults_for_what_it_does_not_say() {
    use crate::core::batch::Batching;
    let read = |sink: &str| loaded(&with(&text("[\"s\"]", sink))).config.sink(&"s".into()).unwrap().batching;
    assert_eq!(read(""), None);
    assert_eq!(read("batch = {}"), Some(Batching::default()));
    let wait = std::time::Duration::from_millis(250);
    assert_eq!(read("batch = { max = 7, wait = \"250ms\" }\nthin = true"), Some(Batching { max: 7, wait }));
}

#[test]
fn what_can_not_be_is_told_with_its_place() {
    for (send_to, sink, message, hint) in [
        ("[\"s\"]", "format = \"slak\"", "`format` can't be `slak`", "it is one of `standard`, `cloudevents`,"),
        ("[\"s\"]", "format = \"data\"\nthin = true", "the format `data` can't be `thin`", "thin = false"),
        ("[\"s\"]", "payload = { a = 1 }\nthin = true", "a `payload` can't be `thin`", "thin = false"),
        ("[\"s\"]", "payload = { a = 1 }\nformat = \"data\"", "has both `format` and `payload`", "keep one"),
        ("[\"s\"]", "payload = \"{{ key }}\"", "`payload` takes a table or a list, not text", ""),
        ("[\"s\"]", "payload = { a = \"{{ aftr }}\" }", "`aftr`", "after"),
        ("[\"s\"]", "payload = { a = \"{{ cursor }}\" }", "`cursor`", ""),
        ("[\"s\"]", "payload = { a = \"{{ key\" }", "payload", ""),
        ("[\"s\"]", "payload = { a = nan }", "JSON has no such value", ""),
        ("[\"s\"]", "payload = { a = \"${env:KEY}\" }", "`payload` can't hold a secret", "`headers` or `url`"),
        ("[{ when = \"key\" }]", "", "lacks its `sink`", "sink = \"NAME\""),
        ("[{ sink = \"ledger\" }]", "", "there is no sink `ledger`", "[sink.ledger]"),
        ("[{ sink = \"s\", whn = \"key\" }]", "", "unknown key `whn`", "did you mean `when`?"),
        ("[{ sink = \"s\", when = \"ky\" }]", "", "`ky`", "key"),
        ("[{ sink = \"s\", thin = true }]", "format = \"data\"", "the format `data` can't be `thin`", "thin = false"),
        ("[{ sink = \"s\", payload = { a = 1 } }]", "thin = true", "a `payload` can't be `thin`", "thin = false"),
        (
            "[\"s\"]",
            "format = \"slack\"\nbatch = { max = 9 }",
            "the format `slack` can't go in a `batch`",
            "cloudevents",
        ),
        ("[\"s\"]", "payload = { a = 1 }\nbatch = {}", "a `payload` can't go in a `batch`", "take `batch` out"),
        ("[{ sink = \"s\", format = \"data\" }]", "batch = {}", "the format `data` can't go in a `batch`", "standard"),
        ("[\"s\"]", "batch = { max = 0 }", "`max`", "250"),
        ("[\"s\"]", "batch = { max = 251 }", "`max`", "250"),
        ("[\"s\"]", "batch = { wait = \"2h\" }", "`wait`", "1h"),
        ("[\"s\"]", "batch = { size = 1 }", "unknown key `size`", ""),
        ("[\"s\"]", "batch = 100", "`batch` takes a table", ""),
        ("[7]", "", "takes text in quotes", ""),
    ] {
        let machine = with(&text(send_to, sink)).variable("KEY", "s3cr3t-value");
        let printed = printed(&machine);
        assert!(printed.contains(message) && printed.contains(hint), "{send_to} {sink}:\n{printed}");
        assert!(!printed.contains("s3cr3t"), "{printed}");
    }
}
