"""The seed's page in a real browser: CORS must let the listed origin read the credential, and no other."""

# needs: npm

import contextlib
import html
import http.server
import json
import re
import shutil
import subprocess
import threading

from daypass import NODE_MODULES, Skipped, case, check, credentials, equal, fresh, main, matches

SERVER = credentials()
ADDRESS = SERVER["url"] + SERVER["get_authorization"]["path"]
LISTED_PORT = 88  # the origin that dev lists is http://127.0.0.1:88

# The function is the seed's, but that its callback and its catch write to the page.
PAGE = """<!doctype html>
<meta charset="utf-8">
<title>getAuthorization</title>
<pre id="got">nothing</pre>
<script src="/axios.js"></script>
<script>
const show = (what) => { document.getElementById('got').textContent = JSON.stringify(what); };
const options = {
getAuthorization(callback) {
let url = '%s'; // 服务端获取临时密钥地址
axios.get(url).then(response => {
console.log(response.data)
callback({
Token: response.data.Credentials.Token,
TmpSecretId: response.data.Credentials.TmpSecretId,
TmpSecretKey: response.data.Credentials.TmpSecretKey,
ExpiredTime: response.data.ExpiredTime
});
}).catch(err =>{
show({ caught: err.message })
})
},
};
options.getAuthorization(show);
</script>
"""


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/":
            self.answer("text/html; charset=utf-8", (PAGE % ADDRESS).encode())
        elif self.path == "/axios.js":
            self.answer("text/javascript", (NODE_MODULES / "axios/dist/axios.min.js").read_bytes())
        else:
            self.send_error(404)

    def answer(self, kind, body):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def site(port):
    try:
        server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Page)
    except OSError as error:
        raise Skipped(f"port {port} of 127.0.0.1 cannot be used: {error.strerror}") from None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        server.server_close()


def shown(address, name):
    """What the page shows after a browser with an empty profile has run it."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not browser:
        raise Skipped("chromium is not installed")
    flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    flags += " --disable-component-update --disable-sync --disable-dev-shm-usage --virtual-time-budget=10000"
    done = subprocess.run(
        [browser, *flags.split(), f"--user-data-dir={fresh(name)}", "--dump-dom", address],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    found = re.search(r'<pre id="got">(.*?)</pre>', done.stdout, re.DOTALL)
    check(found, f"chromium printed no page but {done.stdout[-300:]!r} and {done.stderr[-300:]!r}")
    return json.loads(html.unescape(found[1]))


@case("a page of the listed origin gets its four values")
def listed():
    equal(SERVER["get_authorization"]["origin"], f"http://127.0.0.1:{LISTED_PORT}", "the listed origin")
    with site(LISTED_PORT) as address:
        got = shown(address, "chromium-listed")
    equal(set(got), {"Token", "TmpSecretId", "TmpSecretKey", "ExpiredTime"}, f"members of {got}")
    matches(r"AKID[\w-]+", got["TmpSecretId"], "TmpSecretId")
    matches(r"[\w+/-]{43}=?", got["TmpSecretKey"], "TmpSecretKey")
    check(got["Token"] and isinstance(got["ExpiredTime"], int), f"the page shows {got}")


@case("a page of another origin gets nothing")
def unlisted():
    with site(0) as address:
        got = shown(address, "chromium-unlisted")
    equal(got, {"caught": "Network Error"}, "what the page shows")


main()
