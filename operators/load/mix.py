"""What the simulated accounts do, and how often. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import accumulate
from random import Random

from operators.load.errors import BadPlan


class Operation(StrEnum):
    """One request of an account."""

    STORE = "store"
    RETRIEVE = "retrieve"
    #: Unsending a message.
    DELETE = "delete"
    #: Having a message live longer.
    EXTEND = "extend"

    @property
    def changes(self) -> bool:
        """Whether it changes a mailbox, so that it matters whether it was done."""
        return self is not Operation.RETRIEVE


@dataclass(frozen=True)
class Mix:
    """Weights of operations; only their ratios count."""

    weights: Mapping[Operation, float]

    def __post_init__(self) -> None:
        """Check that something happens."""
        if any(weight < 0 for weight in self.weights.values()) or not 0 < sum(self.weights.values()) < float("inf"):
            raise BadPlan("weights are 0 or more, and at least one is more")

    @classmethod
    def parse(cls, text: str) -> Mix:
        """Read weights.

        >>> Mix.parse("store=6,retrieve=3,delete=1").text
        'store=6,retrieve=3,delete=1'

        Raises:
            BadPlan: an unknown name, or no weights.
        """
        weights: dict[Operation, float] = {}
        for part in text.split(","):
            name, _, weight = part.strip().partition("=")
            try:
                weights[Operation(name)] = float(weight)
            except ValueError as error:
                names = ", ".join(Operation)
                raise BadPlan(f"{part}: a mix is NAME=WEIGHT,… of {names}, such as store=6,retrieve=3") from error
        return cls(weights)

    @property
    def text(self) -> str:
        """The mix as it is written."""
        return ",".join(f"{operation}={weight:g}" for operation, weight in self.weights.items())

    def draw(self, random: Random) -> Operation:
        """Return the next operation."""
        names, sums = self._sums
        return random.choices(names, cum_weights=sums)[0]

    @cached_property
    def _sums(self) -> tuple[list[Operation], list[float]]:
        return list(self.weights), list(accumulate(self.weights.values()))
