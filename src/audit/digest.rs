//! Stretches by digests: both servers digest their rows, and only what differs is split or read.

use tokio::time::Instant;

use super::resolve::Tables;
use super::run::{Part, Pass, Run};
use super::side::{Digest, Edge, Side};
use super::strategy::PIECES;
use crate::config::{ColumnPolicy, Engine};
use crate::model::Value;
use crate::sql::{PlaceError, PlaceErrorKind, canonical};

/// What two digests say.
enum Said {
    /// So many rows, all of which agree.
    Same(u64),
    /// So many rows on the side that has more, some of which disagree.
    Differs(u64),
    /// Nothing: a row is larger than what the server can digest, or the server has failed at it.
    Nothing,
}

/// A stretch that differs, and about how many rows it has.
struct Piece {
    low: Edge,
    high: Edge,
    rows: u64,
}

/// The texts of rows that both servers digest.
///
/// # Errors
/// Why they cannot, for people.
pub(super) fn texts(
    source: &Side,
    copy: &Side,
    compared: &[(usize, usize, ColumnPolicy)],
    alike: bool,
    unique: bool,
) -> Result<[String; 2], String> {
    let (from, to) = (&source.table, &copy.table);
    if from.engine == Engine::Sqlite || to.engine == Engine::Sqlite {
        return Err("SQLite has no digests".to_owned());
    }
    if !alike {
        return Err("nobody knows whether both sides order these keys alike".to_owned());
    }
    if !unique {
        return Err("no index says that each key has one row only".to_owned());
    }
    if let Some((at, _, policy)) = compared.iter().find(|(.., policy)| policy.is_loose()) {
        return Err(format!("column {} is compared with {policy}", from.columns[*at].name));
    }
    let key = source.key.iter().copied().zip(copy.key.iter().copied());
    let pairs: Vec<(usize, usize)> = key.chain(compared.iter().map(|(a, b, _)| (*a, *b))).collect();
    canonical::rows(from, to, &pairs).map_err(|without| {
        let shown = |at: &usize| {
            let (a, b) = (&from.columns[pairs[*at].0], &to.columns[pairs[*at].1]);
            format!("{} ({} at the source, {} at the copy)", a.name, a.declared, b.declared)
        };
        let names: Vec<String> = without.iter().take(3).map(shown).collect();
        let more =
            if without.len() > 3 { format!(", and {} more", without.len() - 3) } else { String::new() };
        format!("the servers do not write these columns alike: {}{more}", names.join(", "))
    })
}

