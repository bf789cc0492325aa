"""`photos.parts`: the heads of parts are walked, and what is damaged ends the walk."""

import io
import struct

import pytest
from PIL import Image

from colorjax.photos import parts

WALKS = {
    "JPEG": parts.segments,
    "PNG": parts.png_chunks,
    "WEBP": parts.webp_chunks,
    "JPEG2000": parts.boxes,
    "AVIF": parts.boxes,
}


def saved(name, **options):
    stream = io.BytesIO()
    Image.linear_gradient("L").save(stream, name, **options)
    return stream.getvalue()


@pytest.mark.parametrize("name", WALKS)
def test_parts_lie_one_behind_the_other(name):
    data = saved(name)
    head, tail, start = {"JPEG": (4, 0, 2), "PNG": (8, 4, 8), "WEBP": (8, 0, 12)}.get(name, (8, 0, 0))
    found = list(WALKS[name](io.BytesIO(data)))
    for _, place, size in found:
        assert place == start + head
        start = place + size + tail + (size % 2 if name == "WEBP" else 0)
    assert found[-1][0] == parts.SCAN if name == "JPEG" else start == len(data)


@pytest.mark.parametrize("name", WALKS)
def test_a_file_that_is_cut_or_damaged_anywhere_ends_the_walk(name):
    data = saved(name)
    for length in range(0, min(len(data), 400)):
        for rest in (b"", b"\xff" * 40, bytes(40)):
            for _, place, size in WALKS[name](io.BytesIO(data[:length] + rest)):
                assert place <= length + len(rest) and size >= 0


def test_bytes_that_fill_up_and_markers_without_a_segment():
    scan = b"\xff\xda\0\4ab"
    said = b"\xff\xe1" + struct.pack(">H", 7) + b"hello"
    jpeg = b"\xff\xd8" + said + b"\xff\xff\xff" + said + b"\xff\xd0" + scan + b"coded" + said
    found = list(parts.segments(io.BytesIO(jpeg)))
    assert [kind for kind, _, _ in found] == [0xE1, 0xE1, parts.SCAN]
    assert [jpeg[place : place + size] for _, place, size in found] == [b"hello", b"hello", b"ab"]


def test_a_file_of_nothing_but_markers_is_given_up():
    reads = 0

    class Counted(io.BytesIO):
        def read(self, *size):
            nonlocal reads
            reads += 1
            return super().read(*size)

    assert not list(parts.segments(Counted(b"\xff" * 10**6)))
    assert reads < 10**5


def test_a_box_up_to_the_end_and_one_of_eight_bytes_of_size():
    data = struct.pack(">I4sQ", 1, b"long", 20) + b"abcd" + struct.pack(">I4s", 0, b"last") + b"all the rest"
    found = [(kind, data[place : place + size]) for kind, place, size in parts.boxes(io.BytesIO(data))]
    assert found == [(b"long", b"abcd"), (b"last", b"all the rest")]
