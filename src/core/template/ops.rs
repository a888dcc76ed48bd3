//! What lowered expressions do with values: members, equality, order, containment, and sizes that stay bounded.
//!
//! Arithmetic is minijinja's own.

use std::cmp::Ordering;
use std::sync::Arc;

use minijinja::Error;
use minijinja::value::{Value, ValueKind};

use super::OUTPUT_MAX;
use super::place::position;
use super::value::{Digits, DocList, DocMap, computed, failed, is_nothing, number, print, to_json, too_large};
use crate::core::json::{Json, equal};

/// The greatest number a filter takes as a width or a count.
const FEW: i64 = 1000;

/// A member or element, digits kept; none when there is none.
pub(super) fn member(value: &Value, key: &Value) -> Value {
    if let Some(map) = value.downcast_object_ref::<DocMap>() {
        return key.as_str().and_then(|name| map.get(name)).cloned().or_none();
    }
    let at = key.as_i64().zip(value.len()).and_then(|(at, length)| position(at, length));
    if let (Some(list), Some(at)) = (value.downcast_object_ref::<DocList>(), at) {
        return list.0.get(at).cloned().or_none();
    }
    let found = match at {
        Some(at) if value.kind() == ValueKind::Seq => value.get_item_by_index(at),
        _ => value.get_item(key),
    };
    found.ok().filter(|found| !found.is_undefined()).or_none()
}

pub(super) trait OrNone {
    /// The value, or none.
    fn or_none(self) -> Value;
}

impl OrNone for Option<Value> {
    fn or_none(self) -> Value {
        self.unwrap_or_else(|| Value::from(()))
    }
}

/// What a loop runs over, digits kept. Nothing is an empty list.
pub(super) fn each(value: Value) -> Value {
    if let Some(list) = value.downcast_object_ref::<DocList>() {
        return Value::from(list.0.clone());
    }
    if is_nothing(&value) { Value::from(Vec::<Value>::new()) } else { value }
}

/// Equal by value; text never equals a number.
pub(super) fn equals(a: &Value, b: &Value) -> Result<bool, Error> {
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => Ok(a == b),
        (None, None) => Ok(equal(&to_json(a)?, &to_json(b)?)),
        _ => Ok(false),
    }
}

pub(super) fn ordered(a: &Value, b: &Value, sign: &str, holds: fn(Ordering) -> bool) -> Result<bool, Error> {
    // What is missing is neither less nor greater.
    if is_nothing(a) || is_nothing(b) {
        return Ok(false);
    }
    match order(a, b) {
        Some(ordering) => Ok(holds(ordering)),
        None => Err(failed(format!("`{sign}` can't put {} and {} in order", kind(a), kind(b)))),
    }
}

pub(super) fn order(a: &Value, b: &Value) -> Option<Ordering> {
    if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
        return Some(a.cmp(b));
    }
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return Some(a.compare(&b));
    }
    // Infinity, from a computation, is no JSON number.
    let float =
        |value: &Value| (value.kind() == ValueKind::Number).then(|| f64::try_from(value.clone()).ok()).flatten();
    float(&computed(a.clone()))?.partial_cmp(&float(&computed(b.clone()))?)
}

/// What a value is, for a person.
pub(super) fn kind(value: &Value) -> &'static str {
    if value.downcast_object_ref::<Digits>().is_some() {
        return "a number";
    }
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => "none",
        ValueKind::Bool => "true or false",
        ValueKind::Number => "a number",
        ValueKind::String => "text",
        ValueKind::Seq | ValueKind::Iterable => "a list",
        ValueKind::Map => "an object",
        _ => "something else",
    }
}

/// `a in b`: text in text, an element in a list, a name in an object.
pub(super) fn contains(a: &Value, b: &Value) -> Result<bool, Error> {
    if is_nothing(b) {
        return Ok(false);
    }
    match (b.kind(), a.as_str()) {
        (ValueKind::String, Some(part)) => Ok(b.as_str().is_some_and(|text| text.contains(part))),
        (ValueKind::String, None) if is_nothing(a) => Ok(false),
        (ValueKind::Seq | ValueKind::Iterable, _) => {
            for element in each(b.clone()).try_iter()? {
                if equals(a, &element)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        (ValueKind::Map, Some(name)) => Ok(b.get_attr(name).is_ok_and(|found| !found.is_undefined())),
        (ValueKind::Map, None) => Ok(false),
        _ => Err(failed(format!("`in` can't look for {} in {}", kind(a), kind(b)))),
    }
}

pub(super) fn small(value: Value) -> Result<Value, Error> {
    let size = value.as_str().map(str::len);
    if size.is_some_and(|size| size > OUTPUT_MAX) { Err(too_large()) } else { Ok(value) }
}

pub(super) fn few(value: Value) -> Result<Value, Error> {
    let many = value.kind() == ValueKind::Number && value.as_i64().is_none_or(|count| count.abs() > FEW);
    if many { Err(failed(format!("a width or count may be {FEW} at most"))) } else { Ok(value) }
}

/// The left operand of `*`, when the product can't be a text or list beyond all bounds.
pub(super) fn repeatable(a: &Value, b: &Value) -> Result<Value, Error> {
    let size = |value: &Value| match value.kind() {
        ValueKind::Number | ValueKind::Undefined | ValueKind::None => None,
        _ => Some(value.as_str().map_or_else(|| value.len().unwrap_or(0), str::len)),
    };
    let times = |value: &Value| value.as_i64().and_then(|times| usize::try_from(times).ok()).unwrap_or(0);
    let product = match (size(a), size(b)) {
        (Some(size), None) => size.saturating_mul(times(b)),
        (None, Some(size)) => size.saturating_mul(times(a)),
        _ => 0,
    };
    if product > OUTPUT_MAX { Err(too_large()) } else { Ok(a.clone()) }
}

/// A format whose columns are of a sane width.
pub(super) fn few_columns(format: Value) -> Result<Value, Error> {
    let text = format.as_str().unwrap_or_default();
    let long = text.split(|sign: char| !sign.is_ascii_digit()).any(|digits| digits.len() > 3);
    if long || text.contains('*') {
        return Err(failed("a column may be 999 wide at most, and its width must be written out"));
    }
    Ok(format)
}

/// An object whose members stand as they are written; names and values take turns.
pub(super) fn object(pairs: &[Value]) -> Result<Value, Error> {
    let mut members: Vec<(Arc<str>, Value)> = Vec::new();
    for pair in pairs.chunks(2) {
        let [name, value] = pair else { continue };
        let name = Arc::from(print(name)?);
        members.retain(|(other, _)| *other != name);
        members.push((name, value.clone()));
    }
    Ok(Value::from_object(DocMap(members)))
}

pub(super) fn concatenated(parts: &[Value]) -> Result<String, Error> {
    parts.iter().try_fold(String::new(), |mut text, part| {
        text.push_str(&print(part)?);
        if text.len() > OUTPUT_MAX { Err(too_large()) } else { Ok(text) }
    })
}

/// A document is true unless it is null, false, zero or empty.
pub(super) fn is_true(json: &Json) -> bool {
    match json {
        Json::Null => false,
        Json::Bool(value) => *value,
        Json::Number(number) => number.as_f64() != Some(0.0),
        Json::String(text) => !text.is_empty(),
        Json::Array(elements) => !elements.is_empty(),
        Json::Object(members) => !members.is_empty(),
    }
}
