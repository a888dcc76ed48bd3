//! Every format, byte for byte, and what hostile values and sizes make of it.

use proptest::prelude::*;

use super::*;
use crate::core::delivery::Parcel;
use crate::core::diff::{Difference, difference};
use crate::core::envelope::Extent;
use crate::core::json::parse;
use crate::core::names::{JobName, Key, Scope};
use crate::core::rules::Rules;
use crate::core::skipped::Skipped;
use crate::core::template::{Part, Text};
use crate::core::time::Timestamp;

const BEFORE: &str = r#"{"id":12345,"status":"Packed","total":10.10,"tags":["a","b"]}"#;
const AFTER: &str =
    r#"{"id":12345,"status":"Shipped & <b>sent</b>","total":9007199254740993.50,"tags":["b"],"by":"*Bob* `x` @here"}"#;

/// What there is to write.
struct Case {
    scope: &'static str,
    key: String,
    change: Change,
    before: Option<String>,
    after: Option<String>,
}

impl Case {
    fn updated(before: &str, after: &str) -> Self {
        Self {
            scope: "",
            key: "12345".to_owned(),
            change: Change::Updated,
            before: Some(before.to_owned()),
            after: Some(after.to_owned()),
        }
    }

    fn with<T>(&self, look: impl FnOnce(&Telling<'_>) -> T) -> T {
        let tree = |text: &Option<String>| text.as_ref().map(|text| parse(text.as_bytes()).unwrap());
        let (before, after) = (tree(&self.before), tree(&self.after));
        let nothing = Json::Null;
        let difference: Difference =
            difference(before.as_ref().unwrap_or(&nothing), after.as_ref().unwrap_or(&nothing), &Rules::default());
        let (job, scope, key) = (JobName::from("orders"), Scope::from(self.scope), Key::from(self.key.as_str()));
        let kind = format!("orders.{}", self.change.as_str());
        let envelope = Envelope {
            kind: &kind,
            at: Timestamp::parse("2026-11-20T15:04:05.123Z").unwrap(),
            job: &job,
            scope: &scope,
            key: &key,
            change: self.change,
            before: self.before.as_ref().map(String::as_bytes),
            after: self.after.as_ref().map(String::as_bytes),
            difference: &difference,
            sequence: 42,
            extent: Extent::Whole,
        };
        let scope = parse(scope.as_str().as_bytes()).unwrap_or(Json::Null);
        let facts = Facts::of(&envelope, &scope, before.as_ref(), after.as_ref());
        let id = EventId::from("evt_aaaqeayeaudaocajbifqydiob4");
        look(&Telling {
            id: &id,
            envelope: &envelope,
            before: before.as_ref(),
            after: after.as_ref(),
            names: &facts.names(),
        })
    }

    fn write(&self, form: &Form, thin: bool) -> Written {
        self.with(|telling| write(form, thin, telling))
    }

    fn body(&self, format: Format, thin: bool) -> String {
        let written = self.write(&Form::Named(format), thin);
        assert_eq!(written.fault, None);
        String::from_utf8(written.body.unwrap().to_vec()).unwrap()
    }

    fn json(&self, format: Format, thin: bool) -> serde_json::Value {
        serde_json::from_str(&self.body(format, thin)).unwrap()
    }
}

fn payload_of(members: &[(&str, &str)]) -> Form {
    let names = ["before", "after", "change", "changed", "key", "job", "scope"];
    let text = |text: &str| Text::compile(&[Part::Plain(text.to_owned())], &names).unwrap();
    let members = members.iter().map(|(name, value)| ((*name).to_owned(), JsonTemplate::Text(text(value))));
    Form::Payload(JsonTemplate::Object(members.collect()))
}

#[test]
fn the_standard_format_is_the_events_own_body() {
    let written = Case::updated(BEFORE, AFTER).write(&Form::default(), false);
    assert_eq!(written, Written { body: None, wire: Wire::Json, fault: None });
}

#[test]
fn a_cloudevent_has_the_attributes_of_the_page_and_the_envelopes_data() {
    let case = Case { scope: r#"{"account":"eu"}"#, ..Case::updated("{\"total\":10.10}", "{\"total\":1e400}") };
    let attributes = "{\"specversion\":\"1.0\",\"id\":\"evt_aaaqeayeaudaocajbifqydiob4\",\"source\":\"doorbell/orders\",\
                      \"type\":\"orders.updated\",\"subject\":\"12345\",\"time\":\"2026-11-20T15:04:05.123Z\",\
                      \"partitionkey\":\"12345\",\"sequence\":\"00000000000000000042\",\
                      \"datacontenttype\":\"application/json\",\"data\":";
    let data = "{\"job\":\"orders\",\"scope\":{\"account\":\"eu\"},\"key\":\"12345\",\"change\":\"updated\",\
                \"before\":{\"total\":10.10},\"after\":{\"total\":1e400},\"changed\":[\"/total\"],\
                \"patch\":[{\"op\":\"replace\",\"path\":\"/total\",\"value\":1e400}],\"sequence\":42}";
    assert_eq!(case.body(Format::CloudEvents, false), format!("{attributes}{data}}}"));
    assert_eq!(case.body(Format::CloudEventsBinary, false), data);
    let thin = "{\"job\":\"orders\",\"scope\":{\"account\":\"eu\"},\"key\":\"12345\",\"change\":\"updated\",\
                \"changed\":[\"/total\"],\"sequence\":42}";
    assert_eq!(case.body(Format::CloudEvents, true), format!("{attributes}{thin}}}"));
    assert_eq!(case.body(Format::CloudEventsBinary, true), thin);
}

#[test]
fn a_cloudevent_in_the_binary_mode_has_its_attributes_in_headers() {
    let parcel = |key: &str| Parcel {
        event: EventId::from("evt_a"),
        kind: "größer 50%".to_owned(),
        job: JobName::from("orders"),
        scope: Scope::default(),
        key: Key::from(key),
        sequence: 42,
        seen_at: Timestamp(0),
        body: Bytes::new(),
        replay: false,
        skipped: Skipped::default(),
        wire: Wire::CloudEventsBinary,
        batch: None,
    };
    let headers = Wire::CloudEventsBinary.headers(&parcel("Euro € 😀\n"));
    let expected = [
        ("ce-specversion", "1.0"),
        ("ce-id", "evt_a"),
        ("ce-source", "doorbell/orders"),
        ("ce-type", "gr%C3%B6%C3%9Fer%2050%25"),
        ("ce-subject", "Euro%20%E2%82%AC%20%F0%9F%98%80%EF%BF%BD"),
        ("ce-time", "1970-01-01T00:00:00.000Z"),
        ("ce-partitionkey", "Euro%20%E2%82%AC%20%F0%9F%98%80%EF%BF%BD"),
        ("ce-sequence", "00000000000000000042"),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name, value.to_owned())));
    let without = Wire::CloudEventsBinary.headers(&parcel(""));
    assert!(without.iter().all(|(name, _)| !matches!(*name, "ce-subject" | "ce-partitionkey")), "{without:?}");
    assert!(Wire::CloudEvents.headers(&parcel("1")).is_empty() && Wire::Json.headers(&parcel("1")).is_empty());
}

