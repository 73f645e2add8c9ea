//! A receiver: it heals, says 2xx and does nothing, fails, fails and heals all the same, or heals late.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use super::clockwork::{Clockwork, millis};
use super::copy::{Change, PlayedCopy};
use super::ledger::{Call as Arrived, Ledger};
use crate::deliver::{Answer, Call, Content, Message, MessageId};
use crate::model::{AttemptOutcome, ErrorClass};
use crate::source::dice::Dice;

/// What a receiver does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    Heals,
    HealsLate,
    Nothing,
    Fails,
    FailsAndHeals,
    HangsUp,
}

/// See the module's documentation.
pub(super) struct Receiver {
    copy: Arc<PlayedCopy>,
    clockwork: Arc<Clockwork>,
    ledger: Arc<Mutex<Ledger>>,
    /// Whether it drops what it has answered with a 2xx before.
    drops: bool,
    inner: Mutex<Inner>,
}

struct Inner {
    dice: Dice,
    does: Vec<Does>,
    known: BTreeSet<(String, i64)>,
}

impl Receiver {
    pub(super) fn new(
        copy: Arc<PlayedCopy>,
        seed: u64,
        (does, drops): (Vec<Does>, bool),
        clockwork: Arc<Clockwork>,
        ledger: Arc<Mutex<Ledger>>,
    ) -> Self {
        let dice = Dice(seed ^ (0x5ec << copy.number));
        let inner = Mutex::new(Inner { dice, does, known: BTreeSet::new() });
        Self { copy, clockwork, ledger, drops, inner }
    }

    /// The place of this receiver, as far as outages go.
    pub(super) fn place(&self) -> usize {
        100 + self.copy.number
    }

    /// From now on it does one of these.
    pub(super) fn becomes(&self, does: Vec<Does>) {
        self.inner.lock().unwrap().does = does;
    }

    /// Each row that the message is about.
    fn arrived(&self, message: &Message) -> Vec<Arrived> {
        let body: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
        match &message.of {
            Content::One(id) => vec![self.row(*id, &body, message.body.clone())],
            Content::Batch(ids) => {
                let items = body.as_array().unwrap();
                assert_eq!(items.len(), ids.len());
                let row = |(id, item): (&MessageId, &serde_json::Value)| {
                    assert_eq!(item["id"], id.to_string());
                    // Texts only, in their order: the same bytes again.
                    let data = serde_json::to_vec(&item["data"]).unwrap();
                    self.row(*id, &item["data"], data.into())
                };
                ids.iter().zip(items).map(row).collect()
            }
        }
    }

    fn row(&self, id: MessageId, body: &serde_json::Value, bytes: Box<[u8]>) -> Arrived {
        let row = &body["srcColumn"];
        let number = |name: &str| row[name].as_str()?.parse::<i128>().ok();
        let cell = |name: &str| i64::try_from(number(name)?).ok();
        let (row_id, says) = (number("id").expect("a message that can be read"), [cell("a"), cell("b")]);
        let says = says.map(|cell| cell.expect("a message that can be read"));
        Arrived {
            at: self.clockwork.now(),
            copy: self.copy.number,
            row: row_id,
            commit: self.ledger.lock().unwrap().commit_of(row_id, says),
            delivery: id.delivery.to_string(),
            revision: id.revision,
            kind: body["type"].as_u64().expect("a type"),
            says,
            body: bytes,
            accepted: None,
        }
    }

    /// What it does with a message, how long its answer takes, and how late it may heal.
    fn choose(&self) -> (Does, Duration, Duration) {
        let Inner { dice, does, .. } = &mut *self.inner.lock().unwrap();
        let slow = dice.one(&[5, 5, 50, 400, 3000]);
        let (does, took, late) = (dice.one(does), dice.below(slow), 1500 + dice.below(9000));
        (does, millis(took), millis(late))
    }

    /// What it does with one row of it.
    fn does(&self, does: Does, call: &Arrived) -> Does {
        let known = &mut self.inner.lock().unwrap().known;
        let accepts = matches!(does, Does::Heals | Does::HealsLate | Does::Nothing);
        let is_known = accepts && !known.insert((call.delivery.clone(), call.revision));
        if is_known && self.drops { Does::Nothing } else { does }
    }

    /// Also if whoever called is gone by then.
    fn heal(&self, call: &Arrived, after: Duration) {
        let at = self.clockwork.now() + after;
        let (row, version, content) = (call.row, call.commit, Some(call.says));
        self.copy.write(Change { at, row, version, content, why: "healed" });
    }
}

#[async_trait]
impl Call for Receiver {
    async fn call(&self, message: &Message) -> Answer {
        let failed = |class, status| AttemptOutcome::Failed {
            class,
            status,
            detail: "played".to_owned(),
            answer: None,
            retry_after: None,
        };
        let calls = self.arrived(message);
        for call in &calls {
            self.ledger.lock().unwrap().call(call.clone());
        }
        if self.clockwork.is_down(self.place()) {
            return failed(ErrorClass::Connect, None).into();
        }
        let (does, took, late) = self.choose();
        for call in &calls {
            match self.does(does, call) {
                Does::Heals | Does::FailsAndHeals => self.heal(call, took),
                Does::HealsLate => self.heal(call, took + late),
                _ => {}
            }
        }
        self.clockwork.sleep(took).await;
        let outcome = match does {
            Does::Heals | Does::HealsLate | Does::Nothing => {
                AttemptOutcome::Accepted { status: 200, answer: None }
            }
            Does::Fails | Does::FailsAndHeals => failed(ErrorClass::Http5xx, Some(500)),
            Does::HangsUp => failed(ErrorClass::Reset, None),
        };
        let mut ledger = self.ledger.lock().unwrap();
        let now = self.clockwork.now();
        for call in &calls {
            ledger.note(now, Some(call.row), format!("receiver {}: {does:?}", self.copy.number));
            if matches!(outcome, AttemptOutcome::Accepted { .. }) {
                let same = |c: &&mut Arrived| {
                    (&c.delivery, c.revision, c.copy) == (&call.delivery, call.revision, call.copy)
                };
                if let Some(arrived) = ledger.calls.iter_mut().rev().find(same) {
                    arrived.accepted = Some(now);
                }
            }
        }
        Answer { took, ..outcome.into() }
    }
}
