"""The console command: colorjax colorize | export."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from colorjax import __version__


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 all well, 1 some photographs failed, 2 wrong usage."""
    args = _parser().parse_args(argv)
    try:
        return args.run(args)
    except KeyboardInterrupt:
        print("colorjax: stopped", file=sys.stderr)
        return 130
    except (ValueError, OSError, FloatingPointError) as error:
        print(f"colorjax: {error}", file=sys.stderr)
        return 2


def run_flags(main: Callable[[list[str]], None], define: Callable[[], None]) -> None:
    """absl's way to run train.py and evaluate.py; a misspelt --config key ends with one line instead of a traceback."""
    from absl import app, logging

    def parse(argv: list[str]) -> list[str]:
        logging.set_verbosity(logging.WARNING)  # JAX and Orbax tell a lot otherwise
        try:
            define()
            return app.parse_flags_with_usage(argv)
        except (AttributeError, KeyError) as error:
            unknown = str(error.args[0])
            named = [a for a in argv if a.startswith("--config.") and f"'{a.split('=')[0].split('.')[-1]}'" in unknown]
            sys.exit(f"{Path(argv[0]).name}: there is no such key: {' '.join(named)} {unknown}; see configs/base.py")

    app.run(main, flags_parser=parse)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="colorjax", description="Gives grey photographs their colour.")
    parser.add_argument("--version", action="version", version=f"colorjax {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    colorize = commands.add_parser("colorize", help="colour photographs", description=_colorize.__doc__)
    colorize.add_argument("paths", nargs="+", metavar="PATH", help="photographs, and folders of them")
    colorize.add_argument("--out", required=True, type=Path, help="folder for the coloured copies; folders are mirrored")
    colorize.add_argument("--ckpt", help="workdir, checkpoints/STEP or exported folder (default: the shipped weights)")
    colorize.add_argument("--size", type=int, help="short side of what the network sees (default: that of its training)")
    colorize.set_defaults(run=_colorize)

    export = commands.add_parser("export", help="write the weights alone", description=_export.__doc__)
    export.add_argument("--ckpt", required=True, help="workdir or checkpoints/STEP")
    export.add_argument("--out", required=True, type=Path, help="a new folder")
    export.set_defaults(run=_export)
    return parser


def _colorize(args: argparse.Namespace) -> int:
    """Colour photographs of any size; NAME.jpg becomes NAME.colorized.jpg below --out, sources are never touched."""
    from tqdm import tqdm

    from colorjax import caching, photos
    from colorjax.colorizer import Colorizer

    caching.keep_compiled()
    found = list(photos.find(args.paths))
    if not found:
        raise ValueError(f"no photographs in {', '.join(args.paths)} (looked for {', '.join(photos.SUFFIXES)})")
    colorizer = Colorizer.from_checkpoint(args.ckpt, args.size) if args.ckpt else Colorizer.pretrained(args.size)
    sources, failed, written = {path for _, path in found}, 0, set()
    for root, path in tqdm(found, desc="colouring", unit="photo", disable=None):
        relative = path.relative_to(root)
        target = args.out / relative.with_name(f"{relative.stem}.colorized{relative.suffix}")
        try:
            if target in sources:
                raise ValueError(f"its copy would overwrite the photograph {target}; name another --out")
            if target in written:
                raise ValueError(f"another photograph of this run has become {target}")
            photo = photos.read(path)
            image = photo.image
            if image.dtype != "uint8":
                image = photos.to_u8(image)
            photos.write(target, colorizer(image), like=photo)
            written.add(target)
        except FloatingPointError:
            raise  # the weights are broken, not this photograph
        except Exception as error:  # whatever a photograph does to Pillow, it must not end the others
            failed += 1
            tqdm.write(f"{path}: {str(error) or type(error).__name__}", file=sys.stderr)
    print(f"{len(found) - failed} photographs coloured into {args.out}" + (f", {failed} failed" if failed else ""))
    return 1 if failed else 0


def _export(args: argparse.Namespace) -> int:
    """Write the network alone, in bfloat16 and with a checksum, for colouring and evaluation."""
    from colorjax import checkpoint

    network = checkpoint.load(args.ckpt)
    size = checkpoint.export(network, args.out)
    print(f"{network.source} -> {args.out}: {size / 1e6:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
