"""What a receiver of docs/receivers must do with what it is sent; the names are printed."""

import hashlib
import http.client
import json
from contextlib import closing
from pathlib import Path

from samples import Java, Php, Skip, SqlSample, wait_until
from schema import problems
from sender import OTHER_SECRET, SCHEMA, SECRET, Message, send, together


def accepted(sample, message, **how):
    """Sends it: 204, and the effect is there."""
    status, text = send(sample.port, message, **how)
    assert status == 204, (status, text)
    assert sample.shows(message.id, message.body), sample.state()


def ignored(sample, message, wanted, **how):
    """Sends it: the wanted status, and nothing has changed."""
    before = sample.state()
    status, text = send(sample.port, message, **how)
    assert status == wanted, (status, text)
    assert sample.state() == before, sample.state()


def signed_type_1(s):
    accepted(s, Message())


def duplicate_is_dropped(s):
    message = Message()
    accepted(s, message)
    s.disturb(message.body)
    ignored(s, message, 204)


def parallel_duplicates_are_written_once(s):
    for _ in range(20):
        message = Message(name="x" * 20_000)
        assert together(s.port, [message] * 16) == [204] * 16
        assert s.shows(message.id, message.body), s.state()


def parallel_versions_end_with_the_newest(s):
    for _ in range(10):
        first = Message()
        versions = [Message(2, revision=n, like=first, name=f"version {n}" + "x" * 20_000) for n in range(2, 18)]
        assert together(s.port, versions[::-1]) == [204] * 16
        assert s.shows(versions[-1].id, versions[-1].body), s.state()
        assert s.in_order(first.delivery), s.state()


def late_older_revision_is_dropped(s):
    old = Message(name="old", revision=9)
    accepted(s, Message(2, revision=10, like=old, name="new"))
    ignored(s, old, 204)
    accepted(s, Message(2, revision=11, like=old, name="newer"))


def type_2_with_null_and_chinese(s):
    first = Message(name="李雷")
    accepted(s, first)
    accepted(s, Message(2, revision=2, like=first, name="韩梅梅 “😀”\n\t\\ '\" </b> \u2028"))
    accepted(s, Message(2, revision=3, like=first, name=None))
    accepted(s, Message(2, revision=4, like=first, name=""))


def type_3(s):
    first = Message()
    accepted(s, first)
    accepted(s, Message(3, revision=2, like=first))
    accepted(s, Message(1, revision=3, like=first, name="back"))


def typed_values(s):
    accepted(s, Message(name="n", score=2.5, big="9007199254740993", active=True, none=None))


def hostile_names_are_data(s):
    accepted(s, Message(**{'x" = 1; DROP TABLE user; --': "1", "`": "2", "a.b": "3", "订单": "4", "__proto__": "5"}))


def bad_signature(s):
    message = Message()
    ignored(s, message, 401, headers=message.headers(OTHER_SECRET))
    right = message.headers()["webhook-signature"]
    for value in ("", "v1", "v1,", "v1,é", "v1,AAAA", "v1a,AAAA", "v2," + right[3:], right[3:], right + "="):
        ignored(s, message, 401, headers={**message.headers(), "webhook-signature": value.encode()})
    accepted(s, message)


def body_or_id_not_the_signed_one(s):
    message, other = Message(), Message()
    ignored(s, other, 401, headers=message.headers())
    ignored(s, message, 401, headers={**message.headers(), "webhook-id": other.id})


def unsigned_or_incomplete_headers(s):
    message = Message()
    ignored(s, message, 401, headers=message.headers(None))
    for name in ("webhook-id", "webhook-timestamp", "webhook-signature"):
        headers = message.headers()
        del headers[name]
        ignored(s, message, 401, headers=headers)


def old_or_future_timestamp(s):
    message = Message()
    ignored(s, message, 401, headers=message.headers(at=-310))
    ignored(s, message, 401, headers=message.headers(at=+310))
    ignored(s, message, 401, headers={**message.headers(), "webhook-timestamp": "soon"})
    accepted(s, message, headers=message.headers(at=-280))


def rotated_signatures(s):
    for right_first in (False, True):
        message = Message()
        headers = message.headers()
        items = [headers["webhook-signature"], message.headers(OTHER_SECRET)["webhook-signature"], "v1a,AAAA"]
        headers["webhook-signature"] = " ".join(items if right_first else items[::-1])
        accepted(s, message, headers=headers)


