"""Swarm ids of the network's form cut the ring exactly between shards, whatever the set of swarms."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from naisho.protocol.ring import SHARDS, choose_swarm, position, shard_of, shards_of, swarm_id

POSITIONS = st.integers(0, 2**64 - 1)
SETS = st.sets(st.integers(0, SHARDS // 2 - 1).map(swarm_id), min_size=1)


def nearest(at: int, ids: set[int]) -> int:
    """The rule of wire 3.2 in its plainest form: least distance on the ring, ties to the id before."""

    def distance(swarm: int) -> tuple[int, bool]:
        before, behind = (at - swarm) % 2**64, (swarm - at) % 2**64
        return min(before, behind), behind < before

    return min(ids, key=distance)


@given(SETS, st.integers(0, SHARDS - 1), st.data())
def test_all_positions_of_a_shard_choose_the_same_swarm(ids: set[int], shard: int, data: st.DataObject) -> None:
    first, last = shard << 56, (shard + 1 << 56) - 1
    between = data.draw(st.integers(first, last))
    assert shard_of(first) == shard_of(between) == shard_of(last) == shard
    assert choose_swarm(first, ids) == choose_swarm(between, ids) == choose_swarm(last, ids)


@given(SETS)
def test_every_shard_belongs_to_exactly_one_swarm(ids: set[int]) -> None:
    shares = {swarm: shards_of(swarm, ids) for swarm in ids}
    assert sorted(shard for share in shares.values() for shard in share) == list(range(SHARDS))
    assert all(shares.values())


@given(SETS, st.integers(0, SHARDS // 2 - 1).map(swarm_id))
def test_a_new_swarm_takes_shards_and_moves_none_between_others(ids: set[int], new: int) -> None:
    before = {shard: choose_swarm(shard << 56, ids) for shard in range(SHARDS)}
    after = {shard: choose_swarm(shard << 56, ids | {new}) for shard in range(SHARDS)}
    assert all(after[shard] in (before[shard], new) for shard in range(SHARDS))


@given(st.sets(st.integers(0, 2**64 - 2), min_size=1, max_size=30), POSITIONS)
def test_the_nearest_swarm_wins_for_ids_of_any_form(ids: set[int], at: int) -> None:
    assert choose_swarm(at, ids) == nearest(at, ids)
    swarm = min(ids)
    assert choose_swarm(swarm, ids) == swarm


@given(st.binary(min_size=32, max_size=32))
def test_positions_lie_on_the_ring(key: bytes) -> None:
    at = position(key)
    assert 0 <= at < 2**64
    assert position(key[8:] + key[:8]) == at
