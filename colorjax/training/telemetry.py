"""What a run tells: metrics.jsonl, TensorBoard, the progress bar; and how it is told to stop."""

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import jax
from tqdm import tqdm

from colorjax import photos
from colorjax.evaluation import history


class Writer:
    """Rows to `metrics.jsonl` and scalars to TensorBoard, by the first process alone.

    Rows after `resume_step` (of a run cut off) are dropped from both: the steps are made again.
    """

    def __init__(self, workdir: Path, resume_step: int):
        self._silent = jax.process_index() > 0
        if self._silent:
            return
        from tensorboard.summary import Writer as TensorBoard

        self._path, events = workdir / history.ROWS, workdir / "tensorboard"
        rows = [row for row in history.read_rows(workdir) if row["step"] <= resume_step]
        with photos.atomic(self._path) as stream:
            stream.writelines(_line(row) for row in rows)
        self._file = open(self._path, "ab")  # noqa: SIM115, closed by close()
        _start_events(events, resume_step)
        self._tensorboard = TensorBoard(str(events))

    def write(self, kind: str, step: int, values: dict[str, float]) -> None:
        """One row; `kind` is "train" or "validation"."""
        if self._silent:
            return
        self._file.write(_line({"kind": kind, "step": step, **values}))
        self._file.flush()
        for name, value in values.items():
            self._tensorboard.add_scalar(f"{kind}/{name}", value, step)
        if kind == "validation":
            self._tensorboard.flush()

    def sync(self) -> None:
        """Have the rows on disk before the checkpoint that goes on after them."""
        if not self._silent:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Write what is left and close the files."""
        if not self._silent:
            self._file.close()
            self._tensorboard.close()

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _start_events(folder: Path, resume_step: int) -> None:
    """Tell TensorBoard that a run starts here; from the second time on, what it has seen of later steps is void."""
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder), filename_suffix=".start")
    writer.add_event(Event(wall_time=time.time(), step=resume_step + 1, session_log=SessionLog(status=SessionLog.START)))
    writer.close()


def _line(row: dict) -> bytes:
    return (json.dumps(row) + "\n").encode()


def progress(total: int, start: int, batch_size: int) -> tqdm:
    """A bar over pictures: share done, time left, img/s. Redrawn ten times a second, or every half minute in a log.

    Only the first process has one.
    """
    return tqdm(
        disable=jax.process_index() > 0,
        total=total * batch_size,
        initial=start * batch_size,
        desc="training",
        unit="img",
        unit_scale=True,
        smoothing=0.05,
        mininterval=0.1 if sys.stderr.isatty() else 30,
        dynamic_ncols=sys.stderr.isatty(),
    )


class Stop:
    """What Ctrl-C and SIGTERM ask for: before `begun` they end the program, with exit code 0, for there is nothing to save;
    after it they are noted in `asked`, and a second one ends the program."""

    def __init__(self):
        self.begun, self.asked = False, ""

    def __call__(self, number: int, _: FrameType | None) -> None:
        """The signal handler."""
        name = signal.Signals(number).name
        if self.asked:
            raise KeyboardInterrupt
        if not self.begun:
            raise SystemExit(0)
        self.asked = name
        os.write(2, f"\n{name}: stopping after this step; once more to stop at once\n".encode())  # print might be busy


@contextmanager
def stop_requests() -> Iterator[Stop]:
    """Ctrl-C and SIGTERM are answered by a `Stop`; in a thread that is not the main one they are the caller's affair."""
    stop = Stop()
    try:
        previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:
        previous = {}
    try:
        yield stop
    except SystemExit as ended:
        if not ended.code and not stop.begun:
            print("stopped before a step was made; the same command goes on from here", flush=True)
        raise
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
