"""How a request gets to a member of a swarm: straight, or through an onion path."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from random import Random
from typing import NamedTuple, Protocol

import orjson

from naisho.errors import EntryUnreachable, NaishoError
from naisho.network.strikes import LIMIT, Strikes
from naisho.network.transport import NodeTransport, Silent, Unreachable
from naisho.paths.choosing import order_members
from naisho.paths.failures import Failure
from naisho.paths.keeper import PathKeeper
from naisho.paths.onion import OnionRequests
from naisho.protocol.directory import Node, NodeState
from naisho.protocol.onion.reply import NodeReply
from operators.load import outcomes
from operators.load.population import Simulated
from operators.load.requests import Request
from operators.load.surroundings import ForgetfulCache, SharedDirectory, Surroundings
from operators.load.wire import Cut

STORAGE_PATH = "/storage_rpc/v1"


class Attempt(NamedTuple):
    """One try to have a request answered.

    Attributes:
        member: who was asked; ``None`` if nobody could be.
        reply: what it said; ``None`` if nothing came.
        kind: of the error; empty with a reply.
        sent: the request may have been carried out.

    """

    member: Node | None
    reply: NodeReply | None
    kind: str = ""
    sent: bool = False


class Way(Protocol):
    """Carries requests to members."""

    async def carry(
        self, sender: Simulated, members: Sequence[Node], tried: Collection[bytes], request: Request, seconds: float
    ) -> Attempt:
        """Ask one member that was not tried yet, if there is one.

        Args:
            sender: whose mailbox is meant.
            members: its swarm.
            tried: keys of members that were asked in vain.
            request: method and parameters.
            seconds: until the answer must be here.
        """


class StraightWay:
    """HTTPS to the member itself."""

    def __init__(self, transport: NodeTransport, random: Random) -> None:
        self._transport = transport
        self._random = random
        self._strikes = Strikes(time.monotonic)

    async def carry(
        self, _sender: Simulated, members: Sequence[Node], tried: Collection[bytes], request: Request, seconds: float
    ) -> Attempt:
        """See `Way.carry`."""
        member = self._pick(members, tried)
        if member is None:
            return Attempt(None, None, outcomes.NO_MEMBER)
        method, params = request
        body = orjson.dumps({"method": method, "params": params})
        try:
            answer = await self._transport.post(member, STORAGE_PATH, body, seconds=seconds)
        except Unreachable:
            self._strikes.add(member.key, LIMIT)
            return Attempt(member, None, outcomes.UNREACHABLE)
        except Silent as silence:
            self._strikes.add(member.key)
            kind = outcomes.LOST if isinstance(silence, Cut) else outcomes.TIMED_OUT
            return Attempt(member, None, kind, sent=True)
        self._strikes.forgive(member.key)
        return Attempt(member, NodeReply(answer.status, answer.body.decode("utf-8", "replace")))

    def _pick(self, members: Sequence[Node], tried: Collection[bytes]) -> Node | None:
        """Return a member to ask; those missed by the network or by us only if nobody else is left."""
        left = [member for member in members if member.key not in tried]
        out = self._strikes.out()
        good = [member for member in left if member.state is NodeState.ACTIVE and member.key not in out]
        return self._random.choice(good or left) if left else None


class OnionWay:
    """Three nodes and the member, as any client goes; several clients' paths, so that all nodes have their part.

    Args:
        surroundings: the network.
        transport: connections.
        paths: how many clients' paths there are.
        random: where draws come from.

    """

    def __init__(self, surroundings: Surroundings, transport: NodeTransport, paths: int, random: Random) -> None:
        self._onion = OnionRequests(transport)
        self._random = random
        directory = SharedDirectory(surroundings)
        self._keepers = [
            PathKeeper(
                directory=directory,
                cache=ForgetfulCache(),
                strikes=Strikes(time.monotonic),
                clock=surroundings.clock,
                random=random,
                monotonic=time.monotonic,
            )
            for _ in range(paths)
        ]

    async def carry(
        self, sender: Simulated, members: Sequence[Node], tried: Collection[bytes], request: Request, seconds: float
    ) -> Attempt:
        """See `Way.carry`."""
        keeper = self._keepers[sender.number % len(self._keepers)]
        try:
            path = await keeper.path()
        except NaishoError as error:
            return Attempt(None, None, error.code)
        ordered = [m for m in order_members(members, path.route, self._random) if m.key not in tried]
        if not ordered:
            await keeper.renew()  # every member is a hop of this path, or was tried
            return Attempt(None, None, outcomes.NO_MEMBER)
        member = next((m for m in ordered if m.state is NodeState.ACTIVE), ordered[0])
        method, params = request
        reply = await self._onion.ask(path.route, member, method, params, seconds=seconds)
        if isinstance(reply, Failure):
            keeper.failed(path, reply)
            # Whatever a hop says, the request may have got through before it said so.
            return Attempt(member, None, reply.error.code, sent=not isinstance(reply.error, EntryUnreachable))
        keeper.worked(path)
        return Attempt(member, reply)
