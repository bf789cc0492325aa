"""Films on the page: looked through, tried and coloured; who may bring them, and what they leave to others."""

import asyncio
import dataclasses
import io
import json
import shutil
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import httpx2
import numpy as np
import pytest
from helpers.painter import Painter
from PIL import Image
from starlette.testclient import TestClient

from colorjax.web import app
from colorjax.web.films import room
from colorjax.web.films.limits import FilmLimits
from colorjax.web.films.shelf import Shelf
from colorjax.web.sessions import Limits, Refused, Sessions

pytest.importorskip("av")
pytest.importorskip("cv2")
from helpers import ROOT
from helpers.films import film, frames_md5

from colorjax import cli
from colorjax.film import steadying
from colorjax.film.jobs import arguments

HOME = "http://127.0.0.1:8000"
RED = "#c02020"
pytestmark = pytest.mark.usefixtures("quick_compile")


@pytest.fixture
def page(painter, folder, monkeypatch):
    """A function that makes the application, with what limits are asked for; each third frame begins a shot."""
    monkeypatch.setattr(steadying, "find", lambda small: ([number for number, _ in enumerate(small) if number % 3 == 0], []))

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
    for _ in range(3000):
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
        version = client.put(f"{one}/hints", json={"hints": hints}).raise_for_status().json()["version"]
        assert client.get(f"{one}/hints").json() == {"hints": hints, "version": version}

        assert client.post(f"{one}/try", json={"frame": 4}).status_code == 202
        tried = until(client, about["id"], "tried")["tried"]
        assert (tried["first"], tried["end"], tried["done"]) == (3, 6, 3)
        assert len(tried["told"]) == 1 and tried["told"][0].startswith(
            "the hint at 40,30 of frame 4 (soft, 12 pixels) holds for frames"
        )
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


@pytest.fixture
def quick(monkeypatch):
    """Colours without a network: each frame once this event is set, or while `left` is above 0."""
    go = threading.Event()
    go.set()
    go.left = 0

    def color_shot(luma, colorizer, settings, hints=None, **_):
        for lightness in luma:
            while go.left <= 0 and not go.wait(0.01):
                pass
            go.left -= 1
            yield np.stack([lightness * 0.3 - 5, 25 - lightness * 0.2], axis=-1).astype(np.float32)

    monkeypatch.setattr(steadying, "color_shot", color_shot)
    yield go
    go.set()


def wait_for(what):
    end = time.monotonic() + 30
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def shelf_of(application):
    return next(route.endpoint.__self__ for route in application.routes if route.path == "/api/about").films.shelf


def files_below(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_without_the_extra_a_film_is_answered_by_a_sentence(page, reel, monkeypatch):
    def check():
        raise ValueError('films need more packages (av is missing): pip install "colorjax[film]"')

    monkeypatch.setattr(arguments, "check", check)
    with visitor(page()) as client:
        about = client.get("/api/about").json()["films"]
        assert about["formats"] == [] and ".mkv" in about["suffixes"]
        answer = sent(client, reel)
        assert answer.status_code == 501 and answer.json()["error"] == about["lacking"]
        assert about["lacking"].startswith("this server does not take films yet: ") and "colorjax[film]" in about["lacking"]
        assert client.get("/api/films").json() == {"films": []}


def test_the_page_needs_nothing_of_the_extra():
    blocked = "import sys; sys.modules.update(dict.fromkeys(['av', 'cv2'])); import colorjax.web.app"
    subprocess.run([sys.executable, "-c", blocked], check=True, timeout=120, cwd=ROOT)


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"", 415, "an empty file"),
        (b"no film at all, whatever its name", 415, "no film, or its beginning is damaged"),
        (b"ffconcat version 1.0\nfile other.mkv\n", 415, "lists of other files, and rare kinds, are not taken here"),
        (bytes(100_001), 413, "larger than 0.1 MB"),
        (None, 415, "its pictures have 96x72 pixels, more than is taken here (0.0 megapixels)"),
    ],
)
def test_what_is_no_film_for_here_is_refused_with_words(page, folder, reel, data, status, words):
    with visitor(page({"upload": 100_000, "pixels": 5000})) as client:
        data = reel.read_bytes() if data is None else data
        answer = client.post("/api/films", params={"name": "a.mkv"}, content=data, follow_redirects=True)
        assert answer.status_code == status and words in answer.json()["error"], answer.text
        assert client.get("/api/films").json() == {"films": []}
    assert not files_below(folder)


