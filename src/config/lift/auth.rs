//! `auth` of a vendor, a job or a sink: who we are to the other side.
//!
//! Those that fetch a token first stand in `auth/grants.rs`. Nothing here asks anyone for anything.

use std::sync::Arc;

use http::{HeaderName, header};

use super::request::compile;
use super::vendor::RESERVED;
use super::{check_header_value, header_name, sign};
use crate::config::keys::{Table, nearest};
use crate::config::problem::Problem;
use crate::config::reader::{Field, Reader, Section, quoted};
use crate::config::written::Written;
use crate::core::auth::digest::Account;
use crate::core::auth::hmac::{self, Recipe};
use crate::core::auth::sigv4::Keys;
use crate::core::auth::{Auth, Live};
use crate::core::secret::Secret;
use crate::core::sign::{Algorithm, Encoding};
use crate::core::template::{Part, Text};

mod grants;

/// A kind of credentials, and its keys beside `type`.
pub(in crate::config) struct Kind {
    pub(in crate::config) name: &'static str,
    pub(in crate::config) needs: &'static [&'static str],
    may: &'static [&'static str],
}

/// All of them.
pub(in crate::config) const KINDS: [Kind; 9] = [
    Kind { name: "bearer", needs: &["token"], may: &[] },
    Kind { name: "basic", needs: &["username", "password"], may: &[] },
    Kind { name: "api_key", needs: &["name", "value"], may: &["in"] },
    Kind {
        name: "oauth2",
        needs: &["token_url", "client_id"],
        may: &["client_secret", "scope", "audience", "grant", "refresh_token", "client_auth", "params"],
    },
    Kind { name: "jwt_bearer", needs: &["token_url", "algorithm", "key", "claims"], may: &["headers"] },
    Kind { name: "session", needs: &["url"], may: &["method", "headers", "body", "token", "send", "ttl"] },
    Kind { name: "aws_sigv4", needs: &["region", "service", "access_key", "secret_key"], may: &["session_token"] },
    Kind { name: "digest", needs: &["username", "password"], may: &[] },
    Kind { name: "hmac", needs: &["header", "key", "message"], may: &["algorithm", "encoding", "value", "headers"] },
];

/// What an `hmac` header holds, when nothing is said.
const VALUE: &str = "{{ signature }}";

/// What the templates of credentials see, and what a relative URL of theirs is joined to.
#[derive(Clone, Copy)]
pub(super) struct Around<'a> {
    /// The top-level names that the templates of what is sent as it is see.
    pub(super) names: &'a [&'a str],
    /// The `base_url`, where there is one.
    pub(super) base: Option<&'a Written>,
}

/// The credentials of a table.
pub(super) fn auth(field: &Field<'_>, around: Around<'_>, reader: &mut Reader<'_>) -> Option<Auth> {
    let section = reader.open_table(field, Table::Auth)?;
    let Some(kind) = section.field("type") else {
        let names = quoted(KINDS.iter().map(|kind| kind.name));
        let hint = format!("write `auth = {{ type = \"bearer\", token = \"${{env:TOKEN}}\" }}`; it is one of {names}");
        reader.lacks(&section, &["type"], "`auth` lacks its `type`".into(), hint);
        return None;
    };
    let words: Vec<_> = KINDS.iter().map(|kind| (kind.name, kind)).collect();
    let kind = reader.one_of(&kind, &words)?;
    check_keys(&section, kind, reader);
    let auth = Lift { section: &section, around };
    match kind.name {
        "bearer" => {
            auth.check_start("token", "Bearer ", reader);
            Some(Auth::Bearer { token: auth.template("token", reader)? })
        }
        "basic" => {
            auth.check_colon("username", reader);
            let (username, password) = (auth.template("username", reader), auth.template("password", reader));
            Some(Auth::Basic { username: username?, password: password? })
        }
        "api_key" => auth.api_key(reader),
        "oauth2" => auth.oauth2(reader).map(live),
        "jwt_bearer" => auth.jwt_bearer(reader).map(live),
        "session" => auth.session(reader).map(live),
        "aws_sigv4" => auth.sigv4(reader),
        "digest" => auth.digest(reader),
        _ => auth.hmac(reader),
    }
}

fn live(grant: crate::core::auth::grant::Grant) -> Auth {
    Auth::Live(Live::Token(Arc::new(grant)))
}

