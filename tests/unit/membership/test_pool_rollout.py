"""Which nodes are changed now: what is in the way, what is not, and what unblocks itself."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from operators.membership.domain.life import Life
from operators.membership.domain.pool.observed import SeenNode
from operators.membership.domain.pool.rollout import Rollout, roll
from tests.unit.membership.pool_scenes import A, B, member, node, serving, with_pod


def rolled(nodes: list[SeenNode], *, informed: bool = True, **more: Any) -> Rollout:
    return roll({seen.name: seen for seen in nodes}, informed=informed, **more)


def old(seen: SeenNode) -> SeenNode:
    """Return the node with a StatefulSet that is to be changed."""
    return replace(seen, current=False)


def unready(seen: SeenNode, **pod: Any) -> SeenNode:
    return with_pod(seen, ready=False, **pod)


def test_nothing_is_changed_where_all_is_as_it_should_be() -> None:
    assert rolled(serving(12)) == Rollout(frozenset(), frozenset(), frozenset(), {})


def test_one_of_each_swarm_is_changed() -> None:
    plan = rolled([old(seen) for seen in serving(12)])
    assert plan.renew == {"p-0", "p-6"}
    assert set(plan.waiting) == {f"p-{n}" for n in range(12)} - plan.renew
    assert set(plan.waiting.values()) == {"waits for its turn"}
    assert plan.disturbed == {A, B}


def test_a_node_that_moves_counts_in_both_swarms() -> None:
    nodes = [old(node(0, member=member(A, planned=B))), old(node(1, A)), old(node(2, B))]
    assert rolled(nodes).renew == {"p-0"}


@pytest.mark.parametrize(
    "other",
    [
        unready(node(1)),
        with_pod(node(1), deleting=True),
        with_pod(node(1), current=False),
        node(1, resource=None),
        node(1, pod=None),
        node(1, member=member(holds=False)),
        node(1, member=member(life=Life.JOINING)),
        node(1, member=member(life=Life.UNREACHABLE)),
        unready(node(1), broken=True),
        unready(node(1), stuck=True),
    ],
)
def test_a_serving_node_waits_for_a_member_that_is_not_well(other: SeenNode) -> None:
    plan = rolled([old(node(0)), other, old(node(2, B))])
    assert plan.waiting == {"p-0": "waits for p-1"}
    assert "p-2" in plan.renew
    assert A in plan.disturbed


def test_a_member_that_leaves_and_holds_everything_is_not_waited_for() -> None:
    assert rolled([old(node(0)), node(1, member=member(life=Life.DRAINING))]).renew == {"p-0"}


def test_a_change_under_way_comes_first_though_the_pod_still_looks_well() -> None:
    under_way = with_pod(node(1), current=False)
    plan = rolled([old(node(0)), under_way])
    assert plan.renew == plan.replace_pods == {"p-1"}
    taken_back = old(under_way)
    plan = rolled([old(node(0)), taken_back])
    assert plan.renew == {"p-1"}
    assert not plan.replace_pods, "the StatefulSet is put back first"


@pytest.mark.parametrize(
    "idle",
    [
        node(0, pod=None),
        unready(node(0), broken=True),
        unready(node(0), started=False),
        unready(node(0), started=False, unscheduled=True),
        node(0, member=member("", Life.ANNOUNCED)),
    ],
)
def test_of_what_nothing_serves_is_changed_at_once(idle: SeenNode) -> None:
    plan = rolled([old(idle), unready(node(1)), old(unready(node(2), broken=True))])
    assert plan.renew == {"p-0", "p-2"}


def test_pods_that_found_no_machine_do_not_hold_up_their_own_correction() -> None:
    """Too much memory was asked for: two members wait for machines; the wish is taken back."""
    waiting = [old(unready(node(n), started=False, unscheduled=True)) for n in (0, 1)]
    assert rolled([*waiting, node(2)]).renew == {"p-0", "p-1"}


def test_a_node_that_alone_is_not_well_may_be_changed() -> None:
    assert rolled([old(unready(node(0))), node(1)]).renew == {"p-0"}
    assert not rolled([old(unready(node(0))), unready(node(1))]).renew


def test_nodes_that_stay_unwell_do_not_wait_for_each_other_but_change_one_after_the_other() -> None:
    stuck = [old(unready(node(n), stuck=True)) for n in range(3)]
    assert rolled(stuck).renew == {"p-0"}
    begun = unready(node(0))
    assert not rolled([begun, *stuck[1:]]).renew, "the first has its time to become ready"
    assert rolled([unready(node(0), stuck=True), *stuck[1:]]).renew == {"p-1"}


@pytest.mark.parametrize("pod", [{"stuck": True, "ready": False}, {"ready": False}, {}])
def test_without_the_authority_nothing_that_runs_is_touched(pod: dict[str, bool]) -> None:
    running = old(with_pod(node(0, member=None), **pod))
    lost = replace(with_pod(node(1, member=None), **pod), volume="Lost")
    down = old(node(2, member=None, pod=None))
    plan = rolled([running, lost, down], informed=False)
    assert plan.renew == {"p-2"}
    assert plan.waiting["p-0"].startswith("waits for the membership authority")
    assert not plan.replace_volumes


def test_another_pools_disturbance_counts() -> None:
    assert rolled([old(node(0)), old(node(1, B))], elsewhere=frozenset({A})).renew == {"p-1"}


def test_a_lost_volume_is_replaced_when_the_rest_of_the_swarm_is_well() -> None:
    lost = replace(unready(node(0)), volume="Lost")
    plan = rolled([lost, node(1)])
    assert plan.replace_volumes == plan.replace_pods == {"p-0"}
    waiting = rolled([lost, unready(node(1))])
    assert not waiting.replace_volumes
    assert waiting.waiting == {"p-0": "waits for p-1"}
    dead = replace(unready(node(0), started=False), volume="Lost")
    assert rolled([dead, unready(node(1))]).replace_volumes == {"p-0"}
    two = [replace(node(n), volume="Lost") for n in (0, 1)]
    assert rolled(two).replace_volumes == {"p-0"}


def test_a_pod_whose_claim_was_taken_away_is_made_again() -> None:
    orphan = node(0, volume=None)
    assert rolled([unready(orphan, started=False, unscheduled=True), unready(node(1))]).replace_pods == {"p-0"}
    assert not rolled([unready(orphan, unscheduled=True, deleting=True)]).replace_pods
    assert not rolled([unready(orphan, started=False)]).replace_pods
    assert not rolled([unready(node(0), started=False, unscheduled=True)]).replace_pods


def test_a_pod_that_is_ending_is_not_removed_again() -> None:
    ending = with_pod(node(0), current=False, deleting=True)
    assert not rolled([ending]).replace_pods


def test_what_is_not_there_is_made() -> None:
    nothing = SeenNode("p-9")
    plan = rolled([nothing, unready(node(0))], informed=False)
    assert plan.renew == {"p-9"}


def test_nodes_that_nobody_reaches_do_not_hold_each_other_up() -> None:
    """Their address may be what is to be changed; still one of a swarm at a time, and none while another restarts."""
    lost = [node(n, current=False, member=member(life=Life.UNREACHABLE, holds=False)) for n in range(4)]
    assert rolled(lost).renew == {"p-0"}
    restarting = with_pod(lost[0], ready=False, started=False)
    assert rolled([restarting, *lost[1:]]).renew == {"p-0"}
    assert rolled([node(0, member=member(life=Life.UNREACHABLE)), *lost[1:]]).renew == {"p-1"}
    assert rolled([node(0), *lost[1:]]).renew == {"p-1"}
    found = rolled([node(0, current=False), *lost[1:]])
    assert found.renew == {"p-1"}
    assert found.waiting.keys() == {"p-0", "p-2", "p-3"}, "who serves waits for them"
