//! `oauth2`, `jwt_bearer` and `session`: credentials that an endpoint gives.
//!
//! Says what is asked for; asks for nothing.

use std::ops::RangeInclusive;
use std::time::Duration;

use http::{Method, header};
use ring::rand::SystemRandom;
use toml::de::DeValue;
use url::Url;

use super::{Lift, plain, some};
use crate::config::keys::Table;
use crate::config::lift::job::method;
use crate::config::lift::request::{check_url, compile, tree};
use crate::config::lift::sink::is_public;
use crate::config::lift::vendor::{RESERVED, scalar};
use crate::config::lift::{check_header_value, header_name};
use crate::config::problem::Problem;
use crate::config::reader::{Field, Reader, Section};
use crate::config::written::Written;
use crate::core::auth::grant::{CLAIM_NAMES, Found, Grant, JwtBearer, Kind, OAuth2, SEND_NAMES, Send, Session};
use crate::core::auth::jwt::{Algorithm, Key};
use crate::core::job::BodySpec;
use crate::core::names::Digest;
use crate::core::path::JsonPath;
use crate::core::secret::{Masked, Secret};
use crate::core::template::{JsonTemplate, Part, Text};

/// Bounds of a session's `ttl`.
const TTL_BOUNDS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3650 * 86_400);

/// Members of a token request that have a key of their own, or follow from one.
const OWN_PARAMS: &[(&str, &str)] = &[
    ("grant_type", "grant"),
    ("client_id", "client_id"),
    ("client_secret", "client_secret"),
    ("refresh_token", "refresh_token"),
    ("scope", "scope"),
    ("audience", "audience"),
];

/// Where a session's token is, when only where it goes is said.
const TOKEN: &str = "$.token";

/// What carries a session's token, when only where it is found is said.
const BEARER: &str = "Bearer {{ token }}";

/// What a session's header or parameter holds, when nothing is said.
const WHOLE: &str = "{{ token }}";

