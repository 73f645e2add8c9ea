//! [`History`] of the state of one process.

use std::collections::HashSet;

use async_trait::async_trait;
use sqlx::sqlite::SqlitePool;

use super::open::LocalStore;
use super::take::Rehearsal;
use super::writer::Write;
use super::wrote::Wrote;
use super::{act, find, lines, take, told};
use crate::store::{
    Act, Acted, Found, History, Line, Order, Place, Record, Select, StoreError, StoreErrorKind, TakenIn,
    Tally,
};

/// The first version of the schema that has what is read here.
const SINCE: i64 = 9;

impl LocalStore {
    /// Whether a daemon of this version has brought the schema up to date; until then deliveries cannot be looked through.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn is_lifted(&self) -> Result<bool, StoreError> {
        let version: Result<i64, _> =
            sqlx::query_scalar("PRAGMA user_version").fetch_one(self.readers()).await;
        Ok(version.map_err(|e| self.read_error(e))? >= SINCE)
    }

    /// What [`History::take_in`] would make of these, behind what was rehearsed before.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn would_take(
        &self,
        records: &[Record],
        rehearsal: &mut Rehearsal,
    ) -> Result<TakenIn, StoreError> {
        let pool = self.lifted().await?;
        take::would_take(pool, records, rehearsal).await.map_err(|e| self.read_error(e))
    }

    /// What [`History::act`] would make of these; `taken` has the deliveries with which it would be done before.
    ///
    /// # Errors
    /// If it cannot be read.
    pub async fn would_act(
        &self,
        act: &Act,
        taken: &mut HashSet<i64>,
    ) -> Result<Vec<(i64, Acted)>, StoreError> {
        let mut connection = self.lifted().await?.acquire().await.map_err(|e| self.read_error(e))?;
        let weighed = act::weigh(&mut connection, act, taken).await;
        weighed.map(|(answers, _)| answers).map_err(|e| self.read_error(e))
    }

    async fn lifted(&self) -> Result<&SqlitePool, StoreError> {
        if self.is_lifted().await? {
            return Ok(self.readers());
        }
        let message = format!(
            "the state {} was written by an older cupid; start the daemon of this version once, it brings the state \
             up to date",
            self.path().display()
        );
        Err(StoreError::new(StoreErrorKind::Other, message))
    }
}

#[async_trait]
impl History for LocalStore {
    async fn find(
        &self,
        select: &Select,
        order: Order,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Found, StoreError> {
        let pool = self.lifted().await?;
        find::find(pool, select, order, after, limit).await.map_err(|e| self.read_error(e))
    }

    async fn lines(&self, numbers: &[i64]) -> Result<Vec<Line>, StoreError> {
        let pool = self.lifted().await?;
        lines::lines(pool, numbers).await.map_err(|e| self.read_error(e))
    }

    async fn tally(&self, select: &Select) -> Result<Vec<Tally>, StoreError> {
        let pool = self.lifted().await?;
        find::tally(pool, select).await.map_err(|e| self.read_error(e))
    }

    async fn beginning_with(&self, digits: &str) -> Result<Vec<(String, i64)>, StoreError> {
        let pool = self.lifted().await?;
        lines::beginning_with(pool, digits).await.map_err(|e| self.read_error(e))
    }

    async fn record(&self, number: i64) -> Result<Option<Record>, StoreError> {
        let pool = self.lifted().await?;
        told::record(pool, number).await.map_err(|e| self.read_error(e))
    }

    async fn act(&self, act: Act) -> Result<Vec<(i64, Acted)>, StoreError> {
        self.write(Write::Act(act)).await.map(Wrote::acted)
    }

    async fn take_in(&self, records: Vec<Record>) -> Result<TakenIn, StoreError> {
        self.write(Write::TakeIn(records)).await.map(Wrote::taken_in)
    }
}
