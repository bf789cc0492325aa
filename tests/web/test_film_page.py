"""A film on the page itself, in Chromium: shots, hints on a frame, a shot that is tried, all of it, and what is left of it."""

import json
import os
import shutil
import threading
import time

import numpy as np
import pytest
from helpers.painter import Painter
from helpers.serving import running
from PIL import Image

from colorjax.web import app
from colorjax.web.films.limits import FilmLimits
from colorjax.web.sessions import Limits, Sessions

pytest.importorskip("playwright.sync_api")
pytest.importorskip("av")
pytest.importorskip("cv2")
from helpers.films import film, frames_md5
from playwright import sync_api

from colorjax.film import steadying
from colorjax.film.jobs import arguments

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
    pytest.mark.usefixtures("quick_compile"),
]


@pytest.fixture
def limits():
    return Limits()


@pytest.fixture
def guided():
    return True


@pytest.fixture
def visit(tmp_path, monkeypatch, limits, guided):
    """A function that opens the page of a server; its errors, and what is asked of others, fail the test."""
    monkeypatch.setattr(steadying, "find", lambda small: ([number for number, _ in enumerate(small) if number % 4 == 0], []))
    wrong = []

    def unexpected(said):
        if said.type == "error" and "status of 5" not in said.text:
            wrong.append(said.text)

    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        application = app.make(Painter(guided), Sessions(tmp_path / "private", limits), None, ["127.0.0.1"])
        with running(application) as (port, _):

            def open_page():
                page = browser.new_context(viewport={"width": 1280, "height": 800}, accept_downloads=True).new_page()
                page.set_default_timeout(30_000)
                page.on("pageerror", lambda error: wrong.append(str(error)))
                page.on("console", unexpected)
                page.goto(f"http://127.0.0.1:{port}/")
                page.wait_for_selector("#promise:not(:empty)")
                return page

            yield open_page
            browser.close()
    assert not wrong


def settled(page):
    page.wait_for_selector("#stage:not(.busy)")
    page.wait_for_selector("#after[src]")


def test_a_film_takes_colour_on_the_page(visit, tmp_path, monkeypatch):
    source, page = film(tmp_path / "reel.mkv", frames=8, shape=(96, 128)), visit()
    page.set_input_files("#files", source)
    page.wait_for_selector("#desk:not([hidden])")
    settled(page)
    assert page.locator(".shot").count() == 2 and page.locator("#warmth").is_hidden()
    assert page.get_attribute(".shot >> nth=0", "aria-label") == "Shot 1 of 2, frames 0 to 3"
    assert page.text_content("#frame-value") == "Frame 2 · 0:00.08"
    box = page.locator("#stage").bounding_box()
    page.mouse.click(box["x"] + 0.7 * box["width"], box["y"] + 0.5 * box["height"])
    page.click("#suggestions .swatch >> nth=0")
    settled(page)
    assert page.get_attribute(".shot >> nth=0", "aria-label").endswith("1 hint")
    assert page.text_content("#hinted") == "2 (1 hint)"

    page.focus("#frame")  # another frame has none of its own
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#frame-value:text('Frame 3')")
    page.wait_for_selector(".hint", state="detached")
    page.reload()
    settled(page)
    page.click("#hinted button")
    page.wait_for_selector(".hint")
    with page.expect_download() as saved:
        page.click("#save-hints")
    assert saved.value.suggested_filename == "reel.mkv.hints.json"
    (hint,) = json.loads(saved.value.path().read_text())["hints"]
    assert hint.pop("color") == "#c43c30" and hint == {"frame": 2, "x": 89, "y": 48}

    page.keyboard.press("p")
    page.wait_for_selector("#carried:not(:empty)")
    assert page.text_content("#carried").startswith("The hint at 89,48 of frame 2 holds for frames ")
    page.wait_for_selector("#play:text-is('Play')")  # it has been played to its end
    page.wait_for_selector("#frame-value:text('Frame 3')")
    page.keyboard.press("]")
    page.wait_for_selector("#frame-value:text('Frame 6')")
    assert page.text_content("#play") == "Try this shot"

    page.click("#making-button")
    page.click("#make-film")
    page.wait_for_selector("#making-button:text-is('Download')")
    names = page.locator("#film-files a").all_text_contents()
    assert names[0] == "Download" and {"A record of how it was made", "A report, shot by shot"} < set(names)
    assert page.locator("#make-film").is_hidden()  # nothing has changed
    with page.expect_download() as saved:
        page.click("#film-files a.main")
    saved.value.save_as(tmp_path / "colour.mkv")
    assert saved.value.suggested_filename == "reel.colorized.mkv"
    assert frames_md5(tmp_path / "colour.mkv") == frames_md5(source)

    assert "deleted here after 60 minutes" in page.text_content("#film-files p >> nth=0")
    page.select_option("#film-format", "prores")
    go, predict = threading.Event(), Painter.predict
    with monkeypatch.context() as held:
        held.setattr(Painter, "predict", lambda *asked: (go.wait(60), predict(*asked))[1])
        page.click("#make-film")
        page.wait_for_selector("#film-files a:text-is('Download the copy of before (ffv1)')")
        go.set()
    page.wait_for_selector("#making-button:text-is('Download')")
    assert page.get_attribute("#film-files a >> nth=0", "title") == "reel.colorized.mov"

    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert page.locator("#play").is_visible() and page.locator("#shots").is_visible()
    page.click("#remove")
    page.wait_for_selector("#welcome:not([hidden])")
    page.click("#status button")  # it is taken back
    page.wait_for_selector("#desk:not([hidden])")
    page.click("#remove")
    page.wait_for_selector("#welcome:not([hidden])")
    page.close(run_before_unload=True)
    for _ in range(200):
        if not (left := [name for *_, names in os.walk(tmp_path / "private") for name in names]):
            break
        time.sleep(0.05)
    assert not left


