"""The guide's API in Flask, by PyJWT."""

# needs: pypi
# client: api / PyJWT and Flask

import sys

from api import SNIPPETS, Apis, Program
from daypass import case, free_port, main


def start(folder, environment):
    return Program([sys.executable, SNIPPETS / "flask_api.py"], free_port(), folder / "api.log", environment)


APIS = Apis("api_flask", start)


@case("a good token is let in")
def good():
    APIS.good()


@case("tokens of version 1.0 and of RFC 9068 are let in")
def shapes():
    APIS.shapes()


@case("no token is 401, and no code says why")
def nobody():
    APIS.nobody()


@case("another audience, another issuer and garbage are 401 invalid_token")
def not_for_here():
    APIS.not_for_here()


@case("expired and not yet valid are 401, by a leeway of a minute")
def not_now():
    APIS.not_now()


@case("unsigned, forged and foreign keys are 401")
def forged():
    APIS.forged()


@case("a token that is bound to a key is 401")
def bound():
    APIS.bound()


@case("a missing role is 403 insufficient_scope")
def too_little():
    APIS.too_little()


@case("while the issuer is away its tokens are taken")
def away():
    APIS.away()


try:
    main()
finally:
    APIS.stop()
