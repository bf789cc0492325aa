"""Little time and little memory, for files that ask for much."""

import contextlib
import time

ROOM = 256 * 2**20  # bytes that refusing a file may take beyond what is taken already


@contextlib.contextmanager
def little_room():
    """Little time, and little memory, where the system can say so: what asks for more gets a MemoryError."""
    start, limit = time.thread_time(), None
    with contextlib.suppress(ImportError, OSError):
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)
        with open("/proc/self/statm") as file:
            taken = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (taken + ROOM, limit[1]))
    try:
        yield
    finally:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_AS, limit)
    assert time.thread_time() - start < 3, "it took too long"
