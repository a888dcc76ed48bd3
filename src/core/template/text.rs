//! Text in which expressions and secrets stand, as a request needs it: rendered as text, as a value, or into a URL.
//!
//! A text without either is held as a plain string, so that most of a config costs nothing.

use std::ops::Range;

use super::compile::{Piece, pieces};
use super::source::Source;
use super::value::{print, show, to_json};
use super::{Names, OUTPUT_MAX, Part, Side, encode};
use crate::core::json::Json;
use crate::core::path::Complaint;
use crate::core::secret::Masked;

/// A template in which secrets stand too. The template is compiled before the secrets are put in.
#[derive(Clone, Debug)]
pub struct Text {
    body: Body,
    source: Option<Box<str>>,
}

#[derive(Clone, Debug)]
enum Body {
    /// No expressions, no secrets. It is the source, too.
    Constant(Box<str>),
    Pieces {
        pieces: Box<[Piece]>,
        /// One whole expression: keeps its type.
        whole: bool,
    },
}

impl Text {
    /// Compiles; `names` are the top-level names there are. A complaint's span counts in [`Text::source`].
    pub fn compile(parts: &[Part], names: &[&str]) -> Result<Self, Complaint> {
        Self::build(&Source::new(parts)?, names, false)
    }

    /// Compiles a whole URL, to be rendered with [`Text::render_url`]. An expression may stand in its path, query and
    /// fragment, not in what says where a request goes: scheme, user, host and port.
    pub fn compile_url(parts: &[Part], names: &[&str]) -> Result<Self, Complaint> {
        let source = Source::new(parts)?;
        let text = Self::build(&source, names, true)?;
        let Body::Pieces { pieces, .. } = &text.body else { return Ok(text) };
        let fixed: String = pieces.iter().map_while(constant).collect();
        if pieces.iter().all(Piece::is_constant) || holds_authority(&fixed) {
            return Ok(text);
        }
        let from = source.text.find("{{").into_iter().chain(source.text.find("{%")).min().unwrap_or(0);
        Err(Complaint {
            problem: format!("`{}` has an expression where the scheme, host or port stands", source.excerpt()),
            hint: Some("write those out, as in \"https://api.example/orders/{{ cursor }}\"".to_owned()),
            span: Some(source.span(from..source.text.len())),
        })
    }

    fn build(source: &Source, names: &[&str], url: bool) -> Result<Self, Complaint> {
        let (pieces, whole) = pieces(source, names, url)?;
        Ok(match pieces.as_slice() {
            [] => Self { body: Body::Constant("".into()), source: None },
            [Piece::Raw(text)] if **text == *source.text => Self { body: Body::Constant(text.clone()), source: None },
            _ => Self { body: Body::Pieces { pieces: pieces.into(), whole }, source: Some(source.written().into()) },
        })
    }

    /// As it was written, secrets as their references: `${env:TOKEN}`. Says nothing of what they hold.
    pub fn source(&self) -> &str {
        match (&self.source, &self.body) {
            (Some(source), _) => source,
            (None, Body::Constant(text)) => text,
            (None, Body::Pieces { .. }) => "",
        }
    }

    /// The text, when it has no expression and no secret.
    pub fn literal(&self) -> Option<&str> {
        match &self.body {
            Body::Constant(text) => Some(text),
            Body::Pieces { .. } => None,
        }
    }

    /// True when it renders to the same each time: it has no expression.
    pub fn is_constant(&self) -> bool {
        match &self.body {
            Body::Constant(_) => true,
            Body::Pieces { pieces, .. } => pieces.iter().all(Piece::is_constant),
        }
    }

    /// True when a secret stands in it.
    pub fn hides(&self) -> bool {
        match &self.body {
            Body::Constant(_) => false,
            Body::Pieces { pieces, .. } => pieces.iter().any(Piece::hides),
        }
    }

    /// Renders as text. `None` when the text is one whole expression that yields none: the member is left out.
    pub fn render(&self, names: &Names<'_>) -> Result<Option<Masked>, String> {
        self.masked(|side| Ok(self.value(names, side)?.map(|value| show(&value))))
    }

    /// Renders as a URL: what an expression yields is percent-encoded as one segment or value (RFC 3986, section 2.1),
    /// so that it can't add a segment, a parameter or a fragment. In the path, none, `.` and `..` are errors: they would
    /// name another resource.
    pub fn render_url(&self, names: &Names<'_>) -> Result<Masked, String> {
        let url = self.masked(|side| self.url(names, side).map(Some))?;
        Ok(url.unwrap_or_else(|| Masked::open("")))
    }

    fn masked(&self, render: impl Fn(Side) -> Result<Option<String>, String>) -> Result<Option<Masked>, String> {
        let Some(plain) = render(Side::Sent)? else { return Ok(None) };
        if !self.hides() {
            return Ok(Some(Masked::open(plain)));
        }
        // What decides on a secret may fail or yield none on its stand-in.
        let shown = render(Side::Shown).ok().flatten().unwrap_or_else(|| "***".to_owned());
        Ok(Some(Masked::new(plain, shown)))
    }

