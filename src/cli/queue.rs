//! `cupid queue`: how much waits where, and for what.

mod calls;

use std::collections::BTreeMap;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::deliveries::{Ends, is_parked, view};
use super::text::{age, number, plain, span, table};
use crate::admin;
use crate::base::clock::{Clock, UnixMs};
use crate::config::Config;
use crate::engine::Notes;
use crate::model::{DestinationName, State, TaskName};
use crate::store::local::{LocalStore, holder};
use crate::store::{Store, StoreError, Work};
use calls::Calls;

/// What waits for one receiver.
#[derive(Debug)]
struct Lane {
    task: String,
    destination: String,
    /// The receiver's address; `None`: the destination is not in the configuration.
    receiver: Option<String>,
    states: BTreeMap<&'static str, u64>,
    oldest: Option<UnixMs>,
    next_look: Option<UnixMs>,
    next_call: Option<UnixMs>,
    paused: Option<String>,
    /// What a running daemon says of it: what happens there, and why it waits.
    troubles: Vec<(String, String)>,
    /// And of the calls of late.
    calls: Option<Calls>,
}

impl Lane {
    /// How many are called one after the other now; those that wait for their next try have a time of their own.
    fn due(&self, now: UnixMs) -> u64 {
        let is_due = self.next_call.is_some_and(|due| due <= now) && !self.is_left_alone();
        if is_due { self.states.get(State::Main.as_str()).copied().unwrap_or(0) } else { 0 }
    }

    /// Whether its receiver fails as a whole.
    fn is_left_alone(&self) -> bool {
        self.troubles.iter().any(|(what, _)| what.starts_with("sending"))
    }
}

/// Prints it; `given` is the configuration as it can be typed again.
pub(super) async fn queue(config: &Config, given: &str, as_json: bool) -> ExitCode {
    let database = config.state.database(&config.name);
    let live = match holder(&database) {
        Some(_) => admin::ask(&admin::path_beside(&database), &json!({ "verb": "status" })).await.ok(),
        None => None,
    };
    let held = holder(&database).is_some();
    let lanes = match view(config).await {
        Ok(store) => lanes(config, store.as_ref(), live.as_ref()).await.map_err(Ends::from),
        Err(e) => Err(e),
    };
    let lanes = match lanes {
        Ok(lanes) => lanes,
        Err(Ends { code, words }) => {
            eprintln!("error: {words}");
            return ExitCode::from(code);
        }
    };
    let now = Clock::system().now();
    if as_json {
        let lanes: Vec<Value> = lanes.iter().map(|lane| document(lane, now)).collect();
        println!("{:#}", json!({ "running": held, "receivers": lanes }));
    } else {
        println!("{}", text(given, &lanes, held, live.is_some(), now).join("\n"));
    }
    ExitCode::SUCCESS
}

async fn lanes(
    config: &Config,
    store: Option<&LocalStore>,
    live: Option<&Value>,
) -> Result<Vec<Lane>, StoreError> {
    let mut lanes = Vec::new();
    for task in &config.tasks {
        for d in &task.destinations {
            if !d.name.as_str().contains(crate::config::UNSET) {
                lanes.push(lane(task.name.as_str(), d.name.as_str(), Some(d.callback.place())));
            }
        }
    }
    let Some(store) = store else { return Ok(lanes) };
    for count in store.counts().await? {
        let (task, destination) = (count.task.as_str(), count.destination.as_str());
        let at =
            lanes.iter().position(|l| l.task == task && l.destination == destination).unwrap_or_else(|| {
                // One that may be in the file under a name that is not known here has no address either.
                let receiver = (!is_parked(config, task, destination)).then(|| "?".to_owned());
                lanes.push(lane(task, destination, receiver));
                lanes.len() - 1
            });
        lanes[at].states.insert(count.state.as_str(), count.count);
        lanes[at].oldest = lanes[at].oldest.into_iter().chain([count.oldest]).min();
    }
    for lane in &mut lanes {
        let (task, destination) = (TaskName::new(&*lane.task), DestinationName::new(&*lane.destination));
        lane.next_look = store.next_due(&task, &destination, Work::Look).await?;
        lane.next_call = store.next_due(&task, &destination, Work::Call).await?;
        lane.paused = Notes::read(store, &task, &destination).await?.paused;
        let troubles = live.and_then(|live| live["status"]["tasks"][&lane.task]["trouble"].as_object());
        let ours = format!("→ {}", lane.destination);
        for (what, trouble) in troubles.into_iter().flatten() {
            let known = trouble["class"] == "paused" || trouble["class"] == "gone";
            if !known && what.ends_with(&ours) {
                lane.troubles.push((what.clone(), trouble["reason"].as_str().unwrap_or("?").to_owned()));
            }
        }
        lane.calls =
            live.and_then(|live| Calls::of(&live["status"]["tasks"][&lane.task]["calls"][&lane.destination]));
    }
    Ok(lanes)
}