/// Notes the keys that are none, or belong to other credentials, and those that are not there.
fn check_keys(section: &Section<'_>, kind: &Kind, reader: &mut Reader<'_>) {
    let name = kind.name;
    let keys = || kind.needs.iter().chain(kind.may).copied();
    for (place, field) in section.entries() {
        if field.name == "type" || keys().any(|key| key == field.name) {
            continue;
        }
        let problem = Problem::error(place, format!("unknown key `{}` in `auth` of type `{name}`", field.name));
        let hint = match nearest(field.name, keys()) {
            Some(name) => format!("did you mean `{name}`?"),
            None => format!("beside `type`, the keys here are {}", quoted(keys())),
        };
        reader.note(problem.hint(hint));
    }
    for key in kind.needs.iter().filter(|key| !section.has(key)) {
        let hint = match *key {
            "claims" => "add `claims = { iss = \"…\", sub = \"…\" }`".to_owned(),
            "message" => {
                "add `message = \"{{ timestamp }}{{ method }}{{ path }}{{ body }}\"`, as the vendor says".to_owned()
            }
            "header" => "add `header = \"X-Signature\"`, what carries the signature".to_owned(),
            "algorithm" => "add `algorithm = \"RS256\"`".to_owned(),
            key => format!("add `{key} = \"…\"`"),
        };
        reader.lacks(section, &[key], format!("`auth` of type `{name}` lacks its `{key}`"), hint);
    }
}

/// One table of credentials. That a key is missing has been noted.
struct Lift<'s> {
    section: &'s Section<'s>,
    around: Around<'s>,
}

impl Lift<'_> {
    /// Notes a token that begins with the word that is put before it.
    fn check_start(&self, name: &str, word: &str, reader: &mut Reader<'_>) {
        let Some(field) = self.section.field(name) else { return };
        let doubled = field.value.get_ref().as_str().is_some_and(|text| text.starts_with(word));
        if doubled {
            let problem =
                Problem::error(field.place(), format!("`{name}` begins with `{word}`, which is put before it"));
            reader.note(problem.hint(format!("write the token alone, without `{word}`")));
        }
    }

    /// Notes a user's name with a colon: what comes behind it would count as the password (RFC 7617, section 2).
    fn check_colon(&self, name: &str, reader: &mut Reader<'_>) {
        let Some(field) = self.section.field(name) else { return };
        let plain = field.value.get_ref().as_str().filter(|text| !text.contains("${") && !text.contains("{{"));
        if plain.is_some_and(|text| text.contains(':')) {
            let problem = Problem::error(field.place(), format!("`{name}` has a colon, which ends it"));
            reader.note(problem.hint("write the password in `password`"));
        }
    }

    fn api_key(&self, reader: &mut Reader<'_>) -> Option<Auth> {
        let value = self.template("value", reader);
        let place = self.section.field("in").map(|field| reader.one_of(&field, &[("header", true), ("query", false)]));
        let in_header = place.unwrap_or(Some(true));
        let field = self.section.field("name")?;
        let name = some(&field, reader)?;
        if in_header? {
            let name = header_name(&name, &field.place(), RESERVED, reader)?;
            return Some(Auth::ApiKeyHeader { name, value: value? });
        }
        Some(Auth::ApiKeyQuery { name: name.resolved(), value: value? })
    }

    fn sigv4(&self, reader: &mut Reader<'_>) -> Option<Auth> {
        let (region, service) = (self.word("region", reader), self.word("service", reader));
        let (access_key, secret_key) = (self.word("access_key", reader), self.secret("secret_key", reader));
        let session_token = self.section.has("session_token").then(|| self.secret("session_token", reader));
        let session_token = session_token.map_or(Some(None), |token| token.map(Some));
        Some(Auth::Live(Live::SigV4(Arc::new(Keys {
            region: region?,
            service: service?,
            access_key: access_key?,
            secret_key: secret_key?,
            session_token: session_token?,
        }))))
    }

    fn digest(&self, reader: &mut Reader<'_>) -> Option<Auth> {
        let (username, password) = (self.plain("username", reader), self.section.field("password"));
        let password = reader.text(&password?).map(|written| Secret::new(&written.resolved()));
        Some(Auth::Live(Live::Digest(Arc::new(Account { username: username?, password: password? }))))
    }

    fn hmac(&self, reader: &mut Reader<'_>) -> Option<Auth> {
        let section = self.section;
        let header = section.field("header").and_then(|field| {
            reader.text(&field).and_then(|name| header_name(&name, &field.place(), RESERVED, reader))
        });
        let algorithm = match section.field("algorithm") {
            Some(field) => sign::algorithm(&field, reader),
            None => Some(Algorithm::HmacSha256),
        };
        let encoding = match section.field("encoding") {
            Some(field) => reader.one_of(&field, &[("hex", Encoding::Hex), ("base64", Encoding::Base64)]),
            None => Some(Encoding::Hex),
        };
        let key = self.secret("key", reader);
        let message = self.compiled("message", hmac::MESSAGE_NAMES, reader);
        let value = match section.field("value") {
            Some(field) => self.carries(&field, "signature", hmac::VALUE_NAMES, reader),
            None => Text::compile(&[Part::Plain(VALUE.to_owned())], hmac::VALUE_NAMES).ok(),
        };
        let headers = self.headers(hmac::HEADER_NAMES, reader);
        Some(Auth::Live(Live::Hmac(Arc::new(Recipe {
            header: header?,
            algorithm: algorithm?,
            key: key?,
            message: message?,
            encoding: encoding?,
            value: value?,
            headers,
        }))))
    }

    /// What is sent as it is, with templates, and holds something.
    fn template(&self, name: &str, reader: &mut Reader<'_>) -> Option<Text> {
        let field = self.section.field(name)?;
        let written = if name == "password" { reader.text(&field)? } else { some(&field, reader)? };
        check_header_value(&field, &written, reader);
        compile(&field, &written, self.around.names, reader)
    }

    /// A template over other names, which is a header's value or a part of one.
    fn compiled(&self, name: &str, names: &[&str], reader: &mut Reader<'_>) -> Option<Text> {
        let field = self.section.field(name)?;
        let written = some(&field, reader)?;
        compile(&field, &written, names, reader)
    }

    /// A header's value, which must hold `what`.
    fn carries(&self, field: &Field<'_>, what: &str, names: &[&str], reader: &mut Reader<'_>) -> Option<Text> {
        let written = reader.text(field)?;
        check_header_value(field, &written, reader);
        let text = compile(field, &written, names, reader)?;
        let others: Vec<&str> = names.iter().copied().filter(|name| *name != what).collect();
        if Text::compile(&written.parts(), &others).is_ok() {
            let problem = Problem::error(field.place(), format!("`{}` lacks the {what}", field.name));
            reader.note(problem.hint(format!("write `{{{{ {what} }}}}` where it goes")));
            return None;
        }
        Some(text)
    }

    /// More headers, with templates over these names.
    fn headers(&self, names: &[&str], reader: &mut Reader<'_>) -> Vec<(HeaderName, Text)> {
        let Some(field) = self.section.field("headers") else { return Vec::new() };
        super::vendor::headers(&field, names, reader).into_values().collect()
    }

    /// Text that is used as it is: a template has nothing to say there.
    fn plain(&self, name: &str, reader: &mut Reader<'_>) -> Option<String> {
        plain(&self.section.field(name)?, reader)
    }

    /// As `plain`, without white space or a slash: it goes into a signature's scope.
    fn word(&self, name: &str, reader: &mut Reader<'_>) -> Option<String> {
        let field = self.section.field(name)?;
        let text = plain(&field, reader)?;
        let good = |c: char| c.is_ascii_graphic() && c != '/' && c != ',';
        let lower = matches!(name, "region" | "service") && text.chars().any(|c| c.is_ascii_uppercase());
        if lower || !text.chars().all(good) {
            let example = match name {
                "region" => ", as in `eu-central-1`",
                "service" => ", as in `execute-api`",
                _ => "",
            };
            let problem = Problem::error(field.place(), format!("`{name}` is not what AWS calls one"));
            reader.note(problem.hint(format!("write it as AWS does{example}: without spaces, slashes and commas")));
            return None;
        }
        Some(text)
    }

    /// A secret that holds something.
    fn secret(&self, name: &str, reader: &mut Reader<'_>) -> Option<Secret> {
        let field = self.section.field(name)?;
        some(&field, reader).map(|written| Secret::new(&written.resolved()))
    }
}

