"""An HTTP server on a socket of its own, with and without TLS."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from services.chassis.certificates import Identity
from services.onion.api.http1 import HttpLimits, HttpServer
from services.onion.bootstrap import tls_context
from tests.integration.onion.http_front.serving import Serve, Site


@pytest.fixture(scope="module")
def tls() -> ssl.SSLContext:
    return tls_context(Identity.make("front"))


@pytest.fixture(params=["tls", "plain"])
def serve(request: pytest.FixtureRequest, tls: ssl.SSLContext, connect: Any) -> Serve:
    """Return ``serve(**limits)``: a context of (server, site, connect)."""
    encrypted = request.param == "tls"

    @asynccontextmanager
    async def start(**limits: Any) -> AsyncIterator[tuple[HttpServer, Site, Callable[[], Awaitable[Any]]]]:
        site = Site()
        server = HttpServer(site, HttpLimits(**{"linger_time": 0.3} | limits), tls if encrypted else None)
        port = await server.start("127.0.0.1", 0)
        try:
            yield server, site, lambda: connect(port, tls=encrypted)
        finally:
            await server.stop()
            assert server.under_way == 0
            assert server.held == 0
            assert server.connections == 0

    return start
