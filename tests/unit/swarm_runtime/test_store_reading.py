"""Listing a namespace, giving up shards, and what a store marks when the log has lost its end."""

from __future__ import annotations

from typing import Any

import pytest

from services.swarm.adapters.store.local import LocalStore
from services.swarm.domain.commands import ALL
from services.swarm.domain.events import Deleted, DeletedMessage, Revoked
from services.swarm.domain.retrieve_request import message_cost

TAG = b"t" * 16
OTHER = b"o" * 16


def page(store: LocalStore, **limits: Any) -> tuple[list[int], bool]:
    wanted = {"after": None, "max_count": None, "max_bytes": 1 << 30, "now_ms": 0} | limits
    found = store.reader.page(TAG, 0, **wanted)
    return [message.hash[0] for message in found.messages], found.more


async def test_limits_of_a_listing(store: LocalStore, fold: Any, arrive: Any, stored: Any) -> None:
    await fold(*(arrive(n, stored(n, size=100)) for n in range(1, 7)))
    assert page(store) == ([1, 2, 3, 4, 5, 6], False)
    assert page(store, max_count=6) == ([1, 2, 3, 4, 5, 6], False)
    assert page(store, max_count=2) == ([1, 2], True)
    assert page(store, max_bytes=3 * message_cost(100)) == ([1, 2, 3], True)
    assert page(store, max_bytes=3 * message_cost(100) - 1) == ([1, 2], True)
    assert page(store, max_bytes=1) == ([1], True), "one message at least"
    assert page(store, after=bytes([4]) * 32) == ([5, 6], False)
    assert page(store, after=bytes([6]) * 32) == ([], False)
    assert page(store, after=bytes([99]) * 32) == ([1, 2, 3, 4, 5, 6], False), "an unknown hash begins at the beginning"


async def test_an_expired_or_foreign_hash_begins_at_the_beginning(
    store: LocalStore, fold: Any, arrive: Any, stored: Any, clock: Any
) -> None:
    await fold(arrive(1, stored(1, ttl_ms=10)), arrive(2, stored(2)), arrive(3, stored(3, namespace=2)))
    now = clock.now_ms() + 10
    assert page(store, now_ms=now) == ([2], False)
    assert page(store, now_ms=now, after=bytes([1]) * 32) == ([2], False)
    assert page(store, now_ms=now, after=bytes([3]) * 32) == ([2], False)


async def test_messages_of_one_rank_are_listed_by_hash(store: LocalStore, fold: Any, arrive: Any, stored: Any) -> None:
    await fold(arrive(10, stored(7, rank=5)), arrive(11, stored(3, rank=5)), arrive(12, stored(9, rank=4)))
    assert page(store) == ([9, 3, 7], False)
    assert page(store, max_count=2) == ([9, 3], True)
    assert page(store, after=bytes([3]) * 32) == ([7], False)


async def test_nobody_sees_the_mail_of_others(store: LocalStore, fold: Any, arrive: Any, stored: Any) -> None:
    await fold(arrive(1, stored(1)), arrive(2, stored(2), tag=OTHER))
    assert page(store) == ([1], False)
    with store.reader.view(TAG, 0) as view:
        assert view.find([bytes([2]) * 32]) == {}
        assert view.usage(0) == (1, 10)
    with store.reader.view(b"n" * 16, 0) as view:
        assert (view.list(ALL), view.usage(0), view.last_sequence) == ([], (0, 0), 0)


async def test_shards_that_are_given_up_leave_nothing(store: LocalStore, fold: Any, arrive: Any, stored: Any) -> None:
    revoked = Revoked((b"r" * 36,), 1)
    await fold(
        *(arrive(n, stored(n), shard=n % 2 + 1, tag=bytes([n]) * 16) for n in range(1, 101)),
        arrive(101, revoked, shard=1, tag=bytes([2]) * 16),
    )
    assert await store.follow({"main": frozenset({2})}, "log") == {"main": 101}
    rows = await store._writer.run(
        lambda c: [c.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("counter", "message", "revocation")]
    )
    assert rows == [50, 50, 0]
    with store.reader.view(bytes([1]) * 16, 0) as view:
        assert view.usage(0) == (1, 10)
    # Taken up again, the shard begins at the beginning.
    assert await store.follow({"main": frozenset({1, 2})}, "log") == {"main": 0}


async def test_shards_gained_later_catch_up_and_join_the_others(
    store: LocalStore, fold: Any, arrive: Any, stored: Any
) -> None:
    await fold(*(arrive(n, stored(n), shard=1) for n in range(1, 6)))
    positions = await store.follow({"main": frozenset({1, 2}), "extra": frozenset({7})}, "log")
    assert positions == {"main": 5, "extra": 0}
    await fold(arrive(3, stored(33), shard=7, tag=OTHER), arrive(9, stored(9), shard=7, tag=OTHER), follower="extra")
    # The new shards are served now: both groups are one follower's, which reads behind the slower of them.
    assert await store.follow({"main": frozenset({1, 2, 7})}, "log") == {"main": 5}
    changes = await fold(
        arrive(6, stored(6), shard=1),
        arrive(9, stored(9), shard=7, tag=OTHER),
        arrive(10, stored(10), shard=7, tag=OTHER),
    )
    assert [change is None for change in changes] == [False, True, False], "nothing is folded twice"
    (group,) = await store.progress()
    assert (group.shards, group.position) == (frozenset({1, 2, 7}), 10)
    assert page(store)[0] == [1, 2, 3, 4, 5, 6]


async def test_a_cut_log_marks_what_it_lost(store: LocalStore, fold: Any, arrive: Any, stored: Any, clock: Any) -> None:
    gone = Deleted((DeletedMessage(bytes([1]) * 32, 0, (1,)),))
    await fold(arrive(1, stored(1)), arrive(2, stored(2)))
    await fold(arrive(3, stored(3)), arrive(4, gone), arrive(5, stored(5)))
    await store.rewind(2, "another log")
    now = clock.now_ms()
    assert [c.event_id for c in store.reader.lost_changes(now, 10)] == [(4).to_bytes(16, "big")]
    assert [m.rank for m in store.reader.lost_messages(now, 10)] == [3, 5]
    assert page(store)[0] == [2, 3, 5], "mail stays readable"
    (group,) = await store.progress()
    assert (group.position, group.incarnation) == (2, "another log")
    assert group.anchors[-1].sequence == 2

    # The log numbers anew. A new message comes behind the old ones; what comes again is lost no more.
    await fold(arrive(3, stored(8)), arrive(4, stored(5, rank=5)), arrive(5, gone))
    assert page(store)[0] == [2, 3, 5, 8]
    lost = [m.hash[0] for m in store.reader.lost_messages(now, 10)]
    # 3 is still missing; 8 must be appended again, too: a replay would put it before 5.
    assert lost == [3, 8]


@pytest.mark.parametrize("count", [1, 15, 16, 17, 500])
async def test_anchors_reach_far_back_and_stay_few(
    store: LocalStore, fold: Any, arrive: Any, stored: Any, count: int
) -> None:
    for number in range(1, count + 1):
        await fold(arrive(number, stored(number % 250)))
    (group,) = await store.progress()
    sequences = [anchor.sequence for anchor in group.anchors]
    assert sequences[0] == 1
    assert sequences[-1] == count
    assert len(sequences) == min(1 + -(-count // 16), 16) if count > 1 else 1
    for age in (count // 2, count // 8):
        # Wherever the log is cut, some anchor lies not much further back.
        assert any(age <= count - sequence <= 4 * age + 16 for sequence in sequences)
