"""``naisho cluster destroy`` against an API server: the only eraser erases what it lists, and nothing else."""

from __future__ import annotations

import kmock
import pytest

from operators.cluster.names import (
    CONFIG_MAP,
    DEPLOYMENT,
    LEASE,
    NODE_POOL,
    POD,
    SECRET,
    SERVICE_NODE,
    SURVIVING,
    VOLUME_CLAIM,
    Kind,
    Object,
)
from tests.integration.cluster.calling import Naisho, names, put, where
from tests.unit.cluster import network_objects as made
from tests.unit.cluster.test_cluster_erasure import TABLE, helm_record

FOREIGN: dict[Kind, list[str]] = {
    SECRET: ["database-password", "other-naisho-authority"],
    CONFIG_MAP: ["kube-root-ca.crt"],
    VOLUME_CLAIM: ["data-postgres-0"],
    LEASE: ["leader"],
}


def leftover(name: str) -> Object:
    made_anew = made.thing(name)
    if name.startswith("data-"):
        del made_anew["metadata"]["labels"]
    return made_anew


@pytest.fixture
def uninstalled(server: kmock.KubernetesEmulator) -> kmock.KubernetesEmulator:
    server.objects.clear()
    for kind, each in TABLE.items():
        put(server, kind, *map(leftover, each))
    for kind, each in FOREIGN.items():
        put(server, kind, *({"metadata": {"name": name, "uid": name}} for name in each))
    return server


def remaining(server: kmock.KubernetesEmulator) -> dict[Kind, set[str]]:
    return {kind: names(server, kind) for kind in SURVIVING}


async def test_without_being_sure_everything_is_listed_and_nothing_erased(
    uninstalled: kmock.KubernetesEmulator, naisho: Naisho
) -> None:
    before = remaining(uninstalled)
    said = await naisho("destroy", made.RELEASE)
    assert said.code == 0, said.err
    assert all(name in said.out for each in TABLE.values() for name in each)
    assert not any(name in said.out for each in FOREIGN.values() for name in each)
    assert "--yes-erase-everything prod" in said.err
    assert remaining(uninstalled) == before
    assert len(uninstalled["delete"]) == 0


async def test_what_was_listed_is_erased_and_doing_it_again_does_nothing(
    uninstalled: kmock.KubernetesEmulator, naisho: Naisho
) -> None:
    said = await naisho("destroy", "--yes-erase-everything", made.RELEASE, "--json")
    assert said.code == 0
    assert {(one["kind"], one["name"]) for one in said.document["erased"]} == {
        (kind.name, name) for kind, each in TABLE.items() for name in each
    }
    assert said.document["listed"] == said.document["erased"]
    assert remaining(uninstalled) == {kind: set(each) for kind, each in FOREIGN.items()}
    again = await naisho("destroy", "--yes-erase-everything", made.RELEASE, "--json")
    assert (again.code, again.document["erased"]) == (0, [])


async def test_no_secrets_data_is_asked_for_and_only_what_was_seen_is_deleted(
    uninstalled: kmock.KubernetesEmulator, naisho: Naisho
) -> None:
    await naisho("destroy", "--yes-erase-everything", made.RELEASE)
    asked = list(uninstalled["get", kmock.resource(where(SECRET))])
    assert asked
    assert all("PartialObjectMetadataList" in request.headers["Accept"] for request in asked)
    deleted = list(uninstalled["delete", kmock.resource(where(SECRET))])
    assert {request.name: request.data["preconditions"] for request in deleted} == {
        name: {"uid": f"uid-{name}"} for name in TABLE[SECRET]
    }


@pytest.mark.parametrize(
    ("kind", "thing"),
    [
        (NODE_POOL, made.pool()),
        (POD, made.pod(f"{made.FULL}-3-0", "node")),
        (DEPLOYMENT, made.thing(f"{made.FULL}-operator", "operator")),
        (SECRET, helm_record(3, "deployed")),
    ],
)
async def test_what_is_installed_is_not_erased(
    uninstalled: kmock.KubernetesEmulator, naisho: Naisho, kind: Kind, thing: Object
) -> None:
    put(uninstalled, kind, thing)
    said = await naisho("destroy", "--yes-erase-everything", made.RELEASE, "--json")
    assert (said.code, said.error["code"]) == (1, "still_installed")
    assert len(uninstalled["delete"]) == 0


async def test_helms_record_alone_can_be_overruled_and_a_pool_cannot(
    uninstalled: kmock.KubernetesEmulator, naisho: Naisho
) -> None:
    put(uninstalled, SECRET, helm_record(3, "deployed"))
    sure = ("destroy", "--yes-erase-everything", "--uninstalled", made.RELEASE, "--json")
    put(uninstalled, NODE_POOL, made.pool())
    assert (await naisho(*sure)).error["code"] == "still_installed"
    uninstalled.objects[where(NODE_POOL), made.NAMESPACE, made.FULL].delete()
    assert (await naisho(*sure)).code == 0
    assert "sh.helm.release.v1.prod.v3" in names(uninstalled, SECRET)


async def test_a_cluster_whose_definitions_are_gone_can_be_cleaned(
    uninstalled: kmock.KubernetesEmulator, naisho: Naisho
) -> None:
    for kind in (NODE_POOL, SERVICE_NODE):
        uninstalled["get", kmock.resource(where(kind))] << 404
    assert (await naisho("destroy", "--yes-erase-everything", made.RELEASE, "--json")).document["erased"]


async def test_a_volume_that_does_not_go_is_told(uninstalled: kmock.KubernetesEmulator, naisho: Naisho) -> None:
    held = leftover("data-prod-naisho-7-0")
    held["metadata"]["finalizers"] = ["kubernetes.io/pvc-protection"]
    put(uninstalled, VOLUME_CLAIM, held)
    said = await naisho("destroy", "--yes-erase-everything", made.RELEASE, "--timeout", "0", "--json")
    assert (said.code, said.error["code"]) == (1, "erase_incomplete")
    assert "data-prod-naisho-7-0" in said.error["why"]


async def test_a_list_that_is_null_is_empty(uninstalled: kmock.KubernetesEmulator, naisho: Naisho) -> None:
    """As Kubernetes answers for metadata alone when there is nothing."""
    uninstalled["get", kmock.resource(where(LEASE))] << {"metadata": {}, "items": None}
    said = await naisho("destroy", made.RELEASE, "--json")
    assert said.code == 0
    assert "Lease" not in {one["kind"] for one in said.document["listed"]}


async def test_long_lists_are_read_page_by_page(uninstalled: kmock.KubernetesEmulator, naisho: Naisho) -> None:
    def page(request: kmock.Request) -> dict[str, object]:
        number = int(request.params.get("continue", "0"))
        metadata = {"continue": str(number + 1)} if number < 2 else {}
        return {"metadata": metadata, "items": [made.thing(f"data-{made.FULL}-{number}-0")]}

    uninstalled["get", kmock.resource(where(VOLUME_CLAIM))] << page
    said = await naisho("destroy", made.RELEASE, "--json")
    listed = [one["name"] for one in said.document["listed"] if one["kind"] == VOLUME_CLAIM.name]
    assert listed == [f"data-{made.FULL}-{number}-0" for number in range(3)]
