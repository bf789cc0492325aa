"""Damaged photographs by the thousand: whatever colorjax.photos does with one but read it or refuse it is a finding.

    python benchmarks/fuzz_photos.py --inputs 20000 --seed 0
    python benchmarks/fuzz_photos.py --seed 0 --only 4711          # one input, in this process, with its traceback
    python benchmarks/fuzz_photos.py --inputs 20000 --keep DIR     # each finding is saved as DIR/NUMBER.bin

Small sound pictures of every kind (JPEG, PNG, TIFF, WebP, BMP; 8 and 16 bits, floats, palettes, alpha, tiles, pages, EXIF, XMP,
IPTC, ICC) are damaged: bits, bytes, blocks, fields of headers. Input n is a function of seed and n alone. Every page is read
and what can be read is written again and read once more. Each worker is a process of its own: one that dies, takes more
than 10 s or 1 GB for an input is named, replaced, and the run goes on. Exit code 1 where there was a finding.
"""

import argparse
import collections
import io
import itertools
import logging
import multiprocessing as mp
import multiprocessing.connection
import os
import re
import resource
import struct
import sys
import time
import warnings
import zlib
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from colorjax import photos
from colorjax.photos import profiles

HANG_S, PEAK_MB, ADDRESSES = 10, 1024, 4 * 2**30
ROUNDS = 4  # of seeds, each with other sizes
LONGEST_REASON = 300  # characters
LARGEST_COPY = 2**20  # pixels: writing more takes long and finds nothing more
VALUES = (
    0,
    1,
    2,
    3,
    4,
    7,
    8,
    12,
    16,
    127,
    128,
    255,
    256,
    32767,
    32768,
    65535,
    2**16,
    2**24,
    2**31 - 1,
    2**31,
    2**32 - 8,
    2**32 - 1,
)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="3"/>'
IPTC = b"\x1c\x02\x05\0\x05Title\x1c\x02\x50\0\x06Author"
ICC = profiles.SRGB[:40] + b"ABCD" + profiles.SRGB[44:]  # sound, but not known at sight: it is converted from


def exif(rng: np.random.Generator) -> Image.Exif:
    block = Image.Exif()
    block[274], block[271], block[282], block[283], block[296] = int(rng.integers(1, 9)), "Maker", 300.0, 150.0, 2
    block[40001], block[315] = (1, 2, 3), "Jörg"
    block.get_ifd(0x8769).update({36867: "1961:08:13 06:00:00", 33434: (1, 125), 37121: b"\1\2\3\0", 37380: (-1, 3)})
    block.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 0.5)})
    return block


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def saved(picture: Image.Image, name: str, **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, name, **options)
    return stream.getvalue()


def tiff(pages: list[np.ndarray], **options) -> bytes:
    stream = io.BytesIO()
    with tifffile.TiffWriter(stream, bigtiff=options.pop("bigtiff", False), byteorder=options.pop("byteorder", "<")) as writer:
        for pixels in pages:
            writer.write(pixels, metadata=None, contiguous=False, **options)
    return stream.getvalue()


def deep_png(pixels: np.ndarray, block: bytes) -> bytes:
    data = imagecodecs.png_encode(np.ascontiguousarray(pixels))
    about = (
        chunk(b"iCCP", b"x\0\0" + zlib.compress(ICC))
        + chunk(b"eXIf", block)
        + chunk(b"pHYs", struct.pack(">IIB", 5000, 5000, 1))
    )
    about += chunk(b"tEXt", b"Title\0x") + chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)
    return data[:33] + about + data[33:] if pixels.shape[0] % 2 else data[:33] + data[33:-12] + about[-90:] + data[-12:]


