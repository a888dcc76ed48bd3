//! Numbers that keep their spelling, and what they are worth: exact, of any size, without a float in between.
//!
//! Nothing here does arithmetic on them; the little that is needed is in `within`.

use std::cmp::Ordering;
use std::fmt;

use super::lex;

/// A number in its own spelling. `==` compares spellings; [`Number::compare`] compares values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Number(Box<str>);

/// Zeros that the plain form may fill in; beyond them it has an exponent. More than any amount or id needs.
const FILL_MAX: i128 = 40;

/// Digits of an exponent that are reckoned with. Longer ones are compared as they are written.
const EXPONENT_DIGITS: usize = 36;

/// Stands for an exponent of more digits than [`EXPONENT_DIGITS`].
const FAR: i128 = 10_i128.pow(37);

impl Number {
    /// Reads a number as JSON spells it (RFC 8259, section 6); `None` when the text is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        (lex::number_end(text.as_bytes(), 0) == Ok(text.len())).then(|| Self::trusted(text))
    }

    /// The shortest spelling that reads back as `value`; `None` for what JSON has no number for.
    pub fn from_f64(value: f64) -> Option<Self> {
        if !value.is_finite() {
            return None;
        }
        let plain = 1e-7..1e16;
        let spelling =
            if value == 0.0 || plain.contains(&value.abs()) { format!("{value}") } else { format!("{value:e}") };
        Some(Self(spelling.into()))
    }

    /// A spelling that the caller has checked.
    pub(super) fn trusted(text: &str) -> Self {
        Self(text.into())
    }

    /// As written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The value, where it is a whole number (`1.0` and `1e2` are) in the range of `i64`.
    pub fn as_i64(&self) -> Option<i64> {
        self.as_i128().and_then(|value| value.try_into().ok())
    }

    /// The value, where it is a whole number in the range of `u64`.
    pub fn as_u64(&self) -> Option<u64> {
        self.as_i128().and_then(|value| value.try_into().ok())
    }

    /// The value, where it is a whole number in the range of `i128`.
    pub fn as_i128(&self) -> Option<i128> {
        if let Ok(value) = self.0.parse() {
            return Some(value);
        }
        let decimal = self.decimal();
        let digits = decimal.digits().count();
        let fill = decimal.scale.checked_sub(digits as i128)?;
        if !(0..=FILL_MAX).contains(&fill) || digits > 39 {
            return None;
        }
        let zeros = std::iter::repeat_n(b'0', fill as usize);
        decimal.digits().chain(zeros).try_fold(0_i128, |value, digit| {
            let digit = i128::from(digit - b'0');
            value.checked_mul(10)?.checked_add(if decimal.negative { -digit } else { digit })
        })
    }

    /// The nearest float; `None` beyond the range of `f64`.
    pub fn as_f64(&self) -> Option<f64> {
        self.0.parse().ok().filter(|value: &f64| value.is_finite())
    }

    /// The value in its shortest plain form: `1` for `1.0`, `100` for `1e2`, `0` for `-0`. Where that would take more
    /// than 40 zeros it has an exponent instead: `1e400`.
    pub fn plain(&self) -> String {
        self.decimal().plain().unwrap_or_else(|| self.0.to_string())
    }

    /// Which of two is greater, by value.
    pub fn compare(&self, other: &Self) -> Ordering {
        self.decimal().compare(&other.decimal())
    }

    /// What the spelling is worth.
    pub(super) fn decimal(&self) -> Decimal<'_> {
        Decimal::read(&self.0)
    }
}

impl From<i64> for Number {
    fn from(value: i64) -> Self {
        Self(value.to_string().into())
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self(value.to_string().into())
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A number's value: `0.DIGITS` times ten to the power of `scale`. Equal values have equal fields, save that
/// exponents of more than 36 digits are not reckoned with, only compared.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decimal<'a> {
    /// False for zero.
    pub(super) negative: bool,
    /// The digits without zeros at either end: some before the point,
    pub(super) head: &'a str,
    /// and some after it.
    pub(super) tail: &'a str,
    /// The power of ten; 0 for zero.
    pub(super) scale: i128,
    /// The exponent's digits, where there are too many to reckon with.
    pub(super) far: &'a str,
}

impl<'a> Decimal<'a> {
    fn read(text: &'a str) -> Self {
        let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = rest.split_once(['e', 'E']).unwrap_or((rest, ""));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let (exponent, far) = read_exponent(exponent);
        let (head, tail) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        if head.is_empty() {
            let digits = tail.trim_start_matches('0');
            if digits.is_empty() {
                return Self { negative: false, head: "", tail: "", scale: 0, far: "" };
            }
            let scale = exponent - (tail.len() - digits.len()) as i128;
            return Self { negative, head: "", tail: digits, scale, far };
        }
        let scale = exponent + head.len() as i128;
        let head = if tail.is_empty() { head.trim_end_matches('0') } else { head };
        Self { negative, head, tail, scale, far }
    }

    /// The digits, as ASCII.
    pub(super) fn digits(&self) -> impl Iterator<Item = u8> + 'a {
        self.head.bytes().chain(self.tail.bytes())
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let sign = |value: &Self| match (value.head.is_empty() && value.tail.is_empty(), value.negative) {
            (true, _) => 0,
            (false, true) => -1,
            (false, false) => 1,
        };
        let magnitude = || {
            let far = self.far.len().cmp(&other.far.len()).then_with(|| self.far.cmp(other.far));
            let far = if self.scale < 0 { far.reverse() } else { far };
            let near = self.scale.cmp(&other.scale);
            // Two that are both far off and on the same side differ by their exponents first.
            let scale = if self.far.is_empty() || other.far.is_empty() || (self.scale < 0) != (other.scale < 0) {
                near
            } else {
                far.then(near)
            };
            scale.then_with(|| self.digits().cmp(other.digits()))
        };
        match sign(self).cmp(&sign(other)) {
            Ordering::Equal if self.negative => magnitude().reverse(),
            Ordering::Equal => magnitude(),
            unequal => unequal,
        }
    }

    /// `None` for an exponent that is not reckoned with.
    fn plain(&self) -> Option<String> {
        let digits = format!("{}{}", self.head, self.tail);
        if digits.is_empty() {
            return Some("0".to_owned());
        }
        if !self.far.is_empty() {
            return None;
        }
        let sign = if self.negative { "-" } else { "" };
        let count = digits.len() as i128;
        Some(match self.scale {
            scale if scale > count + FILL_MAX || scale < -FILL_MAX => {
                let (first, rest) = digits.split_at(1);
                let point = if rest.is_empty() { "" } else { "." };
                format!("{sign}{first}{point}{rest}e{}", scale - 1)
            }
            scale if scale >= count => format!("{sign}{digits}{}", "0".repeat((scale - count) as usize)),
            scale if scale > 0 => {
                let (whole, fraction) = digits.split_at(scale as usize);
                format!("{sign}{whole}.{fraction}")
            }
            scale => format!("{sign}0.{}{digits}", "0".repeat(-scale as usize)),
        })
    }
}

/// The exponent, and its digits where there are too many to reckon with.
fn read_exponent(text: &str) -> (i128, &str) {
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits = text.trim_start_matches(['+', '-']).trim_start_matches('0');
    if digits.len() > EXPONENT_DIGITS {
        return (sign * FAR, digits);
    }
    (sign * digits.parse::<i128>().unwrap_or(0), "")
}
