"""``store`` (wire 4.6)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from naisho.protocol import storage_texts
from naisho.protocol.encoding import from_base64
from naisho.protocol.errors import BadEncoding
from naisho.protocol.limits import MAX_DATA_BASE64, MAX_DATA_BYTES, STORE_TOLERANCE_MS
from naisho.protocol.message_hash import message_digest
from naisho.protocol.namespaces import NamespaceClass, classify
from naisho.protocol.subaccount import Rights
from services.swarm.domain import parameters
from services.swarm.domain.authentication import Credentials, check_signature, check_time, credentials
from services.swarm.domain.commands import Store
from services.swarm.domain.parameters import Params
from services.swarm.domain.policies import Retention
from services.swarm.domain.ports import Refused

_TOO_LONG: Final = f"Message body exceeds maximum allowed length of {MAX_DATA_BYTES} bytes"


@dataclass(frozen=True, slots=True, repr=False)
class StoreRequest:
    """A request to store one message."""

    account: bytes
    namespace: int
    timestamp_ms: int
    expiry_ms: int
    data: bytes
    sig_timestamp_ms: int
    credentials: Credentials | None

    @classmethod
    def parse(cls, params: Params) -> StoreRequest:
        """Read the parameters.

        Raises:
            Refused: 400, they are not as they must be, or the message is too long.
        """
        account = parameters.account(params, "pubKey")
        namespace = parameters.namespace(params)
        timestamp = parameters.timestamp(params, "timestamp", decimal_text=True)
        signed_at = params.get("sig_timestamp")
        return cls(
            account,
            namespace,
            timestamp,
            _expiry(params, timestamp),
            _data(parameters.required(params, "data")),
            timestamp if signed_at is None else parameters.as_timestamp("sig_timestamp", signed_at),
            credentials(params, account),
        )

    def checked(self, now_ms: int, retention: Retention, revoked: Collection[bytes]) -> Store:
        """Return the command that the request amounts to, if it is allowed.

        Args:
            now_ms: this node's clock.
            retention: how long messages may live.
            revoked: the account's revoked tokens.

        Raises:
            Refused: 401, 403 or 406.
        """
        kind = classify(self.namespace)
        if kind is NamespaceClass.TEST:
            raise Refused(403, f"store: namespace {self.namespace} is for tests and takes no messages")
        if not retention.allows(self.expiry_ms - self.timestamp_ms, kind):
            raise Refused(403, "Provided expiry/TTL is not valid.")
        if self.timestamp_ms > now_ms + STORE_TOLERANCE_MS or self.expiry_ms < now_ms - STORE_TOLERANCE_MS:
            raise Refused(406, "Timestamp error: check your clock")
        if not kind.stores_unsigned:
            self._check_signature(kind, now_ms, revoked)
        digest = message_digest(self.account, self.namespace, self.data)
        return Store(self.account, self.namespace, digest, self.data, self.timestamp_ms, self.expiry_ms)

    def _check_signature(self, kind: NamespaceClass, now_ms: int, revoked: Collection[bytes]) -> None:
        if self.credentials is None:
            raise Refused(401, f"store: signature required to store to namespace {self.namespace}")
        check_time("store signature", self.sig_timestamp_ms, now_ms)
        needed = Rights.WRITE | Rights.DELETE if kind.holds_one else Rights.WRITE
        text = storage_texts.store(self.namespace, self.sig_timestamp_ms)
        check_signature("store", self.credentials, text, needed, revoked)


def _expiry(params: Params, timestamp: int) -> int:
    ttl, expiry = params.get("ttl"), params.get("expiry")
    if expiry is None:
        if ttl is None:
            raise parameters.invalid("Required field 'ttl' missing")
        return timestamp + parameters.as_integer("ttl", ttl, decimal_text=True)
    if ttl is not None:
        raise parameters.invalid("Cannot specify both 'expiry' and 'ttl'")
    return parameters.as_timestamp("expiry", expiry, decimal_text=True)


def _data(text: object) -> bytes:
    if not isinstance(text, str):
        raise parameters.wrong_type("data", "string")
    if len(text) > MAX_DATA_BASE64:
        raise Refused(400, _TOO_LONG)
    try:
        return from_base64(text, max_bytes=MAX_DATA_BYTES)
    except BadEncoding:
        raise parameters.wrong_type("data", "base64") from None
