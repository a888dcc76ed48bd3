//! The house rules as a test: doors between rooms, stories, sizes, SQL, purity, tasks, keys of the config, links.
//!
//! It reads text and judges form only; whether the code is right is what every other test is for. Each finding says
//! what to do instead.

use std::fs;
use std::path::{Path, PathBuf};

#[path = "tidy/doors.rs"]
mod doors;
#[path = "tidy/source.rs"]
mod source;

use source::Source;

/// More lines than this, and a file is two files.
const MOST_LINES: usize = 500;

/// Who may spawn: an engine's tasks, and whoever is named here with the reason.
const MAY_SPAWN: [&str; 1] = ["src/engine/tasks.rs"];

/// What the core may not name: everything that does something or that is different each time.
const IMPURE: [&str; 14] = [
    "tokio",
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "ToSocketAddrs",
    "SystemTime",
    "Instant",
    "fastrand",
    "reqwest",
    "rusqlite",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file under a folder of the repository with this extension, sorted.
fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut folders = vec![root().join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for path in entries.map(|entry| entry.expect("a folder can be read").path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn sources(folder: &str) -> Vec<Source> {
    let mut sources: Vec<_> = files(folder, "rs").iter().map(|path| Source::read(root(), path)).collect();
    assert!(!sources.is_empty(), "no source under {folder}");
    let for_tests: Vec<_> = sources.iter().flat_map(Source::test_modules).collect();
    sources.iter_mut().filter(|source| source.is_within(&for_tests)).for_each(Source::is_only_for_tests);
    sources
}

/// Fails with every finding at once.
#[track_caller]
fn none(findings: &[String]) {
    assert!(findings.is_empty(), "\n\n{}\n", findings.join("\n"));
}

#[test]
fn rooms_use_only_their_doors() {
    let findings: Vec<_> = sources("src").iter().flat_map(doors::closed).collect();
    none(&findings);
}

#[test]
fn every_file_opens_with_its_story() {
    let files = ["src", "tests", "benches"].iter().flat_map(|folder| files(folder, "rs"));
    let findings: Vec<_> = files
        .map(|path| Source::read(root(), &path))
        .filter(|source| !source.text.starts_with("//! "))
        .map(|source| format!("{}: begin it with `//! `: what it is for, and one thing it does not do", source.name))
        .collect();
    none(&findings);
}

#[test]
fn no_file_is_too_long() {
    let files = ["src", "tests", "benches"].iter().flat_map(|folder| files(folder, "rs"));
    let findings: Vec<_> = files
        .map(|path| Source::read(root(), &path))
        .map(|source| (source.text.lines().count(), source.name))
        .filter(|(lines, _)| *lines > MOST_LINES)
        .map(|(lines, name)| {
            format!("{name}: {lines} lines; at most {MOST_LINES}: it is about two things, so split it")
        })
        .collect();
    none(&findings);
}

#[test]
fn sql_lives_in_the_store() {
    let mut findings = Vec::new();
    for source in sources("src").iter().filter(|source| !source.name.starts_with("src/store/")) {
        for (line, text) in source.strings.iter().filter(|(_, text)| is_sql(text)) {
            let place = format!("{}:{line}", source.name);
            findings.push(format!("{place}: SQL outside src/store/: make it a verb of the store: {text:?}"));
        }
    }
    none(&findings);
}

/// Does a string literal look like SQL? Keywords in capitals, as we write them.
fn is_sql(text: &str) -> bool {
    let pairs = [("SELECT ", " FROM "), ("UPDATE ", " SET "), ("INSERT ", "INTO "), ("DELETE ", "FROM ")];
    let words: String = text.split_whitespace().map(|word| format!("{word} ")).collect();
    let single = ["PRAGMA ", "CREATE TABLE ", "CREATE INDEX ", "BEGIN IMMEDIATE", "ALTER TABLE ", "DROP TABLE "];
    pairs.iter().any(|(one, two)| words.find(one).is_some_and(|at| words[at..].contains(two)))
        || single.iter().any(|keyword| words.contains(keyword))
        || text.ends_with(".sql")
}

#[test]
fn the_core_is_pure() {
    let mut findings = Vec::new();
    for source in sources("src/core") {
        for (line, word) in IMPURE.iter().flat_map(|word| source.lines_naming(word).map(move |line| (line, word))) {
            let hint = "the core asks nothing of the world: let it come in as an argument";
            findings.push(format!("{}:{line}: `{word}` in the core: {hint}", source.name));
        }
    }
    none(&findings);
}

#[test]
fn tasks_are_spawned_in_one_place() {
    let mut findings = Vec::new();
    for source in sources("src").iter().filter(|source| !MAY_SPAWN.contains(&source.name.as_str())) {
        for word in ["tokio::spawn", "task::spawn", "tokio::task::spawn", "JoinSet", "task::spawn_blocking"] {
            findings.extend(source.product_lines_naming(word).map(|line| {
                format!("{}:{line}: `{word}`: a task needs an owner: use crate::engine::tasks::Tasks", source.name)
            }));
        }
    }
    none(&findings);
}

#[test]
fn nothing_is_unsafe() {
    let mut findings = Vec::new();
    for source in ["src", "tests"].iter().flat_map(|folder| sources(folder)) {
        findings.extend(
            source.lines_naming("unsafe").map(|line| format!("{}:{line}: find a way without `unsafe`", source.name)),
        );
    }
    none(&findings);
}

#[test]
fn every_key_of_the_config_is_in_the_example() {
    let example = fs::read_to_string(root().join("config.example.toml")).expect("config.example.toml is there");
    let table = Source::read(root(), &root().join("src/config/keys.rs"));
    let findings: Vec<_> = keys(&table.text)
        .iter()
        .filter(|key| !shows(&example, &key.name))
        .map(|key| format!("config.example.toml: show `{}` of {}, with what it does", key.name, key.table))
        .collect();
    assert!(keys(&table.text).len() > 50, "the table of keys in src/config/keys.rs was not found");
    none(&findings);
}

/// A row of the table in `src/config/keys.rs`.
struct Key {
    table: String,
    name: String,
}

/// The rows `key(Table, "name", …)`.
fn keys(text: &str) -> Vec<Key> {
    let rows = text.split("key(").skip(1).filter_map(|row| {
        let mut parts = row.splitn(3, ',').map(str::trim);
        let (table, name) = (parts.next()?, parts.next()?);
        let name = name.strip_prefix('"')?.strip_suffix('"')?.to_owned();
        Some(Key { table: table.to_owned(), name })
    });
    rows.collect()
}

/// Does the example set this key, or open its table, be it in a comment?
fn shows(example: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    example.match_indices(name).any(|(at, _)| {
        let before = example[..at].chars().next_back();
        let after = example[at + name.len()..].trim_start();
        let whole = !before.is_some_and(is_word) && !example[at + name.len()..].starts_with(is_word);
        let header = before.is_some_and(|c| c == '[' || c == '.') && after.starts_with(['.', ']']);
        whole && (after.starts_with('=') || header)
    })
}

#[test]
fn nothing_names_a_path_of_one_machine() {
    // Put together here, so that this file does not name one itself.
    let homes = ["work", "root", "home"].map(|folder| format!("/{folder}/"));
    let mut findings = Vec::new();
    for path in tracked() {
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        for (number, line) in (1..).zip(text.lines()) {
            let named = homes.iter().any(|home| line.match_indices(home).any(|(at, _)| begins_a_path(&line[..at])));
            if named {
                findings.push(format!("{path}:{number}: a path of one machine: {}", line.trim()));
            }
        }
    }
    none(&findings);
}

/// Is what comes next a path from the root, and not the middle of another or of a URL?
fn begins_a_path(before: &str) -> bool {
    !before.ends_with(|c: char| c.is_ascii_alphanumeric() || "._-}~".contains(c))
}

/// Every file that git keeps; every file of ours where there is no git (a source archive).
fn tracked() -> Vec<String> {
    let output = std::process::Command::new("git").arg("ls-files").current_dir(root()).output();
    let listed = output.ok().filter(|output| output.status.success());
    let Some(output) = listed else {
        let endings = ["rs", "md", "toml", "py", "sql", "service"];
        let ours = ["src", "tests", "docs", "benches", "systemd"];
        let found = ours.iter().flat_map(|folder| endings.iter().flat_map(|ending| files(folder, ending)));
        return found.map(|path| path.display().to_string()).collect();
    };
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn links_in_the_docs_lead_somewhere() {
    let mut pages = files("docs", "md");
    pages.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|page| root().join(page)));
    let mut findings = Vec::new();
    for page in pages {
        let text = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        let folder = page.parent().expect("a file is in a folder");
        for target in links(&text).filter(|target| !folder.join(target).exists()) {
            findings.push(format!("{}: `{target}` is not there", page.display()));
        }
    }
    none(&findings);
}

/// The relative targets of `[text](target)`, without their anchors.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    targets
        .filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
        .filter_map(|target| target.split('#').next())
        .filter(|target| !target.is_empty())
}

#[test]
fn the_rules_find_what_they_look_for() {
    assert!(is_sql("SELECT a,\n       b\n  FROM t"));
    assert!(is_sql("PRAGMA user_version"));
    assert!(!is_sql("select the jobs from the list") && !is_sql("UPDATE of the state"));
    assert!(shows("# every = '1h'", "every") && shows("[job.orders]", "job") && !shows("everything = 1", "every"));
    assert!(!shows("a comment about every job", "every"));
    assert_eq!(links("[a](b.md#c) [d](https://e) [f](#g) [h](../i)").collect::<Vec<_>>(), ["b.md", "../i"]);
    assert!(begins_a_path("in ") && begins_a_path("") && !begins_a_path("/var") && !begins_a_path("example.org"));
    let rows = keys("key(Daemon, \"state\", \"x\"),\n key(Job, \"pages\", \"y\"),\nconst fn key(a: B)");
    assert_eq!(rows.iter().map(|key| key.name.as_str()).collect::<Vec<_>>(), ["state", "pages"]);
}

#[test]
fn seeds_of_failed_properties_are_committed_and_belong_to_a_test() {
    let ignored = fs::read_to_string(root().join(".gitignore")).expect("the list of what is not committed");
    let hides = |line: &&str| line.contains("regressions") || line.contains("seeds") || line.contains("*.txt");
    let mut findings: Vec<String> =
        ignored.lines().filter(hides).map(|line| format!(".gitignore: `{line}` hides seeds: take it out")).collect();
    for path in files("proptest-regressions", "txt") {
        let kept = path.strip_prefix(root().join("proptest-regressions")).expect("a file of the folder");
        let source = root().join("src").join(kept).with_extension("rs");
        let text = fs::read_to_string(&source).unwrap_or_default();
        if !text.contains("proptest!") {
            findings.push(format!("{}: there is no property in {}: move it along", path.display(), source.display()));
        }
    }
    for path in files("tests", "seeds") {
        if !path.with_extension("rs").exists() {
            findings.push(format!("{}: there is no such test: move it along", path.display()));
        }
    }
    none(&findings);
}
