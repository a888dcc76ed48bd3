//! A body that is too large to be held, as the pieces its items are made of: elements of an array, lines, rows.
//!
//! Only lists whose items are found without a tree come in pieces; whatever else there is, is read as a whole.

use std::ops::Range;

use bytes::Bytes;

use super::broken::Broken;
use super::media::{Media, html_in};
use super::{Format, charset, csv, explain, ndjson, refused};
use crate::core::extract::not_json;
use crate::core::job::Job;
use crate::core::json::{JsonError, Splitter};
use crate::core::outcome::Failure;
use crate::core::path::Step;

/// Bytes of a body that are kept for the sentences of what is wrong with it.
const BEGINNING: usize = 1024;

/// What is handed each piece: its place in the window, and its item as JSON.
pub type Take<'a> = dyn FnMut(Range<usize>, &[u8]) -> Result<(), Failure> + 'a;

/// Finds the pieces of a body, window by window.
pub struct Pieces {
    format: Format,
    form: Form,
    /// The body's beginning, for the sentences of what is wrong with it.
    beginning: Vec<u8>,
    /// Bytes before the window.
    base: usize,
}

enum Form {
    Json(Splitter),
    Lines(usize),
    Rows(csv::Table),
}

/// Why reading has to stop.
enum Halt {
    Failure(Failure),
    Json(JsonError),
    Broken(Broken),
}

impl From<JsonError> for Halt {
    fn from(error: JsonError) -> Self {
        Self::Json(error)
    }
}

impl From<Broken> for Halt {
    fn from(broken: Broken) -> Self {
        Self::Broken(broken)
    }
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

impl Pieces {
    /// For a body that begins so; none where it has to be read as a whole: no list of plain names, a format that is read
    /// as a tree, or a charset that is not UTF-8.
    ///
    /// # Errors
    /// It is not what the job says it is.
    pub fn new(job: &Job, content_type: Option<&str>, beginning: &[u8]) -> Result<Option<Self>, Failure> {
        let media = Media::parse(content_type.unwrap_or_default());
        let spec = &job.document;
        let format = if spec.format == Format::Auto { media.format(beginning) } else { spec.format };
        media.contradicts(format, beginning).map_or(Ok(()), |what| Err(refused(format, &what)))?;
        let Some(steps) = job.items.as_ref().and_then(|items| items.plain_steps()) else { return Ok(None) };
        let is_utf8 = charset::is_utf8(beginning, media.charset.as_deref());
        let is_all = steps == [Step::All];
        let form = match format {
            Format::Auto | Format::Json => Splitter::new(steps).map(Form::Json),
            Format::Ndjson if is_all => Some(Form::Lines(1)),
            Format::Csv if is_all => Some(Form::Rows(csv::Table::new(&spec.csv, media.is_tabbed(), job.empty))),
            _ => None,
        };
        let of = |form| Self { format, form, beginning: beginning[..beginning.len().min(BEGINNING)].to_vec(), base: 0 };
        Ok(form.filter(|_| is_utf8).map(of))
    }

    /// Reads on, and hands each piece that is whole to `take`. Returns how much was read: the next window begins with
    /// what was not. `last`: nothing comes behind this window.
    ///
    /// # Errors
    /// As [`super::to_json`], and as [`crate::core::extract::extract`] for what is no JSON; also what `take` returns.
    pub fn feed(&mut self, window: &[u8], last: bool, take: &mut Take<'_>) -> Result<usize, Failure> {
        let read = self.read(window, last, take).map_err(|halt| self.explain(halt))?;
        self.base += read;
        Ok(read)
    }

    fn read(&mut self, window: &[u8], last: bool, take: &mut Take<'_>) -> Result<usize, Halt> {
        if let Form::Json(splitter) = &mut self.form {
            let mut take = |range: Range<usize>| Ok(take(range.clone(), &window[range])?);
            return splitter.feed(window, last, &mut take);
        }
        let (mark, text) = self.text(window, last)?;
        let mut take = |range: Range<usize>, raw: &[u8]| take(mark + range.start..mark + range.end, raw);
        let read = match &mut self.form {
            Form::Json(_) => Ok(0),
            Form::Lines(line) => ndjson::feed(text, last, line, &mut |range| {
                Ok::<(), Halt>(take(range.clone(), &text.as_bytes()[range])?)
            }),
            Form::Rows(table) => table.feed(text, last, &mut |range, raw| Ok::<(), Halt>(take(range, raw)?)),
        };
        Ok(mark + read?)
    }

    /// The window as text, as far as its last letter is whole, and how long the mark before it is.
    fn text<'a>(&self, window: &'a [u8], last: bool) -> Result<(usize, &'a str), Broken> {
        let mark = if self.base == 0 && window.starts_with(charset::MARK) { charset::MARK.len() } else { 0 };
        let text = match std::str::from_utf8(&window[mark..]) {
            Err(error) if error.error_len().is_none() && !last => {
                std::str::from_utf8(&window[mark..mark + error.valid_up_to()])
            }
            text => text,
        };
        text.map(|text| (mark, text)).map_err(|error| charset::not_utf8(self.base + mark + error.valid_up_to()))
    }

    /// The item of a piece: as it is, or a row as an object.
    #[must_use]
    pub fn item(&self, piece: Bytes) -> Bytes {
        match (&self.form, std::str::from_utf8(&piece)) {
            (Form::Rows(table), Ok(text)) => Bytes::from(table.row(text)),
            _ => piece,
        }
    }

    /// The document without its items; none where the list is not there, or too much is beside it.
    pub fn rest(&self) -> Option<Bytes> {
        match &self.form {
            Form::Json(splitter) => splitter.rest().map(Bytes::copy_from_slice),
            Form::Lines(_) | Form::Rows(_) => Some(Bytes::from_static(b"[]")),
        }
    }

    fn explain(&self, halt: Halt) -> Failure {
        match halt {
            Halt::Failure(failure) => failure,
            Halt::Json(error) => not_json(&self.beginning, &error),
            Halt::Broken(broken) => match html_in(&self.beginning) {
                Some(begins) => refused(self.format, &format!("it is HTML and begins with `{begins}`")),
                None => explain(self.format, &broken),
            },
        }
    }
}
