"""Hints on the command line and beside photographs: what follows them, what says so, and what cannot."""

import hashlib
import html
import json
import pickle
import re
from pathlib import Path

import fsspec
import jax
import numpy as np
import pytest
from helpers.files import CAT, multipage
from helpers.tiny import config as tiny
from PIL import Image

from colorjax import checkpoint, cli, photos
from colorjax.archive import colorize_cluster, colorize_many, plan, sidecar, urls
from colorjax.archive.colorize_command import telling
from colorjax.inference.colorizer import Colorizer
from colorjax.networks import state
from colorjax.science import color, hints
from colorjax.science.hints import Hint

TEAL, RED = Hint(30, 40, (0x20, 0x90, 0x90)), Hint(70, 120, (0xB0, 0x40, 0x30))
BOTH = ["--hint", f"30,40,{TEAL.color}", "--hint", f"70,120,{RED.color}"]


class Guided(Colorizer):
    """Follows hints as plainly as can be: what a network sees of them has their colour and is sure, all else is nearly grey."""

    guided = property(lambda self: True, lambda self, value: None)

    def predict(self, image, hints=()):
        found = super().predict(image)
        seen = self._shown(hints, image, found.ab)
        return found._replace(ab=np.where(seen[..., 2:] > 0, seen[..., :2] * 110, found.ab / 10))

    def uncertainty(self, image, hints=()):
        spread = super().uncertainty(image)
        return np.where(self._shown(hints, image, spread)[..., 2] > 0, 0, spread)

    @staticmethod
    def _shown(some, image, answer):
        return hints.drawn(some, image.shape[:2], answer.shape[:2])


@pytest.fixture(autouse=True)
def guided(monkeypatch):
    monkeypatch.setattr(colorize_many, "Colorizer", Guided)


@pytest.fixture
def colorize(capsys, weights, tmp_path):
    """(exit code, stdout, stderr) of the command with these arguments."""

    def run(*arguments, out=tmp_path / "out", ckpt=weights):
        capsys.readouterr()
        code = cli.main([str(argument) for argument in ("colorize", *arguments, "--out", out, "--ckpt", ckpt)])
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def scan(tmp_path):
    """A photograph that is stored on its side: upright it is 90 pixels wide and 150 high."""
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "scan.png"
    Image.fromarray(CAT).save(path, exif=exif)
    return path


def write_hints(photograph, *some):
    path = photograph.with_name(photograph.name + ".hints.json")
    path.write_text(json.dumps({"hints": [hint.as_dict() for hint in some]}))
    return path


def about(copy):
    return json.loads(copy.with_name(copy.name + ".json").read_text())


def ab(copy, hint):
    """Of a copy, at a hint."""
    pixels = photos.read(copy).image[hint.y - 1 : hint.y + 2, hint.x - 1 : hint.x + 2]
    return color.rgb_to_lab(pixels / np.float32(255))[..., 1:].mean((0, 1))


def document(copy):
    return re.search(rb"<xmpMM:DocumentID>(.*?)<", copy.read_bytes())[1]


def digests(folder):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


# --- on the command line ---


def test_the_colour_of_a_hint_is_where_it_is_in_the_upright_photograph(colorize, scan, tmp_path):
    assert colorize(scan, *BOTH, "--uncertainty", "--report", tmp_path / "report.json")[0] == 0
    copy = tmp_path / "out" / "scan.colorized.png"
    assert photos.read(copy).image.shape == (150, 90, 3)
    for hint in (TEAL, RED):
        wanted = color.rgb_to_lab(np.array(hint.rgb, np.float32) / 255)[1:]
        turn = np.degrees(np.angle(complex(*ab(copy, hint)) / complex(*wanted)))
        assert abs(turn) < 15  # of its hue; how much of it there can be depends on the lightness
    page = about(copy)["pages"][0]
    assert page["hints"] == [{"x": 30, "y": 40, "color": "#209090"}, {"x": 70, "y": 120, "color": "#b04030"}]
    assert "hints_from" not in page
    assert about(copy)["settings"]["hints"] == 2
    assert '"hints": 2' in html.unescape(photos.read(copy).metadata.xmp.decode())
    assert colorize(scan, "--uncertainty", out=tmp_path / "none")[0] == 0
    sure, guess = (photos.read(tmp_path / folder / "scan.png.uncertainty.png").image for folder in ("out", "none"))
    assert all(sure[hint.y, hint.x] < 0.7 * guess[hint.y, hint.x] for hint in (TEAL, RED))
    assert json.loads((tmp_path / "report.json").read_text())["photographs"][0]["hints"] == 2
    assert cli.main(["verify", str(copy) + ".json"]) == 0


