"""Runs the load generator in a process of its own, and meters only what it loads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.cpu import CpuMeter

RUN_WITHIN_S = 120


@dataclass(frozen=True)
class Measured:
    """One run: CPU of the loaded processes for each request, and what the clients saw."""

    cpu_us: float
    p50_ms: float
    p99_ms: float
    rate: float
    statuses: dict[str, int]

    @property
    def all_ok(self) -> bool:
        """Whether every answer was a 200."""
        return set(self.statuses) == {"200"}


def measure(
    folder: Path,
    requests: Sequence[bytes],
    *,
    port: int,
    connections: int,
    pids: Sequence[int],
    wanted: str = "",
    strict: bool = True,
    stubborn: bool = False,
) -> Measured:
    """Send every request over some connections and return what it cost; if stubborn, again until it is not refused.

    Raises:
        RuntimeError: the generator failed, or (if strict) an answer was not a 200 or lacked ``wanted``.
    """
    blob, job_file, result_file = folder / "requests.bin", folder / "job.json", folder / "result.json"
    blob.write_bytes(b"".join(len(request).to_bytes(4, "big") + request for request in requests))
    job = {
        "requests": str(blob),
        "result": str(result_file),
        "host": "127.0.0.1",
        "port": port,
        "connections": connections,
        "wanted": wanted,
        "stubborn": stubborn,
    }
    job_file.write_text(json.dumps(job), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.load", str(job_file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    if process.stdout.readline() != "ready\n":
        process.wait(RUN_WITHIN_S)
        raise RuntimeError("the load generator could not connect")
    meter = CpuMeter(pids)
    process.stdin.write("go\n")
    process.stdin.flush()
    code = process.wait(RUN_WITHIN_S)
    used = meter.stop()
    if code != 0:
        raise RuntimeError("the load generator failed")
    result: dict[str, Any] = json.loads(result_file.read_text(encoding="utf-8"))
    latencies = result["latencies"]
    measured = Measured(
        cpu_us=used.cpu_s / len(requests) * 1e6,
        p50_ms=latencies[len(latencies) // 2] * 1e3,
        p99_ms=latencies[len(latencies) * 99 // 100] * 1e3,
        rate=len(requests) / used.wall_s,
        statuses=result["statuses"],
    )
    if strict and (not measured.all_ok or result["unexpected"]):
        raise RuntimeError(f"answers were not as wanted: {result['statuses']}, {result['sample']}")
    return measured
