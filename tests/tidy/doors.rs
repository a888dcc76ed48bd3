//! The import table: which room may use which, and how a path in the code is read as a door.
//!
//! It reads `crate::` paths, groups and renames among them, `super::` chains that leave a room, and the library's own
//! name. It does not follow re-exports: a room that hands out another's types has used the door itself.

use super::source::Source;

/// The rooms, and the rooms that each may use beside itself.
const DOORS: [(&str, &[&str]); 12] = [
    ("core", &[]),
    ("config", &["core"]),
    ("net", &["core"]),
    ("store", &["core"]),
    ("source", &["core", "net"]),
    ("sink", &["core", "net"]),
    ("engine", &["core", "store", "source", "sink"]),
    ("admin", &["core", "store"]),
    ("telemetry", &["core"]),
    ("systemd", &["core"]),
    ("lib", &[]),
    ("main", &["cli"]),
];

/// The room that may use every other: the composition root is in it.
const EVERYTHING: &str = "cli";

/// The rooms that name a concrete store.
const MAY_NAME_A_STORE: [&str; 2] = ["store", EVERYTHING];

/// Tests may use more: a real store is better than a fake.
const MAY_NAME_A_STORE_IN_TESTS: [&str; 4] = ["store", EVERYTHING, "engine", "admin"];

/// Every path of a file that goes through a door that is not there.
pub(crate) fn closed(source: &Source) -> Vec<String> {
    let room = room_of(&source.name);
    let in_product: Vec<_> = paths(&source.product, &source.name).collect();
    let judged = paths(&source.code, &source.name).filter_map(|(line, path)| {
        let is_product = in_product.contains(&(line, path.clone()));
        why_not(&room, &path, is_product).map(|fix| format!("{}:{line}: `{path}`: {fix}", source.name))
    });
    judged.collect()
}

/// The room of a file: its folder under `src/`, or its own name.
fn room_of(name: &str) -> String {
    let inner = name.strip_prefix("src/").unwrap_or(name);
    inner.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned()
}

/// Why a room may not use a path, and what to do instead.
fn why_not(room: &str, path: &str, is_product: bool) -> Option<String> {
    let mut parts = path.split("::");
    let (to, next) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_room = DOORS.iter().any(|(name, _)| *name == to) || to == EVERYTHING;
    if !is_room {
        return (room != "lib").then(|| format!("write it as `crate::room::…`; there is no room `{to}`"));
    }
    let may_name = if is_product { &MAY_NAME_A_STORE[..] } else { &MAY_NAME_A_STORE_IN_TESTS[..] };
    if to == "store" && matches!(next, "sqlite" | "postgres") && !may_name.contains(&room) {
        return Some("only cli/run.rs names a concrete store: take it as `dyn Store`".to_owned());
    }
    if room == to || room == EVERYTHING {
        return None;
    }
    let Some((_, doors)) = DOORS.iter().find(|(name, _)| *name == room) else {
        return Some(format!("`{room}` is not a room: give it a row in the table of doors in tests/tidy/doors.rs"));
    };
    (!doors.contains(&to)).then(|| {
        let open = if doors.is_empty() { "nothing".to_owned() } else { doors.join(", ") };
        format!("{room} may use {open}, not {to}: move what is shared to core/, or let it be handed in by cli/run.rs")
    })
}

/// Every path from the root of the crate, with its line, without `crate::`.
fn paths<'a>(code: &'a str, name: &'a str) -> impl Iterator<Item = (usize, String)> + 'a {
    let rooted = ["crate::", "doorbell::"].into_iter().flat_map(move |root| {
        let starts = code.match_indices(root).filter(move |(at, _)| begins(code, *at));
        starts.flat_map(move |(at, _)| expand(code, at, at + root.len(), ""))
    });
    rooted.chain(leaving(code, name))
}

/// Is this the beginning of a path, not the middle of a longer word or path?
fn begins(code: &str, at: usize) -> bool {
    !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '$')
}

/// The paths that begin at `from`: one, or one for each member of a group.
fn expand(code: &str, start: usize, from: usize, prefix: &str) -> Vec<(usize, String)> {
    let rest = &code[from..];
    let plain = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
    let path = format!("{prefix}{}", &rest[..plain]);
    if !rest[plain..].starts_with('{') || !path.is_empty() && !path.ends_with("::") {
        let line = code[..start].matches('\n').count() + 1;
        return vec![(line, path.trim_end_matches(':').to_owned())];
    }
    let group = from + plain + 1;
    let members = members(&code[group..]);
    members.iter().flat_map(|at| expand(code, start, group + at, &path)).collect()
}