def test_a_film_of_too_many_frames_is_named(page, reel):
    with visitor(page({"frames": 5})) as client:
        about = until(client, sent(client, reel).json()["id"], "looked", "failed")
        assert "more than 5 frames" in about["looked"]["reason"]


def test_dissolves_are_told(page, reel, monkeypatch):
    monkeypatch.setattr(steadying, "find", lambda small: ([0, 3][: sum(1 for _ in small)], [(2, 5)]))
    with visitor(page()) as client:
        about = client.get(f"/api/films/{brought(client, reel)['id']}").json()
        assert about["shots"] == [[0, 3], [3, 6]] and about["openings"] == [None, [2, 4]]


def test_a_film_is_offered_in_the_formats_that_it_can_have(page, reel, tmp_path):
    """HEVC cannot say of whole frames that they are interlaced."""
    with visitor(page()) as client:
        everything = client.get("/api/about").json()["films"]["formats"]
        assert brought(client, reel)["formats"] == everything
        about = brought(client, film(tmp_path / "fields.mkv", shape=(72, 96), field="tff"), "fields.mkv")
        assert about["formats"] == [one for one in everything if one["name"] != "hevc"] != []
        answer = client.post(f"/api/films/{about['id']}/copy", json={"format": "hevc"})
        assert answer.status_code == 422 and answer.json()["error"].startswith("the format of this film must be one of ffv1")


def test_questions_that_make_no_sense_are_refused(page, reel):
    with visitor(page()) as client:
        one = f"/api/films/{brought(client, reel)['id']}"
        for rows, words in (
            ([{"frame": 6, "x": 1, "y": 1, "color": RED}], "there is no frame 6; the film has 6, the first is 0"),
            ([{"x": 1, "y": 1, "color": RED}], 'does not say its "frame"'),
            ([{"frame": 1, "x": 96, "y": 1, "color": RED}], "outside the photograph of 96x72 pixels"),
            ([{"frame": 1, "x": 1, "y": 1, "color": "red"}], "is not valid"),
            ([{"frame": 1, "x": 1, "y": 1, "color": RED, "reach": "far"}], "reach 'far' is unknown"),
            (["red"], "is not valid"),
        ):
            answer = client.put(f"{one}/hints", json={"hints": rows})
            assert answer.status_code == 422 and words in answer.json()["error"], answer.text
        assert client.get(f"{one}/hints").json()["hints"] == []
        assert client.get(f"{one}/frames/6/before").status_code == 404
        assert client.get(f"{one}/shots/2").status_code == 404
        for path, asked, status in (
            ("try", {"frame": 6}, 404),
            ("try", {"frame": "1"}, 422),
            ("try", {"frame": 1, "strength": 9}, 422),
            ("copy", {"format": "gif"}, 422),
            ("copy", {"strength": None}, 422),
        ):
            assert client.post(f"{one}/{path}", json=asked).status_code == status, (path, asked)


def test_hints_of_another_tab_are_not_overwritten_unseen(page, reel):
    with visitor(page()) as client:
        one = f"/api/films/{brought(client, reel)['id']}/hints"
        first, second = ([{"frame": frame, "x": 1, "y": 1, "color": RED}] for frame in (1, 2))
        version = client.get(one).json()["version"]
        kept = client.put(one, json={"hints": first, "version": version})
        assert kept.status_code == 200
        late = client.put(one, json={"hints": second, "version": version})
        assert late.status_code == 412 and "other hints of this film were saved meanwhile" in late.json()["error"]
        assert client.get(one).json() == {"hints": first, "version": kept.json()["version"]}
        assert client.put(one, json={"hints": second, "version": kept.json()["version"]}).status_code == 200
        assert client.get(one).json()["hints"] == second
        assert client.put(one, json={"hints": first}).status_code == 200  # by who does not ask what was there


