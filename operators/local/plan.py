"""What a local network consists of: pure data, decided once and recorded in the data directory."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Final

from operators.local.errors import BrokenHome

PLAN_VERSION: Final = 1
#: Families and countries of a simulated network; no real operator stands behind them.
SIMULATED_FAMILIES: Final = (("aoi", "JP"), ("bergen", "NO"), ("citrus", "PT"))
NODES: Final = 15
SMALLEST: Final = 3
SEEDS: Final = 2
#: As many processes as cores, less one, which the log's server and the clients keep busy: nodes that share a process
#: wake it once for what all of them do. A few are enough for all that one machine's disk takes.
PROCESSES: Final = min(4, max(1, (os.cpu_count() or 1) - 1))
#: The process that hosts membership and the custodian.
OPERATOR: Final = "network"
#: What a node is made of; each can be a process of its own.
ROLES: Final = ("swarm", "onion")


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One node: its place in the plan, what it declares of itself, and its ports on 127.0.0.1."""

    index: int
    family: str
    country: str
    https_port: int
    hop_port: int
    #: Plain-HTTP seed port; 0 for a node that is no seed.
    seed_port: int = 0

    @property
    def name(self) -> str:
        """The node's folder name and label in metrics."""
        return f"node-{self.index:02d}"


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """One local network."""

    network_id: str
    nats_port: int
    nodes: tuple[NodePlan, ...]
    #: How many processes share the nodes between them.
    processes: int = PROCESSES
    version: int = PLAN_VERSION
    #: Give the two roles of a node a process each, instead of sharing processes between nodes.
    separate_roles: bool = False
    #: Settings of every node that differ from the defaults: ``{"onion.rate.burst": "1000"}``.
    settings: dict[str, str] = field(default_factory=dict)
    #: Where each process tells its metrics and readiness, by its name.
    telemetry: dict[str, int] = field(default_factory=dict)

    def ports(self) -> list[int]:
        """Return every port of the plan in a fixed order; seeds' zeros are left out."""
        own = [port for node in self.nodes for port in (node.https_port, node.hop_port, node.seed_port) if port]
        return [self.nats_port, *own, *self.telemetry.values()]

    def with_ports(self, ports: Sequence[int]) -> NetworkPlan:
        """Return the same plan with other ports, given in the order of ``ports()``."""
        rest = iter(ports)
        nats_port = next(rest)
        nodes = tuple(
            NodePlan(node.index, node.family, node.country, next(rest), next(rest), next(rest) if node.seed_port else 0)
            for node in self.nodes
        )
        telemetry = {process: next(rest) for process in self.telemetry}
        return replace(self, nats_port=nats_port, nodes=nodes, telemetry=telemetry)

    def untold(self) -> list[str]:
        """Return the processes that have no port for telemetry yet."""
        return [process for process in (OPERATOR, *self.hosts()) if process not in self.telemetry]

    def with_telemetry(self, ports: Sequence[int]) -> NetworkPlan:
        """Return the same plan with a port for each process that had none; those of processes that are no more go."""
        telemetry = self.telemetry | dict(zip(self.untold(), ports, strict=True))
        return replace(self, telemetry={process: telemetry[process] for process in (OPERATOR, *self.hosts())})

    def shares(self) -> list[list[NodePlan]]:
        """Split the nodes over the processes, evenly and in turn."""
        count = max(1, min(self.processes, len(self.nodes)))
        return [list(self.nodes[start::count]) for start in range(count)]

    def hosts(self) -> dict[str, list[NodePlan]]:
        """Return the nodes that each process hosts, by its name: ``nodes-0`` has a share, ``swarm-00`` one role."""
        if self.separate_roles:
            return {f"{role}-{node.index:02d}": [node] for node in self.nodes for role in ROLES}
        return {f"nodes-{number}": share for number, share in enumerate(self.shares())}


def ports_needed(nodes: int, seeds: int = SEEDS) -> int:
    """Return how many ports a network takes but for telemetry: two for each node, one for each seed, one for NATS."""
    return 2 * nodes + seeds + 1


def new_plan(ports: Sequence[int], *, nodes: int = NODES, seeds: int = SEEDS) -> NetworkPlan:
    """Plan a network of simulated families; ``ports`` as many as ``ports_needed`` says.

    Raises:
        ValueError: fewer nodes than a swarm needs.
    """
    if nodes < SMALLEST:
        raise ValueError(f"a swarm needs {SMALLEST} nodes, and most clients a network of 12; asked for {nodes}")
    rest = iter(ports)
    nats_port = next(rest)
    planned = []
    for index in range(nodes):
        family, country = SIMULATED_FAMILIES[index % len(SIMULATED_FAMILIES)]
        https, hop = next(rest), next(rest)
        planned.append(NodePlan(index, family, country, https, hop, next(rest) if index < seeds else 0))
    return NetworkPlan(f"local-{secrets.token_hex(3)}", nats_port, tuple(planned))


def render(plan: NetworkPlan) -> str:
    """Return the plan as JSON text."""
    return json.dumps(asdict(plan), indent=2) + "\n"


def parse(text: str) -> NetworkPlan:
    """Read a plan back.

    Raises:
        BrokenHome: not JSON, not a plan, or of another version.
    """
    try:
        data = json.loads(text)
        if data["version"] != PLAN_VERSION:
            raise BrokenHome(
                f"the recorded plan has version {data['version']}, this program writes {PLAN_VERSION}; "
                "start over with: naisho network up --fresh"
            )
        nodes = tuple(NodePlan(**node) for node in data.pop("nodes"))
        return NetworkPlan(nodes=nodes, **data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BrokenHome(
            f"the recorded plan cannot be read ({type(error).__name__}); start over with: naisho network up --fresh"
        ) from error