impl Lift<'_> {
    pub(super) fn oauth2(&self, reader: &mut Reader<'_>) -> Option<Grant> {
        let section = self.section;
        let endpoint = self.endpoint("token_url", reader);
        let client_id = self.plain("client_id", reader);
        let client_secret = self.optional_secret("client_secret", reader);
        let refresh_token = self.optional_secret("refresh_token", reader);
        let grants = [("client_credentials", false), ("refresh_token", true)];
        let refreshes = match section.field("grant") {
            Some(field) => reader.one_of(&field, &grants),
            None => Some(section.has("refresh_token")),
        };
        self.check_grant(refreshes, reader);
        self.check_client(refreshes, reader);
        let places = [("basic", false), ("body", true)];
        let in_body = match section.field("client_auth") {
            Some(field) => reader.one_of(&field, &places),
            None => Some(!section.has("client_secret")),
        };
        if let (Some(field), Some(false), false) = (section.field("client_auth"), in_body, section.has("client_secret"))
        {
            let problem = Problem::error(field.place(), "`client_auth = \"basic\"` needs a `client_secret`");
            reader.note(problem.hint("add `client_secret = \"${env:CLIENT_SECRET}\"`, or take `client_auth` out"));
        }
        let params = self.params(reader);
        let client = OAuth2 {
            client_id: client_id?,
            client_secret: client_secret?,
            in_body: in_body?,
            refresh_token: refresh_token?,
            params: params?,
        };
        self.grant(endpoint?, Kind::OAuth2(client), reader)
    }

    /// Notes a grant that the other keys say nothing of, or something else.
    fn check_grant(&self, refreshes: Option<bool>, reader: &mut Reader<'_>) {
        let (section, has) = (self.section, self.section.has("refresh_token"));
        match (refreshes, section.field("grant")) {
            (Some(true), Some(_)) if !has => {
                let hint = "add `refresh_token = \"${env:REFRESH_TOKEN}\"`, the first one, as the vendor gave it";
                let message = "`grant = \"refresh_token\"` needs a `refresh_token`".to_owned();
                reader.lacks(section, &["refresh_token"], message, hint);
            }
            (Some(false), Some(field)) if has => {
                let message = "`grant = \"client_credentials\"` uses no `refresh_token`";
                let hint = "take `grant` out to use the refresh token, or take the refresh token out";
                reader.note(Problem::error(field.place(), message).hint(hint));
            }
            _ => {}
        }
    }

    /// Notes a client that would ask in its own name and shows nothing: only those may (RFC 6749, section 4.4). What is
    /// shown in another way stands in `params`.
    fn check_client(&self, refreshes: Option<bool>, reader: &mut Reader<'_>) {
        let section = self.section;
        let said_otherwise =
            section.field("client_auth").is_some_and(|field| field.value.get_ref().as_str() == Some("basic"));
        if refreshes != Some(false) || section.has("client_secret") || section.has("params") || said_otherwise {
            return;
        }
        let hint = "add `client_secret = \"${env:CLIENT_SECRET}\"`; what is shown in another way, such as a \
                    `client_assertion`, goes in `params`";
        let message =
            "`auth` of type `oauth2` lacks its `client_secret`: a client without one is given no token".to_owned();
        reader.lacks(section, &["client_secret"], message, hint);
    }

    /// What goes into the form beside the client's own members.
    fn params(&self, reader: &mut Reader<'_>) -> Option<Vec<(String, Masked)>> {
        let mut params = Vec::new();
        let mut good = true;
        if let Some(field) = self.section.field("scope") {
            let list = reader.one_or_list(&field);
            let words: Vec<_> = list.iter().filter_map(|field| plain(field, reader)).collect();
            good &= words.len() == list.len();
            params.extend((!words.is_empty()).then(|| ("scope".to_owned(), Masked::open(words.join(" ")))));
        }
        if self.section.has("audience") {
            let audience = self.plain("audience", reader);
            good &= audience.is_some();
            params.extend(audience.map(|text| ("audience".to_owned(), Masked::open(text))));
        }
        let more = self.section.field("params").and_then(|field| reader.open_table(&field, Table::Auth));
        for (place, field) in more.iter().flat_map(Section::entries) {
            if let Some((_, key)) = OWN_PARAMS.iter().find(|(name, _)| *name == field.name) {
                let problem = Problem::error(place, format!("`{}` can't stand in `params`", field.name));
                reader.note(problem.hint(format!("write it as `{key}`, beside `type`")));
                good = false;
            } else if let Some(value) = scalar(&field, reader) {
                params.push((field.name.to_owned(), Masked::new(value.resolved(), "***".to_owned())));
            } else {
                good = false;
            }
        }
        good.then_some(params)
    }

    pub(super) fn jwt_bearer(&self, reader: &mut Reader<'_>) -> Option<Grant> {
        let section = self.section;
        let endpoint = self.endpoint("token_url", reader);
        let algorithm = section.field("algorithm").and_then(|field| reader.one_of(&field, &Algorithm::WORDS));
        let key = self.secret("key", reader);
        let key = algorithm.zip(key).and_then(|(algorithm, key)| self.key(algorithm, &key, reader));
        let claims = self.object("claims", reader);
        self.check_assertion(reader);
        let headers = match section.has("headers") {
            true => self.object("headers", reader),
            false => Some(JsonTemplate::Object(Vec::new())),
        };
        let client = JwtBearer { algorithm: algorithm?, key: key?, claims: claims?, headers: headers? };
        self.grant(endpoint?, Kind::JwtBearer(client), reader)
    }

    /// Notes what no endpoint would believe: another algorithm than the key's, and times that are no numbers (RFC 7519,
    /// section 2).
    fn check_assertion(&self, reader: &mut Reader<'_>) {
        let members = |name: &str, reader: &mut Reader<'_>| {
            let table = self.section.field(name).filter(|field| field.value.get_ref().is_table());
            table.and_then(|field| reader.open_table(&field, Table::Auth))
        };
        if let Some(field) = members("headers", reader).and_then(|headers| headers.field("alg")) {
            let problem = Problem::error(field.place(), "`alg` follows from `algorithm`");
            reader.note(problem.hint("take it out, and write `algorithm` as it shall be"));
        }
        let Some(claims) = members("claims", reader) else { return };
        for field in ["exp", "iat", "nbf"].iter().filter_map(|name| claims.field(name)) {
            let text = field.value.get_ref().as_str();
            if text.is_some_and(|text| !text.contains("{{") && !text.contains("${")) {
                let problem = Problem::error(field.place(), format!("`{}` is a time in seconds, not text", field.name));
                let hint = format!("leave it out, or write `{} = \"{{{{ timestamp + 120 }}}}\"`", field.name);
                reader.note(problem.hint(hint));
            }
        }
    }

    fn key(&self, algorithm: Algorithm, key: &Secret, reader: &mut Reader<'_>) -> Option<Key> {
        let field = self.section.field("key")?;
        let complaint = match Key::parse(algorithm, key, &SystemRandom::new()) {
            Ok(key) => return Some(key),
            Err(complaint) => complaint,
        };
        let is_path =
            algorithm != Algorithm::Hs256 && (key.expose().starts_with('/') || key.expose().ends_with(".pem"));
        let hint = match is_path {
            true => Some("to read it from a file, write `key = \"${file:/etc/doorbell/key.pem}\"`".to_owned()),
            false => complaint.hint,
        };
        reader.note(Problem::error(field.place(), complaint.problem).maybe_hint(hint));
        None
    }

    /// An object of JSON, its strings templates over the names of claims.
    fn object(&self, name: &str, reader: &mut Reader<'_>) -> Option<JsonTemplate> {
        let field = self.section.field(name)?;
        if !field.value.get_ref().is_table() {
            reader.wrong_type(&field, "a table");
            return None;
        }
        let compiled = |field: &Field<'_>, written: &Written, reader: &mut Reader<'_>| {
            compile(field, written, CLAIM_NAMES, reader)
        };
        tree(&field, &mut String::new(), reader, &compiled)
    }

    pub(super) fn session(&self, reader: &mut Reader<'_>) -> Option<Grant> {
        let section = self.section;
        let endpoint = self.endpoint("url", reader);
        let method = section.field("method").map_or(Some(Method::POST), |field| method(&field, reader));
        let headers = self.headers(&[], reader);
        let body = section.field("body").map_or(Some(None), |field| self.body(&field, reader).map(Some));
        let (found, send) = (self.found(reader), self.send(reader));
        let ttl = section.field("ttl").map_or(Some(None), |field| reader.duration(&field, &TTL_BOUNDS).map(Some));
        let (token, send) = joined(found?, send?)?;
        let session = Session { method: method?, headers, body: body?, token, send, ttl: ttl? };
        self.grant(endpoint?, Kind::Session(session), reader)
    }

    fn body(&self, field: &Field<'_>, reader: &mut Reader<'_>) -> Option<BodySpec> {
        let compiled =
            |field: &Field<'_>, written: &Written, reader: &mut Reader<'_>| compile(field, written, &[], reader);
        match field.value.get_ref() {
            DeValue::Table(_) | DeValue::Array(_) => {
                tree(field, &mut String::new(), reader, &compiled).map(BodySpec::Json)
            }
            _ => {
                let written = reader.text(field)?;
                compile(field, &written, &[], reader).map(BodySpec::Text)
            }
        }
    }

    /// `token`: a JSONPath, `{ header = "…" }` or `{ cookie = "…" }`. `Some(None)`: nothing is said.
    fn found(&self, reader: &mut Reader<'_>) -> Option<Option<Found>> {
        let Some(field) = self.section.field("token") else { return Some(None) };
        if !field.value.get_ref().is_table() {
            return reader.query(&field).map(|path| Some(Found::Body(path)));
        }
        let (name, value) = one_key(&field, &["header", "cookie"], reader)?;
        match name {
            "header" => {
                let name = reader.text(&value)?;
                header_name(&name, &value.place(), &[], reader).map(|name| Some(Found::Header(name)))
            }
            _ => cookie(&value, reader).map(|name| Some(Found::Cookie(name))),
        }
    }

    /// `send`: `{ header = "…", value = "…" }`, `{ query = "…", value = "…" }` or `{ cookie = "…" }`. `Some(None)`:
    /// nothing is said.
    fn send(&self, reader: &mut Reader<'_>) -> Option<Option<Sent>> {
        let Some(field) = self.section.field("send") else { return Some(None) };
        if field.value.get_ref().as_str() == Some("cookie") {
            return Some(Some(Sent::Cookies));
        }
        let (name, at) = one_key(&field, &["header", "query", "cookie"], reader)?;
        let section = reader.open_table(&field, Table::Auth)?;
        let value = match section.field("value") {
            Some(field) if name == "cookie" => {
                let problem = Problem::error(field.place(), "a cookie's `value` is the token as it is");
                reader.note(problem.hint("take it out"));
                return None;
            }
            Some(field) => self.carries(&field, "token", SEND_NAMES, reader),
            None => fixed(WHOLE),
        };
        match name {
            "header" => {
                let name = reader.text(&at)?;
                let name = header_name(&name, &at.place(), RESERVED, reader)?;
                Some(Some(Sent::As(Send::Header(name, value?))))
            }
            "query" => Some(Some(Sent::As(Send::Query(plain(&at, reader)?, value?)))),
            _ => cookie(&at, reader).map(|name| Some(Sent::Cookie(name))),
        }
    }

    /// A URL that is asked for a token: whole, or joined to the `base_url`.
    fn endpoint(&self, name: &str, reader: &mut Reader<'_>) -> Option<Url> {
        let field = self.section.field(name)?;
        let own = some(&field, reader)?;
        if own.spelled().contains("{{") {
            let problem = Problem::error(field.place(), format!("`{name}` takes no template"));
            reader.note(problem.hint("write it out: all jobs share what it gives"));
            return None;
        }
        let whole = match self.around.base {
            Some(base) if !own.resolved().contains("://") => base.join(&own),
            _ => own,
        };
        let url = check_url(&field, &whole, reader)?;
        if url.scheme() == "http" && is_public(&url) {
            let problem = "the credentials go to this endpoint unencrypted: anyone on the way can read them";
            reader.note(Problem::warning(field.place(), problem).hint("use `https://`"));
        }
        Some(url)
    }

    fn optional_secret(&self, name: &str, reader: &mut Reader<'_>) -> Option<Option<Secret>> {
        if !self.section.has(name) {
            return Some(None);
        }
        self.secret(name, reader).map(Some)
    }

    /// A grant, with an id of all that is written of it. Two tables that say the same share one token.
    fn grant(&self, endpoint: Url, kind: Kind, reader: &mut Reader<'_>) -> Option<Grant> {
        let mut whole = endpoint.to_string();
        for (_, field) in self.section.entries() {
            spell(&field, &mut whole, reader)?;
        }
        Some(Grant { id: Digest::of(whole.as_bytes()), endpoint, kind })
    }
}

