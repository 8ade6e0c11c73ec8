"""What the storage methods work with."""

from __future__ import annotations

from asyncio import Lock
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias

from naisho.protocol.limits import MAX_RETRIEVE_BYTES
from services.swarm.domain import node_views
from services.swarm.domain.admission import Places
from services.swarm.domain.authentication import Credentials
from services.swarm.domain.policies import Retention
from services.swarm.domain.ports import Mailboxes, NodeList, Refused

#: Returns milliseconds since 1970.
Clock: TypeAlias = Callable[[], int]


@dataclass(frozen=True, slots=True)
class Service:
    """One node's mailboxes and surroundings."""

    mailboxes: Mailboxes
    nodes: NodeList
    clock: Clock
    retention: Retention
    #: Version of the storage server that this node says it is.
    version: tuple[int, int, int]
    #: Draws samples of nodes.
    rng: Random

    def check_swarm(self, account: bytes) -> None:
        """Refuse a request about an account that another swarm keeps.

        Raises:
            Refused: 421 with that swarm's nodes.
        """
        swarm = node_views.swarm_of(account, self.nodes)
        if swarm != self.nodes.own_swarm:
            raise Refused(421, node_views.swarm_view(swarm, self.nodes))

    async def revoked(self, credentials: Credentials | None) -> Collection[bytes]:
        """Return the revocations to check credentials against."""
        if credentials is None or credentials.token is None:
            return ()
        return await self.mailboxes.revoked(credentials.account)


@dataclass(slots=True)
class Allowance:
    """What one request may still do, its sub-requests together: bytes of messages to list, one listing at a time.

    Clients divide the cap among the listings of a batch; those that do not get empty listings with ``more`` once it is
    used up, so that an answer always fits into an onion's reply.
    """

    remaining: int = MAX_RETRIEVE_BYTES
    turn: Lock = field(default_factory=Lock)
    #: Places of commands that were let in together.
    places: Places | None = None
