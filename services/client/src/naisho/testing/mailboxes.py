"""What the fake nodes keep: mailboxes with the checks that a client can meet."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from naisho.protocol import storage_texts
from naisho.protocol.account import AccountId
from naisho.protocol.encoding import from_base64, to_base64
from naisho.protocol.limits import SIGNATURE_TOLERANCE_MS, STORE_TOLERANCE_MS
from naisho.protocol.message_hash import message_hash
from naisho.protocol.signing import SigningKey, verify


class Outcome(NamedTuple):
    """Status code and JSON value or text of a storage request."""

    status: int
    body: Any


class Kept(NamedTuple):
    """One stored message."""

    message_hash: str
    data: bytes
    timestamp: int
    expiry: int


class FakeMailboxes:
    """One swarm's mailboxes, shared by its members, who all sign.

    Args:
        now_ms: the nodes' clock.
        members: signing keys of the members that take part in a request.

    """

    def __init__(self, now_ms: Callable[[], int], members: Callable[[], Sequence[SigningKey]]) -> None:
        self._now_ms = now_ms
        self._members = members
        self.kept: dict[tuple[bytes, int], list[Kept]] = {}

    def call(self, method: str, params: Mapping[str, Any]) -> Outcome:
        """Carry out one request for a mailbox of this swarm."""
        match method:
            case "store":
                return self._store(params)
            case "retrieve":
                return self._retrieve(params)
            case "delete":
                return self._delete(params)
            case _:
                return Outcome(400, f"no method {method}")

    def _store(self, params: Mapping[str, Any]) -> Outcome:
        account, data, now = (
            AccountId.parse(params["pubkey"]),
            from_base64(params["data"], max_bytes=76_800),
            self._now_ms(),
        )
        timestamp, expiry = params["timestamp"], params["timestamp"] + params["ttl"]
        if timestamp > now + STORE_TOLERANCE_MS or expiry < now - STORE_TOLERANCE_MS:
            return Outcome(406, "Timestamp error: check your clock")
        namespace = params.get("namespace", 0)
        name = message_hash(account.raw, namespace, data)
        mailbox = self.kept.setdefault((account.raw, namespace), [])
        already = any(message.message_hash == name for message in mailbox)
        if not already:
            mailbox.append(Kept(name, data, timestamp, expiry))
        result = {"hash": name, "expiry": expiry, **({"already": True} if already else {})}
        return self._signed(result, storage_texts.store_result(name), hash=name)

    def _retrieve(self, params: Mapping[str, Any]) -> Outcome:
        if refusal := self._refusal(params, storage_texts.retrieve(params["namespace"], params["timestamp"])):
            return refusal
        mailbox = self.kept.get((AccountId.parse(params["pubkey"]).raw, params["namespace"]), [])
        names = [message.message_hash for message in mailbox]
        start = names.index(params["last_hash"]) + 1 if params.get("last_hash") in names else 0
        found = mailbox[start:]
        count = params.get("max_count") or (3 if params.get("max_size", -1) < 0 else 1)
        listed = [
            {"hash": m.message_hash, "timestamp": m.timestamp, "expiration": m.expiry, "data": to_base64(m.data)}
            for m in found[:count]
        ]
        return self._ok({"messages": listed, "more": len(found) > count})

    def _delete(self, params: Mapping[str, Any]) -> Outcome:
        account, hashes = AccountId.parse(params["pubkey"]), params["messages"]
        if refusal := self._refusal({**params, "timestamp": self._now_ms()}, storage_texts.delete(hashes)):
            return refusal
        deleted = []
        for mailbox in (kept for (owner, _), kept in self.kept.items() if owner == account.raw):
            deleted += [message.message_hash for message in mailbox if message.message_hash in hashes]
            mailbox[:] = [message for message in mailbox if message.message_hash not in hashes]
        return self._signed({"deleted": sorted(deleted)}, storage_texts.delete_result(account.hex, hashes, deleted))

    def _refusal(self, params: Mapping[str, Any], text: bytes) -> Outcome | None:
        account, key = AccountId.parse(params["pubkey"]), bytes.fromhex(params["pubkey_ed25519"])
        signature = from_base64(params["signature"], max_bytes=64)
        if abs(params["timestamp"] - self._now_ms()) > SIGNATURE_TOLERANCE_MS:
            return Outcome(406, "retrieve timestamp too far from current time")
        if not account.accepts_key(key) or not verify(key, text, signature):
            return Outcome(401, "retrieve signature verification failed")
        return None

    def _signed(self, result: Mapping[str, Any], text: bytes, **top: Any) -> Outcome:
        swarm = {key.public.hex(): {**result, "signature": to_base64(key.sign(text))} for key in self._members()}
        return self._ok({"swarm": swarm, **top})

    def _ok(self, body: Mapping[str, Any]) -> Outcome:
        return Outcome(200, {**body, "t": self._now_ms(), "hf": [19, 6]})
