//! A document seen through rules: which of its places count.
//!
//! A lens belongs to the one document it was made for.

use std::collections::BTreeMap;

use crate::core::json::{Encoder, Json};
use crate::core::names::Digest;
use crate::core::path::Token;

/// Which parts of a value count.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::core) enum Lens<'a> {
    /// All of it.
    Whole,
    /// None of it.
    Nothing,
    /// What `places` say, and of the rest all or none.
    Part {
        /// Does the rest count?
        rest: bool,
        /// Children of which not the same can be said as of the rest.
        places: BTreeMap<Token<'a>, Lens<'a>>,
    },
}

/// How far a lens reaches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::core) enum Reach {
    /// The value itself counts, though parts of it may not.
    Counted,
    /// Only places inside the value count.
    Inside,
    /// Nothing does.
    Nothing,
}

impl<'a> Lens<'a> {
    /// What this lens says of a child.
    pub(in crate::core) fn child<'s>(&'s self, token: Token<'s>) -> &'s Lens<'s>
    where
        'a: 's,
    {
        let lens: &'s Lens<'s> = self;
        match lens {
            Lens::Whole => &Lens::Whole,
            Lens::Nothing => &Lens::Nothing,
            Lens::Part { rest, places } => {
                places.get(&token).unwrap_or(if *rest { &Lens::Whole } else { &Lens::Nothing })
            }
        }
    }

    /// How far it reaches.
    pub(in crate::core) fn reach(&self) -> Reach {
        match self {
            Self::Whole | Self::Part { rest: true, .. } => Reach::Counted,
            Self::Part { rest: false, .. } => Reach::Inside,
            Self::Nothing => Reach::Nothing,
        }
    }

    /// The children that are told apart from the rest.
    pub(in crate::core) fn places(&self) -> impl Iterator<Item = (Token<'a>, &Lens<'a>)> {
        let places = if let Self::Part { places, .. } = self { Some(places) } else { None };
        places.into_iter().flatten().map(|(token, lens)| (*token, lens))
    }

    /// From now on the value at the end of `way` counts.
    pub(super) fn watch(&mut self, way: &[Token<'a>]) {
        if *self == Self::Whole {
            return;
        }
        let Some((token, way)) = way.split_first() else {
            *self = Self::Whole;
            return;
        };
        if *self == Self::Nothing {
            *self = Self::Part { rest: false, places: BTreeMap::new() };
        }
        if let Self::Part { places, .. } = self {
            places.entry(*token).or_insert(Self::Nothing).watch(way);
        }
    }

    /// From now on the value at the end of `way` does not count.
    pub(super) fn ignore(&mut self, way: &[Token<'a>]) {
        if *self == Self::Nothing {
            return;
        }
        let Some((token, way)) = way.split_first() else {
            *self = Self::Nothing;
            return;
        };
        if *self == Self::Whole {
            *self = Self::Part { rest: true, places: BTreeMap::new() };
        }
        if let Self::Part { rest, places } = self {
            let untold = if *rest { Self::Whole } else { Self::Nothing };
            places.entry(*token).or_insert(untold).ignore(way);
        }
    }

    /// Drops places of which the same is said as of the rest.
    pub(super) fn tidy(&mut self) {
        let Self::Part { rest, places } = self else { return };
        let untold = if *rest { Self::Whole } else { Self::Nothing };
        places.values_mut().for_each(Lens::tidy);
        places.retain(|_, lens| *lens != untold);
        if places.is_empty() {
            *self = untold;
        }
    }

    /// The digest of the canonical form of what counts in `json`.
    pub(in crate::core) fn digest(&self, json: &Json) -> Digest {
        let mut encoder = Encoder::default();
        match self.reach() {
            Reach::Counted => self.encode(json, &mut encoder),
            Reach::Inside => {
                encoder.put(b"w");
                self.encode_places(json, &mut Vec::new(), &mut encoder);
            }
            Reach::Nothing => encoder.put(b"-"),
        }
        encoder.finish()
    }

    /// The value without what is left out of it.
    fn encode(&self, json: &Json, encoder: &mut Encoder) {
        match (self, json) {
            (Self::Part { .. }, Json::Array(elements)) => {
                let elements = elements.iter().enumerate().map(|(at, element)| (self.child(Token::Index(at)), element));
                let elements: Vec<_> = elements.filter(|(lens, _)| **lens != Self::Nothing).collect();
                encoder.array(elements.len());
                for (lens, element) in elements {
                    lens.encode(element, encoder);
                }
            }
            (Self::Part { .. }, Json::Object(members)) => {
                let members = members.iter().map(|(name, value)| (name, self.child(Token::Name(name)), value));
                let mut members: Vec<_> = members.filter(|(_, lens, _)| **lens != Self::Nothing).collect();
                members.sort_unstable_by_key(|(name, ..)| *name);
                encoder.object(members.len());
                for (name, lens, value) in members {
                    encoder.text(name);
                    lens.encode(value, encoder);
                }
            }
            _ => encoder.value(json),
        }
    }

    /// The places that count, each with its way and its value.
    fn encode_places(&self, json: &Json, way: &mut Vec<Token<'a>>, encoder: &mut Encoder) {
        for (token, lens) in self.places() {
            let Some(child) = child_of(json, token) else { continue };
            way.push(token);
            match lens.reach() {
                Reach::Inside => lens.encode_places(child, way, encoder),
                Reach::Counted => {
                    encoder.array(way.len());
                    for token in way.iter() {
                        match token {
                            Token::Name(name) => {
                                encoder.put(b"m");
                                encoder.text(name);
                            }
                            Token::Index(index) => encoder.array(*index),
                        }
                    }
                    lens.encode(child, encoder);
                }
                Reach::Nothing => {}
            }
            way.pop();
        }
    }

    /// The value without the members that do not count. Elements of arrays stay, because their positions mean something.
    pub(in crate::core) fn project(&self, json: &Json) -> Json {
        match (self, json) {
            (Self::Part { .. }, Json::Object(members)) => {
                let members = members.iter().map(|(name, value)| (name, self.child(Token::Name(name)), value));
                let kept = members.filter(|(_, lens, _)| **lens != Self::Nothing);
                Json::object(kept.map(|(name, lens, value)| (name.as_str(), lens.project(value))))
            }
            (Self::Part { .. }, Json::Array(elements)) => {
                let kept = |(at, element): (usize, &Json)| self.child(Token::Index(at)).project(element);
                Json::Array(elements.iter().enumerate().map(kept).collect())
            }
            _ => json.clone(),
        }
    }
}

/// The child of a value that a token leads to.
pub(in crate::core) fn child_of<'j>(json: &'j Json, token: Token<'_>) -> Option<&'j Json> {
    match (json, token) {
        (Json::Object(_), Token::Name(name)) => json.get(name),
        (Json::Array(elements), Token::Index(at)) => elements.get(at),
        _ => None,
    }
}
