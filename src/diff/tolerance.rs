//! Whether two values are near enough. Numbers are subtracted digit by digit, so that no tolerance is blurred by a float.

use std::cmp::Ordering;
use std::time::Duration;

use crate::config::Tolerance;
use crate::model::form;

/// Digits that are worked with at most; numbers further apart are not near.
const LONGEST: i64 = 2000;

/// Two numbers in the form of [`form::number`].
pub(super) fn numbers(a: &str, b: &str, tolerance: &Tolerance) -> bool {
    let (Some(a), Some(b)) = (Decimal::read(a), Decimal::read(b)) else { return false };
    let Some(distance) = a.distance(&b) else { return false };
    let near = match tolerance {
        Tolerance::Absolute(most) => Decimal::read(most).and_then(|most| distance.compare(&most)),
        Tolerance::Percent(percent) => Decimal::read(percent).and_then(|percent| {
            let larger = if a.compare(&b)? == Ordering::Less { &b } else { &a };
            let hundredfold = Decimal { exponent: distance.exponent + 2, ..distance };
            hundredfold.compare(&percent.times(larger))
        }),
        Tolerance::Time(_) => None,
    };
    near.is_some_and(|order| order != Ordering::Greater)
}

/// Two dates, with times or without.
pub(super) fn moments(a: &str, b: &str, most: Duration) -> bool {
    let (Some(a), Some(b)) = (form::parse_moment(a), form::parse_moment(b)) else { return false };
    (a - b).abs().to_std().is_ok_and(|distance| distance <= most)
}

/// Two times of day, or lengths of time.
pub(super) fn clocks(a: &str, b: &str, most: Duration) -> bool {
    let (Some(a), Some(b)) = (nanoseconds(a), nanoseconds(b)) else { return false };
    (a - b).unsigned_abs() <= most.as_nanos()
}

