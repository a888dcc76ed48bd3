//! The walk through two documents at once, each seen through its own lens.
//!
//! It trusts positions and names; whether its patch reaches the goal is checked by its caller.

use std::collections::{HashMap, HashSet};

use super::align::{Move, align};
use super::{Difference, PatchOp};
use crate::core::json::{Json, push_token};
use crate::core::names::Digest;
use crate::core::path::Token;
use crate::core::rules::{Lens, Numbers, Order, Reach, child_of};

/// A value and what counts in it.
type Seen<'a> = (&'a Json, &'a Lens<'a>);

/// An operation's bytes beside its path and value: `{"op":"replace","path":"","value":},`.
const OP_BYTES: usize = 40;

/// How much larger than twice the array a patch of its elements may be before the whole array is the better patch.
const SLACK: usize = 512;

/// Pairs of elements that are held against each other in search of those that differ by no more than is tolerated.
/// Beyond it they pair as they come.
const PROBES_MAX: usize = 1 << 12;

/// What differs between two documents. `tolerant`: what has another digest may still be no change.
pub(super) fn walk(before: Seen<'_>, after: Seen<'_>, tolerant: bool) -> Difference {
    let mut walker = Walker::new(tolerant);
    walker.value(&Spot::default(), before, after);
    let mut seen = HashSet::with_capacity(walker.changed.len());
    let changed = walker.changed.iter().filter(|pointer| seen.insert(pointer.as_str())).cloned().collect();
    Difference { changed, patch: walker.patch }
}

/// Where a value stands.
#[derive(Clone, Default)]
struct Spot {
    /// In the document as the patch has left it so far.
    patch: String,
    /// In the new document, where that is somewhere else.
    now: Option<String>,
}

impl Spot {
    fn now(&self) -> &str {
        self.now.as_deref().unwrap_or(&self.patch)
    }

    fn member(&self, name: &str) -> Self {
        Self { patch: member_path(&self.patch, name), now: self.now.as_ref().map(|now| member_path(now, name)) }
    }

    fn element(&self, at: usize, now: usize) -> Self {
        let moved = at != now || self.now.is_some();
        Self { patch: element_path(&self.patch, at), now: moved.then(|| element_path(self.now(), now)) }
    }
}

struct Walker {
    changed: Vec<String>,
    patch: Vec<PatchOp>,
    tolerant: bool,
}

/// An array, and what counts in it.
type Listed<'a> = (&'a [Json], &'a Lens<'a>);

impl Walker {
    fn new(tolerant: bool) -> Self {
        Self { changed: Vec::new(), patch: Vec::new(), tolerant }
    }

    fn value(&mut self, spot: &Spot, before: Seen<'_>, after: Seen<'_>) {
        let (old, new) = (before.1.reach(), after.1.reach());
        let alike = (old == Reach::Counted) == (new == Reach::Counted);
        let same = || before.1.digest(before.0, Numbers::Exact) == after.1.digest(after.0, Numbers::Exact);
        match (before.0, after.0) {
            _ if old == Reach::Nothing && new == Reach::Nothing => {}
            (Json::Object(a), Json::Object(b)) if alike => self.members(spot, (a, before.1), (b, after.1)),
            (Json::Array(a), Json::Array(b)) if alike => self.array(spot, (a, before.1), (b, after.1), after),
            _ if old == new && (same() || before.1.covers(before.0, after.1, after.0)) => {}
            _ => {
                self.note_both(spot.now(), before, after);
                self.patch.push(PatchOp::Replace { path: spot.patch.clone(), value: after.1.project(after.0) });
            }
        }
    }

