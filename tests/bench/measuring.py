"""Measures one ceiling at a time, each in processes of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from operators.local.nats_server import NatsServer
from tests.bench.generator import measure
from tests.bench.load import http_request

#: What the echo's answer weighs: a store's answer of three members, and ten messages of 1 KB.
ECHO_BYTES = {"tls_echo": 900, "tls_echo_one": 900, "tls_echo_large": 16_000}
#: What its request weighs.
STORE_BYTES, RETRIEVE_BYTES = 1_560, 300


class Ceilings:
    """Measures by name.

    Args:
        nats: a server of its own, set up as the network's: nobody else's work is in its figures.
        folder: for files.
    """

    def __init__(self, nats: NatsServer, folder: Path) -> None:
        self._nats = nats
        self._folder = folder
        self._run("fill")

    def measure(self, name: str) -> dict[str, float]:
        """Return CPU microseconds per operation, and a median or a rate where there is one."""
        if name.startswith("tls_echo"):
            return self._echo(name)
        if name == "append_one":
            return self._run("append", "in_flight=1", "count=400")
        return self._run(name)

    def _run(self, name: str, *options: str) -> dict[str, float]:
        arguments = [sys.executable, "-m", "tests.bench.ceilings", name]
        arguments += [str(self._nats.config.port), str(self._nats.pid), *options]
        found: dict[str, float] = json.loads(subprocess.run(arguments, check=True, capture_output=True).stdout)
        return found

    def _echo(self, name: str) -> dict[str, float]:
        request = b"x" * (RETRIEVE_BYTES if name == "tls_echo_large" else STORE_BYTES)
        connections, count = (1, 1000) if name == "tls_echo_one" else (64, 5000)
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
