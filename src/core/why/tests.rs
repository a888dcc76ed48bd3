//! What an observation names, and in which order it is shown.

use super::*;
use crate::core::view::{EventDetail, EventView};

fn json(text: &str) -> Json {
    parse(text.as_bytes()).unwrap()
}

fn rules() -> Rules {
    Rules::from_text(r#"{"ignore":["$.seen"],"tolerance":{"$.price":"1%"}}"#).unwrap()
}

#[test]
fn what_differs_is_told_by_what_it_is_worth() {
    let before = json(r#"{"a":1,"price":100,"seen":1,"same":1}"#);
    let after = json(r#"{"a":2,"price":100.5,"seen":2,"same":1.0}"#);
    let changed = difference(&before, &after, &rules()).changed;
    let seen = Seen::between(&before, &after, changed, &rules());
    assert_eq!(
        (&seen.changed[..], &seen.ignored[..], &seen.tolerated[..]),
        (&["/a".to_owned()][..], &["/seen".to_owned()][..], &["/price".to_owned()][..])
    );
    assert!(Seen::between(&before, &before, Vec::new(), &rules()).is_empty());
}

#[test]
fn an_event_tells_of_itself_what_was_left_out() {
    let body = r#"{"type":"t","data":{"before":{"a":1,"seen":1},"after":{"a":2,"seen":2},"changed":["/a"]}}"#;
    let seen = Seen::of_event(body.as_bytes(), &rules());
    assert_eq!((&seen.changed[..], &seen.ignored[..]), (&["/a".to_owned()][..], &["/seen".to_owned()][..]));
    let created = Seen::of_event(br#"{"data":{"before":null,"after":{"seen":1},"changed":[""]}}"#, &rules());
    assert_eq!(created, Seen { changed: vec![String::new()], ..Seen::default() });
    assert!(Seen::of_event(b"broken", &rules()).is_empty());
}

#[test]
fn no_list_of_pointers_is_longer_than_a_person_reads() {
    let many = |value: u32| {
        let members: Vec<String> = (0..99).map(|at| format!("\"f{at}\":{value}")).collect();
        json(&format!("{{\"seen\":{{{}}}}}", members.join(",")))
    };
    assert_eq!(Seen::between(&many(1), &many(2), Vec::new(), &rules()).ignored.len(), POINTERS_MAX);
}

fn silent(at: i64, silence: Silence, change: Option<Change>) -> ObservationView {
    let key = crate::core::names::Key::from("1").digest();
    Observation { key, at: Timestamp(at), silence, change, seen: Seen::default(), polls: None }.into()
}

fn shown(baseline: Option<i64>, observations: Vec<ObservationView>) -> Vec<(i64, String)> {
    let item = WhyItem {
        scope: None,
        state: "present".to_owned(),
        missed: 0,
        deleted: None,
        baseline: baseline.map(Timestamp),
        observations,
    };
    let rows = item.in_order().observations.into_iter();
    rows.map(|seen| (seen.timestamp.0, seen.rule.unwrap_or(seen.outcome))).collect()
}

fn event(at: i64, change: &str) -> ObservationView {
    let event = EventView {
        id: "evt_1".to_owned(),
        job: "orders".to_owned(),
        scope: None,
        key: "1".to_owned(),
        change: change.to_owned(),
        kind: "t".to_owned(),
        sequence: 1,
        timestamp: Timestamp(at),
        deliveries: Vec::new(),
    };
    let body = serde_json::value::RawValue::from_string("{}".to_owned()).unwrap();
    ObservationView::of_event(EventDetail { event, body, bodies: Vec::new(), attempts: Vec::new() }, Seen::default())
}

#[test]
fn the_first_poll_stands_where_nothing_else_says_how_the_item_began() {
    let word = |at: i64, word: &str| (at, word.to_owned());
    let seen = vec![silent(20, Silence::Ignored, None), event(30, "updated")];
    assert_eq!(shown(Some(10), seen), [word(30, "event"), word(20, "ignored"), word(10, "first")]);
    assert_eq!(shown(Some(10), Vec::new()), [word(10, "first")]);
    assert_eq!(shown(None, Vec::new()), []);
    assert_eq!(shown(Some(10), vec![event(20, "created")]), [word(20, "event")]);
    let kept = vec![silent(20, Silence::On, Some(Change::Created))];
    assert_eq!(shown(Some(10), kept), [word(20, "on")]);
}

#[test]
fn at_most_twenty_are_shown() {
    let many = (0..30).map(|at| silent(at, Silence::When, None)).collect();
    let rows = shown(Some(-1), many);
    assert_eq!((rows.len(), rows[0].0, rows[19].0), (OBSERVATIONS_MAX, 29, 10));
}

#[test]
fn every_silence_is_read_back_and_has_a_sentence() {
    for silence in Silence::ALL {
        assert_eq!(Silence::parse(silence.as_str()), Some(silence));
    }
    assert_eq!(Silence::parse("no"), None);
}
