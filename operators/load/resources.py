"""CPU and memory of the processes that take part, as time goes by.

Three sources: processes of this machine by their ids (the load's own, and those of a network that runs here), and pages
of others: Prometheus' text with the usual ``process_…`` names, or the status page of a NATS server (``/varz``).
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import psutil

ASK_SECONDS = 2.0
LARGEST_PAGE = 8 * 1024 * 1024
RUNNING_FILE = "running.json"
OWN = "load"
OK = 200


class Usage(NamedTuple):
    """What a process used: CPU seconds since its start, or percent of a core right now; and bytes of memory."""

    memory: float
    cpu_s: float | None = None
    cpu_percent: float | None = None


@dataclass(slots=True)
class Curve:
    """What one process used over time; equally long lists, ``None`` where it could not be asked."""

    at_s: list[float] = field(default_factory=list)
    cpu_percent: list[float | None] = field(default_factory=list)
    memory_mb: list[float | None] = field(default_factory=list)
    last: tuple[float, float] | None = None

    def add(self, at_s: float, usage: Usage | None) -> None:
        """Add what it used at a time; CPU is that since the last time."""
        cpu = usage.cpu_percent if usage else None
        if usage is None:
            self.last = None
        elif usage.cpu_s is not None:
            if self.last is not None and at_s > self.last[0] and usage.cpu_s >= self.last[1]:
                cpu = (usage.cpu_s - self.last[1]) / (at_s - self.last[0]) * 100
            self.last = (at_s, usage.cpu_s)
        self.at_s.append(round(at_s, 2))
        self.cpu_percent.append(None if cpu is None else round(cpu, 1))
        self.memory_mb.append(round(usage.memory / 1e6, 1) if usage else None)

    def document(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {"at_s": self.at_s, "cpu_percent": self.cpu_percent, "memory_mb": self.memory_mb}


def read_prometheus(text: str) -> Usage | None:
    r"""Return what a page of metrics says of its process; ``None`` if it says nothing.

    >>> read_prometheus("process_cpu_seconds_total 1.5\nprocess_resident_memory_bytes 2e6\n")
    Usage(memory=2000000.0, cpu_s=1.5, cpu_percent=None)
    """
    cpu, memory = (
        re.search(rf"^{name}(?:\{{[^}}\n]*\}})?[ \t]+([0-9.eE+-]+)", text, re.MULTILINE)
        for name in ("process_cpu_seconds_total", "process_resident_memory_bytes")
    )
    try:
        return Usage(float(memory[1]), float(cpu[1])) if cpu and memory else None
    except ValueError:
        return None


def read_varz(text: str) -> Usage | None:
    """Return what the status page of a NATS server says; ``None`` if it says nothing.

    >>> read_varz('{"mem": 2000, "cpu": 3.5}')
    Usage(memory=2000.0, cpu_s=None, cpu_percent=3.5)
    """
    try:
        page = json.loads(text)
        return Usage(float(page["mem"]), cpu_percent=float(page["cpu"]))
    except (ValueError, KeyError, TypeError):
        return None


def local_processes(network_file: Path) -> dict[str, int]:
    """Return the processes of a network that runs on this machine by their names, from the record beside its file."""
    try:
        record = json.loads((network_file.parent / RUNNING_FILE).read_text(encoding="utf-8"))
        return {"network": int(record["pid"]), **{str(name): int(pid) for name, pid in record["processes"].items()}}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def of_process(pid: int) -> Usage | None:
    """Return what a process of this machine used; ``None`` if it is gone."""
    try:
        process = psutil.Process(pid)
        times = process.cpu_times()
        return Usage(float(process.memory_info().rss), times.user + times.system)
    except psutil.Error:
        return None


class Sampler:
    """Looks at all processes every few seconds.

    Args:
        own: returns the ids of the processes that make the load.
        network_file: beside it lies the record of a network that runs here, if one does.
        pages: URLs of other processes' metrics.
        seconds: between two looks.

    """

    def __init__(
        self, own: Callable[[], Sequence[int]], network_file: Path | None, pages: Sequence[str], seconds: float
    ) -> None:
        self._own = own
        self._network_file = network_file
        self._pages = pages
        self._seconds = seconds
        self.curves: dict[str, Curve] = {}

    @asynccontextmanager
    async def sampling(self) -> AsyncIterator[None]:
        """Look at them for the length of a ``with`` block, which begins with the run."""
        async with httpx.AsyncClient(timeout=ASK_SECONDS, trust_env=False, verify=False) as http:  # noqa: S501 - figures
            task = asyncio.create_task(self._look_for_ever(http, time.monotonic()))
            try:
                yield
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)

    async def _look_for_ever(self, http: httpx.AsyncClient, began: float) -> None:
        turn = 0
        while True:
            await self.look(http, time.monotonic() - began)
            turn += 1
            await asyncio.sleep(max(0.05, began + turn * self._seconds - time.monotonic()))

    async def look(self, http: httpx.AsyncClient, at_s: float) -> None:
        """Look once."""
        found: dict[str, Usage | None] = {OWN: _sum([of_process(pid) for pid in self._own()])}
        if self._network_file is not None:
            found |= {name: of_process(pid) for name, pid in local_processes(self._network_file).items()}
        answers = await asyncio.gather(*(_page(http, url) for url in self._pages))
        found |= {_name(url): usage for url, usage in zip(self._pages, answers, strict=True)}
        for name in self.curves.keys() | found.keys():
            self.curves.setdefault(name, Curve()).add(at_s, found.get(name))

    def document(self) -> Mapping[str, Any]:
        """Return all curves as JSON values, this program's own first."""
        names = sorted(self.curves, key=lambda name: (name != OWN, name))
        return {name: self.curves[name].document() for name in names}


async def _page(http: httpx.AsyncClient, url: str) -> Usage | None:
    try:
        answer = await http.get(url)
    except (httpx.HTTPError, httpx.InvalidURL):
        return None
    if answer.status_code != OK or len(answer.content) > LARGEST_PAGE:
        return None
    return read_varz(answer.text) if urlsplit(url).path.endswith("/varz") else read_prometheus(answer.text)


def _sum(usages: Sequence[Usage | None]) -> Usage | None:
    known = [usage for usage in usages if usage is not None]
    if not known:
        return None
    return Usage(sum(usage.memory for usage in known), sum(usage.cpu_s or 0.0 for usage in known))


def _name(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.netloc}{parts.path.removesuffix('/metrics')}"
