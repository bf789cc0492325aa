"""The colours of a dissolve fade as its lightness does; made of patterns, and a network that knows a scene by its lightness."""

import csv
import json

import numpy as np
import pytest
from helpers.films import film, frames_md5
from helpers.moving import pattern

from colorjax.film import coloring, lists, steadying
from colorjax.film.lists import Dissolve, Shot
from colorjax.inference.colorizer import Prediction
from colorjax.science import color

SHAPE, SETTINGS = (48, 64), steadying.Settings(reach=10, spacing=5, flow=64)
LIGHT, DARK, STRONG = 65, 30, 30.0


def scene(seed, light, count):
    """A camera that goes to the right over a pattern of this mean lightness."""
    picture = light + 0.3 * (pattern(seed) - 50)
    return [picture[30 : 30 + SHAPE[0], 10 + i : 10 + i + SHAPE[1]] for i in range(count)]


def dissolved(*scenes, length=8):
    """Scenes one after the other, each dissolving into the next; and their shots."""
    frames, cuts, mixtures = list(scenes[0]), [], []
    share = np.arange(1, length + 1) / (length + 1)
    for other in scenes[1:]:
        first = len(frames) - length
        mixtures.append((first, len(frames)))
        cuts.append(first + length // 2)
        frames[first:] = [(1 - s) * a + s * b for s, a, b in zip(share, frames[first:], other[:length], strict=True)]
        frames += other[length:]
    return [frame.astype(np.float32) for frame in frames], lists.of(cuts, len(frames), mixtures)


class ByLight:
    """Paints light scenes red and dark ones blue; all of a picture with a hint in the colour of the hint."""

    guided = True

    def predict(self, image, hints=None, frame=None):
        lightness = color.grey_to_lightness(image / np.float32(65535))
        ab = (STRONG, 10) if lightness.mean() > 50 else (-STRONG, -10)
        if hints:
            ab = color.rgb_to_lab(np.array(hints[0].rgb, np.float32) / 255)[1:]
        return Prediction(lightness, np.broadcast_to(np.float32(ab), (*lightness.shape, 2)).copy())


def coloured(frames, shots, network, hints=None, wanted=None):
    """The mean a* of each frame of the wanted shots, all of them by default."""

    class Picture:
        def __init__(self, luma):
            self.luma = luma

        def seen(self, size):
            return self.luma

    def pictures(shots):
        for shot in shots:
            yield from map(Picture, frames[shot.first : shot.end])

    def of(shot):
        return {at - shot.first: points for at, points in (hints or {}).items() if shot.first <= at < shot.end}

    answers = coloring.coloured(pictures, wanted or shots, network, SETTINGS, of, lambda *_: None)
    return [float(answer.ab[..., 0].mean()) for answer in answers]


def test_colours_fade_and_do_not_jump():
    frames, shots = dissolved(scene(0, LIGHT, 22), scene(1, DARK, 24))
    (at,) = {shot.opening for shot in shots} - {None}
    assert at[:3] == (14, 22, 18)
    fading = coloured(frames, shots, ByLight())
    cut = coloured(frames, lists.of([at.cut], len(frames)), ByLight())
    assert np.abs(np.diff(fading)).max() < 0.6 * np.abs(np.diff(cut)).max()
    assert abs(fading[at.cut] - fading[at.cut - 1]) < 0.5 * abs(cut[at.cut] - cut[at.cut - 1])
    assert np.diff(fading)[at.first : at.end].max() < 1, "from red to blue, and never back"
    for number in (*range(at.first), *range(at.end, len(frames))):
        assert fading[number] == cut[number], "what is no mixture stays as it is"


def test_each_shot_is_coloured_as_it_is_beside_the_others():
    """Also where the frames around two dissolves are the same ones."""
    frames, shots = dissolved(scene(0, LIGHT, 20), scene(1, DARK, 22), scene(2, LIGHT, 20), length=6)
    together = coloured(frames, shots, ByLight())
    apart = [a for shot in shots for a in coloured(frames, shots, ByLight(), wanted=[shot])]
    assert len(together) == len(frames) and np.abs(np.subtract(together, apart)).max() < 1e-3
    assert together[0] > 25 > -25 > together[25] and together[-1] > 25


def test_a_part_of_a_shot_that_begins_behind_its_dissolve_has_the_colours_of_the_next_one():
    """As the page tries a long shot: the frames that are looked at for a dissolve are those around it."""
    frames, shots = dissolved(scene(0, LIGHT, 20), scene(1, DARK, 22), scene(2, LIGHT, 20), length=6)
    part, at = shots[1]._replace(first=shots[1].opening.end), shots[1].closing
    whole, alone = coloured(frames, shots, ByLight()), coloured(frames, shots, ByLight(), wanted=[part])
    assert len(alone) == part.end - part.first
    there = np.subtract(alone, whole[part.first : part.end])[at.first - part.first :]
    assert np.abs(there).max() < 0.1 * STRONG


@pytest.mark.parametrize("frame", [1, 40])
def test_hints_of_the_shot_beside_are_in_a_dissolve(frame):
    """Beyond the cut too, where the other shot's job paints it."""
    frames, shots = dissolved(scene(0, LIGHT, 24), scene(1, DARK, 26))
    plain, hinted = (coloured(frames, shots, ByLight(), of) for of in (None, {frame: [(0.5, 0.5, 0.0, 60.0, "soft")]}))
    at, there = shots[1].opening, np.abs(np.subtract(plain, hinted))
    own, beyond = (at.first, at.cut) if frame < at.first else (at.end - 1, at.cut - 1)
    assert there[own] > 0.6 * STRONG and there[beyond] > 0.05 * STRONG
    assert np.abs(np.diff(there[at.first : at.end])).max() < 0.4 * STRONG


def test_a_network_is_asked_where_every_frame_is_a_mixture():
    colours = list(steadying.color_shot(scene(0, LIGHT, 5), ByLight(), SETTINGS, mixed=range(5)))
    assert len(colours) == 5 and np.isfinite(colours).all() and colours[0][..., 0].mean() > 25


def test_a_long_dissolve_has_colours_from_its_first_frame_on():
    colours = list(steadying.color_shot(scene(0, LIGHT, 40), ByLight(), SETTINGS, mixed=range(30)))  # the window holds 10
    assert len(colours) == 40 and min(ab[..., 0].mean() for ab in colours) > 25


def test_dissolves_are_shortened_where_they_leave_a_shot_nothing():
    shots = lists.of([10, 16, 30], 40, [(4, 15), (12, 20), (28, 45)])
    assert [shot[:2] for shot in shots] == [(0, 10), (10, 16), (16, 30), (30, 40)]
    assert [shot.opening for shot in shots[1:]] == [
        Dissolve(4, 15, 10, 0, 16),
        Dissolve(16, 20, 16, 15, 28),
        Dissolve(28, 39, 30, 20, 40),
    ]
    assert shots[0].closing == shots[1].opening and shots[3].closing is None
    assert lists.of([1], 2, [(0, 2)]) == [Shot(0, 1), Shot(1, 2)], "no frame of either would be left"


def test_dissolves_stand_in_the_list_and_are_read_again(tmp_path):
    shots, path = lists.of([10, 20], 40, [(14, 27)]), tmp_path / "film.shots.txt"
    lists.write(path, "film.mkv", shots, [lists.Fraction(at, 25) for at in range(40)])
    assert "20       00:00:00.800 dissolve 14-26\n" in path.read_text()
    assert lists.read(path, 40) == shots
    path.write_text("20  the dissolve to the harbour")  # somebody's words
    assert lists.read(path, 40) == lists.of([20], 40)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("20 dissolve 22-30", "line 1: the dissolve 22-30 must have frame 20 in it, and at most 120 frames"),
        ("150 dissolve 20-160", "must have frame 150 in it, and at most 120"),
        ("20 dissolve 14-24\n25 dissolve 24-40", "line 1: the dissolve 14-24 leaves a shot beside it no frame"),
        ("20 dissolve 0-30", "line 1: the dissolve 0-30 leaves a shot beside it no frame that it has to itself"),
    ],
)
def test_dissolves_that_cannot_be_are_named(tmp_path, text, said):
    (tmp_path / "shots.txt").write_text(text)
    with pytest.raises(lists.ShotError, match=said):
        lists.read(tmp_path / "shots.txt", 200)


@pytest.mark.usefixtures("quick_compile")
def test_dissolves_are_in_the_sidecar_and_the_report(tmp_path, colour, monkeypatch):
    source, out, report = film(tmp_path / "grey.mkv", frames=12), tmp_path / "colour.mkv", tmp_path / "report.csv"

    def by_shot(luma, *_, **__):  # shots of other lengths have other colours
        frames = list(luma)
        for lightness in frames:
            yield np.stack([0 * lightness, 0 * lightness + len(frames)], axis=-1)

    monkeypatch.setattr(steadying, "find", lambda small: (list({0 for _ in small} | {6}), [(4, 9)]))
    monkeypatch.setattr(steadying, "color_shot", by_shot)
    assert colour(source, out, "--report", report) == 0
    shots = json.loads((tmp_path / "colour.mkv.json").read_text())["shots"]
    assert [shot.get("dissolve") for shot in shots] == [None, [4, 8]]
    with open(report, newline="") as stream:
        assert [row["dissolve"] for row in csv.DictReader(stream)] == ["", "4-8"]
    assert "dissolve 4-8" in (tmp_path / "colour.shots.txt").read_text()
    assert frames_md5(source) == frames_md5(out)
