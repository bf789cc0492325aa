"""Connections that keep a place from others: those that say nothing, or hardly anything, and too many of one machine."""

import asyncio
import ipaddress

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

CONNECTIONS = 256  # at once; who comes then is told to come again
_OF_ONE = 128  # of one address, behind which there may be a class of people
_HEADER = 15.0  # seconds that a connection may take from its first byte, or none, to a whole header of a request
_UNWANTED = 60.0  # seconds that the rest of a body may take that has been answered already


class Patient(H11Protocol):
    """uvicorn's HTTP/1.1, which itself waits for a header for ever. This machine, or a proxy on it, may have all places."""

    _clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        if self._too_many():
            transport.close()
        else:
            self._wind(_HEADER)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._busy():
            self._stop()
        elif self._clock is None:  # the beginning of a header, or the rest of a body
            self._wind(_UNWANTED if self.conn.their_state is h11.SEND_BODY else _HEADER)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _busy(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _too_many(self) -> bool:
        host = _host(self)
        if host is None or _is_local(host):
            return False
        return sum(_host(other) == host for other in self.connections) > _OF_ONE

    def _wind(self, seconds: float) -> None:
        self._clock = self.loop.call_later(seconds, self._give_up)

    def _stop(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _give_up(self) -> None:
        if not self._busy():
            self.transport.close()


def _host(connection: H11Protocol) -> str | None:
    return connection.client[0] if connection.client else None


def _is_local(host: str) -> bool:
    return ipaddress.ip_address(host.partition("%")[0]).is_loopback
