//! What people type instead of a JSONPath, and what to tell them. The parser we use also takes some of it for a query
//! that finds nothing (`@.id in [1]` is a member named `id in`), so this comes first.
//!
//! It does not check the grammar; that is the parser's part.

use std::ops::Range;

use super::{Complaint, PATH_MAX};

/// A piece of a query.
#[derive(Clone, Debug, PartialEq)]
struct Piece<'a> {
    kind: Kind,
    text: &'a str,
    span: Range<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    /// Letters, digits, `_` and all beyond ASCII.
    Word,
    /// A string in quotes.
    Quoted,
    /// Any other single character but white space.
    Sign,
}

/// How deep functions may nest: the parser's time grows threefold with each level.
const FUNCTION_DEPTH_MAX: usize = 4;

/// Refuses what is not a query, where it can say something helpful.
pub(super) fn check(text: &str) -> Result<(), Complaint> {
    beginning(text)?;
    let pieces = pieces(text);
    if function_depth(&pieces) > FUNCTION_DEPTH_MAX {
        return Err(Complaint::new(format!("`{text}`: functions nest deeper than {FUNCTION_DEPTH_MAX}")));
    }
    for at in 0..pieces.len() {
        let before = at.checked_sub(1).map(|at| &pieces[at]);
        let complaint = sign(text, before, &pieces[at], pieces.get(at + 1))
            .or_else(|| before.and_then(|before| neighbours(text, before, &pieces[at])));
        if let Some(complaint) = complaint {
            return Err(complaint);
        }
    }
    Ok(())
}

/// Where the last segment of a valid query begins.
pub(super) fn last_segment(text: &str) -> usize {
    let (mut depth, mut start, mut dotted) = (0_usize, text.len(), false);
    for piece in pieces(text) {
        match piece.text {
            "." if depth == 0 => {
                start = if dotted { start } else { piece.span.start };
                dotted = true;
                continue;
            }
            "[" | "(" => {
                start = if depth == 0 && !dotted { piece.span.start } else { start };
                depth += 1;
            }
            "]" | ")" => depth = depth.saturating_sub(1),
            _ => {}
        }
        dotted = false;
    }
    start
}

/// How many functions are open at once, at most.
fn function_depth(pieces: &[Piece<'_>]) -> usize {
    let (mut open, mut depth, mut deepest) = (Vec::new(), 0, 0);
    let mut before = Kind::Sign;
    for piece in pieces {
        match piece.text {
            "(" => {
                open.push(before == Kind::Word);
                depth += usize::from(before == Kind::Word);
                deepest = deepest.max(depth);
            }
            ")" if open.pop() == Some(true) => depth -= 1,
            _ => {}
        }
        before = piece.kind;
    }
    deepest
}

fn beginning(text: &str) -> Result<(), Complaint> {
    if text.len() > PATH_MAX {
        return Err(Complaint::new(format!("a query of {} bytes is too long: at most {PATH_MAX}", text.len())));
    }
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Err(Complaint::new("an empty text is not a JSONPath").hint("`$` is the whole document"));
    }
    if trimmed.len() != text.len() {
        let complaint = Complaint::new(format!("`{text}` has white space around it"));
        return Err(complaint.hint(format!("`{trimmed}`")));
    }
    if text.starts_with('$') {
        return Ok(());
    }
    let query = match text.as_bytes()[0] {
        b'@' => format!("${}", &text[1..]),
        b'.' | b'[' => format!("${text}"),
        b'/' => format!("${}", text.replace('/', ".")),
        _ => format!("$.{text}"),
    };
    Err(Complaint::new(format!("`{text}` is not a JSONPath: it must begin with `$`")).hint(format!("`{query}`")))
}

/// What a sign, with what stands beside it, shows to be wrong.
fn sign(text: &str, before: Option<&Piece<'_>>, piece: &Piece<'_>, after: Option<&Piece<'_>>) -> Option<Complaint> {
    let joined = |other: Option<&Piece<'_>>, signs: &str| {
        other.is_some_and(|other| other.span.start == piece.span.end && signs.contains(other.text))
    };
    let is = |other: Option<&Piece<'_>>, signs: &[&str]| other.is_some_and(|other| signs.contains(&other.text));
    let complaint = match piece.text {
        "~" => Complaint::new(format!("`{text}`: `~` is not an operator")).hint("`match(@.name, 'a.*')`"),
        "=" if joined(after, "~") => {
            Complaint::new(format!("`{text}`: `=~` is not an operator")).hint("`match(@.name, 'a.*')`")
        }
        "=" if !joined(after, "=") && !is(before, &["=", "!", "<", ">"]) => {
            Complaint::new(format!("`{text}`: `=` is not an operator")).hint("`==` compares")
        }
        "=" if joined(after, "=") && is(before, &["=", "!"]) => {
            let right = if is(before, &["!"]) { "!=" } else { "==" };
            Complaint::new(format!("`{text}`: there is no operator of three characters")).hint(format!("`{right}`"))
        }
        "&" if !joined(after, "&") && !is(before, &["&"]) => {
            Complaint::new(format!("`{text}`: `&` is not an operator")).hint("`&&`")
        }
        "|" if !joined(after, "|") && !is(before, &["|"]) => {
            Complaint::new(format!("`{text}`: `|` is not an operator")).hint("`||`")
        }
        _ => return None,
    };
    Some(complaint.at(piece.span.clone()))
}

