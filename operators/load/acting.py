"""What simulated accounts do: each operation from its choice to its entry in the ledger."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from naisho.errors import NaishoError
from naisho.protocol.limits import MAX_TTL_PUBLIC_INBOX_MS
from naisho.protocol.message_hash import message_hash
from naisho.protocol.namespaces import DIRECT_MESSAGES
from naisho.swarm.mailbox import read_listing
from operators.load import outcomes, requests
from operators.load.asking import Asked, Asking
from operators.load.ledger import Entry, Ledger, State
from operators.load.mix import Mix, Operation
from operators.load.outcomes import Outcome
from operators.load.population import Simulated
from operators.load.sizes import Sizes


class Act(NamedTuple):
    """One operation that is to be carried out, by whom, and on which message."""

    operation: Operation
    sender: Simulated
    entry: Entry | None = None


class Done(NamedTuple):
    """How it ended; see `operators.load.tally.Ended`."""

    outcome: Outcome
    kind: str
    swarm: str
    tries: int
    stored: int = 0


@dataclass(frozen=True, slots=True)
class Habits:
    """How accounts behave: what they do, how much they write, and how many ms their messages live."""

    mix: Mix
    sizes: Sizes
    ttl_ms: int


class Actors:
    """All simulated accounts.

    Args:
        accounts: who they are.
        habits: what they do.
        asking: carries their requests.
        ledger: where acknowledgements are written down.
        now_ms: network time.
        random: where draws come from.

    """

    def __init__(
        self,
        accounts: Sequence[Simulated],
        habits: Habits,
        *,
        asking: Asking,
        ledger: Ledger,
        now_ms: Callable[[], int],
        random: Random,
    ) -> None:
        self._accounts = accounts
        self._habits = habits
        self._asking = asking
        self._ledger = ledger
        self._now_ms = now_ms
        self._random = random
        #: The last message that each account has read.
        self._positions: dict[int, str] = {}

    def choose(self) -> Act:
        """Draw what is to be done next; `perform` it or `drop` it.

        As long as there is no message that could be deleted or extended, one is stored instead.
        """
        operation = self._habits.mix.draw(self._random)
        if operation in {Operation.DELETE, Operation.EXTEND}:
            entry = self._ledger.draw(self._random, self._now_ms())
            if entry is not None:
                if operation is Operation.DELETE:
                    self._ledger.deleting(entry)
                return Act(operation, self._accounts[entry.mailbox], entry)
            operation = Operation.STORE
        return Act(operation, self._random.choice(self._accounts))

    def drop(self, act: Act) -> None:
        """Do not do it after all."""
        if act.operation is Operation.DELETE and act.entry is not None:
            self._ledger.spared(act.entry)

    async def perform(self, act: Act) -> Done:
        """Do it."""
        match act.operation, act.entry:
            case Operation.DELETE, Entry() as entry:
                return await self._delete(act.sender, entry)
            case Operation.EXTEND, Entry() as entry:
                return await self._extend(act.sender, entry)
            case Operation.RETRIEVE, _:
                return await self._retrieve(act.sender)
            case _:
                return await self._store(act.sender)

    async def _store(self, receiver: Simulated) -> Done:
        data = os.urandom(self._habits.sizes.draw(self._random))
        expected = message_hash(receiver.account.raw, DIRECT_MESSAGES, data)
        sent_ms, ttl_ms = self._now_ms(), self._habits.ttl_ms
        asked = await self._asking.ask(receiver, lambda _: requests.store(receiver.account, data, sent_ms, ttl_ms))
        if asked.reply is None:
            return _without_reply(asked, changes=True)
        try:
            expiry_ms = requests.read_store(asked.reply, expected, sent_ms + ttl_ms)
        except NaishoError as error:
            return _unproven(asked, error)
        self._ledger.stored(receiver.number, expected, expiry_ms, self._now_ms())
        return _acknowledged(asked)._replace(stored=len(data))

    async def _retrieve(self, reader: Simulated) -> Done:
        after = self._positions.get(reader.number, "")
        asked = await self._asking.ask(reader, lambda now_ms: requests.retrieve(reader, now_ms, after=after))
        if asked.reply is None:
            return _without_reply(asked, changes=False)
        try:
            listing = read_listing(DIRECT_MESSAGES, asked.reply.body)
        except NaishoError as error:
            return Done(Outcome.FAILED, error.code, asked.swarm, asked.tries)
        if listing.messages:
            self._positions[reader.number] = listing.messages[-1].message_hash
        return _acknowledged(asked)

    async def _delete(self, owner: Simulated, entry: Entry) -> Done:
        asked = await self._asking.ask(owner, lambda _: requests.delete(owner, entry.message_hash))
        if asked.reply is None:
            if not asked.doubtful:
                self._ledger.spared(entry)
            return _without_reply(asked, changes=True)
        try:
            found = requests.read_delete(asked.reply, owner.account, entry.message_hash)
        except NaishoError as error:
            return _unproven(asked, error)
        if not found and not asked.doubtful:
            # Acknowledged, deleted by nobody, and yet unknown to the node: the check is to find out what it means.
            self._ledger.spared(entry)
            return Done(Outcome.FAILED, outcomes.ABSENT, asked.swarm, asked.tries)
        self._ledger.gone(entry, self._now_ms())
        return _acknowledged(asked)

    async def _extend(self, owner: Simulated, entry: Entry) -> Done:
        longest = min(2 * self._habits.ttl_ms, MAX_TTL_PUBLIC_INBOX_MS)
        expiry_ms = max(entry.expiry_ms, self._now_ms() + self._random.randint(self._habits.ttl_ms // 2, longest))
        asked = await self._asking.ask(owner, lambda _: requests.extend(owner, entry.message_hash, expiry_ms))
        if asked.reply is None:
            return _without_reply(asked, changes=True)
        try:
            until_ms = requests.read_extend(asked.reply, owner.account, entry.message_hash, expiry_ms)
        except NaishoError as error:
            return _unproven(asked, error)
        if until_ms is not None:
            self._ledger.extended(entry, until_ms)
        elif entry.state is State.KEPT:  # somebody may have deleted it meanwhile; if nobody did, the check looks for it
            return Done(Outcome.FAILED, outcomes.ABSENT, asked.swarm, asked.tries)
        return _acknowledged(asked)


def _acknowledged(asked: Asked) -> Done:
    return Done(Outcome.ACKNOWLEDGED, "", asked.swarm, asked.tries)


def _without_reply(asked: Asked, *, changes: bool) -> Done:
    outcome = Outcome.UNKNOWN if changes and asked.doubtful else Outcome.FAILED
    return Done(outcome, asked.kind, asked.swarm, asked.tries)


def _unproven(asked: Asked, error: NaishoError) -> Done:
    return Done(Outcome.UNKNOWN, error.code, asked.swarm, asked.tries)
