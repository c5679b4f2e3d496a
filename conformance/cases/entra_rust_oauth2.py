"""Rust's `oauth2`, which wants exactly the statuses, types and members of RFC 6749."""

# needs: cargo
# client: entra / Rust oauth2

from daypass import case, equal, main
from entra import GOOD, PLAIN, Provoking, check_token, program, refusal


def ask(how, asker=GOOD, **settings):
    return program("cargo", "oauth2", how, asker=asker, **settings)


IN_BODY = Provoking(lambda asker: refusal(ask("body", asker)), tells="error")
BY_BASIC = Provoking(lambda asker: refusal(ask("basic", asker)), tells="error", basic=True)


@case("client_secret_basic")
def basic():
    """It percent-encodes what it puts there, `~` too."""
    said = ask("basic")
    check_token(said["token"][0])
    equal(said["expires"], ["3599"], "seconds")


@case("client_secret_post")
def body():
    check_token(ask("body")["token"][0])


@case("over http")
def plain():
    check_token(ask("basic", PLAIN)["token"][0], PLAIN)


@case("wrong secret")
def wrong_secret():
    IN_BODY.wrong_secret()
    BY_BASIC.wrong_secret()


@case("unknown client")
def unknown_client():
    IN_BODY.unknown_client()
    BY_BASIC.unknown_client()


@case("secret that has run out")
def ended_secret():
    IN_BODY.ended_secret()


@case("disabled client")
def disabled_client():
    IN_BODY.disabled_client()


@case("unknown tenant")
def unknown_tenant():
    IN_BODY.unknown_tenant()
    IN_BODY.malformed_tenant()


@case("scope without /.default")
def narrow_scope():
    IN_BODY.narrow_scope()


@case("unknown resource")
def unknown_resource():
    IN_BODY.unknown_resource()


@case("a resource that is not granted")
def not_granted():
    IN_BODY.not_granted()


@case("wrong grant")
def wrong_grant():
    IN_BODY.wrong_grant(refusal(ask("password")))


main()
