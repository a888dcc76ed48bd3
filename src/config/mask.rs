//! Which parts of a config file are literal secrets, so that no problem prints them.
//!
//! It goes by the names of keys and by the shape of URLs; it knows no value. Hiding too much is harmless here, hiding
//! too little is not: when in doubt, a value is hidden.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::secrets;

/// How many lines before a line of a broken file are searched for the key it belongs to.
pub(crate) const LOOK_BACK: usize = 40;

/// Names, or words of names, whose values are secrets.
const WORDS: &[&str] = &[
    "token",
    "secret",
    "secrets",
    "password",
    "passwd",
    "pass",
    "pwd",
    "authorization",
    "auth",
    "cookie",
    "credential",
    "credentials",
    "apikey",
    "signature",
    "sig",
    "bearer",
    "jwt",
];

/// Keys of an `auth` table whose values are no secret.
const OPEN_IN_AUTH: &[&str] = &[
    "type",
    "in",
    "name",
    "grant",
    "client_auth",
    "algorithm",
    "encoding",
    "region",
    "service",
    "token_url",
    "client_id",
    "scope",
    "audience",
    "claims",
    "headers",
    "url",
    "method",
    "send",
    "ttl",
    "header",
    "message",
];

/// The literal secrets of a parsed file, as byte ranges of its text.
pub(crate) fn literal_secrets(tree: &DeTable<'_>, text: &str) -> Vec<Range<usize>> {
    let mut walk = Walk { text, found: Vec::new() };
    walk.table(tree, &mut Vec::new(), false);
    walk.found
}

struct Walk<'t> {
    text: &'t str,
    found: Vec<Range<usize>>,
}

impl<'t> Walk<'t> {
    fn table<'k>(&mut self, table: &'k DeTable<'_>, path: &mut Vec<&'k str>, hidden: bool) {
        for (key, value) in table {
            path.push(key.get_ref());
            let hidden = hidden || hides(path);
            self.value(value, path, hidden);
            path.pop();
        }
    }

    fn value<'k>(&mut self, value: &'k Spanned<DeValue<'_>>, path: &mut Vec<&'k str>, hidden: bool) {
        match value.get_ref() {
            DeValue::Table(table) => self.table(table, path, hidden && path.last() != Some(&"auth")),
            DeValue::Array(array) => array.iter().for_each(|element| self.value(element, path, hidden)),
            DeValue::String(text) if hidden && !secrets::only_references(text) => {
                self.found.push(without_quotes(self.text, value.span()));
            }
            DeValue::String(_) if hidden => {}
            DeValue::String(_) => self.found.extend(in_url(self.text, value.span())),
            _ if hidden => self.found.push(value.span()),
            _ => {}
        }
    }
}

/// Is the value at this path a secret, by its name?
fn hides(path: &[&str]) -> bool {
    let Some((name, above)) = path.split_last() else { return false };
    // One slip away from `sig`, and no secret.
    if *name == "sign" {
        return false;
    }
    if above.last() == Some(&"auth") {
        return !OPEN_IN_AUTH.contains(name);
    }
    // A table's own name is the user's choice: `[job.tokens]` is no secret.
    if above.len() == 1 && matches!(above[0], "job" | "sink" | "vendor") {
        return false;
    }
    // PEM may be written out where a path may stand.
    if above.last() == Some(&"tls") {
        return *name == "key";
    }
    let names_a_key = matches!(above.last(), Some(&("headers" | "query" | "body" | "params")));
    secret_name(name) || (names_a_key && words(name).any(|word| word == "key"))
}

/// Is the value of a header of this name a secret?
pub(crate) fn hides_header(name: &str) -> bool {
    secret_name(name) || words(name).any(|word| word == "key")
}

/// Does this name stand for a secret? One slip of the finger is forgiven.
fn secret_name(name: &str) -> bool {
    let like =
        |word: &str, known: &str| word == known || (word.len() >= 4 && strsim::damerau_levenshtein(word, known) <= 1);
    words(name).any(|word| WORDS.iter().any(|known| like(&word, known)))
        || WORDS.iter().any(|known| known.len() >= 5 && name.to_ascii_lowercase().contains(known))
}

fn words(name: &str) -> impl Iterator<Item = String> {
    name.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_ascii_lowercase)
}

/// The inside of a quoted string.
fn without_quotes(text: &str, span: Range<usize>) -> Range<usize> {
    let raw = text.get(span.clone()).unwrap_or_default();
    let quotes =
        if raw.starts_with("\"\"\"") || raw.starts_with("'''") { 3 } else { usize::from(raw.starts_with(['"', '\''])) };
    if raw.len() < 2 * quotes { span } else { span.start + quotes..span.end - quotes }
}

/// User and password, and the values of secret-looking parameters, of a string that holds a URL.
fn in_url(text: &str, span: Range<usize>) -> Vec<Range<usize>> {
    let Some(raw) = text.get(span.clone()) else { return Vec::new() };
    let mut found = Vec::new();
    if let Some(after) = raw.find("://").map(|at| at + 3) {
        let end = raw[after..].find(['/', '?', '#', '"', '\'']).map_or(raw.len(), |at| after + at);
        if let Some(at) = raw[after..end].rfind('@') {
            found.push(span.start + after..span.start + after + at);
        }
    }
    let mut from = 0;
    while let Some(at) = raw[from..].find(['?', '&']).map(|at| from + at + 1) {
        let end = raw[at..].find(['&', '#', '"', '\'']).map_or(raw.len(), |len| at + len);
        if let Some((name, value)) = raw[at..end].split_once('=')
            && (secret_name(name) || words(name).any(|word| word == "key"))
            && !secrets::only_references(value)
        {
            found.push(span.start + end - value.len()..span.start + end);
        }
        from = at;
    }
    found
}

/// What to hide of the last of some lines of a file that is not quite TOML, judged by the nearest line with a key.
pub(crate) fn by_line(lines: &[&str]) -> Option<Range<usize>> {
    let (last, before) = lines.split_last()?;
    if let Some(equals) = last.find('=') {
        return looks_secret(&last[..equals]).or_else(|| looks_secret(last)).map(|()| equals + 1..last.len());
    }
    let header = last.trim_start().starts_with('[');
    let key = before.iter().rev().find_map(|line| line.split_once('=').map(|(key, _)| key))?;
    (!header && looks_secret(key).is_some()).then_some(0..last.len())
}

fn looks_secret(text: &str) -> Option<()> {
    (secret_name(text) || (text.contains("://") && text.contains(['@', '?']))).then_some(())
}

/// Puts asterisks over the hidden parts of a line, and moves `span` along with the text.
pub(crate) fn cover(line: &str, hidden: &[Range<usize>], span: Range<usize>) -> (String, Range<usize>) {
    let mut text = String::with_capacity(line.len());
    let (mut from, mut to) = (None, None);
    for (at, c) in line.char_indices() {
        if at >= span.start {
            from.get_or_insert(text.len());
        }
        if at >= span.end {
            to.get_or_insert(text.len());
        }
        text.push(if hidden.iter().any(|range| range.contains(&at)) { '*' } else { c });
    }
    let from = from.unwrap_or(text.len());
    let to = to.unwrap_or(text.len());
    (text, from..to.max(from))
}
