"""MSAL for Go without a secret."""

# needs: pypi go
# client: entra / MSAL Go

from daypass import WORK, case, main
from entra import Provoking, check_token, own, program, refusal, spend
from entra_keys import Assertions, Holder, registered, statement


def certificate(asker, holder):
    file = WORK / own("both.pem")
    file.write_text(holder.private_pem + holder.certificate_pem)
    return program("go", "msal", "certificate", asker=asker, CERTIFICATE_FILE=file)


def given(asker, assertion):
    return program("go", "msal", "assertion", asker=asker, ASSERTION=assertion)


PROVOKING = Assertions(lambda *asked: refusal(given(*asked)), Provoking(None, tells="status error code"))


@case("certificate by its SHA-256 thumbprint")
def sha256():
    asker, holder = registered()
    check_token(certificate(asker, holder)["token"][0], asker, proof="2")


@case("assertion that the application makes")
def assertion():
    asker, holder = registered()
    check_token(given(asker, holder.sign(statement(asker)))["token"][0], asker, proof="2")


@case("a certificate that is not registered")
def stranger():
    asker, _ = registered()
    PROVOKING.provoking.told(refusal(certificate(asker, Holder())), 401, "invalid_client", 700027)


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
