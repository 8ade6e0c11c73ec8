"""Each alert fires on planted series, as often as its expression has sides, and is silent on healthy ones.

``planted/<alert>.yaml`` holds the series in promtool's notation, one sample a minute::

    fires:                      # each case alone makes the alert fire, once, with exactly these labels
      - at: 30m                 # when it is looked at
        labels: {namespace: "naisho"}
        series:
          'metric{label="value"}': 1+0x40
    silent:                     # none of these does
      - at: 30m
        series: {}
"""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.charts.monitoring.files import ALERT_NAMES, ALERTS, PLANTED, rules
from tests.charts.monitoring.promql import read
from tests.charts.monitoring.promtool import promtool


def cases(alert: str) -> dict[str, list[dict[str, Any]]]:
    """Return an alert's planted series."""
    document: dict[str, list[dict[str, Any]]] = yaml.safe_load((PLANTED / f"{alert}.yaml").read_text(encoding="utf-8"))
    return document


def judged(alert: str, case: dict[str, Any], expected: list[dict[str, str]]) -> dict[str, Any]:
    """Return one case as promtool reads it: which alerts, with their labels, fire then."""
    return {
        "interval": "1m",
        "input_series": [{"series": series, "values": values} for series, values in case["series"].items()],
        "promql_expr_test": [
            {
                "expr": f'ALERTS{{alertname="{alert}", alertstate="firing"}}',
                "eval_time": case["at"],
                "exp_samples": [
                    {"labels": "ALERTS{%s}" % ", ".join(f'{k}="{v}"' for k, v in labels.items()), "value": 1}  # noqa: UP031 - of braces
                    for labels in expected
                ],
            }
        ],
    }


def judge(folder: Path, rule_file: Path, tests: list[dict[str, Any]]) -> str:
    """Let promtool run the tests; fail with what it says if one does not hold."""
    file = folder / "tests.yaml"
    file.write_text(
        yaml.safe_dump({"rule_files": [str(rule_file)], "evaluation_interval": "1m", "tests": tests}), encoding="utf-8"
    )
    return promtool("test", "rules", str(file))


@pytest.mark.parametrize("alert", ALERT_NAMES)
def test_it_fires_on_planted_series_and_not_on_healthy_ones(alert: str, tmp_path: Path) -> None:
    (rule,) = rules(alert)
    marks = {"alertname": alert, "alertstate": "firing", "severity": rule["labels"]["severity"]}
    tests = [judged(alert, case, [marks | case["labels"]]) for case in cases(alert)["fires"]]
    tests += [judged(alert, case, []) for case in cases(alert)["silent"]]
    judge(tmp_path, ALERTS / f"{alert}.yaml", tests)


@pytest.mark.parametrize("alert", ALERT_NAMES)
def test_it_waits_as_long_as_it_says(alert: str, tmp_path: Path) -> None:
    """The same series fire nothing at the first minute."""
    judge(
        tmp_path,
        ALERTS / f"{alert}.yaml",
        [judged(alert, case | {"at": "0m"}, []) for case in cases(alert)["fires"]],
    )


def test_a_rule_that_never_fires_is_found(tmp_path: Path) -> None:
    """Positive control."""
    planted = tmp_path / "planted.yaml"
    text = (ALERTS / "NaishoNodeBehind.yaml").read_text(encoding="utf-8")
    planted.write_text(text.replace("> 10000", "> 10000000"), encoding="utf-8")
    (rule,) = rules("NaishoNodeBehind")
    marks = {"alertname": "NaishoNodeBehind", "alertstate": "firing", "severity": rule["labels"]["severity"]}
    case = cases("NaishoNodeBehind")["fires"][0]
    with pytest.raises(AssertionError, match="FAILED"):
        judge(tmp_path, planted, [judged("NaishoNodeBehind", case, [marks | case["labels"]])])


def test_a_rule_that_always_fires_is_found(tmp_path: Path) -> None:
    """Positive control."""
    planted = tmp_path / "planted.yaml"
    text = (ALERTS / "NaishoNodeBehind.yaml").read_text(encoding="utf-8")
    planted.write_text(text.replace("> 10000", "> 100"), encoding="utf-8")
    with pytest.raises(AssertionError, match="FAILED"):
        judge(tmp_path, planted, [judged("NaishoNodeBehind", cases("NaishoNodeBehind")["silent"][0], [])])


@pytest.mark.parametrize("alert", ALERT_NAMES)
def test_every_side_of_an_expression_is_planted(alert: str) -> None:
    """So many cases that fire as there are sides of ``or``; each metric stands in some case that fires or is silent."""
    (rule,) = rules(alert)
    document = cases(alert)
    assert document["silent"]
    assert len(document["fires"]) >= 1 + len(re.findall(r"^\s*or$", rule["expr"], re.MULTILINE))
    planted = {re.split(r"[{ ]", series)[0] for case in chain(*document.values()) for series in case["series"]}
    assert read(rule["expr"]).metrics <= planted


@pytest.mark.parametrize("alert", ALERT_NAMES)
def test_its_texts_name_only_labels_that_it_has_when_it_fires(alert: str) -> None:
    (rule,) = rules(alert)
    for case in cases(alert)["fires"]:
        for text in rule["annotations"].values():
            # Between `with` and `end` a label may be missing.
            always = re.sub(r"\{\{ with .*?\{\{ end \}\}", "", text)
            assert set(re.findall(r"\$labels\.(\w+)", always)) <= case["labels"].keys()
