"""The page and the sheet as somebody sees them, in Chromium: docs/pictures/page-1440.jpg, page-390.jpg and sheet.jpg.

    python docs/tools/screenshots.py --packages=PACKAGES [--site=site]

It starts `colorjax serve` on a free port of this machine, shows it four photographs and one hint, and ends it.
--site=FOLDER takes pictures of the built documentation instead, below FOLDER: screenshot-1440.png and screenshot-390.png.
"""

import argparse
import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, sync_playwright

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import sources
from gallery import grey
from pictures import OUT, QUALITY

WIDTHS = {1440: 900, 390: 844}
_SHOWN = ("mountains", "cat", "pagoda", "astronaut")


def photographs(packages: Path) -> list[dict]:
    """As the page takes them."""
    files = []
    for key in _SHOWN:
        stream = io.BytesIO()
        Image.fromarray(grey(sources.read(sources.BY_KEY[key], packages, 1200))).convert("L").save(stream, "PNG")
        files.append({"name": f"{key}.png", "mimeType": "image/png", "buffer": stream.getvalue()})
    return files


def small(png: bytes, name: str) -> None:
    """As docs/pictures/NAME.jpg."""
    Image.open(io.BytesIO(png)).convert("RGB").save(OUT / f"{name}.jpg", quality=QUALITY, optimize=True)


def page(browser: Browser, home: str, files: list[dict]) -> None:
    """With a hint on the cat's eye."""
    for width, height in WIDTHS.items():
        phone = width < 500
        context = browser.new_context(viewport={"width": width, "height": height}, has_touch=phone, is_mobile=phone)
        tab = context.new_page()
        tab.goto(home)
        tab.set_input_files("#files", files)
        tab.wait_for_timeout(9000)
        small(tab.screenshot(), f"page-{width}")
        context.close()


def site(browser: Browser, folder: Path) -> None:
    """The first page of the built documentation."""
    for width, height in WIDTHS.items():
        tab = browser.new_page(viewport={"width": width, "height": height})
        tab.goto((folder / "index.html").resolve().as_uri())
        tab.wait_for_timeout(1000)
        tab.screenshot(path=folder / f"screenshot-{width}.png")


def sheet(browser: Browser, files: list[dict], folder: Path) -> None:
    """What `colorjax sheet` writes."""
    for file in files:
        (folder / file["name"]).write_bytes(file["buffer"])
    command = [sys.executable, "-m", "colorjax"]
    subprocess.run([*command, "colorize", folder, "--out", folder / "coloured", "--uncertainty"], check=True)
    subprocess.run([*command, "sheet", folder / "coloured"], check=True)
    tab = browser.new_page(viewport={"width": 1100, "height": 760})
    tab.goto((folder / "coloured" / "sheet.html").as_uri())
    tab.wait_for_timeout(1500)
    small(tab.screenshot(), "sheet")


def main() -> None:
    """Start what is photographed, photograph it, end it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, default=Path("/usr/share"), help="where the packages were unpacked")
    parser.add_argument("--site", type=Path, help="the built documentation: take pictures of it instead")
    args = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        parser.error("there is no Chromium; install the package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        if args.site:
            site(browser, args.site)
            return
        files = photographs(args.packages)
        with tempfile.TemporaryDirectory() as folder:
            sheet(browser, files, Path(folder))
        command = [sys.executable, "-m", "colorjax", "serve", "--port", "0", "--no-browser"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as server:
            try:
                home = next(found[0] for line in server.stdout if (found := re.search(r"http://\S+", line)))
                page(browser, home, files)
            finally:
                server.terminate()
        browser.close()


if __name__ == "__main__":
    main()