    fn members(&mut self, spot: &Spot, before: (&[(String, Json)], &Lens<'_>), after: (&[(String, Json)], &Lens<'_>)) {
        let (old, new) = (index(before.0), index(after.0));
        for (name, value) in before.0 {
            let seen = (value, before.1.child(Token::Name(name)));
            let spot = spot.member(name);
            match new.get(name.as_str()) {
                Some(&at) => self.value(&spot, seen, (&after.0[at].1, after.1.child(Token::Name(name)))),
                None if *seen.1 != Lens::Nothing => self.remove(spot.patch.clone(), spot.now(), seen),
                None => {}
            }
        }
        for (name, value) in after.0.iter().filter(|(name, _)| !old.contains_key(name.as_str())) {
            let seen = (value, after.1.child(Token::Name(name)));
            if *seen.1 != Lens::Nothing {
                self.add(&spot.member(name), seen);
            }
        }
    }

    fn array(&mut self, spot: &Spot, before: Listed<'_>, after: Listed<'_>, whole: Seen<'_>) {
        let (noted, done) = (self.changed.len(), self.patch.len());
        match (before.1.order(), after.1.order()) {
            (Order::Keyed(old), Order::Keyed(new)) => self.keyed(spot, (before, old), (after, new)),
            (Order::Free, Order::Free) => self.free(spot, before, after),
            _ => self.listed(spot, before, after),
        }
        let size = |op: &PatchOp| OP_BYTES + op.path().len() + op_value(op).map_or(0, Json::written_len);
        if self.patch.len() - done > 1 && self.patch[done..].iter().map(size).sum::<usize>() > SLACK {
            let value = whole.1.project(whole.0);
            if self.patch[done..].iter().map(size).sum::<usize>() > 2 * value.written_len() + SLACK {
                self.changed.truncate(noted);
                self.patch.truncate(done);
                self.changed.push(spot.now().to_owned());
                self.patch.push(PatchOp::Replace { path: spot.patch.clone(), value });
            }
        }
    }