def test_visitors_see_nothing_of_each_others_films(page, reel, quick):
    application = page()
    with visitor(application) as one:
        other = visitor(application)
        other.get("/api/about")
        about = brought(one, reel)
        path = f"/api/films/{about['id']}"
        one.post(f"{path}/copy", json={}).raise_for_status()
        name = until(one, about["id"], "copy")["copy"]["files"][0]
        asked = [
            ("GET", ""),
            ("DELETE", ""),
            ("GET", "/shots/0"),
            ("GET", "/hints"),
            ("PUT", "/hints"),
            ("GET", f"/copy/{name}"),
        ]
        asked += [
            ("GET", "/frames/1/before"),
            ("POST", "/frames/1/view"),
            ("POST", "/try"),
            ("GET", "/tried"),
            ("POST", "/copy"),
        ]
        for method, what in [*asked, ("DELETE", "/copy"), ("DELETE", "/try")]:
            answer = other.request(method, path + what, json={"frame": 1} if method in ("POST", "PUT") else None)
            assert answer.status_code == 404 and answer.json()["error"] == "this film is not here (any more)", (method, what)
        assert other.get("/api/films").json() == {"films": []}
        assert one.get(f"{path}/copy/{name}").status_code == 200 == one.get(path).status_code
        assert one.get(f"{path}/copy/..%2F..%2Fsource%2Freel.mkv").status_code == 404


def test_there_is_room_for_some_films_and_no_more(page, reel, folder):
    with visitor(application := page({"of_one": 1, "places": 1})) as client:
        brought(client, reel)
        assert "as many as may be" in sent(client, reel).json()["error"]
        answer = sent(visitor(application), reel)
        assert answer.status_code == 507 and "as many films are here as this server takes" in answer.json()["error"]
    with visitor(page({"places": 2})) as client:
        neighbours = [TestClient(client.app, base_url=HOME, client=("10.0.0.7", 50_000 + n)) for n in range(2)]
        brought(neighbours[0], reel)
        assert "taken from your network" in sent(neighbours[1], reel).json()["error"]
    with visitor(page({"room": reel.stat().st_size - 1})) as client:
        assert "it needs more than" in sent(client, reel).json()["error"]
    with visitor(page({"free": 10**18})) as client:
        assert "the disk of this server is nearly full" in sent(client, reel).json()["error"]


def coming(sessions, shelf, name, address, seconds, size):
    """A film that has been coming for so long, of so many bytes."""
    found = shelf.begin(sessions.admit(name, address)[0], "reel.mkv")
    shelf.come(found, size)
    found.since -= seconds
    return found


def test_films_that_creep_give_their_places_to_those_whose_network_has_fewer(folder):
    sessions = Sessions(folder, Limits(films=FilmLimits(places=6, pace=1000.0)))
    shelf = Shelf(sessions)
    slow = [coming(sessions, shelf, f"a{n}", "10.0.0.1", 100 + n, 5000) for n in range(3)]
    quick = [coming(sessions, shelf, f"b{n}", "10.0.0.2", 100, 95_000) for n in range(3)]
    honest = sessions.admit("c", "10.0.0.3")[0]
    taken = shelf.begin(honest, "mine.mkv")
    assert [one in shelf.all for one in [*slow, *quick, taken]] == [True, True, False, True, True, True, True]
    assert not slow[2].folder.exists()
    with pytest.raises(Refused, match="it came so slowly that somebody else was given its place"):
        shelf.come(slow[2], 1)
    with pytest.raises(Refused, match="as many films are here as this server takes"):
        shelf.begin(honest, "second.mkv")  # the slow have no more than that
    shelf.remove(taken)
    slow[2] = coming(sessions, shelf, "a2", "10.0.0.1", 100, 5000)
    for one in slow:
        shelf.come(one, 0, whole=True)  # those that are here stay
    with pytest.raises(Refused, match="as many films are here as this server takes"):
        shelf.begin(honest, "mine.mkv")


