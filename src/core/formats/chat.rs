//! A change as a person reads it in a chat: a headline, what changed from what to what, and where it came from.
//!
//! It knows no markup: how a text is written for a receiver, and how much of it fits, is in that receiver's file.

use crate::core::diff::{Change, PatchOp, apply};
use crate::core::formats::Telling;
use crate::core::json::{Json, pointer_tokens};
use crate::core::time::Timestamp;

/// Lines of a message; what is beyond is counted.
const LINES_MAX: usize = 20;

/// Characters of a value.
const VALUE_MAX: usize = 150;

/// Characters of the place of a value.
const PLACE_MAX: usize = 80;

/// Characters of a key, a scope and a type.
const NAME_MAX: usize = 100;

/// Characters that two long values keep in common before they differ.
const COMMON: usize = 20;

/// What a message says. Every text is one line without control characters, and short; none is escaped.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) job: String,
    /// The values of the scope.
    pub(super) scope: Option<String>,
    /// The item's key; none for a job whose document is its one item.
    pub(super) key: Option<String>,
    pub(super) change: Change,
    pub(super) lines: Vec<Line>,
    /// Lines that are beyond [`LINES_MAX`].
    pub(super) more: usize,
    pub(super) kind: String,
    pub(super) at: Timestamp,
    pub(super) sequence: u64,
}

/// One place in the item.
#[derive(Debug, PartialEq)]
pub(super) struct Line {
    pub(super) place: String,
    pub(super) what: What,
}

/// What there is to say of a place.
#[derive(Debug, PartialEq)]
pub(super) enum What {
    /// It holds, or held, this.
    Holds(String),
    /// It held the one and now holds the other.
    Turned(String, String),
    /// It is new.
    Added(String),
    /// It is gone.
    Removed(String),
    /// It changed: more is not to be said.
    Changed,
}

/// How a receiver wants its texts.
pub(super) trait Voice {
    /// Text that is no markup.
    fn plain(&self, text: &str) -> String;
    /// The same, and it stands out.
    fn strong(&self, text: &str) -> String;
    /// A value, which may hold anything.
    fn value(&self, text: &str) -> String;
}

impl Message {
    pub(super) fn of(telling: &Telling<'_>, thin: bool) -> Self {
        let envelope = telling.envelope;
        let (lines, more) = if thin { places(telling) } else { lines(telling) };
        Self {
            job: envelope.job.to_string(),
            scope: scope(envelope.scope.as_str()),
            key: Some(envelope.key.as_str()).filter(|key| !key.is_empty()).map(|key| cut(key, NAME_MAX)),
            change: envelope.change,
            lines,
            more,
            kind: cut(envelope.kind, NAME_MAX),
            at: envelope.at,
            sequence: envelope.sequence,
        }
    }

    /// `orders 12345 updated`.
    pub(super) fn headline(&self, voice: &dyn Voice) -> String {
        let mut text = voice.strong(&self.job);
        if let Some(scope) = &self.scope {
            text.push_str(&voice.plain(&format!(" ({scope})")));
        }
        if let Some(key) = &self.key {
            text.push(' ');
            text.push_str(&voice.value(key));
        }
        text.push(' ');
        text.push_str(self.change.as_str());
        text
    }

    /// `orders.updated · event 42`.
    pub(super) fn origin(&self) -> String {
        format!("{} · event {}", self.kind, self.sequence)
    }

    /// As many lines as fit, each weighed with what separates it from the next, and what is left out. The first is
    /// always there.
    pub(super) fn fitting<T>(
        &self,
        max: usize,
        write: impl Fn(&Line) -> T,
        weigh: impl Fn(&T) -> usize,
    ) -> (Vec<T>, Option<String>) {
        let mut written = Vec::new();
        let mut weight = 0;
        for line in &self.lines {
            let next = write(line);
            weight += weigh(&next);
            if weight > max && !written.is_empty() {
                break;
            }
            written.push(next);
        }
        let left = self.more + self.lines.len() - written.len();
        (written, (left > 0).then(|| format!("… and {left} more")))
    }
}

