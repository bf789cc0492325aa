"""How commands are asked for: options in full, and what was probably meant by one that there is not."""

import argparse
import ast
import difflib
import io
import itertools
import operator
import os
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn


def meant(word: str, legal: Iterable[str], between: str = "/") -> str:
    """ "; did you mean X?" for the legal word that is most like `word`, "" where none is like it.

    between: what stands between the parts of a name. The last ones are compared, without .py: many share the rest.
    """

    def last(name: str) -> str:
        return name.lstrip("-").lower().rpartition(between)[2].removesuffix(".py")

    asked, bare = last(word), dict[str, str]()
    for one in sorted(legal, key=lambda name: difflib.SequenceMatcher(None, word, name).ratio(), reverse=True):
        bare.setdefault(last(one), one)
    begun = [one for one in bare if len(asked) > 1 and one.startswith(asked)]
    found = begun or difflib.get_close_matches(asked, bare, 1, 0.65) or [one for one in bare if _shortens(one, asked)]
    return f"; did you mean {bare[found[0]]}?" if found else ""


def _shortens(short: str, long: str) -> bool:
    """Whether one word is another with letters left out, as ckpt is of checkpoint."""
    letters = iter(long)
    return len(short) > 2 and short[0] == long[:1] and all(letter in letters for letter in short)


def within(name: str, value: Any, low: float, high: float, what: str | None = None, whole: bool = False) -> None:
    """Raises ValueError for a number that is not in low..high, TypeError for what is no number, as "90" and None.

    name: with what is written between it and its value, as "quality=". what: it must be, default "in low..high". whole:
    whether 1.0 is none, either.
    """
    must = f"must be {what or f'in {low}..{high}'}"
    try:
        fits = bool(low <= (operator.index(value) if whole else value) <= high)
    except (TypeError, ValueError):  # words, None, many numbers
        raise TypeError(f"{name}{value!r} {must}, and a {'whole ' * whole}number") from None
    if not fits:
        raise ValueError(f"{name}{value} {must}")


def pixels(megapixels: float) -> int:
    """How many pixels --max-megapixels allows. Raises ValueError for none, and for no number of them, as inf or nan."""
    if not 1 <= megapixels * 1e6 < float("inf"):
        raise ValueError(f"--max-megapixels {megapixels} must be positive, and a number")
    return round(megapixels * 1e6)


def named(text: str) -> str:
    """The path or URL that an argument names. "" is none, though it would be the folder that one is in."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty; name a file or a folder (is a variable of the shell not set?)")
    return text


def path(text: str) -> Path:
    """As `named`, a path."""
    return Path(named(text))


def print_any_name() -> None:
    """Print "?" for letters that the output's encoding has not, as that of a file has not where the locale is no UTF-8; a name
    with one would end a batch."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


