"""Memory, disk, start and overload: what a network takes, and what it does when too much is asked of it."""

from __future__ import annotations

import time
from pathlib import Path

from rich.progress import Progress

from tests.bench import requests
from tests.bench.cpu import proportional_mb, resident_mb
from tests.bench.generator import measure as load
from tests.networks import RunningNetwork

STORED = 100_000
SIZE = 1024
SETTINGS = {"onion": {"rate.per_second": "1000000", "rate.burst": "1000000"}}


def measure(folder: Path, progress: Progress) -> dict[str, str]:
    """Return what was found, in words and figures."""
    found: dict[str, str] = {}
    task = progress.add_task("start and memory of the default network", total=3)
    found |= _default_network(folder)
    progress.update(task, advance=1, description=f"{STORED:,} stored messages")
    with RunningNetwork(folder / "filled", "--nodes", "3", settings=SETTINGS) as network:
        found |= _fill(network, folder)
        progress.update(task, advance=1, description="overload")
        found |= _overload(network, folder)
    progress.update(task, advance=1)
    return found


def _default_network(folder: Path) -> dict[str, str]:
    began = time.perf_counter()
    with RunningNetwork(folder / "default") as network:
        ready = time.perf_counter() - began
        pids = list(network.pids.values())
        return {
            "`make up` to the screen, 15 nodes, after the install": f"{ready:.1f} s (bound 10)",
            "memory of the default network, all processes, NATS included": f"{resident_mb(pids):.0f} MB resident, "
            f"{proportional_mb(pids):.0f} MB proportional (bound 700)",
        }


def _fill(network: RunningNetwork, folder: Path) -> dict[str, str]:
    port = int(network.status["nodes"][0]["address"].rpartition(":")[2])
    pids = network.pids
    hosts = {name: pid for name, pid in pids.items() if name.startswith("nodes-")}
    members = {name: sum(name in node["processes"] for node in network.status["nodes"]) for name in hosts}
    # What a process takes once, whatever is stored, is there after some work.
    load(folder, requests.stores(2000), port=port, connections=64, pids=list(pids.values()))
    before = {name: resident_mb([pid]) for name, pid in pids.items()}
    for _ in range(STORED // 10_000):
        load(folder, requests.stores(10_000, SIZE), port=port, connections=64, pids=list(pids.values()))
    after = {name: resident_mb([pid]) for name, pid in pids.items()}
    payload = (STORED + 2000) * SIZE
    log = _bytes(network.home / "nats" / "store")
    copies = [_bytes(folder_) for folder_ in sorted((network.home / "nodes").glob("node-*/store"))]
    grown = "; ".join(f"{name} ({members[name]} nodes) {after[name] - before[name]:+.0f} MB" for name in sorted(hosts))
    nats = after["nats"] - before["nats"]
    return {
        f"memory for {STORED:,} more messages of 1 KB, by process": f"{grown} (bound 40 for each)",
        f"NATS' memory for {STORED:,} more messages": f"{nats:+.0f} MB, so {nats * 1e6 / STORED:.0f} MB a million",
        "disk for each byte of payload": f"{max(copies) / payload:.2f} in a node's store (bound 1.5), "
        f"{log / payload:.2f} in the log",
    }


def _overload(network: RunningNetwork, folder: Path) -> dict[str, str]:
    port = int(network.status["nodes"][0]["address"].rpartition(":")[2])
    pids = list(network.pids.values())
    peak = max(load(folder, requests.stores(5000), port=port, connections=64, pids=pids).rate for _ in range(3))
    flooded = load(folder, requests.stores(15_000), port=port, connections=256, pids=pids, strict=False)
    good = flooded.rate * flooded.statuses.get("200", 0) / sum(flooded.statuses.values())
    shed = flooded.statuses.get("503", 0)
    return {
        "throughput at 4 × the saturating load": f"{good / peak:.0%} of the peak of {peak:,.0f}/s (bound 80 %), "
        f"{shed} answered with 503",
    }


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())
