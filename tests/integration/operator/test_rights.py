"""The operator's rights are those that it uses: none is missing, and none is granted in vain."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from operators.membership.kube.settings import LogSizes
from operators.membership.streams import MIB
from services.chassis.settings import Size
from tests.charts.helm_binary import NoHelm, find_helm
from tests.charts.rendering import parse, render
from tests.integration.operator.install import FEW_NODES, INSTALL, Install

#: Rights that nothing here can use, each with the reason why it is granted nevertheless.
UNUSED: frozenset[tuple[str, str]] = frozenset()


def granted() -> set[tuple[str, str]]:
    """Return verb and resource of everything that the chart's Role allows."""
    try:
        helm: Path = find_helm()
    except NoHelm as none:
        pytest.skip(str(none))
    objects = parse(render(helm, "--show-only", "templates/operator/rights.yaml"))
    return {pair for role in objects if role["kind"] == "Role" for rule in role["rules"] for pair in _pairs(rule)}


def _pairs(rule: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for resource in rule["resources"]:
        for verb in rule["verbs"]:
            yield verb, resource


async def test_every_right_is_used_and_none_is_missing(install: Install) -> None:
    store = install.store
    install.bring()
    first = install.start_operator()
    await install.until(lambda: install.whole(FEW_NODES))

    # Somebody takes a label off a Service, and changes a budget; a volume is lost.
    store.merge("services", "talk-1", {"metadata": {"labels": {"app.kubernetes.io/part-of": None}}})
    budget = min(store.names("poddisruptionbudgets"))
    made = store.get("poddisruptionbudgets", budget)["spec"]
    store.merge("poddisruptionbudgets", budget, {"spec": {"minAvailable": 0}})
    store.put_status("persistentvolumeclaims", "data-talk-2-0", phase="Lost")
    await install.until(lambda: "app.kubernetes.io/part-of" in store.get("services", "talk-1")["metadata"]["labels"])
    await install.until(lambda: install.whole(FEW_NODES))
    await install.until(lambda: store.get("poddisruptionbudgets", budget)["spec"] == made)

    # The pool wants larger volumes, and no budgets.
    store.merge("nodepools", INSTALL, {"spec": {"storage": {"size": "20Gi"}, "podDisruptionBudgets": False}})
    await install.until(lambda: store.names("poddisruptionbudgets") == set())

    # A node leaves; the pool's image changes; the next operator finds other values.
    store.merge("servicenodes", "talk-3", {"metadata": {"annotations": {"naisho.dev/drain": "true"}}})
    await install.until(lambda: store.find("servicenodes", "talk-3") is None and install.whole(FEW_NODES))
    await install.stop_operator(first)
    install.bring(image="naisho:2")
    install.start_operator(seeds=("https://seed.example:8443",), streams=LogSizes(Size(17 * MIB), Size(MIB), Size(MIB)))
    await install.until(lambda: store.get("nodepools", INSTALL)["spec"].get("image") == "naisho:2")
    await install.until(lambda: ("patch", "statefulsets") in install.api.calls)

    assert install.api.strange == [], "nothing beyond the namespace"
    used, allowed = set(install.api.calls), granted()
    assert used - allowed == set(), "used, but not granted"
    assert allowed - used - UNUSED == set(), "granted, but not used"
