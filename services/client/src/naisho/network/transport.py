"""HTTPS and HTTP requests to nodes, bounded in time and size.

Certificates of nodes are not checked here: integrity and secrecy are the onion layers' (wire 2.2, 4.1), and what a
directory says is believed because of its signatures. Environment variables do not change where requests go; a proxy is
an explicit setting.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, NamedTuple, Self

from naisho.protocol.directory import Endpoint, Node, Transport

if TYPE_CHECKING:
    import httpx

#: Above the wire's limit of a request (wire 5.7), with room for framing.
MAX_ANSWER_BYTES = 11 * 1024 * 1024
CONNECT_SECONDS = 5.0
ONION_PATH = "/onion_req/v2"


class Unreachable(Exception):
    """No connection, or none that lasted. Holds no address, so that it may be logged."""


class Silent(Exception):
    """Connected, but no whole answer in time."""


class HttpAnswer(NamedTuple):
    """Status code and body of an answer."""

    status: int
    body: bytes


class NodeTransport:
    """Connections to nodes, kept open and shared by all requests of one client."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    @classmethod
    @asynccontextmanager
    async def open(
        cls, *, proxy: str | None = None, transport: httpx.AsyncBaseTransport | None = None
    ) -> AsyncIterator[Self]:
        """Open a transport for the length of a ``with`` block.

        Args:
            proxy: URL of an HTTP proxy that all connections go through.
            transport: what carries the requests instead of sockets; for tests.
        """
        import httpx  # noqa: PLC0415 - slow to import, not needed for every command

        async with httpx.AsyncClient(
            verify=False,  # noqa: S501 - see the module's text
            trust_env=False,
            follow_redirects=False,
            proxy=proxy,
            transport=transport,
            limits=httpx.Limits(max_connections=32, max_keepalive_connections=8, keepalive_expiry=60),
            headers={"User-Agent": "naisho", "Accept": "*/*", "Accept-Encoding": "identity"},
        ) as client:
            yield cls(client)

    async def post(self, node: Node, path: str, body: bytes, *, seconds: float) -> HttpAnswer:
        """Send a body to a node's HTTPS address.

        Args:
            node: who gets it.
            path: of the URL, with its leading slash.
            body: what to send, sent as it is.
            seconds: until the whole answer must be here.

        Raises:
            Unreachable: no connection.
            Silent: no answer in time, or a cut or oversized one.
        """
        return await self._request("POST", node_url(node, Transport.HTTPS, path), body, seconds)

    async def get(self, url: str, *, seconds: float) -> HttpAnswer:
        """Fetch a URL of a seed or a node; raises as `post` does."""
        return await self._request("GET", url, b"", seconds)

    async def _request(self, method: str, url: str, body: bytes, seconds: float) -> HttpAnswer:
        import httpx  # noqa: PLC0415 - loaded by then

        timeout = httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds))
        try:
            # httpx limits every single read; only this limits an answer that drips for ever.
            async with (
                asyncio.timeout(seconds),
                self._client.stream(method, url, content=body or None, timeout=timeout) as response,
            ):
                return HttpAnswer(response.status_code, await _read(response))
        except TimeoutError:
            raise Silent("no whole answer in time") from None
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.InvalidURL) as error:
            raise Unreachable(type(error).__name__) from None
        except httpx.HTTPError as error:
            raise Silent(type(error).__name__) from None


async def _read(response: httpx.Response) -> bytes:
    chunks, size = [], 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > MAX_ANSWER_BYTES:
            raise Silent("the answer is larger than any may be")
        chunks.append(chunk)
    return b"".join(chunks)


def node_url(node: Node, transport: Transport, path: str) -> str:
    """Return the URL of a path at a node's HTTPS or seed address.

    Raises:
        Unreachable: the node has no such address.
    """
    endpoint = node.endpoint(transport)
    if endpoint is None:
        raise Unreachable("no such address")
    scheme = "http" if transport is Transport.SEED else "https"
    return f"{scheme}://{_authority(endpoint)}{path}"


def _authority(endpoint: Endpoint) -> str:
    host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
    return f"{host}:{endpoint.port}"
