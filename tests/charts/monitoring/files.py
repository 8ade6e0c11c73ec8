"""The alerts, runbooks and dashboards as they lie in the repository."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[3]
CHART: Final = ROOT / "charts/naisho"
ALERTS: Final = CHART / "alerts"
DASHBOARDS: Final = CHART / "dashboards"
RUNBOOKS: Final = ROOT / "docs/runbooks"
PLANTED: Final = Path(__file__).with_name("planted")

ALERT_NAMES: Final = tuple(sorted(path.stem for path in ALERTS.glob("*.yaml")))
DASHBOARD_NAMES: Final = tuple(sorted(path.stem for path in DASHBOARDS.glob("*.json")))


def rules(alert: str) -> list[dict[str, Any]]:
    """Return the rules of an alert's file."""
    document = yaml.safe_load((ALERTS / f"{alert}.yaml").read_text(encoding="utf-8"))
    return [rule for group in document["groups"] for rule in group["rules"]]


def dashboard(name: str) -> dict[str, Any]:
    """Return a dashboard."""
    document: dict[str, Any] = json.loads((DASHBOARDS / f"{name}.json").read_text(encoding="utf-8"))
    return document


def panels(name: str) -> list[dict[str, Any]]:
    """Return the panels of a dashboard that show something."""
    return [panel for panel in dashboard(name)["panels"] if panel["type"] != "row"]


@dataclass(frozen=True)
class Expression:
    """One expression, and where it stands."""

    place: str
    text: str


def expressions() -> Iterator[Expression]:
    """Yield every expression of alerts and dashboards."""
    for alert in ALERT_NAMES:
        for rule in rules(alert):
            yield Expression(alert, rule["expr"])
    for name in DASHBOARD_NAMES:
        for panel in panels(name):
            for target in panel["targets"]:
                yield Expression(f"{name}: {panel['title']}", target["expr"])
