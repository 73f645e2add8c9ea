"""Holds docs/receivers*.md to what is tested: every block of code there is checked or run."""

import json
import os
import re
import shutil
from http.client import parse_headers
from io import BytesIO

from samples import DOCS, DOCUMENTED_PORT, Skip, SqlSample, run, usage
from schema import problems

PAGES = ("receivers.md", "receivers.zh-CN.md")
FILES = sorted(path for path in (DOCS / "receivers").iterdir() if path.suffix in (".py", ".go", ".java", ".php"))


def page(name):
    return (DOCS / name).read_text("utf-8")


def blocks(language, name=PAGES[0]):
    """The blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page(name), re.M | re.S)


def request():
    """The documented request: headers and body."""
    (text,) = blocks("http")
    head, _, body = text.split("\n", 1)[1].partition("\n\n")
    return parse_headers(BytesIO(head.encode() + b"\n\n")), body.rstrip("\n")


def both_pages_have_the_same_code(_schema, _signature):
    fences = [re.findall(r"^```.*?^```$", page(name), re.M | re.S) for name in PAGES]
    assert fences[0] == fences[1]
    checked = sum(len(blocks(kind)) for kind in ("python", "sh", "http", "json"))
    assert len(fences[0]) == checked, "a block of another kind"


def python_is_taken_from_the_samples(_schema, _signature):
    sources = [path.read_text("utf-8") for path in FILES]
    for block in blocks("python"):
        assert any(block in source for source in sources), block


def commands_are_the_tested_ones(_schema, _signature):
    tested = {usage(path) for path in FILES}
    documented = [line for block in blocks("sh") if block not in run_by_us() for line in block.splitlines()]
    assert set(documented) == tested, set(documented) ^ tested


def run_by_us():
    """The blocks that `commands_work` runs: they make a copy, and call the receiver."""
    return [block for block in blocks("sh") if block.startswith(("python3 -c", "curl"))]


def bodies_match_the_schema(schema, _signature):
    bodies = blocks("json") + [request()[1]]
    assert len(bodies) == 5
    for body in bodies:
        assert not problems(schema, json.loads(body)), problems(schema, json.loads(body))


def the_request_is_signed_as_told(_schema, signature):
    headers, body = request()
    names = {name.lower() for name in headers}
    assert names == {
        "content-type", "webhook-id", "webhook-timestamp", "webhook-signature",
        "cupid-task", "cupid-delivery", "cupid-revision", "cupid-attempt",
    }, names  # fmt: skip
    assert headers["webhook-id"] == f"{headers['cupid-delivery']}-{headers['cupid-revision']}"
    (secret,) = {secret for name in PAGES for secret in re.findall(r"`(whsec_[\w+/=]+)`", page(name))}
    wanted = signature(secret, headers["webhook-id"], headers["webhook-timestamp"], body.encode())
    assert headers["webhook-signature"] == wanted, wanted


def links_lead_somewhere(_schema, _signature):
    for name in PAGES:
        text = page(name)
        titles = re.findall(r"^#+ (.*)$", text, re.M)
        anchors = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}
        for target in re.findall(r"\]\(([^)]+)\)", text):
            if target.startswith("#"):
                assert target[1:] in anchors, f"{name}: {target}"
            elif not target.startswith("https://"):
                assert (DOCS / target).exists(), f"{name}: {target}"


def the_schema_tells_bodies_apart(schema, _signature):
    row = {"number": "7", "name": None}
    good = [
        {"type": 1, "srcColumn": row}, {"type": 2, "srcColumn": row},
        {"type": 3, "srcColumn": None, "desColumn": row}, {"type": 1, "srcColumn": row, "changed": []},
        {"type": 2, "srcColumn": row, "changed": [{"column": "name", "src": "a", "des": None}]},
        row, {"type": "text of a column"}, {"n": 1.5, "b": False},
        [{"id": "x-1", "attempt": 1, "data": {"type": 1, "srcColumn": row}}, {"id": "y-2", "attempt": 3, "data": row}],
    ]  # fmt: skip
    bad = [
        None, [], 7, {}, {"type": 1, "desColumn": row}, {"type": 0, "srcColumn": row},
        {"type": "1", "srcColumn": row}, {"type": True, "srcColumn": row}, {"type": 1, "srcColumn": None},
        {"type": 1, "srcColumn": {}}, {"type": 1, "srcColumn": {"a": []}}, {"type": 1, "srcColumn": {"a": {}}},
        {"type": 1, "srcColumn": row, "desColumn": row}, {"type": 1, "srcColumn": row, "x": 1},
        {"type": 3, "srcColumn": None}, {"type": 3, "srcColumn": row, "desColumn": row},
        {"type": 2, "srcColumn": row, "changed": [{"column": "name", "src": "a"}]},
        {"type": 2, "srcColumn": row, "changed": {}},
        [row], [{"id": "x-1", "data": row}], [{"id": "x-1", "attempt": 1, "data": {"type": 1, "srcColumn": None}}],
        [{"id": "x-1", "attempt": 1, "data": row, "x": 1}], [{"id": 7, "attempt": 1, "data": row}],
    ]  # fmt: skip
    for body in good:
        assert not problems(schema, body), (body, problems(schema, body))
    for body in bad:
        assert problems(schema, body), body


def commands_work(folder):
    """Does what the page tells a newcomer to do, in an empty folder, on a free port."""
    if not shutil.which("curl"):
        raise Skip("curl is not installed")
    receiver = SqlSample("newcomer", "minimal.py", folder)
    make, call = run_by_us()

    def shell(block):
        done = run("sh", "-e", "-c", block, cwd=receiver.folder, env=dict(os.environ, PYTHONUTF8="1"))
        assert done.returncode == 0, done.stdout
        return done.stdout

    shell(make)
    port = receiver.start()
    assert DOCUMENTED_PORT in call
    output = shell(call.replace(DOCUMENTED_PORT, str(port)))
    assert output.strip().endswith("[(7, '韩梅梅')]"), output
    assert request()[1] in call, "the page calls the receiver with another body than it shows"


TESTS = {
    test.__name__.replace("_", " "): test
    for test in (
        both_pages_have_the_same_code,
        python_is_taken_from_the_samples,
        commands_are_the_tested_ones,
        bodies_match_the_schema,
        the_request_is_signed_as_told,
        links_lead_somewhere,
        the_schema_tells_bodies_apart,
    )
}
