"""The server of the page: what it answers, whom it lets in, what it keeps and what it deletes."""

import contextlib
import io
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor

import httpx2
import numpy as np
import pytest
import skimage.data
from helpers import ROOT, console
from PIL import Image
from starlette.testclient import TestClient

from colorjax import cli, photos
from colorjax.archive import sidecar
from colorjax.archive.proof import keys, manifests, signatures
from colorjax.science import color
from colorjax.web import app, lanes, server
from colorjax.web.looks import Look
from colorjax.web.sessions import Limits, Sessions, display_name

HOME = "http://127.0.0.1:8000"
RED = "#c02020"


@pytest.fixture
def page(painter, folder):
    """A function that makes the application, with what limits are asked for."""

    def make(token=None, hosts=("127.0.0.1", "localhost"), **limits):
        return app.make(painter, Sessions(folder, Limits(**limits)), token, None if token else list(hosts))

    return make


def visitor(application, **options):
    return TestClient(application, base_url=HOME, **{"client": ("127.0.0.1", 50_000)} | options)


def encoded(image, suffix="png", **options):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, photos.file_format(f"a.{suffix}"), **options)
    return stream.getvalue()


def cat(height=90, width=120):
    return skimage.data.chelsea()[50 : 50 + height, 100 : 100 + width]


def upload(client, data, name="cat.png"):
    answer = client.post("/api/photographs", params={"name": name}, content=data, follow_redirects=True)
    assert answer.status_code == 201, answer.text
    return answer.json()


def finished(client, id):
    """What became of a copy."""
    for _ in range(400):
        about = client.get("/api/progress").json()["copies"][id]
        if about["state"] != "waiting":
            return about
        time.sleep(0.02)
    raise AssertionError("the copy is not made")


def copied(client, id, **asked):
    assert client.post(f"/api/photographs/{id}/copy", json=asked).status_code == 202
    about = finished(client, id)
    assert about["state"] == "ready", about
    return client.get(f"/api/photographs/{id}/copy"), client.get(f"/api/photographs/{id}/sidecar")


def pixels(answer):
    return np.asarray(Image.open(io.BytesIO(answer.content)).convert("RGB"))


def declared(width, height):
    """A PNG that says that it is so large."""
    data = bytearray(encoded(np.zeros((8, 8), np.uint8)))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def test_a_photograph_is_shown_and_its_copy_is_that_of_the_colorizer(page, painter, tmp_path):
    with visitor(page()) as client:
        about = upload(client, encoded(cat(), dpi=(300, 300)))
        assert (about["width"], about["height"], about["bits"], about["pages"]) == (120, 90, 8, 1)
        path = f"/api/photographs/{about['id']}"
        before, after = client.get(f"{path}/before"), client.post(f"{path}/view", json={"strength": 1.2})
        assert before.headers["content-type"] == after.headers["content-type"] == "image/jpeg"
        assert np.abs(pixels(before).astype(int) - cat()).mean() < 6
        expected = painter(cat(), strength=1.2)
        assert np.abs(pixels(after).astype(int) - expected).mean() < 6 < np.abs(expected.astype(int) - cat()).mean()
        copy, record = copied(client, about["id"], strength=1.2)
        assert 'filename="cat.colorized.png"' in copy.headers["content-disposition"]
        np.testing.assert_array_equal(pixels(copy), expected)
        assert Image.open(io.BytesIO(copy.content)).info["dpi"] == pytest.approx((300, 300), abs=0.1)
        for name, data in (("cat.png", encoded(cat(), dpi=(300, 300))), ("cat.colorized.png", copy.content)):
            (tmp_path / name).write_bytes(data)
        (tmp_path / "cat.colorized.png.json").write_bytes(record.content)
        assert sidecar.verify(tmp_path / "cat.colorized.png.json") == ([], [])
        assert str(tmp_path) not in record.text and record.json()["settings"]["strength"] == 1.2


def test_sixteen_bits_stay_and_a_large_photograph_is_seen_small(page, painter):
    deep = np.uint16(np.linspace(0, 65535, 1500 * 700)).reshape(700, 1500)
    with visitor(page()) as client:
        about = upload(client, encoded(deep), "deep.png")
        assert about["bits"] == 16 and about["width"] == 1500
        view = pixels(client.post(f"/api/photographs/{about['id']}/view", json={}))
        assert view.shape == (478, 1024, 3) and painter.seen[-1][0] == (478, 1024, 3)
        copy, _ = copied(client, about["id"])
    from_file = photos.read(copy.content)
    assert from_file.image.shape == (700, 1500, 3) and from_file.image.dtype == np.uint16
    lab = color.rgb_to_lab(from_file.image / np.float32(65535))
    assert np.abs(lab[..., 0] - color.grey_to_lightness(deep / np.float32(65535))).max() < 0.02


