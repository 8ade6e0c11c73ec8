"""Dashboards: each can be found, works with any data source and namespace, and says what its panels mean."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.charts.monitoring.files import DASHBOARD_NAMES, DASHBOARDS, dashboard, panels
from tests.charts.monitoring.promql import read

DATA_SOURCE = {"type": "prometheus", "uid": "${datasource}"}
UNITS = {"none", "s", "bytes", "ops", "reqps", "percentunit"}


def faults(panel: dict[str, Any]) -> list[str]:
    """Return what a panel lacks."""
    checks = {
        "title": len(panel.get("title", "")) > 3,
        "description": panel.get("description", "").endswith(".") and len(panel["description"]) > 15,
        "unit": panel.get("fieldConfig", {}).get("defaults", {}).get("unit") in UNITS,
        "data source": panel.get("datasource") == DATA_SOURCE,
        "targets": bool(panel.get("targets")),
        "targets' data source": all(target.get("datasource") == DATA_SOURCE for target in panel.get("targets", ())),
        "namespace": all(
            ("namespace", "=", "$namespace") in selector.matchers
            for target in panel.get("targets", ())
            for selector in read(target["expr"]).selectors
        ),
    }
    return [check for check, holds in checks.items() if not holds]


def test_the_five_dashboards_are_there() -> None:
    assert set(DASHBOARD_NAMES) == {
        "event-log-and-custodian",
        "network-overview",
        "nodes-and-swarms",
        "onion-traffic",
        "operator",
    }


def test_each_has_an_id_and_a_title_of_its_own() -> None:
    for part in ("uid", "title"):
        values = [dashboard(name)[part] for name in DASHBOARD_NAMES]
        assert len(set(values)) == len(values)
    assert all(re.fullmatch(r"naisho-[a-z-]{3,33}", dashboard(name)["uid"]) for name in DASHBOARD_NAMES)


@pytest.mark.parametrize("name", DASHBOARD_NAMES)
def test_it_is_neatly_written_json_without_a_trace_of_where_it_was_made(name: str) -> None:
    text = (DASHBOARDS / f"{name}.json").read_text(encoding="utf-8")
    document = json.loads(text)
    assert text == json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    assert not {"id", "iteration", "__inputs", "__requires"} & document.keys()
    # Helm does not read it, but Grafana's own braces must not be taken for a template by whoever does.
    assert len(text) < 200_000


@pytest.mark.parametrize("name", DASHBOARD_NAMES)
def test_data_source_and_namespace_are_variables(name: str) -> None:
    variables = {variable["name"]: variable for variable in dashboard(name)["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    assert variables["namespace"]["datasource"] == DATA_SOURCE
    text = json.dumps(dashboard(name)["panels"])
    used = set(re.findall(r"\$\{?([a-z]\w+)", text))
    assert used == variables.keys()


@pytest.mark.parametrize(
    ("name", "panel"), [(name, panel) for name in DASHBOARD_NAMES for panel in panels(name)], ids=str
)
def test_a_panel_says_what_it_shows(name: str, panel: dict[str, Any]) -> None:
    assert not faults(panel), f"{name}: {panel['title']}"


@pytest.mark.parametrize("fault", ["description", "data source", "unit", "namespace"])
def test_a_panel_that_lacks_something_is_found(fault: str) -> None:
    panel = json.loads(json.dumps(panels("operator")[0]))
    planted: dict[str, dict[str, Any]] = {
        "description": {"description": ""},
        "data source": {"datasource": "Prometheus"},
        "unit": {"fieldConfig": {"defaults": {"unit": ""}}},
        "namespace": {"targets": [panel["targets"][0] | {"expr": "sum(naisho_operator_leader)"}]},
    }
    assert faults(panel | planted[fault]) == [fault]


@pytest.mark.parametrize("name", DASHBOARD_NAMES)
def test_panels_have_numbers_of_their_own_and_do_not_cover_each_other(name: str) -> None:
    document = dashboard(name)["panels"]
    assert len({panel["id"] for panel in document}) == len(document)
    covered: set[tuple[int, int]] = set()
    for panel in document:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & covered, panel["title"]
        assert place["x"] + place["w"] <= 24
        covered |= cells
