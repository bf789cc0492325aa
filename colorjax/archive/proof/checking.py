"""`colorjax verify`: whether copies, and pictures of others, are what they say, told in words.

That is what the sidecar says, who signed it, and the content credentials in the copy or beside it.
"""

import argparse
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from colorjax import checkpoint, photos
from colorjax.archive import places
from colorjax.archive.proof import manifests, sidecar, signatures
from colorjax.archive.proof.manifests import Finding
from colorjax.archive.proof.sidecar import Search, Verdict
from colorjax.inference import engines
from colorjax.platform import usage

_UNCHECKED = "it is signed, which is not checked here: pip install 'colorjax[c2pa]'"
_PICTURES = (*photos.SUFFIXES, *sidecar.FILMS)
_UNSIGNED = "it is not signed, as --trust asks"


def run(args: argparse.Namespace, of_film: Callable[[Path, str | None, Path | None], Verdict]) -> int:
    """Check what the arguments name. Returns 0, or 1 where something is not what it says; raises ValueError for wrong usage.

    of_film: (sidecar, digest of weights, --source) -> what is wrong with a film; films are a wing above this one.
    """
    pixels, anchors = usage.pixels(args.max_megapixels), manifests.anchors_of(args.trust)
    photos.allow_large(pixels)
    weights = checkpoint.load(args.ckpt).digest if args.ckpt else None
    paths = dict.fromkeys(found for path in args.sidecars for found in named(path))
    paths = [path for path in paths if not path.name.endswith((photos.HINTS, f"{photos.OWN_MAP}.png"))]  # as DIR/* names them
    search = places.Sources(args.source).find if args.source else None
    if not paths:
        raise ValueError(f"no sidecars in {', '.join(map(str, args.sidecars))}")
    failed = 0
    for path in paths:
        if sidecar.is_of_film(path):
            holds, words = in_words(path, lambda path: proven(path, of_film(path, weights, args.source), anchors))
        else:
            holds, words = in_words(path, checked, weights, pixels, search, anchors)
        failed += not holds
        print(photos.legible(f"{path}: {words}"))
    return 1 if failed else 0


def named(path: Path) -> list[Path]:
    """What a user means: sidecars as `sidecar.named` gives them, or a picture without one, whose own credentials count."""
    if path.name.endswith(signatures.SUFFIX):
        return [path.with_name(path.name.removesuffix(signatures.SUFFIX))]
    if path.suffix == manifests.SUFFIX and path.is_file():
        pictures = [other for other in sorted(path.parent.glob("*")) if _goes_with(other, path)]
        return [found for picture in pictures for found in named(picture)] or [path]
    (*found,) = sidecar.named(path)
    is_picture = not path.is_dir() and path.suffix.lower() in _PICTURES and found != [path]
    return [path] if is_picture and not found[0].exists() else found


def _goes_with(picture: Path, manifest: Path) -> bool:
    return picture.suffix.lower() in _PICTURES and manifests.found_beside(picture) == manifest


def in_words(path: Path, check: Callable[..., Verdict], *asked: Any) -> tuple[bool, str]:
    """(whether a file that `named` gave is what it says, what is to be said of it). asked: what `check` takes beside it."""
    try:
        problems, notes = check(path, *asked)
    except sidecar.SidecarError as error:
        problems, notes = [str(error)], []
    good = [] if path.suffix.lower() in _PICTURES else ["as it says"]
    return not problems, "; ".join([*(problems or good), *notes])


def checked(
    path: Path,
    weights: str | None = None,
    max_pixels: int = photos.MAX_PIXELS,
    search: Search | None = None,
    anchors: bytes | None = None,
) -> Verdict:
    """What is wrong with a copy, by its sidecar, or with another's picture, by its credentials, and what to note.

    weights, max_pixels, search: see `sidecar.verify`. anchors: certificates as PEM: only what these vouch for passes. Raises
    SidecarError where the file is neither.
    """
    if path.suffix.lower() in _PICTURES:
        return of_picture(path, anchors)
    return proven(path, sidecar.verify(path, weights, max_pixels, search), anchors)


