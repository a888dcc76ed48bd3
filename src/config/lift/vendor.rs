//! `[vendor.NAME]`, and the same keys in a job: how to talk to an API.
//!
//! A vendor and a job are two layers of the same settings; [`Layer::over`] lays one over the other. Nothing here joins
//! URLs.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use toml::de::DeValue;

use super::auth::{self, Around};
use super::request::{check_url, compile, compile_url};
use super::transport::{self, TlsLayer};
use super::{check_header_value, header_name};
use crate::config::keys::Table;
use crate::config::problem::Problem;
use crate::config::reader::{Field, Reader, Section};
use crate::config::written::Written;
use crate::core::address::Policy;
use crate::core::auth::Auth;
use crate::core::homes::{AllowedHost, Homes};
use crate::core::job::Access;
use crate::core::polite::{Courtesy, Signs, compile_sign};
use crate::core::proxy::Proxy;
use crate::core::template::{Condition, Part, Text};
use crate::core::transport::Transport;
use crate::core::units::parse_rate;

/// For a whole exchange, when nothing is said.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Bounds of every `timeout`.
pub(super) const TIMEOUT_BOUNDS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(3600);

/// The largest answer, when nothing is said, in bytes.
const MAX_BODY: u64 = 32 * 1024 * 1024;

/// Bounds of `max_body`, in bytes.
const MAX_BODY_BOUNDS: RangeInclusive<u64> = 1..=4 * 1024 * 1024 * 1024;

/// Quick retries inside one poll, when nothing is said.
const RETRIES: u32 = 2;

/// Bounds of `retries`: more belongs to the next poll.
const RETRIES_BOUNDS: RangeInclusive<u32> = 0..=10;

/// Bounds of `concurrency`: requests in flight to one vendor.
const CONCURRENCY_BOUNDS: RangeInclusive<u32> = 1..=1000;

/// Headers that a request has of its own.
pub(super) const RESERVED: &[(&str, &str)] = &[
    ("content-length", "it follows from the body"),
    ("transfer-encoding", "it follows from the body"),
    ("connection", "it belongs to the connection"),
    ("accept-encoding", "it says what can be decompressed"),
    ("if-none-match", "it comes from the last answer, unless `conditional = false`"),
    ("if-modified-since", "it comes from the last answer, unless `conditional = false`"),
];

/// One value of a query parameter: as it is written, and compiled.
#[derive(Clone)]
pub(super) struct QueryValue {
    pub(super) spelled: String,
    pub(super) text: Text,
}

/// The settings that one table makes.
#[derive(Clone, Default)]
pub(super) struct Layer {
    pub(super) base_url: Option<Written>,
    /// There is a `base_url`, perhaps a bad one, which then has been noted.
    pub(super) has_base_url: bool,
    pub(super) headers: BTreeMap<String, (HeaderName, Text)>,
    pub(super) query: BTreeMap<String, Vec<QueryValue>>,
    pub(super) auth: Option<Auth>,
    timeout: Option<Duration>,
    connect_timeout: Option<Duration>,
    max_body: Option<u64>,
    retries: Option<u32>,
    conditional: Option<bool>,
    pub(super) respect_cache: Option<bool>,
    limited_when: Option<Condition>,
    fail_when: Option<Condition>,
    /// Limits; a job's own stand beside its vendor's.
    pub(super) courtesy: Courtesy,
    tls: TlsLayer,
    /// `Some(None)`: none, said so.
    proxy: Option<Option<Arc<Proxy>>>,
    pub(super) allow_hosts: Option<Vec<AllowedHost>>,
}

impl Layer {
    /// That of a vendor that is not there: it may have had a `base_url`, so that nobody complains of its lack.
    pub(super) fn lost() -> Self {
        Self { has_base_url: true, ..Self::default() }
    }

