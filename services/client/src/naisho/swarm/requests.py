"""A storage request for one account's mailbox, carried through a path to whichever member answers."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from random import Random
from typing import Any, NamedTuple, TypeAlias

from naisho.errors import (
    ClockWrong,
    EntryUnreachable,
    NaishoError,
    RequestRefused,
    SwarmUnreachable,
    WrongSwarm,
)
from naisho.network.clock import SAMPLES, NetworkClock, offset_of
from naisho.network.directory import DirectoryKeeper
from naisho.network.strikes import Strikes
from naisho.paths.choosing import order_members, suitable_members
from naisho.paths.failures import Failure
from naisho.paths.keeper import PathKeeper
from naisho.paths.onion import OnionRequests
from naisho.paths.status import Path
from naisho.protocol import ring
from naisho.protocol.account import AccountId
from naisho.protocol.directory import Node
from naisho.protocol.onion.reply import NodeReply
from naisho.swarm.answers import Verdict, listed_members, read_answer

#: Given network time in Unix ms, returns method and parameters; called anew for every try, so signatures are fresh.
Build: TypeAlias = Callable[[int], tuple[str, Mapping[str, Any]]]

TRIES = 6
ASK_SECONDS = 10.0
#: Seconds before the n-th try.
BACKOFF = (0.0, 0.0, 0.2, 0.5, 1.0, 2.0)
MOST_REMEMBERED = 1024
#: No new try after that many seconds.
PATIENCE = 30.0
#: However often members send us elsewhere, the directory is fetched no more often than this.
REFRESH_PAUSE_MS = 30_000


class Swarm(NamedTuple):
    """Who keeps a mailbox."""

    swarm_id: int
    members: tuple[Node, ...]


class Told(NamedTuple):
    """A successful answer.

    Attributes:
        member: who answered.
        body: its JSON object.
        members: the swarm as this device knows it, for judging how many receipts there should be.
        took_ms: from sending to reading, of the try that succeeded.

    """

    member: Node
    body: Mapping[str, Any]
    members: tuple[Node, ...]
    took_ms: int


class SwarmRequests:
    """Requests with retries: other members, other paths, the right swarm, the right time; all of it bounded."""

    def __init__(
        self,
        *,
        directory: DirectoryKeeper,
        paths: PathKeeper,
        onion: OnionRequests,
        clock: NetworkClock,
        strikes: Strikes,
        random: Random,
        monotonic: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._directory = directory
        self._paths = paths
        self._onion = onion
        self._clock = clock
        self._strikes = strikes
        self._random = random
        self._monotonic = monotonic
        self._sleep = sleep
        #: Swarms that members corrected us about, valid for one epoch of the directory.
        self._corrected: dict[bytes, tuple[int, tuple[Node, ...]]] = {}

    async def swarm(self, account: AccountId) -> Swarm:
        """Return who keeps an account's mailbox, by the directory (wire 3.2).

        Raises:
            NetworkError: there is no directory.
            SwarmUnreachable: no swarm serves.
        """
        directory = await self._directory.get()
        swarm_id = ring.choose_swarm(ring.position(account.key), directory.swarm_ids)
        if swarm_id is None:
            raise SwarmUnreachable(tried=0, reason="no-swarm")
        epoch, members = self._corrected.get(account.raw, (-1, ()))
        return Swarm(swarm_id, members if epoch == directory.epoch else directory.members(swarm_id))

    async def ask(self, account: AccountId, build: Build, *, own: bool = False, seconds: float = ASK_SECONDS) -> Told:
        """Ask any member of an account's swarm until one answers.

        Args:
            account: whose mailbox.
            build: makes the request.
            own: the mailbox is ours, so that an answer proves the path.
            seconds: for each try.

        Raises:
            NetworkError, PathError: no way to the swarm.
            SwarmError: the members' own answer.
        """
        state, until = _Tries(), self._monotonic() + PATIENCE
        while state.count < TRIES and self._monotonic() < until:
            if not isinstance(state.error, EntryUnreachable):  # the next entry may be tried at once
                await self._sleep(BACKOFF[min(state.count, len(BACKOFF) - 1)])
            state.count += 1
            path = await self._paths.path()
            swarm = await self.swarm(account)
            member = self._pick(swarm.members, path, state)
            if member is None:
                if not swarm.members:
                    break
                # Every member is a hop of this path, or was tried: another path, and from the beginning.
                state.tried.clear()
                await self._paths.renew(keep_free=self._one_covered(swarm.members, path))
                continue
            told = await self._try(
                account, build, path=path, member=member, swarm=swarm, state=state, own=own, seconds=seconds
            )
            if told is not None:
                return told
        raise state.error or SwarmUnreachable(tried=state.count, reason="no-member")

    async def _try(
        self,
        account: AccountId,
        build: Build,
        *,
        path: Path,
        member: Node,
        swarm: Swarm,
        state: _Tries,
        own: bool,
        seconds: float,
    ) -> Told | None:
        started = self._monotonic()
        method, params = build(self._clock.now_ms())
        reply = await self._onion.ask(path.route, member, method, params, seconds=seconds)
        took_ms = round((self._monotonic() - started) * 1000)
        if isinstance(reply, Failure):
            self._paths.failed(path, reply)
            state.error = reply.error
            if isinstance(reply.error, EntryUnreachable):
                state.count -= 1  # nothing was asked; there are few entries, and each fails once
            else:
                state.tried.add(member.key)
            return None
        self._paths.worked(path)
        answer = read_answer(reply.status, reply.body)
        if answer.verdict is Verdict.DONE:
            self._strikes.forgive(member.key)
            if own:
                self._paths.proved(path, took_ms)
            return Told(member, answer.body, swarm.members, took_ms)
        state.error = answer.error
        if own:
            self._paths.doubted(path, answer.error)
        await self._react(account, answer.verdict, answer.body, member, state)
        return None

    async def _react(
        self, account: AccountId, verdict: Verdict, body: Mapping[str, Any], member: Node, state: _Tries
    ) -> None:
        if verdict is Verdict.REFUSED:
            raise state.error or RequestRefused(status=0, reason="")
        if verdict is Verdict.NEXT_MEMBER:
            self._strikes.add(member.key)
            state.tried.add(member.key)
        elif verdict is Verdict.LOOK_AGAIN:
            if state.looked_again:
                raise WrongSwarm
            state.looked_again = True
            state.tried.clear()
            await self._correct(account, listed_members(body), member)
        else:
            if state.set_clock:
                raise state.error if isinstance(state.error, ClockWrong) else ClockWrong(reason="")
            state.set_clock = True
            await self.learn_time()

    async def _correct(self, account: AccountId, keys: Sequence[bytes], member: Node) -> None:
        """Follow a 421: refresh the directory, and if it names the same members still, believe the answer for now."""
        before = (await self._directory.get()).epoch
        directory = await self._directory.refresh(unless_younger_ms=REFRESH_PAUSE_MS)
        named = tuple(directory.by_key[key] for key in keys if key in directory.by_key and key != member.key)
        if directory.epoch == before and named:
            if len(self._corrected) >= MOST_REMEMBERED:
                self._corrected.clear()
            self._corrected[account.raw] = (directory.epoch, named)

    async def learn_time(self) -> None:
        """Set the clock's offset to the median of three nodes' `info` (wire 5.7)."""
        offsets: list[int] = []
        asked: set[bytes] = set()
        directory = await self._directory.get()
        for _ in range(2 * SAMPLES):
            if len(offsets) == SAMPLES:
                break
            path = await self._paths.path()
            others = [node for node in directory.active_nodes if node.key not in asked]
            nodes = order_members(others, path.route, self._random)
            if not nodes:
                break
            asked.add(nodes[0].key)
            sent = self._clock.device_ms()
            reply = await self._onion.ask(path.route, nodes[0], "info", {}, seconds=ASK_SECONDS)
            if isinstance(reply, Failure):
                self._paths.failed(path, reply)
                continue
            if (told := _time_of(reply)) is not None:
                offsets.append(offset_of(told, sent, self._clock.device_ms()))
        self._clock.learn(offsets)

    def _pick(self, members: Sequence[Node], path: Path, state: _Tries) -> Node | None:
        """Return the next member to ask; those out of favour only when nobody else is left."""
        acquainted = self._directory.acquainted
        ordered = order_members(members, path.route, self._random, acquainted=acquainted)
        fresh = [member for member in ordered if member.key not in state.tried]
        out = self._strikes.out()
        return next((member for member in fresh if member.key not in out), fresh[0] if fresh else None)

    def _one_covered(self, members: Sequence[Node], path: Path) -> list[bytes]:
        """Return the key of a member that could be asked if the path did not lead over it, if there is one."""
        suitable = suitable_members(members, self._directory.acquainted)
        covered = [member.key for member in suitable if member in (path.route.middle, path.route.exit)]
        return [self._random.choice(covered)] if covered else []


class _Tries:
    """What happened to one request so far."""

    def __init__(self) -> None:
        self.count = 0
        self.tried: set[bytes] = set()
        self.looked_again = self.set_clock = False
        self.error: NaishoError | None = None


def _time_of(reply: NodeReply) -> int | None:
    answer = read_answer(reply.status, reply.body)
    told = answer.body.get("timestamp", answer.body.get("t")) if answer.verdict is Verdict.DONE else None
    return told if isinstance(told, int) else None
