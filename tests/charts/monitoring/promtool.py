"""Prometheus' own tool. Tests that need it are skipped where it is not installed: it is no package of Python's."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest


def promtool(*arguments: str) -> str:
    """Run promtool and return what it says; fail the test with that if it fails, skip the test if there is none."""
    path = os.environ.get("NAISHO_PROMTOOL") or shutil.which("promtool")
    if path is None:
        pytest.skip("promtool is not there: install it (Debian's package prometheus has it) or set NAISHO_PROMTOOL")
    done = subprocess.run([path, *arguments], capture_output=True, text=True, timeout=50, check=False)
    assert not done.returncode, f"promtool {' '.join(arguments)}\n{done.stdout}{done.stderr}"
    return done.stdout
