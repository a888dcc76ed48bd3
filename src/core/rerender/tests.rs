//! What is written anew is what was written at the commit, unless the config says otherwise today.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::core::alert::Alerts;
use crate::core::config::{Daemon, Listen};
use crate::core::diff::difference;
use crate::core::rules::Rules;
use crate::core::sink::{self, Route};
use crate::core::template::{JsonTemplate, Part, Text};

const ID: &str = "evt_aaaqeayeaudaocajbifqydiob4";

fn config(form: Form, thin: bool, route: Route) -> Config {
    let mut job = crate::core::job::plain("orders");
    job.send_to = vec![route];
    let mut sink = Arc::into_inner(sink::plain("crm")).unwrap();
    (sink.form, sink.thin) = (form, thin);
    Config {
        daemon: Daemon {
            state: PathBuf::new(),
            listen: Listen::Off,
            token: None,
            concurrency: 1,
            retention: Duration::from_secs(1),
            reload: Default::default(),
        },
        jobs: vec![Arc::new(job)],
        vendors: Vec::new(),
        sinks: vec![Arc::new(sink)],
        alerts: Alerts::default(),
        secrets: Vec::new(),
    }
}

fn to_crm() -> Route {
    Route::to(SinkName::from("crm"))
}

fn payload(members: &[(&str, &str)]) -> Form {
    let names = ["before", "after", "change", "changed", "key", "job", "scope"];
    let text = |text: &str| Text::compile(&[Part::Plain(text.to_owned())], &names).unwrap();
    let members = members.iter().map(|(name, value)| ((*name).to_owned(), JsonTemplate::Text(text(value))));
    Form::Payload(JsonTemplate::Object(members.collect()))
}

fn kept(body: &[u8], job: &str) -> Kept {
    let (id, job, sink) = (EventId::from(ID), JobName::from(job), SinkName::from("crm"));
    Kept { id, job, key: Key::from("orders"), body: Bytes::copy_from_slice(body), sink }
}

