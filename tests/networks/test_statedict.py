"""Weight files: what is read, what is refused, and how the official file is fetched and kept.

Files of torch's two formats are assembled here opcode by opcode, so that no torch is needed and
hostile ones can be made. Where torch is installed, its own files are read as well.
"""

import contextlib
import hashlib
import http.client
import http.server
import json
import os
import pickle
import socket
import struct
import subprocess
import sys
import threading
import warnings
import zipfile
from collections import OrderedDict

import ml_dtypes
import numpy as np
import pytest
from helpers.torch_files import ORDERED_DICT, REBUILD, Tensor, dumps, opcodes, write_zip

from colorjax.networks import statedict
from colorjax.networks.statedict import UnsafeWeightsError, read_state_dict
from colorjax.platform import caching
from colorjax.platform.caching import DownloadError, download

SIX = np.arange(6, dtype=np.float32)


def write_legacy(path, value, storages):
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    head = [0x1950A86A20F9469CFC6C, 1001, system, value, list(storages)]
    data = b"".join(dumps(part, legacy=True) for part in head)
    for storage in storages.values():
        data += struct.pack("<q", storage.size) + storage.tobytes()
    path.write_bytes(data)
    return path


def write_safetensors(path, kind="F32", shape=(6,), data=None):
    data = SIX.tobytes() if data is None else data
    header = {"w": {"dtype": kind, "shape": shape, "data_offsets": [0, len(data)]}}
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


@pytest.fixture(params=[write_zip, write_legacy], ids=["zip", "legacy"])
def save(request, tmp_path):
    """A function (value, storages) -> path of a file in one of torch's formats."""
    return lambda value, storages=None: request.param(tmp_path / "w.pth", value, storages or {})


def plain(offset=0, shape=(6,), strides=(1,), kind="Float", numel=6, **more):
    return Tensor("0", kind, numel, offset, shape, strides, **more)


# What is read


def test_tensors_of_every_layout(save):
    path = save(
        OrderedDict(
            matrix=plain(shape=(2, 3), strides=(3, 1), parameter=True),
            transposed=plain(shape=(3, 2), strides=(1, 3)),
            slice=plain(offset=1, shape=(2, 2), strides=(3, 1)),
            scalar=plain(offset=5, shape=(), strides=()),
            empty=Tensor("1", "Half", 0, 0, (0, 4), (4, 1)),
            batches=Tensor("2", "Long", 1, 0, (), ()),
        ),
        {"0": SIX, "1": np.zeros(0, np.float16), "2": np.array([7])},
    )
    arrays = read_state_dict(path)
    matrix = SIX.reshape(2, 3)
    expected = {
        "matrix": matrix,
        "transposed": matrix.T,
        "slice": matrix[:, 1:],
        "scalar": np.float32(5),
        "empty": np.zeros((0, 4), np.float16),
        "batches": np.int64(7),
    }
    assert list(arrays) == list(expected)
    for name, array in expected.items():
        np.testing.assert_array_equal(arrays[name], array, strict=True)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("Double", np.float64),
        ("Half", np.float16),
        ("BFloat16", ml_dtypes.bfloat16),
        ("Int", np.int32),
        ("Short", np.int16),
        ("Char", np.int8),
        ("Byte", np.uint8),
        ("Bool", np.bool_),
        ("ComplexDouble", np.complex128),
        ("ComplexFloat", np.complex64),
    ],
)
def test_dtypes_stay_what_they_are(save, kind, dtype):
    values = np.array([0, 1, 1]).astype(dtype)
    arrays = read_state_dict(save({"w": plain(kind=kind, numel=3, shape=(3,))}, {"0": values}))
    assert arrays["w"].dtype == dtype
    np.testing.assert_array_equal(arrays["w"], values)


