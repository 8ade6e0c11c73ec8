"""Every object says what it belongs to, and no pod says of which version it is."""

from __future__ import annotations

from tests.charts.rendering import RELEASE, Rendering

_COMPONENTS = {"operator", "nats", "custodian", "node", "seed", "test", "load"}


def test_every_object_of_the_release_has_all_labels(rendering: Rendering) -> None:
    for manifest in rendering.objects:
        if manifest["kind"] == "CustomResourceDefinition":
            continue  # the cluster's, not the release's
        _check(manifest["metadata"]["labels"], manifest["kind"] + "/" + manifest["metadata"]["name"])


def test_every_pod_has_all_labels(rendering: Rendering) -> None:
    for load in rendering.workloads():
        _check(load.labels, load.name)
        assert load.component == load.owner["metadata"]["labels"]["app.kubernetes.io/component"]
        versions = {"helm.sh/chart", "app.kubernetes.io/version"}
        assert not versions & load.labels.keys(), "a new version of the chart would restart this"


def test_the_pool_made_by_the_operator_says_so(rendering: Rendering) -> None:
    pool = rendering.node_pool()
    if pool is not None:
        _check(pool["metadata"]["labels"], "NodePool")
        by = "Helm" if rendering.values["pool"]["madeBy"] == "helm" else "naisho-operator"
        assert pool["metadata"]["labels"]["app.kubernetes.io/managed-by"] == by


def test_labels_of_the_site_reach_all_pods(rendering: Rendering) -> None:
    for load in rendering.workloads():
        assert rendering.values["podLabels"].items() <= load.labels.items()
        assert rendering.values["podAnnotations"].items() <= load.metadata.get("annotations", {}).items()


def _check(labels: dict[str, str], whose: str) -> None:
    assert labels["app.kubernetes.io/name"] == "naisho", whose
    assert labels["app.kubernetes.io/instance"] == RELEASE, whose
    assert labels["app.kubernetes.io/component"] in _COMPONENTS, whose
    assert labels["app.kubernetes.io/part-of"] == "naisho", whose
    assert labels["app.kubernetes.io/managed-by"] in {"Helm", "naisho-operator"}, whose
