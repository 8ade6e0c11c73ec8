"""What ``naisho network up`` shows: progress while the network starts, then one screen with everything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console, Group
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text


class Steps(Protocol):
    """How the start of a network tells what it is doing."""

    def begin(self, what: str, total: int = 1) -> None:
        """Name the step that begins now; the one before is done."""
        ...

    def advance(self, done: int) -> None:
        """Say how many of the step's total are done."""
        ...


class NoSteps:
    """Tells nobody: for machines and tests."""

    def begin(self, what: str, total: int = 1) -> None:
        """Say nothing."""

    def advance(self, done: int) -> None:
        """Say nothing."""


class _Bars:
    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._task: TaskID | None = None

    def begin(self, what: str, total: int = 1) -> None:
        self.finish()
        self._task = self._progress.add_task(what, total=total)

    def advance(self, done: int) -> None:
        if self._task is not None:
            self._progress.update(self._task, completed=done)

    def finish(self) -> None:
        if self._task is not None:
            total = self._progress.tasks[self._task].total
            self._progress.update(self._task, completed=total)


@contextmanager
def steps(console: Console) -> Iterator[Steps]:
    """Show a line with a bar for each step while the block runs."""
    columns = (
        SpinnerColumn(finished_text="[green]✓"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        bars = _Bars(progress)
        yield bars
        bars.finish()


def network_screen(status: dict[str, Any], ready_after_s: float | None = None) -> Group:
    """Return the screen: what runs where, and the three commands to try next."""
    nodes = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("node", "HTTPS address", "swarm", "family", "country", "state", "process"):
        nodes.add_column(heading, no_wrap=True)
    for node in status["nodes"]:
        state = "[green]active" if node["state"] == "active" else f"[yellow]{node['state']}"
        nodes.add_row(
            node["name"],
            node["address"],
            short_swarm(node["swarm"]),
            node["family"],
            node["country"],
            state,
            node["process"],
        )
    facts = Table(box=None, show_header=False, pad_edge=False)
    facts.add_column(style="bold")
    facts.add_column(overflow="fold")
    marks = " (nodes, families and countries are simulated)" if status["simulated"] else ""
    facts.add_row("network", f"{status['network']}{marks}")
    facts.add_row("grade", f"{status['grade']}: {_GRADES[status['grade']]}")
    facts.add_row(
        "swarms", "  ".join(f"{short_swarm(swarm)}: {len(names)} nodes" for swarm, names in status["swarms"].items())
    )
    facts.add_row("seed", status["seed"])
    facts.add_row("network file", status["network_file"])
    facts.add_row("event log", f"{status['log']} (fsync before acknowledge)")
    memory = sum(process["resident_mb"] or 0 for process in status["processes"])
    facts.add_row("processes", f"{len(status['processes'])}, {memory:.0f} MB resident in all")
    facts.add_row("data", status["home"])
    commands = Text(
        'naisho account new\nnaisho path\nnaisho send ACCOUNT_ID "hello"      # and, to read: naisho listen',
        style="cyan",
    )
    title = "naisho network" + (f" · ready after {ready_after_s:.1f} s" if ready_after_s is not None else "")
    return Group(
        Panel(Group(facts, Text(), nodes), title=title, expand=False),
        Panel(commands, title="try next, in a second terminal", expand=False),
    )


def short_swarm(swarm: str) -> str:
    """Return the part of a swarm's id in which ids differ: its first four hex digits of sixteen."""
    return swarm.zfill(16)[:4] if swarm else "–"


_GRADES = {
    "single-operator": "one operator runs every node; three hops are one party",
    "independent": "paths span three operator families and three networks",
}
