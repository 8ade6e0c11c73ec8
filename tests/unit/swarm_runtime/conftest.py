"""Events as they come from a log, a store to fold them into, a clock that stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from services.chassis.clock import ManualClock
from services.swarm.adapters.event_codec import SEAL_BYTES
from services.swarm.adapters.store.local import LocalStore
from services.swarm.domain.events import Event, Stored
from services.swarm.domain.policies import Retention
from services.swarm.projections.arrivals import Arrivals, Arrived

TAG = b"t" * 16
Arrive = Callable[..., Arrived]
Fold = Callable[..., object]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def arrive(clock: ManualClock) -> Arrive:
    """Return a maker of arrivals: ``arrive(sequence, event, tag=…)``; event ids are the sequence's bytes."""

    def make(sequence: int, event: Event, *, tag: bytes = TAG, shard: int = 1, young: bool = True) -> Arrived:
        sealed = bytes(SEAL_BYTES + event.size) if isinstance(event, Stored) else b""
        event_id = sequence.to_bytes(16, "big")
        time_ns = clock.now_ms() * 1_000_000
        return Arrived(sequence, time_ns, shard, tag, event_id, event, 0, sealed, b"payload", young=young)

    return make


@pytest.fixture
def stored(clock: ManualClock) -> Callable[..., Stored]:
    """Return a maker of stores: ``stored(number, namespace=0, rank=None)``."""

    def make(
        number: int, namespace: int = 0, *, rank: int | None = None, ttl_ms: int = 60_000, size: int = 10
    ) -> Stored:
        now = clock.now_ms()
        return Stored(bytes([number]) * 32, namespace, now, now + ttl_ms, None, size, rank)

    return make


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[LocalStore]:
    made = await LocalStore.open(tmp_path / "store", Retention())
    await made.follow({"main": frozenset({1, 2})}, "log")
    yield made
    await made.close()


@pytest.fixture
def fold(store: LocalStore) -> Fold:
    """Return ``await fold(*arrived)``, behind whatever came before."""

    async def do(*arrived: Arrived, follower: str = "main") -> object:
        return await store.fold(Arrivals(follower, arrived, arrived[-1].sequence, 0))

    return do
