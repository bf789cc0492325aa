"""The pictures of the README and of the explanation, made from photographs that may be passed on (see sources.py).

    python docs/tools/pictures.py --packages=PACKAGES [--ckpt=pretrained]

It writes docs/pictures/*.jpg. Run it again when the network changes, and look at every picture before you commit it.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import sources
from gallery import DOCS, beside, grey

from colorjax import Colorizer, color
from colorjax.inference.upsampling import Upsampler

OUT, QUALITY = DOCS / "pictures", 80
PAPER, INK = "white", (40, 40, 40)
README = (("mountains", "Scenery"), ("cat", "Animals"), ("pagoda", "Buildings"), ("astronaut", "Where it goes wrong"))
_LINES, _SIZE = 30, 18  # pixels of a line of words, and of its letters


def save(picture: Image.Image, name: str) -> None:
    """As docs/pictures/NAME.jpg."""
    picture.save(OUT / f"{name}.jpg", quality=QUALITY, optimize=True)
    print(f"docs/pictures/{name}.jpg: {picture.width} x {picture.height}, {(OUT / f'{name}.jpg').stat().st_size / 1e3:.0f} kB")


def said(words: list[str], width: int, gap: int = 6) -> Image.Image:
    """A line of words, each above a column so wide."""
    line = Image.new("RGB", (len(words) * (width + gap) - gap, _LINES), PAPER)
    font = ImageFont.load_default(_SIZE)
    for number, word in enumerate(words):
        ImageDraw.Draw(line).text((number * (width + gap) + 2, 4), word, fill=INK, font=font)
    return line


def below(pictures: list[Image.Image], gap: int = 6) -> Image.Image:
    """Pictures of one width below each other."""
    page = Image.new("RGB", (pictures[0].width, sum(p.height + gap for p in pictures) - gap), PAPER)
    top = 0
    for picture in pictures:
        page.paste(picture, (0, top))
        top += picture.height + gap
    return page


def square(rgb: np.ndarray) -> np.ndarray:
    """The middle, four by three."""
    height, width = rgb.shape[:2]
    wide, high = min(width, height * 4 // 3), min(height, width * 3 // 4)
    top, left = (height - high) // 3, (width - wide) // 2
    return rgb[top : top + high, left : left + wide]


def before_and_after(colorizer: Colorizer, packages: Path) -> None:
    """Four photographs of different kinds: grey, coloured, as they were."""
    width, cells = 300, []
    for key, _ in README:
        rgb = square(sources.read(sources.BY_KEY[key], packages, 900))
        cells.append((grey(rgb), colorizer(grey(rgb)), rgb))
    rows = [beside([cell[row] for cell in cells], width) for row in range(3)]
    save(below([said([words for _, words in README], width), *rows]), "before-after")


def lab(packages: Path) -> None:
    """A photograph, its L*, and its a* and b* at one lightness."""
    rgb = sources.read(sources.BY_KEY["pagoda"], packages, 800)
    values = color.rgb_to_lab(rgb.astype(np.float32) / 255)
    planes = [rgb, grey(rgb)]
    for kept in (1, 2):
        plane = np.zeros_like(values)
        plane[..., 0], plane[..., kept] = 65, 1.5 * values[..., kept]
        planes.append(np.round(color.lab_to_rgb(color.fit_to_gamut(plane)) * 255).astype(np.uint8))
    words = ["the photograph", "L*: how light", "a*: green to red", "b*: blue to yellow"]
    save(below([said(words, 300), beside(planes, 300)]), "lab")


def upsampling(packages: Path) -> None:
    """True chroma, 48 pixels wide, brought to full size in three ways; a part of the picture."""
    rgb = sources.read(sources.BY_KEY["pagoda"], packages, 640)
    values = color.rgb_to_lab(rgb.astype(np.float32) / 255)
    height, width = values.shape[:2]
    small = (48, round(48 * height / width))

    def resized(array: np.ndarray, size: tuple[int, int], how: Image.Resampling) -> np.ndarray:
        planes = np.moveaxis(np.atleast_3d(array), -1, 0)
        return np.stack([np.asarray(Image.fromarray(np.ascontiguousarray(p)).resize(size, how)) for p in planes], -1)

    coarse = resized(values, small, Image.Resampling.BOX)
    ab, lightness = coarse[..., 1:], values[..., 0]
    ways = {
        "chroma as it is, 48 pixels wide": resized(ab, (width, height), Image.Resampling.NEAREST),
        "bilinear": resized(ab, (width, height), Image.Resampling.BILINEAR),
        "along the edges of L*": Upsampler(coarse[..., 0], ab, (height, width)).rows(slice(0, height), lightness),
        "the truth": values[..., 1:],
    }
    part = (slice(100, 190), slice(170, 290))
    shown = []
    for plane in ways.values():
        joined = color.lab_to_rgb(color.fit_to_gamut(np.concatenate([lightness[..., None], plane], -1).astype(np.float32)))
        shown.append(np.round(joined[part] * 255).astype(np.uint8))
    save(below([said(list(ways), 320), beside(shown, 320)]), "upsampling")


def gamut() -> None:
    """The colours that sRGB can show, in planes of one lightness."""
    axis = np.linspace(-110, 110, 300, dtype=np.float32)
    planes = []
    for lightness in (25, 50, 75, 95):
        a, b = np.meshgrid(axis, axis[::-1])
        plane = np.stack([np.full_like(a, lightness), a, b], -1)
        shown = np.round(np.clip(color.lab_to_rgb(plane), 0, 1) * 255).astype(np.uint8)
        shown[~np.asarray(color.in_gamut(plane))] = 235
        planes.append(shown)
    save(below([said([f"L* = {lightness}" for lightness in (25, 50, 75, 95)], 300), beside(planes, 300)]), "gamut")


def steps(colorizer: Colorizer, packages: Path) -> None:
    """What the network sees, look by look, what it answers, the copy, and where it is a guess."""
    rgb = sources.read(sources.BY_KEY["mountains"], packages, 800)
    height, width = rgb.shape[:2]
    looks = [round(scale * colorizer.size) for scale in colorizer.network.config.looks]
    seen = [
        np.asarray(Image.fromarray(grey(rgb)).resize((side * width // height, side), Image.Resampling.BOX)) for side in looks
    ]
    seen[1::2] = [picture[:, ::-1] for picture in seen[1::2]]
    prediction = colorizer.predict(grey(rgb))
    flat = np.concatenate([np.full((*prediction.ab.shape[:2], 1), 65, np.float32), prediction.ab], -1)
    chroma = np.round(color.lab_to_rgb(color.fit_to_gamut(flat)) * 255).astype(np.uint8)
    spread = np.clip(colorizer.uncertainty(grey(rgb)) / 25, 0, 1)
    guess = np.repeat(np.round(spread * 255).astype(np.uint8)[..., None], 3, axis=-1)
    *seen, chroma, guess = [
        np.asarray(Image.fromarray(p).resize((width, height), Image.Resampling.NEAREST)) for p in (*seen, chroma, guess)
    ]
    words = [f"seen: {side} pixels high{', mirrored' if index % 2 else ''}" for index, side in enumerate(looks)]
    words += ["answered: a* and b*", "the copy, full size", "white: a guess"]
    save(below([said(words, 290), beside([*seen, chroma, colorizer(grey(rgb)), guess], 290)]), "steps")


def hints(colorizer: Colorizer) -> None:
    """The photograph that the package brings: without hints, with one, and with two; those of the first tutorial."""
    with Image.open(DOCS.parent / "colorjax" / "archive" / "example" / "example.jpg") as picture:
        photograph = np.asarray(picture)
    left, right = (152, 115, "#7f8455"), (330, 137, "#7f8455")
    cells = [colorizer(photograph, given) for given in ((), (left,), (left, right))]
    save(below([said(["no hint", "one: an eye", "two: both eyes"], 400), beside(cells, 400)]), "hints")


def main() -> None:
    """Write them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, default=Path("/usr/share"), help="where the packages were unpacked")
    parser.add_argument("--ckpt", default="pretrained", help="the network (default: pretrained)")
    args = parser.parse_args()
    OUT.mkdir(exist_ok=True)
    colorizer = Colorizer.from_checkpoint(args.ckpt)
    before_and_after(colorizer, args.packages)
    steps(colorizer, args.packages)
    lab(args.packages)
    upsampling(args.packages)
    gamut()
    hints(colorizer)


if __name__ == "__main__":
    main()
