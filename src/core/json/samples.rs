//! Random documents and random spellings of them, for property tests.
//!
//! Not compiled into the product.

use proptest::prelude::*;

use super::{Json, Number};

/// A document: small, with names that collide and numbers of many spellings.
pub(crate) fn document() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        number().prop_map(Json::Number),
        "[a-c\"\\\\\n/~é\u{1F600}]{0,4}".prop_map(Json::String),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Json::Array),
            prop::collection::btree_map("[a-d/~]{1,2}", inner, 0..5).prop_map(Json::object),
        ]
    })
}

/// A number of some spelling.
pub(crate) fn number() -> impl Strategy<Value = Number> {
    "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?"
        .prop_map(|text| Number::parse(&text).unwrap_or_else(|| Number::from(0_i64)))
}

/// The same value, spelled otherwise: members turned around, numbers with an exponent.
pub(crate) fn respelled(json: &Json) -> Json {
    match json {
        Json::Number(number) => {
            let shifted = match number.as_str().split_once(['e', 'E']) {
                Some((mantissa, exponent)) => format!("{}e{}", point(mantissa), exponent.trim_start_matches('+')),
                None => format!("{}e-0", point(number.as_str())),
            };
            Json::Number(Number::parse(&shifted).expect("a number"))
        }
        Json::Array(elements) => Json::Array(elements.iter().map(respelled).collect()),
        Json::Object(members) => {
            Json::Object(members.iter().rev().map(|(name, value)| (name.clone(), respelled(value))).collect())
        }
        other => other.clone(),
    }
}

fn point(mantissa: &str) -> String {
    if mantissa.contains('.') { format!("{mantissa}0") } else { format!("{mantissa}.00") }
}

/// The document with white space wherever it may stand.
pub(crate) fn spaced(json: &Json) -> String {
    match json {
        Json::Array(elements) => {
            format!(" [ {} ]\n", elements.iter().map(spaced).collect::<Vec<_>>().join("\t, "))
        }
        Json::Object(members) => {
            let member = |(name, value): &(String, Json)| format!("{} : {}", Json::from(name.as_str()), spaced(value));
            format!("\r\n{{ {} }} ", members.iter().map(member).collect::<Vec<_>>().join(" ,"))
        }
        other => format!(" {other} "),
    }
}
