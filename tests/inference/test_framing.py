"""Mounts, panoramas and stereo cards: what is shown to the network, and that the colours are those of the scene alone."""

import itertools

import numpy as np
import pytest
import skimage
from PIL import Image

from colorjax import Colorizer
from colorjax.inference import framing, pixels, viewing
from colorjax.science import color

CAT = skimage.color.rgb2gray(skimage.data.chelsea()[:300])
CAT = np.round(CAT * 255).astype(np.uint8)


@pytest.fixture(scope="module")
def colorizer():
    return Colorizer.pretrained()


def mounted(grey, around=(30, 40, 60, 50), level=214, ink=0):
    """On a mount of this grey with some texture, with a line of ink around the picture if asked."""
    top, left, bottom, right = around
    grey = np.pad(grey, ink, constant_values=20)
    card = np.random.default_rng(0).normal(level, 2, (grey.shape[0] + top + bottom, grey.shape[1] + left + right))
    card[top : top + grey.shape[0], left : left + grey.shape[1]] = grey
    return card.clip(0, 255).astype(np.uint8)


def chroma(ab):
    return float(np.linalg.norm(ab, axis=-1).mean())


@pytest.mark.parametrize("level", [10, 128, 214, 250])
@pytest.mark.parametrize("ink", [0, 8])
def test_a_mount_is_found_to_a_pixel_or_so(level, ink):
    card = mounted(CAT, level=level, ink=ink)
    found = framing.of(card)
    wanted = (30, 40, 330 + 2 * ink, 40 + CAT.shape[1] + 2 * ink)
    assert np.abs(np.subtract(found[:4], wanted)).max() <= ink + 4 and not found.twins


def test_a_mount_within_a_mount_is_found_behind_a_line_of_ink():
    card = mounted(mounted(CAT, (40, 40, 40, 40), level=232, ink=3), (60, 60, 60, 60), level=150)
    card[58:61, 58:-58] = card[-61:-58, 58:-58] = card[58:-58, 58:61] = card[58:-58, -61:-58] = 90
    found = framing.of(card)
    assert np.abs(np.subtract(found[:4], (100, 100, 406, 106 + CAT.shape[1]))).max() <= 7


