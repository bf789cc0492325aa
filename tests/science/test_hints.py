"""Hints: what is one and what is none, and what a network sees of them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colorjax import photos
from colorjax.science import color, hints
from colorjax.science.hints import Hint, HintError

BLUE = Hint(120, 340, (0x23, 0x40, 0x8E))
ONE = {"x": 120, "y": 340, "color": "#23408e"}
levels = st.integers(0, 255)
colors = st.tuples(levels, levels, levels)
pixels = st.integers(0, 10**9 - 1)
shares = st.none() | st.integers(1, 100).map(lambda percent: percent / 100)
places = st.builds(Hint, pixels, pixels, colors, st.sampled_from(hints.REACHES), shares)


def write(folder, content):
    path = folder / "a.jpg.hints.json"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return path


# --- one hint ---


@pytest.mark.parametrize("text", ["120,340,#23408e", "120,340,#23408E", " 120 , 340 , #23408e ", "0120,340,#23408e"])
def test_a_hint_as_it_is_written(text):
    assert hints.parse(text) == BLUE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "120,340",
        "120,340,#23408e,1",
        "-1,340,#23408e",
        "1.5,340,#23408e",
        "1e3,340,#23408e",
        "٣,340,#23408e",
        "1_0,3,#23408e",
    ],
)
def test_what_is_no_hint_is_named(text):
    with pytest.raises(HintError, match=r"X,Y,#RRGGBB") as caught:
        hints.parse(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize("text", ["23408e", "#23408", "#23408e0", "#23408g", "#fff", "blue", "", "#\uff123408e", "#23408e\n1"])
def test_what_is_no_color_is_named(text):
    for wrong in (lambda: hints.parse(f"1,2,{text}"), lambda: hints.of((1, 2, text)), lambda: hints.of(ONE | {"color": text})):
        with pytest.raises(HintError, match="#RRGGBB") as caught:
            wrong()
        assert repr(text) in str(caught.value)


@given(places)
def test_a_hint_is_the_same_however_it_is_told(hint):
    radius = "" if hint.radius is None else f",{100 * hint.radius:.0f}%"
    assert hints.parse(f"{hint.x},{hint.y},{hint.color},{hint.reach}{radius}") == hint
    for told in (hint, tuple(hint), list(hint), hint.as_dict(), (hint.x, hint.y, hint.color, *hint[3:])):
        assert hints.of(told) == hint
    plain = Hint(*hint[:3])
    assert hints.parse(f"{hint.x},{hint.y},{hint.color}") == plain == hints.of((hint.x, hint.y, list(hint.rgb)))
    assert hints.of((np.int64(hint.x), np.uint32(hint.y), np.array(hint.rgb, np.uint8))) == plain
    assert json.loads(json.dumps(hint.as_dict())) == hint.as_dict()


def test_how_far_a_hint_reaches():
    assert hints.parse("1,2,#23408e, 12.5 %").radius == pytest.approx(0.125)
    assert hints.of(ONE | {"radius": 30, "reach": None}) == BLUE._replace(radius=30.0)  # in pixels, as the first page saved it
    for hint, bounded, pixels_ in (
        (BLUE, True, np.inf),
        (BLUE._replace(reach="soft"), False, np.inf),
        (BLUE._replace(reach="soft", radius=0.2), True, 18),
        (BLUE._replace(radius=30.0), True, 30),
    ):
        assert (hint.is_bounded, hint.radius_in((90, 150))) == (bounded, pytest.approx(pixels_))
    assert BLUE.as_dict() == ONE  # as the first sidecars have it
    for wrong in ({"radius": 0}, {"radius": "30"}, {"radius": True}, {"radius": float("nan")}, {"reach": "far"}, {"reach": 3}):
        with pytest.raises(HintError, match=f"^hint's {next(iter(wrong))} "):
            hints.of(ONE | wrong)
    for wrong in ("soft,object", "20%,30%", "20", "-1%", "soft,"):
        with pytest.raises(HintError, match=r"X,Y,#RRGGBB"):
            hints.parse(f"1,2,#23408e,{wrong}")


@pytest.mark.parametrize("alone", [BLUE, (1, 2, "#23408e"), [1, 2, "#23408e"], ONE, "1,2,#23408e"])
def test_one_hint_alone_is_told_from_a_list_of_them(alone):
    with pytest.raises(HintError, match=r"is one hint alone; give a list of them, as \["):
        hints.checked(alone, (90, 150))
    with pytest.raises(HintError, match=r"hint '1,2,#23408e' is not valid; .*; hints\.parse reads one that is written"):
        hints.checked(["1,2,#23408e"], (90, 150))


def test_what_is_noted_beside_a_hint_is_passed_over():
    assert hints.of(ONE | {"note": "the coat is in the museum"}) == hints.of(ONE)


@pytest.mark.parametrize(
    "value",
    [
        None,
        7,
        "1,2,#ffffff",
        (),
        (1, 2),
        (1, 2, (0, 0, 0), 4),
        {},
        {"x": 1, "y": 2, "colour": "#23408e"},
        {"x": 1, "y": 2},
        ONE | {"x": "120"},
        ONE | {"x": 120.0},
        ONE | {"y": True},
        ONE | {"y": None},
        ONE | {"color": None},
        ONE | {"color": 0x23408E},
        (1, 2, (0, 0)),
        (1, 2, (0, 0, 0, 0)),
        (1, 2, (0, 0, 256)),
        (1, 2, (0, 0, -1)),
        (1, 2, (0.5, 0, 0)),
        (1, 2, (True, 0, 0)),
        (1, 2, np.zeros((3, 3), np.uint8)),
    ],
)
def test_what_cannot_be_a_hint_is_refused(value):
    with pytest.raises(HintError, match="hint"):
        hints.of(value)


def test_a_message_stays_legible_whatever_a_file_holds():
    for value in (
        "x" * 10**5,
        list(range(10**5)),
        ONE | {"color": "#" * 10**5},
        ONE | {"x": "9" * 10**5},
        {str(i): i for i in range(999)},
    ):
        with pytest.raises(HintError) as caught:
            hints.of(value)
        assert len(str(caught.value)) < 300


# --- a file of hints ---


def test_a_file_of_hints(tmp_path):
    path = write(tmp_path, {"hints": [ONE, ONE | {"x": 0}], "by": "the archive"})
    assert hints.read(path) == (BLUE, BLUE._replace(x=0))
    assert hints.read(str(path)) == hints.read(path)
    assert hints.read(write(tmp_path, b"\xef\xbb\xbf" + json.dumps({"hints": [ONE]}).encode())) == (
        BLUE,
    )  # as Notepad writes it
    assert hints.read(write(tmp_path, {"hints": []})) == ()
    assert hints.SUFFIX == photos.HINTS == ".hints.json"


@given(st.lists(places, max_size=5))
def test_a_file_gives_back_what_was_written(tmp_path_factory, some):
    folder = tmp_path_factory.getbasetemp()
    assert hints.read(write(folder, {"hints": [hint.as_dict() for hint in some]})) == tuple(some)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no JSON"),
        (b"{", "is no JSON"),
        (b"\xff\xd8\xff\xe0 a picture", "is no JSON"),
        (b"[" * 10**5, "is no JSON"),
        (b'{"hints": [{"x": 1%s}]}' % (b"0" * 5000), "is no JSON"),
        ([ONE], "holds no hints"),
        ({}, "holds no hints"),
        ({"hints": ONE}, "holds no hints"),
        ({"hints": None}, "holds no hints"),
        (None, "holds no hints"),
        ({"hints": [ONE, ONE | {"color": "red"}]}, "color 'red' is not valid"),
        ({"hints": [ONE | {"x": float("nan")}]}, "whole numbers of pixels"),
        ({"hints": ["120,340,#23408e"]}, "it has x, y and a color"),
        (b" " * (2**20 + 1), "is larger than a file of hints can be"),
    ],
)
def test_a_file_that_is_none_is_named_with_the_reason(tmp_path, content, words):
    with pytest.raises(HintError, match=r"^a\.jpg\.hints\.json") as caught:
        hints.read(write(tmp_path, content))
    assert words in str(caught.value)
    assert len(str(caught.value)) < 300


def test_a_file_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError):
        hints.read(tmp_path / "a.jpg.hints.json")
    with pytest.raises(IsADirectoryError):
        hints.read(tmp_path)


# --- the hints of a photograph ---


def test_hints_lie_inside_their_photograph():
    corners = [(0, 0, "#000000"), (149, 0, "#000000"), (0, 89, "#000000"), (149, 89, "#000000")]
    assert hints.checked(corners, (90, 150)) == tuple(map(hints.of, corners))
    assert hints.checked(corners, (90, 150, 3)) == hints.checked(iter(corners), None)
    for outside in ((150, 0, "#000000"), (0, 90, "#000000"), (-1, 0, "#000000"), (0, -1, "#000000")):
        with pytest.raises(
            HintError, match=rf"^hint {outside[0]},{outside[1]},#000000 is outside the photograph of 150x90 pixels$"
        ):
            hints.checked([*corners, outside], (90, 150))
    with pytest.raises(HintError, match=r"^hint -1,0,#000000 is outside the photograph$"):
        hints.checked([(-1, 0, "#000000")], None)


def test_of_several_hints_at_one_point_the_last_counts():
    some = [(1, 2, "#000000"), (2, 1, "#111111"), (1, 2, "#222222")]
    assert [(hint.x, hint.y, hint.color) for hint in hints.checked(some, (9, 9))] == [(1, 2, "#222222"), (2, 1, "#111111")]


def test_no_hints():
    assert hints.checked(None, (9, 9)) == hints.checked((), (9, 9)) == hints.checked([], None) == ()


def test_as_many_hints_as_a_photograph_may_have():
    some = [(x, y, "#123456") for x in range(40) for y in range(26)]
    assert len(hints.checked(some[: hints.LIMIT], (99, 99))) == hints.LIMIT
    assert len(hints.checked(some[: hints.LIMIT] * 2, (99, 99))) == hints.LIMIT  # the same points again
    with pytest.raises(HintError, match="1001 hints are too many; a photograph may have 1000"):
        hints.checked(some[: hints.LIMIT + 1], (99, 99))


# --- what a network sees ---


def chroma(rgb):
    return color.rgb_to_lab(np.asarray(rgb, np.float32) / 255)[1:] / 110


def test_no_hint_is_nothing_to_see():
    seen = hints.drawn((), (90, 150), (32, 54))
    assert seen.shape == (32, 54, 3)
    assert seen.dtype == np.float32
    assert not seen.any()


def test_a_hint_fills_a_picture_of_a_pixel():
    seen = hints.drawn([Hint(399, 199, (200, 30, 40))], (200, 400), (1, 2))
    np.testing.assert_allclose(seen, np.tile([*chroma((200, 30, 40)), 1], (1, 2, 1)), atol=1e-6)


@pytest.mark.parametrize("short", [32, 100, 256, 512])
def test_a_hint_is_a_square_of_its_chroma_around_its_point(short):
    seen = hints.drawn([Hint(200, 100, (200, 30, 40))], (200, 400), (short, 2 * short))
    rows, columns = np.nonzero(seen[..., 2])
    height, width = rows.max() - rows.min() + 1, columns.max() - columns.min() + 1
    assert height == width == hints.side((short, 2 * short))
    assert height % 2 == 1  # it has a pixel in its middle
    assert abs(height - max(3, 5 * short / 256)) < 1.5
    assert len(rows) == height * width
    np.testing.assert_allclose(seen[rows, columns], np.tile([*chroma((200, 30, 40)), 1], (len(rows), 1)), atol=1e-6)
    assert not seen[seen[..., 2] == 0].any()
    if short > 1:
        assert abs(rows.mean() + 0.5 - short * 100.5 / 200) <= 0.5
        assert abs(columns.mean() + 0.5 - 2 * short * 200.5 / 400) <= 0.5


@pytest.mark.parametrize("rgb", [(0, 0, 0), (128, 128, 128), (255, 255, 255)])
def test_a_grey_hint_is_seen_though_it_has_no_chroma(rgb):
    seen = hints.drawn([Hint(4, 4, rgb)], (9, 9), (9, 9))
    np.testing.assert_allclose(seen[4, 4], (0, 0, 1), atol=1e-4)


def test_where_squares_meet_the_nearer_hint_counts():
    red, blue = (255, 0, 0), (0, 0, 255)
    seen = hints.drawn([Hint(100, 100, red), Hint(103, 100, blue)], (256, 256), (256, 256))
    owners = ["red" if np.allclose(seen[100, x, :2], chroma(red), atol=1e-6) else "blue" for x in range(98, 106)]
    assert owners == ["red"] * 4 + ["blue"] * 4
    assert seen[100, 98:106, 2].all()
    assert seen[..., 2].sum() == 5 * 8


@given(st.data())
def test_each_hint_inside_is_seen_inside(data):
    sides = st.integers(1, 40)
    shape, onto = data.draw(st.tuples(sides, sides)), data.draw(st.tuples(sides, sides))
    y, x = (data.draw(st.integers(0, side - 1)) for side in shape)
    hint = Hint(x, y, data.draw(colors))
    seen = hints.drawn([hint], shape, onto)
    assert seen.shape == (*onto, 3)
    assert np.isfinite(seen).all()
    assert np.abs(seen).max() == 1
    mirrored = hints.drawn([hint._replace(x=shape[1] - 1 - x)], shape, onto)
    at, other = (np.nonzero(one[..., 2])[1].mean() for one in (seen, mirrored[:, ::-1]))
    assert abs(at - other) <= 1  # rounding in the middle of two pixels


def test_of_a_photograph_that_is_enlarged_for_the_network():
    seen = hints.drawn([Hint(1, 0, (255, 0, 0))], (2, 2), (64, 64))
    rows, columns = np.nonzero(seen[..., 2])
    assert (rows.mean(), columns.mean()) == pytest.approx((15.5, 47.5), abs=0.5)


def test_as_many_hints_as_may_be_are_drawn_one_by_one():
    """Each in its square alone: 1,000 over a large picture take no longer than a moment."""
    many = [Hint(x, y, (x % 256, y % 256, 90)) for x in range(0, 4000, 100) for y in range(0, 2500, 100)]
    seen = hints.drawn(many, (2500, 4000), (1280, 2048))
    assert len(many) == hints.LIMIT
    side = hints.side((1280, 2048))
    for hint in many[::97]:
        y, x = (round((at + 0.5) * 0.512 - 0.5) for at in (hint.y, hint.x))
        np.testing.assert_allclose(seen[y, x], [*chroma(hint.rgb), 1], atol=1e-6)
    assert seen[..., 2].sum() > 0.8 * side**2 * len(many)
