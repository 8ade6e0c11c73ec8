"""An empty store that has much to read is filled in a hurry, and is whole and safe once it is level."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from services.swarm.adapters.store import filling, schema
from services.swarm.adapters.store.local import LocalStore
from services.swarm.domain.policies import Retention
from services.swarm.projections.arrivals import Arrivals, Arrived

TAG = b"t" * 16
MUCH = filling.WORTH_IT


def batch(events: list[Arrived], *, behind: int) -> Arrivals:
    return Arrivals("main", events, events[-1].sequence, events[0].sequence - 1, behind)


def hashes(store: LocalStore) -> list[int]:
    page = store.reader.page(TAG, 0, after=None, max_count=None, max_bytes=1 << 30, now_ms=0)
    return [message.hash[0] for message in page.messages]


def journal(folder: Path) -> str:
    with sqlite3.connect(folder / schema.FILE) as connection:
        mode: str = connection.execute("PRAGMA journal_mode").fetchone()[0]
    return mode


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


async def test_it_is_read_from_when_it_is_level(store: LocalStore, folder: Path, arrive: Any, stored: Any) -> None:
    await store.fold(batch([arrive(n, stored(n)) for n in range(1, 6)], behind=MUCH))
    assert hashes(store) == []
    assert not (folder / f"{schema.FILE}-wal").exists()
    changes = await store.fold(batch([arrive(6, stored(6))], behind=0))
    assert changes[0] is not None
    assert hashes(store) == [1, 2, 3, 4, 5, 6]
    assert journal(folder) == "wal"
    await store.fold(batch([arrive(7, stored(7))], behind=MUCH))
    assert hashes(store) == [1, 2, 3, 4, 5, 6, 7], "a store that holds something is never filled"


async def test_little_is_not_worth_it(store: LocalStore, arrive: Any, stored: Any) -> None:
    await store.fold(batch([arrive(1, stored(1))], behind=MUCH - 1))
    assert hashes(store) == [1]


async def test_what_a_crash_leaves_half_filled_is_thrown_away(
    store: LocalStore, folder: Path, tmp_path: Path, arrive: Any, stored: Any
) -> None:
    await store.fold(batch([arrive(n, stored(n)) for n in range(1, 6)], behind=MUCH))
    shutil.copytree(folder, tmp_path / "crashed")
    again = await LocalStore.open(tmp_path / "crashed", Retention())
    assert await again.progress() == []
    assert hashes(again) == []
    positions = await again.follow({"main": frozenset({1, 2})}, "log")
    assert positions == {"main": 0}
    await again.close()


async def test_one_that_is_closed_in_order_goes_on_where_it_was(
    store: LocalStore, folder: Path, arrive: Any, stored: Any
) -> None:
    await store.fold(batch([arrive(n, stored(n)) for n in range(1, 6)], behind=MUCH))
    await store.close()
    again = await LocalStore.open(folder, Retention())
    assert await again.follow({"main": frozenset({1, 2})}, "log") == {"main": 5}
    assert hashes(again) == [1, 2, 3, 4, 5]
    await again.close()


async def test_a_failure_while_filling_costs_only_its_batch(store: LocalStore, arrive: Any, stored: Any) -> None:
    await store.fold(batch([arrive(n, stored(n)) for n in range(1, 4)], behind=MUCH))
    broken = arrive(4, stored(4))._replace(sealed=None)
    with pytest.raises(sqlite3.IntegrityError):
        await store.fold(batch([broken], behind=MUCH))
    await store.fold(batch([arrive(4, stored(4))], behind=0))
    assert hashes(store) == [1, 2, 3, 4]


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    folder = tmp_path / "damaged"
    folder.mkdir()
    (folder / schema.FILE).write_bytes(b"no database at all" * 1000)
    return folder


async def test_a_damaged_file_is_thrown_away(damaged: Path) -> None:
    store = await LocalStore.open(damaged, Retention())
    assert await store.progress() == []
    await store.close()


async def test_a_file_of_another_version_is_thrown_away(
    store: LocalStore, folder: Path, arrive: Any, stored: Any
) -> None:
    await store.fold(batch([arrive(1, stored(1))], behind=0))
    await store.close()
    with sqlite3.connect(folder / schema.FILE) as connection:
        connection.execute("PRAGMA user_version = 77")
    again = await LocalStore.open(folder, Retention())
    assert await again.progress() == []
    await again.close()
