"""The slider of a contact sheet, in a real browser that reaches no network."""

import shutil

import pytest
from helpers.console import run
from PIL import Image

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium")
def test_the_slider_moves_and_a_phone_shows_all(tmp_path, capsys, weights):
    api = pytest.importorskip("playwright.sync_api")
    (tmp_path / "album").mkdir()
    Image.effect_noise((900, 600), 50).save(tmp_path / "album" / "a.jpg")
    assert run(capsys, "colorize", tmp_path / "album", "--uncertainty", "--ckpt", weights)[0] == 0
    assert run(capsys, "sheet", tmp_path / "album-colorized")[0] == 0
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 390, "height": 800}, offline=True)
        page.goto((tmp_path / "album-colorized" / "sheet.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        box = page.locator(".pair").bounding_box()
        assert box["width"] > 340 and box["height"] == pytest.approx(box["width"] * 2 / 3, abs=1)
        page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
        line = page.locator(".pair i").bounding_box()
        assert line["x"] + 1 - box["x"] == pytest.approx(box["width"] / 4, abs=5)
        page.keyboard.press("End")
        assert page.evaluate("getComputedStyle(document.querySelector('.pair')).getPropertyValue('--at')") == "100%"
        page.get_by_text("where the colour is a guess").click()
        assert page.locator("details img").is_visible()
        browser.close()
