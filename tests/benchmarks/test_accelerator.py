"""Ten minutes on an accelerator: packs, what must be installed, the clock, the rate, the settings, what is sent home."""

import ast
import io
import json
import subprocess
import sys
import tarfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import ROOT
from helpers.albums import colourful, save

from benchmarks.accelerator import pack, preflight, train
from colorjax import Colorizer, photos
from colorjax.training import optim
from configs import quarter

MODULES = {"pillow": "PIL", "orbax-checkpoint": "orbax"}  # where they are not called as their packages


# Packs


def test_packs_hold_what_can_be_read_at_its_own_size(tmp_path):
    album = tmp_path / "album"
    save(album / "squarish.png", colourful(0, 220, 240))
    save(album / "squarish.jpg", colourful(1, 220, 240))  # of the same name, but for the suffix
    save(album / "long" / "panorama.png", colourful(2, 220, 500))
    save(album / "small.png", colourful(3, 160, 170))
    save(album / "tiny.png", colourful(4, 100, 170))
    save(album / "grey.png", np.repeat(colourful(5, 220, 240)[..., :1], 3, axis=2))
    (album / "damaged.jpg").write_bytes((album / "squarish.jpg").read_bytes()[:300])
    count, reasons = pack.pack(album, tmp_path / "packs", side=208, least=144, most=10**6, limit=0, processes=1)
    assert sum(reasons.pop(kind, 0) for kind in photos.PROBLEMS) == 1 and reasons == {"too small": 1, "without colour": 1}
    assert count == 5 and sorted(len(square) for square in train.read(tmp_path / "packs")) == [160, 208, 208, 208, 208]


def test_a_piece_stays_below_its_size(tmp_path):
    for number in range(6):
        save(tmp_path / "album" / f"{number}.png", colourful(number, 160, 160))
    pack.pack(tmp_path / "album", tmp_path / "packs", side=160, least=144, most=4000, limit=0, processes=1)
    pieces = sorted((tmp_path / "packs").iterdir())
    assert len(pieces) > 1 and all(piece.stat().st_size <= 4000 for piece in pieces)
    assert len(train.read(tmp_path / "packs")) == 6


def test_no_pieces_are_told_of(tmp_path):
    with pytest.raises(SystemExit, match=r"holds no piece-\*\.zip"):
        train.read(tmp_path)


# What must be installed


def test_what_is_missing_is_named_before_it_is_imported(monkeypatch):
    installed = preflight.metadata.version

    def version(name):
        if name in ("ml_collections", "tqdm"):
            raise preflight.metadata.PackageNotFoundError(name)
        return installed(name)

    preflight.check()
    monkeypatch.setattr(preflight.metadata, "version", version)
    with pytest.raises(SystemExit, match=r"^ml_collections, tqdm: not installed here.*README\.md"):
        preflight.check()


def test_versions_say_what_is_older_than_asked_for(monkeypatch):
    monkeypatch.setattr(preflight.metadata, "version", lambda name: "0.9.30" if name == "jax" else "9999.1")
    assert ", jax 0.9.30 (older than 0.10.2, with which it was tried), flax 9999.1, " in preflight.versions()


def at_once(path, seen):
    """The libraries that importing a file of this repository imports, before any of its functions is called."""
    if path in seen or not path.is_file():
        return set()
    seen.add(path)
    found = set()
    for node in ast.parse(path.read_text()).body:
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            first, *others = name.split(".")
            if first not in ("colorjax", "benchmarks", "configs"):
                found.add(first)
                continue
            for depth in range(len(others) + 1):
                place = ROOT.joinpath(first, *others[:depth])
                found |= at_once(place / "__init__.py", seen) | at_once(place.with_suffix(".py"), seen)
    return found - sys.stdlib_module_names


def test_nothing_else_is_imported():
    seen = set()
    found = at_once(ROOT / "benchmarks" / "accelerator" / "train.py", seen)
    assert ROOT / "colorjax" / "training" / "steps.py" in seen and {"jax", "ml_collections", "PIL"} <= found
    assert found <= {MODULES.get(name, name) for name in preflight.NEEDED}
    assert not at_once(ROOT / "benchmarks" / "accelerator" / "preflight.py", set())


# Photographs on the device


