"""What lies beside a copy and belongs to it, sidecar, signature, manifest and maps: written before it, put back where it fails.

With a key, the copy itself is signed last of all that is done to it, before it appears under its name.
"""

import contextlib
import io
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from colorjax import photos
from colorjax.archive.plan import Job, Options
from colorjax.archive.proof import keys as pairs
from colorjax.archive.proof import manifests, marks, sidecar, signatures
from colorjax.archive.proof.keys import Keys
from colorjax.archive.proof.provenance import Origin

LOST = "the content credentials of its source do not hold: {}"


def keys_of(options: Options) -> Keys | None:
    """The key that copies are signed with, None without one. Raises as `manifests.ready`."""
    if options.sign_key is None or options.sign_cert is None:
        return None
    return manifests.ready(pairs.Place(options.sign_key, options.sign_cert, options.sign_tsa))


class Companions:
    """Those of one copy."""

    def __init__(self, job: Job, keys: Keys | None):
        self._job, self._keys = job, keys
        self._before = {path: _content(path) for path in (job.sidecar, job.signature, job.manifest)}
        self._maps: list[Path] = []
        self._signed: dict[str, Any] = {}

    @property
    def _said(self) -> bytes:
        """The sidecar that was here before."""
        return self._before[self._job.sidecar] or b""

    @contextlib.contextmanager
    def unsigned(self, stream: BinaryIO) -> Iterator[BinaryIO]:
        """Where the copy is to be written: into a file that goes again, where it is to be signed from there into the stream."""
        if self._keys is None:
            yield stream
            return
        place = self._job.target.with_name(f".{uuid.uuid4().hex}.part")  # `photos.sweep` knows it
        try:
            with open(place, "x+b") as plain:
                yield plain
        finally:
            place.unlink(missing_ok=True)

    def write_map(self, number: int, spread: Any, shape: tuple[int, int]) -> None:
        """The uncertainty map of a page; see `marks.write_uncertainty`."""
        place = self._job.map(number)
        self._maps += [] if place.exists() else [place]
        marks.write_uncertainty(place, spread, shape)

    def sign(self, plain: BinaryIO, stream: BinaryIO, origin: Origin, weights: dict[str, str], pages: list[Any]) -> None:
        """Sign what `unsigned` gave, where there is a key; its manifest goes into the copy, or beside.

        pages: for each what its sidecar says; a page with smaller versions has them in "smaller", which is taken out.
        """
        smaller, name = [page.pop("smaller", 0) for page in pages], photos.file_format(self._job.target)
        if self._keys is None:
            return
        inside = manifests.embeds(name, len(pages), any(smaller))
        hints = sum(len(page.get("hints", ())) for page in pages)
        story = manifests.Story(self._job.target.name, self._job.source, origin, weights, hints)
        manifest = manifests.sign(plain, stream, name, self._keys, story, inside)
        self._signed = {"by": self._keys.who, "certificate_sha256": signatures.fingerprint(self._keys.chain[0])}
        if manifest is not None:
            with photos.atomic(self._job.manifest) as file:
                file.write(manifest)
            self._signed["manifest"] = {"name": self._job.manifest.name, "sha256": sidecar.digest(io.BytesIO(manifest))}

    def write_sidecar(self, about: dict[str, Any]) -> None:
        """The sidecar, and its signature where there is a key; one of before goes."""
        about = {key: value for key, value in about.items() if key != "signed"}
        sidecar.write(self._job.sidecar, self._job.source, about | ({"signed": self._signed} if self._signed else {}))
        if self._keys is None:
            self._job.signature.unlink(missing_ok=True)
            return
        with photos.atomic(self._job.signature) as stream:
            stream.write(signatures.sign(self._job.sidecar.read_bytes(), self._keys))

    def undo(self) -> None:
        """Leave beside a copy that could not be written what was there before."""
        for path in self._maps:
            path.unlink(missing_ok=True)
        for path, content in self._before.items():
            if content is not None and _content(path) != content:
                with photos.atomic(path) as stream:
                    stream.write(content)
            elif content is None:
                path.unlink(missing_ok=True)

    def clear(self, pages: list[dict[str, Any]]) -> None:
        """Delete what belongs to the copy that was here before, and not to the one that is: pages as its sidecar has them."""
        for name in sidecar.maps(self._said) - {page.get("map") for page in pages}:
            if marks.is_map(self._job.target.with_name(name)):
                self._job.target.with_name(name).unlink()
        if "manifest" in sidecar.signed(self._said) and "manifest" not in self._signed:
            self._job.manifest.unlink(missing_ok=True)

    def credentials(self, notes: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(what of the source is not carried along, warnings): with a key its content credentials are, as the parent's."""
        if self._keys is None or photos.CREDENTIALS not in notes:
            return notes, ()
        found = manifests.read(self._job.source)
        warnings = tuple(LOST.format("; ".join(found.problems)) for _ in [0] if found is not None and found.problems)
        return tuple(note for note in notes if note != photos.CREDENTIALS), warnings


def _content(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None
