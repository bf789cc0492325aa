"""What proves a coloured film: how far its hints came, who signed it, and where its source is now."""

import csv
import json
import shutil

import c2pa
import numpy as np
import pytest
from helpers.films import film, frames_md5

from colorjax import cli
from colorjax.archive.proof import films, keys
from colorjax.film import carrying, coloring, lists, steadying

pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    keys.new(folder, "City Archive")
    return folder


def signing(pair):
    return "--sign-key", pair / keys.KEY, "--sign-cert", pair / keys.CHAIN


def verified(capsys, *arguments):
    """(exit code, what `colorjax verify` says)."""
    capsys.readouterr()
    return cli.main(["verify", *map(str, arguments)]), capsys.readouterr().out


def with_spans(luma, colorizer, settings, hints=None, told=None, **_):
    """As the real one, hints take all frames before the first answer; each is lost one frame on."""
    frames = list(luma)
    for frame, points in (hints or {}).items():
        for number, _ in enumerate(points):
            told(carrying.Span(frame, number, 0, frame + 1))
    for lightness in frames:
        yield np.stack([lightness * 0.3 - 5, 25 - lightness * 0.2], -1).astype(np.float32)


def test_how_far_each_hint_came_is_told(tmp_path, colour, capsys, monkeypatch):
    monkeypatch.setattr(steadying, "color_shot", with_spans)
    source, out, report = film(tmp_path / "grey.mkv", frames=9), tmp_path / "colour.mkv", tmp_path / "report.csv"
    rows = [{"frame": 4, "x": 3, "y": 5, "color": "#a03028"}, {"frame": 7, "x": 1, "y": 2, "color": "#23408e"}]
    rows[1] |= {"reach": "soft", "radius": 0.2}
    (tmp_path / "grey.mkv.hints.json").write_text(json.dumps({"hints": rows}))
    assert colour(source, out, "--report", report) == 0
    told = capsys.readouterr().err
    assert "the hint at 3,5 of frame 4 holds for frames 3 to 5, all of its shot (3 to 5)" in told
    shots = json.loads((tmp_path / "colour.mkv.json").read_text())["shots"]
    assert shots[1]["carried"] == [rows[0] | {"first": 3, "last": 5}] and "carried" not in shots[0]
    assert shots[2]["carried"] == [rows[1] | {"first": 6, "last": 8}]
    assert "the hint at 1,2 of frame 7 (soft, 20%) holds for frames 6 to 8" in told
    with open(report, newline="") as stream:
        assert [row["carried"] for row in csv.DictReader(stream)] == ["", "3,5 of 4: 3-5", "1,2 of 7 (soft, 20%): 6-8"]
    assert frames_md5(source) == frames_md5(out)
    assert "not all of its shot (0 to 9)" in lists.in_words(rows[0] | {"first": 3, "last": 5}, lists.Shot(0, 10))


def test_frames_of_a_shot_with_hints_do_not_wait_in_memory(monkeypatch):
    monkeypatch.setattr(steadying, "color_shot", with_spans)
    alive, most = set(), []

    class Picture:
        def __init__(self):
            alive.add(id(self))
            most.append(len(alive))

        def __del__(self):
            alive.discard(id(self))

        def seen(self, size):
            return np.zeros((2, 2), np.float32)

    shot = lists.Shot(0, 90)
    frames = coloring.coloured(
        lambda shots: (Picture() for one in shots for _ in range(one.end)),
        [shot],
        None,
        steadying.Settings(),
        lambda _: {0: [(0.5, 0.5, 20.0, 20.0)]},
        lambda *_: None,
    )
    assert sum(1 for _ in frames) == 90 and max(most) <= 4 * coloring.AHEAD