/// Where a session's token goes, before it is known where it comes from.
enum Sent {
    As(Send),
    Cookie(String),
    Cookies,
}

/// Where the token comes from and where it goes: what is not said follows from what is.
fn joined(found: Option<Found>, sent: Option<Sent>) -> Option<(Found, Send)> {
    let cookie = |name: &str| {
        let text = Text::compile(&[Part::Plain(format!("{name}={WHOLE}"))], SEND_NAMES).ok()?;
        Some(Send::Header(header::COOKIE, text))
    };
    Some(match (found, sent) {
        (None, None | Some(Sent::Cookies)) => (Found::Cookies, Send::Cookies),
        (None, Some(Sent::Cookie(name))) => (Found::Cookie(name), Send::Cookies),
        (None, Some(Sent::As(send))) => (Found::Body(JsonPath::parse(TOKEN).ok()?), send),
        (Some(Found::Cookie(name)), None | Some(Sent::Cookies)) => (Found::Cookie(name), Send::Cookies),
        (Some(found), None | Some(Sent::Cookies)) => (found, Send::Header(header::AUTHORIZATION, fixed(BEARER)?)),
        (Some(found), Some(Sent::Cookie(name))) => (found, cookie(&name)?),
        (Some(found), Some(Sent::As(send))) => (found, send),
    })
}

