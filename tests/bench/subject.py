"""What is measured: a network of three nodes in one swarm, its requests, and its replay."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from naisho.protocol.account import AccountKeys
from tests.bench import requests
from tests.bench.generator import Measured, measure
from tests.networks import RunningNetwork

#: Enough to fill a window of a second or more, few enough that five pairs of each row fit into minutes.
COUNTS = {"store": 4000, "retrieve": 4000, "batch": 200, "onion": 3000, "onion_latency": 400}
CONNECTIONS = {"store": 64, "retrieve": 16, "batch": 16, "onion": 64, "onion_latency": 1}
ACCOUNTS = 100


@dataclass
class Subject:
    """A running network and a folder for the generator's files."""

    network: RunningNetwork
    folder: Path

    @property
    def pids(self) -> list[int]:
        """Every process of the network."""
        return list(self.network.pids.values())

    def prepare(self) -> None:
        """Fill the mailboxes that retrieves read."""
        self._accounts = [AccountKeys.generate() for _ in range(ACCOUNTS)]
        measure(
            self.folder,
            requests.mailbox_fills(self._accounts),
            port=self._port(0),
            connections=16,
            pids=self.pids,
            wanted='"hash"',
        )

    def run(self, key: str) -> Measured:
        """Run one row once."""
        count = COUNTS[key]
        wanted = '"swarm"'
        if key == "store":
            made = requests.stores(count)
        elif key == "batch":
            made = requests.batches(count)
            wanted = '"results"'
        elif key == "retrieve":
            made = requests.retrieves(count, self._accounts)
            wanted = '"messages"'
        else:
            path = [bytes.fromhex(node["key"]) for node in self.network.status["nodes"][:3]]
            made = requests.onion_stores(count, path)
            wanted = ""
        return measure(
            self.folder,
            made,
            port=self._port(0),
            connections=CONNECTIONS[key],
            pids=self.pids,
            wanted=wanted,
        )

    def _port(self, node: int) -> int:
        return int(self.network.status["nodes"][node]["address"].rpartition(":")[2])


def wait_until(holds: object, within_s: float = 60.0, pause_s: float = 0.05) -> float:
    """Poll until something holds; the seconds that it took.

    Raises:
        TimeoutError: it did not.
    """
    assert callable(holds)
    began = time.perf_counter()
    while not holds():
        if time.perf_counter() - began > within_s:
            raise TimeoutError
        time.sleep(pause_s)
    return time.perf_counter() - began
