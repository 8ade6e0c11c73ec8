"""Reading back what was acknowledged, from every member of every swarm.

Each member is asked itself, over HTTPS, for all that it has of each mailbox; a message counts as listed only if its
bytes are those whose hash was acknowledged. A member that lacks something, or gives no answer, is asked again until the
patience is over: members follow the log at their own pace, and a node may just be starting.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

import orjson

from naisho.errors import BadAnswer
from naisho.network.transport import NodeTransport, Silent, Unreachable
from naisho.protocol.directory import Node
from naisho.protocol.message_hash import message_hash
from naisho.protocol.namespaces import DIRECT_MESSAGES
from naisho.swarm.mailbox import Listing, read_listing
from operators.load import requests
from operators.load.checking import Breach, Findings, Promise, breach
from operators.load.ledger import Ledger
from operators.load.population import Simulated
from operators.load.surroundings import Surroundings
from operators.load.ways import STORAGE_PATH

PATIENCE_SECONDS = 30.0
ASK_SECONDS = 10.0
#: Mailboxes of members that are read at once.
AT_ONCE = 16
#: A member that was silent so often in one round is left alone until the next.
MOST_SILENCES = 3
PAUSE_SECONDS = 1.0
#: For a member that says that it is busy; after so many times it counts as silent.
BUSY_PAUSE, BUSY_TRIES = 1.0, 3
#: Of one mailbox; a full one has a quarter of them.
MOST_PAGES = 200
BUSY = frozenset({429, 503})
OK = 200


class Reading:
    """One check.

    Args:
        surroundings: the network.
        transport: connections.
        accounts: all simulated accounts, by number.
        ledger: what was acknowledged.

    """

    def __init__(
        self, surroundings: Surroundings, transport: NodeTransport, accounts: Sequence[Simulated], ledger: Ledger
    ) -> None:
        self._surroundings = surroundings
        self._transport = transport
        self._accounts = accounts
        self._ledger = ledger
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._silences: dict[bytes, int] = {}
        self._promises: dict[int, Promise] = {}
        #: By mailbox and member: what was found last; ``None`` for no answer.
        self._found: dict[int, dict[bytes, Breach | None]] = {}

    async def run(self, patience_s: float = PATIENCE_SECONDS) -> Findings:
        """Read everything and return what was found.

        Args:
            patience_s: for how long after the first round members are asked again.
        """
        began = time.monotonic()
        now_ms = self._surroundings.clock.now_ms()
        promises = {mailbox: Promise.of(self._ledger, mailbox, now_ms) for mailbox in self._ledger.mailboxes()}
        self._promises = {mailbox: promise for mailbox, promise in promises.items() if promise}
        give_up: float | None = None
        while True:
            await self._surroundings.refresh()
            self._silences.clear()
            await asyncio.gather(*(self._read(mailbox, member) for mailbox, member in self._open()))
            now = time.monotonic()
            give_up = now + patience_s if give_up is None else give_up
            if not self._open() or now >= give_up:
                break
            await asyncio.sleep(min(PAUSE_SECONDS, give_up - now))
        return self._findings(time.monotonic() - began)

    def _open(self) -> list[tuple[int, Node]]:
        """Return mailboxes and members that are to be read (again); a swarm's new members are, too."""
        left = []
        for mailbox in self._promises:
            members = self._surroundings.place(self._accounts[mailbox]).members
            found = self._found.get(mailbox, {})
            left += [(mailbox, m) for m in members if m.key not in found or found[m.key] is None or found[m.key]]
        return left

    async def _read(self, mailbox: int, member: Node) -> None:
        async with self._slots:
            silent = self._silences.get(member.key, 0)
            listed = None if silent >= MOST_SILENCES else await self._listed(self._accounts[mailbox], member)
        self._silences[member.key] = 0 if listed is not None else silent + 1
        found = self._found.setdefault(mailbox, {})
        if listed is not None:
            found[member.key] = breach(self._promises[mailbox], listed, self._surroundings.clock.now_ms())
        else:
            found.setdefault(member.key, None)  # what it said before stands

    async def _listed(self, owner: Simulated, member: Node) -> set[str] | None:
        """Return the hashes of all messages that a member has of a mailbox; ``None`` if it does not say."""
        listed: set[str] = set()
        after = ""
        for _ in range(MOST_PAGES):
            page = await self._page(owner, member, after)
            if page is None:
                return None
            raw = owner.account.raw
            whole = (m for m in page.messages if message_hash(raw, DIRECT_MESSAGES, m.data) == m.message_hash)
            listed.update(message.message_hash for message in whole)
            last = page.messages[-1].message_hash if page.messages else after
            if not page.more or last == after:
                return listed
            after = last
        return None

    async def _page(self, owner: Simulated, member: Node, after: str) -> Listing | None:
        for _ in range(BUSY_TRIES):
            method, params = requests.retrieve(owner, self._surroundings.clock.now_ms(), after=after)
            body = orjson.dumps({"method": method, "params": params})
            try:
                answer = await self._transport.post(member, STORAGE_PATH, body, seconds=ASK_SECONDS)
            except (Unreachable, Silent):
                return None
            if answer.status in BUSY:
                await asyncio.sleep(BUSY_PAUSE)
                continue
            return _listing(answer.body) if answer.status == OK else None
        return None

    def _findings(self, seconds: float) -> Findings:
        findings = Findings(seconds=seconds)
        for mailbox, promise in self._promises.items():
            place = self._surroundings.place(self._accounts[mailbox])
            found = self._found.get(mailbox, {})
            findings.note(promise, place.name, [found.get(member.key) for member in place.members])
        return findings


def _listing(body: bytes) -> Listing | None:
    try:
        value = orjson.loads(body)
        return read_listing(DIRECT_MESSAGES, value) if isinstance(value, Mapping) else None
    except (orjson.JSONDecodeError, BadAnswer):
        return None