#[test]
fn data_is_the_item_alone_and_of_one_that_is_gone_what_it_was() {
    let mut case = Case::updated(BEFORE, AFTER);
    assert_eq!(case.body(Format::Data, false), AFTER);
    case.change = Change::Deleted;
    case.after = None;
    assert_eq!(case.body(Format::Data, false), BEFORE);
}

#[test]
fn a_slack_message_byte_for_byte() {
    assert_eq!(
        Case::updated(BEFORE, AFTER).body(Format::Slack, false),
        "{\"text\":\"orders 12345 updated\",\"blocks\":[\
         {\"type\":\"section\",\"text\":{\"type\":\"mrkdwn\",\"text\":\"*orders* `12345` updated\",\"verbatim\":true}},\
         {\"type\":\"section\",\"text\":{\"type\":\"mrkdwn\",\"text\":\"\
         *status*: `Packed` → `Shipped &amp; &lt;b&gt;sent&lt;/b&gt;`\\n\
         *total*: `10.10` → `9007199254740993.50`\\n\
         *tags/0*: removed `a`\\n\
         *by*: added `*Bob* ˋxˋ @here`\",\"verbatim\":true}},\
         {\"type\":\"context\",\"elements\":[{\"type\":\"mrkdwn\",\"text\":\
         \"orders.updated · event 42 · 2026-11-20T15:04:05.123Z\",\"verbatim\":true}]}],\
         \"unfurl_links\":false,\"unfurl_media\":false}"
    );
}

