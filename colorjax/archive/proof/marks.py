"""What is drawn: the map of where a colour is a guess, and a mark burnt into a copy for those who ask for one."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from colorjax import photos

WHITE_AT = 25.0  # of an uncertainty map: this many Lab units, and more, are white
_SAYS = "colorjax: uncertainty of the predicted colour"
_SAID = "colorjax: standard deviation of the predicted colour"  # by the versions that measured that
_TEXT_SHARE = 0.03  # height of a mark as a share of the picture's short side


def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which has the letters of most alphabets and lies beside this file: it looks the same everywhere."""
    return ImageFont.truetype(Path(__file__).with_name("fonts") / "DejaVuSans.ttf", size)


def write_uncertainty(path: Path, spread: np.ndarray, shape: tuple[int, int]) -> None:
    """Write `uncertainty_map` as a grey PNG, which also says in words what it shows."""
    info = PngImagePlugin.PngInfo()
    info.add_text("Description", f"{_SAYS}; white is {WHITE_AT:g} Lab units")
    with photos.atomic(path) as stream:
        Image.fromarray(uncertainty_map(spread, shape)).save(stream, "PNG", pnginfo=info)


def is_map(path: Path) -> bool:
    """Whether a file is what `write_uncertainty` wrote."""
    if photos.kind(path) != "PNG":  # opening a pipe might wait for ever
        return False
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            return picture.info.get("Description", "").startswith((_SAYS, _SAID))
    except Exception:  # there is no file, or another
        return False


def uncertainty_map(spread: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """A grey picture, (H + legend, W) uint8: `shape` (H, W) of the photograph, black where the colour is sure, and a legend.

    spread: (h, w), Lab units, as `Colorizer.uncertainty` returns it. The first H rows lie on the photograph pixel by pixel.
    """
    height, width = shape
    grey = Image.fromarray(np.clip(spread * (255 / WHITE_AT), 0, 255).astype(np.uint8))
    whole = np.asarray(grey.resize((width, height), Image.Resampling.BILINEAR))
    return np.concatenate([whole, _legend(width, min(height, width))])


def _legend(width: int, side: int) -> np.ndarray:
    """A ramp from 0 to WHITE_AT with its numbers, (n, width) uint8."""
    size = max(10, round(_TEXT_SHARE * side))
    font, bar = _font(size), size
    legend = Image.new("L", (width, bar + 2 * size), 0)
    draw = ImageDraw.Draw(legend)
    ramp = np.broadcast_to(np.linspace(0, 255, width).astype(np.uint8), (bar, width))
    legend.paste(Image.fromarray(np.ascontiguousarray(ramp)), (0, size // 4))
    words = ["0", "uncertainty of colour, Lab units", f"{WHITE_AT:.0f} and more"]
    for word, at, anchor in zip(words, (2, width // 2, width - 3), ("lt", "mt", "rt"), strict=True):
        if word != words[1] or draw.textlength("  ".join(words), font) < width:
            draw.text((at, bar + size // 2), word, 255, font, anchor)
    return np.asarray(legend)


def strip(shape: tuple[int, int]) -> int:
    """Height in pixels of the words that `burn_in` puts into a picture of this shape (H, W)."""
    return 2 * max(8, round(_TEXT_SHARE * min(shape)))


def not_drawn(text: str) -> str:
    """The characters that the font of `burn_in` does not have."""
    font = _font(32)
    none = bytes(font.getmask("\uffff"))
    return "".join(c for c in dict.fromkeys(text) if not c.isspace() and bytes(font.getmask(c)) == none)


def burn_in(image: np.ndarray, text: str) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """(H, W, 3) uint8 or uint16 -> a copy with `text` in its lower left corner, and the box (left, top, right, bottom)."""
    height, width = image.shape[:2]
    text = " ".join(text.split())
    size = strip((height, width)) // 2
    font = _font(size)
    label = Image.new("L", (round(font.getlength(text)) + size, 2 * size), 0)
    ImageDraw.Draw(label).text((size // 2, size), text, 255, font, "lm")
    h, w = min(height, label.height), min(width, label.width)
    ink = np.asarray(label)[:h, :w, None].astype(np.float32) / 255
    top = np.iinfo(image.dtype).max
    marked = image.copy()
    corner = marked[height - h :, :w]
    corner[...] = np.round(corner * 0.35 * (1 - ink) + top * ink).astype(image.dtype)
    return marked, (0, height - h, w, height)
