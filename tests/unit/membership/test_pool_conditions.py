"""What a pool and its nodes are told to be: each reason of the table, when it is right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from operators.membership.domain.life import Life
from operators.membership.domain.pool.conditions import NODE_REASONS, POOL_REASONS, Condition, some, written
from operators.membership.domain.pool.node_status import node_status
from operators.membership.domain.pool.observed import Observed, SeenNode, Wish
from operators.membership.domain.pool.pool_status import pool_status
from operators.membership.domain.pool.reconcile import NodePlan, reconcile
from operators.membership.domain.pool.risks import KEYS_END_SOON_MS
from operators.membership.domain.pool.spec import PoolSpec
from tests.crds.conditions import reasons
from tests.unit.membership.pool_scenes import (
    NOW,
    NOW_MS,
    A,
    B,
    directory,
    member,
    node,
    observed,
    serving,
    with_pod,
    with_resource,
)

STATUSES = {True: "True", False: "False", None: "Unknown"}
WELL = serving(12)


def test_the_code_has_the_reasons_of_the_table_and_no_others() -> None:
    in_code = [
        (kind, condition, STATUSES[holds], reason)
        for kind, table in (("NodePool", POOL_REASONS), ("ServiceNode", NODE_REASONS))
        for condition, found in table.items()
        for reason, holds in found.items()
    ]
    assert sorted(in_code) == sorted(reasons())


def told(seen: Observed, **more: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {"refusal": "", "problems": {}, "selector": "s", "before": {}, "now": NOW, **more}
    return pool_status(seen, reconcile(seen), **arguments)


def reason(status: dict[str, Any], kind: str) -> str:
    (found,) = (condition["reason"] for condition in status["conditions"] if condition["type"] == kind)
    assert isinstance(found, str)
    return found


def test_a_pool_that_is_well() -> None:
    status = told(observed(WELL))
    assert [condition["reason"] for condition in status["conditions"]] == [next(iter(t)) for t in POOL_REASONS.values()]
    assert status["phase"] == "AllActive"
    assert (status["replicas"], status["readyReplicas"], status["activeReplicas"]) == (12, 12, 12)
    assert (status["drainingReplicas"], status["updatedReplicas"]) == (0, 12)
    assert status["swarms"][0] == {"id": A, "members": 6, "active": 6, "planned": 6}
    assert status["directoryExpires"].endswith("Z")


@pytest.mark.parametrize(
    ("changes", "kind", "expected"),
    [
        ({"pool": PoolSpec("p", paused=True)}, "Ready", "Paused"),
        ({"authority": False, "directory": None}, "Ready", "LogUnreachable"),
        ({"authority": False, "directory": None}, "Degraded", "LogUnreachable"),
        ({"authority": False, "directory": None}, "MembershipAgreed", "LogUnreachable"),
        ({"authority": False, "directory": None}, "Progressing", "Stable"),
        ({"directory": None}, "Ready", "NoDirectory"),
        ({"directory": None}, "MembershipAgreed", "NoDirectory"),
        ({"directory": directory(WELL, waits=("p-3 follows",))}, "Progressing", "MovingSwarms"),
        ({"replicas": 13}, "Ready", "NotAllActive"),
        ({"replicas": 13}, "Progressing", "CreatingNodes"),
        ({"replicas": 11}, "Progressing", "DrainingNodes"),
        ({"replicas": 11}, "ConfigurationWarning", "FewNodes"),
        ({"replicas": 2, "pool": PoolSpec("p", allow_unsafe=True)}, "ConfigurationWarning", "UnsafeReplicas"),
        ({"replicas": 2}, "ConfigurationWarning", "RuleBroken"),
        ({"broken": ("storage only grows",)}, "ConfigurationWarning", "RuleBroken"),
        (
            {"directory": directory(WELL, keys_end_ms=NOW_MS + KEYS_END_SOON_MS - 1)},
            "ConfigurationWarning",
            "DelegationEnds",
        ),
        ({"directory": directory(WELL, keys_end_ms=NOW_MS + KEYS_END_SOON_MS)}, "ConfigurationWarning", "None"),
        ({"directory": directory(WELL, cramped=("MAIL_n",))}, "ConfigurationWarning", "LogCramped"),
    ],
)
def test_what_is_told_of_a_pool(changes: dict[str, Any], kind: str, expected: str) -> None:
    assert reason(told(observed(WELL, **changes)), kind) == expected


@pytest.mark.parametrize(
    ("changed", "kind", "expected"),
    [
        (node(0, member=member(life=Life.UNREACHABLE, holds=False)), "Degraded", "NodesUnreachable"),
        (node(0, member=member(life=Life.UNREACHABLE, holds=False)), "MembershipAgreed", "NodesBehind"),
        (node(0, volume="Lost"), "Degraded", "VolumeLost"),
        (node(0, member=member(life=Life.JOINING)), "Degraded", "SwarmShort"),
        (node(0, member=member(life=Life.JOINING)), "Progressing", "CreatingNodes"),
        (node(0, member=member(life=Life.DRAINING)), "Degraded", "Whole"),
        (node(0, member=member(life=Life.DRAINING)), "Progressing", "DrainingNodes"),
        (node(0, current=False), "Progressing", "RollingOut"),
        (with_pod(node(0), current=False), "Progressing", "RollingOut"),
        (with_pod(node(0), ready=False), "Ready", "NotAllActive"),
    ],
)
def test_what_one_node_makes_of_the_pool(changed: SeenNode, kind: str, expected: str) -> None:
    assert reason(told(observed([changed, *WELL[1:]])), kind) == expected


def test_a_swarm_below_what_clients_accept_is_short_though_nobody_is_missing() -> None:
    nodes = [node(0), node(1), *(node(ordinal, B) for ordinal in range(2, 12))]
    assert reason(told(observed(nodes)), "Degraded") == "SwarmShort"


def test_only_a_swarm_that_is_all_on_one_machine_is_a_risk() -> None:
    together = [with_pod(seen, machine="m-1") if seen.member == member(A) else seen for seen in WELL]
    assert reason(told(observed(together)), "ConfigurationWarning") == "SingleMachine"
    apart = [with_pod(together[0], machine="m-2"), *together[1:]]
    assert reason(told(observed(apart)), "ConfigurationWarning") == "None"


def test_refusals_and_problems_are_told() -> None:
    status = told(observed(WELL), refusal="11 would be left", problems={"p-3": "403"})
    assert (reason(status, "DrainRefused"), reason(status, "Degraded")) == ("TooFewNodes", "NodeFailed")
    assert "p-3: 403" in [condition["message"] for condition in status["conditions"]]


def test_without_the_log_what_it_told_last_stays() -> None:
    status = told(observed(WELL, authority=False, directory=None))
    assert not {"epoch", "grade", "networkId", "swarms", "activeReplicas"} & set(status)
    assert status["readyReplicas"] == 12


def node_told(seen: SeenNode, plan: NodePlan | None = None, **more: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {"problem": "", "epoch": 7, "before": {}, "generation": 1, "now": NOW, **more}
    return node_status(seen, plan, **arguments)


def planned(wish: Wish = Wish.ACTIVE, waits: str = "") -> NodePlan:
    return NodePlan(wish, renew=False, replace_pod=False, replace_volume=False, labels={}, waits=waits)


def test_a_node_that_is_well() -> None:
    status = node_told(node(0), planned())
    assert [condition["reason"] for condition in status["conditions"]] == [
        "Serving",
        "Listed",
        "NotAsked",
        "Current",
    ]
    assert (status["phase"], status["swarm"], status["nextSwarm"], status["lag"]) == ("Active", A, None, 0)


LEAVING = member(life=Life.DRAINING)
GONE = member("", Life.GONE, drained=True)


@pytest.mark.parametrize(
    ("seen", "plan", "more", "kind", "expected"),
    [
        (node(0, pod=None), planned(), {}, "Ready", "PodMissing"),
        (node(0, pod=None), planned(), {"problem": "403"}, "Ready", "Failed"),
        (node(0), planned(), {"problem": "403"}, "Ready", "Serving"),
        (node(0, volume="Lost"), planned(), {}, "Ready", "VolumeLost"),
        (with_pod(node(0), ready=False, broken=True), planned(), {}, "Ready", "PodFailing"),
        (with_pod(node(0), ready=False, started=False), planned(), {}, "Ready", "Starting"),
        (with_pod(node(0), deleting=True), planned(), {}, "Ready", "Starting"),
        (with_pod(node(0), ready=False, behind=True), planned(), {}, "Ready", "Behind"),
        (with_pod(node(0), ready=False), planned(), {}, "Ready", "NotReady"),
        (node(0, member=GONE), None, {}, "Ready", "Left"),
        (node(0, member=GONE), planned(Wish.DRAINING), {}, "Ready", "Left"),
        (node(0, member=None), planned(), {}, "Joined", "NotAnnounced"),
        (node(0, member=member("", Life.ANNOUNCED)), planned(), {}, "Joined", "NotAnnounced"),
        (node(0, member=member(life=Life.JOINING)), planned(), {}, "Joined", "CatchingUp"),
        (node(0, member=member(life=Life.UNREACHABLE)), planned(), {}, "Joined", "Unreachable"),
        (node(0, member=LEAVING), planned(Wish.DRAINING), {}, "Joined", "Listed"),
        (node(0, member=GONE), None, {}, "Joined", "Left"),
        (node(0, member=None), planned(), {"informed": False}, "Joined", "LogUnreachable"),
        (node(0, member=LEAVING), planned(Wish.DRAINING), {}, "Drained", "WaitingForSwarm"),
        (node(0), planned(Wish.DRAINING), {"refusal": "too few"}, "Drained", "Refused"),
        (node(0), planned(Wish.DRAINING), {"problem": "403"}, "Drained", "WaitingForSwarm"),
        (node(0, member=GONE), None, {}, "Drained", "HandedOver"),
        (with_resource(node(0), skip_drain=True), None, {}, "Drained", "Skipped"),
        (with_resource(node(0), skip_drain=True), planned(), {}, "Drained", "NotAsked"),
        (node(0, current=False), planned(waits="waits for p-1"), {}, "UpToDate", "Waiting"),
        (node(0, current=False), planned(), {}, "UpToDate", "Rolling"),
        (with_pod(node(0), current=False), planned(), {}, "UpToDate", "Rolling"),
    ],
)
def test_what_is_told_of_a_node(
    seen: SeenNode, plan: NodePlan | None, more: dict[str, Any], kind: str, expected: str
) -> None:
    assert reason(node_told(seen, plan, **more), kind) == expected


@pytest.mark.parametrize(
    ("known", "phase"),
    [
        (None, "Pending"),
        (member("", Life.ANNOUNCED), "Announced"),
        (member(life=Life.JOINING), "Joining"),
        (member(life=Life.UNREACHABLE), "Unreachable"),
        (LEAVING, "Draining"),
        (GONE, "Drained"),
        (member("", Life.GONE), "Gone"),
    ],
)
def test_the_phase_is_where_the_authority_has_the_node(known: Any, phase: str) -> None:
    assert node_told(node(0, member=known), planned())["phase"] == phase


def test_without_the_log_a_nodes_state_stays() -> None:
    before = node_told(node(0, member=member(planned=B)), planned())
    assert before["nextSwarm"] == B
    after = node_told(node(0, member=None), planned(), before=before, informed=False)
    assert after["phase"] == "Active"
    assert not {"swarm", "nextSwarm", "epoch", "caughtUp", "lag", "reason"} & set(after)
    assert node_told(node(0, member=None), planned(), informed=False)["phase"] == "Pending"


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    table = {"Ready": {"Serving": True, "Starting": False, "Behind": False}}
    first = written(table, [Condition("Ready", "Starting")], [], generation=1, now="t1")
    second = written(table, [Condition("Ready", "Behind", "x" * 5000)], first, generation=2, now="t2")
    third = written(table, [Condition("Ready", "Serving")], second, generation=2, now="t3")
    assert [entry["lastTransitionTime"] for entry in (*first, *second, *third)] == ["t1", "t1", "t3"]
    assert [entry["observedGeneration"] for entry in (*first, *second, *third)] == [1, 2, 2]
    assert (first[0]["message"], len(second[0]["message"])) == ("starting", 1024)


def test_of_many_names_some_are_told() -> None:
    names = [f"p-{n}" for n in range(7)]
    assert some("not active: ", names) == "not active: p-0, p-1, p-2, p-3, p-4 and 2 more"
    assert (some("x ", names[:5]), some("x ", [])) == ("x p-0, p-1, p-2, p-3, p-4", "")


def test_a_pool_of_which_no_spec_was_accepted_says_so() -> None:
    pool = PoolSpec("p", paused=True)
    status = told(replace(observed([], 2, pool=pool), broken=("too few",)))
    (ready,) = (condition for condition in status["conditions"] if condition["type"] == "Ready")
    assert (ready["reason"], ready["message"]) == ("Paused", "no spec was accepted yet")
