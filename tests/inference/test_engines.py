"""ONNX Runtime and exported files answer as JAX does."""

import functools
import json
import sys
from pathlib import Path

import jax
import numpy as np
import onnx
import onnxruntime
import pytest
import skimage.data
from jax import export
from PIL import Image

from colorjax import Colorizer, checkpoint, cli
from colorjax.archive import colorize_cluster
from colorjax.archive.plan import Options
from colorjax.inference import engines, exports, onnx_graph
from colorjax.networks import state
from configs import base

SHAPES = [(3, 33, 47), (1, 1, 40)]


@functools.cache
def network(name="resnet_unet", stem="strided", dtype="auto", seed=0, answer=1, guided=False):
    """Random, with statistics of BatchNorm that are not those of the start, and colours that are not grey.

    Its numbers come from NumPy because XLA takes seconds to compile Flax's initialisers.
    """
    config = base.get_config()
    config.image_size = 64
    config.model.update(name=name, stem=stem, width=8, dtype=dtype, answer=answer, guided=guided)
    rng = np.random.default_rng(seed)

    def random(path, leaf):
        if leaf.ndim > 1:
            return np.float32(rng.normal(0, (2 / np.prod(leaf.shape[:-1])) ** 0.5, leaf.shape))
        middle = float(path[-1].key in ("scale", "var"))
        return np.float32(middle * rng.uniform(0.5, 1.5, leaf.shape) + rng.uniform(-0.05, 0.05, leaf.shape))

    shapes = jax.eval_shape(lambda: state.init_network(config.model, jax.random.key(seed)))
    params, stats = jax.tree_util.tree_map_with_path(random, shapes)
    return checkpoint.Network(config.lock(), params, stats, Path("random"), "0" * 64)


NETWORKS = {"full": ("resnet_unet", "full"), "strided": ("resnet_unet", "strided"), "shallow": ("shallow", "full")}


@pytest.fixture(scope="module")
def release(tmp_path_factory):
    folder = tmp_path_factory.mktemp("release") / "weights"
    checkpoint.export(network(), folder)
    return folder


@pytest.fixture(scope="module")
def shallow(tmp_path_factory):
    """A network that is quickly compiled."""
    folder = tmp_path_factory.mktemp("shallow") / "weights"
    checkpoint.export(network(*NETWORKS["shallow"]), folder)
    return folder


def luma(shape, seed=0):
    picture = np.random.default_rng(seed).uniform(-1, 1, (*shape, 1)).astype(np.float32)
    picture[0, 0, 0], picture[-1, -1, -1] = -1, 1
    return picture


@pytest.mark.parametrize("which", NETWORKS)
def test_onnx_answers_as_jax(which):
    one = network(*NETWORKS[which])
    by_jax, by_onnx = (engines.make(one, name).predict for name in ("jax", "onnx"))
    for shape in SHAPES:
        expected, answer = by_jax(luma(shape)), by_onnx(luma(shape))
        assert answer.shape == (*shape, 2) and answer.dtype == np.float32
        assert np.abs(answer - expected).max() < 1e-3
        assert shape[1] == 1 or expected.std() > 0.01
    np.testing.assert_array_equal(by_onnx(luma(SHAPES[0])), by_onnx(luma(SHAPES[0])))


@pytest.mark.parametrize("kind", ["onnx", "stablehlo"])
@pytest.mark.parametrize("which", ["full", "shallow"])
def test_exported_files_answer_as_jax_at_any_size(which, kind, tmp_path):
    one = network(*NETWORKS[which])
    size, difference = exports.write(one, tmp_path / "net", kind)
    # Each is within 8e-5 of float64 on this network, whose random numbers swell what is rounded.
    assert size == (tmp_path / "net").stat().st_size and difference < 1.6e-4
    by_jax = engines.make(one, "jax").predict
    if kind == "onnx":
        session = onnxruntime.InferenceSession(tmp_path / "net", providers=["CPUExecutionProvider"])

        def predict(given):
            return np.moveaxis(session.run(["chroma"], {"luma": np.moveaxis(given, -1, 1)})[0], 1, -1)

    else:
        predict = export.deserialize(bytearray((tmp_path / "net").read_bytes())).call
    assert np.abs(predict(luma(SHAPES[0], 1)) - by_jax(luma(SHAPES[0], 1))).max() < 1e-3


