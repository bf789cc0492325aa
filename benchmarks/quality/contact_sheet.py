"""Old photographs, each above its colouring, in a grid of pictures to look through.

    python benchmarks/quality/contact_sheet.py --ckpt=DIR --photos=DIR --out=sheet.jpg [--columns=6] [--rows=4] [--width=200]

Nothing is measured: somebody looks at all of them. `--ckpt` more than once puts the colourings of several networks below each
other, in that order. A sheet has at most `--columns` times `--rows` photographs, in the order of their names. Several sheets
are called sheet-1.jpg, sheet-2.jpg and so on. Below each photograph are the first and the last letters of its file's name.
(`colorjax sheet` makes a page in HTML of copies that `colorjax colorize` wrote.)
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import common
from colorjax import Colorizer, checkpoint, photos
from colorjax.inference.colorizer import NoColorError

GAP, LINE, LETTERS = 8, 18, 12  # pixels
TALLEST = 1.4  # of a cell, in widths
ENOUGH = 1024  # pixels of the short side: a larger JPEG is decoded smaller
PAPER, INK = (250, 250, 250), (30, 30, 30)


def fitted(pixels: np.ndarray, width: int) -> Image.Image:
    picture = Image.fromarray(pixels)
    scale = min(width / picture.width, TALLEST * width / picture.height)
    size = tuple(max(1, round(side * scale)) for side in picture.size)
    return picture.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def caption(name: str, width: int, font) -> str:
    """The name, with its middle left out where it is too long."""
    kept = len(name)
    text = name
    while font.getlength(text) > width and kept > 2:
        kept -= 1
        text = f"{name[: (kept + 1) // 2]}...{name[len(name) - kept // 2 :]}"
    return text


def column(path: Path, networks: list[Colorizer], width: int) -> list[Image.Image]:
    """The photograph and its colourings; nothing more where there is no colour for it. Raises photos.PhotoError."""
    photograph = photos.read_reduced(path, ENOUGH)[0]
    pictures = [fitted(photograph, width)]
    for network in networks:
        try:
            pictures.append(fitted(network(photograph), width))
        except NoColorError as error:
            print(f"{photos.legible(path.name)}: {error}", file=sys.stderr)
    return pictures


def sheet(cells: list[tuple[str, list[Image.Image]]], columns: int, width: int) -> Image.Image:
    """RGB."""
    font = ImageFont.load_default(LETTERS)
    lines = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    heights = [max(sum(picture.height + 2 for picture in pictures) for _, pictures in line) + LINE for line in lines]
    across = min(columns, len(cells))
    page = Image.new("RGB", (GAP + across * (width + GAP), GAP + sum(height + GAP for height in heights)), PAPER)
    draw, top = ImageDraw.Draw(page), GAP
    for line, height in zip(lines, heights, strict=True):
        for number, (name, pictures) in enumerate(line):
            left, y = GAP + number * (width + GAP), top
            for picture in pictures:
                page.paste(picture, (left + (width - picture.width) // 2, y))
                y += picture.height + 2
            draw.text((left, y), caption(name, width, font), fill=INK, font=font)
        top += height + GAP
    return page


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument(
        "--ckpt", action="append", required=True, help="a workdir, checkpoints/STEP, an exported folder, or pretrained"
    )
    parser.add_argument("--photos", type=Path, required=True, help="a folder, or one photograph")
    parser.add_argument("--out", type=Path, default=Path("sheet.jpg"))
    parser.add_argument("--columns", type=common.positive, default=6)
    parser.add_argument("--rows", type=common.positive, default=4, help="of photographs, on a sheet")
    parser.add_argument("--width", type=common.positive, default=200, help="of a picture, in pixels")
    parser.add_argument("--size", type=int, help="the working size (default: that of the training)")
    parser.add_argument("--flip", action="store_true", help="average with the answer for the mirrored photograph")
    args = parser.parse_args()
    try:
        networks = [Colorizer.from_checkpoint(path, args.size, flip=args.flip) for path in args.ckpt]
        paths = [path for _, path in photos.find([args.photos])]
    except (checkpoint.CheckpointError, ValueError, OSError) as error:
        sys.exit(f"contact_sheet.py: {error}")
    cells, failed = [], 0
    for path in tqdm(paths, unit="photograph", disable=None):
        try:
            cells.append((photos.legible(path.name), column(path, networks, args.width)))
        except photos.PhotoError as error:
            failed += 1
            print(f"{photos.legible(path.name)}: {error}", file=sys.stderr)
    if not cells:
        sys.exit(f"contact_sheet.py: no photograph could be read in {args.photos}")
    each = args.columns * args.rows
    starts = range(0, len(cells), each)
    for number, start in enumerate(starts, 1):
        out = args.out if len(starts) == 1 else args.out.with_stem(f"{args.out.stem}-{number}")
        out.parent.mkdir(parents=True, exist_ok=True)
        sheet(cells[start : start + each], args.columns, args.width).save(out, quality=88)
        print(f"written: {out}")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
