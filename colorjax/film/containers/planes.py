"""Samples of frames as arrays, and arrays as frames; each sample is the one that the decoder gave."""

import sys
from fractions import Fraction

import av
import numpy as np

# Formats whose samples lie otherwise, and a planar one of the same samples and subsampling.
_PLANAR = {"yuyv422": "yuv422p", "uyvy422": "yuv422p", "yvyu422": "yuv422p", "uyyvyy411": "yuv411p", "nv12": "yuv420p"}
_PLANAR |= {"nv21": "yuv420p", "nv16": "yuv422p", "nv24": "yuv444p", "nv42": "yuv444p", "nv20le": "yuv422p10le"}
_PLANAR |= {f"p{n}10le": f"yuv{name}p10le" for n, name in (("0", "420"), ("2", "422"), ("4", "444"))}
_PLANAR |= {f"p{n}16le": f"yuv{name}p16le" for n, name in (("0", "420"), ("2", "422"), ("4", "444"))}
_PLANAR |= {"p012le": "yuv420p12le", "p212le": "yuv422p12le", "p412le": "yuv444p12le"}
_PLANAR |= {"y210le": "yuv422p10le", "y212le": "yuv422p12le", "xv30le": "yuv444p10le", "vuyx": "yuv444p", "vuya": "yuva444p"}
_PLANAR |= {"v30xle": "yuv444p10le", "ayuv64le": "yuva444p16le"}
_WIDE_RGB = ("rgb48le", "rgb48be", "bgr48le", "bgr48be", "rgba64le", "rgba64be", "bgra64le", "bgra64be")
_UNNAMED = {"28": "LCEVC", "29": "VIEW_ID", "30": "REFERENCE_DISPLAYS", "31": "EXIF"}  # kinds of which PyAV 18 has no names


def kind(name: str) -> str:
    """ "grey", "yuv" or "rgb" by the name of a pixel format; "" for one that is not known here."""
    try:
        about = av.VideoFormat(name)
    except ValueError:
        return ""
    if name in _PLANAR:
        return "yuv"
    parts = about.components
    if about.has_palette or about.is_bit_stream:
        return "rgb"
    if not parts or max(part.bits for part in parts) > 16 or name.rstrip("lbe").endswith(("f16", "f32")):
        return ""
    if about.is_rgb and not name.startswith("bayer"):
        planar = about.is_planar and [part.plane for part in parts[:3]] == [2, 0, 1]
        return "rgb" if planar or max(part.bits for part in parts) <= 8 or name in _WIDE_RGB else ""
    if name.startswith(("gray", "ya")):
        return "grey"
    return "yuv" if [part.plane for part in parts[:3]] == [0, 1, 2] and name.startswith("yuv") else ""


def bits(name: str) -> int:
    """Of a sample."""
    about = av.VideoFormat(_PLANAR.get(name, name))
    return 8 if about.has_palette or about.is_bit_stream else max(8, max(part.bits for part in about.components))


def has_alpha(name: str) -> bool:
    """Whether pixels say how much of them is seen."""
    return name.startswith(("yuva", "ya", "gbrap", "rgba", "bgra", "argb", "abgr", "vuya", "ayuv"))


def beside(frame: av.VideoFrame) -> dict[str, bytes]:
    """What a frame says beside its samples, by FFmpeg's name of its kind; what PyAV has no name for comes without content."""
    try:
        return {data.type.name: bytes(data) for data in frame.side_data}
    except ValueError as error:  # "31 is not a valid Type", and of the others nothing is told
        number = str(error).split()[0]
        return beside(_without(frame, number)) | {_UNNAMED.get(number, number): b""}


def _without(frame: av.VideoFrame, number: str) -> av.VideoFrame:
    """A frame without what it says of the kind of this number."""
    graph = av.filter.Graph()
    node = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25))
    graph.link_nodes(node, graph.add("sidedata", f"delete:type={number}"), graph.add("buffersink")).configure()
    graph.vpush(frame)
    return graph.vpull()


def luma(frame: av.VideoFrame) -> np.ndarray:
    """Y', or the grey, (H, W) uint8 or uint16: a view of the frame while it lives."""
    name = frame.format.name
    if name in _PLANAR:
        frame = frame.reformat(format=_PLANAR[name])
    if name.startswith("ya"):  # grey and transparency, one after the other
        return _samples(frame, 0, frame.width, 2)[..., 0]
    return _samples(frame, 0, frame.width)


def rgb(frame: av.VideoFrame) -> np.ndarray:
    """R, G and B, (H, W, 3) uint8 or uint16, with the levels that the frame has (10 bits: 0..1023)."""
    name = frame.format.name
    if name.startswith("gbr"):
        green, blue, red = (_samples(frame, plane, frame.width) for plane in range(3))
        return np.stack([red, green, blue], axis=-1)
    return frame.to_ndarray(format="rgb48le" if name in _WIDE_RGB else "rgb24")


def small(frame: av.VideoFrame, side: int) -> np.ndarray:
    """R, G and B, (h, w, 3) uint8, its long side at most `side` pixels: to be looked at."""
    scale = min(1.0, side / max(frame.width, frame.height))
    width, height = (max(1, round(length * scale)) for length in (frame.width, frame.height))
    return frame.to_ndarray(format="rgb24", width=width, height=height, interpolation="AREA")


def _samples(frame: av.VideoFrame, index: int, width: int, count: int = 1) -> np.ndarray:
    """(H, W), or of several in a pixel (H, W, count), in the machine's byte order."""
    plane = frame.planes[index]
    dtype = np.dtype(np.uint8 if bits(frame.format.name) == 8 else ">u2" if frame.format.is_big_endian else "<u2")
    line = abs(plane.line_size)
    shape, strides = (plane.height, width), (line, dtype.itemsize * count)
    if count > 1:
        shape, strides = (*shape, count), (*strides, dtype.itemsize)
    offset = 0
    if plane.line_size < 0:  # stored from the bottom up
        offset, strides = (plane.height - 1) * line, (-line, *strides[1:])
    array = np.ndarray(shape, dtype, plane, offset, strides)
    return array.astype(dtype.newbyteorder("="), copy=False)


def frame_of(arrays: list[np.ndarray], name: str, width: int, height: int) -> av.VideoFrame:
    """A frame of a planar format, little-endian, with these planes."""
    frame = av.VideoFrame(width, height, name)
    for array, plane in zip(arrays, frame.planes, strict=True):
        array = array if sys.byteorder == "little" or array.dtype.itemsize == 1 else array.byteswap()
        rows = np.ndarray((plane.height, plane.line_size // array.itemsize), array.dtype, plane)
        rows[:, : array.shape[1]] = array
    return frame
