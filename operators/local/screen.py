"""What ``naisho network up`` shows: progress while the network starts, then one screen with everything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Protocol

from rich.console import Console, Group
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from naisho.texts import Texts

#: Addresses of metrics that the screen has room for.
_PAGES: Final = 3


class Steps(Protocol):
    """How the start of a network tells what it is doing."""

    def begin(self, step: str, total: int = 1) -> None:
        """Name the step that begins now (a key in ``steps`` of the catalogs); the one before is done."""
        ...

    def advance(self, done: int) -> None:
        """Say how many of the step's total are done."""
        ...


class NoSteps:
    """Tells nobody: for machines and tests."""

    def begin(self, step: str, total: int = 1) -> None:
        """Say nothing."""

    def advance(self, done: int) -> None:
        """Say nothing."""


class _Bars:
    def __init__(self, progress: Progress, texts: Texts) -> None:
        self._progress = progress
        self._texts = texts
        self._task: TaskID | None = None

    def begin(self, step: str, total: int = 1) -> None:
        self.finish()
        self._task = self._progress.add_task(self._texts(f"steps.{step}"), total=total)

    def advance(self, done: int) -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=done)

    def finish(self) -> None:
        if self._task is not None:
            total = self._progress.tasks[self._task].total
            self._progress.update(self._task, completed=total)


@contextmanager
def steps(console: Console, texts: Texts) -> Iterator[Steps]:
    """Show a line with a bar for each step while the block runs."""
    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bars = _Bars(progress, texts)
        yield bars
        bars.finish()


def network_screen(texts: Texts, status: dict[str, Any], ready_after_s: float | None = None) -> Group:
    """Return the screen: what runs where, and the three commands to try next."""
    nodes = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("node", "address", "swarm", "family", "country", "state", "process"):
        nodes.add_column(texts(f"columns.{column}"), no_wrap=True)
    for node in status["nodes"]:
        state = f"[{'green' if node['state'] == 'active' else 'yellow'}]{texts('states.' + node['state'])}"
        nodes.add_row(
            node["name"],
            node["address"],
            short_swarm(node["swarm"]),
            node["family"],
            node["country"],
            state,
            ", ".join(node["processes"]),
        )
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="bold")
    facts.add_column(overflow="fold")
    for name, fact in _facts(texts, status):
        facts.add_row(texts(f"facts.{name}"), fact)
    commands = "\n".join(("naisho account new", texts("commands.write"), texts("commands.listen")))
    ready = ready_after_s is not None
    title = texts("screen.ready", seconds=ready_after_s) if ready else texts("screen.title")
    return Group(
        Panel(Group(facts, Text(), nodes), title=title, expand=False),
        Panel(Text(commands, style="cyan"), title=texts("screen.next"), expand=False),
    )


def _facts(texts: Texts, status: dict[str, Any]) -> Iterator[tuple[str, str]]:
    network = status["network"]
    yield "network", texts("screen.simulated", network=network) if status["simulated"] else network
    yield "grade", texts(f"grades.{status['grade']}")
    swarms = (
        texts("screen.members", swarm=short_swarm(swarm), count=len(names)) for swarm, names in status["swarms"].items()
    )
    yield "swarms", "  ".join(swarms)
    yield "seed", status["seed"]
    yield "network_file", status["network_file"]
    yield "log", texts("screen.fsync", log=status["log"])
    memory = sum(process["resident_mb"] or 0 for process in status["processes"])
    yield "processes", texts("screen.processes", count=len(status["processes"]), memory=memory)
    told = [process for process in status["processes"] if process["metrics"]]
    pages = [f"{process['metrics']} ({process['name']})" for process in told[:_PAGES]]
    if told[_PAGES:]:
        pages.append(texts("screen.more", count=len(told) - _PAGES))
    yield "metrics", "\n".join(pages)
    yield "data", status["home"]


def short_swarm(swarm: str) -> str:
    """Return the part of a swarm's id in which ids differ: its first four hex digits of sixteen."""
    return swarm.zfill(16)[:4] if swarm else "–"