class Parser(argparse.ArgumentParser):
    """A parser that takes no abbreviations, and ends with a short usage and one sentence that says what was probably meant."""

    def __init__(self, **options: Any):
        options = {"allow_abbrev": False, "formatter_class": argparse.RawDescriptionHelpFormatter} | options
        super().__init__(**options)
        self._asked: list[str] = []

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse's, but what is not known ends the program: it would name the wrong command otherwise."""
        self._asked = list(sys.argv[1:] if args is None else args)
        namespace, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"there is no place for {' '.join(unknown)}")
        return namespace, unknown

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and what was probably meant. Exit code 2."""
        message = re.sub(
            r"^the following arguments are required: (.*)", rf"\1 is missing; {self.prog} --help tells more", message
        )
        said = self._unknown_option() or _choice(message) or _value(message) or message
        self.exit(2, f"{self.format_usage()}{self.prog}: {said}\n")

    def _unknown_option(self) -> str:
        """What to say of the first option that there is not, "" where all are known."""
        legal = [name for action in self._actions if action.help != argparse.SUPPRESS for name in action.option_strings]
        ours = (lambda word: word != "--") if self._subparsers is None else (lambda word: word.startswith("-"))
        for word in itertools.takewhile(ours, self._asked):  # what follows a command is the command's
            name = word.partition("=")[0]
            if re.match(r"--?[A-Za-z]", name) and name not in legal:
                like = meant(name, [option for option in legal if option.startswith("--")])
                file = f"; the file of this name is ./{name}" if os.path.exists(name) else ""
                return f"there is no option {name}{file or like or f'; {self.prog} --help lists all'}"
        return ""


def _choice(message: str) -> str:
    """What to say of a word that is not among those of a list, "" where the message is of something else."""
    found = re.search(r"argument (\S+): invalid choice: '(.*)' \(choose from (.*)\)", message)
    if not found:
        return ""
    what, word, listed = found.groups()
    legal = [one.strip("' ") for one in listed.split(",")]
    if what != "COMMAND":
        return f"{what} {word}: legal are {', '.join(legal)}{meant(word, legal)}"
    way = f"; did you mean colorjax colorize {word}?" if os.path.exists(word) else meant(word, legal)
    commands = ", ".join(legal)
    return f"there is no command {word}{way or f'; there are {commands}'}"


def _value(message: str) -> str:
    """What to say of an option that was given a value and takes none, "" where the message is of something else."""
    found = re.search(r"argument (?:\S+/)?(\S+): ignored explicit argument", message)
    return f"{found[1]} takes no value" if found else ""


def check_config(script: str, words: list[str], folder: Path) -> None:
    """End the program where no --config=FILE that there is was given: with a list of those in `folder`, a line for each."""
    given = [word.lstrip("-").partition("=")[2] for word in words if re.match("--?config=", word)]
    given += [after for word, after in itertools.pairwise(words) if word in ("-config", "--config")]
    file = Path(given[-1].partition(":")[0]) if given else None  # behind a colon: what is handed to it
    if file is not None and file.is_file():
        return
    shown = Path(os.path.relpath(folder))
    there = {str(shown / path.name): path for path in sorted(folder.glob("*.py")) if path.stem not in ("__init__", "base")}
    width = max(map(len, there), default=0)
    lines = [f"  {name:{width}}  {_first_line(path)}" for name, path in there.items()]
    missing = f"there is no {file}{meant(str(file), there)}" if file else "--config=FILE is missing"
    sys.exit("\n".join([f"{script}: {missing}", "", "There are", *lines, "", f"{shown / 'base.py'} explains every key."]))


def _first_line(path: Path) -> str:
    """Of what a module says of itself."""
    return (ast.get_docstring(ast.parse(path.read_text())) or "").partition("\n")[0]


def unknown_key(words: list[str], legal: list[str]) -> str:
    """What to say of the first --config.KEY that is not among the legal ones, "" where all are."""
    for word in words:
        name = word.lstrip("-").partition("=")[0]
        if name.startswith("config.") and name not in legal and not any(key.startswith(f"{name}.") for key in legal):
            like = meant(name, [f"--{key}" for key in legal], between=".")
            return f"there is no key --{name}{like + ' ' if like else '; '}configs/base.py explains every key"
    return ""


def of_flags(error: Exception, legal: list[str], keys: list[str]) -> str:
    """An error of absl's flags in one sentence. legal: the names of the flags that there are; keys: of the config's."""
    name = getattr(error, "flagname", None)
    if name is not None:
        like = meant(name, [f"--{flag}" for flag in legal]) or meant(name, [f"--{key}" for key in keys], ".")
        return f"there is no option --{name}{like or '; --help lists all'}"
    about, _, trace = str(error).removeprefix("flag ").partition(": Error whilst parsing config file:")
    words = " ".join(f"{about}: {trace.strip().splitlines()[-1]}".split()) if trace else " ".join(about.split())
    words = re.sub(r"invalid literal for int\(\).*", "it must be a whole number", words)
    words = re.sub(r"Failed to parse .* as a ConfigDict.*", "it has keys of its own, which configs/base.py explains", words)
    words = re.sub(r"\('Non-boolean argument.*", "it must be True or False", words)
    return re.sub(r"could not convert string to float.*", "it must be a number", words)


def run(main: Callable[[list[str]], None], argv: list[str]) -> None:
    """A script; a package that `pip install .` does not bring is named instead of a traceback."""
    try:
        main(argv)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "colorjax":
            raise
        sys.exit(f'{Path(argv[0]).name}: {error.name} is not installed; pip install -e ".[train]" brings what training needs')
