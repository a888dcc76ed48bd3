//! The one minijinja environment: its filters and tests, and the functions that lowered expressions call.
//!
//! Nothing in it reads a file, a clock or the environment of the process, and nothing loads another template.

use std::cmp::Ordering;
use std::sync::{Arc, LazyLock};

use minijinja::value::{Kwargs, Rest, Value, ValueKind};
use minijinja::{AutoEscape, Environment, Error, UndefinedBehavior};

use super::place::position;
use super::value::{Digits, DocList, DocMap, computed, failed, is_nothing, number, print, to_json, too_large};
use super::{OUTPUT_MAX, encode};
use crate::core::json::{Json, equal};

/// Steps that one evaluation may take.
const FUEL: u64 = 500_000;

/// The greatest number a filter takes as a width or a count.
const FEW: i64 = 1000;

/// The filters there are.
pub(super) const FILTERS: &[&str] = &[
    "abs",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "d",
    "default",
    "dictsort",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "tojson",
    "trim",
    "unique",
    "upper",
    "urlencode",
    "zip",
];

/// The tests there are, as they are written after `is`.
pub(super) const TESTS: &[&str] = &[
    "boolean",
    "defined",
    "divisibleby",
    "empty",
    "endingwith",
    "eq",
    "equalto",
    "even",
    "false",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "int",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sameas",
    "sequence",
    "startingwith",
    "string",
    "true",
    "undefined",
    "upper",
];

/// The functions a template may call.
pub(super) const FUNCTIONS: &[&str] = &["dict", "range"];

pub(super) static ENGINE: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut engine = Environment::new();
    engine.set_undefined_behavior(UndefinedBehavior::Chainable);
    engine.set_auto_escape_callback(|_| AutoEscape::None);
    engine.set_fuel(Some(FUEL));
    engine.set_debug(false);
    for name in ["debug", "namespace"] {
        engine.remove_global(name);
    }
    for name in ["safe", "escape", "e", "pprint", "attr"] {
        engine.remove_filter(name);
    }
    add_functions(&mut engine);
    add_filters(&mut engine);
    add_tests(&mut engine);
    engine
});

/// What lowered expressions call. No template can: names with two underscores in front are refused.
fn add_functions(engine: &mut Environment<'static>) {
    engine.add_function("__at", |value: Value, key: Value| computed(member(&value, &key)));
    engine.add_function("__raw", |value: Value, key: Value| member(&value, &key));
    engine.add_function("__num", computed);
    engine.add_function("__given", |value: Value| if value.is_none() { Value::UNDEFINED } else { value });
    engine.add_function("__each", each);
    engine.add_function("__eq", |a: Value, b: Value| equals(&a, &b));
    engine.add_function("__ne", |a: Value, b: Value| equals(&a, &b).map(|equal| !equal));
    engine.add_function("__lt", |a: Value, b: Value| ordered(&a, &b, "<", Ordering::is_lt));
    engine.add_function("__le", |a: Value, b: Value| ordered(&a, &b, "<=", Ordering::is_le));
    engine.add_function("__gt", |a: Value, b: Value| ordered(&a, &b, ">", Ordering::is_gt));
    engine.add_function("__ge", |a: Value, b: Value| ordered(&a, &b, ">=", Ordering::is_ge));
    engine.add_function("__in", |a: Value, b: Value| contains(&a, &b));
    engine.add_function("__small", small);
    engine.add_function("__few", few);
    engine.add_function("__mul", |a: Value, b: Value| repeatable(&a, &b));
    engine.add_function("__fmt", few_columns);
    engine.add_function("__cat", |parts: Rest<Value>| concatenated(&parts));
    engine.add_function("__list", |elements: Rest<Value>| Value::from_object(DocList(elements.0)));
    engine.add_function("__map", |pairs: Rest<Value>| object(&pairs));
    engine.add_function("__out", |value: Value| print(&value));
    engine.add_function("__enc", |value: Value| print(&value).map(|text| encode(&text)));
}

fn add_filters(engine: &mut Environment<'static>) {
    engine.add_filter("default", or_default);
    engine.add_filter("d", or_default);
    engine.add_filter("string", |value: Value| print(&value));
    engine.add_filter("tojson", |value: Value| to_json(&value).map(|json| json.to_string()));
    engine.add_filter("length", length);
    engine.add_filter("count", length);
    engine.add_filter("replace", replaced);
    engine.add_filter("join", joined);
    engine.add_filter("sort", sorted);
    engine.add_filter("min", |value: Value| extreme(value, Ordering::is_lt));
    engine.add_filter("max", |value: Value| extreme(value, Ordering::is_gt));
}

