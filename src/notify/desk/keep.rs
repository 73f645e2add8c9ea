//! What a desk knows, as text that survives a restart.

use serde_json::{Value, json};

use super::{Case, Desk, Ends, LONGEST, ends};
use crate::base::clock::UnixMs;
use crate::model::{DestinationName, Event, TaskName, Topic};
use crate::notify::{Cause, Facts};

impl Desk {
    /// Everything that is known, for [`Desk::recall`], if it has changed since this was asked last.
    pub fn news(&mut self) -> Option<String> {
        std::mem::take(&mut self.changed).then(|| self.text())
    }

    /// What [`Desk::news`] gave could not be kept.
    pub fn unkept(&mut self) {
        self.changed = true;
    }

    pub(super) fn text(&self) -> String {
        let cases: Vec<Value> = self
            .cases
            .iter()
            .map(|(cause, case)| {
                json!([
                    [
                        cause.event.as_str(),
                        cause.task.as_ref().map(TaskName::as_str),
                        cause.destination.as_ref().map(DestinationName::as_str)
                    ],
                    [case.since, case.last, case.due, case.over, case.closed],
                    [case.count, case.told, case.told_count, case.relapses],
                    case.facts.error,
                    case.facts.extent,
                    case.facts.left,
                ])
            })
            .collect();
        Value::from(cases).to_string()
    }

    /// Takes up what an earlier process knew. What this version does not understand is left out, and so is what only
    /// that process could have seen end.
    pub fn recall(&mut self, text: &str, now: UnixMs) {
        let Ok(Value::Array(cases)) = serde_json::from_str(text) else { return };
        for (cause, case) in cases.iter().filter_map(|case| read(case, now)) {
            if cause.event != Event::Restarted {
                self.cases.entry(cause).or_insert(case);
            }
        }
    }
}

fn read(value: &Value, now: UnixMs) -> Option<(Cause, Case)> {
    let (names, times, counts) = (&value[0], &value[1], &value[2]);
    let Topic::Event(event) = Topic::parse(names[0].as_str()?)? else { return None };
    let cause = Cause {
        event,
        task: names[1].as_str().map(TaskName::new),
        destination: names[2].as_str().map(DestinationName::new),
    };
    // While nobody looked, nothing could happen: that says nothing.
    let last = match ends(event) {
        Ends::Quiet(_) | Ends::Silent(_) => now,
        Ends::Said => times[1].as_i64()?.min(now),
    };
    // Clocks are set: nothing waits for longer than it ever would.
    let time = |at: usize| Some(times[at].as_i64()?.min(now));
    let small = |at: usize| u32::try_from(counts[at].as_u64()?).ok();
    let extent = (value[4][0].as_u64(), value[4][1].as_u64());
    let case = Case {
        since: time(0)?,
        last,
        due: times[2].as_i64()?.min(now + LONGEST),
        over: time(3),
        closed: time(4),
        count: counts[0].as_u64()?,
        told: small(1)?,
        told_count: counts[2].as_u64()?,
        relapses: small(3)?,
        held: UnixMs::MIN,
        alone: false,
        facts: Facts {
            error: value[3].as_str().map(str::to_owned),
            extent: extent.0.zip(extent.1),
            since: None,
            left: value[5] == true,
        },
    };
    Some((cause, case))
}
