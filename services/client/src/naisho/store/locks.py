"""What unlocks a store: a passphrase, the desktop's key store, or a key file.

The database's key is 32 random bytes, made once. ``lock.json`` holds it sealed (AES-256-GCM) under a *wrapping key*
that only the unlocker can produce; everything else in the file is authenticated with it, so neither the kind nor the
cost of the passphrase can be changed unnoticed.

A passphrase is stretched by Argon2id (RFC 9106, second recommended choice: 64 MiB, 3 passes, 4 lanes). A key file is
for machines without a desktop and without a person: it protects copies of the store, not the machine.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from naisho.errors import KeyMissing, KeyringUnusable, StoreDamaged, WrongKey

LOCK_FILE = "lock.json"
KEY_FILE = "store.key"
KEY_BYTES = 32
ARGON2ID = {"memory_kib": 64 * 1024, "iterations": 3, "lanes": 4}
#: Bounds for what a lock file may ask for, so that a damaged one cannot exhaust the machine.
ARGON2ID_MAX = {"memory_kib": 1024 * 1024, "iterations": 16, "lanes": 16}
KEYRING_SERVICE = "naisho"


class Unlocker(ABC):
    """Produces the wrapping key of a lock. Blocking; called off the event loop."""

    kind: ClassVar[str]

    @abstractmethod
    def create(self, folder: Path) -> tuple[dict[str, str | int], bytes]:
        """Return new public parameters and the wrapping key that goes with them."""

    @abstractmethod
    def recall(self, folder: Path, parameters: dict[str, str | int]) -> bytes:
        """Return the wrapping key for parameters made by `create`.

        Raises:
            WrongKey: what is needed is there, but is not the right one.
            KeyMissing, KeyringUnusable: what is needed is not there.
            StoreDamaged: the parameters are not what `create` wrote.
        """


class Passphrase(Unlocker):
    """A passphrase, stretched by Argon2id."""

    kind = "passphrase"

    def __init__(self, passphrase: str) -> None:
        self._passphrase = passphrase.encode()

    def __repr__(self) -> str:
        return "Passphrase(…)"

    def create(self, folder: Path) -> tuple[dict[str, str | int], bytes]:  # noqa: ARG002 - the shape of Unlocker
        """See `Unlocker`."""
        parameters: dict[str, str | int] = {**ARGON2ID, "salt": secrets.token_hex(16)}
        return parameters, self._stretch(parameters)

    def recall(self, folder: Path, parameters: dict[str, str | int]) -> bytes:  # noqa: ARG002 - as above
        """See `Unlocker`."""
        return self._stretch(parameters)

    def _stretch(self, parameters: dict[str, str | int]) -> bytes:
        from cryptography.hazmat.primitives.kdf.argon2 import Argon2id  # noqa: PLC0415 - slow to import, rarely needed

        try:
            cost = {name: int(parameters[name]) for name in ARGON2ID}
            salt = bytes.fromhex(str(parameters["salt"]))
        except (KeyError, ValueError) as error:
            raise StoreDamaged from error
        if any(not 1 <= cost[name] <= limit for name, limit in ARGON2ID_MAX.items()) or len(salt) != 16:  # noqa: PLR2004 - as created
            raise StoreDamaged
        if not self._passphrase:
            raise KeyMissing
        stretch = Argon2id(
            salt=salt,
            length=KEY_BYTES,
            iterations=cost["iterations"],
            lanes=cost["lanes"],
            memory_cost=cost["memory_kib"],
        )
        return stretch.derive(self._passphrase)


class Keyring(Unlocker):
    """The desktop's key store, through the `keyring` library."""

    kind = "keyring"

    @staticmethod
    def usable() -> bool:
        """Tell whether this machine has a key store that keeps secrets."""
        import keyring  # noqa: PLC0415 - looks for back ends when imported
        from keyring.backends import fail, null  # noqa: PLC0415 - as above

        return not isinstance(keyring.get_keyring(), (fail.Keyring, null.Keyring))

    def create(self, folder: Path) -> tuple[dict[str, str | int], bytes]:  # noqa: ARG002 - as above
        """See `Unlocker`."""
        import keyring  # noqa: PLC0415 - as above
        from keyring.errors import KeyringError  # noqa: PLC0415 - as above

        entry, key = secrets.token_hex(8), secrets.token_bytes(KEY_BYTES)
        try:
            keyring.set_password(KEYRING_SERVICE, entry, key.hex())
        except KeyringError as error:
            raise KeyringUnusable from error
        return {"entry": entry}, key

    def recall(self, folder: Path, parameters: dict[str, str | int]) -> bytes:  # noqa: ARG002 - as above
        """See `Unlocker`."""
        import keyring  # noqa: PLC0415 - as above
        from keyring.errors import KeyringError  # noqa: PLC0415 - as above

        try:
            found = keyring.get_password(KEYRING_SERVICE, str(parameters.get("entry")))
        except KeyringError as error:
            raise KeyringUnusable from error
        if found is None:
            raise KeyringUnusable
        try:
            return bytes.fromhex(found)
        except ValueError as error:
            raise WrongKey from error


