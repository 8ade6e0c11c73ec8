"""Pods are restarted by what changes for them, and by nothing else: not by a new version of the chart alone."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.charts.rendering import CHART, Manifest, Rendering, parse, render, values_file


@pytest.fixture(scope="module")
def later_chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the chart, of a later version and with the same content."""
    changed = tmp_path_factory.mktemp("later") / "naisho"
    shutil.copytree(CHART, changed)
    about = changed / "Chart.yaml"
    text = about.read_text(encoding="utf-8")
    later = re.sub(r"^version: .*$", "version: 99.0.0", text, flags=re.MULTILINE)
    assert later != text
    about.write_text(later, encoding="utf-8")
    return changed


def test_a_version_of_the_chart_alone_changes_nothing(rendering: Rendering, helm: Path, later_chart: Path) -> None:
    assert render(helm, "--values", values_file(rendering.situation), chart=later_chart) == rendering.text


@pytest.mark.parametrize(
    ("value", "restarted"),
    [
        ("network.name=Other", {"operator"}),
        ("streams.mail=7Gi", {"operator"}),
        ("pool.replicas=16", {"operator"}),
        ("nats.storage.size=11Gi", {"nats"}),
        ("clusterDomain=other.local", {"operator"}),
        ("podAnnotations.a=b", {"operator", "nats", "custodian"}),
        ("image.tag=other", {"operator", "nats", "custodian"}),
        ("custodian.settings.key_grace=20s", {"custodian"}),
        ("seed.service.type=NodePort", set()),
        ("networkPolicy.enabled=false", set()),
        ("crds.create=false", set()),
        ("operator.replicas=2", set()),
        ("nats.podDisruptionBudget=false", set()),
    ],
)
def test_a_change_restarts_those_that_it_concerns(
    helm: Path, rendered_of: Callable[[str], Rendering], value: str, restarted: set[str]
) -> None:
    before, after = _pods(rendered_of("default").objects), _pods(parse(render(helm, "--set", value)))
    assert {component for component in before if before[component] != after[component]} == restarted


def test_what_pods_read_is_in_their_checksums(rendering: Rendering) -> None:
    """Whatever ConfigMap of the chart's own a pod mounts, a change of it must reach the pod."""
    own = {one["metadata"]["name"] for one in rendering.of_kind("ConfigMap")}
    for load in rendering.workloads():
        mounted = {
            source["configMap"]["name"]
            for volume in load.spec["volumes"]
            for source in [volume, *volume.get("projected", {}).get("sources", [])]
            if "configMap" in source
        }
        sums = [key for key in load.metadata.get("annotations", {}) if key.startswith("checksum/")]
        assert len(sums) == len(mounted & own), load.name


def _pods(objects: tuple[Manifest, ...]) -> dict[str, Manifest]:
    """Return the pod templates of what runs on, by component."""
    return {
        one["metadata"]["labels"]["app.kubernetes.io/component"]: one["spec"]["template"]
        for one in objects
        if one["kind"] in {"Deployment", "StatefulSet"}
    }
