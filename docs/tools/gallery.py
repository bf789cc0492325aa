"""Photographs turned grey, coloured, and beside the truth: a page to look through.

    python docs/tools/gallery.py --packages=PACKAGES
    python docs/tools/gallery.py --photos=FOLDER --out=gallery [--ckpt=runs/mine]

The first makes the gallery of the documentation, of photographs that may be passed on (see sources.py): docs/gallery.md, and
its pictures below docs/pictures/gallery. The second makes one of a folder of your own photographs, which are in colour:
gallery/gallery.md. A photograph that cannot be read or coloured is named and left out.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import sources

from colorjax import Colorizer, photos
from colorjax.inference.colorizer import NoColorError

DOCS = Path(__file__).resolve().parents[1]
LONG_SIDE, WIDTH, GAP, QUALITY = 900, 300, 6, 80
_INTRO = """# Gallery

Every photograph here was taken in colour. A script turned it grey, and the network coloured it again.
From left to right: grey, coloured by colorjax, as it was.
The truth is on the right, so that you can judge for yourself.
"""
_LAST = """
## Make it again

The script fetches nothing. `PACKAGES` is the folder into which you unpacked the two packages.
The first lines of `docs/tools/sources.py` say how.

```sh
python docs/tools/gallery.py --packages=PACKAGES
```

The same script makes a gallery from a folder of your own photographs in colour.

```sh
python docs/tools/gallery.py --photos=FOLDER --out=gallery --ckpt=pretrained
```
"""


def grey(rgb: np.ndarray) -> np.ndarray:
    """(H, W, 3): the photograph's lightness as a grey picture."""
    return np.repeat(np.asarray(Image.fromarray(rgb).convert("L"))[..., None], 3, axis=-1)


def beside(pictures: list[np.ndarray], width: int, gap: int = GAP) -> Image.Image:
    """Pictures of one shape beside each other, each so wide."""
    height = round(width * pictures[0].shape[0] / pictures[0].shape[1])
    row = Image.new("RGB", (len(pictures) * (width + gap) - gap, height), "white")
    for number, picture in enumerate(pictures):
        fitted = Image.fromarray(picture).resize((width, height), Image.Resampling.LANCZOS)
        row.paste(fitted, (number * (width + gap), 0))
    return row


def ours(packages: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    """(name, words, pixels) of the photographs that may be passed on."""
    for shown in sources.GALLERY:
        words = f"**{shown.title}.** {shown.remark}\n\nPhotograph: {shown.author}, {shown.licence}, from {shown.package}.\n"
        yield shown.key, words, sources.read(shown, packages, LONG_SIDE)


def own(folder: Path) -> Iterator[tuple[str, str, np.ndarray]]:
    """The same of a folder."""
    for _, path in photos.find([folder], photos.PassedOver()):
        try:
            yield path.stem, f"**{path.name}**\n", photos.read_reduced(path, LONG_SIDE)[0]
        except photos.PhotoError as error:
            print(photos.legible(f"{path}: {error}"), file=sys.stderr)


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packages", type=Path, default=Path("/usr/share"), help="where the packages were unpacked")
    parser.add_argument("--photos", type=Path, help="a folder of your own photographs, in colour")
    parser.add_argument("--out", type=Path, help="folder for the page and its pictures (default: docs)")
    parser.add_argument("--ckpt", default="pretrained", help="the network (default: pretrained)")
    args = parser.parse_args()
    if args.photos and not args.out:
        parser.error("--photos needs --out, a folder for the page")
    out = args.out or DOCS
    pictures = out / "pictures" / "gallery"
    pictures.mkdir(parents=True, exist_ok=True)
    colorizer = Colorizer.from_checkpoint(args.ckpt)
    page = [_INTRO]
    for name, words, rgb in own(args.photos) if args.photos else ours(args.packages):
        try:
            coloured = colorizer(grey(rgb))
        except NoColorError as error:
            print(photos.legible(f"{name}: {error}"), file=sys.stderr)
            continue
        beside([grey(rgb), coloured, rgb], WIDTH).save(pictures / f"{name}.jpg", quality=QUALITY, optimize=True)
        page.append(f"![{name}: grey, coloured, as it was](pictures/gallery/{name}.jpg)\n\n{words}")
    page.append(_LAST.lstrip() if not args.photos else "")
    (out / "gallery.md").write_text("\n".join(page).rstrip() + "\n", encoding="utf-8")
    print(f"{len(page) - 2} photographs in {out / 'gallery.md'}")


if __name__ == "__main__":
    main()
