"""The processes that make the load, started together and heard to the end.

One process of Python loads one core. Several share a plan (`operators.load.arrivals`) and need not talk to each other;
they begin at the same moment by the machine's clock, and what they counted is added up.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Self

from operators.load import tally
from operators.load.checking import Findings
from operators.load.errors import GeneratorFailed, NotJoined
from operators.load.jobs import LONGEST_LINE, Job, Tick
from operators.load.tally import Tally

#: For all to join the network, accounts drawn included.
READY_SECONDS = 90.0
#: Between the last one's word that it is ready and the first arrival.
LEAD_SECONDS = 0.2
#: A process says something each second; one that is silent for so long has failed.
SILENCE_SECONDS = 60.0
#: For a process to end once it has said all.
END_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Collected:
    """What all processes together came to.

    Attributes:
        cpu_s: what each process used of its core while it made the load.

    """

    network: str
    grade: str
    nodes: int
    seconds: float
    cpu_s: tuple[float, ...]
    complete: bool
    tally: Tally
    findings: Findings | None


class Fleet:
    """Generating processes, one for each job.

    Attributes:
        ticks: how each stands, as it said last.
        checking: how many read back by now what was acknowledged.

    """

    def __init__(self, processes: Sequence[asyncio.subprocess.Process]) -> None:
        self._processes = processes
        self.ticks: dict[int, Tick] = {}
        self.checking = 0

    @classmethod
    @asynccontextmanager
    async def launch(cls, jobs: Sequence[Job]) -> AsyncIterator[Self]:
        """Start one process for each job, and have none left at the end of the ``with`` block.

        Raises:
            NotJoined: a process cannot join the network.
            GeneratorFailed: a process ended.
        """
        processes: list[asyncio.subprocess.Process] = []
        patience_s = 0.0
        try:
            for _ in jobs:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-m",
                    "operators.load",
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    limit=LONGEST_LINE,
                    start_new_session=True,  # Ctrl-C is for the conducting process, which tells them
                )
                processes.append(process)
            fleet = cls(processes)
            for process, job in zip(processes, jobs, strict=True):
                fleet._order(process, job.encode())
            yield fleet
            patience_s = END_SECONDS
        finally:
            for process in processes:
                await _end(process, patience_s)

    @property
    def pids(self) -> list[int]:
        """Process ids."""
        return [process.pid for process in self._processes]

    async def ready(self) -> None:
        """Wait until every process has joined; raises as `launch`."""
        try:
            async with asyncio.timeout(READY_SECONDS):
                for process in self._processes:
                    heard = await self._hear(process)
                    if "failed" in heard:
                        raise NotJoined(heard["failed"])
        except TimeoutError:
            raise NotJoined("the network was not joined in time") from None

    async def run(self, on_tick: Callable[[], None]) -> Collected:
        """Have them all begin, and return what they came to.

        Args:
            on_tick: called whenever `ticks` or `checking` have changed.

        Raises:
            GeneratorFailed: a process ended before it told its result.
        """
        begin = time.monotonic() + LEAD_SECONDS
        for process in self._processes:
            self._order(process, {"go": begin})
        try:
            async with asyncio.TaskGroup() as group:
                heard = [
                    group.create_task(self._follow(number, process, on_tick))
                    for number, process in enumerate(self._processes)
                ]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return _collect([task.result() for task in heard])

    def stop(self) -> None:
        """Have them end their plans now; what was acknowledged is still checked."""
        for process in self._processes:
            self._order(process, {"stop": True})

    async def _follow(
        self, number: int, process: asyncio.subprocess.Process, on_tick: Callable[[], None]
    ) -> dict[str, Any]:
        while True:
            heard = await self._hear(process)
            if "result" in heard:
                result: dict[str, Any] = heard["result"]
                return result
            if "failed" in heard:
                raise GeneratorFailed(heard["failed"])
            if "tick" in heard:
                self.ticks[number] = Tick(*heard["tick"])
            self.checking += "checking" in heard
            on_tick()

    async def _hear(self, process: asyncio.subprocess.Process) -> dict[str, Any]:
        assert process.stdout is not None
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                line = await process.stdout.readline()
            heard: dict[str, Any] = json.loads(line) if line else {}
        except ValueError as error:
            raise GeneratorFailed("a generating process said something unreadable") from error
        except TimeoutError:
            raise GeneratorFailed(f"a generating process said nothing for {SILENCE_SECONDS:.0f} s") from None
        if not line:
            raise GeneratorFailed(f"a generating process ended with status {await process.wait()}")
        return heard

    def _order(self, process: asyncio.subprocess.Process, document: dict[str, Any]) -> None:
        assert process.stdin is not None
        if process.returncode is None and not process.stdin.is_closing():
            process.stdin.write(json.dumps(document).encode() + b"\n")


async def _end(process: asyncio.subprocess.Process, patience_s: float) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(patience_s):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _collect(results: Sequence[dict[str, Any]]) -> Collected:
    first, *others = results
    counted = tally.decode(first["tally"])
    findings = Findings.read(first["findings"]) if first["findings"] is not None else None
    for other in others:
        counted.add(tally.decode(other["tally"]))
        if findings is not None and other["findings"] is not None:
            findings.add(Findings.read(other["findings"]))
    return Collected(
        network=first["network"],
        grade=first["grade"],
        nodes=first["nodes"],
        seconds=max(result["seconds"] for result in results),
        cpu_s=tuple(result["cpu_s"] for result in results),
        complete=all(result["complete"] for result in results),
        tally=counted,
        findings=findings,
    )
