"""What members signed: the only thing that says that they did it (wire 4.3, SES-30). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from naisho.errors import BadAnswer, BadReceipt
from naisho.protocol import storage_texts
from naisho.protocol.account import AccountId
from naisho.protocol.directory import Node
from naisho.protocol.encoding import from_base64
from naisho.protocol.errors import BadEncoding
from naisho.protocol.signing import verify

SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True)
class Receipt:
    """How many members proved that they did what was asked.

    Attributes:
        members: keys of the members whose signature holds.
        asked: how many members the swarm has.
        message_hash: hash of the message that they keep; empty for other requests.

    """

    members: tuple[bytes, ...]
    asked: int
    message_hash: str = field(default="", repr=False)

    @property
    def count(self) -> int:
        """How many members signed."""
        return len(self.members)


def read_store(body: Mapping[str, Any], members: Sequence[Node], expected_hash: str) -> Receipt:
    """Return the receipt in a `store`'s answer.

    Args:
        body: the member's answer.
        members: the swarm, by the directory; others' signatures count nothing.
        expected_hash: the message's hash as this device computed it.

    Raises:
        BadAnswer: no results in it.
        BadReceipt: no signature holds.
    """
    text = storage_texts.store_result(expected_hash)
    return _receipt(body, members, expected_hash, lambda result: text if result.get("hash") == expected_hash else None)


def read_delete(body: Mapping[str, Any], members: Sequence[Node], account: AccountId, hashes: Sequence[str]) -> Receipt:
    """Return the receipt in a `delete`'s answer; raises as `read_store`."""

    def text(result: Mapping[str, Any]) -> bytes | None:
        deleted = result.get("deleted")
        if not isinstance(deleted, list) or not all(isinstance(each, str) for each in deleted):
            return None
        return storage_texts.delete_result(account.hex, hashes, deleted)

    return _receipt(body, members, "", text)


def _receipt(body: Mapping[str, Any], members: Sequence[Node], message_hash: str, text_of: Any) -> Receipt:
    results = body.get("swarm")
    if not isinstance(results, Mapping):
        raise BadAnswer(reason="no members' results")
    known = {node.key.hex(): node for node in members}
    signed = []
    for name, result in results.items():
        node = known.get(name.lower() if isinstance(name, str) else "")
        if node is not None and isinstance(result, Mapping) and _holds(node, result, text_of(result)):
            signed.append(node.key)
    if not signed:
        raise BadReceipt
    return Receipt(tuple(signed), max(len(members), len(signed)), message_hash)


def _holds(node: Node, result: Mapping[str, Any], text: bytes | None) -> bool:
    try:
        signature = from_base64(result.get("signature"), max_bytes=SIGNATURE_BYTES, size=SIGNATURE_BYTES)
    except BadEncoding:
        return False
    return text is not None and not result.get("failed") and verify(node.key, text, signature)