#[test]
fn a_discord_message_byte_for_byte() {
    assert_eq!(
        Case::updated(BEFORE, AFTER).body(Format::Discord, false),
        "{\"content\":\"**orders** 12345 updated\",\"embeds\":[{\"description\":\"\
         **status**: Packed → Shipped & \\\\<b\\\\>sent\\\\</b\\\\>\\n\
         **total**: 10.10 → 9007199254740993.50\\n\
         **tags/0**: removed a\\n\
         **by**: added \\\\*Bob\\\\* \\\\`x\\\\` \\\\@here\",\
         \"color\":2060267,\"footer\":{\"text\":\"orders.updated · event 42\"},\
         \"timestamp\":\"2026-11-20T15:04:05.123Z\"}],\"allowed_mentions\":{\"parse\":[]}}"
    );
}

#[test]
fn a_teams_message_byte_for_byte() {
    assert_eq!(
        Case::updated(BEFORE, AFTER).body(Format::Teams, false),
        "{\"type\":\"message\",\"attachments\":[{\"contentType\":\"application/vnd.microsoft.card.adaptive\",\
         \"contentUrl\":null,\"content\":{\"$schema\":\"http://adaptivecards.io/schemas/adaptive-card.json\",\
         \"type\":\"AdaptiveCard\",\"version\":\"1.4\",\"body\":[\
         {\"type\":\"TextBlock\",\"text\":\"**orders** 12345 updated\",\"wrap\":true,\"size\":\"Medium\"},\
         {\"type\":\"FactSet\",\"facts\":[\
         {\"title\":\"status\",\"value\":\"Packed → Shipped & \\\\<b\\\\>sent\\\\</b\\\\>\"},\
         {\"title\":\"total\",\"value\":\"10.10 → 9007199254740993.50\"},\
         {\"title\":\"tags/0\",\"value\":\"removed a\"},\
         {\"title\":\"by\",\"value\":\"added \\\\*Bob\\\\* \\\\`x\\\\` @here\"}]},\
         {\"type\":\"TextBlock\",\"text\":\"orders.updated · event 42 · 2026-11-20T15:04:05.123Z\",\"wrap\":true,\
         \"size\":\"Small\",\"isSubtle\":true}]}}]}"
    );
}

#[test]
fn a_message_tells_of_new_and_gone_items_and_of_scopes() {
    let text = |case: &Case, thin: bool| case.json(Format::Slack, thin)["blocks"].clone();
    let created = Case { change: Change::Created, before: None, ..Case::updated("", "{\"a\":1.0,\"b\":null}") };
    let blocks = text(&created, false);
    assert_eq!(blocks[0]["text"]["text"], "*orders* `12345` created");
    assert_eq!(blocks[1]["text"]["text"], "*a*: `1.0`\n*b*: `null`");
    let gone = Case {
        change: Change::Deleted,
        after: None,
        scope: r#"{"account":"eu","shop":7}"#,
        key: String::new(),
        ..Case::updated("[1]", "")
    };
    let blocks = text(&gone, false);
    assert_eq!(blocks[0]["text"]["text"], "*orders* (account eu, shop 7) deleted");
    assert_eq!(blocks[1]["text"]["text"], "*value*: `[1]`");
    let blocks = text(&gone, true);
    assert_eq!(blocks[1]["type"], "context", "a thin message says nothing of the item: {blocks}");
    let thin = text(&Case::updated(BEFORE, AFTER), true);
    let told = thin[1]["text"]["text"].as_str().unwrap();
    assert_eq!(told, "*status*: changed\n*total*: changed\n*tags/0*: changed\n*by*: changed");
}

