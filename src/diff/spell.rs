//! Values that engines spell in ways of their own, in one spelling.

use std::net::IpAddr;

use crate::model::{Value, form as text_form};

/// A number: exactly, floats by their shortest text.
pub(super) fn number(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bytes(_) | Value::TooLarge(_) => None,
        Value::Bool(truth) => Some(u8::from(*truth).to_string()),
        Value::Int(n) => Some(n.to_string()),
        Value::UInt(n) => Some(n.to_string()),
        Value::Text(text) => text_form::number(text),
        Value::F32(_) | Value::F64(_) => text_form::number(&value.to_text()?),
    }
}

/// The integer that a float too large for a fraction exactly is, where its shortest text is another number.
fn exact_integer(value: &Value) -> Option<String> {
    let (x, beyond) = match value {
        Value::F32(x) => (f64::from(*x), 16_777_216.0),
        Value::F64(x) => (*x, 9_007_199_254_740_992.0),
        _ => return None,
    };
    (x.is_finite() && x.abs() >= beyond).then(|| format!("{x:.0}"))
}

/// A number as a key: large floats by what they exactly are, for that is how they are looked up.
pub(super) fn number_key(value: &Value) -> Option<String> {
    exact_integer(value).or_else(|| number(value))
}

/// Whether two numbers are one. A float is copied by its shortest text (0.1), or by what it exactly is: a single
/// becomes the double 0.10000000149011612, a large double an integer. Neither loses anything.
pub(super) fn same_number(a: &Value, b: &Value) -> bool {
    let spellings = |value: &Value| -> [Option<String>; 3] {
        let widened = match value {
            Value::F32(x) => number(&Value::F64(f64::from(*x))),
            _ => None,
        };
        [number(value), widened, exact_integer(value)]
    };
    match (a, b) {
        (Value::F32(x), Value::F32(y)) => x == y || (x.is_nan() && y.is_nan()),
        (Value::F64(x), Value::F64(y)) => x == y || (x.is_nan() && y.is_nan()),
        (Value::F32(_) | Value::F64(_), _) | (_, Value::F32(_) | Value::F64(_)) => {
            let (a, b) = (spellings(a), spellings(b));
            a.iter().flatten().any(|one| b.iter().flatten().any(|other| one == other))
        }
        _ => false,
    }
}

/// As the single nearest to a number; integers stay exact.
pub(super) fn single(value: &Value) -> Option<String> {
    let single = match value {
        Value::F32(x) => *x,
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the nearest single is what the other side can hold"
        )]
        Value::F64(x) => *x as f32,
        Value::Text(text) => text_form::number(text)?.parse().ok()?,
        other => return number(other),
    };
    text_form::number(&Value::F32(single).to_text()?)
}

/// `1` or `0`, or another number that is no truth.
pub(super) fn truth(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) if text.eq_ignore_ascii_case("t") || text.eq_ignore_ascii_case("true") => {
            Some("1".to_owned())
        }
        Value::Text(text) if text.eq_ignore_ascii_case("f") || text.eq_ignore_ascii_case("false") => {
            Some("0".to_owned())
        }
        Value::Bytes(_) => bits(value),
        other => number(other),
    }
}

/// A bit string without leading zeros.
pub(super) fn bits(value: &Value) -> Option<String> {
    let digits = match value {
        Value::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:08b}")).collect::<String>(),
        Value::Text(text) if !text.is_empty() && text.bytes().all(|b| b == b'0' || b == b'1') => {
            text.to_string()
        }
        Value::Bool(truth) => u8::from(*truth).to_string(),
        Value::Int(n) => format!("{:b}", u64::try_from(*n).ok()?),
        Value::UInt(n) => format!("{n:b}"),
        _ => return None,
    };
    let digits = digits.trim_start_matches('0');
    Some(if digits.is_empty() { "0".to_owned() } else { digits.to_owned() })
}

/// A bit string (most significant byte first) as a number, and numbers.
pub(super) fn bit_number(value: &Value) -> Option<String> {
    match value {
        Value::Bytes(bytes) if bytes.len() <= 8 => {
            Some(bytes.iter().fold(0_u64, |n, byte| (n << 8) | u64::from(*byte)).to_string())
        }
        other => number(other),
    }
}

/// An amount as a number, whatever the locale writes around it: `$1,234.50`, `-1.234,50 €`, `($5.00)`.
pub(super) fn money(value: &Value) -> Option<String> {
    if let Some(plain) = number(value) {
        return Some(plain);
    }
    let Value::Text(text) = value else { return None };
    let negative = text.contains('-') || text.contains('(');
    let body = text.trim_matches(|c: char| !c.is_ascii_digit());
    // Two digits behind the last point or comma are cents, three are thousands.
    let cents = body.rfind(['.', ',']).filter(|at| body.len() - at == 3);
    let (whole, fraction) = cents.map_or((body, ""), |at| (&body[..at], &body[at + 1..]));
    if !whole
        .chars()
        .all(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | '\'' | ' ' | '\u{a0}' | '\u{202f}'))
    {
        return None;
    }
    let whole: String = whole.chars().filter(char::is_ascii_digit).collect();
    text_form::number(&format!("{}{whole}.{fraction}", if negative { "-" } else { "" }))
}

/// A network address: without the mask that means one host only, four bytes also where six carry them.
pub(super) fn address(text: &str) -> Option<String> {
    let (host, mask) = text.split_once('/').unwrap_or((text, ""));
    let ip: IpAddr = host.parse().ok()?;
    let full = if ip.is_ipv4() { "32" } else { "128" };
    let mask = if mask == full { "" } else { mask };
    if mask.is_empty() {
        return Some(ip.to_canonical().to_string());
    }
    Some(format!("{ip}/{mask}"))
}

/// A UUID by its 32 digits, from text in any spelling or 16 bytes; other text of 16 bytes by those.
pub(super) fn uuid(value: &Value) -> Option<String> {
    let sixteen = |bytes: &[u8]| uuid::Uuid::from_slice(bytes).ok().map(|id| id.as_simple().to_string());
    match value {
        Value::Bytes(bytes) if bytes.len() == 16 => sixteen(bytes),
        Value::Bytes(bytes) => text_form::uuid(std::str::from_utf8(bytes).ok()?),
        Value::Text(text) => text_form::uuid(text).or_else(|| sixteen(text.as_bytes())),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_of_many_places() {
        for (text, wanted) in [
            ("$1,234,567.50", "1234567.5"),
            ("-$0.05", "-0.05"),
            ("1.234,50 €", "1234.5"),
            ("($5.00)", "-5"),
            ("￥1,235", "1235"),
            ("12", "12"),
        ] {
            assert_eq!(money(&Value::text(text)).as_deref(), Some(wanted), "{text}");
        }
        for text in ["", "abc", "1a2"] {
            assert_eq!(money(&Value::text(text)), None, "{text}");
        }
    }

    #[test]
    fn addresses() {
        for (text, wanted) in [
            ("10.0.0.1/32", Some("10.0.0.1")),
            ("::ffff:10.0.0.1", Some("10.0.0.1")),
            ("10.0.0.0/8", Some("10.0.0.0/8")),
            ("2001:0db8::1", Some("2001:db8::1")),
            ("ten", None),
        ] {
            assert_eq!(address(text).as_deref(), wanted, "{text}");
        }
    }
}
