//! The key of an item: text as it is, a number by its value, a composite key as a compact JSON array.
//!
//! Two spellings of one number are one key.

use super::{Place, explain};
use crate::core::json::{self, Json, Number};
use crate::core::names::Key;
use crate::core::outcome::{Failure, FailureKind};
use crate::core::path::{JsonPath, Step};

/// The key that a value is, in its bytes: for text without escapes and whole numbers without looking closer. `None` for
/// what is no key, and for what has to be looked at.
pub(super) fn of_value(raw: &[u8]) -> Option<&str> {
    let text = std::str::from_utf8(raw).ok()?;
    if let Some(inside) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        return (!inside.contains('\\')).then_some(inside);
    }
    let digits = text.strip_prefix('-').filter(|rest| *rest != "0").unwrap_or(text);
    let whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    whole.then_some(text)
}

/// The only path of a key, where it leads to one place.
pub(super) fn only_steps(paths: &[JsonPath]) -> Option<&[Step]> {
    match paths {
        [path] => single_steps(path),
        _ => None,
    }
}

/// The key of an item in its bytes; a tree is built only for paths that need one.
pub(super) fn of_raw(paths: &[JsonPath], raw: &[u8], place: Place) -> Result<Key, Failure> {
    let Some(plain) = paths.iter().map(single_steps).collect::<Option<Vec<_>>>() else {
        return of_tree(paths, &explain::parse_item(raw, place)?, place);
    };
    let part = |(path, steps): (&JsonPath, &&[Step])| {
        let found = json::pick(raw, steps).map_err(|error| explain::item_not_json(place, &error))?;
        let missing = |found: Option<&Json>| {
            let item = json::parse(raw).unwrap_or_default();
            Failure::new(FailureKind::KeyMissing, explain::key_missing(path, found, &item, place))
        };
        let value = found.ok_or_else(|| missing(None))?;
        let value = explain::parse_item(value, place)?;
        part_of(&value).ok_or_else(|| missing(Some(&value)))
    };
    paths.iter().zip(&plain).map(part).collect::<Result<Vec<_>, _>>().map(join)
}

/// The key of an item that is a tree.
pub(super) fn of_tree(paths: &[JsonPath], item: &Json, place: Place) -> Result<Key, Failure> {
    let part = |path: &JsonPath| {
        let missing = |sentence| Failure::new(FailureKind::KeyMissing, sentence);
        match path.select(item)[..] {
            [value] => part_of(value).ok_or_else(|| missing(explain::key_missing(path, Some(value), item, place))),
            [] => Err(missing(explain::key_missing(path, None, item, place))),
            ref values => Err(missing(explain::key_many(path, values.len(), place))),
        }
    };
    paths.iter().map(part).collect::<Result<Vec<_>, _>>().map(join)
}

/// The key of an element of an array inside an item, as text; `None` where it has none, or several.
pub(in crate::core) fn of_element(path: &JsonPath, element: &Json) -> Option<String> {
    let [value] = path.select(element)[..] else { return None };
    part_of(value).map(|part| join(vec![part]).to_string())
}

/// The steps of a path that leads to one place.
fn single_steps(path: &JsonPath) -> Option<&[Step]> {
    path.plain_steps().filter(|steps| !steps.contains(&Step::All))
}

/// What a scalar is as a part of a key; `None` for what is no key.
fn part_of(value: &Json) -> Option<Json> {
    match value {
        Json::String(_) | Json::Bool(_) => Some(value.clone()),
        Json::Number(number) => Some(Json::Number(Number::parse(&number.plain()).unwrap_or_else(|| number.clone()))),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

fn join(parts: Vec<Json>) -> Key {
    match parts.as_slice() {
        [] => Key::from(""),
        [Json::String(text)] => Key::from(text.as_str()),
        [part] => Key::from(part.to_string().as_str()),
        _ => Key::from(Json::Array(parts).to_string().as_str()),
    }
}