/// What two pieces in a row show to be wrong.
fn neighbours(text: &str, a: &Piece<'_>, b: &Piece<'_>) -> Option<Complaint> {
    let apart = a.span.end < b.span.start;
    let span = a.span.start..b.span.end;
    let signed = |piece: &Piece<'_>| matches!(piece.text, "+" | "-");
    let digits = |piece: &Piece<'_>| piece.kind == Kind::Word && piece.text.bytes().all(|byte| byte.is_ascii_digit());
    let complaint = match (a.kind, b.kind) {
        (Kind::Word | Kind::Quoted, Kind::Word) if apart => words(text, b),
        (Kind::Word, Kind::Quoted) if apart => words(text, a),
        (Kind::Word, Kind::Sign) if b.text == "(" && before(text, a) == Some('.') => {
            Complaint::new(format!("`{text}`: a path points at places and can't call `{}()` on them", a.text))
                .hint("functions stand in filters: `$.orders[?length(@.lines) > 0]`")
        }
        (Kind::Word, Kind::Sign) if b.text == "-" && !apart && !digits(a) && !is_exponent(text, a) => hyphen(text, a),
        (_, Kind::Sign) if apart && signed(b) && a.kind == Kind::Word => misplaced(text),
        (Kind::Sign, _) if apart && (signed(a) || a.text == ".") => misplaced(text),
        (Kind::Sign, Kind::Word) if a.text == "." && digits(b) && b.text.len() > 15 => {
            Complaint::new(format!("`{text}`: a fraction of more than 15 digits can't be compared exactly here"))
        }
        (Kind::Sign, Kind::Word) if a.text == "." && b.text.as_bytes()[0].is_ascii_digit() => {
            let number = before(text, a).is_some_and(|letter| letter.is_ascii_digit());
            return (!number).then(|| quoted_name(text, b).at(span));
        }
        _ => return None,
    };
    Some(complaint.at(span))
}

fn misplaced(text: &str) -> Complaint {
    Complaint::new(format!("`{text}` has white space where none may be"))
}

/// Two words in a row: one of them is an operator of another language, or a name needs quotes.
fn words(text: &str, word: &Piece<'_>) -> Complaint {
    let hint = match word.text {
        "in" | "nin" => "`@.id == 1 || @.id == 2`",
        "and" | "or" | "not" => "the operators are `&&`, `||` and `!`",
        "contains" | "like" | "matches" => "`search(@.name, 'part')` or `match(@.name, 'whole.*')`",
        _ => "a name with a space in it stands in quotes: `$['first name']`",
    };
    Complaint::new(format!("`{text}`: `{}` can't stand there", word.text)).hint(hint)
}

/// `$.first-name`
fn hyphen(text: &str, word: &Piece<'_>) -> Complaint {
    let rest = &text[word.span.start..];
    let end = rest.find(['.', '[', ']', '(', ')', ' ', ',']).unwrap_or(rest.len());
    let name = &rest[..end];
    Complaint::new(format!("`{text}`: a name with a hyphen stands in quotes")).hint(format!(
        "`{}['{name}']{}`",
        text[..word.span.start].strip_suffix('.').unwrap_or(&text[..word.span.start]),
        &rest[end..]
    ))
}

fn quoted_name(text: &str, word: &Piece<'_>) -> Complaint {
    Complaint::new(format!("`{text}`: a name that begins with a digit stands in quotes")).hint(format!(
        "`{}['{}']{}`, or `[{}]` for an element of an array",
        &text[..word.span.start - 1],
        word.text,
        &text[word.span.end..],
        word.text
    ))
}

/// Is this word a number up to its exponent's sign, as in `1e-5`?
fn is_exponent(text: &str, word: &Piece<'_>) -> bool {
    let numeric = word.text.strip_suffix(['e', 'E']).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
    numeric && text.as_bytes().get(word.span.end + 1).is_some_and(u8::is_ascii_digit)
}

fn before(text: &str, piece: &Piece<'_>) -> Option<char> {
    text[..piece.span.start].chars().next_back()
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_' || !letter.is_ascii();
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let (kind, length) = match letter {
            letter if letter.is_ascii_whitespace() => {
                rest = &rest[1..];
                continue;
            }
            '\'' | '"' => (Kind::Quoted, quoted_len(rest, letter)),
            letter if is_word(letter) => (Kind::Word, rest.find(|letter| !is_word(letter)).unwrap_or(rest.len())),
            letter => (Kind::Sign, letter.len_utf8()),
        };
        let start = text.len() - rest.len();
        pieces.push(Piece { kind, text: &rest[..length], span: start..start + length });
        rest = &rest[length..];
    }
    pieces
}

/// How long the string is that begins here, its quotes included.
fn quoted_len(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, letter) in text.char_indices().skip(1) {
        match letter {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            letter if letter == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}
