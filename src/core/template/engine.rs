//! The one minijinja environment: its filters and tests, and the functions that lowered expressions call.
//!
//! Nothing in it reads a file, a clock or the environment of the process, and nothing loads another template.

use std::cmp::Ordering;
use std::sync::LazyLock;

use minijinja::value::{Rest, Value};
use minijinja::{AutoEscape, Environment, UndefinedBehavior};

use super::ops::{concatenated, contains, each, equals, few, few_columns, member, object, ordered, repeatable, small};
use super::value::{DocList, computed, is_nothing, print};
use super::{encode, filters};

/// Steps that one evaluation may take.
const FUEL: u64 = 500_000;

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
    filters::add(&mut engine);
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