    /// This layer over another one: tables merge by name, anything else replaces.
    pub(super) fn over(self, below: &Self) -> Self {
        let mut headers = below.headers.clone();
        headers.extend(self.headers);
        let mut query = below.query.clone();
        query.extend(self.query);
        let own_base_url = self.has_base_url;
        Self {
            base_url: if own_base_url { self.base_url } else { below.base_url.clone() },
            has_base_url: own_base_url || below.has_base_url,
            headers,
            query,
            auth: self.auth.or_else(|| below.auth.clone()),
            timeout: self.timeout.or(below.timeout),
            connect_timeout: self.connect_timeout.or(below.connect_timeout),
            max_body: self.max_body.or(below.max_body),
            retries: self.retries.or(below.retries),
            conditional: self.conditional.or(below.conditional),
            respect_cache: self.respect_cache.or(below.respect_cache),
            limited_when: self.limited_when.or_else(|| below.limited_when.clone()),
            fail_when: self.fail_when.or_else(|| below.fail_when.clone()),
            courtesy: self.courtesy,
            tls: self.tls.over(&below.tls),
            proxy: self.proxy.or_else(|| below.proxy.clone()),
            allow_hosts: self.allow_hosts.or_else(|| below.allow_hosts.clone()),
        }
    }

    /// The first place of these settings in which a template needs a name that is not one of `names`.
    pub(super) fn lacks(&self, names: &[&str]) -> Option<String> {
        let lacks = |text: &Text| {
            let source = Part::Plain(text.source().to_owned());
            !text.is_constant() && Text::compile(&[source], names).is_err()
        };
        let header = self.headers.iter().find(|(_, (_, text))| lacks(text)).map(|(name, _)| format!("headers.{name}"));
        let query = || self.query.iter().find(|(_, values)| values.iter().any(|value| lacks(&value.text)));
        let auth = || self.auth.iter().flat_map(Auth::texts).find(|(_, text)| lacks(text));
        let query = || query().map(|(name, _)| format!("query.{name}"));
        header.or_else(query).or_else(|| auth().map(|(name, _)| format!("auth.{name}")))
    }

    /// What answers are told by beside their status.
    pub(super) fn signs(&self) -> Signs {
        Signs { limited_when: self.limited_when.clone(), fail_when: self.fail_when.clone() }
    }

    /// How to connect, with the defaults where nothing is said, and with no home yet.
    pub(super) fn access(&self) -> Access {
        Access {
            timeout: self.timeout.unwrap_or(TIMEOUT),
            connect_timeout: self.connect_timeout,
            max_body: self.max_body.unwrap_or(MAX_BODY),
            retries: self.retries.unwrap_or(RETRIES),
            conditional: self.conditional.unwrap_or(true),
            transport: Transport { policy: Policy::Open, tls: self.tls.value(), proxy: self.proxy.clone().flatten() },
            homes: Homes::default(),
        }
    }
}

/// The settings of a vendor's table, or of a job's; `below` is the `base_url` of the job's vendor.
/// `names` are the top-level names that templates see.
pub(super) fn layer(section: &Section<'_>, names: &[&str], below: Option<&Written>, reader: &mut Reader<'_>) -> Layer {
    let base_url = section.field("base_url").and_then(|field| base_url(&field, names, reader));
    let headers = section.field("headers").map(|field| headers(&field, names, reader)).unwrap_or_default();
    let query = section.field("query").map(|field| query(&field, names, reader)).unwrap_or_default();
    let around = Around { names, base: base_url.as_ref().or(below) };
    let auth = section.field("auth").and_then(|field| {
        let auth = auth::auth(&field, around, reader)?;
        let has = |name: &HeaderName| headers.contains_key(name.as_str());
        auth::check_twice(&field, &auth, has, |name| query.contains_key(name), reader);
        Some(auth)
    });
    let timeout = |name: &str, reader: &mut Reader<'_>| {
        section.field(name).and_then(|field| reader.duration(&field, &TIMEOUT_BOUNDS))
    };
    Layer {
        base_url,
        has_base_url: section.has("base_url"),
        headers,
        query,
        auth,
        timeout: timeout("timeout", reader),
        connect_timeout: timeout("connect_timeout", reader),
        max_body: section.field("max_body").and_then(|field| reader.size(&field, &MAX_BODY_BOUNDS)),
        retries: section.field("retries").and_then(|field| reader.whole(&field, &RETRIES_BOUNDS)),
        conditional: section.field("conditional").and_then(|field| reader.boolean(&field)),
        respect_cache: section.field("respect_cache").and_then(|field| reader.boolean(&field)),
        limited_when: sign(section, "limited_when", reader),
        fail_when: sign(section, "fail_when", reader),
        courtesy: courtesy(section, reader),
        tls: transport::tls(section, reader),
        proxy: transport::proxy(section, reader),
        allow_hosts: section.field("allow_hosts").and_then(|field| allow_hosts(&field, reader)),
    }
}

