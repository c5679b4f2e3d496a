"""The Azure SDK for Python without a secret."""

# needs: pypi
# client: entra / azure-identity (Python)

import logging
import re

from azure.core.exceptions import ClientAuthenticationError
from azure.identity import CertificateCredential, ClientAssertionCredential

from daypass import case, check, main
from entra import Provoking, Refusal, check_token, spend
from entra_keys import Assertions, Holder, registered, statement

logging.getLogger("azure").setLevel(logging.CRITICAL)  # it warns of each refusal


def where(asker):
    return {"authority": asker.base, "disable_instance_discovery": True}


def certificate(asker, holder, **options):
    pem = (holder.private_pem + holder.certificate_pem).encode()
    return CertificateCredential(asker.tenant, asker.client_id, certificate_data=pem, **where(asker), **options)


def made(asker, assertion):
    return ClientAssertionCredential(asker.tenant, asker.client_id, lambda: assertion, **where(asker))


def refusal(credential, asker):
    try:
        credential.get_token(asker.scope)
    except ClientAuthenticationError as error:
        code = re.search(r"AADSTS(\d+): ", str(error))
        check(code, f"it says {error}")
        return Refusal(str(error), code=int(code[1]))
    raise AssertionError("should have been refused, and was given a token")


def given(asker, assertion):
    return refusal(made(asker, assertion), asker)


PROVOKING = Assertions(given, Provoking(None, tells="code"))


@case("certificate by its SHA-1 thumbprint")
def sha1():
    asker, holder = registered()
    check_token(certificate(asker, holder).get_token(asker.scope).token, asker, proof="2")


@case("certificate with its chain")
def chain():
    asker, holder = registered()
    credential = certificate(asker, holder, send_certificate_chain=True)
    check_token(credential.get_token(asker.scope).token, asker, proof="2")


@case("assertion that the application makes")
def assertion():
    asker, holder = registered()
    check_token(made(asker, holder.sign(statement(asker))).get_token(asker.scope).token, asker, proof="2")


@case("a certificate that is not registered")
def stranger():
    asker, _ = registered()
    PROVOKING.provoking.told(refusal(certificate(asker, Holder()), asker), 401, "invalid_client", 700027)


@case("assertion with a key that nobody registered")
def wrong_key():
    PROVOKING.wrong_key()


@case("assertion with another client's key")
def other_clients_key():
    PROVOKING.other_clients_key()


@case("assertion unsigned, or signed with the public key as a secret")
def other_algorithm():
    PROVOKING.other_algorithm()


@case("assertion for somebody else")
def wrong_audience():
    PROVOKING.wrong_audience()


@case("assertion that has ended")
def expired():
    PROVOKING.expired()


@case("assertion that has not begun")
def not_yet():
    PROVOKING.not_yet()


@case("assertion that lasts a day")
def too_long():
    PROVOKING.too_long()


@case("assertion shown twice")
def replayed():
    PROVOKING.replayed(spend)


main()
