"""Measure everything: ``make bench`` (``--pairs N``, ``--rows store,onion``, ``--json``).

Subject and ceilings take turns, at least five times; the machine's speed drifts, ratios of neighbours do not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress
from tests.bench import report
from tests.bench.generator import measure
from tests.bench.load import http_request
from tests.bench.rows import ROWS, Costs, Row
from tests.bench.subject import Subject
from tests.networks import RunningNetwork

#: What the echo's answer weighs: a store's answer of three members, and ten messages of 1 KB.
ECHO_BYTES = {"tls_echo": 900, "tls_echo_one": 900, "tls_echo_large": 16_000}
#: What its request weighs.
STORE_BYTES, RETRIEVE_BYTES = 1_560, 300
#: Every node is asked by one address here; the per-address limit would measure itself.
SETTINGS = {"onion": {"requests_per_s": "100000", "request_burst": "100000"}}


class Ceilings:
    """Measures one ceiling at a time, each in processes of its own."""

    def __init__(self, network: RunningNetwork, folder: Path) -> None:
        self._network = network
        self._folder = folder

    def measure(self, name: str) -> dict[str, float]:
        """Return CPU microseconds per operation, and a median or a rate where there is one."""
        if name.startswith("tls_echo"):
            return self._echo(name)
        arguments = [sys.executable, "-m", "tests.bench.ceilings"]
        if name in {"append", "append_one", "follow"}:
            arguments += [name.removesuffix("_one"), *self._nats()]
            arguments += ["in_flight=1", "count=500"] if name == "append_one" else []
        elif name == "follow_mail":
            raise RuntimeError("the replay measures its own ceiling")
        else:
            arguments.append(name)
        found: dict[str, float] = json.loads(subprocess.run(arguments, check=True, capture_output=True).stdout)
        return found

    def _nats(self) -> list[str]:
        # A server of its own, set up as the network's: nobody else's work is in its figures.
        raise NotImplementedError

    def _echo(self, name: str) -> dict[str, float]:
        request = b"x" * (RETRIEVE_BYTES if name == "tls_echo_large" else STORE_BYTES)
        connections, count = (1, 1000) if name == "tls_echo_one" else (64, 8000)
        with subprocess.Popen(
            [sys.executable, "-m", "tests.bench.echo", str(ECHO_BYTES[name])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as server:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            made = [http_request("/", request)] * count
            found = measure(self._folder, made, port=port, connections=connections, pids=[server.pid])
            assert server.stdin is not None
            server.stdin.close()
        return {"cpu_us": found.cpu_us, "p50_ms": found.p50_ms}
