//! `breaker`: when calls to a receiver that fails as a whole are stopped.

use super::policy::Layers;
use crate::config::problem::Problem;
use crate::config::read::{Reader, json};
use crate::config::section::Section;
use crate::config::{BreakerConfig, duration};

/// The nearest one; `None`: calls are never stopped.
pub(super) fn breaker(r: &mut Reader<'_>, layers: &Layers<'_>) -> Option<BreakerConfig> {
    let found = layers.nearest(r, "breaker", read);
    let (breaker, origin) = found.unwrap_or_else(|| (Some(BreakerConfig::default()), "default".to_owned()));
    let Some(config) = breaker else {
        r.out.leaf("breaker", "false", origin);
        return None;
    };
    r.out.open(Some("breaker"));
    r.out.leaf("window", json(&duration::show(config.window)), origin.as_str());
    r.out.leaf("tries", config.tries.to_string(), origin.as_str());
    r.out.leaf("share", json(&format!("{}%", percent(config.share))), origin.as_str());
    r.out.leaf("pause", json(&duration::show(config.pause)), origin.as_str());
    r.out.leaf("max", json(&duration::show(config.max)), origin);
    r.out.close();
    breaker
}

/// Without the digits that a part of one has and a percentage does not.
fn percent(share: f64) -> f64 {
    (share * 1e6).round() / 1e4
}

/// The `breaker` of one section.
pub(super) fn read(r: &mut Reader<'_>, section: &Section<'_>) -> Option<Option<BreakerConfig>> {
    let Some(breaker) = r.below_or_false(section, "breaker")? else { return Some(None) };
    let default = BreakerConfig::default();
    let window = r.duration(&breaker, "window").map_or(default.window, |found| found.value);
    let tries = r.number(&breaker, "tries").and_then(|found| u32::try_from(found.value).ok());
    let share = match r.percent(&breaker, "share") {
        Some(found) if found.value <= 0.0 => {
            let problem = Problem::error(found.span, "`share` is nothing: calls would always be stopped");
            r.report(problem.help("write \"70%\", or `\"breaker\": false` to stop them never"));
            default.share
        }
        Some(found) => found.value,
        None => default.share,
    };
    let pause = r.duration(&breaker, "pause").map_or(default.pause, |found| found.value);
    let max = match r.duration(&breaker, "max") {
        Some(found) if found.value < pause => {
            let problem = Problem::error(found.span, "`max` is shorter than `pause`");
            r.report(problem.help("`pause` is the first pause, `max` the longest"));
            pause
        }
        Some(found) => found.value,
        None => default.max.max(pause),
    };
    Some(Some(BreakerConfig { window, tries: tries.unwrap_or(default.tries), share, pause, max }))
}