def malformed_bodies(s):
    message = Message()
    row = message.raw.split(b":", 2)[2][:-1]
    for raw in (
        b"", b"{", b"null", b"[]", b"7", message.raw + b"}", message.raw[:-1], b"[" * 200_000,
        b"\xff" + message.raw, message.raw.replace(b"Ann", b"\xff\xfe"), message.raw.replace(b"Ann", b"A\nn"),
        b'{"type":1,"srcColumn":{"number":"1",}}', b'{"type":1,"srcColumn":{number:"1"}}',
        b'{"type":1,"srcColumn":{"number":%s}}' % (b"[" * 200_000 + b"]" * 200_000),
        b'{"type":1}', b'{"srcColumn":%s}' % row, b'{"type":0,"srcColumn":%s}' % row,
        b'{"type":4,"srcColumn":%s}' % row, b'{"type":"1","srcColumn":%s}' % row,
        b'{"type":1,"srcColumn":null}', b'{"type":1,"srcColumn":[]}', b'{"type":1,"srcColumn":"x"}',
        b'{"type":3,"srcColumn":null}', b'{"type":3,"srcColumn":null,"desColumn":null}',
    ):  # fmt: skip
        bad = Message(like=message)
        bad.raw = raw
        ignored(s, bad, 400)
    accepted(s, message)  # a refused id is not taken for a known one


def malformed_ids(s):
    message = Message()
    for id in ("x", "-1", "x-", "x-y", "x-1 ", "a b-1", "x-" + "1" * 19, "x" * 300 + "-1"):
        status, text = send(s.port, message, headers=message.headers(id=id))
        assert status in (400, 401), (id, status, text)  # 401: a blank at the end does not survive HTTP
    assert not s.shows(message.id, message.body)


def other_methods(s):
    message = Message()
    for method in ("GET", "PUT", "DELETE"):
        ignored(s, message, 405, method=method)


def one_connection_many_calls(s):
    with closing(http.client.HTTPConnection("127.0.0.1", s.port, timeout=10)) as connection:
        for _ in range(20):
            accepted(s, Message(), connection=connection)
            bad = Message()
            bad.raw = b"{"
            ignored(s, bad, 400, connection=connection)


def body_of_a_megabyte(s):
    accepted(s, Message(name="长" * 350_000))


def large_body_is_refused_before_it_is_read(s):
    with closing(http.client.HTTPConnection("127.0.0.1", s.port, timeout=10)) as connection:
        connection.putrequest("POST", "/")
        connection.putheader("Content-Length", str(17 * 1024 * 1024))
        connection.endheaders()
        assert connection.getresponse().status == 413


def failed_write_is_answered_500_and_not_remembered(s):
    message = Message()
    if isinstance(s, SqlSample):
        s.break_writes()
        try:
            answers = [send(s.port, message)[0] for _ in range(2)]
        finally:
            s.mend_writes()
        assert answers == [500, 500], answers
        accepted(s, message)
        return
    if not Path("/dev/full").exists():
        raise Skip("no /dev/full here")
    (s.folder / "full").symlink_to("/dev/full")
    port = s.start(SECRET, OUT="full")
    answers = [send(port, message)[0] for _ in range(2)]
    assert answers == [500, 500], answers


def without_secret_unsigned_is_accepted(s):
    s.port, port = s.start(), s.port
    try:
        message = Message()
        accepted(s, message, headers=message.headers(None))
        ignored(s, message, 400, headers={})
    finally:
        s.port = port


def bad_secret_is_refused_at_start(s):
    for secret in ("c2VjcmV0", "whsec_***", "whsec_", "whsec_c2hvcnQ="):
        if isinstance(s, Php):
            message = Message()
            assert send(s.start(secret), message, headers=message.headers(None))[0] == 500, secret
            break
        process, _, log = s.launch(secret)
        wait_until(f"ends with SECRET={secret}", lambda: process.poll() is not None, 30)
        assert process.returncode == 1, process.returncode
        assert "SECRET" in log.read_text() and "Traceback" not in log.read_text(), log.read_text()
        if isinstance(s, Java):
            break  # each start takes a second


# --- only for the Python receivers -------------------------------------------------------------------


def values_fit_their_columns(s):
    message = Message(photo="AP8=", order="o", score="1.50", unknown="dropped")
    accepted(s, message)
    row = s.sql("SELECT * FROM user WHERE number = ?", (message.number,))
    assert row == [(message.number, "Ann", b"\x00\xff", "o", 1.5)], row
    ignored(s, Message(photo="no base64!"), 400)


