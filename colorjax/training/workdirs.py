"""What a workdir says of its run, for every further start of it: settings, photographs, and what of them was lost."""

import contextlib
import json
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
from ml_collections import ConfigDict
from tqdm import tqdm

from colorjax import checkpoint, photos
from colorjax.checkpoint import settings
from colorjax.data import roster
from colorjax.platform import sharding

# Keys that may change between one start of a run and the next: how fast it learns, what is told of it, and where files are.
_FREE_KEYS = (
    *("epochs", "learning_rate", "warmup_steps", "weight_decay", "beta1", "clip_norm", "eval_batch_size"),
    *(f"discriminator.{key}" for key in ("learning_rate", "warmup_steps", "beta1", "clip_norm")),
    *("pretrained", "init_from", "lpips_weights", "loss.perceptual_weights", "best_by", "looks"),
    *("log_every", "checkpoint_every", "keep_checkpoints", "panels", "data.cache", "data.cache_dir"),
    *("fsdp", *(f"distributed.{key}" for key in ("coordinator", "processes", "process", "timeout", "start_timeout"))),
)
_CONFIG, _REPORT, _PHOTOGRAPHS = "config.json", "data_report.json", "photographs.json"


@contextlib.contextmanager
def held(workdir: Path) -> Iterator[None]:
    """No other run works in the folder meanwhile, nor finds it gone: it is made where it is not there.

    The first process holds it for all. What a killed one held is free at once, and a new folder goes if it stays empty. Where
    the file system or the platform knows no locks, nothing holds others off. Raises ValueError where another run is there, or
    where the folder cannot be written to.
    """
    with contextlib.ExitStack() as stack:
        sharding.on_first(lambda: _hold(workdir, stack))
        yield


def _hold(workdir: Path, stack: contextlib.ExitStack) -> None:
    is_new = not workdir.exists()
    try:
        workdir.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise ValueError(f"{workdir} is a file; name a folder as --workdir") from None
    except OSError as error:
        raise ValueError(f"{workdir} cannot be made ({error.strerror}); name another --workdir") from error
    if not os.access(workdir, os.W_OK | os.X_OK):
        raise ValueError(f"{workdir} cannot be written to; name another --workdir")
    if is_new:
        stack.callback(_remove_if_empty, workdir)
    try:
        import fcntl
    except ImportError:  # Windows
        return
    folder = os.open(workdir, os.O_RDONLY)
    stack.callback(os.close, folder)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(f"another run works in {workdir}: wait until it has ended, or name another --workdir") from None
    except OSError:  # as on some network drives
        return


def began(workdir: Path, config: ConfigDict, base: ConfigDict) -> tuple[roster.Roster, dict] | None:
    """The photographs and the data report that the run in `workdir` began with; None where none has begun.

    base: the default of every key; a run of before a key was trained as its default says.
    Raises ValueError, showing each difference, where the run there is of other settings than `config`; and where a new run
    cannot start: see `_check_new`.
    """
    if not _has_checkpoint(workdir):
        _check_new(workdir, config)
        return None
    before = settings.flat(settings.plain(base)) | settings.flat(_read(workdir / _CONFIG))
    after = settings.flat(settings.plain(config))
    keys = sorted((before.keys() | after.keys()) - set(_FREE_KEYS))
    changed = [f"  {k}: {before.get(k)!r} there, {after.get(k)!r} now" for k in keys if before.get(k) != after.get(k)]
    if changed:
        shown = "\n".join(changed)
        raise ValueError(f"{workdir} holds another run; name another --workdir, or set these back:\n{shown}")
    if not (workdir / _PHOTOGRAPHS).exists():
        return None
    return _read(workdir / _PHOTOGRAPHS, roster.read), _read(workdir / _REPORT)


def _remove_if_empty(workdir: Path) -> None:
    """What was made for a run that could not begin."""
    with contextlib.suppress(OSError):  # it is not empty
        workdir.rmdir()


def _check_new(workdir: Path, config: ConfigDict) -> None:
    """Raise ValueError where what a new run starts from is not there, or where it would lie among its photographs, for it
    writes pictures."""
    start, data = config.init_from, config.data
    if start not in ("", checkpoint.PRETRAINED) and not Path(start).expanduser().exists():
        raise ValueError(f"init_from={start} does not exist; it names a trained network, as a workdir")
    for key in ("dir", "val_dir") if data.source == "folder" else ():
        if data[key] and workdir.resolve().is_relative_to(Path(data[key]).expanduser().resolve()):
            raise ValueError(
                f"--workdir={workdir} lies among the photographs of data.{key}={data[key]}: what a run draws there would count "
                "as photographs. Name a workdir outside of it"
            )


