"""The page itself, in Chromium: what somebody does with mouse, finger and keys, and what they see then."""

import io
import json
import shutil
import threading
import time
import zipfile

import numpy as np
import pytest
import skimage.data
import uvicorn
from helpers.painter import Painter
from PIL import Image

from colorjax import photos
from colorjax.archive.proof import keys
from colorjax.science import color
from colorjax.web import app
from colorjax.web.sessions import Limits, Sessions

sync_api = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")]

HOSTS = ["127.0.0.1"]
WIDE, PHONE, SIDE = ({"width": width, "height": height} for width, height in ((1280, 800), (390, 844), (844, 390)))


@pytest.fixture(scope="module")
def browser():
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def serve(tmp_path_factory):
    """A function that starts a server, once for what it is asked for, and gives its address."""
    running = {}

    def start(guided=True, token=None, signed=False):
        if (asked := (guided, token, signed)) not in running:
            sessions, signing = Sessions(tmp_path_factory.mktemp("private"), Limits(upload=2_000_000)), {}
            if signed:
                folder = tmp_path_factory.mktemp("keys")
                keys.new(folder, "The Museum")
                signing = {"sign_key": str(folder / keys.KEY), "sign_cert": str(folder / keys.CHAIN)}
            application = app.make(Painter(guided), sessions, token, HOSTS, signing=signing)
            config = uvicorn.Config(application, port=0, log_level="warning")
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run)
            thread.start()
            while not server.started:
                time.sleep(0.01)
            running[asked] = (server, thread, f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/")
        return running[asked][-1]

    yield start
    for server, thread, _ in running.values():
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def visit(browser, serve):
    """A function that opens the page; what it asks of anybody else, and its errors, fail the test."""
    contexts, wrong = [], []

    def open_page(size=WIDE, guided=True, before=lambda page: None, signed=False):
        home = serve(guided, signed=signed)
        context = browser.new_context(
            viewport=size, has_touch=size is not WIDE, is_mobile=size is not WIDE, accept_downloads=True
        )
        context.set_default_timeout(5000)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on(
            "console", lambda said: wrong.append(said.text) if said.type == "error" and "status of 4" not in said.text else None
        )
        page.on("request", lambda asked: None if asked.url.startswith((home, f"blob:{home}")) else wrong.append(asked.url))
        before(page)
        page.goto(home)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not wrong


GREY = np.asarray(Image.fromarray(skimage.data.chelsea()).convert("L"))  # 300 x 451


def encoded(image, file_format="PNG", **options):
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, file_format, **options)
    return stream.getvalue()


def bring(page, *files):
    page.set_input_files("#files", [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in files])


def settled(page):
    page.wait_for_selector("#stage:not(.busy)")
    page.wait_for_selector("#after[src]")


def opened(page, image=GREY):
    bring(page, ("cat.png", encoded(image)))
    page.wait_for_selector(".tile img")
    settled(page)
    return page.locator("#stage").bounding_box()


def chroma_at(page, x, y):
    """(a, b) of what is seen at these shares of the stage, over a few pixels."""
    box = page.locator("#stage").bounding_box()
    clip = {"x": box["x"] + x * box["width"] - 3, "y": box["y"] + y * box["height"] - 3, "width": 7, "height": 7}
    patch = np.asarray(Image.open(io.BytesIO(page.screenshot(clip=clip))).convert("RGB"))
    return color.rgb_to_lab(patch / np.float32(255))[..., 1:].mean(axis=(0, 1))


def click(page, box, x, y):
    page.mouse.click(box["x"] + x * box["width"], box["y"] + y * box["height"])


def test_the_divider_shows_before_and_after(visit):
    page = visit()
    box = opened(page)
    assert np.hypot(*chroma_at(page, 0.25, 0.05)) < 1 < 8 < np.hypot(*chroma_at(page, 0.75, 0.05))
    drag_from = page.locator("#divider i").bounding_box()
    page.mouse.move(drag_from["x"] + 14, drag_from["y"] + 14)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.1 * box["width"], box["y"] + 0.5 * box["height"], steps=3)
    page.mouse.up()
    assert np.hypot(*chroma_at(page, 0.25, 0.05)) > 8
    assert page.locator(".hint").count() == 0
    page.focus("#divider")
    page.keyboard.press("End")
    assert page.get_attribute("#divider", "aria-valuenow") == "100" and np.hypot(*chroma_at(page, 0.75, 0.05)) < 1


def test_a_hint_is_placed_coloured_moved_taken_back_and_removed(visit):
    page = visit()
    box = opened(page)
    before = chroma_at(page, 0.73, 0.5)
    click(page, box, 0.7, 0.5)
    page.click("#suggestions .swatch >> nth=0")
    settled(page)
    red = chroma_at(page, 0.73, 0.5)
    assert red[0] > before[0] + 25
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.5 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.2 * box["width"], box["y"] + 0.5 * box["height"], steps=5)
    page.mouse.up()
    settled(page)
    assert page.get_attribute(".hint", "aria-label").startswith("Hint 1 of 1, #c43c30, at 90, 150")
    page.focus("#divider")
    page.keyboard.press("Home")
    assert abs(chroma_at(page, 0.73, 0.5)[0] - before[0]) < 4 and chroma_at(page, 0.23, 0.5)[0] > before[0] + 25
    page.keyboard.press("Control+z")
    settled(page)
    assert abs(chroma_at(page, 0.73, 0.5)[0] - red[0]) < 4
    page.keyboard.press("Control+Shift+z")
    settled(page)
    assert chroma_at(page, 0.23, 0.5)[0] > before[0] + 25
    page.focus(".hint")
    page.keyboard.press("Delete")
    settled(page)
    assert page.locator(".hint").count() == 0 and abs(chroma_at(page, 0.23, 0.5)[0]) < 15


def test_on_a_phone_the_photograph_that_is_chosen_is_seen(visit):
    page = visit(PHONE)
    bring(page, *[(f"{number}.png", encoded(np.roll(GREY, 9 * number, 1))) for number in range(2)])
    page.locator(".tile img").nth(1).wait_for()
    settled(page)
    page.locator(".tile").nth(1).tap()
    page.wait_for_selector(".tile[aria-current=true] >> nth=0")
    page.wait_for_selector('#stage[aria-label^="1.png"]')
    assert page.locator("#stage").bounding_box()["y"] > 0