/// Where the members of a group begin, after its opening brace.
fn members(rest: &str) -> Vec<usize> {
    let (mut depth, mut wanted, mut found) = (0_usize, true, Vec::new());
    for (at, c) in rest.char_indices() {
        match c {
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => wanted = true,
            c if c.is_whitespace() => {}
            c => {
                if wanted {
                    found.push(at);
                    wanted = false;
                }
                depth += usize::from(c == '{');
            }
        }
    }
    found
}

/// Chains of `super::` that climb out of the file's own room.
fn leaving<'a>(code: &'a str, name: &'a str) -> impl Iterator<Item = (usize, String)> + 'a {
    let inner = name.strip_prefix("src/").unwrap_or(name).trim_end_matches("/mod.rs").trim_end_matches(".rs");
    let depth = inner.split('/').count();
    code.match_indices("super::").filter(|(at, _)| begins(code, *at)).filter_map(move |(at, _)| {
        let rest = code[at..].trim_start_matches("super::");
        let supers = (code[at..].len() - rest.len()) / "super::".len();
        let climbed = supers.saturating_sub(modules_around(&code[..at]));
        let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':')).unwrap_or(rest.len());
        (climbed >= depth).then(|| (code[..at].matches('\n').count() + 1, rest[..end].to_owned()))
    })
}

/// How many inline modules are open at the end of this code.
fn modules_around(before: &str) -> usize {
    let mut open = Vec::new();
    for (at, c) in before.char_indices() {
        match c {
            '{' => open.push(is_module(&before[..at])),
            '}' => drop(open.pop()),
            _ => {}
        }
    }
    open.iter().filter(|module| **module).count()
}

/// Does this code end in `mod NAME`?
fn is_module(before: &str) -> bool {
    let mut words = before.split_whitespace().rev();
    words.next();
    words.next() == Some("mod")
}

#[cfg(test)]
fn findings(name: &str, text: &str) -> Vec<String> {
    closed(&Source::of(name.to_owned(), text.to_owned()))
}

#[test]
fn a_door_that_is_not_there_is_found_however_it_is_written() {
    let wrong = [
        ("src/core/x.rs", "use crate::store::Store;"),
        ("src/core/x.rs", "use crate::{core::a, net::b};"),
        ("src/core/x.rs", "use crate::{\n    core::{a, b},\n    config::{c},\n};"),
        ("src/core/x.rs", "fn f() -> crate::net::Client { g() }"),
        ("src/core/x.rs", "use super::super::store::Store;"),
        ("src/core/mod.rs", "use super::store::Store;"),
        ("src/admin/api.rs", "use crate::engine::Engine;"),
        ("src/engine/poller.rs", "use crate::store::{Store, sqlite::Sqlite};"),
        ("src/engine/poller.rs", "use crate::config::Problem;"),
        ("src/sink/mod.rs", "use crate::source::Fetcher;"),
        ("src/main.rs", "fn main() { doorbell::engine::run(); }"),
        ("src/attic/mod.rs", "use crate::core::job::Job;"),
        ("src/core/x.rs", "use crate::Helper;"),
    ];
    for (name, text) in wrong {
        assert_eq!(findings(name, text).len(), 1, "{name}: {text}: {:?}", findings(name, text));
    }
}

#[test]
fn an_open_door_is_no_finding() {
    let right = [
        ("src/core/x.rs", "use crate::core::{a, b::{c, d}}; use super::e; // crate::store"),
        ("src/core/x/y.rs", "use super::super::z;"),
        ("src/core/x.rs", "mod tests { use super::super::z; use super::*; }"),
        ("src/engine/poller.rs", "use crate::{core::job, store::Store, source::Fetcher, sink::Sender};"),
        ("src/engine/x.rs", "#[cfg(test)]\nmod tests { use crate::store::sqlite::Sqlite; }"),
        ("src/cli/run.rs", "use crate::store::sqlite::Sqlite; use crate::telemetry;"),
        ("src/store/sqlite/writer.rs", "use crate::store::sqlite::file; pub(in crate::store) struct A;"),
        ("src/main.rs", "fn main() { doorbell::cli::main(); println!(\"crate::store\") }"),
        ("src/core/x.rs", "pub(crate) fn f() {}"),
    ];
    for (name, text) in right {
        assert_eq!(findings(name, text), Vec::<String>::new(), "{name}: {text}");
    }
}
