//! How what was expected of replayed polls differs from what came: by event, and then by value.
//!
//! Finds differences in JSON; reads no files and prints nothing.

use std::collections::BTreeMap;

use serde_json::Value;

/// Characters of a value that are shown.
const VALUE_MAX: usize = 80;

/// What of a poll is compared, beside its events.
const OF_A_POLL: [&str; 3] = ["outcome", "reason", "events_total"];

/// Each difference as a sentence; none when the events are the same.
pub(super) fn differences(expected: &Value, found: &Value) -> Vec<String> {
    let polls = |value: &Value| value["polls"].as_array().cloned().unwrap_or_default();
    let (before, after) = (polls(expected), polls(found));
    if before.len() != after.len() {
        return vec![format!("{} polls were expected, and {} were replayed", before.len(), after.len())];
    }
    let mut told = Vec::new();
    if expected["job"] != found["job"] {
        told.push(format!("it is of the job {}, and the recordings are of {}", expected["job"], found["job"]));
    }
    for (number, (before, after)) in before.iter().zip(&after).enumerate() {
        let place = format!("poll {}", number + 1);
        for name in OF_A_POLL {
            inside(&before[name], &after[name], &format!("{place}, {name}"), &mut told);
        }
        events(before, after, &place, &mut told);
    }
    told
}

fn events(before: &Value, after: &Value, place: &str, told: &mut Vec<String>) {
    let (before, mut after) = (named(before), named(after));
    for (name, expected) in &before {
        match after.remove(name) {
            Some(found) => inside(expected, &found, &format!("{place}, {name}"), told),
            None => told.push(format!("{place}, {name}: was expected and did not come")),
        }
    }
    told.extend(after.keys().map(|name| format!("{place}, {name}: came and was not expected")));
}

/// Events by what happened to which item. No poll has two of one item.
fn named(poll: &Value) -> BTreeMap<String, Value> {
    let events = poll["events"].as_array().into_iter().flatten();
    let name = |event: &Value| {
        let word = |name: &str| event[name].as_str().unwrap_or("?").to_owned();
        format!("{} {}", word("change"), word("key"))
    };
    events.map(|event| (name(event), event.clone())).collect()
}

/// The innermost values that differ.
fn inside(before: &Value, after: &Value, place: &str, told: &mut Vec<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for (name, value) in before {
                inside(value, after.get(name).unwrap_or(&Value::Null), &format!("{place}/{name}"), told);
            }
            let new = after.iter().filter(|(name, _)| !before.contains_key(*name));
            new.for_each(|(name, value)| inside(&Value::Null, value, &format!("{place}/{name}"), told));
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (at, (before, after)) in before.iter().zip(after).enumerate() {
                inside(before, after, &format!("{place}/{at}"), told);
            }
        }
        _ if before == after => {}
        _ => told.push(format!("{place}: expected {}, got {}", short(before), short(after))),
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(VALUE_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn differences_name_the_event_and_the_value() {
        let poll = |events: Value| json!({"job": "a", "polls": [{"outcome": "complete", "events": events}]});
        let event = |change: &str, key: &str, total: u32| json!({"change": change, "key": key, "body": {"t": [total]}});
        let before = poll(json!([event("updated", "1", 5), event("deleted", "2", 0)]));
        let after = poll(json!([event("updated", "1", 6), event("created", "3", 0)]));
        assert!(differences(&before, &before).is_empty());
        let expected = [
            "poll 1, deleted 2: was expected and did not come",
            "poll 1, updated 1/body/t/0: expected 5, got 6",
            "poll 1, created 3: came and was not expected",
        ];
        assert_eq!(differences(&before, &after), expected);
        assert_eq!(differences(&before, &json!({"polls": []})), ["1 polls were expected, and 0 were replayed"]);
    }
}
