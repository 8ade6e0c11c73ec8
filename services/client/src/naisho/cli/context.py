"""What every command gets: where things are, how to speak, how to open a client. Plug-ins get it as click's object."""

from __future__ import annotations

import os
from collections.abc import Coroutine, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from naisho.cli.output import Output
from naisho.texts import Texts

if TYPE_CHECKING:
    from naisho.client import Client
    from naisho.store.locks import Unlocker

T = TypeVar("T")
DEFAULT_PROFILE = "default"


@dataclass
class CliContext:
    """One invocation of ``naisho``.

    Attributes:
        texts: the user's language.
        environment: the process' environment.
        profile: which of the user's accounts (``--profile``).
        network: network file (``--network``); None to find one.
        json: print JSON and nothing else (``--json``).
        given_data_dir: what ``--data-dir`` said.

    """

    texts: Texts
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    profile: str = DEFAULT_PROFILE
    network: Path | None = None
    json: bool = False
    given_data_dir: Path | None = None

    @property
    def data_dir(self) -> Path:
        """The user's data directory; network files lie in ``networks/<name>/network.json`` below it."""
        from naisho.network.joining import default_data_dir  # noqa: PLC0415 - not needed for --help

        return self.given_data_dir or default_data_dir(self.environment)

    @property
    def output(self) -> Output:
        """Where a command says what it has to say."""
        return Output(self.texts, as_json=self.json)

    def open_client(self, *, lock: str | None = None, create: bool = False) -> AbstractAsyncContextManager[Client]:
        """Return a client to enter, having asked for a passphrase if the store needs one.

        Args:
            lock: how to lock a new store (``passphrase``, ``keyring``, ``file``); None to choose.
            create: make the store if there is none.
        """
        from naisho.client import Client  # noqa: PLC0415 - not needed for --help

        return Client.open(
            self.data_dir,
            profile=self.profile,
            network=self.network,
            unlock=self._unlocker(lock, create=create),
            create=create,
            proxy=self.environment.get("NAISHO_PROXY"),
            environment=self.environment,
        )

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a command's work to its end; Ctrl-C and SIGTERM cancel it, and what it opened is closed."""
        from naisho.cli.running import run  # noqa: PLC0415 - not needed for --help

        return run(work)

    def _unlocker(self, lock: str | None, *, create: bool) -> Unlocker:
        from naisho.cli.locking import choose_unlocker  # noqa: PLC0415 - not needed for --help
        from naisho.store.locks import lock_kind  # noqa: PLC0415 - as above
        from naisho.store.store import profile_folder  # noqa: PLC0415 - as above

        kind = lock_kind(profile_folder(self.data_dir, self.profile))
        return choose_unlocker(self, kind, lock if create else None, create=create)
