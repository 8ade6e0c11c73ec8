"""Signed texts of the storage RPC: requests against the vectors, results against the wire document's formulas."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from naisho.protocol import storage_texts
from naisho.protocol.account import AccountKeys
from naisho.protocol.errors import BadKey
from naisho.protocol.signing import SigningKey, verify

HASHES = ["iBlnwojt+9l6J5m8qipR6tD4GRzWxy2z9UxAlUX6hLQ", "lJALGOiUZ2EnIz3Aq3O5JxL9iPq+6oKolUJzcwkoB0k"]
TIME = 1_700_000_000_000
ACCOUNT = "05d2ad010eeb72d72e561d9de7bd7b6989af77dcabffa03a5111a6c859ae5c3a72"

TEXTS: Mapping[str, Callable[[], bytes]] = {
    "retrieve ns 0": lambda: storage_texts.retrieve(0, TIME),
    "retrieve ns 3": lambda: storage_texts.retrieve(3, TIME),
    "retrieve ns -11": lambda: storage_texts.retrieve(-11, TIME),
    "store ns 2": lambda: storage_texts.store(2, TIME),
    "delete": lambda: storage_texts.delete(HASHES),
    "delete_all ns 0": lambda: storage_texts.delete_all(0, TIME),
    "delete_all all": lambda: storage_texts.delete_all("all", TIME),
    "delete_all ns 5": lambda: storage_texts.delete_all(5, TIME),
    "delete_before all": lambda: storage_texts.delete_before("all", TIME),
    "expire_all ns 0": lambda: storage_texts.expire_all(0, TIME),
    "expire plain": lambda: storage_texts.expire([TIME], HASHES),
    "expire shorten": lambda: storage_texts.expire([TIME], HASHES[:1], "shorten"),
    "expire extend multi": lambda: storage_texts.expire([TIME, TIME + 1], HASHES, "extend"),
    "get_expiries": lambda: storage_texts.get_expiries(TIME, HASHES),
    "monitor": lambda: storage_texts.monitor(ACCOUNT, TIME // 1000, [-10, 0, 5], with_data=True),
    "unsubscribe (push server)": lambda: storage_texts.unsubscribe(ACCOUNT, TIME // 1000),
}


@pytest.mark.vectors("request_signatures", "vectors")
def test_signed_text_of_a_request(vector: dict[str, Any], vectors: dict[str, Any]) -> None:
    text = TEXTS[vector["name"]]()
    assert text.decode() == vector["signed_ascii"]
    signature = b64decode(vector["signature_base64"])
    keys = AccountKeys(bytes.fromhex(vectors["account"]["vectors"][0]["seed_hex"]))
    assert keys.account_id.hex == vectors["request_signatures"]["signer_account_id"]
    assert keys.sign(text) == signature
    assert verify(keys.ed25519_public, text, signature)
    assert not verify(keys.ed25519_public, text + b"0", signature)


def test_texts_without_vectors() -> None:
    tokens = [b"\x03" * 36, b"\x05" * 36]
    assert storage_texts.revoke_subaccount(TIME, tokens) == b"revoke_subaccount1700000000000" + b"".join(tokens)
    assert storage_texts.unrevoke_subaccount(TIME, tokens[:1]) == b"unrevoke_subaccount1700000000000" + tokens[0]
    assert storage_texts.revoked_subaccounts(TIME) == b"revoked_subaccounts1700000000000"
    assert storage_texts.monitor(ACCOUNT, 1, [0], with_data=False) == f"MONITOR{ACCOUNT}100".encode()
    assert storage_texts.delete_before(-11, 5) == b"delete_before-115"


def test_texts_of_members_results() -> None:
    a, b = sorted(HASHES)
    assert storage_texts.store_result(a) == a.encode()
    assert storage_texts.delete_result(ACCOUNT, [b, a], {b, a}).decode() == ACCOUNT + b + a + a + b
    assert storage_texts.delete_result(ACCOUNT, [b], []).decode() == ACCOUNT + b
    assert storage_texts.delete_all_result(ACCOUNT, TIME, [b, a]).decode() == f"{ACCOUNT}{TIME}{a}{b}"
    assert storage_texts.delete_before_result(ACCOUNT, TIME, [b, a]).decode() == f"{ACCOUNT}{TIME}{a}{b}"
    assert storage_texts.expire_result(ACCOUNT, [1, 2], [b, a], [b, a]).decode() == f"{ACCOUNT}12{b}{a}{a}{b}"
    kept = storage_texts.expire_result(ACCOUNT, [1], [b, a], [], {b: 7, a: 8})
    assert kept.decode() == f"{ACCOUNT}1{b}{a}{a}8{b}7"
    assert storage_texts.expire_all_result(ACCOUNT, 9, [b, a]).decode() == f"{ACCOUNT}9{a}{b}"
    token = b"\x03" * 36
    assert storage_texts.revocation_result(ACCOUNT, TIME, [token]) == f"{ACCOUNT}{TIME}".encode() + token


def test_keys_and_signatures_of_wrong_length_verify_nothing() -> None:
    key = SigningKey(bytes(32))
    signature = key.sign(b"text")
    assert verify(key.public, b"text", signature)
    assert not verify(key.public[:-1], b"text", signature)
    assert not verify(key.public, b"text", signature[:-1])
    assert not verify(key.public, b"", signature + b"text")
    assert not verify(bytes(32), b"text", signature)
    with pytest.raises(BadKey):
        SigningKey(bytes(31))
    assert bytes(32).hex() not in repr(key)
