"""Where films are cut, and where not; made of patterns that move, flicker, flash, fade and dissolve."""

import numpy as np
import pytest
from helpers.moving import pattern

from colorjax.film.shots import find, find_shots


def shot(seed, count, speed=1):
    picture = pattern(seed) * 2.4
    return [picture[20:110, 10 + speed * i : 170 + speed * i] for i in range(count)]


def found(frames):
    return find_shots(np.clip(np.round(frame), 0, 255).astype(np.uint8) for frame in frames)


@pytest.mark.parametrize("speed", [0, 3, 9])
def test_cuts_are_found_to_the_frame(speed):
    assert found([*shot(0, 12, speed), *shot(1, 9, speed), *shot(2, 20, speed)]) == [0, 12, 21]


def test_a_cut_at_the_very_end_and_the_very_start():
    assert found([*shot(0, 1), *shot(1, 12), *shot(2, 1)]) == [0, 1, 13]


def test_one_frame_or_none():
    assert found(shot(0, 1)) == [0] and found([]) == [0]


def test_flickering_light_is_no_cut():
    gains = np.random.default_rng(0).uniform(0.6, 1.3, 40)
    assert found([frame * gain for frame, gain in zip(shot(0, 40), gains, strict=True)]) == [0]


@pytest.mark.parametrize("length", [1, 2])
def test_a_flash_and_a_damaged_frame_are_no_cuts(length):
    frames = shot(0, 30)
    frames[10 : 10 + length] = [np.full_like(frames[0], 255)] * length
    frames[20 : 20 + length] = [pattern(7)[:90, :160] * 2.4] * length
    assert found(frames) == [0]


def test_grain_dirt_and_jitter_are_no_cuts():
    rng, picture = np.random.default_rng(1), pattern(0) * 2.4
    frames = []
    for _ in range(30):
        y, x = rng.integers(0, 6, 2)
        frame = picture[y : y + 90, x : x + 160] + rng.normal(0, 12, (90, 160))
        frame[:, rng.integers(0, 160)] = 250
        frames.append(frame)
    assert found(frames) == [0]


def test_a_fade_is_no_cut_but_another_shot_behind_the_black_is_one():
    down, black = np.linspace(1, 0, 12), [np.zeros((90, 160))] * 5
    out = [frame * gain for frame, gain in zip(shot(0, 12), down, strict=True)]
    again = [frame * gain for frame, gain in zip(shot(0, 24)[12:], down[::-1], strict=True)]
    other = [frame * gain for frame, gain in zip(shot(1, 12), down[::-1], strict=True)]
    assert found([*out, *black, *again]) == [0]
    (first, cut) = found([*shot(0, 9, 0), *out, *black, *other, *shot(1, 9, 0)])
    assert first == 0 and 20 <= cut <= 27


@pytest.mark.parametrize("length", [8, 16, 24])
def test_a_dissolve_is_cut_in_its_middle(length):
    one, other = shot(0, 20 + length), shot(1, 20 + length)
    share = np.linspace(0, 1, length + 2)[1:-1]
    mixed = [a * (1 - s) + b * s for a, b, s in zip(one[20:], other[:length], share, strict=True)]
    frames = [*one[:20], *mixed, *other[length:]]
    cuts = found(frames)
    assert len(cuts) == 2 and abs(cuts[1] - (20 + length / 2)) <= length / 4
    ((first, end),) = find(np.clip(np.round(frame), 0, 255).astype(np.uint8) for frame in frames).dissolves
    assert abs(first - 20) <= length / 8 and abs(end - 20 - length) <= length / 8 and cuts[1] == (first + end) // 2


def test_a_pan_is_no_dissolve():
    assert found(shot(3, 50, speed=4)) == [0]
