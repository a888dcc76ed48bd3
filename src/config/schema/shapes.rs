//! What may be written under each key, as far as an editor can know: its type, its words, its pattern, its bounds.
//!
//! Which keys there are stands in [`crate::config::keys`]; whether a value makes sense is for `lift` to say. What is
//! looser here than there is a word an editor does not complete; what is stricter would be a lie, so a test holds the
//! example and the recipes against it.

use crate::config::keys::Table;

/// A duration: `"1h30m"`.
const DURATION: &str = r"^([0-9]+(ms|s|m|h|d|w))+$|\$\{";

/// A rate: `"5/s"`, `"50000/mo"`.
const RATE: &str = r"^[0-9]+/(s|m|h|d|mo)$|\$\{";

/// A size: `"32 MiB"`.
const SIZE: &str = r"^[0-9]+ ?(B|KiB|MiB|GiB|kB|MB|GB)$|\$\{";

/// A share: `"20%"`.
const SHARE: &str = r"^[0-9]+(\.[0-9]+)?%$|\$\{";

/// A JSONPath.
const PATH: &str = r"^\$|\$\{";

/// What an editor can know of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Text of any kind.
    Text,
    /// Text that matches.
    Like(&'static str),
    /// One of some words.
    Word(&'static [&'static str]),
    /// A whole number within bounds.
    Whole(u64, u64),
    /// A number.
    Number,
    /// `true` or `false`.
    Flag,
    /// Any value.
    Any,
    /// Text, a number or `true`: what becomes text.
    Scalar,
    /// A list of at least so many.
    List(&'static Shape, usize),
    /// One, or a list of several.
    OneOrList(&'static Shape),
    /// One of several shapes.
    Either(&'static [Shape]),
    /// A table of the language.
    Table(Table),
    /// Tables of the language by names of the user's.
    Named(Table),
    /// A table of the user's names.
    Map(&'static Shape),
}

use Shape::{Any, Either, Flag, Like, List, Map, Named, Number, OneOrList, Scalar, Text, Whole, Word};

const CHANGES: Shape = Word(&["created", "updated", "deleted", "restored"]);
const FORMATS: Shape = Word(&["standard", "cloudevents", "cloudevents-binary", "data", "slack", "discord", "teams"]);
const SCHEMES: Shape = Word(&["standard", "standard-ed25519", "github", "stripe", "slack", "rfc9421"]);
const ALGORITHMS: Shape = Word(&["hmac-sha256", "hmac-sha1", "hmac-sha512", "sha256", "sha1", "sha512"]);
const METHODS: Shape =
    Word(&["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "REPORT", "PROPFIND", "SEARCH"]);
const AUTHS: Shape =
    Word(&["bearer", "basic", "api_key", "oauth2", "jwt_bearer", "session", "aws_sigv4", "digest", "hmac"]);
const MOST: u64 = u32::MAX as u64;

/// What may be written under a key; [`Shape::Any`] where an editor knows nothing.
pub(super) fn shape(table: Table, name: &str) -> Shape {
    match table {
        Table::Root => root(name),
        Table::Daemon => daemon(name),
        Table::Vendor => vendor(name),
        Table::Auth => auth(name),
        Table::Job => job(name),
        Table::Pages => pages(name),
        Table::Sink => sink(name),
        Table::SendTo => send_to(name),
        _ => small(table, name),
    }
}

fn root(name: &str) -> Shape {
    match name {
        "daemon" => Shape::Table(Table::Daemon),
        "vendor" => Named(Table::Vendor),
        "job" => Named(Table::Job),
        "sink" => Named(Table::Sink),
        "alerts" => Shape::Table(Table::Alerts),
        _ => Any,
    }
}

fn daemon(name: &str) -> Shape {
    match name {
        "include" => List(&Text, 0),
        "concurrency" => Whole(1, 1000),
        "retention" => Like(DURATION),
        "reload" => Word(&["signal", "watch"]),
        _ => Text,
    }
}

fn vendor(name: &str) -> Shape {
    match name {
        "headers" => Map(&Scalar),
        "query" => Map(&OneOrList(&Scalar)),
        "auth" => Shape::Table(Table::Auth),
        "timeout" | "connect_timeout" => Like(DURATION),
        "max_body" => Like(SIZE),
        "retries" => Whole(0, 10),
        "conditional" | "respect_cache" => Flag,
        "rate" | "budget" => Like(RATE),
        "concurrency" => Whole(1, 1000),
        "tls" => Shape::Table(Table::Tls),
        "allow_hosts" => List(&Text, 0),
        _ => Text,
    }
}

fn auth(name: &str) -> Shape {
    match name {
        "type" => AUTHS,
        "in" => Word(&["header", "query"]),
        "ttl" => Like(DURATION),
        "scope" => OneOrList(&Text),
        "grant" => Word(&["client_credentials", "refresh_token"]),
        "client_auth" => Word(&["basic", "body"]),
        "headers" | "params" => Map(&Scalar),
        "method" => METHODS,
        "encoding" => Word(&["hex", "base64"]),
        "algorithm" => Word(&[
            "RS256",
            "ES256",
            "HS256",
            "EdDSA",
            "hmac-sha256",
            "hmac-sha1",
            "hmac-sha512",
            "sha256",
            "sha1",
            "sha512",
        ]),
        "token" => Either(&[Text, Map(&Text)]),
        "send" => Either(&[Word(&["cookie"]), Map(&Text)]),
        "claims" => Map(&Any),
        "body" => Either(&[Text, Map(&Any), List(&Any, 0)]),
        _ => Text,
    }
}

fn job(name: &str) -> Shape {
    match name {
        "method" => METHODS,
        "format" => Word(&["auto", "json", "ndjson", "csv", "xml", "feed", "text"]),
        "every" => Either(&[Like(DURATION), Shape::Table(Table::Every)]),
        "items" => Like(PATH),
        "key" => OneOrList(&Like(PATH)),
        "list" => Word(&["complete", "window"]),
        "watch" | "ignore" | "unordered" => List(&Like(PATH), 0),
        "tolerance" => Map(&Either(&[Like(SHARE), Number])),
        "arrays" => Map(&OneOrList(&Like(PATH))),
        "settle" => Whole(1, 1000),
        "first" => Word(&["silent", "emit"]),
        "on" => List(&CHANGES, 1),
        "empty" | "enabled" => Flag,
        "deletes" => Shape::Table(Table::Deletes),
        "max_events" => Whole(1, MOST),
        "send_to" => List(&Either(&[Text, Shape::Table(Table::SendTo)]), 0),
        "pages" => Shape::Table(Table::Pages),
        "cursor" => Shape::Table(Table::Cursor),
        "detail" => Shape::Table(Table::Detail),
        "each" => Map(&Either(&[List(&Scalar, 1), Shape::Table(Table::Each)])),
        "body" => Either(&[Text, Map(&Any)]),
        "csv" => Shape::Table(Table::Csv),
        "array" => List(&Text, 0),
        _ => Text,
    }
}

fn pages(name: &str) -> Shape {
    match name {
        "style" => Word(&["link", "next_url", "token", "page", "offset", "last_key"]),
        "into" => Word(&["query", "header", "body"]),
        "start" => Whole(0, MOST),
        "size" | "max" => Whole(1, MOST),
        "more" | "total" => Like(PATH),
        "until" => Word(&["known"]),
        _ => Text,
    }
}

fn sink(name: &str) -> Shape {
    match name {
        "headers" => Map(&Text),
        "auth" => Shape::Table(Table::Auth),
        "secret" => OneOrList(&Text),
        "sign" => Either(&[SCHEMES, Shape::Table(Table::Sign)]),
        "timeout" | "max_age" => Like(DURATION),
        "retry" => List(&Like(DURATION), 0),
        "concurrency" => Whole(1, 1000),
        "rate" => Like(RATE),
        "order" => Word(&["key", "none", "job"]),
        "batch" => Shape::Table(Table::Batch),
        "private" | "handshake" => Flag,
        "allow_cidr" => List(&Text, 0),
        "max_backlog" => Whole(1, MOST),
        "at_limit" => Word(&["pause", "drop_oldest"]),
        "tls" => Shape::Table(Table::Tls),
        _ => send_to(name),
    }
}

fn send_to(name: &str) -> Shape {
    match name {
        "format" => FORMATS,
        "payload" => Map(&Any),
        "thin" => Flag,
        _ => Text,
    }
}

/// The tables of a few keys.
fn small(table: Table, name: &str) -> Shape {
    match (table, name) {
        (Table::Sign, "algorithm") => ALGORITHMS,
        (Table::Sign, "encoding") => Word(&["hex", "base64"]),
        (Table::Deletes, "after") => Whole(1, 1000),
        (Table::Deletes, "hold_above") => Like(SHARE),
        (Table::Every, _) | (Table::Batch, "wait") | (Table::Cursor, "full_every") => Like(DURATION),
        (Table::Batch, "max") => Whole(1, MOST),
        (Table::Cursor | Table::Each, "at") | (Table::Detail, "version") => Like(PATH),
        (Table::Cursor, "start" | "overlap") => Either(&[Text, Number]),
        (Table::Detail, "concurrency") => Whole(1, 100),
        (Table::Detail, "merge") => Flag,
        (Table::Csv, "delimiter") => Text,
        (Table::Csv, "header") => Flag,
        (Table::Alerts, "send_to") => List(&Text, 0),
        (Table::Alerts, "after") => Whole(1, 1000),
        (Table::Alerts, "remind") => Like(DURATION),
        (Table::Alerts, "stale") => Like(r"^[1-9][0-9]*x$|\$\{"),
        (
            Table::Sign | Table::Deletes | Table::Tls | Table::Detail | Table::Each | Table::Cursor,
            "header" | "message" | "value" | "confirm" | "ca" | "cert" | "key" | "url" | "job" | "from",
        ) => Text,
        _ => Any,
    }
}
