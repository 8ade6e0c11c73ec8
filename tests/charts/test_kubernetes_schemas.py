"""What is rendered fits the schemas of Kubernetes, the newest and one of years ago, with no unknown field."""

from __future__ import annotations

import functools
import json
from typing import Final

import kubernetes_validate  # type: ignore[import-untyped]
import pytest

from tests.charts.rendering import NEWEST, Manifest, Rendering

_OLDER: Final = "1.27.0"
#: Kinds of other projects, and our own: Kubernetes has no schemas of them.
_OTHERS: Final = {"Certificate", "ServiceMonitor", "PodMonitor", "PrometheusRule", "NodePool"}


@pytest.mark.parametrize("version", [NEWEST, _OLDER])
def test_objects_fit_the_schemas(rendering: Rendering, version: str) -> None:
    for manifest in rendering.objects:
        if manifest["kind"] not in _OTHERS:
            _validate(json.dumps(manifest, sort_keys=True), version)


def test_the_newest_schemas_are_used() -> None:
    assert kubernetes_validate.latest_version() == NEWEST, "raise it in rendering.py"


def test_a_wrong_field_would_be_found() -> None:
    pod: Manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "x"},
        "spec": {"containers": [{"name": "a"}]},
    }
    _validate(json.dumps(pod), NEWEST)
    pod["spec"]["enableServiceLink"] = False
    with pytest.raises(kubernetes_validate.ValidationError):
        _validate(json.dumps(pod), NEWEST)


@functools.lru_cache(maxsize=4096)
def _validate(manifest: str, version: str) -> None:
    """Validate an object, as JSON text; the same one only once, since most situations share most objects."""
    kubernetes_validate.validate(json.loads(manifest), version, strict=True)
