"""Metrics and traces that cannot tell who talks to whom.

Every instrument is declared beforehand, with the values that its labels may take; nothing else is accepted, so no
account, hash or address can become a label by accident. There are no exemplars. Traces stay inside one process: their
context is never read from a request and never sent with one. Both are off unless the operator asks for them.

Nothing here is global: each instance of a service has its own `Metrics`, and one process shows many of them apart by
``service`` and ``node``, a small number that the operator gives.
"""

from services.chassis.telemetry.endpoint import TelemetryEndpoint
from services.chassis.telemetry.instruments import Instrument, InstrumentError, Kind
from services.chassis.telemetry.metrics import Counter, Distribution, Metrics
from services.chassis.telemetry.shared import Measured, SharedTelemetry
from services.chassis.telemetry.tracer import SpanKind, Tracer

__all__ = [
    "Counter",
    "Distribution",
    "Instrument",
    "InstrumentError",
    "Kind",
    "Measured",
    "Metrics",
    "SharedTelemetry",
    "SpanKind",
    "TelemetryEndpoint",
    "Tracer",
]
