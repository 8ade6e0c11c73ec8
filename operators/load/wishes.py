"""Options of ``naisho load`` that are more than a word or a number, and what they amount to. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import click

from naisho.protocol.limits import MAX_TTL_PUBLIC_INBOX_MS, MIN_TTL_MS
from naisho.texts import Texts
from operators.load.errors import BadPlan
from operators.load.plan import Phase, Plan, read_seconds

T = TypeVar("T")


class Reads(click.ParamType[T], Generic[T]):
    """An option that a function reads from text.

    Args:
        name: of what it is; ``wrong.<name>`` in the catalogs says what would be right.
        read: raises `BadPlan` for what it cannot read.
        texts: the user's language.

    """

    def __init__(self, name: str, read: Callable[[str], T], texts: Texts) -> None:
        self.name = name
        self._read = read
        self._texts = texts

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> T:
        """Return what the text says, or fail with what would be right."""
        if not isinstance(value, str):
            read: T = value
            return read
        try:
            return self._read(value)
        except BadPlan:
            self.fail(self._texts(f"wrong.{self.name}", given=value), param, ctx)


def read_lifetime(text: str) -> float:
    """Read how long messages live.

    >>> read_lifetime("1h")
    3600.0

    Raises:
        BadPlan: no time, or one that no node takes.
    """
    seconds = read_seconds(text)
    if not MIN_TTL_MS <= seconds * 1000 <= MAX_TTL_PUBLIC_INBOX_MS:
        raise BadPlan(f"{text}: messages live between 10 s and 14 days")
    return seconds


def plan_of(rate: float | None, seconds: float | None, ramps: Sequence[Phase], usual: tuple[float, float]) -> Plan:
    """Return the plan that options amount to.

    Without ramps: one rate for a time. With ramps: these, and then the rate (if none is given, that at which the last
    ramp ends) for a time, if one is given.

    Args:
        rate: of ``--rate``.
        seconds: of ``--for``.
        ramps: of ``--ramp``, in order.
        usual: rate and seconds, if neither is said in any way.

    Raises:
        BadPlan: nothing ever arrives.
    """
    if not ramps:
        held = seconds if seconds is not None else usual[1]
        return Plan.steady(rate if rate is not None else usual[0], held)
    plateau = rate if rate is not None else ramps[-1].end
    phases = list(ramps)
    if seconds is not None or rate is not None:
        phases.append(Phase(plateau, plateau, seconds if seconds is not None else usual[1]))
    return Plan.of(phases)
