"""The authority at work: hears nodes over NATS, decides by the domain, records, publishes.

One loop does everything, step by step; messages only leave notes for it. A step observes, plans, records the members,
answers who asked, publishes the directory and sets up followers. A step that fails half-way is done again: each part is
brought to what it should be, not told what to change.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from naisho.protocol.directory import Directory, DirectoryError, sign_directory
from naisho.protocol.directory.statements import Announcement, Heartbeat, read_announcement, read_heartbeat
from naisho.protocol.network_file import NetworkFile
from naisho.wire.directory.v1 import directory_pb2 as wire
from operators.membership.domain.admission import admit, drain
from operators.membership.domain.errors import DrainRefused, KeyFileError, NotAdmitted, UnknownNode
from operators.membership.domain.life import Member
from operators.membership.domain.planning import Plan, reconcile
from operators.membership.domain.policy import Policy
from operators.membership.domain.signs import Sign, clock_reference
from operators.membership.domain.status import status_of
from operators.membership.journal import Journal, verify_at_issue
from operators.membership.keys import AuthorityKeys
from operators.membership.streams import Provisioner, StreamSizes
from services.chassis.certificates import CertificateError, check_pinnable
from services.chassis.clock import Clock, sleep_unless
from services.chassis.eventlog.jetstream import JetStreamLog
from services.chassis.eventlog.port import EventLogError
from services.chassis.nats.connection import NatsConnection, Subscription
from services.chassis.nats.errors import NatsError
from services.chassis.nats.names import NetworkNames

log = logging.getLogger(__name__)

_KEYS_EVERY_MS: Final = 60_000


@dataclass(frozen=True, slots=True)
class AuthoritySettings:
    """How the authority works; what it decides is ``Policy``.

    Attributes:
        tick_s: it looks around at least so often.
        pace_s: and at most so often, so that what happens together is published together.
        most_requests: requests that may wait; beyond it they are asked to try again.
        streams: how much the log may hold.
    """

    tick_s: float = 1.0
    pace_s: float = 0.2
    most_requests: int = 2048
    streams: StreamSizes = field(default_factory=StreamSizes)


class _Request(NamedTuple):
    """Somebody asks, and waits for an answer: empty text for yes."""

    ask: Callable[[], Member]
    answer: Callable[[str], None]


class Authority:
    """One network's authority; there may be only one at a time.

    Args:
        connection: its user may make streams and consumers, and write the directory. Stays the caller's.
        network: the network file.
        keys: returns what to sign with; called again from time to time, so that renewed keys are found.
        policy: what the operator decided.
        clock: the time.
        settings: how it works.
    """

    def __init__(
        self,
        connection: NatsConnection,
        *,
        network: NetworkFile,
        keys: Callable[[], AuthorityKeys],
        policy: Policy,
        clock: Clock,
        settings: AuthoritySettings | None = None,
    ) -> None:
        self._connection = connection
        self._network = network
        self._names = NetworkNames(network.network_id)
        self._read_keys = keys
        self._policy = policy
        self._clock = clock
        self._settings = settings or AuthoritySettings()
        self._provisioner = Provisioner(connection, self._names)
        self._signs: dict[bytes, Sign] = {}
        self._requests: list[_Request] = []
        self._wake = asyncio.Event()
        self._restore_due = False
        self._followers_due = True
        self._waits: tuple[str, ...] = ()
        self._subscriptions: list[Subscription] = []
        self._forget_hook: Callable[[], None] = lambda: None
        self._changed: list[Callable[[Directory], None]] = []
        self._keys: AuthorityKeys
        self._keys_read_ms = 0
        self._journal: Journal
        self._log: JetStreamLog | None = None

    async def start(self) -> None:
        """Set up the streams, go on where the authority before stopped, begin to listen.

        Raises:
            KeyFileError: there is nothing to sign with.
            EventLogError: the log refuses, or does not answer.
            DirectoryError: what the log holds was not signed by this network.
        """
        self._renew_keys()
        await self._provisioner.streams(self._settings.streams)
        self._log = await JetStreamLog.open(self._connection, self._names.membership_stream)
        self._journal = Journal(self._log, self._names, self._network)
        await self._journal.load()
        now_ms = self._clock.now_ms()
        self._signs = {key: Sign(now_ms) for key in self._journal.roster}
        self._subscriptions = [
            self._connection.subscribe(self._names.announce, self._on_announcement),
            self._connection.subscribe(self._names.heartbeats, self._on_heartbeat),
            self._connection.subscribe(self._names.drain, self._on_drain),
        ]
        self._forget_hook = self._connection.on_reconnect(self._on_reconnect)

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            TakenOver: another authority writes in this network.
        """
        while True:
            try:
                await self._step()
            except (EventLogError, NatsError) as error:
                log.warning("the log cannot be written now, it is tried again: %s", error)
            except (KeyFileError, DirectoryError) as error:
                log.error("no directory can be signed: %s", error)  # noqa: TRY400 - the text says it all
            await self._rest()

    async def stop(self) -> None:
        """Hear nothing more; who still waits is asked to try again."""
        self._forget_hook()
        for subscription in self._subscriptions:
            self._connection.unsubscribe(subscription)
        for request in self._take_requests():
            request.answer("the authority stops; try again")
        if self._log is not None:
            await self._log.close()

    @property
    def directory(self) -> Directory | None:
        """The newest directory published."""
        return self._journal.directory

    def on_directory(self, hook: Callable[[Directory], None]) -> None:
        """Have ``hook`` called with each newly published directory."""
        self._changed.append(hook)

    def status(self) -> dict[str, Any]:
        """Return the network's state, ready for JSON; see ``domain.status``."""
        return status_of(
            self._journal.directory,
            now_ms=self._clock.now_ms(),
            roster=self._journal.roster,
            signs=self._signs,
            waits=self._waits,
        )

    async def drain(self, key: bytes, *, force: bool = False) -> None:
        """Let a node leave once the others hold everything; returns when that is recorded.

        Raises:
            UnknownNode: no such node is listed.
            DrainRefused: too few would be left, or it could not be recorded.
        """
        ask = self._draining(key, force=force)
        ask()  # refuses at once
        answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._ask(ask, lambda text: None if answered.done() else answered.set_result(text))
        if refusal := await answered:
            raise DrainRefused(refusal)

    # What is heard. Callbacks of the connection: short, and nothing is awaited.

    def _on_announcement(self, subject: bytes, reply: bytes | None, headers: bytes | None, payload: bytes) -> None:
        del subject, headers
        if reply is not None:
            self._ask(lambda: self._admitted(payload), self._answer_to(reply))

    def _on_drain(self, subject: bytes, reply: bytes | None, headers: bytes | None, payload: bytes) -> None:
        del subject, headers
        if reply is not None:
            force = payload.startswith(b"!")
            self._ask(self._draining(payload.removeprefix(b"!"), force=force), self._answer_to(reply))

    def _on_heartbeat(self, subject: bytes, reply: bytes | None, headers: bytes | None, payload: bytes) -> None:
        del subject, reply, headers
        try:
            beat = read_heartbeat(payload, network_id=self._network.network_id)
        except DirectoryError:
            return  # not a node's; its lack will be noticed
        known = self._signs.get(beat.key)
        if known is None:
            return  # has not announced itself
        self._signs[beat.key] = known.heard(beat, self._clock.now_ms())
        if known.heartbeat is None or _says_something_new(known.heartbeat, beat):
            self._wake.set()

    def _on_reconnect(self) -> None:
        """Doubt everything: the server may be another one, and nodes have been heard by nobody."""
        now_ms = self._clock.now_ms()
        self._signs = {key: Sign(now_ms, sign.heartbeat, sign.offset_ms) for key, sign in self._signs.items()}
        self._restore_due = self._followers_due = True
        self._provisioner.doubt()
        self._wake.set()

    def _ask(self, ask: Callable[[], Member], answer: Callable[[str], None]) -> None:
        if len(self._requests) >= self._settings.most_requests:
            answer("too many nodes ask at once; try again")
            return
        self._requests.append(_Request(ask, answer))
        self._wake.set()

    def _answer_to(self, reply: bytes) -> Callable[[str], None]:
        subject = reply.decode()

        def answer(refusal: str) -> None:
            with contextlib.suppress(NatsError):  # whoever asked asks again
                self._connection.publish(subject, wire.AnnouncementReply(refusal=refusal).SerializeToString())

        return answer

    # The loop.

    async def _step(self) -> None:
        if self._restore_due:
            await self._provisioner.streams(self._settings.streams)
            await self._journal.restore()
            self._restore_due = False
        self._renew_keys()
        requests = self._take_requests()
        answers = [(request.answer, self._hear(request)) for request in requests]
        try:
            plan = self._plan()
            await self._journal.record(plan.roster)
        except BaseException:
            for answer, _ in answers:
                answer("it cannot be recorded now; try again")
            raise
        for answer, refusal in answers:
            answer(refusal)
        self._signs = {key: self._signs.get(key) or Sign(self._clock.now_ms()) for key in plan.roster}
        if plan.directory is not None:
            await self._publish(plan.directory)
        if self._followers_due and self._journal.directory is not None:
            await self._provisioner.followers(self._journal.directory)
            self._followers_due = False

    def _hear(self, request: _Request) -> str:
        """Do what is asked for, in memory; return why not, if not."""
        try:
            member = request.ask()
        except (DirectoryError, NotAdmitted, CertificateError, UnknownNode, DrainRefused) as refusal:
            return str(refusal)
        self._journal.roster = {**self._journal.roster, member.node.key: member}
        self._signs.setdefault(member.node.key, Sign(self._clock.now_ms()))
        return ""

    def _plan(self) -> Plan:
        plan = reconcile(
            self._journal.roster,
            self._journal.directory,
            self._signs,
            keys=self._keys.keys,
            policy=self._policy,
            now_ms=self._clock.now_ms(),
        )
        self._waits = plan.waits
        return plan

    async def _publish(self, unsigned: Directory) -> None:
        directory = sign_directory(unsigned, self._keys.delegation, self._keys.signers)
        await self._journal.publish(directory)
        self._followers_due = True
        log.info(
            "directory of epoch %d: %d nodes, %d of them active, in %d swarms",
            directory.epoch,
            len(directory.nodes),
            len(directory.active_nodes),
            len(directory.swarm_ids),
        )
        for hook in self._changed:
            hook(directory)

    async def _rest(self) -> None:
        await self._clock.sleep(self._settings.pace_s)
        await sleep_unless(self._wake, self._clock, self._settings.tick_s)
        self._wake.clear()

    # Parts of a step.

    def _take_requests(self) -> list[_Request]:
        requests, self._requests = self._requests, []
        return requests

    def _renew_keys(self) -> None:
        now_ms = self._clock.now_ms()
        if not self._keys_read_ms or now_ms - self._keys_read_ms >= _KEYS_EVERY_MS:
            self._keys = self._read_keys()
            self._keys_read_ms = now_ms

    def _admitted(self, payload: bytes) -> Member:
        announcement = read_announcement(payload, network_id=self._network.network_id)
        check_pinnable(announcement.node.certificate, announcement.node.key.hex())
        self._take_back(announcement)
        return admit(
            announcement,
            self._journal.roster,
            policy=self._policy,
            now_ms=self._clock.now_ms(),
            clock_offset_ms=clock_reference(sign for sign in self._signs.values() if sign.heartbeat),
        )

    def _take_back(self, announcement: Announcement) -> None:
        """Go on from a node's directory if it is newer than what the log remembers."""
        if not announcement.newest_directory:
            return
        try:
            handed = verify_at_issue(announcement.newest_directory, self._network)
        except DirectoryError:
            return  # it is the node's own business to believe in it
        current = self._journal.directory
        if current is None or handed.epoch > current.epoch:
            log.warning("the log has forgotten epoch %d; a node handed it back", handed.epoch)
            self._journal.adopt(handed)

    def _draining(self, key: bytes, *, force: bool) -> Callable[[], Member]:
        return lambda: drain(key, self._journal.roster, policy=self._policy, now_ms=self._clock.now_ms(), force=force)


def _says_something_new(old: Heartbeat, new: Heartbeat) -> bool:
    return (old.caught_up, old.epoch, old.swarm_id, old.unreachable_peers) != (
        new.caught_up,
        new.epoch,
        new.swarm_id,
        new.unreachable_peers,
    )
