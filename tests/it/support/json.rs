//! JSON for tests: values where they are enough, and the very digits where they count.
//!
//! It compares nothing; tests do.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::value::RawValue;

/// The text of what stands at `path` (names of objects), digit by digit as it is written in `document`.
pub(crate) fn raw(document: &[u8], path: &[&str]) -> String {
    let mut text = String::from_utf8(document.to_vec()).expect("JSON is UTF-8");
    for name in path {
        let mut object: BTreeMap<String, Box<RawValue>> =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("no object with `{name}` ({error}): {text}"));
        let value = object.remove(*name).unwrap_or_else(|| panic!("no `{name}` in {text}"));
        text = value.get().to_owned();
    }
    text
}

/// A document as a value. A number that a float can't hold is its digits as text: a receiver may know no greater ones.
pub(crate) fn lenient(text: &str) -> serde_json::Result<Value> {
    let first = text.trim_start().bytes().next().unwrap_or_default();
    match first {
        b'{' => {
            let object: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text)?;
            object.into_iter().map(|(name, value)| Ok((name, lenient(value.get())?))).collect()
        }
        b'[' => {
            let array: Vec<Box<RawValue>> = serde_json::from_str(text)?;
            array.iter().map(|value| lenient(value.get())).collect()
        }
        b'-' | b'0'..=b'9' => {
            let digits: Box<RawValue> = serde_json::from_str(text)?;
            Ok(serde_json::from_str(text).unwrap_or_else(|_| Value::String(digits.get().to_owned())))
        }
        _ => serde_json::from_str(text),
    }
}

/// The rows of a listing, which is an array or an object that holds one as `data`.
pub(crate) fn rows(listing: &Value) -> Vec<Value> {
    let rows = listing.get("data").unwrap_or(listing);
    rows.as_array().unwrap_or_else(|| panic!("no listing: {listing}")).clone()
}

/// The row with this name, in the listing that stands at `table` or is the document.
pub(crate) fn named(document: &Value, table: &str, name: &str) -> Value {
    let rows = rows(document.get(table).unwrap_or(document));
    let found = rows.into_iter().find(|row| row["name"] == name);
    found.unwrap_or_else(|| panic!("no `{name}` under `{table}` of {document}"))
}
