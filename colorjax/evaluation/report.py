"""A comparison as text for the screen, as JSON, and as one self-contained HTML page with its figures."""

import base64
import html
import io
import json
from pathlib import Path
from typing import Any

from PIL import Image

from colorjax import photos
from colorjax.evaluation import figures, guidance
from colorjax.evaluation.comparison import GREY, Comparison
from colorjax.evaluation.evaluators import HEADINGS, PROTOCOL_HEADINGS

_WITH_INTERVALS = ("l1", "ssim_ab", "delta_e", "lpips_alex", "lpips_squeeze", "colourfulness_ratio", "cast_b")
_ALL_HEADINGS = HEADINGS | PROTOCOL_HEADINGS


def text(comparison: Comparison) -> str:
    """The means by group; then, of all pictures, the main metrics and the differences with their intervals."""
    rows, differences = comparison.rows, comparison.differences
    first = next(iter(rows.values()))["all"]
    metrics = [name for name in HEADINGS if name in first]
    lines = [["group", "pictures", "", *(HEADINGS[name][0] for name in metrics)]]
    for group in next(iter(rows.values())):
        for name, groups in rows.items():
            values = groups[group]
            means = [f"{values[metric]['mean']:.{HEADINGS[metric][1]}f}" for metric in metrics]
            lines.append([group, str(values["pictures"]), name, *means])
    parts = [_aligned(lines), "all pictures, with 95 % bootstrap intervals over them:", _with_intervals(rows)]
    parts += [f"differences to {comparison.baseline}, paired:", _with_intervals(differences)]
    if comparison.hints:
        parts += ["with hints, true colours at random points:", _aligned(_hint_rows(comparison.hints))]
    return "\n\n".join(parts).encode("utf-8", "backslashreplace").decode()  # names of files may be no UTF-8


def _with_intervals(rows: dict[str, dict[str, dict]]) -> str:
    metrics = [name for name in _WITH_INTERVALS if name in next(iter(rows.values()))["all"]]
    lines = [["", *(_ALL_HEADINGS[name][0] for name in metrics)]]
    lines += [[name, *(_cell(groups["all"], metric) for metric in metrics)] for name, groups in rows.items()]
    return _aligned(lines)


def _hint_rows(curves: dict[str, guidance.Curve]) -> list[list[str]]:
    """A table of how much hints help."""
    lines = [["", "hints", *(HEADINGS[name][0] for name in guidance.METRICS), "Delta E at the hints, median"]]
    for name, rows in curves.items():
        for row in rows:
            met = row[guidance.AT_HINTS]
            cells = (_cell(row, metric) for metric in guidance.METRICS)
            lines.append([name, str(row["hints"]), *cells, "" if met is None else f"{met:.2f}"])
    return lines


def _aligned(lines: list[list[str]]) -> str:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    rows = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
    return "\n".join([rows[0], "-" * (sum(widths) + 2 * len(widths) - 2), *rows[1:]])


def _cell(values: dict, metric: str) -> str:
    decimals = _ALL_HEADINGS[metric][1]
    value = values[metric]
    return f"{value['mean']:.{decimals}f} [{value['low']:.{decimals}f}, {value['high']:.{decimals}f}]"


def write(comparison: Comparison, facts: dict[str, str], out: Path) -> list[str]:
    """metrics.json, report.html and the figures of both into `out`; returns the files' names.

    facts: what to tell above the tables, by heading. The names of photographs that could not be read go into metrics.json.
    """
    out.mkdir(parents=True, exist_ok=True)
    names = [comparison.photographs.names[i] for i in next(iter(comparison.evaluations.values())).index]
    result = {
        "facts": facts,
        "rows": comparison.rows,
        "baseline": comparison.baseline,
        "files_left_out": comparison.photographs.report["files_left_out"],
        "differences": comparison.differences,
        "hints": comparison.hints,
        "per_picture": {
            name: {metric: dict(zip(names, map(float, values), strict=True)) for metric, values in one.values.items()}
            for name, one in comparison.evaluations.items()
        },
    }
    with photos.atomic(out / "metrics.json") as stream:
        stream.write(json.dumps(result, indent=1).encode())
    sheets, plots = _sheets(comparison), _plots(comparison)
    for name, sheet in sheets.items():
        figures.save_png(sheet, out / f"{name}.png")
    for name, figure in plots.items():
        for kind in ("png", "svg"):
            figures.save(figure, out / f"{name}.{kind}")
    page = _page(comparison, facts, result, sheets, {name: out / f"{name}.svg" for name in plots})
    with photos.atomic(out / "report.html") as stream:
        stream.write(page.encode("utf-8", "backslashreplace"))
    return ["metrics.json", "report.html", *(f"{name}.png" for name in sheets), *(f"{name}.svg" for name in plots)]


def _sheets(comparison: Comparison) -> dict[str, Image.Image]:
    sheets = {}
    luma, columns = comparison.panels()
    if len(luma):
        sheets["panels"] = figures.panels(luma, columns)
    for kind, (indices, luma, columns) in comparison.extremes.items():
        sheets[kind] = figures.panels(luma, columns, [_caption(comparison, int(index)) for index in indices])
    return sheets


def _caption(comparison: Comparison, index: int) -> str:
    values = []
    for name, one in comparison.evaluations.items():
        place = one.index.tolist().index(index)
        values.append(f"{name} {one.values['delta_e'][place]:.1f}")
    return f"{comparison.photographs.names[index]}   Delta E: {', '.join(values)}"


