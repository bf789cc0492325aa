"""Damaged photographs by the thousand: whatever colorjax.photos does with one but read it or refuse it is a finding.

    python benchmarks/reliability/fuzz_photos.py --inputs 20000 --seed 0
    python benchmarks/reliability/fuzz_photos.py --seed 0 --only 4711          # one input, in this process, with its traceback
    python benchmarks/reliability/fuzz_photos.py --inputs 20000 --keep DIR     # each finding is saved as DIR/NUMBER.bin

Small sound pictures of every kind (JPEG, PNG, TIFF, WebP, BMP; 8 and 16 bits, floats, palettes, alpha, tiles, pages, EXIF, XMP,
IPTC, ICC) are damaged: bits, bytes, blocks, fields of headers. Input n is a function of seed and n alone. Every page is read,
and what can be read is written again and read once more. The workers are processes of their own. One that dies, or takes more
than 10 s or 1 GB for an input, is named and replaced, and the run goes on. The exit code is 1 where there was a finding.
"""

import collections
import io
import itertools
import logging
import multiprocessing as mp
import os
import re
import resource
import struct
import sys
import threading
import time
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import imagecodecs
import numpy as np
import tifffile
from PIL import Image

from benchmarks import common
from colorjax import photos
from colorjax.photos import metadata, profiles

HANG_S, PEAK_MB, ADDRESS_BYTES = 10, 1024, 4 * 2**30
ROUNDS = 4  # of sound pictures, each with other sizes
LONGEST_REASON = 200  # characters
LARGEST_COPY = 2**20  # values: writing more takes long and finds nothing more
VALUES = (0, 1, 2, 3, 4, 7, 8, 12, 16, 127, 255, 256, 32768, 65535, 2**16, 2**24, 2**31 - 1, 2**31, 2**32 - 8, 2**32 - 1)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="3"/>'
IPTC = b"\x1c\x02\x05\0\x05Title\x1c\x02\x50\0\x06Author"
ICC = profiles.SRGB[:40] + b"ABCD" + profiles.SRGB[44:]  # sound, but not known at sight: it is converted from


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def saved(picture: Image.Image, name: str, **options) -> bytes:
    picture.save(stream := io.BytesIO(), name, **options)
    return stream.getvalue()


def exif(orientation: int) -> Image.Exif:
    block = Image.Exif()
    block.update({274: orientation, 271: "Maker", 282: 300.0, 283: 150.0, 296: 2, 40001: (1, 2, 3), 315: "Jörg"})
    block.get_ifd(0x8769).update({36867: "1961:08:13 06:00:00", 33434: (1, 125), 37121: b"\1\2\3\0"})
    block.get_ifd(0x8825).update({1: "N", 2: (52.0, 31.0, 0.5)})
    return block


def jpegs_and_webps(rgba: Image.Image, about: dict) -> list[bytes]:
    rgb, iptc = rgba.convert("RGB"), metadata.resource(IPTC)
    app13 = b"\xff\xed" + struct.pack(">H", len(iptc) + 16) + b"Photoshop 3.0\0" + iptc
    made = [saved(rgb.convert(mode), "JPEG", xmp=XMP, comment=b"c", **about) for mode in ("L", "RGB", "CMYK")]
    made += [saved(rgb, "JPEG", progressive=True, extra=app13, dpi=(300, 300)), saved(rgb, "JPEG", restart_marker_blocks=1)]
    made += [saved(rgba, "WEBP", lossless=lossless, xmp=XMP, **about) for lossless in (False, True)]
    return [*made, saved(rgb, "WEBP"), saved(rgb, "WEBP", save_all=True, append_images=[rgb.rotate(180)])]