def seeds(seed: int) -> list[bytes]:
    """Sound files, a few hundred bytes to some kilobytes each."""
    made, rng = [], np.random.default_rng(seed)
    for _ in range(ROUNDS):
        height, width = (int(1 + 199 * rng.random() ** 3) for _ in range(2))
        slope = np.add.outer(np.linspace(0, 40000, height), np.linspace(0, 20000, width))[..., None]
        deep = (slope * [1, 0.8, 0.3, 1.05] + rng.integers(0, 2000, (height, width, 4))).astype(np.uint16)
        small = (deep >> 8).astype(np.uint8)
        rgb, block = Image.fromarray(np.ascontiguousarray(small[..., :3])), exif(rng)
        rgba, about = Image.fromarray(small), {"exif": block, "icc_profile": ICC}
        iptc = photos.metadata.resource(IPTC)
        app13 = b"\xff\xed" + struct.pack(">H", len(iptc) + 16) + b"Photoshop 3.0\0" + iptc
        made += [saved(rgb.convert(mode), "JPEG", quality=80, xmp=XMP, comment=b"c", **about) for mode in ("L", "RGB", "CMYK")]
        made += [saved(rgb, "JPEG", progressive=True, extra=app13, dpi=(300, 300)), saved(rgb, "JPEG", restart_marker_blocks=1)]
        made += [saved(rgba.convert(mode), "PNG", **about) for mode in ("1", "L", "LA", "RGB", "RGBA")]
        made += [
            saved(rgb.quantize(16), "PNG", transparency=bytes(range(16)), **about),
            saved(Image.fromarray(deep[..., 0]), "PNG"),
        ]
        made += [saved(rgb, "PNG", transparency=(1, 2, 3)), saved(rgb, "PNG", save_all=True, append_images=[rgb.rotate(180)])]
        made += [deep_png(deep[..., :channels], block.tobytes()[6:]) for channels in (2, 3, 4)]
        made += [saved(rgb, "BMP"), saved(rgb.quantize(16), "BMP"), saved(rgb.convert("1"), "BMP")]
        made += [
            saved(rgba, "WEBP", xmp=XMP, **about),
            saved(rgba, "WEBP", lossless=True, xmp=XMP, **about),
            saved(rgb, "WEBP"),
        ]
        made += [saved(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(180)])]
        made += [
            saved(rgb, "TIFF", compression=kind, **about) for kind in ("raw", "tiff_lzw", "tiff_deflate", "jpeg", "packbits")
        ]
        made += [saved(rgb.convert(mode), "TIFF") for mode in ("1", "P", "F", "LAB")]
        tags = [(700, 1, len(XMP), XMP, True), (33723, 7, len(IPTC), IPTC, True), (274, 3, 1, int(rng.integers(1, 9)), True)]
        kinds = itertools.product((small, deep), (1, 3, 4), (None, "zlib", "lzw"), (None, (16, 32)))
        for pixels, channels, compression, tile in kinds:
            if rng.random() < 0.4:
                continue
            photometric = {1: "minisblack", 3: "rgb", 4: str(rng.choice(["rgb", "separated"]))}[channels]
            pages = [np.ascontiguousarray(pixels[..., :channels])] * (3 if rng.random() < 0.2 else 1)
            pages = [page[..., 0] for page in pages] if channels == 1 else pages
            rows = None if tile else int(rng.integers(1, 20))
            options = {"byteorder": str(rng.choice(["<", ">"])), "bigtiff": rng.random() < 0.2, "predictor": bool(compression)}
            options |= {"iccprofile": ICC, "resolution": (300, 300), "extratags": tags, "rowsperstrip": rows, "tile": tile}
            made.append(tiff(pages, photometric=photometric, compression=compression, **options))
        made += [
            tiff([(deep[..., :3] / 65535).astype(kind)], photometric="rgb") for kind in (np.float16, np.float32, np.uint32)
        ]
        made.append(tiff([np.moveaxis(deep[..., :3], 2, 0).copy()], photometric="rgb", planarconfig="separate"))
        about = photos.Metadata(block.tobytes(), XMP, IPTC, (300, 300))
        photos.encode(stream := io.BytesIO(), "TIFF", [(small[..., :3], photos.Photo(small[..., 0], None, "TIFF", about))] * 2)
        made.append(stream.getvalue())
    return made


