"""`colorjax serve`: from its arguments to a running server, and to the moment when nothing of it is left."""

import argparse
import asyncio
import contextlib
import functools
import html
import ipaddress
import logging
import os
import re
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlencode

from colorjax import photos
from colorjax.archive import colorize_command, colorize_many
from colorjax.inference import engines
from colorjax.platform import caching, usage
from colorjax.web.addresses import Proxies, is_local
from colorjax.web.films.limits import FilmLimits
from colorjax.web.sessions import Limits, Sessions

_PREFIX = "colorjax-serve-"
_SHORTEST_TOKEN = 8
_STILL_WRITING = 5.0  # seconds
_ROOM_OF_A_FILM = 8  # times its size: without loss a coloured film is larger, and lies there twice while it is put together
_TOKEN = "COLORJAX_TOKEN"
_TIME = "%Y-%m-%d %H:%M:%S%z"
_ENDS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def run(args: argparse.Namespace) -> int:
    """Serve until Ctrl-C, SIGTERM or SIGHUP. Returns 0; raises ValueError for wrong usage, or where the port is taken."""
    with engines.needs_packages("web"):
        import uvicorn

        from colorjax.web import app, connections
    limits, proxies, root = _limits(args), Proxies(args.behind_proxy), _root(args.root_path)
    token, shown = _token(args)
    local = (args.host == "localhost" or is_local(args.host)) and not proxies
    if not local and token is None:
        what = f"--behind-proxy {args.behind_proxy}" if proxies else f"--host {args.host}"
        raise ValueError(f"{what} lets others in; --token (or --token-file FILE) makes a link that they need")
    signing = colorize_command.signing(args)
    photos.allow_large(limits.pixels)
    warnings.filterwarnings("ignore", module="PIL")  # it reports damage that it tolerates
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", datefmt=_TIME, level=logging.WARNING, force=True)
    logging.getLogger("uvicorn.error").addFilter(_is_of_interest)
    caching.keep_compiled()
    with _listening(args.host, args.port) as listening, _ends(), _private_folder() as folder:
        colorizer = colorize_many.load(args.ckpt, args.size, args.flip, args.engine)
        hosts = ["127.0.0.1", "localhost", "::1", args.host] if token is None else None
        page = app.make(colorizer, Sessions(folder, limits), token, hosts, proxies, root, signing)
        home = f"{_address(args.host, listening)}{root}/"
        print(f"{home}{f'?token={shown}' if token else ''}\n{_words(local, proxies)}", flush=True)
        if not (args.no_browser or proxies):
            _open_browser(f"{home}?{urlencode({'token': token})}" if token else home, folder)
        config = uvicorn.Config(
            page,
            log_config=None,
            log_level="warning",
            access_log=False,  # it would hold names of photographs, and the token
            proxy_headers=False,
            server_header=False,
            http=functools.partial(connections.Patient, proxies=proxies, guests=page.state.guests),
            ws="none",
            limit_concurrency=connections.CONNECTIONS,
            timeout_graceful_shutdown=3,
        )
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
    return 0