@pytest.mark.parametrize("dtype", [np.float32, ml_dtypes.bfloat16, np.complex64])
def test_big_endian_archive(tmp_path, dtype):
    kind = {"float32": "Float", "bfloat16": "BFloat16", "complex64": "ComplexFloat"}
    values = np.array([1, -2.5, 3]).astype(dtype)
    swapped = values.astype(values.dtype.newbyteorder(">"))
    tensor = plain(kind=kind[values.dtype.name], numel=3, shape=(3,))
    path = write_zip(tmp_path / "w.pth", {"w": tensor}, {"0": swapped}, byteorder="big")
    np.testing.assert_array_equal(read_state_dict(path)["w"], values, strict=True)
    write_zip(path, {"w": tensor}, {"0": values}, byteorder="little")
    np.testing.assert_array_equal(read_state_dict(path)["w"], values, strict=True)
    write_zip(path, {"w": tensor}, {"0": values}, byteorder="middle")
    with pytest.raises(ValueError, match=r"byteorder is b'middle'; legal are little and big"):
        read_state_dict(path)


def test_safetensors_is_told_by_content(tmp_path):
    path = write_safetensors(tmp_path / "weights.pth")
    np.testing.assert_array_equal(read_state_dict(str(path))["w"], SIX, strict=True)
    halves = np.array([1, -2.5], ml_dtypes.bfloat16)
    write_safetensors(path, "BF16", (2,), halves.tobytes())
    assert read_state_dict(path)["w"].dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(read_state_dict(path)["w"], halves)
    write_safetensors(path, "F32", (7,))
    with pytest.raises(ValueError, match=r"weights\.pth: cannot be read"):
        read_state_dict(path)


@pytest.mark.parametrize("wrapper", ["state_dict", "model"])
def test_wrapped_mappings(save, wrapper):
    path = save({"epoch": 3, "betas": [0.9, 0.99], wrapper: OrderedDict(w=plain())}, {"0": SIX})
    assert list(read_state_dict(path)) == ["w"]


def test_a_tensor_may_be_called_model(save):
    assert list(read_state_dict(save({"model": plain()}, {"0": SIX}))) == ["model"]


def test_metadata_of_modules_is_dropped(save):
    metadata = {"_metadata": OrderedDict({"": {"version": 1}})}
    value = opcodes(OrderedDict(w=plain())) + opcodes(metadata) + b"b"
    np.testing.assert_array_equal(read_state_dict(save(value, {"0": SIX}))["w"], SIX)


def test_files_of_python_2(save):
    """It saved an OrderedDict as a call with a list of pairs, and names as byte strings: the lpips package's weights."""
    name = b"U\x01w"
    path = save(ORDERED_DICT + opcodes(([[name, plain()]],)) + b"R", {"0": SIX})
    np.testing.assert_array_equal(read_state_dict(path)["w"], SIX)


@pytest.mark.parametrize("pairs", [[["w"]], [[["w"], 1]], "ab", [[("w",), 1]]], ids=str)
def test_what_is_no_list_of_pairs_makes_no_dictionary(save, pairs):
    with pytest.raises(ValueError, match="cannot be read"):
        read_state_dict(save(ORDERED_DICT + opcodes((pairs,)) + b"R"))


def test_tensors_share_their_storage(save):
    arrays = read_state_dict(save({"a": plain(), "b": plain(offset=3, shape=(3,))}, {"0": SIX}))
    assert np.shares_memory(arrays["a"], arrays["b"])


def test_unused_storages_are_passed_over(save):
    other = Tensor("other", "Double", 2, 0, (2,), (1,))
    value = {"optimizer": {0: {"step": other}}, "model": {"w": plain()}}
    arrays = read_state_dict(save(value, {"other": np.zeros(2), "0": SIX}))
    np.testing.assert_array_equal(arrays["w"], SIX, strict=True)


# What is refused