def directory(data: bytes) -> int:
    """Where the fields that matter most begin: the directory of a TIFF, or the start of another file."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    start = struct.unpack(f"{order}I", data[4:8])[0] if order and len(data) > 8 else 0
    return start + 2 if order and start < len(data) else 0


def damaged(base: list[bytes], seed: int, number: int) -> bytes:
    """Input `number`: one of the sound files after one to four mishaps."""
    rng = np.random.default_rng([seed, number])
    data = bytearray(base[rng.integers(len(base))])
    sound_sums = rng.random() < 0.8  # else a PNG is refused for its checksums alone, which tests little
    for _ in range(rng.integers(1, 5)):
        at, size = int(rng.integers(len(data) + 1)), int(1 + rng.integers(64) ** 1.5)
        match rng.integers(9):
            case 0:
                data[:] = bytes(b ^ (1 << int(rng.integers(8))) if rng.random() < 3 / len(data) else b for b in data)
            case 1:
                data[at : at + 1] = bytes([int(rng.choice((0, 1, 8, 127, 128, 255)))])
            case 2:
                del data[at : at + size]
            case 3:
                data[at:at] = data[at : at + size]
            case 4:
                data[at:at] = rng.bytes(size)
            case 5:
                del data[max(1, len(data) - size if rng.random() < 0.5 else at) :]
            case 6:
                other = base[rng.integers(len(base))]
                data[at:] = other[int(rng.integers(len(other))) if rng.random() < 0.5 else at :]
            case _:
                step = int(rng.choice((2, 4)))
                at = directory(bytes(data)) + step * int(rng.integers(120 // step)) if rng.random() < 0.8 else at
                value = int(rng.choice(VALUES)) % 256**step
                data[at : at + step] = value.to_bytes(step, "little" if rng.random() < 0.5 else "big")
    return with_sound_sums(bytes(data)) if sound_sums and data[:4] == b"\x89PNG" else bytes(data)


def with_sound_sums(png: bytes) -> bytes:
    out, at = [png[:8]], 8
    while at + 12 <= len(png) and (size := struct.unpack(">I", png[at : at + 4])[0]) <= len(png) - at - 12:
        out.append(chunk(png[at + 4 : at + 8], png[at + 8 : at + 8 + size]))
        at += 12 + size
    return b"".join(out) + png[at:]


def examine(data: bytes) -> str:
    """What became of these bytes: "" where they were read and written again, else why not. Raises what it finds."""
    try:
        found = list(photos.pages(data))
    except photos.PhotoError as error:
        reason = str(error)
        assert 5 < len(reason) < LONGEST_REASON and "\n" not in reason, f"a reason of {len(reason)} characters"
        assert not reason.startswith("not enough memory"), f"{len(data)} bytes ask for all the memory"
        return reason
    for photo in found:
        assert photo.image.dtype in (np.uint8, np.uint16), photo.image.dtype
        assert photo.image.ndim == 2 or photo.image.shape[2:] == (3,), photo.image.shape
        assert photo.alpha is None or (photo.alpha.shape, photo.alpha.dtype) == (photo.image.shape[:2], photo.image.dtype), (
            "alpha"
        )
    if sum(photo.image.size for photo in found) > LARGEST_COPY:
        return ""
    painted = [(p.image if p.image.ndim == 3 else np.repeat(p.image[..., None], 3, axis=-1), p) for p in found]
    photos.encode(stream := io.BytesIO(), found[0].file_format, painted)
    for copy, (pixels, photo) in zip(photos.pages(stream.getvalue()), painted, strict=True):
        assert copy.image.shape == pixels.shape, f"a copy of {copy.image.shape}, not {pixels.shape}"
        if photo.file_format in ("PNG", "TIFF", "BMP"):
            assert np.array_equal(copy.image, pixels), "a copy with other pixels"
    return ""


def work(pipe, seed: int, numbers: range) -> None:
    """In a process of its own: examine inputs, and say of each (result, seconds, peak in MB)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # libjpeg and libtiff speak their mind there
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, ADDRESSES))
    warnings.simplefilter("ignore")
    logging.disable()
    base = seeds(seed)
    for number in numbers:
        data, start = damaged(base, seed, number), time.perf_counter()
        try:
            result = ("refused", reason) if (reason := examine(data)) else ("read", "")
        except Exception as error:
            result = ("finding", f"{type(error).__name__}: {error}"[:150])
        pipe.send((*result, time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))
    pipe.close()


