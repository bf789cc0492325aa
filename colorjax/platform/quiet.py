"""What libraries say by themselves, in whatever language they are written, stays out of a command's output."""

import contextlib
import logging
import os
import sys
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def libraries() -> Iterator[None]:
    """Nothing but Python's own `sys.stderr` reaches the terminal meanwhile; what goes wrong comes as an exception.

    Decoders write of damage that they tolerate, from C (libpng), by `warnings` (Pillow) and by `logging` (tifffile): none of
    them knows which file it is, and what matters of it our own words say. `python -W default -m colorjax` shows it all.
    """
    if sys.warnoptions:
        yield
        return
    silent = logging.NullHandler()
    logging.getLogger().addHandler(silent)  # or else warnings of loggers that nobody set up go to stderr
    try:
        with warnings.catch_warnings(), _own_stderr():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.getLogger().removeHandler(silent)


@contextlib.contextmanager
def _own_stderr() -> Iterator[None]:
    """`sys.stderr` as it is, and what is written past it, to file descriptor 2, is lost."""
    if sys.stderr is None or sys.stderr is not sys.__stderr__:  # as in a notebook: it is another's
        yield
        return
    sys.stderr.flush()
    before, real = sys.stderr, os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    sys.stderr = os.fdopen(real, "w", buffering=1, encoding=before.encoding, errors=before.errors, closefd=False)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # whoever read it has gone
            sys.stderr.flush()
        sys.stderr = before
        os.dup2(real, 2)
        os.close(real)
