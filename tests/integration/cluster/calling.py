"""The command line against an API server in this process."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import kmock
import pytest
import yaml

import naisho.cli.main
from naisho.cli.context import CliContext
from operators.cluster.names import (
    BUDGET,
    CONFIG_MAP,
    DEPLOYMENT,
    EVENT,
    LEASE,
    NETWORK_POLICY,
    NODE_POOL,
    POD,
    ROLE,
    ROLE_BINDING,
    SECRET,
    SERVICE,
    SERVICE_ACCOUNT,
    SERVICE_NODE,
    STATEFUL_SET,
    VOLUME_CLAIM,
    Kind,
    Object,
    name_of,
)
from tests.unit.cluster import network_objects as made

KINDS = (
    *(NODE_POOL, SERVICE_NODE, POD, STATEFUL_SET, DEPLOYMENT, SERVICE, CONFIG_MAP, VOLUME_CLAIM, LEASE, BUDGET),
    *(NETWORK_POLICY, SERVICE_ACCOUNT, ROLE, ROLE_BINDING, SECRET, EVENT),
)
PLUGIN = EntryPoint("cluster", "operators.cluster.command:cluster", "naisho.commands")


class Said(NamedTuple):
    """What one call printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        (line,) = self.out.splitlines()
        parsed: dict[str, Any] = json.loads(line)
        return parsed

    @property
    def error(self) -> dict[str, str]:
        parsed: dict[str, str] = self.document["error"]
        return parsed


Naisho: TypeAlias = Callable[..., Awaitable[Said]]


def where(kind: Kind) -> str:
    """Return a kind's name as the emulator takes it."""
    return f"{kind.version}/{kind.plural}"


def put(server: kmock.KubernetesEmulator, kind: Kind, *things: Object, namespace: str = made.NAMESPACE) -> None:
    for thing in things:
        server.objects[where(kind), namespace, name_of(thing)] = thing


def names(server: kmock.KubernetesEmulator, kind: Kind) -> set[str]:
    """Return the names of objects that are there."""
    return {
        name
        for (found, _, name), thing in server.objects.items()
        if found == kmock.resource(where(kind)) and not thing.deleted
    }


def kubeconfig(folder: Path, server: str, namespace: str = made.NAMESPACE) -> Path:
    """Write a configuration with two contexts, of which the other one is current."""
    contexts = [
        {"name": "elsewhere", "context": {"cluster": "none", "user": "u", "namespace": "wrong"}},
        {"name": "here", "context": {"cluster": "emulated", "user": "u", "namespace": namespace}},
    ]
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "elsewhere",
        "contexts": contexts,
        "clusters": [
            {"name": "emulated", "cluster": {"server": server}},
            {"name": "none", "cluster": {"server": "http://127.0.0.1:1"}},
        ],
        "users": [{"name": "u", "user": {}}],
    }
    file = folder / "kubeconfig.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


def caller(config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Naisho:
    """Return ``async naisho(*arguments) -> Said``: the whole command line, its work done in this test's loop."""
    loop = asyncio.get_running_loop()

    def run_here(_context: CliContext, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    monkeypatch.setattr(CliContext, "run", run_here)
    monkeypatch.setattr(naisho.cli.main, "find_plugins", lambda: [PLUGIN])

    async def call(command: str, *arguments: str, target: bool = True) -> Said:
        chosen = ("--kubeconfig", str(config), "--context", "here") if target else ()
        whole = ["cluster", command, *chosen, *arguments]
        code = await asyncio.to_thread(naisho.cli.main.run, whole, {"LANG": "en_GB.UTF-8"})
        return Said(code, *capsys.readouterr())

    return call
