"""What the operator measures about itself; once `operators.membership.kube.metrics` says so, that is what counts."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from typing import Final

from services.chassis.telemetry import Instrument, Kind

_MODULE: Final = "operators.membership.kube.metrics"
#: As the operator's contract has it; the alerts and dashboards were written against this.
AGREED: Final = (
    Instrument(Kind.GAUGE, "naisho_operator_leader", "1 for the one that leads."),
    Instrument(
        Kind.COUNTER,
        "naisho_operator_reconciles",
        "Attempts.",
        labels={"outcome": ("changed", "unchanged", "failed")},
    ),
    Instrument(Kind.DISTRIBUTION, "naisho_operator_reconcile", "Time of an attempt.", unit="s", bounds=(0.1, 1, 10)),
    Instrument(Kind.GAUGE, "naisho_operator_last_reconcile", "Time since the last attempt.", unit="s"),
    Instrument(Kind.GAUGE, "naisho_operator_last_event", "Time since the API server was last heard.", unit="s"),
    Instrument(Kind.GAUGE, "naisho_operator_paused", "Above 0 while a pool is paused."),
    Instrument(
        Kind.GAUGE,
        "naisho_operator_nodes",
        "ServiceNodes.",
        labels={"state": ("announced", "joining", "active", "unreachable", "draining", "gone")},
    ),
    Instrument(Kind.GAUGE, "naisho_operator_drains", "Nodes that are leaving."),
    Instrument(Kind.COUNTER, "naisho_operator_refusals", "Wishes refused."),
    Instrument(Kind.COUNTER, "naisho_operator_api_errors", "Calls to the Kubernetes API that failed."),
)


def instruments() -> Sequence[Instrument]:
    """Return the operator's own table if there is one by now, else what was agreed.

    Raises:
        AttributeError: the module is there and has no ``INSTRUMENTS``.
    """
    if importlib.util.find_spec(_MODULE) is None:
        return AGREED
    found: Sequence[Instrument] = importlib.import_module(_MODULE).INSTRUMENTS
    return found
