"""Where requests come from: what counts as one address, which is this machine, which is a proxy."""

import ipaddress


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
