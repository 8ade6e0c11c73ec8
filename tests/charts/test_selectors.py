"""Whatever chooses pods chooses those of one component, all of them, and no others."""

from __future__ import annotations

from collections.abc import Mapping

from tests.charts.rendering import RELEASE, Manifest, Rendering, covers

#: Labels of a node's pod, which the operator makes.
NODE = {
    "app.kubernetes.io/name": "naisho",
    "app.kubernetes.io/instance": RELEASE,
    "app.kubernetes.io/component": "node",
    "app.kubernetes.io/part-of": "naisho",
    "app.kubernetes.io/managed-by": "naisho-operator",
}


def test_workloads_choose_their_own_pods_alone(rendering: Rendering) -> None:
    loads = rendering.workloads()
    for load in loads:
        if load.owner["kind"] in {"Deployment", "StatefulSet"}:
            selector = load.owner["spec"]["selector"]["matchLabels"]
            assert [other.name for other in loads if covers(selector, other.labels)] == [load.name]
            assert not covers(selector, NODE)


def test_services_and_budgets_choose_pods_of_their_component(rendering: Rendering) -> None:
    for manifest in rendering.of_kind("Service", "PodDisruptionBudget"):
        selector = _selector(manifest)
        component = manifest["metadata"]["labels"]["app.kubernetes.io/component"]
        chosen = _components(rendering, selector)
        assert chosen == {"node" if component == "seed" else component}, manifest["metadata"]["name"]


def test_ports_of_services_are_ports_of_their_pods(rendering: Rendering) -> None:
    for service in rendering.of_kind("Service"):
        for load in rendering.workloads():
            if covers(service["spec"]["selector"], load.labels):
                ports = {port["name"]: port["containerPort"] for one in load.containers for port in one["ports"]}
                for port in service["spec"]["ports"]:
                    assert ports[port["targetPort"]] == port["port"]


def test_monitors_choose_what_is_there(rendering: Rendering) -> None:
    services = rendering.of_kind("Service")
    for monitor in rendering.of_kind("ServiceMonitor"):
        selector = monitor["spec"]["selector"]["matchLabels"]
        (found,) = (service for service in services if covers(selector, service["metadata"]["labels"]))
        names = {port["name"] for port in found["spec"]["ports"]}
        assert {endpoint["port"] for endpoint in monitor["spec"]["endpoints"]} <= names
    for monitor in rendering.of_kind("PodMonitor"):
        assert covers(monitor["spec"]["selector"]["matchLabels"], NODE)


def _components(rendering: Rendering, selector: Mapping[str, str]) -> set[str]:
    pods = [load.labels for load in rendering.workloads()] + [NODE]
    return {labels["app.kubernetes.io/component"] for labels in pods if covers(selector, labels)}


def _selector(manifest: Manifest) -> dict[str, str]:
    selector: Manifest = manifest["spec"]["selector"]
    labels: dict[str, str] = selector.get("matchLabels", selector)
    return labels
