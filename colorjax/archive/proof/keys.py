"""The key that signs, and the certificates that say whose it is: read and checked before anything is coloured; or made."""

import datetime
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colorjax.inference import engines
from colorjax.photos import in_words

if TYPE_CHECKING:
    from cryptography import x509

KEY, CHAIN, ROOT = "key.pem", "chain.pem", "root.pem"  # of `new`
_CURVES = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_SMALLEST_RSA = 2048  # bits
_YEARS = 20  # that a pair of `new` is good for: without a time stamp, copies are believed no longer than their certificate
_USES = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
_USES += ("key_cert_sign", "crl_sign", "encipher_only", "decipher_only")


@dataclass(frozen=True)
class Place:
    """Where the key and its chain of certificates are, as PEM files; this may travel, what is in them may not.

    stamps: URL of a time-stamp authority, "" for none.
    """

    key: str
    chain: str
    stamps: str = ""


@dataclass(frozen=True, repr=False)
class Keys:
    """A key with its certificates, its own first. algorithm: as C2PA calls it, "es256". stamps: see `Place`."""

    key: Any
    chain: tuple["x509.Certificate", ...]
    algorithm: str
    stamps: str = ""

    @property
    def who(self) -> str:
        """Whose it is, for people."""
        return named(self.chain[0].subject)


def named(name: "x509.Name") -> str:
    """ "Ann (City Archive)": the common name and the organisation, or what there is of both."""
    from cryptography.x509.oid import NameOID

    common, organisation = (
        next((str(one.value) for one in name.get_attributes_for_oid(kind)), "")
        for kind in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
    )
    return in_brackets(common, organisation) or name.rfc4514_string()


def in_brackets(common: str | None, organisation: str | None) -> str:
    """ "Ann (City Archive)", or what there is of both."""
    if common and organisation and common != organisation:
        return f"{common} ({organisation})"
    return common or organisation or ""


def load(place: Place) -> Keys:
    """The key and its chain. Raises ValueError, in words, where they cannot sign: missing, locked, of a kind that C2PA does not
    know, of another certificate, out of date; MissingPackageError without the extra c2pa."""
    with engines.needs_packages("c2pa"):
        import c2pa  # noqa: F401, what is missing is to be known now
        import jwt  # noqa: F401
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
    secret, certificates = _content(place.key, "key"), _content(place.chain, "cert")
    try:
        key = serialization.load_pem_private_key(secret, None)
    except TypeError:
        raise ValueError(
            f"sign-key {place.key} is locked with a password; name one that is not, which only you can read"
        ) from None
    except ValueError:
        raise ValueError(f"sign-key {place.key} is no private key in PEM form") from None
    except Exception as error:  # cryptography's own, for keys that it does not know
        raise ValueError(f"sign-key {place.key} cannot be used: {error}") from None
    try:
        chain = x509.load_pem_x509_certificates(certificates)
    except ValueError:
        raise ValueError(f"sign-cert {place.chain} holds no certificates in PEM form") from None
    mine = [one for one in chain if one.public_key() == key.public_key()]
    if not mine:
        raise ValueError(f"sign-cert {place.chain} is not of the key {place.key}")
    chain = [mine[0], *(one for one in chain if one is not mine[0])]
    if mine[0].issuer == mine[0].subject:
        reason = "which C2PA does not allow: it must be of an authority; colorjax keys --new DIR makes both"
        raise ValueError(f"sign-cert {place.chain} is a certificate that vouches for itself, {reason}")
    now = datetime.datetime.now(datetime.UTC)
    if not mine[0].not_valid_before_utc <= now <= mine[0].not_valid_after_utc:
        dates = f"{mine[0].not_valid_before_utc:%Y-%m-%d} to {mine[0].not_valid_after_utc:%Y-%m-%d}"
        raise ValueError(f"sign-cert {place.chain} is good from {dates}, and not today")
    return Keys(key, tuple(chain), _algorithm(key, place.key), place.stamps)


