"""PyTorch weight files, read without PyTorch and without running what they hold.

A `.pth` file is a pickle, and a pickle is a program. None is ever run here: `pickletools.genops`
only parses, and a small machine knows just the opcodes that build plain data and the names of
`_GLOBALS`. `pickle.Unpickler` with a strict `find_class` would not do: its BUILD sets attributes
even of our own functions, LONG_BINPUT allocates what the file says, and hashing a deeply nested
tuple crashes the interpreter. The formats are those of torch/serialization.py.
"""

import io
import math
import os
import pickletools
import zipfile
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import ml_dtypes  # also teaches NumPy the name "bfloat16", which safetensors looks up
import numpy as np
import safetensors.numpy

MAX_BYTES = 2 << 30  # of a weight file; what it declares may never exceed what it has

_MAX_PICKLE_BYTES = 8 << 20  # names and shapes of some 40,000 tensors; their numbers lie elsewhere
_LEGACY_HEAD = (0x1950A86A20F9469CFC6C, 1001)  # magic number and protocol version
_LEGAL = "legal is model.state_dict() saved by torch.save (.pth, .pt) or as .safetensors"


class UnsafeWeightsError(ValueError):
    """A weight file that asks for code or objects other than tensors; it names what was refused."""


_Storage = namedtuple("_Storage", "key dtype numel")
_Tensor = namedtuple("_Tensor", "storage offset shape strides")  # as declared, in elements


def _ordered_dict(pairs=()) -> dict:
    """An OrderedDict, empty or, as Python 2 saved it, from a list of pairs."""
    if type(pairs) not in (list, tuple) or any(type(pair) not in (list, tuple) or len(pair) != 2 for pair in pairs):
        raise ValueError("an OrderedDict is not made from pairs")
    result = {}
    for pair in pairs:
        _insert(result, pair)
    return result


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
    "collections.OrderedDict": _ordered_dict,
    "torch._utils._rebuild_tensor_v2": _rebuild_tensor,
    "torch._utils._rebuild_parameter": lambda tensor, _grad, _hooks: tensor,
    "torch.Size": lambda sizes=(): sizes,
} | {f"torch.{name}Storage": np.dtype(dtype) for name, dtype in _DTYPES.items()}
_TAKES = {  # how many values an opcode takes off the stack; None is all above the last mark
    "TUPLE": None, "TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3, "APPEND": 1, "APPENDS": None,
    "SETITEM": 2, "SETITEMS": None, "STACK_GLOBAL": 2, "REDUCE": 2, "BINPERSID": 1, "BUILD": 1,
}  # fmt: skip


def _global(name: str) -> Any:
    if name in _GLOBALS:
        return _GLOBALS[name]
    raise UnsafeWeightsError(f"it refers to {name!r:.99}, which is refused")


def _persistent(saved_id: tuple) -> _Storage:
    kind, dtype, key, _location, numel, *view = saved_id
    known = kind == "storage" and isinstance(dtype, np.dtype) and isinstance(key, str)
    if not known or type(numel) is not int or numel < 0 or any(part is not None for part in view):
        raise ValueError("a storage is not given as (type, key, location, number of elements)")
    return _Storage(key, dtype, numel)


def _insert(target: Any, items: list) -> None:
    for key, value in zip(items[::2], items[1::2], strict=True):
        if type(target) is not dict or type(key) not in (str, int):  # hashing deep tuples crashes
            raise ValueError(f"a {type(target).__name__} has a key of type {type(key).__name__}")
        target[key] = value


