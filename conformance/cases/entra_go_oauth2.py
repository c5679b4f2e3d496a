"""golang.org/x/oauth2/clientcredentials, which finds out by itself how the server wants the secret."""

# needs: go
# client: entra / Go x/oauth2

from daypass import case, equal, main
from entra import GOOD, PLAIN, Provoking, check_token, program, refusal


def ask(how, asker=GOOD):
    return program("go", "oauth2", how, asker=asker)


IN_BODY = Provoking(lambda asker: refusal(ask("body", asker)), tells="status error")
BY_BASIC = Provoking(lambda asker: refusal(ask("basic", asker)), tells="status error", basic=True)


@case("client_secret_basic")
def basic():
    check_token(ask("basic")["token"][0])


@case("client_secret_post")
def body():
    check_token(ask("body")["token"][0])


@case("the way of the secret that it finds out by itself")
def auto():
    said = ask("auto")
    check_token(said["token"][0])
    equal(set(said["type"]), {"Bearer"}, "token type")


@case("the second token is the first one")
def cached():
    first, second = ask("body")["token"]
    equal(second, first, "the second token")


@case("over http")
def plain():
    check_token(ask("auto", PLAIN)["token"][0], PLAIN)


@case("wrong secret")
def wrong_secret():
    IN_BODY.wrong_secret()
    BY_BASIC.wrong_secret()


@case("wrong secret, where it tries Basic and then the body")
def wrong_secret_twice():
    said = refusal(ask("auto", GOOD.but(secret="wrong")))
    equal((said.status, said.error), (401, "invalid_client"), "refusal")


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
