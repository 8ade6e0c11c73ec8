"""Relay to servers outside the network: the address that was checked is the address that is connected to."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Final

import h11

from naisho.protocol.limits import MAX_ONION_BYTES
from naisho.protocol.onion.routing import ToServer
from services.chassis.packed import Reply
from services.onion.adapters.http_client import AnswerTooLarge, Place, post
from services.onion.domain import answers
from services.onion.domain.relay import Address, RelayRules

_BUSY: Final = Reply(503, answers.BUSY)
_TIMED_OUT: Final = Reply(504, answers.TIMED_OUT)
_TOO_LARGE: Final = Reply(502, b"The server's answer is larger than 10 MiB")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

#: Finds a host's addresses, or raises OSError.
Resolver = Callable[[str, int], Awaitable[list[Address]]]


async def resolve(host: str, port: int) -> list[Address]:
    """Ask the system for a host's addresses.

    Raises:
        OSError: there are none.
    """
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [ip_address(str(place[0]).partition("%")[0]) for *_, place in found]


class OutsideServers:
    """Posts to listed servers, once, following no redirect.

    Args:
        rules: whom to relay to.
        timeout: seconds for the whole exchange (wire 5.3: 25).
        most: exchanges under way at once; beyond, 503.
        verify_tls: check servers' certificates.
        resolver: finds addresses; the system's if None.
    """

    def __init__(
        self, rules: RelayRules, *, timeout: float, most: int, verify_tls: bool, resolver: Resolver | None = None
    ) -> None:
        self._rules = rules
        self._timeout = timeout
        self._most = most
        self._verify = verify_tls
        self._resolve = resolver or resolve
        self._under_way = 0
        self._tls: ssl.SSLContext | None = None

    async def relay(self, route: ToServer) -> Reply:
        """Post a layer's plaintext; see ``Servers``."""
        self._rules.check_host(route.host)
        if self._under_way >= self._most:
            return _BUSY
        self._under_way += 1
        try:
            async with asyncio.timeout(self._timeout):
                addresses = await self._resolve(route.host.strip("[]"), route.port)
                self._rules.check_addresses(addresses)
                return await self._post(route, addresses[0])
        except TimeoutError:
            return _TIMED_OUT
        except AnswerTooLarge:
            return _TOO_LARGE
        except (OSError, h11.RemoteProtocolError) as error:
            return Reply(502, f"The server could not be reached: {type(error).__name__}".encode())
        finally:
            self._under_way -= 1

    async def _post(self, route: ToServer, address: Address) -> Reply:
        host = route.host.strip("[]")
        named = route.host if route.port == _DEFAULT_PORTS[route.protocol] else f"{route.host}:{route.port}"
        headers = [("Host", named), ("Accept-Encoding", "identity"), ("Content-Type", "application/octet-stream")]
        tls = self._context() if route.protocol == "https" else None
        place = Place(str(address), route.port, tls, host)
        answer = await post(place, route.target, headers, route.plaintext, limit=MAX_ONION_BYTES)
        kind = answer.headers.get(b"content-type", b"")
        return Reply(answer.status, answer.body, binary=not kind.startswith((b"text/", b"application/json")))

    def _context(self) -> ssl.SSLContext:
        if self._tls is None:  # made when first needed: most nodes relay to nobody
            self._tls = ssl.create_default_context()
            if not self._verify:
                self._tls.check_hostname = False
                self._tls.verify_mode = ssl.CERT_NONE
        return self._tls
