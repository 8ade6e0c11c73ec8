"""Namespaces by number (wire 4.5), and how a poll shares out its room."""

from __future__ import annotations

from typing import Any

import pytest

from naisho.protocol import namespaces
from naisho.protocol.namespaces import NamespaceClass, classify, retrieve_shares

DAY_MS = 24 * 3600 * 1000


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ([0, 10, -20, 20, 32760, -32760, -30], NamespaceClass.PUBLIC_INBOX),
        ([-10], NamespaceClass.LEGACY_GROUP),
        ([-1, -21, -41, -32761], NamespaceClass.PUBLIC_OUTBOX),
        ([-11, -111, -211, -32711], NamespaceClass.UNREVOCABLE),
        ([-3741], NamespaceClass.TEST),
        ([1, 2, 3, 4, 5, 11, 12, 13, 14, 21, 111, -2, -12, -22, -31, -51, 32767, -32768], NamespaceClass.PRIVATE),
    ],
)
def test_classes_by_number(numbers: list[int], expected: NamespaceClass) -> None:
    assert {classify(number) for number in numbers} == {expected}


def test_rules_of_classes() -> None:
    assert {c for c in NamespaceClass if c.stores_unsigned} == {
        NamespaceClass.PUBLIC_INBOX,
        NamespaceClass.LEGACY_GROUP,
    }
    assert {c for c in NamespaceClass if c.reads_unsigned} == {
        NamespaceClass.PUBLIC_OUTBOX,
        NamespaceClass.LEGACY_GROUP,
    }
    assert {c for c in NamespaceClass if c.holds_one} == {NamespaceClass.PUBLIC_OUTBOX}
    assert {c for c in NamespaceClass if c.max_ttl_ms == 14 * DAY_MS} == {NamespaceClass.PUBLIC_INBOX}
    assert {c.max_ttl_ms for c in NamespaceClass} == {14 * DAY_MS, 30 * DAY_MS}


@pytest.mark.parametrize("number", [-32769, 32768])
def test_numbers_beyond_16_bits_are_refused(number: int) -> None:
    with pytest.raises(ValueError, match="16-bit"):
        classify(number)


def test_shares_of_a_poll(vectors: dict[str, Any]) -> None:
    vector = vectors["retrieve_size_shares"]
    shares = retrieve_shares(vector["namespaces_user"])
    assert {str(namespace): share for namespace, share in shares.items()} == vector["max_size"]


def test_shares_never_exceed_the_whole() -> None:
    group = [namespaces.REMOVED_MEMBERS, 12, 13, 14, namespaces.GROUP_MESSAGES]
    for asked in (group, [0], [2, 3], [0, 2], [0, 0, 2]):
        shares = retrieve_shares(asked)
        assert list(shares) == list(dict.fromkeys(asked))
        assert sum(-1 / share for share in shares.values()) <= 1
    assert retrieve_shares([0]) == {0: -1}
    assert retrieve_shares([]) == {}
