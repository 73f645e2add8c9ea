#!/usr/bin/env python3
"""Starts every receiver of docs/receivers and sends it what cupid would send, and what an attacker would.

    tests/receivers/run.py              what has no toolchain here is skipped and named
    tests/receivers/run.py --no-skip    a skip of a Python receiver is a failure
    tests/receivers/run.py go php       only these

Python 3.9 or newer, standard library only. Listens on 127.0.0.1, writes to a temporary folder, ends what it started.
"""

import argparse
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.dont_write_bytecode = True  # leave nothing beside the sources

import documents
from cases import EVERY, PLAIN, PYTHON, large_body_is_refused_before_it_is_read
from samples import Go, Java, Php, Sample, Skip, SqlSample
from sender import SCHEMA, SECRET, signature

LIMIT = 58  # seconds; a usual run takes about ten
SAMPLES = {
    "python-minimal": (SqlSample, "minimal.py", PLAIN),
    "python": (SqlSample, "receiver.py", EVERY + PYTHON + [large_body_is_refused_before_it_is_read]),
    "go": (Go, "receiver.go", EVERY + [large_body_is_refused_before_it_is_read]),
    "java": (Java, "Receiver.java", EVERY + [large_body_is_refused_before_it_is_read]),
    "php": (Php, "receiver.php", EVERY),  # php -S reads a body before it runs the file
}


class Stopped(BaseException):
    """By a signal; nothing catches it before everything is stopped."""


class Report:
    """Counts and prints."""

    def __init__(self):
        self.passed, self.failed, self.skipped = 0, 0, []

    def check(self, name, test, *args):
        """Runs one test; returns whether it passed."""
        try:
            test(*args)
        except Skip as skip:
            print(f"skip  {name}: {skip}", flush=True)
            self.skipped.append((name, str(skip)))
            return False
        except Exception:
            print(f"FAIL  {name}\n{traceback.format_exc(limit=-2)[-2000:]}", flush=True)
            self.failed += 1
            return False
        print(f"ok    {name}", flush=True)
        self.passed += 1
        return True


def own_signature():
    """The signer here gives the published test value of Standard Webhooks."""
    secret, id, stamp = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330"
    found = signature(secret, id, stamp, b'{"test": 2432232314}')
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=", found


def work(names, report):
    with tempfile.TemporaryDirectory(prefix="cupid-receivers-") as folder:
        samples = {name: SAMPLES[name][0](name, SAMPLES[name][1], Path(folder)) for name in names}
        try:
            report.check("our own signature", own_signature)
            for name, test in documents.TESTS.items():
                report.check(f"docs: {name}", test, SCHEMA, signature)
            for name, sample in samples.items():
                if not report.check(f"{name}: toolchain", sample.prepare):
                    continue

                def started(sample=sample):
                    sample.port = sample.start(SECRET)

                if report.check(f"{name}: starts", started):
                    for test in SAMPLES[name][2]:
                        report.check(f"{name}: {test.__name__.replace('_', ' ')}", test, sample)
            if "python-minimal" in samples:
                report.check("docs: the commands to try it work", documents.commands_work, Path(folder))
        finally:
            Sample.stop_all()


def main():
    parser = argparse.ArgumentParser(description="Tests the receivers of docs/receivers.")
    parser.add_argument("--no-skip", action="store_true", help="a skip of a Python receiver is a failure")
    parser.add_argument("sample", nargs="*", help=f"any of {', '.join(SAMPLES)}; default: all")
    options = parser.parse_args()
    unknown = [name for name in options.sample if name not in SAMPLES]
    if unknown:
        parser.error(f"unknown sample {unknown[0]}, known are {', '.join(SAMPLES)}")

    def stop(number, _frame):
        raise Stopped(f"not done within {LIMIT} s" if number == signal.SIGALRM else signal.Signals(number).name)

    for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    signal.alarm(LIMIT)
    began = time.monotonic()
    report = Report()
    try:
        work(options.sample or SAMPLES, report)
    except Stopped as why:
        print(f"FAIL  stopped: {why}")
        report.failed += 1
    failed = report.failed
    if options.no_skip:
        failed += sum(name.startswith("python") for name, _ in report.skipped)
    why = "; ".join(f"{name.removesuffix(': toolchain')}: {reason}" for name, reason in report.skipped)
    print(f"in {time.monotonic() - began:.1f} s")
    print(f"{report.passed} passed, {failed} failed, {len(report.skipped)} skipped" + (f" ({why})" if why else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
