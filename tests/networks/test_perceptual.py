"""Perceptual distances: as the lpips package, with finite gradients, and with errors that name what is missing."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from helpers.tiny import config as tiny

from colorjax.networks import perceptual, pretrained
from colorjax.science import color
from colorjax.training import losses

SHARED = Path(__file__).parent.parent.parent / "shared"
PHOTOS, WEIGHTS = SHARED / "photos", SHARED / "weights"
CHANNELS = {"alex": (64, 192, 384, 256, 256), "squeeze": (64, 128, 256, 384, 384, 512, 512)}


def random_trunk(net, seed=0):
    """A state dict with torchvision's keys, at random."""
    rng = np.random.default_rng(seed)
    if net == "alex":
        convs = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
        shapes = {f"features.{layer}": (cout, cin, size, size) for layer, (cout, cin, size) in convs.items()}
    else:
        shapes = {"features.0": (64, 3, 3, 3)}
        cin = 64
        for layer, narrow, wide in zip(
            (3, 4, 6, 7, 9, 10, 11, 12), (16, 16, 32, 32, 48, 48, 64, 64), (64, 64, 128, 128, 192, 192, 256, 256), strict=True
        ):
            shapes[f"features.{layer}.squeeze"] = (narrow, cin, 1, 1)
            shapes[f"features.{layer}.expand1x1"] = (wide, narrow, 1, 1)
            shapes[f"features.{layer}.expand3x3"] = (wide, narrow, 3, 3)
            cin = 2 * wide
    weights = {}
    for key, shape in shapes.items():
        weights[f"{key}.weight"] = rng.normal(0, np.sqrt(2 / np.prod(shape[1:])), shape).astype(np.float32)
        weights[f"{key}.bias"] = rng.normal(0, 0.1, shape[0]).astype(np.float32)
    return weights


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Random trunks and linear weights of both nets, in the four files that a user would have."""
    path = tmp_path_factory.mktemp("weights")
    rng = np.random.default_rng(1)
    for net, channels in CHANNELS.items():
        safetensors.numpy.save_file(random_trunk(net), path / f"{net}-trunk.safetensors")
        lin = {f"lin{i}.model.1.weight": rng.random((1, c, 1, 1), dtype=np.float32) for i, c in enumerate(channels)}
        safetensors.numpy.save_file(lin, path / f"{net}.safetensors")
    (path / "notes.txt").write_text("not weights")
    return path


def pictures(size=48, seed=0):
    return np.random.default_rng(seed).random((2, size, size + 5, 3), dtype=np.float32)


def test_found_by_folder_and_by_files(folder, tmp_path):
    assert list(perceptual.find(str(folder))) == ["alex", "squeeze"]
    two = f"{folder}/alex-trunk.safetensors, {folder}/alex.safetensors"
    assert list(perceptual.find(two)) == ["alex"]
    with pytest.raises(ValueError, match=r"LPIPS\(squeeze\) are not there; it holds those of alex"):
        perceptual.lpips("squeeze", two)
    with pytest.raises(ValueError, match=r"LPIPS\(alex\) are not there; it holds those of no net"):
        perceptual.lpips("alex", str(tmp_path))
    with pytest.raises(OSError, match="nowhere"):
        perceptual.find("nowhere.pth")


@pytest.mark.parametrize("net", CHANNELS)
def test_distance(folder, net):
    """0 for equal pictures, symmetric, more for what differs more, and one value per picture."""
    network = perceptual.lpips(net, str(folder))
    distance = jax.jit(network.distance)
    one = pictures()
    near, far = np.clip(one + 0.02, 0, 1), pictures(seed=1)
    assert np.abs(distance(network.weights, one, one)).max() < 1e-12
    nearly, much = distance(network.weights, one, near), distance(network.weights, one, far)
    assert (nearly > 0).all() and (nearly < much).all()
    np.testing.assert_allclose(much, distance(network.weights, far, one), rtol=1e-5)
    np.testing.assert_allclose(distance(network.weights, one[1:], far[1:])[0], much[1], rtol=1e-5)


def test_gradient_is_finite_everywhere(folder):
    """Black and white make whole maps of zeros, where the length of a feature vector has no gradient."""
    network = perceptual.lpips("alex", str(folder))
    weights = jax.tree.map(jnp.asarray, network.weights)
    weights["net"]["0.bias"] = weights["net"]["0.bias"] - 100  # every first feature is 0
    flat = np.zeros((2, 40, 40, 3), np.float32) + np.float32([0, 1]).reshape(2, 1, 1, 1)
    other = pictures(40)[:, :, :40]
    gradient = jax.jit(jax.grad(lambda x: network.distance(weights, x, other).sum()))(flat)
    assert np.isfinite(gradient).all()


def test_pictures_too_small_for_its_maps_are_refused(folder):
    network = perceptual.lpips("alex", str(folder))
    small = np.zeros((1, 31, 64, 3), np.float32)
    with pytest.raises(ValueError, match=r"alex needs pictures of 32 pixels or more, not \(31, 64\)"):
        network.distance(network.weights, small, small)


@pytest.mark.parametrize("net", CHANNELS)
@pytest.mark.parametrize("size", [32, 37, 64])
def test_as_the_lpips_package(net, size):
    """Its own linear weights, from its own file, around a random trunk."""
    pytest.importorskip("torch", reason="compares with what the lpips package computes")
    compare_with_package(net, random_trunk(net, seed=size), pictures(size))


def compare_with_package(net, weights, pair):
    import importlib.util

    import torch

    if importlib.util.find_spec("lpips") is None:
        pytest.skip("compares with the lpips package, which is not installed")
    from helpers.golden import torch_lpips

    theirs = torch_lpips.package(net, torch_lpips.trunk(net, weights))
    lin = Path(importlib.util.find_spec("lpips").origin).parent / "weights" / "v0.1" / f"{net}.pth"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(perceptual, "_files", lambda path: [Path("trunk"), lin])
        read = perceptual.statedict.read_state_dict
        patch.setattr(perceptual.statedict, "read_state_dict", lambda p: weights if p.name == "trunk" else read(p))
        ours = perceptual.lpips(net, "both")
    one, other = pair
    tensors = [torch.tensor(p.transpose(2, 0, 1)[None] * 2 - 1) for p in (one, other)]
    with torch.no_grad():
        expected = float(theirs(*tensors).squeeze())
    value = float(jax.jit(ours.distance)(ours.weights, one[None], other[None])[0])
    assert value == pytest.approx(expected, abs=1e-4) and (expected > 0.01 or np.array_equal(one, other))
    return value


# With ImageNet's weights


def needs_shared():
    if not (WEIGHTS.exists() and PHOTOS.exists()):
        pytest.skip("needs the photographs and weights in ../shared")


@pytest.mark.parametrize(("net", "published"), [("alex", 0.206), ("squeeze", 0.195)])
def test_a_photograph_against_its_grey_version(net, published):
    """100 photographs by hash; the published mean is of 20 others, so it is met within a tenth (300: 0.207 and 0.195)."""
    needs_shared()
    network = perceptual.lpips(net, str(WEIGHTS))
    distance = jax.jit(network.distance)
    values = [float(distance(network.weights, *(x[None] for x in pair))[0]) for pair in with_grey(100)]
    assert np.mean(values) == pytest.approx(published, rel=0.1)


def with_grey(count):
    from PIL import Image, ImageOps

    from colorjax.data.sources import unit_hash

    for path in sorted(PHOTOS.glob("*/*.webp"), key=lambda p: unit_hash(p.name))[:count]:
        with Image.open(path) as image:
            rgb = np.asarray(ImageOps.fit(image.convert("RGB"), (256, 256)), np.float32) / 255
        grey = color.lightness_to_grey(color.rgb_to_lab(rgb)[..., 0])
        yield rgb, np.repeat(grey[..., None], 3, axis=-1)


@pytest.mark.parametrize("net", CHANNELS)
def test_imagenet_weights_as_the_lpips_package(net):
    pytest.importorskip("torch", reason="compares with what the lpips package computes")
    needs_shared()
    file = {"alex": "alexnet-features-torchvision", "squeeze": "squeezenet1_1-features-torchvision"}[net]
    weights = safetensors.numpy.load_file(WEIGHTS / f"{file}.safetensors")
    for pair in with_grey(4):
        compare_with_package(net, weights, pair)


# ResNet-18


@pytest.fixture(scope="module")
def resnet(tmp_path_factory):
    from helpers.golden import make_resnet18 as golden

    path = tmp_path_factory.mktemp("resnet") / "resnet18.safetensors"
    safetensors.numpy.save_file(golden.random_weights(), path)
    return path


def test_rgb_encoder_gives_for_grey_what_the_folded_one_gives(resnet):
    """The port of the one-channel stem is tested against torch; on grey pictures both nets must agree."""
    from flax import nnx

    from colorjax.networks import state
    from colorjax.networks.resnet import ResNetEncoder

    network = perceptual.resnet18(str(resnet))
    lightness = np.linspace(10, 90, 64 * 64, dtype=np.float32).reshape(1, 64, 64, 1)
    grey = np.repeat(color.lightness_to_grey(lightness), 3, axis=-1)
    maps = jax.jit(network.features)(network.weights["net"], (grey - pretrained.IMAGENET_MEAN) / pretrained.IMAGENET_STD)
    config = tiny(model__width=64)
    shapes = jax.eval_shape(lambda: state.init_network(config.model, jax.random.key(0)))
    params, stats, _ = pretrained.load_encoder(str(resnet), *jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), shapes))
    shape = nnx.eval_shape(lambda: ResNetEncoder(width=64, stem="strided", dtype=jnp.float32, rngs=nnx.Rngs(0)))
    graphdef = nnx.split(shape, nnx.Param, ...)[0]

    @jax.jit
    def folded(params, stats, luma):
        encoder = nnx.merge(graphdef, params, stats)
        encoder.eval()
        return encoder(luma)

    expected = folded(params["encoder"], stats["encoder"], (lightness - 50) / 50)
    for ours, name in zip(maps[:2], ("stem", "layer1"), strict=False):
        inside = np.s_[0, 8:-8, 8:-8] if name == "stem" else np.s_[0, 6:-6, 6:-6]  # the border is padded differently
        np.testing.assert_allclose(ours[inside], expected[name][inside], rtol=1e-3, atol=1e-3)


def test_a_file_without_the_stem_is_refused(resnet, tmp_path):
    weights = safetensors.numpy.load_file(resnet)
    some = {key: value for key, value in weights.items() if key.startswith("layer4")}
    safetensors.numpy.save_file(some, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="has no stem, layer1, layer2, layer3"):
        perceptual.resnet18(str(tmp_path / "w.safetensors"))


@pytest.mark.parametrize("net", ["resnet18", "squeeze"])
def test_the_perceptual_term_of_a_loss(net, resnet, folder):
    """It is added with its weight, told by name, and 0 for a perfect prediction; resnet18 falls back on `pretrained`."""
    changes = {"loss__perceptual_net": net, "pretrained": str(resnet), "lpips_weights": str(folder)}
    loss = losses.reconstruction(tiny(loss__perceptual=0.5, **changes), np.zeros(0))
    rng = np.random.default_rng(0)
    luma = rng.uniform(-0.2, 0.2, (2, 32, 32, 1)).astype(np.float32)
    target = rng.uniform(-0.1, 0.1, (2, 32, 32, 2)).astype(np.float32)
    run = jax.jit(loss)
    total, terms = run(loss.frozen, luma, 0.5 * target, target)
    plain = losses.l1(0.5 * target, target)
    assert (terms["perceptual"] > 0).all()
    np.testing.assert_allclose(total, plain + 0.5 * terms["perceptual"], rtol=1e-5)
    total, terms = run(loss.frozen, luma, target, target)
    assert float(jnp.abs(total).max()) < 1e-6 and float(terms["perceptual"].max()) < 1e-6
