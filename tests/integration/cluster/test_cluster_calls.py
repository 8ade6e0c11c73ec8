"""The commands as programs: what they load, what kubectl sees of them, what they leave behind."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click
import kmock
import pytest
import yaml

import naisho.cli.main
from naisho.cli.context import CliContext
from naisho.texts import Texts
from operators.cluster import acts, plugin
from operators.cluster import texts as catalogs
from operators.cluster.command import cluster
from operators.cluster.kube import Target, connect
from operators.cluster.names import NODE_POOL, SERVICE_NODE
from tests.integration.cluster.calling import PLUGIN, Naisho, kubeconfig, put
from tests.networks import RunningNetwork
from tests.unit.cluster import network_objects as made

HEAVY = ("kr8s", "httpx", "rich", "yaml", "grpc", "cryptography", "asyncio")
CALL = """
import sys
import naisho.cli.main
from importlib.metadata import EntryPoint
naisho.cli.main.find_plugins = lambda: [EntryPoint("cluster", "operators.cluster.command:cluster", "naisho.commands")]
code = naisho.cli.main.run(sys.argv[1:], {"LANG": "en"})
"""


@pytest.mark.parametrize("arguments", [["--help"], ["cluster", "--help"], ["cluster", "drain", "--help"]])
def test_help_does_not_wait_for_the_kubernetes_library(arguments: list[str]) -> None:
    script = f"{CALL}\nprint(*sys.modules, sep='\\n', file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True)
    assert "cluster" in done.stdout
    assert set(done.stderr.splitlines()).isdisjoint(HEAVY)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_every_command_has_help_and_the_options_that_kubectl_users_expect(language: str) -> None:
    group = cluster(Texts.load(language))
    assert sorted(group.commands) == ["destroy", "drain", "report", "status", "test"]
    for name in ("status", "drain", "report", "destroy"):
        options = {option for parameter in group.commands[name].params for option in parameter.opts}
        assert {"-n", "--namespace", "--context", "--kubeconfig"} <= options
        assert all(p.help for p in group.commands[name].params if isinstance(p, click.Option))
    assert "--pool" in {option for parameter in group.commands["status"].params for option in parameter.opts}


def test_kubectl_runs_the_same_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(naisho.cli.main, "find_plugins", lambda: [PLUGIN])
    monkeypatch.setattr(sys, "argv", ["kubectl-naisho", "status", "--json", "--kubeconfig", str(tmp_path / "none")])
    with pytest.raises(SystemExit) as ended:
        plugin.main()
    assert ended.value.code == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "bad_kubeconfig"


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["dr"], ["drain", ":4"]),
        ([""], ["destroy", "drain", "report", "status", "test", ":4"]),
        (["drain", "--no-"], ["--no-replacement", "--no-wait", ":4"]),
        (["status", "--po"], ["--pool", ":4"]),
    ],
)
def test_kubectl_completes_commands_and_options(
    typed: list[str], expected: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin, "find_plugins", lambda: [PLUGIN])
    assert plugin.completions(typed, {}) == expected


def files_in(folder: Path) -> list[str]:
    return [str(path) for path in folder.rglob("*") if path.is_file()]


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    yield folder
    assert tempfile.gettempdir() == str(folder)


async def test_the_users_key_does_not_stay_on_the_disk(
    server: kmock.KubernetesEmulator, tmp_path: Path, temporary: Path
) -> None:
    file = kubeconfig(tmp_path, str(server.url))
    config = yaml.safe_load(file.read_text())
    key = base64.b64encode(b"-----BEGIN PRIVATE KEY-----").decode()
    config["users"][0]["user"] = {"client-key-data": key}
    await asyncio.to_thread(file.write_text, yaml.safe_dump(config))
    async with connect(Target(context="here", kubeconfig=str(file))):
        assert len(files_in(temporary)) == 1  # the library writes it
    assert files_in(temporary) == []


async def test_watching_prints_each_change_once_until_interrupted(
    server: kmock.KubernetesEmulator,
    naisho: Naisho,  # noqa: ARG001 - its configuration is used
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(acts, "REFRESH_EVERY_S", 0.01)
    looks = 0
    changed = asyncio.Event()

    def look(_request: kmock.Request) -> dict[str, object]:
        nonlocal looks
        looks += 1
        if looks == 3:
            put(server, SERVICE_NODE, made.node(2, "Unreachable"))
        if looks > 5:
            changed.set()
        return {"metadata": {}, "items": [made.pool()]}

    server["get", kmock.resource(f"{NODE_POOL.version}/{NODE_POOL.plural}")] << look
    target = {"namespace": None, "context": "here", "kubeconfig": str(tmp_path / "kubeconfig.yaml")}
    context = CliContext(Texts.load("en"), {}, json=True)
    watching = asyncio.create_task(acts.watch_status(context, catalogs.load("en"), target, None))
    async with asyncio.timeout(20):
        await changed.wait()
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    states = [document["pools"][0]["nodes"][2]["state"] for document in documents]
    assert states == ["Active", "Unreachable"]


@pytest.mark.slow
def test_a_message_goes_through_a_network_that_runs(tmp_path: Path) -> None:
    with RunningNetwork(tmp_path / "network", "--nodes", "5", "--processes", "1") as network:
        arguments = ["cluster", "test", "--network", str(network.network_file), "--json"]
        script = f"{CALL}\nsys.exit(code)"
        done = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "NAISHO_DEBUG": "1"},
        )
    assert done.returncode == 0, done.stdout + done.stderr
    steps = json.loads(done.stdout)["steps"]
    assert [step["step"] for step in steps] == ["path", "path", "send", "read", "unsend", "forget"]
    assert steps[2]["receipts"] == "5 of 5"