def test_without_hints_nothing_tells_of_any(colorize, scan, tmp_path):
    write_hints(scan)  # a file of none
    assert colorize(scan)[0] == 0
    copy = tmp_path / "out" / "scan.colorized.png"
    assert "hints" not in photos.read(copy).metadata.xmp.decode()
    assert "hints" not in Path(f"{copy}.json").read_text()


def test_of_several_hints_at_one_point_the_last_is_told(colorize, scan, tmp_path):
    assert colorize(scan, "--hint", "30,40,#000000", *BOTH)[0] == 0
    said = about(tmp_path / "out" / "scan.colorized.png")
    assert [hint["color"] for hint in said["pages"][0]["hints"]] == ["#209090", "#b04030"]
    assert said["settings"]["hints"] == 2


@pytest.mark.parametrize(
    "wrong",
    ["", "30,40", "30;40;#209090", "-3,40,#209090", "3.5,40,#209090", "30,40,209090", "30,40,teal", "30,40,#209\x1b[0m"],
)
def test_a_malformed_hint_is_wrong_usage(colorize, scan, tmp_path, wrong):
    code, out, err = colorize(scan, *BOTH, f"--hint={wrong}")
    assert (code, out) == (2, "")
    said = (
        ": hint's color "
        if wrong.count(",") == 2 and wrong.startswith("30,40,")
        else " is not valid; it is written as X,Y,#RRGGBB"
    )
    assert err.startswith(f"colorjax: --hint {photos.legible(wrong)}{said}".replace("hint  ", "hint ")), err
    assert err.count("\n") == 1
    assert err.isprintable() or err.strip().isprintable()
    assert not (tmp_path / "out").exists()


def test_hints_are_of_one_photograph(colorize, scan, tmp_path):
    folder = tmp_path / "album"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        Image.fromarray(CAT).save(folder / name)
    for arguments in ([folder], [scan, folder / "a.png"], [scan, tmp_path / "missing.png"]):
        code, out, err = colorize(*arguments, *BOTH)
        assert (code, out) == (2, "")
        assert err == "colorjax: --hint is of one photograph, and here are 2; .hints.json files are of many\n"
    code, _, err = colorize(scan, *BOTH, "--no-hints")
    assert (code, err) == (2, "colorjax: --hint and --no-hints contradict each other\n")
    assert not (tmp_path / "out").exists()
    assert colorize(scan, scan, *BOTH)[0] == 0  # named twice, it is one


def test_a_hint_outside_the_photograph(colorize, scan, tmp_path):
    code, _, err = colorize(scan, "--hint", "100,40,#209090")  # inside of what is stored, but not of the upright picture
    assert code == 1
    assert err == f"{scan}: hint 100,40,#209090 is outside the photograph of 90x150 pixels\n"
    assert not (tmp_path / "out").exists()


# --- beside a photograph ---