def test_crops_are_cut_of_squares_that_fit_them():
    small, large = colourful(0, 40, 40), colourful(1, 100, 100)
    squares = train.fitted([small, large, large[:70, :70]], 64, jitter=0.15)
    assert squares.pixels.shape == (3, 74, 74, 3) and squares.sides.tolist() == [64, 74, 70]
    np.testing.assert_array_equal(squares.pixels[2, :70, :70], large[:70, :70])
    assert not squares.pixels[0, 64:].any() and not squares.pixels[2, :, 70:].any()


def test_no_crop_shows_more_than_its_square_and_half_are_mirrored():
    ramp = np.broadcast_to(np.arange(1, 41, dtype=np.uint8)[None, :, None], (40, 40, 3))
    squares = train.fitted([ramp, ramp[:34, :34]], 32, jitter=0.25)
    crops = np.asarray(train.cut(squares, jax.random.key(0), batch=64, size=32, flip=True), int)
    assert crops.shape == (64, 32, 32, 3) and crops.min() > 0
    slopes = np.diff(crops[..., 0], axis=2).reshape(64, -1)
    assert all(len(set(slope)) == 1 for slope in slopes) and 16 < (slopes[:, 0] < 0).sum() < 48
    assert len(np.unique(crops[:, 0, 0, 0])) > 4
    still = np.asarray(train.cut(squares, jax.random.key(0), batch=64, size=32, flip=False), int)
    assert (np.diff(still[..., 0], axis=2) == 1).all()


# The clock and the rate


def test_the_time_that_is_left_is_divided():
    assert train.divided(60, seconds=420, spare=40) == (60 + 240, 380)
    with pytest.raises(SystemExit, match=r"--seconds=90: reading and compiling took 60 s, and --spare=40"):
        train.divided(60, seconds=90, spare=40)


