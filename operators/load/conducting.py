"""One load test from beginning to end: processes, progress, figures of the machine, and what it all came to."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from operators.load.fleet import Collected, Fleet
from operators.load.jobs import Job, divide
from operators.load.resources import Sampler
from operators.load.running import Load
from operators.load.screen import Shown
from operators.load.twin import Facts, Wanted, document


@dataclass(frozen=True, slots=True)
class Concert:
    """A load test as it is asked for.

    Attributes:
        network_file: path of the network file.
        load: the whole load.
        processes: how many make it.
        pages: URLs of metrics to look at.
        check: whether to read everything back at the end.
        patience_s: of that check.
        wanted: bounds to keep.
        options: as they were given, for the report.

    """

    network_file: Path
    load: Load
    processes: int
    pages: Sequence[str]
    check: bool
    patience_s: float
    wanted: Wanted
    options: Mapping[str, Any]


async def conduct(concert: Concert, shown: Shown) -> dict[str, Any]:
    """Carry a load test out and return its JSON twin (`operators.load.twin`).

    The first Ctrl-C or SIGTERM ends the plan early, and the check still happens; the second one ends everything.

    Raises:
        NotJoined: the network cannot be joined.
        GeneratorFailed: a generating process ended in the middle.
    """
    load = concert.load
    jobs = [
        Job(str(concert.network_file.absolute()), part, concert.check, concert.patience_s)
        for part in divide(load, concert.processes)
    ]
    async with Fleet.launch(jobs) as fleet:
        await fleet.ready()
        sampler = Sampler(lambda: [os.getpid(), *fleet.pids], concert.network_file, concert.pages, load.width)
        began_ms = time.time_ns() // 1_000_000
        with _signals(fleet):
            async with sampler.sampling():
                came_to = await fleet.run(
                    lambda: shown.show(list(fleet.ticks.values()), checking=fleet.checking == len(jobs))
                )
    return document(
        _facts(came_to, began_ms, concert.options),
        load.plan,
        came_to.tally,
        findings=came_to.findings,
        resources=sampler.document(),
        wanted=concert.wanted,
    )


def _facts(came_to: Collected, began_ms: int, options: Mapping[str, Any]) -> Facts:
    return Facts(
        network=came_to.network,
        grade=came_to.grade,
        nodes=came_to.nodes,
        began_ms=began_ms,
        seconds=came_to.seconds,
        cpu_s=came_to.cpu_s,
        complete=came_to.complete,
        options=options,
    )


@contextlib.contextmanager
def _signals(fleet: Fleet) -> Iterator[None]:
    """End the plan at the first signal, and everything at the second."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    numbers = (signal.SIGINT, signal.SIGTERM)

    def first() -> None:
        fleet.stop()
        for number in numbers:
            loop.add_signal_handler(number, task.cancel)

    for number in numbers:
        loop.add_signal_handler(number, first)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
