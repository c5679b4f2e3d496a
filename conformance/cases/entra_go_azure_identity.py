"""The Azure SDK for Go, which is MSAL inside and has an error of its own around the whole answer."""

# needs: pypi go
# client: entra / azure-identity (Go)

from daypass import WORK, case, equal, main
from entra import GOOD, Provoking, check_token, own, program, refusal
from entra_keys import Holder, registered


def ask(how, asker=GOOD, **settings):
    return program("go", "azure-identity", how, asker=asker, **settings)


PROVOKING = Provoking(lambda asker: refusal(ask("secret", asker)), tells="status error code")


@case("client_secret_post")
def secret():
    check_token(ask("secret")["token"][0])


@case("the second token is the first one")
def cached():
    first, second = ask("secret")["token"]
    equal(second, first, "the second token")


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


def certificate(asker, holder):
    file = WORK / own("both.pem")
    file.write_text(holder.private_pem + holder.certificate_pem)
    return ask("certificate", asker, CERTIFICATE_FILE=file)


@case("certificate by its SHA-256 thumbprint")
def sha256():
    asker, holder = registered()
    check_token(certificate(asker, holder)["token"][0], asker, proof="2")


@case("a certificate that is not registered")
def stranger():
    asker, _ = registered()
    PROVOKING.told(refusal(certificate(asker, Holder())), 401, "invalid_client", 700027)


main()