    /// Elements that are told apart by where they stand.
    fn listed(&mut self, spot: &Spot, before: Listed<'_>, after: Listed<'_>) {
        let numbers = if self.tolerant { Numbers::Masked } else { Numbers::Exact };
        let (old, new) = elements(before, after);
        let digests = |list: &[Element<'_>]| list.iter().map(|element| element.digest(numbers)).collect::<Vec<_>>();
        let end = old.last().map_or(0, |element| element.index + 1);
        let mut shift = 0_isize;
        for step in align(&digests(&old), &digests(&new), self.tolerant) {
            let place = |index: usize| {
                let index = index.saturating_add_signed(shift);
                spot.element(index, index)
            };
            match step {
                Move::Pair(a, b) => self.value(&place(old[a].index), old[a].seen, new[b].seen),
                Move::Remove(a) => {
                    let was = element_path(spot.now(), old[a].index);
                    self.remove(place(old[a].index).patch, &was, old[a].seen);
                    shift -= 1;
                }
                Move::Insert { before, new: b } => {
                    self.add(&place(old.get(before).map_or(end, |element| element.index)), new[b].seen);
                    shift += 1;
                }
            }
        }
    }

    /// Elements that are told apart by their keys.
    fn keyed(&mut self, spot: &Spot, before: (Listed<'_>, &[Option<String>]), after: (Listed<'_>, &[Option<String>])) {
        let mut new: HashMap<&str, usize> = keys(after.1).collect();
        let mut gone = Vec::new();
        for (key, at) in keys(before.1) {
            match new.remove(key) {
                Some(now) => self.value(&spot.element(at, now), seen(before.0, at), seen(after.0, now)),
                None => gone.push(at),
            }
        }
        let mut new: Vec<usize> = new.into_values().collect();
        new.sort_unstable();
        self.exchange(spot, (before.0, gone), (after.0, new));
    }

    /// Elements whose order does not count. Those that are left when what is equal is taken away pair as they come.
    fn free(&mut self, spot: &Spot, before: Listed<'_>, after: Listed<'_>) {
        let (mut old, mut new) = unlike(before, after);
        if self.tolerant && old.len() * new.len() <= PROBES_MAX {
            old.retain(|&a| {
                let twin = new.iter().position(|&b| Self::tolerates(seen(before, a), seen(after, b)));
                twin.map(|at| new.remove(at)).is_none()
            });
        }
        let paired = old.len().min(new.len());
        for (a, b) in old.drain(..paired).zip(new.drain(..paired)) {
            self.value(&spot.element(a, b), seen(before, a), seen(after, b));
        }
        self.exchange(spot, (before, old), (after, new));
    }

    /// Do the two differ by no more than is tolerated?
    fn tolerates(before: Seen<'_>, after: Seen<'_>) -> bool {
        let masked = |(json, lens): Seen<'_>| lens.digest(json, Numbers::Masked);
        let mut probe = Self::new(true);
        masked(before) == masked(after) && {
            probe.value(&Spot::default(), before, after);
            probe.patch.is_empty()
        }
    }

    /// Takes elements out of an array, from the back so that the others stay where they are, and puts new ones at its end.
    fn exchange(
        &mut self,
        spot: &Spot,
        (before, gone): (Listed<'_>, Vec<usize>),
        (after, new): (Listed<'_>, Vec<usize>),
    ) {
        for at in gone.iter().rev() {
            self.remove(element_path(&spot.patch, *at), &element_path(spot.now(), *at), seen(before, *at));
        }
        let end = before.0.len() - gone.len();
        for (place, at) in new.into_iter().enumerate() {
            self.add(&spot.element(end + place, at), seen(after, at));
        }
    }

    fn remove(&mut self, path: String, was: &str, seen: Seen<'_>) {
        self.note(was, seen);
        self.patch.push(PatchOp::Remove { path });
    }

    fn add(&mut self, spot: &Spot, seen: Seen<'_>) {
        self.note(spot.now(), seen);
        self.patch.push(PatchOp::Add { path: spot.patch.clone(), value: seen.1.project(seen.0) });
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
}

impl Element<'_> {
    fn digest(&self, numbers: Numbers) -> Digest {
        self.seen.1.digest(self.seen.0, numbers)
    }
}

/// One element of an array.
fn seen<'a>((list, lens): Listed<'a>, at: usize) -> Seen<'a> {
    (&list[at], lens.child(Token::Index(at)))
}

/// The keys of an array's elements, each with where it stands.
fn keys(keys: &[Option<String>]) -> impl Iterator<Item = (&str, usize)> {
    keys.iter().enumerate().filter_map(|(at, key)| Some((key.as_deref()?, at)))
}

/// The elements of each that count and have no equal in the other.
fn unlike(before: Listed<'_>, after: Listed<'_>) -> (Vec<usize>, Vec<usize>) {
    let counted = |list: Listed<'_>| {
        let digest = |(json, lens): Seen<'_>| (*lens != Lens::Nothing).then(|| lens.digest(json, Numbers::Exact));
        (0..list.0.len()).filter_map(|at| Some((at, digest(seen(list, at))?))).collect::<Vec<_>>()
    };
    let (mut old, mut new) = (counted(before), counted(after));
    let mut spare: HashMap<Digest, usize> = HashMap::new();
    new.iter().for_each(|(_, digest)| *spare.entry(*digest).or_default() += 1);
    let mut found: HashMap<Digest, usize> = HashMap::new();
    let take = |from: &mut HashMap<Digest, usize>, digest| match from.get_mut(&digest) {
        Some(count) if *count > 0 => {
            *count -= 1;
            true
        }
        _ => false,
    };
    old.retain(|(_, digest)| {
        let has_equal = take(&mut spare, *digest);
        *found.entry(*digest).or_default() += usize::from(has_equal);
        !has_equal
    });
    new.retain(|(_, digest)| !take(&mut found, *digest));
    let places = |list: Vec<(usize, Digest)>| list.into_iter().map(|(at, _)| at).collect();
    (places(old), places(new))
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
        seen.map(|(index, seen)| Element { index, seen }).collect()
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
