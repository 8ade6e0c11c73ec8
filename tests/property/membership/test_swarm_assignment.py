"""Whom the assignment moves, and whom it leaves in peace."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from naisho.protocol import ring
from operators.membership.domain.assignment import (
    MOST_SWARMS,
    Placed,
    SwarmSizes,
    assign,
    crowding,
    new_swarm_id,
    swarm_count,
)

SIZES = SwarmSizes()
FAMILIES = ("aoi", "bergen", "citrus", "dune", "elm")


def node(index: int, family: str, swarm: int = ring.INVALID_SWARM) -> Placed:
    return Placed(index.to_bytes(4, "big") * 8, family, swarm)


def settle(nodes: list[Placed], *, spread: bool = True) -> list[Placed]:
    placed = assign(nodes, SIZES, spread=spread)
    return [n._replace(swarm_id=placed[n.key]) for n in nodes]


def moved(before: list[Placed], after: list[Placed]) -> int:
    old = {n.key: n.swarm_id for n in before}
    return sum(old.get(n.key, ring.INVALID_SWARM) not in {ring.INVALID_SWARM, n.swarm_id} for n in after)


def swarms_of(nodes: list[Placed]) -> dict[int, list[Placed]]:
    found: dict[int, list[Placed]] = {}
    for n in nodes:
        found.setdefault(n.swarm_id, []).append(n)
    return found


def sizes_of(nodes: list[Placed]) -> list[int]:
    return sorted(Counter(n.swarm_id for n in nodes).values())


members = st.lists(st.sampled_from(FAMILIES), max_size=60).map(
    lambda families: [node(index, family) for index, family in enumerate(families)]
)
#: Joins (a family) and losses (a number that picks somebody), in any order.
histories = st.lists(st.one_of(st.sampled_from(FAMILIES), st.integers(0, 10_000)), max_size=60)


@pytest.mark.parametrize(
    ("count", "expected"),
    [(0, []), (1, [1]), (4, [4]), (11, [11]), (12, [6, 6]), (13, [6, 7]), (15, [7, 8]), (17, [8, 9]), (18, [6, 6, 6]),
     (21, [7, 7, 7]), (24, [6, 6, 6, 6])],
)  # fmt: skip
def test_sizes_of_new_networks(count: int, expected: list[int]) -> None:
    assert sizes_of(settle([node(index, FAMILIES[index % 3]) for index in range(count)])) == expected


@given(members)
def test_new_networks_are_even_in_size_and_family(nodes: list[Placed]) -> None:
    swarms = swarms_of(settle(nodes))
    for counted in (None, *FAMILIES):
        counts = [sum(counted in {None, n.family} for n in members) for members in swarms.values()]
        if counts:
            assert max(counts) - min(counts) <= 1


@given(members, st.randoms(use_true_random=False))
def test_order_does_not_matter(nodes: list[Placed], dice: random.Random) -> None:
    settled = settle(nodes)
    shuffled = settled[:]
    dice.shuffle(shuffled)
    assert assign(shuffled, SIZES) == assign(settled, SIZES)
    dice.shuffle(nodes)
    assert assign(nodes, SIZES) == {n.key: n.swarm_id for n in settled}


@given(members)
def test_what_is_settled_stays(nodes: list[Placed]) -> None:
    settled = settle(nodes)
    assert settle(settled) == settled


@given(histories)
def test_through_any_history_few_move_and_sizes_hold(history: list[str | int]) -> None:
    nodes: list[Placed] = []
    fresh = itertools.count()
    for event in history:
        before = nodes
        old_swarms = swarms_of(before)
        if isinstance(event, str):
            arrived = node(next(fresh), event)
            nodes = settle([*before, arrived], spread=False)
        elif before:
            gone = before[event % len(before)]
            nodes = settle([n for n in before if n is not gone], spread=False)
        swarms = swarms_of(nodes)
        assert all(swarm != ring.INVALID_SWARM and swarm % 2**57 == 2**56 - 1 for swarm in swarms)
        assert len(swarms) == swarm_count(len(nodes), len(old_swarms), SIZES)
        if len(swarms) > 1:
            assert min(sizes_of(nodes)) >= SIZES.minimum
        moves = moved(before, nodes)
        if len(swarms) > len(old_swarms):
            assert moves <= SIZES.ideal
            assert set(old_swarms) <= set(swarms), "a swarm keeps its id"
        elif len(swarms) < len(old_swarms):
            homeless = {n.key for swarm in set(old_swarms) - set(swarms) for n in old_swarms[swarm]}
            assert moves == len(homeless & {n.key for n in nodes}), "only members of the dissolved swarm move"
        else:
            assert moves <= (0 if isinstance(event, str) else 1)
            assert set(swarms) == set(old_swarms)


@given(histories)
def test_families_thin_out_by_one_exchange_a_step(history: list[str | int]) -> None:
    nodes: list[Placed] = []
    for index, event in enumerate(history):
        if isinstance(event, str):
            nodes = settle([*nodes, node(index, event)], spread=False)
        elif nodes:
            nodes = settle([n for n in nodes if n is not nodes[event % len(nodes)]], spread=False)
    for _ in range(200):
        after = settle(nodes)
        moves = moved(nodes, after)
        assert moves in {0, 2}
        assert sizes_of(after) == sizes_of(nodes)
        if not moves:
            break
        nodes = after
    else:
        raise AssertionError("it never comes to rest")


def test_a_family_that_fills_a_swarm_is_spread() -> None:
    first, second = ring.swarm_id(0), ring.swarm_id(64)
    nodes = [node(i, "aoi", first) for i in range(6)] + [node(10 + i, "bergen", second) for i in range(6)]
    assert crowding(swarms_of(nodes))
    for _ in range(3):
        nodes = settle(nodes)
    assert not crowding(swarms_of(nodes))
    assert all(len({n.family for n in members}) == 2 for members in swarms_of(nodes).values())


@given(st.integers(1, MOST_SWARMS))
def test_new_ids_are_unique_and_halve_the_widest_gap(count: int) -> None:
    ids: list[int] = []
    for _ in range(count):
        ids.append(new_swarm_id(ids))
    assert len(set(ids)) == count
    places = sorted((swarm + 1) >> 57 for swarm in ids)
    gaps = [after - before for before, after in zip(places, [*places[1:], places[0] + MOST_SWARMS], strict=True)]
    assert max(gaps) <= 2 * min(gaps)


@given(st.integers(3, 20), st.integers(1, 10), st.integers(0, 400))
def test_counts_do_not_swing(minimum: int, above: int, nodes: int) -> None:
    sizes = SwarmSizes(minimum, minimum + above)
    for swarms in range(1, 20):
        count = swarm_count(nodes, swarms, sizes)
        assert swarm_count(nodes, count, sizes) == count


@pytest.mark.parametrize(("minimum", "ideal"), [(2, 6), (5, 5), (0, 1)])
def test_sizes_that_clients_would_refuse(minimum: int, ideal: int) -> None:
    with pytest.raises(ValueError, match=r"refuse|come and go"):
        SwarmSizes(minimum, ideal)
