//! A document seen through rules: which of its places count, and how.
//!
//! A lens belongs to the one document it was made for.

mod encode;

use std::collections::{BTreeMap, HashSet};

use super::tolerance::{Tolerance, numeric};
use crate::core::extract::element_key;
use crate::core::json::Json;
use crate::core::path::{JsonPath, Token};

pub(in crate::core) use encode::Numbers;

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
        /// How the value itself is compared.
        how: How<'a>,
    },
}

/// How a value is compared.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::core) struct How<'a> {
    order: Order,
    tolerances: Vec<&'a Tolerance>,
}

/// What the order of an array means.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::core) enum Order {
    /// Its elements are told apart by where they stand.
    #[default]
    Listed,
    /// Each that counts has a key of its own; the others have none here.
    Keyed(Vec<Option<String>>),
    /// None.
    Free,
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
            Lens::Part { rest, places, .. } => {
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

    /// What the order of the elements means.
    pub(in crate::core) fn order(&self) -> &Order {
        const LISTED: &Order = &Order::Listed;
        if let Self::Part { how, .. } = self { &how.order } else { LISTED }
    }

    /// Is the step from `old`, seen through this lens, to `new`, seen through that one, too small to count?
    pub(in crate::core) fn covers(&self, old: &Json, lens: &Lens<'_>, new: &Json) -> bool {
        let covered = |lens: &Lens<'_>| lens.tolerances().iter().any(|tolerance| tolerance.covers(old, new));
        covered(self) && covered(lens)
    }

    fn tolerances(&self) -> &[&'a Tolerance] {
        if let Self::Part { how, .. } = self { &how.tolerances } else { &[] }
    }

    /// Is this a number that may move?
    fn is_tolerated(&self, json: &Json) -> bool {
        !self.tolerances().is_empty() && numeric(json).is_some()
    }

    /// What is said of a child of which nothing was said yet, in a value of which something now is.
    fn open(&mut self, untold: Self) -> Option<(&mut BTreeMap<Token<'a>, Self>, Self)> {
        if *self == untold {
            *self = Self::Part { rest: untold == Self::Whole, places: BTreeMap::new(), how: How::default() };
        }
        let Self::Part { rest, places, .. } = self else { return None };
        Some((places, if *rest { Self::Whole } else { Self::Nothing }))
    }

    /// From now on the value at the end of `way` counts.
    pub(super) fn watch(&mut self, way: &[Token<'a>]) {
        let Some((token, way)) = way.split_first() else {
            *self = Self::Whole;
            return;
        };
        if let Some((places, untold)) = self.open(Self::Nothing) {
            places.entry(*token).or_insert(untold).watch(way);
        }
    }

    /// From now on the value at the end of `way` does not count.
    pub(super) fn ignore(&mut self, way: &[Token<'a>]) {
        let Some((token, way)) = way.split_first() else {
            *self = Self::Nothing;
            return;
        };
        if let Some((places, untold)) = self.open(Self::Whole) {
            places.entry(*token).or_insert(untold).ignore(way);
        }
    }

    /// From now on the number at the end of `way` may move.
    pub(super) fn tolerate(&mut self, way: &[Token<'a>], tolerance: &'a Tolerance) {
        if let Some(how) = self.at(way).and_then(Self::how) {
            how.tolerances.push(tolerance);
        }
    }

    /// From now on the order of the array at the end of `way` does not count.
    pub(super) fn unorder(&mut self, way: &[Token<'a>]) {
        if let Some(how) = self.at(way).and_then(Self::how)
            && how.order == Order::Listed
        {
            how.order = Order::Free;
        }
    }

    /// From now on the elements of the array at the end of `way` are told apart by their keys. A key is seen wherever an
    /// element is, so that a patch that adds one says which it is.
    pub(super) fn key(&mut self, way: &[Token<'a>], item: &'a Json, path: &JsonPath) {
        let array = way.iter().try_fold(item, |json, token| child_of(json, *token)).and_then(Json::as_array);
        let (Some(elements), Some(lens)) = (array, self.at(way)) else { return };
        let counts = |at: usize| *lens.child(Token::Index(at)) != Self::Nothing;
        let key = |(at, element): (usize, &Json)| counts(at).then(|| element_key(path, element));
        let keys: Vec<Option<Option<String>>> = elements.iter().enumerate().map(key).collect();
        let mut seen = HashSet::new();
        if !keys.iter().flatten().all(|key| key.as_ref().is_some_and(|key| seen.insert(key))) {
            return;
        }
        for (at, element) in elements.iter().enumerate().filter(|(at, _)| keys[*at].is_some()) {
            for rest in path.ways(element) {
                let way: Vec<_> = std::iter::once(Token::Index(at)).chain(rest).collect();
                lens.watch(&way);
            }
        }
        if let Some(how) = lens.how() {
            how.order = Order::Keyed(keys.into_iter().map(Option::flatten).collect());
        }
    }

    /// The lens of the value at the end of `way`, where that counts or something in it does.
    fn at(&mut self, way: &[Token<'a>]) -> Option<&mut Self> {
        let Some((token, way)) = way.split_first() else {
            return (*self != Self::Nothing).then_some(self);
        };
        let (places, untold) = self.open(Self::Whole)?;
        places.entry(*token).or_insert(untold).at(way)
    }

    /// How the value itself is compared, to be changed.
    fn how(&mut self) -> Option<&mut How<'a>> {
        self.open(Self::Whole);
        if let Self::Part { how, .. } = self { Some(how) } else { None }
    }

    /// Drops places of which the same is said as of the rest.
    pub(super) fn tidy(&mut self) {
        let Self::Part { rest, places, how } = self else { return };
        let untold = if *rest { Self::Whole } else { Self::Nothing };
        places.values_mut().for_each(Lens::tidy);
        places.retain(|_, lens| *lens != untold);
        if places.is_empty() && (!*rest || *how == How::default()) {
            *self = untold;
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