def test_a_hint_colours_its_place(page, painter):
    image = np.full((600, 2048), 140, np.uint8)
    with visitor(page()) as client:
        id = upload(client, encoded(image))["id"]
        without = pixels(client.post(f"/api/photographs/{id}/view", json={}))
        hint = {"x": 1537, "y": 301, "color": RED}
        with_it = pixels(client.post(f"/api/photographs/{id}/view", json={"hints": [hint]}))
        assert [tuple(seen) for seen in painter.seen[-1][1]] == [(768, 150, (192, 32, 32), "object", None)]
        changed = np.abs(with_it.astype(int) - without).max(axis=-1)
        assert changed[150, 768] > 60 and changed[150, 100] < 5
        ran = len(painter.seen)
        client.post(f"/api/photographs/{id}/view", json={"hints": [hint], "strength": 0.5})
        assert len(painter.seen) == ran  # strength alone asks the network nothing
        answer = client.post(f"/api/photographs/{id}/suggest", json={"x": 5, "y": 6, "hints": [hint]}).json()["suggestions"]
        assert answer[0] == {"color": "#c43c30", "share": 0.4} and len(answer) == 6


def test_what_may_be_wrong_with_a_copy_is_told(page):
    with visitor(page()) as client:
        id = upload(client, encoded(cat()))["id"]
        copied(client, id)
        assert finished(client, id)["warnings"] == ["it is in colour already: its own colours are painted over"]
        id = upload(client, encoded(cat()[..., 1]))["id"]
        copied(client, id)
        assert finished(client, id)["warnings"] == []


def test_a_copy_follows_its_hints(page, painter):
    with visitor(page()) as client:
        id = upload(client, encoded(cat()))["id"]
        copy, record = copied(client, id, hints=[{"x": 60, "y": 45, "color": RED}])
        np.testing.assert_array_equal(pixels(copy), painter.paint(cat(), painter.predict(cat(), [(hint(60, 45))])))
        assert RED in record.text


def hint(x, y, rgb=(192, 32, 32)):
    from colorjax.science.hints import Hint

    return Hint(x, y, rgb)


def test_a_network_that_follows_no_hints_is_not_asked_to(page, painter):
    painter.guided = False
    with visitor(page()) as client:
        assert client.get("/api/about").json()["guided"] is False
        id = upload(client, encoded(cat()))["id"]
        hints = [{"x": 1, "y": 1, "color": RED}]
        for what, asked in (("view", {"hints": hints}), ("copy", {"hints": hints}), ("suggest", {"x": 1, "y": 1})):
            answer = client.post(f"/api/photographs/{id}/{what}", json=asked)
            assert answer.status_code == 422 and "does not follow hints" in answer.json()["error"]


def test_hints_of_a_photograph_of_several_pages_are_refused_by_view_and_copy_alike(page):
    stream, pages = io.BytesIO(), [Image.fromarray(one) for one in (cat(), cat()[::-1])]
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    with visitor(page()) as client:
        about = upload(client, stream.getvalue(), "two.tif")
        assert about["pages"] == 2
        for what in ("view", "copy"):
            answer = client.post(f"/api/photographs/{about['id']}/{what}", json={"hints": [{"x": 1, "y": 1, "color": RED}]})
            assert answer.status_code == 422
            assert answer.json()["error"] == "it has 2 pages: which one the hints are of is not known"
        copied(client, about["id"])


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"", 415, "an empty file"),
        (b"<svg></svg>", 415, "not a picture"),
        (encoded(cat())[:3000], 415, "cannot be decoded"),
        (encoded(np.zeros((300, 400), np.uint8)), 415, "too many"),
        (declared(500, 500), 415, "declares 500x500 pixels, too many to decode safely (the limit is 0.1 megapixels)"),
        (declared(30000, 30000), 415, "declares too many pixels to decode safely (900000000; the limit is 0.1 megapixels)"),
        (bytes(60_001), 413, "larger than 0.06 MB"),
        (iter([bytes(40_000)] * 2), 413, "larger than 0.06 MB"),  # no length is declared
    ],
)
def test_what_cannot_be_coloured_is_refused_with_words(page, folder, data, status, words):
    with visitor(page(upload=60_000, pixels=100_000)) as client:
        answer = client.post("/api/photographs", params={"name": "it.png"}, content=data)
        assert answer.status_code == status and words in answer.json()["error"]
        assert client.get("/api/photographs").json() == {"photographs": []}
    assert not [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("asked", "status"),
    [
        ({"hints": [{"x": 500, "y": 1, "color": RED}]}, 422),
        ({"hints": [{"x": 1.5, "y": 1, "color": RED}]}, 422),
        ({"hints": [{"x": 1, "y": 1, "color": "red"}]}, 422),
        ({"hints": "all"}, 400),
        ({"strength": 1.6}, 422),
        ({"strength": "1"}, 422),
        ([], 400),
    ],
)
def test_a_malformed_question_is_refused(page, asked, status):
    with visitor(page()) as client:
        path = f"/api/photographs/{upload(client, encoded(cat()))['id']}"
        for what in ("view", "copy"):
            answer = client.post(f"{path}/{what}", json=asked)
            assert answer.status_code == status and answer.json()["error"]
        assert client.post(f"{path}/view", content=b'{"strength": NaN}').status_code == 422
        assert client.post(f"{path}/view", content=b"x" * 300_000).status_code == 413
        assert client.post(f"{path}/suggest", json={"x": True, "y": 1}).status_code == 422


