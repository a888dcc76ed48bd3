//! Reads the config's files: the main one, and those that its `include` names.
//!
//! Parses no TOML and reads no secret.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use crate::config::keys::Table;
use crate::config::lookup::{FILE_MAX, Lookup};
use crate::config::problem::{Place, Problem};
use crate::config::reader::{Field, Reader, Section};
use crate::config::source::SourceFile;

/// Reads one file.
pub(crate) fn read(path: &Path, env: &dyn Lookup) -> Result<Arc<SourceFile>, Problem> {
    read_as(path, path.to_path_buf(), env)
}

fn read_as(path: &Path, name: PathBuf, env: &dyn Lookup) -> Result<Arc<SourceFile>, Problem> {
    let shown = name.display();
    let bytes = env.read(path, FILE_MAX).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Problem::nowhere(format!("the config `{shown}` does not exist"))
            .hint("name another one with `-c FILE`, or write one: `doorbell --help` shows how to begin"),
        _ => Problem::nowhere(format!("the config `{shown}` can't be read: {error}"))
            .hint("it must be a text file that the user doorbell runs as can read"),
    })?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Arc::new(SourceFile::new(path.to_path_buf(), text).shown_as(name))),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
            let file = Arc::new(SourceFile::new(path.to_path_buf(), text).shown_as(name));
            Err(Problem::error(Place { file, span: at..at + 3 }, "not TOML: this is not UTF-8 text")
                .hint("save the file as UTF-8"))
        }
    }
}

/// The files that the main one includes, each once, in the order of the list, those of a pattern by name.
pub(crate) fn included(
    main: &Arc<SourceFile>,
    tree: &DeTable<'_>,
    env: &dyn Lookup,
    reader: &mut Reader<'_>,
) -> Vec<Arc<SourceFile>> {
    let Some(daemon) = tree.get("daemon").and_then(|value| value.get_ref().as_table()) else { return Vec::new() };
    let section = Section { kind: Table::Daemon, title: "`[daemon]`".into(), file: main, header: 0..0, table: daemon };
    let Some(list) = section.field("include").and_then(|field| reader.list(&field)) else { return Vec::new() };
    let mut seen = HashSet::from([main.path().to_path_buf()]);
    let mut found = Vec::new();
    for field in list {
        let Some(pattern) = reader.text(&field) else { continue };
        for path in matching(main.path(), &pattern.resolved(), &field, env, reader) {
            // What a reference yields is not shown, not even as the name of a file.
            let shown = if pattern.hides() { beside(main.name(), &pattern.spelled()) } else { path.clone() };
            if seen.insert(path.clone()) {
                match read_included(&path, shown, &field, env) {
                    Ok(file) => found.push(file),
                    Err(problem) => reader.note(problem),
                }
            }
        }
    }
    found
}

fn beside(main: &Path, name: &str) -> PathBuf {
    main.parent().unwrap_or_else(|| Path::new("")).join(name)
}

fn read_included(path: &Path, shown: PathBuf, field: &Field<'_>, env: &dyn Lookup) -> Result<Arc<SourceFile>, Problem> {
    read_as(path, shown, env).map_err(|problem| match problem.place() {
        Some(_) => problem,
        None => Problem::error(
            field.place(),
            format!("`include`: {}", problem.message().replace("the config ", "the file ")),
        )
        .hint("a name is relative to the file it stands in; a pattern such as `conf.d/*.toml` may match nothing"),
    })
}

/// The files that a name or a pattern stands for.
fn matching(main: &Path, pattern: &str, field: &Field<'_>, env: &dyn Lookup, reader: &mut Reader<'_>) -> Vec<PathBuf> {
    let path = beside(main, pattern);
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        reader.note(
            Problem::error(field.place(), "`include` takes names of files")
                .hint("write `include = [\"conf.d/*.toml\"]`"),
        );
        return Vec::new();
    };
    if folder.to_string_lossy().contains('*') {
        reader.note(
            Problem::error(field.place(), "`*` may stand in the last part of an included name only")
                .hint("name each folder: `include = [\"a/*.toml\", \"b/*.toml\"]`"),
        );
        return Vec::new();
    }
    if !name.contains('*') {
        return vec![path];
    }
    match env.list(folder) {
        Ok(mut names) => {
            names.retain(|candidate| !candidate.starts_with('.') && glob(name, candidate));
            names.sort();
            names.iter().map(|name| folder.join(name)).collect()
        }
        Err(error) => {
            let message = format!("`include`: the folder of this pattern can't be read: {error}");
            reader.note(Problem::warning(field.place(), message).hint("make it, or take the pattern out"));
            Vec::new()
        }
    }
}

/// Does `name` match `pattern`, in which `*` stands for any text?
fn glob(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_text() {
        for (pattern, name, matches) in [
            ("*.toml", "a.toml", true),
            ("*.toml", ".toml", true),
            ("*.toml", "a.tom", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
            ("*", "", true),
            ("ab", "ab", true),
            ("ab", "abc", false),
        ] {
            assert_eq!(glob(pattern, name), matches, "{pattern} {name}");
        }
    }
}