def test_a_file_beside_a_photograph_is_as_hints_on_the_command_line(colorize, scan, tmp_path):
    assert colorize(scan, *BOTH, out=tmp_path / "given")[0] == 0
    assert colorize(scan, out=tmp_path / "none")[0] == 0
    file = write_hints(scan, TEAL, RED)
    before = digests(tmp_path / "given")
    assert colorize(scan, out=tmp_path / "found")[0] == 0
    assert digests(tmp_path / "found")["scan.colorized.png"] == before["scan.colorized.png"]
    page = about(tmp_path / "found" / "scan.colorized.png")["pages"][0]
    assert len(page["hints"]) == 2
    assert page["hints_from"] == {"name": "scan.png.hints.json", "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
    assert cli.main(["verify", str(tmp_path / "found")]) == 0
    assert colorize(scan, "--no-hints", out=tmp_path / "without")[0] == 0
    assert digests(tmp_path / "without") == digests(tmp_path / "none")
    write_hints(scan, Hint(1, 1, (0, 0, 0)))
    assert colorize(scan, *BOTH, out=tmp_path / "replaced")[0] == 0
    assert digests(tmp_path / "replaced") == before


@pytest.fixture
def problems(tmp_path):
    """An album of photographs, all but one with hints that cannot be followed, and the reasons by name."""
    folder = tmp_path / "album"
    folder.mkdir()
    for name in ("broken.png", "color.png", "folder.png", "link.png", "good.png", "negative.png", "many.png"):
        Image.fromarray(CAT).save(folder / name)
    (folder / "broken.png.hints.json").write_text('{"hints": [')
    (folder / "color.png.hints.json").write_text('{"hints": [{"x": 1, "y": 2, "color": "teal"}]}')
    (folder / "folder.png.hints.json").mkdir()
    (folder / "link.png.hints.json").symlink_to(tmp_path / "nowhere")
    write_hints(folder / "good.png", TEAL)
    (folder / "negative.png.hints.json").write_text('{"hints": [{"x": -1, "y": 2, "color": "#209090"}]}')
    write_hints(folder / "many.png", *[Hint(x, 0, (1, 2, 3)) for x in range(1001)])
    return folder, {
        "broken.png": "broken.png.hints.json is no JSON: ",
        "color.png": "color.png.hints.json: hint's color 'teal' is not valid; it is written as #RRGGBB, as #23408e",
        "folder.png": "folder.png.hints.json is no file",
        "link.png": "link.png.hints.json is no file",
        "negative.png": "hint -1,2,#209090 is outside the photograph",
        "many.png": "1001 hints are too many; a photograph may have 1000",
    }


def test_hints_that_are_malformed_fail_alone_and_are_foreseen(colorize, problems, tmp_path):
    folder, reasons = problems
    code, out, _ = colorize(folder, "--dry-run", "--json")
    foreseen = {Path(line["source"]).name: line["reason"] for line in map(json.loads, out.splitlines())}
    assert code == 1
    assert foreseen.pop("good.png") == ""
    assert foreseen.keys() == reasons.keys()
    for name, words in reasons.items():
        assert foreseen[name].startswith(words)
    code, out, err = colorize(folder)
    assert code == 1
    assert sorted(err.splitlines()) == sorted(f"{folder / name}: {reason}" for name, reason in foreseen.items())
    assert out == f"1 photograph coloured into {tmp_path / 'out'}, 6 failed\n"
    assert sorted(digests(tmp_path / "out")) == ["good.colorized.png", "good.colorized.png.json"]
    code, out, err = colorize(folder, "--no-hints", out=tmp_path / "without")
    assert (code, err) == (0, "")


def test_which_page_hints_are_of_is_not_known(colorize, tmp_path):
    path = tmp_path / "pages.tif"
    multipage(path)
    count = sum(1 for _ in photos.pages(path))
    write_hints(path, Hint(1, 1, (0x20, 0x90, 0x90)))
    for arguments in ([], ["--hint", "1,1,#209090"]):
        code, _, err = colorize(path, *arguments)
        assert code == 1
        assert err == f"{path}: it has hints and {count} pages: which one they are of is not known; split it\n"
    assert colorize(path, "--no-hints")[0] == 0


def test_a_network_that_follows_no_hints(colorize, scan, tmp_path, monkeypatch):
    monkeypatch.setattr(Guided, "guided", property(lambda self: False, lambda self, value: None))
    write_hints(scan, TEAL)
    Image.fromarray(CAT).save(tmp_path / "other.png")
    code, out, err = colorize(scan, tmp_path / "other.png")
    assert code == 1
    assert err == f"{scan}: it has hints, and this network was not trained to follow any; --no-hints does without\n"
    assert out.startswith("1 photograph coloured")
    assert colorize(scan, *BOTH)[2] == f"{scan}: it has hints, and this network was not trained to follow any\n"
    write_hints(scan)
    assert colorize(scan)[0] == 0


@pytest.mark.parametrize("follows", [True, False])
def test_networks_as_they_are(colorize, scan, tmp_path, weights, monkeypatch, follows):
    monkeypatch.setattr(colorize_many, "Colorizer", Colorizer)
    if follows:
        config, rng = tiny(model__name="shallow", model__guided=True), np.random.default_rng(5)
        shapes, stats = jax.eval_shape(lambda: state.init_network(config.model, jax.random.key(0)))
        params = jax.tree.map(lambda leaf: rng.normal(0, 0.2, leaf.shape).astype(np.float32), shapes)
        checkpoint.export(checkpoint.Network(config, params, stats, Path("random")), tmp_path / "guided")
    ckpt = tmp_path / "guided" if follows else weights
    code, _, err = colorize(scan, *BOTH, "--uncertainty", "--flip", out=tmp_path / "hinted", ckpt=ckpt)
    if not follows:
        assert (code, err) == (1, f"{scan}: it has hints, and this network was not trained to follow any\n")
        return
    assert (code, err) == (0, "")
    assert colorize(scan, "--uncertainty", "--flip", out=tmp_path / "plain", ckpt=ckpt)[0] == 0
    hinted, plain = (photos.read(tmp_path / folder / "scan.colorized.png").image.astype(int) for folder in ("hinted", "plain"))
    assert np.abs(hinted - plain)[30:50, 20:40].max() > 5
    assert cli.main(["verify", str(tmp_path / "hinted")]) == 0


# --- run again ---


def test_a_copy_of_other_hints_is_told_apart(colorize, scan, tmp_path):
    copy, other = (
        tmp_path / "out" / "scan.colorized.png",
        f"{scan}: its copy is there already, with another set of hints; --overwrite makes it anew\n",
    )
    assert colorize(scan)[0] == 0
    first = digests(tmp_path / "out")
    write_hints(scan, TEAL)
    code, out, err = colorize(scan)
    assert (code, err) == (0, other)
    assert "is there already: " in out
    assert colorize(scan, "--no-hints")[::2] == (0, "")
    assert digests(tmp_path / "out") == first
    assert colorize(scan, "--overwrite")[::2] == (0, "")
    names = {document(copy)}
    assert colorize(scan)[::2] == colorize(scan, "--hint", f"30,40,{TEAL.color}")[::2] == (0, "")
    for arguments in (BOTH, ["--hint", "30,41,#209090"], ["--hint", "30,40,#209091"], ["--no-hints"]):
        assert colorize(scan, *arguments)[::2] == (0, other)
        assert colorize(scan, *arguments, "--overwrite")[::2] == (0, "")
        names.add(document(copy))
    assert len(names) == 5  # each is another picture, as many hints as it may have
    assert digests(tmp_path / "out") == first


def test_a_sidecar_whose_hints_are_damaged_is_of_other_hints(colorize, scan, tmp_path):
    assert colorize(scan, *BOTH)[0] == 0
    path = tmp_path / "out" / "scan.colorized.png.json"
    said = json.loads(path.read_text())
    for value in (None, 7, {}, [7], "x"):
        said["pages"][0]["hints"] = value
        path.write_text(json.dumps(said))
        assert "with another set of hints" in colorize(scan, *BOTH)[2]
        assert cli.main(["verify", str(path)]) == 0


# --- neither photographs nor sidecars ---


def test_files_of_hints_are_passed_over_without_a_word(colorize, scan, tmp_path):
    file = write_hints(scan, TEAL)
    code, out, err = colorize(tmp_path, out=tmp_path)
    assert (code, out, err) == (0, f"coloured {scan} -> {tmp_path / 'scan.colorized.png'}\n", "")
    copy = tmp_path / "scan.colorized.png"
    write_hints(copy, RED)
    assert sidecar.find(tmp_path) == [tmp_path / "scan.colorized.png.json"]
    assert cli.main(["verify", *map(str, sorted(tmp_path.glob("*.json")))]) == 0
    assert cli.main(["sheet", str(tmp_path)]) == 0
    assert cli.main(["verify", str(file)]) == 2
    assert colorize(*sorted(tmp_path.glob("scan.png*")))[::2] == (0, "")
    code, _, err = colorize(file)
    assert code == 2
    assert err.startswith("colorjax: no photographs in ")


def test_a_file_of_hints_that_no_photograph_has_is_counted(colorize, scan, tmp_path):
    (tmp_path / "scan.hints.json").write_text('{"hints": []}')
    assert colorize(tmp_path)[:2] == (
        0,
        f"coloured {scan} -> {tmp_path / 'out' / 'scan.colorized.png'}, passed over 1 file of hints without its photograph\n",
    )


def test_a_report_does_not_take_the_place_of_hints(colorize, scan):
    code, _, err = colorize(scan, "--report", f"{scan}.hints.json")
    assert code == 2
    assert "would take the place of a picture, its sidecar or its hints" in err


# --- elsewhere ---


def test_hints_beside_photographs_at_urls(colorize, scan, tmp_path):
    files = fsspec.filesystem("memory")
    files.store.clear()
    content = scan.read_bytes()
    for name in ("a.png", "b.png", "c.png"):
        files.pipe_file(f"/hints/album/{name}", content)
    there = write_hints(scan, TEAL, RED).read_bytes()
    files.pipe_file("/hints/album/a.png.hints.json", there)
    files.pipe_file("/hints/album/c.png.hints.json", b"{")
    files.pipe_file("/hints/album/lost.png.hints.json", b"{}")
    passed_over = photos.PassedOver()
    assert len(list(urls.find(urls.place("memory://hints/album"), passed_over))) == 3
    assert passed_over == {photos.ASTRAY: 1}
    code, _, err = colorize("memory://hints/album", out="memory://hints/out")
    assert code == 1
    assert err.startswith("memory://hints/album/c.png: c.png.hints.json is no JSON: ")
    pages = {name: json.loads(files.cat_file(f"/hints/out/{name}.colorized.png.json"))["pages"][0] for name in "ab"}
    assert pages["a"]["hints_from"] == {"name": "a.png.hints.json", "sha256": hashlib.sha256(there).hexdigest()}
    assert len(pages["a"]["hints"]) == 2
    assert "hints" not in pages["b"]
    assert colorize("memory://hints/album", "--no-hints", "--dry-run", out="memory://hints/out")[0] == 0
    assert colorize("memory://hints/album/c.png", *BOTH, out=tmp_path / "here")[0] == 0
    assert len(about(tmp_path / "here" / "c.colorized.png")["pages"][0]["hints"]) == 2
    files.store.clear()


def test_jobs_with_hints_reach_the_workers_of_a_cluster(scan, tmp_path, weights):
    job = plan.Job(scan, tmp_path / "out" / "scan.colorized.png", hints=(TEAL, RED))
    (sent,) = colorize_cluster._portable([job], [tmp_path / "out"])
    assert pickle.loads(pickle.dumps(sent)) == sent
    assert sent.hints == job.hints
    (outcome,) = colorize_many.run([pickle.loads(pickle.dumps(sent))], Guided.from_checkpoint(weights), plan.Options())
    assert outcome.status == "coloured"
    assert pickle.loads(pickle.dumps(outcome)) == outcome
    assert telling.as_dict(plan.foresee(sent, plan.Options())) == telling.as_dict(outcome) | {"seconds": {}}


def test_a_job_takes_hints_as_a_colorizer_does(scan, tmp_path, weights):
    target = tmp_path / "scan.colorized.png"
    some = [plan.Job(scan, target, hints=((30, 40, "#209090"),)), plan.Job(scan, target, hints=((30, 40),))]
    first, second = colorize_many.run(some, Guided.from_checkpoint(weights), plan.Options(overwrite=True))
    assert first.guide.hints == (TEAL,)
    assert (second.status, second.reason) == ("failed", "hint (30, 40) is not valid; it has x, y and a color")
