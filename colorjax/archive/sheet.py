"""A contact sheet of coloured copies, for a curator to go through a batch: one HTML page that needs no other file."""

import base64
import html
import io
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image

from colorjax import photos
from colorjax.archive import sidecar

_SIDES = ((200, 720), (1000, 480))  # pixels of a picture's longer side, where there are at most so many: a page stays small
_SIDE = 320  # where there are more
_STYLE = """
:root{color-scheme:light dark;--ink:#222;--dim:#666;--page:#fafafa;--card:#fff;--line:#ddd;--bad:#b00020}
@media (prefers-color-scheme:dark){:root{--ink:#e6e6e6;--dim:#a0a0a0;--page:#161616;--card:#202020;--line:#333;--bad:#ff8a8a}}
*{box-sizing:border-box}
body{font:16px/1.45 system-ui,sans-serif;margin:0;padding:1rem clamp(.75rem,3vw,2.5rem) 3rem;
background:var(--page);color:var(--ink)}
h1{font-size:1.5rem;margin:.5rem 0;overflow-wrap:anywhere}h1+p{color:var(--dim);max-width:44rem;margin:.25rem 0 1.5rem}
main{display:grid;gap:1.5rem;align-items:start;grid-template-columns:repeat(auto-fill,minmax(min(100%,34rem),1fr))}
article{background:var(--card);border:1px solid var(--line);border-radius:.6rem;overflow:hidden;min-width:0}
.pair{--at:50%;position:relative;margin:0 auto;aspect-ratio:var(--w)/var(--h);width:min(100%,calc(80vh*var(--w)/var(--h)))}
.pair img{position:absolute;inset:0;width:100%;height:100%;object-fit:contain}
.pair .before{clip-path:inset(0 calc(100% - var(--at)) 0 0)}
.pair i{position:absolute;top:0;bottom:0;left:var(--at);width:2px;margin-left:-1px;background:#fff;box-shadow:0 0 3px #000;
pointer-events:none}
.pair i::after{content:"\\2194";position:absolute;bottom:.75rem;left:50%;transform:translateX(-50%);width:2rem;height:2rem;
border-radius:50%;background:#fff;color:#222;font:700 1rem/2rem system-ui;text-align:center;box-shadow:0 0 3px #000}
.pair input{position:absolute;inset:0;width:100%;height:100%;margin:0;opacity:0;cursor:ew-resize;touch-action:pan-y;
appearance:none}
.pair input::-webkit-slider-thumb{appearance:none;width:1px;height:1px}
.pair input::-moz-range-thumb{width:1px;height:1px;border:0}
.pair:focus-within{outline:3px solid #4a90d9;outline-offset:-3px}
.alone img,details img{display:block;max-width:100%;max-height:80vh;margin:0 auto}
a{color:inherit}.what{padding:.75rem 1rem 1rem}.what b{overflow-wrap:anywhere}.what p{margin:.35rem 0 0}
.what p+p,summary{color:var(--dim);font-size:.9rem}.what a{display:inline-block;padding:.4rem 1rem .2rem 0}
details{padding:.25rem 0 0}summary{cursor:pointer;padding:.3rem 0}
.bad{display:block;color:var(--bad);padding:1rem;overflow-wrap:anywhere}
@media print{main{display:block}article{break-inside:avoid;margin:0 0 1rem}.pair{width:60%}}
"""
_SCRIPT = """addEventListener("input", (event) => {
  if (event.target.type === "range") event.target.parentNode.style.setProperty("--at", event.target.value + "%")
})"""


def write(folder: Path, out: Path, by_uncertainty: bool, max_pixels: int = photos.MAX_PIXELS) -> tuple[int, list[Path]]:
    """Write the sheet of every sidecar below `folder`; returns (pictures shown, sidecars with something missing).

    by_uncertainty: the most uncertain first, instead of by name. Raises ValueError where there is no folder or no sidecar.
    """
    if not folder.is_dir():
        raise ValueError(f"{folder} is a file; name a folder" if folder.exists() else f"{folder} does not exist")
    if out.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{out} must end in .html")
    found, broken = [], []
    for path in sidecar.find(folder):
        try:
            found.append((path, sidecar.read(path)))
        except sidecar.SidecarError as error:
            broken.append(path)
            found.append((path, {"error": str(error)}))
    if not found:
        raise ValueError(f"{folder} holds no sidecars (NAME{photos.OWN_COPY}.jpg{sidecar.SUFFIX}) of coloured copies")
    if by_uncertainty:
        found.sort(key=lambda item: -_order(item[1]))
    side = next((side for most, side in _SIDES if len(found) <= most), _SIDE)
    with photos.atomic(out) as stream:
        title, count = html.escape(photos.legible(folder.absolute().name)), f"{len(found)} picture{'s' * (len(found) != 1)}"
        stream.write(_HEAD.format(style=_STYLE, title=title, count=count).encode())
        for path, about in found:
            card, complete = _card(path, about, out, side, max_pixels)
            broken += [path] if not complete and "error" not in about else []
            stream.write(card.encode("utf-8", "replace"))
        stream.write(f"</main><script>{_SCRIPT}</script></body></html>\n".encode())
    return len(found), broken


_HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}: colourised copies</title>
<meta name="viewport" content="width=device-width"><style>{style}</style></head><body><h1>{title}</h1>
<p>{count}, before and after: drag across one, or use the arrow keys. The colours were predicted by a trained network: they are
likely, not known.</p><main>
"""


def _card(path: Path, about: dict[str, Any], out: Path, side: int, max_pixels: int) -> tuple[str, bool]:
    """What is shown of one copy, and whether nothing was missing or damaged."""
    if "error" in about:
        return f'<article><p class="bad">{_text(about["error"])}</p></article>\n', False
    try:
        first = about["pages"][0]
        source, copy = path.parent / about["source"]["path"], path.parent / about["copy"]["name"]
        guess = path.parent / first["map"] if "map" in first else None
        facts, settings = _facts(about), _settings(about)
    except (KeyError, TypeError, IndexError, ValueError, AttributeError) as error:
        return _card(path, {"error": f"{path} is damaged ({type(error).__name__}: {error})"}, out, side, max_pixels)
    name = _text(about["source"]["path"])
    before, after = _picture(source, "before", side, max_pixels), _picture(copy, "after", side, max_pixels)
    shown = f'<div class="alone">{before[0]}{after[0]}</div>'
    if before[1] and after[1]:
        width, height = after[1]
        bar = f'<input type="range" min="0" max="100" value="50" aria-label="before and after of {name}">'
        shown = f'<div class="pair" style="--w:{width};--h:{height}">{after[0]}{before[0]}<i></i>{bar}</div>'
    links = _link(source, "before", "original", out) + _link(copy, "after", "copy in colour", out)
    complete = bool(before[1] and after[1])
    if guess:
        picture, size = _picture(guess, "guess", side, max_pixels)
        complete, link = complete and bool(size), _link(guess, "guess", "open the map", out)
        picture = f"<details><summary>where the colour is a guess</summary>{picture}{link}</details>" if size else picture
        links += picture
    words = f"<b>{name}</b><p>{_text(', '.join(facts))}</p><p>{_text(', '.join(settings))}</p>"
    return f'<article>{shown}<div class="what">{words}{links}</div></article>\n', complete


def _text(words: object) -> str:
    return html.escape(photos.legible(str(words)))


def _facts(about: dict[str, Any]) -> list[str]:
    """What a sidecar says of the picture, for people."""
    first, uncertainty = about["pages"][0], _uncertainty(about)
    facts = [f"{first['width']} x {first['height']} pixels, {first['bits']} bits"]
    facts += [f"{len(about['pages'])} pages"] if len(about["pages"]) > 1 else []
    facts += [] if uncertainty is None else [f"uncertainty {uncertainty:.1f} Lab units"]
    facts += [f"not carried: {', '.join(about['not_carried'])}"] if about["not_carried"] else []
    warnings = dict.fromkeys(str(warning) for page in about["pages"] for warning in page.get("warnings", ()))
    return facts + [f"warning: {warning}" for warning in warnings]


def _settings(about: dict[str, Any]) -> list[str]:
    """How a sidecar says that the copy was made, for people; what they need not know is left out, or said as it stands."""
    said = dict(about["settings"])
    words = [f"weights {about['weights']['name']}"]
    words += [f"seen at {said.pop('size')} pixels"] if "size" in said else []
    words += [f"strength {strength}"] if (strength := said.pop("strength", 1)) != 1 else []
    words += [f"{hints} hint{'s' * (hints != 1)}"] if (hints := said.pop("hints", 0)) else []
    words += ["averaged with its mirror image"] if said.pop("flip", False) else []
    words += ["inverted, as a negative"] if said.pop("negative", False) else []
    words += [f"burnt in: {burnt}"] if (burnt := said.pop("burn_in", None)) else []
    lossy = said.get("format") in photos.LOSSY
    quality = said.pop("quality", None)
    words += [f"{said.pop('format', 'copy')} of quality {quality}"] if lossy and quality is not None else []
    return words + [f"{name} {value}" for name, value in sorted(said.items())]


def _picture(file: Path, which: str, side: int, max_pixels: int) -> tuple[str, tuple[int, int] | None]:
    """A small copy of a file, and its width and height; or what is wrong with it, and None."""
    try:
        image = photos.read_reduced(file, side, max_pixels)[0]
    except photos.PhotoError as error:
        return f'<span class="bad {which}">{_text(f"{file.name}: {error}")}</span>', None
    picture, stream = Image.fromarray(image), io.BytesIO()
    picture.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
    picture.save(stream, "JPEG", quality=85)
    data = base64.b64encode(stream.getvalue()).decode()
    return f'<img class="{which}" alt="{which}: {_text(file.name)}" src="data:image/jpeg;base64,{data}">', picture.size


def _link(file: Path, which: str, words: str, out: Path) -> str:
    """A link to a file, relative to the page."""
    place = quote(os.fsencode(os.path.relpath(file.resolve(), out.absolute().parent)))
    return f'<a class="{which}" href="{place}">{words}</a>'


def _uncertainty(about: dict[str, Any]) -> float | None:
    try:
        values = [float(page["uncertainty"]) for page in about["pages"] if "uncertainty" in page]
        mean = sum(values) / len(values) if values else np.nan
        return mean if np.isfinite(mean) else None
    except (KeyError, TypeError, ValueError, OverflowError):
        return None


def _order(about: dict[str, Any]) -> float:
    guess = _uncertainty(about)
    return -1.0 if guess is None else guess
