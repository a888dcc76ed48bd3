//! Lists to items and items to keys without building trees: slices of the raw bytes, in one pass that checks all of it.
//!
//! Only what lies on the way is checked for a name that stands twice; [`super::parse()`] checks the rest where a tree is built.

use std::borrow::Cow;
use std::collections::HashSet;

use super::lex::{Cursor, Quoted};
use super::parse::name_twice;
use super::{DEPTH_MAX, JsonError};
use crate::core::path::Step;

/// What a query of plain steps found in a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Split<'a> {
    /// The raw bytes of each value that was found, in document order, without white space around it. For a query that
    /// ends in `[*]`: the elements of the array or the values of the object, which may be none.
    Items(Vec<&'a [u8]>),
    /// The query leads nowhere; or, where it ends in `[*]`, to neither an array nor an object.
    NotThere,
}

/// Finds what a query of plain steps points at. The whole body is checked, not only the way there.
///
/// # Errors
/// As [`super::parse()`], save that of the objects only those on the way are checked for a name that stands twice: for
/// the names of the query, and in an object whose members are the items for all names.
pub fn split<'a>(body: &'a [u8], steps: &[Step]) -> Result<Split<'a>, JsonError> {
    let mut items = Vec::new();
    let there = scan(body, steps, &mut |cursor, depth| passed(cursor, depth).map(|item| items.push(item)))?;
    Ok(if there { Split::Items(items) } else { Split::NotThere })
}

/// The same in the same one pass with what [`pick`] finds in each: hands both to `take` as they come. False where
/// [`split`] finds nothing.
///
/// # Errors
/// As [`split`] and [`pick`]; the place is one of the body.
pub fn split_keyed<'a>(
    body: &'a [u8],
    steps: &[Step],
    key: &[Step],
    mut take: impl FnMut(&'a [u8], Option<&'a [u8]>),
) -> Result<bool, JsonError> {
    scan(body, steps, &mut |cursor, depth| {
        let (start, mut found) = (cursor.at(), None);
        walk(cursor, key, depth, &mut |cursor: &mut Cursor<'a>, depth| {
            found = Some(passed(cursor, depth)?);
            Ok(())
        })?;
        take(cursor.since(start).as_bytes(), found);
        Ok(())
    })
}

/// The raw bytes of the one value that a query of plain steps without `[*]` points at in an item; `None` when there is
/// none.
///
/// # Errors
/// As [`split`].
pub fn pick<'a>(item: &'a [u8], steps: &[Step]) -> Result<Option<&'a [u8]>, JsonError> {
    let mut found = None;
    scan(item, steps, &mut |cursor, depth| passed(cursor, depth).map(|value| found = Some(value)))?;
    Ok(found)
}

/// Passes over the value that comes next, inside `depth` brackets.
fn passed<'a>(cursor: &mut Cursor<'a>, depth: usize) -> Result<&'a [u8], JsonError> {
    let start = cursor.at();
    cursor.skip(depth)?;
    Ok(cursor.since(start).as_bytes())
}

