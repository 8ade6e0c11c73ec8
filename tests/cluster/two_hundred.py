"""The operator at rest and after a restart, on a real API server alone: ``python -m tests.cluster.two_hundred``.

Nobody makes pods of StatefulSets there, so nodes are played: each as its Secrets and its StatefulSet say, over a real
log. What is measured is the operator's own process, as a pod would run it.

The bounds: all nodes reconciled within a minute of a restart, without a write when nothing changed; at rest with
fifteen nodes under 120 MB and under 2 % of a core.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

import psutil

from operators.local.nats_server import free_port
from services.swarm.adapters.membership import MembershipSettings
from tests.cluster.finding import SCRIPTS
from tests.cluster.lab import free_ports, run, until
from tests.cluster.lock import ROOT
from tests.crds.definitions import definitions
from tests.integration.operator.api_store import Manifest
from tests.integration.operator.log_server import LogServer
from tests.integration.operator.played_nodes import PlayedNode

NAMESPACE: Final = "quiet"
INSTALL: Final = "talk"
#: Nodes at rest, and nodes after a restart.
FEW: Final = 15
MANY: Final = 200
MOST_MB: Final = 120.0
MOST_CORE: Final = 0.02
RECONCILED_WITHIN_S: Final = 60.0
_GROWN_WITHIN_S: Final = 300.0
_REST_S: Final = 60.0
_WRITES: Final = ("POST", "PUT", "PATCH", "DELETE")


class Api:
    """A real API server on its own, with etcd."""

    def __init__(self, scripts: Path, folder: Path) -> None:
        port = free_ports(3)
        self._scripts = scripts
        self._settings = {
            "KUBE_LAB": str(folder),
            "KUBE_LAB_PORT": str(port),
            "KUBE_LAB_ETCD_PORT": str(free_ports(2, other=port)),
        }
        self.kubeconfig = folder / "kubeconfig"
        self.environment = {
            **os.environ,
            "KUBECONFIG": str(self.kubeconfig),
            "PATH": f"{folder}/bin:{os.environ['PATH']}",
        }

    def start(self) -> None:
        run([str(self._scripts / "up.sh"), "api"], {**os.environ, **self._settings}, within_s=120)

    def stop(self) -> None:
        run([str(self._scripts / "down.sh"), "--purge"], {**os.environ, **self._settings}, within_s=120)

    def kubectl(self, *arguments: str, given: str | None = None) -> str:
        return run(["kubectl", *arguments], self.environment, given=given, within_s=60)

    def apply(self, *manifests: Manifest) -> None:
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": manifests})
        self.kubectl("apply", "--validate=false", "-f", "-", given=text)  # an old kubectl knows no rules

    def find(self, plural: str, name: str) -> Manifest | None:
        said = self.kubectl("-n", NAMESPACE, "get", plural, name, "--ignore-not-found", "-o", "json")
        found: Manifest | None = json.loads(said) if said.strip() else None
        return found

    def get(self, plural: str, name: str) -> Manifest:
        """Return an object, also for those who play nodes."""
        found = self.find(plural, name)
        assert found is not None, f"{plural} {name}"
        return found

    def names(self, plural: str) -> set[str]:
        said = json.loads(self.kubectl("-n", NAMESPACE, "get", plural, "-o", "json"))
        return {item["metadata"]["name"] for item in said["items"]}

    def writes(self) -> int:
        """Return how many calls that write it has answered in the namespace, but for those on leases."""
        count = 0.0
        for line in self.kubectl("get", "--raw", "/metrics").splitlines():
            counted = line.startswith("apiserver_request_total{") and 'scope="namespace"' in line
            counted |= line.startswith("apiserver_request_total{") and 'scope="resource"' in line
            if counted and 'resource="leases"' not in line and any(f'verb="{verb}"' in line for verb in _WRITES):
                count += float(line.rpartition(" ")[2])
        return round(count)


class Figures(NamedTuple):
    """The operator's process over some time: megabytes at the end, share of a core."""

    rss_mb: float
    core: float


class Operator:
    """The operator in a process of its own."""

    def __init__(self, api: Api, settings: Path, telemetry: int) -> None:
        self._telemetry = telemetry
        command = [sys.executable, "-m", "operators.membership.kube", str(settings)]
        self.process = subprocess.Popen(command, env=api.environment, cwd=ROOT)

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(30)

    def shown(self) -> Mapping[str, float]:
        """Return its metrics by name; empty while it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self._telemetry}/metrics", timeout=5) as answer:
                lines = answer.read().decode().splitlines()
        except OSError:
            return {}
        return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")}

    def looks(self, outcome: str) -> float:
        return sum(value for name, value in self.shown().items() if "_reconciles_" in name and f'"{outcome}"' in name)

    def at_rest(self, seconds: float) -> Figures:
        process = psutil.Process(self.process.pid)
        before, began = process.cpu_times(), time.monotonic()
        time.sleep(seconds)
        after, took = process.cpu_times(), time.monotonic() - began
        used = after.user + after.system - before.user - before.system
        return Figures(process.memory_info().rss / 1e6, used / took)


class PlayedPods:
    """Nodes in a process of their own: this one, called with ``--play COUNT``."""

    def __init__(self, api: Api, count: int) -> None:
        command = [sys.executable, "-m", "tests.cluster.two_hundred", "--play", str(count)]
        self._process = subprocess.Popen([*command, "--lab", api.kubeconfig.parent], env=api.environment, cwd=ROOT)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(30)


class Snapshot:
    """Objects of some kinds as they are now; to ask for each of them would take longer than nodes have."""

    def __init__(self, api: Api, *plurals: str) -> None:
        said = json.loads(api.kubectl("-n", NAMESPACE, "get", ",".join(plurals), "-o", "json"))
        self._objects: dict[tuple[str, str], Manifest] = {
            (item["kind"].lower() + "s", item["metadata"]["name"]): item for item in said["items"]
        }

    def find(self, plural: str, name: str) -> Manifest | None:
        return self._objects.get((plural, name))

    def get(self, plural: str, name: str) -> Manifest:
        return self._objects[plural, name]


async def play(objects: Snapshot, count: int) -> None:
    """Be nodes until ended."""
    nodes = []
    for ordinal in range(count):
        template = objects.get("statefulsets", f"{INSTALL}-{ordinal}")["spec"]["template"]
        pod = {"spec": template["spec"], "status": {"hostIP": "192.0.2.1"}}
        nodes.append(PlayedNode(pod, objects, lambda _ready: None, settings=MembershipSettings()))
    await asyncio.gather(*(node.ended() for node in nodes))


def settings_file(folder: Path, log_address: str, telemetry: int, replicas: int) -> Path:
    """Write the operator's settings and its node pool, as the chart renders them."""
    pool = {
        "apiVersion": "naisho.dev/v1alpha1",
        "kind": "NodePool",
        "metadata": {"name": INSTALL},
        "spec": {"replicas": replicas, "family": "aoi", "country": "JP"},
    }
    (folder / "nodepool.json").write_text(json.dumps(pool))
    file = folder / "operator.toml"
    file.write_text(f"""\
install = "{INSTALL}"
namespace = "{NAMESPACE}"
pod = "operator"
image = "naisho:1"
pool_file = "{folder}/nodepool.json"
telemetry = "127.0.0.1:{telemetry}"
[nats]
servers = ["{log_address}"]
replicas = 1
""")
    return file


