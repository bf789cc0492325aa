"""Where requests come from: what counts as one address, which is this machine, which is a proxy, who has asked for too much."""

import ipaddress
import time

_CREDIT = 1500.0  # requests at once, of about a millisecond each: forty people open the page
_BACK = 30.0  # of them a second
_WAIT = 1.0  # seconds that a refusal is put off at first
_LONGER = 16  # times as long it is at last, of who goes on
_MANY = 10_000  # names, after which those that have all their credit are forgotten
_HERE = ("127.0.0.1", "::1", "::ffff:127.0.0.1")


def of_one(host: str | None) -> str:
    """What counts as one address. Of IPv6 it is the network of 64 bits: a single household has all of it."""
    try:
        address = ipaddress.ip_address((host or "").partition("%")[0])
    except ValueError:
        return (host or "")[:64]
    if address.version == 6:
        return str(address.ipv4_mapped or ipaddress.ip_network((address, 64), strict=False).network_address)
    return str(address)


def is_local(host: str) -> bool:
    """Whether an address is one of this machine alone."""
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def is_here(host: str | None) -> bool:
    """Whether it is who sits at this machine, or a proxy or a tunnel on it, behind which there may be many."""
    return host in _HERE


class Credit:
    """What may still be asked for under a name: that of an address, or of a visitor. It is used up by requests and comes back
    with time. Who goes on without it owes more and more, but no more than is forgotten within a minute."""

    def __init__(self) -> None:
        self._spent: dict[str, tuple[float, float]] = {}  # by name, and when that was
        self._many = _MANY

    def spend(self, name: str, cost: float = 1.0) -> None:
        """So much is asked for, in requests."""
        now = time.monotonic()
        self._spent[name] = (min(self._left(name, now) + cost, 2 * _CREDIT), now)
        if len(self._spent) > self._many:
            self._spent = {one: of for one, of in self._spent.items() if self._left(one, now) > 0}
            self._many = max(_MANY, 2 * len(self._spent))

    def wait(self, name: str) -> float:
        """Seconds that a refusal is put off, the more the more is owed, so that who asks again at once does so seldom; 0.0
        where there is credit, and nothing is refused."""
        owed = self._left(name, time.monotonic()) / _CREDIT - 1
        return _WAIT * _LONGER**owed if owed > 0 else 0.0

    def _left(self, name: str, now: float) -> float:
        spent, when = self._spent.get(name, (0.0, now))
        return max(0.0, spent - _BACK * (now - when))


class Proxies:
    """The proxies whose word counts: addresses and networks, separated by commas, none where the text is empty. Raises
    ValueError for anything else, as for names."""

    def __init__(self, text: str):
        self.named = [one.strip() for one in text.split(",") if one.strip()]
        try:
            self._networks = [ipaddress.ip_network(one) for one in self.named]
        except ValueError as error:
            raise ValueError(
                f"--behind-proxy {text}: {error}; name addresses, as 127.0.0.1, or networks, as 10.0.0.0/8"
            ) from None

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, host: str | None) -> bool:
        try:
            address = ipaddress.ip_address((host or "").partition("%")[0])
        except ValueError:
            return False
        return any(address in network for network in self._networks)
