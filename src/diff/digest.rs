//! A fingerprint of rows, stored and compared over versions of this program: its bytes must never change.

use xxhash_rust::xxh3::Xxh3;

use crate::model::Value;

/// Digest of rows: 128 bits of XXH3.
///
/// For each row it covers the number of its values and each value's tag, length and bytes. NULL has a tag of its own, so
/// no value stands for it. Rows that differ in any bit have different digests (short of a collision); not for use
/// against an adversary.
pub fn digest(rows: &[&[Value]]) -> [u8; 16] {
    let mut hasher = Xxh3::new();
    for row in rows {
        hasher.update(b"R");
        hasher.update(&length(row.len()));
        for value in *row {
            update(&mut hasher, value);
        }
    }
    hasher.digest128().to_be_bytes()
}

fn update(hasher: &mut Xxh3, value: &Value) {
    let mut field = |tag: u8, bytes: &[u8]| {
        let mut head = [tag; 9];
        head[1..].copy_from_slice(&length(bytes.len()));
        hasher.update(&head);
        hasher.update(bytes);
    };
    match value {
        Value::Null => field(0, &[]),
        Value::Bool(truth) => field(1, &[u8::from(*truth)]),
        Value::Int(n) => field(2, &n.to_be_bytes()),
        Value::UInt(n) => field(3, &n.to_be_bytes()),
        Value::F32(x) => field(4, &x.to_bits().to_be_bytes()),
        Value::F64(x) => field(5, &x.to_bits().to_be_bytes()),
        Value::Text(text) => field(6, text.as_bytes()),
        Value::Bytes(bytes) => field(7, bytes),
        Value::TooLarge(n) => field(8, &n.to_be_bytes()),
    }
}

fn length(n: usize) -> [u8; 8] {
    u64::try_from(n).expect("no address space holds more").to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hex(rows: &[&[Value]]) -> String {
        digest(rows).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn golden() {
        let row = [
            Value::Null,
            Value::Bool(true),
            Value::Int(-1),
            Value::UInt(u64::MAX),
            Value::F32(0.1),
            Value::F64(0.1),
            Value::text("é"),
            Value::Bytes([0, 255].into()),
        ];
        assert_eq!(hex(&[]), "99aa06d3014798d86001c324468d497f");
        assert_eq!(hex(&[&row]), "905e0c0fcfe18d38fda3341d0cf0711d");
        assert_eq!(hex(&[&row, &[]]), "d4961b211f5066bedbd2a6e06c59d418");
    }

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::Int),
            any::<u64>().prop_map(Value::uint),
            any::<f64>().prop_map(Value::F64),
            "[a-c0-9]{0,3}".prop_map(Value::text),
            proptest::collection::vec(any::<u8>(), 0..3).prop_map(|b| Value::Bytes(b.into())),
        ]
    }

    proptest! {
        #[test]
        fn differs_when_rows_differ(
            a in proptest::collection::vec(value(), 0..4),
            b in proptest::collection::vec(value(), 0..4),
        ) {
            prop_assume!(a != b);
            prop_assert_ne!(digest(&[&a]), digest(&[&b]));
        }

        #[test]
        fn borders_of_rows_and_values_count(a in proptest::collection::vec(value(), 1..5), at in 0_usize..5) {
            let at = at.min(a.len());
            let (head, tail) = a.split_at(at);
            prop_assert_ne!(digest(&[&a]), digest(&[head, tail]));
        }
    }
}
