"""Many machines at once: `colorize_many.run` as the workers of Ray Data, which brings scheduler, retries and back-pressure."""

import contextlib
import dataclasses
import io
import logging
import os
import pickle
import re
import signal
import socket
import sys
import threading
import uuid
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from colorjax import photos
from colorjax.archive import colorize_many, companions, urls
from colorjax.archive.plan import Job, Options, Outcome
from colorjax.archive.urls import Url
from colorjax.platform import caching
from colorjax.platform.version import VERSION

LOCAL = "local"  # the address of a cluster that is started on this machine, and ends with the run
_TASK = 8  # photographs of one task, at least: what is done anew where a worker dies
_TASKS = 20_000  # at most; Ray keeps 65 kB in mind for each
_RETRIES = 3  # of a task whose worker dies
_PROCESSORS = 2  # of a worker without a GPU, where the machines have so many
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")  # of a terminal
_ANSWER_S = 10.0  # within which an address must answer


@dataclasses.dataclass(frozen=True)
class Setup:
    """What a worker is told.

    ckpt: as `colorize_many.load` takes it. seen: paths that it must see as the machine that asks does, by what they are called.
    """

    ckpt: str
    size: int | None
    flip: bool
    options: Options
    engine: str = "auto"
    seen: dict[str, str] = dataclasses.field(default_factory=dict)
    version: str = VERSION


class Worker:
    """A process that holds the network and colours one task after another; what keeps it from that is its only answer."""

    def __init__(self, setup: Setup):
        self._options, self._problem = setup.options, None
        photos.allow_large(setup.options.max_pixels)
        warnings.filterwarnings("ignore", module="PIL")  # it reports damage that it tolerates
        try:
            if setup.version != VERSION:
                raise ValueError(f"has colorjax {VERSION}, not {setup.version}")
            for path, name in setup.seen.items():
                if not os.path.lexists(path):
                    raise ValueError(f"does not see {name}: give what all machines share, or a URL")
            companions.keys_of(setup.options)  # a key that is there may not be one that this machine can sign with
            caching.keep_compiled()
            self._colorizer = colorize_many.load(setup.ckpt, setup.size, setup.flip, setup.engine)
        except Exception as error:  # an actor that does not start would be tried for ever
            self._problem = ValueError(f"the worker on {socket.gethostname()}: {' '.join(str(error).split())}")

    def __call__(self, table: Any) -> Any:
        """A table of (number, pickled job) -> one of (number, pickled `Outcome`, or the exception that ends the run)."""
        numbers, answers = table["number"].to_pylist(), []
        try:
            if self._problem:
                raise self._problem
            jobs = [pickle.loads(job) for job in table["job"].to_pylist()]
            answers.extend(colorize_many.run(jobs, self._colorizer, self._options))
        except (ValueError, FloatingPointError) as error:
            answers = [error] * len(numbers)
        except OSError as error:  # as where its disk is full: the machine is at fault, and no photograph
            answers = [ValueError(f"the worker on {socket.gethostname()}: {error}")] * len(numbers)
        return _table(number=numbers, answer=[pickle.dumps(answer) for answer in answers])