#[test]
fn a_payload_keeps_types_and_digits() {
    let form = payload_of(&[
        ("text", "Order {{ key }} is {{ after.status }}"),
        ("total", "{{ after.total }}"),
        ("tags", "{{ after.tags }}"),
        ("none", "{{ after.nothing }}"),
        ("changed", "{{ changed }}"),
        ("more", "{{ after.id + 1 }}"),
        ("quote", "\"{{ after.by }}\""),
    ]);
    let written = Case::updated(BEFORE, AFTER).write(&form, false);
    assert_eq!(
        std::str::from_utf8(&written.body.unwrap()).unwrap(),
        "{\"text\":\"Order 12345 is Shipped & <b>sent</b>\",\"total\":9007199254740993.50,\"tags\":[\"b\"],\
         \"changed\":[\"/status\",\"/total\",\"/tags/0\",\"/by\"],\"more\":12346,\
         \"quote\":\"\\\"*Bob* `x` @here\\\"\"}"
    );
}

#[test]
fn a_payload_that_fails_has_no_body_and_a_reason() {
    let written = Case::updated(BEFORE, AFTER).write(&payload_of(&[("a", "{{ after.status > 3 }}")]), false);
    assert_eq!(written.body, Some(Bytes::new()));
    let reason = written.fault.unwrap().to_string();
    assert!(reason.starts_with("the payload could not be rendered: "), "{reason}");
}

#[test]
fn what_is_over_a_mebibyte_can_not_be_sent_and_a_message_is_never_that_large() {
    let large = |size: usize| format!("{{\"a\":\"{}\"}}", "ü*&`".repeat(size / 5));
    let case = Case::updated(&large(1_200_000), &large(1_300_000));
    for format in [Format::CloudEvents, Format::CloudEventsBinary, Format::Data] {
        assert_eq!(case.write(&Form::Named(format), false).fault, Some(Fault::TooLarge), "{format:?}");
    }
    let payload = case.write(&payload_of(&[("a", "{{ after.a }}")]), false);
    assert_eq!(payload.fault, Some(Fault::PayloadTooLarge));
    for format in [Format::Slack, Format::Discord, Format::Teams] {
        assert!(case.body(format, false).len() < 8_000, "{format:?}");
    }
    for format in [Format::Standard, Format::CloudEvents, Format::CloudEventsBinary] {
        assert!(case.body(format, true).len() < 1_000, "{format:?}");
    }
    // Half a mebibyte: a CloudEvent leaves out as much as the envelope would.
    let omitted = Case::updated(&large(600_000), &large(610_000)).json(Format::CloudEvents, false);
    assert_eq!(omitted["data"]["omitted"], serde_json::json!(["patch", "before"]));
}

