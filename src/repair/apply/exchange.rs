//! Rows of which none can go before the others.

use std::collections::VecDeque;

use super::{BATCH, Failure, HEAVIEST, Work};
use crate::repair::entry::Entry;
use crate::repair::rows::Outcome;
use crate::sql::write::{Failed, FailedKind};

impl Work<'_> {
    /// Rows that stand in each other's way, as two that have exchanged a unique value: all of them in one transaction,
    /// what is unique made empty first. A row that cannot go that way either is left out, and the others tried again.
    pub(super) async fn together(&mut self, mut list: Vec<u64>) -> Result<(), Failure> {
        let (mut alone, mut rest) = (Vec::new(), list.split_off(list.len().min(BATCH)));
        while !list.is_empty() && self.session.writes() {
            let mut entries = Vec::with_capacity(list.len());
            for at in &list {
                entries.push(self.file.entry(&self.target.table, *at)?);
            }
            if entries.iter().map(Entry::weight).sum::<usize>() > HEAVIEST {
                break;
            }
            let Some((blocked, failed)) = self.exchange(&entries).await? else {
                list.clear();
                entries.iter().for_each(|entry| self.ended(entry, Outcome::Applied, String::new()));
                break;
            };
            if failed == Some(FailedKind::Lost) || self.session.rollback().await.is_err() {
                self.reopen().await?;
            }
            alone.push(list.remove(blocked));
        }
        alone.append(&mut list);
        alone.append(&mut rest);
        // Each says for itself what is in its way.
        for at in alone {
            let entry = self.file.entry(&self.target.table, at)?;
            let (outcome, reason) = match self.batch(&VecDeque::from([at]), 1).await? {
                Ok(batch) => match batch.rows.into_iter().next() {
                    Some((_, _, done)) => (done.outcome, done.reason),
                    None => continue,
                },
                Err(failed) if failed.kind == FailedKind::Fatal => return Err(failed.error.into()),
                Err(failed) => {
                    if failed.kind == FailedKind::Lost || self.session.rollback().await.is_err() {
                        self.reopen().await?;
                    }
                    (Outcome::Refused, format!("the database says no: {}", failed.error.message))
                }
            };
            self.ended(&entry, outcome, reason);
        }
        Ok(())
    }

    /// `None`: it is done. Else nothing is, and which row is in the way, and why if the database said so.
    async fn exchange(&mut self, entries: &[Entry]) -> Result<Option<(usize, Option<FailedKind>)>, Failure> {
        let (target, session) = (&self.target, &mut self.session);
        let mut at = 0;
        let written = async {
            session.begin().await?;
            let (mut rows, mut back) = (Vec::with_capacity(entries.len()), Vec::new());
            for (place, entry) in entries.iter().enumerate() {
                at = place;
                match target.empty(session, entry).await? {
                    Some(before) => rows.push(before),
                    None => return Ok(None),
                }
            }
            for (place, (entry, before)) in entries.iter().zip(rows).enumerate() {
                at = place;
                let done = target.write(session, entry, before.as_deref()).await?;
                if done.outcome != Outcome::Applied {
                    return Ok(None);
                }
                back.extend(done.undo);
            }
            Ok::<_, Failed>(Some(back))
        };
        let written = written.await;
        let back = match written {
            Ok(Some(back)) => back,
            Ok(None) => return Ok(Some((at, None))),
            Err(failed) => return Ok(Some((at, Some(failed.kind)))),
        };
        Ok(self.commit(&back).await?.err().map(|failed| (at, Some(failed.kind))))
    }
}
