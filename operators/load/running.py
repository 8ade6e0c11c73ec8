"""A load test in this process: started, looked at while it runs, checked as often as one likes, stopped.

>>> async def main(network):
...     async with LoadRun.open(network, Load(Plan.steady(20))) as run:
...         run.start()
...         await break_something()
...         print(run.ledger.acknowledged, (await run.verify()).lost)
...         await run.stop()
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random, SystemRandom
from typing import Self

from naisho.network.transport import NodeTransport
from naisho.protocol.network_file import NetworkFile
from operators.load.acting import Act, Actors, Habits
from operators.load.arrivals import WHOLE, Share, Spacing, arrivals
from operators.load.asking import Asking
from operators.load.checking import Findings
from operators.load.ledger import Ledger
from operators.load.mix import Mix
from operators.load.plan import Plan
from operators.load.population import Simulated, draw_accounts
from operators.load.reading import PATIENCE_SECONDS, Reading
from operators.load.sizes import Sizes
from operators.load.surroundings import Surroundings
from operators.load.tally import Ended, Tally
from operators.load.ways import OnionWay, StraightWay, Way
from operators.load.wire import open_wire

DEFAULT_MIX = "store=6,retrieve=3,delete=1"
#: A run's numbers are kept for at most about so many stretches of time.
MOST_INTERVALS = 300
#: Of a run without a planned end.
ENDLESS_WIDTH = 5.0
#: How many requests that are late may be sent before others get their turn.
BURST = 16
TIDY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Load:
    """What is to be done to a network.

    Attributes:
        plan: rates.
        spacing: how arrivals lie.
        mix: operations and their weights.
        sizes: of messages.
        accounts: how many are simulated.
        onion: through onion paths; False for straight to the swarms.
        paths: how many onion paths are in use.
        under_way: requests at most; what arrives beyond is shed.
        seconds: for each request, tries included.
        tries: for each request.
        ttl_s: how long messages live.
        refresh_s: how often the directory is asked for.
        seed: of arrivals, operations and sizes; ``None`` for another one each time.
        share: the part of the plan that this process makes; accounts, paths and bound are its own.

    """

    plan: Plan
    spacing: Spacing = Spacing.POISSON
    mix: Mix = field(default_factory=lambda: Mix.parse(DEFAULT_MIX))
    sizes: Sizes = field(default_factory=lambda: Sizes.parse("1024"))
    accounts: int = 1000
    onion: bool = True
    paths: int = 16
    under_way: int = 512
    seconds: float = 10.0
    tries: int = 3
    ttl_s: float = 3600.0
    refresh_s: float = 10.0
    seed: int | None = None
    share: Share = WHOLE

    @property
    def width(self) -> float:
        """Seconds of one stretch of time in the numbers."""
        if math.isinf(self.plan.seconds):
            return ENDLESS_WIDTH
        return float(max(1, math.ceil(self.plan.seconds / MOST_INTERVALS)))


class LoadRun:
    """One load test.

    Attributes:
        load: what it does.
        ledger: what was acknowledged, as of now.
        tally: what was counted, as of now.
        surroundings: the network, as known now.

    """

    def __init__(
        self,
        load: Load,
        surroundings: Surroundings,
        transport: NodeTransport,
        accounts: list[Simulated],
        random: Random,
    ) -> None:
        self.load = load
        self.surroundings = surroundings
        self.ledger = Ledger()
        self.tally = Tally(load.width)
        self._transport = transport
        self._accounts = accounts
        self._random = random
        way: Way = (
            OnionWay(surroundings, transport, load.paths, random) if load.onion else StraightWay(transport, random)
        )
        self._actors = Actors(
            accounts,
            Habits(load.mix, load.sizes, round(load.ttl_s * 1000)),
            asking=Asking(surroundings, way, load.tries, load.seconds),
            ledger=self.ledger,
            now_ms=surroundings.clock.now_ms,
            random=random,
        )
        self._under_way: set[asyncio.Task[None]] = set()
        self._arriving: asyncio.Task[None] | None = None
        self._tidying: asyncio.Task[None] | None = None
        self._mistake: BaseException | None = None
        self._began = 0.0

    @classmethod
    @asynccontextmanager
    async def open(
        cls, network: NetworkFile, load: Load, *, transport: NodeTransport | None = None
    ) -> AsyncIterator[Self]:
        """Join a network and draw the accounts; the load begins with `start` and ends with the block at the latest.

        Args:
            network: the network file.
            load: what is to be done.
            transport: what carries requests, instead of connections of its own; for tests.

        Raises:
            NotJoined: no source gave the network's directory.
        """
        random = SystemRandom() if load.seed is None else Random(f"{load.seed}/{load.share.number}")  # noqa: S311 - load
        async with AsyncExitStack() as stack:
            if transport is None:
                transport = await stack.enter_async_context(open_wire())
            joining = Surroundings.open(network, transport, SystemRandom(), refresh_s=load.refresh_s)
            surroundings = await stack.enter_async_context(joining)
            run = cls(load, surroundings, transport, list(draw_accounts(load.accounts)), random)
            stack.push_async_callback(run._abort)
            yield run

    @property
    def under_way(self) -> int:
        """How many requests are under way."""
        return len(self._under_way)

    @property
    def seconds(self) -> float:
        """Seconds since the beginning."""
        return time.monotonic() - self._began

    def start(self, at: float | None = None) -> None:
        """Begin.

        Args:
            at: when, by `time.monotonic`; now if not given.
        """
        assert self._arriving is None, "started once"
        self._began = time.monotonic() if at is None else at
        self._arriving = asyncio.create_task(self._arrive())
        self._tidying = asyncio.create_task(self._tidy())

    async def finished(self) -> None:
        """Wait until the plan is carried out and no request is under way any more; raises this program's mistakes."""
        assert self._arriving is not None, "started before"
        await asyncio.wait([self._arriving])
        if not self._arriving.cancelled():
            self._arriving.result()
        while self._under_way:
            await asyncio.wait(self._under_way)
        if self._mistake is not None:
            raise self._mistake

    async def stop(self) -> None:
        """End the plan now and wait for what is under way."""
        if self._arriving is not None:
            self._arriving.cancel()
            await self.finished()

    async def verify(self, *, patience_s: float = PATIENCE_SECONDS) -> Findings:
        """Read back all that is acknowledged by now from every member that keeps it; the load may go on meanwhile.

        Args:
            patience_s: for how long a member that lacks something, or is silent, is asked again.
        """
        return await Reading(self.surroundings, self._transport, self._accounts, self.ledger).run(patience_s)

    async def _arrive(self) -> None:
        load, late = self.load, 0
        for due in arrivals(load.plan, load.spacing, self._random, load.share):
            if (wait := self._began + due - time.monotonic()) > 0:
                await asyncio.sleep(wait)
                late = 0
            elif (late := late + 1) % BURST == 0:
                await asyncio.sleep(0)
            act = self._actors.choose()
            self.tally.offered(act.operation, due, len(self._under_way))
            if len(self._under_way) >= load.under_way:
                self._actors.drop(act)
                self.tally.shed(act.operation, due)
                continue
            task = asyncio.create_task(self._carry_out(act, due))
            self._under_way.add(task)
            task.add_done_callback(self._ended)

    async def _carry_out(self, act: Act, due: float) -> None:
        began = self.seconds
        done = await self._actors.perform(act)
        self.tally.ended(
            Ended(
                act.operation,
                done.outcome,
                done.kind,
                due,
                began,
                self.seconds,
                swarm=done.swarm,
                tries=done.tries,
                stored=done.stored,
            )
        )

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            self._mistake = self._mistake or task.exception()

    async def _tidy(self) -> None:
        while True:
            await asyncio.sleep(TIDY_SECONDS)
            self.ledger.forget_expired(self.surroundings.clock.now_ms())

    async def _abort(self) -> None:
        tasks = [task for task in (self._arriving, self._tidying, *self._under_way) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
