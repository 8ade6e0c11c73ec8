"""The newest messages are found, counted, swept and kept like all others, although they are not indexed yet."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from services.swarm.adapters.store.local import LocalStore
from services.swarm.adapters.store.recent import MOST
from services.swarm.domain.commands import ALL
from services.swarm.domain.events import ChangedMessage, Deleted, DeletedMessage, ExpiryChanged
from services.swarm.domain.policies import Retention
from services.swarm.projections.arrivals import Arrivals

TAG = b"t" * 16
#: Its first eight bytes, all that the trees compare, are those of ``TAG``.
NAMESAKE = b"t" * 8 + b"n" * 8


def listed(store: LocalStore, tag: bytes = TAG) -> list[int]:
    found = store.reader.page(tag, 0, after=None, max_count=None, max_bytes=1 << 30, now_ms=0)
    return [message.hash[0] for message in found.messages]


async def entries(store: LocalStore) -> int:
    count: int = await store._writer.run(lambda c: c.execute("SELECT count(*) FROM entry").fetchone()[0])
    return count


async def test_nothing_tells_them_from_others(store: LocalStore, fold: Any, arrive: Any, stored: Any) -> None:
    await fold(arrive(1, stored(1)), arrive(2, stored(2, namespace=-10)), arrive(3, stored(3)))
    assert await entries(store) == 0
    assert listed(store) == [1, 3]
    with store.reader.view(TAG, 0) as view:
        assert [record.message_hash[0] for record in view.list(ALL)] == [1, 2, 3]
        assert set(view.find(bytes([n]) * 32 for n in (2, 3, 4))) == {bytes([2]) * 32, bytes([3]) * 32}
        assert (view.usage(0), view.usage(-10), view.last_sequence) == ((2, 20), (1, 10), 3)
        assert (view.account_usage(open_to_all=True), view.account_usage(open_to_all=False)) == ((3, 30), (0, 0))
    assert store.reader.sealed(TAG, bytes([3]) * 32) is not None
    await fold(arrive(4, Deleted((DeletedMessage(bytes([1]) * 32, 0, (1,)),))))
    assert listed(store) == [3]


async def test_a_reader_that_began_before_they_were_indexed(
    store: LocalStore, fold: Any, arrive: Any, stored: Any
) -> None:
    await fold(arrive(1, stored(1)), arrive(2, stored(2)))
    with store.reader.view(TAG, 0) as meanwhile:
        with store.reader.view(TAG, 0) as before:
            assert before.usage(0) == (2, 20)
            await fold(arrive(3, Deleted((DeletedMessage(bytes([1]) * 32, 0, (1,)),))))
            assert len(before.list(0)) == 2, "what it looks at stands still"
        assert meanwhile.usage(0) == (1, 10)
        assert [record.message_hash[0] for record in meanwhile.list(0)] == [2]


async def test_namesakes_are_kept_apart(store: LocalStore, fold: Any, arrive: Any, stored: Any) -> None:
    for first in (1, 3):  # recent, then indexed
        await fold(arrive(first, stored(1)), arrive(first + 1, stored(2), tag=NAMESAKE))
        with store.reader.view(TAG, 0) as view:
            assert (view.usage(0), view.last_sequence) == ((1, 10), first)
            assert [record.message_hash[0] for record in view.list(ALL)] == [1]
            assert view.find([bytes([2]) * 32]) == {}
        assert (listed(store), listed(store, NAMESAKE)) == ([1], [2])
        assert store.reader.sealed(TAG, bytes([2]) * 32) is None
    assert await entries(store) == 4


async def test_a_store_that_is_opened_again_knows_them(
    store: LocalStore, tmp_path: Path, fold: Any, arrive: Any, stored: Any
) -> None:
    await fold(*(arrive(n, stored(n)) for n in (1, 2)))
    await fold(arrive(3, stored(2)), arrive(4, stored(4)))  # the second is indexed by now, and so is the first
    await store.close()
    again = await LocalStore.open(tmp_path / "store", Retention())
    assert listed(again) == [1, 2, 4]
    with again.reader.view(TAG, 0) as view:
        assert (view.usage(0), view.last_sequence) == ((3, 30), 4)
    assert await entries(again) == 6
    await again.close()


async def test_they_expire_and_move_away(store: LocalStore, fold: Any, arrive: Any, stored: Any, clock: Any) -> None:
    await fold(arrive(1, stored(1, ttl_ms=10)), arrive(2, stored(2)), arrive(3, stored(3), tag=NAMESAKE, shard=2))
    await store.sweep(clock.now_ms() + 10)
    with store.reader.view(TAG, 0) as view:
        assert (view.usage(0), len(view.list(ALL))) == ((1, 10), 1)
    await store.follow({"main": frozenset({1})}, "log")
    assert (listed(store), listed(store, NAMESAKE)) == ([2], [])
    with store.reader.view(NAMESAKE, 0) as view:
        assert (view.usage(0), view.last_sequence) == ((0, 0), 0)


async def test_they_stay_few(store: LocalStore, fold: Any, arrive: Any, stored: Any) -> None:
    await fold(*(arrive(n, stored(n)) for n in range(1, 33)))
    assert await entries(store) == 0
    await fold(arrive(33, stored(33)))
    assert await entries(store) == 66, "too many in one mailbox"
    tags = [number.to_bytes(16, "big") for number in range(MOST + 1)]
    await fold(*(arrive(n + 34, stored(1), tag=tag) for n, tag in enumerate(tags[:-1])))
    assert await entries(store) == 66
    await fold(arrive(MOST + 34, stored(1), tag=tags[-1]))
    assert await entries(store) == 66 + 2 * (MOST + 1)
    assert all(listed(store, tag) == [1] for tag in tags)
    assert store.reader._recent == {}


async def test_a_transaction_that_fails_leaves_them_alone(
    store: LocalStore, fold: Any, arrive: Any, stored: Any
) -> None:
    await fold(arrive(1, stored(1)))
    gone = Deleted((DeletedMessage(bytes([1]) * 32, 0, (1,)),))
    events = [arrive(2, stored(2)), arrive(3, gone), arrive(4, stored(4))._replace(period=None)]
    with pytest.raises(sqlite3.IntegrityError):
        await store.fold(Arrivals("main", events, 4, 1))
    assert listed(store) == [1]
    await asyncio.gather(fold(arrive(2, stored(5))), fold(arrive(3, gone)))
    assert listed(store) == [5]
    with store.reader.view(TAG, 0) as view:
        assert view.usage(0) == (1, 10)


async def test_an_expiry_noted_in_vain_is_noted_again(store: LocalStore, fold: Any, arrive: Any, stored: Any) -> None:
    """What is remembered of notes goes with a transaction that fails, and with notes that a sweep removed."""
    soon, later = stored(1).expiry_ms, stored(1).expiry_ms + 3_600_000
    broken = [arrive(1, stored(1)), arrive(2, stored(2))._replace(period=None)]
    with pytest.raises(sqlite3.IntegrityError):
        await store.fold(Arrivals("main", broken, 2, 0))
    await fold(arrive(1, stored(1)), arrive(2, stored(2)._replace(expiry_ms=later)))
    assert listed(store) == [1, 2]
    await store.sweep(soon + 10_000)
    assert listed(store) == [2]
    await fold(arrive(3, ExpiryChanged((ChangedMessage(bytes([2]) * 32, soon, (2,)),))))
    await store.sweep(soon + 10_000)
    assert listed(store) == []


@pytest.mark.parametrize("way", ["follow", "open again", "a transaction that fails"])
async def test_a_number_is_given_once(store: LocalStore, tmp_path: Path, arrive: Any, stored: Any, way: str) -> None:
    """What is remembered of the newest message, which is gone, is not taken for said of the one after it."""
    gone = Deleted((DeletedMessage(bytes([3]) * 32, 0, (1,)),))
    await store.fold(Arrivals("main", [*(arrive(n, stored(n)) for n in (1, 2, 3)), arrive(4, gone)], 4, 0))
    if way == "follow":
        await store.follow({"main": frozenset({1, 2})}, "log")
    elif way == "open again":
        await store.close()
        store = await LocalStore.open(tmp_path / "store", Retention())
    else:
        with pytest.raises(sqlite3.IntegrityError):
            await store.fold(Arrivals("main", [arrive(5, stored(5))._replace(period=None)], 5, 4))
    await store.fold(Arrivals("main", [arrive(5, stored(5))], 5, 4))
    for _ in range(2):
        assert listed(store) == [1, 2, 5]
        with store.reader.view(TAG, 0) as view:
            assert view.usage(0) == (3, 30)
        await store.close()
        store = await LocalStore.open(tmp_path / "store", Retention())
    await store.close()


async def test_shards_that_were_given_up_and_taken_again_are_whole_after_a_restart(
    store: LocalStore, tmp_path: Path, fold: Any, arrive: Any, stored: Any
) -> None:
    await fold(*(arrive(n, stored(n)) for n in range(1, 21)))
    await store.close()
    store = await LocalStore.open(tmp_path / "store", Retention())
    await store.follow({}, "log")
    assert await store.follow({"main": frozenset({1, 2})}, "log") == {"main": 0}
    await store.fold(Arrivals("main", [arrive(n, stored(n), young=False) for n in range(1, 21)], 20, 0))
    await store.fold(Arrivals("main", [arrive(21, stored(21)), arrive(22, stored(22))], 22, 20))
    for _ in range(2):
        await store.close()
        store = await LocalStore.open(tmp_path / "store", Retention())
        assert listed(store) == [*range(1, 23)]
    await store.close()
