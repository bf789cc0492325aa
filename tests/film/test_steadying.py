"""The colour of a shot does not flicker; made of patterns that move as we say, and a network that flickers on purpose."""

import itertools

import cv2
import numpy as np
import pytest
from helpers.moving import pattern

from colorjax.film import carrying, flow
from colorjax.film.shots import find_shots
from colorjax.film.steadying import Settings, color_shot
from colorjax.inference.colorizer import NoColorError, Prediction
from colorjax.science import color

SHAPE = (72, 96)
SETTINGS = Settings(reach=16, spacing=6)


def panned(count, speed=2, seed=0, light=None):
    """A camera that goes to the right over a pattern by `speed` pixels a frame; `light`: added to each frame's exposure."""
    picture = pattern(seed)
    frames = [picture[30 : 30 + SHAPE[0], 10 + speed * i : 10 + speed * i + SHAPE[1]].copy() for i in range(count)]
    return [flow.exposed(frame, light[i]) if light is not None else frame for i, frame in enumerate(frames)]


def alone(lightness):
    """The colours that the network means, by the lightness: what is dark is blue, what is light is orange."""
    return np.stack([0.3 * (lightness - 50), 0.5 * (lightness - 50)], axis=-1)


class Flickering:
    """Means `alone`, and adds another cast each time that it is asked."""

    guided = True

    def __init__(self, casts=lambda: (0, 0)):
        self.casts, self.seen, self.hints = casts, [], []

    def predict(self, image, hints=None, frame=None):
        lightness = color.grey_to_lightness(image / np.float32(65535))
        self.seen.append(lightness)
        self.hints.append(list(hints or ()))
        small = cv2.resize(lightness, [max(1, side // 2) for side in lightness.shape[::-1]], interpolation=cv2.INTER_AREA)
        return Prediction(small, (alone(small) + np.asarray(self.casts())).astype(np.float32))


def of_each(frames, network):
    for frame in frames:
        image = np.round(color.lightness_to_grey(frame) * 65535).astype(np.uint16)
        yield cv2.resize(network.predict(image).ab, frame.shape[::-1])


def moved(colours, speed=2):
    """Mean change of the colours of the same things from frame to frame."""
    return np.mean([np.abs(b[:, :-speed] - a[:, speed:]).mean() for a, b in itertools.pairwise(colours)])


def random_casts(seed=1):
    rng = np.random.default_rng(seed)
    return lambda: rng.normal(0, 6, 2)


def test_flicker_goes_and_the_mean_stays():
    frames = panned(60)
    steady = list(color_shot(iter(frames), Flickering(random_casts()), SETTINGS))
    flickers = list(of_each(frames, Flickering(random_casts())))
    assert len(steady) == 60 and all(ab.shape == (*SHAPE, 2) and ab.dtype == np.float32 for ab in steady)
    assert moved(steady) < 0.2 * moved(flickers)
    meant = [alone(frame) for frame in frames]
    assert np.abs(np.mean(steady, (0, 1, 2)) - np.mean(meant, (0, 1, 2))).max() < 2
    assert np.mean([np.hypot(*np.moveaxis(ab, -1, 0)) for ab in steady]) > 0.9 * np.mean(
        [np.hypot(*np.moveaxis(ab, -1, 0)) for ab in meant]
    )


def test_what_does_not_flicker_is_left_as_the_network_means_it():
    frames = panned(30)
    errors = [np.abs(ab - alone(frame)) for ab, frame in zip(color_shot(frames, Flickering(), SETTINGS), frames, strict=True)]
    assert np.mean(errors) < 1


def test_the_network_sees_few_frames_of_a_still_shot_and_more_where_much_is_new():
    still, quick = Flickering(), Flickering()
    list(color_shot(panned(31, speed=0), still, SETTINGS))
    list(color_shot(panned(31, speed=7), quick, SETTINGS))
    assert len(still.seen) == 6  # each sixth, and the first
    assert len(quick.seen) > 7


def test_no_colour_comes_over_a_cut():
    first, second = panned(14, seed=0), panned(14, seed=5)
    cuts = find_shots(np.round(2.5 * frame).astype(np.uint8) for frame in [*first, *second])
    assert cuts == [0, 14]
    red, blue = Flickering(lambda: (40, 0)), Flickering(lambda: (-40, 0))
    before = list(color_shot(first, red, SETTINGS))
    after = list(color_shot(second, blue, SETTINGS))
    assert np.abs(before[-1][..., 0] - alone(first[-1])[..., 0] - 40).mean() < 1.5
    assert np.abs(after[0][..., 0] - alone(second[0])[..., 0] + 40).mean() < 1.5


def test_a_new_thing_takes_the_colour_that_the_network_gives_it():
    frames = panned(40, speed=0)
    for frame in frames[20:]:
        frame[20:50, 30:60] = 95
    steady = list(color_shot(frames, Flickering(), SETTINGS))
    inside, outside = (slice(26, 44), slice(36, 54)), (slice(None), slice(70, None))
    for number in (16, 19, 20, 21, 24, 39):
        meant = alone(frames[number])
        assert np.abs(steady[number][inside] - meant[inside]).mean() < 3, number
        assert np.abs(steady[number][outside] - meant[outside]).mean() < 1, number


def test_light_that_flickers_moves_no_colour():
    rng = np.random.default_rng(3)
    light = 0.08 * rng.normal(size=48)
    frames = panned(48, speed=1, light=light)
    network = Flickering()
    steady = list(color_shot(frames, network, SETTINGS))
    given = np.std([frame.mean() for frame in frames])
    assert np.std([lightness.mean() for lightness in network.seen[1:]]) < 0.5 * given
    assert moved(steady, 1) < 0.1 * moved(list(of_each(frames, Flickering())), 1)


def test_dirt_moves_no_colour():
    frames, rng = panned(36, speed=1), np.random.default_rng(4)
    for frame in frames:
        for _ in range(12):
            y, x = rng.integers(0, 68), rng.integers(0, 92)
            frame[y : y + 3, x : x + 3] = rng.choice([2.0, 98.0])
        frame[:, 40] = 90  # a scratch
    steady = list(color_shot(frames, Flickering(random_casts()), SETTINGS))
    assert moved(steady, 1) < 0.2 * moved(list(of_each(frames, Flickering(random_casts()))), 1)


class Blind(Flickering):
    """Has no colour for what is nearly black."""

    def predict(self, image, hints=None, frame=None):
        if image.max() < 9000:
            raise NoColorError("the network has no colour for it")
        return super().predict(image, hints, frame)


def test_a_shot_that_rises_from_black_has_colour_as_soon_as_it_has_light():
    light = np.log((16 + 50 * np.clip(np.arange(30) / 15, 0, 1)) / 66)
    frames = [flow.exposed(frame, light[i]) * min(1, i / 4) for i, frame in enumerate(panned(30, speed=1))]
    steady = list(color_shot(frames, Blind(), SETTINGS))
    chroma = [float(np.abs(ab).mean()) for ab in steady]
    assert chroma[8] > 0.4 * chroma[29] and np.isfinite(steady).all()


class Lit(Flickering):
    """Paints each thing as strongly as it is lit, as colours in more or less light are: a* and b* as (L* + 16)."""

    def predict(self, image, hints=None, frame=None):
        small = super().predict(image, hints, frame).lightness
        return Prediction(small, np.stack([0.4 * (small + 16)] * 2, axis=-1))


def test_colour_from_brighter_frames_is_as_strong_as_the_light_of_its_frame():
    frames = panned(30, speed=0, light=-0.04 * np.arange(30))
    for at, ab in enumerate(color_shot(frames, Lit(), SETTINGS)):
        assert np.abs(ab[..., 0] - 0.4 * (frames[at] + 16)).mean() < 1, at


def test_a_network_without_any_colour_leaves_grey():
    assert not np.any(list(color_shot([np.zeros(SHAPE, np.float32)] * 5, Blind(), SETTINGS)))


@pytest.mark.parametrize("shape", [(1, 1), (33, 17), (64, 301), (5, 200), (480, 300)])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_shots_of_any_size_and_length(shape, count):
    picture = cv2.resize(pattern(2), shape[::-1])
    colours = list(color_shot([picture] * count, Flickering(), Settings(flow=64)))
    assert [ab.shape for ab in colours] == [(*shape, 2)] * count
    assert np.isfinite(colours).all()


def test_no_frames_no_colours():
    assert list(color_shot([], Flickering())) == []


def test_the_window_is_bounded():
    taken = 0

    def frames():
        nonlocal taken
        for frame in panned(120, speed=1):
            taken += 1
            yield frame

    most = 0
    for given, _ in enumerate(color_shot(frames(), Flickering(), SETTINGS), start=1):
        most = max(most, taken - given)
    assert given == 120 and most <= SETTINGS.reach + 12


def test_a_frame_of_another_size_is_named():
    with pytest.raises(ValueError, match=r"frame 2 of the shot has shape \(70, 96\); it must be \(72, 96\)"):
        list(color_shot([*panned(2), np.zeros((70, 96), np.float32)], Flickering()))


def test_settings_that_make_no_sense_are_named():
    with pytest.raises(ValueError, match="spacing=40, reach=32"):
        Settings(spacing=40)
    with pytest.raises(ValueError, match="flow=8"):
        Settings(flow=8)


def test_a_hint_follows_its_thing_and_its_end_is_told():
    frames, network, spans = panned(40, speed=2), Flickering(), []
    column, row = 60, 36  # of frame 20; the camera goes to the right, so that it is at 60 - 2 (t - 20)
    hints = {20: [((column + 0.5) / SHAPE[1], (row + 0.5) / SHAPE[0], 50.0, 20.0, "soft", 0.25)]}
    list(color_shot(iter(frames), network, SETTINGS, hints, spans.append))
    (span,) = spans
    assert span[:2] == (20, 0)
    assert abs(span.first - 3) <= 2 and span.last == 39  # at frame 3 it comes in on the right
    hinted = [(lightness, hints[0]) for lightness, hints in zip(network.seen, network.hints, strict=True) if hints]
    assert len(hinted) >= 5
    for lightness, hint in hinted:
        at = min(range(40), key=lambda t: np.abs(frames[t] - lightness).mean())
        assert abs(hint.x - (column - 2 * (at - 20))) <= 1.5 and abs(hint.y - row) <= 1.5
        assert np.abs(color.rgb_to_lab(np.array(hint.rgb, np.float32) / 255)[1:] - (50, 20)).max() < 1
        assert (hint.reach, hint.radius) == ("soft", 0.25)
    assert any(np.abs(frames[20] - lightness).mean() < 1 for lightness, _ in hinted), "the hint's own frame is a key frame"


def test_a_hint_ends_where_its_thing_is_covered():
    frames, spans = panned(24, speed=0), []
    other = pattern(9)
    for number in range(12, 24):
        frames[number][10:60, 20:80] = other[:50, :60]
    list(color_shot(frames, Flickering(), SETTINGS, {0: [(0.5, 0.5, 50, 20)], 23: [(0.05, 0.5, 0, 0)]}, spans.append))
    assert [tuple(span) for span in spans] == [(0, 0, 0, 11), (23, 0, 0, 23)]


def test_hints_of_frames_that_there_are_not_are_named():
    with pytest.raises(ValueError, match="a hint is for frame 9 of the shot, which has the frames 0 to 4"):
        list(color_shot(panned(5), Flickering(), SETTINGS, {9: [(0.5, 0.5, 1, 1)]}))


@pytest.mark.parametrize("ab", [(0, 0), (60, 40), (20, -60), (-50, 50), (120, 120)])
def test_hints_keep_their_colour_whatever_the_lightness(ab):
    (hint,) = carrying.given([(0.999, 0.0, *ab)], (10, 20))
    assert (hint.x, hint.y) == (19, 0)
    found = color.rgb_to_lab(np.array(hint.rgb, np.float32) / 255)[1:]
    assert np.abs(found - ab).max() < (1.5 if max(ab) < 100 else 80)
