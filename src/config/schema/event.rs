//! The JSON Schema of the bodies that sinks in format `standard` get: events of jobs, and Doorbell's own.
//!
//! What a sink with a format or payload of its own gets is not described here.

use serde_json::{Value, json};

use super::DRAFT;
use crate::core::alert::Kind;
use crate::core::diff::Change;

/// The schema of one webhook's body.
pub fn event() -> Value {
    let kinds = Kind::ALL.iter().map(|kind| system_event(*kind));
    let system: Vec<Value> = kinds.collect();
    json!({
        "$schema": DRAFT,
        "title": "A webhook of Doorbell",
        "description": "The body of a webhook in format `standard`: a change of an item, or an event of Doorbell itself",
        "if": { "properties": { "type": { "enum": Kind::ALL.map(Kind::as_str) } }, "required": ["type"] },
        "then": { "oneOf": system },
        "else": { "$ref": "#/$defs/change" },
        "$defs": {
            "change": change(),
            "timestamp": timestamp(),
            "pointer": { "type": "string", "pattern": "^(/([^~/]|~[01])*)*$", "description": "A JSON Pointer (RFC 6901)" },
            "operation": operation(),
        },
    })
}

fn timestamp() -> Value {
    json!({
        "type": "string",
        "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
        "description": "RFC 3339 in UTC, with milliseconds",
    })
}

/// RFC 6902, as far as patches of events use it.
fn operation() -> Value {
    let pointer = json!({ "$ref": "#/$defs/pointer" });
    let valued = |op: &str| {
        json!({
            "properties": { "op": { "const": op }, "path": pointer, "value": {} },
            "required": ["op", "path", "value"],
            "additionalProperties": false,
        })
    };
    let remove = json!({
        "properties": { "op": { "const": "remove" }, "path": pointer },
        "required": ["op", "path"],
        "additionalProperties": false,
    });
    json!({ "type": "object", "oneOf": [valued("add"), valued("replace"), remove] })
}

fn envelope(kind: &Value, data: &Value) -> Value {
    json!({
        "type": "object",
        "properties": { "type": kind, "timestamp": { "$ref": "#/$defs/timestamp" }, "data": data },
        "required": ["type", "timestamp", "data"],
        "additionalProperties": false,
    })
}

fn change() -> Value {
    let changes = [Change::Created, Change::Updated, Change::Deleted, Change::Restored].map(Change::as_str);
    let only = |change: &str, side: &str| {
        json!({
            "if": { "properties": { "change": { "const": change } } },
            "then": { "properties": { side: { "type": "null" } } },
        })
    };
    let data = json!({
        "type": "object",
        "properties": {
            "job": { "type": "string", "description": "The job that saw it" },
            "scope": { "type": "object", "description": "Which of the job's scopes; only of a job with `each`" },
            "key": { "type": "string", "description": "The item's key; a composite key is a JSON array as text" },
            "change": { "enum": changes, "description": "What happened to the item" },
            "before": { "description": "The item as it was last reported; null on created, and absent when omitted" },
            "after": { "description": "The item now; null on deleted" },
            "changed": {
                "type": "array",
                "items": { "$ref": "#/$defs/pointer" },
                "description": "Where it differs in what counts as change",
            },
            "patch": {
                "type": "array",
                "items": { "$ref": "#/$defs/operation" },
                "description": "What makes `after` of `before` (RFC 6902); absent when omitted",
            },
            "sequence": {
                "type": "integer",
                "minimum": 1,
                "description": "Grows by one with each event of the job and scope",
            },
            "omitted": {
                "type": "array",
                "items": { "enum": ["patch", "before"] },
                "minItems": 1,
                "uniqueItems": true,
                "description": "What was left out because the event would be over 1 MiB",
            },
        },
        "required": ["job", "key", "change", "changed", "sequence"],
        "additionalProperties": false,
        "allOf": [only("created", "before"), only("deleted", "after")],
    });
    envelope(&json!({ "type": "string", "minLength": 1, "description": "`JOB.CHANGE`, or what `type` makes" }), &data)
}

/// One of Doorbell's own.
fn system_event(kind: Kind) -> Value {
    let text = json!({ "type": "string" });
    let count = json!({ "type": "integer", "minimum": 0 });
    let of_fact = |name: &str| match name {
        "since" => json!({ "$ref": "#/$defs/timestamp" }),
        "keys" => json!({ "type": "array", "items": text }),
        "failures" | "reminders" | "deletions" | "events" | "waiting" | "items" | "attempts" | "delivery"
        | "sequence" => count.clone(),
        _ => text.clone(),
    };
    let facts = kind.facts().iter().chain(&["sequence"]);
    let properties: serde_json::Map<_, _> = facts.clone().map(|name| ((*name).to_owned(), of_fact(name))).collect();
    let required: Vec<&str> = facts.copied().collect();
    // Whoever reads these must put up with more facts in a later version, so others are allowed.
    let data = json!({ "type": "object", "properties": properties, "required": required });
    envelope(&json!({ "const": kind.as_str() }), &data)
}
