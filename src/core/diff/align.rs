//! Which elements of two arrays are the same: an element that was put in at the head is one insertion.
//!
//! It sees digests only, and pairs what is left in the gaps by position.

use std::collections::HashMap;

use crate::core::names::Digest;

/// What becomes of an element, in the order of both arrays. Indexes are those of the two lists of digests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Move {
    /// The old one and the new one stand for each other, and differ; or may, where that was asked for.
    Pair(usize, usize),
    /// The old one is gone.
    Remove(usize),
    /// The new one stands before this old one (or at the end).
    Insert { before: usize, new: usize },
}

/// Cells of the table that finds the longest common subsequence: 512 elements against 512, half a mebibyte. Beyond it
/// only elements that occur once are matched, which takes no table.
const CELLS_MAX: usize = 1 << 18;

/// The moves that turn `old` into `new`; elements that are the same take none, unless `all` pairs are asked for.
pub(super) fn align(old: &[Digest], new: &[Digest], all: bool) -> Vec<Move> {
    let head = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old[head..], &new[head..]);
    let tail = old_rest.iter().rev().zip(new_rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (old_rest, new_rest) = (&old_rest[..old_rest.len() - tail], &new_rest[..new_rest.len() - tail]);
    let small = (old_rest.len() + 1) * (new_rest.len() + 1) <= CELLS_MAX;
    let mut same = if small { common(old_rest, new_rest) } else { unique(old_rest, new_rest) };
    same.push((old_rest.len(), new_rest.len()));

    let pairs = |count: usize, old: usize, new: usize| (0..count).map(move |at| Move::Pair(old + at, new + at));
    let mut moves: Vec<Move> = pairs(if all { head } else { 0 }, 0, 0).collect();
    let (mut a, mut b) = (0, 0);
    for (next_a, next_b) in same {
        gap(head + a..head + next_a, head + b..head + next_b, &mut moves);
        // The last are where the tail begins, if there is one.
        let is_end = next_a == old_rest.len() && next_b == new_rest.len();
        let same = if is_end { tail } else { 1 };
        moves.extend(pairs(if all { same } else { 0 }, head + next_a, head + next_b));
        (a, b) = (next_a + 1, next_b + 1);
    }
    moves
}

/// Elements between two that are the same.
fn gap(old: std::ops::Range<usize>, new: std::ops::Range<usize>, moves: &mut Vec<Move>) {
    let paired = old.len().min(new.len());
    moves.extend(old.clone().zip(new.clone()).map(|(old, new)| Move::Pair(old, new)));
    moves.extend(old.clone().skip(paired).map(Move::Remove));
    moves.extend(new.skip(paired).map(|new| Move::Insert { before: old.end, new }));
}

/// A longest common subsequence, as pairs of indexes.
fn common(old: &[Digest], new: &[Digest]) -> Vec<(usize, usize)> {
    let width = new.len() + 1;
    // Lengths fit: the table's cells are capped far below `u32::MAX`.
    let mut longest = vec![0_u32; (old.len() + 1) * width];
    for a in (0..old.len()).rev() {
        for b in (0..new.len()).rev() {
            longest[a * width + b] = if old[a] == new[b] {
                longest[(a + 1) * width + b + 1] + 1
            } else {
                longest[(a + 1) * width + b].max(longest[a * width + b + 1])
            };
        }
    }
    let (mut a, mut b, mut same) = (0, 0, Vec::new());
    while a < old.len() && b < new.len() {
        if old[a] == new[b] {
            same.push((a, b));
            (a, b) = (a + 1, b + 1);
        } else if longest[(a + 1) * width + b] >= longest[a * width + b + 1] {
            a += 1;
        } else {
            b += 1;
        }
    }
    same
}

/// A longest run, ascending in both arrays, of elements that occur once in each.
fn unique(old: &[Digest], new: &[Digest]) -> Vec<(usize, usize)> {
    let (old, new) = (once(old), once(new));
    let mut pairs: Vec<_> = old.iter().filter_map(|(digest, a)| Some((*a, *new.get(digest)?))).collect();
    pairs.sort_unstable();
    // Patience: on each pile the last pair whose best run has that length; each pair remembers the one before it.
    let mut piles: Vec<usize> = Vec::new();
    let mut earlier: Vec<Option<usize>> = Vec::with_capacity(pairs.len());
    for (at, (_, b)) in pairs.iter().enumerate() {
        let pile = piles.partition_point(|&top| pairs[top].1 < *b);
        earlier.push(pile.checked_sub(1).map(|pile| piles[pile]));
        piles.truncate(piles.len().max(pile));
        if pile == piles.len() { piles.push(at) } else { piles[pile] = at }
    }
    let mut run: Vec<_> = std::iter::successors(piles.last().copied(), |&at| earlier[at]).map(|at| pairs[at]).collect();
    run.reverse();
    run
}

/// Where each element stands that occurs once.
fn once(list: &[Digest]) -> HashMap<Digest, usize> {
    let mut seen: HashMap<Digest, (usize, bool)> = HashMap::with_capacity(list.len());
    for (at, digest) in list.iter().enumerate() {
        seen.entry(*digest).and_modify(|(_, once)| *once = false).or_insert((at, true));
    }
    seen.into_iter().filter(|(_, (_, once))| *once).map(|(digest, (at, _))| (digest, at)).collect()
}
