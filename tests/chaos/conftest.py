"""Tells the figures of this folder's tests at the end of a run, however quiet it is."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what passed tests of this folder have printed."""
    folder = Path(__file__).parent.relative_to(terminalreporter.config.rootpath).as_posix()
    figures = [
        (report.nodeid, report.capstdout.strip())
        for report in terminalreporter.getreports("passed")
        if report.nodeid.startswith(folder) and report.when == "call" and report.capstdout.strip()
    ]
    if figures:
        terminalreporter.section("nothing lost, nothing kept")
    for name, told in figures:
        terminalreporter.write_line(name.partition("::")[2])
        for line in filter(None, told.splitlines()):
            terminalreporter.write_line(f"  {line}")