HOSTILE = {
    "os.system": lambda run: b"cos\nsystem\n" + opcodes((run,)) + b"R",
    "posix.system": lambda run: b"cposix\nsystem\n" + opcodes((run,)) + b"R",
    "nt.system": lambda run: opcodes("nt") + opcodes("system") + b"\x93" + opcodes((run,)) + b"R",
    "builtins.eval": lambda run: b"cbuiltins\neval\n" + opcodes((f"__import__('os').system({run!r})",)) + b"R",
    "__builtin__.exec": lambda run: b"c__builtin__\nexec\n" + opcodes(("import os",)) + b"R",
    "builtins.getattr": lambda run: b"cbuiltins\ngetattr\n(" + REBUILD + opcodes("__globals__") + b"tR",
    "operator.attrgetter": lambda run: b"coperator\nattrgetter\n" + opcodes(("x",)) + b"R",
    "torch.load": lambda run: b"ctorch\nload\n" + opcodes((run,)) + b"R",
    "torch.hub.load": lambda run: b"ctorch.hub\nload\n" + opcodes((run,)) + b"R",
    "torch.storage._load_from_bytes": lambda run: b"ctorch.storage\n_load_from_bytes\n)R",
    "torch._utils._rebuild_tensor_v2.__globals__": lambda run: (
        opcodes("torch._utils") + opcodes("_rebuild_tensor_v2.__globals__") + b"\x93"
    ),
    "collections.OrderedDict.__init__": lambda run: b"ccollections\nOrderedDict.__init__\n)R",
    "colorjax.networks.statedict._unpickle": lambda run: b"ccolorjax.networks.statedict\n_unpickle\n)R",
    "torch.EvilStorage": lambda run: opcodes(plain(kind="Evil")),
    "INST": lambda run: b"(" + opcodes(run) + b"ios\nsystem\n",
    "OBJ": lambda run: b"(" + ORDERED_DICT + opcodes(run) + b"o",
    "NEWOBJ": lambda run: ORDERED_DICT + b")\x81",
    "NEWOBJ_EX": lambda run: ORDERED_DICT + b")}\x92",
    "EXT1": lambda run: b"\x82\x01",
    "EXT2": lambda run: b"\x83\x01\x01",
    "EXT4": lambda run: b"\x84\x01\x01\x01\x01",
    "PERSID": lambda run: b"Pstorage\n",
    "BYTEARRAY8": lambda run: b"\x96" + struct.pack("<Q", 3) + b"abc",
    "NEXT_BUFFER": lambda run: b"\x97",
}


@pytest.mark.parametrize("refused", HOSTILE)
@pytest.mark.parametrize("place", ["alone", "as a value", "in metadata"])
def test_code_is_refused_by_name(save, tmp_path, refused, place):
    marker = tmp_path / "marker"
    value = HOSTILE[refused](f"touch '{marker}'")
    if place == "as a value":
        value = {"w": plain(), "evil": value}
    elif place == "in metadata":
        value = opcodes(OrderedDict(w=plain())) + opcodes({"_metadata": value}) + b"b"
    with pytest.raises(UnsafeWeightsError) as caught:
        read_state_dict(save(value, {"0": SIX}))
    assert refused in str(caught.value) and "w.pth" in str(caught.value)
    assert "legal is model.state_dict()" in str(caught.value)
    assert not marker.exists()


class Evil:
    """Unpickling this creates a file."""

    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_reduce_is_never_called(save, tmp_path, protocol):
    marker = tmp_path / "marker"
    payload = pickle.dumps(Evil(marker), protocol)
    pickle.loads(payload)
    assert marker.exists(), "the payload must be a working one"
    marker.rmdir()
    with pytest.raises(UnsafeWeightsError, match="mkdir"):
        read_state_dict(save(payload[:-1]))
    assert not marker.exists()


def test_build_changes_nothing(save):
    before = (statedict._rebuild_tensor.__defaults__, dict(vars(statedict._rebuild_tensor)))
    state = {"__defaults__": (1,), "__code__": None, "__class__": 0}
    for instance in (REBUILD, ORDERED_DICT, b"ctorch\nFloatStorage\n", plain(), 5):
        for built in (state, (None, state), (state, state)):
            value = opcodes(instance) + opcodes(built) + b"b"
            read_state_dict(save(opcodes({"optimizer": value, "model": {"w": plain()}}), {"0": SIX}))
    assert before == (statedict._rebuild_tensor.__defaults__, vars(statedict._rebuild_tensor))


