//! A walk through XML that is well formed: elements, attributes and text, in their order.
//!
//! Only the five entities of XML itself and character references are resolved. A document that defines entities of its
//! own is refused, so that none can grow on being read; nothing is ever fetched.

use std::borrow::Cow;

use quick_xml::XmlVersion;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::reader::Reader;

use crate::core::document::broken::{Broken, quote};
use crate::core::document::{ATTRIBUTES_MAX, XML_DEPTH_MAX};

/// A name and its value, whose references are resolved.
pub(in crate::core::document) type Attribute<'a> = (&'a str, Cow<'a, str>);

/// Who is told what stands in a document. An `Err` ends the walk.
pub(in crate::core::document) trait Visit {
    /// An element begins; what is in it begins at this byte.
    fn open(&mut self, name: &str, attributes: &[Attribute<'_>], at: usize) -> Result<(), Cow<'static, str>>;
    /// A piece of the text of the element that is open.
    fn text(&mut self, text: &str);
    /// The element that is open ends; what was in it ended at this byte.
    fn close(&mut self, at: usize) -> Result<(), Cow<'static, str>>;
}

/// Walks through a document. Comments and processing instructions are passed over.
pub(in crate::core::document) fn walk(text: &str, visit: &mut impl Visit) -> Result<(), Broken> {
    let mut walk = Walk { reader: Reader::from_str(text), visit, open: Vec::new(), rooted: false };
    loop {
        let at = walk.here();
        match walk.step(at) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(what) => return Err(Broken::at(text.as_bytes(), begin(text, at.max(walk.error_at())), what)),
        }
    }
}

/// The first byte from `at` on that is no white space.
fn begin(text: &str, at: usize) -> usize {
    text.get(at..).map_or(at, |rest| text.len() - rest.trim_ascii_start().len())
}

struct Walk<'a, 'v, V> {
    reader: Reader<&'a [u8]>,
    visit: &'v mut V,
    /// The names of the elements that are open.
    open: Vec<String>,
    /// Has the root element begun?
    rooted: bool,
}

impl<V: Visit> Walk<'_, '_, V> {
    /// Bytes from the start.
    fn here(&self) -> usize {
        usize::try_from(self.reader.buffer_position()).unwrap_or(usize::MAX)
    }

    fn error_at(&self) -> usize {
        usize::try_from(self.reader.error_position()).unwrap_or(usize::MAX)
    }

    /// Takes what comes next; false at the end.
    fn step(&mut self, at: usize) -> Result<bool, Cow<'static, str>> {
        match self.reader.read_event().map_err(|error| plain(&error))? {
            Event::Start(tag) => self.begin(&tag)?,
            Event::Empty(tag) => {
                self.begin(&tag)?;
                let here = self.here();
                self.end(here)?;
            }
            Event::End(_) => self.end(at)?,
            Event::Text(text) => self.text(&text.xml10_content())?,
            Event::CData(text) => self.text(&text.xml10_content())?,
            Event::GeneralRef(reference) => self.reference(&reference)?,
            Event::DocType(doctype) if doctype.contains("<!ENTITY") => {
                return Err("the document defines entities of its own, which are never expanded".into());
            }
            Event::DocType(_) | Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::Eof => return self.finish(),
        }
        Ok(true)
    }

    fn begin(&mut self, tag: &BytesStart<'_>) -> Result<(), Cow<'static, str>> {
        let name = tag.name();
        let name = name.as_ref();
        if name.is_empty() {
            return Err("an element has no name".into());
        }
        if self.open.is_empty() && self.rooted {
            return Err(format!("a second root element begins, `<{}>`", quote(name)).into());
        }
        if self.open.len() >= XML_DEPTH_MAX {
            return Err(format!("elements nest deeper than {XML_DEPTH_MAX}").into());
        }
        let mut attributes: Vec<Attribute<'_>> = Vec::new();
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| format!("in `<{}>`: {error}", quote(name)))?;
            if attributes.len() >= ATTRIBUTES_MAX {
                return Err(format!("`<{}>` has more than {ATTRIBUTES_MAX} attributes", quote(name)).into());
            }
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            let value = value.map_err(|error| format!("in `<{}>`: {}", quote(name), plain(&error)))?;
            attributes.push((attribute.key.into_inner(), value));
        }
        self.rooted = true;
        let here = self.here();
        self.visit.open(name, &attributes, here)?;
        self.open.push(name.to_owned());
        Ok(())
    }

    fn end(&mut self, at: usize) -> Result<(), Cow<'static, str>> {
        self.open.pop();
        self.visit.close(at)
    }

    fn text(&mut self, text: &str) -> Result<(), Cow<'static, str>> {
        if !self.open.is_empty() {
            self.visit.text(text);
            return Ok(());
        }
        match text.trim_start_matches('\u{feff}').trim_ascii() {
            "" => Ok(()),
            stray => Err(format!("`{}` stands outside the root element", quote(stray)).into()),
        }
    }

    fn reference(&mut self, reference: &BytesRef<'_>) -> Result<(), Cow<'static, str>> {
        if let Some(letter) = reference.resolve_char_ref().map_err(|error| plain(&error))? {
            return self.text(letter.encode_utf8(&mut [0; 4]));
        }
        match resolve_predefined_entity(reference) {
            Some(text) => self.text(text),
            None => Err(format!("the entity `&{};` is none of XML's own five", quote(reference)).into()),
        }
    }

    fn finish(&self) -> Result<bool, Cow<'static, str>> {
        match self.open.last() {
            Some(name) => Err(format!("the text ends inside `<{}>`: is the answer cut off?", quote(name)).into()),
            None if !self.rooted => Err("there is no element in it".into()),
            None => Ok(false),
        }
    }
}

/// The library's sentence without its own introduction.
fn plain(error: &quick_xml::Error) -> Cow<'static, str> {
    let text = error.to_string();
    ["ill-formed document: ", "syntax error: "]
        .iter()
        .find_map(|intro| text.strip_prefix(intro))
        .unwrap_or(&text)
        .to_owned()
        .into()
}
