//! The JSON Schema (2020-12) of the config language, and of the events: for editors, and for who writes receivers.
//!
//! Made of the table of keys, so that what this version does not have is not completed either. It judges form only:
//! whether a config is right is for `doorbell check` to say.

mod event;
mod shapes;

pub use event::event;

use serde_json::{Map, Value, json};

use crate::config::keys::{self, Key, Table};
use crate::config::lift::auth::KINDS;
use shapes::{Shape, shape};

/// Which JSON Schema this is written in.
const DRAFT: &str = "https://json-schema.org/draft/2020-12/schema";

/// A reference to the environment, a file or a credential: may stand where words are expected.
const REFERENCE: &str = r"\$\{";

/// The schema of `doorbell.toml`.
pub fn config() -> Value {
    let mut seen = vec![Table::Root];
    let mut definitions = Map::new();
    let mut at = 0;
    while let Some(table) = seen.get(at).copied() {
        at += 1;
        let schema = of_table(table, &mut seen);
        definitions.insert(name_of(table), schema);
    }
    let root = definitions.remove(&name_of(Table::Root)).unwrap_or_default();
    let mut schema = json!({
        "$schema": DRAFT,
        "title": "doorbell.toml",
        "description": concat!("The config of Doorbell ", env!("CARGO_PKG_VERSION"), ": APIs that are polled, and where webhooks go"),
        "$defs": definitions,
    });
    if let (Some(schema), Value::Object(root)) = (schema.as_object_mut(), root) {
        schema.extend(root);
    }
    schema
}

/// What a table is called among the definitions.
fn name_of(table: Table) -> String {
    format!("{table:?}").to_lowercase()
}

fn reference(table: Table, seen: &mut Vec<Table>) -> Value {
    if !seen.contains(&table) {
        seen.push(table);
    }
    json!({ "$ref": format!("#/$defs/{}", name_of(table)) })
}

fn of_table(table: Table, seen: &mut Vec<Table>) -> Value {
    let known = keys::of(table);
    let properties: Map<String, Value> = known.map(|key| (key.name.to_owned(), of_key(key, seen))).collect();
    let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
    if let (Some(schema), Value::Object(needs)) = (schema.as_object_mut(), needs(table)) {
        schema.extend(needs);
    }
    schema
}

/// What a table can't be without.
fn needs(table: Table) -> Value {
    match table {
        Table::Job => json!({
            "required": ["url"],
            "oneOf": [{ "required": ["every"] }, { "required": ["cron"] }],
            "dependentRequired": { "items": ["key"], "timezone": ["cron"] },
        }),
        Table::Sink => json!({ "required": ["url"], "dependentRequired": { "sign": ["secret"] } }),
        Table::SendTo => json!({ "required": ["sink"] }),
        Table::Pages => json!({ "required": ["style"] }),
        Table::Each => json!({ "required": ["job", "at"] }),
        Table::Detail => json!({ "required": ["url"] }),
        Table::Sign => json!({ "required": ["header"] }),
        Table::Auth => json!({ "required": ["type"], "allOf": KINDS.each_ref().map(|kind| json!({
            "if": { "properties": { "type": { "const": kind.name } } },
            "then": { "required": kind.needs },
        })) }),
        _ => json!({}),
    }
}

fn of_key(key: &Key, seen: &mut Vec<Table>) -> Value {
    let mut schema = of_shape(shape(key.table, key.name), seen);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("description".to_owned(), key.doc.into());
    }
    schema
}

fn of_shape(shape: Shape, seen: &mut Vec<Table>) -> Value {
    match shape {
        Shape::Any => json!({}),
        Shape::Text => json!({ "type": "string" }),
        Shape::Like(pattern) => json!({ "type": "string", "pattern": pattern }),
        Shape::Word(words) => json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": REFERENCE }] }),
        Shape::Whole(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Shape::Number => json!({ "type": "number" }),
        Shape::Flag => json!({ "type": "boolean" }),
        Shape::Scalar => json!({ "type": ["string", "number", "boolean"] }),
        Shape::List(of, least) => json!({ "type": "array", "items": of_shape(*of, seen), "minItems": least }),
        Shape::OneOrList(of) => {
            let one = of_shape(*of, seen);
            json!({ "anyOf": [one, { "type": "array", "items": one, "minItems": 1 }] })
        }
        Shape::Either(shapes) => {
            json!({ "anyOf": shapes.iter().map(|shape| of_shape(*shape, seen)).collect::<Vec<_>>() })
        }
        Shape::Table(table) => reference(table, seen),
        Shape::Named(table) => json!({ "type": "object", "additionalProperties": reference(table, seen) }),
        Shape::Map(of) => json!({ "type": "object", "additionalProperties": of_shape(*of, seen) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_in_the_schema_with_its_line() {
        let schema = config();
        for key in keys::KEYS.iter().filter(|key| key.table != Table::Root) {
            let place = format!("/$defs/{}/properties/{}/description", name_of(key.table), key.name);
            assert_eq!(schema.pointer(&place).and_then(Value::as_str), Some(key.doc), "{place}");
        }
    }

    #[test]
    fn every_key_has_a_shape() {
        // What may be anything, because it becomes JSON.
        let open = [(Table::Auth, "claims"), (Table::Auth, "body"), (Table::Auth, "send")];
        for key in keys::KEYS.iter().filter(|key| !open.contains(&(key.table, key.name))) {
            assert_ne!(
                shape(key.table, key.name),
                Shape::Any,
                "say in `shapes` what `{}` of {:?} is",
                key.name,
                key.table
            );
        }
    }
}
