"""Letting a node leave: say the wish, then follow what the operator makes of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple

from operators.cluster.errors import DrainRefused, DrainTimedOut, NotFound, PoolPaused, UnknownNode
from operators.cluster.kube import Cluster
from operators.cluster.names import (
    DRAIN,
    NO_REPLACEMENT,
    NODE_POOL,
    SERVICE_NODE,
    SKIP_DRAIN,
    Object,
    condition_of,
    name_of,
    status_of,
)

#: How often the node is looked at. Looking again is sure where a watch may have gone deaf.
LOOK_EVERY_S: Final = 1.0
#: A refusal that stood there before the wish counts when the operator had this long to think again.
RECONSIDERED_WITHIN_S: Final = 20.0
_NAMED: Final = 20
LEFT: Final = ("Drained", "Gone")

Tell = Callable[[Mapping[str, Any]], None]


class Wish(NamedTuple):
    """How a node shall leave.

    Attributes:
        node: its ServiceNode's name.
        replace: let the operator make another one for it.
        skip: do not wait until the others hold everything.

    """

    node: str
    replace: bool = True
    skip: bool = False

    def annotations(self) -> dict[str, str]:
        """Return the wish as the operator reads it."""
        asked = {DRAIN: True, SKIP_DRAIN: self.skip, NO_REPLACEMENT: not self.replace}
        return {name: "true" for name, wished in asked.items() if wished}


class Patience(NamedTuple):
    """How long is waited; the defaults are for people, tests take less."""

    seconds: float
    look_every_s: float = LOOK_EVERY_S
    reconsidered_within_s: float = RECONSIDERED_WITHIN_S


async def ask_to_leave(cluster: Cluster, wish: Wish) -> Object:
    """Write the wish at the node and return the node as it was before.

    Raises:
        UnknownNode: no node of that name.
        PoolPaused: the operator only watches, so nothing would come of it.
    """
    try:
        node = await cluster.get(SERVICE_NODE, wish.node)
    except NotFound:
        known = sorted(map(name_of, await cluster.list(SERVICE_NODE)))
        shown = ", ".join(known[:_NAMED]) + (" …" if known[_NAMED:] else "")
        raise UnknownNode(node=wish.node, namespace=cluster.namespace, known=shown or "–") from None
    if has_left(node):
        return node
    await _refuse_paused(cluster, str(node["spec"]["pool"]))
    await cluster.annotate(SERVICE_NODE, wish.node, wish.annotations())
    return node


async def wait_until_left(cluster: Cluster, before: Object, patience: Patience, tell: Tell) -> dict[str, Any]:
    """Follow a node until it has left and return its last state.

    Args:
        cluster: where.
        before: the node as it was before the wish.
        patience: how long to wait.
        tell: is told every new state.

    Raises:
        DrainRefused: the operator refuses.
        DrainTimedOut: the node has not left in time; it goes on leaving.
    """
    name, began = name_of(before), time.monotonic()
    known: dict[str, Any] = {}
    while True:
        waited = time.monotonic() - began
        state = describe_leaving(await _look(cluster, before), name)
        if state != known:
            known = state
            tell(state)
        if state["left"]:
            return state
        if state["refused"] and (not _same_refusal(before, state) or waited >= patience.reconsidered_within_s):
            raise DrainRefused(node=name, reason=state["message"] or "–", namespace=cluster.namespace)
        if waited >= patience.seconds:
            reason = state["message"] or state["reason"] or "–"
            phase, seconds = state["state"] or "–", round(patience.seconds)
            raise DrainTimedOut(node=name, seconds=seconds, phase=phase, reason=reason, namespace=cluster.namespace)
        await asyncio.sleep(min(patience.look_every_s, patience.seconds - waited))


def describe_leaving(node: Object | None, name: str) -> dict[str, Any]:
    """Return how far a node's leaving is, as JSON values; None is a node that is gone."""
    if node is None:
        return {"node": name, "state": "Gone", "left": True, "refused": False, "reason": None, "message": ""}
    condition = condition_of(node, "Drained")
    return {
        "node": name,
        "state": status_of(node).get("phase"),
        "left": has_left(node),
        "refused": condition.get("reason") == "Refused",
        "reason": condition.get("reason"),
        "message": condition.get("message") or status_of(node).get("reason") or "",
    }


def has_left(node: Object) -> bool:
    """Tell whether a node has handed everything over, or is gone."""
    return status_of(node).get("phase") in LEFT


async def _look(cluster: Cluster, before: Object) -> Object | None:
    try:
        node = await cluster.get(SERVICE_NODE, name_of(before))
    except NotFound:
        return None
    return node if node["metadata"].get("uid") == before["metadata"].get("uid") else None


def _same_refusal(before: Object, state: Mapping[str, Any]) -> bool:
    """Tell whether the operator had refused in these words before it could read the wish."""
    old = condition_of(before, "Drained")
    return old.get("reason") == "Refused" and (old.get("message") or "") == state["message"]


async def _refuse_paused(cluster: Cluster, pool: str) -> None:
    try:
        spec = (await cluster.get(NODE_POOL, pool)).get("spec") or {}
    except NotFound:
        return
    if spec.get("paused"):
        raise PoolPaused(pool=pool, namespace=cluster.namespace)
