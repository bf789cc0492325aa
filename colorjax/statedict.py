"""PyTorch weight files, read without PyTorch and without running what they hold, or fetched once.

A `.pth` file is a pickle, and a pickle is a program. None is ever run here: `pickletools.genops`
only parses, and a small machine knows just the opcodes that build plain data and the names of
`_GLOBALS`. `pickle.Unpickler` with a strict `find_class` would not do: its BUILD sets attributes
even of our own functions, LONG_BINPUT allocates what the file says, and hashing a deeply nested
tuple crashes the interpreter. The formats are those of torch/serialization.py.
"""

import hashlib
import http.client
import io
import math
import os
import pickletools
import re
import sys
import urllib.error
import urllib.request
import uuid
import zipfile
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes  # also teaches NumPy the name "bfloat16", which safetensors looks up
import numpy as np
import safetensors.numpy
from tqdm import tqdm

MAX_BYTES = 2 << 30  # of a weight file; what it declares may never exceed what it has
RESNET18_URL = "https://download.pytorch.org/models/resnet18-f37072fd.pth"
RESNET18_SHA256_PREFIX = "f37072fd"

_MAX_PICKLE_BYTES = 8 << 20  # names and shapes of some 40,000 tensors; their numbers lie elsewhere
_MAX_DIMENSIONS = 32
_LEGACY_HEAD = (0x1950A86A20F9469CFC6C, 1001)  # magic number and protocol version
_LEGAL = "legal is a state dict saved by torch.save (.pth, .pt) or as .safetensors"
_INSTEAD = "pass --config.pretrained=PATH (a .pth or .safetensors file), or --config.pretrained= to start at random"


class UnsafeWeightsError(ValueError):
    """A weight file that asks for code or for objects other than tensors; names what was refused."""


class DownloadError(RuntimeError):
    """A failed download, in two lines: what failed with its URL, and what to do instead."""


_Storage = namedtuple("_Storage", "key dtype numel")
_Tensor = namedtuple("_Tensor", "storage offset shape strides")  # as declared, in elements


def _rebuild_tensor(storage, offset, shape, strides, _grad, _hooks, metadata=None) -> _Tensor:
    if metadata or not isinstance(storage, _Storage):  # metadata: conjugation or negation is due
        raise ValueError("a tensor is not plain numbers in a storage")
    return _Tensor(storage, offset, shape, strides)


_DTYPES = {
    "Double": "f8", "Float": "f4", "Half": "f2", "BFloat16": ml_dtypes.bfloat16, "Bool": "?",
    "Long": "i8", "Int": "i4", "Short": "i2", "Char": "i1", "Byte": "u1",
    "ComplexDouble": "c16", "ComplexFloat": "c8",
}  # fmt: skip
_GLOBALS: dict[str, Any] = {
    "collections.OrderedDict": lambda: {},
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": lambda tensor, _grad, _hooks: tensor,
    "torch.Size": lambda sizes=(): sizes,
} | {f"torch.{name}Storage": np.dtype(dtype) for name, dtype in _DTYPES.items()}
_LITERALS = "NONE BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINUNICODE".split()
_EMPTY = {"EMPTY_TUPLE": tuple, "EMPTY_LIST": list, "EMPTY_DICT": dict}


def _global(name: str) -> Any:
    if name not in _GLOBALS:
        raise UnsafeWeightsError(f"refers to {name!r:.99}, which is refused; {_LEGAL}")
    return _GLOBALS[name]


def _persistent(saved_id: tuple) -> _Storage:
    kind, dtype, key, _location, numel, *view = saved_id
    known = kind == "storage" and isinstance(dtype, np.dtype) and isinstance(key, str)
    if not known or type(numel) is not int or numel < 0 or any(part is not None for part in view):
        raise ValueError("a storage is not given as (type, key, location, number of elements)")
    return _Storage(key, dtype, numel)


def _insert(target: Any, items: list) -> None:
    for key, value in zip(items[::2], items[1::2], strict=True):
        if type(target) is not dict or type(key) not in (str, int):  # a nested tuple's hash crashes
            raise ValueError(f"a {type(target).__name__} has a key of type {type(key).__name__}")
        target[key] = value


