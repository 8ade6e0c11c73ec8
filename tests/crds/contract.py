"""``rules.yaml``, read: what the rules accept and refuse, whoever checks them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from tests.crds.definitions import Resource

FILE: Final = Path(__file__).parent / "rules.yaml"


@dataclass(frozen=True, slots=True)
class Stated:
    """A rule as it is stated.

    Attributes:
        name: its id.
        kind: of the objects that it is about.
        at: the value that it is about; the root if empty.
        cel: an API server checks it.
        operator: the operator must check it as well.
        message: what is answered.
        reserved: names of settings by container, for the one rule about them.
    """

    name: str
    kind: str
    at: str
    cel: bool
    operator: bool
    message: str
    reserved: dict[str, list[str]]


@dataclass(frozen=True, slots=True)
class Case:
    """An object, and what the rules say of it; ``old`` is ``None`` for a creation."""

    name: str
    kind: str
    old: Resource | None
    new: Resource
    broken: frozenset[str]
    shows: frozenset[str]


@cache
def _content() -> dict[str, Any]:
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


def stated() -> dict[str, Stated]:
    """Return all rules by id."""
    return {
        name: Stated(
            name,
            kind=rule["kind"],
            at=rule["at"],
            cel=rule["cel"] is True,
            operator=rule["operator"],
            message=rule["message"],
            reserved=rule.get("reserved", {}),
        )
        for name, rule in _content()["rules"].items()
    }


def cases() -> list[Case]:
    """Return all cases."""
    return [
        Case(
            case["name"],
            kind=case["kind"],
            old=case.get("old"),
            new=case["new"],
            broken=frozenset(case["broken"]),
            shows=frozenset(case.get("shows", [])),
        )
        for case in _content()["cases"]
    ]
