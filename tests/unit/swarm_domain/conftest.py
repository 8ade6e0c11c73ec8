"""A mailbox made of events, and commands against it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from services.swarm.domain.commands import Command, Store
from services.swarm.domain.decide import Decision, decide
from services.swarm.domain.evolve import Changes, Mailbox, StateView, evolve
from services.swarm.domain.policies import Quotas, Retention
from services.swarm.domain.ports import MemberAnswer, MessageRecord
from services.swarm.domain.results import member_result

NOW_MS = 1_700_000_000_000
ACCOUNT = b"\x05" + bytes(range(32))


@dataclass
class Box:
    """One account's mailbox on one member; commands are decided, folded and answered at ``now``."""

    quotas: Quotas = field(default_factory=Quotas)
    retention: Retention = field(default_factory=Retention)
    now: int = NOW_MS
    account: bytes = ACCOUNT
    mailbox: Mailbox = field(default_factory=Mailbox)
    #: Sequences of other accounts' events lie in between.
    step: int = 3
    last_decision: Decision | None = None

    @property
    def view(self) -> StateView:
        return StateView(self.mailbox, self.now)

    def decide(self, command: Command) -> Decision:
        return decide(command, self.view, self.quotas, self.retention)

    def fold(self, decision: Decision) -> Changes:
        changes = Changes()
        for event in decision.events:
            sequence = self.mailbox.last_sequence + self.step
            self.mailbox, more = evolve(self.mailbox, event, sequence=sequence, time_ms=self.now)
            changes.add(more)
        return changes

    def run(self, command: Command) -> MemberAnswer:
        self.last_decision = self.decide(command)
        return member_result(command, self.fold(self.last_decision), self.view)

    def store(
        self, data: bytes, *, namespace: int = 0, ttl: int = 86_400_000, timestamp: int | None = None
    ) -> MemberAnswer:
        return self.run(self.store_command(data, namespace=namespace, ttl=ttl, timestamp=timestamp))

    def store_command(
        self, data: bytes, *, namespace: int = 0, ttl: int = 86_400_000, timestamp: int | None = None
    ) -> Store:
        timestamp = self.now if timestamp is None else timestamp
        return Store(self.account, namespace, self.digest(data), data, timestamp, self.now + ttl)

    def record(self, data: bytes) -> MessageRecord:
        return self.view.find([self.digest(data)])[self.digest(data)]

    def holds(self, data: bytes) -> bool:
        return bool(self.view.find([self.digest(data)]))

    @staticmethod
    def digest(data: bytes) -> bytes:
        return data.rjust(32, b"\0")


@pytest.fixture
def box() -> Box:
    return Box()


@pytest.fixture(name="make_box")
def make_box_fixture() -> type[Box]:
    return Box
