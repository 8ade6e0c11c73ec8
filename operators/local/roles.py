"""Which processes host which nodes, and each role's settings: the environment that its own process would read.

One form serves both arrangements: a process of its own for each role gets it as its environment; a process that
several nodes share builds it for each of them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from operators.local import ports
from operators.local.home import NetworkHome
from operators.local.plan import NetworkPlan, NodePlan
from operators.membership.keys import MAILBOX

#: gRPC's core reports things of no interest to anybody on standard error.
QUIET: Final = {"GRPC_VERBOSITY": "NONE"}


@dataclass(frozen=True, slots=True)
class ProcessRole:
    """One process to start."""

    name: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    log: Path


def process_roles(home: NetworkHome, plan: NetworkPlan) -> list[ProcessRole]:
    """Return the node processes of a network: shared ones, or two for each node."""
    if not plan.separate_roles:
        return [
            ProcessRole(
                name,
                (sys.executable, "-m", "operators.local.host", str(home.root), str(number)),
                QUIET,
                home.root / "nodes" / f"{name}.log",
            )
            for number, name in enumerate(plan.hosts())
        ]
    environments = {"swarm": swarm_environment, "onion": onion_environment}
    roles = []
    for name, (node,) in plan.hosts().items():
        service = name.partition("-")[0]
        telemetry = {f"NAISHO_{service.upper()}_TELEMETRY": f"{ports.HOST}:{plan.telemetry[name]}"}
        environment = QUIET | telemetry | environments[service](home, plan, node, own_process=True)
        arguments = (sys.executable, "-m", f"services.{service}")
        roles.append(ProcessRole(name, arguments, environment, home.node(node) / f"{service}.log"))
    return roles


def mailbox_socket(home: NetworkHome, node: NodePlan) -> Path:
    """Return the unix socket between a node's two roles."""
    return home.node(node) / "mailbox.sock"


def swarm_environment(home: NetworkHome, plan: NetworkPlan, node: NodePlan, *, own_process: bool) -> dict[str, str]:
    """Return the settings of a node's mailboxes."""
    folder = home.node(node)
    environment = {
        "NAISHO_SWARM_NETWORK_FILE": str(home.network_file),
        "NAISHO_SWARM_NODE_KEY_FILE": str(folder / "node.key"),
        "NAISHO_SWARM_MAILBOX_KEY_FILE": str(home.membership_keys / MAILBOX),
        "NAISHO_SWARM_CERTIFICATE": str(folder / "hop"),
        "NAISHO_SWARM_DATA": str(folder / "store"),
        "NAISHO_SWARM_ABOUT_HTTPS": f"{ports.HOST}:{node.https_port}",
        "NAISHO_SWARM_ABOUT_HOP": f"{ports.HOST}:{node.hop_port}",
        "NAISHO_SWARM_ABOUT_FAMILY": node.family,
        "NAISHO_SWARM_ABOUT_COUNTRY": node.country,
        "NAISHO_SWARM_ABOUT_MACHINE": "local",
        "NAISHO_SWARM_NATS_SERVERS": f"nats://{ports.HOST}:{plan.nats_port}",
        "NAISHO_SWARM_NATS_USER_KEY_FILE": str(folder / "nats.key"),
    }
    if node.seed_port:
        environment["NAISHO_SWARM_ABOUT_SEED"] = f"{ports.HOST}:{node.seed_port}"
    if own_process:
        environment["NAISHO_SWARM_MAILBOX"] = str(mailbox_socket(home, node))
    return environment | _wished(plan, "swarm")


def onion_environment(home: NetworkHome, plan: NetworkPlan, node: NodePlan, *, own_process: bool) -> dict[str, str]:
    """Return the settings of a node's public face."""
    folder = home.node(node)
    environment = {
        "NAISHO_ONION_NETWORK_FILE": str(home.network_file),
        "NAISHO_ONION_NODE_KEY_FILE": str(folder / "node.key"),
        "NAISHO_ONION_CERTIFICATE": str(folder / "hop"),
        "NAISHO_ONION_HTTPS": f"{ports.HOST}:{node.https_port}",
        "NAISHO_ONION_HOP": f"{ports.HOST}:{node.hop_port}",
    }
    if node.seed_port:
        environment["NAISHO_ONION_SEED"] = f"{ports.HOST}:{node.seed_port}"
    if own_process:
        environment["NAISHO_ONION_MAILBOX"] = str(mailbox_socket(home, node))
    return environment | _wished(plan, "onion")


def custodian_environment(home: NetworkHome, plan: NetworkPlan) -> dict[str, str]:
    """Return the settings of the one that erases; key periods are the nodes'."""
    environment = {
        "NAISHO_CUSTODIAN_NETWORK": plan.network_id,
        "NAISHO_CUSTODIAN_DATA": str(home.custodian),
        "NAISHO_CUSTODIAN_NATS_SERVERS": f"nats://{ports.HOST}:{plan.nats_port}",
        "NAISHO_CUSTODIAN_NATS_USER_KEY_FILE": str(home.custodian_key),
    }
    if period := plan.settings.get("swarm.key_period"):
        environment["NAISHO_CUSTODIAN_KEY_PERIOD"] = period
    return environment | _wished(plan, "custodian")


def _wished(plan: NetworkPlan, service: str) -> dict[str, str]:
    return {
        f"NAISHO_{name.upper().replace('.', '_')}": value
        for name, value in plan.settings.items()
        if name.partition(".")[0] == service
    }
