"""Networks started by the command: what ``naisho network status`` says of them is what runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.networks import RunningNetwork, wait_until_gone
from tests.networks.running import NAISHO

pytestmark = pytest.mark.slow

RESTARTED_WITHIN_S = 20.0
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


def test_who_was_killed_is_named_by_its_new_id(network: RunningNetwork) -> None:
    (*_, name) = network.pids
    old = network.pids[name]
    os.kill(old, signal.SIGKILL)
    new = restarted(network, name, old)
    assert psutil.pid_exists(new)
    assert {process["name"]: process["pid"] for process in status(network)["processes"]}[name] == new


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
