"""Each alert is one file of that name, whole and in the form that all have."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.charts.monitoring.files import ALERT_NAMES, ALERTS, PLANTED, rules
from tests.charts.monitoring.promtool import promtool

SEVERITIES = {"critical", "warning", "info"}
_DURATION = re.compile(r"[1-9]\d*[smhd]")


def faults(name: str, rule: dict[str, Any]) -> list[str]:
    """Return what is wrong with a rule's form."""
    annotations = rule.get("annotations", {})
    checks = {
        "it is called as its file": rule.get("alert") == name and re.fullmatch(r"Naisho([A-Z][a-z]+)+", name),
        "it waits before it fires": _DURATION.fullmatch(str(rule.get("for"))),
        "its severity is known": rule.get("labels") in [{"severity": severity} for severity in SEVERITIES],
        "it has exactly these annotations": annotations.keys() == {"summary", "description", "runbook_url"},
        "its texts say something": all(len(text) > 15 for text in annotations.values()),
        "its summary is one short line": len(annotations.get("summary", "")) < 100,
        "its summary is no sentence": not annotations.get("summary", ".").endswith("."),
        "its description is sentences": annotations.get("description", "").endswith("."),
        "its runbook is its own": annotations.get("runbook_url") == f"docs/runbooks/{name}.md",
    }
    return [check for check, holds in checks.items() if not holds]


@pytest.mark.parametrize("name", ALERT_NAMES)
def test_an_alert_is_one_file_with_one_rule_of_the_usual_form(name: str) -> None:
    (rule,) = rules(name)
    assert not faults(name, rule)


@pytest.mark.parametrize(
    ("planted", "fault"),
    [
        ({"for": None}, "it waits before it fires"),
        ({"labels": {"severity": "page"}}, "its severity is known"),
        ({"alert": "NaishoSomethingElse"}, "it is called as its file"),
        ({"annotations": {"summary": "The operator is away", "description": "It is."}}, "its runbook is its own"),
    ],
)
def test_a_rule_of_another_form_is_found(planted: dict[str, Any], fault: str) -> None:
    (rule,) = rules("NaishoOperatorAbsent")
    assert fault in faults("NaishoOperatorAbsent", rule | planted)


@pytest.mark.parametrize("name", ALERT_NAMES)
def test_an_alert_looks_at_one_network_alone(name: str) -> None:
    """The chart puts the release's namespace in the place of this one; machines' clocks belong to no namespace."""
    (rule,) = rules(name)
    assert ('namespace="naisho"' in rule["expr"]) == (name != "NaishoClockOff")
    assert rule["expr"].count("namespace=") == rule["expr"].count('namespace="naisho"')


def test_every_alert_is_shown_to_fire_and_to_be_silent() -> None:
    assert {path.stem for path in PLANTED.glob("*.yaml")} == set(ALERT_NAMES)


def test_the_alerts_that_nobody_may_be_without_are_there() -> None:
    """Others may come and go."""
    assert set(ALERT_NAMES) >= {
        "NaishoCustodianAbsent",
        "NaishoDirectoryExpiring",
        "NaishoNatsNoQuorum",
        "NaishoOperatorAbsent",
        "NaishoOperatorDeaf",
        "NaishoSigningKeysEnding",
        "NaishoSwarmShort",
        "NaishoVolumeFull",
    }


def test_promtool_finds_nothing_to_complain_of() -> None:
    said = promtool("check", "rules", *(str(ALERTS / f"{name}.yaml") for name in ALERT_NAMES))
    assert said.count("SUCCESS: 1 rules found") == len(ALERT_NAMES)