def test_what_would_exhaust_or_crash_an_unpickler(save):
    far = opcodes({"w": plain()}) + b"r\xff\xff\xff\xff" + opcodes({}) + b"b"
    assert list(read_state_dict(save(far, {"0": SIX}))) == ["w"]  # a memo of 2^32 places
    deep = b"}" + b")" + b"\x85" * 1_000_000 + b"Ns"  # its hash would overflow the C stack
    with pytest.raises(ValueError, match="key of type tuple"):
        read_state_dict(save(deep))
    for lie in (b"X\xff\xff\xff\xffab", b"\x8d" + b"\xff" * 7 + b"\x7fab", b"\x95" + b"\xff" * 8):
        with pytest.raises(ValueError, match="cannot be read"):
            read_state_dict(save(lie))


@pytest.mark.parametrize(
    "lie",
    [
        {"numel": 10**12},
        {"numel": 2**70},
        {"numel": 7},
        {"numel": 5},
        {"numel": -1},
        {"numel": True},
        {"numel": 6.0},
        {"numel": "6"},
        {"kind": "Long"},
        {"kind": "Half"},
        {"offset": 1},
        {"offset": 6},
        {"offset": -1},
        {"offset": 2**70},
        {"offset": None},
        {"shape": (7,)},
        {"shape": (-6,)},
        {"shape": (6.0,)},
        {"shape": (True,)},
        {"shape": [6]},
        {"shape": 6},
        {"shape": "6"},
        {"shape": (2, 3)},
        {"shape": ()},
        {"shape": (2**62,), "strides": (0,)},
        {"shape": (10**6, 10**6), "strides": (0, 0)},
        {"shape": (2**40, 2**40), "strides": (2**40, 2**40)},
        {"shape": (2, 3), "strides": (3, 2)},
        {"shape": (0, 2**70), "strides": (1, 1)},
        {"strides": (2,)},
        {"strides": (-1,)},
        {"strides": (2**62,)},
        {"strides": (None,)},
        {"shape": (1,) * 33, "strides": (1,) * 33},
    ],
    ids=str,
)
def test_lying_tensors(save, lie):
    with pytest.raises(ValueError, match=r"w\.pth: cannot be read"):
        read_state_dict(save({"layer.weight": plain(**lie)}, {"0": SIX}))


def test_a_lie_is_reported_with_its_tensor(save):
    with pytest.raises(ValueError, match=r"'layer.weight'.* shape \(7,\).* 6 stored elements"):
        read_state_dict(save({"layer.weight": plain(shape=(7,))}, {"0": SIX}))


@pytest.mark.parametrize(
    "saved_id",
    [
        "storage",
        (),
        ("module", "x", "y", "cpu", 6),
        ("storage", "Float", "0", "cpu", 6),
        ("storage", ORDERED_DICT, "0", "cpu", 6),
        ("storage", b"ctorch\nFloatStorage\n", 0, "cpu", 6),
        ("storage", b"ctorch\nFloatStorage\n", "0", "cpu", 6, ("1", 0, 6)),
        ("storage", b"ctorch\nFloatStorage\n", "0", "cpu", 6, None, 1),
        ("storage", b"ctorch\nFloatStorage\n", "../0", "cpu", 6),
    ],
    ids=str,
)
def test_lying_storages(save, saved_id):
    storage = opcodes(saved_id) + b"Q"
    value = {"w": REBUILD + opcodes((storage, 0, (6,), (1,), False, None)) + b"R"}
    with pytest.raises(ValueError, match="cannot be read"):
        read_state_dict(save(value, {"0": SIX} if saved_id[-1:] != (1,) else {}))


@pytest.mark.parametrize("value", [3, "text", 0.5, None, True, (1, 2), [1], {"b": 1}], ids=str)
def test_values_that_are_no_tensors_are_named(save, value):
    found = type(value).__name__
    with pytest.raises(ValueError, match=rf"'step' is a {found}; legal are tensors by name"):
        read_state_dict(save({"w": plain(), "step": value}, {"0": SIX}))


