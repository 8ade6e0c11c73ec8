"""What ``naisho cluster status`` makes of objects, and when it calls a network well."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from rich.console import Console

from operators.cluster import texts as catalogs
from operators.cluster.description import Seen, describe
from operators.cluster.screen import cluster_screen
from tests.unit.cluster import network_objects as made


def seen(**changed: Any) -> Seen:
    whole = Seen(
        made.NAMESPACE, [made.pool()], [made.node(n) for n in range(6)], made.servers(), [made.lease()], made.AT
    )
    return whole._replace(**changed)


def problems(**changed: Any) -> list[str]:
    (pool,) = describe(seen(**changed))["pools"]
    assert pool["well"] == (pool["problems"] == [])
    return [problem["code"] for problem in pool["problems"]]


def shown(status: dict[str, Any], language: str = "en") -> str:
    console = Console(width=220, record=True, file=open("/dev/null", "w"))  # noqa: PTH123, SIM115 - only recorded
    console.print(cluster_screen(catalogs.load(language), status))
    console.file.close()
    return console.export_text()


def test_a_whole_network_is_well_and_shows_everything() -> None:
    status = describe(seen())
    assert status["well"]
    (pool,) = status["pools"]
    assert pool["problems"] == pool["warnings"] == pool["drains"] == []
    assert (pool["desired"], pool["active"], pool["epoch"], pool["grade"]) == (6, 6, 41, "single-operator")
    assert pool["directory_expires_in_s"] == (6 * 24 + 20) * 3600
    assert [swarm["nodes"] for swarm in pool["swarms"]] == [
        [f"{made.FULL}-{n}" for n in range(s, 6, 2)] for s in (0, 1)
    ]
    assert pool["leader"] == {"holder": f"{made.FULL}-operator-1", "renewed_s_ago": 2, "active": True}
    screen = shown(status)
    for expected in ("well", "41", "single-operator", "6d20h", "3 of 3 ready", "worker-2", "10.96.0.6:8443", "00ff"):
        assert expected in screen, expected


def test_nodes_stand_in_the_order_of_their_ordinals_and_those_of_other_pools_are_left_out() -> None:
    other = made.node(3)
    other = {**other, "spec": {**other["spec"], "pool": "elsewhere"}}
    (pool,) = describe(seen(nodes=[made.node(10), other, made.node(9)]))["pools"]
    assert [node["name"] for node in pool["nodes"]] == [f"{made.FULL}-9", f"{made.FULL}-10"]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"pools": [{**made.pool(), "status": {}}]}, ["silent"]),
        ({"pools": [made.pool(observedGeneration=2)]}, ["unheard"]),
        (
            {"pools": [made.with_condition(made.pool(), made.condition("Ready", "False", "NotAllActive"))]},
            ["condition"],
        ),
        ({"pools": [made.with_condition(made.pool(), made.condition("Ready", "Unknown", "Paused"))]}, ["condition"]),
        (
            {"pools": [made.with_condition(made.pool(), made.condition("Degraded", "True", "SwarmShort"))]},
            ["condition"],
        ),
        ({"pools": [made.pool(directoryExpires=made.stamp(made.NOW))]}, ["expired"]),
        ({"pools": [made.pool(directoryExpires=made.stamp(made.NOW + timedelta(days=5)))]}, ["stale"]),
        ({"nodes": [made.node(0, "Unreachable")]}, ["unreachable"]),
        ({"nodes": [made.with_condition(made.node(0), made.condition("Ready", "False", "Behind"))]}, ["unready"]),
        ({"pods": [*made.servers()[:-1], made.pod("op", "operator", ready=False)]}, ["operator_unready"]),
        ({"pods": made.servers()[:-1]}, ["operator_missing"]),
        ({"pods": [*made.servers()[1:], made.pod("nats-0", "nats", ready=False)]}, ["nats_unready"]),
        ({"leases": [made.lease(renewed_s_ago=60)]}, ["no_leader"]),
        ({"leases": []}, ["no_leader"]),
        ({"leases": [made.lease(holder="")]}, ["no_leader"]),
    ],
)
def test_each_trouble_is_named_in_both_languages(changed: dict[str, Any], expected: list[str]) -> None:
    assert problems(**changed) == expected
    for language in ("en", "ja"):
        assert shown(describe(seen(**changed)), language).count("✗ ") >= len(expected)


@pytest.mark.parametrize(
    "changed",
    [
        {"pools": [made.with_condition(made.pool(), made.condition("Progressing", "True", "RollingOut"))]},
        {"nodes": [made.with_condition(made.node(0, "Draining"), made.condition("Ready", "False", "Left"))]},
        {"nodes": [made.with_condition(made.node(0, "Drained"), made.condition("Ready", "False", "Left"))]},
    ],
)
def test_what_is_meant_to_happen_is_no_trouble(changed: dict[str, Any]) -> None:
    assert problems(**changed) == []


def test_risks_are_warnings_and_the_network_is_well() -> None:
    warned = made.with_condition(made.pool(), made.condition("ConfigurationWarning", "True", "FewNodes", "only 6"))
    status = describe(seen(pools=[{**warned, "spec": {"replicas": 6, "paused": True}}]))
    assert status["well"]
    assert [warning["code"] for warning in status["pools"][0]["warnings"]] == ["paused", "condition"]
    assert "only 6" in shown(status)


def test_a_drain_says_what_it_waits_for() -> None:
    leaving = made.with_condition(
        made.node(0, "Draining"), made.condition("Drained", "False", "WaitingForSwarm", "2 members are behind")
    )
    asked = made.node(1)
    asked["metadata"]["annotations"] = {"naisho.dev/drain": "true"}
    gone = made.node(2, "Drained")
    gone["metadata"]["annotations"] = {"naisho.dev/drain": "true"}
    status = describe(seen(nodes=[leaving, asked, gone]))
    assert [(d["node"], d["reason"]) for d in status["pools"][0]["drains"]] == [
        (f"{made.FULL}-0", "WaitingForSwarm"),
        (f"{made.FULL}-1", "NotAsked"),
    ]
    assert "2 members are behind" in shown(status)


def test_who_may_see_only_pools_learns_what_is_missing() -> None:
    status = describe(seen(pods=None, leases=None))
    assert status["well"]
    assert status["unseen"] == ["pods", "leases"]
    assert "pods, leases" in shown(status)


def test_other_releases_in_the_namespace_are_not_counted() -> None:
    foreign = made.pod("other-nats-0", "nats", ready=False)
    foreign["metadata"]["labels"] = made.labels("nats", "other")
    assert problems(pods=[*made.servers(), foreign]) == []


def test_what_others_wrote_cannot_dress_the_screen_up() -> None:
    evil = made.with_condition(made.pool(), made.condition("Ready", "False", "NotAllActive", "[green]well[/] \x1b[2J"))
    screen = shown(describe(seen(pools=[evil])))
    assert "[green]well[/]" in screen
    assert "\x1b" not in screen
