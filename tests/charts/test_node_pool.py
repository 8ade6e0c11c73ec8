"""The NodePool is one that its definition takes, whole, and says what the values say."""

from __future__ import annotations

from tests.charts.rendering import Rendering
from tests.crds.cel import judge
from tests.crds.defaulting import completed, pruned
from tests.crds.definitions import definitions
from tests.crds.validation import complaints


def test_an_api_server_takes_it_as_it_is(rendering: Rendering) -> None:
    pool, definition = rendering.node_pool(), definitions()["NodePool"]
    if pool is not None:
        assert pruned(definition, pool) == pool, "a field would be dropped in silence"
        whole = completed(definition, pool)
        assert complaints(definition, whole) == []
        assert not judge(definition, None, whole).broken


def test_it_says_what_the_values_say(rendering: Rendering) -> None:
    pool = rendering.node_pool()
    if pool is None:
        return
    spec, values = pool["spec"], rendering.values["pool"]
    for field in ("allowUnsafe", "family", "country", "podDisruptionBudgets", "paused", "resources"):
        assert spec[field] == values[field]
    assert spec["storage"] == {key: value for key, value in values["storage"].items() if value}
    assert spec.get("image", "") == values["image"]
    assert spec.get("settings", {}) == {name: held for name, held in values["settings"].items() if held}
    assert spec["exposure"]["type"] == values["exposure"]["type"]
    assert spec["exposure"].get("annotations", {}) == values["exposure"]["annotations"]
    if values["exposure"]["type"] == "HostPort":
        assert spec["exposure"]["firstPort"] == values["exposure"]["firstPort"]


def test_who_scales_is_not_interfered_with(rendering: Rendering) -> None:
    pool = rendering.node_pool()
    if pool is not None:
        values = rendering.values["pool"]
        if values["autoscaling"]["enabled"] or values["replicas"] is None:
            assert "replicas" not in pool["spec"]
        else:
            assert pool["spec"]["replicas"] == values["replicas"]
        scaled = pool["spec"].get("autoscaling", {"enabled": False})
        assert scaled == (values["autoscaling"] if values["autoscaling"]["enabled"] else {"enabled": False})