def test_a_film_is_looked_at_beside_photographs(visit, tmp_path):
    Image.fromarray(np.full((60, 80), 120, np.uint8)).save(tmp_path / "a.png")
    page = visit()
    page.set_input_files("#files", [tmp_path / "a.png", film(tmp_path / "reel.mkv")])
    page.wait_for_selector("#film-bar:not([hidden])")
    assert page.get_attribute(".tile >> nth=1", "aria-label") == "reel.mkv, a film"
    assert page.locator("#download").is_hidden() and page.text_content("#remove") == "Remove film"
    page.click(".tile >> nth=0")
    settled(page)
    assert page.locator("#download").is_visible() and page.locator("#warmth").is_visible()
    assert page.locator("#film-bar").is_hidden() and page.text_content("#remove") == "Remove photograph"


def test_a_film_has_the_formats_that_can_be_made_of_it(visit, tmp_path):
    page, names = visit(), "[...document.querySelectorAll('#film-format option')].map((one) => one.value)"
    page.set_input_files("#files", film(tmp_path / "whole.mkv"))
    settled(page)
    everything = page.evaluate(names)
    page.set_input_files("#files", film(tmp_path / "fields.mkv", field="tff"))
    page.wait_for_selector("#facts:text('fields.mkv')")
    assert page.evaluate(names) == [name for name in everything if name != "hevc"] != []
    page.click(".tile >> nth=0")
    page.wait_for_selector("#facts:text('whole.mkv')")
    assert page.evaluate(names) == everything and "ffv1" in everything


@pytest.mark.parametrize("guided", [False])
def test_a_network_without_hints_says_nothing_of_them_beside_a_film(visit, guided, tmp_path):
    page = visit()
    page.set_input_files("#files", film(tmp_path / "reel.mkv"))
    settled(page)
    assert "does not follow hints" in page.inner_text("#unguided")
    assert page.is_visible("#film-section") and not page.is_visible("#carrying")


def give_hint(page, x):
    """Where nobody has given one, at this share of the frame's width."""
    page.evaluate("document.body.dataset.before = document.querySelector('#hinted').textContent")
    box = page.locator("#stage").bounding_box()
    page.mouse.click(box["x"] + x * box["width"], box["y"] + 0.5 * box["height"])
    page.wait_for_function("document.body.dataset.before !== document.querySelector('#hinted').textContent")


def hinted(page, words):
    """Wait until these are the frames with hints."""
    page.wait_for_function("(words) => document.querySelector('#hinted').textContent === words", arg=words)


@pytest.mark.parametrize("deaf", [False, True])
def test_hints_of_two_tabs_stay_both(visit, tmp_path, deaf):
    """Each tab hears of the other's; where it does not, what the server has by then is taken in before anything is saved."""
    page = visit()
    if deaf:
        page.context.add_init_script("BroadcastChannel.prototype.postMessage = () => {}")
        page.reload()
    page.set_input_files("#files", film(tmp_path / "reel.mkv", frames=8, shape=(96, 128)))
    settled(page)
    other = page.context.new_page()
    other.goto(page.url)
    settled(other)
    give_hint(page, 0.3)
    if not deaf:
        hinted(other, "2 (1 hint)")
        assert other.locator(".hint").count() == 1
        assert other.text_content("#status") == "Hints of reel.mkv that another tab gave are here now, too."
    other.keyboard.press("]")
    other.wait_for_selector("#frame-value:text('Frame 6')")
    give_hint(other, 0.6)
    hinted(other, "2 (1 hint)6 (1 hint)")
    asked = f"{page.url}api/films/{page.request.get(f'{page.url}api/films').json()['films'][0]['id']}"
    for _ in range(200):
        if len(kept := page.request.get(f"{asked}/hints").json()["hints"]) == 2:
            break
        time.sleep(0.05)
    assert [hint["frame"] for hint in kept] == [2, 6]
    if not deaf:
        hinted(page, "2 (1 hint)6 (1 hint)")
        other.click("#remove")
        other.close(run_before_unload=True)
        page.wait_for_selector("#welcome:not([hidden])")


