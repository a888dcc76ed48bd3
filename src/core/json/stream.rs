//! A large list to items, window by window: what [`super::split()`] does, without the whole body in memory.
//!
//! Holds an item at a time, and what stands beside the list. Builds no trees.

use std::ops::Range;

use super::JsonError;
use super::lex::{Cursor, Open};
use super::parse::name_twice;
use crate::core::path::Step;

/// The most that may stand beside the list; of a body with more, the whole has to be read at once.
const REST_MAX: usize = 4 * 1024 * 1024;

/// What a query has to be: names that lead to an array, and all of its elements.
fn names_of(steps: &[Step]) -> Option<Vec<String>> {
    let (Step::All, names) = steps.split_last()? else { return None };
    let name = |step: &Step| match step {
        Step::Member(name) => Some(name.clone()),
        Step::Index(_) | Step::All => None,
    };
    names.iter().map(name).collect()
}

/// Finds the elements of an array in a body that comes in windows.
pub struct Splitter {
    /// The names that lead to the array.
    names: Vec<String>,
    open: Open,
    /// The outermost brackets, as far as they lie on the way to the items.
    way: Vec<OnWay>,
    /// The value that comes lies on the way.
    here: bool,
    expect: Expect,
    /// The array was found.
    there: bool,
    /// The document without the items.
    rest: Vec<u8>,
    /// Bytes before the window.
    base: usize,
}

/// A bracket on the way.
struct OnWay {
    /// Where it opened.
    start: usize,
    /// The name that leads on was seen.
    seen: bool,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expect {
    Value,
    FirstElement,
    FirstName,
    Name,
    After,
    End,
}

/// What a token led to.
enum Flow {
    On,
    /// It may go on behind the window.
    Cut,
    /// The name that leads on stands twice in the object that began there.
    Twice(usize),
}

impl Splitter {
    /// For the query of a list; none for queries that need more than one look.
    pub fn new(steps: &[Step]) -> Option<Self> {
        Some(Self {
            names: names_of(steps)?,
            open: Open::at(0),
            way: Vec::new(),
            here: true,
            expect: Expect::Value,
            there: false,
            rest: Vec::new(),
            base: 0,
        })
    }

    /// The document as it is, with an empty array where the items were; none where there is no such array, or too much
    /// beside it.
    pub fn rest(&self) -> Option<&[u8]> {
        (self.there && self.rest.len() <= REST_MAX).then_some(&self.rest)
    }

    /// Reads on, and hands the place of each item that is whole to `take`. Returns how much was read: the next window
    /// begins with what was not. `last`: nothing comes behind this window.
    ///
    /// # Errors
    /// As [`super::split()`]; also what `take` returns.
    pub fn feed<E: From<JsonError>>(
        &mut self,
        window: &[u8],
        last: bool,
        take: &mut dyn FnMut(Range<usize>) -> Result<(), E>,
    ) -> Result<usize, E> {
        let text = self.text(window, last)?;
        let mut cursor = Cursor::within(text, if self.base == 0 && text.starts_with('\u{feff}') { 3 } else { 0 });
        let mut read = cursor.at();
        while let Some(begins) = cursor.begins() {
            let is_item = self.is_item(&mut cursor);
            match self.step(&mut cursor, last) {
                Ok(Flow::On) => {}
                Ok(Flow::Cut) => break,
                Ok(Flow::Twice(start)) => return Err(name_twice(&self.names[self.way.len() - 1], start).into()),
                Err(error) if !last && cursor.breaks_off(&error) => break,
                Err(error) => return Err(self.moved(error).into()),
            }
            read = cursor.at();
            if is_item {
                take(begins..read)?;
            } else {
                self.keep(cursor.since(begins).as_bytes());
            }
        }
        if last && self.expect != Expect::End {
            return Err(self.moved(cursor.unexpected(self.expect.spoken())).into());
        }
        self.base += read;
        Ok(read)
    }

