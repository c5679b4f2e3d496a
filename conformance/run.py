"""Runs every file of cases/ against the daypass binary, and counts.

A file declares in comments what it needs and whose client it runs:

    # needs: pypi npm go maven cargo
    # client: tencent / Python SDK

Without the first it needs only Python. Every case that a file declares ends in exactly one line, `PASS`, `FAIL` or
`SKIPPED`: a file that cannot run has its cases SKIPPED one by one, and a case of which a file says nothing has
failed. At the end there is a table for each dialect: a column for each client that a file declares, a row for each
name of a case, so that the same thing shown by two clients stands in one row.
"""

import argparse
import os
import pathlib
import re
import shutil
import string
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
DECLARED = re.compile(r"^\s*(?:@case|test)\(\s*(['\"])(?P<name>.+?)\1", re.MULTILINE)
NEEDS = re.compile(r"^(?:#|//) needs: (?P<all>(?:(?:pypi|npm|go|maven|cargo)(?: |$))+)$", re.MULTILINE)
CLIENT = re.compile(r"^(?:#|//) client: (?P<dialect>\w+) / (?P<name>.+)$", re.MULTILINE)
LINE = re.compile(r"(PASS|FAIL|SKIPPED) (?P<stem>[\w-]+): (?P<rest>.*)")
SECONDS_A_FILE = 120


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True, type=pathlib.Path)
    parser.add_argument("--work", required=True, type=pathlib.Path, help="scratch folder; its part run/ is emptied")
    parser.add_argument("--python", default=sys.executable, help="interpreter with requirements.txt installed")
    parser.add_argument("--node-modules", type=pathlib.Path, help="folder that npm installed into")
    parser.add_argument("--clients", type=pathlib.Path, help="folder of what was built from clients/")
    parser.add_argument("--nginx", help="the nginx to run; without one its cases are SKIPPED")
    parser.add_argument("--no-pypi", metavar="WHY", help="the packages of requirements.txt are missing")
    parser.add_argument("--no-npm", metavar="WHY", help="the packages of package.json are missing")
    parser.add_argument("--no-go", metavar="WHY", help="the program of clients/go is missing")
    parser.add_argument("--no-maven", metavar="WHY", help="the program of clients/java is missing")
    parser.add_argument("--no-cargo", metavar="WHY", help="the program of clients/rust is missing")
    parser.add_argument("--counts", type=pathlib.Path, help="write `passed failed skipped` to this file")
    parser.add_argument("only", nargs="*", help="stems of the files to run; all without any")
    return parser.parse_args()


class Tally:
    """Counts the verdicts, and keeps those of clients for the tables."""

    def __init__(self):
        self.counts = {"PASS": 0, "FAIL": 0, "SKIPPED": 0}
        self.tables = {}  # dialect → client → case → verdict

    def add(self, verdict, text):
        self.counts[verdict] += 1
        print(f"{verdict} {text}", flush=True)

    def case(self, verdict, path, name, why=""):
        self.add(verdict, f"{path.stem}: {name}" + (f": {why}" if why else ""))
        client = CLIENT.search(path.read_text())
        if client:
            verdicts = self.tables.setdefault(client["dialect"], {}).setdefault(client["name"], {})
            verdicts[name] = max(verdict, verdicts.get(name, ""), key=("", "PASS", "SKIPPED", "FAIL").index)

    def print_tables(self):
        """One table a dialect: a column for each client. A dot says that the client has no such case."""
        words = {"PASS": "pass", "FAIL": "FAIL", "SKIPPED": "skip"}
        for dialect, clients in sorted(self.tables.items()):
            letters = (string.ascii_uppercase + string.ascii_lowercase)[: len(clients)]
            print(f"\n{dialect}")
            for letter, client in zip(letters, clients):
                print(f"{letter}  {client}")
            print("".join(letter.ljust(6) for letter in letters).rstrip())
            for name in dict.fromkeys(name for verdicts in clients.values() for name in verdicts):
                cells = (words.get(verdicts.get(name), ".").ljust(6) for verdicts in clients.values())
                print("".join(cells) + name)
        print(flush=True)


