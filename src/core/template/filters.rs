//! Filters of our own, where minijinja's would lose digits, order what has no order, or grow without bounds.
//!
//! What is missing is none here too: it has no length, and nothing is in it.

use std::cmp::Ordering;

use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error};

use super::OUTPUT_MAX;
use super::ops::{OrNone, each, kind, member, order};
use super::value::{computed, failed, is_nothing, print, to_json, too_large};

pub(super) fn add(engine: &mut Environment<'static>) {
    engine.add_filter("default", |value: Value, other: Option<Value>, falsy: Option<bool>, options: Kwargs| {
        or_default(value, other, falsy, &options)
    });
    engine.add_filter("d", |value: Value, other: Option<Value>, falsy: Option<bool>, options: Kwargs| {
        or_default(value, other, falsy, &options)
    });
    engine.add_filter("string", |value: Value| print(&value));
    engine.add_filter("tojson", |value: Value| to_json(&value).map(|json| json.to_string()));
    engine.add_filter("length", |value: Value| length(&value));
    engine.add_filter("count", |value: Value| length(&value));
    engine.add_filter("replace", |value: Value, from: String, to: String| replaced(&value, &from, &to));
    engine.add_filter("join", joined);
    engine.add_filter("sort", |value: Value, options: Kwargs| sorted(value, &options));
    engine.add_filter("min", |value: Value| extreme(value, Ordering::is_lt));
    engine.add_filter("max", |value: Value| extreme(value, Ordering::is_gt));
}

fn or_default(value: Value, other: Option<Value>, falsy_too: Option<bool>, options: &Kwargs) -> Result<Value, Error> {
    let falsy_too = match falsy_too {
        Some(falsy_too) => falsy_too,
        None => options.get::<Option<bool>>("boolean")?.unwrap_or(false),
    };
    options.assert_all_used()?;
    let missing = is_nothing(&value) || falsy_too && !value.is_true();
    Ok(if missing { other.unwrap_or_else(|| Value::from("")) } else { value })
}

fn length(value: &Value) -> Result<usize, Error> {
    if is_nothing(value) {
        return Ok(0);
    }
    let counted = match value.as_str() {
        Some(text) => Some(text.chars().count()),
        None => value.len(),
    };
    counted.ok_or_else(|| failed(format!("{} has no length", kind(value))))
}

fn replaced(value: &Value, from: &str, to: &str) -> Result<String, Error> {
    let text = print(value)?;
    let found = if from.is_empty() { text.chars().count() + 1 } else { text.matches(from).count() };
    let size = found.saturating_mul(to.len()).saturating_add(text.len());
    if size > OUTPUT_MAX { Err(too_large()) } else { Ok(text.replace(from, to)) }
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
fn sorted(value: Value, options: &Kwargs) -> Result<Vec<Value>, Error> {
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
