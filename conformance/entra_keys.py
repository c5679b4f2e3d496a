"""Keys and certificates of OAuth's clients, what they sign, and what any library that takes an assertion can provoke.

As a module for Python cases. As a program, for the others, it makes the keys that are named behind a folder, and prints
what they are called by; `server` is what a server of theirs shows.
"""

import base64
import datetime
import functools
import hashlib
import hmac
import ipaddress
import json
import pathlib
import sys
import time
import uuid

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from daypass import check
from entra import CA, DATA, with_key

MAKE = {
    "RS256": lambda: rsa.generate_private_key(65537, 2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}


class Holder:
    """A key pair, and a certificate for it: signed by itself, or by the Holder of an authority."""

    def __init__(self, algorithm="RS256", name="client", authority=None, names=(), ca=False):
        self.algorithm, self.private = algorithm, MAKE[algorithm]()
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.timezone.utc)
        signer, issuer = (authority.private, authority.certificate.subject) if authority else (self.private, subject)
        made = (
            x509.CertificateBuilder(issuer, subject, self.private.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(self.private.public_key()), critical=False)
        if authority:
            named = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
            signers = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(named)
            made = made.add_extension(signers, critical=False)
        if names:
            made = made.add_extension(x509.SubjectAlternativeName(list(names)), critical=False)
        self.certificate = made.sign(signer, None if isinstance(signer, ed25519.Ed25519PrivateKey) else hashes.SHA256())

    @classmethod
    def of(cls, key_file, certificate_file):
        """One that others made."""
        holder = cls.__new__(cls)
        holder.private = serialization.load_pem_private_key(pathlib.Path(key_file).read_bytes(), None)
        holder.certificate = x509.load_pem_x509_certificate(pathlib.Path(certificate_file).read_bytes())
        return holder

    @property
    def private_pem(self):
        form = serialization.PrivateFormat.PKCS8
        return self.private.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()

    @property
    def public_pem(self):
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        return self.private.public_key().public_bytes(serialization.Encoding.PEM, form).decode()

    @property
    def certificate_pem(self):
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    def thumbprint(self, digest):
        """In hexadecimal, as the vendor's portal shows it."""
        return digest(self.certificate.public_bytes(serialization.Encoding.DER)).hexdigest()

    def x5t_s256(self):
        """As the token says it."""
        raw = bytes.fromhex(self.thumbprint(hashlib.sha256))
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()

    def write(self, folder, name):
        """NAME.key, NAME.pem with the certificate, NAME.pub, and NAME.both with key and certificate."""
        texts = {"key": self.private_pem, "pem": self.certificate_pem, "pub": self.public_pem}
        texts["both"] = texts["key"] + texts["pem"]
        files = {suffix: pathlib.Path(folder) / f"{name}.{suffix}" for suffix in texts}
        for suffix, file in files.items():
            file.touch(mode=0o600)
            file.write_text(texts[suffix])
        return files

    def sign(self, claims):
        return jwt.encode(claims, self.private, self.algorithm)


def tls(folder):
    """What a server of the file's own shows, which everyone trusts who trusts the one that all share."""
    loopback = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    host = Holder("ES256", "daypass", Holder.of(DATA / "ca.key", CA), [loopback]).write(folder, "server")
    return {"certificate": host["pem"], "key": host["key"], "ca": CA}


@functools.cache
def registered(number=0):
    """A client whose certificate the server knows, with the private key."""
    holder = Holder(name=f"client {number}")
    return with_key(f"client-{number}", holder), holder


def statement(asker, **changes):
    """What a client claims in its assertion; a claim of None is left out."""
    now = time.time()
    said = {"iss": asker.client_id, "sub": asker.client_id, "aud": asker.token_url, "jti": str(uuid.uuid4())}
    said |= {"iat": now, "exp": now + 600} | changes
    return {name: value for name, value in said.items() if value is not None}


class Assertions:
    """What any library can provoke that takes a ready assertion. `ask(asker, assertion)` returns the Refusal, and
    `provoking` knows what of it the library tells."""

    def __init__(self, ask, provoking):
        self.ask, self.provoking = ask, provoking

    def refused(self, code, assertion, says="", status=401, error="invalid_client"):
        asker, _ = registered()
        return self.provoking.told(self.ask(asker, assertion), status, error, code, asker, says)

    def wrong_key(self):
        """With a key that nobody registered."""
        asker, _ = registered()
        self.refused(700027, Holder().sign(statement(asker)))

    def other_clients_key(self):
        """With a key that is registered, and another client's."""
        asker, _ = registered()
        _, other = registered(1)
        self.refused(700027, other.sign(statement(asker)))

    def other_algorithm(self):
        """Without a signature, and with the public key as the secret of a MAC."""
        asker, holder = registered()
        self.refused(50027, jwt.encode(statement(asker), None, "none"))
        head = b'{"alg":"HS256","typ":"JWT"}'
        signed = b".".join(map(encoded, (head, json.dumps(statement(asker)).encode())))
        mac = hmac.digest(holder.public_pem.encode(), signed, "sha256")
        self.refused(700027, b".".join((signed, encoded(mac))).decode())

    def wrong_audience(self):
        asker, holder = registered()
        self.refused(700023, holder.sign(statement(asker, aud=f"{asker.base}/{uuid.uuid4()}/oauth2/v2.0/token")))
        self.refused(700023, holder.sign(statement(asker, aud=[asker.token_url, asker.issuer])))

    def expired(self):
        asker, holder = registered()
        now = time.time()
        said = self.refused(700024, holder.sign(statement(asker, iat=now - 700, exp=now - 100)))
        year = datetime.date.today().strftime("%Y-")
        check(said.description.count(year) >= 3, f"{said.description} does not say now, from and until")

    def not_yet(self):
        asker, holder = registered()
        self.refused(700024, holder.sign(statement(asker, nbf=time.time() + 300)))

    def too_long(self):
        asker, holder = registered()
        self.refused(700024, holder.sign(statement(asker, exp=time.time() + 86400)))

    def replayed(self, spend):
        """`spend(asker, assertion)` gets the token that the assertion is good for, once."""
        asker, holder = registered()
        assertion = holder.sign(statement(asker))
        spend(asker, assertion)
        self.refused(700027, assertion, says="jti")


def encoded(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def main():
    folder, *wanted = sys.argv[1:]
    said = {}
    for name in wanted:
        if name == "server":
            tls(folder)
            continue
        algorithm = name.split("-")[0]
        holder = Holder(algorithm, name)
        holder.write(folder, name)
        said[name] = {"sha1": holder.thumbprint(hashlib.sha1), "sha256": holder.thumbprint(hashlib.sha256)}
    print(json.dumps(said))


if __name__ == "__main__":
    main()
