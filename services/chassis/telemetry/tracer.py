"""Spans inside one process. Off, and then nearly free, unless a processor is given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Final

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import Status, StatusCode

from services.chassis.telemetry.instruments import InstrumentError

_OFF: Final = nullcontext()


@dataclass(frozen=True)
class SpanKind:
    """A span that a service declares: its name, and for each attribute every value that it may take."""

    name: str
    attributes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def check(self, attributes: Mapping[str, str]) -> None:
        """Raise `InstrumentError` unless all of these are declared."""
        for name, value in attributes.items():
            if value not in self.attributes.get(name, ()):
                raise InstrumentError(f"{self.name}: not a declared attribute and value: {name}")


class Tracer:
    """Makes spans of declared kinds, each with attributes from finite sets.

    There is no way in or out for a trace's context: the first span of a task is a root, whatever a request carried, and
    nothing puts a span's identity on the wire. What an exception says is not recorded, only that there was one.

    Args:
        service: a short word, such as ``swarm``.
        node: tells instances apart, see `Metrics`.
        processor: takes finished spans to an exporter; None turns tracing off. It is shut down by `close`.
    """

    def __init__(self, service: str, node: int, processor: SpanProcessor | None = None) -> None:
        self._tracer = None
        if processor is not None:
            self._provider = TracerProvider(
                ALWAYS_ON,
                Resource({"service": service, "node": str(node)}),
                shutdown_on_exit=False,
                span_limits=SpanLimits(max_events=0, max_links=0),
            )
            self._provider.add_span_processor(processor)
            self._tracer = self._provider.get_tracer("naisho")

    def span(self, kind: SpanKind, **attributes: str) -> AbstractContextManager[None]:
        """Measure a piece of work; spans opened within it, in the same process, are its children.

        Raises:
            InstrumentError: an attribute or value is not declared (checked only while tracing is on).
        """
        return _OFF if self._tracer is None else self._traced(kind, attributes)

    def close(self) -> None:
        """Hand over what is left."""
        if self._tracer is not None:
            self._provider.shutdown()

    @contextmanager
    def _traced(self, kind: SpanKind, attributes: Mapping[str, str]) -> Iterator[None]:
        assert self._tracer is not None
        kind.check(attributes)
        with self._tracer.start_as_current_span(
            kind.name, attributes=dict(attributes), record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield
            except BaseException:
                span.set_status(Status(StatusCode.ERROR))
                raise