def test_who_creeps_hears_that_the_place_is_given_away(page, reel):
    """Three cookies at one address send a byte now and then; somebody at another is let in."""
    application = page({"places": 3, "of_one": 1})
    with visitor(application) as client:
        shelf, answers, go = shelf_of(application), [], threading.Event()
        shelf.limits = dataclasses.replace(shelf.limits, places=4)

        async def creeping(port):
            async def body():
                yield b"0"
                while not go.is_set():
                    await asyncio.sleep(0.01)
                yield b"0"

            transport = httpx2.ASGITransport(application, client=("10.0.0.7", port))
            async with httpx2.AsyncClient(transport=transport, base_url=HOME) as guest:
                await guest.get("/api/about")
                answers.append(await guest.post("/api/films?name=a.mkv", content=body()))

        async def both():
            await asyncio.gather(creeping(1), creeping(2))

        creepers = threading.Thread(target=lambda: asyncio.run(both()))
        creepers.start()
        wait_for(lambda: len(shelf.all) == 2)
        for one in shelf.all:
            one.since -= 3600
        shelf.limits = dataclasses.replace(shelf.limits, places=2)
        brought(client, reel)
        go.set()
        creepers.join(30)
        assert sorted(answer.status_code for answer in answers) == [415, 503]
        assert any("somebody else was given its place" in answer.json()["error"] for answer in answers)


def test_a_copy_that_needs_too_much_room_says_so_and_the_film_stays(page, reel, folder, quick):
    with visitor(page({"room": reel.stat().st_size + 60_000})) as client:
        id = brought(client, reel)["id"]
        client.post(f"/api/films/{id}/copy", json={}).raise_for_status()
        about = until(client, id, "copy", "failed")
        assert "a copy for looking at takes less" in about["copy"]["reason"] and about["copy"]["files"] == []
        assert client.get(f"/api/films/{id}/frames/1/before").status_code == 200


def test_a_disk_that_fills_up_ends_the_work_and_the_film_stays(page, reel, monkeypatch):
    """Also where temporary files fill it, as those of shots with hints."""
    with visitor(page()) as client:
        id = brought(client, reel)["id"]
        with monkeypatch.context() as full:
            full.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**9 - 1))
            client.post(f"/api/films/{id}/try", json={"frame": 1}).raise_for_status()
            assert "disk of this server is nearly full" in until(client, id, "tried", "failed")["tried"]["reason"]
        assert client.get(f"/api/films/{id}/frames/1/before").status_code == 200


def test_what_is_removed_or_left_alone_is_deleted(page, reel, folder, quick):
    with visitor(application := page(idle=0.5)) as client:
        keeper = next(route.endpoint.__self__ for route in application.routes if route.path == "/api/about")
        one = f"/api/films/{brought(client, reel)['id']}"
        client.post(f"{one}/frames/1/view", json={}).raise_for_status()
        quick.clear()
        client.post(f"{one}/copy", json={}).raise_for_status()
        wait_for(lambda: client.get(one).json()["copy"]["state"] == "working")
        time.sleep(0.6)
        keeper.sweep()
        assert files_below(folder), "its visitor may come back for it"
        assert client.delete(one).status_code == 204 and client.get(one).status_code == 404
        quick.set()
        wait_for(lambda: not files_below(folder))
        id = brought(client, reel)["id"]
        client.post(f"/api/films/{id}/copy", json={}).raise_for_status()
        until(client, id, "copy")
        time.sleep(0.6)
        keeper.sweep()
        assert not files_below(folder) and client.get(f"/api/films/{id}").status_code == 404