fn nanoseconds(text: &str) -> Option<i128> {
    let normal = form::clock_time(text)?;
    let (sign, unsigned) = normal.strip_prefix('-').map_or((1, &*normal), |rest| (-1, rest));
    let (clock, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let seconds =
        clock.split(':').try_fold(0_i128, |sum, part| Some(sum * 60 + part.parse::<i128>().ok()?))?;
    let fraction: i128 = format!("{:0<9}", fraction.get(..9).unwrap_or(fraction)).parse().ok()?;
    Some(sign * (seconds * 1_000_000_000 + fraction))
}

/// `digits` × 10^`exponent`, the most significant digit first.
struct Decimal {
    negative: bool,
    digits: Vec<u8>,
    exponent: i64,
}

impl Decimal {
    fn read(text: &str) -> Option<Self> {
        let (negative, unsigned) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (mantissa, exponent) = match unsigned.split_once('e') {
            Some((mantissa, exponent)) => (mantissa, exponent.parse().ok()?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let digits: Option<Vec<u8>> =
            whole.bytes().chain(fraction.bytes()).map(|b| b.is_ascii_digit().then(|| b - b'0')).collect();
        let exponent = i64::checked_sub(exponent, i64::try_from(fraction.len()).ok()?)?;
        Some(Self { negative, digits: digits?, exponent })
    }

    /// Digits of both without sign, of the same length and with the same exponent.
    fn aligned(&self, other: &Self) -> Option<(Vec<u8>, Vec<u8>, i64)> {
        let exponent = self.exponent.min(other.exponent);
        let top = |n: &Self| n.exponent + i64::try_from(n.digits.len()).unwrap_or(i64::MAX / 2);
        let length = usize::try_from(top(self).max(top(other)) - exponent)
            .ok()
            .filter(|length| *length <= usize::try_from(LONGEST).unwrap_or_default())?;
        let spread = |n: &Self| {
            let behind = usize::try_from(n.exponent - exponent).unwrap_or_default();
            let mut digits = vec![0; length - behind - n.digits.len()];
            digits.extend(&n.digits);
            digits.resize(length, 0);
            digits
        };
        Some((spread(self), spread(other), exponent))
    }

    /// Compares without sign.
    fn compare(&self, other: &Self) -> Option<Ordering> {
        let (a, b, _) = self.aligned(other)?;
        Some(a.cmp(&b))
    }

    /// |self − other|.
    fn distance(&self, other: &Self) -> Option<Self> {
        let (a, b, exponent) = self.aligned(other)?;
        let (larger, smaller) = if a < b { (b, a) } else { (a, b) };
        let mut digits = vec![0; larger.len() + 1];
        let mut carry = 0_i16;
        for at in (0..larger.len()).rev() {
            let (x, y) = (i16::from(larger[at]), i16::from(smaller[at]));
            let sum = if self.negative == other.negative { x - y + carry } else { x + y + carry };
            carry = sum.div_euclid(10);
            digits[at + 1] = u8::try_from(sum.rem_euclid(10)).unwrap_or_default();
        }
        digits[0] = u8::try_from(carry).unwrap_or_default();
        Some(Self { negative: false, digits, exponent })
    }

    /// Product without sign.
    fn times(&self, other: &Self) -> Self {
        let mut places = vec![0_u32; self.digits.len() + other.digits.len()];
        for (i, a) in self.digits.iter().enumerate().rev() {
            let mut carry = 0;
            for (j, b) in other.digits.iter().enumerate().rev() {
                let sum = places[i + j + 1] + u32::from(*a) * u32::from(*b) + carry;
                places[i + j + 1] = sum % 10;
                carry = sum / 10;
            }
            places[i] += carry;
        }
        let digits = places.into_iter().map(|digit| u8::try_from(digit).unwrap_or_default()).collect();
        Self { negative: false, digits, exponent: self.exponent + other.exponent }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn near(a: &str, b: &str, tolerance: Tolerance) -> bool {
        let read = |text| form::number(text).unwrap();
        let (a, b) = (read(a), read(b));
        assert_eq!(numbers(&a, &b, &tolerance), numbers(&b, &a, &tolerance), "{a} {b}");
        numbers(&a, &b, &tolerance)
    }

    #[test]
    fn numbers_are_near_to_the_last_digit() {
        let absolute = |a, b, most: &str| near(a, b, Tolerance::Absolute(most.to_owned()));
        assert!(absolute("1.00", "1.01", "0.01"));
        assert!(!absolute("1.00", "1.0100000000000000000000001", "0.01"));
        assert!(absolute("12345678901234567890.01", "12345678901234567890.02", "0.01"));
        assert!(!absolute("12345678901234567890.01", "12345678901234567890.03", "0.01"));
        assert!(absolute("-0.5", "0.5", "1"));
        assert!(!absolute("-0.5", "0.6", "1"));
        assert!(absolute("999.999", "1000", "0.001"));
        assert!(!absolute("1e1000", "1", "5"));
        assert!(!absolute("1e100000", "1", "5"));
        assert!(!numbers("NaN", "0", &Tolerance::Absolute("5".to_owned())));
        let percent = |a, b, most: &str| near(a, b, Tolerance::Percent(most.to_owned()));
        assert!(percent("1000", "999", "0.1"));
        assert!(!percent("1000", "998.99", "0.1"));
        assert!(percent("-1000", "-999", "0.1"));
        assert!(!percent("0", "0.0001", "50"));
        assert!(percent("5", "-5", "200"));
    }

    #[test]
    fn times_are_near() {
        let second = Duration::from_secs(1);
        assert!(moments("2024-01-01 00:00:00", "2023-12-31 23:59:59", second));
        assert!(!moments("2024-01-01 00:00:00", "2023-12-31 23:59:58.999999", second));
        assert!(!moments("0000-00-00 00:00:00", "0000-00-00 00:00:01", second));
        assert!(clocks("-00:00:00.5", "00:00:00.5", second));
        assert!(!clocks("838:59:59", "838:59:57.9", second));
    }

    proptest! {
        #[test]
        fn as_integers_do(a in -100_000_i64..100_000, b in -100_000_i64..100_000, most in 0_i64..200_000, scale in 0_u32..9) {
            let write = |n: i64| form::number(&format!("{n}e-{scale}")).unwrap();
            let tolerance = Tolerance::Absolute(write(most));
            prop_assert_eq!(numbers(&write(a), &write(b), &tolerance), (a - b).abs() <= most);
            let tolerance = Tolerance::Percent(write(most));
            let wanted = i128::from((a - b).abs()) * 100 * 10_i128.pow(scale) <= i128::from(most) * i128::from(a.abs().max(b.abs()));
            prop_assert_eq!(numbers(&write(a), &write(b), &tolerance), wanted);
        }
    }
}
