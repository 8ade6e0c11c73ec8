"""Before anything runs: the plan, the keys, the network file and the log server's configuration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

from naisho.protocol import network_file
from naisho.protocol.network_file import NetworkFile
from operators.local import ports
from operators.local.errors import StartFailed
from operators.local.home import NetworkHome, write_private
from operators.local.identities import LocalIdentities, nats_public
from operators.local.nats_config import NatsConfig, network_account
from operators.local.plan import NODES, NetworkPlan, new_plan, ports_needed
from operators.membership.domain.assignment import FLOOR, SwarmSizes
from operators.membership.domain.policy import Policy
from operators.membership.keys import create_keys
from services.chassis.nats.names import NetworkNames

#: Names the port of the log server's status pages, which know every subject; without it there are none.
LOG_MONITOR_PORT: Final = "nats.monitor_port"
#: Most bytes that the log's streams may reserve together.
LOG_BYTES: Final = 16 * 1024**3


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was asked for on the command line; ``None`` keeps what the data directory records, or the default."""

    nodes: int | None = None
    processes: int | None = None
    separate_roles: bool | None = None
    #: By name, such as ``onion.rate.burst``.
    settings: tuple[tuple[str, str], ...] = ()


def obtain_plan(home: NetworkHome, wishes: Wishes) -> NetworkPlan:
    """Go on with the recorded plan, or make one; its ports are free now.

    Raises:
        StartFailed: the recorded network has another number of nodes than is asked for, or that is too few.
        BrokenHome: the record cannot be read.
    """
    home.create()
    if home.exists():
        plan = home.read_plan()
        if wishes.nodes not in {None, len(plan.nodes)}:
            raise StartFailed(
                f"the network in {home.root} has {len(plan.nodes)} nodes; to make one of {wishes.nodes}, add --fresh"
            )
        plan = plan.with_ports(ports.keep_or_choose(plan.ports()))
    else:
        nodes = NODES if wishes.nodes is None else wishes.nodes
        try:
            plan = new_plan(ports.choose(ports_needed(nodes)), nodes=nodes)
        except ValueError as error:
            raise StartFailed(str(error)) from error
    changes: dict[str, Any] = {"settings": plan.settings | dict(wishes.settings)}
    if wishes.processes is not None:
        changes["processes"] = wishes.processes
    if wishes.separate_roles is not None:
        changes["separate_roles"] = wishes.separate_roles
    plan = replace(plan, **changes)
    plan = plan.with_telemetry(ports.choose(len(plan.untold()), taken=plan.ports()))
    home.write_plan(plan)
    return plan


def obtain_network_file(home: NetworkHome, plan: NetworkPlan, now_ms: int) -> NetworkFile:
    """Return the network file, its seeds as the plan has them; a new network's keys are made."""
    if home.network_file.exists():
        known = network_file.parse(home.network_file.read_bytes())
    else:
        root = create_keys(home.membership_keys, network_id=plan.network_id, now_ms=now_ms)
        known = NetworkFile(plan.network_id, (root,), name="local network", simulated=True)
    seeds = tuple(f"http://{ports.HOST}:{node.seed_port}" for node in plan.nodes if node.seed_port)
    network = replace(known, seeds=seeds)
    write_private(home.network_file, network_file.render(network).encode())
    return network


def nats_config(home: NetworkHome, plan: NetworkPlan, identities: LocalIdentities) -> NatsConfig:
    """Return the log server's configuration: one account, and a user with rights of its own for everybody."""
    account = network_account(
        NetworkNames(plan.network_id),
        authority=nats_public(identities.authority_nkey),
        custodian=nats_public(identities.custodian_nkey),
        nodes={node.key.hex(): nats_public(node.nkey_seed) for node in identities.nodes},
        max_store_bytes=LOG_BYTES,
    )
    monitor_port = plan.settings.get(LOG_MONITOR_PORT)
    return NatsConfig(
        server_name=plan.network_id,
        port=plan.nats_port,
        store=home.nats / "store",
        log=home.nats / "nats.log",
        max_store_bytes=LOG_BYTES,
        accounts=(account,),
        monitor_port=int(monitor_port) if monitor_port else None,
    )


def policy(identities: LocalIdentities) -> Policy:
    """Return what the local operator decides: only its own nodes, marked as simulated."""
    count = len(identities.nodes)
    sizes = SwarmSizes()
    if count < sizes.minimum:
        sizes = SwarmSizes(max(FLOOR, count), max(FLOOR, count) + 1)
    return Policy(
        sizes=sizes,
        simulated=True,
        first_nodes=count,
        smallest_network=count,
        private_addresses=True,
        allowed=frozenset(node.key for node in identities.nodes),
    )
