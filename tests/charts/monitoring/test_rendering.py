"""What the chart makes of alerts and dashboards, and what its switches do.

The two templates are rendered with the chart's own names and nothing else, so that these tests need not the rest.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeAlias

import pytest
import yaml

from tests.charts.monitoring.files import ALERT_NAMES, ALERTS, CHART, DASHBOARD_NAMES, DASHBOARDS, dashboard, rules
from tests.charts.monitoring.promtool import promtool
from tests.charts.rendering import Rendering

Render: TypeAlias = Callable[..., list[dict[str, Any]]]
_TEMPLATES = "templates/monitoring"
ON = {"alerts": {"enabled": True}, "dashboards": {"enabled": True}}


@pytest.fixture
def render_alone(helm: Path, tmp_path: Path) -> Render:
    """Return ``render_alone(monitoring, namespace=…)``: the objects that these values give."""
    chart = tmp_path / "naisho"
    (chart / _TEMPLATES).mkdir(parents=True)
    for name in ("alerts", "dashboards"):
        shutil.copytree(CHART / name, chart / name)
    for name in (
        "Chart.yaml",
        "templates/_names.tpl",
        *(f"{_TEMPLATES}/{n}.yaml" for n in ("prometheusrules", "dashboards")),
    ):
        shutil.copy(CHART / name, chart / name)

    def objects(monitoring: dict[str, Any], *, namespace: str = "naisho") -> list[dict[str, Any]]:
        values = {"fullnameOverride": "", "monitoring": monitoring}
        (chart / "values.yaml").write_text(json.dumps(values), encoding="utf-8")
        command: list[str | Path] = [
            helm,
            "template",
            "naisho",
            chart,
            "--namespace",
            namespace,
            "--kube-version",
            "1.30.0",
        ]
        text = subprocess.run(command, capture_output=True, text=True, timeout=50, check=True).stdout
        return [document for document in yaml.safe_load_all(text) if document]

    return objects


def only(objects: Iterable[dict[str, Any]], kind: str) -> dict[str, Any]:
    """Return the one object of a kind."""
    (found,) = [made for made in objects if made["kind"] == kind]
    return found


def alerts_of(rule_object: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the rules of a PrometheusRule by their names."""
    return {rule["alert"]: rule for group in rule_object["spec"]["groups"] for rule in group["rules"]}


@pytest.mark.parametrize(
    "monitoring", [{}, {"alerts": {"enabled": False}, "dashboards": {"enabled": False}}], ids=["unset", "off"]
)
def test_nothing_is_made_unless_it_is_asked_for(render_alone: Render, monitoring: dict[str, Any]) -> None:
    assert render_alone(monitoring) == []


def test_every_alert_arrives_as_it_is_written(render_alone: Render) -> None:
    made = alerts_of(only(render_alone(ON), "PrometheusRule"))
    assert made == {name: rules(name)[0] for name in ALERT_NAMES}


def test_alerts_look_at_the_release_s_namespace(render_alone: Render, tmp_path: Path) -> None:
    made = only(render_alone(ON, namespace="somewhere"), "PrometheusRule")
    assert made["metadata"]["namespace"] == "somewhere"
    for name, rule in alerts_of(made).items():
        assert 'namespace="naisho"' not in rule["expr"]
        assert ('namespace="somewhere"' in rule["expr"]) == (name != "NaishoClockOff")
    file = tmp_path / "rendered.yaml"
    file.write_text(yaml.safe_dump(made["spec"]), encoding="utf-8")
    assert f"SUCCESS: {len(ALERT_NAMES)} rules found" in promtool("check", "rules", str(file))


def test_an_alert_can_be_left_out(render_alone: Render) -> None:
    left_out = ["NaishoClockOff", "NaishoReplays"]
    made = only(render_alone({"alerts": {"enabled": True, "disabled": left_out}}), "PrometheusRule")
    assert alerts_of(made).keys() == set(ALERT_NAMES) - set(left_out)


def test_no_empty_object_is_made_when_all_are_left_out(render_alone: Render) -> None:
    assert render_alone({"alerts": {"enabled": True, "disabled": list(ALERT_NAMES)}}) == []


@pytest.mark.parametrize("base", ["https://example.org/runbooks", "https://example.org/runbooks/"])
def test_runbooks_are_linked_where_they_are_published(render_alone: Render, base: str) -> None:
    made = only(render_alone({"alerts": {"enabled": True, "runbookBaseUrl": base}}), "PrometheusRule")
    for name, rule in alerts_of(made).items():
        assert rule["annotations"]["runbook_url"] == f"https://example.org/runbooks/{name}.md"


def test_the_rule_object_gets_the_labels_by_which_prometheus_chooses(render_alone: Render) -> None:
    labels = {"release": "kube-prometheus-stack"}
    made = only(render_alone({"alerts": {"enabled": True, "labels": labels}}), "PrometheusRule")
    assert made["metadata"]["labels"].items() >= {**labels, "app.kubernetes.io/part-of": "naisho"}.items()


def test_each_dashboard_is_a_config_map_that_grafana_finds(render_alone: Render) -> None:
    made = [thing for thing in render_alone(ON) if thing["kind"] == "ConfigMap"]
    assert {thing["metadata"]["name"] for thing in made} == {f"naisho-dashboard-{name}" for name in DASHBOARD_NAMES}
    for thing in made:
        ((file, text),) = thing["data"].items()
        assert thing["metadata"]["labels"]["grafana_dashboard"] == "1"
        assert json.loads(text) == dashboard(Path(file).stem)
        assert len(text.encode()) < 1_000_000, "a ConfigMap holds a mebibyte"


def test_another_label_for_grafana_can_be_set(render_alone: Render) -> None:
    switches = {"dashboards": {"enabled": True, "label": "boards", "labelValue": "yes"}}
    for thing in render_alone(switches):
        assert thing["metadata"]["labels"]["boards"] == "yes"
        assert "grafana_dashboard" not in thing["metadata"]["labels"]


def test_the_same_values_give_the_same_text(render_alone: Render) -> None:
    assert render_alone(ON) == render_alone(ON)


def test_no_file_of_the_two_folders_is_passed_over(render_alone: Render) -> None:
    """Whatever lies there is meant to be loaded, so nothing else may lie there."""
    made = render_alone(ON)
    count = len(only(made, "PrometheusRule")["spec"]["groups"]) + len(made) - 1
    assert count == len(list(ALERTS.iterdir())) + len(list(DASHBOARDS.iterdir()))
    names = [thing["metadata"]["name"] for thing in made]
    assert all(re.fullmatch(r"[a-z0-9-]{1,63}", name) for name in names)


def test_the_whole_chart_s_values_reach_them(rendered_of: Callable[[str], Rendering]) -> None:
    rendering = rendered_of("monitoring")
    switches = rendering.values["monitoring"]
    made = only(rendering.objects, "PrometheusRule")
    assert alerts_of(made).keys() == set(ALERT_NAMES) - set(switches["alerts"]["disabled"])
    assert made["metadata"]["labels"].items() >= switches["alerts"]["labels"].items()
    boards = [thing for thing in rendering.objects if switches["dashboards"]["label"] in thing["metadata"]["labels"]]
    assert len(boards) == len(DASHBOARD_NAMES)
