//! Numbered migrations. A file with a higher number than ours is refused.

mod late;

use late::{V9, V10, V11, V12};

/// `PRAGMA application_id` of our files: "cupd".
pub(super) const APPLICATION_ID: i64 = 0x6375_7064;

/// Each entry lifts the schema by one version, in one transaction.
pub(super) const MIGRATIONS: &[&str] = &[V1, V2, V3, V4, V5, V6, V7, V8, V9, V10, V11, V12];

/// Times are Unix milliseconds. `claimed_until` NULL: nobody works on it; `claims` is the number of the current or last
/// claim. `found`: digest of the difference found last since the claim began. `calling`: when the open call began, or 0.
///
/// `delivery_state` contains `ended_at`, which is always NULL there, so that counting need not read the rows.
///
/// `mark` holds single numbers. `revision`: greatest revision of all deliveries that were deleted; every new delivery
/// starts there, so that the revisions of a key grow even when nothing of the key is left.
const V1: &str = "
CREATE TABLE cursor (
    task TEXT NOT NULL,
    destination TEXT NOT NULL,
    feed TEXT NOT NULL,
    position TEXT NOT NULL,
    identity TEXT NOT NULL,
    start_id TEXT,
    updated_at INTEGER NOT NULL,
    PRIMARY KEY (task, destination, feed)
) WITHOUT ROWID;

CREATE TABLE delivery (
    seq INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    task TEXT NOT NULL,
    destination TEXT NOT NULL,
    key BLOB NOT NULL,
    row_id TEXT NOT NULL,
    kind INTEGER NOT NULL,
    state TEXT NOT NULL,
    due INTEGER NOT NULL,
    claimed_until INTEGER,
    claims INTEGER NOT NULL DEFAULT 0,
    calling INTEGER NOT NULL DEFAULT 0,
    found BLOB,
    revision INTEGER NOT NULL DEFAULT 0,
    tries INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    looks INTEGER NOT NULL DEFAULT 0,
    unhealed INTEGER NOT NULL DEFAULT 0,
    renew INTEGER NOT NULL DEFAULT 1,
    body BLOB,
    sent BLOB,
    fingerprint BLOB NOT NULL,
    run BLOB NOT NULL,
    note TEXT,
    found_at INTEGER NOT NULL,
    seen_at INTEGER NOT NULL,
    acked_at INTEGER,
    ended_at INTEGER
);
CREATE INDEX delivery_id ON delivery (id, seq);
CREATE UNIQUE INDEX delivery_open ON delivery (task, destination, key) WHERE ended_at IS NULL;
CREATE INDEX delivery_key ON delivery (task, destination, key, seq) WHERE ended_at IS NOT NULL;
CREATE INDEX delivery_due ON delivery (task, destination, due, seq)
    WHERE ended_at IS NULL AND claimed_until IS NULL AND state <> 'dead';
CREATE INDEX delivery_claimed ON delivery (claimed_until) WHERE claimed_until IS NOT NULL;
CREATE INDEX delivery_state ON delivery (task, destination, state, found_at, ended_at) WHERE ended_at IS NULL;
CREATE INDEX delivery_ended ON delivery (ended_at) WHERE ended_at IS NOT NULL;

CREATE TABLE attempt (
    delivery INTEGER NOT NULL REFERENCES delivery (seq) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    began INTEGER NOT NULL,
    took_ms INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    status INTEGER,
    detail TEXT,
    PRIMARY KEY (delivery, number)
) WITHOUT ROWID;

CREATE INDEX attempt_began ON attempt (began);

