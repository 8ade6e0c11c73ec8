"""One generating process: ``python -m operators.load``, started and spoken to by `operators.load.fleet`."""

from __future__ import annotations

import asyncio
import gc
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from naisho.errors import NaishoError
from naisho.network.joining import read_network_file
from operators.load.errors import LoadError
from operators.load.jobs import LONGEST_LINE, Job, Tick
from operators.load.outcomes import Outcome
from operators.load.running import LoadRun
from operators.load.tally import encode

TICK_SECONDS = 1.0
#: Files and connections open at once, if the machine lets us.
MOST_FILES = 65_536


def tell(**document: Any) -> None:
    """Say something to the conducting process."""
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def allow_connections() -> None:
    """Take as many open files as this process may have: too few would look like nodes that cannot be reached."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if hard == resource.RLIM_INFINITY else min(MOST_FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


async def work() -> int:
    """Carry out one job; return the exit code."""
    allow_connections()
    reader = asyncio.StreamReader(limit=LONGEST_LINE)
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    job = Job.decode(json.loads(await reader.readline()))
    try:
        async with LoadRun.open(read_network_file(Path(job.network_file)), job.load) as run:
            tell(ready=network_of(run))
            order = json.loads(await reader.readline() or "{}")
            if "go" not in order:
                return 1
            gc.freeze()  # what is here by now stays: the collector need not look at it in the middle of a run
            run.start(order["go"])
            await carry_out(run, job, reader)
    except (LoadError, NaishoError) as error:
        tell(failed=str(error))
        return 1
    return 0


async def carry_out(run: LoadRun, job: Job, orders: asyncio.StreamReader) -> None:
    """Run until the plan is carried out or an order to stop comes, then check, and tell what came of it."""
    ticking = asyncio.create_task(tick_for_ever(run))
    try:
        await measure(run, job, orders)
    finally:
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)


async def measure(run: LoadRun, job: Job, orders: asyncio.StreamReader) -> None:
    """Do what `carry_out` does, but for saying each second how it stands."""
    used = time.process_time()
    finished = asyncio.create_task(run.finished())
    stopped = asyncio.create_task(orders.readline())  # an order to stop, or the end of who gave orders
    try:
        await asyncio.wait({finished, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if complete := finished.done():
            await finished
        else:
            await run.stop()
            await finished
        seconds, used = run.seconds, time.process_time() - used
    finally:
        for task in (finished, stopped):
            task.cancel()
        await asyncio.gather(finished, stopped, return_exceptions=True)
    findings = None
    if job.check:
        tell(checking=True)
        findings = (await run.verify(patience_s=job.patience_s)).document()
    result: dict[str, Any] = {"seconds": seconds, "cpu_s": used, "complete": complete}
    result |= {"tally": encode(run.tally), "findings": findings}
    tell(result=result | network_of(run))


async def tick_for_ever(run: LoadRun) -> None:
    """Say how the run stands, each second; to be silent is to be dead."""
    while True:
        await asyncio.sleep(TICK_SECONDS)
        tally = run.tally
        last = int(run.seconds / tally.width) - 1
        latest = tally.intervals[last].latency.encode() if 0 <= last < len(tally.intervals) else ""
        acknowledged = tally.total(Outcome.ACKNOWLEDGED)
        errors = tally.errors.total()
        tell(tick=Tick(run.seconds, tally.total("offered"), acknowledged, errors, run.under_way, latest))


def network_of(run: LoadRun) -> dict[str, Any]:
    """Return which network is loaded."""
    directory = run.surroundings.directory
    return {"network": directory.network_id, "grade": directory.grade.label, "nodes": len(directory.listed_nodes)}


if __name__ == "__main__":
    sys.exit(uvloop.run(work()))