def _unpickle(stream: BinaryIO) -> tuple[Any, dict[str, _Storage]]:
    """One pickle -> its value (plain data, `_Storage`, `_Tensor`) and its storages by key.

    Raises UnsafeWeightsError for a global or opcode that is not on the lists; others for damage.
    """
    stack, marks, memo, storages = [], [], {}, {}
    for opcode, value, _position in pickletools.genops(stream):
        taken = []
        if opcode.name in _TAKES:
            count = _TAKES[opcode.name]
            start = marks.pop() if count is None else len(stack) - count
            if not 0 <= start <= len(stack):
                raise ValueError("the pickle takes more values than it has made")
            taken, stack[start:] = stack[start:], []
        match opcode.name:
            case "PROTO" | "FRAME" | "STOP":
                pass
            case "MARK":
                marks.append(len(stack))
            case "NONE" | "BININT" | "BININT1" | "BININT2" | "LONG1" | "BINFLOAT":
                stack.append(value)
            case "BINUNICODE" | "SHORT_BINUNICODE" | "BINSTRING" | "SHORT_BINSTRING":  # the last two: Python 2
                stack.append(value)
            case "NEWTRUE" | "NEWFALSE":
                stack.append(opcode.name == "NEWTRUE")
            case "EMPTY_LIST" | "EMPTY_DICT":
                stack.append([] if opcode.name == "EMPTY_LIST" else {})
            case "EMPTY_TUPLE" | "TUPLE" | "TUPLE1" | "TUPLE2" | "TUPLE3":
                stack.append(tuple(taken))
            case "APPEND" | "APPENDS":
                stack[-1].extend(taken)
            case "SETITEM" | "SETITEMS":
                _insert(stack[-1], taken)
            case "BINPUT" | "LONG_BINPUT" | "MEMOIZE":
                memo[len(memo) if value is None else value] = stack[-1]
            case "BINGET" | "LONG_BINGET":
                stack.append(memo[value])
            case "GLOBAL" | "STACK_GLOBAL":
                stack.append(_global(".".join(taken or value.split(" ", 1))))
            case "REDUCE":
                stack.append(taken[0](*taken[1]))  # only functions of _GLOBALS can be called here
            case "BINPERSID":
                stack.append(_persistent(*taken))
                storages[stack[-1].key] = stack[-1]
            case "BUILD":
                pass  # drops attributes, such as OrderedDict's _metadata: our values have none
            case name:
                raise UnsafeWeightsError(f"its pickle uses {name} {value!r:.99}, which is refused")
    (result,) = stack
    return result, storages


def _array(tensor: _Tensor, block: np.ndarray) -> np.ndarray:
    """A view of a storage's bytes. Raises ValueError where the tensor reaches beyond them."""
    (_, dtype, numel), offset, shape, strides = tensor
    if len(block) != numel * dtype.itemsize:
        raise ValueError(f"storage of {numel} x {dtype} is declared, {len(block)} bytes are there")
    if not type(shape) is type(strides) is tuple or not len(shape) == len(strides) <= 32:
        raise ValueError("shape and strides must be tuples of the same length, 32 at most")
    if any(type(number) is not int or number < 0 for number in (offset, *shape, *strides)):
        raise ValueError("offset, shape and strides must be whole numbers, 0 or more")
    elements = math.prod(shape)
    last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if elements and (last >= numel or elements > numel):  # repeats could fill any memory
        declared = f"shape {shape}, strides {strides}, offset {offset}"
        raise ValueError(f"{declared:.200} do not fit its {numel} stored elements")
    steps = [stride * dtype.itemsize for stride in strides]
    return np.ndarray(shape, dtype, block, offset * dtype.itemsize, steps)


def _arrays(value: Any, load: Callable[[str], bytes], order: str = "<") -> dict[str, np.ndarray]:
    for wrapper in ("state_dict", "model"):
        if isinstance(value, dict) and isinstance(value.get(wrapper), dict):
            value = value[wrapper]
    if not isinstance(value, dict):
        raise ValueError(f"it holds a {type(value).__name__}, not a mapping")
    blocks, arrays = {}, {}
    for name, tensor in value.items():
        if not isinstance(name, str) or not isinstance(tensor, _Tensor):
            found = type(tensor).__name__
            raise ValueError(f"{name!r:.99} is a {found}; legal are tensors by name, nothing else")
        storage = tensor.storage
        try:
            if storage not in blocks:
                stored = np.frombuffer(load(storage.key), storage.dtype.newbyteorder(order))
                blocks[storage] = stored.astype(storage.dtype, copy=False).view(np.uint8)
            arrays[name] = _array(tensor, blocks[storage])
        except (ValueError, LookupError, OverflowError) as error:
            raise ValueError(f"tensor {name!r:.99}: {error}") from error
    return arrays