def pngs_and_bmps(deep: np.ndarray, rgba: Image.Image, about: dict) -> list[bytes]:
    rgb, palette = rgba.convert("RGB"), rgba.convert("RGB").quantize(16)
    made = [saved(rgba.convert(mode), "PNG", **about) for mode in ("1", "L", "LA", "RGB", "RGBA")]
    made += [saved(Image.fromarray(deep[..., 0]), "PNG"), saved(palette, "PNG", transparency=bytes(range(16)), **about)]
    made += [saved(rgb, "PNG", transparency=(1, 2, 3)), saved(rgb, "PNG", save_all=True, append_images=[rgb.rotate(180)])]
    chunks = [chunk(b"iCCP", b"x\0\0" + zlib.compress(ICC)), chunk(b"eXIf", about["exif"].tobytes()[6:])]
    chunks += [chunk(b"tEXt", b"Title\0x"), chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)]
    for channels, before in itertools.product((2, 3, 4), (2, 4)):
        data = imagecodecs.png_encode(deep[..., :channels].copy())  # of one column too
        made.append(data[:33] + b"".join(chunks[:before]) + data[33:-12] + b"".join(chunks[before:]) + data[-12:])
    return made + [saved(picture, "BMP") for picture in (rgb, palette, rgb.convert("1"))]


def tiff(pages: list[np.ndarray], bigtiff: bool = False, byteorder: str = "<", **options) -> bytes:
    with tifffile.TiffWriter(stream := io.BytesIO(), bigtiff=bigtiff, byteorder=byteorder) as writer:
        for pixels in pages:
            writer.write(pixels, metadata=None, contiguous=False, **options)
    return stream.getvalue()


def tiffs(deep: np.ndarray, rgba: Image.Image, about: dict, rng: np.random.Generator) -> list[bytes]:
    rgb, small, orientation = rgba.convert("RGB"), np.asarray(rgba), about["exif"][274]
    made = [saved(rgb, "TIFF", compression=kind, **about) for kind in ("raw", "tiff_lzw", "tiff_deflate", "jpeg", "packbits")]
    made += [saved(rgb.convert(mode), "TIFF") for mode in ("1", "P", "F", "LAB")]
    made += [tiff([(deep[..., :3] / 65535).astype(kind)], photometric="rgb") for kind in (np.float16, np.float32, np.uint32)]
    made.append(tiff([np.moveaxis(deep[..., :3], 2, 0).copy()], photometric="rgb", planarconfig="separate"))
    tags = [(700, 1, len(XMP), XMP, True), (33723, 7, len(IPTC), IPTC, True), (274, 3, 1, orientation, True)]
    kinds = itertools.product((small, deep), (1, 3, 4, 5), (None, "zlib", "lzw"), (None, (16, 32)))
    for pixels, kind, compression, tile in kinds:
        pixels = pixels[..., 0] if kind == 1 else np.ascontiguousarray(pixels[..., : min(kind, 4)])
        options = {"byteorder": str(rng.choice(["<", ">"])), "bigtiff": rng.random() < 0.2, "predictor": bool(compression)}
        options |= {"iccprofile": ICC, "resolution": (300, 300), "extratags": tags, "compression": compression, "tile": tile}
        options |= {"photometric": {1: "minisblack", 5: "separated"}.get(kind, "rgb")}
        options |= {} if tile else {"rowsperstrip": int(rng.integers(1, 20))}
        made.append(tiff([pixels] * int(rng.choice((1, 1, 1, 3))), **options))
    like = photos.Photo(small[..., 0], None, "TIFF", photos.Metadata(about["exif"].tobytes(), XMP, IPTC, (300, 300)))
    photos.encode(stream := io.BytesIO(), "TIFF", [(small[..., :3], like)] * 2)  # it has Exif and GPS blocks
    return [*made, stream.getvalue()]


def sound_files(seed: int) -> list[bytes]:
    """A few hundred bytes to some hundred kilobytes each."""
    made, rng = [], np.random.default_rng(seed)
    for _ in range(ROUNDS):
        height, width = (int(1 + 199 * rng.random() ** 3) for _ in range(2))
        slope = np.add.outer(np.linspace(0, 40000, height), np.linspace(0, 20000, width))[..., None]
        deep = (slope * [1, 0.8, 0.3, 1.05] + rng.integers(0, 2000, (height, width, 4))).astype(np.uint16)
        rgba, about = Image.fromarray((deep >> 8).astype(np.uint8)), {"exif": exif(int(rng.integers(1, 9))), "icc_profile": ICC}
        made += jpegs_and_webps(rgba, about) + pngs_and_bmps(deep, rgba, about) + tiffs(deep, rgba, about, rng)
    return made


