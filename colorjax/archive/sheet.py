"""A contact sheet of coloured copies, for a curator to go through a batch: one HTML page that needs no other file."""

import base64
import html
import io
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from PIL import Image

from colorjax import photos
from colorjax.archive import sidecar

_SIDE = 320  # pixels of a thumbnail's longer side
_STYLE = """
body{font:15px/1.4 system-ui,sans-serif;margin:1.5rem;background:#fafafa;color:#222}
table{border-collapse:collapse}td,th{padding:.4rem .8rem .4rem 0;vertical-align:top;text-align:left}
tr{border-bottom:1px solid #ddd}img{max-width:320px;max-height:320px;display:block}
.name{max-width:22rem;overflow-wrap:anywhere}.bad{color:#b00020}small{color:#666}
"""


def write(folder: Path, out: Path, by_uncertainty: bool, max_pixels: int = photos.MAX_PIXELS) -> tuple[int, list[Path]]:
    """Write the sheet of every sidecar below `folder`; returns (pictures shown, sidecars with something missing).

    by_uncertainty: the most uncertain first, instead of by name. Raises ValueError where there is no sidecar.
    """
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
    with photos.atomic(out) as stream:
        title = html.escape(photos.legible(folder.absolute().name))
        stream.write(_HEAD.format(style=_STYLE, title=title, count=len(found)).encode())
        for path, about in found:
            row, complete = _row(path, about, out, max_pixels)
            broken += [path] if not complete and "error" not in about else []
            stream.write(row.encode("utf-8", "replace"))
        stream.write(b"</table></body></html>\n")
    return len(found), broken


_HEAD = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}: colourised copies</title>
<meta name="viewport" content="width=device-width"><style>{style}</style></head><body><h1>{title}</h1>
<p>{count} pictures. The colours were predicted by a trained network: they are likely, not known.</p>
<table><tr><th>before</th><th>after</th><th>where it is a guess</th><th>what</th></tr>
"""


def _row(path: Path, about: dict[str, Any], out: Path, max_pixels: int) -> tuple[str, bool]:
    """A row of the table, and whether nothing was missing or damaged."""
    if "error" in about:
        return f'<tr><td colspan="4" class="bad">{html.escape(photos.legible(about["error"]))}</td></tr>\n', False
    try:
        first = about["pages"][0]
        source, copy = path.parent / about["source"]["path"], path.parent / about["copy"]["name"]
        guess = path.parent / first["map"] if "map" in first else None
        facts = [f"{first['width']} x {first['height']} pixels, {first['bits']} bits"]
        facts += [f"{len(about['pages'])} pages"] if len(about["pages"]) > 1 else []
        uncertainty = _uncertainty(about)
        facts += [] if uncertainty is None else [f"uncertainty {uncertainty:.1f}"]
        facts += [f"not carried: {', '.join(about['not_carried'])}"] if about["not_carried"] else []
        warnings = dict.fromkeys(str(warning) for page in about["pages"] for warning in page.get("warnings", ()))
        facts += [f"warning: {warning}" for warning in warnings]
        settings = json.dumps(about["settings"], sort_keys=True)
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        return _row(path, {"error": f"{path} is damaged ({type(error).__name__}: {error})"}, out, max_pixels)
    cells = [_cell(file, out, max_pixels) for file in (source, copy)] + (
        [_cell(guess, out, max_pixels)] if guess else [("", True)]
    )
    words = "<br>".join(html.escape(photos.legible(fact)) for fact in facts)
    name = html.escape(photos.legible(about["source"]["path"]))
    what = f'<td class="name"><b>{name}</b><br>{words}<br><small>{html.escape(photos.legible(settings))}</small></td>'
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell, _ in cells)}{what}</tr>\n", all(whole for _, whole in cells)


def _cell(file: Path, out: Path, max_pixels: int) -> tuple[str, bool]:
    """A thumbnail that links to its file, or what is wrong with it."""
    try:
        image = photos.read_reduced(file, _SIDE, max_pixels)[0]
    except photos.PhotoError as error:
        return f'<span class="bad">{html.escape(photos.legible(f"{file.name}: {error}"))}</span>', False
    picture, stream = Image.fromarray(image), io.BytesIO()
    picture.thumbnail((_SIDE, _SIDE), Image.Resampling.BICUBIC, reducing_gap=2.0)
    picture.save(stream, "JPEG", quality=85)
    data = base64.b64encode(stream.getvalue()).decode()
    link = quote(os.fsencode(os.path.relpath(file.resolve(), out.absolute().parent)))
    return (
        f'<a href="{link}"><img alt="{html.escape(photos.legible(file.name))}" src="data:image/jpeg;base64,{data}"></a>',
        True,
    )


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
