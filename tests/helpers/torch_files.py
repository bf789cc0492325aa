"""Weight files as PyTorch writes them, assembled opcode by opcode."""

import struct
import zipfile
from collections import OrderedDict
from dataclasses import dataclass

ORDERED_DICT = b"ccollections\nOrderedDict\n"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"


@dataclass
class Tensor:
    """A tensor as torch would pickle it, or as a liar would."""

    key: str
    kind: str
    numel: object
    offset: object
    shape: object
    strides: object
    parameter: bool = False


def opcodes(value, legacy=False):
    """The pickle opcodes, protocol 2, that make `value`; bytes stand for themselves."""
    if isinstance(value, bytes):
        return value
    if value is None or isinstance(value, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[value]
    if isinstance(value, int):
        digits = value.to_bytes(value.bit_length() // 8 + 1, "little", signed=True)
        return b"\x8a" + bytes([len(digits)]) + digits
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value)
    if isinstance(value, str):
        return b"X" + struct.pack("<I", len(value.encode())) + value.encode()
    if isinstance(value, Tensor):
        view = (None,) if legacy else ()
        saved_id = (
            "storage",
            f"ctorch\n{value.kind}Storage\n".encode(),
            value.key,
            "cpu",
            value.numel,
        )
        storage = opcodes(saved_id + view) + b"Q"
        hooks = ORDERED_DICT + b")R"
        arguments = (storage, value.offset, value.shape, value.strides, False, hooks)
        made = REBUILD + opcodes(arguments) + b"R"
        if value.parameter:
            made = b"ctorch._utils\n_rebuild_parameter\n" + opcodes((made, True, hooks)) + b"R"
        return made
    start, end = {tuple: (b"(", b"t"), list: (b"](", b"e")}.get(type(value), (b"}(", b"u"))
    if isinstance(value, OrderedDict):
        start = ORDERED_DICT + b")R("
    if isinstance(value, dict):
        value = [part for item in value.items() for part in item]
    return start + b"".join(opcodes(part, legacy) for part in value) + end


def dumps(value, legacy=False):
    return b"\x80\x02" + opcodes(value, legacy) + b"."


def write_zip(path, value, storages, byteorder=None):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", dumps(value))
        if byteorder is not None:
            archive.writestr("archive/byteorder", byteorder)
        for key, storage in storages.items():
            archive.writestr(f"archive/data/{key}", storage.tobytes())
        archive.writestr("archive/version", "3\n")
    return path
