"""Connections that keep a place from others: who says or takes nothing, or hardly anything, and too many of one address."""

import asyncio
import socket
import struct
import sys
from collections import Counter
from collections.abc import Callable, Container
from typing import Any

import h11
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from colorjax.web.addresses import is_local, of_one
from colorjax.web.security import TOO_MUCH, Guests

CONNECTIONS = 384  # at once; who comes then is told to come again
_CROWDED = 256  # from so many on, those that let the server wait make room for others
_HURRY = 1.0  # seconds that one may let it wait then
_ROOM = 32  # so many go at a time then
_UNREAD = 50.0  # requests that an answer costs which is asked for and not taken
_OF_ONE = 128  # of one address, and as many requests, behind which there may be a class of people
_HEADER = 15.0  # seconds that a connection may take from its first byte, or none, to a whole header of a request
_UNWANTED = 60.0  # seconds that the rest of a body may take that has been answered already
_TICK = 0.5  # seconds between looks at who takes an answer
_DROP = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)  # SO_LINGER: for no time at all

_REFUSAL = (
    "HTTP/1.1 429 Too Many Requests\r\nConnection: close\r\nRetry-After: 60\r\nCache-Control: no-store\r\n"
    f"Content-Type: text/plain; charset=utf-8\r\nContent-Length: {len(TOO_MUCH)}\r\n\r\n{TOO_MUCH}"
).encode()

SILENCE = 30.0  # seconds that may pass without a byte
SLOWEST = 20_000  # bytes a second that must come, or be taken, on average after that


class Patience:
    """How long one waits for somebody's bytes. It is used up by waiting and comes back with the bytes, never more of it than
    there was: nobody who was quick at first may be slow for the longer. left: seconds."""

    def __init__(self) -> None:
        self.left = SILENCE

    def wait(self, seconds: float, size: int) -> None:
        """So long it took until so many bytes had moved."""
        self.left = min(SILENCE, self.left - seconds + size / SLOWEST)


class _Watched:
    """A transport that is given up where the other side takes too little of what is written to it.

    lingers: asked before it is closed; True where that is put off. moved: when the other side took something last, or there
    was nothing that it could have taken; on the loop's clock.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, lingers: Callable[[], bool]):
        self._transport, self._loop, self._patience, self._lingers = transport, loop, Patience(), lingers
        self._clock: asyncio.TimerHandle | None = None
        self._given, self._taken, self._closed = 0, 0, False
        self.moved = loop.time()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    @property
    def pending(self) -> bool:
        """Whether something written has not been taken yet."""
        return self._transport.get_write_buffer_size() > 0

    def write(self, data: bytes) -> None:
        if not self.pending:
            self.moved = self._loop.time()
        self._given += len(data)
        self._transport.write(data)
        if self._clock is None and self.pending:
            self._clock = self._loop.call_later(_TICK, self._look)

    def close(self) -> None:
        self._closed = True
        if not self._lingers():
            self._transport.close()

    def is_closing(self) -> bool:
        return self._closed or self._transport.is_closing()

    def abort(self) -> None:
        """Close at once; what has not been taken is dropped, in the system's memory too."""
        if (connection := self._transport.get_extra_info("socket")) is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _DROP)
        self._transport.abort()

    def forget(self) -> None:
        """It is closed."""
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _look(self) -> None:
        left, before = self._transport.get_write_buffer_size(), self._taken
        self._clock, self._taken = None, self._given - left
        if self._taken > before:
            self.moved = self._loop.time()
        self._patience.wait(_TICK if left else 0, self._taken - before)
        if self._patience.left <= 0:
            self.abort()  # close() would wait for what is left to be taken
        elif left:
            self._clock = self._loop.call_later(_TICK, self._look)


