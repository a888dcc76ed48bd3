//! The walk through two documents at once, each seen through its own lens.
//!
//! It trusts positions and names; whether its patch reaches the goal is checked by its caller.

use std::collections::{HashMap, HashSet};

use super::align::{Move, align};
use super::{Difference, PatchOp};
use crate::core::json::{Json, push_token};
use crate::core::names::Digest;
use crate::core::path::Token;
use crate::core::rules::{Lens, Reach, child_of};

/// A value and what counts in it.
type Seen<'a> = (&'a Json, &'a Lens<'a>);

/// An operation's bytes beside its path and value: `{"op":"replace","path":"","value":},`.
const OP_BYTES: usize = 40;

/// How much larger than twice the array a patch of its elements may be before the whole array is the better patch.
const SLACK: usize = 512;

/// What differs between two documents.
pub(super) fn walk(before: Seen<'_>, after: Seen<'_>) -> Difference {
    let mut walker = Walker::default();
    walker.value("", before, after);
    let mut seen = HashSet::with_capacity(walker.changed.len());
    let changed = walker.changed.iter().filter(|pointer| seen.insert(pointer.as_str())).cloned().collect();
    Difference { changed, patch: walker.patch }
}

#[derive(Default)]
struct Walker {
    changed: Vec<String>,
    patch: Vec<PatchOp>,
}

impl Walker {
    fn value(&mut self, path: &str, before: Seen<'_>, after: Seen<'_>) {
        let (old, new) = (before.1.reach(), after.1.reach());
        let alike = (old == Reach::Counted) == (new == Reach::Counted);
        match (before.0, after.0) {
            _ if old == Reach::Nothing && new == Reach::Nothing => {}
            (Json::Object(a), Json::Object(b)) if alike => self.members(path, (a, before.1), (b, after.1)),
            (Json::Array(a), Json::Array(b)) if alike => self.elements(path, (a, before.1), (b, after.1), after),
            _ if old == new && before.1.digest(before.0) == after.1.digest(after.0) => {}
            _ => {
                self.note_both(path, before, after);
                self.patch.push(PatchOp::Replace { path: path.to_owned(), value: after.1.project(after.0) });
            }
        }
    }

    fn members(&mut self, path: &str, before: (&[(String, Json)], &Lens<'_>), after: (&[(String, Json)], &Lens<'_>)) {
        let (old, new) = (index(before.0), index(after.0));
        for (name, value) in before.0 {
            let seen = (value, before.1.child(Token::Name(name)));
            let path = member_path(path, name);
            match new.get(name.as_str()) {
                Some(&at) => self.value(&path, seen, (&after.0[at].1, after.1.child(Token::Name(name)))),
                None if *seen.1 != Lens::Nothing => self.remove(path.clone(), &path, seen),
                None => {}
            }
        }
        for (name, value) in after.0.iter().filter(|(name, _)| !old.contains_key(name.as_str())) {
            let seen = (value, after.1.child(Token::Name(name)));
            if *seen.1 != Lens::Nothing {
                self.add(member_path(path, name), seen);
            }
        }
    }

