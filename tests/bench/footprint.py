"""Memory, disk, start and overload: what a network takes, and what it does when too much is asked of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from rich.progress import Progress

from tests.bench import requests
from tests.bench.cpu import proportional_mb, resident_mb
from tests.bench.generator import Measured
from tests.bench.generator import measure as load
from tests.networks import RunningNetwork

STORED = 100_000
SIZE = 1024
#: Clients that each send the next request when the last one is answered; the network's load.
CLIENTS = (30, 60, 120, 240)
#: Nearly as many as a node takes connections of; no less than four times any of the others.
CROWD = 960
#: The load that saturates is the least at which the rate is this much of the highest.
SATURATED = 0.9
ROUNDS = 3
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
    """Find the load that saturates, then compare four times as much with the best, in turns.

    Clients that are refused ask again at once: they press as hard as they can, and nothing is left undone.
    """
    port = int(network.status["nodes"][0]["address"].rpartition(":")[2])
    pids = list(network.pids.values())

    def ask(clients: int) -> Measured:
        requests_ = requests.stores(5000)
        return load(folder, requests_, port=port, connections=clients, pids=pids, strict=False, stubborn=True)

    searched = _in_turns(CLIENTS, ask)
    rates = {clients: median(run.rate for run in runs) for clients, runs in searched.items()}
    best = max(rates, key=rates.__getitem__)
    saturating = min(clients for clients, rate in rates.items() if rate >= SATURATED * rates[best])
    compared = _in_turns((best, 4 * saturating, CROWD), ask)
    peak = median(run.rate for run in compared[best])
    return {
        "the load that saturates": f"{saturating} clients; "
        + ", ".join(f"{rate:,.0f}/s with {clients}" for clients, rate in rates.items()),
        "throughput at 4 × the saturating load": f"{_told(compared[4 * saturating], peak)} (bound 80 %)",
        f"throughput with {CROWD} clients": _told(compared[CROWD], peak),
    }


def _told(runs: list[Measured], peak: float) -> str:
    run = sorted(runs, key=lambda run: run.rate)[len(runs) // 2]
    refused = run.statuses.get("503", 0) / sum(run.statuses.values())
    return (
        f"{run.rate / peak:.0%} of the peak of {peak:,.0f}/s; {run.p50_ms:.0f} ms in the median, "
        f"{run.p99_ms:.0f} ms at p99, {refused:.0%} of the answers were 503"
    )


def _in_turns(loads: tuple[int, ...], ask: Callable[[int], Measured]) -> dict[int, list[Measured]]:
    """Measure each load several times, in turns: what else the machine does meets all of them."""
    runs: dict[int, list[Measured]] = {clients: [] for clients in loads}
    for _ in range(ROUNDS):
        for clients in loads:
            runs[clients].append(ask(clients))
    return runs


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_blocks * 512 for file in folder.rglob("*") if file.is_file())