@pytest.mark.parametrize("value", [3, [], (), "text", None, plain()], ids=str)
def test_files_without_a_mapping(save, value):
    with pytest.raises(ValueError, match="not a mapping"):
        read_state_dict(save(value, {"0": SIX} if isinstance(value, Tensor) else {}))


def test_names_must_be_text(save):
    with pytest.raises(ValueError, match="0 is a _Tensor; legal are tensors by name"):
        read_state_dict(save({0: plain()}, {"0": SIX}))


def test_conjugate_tensors_are_refused(save):
    conjugate = (opcodes(plain())[len(REBUILD) : -2] + opcodes({"conj": True}) + b"t",)
    with pytest.raises(ValueError, match="not plain numbers"):
        read_state_dict(save({"w": REBUILD + conjugate[0] + b"R"}, {"0": SIX}))


@pytest.mark.parametrize(
    "broken",
    [
        *(b"R", b"u", b"t", b"e", b"s", b"a", b"Q", b"b", b"(", b"\x86", b"\x93", b"\xff", b""),
        *(
            b"NN",
            b"Na",
            b"N)R",
            b"NNR",
            b"NN\x93",
            b"](Ne(Nu",
            b"}(NNu",
            b"}(Nu",
            b"q\x00",
            b"h\x05",
        ),
        b"}(" + opcodes("a") + b"u",
        b"L1\n",
    ],
    ids=repr,
)
def test_pickles_that_make_no_sense(save, broken):
    with pytest.raises(ValueError, match=r"w\.pth"):
        read_state_dict(save(broken))


def example(writer, path):
    if writer is write_safetensors:
        return writer(path)
    value = OrderedDict(w=plain(shape=(2, 3), strides=(3, 1)), n=Tensor("1", "Long", 1, 0, (), ()))
    value["e"] = Tensor("2", "Float", 0, 0, (0,), (1,))
    empty = np.zeros(0, np.float32)
    return writer(path, {"state_dict": value}, {"0": SIX, "1": np.array([1]), "2": empty})


@pytest.mark.parametrize("writer", [write_zip, write_legacy, write_safetensors])
def test_truncated_at_every_length(tmp_path, writer):
    path = example(writer, tmp_path / "w.pth")
    whole = path.read_bytes()
    assert "w" in read_state_dict(path)
    for length in reversed(range(len(whole))):
        os.truncate(path, length)  # much faster than to write it anew
        with pytest.raises(ValueError, match=r"w\.pth: "):
            read_state_dict(path)


@pytest.mark.parametrize("writer", [write_zip, write_legacy, write_safetensors])
def test_damaged_at_every_byte(tmp_path, writer):
    path = example(writer, tmp_path / "w.pth")
    whole = path.read_bytes()
    with open(path, "r+b", buffering=0) as stream:  # much faster than to write it anew
        for position, byte in enumerate(whole):
            for mask in (0x01, 0x80, 0xFF):
                os.pwrite(stream.fileno(), bytes([byte ^ mask]), position)
                with contextlib.suppress(ValueError):  # it may pass, as numbers do; nothing else may leave
                    read_state_dict(path)
            os.pwrite(stream.fileno(), bytes([byte]), position)
    assert path.read_bytes() == whole


def test_legacy_counts_are_checked(tmp_path):
    path = write_legacy(tmp_path / "w.pth", {"w": plain()}, {"0": SIX})
    whole = path.read_bytes()
    for count in (0, 5, 7, 10**12, -1):
        path.write_bytes(whole[:-32] + struct.pack("<q", count) + whole[-24:])
        with pytest.raises(ValueError, match="is not there with its 24 bytes"):
            read_state_dict(path)
    for keys in ({}, {"0": SIX, "1": SIX}, {"7": SIX}):
        with pytest.raises(ValueError, match="it lists"):
            read_state_dict(write_legacy(path, {"w": plain()}, keys))


