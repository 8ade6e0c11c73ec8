"""One small HTTP server for those who run the process: ``/metrics``, ``/livez`` and ``/readyz``.

It is off unless it is given an address of its own, and that should not be a public one. ``/livez`` answers whether the
process can answer at all; ``/readyz`` whether it should get work, and if not, why.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple, Self

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import Metric

from services.chassis.lifecycle import Lifecycle, State
from services.chassis.telemetry.metrics import Metrics

_LONGEST_HEAD: Final = 8 * 1024
_MOST_CONNECTIONS: Final = 16
_PATIENCE: Final = 5.0
_PLAIN: Final = "text/plain; charset=utf-8"
_REASONS: Final = {200: "OK", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class _Page(NamedTuple):
    status: int
    body: bytes
    content_type: str = _PLAIN


class TelemetryEndpoint:
    """The server; use as ``async with``, or `start` and `close`.

    Args:
        host: address to listen on.
        port: 0 for any free one; see `port` once started.
        metrics: of the services in the process.
        lifecycles: of the services in the process; see `showing` for services that come and go.
    """

    def __init__(self, host: str, port: int, metrics: Sequence[Metrics], lifecycles: Sequence[Lifecycle]) -> None:
        self.port = port
        self._host = host
        self._metrics = list(metrics)
        self._lifecycles = list(lifecycles)
        self._process = ProcessCollector(registry=None)
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the address is in use or not this machine's.
        """
        self._server = await asyncio.start_server(self._accept, self._host, self.port, limit=_LONGEST_HEAD)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and drop whoever is connected."""
        if self._server is not None:
            self._server.close()
            for connection in self._connections:
                connection.cancel()
            await asyncio.gather(*self._connections, return_exceptions=True)
            await self._server.wait_closed()
            self._server = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @contextlib.contextmanager
    def showing(self, metrics: Metrics, lifecycle: Lifecycle) -> Iterator[None]:
        """Show one more service meanwhile; its metrics are closed at the end."""
        self._metrics.append(metrics)
        self._lifecycles.append(lifecycle)
        try:
            yield
        finally:
            self._metrics.remove(metrics)
            self._lifecycles.remove(lifecycle)
            metrics.close()

    def exposition(self) -> bytes:
        """Return every metric of the process in Prometheus's text format."""
        return generate_latest(_Merged(self._metrics, self._process))

    def page(self, path: str) -> _Page:
        """Return what stands at a path."""
        if path == "/metrics":
            return _Page(200, self.exposition(), CONTENT_TYPE_LATEST)
        if path == "/livez":
            failed = any(lifecycle.state is State.FAILED for lifecycle in self._lifecycles)
            return _Page(503, b"failed\n") if failed else _Page(200, b"alive\n")
        if path == "/readyz":
            unready = [lifecycle for lifecycle in self._lifecycles if not lifecycle.ready]
            lines = (f"{life.name}: {', '.join((life.state.value, *sorted(life.withdrawn)))}\n" for life in unready)
            return _Page(503, "".join(lines).encode()) if unready else _Page(200, b"ready\n")
        return _Page(404, b"/metrics, /livez or /readyz\n")

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self._connections) >= _MOST_CONNECTIONS:
            writer.close()
            return
        task = asyncio.create_task(self._converse(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and close."""
        try:
            with contextlib.suppress(
                OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, UnicodeDecodeError
            ):
                async with asyncio.timeout(_PATIENCE):
                    head = (await reader.readuntil(b"\r\n\r\n")).decode("ascii")
                    method, _, rest = head.partition(" ")
                    path = rest.partition(" ")[0].partition("?")[0]
                    page = self.page(path) if method == "GET" else _Page(405, b"only GET\n")
                    writer.write(
                        f"HTTP/1.1 {page.status} {_REASONS[page.status]}\r\nContent-Type: {page.content_type}\r\n"
                        f"Content-Length: {len(page.body)}\r\nConnection: close\r\n\r\n".encode()
                        + page.body
                    )
                    await writer.drain()
        finally:
            writer.close()


class _Merged(CollectorRegistry):
    """Many registries as one: samples of the same name stand under one heading, as the format demands."""

    def __init__(self, metrics: Iterable[Metrics], process: ProcessCollector) -> None:
        super().__init__(auto_describe=False)
        self._sources = [*metrics, process]

    def collect(self) -> Iterable[Metric]:
        families: dict[str, Metric] = {}
        for source in self._sources:
            for family in source.collect():
                known = families.setdefault(family.name, family)
                if known is not family:
                    known.samples.extend(family.samples)
        return families.values()
