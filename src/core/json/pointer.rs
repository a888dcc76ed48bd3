//! JSON Pointers (RFC 6901): how `changed` and `patch` name a place.
//!
//! Reading one never changes the document.

use super::Json;

/// Appends `/` and `token`, escaped (RFC 6901, section 3).
pub fn push_token(pointer: &mut String, token: &str) {
    pointer.push('/');
    for letter in token.chars() {
        match letter {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            other => pointer.push(other),
        }
    }
}

/// The tokens of a pointer, their escapes resolved; `None` when it is not one.
pub(in crate::core) fn pointer_tokens(pointer: &str) -> Option<Vec<String>> {
    if pointer.is_empty() {
        return Some(Vec::new());
    }
    let rest = pointer.strip_prefix('/')?;
    Some(rest.split('/').map(|token| token.replace("~1", "/").replace("~0", "~")).collect())
}

/// The index that a token means in an array (RFC 6901, section 4): digits without a zero before them.
pub(in crate::core) fn pointer_index(token: &str) -> Option<usize> {
    let plain = token.bytes().all(|byte| byte.is_ascii_digit()) && (token.len() == 1 || !token.starts_with('0'));
    if plain { token.parse().ok() } else { None }
}

impl Json {
    /// What a JSON Pointer points at; `None` when nothing is there, or when it is not a pointer.
    pub fn pointer(&self, pointer: &str) -> Option<&Self> {
        pointer_tokens(pointer)?.iter().try_fold(self, |json, token| match json {
            Self::Object(_) => json.get(token),
            Self::Array(elements) => elements.get(pointer_index(token)?),
            _ => None,
        })
    }
}
