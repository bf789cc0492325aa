"""Films on the page: looked through, tried and coloured; who may bring them, and what they leave to others."""

import io
import json
import time

import numpy as np
import pytest
from helpers.painter import Painter
from PIL import Image
from starlette.testclient import TestClient

from colorjax.web import app
from colorjax.web.films.limits import FilmLimits
from colorjax.web.sessions import Limits, Sessions

pytest.importorskip("av")
pytest.importorskip("cv2")
from helpers.films import film, frames_md5

from colorjax import cli
from colorjax.film import steadying

HOME = "http://127.0.0.1:8000"
RED = "#c02020"
pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.fixture
def painter():
    return Painter()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "private"


@pytest.fixture
def page(painter, folder, monkeypatch):
    """A function that makes the application, with what limits are asked for; each third frame begins a shot."""
    monkeypatch.setattr(steadying, "find_shots", lambda small: [number for number, _ in enumerate(small) if number % 3 == 0])

    def make(films=None, **limits):
        return app.make(painter, Sessions(folder, Limits(films=FilmLimits(**films or {}), **limits)), None, ["127.0.0.1"])

    return make


@pytest.fixture
def reel(tmp_path):
    """A film of six frames, 96 x 72."""
    return film(tmp_path / "reel.mkv", shape=(72, 96))


def visitor(application):
    return TestClient(application, base_url=HOME, client=("127.0.0.1", 50_000))


def sent(client, path, name="reel.mkv"):
    return client.post("/api/films", params={"name": name}, content=path.read_bytes(), follow_redirects=True)


def until(client, id, what, state="ready"):
    """What is said of a film once this of it has come to that."""
    for _ in range(1500):
        about = client.get(f"/api/films/{id}").json()
        if about[what]["state"] not in ("waiting", "working"):
            assert about[what]["state"] == state, about
            return about
        time.sleep(0.02)
    raise AssertionError(about)


def brought(client, path, name="reel.mkv"):
    answer = sent(client, path, name)
    assert answer.status_code == 201, answer.text
    return until(client, answer.json()["id"], "looked")


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def test_a_film_is_looked_through_tried_and_coloured_as_on_the_console(page, painter, reel, tmp_path):
    with visitor(page()) as client:
        assert client.get("/api/about").json()["films"]["formats"][0] == {"name": "ffv1", "suffix": ".mkv"}
        about = brought(client, reel)
        assert (about["width"], about["height"], about["frames"], about["shots"]) == (96, 72, 6, [[0, 3], [3, 6]])
        assert any("does not say its matrix" in words for words in about["looked"]["told"])
        one = f"/api/films/{about['id']}"
        assert pixels(client.get(f"{one}/shots/1").content).shape == (120, 160)
        before = pixels(client.get(f"{one}/frames/4/before").content)
        later = pixels(client.get(f"{one}/frames/5/before").content)
        assert before.shape == (72, 96, 3) and later.mean() > before.mean() + 1  # it gets brighter
        hints = [{"frame": 4, "x": 40, "y": 30, "color": RED, "radius": 12, "reach": "soft"}]
        coloured = [client.post(f"{one}/frames/4/view", json={"hints": rows}).content for rows in ([], hints)]
        assert np.abs(np.subtract(*map(pixels, coloured), dtype=int)).max() > 30
        assert client.post(f"{one}/frames/4/suggest", json={"x": 3, "y": 4}).json()["suggestions"][0]["color"] == "#c43c30"
        assert client.put(f"{one}/hints", json={"hints": hints}).status_code == 204
        assert client.get(f"{one}/hints").json() == {"hints": hints}

        assert client.post(f"{one}/try", json={"frame": 4}).status_code == 202
        tried = until(client, about["id"], "tried")["tried"]
        assert (tried["first"], tried["end"], tried["done"]) == (3, 6, 3)
        assert len(tried["told"]) == 1 and tried["told"][0].startswith("the hint at 40,30 of frame 4 holds for frames")
        pack, pictures = client.get(f"{one}/tried").content, []
        while pack:
            size = int.from_bytes(pack[:4], "big")
            pictures.append(pixels(pack[4 : 4 + size]))
            pack = pack[4 + size :]
        assert [picture.shape for picture in pictures] == [(72, 96), (72, 96, 3)] * 3

        assert client.post(f"{one}/copy", json={"format": "ffv1", "strength": 1.2}).status_code == 202
        copy = until(client, about["id"], "copy")["copy"]
        assert copy["done"] == copy["total"] == 6 and tried["told"][0] in copy["told"]
        assert copy["files"][0] == "reel.colorized.mkv" and len(copy["files"]) == 4
        for name in copy["files"]:
            (tmp_path / name).write_bytes(client.get(f"{one}/copy/{name}").content)
        record = (tmp_path / "reel.colorized.mkv.json").read_text()
        assert str(tmp_path) not in record and json.loads(record)["settings"]["strength"] == 1.2
    assert frames_md5(reel) == frames_md5(tmp_path / "reel.colorized.mkv")
    assert cli.main(["verify", str(tmp_path / "reel.colorized.mkv"), "--source", str(tmp_path)]) == 0
