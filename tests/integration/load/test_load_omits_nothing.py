"""No coordinated omission: who comes while a network stands still is counted, by the time at which they came."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from operators.load.arrivals import Spacing
from operators.load.mix import Mix, Operation
from operators.load.outcomes import Outcome
from operators.load.plan import Plan
from tests.integration.load.played import PlayedNetwork, loaded

STALL_S = 0.8
RATE, SECONDS = 150, 2.0
LOADED: dict[str, Any] = {
    "plan": Plan.steady(RATE, SECONDS),
    "spacing": Spacing.CONSTANT,
    "mix": Mix.parse("store=1"),
    "seconds": 5.0,
}


async def stall(network: PlayedNetwork) -> None:
    await asyncio.sleep(0.5)
    network.moving.clear()
    await asyncio.sleep(STALL_S)
    network.moving.set()


async def test_a_stall_is_in_the_percentiles_of_all_who_came_meanwhile() -> None:
    network = PlayedNetwork()
    async with loaded(network, **LOADED, under_way=10_000) as run:
        run.start()
        await asyncio.gather(stall(network), run.finished())
    tally = run.tally
    latency = tally.latency()
    offered = tally.total("offered")
    assert offered == RATE * SECONDS == tally.total(Outcome.ACKNOWLEDGED)
    # Who came in the stall waited for the rest of it: evenly between nothing and all of it.
    waited = STALL_S / SECONDS
    for part in (0.25, 0.5, 0.75):
        percentile = 100 * (1 - waited * (1 - part))
        assert (latency.at(percentile) or 0) > STALL_S * part * 1000 * 0.8, f"p{percentile:.0f}"
    assert (latency.largest or 0) > STALL_S * 1000 * 0.95
    assert sum(interval.offered for interval in tally.intervals[:2]) == offered, "arrivals waited for nobody"


async def test_what_comes_beyond_the_bound_is_shed_at_once_and_never_late() -> None:
    network = PlayedNetwork()
    async with loaded(network, **LOADED, under_way=10) as run:
        run.start()
        await asyncio.gather(stall(network), run.finished())
    tally = run.tally
    shed = tally.total(Outcome.SHED)
    assert shed > RATE * STALL_S * 0.6
    assert shed == tally.errors["shed"] == sum(interval.errors["shed"] for interval in tally.intervals)
    assert shed + tally.total(Outcome.ACKNOWLEDGED) == tally.total("offered") == RATE * SECONDS
    assert max(interval.under_way for interval in tally.intervals) <= 10
    assert (tally.late.at(90) or 0) < STALL_S * 1000 / 2


async def test_a_generator_that_is_late_itself_hides_nothing() -> None:
    """When this program's own process stands still, requests are sent late: latencies count from when they were due."""
    network = PlayedNetwork()
    async with loaded(network, **LOADED, under_way=10_000) as run:
        run.start()
        await asyncio.sleep(0.5)
        time.sleep(STALL_S)  # noqa: ASYNC251 - that is the point
        await run.finished()
    numbers = run.tally.operations[Operation.STORE]
    assert run.tally.total("offered") == RATE * SECONDS
    assert (numbers.latency.at(90) or 0) > STALL_S * 1000 / 2
    assert (run.tally.late.largest or 0) > STALL_S * 1000 * 0.9