def test_visitors_see_nothing_of_each_other(page):
    application = page()
    with visitor(application) as one:
        other = visitor(application)
        id = upload(one, encoded(cat()))["id"]
        copied(one, id)
        upload(other, encoded(cat()[::-1]))
        assert [len(client.get("/api/photographs").json()["photographs"]) for client in (one, other)] == [1, 1]
        for client in (other, visitor(application), visitor(application, cookies={"colorjax-visitor-8000": "guess"})):
            for method, what in (("GET", "/before"), ("GET", "/copy"), ("GET", "/sidecar"), ("DELETE", "")):
                assert client.request(method, f"/api/photographs/{id}{what}").status_code == 404
            for what in ("view", "suggest", "copy"):
                assert client.post(f"/api/photographs/{id}/{what}", json={"x": 1, "y": 1}).status_code == 404
            assert id not in client.get("/api/progress").text
        assert other.get("/api/copies.zip").status_code == 404
        assert "set-cookie" not in one.get("/api/about").headers
        cookie = visitor(application).get("/api/about").headers["set-cookie"]
        assert "HttpOnly" in cookie and "SameSite=strict" in cookie


def test_the_page_can_tell_whether_cookies_come_back(page):
    application = page()
    with visitor(application) as client:
        assert [client.get("/api/about").json()["cookie"] for _ in range(3)] == [False, True, True]
        forgetful = visitor(application, cookies={"colorjax-visitor-8000": "of a server before"})
        answers = [forgetful.get("/api/about"), forgetful.get("/api/about")]
        assert [answer.json()["cookie"] for answer in answers] == [False, True] and "set-cookie" in answers[0].headers


def test_only_the_page_itself_is_answered(page):
    with visitor(page()) as client:
        for host in ("evil.example", "[", "127.0.0.1.evil.example:8000"):
            assert client.get("/", headers={"Host": host}).status_code == 421
        assert client.get("/", headers={"Host": "localhost:8000"}).status_code == 200
        data = {"content": encoded(cat()), "params": {"name": "a.png"}}
        for headers in (
            {"Origin": "http://evil.example"},
            {"Origin": "null"},
            {"Origin": "http://["},
            {"Sec-Fetch-Site": "same-site"},
        ):
            assert client.post("/api/photographs", headers=headers, **data).status_code == 403
        assert (
            client.post("/api/photographs", headers={"Origin": HOME, "Sec-Fetch-Site": "same-origin"}, **data).status_code
            == 201
        )
        headers = client.get("/").headers
        assert "default-src 'self'" in headers["content-security-policy"] and "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
        assert client.get("/api/about").headers["cache-control"] == "no-store"
        for path in ("/static/app.js", "/index.html", "/%2e%2e/server.py", "/%2e%2e%2f%2e%2e%2fetc/passwd", "//etc/passwd"):
            assert client.get(path).status_code == 404


def test_a_token_is_asked_for_once(page):
    with visitor(page(token="correct horse")) as client:
        for path in ("/", "/app.js", "/api/about", "/?token=wrong", "/?token=%C3%A9"):
            assert client.get(path).status_code == 401
        answer = client.get("/?token=correct+horse")
        assert answer.headers["refresh"] == "0; url=./" and "correct" not in str(answer.headers) + answer.text
        assert client.get("/").status_code == 200 and client.get("/", headers={"Host": "scans.example"}).status_code == 200
        client.cookies.clear()
        assert client.get("/api/about").status_code == 401


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("../../etc/passwd.png", "passwd.png"),
        ("C:\\Users\\me\\a b.jpg", "a b.jpg"),
        ('x"<>:|?*.png', "x_______.png"),
        ("\u202egnp.exe.png", "_gnp.exe.png"),
        ("..", "photograph"),
        ("", "photograph"),
        (".png", "png"),
        ("ä" * 300 + ".tif", "ä" * 60 + ".tif"),
    ],
)
def test_names_are_plain(given, name):
    assert display_name(given) == name


def test_names_that_mean_folders_stay_inside(page, folder):
    with visitor(page()) as client:
        for name in ("../../../outside.png", "/etc/cron.d/x.png", "..", "a/../../b.png"):
            copied(client, upload(client, encoded(cat()), name)["id"])
        inside = {path.name for path in folder.rglob("*") if path.is_file()}
        assert {"outside.png", "x.colorized.png", "b.colorized.png.json", "photograph"} <= inside
    assert not list(folder.parent.glob("*.png"))


