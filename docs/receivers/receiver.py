#!/usr/bin/env python3
"""A receiver for cupid's callbacks that keeps a table of a SQLite database in step.

    DB=copy.db TABLE=user KEY=number python3 receiver.py 20000

Python 3.8 or newer, nothing else. Settings are environment variables:
    PORT     port on 127.0.0.1, if not given as the argument
    SECRET   whsec_...; callbacks without its signature are refused with 401
    DB, TABLE, KEY   the copy; KEY must be its primary key or have a unique index
    COLUMNS  for columns with another name in the copy: {"source name": "copy name"}
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import re
import sqlite3
import sys
import threading
import time
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

TOLERANCE = 300  # seconds a timestamp may be off
BODY_LIMIT = 16 * 1024 * 1024
REMEMBERED = 10_000  # deliveries whose revision is kept in memory

DB = os.environ.get("DB", "copy.db")
TABLE = os.environ.get("TABLE", "user")
KEY = os.environ.get("KEY", "number")
COLUMNS = json.loads(os.environ.get("COLUMNS", "{}"))
SECRET = os.environ.get("SECRET", "")

written = OrderedDict()  # delivery -> newest revision written
lock = threading.Lock()  # one callback is checked and written at a time


class Malformed(ValueError):
    """The callback makes no sense; the text says why and holds no values."""


def secret_key(secret):
    """The bytes behind whsec_."""
    try:
        key = base64.b64decode(secret[len("whsec_"):], validate=True)
    except ValueError:
        key = b""
    if not secret.startswith("whsec_") or len(key) < 24:
        raise ValueError("SECRET must be whsec_ and the base64 of at least 24 bytes")
    return key


def signature_is_good(key, headers, body, now):
    """Whether one of the signatures is ours and the timestamp is near."""
    msg_id = headers.get("webhook-id", "")
    stamp = headers.get("webhook-timestamp", "")
    if not re.fullmatch("[0-9]{1,12}", stamp) or abs(now - int(stamp)) > TOLERANCE:
        return False
    signed = msg_id.encode("latin-1") + b"." + stamp.encode() + b"." + body
    wanted = b"v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    given = headers.get("webhook-signature", "").encode("latin-1").split(b" ")
    return any([hmac.compare_digest(wanted, item) for item in given])


def parse_id(msg_id):
    """Splits <delivery>-<revision>."""
    match = re.fullmatch("([!-~]{1,200})-([0-9]{1,18})", msg_id)
    if not match:
        raise Malformed("webhook-id is not <delivery>-<revision>")
    return match[1], int(match[2])


def parse_json(body):
    try:
        return json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Malformed("the body is not JSON") from None


def parse_callback(callback):
    """Returns the type and the row."""
    kind = callback.get("type") if isinstance(callback, dict) else None
    if type(kind) is not int or kind not in (1, 2, 3):
        raise Malformed("type is not 1, 2 or 3")
    name = "desColumn" if kind == 3 else "srcColumn"
    row = callback.get(name)
    if not isinstance(row, dict):
        raise Malformed(name + " is not an object")
    return kind, row


def quote(name):
    return '"' + name.replace('"', '""') + '"'


def columns_of(copy):
    """The copy's columns and their declared types. Only these names ever get into SQL."""
    found = copy.execute("SELECT name, type FROM pragma_table_info(?)", (TABLE,))
    return {name: kind.upper() for name, kind in found}


def value_for(kind, value):
    """Binary columns arrive as base64; everything else is converted by the column."""
    if "BLOB" in kind and isinstance(value, str):
        return base64.b64decode(value, validate=True)
    return value


def write(copy, kind, row):
    """Makes the copy's row what the callback says; twice is the same as once."""
    known = columns_of(copy)
    if KEY not in known:
        raise sqlite3.OperationalError(f"no column {KEY} in table {TABLE}")
    if kind != 3:  # desColumn already has the copy's names
        row = {COLUMNS.get(name, name): value for name, value in row.items()}
    row = {name: value for name, value in row.items() if name in known}
    if row.get(KEY) is None:
        raise Malformed("the row has no key")
    try:
        values = {name: value_for(known[name], value) for name, value in row.items()}
        if kind == 3:
            copy.execute(f"DELETE FROM {quote(TABLE)} WHERE {quote(KEY)} = ?", (values[KEY],))
            return
        changes = ", ".join(f"{quote(n)} = excluded.{quote(n)}" for n in values if n != KEY)
        copy.execute(
            f"INSERT INTO {quote(TABLE)} ({', '.join(map(quote, values))})"
            f" VALUES ({', '.join('?' * len(values))})"
            f" ON CONFLICT ({quote(KEY)}) DO " + (f"UPDATE SET {changes}" if changes else "NOTHING"),
            list(values.values()),
        )
    except (binascii.Error, OverflowError, UnicodeEncodeError, sqlite3.InterfaceError, sqlite3.ProgrammingError):
        raise Malformed("a value does not fit its column") from None


