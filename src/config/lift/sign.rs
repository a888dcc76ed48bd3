//! `secret` and `sign` of a sink: what deliveries are signed with, and how.
//!
//! Signs nothing; it reads keys, and says which scheme can't use them.

use std::sync::Arc;

use toml::de::DeValue;

use super::sink::RESERVED;
use super::{check_header_value, header_name};
use crate::config::keys::Table;
use crate::config::problem::{Place, Problem};
use crate::config::reader::{Field, Reader, Section, quoted};
use crate::core::path::Complaint;
use crate::core::secret::Secret;
use crate::core::sign::{Algorithm, Custom, Encoding, MESSAGE_NAMES, Scheme, Signer, SigningKey, VALUE_NAMES};
use crate::core::template::{Part, Template, Text};

/// The words for an algorithm; the first three are those that are advertised.
const ALGORITHMS: [(&str, Algorithm); 6] = [
    ("hmac-sha256", Algorithm::HmacSha256),
    ("hmac-sha1", Algorithm::HmacSha1),
    ("hmac-sha512", Algorithm::HmacSha512),
    ("sha256", Algorithm::HmacSha256),
    ("sha1", Algorithm::HmacSha1),
    ("sha512", Algorithm::HmacSha512),
];

/// How many of [`ALGORITHMS`] a hint lists.
const ALGORITHMS_SHOWN: usize = 3;

/// What a custom scheme signs, when nothing is said.
const MESSAGE: &str = "{{ body }}";

/// What its header holds, when nothing is said.
const VALUE: &str = "{{ signature }}";

/// What the sink of this name signs with; `None` when it does not, or when that is wrong, which then is noted.
pub(super) fn signer(name: &str, section: &Section<'_>, reader: &mut Reader<'_>) -> Option<Signer> {
    let sign = section.field("sign");
    let scheme = match &sign {
        Some(field) => scheme(field, name, reader),
        None => Some(Scheme::Standard),
    };
    let Some(field) = section.field("secret") else {
        if let Some(field) = sign {
            let problem = Problem::error(field.place(), "`sign` needs a `secret` to sign with");
            reader.note(problem.hint("add `secret = \"${env:SINK_SECRET}\"`, or take `sign` out").of_absence());
        }
        return None;
    };
    let secrets = secrets(&field, scheme.as_ref(), reader)?;
    let scheme = scheme?;
    check_own_headers(section, &scheme, reader);
    match Signer::new(scheme, &secrets) {
        Ok(signer) => Some(signer),
        Err(complaint) => {
            reader.note(Problem::error(field.place(), complaint.problem).maybe_hint(complaint.hint));
            None
        }
    }
}

/// The secrets of a list, or the one; `None` when one of them is bad.
fn secrets(field: &Field<'_>, scheme: Option<&Scheme>, reader: &mut Reader<'_>) -> Option<Vec<Secret>> {
    let list = reader.one_or_list(field);
    if list.is_empty() {
        let problem = Problem::error(field.place(), "`secret` is an empty list");
        reader.note(problem.hint("take it out to send unsigned, or write `secret = \"${env:SINK_SECRET}\"`"));
        return None;
    }
    let secrets: Vec<_> = list.iter().map(|field| secret(field, scheme, reader)).collect();
    secrets.into_iter().collect()
}

fn secret(field: &Field<'_>, scheme: Option<&Scheme>, reader: &mut Reader<'_>) -> Option<Secret> {
    let written = reader.text(field)?;
    let secret = Secret::new(&written.resolved());
    if secret.expose().trim().is_empty() {
        reader.note(Problem::error(field.place(), "`secret` is empty").hint("make one: `openssl rand -base64 32`"));
        return None;
    }
    let checked = match scheme {
        Some(scheme) => scheme.keys(&secret).map(|_| ()),
        None => SigningKey::parse(&secret).map(|_| ()),
    };
    if let Err(complaint) = checked {
        let shown = !complaint.problem.contains(secret.expose());
        let problem = if shown { complaint.problem } else { "`secret` can't be signed with".to_owned() };
        reader.note(Problem::error(field.place(), problem).maybe_hint(complaint.hint));
        return None;
    }
    if let Some(scheme) = scheme.filter(|scheme| scheme.reads_secrets_as_text())
        && secret.expose().starts_with("whsec_")
    {
        let problem = format!("receivers of `{scheme}` take a secret as text, and this one is decoded after `whsec_`");
        let hint = "use a secret that does not begin with `whsec_`, the same text on both sides";
        reader.note(Problem::warning(field.place(), problem).hint(hint));
    }
    Some(secret)
}

/// Notes headers of the sink's own that are the signature's. Those that no sink may set are noted elsewhere.
fn check_own_headers(section: &Section<'_>, scheme: &Scheme, reader: &mut Reader<'_>) {
    let Some(DeValue::Table(table)) = section.field("headers").map(|field| field.value.get_ref()) else { return };
    let names = scheme.header_names();
    for key in table.keys() {
        let name = key.get_ref().to_ascii_lowercase();
        let reserved = RESERVED.iter().any(|(reserved, _)| *reserved == name);
        if !reserved && names.iter().any(|own| own.as_str() == name) {
            let place = Place { file: Arc::clone(section.file), span: key.span() };
            let problem = format!("the header `{}` can't be set: it carries the signature", key.get_ref());
            reader.note(Problem::error(place, problem).hint("take it out, or choose another `sign`"));
        }
    }
}