class KeyFile(Unlocker):
    """32 random bytes in a file that only its owner may read; beside the store unless a path is given."""

    kind = "file"

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    def create(self, folder: Path) -> tuple[dict[str, str | int], bytes]:
        """See `Unlocker`; a key file that exists already is used again."""
        path = self._path or folder / KEY_FILE
        write_private(path, secrets.token_hex(KEY_BYTES).encode() + b"\n")
        return {}, self._read(path)

    def recall(self, folder: Path, parameters: dict[str, str | int]) -> bytes:  # noqa: ARG002 - as above
        """See `Unlocker`."""
        return self._read(self._path or folder / KEY_FILE)

    def _read(self, path: Path) -> bytes:
        try:
            key = bytes.fromhex(path.read_text(encoding="ascii").strip())
        except FileNotFoundError as error:
            raise KeyMissing from error
        except (OSError, ValueError) as error:
            raise WrongKey from error
        if len(key) != KEY_BYTES:
            raise WrongKey
        return key


def lock_kind(folder: Path) -> str | None:
    """Return what kind of unlocker a store needs: ``passphrase``, ``keyring``, ``file``; None without a store."""
    return str(_read_lock(folder).get("kind")) if (folder / LOCK_FILE).is_file() else None


def create_lock(folder: Path, unlocker: Unlocker) -> bytes:
    """Make the key of a new store, write its lock, and return the key."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - slow to import, used once

    parameters, wrapping = unlocker.create(folder)
    key, nonce = secrets.token_bytes(KEY_BYTES), secrets.token_bytes(12)
    header = {"version": 1, "kind": unlocker.kind, "parameters": parameters}
    sealed = nonce + AESGCM(wrapping).encrypt(nonce, key, _authenticated(header))
    lock = {**header, "sealed_key": base64.b64encode(sealed).decode()}
    if write_private(folder / LOCK_FILE, json.dumps(lock, indent=2).encode() + b"\n"):
        return key
    return open_lock(folder, unlocker)  # another process was quicker


def open_lock(folder: Path, unlocker: Unlocker) -> bytes:
    """Return the key of an existing store.

    Raises:
        WrongKey: the unlocker is not the one that made the lock.
        KeyMissing, KeyringUnusable: the unlocker has nothing to offer.
        StoreDamaged: the lock file is not what was written.
    """
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - slow to import, used once
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - as above

    lock = _read_lock(folder)
    parameters, sealed_text = lock.get("parameters"), lock.pop("sealed_key", None)
    if lock.get("kind") != unlocker.kind:
        raise WrongKey
    if not isinstance(parameters, dict) or not isinstance(sealed_text, str):
        raise StoreDamaged
    wrapping = unlocker.recall(folder, parameters)
    try:
        sealed = base64.b64decode(sealed_text, validate=True)
        return AESGCM(wrapping).decrypt(sealed[:12], sealed[12:], _authenticated(lock))
    except InvalidTag as error:
        raise WrongKey from error
    except ValueError as error:
        raise StoreDamaged from error


def write_private(path: Path, content: bytes) -> bool:
    """Write a new file that only its owner may read, whole or not at all; False if there is one already."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 - a mode at creation
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        path.hardlink_to(draft)
    except FileExistsError:
        return False
    finally:
        draft.unlink(missing_ok=True)
    return True


def _read_lock(folder: Path) -> dict[str, object]:
    try:
        lock = json.loads((folder / LOCK_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreDamaged from error
    if not isinstance(lock, dict):
        raise StoreDamaged
    return lock


def _authenticated(header: dict[str, object]) -> bytes:
    return json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
