"""The Azure SDK for Rust without a secret. Its certificates need OpenSSL's headers, so that only assertions are run."""

# needs: pypi cargo
# client: entra / azure-identity (Rust)

from daypass import case, main
from entra import Provoking, check_token, program, refusal, spend
from entra_keys import Assertions, registered, statement


def given(asker, assertion):
    return program("cargo", "azure-identity", "assertion", asker=asker, ASSERTION=assertion)


PROVOKING = Assertions(lambda *asked: refusal(given(*asked)), Provoking(None, tells="status code"))


@case("assertion that the application makes")
def assertion():
    asker, holder = registered()
    check_token(given(asker, holder.sign(statement(asker)))["token"][0], asker, proof="2")


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
