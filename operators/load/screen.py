"""What a person sees: how a run stands while it runs, and what it came to."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from naisho.texts import Texts
from operators.load.histograms import COARSE, Latencies
from operators.load.jobs import Tick
from operators.load.report import number

#: Where nobody sees a bar move, a line is written so often.
LINE_SECONDS = 10.0
#: Share of its core beyond which a generating process may be what limits the rate.
TOO_BUSY = 0.8


class Shown(Protocol):
    """Where a run's standing goes."""

    def show(self, ticks: Sequence[Tick], *, checking: bool) -> None:
        """Show how all generating processes stand."""


@contextmanager
def progress(texts: Texts, seconds: float) -> Iterator[Shown]:
    """Show a run on standard error for the length of a ``with`` block: a line that moves, or one every ten seconds.

    Args:
        texts: the user's language.
        seconds: how long the plan is.
    """
    if not sys.stderr.isatty():
        yield _Lines(texts)
        return
    columns = (SpinnerColumn(), BarColumn(24), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield _Bar(texts, bar, seconds)


class _Bar:
    def __init__(self, texts: Texts, bar: Progress, seconds: float) -> None:
        self._texts = texts
        self._bar = bar
        self._task = bar.add_task(texts("screen.joining"), total=None if math.isinf(seconds) else seconds)

    def show(self, ticks: Sequence[Tick], *, checking: bool) -> None:
        text = self._texts("screen.checking") if checking else standing(self._texts, ticks)
        self._bar.update(self._task, description=text, completed=max((t.seconds for t in ticks), default=0.0))


class _Lines:
    def __init__(self, texts: Texts) -> None:
        self._texts = texts
        self._console = Console(stderr=True, highlight=False)
        self._next = 0.0
        self._checking = False

    def show(self, ticks: Sequence[Tick], *, checking: bool) -> None:
        if checking and not self._checking:
            self._checking = True
            self._console.print(self._texts("screen.checking"))
        seconds = max((tick.seconds for tick in ticks), default=0.0)
        if not checking and seconds >= self._next:
            self._next = seconds + LINE_SECONDS - 0.5
            self._console.print(standing(self._texts, ticks))


def standing(texts: Texts, ticks: Sequence[Tick]) -> str:
    """Return in one line how all generating processes together stand."""
    latest = Latencies(COARSE)
    for tick in ticks:
        if tick.latest:
            latest.add(Latencies.decode(tick.latest, COARSE))
    return texts(
        "screen.standing",
        seconds=round(max((tick.seconds for tick in ticks), default=0.0)),
        offered=number(sum(tick.offered for tick in ticks)),
        acknowledged=number(sum(tick.acknowledged for tick in ticks)),
        errors=number(sum(tick.errors for tick in ticks)),
        under_way=number(sum(tick.under_way for tick in ticks)),
        p50=number(latest.at(50)),
        p99=number(latest.at(99)),
    )


def summary(texts: Texts, twin: Mapping[str, Any]) -> Table:
    """Return what a run came to, for people."""
    totals, check, latency = twin["totals"], twin["check"], twin["latency_ms"]
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    keys = ("offered", "acknowledged", "failed", "unknown", "shed", "achieved_rate")
    table.add_row(texts("screen.requests"), texts("screen.totals", **{key: number(totals[key]) for key in keys}))
    percentiles = {key: number(latency[key]) for key in ("p50", "p90", "p99", "max")}
    table.add_row(texts("screen.latency"), texts("screen.percentiles", **percentiles))
    if twin["errors"]:
        table.add_row(
            texts("screen.errors"), ", ".join(f"{kind} {number(count)}" for kind, count in twin["errors"].items())
        )
    if check is None:
        table.add_row(texts("screen.check"), texts("screen.no_check"))
    else:
        keys = ("messages", "copies", "deletions", "lost", "undone_deletions", "unread_messages")
        table.add_row(texts("screen.check"), texts("screen.checked", **{key: number(check[key]) for key in keys}))
    if twin["generator"]["busiest"] > TOO_BUSY:
        table.add_row(texts("screen.generator"), texts("screen.busy", share=round(twin["generator"]["busiest"] * 100)))
    verdict = twin["verdict"]
    said = [texts("screen.passed")] if verdict["passed"] else [texts(f"reasons.{name}") for name in verdict["reasons"]]
    table.add_row(texts("screen.verdict"), "\n".join(said), style="green" if verdict["passed"] else "red")
    return table
