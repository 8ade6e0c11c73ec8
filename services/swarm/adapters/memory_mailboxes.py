"""Mailboxes of a whole swarm in one process's memory: no log, no disk, nothing outlives the object."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from naisho.protocol.encoding import to_base64
from naisho.protocol.signing import SigningKey
from services.swarm.domain.admission import Places
from services.swarm.domain.commands import Command, Store
from services.swarm.domain.decide import decide
from services.swarm.domain.events import Stored
from services.swarm.domain.evolve import Changes, Mailbox, StateView, evolve
from services.swarm.domain.policies import Quotas, Retention
from services.swarm.domain.ports import MemberAnswer, Message, Page, Refused, SwarmAnswer
from services.swarm.domain.results import member_result, result_text
from services.swarm.domain.retrieve_request import message_cost


class MemoryMailboxes:
    """The ``Mailboxes`` port for tests and trials: every member folds every event at once.

    Args:
        members: the members' keys; the first is this node's.
        clock: returns milliseconds since 1970.
        quotas: limits for stores.
        retention: limits for expiries.
    """

    def __init__(
        self,
        members: Sequence[SigningKey],
        clock: Callable[[], int],
        quotas: Quotas | None = None,
        retention: Retention | None = None,
    ) -> None:
        self._members = members
        self._clock = clock
        self._quotas = quotas or Quotas()
        self._retention = retention or Retention()
        self._mailboxes: defaultdict[bytes, Mailbox] = defaultdict(Mailbox)
        self._bodies: dict[bytes, bytes] = {}
        self._sequence = 0

    @asynccontextmanager
    async def admitted(self, commands: int) -> AsyncIterator[Places]:
        """See ``Mailboxes``."""
        yield Places(commands)

    async def execute(self, command: Command, places: Places | None = None) -> SwarmAnswer:
        """See ``Mailboxes``."""
        if places is not None and places.left:
            places.left -= 1
        account = command.account
        now = self._clock()
        decision = decide(command, StateView(self._mailboxes[account], now), self._quotas, self._retention)
        changes = Changes()
        for event in decision.events:
            if isinstance(event, Stored) and event.data is not None:
                self._bodies[event.message_hash] = event.data
            self._sequence += 1
            evolved = evolve(self._mailboxes[account], event, sequence=self._sequence, time_ms=now)
            self._mailboxes[account] = evolved.mailbox
            changes.add(evolved.changes)
        result = member_result(command, changes, StateView(self._mailboxes[account], now))
        members = {member.public.hex(): self._signed(member, command, result) for member in self._members}
        return SwarmAnswer(members, members[self._members[0].public.hex()])

    async def store_all(self, commands: Sequence[Store], places: Places | None = None) -> list[SwarmAnswer | Refused]:
        """See ``Mailboxes``."""
        outcomes: list[SwarmAnswer | Refused] = []
        for command in commands:
            try:
                outcomes.append(await self.execute(command, places))
            except Refused as refused:
                outcomes.append(refused)
        return outcomes

    async def read(
        self, account: bytes, namespace: int, *, after: bytes | None, max_count: int | None, max_bytes: int
    ) -> Page:
        """See ``Mailboxes``."""
        records = self._view(account).list(namespace)
        start = next((at for at, record in enumerate(records, 1) if record.message_hash == after), 0)
        chosen: list[Message] = []
        for record in records[start:]:
            max_bytes -= message_cost(record.size)
            if chosen and (max_bytes < 0 or len(chosen) == max_count):
                return Page(chosen, more=True)
            data = self._bodies[record.message_hash]
            chosen.append(Message(record.message_hash, record.timestamp_ms, record.expiry_ms, data))
        return Page(chosen, more=False)

    async def expiries(self, account: bytes, hashes: Sequence[bytes]) -> dict[bytes, int]:
        """See ``Mailboxes``."""
        return {h: record.expiry_ms for h, record in self._view(account).find(hashes).items()}

    async def revoked(self, account: bytes) -> frozenset[bytes]:
        """See ``Mailboxes``."""
        return frozenset(self._view(account).revoked())

    def _view(self, account: bytes) -> StateView:
        return StateView(self._mailboxes[account], self._clock())

    @staticmethod
    def _signed(member: SigningKey, command: Command, result: MemberAnswer) -> MemberAnswer:
        text = result_text(command.account.hex(), command, result)
        return {**result, "signature": to_base64(member.sign(text))}
