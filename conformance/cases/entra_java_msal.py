"""Microsoft's library for Java, told not to ask login.microsoftonline.com of the authority. Java trusts what is in its
own kind of store, made by the command that `daypass dev --tls` prints."""

# needs: maven
# client: entra / MSAL Java

from daypass import case, check, equal, main
from entra import GOOD, STRANGER, Provoking, check_token, java_trust, program, refusal


def ask(how, asker=GOOD, **settings):
    return program("maven", how, asker=asker, **{"JAVA_TOOL_OPTIONS": java_trust(), **settings})


PROVOKING = Provoking(lambda asker: refusal(ask("secret", asker)), tells="status error")


@case("client_secret_post")
def secret():
    for token in ask("secret")["token"]:
        check_token(token)


@case("OIDC authority")
def oidc():
    check_token(ask("oidc")["token"][0])


@case("the second token is the first one")
def cached():
    """Only so: the library looks for the token of an authority of the other kind under a host without the port."""
    said = ask("oidc")
    equal(said["cached"], ["false", "true"], "whether the tokens came from the cache")
    equal(said["token"][1], said["token"][0], "the second token")


@case("over http it does not even ask")
def plain():
    said = ask("secret", GOOD.but(base=GOOD.base.replace("https:", "http:")))
    check("token" not in said and "https" in said["message"][0], f"it says {said}")


@case("an authority that nobody trusts")
def not_trusted():
    said = ask("secret", JAVA_TOOL_OPTIONS="")
    check("token" not in said and "PKIX" in said["message"][0], f"it says {said}")


@case("the caller's correlation id comes back")
def correlation():
    said = ask("secret", GOOD.but(secret="wrong"), CORRELATION_ID=STRANGER)
    equal(said["correlation"], [STRANGER], "correlation id")


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


@case("wrong grant")
def wrong_grant():
    """On behalf of a user, as it calls that."""
    PROVOKING.wrong_grant(refusal(ask("on-behalf-of")))


main()
