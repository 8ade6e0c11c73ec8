"""Which of a NodePool's wishes is gone by: the present one, or the last that broke no rule.

The last accepted spec stands in an annotation of the pool, so that it outlives the operator.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from operators.membership.domain.pool.rules import broken_rules

#: Annotation of a NodePool: the spec that was accepted last, as JSON.
ACCEPTED: Final = "naisho.dev/accepted"


class Accepted(NamedTuple):
    """What a pool's wish comes to.

    Attributes:
        body: the NodePool to go by; its ``spec`` may be an earlier one.
        problems: the answers of the rules that the present spec breaks; empty if it is gone by.
        annotation: what ``ACCEPTED`` is to say; ``None`` if it says so already, or must stay as it is.
    """

    body: Mapping[str, Any]
    problems: tuple[str, ...] = ()
    annotation: str | None = None


def accepted(pool: Mapping[str, Any]) -> Accepted:
    """Return which wish of a NodePool object to go by.

    A spec that breaks a rule is not followed: the last accepted one counts, except that ``paused`` is always obeyed.
    If none was ever accepted, the pool counts as paused: nothing is made, and nothing that is there is touched.
    """
    spec = dict(pool.get("spec") or {})
    text = (pool["metadata"].get("annotations") or {}).get(ACCEPTED)
    before = _read(text)
    broken = broken_rules("NodePool", None if before is None else {**pool, "spec": before}, pool)
    if not broken:
        now = json.dumps(spec, sort_keys=True)
        return Accepted(pool, annotation=None if text == now else now)
    paused = before is None or spec.get("paused", False)
    to_go_by = {**(spec if before is None else before), **({"paused": True} if paused else {})}
    return Accepted({**pool, "spec": to_go_by}, tuple(dict.fromkeys(rule.message for rule in broken)))


def _read(text: str | None) -> dict[str, Any] | None:
    """Return what an annotation holds; ``None`` if there is none, or somebody has damaged it."""
    try:
        found = json.loads(text or "null")
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