fn add_tests(engine: &mut Environment<'static>) {
    engine.add_test("none", |value: Value| is_nothing(&value));
    engine.add_test("defined", |value: Value| !is_nothing(&value));
    engine.add_test("undefined", |value: Value| is_nothing(&value));
    engine.add_test("empty", |value: Value| is_nothing(&value) || value.len() == Some(0));
    for name in ["eq", "equalto", "=="] {
        engine.add_test(name, |a: Value, b: Value| equals(&a, &b));
    }
    for name in ["ne", "!="] {
        engine.add_test(name, |a: Value, b: Value| equals(&a, &b).map(|equal| !equal));
    }
    for name in ["lt", "lessthan", "<"] {
        engine.add_test(name, |a: Value, b: Value| ordered(&a, &b, "<", Ordering::is_lt));
    }
    for name in ["le", "<="] {
        engine.add_test(name, |a: Value, b: Value| ordered(&a, &b, "<=", Ordering::is_le));
    }
    for name in ["gt", "greaterthan", ">"] {
        engine.add_test(name, |a: Value, b: Value| ordered(&a, &b, ">", Ordering::is_gt));
    }
    for name in ["ge", ">="] {
        engine.add_test(name, |a: Value, b: Value| ordered(&a, &b, ">=", Ordering::is_ge));
    }
    engine.add_test("in", |a: Value, b: Value| contains(&a, &b));
}

