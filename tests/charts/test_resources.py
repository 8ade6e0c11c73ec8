"""Every container says what it needs and how much memory it may take; the log's server collects before its limit."""

from __future__ import annotations

from tests.charts.rendering import Rendering

_GI = 2**30


def test_every_container_has_requests_and_a_limit_of_memory(rendering: Rendering) -> None:
    for load in rendering.workloads():
        for container in load.containers:
            _check(container["resources"])


def test_nodes_have_them_as_well(rendering: Rendering) -> None:
    pool = rendering.node_pool()
    if pool is not None:
        for container in ("onion", "swarm"):
            _check(pool["spec"]["resources"][container])


def test_the_log_collects_a_fifth_below_its_limit(rendering: Rendering) -> None:
    for load in rendering.workloads():
        if load.component == "nats":
            (container,) = load.containers
            assert container["resources"]["limits"]["memory"] == "1Gi"
            limit = {entry["name"]: entry.get("value") for entry in container["env"]}["GOMEMLIMIT"]
            assert int(limit) == _GI * 8 // 10


def test_memory_of_pods_is_bounded_too(rendering: Rendering) -> None:
    for load in rendering.workloads():
        for volume in load.spec["volumes"]:
            if "emptyDir" in volume:
                assert volume["emptyDir"]["medium"] == "Memory"
                assert volume["emptyDir"]["sizeLimit"]


def _check(resources: dict[str, dict[str, str]]) -> None:
    assert resources["requests"].keys() >= {"cpu", "memory"}
    assert "memory" in resources["limits"]