class Patient(H11Protocol):
    """uvicorn's HTTP/1.1, which itself waits for a header, and for an answer to be taken, for ever.

    proxies: who may have all places, as this machine may. Where places are few, those who let the server wait go first, of
    the address that has most of them. guests: of whom one without credit is refused, some time later, by what a request begins
    with; nothing else of it is read. Those of a proxy are refused by `Toll`.
    """

    def __init__(self, *args: Any, proxies: Container[str] = (), guests: Guests | None = None, **options: Any):
        super().__init__(*args, **options)
        self._proxies, self._clock, self._gone, self._lingering = proxies, None, False, False
        self._guests, self._guest = guests, None

    def connection_made(self, transport: asyncio.Transport) -> None:
        self._watched, self._heard = _Watched(transport, self.loop, self._lingers), self.loop.time()
        super().connection_made(self._watched)
        self.address = of_one(_host(self))
        if self._too_many():
            transport.close()
        else:
            self._make_room()
            self._wind(_HEADER)

    def data_received(self, data: bytes) -> None:
        self._heard = self.loop.time()
        if self._lingering or self._refused(data):
            return
        super().data_received(data)
        if self._busy():
            self._stop()
        elif self._clock is None:  # the beginning of a header, or the rest of a body
            self._wind(_UNWANTED if self.conn.their_state is h11.SEND_BODY else _HEADER)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        self._watched.forget()
        self._lingering = True  # there is nobody any more
        if self._guest is not None and self.flow.write_paused:
            self._guests.credit.spend(self._guest, _UNREAD)
        super().connection_lost(exc)

    def late(self) -> float:
        """Seconds that the other side has let this one wait; 0 where it is the one that waits."""
        since = self._watched.moved
        if not self._watched.pending:
            if self._busy() and (self.flow.read_paused or not self.cycle.more_body):
                return 0.0
            since = max(since, self._heard)
        return self.loop.time() - since

    def _lingers(self) -> bool:
        """Where a body is still coming, closing would take the answer away from who sends it: no more is said, and the rest
        of it is let in and forgotten for a while."""
        if self._lingering or self.conn.their_state is not h11.SEND_BODY:
            return False
        self._lingering = True
        self._watched.write_eof()
        self.flow.resume_reading()
        self._stop()
        self._wind(_UNWANTED)
        return True

    def _refused(self, data: bytes) -> bool:
        """Whether these bytes begin a request of somebody without credit. They hear so after a while."""
        host = _host(self)
        if self._guests is None or host in self._proxies or self.conn.their_state is not h11.IDLE or self.conn.trailing_data[0]:
            return False
        self._guest = self._guests.name(host, data)
        wait = self._guests.credit.wait(self._guest) if self._guest is not None else 0.0
        if not wait:
            return False
        self._guests.credit.spend(self._guest)
        self._lingering = True
        self.flow.pause_reading()
        self._stop()
        self._clock = self.loop.call_later(wait, self._refuse)
        return True

    def _refuse(self) -> None:
        self.transport.write(_REFUSAL)
        self.transport.close()

    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _too_many(self) -> bool:
        host = _host(self)
        if host is None or is_local(host) or host in self._proxies:
            return False
        return sum(other.address == self.address for other in self.connections) > _OF_ONE

    def _make_room(self) -> None:
        here = [other for other in self.connections if other is not self and not other._gone]
        if len(here) < _CROWDED:
            return
        crowd = Counter(other.address for other in here)
        late = [other for other in here if other.late() > _HURRY]
        late.sort(key=lambda other: (crowd[other.address], other.late()), reverse=True)
        for other in late[: len(here) - _CROWDED + _ROOM]:
            other._gone = True
            other.transport.abort()

    def _wind(self, seconds: float) -> None:
        self._clock = self.loop.call_later(seconds, self._give_up)

    def _stop(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _give_up(self) -> None:
        if not self._busy():
            self.transport.close()


class Shares:
    """ASGI middleware: one address other than this machine has so many requests under way, whichever way they come."""

    def __init__(self, app: ASGIApp):
        self._app, self._under_way = app, Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = (scope.get("client") or ("",))[0]
        if scope["type"] != "http" or is_local(host):
            await self._app(scope, receive, send)
            return
        one = of_one(host)
        if self._under_way[one] >= _OF_ONE:
            words = "Too many requests come from your network just now; please try again in a moment."
            await PlainTextResponse(words, 503, {"Retry-After": "5"})(scope, receive, send)
            return
        self._under_way[one] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._under_way[one] -= 1
            if not self._under_way[one]:
                del self._under_way[one]


def _host(connection: H11Protocol) -> str | None:
    return connection.client[0] if connection.client else None