def proven(path: Path, verdict: Verdict, anchors: bytes | None = None) -> Verdict:
    """What was found wrong with a sidecar that is whole, and with who signed it and its copy. anchors: see `checked`."""
    content = path.read_bytes()
    about = json.loads(content)
    signature, copy = path.with_name(path.name + signatures.SUFFIX), path.parent / about["copy"]["name"]
    try:
        bears = copy.is_file() and manifests.holds_one(copy) and manifests.read(copy) is not None
        if not (bears or about.get("signed") or signature.exists()):
            return Verdict([*verdict.problems, *([_UNSIGNED] if anchors is not None else [])], verdict.notes)
        problems, notes = _of_signatures(content, signature, copy, anchors)
    except engines.MissingPackageError:
        problems, notes = ([], [_UNCHECKED]) if anchors is None else ([_UNCHECKED], [])
    except OSError as error:
        problems, notes = [photos.in_words(error)], []
    return Verdict([*verdict.problems, *problems], [*verdict.notes, *notes])


def of_picture(path: Path, anchors: bytes | None = None) -> Verdict:
    """What is wrong with a picture without a sidecar, by its content credentials. Raises SidecarError where it has none."""
    try:
        if not path.exists():
            raise sidecar.SidecarError("no such file or folder")
        found = manifests.read(path, anchors)
    except OSError as error:
        raise sidecar.SidecarError(f"{path} cannot be read: {photos.in_words(error, with_name=False)}") from error
    if found is None:
        raise sidecar.SidecarError(f"{path} has neither a sidecar of colorjax nor content credentials (C2PA)")
    problems = [f"its content credentials do not hold: {words}" for words in found.problems]
    untrusted = [f"untrusted issuer: {found.untrusted}"] if found.untrusted else []
    notes = [] if problems else [f"its content credentials hold, signed by {found.who}{_on(found)}"]
    notes += [f"they say: {', '.join(found.says)}"] if found.says else []
    notes += [found.source] if found.source else []
    if anchors is not None:
        problems, untrusted = problems + untrusted, []
    return Verdict(problems, [*notes, *untrusted])


def _on(found: Finding) -> str:
    return f" on {found.when:%Y-%m-%d}" if found.when else ""


def _of_signatures(content: bytes, signature: Path, copy: Path, anchors: bytes | None) -> tuple[list[str], list[str]]:
    """(what is wrong with the signatures of a copy and of its sidecar, what to note)."""
    said, problems = sidecar.signed(content), _manifest_problems(sidecar.signed(content), copy)
    found = manifests.read(copy, anchors) if copy.is_file() else None
    if found is None and copy.is_file():
        problems.append("its content credentials are gone")
    problems += [f"the content credentials of the copy do not hold: {words}" for words in found.problems] if found else []
    signer = None
    if not signature.is_file():
        problems.append("the copy is signed, and its sidecar is not (any more)")
    else:
        try:
            when = found.when if found and not found.problems else None
            signer = signatures.check(content, signature.read_bytes(), _certificates(anchors), when)
        except signatures.SignatureError as error:
            problems.append(f"the sidecar cannot be believed: {error}")
    if signer is not None:
        other = found is not None and found.serial not in (0, signer.certificate.serial_number)
        if other or said.get("certificate_sha256") != signatures.fingerprint(signer.certificate):
            problems.append(f"{signer.who} signed the sidecar, and somebody else the copy")
    told: Iterable[str] = filter(None, dict.fromkeys([found.untrusted if found else "", signer.untrusted if signer else ""]))
    untrusted = [f"untrusted issuer: {words}" for words in told]
    notes = [f"signed by {signer.who}{_on(found) if found else ''}"] if signer and not problems else []
    notes += [found.source] if found is not None and found.source and not problems else []
    return (problems + untrusted, [] if untrusted else notes) if anchors is not None else (problems, notes + untrusted)


def _manifest_problems(signed: dict[str, Any], copy: Path) -> list[str]:
    """What is wrong with a manifest beside a copy as a file: C2PA itself leaves some of its bytes to nobody's care."""
    if (said := signed.get("manifest")) is None:
        return []
    place = manifests.beside(copy)
    if not place.is_file():
        return [f"its manifest {place} is not there"]
    whole = isinstance(said, dict) and sidecar.digest_of(place) == said.get("sha256")
    return [] if whole else [f"its manifest {place} has changed"]


def _certificates(anchors: bytes | None) -> list[Any] | None:
    if anchors is None:
        return None
    from cryptography import x509

    return x509.load_pem_x509_certificates(anchors)
