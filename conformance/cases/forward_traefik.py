"""The guide's configuration of Traefik's ForwardAuth, in front of an API that knows nothing of tokens."""

# needs: pypi
# client: api / Traefik ForwardAuth

from daypass import case, main
from forward import Gate, Program, binary, placed


def start(folder, ports, secret):
    (folder / "dynamic.yml").write_text(placed("traefik.yml", ports))
    arguments = [
        binary("traefik"),
        f"--entryPoints.web.address=127.0.0.1:{ports[8080]}",
        f"--providers.file.filename={folder}/dynamic.yml",
        "--global.checkNewVersion=false",
        "--global.sendAnonymousUsage=false",
    ]
    return Program(arguments, ports[8080], folder / "traefik.log", {"DAYPASS_API": secret})


GATE = Gate("traefik", start)


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
