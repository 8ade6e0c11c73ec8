"""Subaccount tokens: the vector's group member, and every way in which a token is not enough."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest

from naisho.protocol import storage_texts
from naisho.protocol.account import AccountId
from naisho.protocol.errors import BadToken
from naisho.protocol.signing import SigningKey, verify
from naisho.protocol.subaccount import Rights, Token


def test_a_group_member_signs_with_the_token(vectors: dict[str, Any]) -> None:
    vector = vectors["subaccount"]
    group = AccountId.parse(vector["group_id"])
    token = Token.parse(vector["token_hex"])
    assert token == Token.parse(vector["token_hex"].upper()) == Token.parse(vector["token_base64"])
    assert token.key.hex() == vector["kT"]
    assert token.prefix == group.prefix
    assert token.rights == Rights.READ | Rights.WRITE
    owner_signature = b64decode(vector["subaccount_sig_base64"])
    assert token.granted_by(group.key, owner_signature, prefix=group.prefix, needed=Rights.READ)
    text = storage_texts.retrieve(11, 1_700_000_000_000)
    assert text.decode() == vector["signed_ascii"]
    assert verify(token.key, text, b64decode(vector["signature_base64"]))
    group_key = SigningKey(bytes.fromhex(vector["group_seed"]))
    assert group_key.public == group.key
    assert group_key.sign(token.raw) == owner_signature


def test_a_token_grants_what_it_says_and_no_more() -> None:
    owner, member = SigningKey(bytes(32)), SigningKey(b"\1" * 32)
    token = Token.make(3, Rights.READ | Rights.WRITE, member.public)
    signature = owner.sign(token.raw)
    assert token.granted_by(owner.public, signature, prefix=3, needed=Rights.READ | Rights.WRITE)
    assert not token.granted_by(owner.public, signature, prefix=3, needed=Rights.DELETE)
    assert not token.granted_by(owner.public, signature, prefix=3, needed=Rights.WRITE | Rights.DELETE)
    assert not token.granted_by(owner.public, signature, prefix=5, needed=Rights.READ)
    assert not token.granted_by(member.public, signature, prefix=3, needed=Rights.READ)
    assert not token.granted_by(owner.public, bytes(64), prefix=3, needed=Rights.READ)
    anywhere = Token.make(3, Rights.READ | Rights.ANY_PREFIX, member.public)
    assert anywhere.granted_by(owner.public, owner.sign(anywhere.raw), prefix=5, needed=Rights.READ)


def test_unknown_flags_grant_nothing_more() -> None:
    owner = SigningKey(bytes(32))
    token = Token(bytes([3, 0xF0, 0, 0]) + bytes(32))
    for right in (Rights.READ, Rights.WRITE, Rights.DELETE):
        assert not token.granted_by(owner.public, owner.sign(token.raw), prefix=3, needed=right)


@pytest.mark.parametrize(
    "text",
    ["", "03" * 35, "03" * 37, "0301" + "00" * 34 + "zz", "03030001" + "00" * 32, "A" * 44, "!" * 48, None, 5, b"03"],
)
def test_other_texts_are_no_tokens(text: object) -> None:
    with pytest.raises(BadToken):
        Token.parse(text)


def test_a_token_needs_a_whole_key_and_shows_nothing() -> None:
    with pytest.raises(BadToken):
        Token.make(3, Rights.READ, bytes(31))
    token = Token.make(3, Rights.READ, b"\xab" * 32)
    assert "abab" not in f"{token}"
