"""One member's signed result of a command (wire 4.6, 4.8, 4.9): its JSON and the text that its signature covers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from naisho.protocol import storage_texts
from naisho.protocol.message_hash import hash_text
from services.swarm.domain.commands import (
    ALL,
    Command,
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
from services.swarm.domain.evolve import Changes
from services.swarm.domain.ports import MailboxView, MemberAnswer

#: Answer of a member that does not hold a message that another member says the swarm already has (wire 4.3).
NOT_HELD: Final[MemberAnswer] = {"failed": True, "query_failure": True}


def member_result(command: Command, changes: Changes, view: MailboxView) -> MemberAnswer:
    """Return a member's result without its signature; a ``failed`` one is not to be signed.

    Args:
        command: as the receiving node decided it.
        changes: what folding the command's events changed in this member's store; empty if there were no events.
        view: this member's mailbox after that.
    """
    match command:
        case Store():
            return _store_result(command, changes, view)
        case Delete():
            return {"deleted": _sorted_texts(changes.deleted)}
        case DeleteAll() | DeleteBefore():
            return {"deleted": _by_namespace(changes.deleted, command.namespace)}
        case Expire():
            return _expire_result(command, changes, view)
        case ExpireAll():
            return {"updated": _by_namespace(changes.moved, command.namespace)}
        case Revoke():
            return {}
        case Unrevoke():
            return {"count": changes.unrevoked}


def stores_results(command: Stores, changes: Sequence[Changes]) -> list[MemberAnswer]:
    """Return a member's results of several first stores, each from what its own event changed."""
    return [
        _created(store.message_hash, changed) or _present(store.message_hash, changed) or dict(NOT_HELD)
        for store, changed in zip(command.stores, changes, strict=True)
    ]


def result_text(account_hex: str, command: Command, result: MemberAnswer) -> bytes:
    """Return the bytes that a member's signature covers.

    Args:
        account_hex: the account id, 66 lower-case hex digits.
        command: the command.
        result: what ``member_result`` returned for it.
    """
    match command:
        case Store():
            return storage_texts.store_result(result["hash"])
        case Delete():
            return storage_texts.delete_result(account_hex, map(hash_text, command.hashes), result["deleted"])
        case DeleteAll():
            return storage_texts.delete_all_result(account_hex, command.timestamp_ms, _flat(result["deleted"]))
        case DeleteBefore():
            return storage_texts.delete_before_result(account_hex, command.before_ms, _flat(result["deleted"]))
        case Expire():
            requested = map(hash_text, command.hashes)
            return storage_texts.expire_result(
                account_hex, command.expiries_ms, requested, result["updated"], result.get("unchanged")
            )
        case ExpireAll():
            return storage_texts.expire_all_result(account_hex, command.expiry_ms, _flat(result["updated"]))
        case Revoke() | Unrevoke():
            return storage_texts.revocation_result(account_hex, command.timestamp_ms, command.tokens)


def foreseen_text(command: Command) -> bytes | None:
    """Return what ``result_text`` will, if that can be told before the command's events are folded."""
    return storage_texts.store_result(hash_text(command.message_hash)) if isinstance(command, Store) else None


def _store_result(command: Store, changes: Changes, view: MailboxView) -> MemberAnswer:
    message_hash = command.message_hash
    if (result := _created(message_hash, changes) or _present(message_hash, changes)) is not None:
        return result
    record = view.find((message_hash,)).get(message_hash)
    return dict(NOT_HELD) if record is None else _already(message_hash, record.expiry_ms)


def _created(message_hash: bytes, changes: Changes) -> MemberAnswer | None:
    expiry = changes.created.get(message_hash)
    return None if expiry is None else {"hash": hash_text(message_hash), "expiry": expiry}


def _present(message_hash: bytes, changes: Changes) -> MemberAnswer | None:
    expiry = changes.present.get(message_hash)
    return None if expiry is None else _already(message_hash, expiry)


def _already(message_hash: bytes, expiry_ms: int) -> MemberAnswer:
    return {"hash": hash_text(message_hash), "expiry": expiry_ms, "already": True}


def _expire_result(command: Expire, changes: Changes, view: MailboxView) -> MemberAnswer:
    expiry: Any = list(command.expiries_ms) if command.listed else command.expiries_ms[0]
    updated = changes.moved.keys() | changes.created.keys()
    living = view.find(command.hashes)
    if command.mode == "any" and not command.extend_only:
        return {"expiry": expiry, "updated": _sorted_texts(updated | living.keys())}
    result: MemberAnswer = {"expiry": expiry, "updated": _sorted_texts(updated)}
    if command.mode != "any":
        result["unchanged"] = {
            text: living[h].expiry_ms for text, h in sorted((hash_text(h), h) for h in living.keys() - updated)
        }
    return result


def _sorted_texts(hashes: Iterable[bytes]) -> list[str]:
    return sorted(map(hash_text, hashes))


def _by_namespace(hashes: dict[bytes, int], namespace: Namespaces) -> list[str] | dict[str, list[str]]:
    """List hashes, or where the request said ``"all"`` list them under each namespace's number."""
    if namespace != ALL:
        return _sorted_texts(hashes)
    return {
        str(number): _sorted_texts(h for h, n in hashes.items() if n == number) for number in sorted({*hashes.values()})
    }


def _flat(hashes: list[str] | dict[str, list[str]]) -> list[str]:
    return hashes if isinstance(hashes, list) else [h for part in hashes.values() for h in part]