impl Line {
    /// `Packed → Shipped`.
    pub(super) fn what(&self, voice: &dyn Voice) -> String {
        match &self.what {
            What::Holds(value) => voice.value(value),
            What::Turned(old, new) => format!("{} → {}", voice.value(old), voice.value(new)),
            What::Added(value) => format!("added {}", voice.value(value)),
            What::Removed(value) => format!("removed {}", voice.value(value)),
            What::Changed => "changed".to_owned(),
        }
    }

    /// `status: Packed → Shipped`.
    pub(super) fn text(&self, voice: &dyn Voice) -> String {
        format!("{}: {}", voice.strong(&self.place), self.what(voice))
    }
}

/// UTF-16 code units: no receiver counts a text as longer than that.
pub(super) fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

fn lines(telling: &Telling<'_>) -> (Vec<Line>, usize) {
    match (telling.envelope.change, telling.before, telling.after) {
        (Change::Updated | Change::Restored, Some(before), _) => steps(before, &telling.envelope.difference.patch),
        (Change::Deleted, Some(item), _) | (_, _, Some(item)) => members(item),
        _ => (Vec::new(), 0),
    }
}

/// The item itself, member by member.
fn members(item: &Json) -> (Vec<Line>, usize) {
    let holds = |place: &str, value: &Json| Line { place: cut(place, PLACE_MAX), what: What::Holds(short(value)) };
    match item {
        Json::Object(members) if !members.is_empty() => {
            let lines = members.iter().take(LINES_MAX).map(|(name, value)| holds(name, value));
            (lines.collect(), members.len().saturating_sub(LINES_MAX))
        }
        other => (vec![holds("value", other)], 0),
    }
}

/// What a patch does, told of the document as each operation finds it: what a place in an array held is known no
/// other way.
fn steps(before: &Json, patch: &[PatchOp]) -> (Vec<Line>, usize) {
    let mut document = before.clone();
    let mut lines = Vec::new();
    for op in patch.iter().take(LINES_MAX) {
        let old = document.pointer(op.path());
        let what = match (op, old) {
            (PatchOp::Replace { value, .. }, Some(old)) => turned(old, value),
            (PatchOp::Add { value, .. } | PatchOp::Replace { value, .. }, _) => What::Added(short(value)),
            (PatchOp::Remove { .. }, Some(old)) => What::Removed(short(old)),
            (PatchOp::Remove { .. }, None) => What::Changed,
        };
        lines.push(Line { place: place(op.path()), what });
        if apply(&mut document, std::slice::from_ref(op)).is_err() {
            break;
        }
    }
    let more = patch.len() - lines.len();
    (lines, more)
}

/// Where something changed, and nothing else. A whole item that came or went has no place in it.
fn places(telling: &Telling<'_>) -> (Vec<Line>, usize) {
    let changed = &telling.envelope.difference.changed;
    let told: Vec<Line> = changed
        .iter()
        .filter(|pointer| !pointer.is_empty())
        .take(LINES_MAX)
        .map(|pointer| Line { place: place(pointer), what: What::Changed })
        .collect();
    let more = changed.len().saturating_sub(LINES_MAX);
    (told, more)
}

/// A JSON Pointer as a person writes it: `lines/0/price`.
fn place(pointer: &str) -> String {
    let tokens = pointer_tokens(pointer).unwrap_or_default();
    if tokens.is_empty() { "value".to_owned() } else { cut(&tokens.join("/"), PLACE_MAX) }
}

/// `{"account":"eu"}` as `account eu`.
fn scope(text: &str) -> Option<String> {
    let tree = crate::core::json::parse(text.as_bytes()).ok()?;
    let members = tree.as_object()?.iter().map(|(name, value)| format!("{name} {}", show(value)));
    Some(cut(&members.collect::<Vec<_>>().join(", "), NAME_MAX))
}

/// Two values, of which a person can see how they differ: long ones begin shortly before they do, and a text and a
/// number of the same digits are told apart.
fn turned(old: &Json, new: &Json) -> What {
    let (mut before, mut after) = (clean(&show(old)), clean(&show(new)));
    if before == after {
        (before, after) = (clean(&old.to_string()), clean(&new.to_string()));
    }
    let common = before.chars().zip(after.chars()).take_while(|(one, other)| one == other).count();
    if common > VALUE_MAX / 2 && before.chars().count().max(after.chars().count()) > VALUE_MAX {
        let tail = |text: &str| format!("…{}", text.chars().skip(common - COMMON).collect::<String>());
        (before, after) = (tail(&before), tail(&after));
    }
    What::Turned(cut(&before, VALUE_MAX), cut(&after, VALUE_MAX))
}

