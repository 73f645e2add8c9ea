//! From the ninth version on.

/// Event destinations: each version of a row is a delivery of its own, and several of a key may be open. `event` is the
/// place of a version in the order in which they were read, 0 for differences; the last number given out is in `mark`.
///
/// The versions of a key are told one after the other: one that waits behind an older one is due at the end of time, and
/// whatever ends the older one, or puts it aside (`dead`), lets the next one go: the triggers hold that, whoever writes.
/// One that comes back (a replay) takes its turn among the others. Whoever gets the turn goes on with the revisions and
/// the claims of the key, so that both only grow, in the order of sending.
///
/// `event_lane` has what is open and what was delivered, and the number up to which versions count as not told
/// (`--restart`). Within a key, an id's newest claim is found without reading its whole history.
pub(super) const V9: &str = "
ALTER TABLE delivery ADD COLUMN event INTEGER NOT NULL DEFAULT 0;
DROP INDEX delivery_open;
CREATE UNIQUE INDEX delivery_open ON delivery (task, destination, key, event) WHERE ended_at IS NULL;
DROP INDEX delivery_id;
CREATE INDEX delivery_id ON delivery (id, claims, seq);
DROP INDEX delivery_ended;
CREATE INDEX delivery_ended ON delivery (ended_at)
    WHERE ended_at IS NOT NULL AND event = 0 AND (forgotten = 1 OR state NOT IN ('delivered', 'closed'));
CREATE INDEX event_of_key ON delivery (task, destination, key, event) WHERE event > 0;
CREATE INDEX event_waits ON delivery (task, destination, key, event)
    WHERE event > 0 AND ended_at IS NULL AND state <> 'dead';
CREATE INDEX event_ended ON delivery (task, destination, ended_at) WHERE event > 0 AND ended_at IS NOT NULL;
CREATE TABLE event_lane (
    task TEXT NOT NULL,
    destination TEXT NOT NULL,
    waiting INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    delivered INTEGER NOT NULL,
    after INTEGER NOT NULL,
    PRIMARY KEY (task, destination)
) WITHOUT ROWID;
CREATE TRIGGER event_goes AFTER UPDATE OF state, ended_at ON delivery
WHEN new.event > 0 AND old.ended_at IS NULL AND old.state <> 'dead'
    AND (new.ended_at IS NOT NULL OR new.state = 'dead')
BEGIN
    UPDATE delivery SET due = found_at, claims = max(claims, new.claims + 1), revision = max(revision, new.revision)
    WHERE due = 253402300799000 AND seq = (
        SELECT next.seq FROM delivery AS next
        WHERE next.task = new.task AND next.destination = new.destination AND next.key = new.key
            AND next.event > 0 AND next.ended_at IS NULL AND next.state <> 'dead'
        ORDER BY next.event LIMIT 1);
END;
CREATE TRIGGER event_comes_back AFTER UPDATE OF state, ended_at ON delivery
WHEN new.event > 0 AND (old.ended_at IS NOT NULL OR old.state = 'dead')
    AND new.ended_at IS NULL AND new.state <> 'dead'
BEGIN
    UPDATE delivery SET due = 253402300799000
    WHERE seq = new.seq AND EXISTS (
        SELECT 1 FROM delivery AS other
        WHERE other.task = new.task AND other.destination = new.destination AND other.key = new.key
            AND other.event > 0 AND other.ended_at IS NULL AND other.state <> 'dead' AND other.seq <> new.seq);
    UPDATE delivery
    SET revision = max(revision, (
            SELECT last.revision FROM delivery AS last WHERE last.id = new.id ORDER BY last.claims DESC LIMIT 1)),
        claims = 1 + (SELECT max(last.claims) FROM delivery AS last WHERE last.id = new.id)
    WHERE seq = new.seq AND due <> 253402300799000;
END;
CREATE TRIGGER event_closes AFTER UPDATE OF ended_at ON delivery
WHEN new.event > 0 AND old.ended_at IS NULL AND new.ended_at IS NOT NULL
BEGIN
    UPDATE event_lane SET waiting = waiting - 1, bytes = bytes - coalesce(length(old.body), 0),
        delivered = delivered + (new.state = 'delivered')
    WHERE task = new.task AND destination = new.destination;