    /// As much of the window as is text; a letter may be cut at its end.
    fn text<'a>(&self, window: &'a [u8], last: bool) -> Result<&'a str, JsonError> {
        let error = match std::str::from_utf8(window) {
            Ok(text) => return Ok(text),
            Err(error) => error,
        };
        let whole = window.get(..error.valid_up_to()).and_then(|whole| std::str::from_utf8(whole).ok());
        whole.filter(|_| error.error_len().is_none() && !last).ok_or_else(|| {
            self.moved(JsonError { at: error.valid_up_to(), what: "the text is not UTF-8: it breaks off".to_owned() })
        })
    }

    fn moved(&self, error: JsonError) -> JsonError {
        JsonError { at: self.base + error.at, what: error.what }
    }

    /// Keeps what stands beside the items, but no commas between them.
    fn keep(&mut self, piece: &[u8]) {
        let between = self.in_list() && self.expect == Expect::Value;
        if !between && self.rest.len() <= REST_MAX {
            self.rest.extend_from_slice(piece);
        }
    }

    /// Directly inside the array of the items?
    fn in_list(&self) -> bool {
        self.way.len() > self.names.len() && self.open.count() == self.way.len()
    }

    fn is_item(&self, cursor: &mut Cursor<'_>) -> bool {
        let comes = match self.expect {
            Expect::Value => true,
            Expect::FirstElement => cursor.space() != Some(b']'),
            _ => false,
        };
        comes && self.in_list()
    }

    /// Reads one token, or one item. Changes nothing when it is cut.
    fn step(&mut self, cursor: &mut Cursor<'_>, last: bool) -> Result<Flow, JsonError> {
        match (self.expect, cursor.space()) {
            (Expect::FirstElement, Some(b']')) | (Expect::FirstName, Some(b'}')) => self.close(cursor),
            (Expect::Value | Expect::FirstElement, _) => return self.value(cursor, last),
            (Expect::FirstName | Expect::Name, _) => return self.name(cursor),
            (Expect::After, _) => self.after(cursor)?,
            (Expect::End, _) => cursor.end()?,
        }
        Ok(Flow::On)
    }

    fn value(&mut self, cursor: &mut Cursor<'_>, last: bool) -> Result<Flow, JsonError> {
        let bracket = cursor.space().filter(|byte| matches!(byte, b'{' | b'['));
        let is_item = self.in_list();
        if let (Some(bracket), false) = (bracket, is_item) {
            let start = cursor.at();
            self.open.push(bracket == b'{').ok_or_else(|| cursor.too_deep())?;
            cursor.take();
            self.enter(bracket, self.base + start);
            return Ok(Flow::On);
        }
        cursor.skip(self.open.count())?;
        // A number may have more digits behind the window.
        if cursor.is_at_end() && !last {
            return Ok(Flow::Cut);
        }
        self.done();
        Ok(Flow::On)
    }

    /// Goes into a bracket that has just been opened.
    fn enter(&mut self, bracket: u8, start: usize) {
        let to_items = self.way.len() == self.names.len();
        let leads = self.here && if to_items { bracket == b'[' } else { bracket == b'{' };
        if leads {
            self.there |= to_items;
            self.way.push(OnWay { start, seen: false });
        }
        self.here = false;
        self.expect = if bracket == b'{' { Expect::FirstName } else { Expect::FirstElement };
    }

    fn name(&mut self, cursor: &mut Cursor<'_>) -> Result<Flow, JsonError> {
        let name = cursor.name()?;
        self.here = false;
        if self.open.count() == self.way.len()
            && let (Some(wanted), Some(level)) = (self.names.get(self.open.count() - 1), self.way.last_mut())
            && name.is(wanted)
        {
            if level.seen {
                return Ok(Flow::Twice(level.start));
            }
            level.seen = true;
            self.here = true;
        }
        self.expect = Expect::Value;
        Ok(Flow::On)
    }

    fn after(&mut self, cursor: &mut Cursor<'_>) -> Result<(), JsonError> {
        match (cursor.space(), self.open.last()) {
            (Some(b','), Some(object)) => {
                cursor.take();
                self.expect = if object { Expect::Name } else { Expect::Value };
            }
            (Some(b'}'), Some(true)) | (Some(b']'), Some(false)) => self.close(cursor),
            (_, Some(true)) => return Err(cursor.unexpected("a `,` or `}`")),
            (_, _) => return Err(cursor.unexpected("a `,` or `]`")),
        }
        Ok(())
    }

    fn close(&mut self, cursor: &mut Cursor<'_>) {
        cursor.take();
        self.open.pop();
        self.way.truncate(self.open.count());
        self.done();
    }

    /// A value has ended.
    fn done(&mut self) {
        self.here = false;
        self.expect = if self.open.last().is_some() { Expect::After } else { Expect::End };
    }
}

