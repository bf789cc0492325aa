"""The signature of a coloured film: its manifest (C2PA), and that of its sidecar."""

import hashlib
import os
from pathlib import Path
from typing import Any

from colorjax import photos
from colorjax.archive.proof import films, manifests, signatures
from colorjax.archive.proof.keys import Keys
from colorjax.archive.proof.provenance import Origin


class Companions:
    """What signs one film, beside it or in it; nothing, and nothing of before, without a key.

    Of a folder of pictures the sidecar alone is signed: it has the SHA-256 of all its files, DPX has no place for a manifest,
    and each TIFF and PNG bears the mark in its XMP.
    """

    def __init__(self, out: Path, keys: Keys | None):
        self._place, self._keys, self._manifest = manifests.beside(out), keys, b""
        self.said: dict[str, Any] = {}  # for the sidecar

    def sign(self, whole: Path, source: Path, origin: Origin, weights: dict[str, str], hints: int, keeps_luma: bool) -> Path:
        """Sign a film that is put together; returns where it is now. Raises photos.PhotoError, OSError."""
        if self._keys is None:
            return whole
        self.said = {"signed": {"by": self._keys.who, "certificate_sha256": signatures.fingerprint(self._keys.chain[0])}}
        if whole.is_dir():
            return whole
        title, kept = self._place.name.removesuffix(manifests.SUFFIX), "luma" if keeps_luma else "cuts and clock"
        target = whole.with_name(f"signed{whole.suffix}")
        manifest = films.sign(whole, target, self._keys, manifests.Story(title, source, origin, weights, hints, kept))
        if manifest is None:
            os.replace(target, whole)
            return whole
        self._manifest = manifest
        self.said["signed"]["manifest"] = {"name": self._place.name, "sha256": hashlib.sha256(manifest).hexdigest()}
        return whole

    def finish(self, beside: Path) -> None:
        """Write what lies beside the film; `beside` is its sidecar, which is written."""
        self.discard(beside)
        if self._keys is None:
            return
        if self._manifest:
            with photos.atomic(self._place) as stream:
                stream.write(self._manifest)
        with photos.atomic(beside.with_name(beside.name + signatures.SUFFIX)) as stream:
            stream.write(signatures.sign(beside.read_bytes(), self._keys))

    def discard(self, beside: Path) -> None:
        """Leave nothing of it, nor of a copy that was here before."""
        for path in (self._place, beside.with_name(beside.name + signatures.SUFFIX)):
            path.unlink(missing_ok=True)