def columns_not_sent_stay(s):
    message = Message()
    s.sql('INSERT INTO user (number, name, "order") VALUES (?, ?, ?)', (message.number, "old", "kept"))
    accepted(s, message)
    assert s.sql('SELECT "order" FROM user WHERE number = ?', (message.number,)) == [("kept",)]


def batch_of(messages):
    """These messages in one call."""
    batch = Message(like=messages[0])
    items = [{"id": m.id, "attempt": 1, "data": m.body} for m in messages]
    assert not problems(SCHEMA, items), problems(SCHEMA, items)
    batch.raw = json.dumps(items, ensure_ascii=False).encode()
    batch.id = hashlib.sha256("".join(m.id + "\n" for m in messages).encode()).hexdigest()[:32]
    return batch


def a_batch_is_written_row_by_row(s):
    old = Message(name="old", revision=9)
    accepted(s, Message(2, revision=10, like=old, name="new"))
    bad, good = Message(photo="no base64!"), [Message(name=f"row {n}") for n in range(5)]
    status, text = send(s.port, batch_of([good[0], old, bad, *good[1:]]))
    assert status == 200, (status, text)
    assert [(r["id"], r["status"]) for r in json.loads(text)["results"]] == [(bad.id, 400)], text
    assert all(s.shows(m.id, m.body) for m in good), s.state()
    assert s.sql("SELECT name FROM user WHERE number = ?", (old.number,)) == [("new",)]
    assert json.loads(send(s.port, batch_of(good))[1]) == {"results": []}, "known ones are taken"
    s.break_writes()
    try:
        status, text = send(s.port, batch_of([Message()]))
    finally:
        s.mend_writes()
    assert (status, json.loads(text)["results"][0]["status"]) == (200, 500), (status, text)
    none = Message()
    none.raw = b'[{"attempt":1,"data":{}}]'
    ignored(s, none, 400)


def a_row_without_its_key(s):
    ignored(s, Message(number=None), 400)
    bad = Message()
    bad.raw = b'{"type":1,"srcColumn":{"name":"x"}}'
    ignored(s, bad, 400)


def columns_with_another_name(s):
    port, s.port = s.port, s.start(SECRET, COLUMNS='{"id": "number", "title": "name"}')
    try:
        message = Message()
        message.raw = b'{"type":1,"srcColumn":{"id":"%d","title":"by name"}}' % message.number
        assert send(s.port, message)[0] == 204
        assert s.sql("SELECT name FROM user WHERE number = ?", (message.number,)) == [("by name",)]
    finally:
        s.port = port


def a_copy_that_cannot_work_is_refused_at_start(s):
    for env in ({"DB": "absent.db"}, {"TABLE": "absent"}, {"KEY": "absent"}, {"KEY": "name"}, {"TABLE": 'x"; --'}):
        process, _, log = s.launch(SECRET, **env)
        wait_until(f"ends with {env}", lambda: process.poll() is not None)
        assert process.returncode == 1 and "Traceback" not in log.read_text(), log.read_text()
    assert not (s.folder / "absent.db").exists()


def fifteen_lines(s):
    assert len(s.path.read_text().splitlines()) <= 15


def bad_callback_is_not_a_success(s):
    message = Message()
    for raw in (b"{", b'{"type":3,"srcColumn":null,"desColumn":{"number":"1"}}'):
        message.raw = raw
        before = s.state()
        try:
            status = send(s.port, message)[0]
        except (http.client.HTTPException, ConnectionError):
            status = None
        assert status is None or status >= 300, status
        assert s.state() == before
    accepted(s, Message())


EVERY = [
    signed_type_1, duplicate_is_dropped, late_older_revision_is_dropped, parallel_duplicates_are_written_once,
    parallel_versions_end_with_the_newest, type_2_with_null_and_chinese, type_3, typed_values,
    hostile_names_are_data, bad_signature, body_or_id_not_the_signed_one, unsigned_or_incomplete_headers,
    old_or_future_timestamp, rotated_signatures, malformed_bodies, malformed_ids, other_methods,
    one_connection_many_calls, body_of_a_megabyte, failed_write_is_answered_500_and_not_remembered,
    without_secret_unsigned_is_accepted, bad_secret_is_refused_at_start,
]  # fmt: skip
PLAIN = [signed_type_1, type_2_with_null_and_chinese, bad_callback_is_not_a_success, fifteen_lines]
PYTHON = [
    values_fit_their_columns, a_batch_is_written_row_by_row, columns_not_sent_stay, a_row_without_its_key, columns_with_another_name,
    a_copy_that_cannot_work_is_refused_at_start,
]  # fmt: skip
