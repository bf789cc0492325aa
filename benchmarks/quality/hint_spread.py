"""Where one hint's colour goes: over its object, and not across strong edges.

    python benchmarks/quality/hint_spread.py --ckpt=runs/guided --photos=DIR [--pictures=200] [--show=6] [--out=hint_spread.png]

`--pictures` photographs are taken from below DIR, evenly over the sorted names. Each gets one hint at a random point. The hint
asks for another hue than the network paints there: turned by a quarter, half or three quarters of the circle, with a chroma of
at least 25, as far as sRGB has it at that lightness.

Measured are the Delta E between hint and answer at its point, and how much ab changes around it, by distance. A path from the
point costs the L* that it climbs and falls. At each distance the table has two means: of the quarter of the pixels with the
cheapest path, and of the quarter with the dearest. A good network changes the first and leaves the second.

`--out` shows the first `--show`: the photograph without colour, as the network paints it, with the hint, and the change.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from skimage.graph import MCP_Geometric

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benchmarks import common
from colorjax import Colorizer, photos
from colorjax.science import color

BANDS = ((0.03, 0.1), (0.1, 0.2), (0.2, 0.35), (0.35, 0.6))  # of distance, in short sides of the photograph
SIDE = 256  # of what is shown


def pictures(folder: Path, count: int) -> list[np.ndarray]:
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
    chosen = [paths[i] for i in np.unique(np.linspace(0, len(paths) - 1, count).astype(int))]
    return [np.asarray(Image.open(path).convert("RGB")) for path in chosen]


def asked(lightness: float, ab: np.ndarray, turn: float) -> tuple[int, int, int]:
    """A colour of another hue at this lightness."""
    hue = np.arctan2(ab[1], ab[0]) + turn
    lab = np.float32([lightness, *(max(25.0, np.hypot(*ab)) * np.array([np.cos(hue), np.sin(hue)]))])
    return tuple(int(level) for level in np.round(color.lab_to_rgb(color.fit_to_gamut(lab)) * 255))


def cost(lightness: np.ndarray, point: tuple[int, int]) -> np.ndarray:
    """L* that the cheapest path from the point climbs and falls; a little for every step, so that paths stay short."""
    steps = sum(np.abs(step) for step in np.gradient(lightness))
    return MCP_Geometric(steps + 0.05).find_costs([point])[0]


def measure(paint: Colorizer, image: np.ndarray, rng: np.random.Generator) -> tuple:
    """-> ((x, y, rgb), without, with the hint, Delta E at it, change by band for the least and the most crossed quarter)."""
    height, width = image.shape[:2]
    x, y = int(rng.uniform(0.1, 0.9) * width), int(rng.uniform(0.1, 0.9) * height)
    plain = paint.predict(image)
    h, w = plain.lightness.shape
    at = y * h // height, x * w // width
    lightness = plain.lightness[at]
    rgb = asked(lightness, plain.ab[at], rng.choice([0.5, 1.0, 1.5]) * np.pi)
    hinted = paint.predict(image, [(x, y, rgb)])
    wanted = color.rgb_to_lab(np.float32(rgb) / 255)[1:]
    met = color.delta_e_2000(np.float32([lightness, *hinted.ab[at]]), np.float32([lightness, *wanted]))
    change = np.linalg.norm(hinted.ab - plain.ab, axis=-1)
    rows, columns = np.mgrid[:h, :w]
    distance, crossed = np.hypot(rows - at[0], columns - at[1]) / min(h, w), cost(plain.lightness, at)
    bands = []
    for low, high in BANDS:
        inside = (distance >= low) & (distance < high)
        least, most = np.quantile(crossed[inside], [0.25, 0.75]) if inside.any() else (np.nan, np.nan)
        ends = (inside & (crossed <= least), inside & (crossed >= most))
        bands.append([change[end].mean() if end.any() else np.nan for end in ends])
    return (x, y, rgb), plain, hinted, float(met), bands


def shown(paint: Colorizer, image: np.ndarray, hint: tuple, plain, hinted) -> np.ndarray:
    """A row of the figure, (SIDE, ., 3) uint8."""
    grey = np.round(color.lightness_to_grey(color.rgb_to_lab(image / np.float32(255))[..., 0]) * 255).astype(np.uint8)
    change = np.clip(np.linalg.norm(hinted.ab - plain.ab, axis=-1) / 40, 0, 1)
    cells = [np.repeat(grey[..., None], 3, -1), paint.paint(image, plain), paint.paint(image, hinted)]
    cells.append(np.repeat(np.round(change * 255).astype(np.uint8)[..., None], 3, -1))
    row = [Image.fromarray(cell).resize((SIDE, SIDE), Image.Resampling.BICUBIC) for cell in cells]
    x, y = (round(part * SIDE / side) for part, side in zip(hint[:2], image.shape[1::-1], strict=True))
    for cell in (row[0], row[2], row[3]):
        ImageDraw.Draw(cell).ellipse((x - 6, y - 6, x + 6, y + 6), fill=hint[2], outline="white", width=2)
    return np.concatenate([np.asarray(cell) for cell in row], axis=1)


def main() -> None:
    parser = common.parser(__doc__)
    parser.add_argument("--ckpt", required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--pictures", type=common.positive, default=200)
    parser.add_argument("--show", type=int, default=6)
    parser.add_argument("--out", type=Path, default=Path("hint_spread.png"))
    args = parser.parse_args()
    paint, rng = Colorizer.from_checkpoint(args.ckpt), np.random.default_rng(0)
    rows, met, bands = [], [], []
    for image in pictures(args.photos, args.pictures):
        hint, plain, hinted, far, by_band = measure(paint, image, rng)
        met.append(far)
        bands.append(by_band)
        if len(rows) < args.show:
            rows.append(shown(paint, image, hint, plain, hinted))
    print(f"{len(met)} photographs, one hint of another hue each")
    print(f"Delta E at the hint: median {np.median(met):.2f}, three quarters below {np.quantile(met, 0.75):.2f}")
    print("distance (short sides)   mean change of ab: least crossed   most crossed   least / most")
    for (low, high), (least, most) in zip(BANDS, np.nanmean(bands, axis=0), strict=True):
        print(f"{low:.2f} to {high:.2f}             {least:21.2f}  {most:20.2f}  {least / most:13.2f}")
    with photos.atomic(args.out) as stream:
        Image.fromarray(np.concatenate(rows)).save(stream, "PNG")
    print(f"written: {args.out}")


if __name__ == "__main__":
    main()
