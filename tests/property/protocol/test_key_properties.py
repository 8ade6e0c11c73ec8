"""Accounts, conversions and signatures for any seed."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st

from naisho.protocol.account import AccountId, AccountKeys, converts_to, ed25519_to_x25519, x25519_to_ed25519_positive
from naisho.protocol.errors import BadKey
from naisho.protocol.onion.encryption import LayerKey
from naisho.protocol.signing import SigningKey, verify

SEEDS = st.binary(min_size=16, max_size=16) | st.binary(min_size=32, max_size=32)
KEYS = st.binary(min_size=32, max_size=32)


@given(SEEDS)
def test_conversions_agree(seed: bytes) -> None:
    keys = AccountKeys(seed)
    positive = x25519_to_ed25519_positive(keys.x25519_public)
    assert positive[:31] == keys.ed25519_public[:31]
    assert positive[31] == keys.ed25519_public[31] & 0x7F
    assert ed25519_to_x25519(positive) == keys.x25519_public
    assert converts_to(keys.ed25519_public, keys.x25519_public)
    assert LayerKey.from_ed25519_seed(keys.ed25519_seed).public == keys.x25519_public
    assert LayerKey(keys.x25519_secret).public == keys.x25519_public
    assert AccountId.parse(keys.account_id.hex.upper()) == keys.account_id


@given(SEEDS, KEYS)
def test_no_other_key_passes_for_the_accounts_own(seed: bytes, other: bytes) -> None:
    keys = AccountKeys(seed)
    assume(other[:31] != keys.ed25519_public[:31])
    assert not keys.account_id.accepts_key(other)
    assert not converts_to(keys.ed25519_public, other)


@given(KEYS)
def test_the_cheap_check_accepts_what_converts_and_nothing_else(public: bytes) -> None:
    try:
        x25519 = ed25519_to_x25519(public)
    except BadKey:
        return
    assert converts_to(public, x25519)
    assert not converts_to(public, bytes([x25519[0] ^ 1]) + x25519[1:])


@given(KEYS, st.binary(max_size=100), st.integers(0, 64 * 8 - 1))
def test_every_flipped_bit_of_a_signature_is_noticed(seed: bytes, text: bytes, bit: int) -> None:
    key = SigningKey(seed)
    signature = key.sign(text)
    assert verify(key.public, text, signature)
    damaged = bytearray(signature)
    damaged[bit // 8] ^= 1 << bit % 8
    assert not verify(key.public, text, bytes(damaged))
    assert not verify(key.public, text + b"\0", signature)