def connect():
    """Opens the copy, never creates it. Waits up to 5 s for another writer."""
    return sqlite3.connect(Path(DB).resolve().as_uri() + "?mode=rw", uri=True, timeout=5)


def receive(msg_id, callback):
    """Writes one callback unless the same or a newer one of this row is written already."""
    delivery, revision = parse_id(msg_id)
    kind, row = parse_callback(callback)
    with lock:
        if revision <= written.get(delivery, -1):
            return
        copy = connect()
        try:
            with copy:  # commits, or rolls back on an error
                write(copy, kind, row)
        finally:
            copy.close()
        written[delivery] = revision  # only now: what failed must be accepted when it comes again
        written.move_to_end(delivery)
        if len(written) > REMEMBERED:
            written.popitem(last=False)


def receive_batch(items):
    """Writes each row of a batch on its own; returns what was not written, for the answer."""
    if not items or not all(isinstance(item, dict) and isinstance(item.get("id"), str) for item in items):
        raise Malformed("an item has no id")
    failed = []
    for item in items:
        try:
            receive(item["id"], item.get("data"))
        except Malformed as error:
            failed.append({"id": item["id"], "status": 400, "error": str(error)})
        except sqlite3.Error as error:
            failed.append({"id": item["id"], "status": 500, "error": str(error)})
    return failed


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 120  # idle connections are closed

    def do_POST(self):
        length = self.headers.get("Content-Length", "")
        if not re.fullmatch("[0-9]{1,12}", length):
            return self.answer(411, "Content-Length is missing", close=True)
        if int(length) > BODY_LIMIT:
            return self.answer(413, "the body is too large", close=True)
        body = self.rfile.read(int(length))
        if SECRET and not signature_is_good(secret_key(SECRET), self.headers, body, time.time()):
            return self.answer(401, "the signature or its timestamp is wrong")
        try:
            callback = parse_json(body)
            if isinstance(callback, list):  # only with "batch"
                return self.answer(200, json.dumps({"results": receive_batch(callback)}), kind="application/json")
            receive(self.headers.get("webhook-id", ""), callback)
        except Malformed as error:
            return self.answer(400, str(error))
        except sqlite3.Error as error:  # locked, full, a constraint: cupid will come again
            self.log_error("not written: %s", error)
            return self.answer(500, "not written")
        self.answer(204)

    def refuse(self):
        self.answer(405, "cupid sends POST", close=True)

    do_GET = do_PUT = do_PATCH = do_DELETE = refuse

    def answer(self, status, reason="", close=False, kind="text/plain"):
        self.send_response(status)
        if close:
            self.send_header("Connection", "close")
        if status == 405:
            self.send_header("Allow", "POST")
        if status != 204:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(reason) + 1))
        self.end_headers()
        if status != 204:
            self.wfile.write(reason.encode() + b"\n")


class Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True


def main():
    port = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("PORT", "20000")
    try:
        if SECRET:
            secret_key(SECRET)
        copy = connect()
        if KEY not in columns_of(copy):
            raise ValueError(f"table {TABLE} with column {KEY} is not in {DB}")
        table, key = quote(TABLE), quote(KEY)
        copy.execute(f"EXPLAIN INSERT INTO {table} ({key}) VALUES (NULL) ON CONFLICT ({key}) DO NOTHING")
        copy.close()
        server = Server(("127.0.0.1", int(port)), Handler)
    except (ValueError, OSError, OverflowError, sqlite3.Error) as error:
        sys.exit(f"receiver: {error}")
    print(f"listening on 127.0.0.1:{port}, signatures are {'checked' if SECRET else 'NOT checked'}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