/// The envelope of an update, and what it was written as for each form at the commit.
fn committed(before: &str, after: &str, form: &Form, thin: bool) -> (Bytes, Written) {
    let (old, new) = (parse(before.as_bytes()).unwrap(), parse(after.as_bytes()).unwrap());
    let (job, scope, key) = (JobName::from("orders"), Scope::from(r#"{"account":"eu"}"#), Key::from("1"));
    let difference = difference(&old, &new, &Rules::default());
    let envelope = Envelope {
        kind: "orders.updated",
        at: Timestamp::parse("2026-11-20T15:04:05.123Z").unwrap(),
        job: &job,
        scope: &scope,
        key: &key,
        change: Change::Updated,
        before: Some(before.as_bytes()),
        after: Some(after.as_bytes()),
        difference: &difference,
        sequence: 42,
        extent: Extent::Whole,
    };
    let scope = parse(scope.as_str().as_bytes()).unwrap();
    let facts = Facts::of(&envelope, &scope, Some(&old), Some(&new));
    let (id, names) = (EventId::from(ID), facts.names());
    let telling = Telling { id: &id, envelope: &envelope, before: Some(&old), after: Some(&new), names: &names };
    (envelope.render().body, formats::write(form, thin, &telling))
}

const BEFORE: &str = r#"{"id":9007199254740993,"total":1.10,"tags":["a"]}"#;
const AFTER: &str = r#"{"id":9007199254740993,"total":1.20,"tags":["a","b"]}"#;

#[test]
fn what_is_written_anew_under_the_same_config_is_what_was_written() {
    let own = payload(&[("was", "{{ before.total }}"), ("is", "{{ after.total }}"), ("in", "{{ scope.account }}")]);
    for form in Format::WORDS.into_iter().map(|(_, format)| Form::Named(format)).chain([own]) {
        for thin in [false, true].into_iter().filter(|thin| !thin || form.can_be_thin()) {
            let (body, written) = committed(BEFORE, AFTER, &form, thin);
            let again = rerender(&config(form.clone(), thin, to_crm()), &kept(&body, "orders")).unwrap();
            assert_eq!((again.body, again.wire), (written.body, written.wire), "{form:?} {thin}");
        }
    }
}

#[test]
fn the_way_to_the_sink_says_how_where_it_holds() {
    let names = ["before", "after", "change", "changed", "key", "job", "scope"];
    let when = |text: &str| Some(crate::core::template::Condition::compile(text, &names).unwrap());
    let (body, _) = committed(BEFORE, AFTER, &Form::default(), false);
    let told = |condition: &str| {
        let way = Route { when: when(condition), form: Some(payload(&[("n", "{{ after.total }}")])), ..to_crm() };
        rerender(&config(Form::default(), false, way), &kept(&body, "orders")).unwrap().body
    };
    assert_eq!(told("after.total > 1").as_deref(), Some(&br#"{"n":1.20}"#[..]));
    assert_eq!(told("after.total > 2"), None, "as the sink says");
}

#[test]
fn what_was_left_out_is_neither_invented_nor_kept_quiet() {
    let large = |letter: &str| format!(r#"{{"id":1,"note":"{}"}}"#, letter.repeat(600_000));
    let (body, _) = committed(&large("a"), &large("b"), &Form::default(), false);
    let told = |form: Form| rerender(&config(form, false, to_crm()), &kept(&body, "orders"));
    let event = told(Form::Named(Format::CloudEvents)).unwrap().body.unwrap();
    let event = String::from_utf8(event.to_vec()).unwrap();
    assert!(event.contains(r#""omitted":["patch","before"]"#) && !event.contains(r#""before":"#));
    assert_eq!(told(payload(&[("id", "{{ after.id }}")])).unwrap().body.as_deref(), Some(&br#"{"id":1}"#[..]));
    for form in [payload(&[("was", "{{ before.id }}")]), Form::Named(Format::Slack)] {
        assert!(told(form).unwrap_err().starts_with("it was kept without `before`"));
    }
}

#[test]
fn what_can_not_be_written_says_why() {
    let (body, _) = committed(BEFORE, AFTER, &Form::default(), false);
    let plain = config(Form::default(), false, to_crm());
    let gone = rerender(&plain, &kept(&body, "stock")).unwrap_err();
    assert_eq!(gone, "the job `stock` is not in the config, which says how it is written");
    let elsewhere = Kept { sink: SinkName::from("erp"), ..kept(&body, "orders") };
    assert!(rerender(&plain, &elsewhere).unwrap_err().starts_with("the sink `erp` is not in the config"));
    assert!(rerender(&plain, &kept(b"{", "orders")).unwrap_err().contains("can't be read"));
    assert!(rerender(&plain, &kept(b"{}", "orders")).unwrap_err().contains("not an envelope"));
    let failing = config(payload(&[("a", "{{ after.tags > 3 }}")]), false, to_crm());
    assert!(rerender(&failing, &kept(&body, "orders")).unwrap_err().starts_with("the payload could not be rendered"));
    let huge = format!(r#"{{"note":"{}"}}"#, "x".repeat(ENVELOPE_BYTES_MAX));
    let (body, _) = committed("{}", &huge, &Form::default(), false);
    assert_eq!(rerender(&plain, &kept(&body, "orders")), Err(Fault::TooLarge.to_string()));
    assert!(rerender(&config(Form::default(), true, to_crm()), &kept(&body, "orders")).unwrap().body.is_some());
}

#[test]
fn a_system_event_is_written_anew_as_its_sink_wants_it_today() {
    let body = br#"{"type":"doorbell.job.failing","timestamp":"2026-11-20T15:04:05.123Z","data":{"job":"orders","reason":"it is down","sequence":7}}"#;
    let told = |format| rerender(&config(Form::Named(format), false, to_crm()), &kept(body, "doorbell")).unwrap();
    assert_eq!(told(Format::Standard), Rerendered { body: None, wire: Wire::Json });
    let slack = told(Format::Slack).body.unwrap();
    assert!(String::from_utf8(slack.to_vec()).unwrap().contains("it is down"));
    let structured = told(Format::CloudEvents);
    let cloudevent = parse(&structured.body.unwrap()).unwrap();
    assert_eq!((cloudevent.get("id").and_then(Json::as_str), structured.wire), (Some(ID), Wire::CloudEvents));
    assert_eq!(cloudevent.get("data"), parse(body).unwrap().get("data"));
    assert_eq!(cloudevent.get("subject").and_then(Json::as_str), Some("orders"));
}
