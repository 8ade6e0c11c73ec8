"""Requests to mailboxes as methods: store, poll, delete, probe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from naisho.errors import BadAnswer
from naisho.protocol import storage_texts
from naisho.protocol.account import AccountId, AccountKeys
from naisho.protocol.encoding import from_base64, to_base64
from naisho.protocol.errors import BadEncoding
from naisho.protocol.limits import MAX_DATA_BYTES
from naisho.protocol.message_hash import HASH_CHARACTERS, message_hash
from naisho.protocol.namespaces import DIRECT_MESSAGES, retrieve_shares
from naisho.swarm.answers import parts_of
from naisho.swarm.receipts import Receipt, read_delete, read_store
from naisho.swarm.requests import SwarmRequests

PROBE_SECONDS = 8.0


@dataclass(frozen=True, slots=True, repr=False)
class Stored:
    """One message as a mailbox holds it."""

    message_hash: str
    data: bytes
    timestamp_ms: int
    expires_ms: int


class Listing(NamedTuple):
    """Messages of one namespace after a position, in the mailbox' order; `more`: the answer was cut."""

    namespace: int
    messages: tuple[Stored, ...]
    more: bool


class StoreReceipt(NamedTuple):
    """What members signed about a stored message, and how long it took."""

    receipt: Receipt
    took_ms: int


class Mailboxes:
    """Our own mailbox and those of others."""

    def __init__(self, requests: SwarmRequests, keys: AccountKeys) -> None:
        self._requests = requests
        self._keys = keys

    async def store(self, mailbox: AccountId, data: bytes, sent_ms: int, ttl_ms: int) -> StoreReceipt:
        """Put sealed bytes into an account's namespace 0 (wire 4.6).

        Trying again is harmless: a message is its hash.

        Raises:
            NetworkError, PathError, SwarmError: it is not known to be stored; see `SwarmRequests.ask`.
            BadReceipt: no member proved that it keeps it.
        """

        def build(now_ms: int) -> tuple[str, Mapping[str, Any]]:
            # A clock that was wrong when the message was written must not keep it from being stored now.
            timestamp = min(sent_ms, now_ms)
            params = {"pubkey": mailbox.hex, "timestamp": timestamp, "ttl": ttl_ms, "data": to_base64(data)}
            return "store", {**params, "namespace": DIRECT_MESSAGES}

        told = await self._requests.ask(mailbox, build, own=mailbox == self._keys.account_id)
        expected = message_hash(mailbox.raw, DIRECT_MESSAGES, data)
        return StoreReceipt(read_store(told.body, told.members, expected), told.took_ms)

    async def poll(self, positions: Mapping[int, str]) -> list[Listing]:
        """Return what is new in namespaces of our own mailbox, all in one request (wire 4.7).

        Args:
            positions: namespace to hash of the last message read, empty for the beginning.
        """
        shares = retrieve_shares(positions)

        def build(now_ms: int) -> tuple[str, Mapping[str, Any]]:
            requests = [
                {"method": "retrieve", "params": self._retrieve(namespace, last, now_ms, max_size=shares[namespace])}
                for namespace, last in positions.items()
            ]
            return "batch", {"requests": requests}

        told = await self._requests.ask(self._keys.account_id, build, own=True)
        bodies = parts_of(told.body, len(positions))
        return [read_listing(namespace, body) for namespace, body in zip(positions, bodies, strict=True)]

    async def probe(self, last_hash: str = "", *, seconds: float = PROBE_SECONDS) -> int:
        """Ask our own mailbox for next to nothing, to see that the path works; return how long it took in ms."""

        def build(now_ms: int) -> tuple[str, Mapping[str, Any]]:
            return "retrieve", self._retrieve(DIRECT_MESSAGES, last_hash, now_ms, max_size=1, max_count=1)

        told = await self._requests.ask(self._keys.account_id, build, own=True, seconds=seconds)
        return told.took_ms

    async def delete(self, hashes: Sequence[str]) -> Receipt:
        """Delete messages from our own mailbox, on every member (wire 4.8)."""
        signature = to_base64(self._keys.sign(storage_texts.delete(hashes)))

        def build(_now_ms: int) -> tuple[str, Mapping[str, Any]]:
            return "delete", {**self._owner(), "messages": list(hashes), "signature": signature}

        told = await self._requests.ask(self._keys.account_id, build, own=True)
        return read_delete(told.body, told.members, self._keys.account_id, hashes)

    def _retrieve(self, namespace: int, last_hash: str, now_ms: int, **limits: int) -> dict[str, Any]:
        signature = to_base64(self._keys.sign(storage_texts.retrieve(namespace, now_ms)))
        position = {"namespace": namespace, "last_hash": last_hash, "timestamp": now_ms}
        return {**self._owner(), **position, **limits, "signature": signature}

    def _owner(self) -> dict[str, Any]:
        return {"pubkey": self._keys.account_id.hex, "pubkey_ed25519": self._keys.ed25519_public.hex()}


def read_listing(namespace: int, body: Mapping[str, Any]) -> Listing:
    """Return what a `retrieve`'s answer holds.

    Raises:
        BadAnswer: not of that shape.
    """
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise BadAnswer(reason="no messages")
    return Listing(namespace, tuple(_stored(message) for message in messages), bool(body.get("more")))


def _stored(message: Any) -> Stored:
    try:
        found, times = message["hash"], (message["timestamp"], message["expiration"])
        data = from_base64(message["data"], max_bytes=MAX_DATA_BYTES)
    except (TypeError, KeyError, BadEncoding) as error:
        raise BadAnswer(reason="a message of the wrong shape") from error
    if not isinstance(found, str) or len(found) != HASH_CHARACTERS or not all(map(_is_time, times)):
        raise BadAnswer(reason="a message of the wrong shape")
    return Stored(found, data, *times)


def _is_time(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**62
