//! `retry`: when failed callbacks are made again.

use std::time::Duration;

use super::policy::Layers;
use crate::config::keys::{self, Scope};
use crate::config::problem::Problem;
use crate::config::read::{Reader, json};
use crate::config::section::Section;
use crate::config::{LONGEST_ASKED, RetryPolicy, Then, duration};
use crate::model::ErrorClass;

/// `failureJobRetrySecond`, as cupid-go had it.
pub(super) const DELAY: Duration = Duration::from_secs(10);
const TRIES: u32 = 3;
const THEN: Duration = Duration::from_secs(600);

/// `retry`, with `failureJobRetrySecond` for what it leaves open.
pub(super) fn retry(r: &mut Reader<'_>, layers: &Layers<'_>, top: &Section<'_>) -> RetryPolicy {
    let legacy = r.number(top, "failureJobRetrySecond");
    let delay = legacy.as_ref().map_or(DELAY, |found| Duration::from_secs(found.value));
    let legacy_origin = legacy.map(|found| format!("failureJobRetrySecond (line {})", r.line(found.span)));
    let found = layers.nearest(r, "retry", |r, section| read(r, section, delay));
    let (policy, origin) = match found {
        Some((policy, origin)) => (policy, origin),
        None => (RetryPolicy::fixed(delay, TRIES, Then::Every(THEN)), "default".to_owned()),
    };
    let delay_origin = match legacy_origin {
        Some(legacy) if origin == "default" => legacy,
        _ => origin.clone(),
    };
    r.out.open(Some("retry"));
    r.out.leaf("delay", json(&duration::show(policy.delay)), delay_origin);
    if policy.factor > 1.0 {
        r.out.leaf("factor", policy.factor.to_string(), origin.as_str());
        r.out.leaf("max", json(&duration::show(policy.max)), origin.as_str());
    }
    r.out.leaf("tries", policy.tries.to_string(), origin.as_str());
    if policy.jitter > 0.0 {
        r.out.leaf("jitter", json(&format!("{}%", policy.jitter * 100.0)), origin.as_str());
    }
    let then = match &policy.then {
        Then::Dead => "dead".to_owned(),
        Then::Every(pause) => format!("every {}", duration::show(*pause)),
    };
    r.out.leaf("then", json(&then), origin.as_str());
    if let Some(classes) = &policy.on {
        let words: Vec<String> = classes.iter().map(|class| json(class.as_str())).collect();
        r.out.leaf("on", format!("[{}]", words.join(", ")), origin);
    }
    r.out.close();
    policy
}

/// The `retry` of one section.
pub(super) fn read(r: &mut Reader<'_>, section: &Section<'_>, delay: Duration) -> Option<RetryPolicy> {
    let retry = r.below(section, "retry")?;
    let delay = r.duration(&retry, "delay").map_or(delay, |found| found.value);
    let factor = r.factor(&retry, "factor").map_or(1.0, |found| found.value);
    let grown = if factor > 1.0 { LONGEST_ASKED.max(delay) } else { delay };
    let max = match r.duration(&retry, "max") {
        Some(found) if found.value < delay => {
            let problem = Problem::error(found.span, "`max` is shorter than `delay`");
            r.report(problem.help("`delay` is the first pause, `max` the longest"));
            delay
        }
        Some(found) if factor > 1.0 => found.value,
        Some(found) => {
            r.report(Problem::warning(
                found.span,
                "`max` is of no use without `factor`: pauses stay as long as `delay`",
            ));
            delay
        }
        None => grown,
    };
    let tries = r.number(&retry, "tries").map_or(TRIES, |found| u32::try_from(found.value).unwrap_or(TRIES));
    let jitter = r.percent(&retry, "jitter").map_or(0.0, |found| found.value);
    let then = then(r, &retry).unwrap_or(Then::Every(THEN));
    let on = r
        .words(&retry, "on")
        .map(|words| words.iter().filter_map(|word| ErrorClass::parse(word.value)).collect::<Vec<_>>());
    Some(RetryPolicy { delay, factor, max, tries, jitter, then, on })
}

fn then(r: &mut Reader<'_>, retry: &Section<'_>) -> Option<Then> {
    let found = r.text(retry, "then")?;
    match found.value.strip_prefix("every ").map(str::trim).map(duration::parse) {
        Some(Ok(pause)) if !pause.is_zero() => Some(Then::Every(pause)),
        None if found.value == "dead" => Some(Then::Dead),
        _ => {
            let expected =
                keys::find(Scope::Retry, "then").map_or_else(String::new, |key| key.kind.expected());
            r.report(Problem::error(found.span, format!("`then` must be {expected}")));
            None
        }
    }
}
