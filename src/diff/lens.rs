//! Per-column policies: values as they are seen through what a configuration lets pass.

use std::borrow::Cow;

use chrono::{LocalResult, TimeZone as _};
use chrono_tz::Tz;

use super::class::class;
use super::form::Form;
use super::{spell, tolerance};
use crate::config::{ColumnPolicy, Tolerance, Trim};
use crate::model::{Class, Column, Value, form as text_form};

/// Which of the two sides a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Where rows are true.
    Source,
    /// The copy.
    Destination,
}

/// A policy that fits its two columns.
#[derive(Clone, Debug)]
pub(super) struct Lens {
    policy: ColumnPolicy,
    /// The side with the wall clock, and its zone.
    wall: Option<(Side, Tz)>,
}

impl Lens {
    /// `None` for a policy that lets nothing pass.
    ///
    /// # Errors
    /// All that cannot apply to columns of these types, and why.
    pub(super) fn new(
        policy: &ColumnPolicy,
        form: Form,
        source: &Column,
        destination: &Column,
    ) -> Result<Option<Self>, Vec<String>> {
        if !policy.is_loose() {
            return Ok(None);
        }
        let mut unfit = Vec::new();
        let mut refuse = |what: &str, why: &str| {
            let shown = |column: &Column| format!("{:?} ({})", column.name, column.declared);
            let (a, b) = (shown(source), shown(destination));
            unfit.push(format!(
                "`{what}` in \"columns\" cannot apply to {a} and {b}: {why}; remove it or change it"
            ));
        };
        let classes = [class(source), class(destination)];
        let either = |wanted: &[Class]| wanted.iter().any(|class| classes.contains(class));
        let text = either(&[Class::Text, Class::Dynamic]);
        if policy.trim != Trim::None && !text {
            refuse("trim", "neither is text");
        }
        if policy.ignore_case && !text {
            refuse("ignoreCase", "neither is text");
        }
        if policy.empty_is_null && !text && !either(&[Class::Bytes]) {
            refuse("emptyIsNull", "neither is text or bytes");
        }
        match &policy.tolerance {
            Some(Tolerance::Time(_)) if !matches!(form, Form::Moment | Form::Clock) => {
                refuse("tolerance", "they are not compared as times");
            }
            Some(Tolerance::Absolute(_) | Tolerance::Percent(_)) if !form.is_number(&classes) => {
                refuse("tolerance", "they are not compared as numbers");
            }
            _ => {}
        }
        let wall = match (policy.zone, classes) {
            (Some(zone), [Class::Instant, other]) if other != Class::Instant && form == Form::Moment => {
                Some((Side::Destination, zone))
            }
            (Some(zone), [other, Class::Instant]) if other != Class::Instant && form == Form::Moment => {
                Some((Side::Source, zone))
            }
            (Some(_), _) => {
                refuse("zone", "it needs an instant on one side and a wall clock on the other");
                None
            }
            (None, _) => None,
        };
        if unfit.is_empty() { Ok(Some(Self { policy: policy.clone(), wall })) } else { Err(unfit) }
    }

    /// Whether the policy lets everything pass.
    pub(super) fn ignores(&self) -> bool {
        self.policy.ignore
    }

    /// Whether two values are the same as far as the policy goes.
    pub(super) fn same(&self, form: Form, a: &Value, b: &Value) -> bool {
        if self.policy.ignore {
            return true;
        }
        let (seen_a, seen_b) = (self.seen(a), self.seen(b));
        let (at_source, at_copy) =
            (self.readings(Side::Source, &seen_a), self.readings(Side::Destination, &seen_b));
        at_source
            .iter()
            .flatten()
            .any(|a| at_copy.iter().flatten().any(|b| form.same(a, b) || self.is_near(form, a, b)))
    }

    /// A value by which versions are told apart: equal for all values that are the same, but for a tolerance: what is near
    /// to what is no relation that a hash could keep, and a value that has moved within it has moved.
    pub(super) fn witness<'v>(&self, side: Side, value: &'v Value) -> Cow<'v, Value> {
        let seen = self.seen(value);
        if self.policy.ignore {
            return Cow::Owned(Value::Bool(true));
        }
        let [first, _] = self.readings(side, &seen);
        first.map_or(Cow::Owned(Value::Null), |value| Cow::Owned(value.into_owned()))
    }

    /// Trimmed, in lower case, empty as NULL.
    fn seen<'v>(&self, value: &'v Value) -> Cow<'v, Value> {
        let text = match value {
            Value::Text(text) => text,
            Value::Bytes(bytes) if bytes.is_empty() && self.policy.empty_is_null => {
                return Cow::Owned(Value::Null);
            }
            _ => return Cow::Borrowed(value),
        };
        let trimmed = match self.policy.trim {
            Trim::None => text,
            Trim::End => text.trim_end_matches(' '),
            Trim::Both => text.trim_matches(' '),
        };
        if trimmed.is_empty() && self.policy.empty_is_null {
            return Cow::Owned(Value::Null);
        }
        if self.policy.ignore_case {
            let lower: String = trimmed.chars().flat_map(char::to_lowercase).collect();
            return Cow::Owned(Value::text(lower));
        }
        if trimmed.len() == text.len() { Cow::Borrowed(value) } else { Cow::Owned(Value::text(trimmed)) }
    }

    /// What a value can mean: a time on the wall clock is one instant, or two in the hour that comes twice.
    fn readings<'v>(&self, side: Side, value: &'v Value) -> [Option<Cow<'v, Value>>; 2] {
        let as_it_is = [Some(Cow::Borrowed(value)), None];
        let (Some((wall, zone)), Value::Text(text)) = (self.wall, value) else { return as_it_is };
        // A text that names its own zone needs none.
        let own_zone = text.get(10..).is_some_and(|clock| clock.contains(['+', '-', 'Z', 'z']));
        let local = text_form::parse_moment(text).filter(|_| wall == side && !own_zone);
        let Some(local) = local else { return as_it_is };
        let utc =
            |at: chrono::DateTime<Tz>| Some(Cow::Owned(Value::text(text_form::moment_text(at.naive_utc()))));
        match zone.from_local_datetime(&local) {
            LocalResult::Single(at) => [utc(at), None],
            LocalResult::Ambiguous(a, b) => [utc(a), utc(b)],
            // The hour that never comes.
            LocalResult::None => as_it_is,
        }
    }

    fn is_near(&self, form: Form, a: &Value, b: &Value) -> bool {
        let texts = || Some((a.to_text()?, b.to_text()?));
        match &self.policy.tolerance {
            None => false,
            Some(Tolerance::Time(most)) => texts().is_some_and(|(a, b)| match form {
                Form::Clock => tolerance::clocks(&a, &b, *most),
                _ => tolerance::moments(&a, &b, *most),
            }),
            Some(tolerance) => {
                let number = |value| match form {
                    Form::Money => spell::money(value),
                    Form::BitNumber => spell::bit_number(value),
                    _ => spell::number(value),
                };
                number(a).zip(number(b)).is_some_and(|(a, b)| tolerance::numbers(&a, &b, tolerance))
            }
        }
    }
}
