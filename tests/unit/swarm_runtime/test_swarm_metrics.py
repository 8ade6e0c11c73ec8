from __future__ import annotations

from typing import Any
from unittest.mock import MagicMock

from services.chassis.telemetry import Metrics
from services.swarm import instruments as table
from services.swarm.adapters.store.local import LocalStore
from services.swarm.adapters.store.tally import Tally
from services.swarm.bootstrap import SwarmService


def test_the_tables_of_instruments_are_sound() -> None:
    for name, instruments in (("swarm", table.INSTRUMENTS), ("custodian", table.CUSTODY)):
        metrics = Metrics(name, 0, instruments)
        assert all(instrument.help.endswith(".") for instrument in instruments)
        metrics.close()


async def test_the_bytes_held_grow_and_shrink(store: LocalStore, fold: Any, arrive: Any, stored: Any) -> None:
    service = SwarmService.__new__(SwarmService)  # as started, but with a store and nothing else
    service.runtime = MagicMock()
    service.runtime.tally = Tally(store.reader)
    metrics = service.measure(0)

    def shown() -> float:
        service.runtime.tally.count_on()
        found = {sample.name: sample.value for family in metrics.collect() for sample in family.samples}
        return found["naisho_swarm_stored_bytes"]

    assert shown() == 0
    await fold(*(arrive(n, stored(n, size=1000), tag=bytes([n]) * 16, shard=n % 2 + 1) for n in range(1, 101)))
    assert shown() == 100_000
    await store.follow({"main": frozenset({2})}, "log")
    assert shown() == 50_000, "half of them went to another swarm"
    metrics.close()


async def test_a_count_comes_to_its_end_slice_by_slice(store: LocalStore, fold: Any, arrive: Any, stored: Any) -> None:
    tags = [bytes([number]) * 16 for number in range(5)]
    # So many of each mailbox and namespace that all of them are indexed, and some that are not.
    for number in range(1, 201):
        await fold(arrive(number, stored(number, namespace=number % 3 - 1, size=number), tag=tags[number % 5]))
    rows = store.reader.usage_behind(b"", 0, 100)
    assert len(rows) == 15
    assert store.reader.recent_bytes() > 0
    tally = Tally(store.reader)
    for _ in range(2):
        tally.count_on(7)
        assert tally.held_bytes == 0, "nothing is told before all is counted"
    tally.count_on(7)
    assert tally.held_bytes == sum(range(1, 201))
    tally.count_on(100)
    assert tally.held_bytes == sum(range(1, 201)), "and again from the beginning"
