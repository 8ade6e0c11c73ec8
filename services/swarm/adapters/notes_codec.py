"""Commands to notes and back: what a member must know to compute and sign its part of an answer."""

from __future__ import annotations

from typing import Final

from naisho.protocol.storage_texts import ExpireMode
from services.swarm.domain.commands import (
    ALL,
    Asked,
    Delete,
    DeleteAll,
    DeleteBefore,
    Expire,
    ExpireAll,
    Namespaces,
    Revoke,
    Store,
    Stores,
    Unrevoke,
)
from services.swarm.events.v1 import receipts_pb2 as pb

_MODES: Final[dict[ExpireMode, pb.ExpireMode.ValueType]] = {
    "any": pb.EXPIRE_MODE_ANY,
    "shorten": pb.EXPIRE_MODE_SHORTEN,
    "extend": pb.EXPIRE_MODE_EXTEND,
}
_MODE_NAMES: Final = {number: name for name, number in _MODES.items()}


class UnreadableNote(ValueError):
    """A note that this version cannot answer."""


def put_command(note: pb.Note, command: Asked) -> None:
    """Write what is asked about into a note."""
    if isinstance(command, Store):
        note.store.hash = command.message_hash
        return
    if isinstance(command, Stores):
        note.stores.hashes.extend(store.message_hash for store in command.stores)
        return
    note.account = command.account
    match command:
        case Delete():
            note.delete.hashes.extend(command.hashes)
        case DeleteAll():
            note.delete_all.timestamp_ms = command.timestamp_ms
            _put_namespace(note.delete_all, command.namespace)
        case DeleteBefore():
            note.delete_before.before_ms = command.before_ms
            _put_namespace(note.delete_before, command.namespace)
        case Expire():
            expire = note.expire
            expire.hashes.extend(command.hashes)
            expire.expiries_ms.extend(command.expiries_ms)
            expire.mode = _MODES[command.mode]
            expire.listed = command.listed
            expire.extend_only = command.extend_only
        case ExpireAll():
            note.expire_all.expiry_ms = command.expiry_ms
            _put_namespace(note.expire_all, command.namespace)
        case Revoke():
            note.revoke.tokens.extend(command.tokens)
            note.revoke.timestamp_ms = command.timestamp_ms
        case Unrevoke():
            note.unrevoke.tokens.extend(command.tokens)
            note.unrevoke.timestamp_ms = command.timestamp_ms


def get_command(note: pb.Note) -> Asked:
    """Read what a note asks about; a ``Store`` comes back with what its result needs alone.

    Raises:
        UnreadableNote: it has none that this version knows.
    """
    account = note.account
    match note.WhichOneof("command"):
        case "store":
            return _stored(note.store.hash)
        case "stores" if len(note.stores.hashes) == len(note.events):
            return Stores(tuple(map(_stored, note.stores.hashes)))
        case "delete":
            return Delete(account, tuple(note.delete.hashes))
        case "delete_all":
            return DeleteAll(account, _get_namespace(note.delete_all), note.delete_all.timestamp_ms)
        case "delete_before":
            return DeleteBefore(account, _get_namespace(note.delete_before), note.delete_before.before_ms)
        case "expire" if (mode := _MODE_NAMES.get(note.expire.mode)) is not None:
            found = note.expire
            return Expire(account, tuple(found.hashes), tuple(found.expiries_ms), mode, found.listed, found.extend_only)
        case "expire_all":
            return ExpireAll(account, _get_namespace(note.expire_all), note.expire_all.expiry_ms)
        case "revoke":
            return Revoke(account, tuple(note.revoke.tokens), note.revoke.timestamp_ms)
        case "unrevoke":
            return Unrevoke(account, tuple(note.unrevoke.tokens), note.unrevoke.timestamp_ms)
        case _:
            raise UnreadableNote("a note without a command that is known here")


def _stored(message_hash: bytes) -> Store:
    return Store(b"", 0, message_hash, b"", 0, 0)


_Chosen = pb.DeleteAllCommand | pb.DeleteBeforeCommand | pb.ExpireAllCommand


def _put_namespace(message: _Chosen, namespace: Namespaces) -> None:
    if namespace != ALL:
        message.namespace = int(namespace)


def _get_namespace(message: _Chosen) -> Namespaces:
    return message.namespace if message.HasField("namespace") else ALL
