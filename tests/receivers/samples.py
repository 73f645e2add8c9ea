"""The receivers of docs/receivers as running processes, and what they wrote.

Each is started by the very command its first lines show, in a folder of its own.
"""

import json
import os
import shlex
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

DOCS = Path(__file__).resolve().parents[2] / "docs"
DOCUMENTED_PORT = "20000"
START_LIMIT = 30  # seconds until a receiver must accept connections
COPY = """CREATE TABLE user (number INTEGER PRIMARY KEY, name TEXT, photo BLOB, "order" TEXT, score REAL)"""


class Skip(Exception):
    """A toolchain is not there; the text says which."""


def usage(path):
    """The line in the head of a sample that shows how it is started."""
    for line in path.read_text("utf-8").splitlines():
        if DOCUMENTED_PORT in line:
            return line.strip(" \t#/*").removeprefix("<pre>").removesuffix("</pre>")
    raise AssertionError(f"{path.name} does not show how it is started")


def run(*command, **options):
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    return subprocess.run(command, text=True, timeout=50, **both, **options)


def wait_until(what, condition, limit=10.0):
    """Polls a condition; raises with `what` when the limit is reached."""
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {limit:g} s: {what}")
        time.sleep(0.01)


class Sample:
    """One file of docs/receivers."""

    processes = []  # of all samples, so that all can be stopped

    def __init__(self, name, file, folder):
        self.name = name
        self.path = DOCS / "receivers" / file
        self.folder = folder / name
        self.folder.mkdir()
        shutil.copy(self.path, self.folder)
        self.starts = 0

    def prepare(self):
        """Looks for the toolchain and compiles; raises Skip."""

    def command(self, line):
        """The argument list for the documented command."""
        return line

    def fresh(self):
        """The environment of a new instance; makes what it needs."""
        return {}

    def start(self, secret=None, **env):
        """Runs an instance and waits until it listens; returns its port."""
        for attempt in range(3):  # somebody else may take the free port first
            process, port, log = self.launch(secret, **env)
            wait_until(
                f"{self.name} listens, its output is in {log}",
                lambda: process.poll() is not None or listens(port),
                START_LIMIT,
            )
            if process.poll() is None:
                return port
        raise AssertionError(f"{self.name} ended with {process.returncode}: {log.read_text()[-500:]}")

    def launch(self, secret=None, **env):
        """Runs an instance; returns the process, its port and the file of its output."""
        port = free_port()
        self.starts += 1
        log = self.folder / f"output-{self.starts}.txt"
        words = shlex.split(usage(self.path).replace(DOCUMENTED_PORT, str(port)))
        environment = {k: v for k, v in os.environ.items() if k not in ("SECRET", "PORT")}
        while "=" in words[0]:
            name, _, value = words.pop(0).partition("=")
            environment[name] = value
        environment.update(self.fresh(), **env)
        if secret is not None:
            environment["SECRET"] = secret
        with open(log, "wb") as output:
            process = subprocess.Popen(
                self.command(words), cwd=self.folder, env=environment, stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True,
            )
        Sample.processes.append(process)
        return process, port, log

    @classmethod
    def stop_all(cls):
        """Ends every process group that was started here."""
        for sign in (signal.SIGTERM, signal.SIGKILL):
            for process in cls.processes:
                try:
                    os.killpg(process.pid, sign)
                except (ProcessLookupError, PermissionError):
                    pass
            for process in cls.processes:
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    pass
        cls.processes.clear()


def free_port():
    with closing(socket.socket()) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def listens(port):
    with closing(socket.socket()) as s:
        s.settimeout(1)
        return s.connect_ex(("127.0.0.1", port)) == 0


class SqlSample(Sample):
    """A Python receiver that writes to a SQLite copy."""

    def prepare(self):
        if sqlite3.sqlite_version_info < (3, 24):
            raise Skip(f"SQLite {sqlite3.sqlite_version} has no upsert")

    def command(self, words):
        return [sys.executable if word == "python3" else word for word in words]

    def fresh(self):
        if not (self.folder / "copy.db").exists():
            self.sql(COPY)
        return {}

    def sql(self, *statement):
        with closing(sqlite3.connect(self.folder / "copy.db")) as copy, copy:
            return copy.execute(*statement).fetchall()

    def state(self):
        return self.sql("SELECT * FROM user ORDER BY number")

    def shows(self, _id, body):
        """Whether the copy's row is what the callback says."""
        if body["type"] == 3:
            return not self.sql("SELECT 1 FROM user WHERE number = ?", (int(body["desColumn"]["number"]),))
        row = body["srcColumn"]
        return self.sql("SELECT name FROM user WHERE number = ?", (int(row["number"]),)) == [(row["name"],)]

    def in_order(self, _delivery):
        return True  # only the last version can be seen in a table

    def disturb(self, body):
        """Changes the row by hand, so that writing it once more can be seen."""
        self.sql("UPDATE user SET name = 'by hand' WHERE number = ?", (int(body["srcColumn"]["number"]),))

    def break_writes(self):
        self.sql("ALTER TABLE user RENAME TO away")

    def mend_writes(self):
        self.sql("ALTER TABLE away RENAME TO user")


class FileSample(Sample):
    """A receiver that appends JSON lines to a file."""

    out = "callbacks.jsonl"

    def lines(self):
        file = self.folder / self.out
        if not file.exists():
            return []
        text = file.read_text("utf-8")  # splitlines() would also split at U+2028 within a value
        return [json.loads(line) for line in text.split("\n") if line]

    def state(self):
        return self.lines()

    def shows(self, id, body):
        return [line for line in self.lines() if line["id"] == id] == [{"id": id, "body": body}]

    def in_order(self, delivery):
        """Whether no older version was written after a newer one."""
        ids = [line["id"].rpartition("-") for line in self.lines()]
        revisions = [int(revision) for of, _, revision in ids if of == delivery]
        return revisions == sorted(set(revisions))

    def disturb(self, body):
        pass  # a second line can be seen as it is


class Go(FileSample):
    def prepare(self):
        if not shutil.which("go"):
            raise Skip("not installed")
        env = dict(os.environ, GO111MODULE="off", GOFLAGS="", GOPROXY="off", GOTOOLCHAIN="local",
                   GOCACHE=str(self.folder / "cache"))
        version = run("go", "env", "GOVERSION", env=env).stdout.strip()
        if tuple(int(n) for n in version.removeprefix("go").split("rc")[0].split(".")[:2]) < (1, 18):
            raise Skip(f"{version} is older than 1.18")
        built = run("go", "build", "-o", "receiver", "receiver.go", cwd=self.folder, env=env)
        if built.returncode:
            raise AssertionError(f"receiver.go does not compile: {built.stdout}")

    def command(self, words):
        assert words[:3] == ["go", "run", "receiver.go"], words
        return ["./receiver", *words[3:]]


class Java(FileSample):
    def prepare(self):
        if not shutil.which("java"):
            raise Skip("not installed")
        modules = run("java", "--list-modules").stdout
        if "jdk.compiler@" not in modules or "jdk.httpserver@" not in modules:
            raise Skip("java is older than 11 or no JDK")


class Php(FileSample):
    def fresh(self):
        return {"PHP_CLI_SERVER_WORKERS": "4"}  # as under php-fpm: calls at the same time

    def prepare(self):
        if not shutil.which("php"):
            raise Skip("not installed")
        version = run("php", "-n", "-r", "echo PHP_VERSION_ID;").stdout
        if int(version) < 80000:
            raise Skip(f"php {version} is older than 8.0")

    def command(self, words):
        return [words[0], "-n", *words[1:]]  # no extensions, whatever is installed
