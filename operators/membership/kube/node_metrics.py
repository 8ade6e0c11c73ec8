"""Asking the nodes for their metrics, and what scaling wants to know of them.

Both containers of a node are asked at the pod's own address. A node counts only if both answer in time and whole; what
is wrong with the others is told, never guessed. Pages come from pods that may be broken or lie: time, size and numbers
are checked.
"""

from __future__ import annotations

import asyncio
import io
import math
import ssl
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

import httpx
from prometheus_client.parser import text_fd_to_metric_families

from operators.membership.domain.pool.scaling_window import Sample

ONION_PORT: Final = 9101
SWARM_PORT: Final = 9102

STORES: Final = "naisho_swarm_commands_total"
ONIONS: Final = "naisho_onion_layers_total"
STORE_BYTES: Final = "naisho_swarm_stored_bytes"
CPU_S: Final = "process_cpu_seconds_total"
BEGUN_S: Final = "process_start_time_seconds"
_ONION_WANTED: Final = frozenset({ONIONS, CPU_S, BEGUN_S})
_SWARM_WANTED: Final = frozenset({STORES, STORE_BYTES, CPU_S, BEGUN_S})


class _BadPage(ValueError):
    """The page is not what a node says; the text quotes nothing of it."""


class MetricsPlace(NamedTuple):
    """Where a node tells its metrics: the pod's address, and the port of each container."""

    host: str
    onion_port: int = ONION_PORT
    swarm_port: int = SWARM_PORT


class Scrape(NamedTuple):
    """What came of asking every node once.

    Attributes:
        samples: of the nodes of which everything is known.
        failures: why not, of the others, for people.
    """

    samples: Mapping[str, Sample]
    failures: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapeBounds:
    """Bounds of one scrape.

    Attributes:
        page_s: time for one page, from connecting to its last byte.
        page_bytes: most bytes of one page; a node's has about 10 kB.
        at_once: nodes asked at the same time, with one connection each.
        begin_s: nodes whose turn has not come by then are not asked: rates are of one moment, about.
    """

    page_s: float = 3.0
    page_bytes: int = 512 * 1024
    at_once: int = 32
    begin_s: float = 5.0


@dataclass(slots=True)
class NodeMetrics:
    """Asks nodes for their metrics; use as ``async with``, or `close` at the end."""

    bounds: ScrapeBounds = field(default_factory=ScrapeBounds)
    _client: httpx.AsyncClient = field(init=False)

    def __post_init__(self) -> None:
        """Prepare connections; none is opened yet."""
        self._client = httpx.AsyncClient(
            # Nodes close after each answer. Nothing goes over TLS or a proxy: spare the certificates.
            limits=httpx.Limits(max_connections=self.bounds.at_once, max_keepalive_connections=0),
            timeout=self.bounds.page_s,
            verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
            trust_env=False,
            follow_redirects=False,
            headers={"Accept": "text/plain", "Accept-Encoding": "identity"},
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def scrape(self, places: Mapping[str, MetricsPlace]) -> Scrape:
        """Ask all nodes, each once.

        Args:
            places: by name of the node; leave out nodes whose pod has no address, they are missing all the same.
        """
        samples: dict[str, Sample] = {}
        failures: dict[str, str] = {}
        waiting = iter(places.items())
        deadline = asyncio.get_running_loop().time() + self.bounds.begin_s

        async def ask_on() -> None:
            for name, place in waiting:
                if asyncio.get_running_loop().time() > deadline:
                    failures[name] = "was not asked: the others took too long"
                    continue
                try:
                    samples[name] = await self._ask(place)
                except (httpx.HTTPError, TimeoutError, ValueError) as error:
                    failures[name] = _told(error)

        async with asyncio.TaskGroup() as group:
            for _ in range(min(self.bounds.at_once, len(places))):
                group.create_task(ask_on())
        return Scrape(samples, failures)

    async def _ask(self, place: MetricsPlace) -> Sample:
        onion = read_page(await self._page(place.host, place.onion_port), _ONION_WANTED)
        swarm = read_page(await self._page(place.host, place.swarm_port), _SWARM_WANTED)
        return Sample(
            stores=swarm[STORES],
            onions=onion[ONIONS],
            cpu_s=onion[CPU_S] + swarm[CPU_S],
            held_bytes=swarm[STORE_BYTES],
            begun=(onion[BEGUN_S], swarm[BEGUN_S]),
        )

    async def _page(self, host: str, port: int) -> bytes:
        url = httpx.URL(scheme="http", host=host, port=port, path="/metrics")
        async with asyncio.timeout(self.bounds.page_s), self._client.stream("GET", url) as response:
            if response.status_code != httpx.codes.OK:
                raise _BadPage(f"port {port} answered with status {response.status_code}")
            page = bytearray()
            async for piece in response.aiter_raw():
                page += piece
                if len(page) > self.bounds.page_bytes:
                    raise _BadPage(f"port {port} answered with more than {self.bounds.page_bytes} bytes")
            return bytes(page)


def read_page(page: bytes, wanted: Iterable[str]) -> dict[str, float]:
    """Return the wanted metrics of a page in Prometheus's text format, each summed over its labels.

    Raises:
        ValueError: one is not there, is no number of something, or the page is not text.
    """
    names = tuple(wanted)
    sums: defaultdict[str, float] = defaultdict(float)
    # Only what is wanted is parsed: whole pages of many nodes would cost the most of a scrape.
    lines = [line for line in page.decode().split("\n") if line.startswith(names)]
    for family in text_fd_to_metric_families(io.StringIO("\n".join(lines))):
        for sample in family.samples:
            if sample.name not in names:
                continue
            if not math.isfinite(sample.value) or sample.value < 0:
                raise _BadPage(f"{sample.name} is no amount")
            sums[sample.name] += sample.value
    if missing := sorted(set(names) - sums.keys()):
        raise _BadPage(f"does not tell {', '.join(missing)}")
    return dict(sums)


def _told(error: Exception) -> str:
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return "did not answer in time"
    if isinstance(error, httpx.HTTPError):
        return f"cannot be asked: {type(error).__name__}"
    return str(error) if isinstance(error, _BadPage) else "the page cannot be read"
