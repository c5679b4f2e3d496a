"""An export of the records, checked by the guide's own program with a package of Python's and nothing of ours: whole, filtered,
and changed by somebody on the way."""

# needs: pypi

import pathlib
import subprocess
import sys

from daypass import Server, case, check, command, equal, fresh, main

CHECKER = pathlib.Path(__file__).parents[1] / "snippets" / "records" / "check_export.py"
FOLDER = fresh("records_export")
PLACE = ("--data", FOLDER / "data")


def export(name, *filters):
    """The lines of an export."""
    file = FOLDER / name
    command("audit", "export", "--out", file, *filters, *PLACE)
    return file.read_bytes().splitlines(keepends=True)


def believes(lines):
    """Whether the guide's program does; ours must say the same."""
    file = FOLDER / "checked.jsonl"
    file.write_bytes(b"".join(lines))
    theirs = subprocess.run([sys.executable, CHECKER, file, KEY], capture_output=True, text=True, timeout=60)
    check(theirs.returncode in (0, 1) and " records, " in theirs.stdout, f"{theirs}")
    command("audit", "check", file, "--key", KEY, status=theirs.returncode)
    return theirs.returncode == 0


@case("a whole export is proved by the public key alone")
def whole():
    lines = export("whole.jsonl")
    check(b'"whole":true' in lines[-1], "it says that it is whole")
    check(believes(lines), "it is believed")


@case("what was looked for is proved by the public key alone")
def filtered():
    lines = export("grants.jsonl", "--event", "grant")
    equal(len([line for line in lines if b',"record":' in line]), 1, "number of records")
    check(believes(lines), "it is believed")


@case("whatever is changed, removed, added or moved, the export is not believed")
def changed():
    lines = export("changed.jsonl")
    [first, *_] = [at for at, line in enumerate(lines) if b',"record":' in line]
    edits = {
        "a record": (first, b'"event":"change"', b'"event":"chance"'),
        "a number": (first, b'"number":', b'"number":1'),
        "a path": (len(lines) - 2, b'"path":"', b'"path":"A'),
        "the question": (0, b'"filter":{}', b'"filter":{"role":"soe"}'),
        "the end": (len(lines) - 1, b'"whole":true', b'"whole":false'),
    }
    for what, (at, old, new) in edits.items():
        equal(lines[at].count(old) > 0, True, f"{what} is there")
        check(not believes([*lines[:at], lines[at].replace(old, new, 1), *lines[at + 1 :]]), f"{what} was changed")
    for at in range(len(lines)):
        check(not believes(lines[:at] + lines[at + 1 :]), f"line {at} was removed")
        check(not believes(lines[: at + 1] + lines[at:]), f"line {at} is there twice")
    check(not believes(lines[:-1]), "it was cut")


with Server(FOLDER / "data") as server:
    # The service's own records, and one grant.
    command("token", "tencent", "--from", server.credentials_file, "--no-cache")
    KEY = command("audit", "key", *PLACE).stdout.strip()
    main()
