"""The objects of nodes: what Kubernetes takes, what nobody may overrule, what does not change without need."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from operators.membership.domain.pool.observed import Wish
from operators.membership.domain.pool.reserved import RESERVED
from operators.membership.domain.pool.spec import Exposure, PoolSpec, Scheduling
from operators.membership.manifests import node as objects
from operators.membership.manifests.node import Place
from operators.membership.manifests.site import REVISION, Manifest, Site, node_keys, node_nats
from operators.membership.manifests.swarm_budget import budget, counted
from tests.crds.definitions import definitions
from tests.crds.validation import complaints

SITE = Site("rel-naisho", "rel", "ns", "img:1", pull_secrets=("reg",), network_id="n", nats_servers=("tls://n-0:4222",))
PLACE = Place("10.0.0.9", "10.0.0.9", 8443)
KEY = "ab" * 32
LONGEST = "a" * 40
POOL = PoolSpec(
    "p",
    uid="u",
    family="aoi",
    country="JP",
    storage_size="20Gi",
    storage_class="fast",
    scheduling=Scheduling(
        {"disk": "ssd"}, ({"key": "k", "operator": "Exists"},), "zone", "DoNotSchedule", priority_class="high"
    ),
    resources={"onion": {"requests": {"cpu": "100m"}}, "swarm": {"limits": {"memory": "1Gi"}}},
    settings={"onion": {"rate.burst": "600"}, "swarm": {"load.commands": "100"}},
)


def of(pool: PoolSpec, ordinal: int = 7, place: Place = PLACE) -> dict[str, Manifest]:
    name = f"{pool.name}-{ordinal}"
    return {
        "resource": objects.resource(SITE, pool, name, ordinal=ordinal, key=KEY, wish=Wish.ACTIVE),
        "service": objects.service(SITE, pool, name, "uid"),
        "set": objects.stateful_set(SITE, pool, name, ordinal=ordinal, uid="uid", place=place),
        "budget": budget(SITE, pool, "0123456789abcdef", {"pool-3", "pool-20", "pool-1"}),
    }


def template(pool: PoolSpec, **more: Any) -> Manifest:
    found = of(pool, **more)["set"]["spec"]["template"]
    assert isinstance(found, dict)
    return found


def containers(pool: PoolSpec = POOL) -> dict[str, Manifest]:
    return {container["name"]: container for container in template(pool)["spec"]["containers"]}


def environment(pool: PoolSpec, role: str) -> dict[str, Any]:
    entries = containers(pool)[role]["env"]
    assert len({entry["name"] for entry in entries}) == len(entries)
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in entries}


EXPOSURES = [
    Exposure("ClusterIP"),
    Exposure("NodePort"),
    Exposure("LoadBalancer", {"cloud/kind": "tcp"}),
    Exposure("HostPort", first_port=30000),
]


@pytest.mark.parametrize("exposure", EXPOSURES, ids=lambda exposure: exposure.kind)
@pytest.mark.parametrize("pool", [POOL, PoolSpec(LONGEST, uid="u")], ids=["everything", "nothing said"])
def test_kubernetes_takes_the_objects(pool: PoolSpec, exposure: Exposure) -> None:
    made = of(replace(pool, exposure=exposure), 31)
    assert complaints(definitions()["ServiceNode"], made.pop("resource")) == []
    for manifest in made.values():
        kubernetes_validate.validate(manifest, kubernetes_validate.latest_version(), strict=True)
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(
                {**manifest, "spec": {**manifest["spec"], "unknown": 1}},
                kubernetes_validate.latest_version(),
                strict=True,
            )


def names(value: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield names of objects and values of labels, with the field that they stand in."""
    if isinstance(value, dict):
        for inner_key, inner in value.items():
            if inner_key in {"labels", "matchLabels"}:
                yield from (("label", text) for text in inner.values())
            elif inner_key in {"name", "secretName", "serviceName"} and isinstance(inner, str):
                yield inner_key, inner
            else:
                yield from names(inner, inner_key)
    elif isinstance(value, list):
        for inner in value:
            yield from names(inner, key)


