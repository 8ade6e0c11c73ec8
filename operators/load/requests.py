"""The requests of simulated accounts, and reading what a member signed about them. Pure.

A change counts as acknowledged if the receiving node's own signature over its result holds; if it does not, one of any
other member's is enough, as for every client of the SDK. Signatures of further members are not looked at: checking them
costs more than all the rest of a request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

from naisho.errors import BadAnswer, BadReceipt
from naisho.protocol import storage_texts
from naisho.protocol.account import AccountId
from naisho.protocol.directory import Node
from naisho.protocol.encoding import from_base64, to_base64
from naisho.protocol.errors import BadEncoding
from naisho.protocol.namespaces import DIRECT_MESSAGES
from naisho.protocol.signing import verify
from naisho.swarm import receipts
from operators.load.population import Simulated

#: Method and parameters.
Request: TypeAlias = tuple[str, Mapping[str, Any]]

SIGNATURE_BYTES = 64


class Reply(NamedTuple):
    """A member's successful answer: who gave it, who its colleagues are, and what it says."""

    member: Node
    members: Sequence[Node]
    body: Mapping[str, Any]


def store(account: AccountId, data: bytes, sent_ms: int, ttl_ms: int) -> Request:
    """Return a store into an account's namespace 0, as a stranger sends it."""
    params = {"pubkey": account.hex, "timestamp": sent_ms, "ttl": ttl_ms, "data": to_base64(data)}
    return "store", {**params, "namespace": DIRECT_MESSAGES}


def retrieve(sender: Simulated, now_ms: int, *, after: str = "", most: int = 0) -> Request:
    """Return a listing of an account's namespace 0 behind a message; ``most`` messages, or a page if 0."""
    signature = to_base64(sender.keys.sign(storage_texts.retrieve(DIRECT_MESSAGES, now_ms)))
    params = {**_owner(sender), "namespace": DIRECT_MESSAGES, "last_hash": after, "timestamp": now_ms}
    return "retrieve", {**params, **({"max_count": most} if most else {}), "signature": signature}


def delete(sender: Simulated, message_hash: str) -> Request:
    """Return a request to delete one message."""
    signature = to_base64(sender.keys.sign(storage_texts.delete([message_hash])))
    return "delete", {**_owner(sender), "messages": [message_hash], "signature": signature}


def extend(sender: Simulated, message_hash: str, expiry_ms: int) -> Request:
    """Return a request to have one message live until a later time."""
    signature = to_base64(sender.keys.sign(storage_texts.expire([expiry_ms], [message_hash], "extend")))
    params = {**_owner(sender), "messages": [message_hash], "expiry": expiry_ms, "extend": True}
    return "expire", {**params, "signature": signature}


def read_store(reply: Reply, message_hash: str, otherwise_ms: int) -> int:
    """Return until when an acknowledged message is kept.

    Args:
        reply: to a store.
        message_hash: as computed here.
        otherwise_ms: if the receiving node does not say it.

    Raises:
        BadAnswer, BadReceipt: it is not acknowledged.
    """
    try:
        receipts.read_store(reply.body, (reply.member,), message_hash)
    except BadReceipt:
        receipts.read_store(reply.body, reply.members, message_hash)
        return otherwise_ms
    expiry = _result(reply).get("expiry")
    return expiry if type(expiry) is int else otherwise_ms


def read_delete(reply: Reply, account: AccountId, message_hash: str) -> bool:
    """Return whether a member signed that it had the message and deleted it; False if it had none of that hash.

    Raises:
        BadAnswer, BadReceipt: the deletion is not acknowledged.
    """
    try:
        receipts.read_delete(reply.body, (reply.member,), account, [message_hash])
        signed: tuple[bytes, ...] = (reply.member.key,)
    except BadReceipt:
        signed = receipts.read_delete(reply.body, reply.members, account, [message_hash]).members
    return any(message_hash in reply.body["swarm"][key.hex()]["deleted"] for key in signed)


def read_extend(reply: Reply, account: AccountId, message_hash: str, expiry_ms: int) -> int | None:
    """Return until when the receiving node keeps the message now; ``None`` if it has none of that hash.

    Raises:
        BadAnswer, BadReceipt: it is not acknowledged.
    """
    result = _result(reply)
    updated, unchanged = result.get("updated"), result.get("unchanged", {})
    if not isinstance(updated, list) or not isinstance(unchanged, Mapping):
        raise BadReceipt
    text = storage_texts.expire_result(account.hex, [expiry_ms], [message_hash], updated, unchanged)
    try:
        signature = from_base64(result.get("signature"), max_bytes=SIGNATURE_BYTES, size=SIGNATURE_BYTES)
    except BadEncoding:
        raise BadReceipt from None
    if not verify(reply.member.key, text, signature):
        raise BadReceipt
    if message_hash in updated:
        return expiry_ms
    kept = unchanged.get(message_hash)
    return kept if type(kept) is int else None


def _owner(sender: Simulated) -> dict[str, Any]:
    return {"pubkey": sender.account.hex, "pubkey_ed25519": sender.keys.ed25519_public.hex()}


def _result(reply: Reply) -> Mapping[str, Any]:
    swarm = reply.body.get("swarm")
    result = swarm.get(reply.member.key.hex()) if isinstance(swarm, Mapping) else None
    if not isinstance(result, Mapping):
        raise BadAnswer(reason="no result of the node that answered")
    return result