@pytest.mark.parametrize(("name", "codec"), [("colour.mkv", ()), ("colour.mp4", ("--codec", "h264"))])
def test_a_film_is_signed_and_checked(tmp_path, colour, capsys, pair, name, codec):
    source, out = film(tmp_path / "grey.mkv", frames=4, shape=(96, 128)), tmp_path / name
    assert colour(source, out, *codec, *signing(pair)) == 0
    manifest, signature = (out.with_name(out.name + suffix) for suffix in (".c2pa", ".json.jws"))
    assert manifest.is_file() == (not codec) and signature.is_file()
    assert len(frames_md5(out)) == 4
    code, told = verified(capsys, out, "--trust", pair / keys.ROOT)
    assert code == 0 and "signed by City Archive" in told and "untrusted" not in told
    if codec:
        with c2pa.Reader(str(out)) as reader:  # as programs of others do
            assert reader.get_validation_state() == "Valid"
        shutil.copy(out, tmp_path / "alone.mp4")
        assert "its content credentials hold, signed by City Archive" in verified(capsys, tmp_path / "alone.mp4")[1]
    sidecar = out.with_name(out.name + ".json")
    whole = sidecar.read_bytes()
    sidecar.write_bytes(whole.replace(b'"warnings"', b'"Warnings"'))
    code, told = verified(capsys, out)
    assert code == 1 and "the sidecar cannot be believed: it has changed since City Archive signed it" in told
    sidecar.write_bytes(whole)
    if not codec:
        manifest.write_bytes(manifest.read_bytes()[:-9])
        assert "its manifest" in verified(capsys, out)[1]
    assert colour(source, out, *codec, "--overwrite") == 0
    assert not manifest.exists() and not signature.exists()
    assert verified(capsys, out)[0] == 0
    code, told = verified(capsys, out, "--trust", pair / keys.ROOT)
    assert code == 1 and "it is not signed, as --trust asks" in told


def test_of_a_folder_of_pictures_the_sidecar_is_signed(tmp_path, colour, capsys, pair):
    from PIL import Image

    (tmp_path / "scans").mkdir()
    for number in range(4):
        Image.fromarray(np.full((40, 48), 40 * number, np.uint8)).save(tmp_path / "scans" / f"{number:03}.png")
    assert colour(tmp_path / "scans", tmp_path / "out", *signing(pair)) == 0
    assert not (tmp_path / "out.c2pa").exists()
    code, told = verified(capsys, tmp_path / "out", "--trust", pair / keys.ROOT)
    assert code == 0 and "signed by City Archive" in told
    (tmp_path / "scans").rename(tmp_path / "moved")
    assert verified(capsys, tmp_path / "out")[0] == 1
    assert verified(capsys, tmp_path / "out", "--source", tmp_path)[0] == 0


def test_what_c2pa_writes_of_a_large_film_is_not_kept():
    nowhere = films._Nowhere()
    nowhere.write(b"12345")
    assert nowhere.seek(-2, 2) == 3 and nowhere.write(b"ab") == 2 and nowhere.tell() == 5


def test_a_source_that_moved_is_found_again(tmp_path, colour, capsys):
    source, out = film(tmp_path / "grey.mkv", frames=4), tmp_path / "colour.mkv"
    assert colour(source, out) == 0
    place = tmp_path / "vault" / "other.mkv"
    place.parent.mkdir()
    source.rename(place)
    film(source, frames=3)  # another one has taken its name
    assert verified(capsys, out)[0] == 1
    code, told = verified(capsys, out, "--source", place.parent)
    assert code == 0 and "as it says" in told
    place.unlink()
    assert "has changed" in verified(capsys, out, "--source", place.parent)[1]


def test_a_key_that_cannot_sign_is_told_before_anything_is_done(tmp_path, colour, capsys, pair):
    source = film(tmp_path / "grey.mkv", frames=1)
    assert colour(source, tmp_path / "colour.mkv", "--sign-key", pair / keys.CHAIN, "--sign-cert", pair / keys.CHAIN) == 2
    assert "--sign-key" in capsys.readouterr().err and not (tmp_path / "colour.mkv.work").exists()
