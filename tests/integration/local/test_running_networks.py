"""Networks started by the command: what ``naisho network status`` says of them is what runs."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.networks import RunningNetwork, wait_until_gone
from tests.networks.running import NAISHO

pytestmark = pytest.mark.slow

RESTARTED_WITHIN_S, READY_WITHIN_S = 20.0, 10.0
ROLES_APART = ("--nodes", "3", "--separate-roles")
SHARED = ("--nodes", "3", "--processes", "2")


@pytest.fixture(scope="module", params=[SHARED, ROLES_APART], ids=["shared", "roles-apart"])
def network(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNetwork]:
    with RunningNetwork(tmp_path_factory.mktemp("local") / "network", *request.param) as running:
        yield running


def status(network: RunningNetwork) -> dict[str, Any]:
    command = [NAISHO, "--json", "network", "status", "--home", str(network.home)]
    found: dict[str, Any] = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return found


def screen(network: RunningNetwork) -> str:
    command = [NAISHO, "--lang", "en", "network", "status", "--home", str(network.home)]
    done = subprocess.run(command, capture_output=True, check=True, text=True, env={**os.environ, "COLUMNS": "160"})
    return done.stdout


def pages(network: RunningNetwork) -> dict[str, str]:
    return {process["name"]: process["metrics"] for process in network.status["processes"] if process["metrics"]}


def assert_ready(name: str, url: str) -> None:
    """Wait until a process is ready by its own word; with roles apart one may start later than its node is active."""
    give_up = time.monotonic() + READY_WITHIN_S
    while True:
        try:
            answer = httpx.get(url, trust_env=False)
        except httpx.ConnectError:
            answer = None
        if answer is not None and (answer.status_code, answer.text) == (200, "ready\n"):
            return
        assert time.monotonic() < give_up, (name, answer and answer.text)
        time.sleep(0.05)


def restarted(network: RunningNetwork, name: str, old: int) -> int:
    """Wait until a process that was killed runs again; its new id."""
    give_up = time.monotonic() + RESTARTED_WITHIN_S
    while (pid := network.pids[name]) == old:
        assert time.monotonic() < give_up, f"{name} is not started again"
        time.sleep(0.02)
    return pid


def test_every_process_that_hosts_a_node_runs_under_its_name(network: RunningNetwork) -> None:
    found = status(network)
    assert {process["name"]: process["pid"] for process in found["processes"]} == network.pids
    shown = screen(network)
    hosts = set()
    for node in found["nodes"]:
        assert node["processes"]
        hosts |= set(node["processes"])
        assert ", ".join(node["processes"]) in shown
        for name in node["processes"]:
            command = psutil.Process(network.pids[name]).cmdline()
            assert "operators.local.host" in command or f"services.{name.partition('-')[0]}" in command
    assert hosts | {"network", "nats"} == network.pids.keys()


def test_every_process_of_ours_tells_how_it_is_and_of_no_other(network: RunningNetwork) -> None:
    found = status(network)
    shown = screen(network)
    pages = {process["name"]: process["metrics"] for process in found["processes"]}
    assert pages.pop("nats") is None
    assert len(set(pages.values())) == len(pages)
    assert any(url in shown for url in pages.values())
    for name, url in pages.items():
        assert url.startswith("http://127.0.0.1:")
        assert_ready(name, url.replace("/metrics", "/readyz"))
        metrics = httpx.get(url, trust_env=False).text
        services = set(re.findall(r'service="([a-z]+)"', metrics))
        if name == "network":
            assert services == {"membership", "custodian"}
            assert 'naisho_membership_nodes{node="0",service="membership",state="active"} 3.0' in metrics
        elif name.startswith("nodes-"):
            assert services == {"swarm", "onion"}
            hosted = {int(node["name"][-2:]) for node in found["nodes"] if name in node["processes"]}
            assert set(map(int, re.findall(r'node="(\d+)"', metrics))) == hosted
        else:
            assert services == {name.partition("-")[0]}
        for node in found["nodes"]:
            assert node["key"] not in metrics
            assert node["address"] not in metrics


def test_who_was_killed_is_named_by_its_new_id(network: RunningNetwork) -> None:
    (*_, name) = network.pids
    old = network.pids[name]
    os.kill(old, signal.SIGKILL)
    new = restarted(network, name, old)
    assert psutil.pid_exists(new)
    assert {process["name"]: process["pid"] for process in status(network)["processes"]}[name] == new


def test_a_network_goes_on_under_its_ports_or_under_others_if_they_are_taken(tmp_path: Path) -> None:
    network = RunningNetwork(tmp_path / "network", *SHARED)
    with network:
        first = pages(network)
    with socket.create_server(("127.0.0.1", int(first["nodes-1"].split(":")[2].partition("/")[0]))), network:
        second = pages(network)
    assert {name for name in first if first[name] != second[name]} == {"nodes-1"}


def test_a_network_is_killed_whole_even_after_a_restart(tmp_path: Path) -> None:
    network = RunningNetwork(tmp_path / "network", *SHARED)
    network.start()
    old = network.pids["nodes-0"]
    os.kill(old, signal.SIGKILL)
    new = restarted(network, "nodes-0", old)
    pids = network.pids
    assert new in pids.values()
    network.kill()
    for pid in pids.values():
        wait_until_gone(pid)
