"""What the authority measures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from naisho.protocol.directory import NodeState
from operators.membership.authority import Authority
from services.chassis.clock import Clock
from services.chassis.telemetry import Instrument, Kind, Metrics

EPOCH: Final = Instrument(Kind.GAUGE, "naisho_membership_epoch", "Epoch of the newest signed directory.")
AGE: Final = Instrument(
    Kind.GAUGE, "naisho_membership_directory_age", "Age of the newest signed directory; it expires after 7 days.", "s"
)
NODES: Final = Instrument(
    Kind.GAUGE,
    "naisho_membership_nodes",
    "Nodes in the newest signed directory.",
    labels={"state": tuple(state.name.lower() for state in NodeState)},
)
SWARMS: Final = Instrument(Kind.GAUGE, "naisho_membership_swarms", "Swarms that serve by the newest signed directory.")
WAITS: Final = Instrument(Kind.GAUGE, "naisho_membership_waits", "Things that a placement under way waits for.")
REQUESTS: Final = Instrument(
    Kind.COUNTER,
    "naisho_membership_requests",
    "Announcements and drains by outcome.",
    labels={"outcome": ("accepted", "refused")},
)
KEYS_LEFT: Final = Instrument(
    Kind.GAUGE, "naisho_membership_signing_keys_left", "Time until the signing keys end and must be renewed.", "s"
)

INSTRUMENTS: Final = (EPOCH, AGE, NODES, SWARMS, WAITS, REQUESTS, KEYS_LEFT)


def watch(authority: Callable[[], Authority], metrics: Metrics, clock: Clock) -> None:
    """Show in ``metrics``, made with ``INSTRUMENTS``, the authority that is at work, whichever that is."""

    def age() -> float:
        directory = authority().directory
        return (clock.now_ms() - directory.issued_ms) / 1000 if directory else 0

    def epoch() -> int:
        directory = authority().directory
        return directory.epoch if directory else 0

    def swarms() -> int:
        directory = authority().directory
        return len(directory.swarm_ids) if directory else 0

    def nodes(state: NodeState) -> int:
        directory = authority().directory
        return Counter(node.state for node in directory.nodes)[state] if directory else 0

    metrics.watch(EPOCH, epoch)
    metrics.watch(AGE, age)
    for state in NodeState:
        metrics.watch(NODES, lambda state=state: nodes(state), state=state.name.lower())  # type: ignore[misc]  # bound early
    metrics.watch(SWARMS, swarms)
    metrics.watch(WAITS, lambda: len(authority().waits))
    metrics.watch(REQUESTS, lambda: authority().accepted, outcome="accepted")
    metrics.watch(REQUESTS, lambda: authority().refused, outcome="refused")
    metrics.watch(KEYS_LEFT, lambda: (authority().keys_end_ms - clock.now_ms()) / 1000)
