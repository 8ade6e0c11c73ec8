"""Who may do what in which namespace (wire 4.5)."""

from __future__ import annotations

from typing import Final

LEGACY_GROUP: Final = -10
#: Always refuses stores and is always empty.
TEST: Final = -3741


def public_inbox(namespace: int) -> bool:
    """Tell whether anybody may store and only the owner may read."""
    return namespace % 10 == 0 and namespace != LEGACY_GROUP


def open_to_all(namespace: int) -> bool:
    """Tell whether anybody may store: public inboxes and legacy groups."""
    return namespace % 10 == 0


def public_outbox(namespace: int) -> bool:
    """Tell whether anybody may read what the owner stored, one message only: a store replaces the last."""
    return namespace < 0 and -namespace % 20 == 1


def readable_by_all(namespace: int) -> bool:
    """Tell whether retrieving needs no signature."""
    return namespace == LEGACY_GROUP or public_outbox(namespace)


def readable_after_revocation(namespace: int) -> bool:
    """Tell whether a revoked subaccount may still read."""
    return namespace < 0 and -namespace % 100 == 11  # noqa: PLR2004 - the wire document's own number