@pytest.mark.parametrize("steps", [1, 60, 150, 199, 10_000])
def test_the_rate_falls_to_nothing_however_many_steps_there_are(steps):
    config = quarter.get_config()
    config.schedule, config.epochs, config.learning_rate = "smooth", 1, 1.0
    rate = optim.schedule(config, train.FALL)

    def at(done, now):
        return float(rate(train.place(done, now, falls=100.0, ends=200.0, warmup=config.warmup_steps)))

    assert at(0, 10.0) == pytest.approx(1 / config.warmup_steps)
    assert at(config.warmup_steps, 20.0) == at(50_000, 99.9) == pytest.approx(1)
    falling = [at(5000 + step, 100.0 + 100.0 * step / steps) for step in range(0, steps + 1, max(steps // 20, 1))]
    assert falling[0] == pytest.approx(1) and all(np.diff(falling) < 0)
    assert at(5000 + steps // 2, 150.0) == pytest.approx(0.5, abs=1e-3)
    assert at(5000 + steps, 200.0) == at(9000, 230.0) == pytest.approx(0, abs=1e-6)


def test_an_update_has_the_rate_of_its_place_and_the_moments_of_before():
    config = quarter.get_config()
    config.schedule, config.epochs, config.warmup_steps, config.weight_decay = "smooth", 1, 0, 0.0
    params = {"encoder": {"layer4": jnp.ones((2, 2))}, "head": jnp.ones((3, 2))}
    optimizer = optim.make(config, train.FALL).network
    state = optimizer.update(params, optimizer.init(params), params)[1]

    def moved(where):
        updates, after = optimizer.update(params, train._placed(state, jnp.int32(where)), params)
        return np.abs(updates["head"]).max(), [leaf for leaf in jax.tree.leaves(after) if leaf.ndim]

    (full, moments), (half, same), (none, _) = (moved(place) for place in (0, train.FALL // 2, train.FALL))
    assert full == pytest.approx(config.learning_rate, rel=1e-3) and half == pytest.approx(full / 2, rel=1e-3)
    assert none < 1e-6 * full
    assert len(moments) == 4 and all(np.array_equal(one, other) for one, other in zip(moments, same, strict=True))


# Settings


def settings(monkeypatch, *words):
    asked = []

    def load(name):
        asked.append(name)
        config = quarter.get_config()
        config.looks = (0.75, 1.25)
        return train.checkpoint.Network(config, {}, {}, None)

    monkeypatch.setattr(train.checkpoint, "load", load)
    return train.configured(train.options(["packs", "out", *words])), asked


def test_weights_tell_settings_that_hold_on_any_machine(monkeypatch):
    config, asked = settings(monkeypatch, "--last-size=176", "--batch=64")
    assert asked == ["pretrained"] and config.init_from == "pretrained" and config.pretrained == ""
    assert tuple(config.looks) == (0.75, 1.25) and config.model.dtype == "auto"
    assert (config.image_size, config.batch_size, config.learning_rate) == (176, 64, pytest.approx(6e-4))
    assert (config.schedule, config.epochs, config.data.dir) == ("smooth", 1, "photos")
    config, asked = settings(monkeypatch, "--init=", "--pretrained=imagenet.safetensors")
    assert not asked and (config.init_from, config.pretrained) == ("", "imagenet.safetensors")


def test_settings_can_be_changed_but_not_invented(monkeypatch):
    config, _ = settings(monkeypatch, "--set", "ema=0", "--set", "model.dtype=float32", "--set", "learning_rate=1e-4")
    assert (config.ema, config.model.dtype, config.learning_rate) == (0.0, "float32", 1e-4)
    with pytest.raises(SystemExit, match=r"--set learning_rat=1: there is no key learning_rat; configs/base\.py"):
        settings(monkeypatch, "--set", "learning_rat=1")
    with pytest.raises(SystemExit, match=r"--set ema=much: ema is 0\.999, and takes another of its kind"):
        settings(monkeypatch, "--set", "ema=much")


# What is sent home


def test_parts_make_the_folder_again(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "PART", 4000)
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "numbers").write_bytes(bytes(range(256)) * 40)
    count = train.parts(tmp_path / "weights")
    files = sorted(tmp_path.iterdir())
    assert len(files) == count > 2 and all(file.stat().st_size <= 4000 for file in files)
    with tarfile.open(fileobj=io.BytesIO(b"".join(file.read_bytes() for file in files))) as archive:
        assert archive.extractfile("weights/numbers").read() == bytes(range(256)) * 40


def test_a_trace_that_is_too_large_stays_away(tmp_path, monkeypatch):
    monkeypatch.setattr(train, "PART", 10)
    (tmp_path / "trace").mkdir()
    assert train.parts(tmp_path / "trace", ".tar.gz", most=2) > 2 and not list(tmp_path.iterdir())


def test_without_an_accelerator_nothing_is_begun_unasked(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["train.py", str(tmp_path), str(tmp_path / "out")])
    monkeypatch.delenv("JAX_PLATFORMS")
    with pytest.raises(SystemExit, match="JAX finds no accelerator here; to rehearse on a CPU, set JAX_PLATFORMS=cpu"):
        train.main()
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_whole_of_it(tmp_path, monkeypatch):
    for number in range(4):
        save(tmp_path / "album" / f"{number}.png", colourful(number, 60, 64))
    pack.pack(tmp_path / "album", tmp_path / "packs", side=48, least=32, most=10**6, limit=0, processes=1)
    out = tmp_path / "out"
    words = [str(tmp_path / "packs"), str(out), "--seconds=10000", "--spare=40", "--batch=4", "--size=32", "--last-size=64"]
    words += ["--init=", "--set=freeze=", "--set=model.width=8", "--set=ema=0"]
    monkeypatch.setattr(sys, "argv", ["train.py", *words])
    # ten seconds from when everything is compiled, which beside other tests takes a minute or several
    monkeypatch.setattr(train, "divided", lambda now, seconds, spare: (now + train.STEADY * 10, now + 10))
    train.main()
    told = (out / "told.txt").read_text()
    for word in ("4 squares", "GFLOP a picture", "largest costs of a step: ", "64 pixels: 4 squares are smaller"):
        assert word in told
    assert sorted(path.name for path in out.iterdir()) == ["told.txt", "trace.tar.gz.00", "weights.tar.00"]
    subprocess.run(["tar", "xf", out / "weights.tar.00", "-C", tmp_path], check=True)
    config = json.loads((tmp_path / "weights" / "config.json").read_text())
    assert (config["model"]["dtype"], config["image_size"], config["model"]["width"]) == ("auto", 64, 8)
    grey = colourful(9, 40, 50)[..., 0]
    assert Colorizer.from_checkpoint(tmp_path / "weights")(grey).shape == (40, 50, 3)
