"""An install on an emulated API server; nothing of it runs until a test starts it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.integration.operator.install import Install


@pytest.fixture
async def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Install]:
    made = Install(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(made.kubeconfig))
    async with made:
        yield made