def test_legacy_magic_and_keys_are_checked(tmp_path):
    path = tmp_path / "w.pth"
    for head in ([1, 1001], [0x1950A86A20F9469CFC6C, 1000], [(), ()]):
        path.write_bytes(b"".join(dumps(part) for part in [*head, {}, {}, []]))
        with pytest.raises(ValueError, match=r"not one of torch\.save"):
            read_state_dict(path)
    for keys in (5, "0", {"0": 1}, [0], [()]):
        head = [0x1950A86A20F9469CFC6C, 1001, {}, {}, keys]
        path.write_bytes(b"".join(dumps(part) for part in head))
        with pytest.raises(ValueError, match="not a list of names"):
            read_state_dict(path)


def test_zip_bombs(tmp_path):
    path = tmp_path / "w.pth"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", dumps({"w": plain(numel=10**6, shape=(10**6,))}))
        archive.writestr("archive/data/0", bytes(4 * 10**6))
    with pytest.raises(ValueError, match="legal are uncompressed entries"):
        read_state_dict(path)
    whole = write_zip(path, {"w": plain()}, {"0": SIX}).read_bytes()
    header = whole.index(b"PK\x01\x02", whole.index(b"PK\x01\x02") + 1)  # of archive/data/0
    for size in (1000 + len(whole), 3 << 30, 0xFFFFFFFE):
        declared = struct.pack("<II", size, size)
        path.write_bytes(whole[: header + 20] + declared + whole[header + 28 :])
        with pytest.raises(ValueError, match=rf"bytes in {len(whole)}"):
            read_state_dict(path)


def test_zip_entries_are_checked(tmp_path):
    path = tmp_path / "w.pth"
    for names in ([], ["archive/code.py"], ["a/data.pkl", "b/data.pkl"]):
        with zipfile.ZipFile(path, "w") as archive:
            for name in [*names, "other"]:
                archive.writestr(name, dumps({}))
        with pytest.raises(ValueError, match=r"entries data\.pkl"):
            read_state_dict(path)
    with pytest.raises(ValueError, match="archive/data/0"):
        read_state_dict(write_zip(path, {"w": plain()}, {}))
    whole = bytearray(write_zip(path, {"w": plain()}, {"0": SIX}).read_bytes())
    whole[whole.index(SIX.tobytes())] ^= 1
    path.write_bytes(whole)
    with pytest.raises(ValueError, match="CRC"):
        read_state_dict(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02" + bytes(statedict._MAX_PICKLE_BYTES))
    with pytest.raises(ValueError, match="bytes at most"):
        read_state_dict(path)


def test_files_over_the_limit(tmp_path, monkeypatch):
    monkeypatch.setattr(statedict, "MAX_BYTES", 100)
    with pytest.raises(ValueError, match=r"bytes; legal are 100 at most"):
        read_state_dict(write_zip(tmp_path / "w.pth", {"w": plain()}, {"0": SIX}))


def test_missing_files_folders_and_other_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.pth: no such file; legal is .*\.pth"):
        read_state_dict(tmp_path / "nowhere.pth")
    with pytest.raises(ValueError, match="not a file; legal is "):
        read_state_dict(tmp_path)
    path = tmp_path / "w.safetensors"
    for content in (b"", b"\n", b"not weights at all", b"\x89PNG\r\n\x1a\n" + bytes(99), bytes(99)):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"w\.safetensors: .*legal is .*\.safetensors"):
            read_state_dict(path)


def test_imports_stay_light():
    code = "import runpy, sys; runpy.run_path(sys.argv[1]); print(*sys.modules)"
    command = [sys.executable, "-c", code, statedict.__file__]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert not {"jax", "tensorflow", "torch", "flax"} & set(loaded)


# Files that torch itself wrote


@pytest.fixture(params=[True, False], ids=["zip", "legacy"])
def torch_save(request, tmp_path):
    torch = pytest.importorskip("torch", reason="compares with files that torch itself writes")

    def save(value, **options):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's own, on saving
            path, new = tmp_path / "w.pth", request.param
            torch.save(value, path, _use_new_zipfile_serialization=new, **options)
        return path

    return torch, save