def run(jobs: list[Job], address: str, workers: int | None, setup: Setup, folders: Sequence[Path | Url]) -> Iterator[Outcome]:
    """Do the jobs on the cluster at `address`; yields what became of each, once, as it is done.

    folders: in or below which the copies go. workers: at most so many, None for as many as there is room for. A job whose
    workers died again and again is tried alone, and then failed. Raises ValueError where Ray is missing or the address does
    not answer, where a worker cannot load the network or does not see what it must; FloatingPointError where the weights are
    broken.
    """
    left = dict(enumerate(_portable(jobs, folders)))
    with contextlib.redirect_stdout(_FirstLines()), _connected(address) as ray, _seen(folders, setup) as setup:
        for size in (max(_TASK, len(jobs) // _TASKS), 1):
            try:
                for number, answer in _colour(ray, left, size, workers, setup) if left else ():
                    if isinstance(answer, Exception):
                        raise answer
                    if left.pop(number, None) is not None:
                        yield dataclasses.replace(answer, job=jobs[number])
            except ray.exceptions.RayError as error:
                raise ValueError(f"--cluster {address}: {_cause(error)}") from error
    for number in left:
        yield Outcome(jobs[number], "failed", f"the worker that coloured it died, {_RETRIES + 1} times")


def _portable(jobs: list[Job], folders: Sequence[Path | Url]) -> list[Job]:
    """The jobs as any machine can do them, each of which knows whether the place of its copy is free."""
    there = {file for folder in folders if isinstance(folder, Url) for file in urls.listed(folder)}

    def absolute(place: Path | Url) -> Path | Url:
        return place.absolute() if isinstance(place, Path) else place

    def free(target: Path | Url) -> bool:
        return target not in there if isinstance(target, Url) else not os.path.lexists(target)

    return [
        dataclasses.replace(job, source=absolute(job.source), target=absolute(job.target), free=free(job.target))
        for job in jobs
    ]


@contextlib.contextmanager
def _seen(folders: Sequence[Path | Url], setup: Setup) -> Iterator[Setup]:
    """The setup, with a file in each folder for copies, which a worker sees only where its folder is ours."""
    tokens: dict[Path, Path] = {}
    try:
        for folder in folders:
            if isinstance(folder, Path):
                folder.mkdir(parents=True, exist_ok=True)
                token = folder.absolute() / f".{uuid.uuid4().hex}.cluster"
                tokens[token] = folder
                token.touch()
        seen = {str(token): f"the folder for copies, {folder}" for token, folder in tokens.items()}
        yield dataclasses.replace(setup, seen=setup.seen | seen)
    finally:
        for token in tokens:
            token.unlink(missing_ok=True)


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Ray, connected; a cluster that was started for us ends with the block."""
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ValueError('--cluster needs Ray: pip install "colorjax[cluster]"') from error
    _check_answers(address)
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM)
    try:
        local = {"include_dashboard": False} if address == LOCAL else {}
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **local)
        except (OSError, RuntimeError) as error:
            raise ValueError(f"--cluster {address}: {_cause(error)}") from error
        if main:
            signal.signal(signal.SIGTERM, before)  # Ray puts its own in the place of ours
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)
        yield ray
    finally:
        ray.shutdown()


def _check_answers(address: str) -> None:
    """Raises ValueError where nothing listens there: Ray itself would wait for minutes."""
    host, colon, port = address.rpartition("://")[2].rpartition(":")
    if not (colon and port.isdigit()):
        if address in (LOCAL, "auto"):
            return
        raise ValueError(f"--cluster {address}: legal are local, auto and HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_S).close()
    except OSError as error:
        raise ValueError(f"--cluster {address} does not answer: {error}") from error


def _colour(ray: Any, jobs: dict[int, Job], size: int, workers: int | None, setup: Setup) -> Iterator[tuple[int, Any]]:
    """(number, answer) for each job, `size` to a task; none for those of a task whose workers died too often."""
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1
    context.max_consecutive_actor_init_deaths = _RETRIES
    items = list(jobs.items())
    tasks = [items[start : start + size] for start in range(0, len(items), size)]
    tables = [_table(number=[n for n, _ in task], job=[pickle.dumps(job) for _, job in task]) for task in tasks]
    there = ray.cluster_resources()
    machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    machines = [machine for machine in machines if machine.get("GPU")] or machines
    processors = min(_PROCESSORS, max((machine.get("CPU", 0) for machine in machines), default=0))
    if processors < 1:
        print("no machine of the cluster has a processor to give yet", file=sys.stderr)
    need = {"num_cpus": max(1, processors), "num_gpus": 1 if there.get("GPU") else 0}
    first = workers or int(there["GPU"] if need["num_gpus"] else there.get("CPU", 0) // need["num_cpus"])
    # One is enough to go on: one that has lost its machine gets the place of one that has nothing left to do.
    pool = ray.data.ActorPoolStrategy(
        min_size=1,
        max_size=workers,
        initial_size=min(max(1, first), len(tasks)),
        max_tasks_in_flight_per_actor=1 if size == 1 else None,  # what waits for a worker dies with it, too
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # from 2.64 on, Ray Data will not let retries be limited
        answers = ray.data.from_arrow(tables).map_batches(
            Worker,
            fn_constructor_args=(setup,),
            batch_size=size,
            batch_format="pyarrow",
            compute=pool,
            max_restarts=-1,
            max_task_retries=_RETRIES,
            **need,
        )
    for row in answers.iter_rows():
        yield row["number"], pickle.loads(row["answer"])


def _table(**columns: list) -> Any:
    import pyarrow

    return pyarrow.table(columns)


def _cause(error: BaseException) -> str:
    """The last line of what Ray says, which is the error at the bottom of it."""
    return _COLOURS.sub("", str(error)).strip().rpartition("\n")[2].strip() or type(error).__name__


class _FirstLines(io.TextIOBase):
    """What Ray prints of its cluster, as a worker that died, goes to stderr in one line each: stdout is ours."""

    def write(self, text: str) -> int:
        if line := _COLOURS.sub("", text).strip().partition("\n")[0]:
            print(line, file=sys.stderr)
        return len(text)
