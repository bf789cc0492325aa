"""Work that waits its turn: a lane is one thread, which serves visitors in turn and gives each piece of work a time limit."""

import contextlib
import itertools
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Hashable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from typing import Any

_PATIENCE = 1.0  # seconds
_LONG = 20.0  # seconds of waiting that make a task urgent
_GENTLE = 5  # niceness: more would keep the interpreter from others while such a thread has it
_STUCK = 5.0  # times as long as it may: a task that has not been brought to an end by then never will be


class Superseded(Exception):
    """A later piece of work has taken the place of this one."""


class TooLong(Exception):
    """A piece of work took longer than it may."""


@dataclass(eq=False)
class Task:
    """A piece of work. urgency: the smaller, the sooner. key: of tasks with one key, the latest alone is done."""

    work: Callable[["Task"], Any]
    visitor: Hashable
    key: Hashable
    urgency: int
    future: Future = field(default_factory=Future)
    deadline: float = float("inf")
    since: float = field(default_factory=time.monotonic)
    begun: bool = False

    def check(self) -> None:
        """For work of several steps. Raises TooLong where its time is over, and Superseded where nobody wants it any more."""
        if time.monotonic() > self.deadline:
            raise TooLong
        if self.future.done():
            raise Superseded


class Lane:
    """One thread that does tasks: the urgent ones and those that have waited long first, of these each visitor's first, each
    visitor's second, and so on.

    A task that takes more than `seconds` fails with TooLong there and then. A thread cannot be stopped, so what it does goes
    on until it looks at `Task.check`, and the others wait for that. Tasks that are not urgent wait up to `_PATIENCE` each for
    the lane `before` to be empty. gentle: its thread, and those that it starts, leave the processor to others.
    """

    def __init__(self, name: str, seconds: float, before: "Lane | None" = None, gentle: bool = False):
        self._before, self._gentle, self._seconds = before, gentle, seconds
        self._changed, self._open = threading.Condition(), True
        self._waiting: list[Task] = []
        self._current: Task | None = None
        self._turns = itertools.count(1)
        self._served: dict[Hashable, int] = {}  # of visitors who wait: when it was last their turn
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def works(self) -> bool:
        """Whether there is still somebody here who takes one task after another."""
        task = self._current
        stuck = task is not None and time.monotonic() > task.deadline + (_STUCK - 1) * self._seconds
        return self._thread.is_alive() and not stuck

    def submit(
        self, work: Callable[[Task], Any], visitor: Hashable, key: Hashable, urgency: int = 0, shared: bool = False
    ) -> Task:
        """Let the work be done; of waiting tasks with this key, older ones fail with Superseded.

        shared: the work is always the same; one that is waiting already is the one for both.
        """
        task = Task(work, visitor, key, urgency)
        with self._changed:
            older = [other for other in self._waiting if other.key == key]
            if shared and older:
                return older[-1]
            self._waiting = [other for other in self._waiting if other.key != key]
            self._waiting.append(task)
            self._changed.notify_all()
        for other in older:
            _fail(other, Superseded())
        return task

    def ahead(self, task: Task) -> int | None:
        """How many tasks will be done before this one, the one that is being done among them; None once it has begun."""
        with self._changed:
            order = self._in_order()
            if task not in order:
                return None
            return order.index(task) + (self._current is not None)

    def forget(self, belongs: Callable[[Hashable], bool]) -> None:
        """Drop the tasks whose key belongs to what is gone."""
        with self._changed:
            gone = [task for task in self._waiting if belongs(task.key)]
            self._waiting = [task for task in self._waiting if task not in gone]
            gone += [self._current] if self._current and belongs(self._current.key) else []
        for task in gone:
            _fail(task, Superseded())

    def close(self) -> None:
        """Begin nothing more."""
        with self._changed:
            self._open = False
            self._changed.notify_all()

    def until_empty(self, seconds: float) -> None:
        """Wait until nothing is waiting here or being done, but not longer than so many seconds."""
        with self._changed:
            self._changed.wait_for(lambda: not self._waiting and self._current is None, seconds)

    def _in_order(self) -> list[Task]:
        before: Counter = Counter()
        ranked, long_ago = [], time.monotonic() - _LONG
        for number, task in enumerate(self._waiting):
            urgency = task.urgency if task.since > long_ago else 0
            ranked.append((urgency, before[urgency, task.visitor], self._served.get(task.visitor, 0), number))
            before[urgency, task.visitor] += 1
        return [self._waiting[rank[-1]] for rank in sorted(ranked)]

    def _run(self) -> None:
        if self._gentle and sys.platform == "linux":  # elsewhere a thread has no priority of its own
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _GENTLE)
        while True:
            with self._changed:
                self._current = None
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting or not self._open)
                if not self._open:
                    return
                task = self._current = self._in_order()[0]
                self._waiting.remove(task)
                here = {other.visitor for other in self._waiting} | {task.visitor}
                self._served = {visitor: turn for visitor, turn in self._served.items() if visitor in here}
                self._served[task.visitor] = next(self._turns)
            if self._before is not None and task.urgency > 0:
                self._before.until_empty(_PATIENCE)
            self._do(task)
            del task  # nothing of it outlives it here

    def _do(self, task: Task) -> None:
        task.begun, task.deadline = True, time.monotonic() + self._seconds
        clock = threading.Timer(self._seconds, lambda: _fail(task, TooLong()))
        clock.daemon = True
        clock.start()
        try:
            task.check()
            result = task.work(task)
        except BaseException as error:
            _fail(task, error)
        else:
            with contextlib.suppress(InvalidStateError):  # the first word counts
                task.future.set_result(result)
        finally:
            clock.cancel()


def _fail(task: Task, error: BaseException) -> None:
    with contextlib.suppress(InvalidStateError):  # it has been told how it ended
        task.future.set_exception(error)