/// Text that is used as it is: a template has nothing to say there.
fn plain(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<String> {
    let written = some(field, reader)?;
    if written.spelled().contains("{{") {
        let problem = Problem::error(field.place(), format!("`{}` takes no template", field.name));
        reader.note(problem.hint("write it out, or take it from the environment: `${env:NAME}`"));
        return None;
    }
    Some(written.resolved())
}

/// Text that holds something.
fn some(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Written> {
    let written = reader.text(field)?;
    if written.resolved().is_empty() {
        let problem = Problem::error(field.place(), format!("`{}` is empty", field.name));
        reader.note(problem.hint("look at where it comes from"));
        return None;
    }
    Some(written)
}

/// Notes credentials that are asked for twice: in `auth`, and as a header or in the query.
pub(super) fn check_twice(
    field: &Field<'_>,
    auth: &Auth,
    has: impl Fn(&HeaderName) -> bool,
    asks: impl Fn(&str) -> bool,
    reader: &mut Reader<'_>,
) {
    if let Auth::ApiKeyQuery { name, .. } = auth
        && asks(name)
    {
        let message = format!("`auth` and `{name}` in `query` are two answers to one question");
        reader.note(Problem::error(field.place(), message).hint("keep `auth`, and take the other out"));
    }
    for name in auth.headers().into_iter().filter(has) {
        let spelled = if name == header::AUTHORIZATION { "Authorization" } else { name.as_str() };
        let message = format!("`auth` and the header `{spelled}` are two answers to one question");
        reader.note(Problem::error(field.place(), message).hint("keep `auth`, and take the header out"));
    }
}
