"""The authority at work: hears nodes over NATS, decides by the domain, records, publishes.

One loop does everything, step by step; messages only leave notes for it. A step observes, plans, records the members,
answers who asked, publishes the directory and sets up followers. A step that fails half-way is done again: each part is
brought to what it should be, not told what to change.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from naisho.protocol.directory import Directory, DirectoryError, sign_directory
from naisho.protocol.directory.statements import Announcement, read_announcement
from naisho.protocol.network_file import NetworkFile
from operators.membership.domain.admission import admit, dismiss, drain
from operators.membership.domain.errors import DrainRefused, KeyFileError, NotAdmitted, UnknownNode
from operators.membership.domain.life import Member, Roster
from operators.membership.domain.planning import Plan, reconcile
from operators.membership.domain.policy import Policy
from operators.membership.domain.scene import Scene
from operators.membership.domain.signs import Sign, judge
from operators.membership.domain.status import status_of
from operators.membership.keys import AuthorityKeys
from operators.membership.ledger import Ledger, verify_at_issue
from operators.membership.listening import Announced, DismissAsked, DrainAsked, Listener, Request
from operators.membership.streams import Provisioner, StreamSizes
from services.chassis.certificates import CertificateError, check_pinnable
from services.chassis.clock import Clock, sleep_unless
from services.chassis.eventlog.jetstream import JetStreamLog
from services.chassis.eventlog.port import EventLogError
from services.chassis.nats.connection import NatsConnection
from services.chassis.nats.errors import NatsError
from services.chassis.nats.names import NetworkNames

log = logging.getLogger(__name__)

_KEYS_EVERY_MS: Final = 60_000
#: How often streams are asked to be enlarged for which there was no room.
_ROOM_EVERY_MS: Final = 30_000


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
        #: What the operator decided; a new one counts from the next step on.
        self.policy = policy
        self._clock = clock
        self._settings = settings or AuthoritySettings()
        self._provisioner = Provisioner(connection, self._names)
        self._wake = asyncio.Event()
        self._listener = Listener(
            connection, self._names, clock, most_requests=self._settings.most_requests, wake=self._wake
        )
        self._restore_due = False
        self._followers_due = True
        #: What a placement under way waits for, for people.
        self.waits: tuple[str, ...] = ()
        #: Announcements and drains so far, by outcome.
        self.accepted = self.refused = 0
        self._forget_hook: Callable[[], None] = lambda: None
        self._changed: list[Callable[[Directory], None]] = []
        self._keys: AuthorityKeys
        self._keys_read_ms = self._room_asked_ms = 0
        self._ledger: Ledger
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
        self._ledger = Ledger(self._log, self._names, self._network)
        await self._ledger.load()
        self._listener.attend(self._ledger.roster)
        self._listener.start()
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
        self._listener.stop()
        if self._log is not None:
            await self._log.close()

    @property
    def directory(self) -> Directory | None:
        """The newest directory published."""
        return self._ledger.directory

    @property
    def keys_end_ms(self) -> int:
        """When the signing keys end and must have been renewed."""
        return self._keys.keys.expires_ms

    @property
    def cramped(self) -> tuple[str, ...]:
        """Streams that should be larger, and for which there is no room."""
        return self._provisioner.cramped

    def on_directory(self, hook: Callable[[Directory], None]) -> None:
        """Have ``hook`` called with each newly published directory."""
        self._changed.append(hook)

    @property
    def roster(self) -> Roster:
        """The members as recorded."""
        return self._ledger.roster

    @property
    def signs(self) -> Mapping[bytes, Sign]:
        """The last that was heard of each member."""
        return self._listener.signs

    def holding(self) -> frozenset[bytes]:
        """Return the active nodes that are well and hold all that the current directory wants: who truly serves now."""
        active = self.directory.active_nodes if self.directory else ()
        return self.holders() & {node.key for node in active}

    def holders(self) -> frozenset[bytes]:
        """Return the listed nodes that are well and hold all that the current directory wants, whatever their state."""
        signs, now_ms = self._listener.signs, self._clock.now_ms()
        verdicts = judge(self._ledger.roster, signs, self.policy, now_ms)
        scene = Scene(self.directory, signs, verdicts, self.policy, now_ms)
        listed = self.directory.nodes if self.directory else ()
        return frozenset(node.key for node in listed if node.key in verdicts and scene.holds(node.key))

    def status(self) -> dict[str, Any]:
        """Return the network's state, ready for JSON; see ``domain.status``."""
        return status_of(
            self._ledger.directory,
            now_ms=self._clock.now_ms(),
            roster=self._ledger.roster,
            signs=self._listener.signs,
            waits=self.waits,
        )

    async def drain(self, key: bytes, *, force: bool = False) -> None:
        """Let a node leave once the others hold everything; returns when that is recorded.

        Raises:
            UnknownNode: no such node is listed.
            DrainRefused: too few would be left, or it could not be recorded.
        """
        asked = DrainAsked(key, force)
        self._drained(asked)  # refuses at once
        await self._ask(asked)

    async def dismiss(self, key: bytes) -> None:
        """Forget a node at once, whatever the others hold; returns when that is recorded.

        Raises:
            UnknownNode: no such node is known.
            DrainRefused: it could not be recorded.
        """
        asked = DismissAsked(key)
        self._dismissed(asked)
        await self._ask(asked)

    async def _ask(self, asked: DrainAsked | DismissAsked) -> None:
        answered: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._listener.ask(asked, lambda text: None if answered.done() else answered.set_result(text))
        if refusal := await answered:
            raise DrainRefused(refusal)

    def _on_reconnect(self) -> None:
        """Doubt everything: the server may be another one, and nodes have been heard by nobody."""
        self._listener.forgive()
        self._restore_due = self._followers_due = True
        self._provisioner.doubt()
        self._wake.set()

    # The loop.

    async def _step(self) -> None:
        if self._provisioner.cramped and self._clock.now_ms() - self._room_asked_ms >= _ROOM_EVERY_MS:
            self._room_asked_ms = self._clock.now_ms()
            await self._provisioner.streams(self._settings.streams)
        if self._restore_due:
            await self._provisioner.streams(self._settings.streams)
            await self._ledger.restore()
            self._restore_due = False
        self._renew_keys()
        requests = self._listener.take_requests()
        answers = [(request.answer, self._hear(request)) for request in requests]
        try:
            plan = self._plan()
            await self._ledger.record(plan.roster)
        except BaseException:
            for answer, _ in answers:
                answer("it cannot be recorded now; try again")
            raise
        for answer, refusal in answers:
            answer(refusal)
        self._listener.attend(plan.roster)
        if plan.directory is not None:
            await self._publish(plan.directory)
        if self._followers_due and self._ledger.directory is not None:
            await self._provisioner.followers(self._ledger.directory)
            self._followers_due = False

    def _hear(self, request: Request) -> str:
        """Do what is asked for, in memory; return why not, if not."""
        asked = request.asked
        try:
            match asked:
                case Announced():
                    member = self._admitted(asked)
                case DrainAsked():
                    member = self._drained(asked)
                case DismissAsked():
                    member = self._dismissed(asked)
        except (DirectoryError, NotAdmitted, CertificateError, UnknownNode, DrainRefused) as refusal:
            self.refused += 1
            return str(refusal)
        self.accepted += 1
        self._ledger.roster = {**self._ledger.roster, member.node.key: member}
        self._listener.attend(self._ledger.roster)
        return ""

    def _plan(self) -> Plan:
        plan = reconcile(
            self._ledger.roster,
            self._ledger.directory,
            self._listener.signs,
            keys=self._keys.keys,
            policy=self.policy,
            now_ms=self._clock.now_ms(),
        )
        self.waits = plan.waits
        return plan

    async def _publish(self, unsigned: Directory) -> None:
        directory = sign_directory(unsigned, self._keys.delegation, self._keys.signers)
        await self._ledger.publish(directory)
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

    def _renew_keys(self) -> None:
        now_ms = self._clock.now_ms()
        if not self._keys_read_ms or now_ms - self._keys_read_ms >= _KEYS_EVERY_MS:
            self._keys = self._read_keys()
            self._keys_read_ms = now_ms

    def _admitted(self, asked: Announced) -> Member:
        announcement = read_announcement(asked.statement, network_id=self._network.network_id)
        check_pinnable(announcement.node.certificate, announcement.node.key.hex())
        self._take_back(announcement)
        return admit(
            announcement,
            self._ledger.roster,
            policy=self.policy,
            now_ms=self._clock.now_ms(),
            clock_offset_ms=self._listener.clock_offset_ms,
        )

    def _take_back(self, announcement: Announcement) -> None:
        """Go on from a node's directory if it is newer than what the log remembers."""
        if not announcement.newest_directory:
            return
        try:
            handed = verify_at_issue(announcement.newest_directory, self._network)
        except DirectoryError:
            return  # it is the node's own business to believe in it
        current = self._ledger.directory
        if current is None or handed.epoch > current.epoch:
            log.warning("the log has forgotten epoch %d; a node handed it back", handed.epoch)
            self._ledger.adopt(handed)

    def _drained(self, asked: DrainAsked) -> Member:
        return drain(asked.key, self._ledger.roster, policy=self.policy, now_ms=self._clock.now_ms(), force=asked.force)

    def _dismissed(self, asked: DismissAsked) -> Member:
        return dismiss(asked.key, self._ledger.roster, now_ms=self._clock.now_ms())