    /// Renders to a value: one whole expression keeps its type, anything else is a string. `None` when one whole
    /// expression yields none.
    pub(super) fn value(&self, names: &Names<'_>, side: Side) -> Result<Option<Json>, String> {
        let pieces = match &self.body {
            Body::Constant(text) => return Ok(Some(Json::String(text.to_string()))),
            Body::Pieces { pieces, whole: true } => return whole(pieces, names, side),
            Body::Pieces { pieces, whole: false } => pieces,
        };
        let mut text = String::new();
        for piece in pieces {
            text.push_str(&printed(piece, names, side)?);
            check_size(&text)?;
        }
        Ok(Some(Json::String(text)))
    }

    fn url(&self, names: &Names<'_>, side: Side) -> Result<String, String> {
        let pieces = match &self.body {
            Body::Constant(text) => return Ok(text.to_string()),
            Body::Pieces { pieces, .. } => pieces,
        };
        let mut url = String::new();
        let mut filled: Vec<Range<usize>> = Vec::new();
        for piece in pieces {
            let text = printed(piece, names, side)?;
            let from = url.len();
            match piece {
                Piece::Raw(_) | Piece::Secret(_) => url.push_str(&text),
                Piece::Program(program) if program.encoded => url.push_str(&text),
                Piece::Place(_) | Piece::Program(_) if text.is_empty() && !url.contains(['?', '#']) => {
                    return Err(format!("`{}` is empty, and the path of a URL can't do without it", written(piece)));
                }
                Piece::Place(_) | Piece::Program(_) => url.push_str(&encode(&text)),
            }
            if !piece.is_constant() {
                filled.push(from..url.len());
            }
            check_size(&url)?;
        }
        match climbs(&url, &filled) {
            Some(dots) => Err(format!("`{dots}` can't be a segment of a URL's path: it would name another resource")),
            None => Ok(url),
        }
    }
}

fn check_size(text: &str) -> Result<(), String> {
    if text.len() > OUTPUT_MAX { Err("the result is larger than 4 MiB".to_owned()) } else { Ok(()) }
}

fn whole(pieces: &[Piece], names: &Names<'_>, side: Side) -> Result<Option<Json>, String> {
    let value = match pieces.first() {
        Some(Piece::Place(place)) => place.find(names).clone(),
        Some(Piece::Program(program)) => {
            let value = program.run(names, side)?;
            to_json(&value).map_err(|error| problem(&error))?
        }
        _ => Json::Null,
    };
    Ok(Some(value).filter(|value| *value != Json::Null))
}

fn printed(piece: &Piece, names: &Names<'_>, side: Side) -> Result<String, String> {
    match piece {
        Piece::Raw(text) => Ok(text.to_string()),
        Piece::Secret(secret) if side == Side::Sent => Ok(secret.expose().to_owned()),
        Piece::Secret(_) => Ok("***".to_owned()),
        Piece::Place(place) => Ok(show(place.find(names))),
        Piece::Program(program) => print(&program.run(names, side)?).map_err(|error| problem(&error)),
    }
}

fn problem(error: &minijinja::Error) -> String {
    error.detail().map_or_else(|| error.kind().to_string(), str::to_owned)
}

fn written(piece: &Piece) -> String {
    match piece {
        Piece::Place(place) => place.to_string(),
        Piece::Program(_) => "an expression".to_owned(),
        Piece::Raw(_) | Piece::Secret(_) => String::new(),
    }
}

fn constant(piece: &Piece) -> Option<&str> {
    match piece {
        Piece::Raw(text) => Some(text),
        Piece::Secret(secret) => Some(secret.expose()),
        Piece::Place(_) | Piece::Program(_) => None,
    }
}

/// Does a URL's beginning hold the whole of its scheme and authority (RFC 3986, section 3)?
fn holds_authority(url: &str) -> bool {
    let Some((scheme, rest)) = url.split_once("://") else { return false };
    let named = !scheme.is_empty() && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    named && rest.find(['/', '?', '#']).is_some_and(|end| end > 0)
}

/// The segment `.` or `..`, plain or percent-encoded, where what was filled in made it. RFC 3986, section 5.2.4.
fn climbs<'u>(url: &'u str, filled: &[Range<usize>]) -> Option<&'u str> {
    let path_end = url.find(['?', '#']).unwrap_or(url.len());
    let mut from = 0;
    for segment in url[..path_end].split(['/', '\\']) {
        let range = from..from + segment.len();
        from = range.end + 1;
        let touched = filled.iter().any(|part| part.start <= range.end && part.end >= range.start && !part.is_empty());
        let plain = segment.to_ascii_lowercase().replace("%2e", ".");
        if touched && (plain == "." || plain == "..") {
            return Some(segment);
        }
    }
    None
}
