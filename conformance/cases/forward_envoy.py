"""The guide's configuration of Envoy's ext_authz over HTTP, in front of an API that knows nothing of tokens."""

# needs: pypi
# client: api / Envoy ext_authz

from daypass import case, main
from forward import Gate, Program, binary, placed


def start(folder, ports, secret):
    (folder / "envoy.yaml").write_text(placed("envoy.yaml", ports, DAYPASS_API=secret))
    arguments = [binary("envoy"), "-c", folder / "envoy.yaml", "--use-dynamic-base-id", "--concurrency", "1"]
    return Program(arguments, ports[8080], folder / "envoy.log", {})


GATE = Gate("envoy", start)


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
