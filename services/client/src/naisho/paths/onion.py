"""One request along one path: seal it, carry it to the entry, open the reply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from naisho.errors import AnswerUnreadable, EntryUnreachable, PathSilent
from naisho.network.transport import ONION_PATH, NodeTransport, Silent, Unreachable
from naisho.paths.choosing import Route
from naisho.paths.failures import Failure, read_failure
from naisho.protocol.directory import Node
from naisho.protocol.errors import BadReply
from naisho.protocol.onion.packet import HopKey, to_node
from naisho.protocol.onion.reply import NodeReply

OK = 200


class OnionRequests:
    """Storage RPC requests through paths (wire 5.5)."""

    def __init__(self, transport: NodeTransport) -> None:
        self._transport = transport

    async def ask(
        self, route: Route, destination: Node, method: str, params: Mapping[str, Any], *, seconds: float
    ) -> NodeReply | Failure:
        """Send a request to a node and return its reply, or why none came.

        Args:
            route: the path; the destination must not be one of its hops.
            destination: the node that is to answer.
            method: storage RPC method (wire 4).
            params: its parameters.
            seconds: until the reply must be here.
        """
        hops = [HopKey(node.key, node.x25519) for node in (*route, destination)]
        packet = to_node(hops, method, params)
        middle_and_exit = (route.middle.key, route.exit.key)
        try:
            answer = await self._transport.post(route.entry, ONION_PATH, packet.data, seconds=seconds)
        except Unreachable:
            return Failure(EntryUnreachable(), (route.entry.key,), fatal=True)
        except Silent:
            # Whoever is silent: the destination may be, too.
            return Failure(PathSilent(seconds=round(seconds)), (*middle_and_exit, destination.key))
        if answer.status != OK:
            return read_failure(answer.status, answer.body, route, destination.key)
        try:
            return packet.read(answer.body)
        except BadReply:
            return Failure(AnswerUnreadable(), middle_and_exit)
