"""`colorjax export --format safetensors`: names, layouts and numbers as PyTorch has them."""

import json

import jax
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx
from helpers.console import run
from test_engines import NETWORKS, luma, network

from colorjax import checkpoint
from colorjax.inference import engines, exports, torch_layout
from colorjax.networks.convolution import Conv, Double


@pytest.mark.parametrize("name", NETWORKS)
def test_what_is_written_comes_back(tmp_path, name):
    one = network(*NETWORKS[name])
    size, difference = exports.write(one, tmp_path / "net.safetensors", "safetensors")
    named = safetensors.numpy.load_file(tmp_path / "net.safetensors")
    assert (tmp_path / "net.safetensors").stat().st_size == size and difference == 0
    assert all(value.dtype == np.float32 for value in named.values())
    params, stats = torch_layout.trees(named, one.params, one.stats)
    for ours, theirs in ((params, one.params), (stats, one.stats)):
        assert jax.tree.structure(ours) == jax.tree.structure(theirs)
        jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_names_and_shapes_are_those_of_torchvision():
    one = network()  # width 8
    named = torch_layout.tensors(one.params, one.stats)
    for name, shape in {
        "encoder.conv1.weight": (8, 1, 7, 7),
        "encoder.bn1.running_var": (8,),
        "encoder.layer1.0.conv1.weight": (8, 8, 3, 3),
        "encoder.layer2.0.downsample.0.weight": (16, 8, 1, 1),
        "encoder.layer2.0.downsample.1.running_mean": (16,),
        "encoder.layer4.1.bn2.weight": (64,),
        "up3.up.weight": (64, 32, 2, 2),  # transposed: in, out
        "up3.conv1.weight": (32, 64, 3, 3),
        "up_luma.conv1.weight": (2, 3, 3, 3),
        "head.weight": (2, 2, 3, 3),
    }.items():
        assert named[name].shape == shape, name
    leaves = jax.tree.leaves((one.params, one.stats))
    assert len(named) == len(leaves) and sum(v.size for v in named.values()) == sum(np.size(leaf) for leaf in leaves)


def test_a_convolution_is_that_of_torch():
    layer = Conv(2, 3, (3, 3), dtype=np.float32, rngs=nnx.Rngs(0))
    x, params = np.random.default_rng(0).normal(size=(1, 5, 6, 2)).astype(np.float32), nnx.to_pure_dict(nnx.state(layer))
    weight, bias = (torch_layout.tensors({"conv": params}, {})[f"conv.{name}"] for name in ("weight", "bias"))
    padded = np.pad(x[0].transpose(2, 0, 1), ((0, 0), (1, 1), (1, 1)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))
    expected = np.einsum("cijab,ocab->oij", windows, weight) + bias[:, None, None]  # torch.nn.functional.conv2d, padding=1
    np.testing.assert_allclose(np.asarray(layer(x))[0].transpose(2, 0, 1), expected, atol=1e-5)


def test_a_transposed_convolution_is_that_of_torch():
    layer = Double(2, 3, dtype=np.float32, rngs=nnx.Rngs(0))
    x, params = np.random.default_rng(0).normal(size=(1, 4, 5, 2)).astype(np.float32), nnx.to_pure_dict(nnx.state(layer))
    weight, bias = (torch_layout.tensors({"up": params}, {})[f"up.{name}"] for name in ("weight", "bias"))
    spread = np.einsum("ijc,coab->oiajb", x[0], weight)  # torch.nn.functional.conv_transpose2d, stride=2
    expected = spread.reshape(3, 8, 10) + bias[:, None, None]
    np.testing.assert_allclose(np.asarray(layer(x))[0].transpose(2, 0, 1), expected, atol=1e-5)


def test_what_does_not_fit_is_named():
    one = network(*NETWORKS["shallow"])
    named = torch_layout.tensors(one.params, one.stats)
    with pytest.raises(ValueError, match="nothing in the network is called other"):
        torch_layout.trees(named | {"other": np.zeros(1)}, one.params, one.stats)
    with pytest.raises(ValueError, match=r"head\.bias has shape \(5,\), which does not become \(2,\)"):
        torch_layout.trees(named | {"head.bias": np.zeros(5)}, one.params, one.stats)


def test_the_command_writes_a_file_that_says_what_it_is(tmp_path, capsys):
    checkpoint.export(network(*NETWORKS["shallow"]), tmp_path / "weights")
    path = tmp_path / "net.safetensors"
    code, out, _ = run(capsys, "export", "--ckpt", tmp_path / "weights", "--format", "safetensors", "--out", path)
    assert code == 0 and out.endswith("its chroma is JAX's within 0\n")
    with safetensors.safe_open(path, "numpy") as stream:
        about = stream.metadata()
    assert about["format"] == "pt" and about["image_size"] == "64" and json.loads(about["model"])["name"] == "shallow"


@pytest.mark.parametrize(
    ("name", "answer", "guided"), [("full", 1, False), ("strided", 1, False), ("strided", 4, False), ("strided", 4, True)]
)
def test_the_twin_in_torch_answers_as_jax_does(tmp_path, name, answer, guided):
    torch = pytest.importorskip("torch", reason="loads the file into the twin of benchmarks/speed/torch_unet.py")
    from benchmarks.speed import torch_unet

    one = network(*NETWORKS[name], dtype="float32", answer=answer, guided=guided)
    exports.write(one, tmp_path / "net.safetensors", "safetensors")
    net = torch_unet.read(tmp_path / "net.safetensors")
    x = luma((2, 64, 96))
    with torch.no_grad():
        answer = net(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())).numpy().transpose(0, 2, 3, 1)
    hints = [np.zeros((*x.shape[:3], 3), np.float32)] if guided else []
    np.testing.assert_allclose(answer, engines.make(one, "jax").predict(x, *hints), atol=2e-4)