def _is_of_interest(record: logging.LogRecord) -> bool:
    """Whether it is no traceback of an answer that was under way when the server was ended."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def _words(local: bool, proxies: Proxies) -> str:
    """One line for who has just started it."""
    whom = "for this machine alone" if local else "by way of the proxy" if proxies else "for whoever has this link"
    return f"There photographs take colour in the browser, {whom}. Ctrl-C ends it and deletes them."


def _open_browser(link: str, folder: Path) -> None:
    """Where somebody sits at this machine. A link with a token goes by a file: what is on a command line others can read."""
    seen = sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    if not (seen and sys.stdout.isatty()):
        return
    if "?token=" in link:
        page = folder / "open.html"
        page.write_text(f'<!doctype html><meta http-equiv="refresh" content="0; url={html.escape(link)}">')
        link = page.as_uri()
    threading.Thread(target=webbrowser.open, args=(link,), daemon=True).start()  # some are slow to start


def _limits(args: argparse.Namespace) -> Limits:
    pixels = usage.pixels(args.max_megapixels)
    for name in ("max_upload_mb", "max_film_mb", "timeout"):
        if not 0 < getattr(args, name) < float("inf"):
            raise ValueError(f"--{name.replace('_', '-')} {getattr(args, name)} must be positive")
    upload = round(args.max_upload_mb * 1e6)
    room = max(5 * upload, Limits.held)
    film = round(args.max_film_mb * 1e6)
    films = FilmLimits(film, _ROOM_OF_A_FILM * film)
    return Limits(upload, pixels, args.timeout, held=room, total=4 * room, films=films)


def _token(args: argparse.Namespace) -> tuple[str | None, str]:
    """The token, None for none; and how it is shown: one that is kept somewhere does not get into a log."""
    if args.token is not None and args.token_file is not None:
        raise ValueError("--token and --token-file both name a token; give one of them")
    if args.token == "":
        return (made_up := secrets.token_urlsafe(24)), made_up
    if args.token is not None:
        return _checked(args.token, "--token"), quote(args.token)
    if args.token_file is not None:
        try:
            lines = args.token_file.read_text().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"--token-file {args.token_file}: {getattr(error, 'strerror', None) or 'it is no text'}") from None
        return _checked(lines[0].strip() if lines else "", f"--token-file {args.token_file}"), "... (as in the file)"
    if (words := os.environ.get(_TOKEN)) is not None:
        return _checked(words, f"${_TOKEN}"), f"... (as in ${_TOKEN})"
    return None, ""


def _checked(token: str, source: str) -> str:
    if len(token) < _SHORTEST_TOKEN or not token.isascii() or not token.isprintable():
        words = f"must have at least {_SHORTEST_TOKEN} letters of ASCII; --token alone makes one up"
        raise ValueError(f"{source}: a token {words}")
    return token


def _root(path: str) -> str:
    """The empty path, or one as "/colour". Raises ValueError."""
    if not re.fullmatch(r"(/[\w.~-]+)*/?", path, re.ASCII):
        raise ValueError(f"--root-path {path}: it must be as /colour or /tools/colour, of letters, digits and - . _ ~")
    return path.rstrip("/")


@contextlib.contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens. Raises ValueError where it cannot."""
    try:
        if not 0 <= port < 2**16:
            raise OverflowError("there is no such port")
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.create_server(address[:2], family=family, backlog=512)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ValueError(f"--host {host} --port {port}: {reason}; --port 0 takes one that is free") from None
    with listening:
        yield listening


def _address(host: str, listening: socket.socket) -> str:
    """What a browser is to open: where every address of the machine is listened on, the machine's name."""
    place, port = listening.getsockname()[:2]
    if ipaddress.ip_address(place).is_unspecified:
        host = socket.gethostname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.contextmanager
def _ends() -> Iterator[None]:
    """SIGTERM is an end as Ctrl-C is, and so is SIGHUP, unless it is ignored already (nohup).

    While uvicorn runs it has handlers of its own for SIGINT and SIGTERM, not for SIGHUP: that becomes SIGTERM.
    """
    before = {one: signal.getsignal(one) for one in (signal.SIGINT, *_ENDS)}
    for one in _ENDS:
        if one == signal.SIGTERM:
            signal.signal(one, signal.default_int_handler)
        elif before[one] != signal.SIG_IGN:
            signal.signal(one, lambda *_: signal.raise_signal(signal.SIGTERM))
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


@contextlib.contextmanager
def _private_folder() -> Iterator[Path]:
    """A folder that nobody else may enter, deleted at the end, whatever signals come then: a terminal that is closed sends two.

    What servers that were killed have left is deleted first: each holds a lock on its folder for as long as it lives.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            if left.stat().st_uid == os.getuid() and not left.is_symlink() and (lock := _locked(left)) is not None:
                shutil.rmtree(left, ignore_errors=True)
                os.close(lock)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = _locked(folder)
    try:
        yield folder
    finally:
        for one in (signal.SIGINT, *_ENDS):
            signal.signal(one, signal.SIG_IGN)
        _delete(folder)
        if lock is not None:
            os.close(lock)
        if folder.exists():
            print(f"colorjax: {folder} could not be deleted", file=sys.stderr)


def _delete(folder: Path) -> None:
    """With what work that cannot be stopped still writes there."""
    end = time.monotonic() + _STILL_WRITING
    while True:
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists() or time.monotonic() > end:
            return
        time.sleep(0.05)


def _locked(folder: Path) -> int | None:
    """A lock on a folder, as an open file; None where somebody else has it."""
    try:
        import fcntl

        handle = os.open(folder, os.O_RDONLY | os.O_NOFOLLOW)
    except (ImportError, OSError):
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return handle
    except OSError:
        os.close(handle)
        return None
