"""Key files of a network, readable by their owner alone.

    <folder>/
    ├── root.key           Ed25519 seed; signs the delegation below, nothing else. May be kept offline
    ├── signing.key        Ed25519 seed; signs directories for as long as the delegation lasts
    ├── signing-keys.bin   the delegation, no secret
    └── mailbox.key        32 bytes that key the mailboxes' tags in the log

Seeds and keys are 64 hex digits. A delegation covers a range of a million epochs. Renewing keeps key and range and
moves the end; replacing makes another key and gives it the range behind, so that the old key can sign nothing that
anybody accepts who has seen a directory of the new one.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from naisho.protocol.directory import DirectoryError, SigningKeys, delegate
from naisho.protocol.directory.codec import parse
from naisho.protocol.directory.verification import verify_signing_keys
from naisho.protocol.network_file import NetworkFile
from naisho.protocol.signing import SigningKey
from naisho.wire.directory.v1 import directory_pb2 as wire
from operators.membership.domain.errors import KeyFileError

ROOT: Final = "root.key"
SIGNING: Final = "signing.key"
DELEGATION: Final = "signing-keys.bin"
MAILBOX: Final = "mailbox.key"

DAY_MS: Final = 24 * 3600 * 1000
#: How long signing keys last before the root key is needed again.
DELEGATED_MS: Final = 90 * DAY_MS
EPOCHS: Final = 1_000_000
_SEED: Final = re.compile(r"[0-9a-f]{64}\n?", re.ASCII)


@dataclass(frozen=True, slots=True)
class AuthorityKeys:
    """What the authority signs with."""

    #: The delegation, and the same as it is sent along.
    keys: SigningKeys
    delegation: bytes
    signers: tuple[SigningKey, ...] = field(repr=False)


def create_keys(folder: Path, *, network_id: str, now_ms: int) -> bytes:
    """Make all keys of a new network and return the root key's public half, 32 bytes.

    Raises:
        KeyFileError: the folder holds keys already.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    there = [name for name in (ROOT, SIGNING, DELEGATION, MAILBOX) if (folder / name).exists()]
    if there:
        raise KeyFileError(f"{folder / there[0]} is there already; keys are never overwritten")
    root, signing = _make_seed(folder / ROOT), _make_seed(folder / SIGNING)
    _write(folder / MAILBOX, secrets.token_hex(32).encode() + b"\n")
    keys = SigningKeys(network_id, (signing.public,), 1, now_ms + DELEGATED_MS, 1, EPOCHS - 1)
    _write(folder / DELEGATION, delegate(keys, [root]))
    return root.public


def read_keys(folder: Path, *, network: NetworkFile, now_ms: int) -> AuthorityKeys:
    """Read what the authority needs: the signing key and its delegation. The root key may be elsewhere.

    Raises:
        KeyFileError: a file is missing, readable by others or damaged, or the delegation is over or not for this key.
    """
    signer = _read_seed(folder / SIGNING)
    keys = _delegated(folder, network, now_ms=now_ms)
    if signer.public not in keys.keys:
        raise KeyFileError(f"{folder / SIGNING} is not among the keys that {DELEGATION} delegates to")
    return AuthorityKeys(keys, _read(folder / DELEGATION, private=False), (signer,))


def obtain_keys(folder: Path, *, network: NetworkFile, now_ms: int) -> AuthorityKeys:
    """Read what the authority needs, and delegate anew first if that is due and the root key is in the folder, too.

    Raises:
        KeyFileError: see ``read_keys``.
    """
    left_ms = _delegated(folder, network, now_ms=0).expires_ms - now_ms
    if left_ms < DELEGATED_MS // 2 and (folder / ROOT).exists() and network.root_threshold == 1:
        renew_keys(folder, network=network, now_ms=now_ms)
    return read_keys(folder, network=network, now_ms=now_ms)


def renew_keys(folder: Path, *, network: NetworkFile, now_ms: int, replace_key: bool = False) -> SigningKeys:
    """Delegate anew with the root key in the folder; the authority picks it up by itself.

    Args:
        folder: holds root key, signing key and the delegation so far.
        network: whose root keys count.
        now_ms: the present.
        replace_key: also make a new signing key, with the range of epochs behind; for one that may be known to others.

    Raises:
        KeyFileError: a file is missing or wrong, or several root keys must sign: then ``delegate`` is used by hand.
    """
    root = _read_seed(folder / ROOT)
    if root.public not in network.root_keys or network.root_threshold > 1:
        raise KeyFileError(f"{folder / ROOT} alone may not delegate in this network; see its network file")
    old = _delegated(folder, network, now_ms=0)
    renewed = replace(old, expires_ms=now_ms + DELEGATED_MS)
    if replace_key:
        signing = _make_seed(folder / SIGNING)
        renewed = replace(
            renewed,
            keys=(signing.public,),
            threshold=1,
            first_epoch=old.last_epoch + 1,
            last_epoch=old.last_epoch + EPOCHS,
        )
    _write(folder / DELEGATION, delegate(renewed, [root]))
    return renewed


def read_mailbox_key(folder: Path) -> bytes:
    """Return the 32 bytes that key the mailboxes' tags.

    Raises:
        KeyFileError: the file is missing, readable by others or damaged.
    """
    return _read_hex(folder / MAILBOX)


def _delegated(folder: Path, network: NetworkFile, *, now_ms: int) -> SigningKeys:
    try:
        message = parse(wire.SignedSigningKeys, _read(folder / DELEGATION, private=False), what="the delegation")
        return verify_signing_keys(message, network=network, now_ms=now_ms)
    except DirectoryError as error:
        raise KeyFileError(f"{folder / DELEGATION}: {error}; renew the signing keys with the root key") from error


def _make_seed(path: Path) -> SigningKey:
    seed = secrets.token_bytes(32)
    _write(path, seed.hex().encode() + b"\n")
    return SigningKey(seed)


def _read_seed(path: Path) -> SigningKey:
    return SigningKey(_read_hex(path))


def _read_hex(path: Path) -> bytes:
    text = _read(path, private=True).decode("ascii", "replace")
    if _SEED.fullmatch(text) is None:
        raise KeyFileError(f"{path} does not hold 64 hex digits")
    return bytes.fromhex(text)


def _read(path: Path, *, private: bool) -> bytes:
    try:
        with path.open("rb") as file:
            if private and stat.S_IMODE(os.fstat(file.fileno()).st_mode) & 0o077:
                raise KeyFileError(f"{path} may be read by others: chmod 600 it")
            return file.read(65_536)
    except OSError as error:
        raise KeyFileError(f"{path} cannot be read: {error.strerror}") from error


def _write(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    draft = path.with_name(path.name + ".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