def test_what_is_removed_or_left_alone_is_deleted(page, painter, folder):
    application = app.Page(painter, keeper := Sessions(folder, Limits(idle=60)))
    with visitor(application.app([])) as client:
        one, two = (upload(client, encoded(cat()), name)["id"] for name in ("one.png", "two.png"))
        copied(client, one)
        client.post(f"/api/photographs/{one}/view", json={})
        assert client.delete(f"/api/photographs/{one}").status_code == 204
        assert not list(folder.rglob("one*")) and list(folder.rglob("two.png"))
        assert not [key for key in application.studio._views._values if key[0] == one]
        application.sweep()
        assert client.get("/api/photographs").json()["photographs"][0]["id"] == two
        next(iter(keeper._visitors.values())).seen -= 61
        application.sweep()
        assert client.get("/api/photographs").json() == {"photographs": []}
    assert keeper.held == 0 and not list(folder.iterdir())


def test_what_is_asked_of_a_photograph_that_is_removed_meanwhile_is_not_there(page, painter, folder, capsys):
    application = app.Page(painter, Sessions(folder, Limits()))
    with visitor(application.app([])) as client:
        upload(client, encoded(cat()))
        (photograph,) = next(iter(application.sessions._visitors.values())).photographs.values()
        studio, go = application.studio, threading.Event()
        for lane in (studio.quick, studio.slow):
            lane.submit(lambda task: go.wait(10), "somebody", "first")
        application.sessions.remove(photograph)
        copy = studio.copy(photograph, Look())
        tasks = [studio.before(photograph), studio.view(photograph, Look()), copy.task]
        go.set()
        for task in tasks:
            assert task.future.exception(5).status == 404 and "not here" in str(task.future.exception())
        upload(client, encoded(cat()))
        (other,) = photograph.visitor.photographs.values()
        shown = studio._quickly(other, ("view",), lambda task: (application.sessions.remove(other), studio._view(other)))
        assert shown.future.exception(5).status == 404
        assert not studio._views._values and not painter.seen
    assert not capsys.readouterr().err


def test_a_photograph_may_take_longer_to_come_than_its_visitor_may_be_quiet(folder):
    sessions = Sessions(folder, Limits(idle=0.0))
    coming = sessions.begin(sessions.admit("somebody")[0], "slow.png")
    time.sleep(0.01)
    assert sessions.expired() == []
    coming.width = coming.height = 1
    assert sessions.expired() == [coming]


def test_there_is_room_for_so_much(page):
    with visitor(page(photographs=2)) as client:
        ids = [upload(client, encoded(cat()))["id"] for _ in range(2)]
        answer = client.post("/api/photographs", params={"name": "a.png"}, content=encoded(cat()))
        assert answer.status_code == 409 and "remove some first" in answer.json()["error"]
        client.delete(f"/api/photographs/{ids[0]}")
        upload(client, encoded(cat()))
    for limit, status in (("held", 413), ("total", 507)):
        with visitor(page(**{limit: 100_000})) as client:
            upload(client, encoded(cat()))
            answer = client.post("/api/photographs", params={"name": "a.png"}, content=encoded(cat()))
            assert answer.status_code == status


def test_a_copy_counts_while_it_is_written(page, painter, folder):
    """A TIFF whose pages in colour take more than there is room for is given up on the way."""
    noise = np.random.default_rng(0).integers(0, 256, (10, 90, 120), np.uint8)
    stream, pages = io.BytesIO(), [Image.fromarray(one) for one in noise]
    pages[0].save(stream, "TIFF", save_all=True, append_images=pages[1:])
    for limit, words in (("held", "remove some first"), ("total", "try again later")):
        painter.seen.clear()
        application = app.Page(painter, sessions := Sessions(folder / limit, Limits(**{limit: 220_000})))
        with visitor(application.app([])) as client:
            id = upload(client, stream.getvalue(), "ten.tif")["id"]
            held = sessions.held
            client.post(f"/api/photographs/{id}/copy", json={})
            about = finished(client, id)
            assert about["state"] == "failed" and words in about["reason"] and 1 < len(painter.seen) < 7
            assert sessions.held == held and not [path for path in folder.rglob("copy/*") if path.is_file()]


def test_all_copies_come_as_one_archive(page, tmp_path):
    with visitor(page()) as client:
        assert client.get("/api/copies.zip").status_code == 404
        data = [encoded(cat()), encoded(cat()[::-1])]
        copies = [copied(client, upload(client, one)["id"])[0].content for one in data]
        with zipfile.ZipFile(io.BytesIO(client.get("/api/copies.zip").content)) as archive:
            assert archive.testzip() is None
            names = ["cat.colorized.png", "cat.colorized.png.json", "2/cat.colorized.png", "2/cat.colorized.png.json"]
            assert archive.namelist() == names
            assert [archive.read(name) for name in names[::2]] == copies


