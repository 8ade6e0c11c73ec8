"""Every situation renders, as the same text each time, and what is switched off is not there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.charts.rendering import Rendering, render, values_file


def test_every_situation_renders_twice_the_same(helm: Path, rendering: Rendering) -> None:
    assert render(helm, "--values", values_file(rendering.situation)) == rendering.text


def test_nothing_enabled_renders_nothing(rendered_of: Callable[[str], Rendering]) -> None:
    assert rendered_of("nothing").objects == ()


def test_no_two_objects_are_the_same_one(rendering: Rendering) -> None:
    names = [(one["kind"], one["metadata"].get("namespace"), one["metadata"]["name"]) for one in rendering.objects]
    assert len(names) == len(set(names))


def test_the_default_install_has_all_its_parts(rendered_of: Callable[[str], Rendering]) -> None:
    there = {(one["kind"], one["metadata"]["name"]) for one in rendered_of("default").objects}
    assert there >= {
        ("CustomResourceDefinition", "nodepools.naisho.dev"),
        ("CustomResourceDefinition", "servicenodes.naisho.dev"),
        ("Deployment", "talk-naisho-operator"),
        ("ServiceAccount", "talk-naisho-operator"),
        ("Role", "talk-naisho-operator"),
        ("RoleBinding", "talk-naisho-operator"),
        ("ConfigMap", "talk-naisho-operator"),
        ("ConfigMap", "talk-naisho-pool"),
        ("PodDisruptionBudget", "talk-naisho-operator"),
        ("StatefulSet", "talk-naisho-nats"),
        ("ConfigMap", "talk-naisho-nats"),
        ("Service", "talk-naisho-nats"),
        ("PodDisruptionBudget", "talk-naisho-nats"),
        ("StatefulSet", "talk-naisho-custodian"),
        ("Service", "talk-naisho-seed"),
        ("Pod", "talk-naisho-test"),
    }


def test_what_is_switched_off_is_not_there(rendering: Rendering) -> None:
    values, there = rendering.values, {one["kind"] for one in rendering.objects}
    components = {load.component for load in rendering.workloads()}
    for component in ("operator", "nats", "custodian"):
        assert (component in components) == values[component]["enabled"]
    assert ("test" in components) == values["tests"]["enabled"]
    assert ("load" in components) == values["load"]["enabled"]
    assert ("NetworkPolicy" in there) == values["networkPolicy"]["enabled"]
    assert ("CustomResourceDefinition" in there) == values["crds"]["create"]
    assert ("ClusterRole" in there) == values["rbac"]["aggregate"]
    assert ("Certificate" in there) == values["certificates"]["certManager"]["enabled"]
    assert ("PodMonitor" in there) == values["monitoring"]["enabled"]
    assert (rendering.node_pool() is not None) == values["pool"]["enabled"]
    assert ("Role" in there) == (values["rbac"]["create"] and values["operator"]["enabled"])
