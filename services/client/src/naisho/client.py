"""The SDK's front door."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from naisho.accounts import lookalike, parse_account
from naisho.conversation.content import MOST_NAME_BYTES, clean_name
from naisho.conversation.sending import Delivery
from naisho.errors import BadDisplayName, BadRecoveryWords, LookalikeAccount, NaishoError, NoAccount
from naisho.events import Event
from naisho.joined import Reach, Voice
from naisho.network.clock import NetworkClock
from naisho.network.joining import default_data_dir, find_network_file, read_network_file
from naisho.network.transport import NodeTransport
from naisho.paths.status import PathStatus
from naisho.protocol import recovery
from naisho.protocol.account import AccountId, AccountKeys
from naisho.protocol.directory import Directory
from naisho.protocol.errors import BadKey, BadRecoveryPhrase
from naisho.protocol.network_file import NetworkFile
from naisho.store.locks import KeyFile, Unlocker
from naisho.store.records import Contact, Message
from naisho.store.store import DEFAULT_PROFILE, Store, open_store
from naisho.swarm.requests import Swarm

if TYPE_CHECKING:
    import httpx


class Client:
    """One account on this device, and the network that it joined.

    >>> async def main(data_dir, network):
    ...     async with Client.open(data_dir, network=network, create=True) as client:
    ...         me = await client.new_account("Aiko")
    ...         delivery = await client.send(me, "a note to myself")
    ...         print(delivery.receipt.count, "of", delivery.receipt.asked, "nodes keep it")
    ...         async for event in client.listen():
    ...             print(event.kind, event.message.text)
    ...             break

    Attributes:
        store: history, contacts and settings, encrypted at rest.

    """

    def __init__(
        self,
        store: Store,
        profile: str,
        network: Callable[[], NetworkFile],
        transport: NodeTransport,
        clock: NetworkClock,
    ) -> None:
        self.store = store
        self._profile = profile
        self._network = network
        self._transport = transport
        self._clock = clock
        self._keys: AccountKeys | None = None
        self._name = ""
        self._reach: Reach | None = None
        self._voice: Voice | None = None

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        data_dir: Path | None = None,
        *,
        profile: str = DEFAULT_PROFILE,
        network: Path | NetworkFile | None = None,
        unlock: Unlocker | Callable[[str | None], Unlocker] | None = None,
        create: bool = False,
        proxy: str | None = None,
        environment: Mapping[str, str] | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        device_ms: Callable[[], int] | None = None,
    ) -> AsyncIterator[Self]:
        """Open a profile's store for the length of an ``async with`` block. Nothing is sent yet.

        Args:
            data_dir: the user's data directory; by default where this system keeps such things.
            profile: which of the user's accounts.
            network: network file, read when first needed; by default the one that is found (`find_network_file`).
            unlock: what unlocks the store, or a function from the kind of its lock to that; a key file by default.
            create: make the store if there is none.
            proxy: URL of an HTTP proxy for all connections.
            environment: instead of the process' own.
            transport: what carries requests instead of sockets; for tests.
            device_ms: this device's clock in Unix ms; for tests.

        Raises:
            StoreError: the store does not open; see `naisho.errors`.
        """
        environment = os.environ if environment is None else environment
        folder = data_dir or default_data_dir(environment)
        unlocker = unlock or KeyFile()
        choose = (lambda _kind: unlocker) if isinstance(unlocker, Unlocker) else unlocker

        def network_file() -> NetworkFile:
            if isinstance(network, NetworkFile):
                return network
            return read_network_file(find_network_file(folder, environment, network))

        async with AsyncExitStack() as stack:
            store = await stack.enter_async_context(open_store(folder, profile, choose, create=create))
            carrier = await stack.enter_async_context(NodeTransport.open(proxy=proxy, transport=transport))
            clock = NetworkClock(device_ms) if device_ms else NetworkClock()
            client = cls(store, profile, network_file, carrier, clock)
            await client._load_account()
            yield client

    # The account.

    @property
    def account_id(self) -> AccountId:
        """This account.

        Raises:
            NoAccount: none was made or recovered in this profile yet.
        """
        return self._require_keys().account_id

    @property
    def has_account(self) -> bool:
        """Whether this profile has an account."""
        return self._keys is not None

    @property
    def display_name(self) -> str:
        """The name that goes out with every message; empty if none does."""
        return self._name

    async def new_account(self, display_name: str = "") -> AccountId:
        """Make an account: a key pair, of which nobody is told. No network is needed.

        Raises:
            AccountExists: this profile has one already.
            BadDisplayName: more than 100 bytes.
        """
        return await self._adopt(AccountKeys.generate(), display_name)

    async def recover(self, words: str, display_name: str = "") -> AccountId:
        """Bring an account here by its recovery words (SES-12).

        Raises:
            BadRecoveryWords: an unknown word, a wrong count or a wrong checksum word.
            AccountExists: this profile has an account already.
        """
        try:
            keys = AccountKeys.from_seed(recovery.from_words(words))
        except (BadRecoveryPhrase, BadKey) as error:
            raise BadRecoveryWords(reason=str(error)) from error
        return await self._adopt(keys, display_name)

    def recovery_words(self) -> str:
        """Return the words that bring this account to another device. Whoever has them has the account."""
        return recovery.to_words(self._require_keys().seed)

    async def rename(self, display_name: str) -> None:
        """Change the name that goes out with every message; empty for none."""
        self._name = _checked_name(display_name)
        await self.store.accounts.rename(self._name)
        if self._voice is not None:
            self._voice.sender.name = self._name

    # Talking.

    async def send(self, to: AccountId | str, text: str, *, sure: bool = False) -> Delivery:
        """Write to an account.

        The message is kept in the store first. If no node takes it now, the delivery says why, and it is tried again
        whenever this profile listens.

        Args:
            to: the account.
            text: 1 to 2,000 characters.
            sure: the account is right although it is new and looks like a known one.

        Raises:
            BadAccountId: not an account that can be written to.
            LookalikeAccount: new, but one digit away from a known account, and the caller is not sure.
            TextTooLong: nothing, or more than 2,000 characters.
            NoAccount, NoNetwork: nobody writes, or there is nowhere to write to.
        """
        account = parse_account(to)
        if not sure:
            known = [self.account_id, *(contact.account for contact in await self.contacts())]
            if account not in known and lookalike(account, known):
                raise LookalikeAccount
        return await self._speak().sender.text(account, text)

    async def react(self, author: AccountId | str, sent_ms: int, emoji: str, *, remove: bool = False) -> Delivery:
        """Put an emoji on the message of that author and time, or take it off."""
        return await self._speak().sender.react(parse_account(author), sent_ms, emoji, remove=remove)

    async def unsend(self, sent_ms: int) -> Delivery:
        """Delete an own message for everyone, as far as other clients obey."""
        return await self._speak().sender.unsend(sent_ms)

    async def typing(self, to: AccountId | str, *, started: bool = True) -> None:
        """Say that we began or stopped writing; strangers never learn it."""
        await self._speak().sender.typing(parse_account(to), started=started)

    async def mark_read(self, peer: AccountId | str, *, receipt: bool = False) -> list[Message]:
        """Mark a peer's messages as read; with `receipt`, tell the peer (never a stranger)."""
        return await self._speak().sender.read(parse_account(peer), receipt=receipt)

    async def listen(self) -> AsyncGenerator[Event]:
        """Yield what happens to this account, for ever; close the iterator (`contextlib.aclosing`) to stop."""
        async with aclosing(self._speak().listener.listen()) as events:
            async for event in events:
                yield event

    async def poll(self) -> list[Event]:
        """Return what happened since the last poll, once."""
        return await self._speak().listener.poll()

    async def flush(self) -> list[NaishoError]:
        """Try everything that waits in this device's store; return why something still waits."""
        return await self._speak().sender.flush()

    # Other accounts.

    async def contacts(self) -> list[Contact]:
        """Return every account that we wrote to or that wrote to us."""
        return await self.store.contacts.all()

    async def accept(self, peer: AccountId | str) -> None:
        """Accept a message request and tell the peer."""
        await self._speak().sender.accept(parse_account(peer))

    async def block(self, peer: AccountId | str, *, blocked: bool = True) -> None:
        """Drop whatever comes from an account, or stop doing so. Nobody is told."""
        await self.store.contacts.mark(parse_account(peer), self._clock.device_ms(), blocked=blocked)

    async def history(self, peer: AccountId | str, limit: int = 100) -> list[Message]:
        """Return the newest messages with a peer, oldest first."""
        return await self.store.history.conversation(parse_account(peer), limit)

    # The network.

    async def directory(self) -> Directory:
        """Return the network's signed directory, verified."""
        return await self.reach().directory.get()

    async def swarm(self, account: AccountId | str) -> Swarm:
        """Return the nodes that keep an account's mailbox."""
        return await self.reach().requests.swarm(parse_account(account))

    async def prove_path(self) -> PathStatus:
        """Send a request to our own mailbox through the path and return what may be believed then."""
        voice = self._speak()
        try:
            await voice.mailboxes.probe()
        except NaishoError:
            if self.reach().paths.status.cause is None:
                raise
        return self.reach().paths.status

    async def watch_path(self) -> AsyncGenerator[PathStatus]:
        """Yield the path's status now and whenever it changes, proving it every few seconds meanwhile."""
        async with aclosing(self._speak().watch.watch()) as statuses:
            async for status in statuses:
                yield status

    @property
    def path_status(self) -> PathStatus:
        """What may be believed of the path now, without asking."""
        return self.reach().paths.status

    def reach(self) -> Reach:
        """Return what carries requests, joining the network if this is the first time.

        Raises:
            NoNetwork, BadNetworkFile: there is nothing to join.
        """
        if self._reach is None:
            self._reach = Reach.wire(self._network(), self.store, self._transport, self._clock)
        return self._reach

    def _speak(self) -> Voice:
        if self._voice is None:
            self._voice = Voice.wire(self.reach(), self.store, self._require_keys(), self._name)
        return self._voice

    def _require_keys(self) -> AccountKeys:
        if self._keys is None:
            raise NoAccount(profile=self._profile)
        return self._keys

    async def _load_account(self) -> None:
        try:
            self._keys, self._name = await self.store.accounts.load()
        except NoAccount:
            self._keys = None

    async def _adopt(self, keys: AccountKeys, display_name: str) -> AccountId:
        name = _checked_name(display_name)
        await self.store.accounts.save(keys, name, self._clock.device_ms())
        self._keys, self._name = keys, name
        return keys.account_id


def _checked_name(name: str) -> str:
    if len(name.encode()) > MOST_NAME_BYTES or clean_name(name) != name:
        raise BadDisplayName(limit=MOST_NAME_BYTES)
    return name
