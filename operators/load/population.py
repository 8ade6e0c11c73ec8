"""The simulated accounts. Pure, but for drawing their keys."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from naisho.protocol import ring
from naisho.protocol.account import SHORT_SEED_BYTES, AccountId, AccountKeys


@dataclass(frozen=True, slots=True, eq=False)
class Simulated:
    """One account that nobody owns.

    Attributes:
        number: tells it from the others of this run.
        keys: its secrets.
        account: who it is.
        position: on the ring of swarms.

    """

    number: int
    keys: AccountKeys
    account: AccountId
    position: int


def draw_accounts(count: int, random: Callable[[int], bytes] = os.urandom) -> Sequence[Simulated]:
    """Return new accounts, strangers to every other run.

    Args:
        count: how many.
        random: returns so many random bytes.
    """
    drawn = []
    for number in range(count):
        keys = AccountKeys(random(SHORT_SEED_BYTES))
        drawn.append(Simulated(number, keys, keys.account_id, ring.position(keys.account_id.key)))
    return drawn