def declared(path):
    return [match["name"] for match in DECLARED.finditer(path.read_text())]


def skip_file(path, why, tally):
    for name in declared(path):
        tally.case("SKIPPED", path, name, why)


def missing_for(path, options):
    """Why a file cannot run, or None."""
    needs = NEEDS.search(path.read_text())
    reasons = (vars(options)[f"no_{need}"] for need in needs["all"].split()) if needs else ()
    return next(filter(None, reasons), None)


def run_file(path, options, environment, tally):
    missing = missing_for(path, options)
    if missing:
        skip_file(path, missing, tally)
        return
    waiting = declared(path)
    interpreter = "node" if path.suffix == ".mjs" else options.python
    child = subprocess.Popen(
        ["timeout", "--kill-after=5", str(SECONDS_A_FILE), interpreter, str(path)],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    with child.stdout:
        for line in child.stdout:
            said = LINE.fullmatch(line.rstrip("\n"))
            name = said and said["stem"] == path.stem and next(
                (name for name in waiting if said["rest"] == name or said["rest"].startswith(name + ": ")), None
            )
            if not name:
                print(line, end="", file=sys.stderr, flush=True)
                continue
            waiting.remove(name)
            tally.case(said[1], path, name, said["rest"][len(name) + 2 :])
    status = child.wait()
    why = f"not finished after {SECONDS_A_FILE} seconds" if status in (124, 137) else f"ended with status {status}"
    for name in waiting:
        tally.case("FAIL", path, name, f"the file said nothing of it and {why}")
    if status and not waiting:
        tally.add("FAIL", f"{path.stem}: the file itself {why}")


def main():
    options = arguments()
    options.work = options.work.resolve()
    run = options.work / "run"
    shutil.rmtree(run, ignore_errors=True)
    run.mkdir(parents=True)
    environment = os.environ | {
        "DAYPASS_BINARY": str(options.binary.resolve()),
        "DAYPASS_WORK": str(run),
        "DAYPASS_NODE_MODULES": str((options.node_modules or HERE).resolve()),
        "DAYPASS_PYTHON": str(options.python),
        "DAYPASS_CLIENTS": str((options.clients or HERE / "clients").resolve()),
        "DAYPASS_NGINX": str(options.nginx or ""),
        "PYTHONPATH": str(HERE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
    os.environ.update(environment)
    sys.path.insert(0, str(HERE))
    import daypass  # reads the environment above

    files = sorted(path for path in (HERE / "cases").iterdir() if path.suffix in (".py", ".mjs"))
    unknown = set(options.only) - {path.stem for path in files}
    if unknown:
        sys.exit(f"no such file of cases: {', '.join(sorted(unknown))}")
    files = [path for path in files if not options.only or path.stem in options.only]
    tally = Tally()
    started = []
    try:
        for name, how in (("shared", ()), ("secure", ("--tls",))):
            started.append(daypass.Server(run / name, *how))
    except AssertionError as error:
        tally.add("FAIL", f"run: a server for all files does not start: {' '.join(str(error).split())}")
        for path in files:
            skip_file(path, "a server for all files does not start", tally)
    else:
        shared, secure = started
        environment["DAYPASS_CREDENTIALS"] = str(shared.credentials_file)
        environment["DAYPASS_SECURE"] = str(secure.data)
        environment["NODE_EXTRA_CA_CERTS"] = str(secure.data / "ca.pem")
        for path in files:
            run_file(path, options, environment, tally)
    for server in started:
        try:
            server.stop()
            tally.add("PASS", f"run: the {server.data.name} server ends cleanly")
        except AssertionError as error:
            tally.add("FAIL", f"run: the {server.data.name} server does not end cleanly: {error}")
    tally.print_tables()
    if options.counts:
        options.counts.write_text("{PASS} {FAIL} {SKIPPED}\n".format_map(tally.counts))
    sys.exit(1 if tally.counts["FAIL"] else 0)


if __name__ == "__main__":
    main()
