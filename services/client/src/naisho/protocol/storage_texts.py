"""The texts signed around the storage RPC: requests by accounts (wire 4.4), results by nodes (wire 4.6 to 4.9).

Numbers are written in plain decimal, hashes as their 43 characters, in the order given, without separators. A namespace
of 0 is written as nothing, every other as its number, ``ALL`` as ``all``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, Literal, TypeAlias

#: One namespace, or every namespace of the account.
NamespaceChoice: TypeAlias = int | Literal["all"]
#: How an expiry may move: anywhere, only nearer, only further.
ExpireMode: TypeAlias = Literal["any", "shorten", "extend"]

ALL: Final = "all"

_MODE_TEXT: Final[Mapping[ExpireMode, str]] = {"any": "", "shorten": "shorten", "extend": "extend"}


def _namespace(namespace: NamespaceChoice) -> str:
    return "" if namespace == 0 else str(namespace)


def _numbers(numbers: Iterable[int]) -> str:
    return "".join(map(str, numbers))


def retrieve(namespace: int, timestamp_ms: int) -> bytes:
    """Text of ``retrieve``; needs the right to read."""
    return f"retrieve{_namespace(namespace)}{timestamp_ms}".encode()


def store(namespace: int, sig_timestamp_ms: int) -> bytes:
    """Text of ``store``; needs the right to write, and to delete in public outboxes."""
    return f"store{_namespace(namespace)}{sig_timestamp_ms}".encode()


def delete(hashes: Iterable[str]) -> bytes:
    """Text of ``delete``; needs the right to delete."""
    return f"delete{''.join(hashes)}".encode()


def delete_all(namespace: NamespaceChoice, timestamp_ms: int) -> bytes:
    """Text of ``delete_all``; needs the right to delete."""
    return f"delete_all{_namespace(namespace)}{timestamp_ms}".encode()


def delete_before(namespace: NamespaceChoice, before_ms: int) -> bytes:
    """Text of ``delete_before``; needs the right to delete."""
    return f"delete_before{_namespace(namespace)}{before_ms}".encode()


def expire(expiries_ms: Iterable[int], hashes: Iterable[str], mode: ExpireMode = "any") -> bytes:
    """Text of ``expire``; needs the right to write, and to delete in order to shorten.

    ``expiries_ms`` holds one expiry for all or one for each hash, as the request has it.
    """
    return f"expire{_MODE_TEXT[mode]}{_numbers(expiries_ms)}{''.join(hashes)}".encode()


def expire_all(namespace: NamespaceChoice, expiry_ms: int) -> bytes:
    """Text of ``expire_all``; needs the right to delete."""
    return f"expire_all{_namespace(namespace)}{expiry_ms}".encode()


def get_expiries(timestamp_ms: int, hashes: Iterable[str]) -> bytes:
    """Text of ``get_expiries``; needs the right to read."""
    return f"get_expiries{timestamp_ms}{''.join(hashes)}".encode()


def revoke_subaccount(timestamp_ms: int, tokens: Iterable[bytes]) -> bytes:
    """Text of ``revoke_subaccount``, tokens as 36 raw bytes; only the owner may sign it."""
    return b"revoke_subaccount%d%b" % (timestamp_ms, b"".join(tokens))


def unrevoke_subaccount(timestamp_ms: int, tokens: Iterable[bytes]) -> bytes:
    """Text of ``unrevoke_subaccount``, tokens as 36 raw bytes; only the owner may sign it."""
    return b"unrevoke_subaccount%d%b" % (timestamp_ms, b"".join(tokens))


def revoked_subaccounts(timestamp_ms: int) -> bytes:
    """Text of ``revoked_subaccounts``; only the owner may sign it."""
    return f"revoked_subaccounts{timestamp_ms}".encode()


def monitor(account_hex: str, timestamp_s: int, namespaces: Iterable[int], *, with_data: bool) -> bytes:
    """Text of a subscription (wire 4.13, 7.1); time in **seconds**, namespaces ascending."""
    return f"MONITOR{account_hex}{timestamp_s}{int(with_data)}{','.join(map(str, namespaces))}".encode()


def unsubscribe(account_hex: str, timestamp_s: int) -> bytes:
    """Text that ends a push subscription (wire 7.1); time in **seconds**."""
    return f"UNSUBSCRIBE{account_hex}{timestamp_s}".encode()


def store_result(message_hash: str) -> bytes:
    """Text of a member's result of ``store``."""
    return message_hash.encode()


def delete_result(account_hex: str, requested: Iterable[str], deleted: Iterable[str]) -> bytes:
    """Text of a member's result of ``delete``; ``requested`` in the request's order."""
    return f"{account_hex}{''.join(requested)}{''.join(sorted(deleted))}".encode()


def delete_all_result(account_hex: str, timestamp_ms: int, deleted: Iterable[str]) -> bytes:
    """Text of a member's result of ``delete_all``; ``deleted`` of all namespaces together."""
    return f"{account_hex}{timestamp_ms}{''.join(sorted(deleted))}".encode()


def delete_before_result(account_hex: str, before_ms: int, deleted: Iterable[str]) -> bytes:
    """Text of a member's result of ``delete_before``; ``deleted`` of all namespaces together."""
    return f"{account_hex}{before_ms}{''.join(sorted(deleted))}".encode()


def expire_result(
    account_hex: str,
    expiries_ms: Iterable[int],
    requested: Iterable[str],
    updated: Iterable[str],
    unchanged: Mapping[str, int] | None = None,
) -> bytes:
    """Text of a member's result of ``expire``; expiries as requested, ``unchanged`` only with shorten or extend."""
    kept = "".join(f"{key}{expiry}" for key, expiry in sorted((unchanged or {}).items()))
    return f"{account_hex}{_numbers(expiries_ms)}{''.join(requested)}{''.join(sorted(updated))}{kept}".encode()


def expire_all_result(account_hex: str, expiry_ms: int, updated: Iterable[str]) -> bytes:
    """Text of a member's result of ``expire_all``; ``updated`` of all namespaces together."""
    return f"{account_hex}{expiry_ms}{''.join(sorted(updated))}".encode()


def revocation_result(account_hex: str, timestamp_ms: int, tokens: Iterable[bytes]) -> bytes:
    """Text of a member's result of ``revoke_subaccount`` and of ``unrevoke_subaccount``; tokens as 36 raw bytes."""
    return b"%b%d%b" % (account_hex.encode(), timestamp_ms, b"".join(tokens))
