//! `audit`: when all rows of a copy are compared.

use super::policy::{Layers, read_zone};
use crate::config::AuditConfig;
use crate::config::problem::Problem;
use crate::config::read::{Reader, json};
use crate::config::schedule::{EXAMPLES, Schedule};
use crate::config::section::Section;

/// The nearest one; `None`: never.
pub(super) fn audit(r: &mut Reader<'_>, layers: &Layers<'_>) -> Option<AuditConfig> {
    let (audit, origin) = layers.nearest(r, "audit", read)?;
    let Some(config) = audit else {
        r.out.leaf("audit", "false", origin);
        return None;
    };
    r.out.open(Some("audit"));
    r.out.leaf("schedule", json(&config.schedule.show()), origin.as_str());
    if let Some(zone) = config.zone {
        r.out.leaf("zone", json(zone.name()), origin);
    }
    r.out.close();
    audit
}

/// The `audit` of one section.
pub(super) fn read(r: &mut Reader<'_>, section: &Section<'_>) -> Option<Option<AuditConfig>> {
    let Some(audit) = r.below_or_false(section, "audit")? else { return Some(None) };
    let zone = read_zone(r, &audit).map(|found| found.value);
    let found = r.required(&audit, "schedule")?;
    match Schedule::parse(&found.value) {
        Ok(schedule) => Some(Some(AuditConfig { schedule, zone })),
        Err(reason) => {
            let message = if found.outside { "`schedule` is no schedule".to_owned() } else { reason };
            r.report(Problem::error(found.span, message).help(format!("write {EXAMPLES}")));
            None
        }
    }
}