def test_an_onnx_file_says_what_it_is(tmp_path):
    exports.write(network(), tmp_path / "net.onnx", "onnx")
    model = onnx.load(tmp_path / "net.onnx")
    onnx.checker.check_model(model, full_check=True)
    about = {entry.key: entry.value for entry in model.metadata_props}
    assert about["weights_sha256"] == "0" * 64 and about["image_size"] == "64"
    dims = [dim.dim_param or dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert dims == ["batch", 1, "height", "width"]
    assert {node.op_type for node in model.graph.node}.isdisjoint({"BatchNormalization", "Transpose"})


def test_a_network_trained_in_bfloat16_is_exported_in_float32(tmp_path):
    one, other = network(*NETWORKS["shallow"], dtype="bfloat16"), network(*NETWORKS["shallow"])
    exports.write(one, tmp_path / "net", "stablehlo")
    answer = export.deserialize(bytearray((tmp_path / "net").read_bytes())).call(luma((1, 32, 32)))
    np.testing.assert_allclose(answer, engines.make(other, "jax").predict(luma((1, 32, 32))), atol=1e-5)


def test_a_file_that_answers_otherwise_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_graph.Graph, "relu", lambda graph, x: graph.node("Abs", x))
    with pytest.raises(FloatingPointError, match=r"answers otherwise than JAX, by .*it was not written"):
        exports.write(network(*NETWORKS["shallow"]), tmp_path / "net", "onnx")
    assert not any(tmp_path.iterdir())


def test_what_is_there_is_not_overwritten(tmp_path):
    (tmp_path / "net").write_text("mine")
    with pytest.raises(checkpoint.CheckpointError, match="net is there already"):
        exports.write(network(), tmp_path / "net", "onnx")
    assert (tmp_path / "net").read_text() == "mine"
    with pytest.raises(ValueError, match="format 'tflite' is unknown; legal are onnx, stablehlo, safetensors"):
        exports.write(network(), tmp_path / "other", "tflite")


def test_auto_takes_the_faster_engine_that_is_there(monkeypatch):
    on_onnx = {"platform": "cpu", "kind": "cpu", "engine": "onnx", "onnxruntime": onnxruntime.__version__}
    assert engines.make(network()).about == on_onnx
    assert engines.make(network(dtype="bfloat16")).about == {"engine": "jax"}
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert engines.make(network()).name == "jax"
    monkeypatch.undo()
    for package in ("onnx", "onnxruntime"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, package, None)
            assert engines.make(network()).name == "jax"
    monkeypatch.setattr(onnx_graph, "build", lambda *_, **__: int("no number"))
    with pytest.raises(ValueError, match="invalid literal"):  # a mistake is not passed over as if a package were missing
        engines.make(network())


def test_an_engine_that_is_not_there_is_named(monkeypatch):
    with pytest.raises(ValueError, match="engine='tpu' is unknown; legal are auto, jax, onnx"):
        engines.make(network(), "tpu")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(engines.MissingPackageError, match=r"onnxruntime is missing: pip install 'colorjax\[onnx\]'"):
        engines.make(network(), "onnx")


def test_colours_do_not_depend_on_the_engine(release):
    grey = skimage.data.camera()
    by_jax, by_onnx = (Colorizer.from_checkpoint(release, engine=name)(grey) for name in ("jax", "onnx"))
    assert np.abs(by_jax.astype(int) - by_onnx).max() <= 2
    assert np.ptp(by_jax, axis=-1).mean() > 2


@pytest.mark.parametrize("engine", ["auto", "jax", "onnx"])
def test_the_engine_asked_for_is_the_one_that_colours(shallow, tmp_path, engine):
    Image.fromarray(skimage.data.camera()[:200, :150]).save(tmp_path / "old.png")
    common = ["--ckpt", str(shallow), "--out", str(tmp_path / "out"), "--engine", engine, "--flip", "--uncertainty"]
    assert cli.main(["colorize", str(tmp_path / "old.png"), *common]) == 0
    said = json.loads((tmp_path / "out" / "old.colorized.png.json").read_text())["device"]
    assert said["engine"] == engine.replace("auto", "onnx")
    worker = colorize_cluster.Worker(colorize_cluster.Setup(str(shallow), None, False, Options(), engine))
    assert worker._colorizer.engine.name == said["engine"]


def test_export_from_the_command_line(shallow, tmp_path, capsys):
    assert cli.main(["export", "--ckpt", str(shallow), "--out", str(tmp_path / "onnx"), "--format", "onnx"]) == 0
    assert "MB; its chroma is JAX's within" in capsys.readouterr().out
    assert cli.main(["export", "--ckpt", str(shallow), "--out", str(tmp_path / "onnx"), "--format", "onnx"]) == 2
    with pytest.raises(SystemExit):
        cli.main(["export", "--ckpt", str(shallow), "--out", str(tmp_path / "x"), "--format", "tflite"])
