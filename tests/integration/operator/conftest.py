"""An install on an emulated API server; nothing of it runs until a test starts it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from operators.membership.kube.cluster import Cluster
from tests.integration.operator.install import NAMESPACE, Install


@pytest.fixture
async def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Install]:
    made = Install(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(made.kubeconfig))
    async with made:
        yield made


@pytest.fixture
async def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Install]:
    """Return an API server alone, and what is at hand to talk to it."""
    made = Install(tmp_path, alone=True)
    monkeypatch.setenv("KUBECONFIG", str(made.kubeconfig))
    async with made:
        yield made


@pytest.fixture
async def cluster(alone: Install) -> AsyncIterator[Cluster]:
    """Return the operator's way to an API server that is alone."""
    made = await Cluster.connect(NAMESPACE, url=alone.server.url)
    yield made
    await made.close()
