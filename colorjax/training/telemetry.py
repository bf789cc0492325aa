"""What a run tells: metrics.jsonl, TensorBoard and other sinks, the progress bar; and how it is told to stop."""

import io
import json
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, Protocol

import jax
from PIL import Image
from tqdm import tqdm

from colorjax import photos
from colorjax.evaluation import history


class Sink(Protocol):
    """Where the course of a run is told as well: a program for experiments, a database. `train(config, workdir, sinks=[...])`.

    What it raises ends the run. A run that was cut off makes its steps again, and tells them again.
    """

    def scalars(self, kind: str, step: int, values: dict[str, float]) -> None:
        """The numbers of a step; `kind` is "train" or "validation"."""

    def picture(self, name: str, step: int, image: Image.Image) -> None:
        """A picture of a step, in RGB: "panels", photographs beside what the network makes of them."""

    def close(self) -> None:
        """The run has ended, well or not."""


class Writer:
    """Rows to `metrics.jsonl`, scalars and pictures to TensorBoard and further sinks, by the first process alone.

    Rows after `resume_step` (of a run cut off) are dropped from both files: the steps are made again.
    """

    def __init__(self, workdir: Path, resume_step: int, sinks: Sequence[Sink] = ()):
        self._silent = jax.process_index() > 0
        if self._silent:
            return
        self._path = workdir / history.ROWS
        rows = [row for row in history.read_rows(workdir) if row["step"] <= resume_step]
        with photos.atomic(self._path) as stream:
            stream.writelines(_line(row) for row in rows)
        self._file = open(self._path, "ab")  # noqa: SIM115, closed by close()
        self._sinks: list[Sink] = [TensorBoard(workdir / "tensorboard", resume_step), *sinks]

    def write(self, kind: str, step: int, values: dict[str, float]) -> None:
        """One row; `kind` is "train" or "validation"."""
        if self._silent:
            return
        self._file.write(_line({"kind": kind, "step": step, **values}))
        self._file.flush()
        for sink in self._sinks:
            sink.scalars(kind, step, values)

    def picture(self, name: str, step: int, image: Image.Image) -> None:
        """A picture for the sinks that show some."""
        for sink in () if self._silent else self._sinks:
            sink.picture(name, step, image)

    def sync(self) -> None:
        """Have the rows on disk before the checkpoint that goes on after them."""
        if not self._silent:
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Write what is left and close the files; every sink is closed, also where another fails."""
        if self._silent:
            return
        with ExitStack() as stack:
            stack.callback(self._file.close)
            for sink in self._sinks:
                stack.callback(sink.close)

    def __enter__(self) -> "Writer":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class TensorBoard:
    """The `Sink` that every run has: event files in a folder, in which what is later than `resume_step` becomes void."""

    def __init__(self, folder: Path, resume_step: int):
        from tensorboard.summary import Writer as Scalars

        self._pictures = _start_events(folder, resume_step)
        self._scalars = Scalars(str(folder))

    def scalars(self, kind: str, step: int, values: dict[str, float]) -> None:
        """One point on each curve."""
        for name, value in values.items():
            self._scalars.add_scalar(f"{kind}/{name}", value, step)
        if kind == "validation":
            self._scalars.flush()

    def picture(self, name: str, step: int, image: Image.Image) -> None:
        """One picture, as PNG."""
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        stream = io.BytesIO()
        image.convert("RGB").save(stream, "PNG")
        shown = Summary.Image(height=image.height, width=image.width, colorspace=3, encoded_image_string=stream.getvalue())
        summary = Summary(value=[Summary.Value(tag=name, image=shown)])
        self._pictures.add_event(Event(wall_time=time.time(), step=step, summary=summary))
        self._pictures.flush()

    def close(self) -> None:
        """Close the files."""
        self._scalars.close()
        self._pictures.close()


def _start_events(folder: Path, resume_step: int) -> Any:
    """Tell TensorBoard that a run starts here; from the second time on, what it has seen of later steps is void.

    Returns the writer, for what must come after that.
    """
    from tensorboard.compat.proto.event_pb2 import Event, SessionLog
    from tensorboard.summary.writer.event_file_writer import EventFileWriter

    writer = EventFileWriter(str(folder), filename_suffix=".start")
    writer.add_event(Event(wall_time=time.time(), step=resume_step + 1, session_log=SessionLog(status=SessionLog.START)))
    writer.flush()
    return writer


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
