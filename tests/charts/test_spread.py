"""Pods of one component are spread over machines, and placed as the values say."""

from __future__ import annotations

from tests.charts.rendering import Rendering, covers


def test_lasting_pods_are_spread(rendering: Rendering) -> None:
    for load in rendering.workloads():
        if load.owner["kind"] not in {"Deployment", "StatefulSet"}:
            continue
        (spread,) = load.spec["topologySpreadConstraints"]
        wished = rendering.values[load.component]["scheduling"]
        assert spread["maxSkew"] == 1
        assert spread["topologyKey"] == wished["topologyKey"]
        assert spread["whenUnsatisfiable"] == wished["whenUnsatisfiable"]
        chosen = [
            one.component for one in rendering.workloads() if covers(spread["labelSelector"]["matchLabels"], one.labels)
        ]
        assert chosen == [load.component], "it counts others"


def test_pods_go_where_they_are_wished(rendering: Rendering) -> None:
    for load in rendering.workloads():
        wished = rendering.values.get(load.component, {}).get("scheduling")
        if wished:
            assert load.spec.get("nodeSelector", {}) == wished["nodeSelector"]
            assert load.spec.get("tolerations", []) == wished["tolerations"]
            assert load.spec.get("priorityClassName", "") == wished["priorityClassName"]


def test_nodes_go_where_they_are_wished(rendering: Rendering) -> None:
    pool = rendering.node_pool()
    if pool is not None:
        scheduling, wished = pool["spec"]["scheduling"], rendering.values["pool"]["scheduling"]
        assert {key: value for key, value in wished.items() if value} == scheduling


def test_images_are_pulled_as_wished(rendering: Rendering) -> None:
    image = rendering.values["image"]
    for load in rendering.workloads():
        assert [one["name"] for one in load.spec.get("imagePullSecrets", [])] == image["pullSecrets"]
        for container in load.containers:
            assert container["imagePullPolicy"] == image["pullPolicy"]
            ending = f"@{image['digest']}" if image["digest"] else f":{image['tag'] or '0.1.0'}"
            assert container["image"] == image["repository"] + ending
