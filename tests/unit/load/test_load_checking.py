"""The check finds what is lost and what came back: each defect planted once."""

from __future__ import annotations

import pytest

from operators.load.checking import MOST_NAMED, Breach, Findings, Promise, breach
from operators.load.ledger import Ledger

NOW, LATER = 1_000_000, 5_000_000
SWARM = "7fffffffffffff"


@pytest.fixture
def ledger() -> Ledger:
    """Of one mailbox: two messages kept, one deleted, one in doubt, one expired."""
    made = Ledger()
    for name in ("kept 1", "kept 2", "deleted", "doubtful"):
        made.stored(0, name, LATER, NOW)
    made.stored(0, "expired", NOW, NOW - 5)
    entries = {entry.message_hash: entry for entry in made.of(0)}
    for name in ("deleted", "doubtful"):
        made.deleting(entries[name])
    made.gone(entries["deleted"], NOW)
    return made


def names(breached: Breach) -> tuple[set[str], set[str]]:
    return {entry.message_hash for entry in breached.missing}, {entry.message_hash for entry in breached.risen}


@pytest.mark.parametrize("more", [set(), {"doubtful"}, {"expired"}, {"never acknowledged"}])
def test_a_member_that_keeps_its_promises_breaks_none(ledger: Ledger, more: set[str]) -> None:
    promise = Promise.of(ledger, 0, NOW)
    assert not breach(promise, {"kept 1", "kept 2", *more}, NOW)


def test_a_planted_loss_is_found(ledger: Ledger) -> None:
    assert names(breach(Promise.of(ledger, 0, NOW), {"kept 2"}, NOW)) == ({"kept 1"}, set())


def test_a_planted_resurrection_is_found(ledger: Ledger) -> None:
    found = breach(Promise.of(ledger, 0, NOW), {"kept 1", "kept 2", "deleted"}, NOW)
    assert names(found) == (set(), {"deleted"})


def test_what_changes_while_members_are_read_binds_nobody(ledger: Ledger) -> None:
    promise = Promise.of(ledger, 0, NOW)
    stored = ledger.stored(0, "stored meanwhile", LATER, NOW)
    kept = ledger.of(0)[0]
    ledger.deleting(kept)
    assert not breach(promise, {"kept 2"}, NOW)
    ledger.gone(kept, NOW)
    assert not breach(promise, {"kept 1", "kept 2"}, NOW), "it may have been read before it was deleted"
    assert not breach(promise, set(), LATER), "what expired meanwhile may be gone"
    assert names(breach(Promise.of(ledger, 0, NOW), {"kept 2"}, NOW)) == ({stored.message_hash}, set())


def test_findings_count_messages_once_and_copies_at_each_member(ledger: Ledger) -> None:
    promise, findings = Promise.of(ledger, 0, NOW), Findings()
    whole, lacking = {"kept 1", "kept 2"}, {"kept 2", "deleted"}
    findings.note(promise, SWARM, [breach(promise, listed, NOW) for listed in (whole, lacking, lacking)] + [None])
    document = findings.document()
    assert not findings.clean
    assert (document["messages"], document["copies"], document["deletions"]) == (2, 6, 1)
    assert (document["lost"], document["undone_deletions"]) == (1, 1)
    assert (document["unread_members"], document["unread_messages"]) == (1, 0)
    (lost,), (undone,) = document["lost_named"], document["undone_named"]
    assert (lost["hash"], lost["swarm"], lost["members"], lost["of"]) == ("kept 1", SWARM, 2, 3)
    assert (undone["hash"], undone["members"], undone["deleted_ms"]) == ("deleted", 2, NOW)


def test_what_nobody_could_be_asked_about_is_not_called_safe(ledger: Ledger) -> None:
    promise, findings = Promise.of(ledger, 0, NOW), Findings()
    findings.note(promise, SWARM, [None, None])
    assert (findings.unread_members, findings.unread_messages, findings.messages) == (2, 3, 0)
    assert not findings.clean
    empty = Findings()
    empty.note(promise, SWARM, [])
    assert not empty.clean


def test_few_are_named_however_many_are_lost() -> None:
    ledger = Ledger()
    for number in range(100):
        ledger.stored(0, f"hash {number}", LATER, NOW)
    promise = Promise.of(ledger, 0, NOW)
    findings = Findings()
    findings.note(promise, SWARM, [breach(promise, set(), NOW)])
    assert (findings.lost, len(findings.lost_named)) == (100, MOST_NAMED)
    other = Findings.read(findings.document())
    assert other == findings
    findings.add(other)
    assert (findings.lost, len(findings.lost_named), findings.messages) == (200, MOST_NAMED, 200)
