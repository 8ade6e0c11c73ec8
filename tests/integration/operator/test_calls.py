"""The calls to the API server: what they return, and what is made of refusals."""

from __future__ import annotations

import pytest

from operators.membership.kube.cluster import NODE_POOLS, PODS, SECRETS, Cluster
from operators.membership.kube.errors import ClusterAway, Conflict, Forbidden, KubeError, Refused
from tests.integration.operator.install import NAMESPACE, Install

POD = {"metadata": {"name": "p", "labels": {"a": "1"}}, "spec": {}}


async def test_items_of_a_list_say_what_they_are(alone: Install, cluster: Cluster) -> None:
    alone.store.create("pods", POD)
    (item,) = await cluster.list(PODS, "a=1")
    assert (item["apiVersion"], item["kind"]) == ("v1", "Pod")
    assert await cluster.list(PODS, "a=2") == []


async def test_what_is_not_there_is_no_error(cluster: Cluster) -> None:
    assert await cluster.get(SECRETS, "s") is None
    assert await cluster.merge(SECRETS, "s", {"data": {}}) is None
    await cluster.delete(SECRETS, "s")
    assert cluster.failures == 0


async def test_kinds_that_nobody_serves_yet_are_waited_for(alone: Install, cluster: Cluster) -> None:
    alone.api.refuse = lambda _verb, _resource: 404
    with pytest.raises(ClusterAway, match="resource definitions"):
        await cluster.list(NODE_POOLS)
    assert cluster.failures == 1


async def test_only_the_very_object_that_was_meant_is_removed(alone: Install, cluster: Cluster) -> None:
    uid = alone.store.create("pods", POD)["metadata"]["uid"]
    with pytest.raises(Conflict):
        await cluster.delete(PODS, "p", uid="another")
    await cluster.delete(PODS, "p", uid=uid)
    assert alone.store.names("pods") == set()


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, Forbidden), (403, Forbidden), (409, Conflict), (422, Refused), (429, ClusterAway), (500, ClusterAway)],
)
async def test_each_refusal_has_its_error(
    alone: Install, cluster: Cluster, status: int, error: type[KubeError]
) -> None:
    alone.api.refuse = lambda _verb, _resource: status
    with pytest.raises(error):
        await cluster.create(SECRETS, {"metadata": {"name": "s"}})
    assert cluster.failures == 1
    assert cluster.calls == {("create", "secrets"): 1}


async def test_nobody_at_home_is_an_error_of_its_own(alone: Install, cluster: Cluster) -> None:
    await alone.server.close()
    with pytest.raises(ClusterAway):
        await cluster.get(SECRETS, "s")
    with pytest.raises(ClusterAway):
        await Cluster.connect(NAMESPACE, url="http://127.0.0.1:9")
    await alone.server.open()
    assert await cluster.get(SECRETS, "s") is None
