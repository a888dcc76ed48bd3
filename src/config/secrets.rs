//! References to secrets in strings, `${env:NAME}`, `${file:/path}` and `${credential:NAME}`: found, and resolved.
//!
//! What they yield is a [`Secret`] from its first moment and is never part of an error here.

use std::collections::HashMap;
use std::env::VarError;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::lookup::{Lookup, SECRET_MAX};
use crate::core::secret::Secret;

/// A piece of a string of the config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// As it is meant: `$${` has become `${`.
    Plain(String),
    /// What a reference yielded, and the reference itself, such as `env:TOKEN`.
    Secret {
        /// The value.
        value: Secret,
        /// What stands between `${` and `}`.
        reference: String,
    },
}

/// A piece of a string before its references are resolved.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Raw<'a> {
    /// As it is meant.
    Plain(String),
    /// What stands between `${` and `}`.
    Reference(&'a str),
    /// A `${` without its `}`: the rest of the text.
    Open(&'a str),
}

/// Splits a string at its references.
pub(crate) fn split(text: &str) -> Vec<Raw<'_>> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        if rest[..at].ends_with('$') {
            plain.push_str(&rest[..at - 1]);
            plain.push_str("${");
            rest = &rest[at + 2..];
            continue;
        }
        plain.push_str(&rest[..at]);
        if !plain.is_empty() {
            pieces.push(Raw::Plain(std::mem::take(&mut plain)));
        }
        let Some(length) = rest[at..].find('}') else {
            pieces.push(Raw::Open(&rest[at..]));
            return pieces;
        };
        pieces.push(Raw::Reference(&rest[at + 2..at + length]));
        rest = &rest[at + length + 1..];
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Raw::Plain(plain));
    }
    pieces
}

/// Is there nothing in this text but references?
pub(crate) fn only_references(text: &str) -> bool {
    split(text).iter().all(|piece| matches!(piece, Raw::Reference(_)))
}

/// Why a reference yields nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unresolved {
    pub(crate) problem: String,
    pub(crate) hint: String,
}

/// Resolves references, each once.
pub(crate) struct Resolver<'e> {
    env: &'e dyn Lookup,
    known: HashMap<(PathBuf, String), Result<Secret, Unresolved>>,
}

impl<'e> Resolver<'e> {
    pub(crate) fn new(env: &'e dyn Lookup) -> Self {
        Self { env, known: HashMap::new() }
    }

    /// Where references are looked up.
    pub(crate) fn machine(&self) -> &'e dyn Lookup {
        self.env
    }

    /// Every value that was found.
    pub(crate) fn found(&self) -> Vec<Secret> {
        self.known.values().filter_map(|found| found.clone().ok()).collect()
    }

    /// What a reference yields; `folder` is that of the file it stands in.
    pub(crate) fn resolve(&mut self, reference: &str, folder: &Path) -> Result<Secret, Unresolved> {
        let id = (folder.to_path_buf(), reference.to_owned());
        if let Some(known) = self.known.get(&id) {
            return known.clone();
        }
        let found = match self.env.stand_in(reference) {
            Some(stand_in) => Ok(Secret::new(&stand_in)),
            None => look_up(self.env, reference, folder),
        };
        self.known.insert(id, found.clone());
        found
    }
}

fn look_up(env: &dyn Lookup, reference: &str, folder: &Path) -> Result<Secret, Unresolved> {
    match reference.split_once(':') {
        Some(("env", name)) => variable(env, name),
        Some(("file", path)) if !path.is_empty() => file(env, &folder.join(path)),
        Some(("credential", name)) => credential(env, name),
        _ => Err(Unresolved {
            problem: format!("`${{{reference}}}` is not a reference to a secret"),
            hint: format!(
                "write `${{env:NAME}}`, `${{file:/path}}` or `${{credential:NAME}}`; for the text itself write `$${{{reference}}}`"
            ),
        }),
    }
}

fn variable(env: &dyn Lookup, name: &str) -> Result<Secret, Unresolved> {
    let missing =
        |why: &str, hint: String| Unresolved { problem: format!("the environment variable `{name}` {why}"), hint };
    match env.variable(name) {
        Ok(value) => Ok(Secret::new(&value)),
        Err(VarError::NotPresent) => Err(missing(
            "is not set",
            format!("set it where doorbell starts, `export {name}=…`, or in the unit, `Environment={name}=…`"),
        )),
        Err(VarError::NotUnicode(_)) => {
            Err(missing("does not hold UTF-8 text", "a secret must be text: encode it, as base64 for example".into()))
        }
    }
}

fn credential(env: &dyn Lookup, name: &str) -> Result<Secret, Unresolved> {
    let unresolved = |problem: String, hint: String| Err(Unresolved { problem, hint });
    if name.is_empty() || name == "." || name == ".." || name.contains('/') {
        return unresolved(
            format!("`{name}` is not the name of a systemd credential"),
            "write the name alone, as in `LoadCredential=NAME:/path`".into(),
        );
    }
    let Ok(folder) = env.variable("CREDENTIALS_DIRECTORY") else {
        return unresolved(
            format!("the credential `{name}` is not there: `$CREDENTIALS_DIRECTORY` is not set"),
            format!(
                "start doorbell by systemd with `LoadCredential={name}:/path`, or use `${{env:…}}` or `${{file:…}}`"
            ),
        );
    };
    read(env, &Path::new(&folder).join(name), &format!("the credential `{name}`"))
        .map_err(|problem| Unresolved { problem, hint: format!("pass it in the unit: `LoadCredential={name}:/path`") })
}

fn file(env: &dyn Lookup, path: &Path) -> Result<Secret, Unresolved> {
    read(env, path, &format!("the file `{}`", path.display())).map_err(|problem| Unresolved {
        problem,
        hint: "name a text file that the user doorbell runs as can read".into(),
    })
}

/// A small file's text without its trailing newline; the error is a sentence about `what`.
fn read(env: &dyn Lookup, path: &Path, what: &str) -> Result<Secret, String> {
    let bytes = env.read(path, SECRET_MAX).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => format!("{what} does not exist"),
        _ => format!("{what} can't be read: {error}"),
    })?;
    let text = std::str::from_utf8(&bytes).map_err(|_| format!("{what} does not hold UTF-8 text"))?;
    let text = text.strip_suffix('\n').unwrap_or(text);
    Ok(Secret::new(text.strip_suffix('\r').unwrap_or(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_split_from_the_text_around_them() {
        let plain = |text: &str| Raw::Plain(text.to_owned());
        for (text, pieces) in [
            ("", vec![]),
            ("abc", vec![plain("abc")]),
            ("a ${env:B} c", vec![plain("a "), Raw::Reference("env:B"), plain(" c")]),
            ("${env:A}${file:/b}", vec![Raw::Reference("env:A"), Raw::Reference("file:/b")]),
            ("$${env:A} $$${x}", vec![plain("${env:A} $${x}")]),
            ("a${b", vec![plain("a"), Raw::Open("${b")]),
            ("$", vec![plain("$")]),
        ] {
            assert_eq!(split(text), pieces, "{text}");
        }
    }
}
