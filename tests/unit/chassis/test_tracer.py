from __future__ import annotations

import asyncio
import json

import pytest
from opentelemetry import propagate, trace
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from services.chassis.telemetry import InstrumentError, SpanKind, Tracer

STORE = SpanKind("store", {"outcome": ("stored", "refused")})
APPEND = SpanKind("append")


@pytest.fixture
def exported() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exported: InMemorySpanExporter) -> Tracer:
    return Tracer("swarm", 3, SimpleSpanProcessor(exported))


def test_spans_within_a_span_are_its_children(tracer: Tracer, exported: InMemorySpanExporter) -> None:
    with tracer.span(STORE, outcome="stored"), tracer.span(APPEND):
        pass
    append, store = exported.get_finished_spans()
    assert append.parent is not None
    assert append.parent.span_id == store.context.span_id
    assert store.parent is None
    assert dict(store.attributes or {}) == {"outcome": "stored"}
    assert dict(store.resource.attributes) == {"service": "swarm", "node": "3"}


async def test_tasks_made_by_nobodys_span_have_traces_of_their_own(
    tracer: Tracer, exported: InMemorySpanExporter
) -> None:
    async def work() -> None:
        with tracer.span(APPEND):
            await asyncio.sleep(0)

    await asyncio.gather(work(), work())
    one, other = exported.get_finished_spans()
    assert one.context.trace_id != other.context.trace_id


def test_an_error_is_seen_but_not_what_it_says(tracer: Tracer, exported: InMemorySpanExporter) -> None:
    with pytest.raises(KeyError), tracer.span(STORE):
        raise KeyError("05" + "ab" * 32)
    (span,) = exported.get_finished_spans()
    assert span.status.status_code is trace.StatusCode.ERROR
    assert "abab" not in json.dumps(json.loads(span.to_json()))
    assert span.events == ()


@pytest.mark.parametrize("attributes", [{"outcome": "05" + "ab" * 32}, {"account": "x"}])
def test_attributes_that_are_not_declared_are_refused(tracer: Tracer, attributes: dict[str, str]) -> None:
    with pytest.raises(InstrumentError) as caught, tracer.span(STORE, **attributes):
        pytest.fail("never runs")
    assert "abab" not in str(caught.value)


def test_nothing_goes_over_the_wire_unless_somebody_carries_it(tracer: Tracer) -> None:
    """Our tracer has no way out; and even the library's own propagator finds no global provider to speak for."""
    with tracer.span(STORE):
        assert not [name for name in dir(tracer) if "inject" in name or "extract" in name or "context" in name]
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    assert carrier == {}


def test_without_a_processor_it_is_off_and_cheap() -> None:
    tracer = Tracer("swarm", 3)
    with tracer.span(STORE) as nothing:
        assert nothing is None
        assert not trace.get_current_span().is_recording()
    assert tracer.span(STORE) is tracer.span(APPEND)
    tracer.close()


def test_closing_shuts_the_processor_down(exported: InMemorySpanExporter) -> None:
    tracer = Tracer("swarm", 3, SimpleSpanProcessor(exported))
    tracer.close()
    with tracer.span(STORE):
        pass
    assert exported.get_finished_spans() == ()