def first_field(data: bytes) -> int:
    """Where the fields that matter most begin: in the directory of a TIFF, or at the start of another file."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    start = struct.unpack(f"{order}I", data[4:8])[0] if order and len(data) > 8 else 0
    return start + 2 if 0 < start < len(data) else 0


def damaged(sound: list[bytes], seed: int, number: int) -> bytes:
    """Input `number`: one of the sound files after one to four mishaps."""
    rng = np.random.default_rng([seed, number])
    data = bytearray(sound[rng.integers(len(sound))])
    sums = rng.random() < 0.8  # a PNG is refused for its checksums alone, which tests little
    for _ in range(min(4, rng.geometric(0.6))):
        at, size = int(rng.integers(len(data) + 1)), int(1 + rng.integers(64) ** 1.5)
        mishap = rng.integers(10)
        if mishap == 0:
            for place in rng.integers(len(data), size=3):
                data[place] ^= 1 << int(rng.integers(8))
        elif mishap == 1:
            data[at : at + 1] = bytes([int(rng.choice((0, 1, 8, 127, 128, 255)))])
        elif mishap == 2:
            del data[at : at + size]
        elif mishap == 3:
            data[at:at] = data[at : at + size]
        elif mishap == 4:
            data[at:at] = rng.bytes(size)
        elif mishap == 5:
            del data[max(1, len(data) - size if rng.random() < 0.5 else at) :]
        elif mishap == 6:
            other = sound[rng.integers(len(sound))]
            data[at:] = other[int(rng.integers(len(other))) if rng.random() < 0.5 else at :]
            data = data or bytearray(1)
        else:
            step = int(rng.choice((2, 4)))
            at = first_field(bytes(data)) + step * int(rng.integers(240 // step)) if rng.random() < 0.8 else at
            order = {b"II": "little", b"MM": "big"}.get(bytes(data[:2]), "big" if rng.random() < 0.5 else "little")
            data[at : at + step] = (int(rng.choice(VALUES)) % 256**step).to_bytes(step, order)
    return with_sums(bytes(data)) if sums and data[:4] == b"\x89PNG" else bytes(data)


def with_sums(png: bytes) -> bytes:
    out, at = [png[:8]], 8
    while at + 12 <= len(png) and (size := struct.unpack(">I", png[at : at + 4])[0]) <= len(png) - at - 12:
        out.append(chunk(png[at + 4 : at + 8], png[at + 8 : at + 8 + size]))
        at += 12 + size
    return b"".join(out) + png[at:]


def examine(data: bytes) -> str:
    """ "" where these bytes were read and written again, else the reason why not. Raises what is a finding."""
    try:
        found = list(photos.pages(data))
    except photos.PhotoError as error:
        reason = str(error)
        assert 5 < len(reason) < LONGEST_REASON and reason.isprintable(), f"a reason of {len(reason)} characters"
        assert "enough memory" not in reason, f"{len(data)} bytes ask for {ADDRESS_BYTES >> 30} GB"
        return reason
    for photo in found:
        assert photo.image.dtype in (np.uint8, np.uint16) and photo.image.shape[2:] in ((), (3,)), "pixels of another kind"
        given = None if photo.alpha is None else (photo.alpha.shape, photo.alpha.dtype)
        assert given in (None, (photo.image.shape[:2], photo.image.dtype)), "alpha of another kind"
    if sum(photo.image.size for photo in found) > LARGEST_COPY:
        return ""
    painted = [(p.image if p.image.ndim == 3 else np.repeat(p.image[..., None], 3, axis=-1), p) for p in found]
    photos.encode(stream := io.BytesIO(), found[0].file_format, painted)
    for copy, (pixels, photo) in zip(photos.pages(stream.getvalue()), painted, strict=True):
        assert copy.image.shape == pixels.shape, "a copy of another shape"
        same = photo.file_format in ("JPEG", "WEBP") or np.array_equal(copy.image, pixels)
        assert same, "a lossless copy with other pixels"
    return ""


def work(pipe, seed: int, numbers: range) -> None:
    """In a process of its own: examine inputs, and say of each (result, reason, seconds, peak in MB)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the libraries under it speak their mind there
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES, ADDRESS_BYTES))
    warnings.simplefilter("ignore")
    logging.disable()
    sound = sound_files(seed)
    for number in numbers:
        data, start = damaged(sound, seed, number), time.perf_counter()
        try:
            result = ("refused", reason) if (reason := examine(data)) else ("read", "")
        except Exception as error:
            result = ("finding", f"{type(error).__name__}: {error}"[:150])
        pipe.send((*result, time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024))


