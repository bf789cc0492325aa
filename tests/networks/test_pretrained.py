"""ImageNet's weights in the encoder: the same features as PyTorch's, and no file that only half fits goes unnoticed.

The golden features were computed once by tests/helpers/golden/make_resnet18.py; with torch installed they are computed anew.
"""

import functools
import re
from collections import OrderedDict
from pathlib import Path

import jax
import numpy as np
import pytest
import safetensors.numpy
from flax import nnx
from helpers.golden import make_resnet18 as golden
from helpers.torch_files import Tensor, write_zip

from colorjax.networks import pretrained, state, statedict
from colorjax.networks.resnet import GREY_MEAN, GREY_STD
from colorjax.science import color
from configs import base

SHARED = Path(__file__).parent.parent.parent / "shared" / "weights" / "resnet18-imagenet-stem-to-layer3.safetensors"


def settings(**changes):
    model = base.get_config().model
    model.update(stem="strided", dtype="float32", **changes)
    return model


def shapes_of(model):
    return jax.eval_shape(lambda: state.init_network(model, jax.random.key(0)))


def untouched(model=None):
    """(params, stats) of a network, every number -1: what pretrained weights must replace."""
    return jax.tree.map(lambda leaf: np.full(leaf.shape, -1, leaf.dtype), shapes_of(model or settings()))


@functools.cache
def encoder():
    """A compiled function (params, stats, grey) -> feature maps of the strided encoder."""
    graphdef = state.graphdef(settings())
    rest = jax.tree.map(np.asarray, untouched())

    @jax.jit
    def run(params, stats, luma):
        network = nnx.merge(graphdef, rest[0] | {"encoder": params}, rest[1] | {"encoder": stats})
        network.eval()
        return network.encoder(luma)

    def features(params, stats, grey):
        luma = (color.grey_to_lightness(grey) - 50) / 50
        return {stage: np.asarray(value[0]) for stage, value in run(params, stats, luma[None, ..., None]).items()}

    return features


@pytest.fixture(scope="module")
def weights():
    return golden.random_weights()


@pytest.fixture
def trees():
    """The encoder's (params, stats) to port into."""
    params, stats = untouched()
    return params["encoder"], stats["encoder"]


def difference(ours, theirs):
    return np.linalg.norm(ours - theirs) / np.linalg.norm(theirs)


# The same features as PyTorch


