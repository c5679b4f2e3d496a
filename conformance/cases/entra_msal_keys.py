"""MSAL for Python without a secret: certificates by each of their thumbprints, and assertions made elsewhere.

What it sends is messier than the standard: times with fractions, thumbprints with padding, chains with line breaks."""

# needs: pypi
# client: entra / MSAL Python

import hashlib
import time

import msal
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from daypass import WORK, case, check, main
from entra import Provoking, Refusal, check_token, cli, own, spend, with_key
from entra_keys import Assertions, Holder, registered, statement


def token(asker, credential):
    client = msal.ConfidentialClientApplication(
        asker.client_id, client_credential=credential, authority=asker.authority, instance_discovery=False
    )
    return client.acquire_token_for_client([asker.scope])


def check_answer(answer, asker):
    check("access_token" in answer, f"it says {answer}")
    check_token(answer["access_token"], asker, proof="2")


def refusal(answer):
    check("access_token" not in answer, "should have been refused, and was given a token")
    return Refusal(answer["error_description"], error=answer["error"], code=answer["error_codes"][0])


def given(asker, assertion):
    return refusal(token(asker, {"client_assertion": assertion}))


PROVOKING = Assertions(given, Provoking(None, tells="error code"))


@case("certificate by its SHA-1 thumbprint")
def sha1():
    asker, holder = registered()
    credential = {"private_key": holder.private_pem, "thumbprint": holder.thumbprint(hashlib.sha1)}
    check_answer(token(asker, credential), asker)
    # With the chain, in lines.
    check_answer(token(asker, credential | {"public_certificate": holder.certificate_pem}), asker)


@case("certificate by its SHA-256 thumbprint")
def sha256():
    asker, holder = registered()
    credential = {"private_key": holder.private_pem, "public_certificate": holder.certificate_pem}
    check_answer(token(asker, credential), asker)


@case("certificate in a file of PKCS #12")
def pfx():
    asker, holder = registered()
    file = WORK / own("client.pfx")
    form = serialization.BestAvailableEncryption(b"changeit")
    file.write_bytes(pkcs12.serialize_key_and_certificates(b"client", holder.private, holder.certificate, None, form))
    credential = {"private_key_pfx_path": str(file), "passphrase": "changeit"}
    check_answer(token(asker, credential), asker)
    check_answer(token(asker, credential | {"public_certificate": True}), asker)


@case("assertion that the application makes")
def assertion():
    asker, holder = registered()
    check_answer(token(asker, {"client_assertion": lambda: holder.sign(statement(asker))}), asker)
    for aud in (asker.issuer, f"{asker.authority}/", [asker.token_url]):
        check_answer(token(asker, {"client_assertion": holder.sign(statement(asker, aud=aud))}), asker)


@case("a key that is not the certificate's")
def other_key():
    asker, holder = registered()
    credential = {"private_key": Holder().private_pem, "thumbprint": holder.thumbprint(hashlib.sha1)}
    PROVOKING.provoking.told(refusal(token(asker, credential)), 401, "invalid_client", 700027)


@case("a certificate that is not registered")
def stranger():
    asker, _ = registered()
    other = Holder()
    credential = {"private_key": other.private_pem, "public_certificate": other.certificate_pem}
    PROVOKING.provoking.told(refusal(token(asker, credential)), 401, "invalid_client", 700027)


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


@case("a key that was disabled, and one that has run out")
def ended():
    holder = Holder()
    asker = with_key("ended", holder)
    [key] = cli("client", "show", own("ended"))["keys"]
    credential = {"private_key": holder.private_pem, "public_certificate": holder.certificate_pem}
    check_answer(token(asker, credential), asker)
    cli("client", "disable", own("ended"), "--key", key["id"])
    PROVOKING.provoking.told(refusal(token(asker, credential)), 401, "invalid_client", 700027)
    short = with_key("short", holder, "--expires", "1s")
    time.sleep(1)
    PROVOKING.provoking.told(refusal(token(short, credential)), 401, "invalid_client", 7000222)


main()
