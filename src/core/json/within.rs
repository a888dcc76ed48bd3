//! How far two numbers are apart, exactly: sums and products of their digits, without a float in between.
//!
//! Only what a tolerance needs: it says whether, never how much.

use std::cmp::Ordering;

use super::Number;
use super::number::Decimal;

/// Zeros that are filled in to bring numbers to one exponent. Those that are further apart differ by the greater of
/// them, which no tolerance that a person writes covers.
const ALIGN_MAX: i128 = 1_000;

impl Number {
    /// Is `other` at most `by` away?
    pub fn is_within(&self, other: &Self, by: &Self) -> bool {
        near(&self.decimal(), &other.decimal(), Size::of(&by.decimal()))
    }

    /// Is `other` at most so many percent of this number away? Of zero that is nothing.
    pub fn is_within_percent(&self, other: &Self, percent: &Self) -> bool {
        let (own, percent) = (Size::of(&self.decimal()), Size::of(&percent.decimal()));
        near(&self.decimal(), &other.decimal(), own.zip(percent).map(|(own, percent)| own.hundredths(&percent)))
    }
}

fn near(old: &Decimal<'_>, new: &Decimal<'_>, by: Option<Size>) -> bool {
    if old.compare(new).is_eq() {
        return true;
    }
    let (Some(a), Some(b), Some(by)) = (Size::of(old), Size::of(new), by) else { return false };
    let Some([a, b, by]) = align([a, b, by]) else { return false };
    let apart = if old.negative == new.negative { distance(&a, &b) } else { sum(&a, &b) };
    compare(&apart, &by).is_le()
}

/// A number without its sign: digits from the least on, times ten to the power of `exponent`.
struct Size {
    digits: Vec<u8>,
    exponent: i128,
}

impl Size {
    /// `None` for an exponent that is not reckoned with.
    fn of(decimal: &Decimal<'_>) -> Option<Self> {
        let mut digits: Vec<u8> = decimal.digits().map(|digit| digit - b'0').collect();
        digits.reverse();
        let exponent = decimal.scale - digits.len() as i128;
        decimal.far.is_empty().then_some(Self { digits, exponent })
    }

    /// The product of the two, divided by a hundred.
    fn hundredths(&self, percent: &Self) -> Self {
        let mut digits = vec![0_u8; self.digits.len() + percent.digits.len()];
        for (at, own) in self.digits.iter().enumerate() {
            let mut carry = 0;
            for (place, digit) in digits[at..].iter_mut().enumerate() {
                let value = *digit + own * percent.digits.get(place).copied().unwrap_or(0) + carry;
                (*digit, carry) = (value % 10, value / 10);
                if carry == 0 && place >= percent.digits.len() {
                    break;
                }
            }
        }
        Self { digits, exponent: self.exponent + percent.exponent - 2 }
    }
}

/// The digits of each at the least of their exponents.
fn align(sizes: [Size; 3]) -> Option<[Vec<u8>; 3]> {
    let least = sizes.iter().filter(|size| !size.digits.is_empty()).map(|size| size.exponent).min().unwrap_or(0);
    let fits = |size: &Size| size.digits.is_empty() || size.exponent - least <= ALIGN_MAX;
    sizes.iter().all(fits).then(|| {
        sizes.map(|size| {
            let zeros = if size.digits.is_empty() { 0 } else { (size.exponent - least) as usize };
            std::iter::repeat_n(0, zeros).chain(size.digits).collect()
        })
    })
}

fn compare(a: &[u8], b: &[u8]) -> Ordering {
    let bare = |digits: &[u8]| digits.iter().rposition(|digit| *digit != 0).map_or(0, |at| at + 1);
    let (a, b) = (&a[..bare(a)], &b[..bare(b)]);
    a.len().cmp(&b.len()).then_with(|| a.iter().rev().cmp(b.iter().rev()))
}

fn sum(a: &[u8], b: &[u8]) -> Vec<u8> {
    let digit = |digits: &[u8], at: usize| digits.get(at).copied().unwrap_or(0);
    let mut carry = 0;
    let place = |at: usize| {
        let value = digit(a, at) + digit(b, at) + carry;
        carry = value / 10;
        value % 10
    };
    (0..=a.len().max(b.len())).map(place).collect()
}

fn distance(a: &[u8], b: &[u8]) -> Vec<u8> {
    let (more, less) = if compare(a, b).is_lt() { (b, a) } else { (a, b) };
    let mut borrow = 0;
    let place = |(at, digit): (usize, &u8)| {
        let take = less.get(at).copied().unwrap_or(0) + borrow;
        borrow = u8::from(take > *digit);
        *digit + 10 * borrow - take
    };
    more.iter().enumerate().map(place).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn number(text: &str) -> Number {
        Number::parse(text).expect("a number")
    }

    #[test]
    fn distances_are_exact() {
        for (a, b, by, within) in [
            ("0.1", "0.3", "0.2", true),
            ("0.1", "0.30000000000000000001", "0.2", false),
            ("-0.1", "0.1", "0.2", true),
            ("-0.1", "0.11", "0.2", false),
            ("9007199254740993", "9007199254740992", "1", true),
            ("9007199254740993", "9007199254740992", "0.5", false),
            ("1e300", "1.0e300", "0", true),
            ("1e300", "1e-300", "1e300", true),
            ("1e5000", "1", "5", false),
            ("1e5000", "2e5000", "1e5000", true),
            ("0", "0.2", "2e-1", true),
            ("100", "99", "1.0", true),
        ] {
            assert_eq!(number(a).is_within(&number(b), &number(by)), within, "{a} {b} {by}");
            assert_eq!(number(b).is_within(&number(a), &number(by)), within, "{b} {a} {by}");
        }
    }

    #[test]
    fn percents_are_of_the_number_that_was() {
        for (a, b, percent, within) in [
            ("200", "201", "0.5", true),
            ("200", "201.0000000001", "0.5", false),
            ("-200", "-199", "0.5", true),
            ("200", "-200", "100", false),
            ("100", "0", "100", true),
            ("0", "0.0001", "50", false),
            ("0", "-0.0", "50", true),
            ("99", "198", "99.99", false),
            ("99", "198", "100", true),
            ("1e-30", "1.004e-30", "0.4", true),
        ] {
            assert_eq!(number(a).is_within_percent(&number(b), &number(percent)), within, "{a} {b} {percent}%");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn it_agrees_with_whole_numbers(a in -10_000_i64..10_000, b in -10_000_i64..10_000, by in 0_i64..10_000, places in 0_usize..6) {
            let scaled = |value: i64| number(&format!("{value}e-{places}"));
            prop_assert_eq!(scaled(a).is_within(&scaled(b), &scaled(by)), (a - b).abs() <= by);
            let percent = number(&format!("{by}e-2"));
            prop_assert_eq!(scaled(a).is_within_percent(&scaled(b), &percent), (a - b).abs() * 10_000 <= by * a.abs());
        }
    }
}
