"""What was told stands until there was time to hear of all nodes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from naisho.protocol.directory.statements import Heartbeat
from operators.membership.domain.life import Life
from operators.membership.domain.pool.observed import Observed, SeenDirectory, SeenMember, SeenNode
from operators.membership.domain.pool.register import Register
from operators.membership.domain.pool.spec import PoolSpec
from operators.membership.domain.signs import Sign
from operators.membership.kube.hearsay import Hearsay
from services.chassis.clock import ManualClock

PATIENCE_S = 15.0
TOLD = {"phase": "Active"}
KEYS = (b"\x01" * 32, b"\x02" * 32)
MEMBERS = {key.hex(): SeenMember(Life.ACTIVE, swarm="0" * 16, holds=True) for key in KEYS}
DIRECTORY = SeenDirectory("n-1", 7, "single-operator", 0, 1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def hearsay(clock: ManualClock) -> Hearsay:
    return Hearsay(clock, PATIENCE_S)


def beat(key: bytes) -> Heartbeat:
    return Heartbeat(
        key=key, time_ms=1, caught_up=True, position=0, lag=0, unreachable_peers=frozenset(), epoch=7, swarm_id=1
    )


def authority(*heard: bytes) -> Any:
    """Play an authority that listens to both nodes, and has heard of some."""
    signs = {key: Sign(1, beat(key) if key in heard else None) for key in KEYS}
    return SimpleNamespace(directory=SimpleNamespace(nodes=[SimpleNamespace(key=key) for key in KEYS]), signs=signs)


async def test_nothing_is_taken_back_until_all_were_heard_of(hearsay: Hearsay) -> None:
    assert hearsay.leaves(TOLD)
    assert not hearsay.leaves(None), "what was never told is told at once"
    assert not hearsay.leaves({})
    hearsay.take(None, {}, None)
    assert hearsay.leaves(TOLD)
    at_work = authority(KEYS[0])
    hearsay.take(at_work, MEMBERS, DIRECTORY)
    assert hearsay.leaves(TOLD)
    at_work.signs = authority(*KEYS).signs
    hearsay.take(at_work, MEMBERS, DIRECTORY)
    assert not hearsay.leaves(TOLD)
    at_work.signs = authority(KEYS[0]).signs
    hearsay.take(at_work, MEMBERS, DIRECTORY)
    assert not hearsay.leaves(TOLD), "who is silent later is told of"


async def test_a_node_that_stays_silent_is_told_of_after_a_while(hearsay: Hearsay, clock: ManualClock) -> None:
    at_work = authority(KEYS[0])
    hearsay.take(at_work, MEMBERS, DIRECTORY)
    await clock.advance(PATIENCE_S)
    hearsay.take(at_work, MEMBERS, DIRECTORY)
    assert hearsay.leaves(TOLD)
    await clock.advance(1)
    hearsay.take(at_work, MEMBERS, DIRECTORY)
    assert not hearsay.leaves(TOLD)


async def test_while_the_log_is_away_what_was_known_is_told_and_not_decided_by(
    hearsay: Hearsay, clock: ManualClock
) -> None:
    register = Register().reserved("talk").keyed("talk-0", KEYS[0].hex())
    nobody = Observed(PoolSpec("talk"), register, {"talk-0": SeenNode("talk-0")})
    assert hearsay.filled(nobody).nodes["talk-0"].member is None
    assert not hearsay.knows(KEYS[0].hex())
    hearsay.take(authority(*KEYS), MEMBERS, DIRECTORY)
    hearsay.take(None, {}, None)
    assert hearsay.leaves(TOLD), "a moment is no outage"
    await clock.advance(PATIENCE_S + 1)
    hearsay.take(None, {}, None)
    assert not hearsay.leaves(TOLD)
    filled = hearsay.filled(nobody)
    assert filled.nodes["talk-0"].member == MEMBERS[KEYS[0].hex()]
    assert filled.directory == DIRECTORY
    assert not filled.authority, "it is told that the log is away"
    assert nobody.nodes["talk-0"].member is None
    assert hearsay.knows(KEYS[0].hex())
    assert hearsay.kept({"epoch": 7, "phase": "x"}) == {"epoch": 7, "phase": "x"}


async def test_an_operator_that_never_heard_takes_back_nothing_of_the_directory(
    hearsay: Hearsay, clock: ManualClock
) -> None:
    await clock.advance(PATIENCE_S + 1)
    hearsay.take(None, {}, None)
    assert hearsay.kept({"epoch": None, "networkId": None, "swarms": [], "phase": "LogUnreachable"}) == {
        "phase": "LogUnreachable"
    }
