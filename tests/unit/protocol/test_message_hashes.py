"""Hashes of stored messages against the vectors."""

from __future__ import annotations

from base64 import b64decode
from hashlib import blake2b
from typing import Any

import pytest

from naisho.protocol.errors import BadEncoding
from naisho.protocol.message_hash import message_digest, message_hash, parse_hash


@pytest.mark.vectors("message_hash", "vectors")
def test_hash_of_a_message(vector: dict[str, Any]) -> None:
    account, data = bytes.fromhex(vector["pubkey"]), b64decode(vector["data_base64"])
    assert message_hash(account, vector["namespace"], data) == vector["hash"]
    assert parse_hash(vector["hash"]) == message_digest(account, vector["namespace"], data)


@pytest.mark.vectors("blake2b", "vectors")
def test_blake2b_is_the_one_meant(vector: dict[str, Any]) -> None:
    key = vector.get("key", "").encode()
    assert blake2b(vector["message"].encode(), digest_size=vector["size"], key=key).hexdigest() == vector["hash"]


@pytest.mark.parametrize(
    "text", ["", "a" * 42, "a" * 44, "a" * 43, "!" * 43, "A" * 42 + "=", None, 43, b"A" * 43, "é" * 43]
)
def test_other_texts_are_no_hashes(text: object) -> None:
    with pytest.raises(BadEncoding):
        parse_hash(text)
