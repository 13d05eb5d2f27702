"""Which addresses the calls of a track may reach, checked when the connection is made.

A name is resolved once, the resulting addresses are checked, and the connection uses one that passed. So neither a name
that resolves to another address a moment later (DNS rebinding) nor an unusual spelling of an address (`2130706433`,
`0x7f.1`) gets around the check.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address

import httpcore
from httpcore import AsyncNetworkBackend, AsyncNetworkStream

_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_SPECIAL = tuple(map(ipaddress.ip_network, ("192.0.0.0/24", "192.88.99.0/24", "64:ff9b:1::/48", "2001::/23")))
"""Not on the public internet by IANA's registries, although `is_global` of some Python versions says so.
https://www.iana.org/assignments/iana-ipv4-special-registry, …/iana-ipv6-special-registry"""
_AT_MOST = 4
"""The most addresses of one name that are tried."""


class RefusedAddressError(Exception):
    """Nothing was sent: the host may not be called, or resolves to no address that may be called."""


def reachable_by_all(address: str) -> bool:
    """Whether an IP address is on the public internet, and not this machine, its network, private or reserved.

    An IPv6 address that stands for an IPv4 address is checked as that. Raises ValueError if it is no address.
    """
    ip = ipaddress.ip_address(address)
    inner = _inner(ip)
    judged = inner if inner is not None else ip
    if any(judged in network for network in _SPECIAL) or (isinstance(judged, IPv6Address) and judged.is_site_local):
        return False
    return judged.is_global and not (judged.is_multicast or judged.is_reserved or judged.is_unspecified)


def _inner(ip: IPv4Address | IPv6Address) -> IPv4Address | None:
    if isinstance(ip, IPv4Address):
        return None
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)


class Receivers:
    """The hosts that may be called.

    Args:
        hosts: only these, at whatever address: `hooks.acme.com`, or `*.acme.com` for all hosts below it.
        public_only: without `hosts`, only addresses on the public internet.
    """

    def __init__(self, hosts: Sequence[str] = (), *, public_only: bool = False) -> None:
        self._exact = frozenset(_plain(host) for host in hosts if not host.startswith("*."))
        self._below = tuple(_plain(host[1:]) for host in hosts if host.startswith("*."))
        self._public_only = public_only and not hosts

    def admit_host(self, host: str) -> None:
        """Raise `RefusedAddressError` for a host that is not allowed."""
        host = _plain(host)
        if (self._exact or self._below) and host not in self._exact and not host.endswith(self._below):
            raise RefusedAddressError

    def admit_spelling(self, host: str) -> None:
        """Check a host that is an IP address in any spelling; a name passes. For calls whose name a proxy resolves."""
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
        except OSError:
            return
        self.admitted(str(entry[4][0]) for entry in found)

    def admitted(self, addresses: Iterable[str]) -> list[str]:
        """The addresses that may be called, in order. Raises `RefusedAddressError` if there is none."""
        found = [one for one in dict.fromkeys(addresses) if not self._public_only or reachable_by_all(one)]
        if not found:
            raise RefusedAddressError
        return found[:_AT_MOST]


def _plain(host: str) -> str:
    return host.strip().strip("[]").rstrip(".").lower()


class JudgingBackend(AsyncNetworkBackend):
    """Connects only to addresses that passed the check."""

    def __init__(self, receivers: Receivers) -> None:
        self._receivers = receivers
        self._network = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> AsyncNetworkStream:
        """Connect to the first allowed address of `host` that answers; `timeout` (seconds) covers all attempts.

        Raises:
            RefusedAddressError: none of the addresses may be called.
            httpcore.ConnectError: there is no such host, or no address answers.
        """
        loop = asyncio.get_running_loop()
        until = None if timeout is None else loop.time() + timeout
        self._receivers.admit_host(host)
        try:
            async with asyncio.timeout(timeout):
                found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except TimeoutError:
            raise httpcore.ConnectTimeout from None
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(type(error).__name__) from None
        *others, last = self._receivers.admitted(str(entry[4][0]) for entry in found)
        for left, address in enumerate(others):
            share = None if until is None else max(until - loop.time(), 0.0) / (len(others) + 1 - left)
            try:
                return await self._network.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                continue
        rest = None if until is None else max(until - loop.time(), 0.0)
        return await self._network.connect_tcp(last, port, rest, local_address, socket_options)

    async def sleep(self, seconds: float) -> None:
        """Wait between attempts; httpcore calls this."""
        await self._network.sleep(seconds)
