"""Somebody who means harm to `colorjax serve`, from another address of this machine; `serve.py --besieged` runs it.

Both attacks go on at once: 260 connections that ask for a copy and never read it, and uploads of one pixel without a cookie.
The attacker is a process of its own. Aimed at `dummy`, which has one answer for everything, it shows what itself costs.
"""

import contextlib
import http.client
import io
import itertools
import multiprocessing
import os
import selectors
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from PIL import Image

ADDRESS = "127.0.0.2"
_DEAF, _UPLOADERS = 260, 8
_ANSWER = b"HTTP/1.1 204 No Content\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@contextlib.contextmanager
def going_on(port: int, copy: str, cookie: str, nice: int, rate: float) -> Iterator[dict[str, Any]]:
    """Both attacks on a port, as long as the context lasts; what is yielded is filled in at its end.

    copy, cookie: the path of a copy that is ready, and whose it is. nice: of the process. rate: uploads a second at most.
    Filled in: `seconds` of CPU; how many `connections` that read nothing; `uploads`, the Counter of how they were answered.
    """
    done: dict[str, Any] = {}
    context = multiprocessing.get_context("spawn")
    ends, told = context.Event(), context.Queue()
    process = context.Process(target=_besiege, args=(port, copy, cookie, nice, rate, ends, told))
    process.start()
    try:
        told.get(timeout=60)
        time.sleep(3)
        yield done
    finally:
        ends.set()
        done.update(told.get(timeout=60))
        process.join()


@contextlib.contextmanager
def dummy(nice: int) -> Iterator[int]:
    """The port of a server, in a process of its own, that has one answer for everything."""
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    process = context.Process(target=_answer_all, args=(told, nice), daemon=True)
    process.start()
    try:
        yield told.get(timeout=60)
    finally:
        process.terminate()
        process.join()


def _besiege(port: int, copy: str, cookie: str, nice: int, rate: float, ends: Any, told: Any) -> None:
    os.nice(nice)
    over = threading.Event()
    threading.Thread(target=lambda: ends.wait() and over.set()).start()  # hundreds who wait for `ends` wake up slowly
    before, stream = time.process_time(), io.BytesIO()
    Image.new("L", (1, 1)).save(stream, "PNG")
    pixel, turns, start, lock = stream.getvalue(), itertools.count(), time.monotonic(), threading.Lock()
    answered, opened = Counter(), itertools.count()

    def never_reads() -> None:
        asked = f"GET {copy} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookie}\r\n\r\n".encode()
        while not over.is_set():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 5, (ADDRESS, 0)) as connection:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                connection.sendall(asked)
                next(opened)
            over.wait(10)

    def takes_places() -> None:
        while not over.wait(max(0.0, start + next(turns) / rate - time.monotonic())):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10, source_address=(ADDRESS, 0))
            try:
                connection.request("POST", "/api/photographs?name=p.png", pixel)
                answer = str(connection.getresponse().status)
            except (OSError, http.client.HTTPException):
                answer = "closed"
            connection.close()
            with lock:
                answered[answer] += 1

    with ThreadPoolExecutor(_DEAF + _UPLOADERS) as pool:
        for job in [never_reads] * _DEAF + [takes_places] * _UPLOADERS:
            pool.submit(job)
        told.put("begun")
    told.put({"seconds": time.process_time() - before, "connections": next(opened), "uploads": answered})


def _answer_all(told: Any, nice: int) -> None:
    os.nice(nice)
    listening = socket.create_server(("127.0.0.1", 0), backlog=512)
    told.put(listening.getsockname()[1])
    with selectors.DefaultSelector() as waiting:
        waiting.register(listening, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj is listening:
                    waiting.register(listening.accept()[0], selectors.EVENT_READ)
                    continue
                waiting.unregister(key.fileobj)
                with contextlib.suppress(OSError), key.fileobj as connection:
                    connection.recv(65_536)
                    connection.sendall(_ANSWER)
