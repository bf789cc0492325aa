"""The pictures of a run and of a comparison: panels, losses, curves over epochs, histograms of colour.

Readable without colour: lines differ in dash and marker too, and the colours are those of Okabe and Ito (2008).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from colorjax import photos
from colorjax.evaluation.evaluators import HEADINGS
from colorjax.science import color

_GAP, _HEADING, _LEAST_WIDTH = 6, 22, 128
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F7F7F")
_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (8, 2)), (0, (2, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
# Losses and shares of both players, as in the rows of an adversarial training: (title, {column: (label, style)}).
_PLAYERS = (
    ("losses of the players", {"adversarial": ("network", 0), "discriminator_loss": ("discriminator", 1)}),
    ("discriminator: patches called rightly", {"accuracy_true": ("true", 0), "accuracy_predicted": ("predicted", 1)}),
    ("gradient norms", {"grad_norm": ("network", 0), "discriminator_grad_norm": ("discriminator", 1)}),
)
_CURVES = ("l1", "ssim_ab", "delta_e", "colourfulness_ratio", "bias_b")
HISTOGRAM_STEP = 5.0  # Lab units a bin in `colour_histograms`

History = dict[str, list[dict[str, Any]]]


def to_image_u8(luma: np.ndarray, chroma: np.ndarray) -> np.ndarray:
    """Network units (..., H, W, 1) and (..., H, W, 2) -> sRGB uint8 (..., H, W, 3); chroma yields to the gamut."""
    lab = np.concatenate([luma * 50 + 50, chroma * 110], axis=-1).astype(np.float32)
    return np.round(color.lab_to_rgb(color.fit_to_gamut(lab)) * 255).astype(np.uint8)


def panels(luma: np.ndarray, columns: dict[str, np.ndarray], captions: Iterable[str] | None = None) -> Image.Image:
    """One row a picture: grey | a column for each heading of `columns`.

    luma: (k, H, W, 1); columns: heading -> chroma (k, H, W, 2). captions: one line under each picture's row. Pictures under
    128 pixels are shown larger, pixel by pixel.
    """
    columns = {"grey": np.zeros((*luma.shape[:-1], 2), np.float32)} | columns
    lines = list(captions) if captions is not None else []
    scale = -(-_LEAST_WIDTH // luma.shape[2])
    count, height, width = len(luma), *(scale * side for side in luma.shape[1:3])
    row = height + _GAP + (_HEADING if lines else 0)
    sheet = Image.new("RGB", (len(columns) * (width + _GAP) - _GAP, count * row - _GAP + _HEADING), "white")
    draw = ImageDraw.Draw(sheet)
    font = _font()
    for x, (heading, chroma) in enumerate(columns.items()):
        left = x * (width + _GAP)
        draw.text((left, 3), _shortened(heading, width, font), fill="black", font=font)
        for y, image in enumerate(to_image_u8(luma, chroma)):
            picture = Image.fromarray(image).resize((width, height), Image.Resampling.NEAREST)
            sheet.paste(picture, (left, _HEADING + y * row))
    for y, line in enumerate(lines):
        draw.text((0, _HEADING + y * row + height + 2), _shortened(line, sheet.width, font), fill="black", font=font)
    return sheet


def _font() -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib: Pillow's own font has few letters."""
    import matplotlib

    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", 13)


def _shortened(text: str, width: int, font: ImageFont.FreeTypeFont) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "\u2026") > width:
        text = text[:-1]
    return text + "\u2026"


def save_png(image: Image.Image, path: Path) -> None:
    """Write a PNG, whole or not at all."""
    with photos.atomic(path) as stream:
        image.save(stream, "PNG")


def save(figure: Any, path: Path) -> None:
    """Write a matplotlib figure as PNG or SVG, by the suffix of `path`; equal figures give equal files."""
    import matplotlib

    kind = path.suffix[1:]
    with photos.atomic(path) as stream, matplotlib.rc_context({"svg.hashsalt": "colorjax"}):
        figure.savefig(stream, format=kind, metadata={"Date": None} if kind == "svg" else None)


def _axes(rows: int, columns: int, width: float = 7.0, height: float = 3.2) -> tuple[Any, list[Any]]:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height * rows), dpi=120, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel().tolist()
    for one in axes:
        one.spines[["top", "right"]].set_visible(False)
        one.grid(alpha=0.25, lw=0.5)
    return figure, axes


