"""Content credentials (C2PA): signed into a copy, or beside it, and read of any picture. Nothing is fetched from elsewhere."""

import datetime
import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from PIL import Image

from colorjax import photos
from colorjax.archive.proof import keys as pairs
from colorjax.archive.proof.keys import Keys, Place
from colorjax.archive.proof.provenance import Origin, source_type_uri
from colorjax.inference import engines
from colorjax.platform.version import VERSION

SUFFIX = ".c2pa"  # after the whole name of the copy: a.tif and a.jp2 may both need one
_TYPES = {name: f"image/{name.lower()}" for name in ("JPEG", "PNG", "TIFF", "WEBP", "AVIF", "HEIF", "JXL")}
_EMBEDS = tuple(_TYPES)
_TYPES |= {"JPEG2000": "image/jp2", "BMP": "image/bmp", "GIF": "image/gif"}
_FILMS = {".mp4": "MP4", ".m4v": "MP4", ".mov": "MOV", ".mkv": "MKV"}
_TYPES |= {"MP4": "video/mp4", "MOV": "video/quicktime", "MKV": "video/x-matroska"}
_MARK = b"jumdc2pa"  # in every manifest
_SETTINGS = {
    "verify": {"verify_after_sign": True, "remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},
}
# What is wrong, by the code that C2PA has for it; all that is in neither: what is said of the picture was changed itself.
_OF_PICTURE = ("assertion.dataHash.mismatch", "assertion.bmffHash.mismatch", "assertion.boxesHash.mismatch")
_OF_SIGNER = {
    "signingCredential.expired": "the certificate of {} has expired, and no time stamp says that it had not yet",
    "claimSignature.outsideValidity": "the certificate of {} was not good when it was signed",
    "signingCredential.ocsp.revoked": "the certificate of {} was revoked",
    "signingCredential.invalid": "the certificate of {} is not one that may sign pictures",
    "timeStamp.mismatch": "the time stamp is of something else than what {} signed",
}
_UNTRUSTED = "signingCredential.untrusted"


@dataclass(frozen=True)
class Story:
    """What a manifest says of a copy. title: its name. weights: name and SHA-256. kept: what is as in the source, in words."""

    title: str
    source: Path
    origin: Origin
    weights: dict[str, str]
    hints: int
    kept: str = "lightness"


@dataclass(frozen=True)
class Finding:
    """What the credentials of a picture come to.

    who, serial: of the certificate. problems: why they do not hold, in words. untrusted: why its issuer is not believed, ""
    where it is. when: by a time stamp. says: who did what to the picture. source: what was wrong with those of its source.
    """

    who: str
    serial: int
    problems: tuple[str, ...]
    untrusted: str
    when: datetime.datetime | None = None
    says: tuple[str, ...] = ()
    source: str = ""


def ready(place: Place) -> Keys:
    """The keys, once they have signed a picture of one pixel: all that C2PA asks of a certificate. Raises as `keys.load`."""
    keys, picture = pairs.load(place), io.BytesIO()
    Image.new("L", (1, 1)).save(picture, "PNG")
    try:
        builder = _builder(
            {"actions": [{"action": "c2pa.created", "digitalSourceType": source_type_uri("trainedAlgorithmicMedia")}]}
        )
        builder.sign(_signer(keys, stamped=False), "image/png", picture, io.BytesIO())
    except _errors() as error:
        raise ValueError(f"sign-cert {place.chain} is not one that C2PA signs with ({_words(error)})") from None
    return keys


def kind_of(path: Path) -> str:
    """The format of a picture, as Pillow calls it, or of a film; "" of others."""
    return _FILMS.get(path.suffix.lower()) or photos.kind(path) or ""


def embeds(name: str, pages: int, has_smaller: bool) -> bool:
    """Whether a copy in Pillow's format `name` has room for its manifest; it goes beside the others. Of a TIFF with several
    directories c2pa would leave the first only in order."""
    return name in _EMBEDS and not (name == "TIFF" and (pages > 1 or has_smaller))


def sign(unsigned: BinaryIO, stream: BinaryIO, name: str, keys: Keys, story: Story, inside: bool) -> bytes | None:
    """Write a copy, in Pillow's format `name`, with its manifest; where that is not to be `inside`, the copy as it is, and give
    the manifest. The pixels stay, bit by bit. Raises photos.PhotoError where it cannot be signed."""
    manifest = sign_into(unsigned, stream if inside else io.BytesIO(), name, keys, story, inside)
    if inside:
        return None
    unsigned.seek(0)
    shutil.copyfileobj(unsigned, stream)
    return manifest


def sign_into(unsigned: BinaryIO, stream: Any, name: str, keys: Keys, story: Story, inside: bool) -> bytes:
    """Let c2pa write a copy with its manifest, or as it is where that is not to be `inside`; gives the manifest. Raises as
    `sign`."""
    agent = {"name": "colorjax", "version": VERSION} | {
        f"colorjax.weights.{key}": value for key, value in story.weights.items()
    }
    settings = {f"colorjax.{key}": value for key, value in sorted(story.origin.settings.items()) if value is not None}
    edited = {
        "action": "c2pa.edited",
        "description": f"Colour predicted by a trained network; {story.kept} as in the source.",
        "softwareAgent": agent,
        "digitalSourceType": source_type_uri(story.origin.source_type),
        "parameters": settings | {"colorjax.hints": story.hints},
    }
    opened = {"action": "c2pa.opened", "parameters": {"ingredientIds": ["source"]}}
    about = {"title": story.title, "instance_id": f"xmp.iid:{story.origin.identifier}"}
    try:
        builder = _builder({"actions": [opened, edited]}, **about)
        _add_source(builder, story)
        if not inside:
            builder.set_no_embed()
        unsigned.seek(0)
        return builder.sign(_signer(keys), _TYPES[name], unsigned, stream)
    except _errors() as error:
        stamps = f"; perhaps the authority {keys.stamps} does not answer, which --sign-tsa names" if keys.stamps else ""
        raise photos.PhotoError(f"its copy could not be signed ({_words(error)}){stamps}") from None


def signed(picture: bytes, media_type: str, keys: Keys | None, story: Story) -> bytes:
    """A JPEG or a GIF with its manifest, as it is without a key. Raises as `sign`."""
    if keys is None:
        return picture
    stream = io.BytesIO()
    sign(io.BytesIO(picture), stream, media_type.removeprefix("image/").upper(), keys, story, inside=True)
    return stream.getvalue()


def _add_source(builder: Any, story: Story) -> None:
    """The source as the parent, with its own credentials where it has some, and what is wrong with them."""
    about = {"title": story.origin.name, "relationship": "parentOf", "label": "source"}
    about |= {"instance_id": f"sha256:{story.origin.sha256}", "description": f"SHA-256 of the file: {story.origin.sha256}"}
    try:
        with open(story.source, "rb") as stream:
            builder.add_ingredient(about, _TYPES.get(kind_of(story.source), "application/octet-stream"), stream)
    except _errors():  # credentials in pieces, of which the warning of its copy tells
        with open(story.source, "rb") as stream:
            builder.add_ingredient(about, "application/octet-stream", stream)


def beside(path: Path) -> Path:
    """Where the manifest of a copy goes that has no room for it."""
    return path.with_name(path.name + SUFFIX)


def found_beside(path: Path) -> Path | None:
    """The manifest that lies beside a picture, None where there is none: others name it photo.c2pa, without photo's suffix."""
    return next((place for place in (beside(path), path.with_suffix(SUFFIX)) if place.is_file()), None)


def holds_one(path: Path) -> bool:
    """Whether there seems to be a manifest in a file, sound or not; this needs no package."""
    before = b""
    with open(path, "rb") as stream:
        while block := stream.read(2**20):
            if _MARK in before + block:
                return True
            before = block[-len(_MARK) :]
    return False


def read(path: Path, anchors: bytes | None = None) -> Finding | None:
    """What the credentials in or beside a picture come to, None where there are none. anchors: certificates as PEM that are
    believed; None: nobody was named. Raises MissingPackageError without the extra c2pa, OSError."""
    with engines.needs_packages("c2pa"):
        import c2pa
    kind, apart = _TYPES.get(kind_of(path)), found_beside(path)
    if kind is None:
        return None
    settings = _SETTINGS | ({"trust": {"user_anchors": anchors.decode("ascii", "replace")}} if anchors is not None else {})
    with open(path, "rb") as stream, c2pa.Context(c2pa.Settings.from_dict(settings)) as context:
        found: dict[str, Any] = {"context": context}
        try:
            with c2pa.Reader(kind, stream, **found) as reader:
                return _finding(json.loads(reader.json()), anchors is not None)
        except c2pa.C2paError as error:
            embedded = not isinstance(error, c2pa.C2paError.ManifestNotFound | c2pa.C2paError.NotSupported)
            if apart is None and str(error).startswith("Remote"):  # there is no class for it
                return Finding("", 0, (f"they are elsewhere, and nothing is fetched here ({_words(error)})",), "")
            if embedded and apart is None and holds_one(path):
                return Finding("", 0, (f"they are damaged ({_words(error)})",), "")
        if apart is None:
            return None
        stream.seek(0)
        try:
            with c2pa.Reader(kind, stream, apart.read_bytes(), **found) as reader:
                return _finding(json.loads(reader.json()), anchors is not None)
        except c2pa.C2paError as error:
            return Finding("", 0, (f"they are damaged ({_words(error)})",), "")


def _finding(store: dict[str, Any], asked: bool) -> Finding:
    """What a manifest store comes to. asked: whether anchors were named."""
    active = store["manifests"][store["active_manifest"]]
    signature, results = active.get("signature_info") or {}, store.get("validation_results") or {}
    who = pairs.in_brackets(signature.get("common_name"), signature.get("issuer")) or "somebody"
    codes = [one["code"] for one in (results.get("activeManifest") or {}).get("failure", ())]
    problems = [_OF_SIGNER[code].format(who) for code in codes if code in _OF_SIGNER]
    if any(code in _OF_PICTURE for code in codes):
        problems.append(f"it has changed since {who} signed it")
    elif others := [code for code in codes if code not in (*_OF_SIGNER, *_OF_PICTURE, _UNTRUSTED)]:
        problems.append(f"what they say was changed after {who} signed it ({', '.join(sorted(set(others)))})")
    if not problems and store.get("validation_state") == "Invalid":
        problems.append("those of what it was made from do not hold")
    untrusted = ""
    if _UNTRUSTED in codes:
        told = (
            "is not vouched for by those that --trust names" if asked else "may be anybody: --trust FILE names who is believed"
        )
        untrusted = f"{who} {told}"
    stamp = signature.get("time")
    when = datetime.datetime.fromisoformat(stamp) if stamp else None
    serial = int(signature.get("cert_serial_number") or 0)
    return Finding(
        who, serial, tuple(dict.fromkeys(problems)), untrusted, when, tuple(dict.fromkeys(_said(active))), _of_source(active)
    )


def _of_source(manifest: dict[str, Any]) -> str:
    """What was wrong with the credentials of the picture that another was made from."""
    for one in manifest.get("ingredients", ()):
        results = (one.get("validation_results") or {}).get("activeManifest") or {}
        codes = [failure["code"] for failure in (*results.get("failure", ()), *one.get("validation_status", ()))]
        if any(code != _UNTRUSTED for code in codes):
            return f"the content credentials of its source, {one.get('title')}, did not hold when it was coloured"
    return ""


def _said(manifest: dict[str, Any]) -> Iterator[str]:
    """What was done to the picture, as "edited by colorjax (compositeWithTrainedAlgorithmicMedia)"."""
    generator = next((one.get("name") for one in manifest.get("claim_generator_info") or ()), None)
    for assertion in manifest.get("assertions", ()):
        for action in assertion.get("data", {}).get("actions", ()) if assertion["label"].startswith("c2pa.actions") else ():
            agent = action.get("softwareAgent") or generator
            agent = agent.get("name") if isinstance(agent, dict) else agent
            kind = str(action.get("digitalSourceType") or "").rpartition("/")[2]
            words = str(action.get("action")).removeprefix("c2pa.")
            yield words + (f" by {agent}" if agent else "") + (f" ({kind})" if kind else "")


def _builder(actions: dict[str, Any], **about: Any) -> Any:
    import c2pa

    claim = {"claim_generator_info": [{"name": "colorjax", "version": VERSION}], **about}
    claim["assertions"] = [{"label": "c2pa.actions.v2", "created": True, "data": actions}]
    return c2pa.Builder(claim, c2pa.Context(c2pa.Settings.from_dict(_SETTINGS)))


def _signer(keys: Keys, stamped: bool = True) -> Any:
    import c2pa

    key, chain = pairs.pem(keys)
    stamps = keys.stamps.encode() if stamped and keys.stamps else None
    return c2pa.Signer.from_info(c2pa.C2paSignerInfo(keys.algorithm, chain, key, stamps))


def _errors() -> tuple[type[Exception], ...]:
    import c2pa

    return (c2pa.C2paError,)


def _words(error: Exception) -> str:
    """Those of the library, in one short line."""
    words = " ".join(photos.legible(str(error)).split()).rstrip(": ")
    return words if len(words) <= 120 else f"{words[:119]}…"


def anchors_of(path: Path | None) -> bytes | None:
    """The certificates of --trust, as PEM. Raises ValueError where there are none in the file."""
    if path is None:
        return None
    with engines.needs_packages("c2pa"):
        from cryptography import x509
    try:
        data = path.read_bytes()
        x509.load_pem_x509_certificates(data)
    except OSError as error:
        raise ValueError(f"--trust {path} cannot be read: {photos.in_words(error, with_name=False)}") from None
    except ValueError:
        raise ValueError(f"--trust {path} holds no certificates in PEM form") from None
    return data
