"""Accidents in the middle of a stream of stores: nothing acknowledged is lost, doubled or out of order anywhere.

``NAISHO_CHAOS_ROUNDS=10`` lets every accident happen ten times, and ten more times two of them at once.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime
from pathlib import Path

import pytest

from naisho.protocol.account import AccountKeys
from tests.chaos.accidents import OPTIONS, UNHURRIED, Place, StruckNetwork
from tests.chaos.ledger import Ledger
from tests.chaos.mailboxes import http_client
from tests.chaos.stream import Stream

ROUNDS_WISHED = "NAISHO_CHAOS_ROUNDS"
ROUNDS = int(os.environ.get(ROUNDS_WISHED, "1"))
MAILBOXES, WRITERS = 3, 2
#: Stores acknowledged before an accident, and after the network is whole again.
BEFORE, AFTER = 60, 60
#: An answer that was on its way when a node noticed something may arrive so much later.
GRACE_S = 0.2

pytestmark = [pytest.mark.slow, pytest.mark.timeout(0 if ROUNDS_WISHED in os.environ else 120)]


class Scene:
    """A network of three nodes in one swarm, every role its own process; a stream of stores; accidents."""

    def __init__(self, network: StruckNetwork, stream: Stream, ledgers: list[Ledger], copy: Path) -> None:
        self.network = network
        self.stream = stream
        self._ledgers = ledgers
        self._copy = copy

    async def survive(self, name: str, accident: Callable[[], Awaitable[None]]) -> None:
        """Let something happen while the stream goes on; check that all is as it was as soon as that is over."""
        stream, counted = self.stream, self.stream.counts.copy()
        async with stream.running():
            await stream.acknowledged(BEFORE)
            self._struck = time.time()
            await accident()
            await stream.until_whole(time.time())
            seconds = time.time() - self._struck
            await stream.acknowledged(AFTER)
        there = await stream.check()
        news = stream.counts - counted
        told = ", ".join(f"{news.pop(what, 0)} {what}" for what in ("stored", "deleted", "extended"))
        print(f"\n{name}: acknowledged meanwhile: {told}; {news.pop('receipts')} receipts verified")
        print(f"  whole after {seconds:.2f} s; every member lists the same {there} messages; not done: {dict(news)}")

    def summary(self) -> str:
        """Say what came of all of it."""
        counts, due = self.stream.counts, sum(len(ledger.due()) for ledger in self._ledgers)
        return (
            f"in all: {counts['stored']} stores, {counts['deleted']} deletions and {counts['extended']} longer lives "
            f"acknowledged, {counts['receipts']} receipts verified; {due} messages due, and recovered from every member"
        )

    async def node_killed(self, number: int = 0) -> None:
        await asyncio.to_thread(self.network.strike, f"swarm-{number:02d}")

    async def log_killed(self) -> None:
        await asyncio.to_thread(self.network.strike, "nats")

    async def everything_killed(self) -> None:
        await asyncio.to_thread(self.network.kill)
        await asyncio.to_thread(self.network.start)

    async def everything_killed_twice(self) -> None:
        """What a node puts off until it is started again must bear to be put off again."""
        await self.everything_killed()
        await self.stream.acknowledged(BEFORE)
        await self.everything_killed()

    async def node_wiped(self, number: int = 1) -> None:
        await asyncio.to_thread(self.network.wipe, self.network.places()[number])

    async def log_put_back(self) -> None:
        await self._keep_copy()
        await asyncio.to_thread(self.network.put_log_back, self._copy)

    async def log_put_back_while_all_is_down(self) -> None:
        await self._keep_copy()
        await asyncio.to_thread(self.network.kill)
        shutil.rmtree(self.network.log_folder)
        shutil.copytree(self._copy, self.network.log_folder)
        await asyncio.to_thread(self.network.start)

    async def node_asleep(self, seconds: float, number: int = 2) -> None:
        await self._asleep(f"swarm-{number:02d}", seconds)

    async def log_asleep(self, seconds: float) -> None:
        await self._asleep("nats", seconds)

    async def _asleep(self, name: str, seconds: float) -> None:
        with self.network.paused(name):
            await asyncio.sleep(seconds)

    async def _keep_copy(self) -> None:
        """Copy the log, and store more."""
        shutil.rmtree(self._copy, ignore_errors=True)
        await asyncio.to_thread(self.network.copy_log, self._copy)
        await self.stream.acknowledged(BEFORE)
        self._struck = time.time()


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    settings = {"swarm": {"key_period": "2s", "log_check": "1s", "heartbeat": "1s"}, "onion": UNHURRIED}
    with StruckNetwork(tmp_path / "network", *OPTIONS, settings=settings) as network:
        async with http_client() as http:
            ledgers = [Ledger(AccountKeys.generate()) for _ in range(MAILBOXES)]
            yield Scene(network, Stream(http, network.places(), ledgers, WRITERS), ledgers, tmp_path / "copy")


async def test_what_was_acknowledged_survives_every_accident(scene: Scene) -> None:
    for _ in range(ROUNDS):
        await scene.survive("kill -9 of one node's mailboxes", scene.node_killed)
        await scene.survive("kill -9 of the log's server", scene.log_killed)
        await scene.survive("kill -9 of the whole network", scene.everything_killed)
        await scene.survive("the log put back from an older copy", scene.log_put_back)
        await scene.survive("one node's disk wiped", scene.node_wiped)
        await scene.survive("kill -9 of the whole network, and again", scene.everything_killed_twice)
    print("\n" + scene.summary())
    for place in scene.network.places():
        assert_silent_while_mending(place, scene.stream.acknowledgements)


@pytest.mark.skipif(ROUNDS_WISHED not in os.environ, reason=f"takes long; set {ROUNDS_WISHED}=10")
async def test_two_accidents_at_once(scene: Scene) -> None:
    def both(*accidents: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def strike() -> None:
            await asyncio.gather(*(accident() for accident in accidents))

        return strike

    async def killed_soon() -> None:
        await asyncio.sleep(random.uniform(0, 2))
        await scene.node_killed(random.randrange(3))

    async def wiped_and_killed_again() -> None:
        await scene.node_wiped()
        await asyncio.sleep(random.uniform(0.3, 1.5))
        await scene.node_killed(1)

    pairs = {
        "one node wiped, and killed while it fills": wiped_and_killed_again,
        "the log put back, one node killed meanwhile": both(scene.log_put_back, killed_soon),
        "the log put back, one node wiped": both(scene.log_put_back, scene.node_wiped),
        "the log put back, one node asleep": both(scene.log_put_back, lambda: scene.node_asleep(4)),
        "the log put back while all is down": scene.log_put_back_while_all_is_down,
        "the log killed, one node wiped": both(scene.log_killed, scene.node_wiped),
        "one node killed, one wiped": both(scene.node_killed, scene.node_wiped),
        "the log asleep, one node killed": both(lambda: scene.log_asleep(3), killed_soon),
    }
    for _ in range(ROUNDS):
        for name in random.sample(list(pairs), len(pairs)):
            await scene.survive(name, pairs[name])
    print("\n" + scene.summary())


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
