"""The guide's configuration of Caddy's forward_auth, in front of an API that knows nothing of tokens."""

# needs: pypi
# client: api / Caddy forward_auth

from daypass import case, main
from forward import Gate, Program, binary, placed


def start(folder, ports, secret):
    # The guide's site speaks HTTP/2 once it has a certificate; here it does without one.
    words = {"auto_https off": "auto_https off\n\tservers {\n\t\tprotocols h1 h2 h2c\n\t}"}
    (folder / "Caddyfile").write_text(placed("Caddyfile", ports, **words))
    arguments = [binary("caddy"), "run", "--adapter", "caddyfile", "--config", folder / "Caddyfile"]
    own = {name: str(folder) for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME")}
    return Program(arguments, ports[8080], folder / "caddy.log", own | {"DAYPASS_API": secret})


GATE = Gate("caddy", start)


@case("a good token is let in, and the API is told who it is")
def good():
    GATE.good()


@case("no token and a bad one are 401, a missing role is 403")
def refused():
    GATE.refused(challenged=True)


@case("no known way around leads to the API")
def around():
    GATE.around()


@case("what a client says of its own request changes nothing")
def claims():
    GATE.claims()


@case("nobody makes up who they are")
def identity():
    GATE.identity()


@case("a connection is changed to nothing that is not judged")
def upgrades():
    GATE.upgrades()


@case("only the hosts of the API are let in")
def hosts():
    GATE.hosts()


@case("what HTTP/2 says twice or in odd places leads nowhere")
def http2():
    GATE.http2()


@case("a proxy without the API's secret lets nobody in")
def wrong_secret():
    GATE.wrong_secret()


@case("while Daypass is away nobody is let in")
def away():
    GATE.away()


try:
    main()
finally:
    GATE.stop()