def test_names_and_labels_are_short_enough_for_the_longest_pool_and_ordinal() -> None:
    pool, name = PoolSpec(LONGEST, uid="u"), f"{LONGEST}-999999"
    assert complaints(definitions()["ServiceNode"], of(pool, 999_999)["resource"]) == []
    longest = [text for made in of(pool, 999_999).values() for _, text in names(made)]
    # What Kubernetes makes of the StatefulSet's name: pod, claim, and the label of its revision.
    longest += [f"{name}-0", f"data-{name}-0", f"{name}-{'x' * 10}", node_keys(name), node_nats(name)]
    assert name in longest
    assert all(len(text) <= 63 for text in longest if not re.match(r"(NAISHO|GRPC)_", text))


def test_pods_are_restricted() -> None:
    pod = template(POOL)["spec"]
    assert pod["automountServiceAccountToken"] is False
    context = pod["securityContext"]
    assert (context["runAsNonRoot"], context["runAsUser"], context["fsGroup"]) == (True, 10001, 10001)
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
    assert all(set(volume) - {"name"} <= {"configMap", "secret", "emptyDir"} for volume in pod["volumes"])


def test_secrets_are_files_that_are_mounted_to_be_read() -> None:
    pod = template(POOL)["spec"]
    secrets = {volume["name"]: volume["secret"] for volume in pod["volumes"] if "secret" in volume}
    assert {secret["secretName"] for secret in secrets.values()} == {"p-7-keys", "p-7-nats", "rel-naisho-mailbox"}
    for container in pod["containers"]:
        assert not any("secretKeyRef" in json.dumps(entry) for entry in container["env"])
        assert not container.get("envFrom")
        mounted = {mount["name"]: mount for mount in container["volumeMounts"]}
        assert all(mounted[name]["readOnly"] for name in secrets if name in mounted)
    assert {mount["name"] for mount in containers()["onion"]["volumeMounts"]}.isdisjoint({"mailbox", "nats", "data"})


def test_every_mount_has_a_volume() -> None:
    pod = template(POOL)["spec"]
    volumes = {volume["name"] for volume in pod["volumes"]} | {"data"}
    assert {mount["name"] for container in pod["containers"] for mount in container["volumeMounts"]} == volumes


@pytest.mark.parametrize("role", ["onion", "swarm"])
def test_settings_become_variables_and_overrule_nothing(role: str) -> None:
    needed = environment(replace(POOL, settings={}), role)
    evil = {name.lower().replace("_", "."): "evil" for name in RESERVED[role]}
    evil |= {f"{name}_FILE": "evil" for name in RESERVED[role]}
    evil |= {name.removeprefix(f"NAISHO_{role.upper()}_"): "evil" for name in needed if name.startswith("NAISHO_")}
    found = environment(replace(POOL, settings={role: {**evil, "rate.burst": "9", "empty": ""}}), role)
    own = {f"NAISHO_{role.upper()}_RATE_BURST": "9"}
    leftover = {name for name in found if name not in needed} - set(own)
    assert {name: found[name] for name in needed} == needed
    assert not [
        name for name in leftover if name.startswith(tuple(f"NAISHO_{role.upper()}_{r}" for r in RESERVED[role]))
    ]
    assert own.items() <= found.items()


def test_no_variable_is_empty() -> None:
    bare = Site("r", "r", "ns", "img", nats_servers=())
    made = objects.stateful_set(bare, PoolSpec("p"), "p-0", ordinal=0, uid="u", place=PLACE)
    for container in made["spec"]["template"]["spec"]["containers"]:
        assert all(entry.get("value") or entry.get("valueFrom") for entry in container["env"])


def test_addresses_are_those_that_were_assigned() -> None:
    found = environment(POOL, "swarm")
    assert (found["NAISHO_SWARM_ABOUT_HTTPS"], found["NAISHO_SWARM_ABOUT_HOP"]) == ("10.0.0.9:8443", "10.0.0.9:8444")
    host = template(POOL, place=Place("10.0.0.9", "$(NAISHO_HOST_IP)", 30007))["spec"]["containers"][1]["env"]
    order = [entry["name"] for entry in host]
    assert {"name": "NAISHO_SWARM_ABOUT_HTTPS", "value": "$(NAISHO_HOST_IP):30007"} in host
    assert order.index("NAISHO_HOST_IP") < order.index("NAISHO_SWARM_ABOUT_HTTPS"), "only then it is filled in"