def test_features_are_those_of_torch(weights, trees):
    params, stats, left = pretrained.port(weights, *trees)
    assert left == []
    features = encoder()(params, stats, golden.random_grey())
    with np.load(golden.PATH) as stored:
        for stage, (channels, stride, _) in golden.STAGES.items():
            expected, places = stored[stage], golden.sample(stage)
            assert features[stage].shape == (golden.HEIGHT // stride, golden.WIDTH // stride, channels)
            assert expected.shape == (600,) and expected.std() > 0.5
            assert difference(features[stage][places], expected) < 1e-4, stage
            assert difference(features[stage][places[0], places[1] + 1, places[2]], expected) > 0.02, stage


def test_golden_file_is_small_and_seeded_alike(weights):
    """What both sides generate is generated alike: the first and the last numbers of each are written down here."""
    assert golden.PATH.stat().st_size < 300_000
    grey = golden.random_grey()
    assert grey.shape == (golden.HEIGHT, golden.WIDTH) and 0 <= grey.min() < 0.2 and 0.8 < grey.max() <= 1
    ends = weights["conv1.weight"].flat[0], weights["layer4.1.bn2.running_var"][-1], weights["fc.bias"][-1]
    np.testing.assert_allclose(ends, (-0.0057539563, 0.0135993864, 0.0122061651), rtol=1e-6)
    np.testing.assert_allclose((grey[0, 0], grey[-1, -1]), (0.603776455, 0.135150433), rtol=1e-6)


def compare_with_torch(weights, stages):
    params, stats = untouched()
    params, stats, left = pretrained.port(weights, params["encoder"], stats["encoder"])
    grey = golden.random_grey(seed=5, height=512, width=576)
    ours, theirs = encoder()(params, stats, grey), golden.torch_features(golden.random_weights() | weights, grey)
    for stage in stages:
        (top, bottom), (first, last) = golden.interior(stage, 512), golden.interior(stage, 576)
        inner = np.s_[top:bottom, first:last]
        assert ours[stage][inner].size > 1000
        assert difference(ours[stage][inner], theirs[stage][inner]) < 1e-4, stage
        assert difference(ours[stage], theirs[stage]) < 0.05, stage  # the border is padded with grey, nearly as torchvision
    return left


def test_features_are_those_of_torch_itself():
    pytest.importorskip("torch", reason="compares with features that torch computes")
    assert compare_with_torch(golden.random_weights(seed=3), golden.STAGES) == []


def test_features_of_imagenet_weights_are_those_of_torch_itself():
    pytest.importorskip("torch", reason="compares with features that torch computes")
    if not SHARED.exists():
        pytest.skip("needs ImageNet weights in ../shared/weights")
    assert compare_with_torch(statedict.read_state_dict(SHARED), list(golden.STAGES)[:-1]) == ["layer4"]


# Whole files


def write_pth(path, weights):
    """A file as torch.save(model.state_dict()) writes it, without torch."""
    tensors, storages = OrderedDict(), {}
    for number, (name, value) in enumerate(weights.items()):
        strides = tuple(step // value.itemsize for step in np.empty(value.shape, value.dtype).strides)
        kind = "Long" if value.dtype == np.int64 else "Float"
        tensors[name] = Tensor(str(number), kind, value.size, 0, value.shape, strides)
        storages[str(number)] = value
    return write_zip(path, tensors, storages)


def write_safetensors(path, weights):
    safetensors.numpy.save_file(weights, path)
    return path


@pytest.mark.parametrize("writer, suffix", [(write_pth, "pth"), (write_safetensors, "safetensors")])
def test_a_file_replaces_all_of_the_encoder_and_nothing_else(tmp_path, capsys, weights, writer, suffix):
    path = writer(tmp_path / f"w.{suffix}", weights)
    before_params, before_stats = untouched()
    params, stats, left = pretrained.load_encoder(str(path), before_params, before_stats)
    path.unlink()  # 45 MB
    assert left == [] and capsys.readouterr() == ("", "")
    for before, after in ((before_params, params), (before_stats, stats)):
        assert jax.tree.map(np.shape, after) == jax.tree.map(np.shape, before)
        for name in before:
            unchanged = set(
                jax.tree.leaves(jax.tree.map(lambda a, b: bool((np.asarray(a) == b).any()), after[name], before[name]))
            )
            assert unchanged == {name != "encoder"}, name
        assert all((leaf == -1).all() for leaf in jax.tree.leaves(before))  # the given trees are left as they were
    kernel = params["encoder"]["layer3"]["block0"]["shortcut"]["kernel"]
    np.testing.assert_array_equal(kernel[0, 0, 5], weights["layer3.0.downsample.0.weight"][:, 5, 0, 0])
    np.testing.assert_array_equal(params["encoder"]["layer4"]["block1"]["bn2"]["scale"], weights["layer4.1.bn2.weight"])
    np.testing.assert_array_equal(stats["encoder"]["layer2"]["block1"]["bn1"]["var"], weights["layer2.1.bn1.running_var"])
    np.testing.assert_array_equal(stats["encoder"]["bn1"]["mean"], weights["bn1.running_mean"])


def test_the_official_file_is_fetched(monkeypatch, tmp_path, weights):
    path = write_safetensors(tmp_path / "w.safetensors", weights)
    asked = []
    monkeypatch.setattr(pretrained.caching, "download", lambda *arguments: asked.append(arguments) or path)
    params, _, left = pretrained.load_encoder("torchvision", *untouched())
    assert left == [] and asked == [("https://download.pytorch.org/models/resnet18-f37072fd.pth", "f37072fd")]
    np.testing.assert_array_equal(params["encoder"]["bn1"]["bias"], weights["bn1.bias"])


def test_a_home_folder_is_understood(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=str(tmp_path / "nowhere.pth")):
        pretrained.load_encoder("~/nowhere.pth", *untouched())


def test_a_file_without_layer4_says_so_loudly(tmp_path, capsys, weights):
    part = {name: value for name, value in weights.items() if not name.startswith(("layer4", "fc"))}
    path = write_safetensors(tmp_path / "part.safetensors", part)
    params, stats, left = pretrained.load_encoder(str(path), *untouched(settings(guided=True)))
    out, err = capsys.readouterr()
    assert left == ["layer4"] and out == ""
    assert "part.safetensors" in err and "no layer4" in err and "random" in err and err.count("\n") == 1
    for tree in (params, stats):
        assert all((leaf == -1).all() for leaf in jax.tree.leaves(tree["encoder"]["layer4"]))
        assert not any((leaf == -1).all() for leaf in jax.tree.leaves(tree["encoder"]["layer3"]))
    assert (params["encoder"]["hints"]["kernel"] == -1).all()  # torchvision's network takes none


def test_the_shared_imagenet_weights(capsys):
    if not SHARED.exists():
        pytest.skip("needs ImageNet weights in ../shared/weights")
    params, _, left = pretrained.load_encoder(str(SHARED), *untouched())
    assert left == ["layer4"] and "layer4" in capsys.readouterr().err
    kernel = np.asarray(params["encoder"]["conv1"]["kernel"])
    assert kernel.shape == (7, 7, 1, 64) and 0.01 < kernel.std() < 1


# Files that do not fit


@pytest.mark.parametrize("extra", ["fc.weight", "fc.bias", "bn1.num_batches_tracked", "layer4.1.bn2.num_batches_tracked"])
def test_what_the_encoder_does_not_have_is_ignored(weights, trees, extra):
    """Absent, or of any shape."""
    assert extra in weights
    for changed in ({k: v for k, v in weights.items() if k != extra}, weights | {extra: np.zeros((3, 5))}):
        params, _, left = pretrained.port(changed, *trees)
        assert left == [] and not (np.asarray(params["layer4"]["block1"]["bn2"]["bias"]) == -1).any()


def test_every_fault_is_named_at_once(weights, trees):
    missing = ["bn1.running_var", "layer2.0.downsample.0.weight", "layer4.1.bn2.bias"]
    misshapen = {"layer1.0.conv1.weight": (64, 64, 5, 5), "layer3.1.bn1.weight": (1,), "layer4.0.conv2.weight": (512, 512)}
    faulty = {name: value for name, value in weights.items() if name not in missing}
    faulty |= {name: np.zeros(shape, np.float32) for name, shape in misshapen.items()}
    with pytest.raises(ValueError) as error:
        pretrained.port(faulty, *trees)
    _, *lines = str(error.value).split("\n")
    assert [line.split()[0] for line in lines] == sorted([*missing, *misshapen])
    for name, shape in misshapen.items():
        assert f"{name} has shape {shape}" in str(error.value)
    for name in missing:
        assert f"{name} is missing" in str(error.value)


def test_a_missing_stem_kernel_is_named(weights, trees):
    with pytest.raises(ValueError, match=r"conv1\.weight is missing$"):
        pretrained.port({name: value for name, value in weights.items() if name != "conv1.weight"}, *trees)


@pytest.mark.parametrize(
    "shape",
    [(64, 4, 7, 7), (64,), (64, 1, 7, 7), (64, 3, 3, 3), (32, 3, 7, 7), (64, 3, 7), (64, 3)],
)
def test_a_misshapen_stem_kernel_is_named_with_its_shape(weights, trees, shape):
    with pytest.raises(ValueError, match=rf"do not fit:\n(.*\n)*  conv1\.weight has shape {re.escape(str(shape))}"):
        pretrained.port(weights | {"conv1.weight": np.zeros(shape, np.float32)}, *trees)


@pytest.mark.parametrize("name", ["foo.bar", "module.conv1.weight", "features.0.weight"])
def test_other_files_are_refused(tmp_path, name):
    path = write_safetensors(tmp_path / "w.safetensors", {name: np.zeros((64, 3, 7, 7), np.float32)})
    with pytest.raises(ValueError, match=rf"not the weights of a ResNet-18.*{name}"):
        pretrained.load_encoder(str(path), *untouched())


def test_networks_that_cannot_take_them_are_refused():
    with pytest.raises(ValueError, match=r"pretrained='w\.pth' needs model\.name=resnet_unet"):
        pretrained.load_encoder("w.pth", *untouched(settings(name="shallow")))
    with pytest.raises(ValueError, match=r"pretrained='w\.pth' needs model\.width=64 .*not 32"):
        pretrained.load_encoder("w.pth", *untouched(settings(width=32)))


# The stem on one channel


@pytest.mark.parametrize("grey", [0.0, 0.2, GREY_MEAN, 1.0])
def test_fold_stem_answers_grey_alike(grey):
    """Where the kernel does not reach over the border, the folded stem is torchvision's: a constant grey has one answer."""
    kernel = np.random.default_rng(0).normal(size=(64, 3, 7, 7)).astype(np.float32)
    folded, bias = pretrained.fold_stem(kernel)
    assert (folded.shape, bias.shape, folded.dtype, bias.dtype) == ((64, 1, 7, 7), (64,), np.float32, np.float32)
    normalised = (grey - pretrained.IMAGENET_MEAN) / pretrained.IMAGENET_STD
    expected = np.einsum("ocij,c->o", kernel.astype(np.float64), normalised)
    np.testing.assert_allclose(folded.sum((1, 2, 3)) * (grey - GREY_MEAN) / GREY_STD + bias, expected, atol=1e-4)


def test_fold_stem_in_the_encoder(weights, trees):
    """The encoder's own answer to a constant grey picture is one value per channel, the one computed by hand."""
    params, stats, _ = pretrained.port(weights, *trees)
    level = 0.7
    stem = encoder()(params, stats, np.full((64, 64), level, np.float32))["stem"][2:-2, 2:-2]
    np.testing.assert_allclose(stem, np.broadcast_to(stem[:1, :1], stem.shape), atol=1e-5)
    normalised = (level - pretrained.IMAGENET_MEAN) / pretrained.IMAGENET_STD
    z = np.einsum("ocij,c->o", weights["conv1.weight"].astype(np.float64), normalised)
    z = (z - weights["bn1.running_mean"]) / np.sqrt(weights["bn1.running_var"] + 1e-5) * weights["bn1.weight"] + weights[
        "bn1.bias"
    ]
    np.testing.assert_allclose(stem[5, 5], np.maximum(z, 0), atol=1e-4)
    assert (z > 0).sum() > 10