/// A scheme, by its name or as a table; `key_id` goes into `rfc9421`.
pub(in crate::config) fn scheme(field: &Field<'_>, key_id: &str, reader: &mut Reader<'_>) -> Option<Scheme> {
    if field.value.get_ref().is_table() {
        return custom(field, reader).map(|custom| Scheme::Custom(Box::new(custom)));
    }
    reader.parsed(field, |text| {
        Scheme::named(text, key_id).ok_or_else(|| Complaint {
            problem: format!("`sign` can't be `{text}`"),
            hint: Some(format!(
                "it is one of {}, or a table: `{{ header = \"X-Signature\", message = \"{MESSAGE}\" }}`",
                quoted(Scheme::WORDS.into_iter())
            )),
            span: None,
        })
    })
}

fn custom(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Custom> {
    let section = reader.table(field, Table::Sign)?;
    let header = match section.field("header") {
        Some(field) => {
            let reserved: Vec<_> = RESERVED.iter().filter(|(name, _)| *name != "webhook-signature").copied().collect();
            reader.text(&field).and_then(|name| header_name(&name, &field.place(), &reserved, reader))
        }
        None => {
            let hint = "add `header = \"X-Signature\"`, what carries the signature";
            reader.lacks(&section, &["header"], "`sign` lacks its `header`".to_owned(), hint);
            None
        }
    };
    let algorithm = match section.field("algorithm") {
        Some(field) => algorithm(&field, reader),
        None => Some(Algorithm::HmacSha256),
    };
    let encodings = [("hex", Encoding::Hex), ("base64", Encoding::Base64)];
    let encoding = match section.field("encoding") {
        Some(field) => reader.one_of(&field, &encodings),
        None => Some(Encoding::Hex),
    };
    let message = match section.field("message") {
        Some(field) => message(&field, reader),
        None => Text::compile(&[Part::Plain(MESSAGE.to_owned())], MESSAGE_NAMES).ok().map(|text| (text, false)),
    };
    let value = match section.field("value") {
        Some(field) => value(&field, reader),
        None => Template::compile(VALUE, VALUE_NAMES).ok(),
    };
    let (message, timed) = message?;
    Some(Custom { header: header?, algorithm: algorithm?, encoding: encoding?, message, timed, value: value? })
}

/// The hash inside an HMAC, by its name.
pub(super) fn algorithm(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Algorithm> {
    reader.parsed(field, |text| {
        let found = ALGORITHMS.iter().find(|(word, _)| *word == text).map(|(_, algorithm)| *algorithm);
        found.ok_or_else(|| Complaint {
            problem: format!("`algorithm` can't be `{text}`"),
            hint: Some(format!(
                "it is one of {}",
                quoted(ALGORITHMS.iter().take(ALGORITHMS_SHOWN).map(|(word, _)| *word))
            )),
            span: None,
        })
    })
}

/// What is signed, and whether the time is a part of it.
fn message(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<(Text, bool)> {
    let written = reader.text(field)?;
    let parts = written.parts();
    let text = match Text::compile(&parts, MESSAGE_NAMES) {
        Ok(text) => text,
        // The compiler saw no secret, so its words can be shown.
        Err(complaint) if written.hides() => {
            reader.note(Problem::error(field.place(), complaint.problem).maybe_hint(complaint.hint));
            return None;
        }
        Err(complaint) => {
            reader.complain(field, &written, complaint);
            return None;
        }
    };
    let uses = |name: &str| {
        let others: Vec<&str> = MESSAGE_NAMES.iter().copied().filter(|other| *other != name).collect();
        Text::compile(&parts, &others).is_err()
    };
    if !uses("body") {
        let problem =
            Problem::warning(field.place(), "`message` says nothing of the body, so anyone on the way can change it");
        reader.note(problem.hint(format!("put the body into it: `message = \"{{{{ timestamp }}}}.{MESSAGE}\"`")));
    }
    Some((text, uses("timestamp")))
}

/// What the header holds.
fn value(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Template> {
    let written = reader.text(field)?;
    if written.hides() {
        let problem = Problem::error(field.place(), "`value` can't hold a secret: it is sent as it is");
        reader.note(problem.hint("put the secret into `message`, or into `headers`"));
        return None;
    }
    check_header_value(field, &written, reader);
    let text = written.resolved();
    if Template::compile(&text, &VALUE_NAMES[1..]).is_ok() {
        let problem =
            Problem::error(field.place(), format!("`value` lacks the signature: `{text}` has no `{VALUE}` in it"));
        reader.note(problem.hint(format!("write it as in `value = \"sha256={VALUE}\"`")));
        return None;
    }
    match Template::compile(&text, VALUE_NAMES) {
        Ok(template) => Some(template),
        Err(complaint) => {
            reader.complain(field, &written, complaint);
            None
        }
    }
}
