"""The ledger: what was acknowledged binds, until it expires or is deleted."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from operators.load.ledger import MARGIN_MS, Counts, Entry, Ledger, State

NOW = 1_000_000
LATER = NOW + 3_600_000


def test_a_message_is_owed_from_its_acknowledgement_to_its_expiry() -> None:
    ledger = Ledger()
    entry = ledger.stored(3, "hash", NOW + 10_000, NOW)
    assert entry.due(NOW)
    assert not entry.due(NOW + 10_000 - MARGIN_MS)
    assert ledger.mailboxes() == [3]
    assert ledger.of(3) == [entry]
    assert ledger.of(4) == []
    ledger.extended(entry, NOW + 20_000)
    assert entry.due(NOW + 10_000)
    ledger.extended(entry, NOW + 5_000)
    assert entry.expiry_ms == NOW + 20_000


def test_a_deletion_binds_only_once_it_is_acknowledged() -> None:
    ledger = Ledger()
    entry = ledger.stored(0, "hash", LATER, NOW)
    ledger.deleting(entry)
    assert not entry.due(NOW)
    assert not entry.gone(NOW)
    ledger.spared(entry)
    assert entry.due(NOW)
    ledger.deleting(entry)
    ledger.gone(entry, NOW + 5)
    assert entry.gone(NOW)
    assert not entry.gone(LATER), "what would have expired may be absent for that"
    assert (ledger.acknowledged, ledger.deleted, entry.deleted_ms) == (1, 1, NOW + 5)


def test_the_same_message_stored_again_is_one_message_with_the_later_expiry() -> None:
    ledger = Ledger()
    ledger.stored(0, "hash", LATER, NOW)
    again = ledger.stored(0, "hash", NOW + 5_000, NOW + 1)
    assert ledger.of(0) == [again]
    assert again.expiry_ms == LATER
    ledger.deleting(again)
    assert ledger.draw(Random(1), NOW) is None
    ledger.gone(again, NOW + 2)
    risen = ledger.stored(0, "hash", NOW + 5_000, NOW + 3)
    assert risen.due(NOW)
    assert risen.expiry_ms == NOW + 5_000


def test_only_what_is_owed_is_drawn() -> None:
    ledger, random = Ledger(), Random(1)
    assert ledger.draw(random, NOW) is None
    expired, deleting, kept = (ledger.stored(n, str(n), LATER, NOW) for n in range(3))
    expired.expiry_ms = NOW
    ledger.deleting(deleting)
    assert {ledger.draw(random, NOW) for _ in range(50)} == {kept}
    ledger.deleting(kept)
    assert ledger.draw(random, NOW) is None


STEPS = st.lists(st.tuples(st.sampled_from(["store", "delete", "spare", "gone", "forget"]), st.integers(0, 30)))


@settings(deadline=None)
@given(STEPS)
def test_what_may_be_drawn_is_what_is_kept_whatever_happens(steps: list[tuple[str, int]]) -> None:
    ledger, random, now = Ledger(), Random(2), NOW
    entries: list[Entry] = []
    for at, (step, number) in enumerate(steps):
        if step == "store":
            entries.append(ledger.stored(number % 4, f"hash {at}", now + 5_000 + number * 1_000, now))
        elif step == "forget":
            now += number * 100
            ledger.forget_expired(now)
            entries = [entry for entry in entries if entry.expiry_ms > now]
        elif entries:
            entry = entries[number % len(entries)]
            if step == "delete" and entry.state is State.KEPT:
                ledger.deleting(entry)
            elif step == "spare" and entry.state is State.DOUBTFUL:
                ledger.spared(entry)
            elif step == "gone" and entry.state is State.DOUBTFUL:
                ledger.gone(entry, now)
        assert {*ledger} == {*entries}
        due = {entry for entry in entries if entry.due(now)}
        gone = sum(entry.gone(now) for entry in entries)
        doubtful = sum(entry.state is State.DOUBTFUL for entry in entries)
        assert ledger.counts(now) == Counts(len(due), gone, doubtful)
        drawn = ledger.draw(random, now)
        assert drawn in due if due else drawn is None
