"""Steps of a conversation between two of our own clients, each with what can be said of it as JSON values."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any, Final, TypeVar

from naisho import Client
from naisho.conversation.sending import Delivery
from naisho.events import Event
from naisho.paths.status import PathStatus

E = TypeVar("E", bound=Event)

#: An answer that takes longer than this is none.
ANSWER_WITHIN_S: Final = 30.0


class TalkFailed(Exception):
    """A step of the conversation failed; the text says how."""


class NothingArrived(TalkFailed):
    """What was waited for did not come in time."""


async def next_event(client: Client, kind: type[E], within_s: float = ANSWER_WITHIN_S) -> E:
    """Return the next event of a kind that a client's mailbox has.

    Raises:
        NothingArrived: none in time.
    """
    try:
        async with asyncio.timeout(within_s), aclosing(client.listen()) as events:
            async for event in events:
                if isinstance(event, kind):
                    return event
    except TimeoutError:
        pass
    raise NothingArrived("nothing arrived")


def describe_path(status: PathStatus) -> dict[str, Any]:
    """Return light, proof, grade and hops of a path.

    Raises:
        TalkFailed: there is no path.
    """
    if status.path is None:
        raise TalkFailed(f"no path could be built: {status.cause}")
    view = status.path.describe()
    return {
        "light": status.light.value,
        "proof_ms": status.proof_ms,
        "grade": view.grade.label,
        "simulated": view.simulated,
        "hops": [{"role": h.role.value, "node": h.node, "family": h.family, "country": h.country} for h in view.hops],
    }


def describe_delivery(delivery: Delivery) -> dict[str, Any]:
    """Return how many members signed for a message, and how long it took there and back.

    Raises:
        TalkFailed: nobody took it.
    """
    receipt = delivery.receipt
    if receipt is None:
        raise TalkFailed(f"nothing was stored: {delivery.error}")
    return {"receipts": f"{receipt.count} of {receipt.asked}", "took_ms": delivery.took_ms}
