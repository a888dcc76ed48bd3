//! What counts in a document as bytes to be hashed, and as a document of its own.
//!
//! Elements whose order does not count are hashed in an order that hangs on nothing but themselves.

use super::{Lens, Order, Reach, child_of};
use crate::core::json::{Encoder, Json};
use crate::core::names::Digest;
use crate::core::path::Token;

/// What a digest makes of numbers that may move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Numbers {
    /// What they are.
    Exact,
    /// That they are numbers: documents that differ in nothing else have one digest.
    Masked,
}

/// A step on the way to a place that counts.
enum Step<'s> {
    Token(Token<'s>),
    Key(&'s str),
}

impl<'a> Lens<'a> {
    /// The digest of the canonical form of what counts in `json`.
    pub(in crate::core) fn digest(&self, json: &Json, numbers: Numbers) -> Digest {
        let mut encoder = Encoder::default();
        match self.reach() {
            Reach::Counted => self.encode(json, numbers, &mut encoder),
            Reach::Inside => {
                encoder.put(b"w");
                self.encode_places(json, numbers, &mut Vec::new(), &mut encoder);
            }
            Reach::Nothing => encoder.put(b"-"),
        }
        encoder.finish()
    }

    /// The value without what is left out of it.
    fn encode(&self, json: &Json, numbers: Numbers, encoder: &mut Encoder) {
        match (self, json) {
            (Self::Part { .. }, Json::Array(elements)) => self.encode_elements(elements, numbers, encoder),
            (Self::Part { .. }, Json::Object(members)) => {
                let members = members.iter().map(|(name, value)| (name, self.child(Token::Name(name)), value));
                let mut members: Vec<_> = members.filter(|(_, lens, _)| **lens != Self::Nothing).collect();
                members.sort_unstable_by_key(|(name, ..)| *name);
                encoder.object(members.len());
                for (name, lens, value) in members {
                    encoder.text(name);
                    lens.encode(value, numbers, encoder);
                }
            }
            _ if numbers == Numbers::Masked && self.is_tolerated(json) => encoder.put(b"~"),
            _ => encoder.value(json),
        }
    }

    fn encode_elements(&self, elements: &[Json], numbers: Numbers, encoder: &mut Encoder) {
        let elements = elements.iter().enumerate().map(|(at, element)| (at, self.child(Token::Index(at)), element));
        let mut elements: Vec<_> = elements.filter(|(_, lens, _)| **lens != Self::Nothing).collect();
        match self.order() {
            Order::Listed => {
                encoder.array(elements.len());
                for (_, lens, element) in elements {
                    lens.encode(element, numbers, encoder);
                }
            }
            Order::Keyed(keys) => {
                elements.sort_unstable_by_key(|(at, ..)| &keys[*at]);
                encoder.put(b"k");
                encoder.array(elements.len());
                for (at, lens, element) in elements {
                    encoder.text(keys[at].as_deref().unwrap_or_default());
                    lens.encode(element, numbers, encoder);
                }
            }
            Order::Free => {
                let digests = elements.iter().map(|(_, lens, element)| lens.digest(element, numbers)).collect();
                encode_set(digests, encoder);
            }
        }
    }

    /// The places that count, each with its way and its value.
    fn encode_places<'s>(&'s self, json: &Json, numbers: Numbers, way: &mut Vec<Step<'s>>, encoder: &mut Encoder) {
        let places = self.places().filter_map(|(token, lens)| Some((token, lens, child_of(json, token)?)));
        match (self.order(), json) {
            (Order::Free, Json::Array(_)) => {
                let digests: Vec<_> = places.map(|(_, lens, child)| lens.digest(child, numbers)).collect();
                if !digests.is_empty() {
                    encode_way(way, encoder);
                    encode_set(digests, encoder);
                }
            }
            (Order::Keyed(keys), Json::Array(_)) => {
                let key = |token| if let Token::Index(at) = token { keys.get(at)?.as_deref() } else { None };
                let mut places: Vec<_> =
                    places.filter_map(|(token, lens, child)| Some((key(token)?, lens, child))).collect();
                places.sort_unstable_by_key(|(key, ..)| *key);
                for (key, lens, child) in places {
                    lens.encode_place(Step::Key(key), child, numbers, way, encoder);
                }
            }
            _ => {
                for (token, lens, child) in places {
                    lens.encode_place(Step::Token(token), child, numbers, way, encoder);
                }
            }
        }
    }

    fn encode_place<'s>(
        &'s self,
        step: Step<'s>,
        json: &Json,
        numbers: Numbers,
        way: &mut Vec<Step<'s>>,
        encoder: &mut Encoder,
    ) {
        way.push(step);
        match self.reach() {
            Reach::Inside => self.encode_places(json, numbers, way, encoder),
            Reach::Counted => {
                encode_way(way, encoder);
                self.encode(json, numbers, encoder);
            }
            Reach::Nothing => {}
        }
        way.pop();
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

fn encode_way(way: &[Step<'_>], encoder: &mut Encoder) {
    encoder.array(way.len());
    for step in way {
        match step {
            Step::Token(Token::Name(name)) => {
                encoder.put(b"m");
                encoder.text(name);
            }
            Step::Token(Token::Index(index)) => encoder.array(*index),
            Step::Key(key) => {
                encoder.put(b"k");
                encoder.text(key);
            }
        }
    }
}

fn encode_set(mut digests: Vec<Digest>, encoder: &mut Encoder) {
    digests.sort_unstable();
    encoder.put(b"u");
    encoder.array(digests.len());
    for digest in digests {
        encoder.put(&digest.0);
    }
}
