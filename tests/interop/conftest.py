"""Clients written by others, pointed at a network of ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.networks import RunningNetwork


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    """A default network of fifteen nodes."""
    home: Path = tmp_path_factory.mktemp("interop") / "network"
    with RunningNetwork(home) as running:
        yield running