/// Texts that are long, and that hold markup, quotes, line ends and signs of several bytes.
fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~äß€😀\n\t]{0,300}", "[&<>*_`@\\\\\"\\[\\]]{0,400}", "😀{0,300}", "\\PC{0,50}"]
}

fn item() -> impl Strategy<Value = String> {
    let member = (text(), prop_oneof![text().prop_map(Json::from), any::<i64>().prop_map(Json::from)]);
    proptest::collection::vec(member, 0..40).prop_map(|members| {
        let mut seen = std::collections::HashSet::new();
        Json::object(members.into_iter().filter(|(name, _)| seen.insert(name.clone()))).to_string()
    })
}

fn units(value: &serde_json::Value) -> usize {
    value.as_str().map_or(0, |text| text.encode_utf16().count())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn no_item_makes_a_message_that_its_receiver_would_refuse(before in item(), after in item(), key in text()) {
        let changes = [
            (Change::Updated, Some(before.clone()), Some(after.clone())),
            (Change::Created, None, Some(after)),
            (Change::Deleted, Some(before), None),
        ];
        for (change, before, after) in changes {
            let case = Case { scope: "", key: key.clone(), change, before, after };
            let slack = case.json(Format::Slack, false);
            prop_assert!(units(&slack["text"]) <= 4_000);
            for block in slack["blocks"].as_array().unwrap() {
                let text = &block["text"]["text"];
                prop_assert!(units(text) <= 3_000);
                prop_assert!(text.as_str().is_none_or(|text| !text.contains(['<', '>'])));
            }
            let discord = case.json(Format::Discord, false);
            let embed = &discord["embeds"][0];
            prop_assert!(units(&discord["content"]) <= 2_000);
            prop_assert!(units(&embed["description"]) <= 4_096 && units(&embed["footer"]["text"]) <= 2_048);
            prop_assert!(units(&embed["description"]) + units(&embed["footer"]["text"]) <= 6_000);
            let teams = case.body(Format::Teams, false);
            prop_assert!(2 * teams.encode_utf16().count() <= 28 * 1024 && teams.len() <= 28 * 1024);
            for wire in [Format::CloudEvents, Format::CloudEventsBinary] {
                case.json(wire, false);
            }
        }
    }
}

#[test]
fn a_chat_is_told_a_sentence_without_markup_of_its_own() {
    let told = |format| {
        let written = system(&Form::Named(format), "`x` answered <b>*503*</b>");
        assert_eq!(written.wire, Wire::Own);
        String::from_utf8(written.body.expect("a body").to_vec()).expect("text")
    };
    assert_eq!(told(Format::Slack), r#"{"text":"*doorbell.job.failing*: `x` answered &lt;b&gt;*503*&lt;/b&gt;"}"#);
    assert!(told(Format::Discord).contains(r"answered \\<b\\>\\*503\\*"));
    assert!(told(Format::Teams).contains("AdaptiveCard"));
}

/// The event of a job that fails, for this reason.
fn system(form: &Form, reason: &str) -> Written {
    let data = Json::object([("job", Json::from("orders")), ("reason", reason.into()), ("sequence", 7_u64.into())]);
    let (id, subject) = (EventId::from("evt_a"), Key::from("orders"));
    let (kind, at) = ("doorbell.job.failing", Timestamp(0));
    write_system(form, &SystemEvent { id: &id, kind, subject: &subject, at, sequence: 7, data: &data })
}

#[test]
fn a_system_event_is_a_cloudevent_where_events_are() {
    let data = r#"{"job":"orders","reason":"it is down","sequence":7}"#;
    let written = |format| system(&Form::Named(format), "it is down");
    let structured = written(Format::CloudEvents);
    assert_eq!(
        std::str::from_utf8(&structured.body.unwrap()).unwrap(),
        format!(
            "{{\"specversion\":\"1.0\",\"id\":\"evt_a\",\"source\":\"doorbell/doorbell\",\
             \"type\":\"doorbell.job.failing\",\"subject\":\"orders\",\"time\":\"1970-01-01T00:00:00.000Z\",\
             \"partitionkey\":\"orders\",\"sequence\":\"00000000000000000007\",\
             \"datacontenttype\":\"application/json\",\"data\":{data}}}"
        )
    );
    assert_eq!(structured.wire, Wire::CloudEvents);
    let binary = written(Format::CloudEventsBinary);
    assert_eq!((binary.body.as_deref(), binary.wire), (Some(data.as_bytes()), Wire::CloudEventsBinary));
}

#[test]
fn a_system_event_has_no_item_that_could_stand_alone() {
    for form in [Form::default(), Form::Named(Format::Data), payload_of(&[("a", "{{ after.id }}")])] {
        assert_eq!(system(&form, "it is down"), Written { body: None, wire: Wire::Json, fault: None });
    }
}