fn fixed(text: &str) -> Option<Text> {
    Text::compile(&[Part::Plain(text.to_owned())], SEND_NAMES).ok()
}

/// The one key of a table that is among `names`; `value` may stand beside it.
fn one_key<'a, 'n>(field: &Field<'a>, names: &[&'n str], reader: &mut Reader<'_>) -> Option<(&'n str, Field<'a>)> {
    let section = reader.open_table(field, Table::Auth)?;
    let hint = match names.contains(&"query") {
        true => {
            "write it as in `send = { header = \"X-Session\", value = \"{{ token }}\" }`, or with `query` or `cookie`"
        }
        false => "write a JSONPath, `{ header = \"X-Session\" }` or `{ cookie = \"session\" }`",
    };
    let mut found = names.iter().filter_map(|name| Some((*name, section.field(name)?)));
    let (first, second) = (found.next(), found.next());
    let stray = section
        .entries()
        .find(|(_, field)| !(names.contains(&field.name) || field.name == "value" && names.contains(&"query")));
    let problem = match (stray, &first, second) {
        (Some((place, stray)), ..) => {
            Problem::error(place, format!("unknown key `{}` in `{}`", stray.name, field.name))
        }
        (None, None, _) => Problem::error(field.place(), format!("`{}` does not say what it is", field.name)),
        (None, Some(_), Some(_)) => Problem::error(field.place(), format!("`{}` says two things", field.name)),
        (None, Some(_), None) => return first,
    };
    reader.note(problem.hint(hint));
    None
}