CREATE TABLE mark (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE run (
    id BLOB PRIMARY KEY,
    task TEXT NOT NULL,
    ended_at INTEGER NOT NULL,
    found INTEGER NOT NULL
) WITHOUT ROWID;
";

/// Suspects: `watch` is what confirming knows of one. What is looked at and what is called are claimed separately;
/// a state that this version does not know is claimed for a call, found unreadable and shown as dead. `note` holds what is
/// learned of a destination.
const V2: &str = "
ALTER TABLE delivery ADD COLUMN watch BLOB;
DROP INDEX delivery_due;
CREATE INDEX delivery_look ON delivery (task, destination, due, seq)
    WHERE ended_at IS NULL AND claimed_until IS NULL AND state IN ('suspect', 'verify');
CREATE INDEX delivery_call ON delivery (task, destination, due, seq)
    WHERE ended_at IS NULL AND claimed_until IS NULL AND state NOT IN ('suspect', 'verify', 'dead');
CREATE TABLE note (
    task TEXT NOT NULL,
    destination TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (task, destination, name)
) WITHOUT ROWID;
";

/// Coverage. `coverage` has a row for each cursor: looks by verdict since the feed began, then what held at the last one.
/// `unfit` has the rows that cannot be compared, by their integer key in the order of its bytes.
const V3: &str = "
CREATE TABLE coverage (
    task TEXT NOT NULL,
    destination TEXT NOT NULL,
    feed TEXT NOT NULL,
    rows INTEGER NOT NULL,
    same INTEGER NOT NULL,
    missing INTEGER NOT NULL,
    differs INTEGER NOT NULL,
    ambiguous INTEGER NOT NULL,
    extra INTEGER NOT NULL,
    not_comparable INTEGER NOT NULL,
    null_key INTEGER NOT NULL,
    undecided INTEGER NOT NULL,
    too_large INTEGER NOT NULL,
    looked_at INTEGER NOT NULL,
    caught_up INTEGER NOT NULL,
    settled TEXT,
    settled_at INTEGER,
    told INTEGER NOT NULL,
    forgets INTEGER NOT NULL,
    uncovered INTEGER,
    uncovered_more INTEGER NOT NULL,
    unreadable TEXT,
    ahead_s INTEGER,
    counted INTEGER,
    counted_after TEXT,
    counted_upto TEXT,
    unsettled INTEGER NOT NULL,
    PRIMARY KEY (task, destination, feed)
) WITHOUT ROWID;
CREATE TABLE unfit (
    task TEXT NOT NULL,
    destination TEXT NOT NULL,
    row BLOB NOT NULL,
    key BLOB,
    why TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (task, destination, row)
) WITHOUT ROWID;
DROP INDEX delivery_state;
CREATE INDEX delivery_state ON delivery (task, destination, state, kind, found_at, row_id, ended_at)
    WHERE ended_at IS NULL;
";

/// What was ended by a person or handed over is remembered, by the last delivery of a key, until its row is seen to agree
/// or differs in another way: then it is `forgotten`. `evidence`: both lists of an ambiguous key, as JSON.
///
/// `delivery_stands` holds what is remembered; `delivery_ended` what may be deleted, `delivery_told` and `delivery_heavy`
/// what is remembered when it was last seen, and while it still has its message.
const V4: &str = "
ALTER TABLE delivery ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0;
ALTER TABLE delivery ADD COLUMN evidence TEXT;
UPDATE delivery SET forgotten = 1
    WHERE ended_at IS NOT NULL AND state IN ('delivered', 'closed') AND (
        EXISTS (SELECT 1 FROM delivery AS later WHERE later.task = delivery.task
            AND later.destination = delivery.destination AND later.key = delivery.key
            AND later.ended_at IS NOT NULL AND later.seq > delivery.seq)
        OR EXISTS (SELECT 1 FROM delivery AS later WHERE later.task = delivery.task
            AND later.destination = delivery.destination AND later.key = delivery.key AND later.ended_at IS NULL));
CREATE INDEX delivery_stands ON delivery (task, destination, key)
    WHERE forgotten = 0 AND state IN ('dead', 'delivered', 'closed');
DROP INDEX delivery_ended;
CREATE INDEX delivery_ended ON delivery (ended_at)
    WHERE ended_at IS NOT NULL AND (forgotten = 1 OR state NOT IN ('delivered', 'closed'));
CREATE INDEX delivery_told ON delivery (seen_at, ended_at)
    WHERE ended_at IS NOT NULL AND forgotten = 0 AND state IN ('delivered', 'closed');
CREATE INDEX delivery_heavy ON delivery (ended_at)
    WHERE ended_at IS NOT NULL AND forgotten = 0 AND state IN ('delivered', 'closed') AND body IS NOT NULL;
";

/// Attempts: the beginning of what the receiver answered.
const V5: &str = "
ALTER TABLE attempt ADD COLUMN answer TEXT;
";

/// Retention: suspects that healed without a call, and runs.
const V6: &str = "
CREATE INDEX delivery_passing ON delivery (ended_at)
    WHERE ended_at IS NOT NULL AND state = 'healed' AND attempts = 0;
CREATE INDEX run_ended ON run (ended_at);
";

/// What people see and do. `edited`: a body that somebody wrote and that waits to be sent; `differs`: what the message
/// was about, column by column, as JSON. `act`: what was done by whom; `was` is the state before. `delivery_past` is for
/// whoever looks through what has ended. `lost`: claims in a row whose lease ran out.
const V7: &str = "
ALTER TABLE delivery ADD COLUMN edited BLOB;
ALTER TABLE delivery ADD COLUMN differs TEXT;
ALTER TABLE delivery ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;
CREATE INDEX delivery_past ON delivery (task, destination, state, kind, found_at, ended_at)
    WHERE ended_at IS NOT NULL;
CREATE TABLE act (
    delivery INTEGER NOT NULL REFERENCES delivery (seq) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    at INTEGER NOT NULL,
    what TEXT NOT NULL,
    author TEXT NOT NULL,
    note TEXT,
    was TEXT NOT NULL,
    original BLOB,
    edited BLOB,
    PRIMARY KEY (delivery, number)
) WITHOUT ROWID;
";

/// Runs: one row for a pass that is worth it, one for the others of an hour. `from_at` and `to_at` are for people; the
/// errors are JSON. Ids ascend with time. Of what was kept before, it is known when it ended and
/// how much it had found.
///
/// `delivery_run` finds what a run has opened.
const V8: &str = "
ALTER TABLE run RENAME TO run_before;
CREATE TABLE run (
    id BLOB PRIMARY KEY,
    task TEXT NOT NULL,
    destination TEXT NOT NULL,
    feed TEXT NOT NULL,
    from_at TEXT,
    to_at TEXT,
    result TEXT NOT NULL,
    passes INTEGER NOT NULL,
    rows INTEGER NOT NULL,
    same INTEGER NOT NULL,
    missing INTEGER NOT NULL,
    differs INTEGER NOT NULL,
    ambiguous INTEGER NOT NULL,
    extra INTEGER NOT NULL,
    not_comparable INTEGER NOT NULL,
    null_key INTEGER NOT NULL,
    undecided INTEGER NOT NULL,
    too_large INTEGER NOT NULL,
    opened INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    healed INTEGER NOT NULL,
    errors INTEGER NOT NULL,
    first_error TEXT,
    last_error TEXT,
    started_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL
) WITHOUT ROWID;
INSERT INTO run SELECT id, task, '', '', NULL, NULL, 'ok', 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, found, 0, 0, 0, NULL, NULL,
    ended_at, ended_at FROM run_before;
DROP TABLE run_before;
CREATE INDEX run_ended ON run (ended_at);
CREATE INDEX delivery_run ON delivery (run);
";
