"""``naisho cluster drain`` against an API server, with an operator that a test plays."""

from __future__ import annotations

import kmock
import pytest

from operators.cluster.names import NODE_POOL, SERVICE_NODE
from tests.integration.cluster.calling import Naisho, put, where
from tests.unit.cluster import network_objects as made

NAME = f"{made.FULL}-3"


def wishes(server: kmock.KubernetesEmulator) -> dict[str, str]:
    found: dict[str, str] = (
        server.objects[where(SERVICE_NODE), made.NAMESPACE, NAME].raw["metadata"].get("annotations", {})
    )
    return found


def answer_with(server: kmock.KubernetesEmulator, reason: str, phase: str, message: str = "") -> None:
    """Let the operator answer the wish as soon as it is written."""
    done = made.with_condition(made.node(3, phase), made.condition("Drained", "True", reason, message))

    def act(_request: kmock.Request) -> dict[str, object]:
        server.objects[where(SERVICE_NODE), made.NAMESPACE, NAME].patch({"status": done["status"]})
        return done

    server["patch", kmock.resource(where(SERVICE_NODE))] << act


async def test_a_node_is_followed_until_it_has_left(server: kmock.KubernetesEmulator, naisho: Naisho) -> None:
    answer_with(server, "HandedOver", "Drained")
    said = await naisho("drain", NAME)
    assert (said.code, "has left" in said.out) == (0, True), said
    assert wishes(server) == {"naisho.dev/drain": "true"}
    again = await naisho("drain", NAME, "--json")
    assert (again.code, again.document["state"]) == (0, "Drained")


async def test_without_waiting_only_the_wish_is_written(server: kmock.KubernetesEmulator, naisho: Naisho) -> None:
    said = await naisho("drain", NAME, "--no-wait", "--no-replacement", "--json")
    assert (said.code, said.document["asked"]) == (0, True)
    assert wishes(server) == {"naisho.dev/drain": "true", "naisho.dev/no-replacement": "true"}


async def test_a_refusal_exits_with_one_and_the_operators_words(
    server: kmock.KubernetesEmulator, naisho: Naisho
) -> None:
    answer_with(server, "Refused", "Active", "its swarm has only 3 members")
    said = await naisho("drain", NAME)
    assert said.code == 1
    assert "its swarm has only 3 members" in said.err
    assert "naisho.dev/drain-" in said.err


async def test_leaving_without_handing_over_must_be_confirmed(server: kmock.KubernetesEmulator, naisho: Naisho) -> None:
    refused = await naisho("drain", NAME, "--skip-drain", "--json")
    assert refused.error["code"] == "not_confirmed"
    assert wishes(server) == {}
    answer_with(server, "Skipped", "Drained")
    said = await naisho("drain", NAME, "--skip-drain", "--yes")
    assert (said.code, "without waiting" in said.out) == (0, True)
    assert wishes(server) == {"naisho.dev/drain": "true", "naisho.dev/skip-drain": "true"}


async def test_a_paused_pool_and_an_unknown_node_are_told(server: kmock.KubernetesEmulator, naisho: Naisho) -> None:
    assert (await naisho("drain", "nobody", "--json")).error["code"] == "unknown_node"
    put(server, NODE_POOL, {**made.pool(), "spec": {"replicas": 6, "paused": True}})
    assert (await naisho("drain", NAME, "--json")).error["code"] == "pool_paused"
    assert wishes(server) == {}


@pytest.mark.parametrize("given", ["soon", "3x", "-1s", "10m!"])
async def test_a_time_that_is_none_is_refused(naisho: Naisho, given: str) -> None:
    said = await naisho("drain", NAME, f"--timeout={given}", "--json")
    assert (said.code, said.error["code"]) == (2, "usage")


async def test_a_drain_that_takes_too_long_exits_with_one(naisho: Naisho) -> None:
    said = await naisho("drain", NAME, "--timeout", "0", "--json")
    assert (said.code, said.error["code"]) == (1, "drain_timed_out")