def assert_equal_to_torch(arrays, tensors, torch):
    assert list(arrays) == list(tensors)
    for name, tensor in tensors.items():
        tensor, array = tensor.detach(), arrays[name]
        if tensor.dtype == torch.bfloat16:
            assert array.dtype == ml_dtypes.bfloat16
            tensor, array = tensor.float(), array.astype(np.float32)
        np.testing.assert_array_equal(array, tensor.numpy(), strict=True)


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_tensors_of_torch(torch_save, protocol):
    torch, save = torch_save
    base = torch.arange(24.0).reshape(2, 3, 4)
    tensors = {
        "base": base,
        "transposed": base.permute(2, 0, 1),
        "slice": base[1:, ::2, 1],
        "steps": torch.arange(10)[3::3],
        "scalar": torch.tensor(3),
        "empty": torch.zeros(0, 5),
        "bfloat16": torch.randn(3, 3).bfloat16().t(),
        "half": torch.randn(3).half(),
        "double": torch.randn(3).double(),
        "bool": torch.tensor([True, False]),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "complex": torch.randn(2, dtype=torch.complex64),
        "channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "parameter": torch.nn.Parameter(torch.randn(2, 2)),
    }
    path = save(tensors, pickle_protocol=protocol)
    assert_equal_to_torch(read_state_dict(path), tensors, torch)


def test_module_of_torch(torch_save):
    torch, save = torch_save
    module = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3, bias=False), torch.nn.BatchNorm2d(4), torch.nn.Linear(4, 2))
    tensors = module.state_dict()
    assert tensors._metadata
    arrays = read_state_dict(save(tensors))
    assert_equal_to_torch(arrays, tensors, torch)
    assert arrays["1.num_batches_tracked"].dtype == np.int64
    optimizer = torch.optim.Adam(module.parameters())
    checkpoint = {"epoch": 1, "state_dict": tensors, "optimizer": optimizer.state_dict()}
    assert_equal_to_torch(read_state_dict(save(checkpoint)), tensors, torch)


def test_whole_models_of_torch_are_refused(torch_save):
    torch, save = torch_save
    with pytest.raises(UnsafeWeightsError, match=r"torch\.nn\.modules\.linear\.Linear"):
        read_state_dict(save(torch.nn.Linear(2, 2)))
    with pytest.raises(ValueError, match="not plain numbers"):
        read_state_dict(save({"w": torch.randn(2, dtype=torch.complex64).conj()}))
    with pytest.raises(ValueError, match="do not fit"):
        read_state_dict(save({"w": torch.zeros(1).expand(10)}))


def test_truncated_files_of_torch(torch_save):
    torch, save = torch_save
    path = save(torch.nn.Linear(3, 2).state_dict())
    whole = path.read_bytes()
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"w\.pth: "):
            read_state_dict(path)


# Fetching

BODY = bytes(range(256)) * 5000
DIGEST = hashlib.sha256(BODY).hexdigest()


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path.startswith("/moved/"):
            self.send_response(302)
            self.send_header("Location", "/good/weights.pth")
            self.end_headers()
        elif not self.path.startswith(("/good/", "/cut/", "/unsized/")):
            self.send_error(404)
        else:
            self.send_response(200)
            if not self.path.startswith("/unsized/"):
                self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY[:-1000] if self.path.startswith("/cut/") else BODY)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    """A server on this machine; `server.url` is its address and `server.asked` what was asked."""
    monkeypatch.setenv("no_proxy", "*")
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked, server.url = [], f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def assert_two_lines(error, url):
    first, second = str(error.value).split("\n")
    assert url in first
    assert "--config.pretrained=PATH" in second and "--config.pretrained= to start" in second


