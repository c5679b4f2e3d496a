"""The Azure SDK for Rust. It asks for no discovery document, and borrows the description from the JSON as it stands, so
that a single escape in there costs its user the whole error."""

# needs: cargo
# client: entra / azure-identity (Rust)

from daypass import case, check, equal, main
from entra import GOOD, Provoking, check_token, program, refusal


def ask(how, asker=GOOD, **settings):
    return program("cargo", "azure-identity", how, asker=asker, **settings)


PROVOKING = Provoking(lambda asker: refusal(ask("secret", asker)), tells="status code")


@case("client_secret_post")
def secret():
    check_token(ask("secret")["token"][0])


@case("the second token is the first one")
def cached():
    first, second = ask("secret")["token"]
    equal(second, first, "the second token")


@case("over http it does not even ask")
def plain():
    said = ask("secret", GOOD.but(base=GOOD.base.replace("https:", "http:")))
    check("token" not in said and "HTTPS" in said["message"][0], f"it says {said}")


@case("wrong secret")
def wrong_secret():
    PROVOKING.wrong_secret()


@case("unknown client")
def unknown_client():
    PROVOKING.unknown_client()


@case("secret that has run out")
def ended_secret():
    PROVOKING.ended_secret()


@case("disabled client")
def disabled_client():
    PROVOKING.disabled_client()


@case("unknown tenant")
def unknown_tenant():
    PROVOKING.unknown_tenant()
    PROVOKING.malformed_tenant()


@case("scope without /.default")
def narrow_scope():
    PROVOKING.narrow_scope()


@case("unknown resource")
def unknown_resource():
    PROVOKING.unknown_resource()


@case("a resource that is not granted")
def not_granted():
    PROVOKING.not_granted()


main()
