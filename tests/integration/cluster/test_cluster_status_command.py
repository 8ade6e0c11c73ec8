"""``naisho cluster status`` against an API server."""

from __future__ import annotations

import kmock
import pytest

from operators.cluster.kube import Cluster
from operators.cluster.names import NODE_POOL, SERVICE_NODE
from tests.integration.cluster.calling import Naisho, put
from tests.unit.cluster import network_objects as made


@pytest.fixture(autouse=True)
def _on_the_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server's clock say the day on which the objects were written."""
    monkeypatch.setattr(Cluster, "time", property(lambda _self: made.AT, lambda _self, _value: None), raising=False)


async def test_a_network_that_is_well_is_shown_and_exits_with_zero(naisho: Naisho) -> None:
    said = await naisho("status")
    assert said.code == 0, said.err
    assert "well" in said.out
    assert f"{made.FULL}-5" in said.out
    told = await naisho("status", "--json")
    assert (told.code, told.document["well"], told.document["namespace"]) == (0, True, made.NAMESPACE)
    assert [node["name"] for node in told.document["pools"][0]["nodes"]] == [f"{made.FULL}-{n}" for n in range(6)]


async def test_a_network_that_is_not_well_exits_with_one(server: kmock.KubernetesEmulator, naisho: Naisho) -> None:
    put(server, SERVICE_NODE, made.node(2, "Unreachable"))
    said = await naisho("status", "--json")
    assert (said.code, said.document["well"]) == (1, False)
    assert [problem["code"] for problem in said.document["pools"][0]["problems"]] == ["unreachable"]
    assert f"{made.FULL}-2" in (await naisho("status")).out


async def test_the_namespace_of_the_chosen_context_is_taken_unless_another_is_given(
    server: kmock.KubernetesEmulator, naisho: Naisho
) -> None:
    put(server, NODE_POOL, made.pool(), namespace="second")
    assert (await naisho("status", "--json")).document["namespace"] == made.NAMESPACE
    assert (await naisho("status", "--json", "-n", "second")).document["namespace"] == "second"
    assert (await naisho("status", "--json", "-n", "empty")).error["code"] == "no_pool"


async def test_a_pool_is_chosen_by_name(server: kmock.KubernetesEmulator, naisho: Naisho) -> None:
    another = {**made.pool(), "metadata": {**made.pool()["metadata"], "name": "europe"}}
    put(server, NODE_POOL, another)
    both = (await naisho("status", "--json")).document
    assert [pool["name"] for pool in both["pools"]] == ["europe", made.FULL]
    one = (await naisho("status", "--json", "--pool", "europe")).document
    assert [pool["name"] for pool in one["pools"]] == ["europe"]
    error = (await naisho("status", "--json", "--pool", "asia")).error
    assert error["code"] == "unknown_pool"
    assert made.FULL in error["why"]


async def test_a_cluster_without_our_kinds_is_told_as_such(server: kmock.KubernetesEmulator, naisho: Naisho) -> None:
    server["get", kmock.resource("naisho.dev/v1alpha1/nodepools")] << 404
    assert (await naisho("status", "--json")).error["code"] == "not_installed"


async def test_who_may_not_look_is_told_so(server: kmock.KubernetesEmulator, naisho: Naisho) -> None:
    server["get", kmock.resource("naisho.dev/v1alpha1/nodepools")] << 403 << {"message": "no"}
    said = await naisho("status")
    assert said.code == 1
    assert "You may not list NodePool in namespace mail" in said.err


async def test_who_may_look_at_pools_only_sees_these(server: kmock.KubernetesEmulator, naisho: Naisho) -> None:
    server["get", kmock.resource("v1/pods")] << 403 << {"message": "no"}
    found = (await naisho("status", "--json")).document
    assert (found["well"], found["unseen"]) == (True, ["pods"])


async def test_a_server_that_does_not_answer_is_told_as_such(naisho: Naisho) -> None:
    assert (await naisho("status", "--json", "--context", "elsewhere")).error["code"] == "cluster_unreachable"


async def test_a_configuration_that_is_none_is_told_as_such(naisho: Naisho) -> None:
    said = await naisho("status", "--context", "nowhere")
    assert said.code == 1
    assert "No such context nowhere" in said.err
    assert (await naisho("status", "--json", "--kubeconfig", "/nowhere")).error["code"] == "bad_kubeconfig"
