"""The console command: colorjax colorize | film | verify | keys | sheet | export | serve."""

import argparse
import contextlib
import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from colorjax.film.jobs import arguments as film
from colorjax.platform import quiet, usage
from colorjax.platform.usage import named, path
from colorjax.platform.version import VERSION

_SHIPPED = "pretrained"  # checkpoint.PRETRAINED, which --help need not wait for
_FIRST = "begin with: colorjax colorize --example, or: colorjax serve; colorjax COMMAND --help tells more"
_EXAMPLES = """examples:
  colorjax colorize --example                      puts example.jpg here, and colours it
  colorjax colorize photo.jpg                      writes photo.colorized.jpg beside it
  colorjax colorize photo.jpg --out result.jpg     writes result.jpg
  colorjax colorize album --out coloured           all photographs in album, into the folder coloured
"""


def main(argv: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 all well, 1 some photographs failed, 2 wrong usage."""
    usage.print_any_name()
    args = _parser().parse_args(argv)
    try:
        with quiet.libraries() if args.run in _QUIET else contextlib.nullcontext():
            return args.run(args)
    except KeyboardInterrupt:
        print("colorjax: stopped", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever read our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ValueError, OSError, FloatingPointError) as error:
        from colorjax import photos

        print(f"colorjax: {photos.in_words(error)}", file=sys.stderr)
        return 2


def run_flags(main: Callable[[list[str]], None], define: Callable[[], None], base: Any) -> None:
    """absl's way to run train.py and evaluate.py; what is misspelt ends with one line instead of a traceback.

    base: the module configs.base. Where the script takes a --config of that folder and is given none, it lists them.
    """
    from absl import app, flags, logging

    def parse(argv: list[str]) -> list[str]:
        logging.set_verbosity(logging.WARNING)  # JAX and Orbax tell a lot otherwise
        script = Path(argv[0]).name
        asks_for_help = any(word.lstrip("-").startswith("help") for word in argv[1:])
        try:
            define()
            if flags.FLAGS["config"].default is None and not asks_for_help:  # a file must be named
                usage.check_config(script, argv, Path(base.__file__).parent)
            return flags.FLAGS(argv)
        except (AttributeError, KeyError, flags.Error) as error:
            from colorjax.checkpoint import settings

            keys = [f"config.{key}" for key in settings.flat(base.get_config().to_dict())]
            of_flags = isinstance(error, flags.Error)
            said = usage.of_flags(error, list(flags.FLAGS), keys) if of_flags else usage.unknown_key(argv, keys)
            sys.exit(f"{script}: {said or error}")

    # Looking for cycles among the many objects of JAX, TensorFlow and a trace would take a fifth of a start. It stays so for
    # the whole run.
    gc.set_threshold(50_000, 10, 10)
    os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")  # nothing here uses Keras: the one that is there need not be imported
    app.run(lambda argv: usage.run(main, argv), flags_parser=parse)


def _parser() -> argparse.ArgumentParser:
    parser = usage.Parser(prog="colorjax", description="Gives grey photographs their colour.", epilog=_FIRST)
    parser.add_argument("--version", action="version", version=f"colorjax {VERSION}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    _colorize_parser(commands.add_parser("colorize", help="colour photographs", description=_colorize.__doc__))
    films = commands.add_parser("film", help="colour a film", description=_film.__doc__)
    film.add(films, _network, _signing)
    films.set_defaults(run=_film)

    verify = commands.add_parser("verify", help="check copies, and who signed them", description=_verify.__doc__)
    what = "NAME.colorized.jpg.json, its copy, a folder of them; or any picture with content credentials (C2PA)"
    verify.add_argument("sidecars", nargs="+", type=path, metavar="PATH", help=what)
    verify.add_argument("--trust", type=path, metavar="FILE.pem", help="only what these certificates vouch for passes")
    verify.add_argument("--source", type=path, metavar="DIR", help="look here for sources that moved or are other files now")
    verify.add_argument("--ckpt", type=named, help=f"also check that these weights, as {_SHIPPED}, were used")
    _limit(verify.add_argument)
    verify.set_defaults(run=_verify)

    keys = commands.add_parser("keys", help="a key to sign copies with, for trying", description=_keys.__doc__)
    keys.add_argument("--new", required=True, type=path, metavar="DIR", help="the folder that it is written into")
    keys.add_argument("--name", default="colorjax, for trying", help="whom its certificate names (default: %(default)s)")
    keys.set_defaults(run=_keys)

    sheet = commands.add_parser("sheet", help="a contact sheet of coloured copies", description=_sheet.__doc__)
    sheet.add_argument("folder", type=path, metavar="DIR", help="what was --out of colorize")
    sheet.add_argument("--out", type=path, help="the page (default: DIR/sheet.html)")
    sheet.add_argument("--by-uncertainty", action="store_true", help="the most uncertain first, instead of by name")
    _limit(sheet.add_argument)
    sheet.set_defaults(run=_sheet)

    export = commands.add_parser("export", help="the network alone, or for other programs", description=_export.__doc__)
    export.add_argument("--ckpt", type=named, default=_SHIPPED, help=f"workdir or checkpoints/STEP (default: {_SHIPPED})")
    export.add_argument("--out", required=True, type=path, help="a new folder; of other formats than weights a new file")
    formats = ("weights", "onnx", "stablehlo", "safetensors")
    what = "weights (default), onnx, stablehlo or, for PyTorch, safetensors"
    export.add_argument("--format", choices=formats, default="weights", help=what)
    export.set_defaults(run=_export)

    _serve_parser(commands.add_parser("serve", help="colour photographs on a page, with hints", description=_serve.__doc__))
    return parser


def _format(text: str) -> str:
    """Pillow's name of a format, by its name or its suffix."""
    from colorjax import photos

    try:
        return photos.format_of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _limit(add: Callable[..., Any]) -> None:
    add("--max-megapixels", type=float, default=134, help="refuse larger pictures undecoded (default: 134)")


def _network(add: Callable[..., Any]) -> None:
    what = "workdir, checkpoints/STEP or exported folder"
    add("--ckpt", type=named, default=_SHIPPED, help=f"{what} (default: {_SHIPPED}, the weights inside colorjax)")
    add("--size", type=int, help="short side of what the network sees (default: that of its training)")
    add("--flip", action="store_true", help="average with the answer for the mirrored photograph")
    engines = ("auto", "jax", "onnx")
    add("--engine", choices=engines, default="auto", help="what computes: onnx is faster without a GPU (default: auto)")


def _signing(add: Callable[..., Any]) -> None:
    key, cert = (os.environ.get(name) or None for name in ("COLORJAX_SIGN_KEY", "COLORJAX_SIGN_CERT"))
    add("--sign-key", metavar="KEY.pem", default=key, help="sign copies and sidecars with it; or $COLORJAX_SIGN_KEY names it")
    add("--sign-cert", metavar="CHAIN.pem", default=cert, help="its certificates, its own first; or $COLORJAX_SIGN_CERT")
    add("--sign-tsa", metavar="URL", default="", help="ask this authority for a time stamp of each copy (default: nobody)")


def _colorize_parser(colorize: argparse.ArgumentParser) -> None:
    colorize.usage, colorize.epilog = "colorjax colorize PATH... [--out DIR or FILE] [OPTION...]", _EXAMPLES
    add = colorize.add_argument_group("what is coloured, and where the copies go").add_argument
    what = "photographs, and folders of them; paths or URLs (s3://, gs://, ...)"
    add("paths", nargs="*", type=named, metavar="PATH", help=what)
    add("--example", action="store_true", help="put the photograph that colorjax brings, example.jpg, here and colour it")
    where = "folder for the copies, or its URL, in which folders are mirrored; of one photograph also the copy itself"
    where += " (default: beside a photograph; of a folder DIR the new DIR-colorized)"
    add("--out", type=named, metavar="DIR", help=where)
    add("--format", type=_format, help="jpeg, png, tiff, webp, avif, heif, jp2 or jxl (default: that of the source)")
    add("--quality", type=int, default=95, help="of JPEG, lossy WebP, AVIF and HEIC, 1 to 100 (default: 95)")
    add("--overwrite", action="store_true", help="make copies anew that are there already")
    add("--only-grey", action="store_true", help="leave photographs that are in colour already as they are, uncopied")
    add("--accept-truncated", action="store_true", help="colour what is left of files that are cut short, and say so")
    refreshed = "carry changed metadata of sources to their copies, not painting anew (not to AVIF, HEIC and JPEG XL)"
    add("--refresh-metadata", action="store_true", help=refreshed)
    add("--dry-run", action="store_true", help="only list what would be done")
    add("--report", type=path, metavar="FILE.json", help="what became of each photograph")
    add("--json", action="store_true", help="a line of JSON for each photograph, and each folder in doubt, no progress bar")
    _limit(add)

    add = colorize.add_argument_group("how it looks").add_argument
    add("--strength", type=float, default=1.0, help="factor of the colour, 0 to 1.5 (default: 1)")
    add("--warmth", type=float, default=0.0, help="-1 (cool) to 1 (as candlelight) (default: 0)")
    add("--saturation", type=float, default=0.0, help="of pale colours above all, -1 to 1 (default: 0)")
    numbered = "so many copies with other likely colours, NAME.colorized.1.jpg and on, the likeliest first; up to 6"
    add("--variants", type=int, default=0, metavar="N", help=numbered)
    reach = "it reaches over its object; behind it may stand ,soft and a radius, as ,20%%"
    told = f"the colour of a point of the one photograph; repeatable; {reach}"
    add("--hint", action="append", metavar="X,Y,#RRGGBB", help=told)
    add("--no-hints", action="store_true", help="pass over NAME.jpg.hints.json beside photographs")
    add("--negative", action="store_true", help="the photographs are negatives: invert them before they are coloured")
    add("--uncertainty", action="store_true", help="also write NAME.uncertainty.png: where the colour is a guess")
    _network(add)

    add = colorize.add_argument_group("what marks the copies").add_argument
    add("--burn-in", metavar="TEXT", help="also write these words into a corner of the picture")
    marks = "compositeWithTrainedAlgorithmicMedia (default), trainedAlgorithmicMedia or algorithmicallyEnhanced"
    add("--source-type", default=marks.split()[0], help=f"IPTC DigitalSourceType that marks the copies: {marks}")
    _signing(add)

    add = colorize.add_argument_group("many machines").add_argument
    add("--cluster", metavar="ADDRESS", help="let a Ray cluster do it: HOST:PORT, auto, or local to start one here")
    add("--workers", type=int, metavar="N", help="of the cluster, at most (default: as many as there is room for)")
    colorize.set_defaults(run=_colorize, complain=colorize.error)


def _serve_parser(serve: argparse.ArgumentParser) -> None:
    serve.usage = "colorjax serve [OPTION...]"
    add = serve.add_argument
    _network(add)
    listening = "address to listen on (default: 127.0.0.1, this machine alone); others need --token"
    add("--host", default="127.0.0.1", help=listening)
    add("--port", type=int, default=8000, help="port to listen on, 0 for one that is free (default: 8000)")
    entering = "only who opens the link with it may enter; made up, or WORDS: others on this machine can read it there"
    add("--token", nargs="?", const="", metavar="WORDS", help=entering)
    add("--token-file", type=path, metavar="FILE", help="the token is the first line of it; $COLORJAX_TOKEN is another way")
    trusted = "127.0.0.1,::1"
    believed = f"believe what proxies at these addresses or networks say of who asks (without any: {trusted}); needs a token"
    add("--behind-proxy", nargs="?", const=trusted, default="", metavar="ADDRESS,...", help=believed)
    add("--root-path", default="", metavar="PATH", help="where a proxy shows the page, as /colour (default: /)")
    add("--no-browser", action="store_true", help="do not open the page in a browser")
    add("--max-upload-mb", type=float, default=200, help="refuse larger files (default: 200)")
    add("--max-film-mb", type=float, default=1000, help="refuse larger films (default: 1000)")
    add("--timeout", type=float, default=120, help="seconds that a view or a copy may take (default: 120)")
    _signing(add)
    _limit(add)
    serve.set_defaults(run=_serve)


def _colorize(args: argparse.Namespace) -> int:
    """Colour photographs of any size: NAME.jpg becomes NAME.colorized.jpg, and is never touched itself."""
    if not args.paths and not args.example:
        args.complain("PATH is missing; colorjax colorize --help tells more, colorjax colorize --example brings a photograph")
    from colorjax.archive import colorize_command

    return colorize_command.run(args)


def _film(args: argparse.Namespace) -> int:
    """Colour a film: its luma, clock, sound and all else stay. Stopped, the same command goes on."""
    return film.run(args)


def _verify(args: argparse.Namespace) -> int:
    """Check that source and copy are those of the sidecar, that their lightness agrees, and that what is signed still holds:
    valid, changed since, or by an issuer whom nobody named. Exit code 1 if not."""
    from colorjax.archive.proof import checking

    return checking.run(args, film.verify)


def _keys(args: argparse.Namespace) -> int:
    """Make a key and certificates to sign copies with. Nobody vouches for them but you: programs of others will show what they
    sign as of an untrusted or unknown issuer. For more, get a certificate from an authority that C2PA knows."""
    from colorjax import photos
    from colorjax.archive.proof import keys

    print("\n".join(photos.legible(line) for line in keys.new(args.new, args.name)))
    return 0


def _sheet(args: argparse.Namespace) -> int:
    """Write a page with each coloured copy below DIR: before, after, where the colour is a guess. Open it in a browser."""
    from colorjax import photos
    from colorjax.archive import sheet

    pixels = usage.pixels(args.max_megapixels)
    photos.allow_large(pixels)
    out = args.out or args.folder / "sheet.html"
    shown, broken = sheet.write(args.folder, out, args.by_uncertainty, pixels)
    for copy in broken:
        print(photos.legible(f"{copy}: something of it is missing or damaged"), file=sys.stderr)
    incomplete = f", {len(broken)} of them incomplete" if broken else ""
    print(photos.legible(f"{shown} picture{'s' * (shown != 1)} in {out}{incomplete}"))
    return 1 if broken else 0


def _export(args: argparse.Namespace) -> int:
    """Write the network alone: in bfloat16 and with checksums, for colouring and evaluation; or for other programs, in
    float32 and for pictures of any size, as ONNX, StableHLO or safetensors (PyTorch's names and layout), after comparing its
    answers with JAX's."""
    from colorjax import checkpoint
    from colorjax.inference import exports

    (checkpoint.check_new if args.format == "weights" else exports.check_new)(args.out)
    network = checkpoint.load(args.ckpt)
    if args.format == "weights":
        size, compared = checkpoint.export(network, args.out), ""
    else:
        size, difference = exports.write(network, args.out, args.format)
        compared = f"; its chroma is JAX's within {difference:.1g}"
    print(f"{network.source} -> {args.out}: {size / 1e6:.1f} MB{compared}")
    return 0


def _serve(args: argparse.Namespace) -> int:
    """Colour photographs on a page in the browser: see before and after, set hints, download copies at full size."""
    from colorjax.web import server

    return server.run(args)


_QUIET = (_colorize, _film, _verify, _sheet)  # short, and of files that decoders complain about; a server keeps its log


if __name__ == "__main__":
    sys.exit(main())
