"""What ``naisho network status`` shows: who runs here, and what the signed directory says."""

from __future__ import annotations

import time
from typing import Any

import httpx
import psutil

from naisho.protocol import network_file, ring
from naisho.protocol.directory import verification
from naisho.protocol.directory.errors import DirectoryError
from naisho.protocol.directory.model import DIRECTORY_PATH, Directory, Node, Transport
from naisho.protocol.network_file import NetworkFile
from operators.local import ports
from operators.local.errors import LocalNetworkError
from operators.local.home import NetworkHome, Running
from operators.local.plan import OPERATOR, NetworkPlan

ASK_WITHIN_S = 5.0


def fetch_directory(seed: str, network: NetworkFile, *, newest_epoch_seen: int = 0) -> Directory:
    """Ask a seed for the directory and verify it.

    Raises:
        LocalNetworkError: no answer, or one that may not be believed.
    """
    try:
        answer = httpx.get(seed + DIRECTORY_PATH, timeout=ASK_WITHIN_S, trust_env=False)
        answer.raise_for_status()
        now_ms = time.time_ns() // 1_000_000
        return verification.verify(answer.content, network=network, now_ms=now_ms, newest_epoch_seen=newest_epoch_seen)
    except httpx.HTTPError as error:
        raise LocalNetworkError(
            f"the seed at {seed} does not answer ({type(error).__name__}); "
            "stop the network with Ctrl-C and start it again with: naisho network up"
        ) from error
    except DirectoryError as error:
        raise LocalNetworkError(f"the seed's directory may not be believed: {error}") from error


def gather(home: NetworkHome) -> dict[str, Any]:
    """Return the status of the network that runs from ``home``, as JSON values.

    Raises:
        LocalNetworkError: nothing runs there, or its seed gives no directory.
    """
    running = home.read_running()
    network = network_file.parse(home.network_file.read_text(encoding="utf-8"))
    return describe(home, running, home.read_plan(), fetch_directory(running.seed, network))


def describe(home: NetworkHome, running: Running, plan: NetworkPlan, directory: Directory) -> dict[str, Any]:
    """Put together what is known of a running network."""
    planned = {node.https_port: node for node in plan.nodes}
    hosts = plan.hosts()
    now_ms = time.time_ns() // 1_000_000

    def show(node: Node) -> dict[str, Any]:
        https = node.endpoint(Transport.HTTPS)
        known = planned.get(https.port) if https else None
        return {
            "name": known.name if known else node.key.hex()[:8],
            "key": node.key.hex(),
            "address": f"{https.host}:{https.port}" if https else "",
            "family": node.family,
            "country": node.country,
            "state": node.state.name.lower(),
            "swarm": _swarm(node.swarm_id),
            "processes": [name for name, hosted in hosts.items() if known in hosted],
        }

    nodes = sorted(map(show, directory.nodes), key=lambda node: str(node["name"]))
    return {
        "network": directory.network_id,
        "home": str(home.root),
        "network_file": str(home.network_file),
        "seed": running.seed,
        "grade": directory.grade.label,
        "simulated": directory.simulated,
        "epoch": directory.epoch,
        "directory": directory.freshness(now_ms).value,
        "running_s": round((now_ms - running.started_ms) / 1000),
        "processes": [
            {"name": name, "pid": pid, "resident_mb": _resident_mb(pid), "metrics": _metrics(plan, name)}
            for name, pid in [(OPERATOR, running.pid), *running.processes.items()]
        ],
        "swarms": {
            _swarm(swarm): [node["name"] for node in nodes if node["swarm"] == _swarm(swarm)]
            for swarm in directory.swarm_ids
        },
        "nodes": nodes,
        "log": f"nats://{ports.HOST}:{plan.nats_port}",
    }


def _swarm(swarm_id: int) -> str:
    return "" if swarm_id == ring.INVALID_SWARM else f"{swarm_id:x}"


def _metrics(plan: NetworkPlan, process: str) -> str | None:
    port = plan.telemetry.get(process)
    return f"http://{ports.HOST}:{port}/metrics" if port else None


def _resident_mb(pid: int) -> float | None:
    try:
        return round(psutil.Process(pid).memory_info().rss / 1e6, 1)
    except psutil.Error:
        return None
