"""What the cases of credentials in programs share: a user of the demo server, and how his programs are started."""

import atexit
import json
import os
import pathlib
import shutil
import stat
import subprocess
import sys
import tempfile

from daypass import BINARY, Server, check, equal, fresh

PROGRAMS = pathlib.Path(__file__).parent / "snippets" / "programs"


class User:
    """A user with folders of his own, on a server of his own."""

    def __init__(self, name):
        self.folder = fresh(name)
        # Not below the working tree: nothing is kept below a folder that a group may write to.
        self.own = pathlib.Path(tempfile.mkdtemp(prefix="daypass-"))
        atexit.register(shutil.rmtree, self.own, ignore_errors=True)
        for folder in (self.runtime, self.home):
            folder.mkdir(mode=0o700)
        self.server = Server(self.folder / "data")
        self.key = self.server.credentials_file
        self.host = self.server.url.removeprefix("http://")

    @property
    def runtime(self):
        return self.own / "run"

    @property
    def home(self):
        return self.own / "home"

    def environment(self, **more):
        """Nothing of whoever runs the cases but the way to programs: no key of his, no folder of his."""
        kept = {name: os.environ[name] for name in ("PATH", "NODE_EXTRA_CA_CERTS") if name in os.environ}
        own = {"HOME": str(self.home), "XDG_RUNTIME_DIR": str(self.runtime), "STS_HOST": self.host}
        return kept | own | {name: str(value) for name, value in more.items()}

    def run(self, *command, status=0, **more):
        """Runs a program as this user; what it printed."""
        done = subprocess.run(
            [*map(str, command)],
            capture_output=True,
            text=True,
            timeout=60,
            stdin=subprocess.DEVNULL,
            env=self.environment(**more),
        )
        equal(done.returncode, status, f"exit status of {' '.join(map(str, command))} ({done.stdout}{done.stderr})")
        return done.stdout + (done.stderr if status else "")

    def daypass(self, verb, vendor, *arguments, program=(), **how):
        """`daypass VERB VENDOR`, and a program after `--`."""
        rest = ("--", *program) if program else ()
        return self.run(BINARY, verb, vendor, "--from", self.key, *arguments, *rest, **how)

    def python(self, verb, vendor, file, *arguments, options=(), **how):
        """A Python program of the documentation, started by a verb; the last line that it printed."""
        program = (sys.executable, PROGRAMS / file, *arguments)
        said = self.daypass(verb, vendor, *options, program=program, **how)
        return said.strip().splitlines()[-1]

    def given(self):
        """How many credentials the server gave, by its own records."""
        said = self.run(BINARY, "audit", "tail", "-n", "1000", "--json", "--data", self.server.data)
        return sum(json.loads(line)["event"]["event"] == "grant" for line in said.splitlines())

    def script(self, name, text):
        """A program in a folder of its own; the folder, to stand first in PATH."""
        folder = self.folder / "bin"
        folder.mkdir(exist_ok=True)
        file = folder / name
        file.write_text(text)
        file.chmod(file.stat().st_mode | stat.S_IXUSR)
        return folder

    def profile(self):
        """A profile of Alibaba Cloud's command line whose key comes from `daypass credential-process`."""
        command = f"'{BINARY}' credential-process alibaba --sts --from '{self.key}'"
        profile = {"name": "default", "mode": "External", "process_command": command, "region_id": "cn-hangzhou"}
        folder = self.home / ".aliyun"
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(json.dumps({"current": "default", "profiles": [profile]}))
        check(self.key.exists(), "the key is missing")
