"""Test vectors of the wire protocol, and the marker that runs a test once for each entry of a group."""

from __future__ import annotations

import importlib
import json
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

VECTORS = Path(__file__).parents[2] / "vectors" / "session-vectors.json"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "vectors(group, *path): run once for each entry, as argument `vector`")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for mark in metafunc.definition.iter_markers("vectors"):
        entries: Any = json.loads(VECTORS.read_text())
        for key in mark.args:
            entries = entries[key]
        assert entries, mark.args
        if isinstance(entries, dict):
            metafunc.parametrize("vector", list(entries.items()), ids=list(entries))
        else:
            names = [
                entry.get("name", str(i)) if isinstance(entry, dict) else str(i) for i, entry in enumerate(entries)
            ]
            metafunc.parametrize("vector", entries, ids=names)


@pytest.fixture(scope="session")
def vectors() -> dict[str, Any]:
    """The whole file by group."""
    read: dict[str, Any] = json.loads(VECTORS.read_text())
    return read


@pytest.fixture(scope="session")
def other() -> ModuleType:
    """Another implementation of the same protocol."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own warnings about its own dependencies
        return importlib.import_module("session_python.crypto")
