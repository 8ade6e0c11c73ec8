from __future__ import annotations

import time
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from services.chassis.telemetry import Instrument, InstrumentError, Kind, Metrics, TelemetryEndpoint

STORES = Instrument(
    Kind.COUNTER, "naisho_test_stores", "Stores by what became of them", labels={"outcome": ("stored", "refused")}
)
LAG = Instrument(Kind.GAUGE, "naisho_test_lag", "Events behind the log", unit="{events}")
HELD = Instrument(Kind.GAUGE, "naisho_test_held", "Held in memory", unit="By")
COMMIT = Instrument(
    Kind.DISTRIBUTION,
    "naisho_test_commit",
    "Time of a commit",
    unit="s",
    labels={"mode": ("full", "relaxed")},
    bounds=(0.001, 0.01, 0.1),
)
TABLE = (STORES, LAG, HELD, COMMIT)


def shown(*metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    text = TelemetryEndpoint("127.0.0.1", 0, metrics, ()).exposition().decode()
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("naisho_")
    }


def labels(node: str = "3", **more: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted({"node": node, "service": "test", **more}.items()))


def test_counters_gauges_and_distributions_are_shown_as_they_stand() -> None:
    metrics = Metrics("test", 3, TABLE)
    stored = metrics.counter(STORES, outcome="stored")
    refused = metrics.counter(STORES, outcome="refused")
    lag = [7.0]
    metrics.watch(LAG, lambda: lag[0])
    metrics.watch(HELD, lambda: 1024)
    commit = metrics.distribution(COMMIT, mode="full")
    stored.add()
    stored.add(4)
    refused.add()
    for value in (0.0005, 0.001, 0.002, 0.05, 9):
        commit.record(value)
    assert shown(metrics) == {
        ("naisho_test_stores_total", labels(outcome="stored")): 5,
        ("naisho_test_stores_total", labels(outcome="refused")): 1,
        ("naisho_test_lag", labels()): 7,
        ("naisho_test_held_bytes", labels()): 1024,
        ("naisho_test_commit_seconds_bucket", labels(mode="full", le="0.001")): 2,
        ("naisho_test_commit_seconds_bucket", labels(mode="full", le="0.01")): 3,
        ("naisho_test_commit_seconds_bucket", labels(mode="full", le="0.1")): 4,
        ("naisho_test_commit_seconds_bucket", labels(mode="full", le="+Inf")): 5,
        ("naisho_test_commit_seconds_count", labels(mode="full")): 5,
        ("naisho_test_commit_seconds_sum", labels(mode="full")): pytest.approx(9.0535),
    }
    lag[0] = 2
    stored.add(10)
    assert shown(metrics)["naisho_test_lag", labels()] == 2
    assert shown(metrics)["naisho_test_stores_total", labels(outcome="stored")] == 15


def test_instances_in_one_process_are_apart_and_stand_under_one_heading() -> None:
    instances = [Metrics("test", node, TABLE) for node in (1, 2)]
    for number, metrics in enumerate(instances, 1):
        metrics.counter(STORES, outcome="stored").add(number)
        metrics.distribution(COMMIT, mode="full").record(number)
    text = TelemetryEndpoint("127.0.0.1", 0, instances, ()).exposition().decode()
    assert text.count("# TYPE naisho_test_stores_total counter") == 1
    assert text.count("# TYPE naisho_test_commit_seconds histogram") == 1
    samples = shown(*instances)
    for node in (1, 2):
        assert samples["naisho_test_stores_total", labels(str(node), outcome="stored")] == node
        assert samples["naisho_test_commit_seconds_sum", labels(str(node), mode="full")] == node


def test_nothing_is_global_and_everything_can_be_made_again() -> None:
    for _ in range(3):
        metrics = Metrics("test", 1, TABLE)
        metrics.counter(STORES, outcome="stored").add()
        assert shown(metrics) == {("naisho_test_stores_total", labels("1", outcome="stored")): 1}
        metrics.close()


def test_the_process_itself_is_shown() -> None:
    text = TelemetryEndpoint("127.0.0.1", 0, [Metrics("test", 1, TABLE)], ()).exposition().decode()
    assert "process_resident_memory_bytes " in text


