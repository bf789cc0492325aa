"""README and docs/: every block is run or parsed, every link leads somewhere, every sentence is short, no option is made up."""

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from helpers import ROOT
from helpers.moving import pattern

from colorjax import cli
from colorjax.archive import sidecar

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
LANGUAGES = {"sh", "python", "python notest", "json", "text", "toml"}
RUN = "<!-- run -->"
LONGEST = 25  # words of a sentence
OTHERS = {"pip", "ray", "git", "mkdocs", "ruff", "mypy", "pytest", "jupyter", "apt-get", "dpkg-deb", "unzip"}
BLOCK = re.compile(rf"(?:^({re.escape(RUN)})\n)?^```(.*)\n((?:.*\n)*?)^```$", re.MULTILINE)


def blocks(page):
    """(whether it is to be run, language, text) of each fenced block."""
    return [(bool(mark), language.strip(), text) for mark, language, text in BLOCK.findall(page.read_text(encoding="utf-8"))]


def commands(text):
    """The words of each command of a block: lines that end in a backslash go on, && begins another."""
    for line in text.replace("\\\n", " ").splitlines():
        words = shlex.split(re.sub(r"(^|\s)#\s.*", "", line))
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            yield words[:end]
            words = words[end + 1 :]


ALL = [
    (page, *command) for page in PAGES for _, language, text in blocks(page) if language == "sh" for command in commands(text)
]


@pytest.fixture
def photographs(tmp_path, monkeypatch):
    """A folder with what the pages speak of."""
    monkeypatch.chdir(tmp_path)
    example = ROOT / "colorjax" / "archive" / "example" / "example.jpg"
    (tmp_path / "scans" / "1930").mkdir(parents=True)
    for name in ("example.jpg", "scans/portrait.jpg", "scans/1930/street.jpg"):
        shutil.copy(example, tmp_path / name)
    return tmp_path


def test_blocks_say_what_they_are():
    for page, name in zip(PAGES, NAMES, strict=True):
        text = page.read_text(encoding="utf-8")
        assert text.count("\n```") == 2 * len(blocks(page)), f"{name}: a fence is not closed, or is indented"
        for _, language, _ in blocks(page):
            assert language in LANGUAGES, f"{name}: a block is of {language or 'no language'}; legal are {sorted(LANGUAGES)}"


@pytest.mark.parametrize(
    "name", [n for n, page in zip(NAMES, PAGES, strict=True) if any(b[1] == "python" for b in blocks(page))]
)
def test_python_runs(name, photographs):
    space = {"__name__": name}
    for _, language, text in blocks(ROOT / name):
        if language == "python":
            exec(compile(text, name, "exec"), space)
        elif language == "python notest":
            ast.parse(text)


@pytest.mark.parametrize("name", [n for n, page in zip(NAMES, PAGES, strict=True) if any(b[0] for b in blocks(page))])
def test_what_is_marked_to_be_run_runs(name, photographs, capsys):
    for run, language, text in blocks(ROOT / name):
        if run and language == "json":
            (photographs / "scans" / "portrait.jpg.hints.json").write_text(text)
        for program, *arguments in commands(text) if run and language == "sh" else ():
            assert program == "colorjax"
            assert cli.main(arguments) == 0, f"{name}: colorjax {' '.join(arguments)}: {capsys.readouterr()}"