def test_a_film_may_take_longer_to_come_than_its_visitor_may_be_quiet(folder):
    sessions = Sessions(folder, Limits(idle=0.0))
    coming = Shelf(sessions).begin(sessions.admit("somebody")[0], "reel.mkv")
    time.sleep(0.01)
    assert sessions.expired() == []
    coming.facts = {"promised": 6}
    assert sessions.expired() == [coming]


def test_frames_that_are_not_kept_take_no_room(page, reel, monkeypatch):
    monkeypatch.setattr(room, "_STILLS", 2)
    with visitor(application := page()) as client:
        id = brought(client, reel)["id"]
        for number in range(6):
            assert client.get(f"/api/films/{id}/frames/{number}/before").status_code == 200
        (one,) = shelf_of(application).all
        assert len(one.stills) == 2
        assert one.held == sum(path.stat().st_size for path in one.folder.rglob("*") if path.is_file())


def test_one_film_at_a_time_and_what_is_cancelled_goes_on(page, reel, quick):
    with visitor(application := page()) as client:
        other = visitor(application)
        mine, second = (brought(one, reel)["id"] for one in (client, other))
        quick.clear()
        quick.left = 4  # the first shot, and a frame of the second
        client.post(f"/api/films/{mine}/copy", json={}).raise_for_status()
        wait_for(lambda: client.get(f"/api/films/{mine}").json()["copy"]["state"] == "working")
        other.post(f"/api/films/{second}/copy", json={"format": "h264"}).raise_for_status()
        waiting = other.get(f"/api/films/{second}").json()["copy"]
        assert (waiting["state"], waiting["ahead"]) == ("waiting", 1)
        wait_for(lambda: client.get(f"/api/films/{mine}").json()["copy"]["done"] == 4)
        assert client.delete(f"/api/films/{mine}/copy").status_code == 204
        assert client.get(f"/api/films/{mine}").json()["copy"]["state"] == "cancelled"
        quick.set()
        until(other, second, "copy")
        quick.clear()
        client.post(f"/api/films/{mine}/copy", json={}).raise_for_status()
        wait_for(lambda: client.get(f"/api/films/{mine}").json()["copy"]["done"] == 3)  # nothing of it was coloured again
        quick.set()
        assert until(client, mine, "copy")["copy"]["done"] == 6


def test_hints_that_come_while_a_film_waits_are_in_its_copy(page, reel, quick):
    with visitor(application := page()) as client:
        other = visitor(application)
        first, mine = (brought(one, reel)["id"] for one in (other, client))
        quick.clear()
        for one, id in ((other, first), (client, mine)):
            one.post(f"/api/films/{id}/copy", json={}).raise_for_status()
        client.put(f"/api/films/{mine}/hints", json={"hints": [{"frame": 1, "x": 1, "y": 1, "color": RED}]}).raise_for_status()
        assert not client.get(f"/api/films/{mine}").json()["copy"]["current"]
        quick.set()
        assert until(client, mine, "copy")["copy"]["current"]
        record = client.get(f"/api/films/{mine}/copy/reel.colorized.mkv.json").json()
        assert record["shots"][0]["hints"] == 1


def test_a_finished_copy_stays_until_the_next_one_is_there(page, reel, quick, folder):
    with visitor(page()) as client:
        id = brought(client, reel)["id"]
        one = f"/api/films/{id}"

        def asked(**how):
            return client.post(f"{one}/copy", json=how).json()["copy"]

        def downloaded(name="reel.colorized.mkv"):
            return client.get(f"{one}/copy/{name}")

        asked()
        until(client, id, "copy")
        first = downloaded().content
        quick.clear()
        quick.left = 1
        for how in ({"format": "h264"}, {"strength": 0.5}):  # a film of the same name, too
            copy = asked(**how)
            assert copy["state"] in ("waiting", "working") and copy["kept"]["format"] == "ffv1"
            assert copy["kept"]["files"][0] == "reel.colorized.mkv" and downloaded().content == first
        assert client.delete(f"{one}/copy").status_code == 204
        assert downloaded().content == first
        copy = asked()  # the same again: nothing is made anew
        assert (copy["state"], copy["kept"]) == ("ready", None) and downloaded().content == first
        quick.set()
        asked(strength=0.5)
        copy = until(client, id, "copy")["copy"]
        assert copy["kept"] is None and downloaded().content != first
        assert sum(path.name == "reel.colorized.mkv" for path in files_below(folder)) == 1
        asked(format="h264")
        assert until(client, id, "copy")["copy"]["files"][0] == "reel.colorized.mp4"
        assert downloaded().status_code == 404 and downloaded("reel.colorized.mp4").status_code == 200


