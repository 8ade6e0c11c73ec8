"""Accounts and key conversions against the vectors, and what a careless print shows of them."""

from __future__ import annotations

from typing import Any

import pytest

from naisho.protocol.account import (
    GROUP,
    ORDINARY,
    AccountId,
    AccountKeys,
    converts_to,
    ed25519_to_x25519,
    x25519_to_ed25519_positive,
)
from naisho.protocol.errors import BadAccountId, BadKey
from naisho.protocol.onion.encryption import LayerKey
from naisho.protocol.recovery import from_words, to_words
from naisho.protocol.signing import verify


@pytest.mark.vectors("account", "vectors")
def test_seed_to_account(vector: dict[str, str]) -> None:
    keys = AccountKeys.from_seed(bytes.fromhex(vector["seed_hex"]))
    assert keys.ed25519_seed.hex() == vector["ed25519_seed_hex"]
    assert keys.ed25519_public.hex() == vector["ed25519_pk"]
    assert keys.x25519_public.hex() == vector["x25519_pk"]
    assert keys.x25519_secret.hex() == vector["x25519_sk"]
    assert keys.account_id.hex == vector["account_id"]
    assert keys.account_id.accepts_key(keys.ed25519_public)
    assert to_words(keys.seed) == vector["recovery_phrase"]
    assert from_words(vector["recovery_phrase"]) == keys.seed


@pytest.mark.vectors("ed25519_x25519", "vectors")
def test_conversion_both_ways(vector: dict[str, str]) -> None:
    public = bytes.fromhex(vector["ed25519_sk_64"])[32:]
    x25519 = bytes.fromhex(vector["x25519_pk"])
    assert ed25519_to_x25519(public) == x25519
    assert x25519_to_ed25519_positive(x25519).hex() == vector["xed_positive_ed25519_pk"]
    assert converts_to(public, x25519)
    assert converts_to(bytes.fromhex(vector["xed_positive_ed25519_pk"]), x25519)


@pytest.mark.vectors("node_key_conversion", "pairs")
def test_node_keys_convert(vector: dict[str, str]) -> None:
    assert ed25519_to_x25519(bytes.fromhex(vector["ed25519"])).hex() == vector["x25519"]
    assert converts_to(bytes.fromhex(vector["ed25519"]), bytes.fromhex(vector["x25519"]))


def test_a_layer_key_is_the_conversion_of_the_node_key(vectors: dict[str, Any]) -> None:
    for node in vectors["onion_three_hops_to_node"]["nodes"]:
        key = LayerKey.from_ed25519_seed(bytes.fromhex(node["ed25519_seed"]))
        assert key.public.hex() == node["x25519"]
        assert ed25519_to_x25519(bytes.fromhex(node["ed25519"])) == key.public


def test_a_long_seed_makes_an_account_too() -> None:
    keys = AccountKeys(bytes(range(32)))
    assert keys.ed25519_seed == keys.seed
    assert verify(keys.ed25519_public, b"text", keys.sign(b"text"))


def test_generated_accounts_have_16_bytes_and_differ() -> None:
    first, second = AccountKeys.generate(), AccountKeys.generate()
    assert len(first.seed) == len(second.seed) == 16
    assert first.account_id != second.account_id


@pytest.mark.parametrize("length", [0, 15, 17, 24, 31, 33, 64])
def test_seeds_of_other_lengths_are_refused(length: int) -> None:
    with pytest.raises(BadKey):
        AccountKeys(bytes(length))


def test_account_ids_are_read_in_either_case_and_written_in_lower() -> None:
    text = "05" + "AB" * 32
    account = AccountId.parse(text)
    assert account == AccountId.from_bytes(account.raw) == AccountId.parse(text.lower())
    assert account.hex == text.lower()
    assert account.prefix == ORDINARY
    assert account.key == b"\xab" * 32
    assert len({account, AccountId.parse(text.lower())}) == 1


@pytest.mark.parametrize(
    "text", ["", "05", "05" + "ab" * 31, "05" + "ab" * 33, "05" + "ag" * 32, "05" + " " * 64, "é" * 66]
)
def test_other_texts_are_no_account_ids(text: str) -> None:
    with pytest.raises(BadAccountId) as refused:
        AccountId.parse(text)
    assert "ab" * 31 not in str(refused.value)


def test_accounts_that_are_not_ordinary_are_their_own_key() -> None:
    keys = AccountKeys.generate()
    group = AccountId(bytes([GROUP]) + keys.ed25519_public)
    assert group.accepts_key(keys.ed25519_public)
    assert not group.accepts_key(keys.x25519_public)
    assert not keys.account_id.accepts_key(keys.x25519_public)


@pytest.mark.parametrize("key", [bytes(32), b"\x01" + bytes(31), b"\xff" * 32, b"short", (2).to_bytes(32, "little")])
def test_bytes_that_are_no_key_are_refused(key: bytes) -> None:
    with pytest.raises(BadKey):
        ed25519_to_x25519(key)


def test_minus_one_is_no_x25519_key() -> None:
    with pytest.raises(BadKey):
        x25519_to_ed25519_positive((2**255 - 20).to_bytes(32, "little"))


def test_nothing_secret_or_personal_is_printed() -> None:
    keys = AccountKeys.generate()
    shown = f"{keys} {keys!r} {keys.account_id} {keys.account_id!r} {[keys.account_id]}"
    for secret in (keys.seed.hex(), keys.account_id.hex, keys.account_id.key.hex(), repr(keys.account_id.raw)):
        assert secret not in shown
