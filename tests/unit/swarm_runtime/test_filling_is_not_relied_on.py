"""While a store is filled nobody relies on it, and one that holds the only copies of something is never filled."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from services.swarm.adapters.store import filling
from services.swarm.adapters.store.local import LocalStore
from services.swarm.domain.policies import Retention
from services.swarm.projections.arrivals import Arrivals, Arrived

TAG = b"t" * 16
MUCH = filling.WORTH_IT


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


def batch(events: list[Arrived], *, behind: int) -> Arrivals:
    return Arrivals("main", events, events[-1].sequence, events[0].sequence - 1, behind)


def hashes(store: LocalStore) -> list[int]:
    page = store.reader.page(TAG, 0, after=None, max_count=None, max_bytes=1 << 30, now_ms=0)
    return [message.hash[0] for message in page.messages]


async def test_nobody_is_told_of_what_is_not_on_the_disk(store: LocalStore, arrive: Any, stored: Any) -> None:
    assert await store.fold(batch([arrive(1, stored(1))], behind=MUCH)) == [None]
    (change,) = await store.fold(batch([arrive(2, stored(2))], behind=0))
    assert change is not None


async def test_it_can_be_relied_on_at_once_although_more_comes(store: LocalStore, arrive: Any, stored: Any) -> None:
    await store.fold(batch([arrive(1, stored(1))], behind=MUCH))
    assert hashes(store) == []
    await store.end_filling()
    assert hashes(store) == [1]
    (change,) = await store.fold(batch([arrive(2, stored(2))], behind=MUCH))
    assert change is not None
    assert hashes(store) == [1, 2]
    await store.end_filling()


async def test_mail_that_the_log_has_lost_altogether_is_not_put_at_risk(
    store: LocalStore, folder: Path, arrive: Any, stored: Any
) -> None:
    await store.fold(batch([arrive(n, stored(n)) for n in (1, 2)], behind=0))
    await store.rewind(0, "another log")
    await store.close()

    again = await LocalStore.open(folder, Retention())
    await again.follow({"main": frozenset({1, 2})}, "another log")
    await again.fold(batch([arrive(1, stored(3))], behind=MUCH))
    assert set(hashes(again)) == {1, 2, 3}
    assert {1, 2} <= {message.hash[0] for message in again.reader.lost_messages(0, 10)}
    await again.close()
