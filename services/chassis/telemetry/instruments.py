"""How a service declares what it measures."""

from __future__ import annotations

import enum
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

#: Time series of one instrument, at most.
_MOST_SERIES: Final = 256
_NAME: Final = re.compile(r"naisho_[a-z][a-z0-9_]{2,60}")
_LABEL: Final = re.compile(r"[a-z][a-z_]{1,20}")
#: A label's value is a word, never long enough to be a key, a hash or an address.
_VALUE: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,23}")
#: Set by `Metrics`, or by the exposition format.
_RESERVED: Final = frozenset({"node", "service", "le", "quantile"})


class InstrumentError(ValueError):
    """An instrument, label or value was not declared, or must not be: a mistake in the program."""


class Kind(enum.Enum):
    """What an instrument measures."""

    #: A sum that only grows.
    COUNTER = "counter"
    #: A value that goes up and down, asked for when somebody looks.
    GAUGE = "gauge"
    #: How often a value fell between given bounds.
    DISTRIBUTION = "distribution"


@dataclass(frozen=True)
class Instrument:
    """One line of a service's table of instruments. Ask of each whether it should exist.

    Attributes:
        kind: what it measures.
        name: ``naisho_<service>_<what>``; the unit is appended when shown.
        help: a sentence for the operator.
        unit: in OpenTelemetry's manner: ``s``, ``By``, or a plural such as ``messages`` in braces; empty for a count.
        labels: for each label, every value that it may take.
        bounds: of a distribution, upper bounds in ascending order.

    Raises:
        InstrumentError: it breaks a rule of this module.
    """

    kind: Kind
    name: str
    help: str
    unit: str = ""
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    bounds: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise InstrumentError(f"not a name for an instrument: {self.name}")
        for label, values in self.labels.items():
            if not _LABEL.fullmatch(label) or label in _RESERVED:
                raise InstrumentError(f"{self.name}: not a name for a label: {label}")
            if not values or len(set(values)) != len(values) or not all(map(_VALUE.fullmatch, values)):
                raise InstrumentError(f"{self.name}: a label's values are distinct short words: {label}")
        if math.prod(len(values) for values in self.labels.values()) > _MOST_SERIES:
            raise InstrumentError(f"{self.name}: more than {_MOST_SERIES} series")
        if bool(self.bounds) != (self.kind is Kind.DISTRIBUTION) or list(self.bounds) != sorted(set(self.bounds)):
            raise InstrumentError(f"{self.name}: a distribution, and nothing else, has ascending bounds")

    def check(self, labels: Mapping[str, str]) -> None:
        """Raise `InstrumentError` unless these are the declared labels with declared values."""
        if labels.keys() != self.labels.keys():
            raise InstrumentError(f"{self.name} has the labels {sorted(self.labels)}")
        for label, value in labels.items():
            if value not in self.labels[label]:
                raise InstrumentError(
                    f"{self.name}: not a declared value of {label}"
                )  # never quoted: it may be one's id
