"""Opening a profile's store."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from naisho.errors import BadProfileName, NoAccount
from naisho.store.accounts import Accounts
from naisho.store.contacts import Contacts
from naisho.store.database import Database
from naisho.store.history import History
from naisho.store.locks import LOCK_FILE, Unlocker, create_lock, lock_kind, open_lock
from naisho.store.mail import Mail
from naisho.store.network_cache import NetworkCache

STORE_FILE = "store.db"
DEFAULT_PROFILE = "default"


class Store:
    """What one account keeps on this device.

    Attributes:
        accounts: the account itself and its settings.
        contacts: other accounts.
        history: text messages.

    """

    def __init__(self, database: Database, profile: str) -> None:
        self._database = database
        self.accounts = Accounts(database, profile)
        self.contacts = Contacts(database)
        self.history = History(database)

    def mail(self, network: str) -> Mail:
        """Return this account's traffic with a network."""
        return Mail(self._database, network)

    def network(self, network: str) -> NetworkCache:
        """Return what is known of a network."""
        return NetworkCache(self._database, network)


def profile_folder(data_dir: Path, profile: str) -> Path:
    """Return where a profile lies.

    Raises:
        BadProfileName: the name could not be a folder's.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}", profile):
        raise BadProfileName
    return data_dir / "profiles" / profile


@asynccontextmanager
async def open_store(
    data_dir: Path, profile: str, unlocker: Callable[[str | None], Unlocker], *, create: bool = False
) -> AsyncIterator[Store]:
    """Open a profile's store for the length of a ``with`` block.

    Args:
        data_dir: the user's data directory.
        profile: which of the user's accounts.
        unlocker: given the kind of the store's lock (None for a new store), returns what opens it.
        create: make the store if there is none.

    Raises:
        NoAccount: there is no store and none may be made.
        StoreError: the store does not open; see `naisho.errors`.
    """
    folder = profile_folder(data_dir, profile)
    path = folder / STORE_FILE
    database = await Database.open(path, await asyncio.to_thread(_unlock, folder, profile, unlocker, create=create))
    try:
        yield Store(database, profile)
    finally:
        await asyncio.shield(database.close())


def _unlock(folder: Path, profile: str, unlocker: Callable[[str | None], Unlocker], *, create: bool) -> bytes:

    if (folder / LOCK_FILE).is_file():
        return open_lock(folder, unlocker(lock_kind(folder)))
    if not create:
        raise NoAccount(profile=profile)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return create_lock(folder, unlocker(None))