impl Expect {
    fn spoken(self) -> &'static str {
        match self {
            Self::Value | Self::FirstElement => "a value",
            Self::FirstName | Self::Name => "a member's name in double quotes",
            Self::After => "a `,` or the end of an array or object",
            Self::End => "the end",
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples;
    use super::super::{Split, split};
    use super::*;

    /// What a splitter finds in a body that comes in windows that grow by `by` bytes, and what stands beside it.
    fn streamed(body: &[u8], steps: &[Step], by: usize) -> Result<(Vec<String>, Option<String>), JsonError> {
        let mut splitter = Splitter::new(steps).unwrap();
        let (mut window, mut at, mut found) = (Vec::new(), 0, Vec::new());
        loop {
            let end = body.len().min(at + by);
            window.extend_from_slice(&body[at..end]);
            at = end;
            let last = at == body.len();
            let read = splitter.feed(&window, last, &mut |range: Range<usize>| -> Result<(), JsonError> {
                found.push(String::from_utf8(window[range].to_vec()).unwrap());
                Ok(())
            })?;
            window.drain(..read);
            if last {
                let rest = splitter.rest().map(|rest| String::from_utf8(rest.to_vec()).unwrap());
                return Ok((found, rest));
            }
        }
    }

    fn steps(names: &[&str]) -> Vec<Step> {
        names.iter().map(|name| Step::Member((*name).to_owned())).chain([Step::All]).collect()
    }

    #[test]
    fn the_items_come_as_they_are_written_and_the_rest_without_them() {
        let body =
            br#"{"meta": {"data": [9], "next": "a"}, "data": [ {"id":1, "data": [1]} , 2.50,"x,]"],"n":[1,[2]]}"#;
        for by in 1..body.len() + 1 {
            let (items, rest) = streamed(body, &steps(&["data"]), by).unwrap();
            assert_eq!(items, [r#"{"id":1, "data": [1]}"#, "2.50", r#""x,]""#], "{by}");
            let rest = crate::core::json::parse(rest.unwrap().as_bytes()).unwrap();
            assert_eq!(rest.to_string(), r#"{"meta":{"data":[9],"next":"a"},"data":[],"n":[1,[2]]}"#, "{by}");
        }
    }

    #[test]
    fn a_list_that_is_not_there_has_no_rest() {
        for body in ["{}", "[]", r#"{"data":null}"#, r#"{"data":{"a":1}}"#, r#"[{"data":[1]}]"#, "7", r#""data""#] {
            assert_eq!(streamed(body.as_bytes(), &steps(&["data"]), 3), Ok((Vec::new(), None)), "{body}");
        }
        assert!(Splitter::new(&[Step::Index(0), Step::All]).is_none());
        assert!(Splitter::new(&[Step::Member("a".to_owned())]).is_none());
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place_however_it_comes() {
        for body in [
            "",
            " ",
            "[1,2",
            "[1,]",
            "[1 2]",
            "[1]]",
            "[1] x",
            "{\"data\":[1],\"data\":[]}",
            "[tru",
            "[-]",
            "[\"a",
            "[\"\\u12",
            "[\"\\x\"]",
            "[01]",
            "{\"a\":1,}",
            "{\"a\" 1}",
            "[1}",
            "[\"\u{1}\"]",
        ] {
            for by in [1, 2, 3, 100] {
                let names: &[&str] = if body.starts_with('{') { &["data"] } else { &[] };
                let error = streamed(body.as_bytes(), &steps(names), by).expect_err(body);
                let whole = split(body.as_bytes(), &steps(names)).expect_err(body);
                assert_eq!(error.at, whole.at, "{body} by {by}: {error}, {whole}");
            }
        }
        let cut = b"[\"\xc3";
        assert_eq!(streamed(cut, &steps(&[]), 1).unwrap_err(), split(cut, &steps(&[])).unwrap_err());
    }

    #[test]
    fn too_much_beside_the_list_is_not_kept() {
        let body = format!(r#"{{"data":[1],"more":[{}0]}}"#, "123456789,".repeat(REST_MAX / 10));
        assert_eq!(streamed(body.as_bytes(), &steps(&["data"]), 64 * 1024), Ok((vec!["1".to_owned()], None)));
    }

    proptest! {
        #[test]
        fn it_finds_what_the_whole_body_holds(json in samples::document(), by in 1_usize..40) {
            let body = format!("{{\"a\": {json}, \"data\":[{json},\n{json} ]}}");
            let whole = split(body.as_bytes(), &steps(&["data"])).unwrap();
            let Split::Items(whole) = whole else { panic!("the list is there") };
            let whole: Vec<_> = whole.into_iter().map(|item| String::from_utf8(item.to_vec()).unwrap()).collect();
            prop_assert_eq!(streamed(body.as_bytes(), &steps(&["data"]), by).unwrap().0, whole);
        }
    }
}
