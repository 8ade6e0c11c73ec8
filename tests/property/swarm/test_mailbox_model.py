"""Members that lag, race, lose everything and replay agree with each other and with a plain model of a mailbox."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from services.swarm.domain.commands import (
    ALL,
    Command,
    Delete,
    DeleteAll,
    DeleteBefore,
    Expire,
    ExpireAll,
    Revoke,
    Store,
    Unrevoke,
)
from services.swarm.domain.decide import decide
from services.swarm.domain.events import Deleted, Event, ExpiryChanged, Stored
from services.swarm.domain.evolve import Changes, Mailbox, StateView, evolve, swept
from services.swarm.domain.policies import Quotas, Retention, needed_until_ms
from services.swarm.domain.ports import MemberAnswer
from services.swarm.domain.results import member_result, result_text

START_MS = 1_700_000_000_000
ACCOUNT = b"\x05" + bytes(32)
RETENTION = Retention(shortest_ms=1, public_inbox_ms=60, longest_ms=60)
NAMESPACES = (0, 2, -10, -21)
OUTBOX = -21

# Few messages, few places, few moments: what goes wrong needs several of them to meet.
data = st.integers(0, 2)
namespaces = st.sampled_from((0, 0, 0, 0, *NAMESPACES))
rarely_all = st.sampled_from((2, 2, -10, -10, -10, OUTBOX, 0, ALL))
ttls = st.sampled_from((5, 20, 45, 60))
tokens = st.lists(st.integers(0, 3).map(lambda n: bytes([n]) * 36), min_size=1, max_size=3).map(tuple)
MEMBERS = 3
members = st.integers(0, MEMBERS - 1)


def digest(number: int, namespace: int) -> bytes:
    return bytes([number, namespace % 256]) * 16


@dataclass
class Member:
    """What one node has folded, and how far."""

    mailbox: Mailbox
    position: int = 0


class Logged(NamedTuple):
    sequence: int
    time_ms: int
    event: Event


class Living(NamedTuple):
    """One message as the plain model knows it."""

    namespace: int
    order: int
    timestamp_ms: int
    expiry_ms: int


class MailboxMachine(RuleBasedStateMachine):
    """One account's mailbox, three members, one log that forgets, and a dictionary that is always right."""

    def __init__(self) -> None:
        super().__init__()
        self.now = START_MS
        self.log: list[Logged] = []
        self.sequence = 0
        self.members = [Member(Mailbox()) for _ in range(MEMBERS)]
        self.model: dict[bytes, Living] = {}
        self.revoked: list[bytes] = []
        self.erase_later: list[tuple[int, tuple[int, ...]]] = []
        self.turn = 0

    @initialize(lagging=members)
    def start(self, lagging: int) -> None:
        self.members[lagging].mailbox = Mailbox()

    # What the service around the pure functions does.

    def fold(self, member: Member) -> list[tuple[int, Changes]]:
        changed = []
        for sequence, time_ms, event in self.log:
            if sequence > member.position:
                member.mailbox, changes = evolve(member.mailbox, event, sequence=sequence, time_ms=time_ms)
                member.position = sequence
                changed.append((sequence, changes))
        return changed

    def view(self, member: Member) -> StateView:
        return StateView(member.mailbox, self.now)

    def append(self, event: Event) -> int:
        self.sequence += 7
        self.log.append(Logged(self.sequence, self.now, event))
        if isinstance(event, Stored):
            self.erase_later.append((0, event.replaces))
        elif isinstance(event, Deleted):
            self.erase_later.append((0, tuple(s for m in event.messages for s in m.sequences)))
        elif isinstance(event, ExpiryChanged):
            self.erase_later += [(m.expiry_ms, m.sequences) for m in event.messages]
        return self.sequence

    def erase(self, sequences: tuple[int, ...]) -> None:
        self.log = [logged for logged in self.log if logged.sequence not in sequences]

    def execute(self, command: Command, at: int) -> None:
        """Decide at one member, which may lag; append; let all members fold and answer."""
        member = self.members[at]
        decision = decide(command, self.view(member), Quotas(), RETENTION)
        if decision.guarded and any(logged.sequence > member.position for logged in self.log):
            self.fold(member)
            decision = decide(command, self.view(member), Quotas(), RETENTION)
        own = {self.append(event) for event in decision.events}
        results = [self.result(each, command, own) for each in self.members if each is member or self.answers()]
        assert all(result == results[0] for result in results)
        assert isinstance(result_text(ACCOUNT.hex(), command, results[0]), bytes)
        if isinstance(command, Store) and own and not decision.guarded and "already" in results[0]:
            self.settle(member, command)

    def result(self, member: Member, command: Command, own: set[int]) -> MemberAnswer:
        changes = Changes()
        for sequence, change in self.fold(member):
            if sequence in own:
                changes.add(change)
        return member_result(command, changes, self.view(member))

    def answers(self) -> bool:
        """Tell whether the next member folds and answers now; the others lag."""
        self.turn += 1
        return self.turn % 3 != 0

    def settle(self, member: Member, command: Store) -> None:
        """A store that raced another one: give the log a copy that names the order key, as a repair does."""
        self.fold(member)
        record = self.view(member).find([command.message_hash])[command.message_hash]
        times = (record.timestamp_ms, record.expiry_ms)
        self.append(Stored(record.message_hash, record.namespace, *times, None, record.size, record.rank))

    def replayed(self) -> Member:
        fresh = Member(Mailbox())
        self.fold(fresh)
        return fresh

    # What happens.

    @rule(number=data, namespace=namespaces, ttl=ttls, age=st.integers(0, 20), at=members)
    def store(self, number: int, namespace: int, ttl: int, age: int, at: int) -> None:
        message_hash = digest(number, namespace)
        command = Store(ACCOUNT, namespace, message_hash, b"x", self.now - age, self.now + ttl)
        self.execute(command, at)
        known = self.model.get(message_hash)
        if known is None:
            self.model[message_hash] = Living(namespace, self.sequence, self.now - age, self.now + ttl)
        else:
            self.model[message_hash] = known._replace(expiry_ms=max(known.expiry_ms, self.now + ttl))
        if namespace == OUTBOX:
            self.model = {h: m for h, m in self.model.items() if m.namespace != OUTBOX or h == message_hash}

    @rule(
        numbers=st.lists(data, min_size=2, max_size=5),
        namespace=st.sampled_from((0, 2, -10)),
        ttls=st.tuples(*[ttls] * 5),
    )
    def race(self, numbers: list[int], namespace: int, ttls: tuple[int, ...]) -> None:
        """Store messages, some of them twice, before any member has heard of these stores."""
        for each in self.members:
            self.fold(each)
        commands = [
            Store(ACCOUNT, namespace, digest(number, namespace), b"x", self.now, self.now + ttl)
            for number, ttl in zip(numbers, ttls, strict=False)
            if digest(number, namespace) not in self.model
        ]
        decisions = [decide(command, self.view(self.members[0]), Quotas(), RETENTION) for command in commands]
        for command, decision in zip(commands, decisions, strict=True):
            assert not decision.guarded
            sequence = self.append(*decision.events)
            raced = self.model.get(command.message_hash)
            self.model[command.message_hash] = (
                Living(namespace, sequence, self.now, command.expiry_ms)
                if raced is None
                else raced._replace(expiry_ms=max(raced.expiry_ms, command.expiry_ms))
            )
        for command in commands:
            if numbers.count(command.message_hash[0]) > 1:
                self.settle(self.members[0], command)

    @rule(number=data, at=members, ttl=ttls)
    def extend(self, number: int, at: int, ttl: int) -> None:
        self.expire([number], 0, ttl, "extend", extend_only=False, at=at)

    @rule(numbers=st.lists(data, min_size=1, max_size=3), namespace=namespaces, at=members)
    def delete(self, numbers: list[int], namespace: int, at: int) -> None:
        hashes = tuple(digest(number, namespace) for number in numbers)
        self.execute(Delete(ACCOUNT, hashes), at)
        for message_hash in hashes:
            self.model.pop(message_hash, None)

    @rule(namespace=rarely_all, at=members, before=st.none() | st.integers(0, 20))
    def delete_many(self, namespace: int, at: int, before: int | None) -> None:
        if before is None:
            self.execute(DeleteAll(ACCOUNT, namespace, self.now), at)
        else:
            self.execute(DeleteBefore(ACCOUNT, namespace, self.now - before), at)
        latest = self.now if before is None else self.now - before
        self.model = {
            h: m
            for h, m in self.model.items()
            if (namespace not in (ALL, m.namespace)) or (before is not None and m.timestamp_ms > latest)
        }

    @rule(
        numbers=st.lists(data, min_size=1, max_size=3, unique=True),
        namespace=namespaces,
        ttl=st.sampled_from((-5, 1, 10, 30, 50, 90)),
        mode=st.sampled_from(("any", "shorten", "extend")),
        extend_only=st.booleans(),
        at=members,
    )
    def expire(self, numbers: list[int], namespace: int, ttl: int, mode: str, *, extend_only: bool, at: int) -> None:
        hashes = tuple(digest(number, namespace) for number in numbers)
        extend_only = extend_only and mode != "shorten"
        command = Expire(ACCOUNT, hashes, (self.now + ttl,), mode, extend_only=extend_only)  # type: ignore[arg-type]  # drawn from the modes
        self.execute(command, at)
        target = self.now + min(ttl, RETENTION.longest_ms)
        for message_hash in hashes:
            if (known := self.model.get(message_hash)) is not None:
                later, earlier = max(known.expiry_ms, target), min(known.expiry_ms, target)
                expiry = later if mode == "extend" or extend_only else earlier if mode == "shorten" else target
                self.model[message_hash] = known._replace(expiry_ms=expiry)

    @rule(namespace=rarely_all, ttl=st.sampled_from((-5, 1, 10, 30)), at=members)
    def expire_all(self, namespace: int, ttl: int, at: int) -> None:
        self.execute(ExpireAll(ACCOUNT, namespace, self.now + ttl), at)
        for h, m in self.model.items():
            if namespace in (ALL, m.namespace):
                self.model[h] = m._replace(expiry_ms=min(m.expiry_ms, self.now + ttl))

    @rule(given=tokens, at=members, back=st.booleans())
    def revoke(self, given: tuple[bytes, ...], at: int, back: bool) -> None:  # noqa: FBT001 - drawn
        self.execute(Unrevoke(ACCOUNT, given, self.now) if back else Revoke(ACCOUNT, given, self.now), at)
        fresh = [] if back else [t for t in dict.fromkeys(given) if t not in self.revoked]
        self.revoked = [t for t in self.revoked if not back or t not in given] + fresh

    @rule(ms=st.sampled_from((1, 4, 15, 25)))
    def time_passes(self, ms: int) -> None:
        """Let the log forget what has run out, and the custodian erase what is due."""
        self.now += ms
        for due, sequences in self.erase_later:
            if due <= self.now:
                self.erase(sequences)
        self.erase_later = [(due, s) for due, s in self.erase_later if due > self.now]
        self.log = [
            logged
            for logged in self.log
            if (until := needed_until_ms(logged.event, logged.time_ms, RETENTION)) is None or until > self.now
        ]

    @rule(at=members, what=st.sampled_from(("catch up", "sweep", "wipe")))
    def happens_to(self, at: int, what: str) -> None:
        if what == "catch up":
            self.fold(self.members[at])
        elif what == "sweep":
            self.members[at].mailbox = swept(self.members[at].mailbox, self.now)
        else:
            self.members[at] = self.replayed()

    # What must hold.

    @invariant()
    def all_agree(self) -> None:
        self.model = {h: m for h, m in self.model.items() if m.expiry_ms > self.now}
        for member in (*(replace(member) for member in self.members), self.replayed()):
            self.fold(member)
            view = self.view(member)
            assert view.revoked() == tuple(self.revoked)
            for namespace in NAMESPACES:
                expected = sorted((m.order, h) for h, m in self.model.items() if m.namespace == namespace)
                listed = view.list(namespace)
                assert [m.message_hash for m in listed] == [h for _, h in expected]
                assert [m.expiry_ms for m in listed] == [self.model[h].expiry_ms for _, h in expected]
                assert [m.timestamp_ms for m in listed] == [self.model[h].timestamp_ms for _, h in expected]
                assert view.usage(namespace) == (len(expected), len(expected))

    @invariant()
    def every_copy_of_a_living_message_is_known_or_about_to_go(self) -> None:
        member = replace(self.members[0])
        self.fold(member)
        view = self.view(member)
        known = {s for m in view.list(ALL) for s in m.sequences} | {s for _, due in self.erase_later for s in due}
        alive = {h for h, m in self.model.items() if m.expiry_ms > self.now}
        in_log = {e.sequence for e in self.log if isinstance(e.event, Stored) and e.event.message_hash in alive}
        assert in_log <= known


MailboxMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)


class TestMailboxModel(MailboxMachine.TestCase):  # type: ignore[misc,valid-type]  # made by Hypothesis, which does not type it
    """Runs the machine."""
