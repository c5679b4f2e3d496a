"""A machine of its own in QEMU, and what it says when it is told something."""

import base64
import itertools
import pathlib
import shlex
import socket
import subprocess
import tempfile
import time

AGENT = "daypass.agent"


class Failed(AssertionError):
    """What a check found."""


class Machine:
    """Debian as `image` makes it, without a network, with two disks beside its own: one for the data, small enough to be filled,
    and one with packages. Nothing that it writes is kept but its console."""

    def __init__(self, image: pathlib.Path, packages: pathlib.Path, console: pathlib.Path, accel: str, patience=900.0):
        self.names = itertools.count(1)
        self.scratch = tempfile.TemporaryDirectory(prefix="daypass-boot-")
        folder = pathlib.Path(self.scratch.name)
        data, parcel, port = folder / "data.ext4", folder / "packages.ext4", folder / "agent"
        make = ["mke2fs", "-qF", "-t", "ext4"]
        for rest in (["-L", "data", "-m", "0", data, "128M"], ["-L", "packages", "-d", packages, parcel, "256M"]):
            subprocess.run(make + rest, check=True, stdout=subprocess.DEVNULL)
        disks = [f"file={path},format=raw,if=virtio,snapshot=on" for path in (image / "root.ext4", data, parcel)]
        self.process = subprocess.Popen(
            ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-display", "none", "-nic", "none"]
            # Not all hosts let a guest see what they say of their own mitigations.
            + ["-accel", accel, "-cpu", "max,arch-capabilities=off", "-smp", "2", "-m", "1024"]
            + ["-kernel", image / "vmlinuz", "-initrd", image / "initrd.img"]
            + ["-append", "root=LABEL=root rw console=ttyS0 panic=1 systemd.journald.forward_to_console=0"]
            + [word for disk in disks for word in ("-drive", disk)]
            + ["-serial", f"file:{console}", "-device", "virtio-rng-pci", "-device", "virtio-serial-pci"]
            + ["-chardev", f"socket,id=agent,path={port},server=on,wait=off"]
            + ["-device", f"virtserialport,chardev=agent,name={AGENT}"]
        )
        try:
            self.port = self.connect(port)
            self.rest = b""
            self.wait_for_agent(patience)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.scratch.cleanup()

    def connect(self, path: pathlib.Path):
        port = socket.socket(socket.AF_UNIX)
        for _ in range(600):
            try:
                port.connect(str(path))
                return port
            except OSError:
                if self.process.poll() is not None:
                    break
                time.sleep(0.1)
        raise Failed("QEMU does not start")

    def wait_for_agent(self, patience: float):
        """What is sent before the agent listens may be lost, so it is asked again and again."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            try:
                self.ask("true", 5)
                return
            except TimeoutError:
                continue
        raise Failed(f"the machine has not come up in {patience:.0f} s; its console says why")

    def ask(self, command: str, seconds: float):
        """The exit code and what was printed, both streams in their order."""
        name = str(next(self.names))
        self.port.sendall(f"{name} {base64.b64encode(command.encode()).decode()}\n".encode())
        deadline = time.monotonic() + seconds
        while True:
            # An answer to what was given up comes late, and is nobody's.
            words = self.line(deadline).split(b" ")
            if words[0].decode(errors="replace") == name and len(words) == 3:
                return int(words[1]), base64.b64decode(words[2]).decode(errors="replace")

    def line(self, deadline: float):
        while b"\n" not in self.rest:
            self.port.settimeout(max(deadline - time.monotonic(), 0.001))
            got = self.port.recv(1 << 16)
            if not got:
                raise Failed("the machine has ended; its console says why")
            self.rest += got
        line, self.rest = self.rest.split(b"\n", 1)
        return line

    def run(self, command: str) -> str:
        """What a command prints that must succeed."""
        code, said = self.ask("set -eu -o pipefail\n" + command, 310)
        if code:
            raise Failed(f"`{command}` ended with {code}:\n{said}")
        return said.strip()

    def fails(self, command: str) -> str:
        """What a command prints that must not succeed."""
        code, said = self.ask(command, 310)
        if not code:
            raise Failed(f"`{command}` succeeded:\n{said}")
        return said.strip()

    def until(self, command: str, what: str, seconds: float = 180):
        """Waits until a command succeeds."""
        deadline = time.monotonic() + seconds
        while (asked := self.ask(command, 310))[0]:
            if time.monotonic() > deadline:
                raise Failed(f"{what}: `{command}` still ends with {asked[0]}:\n{asked[1]}")
            time.sleep(0.3)

    def write(self, path: str, text: str):
        packed = base64.b64encode(text.encode()).decode()
        self.run(f"mkdir -p $(dirname {shlex.quote(path)}) && base64 -d >{shlex.quote(path)} <<<{packed}")

    def reboot(self):
        before = self.run("cat /proc/sys/kernel/random/boot_id")
        self.run("systemctl reboot --no-block")
        for _ in range(120):
            try:
                if self.ask("cat /proc/sys/kernel/random/boot_id", 5)[1].strip() not in ("", before):
                    return
            except TimeoutError:
                pass
            time.sleep(1)
        raise Failed("the machine has not come back")
