"""Packs a folder of photographs into a few small files, to train with on a machine that is far away.

    python benchmarks/accelerator/pack.py PHOTOS OUT [--side=208] [--mib=32] [--limit=N]

Each photograph becomes one or two squares as WebP: the middle of a squarish one, both ends of a long one. They have SIDE
pixels, or as many as the short side of a smaller photograph: nothing is enlarged here.
OUT/piece-00.zip, piece-01.zip, ... hold them in an order that is mixed by name, so that any piece alone is a fair sample.
What cannot be read, is smaller than --least, or has no colour is passed over and counted.
"""

import contextlib
import functools
import io
import multiprocessing
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import common
from colorjax import photos
from colorjax.data.sources import unit_hash
from colorjax.science import color

LEAST_CHROMA = 2.0  # mean over a picture; below it there is nothing to learn of colour (`data.min_chroma` is like it)
LONG = 1.2  # of the sides; from here on both ends are taken


def squares(path: Path, side: int, least: int) -> list[bytes] | str:
    """The squares of one photograph as WebP, or why there are none: one of photos.PROBLEMS, too small, without colour."""
    try:
        picture = Image.fromarray(photos.read_rgb(path))
    except photos.PhotoError as error:
        return error.kind
    width, height = picture.size
    if min(width, height) < least:
        return "too small"
    side = min(side, width, height)
    scale = side / min(width, height)
    if scale < 1:
        picture = picture.resize((round(width * scale), round(height * scale)), Image.LANCZOS, reducing_gap=3)
    spare = max(picture.size) - side
    starts = (0, spare) if max(picture.size) > LONG * side else (spare // 2,)
    wide = picture.width > picture.height
    cut = [picture.crop((x, y, x + side, y + side)) for x, y in ((s, 0) if wide else (0, s) for s in starts)]
    ab = color.rgb_to_lab(np.asarray(picture.reduce(4), np.float32) / 255)[..., 1:]
    if np.hypot(ab[..., 0], ab[..., 1]).mean() < LEAST_CHROMA:
        return "without colour"
    return [_webp(square) for square in cut]


def _webp(square: Image.Image) -> bytes:
    stream = io.BytesIO()
    square.save(stream, "WEBP", quality=80, method=2)
    return stream.getvalue()


def _one(job: tuple[Path, int, int]) -> list[bytes] | str:
    return squares(*job)


def pack(folder: Path, out: Path, side: int, least: int, most: int, limit: int, processes: int) -> tuple[int, dict[str, int]]:
    """(squares packed, photographs passed over by reason). most: bytes of a piece."""
    paths = [path for _, path in photos.find([folder])]
    paths.sort(key=lambda path: unit_hash(path.relative_to(folder).as_posix(), "pack"))
    out.mkdir(parents=True, exist_ok=True)
    paths = paths[: limit or None]
    count, size, piece, reasons = 0, most, None, {}
    with contextlib.ExitStack() as stack:
        each = map
        if processes > 1:
            pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(processes))
            each = functools.partial(pool.imap, chunksize=16)
        for path, got in zip(paths, each(_one, [(path, side, least) for path in paths]), strict=True):
            if isinstance(got, str):
                reasons[got] = reasons.get(got, 0) + 1
                continue
            for number, content in enumerate(got):
                if size + len(content) + 500 > most:
                    if piece:
                        piece.close()
                    piece, size = zipfile.ZipFile(out / f"piece-{len(list(out.glob('piece-*.zip'))):02d}.zip", "w"), 0
                name = f"{path.relative_to(folder).as_posix()}.{number}.webp"
                piece.writestr(name, content)
                size, count = size + len(content) + 2 * len(name) + 200, count + 1
    if piece:
        piece.close()
    return count, reasons


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path, help="a new folder")
    parser.add_argument("--side", type=int, default=208, help="of a square, at most, pixels (default: 208)")
    parser.add_argument("--least", type=int, default=144, help="short side that a photograph must have (default: 144)")
    parser.add_argument("--mib", type=float, default=32, help="most of a piece (default: 32)")
    parser.add_argument("--limit", type=int, default=0, help="photographs (default: all)")
    parser.add_argument("--processes", type=common.positive, default=2)
    args = parser.parse_args()
    if any(args.out.glob("piece-*.zip")):
        raise SystemExit(f"{args.out} holds pieces already: name a new folder")
    if not args.photos.is_dir():
        raise SystemExit(f"{args.photos}: no such folder")
    count, reasons = pack(args.photos, args.out, args.side, args.least, int(args.mib * 2**20), args.limit, args.processes)
    pieces = sorted(args.out.glob("piece-*.zip"))
    print(f"{count} squares in {len(pieces)} pieces, {sum(piece.stat().st_size for piece in pieces) / 2**20:.1f} MiB")
    print("passed over: " + (", ".join(f"{number} {reason}" for reason, number in sorted(reasons.items())) or "none"))
    if not count:
        raise SystemExit(f"{args.photos} holds no photograph that can be packed")


if __name__ == "__main__":
    main()