/// A member or element, digits kept; none when there is none.
fn member(value: &Value, key: &Value) -> Value {
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

trait OrNone {
    /// The value, or none.
    fn or_none(self) -> Value;
}

impl OrNone for Option<Value> {
    fn or_none(self) -> Value {
        self.unwrap_or_else(|| Value::from(()))
    }
}

/// What a loop runs over, digits kept. Nothing is an empty list.
fn each(value: Value) -> Value {
    if let Some(list) = value.downcast_object_ref::<DocList>() {
        return Value::from(list.0.clone());
    }
    if is_nothing(&value) { Value::from(Vec::<Value>::new()) } else { value }
}

/// Equal by value; text never equals a number.
fn equals(a: &Value, b: &Value) -> Result<bool, Error> {
    match (a.as_str(), b.as_str()) {
        (Some(a), Some(b)) => Ok(a == b),
        (None, None) => Ok(equal(&to_json(a)?, &to_json(b)?)),
        _ => Ok(false),
    }
}

fn ordered(a: &Value, b: &Value, sign: &str, holds: fn(Ordering) -> bool) -> Result<bool, Error> {
    // What is missing is neither less nor greater.
    if is_nothing(a) || is_nothing(b) {
        return Ok(false);
    }
    match order(a, b) {
        Some(ordering) => Ok(holds(ordering)),
        None => Err(failed(format!("`{sign}` can't put {} and {} in order", kind(a), kind(b)))),
    }
}

fn order(a: &Value, b: &Value) -> Option<Ordering> {
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
fn kind(value: &Value) -> &'static str {
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
fn contains(a: &Value, b: &Value) -> Result<bool, Error> {
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

fn small(value: Value) -> Result<Value, Error> {
    let size = value.as_str().map(str::len);
    if size.is_some_and(|size| size > OUTPUT_MAX) { Err(too_large()) } else { Ok(value) }
}

fn few(value: Value) -> Result<Value, Error> {
    let many = value.kind() == ValueKind::Number && value.as_i64().is_none_or(|count| count.abs() > FEW);
    if many { Err(failed(format!("a width or count may be {FEW} at most"))) } else { Ok(value) }
}

/// The left operand of `*`, when the product can't be a text or list beyond all bounds.
fn repeatable(a: &Value, b: &Value) -> Result<Value, Error> {
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
fn few_columns(format: Value) -> Result<Value, Error> {
    let text = format.as_str().unwrap_or_default();
    let long = text.split(|sign: char| !sign.is_ascii_digit()).any(|digits| digits.len() > 3);
    if long || text.contains('*') {
        return Err(failed("a column may be 999 wide at most, and its width must be written out"));
    }
    Ok(format)
}

/// An object whose members stand as they are written; names and values take turns.
fn object(pairs: &[Value]) -> Result<Value, Error> {
    let mut members: Vec<(Arc<str>, Value)> = Vec::new();
    for pair in pairs.chunks(2) {
        let [name, value] = pair else { continue };
        let name = Arc::from(print(name)?);
        members.retain(|(other, _)| *other != name);
        members.push((name, value.clone()));
    }
    Ok(Value::from_object(DocMap(members)))
}

fn concatenated(parts: &[Value]) -> Result<String, Error> {
    parts.iter().try_fold(String::new(), |mut text, part| {
        text.push_str(&print(part)?);
        if text.len() > OUTPUT_MAX { Err(too_large()) } else { Ok(text) }
    })
}

fn or_default(value: Value, other: Option<Value>, falsy_too: Option<bool>, options: Kwargs) -> Result<Value, Error> {
    let falsy_too = match falsy_too {
        Some(falsy_too) => falsy_too,
        None => options.get::<Option<bool>>("boolean")?.unwrap_or(false),
    };
    options.assert_all_used()?;
    let missing = is_nothing(&value) || falsy_too && !value.is_true();
    Ok(if missing { other.unwrap_or_else(|| Value::from("")) } else { value })
}

fn length(value: Value) -> Result<usize, Error> {
    if is_nothing(&value) {
        return Ok(0);
    }
    let counted = match value.as_str() {
        Some(text) => Some(text.chars().count()),
        None => value.len(),
    };
    counted.ok_or_else(|| failed(format!("{} has no length", kind(&value))))
}

fn replaced(value: Value, from: String, to: String) -> Result<String, Error> {
    let text = print(&value)?;
    let found = if from.is_empty() { text.chars().count() + 1 } else { text.matches(&from).count() };
    let size = found.saturating_mul(to.len()).saturating_add(text.len());
    if size > OUTPUT_MAX { Err(too_large()) } else { Ok(text.replace(&from, &to)) }
}

fn joined(value: Value, between: Option<String>) -> Result<String, Error> {
    let between = between.unwrap_or_default();
    let mut text = String::new();
    for (at, element) in each(value).try_iter()?.enumerate() {
        if at > 0 {
            text.push_str(&between);
        }
        text.push_str(&print(&element)?);
        if text.len() > OUTPUT_MAX {
            return Err(too_large());
        }
    }
    Ok(text)
}

/// The least or greatest element; none of an empty list.
fn extreme(value: Value, better: fn(Ordering) -> bool) -> Result<Value, Error> {
    let mut best: Option<Value> = None;
    for element in each(value).try_iter()? {
        let element = computed(element);
        let replace = match &best {
            Some(best) => better(sort_order(&element, best)?),
            None => true,
        };
        if replace {
            best = Some(element);
        }
    }
    Ok(best.or_none())
}

fn sort_order(a: &Value, b: &Value) -> Result<Ordering, Error> {
    order(a, b).ok_or_else(|| failed(format!("{} and {} can't be put in order", kind(a), kind(b))))
}

/// `sort`, `sort(reverse=true)`, `sort(attribute="name")`: stable, and an error when the elements have no order.
fn sorted(value: Value, options: Kwargs) -> Result<Vec<Value>, Error> {
    let reverse = options.get::<Option<bool>>("reverse")?.unwrap_or(false);
    let attribute = options.get::<Option<String>>("attribute")?;
    options.assert_all_used()?;
    let by = |element: &Value| match &attribute {
        Some(path) => path.split('.').fold(element.clone(), |value, name| member(&value, &Value::from(name))),
        None => element.clone(),
    };
    let mut keyed: Vec<(Value, Value)> = Vec::new();
    for element in each(value).try_iter()? {
        keyed.push((by(&element), computed(element)));
    }
    // A sort must not meet a pair without an order half-way.
    if let Some((first, _)) = keyed.first() {
        for (key, _) in &keyed {
            sort_order(key, key)?;
            sort_order(first, key)?;
        }
    }
    keyed.sort_by(|(a, _), (b, _)| {
        let ordering = order(a, b).unwrap_or(Ordering::Equal);
        if reverse { ordering.reverse() } else { ordering }
    });
    Ok(keyed.into_iter().map(|(_, element)| element).collect())
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