@pytest.mark.parametrize(
    ("changed", "revised"),
    [
        (replace(POOL, replicas=21, paused=True, generation=9), False),
        (replace(POOL, storage_size="40Gi"), False),
        (replace(POOL, image="img:2"), True),
        (replace(POOL, family="bergen"), True),
        (replace(POOL, settings={"onion": {"rate.burst": "601"}}), True),
        (replace(POOL, resources={}), True),
        (replace(POOL, scheduling=Scheduling()), True),
        (replace(POOL, exposure=Exposure("HostPort")), True),
    ],
)
def test_the_revision_changes_when_pods_would(changed: PoolSpec, revised: bool) -> None:  # noqa: FBT001 - a row
    before, after = template(POOL), template(changed)
    assert (before["metadata"]["labels"][REVISION] != after["metadata"]["labels"][REVISION]) is revised
    assert (before != after) is revised


def test_the_revision_is_of_the_content_not_of_its_order() -> None:
    turned = {"swarm": {"b": "1", "a": "2"}}
    again = {"swarm": {"b": "1", "a": "2"}}
    assert template(replace(POOL, settings=turned)) == template(replace(POOL, settings=again))


@pytest.mark.parametrize("exposure", EXPOSURES, ids=lambda exposure: exposure.kind)
def test_exposures(exposure: Exposure) -> None:
    pool = replace(POOL, exposure=exposure)
    service = of(pool)["service"]
    host_ports = {port.get("hostPort") for port in containers(pool)["onion"]["ports"]} - {None}
    expected = {"NodePort": "NodePort", "LoadBalancer": "LoadBalancer"}.get(exposure.kind, "ClusterIP")
    assert service["spec"]["type"] == expected
    assert service["spec"].get("externalTrafficPolicy") == (None if expected == "ClusterIP" else "Local")
    assert service["metadata"].get("annotations") == (exposure.annotations or None)
    assert host_ports == ({30007} if exposure.kind == "HostPort" else set())
    assert service["spec"]["publishNotReadyAddresses"] is True
    assert {port["name"]: port["port"] for port in service["spec"]["ports"]} == {"https": 8443, "hop": 8444}


def test_owners() -> None:
    made = of(POOL)
    for manifest, kind in ((made["resource"], "NodePool"), (made["budget"], "NodePool"), (made["set"], "ServiceNode")):
        (owner,) = manifest["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["blockOwnerDeletion"]) == (kind, False)
    (claim,) = made["set"]["spec"]["volumeClaimTemplates"]
    assert "ownerReferences" not in claim["metadata"], "a volume outlives its node"
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi"
    assert claim["spec"]["storageClassName"] == "fast"


def test_a_budget_names_its_nodes_and_how_many_must_be_ready() -> None:
    made = of(POOL)["budget"]
    assert made["spec"]["minAvailable"] == 2
    assert made["spec"]["selector"]["matchExpressions"] == [
        {"key": "naisho.dev/node", "operator": "In", "values": ["pool-1", "pool-20", "pool-3"]}
    ]
    assert template(POOL)["metadata"]["labels"].keys() >= {"naisho.dev/node", "naisho.dev/pool"}, "born with them"
    assert counted(made) == {"pool-1", "pool-3", "pool-20"}


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"minAvailable": 2},
        {"minAvailable": 1, "selector": of(POOL)["budget"]["spec"]["selector"]},
        {"maxUnavailable": 1, "selector": of(POOL)["budget"]["spec"]["selector"]},
        {"minAvailable": -1, "selector": {"matchLabels": {}}},
    ],
)
def test_a_budget_that_somebody_has_changed_counts_nobody(spec: Manifest) -> None:
    assert counted({"spec": spec}) == frozenset()


def test_probes_ask_three_questions() -> None:
    for role, container in containers().items():
        assert container["livenessProbe"]["httpGet"] == {"path": "/livez", "port": f"metrics-{role}"}
        assert container["startupProbe"]["httpGet"]["path"] == "/livez"
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        assert {port["name"] for port in container["ports"]} >= {f"metrics-{role}"}
