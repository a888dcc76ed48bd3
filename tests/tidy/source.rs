//! A source file as the rules read it: its code without comments and strings, and its strings apart.
//!
//! A small lexer, not a parser: it knows comments, strings, characters and lifetimes, and nothing of grammar.

use std::fs;
use std::path::Path;

/// A source file.
pub(crate) struct Source {
    /// Its path in the repository.
    pub(crate) name: String,
    /// Its text.
    pub(crate) text: String,
    /// Its text with comments and strings blanked, line for line.
    pub(crate) code: String,
    /// `code` with what is only compiled for tests blanked as well.
    pub(crate) product: String,
    /// The string literals with the lines they begin on.
    pub(crate) strings: Vec<(usize, String)>,
}

impl Source {
    pub(crate) fn read(root: &Path, path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.strip_prefix(root).unwrap_or(path).display().to_string();
        Self::of(name, text)
    }

    pub(crate) fn of(name: String, text: String) -> Self {
        let (code, strings) = lex(&text);
        let product = without_tests(&code);
        Self { name, text, code, product, strings }
    }

    /// The modules in other files that are only compiled for tests: their paths without `.rs`.
    pub(crate) fn test_modules(&self) -> Vec<String> {
        let folder = self.name.trim_end_matches("/mod.rs").trim_end_matches("/lib.rs").trim_end_matches(".rs");
        let items = self.code.split(MARK).skip(1).map(|from| &from[..end_of_item(from)]);
        let names = items.filter_map(|item| item.trim_end_matches(';').split_once("mod ")).map(|(_, name)| name);
        names.filter(|name| !name.contains('{')).map(|name| format!("{folder}/{}", name.trim())).collect()
    }

    /// Is it one of these modules, or inside one?
    pub(crate) fn is_within(&self, modules: &[String]) -> bool {
        let rests = modules.iter().filter_map(|module| self.name.strip_prefix(module.as_str()));
        rests.into_iter().any(|rest| rest == ".rs" || rest.starts_with('/'))
    }

    /// Nothing in it is product.
    pub(crate) fn is_only_for_tests(&mut self) {
        self.product = blank(&self.code);
    }

    /// The lines of the code that name this path or word as a whole.
    pub(crate) fn lines_naming<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        lines_naming(&self.code, word)
    }

    /// The same without what is only compiled for tests.
    pub(crate) fn product_lines_naming<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        lines_naming(&self.product, word)
    }
}

fn lines_naming<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = usize> + 'a {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(word).filter_map(move |(at, _)| {
        let before = code[..at].chars().next_back().is_some_and(part_of_word);
        let after = code[at + word.len()..].starts_with(part_of_word);
        (!before && !after).then(|| code[..at].matches('\n').count() + 1)
    })
}

/// Spaces instead of everything but line ends.
fn blank(text: &str) -> String {
    text.chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect()
}

/// What stands before an item that is only compiled for tests.
const MARK: &str = "#[cfg(test)]";

/// Blanks each `#[cfg(test)] mod … { … }`.
fn without_tests(code: &str) -> String {
    let mut rest = code;
    let mut kept = String::new();
    while let Some(at) = rest.find(MARK) {
        let (before, from) = rest.split_at(at);
        kept += before;
        let end = end_of_item(from);
        kept += &blank(&from[..end]);
        rest = &from[end..];
    }
    kept + rest
}

/// Where the item that begins here ends: at its closing brace, or at a semicolon before any brace.
fn end_of_item(code: &str) -> usize {
    let mut depth = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// The code with comments and strings blanked, and the strings with their lines.
fn lex(text: &str) -> (String, Vec<(usize, String)>) {
    let (mut code, mut strings) = (String::new(), Vec::new());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = token(rest, code.chars().next_back());
        let (token, after) = rest.split_at(length);
        if length == c.len_utf8() {
            code.push(c);
        } else {
            if !token.starts_with('/') && !token.starts_with('\'') {
                strings.push((code.matches('\n').count() + 1, inside(token).to_owned()));
            }
            code += &blank(token);
        }
        rest = after;
    }
    (code, strings)
}

/// The length of the comment, string or character that begins here; else that of one character.
fn token(rest: &str, before: Option<char>) -> usize {
    let one = rest.chars().next().map_or(0, char::len_utf8);
    if rest.starts_with("//") {
        return rest.find('\n').unwrap_or(rest.len());
    }
    if rest.starts_with("/*") {
        return rest.find("*/").map_or(rest.len(), |at| at + 2);
    }
    if rest.starts_with('\'') {
        return character(rest).unwrap_or(one);
    }
    if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
        return one;
    }
    let prefix = rest.len() - rest.trim_start_matches(['b', 'c']).len();
    let raw = rest[prefix..].strip_prefix('r').and_then(raw_string);
    match (raw, rest[prefix..].starts_with('"') && prefix < 2) {
        (Some(length), _) => prefix + 1 + length,
        (None, true) => prefix + plain_string(&rest[prefix..]),
        (None, false) => one,
    }
}

/// `'x'`, `'\n'`, `'\u{1}'`; not a lifetime.
fn character(rest: &str) -> Option<usize> {
    let inner = &rest[1..];
    if inner.starts_with('\\') {
        return inner[2..].find('\'').map(|at| at + 4);
    }
    let length = inner.chars().next()?.len_utf8();
    inner[length..].starts_with('\'').then_some(length + 2)
}

/// `#"…"#` after the `r`.
fn raw_string(rest: &str) -> Option<usize> {
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let end = format!("\"{}", "#".repeat(hashes));
    let body = rest[hashes..].strip_prefix('"')?;
    body.find(&end).map(|at| hashes + 1 + at + end.len())
}

fn plain_string(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// A literal without its quotes.
fn inside(token: &str) -> &str {
    let body = token.trim_start_matches(['b', 'c', 'r', '#']).trim_end_matches('#');
    body.trim_start_matches('"').strip_suffix('"').unwrap_or(body)
}

#[test]
fn strings_and_comments_are_told_from_code() {
    let text = "a(\"x // y\"); // \"c\"\nb(r#\"p\"q\"#, 'z', '\\'', &'static str) /* d */ e b\"f\"";
    let source = Source::of("src/x.rs".into(), text.to_owned());
    let strings: Vec<_> = source.strings.iter().map(|(line, text)| (*line, text.as_str())).collect();
    assert_eq!(strings, [(1, "x // y"), (2, "p\"q"), (2, "f")]);
    let words: Vec<_> = source.code.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    assert_eq!(words, ["a", "b", "static", "str", "e"]);
}

#[test]
fn what_is_for_tests_is_no_product() {
    let text = "use a;\n#[cfg(test)]\nmod tests { fn b() { c } }\nfn d() {}\n#[cfg(test)]\nmod e;\nuse f;";
    let source = Source::of("src/x.rs".into(), text.to_owned());
    assert_eq!(source.product.split_whitespace().collect::<String>(), "usea;fnd(){}usef;");
    assert_eq!(source.lines_naming("d").collect::<Vec<_>>(), [4]);
    assert_eq!(source.test_modules(), ["src/x/e"]);
    let in_file = |name: &str| Source::of(name.into(), String::new()).is_within(&source.test_modules());
    assert!(in_file("src/x/e.rs") && in_file("src/x/e/f.rs") && !in_file("src/x/ef.rs") && !in_file("src/e.rs"));
}
