//! XML: an object named by the root element, attributes as `@name`, text as `#text`, repeated elements an array.
//!
//! An element with text alone is that text, an empty one the empty text; white space alone is no text. Names keep their
//! prefix. What is kept of an element is its JSON, built from the inside out; there is no tree of the document.

mod walk;

use std::borrow::Cow;
use std::collections::HashMap;

pub(super) use self::walk::{Attribute, Visit, walk};
use super::NAMES_MAX;
use super::broken::Broken;
use crate::core::json;

/// Up to here a name is found by looking at each.
const FEW: usize = 12;

/// The document; elements named in `arrays` are always an array.
pub(super) fn to_json(text: &str, arrays: &[String]) -> Result<Vec<u8>, Broken> {
    let mut builder = Builder { arrays, open: vec![Element::default()] };
    walk(text, &mut builder)?;
    let mut out = Vec::with_capacity(text.len());
    builder.open.pop().unwrap_or_default().write(arrays, &mut out);
    Ok(out)
}

/// Builds the elements that are open; the first holds the root element.
struct Builder<'a> {
    arrays: &'a [String],
    open: Vec<Element>,
}

/// An element as far as it was read.
#[derive(Default)]
struct Element {
    name: String,
    members: Vec<Member>,
    /// Where a name is in `members`, once they are not few.
    index: HashMap<String, usize>,
    text: String,
}

/// All that stands under one name.
struct Member {
    name: String,
    json: Vec<u8>,
    count: usize,
}

impl Visit for Builder<'_> {
    fn open(&mut self, name: &str, attributes: &[Attribute<'_>], _: usize) -> Result<(), Cow<'static, str>> {
        let mut element = Element { name: name.to_owned(), ..Element::default() };
        for (name, value) in attributes {
            let mut json = Vec::with_capacity(value.len() + 2);
            json::push_string(value, &mut json);
            element.add(format!("@{name}"), json)?;
        }
        self.open.push(element);
        Ok(())
    }

    fn text(&mut self, text: &str) {
        if let Some(element) = self.open.last_mut() {
            element.text.push_str(text);
        }
    }

    fn close(&mut self, _: usize) -> Result<(), Cow<'static, str>> {
        let Some(mut element) = self.open.pop() else { return Ok(()) };
        let mut json = Vec::new();
        let name = std::mem::take(&mut element.name);
        element.write(self.arrays, &mut json);
        self.open.last_mut().map_or(Ok(()), |parent| parent.add(name, json))
    }
}

impl Element {
    /// Adds a value under a name, which may have one already.
    fn add(&mut self, name: String, json: Vec<u8>) -> Result<(), Cow<'static, str>> {
        if let Some(at) = self.find(&name) {
            let member = &mut self.members[at];
            member.json.push(b',');
            member.json.extend_from_slice(&json);
            member.count += 1;
            return Ok(());
        }
        if self.members.len() >= NAMES_MAX {
            return Err(format!("an element holds more than {NAMES_MAX} different names").into());
        }
        self.members.push(Member { name, json, count: 1 });
        self.note_names();
        Ok(())
    }

    fn find(&self, name: &str) -> Option<usize> {
        match self.members.len() <= FEW {
            true => self.members.iter().position(|member| member.name == name),
            false => self.index.get(name).copied(),
        }
    }

    /// Notes the names that are not in the index, once there are too many to look at each.
    fn note_names(&mut self) {
        if self.members.len() > FEW {
            let noted = self.index.len();
            let names = self.members.iter().enumerate().skip(noted);
            self.index.extend(names.map(|(at, member)| (member.name.clone(), at)));
        }
    }

    fn write(&self, arrays: &[String], out: &mut Vec<u8>) {
        let text = if self.text.trim_ascii().is_empty() { "" } else { &self.text };
        if self.members.is_empty() {
            return json::push_string(text, out);
        }
        out.push(b'{');
        for (at, member) in self.members.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            json::push_string(&member.name, out);
            out.push(b':');
            let is_array = member.count > 1 || arrays.contains(&member.name);
            out.extend_from_slice(if is_array { b"[" } else { b"" });
            out.extend_from_slice(&member.json);
            out.extend_from_slice(if is_array { b"]" } else { b"" });
        }
        if !text.is_empty() {
            out.extend_from_slice(b",\"#text\":");
            json::push_string(text, out);
        }
        out.push(b'}');
    }
}