/// A condition over an answer.
fn sign(section: &Section<'_>, name: &str, reader: &mut Reader<'_>) -> Option<Condition> {
    let field = section.field(name)?;
    reader.parsed(&field, compile_sign)
}

/// How the vendor is spared.
fn courtesy(section: &Section<'_>, reader: &mut Reader<'_>) -> Courtesy {
    let mut rate = |name: &str| section.field(name).and_then(|field| reader.parsed(&field, parse_rate));
    let (rate, budget) = (rate("rate"), rate("budget"));
    let concurrency = section.field("concurrency").and_then(|field| reader.whole(&field, &CONCURRENCY_BOUNDS));
    Courtesy { rate, budget, concurrency }
}

fn allow_hosts(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Vec<AllowedHost>> {
    let list = reader.list(field)?;
    Some(list.iter().filter_map(|field| reader.parsed(field, AllowedHost::parse)).collect())
}

fn base_url(field: &Field<'_>, names: &[&str], reader: &mut Reader<'_>) -> Option<Written> {
    let written = reader.text(field)?;
    compile_url(field, &written, names, reader)?;
    let url = check_url(field, &written, reader)?;
    if url.query().is_some() || url.fragment().is_some() {
        reader.note(
            Problem::error(field.place(), "`base_url` is a prefix: it can't have a `?` or `#`")
                .hint("put parameters in `query = { name = \"value\" }`"),
        );
        return None;
    }
    Some(written)
}

/// Request headers, by their names in lower case; `names` are what their templates see.
pub(super) fn headers(
    field: &Field<'_>,
    names: &[&str],
    reader: &mut Reader<'_>,
) -> BTreeMap<String, (HeaderName, Text)> {
    let Some(section) = reader.open_table(field, Table::Vendor) else { return BTreeMap::new() };
    let mut headers = BTreeMap::new();
    for (place, field) in section.entries() {
        let name = header_name(&Written::plain(field.name), &place, RESERVED, reader);
        let Some(written) = scalar(&field, reader) else { continue };
        check_header_value(&field, &written, reader);
        let text = compile(&field, &written, names, reader);
        if let (Some(name), Some(text)) = (name, text)
            && headers.insert(name.as_str().to_owned(), (name, text)).is_some()
        {
            let message = format!("the header `{}` is there twice", field.name);
            reader.note(Problem::error(place, message).hint("upper and lower case are the same: take one out"));
        }
    }
    headers
}

fn query(field: &Field<'_>, names: &[&str], reader: &mut Reader<'_>) -> BTreeMap<String, Vec<QueryValue>> {
    let Some(section) = reader.open_table(field, Table::Vendor) else { return BTreeMap::new() };
    let mut query = BTreeMap::new();
    for (_, field) in section.entries() {
        let mut values = Vec::new();
        for value in reader.one_or_list(&field) {
            let Some(written) = scalar(&value, reader) else { continue };
            let text = compile(&value, &written, names, reader);
            values.extend(text.map(|text| QueryValue { spelled: written.spelled(), text }));
        }
        query.insert(field.name.to_owned(), values);
    }
    query
}

/// Text, or a number or a boolean as text.
pub(super) fn scalar(field: &Field<'_>, reader: &mut Reader<'_>) -> Option<Written> {
    match field.value.get_ref() {
        DeValue::Integer(number) if number.radix() == 10 => {
            Some(Written::plain(number.as_str().trim_start_matches('+')))
        }
        DeValue::Float(number) => Some(Written::plain(number.as_str().trim_start_matches('+'))),
        DeValue::Boolean(flag) => Some(Written::plain(&flag.to_string())),
        _ => reader.text(field),
    }
}
