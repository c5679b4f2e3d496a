"""Rust's `oauth2`, which wants exactly the statuses, types and members of RFC 6749."""

# needs: cargo
# client: entra / Rust oauth2

from daypass import case, check, equal, main
from entra import GOOD, PLAIN, Provoking, check_token, narrow, program, refusal


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


@case("introspection by the owner of the token")
def introspection():
    token = ask("basic")["token"][0]
    said = ask("introspect", TOKEN=token)
    equal((said.get("active"), said.get("client")), (["true"], [GOOD.client_id]), f"what it is ({said})")
    equal(ask("introspect", TOKEN="x")["active"], ["false"], "whether something else is live")


@case("introspection with a wrong secret")
def introspection_refused():
    said = ask("introspect", GOOD.but(secret="wrong"), TOKEN="x")
    check("AADSTS7000215" in said["message"][0], f"it says {said}")


@case("revocation by the owner of the token")
def revocation():
    token = ask("basic")["token"][0]
    equal(ask("revoke", TOKEN=token).get("revoked"), ["true"], "whether it was revoked")
    equal(ask("introspect", TOKEN=token)["active"], ["false"], "whether it is live")


@case("revocation by anyone else")
def revocation_refused():
    token = ask("basic")["token"][0]
    said = ask("revoke", narrow(), TOKEN=token)
    check("revoked" not in said and said["message"], f"it says {said}")
    equal(ask("introspect", TOKEN=token)["active"], ["true"], "whether it is live")


main()