fn short(value: &Json) -> String {
    cut(&show(value), VALUE_MAX)
}

/// A text as it is, anything else as JSON in the vendor's spelling.
fn show(value: &Json) -> String {
    match value {
        Json::String(text) if !text.trim().is_empty() => text.clone(),
        other => other.to_string(),
    }
}

/// The beginning of a text on one line.
fn cut(text: &str, max: usize) -> String {
    let line = clean(text);
    match line.char_indices().nth(max) {
        // One less, for the sign that says so.
        Some(_) => line.chars().take(max - 1).chain(['…']).collect(),
        None => line,
    }
}

/// One line, and nothing in it that moves what stands around it: no control characters, line ends or marks that turn
/// the direction of writing.
fn clean(text: &str) -> String {
    let moves =
        |letter: char| letter.is_control() || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|letter| if moves(letter) { ' ' } else { letter }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::diff::difference;
    use crate::core::json::parse;
    use crate::core::rules::Rules;

    fn told(before: &str, after: &str) -> Vec<String> {
        let (before, after) = (parse(before.as_bytes()).unwrap(), parse(after.as_bytes()).unwrap());
        let patch = difference(&before, &after, &Rules::default()).patch;
        let (lines, more) = steps(&before, &patch);
        let mut told: Vec<String> = lines.iter().map(|line| line.text(&Bare)).collect();
        told.extend((more > 0).then(|| format!("{more} more")));
        told
    }

    struct Bare;

    impl Voice for Bare {
        fn plain(&self, text: &str) -> String {
            text.to_owned()
        }
        fn strong(&self, text: &str) -> String {
            text.to_owned()
        }
        fn value(&self, text: &str) -> String {
            text.to_owned()
        }
    }

    #[test]
    fn a_change_is_told_from_what_to_what_with_the_vendors_digits() {
        assert_eq!(
            told(r#"{"total":10.10}"#, r#"{"total":9007199254740993.50}"#),
            ["total: 10.10 → 9007199254740993.50"]
        );
        assert_eq!(told(r#"{"a/b":{"c":null}}"#, r#"{"a/b":{"c":[1,{}]}}"#), ["a/b/c: null → [1,{}]"]);
        assert_eq!(told(r#"{"a":1}"#, r#"{"a":"1"}"#), ["a: 1 → \"1\""]);
        assert_eq!(told(r#"{"a":""}"#, r#"{"a":" "}"#), ["a: \"\" → \" \""]);
        assert_eq!(told("1", "2"), ["value: 1 → 2"]);
        let mut both = told(r#"{"old":"x"}"#, r#"{"new":"y"}"#);
        both.sort();
        assert_eq!(both, ["new: added y", "old: removed x"]);
    }

    #[test]
    fn what_moves_in_an_array_is_not_told_as_another_value() {
        assert_eq!(told(r#"{"t":["a","b","c"]}"#, r#"{"t":["b","c"]}"#), ["t/0: removed a"]);
    }

    #[test]
    fn long_values_begin_shortly_before_they_differ() {
        let long = |end: &str| format!("{{\"t\":\"{}{end}\"}}", "x".repeat(500));
        let x = "x".repeat(20);
        assert_eq!(told(&long("old"), &long("new")), [format!("t: …{x}old → …{x}new")]);
    }

    #[test]
    fn a_text_is_one_line_and_short() {
        assert_eq!(cut("a\nb\u{202e}c\u{1b}[2J", 100), "a b c [2J");
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöüß", 3), "äö…");
    }

    #[test]
    fn many_lines_are_counted() {
        let list = |value: u32| {
            let members: Vec<String> = (0..30).map(|at| format!("\"m{at}\":{value}")).collect();
            format!("{{{}}}", members.join(","))
        };
        let told = told(&list(1), &list(2));
        assert_eq!((told.len(), told.last().map(String::as_str)), (21, Some("10 more")));
        let (lines, more) = members(&parse(list(1).as_bytes()).unwrap());
        assert_eq!((lines.len(), more), (20, 10));
    }
}
