"""Names fit everywhere: into labels of 63 characters, also where Kubernetes or the operator lengthens them."""

from __future__ import annotations

import re
from typing import Final

from tests.charts.rendering import NAMESPACE, Rendering

_LONGEST: Final = 63
_NAME: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
#: What a StatefulSet appends for the label ``controller-revision-hash``, and an ordinal that is not soon reached.
_REVISION: Final = "-0123456789"
_ORDINAL: Final = "-12345"


def test_names_are_short_enough_and_begin_with_the_full_name(rendering: Rendering) -> None:
    for manifest in rendering.objects:
        name = manifest["metadata"]["name"]
        if manifest["kind"] in {"CustomResourceDefinition", "ClusterRole"}:
            continue
        # A dashboard's ConfigMap is neither mounted nor resolved, and its name goes into no label.
        assert len(name) <= (253 if "-dashboard-" in name else _LONGEST), name
        assert _NAME.fullmatch(name), name
        if manifest["kind"] != "ServiceAccount":  # somebody else's, maybe
            assert name.startswith(rendering.full_name)


def test_what_kubernetes_appends_fits_too(rendering: Rendering) -> None:
    for manifest in rendering.of_kind("StatefulSet"):
        assert len(manifest["metadata"]["name"] + _REVISION) <= _LONGEST
    assert len(rendering.full_name + _ORDINAL + _REVISION) <= _LONGEST, "a node's StatefulSet"


def test_everything_lies_in_the_namespace(rendering: Rendering) -> None:
    for manifest in rendering.objects:
        wide = manifest["kind"] in {"CustomResourceDefinition", "ClusterRole"}
        assert manifest["metadata"].get("namespace") == (None if wide else NAMESPACE)


def test_names_of_ports_and_labels_fit(rendering: Rendering) -> None:
    for load in rendering.workloads():
        for key, value in load.labels.items():
            assert len(value) <= _LONGEST, key
        for container in load.containers:
            for port in container.get("ports", []):
                assert len(port["name"]) <= 15


def test_a_full_name_is_as_long_as_it_may_be_in_one_situation(rendering: Rendering) -> None:
    if rendering.situation == "names-at-their-longest":
        assert len(rendering.full_name) == 40
