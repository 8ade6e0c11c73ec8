"""What is made of pods, volumes and annotations as an API server tells them."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import Any

import pytest

from operators.membership.domain.pool.observed import SeenNode, SeenPod, SeenResource, Wish
from operators.membership.domain.pool.register import Entry
from operators.membership.domain.pool.spec import PoolSpec
from operators.membership.kube.observe import STUCK_AFTER_S, Scenery, see
from operators.membership.manifests import node as objects
from operators.membership.manifests.node import Place
from operators.membership.manifests.site import REVISION, Manifest, Site

SITE = Site("r", "r", "ns", "img:1", nats_servers=("tls://n:4222",))
POOL = PoolSpec("p")
NOW_MS = 1_800_000_000_000
KEY = "ab" * 32


def ago(seconds: float) -> str:
    return datetime.fromtimestamp(NOW_MS / 1000 - seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def listed(manifest: Manifest, **more: Any) -> Manifest:
    """Return an object as it stands in a list, without kind and version."""
    there = copy.deepcopy({name: value for name, value in manifest.items() if name not in {"kind", "apiVersion"}})
    there["metadata"] |= {"uid": "uid", "resourceVersion": "1"}
    return {**there, **more}


SERVICE = objects.service(SITE, POOL, "p-0", "uid")
SERVICE["spec"]["clusterIP"] = "10.0.0.1"
STATEFUL = objects.stateful_set(SITE, POOL, "p-0", ordinal=0, uid="uid", place=Place("10.0.0.1", "10.0.0.1", 8443))
RESOURCE = objects.resource(SITE, POOL, "p-0", ordinal=0, key=KEY, wish=Wish.ACTIVE)
REVISED = STATEFUL["spec"]["template"]["metadata"]["labels"][REVISION]

RUNNING: Manifest = {"ready": True, "started": True, "state": {"running": {}}}
BEHIND: Manifest = {**RUNNING, "ready": False}
STARTING: Manifest = {**BEHIND, "started": False}


def pod(
    onion: Manifest | None = RUNNING,
    swarm: Manifest | None = RUNNING,
    *,
    since: float = 10,
    revision: str = REVISED,
    conditions: list[Manifest] | None = None,
    **status: Any,
) -> Manifest:
    states = [{"name": name, **state} for name, state in (("onion", onion), ("swarm", swarm)) if state is not None]
    ready = onion is RUNNING and swarm is RUNNING
    told = [{"type": "Ready", "status": str(ready), "lastTransitionTime": ago(since)}]
    return {
        "metadata": {"name": "p-0-0", "creationTimestamp": ago(since), "labels": {REVISION: revision}},
        "spec": {"nodeName": "m-1"},
        "status": {
            "hostIP": "192.0.2.1",
            "conditions": told if conditions is None else conditions,
            "containerStatuses": states,
            **status,
        },
    }


def look(**scenery: Manifest) -> SeenNode:
    parts = {"resources": listed(RESOURCE), "services": listed(SERVICE), "sets": listed(STATEFUL), **scenery}
    return see(
        SITE, POOL, "p-0", Entry(0, KEY), Scenery(**{kind: {"p-0": it} for kind, it in parts.items()}), now_ms=NOW_MS
    )


def seen(body: Manifest, **scenery: Manifest) -> SeenPod:
    found = look(pods=body, **scenery).pod
    assert found is not None
    return found


def test_what_was_made_is_current_as_it_is_listed() -> None:
    found = look(pods=pod(), claims={"metadata": {}, "status": {"phase": "Bound"}})
    assert (found.placed, found.current, found.address, found.volume) == (True, True, "10.0.0.1:8443", "Bound")
    assert found.pod == SeenPod(ready=True, host_ip="192.0.2.1", machine="m-1", labels={REVISION: REVISED})


UNSCHEDULED = [{"type": "PodScheduled", "status": "False", "lastTransitionTime": ago(10)}]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (pod(), {"ready", "started"}),
        (pod(swarm=BEHIND), {"started", "behind"}),
        (pod(onion=BEHIND), {"started"}),
        (pod(onion=BEHIND, swarm=BEHIND), {"started"}),
        (pod(swarm=STARTING), set()),
        (pod(swarm=None), set()),
        (pod(swarm=BEHIND, since=STUCK_AFTER_S + 1), {"started", "behind", "stuck"}),
        (pod(swarm=STARTING, since=STUCK_AFTER_S + 1), {"stuck", "broken"}),
        (pod(swarm={"ready": False, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}), {"broken"}),
        (pod(swarm={"ready": False, "state": {"waiting": {"reason": "ContainerCreating"}}}), set()),
        (pod(onion={"ready": False, "state": {"waiting": {"reason": "ErrImagePull"}}}), {"broken"}),
        (pod(swarm={"ready": False, "state": {"terminated": {"exitCode": 1}}}), set()),
        (pod(None, None, conditions=UNSCHEDULED), {"unscheduled"}),
        (pod(None, None, conditions=UNSCHEDULED, since=STUCK_AFTER_S + 1), {"unscheduled", "stuck", "broken"}),
        (pod(None, None, conditions=[]), set()),
        (pod(None, None, phase="Failed"), {"broken"}),
        (pod(since=STUCK_AFTER_S + 1), {"ready", "started"}),
    ],
)
def test_what_is_wrong_with_a_pod(body: Manifest, expected: set[str]) -> None:
    found = seen(body)
    marks = ("ready", "started", "behind", "stuck", "broken", "unscheduled")
    assert {mark for mark in marks if getattr(found, mark)} == expected


def test_a_pod_is_compared_with_its_stateful_set_and_that_with_the_wish() -> None:
    other = listed(objects.stateful_set(SITE, PoolSpec("p", image="v0"), "p-0", ordinal=0, uid="uid", place=Place("10.0.0.1", "10.0.0.1", 8443)))  # fmt: skip  # noqa: E501 - one line says it
    its_revision = other["spec"]["template"]["metadata"]["labels"][REVISION]
    assert not look(pods=pod(), sets=other).current
    assert not seen(pod(), sets=other).current, "its StatefulSet is about to replace it"
    assert seen(pod(revision=its_revision), sets=other).current
    assert not seen(pod(revision="else")).current


def test_a_stateful_set_of_a_resource_that_was_deleted_is_about_to_go() -> None:
    made_again = listed(RESOURCE)
    made_again["metadata"]["uid"] = "another"
    found = look(pods=pod(), resources=made_again)
    assert (found.placed, found.current) == (False, False)
    assert see(SITE, POOL, "p-0", Entry(0, KEY), Scenery(sets={"p-0": listed(STATEFUL)}), now_ms=NOW_MS).placed


def test_annotations_are_wishes_only_if_they_say_true() -> None:
    notes = ("drain", "skip-drain", "drain-first", "no-replacement")
    body = listed(RESOURCE)
    body["metadata"]["annotations"] = {f"naisho.dev/{note}": "true" for note in notes}
    expected = SeenResource("uid", drain=True, skip_drain=True, drain_first=True, no_replacement=True)
    assert look(resources=body).resource == expected
    body["metadata"]["annotations"] = {f"naisho.dev/{note}": "True" for note in notes}
    assert look(resources=body).resource == SeenResource("uid")


@pytest.mark.parametrize(
    ("desired", "wish"), [("Active", Wish.ACTIVE), ("Draining", Wish.DRAINING), ("Gone", Wish.DRAINING)]
)
def test_wishes(desired: str, wish: Wish) -> None:
    body = listed(RESOURCE)
    body["spec"]["desired"] = desired
    assert look(resources=body).resource == SeenResource("uid", wish)


def test_of_nothing_there_is_nothing_to_see() -> None:
    assert see(SITE, POOL, "p-0", Entry(0), Scenery(), now_ms=NOW_MS) == SeenNode("p-0")
