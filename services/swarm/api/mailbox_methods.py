"""Methods about one mailbox: parameters, then swarm, then permission, then the work (wire 4.6 to 4.9)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

from naisho.protocol.encoding import to_base64
from naisho.protocol.message_hash import hash_text
from services.swarm.api.answers import Answer, recursive, refusal
from services.swarm.api.service import Allowance, Service
from services.swarm.domain.authentication import Credentials
from services.swarm.domain.commands import Command, Store
from services.swarm.domain.deletion_requests import DeleteAllRequest, DeleteBeforeRequest, DeleteRequest
from services.swarm.domain.expiry_requests import ExpireAllRequest, ExpireRequest, GetExpiriesRequest
from services.swarm.domain.parameters import Params
from services.swarm.domain.ports import Refused, SwarmAnswer
from services.swarm.domain.retrieve_request import LARGEST_COST, RetrieveRequest, message_cost
from services.swarm.domain.store_request import StoreRequest
from services.swarm.domain.subaccount_requests import RevokedRequest, RevokeRequest, UnrevokeRequest

#: A storage method; it raises ``Refused`` or returns its answer without ``t`` and ``hf``.
Method: TypeAlias = Callable[[Service, Params, Allowance], Awaitable[Answer]]


class _Change(Protocol):
    """A request that changes a mailbox."""

    @property
    def command(self) -> Command: ...

    @property
    def credentials(self) -> Credentials: ...

    def checked(self, now_ms: int, revoked: Collection[bytes], /) -> Command: ...


async def _store(service: Service, params: Params, allowance: Allowance) -> Answer:
    now = service.clock()
    command = await _checked_store(service, params, now)
    return _stored(await service.mailboxes.execute(command, allowance.places), command, now)


async def store_all(service: Service, requests: Sequence[Params], allowance: Allowance) -> list[Answer]:
    """Carry out several stores of one request together; what each of them would have got, refusals as well."""
    now = service.clock()
    answers: list[Answer | None] = []
    commands: list[Store] = []
    for params in requests:
        try:
            commands.append(await _checked_store(service, params, now))
        except Refused as refused:
            answers.append(refusal(refused))
        else:
            answers.append(None)
    outcomes = zip(commands, await service.mailboxes.store_all(commands, allowance.places), strict=True)
    return [_outcome(*next(outcomes), now) if answer is None else answer for answer in answers]


async def _checked_store(service: Service, params: Params, now: int) -> Store:
    request = StoreRequest.parse(params)
    service.check_swarm(request.account)
    return request.checked(now, service.retention, await service.revoked(request.credentials))


def _outcome(command: Store, outcome: SwarmAnswer | Refused, now: int) -> Answer:
    return refusal(outcome) if isinstance(outcome, Refused) else _stored(outcome, command, now)


def _stored(answer: SwarmAnswer, command: Store, now: int) -> Answer:
    answer.own["t"] = now
    return recursive(answer, hash=hash_text(command.message_hash))


async def _retrieve(service: Service, params: Params, allowance: Allowance) -> Answer:
    request = RetrieveRequest.parse(params)
    service.check_swarm(request.account)
    if request.always_empty:
        return Answer(200, {"messages": [], "more": False})
    revoked = () if request.survives_revocation else await service.revoked(request.credentials)
    request.check(service.clock(), revoked)
    async with allowance.turn:
        if allowance.remaining < LARGEST_COST:
            return Answer(200, {"messages": [], "more": True})
        page = await service.mailboxes.read(
            request.account,
            request.namespace,
            after=request.after,
            max_count=request.max_count,
            max_bytes=min(request.max_bytes, allowance.remaining),
        )
        allowance.remaining -= sum(message_cost(len(message.data)) for message in page.messages)
    messages = [
        {
            "hash": hash_text(message.message_hash),
            "timestamp": message.timestamp_ms,
            "expiration": message.expiry_ms,
            "data": to_base64(message.data),
        }
        for message in page.messages
    ]
    return Answer(200, {"messages": messages, "more": page.more})


async def _executed(service: Service, request: _Change, allowance: Allowance) -> Answer:
    service.check_swarm(request.credentials.account)
    command = request.checked(service.clock(), await service.revoked(request.credentials))
    return recursive(await service.mailboxes.execute(command, allowance.places))


def _change(parse: Callable[[Params], _Change]) -> Method:
    """Return the method for requests that need nothing beyond their own checks."""

    async def method(service: Service, params: Params, allowance: Allowance) -> Answer:
        return await _executed(service, parse(params), allowance)

    return method


async def _delete(service: Service, params: Params, allowance: Allowance) -> Answer:
    request = DeleteRequest.parse(params)
    answer = await _executed(service, request, allowance)
    if request.required and answer.status == 200 and not _any_deleted(answer.body):  # noqa: PLR2004 - HTTP's OK
        return answer._replace(status=404)
    return answer


def _any_deleted(body: Any) -> bool:
    return any(member.get("deleted") for member in body["swarm"].values())


async def _get_expiries(service: Service, params: Params, _: Allowance) -> Answer:
    request = GetExpiriesRequest.parse(params)
    service.check_swarm(request.account)
    request.check(service.clock(), await service.revoked(request.credentials))
    found = await service.mailboxes.expiries(request.account, request.hashes)
    return Answer(200, {"expiries": {hash_text(h): expiry for h, expiry in found.items()}})


async def _revoked_subaccounts(service: Service, params: Params, _: Allowance) -> Answer:
    request = RevokedRequest.parse(params)
    service.check_swarm(request.account)
    request.check(service.clock())
    tokens = await service.mailboxes.revoked(request.account)
    return Answer(200, {"revoked_subaccounts": sorted(map(to_base64, tokens))})


#: Those that carry out a command.
CHANGES: Final[Mapping[str, Method]] = MappingProxyType(
    {
        "store": _store,
        "delete": _delete,
        "delete_all": _change(DeleteAllRequest.parse),
        "delete_before": _change(DeleteBeforeRequest.parse),
        "expire": _change(ExpireRequest.parse),
        "expire_all": _change(ExpireAllRequest.parse),
        "revoke_subaccount": _change(RevokeRequest.parse),
        "unrevoke_subaccount": _change(UnrevokeRequest.parse),
    }
)
METHODS: Final[Mapping[str, Method]] = MappingProxyType(
    {
        **CHANGES,
        "retrieve": _retrieve,
        "get_expiries": _get_expiries,
        "revoked_subaccounts": _revoked_subaccounts,
    }
)
