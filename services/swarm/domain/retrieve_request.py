"""``retrieve`` (wire 4.7)."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from naisho.protocol import storage_texts
from naisho.protocol.errors import BadEncoding
from naisho.protocol.limits import DEFAULT_RETRIEVE_SHARE, MAX_DATA_BYTES, MAX_RETRIEVE_BYTES
from naisho.protocol.message_hash import HASH_CHARACTERS, parse_hash
from naisho.protocol.namespaces import NamespaceClass, classify
from naisho.protocol.subaccount import Rights
from services.swarm.domain import parameters
from services.swarm.domain.authentication import Credentials, check_signature, check_time, credentials
from services.swarm.domain.parameters import Params
from services.swarm.domain.ports import Refused

_MESSAGE_OVERHEAD: Final = 100


def message_cost(size: int) -> int:
    """Return how many bytes of a listing's budget a message of ``size`` bytes takes."""
    return _MESSAGE_OVERHEAD + HASH_CHARACTERS + size * 4 // 3


#: Cost of the largest message.
LARGEST_COST: Final = message_cost(MAX_DATA_BYTES)


@dataclass(frozen=True, slots=True, repr=False)
class RetrieveRequest:
    """A request to list the messages of one namespace."""

    account: bytes
    namespace: int
    #: List what comes behind this message.
    after: bytes | None
    #: At most so many messages; ``None`` is no cap.
    max_count: int | None
    #: At most so many bytes, by ``message_cost``.
    max_bytes: int
    timestamp_ms: int
    credentials: Credentials | None

    @classmethod
    def parse(cls, params: Params) -> RetrieveRequest:
        """Read the parameters.

        Raises:
            Refused: 400, they are not as they must be.
        """
        account = parameters.account(params)
        found = credentials(params, account)
        max_count = parameters.integer(params, "max_count") or None
        if max_count is not None and max_count < 0:
            raise parameters.wrong_type("max_count", "integer of at least 0")
        return cls(
            account,
            parameters.namespace(params),
            _after(params),
            max_count,
            _budget(parameters.integer(params, "max_size", "maxSize") or 0, counted=max_count is not None),
            0 if found is None else parameters.timestamp(params, "timestamp"),
            found,
        )

    @property
    def survives_revocation(self) -> bool:
        """Whether a revoked subaccount may read here, too."""
        return classify(self.namespace) is NamespaceClass.UNREVOCABLE

    @property
    def always_empty(self) -> bool:
        """Whether there is never anything to list."""
        return classify(self.namespace) is NamespaceClass.TEST

    def check(self, now_ms: int, revoked: Collection[bytes]) -> None:
        """Refuse the request if it is not allowed.

        Args:
            now_ms: this node's clock.
            revoked: the account's revoked tokens; empty where the request survives revocation.

        Raises:
            Refused: 401 or 406.
        """
        if self.credentials is None:
            if not classify(self.namespace).reads_unsigned:
                raise Refused(401, "retrieve: request signature required")
            return
        check_time("retrieve", self.timestamp_ms, now_ms)
        text = storage_texts.retrieve(self.namespace, self.timestamp_ms)
        check_signature("retrieve", self.credentials, text, Rights.READ, revoked)


def _after(params: Params) -> bytes | None:
    text = parameters.optional(params, "last_hash", "lastHash")
    if text is None or text == "":
        return None
    if not isinstance(text, str) or len(text) != HASH_CHARACTERS:
        raise parameters.wrong_type("last_hash", f"message hash of {HASH_CHARACTERS} base64 characters")
    try:
        return parse_hash(text)
    except BadEncoding:
        return None  # no message's hash, so as good as unknown


def _budget(max_size: int, *, counted: bool) -> int:
    """Return the byte budget of a listing; ``max_size`` of -k asks for a k-th of the cap, 0 is unset."""
    if max_size == 0:
        if counted:
            return MAX_RETRIEVE_BYTES
        max_size = DEFAULT_RETRIEVE_SHARE
    return min(max_size, MAX_RETRIEVE_BYTES) if max_size > 0 else MAX_RETRIEVE_BYTES // -max_size