@contextmanager
def lab(scripts: Path) -> Iterator[Api]:
    folder = Path(tempfile.mkdtemp(prefix="nk-", dir="/tmp"))
    api = Api(scripts, folder)
    try:
        api.start()
        yield api
    finally:
        api.stop()


def measure(api: Api, folder: Path, *, few: int, many: int, rest_s: float) -> list[str]:
    """Run everything, print figures, and return what is beyond its bound."""
    api.apply(*(definition.document for definition in definitions().values()))
    api.kubectl("wait", "--for=condition=Established", "crd", "--all")
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    api.apply(
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{INSTALL}-pool", "namespace": NAMESPACE}}
    )
    log, telemetry = LogServer(folder / "log", api, INSTALL), free_port()
    settings = settings_file(folder, log.address, telemetry, few)
    operator = Operator(api, settings, telemetry)
    pods: PlayedPods | None = None
    wrong: list[str] = []
    try:
        until(log.has_its_secrets, "foundation", 60)
        log.start()
        until(lambda: len(api.names("statefulsets")) == few, f"{few} nodes", 120)
        pods = PlayedPods(api, few)
        until(lambda: _active(operator) == few, f"{few} active nodes", 120)
        figures = _rest(operator, few, rest_s)
        if figures.rss_mb > MOST_MB or figures.core > MOST_CORE:
            wrong.append(f"{few} nodes at rest: {figures.rss_mb:.0f} MB, {figures.core:.1%} of a core")

        began = time.monotonic()
        patch = json.dumps({"spec": {"replicas": many}})
        api.kubectl("-n", NAMESPACE, "patch", "nodepool", INSTALL, "--type=merge", "-p", patch)
        until(lambda: len(api.names("statefulsets")) == many, f"{many} nodes", _GROWN_WITHIN_S)
        print(f"{many - few} nodes more: made within {time.monotonic() - began:.1f} s")
        _rest(operator, many, rest_s)

        operator.stop()
        before, began = api.writes(), time.monotonic()
        operator = Operator(api, settings, telemetry)
        until(lambda: operator.looks("unchanged") + operator.looks("changed") >= 1, "first look", RECONCILED_WITHIN_S)
        took = time.monotonic() - began
        figures = _rest(operator, many, rest_s, settle_s=0)
        writes = api.writes() - before
        print(f"after a restart with {many} nodes: first look done after {took:.1f} s, {writes} writes within a minute")
        if writes:
            wrong.append(f"{writes} writes after a restart with nothing changed")
    finally:
        if pods is not None:
            pods.stop()
        operator.stop()
        log.stop()
    return wrong


def _active(operator: Operator) -> float:
    return sum(value for name, value in operator.shown().items() if "operator_nodes" in name and '"active"' in name)


def _rest(operator: Operator, nodes: int, seconds: float, *, settle_s: float = 30.0) -> Figures:
    time.sleep(settle_s)
    figures = operator.at_rest(seconds)
    print(f"at rest with {nodes} nodes: {figures.rss_mb:.1f} MB, {figures.core:.2%} of a core")
    return figures


def main() -> int:
    """Measure; return 1 if something is beyond its bound, and 3 without an API server to start."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=FEW)
    parser.add_argument("--many", type=int, default=MANY)
    parser.add_argument("--rest", type=float, default=_REST_S, help="seconds at rest that are measured")
    parser.add_argument("--play", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--lab", type=Path, help=argparse.SUPPRESS)
    said = parser.parse_args()
    scripts = Path(os.environ.get(SCRIPTS) or ROOT.parent / "shared" / "kube")
    if not (scripts / "up.sh").is_file():
        sys.stderr.write(f"no Kubernetes: set {SCRIPTS}\n")
        return 3
    if said.play is not None:
        asyncio.run(play(Snapshot(Api(scripts, said.lab), "secrets", "configmaps", "statefulsets"), said.play))
        return 0
    with lab(scripts) as api, tempfile.TemporaryDirectory() as folder:
        wrong = measure(api, Path(folder), few=said.few, many=said.many, rest_s=said.rest)
    for text in wrong:
        print(f"beyond the bound: {text}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