def _has_checkpoint(workdir: Path) -> bool:
    """Whether there is something to go on from; what Orbax leaves of a save that was cut off has a longer name."""
    return any(path.name.isdigit() for path in (workdir / checkpoint.CHECKPOINTS).glob("[0-9]*"))


def _json(path: Path) -> Any:
    return json.loads(path.read_text())


def _read(path: Path, reader: Callable[[Path], Any] = _json) -> Any:
    """What a file of a begun run says. Raises ValueError, naming it, where it is missing or damaged."""
    try:
        return reader(path)
    except FileNotFoundError:
        raise ValueError(f"{path} is missing, without which the run there cannot go on; name another --workdir") from None
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}), without which the run there cannot go on") from error


def claim(workdir: Path, config: ConfigDict, photographs: Any) -> None:
    """Write config.json, data_report.json and photographs.json into the workdir.

    photographs: the data.Data of the run. Raises ValueError where the processes of a run see different ones.
    """
    report = workdir / _REPORT
    began_unlisted = _has_checkpoint(workdir) and not (workdir / _PHOTOGRAPHS).exists()
    if began_unlisted and report.exists() and _read(report)["digest"] != photographs.report["digest"]:
        raise ValueError(f"{workdir} holds a run on other photographs; name another --workdir")
    digests = sharding.texts(photographs.report["digest"])
    if len(set(digests)) > 1:
        raise ValueError(f"the {len(digests)} processes see different photographs: they must read the same files")

    def write() -> None:
        for name, values in ((_CONFIG, settings.plain(config)), (_REPORT, photographs.report)):
            with photos.atomic(workdir / name) as stream:
                stream.write(json.dumps(values, indent=2).encode())
        if not (photographs.roster.written and (workdir / _PHOTOGRAPHS).exists()):
            with photos.atomic(workdir / _PHOTOGRAPHS) as stream:
                roster.write(stream, photographs.roster)

    sharding.on_first(write)


def note_lost(workdir: Path, lost: dict[str, tuple[str, str]]) -> str:
    """Add to data_report.json those photographs of `lost`, name -> (kind, detail), that it does not list as lost yet.

    Returns one line on them; "" where there are none.
    """
    if not lost:
        return ""
    path = workdir / _REPORT
    report = json.loads(path.read_text())
    known = report.get("files_lost", [])
    new = {name: lost[name] for name in sorted(lost.copy().keys() - {row["name"] for row in known})}
    if not new:
        return ""
    rows = [*known, *({"name": name, "reason": kind, "detail": detail} for name, (kind, detail) in new.items())]
    report |= {"lost": dict(sorted(Counter(row["reason"] for row in rows).items())), "files_lost": rows}
    with photos.atomic(path) as stream:
        stream.write(json.dumps(report, indent=2).encode())
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(kind for kind, _ in new.values()).items()))
    some = "1 photograph" if len(new) == 1 else f"{len(new)} photographs"
    return f"{some} can no longer be read ({kinds}), listed in data_report.json"


@contextlib.contextmanager
def telling_lost(workdir: Path, lost: dict[str, tuple[str, str]]) -> Iterator[Callable[[], None]]:
    """A function that notes and tells what was lost since its last call; called once more at the end, however it comes."""

    def tell(shares: list[str]) -> None:
        every = {name: tuple(why) for share in shares for name, why in json.loads(share).items()}
        if jax.process_index() == 0 and (line := note_lost(workdir, every)):
            tqdm.write(line, file=sys.stderr)

    def own() -> str:
        return json.dumps(lost.copy())

    try:
        yield lambda: tell(sharding.texts(own()))
    except BaseException:
        with contextlib.suppress(OSError):  # as of a full disk: what ended the run is what is told
            tell([own()])  # the other processes may not be there any more
        raise
    tell(sharding.texts(own()))


def describe_data(report: dict) -> str:
    """One or two lines: how many photographs, how they are split, what was left out."""
    groups = ", ".join(f"{n} {group}" for group, n in report["train"].items() if group != "all")
    line = f"{report['kept']} of {report['found']} photographs: {report['train']['all']} to train on ({groups}), "
    line += f"{report['validation']['all']} for validation"
    if report["looked_at"] < report["found"]:
        line += f"\nnot looked at: {report['found'] - report['looked_at']} beyond data.limit or data.limit_per_group"
    if report["balance"]:
        line += "\nbalance: " + ", ".join(f"{name} {round(value, 3)}" for name, value in report["balance"].items())
    if report["left_out"]:
        reasons = ", ".join(f"{count} {reason}" for reason, count in report["left_out"].items())
        line += f"\nleft out: {reasons} (listed in data_report.json)"
    if report["passed_over"]:
        kinds = report.get("passed_over_kinds", {"other files": report["passed_over"]})  # runs of before have no kinds
        line += "\npassed over: " + ", ".join(f"{count} {what}" for what, count in kinds.items())
    return line