fn lane(task: &str, destination: &str, receiver: Option<String>) -> Lane {
    Lane {
        task: task.to_owned(),
        destination: destination.to_owned(),
        receiver,
        states: BTreeMap::new(),
        oldest: None,
        next_look: None,
        next_call: None,
        paused: None,
        troubles: Vec::new(),
        calls: None,
    }
}

const OPEN: [State; 6] = [State::Suspect, State::Main, State::Retry, State::Slow, State::Verify, State::Dead];

fn text(given: &str, lanes: &[Lane], held: bool, asked: bool, now: UnixMs) -> Vec<String> {
    let mut out = vec![match (held, asked) {
        (true, true) => "a daemon runs".to_owned(),
        (true, false) => "a daemon runs and cannot be asked; ask as the user that runs it".to_owned(),
        (false, _) => "no daemon runs: nothing is looked at and nothing is sent".to_owned(),
    }];
    let rows: Vec<Vec<String>> = lanes
        .iter()
        .map(|lane| {
            let mut row = vec![format!("{} → {}", plain(&lane.task), plain(&lane.destination))];
            row.extend(OPEN.map(|state| number(lane.states.get(state.as_str()).copied().unwrap_or(0))));
            row.push(lane.oldest.map_or_else(|| "-".to_owned(), |at| age(at, now)));
            row.push(next(lane, held, now));
            row.push(lane.receiver.clone().unwrap_or_else(|| "not in the configuration".to_owned()));
            row
        })
        .collect();
    let head = [
        "TASK → DESTINATION",
        ">SUSPECT",
        ">MAIN",
        ">RETRY",
        ">SLOW",
        ">VERIFY",
        ">DEAD",
        ">OLDEST",
        "NEXT",
        "RECEIVER",
    ];
    out.extend(table(&head, &rows));
    for lane in lanes {
        let name = format!("{} → {}", plain(&lane.task), plain(&lane.destination));
        if lane.receiver.is_none() {
            out.push(format!(
                "{name}: parked, nobody works on it; put the destination back, or: cupid deliveries export -c {given} \
                 --task {} --destination {}, and close",
                crate::base::shell::typed(&lane.task),
                crate::base::shell::typed(&lane.destination)
            ));
        }
        let calls = lane.calls.as_ref().and_then(|calls| calls.text(lane.due(now), now));
        out.extend(calls.map(|calls| format!("{name}: {calls}")));
        out.extend(lane.paused.iter().map(|why| format!("{name}: paused: {}", plain(why))));
        out.extend(
            lane.troubles.iter().map(|(what, why)| format!("{} {what}: {}", plain(&lane.task), plain(why))),
        );
    }
    let dead: u64 = lanes.iter().filter_map(|lane| lane.states.get("dead")).sum();
    if dead > 0 {
        out.push(format!(
            "{} dead, they wait for you: cupid deliveries list -c {given} --state dead",
            number(dead)
        ));
    }
    out
}

/// When something happens next.
fn next(lane: &Lane, held: bool, now: UnixMs) -> String {
    let due = lane.next_call.into_iter().chain(lane.next_look).min();
    match due {
        None => "-".to_owned(),
        Some(_) if lane.receiver.is_none() => "parked".to_owned(),
        Some(_) if lane.paused.is_some() => "paused".to_owned(),
        Some(_) if !held => "stopped".to_owned(),
        Some(due) if due <= now && lane.is_left_alone() => "left alone".to_owned(),
        Some(due) if due <= now => "now".to_owned(),
        Some(due) => format!("in {}", span((due - now) / 1000)),
    }
}

fn document(lane: &Lane, now: UnixMs) -> Value {
    let troubles: Vec<Value> =
        lane.troubles.iter().map(|(what, why)| json!({ "what": what, "reason": why })).collect();
    let calls = lane.calls.as_ref().map(|calls| calls.document(lane.due(now)));
    json!({
        "task": lane.task, "destination": lane.destination, "receiver": lane.receiver,
        "parked": lane.receiver.is_none(), "states": lane.states, "oldest": lane.oldest,
        "next_look": lane.next_look, "next_call": lane.next_call, "paused": lane.paused, "troubles": troubles,
        "calls": calls,
    })
}