def test_problems_leave_the_buttons_of_a_phone_on_its_side(visit):
    page = visit(SIDE)
    opened(page)
    bring(page, ("words.txt", b"words"))
    problem = page.locator(".problem").bounding_box()
    assert problem["x"] >= 0 and problem["x"] + problem["width"] <= page.locator("#undo-button").bounding_box()["x"]


def test_what_comes_is_told_in_one_line_of_a_phone(visit):
    page = visit(PHONE)
    page.evaluate("""() => new MutationObserver(() => {
        const status = document.getElementById("status");
        const range = document.createRange();
        range.selectNodeContents(status);
        (window.told ??= []).push([status.textContent, range.getClientRects().length]);
    }).observe(document.getElementById("status"), { childList: true })""")
    name = "The_harbour_with_both_ferries_and_the_market_Detroit_ca_1900-1915.png"
    bring(page, *[(f"{number} {name}", encoded(GREY)) for number in range(2)])
    page.wait_for_selector(".tile img >> nth=1")
    page.wait_for_function("told.at(-1)[0] === ''")
    told = page.evaluate("told")
    assert any(words.startswith("Opening 2 of 2: 1 The_harbou…00-1915.png") for words, _ in told), told
    assert max(lines for _, lines in told) == 1


def test_all_of_it_works_by_keys(visit):
    page = visit()
    opened(page)
    page.focus("#stage")
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "Enter"):
        page.keyboard.press(key)
    settled(page)
    label = page.get_attribute(".hint", "aria-label")
    x, y = map(int, label.split(" at ")[1].split(", "))
    assert x > 225 and y > 150 and page.evaluate("document.activeElement.className") == "hint"
    page.keyboard.press("ArrowLeft")
    assert page.get_attribute(".hint", "aria-label").endswith(f"at {x - 1}, {y}")
    page.keyboard.press("Enter")
    page.wait_for_selector("#suggestions .swatch:focus")
    page.keyboard.press("Enter")  # the first suggestion
    settled(page)
    assert "#c43c30" in page.get_attribute(".hint", "aria-label")
    page.focus("#plane")
    page.keyboard.press("ArrowUp")
    settled(page)
    assert "#c43c30" not in page.get_attribute(".hint", "aria-label")
    page.fill("#code", "#2040c0")
    page.keyboard.press("Tab")
    settled(page)
    assert "#2040c0" in page.get_attribute(".hint", "aria-label")
    page.focus("#strength")
    page.keyboard.press("Home")
    settled(page)
    page.focus("#divider")
    page.keyboard.press("Home")
    assert page.inner_text("#strength-value") == "0 %" and np.hypot(*chroma_at(page, 0.75, 0.05)) < 1


def downloaded(page, selector="#download"):
    with page.expect_download() as waiting:
        page.click(selector)
    return waiting.value


def test_the_copy_has_the_size_the_lightness_and_the_metadata(visit):
    page = visit()
    deep = np.uint16(GREY) * 257 + 5
    bring(page, ("cat.png", encoded(deep, dpi=(300, 300))))
    page.wait_for_selector(".tile img")
    settled(page)
    assert "16 bits" in page.inner_text("#facts")
    file = downloaded(page)
    assert file.suggested_filename == "cat.colorized.png"
    copy = photos.read(file.path())
    assert copy.image.shape == (300, 451, 3) and copy.image.dtype == np.uint16
    assert (
        copy.metadata.dpi == pytest.approx((300, 300), abs=0.1) and b"compositeWithTrainedAlgorithmicMedia" in copy.metadata.xmp
    )
    lab = color.rgb_to_lab(copy.image / np.float32(65535))
    assert np.abs(lab[..., 0] - color.grey_to_lightness(deep / np.float32(65535))).max() < 0.02
    assert np.hypot(lab[..., 1], lab[..., 2]).mean() > 4
    page.focus("#strength")
    page.keyboard.press("ArrowLeft")
    assert page.inner_text("#status") == ""
    page.keyboard.press("Control+z")
    record = downloaded(page, "#status a")
    assert record.suggested_filename == "cat.colorized.png.json"
    assert json.loads(record.path().read_text())["copy"]["name"] == "cat.colorized.png"


def test_the_copy_follows_the_hints(visit):
    page = visit()
    box = opened(page)
    click(page, box, 0.7, 0.5)
    page.click("#suggestions .swatch >> nth=0")
    settled(page)
    copy = photos.read(downloaded(page).path()).image
    assert color.rgb_to_lab(copy[150, 316] / np.float32(255))[1] > 25


def test_a_broken_file_is_told_and_the_others_are_opened(visit):
    page = visit()
    bring(page, ("broken.png", encoded(GREY)[:5000]), ("large.png", bytes(2_000_001)), ("cat.png", encoded(GREY)))
    page.wait_for_selector(".tile img")
    problems = page.locator(".problem").all_inner_texts()
    assert len(problems) == 2 and "broken.png: " in problems[0] and "large.png: larger than 2 MB" in problems[1]
    page.click(".problem button >> nth=0")
    assert page.locator(".problem").count() == 1 and page.locator(".tile img").count() == 1


def test_hints_are_saved_and_loaded_and_stay_for_another_tab(visit):
    page = visit()
    opened(page)
    hints = {"hints": [{"x": 300, "y": 100, "color": "#2040c0"}, {"x": 20, "y": 30, "color": "#c02020"}]}
    page.set_input_files("#hints-file", {"name": "a.json", "mimeType": "", "buffer": json.dumps(hints).encode()})
    page.wait_for_selector(".hint >> nth=1")
    page.evaluate("localStorage.setItem('colorjax gone', '{}')")
    other = page.context.new_page()
    other.goto(page.url)
    page.close()
    page = other
    page.wait_for_selector(".hint >> nth=1")
    assert page.evaluate("Object.keys(localStorage).length") == 1
    file = downloaded(page, "#save-hints")
    assert file.suggested_filename == "cat.png.hints.json" and json.loads(file.path().read_text()) == hints
    page.set_input_files(
        "#hints-file", {"name": "b.json", "mimeType": "", "buffer": b'{"hints": [{"x": 9999, "y": 1, "color": "#000000"}]}'}
    )
    assert "outside this photograph" in page.inner_text(".problem") and page.locator(".hint").count() == 2


