"""The public routes of a node (wire 4.1) and of a seed (wire 2.1)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import orjson

from naisho.protocol.encoding import to_base64
from naisho.wire.node.v1.node_pb2 import MAILBOX_CALL_DIRECT
from services.chassis.limits import TokenBuckets
from services.chassis.packed import Reply
from services.onion.api.http1 import Head, Request, Response
from services.onion.api.http1.messages import JSON, to_response
from services.onion.api.layers import Layers
from services.onion.api.ports import Mailbox
from services.onion.api.seed import DIRECTORY, SEED, TOO_MANY, Seed, bucket_of
from services.onion.domain import answers

ONION: Final = ("POST", "/onion_req/v2")
STORAGE: Final = ("POST", "/storage_rpc/v1")
PING: Final = ("POST", "/ping_test/v1")
STATS: Final = ("GET", "/get_stats/v1")

#: Requests that one address may send only so often. Onion requests are not counted, as the wire protocol has it: a
#: layer costs its sender as much as its receiver.
_COUNTED: Final = frozenset((STORAGE, SEED, DIRECTORY))
_ROUTES: Final = frozenset((ONION, STORAGE, PING, STATS, SEED, DIRECTORY))
_GONE: Final = Response(410, answers.LONG_POLL_GONE)


class NodeSite:
    """Everything that a node serves over HTTPS.

    Args:
        own_key: the node's Ed25519 public key.
        version: of the node's software, as told to whoever asks.
        layers: its onion roles.
        mailbox: its mailboxes.
        seed: the node list.
        buckets: how often one address may ask for storage or the node list.
        not_ready: says why direct requests cannot be served now; empty if they can.
    """

    def __init__(
        self,
        own_key: bytes,
        version: tuple[int, int, int],
        *,
        layers: Layers,
        mailbox: Mailbox,
        seed: Seed,
        buckets: TokenBuckets[str],
        not_ready: Callable[[], str],
    ) -> None:
        self._layers = layers
        self._mailbox = mailbox
        self._seed = seed
        self._buckets = buckets
        self._not_ready = not_ready
        self._ping = Response(200, headers=(("X-Oxen-Snode-Pubkey", to_base64(own_key)),))
        self._stats = Response(200, orjson.dumps({"version": ".".join(map(str, version))}), JSON)

    def admit(self, head: Head, peer: str) -> Response | None:
        """Refuse by the head: unknown paths, requests of old clients, too many of one address."""
        route = (head.method, path_of(head.target))
        if route not in _ROUTES:
            return not_found(head)
        if b"x-loki-long-poll" in head.headers:
            return _GONE
        if route in _COUNTED and not self._buckets.take(bucket_of(peer)):
            return TOO_MANY
        if route == STORAGE and (reasons := self._not_ready()):
            return Response(503, answers.node_not_ready(reasons))
        return None

    def answer(self, request: Request) -> Response | Awaitable[Reply]:
        """Answer a request that was admitted."""
        route = (request.head.method, path_of(request.head.target))
        if route == ONION:
            reply = self._layers.packet(request.body)
            return to_response(reply) if isinstance(reply, Reply) else reply
        if route == STORAGE:
            return self._mailbox.handle(MAILBOX_CALL_DIRECT, request.body)
        if route == PING:
            return self._ping
        if route == STATS:
            return self._stats
        return self._seed.directory() if route == DIRECTORY else self._seed.answer(request)


def path_of(target: str) -> str:
    """Return a target without its query."""
    return target if "?" not in target else target[: target.index("?")]


def not_found(head: Head) -> Response:
    """Return the answer for an unknown route."""
    return Response(404, answers.path_not_found(head.method, head.target))
