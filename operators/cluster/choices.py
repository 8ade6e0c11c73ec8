"""Options that the commands share, spelled as kubectl spells them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, TypeVar

import click

from naisho.texts import Texts

F = TypeVar("F", bound=Callable[..., Any])
_UNITS: Final = {"": 1, "s": 1, "m": 60, "h": 3600}


class Duration(click.ParamType[float]):
    """A time such as ``90s``, ``10m``, ``1h30m``; a bare number means seconds.

    >>> Duration(Texts("en", {})).convert("1h30m", None, None)
    5400.0
    """

    name = "duration"

    def __init__(self, texts: Texts) -> None:
        self._texts = texts

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return seconds."""
        if isinstance(value, float):
            return value
        parts = re.findall(r"(\d+)([smh]?)", str(value))
        if not parts or "".join(map("".join, parts)) != value:
            self.fail(self._texts("usage.duration", given=value), param, ctx)
        return float(sum(int(count) * _UNITS[unit] for count, unit in parts))


def with_target(texts: Texts, *, pool: bool = False) -> Callable[[F], F]:
    """Give a command ``-n``, ``--context`` and ``--kubeconfig``, and ``--pool`` if it is about pools."""

    def decorate(command: F) -> F:
        if pool:
            command = click.option("--pool", metavar=texts("metavars.pool"), help=texts("help.pool"))(command)
        for names, key in ((("--kubeconfig",), "kubeconfig"), (("--context",), "context")):
            command = click.option(*names, metavar=texts(f"metavars.{key}"), help=texts(f"help.{key}"))(command)
        metavar, text = texts("metavars.namespace"), texts("help.namespace")
        return click.option("-n", "--namespace", metavar=metavar, help=text)(command)

    return decorate