class Worker:
    """One process and the numbers that it still has to go through."""

    def __init__(self, seed: int, numbers: range):
        self.seed, self.numbers = seed, numbers
        self.start()

    def start(self) -> None:
        self.pipe, theirs = mp.Pipe(duplex=False)
        self.process = mp.Process(target=work, args=(theirs, self.seed, self.numbers), daemon=True)
        self.process.start()
        theirs.close()
        self.since = time.monotonic() + 60  # it imports and makes its seeds first

    def step(self) -> int:
        """The number that is done with."""
        number, self.numbers, self.since = self.numbers[0], self.numbers[1:], time.monotonic()
        return number

    def replace(self) -> None:
        self.process.kill()
        self.process.join()
        self.start()


def run(seed: int, inputs: int, workers: int, report: Callable[[int, str, str, float, float], None]) -> None:
    """Examine every input; `report` gets (number, result, reason, seconds, peak in MB) of each."""
    team = [Worker(seed, range(first, inputs, workers)) for first in range(workers)]
    while team := [worker for worker in team if worker.numbers]:
        ready = multiprocessing.connection.wait([worker.pipe for worker in team], timeout=1)
        for worker in team:
            if worker.pipe in ready:
                try:
                    result, reason, seconds, peak = worker.pipe.recv()
                except EOFError:
                    worker.process.join()
                    report(worker.step(), "crash", f"exit code {worker.process.exitcode}", 0, 0)
                    worker.replace()
                    continue
                number = worker.step()
                result, reason = ("finding", f"memory: {reason or result}") if peak > PEAK_MB else (result, reason)
                report(number, result, reason, seconds, peak)
                if peak > PEAK_MB:  # the peak of a process never falls again
                    worker.replace()
            elif time.monotonic() - worker.since > HANG_S:
                report(worker.step(), "hang", f"more than {HANG_S} s", HANG_S, 0)
                worker.replace()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", type=int, help="the number of the one input to examine, in this process")
    parser.add_argument("--keep", type=Path, help="a folder for the inputs of findings")
    options = parser.parse_args()
    base = seeds(options.seed)
    if options.only is not None:
        warnings.simplefilter("ignore")
        print(examine(damaged(base, options.seed, options.only)) or "read")
        return 0
    counts, causes, reasons, longest, highest = (collections.Counter() for _ in range(5))

    def report(number: int, result: str, reason: str, seconds: float, peak: float) -> None:
        counts[result] += 1
        longest[number], highest[number] = seconds, peak
        if result == "refused":
            reasons[re.sub(r"\d+", "N", reason)] += 1
        elif result != "read":
            causes[reason.split(":")[0] if result == "finding" else result] += 1
            print(f"{result}: --seed {options.seed} --only {number}: {reason}", flush=True)
            if options.keep:
                options.keep.mkdir(parents=True, exist_ok=True)
                (options.keep / f"{number}.bin").write_bytes(damaged(base, options.seed, number))

    mp.set_start_method("spawn")
    run(options.seed, options.inputs, options.workers, report)
    (slow, seconds), (large, peak) = longest.most_common(1)[0], highest.most_common(1)[0]
    rows = [
        ("inputs", options.inputs),
        ("read", counts["read"]),
        ("refused", counts["refused"]),
        ("findings", counts["finding"]),
    ]
    rows += [(f"  {cause}", count) for cause, count in causes.most_common()]
    rows += [("crashes", counts["crash"]), ("hangs", counts["hang"])]
    rows += [("slowest input, s", f"{seconds:.2f} (number {slow})"), ("peak memory, MB", f"{peak:.0f} (number {large})")]
    print("\n".join(f"{name:20} {value}" for name, value in rows))
    print("\nwhy refused, most frequent first")
    print("\n".join(f"{count:7} {reason}" for reason, count in reasons.most_common(20)))
    return 1 if counts["finding"] + counts["crash"] + counts["hang"] else 0


if __name__ == "__main__":
    sys.exit(main())
