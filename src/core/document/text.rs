//! A text: one string.

use crate::core::json;

pub(super) fn to_json(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + text.len() / 16 + 2);
    json::push_string(text, &mut out);
    out
}
