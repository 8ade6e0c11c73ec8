"""One of a swarm at a time may be evicted, also in the moments in which nobody has looked yet."""

from __future__ import annotations

import copy

from tests.integration.operator.api_store import Change, Manifest
from tests.integration.operator.disruptions import is_evictable
from tests.integration.operator.install import FEW_NODES, INSTALL, Install


def swarms(install: Install) -> dict[str, set[str]]:
    members: dict[str, set[str]] = {}
    for node in install.store.list("servicenodes"):
        members.setdefault(node["status"]["swarm"], set()).add(node["metadata"]["name"])
    return members


def counted(install: Install) -> dict[str, set[str]]:
    """Return the nodes that each swarm's budget names."""
    budgets = install.store.list("poddisruptionbudgets")
    return {
        budget["metadata"]["labels"]["naisho.dev/swarm"]: set(
            budget["spec"]["selector"]["matchExpressions"][0]["values"]
        )
        for budget in budgets
    }


def by_label(budget: Manifest, swarm: str) -> Manifest:
    """Return a budget as one would think it should be."""
    labels = {"naisho.dev/pool": INSTALL, "naisho.dev/swarm": swarm}
    return {**copy.deepcopy(budget), "spec": {"maxUnavailable": 1, "selector": {"matchLabels": labels}}}


async def test_while_a_pod_is_gone_and_until_it_is_ready_no_other_of_its_swarm_is_evicted(install: Install) -> None:
    install.bring()
    operator = install.start_operator()
    await install.until(lambda: install.whole(FEW_NODES) and counted(install) == swarms(install))
    await install.stop_operator(operator)  # nobody labels pods
    swarm, members = max(swarms(install).items(), key=lambda entry: len(entry[1]))
    one, other, *_ = sorted(members)
    assert is_evictable(install.store, f"{other}-0"), "all are ready"

    told: list[tuple[str, bool]] = []

    def look(change: Change) -> None:
        if change.plural == "pods" and change.there["metadata"]["name"] == f"{one}-0":
            told.append((change.event, is_evictable(install.store, f"{other}-0")))

    install.store.observers.append(look)
    install.store.delete("pods", f"{one}-0")
    await install.until(lambda: bool(told) and told[-1] == ("MODIFIED", True))
    assert [event for event, _ in told[:3]] == ["DELETED", "ADDED", "MODIFIED"]
    assert [allowed for _, allowed in told[:-1]] == [False] * (len(told) - 1), "not before it is ready again"

    # The control: a budget by the label that pods get later would have let the second one go, twice.
    name = f"{INSTALL}-swarm-{swarm}"
    budget = by_label(install.store.get("poddisruptionbudgets", name), swarm)
    install.store.delete("poddisruptionbudgets", name)
    install.store.create("poddisruptionbudgets", budget)
    install.store.merge("pods", f"{one}-0", {"metadata": {"labels": {"naisho.dev/swarm": swarm}}})
    told.clear()
    install.store.delete("pods", f"{one}-0")
    await install.until(lambda: len(told) >= 2)
    assert told[:2] == [("DELETED", True), ("ADDED", True)]


async def test_budgets_follow_their_swarms_and_heal(install: Install) -> None:
    install.bring()
    install.start_operator()
    await install.until(lambda: install.whole(FEW_NODES) and counted(install) == swarms(install))
    install.store.merge("nodepools", INSTALL, {"spec": {"replicas": FEW_NODES + 1}})
    await install.until(lambda: install.whole(FEW_NODES + 1) and counted(install) == swarms(install))
    assert sum(len(members) for members in counted(install).values()) == FEW_NODES + 1

    name = min(install.store.names("poddisruptionbudgets"))
    made = install.store.get("poddisruptionbudgets", name)["spec"]
    install.store.merge("poddisruptionbudgets", name, {"spec": {"minAvailable": 0}})
    await install.until(lambda: install.store.get("poddisruptionbudgets", name)["spec"] == made)
    install.store.delete("poddisruptionbudgets", name)
    await install.until(lambda: name in install.store.names("poddisruptionbudgets"))
    assert install.store.get("poddisruptionbudgets", name)["spec"] == made