def _read_zip(stream: BinaryIO, size: int) -> dict[str, np.ndarray]:
    with zipfile.ZipFile(stream) as archive:
        entries = archive.infolist()
        declared = sum(entry.file_size for entry in entries)
        if declared > size or any(entry.compress_type for entry in entries):
            raise ValueError(f"{declared} bytes in {size}; legal are uncompressed entries only")
        pickles = [entry for entry in entries if entry.filename.endswith("/data.pkl")]
        if len(pickles) != 1 or pickles[0].file_size > _MAX_PICKLE_BYTES:
            legal = f"legal is one of {_MAX_PICKLE_BYTES} bytes at most"
            raise ValueError(f"it has {len(pickles)} entries data.pkl, or a bigger one; {legal}")
        root, order = pickles[0].filename.removesuffix("data.pkl"), b"little"
        if f"{root}byteorder" in archive.namelist():
            order = archive.read(f"{root}byteorder")
        if order not in (b"little", b"big"):
            raise ValueError(f"byteorder is {order!r:.99}; legal are little and big")
        value, _ = _unpickle(io.BytesIO(archive.read(pickles[0])))
        sign = "<" if order == b"little" else ">"
        return _arrays(value, lambda key: archive.read(f"{root}data/{key}"), sign)


def _read_legacy(stream: BinaryIO, size: int) -> dict[str, np.ndarray]:
    pickles = io.BytesIO(stream.read(_MAX_PICKLE_BYTES))
    if (_unpickle(pickles)[0], _unpickle(pickles)[0]) != _LEGACY_HEAD:
        raise ValueError("it is a pickle, but not one of torch.save")
    _unpickle(pickles)  # the writer's type sizes; the numbers are little-endian whatever it was
    value, storages = _unpickle(pickles)
    keys, _ = _unpickle(pickles)
    if not isinstance(keys, list) or any(type(key) is not str for key in keys):
        raise ValueError("its storage keys are not a list of names")
    if set(keys) != set(storages):
        raise ValueError(f"it lists {len(keys)} storages, not the {len(storages)} of its tensors")
    stream.seek(pickles.tell())
    blocks = {}
    for storage in map(storages.get, keys):
        length = storage.numel * storage.dtype.itemsize
        counted = stream.read(8) == storage.numel.to_bytes(8, "little")
        if not counted or length > size - stream.tell():
            raise ValueError(f"storage {storage.key!r:.99} is not there with its {length} bytes")
        blocks[storage.key] = stream.read(length)
    if stream.tell() != size:
        raise ValueError(f"{size - stream.tell()} bytes are left over after its last storage")
    return _arrays(value, blocks.__getitem__)


def _read(stream: BinaryIO, path: Path) -> dict[str, np.ndarray]:
    size, head = os.fstat(stream.fileno()).st_size, stream.read(9)
    stream.seek(0)
    if size > MAX_BYTES:
        raise ValueError(f"it has {size} bytes; legal are {MAX_BYTES} at most")
    if head[8:] == b"{" and int.from_bytes(head[:8], "little") <= size - 8:
        return safetensors.numpy.load_file(path)
    if head.startswith(b"PK\x03\x04"):
        return _read_zip(stream, size)
    if head.startswith(b"\x80"):
        return _read_legacy(stream, size)
    raise ValueError("its content is of no known format, or cut off")


def read_state_dict(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """A weight file -> its tensors by name, each of the shape and dtype it was saved with.

    Told by content: safetensors, or either format of torch.save, where the mapping may lie under
    `state_dict` or `model`. float16, bfloat16 and float64 stay what they are. From a torch file
    come read-only views, which share memory and are non-contiguous as its tensors did and were.
    Nothing of the file is ever executed.

    Raises FileNotFoundError; UnsafeWeightsError (a ValueError) where the file asks for more than
    tensors, naming it; ValueError where it is damaged, cut off, over `MAX_BYTES` or something else.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; {_LEGAL}")
    if not path.is_file():
        raise ValueError(f"{path}: not a file; {_LEGAL}")
    with path.open("rb") as stream:
        try:
            return _read(stream, path)
        except UnsafeWeightsError as error:
            raise UnsafeWeightsError(f"{path}: {error}; {_LEGAL}") from None
        except Exception as error:  # damage surfaces as nearly anything, here and in libraries
            what = f"{type(error).__name__}: {error}"
            raise ValueError(f"{path}: cannot be read ({what}); {_LEGAL}") from error
