"""Who stays, who comes, who leaves; and what becomes of a plan."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest

from operators.membership.domain.life import Life
from operators.membership.domain.pool.observed import Observed, SeenNode, Wish
from operators.membership.domain.pool.population import Population, Resized, populate
from operators.membership.domain.pool.reconcile import Plan, reconcile
from operators.membership.domain.pool.register import DamagedRegister, Entry, Register
from operators.membership.domain.pool.spec import PoolSpec, read_pool
from tests.unit.membership.pool_scenes import A, B, member, node, observed, serving, with_resource


def leaving(found: Population) -> list[str]:
    return [name for name, wish in found.wishes.items() if wish is Wish.DRAINING]


def marked(seen: SeenNode, **resource: Any) -> SeenNode:
    return with_resource(seen, **resource)


def gone(found: Population) -> list[str]:
    return [name for name, entry in found.register.entries.items() if entry.drained]


def test_missing_nodes_get_ordinals_that_nobody_had() -> None:
    seen = observed(serving(12), 14)
    seen = replace(seen, register=replace(seen.register, next_ordinal=20))
    found = populate(seen)
    assert list(found.wishes)[12:] == ["p-20", "p-21"]
    assert found.register.next_ordinal == 22
    assert set(found.wishes.values()) == {Wish.ACTIVE}


def test_the_youngest_leave_first_before_them_who_serve_nobody_and_before_them_the_chosen() -> None:
    nodes = serving(12)
    assert leaving(populate(observed(nodes, 10))) == ["p-10", "p-11"]
    nodes[3] = node(3, member=member(life=Life.JOINING))
    assert leaving(populate(observed(nodes, 10))) == ["p-3", "p-11"]
    nodes[5] = marked(nodes[5], drain_first=True)
    assert leaving(populate(observed(nodes, 11))) == ["p-5"]
    assert leaving(populate(observed(nodes, 12))) == [], "the annotation alone makes nobody leave"


def test_a_drain_by_hand_brings_another_node() -> None:
    nodes = serving(12)
    nodes[4] = marked(nodes[4], drain=True)
    found = populate(observed(nodes))
    assert leaving(found) == list(found.drains) == ["p-4"]
    assert "p-12" in found.wishes


@pytest.mark.parametrize(
    ("known", "wish", "skip", "authority", "leaves"),
    [
        (member("", Life.GONE, drained=True), Wish.ACTIVE, False, True, True),
        (member(life=Life.DRAINING), Wish.DRAINING, False, True, False),
        (member(life=Life.DRAINING), Wish.DRAINING, True, True, True),
        (member(), Wish.DRAINING, True, False, True),
        (member(), Wish.ACTIVE, True, True, False),
        (member("", Life.ANNOUNCED), Wish.DRAINING, False, True, True),
        (member("", Life.GONE), Wish.DRAINING, False, True, True),
        (member("", Life.GONE), Wish.ACTIVE, False, True, False),
        (None, Wish.DRAINING, False, True, True),
        (None, Wish.DRAINING, False, False, False),
        (member(life=Life.UNREACHABLE), Wish.DRAINING, False, True, False),
    ],
)
def test_who_has_left(known: Any, wish: Wish, skip: bool, authority: bool, leaves: bool) -> None:  # noqa: FBT001 - a row
    odd = marked(node(0, member=known), wish=wish, skip_drain=skip)
    seen = observed([odd, *serving(12)[1:]], 12, authority=authority)
    assert ("p-0" in gone(populate(seen))) is leaves


def test_who_left_without_being_waited_for_is_dismissed() -> None:
    skipped = marked(node(0), wish=Wish.DRAINING, skip_drain=True)
    found = populate(observed([skipped, *serving(12)[1:]]))
    assert found.dismissals == ("p-0",)
    away = node(0, member=member("", Life.GONE))
    seen = observed([away, *serving(12)[1:]])
    assert populate(replace(seen, register=seen.register.left("p-0"))).dismissals == ()


def test_a_drain_goes_on_though_its_resource_was_deleted() -> None:
    deleted = node(0, resource=None, member=member(life=Life.DRAINING))
    assert leaving(populate(observed([deleted, *serving(12)[1:]]))) == ["p-0"]


def test_a_node_that_was_to_leave_stays_after_all_if_nothing_has_begun() -> None:
    nodes = [marked(seen, wish=Wish.DRAINING) if seen.name in {"p-10", "p-11"} else seen for seen in serving(12)]
    assert leaving(populate(observed(nodes, 11))) == ["p-11"]
    begun = [*nodes[:10], replace(nodes[10], member=member(B, Life.DRAINING)), nodes[11]]
    found = populate(observed(begun, 12))
    assert leaving(found) == ["p-10"]
    assert "p-12" in found.wishes
    asked = [*nodes[:11], marked(nodes[11], drain=True)]
    assert leaving(populate(observed(asked, 12))) == ["p-11"]
    unknown = populate(observed(nodes, 12, authority=False))
    assert leaving(unknown) == ["p-10", "p-11"], "what the authority has begun is not known"


def test_a_reserved_node_whose_objects_could_not_be_made_just_goes() -> None:
    nodes = [*serving(12), SeenNode("p-12")]
    found = populate(observed(nodes, 12))
    assert gone(found) == ["p-12"]
    assert "p-12" not in found.wishes
    assert populate(observed(nodes, 13)).wishes["p-12"] is Wish.ACTIVE
    assert not gone(populate(observed(nodes, 12, authority=False))), "somebody may know it"
    volume = [*serving(12), SeenNode("p-12", volume="Bound")]
    assert leaving(populate(observed(volume, 12))) == ["p-12"], "its volume may hold something"


def test_after_a_reinstall_with_fewer_replicas_nodes_come_back_to_hand_over() -> None:
    """Resources and pods are gone; the register, the volumes and the log remember fifteen nodes."""
    away = [
        node(n, resource=None, placed=False, pod=None, member=member(A, Life.UNREACHABLE, holds=False))
        for n in range(15)
    ]
    plan = reconcile(observed(away, 12))
    assert len(plan.nodes) == 15
    assert plan.drains == ("p-12", "p-13", "p-14")
    assert all(seen.renew for seen in plan.nodes.values()), "also those that leave: only they hold what is theirs"
    assert not plan.retired


def test_an_unsafe_number_changes_nothing() -> None:
    assert not leaving(populate(observed(serving(12), 2)))
    allowed = populate(observed(serving(12), 2, pool=PoolSpec("p", allow_unsafe=True)))
    assert len(leaving(allowed)) == 10


# Leaving without a replacement.


def unreplaced(nodes: Iterable[int], *, wish: Wish = Wish.ACTIVE, **more: Any) -> list[SeenNode]:
    marks = {"drain": True, "no_replacement": True, "wish": wish, **more}
    return [marked(seen, **marks) if int(seen.name[2:]) in nodes else seen for seen in serving(14)]


def with_counted(seen: Observed, *names: str) -> Observed:
    return replace(seen, pool=replace(seen.pool, not_replaced=frozenset(names)))


def test_who_leaves_without_a_replacement_makes_the_pool_smaller_once() -> None:
    found = populate(observed(unreplaced([4])))
    assert found.resized == Resized(13, ("p-4",))
    assert leaving(found) == ["p-4"]
    assert len(found.wishes) == 14
    later = populate(with_counted(observed(unreplaced([4], wish=Wish.DRAINING), 13), "p-4"))
    assert (later.resized, leaving(later), len(later.wishes)) == (None, ["p-4"], 14)
    second = populate(with_counted(observed(unreplaced([4, 7]), 13), "p-4"))
    assert second.resized == Resized(12, ("p-4", "p-7"))
    left = populate(with_counted(observed(serving(14)[:13], 13), "p-4"))
    assert left.resized == Resized(13, ()), "it is forgotten when it has left"


def test_who_is_not_waited_for_is_counted_before_it_is_gone() -> None:
    nodes = unreplaced([4], skip_drain=True)
    first = populate(observed(nodes))
    assert (first.resized, gone(first)) == (Resized(13, ("p-4",)), [])
    second = populate(with_counted(observed(nodes, 13), "p-4"))
    assert gone(second) == ["p-4"]
    assert len(second.wishes) == 13


def test_no_pool_becomes_too_small_by_it() -> None:
    three = [marked(seen, drain=True, no_replacement=True) for seen in serving(3)]
    assert populate(observed(three)).resized == Resized(3, ("p-0", "p-1", "p-2"))
    allowed = observed(three, pool=PoolSpec("p", allow_unsafe=True))
    assert populate(allowed).resized == Resized(0, ("p-0", "p-1", "p-2"))


def test_a_spec_that_breaks_a_rule_is_not_written_to() -> None:
    assert populate(observed(unreplaced([4]), broken=("storage only grows",))).resized is None


# Plans.


def test_a_settled_pool_has_an_empty_plan() -> None:
    seen = observed(serving(12))
    labels = [{"naisho.dev/state": "Active", "naisho.dev/swarm": swarm} for swarm in (A, B)]
    plan = reconcile(seen)
    assert plan.register == seen.register
    assert not any((plan.retired, plan.drains, plan.dismissals, plan.budgets, plan.unbudgeted, plan.resized))
    for n, planned in enumerate(plan.nodes.values()):
        assert not any((planned.renew, planned.replace_pod, planned.replace_volume))
        assert planned.labels == labels[n // 6]


def test_who_has_left_is_retired_until_its_resource_is_gone() -> None:
    nodes = [node(0, member=member("", Life.GONE, drained=True)), *serving(13)[1:]]
    assert reconcile(observed(nodes, 12)).retired == ("p-0",)
    seen = observed([replace(nodes[0], resource=None), *nodes[1:]], 12)
    assert reconcile(replace(seen, register=seen.register.left("p-0"))).retired == ()


def test_of_a_paused_pool_nothing_is_asked() -> None:
    nodes = [marked(node(0, current=False), drain=True), *serving(12)[1:], SeenNode("p-12")]
    seen = observed(nodes, 15, pool=PoolSpec("p", paused=True), budgets={})
    plan = reconcile(seen)
    assert plan == Plan(seen.register, plan.nodes, paused=True)
    assert set(plan.nodes) == {f"p-{n}" for n in range(12)}
    assert not any(planned.renew or planned.labels for planned in plan.nodes.values())


def test_budgets_follow_the_swarms_and_stay_while_those_are_not_known() -> None:
    seen = observed(serving(12))
    first, second = seen.budgets[A], seen.budgets[B]
    seen = replace(seen, budgets={B: second, "4000000000000000": first})
    plan = reconcile(seen)
    assert (plan.budgets, plan.unbudgeted) == ({A: first}, ("4000000000000000",))
    plan = reconcile(replace(seen, directory=None))
    assert (plan.budgets, plan.unbudgeted) == ({}, ())
    plan = reconcile(replace(seen, directory=None, pool=replace(seen.pool, budgets=False)))
    assert plan.unbudgeted == ("4000000000000000", B)


def test_a_budget_counts_whoever_serves_in_its_swarm() -> None:
    nodes = [*serving(12), node(12, member=member("", Life.JOINING, planned=A)), SeenNode("p-13")]
    settled = observed(nodes, 14)
    assert settled.budgets[A] == {f"p-{n}" for n in range(6)}
    assert reconcile(settled).budgets == {}
    joined = replace(settled, nodes={**settled.nodes, "p-12": node(12, A)})
    assert reconcile(joined).budgets == {A: settled.budgets[A] | {"p-12"}}
    left = replace(settled, nodes={**settled.nodes, "p-0": node(0, member=member("", Life.GONE, drained=True))})
    assert reconcile(left).budgets == {A: settled.budgets[A] - {"p-0"}}
    unknown = replace(settled, budgets={**settled.budgets, A: frozenset()})
    assert reconcile(unknown).budgets == {A: settled.budgets[A]}, "somebody has changed it"


# Registers and specs.


def test_a_register_is_read_as_it_was_written() -> None:
    made = Register().reserved("p").reserved("p").keyed("p-1", "ab").left("p-0").reserved("p")
    assert Register.parse(made.render()) == made
    assert made.entries["p-0"] == Entry(0, drained=True)
    assert list(made.staying) == ["p-1", "p-2"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema": 2, "next_ordinal": 0, "nodes": {}}',
        '{"schema": 1, "nodes": {}}',
        '{"schema": 1, "next_ordinal": 1, "nodes": {"p-1": {"ordinal": 1, "key": "", "drained": false}}}',
        '{"schema": 1, "next_ordinal": 1, "nodes": {"p-0": {"ordinal": 0}}}',
    ],
)
def test_of_a_damaged_register_nothing_is_guessed(text: str) -> None:
    with pytest.raises(DamagedRegister):
        Register.parse(text)


def test_a_key_never_changes() -> None:
    made = Register().reserved("p").keyed("p-0", "ab")
    assert made.keyed("p-0", "ab") == made
    with pytest.raises(ValueError, match="never changes"):
        made.keyed("p-0", "cd")


def test_what_a_pool_does_not_say_has_its_default() -> None:
    assert read_pool({"metadata": {"name": "p"}}) == PoolSpec("p", resources={"onion": {}, "swarm": {}}, settings={"onion": {}, "swarm": {}})  # fmt: skip  # noqa: E501 - one line says it
    body = {
        "metadata": {"name": "p", "uid": "u", "generation": 3, "annotations": {"naisho.dev/not-replaced": "p-1,p-4"}},
        "spec": {"replicas": 2, "allowUnsafe": True, "storage": {"size": 10737418240}, "paused": True},
    }
    pool = read_pool(body)
    assert (pool.uid, pool.generation, pool.replicas, pool.allow_unsafe, pool.paused) == ("u", 3, 2, True, True)
    assert (pool.storage_size, pool.unsafe) == ("10737418240", False)
    assert pool.not_replaced == {"p-1", "p-4"}
    assert read_pool({**body, "spec": {"replicas": 2}}).unsafe