def test_no_exemplars_no_scope_no_target() -> None:
    metrics = Metrics("test", 1, TABLE)
    metrics.counter(STORES, outcome="stored").add()
    metrics.distribution(COMMIT, mode="full").record(1)
    text = TelemetryEndpoint("127.0.0.1", 0, [metrics], ()).exposition().decode()
    assert "otel" not in text
    assert "target" not in text
    assert "trace_id" not in text


@pytest.mark.parametrize("value", ["05" + "ab" * 32, "203.0.113.7", "lost", ""])
def test_a_label_value_that_is_not_declared_is_refused_and_not_quoted(value: str) -> None:
    metrics = Metrics("test", 1, TABLE)
    for bind in (lambda: metrics.counter(STORES, outcome=value), lambda: metrics.distribution(COMMIT, mode=value)):
        with pytest.raises(InstrumentError) as caught:
            bind()
        assert not value or value not in str(caught.value)
    assert shown(metrics) == {}


def test_a_label_that_is_not_declared_or_missing_is_refused() -> None:
    metrics = Metrics("test", 1, TABLE)
    with pytest.raises(InstrumentError, match="outcome"):
        metrics.counter(STORES, outcome="stored", account="x")
    with pytest.raises(InstrumentError, match="outcome"):
        metrics.counter(STORES)


def test_what_is_not_in_the_table_or_of_another_kind_is_refused() -> None:
    metrics = Metrics("test", 1, [STORES, COMMIT])
    with pytest.raises(InstrumentError, match="naisho_test_lag"):
        metrics.watch(LAG, lambda: 1)
    with pytest.raises(InstrumentError, match="naisho_test_commit"):
        metrics.watch(COMMIT, lambda: 1, mode="full")
    with pytest.raises(InstrumentError, match="naisho_test_stores"):
        metrics.distribution(STORES, outcome="stored")
    twin = Instrument(Kind.COUNTER, STORES.name, "another of this name", labels=STORES.labels)
    with pytest.raises(InstrumentError):
        metrics.counter(twin, outcome="stored")
    with pytest.raises(InstrumentError, match="twice"):
        Metrics("test", 1, [STORES, twin])


def test_a_series_is_bound_once() -> None:
    metrics = Metrics("test", 1, TABLE)
    metrics.counter(STORES, outcome="stored")
    with pytest.raises(InstrumentError, match="twice"):
        metrics.counter(STORES, outcome="stored")


@pytest.mark.parametrize(
    ("service", "node"), [("05" + "ab" * 32, 1), ("swarm", -1), ("swarm", 10_000), ("", 1), ("a b", 1)]
)
def test_an_instance_is_named_by_a_word_and_a_small_number(service: str, node: int) -> None:
    with pytest.raises(InstrumentError):
        Metrics(service, node, TABLE)


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "requests"},
        {"name": "naisho_Bad"},
        {"labels": {"Outcome": ("a",)}},
        {"labels": {"node": ("a",)}},
        {"labels": {"outcome": ()}},
        {"labels": {"outcome": ("a", "a")}},
        {"labels": {"outcome": ("05" + "ab" * 32,)}},
        {"labels": {"outcome": ("203.0.113.7",)}},
        {"labels": {"one": tuple("abcdefghijklmnopq"), "two": tuple("abcdefghijklmnopq")}},
        {"bounds": (1.0,)},
        {"kind": Kind.DISTRIBUTION},
        {"kind": Kind.DISTRIBUTION, "bounds": (2.0, 1.0)},
        {"kind": Kind.DISTRIBUTION, "bounds": (1.0, 1.0)},
    ],
)
def test_declarations_that_break_the_rules_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InstrumentError):
        Instrument(**{"kind": Kind.COUNTER, "name": "naisho_test_x", "help": "x", **wrong})


def test_adding_costs_next_to_nothing() -> None:
    """Beside a plain function call, in the same run; OpenTelemetry's own counter costs more than ten times this."""
    metrics = Metrics("test", 1, TABLE)
    add = metrics.counter(STORES, outcome="stored").add

    def plain(count: int = 1) -> int:
        return count

    def cost(function: Any) -> float:
        began = time.process_time()
        for _ in range(50_000):
            function()
        return time.process_time() - began

    pairs = [(cost(add), cost(plain)) for _ in range(7)]
    assert min(mine / max(theirs, 1e-9) for mine, theirs in pairs) < 4