@pytest.mark.parametrize("limits", [Limits(films=FilmLimits(of_one=1))])
def test_a_film_too_many_is_refused_before_it_is_sent_and_the_strength_stays_over_a_reload(visit, limits, tmp_path):
    page, sent = visit(), []
    page.on("request", lambda asked: sent.append(asked.url) if asked.method == "POST" and "?name=" in asked.url else None)
    for _ in range(2):
        page.set_input_files("#files", film(tmp_path / "reel.mkv"))
        settled(page)
    page.wait_for_selector(".problem:text('you have 1 films here, as many as may be; remove one first')")
    assert len([url for url in sent if "again=" not in url]) == 1
    page.focus("#strength")
    page.keyboard.press("Home")
    page.wait_for_selector("#strength-value:text-is('0 %')")
    page.keyboard.press("Tab")  # it is settled
    settled(page)
    page.reload()
    settled(page)
    assert page.input_value("#strength") == "0"
    give_hint(page, 0.3)
    page.keyboard.press(".")  # to another frame, whose strength is the film's, too
    page.wait_for_selector(".hint", state="detached")
    page.focus("#strength")
    page.keyboard.press("End")
    page.keyboard.press("Tab")
    page.click("#hinted button")
    page.wait_for_selector(".hint")
    page.click("#undo-button")
    page.wait_for_selector(".hint", state="detached")
    assert page.input_value("#strength") == "1.5"


def test_a_server_that_is_away_for_a_while_is_waited_for(visit, tmp_path):
    page = visit()
    page.set_input_files("#files", film(tmp_path / "reel.mkv"))
    settled(page)
    page.route("**/api/films/*", lambda route: route.fulfill(status=503, body="It is away."))
    page.click("#making-button")
    page.click("#make-film")
    page.wait_for_selector("#making-told:text('It is away.')")
    page.unroute("**/api/films/*")
    page.wait_for_selector("#making-button:text-is('Download')")


def test_what_was_cancelled_is_gone_on_with_as_it_was_asked_for_after_a_reload(visit, tmp_path):
    page = visit()
    page.set_input_files("#files", film(tmp_path / "reel.mkv"))
    settled(page)
    if (format := page.locator("#film-format option").last.get_attribute("value")) == "ffv1":
        pytest.skip("there is one format alone")
    cancelled = {"state": "cancelled", "reason": "", "done": 1, "total": 2, "told": [], "files": [], "ahead": None}
    cancelled |= {"format": format, "strength": 0.5, "current": True}

    def films(route):
        about = route.fetch().json()
        about["films"][0]["copy"] = cancelled
        route.fulfill(json=about)

    page.route("**/api/films", films)
    page.reload()
    settled(page)
    page.click("#making-button")
    assert page.input_value("#film-format") == format and page.input_value("#strength") == "0.5"
    assert page.text_content("#make-film") == "Go on colouring"
    page.select_option("#film-format", "ffv1")
    assert page.text_content("#make-film") == "Colour the whole film"


@pytest.mark.parametrize("limits", [Limits(films=FilmLimits(shown=2))])
def test_each_part_of_a_long_shot_can_be_tried(visit, limits, tmp_path):
    page = visit()
    page.set_input_files("#files", film(tmp_path / "reel.mkv", frames=4))
    settled(page)
    for frame in (2, 3):
        page.wait_for_selector(f"#frame-value:text('Frame {frame}')")
        page.wait_for_selector("#play:text-is('Try this shot')")
        page.click("#play")
        page.wait_for_selector("#play:text-is('Play')")
        page.wait_for_selector(f"#frame-value:text('Frame {frame}')")
        if frame == 2:
            page.focus("#frame")
            page.keyboard.press("ArrowRight")


@pytest.fixture
def lacking(monkeypatch):
    """No extra `film`, for servers that are made after it."""

    def check():
        raise ValueError('films need more packages (av is missing): pip install "colorjax[film]"')

    monkeypatch.setattr(arguments, "check", check)


def test_without_the_extra_the_page_says_what_to_install(lacking, visit, tmp_path):
    (tmp_path / "reel.mp4").write_bytes(b"any")
    page = visit()
    page.set_input_files("#files", tmp_path / "reel.mp4")
    page.wait_for_selector(".problem")
    assert page.text_content(".problem").startswith("reel.mp4: this server does not take films yet: films need more packages")