def page(*prints, shape=(900, 700), level=236):
    """Paper with prints, each ((top, left), picture), and with lines of writing wherever there is room below 60 pixels."""
    paper = np.random.default_rng(0).normal(level, 2, shape)
    for top in range(60, shape[0] - 60, 20):
        if not any(place[0] - 20 < top < place[0] + len(picture) + 20 for place, picture in prints):
            paper[top : top + 9, 60:-60:7] = 40
    for (top, left), picture in prints:
        paper[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return paper.clip(0, 255).astype(np.uint8)


def shares(paper, shape, *boxes):
    """How much of each box (top, left, bottom, right) is paper."""
    full = np.asarray(Image.fromarray(paper).resize(shape[::-1], Image.Resampling.NEAREST))
    return [full[top:bottom, left:right].mean() for top, left, bottom, right in boxes]


def test_writing_around_a_picture_is_paper():
    book = page(((300, 120), CAT))
    frame, paper = framing.on_paper(book)
    assert np.abs(np.subtract(frame[:4], (300, 120, 600, 120 + CAT.shape[1]))).max() <= 6
    text, picture = shares(paper, book.shape, (60, 60, 290, 640), (306, 126, 594, 110 + CAT.shape[1]))
    assert text == 1 and picture == 0


def test_the_back_of_a_photograph_is_paper():
    """With what somebody wrote on it; a picture of something that is as small, before a plain backdrop, is none."""
    back = np.full((300, 400), 215, np.uint8)
    back[120:150, 60:300:9] = back[134:136, 60:300] = 90
    assert framing.on_paper(back)[1].all()
    assert framing.on_paper(255 - back)[1] is None  # lights at night
    back[120:150, 60:300] = CAT[120:150, 60:300]
    assert framing.on_paper(back)[1] is None


@pytest.mark.parametrize("contrast", [0.2, 0.06])
def test_what_has_faded_to_nearly_one_grey_is_no_mount_and_no_page(contrast):
    faded = (150 + (CAT - 128.0) * contrast).astype(np.uint8)
    assert framing.on_paper(faded) == (framing.Frame(0, 0, *CAT.shape), None)


def test_between_prints_and_around_ovals_there_is_paper():
    small, rows = CAT[:200, :240], np.ogrid[-1:1:200j, -1:1:240j]
    oval = np.where(rows[0] ** 2 + rows[1] ** 2 < 1, small, 236)
    album = page(((60, 60), small), ((60, 400), small), ((600, 230), oval))
    album[280:580] = 236
    _, paper = framing.on_paper(album)
    between, one, other, corner, inside = shares(
        paper,
        album.shape,
        (70, 310, 580, 390),
        (66, 66, 254, 294),
        (66, 406, 254, 634),
        (602, 232, 615, 245),
        (640, 270, 760, 430),
    )
    assert (between, one, other, inside) == (1, 0, 0, 0) and corner > 0.9


def test_a_white_sky_beside_white_paper_is_no_paper():
    """A corner of a picture, or a shirt in it, may be as white as the page."""
    picture = CAT.copy()
    picture[120:200, 150:300] = picture[np.tri(300, 451, 200) == 0] = 236
    book = page(((300, 120), picture))
    (inside,) = shares(framing.on_paper(book)[1], book.shape, (306, 126, 594, 110 + CAT.shape[1]))
    assert inside == 0
    assert framing.on_paper(CAT)[1] is None and framing.on_paper(mounted(CAT))[1] is None


def test_pages_get_no_colour_beside_their_pictures(colorizer):
    """And their pictures have the colours that they have alone."""
    book, place = page(((300, 120), CAT)), (slice(300, 600), slice(120, 120 + CAT.shape[1]))
    ab = color.rgb_to_lab(colorizer(book) / np.float32(255))[..., 1:]
    alone = color.rgb_to_lab(colorizer(CAT) / np.float32(255))[..., 1:]
    assert chroma(ab[:290]) < 0.1 and chroma(ab[610:]) < 0.1
    assert np.abs(ab[place] - alone).mean() < 2 and chroma(ab[place]) == pytest.approx(chroma(alone), rel=0.1)
    for empty in (np.full((300, 200), 200, np.uint8), page()):
        np.testing.assert_array_equal(np.ptp(colorizer(empty), axis=-1), 0)


def test_an_empty_page_takes_hints(colorizer):
    """It may be a sky: what somebody says of it counts."""
    sky = np.full((120, 160), 200, np.uint8)
    assert chroma(colorizer.predict(sky, hints=[(80, 60, (150, 195, 240))]).ab) > 3


def test_what_is_no_mount_stays():
    """A backdrop on three sides, a plain sky, a picture that is all plain, noise, a photograph of a pixel."""
    backdrop, sky = np.full((200, 160), 180, np.uint8), CAT.copy()
    backdrop[60:, 50:110] = CAT[:140, 100:160]
    sky[:90] = 200
    noise = np.random.default_rng(0).integers(0, 256, (120, 150), np.uint8)
    for picture in (backdrop, sky, np.full((90, 120), 77, np.uint8), noise, CAT, np.zeros((1, 1), np.uint8)):
        assert framing.of(picture) == (0, 0, *picture.shape, False)


def test_a_mount_gets_no_colour_and_changes_none(colorizer):
    """The picture on it has the colours that it has alone."""
    top, left = 60, 80
    card = mounted(CAT, (top, left, 90, 70))
    alone = color.rgb_to_lab(colorizer(CAT) / np.float32(255))[..., 1:]
    copy = color.rgb_to_lab(colorizer(card) / np.float32(255))[..., 1:]
    inside = copy[top : top + CAT.shape[0], left : left + CAT.shape[1]]
    assert np.abs(inside - alone).mean() < 2 and chroma(inside) == pytest.approx(chroma(alone), rel=0.1)
    assert chroma(copy[: top - 20]) < 1 and chroma(copy[:, : left - 20]) < 1


def test_a_frame_that_is_given_is_not_looked_for(colorizer):
    """The pictures of a film have one frame, whatever each of them shows at its edges."""
    card = mounted(CAT)
    found, given = colorizer.predict(card).ab, colorizer.predict(card, frame=framing.of(card)).ab
    whole = colorizer.predict(card, frame=framing.Frame(0, 0, *card.shape)).ab
    np.testing.assert_array_equal(found, given)
    assert not found[:4].any() and whole[:4].any()


def scenes():
    """Four squares of 280 pixels, uint8."""
    places = {"chelsea": (0, 70), "coffee": (60, 160), "astronaut": (0, 100), "rocket": (100, 200)}
    for name, (top, left) in places.items():
        grey = skimage.color.rgb2gray(getattr(skimage.data, name)()[top : top + 280, left : left + 280])
        yield np.round(grey * 255).astype(np.uint8)


@pytest.mark.parametrize("times, upright", [(3, False), (4, True), pytest.param(16, False, marks=pytest.mark.slow)])
def test_a_panorama_is_as_colourful_as_its_scene(colorizer, times, upright):
    """A scene that is repeated, side by side mirrored each second time, so that no edge is new; no end fades."""
    ratios = []
    for scene in scenes():
        flips = [scene[:, ::-1] if i % 2 and not upright else scene for i in range(times)]
        alone, whole = (colorizer.predict(one).ab for one in (scene, np.concatenate(flips, axis=0 if upright else 1)))
        ratios.append(chroma(whole) / chroma(alone))
        if len(ratios) == 1:  # a sky, which is bluer above, fades by itself
            assert min(map(chroma, np.array_split(whole, 3, axis=0 if upright else 1))) > 0.7 * chroma(alone)
    assert np.mean(ratios) == pytest.approx(1, abs=0.15)


def test_the_halves_of_a_stereo_card_agree(colorizer):
    left, right = CAT[:280, 20:300], CAT[:280, 30:310]
    gap = np.full((280, 12), 235, np.uint8)
    for card in (np.concatenate([left, right], axis=1), mounted(np.concatenate([left, gap, right], axis=1))):
        frame = framing.of(card)
        assert frame.twins
        ab = color.rgb_to_lab(colorizer(card) / np.float32(255))[..., 1:]
        inside = ab[frame.top : frame.bottom, frame.left : frame.right]
        halves = np.array_split(inside, 2, axis=1)
        assert np.abs(halves[0].mean((0, 1)) - halves[1].mean((0, 1))).max() < 1.5
        assert chroma(inside) > 4
    dusk = np.linspace(30, 220, 300)[:, None].astype(np.uint8) + np.zeros((1, 450), np.uint8)
    for other in (np.concatenate([left, CAT[:280, 171:]], axis=1)[:, :560], dusk):
        assert not framing.of(other).twins


def test_parts_cover_the_whole_and_overlap():
    for shape in ((96, 244), (96, 1536), (100, 6400), (2000, 160), (64, 64)):
        spans = framing.parts(shape, False, 4)
        assert spans[0].start == 0 and spans[-1].stop == max(shape)
        assert all(one.stop - other.start >= 24 for one, other in itertools.pairwise(spans))
        assert (len(spans) > 1) == (max(shape) > 2.5 * min(shape))
        assert len({span.stop - span.start for span in spans}) == 1


@pytest.mark.parametrize("shape", [(4, 12), (1, 5), (80, 8)])
def test_what_is_smaller_than_a_part_is_one(shape):
    """However long it is: it is padded to the network's coarsest map in any case."""
    assert framing.parts(shape, False, 1) == [slice(0, max(shape))]


@pytest.mark.parametrize("short", [96, 160, 192, 224])
@pytest.mark.parametrize("times", [2.6, 4, 7, 10, 16])
def test_parts_of_a_strip_show_little_twice(short, times):
    """A strip of 10:1 was seen nearly twice over: parts overlapped by half. What they are padded with counts, too."""
    length = round(short * times / 4) * 4
    spans = framing.parts((short, length), False, 4)
    seen = sum(-(-(span.stop - span.start) // framing.padded(short)) * framing.padded(short) for span in spans)
    assert seen <= 1.4 * length or len(spans) == 2
    assert all(one.stop - other.start >= 0.38 * short for one, other in itertools.pairwise(spans))
    assert max(span.stop - span.start for span in spans) <= framing.LONG * short + framing.padded(short)


def test_very_long_strips_take_little(colorizer):
    """A line of pixels, a thousand times as long as it is high, is coloured at a smaller scale."""
    strip = np.asarray(Image.fromarray(CAT[140:142]).resize((3000, 3)))
    assert viewing.View(colorizer.network, colorizer.engine, strip).seen(96).size <= 96 * 96 * framing.LONGEST
    assert pixels.checked(colorizer(strip)).shape == (3, 3000, 3)
    thin = np.asarray(Image.fromarray(CAT[140:160]).resize((150, 10)))  # it is not made larger, for it has many parts
    assert viewing.View(colorizer.network, colorizer.engine, thin).seen(192).shape == (32, 480, 1)
