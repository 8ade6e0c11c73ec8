"""Relay to servers outside the network: the address that was checked is the address that is connected to."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Awaitable, Callable
from ipaddress import IPv6Address, ip_address
from typing import Final

import httpx

from naisho.protocol.limits import MAX_ONION_BYTES
from naisho.protocol.onion.routing import ToServer
from services.chassis.packed import Reply
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
        self._client: httpx.AsyncClient | None = None

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
        except (TimeoutError, httpx.TimeoutException):
            return _TIMED_OUT
        except (OSError, httpx.HTTPError, httpx.InvalidURL) as error:
            return Reply(502, f"The server could not be reached: {type(error).__name__}".encode())
        finally:
            self._under_way -= 1

    async def close(self) -> None:
        """Close what is open."""
        if self._client is not None:
            await self._client.aclose()

    async def _post(self, route: ToServer, address: Address) -> Reply:
        if self._client is None:
            self._client = self._make_client()
        host = f"[{address}]" if isinstance(address, IPv6Address) else str(address)
        name = route.host if route.port == _DEFAULT_PORTS[route.protocol] else f"{route.host}:{route.port}"
        async with self._client.stream(
            "POST",
            f"{route.protocol}://{host}:{route.port}{route.target}",
            content=route.plaintext,
            headers={"Host": name, "Accept-Encoding": "identity", "Content-Type": "application/octet-stream"},
            extensions={"sni_hostname": route.host.strip("[]")},
        ) as response:
            body = bytearray()
            async for part in response.aiter_raw():
                body += part
                if len(body) > MAX_ONION_BYTES:
                    return _TOO_LARGE
        kind = response.headers.get("content-type", "")
        return Reply(response.status_code, bytes(body), binary=not kind.startswith(("text/", "application/json")))

    def _make_client(self) -> httpx.AsyncClient:
        context = ssl.create_default_context()
        if not self._verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        # A kept connection would be found by address, whatever name it was checked for: keep none.
        limits = httpx.Limits(max_connections=self._most, max_keepalive_connections=0)
        client = httpx.AsyncClient(
            verify=context, limits=limits, timeout=self._timeout, follow_redirects=False, trust_env=False
        )
        client.headers.clear()
        return client
