"""A network of six nodes on an emulated API server, and the command line beside it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import kmock
import pytest

from operators.cluster.names import LEASE, NODE_POOL, POD, SERVICE_NODE
from tests.integration.cluster.calling import KINDS, Naisho, caller, kubeconfig, put, where
from tests.unit.cluster import network_objects as made


@pytest.fixture
async def server() -> AsyncIterator[kmock.KubernetesEmulator]:
    async with kmock.KubernetesEmulator() as emulator, kmock.Server(emulator):
        for kind in KINDS:
            emulator.resources[where(kind)] = kmock.ResourceInfo(kind=kind.name, namespaced=True)
        emulator["get /version/"] << {"gitVersion": "v1.33.1"}
        put(emulator, NODE_POOL, made.pool())
        put(emulator, SERVICE_NODE, *(made.node(ordinal) for ordinal in range(6)))
        put(emulator, POD, *made.servers())
        put(emulator, LEASE, made.lease())
        yield emulator


@pytest.fixture
async def naisho(
    server: kmock.KubernetesEmulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Naisho:
    return caller(kubeconfig(tmp_path, str(server.url)), monkeypatch, capsys)
