"""What the cases before emulated clouds share: a `daypass emulate` of the case's own, and its control listener."""

import json
import pathlib
import ssl

from daypass import Running, check, fresh, http

# The account of the emulated clouds, and the resource that their Entra has.
ACCOUNT = "100000000001"
RESOURCE = "d6b7c858-55fa-4d04-85a6-131af690abd4"


class Emulated(Running):
    """A `daypass emulate`, on a port that the system chooses; it runs from the start."""

    def __init__(self, name, *arguments):
        self.data = fresh(name) / "cloud"
        self.file = self.data.with_name("credentials.json")
        place = ("--listen", "127.0.0.1:0", "--data", self.data, "--credentials", self.file)
        super().__init__(self.data.with_name("emulate.log"), "emulate", *place, *arguments)
        self.start()

    def _announced(self):
        if not self.file.exists():
            return False
        self.credentials = json.loads(self.file.read_text())
        self.url = self.credentials["url"]
        if self.url.startswith("https:"):
            self.context = ssl.create_default_context(cafile=self.data / "ca.pem")
        return True

    @property
    def host(self):
        return self.url.split("//")[1]

    def control(self, path, document=None, method=None):
        """Asks the control listener, or tells it something."""
        access = self.credentials["control"]
        data = None if document is None else json.dumps(document).encode()
        answer = http(access["url"] + path, data, {"Authorization": f"Bearer {access['token']}"}, method)
        check(answer.status == 200, f"the control listener answers {answer.status}: {answer.body}")
        return answer.json()

    def faults(self, *specs):
        self.control("/faults", {"faults": list(specs)})

    def forget(self):
        self.control("/requests", method="DELETE")

    def calls(self, kinds=""):
        """How many questions came whose cloud, action and result begin like this."""
        counts = self.control("/requests")["counts"]
        return sum(count for name, count in counts.items() if name.startswith(kinds))


def root_key(folder, name, key, secret):
    """A file with a root key, as an operator keeps it."""
    path = pathlib.Path(folder) / f"{name}.key"
    path.touch(mode=0o600)
    path.write_text(f"{key}:{secret}\n")
    return path