def _unpickle(stream: BinaryIO) -> tuple[Any, dict[str, _Storage]]:
    """One pickle -> its value (plain data, `_Storage`, `_Tensor`) and its storages by key.

    Raises UnsafeWeightsError for a global or opcode not on the lists, and others for damage.
    """
    stack, marks, memo, storages = [], [], {}, {}

    def take(count: int | None = None) -> list:  # None: all above the last mark
        start = marks.pop() if count is None else len(stack) - count
        if not 0 <= start <= len(stack):
            raise ValueError("the pickle takes more values than it has made")
        values = stack[start:]
        del stack[start:]
        return values

    for opcode, value, _position in pickletools.genops(stream):
        match opcode.name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "MARK":
                marks.append(len(stack))
            case name if name in _LITERALS:
                stack.append(value)
            case "NEWTRUE" | "NEWFALSE" as name:
                stack.append(name == "NEWTRUE")
            case name if name in _EMPTY:
                stack.append(_EMPTY[name]())
            case "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3" as name:
                stack.append(tuple(take(None if name == "TUPLE" else int(name[-1]))))
            case "APPEND" | "APPENDS" as name:
                items = take(None if name == "APPENDS" else 1)
                stack[-1].extend(items)
            case "SETITEM" | "SETITEMS" as name:
                items = take(None if name == "SETITEMS" else 2)
                _insert(stack[-1], items)
            case "BINPUT" | "LONG_BINPUT" | "MEMOIZE":
                memo[len(memo) if value is None else value] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[value])
            case "GLOBAL" | "STACK_GLOBAL":
                parts = take(2) if value is None else value.split(" ", 1)
                stack.append(_global(".".join(parts)))
            case "REDUCE":
                function, arguments = take(2)
                stack.append(function(*arguments))  # nothing callable but _GLOBALS gets here
            case "BINPERSID":
                storage = _persistent(*take(1))
                stack.append(storages.setdefault(storage.key, storage))
            case "BUILD":
                take(1)  # attributes, such as OrderedDict's _metadata: our values have none
            case name:
                refused = f"its pickle uses {name} {value!r:.99}, which is refused; {_LEGAL}"
                raise UnsafeWeightsError(refused)
    (value,) = stack
    return value, storages


def _array(tensor: _Tensor, block: bytes, swapped: bool) -> np.ndarray:
    """A view of a storage's bytes. Raises ValueError where the tensor reaches beyond them."""
    (_, dtype, numel), offset, shape, strides = tensor
    if len(block) != numel * dtype.itemsize:
        raise ValueError(f"storage of {numel} x {dtype} is declared, {len(block)} bytes are there")
    if not type(shape) is type(strides) is tuple or not len(shape) == len(strides) <= 32:
        raise ValueError(f"shape and strides must be equally long tuples, at most 32 long")
    if any(type(number) is not int or number < 0 for number in (offset, *shape, *strides)):
        raise ValueError("offset, shape and strides must be whole numbers, 0 or more")
    if 0 in shape:
        return np.zeros(shape, dtype)
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if last >= numel or math.prod(shape) > numel:  # the latter: repetition could fill any memory
        declared = f"shape {shape}, strides {strides}, offset {offset}"
        raise ValueError(f"{declared} do not fit {numel} stored elements")
    buffer: Any = block
    if swapped:
        word = dtype.itemsize // (2 if dtype.kind == "c" else 1)
        buffer = np.frombuffer(block, f"u{word}").byteswap()
    size = dtype.itemsize
    return np.ndarray(shape, dtype, buffer, offset * size, [stride * size for stride in strides])


def _arrays(value: Any, load: Callable[[str], bytes], swapped: bool) -> dict[str, np.ndarray]:
    for wrapper in ("state_dict", "model"):
        if isinstance(value, dict) and isinstance(value.get(wrapper), dict):
            value = value[wrapper]
    if not isinstance(value, dict):
        raise ValueError(f"it holds a {type(value).__name__}, not a mapping")
    blocks, arrays = {}, {}
    for name, tensor in value.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            found = type(tensor).__name__
            raise ValueError(f"{name!r:.99} is a {found}; legal are tensors by name only")
        key = tensor.storage.key
        blocks[key] = blocks[key] if key in blocks else load(key)
        try:
            arrays[name] = _array(tensor, blocks[key], swapped)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"{name!r:.99}: {error}") from error
    return arrays


def _read_zip(stream: BinaryIO, size: int) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(stream) as archive:
        entries = archive.infolist()
        declared = sum(entry.file_size for entry in entries)
        if declared > size or any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError(f"its entries declare {declared} bytes in a file of {size}; legal are uncompressed entries")
        (entry,) = (entry for entry in entries if entry.filename.endswith("/data.pkl")) ...
