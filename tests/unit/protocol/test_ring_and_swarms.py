"""Ring positions and the choice of a swarm against the vectors."""

from __future__ import annotations

from typing import Any

import pytest

from naisho.protocol.errors import BadKey
from naisho.protocol.ring import INVALID_SWARM, SHARDS, choose_swarm, position, shard_of, shards_of, swarm_id


@pytest.mark.vectors("swarm", "pubkey_to_swarm_space")
def test_position_of_an_account(vector: tuple[str, str]) -> None:
    account, expected = vector
    assert position(bytes.fromhex(account)[1:]) == int(expected)


@pytest.mark.vectors("swarm", "mapping")
def test_choice_of_a_swarm(vector: dict[str, Any]) -> None:
    ids = [int(swarm) for swarm in vector["swarm_ids"]]
    for at, expected in vector["cases"]:
        key = bytes(24) + int(at).to_bytes(8, "big")
        assert choose_swarm(position(key), ids) == int(expected)
        assert choose_swarm(int(at), [*reversed(ids), INVALID_SWARM]) == int(expected)


def test_no_swarm_and_one_swarm() -> None:
    assert choose_swarm(5, []) is None
    assert choose_swarm(5, [INVALID_SWARM]) is None
    assert choose_swarm(2**63, [7]) == 7


def test_swarm_ids_end_shards() -> None:
    assert swarm_id(0) == 2**56 - 1
    assert swarm_id(127) == 255 * 2**56 - 1
    assert shard_of(swarm_id(3)) + 1 == shard_of(swarm_id(3) + 1)
    for number in (-1, 128):
        with pytest.raises(ValueError, match="0 to 127"):
            swarm_id(number)


def test_shards_are_shared_out_whole() -> None:
    ids = [swarm_id(j) for j in (0, 40, 41, 127)]
    shares = [shards_of(swarm, ids) for swarm in ids]
    assert sorted(shard for share in shares for shard in share) == list(range(SHARDS))
    assert shards_of(swarm_id(5), [swarm_id(5)]) == list(range(SHARDS))
    assert shards_of(swarm_id(6), [swarm_id(5)]) == []


def test_a_key_of_another_length_has_no_position() -> None:
    with pytest.raises(BadKey):
        position(bytes(33))