    fn elements(&mut self, path: &str, before: (&[Json], &Lens<'_>), after: (&[Json], &Lens<'_>), whole: Seen<'_>) {
        let (old, new) = elements(before, after);
        let digests = |list: &[Element<'_>]| list.iter().map(|element| element.digest).collect::<Vec<_>>();
        let (noted, done) = (self.changed.len(), self.patch.len());
        let end = old.last().map_or(0, |element| element.index + 1);
        let mut shift = 0_isize;
        for step in align(&digests(&old), &digests(&new)) {
            let place = |index: usize| element_path(path, index.saturating_add_signed(shift));
            match step {
                Move::Pair(a, b) => self.value(&place(old[a].index), old[a].seen, new[b].seen),
                Move::Remove(a) => {
                    self.remove(place(old[a].index), &element_path(path, old[a].index), old[a].seen);
                    shift -= 1;
                }
                Move::Insert { before, new: b } => {
                    self.add(place(old.get(before).map_or(end, |element| element.index)), new[b].seen);
                    shift += 1;
                }
            }
        }
        let size = |op: &PatchOp| OP_BYTES + op.path().len() + op_value(op).map_or(0, Json::written_len);
        if self.patch.len() - done > 1 && self.patch[done..].iter().map(size).sum::<usize>() > SLACK {
            let value = whole.1.project(whole.0);
            if self.patch[done..].iter().map(size).sum::<usize>() > 2 * value.written_len() + SLACK {
                self.changed.truncate(noted);
                self.patch.truncate(done);
                self.changed.push(path.to_owned());
                self.patch.push(PatchOp::Replace { path: path.to_owned(), value });
            }
        }
    }

    fn remove(&mut self, path: String, was: &str, seen: Seen<'_>) {
        self.note(was, seen);
        self.patch.push(PatchOp::Remove { path });
    }

    fn add(&mut self, path: String, seen: Seen<'_>) {
        self.note(&path, seen);
        self.patch.push(PatchOp::Add { path, value: seen.1.project(seen.0) });
    }

    fn note_both(&mut self, path: &str, before: Seen<'_>, after: Seen<'_>) {
        if before.1.reach() == Reach::Counted || after.1.reach() == Reach::Counted {
            self.changed.push(path.to_owned());
            return;
        }
        for seen in [before, after].into_iter().filter(|seen| seen.1.reach() == Reach::Inside) {
            self.note(path, seen);
        }
    }

    /// Notes what counts in a value that came or went.
    fn note(&mut self, path: &str, seen: Seen<'_>) {
        if seen.1.reach() != Reach::Inside {
            self.changed.push(path.to_owned());
            return;
        }
        for (token, lens) in seen.1.places() {
            let Some(child) = child_of(seen.0, token) else { continue };
            let path = match token {
                Token::Name(name) => member_path(path, name),
                Token::Index(index) => element_path(path, index),
            };
            self.note(&path, (child, lens));
        }
    }
}

/// An element that takes part in the comparison.
struct Element<'a> {
    index: usize,
    seen: Seen<'a>,
    digest: Digest,
}

/// The elements that take part: those that count; and, where only places inside count, all up to the last such, because
/// the others hold them in their positions.
fn elements<'a>(
    before: (&'a [Json], &'a Lens<'a>),
    after: (&'a [Json], &'a Lens<'a>),
) -> (Vec<Element<'a>>, Vec<Element<'a>>) {
    let counts = |lens: &Lens<'_>, at: usize| *lens.child(Token::Index(at)) != Lens::Nothing;
    let reach =
        |(list, lens): (&[Json], &Lens<'_>)| (0..list.len()).rfind(|&at| counts(lens, at)).map_or(0, |at| at + 1);
    let reach = reach(before).max(reach(after));
    let list = |(list, lens): (&'a [Json], &'a Lens<'a>)| {
        let inside = lens.reach() != Reach::Counted;
        let part = list.iter().enumerate().take(reach).filter(|(at, _)| inside || counts(lens, *at));
        let seen = part.map(|(index, json)| (index, (json, lens.child(Token::Index(index)))));
        seen.map(|(index, seen)| Element { index, seen, digest: seen.1.digest(seen.0) }).collect()
    };
    (list(before), list(after))
}

/// Where each member stands.
fn index(members: &[(String, Json)]) -> HashMap<&str, usize> {
    members.iter().enumerate().map(|(at, (name, _))| (name.as_str(), at)).collect()
}

fn op_value(op: &PatchOp) -> Option<&Json> {
    match op {
        PatchOp::Add { value, .. } | PatchOp::Replace { value, .. } => Some(value),
        PatchOp::Remove { .. } => None,
    }
}

fn member_path(path: &str, name: &str) -> String {
    let mut longer = path.to_owned();
    push_token(&mut longer, name);
    longer
}

fn element_path(path: &str, index: usize) -> String {
    format!("{path}/{index}")
}
