//! The columns that a rule names: every name that is not bound by a macro around it, as `s` is in `list.exists(s, …)`.

use std::collections::BTreeSet;

use cel::common::ast::{EntryExpr, Expr, IdedEntryExpr};

/// The names that an expression leaves open, in their order.
pub(super) fn names(expression: &Expr) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    walk(expression, &mut Vec::new(), &mut names);
    names
}

fn walk<'e>(expression: &'e Expr, bound: &mut Vec<&'e str>, names: &mut BTreeSet<String>) {
    match expression {
        Expr::Unspecified | Expr::Literal(_) => {}
        Expr::Ident(name) => {
            if !bound.contains(&name.as_str()) {
                names.insert(name.clone());
            }
        }
        Expr::Call(call) => {
            let target = call.target.as_deref().into_iter();
            target.chain(&call.args).for_each(|part| walk(&part.expr, bound, names));
        }
        Expr::Select(select) => walk(&select.operand.expr, bound, names),
        Expr::List(list) => list.elements.iter().for_each(|part| walk(&part.expr, bound, names)),
        Expr::Map(map) => entries(&map.entries, bound, names),
        Expr::Struct(of) => entries(&of.entries, bound, names),
        Expr::Comprehension(all) => {
            // What is gone through, and what it begins with, know nothing of the names inside.
            walk(&all.iter_range.expr, bound, names);
            walk(&all.accu_init.expr, bound, names);
            let outside = bound.len();
            bound.push(&all.accu_var);
            walk(&all.result.expr, bound, names);
            bound.push(&all.iter_var);
            bound.extend(all.iter_var2.as_deref());
            walk(&all.loop_cond.expr, bound, names);
            walk(&all.loop_step.expr, bound, names);
            bound.truncate(outside);
        }
    }
}

fn entries<'e>(all: &'e [IdedEntryExpr], bound: &mut Vec<&'e str>, names: &mut BTreeSet<String>) {
    for entry in all {
        match &entry.expr {
            EntryExpr::StructField(field) => walk(&field.value.expr, bound, names),
            EntryExpr::MapEntry(entry) => {
                walk(&entry.key.expr, bound, names);
                walk(&entry.value.expr, bound, names);
            }
        }
    }
}
