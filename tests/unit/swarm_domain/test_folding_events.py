from __future__ import annotations

from itertools import permutations

import pytest

from services.swarm.domain.events import (
    ChangedMessage,
    Deleted,
    DeletedMessage,
    Event,
    ExpiryChanged,
    Revoked,
    Stored,
    Unrevoked,
)
from services.swarm.domain.evolve import Changes, Mailbox, StateView, evolve, swept

HASH = b"h" * 32
OTHER = b"o" * 32


def stored(
    expiry: int, *, rank: int | None = None, message_hash: bytes = HASH, replaces: tuple[int, ...] = ()
) -> Stored:
    return Stored(message_hash, 0, 50, expiry, None, 10, rank, replaces)


def fold(*events: tuple[int, int, Event], mailbox: Mailbox | None = None) -> tuple[Mailbox, Changes]:
    mailbox = mailbox or Mailbox()
    changes = Changes()
    for sequence, time_ms, event in events:
        mailbox, more = evolve(mailbox, event, sequence=sequence, time_ms=time_ms)
        changes.add(more)
    return mailbox, changes


def test_a_first_store_takes_its_sequence_as_rank() -> None:
    mailbox, changes = fold((7, 100, stored(1_000)))
    record = mailbox.messages[HASH]
    assert (record.rank, record.sequences, record.expiry_ms, record.size) == (7, (7,), 1_000, 10)
    assert changes == Changes(created={HASH: 1_000})
    assert mailbox.last_sequence == 7


@pytest.mark.parametrize("order", list(permutations([1_000, 3_000, 2_000])))
def test_stores_of_one_message_in_any_order_end_alike(order: tuple[int, ...]) -> None:
    mailbox, _ = fold(*((5 + at, 100, stored(expiry)) for at, expiry in enumerate(order)))
    record = mailbox.messages[HASH]
    assert (record.rank, record.expiry_ms, record.sequences) == (5, 3_000, (5, 6, 7))


def test_a_second_store_reports_the_later_expiry() -> None:
    before, _ = fold((1, 100, stored(2_000)))
    _, lower = fold((2, 100, stored(1_000)), mailbox=before)
    assert lower == Changes(present={HASH: 2_000})
    _, higher = fold((2, 100, stored(3_000)), mailbox=before)
    assert higher == Changes(present={HASH: 3_000}, moved={HASH: 0})


def test_a_copy_read_alone_keeps_the_first_ones_rank() -> None:
    whole, _ = fold(
        (5, 100, stored(1_000)), (6, 100, stored(1_000, message_hash=OTHER)), (9, 100, stored(2_000, rank=5))
    )
    rest, _ = fold((6, 100, stored(1_000, message_hash=OTHER)), (9, 100, stored(2_000, rank=5)))
    for mailbox in (whole, rest):
        assert [m.message_hash for m in StateView(mailbox, 100).list(0)] == [HASH, OTHER]


def test_a_copy_that_names_the_rank_corrects_a_replay_that_met_another_store_first() -> None:
    raced = stored(3_000)._replace(timestamp_ms=99)
    between = stored(1_000, message_hash=OTHER)
    mailbox, _ = fold((6, 100, raced), (7, 100, between), (8, 100, stored(3_000, rank=5)))
    record = mailbox.messages[HASH]
    assert (record.rank, record.timestamp_ms, record.expiry_ms) == (5, 50, 3_000)


def test_what_expired_before_the_log_took_the_event_is_dead_whether_swept_or_not() -> None:
    before, _ = fold((5, 100, stored(1_000)), (6, 100, stored(9_000, message_hash=OTHER)))
    for mailbox in (before, swept(before, 1_000)):
        after, changes = fold((7, 1_000, stored(5_000)), mailbox=mailbox)
        assert after.messages[HASH].rank == 7
        assert changes == Changes(created={HASH: 5_000})


def test_replaced_copies_are_forgotten() -> None:
    mailbox, _ = fold(
        (1, 100, stored(1_000)), (2, 100, stored(1_500)), (3, 100, stored(2_000, rank=1, replaces=(1, 2)))
    )
    assert mailbox.messages[HASH].sequences == (3,)


def test_deleting_and_shortening_what_is_not_there_changes_nothing() -> None:
    events: tuple[Event, ...] = (
        Deleted((DeletedMessage(HASH, 0, (1,)),)),
        ExpiryChanged((ChangedMessage(HASH, 5, (1,)),)),
        Unrevoked((bytes(36),)),
    )
    mailbox, changes = fold(*((3 + at, 100, event) for at, event in enumerate(events)))
    assert mailbox.messages == {}
    assert changes == Changes()
    assert mailbox.last_sequence == 5


def test_a_change_of_expiry_only_shortens() -> None:
    before, _ = fold((1, 100, stored(1_000)))
    after, changes = fold((2, 100, ExpiryChanged((ChangedMessage(HASH, 2_000, (1,)),))), mailbox=before)
    assert after.messages == before.messages
    assert changes == Changes()
    after, changes = fold((2, 100, ExpiryChanged((ChangedMessage(HASH, 500, (1,)),))), mailbox=before)
    assert after.messages[HASH].expiry_ms == 500
    assert changes == Changes(moved={HASH: 0})


def test_a_token_revoked_again_is_the_newest() -> None:
    one, two = b"1" * 36, b"2" * 36
    mailbox, _ = fold((1, 1, Revoked((one,), 1)), (2, 1, Revoked((two,), 1)), (3, 1, Revoked((one,), 1)))
    assert mailbox.revoked == (two, one)


def test_folding_leaves_the_state_before_as_it_was() -> None:
    before, _ = fold((1, 100, stored(1_000)))
    kept = dict(before.messages)
    fold((2, 100, Deleted((DeletedMessage(HASH, 0, ()),))), mailbox=before)
    assert before.messages == kept


def test_a_view_shows_the_living_alone() -> None:
    mailbox, _ = fold((1, 100, stored(1_000)), (2, 100, stored(2_000, message_hash=OTHER)))
    view = StateView(mailbox, 1_000)
    assert list(view.find([HASH, OTHER])) == [OTHER]
    assert view.usage(0) == (1, 10)
    assert view.account_usage(open_to_all=True) == (1, 10)
    assert view.account_usage(open_to_all=False) == (0, 0)
    assert view.last_sequence == 2
