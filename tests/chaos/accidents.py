"""A small network, and what happens to networks: killed processes, wiped disks, a log put back from an older copy."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.networks import RunningNetwork, wait_until_gone

#: What every network of this folder has: each role its own process, and nobody told to ask less often.
OPTIONS = ("--nodes", "3", "--separate-roles")
UNHURRIED = {"rate.burst": "1000000", "rate.per_second": "1000000"}
SERVES_WITHIN_S = 10.0


@dataclass(frozen=True)
class Place:
    """Where a node answers, and where it lives on the disk."""

    name: str
    key: bytes
    url: str
    folder: Path

    @property
    def swarm(self) -> str:
        """The name of the process that holds its mailboxes."""
        return f"swarm-{self.name[-2:]}"

    @property
    def store(self) -> Path:
        """The node's own disk."""
        return self.folder / "store"

    @property
    def log(self) -> str:
        """What its mailboxes' process has logged."""
        return (self.folder / "swarm.log").read_text()


class StruckNetwork(RunningNetwork):
    """A running network that accidents happen to."""

    def __init__(self, home: Path, *options: str, settings: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        super().__init__(home, *options, settings=settings)
        self._one_at_a_time = threading.Lock()

    def start(self) -> None:
        """Start, and wait until every node serves: one that is active may take up the newest directory still."""
        super().start()
        # Anybody may read this namespace; a node of another swarm refuses, and serves.
        body = {"method": "retrieve", "params": {"pubkey": "05" + secrets.token_hex(32), "namespace": -10}}
        give_up = time.monotonic() + SERVES_WITHIN_S
        with httpx.Client(verify=False, trust_env=False) as http:
            for place in self.places():
                while (
                    http.post(f"{place.url}/storage_rpc/v1", json=body).status_code == httpx.codes.SERVICE_UNAVAILABLE
                ):
                    assert time.monotonic() < give_up, f"{place.name} is active and does not serve"
                    time.sleep(0.02)

    @property
    def log_folder(self) -> Path:
        """All streams of the event log."""
        return self.home / "nats" / "store"

    def places(self) -> list[Place]:
        """Return all nodes, by name."""
        return [
            Place(
                node["name"],
                bytes.fromhex(node["key"]),
                f"https://{node['address']}",
                self.home / "nodes" / node["name"],
            )
            for node in self.status["nodes"]
        ]

    def strike(self, name: str) -> None:
        """Kill -9 one process, and wait until it is gone."""
        end(self.pids[name])

    @contextlib.contextmanager
    def unattended(self) -> Iterator[None]:
        """Have nobody start again what ends meanwhile."""
        with self._one_at_a_time, self.paused("network"):
            yield

    @contextlib.contextmanager
    def paused(self, name: str) -> Iterator[None]:
        """Hold a process still meanwhile."""
        pid = self.pids[name]
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            with contextlib.suppress(ProcessLookupError):  # somebody else has killed it
                os.kill(pid, signal.SIGCONT)

    def wipe(self, place: Place) -> None:
        """Kill a node's mailboxes and empty their disk before they start again."""
        with self.unattended():
            self.strike(place.swarm)
            shutil.rmtree(place.store)

    def copy_log(self, target: Path) -> None:
        """Copy the log while it is held still: as a disk would be found after a power cut."""
        with self.paused("nats"):
            shutil.copytree(self.log_folder, target)

    def put_log_back(self, source: Path) -> None:
        """Kill the log's server, and put a copy in place of what it wrote; it is started again."""
        with self.unattended():
            self.strike("nats")
            shutil.rmtree(self.log_folder)
            shutil.copytree(source, self.log_folder)


def end(pid: int) -> None:
    """Kill -9 a process, and wait until it is gone."""
    with contextlib.suppress(ProcessLookupError):  # it is gone already, and starts again
        os.kill(pid, signal.SIGKILL)
    wait_until_gone(pid)