impl Run<'_> {
    /// Compares a stretch, by digests as far as they go.
    pub(super) async fn digested(&self, low: Edge, high: Edge) -> Result<Part, PlaceError> {
        let began = Instant::now();
        let mut part = Part::default();
        if high.is_none() && self.goes_on(&low).await? {
            self.read_piece(&mut part, low, high).await?;
            return Ok(part);
        }
        let rows = match self.ask_digests(&low, &high).await? {
            Said::Same(rows) => {
                self.digest_size.learn(usize::try_from(rows).unwrap_or(usize::MAX), began.elapsed(), 0);
                part.agree(rows);
                rows
            }
            Said::Differs(rows) => {
                self.digest_size.learn(usize::try_from(rows).unwrap_or(usize::MAX), began.elapsed(), 0);
                self.find(&mut part, Piece { low, high, rows }).await?;
                rows
            }
            Said::Nothing => {
                part.undigested += 1;
                self.read_piece(&mut part, low, high).await?;
                return Ok(part);
            }
        };
        self.choice.compared(rows, began.elapsed());
        Ok(part)
    }

    /// Finds the rows of a stretch that differ: in smaller pieces as long as these are cheaper than reading it.
    async fn find(&self, part: &mut Part, stretch: Piece) -> Result<(), PlaceError> {
        let mut open = vec![stretch];
        while let Some(Piece { low, high, rows }) = open.pop() {
            if !self.choice.splits(rows) {
                self.read_piece(part, low, high).await?;
                continue;
            }
            let pieces = self.cut(&low, &high, rows).await?;
            let (all, mut bad) = (pieces.len(), Vec::new());
            for (low, high) in pieces {
                match self.ask_digests(&low, &high).await? {
                    Said::Same(rows) => part.agree(rows),
                    Said::Differs(rows) => bad.push(Piece { low, high, rows }),
                    Said::Nothing => {
                        part.undigested += 1;
                        self.read_piece(part, low, high).await?;
                    }
                }
            }
            if all == 1 || bad.len() * 2 > all {
                // Differences everywhere: to find each would take longer than to read all.
                for Piece { low, high, .. } in bad {
                    self.read_piece(part, low, high).await?;
                }
            } else {
                open.extend(bad);
            }
        }
        Ok(())
    }

    /// Reads the rows of a stretch, as if it had not been digested.
    async fn read_piece(&self, part: &mut Part, low: Edge, high: Edge) -> Result<(), PlaceError> {
        part.add(Box::pin(self.stretch(Pass::Both, low, high)).await?);
        Ok(())
    }

    /// Whether the copy goes on far behind the source's last rows: then what it has there differs, and nobody knows how
    /// much it is.
    async fn goes_on(&self, low: &Edge) -> Result<bool, PlaceError> {
        Ok(self.tables.copy.edge(low, self.digest_size.rows() * 2).await?.is_some())
    }

    /// The stretch in pieces of the side that has more rows.
    async fn cut(&self, low: &Edge, high: &Edge, rows: u64) -> Result<Vec<(Edge, Edge)>, PlaceError> {
        let Tables { source, copy, .. } = self.tables;
        let step = usize::try_from(rows).unwrap_or(usize::MAX) / PIECES;
        let mut pieces = Vec::with_capacity(PIECES);
        let mut from = low.clone();
        for _ in 1..PIECES {
            let edges = tokio::try_join!(
                source.edge_within(&from, high, step.saturating_sub(1)),
                copy.edge_within(&from, high, step.saturating_sub(1))
            )?;
            let Some(edge) = edges.0.or(edges.1) else { break };
            if high.as_ref().is_some_and(|high| high[..] == edge[..]) {
                break;
            }
            let next = Some(edge);
            pieces.push((from, next.clone()));
            from = next;
        }
        pieces.push((from, high.clone()));
        Ok(pieces)
    }

    async fn ask_digests(&self, low: &Edge, high: &Edge) -> Result<Said, PlaceError> {
        let began = Instant::now();
        let Tables { source, copy, .. } = self.tables;
        let (a, b) = match tokio::try_join!(source.digest(low, high), copy.digest(low, high)) {
            Ok(both) => both,
            // More rows than were expected, or a row that cannot be put together.
            Err(e) if e.kind == PlaceErrorKind::TooSlow => return Ok(Said::Nothing),
            Err(e) if e.kind.is_passing() => return Err(e),
            Err(e) => {
                self.choice.fail(format!("digests failed: {e}"));
                return Ok(Said::Nothing);
            }
        };
        let rows = a.rows.max(b.rows);
        self.choice.digested(rows, began.elapsed());
        Ok(if a.without > 0 || b.without > 0 {
            Said::Nothing
        } else if a == b {
            Said::Same(rows)
        } else {
            Said::Differs(rows)
        })
    }
}

impl Digest {
    /// From what the statement brings: rows, those that have a digest, sums of its halves.
    pub(super) fn read(row: &[Value]) -> Option<Self> {
        let [rows, with, high, low] = row else { return None };
        let count = |value: &Value| value.as_int().and_then(|n| u64::try_from(n).ok());
        let rows = count(rows)?;
        Some(Self { rows, without: rows.checked_sub(count(with)?)?, sums: [high.clone(), low.clone()] })
    }
}
