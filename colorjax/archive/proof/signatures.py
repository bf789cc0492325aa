"""The signature of a sidecar, in a file beside it: a detached JSON Web Signature (RFC 7515, its payload as it is: RFC 7797).

The payload is the sidecar, byte by byte. The header holds the certificates (x5c), so that any program that knows JWS can check
it. A signature in a file of its own needs no canonical form of JSON, as one inside of the sidecar would.
"""

import base64
import datetime
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from colorjax.archive.proof.keys import Keys, named
from colorjax.inference import engines

if TYPE_CHECKING:
    from cryptography import x509

SUFFIX = ".jws"  # after the whole name of the sidecar
_ALGORITHMS = {"es256": "ES256", "es384": "ES384", "es512": "ES512", "ps256": "PS256", "ed25519": "EdDSA"}
_LEGAL = ("ES256", "ES384", "ES512", "PS256", "PS384", "PS512", "EdDSA")
_LONGEST = 2**18  # bytes


class SignatureError(ValueError):
    """A signature that is not of these bytes; the message says so in words."""


class Signed(NamedTuple):
    """Who signed, by a certificate that holds. untrusted: why no anchor vouches for it, "" where one does."""

    who: str
    certificate: "x509.Certificate"
    untrusted: str


def sign(data: bytes, keys: Keys) -> bytes:
    """The signature of these bytes, as a line of ASCII."""
    from cryptography.hazmat.primitives.serialization import Encoding
    from jwt.api_jws import PyJWS

    chain = [base64.b64encode(one.public_bytes(Encoding.DER)).decode() for one in keys.chain]
    headers = {"typ": "JOSE", "x5c": chain}
    return PyJWS().encode(data, keys.key, _ALGORITHMS[keys.algorithm], headers, is_payload_detached=True).encode() + b"\n"


def check(
    data: bytes,
    signature: bytes,
    anchors: "Sequence[x509.Certificate] | None" = None,
    when: datetime.datetime | None = None,
) -> Signed:
    """Who signed these bytes. anchors: certificates that are believed, and whom they vouch for; None: nobody was named.

    when: the time at which certificates must be good, None for now. Raises SignatureError where the signature is not of these
    bytes, or is damaged.
    """
    with engines.needs_packages("c2pa"):
        from cryptography import x509
        from jwt import PyJWTError
        from jwt.api_jws import PyJWS
    if signature[-1:] != b"\n" or len(signature) > _LONGEST:
        raise SignatureError("its signature is damaged")
    line, reader = signature[:-1], PyJWS(_LEGAL)
    try:
        header = reader.get_unverified_header(line)
        chain = [x509.load_der_x509_certificate(base64.b64decode(one, validate=True)) for one in header["x5c"]]
        key: Any = chain[0].public_key()
    except (PyJWTError, KeyError, IndexError, ValueError, TypeError):
        raise SignatureError("its signature is damaged") from None
    try:
        reader.decode_complete(line, key, _LEGAL, detached_payload=data)
    except (PyJWTError, ValueError, TypeError, AttributeError):  # the last two: a key of another kind than the header says
        raise SignatureError(f"it has changed since {named(chain[0].subject)} signed it") from None
    return Signed(named(chain[0].subject), chain[0], "" if anchors is None else _untrusted(chain, anchors, when))


def fingerprint(certificate: "x509.Certificate") -> str:
    """SHA-256 of a certificate, in hexadecimal digits."""
    from cryptography.hazmat.primitives import hashes

    return certificate.fingerprint(hashes.SHA256()).hex()


def _untrusted(chain: "list[x509.Certificate]", anchors: "Sequence[x509.Certificate]", when: datetime.datetime | None) -> str:
    """Why no anchor vouches for the first certificate of a chain by way of the others, "" where one does."""
    from cryptography import x509

    now, one = when or datetime.datetime.now(datetime.UTC), chain[0]
    for _ in chain:
        if not one.not_valid_before_utc <= now <= one.not_valid_after_utc:
            return f"the certificate of {named(one.subject)} is good until {one.not_valid_after_utc:%Y-%m-%d} only"
        if one in anchors or any(_issued(one, anchor) for anchor in anchors):
            return ""
        try:
            one = next(other for other in chain if other != one and _issued(one, other))
            may = one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except (StopIteration, x509.ExtensionNotFound, ValueError):
            may = False
        if not may:
            break
    return f"{named(chain[0].subject)} is not vouched for by those that --trust names"


def _issued(one: "x509.Certificate", by: "x509.Certificate") -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        one.verify_directly_issued_by(by)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True
