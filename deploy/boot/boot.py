"""Boots the machine, tries everything of `checks.py` on it, and counts."""

import argparse
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

from checks import CHECKS
from machine import Failed, Machine
from service import Service

# Without these the others have nothing to look at.
FIRST = 3


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", required=True, type=pathlib.Path, help="the folder that `image` filled")
    parser.add_argument("--older", required=True, type=pathlib.Path, help="the package that is installed first")
    parser.add_argument("--package", required=True, type=pathlib.Path, help="the package that takes its place")
    parser.add_argument("--accel", choices=["kvm", "tcg"], help="without it, KVM where it works")
    parser.add_argument("only", nargs="*", help="words in the names of the checks to try; all without any")
    return parser.parse_args()


def booted(asked, packages, console):
    """The machine, by KVM if that works. There are hosts that have it where it does not: QEMU ends, or the machine stands still."""
    if asked.accel:
        return Machine(asked.image, packages, console, asked.accel)
    if os.access("/dev/kvm", os.W_OK):
        try:
            return Machine(asked.image, packages, console, "kvm", patience=60)
        except (Failed, OSError) as why:
            print(f"KVM does not work here ({why}): the machine is emulated, which takes longer")
    return Machine(asked.image, packages, console, "tcg")


def wanted(name, words):
    return not words or any(word in name for word in words)


def main():
    asked = arguments()
    # So that the machine ends with us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    console = asked.image / "console.log"
    chosen = CHECKS[:FIRST] + [one for one in CHECKS[FIRST:] if wanted(one.__name__, asked.only)]
    failed = 0
    with tempfile.TemporaryDirectory() as packages:
        shutil.copy(asked.older, f"{packages}/older.deb")
        shutil.copy(asked.package, f"{packages}/daypass.deb")
        with booted(asked, pathlib.Path(packages), console) as machine:
            print(machine.run(". /etc/os-release; echo $PRETTY_NAME, $(systemctl --version | head -1), Linux $(uname -r)"), flush=True)
            service = Service(machine)
            for one in chosen:
                begun, name = time.monotonic(), one.__name__.replace("_", " ")
                try:
                    one(service)
                    print(f"ok      {name} ({time.monotonic() - begun:.0f} s)", flush=True)
                except (Failed, OSError, ValueError, KeyError) as why:
                    failed += 1
                    print(f"FAIL    {name}\n        " + str(why).replace("\n", "\n        "), flush=True)
                    service.mend()
            if failed:
                print(machine.ask("journalctl -u daypass --no-pager | tail -60", 60)[1])
    print(f"\n{len(chosen) - failed} passed, {failed} failed, {len(CHECKS) - len(chosen)} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
