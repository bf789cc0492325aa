"""`colorjax film`: what it can be asked. Imports next to nothing, for every command of colorjax reads it."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from colorjax.platform.usage import path

_EXAMPLES = """examples:
  colorjax film reel.mkv --out coloured.mkv                   FFV1 in Matroska: every sample of luma is the source's
  colorjax film reel.mkv --out access.mp4 --codec h264        a copy for looking at
  colorjax film scans --out coloured                          a folder of DPX, TIFF or PNG, into a new one
  colorjax film reel.mkv --out coloured.mkv --only-shots      only list the shots, to correct the list by hand
"""


def add(parser: argparse.ArgumentParser, network: Callable[[Any], None], signing: Callable[[Any], None]) -> None:
    """Give a parser the options. network, signing: add those of the network, and of the key that signs."""
    parser.usage, parser.epilog = "colorjax film FILM --out FILE [OPTION...]", _EXAMPLES
    option = parser.add_argument_group("what is coloured, and where the copy goes").add_argument
    option("film", type=path, metavar="FILM", help="a film, or a folder of DPX, TIFF or PNG")
    option("--out", type=path, required=True, metavar="FILE", help="the copy: .mkv, .mov or .mp4; of a folder a new folder")
    option("--codec", choices=("ffv1", "prores", "h264", "hevc"), help="ffv1 keeps every sample (default: ffv1)")
    chroma = "samples of colour: 444 as many as of luma (default), 422 half, 420 a quarter (h264, hevc)"
    option("--chroma", choices=("444", "422", "420"), help=chroma)
    option("--overwrite", action="store_true", help="make a copy anew that is there already")
    option("--report", type=path, metavar="FILE.csv", help="a row for each shot")

    option = parser.add_argument_group("shots and hints").add_argument
    option(
        "--shots",
        type=path,
        metavar="FILE",
        help="take the shots from this list (default: that beside the copy, once it was corrected)",
    )
    option("--only-shots", action="store_true", help="look for the shots, write their list, and stop")
    option("--hints", type=path, metavar="FILE", help="colours of points (default: FILM.hints.json, where it is there)")
    option("--no-hints", action="store_true", help="pass over FILM.hints.json")

    option = parser.add_argument_group("how it looks").add_argument
    option("--strength", type=float, default=1.0, help="factor of the colour, 0 to 1.5 (default: 1)")
    option("--long-side", type=int, default=512, metavar="N", help="pixels to which frames are reduced for it (default: 512)")
    network(option)
    marks = "compositeWithTrainedAlgorithmicMedia (default), trainedAlgorithmicMedia or algorithmicallyEnhanced"
    option("--source-type", default=marks.split()[0], help=f"IPTC DigitalSourceType that marks the copy: {marks}")
    signing(option)


def run(args: argparse.Namespace) -> int:
    """See `command.run`. Raises ValueError where the extra is not installed."""
    check()
    from colorjax.film.jobs import command

    return command.run(args)


def check() -> None:
    """Raises ValueError where what reads films is not installed."""
    try:
        import av  # noqa: F401
        import cv2  # noqa: F401
    except ImportError as error:
        raise ValueError(f'films need more packages ({error.name} is missing): pip install "colorjax[film]"') from None


def verify(path: Path, weights: str | None = None, below: Path | None = None) -> Any:
    """See `checking.verify`. Raises ValueError where the extra is not installed."""
    check()
    from colorjax.film.jobs import checking

    return checking.verify(path, weights, below)