def test_of_many_views_the_latest_is_made(page, painter, folder):
    application = app.Page(painter, Sessions(folder, Limits()))
    with visitor(application.app([])) as client:
        upload(client, encoded(cat()))
        (photograph,) = next(iter(application.sessions._visitors.values())).photographs.values()
        painter.slowly.clear()
        tasks = [application.studio.view(photograph, Look((hint(1, 1),)))]
        while not painter.seen:
            time.sleep(0.01)
        tasks += [application.studio.view(photograph, Look((hint(x, 1),))) for x in (2, 3)]
        with pytest.raises(lanes.Superseded):
            tasks[1].future.result(1)
        painter.slowly.set()
        assert all(tasks[i].future.result(5)[:2] == b"\xff\xd8" for i in (0, 2))
        assert [seen[1][0].x for seen in painter.seen] == [1, 3]


def test_two_tabs_do_not_take_each_other_s_place(page, painter, folder):
    application = app.Page(painter, Sessions(folder, Limits()))
    with visitor(application.app([])) as client:
        path = f"/api/photographs/{upload(client, encoded(cat()))['id']}"
        for name in (7, "x" * 41):
            assert client.post(f"{path}/view", json={"page": name}).status_code == 400
            assert client.post(f"{path}/suggest", json={"x": 1, "y": 1, "page": name}).status_code == 400
        painter.slowly.clear()
        asked = [("GET", "before", None)] * 3 + [("POST", "view", {"page": name}) for name in ("one", "two")]
        asked += [("POST", "suggest", {"x": 1, "y": 1, "page": name}) for name in ("one", "two")]
        with ThreadPoolExecutor(8) as pool:
            first = pool.submit(client.post, f"{path}/view", json={"strength": 0.5})
            while not painter.seen:
                time.sleep(0.01)
            answers = [pool.submit(client.request, method, f"{path}/{what}", json=json) for method, what, json in asked]
            while len(application.studio.quick._waiting) < 5:  # the three of before are one
                time.sleep(0.01)
            painter.slowly.set()
            assert [answer.result(10).status_code for answer in [first, *answers]] == [200] * 8
        assert answers[0].result().content == answers[2].result().content


def test_work_that_takes_too_long_is_given_up_with_words(page, painter):
    with visitor(page(seconds=1.0)) as client:
        id = upload(client, encoded(cat()))["id"]
        painter.slowly.clear()
        answer = client.post(f"/api/photographs/{id}/view", json={})
        assert answer.status_code == 503 and "took too long" in answer.json()["error"]
        client.post(f"/api/photographs/{id}/copy", json={})
        assert finished(client, id) == {
            "state": "failed",
            "reason": "it took too long, and was given up",
            "not_carried": [],
            "warnings": [],
        }
        painter.slowly.set()
        copied(client, id)


def test_a_lane_serves_each_visitor_in_turn():
    lane, done, go = lanes.Lane("test", 10), [], threading.Event()
    first = lane.submit(lambda task: go.wait(10), "somebody", "first")
    while not first.begun:
        time.sleep(0.005)
    tasks = [lane.submit(lambda task, n=n: done.append(n), n[0], n, n[0] == "b") for n in ("b1", "a1", "a2", "a3", "c1", "c2")]
    assert [lane.ahead(task) for task in tasks] == [6, 1, 3, 5, 2, 4] and lane.ahead(first) is None
    lane.forget(lambda key: key == "c2")
    go.set()
    tasks[0].future.result(5)
    assert done == ["a1", "c1", "a2", "a3", "b1"]
    with pytest.raises(lanes.Superseded):
        tasks[-1].future.result(1)
    lane.close()


def test_what_has_waited_long_is_urgent():
    """However many photographs come, a copy is made."""
    lane, go = lanes.Lane("test", 10), threading.Event()
    first = lane.submit(lambda task: go.wait(10), "somebody", "first")
    while not first.begun:
        time.sleep(0.005)
    copies = [lane.submit(lambda task: None, "a", f"copy {n}", 1) for n in range(3)]
    openings = [lane.submit(lambda task: None, visitor, f"open {visitor}") for visitor in "bc"]
    assert [lane.ahead(task) for task in copies] == [3, 4, 5]
    for copy in copies[:2]:
        copy.since -= lanes._LONG
    assert [lane.ahead(task) for task in (*copies, *openings)] == [1, 4, 5, 2, 3]
    go.set()
    lane.close()


