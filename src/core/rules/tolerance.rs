//! How far a number may move before that is a change.
//!
//! It is measured from the value last reported, so that a slow drift adds up; who hands that in is not its business.

use std::borrow::Cow;

use crate::core::json::{Json, Number};
use crate::core::path::Complaint;

/// Digits that a tolerance may have: far more than any measurement's.
const DIGITS_MAX: usize = 20;

/// How far a number may move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tolerance {
    /// By so much.
    By(Number),
    /// By so many percent of what it was. Of zero that is nothing.
    Percent(Number),
}

impl Tolerance {
    /// A number that is not negative.
    ///
    /// # Errors
    /// The complaint says what to type.
    pub fn by(text: &str) -> Result<Self, Complaint> {
        amount(text, text).map(Self::By)
    }

    /// A share, as in `0.5%`.
    ///
    /// # Errors
    /// The complaint says what to type.
    pub fn percent(text: &str) -> Result<Self, Complaint> {
        match text.strip_suffix('%') {
            Some(share) => amount(share.trim_end(), text).map(Self::Percent),
            None => Err(wrong(text)),
        }
    }

    /// As it is written in the config: `"0.5%"`, `0.2`.
    pub(super) fn to_json(&self) -> Json {
        match self {
            Self::By(number) => Json::Number(number.clone()),
            Self::Percent(number) => Json::String(format!("{number}%")),
        }
    }

    pub(super) fn from_json(json: &Json) -> Option<Self> {
        match json {
            Json::Number(number) => Self::by(number.as_str()).ok(),
            Json::String(text) => Self::percent(text).ok(),
            _ => None,
        }
    }

    /// Is the step from one value to the other too small to count? Text that is a number is taken as one.
    pub(super) fn covers(&self, old: &Json, new: &Json) -> bool {
        let (Some(old), Some(new)) = (numeric(old), numeric(new)) else { return false };
        match self {
            Self::By(by) => old.is_within(&new, by),
            Self::Percent(percent) => old.is_within_percent(&new, percent),
        }
    }
}

/// The number that a value is, or that its text is: many vendors send amounts as text.
pub(super) fn numeric(json: &Json) -> Option<Cow<'_, Number>> {
    match json {
        Json::Number(number) => Some(Cow::Borrowed(number)),
        Json::String(text) => Number::parse(text).map(Cow::Owned),
        _ => None,
    }
}

fn amount(text: &str, whole: &str) -> Result<Number, Complaint> {
    let number = Number::parse(text).filter(|_| text.len() <= DIGITS_MAX && !text.starts_with('-'));
    number.ok_or_else(|| wrong(whole))
}

fn wrong(text: &str) -> Complaint {
    Complaint {
        problem: format!("`{text}` is not how far a number may move"),
        hint: Some(format!(
            "write a share, as in `\"0.5%\"`, or a number without quotes, as in `0.2`; not below zero, and at most \
             {DIGITS_MAX} digits"
        )),
        span: None,
    }
}