def _content(path: str, option: str) -> bytes:
    try:
        return Path(path).expanduser().read_bytes()
    except OSError as error:
        raise ValueError(f"sign-{option} {path} cannot be read: {in_words(error, with_name=False)}") from None


def _algorithm(key: Any, path: str) -> str:
    """C2PA's name of what a key signs with. Raises ValueError for others."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES:
        return _CURVES[key.curve.name]
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= _SMALLEST_RSA:
        return "ps256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    legal = f"EC keys of the curves P-256, P-384 and P-521, RSA keys of {_SMALLEST_RSA} bits and more, and Ed25519"
    raise ValueError(f"sign-key {path} is of a kind that C2PA does not sign with; legal are {legal}")


def pem(keys: Keys) -> tuple[bytes, bytes]:
    """(the key, its chain without the root) as c2pa takes them."""
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    chain = [one for one in keys.chain if one.issuer != one.subject]
    own = keys.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return own, b"".join(one.public_bytes(Encoding.PEM) for one in chain)


def new(folder: Path, who: str) -> list[str]:
    """Make a pair for trying, in a folder: `KEY`, which only its owner can read, `CHAIN` and `ROOT`, which makes it believed.

    The root's own key is kept nowhere: it signs this one certificate. who: whom the certificate names. Gives what to say of
    it, in lines. Raises ValueError where one of the files is there already, or `who` is empty or too long for a certificate.
    """
    with engines.needs_packages("c2pa"):
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
    if not 0 < len(who.strip()) <= 58:  # 64 with " root"
        raise ValueError(f"--name {who!r}: a certificate has room for 1 to 58 letters")
    if there := next((folder / name for name in (KEY, CHAIN, ROOT) if os.path.lexists(folder / name)), None):
        raise ValueError(f"{there} is there already; name another folder with --new")
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = _certificate(f"{who} root", f"{who} root", who, root_key, root_key, True)
    own = _certificate(who, f"{who} root", who, key, root_key, False)
    folder.mkdir(parents=True, exist_ok=True)
    with open(os.open(folder / KEY, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / CHAIN).write_bytes(own.public_bytes(Encoding.PEM) + root.public_bytes(Encoding.PEM))
    (folder / ROOT).write_bytes(root.public_bytes(Encoding.PEM))
    return [
        f"{folder / KEY}: the key; only you can read it, and nobody else should",
        f"{folder / CHAIN}: its certificates, for --sign-cert",
        f"{folder / ROOT}: give it to those who are to believe you, for colorjax verify --trust",
        "Programs of others will show what it signs as of an untrusted issuer: nobody vouches for it but you.",
        f"Sign with: colorjax colorize photo.jpg --sign-key {folder / KEY} --sign-cert {folder / CHAIN}",
    ]


def _certificate(who: str, by: str, organisation: str, key: Any, signed_with: Any, is_root: bool) -> "x509.Certificate":
    """As C2PA wants it: https://spec.c2pa.org, "Certificate Profile"."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(common: str) -> x509.Name:
        parts = ((NameOID.COMMON_NAME, common), (NameOID.ORGANIZATION_NAME, organisation))
        return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts])

    today = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    uses = dict.fromkeys(_USES, False) | ({"key_cert_sign": True, "crl_sign": True} if is_root else {"digital_signature": True})
    made = x509.CertificateBuilder().subject_name(name(who)).issuer_name(name(by)).public_key(key.public_key())
    made = made.serial_number(x509.random_serial_number())
    made = made.not_valid_before(today).not_valid_after(today + datetime.timedelta(days=365 * _YEARS))
    made = made.add_extension(x509.BasicConstraints(is_root, 0 if is_root else None), critical=True)
    made = made.add_extension(x509.KeyUsage(**uses), critical=True)
    made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    if not is_root:
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(signed_with.public_key())
        made = made.add_extension(issuer, critical=False)
    return made.sign(signed_with, hashes.SHA256())