def test_a_finished_copy_makes_room_for_the_next_one(page, reel, quick):
    with visitor(application := page()) as client:
        id = brought(client, reel)["id"]
        client.post(f"/api/films/{id}/copy", json={}).raise_for_status()
        until(client, id, "copy")
        shelf = shelf_of(application)
        (one,) = shelf.all
        size = one.copy.files[0].stat().st_size
        shelf.limits = dataclasses.replace(
            shelf.limits, room=one.held + int(1.5 * size)
        )  # for two copies, and for it twice not
        client.post(f"/api/films/{id}/copy", json={"strength": 0.5}).raise_for_status()
        copy = until(client, id, "copy")["copy"]
        assert copy["strength"] == 0.5 and copy["kept"] is None
        shelf.limits = dataclasses.replace(shelf.limits, room=one.held - size)  # too little, without it, too
        client.post(f"/api/films/{id}/copy", json={"strength": 1.5}).raise_for_status()
        copy = until(client, id, "copy", "failed")["copy"]
        assert copy["kept"]["strength"] == 0.5
        assert client.get(f"/api/films/{id}/copy/reel.colorized.mkv").status_code == 200


class Slow(Painter):
    """Photographs have 8 bits, what of a film is asked 16: only photographs are waited for."""

    def predict(self, image, hints=None, frame=None):
        if image.dtype == np.uint16:
            self.asked = [*getattr(self, "asked", []), time.monotonic()]
            return super().predict(image.astype(np.uint8), hints)
        self.photographs.set()
        self.go.wait(20)
        return super().predict(image, hints)


def test_photographs_go_first(folder, tmp_path, monkeypatch):
    """While somebody waits for a view, a film asks the network once a second at most; the view does not wait for the film."""
    painter = Slow()
    painter.photographs, painter.go = threading.Event(), threading.Event()
    monkeypatch.setattr(steadying, "find", lambda small: ([0 for _ in small][:1], []))
    source = film(tmp_path / "long.mkv", frames=60, shape=(48, 64))
    with visitor(app.make(painter, Sessions(folder, Limits()), None, ["127.0.0.1"])) as client:
        other = visitor(client.app)
        stream = io.BytesIO()
        Image.fromarray(np.full((40, 60), 120, np.uint8)).save(stream, "PNG")
        photograph = other.post("/api/photographs?name=a.png", content=stream.getvalue(), follow_redirects=True).json()["id"]
        id = brought(client, source)["id"]
        client.post(f"/api/films/{id}/copy", json={}).raise_for_status()
        wait_for(lambda: len(getattr(painter, "asked", [])) > 1)
        answers = []
        seen = threading.Thread(target=lambda: answers.append(other.post(f"/api/photographs/{photograph}/view", json={})))
        seen.start()
        assert painter.photographs.wait(10)
        begun = time.monotonic()
        time.sleep(2.0)
        assert sum(at > begun + 0.2 for at in painter.asked) <= 3  # of sixty frames, each eighth and more
        assert client.get(f"/api/films/{id}").json()["copy"]["state"] == "working"
        painter.go.set()
        seen.join(10)
        assert answers[0].status_code == 200
        assert client.get(f"/api/films/{id}").json()["copy"]["state"] == "working"
        until(client, id, "copy")