/// Lets `take` pass over each value that is found; true when what the query points at is there.
fn scan<'a, T>(body: &'a [u8], steps: &[Step], take: &mut T) -> Result<bool, JsonError>
where
    T: FnMut(&mut Cursor<'a>, usize) -> Result<(), JsonError>,
{
    let mut cursor = Cursor::new(body)?;
    if cursor.space().is_none() {
        return Err(cursor.unexpected("a value"));
    }
    let there = walk(&mut cursor, steps, 0, take)?;
    cursor.end()?;
    Ok(there)
}

/// Walks one step into the value that comes next, inside `depth` brackets, and passes over the rest of it.
fn walk<'a, T>(cursor: &mut Cursor<'a>, steps: &[Step], depth: usize, take: &mut T) -> Result<bool, JsonError>
where
    T: FnMut(&mut Cursor<'a>, usize) -> Result<(), JsonError>,
{
    let begins = cursor.space();
    match (steps.split_first(), begins) {
        (None, _) => take(cursor, depth).map(|()| true),
        (_, Some(b'{' | b'[')) if depth >= DEPTH_MAX => Err(cursor.too_deep()),
        (Some((Step::Member(name), rest)), Some(b'{')) => member(cursor, name, rest, depth, take),
        (Some((Step::Index(index), rest)), Some(b'[')) => element(cursor, *index, rest, depth, take),
        (Some((Step::All, rest)), Some(b'[')) => elements(cursor, rest, depth, take),
        (Some((Step::All, rest)), Some(b'{')) => members(cursor, rest, depth, take),
        _ => cursor.skip(depth).map(|()| false),
    }
}

fn member<'a, T>(
    cursor: &mut Cursor<'a>,
    wanted: &str,
    rest: &[Step],
    depth: usize,
    take: &mut T,
) -> Result<bool, JsonError>
where
    T: FnMut(&mut Cursor<'a>, usize) -> Result<(), JsonError>,
{
    let start = cursor.at();
    let (mut seen, mut there) = (false, false);
    each_member(cursor, |cursor, name| {
        if !name.is(wanted) {
            return cursor.skip(depth + 1);
        }
        if seen {
            return Err(name_twice(wanted, start));
        }
        seen = true;
        there = walk(cursor, rest, depth + 1, take)?;
        Ok(())
    })?;
    Ok(there)
}

fn element<'a, T>(
    cursor: &mut Cursor<'a>,
    wanted: usize,
    rest: &[Step],
    depth: usize,
    take: &mut T,
) -> Result<bool, JsonError>
where
    T: FnMut(&mut Cursor<'a>, usize) -> Result<(), JsonError>,
{
    let (mut index, mut there) = (0, false);
    each_element(cursor, |cursor| {
        if index == wanted {
            there = walk(cursor, rest, depth + 1, take)?;
        } else {
            cursor.skip(depth + 1)?;
        }
        index += 1;
        Ok(())
    })?;
    Ok(there)
}

fn elements<'a, T>(cursor: &mut Cursor<'a>, rest: &[Step], depth: usize, take: &mut T) -> Result<bool, JsonError>
where
    T: FnMut(&mut Cursor<'a>, usize) -> Result<(), JsonError>,
{
    each_element(cursor, |cursor| walk(cursor, rest, depth + 1, take).map(drop))?;
    Ok(true)
}

fn members<'a, T>(cursor: &mut Cursor<'a>, rest: &[Step], depth: usize, take: &mut T) -> Result<bool, JsonError>
where
    T: FnMut(&mut Cursor<'a>, usize) -> Result<(), JsonError>,
{
    let start = cursor.at();
    let mut seen: HashSet<Cow<'a, str>> = HashSet::new();
    each_member(cursor, |cursor, name| {
        let name = name.text();
        if seen.contains(&name) {
            return Err(name_twice(&name, start));
        }
        seen.insert(name);
        walk(cursor, rest, depth + 1, take).map(drop)
    })?;
    Ok(true)
}

/// Calls `visit` before each member's value of the object that begins here; it must pass over the value.
fn each_member<'a>(
    cursor: &mut Cursor<'a>,
    mut visit: impl FnMut(&mut Cursor<'a>, Quoted<'a>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    cursor.take();
    if cursor.space() != Some(b'}') {
        loop {
            let name = cursor.name()?;
            visit(cursor, name)?;
            match cursor.space() {
                Some(b',') => cursor.take(),
                Some(b'}') => break,
                _ => return Err(cursor.unexpected("a `,` or `}`")),
            }
        }
    }
    cursor.take();
    Ok(())
}

/// Calls `visit` before each element of the array that begins here; it must pass over the element.
fn each_element<'a>(
    cursor: &mut Cursor<'a>,
    mut visit: impl FnMut(&mut Cursor<'a>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    cursor.take();
    if cursor.space() != Some(b']') {
        loop {
            visit(cursor)?;
            match cursor.space() {
                Some(b',') => cursor.take(),
                Some(b']') => break,
                _ => return Err(cursor.unexpected("a `,` or `]`")),
            }
        }
    }
    cursor.take();
    Ok(())
}