END;
CREATE TRIGGER event_opens AFTER UPDATE OF ended_at ON delivery
WHEN new.event > 0 AND old.ended_at IS NOT NULL AND new.ended_at IS NULL
BEGIN
    UPDATE event_lane SET waiting = waiting + 1, bytes = bytes + coalesce(length(new.body), 0)
    WHERE task = new.task AND destination = new.destination;
END;
";

/// Calls: what was never called and what is tried again are found apart, so that neither waits behind a million of the
/// other. `batch`: the batch that a message was sent in last, by the digest of the ids in it; it is sent again as it was.
pub(super) const V10: &str = "
ALTER TABLE delivery ADD COLUMN batch BLOB;
ALTER TABLE delivery ADD COLUMN batch_place INTEGER;
ALTER TABLE delivery ADD COLUMN batch_attempt INTEGER;
DROP INDEX delivery_call;
CREATE INDEX delivery_fresh ON delivery (task, destination, due, seq)
    WHERE ended_at IS NULL AND claimed_until IS NULL AND state = 'main';
CREATE INDEX delivery_again ON delivery (task, destination, due, seq)
    WHERE ended_at IS NULL AND claimed_until IS NULL AND state NOT IN ('suspect', 'verify', 'dead', 'main');
CREATE INDEX delivery_batch ON delivery (batch) WHERE ended_at IS NULL AND batch IS NOT NULL;
";

/// What is to be called again after calls that failed: whether there is any is asked every few seconds.
pub(super) const V11: &str = "
CREATE INDEX delivery_refused ON delivery (task, destination, state)
    WHERE ended_at IS NULL AND tries > 0 AND state IN ('main', 'retry', 'slow');
";

/// Mends of [`V9`]: a version that ends lets the next one go only where no other one has the turn, the bytes of a body
/// that a person wrote are counted, and versions are not remembered as differences are. `begun`: 0 where versions were
/// taken in from another state before the destination was told any.
///
/// `delivery_ended_of` holds what may be deleted of one destination, however much others have.
pub(super) const V12: &str = "
ALTER TABLE event_lane ADD COLUMN begun INTEGER NOT NULL DEFAULT 1;
UPDATE delivery SET forgotten = 1
    WHERE forgotten = 0 AND state IN ('dead', 'delivered', 'closed') AND event > 0;
UPDATE delivery SET forgotten = 1 WHERE event > 0 AND ended_at IS NULL AND state <> 'dead' AND forgotten = 0;
CREATE INDEX delivery_ended_of ON delivery (task, destination, ended_at)
    WHERE ended_at IS NOT NULL AND event = 0 AND (forgotten = 1 OR state NOT IN ('delivered', 'closed'));
DROP TRIGGER event_goes;
CREATE TRIGGER event_goes AFTER UPDATE OF state, ended_at ON delivery
WHEN new.event > 0 AND old.ended_at IS NULL AND old.state <> 'dead'
    AND (new.ended_at IS NOT NULL OR new.state = 'dead')
BEGIN
    UPDATE delivery SET due = found_at, claims = max(claims, new.claims + 1), revision = max(revision, new.revision)
    WHERE due = 253402300799000 AND seq = (
        SELECT next.seq FROM delivery AS next
        WHERE next.task = new.task AND next.destination = new.destination AND next.key = new.key
            AND next.event > 0 AND next.ended_at IS NULL AND next.state <> 'dead'
        ORDER BY next.event LIMIT 1)
    AND NOT EXISTS (
        SELECT 1 FROM delivery AS head
        WHERE head.task = new.task AND head.destination = new.destination AND head.key = new.key
            AND head.event > 0 AND head.ended_at IS NULL AND head.state <> 'dead' AND head.due <> 253402300799000);
END;
CREATE TRIGGER event_weighs AFTER UPDATE OF body ON delivery
WHEN new.event > 0 AND new.ended_at IS NULL AND length(new.body) IS NOT length(old.body)
BEGIN
    UPDATE event_lane SET bytes = bytes + coalesce(length(new.body), 0) - coalesce(length(old.body), 0)
    WHERE task = new.task AND destination = new.destination;
END;
";