def test_a_copy_lets_views_pass_for_a_while(monkeypatch):
    monkeypatch.setattr(lanes, "_PATIENCE", 1.0)
    quick, done, go = lanes.Lane("quick", 10), [], threading.Event()
    slow = lanes.Lane("slow", 10, before=quick)
    for n in range(3):
        quick.submit(lambda task, n=n: (time.sleep(0.05), done.append(n)), "a", n)
    slow.submit(lambda task: done.append("copy"), "b", "copy", 1).future.result(5)
    assert done == [0, 1, 2, "copy"]
    quick.submit(lambda task: go.wait(10), "a", "for ever")
    slow.submit(lambda task: done.append("opened"), "b", "open", 0).future.result(0.9)
    slow.submit(lambda task: done.append("copy"), "b", "copy", 1).future.result(5)
    go.set()
    quick.close()
    slow.close()


def test_the_command_refuses_what_would_not_be_safe(capsys, monkeypatch):
    for arguments, words in (
        (["--host", "0.0.0.0"], "--token"),
        (["--token", "short"], "at least 8"),
        (["--timeout", "0"], "--timeout 0.0 must be positive"),
        (["--max-megapixels", "nan"], "must be positive"),
        (["--port", "99999"], "--port 99999"),
    ):
        assert cli.main(["serve", *arguments]) == 2
        assert words in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert cli.main(["serve"]) == 2
    assert "pip install 'colorjax[web]'" in capsys.readouterr().err


@pytest.fixture
def served(page, painter, monkeypatch):
    """A server in a thread, of short patience: (its port, its uvicorn.Server)."""
    import uvicorn

    from colorjax.web import connections

    monkeypatch.setattr(connections, "_HEADER", 0.4)
    monkeypatch.setattr(connections, "_UNWANTED", 0.4)
    monkeypatch.setattr(connections, "_OF_ONE", 3)
    monkeypatch.setattr(connections, "SILENCE", 0.4)
    monkeypatch.setattr(connections, "_TICK", 0.05)
    config = uvicorn.Config(page(), log_level="critical", http=connections.Patient, ws="none", timeout_graceful_shutdown=1)
    with server._listening("127.0.0.1", 0) as listening:
        running = uvicorn.Server(config)
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        while not running.started:
            time.sleep(0.01)
        yield listening.getsockname()[1], running
        running.should_exit = True
        thread.join(10)


def dripped(port, head=b"", drop=b""):
    """What is answered to a connection that says `head` and then a little at a time, until it is closed."""
    with socket.create_connection(("127.0.0.1", port), timeout=0.05) as connection:
        connection.sendall(head)
        answer, end = b"", time.monotonic() + 10
        while time.monotonic() < end:
            try:
                connection.sendall(drop)
                if not (data := connection.recv(10_000)):
                    return answer
                answer += data
            except TimeoutError:
                pass
            except ConnectionError:
                return answer
    raise AssertionError("it is still open")


def test_who_says_little_keeps_no_place(served, painter):
    port, running = served
    assert dripped(port) == b""  # nothing at all
    assert dripped(port, b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", b"x") == b""  # a header without an end
    cookie = httpx2.get(f"http://127.0.0.1:{port}/api/about").headers["set-cookie"].split(";")[0].encode()
    head = b" HTTP/1.1\r\nHost: localhost\r\nCookie: " + cookie + b"\r\nContent-Length: 10000\r\n\r\n"
    assert b" 503 " in dripped(port, b"POST /api/photographs?name=a.png" + head, b"x")  # a body: so many bytes a second
    assert b" 200 OK" in dripped(port, b"GET /" + head, b"x")  # the rest of a body, when all is answered
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}") as client:  # but the server may take its time
        id = upload(client, encoded(cat()))["id"]
        painter.slowly.clear()
        threading.Timer(1.0, painter.slowly.set).start()
        assert client.post(f"/api/photographs/{id}/view", json={}).status_code == 200
    while running.server_state.connections:
        time.sleep(0.01)


def test_one_machine_does_not_take_all_places(served, monkeypatch):
    from colorjax.web import connections

    def opened(count):
        there = [socket.create_connection(("127.0.0.1", served[0]), timeout=10) for _ in range(count)]
        for connection in there:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        try:
            return sum(b"200 OK" in received(connection) for connection in there)
        finally:
            for connection in there:
                connection.close()

    def received(connection):
        try:
            return connection.recv(100)
        except ConnectionError:
            return b""

    assert opened(6) == 6  # of this one, they may be those of a proxy
    monkeypatch.setattr(connections, "is_local", lambda host: False)
    while served[1].server_state.connections:
        time.sleep(0.01)
    assert opened(6) == 3


@pytest.mark.parametrize(
    ("host", "name"), [("0.0.0.0", socket.gethostname()), ("127.0.0.1", "127.0.0.1"), ("localhost", "localhost")]
)
def test_the_address_is_one_that_others_can_open(host, name):
    with server._listening(host, 0) as listening:
        assert server._address(host, listening) == f"http://{name}:{listening.getsockname()[1]}"


