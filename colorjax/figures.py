"""The pictures of a run: loss curves, panels of grey, prediction and truth, and the HTML report."""

import base64
import html
import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from colorjax import color, photos
from colorjax.evaluators import HEADINGS

_GAP, _HEADING = 6, 22


def to_image_u8(luma: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """Network units (..., H, W, 1) and (..., H, W, 2) -> sRGB uint8 (..., H, W, 3); chroma yields to the gamut."""
    lab = np.concatenate([luma * 50 + 50, chroma * 110], axis=-1).astype(np.float32)
    return np.round(color.lab_to_rgb(color.fit_to_gamut(lab)) * 255).astype(np.uint8)


def panels(luma: np.ndarray, pred: np.ndarray, target: np.ndarray) -> Image.Image:
    """One row a picture, (k, H, W, .): grey | prediction | truth."""
    columns = [("grey", np.zeros_like(pred)), ("prediction", pred), ("truth", target)]
    count, height, width = luma.shape[:3]
    size = (len(columns) * (width + _GAP) - _GAP, count * (height + _GAP) - _GAP + _HEADING)
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    for x, (heading, chroma) in enumerate(columns):
        left = x * (width + _GAP)
        draw.text((left, 3), heading, fill="black", font=ImageFont.load_default(14))
        for y, image in enumerate(to_image_u8(luma, chroma)):
            sheet.paste(Image.fromarray(image), (left, _HEADING + y * (height + _GAP)))
    return sheet


def save_png(image: Image.Image, path: Path) -> None:
    """Write a PNG, whole or not at all."""
    with photos.atomic(path) as stream:
        image.save(stream, "PNG")


def loss_curves(rows: list[dict], path: Path) -> None:
    """Training and validation L1 over steps, from the rows of metrics.jsonl, as PNG."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    for kind, style in (("train", {"color": "#0072B2", "lw": 1}), ("validation", {"color": "#D55E00", "marker": "o"})):
        points = [(row["step"], row["l1"]) for row in rows if row["kind"] == kind]
        if points:
            axes.plot(*zip(*points, strict=True), label=kind, **style)
    axes.set(xlabel="step", ylabel="L1 (ab/128)")
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    with photos.atomic(path) as stream:
        figure.savefig(stream, format="png")


def text_table(rows: dict[str, dict[str, dict]]) -> str:
    """Plain-text table: rows[row name][group][metric] = {"mean", "low", "high"}; intervals behind each mean."""
    columns = ["group", "pictures", "", *(heading for heading, _ in HEADINGS.values())]
    lines = [columns]
    for group in next(iter(rows.values())):
        for name, groups in rows.items():
            values = groups[group]
            lines.append([group, str(values["pictures"]), name, *(_cell(values, metric) for metric in HEADINGS)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    text = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([text[0], "-" * sum(w + 2 for w in widths), *text[1:]])


def _cell(values: dict, metric: str) -> str:
    decimals = HEADINGS[metric][1]
    value = values[metric]
    return f"{value['mean']:.{decimals}f} [{value['low']:.{decimals}f}, {value['high']:.{decimals}f}]"


_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.85rem}
th,td{padding:.3rem .6rem;border-bottom:1px solid #ddd;text-align:left;white-space:nowrap}
tr.first td{border-top:2px solid #888} small{color:#666} img{max-width:100%} .wide{overflow-x:auto}
"""


def report(title: str, facts: dict[str, str], rows: dict[str, dict[str, dict]], sheet: Image.Image) -> str:
    """One self-contained HTML page: facts, the table of `text_table`, and the panels."""
    body = [f"<h1>{html.escape(title)}</h1><dl>"]
    body += [f"<dt><b>{html.escape(k)}</b></dt><dd>{html.escape(v)}</dd>" for k, v in facts.items()]
    heads = "".join(f"<th>{html.escape(heading)}</th>" for heading, _ in HEADINGS.values())
    body.append(f"</dl><h2>Metrics</h2><div class=wide><table><tr><th>group<th>pictures<th>{heads}</tr>")
    for group in next(iter(rows.values())):
        for number, (name, groups) in enumerate(rows.items()):
            cells = "".join(f"<td>{_html_cell(groups[group], metric)}" for metric in HEADINGS)
            start = "<tr class=first>" if number == 0 else "<tr>"
            body.append(f"{start}<td>{html.escape(group)}<td>{groups[group]['pictures']}<td>{html.escape(name)}{cells}")
    body.append("</table></div><p><small>Mean over pictures [95 % bootstrap interval over pictures].</small></p>")
    stream = io.BytesIO()
    sheet.save(stream, "PNG")
    picture = base64.b64encode(stream.getvalue()).decode()
    body.append(f'<h2>Panels</h2><img alt="grey, prediction, truth" src="data:image/png;base64,{picture}">')
    head = f"<meta charset=utf-8><meta name=viewport content='width=device-width'><title>{html.escape(title)}</title>"
    return f"<!doctype html><html lang=en><head>{head}<style>{_STYLE}</style></head><body>{''.join(body)}</body></html>"


def _html_cell(values: dict, metric: str) -> str:
    mean, _, interval = _cell(values, metric).partition(" ")
    return f"{mean} <small>{interval}</small>"
