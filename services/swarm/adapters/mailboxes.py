"""The mailboxes of this node's swarm: commands go through the log, reads come from the local store."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from weakref import WeakValueDictionary

from services.chassis.clock import Clock
from services.chassis.eventlog.port import EventLog, EventLogError, LogFull, LogUnavailable, WrongExpectedSequence
from services.swarm.adapters.drafts import BodyGone, Drafter
from services.swarm.adapters.entrance import BUSY, Entrance, Stay
from services.swarm.adapters.inquiries import Inquiries, Inquiry
from services.swarm.adapters.mailbox_subjects import MailboxSubjects, Place
from services.swarm.adapters.sealing import KeyGone, PeriodKeys
from services.swarm.adapters.store.reader import Reader
from services.swarm.domain.admission import AdaptiveLimit, Places
from services.swarm.domain.commands import Command, Store, Stores
from services.swarm.domain.decide import Decision, decide
from services.swarm.domain.events import Event
from services.swarm.domain.policies import Quotas, Retention
from services.swarm.domain.ports import Message, Page, Refused, SwarmAnswer
from services.swarm.projections.projection import Projection

_LONGEST_PAUSE_MS: Final = 64
_FULL: Final = "The network's storage is full, try again later"


@dataclass(frozen=True, slots=True, kw_only=True)
class MailboxSettings:
    """Bounds of commands.

    Attributes:
        in_flight: commands under way or waiting for other members at the same time, whatever the limit is.
        least: commands under way that are never too many; see ``domain.admission``.
        patience_s: how long a command may take until fewer are let in.
        wait_s: how long a request waits to be let in; then it is refused before any work.
        behind: events that may wait in the log before commands are refused.
        members_s: how long the other members' answers are waited for.
        own_s: how long this node's own commit is waited for.
        tries: how often a command is decided before it is given up because others are always faster.
        quotas: how much an account may hold.
        retention: how long messages may live.
    """

    in_flight: int = 1024
    least: int = 128
    patience_s: float = 0.4
    wait_s: float = 1.0
    behind: int = 20_000
    members_s: float = 2.0
    own_s: float = 5.0
    tries: int = 24
    quotas: Quotas = field(default_factory=Quotas)
    retention: Retention = field(default_factory=Retention)


class _First(NamedTuple):
    """A message's first store, decided."""

    command: Store
    place: Place
    event: Event