@pytest.mark.parametrize("place", ["good", "moved", "unsized"])
def test_download_then_cached(server, tmp_path, capsys, place):
    folder = tmp_path / "new" / "folder"
    url = f"{server.url}/{place}/weights.pth?x=/y.pth"
    path = download(url, DIGEST[:8], folder)
    assert path == folder / "weights.pth" and path.read_bytes() == BODY
    assert os.listdir(folder) == ["weights.pth"]
    asked = len(server.asked)
    assert download(url, DIGEST, folder) == path
    assert len(server.asked) == asked  # no network for a good copy
    assert capsys.readouterr() == ("", "")  # no bar where stderr is not a terminal


def test_corrupted_copy_is_fetched_anew(server, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(BODY[:-1])
    assert download(f"{server.url}/good/weights.pth", DIGEST[:8], tmp_path) == path
    assert path.read_bytes() == BODY and len(server.asked) == 1


@pytest.mark.parametrize(
    ("place", "prefix", "reason"),
    [
        ("good", "f37072fd", f"its SHA-256 is {DIGEST}; it must begin with f37072fd"),
        ("missing", DIGEST[:8], "404"),
        ("cut", DIGEST[:8], f"ended after {len(BODY) - 1000} of {len(BODY)} bytes"),
    ],
)
@pytest.mark.parametrize("existing", [None, b"stale"])
def test_failures_leave_nothing(server, tmp_path, place, prefix, reason, existing):
    if existing:
        (tmp_path / "weights.pth").write_bytes(existing)
    url = f"{server.url}/{place}/weights.pth"
    with pytest.raises(DownloadError, match=reason) as error:
        download(url, prefix, tmp_path, progress=False)
    assert_two_lines(error, url)
    assert os.listdir(tmp_path) == (["weights.pth"] if existing else [])


def test_connection_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("no_proxy", "*")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/weights.pth"
    with pytest.raises(DownloadError) as error:
        download(url, DIGEST, tmp_path)
    assert_two_lines(error, url)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, TimeoutError, http.client.IncompleteRead(b"")])
def test_interrupted_downloads_leave_nothing(server, tmp_path, monkeypatch, stop):
    def update(*_):
        raise stop

    monkeypatch.setattr(caching.tqdm, "update", update)
    with pytest.raises(KeyboardInterrupt if stop is KeyboardInterrupt else DownloadError):
        download(f"{server.url}/good/weights.pth", DIGEST, tmp_path)
    assert not os.listdir(tmp_path)


def test_a_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DownloadError) as error:
        download(f"{server.url}/good/weights.pth", DIGEST, tmp_path / "file" / "folder")
    assert_two_lines(error, server.url)


def test_where_files_are_kept(server, tmp_path, monkeypatch):
    url = f"{server.url}/good/weights.pth"
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("COLORJAX_CACHE", raising=False)
    assert download(url, DIGEST) == tmp_path / "home/.cache/colorjax/weights.pth"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert download(url, DIGEST) == tmp_path / "xdg/colorjax/weights.pth"
    monkeypatch.setenv("COLORJAX_CACHE", str(tmp_path / "own"))
    assert download(url, DIGEST) == tmp_path / "own/weights.pth"


@pytest.mark.parametrize(
    ("url", "prefix"),
    [
        ("file:///etc/passwd", DIGEST),
        ("ftp://host/weights.pth", DIGEST),
        ("https://host/", DIGEST),
        ("https://host", DIGEST),
        ("https://host/folder/..", DIGEST),
        ("https://host/.hidden", DIGEST),
        ("https://host/weights.pth", ""),
        ("https://host/weights.pth", "f37072f"),
        ("https://host/weights.pth", "F37072FD"),
    ],
)
def test_illegal_arguments(tmp_path, url, prefix):
    with pytest.raises(ValueError, match=r"legal are http\(s\)://HOST/"):
        download(url, prefix, tmp_path)


def test_the_official_file():
    url, prefix = caching.RESNET18_URL, caching.RESNET18_SHA256_PREFIX
    assert url == "https://download.pytorch.org/models/resnet18-f37072fd.pth" and prefix in url