def _style(number: int) -> dict[str, Any]:
    """Of line `number` of a figure; no two of the first 49 are alike."""
    dash = (number + number // len(_COLOURS)) % len(_DASHES)
    return {"color": _COLOURS[number % len(_COLOURS)], "ls": _DASHES[dash], "lw": 1.3}


def _label(name: str) -> str:
    """A name as matplotlib shows it: not as mathematics, and not left out of the legend for its first letter."""
    name = name.replace("$", r"\$")
    return f" {name}" if name.startswith("_") else name


def _points(rows: list[dict], kind: str, name: str, x: str = "step") -> tuple[list, list]:
    chosen = [(row[x], row[name]) for row in rows if row["kind"] == kind and name in row]
    return [p[0] for p in chosen], [p[1] for p in chosen]


def losses(rows: list[dict]) -> Any:
    """Of one run, from the rows of metrics.jsonl: training and validation L1 over steps; both players' where there are two."""
    parts = _PLAYERS if any("adversarial" in row for row in rows) else ()
    figure, axes = _axes(1 + len(parts), 1, height=2.6 if parts else 4)
    for number, kind in enumerate(("train", "validation")):
        steps, values = _points(rows, kind, "l1")
        axes[0].plot(steps, values, label=kind, marker="o" if number else None, ms=4, **_style(number))
    axes[0].set(xlabel="step", ylabel="L1 (ab/128)")
    for one, (title, columns) in zip(axes[1:], parts, strict=True):
        for name, (label, style) in columns.items():
            one.plot(*_points(rows, "train", name), label=label, **_style(style))
        one.set(xlabel="step", ylabel=title)
        one.set_yscale("log" if "norm" in title else "linear")
        if "rightly" in title:
            one.axhline(0.5, color="#888", lw=0.7)
            one.set_ylim(0, 1)
    for one in axes:
        one.legend(frameon=False)
    return figure


def all_losses(histories: History) -> Any:
    """Figure 1: what each run minimises over its steps, and both players of each that has two."""
    two = {name: rows for name, rows in histories.items() if any("adversarial" in row for row in rows)}
    figure, axes = _axes(1 + bool(two), 1, width=9)
    for number, (name, rows) in enumerate(histories.items()):
        axes[0].plot(*_points(rows, "train", "l1"), label=_label(name), **_style(number))
    axes[0].set(xlabel="step", ylabel="training L1 (ab/128)")
    for name, rows in two.items():
        number = list(histories).index(name)
        marks = {"marker": _MARKERS[number % len(_MARKERS)], "ms": 4, "markevery": 0.1}
        for column, label, dash in (("adversarial", "network", "-"), ("discriminator_loss", "discriminator", "--")):
            axes[1].plot(
                *_points(rows, "train", column), label=_label(f"{name}: {label}"), **_style(number) | marks | {"ls": dash}
            )
    if two:
        axes[1].set(xlabel="step", ylabel="losses of the players")
    for one in axes:
        one.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def validation_curves(histories: History) -> Any:
    """Validation metrics over epochs, a line for each run."""
    figure, axes = _axes(3, 2, width=9, height=2.4)
    for one, name in zip(axes, _CURVES, strict=False):
        for number, (run, rows) in enumerate(histories.items()):
            marker = _MARKERS[number % len(_MARKERS)]
            one.plot(*_points(rows, "validation", name, "epoch"), label=_label(run), marker=marker, ms=4, **_style(number))
        one.set(xlabel="epoch", ylabel=HEADINGS[name][0])
        one.xaxis.get_major_locator().set_params(integer=True)
    axes[-1].axis("off")
    axes[-1].legend(*axes[0].get_legend_handles_labels(), loc="center", frameon=False)
    return figure


def hint_curves(curves: dict[str, list[dict]]) -> Any:
    """What hints bring: each metric over the number of hints, with its 95 % interval; a line for each network."""
    shown = ("psnr", "delta_e", "colourfulness_ratio")
    figure, axes = _axes(1, len(shown), width=11)
    for one, metric in zip(axes, shown, strict=True):
        for number, (name, rows) in enumerate(curves.items()):
            counts = [row["hints"] for row in rows]
            mean, low, high = ([row[metric][end] for row in rows] for end in ("mean", "low", "high"))
            one.fill_between(counts, low, high, color=_style(number)["color"], alpha=0.15, lw=0)
            one.plot(counts, mean, marker="o", ms=4, label=_label(name), **_style(number))
        one.set_xscale("symlog", linthresh=1)
        one.set_xticks(counts, [str(count) for count in counts])
        one.minorticks_off()
        one.set(xlabel="hints", ylabel=HEADINGS[metric][0])
    axes[0].legend(frameon=False)
    return figure


def colour_histograms(counts: dict[str, np.ndarray]) -> Any:
    """How often each a*, b* is predicted, and is true: a map for each name, and below all of them along a* and along b*.

    counts: name -> pixels by bin of HISTOGRAM_STEP, (side^2,) as of `bins.histogram`; the truth first, drawn thick.
    """
    side = round(next(iter(counts.values())).size ** 0.5)
    centres = (np.arange(side) - side // 2) * HISTOGRAM_STEP
    columns = min(4, max(2, len(counts)))
    rows = -(-len(counts) // columns)
    figure, axes = _axes(rows + 2, columns, width=2.6 * columns, height=2.5)
    shares = {name: (c / max(c.sum(), 1)).reshape(side, side) for name, c in counts.items()}
    image = None
    for one, (name, share) in zip(axes, shares.items(), strict=False):
        with np.errstate(divide="ignore"):
            image = one.pcolormesh(centres, centres, np.log10(share).T, cmap="cividis", vmin=-6, vmax=-1, rasterized=True)
        one.set(title=_label(name), xlabel="a*", ylabel="b*", aspect="equal")
        one.axhline(0, color="#888", lw=0.5)
        one.axvline(0, color="#888", lw=0.5)
    figure.colorbar(image, ax=axes[: rows * columns], label="log10 of the share of pixels", shrink=0.8)
    for one in axes[len(shares) :]:
        one.remove()
    grid = axes[0].get_gridspec()
    for row, (axis, label) in enumerate(((1, "a*"), (0, "b*"))):
        one = figure.add_subplot(grid[rows + row, :])
        for number, (name, share) in enumerate(shares.items()):
            along = share.sum(axis)
            style = _style(number - 1) if number else {"color": "black", "lw": 2.2}
            one.plot(centres, np.where(along > 0, along, np.nan), label=_label(name), **style)
        one.set(xlabel=label, ylabel="share of pixels", yscale="log", ylim=(1e-6, 1))
        one.spines[["top", "right"]].set_visible(False)
        one.legend(frameon=False, fontsize=7, ncols=2)
    return figure
