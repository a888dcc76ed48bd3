//! Between our documents and minijinja's values, and what a value looks like as text.
//!
//! A number whose spelling a machine number does not keep (`1.10`, 40 digits) travels as [`Digits`]: where a value is
//! put out it has its own spelling still, where something is computed [`computed`] makes a float of it first.

use std::fmt;
use std::sync::Arc;

use minijinja::value::{Enumerator, Object, ObjectRepr, Value, ValueKind};
use minijinja::{Error, ErrorKind};

use super::OUTPUT_MAX;
use crate::core::json::{DEPTH_MAX, Json, Number};

/// Values that one result may be made of; a list can hold itself twice, and that twice, and so on.
const VALUES_MAX: usize = 1_000_000;

/// A number in the vendor's spelling.
#[derive(Debug)]
pub(super) struct Digits(pub(super) Number);

impl Object for Digits {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Plain
    }

    fn is_true(self: &Arc<Self>) -> bool {
        self.0.as_f64() != Some(0.0)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// An array of a document, or one that a template writes down. Filters and loops see its numbers as machine numbers.
#[derive(Debug)]
pub(super) struct DocList(pub(super) Vec<Value>);

impl Object for DocList {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.0.get(key.as_usize()?).cloned().map(computed)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Seq(self.0.len())
    }
}

/// An object of a document, or one that a template writes down. Filters see its numbers as machine numbers.
#[derive(Debug)]
pub(super) struct DocMap(pub(super) Vec<(Arc<str>, Value)>);

impl DocMap {
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(member, _)| **member == *name).map(|(_, value)| value)
    }
}

impl Object for DocMap {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get(key.as_str()?).cloned().map(computed)
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.0.iter().map(|(name, _)| Value::from(Arc::clone(name))).collect())
    }
}

/// A document as a value that keeps its digits.
pub(super) fn from_json(json: &Json) -> Value {
    match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => match whole(number.as_str()) {
            Some(value) => value,
            None => Value::from_object(Digits(number.clone())),
        },
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(elements) => Value::from_object(DocList(elements.iter().map(from_json).collect())),
        Json::Object(members) => {
            let members = members.iter().map(|(name, value)| (Arc::from(name.as_str()), from_json(value)));
            Value::from_object(DocMap(members.collect()))
        }
    }
}

/// An integer whose spelling is that of the machine number.
fn whole(text: &str) -> Option<Value> {
    if text == "-0" {
        return None;
    }
    let short = text.parse::<i64>().map(Value::from);
    short.or_else(|_| text.parse::<u64>().map(Value::from)).or_else(|_| text.parse::<i128>().map(Value::from)).ok()
}

/// A value to compute with: digits become a machine number.
pub(super) fn computed(value: Value) -> Value {
    match value.downcast_object_ref::<Digits>() {
        Some(digits) if digits.0.as_str() == "-0" => Value::from(0),
        // Beyond the range of a float is infinity: greater than all, and no result that JSON can hold.
        Some(digits) => Value::from(digits.0.as_str().parse::<f64>().unwrap_or(f64::NAN)),
        None => value,
    }
}

/// True for none, and for what is not there.
pub(super) fn is_nothing(value: &Value) -> bool {
    value.is_none() || value.is_undefined()
}

/// A value that is a number, as one.
pub(super) fn number(value: &Value) -> Option<Number> {
    if let Some(digits) = value.downcast_object_ref::<Digits>() {
        return Some(digits.0.clone());
    }
    if value.kind() != ValueKind::Number {
        return None;
    }
    if value.is_integer() {
        return Number::parse(&value.to_string());
    }
    f64::try_from(value.clone()).ok().and_then(Number::from_f64)
}

/// A value as JSON.
pub(super) fn to_json(value: &Value) -> Result<Json, Error> {
    let mut left = VALUES_MAX;
    json(value, &mut left, DEPTH_MAX)
}

fn json(value: &Value, left: &mut usize, depth: usize) -> Result<Json, Error> {
    *left = left.checked_sub(1).ok_or_else(|| failed("the result is too large"))?;
    let depth = depth.checked_sub(1).ok_or_else(|| failed("the result is nested too deeply"))?;
    if let Some(number) = number(value) {
        return Ok(Json::Number(number));
    }
    if let Some(list) = value.downcast_object_ref::<DocList>() {
        return list.0.iter().map(|element| json(element, left, depth)).collect::<Result<_, _>>().map(Json::Array);
    }
    if let Some(map) = value.downcast_object_ref::<DocMap>() {
        let members = map.0.iter().map(|(name, value)| Ok((name.to_string(), json(value, left, depth)?)));
        return members.collect::<Result<_, _>>().map(Json::Object);
    }
    match value.kind() {
        ValueKind::Undefined | ValueKind::None => Ok(Json::Null),
        ValueKind::Bool => Ok(Json::Bool(value.is_true())),
        ValueKind::String => Ok(Json::String(value.as_str().unwrap_or_default().to_owned())),
        ValueKind::Seq | ValueKind::Iterable => {
            value.try_iter()?.map(|element| json(&element, left, depth)).collect::<Result<_, _>>().map(Json::Array)
        }
        ValueKind::Map => object(value, left, depth),
        ValueKind::Number => Err(failed("the result is not a number that JSON can hold")),
        kind => Err(failed(format!("the result is {kind}, and not a value"))),
    }
}

fn object(value: &Value, left: &mut usize, depth: usize) -> Result<Json, Error> {
    let mut members: Vec<(String, Json)> = Vec::new();
    for key in value.try_iter()? {
        let member = json(&value.get_item(&key)?, left, depth)?;
        let name = print(&key)?;
        if members.iter().any(|(other, _)| *other == name) {
            return Err(failed(format!("the result has the member `{name}` twice")));
        }
        members.push((name, member));
    }
    Ok(Json::Object(members))
}

/// A value as text: a string as it is, nothing as nothing, anything else as JSON.
pub(super) fn print(value: &Value) -> Result<String, Error> {
    if let Some(text) = value.as_str() {
        return Ok(text.to_owned());
    }
    if is_nothing(value) {
        return Ok(String::new());
    }
    to_json(value).and_then(|json| {
        let text = show(&json);
        if text.len() > OUTPUT_MAX { Err(too_large()) } else { Ok(text) }
    })
}

/// A document as text: a string as it is, null as nothing, anything else as JSON.
pub(super) fn show(json: &Json) -> String {
    match json {
        Json::Null => String::new(),
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(super) fn failed(sentence: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, sentence.into())
}

pub(super) fn too_large() -> Error {
    failed("the result is larger than 4 MiB")
}
