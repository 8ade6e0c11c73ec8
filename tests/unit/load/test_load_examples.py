"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = ("mix", "plan", "report", "resources", "running", "sizes", "wishes")


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_true(name: str) -> None:
    found = doctest.testmod(importlib.import_module(f"operators.load.{name}"))
    assert found.attempted > 0
    assert found.failed == 0
