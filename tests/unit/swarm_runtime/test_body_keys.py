from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from services.chassis.clock import ManualClock
from services.chassis.eventlog.memory import MemoryLog
from services.chassis.eventlog.memory_stream import MemoryStream
from services.chassis.eventlog.port import LogUnavailable
from services.swarm.adapters.sealing import PeriodKeys

HASH = b"h" * 32
PERIOD = 1000


@pytest.fixture
def stream(clock: ManualClock) -> MemoryStream:
    return MemoryStream(clock)


class Shelf:
    """What one node keeps on its disk."""

    def __init__(self) -> None:
        self.kept: list[tuple[int, bytes]] = []

    async def keep(self, period: int, key: bytes) -> None:
        self.kept.append((period, key))


@pytest.fixture
def node(stream: MemoryStream) -> Callable[..., PeriodKeys]:
    """Return a maker of nodes' keys: ``node(shelf)``."""

    def make(shelf: Shelf | None = None, log: MemoryLog | None = None) -> PeriodKeys:
        shelf = shelf or Shelf()
        keys = PeriodKeys(log or MemoryLog(stream), lambda period: f"n.keys.{period}", PERIOD, shelf.keep)
        keys.recall(shelf.kept)
        return keys

    return make


async def test_nodes_share_one_key_for_each_period(node: Callable[..., PeriodKeys], stream: MemoryStream) -> None:
    nodes = [node() for _ in range(5)]
    bodies = await asyncio.gather(*(keys.seal(5_500, HASH, b"body %d" % n) for n, keys in enumerate(nodes)))
    assert {body.key_period for body in bodies} == {5}
    assert stream.identity.last_sequence == 1, "one key was made, whoever was first"
    for keys in nodes:
        opened = [await keys.unseal(body.key_period, HASH, body.sealed) for body in bodies]
        assert opened == [b"body %d" % n for n in range(5)]
    assert len({body.sealed for body in bodies}) == 5


async def test_a_body_opens_only_for_its_message_and_unchanged(node: Callable[..., PeriodKeys]) -> None:
    keys = node()
    body = await keys.seal(5_500, HASH, b"secret")
    assert await keys.unseal(5, b"other" + bytes(27), body.sealed) is None
    assert await keys.unseal(5, HASH, body.sealed[:-1] + b"\0") is None
    assert await keys.unseal(5, HASH, b"") is None
    assert await keys.unseal(5, HASH, body.sealed) == b"secret"


async def test_without_its_key_a_body_is_noise(node: Callable[..., PeriodKeys], stream: MemoryStream) -> None:
    body = await node().seal(5_500, HASH, b"secret")
    await MemoryLog(stream).erase(1)
    assert await node().unseal(5, HASH, body.sealed) is None


async def test_a_lost_acknowledgement_makes_no_second_key(
    node: Callable[..., PeriodKeys], stream: MemoryStream
) -> None:
    stream.faults.lost_acknowledgements = 1
    log = MemoryLog(stream, append_timeout_s=0.01)
    body = await node(log=log).seal(5_500, HASH, b"secret")
    assert stream.identity.last_sequence == 1
    assert await node().unseal(5, HASH, body.sealed) == b"secret"


async def test_a_log_that_is_away_is_said_so(node: Callable[..., PeriodKeys], stream: MemoryStream) -> None:
    stream.faults.away = True
    with pytest.raises(LogUnavailable):
        await node().seal(5_500, HASH, b"secret")


async def test_keys_are_kept_over_a_restart_and_given_back_to_a_log_that_lost_them(
    node: Callable[..., PeriodKeys], stream: MemoryStream
) -> None:
    shelf = Shelf()
    body = await node(shelf).seal(5_500, HASH, b"secret")
    await MemoryLog(stream).erase(1)  # as if the log had never had it
    again = node(shelf)
    assert await again.unseal(5, HASH, body.sealed) == b"secret"
    await again.restore(now_ms=0)
    assert await node().unseal(5, HASH, body.sealed) == b"secret"


async def test_where_somebody_made_another_key_meanwhile_both_are_known(
    node: Callable[..., PeriodKeys], stream: MemoryStream
) -> None:
    shelf = Shelf()
    older = node(shelf)
    before = await older.seal(5_500, HASH, b"before")
    await MemoryLog(stream).erase(1)
    after = await node().seal(5_500, HASH, b"after")
    await older.restore(now_ms=0)
    assert await older.unseal(5, HASH, before.sealed) == b"before"
    assert await older.unseal(5, HASH, after.sealed) == b"after"
    newest = await older.seal(5_500, HASH, b"newest")
    assert await node().unseal(5, HASH, newest.sealed) == b"newest", "what is sealed now opens for everybody"
    assert await node(shelf).unseal(5, HASH, before.sealed) == b"before"


async def test_keys_of_passed_periods_are_forgotten(node: Callable[..., PeriodKeys], stream: MemoryStream) -> None:
    keys = node()
    body = await keys.seal(5_500, HASH, b"secret")
    later = await keys.seal(9_500, HASH, b"later")
    keys.forget(6_000)
    await MemoryLog(stream).erase(1)
    assert await keys.unseal(5, HASH, body.sealed) is None
    assert await keys.unseal(9, HASH, later.sealed) == b"later"


async def test_keys_of_bodies_that_came_are_fetched(node: Callable[..., PeriodKeys], stream: MemoryStream) -> None:
    body = await node().seal(5_500, HASH, b"secret")
    member = node()
    member.want(body.key_period)
    await member.learn_wanted()
    stream.faults.away = True
    assert await member.unseal(5, HASH, body.sealed) == b"secret"
