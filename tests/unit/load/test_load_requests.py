"""What counts as acknowledged: only what the receiving node, or else some member, has signed."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from naisho.errors import BadAnswer, BadReceipt
from naisho.protocol import storage_texts
from naisho.protocol.account import ed25519_to_x25519
from naisho.protocol.directory import Node, NodeState
from naisho.protocol.encoding import from_base64, to_base64
from naisho.protocol.signing import SigningKey, verify
from operators.load import requests
from operators.load.population import draw_accounts
from operators.load.requests import Reply

HASH, OTHER = "h" * 43, "o" * 43
KEYS = [SigningKey(bytes([number]) * 32) for number in range(1, 4)]
MEMBERS = [
    Node(key.public, ed25519_to_x25519(key.public), (), "family", "JP", (2, 11, 0), NodeState.ACTIVE) for key in KEYS
]
(OWNER,) = draw_accounts(1)


def reply(result: Mapping[str, Any], text: bytes, signers: list[SigningKey | None]) -> Reply:
    """Return what the first member says of all; ``None`` signs rubbish."""
    swarm = {
        member.key.hex(): {**result, "signature": to_base64(signer.sign(text) if signer else secrets.token_bytes(64))}
        for member, signer in zip(MEMBERS, signers, strict=False)
    }
    return Reply(MEMBERS[0], MEMBERS, {"swarm": swarm})


def stored(signers: list[SigningKey | None], **result: Any) -> Reply:
    return reply({"hash": HASH, "expiry": 900, **result}, storage_texts.store_result(HASH), signers)


def test_a_store_is_acknowledged_by_who_received_it_or_else_by_another_member() -> None:
    assert requests.read_store(stored([*KEYS]), HASH, 500) == 900
    assert requests.read_store(stored([None, KEYS[1]]), HASH, 500) == 500
    with pytest.raises(BadReceipt):
        requests.read_store(stored([None, None, None]), HASH, 500)
    with pytest.raises(BadReceipt):
        requests.read_store(stored([KEYS[1], KEYS[0]]), HASH, 500)
    with pytest.raises(BadReceipt):
        requests.read_store(stored([*KEYS]), OTHER, 500)
    with pytest.raises(BadReceipt):
        requests.read_store(stored([KEYS[0]], failed=True), HASH, 500)
    with pytest.raises(BadAnswer):
        requests.read_store(Reply(MEMBERS[0], MEMBERS, {}), HASH, 500)


def deleted(found: list[str], signers: list[SigningKey | None]) -> Reply:
    return reply({"deleted": found}, storage_texts.delete_result(OWNER.account.hex, [HASH], found), signers)


def test_a_deletion_says_whether_there_was_such_a_message() -> None:
    assert requests.read_delete(deleted([HASH], [*KEYS]), OWNER.account, HASH) is True
    assert requests.read_delete(deleted([], [*KEYS]), OWNER.account, HASH) is False
    assert requests.read_delete(deleted([HASH], [None, KEYS[1]]), OWNER.account, HASH) is True
    with pytest.raises(BadReceipt):
        requests.read_delete(deleted([HASH], [None]), OWNER.account, HASH)


def extended(signer: SigningKey | None, updated: list[str], unchanged: dict[str, int]) -> Reply:
    text = storage_texts.expire_result(OWNER.account.hex, [700], [HASH], updated, unchanged)
    return reply({"expiry": 700, "updated": updated, "unchanged": unchanged}, text, [signer])


def test_an_extension_says_until_when() -> None:
    def read(signer: SigningKey | None, updated: list[str], unchanged: dict[str, int]) -> int | None:
        return requests.read_extend(extended(signer, updated, unchanged), OWNER.account, HASH, 700)

    assert read(KEYS[0], [HASH], {}) == 700
    assert read(KEYS[0], [], {HASH: 800}) == 800
    assert read(KEYS[0], [], {}) is None
    for signer in (None, KEYS[1]):
        with pytest.raises(BadReceipt):
            read(signer, [HASH], {})
    bodies: list[dict[str, Any]] = [{}, {"swarm": []}, {"swarm": {}}]
    for body in bodies:
        with pytest.raises((BadAnswer, BadReceipt)):
            requests.read_extend(Reply(MEMBERS[0], MEMBERS, body), OWNER.account, HASH, 700)


@pytest.mark.parametrize(
    ("request_of", "text"),
    [
        (lambda: requests.retrieve(OWNER, 5), storage_texts.retrieve(0, 5)),
        (lambda: requests.delete(OWNER, HASH), storage_texts.delete([HASH])),
        (lambda: requests.extend(OWNER, HASH, 700), storage_texts.expire([700], [HASH], "extend")),
    ],
)
def test_owners_sign_what_they_ask_for(request_of: Callable[[], requests.Request], text: bytes) -> None:
    _, params = request_of()
    assert OWNER.account.accepts_key(bytes.fromhex(params["pubkey_ed25519"]))
    signature = from_base64(params["signature"], max_bytes=64)
    assert verify(OWNER.keys.ed25519_public, text, signature)