/// A cookie's name (RFC 6265, section 4.1.1).
fn cookie(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<String> {
    let written = some(field, reader)?;
    check_header_value(field, &written, reader);
    let name = written.resolved();
    if name.contains(['=', ';', ',', ' ', '"']) {
        let problem = Problem::error(field.place(), format!("`{}` is not the name of a cookie", written.spelled()));
        reader.note(problem.hint("write its name alone, as in `{ cookie = \"session\" }`"));
        return None;
    }
    Some(name)
}

/// Appends a value with its references resolved, so that no two different ones come out as the same text.
fn spell(field: &Field<'_>, into: &mut String, reader: &mut Reader<'_>) -> Option<()> {
    into.push_str(&format!("{:?}:", field.name));
    match field.value.get_ref() {
        DeValue::String(_) => into.push_str(&format!("{:?}", reader.text(field)?.resolved())),
        DeValue::Table(_) => {
            into.push('{');
            for (_, field) in reader.open_table(field, Table::Auth)?.entries() {
                spell(&field, into, reader)?;
            }
            into.push('}');
        }
        DeValue::Array(_) => {
            into.push('[');
            for field in reader.list(field)? {
                spell(&field, into, reader)?;
            }
            into.push(']');
        }
        DeValue::Integer(number) => into.push_str(number.as_str()),
        DeValue::Float(number) => into.push_str(number.as_str()),
        DeValue::Boolean(flag) => into.push_str(&flag.to_string()),
        DeValue::Datetime(date) => into.push_str(&date.to_string()),
    }
    into.push(',');
    Some(())
}
