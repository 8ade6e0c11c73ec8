"""The metrics of one instance of a service, kept as plain numbers and shown through OpenTelemetry when asked.

Adding to a counter is one addition of two integers; OpenTelemetry's own costs microseconds and a lock. What is kept
here belongs to one event loop: add from its thread only.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import accumulate
from typing import Any, Final

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client import CollectorRegistry
from prometheus_client.core import HistogramMetricFamily, Metric

from services.chassis.telemetry.instruments import Instrument, InstrumentError, Kind

_Labels = tuple[tuple[str, str], ...]


class Counter:
    """A sum that only grows, bound to its labels."""

    __slots__ = ("value",)

    def __init__(self) -> None:
        self.value = 0

    def add(self, count: int = 1) -> None:
        """Count `count` more."""
        self.value += count


class Distribution:
    """How often a value fell between bounds, bound to its labels."""

    __slots__ = ("_bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def record(self, value: float) -> None:
        """Count a value, in the instrument's unit."""
        self.counts[bisect_left(self._bounds, value)] += 1
        self.sum += value


class Metrics:
    """What one instance of a service measures.

    Args:
        service: a short word, such as ``swarm``.
        node: tells instances apart; a small number given by the operator, never a key or an address.
        instruments: the service's table; only these can be used.

    Raises:
        InstrumentError: two instruments of one name, or no short word and small number.
    """

    def __init__(self, service: str, node: int, instruments: Iterable[Instrument]) -> None:
        if not (service.isascii() and service.isalpha() and len(service) <= 12 and 0 <= node < 10_000):  # noqa: PLR2004 - said above
            raise InstrumentError("a service is a short word and a node a number below 10,000")
        self._identity = {"node": str(node), "service": service}
        self._instruments: dict[str, Instrument] = {}
        for instrument in instruments:
            if self._instruments.setdefault(instrument.name, instrument) is not instrument:
                raise InstrumentError(f"declared twice: {instrument.name}")
        self._numbers: dict[str, dict[_Labels, Callable[[], float]]] = {}
        self._distributions: dict[str, dict[_Labels, Distribution]] = {}
        self._registry = CollectorRegistry(auto_describe=False)
        reader = PrometheusMetricReader(
            disable_target_info=True,
            scope_info_enabled=False,
            registry=self._registry,
            resource_attribute_filter=self._identity.__contains__,
        )
        self._provider = MeterProvider(
            [reader], Resource(self._identity), exemplar_filter=AlwaysOffExemplarFilter(), shutdown_on_exit=False
        )
        self._meter = self._provider.get_meter("naisho")

    def counter(self, instrument: Instrument, **labels: str) -> Counter:
        """Bind a counter to its labels, once, where the service is put together."""
        counter = Counter()
        self.watch(instrument, lambda: counter.value, **labels)
        return counter

    def distribution(self, instrument: Instrument, **labels: str) -> Distribution:
        """Bind a distribution to its labels, once, where the service is put together."""
        self._check(instrument, labels, Kind.DISTRIBUTION)
        key = tuple(sorted(labels.items()))
        return self._distributions.setdefault(instrument.name, {}).setdefault(key, Distribution(instrument.bounds))

    def watch(self, instrument: Instrument, read: Callable[[], float], **labels: str) -> None:
        """Show what `read` returns whenever somebody looks: a gauge, or a counter that is kept elsewhere.

        Raises:
            InstrumentError: undeclared, or bound already.
        """
        self._check(instrument, labels, Kind.COUNTER, Kind.GAUGE)
        key = tuple(sorted(labels.items()))
        if instrument.name not in self._numbers:
            self._numbers[instrument.name] = {}
            make: Callable[..., Any] = (
                self._meter.create_observable_counter
                if instrument.kind is Kind.COUNTER
                else self._meter.create_observable_gauge
            )
            observe = partial(_observe, self._numbers[instrument.name])
            make(instrument.name, [observe], unit=instrument.unit, description=instrument.help)
        if key in self._numbers[instrument.name]:
            raise InstrumentError(f"bound twice: {instrument.name}")
        self._numbers[instrument.name][key] = read

    def collect(self) -> list[Metric]:
        """Return everything as it stands, in Prometheus's terms, each sample with ``service`` and ``node``."""
        return [*self._registry.collect(), *map(self._family, self._distributions)]

    def close(self) -> None:
        """Let go of OpenTelemetry's parts."""
        self._provider.shutdown()

    def _check(self, instrument: Instrument, labels: dict[str, str], *kinds: Kind) -> None:
        if self._instruments.get(instrument.name) is not instrument or instrument.kind not in kinds:
            raise InstrumentError(f"not a declared {kinds[0].value}: {instrument.name}")
        instrument.check(labels)

    def _family(self, name: str) -> Metric:
        instrument = self._instruments[name]
        names = [*self._identity, *sorted(instrument.labels)]
        family = HistogramMetricFamily(name, instrument.help, labels=names, unit=_SHOWN_UNITS.get(instrument.unit, ""))
        for labels, distribution in self._distributions[name].items():
            bounds = [*map(str, instrument.bounds), "+Inf"]
            buckets = list(zip(bounds, accumulate(distribution.counts), strict=True))
            values = [*self._identity.values(), *(value for _, value in labels)]
            family.add_metric(values, buckets, distribution.sum)
        return family


#: OpenTelemetry's exporter spells units out in this way; distributions, which it has no cheap form for, do as it does.
_SHOWN_UNITS: Final = {"s": "seconds", "By": "bytes"}


def _observe(readings: dict[_Labels, Callable[[], float]], _: CallbackOptions) -> Iterable[Observation]:
    return [Observation(read(), dict(labels)) for labels, read in readings.items()]
