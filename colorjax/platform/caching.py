"""What colorjax keeps between runs: downloaded weights, and the programs that XLA compiled."""

import hashlib
import http.client
import os
import re
import sys
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import BinaryIO

from tqdm import tqdm

RESNET18_URL = "https://download.pytorch.org/models/resnet18-f37072fd.pth"
RESNET18_SHA256_PREFIX = "f37072fd"
_INSTEAD = "pass --config.pretrained=PATH (a .pth or .safetensors file) or --config.pretrained= to start at random"


class DownloadError(RuntimeError):
    """A failed download, in two lines: what failed with its URL, and what to do instead."""


def cache_dir() -> Path:
    """`$COLORJAX_CACHE`, else `$XDG_CACHE_HOME/colorjax`, else `~/.cache/colorjax`."""
    base = os.environ.get("COLORJAX_CACHE")
    return Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "colorjax"


def keep_compiled() -> None:
    """Let JAX keep compiled programs in the cache, so that the next start need not compile them again."""
    import jax

    folder = cache_dir() / "xla"
    if jax.config.jax_compilation_cache_dir is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            writable = os.access(folder, os.W_OK | os.X_OK)
        except OSError:
            writable = False
        if not writable:
            print(f"no compilation cache: {folder} cannot be written; $COLORJAX_CACHE names another folder", file=sys.stderr)
            return
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def _fetch(url: str, out: BinaryIO, progress: bool) -> str:
    """Copy the body at `url` to `out` -> its SHA-256. Raises OSError or HTTPException."""
    request = urllib.request.Request(url, headers={"User-Agent": "colorjax"})
    with urllib.request.urlopen(request, timeout=30) as reply:
        total, digest = reply.length, hashlib.sha256()
        shown = None if progress else True  # None: tqdm is silent unless stderr is a terminal
        with tqdm(total=total, unit="B", unit_scale=True, disable=shown) as bar:
            while block := reply.read(1 << 20):
                out.write(block)
                digest.update(block)
                bar.update(len(block))
    if total is not None and out.tell() != total:
        raise ConnectionError(f"the connection ended after {out.tell()} of {total} bytes")
    return digest.hexdigest()


def download(url: str, sha256_prefix: str, directory: str | os.PathLike | None = None, progress: bool = True) -> Path:
    """The file at `url`, kept in `directory` -> its path; no network where a good copy is there.

    `directory` defaults to `cache_dir()`. Its
    SHA-256 must begin with `sha256_prefix` (8 to 64 hexadecimal digits). `progress` shows a bar on
    stderr where that is a terminal. The file appears whole or not at all.

    Raises DownloadError, which says what to do instead; ValueError for an illegal argument.
    """
    name = re.fullmatch(r"https?://[^/?#]+/(?:[^?#]*/)?(\w[^/?#]*)(?:[?#].*)?", url)
    if not name or not re.fullmatch(r"[0-9a-f]{8,64}", sha256_prefix):
        raise ValueError(
            f"url {url!r}, sha256_prefix {sha256_prefix!r}: legal are "
            "http(s)://HOST/.../NAME and 8 to 64 lower-case hexadecimal digits"
        )
    path = Path(directory or cache_dir()) / name[1]
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        if path.is_file():
            with path.open("rb") as stream:
                if hashlib.file_digest(stream, "sha256").hexdigest().startswith(sha256_prefix):
                    return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as out:
            digest = _fetch(url, out, progress)
        if not digest.startswith(sha256_prefix):
            raise OSError(f"its SHA-256 is {digest}; it must begin with {sha256_prefix}")
        os.replace(temporary, path)
    except (OSError, http.client.HTTPException) as error:
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it holds the connection
        reason = " ".join(str(error).split())
        raise DownloadError(f"could not download {url}: {reason}\n{_INSTEAD}") from error
    finally:
        if temporary.exists():
            temporary.unlink()
    return path