def test_what_is_still_written_at_the_end_is_deleted_too():
    def write():
        with contextlib.suppress(FileNotFoundError):
            for number in range(300):
                (inside / f"late {number}").write_bytes(b"")
                time.sleep(0.001)

    with server._private_folder() as folder:
        (inside := folder / "a").mkdir()
        for number in range(300):
            (inside / f"{number}").write_bytes(b"")
        writers = [threading.Thread(target=write) for _ in range(2)]
        for writer in writers:
            writer.start()
    for writer in writers:
        writer.join()
    assert not folder.exists()


def test_a_server_leaves_nothing_behind(tmp_path):
    """A process of its own: it says where it is, signals end it, a killed one's photographs are deleted by the next."""
    program = """
import signal, sys
from helpers.painter import Painter
from colorjax import cli
from colorjax.archive import colorize_many
colorize_many.load = lambda *args: Painter()
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may themselves run under nohup
assert not {"starlette", "uvicorn"} & sys.modules.keys()
sys.exit(cli.main(["serve", "--port", "0", "--token"]))
"""
    environment = os.environ | {"TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT / "tests")}

    def served(how):
        command = [sys.executable, "-c", program]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
            try:
                found = re.fullmatch(r"(http://127\.0\.0\.1:\d+)/\?token=\S+\n", line := process.stdout.readline())
                assert found, line
                with httpx2.Client(base_url=found[1]) as client:
                    assert client.get("/").status_code == 401 and client.get(line.strip()).status_code == 200
                    assert "colorjax" in client.get("/").text
                    upload(client, encoded(cat()), "a.png")
                (folder,) = tmp_path.glob("colorjax-serve-*")
                assert folder.stat().st_mode & 0o077 == 0 and list(folder.rglob("a.png"))
                process.send_signal(how)
                return process.wait(20)
            finally:
                process.kill()

    assert served(signal.SIGKILL) == -9 and len(list(tmp_path.glob("colorjax-serve-*"))) == 1
    for how in (signal.SIGTERM, signal.SIGHUP):
        assert served(how) == 0 and not list(tmp_path.glob("colorjax-serve-*"))


def in_colour(client, path, **asked):
    return color.rgb_to_lab(pixels(client.post(f"{path}/view", json=asked)) / np.float32(255))[..., 1:]


def test_a_hint_with_a_radius_leaves_the_rest_as_it_was(page):
    with visitor(page()) as client:
        path = f"/api/photographs/{upload(client, encoded(skimage.data.chelsea()))['id']}"
        blue = {"x": 200, "y": 150, "color": "#2030d0"}
        plain, free = in_colour(client, path), in_colour(client, path, hints=[blue])
        near = in_colour(client, path, hints=[blue | {"radius": 12}])
        assert np.abs(near[150, 200] - free[150, 200]).max() < 2 < 20 < np.abs(near[150, 200] - plain[150, 200]).max()
        assert np.abs(free[150, 240] - plain[150, 240]).max() > 5 and np.abs(near[150, 240] - plain[150, 240]).max() < 1
        assert client.post(f"{path}/view", json={"hints": [blue | {"radius": 0}]}).status_code == 422


def test_warmth_and_saturation_are_in_view_and_copy_and_the_record_says_so(page):
    with visitor(page()) as client:
        path = f"/api/photographs/{upload(client, encoded(skimage.data.chelsea()))['id']}"
        plain, warm, dull = (in_colour(client, path, **asked) for asked in ({}, {"warmth": 1}, {"saturation": -1}))
        assert 5 < (warm - plain)[..., 1].mean() < 12
        assert (
            np.hypot(*dull.mean((0, 1))) < np.hypot(*plain.mean((0, 1))) + 0.1
            and np.abs(dull).mean() < 0.7 * np.abs(plain).mean()
        )
        assert np.abs(in_colour(client, path, warmth=1, strength=0)).max() < 1
        copy, record = copied(client, path.rpartition("/")[2], warmth=1, format="JPEG", quality=80)
        settings = record.json()["settings"]
        assert settings["warmth"] == 1 and settings["format"] == "JPEG" and settings["quality"] == 80
        copied_lab = color.rgb_to_lab(pixels(copy) / np.float32(255))
        assert np.abs(copied_lab[..., 1:].mean((0, 1)) - warm.mean((0, 1))).max() < 1
        for wrong in ({"warmth": 2}, {"saturation": "much"}, {"format": "GIF"}, {"quality": 0}):
            assert client.post(f"{path}/copy", json=wrong).status_code == 422


def test_a_variant_is_in_view_and_copy_and_the_record_says_which(page):
    with visitor(page()) as client:
        assert client.get("/api/about").json()["variants"] == 3 and client.get("/api/about").json()["calibrated"] is False
        path = f"/api/photographs/{upload(client, encoded(skimage.data.chelsea()))['id']}"
        plain, other = in_colour(client, path), in_colour(client, path, variant=2)
        assert 8 < (other - plain)[..., 1].mean() < 20
        copy, record = copied(client, path.rpartition("/")[2], variant=2)
        assert record.json()["settings"]["variant"] == 3
        copied_lab = color.rgb_to_lab(pixels(copy) / np.float32(255))
        assert np.abs(copied_lab[..., 1:].mean((0, 1)) - other.mean((0, 1))).max() < 1
        for wrong in (3, -1, "2", 1.5):
            assert client.post(f"{path}/view", json={"variant": wrong}).status_code == 422


def test_before_and_after_are_marked_and_a_clip_moves(page):
    with visitor(page()) as client:
        path = f"/api/photographs/{upload(client, encoded(skimage.data.chelsea()))['id']}"
        pair = client.post(f"{path}/compare", json={"kind": "pair"})
        picture = Image.open(io.BytesIO(pair.content))
        assert picture.size == (451, 604) and b"compositeWithTrainedAlgorithmicMedia" in picture.info["xmp"]
        clip = client.post(f"{path}/compare", json={"kind": "clip"}).content
        frames = Image.open(io.BytesIO(clip))
        assert frames.n_frames == 28 and frames.size == (451, 300) and b"compositeWithTrainedAlgorithmicMedia" in clip
        assert frames.info["comment"] == b"colours by AI"
        assert client.post(f"{path}/compare", json={"kind": "film"}).status_code == 422


def test_views_ahead_of_time_wait_for_those_that_somebody_looks_at(page, painter):
    with visitor(page()) as client, ThreadPoolExecutor(3) as pool:
        paths = [f"/api/photographs/{upload(client, encoded(cat(40 + n, 50)))['id']}" for n in range(3)]
        painter.slowly.clear()
        asked = []
        for path, ahead in zip(paths, (False, True, False), strict=True):
            asked.append(pool.submit(client.post, f"{path}/view", json={"ahead": ahead, "page": path[-9:]}))
            time.sleep(0.2)
        painter.slowly.set()
        assert [one.result(10).status_code for one in asked] == [200] * 3
    assert [shape[0] for shape, _ in painter.seen] == [40, 42, 41]


# --- signed downloads ---


@pytest.fixture(scope="module")
def signing(tmp_path_factory):
    """Settings for a key of the server."""
    folder = tmp_path_factory.mktemp("keys")
    keys.new(folder, "The Museum")
    return {"sign_key": str(folder / keys.KEY), "sign_cert": str(folder / keys.CHAIN)}


def test_downloads_are_signed_where_the_server_has_a_key(painter, folder, signing, tmp_path):
    with visitor(app.make(painter, Sessions(folder, Limits()), hosts=["127.0.0.1"], signing=signing)) as client:
        assert client.get("/api/about").json()["signed_by"] == "The Museum"
        id = upload(client, encoded(cat()))["id"]
        (tmp_path / "cat.colorized.png").write_bytes(copied(client, id)[0].content)
        assert manifests.read(tmp_path / "cat.colorized.png").who == "The Museum"
        sidecar_file = client.get(f"/api/photographs/{id}/sidecar").content
        assert finished(client, id)["beside"] == ["cat.colorized.png.json.jws"]
        signature = client.get(f"/api/photographs/{id}/beside/cat.colorized.png.json.jws").content
        assert signatures.check(sidecar_file, signature).who == "The Museum"
        assert client.get(f"/api/photographs/{id}/beside/cat.colorized.png").status_code == 404
        with zipfile.ZipFile(io.BytesIO(client.get("/api/copies.zip").content)) as archive:
            names = ["cat.colorized.png", "cat.colorized.png.json", "cat.colorized.png.json.jws"]
            assert archive.namelist() == names
        pair = client.post(f"/api/photographs/{id}/compare", json={"kind": "pair"}).content
        (tmp_path / "pair.jpg").write_bytes(pair)
        assert manifests.read(tmp_path / "pair.jpg").problems == ()
        clip = client.post(f"/api/photographs/{id}/compare", json={"kind": "clip"}).content
        assert b"c2pa" in clip and Image.open(io.BytesIO(clip)).n_frames > 9


def test_without_a_key_nothing_is_signed_or_said_of_it(page):
    with visitor(page()) as client:
        assert client.get("/api/about").json()["signed_by"] == ""
        id = upload(client, encoded(cat()))["id"]
        assert b"c2pa" not in copied(client, id)[0].content
        assert "beside" not in finished(client, id)


def test_a_server_whose_key_cannot_sign_does_not_start(capsys, tmp_path):
    outcome = console.run(capsys, "serve", "--sign-key", tmp_path / "no.pem", "--sign-cert", tmp_path / "no.pem")
    console.check_failed_before_the_work(outcome, "--sign-key", "no.pem")
