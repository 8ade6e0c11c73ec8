"""What helm says at the end: how to get the network file, and what is not as it might be expected."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.charts.rendering import CHART, NAMESPACE, RELEASE, values_file, values_of

_INSTALL_WITHIN_S = 50


@pytest.fixture(scope="session")
def notes_of(helm: Path) -> Callable[[str], str]:
    """Return a function that returns what is said about a situation, the first time by asking helm."""
    known: dict[str, str] = {}

    def said(situation: str) -> str:
        if situation not in known:
            known[situation] = _notes(helm, situation)
        return known[situation]

    return said


def test_the_way_to_the_network_file_is_shown(notes_of: Callable[[str], str], situation: str) -> None:
    name = values_of(situation)["fullnameOverride"] or f"{RELEASE}-naisho"
    file = f"kubectl --namespace {NAMESPACE} get configmap {name}-network --output jsonpath='{{.data.network\\.json}}'"
    assert file in notes_of(situation)


def test_it_is_said_what_erases(notes_of: Callable[[str], str], situation: str) -> None:
    assert f"naisho cluster destroy --namespace {NAMESPACE} {RELEASE}\n" in notes_of(situation)


def test_warnings_are_for_those_whom_they_concern(notes_of: Callable[[str], str], situation: str) -> None:
    values, notes = values_of(situation), notes_of(situation)
    assert ("Network policies are off" in notes) is not values["networkPolicy"]["enabled"]
    assert ("inside of the cluster only" in notes) == (values["pool"]["exposure"]["type"] == "ClusterIP")
    assert ("fewer than 12 nodes" in notes) == (situation == "small-lab")
    assert (f"helm test {RELEASE}" in notes) == values["tests"]["enabled"]


def test_the_chart_has_no_faults_that_helm_knows(helm: Path) -> None:
    command = [str(helm), "lint", "--strict", "--quiet", str(CHART)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_INSTALL_WITHIN_S)
    assert done.returncode == 0, done.stdout


def _notes(helm: Path, situation: str) -> str:
    done = subprocess.run(
        [helm, "install", RELEASE, CHART, "-n", NAMESPACE, "--dry-run=client", "--values", values_file(situation)],
        capture_output=True,
        text=True,
        check=True,
        timeout=_INSTALL_WITHIN_S,
        env={**os.environ, "KUBECONFIG": os.devnull},
    )
    return done.stdout.partition("\nNOTES:\n")[2]