def test_a_network_without_hints_shows_no_tools_for_them(visit):
    page = visit(guided=False)
    box = opened(page)
    click(page, box, 0.7, 0.5)
    assert page.locator(".hint").count() == 0 and page.locator("#no-hint:visible, #hint-files:visible").count() == 0
    assert "does not follow hints" in page.inner_text("#unguided")


def test_on_a_phone_a_finger_does_it_and_nothing_is_cut_off(visit):
    page = visit(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    box = opened(page)
    page.touchscreen.tap(box["x"] + 0.7 * box["width"], box["y"] + 0.4 * box["height"])
    page.wait_for_selector("#suggestions .swatch")
    page.tap("#suggestions .swatch >> nth=0")
    settled(page)
    assert chroma_at(page, 0.76, 0.4)[0] > 20
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for selector in ("#undo-button", "#download", "#plane", "#strength"):
        inside = page.locator(selector).bounding_box()
        assert inside["x"] >= 0 and inside["x"] + inside["width"] <= 390


def test_a_phone_on_its_side_shows_the_photograph_as_high_as_it_is(visit):
    page = visit(SIDE)
    box = opened(page, GREY[:, :300])
    assert box["height"] > 360 and page.evaluate("[document.body.scrollWidth, document.body.scrollHeight]") == [844, 390]
    for selector in ("#undo-button", "#download", "#strip .add"):
        inside = page.locator(selector).bounding_box()
        assert inside["x"] > box["x"] + box["width"] and inside["x"] + inside["width"] <= 844 and inside["height"] >= 42


def test_photographs_that_the_server_deleted_are_sent_again(visit):
    page = visit()
    box = opened(page)
    page.context.clear_cookies()
    click(page, box, 0.7, 0.5)
    page.click("#suggestions .swatch >> nth=0")
    settled(page)
    assert chroma_at(page, 0.73, 0.5)[0] > 20 and page.locator(".problem").count() == 0


def test_a_photograph_that_is_removed_while_views_are_under_way_is_not_sent_again(visit):
    page = visit()
    page.clock.install()
    sent, held = [], []
    page.on("request", lambda asked: sent.append(asked.url) if "/api/photographs?name=" in asked.url else None)
    box = opened(page)
    page.route("**/view", lambda route: held.append(route))
    click(page, box, 0.6, 0.3)
    click(page, box, 0.8, 0.6)
    page.click("#remove")
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.clock.fast_forward(10_000)
    with page.expect_response("**/view") as answer:
        held[0].continue_()
    assert answer.value.status == 404
    page.wait_for_timeout(300)
    assert len(held) == len(sent) == 1 and page.locator(".problem").count() == 0
    assert page.evaluate("fetch('/api/photographs').then((answer) => answer.json())") == {"photographs": []}


def test_a_view_whose_place_another_request_took_is_asked_for_again(visit):
    page = visit()
    box, asked = opened(page), []

    def refuse_once(route):
        asked.append(route.request.post_data_json)
        if len(asked) == 1:
            route.fulfill(status=409, json={"error": "a later request took its place"})
        else:
            route.continue_()

    page.route("**/view", refuse_once)
    click(page, box, 0.7, 0.5)
    settled(page)
    assert page.locator(".hint").count() == 1
    assert len(asked) == 2 and asked[0] == asked[1] and 0 < len(asked[0]["page"]) <= 40
    assert page.locator(".problem").count() == 0


def test_a_run_of_keys_is_one_step_back_and_one_colour_used(visit):
    page = visit()
    opened(page)
    page.focus("#stage")
    for key in ("ArrowRight", "Enter", "ArrowLeft", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    page.focus("#plane")  # settles it
    assert page.get_attribute(".hint", "aria-label").endswith("at 222, 150")
    placed = page.input_value("#code")
    for key in ("ArrowUp", "ArrowUp", "ArrowUp"):
        page.keyboard.press(key)
    assert page.locator("#used .swatch").count() == 0
    page.wait_for_selector("#used .swatch")  # after a rest
    assert page.locator("#used .swatch").count() == 1
    coloured = page.input_value("#code")
    page.keyboard.press("ArrowLeft")
    for expected, at in ((coloured, 222), (placed, 222), (placed, 225)):
        page.keyboard.press("Control+z")
        assert page.input_value("#code") == expected
        assert page.get_attribute(".hint", "aria-label").endswith(f"at {at}, 150")
    page.keyboard.press("Control+z")
    assert page.locator(".hint").count() == 0


def test_the_focus_stays_where_the_keys_left_it(visit):
    page = visit()
    box = opened(page)

    def focused():
        return page.evaluate("document.activeElement.id")

    click(page, box, 0.7, 0.5)
    page.focus("#remove-hint")
    page.keyboard.press("Enter")
    assert focused() == "stage" and page.locator(".hint").count() == 0
    page.focus("#undo-button")
    for _ in range(2):
        page.keyboard.press("Enter")
    assert focused() == "undo-button" and page.get_attribute("#undo-button", "aria-disabled") == "true"
    page.focus("#download")
    with page.expect_download():
        page.keyboard.press("Enter")
    assert focused() == "download"
    page.focus("#remove")
    page.keyboard.press("Enter")
    assert focused() == "choose"
    page.focus("#status button")
    page.keyboard.press("Enter")
    assert focused() == "stage"


def test_a_removed_photograph_comes_back_within_a_while_and_is_deleted_after(visit):
    page = visit()
    page.clock.install()
    box, deleted = opened(page), []
    page.on("request", lambda asked: deleted.append(asked.url) if asked.method == "DELETE" else None)
    click(page, box, 0.7, 0.5)
    settled(page)
    page.click("text=Remove photograph")
    page.wait_for_selector("#welcome:visible")
    page.clock.fast_forward(5000)
    page.click("text=Undo")
    settled(page)
    page.clock.fast_forward(10_000)
    assert page.locator(".hint").count() == 1 and deleted == []
    page.click("text=Remove photograph")
    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        page.clock.fast_forward(10_000)
    assert page.inner_text("#status") == ""
    opened(page)
    page.click("text=Remove photograph")
    page.reload()
    page.wait_for_selector("#promise:text('megapixels')")
    page.wait_for_function("fetch('/api/photographs').then((answer) => answer.json()).then((all) => !all.photographs.length)")


def test_all_copies_are_downloaded_once_without_those_that_are_gone(visit):
    page = visit()
    bring(page, *((f"{name}.png", encoded(GREY[:100, :150])) for name in "abc"))
    page.wait_for_selector(".tile img >> nth=2")
    settled(page)
    page.reload()
    page.wait_for_selector(".tile img >> nth=2")
    settled(page)
    page.evaluate(
        """async () => {
          const { photographs } = await (await fetch("/api/photographs")).json();
          await fetch(`/api/photographs/${photographs[1].id}`, { method: "DELETE" });
        }"""
    )
    got = []
    page.on("download", lambda file: got.append(file))
    page.dblclick("#download-all")
    page.wait_for_selector(".problem")
    while not got:
        page.wait_for_timeout(50)
    page.wait_for_timeout(300)
    assert len(got) == 1 and page.locator(".problem").all_inner_texts() == ["b.png: this photograph is not here (any more)"]
    with zipfile.ZipFile(got[0].path()) as archive:
        assert sorted(name for name in archive.namelist() if name.endswith(".png")) == ["a.colorized.png", "c.colorized.png"]


def test_a_picture_that_comes_late_is_not_shown_for_another_photograph(visit):
    page = visit()
    bring(page, ("large.png", encoded(GREY)), ("small.png", encoded(GREY[:100, :150])))
    page.wait_for_selector(".tile img >> nth=1")
    settled(page)
    click(page, page.locator("#stage").bounding_box(), 0.7, 0.5)
    settled(page)
    page.click(".tile >> nth=1")
    settled(page)
    page.evaluate(
        """() => {
          const { decode } = HTMLImageElement.prototype;
          HTMLImageElement.prototype.decode = function () {
            HTMLImageElement.prototype.decode = decode;
            return new Promise((done) => setTimeout(done, 300)).then(() => decode.call(this));
          };
        }"""
    )
    page.click(".tile >> nth=0")
    assert page.locator(".hint").count() == 1
    page.click(".tile >> nth=1")
    page.wait_for_timeout(500)
    assert page.evaluate("[before.naturalWidth, after.naturalWidth]") == [150, 150]
    assert page.locator(".hint").count() == 0 and not page.is_visible("#one-hint")


def test_without_cookies_it_says_so(visit):
    page = visit(before=lambda page: page.route("**/api/about", lambda route: answer_about(route, cookie=False)))
    assert page.inner_text(".problem") == "This page needs cookies."


def answer_about(route, **more):
    route.fulfill(json=route.fetch().json() | more)


def test_colours_are_written_as_people_write_them(visit):
    page = visit()
    box = opened(page)
    click(page, box, 0.7, 0.5)
    for written, read in (("abc", "#aabbcc"), ("#24C", "#2244cc"), ("C02020", "#c02020")):
        page.fill("#code", written)
        page.keyboard.press("Enter")
        assert page.input_value("#code") == read and read in page.get_attribute(".hint", "aria-label")
    page.fill("#code", "reddish")
    page.keyboard.press("Enter")
    assert page.get_attribute("#code", "aria-invalid") == "true"
    page.keyboard.press("Tab")
    assert page.get_attribute("#code", "aria-invalid") is None and page.input_value("#code") == "#c02020"


def test_only_what_was_pressed_there_with_the_first_button_chooses(visit):
    page = visit()
    box = opened(page)
    click(page, box, 0.7, 0.5)
    plane, color = page.locator("#plane").bounding_box(), page.input_value("#code")
    page.mouse.move(plane["x"] + 20, plane["y"] - 8)
    page.mouse.down()
    page.mouse.move(plane["x"] + 20, plane["y"] + 20)
    page.mouse.up()
    page.mouse.click(plane["x"] + 20, plane["y"] + 20, button="right")
    assert page.input_value("#code") == color
    pin = page.locator(".hint").bounding_box()
    page.mouse.move(pin["x"] + 14, pin["y"] + 14)
    page.mouse.down(button="right")
    page.mouse.move(pin["x"] + 90, pin["y"] + 14, steps=3)
    page.mouse.up(button="right")
    assert page.locator(".hint").bounding_box() == pin
    page.mouse.click(plane["x"] + 20, plane["y"] + 20)
    assert page.input_value("#code") != color


def test_what_one_tab_makes_of_a_photograph_is_seen_in_the_other(visit):
    """So that no tab undoes another's hints by its own."""
    page = visit()
    box = opened(page)
    other = page.context.new_page()
    other.goto(page.url)
    settled(other)
    click(page, box, 0.3, 0.5)
    other.wait_for_selector(".hint")
    settled(other)
    click(other, box, 0.6, 0.5)
    page.wait_for_selector(".hint >> nth=1")
    other.reload()
    other.wait_for_selector(".hint >> nth=1")
    page.click("#undo-button")  # what another tab did, too
    other.wait_for_function("document.querySelectorAll('.hint').length === 1")


def test_what_is_removed_in_one_tab_is_gone_from_the_other(visit):
    page = visit()
    opened(page)
    other = page.context.new_page()
    other.goto(page.url)
    other.wait_for_selector(".tile img")
    other.click("text=Remove photograph")
    other.close(run_before_unload=True)
    page.wait_for_selector("#welcome:visible")


def test_a_link_from_elsewhere_lets_in_and_keeps_the_photographs(browser, serve):
    home = serve(token="correct horse")
    with browser.new_context() as context:
        page = context.new_page()
        for link, there in ((f"{home}?token=correct%20horse", False), (home, True)):
            page.set_content(f'<a href="{link}">the page</a>')
            page.click("a")
            page.wait_for_url(home)
            page.wait_for_selector("#promise:text('megapixels')", state="attached")
            if not there:
                opened(page)
                page.goto("about:blank")
        page.wait_for_selector(".tile img")


def is_grey(page, x=0.75, y=0.05):
    return np.hypot(*chroma_at(page, x, y)) < 1


def test_a_click_passes_the_line_of_the_divider(visit):
    page = visit()
    box = opened(page)
    click(page, box, 0.5, 0.4)
    settled(page)
    assert page.get_attribute(".hint", "aria-label").startswith("Hint 1 of 1") and page.locator(".hint").count() == 1


def test_space_or_a_held_button_shows_the_original(visit):
    page = visit()
    box = opened(page)
    click(page, box, 0.7, 0.5)
    settled(page)
    page.keyboard.down(" ")
    assert is_grey(page) and not page.is_visible(".hint")
    page.keyboard.up(" ")
    assert not is_grey(page) and page.locator(".hint").count() == 1
    page.hover("#peek")
    page.mouse.down()
    assert is_grey(page)
    page.mouse.up()
    assert not is_grey(page)
    page.fill("#code", "a b")
    assert page.input_value("#code") == "a b"


def several(page, *names):
    bring(page, *((f"{name}.png", encoded(np.roll(GREY, 20 * i, 0)[:100, :150])) for i, name in enumerate(names)))
    page.wait_for_selector(f".tile img >> nth={len(names) - 1}")
    settled(page)


def current(page):
    return page.get_attribute(".tile[aria-current=true]", "title")


def test_brackets_go_to_the_next_photograph_and_to_the_one_before(visit):
    page = visit()
    several(page, *"abc")
    assert current(page) == "a.png"
    for key, name in (("]", "b.png"), ("]", "c.png"), ("]", "a.png"), ("[", "c.png")):
        page.keyboard.press(key)
        assert current(page) == name
    page.keyboard.press("?")
    page.keyboard.press("]")
    assert current(page) == "c.png" and "colorjax" in page.inner_text("#version")


def chroma_of(page, selector):
    """Mean chroma of an image of the page."""
    picture = Image.open(io.BytesIO(page.locator(selector).screenshot())).convert("RGB")
    return np.hypot(*np.moveaxis(color.rgb_to_lab(np.asarray(picture) / np.float32(255))[..., 1:], -1, 0)).mean()


def test_all_take_colour_in_the_background_and_are_seen_at_once(visit):
    page = visit()
    asked = []
    page.on("request", lambda request: asked.append(request.post_data_json) if request.url.endswith("/view") else None)
    several(page, *"abc")
    for number in range(3):
        page.wait_for_function("(n) => document.querySelectorAll('.tile img')[n]?.src !== ''", arg=number)
    page.click("#overview-button")
    page.wait_for_function("() => !document.querySelector('#overview').innerText.includes('taking colour')")
    assert [one.get("ahead", False) for one in asked] == [False, True, True] and not page.is_visible("#stage")
    assert all(chroma_of(page, f".card img >> nth={number}") > 5 for number in range(3))
    page.click(".card >> nth=1")
    settled(page)
    assert current(page) == "b.png" and page.is_visible("#stage") and len(asked) == 3
    page.keyboard.press("g")
    page.keyboard.press("Escape")
    assert page.is_visible("#stage")


def test_many_photographs_in_the_overview_keep_their_names_and_a_phone_on_its_side_its_strip(visit):
    page = visit(SIDE)
    several(page, *"abcdef")
    page.click("#overview-button")
    assert min(page.evaluate("() => [...document.querySelectorAll('.card b')].map((name) => name.clientHeight)")) >= 15
    inside = page.locator("#download-all").bounding_box()
    assert inside["x"] + inside["width"] <= 844 - 8 and page.locator("#strip").bounding_box()["width"] > 90
    page.click(".card >> nth=0")
    inside = page.locator("#saving-button").bounding_box()
    assert inside["x"] + inside["width"] <= 844 - 8


def test_a_photograph_that_is_opened_does_not_wait_as_those_in_the_background_do(visit):
    page = visit()
    held = []
    page.route("**/view", lambda route: held.append(route) if route.request.post_data_json.get("ahead") else route.continue_())
    several(page, *"ab")
    while not held:
        page.wait_for_timeout(20)
    page.click(".tile >> nth=1")
    page.wait_for_selector("#stage:not(.busy)")
    assert not is_grey(page)


def test_download_all_ends_with_how_many(visit):
    page = visit()
    several(page, *"abc")
    page.route("**/api/progress", lambda route: route.fulfill(json=one_failed(route.fetch().json())))
    downloaded(page, "#download-all")
    page.wait_for_selector("#status:text('2 saved, 1 failed')")
    assert page.locator(".problem").all_inner_texts() == ["c.png: no room"]


def one_failed(told):
    last = list(told["copies"])[-1]
    told["copies"][last] |= {"state": "failed", "reason": "no room"}
    return told


def test_work_is_seen_where_the_eye_is_and_how_long_it_may_last(visit):
    page = visit()
    box = opened(page)
    held = []
    page.route("**/view", lambda route: held.append(route))
    click(page, box, 0.7, 0.4)
    page.wait_for_selector("#working:visible")
    pill = page.locator("#working").bounding_box()
    assert abs(pill["x"] + pill["width"] / 2 - box["x"] - 0.7 * box["width"]) < 3
    assert 0 < pill["y"] - box["y"] - 0.4 * box["height"] < 60
    assert "about 1 s" in page.inner_text("#working") or "a little longer" in page.inner_text("#working")
    held[0].continue_()
    page.wait_for_selector("#working", state="hidden")


def middle(box):
    return np.array([box["x"] + box["width"] / 2, box["y"] + box["height"] / 2])


def test_hints_sit_right_at_every_zoom(visit):
    page = visit()
    box = opened(page)
    page.mouse.move(box["x"] + 0.7 * box["width"], box["y"] + 0.4 * box["height"])
    page.mouse.wheel(0, -400)
    page.wait_for_function("() => document.querySelector('#zoom-value').value !== '100 %'")
    click(page, box, 0.7, 0.4)  # what lay under the pointer still does
    settled(page)
    x, y = map(int, page.get_attribute(".hint", "aria-label").split(" at ")[1].split(", "))
    assert abs(x - 0.7 * 451) < 2 and abs(y - 0.4 * 300) < 2

    def hint_is_where_it_belongs():
        sheet, pin = page.locator("#sheet").bounding_box(), page.locator(".hint").bounding_box()
        place = [sheet["x"] + (x + 0.5) / 451 * sheet["width"], sheet["y"] + (y + 0.5) / 300 * sheet["height"]]
        return np.abs(middle(pin) - place).max() < 1

    assert hint_is_where_it_belongs()
    for key, zoom in (("+", ""), ("+", ""), ("-", ""), ("0", "100 %")):
        page.keyboard.press(key)
        assert hint_is_where_it_belongs() and (page.inner_text("#zoom-value") == "100 %") == (zoom == "100 %")
    page.click("#closer")
    sheet = page.locator("#sheet").bounding_box()
    start = middle(page.locator("#easel").bounding_box())
    page.mouse.move(*start)
    page.mouse.down()
    page.mouse.move(start[0] + 40, start[1] - 15, steps=4)
    page.mouse.up()
    moved = middle(page.locator("#sheet").bounding_box()) - middle(sheet)
    assert moved == pytest.approx((40, -15), abs=8) and hint_is_where_it_belongs()
    assert page.locator(".hint").count() == 1


def test_a_double_click_zooms_and_leaves_no_hint(visit):
    page = visit()
    box = opened(page)
    page.mouse.dblclick(box["x"] + 0.3 * box["width"], box["y"] + 0.4 * box["height"])
    assert page.inner_text("#zoom-value") == "250 %" and page.locator(".hint").count() == 0
    assert page.get_attribute("#undo-button", "aria-disabled") == page.get_attribute("#redo-button", "aria-disabled") == "true"
    assert page.get_attribute("#divider", "aria-valuenow") == "50"
    page.mouse.dblclick(*middle(page.locator("#stage").bounding_box()) + 30)
    assert page.inner_text("#zoom-value") == "100 %" and page.locator(".hint").count() == 0


def test_two_fingers_zoom(visit):
    page = visit(PHONE)
    box = opened(page)
    x, y = middle(box)
    touch = page.context.new_cdp_session(page)
    for kind, apart in (("touchStart", 30), ("touchMove", 50), ("touchMove", 80), ("touchEnd", None)):
        points = [] if apart is None else [{"x": x - apart, "y": y, "id": 0}, {"x": x + apart, "y": y, "id": 1}]
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    assert 200 < int(page.inner_text("#zoom-value").split()[0]) < 300 and page.locator(".hint").count() == 0
    assert page.evaluate("[visualViewport.scale, document.documentElement.scrollWidth]") == [1, 390]


def test_the_screen_can_be_filled(visit):
    page = visit()
    box = opened(page)
    page.click("#full-screen")
    page.wait_for_function("() => document.fullscreenElement?.id === 'easel'")
    page.wait_for_function("(width) => document.querySelector('#stage').clientWidth > width", arg=box["width"])
    page.keyboard.press("f")
    page.wait_for_function("() => document.fullscreenElement === null")


def test_no_complaint_pushes_another_away_and_the_film_strip_stays_free(visit):
    page = visit(PHONE)
    several(page, "a")
    bring(page, *((f"broken{number}.png", encoded(GREY)[:60]) for number in range(12)), ("broken0.png", encoded(GREY)[:60]))
    page.wait_for_selector(".problem:has-text('broken11')")
    page.wait_for_selector("#status:empty", state="attached")
    assert page.locator(".problem").count() == 12
    page.evaluate("document.querySelector('#strip').scrollIntoView()")
    strip, complaints = page.locator("#strip").bounding_box(), page.locator("#complaints").bounding_box()
    assert complaints["y"] + complaints["height"] < strip["y"]
    page.click(".problem:has-text('broken11') button")
    assert page.locator(".problem").count() == 11 and "Close" in page.evaluate("document.activeElement.ariaLabel")
    page.click("#close-problems")
    assert page.locator(".problem").count() == 0


def test_colours_have_names_and_others_are_refused_in_words(visit):
    page = visit()
    box = opened(page)
    click(page, box, 0.7, 0.5)
    for written, read in (("blue", "#0000ff"), ("Dark Slate Blue", "#483d8b")):
        page.fill("#code", written)
        page.keyboard.press("Enter")
        assert page.input_value("#code") == read
    for written in ("bluish", "transparent", "inherit"):
        page.fill("#code", written)
        page.keyboard.press("Tab")
        assert f"“{written}” is no colour that is known here" in page.inner_text("#code-told")
        assert page.input_value("#code") == "#483d8b"
    page.fill("#code", "red")
    page.keyboard.press("Tab")
    assert page.inner_text("#code-told") == "" and page.input_value("#code") == "#ff0000"


def test_keys_are_told_of_only_where_there_are_some(visit):
    page = visit(PHONE)
    opened(page)
    assert not page.is_visible(".keys summary")
    page.keyboard.press("0")
    assert page.is_visible(".keys summary")


def test_without_javascript_it_says_so(browser, serve):
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(serve())
        assert "This page needs JavaScript" in page.inner_text("body")


def test_format_and_quality_are_chosen_and_remembered(visit):
    page = visit()
    opened(page)
    page.click("#saving-button")
    page.select_option("#format", "TIFF")
    assert not page.is_visible("#quality")
    page.select_option("#format", "JPEG")
    page.focus("#quality")
    for _ in range(40):
        page.keyboard.press("ArrowLeft")
    page.keyboard.press("Escape")
    file = downloaded(page)
    small = file.path().stat().st_size
    assert file.suggested_filename == "cat.colorized.jpg" and photos.kind(file.path()) == "JPEG"
    page.reload()
    settled(page)
    page.click("#saving-button")
    assert page.input_value("#format") == "JPEG" and page.input_value("#quality") == "55"
    page.focus("#quality")
    page.keyboard.press("End")
    assert downloaded(page).path().stat().st_size > 1.5 * small


def test_warmth_and_saturation_for_one_and_for_all(visit):
    page = visit()
    several(page, *"ab")
    plain = chroma_at(page, 0.75, 0.3)
    page.focus("#warmth")
    page.keyboard.press("End")
    settled(page)
    page.wait_for_selector("#working", state="hidden")
    assert chroma_at(page, 0.75, 0.3)[1] > plain[1] + 6 and page.inner_text("#warmth-value") == "+100"
    page.keyboard.press("]")
    settled(page)
    assert page.inner_text("#warmth-value") == "0"
    page.keyboard.press("[")
    page.click("#for-all")
    page.keyboard.press("]")
    settled(page)
    assert page.inner_text("#warmth-value") == "+100"
    page.focus("#saturation")
    page.keyboard.press("Home")
    settled(page)
    page.click("#undo-button")
    page.click("#undo-button")
    settled(page)
    assert page.inner_text("#warmth-value") == page.inner_text("#saturation-value") == "0"


def test_what_is_a_guess_is_seen_and_follows_the_hints(visit, monkeypatch):
    seen = []

    def uncertainty(painter, image, hints=(), of=None):
        seen.append((len(hints), of is not None))
        return np.pad(np.full((10, 5), 30, np.float32), ((0, 0), (5, 0)))

    monkeypatch.setattr(Painter, "uncertainty", uncertainty)
    monkeypatch.setattr(Painter, "calibrated", True, raising=False)
    page = visit()
    box = opened(page)
    page.focus("#divider")
    page.keyboard.press("Home")
    page.check("#doubts")
    page.wait_for_selector("#veil-of-doubt:visible")
    assert np.hypot(*(chroma_at(page, 0.9, 0.9) - chroma_at(page, 0.1, 0.9))) > 30
    click(page, box, 0.3, 0.5)
    page.wait_for_function("() => document.querySelector('#doubts-note').innerText.startsWith('Violet')")
    settled(page)
    page.wait_for_selector("#veil-of-doubt:visible")
    assert seen == [(0, False), (1, False)]
    page.click("#ask-variants")
    page.click("#variant-row .variant:nth-child(3)")
    page.wait_for_function("() => document.querySelector('#doubts-note').innerText.includes('likeliest colours only')")
    assert seen == [(0, False), (1, False), (1, True)]
    page.uncheck("#doubts")
    assert not page.is_visible("#veil-of-doubt")


def test_before_and_after_are_saved_and_say_what_they_are(visit):
    page = visit()
    opened(page)
    for kind, suffix, size in (("pair", "jpg", (451, 604)), ("clip", "gif", (451, 300))):
        page.click("#saving-button")
        file = downloaded(page, f"#{kind}")
        data = file.path().read_bytes()
        assert file.suggested_filename == f"cat.before-after.{suffix}" and Image.open(io.BytesIO(data)).size == size
        assert b"compositeWithTrainedAlgorithmicMedia" in data
    assert "by AI" in page.inner_text("#status")


def test_a_hint_reaches_as_far_as_it_may(visit):
    page = visit()
    box = opened(page)
    click(page, box, 0.7, 0.5)
    page.click("#suggestions .swatch >> nth=0")
    settled(page)
    far = chroma_at(page, 0.78, 0.5)
    page.focus("#reach")
    page.evaluate(
        """() => {
          document.activeElement.value = 25;
          for (const kind of ["input", "change"]) document.activeElement.dispatchEvent(new Event(kind));
        }"""
    )
    settled(page)
    assert page.inner_text("#reach-value") == "9 pixels" and page.is_visible("#ring")
    assert far[0] > chroma_at(page, 0.78, 0.5)[0] + 5 and chroma_at(page, 0.72, 0.5)[0] > 20
    page.wait_for_function("() => JSON.parse(Object.values(localStorage)[0]).hints[0].radius === 9")
    page.focus("#reach")
    page.keyboard.press("End")
    settled(page)
    assert page.inner_text("#reach-value") == "all of the object" and not page.is_visible("#ring")
    assert np.abs(chroma_at(page, 0.78, 0.5) - far).max() < 3


def test_photographs_that_come_while_all_are_seen_leave_the_overview_open(visit):
    page = visit()
    several(page, *"ab")
    page.keyboard.press("g")
    bring(page, ("c.png", encoded(GREY[:100, :150])))
    page.wait_for_selector(".card >> nth=2")
    page.wait_for_function("() => !document.querySelector('#overview').innerText.includes('taking colour')")
    assert page.is_visible("#overview") and not page.is_visible("#desk") and not page.is_visible("#bar")
    page.click(".card >> nth=2")
    settled(page)
    assert page.locator("#stage").bounding_box()["width"] > 150


def test_what_cannot_be_coloured_is_told_once_for_each_and_a_server_that_is_gone_once(visit):
    page = visit()
    several(page, *"abc")
    page.wait_for_function("() => !document.querySelector('.busy')")
    page.reload()
    settled(page)
    page.route("**/view", lambda route: route.fulfill(status=422, json={"error": "no colour for it"}))
    page.focus("#warmth")
    page.keyboard.press("End")
    page.click("#for-all")
    page.wait_for_selector(".problem >> nth=2")
    assert page.locator(".problem").all_inner_texts() == [f"{name}.png: no colour for it" for name in "abc"]
    page.evaluate("() => { window.fetch = () => Promise.reject(new TypeError()); }")
    page.focus("#warmth")
    page.keyboard.press("Home")
    page.click("#for-all")
    page.wait_for_selector(".problem:text-is('The server does not answer.')")
    page.wait_for_timeout(200)
    assert page.locator(".problem").count() == 4


@pytest.mark.parametrize("again", [False, True])
def test_a_photograph_whose_picture_cannot_be_had_leaves_the_others_and_is_there(visit, again):
    """When it is brought, and when the page is loaded again."""
    page = visit()
    if again:
        several(page, *"abc")
        page.wait_for_function("() => !document.querySelector('.busy')")
    refused = []

    def before(route):
        if len(refused) == 2:  # when it comes, and when it is opened
            return route.continue_()
        refused.append(route.fulfill(status=422, json={"error": "not just now"}))

    page.route("**/before", before)
    if again:
        page.reload()
        page.wait_for_selector(".tile img >> nth=2")
    else:
        bring(page, ("a.png", encoded(GREY)))
    settled(page)
    assert page.locator(".problem").all_inner_texts() == ["a.png: not just now"]
    assert page.locator(".tile:not(.add)").count() == (3 if again else 1)


def test_what_was_asked_while_the_server_was_away_is_asked_again(visit):
    page = visit()
    several(page, *"ab")
    page.wait_for_function("() => !document.querySelector('.busy')")
    before = page.get_attribute("#after", "src")
    page.evaluate("() => { window.kept = window.fetch; window.fetch = () => Promise.reject(new TypeError()); }")
    page.focus("#warmth")
    page.keyboard.press("End")
    page.wait_for_selector(".problem:text-is('The server does not answer.')")
    assert page.get_attribute("#after", "src") == before
    with page.expect_request("**/view") as asked:
        page.evaluate("() => { window.fetch = window.kept; }")
    assert asked.value.post_data_json["warmth"] == 1
    page.wait_for_function("before => document.querySelector('#after').src !== before", arg=before)
    settled(page)
    assert page.locator(".problem").count() == 1


@pytest.mark.parametrize("size", [WIDE, PHONE], ids=["wide", "phone"])
def test_a_line_under_the_photograph_says_who_signs(visit, size):
    page = visit(size, signed=True)
    opened(page)
    line, stage = page.locator("#signed"), page.locator("#stage")
    assert line.inner_text() == "What you download is signed by The Museum."
    below, above = line.bounding_box(), stage.bounding_box()
    assert below["y"] >= above["y"] + above["height"] and below["height"] < 60
    easel = page.locator("#easel").bounding_box()
    assert below["y"] + below["height"] <= easel["y"] + easel["height"] + 1
    downloaded(page)
    page.wait_for_selector("#status .saved")
    assert "Saved at full size and signed" in page.inner_text("#status")
    assert downloaded(page, "#status a:last-of-type").suggested_filename == "cat.colorized.png.json.jws"


def test_without_a_key_nothing_is_said_of_signing(visit):
    page = visit()
    opened(page)
    assert page.locator("#signed").is_hidden()


def test_other_likely_colours_are_shown_when_asked_for_and_one_is_chosen(visit):
    page = visit()
    opened(page)
    plain = chroma_at(page, 0.5, 0.5)
    page.click("#ask-variants")
    page.wait_for_selector("#variant-row .variant:nth-child(3)")
    assert page.locator("#variant-row .variant[aria-pressed=true]").count() == 1
    page.click("#variant-row .variant:nth-child(3)")
    settled(page)
    assert chroma_at(page, 0.5, 0.5)[1] > plain[1] + 5
    assert page.get_attribute("#variant-row .variant:nth-child(3)", "aria-pressed") == "true"
    page.click("#undo-button")
    settled(page)
    assert np.abs(chroma_at(page, 0.5, 0.5) - plain).max() < 3


def test_a_hint_is_of_its_object_unless_the_tick_is_taken_away(visit):
    page = visit()
    box = opened(page)
    click(page, box, 0.3, 0.5)
    assert page.is_checked("#object") and page.inner_text("#reach-value") == "all of the object"
    page.uncheck("#object")
    settled(page)
    assert page.inner_text("#reach-value") == "as far as it goes"
    page.click("#undo-button")
    assert page.is_checked("#object")


def test_what_may_be_wrong_with_a_copy_is_said(visit, monkeypatch):
    from colorjax.archive import colorize_one

    monkeypatch.setattr(colorize_one.toning, "is_in_colour", lambda pixels: True)
    page = visit()
    opened(page)
    downloaded(page, "#download")
    page.wait_for_function("() => document.querySelector('#status').innerText.includes('Look at it: it is in colour already')")


def drop(page, *paths):
    """Let go of files and folders over the page, as a file manager does."""
    devtools, data = page.context.new_cdp_session(page), {"items": [], "files": list(map(str, paths)), "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        devtools.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})


def test_a_folder_that_is_dropped_brings_what_is_in_it(visit, tmp_path):
    names = ("10.png", "9.PNG", "b/a.png", "b/c/1.png", ".hidden.png", ".thumbnails/x.png", "loose.png")
    for number, name in enumerate(names):
        path = tmp_path / ("box" if name != "loose.png" else "") / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(np.roll(GREY, 9 * number, 1)[:30, :40]))
    for number in range(250):  # Chromium tells a hundred at once
        (tmp_path / "box" / f"notes {number}.txt").write_text("no photograph")
    (tmp_path / "box" / "reel.mp4").write_bytes(b"no film")
    (tmp_path / "empty" / "deep").mkdir(parents=True)
    page = visit()
    page.wait_for_selector("#promise:not(:empty)")
    drop(page, tmp_path / "loose.png", tmp_path / "box", tmp_path / "empty")
    page.locator(".tile img").nth(4).wait_for()
    page.locator(".problem").nth(1).wait_for()
    page.wait_for_function("() => !document.querySelector('#arriving').textContent")
    titles = page.locator(".tile[title]:not(.add)").evaluate_all("tiles => tiles.map(({ title }) => title)")
    assert titles == ["loose.png", "9.PNG", "10.png", "a.png", "1.png"]
    told, other = page.locator(".problem").all_text_contents()
    assert told == "empty is a folder without photographs and films." and other.startswith("reel.mp4: ")


def test_what_cannot_be_read_in_a_folder_is_told(visit, tmp_path):
    (tmp_path / "box").mkdir()
    for name in ("1.png", "2.png"):
        (tmp_path / "box" / name).write_bytes(encoded(GREY[:30, :40]))
    page = visit()
    page.wait_for_selector("#promise:not(:empty)")
    page.evaluate("""() => {
        const { webkitGetAsEntry } = DataTransferItem.prototype;
        DataTransferItem.prototype.webkitGetAsEntry = function () {
            const folder = webkitGetAsEntry.call(this);
            const reader = folder.createReader();
            const file = (_, failed) => failed(new DOMException("gone"));
            const gone = (one) => Object.assign(one, one.name === "1.png" && { file });
            const readEntries = (done, failed) => reader.readEntries((found) => done(found.map(gone)), failed);
            return Object.assign(folder, { createReader: () => ({ readEntries }) });
        };
    }""")
    drop(page, tmp_path / "box")
    page.wait_for_selector(".tile[title='2.png'] img")
    assert page.locator(".problem").all_text_contents() == ["box/1.png cannot be read."]


def test_more_photographs_than_there_is_room_for_are_told_once(visit):
    def small(route):
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json() | {"photographs": 2})

    page = visit(before=lambda page: page.route("**/api/about", small))
    page.wait_for_selector("#promise:not(:empty)")
    bring(page, *((f"{number}.png", encoded(np.roll(GREY, 9 * number, 1)[:30, :40])) for number in range(5)))
    page.locator(".tile img").nth(1).wait_for()
    page.wait_for_function("() => !document.querySelector('#arriving').textContent")
    assert page.locator(".tile img").count() == 2
    told = "3 of 5 photographs are not taken: at most 2 can be here at once. Remove some, then add the others."
    assert page.locator(".problem").all_text_contents() == [told]
