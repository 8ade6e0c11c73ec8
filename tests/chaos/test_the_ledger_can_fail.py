"""Positive controls: a network that loses, doubles, mixes up, brings back or forgets something is found out."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from naisho.protocol.account import AccountKeys
from tests.chaos.ledger import Entry, Ledger
from tests.chaos.mailboxes import Listed

Listing = list[Listed]


@pytest.fixture
def ledger() -> Ledger:
    """Five messages, stored one after the other; the second was deleted."""
    made = Ledger(AccountKeys.generate())
    for number in range(5):
        made.entries[f"hash {number}"] = Entry(f"data {number}", number, number + 0.5, expiry_ms=1000)
    made.entries["hash 1"].deleting = made.entries["hash 1"].deleted = True
    made.entries["never acknowledged"] = Entry("maybe", 6.0)
    return made


def whole() -> Listing:
    return [Listed(f"hash {number}", 1000, f"data {number}") for number in (0, 2, 3, 4)]


def test_a_whole_network_passes_with_or_without_what_was_never_acknowledged(ledger: Ledger) -> None:
    assert ledger.check({"a": whole(), "b": whole()}, now=10) == 4
    more = [*whole(), Listed("never acknowledged", 5000, "maybe")]
    assert ledger.check({"a": more, "b": more}, now=11) == 5


def test_what_was_listed_once_must_stay(ledger: Ledger) -> None:
    more = [*whole(), Listed("never acknowledged", 5000, "maybe")]
    ledger.check({"a": more, "b": more}, now=10)
    with pytest.raises(AssertionError, match="are gone"):
        ledger.check({"a": whole(), "b": whole()}, now=11)


FAULTS: dict[str, Callable[[Listing], Listing]] = {
    "are gone": lambda found: found[:-1],
    "more than once": lambda found: [*found, found[0]],
    "listed behind what was sent": lambda found: [found[1], found[0], *found[2:]],
    "are back": lambda found: [found[0], Listed("hash 1", 1000, "data 1"), *found[1:]],
    "that nobody stored": lambda found: [*found, Listed("strange", 1000, "data")],
    "expiry is forgotten": lambda found: [found[0]._replace(expiry_ms=999), *found[1:]],
}


@pytest.mark.parametrize("complaint", FAULTS)
def test_a_fault_at_every_member_is_found(ledger: Ledger, complaint: str) -> None:
    wrong = FAULTS[complaint](whole())
    with pytest.raises(AssertionError, match=complaint):
        ledger.check({"a": wrong, "b": wrong}, now=10)


@pytest.mark.parametrize("complaint", FAULTS)
def test_a_fault_at_one_member_is_found(ledger: Ledger, complaint: str) -> None:
    with pytest.raises(AssertionError, match="different things"):
        ledger.check({"a": whole(), "b": FAULTS[complaint](whole())}, now=10)


def test_an_order_that_changes_is_found(ledger: Ledger) -> None:
    for entry in ledger.entries.values():
        entry.sent, entry.acknowledged = 0.0, entry.acknowledged and 9.0  # all at the same time
    ledger.check({"a": whole()}, now=10)
    with pytest.raises(AssertionError, match="the order has changed"):
        ledger.check({"a": whole()[::-1]}, now=11)
