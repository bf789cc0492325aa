"""A server of the page in a thread, as `colorjax serve` starts it, and visitors of it."""

import contextlib
import functools
import io
import threading
import time

import httpx2
import numpy as np
import uvicorn
from PIL import Image

from colorjax.web import connections, server


@contextlib.contextmanager
def running(application, proxies=(), listening=None, **options):
    """(port, its uvicorn.Server)"""
    config = uvicorn.Config(
        application,
        log_level="critical",
        http=functools.partial(connections.Patient, proxies=proxies, guests=application.state.guests),
        ws="none",
        proxy_headers=False,
        timeout_graceful_shutdown=1,
        **options,
    )
    with listening or server._listening("127.0.0.1", 0) as listening:
        there = uvicorn.Server(config)
        thread = threading.Thread(target=there.run, kwargs={"sockets": [listening]})
        thread.start()
        while not there.started:
            time.sleep(0.01)
        try:
            yield listening.getsockname()[1], there
        finally:
            there.should_exit = True
            thread.join(10)


@contextlib.contextmanager
def visiting(base, address="127.0.0.1", **options):
    """An httpx2.Client from another address of this machine, which has its cookie."""
    transport = httpx2.HTTPTransport(local_address=address, verify=False)
    with httpx2.Client(base_url=base, transport=transport, timeout=30, **options) as client:
        client.get("api/about").raise_for_status()
        yield client


def noise(height, width, seed=0):
    """A PNG that hardly gets smaller than its pixels."""
    stream = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width), np.uint8)
    Image.fromarray(pixels).save(stream, "PNG", compress_level=1)
    return stream.getvalue()
