"""One process that hosts several nodes: ``python -m operators.local.host HOME SHARE``.

Each node keeps its own keys, store, connections and addresses; the two roles of a node meet by a call instead of a
socket.
"""

from __future__ import annotations

import sys
from pathlib import Path

from operators.local import ports
from operators.local.home import NetworkHome
from operators.local.roles import onion_environment, swarm_environment
from services.chassis import logs
from services.chassis.hosting import run
from services.chassis.lifecycle import Service
from services.chassis.settings import read_settings
from services.chassis.telemetry import Measured, SharedTelemetry
from services.onion.bootstrap import bootstrap as bootstrap_onion
from services.onion.settings import OnionSettings
from services.swarm.bootstrap import bootstrap as bootstrap_swarm
from services.swarm.settings import SwarmSettings


def build(home: NetworkHome, share: int) -> list[Service]:
    """Build both roles of every node of one share of the plan, and what tells of them all."""
    plan = home.read_plan()
    process, nodes = list(plan.hosts().items())[share]
    services: list[tuple[int, Measured]] = []
    for node in nodes:
        mailboxes = bootstrap_swarm(
            read_settings(
                SwarmSettings, prefix="NAISHO_SWARM", environ=swarm_environment(home, plan, node, own_process=False)
            )
        )
        face = bootstrap_onion(
            read_settings(
                OnionSettings,
                prefix="NAISHO_ONION",
                environ=onion_environment(home, plan, node, own_process=False),
            ),
            mailbox=mailboxes.local,
        )
        for role in (mailboxes, face):
            role.lifecycle.name = f"{node.name} {role.lifecycle.name}"  # one of many of its kind here
            services.append((node.index, role))
    told = SharedTelemetry(ports.HOST, plan.telemetry[process], services)
    return [*(service for _, service in services), told]


def main(arguments: list[str]) -> int:
    """Host one share of the nodes; return the exit code."""
    logs.configure()
    home, share = NetworkHome(Path(arguments[0])), int(arguments[1])
    return run(lambda: build(home, share), drain_seconds=5.0, stop_seconds=2.0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