class SwarmMailboxes:
    """``Mailboxes`` of one node.

    Args:
        reader: the local store.
        sync: has the disk take everything that the local store has by now.
        projection: keeps it level with the log.
        log: what is written to.
        drafter: makes what is written.
        keys: open bodies.
        subjects: where mailboxes lie in the log.
        inquiries: ask the other members.
        members: names all members of this node's swarm, by the hex of their key.
        clock: the time.
        settings: bounds.

    Attributes:
        entrance: counts commands, and lets in as many as make sense.
        answered: commands carried out.
        refused: commands that were not, or not in time.
        unopened: messages left out of listings because their key is gone.
    """

    def __init__(
        self,
        *,
        reader: Reader,
        sync: Callable[[], Awaitable[None]],
        projection: Projection,
        log: EventLog,
        drafter: Drafter,
        keys: PeriodKeys,
        subjects: MailboxSubjects,
        inquiries: Inquiries,
        members: Callable[[], Sequence[str]],
        clock: Clock,
        settings: MailboxSettings | None = None,
    ) -> None:
        self.answered = 0
        self.refused = 0
        self.unopened = 0
        self._reader = reader
        self._sync = sync
        self._projection = projection
        self._log = log
        self._drafter = drafter
        self._keys = keys
        self._subjects = subjects
        self._inquiries = inquiries
        self._members = members
        self._clock = clock
        self._settings = settings = settings or MailboxSettings()
        most = settings.in_flight
        limit = AdaptiveLimit(least=min(settings.least, most), most=most, patience_s=settings.patience_s)
        self.entrance = Entrance(limit, wait_s=settings.wait_s)
        self._turns: WeakValueDictionary[bytes, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def admitted(self, commands: int) -> AsyncIterator[Places]:
        """See ``Mailboxes.admitted``."""
        try:
            places = await self._enter(commands)
        except Refused:
            self.refused += commands
            raise
        try:
            yield places
        finally:
            self.entrance.give_back(places)

    async def execute(self, command: Command, places: Places | None = None) -> SwarmAnswer:
        """See ``Mailboxes.execute``."""
        try:
            if places is None or not places.left:
                places = await self._enter(1)
            answer = await self._execute(command, self.entrance.begin(places))
        except Refused:
            self.refused += 1
            raise
        self.answered += 1
        return answer

    async def store_all(self, commands: Sequence[Store], places: Places | None = None) -> list[SwarmAnswer | Refused]:
        """See ``Mailboxes.store_all``: first stores share what an answer costs, all others are carried out as ever."""
        outcomes: dict[int, SwarmAnswer | Refused] = {}
        firsts: dict[int, _First] = {}
        for number, command in enumerate(commands):
            place = self._subjects.place(command.account)
            try:
                decision, _ = self._decide(place, command)
            except Refused as refused:
                self.refused += 1
                outcomes[number] = refused
            else:
                if decision.events and not decision.guarded:
                    firsts[number] = _First(command, place, decision.events[0])
        if places is not None and 1 < len(firsts) <= places.left:
            together = await self._store_together(list(firsts.values()), self.entrance.begin(places, len(firsts)))
            outcomes.update(zip(firsts, together, strict=False))
        alone = [number for number in range(len(commands)) if number not in outcomes]
        outcomes.update(
            zip(alone, await asyncio.gather(*(self._outcome(commands[n], places) for n in alone)), strict=True)
        )
        return [outcomes[number] for number in range(len(commands))]

    async def _outcome(self, command: Command, places: Places | None) -> SwarmAnswer | Refused:
        try:
            return await self.execute(command, places)
        except Refused as refused:
            return refused

    async def _store_together(self, firsts: Sequence[_First], stay: Stay) -> Sequence[SwarmAnswer | Refused]:
        """Append first stores and ask for all at once; nothing comes back if it is not known what became of them."""
        asked = Stores(tuple(first.command for first in firsts))
        inquiry = self._inquiries.open(asked, b"", self._members())
        try:
            drafts = [await self._drafter.draft(first.place, first.event) for first in firsts]
            appended = asyncio.gather(
                *(
                    self._log.append(first.place.subject, draft.payload, ttl_s=draft.ttl_s)
                    for first, draft in zip(firsts, drafts, strict=True)
                )
            )
            self._inquiries.ask(inquiry, [draft.event_id for draft in drafts], 0, after=appended)
            answers = await self._answers(inquiry, stay, appended)
        except LogUnavailable as error:
            if error.maybe_stored:
                return ()
            refused = Refused(503, BUSY)
        except LogFull:
            refused = Refused(503, _FULL)
        except (EventLogError, KeyGone, OSError):
            refused = Refused(503, BUSY)
        else:
            self.answered += len(firsts)
            return answers
        finally:
            self._inquiries.close(inquiry)
            stay.end()
        self.refused += len(firsts)
        return [refused] * len(firsts)

    async def _enter(self, commands: int) -> Places:
        if self._projection.behind > self._settings.behind:
            self.entrance.turn_away(commands)
        return await self.entrance.enter(commands)

    async def _execute(self, command: Command, stay: Stay) -> SwarmAnswer:
        place = self._subjects.place(command.account)
        inquiry = self._inquiries.open(command, place.tag, self._members())
        try:
            return await self._carry_out(place, command, inquiry, stay)
        except LogFull as error:
            raise Refused(503, _FULL) from error
        except (EventLogError, BodyGone, KeyGone, OSError) as error:  # of the disk, or too late
            raise Refused(503, BUSY) from error
        finally:
            self._inquiries.close(inquiry)
            stay.end()

    async def _carry_out(self, place: Place, command: Command, inquiry: Inquiry, stay: Stay) -> SwarmAnswer:
        """Bring into the log what the command needs, and ask all members for their results."""
        decision, last_sequence = self._decide(place, command)
        if decision.guarded and not decision.events:
            decision, last_sequence = await self._decide_level(place, command, last_sequence)
        if not decision.events:
            self._inquiries.ask(inquiry, (), last_sequence)
            return await self._answer(inquiry, stay)
        if not decision.guarded:
            try:
                return await self._answer(inquiry, stay, await self._append_freely(place, inquiry, decision))
            except LogUnavailable as error:
                if not error.maybe_stored:
                    raise
        turn = self._turns.setdefault(place.tag, asyncio.Lock())
        if turn.locked():
            stay.stand_aside()  # who crowds one mailbox is not to take the places of all the others
        async with turn:
            await self._append_guarded(place, command, inquiry)
            # The next in turn decides on what this one has done.
            await self._inquiries.folded(inquiry, own_s=self._settings.own_s)
        return await self._answer(inquiry, stay)

    async def _answer(self, inquiry: Inquiry, stay: Stay, appended: asyncio.Future[int] | None = None) -> SwarmAnswer:
        (answer,) = await self._answers(inquiry, stay, appended)
        return answer

    async def _answers(
        self, inquiry: Inquiry, stay: Stay, appended: asyncio.Future[Any] | None = None
    ) -> list[SwarmAnswer]:
        settings = self._settings
        answers = await self._inquiries.answers(
            inquiry, own_s=settings.own_s, others_s=settings.members_s, appended=appended, on_held=stay.done
        )
        if not inquiry.events:
            await self._sync()  # what it rests on may have been folded for another node's client
        return answers

    def _decide(self, place: Place, command: Command) -> tuple[Decision, int]:
        settings = self._settings
        with self._reader.view(place.tag, self._clock.now_ms()) as view:
            return decide(command, view, settings.quotas, settings.retention), view.last_sequence

    async def _decide_level(self, place: Place, command: Command, last_sequence: int) -> tuple[Decision, int]:
        """Decide on everything that the log has by now: what another member has acknowledged may wait to be folded."""
        newest = await self._log.last(place.subject)
        if newest is not None and newest.sequence > last_sequence:
            async with asyncio.timeout(self._settings.own_s):
                await self._projection.reached(newest.sequence)
        return self._decide(place, command)

    async def _append_freely(self, place: Place, inquiry: Inquiry, decision: Decision) -> asyncio.Future[int]:
        """Send a first store, and return what its acknowledgement will be."""
        (event,) = decision.events
        draft = await self._drafter.draft(place, event)
        appended = asyncio.ensure_future(self._log.append(place.subject, draft.payload, ttl_s=draft.ttl_s))
        self._inquiries.ask(inquiry, (draft.event_id,), 0, after=appended)
        return appended

    async def _append_guarded(self, place: Place, command: Command, inquiry: Inquiry) -> None:
        """Decide and append, anew whenever somebody else was faster or it is not known whether an append worked.

        Raises:
            EventLogError: given up; what was appended stays, and is carried out by all members.
        """
        attempted: list[bytes] = list(inquiry.events)
        acknowledged: set[bytes] = set()
        last_known = (0, 0)
        for turn in range(self._settings.tries):
            if inquiry.own is not None:
                return  # what was in doubt has come back as folded
            if turn:
                # Members that change one mailbox at the same time get out of each other's way.
                await self._clock.sleep(min(2**turn, _LONGEST_PAUSE_MS) / 1000 * random.random())  # noqa: S311 - no secret
            decision, last_sequence = self._decide(place, command)
            done = [e for e in attempted if e in acknowledged or self._inquiries.has_folded(inquiry, e)]
            drafts = await self._drafter.drafts(place, decision.events)
            self._inquiries.ask(inquiry, [*done, *(draft.event_id for draft in drafts)], last_sequence)
            attempted = [*done, *(draft.event_id for draft in drafts)]
            # The log may have forgotten the last event that the store knows of: then it named an earlier one.
            expected = last_known[1] if last_known[0] == last_sequence else last_sequence
            try:
                for draft in drafts:
                    expected = await self._log.append(
                        place.subject, draft.payload, expected=expected, ttl_s=draft.ttl_s
                    )
                    acknowledged.add(draft.event_id)
            except WrongExpectedSequence as wrong:
                async with asyncio.timeout(self._settings.own_s):
                    await self._projection.reached(wrong.actual)
                last_known = (last_sequence, wrong.actual)
            except LogUnavailable as error:
                if not error.maybe_stored:
                    raise
            else:
                return
        raise LogUnavailable("others are always faster on this mailbox; try again later")

    async def read(
        self, account: bytes, namespace: int, *, after: bytes | None, max_count: int | None, max_bytes: int
    ) -> Page:
        """See ``Mailboxes.read``."""
        place = self._subjects.place(account)
        page = self._reader.page(
            place.tag,
            namespace,
            after=after,
            max_count=max_count,
            max_bytes=max_bytes,
            now_ms=self._clock.now_ms(),
        )
        messages: list[Message] = []
        for stored in page.messages:
            try:
                data = await self._keys.unseal(stored.period, stored.hash, stored.sealed)
            except EventLogError as error:
                raise Refused(503, BUSY) from error
            if data is None:
                self.unopened += 1
            else:
                messages.append(Message(stored.hash, stored.timestamp_ms, stored.expiry_ms, data))
        return Page(messages, page.more)

    async def expiries(self, account: bytes, hashes: Sequence[bytes]) -> dict[bytes, int]:
        """See ``Mailboxes.expiries``."""
        with self._reader.view(self._subjects.place(account).tag, self._clock.now_ms()) as view:
            return {h: record.expiry_ms for h, record in view.find(hashes).items()}

    async def revoked(self, account: bytes) -> frozenset[bytes]:
        """See ``Mailboxes.revoked``."""
        with self._reader.view(self._subjects.place(account).tag, self._clock.now_ms()) as view:
            return frozenset(view.revoked())
