"""Whatever the network looks like: the paths drawn obey its grade, or none is drawn."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from naisho.errors import TooFewNodes
from naisho.paths import entries
from naisho.paths.choosing import (
    Route,
    are_independent,
    can_enter,
    choose_entry,
    choose_route,
    order_members,
)
from naisho.protocol.directory import Directory, Endpoint, Grade, Node, NodeState, Transport

DAY_MS = 24 * 3_600_000


def node(number: int, family: str, network: int, machine: str, *, ipv6: bool = False) -> Node:
    host = (
        f"2001:db8:{network:x}::{number + 1:x}" if ipv6 else f"10.{network // 256}.{network % 256}.{number % 250 + 1}"
    )
    return Node(
        key=number.to_bytes(32, "big"),
        x25519=number.to_bytes(32, "little"),
        endpoints=(Endpoint(Transport.HTTPS, host, 22021),),
        family=family,
        country="JP",
        version=(2, 11, 0),
        state=NodeState.ACTIVE,
        machine=machine,
    )


@st.composite
def networks(draw: st.DrawFn) -> list[Node]:
    count = draw(st.integers(1, 24))
    return [
        node(
            number,
            draw(st.sampled_from(["", "a", "b", "c", "d", "e"])),
            draw(st.integers(0, 6)),
            draw(st.sampled_from(["", "m1", "m2", "m3", "m4"])),
            ipv6=draw(st.booleans()),
        )
        for number in range(count)
    ]


def triples(nodes: list[Node], entry: Node) -> list[Route]:
    others = [each for each in nodes if each.key != entry.key]
    return [Route(entry, m, x) for m in others for x in others if m.key != x.key]


def is_independent(route: Route) -> bool:
    return all(are_independent(a, b) for a, b in ((route[0], route[1]), (route[1], route[2]), (route[0], route[2])))


@given(networks(), st.randoms(use_true_random=False), st.data())
@settings(max_examples=200, deadline=None)
def test_independent_paths_never_break_the_rule_and_are_found_if_there_is_one(
    nodes: list[Node], random: Random, data: st.DataObject
) -> None:
    entry = data.draw(st.sampled_from(nodes))
    possible = any(map(is_independent, triples(nodes, entry)))
    assert can_enter(nodes, Grade.INDEPENDENT, entry) == possible
    try:
        route = choose_route(nodes, Grade.INDEPENDENT, entry, random)
    except TooFewNodes:
        assert not possible
        return
    assert route.entry == entry
    assert len({hop.key for hop in route}) == 3
    assert len({hop.family for hop in route}) == 3
    assert len(frozenset.union(*(hop.networks for hop in route))) == 3


@given(networks(), st.randoms(use_true_random=False), st.data())
@settings(max_examples=200, deadline=None)
def test_single_operator_paths_have_three_nodes_on_as_many_machines_as_possible(
    nodes: list[Node], random: Random, data: st.DataObject
) -> None:
    entry = data.draw(st.sampled_from(nodes))
    if len(nodes) < 3:
        with pytest.raises(TooFewNodes):
            choose_route(nodes, Grade.SINGLE_OPERATOR, entry, random)
        return
    route = choose_route(nodes, Grade.SINGLE_OPERATOR, entry, random)
    assert len({hop.key for hop in route}) == 3

    def apart(route: Route) -> bool:
        machines = [hop.machine for hop in route if hop.machine]
        return len(set(machines)) == len(machines)

    assert apart(route) or not any(map(apart, triples(nodes, entry)))


@given(networks(), st.randoms(use_true_random=False), st.data())
@settings(max_examples=200, deadline=None)
def test_avoided_nodes_are_no_hops_and_destinations_are_off_the_path(
    nodes: list[Node], random: Random, data: st.DataObject
) -> None:
    entry = data.draw(st.sampled_from(nodes))
    avoid = {each.key for each in data.draw(st.lists(st.sampled_from(nodes)))}
    for grade in Grade:
        try:
            route = choose_route(nodes, grade, entry, random, avoid=avoid)
        except TooFewNodes:
            continue
        assert avoid.isdisjoint({route.middle.key, route.exit.key})
        members = order_members(nodes, route, random)
        assert {m.key for m in members} == {n.key for n in nodes} - {hop.key for hop in route}
        kin = [bool(entry.family) and member.family == entry.family for member in members]
        assert kin == sorted(kin), "the entry's own family comes last"
        strangers = {n.key for n in nodes} - avoid or {n.key for n in nodes}
        left = order_members(nodes, route, random, acquainted=avoid)
        assert {m.key for m in left} == strangers - {hop.key for hop in route}


def test_a_hundred_thousand_draws_from_a_mixed_network() -> None:
    """OXN-2 with the addresses of design 5; and every node that may be a hop becomes one."""
    random = Random(7)
    nodes = [node(n, f"family-{n % 7}", n % 11, f"machine-{n % 9}") for n in range(30)]
    entry = nodes[0]
    exits: Counter[bytes] = Counter()
    for _ in range(100_000):
        route = choose_route(nodes, Grade.INDEPENDENT, entry, random)
        assert is_independent(route)
        exits[route.exit.key] += 1
    allowed = [each for each in nodes if are_independent(entry, each)]
    assert set(exits) == {each.key for each in allowed}
    fair = 100_000 / len(allowed)
    assert all(0.8 * fair < count < 1.2 * fair for count in exits.values())


def test_two_operators_of_a_thousand_nodes_are_refused_quickly() -> None:
    nodes = [node(n, "ab"[n % 2], n, f"m{n}") for n in range(1000)]
    with pytest.raises(TooFewNodes):
        choose_entry(nodes, Grade.INDEPENDENT, Random(1))


def directory(nodes: list[Node], grade: Grade) -> Directory:
    return Directory("n-test", grade, 1, 0, 7 * DAY_MS, b"", tuple(nodes))


@given(networks(), st.sampled_from(Grade), st.randoms(use_true_random=False), st.data())
@settings(max_examples=200, deadline=None)
def test_entries_stay_as_long_as_they_can(nodes: list[Node], grade: Grade, random: Random, data: st.DataObject) -> None:
    try:
        pinned = entries.renew([], directory(nodes, grade), 1_000, random)
    except TooFewNodes:
        assert not any(can_enter(nodes, grade, each) for each in nodes)
        return
    assert 1 <= len(pinned) <= entries.USUAL
    assert len({pin.node for pin in pinned}) == len(pinned)
    assert entries.renew(pinned, directory(nodes, grade), 28 * DAY_MS, random) == pinned

    gone = data.draw(st.sampled_from(nodes))
    left = [each for each in nodes if each.key != gone.key]
    if not left:
        return
    try:
        renewed = entries.renew(pinned, directory(left, grade), 2_000, random)
    except TooFewNodes:
        return
    kept = [pin for pin in pinned if pin.node != gone.key]
    assert renewed[: len(kept)] == kept, "others keep their rank"
    assert gone.key not in {pin.node for pin in renewed}
    late = entries.renew(pinned, directory(nodes, grade), 100 * DAY_MS, random)
    assert all(pin.pinned_ms == 100 * DAY_MS for pin in late)


@given(networks(), st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_never_more_than_six_nodes_learn_the_address(nodes: list[Node], random: Random) -> None:
    network = directory(nodes, Grade.SINGLE_OPERATOR)
    try:
        pinned = entries.renew([], network, 0, random)
        while True:
            assert len(pinned) <= entries.MOST
            pinned = entries.extend(pinned, network, 0, random)
    except TooFewNodes:
        pass


def test_a_node_that_is_not_active_is_no_entry_now_but_stays_pinned() -> None:
    nodes = [node(n, "a", n, "") for n in range(5)]
    pinned = entries.renew([], directory(nodes, Grade.SINGLE_OPERATOR), 0, Random(3))
    sick = [replace(each, state=NodeState.UNREACHABLE) if each.key == pinned[0].node else each for each in nodes]
    network = directory(sick, Grade.SINGLE_OPERATOR)
    assert entries.renew(pinned, network, 1, Random(3)) == pinned
    assert [each.key for each in entries.usable(pinned, network, set())] == [pin.node for pin in pinned[1:]]
    assert entries.usable(pinned, network, {pin.node for pin in pinned}) == []
