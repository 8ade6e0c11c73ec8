"""What Kubernetes answers to an eviction: the disruption controller's arithmetic over the objects that there are."""

from __future__ import annotations

from tests.integration.operator.api_store import ApiStore, Manifest


def is_evictable(store: ApiStore, pod: str) -> bool:
    """Tell whether the budgets that choose a pod allow it to be evicted.

    As ``pkg/controller/disruption`` of Kubernetes has it: a number of pods that must be available is compared with
    those that are ready. A number that may be unavailable is first taken from what the owners *of the pods that
    there are* want.

    Raises:
        AssertionError: several budgets choose it, which Kubernetes refuses.
    """
    there = store.get("pods", pod)
    budgets = [budget for budget in store.list("poddisruptionbudgets") if _chooses(budget, there)]
    assert len(budgets) <= 1, "Kubernetes evicts no pod of which two budgets speak"
    return not budgets or _disruptions_allowed(store, budgets[0]) > 0


def _disruptions_allowed(store: ApiStore, budget: Manifest) -> int:
    pods = [pod for pod in store.list("pods") if _chooses(budget, pod)]
    healthy = sum(_is_ready(pod) for pod in pods)
    spec = budget["spec"]
    if "minAvailable" in spec:
        return int(healthy - spec["minAvailable"]) if pods else 0
    owners = {pod["metadata"]["ownerReferences"][0]["name"] for pod in pods}
    expected = sum(store.get("statefulsets", name)["spec"]["replicas"] for name in owners)
    return int(healthy - max(expected - spec["maxUnavailable"], 0))


def _chooses(budget: Manifest, pod: Manifest) -> bool:
    selector, labels = budget["spec"]["selector"], pod["metadata"]["labels"]
    rules = selector.get("matchExpressions") or ()
    assert all(rule["operator"] == "In" for rule in rules)
    return (selector.get("matchLabels") or {}).items() <= labels.items() and all(
        labels.get(rule["key"]) in rule["values"] for rule in rules
    )


def _is_ready(pod: Manifest) -> bool:
    conditions = pod["status"].get("conditions") or ()
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)