def results(seed: int, numbers: range):
    """(number, result, reason, seconds, peak in MB) of each input, from one worker after the other."""
    while numbers:
        pipe, theirs = mp.Pipe(duplex=False)
        process = mp.Process(target=work, args=(theirs, seed, numbers), daemon=True)
        process.start()
        theirs.close()
        result, peak, patience = "", 0.0, 60.0  # it imports and makes its sound files first
        while numbers and result not in ("hang", "crash") and peak <= PEAK_MB:  # the peak of a process never falls again
            try:
                late = not pipe.poll(patience)
                result, reason, seconds, peak = ("hang", f"more than {HANG_S} s", HANG_S, 0) if late else pipe.recv()
            except EOFError:
                process.join()
                result, reason, seconds, peak = "crash", f"exit code {process.exitcode}", 0, 0
            if peak > PEAK_MB:
                result, reason = "finding", f"memory: {peak:.0f} MB, {result} {reason}"
            yield numbers[0], result, reason, seconds, peak
            numbers, patience = numbers[1:], HANG_S
        process.kill()
        process.join()


def main() -> int:
    parser = common.parser(__doc__)
    parser.add_argument("--inputs", type=common.positive, default=20000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of the one input to examine, in this process")
    parser.add_argument("--keep", type=Path, help="a folder for the inputs of findings")
    options = parser.parse_args()
    sound = sound_files(options.seed)
    if options.only is not None:
        warnings.simplefilter("ignore")
        print(examine(damaged(sound, options.seed, options.only)) or "read")
        return 0
    mp.set_start_method("spawn")
    counts, causes, reasons, seconds, peaks = (collections.Counter() for _ in range(5))
    lock = threading.Lock()

    def follow(first: int) -> None:
        for number, result, reason, seconds[number], peaks[number] in results(options.seed, range(first, options.inputs, 2)):
            with lock:
                counts[result] += 1
                (reasons if result == "refused" else causes)[re.sub(r"\d+", "N", reason)] += result != "read"
            if result not in ("read", "refused"):
                print(f"{result}: --seed {options.seed} --only {number}: {reason}", flush=True)
                if options.keep:
                    options.keep.mkdir(parents=True, exist_ok=True)
                    (options.keep / f"{number}.bin").write_bytes(damaged(sound, options.seed, number))

    with ThreadPoolExecutor(2) as threads:
        list(threads.map(follow, range(2)))
    (slow, slowest), (large, peak) = seconds.most_common(1)[0], peaks.most_common(1)[0]
    rows = {"inputs": options.inputs, "read": counts["read"], "refused": counts["refused"], "findings": counts["finding"]}
    rows |= {"crashes": counts["crash"], "hangs": counts["hang"], "slowest input, s": f"{slowest:.2f} (number {slow})"}
    rows |= {"peak memory, MB": f"{peak:.0f} (number {large})"}
    print("\n".join(f"{name:17} {value}" for name, value in rows.items()))
    for title, counter in (("findings", causes), ("refusals", reasons)):
        print(f"\n{title}, most frequent first")
        print("\n".join(f"{count:7} {words}" for words, count in (+counter).most_common(15)))
    return 1 if counts["finding"] + counts["crash"] + counts["hang"] else 0


if __name__ == "__main__":
    sys.exit(main())
