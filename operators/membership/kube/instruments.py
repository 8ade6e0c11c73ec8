"""What the operator measures about its own work."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from operators.membership.domain.life import Life
from operators.membership.kube.reconciler import Turn
from services.chassis.clock import Clock
from services.chassis.telemetry import Instrument, Kind, Metrics

PHASES: Final = ("pending", *(life.name.lower() for life in Life), "drained")
OUTCOMES: Final = ("changed", "unchanged", "failed")
_SECONDS: Final = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

LEADER: Final = Instrument(Kind.GAUGE, "naisho_operator_leader", "Whether this operator is the one that works.")
TURNS: Final = Instrument(
    Kind.COUNTER, "naisho_operator_reconciles", "Looks at everything, by outcome.", labels={"outcome": OUTCOMES}
)
TURN_SECONDS: Final = Instrument(
    Kind.DISTRIBUTION, "naisho_operator_reconcile", "How long a look took.", "s", bounds=_SECONDS
)
LAST_TURN: Final = Instrument(
    Kind.GAUGE, "naisho_operator_last_reconcile", "Age of the last look that was carried out.", "s"
)
LAST_EVENT: Final = Instrument(
    Kind.GAUGE, "naisho_operator_last_event", "Age of the last change that was heard of.", "s"
)
PAUSED: Final = Instrument(Kind.GAUGE, "naisho_operator_paused", "Pools that are only watched.")
NODES: Final = Instrument(
    Kind.GAUGE, "naisho_operator_nodes", "Nodes by where they are in their life.", labels={"state": PHASES}
)
DRAINS: Final = Instrument(Kind.GAUGE, "naisho_operator_drains", "Nodes that are leaving.")
REFUSALS: Final = Instrument(Kind.GAUGE, "naisho_operator_refused_drains", "Drains that the authority refuses now.")
PROBLEMS: Final = Instrument(Kind.GAUGE, "naisho_operator_problems", "Nodes for which something cannot be done now.")
AT_MAXIMUM: Final = Instrument(
    Kind.GAUGE, "naisho_operator_at_maximum", "Pools whose load asks for more nodes than they may have."
)
WRITES: Final = Instrument(Kind.COUNTER, "naisho_operator_writes", "Objects made, changed or removed.")
API_ERRORS: Final = Instrument(Kind.COUNTER, "naisho_operator_api_errors", "Calls to the API server that failed.")

INSTRUMENTS: Final = (
    LEADER,
    TURNS,
    TURN_SECONDS,
    LAST_TURN,
    LAST_EVENT,
    PAUSED,
    NODES,
    DRAINS,
    REFUSALS,
    PROBLEMS,
    AT_MAXIMUM,
    WRITES,
    API_ERRORS,
)


@dataclass(slots=True)
class Pulse:
    """How the operator's work goes, for metrics and for the watchdog. Times by the monotonic clock."""

    began_at: float
    last_turn_at: float
    last_event_at: float
    last: Turn = field(default_factory=Turn)
    outcomes: Counter[str] = field(default_factory=Counter)
    writes: int = 0


def watch(pulse: Pulse, metrics: Metrics, clock: Clock) -> None:
    """Show an operator's pulse in ``metrics``, made with ``INSTRUMENTS``."""
    metrics.watch(LAST_TURN, lambda: clock.monotonic() - pulse.last_turn_at)
    metrics.watch(LAST_EVENT, lambda: clock.monotonic() - pulse.last_event_at)
    metrics.watch(PAUSED, lambda: pulse.last.paused)
    metrics.watch(DRAINS, lambda: pulse.last.draining)
    metrics.watch(REFUSALS, lambda: pulse.last.refused)
    metrics.watch(PROBLEMS, lambda: pulse.last.problems)
    metrics.watch(WRITES, lambda: pulse.writes)
    for outcome in OUTCOMES:
        metrics.watch(TURNS, lambda outcome=outcome: pulse.outcomes[outcome], outcome=outcome)  # type: ignore[misc]  # bound early
    for phase in PHASES:
        metrics.watch(NODES, lambda phase=phase: pulse.last.nodes.count(phase.capitalize()), state=phase)  # type: ignore[misc]  # bound early
