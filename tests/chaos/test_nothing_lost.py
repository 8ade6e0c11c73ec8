"""Accidents in the middle of a stream of stores: nothing acknowledged is lost, doubled or out of order anywhere."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from naisho.protocol.account import AccountKeys
from tests.chaos.accidents import OPTIONS, UNHURRIED, Place, StruckNetwork
from tests.chaos.ledger import Ledger
from tests.chaos.mailboxes import http_client
from tests.chaos.stream import Stream

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0 if "NAISHO_CHAOS_ROUNDS" in os.environ else 120)]

#: How often every accident happens.
ROUNDS = int(os.environ.get("NAISHO_CHAOS_ROUNDS", "1"))
MAILBOXES, WRITERS = 3, 2
#: Stores acknowledged before an accident, and after the network is whole again.
BEFORE, AFTER = 60, 60
#: An answer that was on its way when a node noticed something may arrive so much later.
GRACE_S = 0.2


@pytest.fixture
def network(tmp_path: Path) -> Iterator[StruckNetwork]:
    """Three nodes in one swarm, every role its own process."""
    settings = {"swarm": {"key_period": "2s", "log_check": "1s", "heartbeat": "1s"}, "onion": UNHURRIED}
    with StruckNetwork(tmp_path / "network", *OPTIONS, settings=settings) as running:
        yield running


#: Strikes, and returns when: in seconds since 1970.
Accident = Callable[[], Awaitable[float]]


async def test_what_was_acknowledged_survives_every_accident(network: StruckNetwork, tmp_path: Path) -> None:
    async with http_client() as http:
        ledgers = [Ledger(AccountKeys.generate()) for _ in range(MAILBOXES)]
        stream = Stream(http, network.places(), ledgers, WRITERS)
        copy = tmp_path / "copy"

        async def strike_one_node() -> float:
            struck = time.time()
            await asyncio.to_thread(network.strike, "swarm-00")
            return struck

        async def strike_the_log() -> float:
            struck = time.time()
            await asyncio.to_thread(network.strike, "nats")
            return struck

        async def strike_everything() -> float:
            struck = time.time()
            await asyncio.to_thread(network.strike_all)
            await asyncio.to_thread(network.start)
            return struck

        async def put_the_log_back() -> float:
            shutil.rmtree(copy, ignore_errors=True)
            await asyncio.to_thread(network.copy_log, copy)
            await stream.acknowledged(BEFORE)
            struck = time.time()
            await asyncio.to_thread(network.put_log_back, copy)
            return struck

        async def wipe_one_node() -> float:
            struck = time.time()
            await asyncio.to_thread(network.wipe, network.places()[1])
            return struck

        accidents: dict[str, Accident] = {
            "kill -9 of one node's mailboxes": strike_one_node,
            "kill -9 of the log's server": strike_the_log,
            "kill -9 of the whole network": strike_everything,
            "the log put back from an older copy": put_the_log_back,
            "one node's disk wiped": wipe_one_node,
        }
        for name, accident in list(accidents.items()) * ROUNDS:
            counted = stream.counts.copy()
            async with stream.running():
                await stream.acknowledged(BEFORE)
                struck = await accident()
                await stream.until_whole(struck)
                seconds = time.time() - struck
                await stream.acknowledged(AFTER)
            there = await stream.check()
            news = stream.counts - counted
            told = ", ".join(f"{news.pop(what, 0)} {what}" for what in ("stored", "deleted", "extended"))
            print(f"\n{name}: acknowledged meanwhile: {told}; {news.pop('receipts')} receipts verified")
            print(
                f"  whole after {seconds:.2f} s; every member lists the same {there} messages; not done: {dict(news)}"
            )
        stored, deleted = stream.counts["stored"], stream.counts["deleted"]
        due = sum(len(ledger.due()) for ledger in ledgers)
        print(
            f"\nin all: {stored} stores and {deleted} deletions acknowledged; {due} due and recovered from every member"
        )

    for place in network.places():
        assert_silent_while_mending(place, stream.acknowledgements)


def assert_silent_while_mending(place: Place, acknowledgements: list[tuple[float, str]]) -> None:
    """Check that a node noticed that the log was put back, and acknowledged nothing until that was mended."""
    noticed = times_of(place, "the event log is not the one it was")
    mended = times_of(place, "the event log has again what it lost")
    assert len(mended) == ROUNDS
    assert noticed
    own = [when for when, name in acknowledgements if name == place.name]
    for end in mended:
        begin = max(when for when in noticed if when <= end)
        assert not [when for when in own if begin + GRACE_S < when < end]


def times_of(place: Place, message: str) -> list[float]:
    """Return when a node logged something, in seconds since 1970."""
    lines = [line for line in place.log.splitlines() if message in line]
    return [datetime.fromisoformat(line.split()[0]).timestamp() for line in lines]