def two_scenes(path, shape=(96, 128), frames=24, length=8):
    """A grey film of two scenes; the first dissolves into the second."""
    import av

    with av.open(str(path), "w") as out:
        stream = out.add_stream("ffv1", rate=24)
        stream.height, stream.width, stream.pix_fmt = *shape, "gray"
        for number in range(frames):
            share = min(max((number + 1 - (frames - length) // 2) / (length + 1), 0), 1)
            both = [pattern(seed, (shape[0], shape[1] + frames))[:, number : number + shape[1]] for seed in (0, 1)]
            picture = np.round(2.4 * ((1 - share) * both[0] + share * both[1])).astype(np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, "gray")))
        out.mux(stream.encode(None))


@pytest.mark.slow
def test_the_tutorial_of_films_can_be_followed(tmp_path, monkeypatch, capsys):
    """Its commands in turn, by the network inside the package, on a film of 24 small frames, with the files that it shows."""
    from colorjax import photos

    monkeypatch.chdir(tmp_path)
    two_scenes(tmp_path / "reel.mkv")
    assert cli.main(["keys", "--new", "."]) == 0
    (tmp_path / "scans").mkdir()
    for number in range(3):
        grey = np.round(655 * pattern(2, (48, 64 + number))[:, number:, None]).astype(np.uint16)
        photos.write(tmp_path / "scans" / f"{number}.tif", grey.repeat(3, -1))
    done = []
    for _, language, text in blocks(ROOT / "docs" / "tutorials" / "film.md"):
        if language == "json":
            hints = json.loads(text)
            hints["hints"][0] |= {"frame": 20, "x": 90, "y": 60}  # this film is smaller than the one that is told of
            (tmp_path / "reel.mkv.hints.json").write_text(json.dumps(hints))
        for program, *words in commands(text) if language == "sh" else ():
            if program != "colorjax":
                assert program == "pip"
                continue
            if "--source" in words:  # the film is on another disk now
                words[-1] = str(tmp_path / "films")
                (tmp_path / "films").mkdir()
                shutil.move("reel.mkv", "films")
            capsys.readouterr()
            code = cli.main(words)
            told = capsys.readouterr()
            assert code == 0, f"colorjax {' '.join(words)}: {told}"
            done.append((words, told))
            if "--source" in words:
                shutil.move("films/reel.mkv", "reel.mkv")
    assert [words[0] for words, _ in done].count("verify") == 3 and len(done) == 10
    assert all("as it says" in told.out for words, told in done if words[0] == "verify")
    hinted = json.loads(Path("coloured.mkv.json").read_text())["shots"]
    assert [shot["first"] for shot in hinted] == [0, 12] and hinted[1]["dissolve"] == [8, 15]
    assert sum(shot.get("hints", 0) for shot in hinted) == 1 and "the hint at 90,60 of frame 20 holds" in done[3][1].err
    assert len(list(Path("coloured").glob("*.tif"))) == 3


@pytest.mark.parametrize("command", [c[1:] for c in ALL if c[1] == "colorjax"], ids=" ".join)
def test_options_of_the_console(command):
    arguments = command[1:]
    assert arguments, "colorjax alone does nothing"
    cli._parser().parse_args(arguments)  # ends the program where something is misspelt


SCRIPT = """
import json, os, runpy, sys
from colorjax import cli
from configs import base
from absl import app, flags
app.run = lambda main, flags_parser: flags_parser(sys.argv)
for script, *arguments in json.load(sys.stdin):
    if not os.fork():  # flags can be defined once
        sys.argv = [script, *arguments]
        code = 1
        try:
            runpy.run_path(script, run_name="__main__")
            code = 0
        except SystemExit as error:
            print(" ".join(sys.argv), error, sep="\\n", flush=True)
        finally:
            os._exit(code)
    if os.wait()[1]:
        sys.exit(1)
"""


def test_flags_and_keys_of_the_scripts():
    """--config.KEY of today's configs/base.py, and the other flags, by the parsers of train.py and evaluate.py themselves."""
    asked = [c[1:] for c in ALL]
    asked = [list(c[c.index("python") + 1 :]) for c in asked if {"train.py", "evaluate.py"} & set(c[:3])]
    assert len(asked) > 20
    told = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=json.dumps(asked), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr


def test_the_sink_that_is_shown_is_told_of_a_run(tmp_path, monkeypatch):
    """The blocks of its page in turn, with a stand-in for the library, and for the training that hands the sink on."""
    import inspect
    import types

    from PIL import Image

    import train
    from colorjax.training import telemetry

    told, signature = [], inspect.signature(train.train)
    run = types.SimpleNamespace(log=told.append, finish=lambda: told.append("finished"), define_metric=lambda *_, **__: None)
    wandb = types.SimpleNamespace(init=lambda **_: run, Image=lambda image: image.size)
    monkeypatch.setitem(sys.modules, "wandb", wandb)

    def trained(*given, **named):
        asked = signature.bind(*given, **named).arguments
        assert (asked["config"].data.source, asked["workdir"]) == ("folder", "runs/unet")
        with telemetry.Writer(tmp_path, 0, asked["sinks"]) as writer:
            writer.write("train", 1, {"l1": 0.5})
            writer.picture("panels", 1, Image.new("RGB", (6, 4)))

    monkeypatch.setattr(train, "train", trained)
    space = {}
    for _, language, text in blocks(ROOT / "docs" / "howto" / "telemetry.md"):
        assert language == "python notest"
        exec(compile(text, "telemetry.md", "exec"), space)
    assert told == [{"step": 1, "train/l1": 0.5}, {"step": 1, "panels": (6, 4)}, "finished"]


def test_other_commands_are_there():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for page, program, *words in ALL:
        if program == "python":
            script = words[0]
            assert (ROOT / script).is_file(), f"{page.name}: there is no {script}"
            if script.startswith(("benchmarks/", "docs/")):
                known = (ROOT / script).read_text()
                beside = [
                    path for path in (ROOT / script).parents[1].rglob("*.py") if re.search(rf"import.*\b{path.stem}\b", known)
                ]
                known = "".join([known, *(path.read_text() for path in beside)])
                for option in (word.partition("=")[0] for word in words if word.startswith("--")):
                    assert f'"{option}"' in known or option == "--help", f"{page.name}: {script} has no {option}"
        elif program == "pip":
            for extra in (name for word in words for name in re.findall(r"\[(.*)\]", word)):
                assert set(extra.split(",")) <= extras.keys(), f"{page.name}: there is no extra {extra}"
        else:
            assert program in OTHERS | {"colorjax", "srun", ".ci/run"}, f"{page.name}: {program} is not known"


@pytest.mark.parametrize(
    "name", [*NAMES, "benchmarks/README.md", "deploy/README.md", "colorjax/weights/README.md", "CHANGELOG.md"]
)
def test_links_lead_somewhere(name):
    page = ROOT / name
    text = BLOCK.sub("", page.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"https?:|mailto:", link):
            file = link.partition("#")[0]
            assert not file or (page.parent / file).exists(), f"{name}: {link} leads nowhere"


def test_the_readme_is_a_door():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150 and len(text.split()) <= 1200
    for command in ("pip install . && colorjax colorize --example", 'pip install -e ".[test]" && pytest'):
        assert command in text.splitlines(), "what .ci/run runs"


def prose(text):
    """The sentences of a page, without code, tables and headings."""
    text = re.sub(r"<!--.*?-->", "", BLOCK.sub("\n\n", text), flags=re.DOTALL)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    lines = [line for line in text.splitlines() if not re.match(r"\s*(\||#|:::|    )", line)]
    lines = [re.sub(r"^\s*([*-]|\d+\.)\s+", "\n", line) for line in lines]
    for paragraph in re.split(r"\n\s*\n", "\n".join(lines)):
        words = re.sub(r"`[^`]*`", "X", paragraph).replace("*", "")
        yield from (" ".join(sentence.split()) for sentence in re.split(r"(?<=[.!?])\s+", words) if sentence.strip())


@pytest.mark.parametrize("name", NAMES)
def test_sentences_are_short(name):
    long = [s for s in prose((ROOT / name).read_text(encoding="utf-8")) if len(s.split()) > LONGEST]
    assert not long, f"{name}: more than {LONGEST} words"


def test_no_place_of_somebodys_machine():
    for page in [
        *PAGES,
        ROOT / "mkdocs.yml",
        ROOT / "CITATION.cff",
        *(ROOT / "docs").rglob("*.py"),
        *(ROOT / "docs").rglob("*.ipynb"),
    ]:
        assert not re.search(r"/(root|home|work|mnt)/", page.read_text(encoding="utf-8")), page


def test_pictures_are_small():
    pictures = [path for path in (ROOT / "docs").rglob("*") if path.suffix in (".jpg", ".png", ".webp", ".svg")]
    assert 0 < sum(path.stat().st_size for path in pictures) < 3e6


def test_the_reference_of_sidecars_is_whole(photographs):
    """Each field that a sidecar may have stands on its page."""
    options = ["--uncertainty", "--burn-in", "made up", "--hint", "165,118,#8a8c2a", "--negative"]
    assert cli.main(["colorize", "example.jpg", "--out", "all.jpg", *options]) == 0
    shutil.copy(ROOT / "docs" / "reference" / "sidecar.md", "page.md")
    page = Path("page.md").read_text(encoding="utf-8")
    about = sidecar.read(Path("all.jpg.json"))
    names = {f"{top}.{name}" for top in ("source", "copy", "weights") for name in about[top]}
    names |= {"signed.by", "signed.certificate_sha256", "variant", "warmth", "saturation"}  # of copies made otherwise
    names |= (
        set(about) - {"source", "copy", "weights"} | set(about["settings"]) | {name for each in about["pages"] for name in each}
    )
    assert {name for name in names if f"`{name}`" not in page} == set()


def test_hooks_tell_every_key_and_command(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs" / "tools")
    import hooks

    from colorjax.checkpoint import settings
    from configs import base

    assert {key for key, _, _ in hooks.config_keys()} == set(settings.flat(base.get_config().to_dict()))
    told = hooks.on_page_markdown("<!-- console -->")
    for name in ("colorize", "verify", "sheet", "export", "serve"):
        assert f"## colorjax {name}\n" in told
    assert "--protocol" in told and "--workdir" in told and str(ROOT) not in told


def test_a_gallery_of_ones_own(tmp_path, monkeypatch, capsys):
    import skimage
    from PIL import Image

    monkeypatch.syspath_prepend(ROOT / "docs" / "tools")
    import gallery

    (tmp_path / "own").mkdir()
    Image.fromarray(skimage.data.chelsea()).save(tmp_path / "own" / "cat.png")
    (tmp_path / "own" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    out = tmp_path / "page"
    monkeypatch.setattr(sys, "argv", ["gallery.py", "--photos", str(tmp_path / "own"), "--out", str(out)])
    gallery.main()
    assert "cat.png" in (out / "gallery.md").read_text() and "broken.jpg" in capsys.readouterr().err
    with Image.open(out / "pictures" / "gallery" / "cat.jpg") as picture:
        assert picture.width == 3 * gallery.WIDTH + 2 * gallery.GAP


def test_the_notebook_is_clean():
    """Its outputs are made when it is run: .ci/run does."""
    for path in (ROOT / "docs").rglob("*.ipynb"):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            assert not cell.get("outputs") and not cell.get("execution_count"), f"{path.name} holds outputs"
    assert os.path.exists(ROOT / "docs" / "notebooks" / "first-steps.ipynb")
