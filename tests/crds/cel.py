"""The definitions' CEL rules, evaluated in Python (cel-python), not by an API server.

What Kubernetes adds to CEL and the rules use is written here once more: quantities, transition rules (those that name
``oldSelf`` are asked of updates alone, where the value was there before), and what of ``metadata`` a rule may see.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import cache
from typing import Any, Final, NamedTuple, Self, cast

import celpy
from celpy import celtypes
from celpy.adapter import json_to_cel
from celpy.evaluation import CELEvalError

from tests.crds.definitions import VALIDATIONS, Definition, Resource, Schema
from tests.crds.quantities import parse_quantity

#: What a rule at the root may see of the metadata.
_SEEN_METADATA: Final = ("name", "generateName")


@dataclass(frozen=True, slots=True)
class Rule:
    """One CEL rule.

    Attributes:
        path: of the value that it is about, as in ``definitions.Field``.
        text: the expression.
        message: what is answered if it is false.
    """

    path: str
    text: str
    message: str

    @property
    def is_transition(self) -> bool:
        return re.search(r"\boldSelf\b", self.text) is not None


class CannotBeEvaluated(Exception):
    """An expression names a key that is not there, or compares what cannot be compared."""


class Verdict(NamedTuple):
    """What became of an object.

    Attributes:
        asked: rules that were evaluated.
        broken: those of them that were false.
    """

    asked: frozenset[Rule]
    broken: frozenset[Rule]


class _Quantity(celtypes.DoubleType):
    """A quantity within an expression; exact, whatever the float beneath it is."""

    exact: Decimal

    def __new__(cls, text: celtypes.StringType) -> Self:
        exact = parse_quantity(str(text))
        made = cast("Self", super().__new__(cls, float(exact)))
        made.exact = exact
        return made


def _quantity(text: celtypes.StringType) -> _Quantity:
    return _Quantity(text)


def _compare_to(left: _Quantity, right: _Quantity) -> celtypes.IntType:
    return celtypes.IntType(int(left.exact.compare(right.exact)))


def rules_of(definition: Definition) -> list[Rule]:
    """Return all rules of a definition."""
    return [
        Rule(field.path, rule["rule"], rule["message"])
        for field in definition.fields()
        for rule in field.schema.get(VALIDATIONS, [])
    ]


def parse(text: str) -> Any:
    """Return the expression's syntax tree (of lark).

    Raises:
        celpy.CELParseError: it is no expression.
    """
    return celpy.Environment().compile(text)


@cache
def _program(text: str) -> celpy.Runner:
    functions = {"quantity": _quantity, "compareTo": _compare_to}
    return celpy.Environment().program(parse(text), functions=cast("Any", functions))


def holds(rule: Rule, value: Any, old: Any = None) -> bool:
    """Evaluate a rule; a missing key or a wrong type is an error, as it is to an API server.

    Raises:
        CannotBeEvaluated: the expression has no answer for these values.
    """
    activation = {"self": json_to_cel(value), "oldSelf": json_to_cel(old)}
    try:
        answer = _program(rule.text).evaluate(cast("Any", activation))
    except CELEvalError as error:
        raise CannotBeEvaluated(f"{rule.text}: {error}") from error
    if not isinstance(answer, celtypes.BoolType):
        raise CannotBeEvaluated(f"{rule.text} is {answer!r}")
    return bool(answer)


def judge(definition: Definition, old: Resource | None, new: Resource) -> Verdict:
    """Ask all rules that an API server would ask of a creation (no old object) or an update.

    Both objects must have their defaults.
    """
    asked, broken = set(), set()
    for rule, value, before in _questions(definition.schema, "", _visible(new), None if old is None else _visible(old)):
        asked.add(rule)
        if not holds(rule, value, before):
            broken.add(rule)
    return Verdict(frozenset(asked), frozenset(broken))


def _visible(resource: Resource) -> Resource:
    metadata = {name: resource["metadata"][name] for name in _SEEN_METADATA if name in resource["metadata"]}
    return {**resource, "metadata": metadata}


def _questions(schema: Schema, path: str, value: Any, old: Any) -> Iterator[tuple[Rule, Any, Any]]:
    for each in schema.get(VALIDATIONS, []):
        rule = Rule(path, each["rule"], each["message"])
        if old is not None or not rule.is_transition:
            yield rule, value, old
    if not isinstance(value, dict):
        return
    for name, inner in schema.get("properties", {}).items():
        if name in value:
            before = old.get(name) if isinstance(old, dict) else None
            yield from _questions(inner, f"{path}.{name}", value[name], before)
