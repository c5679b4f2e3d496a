"""Microsoft's library for Go, confidential clients, told not to ask login.microsoftonline.com of the authority."""

# needs: go
# client: entra / MSAL Go

from daypass import case, check, equal, main
from entra import GOOD, Provoking, check_token, program, refusal


def ask(how, asker=GOOD, **settings):
    return program("go", "msal", how, asker=asker, **settings)


PROVOKING = Provoking(lambda asker: refusal(ask("secret", asker)), tells="status error code")


@case("client_secret_post")
def secret():
    check_token(ask("secret")["token"][0])


@case("the second token is the first one")
def cached():
    said = ask("secret")
    equal(said["cached"], ["false", "true"], "whether the tokens came from the cache")
    equal(said["token"][1], said["token"][0], "the second token")


@case("over http it does not even ask")
def plain():
    said = ask("secret", GOOD.but(base=GOOD.base.replace("https:", "http:")))
    check("token" not in said and "https" in said["message"][0], f"it says {said}")


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
    """It looks for the tenant's endpoints first, and goes no further."""
    PROVOKING.unknown_tenant(error="invalid_tenant")


@case("scope without /.default")
def narrow_scope():
    PROVOKING.narrow_scope()


@case("unknown resource")
def unknown_resource():
    PROVOKING.unknown_resource()


@case("a resource that is not granted")
def not_granted():
    PROVOKING.not_granted()


@case("wrong grant")
def wrong_grant():
    """On behalf of a user, as it calls that."""
    PROVOKING.wrong_grant(refusal(ask("on-behalf-of")))


main()