def _plots(comparison: Comparison) -> dict[str, Any]:
    plots = {}
    if comparison.histories:
        plots["losses"] = figures.all_losses(comparison.histories)
        plots["validation"] = figures.validation_curves(comparison.histories)
    if comparison.hints:
        plots["hints"] = figures.hint_curves(comparison.hints)
    plots["colours"] = figures.colour_histograms(comparison.colours)
    return plots


_CAPTIONS = {
    "losses": "Figure 1. Losses over the steps of training: L1 of each run, and what both players of adversarial training pay.",
    "panels": "Figure 2. Grey, each network, and the truth, for pictures spread evenly over the set.",
    "colours": "Figure 3. How often each a*, b* is true and is predicted; below, the same along a* and along b* alone.",
    "validation": "Figure 4. Validation after each epoch of training.",
    "best": "Figure 5. The pictures with the lowest mean Delta E, by {ranked_by}, the network with the lowest of all.",
    "worst": "Figure 6. The pictures with its highest mean Delta E.",
    "hints": "Figure 7. What hints bring: true colours given at random points, the same pictures and points for all.",
}
_STYLE = """
body{font:16px/1.5 system-ui,sans-serif;max-width:84rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.8rem;margin:.5rem 0}
th,td{padding:.2rem .45rem;border-bottom:1px solid #ddd;text-align:left;white-space:nowrap;vertical-align:top}
th{white-space:normal} tr.first td{border-top:2px solid #888} small{color:#555} .wide{overflow-x:auto}
figure{margin:1.5rem 0} figcaption{font-size:.9rem;color:#333} img{max-width:100%}
.facts{font-size:.9rem} .facts th,.facts td{border:0;overflow-wrap:anywhere;white-space:normal}
@page{size:A4 landscape;margin:1cm}
@media print{body{max-width:none;margin:0;font-size:9pt} table{font-size:6pt} th,td{padding:.15rem .25rem}
.wide{overflow:visible} tr,figure{break-inside:avoid} figure img{max-height:16cm}}
"""


def _page(
    comparison: Comparison, facts: dict[str, str], result: dict, sheets: dict[str, Image.Image], plots: dict[str, Path]
) -> str:
    names = [name for name in comparison.evaluations if name != GREY]
    title = "colorjax: " + (", ".join(names) if len(names) <= 4 else f"{len(names)} networks")
    body = [f"<h1>{html.escape(title)}</h1><table class=facts>"]
    body += [f"<tr><th>{html.escape(key)}<td>{html.escape(value)}" for key, value in facts.items()]
    body.append("</table><p>Means over pictures; in brackets 95 % bootstrap intervals over pictures.</p>")
    body += ["<h2>Metrics</h2>", _table(result["rows"], HEADINGS)]
    baseline = html.escape(comparison.baseline)
    body += [f"<h2>Differences to {baseline}</h2><p>Paired: of the same pictures.</p>"]
    compared = [*(name for name in HEADINGS if name != "warm_target"), "cast_a", "cast_b"]
    body += [_table(result["differences"], {name: _ALL_HEADINGS[name] for name in compared})]
    body += ["<h2>Colourfulness and cast, as the published protocols measure them</h2>"]
    body += [_table(result["rows"], PROTOCOL_HEADINGS), f"<p><small>{html.escape(PROTOCOLS)}</small></p>"]
    for name, caption in _CAPTIONS.items():
        if name in plots or name in sheets:
            source = _svg(plots[name]) if name in plots else _jpeg(sheets[name])
            caption = html.escape(caption.format(ranked_by=comparison.ranked_by))
            body.append(f'<figure><img alt="{caption}" src="{source}"><figcaption>{caption}</figcaption></figure>')
    head = f"<meta charset=utf-8><meta name=viewport content='width=device-width'><title>{html.escape(title)}</title>"
    return f"<!doctype html><html lang=en><head>{head}<style>{_STYLE}</style></head><body>{''.join(body)}</body></html>"


PROTOCOLS = (
    "CF is Hasler and Süsstrunk's colourfulness. Signed: of the opponent channels as published; absolute: of their absolute "
    "values (DDColor, CT2). Delta-CF of the means: |mean CF - mean true CF| (DDColor); mean delta-CF: the mean over pictures "
    "of |CF - true CF|. |bias|: of the mean over all pixels of all pictures; its difference says little where the bias may be "
    "0. Intervals of a group of a few pictures are too narrow."
)


def _table(rows: dict[str, dict[str, dict]], headings: dict[str, tuple[str, int]]) -> str:
    first = next(iter(rows.values()))
    metrics = [name for name in headings if name in first["all"]]
    counted = "pictures" in first["all"]
    lines = ["<div class=wide><table><thead><tr><th>group" + ("<th>pictures" if counted else "") + "<th>"]
    lines += [f"<th>{html.escape(headings[name][0])}" for name in metrics]
    lines.append("</thead>")
    for group in first:
        for number, (name, groups) in enumerate(rows.items()):
            start = "<tr class=first>" if number == 0 else "<tr>"
            count = f"<td>{groups[group]['pictures']}" if counted else ""
            lines.append(f"{start}<td>{html.escape(group)}{count}<td>{html.escape(name)}")
            for metric in metrics:
                mean, _, interval = _cell(groups[group], metric).partition(" ")
                lines.append(f"<td>{mean}<br><small>{interval}</small>")
    return "".join([*lines, "</table></div>"])


def _svg(path: Path) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(path.read_bytes()).decode()


def _jpeg(sheet: Image.Image) -> str:
    """The sheet for the page; the PNG beside it is the exact one."""
    stream = io.BytesIO()
    sheet.save(stream, "JPEG", quality=92, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()
