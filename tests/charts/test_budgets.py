"""What has a disruption budget keeps a majority, and no budget stands in the way of emptying a machine for ever."""

from __future__ import annotations

from tests.charts.rendering import Rendering, covers


def test_operator_and_log_have_a_budget(rendering: Rendering) -> None:
    budgets = {one["metadata"]["name"] for one in rendering.of_kind("PodDisruptionBudget")}
    for component in ("operator", "nats"):
        values = rendering.values[component]
        wanted = values["enabled"] and values["podDisruptionBudget"]
        assert (f"{rendering.full_name}-{component}" in budgets) == wanted


def test_one_pod_may_always_go(rendering: Rendering) -> None:
    for budget in rendering.of_kind("PodDisruptionBudget"):
        assert budget["spec"]["maxUnavailable"] == 1
        assert "minAvailable" not in budget["spec"], "with one pod it would forbid everything"


def test_a_majority_of_the_log_stays(rendering: Rendering) -> None:
    for budget in rendering.of_kind("PodDisruptionBudget"):
        for load in rendering.workloads():
            if load.component == "nats" and covers(budget["spec"]["selector"]["matchLabels"], load.labels):
                servers = load.owner["spec"]["replicas"]
                assert servers == 1 or servers - budget["spec"]["maxUnavailable"] > servers // 2


def test_the_pool_keeps_budgets_as_wished(rendering: Rendering) -> None:
    pool = rendering.node_pool()
    if pool is not None:
        assert pool["spec"]["podDisruptionBudgets"] is rendering.values["pool"]["podDisruptionBudgets"]
