"""The storage RPC: one request's JSON in, its answer out (wire 4.1)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random, SystemRandom
from typing import Final

import orjson

from naisho.protocol.service_nodes import HARD_FORK
from naisho.wire.node.v1.node_pb2 import MAILBOX_CALL_DIRECT, MAILBOX_CALL_ONION
from services.chassis.packed import Reply
from services.swarm.api import compound, mailbox_methods, network_methods
from services.swarm.api.answers import Answer, refusal
from services.swarm.api.compound import Run, SubRequest
from services.swarm.api.mailbox_methods import Method
from services.swarm.api.service import Allowance, Clock, Service
from services.swarm.domain.parameters import Params
from services.swarm.domain.policies import Retention
from services.swarm.domain.ports import Mailboxes, NodeList, Refused

log = logging.getLogger(__name__)

_METHODS: Final[dict[str, Method]] = {**mailbox_methods.METHODS, **network_methods.METHODS}
#: Characters of an unknown method's name that its refusal repeats.
_ECHOED: Final = 64
_BUSY: Final = Reply(503, b"Server busy, try again later")
_FAILED: Final = Answer(500, "request failed")


@dataclass(frozen=True, slots=True)
class RpcSettings:
    """Settings of the storage RPC."""

    #: Requests answered at the same time; more are refused before any work.
    max_in_flight: int = 2_000
    retention: Retention = field(default_factory=Retention)
    #: What ``info`` tells; clients take it for a version of the wire document's storage server.
    version: tuple[int, int, int] = (2, 11, 0)


def _always_ready() -> Sequence[str]:
    return ()


class StorageRpc:
    """Answers storage requests for one node.

    Args:
        mailboxes: this node's mailboxes.
        nodes: the network.
        clock: returns milliseconds since 1970.
        settings: limits.
        unready: returns why this node cannot serve now, nothing if it can.
        rng: draws samples of nodes.
    """

    def __init__(
        self,
        mailboxes: Mailboxes,
        nodes: NodeList,
        clock: Clock,
        *,
        settings: RpcSettings | None = None,
        unready: Callable[[], Sequence[str]] = _always_ready,
        rng: Random | None = None,
    ) -> None:
        settings = settings or RpcSettings()
        self._service = Service(
            mailboxes, nodes, clock, settings.retention, settings.version, SystemRandom() if rng is None else rng
        )
        self._limit = settings.max_in_flight
        self._unready = unready
        self.in_flight = 0

    async def handle(self, call: int, body: bytes) -> Reply:
        """Answer one request.

        Args:
            call: ``MAILBOX_CALL_DIRECT`` or ``MAILBOX_CALL_ONION``.
            body: JSON text ``{"method": …, "params": …}``.

        Returns:
            Status and body: JSON if it begins with ``{``, raw octets if marked ``binary``, else plain text. An onion
            request never gets raw octets.
        """
        if self.in_flight >= self._limit:
            return _BUSY
        if call not in (MAILBOX_CALL_DIRECT, MAILBOX_CALL_ONION):
            return _FAILED.reply(onion=False)
        if reasons := self._unready():
            return Reply(503, f"Service node is not ready: {', '.join(reasons)}\n".encode())
        self.in_flight += 1
        try:
            answer = await self._answer(body)
            return answer.reply(onion=call == MAILBOX_CALL_ONION)
        finally:
            self.in_flight -= 1

    async def _answer(self, body: bytes) -> Answer:
        try:
            request = _parsed(body)
        except Refused as refused:
            return refusal(refused)
        return await self._run(request, Allowance())

    async def _run(self, request: SubRequest, allowance: Allowance) -> Answer:
        """Run one request of any kind to its answer."""
        try:
            answer = await self._call(request, allowance)
        except Refused as refused:
            answer = refusal(refused)
        except Exception as error:  # noqa: BLE001 - whatever breaks, the caller gets an answer and nobody else notices
            return _failed(error)
        return self._stamped(answer)

    async def _store_all(self, requests: Sequence[Params], allowance: Allowance) -> list[Answer]:
        """Run several stores to their answers."""
        try:
            answers = await mailbox_methods.store_all(self._service, requests, allowance)
        except Exception as error:  # noqa: BLE001 - as above
            return [_failed(error)] * len(requests)
        return [self._stamped(answer) for answer in answers]

    def _stamped(self, answer: Answer) -> Answer:
        if isinstance(answer.body, dict):
            answer.body["t"] = self._service.clock()
            answer.body["hf"] = HARD_FORK
        return answer

    async def _call(self, request: SubRequest, allowance: Allowance) -> Answer:
        name, params = request
        if (method := _METHODS.get(name)) is not None:
            return await method(self._service, params, allowance)

        async def run(inner: SubRequest) -> Answer:
            return await self._run(inner, allowance)

        if name == "batch":
            return await self._batch(compound.sub_requests(params), run, allowance)
        if name == "sequence":
            return await compound.sequence(params, run)
        if name == "ifelse":
            service = self._service
            return await compound.ifelse(params, run, version=service.version, height=service.nodes.height)
        raise Refused(400, f"no method {name[:_ECHOED]}")

    async def _batch(self, requests: Sequence[SubRequest], run: Run, allowance: Allowance) -> Answer:
        """Run a batch whose commands are let in together: half a batch helps nobody."""

        async def store_all(stores: Sequence[Params]) -> list[Answer]:
            return await self._store_all(stores, allowance)

        commands = sum(request.method in mailbox_methods.CHANGES for request in requests)
        if not commands:
            return await compound.batch(requests, run, store_all)
        async with self._service.mailboxes.admitted(commands) as allowance.places:
            return await compound.batch(requests, run, store_all)


def _failed(error: Exception) -> Answer:
    # The type alone: a text may quote the request.
    log.error("a storage request failed: %s", type(error).__name__)
    return _FAILED


def _parsed(body: bytes) -> SubRequest:
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise Refused(400, "invalid json") from None
    if not isinstance(request, dict):
        raise Refused(400, "invalid json")
    method = request.get("method")
    if not isinstance(method, str):
        raise Refused(400, "invalid json: no `method` field")
    params = request.get("params")
    if not isinstance(params, dict):
        raise Refused(400, "invalid json: no `params` field")
    return SubRequest(method, params)
