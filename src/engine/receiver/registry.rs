//! Which lanes call the same endpoint.

use std::sync::Arc;

use tokio::sync::Notify;

use super::{Limits, Member, Receiver};
use crate::base::clock::Clock;
use crate::config::{CallbackConfig, DestinationConfig};
use crate::engine::Places;
use crate::model::TaskName;

/// All receivers of a configuration.
pub(in crate::engine) struct Receivers(Vec<(CallbackConfig, Arc<Receiver>)>);

impl Receivers {
    /// One for each endpoint. Of what its destinations say the least holds for all of them.
    pub(in crate::engine) fn of(places: &Places, clock: &Clock) -> Self {
        let mut found: Vec<(CallbackConfig, Limits, Vec<Member>)> = Vec::new();
        for task in &places.tasks {
            for config in &task.config.destinations {
                let limits = Limits::of(&config.callback, config.breaker);
                let (task, destination) = (task.config.name.clone(), config.name.clone());
                let member = Member { task, destination, wake: Arc::new(Notify::new()) };
                match found.iter_mut().find(|(other, ..)| other.is_same_receiver(&config.callback)) {
                    Some((_, least, members)) => {
                        least.least(&limits);
                        members.push(member);
                    }
                    None => found.push((config.callback.clone(), limits, vec![member])),
                }
            }
        }
        let made = found.into_iter().map(|(config, limits, members)| {
            let receiver = Receiver::new(config.place(), &limits, members, clock.clone());
            (config, Arc::new(receiver))
        });
        Self(made.collect())
    }

    /// The receiver of a destination, its number there, and what wakes it.
    pub(in crate::engine) fn seat(
        &self,
        task: &TaskName,
        config: &DestinationConfig,
    ) -> (Arc<Receiver>, usize, Arc<Notify>) {
        let receiver = self.0.iter().find(|(of, _)| of.is_same_receiver(&config.callback));
        let (_, receiver) = receiver.expect("made of the same destinations");
        let is_it = |member: &Member| member.task == *task && member.destination == config.name;
        let seat = receiver.members.iter().position(is_it).expect("made of the same destinations");
        (receiver.clone(), seat, receiver.members[seat].wake.clone())
    }

    pub(in crate::engine) fn all(self) -> Vec<Arc<Receiver>> {
        self.0.into_iter().map(|(_, receiver)| receiver).collect()
    }
}
