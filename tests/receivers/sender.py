"""Callbacks as cupid sends them, and a few that it never would."""

import base64
import hashlib
import hmac
import http.client
import json
import time
import uuid
from contextlib import ExitStack, closing

from samples import DOCS
from schema import problems

SECRET = "whsec_" + base64.b64encode(b"a secret that only tests may use").decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"some other secret of the sender.").decode()
SCHEMA = json.loads((DOCS / "callback.schema.json").read_text("utf-8"))


def signature(secret, id, stamp, body):
    """One item of webhook-signature."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    code = hmac.new(key, f"{id}.{stamp}.".encode() + body, hashlib.sha256).digest()
    return "v1," + base64.b64encode(code).decode()


class Message:
    """A callback as cupid sends it; each test changes what it is about."""

    numbers = iter(range(1, 10**6))

    def __init__(self, type=1, revision=1, like=None, **columns):
        self.delivery = like.delivery if like else str(uuid.uuid4())
        self.number = like.number if like else next(self.numbers)
        row = {"number": str(self.number), "name": "Ann", **columns}
        self.body = {"type": type, "srcColumn": row}
        if type == 3:
            self.body = {"type": type, "srcColumn": None, "desColumn": row}
        assert not problems(SCHEMA, self.body), problems(SCHEMA, self.body)
        self.raw = json.dumps(self.body, ensure_ascii=False, separators=(",", ":")).encode()
        self.id = f"{self.delivery}-{revision}"
        self.revision = revision

    def headers(self, secret=SECRET, at=0, id=None):
        """As sent `at` seconds from now; None leaves a message unsigned."""
        id = self.id if id is None else id
        stamp = str(int(time.time()) + at)
        headers = {
            "Content-Type": "application/json", "webhook-id": id, "webhook-timestamp": stamp, "cupid-task": "main",
            "cupid-delivery": self.delivery, "cupid-revision": str(self.revision), "cupid-attempt": "1",
        }
        if secret:
            headers["webhook-signature"] = signature(secret, id, stamp, self.raw)
        return headers


def send(port, message, headers=None, method="POST", connection=None):
    """Sends it and returns (status, text of the answer)."""
    own = connection is None
    connection = connection or http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, "/test/callback", message.raw, message.headers() if headers is None else headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        if own:
            connection.close()


def together(port, messages):
    """Sends them at once: the last byte of each goes out when all others are there."""
    with ExitStack() as stack:
        connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=20) for _ in messages]
        for connection, message in zip(connections, messages):
            stack.enter_context(closing(connection))
            connection.putrequest("POST", "/test/callback")
            for name, value in {**message.headers(), "Content-Length": str(len(message.raw))}.items():
                connection.putheader(name, value)
            connection.endheaders(message.raw[:-1])
        for connection, message in zip(connections, messages):
            connection.send(message.raw[-1:])
        return [connection.getresponse().status for connection in connections]
