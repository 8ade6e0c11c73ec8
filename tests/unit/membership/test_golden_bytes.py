"""Bytes that lie in logs and travel between strangers: what was written once is read for ever, and written the same."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from naisho.protocol import ring
from naisho.protocol.directory import NodeState, verify
from naisho.protocol.directory.statements import Heartbeat, announce, read_announcement, read_heartbeat, sign_heartbeat
from naisho.protocol.signing import SigningKey
from operators.membership.domain.life import Life, Member
from operators.membership.record import decode_roster, encode_roster

if TYPE_CHECKING:
    from collections.abc import Callable

    from .conftest import Paper

FILE = Path(__file__).parents[2] / "vectors" / "membership-v1.json"


@pytest.fixture
def golden() -> dict[str, bytes]:
    return {name: bytes.fromhex(text) for name, text in json.loads(FILE.read_text(encoding="ascii")).items()}


@pytest.fixture
def written(paper: Paper, now_ms: int, make_key: Callable[[str], SigningKey]) -> dict[str, bytes]:
    """Return what this version writes."""
    joining = paper.node(1, state=NodeState.JOINING, swarm_id=ring.INVALID_SWARM, next_swarm_id=ring.swarm_id(64))
    signer = make_key("node 1")
    beat = Heartbeat(signer.public, now_ms, True, 70, 3, frozenset({b"k" * 32}), 9, ring.swarm_id(64))
    bare = replace(joining, next_swarm_id=ring.INVALID_SWARM)
    roster = {bare.key: Member(bare, Life.GONE, now_ms, "was drained", drained=True)}
    network_id = paper.network.network_id
    return {
        "signed_directory": paper.sign(paper.directory(paper.node(0), joining, simulated=True)).signed,
        "announcement": announce(joining, signer, network_id=network_id, time_ms=now_ms, newest_directory=b"d"),
        "heartbeat": sign_heartbeat(beat, signer, network_id=network_id),
        "roster": encode_roster(roster),
    }


def test_the_same_is_written_as_ever(golden: dict[str, bytes], written: dict[str, bytes]) -> None:
    assert written == golden


def test_what_was_written_is_read(paper: Paper, now_ms: int, golden: dict[str, bytes]) -> None:
    network_id = paper.network.network_id
    directory = verify(golden["signed_directory"], network=paper.network, now_ms=now_ms)
    assert [node.state for node in directory.nodes].count(NodeState.JOINING) == 1
    assert directory.simulated
    assert read_announcement(golden["announcement"], network_id=network_id).newest_directory == b"d"
    assert read_heartbeat(golden["heartbeat"], network_id=network_id).position == 70
    (member,) = decode_roster(golden["roster"]).values()
    assert (member.life, member.drained, member.since_ms) == (Life.GONE, True, now_ms)
