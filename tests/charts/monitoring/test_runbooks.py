"""One runbook for each alert, of the same name, with the same sections, and nothing in it that is not there."""

from __future__ import annotations

import re
import subprocess

import pytest

from tests.charts.monitoring.files import ALERT_NAMES, DASHBOARD_NAMES, ROOT, RUNBOOKS, dashboard, rules
from tests.charts.monitoring.known_metrics import ours

SECTIONS = ["Meaning", "Impact", "Diagnosis", "What to do", "When to escalate"]
_CONTENTS = RUNBOOKS / "README.md"


def text_of(alert: str) -> str:
    """Return a runbook's text."""
    return (RUNBOOKS / f"{alert}.md").read_text(encoding="utf-8")


def test_there_is_one_runbook_for_each_alert_and_no_other() -> None:
    assert {path.stem for path in RUNBOOKS.iterdir()} - {"README"} == set(ALERT_NAMES)


def test_the_contents_list_every_alert_as_its_rule_has_it() -> None:
    rows = re.findall(r"^\| \[(\w+)\]\((\w+)\.md\) \| (\w+) \| (\w+) \|$", _CONTENTS.read_text("utf-8"), re.MULTILINE)
    wanted = [(name, name, rule["labels"]["severity"], rule["for"]) for name in ALERT_NAMES for rule in rules(name)]
    assert rows == wanted


@pytest.mark.parametrize("alert", ALERT_NAMES)
def test_a_runbook_has_every_section_and_says_something_in_each(alert: str) -> None:
    title, *parts = re.split(r"^## ", text_of(alert), flags=re.MULTILINE)
    assert title.startswith(f"# {alert}\n")
    assert [part.partition("\n")[0] for part in parts] == SECTIONS
    assert all(len(part.partition("\n")[2].strip()) > 8 for part in parts)


@pytest.mark.parametrize("alert", ALERT_NAMES)
def test_a_runbook_says_severity_and_time_as_the_rule_has_them(alert: str) -> None:
    (rule,) = rules(alert)
    assert f"Severity: {rule['labels']['severity']}, after {rule['for']}. " in text_of(alert)


@pytest.mark.parametrize("alert", ALERT_NAMES)
def test_the_diagnosis_is_commands_that_a_shell_can_read(alert: str) -> None:
    (commands,) = re.findall(r"```sh\n(.*?)```", text_of(alert), re.DOTALL)
    assert len(commands.splitlines()) >= 3
    # Read, not run.
    read = subprocess.run(["bash", "-n"], input=commands, capture_output=True, text=True, timeout=10, check=False)
    assert not read.stderr
    assert not read.returncode


@pytest.mark.parametrize("alert", ALERT_NAMES)
def test_its_links_and_the_metrics_and_alerts_it_names_exist(alert: str) -> None:
    text = text_of(alert)
    links = re.findall(r"\]\(([^)]+)\)", text)
    assert all((RUNBOOKS / link).resolve().is_file() for link in links)
    assert f"../../charts/naisho/alerts/{alert}.yaml" in links
    assert set(re.findall(r"\bNaisho[A-Z]\w+", text)) <= set(ALERT_NAMES)
    assert set(re.findall(r"\bnaisho_(?:onion|swarm|custodian|membership|operator)_\w+", text)) <= {
        name
        for shown in ours()
        for name in [shown, *(shown[:end] for end in range(len("naisho_swarm_x"), len(shown)) if shown[end] == "_")]
    }
    for path in re.findall(r"\b(?:operators|services|docs|charts)/[\w./-]+\w", text):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("alert", ALERT_NAMES)
def test_the_dashboards_it_names_exist(alert: str) -> None:
    titles = {dashboard(name)["title"].removeprefix("naisho / ") for name in DASHBOARD_NAMES}
    for sentence in re.findall(r"dashboards? ([^.]*)", text_of(alert)):
        assert set(re.findall(r'"([^"]+)"', sentence)) <= titles
