use proptest::prelude::*;

use super::*;
use crate::config::ColumnPolicy;
use crate::model::{Class, Column};

fn column(name: &str, class: Class) -> Column {
    Column { name: name.into(), class, declared: "".into(), nullable: true }
}

/// A key of two columns and one that is compared.
fn matcher(unique: bool) -> Matcher {
    let (a, b, v) = (column("a", Class::Int), column("b", Class::Text), column("v", Class::Text));
    Matcher {
        forms: vec![KeyForm::new(&a, &a), KeyForm::new(&b, &b)],
        rules: vec![ColumnRule::new((2, &v), (2, &v), &ColumnPolicy::default()).unwrap()],
        unique,
        gone: None,
    }
}

fn row((a, b, v): (i64, &str, &str)) -> Row {
    vec![Value::Int(a), Value::text(b), Value::text(v)]
}

fn found(matcher: &Matcher, source: &[Row], copy: &[Row]) -> (u64, Vec<(Row, Verdict)>) {
    let joined = matcher.join(source, copy);
    let of = |rows: &[Row], key: &Key| -> Vec<Row> {
        rows.iter().filter(|row| matcher.key(row).as_ref() == Some(key)).cloned().collect()
    };
    let kinds = joined.candidates.into_iter().map(|candidate| {
        let (source, copy) = (of(source, &candidate.key), of(copy, &candidate.key));
        let judged = matcher.judge(&source.iter().collect::<Vec<_>>(), &copy.iter().collect::<Vec<_>>());
        (candidate.values, judged.unwrap())
    });
    (joined.same, kinds.collect())
}

#[test]
fn each_kind_of_difference_is_found_beside_rows_that_agree() {
    let source: Vec<Row> =
        [(1, "x", "1"), (2, "x", "2"), (3, "x", "3"), (4, "x", "4"), (5, "x", "5")].map(row).into();
    let copy: Vec<Row> =
        [(1, "x", "1"), (3, "x", "other"), (4, "x", "4"), (4, "x", "4"), (5, "y", "5")].map(row).into();
    let (same, wrong) = found(&matcher(false), &source, &copy);
    assert_eq!(same, 1);
    let wanted = [
        ((2, "x"), Verdict::Missing),
        ((3, "x"), Verdict::Differs(vec![0])),
        ((4, "x"), Verdict::Ambiguous(2)),
        ((5, "x"), Verdict::Missing),
        ((5, "y"), Verdict::Extra),
    ];
    assert_eq!(wrong, wanted.map(|((a, b), kind)| (vec![Value::Int(a), Value::text(b)], kind)));
}

#[test]
fn parts_of_a_key_do_not_run_together() {
    let text = column("t", Class::Text);
    let matcher = Matcher {
        forms: vec![KeyForm::new(&text, &text), KeyForm::new(&text, &text)],
        rules: Vec::new(),
        unique: true,
        gone: None,
    };
    let key = |a: &str, b: &str| matcher.key(&[Value::text(a), Value::text(b)]);
    assert_ne!(key("ab", "c"), key("a", "bc"));
    assert_ne!(key("", "a"), key("a", ""));
    assert_eq!(matcher.key(&[Value::text("a"), Value::Null]), None);
}

proptest! {
    /// Whatever the order in which rows come, and whether or not keys are known to be unique, the same is found.
    #[test]
    fn the_order_of_rows_says_nothing(
        rows in proptest::collection::btree_map((0_i64..20, "[xy]"), (0_u8..4, 0_u8..2), 0..40),
        turn in any::<u64>(),
    ) {
        let (mut source, mut copy, mut same) = (Vec::new(), Vec::new(), 0);
        for ((a, b), (fate, value)) in &rows {
            let one = row((*a, b, &value.to_string()));
            match fate {
                0 => source.push(one),
                1 => copy.push(one),
                2 => {
                    source.push(one.clone());
                    copy.push(vec![one[0].clone(), one[1].clone(), Value::text("else")]);
                }
                _ => {
                    same += 1;
                    source.push(one.clone());
                    copy.push(one);
                }
            }
        }
        let in_order = found(&matcher(true), &source, &copy);
        prop_assert_eq!(in_order.0, same);
        prop_assert_eq!(in_order.1.len() as u64 + same, rows.len() as u64);
        let at = usize::try_from(turn).unwrap_or(0) % (copy.len() + 1);
        copy.rotate_left(at);
        source.reverse();
        let mut mixed = found(&matcher(turn % 2 == 0), &source, &copy);
        let mut in_order = in_order;
        let by_key = |a: &(Row, Verdict), b: &(Row, Verdict)| format!("{a:?}").cmp(&format!("{b:?}"));
        mixed.1.sort_by(by_key);
        in_order.1.sort_by(by_key);
        prop_assert_eq!(mixed, in_order);
    }
}
